//! The one place that looks at the machine for the checks, for as short a time as it can: what is slow runs side by
//! side, everything has a limit, and what could not be had is a fact as well.

mod agents;
mod ama;
mod clock;
mod cloud;
mod config;
mod daemon;
mod disk;
mod oms;
pub mod own_lines;
mod part;
mod receipt;
mod routes;
mod rsyslog;
pub mod security;
mod syslogng;
pub mod units;

#[cfg(test)]
pub use oms::describe as describe_input;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use part::Looking;

use super::agent_facts::{AgentStates, ClockFacts};
use super::facts::*;
use super::late::Part;
use super::target::{COUNTED_PORT, SYSLOG_PORT, TLS_PORT, TargetOptions};
use crate::agent::AgentFacts;
use crate::host::proc_loss::LossCounters;
use crate::host::proc_net::{Socket, SocketState};
use crate::host::proc_process::{self, Process};
use crate::host::{Cmd, Host, Output, RunError, facts};
use crate::platform::firewall::listing::Listings;
use crate::platform::os_release::OsRelease;

/// Processes looked at whether they hold a socket or not.
const DAEMONS: &[&str] = &["rsyslogd", "syslog-ng", "mdsd", "omsagent", "ruby"];
/// Deleted files smaller than this do not matter.
const MIN_DELETED: u64 = 1 << 20;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All that a diagnosis judges.
    Diagnosis,
    /// The same, but nobody beyond this machine is asked.
    Local,
    /// What has to be known before a change: not how logs grow, nor what the daemons say of themselves.
    Change,
}

/// Looks at the machine once. Changes nothing on it. What does not end within `limit` is left to itself and noted as late.
pub fn gather(host: &Host, options: &TargetOptions, depth: Depth, limit: Option<Duration>) -> Facts {
    let deep = depth != Depth::Change;
    let mut looking = Looking::new(host, limit);
    let own = looking.begin_early(Part::Receipt, |host| (receipt::gather(&host.root), identity(host)));
    let files = looking.begin_early(Part::Agents, |host| AgentFacts::gather(&host.root));
    let unit_facts = looking
        .begin(Part::Units, move |host| units::gather(host, &if deep { agents::units(host) } else { Vec::new() }));
    let late = |what: Part| format!("looking at {} did not end in time", what.name());
    let (receipt, identity) =
        looking.end_or(own, || (Err(late(Part::Receipt)), facts::Identity { ..facts::identity() }));
    let port = options.port.or(receipt.as_ref().ok().and_then(|r| r.as_ref()?.port)).unwrap_or(SYSLOG_PORT);
    let agents = looking.end_or(files, AgentFacts::default);
    let units = Arc::new(looking.end_or(unit_facts, || Err(late(Part::Units))));
    // Before the sockets: it may start a program of the agent for a moment.
    let shared = units.clone();
    let states = looking.begin(
        Part::Agents,
        move |host| {
            if deep { agents::gather(host, &shared) } else { AgentStates::default() }
        },
    );
    let agent_states = Arc::new(looking.end_or(states, AgentStates::default));

    let unit = |name: &str| units.as_ref().as_ref().ok().and_then(|u| u.get(name)).cloned();
    let (rsyslog_unit, syslog_ng_unit) = (unit(rsyslog::NAMES.unit), unit(syslogng::NAMES.unit));
    let net = looking.begin(Part::Sockets, move |host| sockets(host, port));
    let logs = looking.begin(Part::Logs, move |host| if deep { disk::logs(host) } else { Default::default() });
    let shared = units.clone();
    let clock = looking.begin(Part::Clock, move |host| match deep {
        true => clock::gather(host, shared.as_ref().as_ref().ok()),
        false => ClockFacts::default(),
    });
    let lookup = looking.begin(Part::Names, move |host| if deep { reverse_lookup(host) } else { None });
    let cloud = looking.begin(Part::Cloud, {
        let (options, states, units) = (options.clone(), agent_states.clone(), units.clone());
        move |host| match depth {
            Depth::Diagnosis => cloud::gather(host, &options, &states, &units),
            Depth::Local | Depth::Change => not_looked(),
        }
    });
    let source = options.source;
    let firewall = looking.begin(Part::Firewall, move |host| match deep {
        true => firewall(host).map(|f| FirewallFacts {
            routes: routes::gather(host, &f.interfaces, source),
            neighbours: routes::seen(host),
            ..f
        }),
        false => Err("not looked at".to_owned()),
    });
    let who = identity.clone();
    let machine = looking.begin(Part::Machine, move |host| machine(host, who, deep));
    let other = looking.begin(Part::SyslogNg, {
        let (hostname, unit) = (identity.hostname.clone(), syslog_ng_unit.clone());
        move |host| syslogng::gather(host, &hostname, unit.as_ref(), depth)
    });
    let one = looking.begin(Part::Rsyslog, {
        let (hostname, unit) = (identity.hostname.clone(), rsyslog_unit.clone());
        move |host| rsyslog::gather(host, &hostname, unit.as_ref(), depth)
    });

    let rsyslog = looking.end_or(one, || DaemonFacts::unknown(RSYSLOG_CONF));
    let (syslog_ng, syslog_ng_says) =
        looking.end_or(other, || (DaemonFacts::unknown(SYSLOG_NG_CONF), SyslogNgSays::default()));
    let mut folders: Vec<String> = ["/var/log", "/etc"].map(str::to_owned).into();
    folders.extend(rsyslog.spools.iter().chain(&syslog_ng.spools).map(|s| s.path.clone()));
    if agents.oms.is_some() || agents.ama.is_some() {
        folders.extend(["/var/opt/microsoft", "/opt"].map(str::to_owned));
    }
    let disks = looking.begin(Part::Disks, move |host| disk::file_systems(&host.root, &folders));
    let (net, processes, deleted) = looking.end_or(net, || (Err(late(Part::Sockets)), BTreeMap::new(), Vec::new()));
    let rsyslog = rsyslog::with_processes(rsyslog, host, rsyslog_unit.as_ref(), &processes);
    let syslog_ng = syslogng::with_processes(syslog_ng, host, syslog_ng_unit.as_ref(), &processes);
    let running = if rsyslog.pid.is_none() && syslog_ng.pid.is_some() { &syslog_ng } else { &rsyslog };
    let since = [&rsyslog_unit, &syslog_ng_unit].into_iter().flatten().find(|u| u.state.main_pid == running.pid);
    let security = looking.begin(Part::Security, {
        // What it was refused while it started counts as well, which is before the unit is called active.
        let process = running.pid.and_then(|pid| started(host, processes.get(&pid)?));
        let (running, since) = (running.clone(), process.or_else(|| since.and_then(|u| u.since)));
        move |host| match deep && host.root.is_live() {
            true => security::gather(host, &running, since),
            false => SecurityFacts::default(),
        }
    });
    let (largest, growth) = looking.end(logs);
    let host_facts = looking.end_or(machine, || HostFacts {
        hostname: identity.hostname.clone(),
        kernel: identity.kernel.clone(),
        arch: identity.arch.clone(),
        euid: facts::euid(),
        live: host.root.is_live(),
        ..Facts::default().host
    });
    Facts {
        taken: host.clock.now().as_second(),
        host: HostFacts { reverse_lookup_ms: looking.end(lookup), ..host_facts },
        disks: looking.end(disks),
        logs: LogFacts { largest, deleted, growth },
        net,
        processes,
        rsyslog,
        syslog_ng,
        syslog_ng_says,
        agents,
        agent_states: Arc::unwrap_or_clone(agent_states),
        clock: looking.end(clock),
        cloud: looking.end_or(cloud, || Err(late(Part::Cloud))),
        firewall: looking.end_or(firewall, || Err(late(Part::Firewall))),
        security: looking.end(security),
        units: Arc::unwrap_or_clone(units),
        receipt,
        late: looking.late,
        ..Facts::default()
    }
}

/// Program file of a daemon, where it is installed.
pub fn program(host: &Host, daemon: &str) -> Option<String> {
    daemon::find_program(host, if daemon == "rsyslog" { "rsyslogd" } else { daemon })
}

/// Looks at the sockets once more.
pub fn sockets_again(host: &Host, facts: &mut Facts, port: u16) {
    let (net, processes, _) = sockets(host, port);
    facts.net = net;
    facts.processes = processes;
}

/// When a process was started, in seconds since the epoch; `/proc/stat` counts in hundredths on every architecture
/// (proc(5)).
fn started(host: &Host, process: &Process) -> Option<i64> {
    let stat = host.root.read_opt(Path::new("/proc/stat")).ok()??;
    let text = String::from_utf8_lossy(&stat);
    let boot: i64 = text.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + i64::try_from(process.start_ticks / 100).ok()?)
}

/// What SELinux has refused by now: a daemon connects to the agent with the first event.
pub fn refusals_again(host: &Host, facts: &mut Facts) {
    let running =
        if facts.rsyslog.pid.is_none() && facts.syslog_ng.pid.is_some() { &facts.syslog_ng } else { &facts.rsyslog };
    let pid = running.pid;
    let since = pid.and_then(|pid| started(host, facts.processes.get(&pid)?));
    security::selinux_again(host, &mut facts.security, pid, since);
}

/// Looks at rsyslog's queues on disk once more, and how far it has read them.
pub fn queues_again(host: &Host, facts: &mut Facts) {
    sockets_again(host, facts, SYSLOG_PORT);
    facts.units = units::gather(host, &[]);
    let folders: Vec<String> = facts.rsyslog.spools.iter().map(|s| s.path.clone()).collect();
    facts.rsyslog.spools = daemon::spools(host, folders);
    let unit = facts.unit(rsyslog::NAMES.unit).cloned();
    facts.rsyslog = rsyslog::with_processes(facts.rsyslog.clone(), host, unit.as_ref(), &facts.processes);
}

/// The counters of the running syslog-ng.
pub fn syslog_ng_stats(host: &Host, facts: &Facts) -> Fact<Bytes> {
    syslogng::stats(host, facts.unit(syslogng::NAMES.unit))
}

/// A gatherer does not panic; should one do so all the same, the others' facts are not worth less.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn identity(host: &Host) -> facts::Identity {
    if host.root.is_live() {
        return facts::identity();
    }
    let name = host.root.read_opt(Path::new("/etc/hostname")).ok().flatten().unwrap_or_default();
    facts::Identity { hostname: String::from_utf8_lossy(&name).trim().to_owned(), ..facts::identity() }
}

fn machine(host: &Host, identity: facts::Identity, deep: bool) -> HostFacts {
    let root = &host.root;
    let line = |argv: &[&str]| {
        if !deep {
            return None;
        }
        let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(1))).ok().filter(Output::ok)?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned()).filter(|l| !l.is_empty())
    };
    HostFacts {
        hostname: identity.hostname,
        kernel: identity.kernel,
        arch: identity.arch,
        os: OsRelease::of(root).ok_or_else(|| "/etc/os-release is not there".to_owned()),
        libc: line(&["getconf", "GNU_LIBC_VERSION"]),
        openssl: line(&["openssl", "version"]),
        reverse_lookup_ms: None,
        euid: facts::euid(),
        capabilities: facts::own_capabilities(root),
        container: facts::container(root),
        systemd: matches!(root.stat(Path::new("/run/systemd/system")), Ok(Some(_))),
        ipv6: facts::has_ipv6(root),
        live: root.is_live(),
    }
}

/// Rules and interfaces of the running kernel, without what its routing says of single packets; an image has neither.
pub fn firewall(host: &Host) -> Fact<FirewallFacts> {
    if !host.root.is_live() {
        return Err("firewall rules are those of a running system".into());
    }
    // Asks for the way only: a datagram socket sends nothing by being connected.
    let way = host.net.udp(([127, 0, 0, 1], 9).into());
    Ok(FirewallFacts {
        listings: Listings::gather(host),
        interfaces: crate::host::interfaces::interfaces()?.into_iter().map(|i| i.with_settings(&host.root)).collect(),
        routes: Vec::new(),
        neighbours: Vec::new(),
        no_way_to_self: way.err().map(|e| e.to_string()),
    })
}

/// How long the resolver takes for a sender's name, tried with an address that nobody has (TEST-NET-2).
fn reverse_lookup(host: &Host) -> Option<u64> {
    let start = host.clock.monotonic();
    let cmd = Cmd::new(["getent", "hosts", "198.51.100.7"]).limit(Duration::from_secs(1));
    match host.runner.run(&cmd) {
        Ok(_) | Err(RunError::Timeout(..)) => {
            let took = host.clock.monotonic().saturating_sub(start);
            Some(took.as_millis().try_into().unwrap_or(u64::MAX))
        }
        Err(_) => None,
    }
}

type Net = (Fact<NetFacts>, BTreeMap<u32, Process>, Vec<proc_process::DeletedFile>);

fn sockets(host: &Host, port: u16) -> Net {
    let devices = [port, TLS_PORT, COUNTED_PORT];
    let keep = |s: &Socket| {
        let established = matches!(s.state, SocketState::Established | SocketState::CloseWait);
        s.is_open() || established && (s.remote.ip().is_loopback() || devices.contains(&s.local.port()))
    };
    let limit = Duration::from_secs(1);
    match facts::sockets(&host.root, &*host.clock, &keep, DAEMONS, MIN_DELETED, limit) {
        Ok(mut found) => {
            found
                .processes
                .retain(|_, p| !daemon::is_check(p, &rsyslog::NAMES) && !daemon::is_check(p, &syslogng::NAMES));
            let owners_complete = found.open_files.complete;
            let lost = LossCounters::gather(&host.root);
            (Ok(NetFacts { sockets: found.sockets, owners_complete, lost }), found.processes, found.open_files.deleted)
        }
        Err(e) => (Err(e.to_string()), BTreeMap::new(), Vec::new()),
    }
}
