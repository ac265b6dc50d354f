//! What must be true before anything is touched. Pure: facts in, reasons to refuse out, all of them at once.

use super::daemon::{Daemon, install_hint};
use crate::check::facts::{Facts, Spool};
use crate::check::sandbox;
use crate::host::proc_net::Transport;
use crate::platform::access::{self, Who};
use crate::syslog::collector::{Refusal, Wish};

/// Free bytes the spool must have; below, the first outage of the agent already loses events.
const MIN_SPOOL: u64 = 64 << 20;

pub fn refusal(what: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal::new(what, hint)
}

/// Is the daemon there at all?
pub fn installed(facts: &Facts, daemon: Daemon) -> Result<(), Refusal> {
    match daemon.facts(facts).program {
        Some(_) => Ok(()),
        None => Err(refusal(format!("{} is not installed on this box", daemon.name()), install_hint(facts, daemon))),
    }
}

/// May it be started as what it is, where it does not run? Nobody starts what somebody has forbidden, or has started
/// otherwise.
pub fn may_run(facts: &Facts, daemon: Daemon) -> Result<(), Refusal> {
    let (name, unit) = (daemon.name(), daemon.unit());
    let Some(state) = facts.unit(unit).map(|u| &u.state) else { return Ok(()) };
    if state.is_masked() {
        return Err(refusal(
            format!("{unit} is masked: somebody has forbidden {name} to start"),
            format!("if it shall run here, allow it and run the command again: systemctl unmask {name}"),
        ));
    }
    match daemon.facts(facts).pid {
        Some(pid) if !state.is_active() && !state.is_coming_up() => Err(refusal(
            format!("{name} runs (process {pid}), but not as {unit}: systemd neither watches nor restarts it"),
            format!("end that process and run the command again, which starts the unit: kill {pid}"),
        )),
        _ => Ok(()),
    }
}

/// Everything that stands in the way of our listeners and our queue, in the order of the hops.
pub fn in_the_way(facts: &Facts, daemon: Daemon, wish: &Wish) -> Vec<Refusal> {
    let plain = wish.transports.iter().map(|t| (wish.port, *t, "--port"));
    let ports = plain.chain(wish.tls.iter().map(|t| (t.port, Transport::Tcp, "--tls-port")));
    let mut found: Vec<Refusal> = ports.filter_map(|of| port_owner(facts, daemon, of)).collect();
    found.extend(own_network(facts, daemon));
    found.extend(daemon.facts(facts).spools.iter().find_map(|dir| spool(facts, daemon, dir)));
    found
}

/// A daemon in another network would open its ports where no device reaches them, and not find the agent.
fn own_network(facts: &Facts, daemon: Daemon) -> Option<Refusal> {
    let found = sandbox::elsewhere(facts, daemon.facts(facts), daemon.unit())?;
    Some(refusal(
        format!("{} gives {} a network of its own: no device could reach it", found.cause, daemon.name()),
        format!("{}, and run the command again: {}", found.advice, found.commands.join("; ")),
    ))
}

/// Somebody else on the port: our listener would fail, or get nothing.
fn port_owner(facts: &Facts, daemon: Daemon, (port, transport, option): (u16, Transport, &str)) -> Option<Refusal> {
    let net = facts.net.as_ref().ok()?;
    // rsyslog binds each address family for itself and goes on without one; syslog-ng does not start.
    let harmless = |ip: std::net::IpAddr| daemon == Daemon::Rsyslog && ip.is_loopback();
    let pid = daemon.facts(facts).pid;
    let taken = net.open(transport, port).find(|s| {
        !harmless(s.local.ip()) && !s.owners.iter().any(|owner| Some(*owner) == pid) && !s.owners.is_empty()
    })?;
    let names: Vec<String> = taken
        .owners
        .iter()
        .map(|pid| match facts.process(*pid) {
            Some(process) => format!("{} (process {pid})", crate::report::clean(&process.comm)),
            None => format!("process {pid}"),
        })
        .collect();
    Some(refusal(
        format!("{} port {port} is taken by {}", transport.word().to_uppercase(), names.join(", ")),
        format!("stop that program, or choose another port with {option} and have the devices send there"),
    ))
}

/// The folder that the queue spills into must take the events of an outage.
fn spool(facts: &Facts, daemon: Daemon, dir: &Spool) -> Option<Refusal> {
    let last = dir.walk.last();
    if last.is_none_or(|step| step.path != dir.real) {
        // it is not there: installing makes it
        return None;
    }
    let process = daemon.facts(facts).pid.and_then(|pid| facts.process(pid));
    let who = process.map(|p| Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective });
    if let Some(who) = who
        && let Err(denied) = access::may(&who, &dir.walk, access::WRITE | access::SEARCH)
    {
        return Some(refusal(
            format!(
                "{} (user {}) cannot write into its work directory {}: {}",
                daemon.name(),
                who.uid,
                dir.path,
                denied.why
            ),
            format!("give it to that user: chown {}:{} {}", who.uid, who.gid, dir.path),
        ));
    }
    let space = dir.space.as_ref()?;
    if space.read_only {
        return Some(refusal(
            format!("{} is on a file system mounted read-only", dir.path),
            "mount it read-write, or have the daemon keep its queues elsewhere",
        ));
    }
    (space.available < MIN_SPOOL).then(|| {
        refusal(
            format!(
                "{} has {} MB free: events could not be kept while the agent is away",
                dir.path,
                space.available >> 20
            ),
            format!("make room: df -h {}; at least {} MB", dir.path, MIN_SPOOL >> 20),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentKind, AgentTarget};
    use crate::check::fixture::{add_socket, healthy};
    use crate::platform::service::Active;
    use crate::syslog::collector::LocalCopy;

    fn whats(facts: &Facts, daemon: Daemon) -> Vec<String> {
        let wish = Wish {
            port: 514,
            transports: vec![Transport::Udp, Transport::Tcp],
            tls: None,
            agent: AgentTarget { kind: AgentKind::None, port: 25226 },
            azure: None,
            local_copy: LocalCopy::Auto,
            rewrite_ids: false,
            octet_counting: true,
            counted_port: 601,
            queue_disk: 64,
            hand_over: false,
            receipt: "/r".into(),
        };
        let first = installed(facts, daemon).and_then(|()| may_run(facts, daemon)).err();
        first.into_iter().chain(in_the_way(facts, daemon, &wish)).map(|r| r.what).collect()
    }

    #[test]
    fn a_running_daemon_is_fine() {
        assert_eq!(whats(&healthy(), Daemon::Rsyslog), Vec::<String>::new());
    }

    #[test]
    fn no_daemon_stopped_daemon() {
        assert!(whats(&Facts::default(), Daemon::Rsyslog)[0].contains("rsyslog is not installed"));
        assert!(whats(&Facts::default(), Daemon::SyslogNg)[0].contains("syslog-ng is not installed"));
        let mut stopped = healthy();
        stopped.rsyslog.pid = None;
        stopped.net.as_mut().unwrap().sockets.clear();
        let unit = stopped.units.as_mut().unwrap().get_mut("rsyslog.service").unwrap();
        (unit.state.active, unit.state.sub) = (Active::Inactive, "dead".into());
        // It is started.
        assert_eq!(whats(&stopped, Daemon::Rsyslog), Vec::<String>::new());
        let mut by_hand = stopped.clone();
        by_hand.rsyslog.pid = Some(12);
        assert!(whats(&by_hand, Daemon::Rsyslog)[0].contains("not as rsyslog.service"));
        stopped.units.as_mut().unwrap().get_mut("rsyslog.service").unwrap().state.load = "masked".into();
        assert!(whats(&stopped, Daemon::Rsyslog)[0].contains("masked"));
    }

    #[test]
    fn somebody_else_on_the_port_is_named() {
        let mut taken = healthy();
        taken.net.as_mut().unwrap().sockets.clear();
        add_socket(&mut taken, Transport::Tcp, "127.0.0.1:514", 4711);
        // Loopback is not the port that devices send to, but syslog-ng's one socket cannot be opened beside it.
        assert_eq!(whats(&taken, Daemon::Rsyslog), Vec::<String>::new());
        taken.syslog_ng = crate::check::facts::DaemonFacts { pid: Some(9), ..taken.rsyslog.clone() };
        assert_eq!(whats(&taken, Daemon::SyslogNg), ["TCP port 514 is taken by process 4711"]);
        add_socket(&mut taken, Transport::Tcp, "0.0.0.0:514", 4711);
        assert_eq!(whats(&taken, Daemon::Rsyslog), ["TCP port 514 is taken by process 4711"]);
    }
}
