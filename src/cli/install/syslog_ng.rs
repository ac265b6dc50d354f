//! syslog-ng's part of an install: what the pure decision must know of the box, and the check of a candidate: our own
//! lint for what the daemon's check misses (facts 6.4), then `syslog-ng --syntax-only` on a staged copy.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::daemon::Daemon;
use super::source::Without;
use super::staging::Staging;
use super::{Decided, Mended, refused, validate as said};
use crate::check::facts::{DaemonFacts, Facts};
use crate::check::gather::{self, Depth};
use crate::check::target::TargetOptions;
use crate::cli::exit::{Exit, fail};
use crate::host::proc_net::{Socket, Transport};
use crate::host::{Cmd, Host};
use crate::plan::Receipt;
use crate::report::clean;
use crate::syslog::MapSource;
use crate::syslog::collector::{Collector, Wish};
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::candidate::candidate;
use crate::syslog::syslogng::collector::{Found, decide as decide_on};
use crate::syslog::syslogng::effective::{DestDriver, DestKind, ReadSetting};
use crate::syslog::syslogng::render::Stack;
use crate::syslog::syslogng::validate::Report;
use crate::syslog::syslogng::version::Program;
use crate::syslog::syslogng::{Effective, Severity, lint, repair};

/// Written by the scripts this tool replaces, in the folder that distributions include.
pub const REPLACED: &str = "conf.d/security-config-omsagent.conf";

/// Decides what to add to this syslog-ng, and with `mend` what of the older scripts' damage to undo. `agents`: files of
/// the agent as they will be.
pub fn decide(
    host: &Host,
    facts: &Facts,
    wish: &Wish,
    receipt: Option<&Receipt>,
    mend: bool,
    agents: BTreeMap<PathBuf, Option<Vec<u8>>>,
) -> anyhow::Result<Decided> {
    let main = PathBuf::from(&facts.syslog_ng.main_file);
    let main_file = main.clone();
    let program = program(facts)?;
    let setting = ReadSetting::of(&main, program);
    let replaced = main.parent().unwrap_or(Path::new("/")).join(REPLACED);
    let without = Without::new(&host.root, receipt, std::slice::from_ref(&replaced));
    let damage = repair::repair(&main, &without, &setting);
    let mut changes = agents;
    changes.extend(damage.iter().filter(|_| mend).map(|d| (main.clone(), Some(d.text.clone()))));
    let source = Overlay { base: &without, changes };
    let config = Effective::load_with(&main, &source, setting.clone());
    refuse_broken(host, &config, damage.is_some() && !mend)?;
    let found = Found {
        config: &config,
        source: &source,
        setting: &setting,
        program,
        stack: stack(host, facts),
        counted_port_free: is_free(facts, wish.counted_port),
        work_directory: state_folder(&facts.syslog_ng),
    };
    let mut collector = decide_on(&found, wish).map_err(refused)?;
    let mended = match damage {
        Some(damage) if mend => Some(Mended { file: main, damage }),
        Some(damage) => {
            collector.notes.push(format!("{}; --repair mends that", damage.what));
            None
        }
        None => None,
    };
    let now = Effective::load_with(&main_file, &host.root, setting.clone());
    let restart = must_restart(facts, found.stack, &collector, wish.counted_port)
        || collector.drop_in.as_ref().is_some_and(|(_, text)| clings(facts, &now, text));
    Ok(Decided { collector, replaced, mended, restart, runs_as: None })
}

/// A reload keeps sockets open until their successors are there, so it fails where ours takes the place of one with
/// another address on the same port (tried: `0.0.0.0:514`, then `[::]:514`).
fn must_restart(facts: &Facts, stack: Stack, collector: &Collector, counted_port: u16) -> bool {
    let Ok(net) = &facts.net else { return false };
    let ours = |ip: IpAddr| match stack {
        Stack::V4 => ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Stack::Dual => ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Stack::Split => ip.is_unspecified(),
    };
    let mut ports: Vec<(Transport, u16)> =
        collector.intakes.iter().filter(|i| i.reused.is_none()).map(|i| (i.transport, i.port)).collect();
    if ports.iter().any(|(t, _)| *t == Transport::Tcp) {
        ports.push((Transport::Tcp, counted_port));
    }
    let pid = facts.syslog_ng.pid;
    let theirs = |(transport, port): (Transport, u16)| {
        net.open(transport, port).any(|s| s.owners.iter().any(|o| Some(*o) == pid) && !ours(s.local.ip()))
    };
    // Nor does it change the buffer of a socket that stays.
    let narrow = |s: &Socket| s.owners.iter().any(|o| Some(*o) == pid) && s.recv_buffer.is_some_and(|b| b < NARROW);
    let mut datagrams = ports.iter().filter(|(t, _)| *t == Transport::Udp);
    let narrowed = datagrams.any(|(t, port)| net.open(*t, *port).any(narrow));
    narrowed || ports.into_iter().any(theirs)
}

/// A reload hands the open connection of a destination to its successor of the same persist-name, also where that one has
/// another address: events would go on to a program that has the old one (tried with the port of the agent).
fn clings(facts: &Facts, now: &Effective, drop_in: &[u8]) -> bool {
    let alone = Path::new("/drop-in");
    let then = Effective::load(alone, &MapSource::new().with(alone, drop_in));
    let is_open = |kind: &DestKind| match (kind, &facts.net) {
        (DestKind::Forward(f), Ok(net)) => f.port_number().is_some_and(|port| {
            net.connections_to(port).any(|s| s.owners.iter().any(|o| Some(*o) == facts.syslog_ng.pid))
        }),
        // of a socket for datagrams nothing can be seen
        _ => true,
    };
    let drivers = |config: &Effective| -> Vec<DestDriver> {
        config.destinations.iter().flat_map(|d| &d.drivers).filter(|d| d.persist_name.is_some()).cloned().collect()
    };
    let (old, new) = (drivers(now), drivers(&then));
    old.iter().any(|o| new.iter().any(|n| o.persist_name == n.persist_name && o.kind != n.kind) && is_open(&o.kind))
}

/// Bytes as the kernel counts them, of a socket that was not opened by our listener: it asks for 8 MiB.
const NARROW: u64 = 2 << 20;

pub fn program(facts: &Facts) -> anyhow::Result<&Program> {
    facts.syslog_ng_says.about.as_ref().map_err(|why| {
        anyhow!(crate::cli::exit::hint("syslog-ng --version shows what is wrong"))
            .context(format!("the version of syslog-ng is not known: {why}"))
    })
}

/// Which addresses our listeners take: an IPv6 socket takes IPv4 too unless the kernel is told otherwise, and where there
/// is no IPv6, or the unit forbids it (RestrictAddressFamilies=), it keeps the daemon from starting.
fn stack(host: &Host, facts: &Facts) -> Stack {
    let unit = facts.unit(Daemon::SyslogNg.unit());
    let allowed = unit.is_none_or(|u| u.sandbox.allows("AF_INET6"));
    let only = host.root.read(Path::new("/proc/sys/net/ipv6/bindv6only")).unwrap_or_default();
    match facts.host.ipv6 && allowed {
        false => Stack::V4,
        true if only.trim_ascii() == b"1" => Stack::Split,
        true => Stack::Dual,
    }
}

/// Has nobody but the daemon itself the second port?
fn is_free(facts: &Facts, port: u16) -> bool {
    let Ok(net) = &facts.net else { return true };
    let theirs = |owners: &[u32]| !owners.iter().any(|pid| Some(*pid) == facts.syslog_ng.pid);
    !net.open(Transport::Tcp, port).any(|s| theirs(&s.owners))
}

/// Where the daemon keeps its disk queues.
fn state_folder(daemon: &DaemonFacts) -> PathBuf {
    PathBuf::from(daemon.spools.first().map_or("/var/lib/syslog-ng", |s| &s.path))
}

/// Nothing is added to a configuration that the daemon would not start with. Where our reader finds fault with what the
/// daemon has loaded as it is, the daemon is right.
fn refuse_broken(host: &Host, config: &Effective, mendable: bool) -> anyhow::Result<()> {
    let fatal = lint::fatal(config);
    let Some(problem) = fatal.first() else { return Ok(()) };
    let says = gather::gather(host, &TargetOptions::default(), Depth::Local, None).syslog_ng_says;
    if says.loaded.is_ok_and(|l| l.same) {
        return Ok(());
    }
    let what = clean(&problem.to_string());
    let hint = match mendable {
        true => "this is what the older scripts leave behind: --repair mends it",
        false => "mend that line, see that syslog-ng works (`syslog-ng-ctl reload`), and run the command again",
    };
    Err(said::broken(Daemon::SyslogNg, &what, hint))
}

/// Has syslog-ng check the whole candidate, after our own lint.
pub fn validate(host: &Host, facts: &Facts, changes: BTreeMap<PathBuf, Option<Vec<u8>>>) -> anyhow::Result<()> {
    let main = Path::new(&facts.syslog_ng.main_file);
    let setting = ReadSetting::of(main, program(facts)?);
    let now = Effective::load_with(main, &host.root, setting.clone());
    let source = Overlay { base: &host.root, changes: changes.clone() };
    let then = Effective::load_with(main, &source, setting);
    let known: Vec<String> = lint::fatal(&now).into_iter().map(|p| p.text).collect();
    let new = lint::fatal(&then).into_iter().filter(|p| !known.contains(&p.text));
    let new: Vec<String> = new.map(|p| clean(&p.to_string())).collect();
    if !new.is_empty() {
        return Err(said::not_accepted(Daemon::SyslogNg, &new));
    }
    let program = facts.syslog_ng.program.as_deref().context("syslog-ng is not installed")?;
    let staging = Staging::new(host, Daemon::SyslogNg);
    let laid_out = candidate(&then, &source, &changes, &staging.folder)?;
    let argv = |main: &Path| -> Vec<std::ffi::OsString> {
        [OsStr::new(program), OsStr::new("--syntax-only"), OsStr::new("--cfgfile"), main.as_os_str()]
            .map(OsStr::to_owned)
            .into()
    };
    let words = argv(&laid_out.main);
    let words: Vec<&OsStr> = words.iter().map(|w| w.as_os_str()).collect();
    let output = staging.check(&laid_out.files, &words).context("syslog-ng could not check the new configuration")?;
    let after = Report::read(&output);
    if after.accepted && after.messages.is_empty() {
        return Ok(());
    }
    let before = host.runner.run(&Cmd::new(argv(main))).context("syslog-ng could not check its configuration")?;
    let before = Report::read(&before);
    let shown = |m: &crate::syslog::syslogng::validate::Message| clean(&m.text);
    let new: Vec<String> = after.new_since(&before).into_iter().map(shown).collect();
    match (new.is_empty(), after.accepted) {
        (false, _) => Err(said::not_accepted(Daemon::SyslogNg, &new)),
        (true, true) => Ok(()),
        (true, false) => {
            let errors = after.messages.iter().filter(|m| m.severity == Severity::Error);
            let what = errors.map(shown).next().unwrap_or_else(|| "its check fails".to_owned());
            Err(fail(
                Exit::Problems,
                format!("syslog-ng's configuration is broken already: {what}"),
                "`syslog-ng --syntax-only` names the place; mend it and run the command again",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{DAEMON, add_socket, healthy};
    use crate::syslog::collector::Intake;

    #[test]
    fn a_connection_to_another_address_calls_for_a_restart() {
        let text = |port: u16| {
            format!("destination d_cefctl {{ network(\"127.0.0.1\" port({port}) persist-name(\"cefctl\")); }};\n")
        };
        let main = Path::new("/etc/syslog-ng/syslog-ng.conf");
        let now = Effective::load(main, &MapSource::new().with(main, text(25226)));
        let mut facts = healthy();
        facts.syslog_ng.pid = Some(DAEMON);
        assert!(clings(&facts, &now, text(31000).as_bytes()));
        assert!(!clings(&facts, &now, text(25226).as_bytes()));
        // nobody took the connection: there is none to be handed on
        facts.syslog_ng.pid = Some(9);
        assert!(!clings(&facts, &now, text(31000).as_bytes()));
        let socket = "destination d_cefctl { unix-dgram(\"/run/x\" persist-name(\"cefctl\")); };\n";
        let now = Effective::load(main, &MapSource::new().with(main, socket));
        assert!(clings(&facts, &now, text(31000).as_bytes()));
    }

    #[test]
    fn a_socket_with_another_address_calls_for_a_restart() {
        let mut facts = healthy();
        facts.net.as_mut().unwrap().sockets.clear();
        facts.syslog_ng.pid = Some(9);
        let intake = |transport| Intake {
            transport,
            port: 514,
            tls: false,
            reused: None,
            v4: true,
            v6: true,
            counted: false,
            only_of: None,
        };
        let collector = Collector {
            drop_in: None,
            insertions: Vec::new(),
            intakes: vec![intake(Transport::Udp), intake(Transport::Tcp)],
            notes: Vec::new(),
            work_directory: PathBuf::new(),
        };
        add_socket(&mut facts, Transport::Tcp, "0.0.0.0:514", 4711);
        add_socket(&mut facts, Transport::Udp, "[::]:514", 9);
        assert!(!must_restart(&facts, Stack::Dual, &collector, 601));
        assert!(must_restart(&facts, Stack::V4, &collector, 601));
        assert!(!must_restart(&facts, Stack::Split, &collector, 601));
        add_socket(&mut facts, Transport::Tcp, "0.0.0.0:601", 9);
        assert!(must_restart(&facts, Stack::Dual, &collector, 601));
    }
}
