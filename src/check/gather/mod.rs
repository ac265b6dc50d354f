//! The one place that looks at the machine for the checks, for as short a time as it can: what is slow runs side by
//! side, everything has a limit, and what could not be had is a fact as well.

mod config;
mod disk;
mod own_lines;
mod receipt;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::facts::*;
use super::target::{SYSLOG_PORT, TargetOptions};
use crate::agent::AgentFacts;
use crate::host::proc_net::{Socket, SocketState};
use crate::host::proc_process::{self, Process};
use crate::host::{Cmd, Host, Output, RunError, facts, proc_mount};
use crate::platform::firewall::listing::Listings;
use crate::platform::os_release::OsRelease;
use crate::syslog::rsyslog::Effective;

/// Processes looked at whether they hold a socket or not.
const DAEMONS: &[&str] = &["rsyslogd", "syslog-ng", "mdsd"];
/// Deleted files smaller than this do not matter.
const MIN_DELETED: u64 = 1 << 20;
const MOST_SPOOLS: usize = 20;
const MAIN_FILE: &str = "/etc/rsyslog.conf";
const DROP_INS: &str = "/etc/rsyslog.d";

/// Looks at the machine once. Changes nothing on it.
pub fn gather(host: &Host, options: &TargetOptions) -> Facts {
    let receipt = receipt::gather(&host.root);
    let port = options.port.or(receipt.as_ref().ok().and_then(|r| r.as_ref()?.port)).unwrap_or(SYSLOG_PORT);
    let agents = AgentFacts::gather(&host.root);
    let identity = identity(host);
    let units = units::gather(host);
    let unit = units.as_ref().ok().and_then(|u| u.get("rsyslog.service"));
    let mut facts = thread::scope(|scope| {
        let net = scope.spawn(|| sockets(host, port));
        let logs = scope.spawn(|| disk::logs(host));
        let lookup = scope.spawn(|| reverse_lookup(host));
        let firewall = scope.spawn(|| firewall(host));
        let machine = scope.spawn(|| machine(host, identity.clone()));
        let program = find_program(host, "rsyslogd");
        let main_file = main_file(host, unit);
        let validation = scope.spawn({
            let (program, main_file) = (program.clone(), main_file.clone());
            move || validate(host, program.as_deref(), &main_file)
        });
        let lines = scope.spawn(|| own_lines::gather(host, &identity.hostname, unit));
        let (effective, files) = config::read(&host.root, Path::new(&main_file));
        let spools = spools(host, &effective);
        let mut folders: Vec<String> = ["/var/log", "/etc"].map(str::to_owned).into();
        folders.extend(spools.iter().map(|s| s.path.clone()));
        if agents.oms.is_some() || agents.ama.is_some() {
            folders.extend(["/var/opt/microsoft", "/opt"].map(str::to_owned));
        }
        let disks = disk::file_systems(&host.root, &folders);

        let (net, processes, deleted) = join(net);
        let (largest, growth) = join(logs);
        let validation = join(validation);
        let pid = daemon_pid(unit, &processes);
        let rsyslog = RsyslogFacts {
            version: version(&validation),
            program,
            main_file,
            pid,
            config: files,
            drop_in_folder: drop_ins(host),
            validation,
            own_lines: join(lines),
            spools,
            mounts: mounts(host, pid),
        };
        Facts {
            taken: host.clock.now().as_second(),
            host: HostFacts { reverse_lookup_ms: join(lookup), ..join(machine) },
            disks,
            logs: LogFacts { largest, deleted, growth },
            net,
            processes,
            rsyslog,
            syslog_ng: find_program(host, "syslog-ng"),
            agents,
            firewall: join(firewall),
            receipt,
            ..Facts::default()
        }
    });
    facts.units = units;
    facts
}

/// Looks at the sockets once more.
pub fn sockets_again(host: &Host, facts: &mut Facts, port: u16) {
    let (net, processes, _) = sockets(host, port);
    facts.net = net;
    facts.processes = processes;
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

fn machine(host: &Host, identity: facts::Identity) -> HostFacts {
    let root = &host.root;
    let line = |argv: &[&str]| {
        let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(1))).ok().filter(Output::ok)?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned()).filter(|l| !l.is_empty())
    };
    let os = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|p| root.read_opt(Path::new(p)).ok()?);
    HostFacts {
        hostname: identity.hostname,
        kernel: identity.kernel,
        arch: identity.arch,
        os: os.map(|text| OsRelease::parse(&text)).ok_or_else(|| "/etc/os-release is not there".to_owned()),
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

/// Rules and interfaces of the running kernel; an image has neither.
fn firewall(host: &Host) -> Fact<FirewallFacts> {
    if !host.root.is_live() {
        return Err("firewall rules are those of a running system".into());
    }
    Ok(FirewallFacts { listings: Listings::gather(host), interfaces: crate::host::interfaces::interfaces()? })
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
    let keep = |s: &Socket| {
        let established = s.state == SocketState::Established;
        s.is_open() || established && (s.remote.ip().is_loopback() || s.local.port() == port)
    };
    let limit = Duration::from_secs(1);
    match facts::sockets(&host.root, &*host.clock, &keep, DAEMONS, MIN_DELETED, limit) {
        Ok(mut found) => {
            found.processes.retain(|_, p| !is_validator(p));
            let owners_complete = found.open_files.complete;
            (Ok(NetFacts { sockets: found.sockets, owners_complete }), found.processes, found.open_files.deleted)
        }
        Err(e) => (Err(e.to_string()), BTreeMap::new(), Vec::new()),
    }
}

/// `rsyslogd -N1`, ours or somebody else's: a process of that name, but no daemon.
fn is_validator(process: &Process) -> bool {
    process.comm == "rsyslogd" && process.cmdline.iter().any(|a| a.starts_with("-N"))
}

/// Program file in the places the system's packages use.
fn find_program(host: &Host, name: &str) -> Option<String> {
    let places = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/opt/syslog-ng/sbin"];
    let paths = places.into_iter().map(|p| format!("{p}/{name}"));
    paths.into_iter().find(|p| {
        let real = host.root.resolve(Path::new(p));
        real.is_ok_and(|real| matches!(host.root.stat(&real), Ok(Some(_))))
    })
}

/// The configuration that the unit's command line names, or the usual one. What stands in a variable of the command
/// line is not known here.
fn main_file(host: &Host, unit: Option<&UnitFacts>) -> String {
    let running = unit
        .and_then(|u| u.state.main_pid)
        .and_then(|pid| proc_process::process(&host.root, pid))
        .map(|p| p.cmdline)
        .unwrap_or_default();
    let written: Vec<String> =
        unit.map(|u| u.exec_start.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
    file_option(&running).or_else(|| file_option(&written)).unwrap_or_else(|| MAIN_FILE.into())
}

/// `-f FILE` or `-fFILE`.
fn file_option(argv: &[String]) -> Option<String> {
    let at = argv.iter().position(|a| a.starts_with("-f"))?;
    let joined = argv.get(at)?.strip_prefix("-f").filter(|f| !f.is_empty());
    joined.or_else(|| argv.get(at + 1).map(String::as_str)).filter(|f| f.starts_with('/')).map(str::to_owned)
}

/// Has the daemon check its whole configuration. Only root may read all of it.
fn validate(host: &Host, program: Option<&str>, main_file: &str) -> Fact<Validation> {
    let program = program.ok_or("rsyslog is not installed")?;
    if facts::euid() != 0 {
        return Err("only root can have rsyslogd check its configuration".into());
    }
    let cmd = Cmd::new([program, "-N1", "-f", main_file]).limit(Duration::from_secs(5));
    let out = host.runner.run(&cmd).map_err(|e: RunError| e.to_string())?;
    Ok(Validation { exit: out.exit, stderr: Bytes(out.stderr) })
}

/// `rsyslogd: version 8.2302.0, config validation run …`
fn version(validation: &Fact<Validation>) -> Option<String> {
    let text = String::from_utf8_lossy(&validation.as_ref().ok()?.stderr.0).into_owned();
    let (_, rest) = text.split_once("rsyslogd: version ")?;
    rest.split([',', ' ', '\n']).next().filter(|v| !v.is_empty()).map(str::to_owned)
}

/// The unit's main process, else the oldest rsyslogd of this network namespace that is in no container.
fn daemon_pid(unit: Option<&UnitFacts>, processes: &BTreeMap<u32, Process>) -> Option<u32> {
    if let Some(pid) = unit.and_then(|u| u.state.main_pid) {
        return Some(pid);
    }
    let ours =
        |p: &&Process| p.comm == "rsyslogd" && p.same_net != Some(false) && p.container.is_none() && !p.is_zombie();
    processes.values().filter(ours).min_by_key(|p| (p.start_ticks, p.pid)).map(|p| p.pid)
}

fn drop_ins(host: &Host) -> Fact<Vec<DropIn>> {
    let folder = Path::new(DROP_INS);
    let entry = |name| {
        let path = folder.join(name);
        let real = host.root.resolve(&path).unwrap_or_else(|_| path.clone());
        let kind = host.root.stat(&real).ok().flatten().map(|m| m.kind);
        DropIn { path: encode_path(&path), real: encode_path(&real), kind }
    };
    match host.root.list(folder) {
        Ok(names) => Ok(names.into_iter().map(entry).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(format!("{DROP_INS}: {e}")),
    }
}

/// Folders that queues spill into. What begins with no slash lies below a folder that is not known here.
fn spools(host: &Host, effective: &Effective) -> Vec<Spool> {
    let own = effective.actions.iter().filter_map(|a| a.queue.spool.as_ref());
    let of_rulesets = effective.rulesets.iter().filter_map(|r| r.queue.as_ref()?.spool.as_ref());
    let work_dir = effective.work_directory();
    let paths: BTreeSet<String> = work_dir.into_iter().chain(own).chain(of_rulesets).map(|p| p.to_string()).collect();
    let absolute = paths.iter().filter(|p| p.starts_with('/')).take(MOST_SPOOLS);
    absolute.map(|p| config::spool(&host.root, Path::new(p))).collect()
}

fn mounts(host: &Host, pid: Option<u32>) -> Fact<Vec<proc_mount::Mount>> {
    let pid = pid.ok_or("the daemon does not run")?;
    let path = format!("/proc/{pid}/mountinfo");
    let text = host.root.read(Path::new(&path)).map_err(|e| format!("{path}: {e}"))?;
    Ok(proc_mount::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_is_the_one_on_the_command_line() {
        let argv = |s: &str| s.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(file_option(&argv("/usr/sbin/rsyslogd -n -f /etc/x.conf")).as_deref(), Some("/etc/x.conf"));
        assert_eq!(file_option(&argv("/usr/sbin/rsyslogd -f/etc/y.conf -n")).as_deref(), Some("/etc/y.conf"));
        assert_eq!(file_option(&argv("/usr/sbin/rsyslogd -n -f")), None);
        assert_eq!(file_option(&argv("/usr/sbin/rsyslogd -n -f $CONF")), None);
    }

    #[test]
    fn the_daemon_is_the_units_process_or_the_oldest_outside_of_containers() {
        let p = |pid: u32, ticks: u64, container: Option<&str>| {
            let container = container.map(str::to_owned);
            (pid, Process { pid, comm: "rsyslogd".into(), start_ticks: ticks, container, ..Process::default() })
        };
        let processes = BTreeMap::from([p(5, 10, Some("abc")), p(7, 30, None), p(9, 20, None)]);
        assert_eq!(daemon_pid(None, &processes), Some(9));
        assert_eq!(daemon_pid(None, &BTreeMap::new()), None);
    }

    #[test]
    fn a_check_of_the_configuration_is_no_daemon() {
        let p = |argv: &str| Process {
            comm: "rsyslogd".into(),
            cmdline: argv.split(' ').map(str::to_owned).collect(),
            ..Process::default()
        };
        assert!(is_validator(&p("/usr/sbin/rsyslogd -N1 -f /etc/rsyslog.conf")));
        assert!(!is_validator(&p("/usr/sbin/rsyslogd -n -iNONE")));
    }

    #[test]
    fn the_version_is_what_the_validator_says() {
        let out = |text: &str| Ok(Validation { exit: crate::host::Exit::Code(0), stderr: Bytes(text.into()) });
        let v = version(&out("rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/x\n"));
        assert_eq!(v.as_deref(), Some("8.2302.0"));
        assert_eq!(version(&Err("no".into())), None);
        assert_eq!(version(&out("rsyslogd: cannot start")), None);
    }
}
