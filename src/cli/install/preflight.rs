//! What must be true before anything is touched. Pure: facts in, reasons to refuse out, all of them at once.

use crate::check::facts::{Facts, Spool};
use crate::host::proc_net::Transport;
use crate::platform::access::{self, Who};

/// Free bytes the spool must have; below, the first outage of the agent already loses events.
const MIN_SPOOL: u64 = 64 << 20;

/// A reason not to begin, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub what: String,
    pub hint: String,
}

fn refusal(what: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { what: what.into(), hint: hint.into() }
}

/// Everything that stands in the way, in the order of the hops.
pub fn refusals(facts: &Facts, port: u16, transports: &[Transport]) -> Vec<Refusal> {
    let mut found = Vec::new();
    found.extend(daemon(facts));
    if found.is_empty() {
        found.extend(transports.iter().filter_map(|t| port_owner(facts, port, *t)));
        found.extend(facts.rsyslog.spools.iter().find_map(|dir| spool(facts, dir)));
    }
    found
}

fn daemon(facts: &Facts) -> Option<Refusal> {
    let unit = facts.unit("rsyslog.service");
    if facts.rsyslog.program.is_none() {
        let other = match &facts.syslog_ng.program {
            Some(program) => format!("this box has syslog-ng ({program}), which this version cannot configure yet"),
            None => "rsyslog is not installed on this box".to_owned(),
        };
        return Some(refusal(other, install_hint(facts)));
    }
    if facts.unit("syslog-ng.service").is_some_and(|u| u.state.is_active()) && facts.rsyslog.pid.is_none() {
        return Some(refusal(
            "rsyslog is installed, but syslog-ng is what runs here, which this version cannot configure yet",
            "stop syslog-ng and start rsyslog if rsyslog shall be the collector",
        ));
    }
    match unit {
        Some(u) if u.state.is_masked() => {
            Some(refusal("rsyslog.service is masked", "systemctl unmask rsyslog && systemctl enable --now rsyslog"))
        }
        Some(u) if !u.state.is_active() || facts.rsyslog.pid.is_none() => Some(refusal(
            format!("rsyslog is not running (rsyslog.service is {})", u.state.sub),
            "start it and run the command again: systemctl start rsyslog; if it does not start: journalctl -u rsyslog -n 50",
        )),
        None if facts.rsyslog.pid.is_none() => {
            Some(refusal("rsyslog is not running", "start rsyslogd and run the command again"))
        }
        _ => None,
    }
}

fn install_hint(facts: &Facts) -> String {
    let ids = facts.host.os.as_ref().map(|os| format!("{} {}", os.id, os.id_like.join(" "))).unwrap_or_default();
    let command = match () {
        _ if ids.contains("debian") || ids.contains("ubuntu") => "apt-get install rsyslog",
        _ if ids.contains("suse") => "zypper install rsyslog",
        _ => "dnf install rsyslog",
    };
    format!("install it and run the command again: {command}")
}

/// Somebody else on the port: our listener would fail, or get nothing.
fn port_owner(facts: &Facts, port: u16, transport: Transport) -> Option<Refusal> {
    let net = facts.net.as_ref().ok()?;
    let taken = net.open(transport, port).find(|s| {
        !s.local.ip().is_loopback()
            && !s.owners.iter().any(|pid| Some(*pid) == facts.rsyslog.pid)
            && !s.owners.is_empty()
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
        "stop that program, or choose another port with --port and have the devices send there",
    ))
}

/// The folder that the queue spills into must take the events of an outage.
fn spool(facts: &Facts, dir: &Spool) -> Option<Refusal> {
    let last = dir.walk.last();
    if last.is_none_or(|step| step.path != dir.real) {
        // it is not there: installing makes it
        return None;
    }
    let who = facts.daemon_process().map(|p| Who {
        uid: p.uid,
        gid: p.gid,
        groups: p.groups.clone(),
        capabilities: p.cap_effective,
    });
    if let Some(who) = who
        && let Err(denied) = access::may(&who, &dir.walk, access::WRITE | access::SEARCH)
    {
        return Some(refusal(
            format!("rsyslog (user {}) cannot write into its work directory {}: {}", who.uid, dir.path, denied.why),
            format!("give it to that user: chown {}:{} {}", who.uid, who.gid, dir.path),
        ));
    }
    let space = dir.space.as_ref()?;
    if space.read_only {
        return Some(refusal(
            format!("{} is on a file system mounted read-only", dir.path),
            "mount it read-write, or set another workDirectory in rsyslog's configuration",
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
    use crate::check::fixture::{add_socket, healthy};

    fn whats(facts: &Facts) -> Vec<String> {
        refusals(facts, 514, &[Transport::Udp, Transport::Tcp]).into_iter().map(|r| r.what).collect()
    }

    #[test]
    fn a_running_daemon_is_fine() {
        assert_eq!(whats(&healthy()), Vec::<String>::new());
    }

    #[test]
    fn no_daemon_another_daemon_stopped_daemon() {
        assert!(whats(&Facts::default())[0].contains("not installed"));
        let mut other = Facts::default();
        other.syslog_ng.program = Some("/usr/sbin/syslog-ng".into());
        assert!(whats(&other)[0].contains("syslog-ng"));
        let mut stopped = healthy();
        stopped.rsyslog.pid = None;
        assert!(whats(&stopped)[0].contains("not running"));
    }

    #[test]
    fn somebody_else_on_the_port_is_named_and_loopback_is_not_the_port() {
        let mut taken = healthy();
        taken.net.as_mut().unwrap().sockets.clear();
        add_socket(&mut taken, Transport::Tcp, "127.0.0.1:514", 4711);
        assert_eq!(whats(&taken), Vec::<String>::new());
        add_socket(&mut taken, Transport::Tcp, "0.0.0.0:514", 4711);
        assert_eq!(whats(&taken), ["TCP port 514 is taken by process 4711"]);
    }
}
