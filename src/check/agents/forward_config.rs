//! What hands events from the daemon to the Azure Monitor Agent: a marker, a port file, a file in the daemon's configuration, a
//! socket. A watcher of the agent's extension keeps them together, and they come apart (facts 3.3, field-failures 1.13).

use std::path::Path;

use super::{ama, dcr, restart, the_ama};
use crate::agent::AgentKind;
use crate::agent::ama::files::{self, Place};
use crate::agent::ama::{paths, version};
use crate::check::agent_facts::AmaState;
use crate::check::case::Case;
use crate::check::flow;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::pipeline::Forward;
use crate::check::ports;
use crate::check::target::Daemon;
use crate::host::proc_net::{Socket, Transport};
use crate::report::Fix;

const WATCHER: &str = "restart the watcher of the agent's extension, which writes these files: it needs half a minute";

/// The agent's files in the configuration of the daemon that is looked at.
fn own_files<'a>(case: &'a Case<'_>, ama: &'a AmaState) -> impl Iterator<Item = Place> + 'a {
    let daemon = match case.target.daemon {
        Daemon::SyslogNg => files::Daemon::SyslogNg,
        Daemon::Rsyslog | Daemon::None => files::Daemon::Rsyslog,
    };
    let there = |path: &str| ama.daemon_files.iter().any(|f| f == path);
    files::PLACES.into_iter().filter(move |f| f.daemon == daemon && there(f.path))
}

/// Events go over the unix socket, as with old agents and on SELinux boxes without `semanage`.
pub fn over_socket(case: &Case<'_>) -> bool {
    let Some(ama) = case.facts.agent_states.ama.as_ref().filter(|_| case.target.agent == AgentKind::Ama) else {
        return false;
    };
    let there = own_files(case, ama).map(|f| f.transport);
    files::transport(there, ama.port.is_some(), ama.socket.exists) == files::Transport::Socket
}

/// For the checks of the way over TCP.
///
/// # Errors
/// Events go another way.
pub fn over_tcp(case: &Case<'_>) -> Result<(), NotJudged> {
    match over_socket(case) {
        true => Err(NotJudged::Skip("events go to the agent over its unix socket: see ama.forward-config".into())),
        false => Ok(()),
    }
}

pub fn config(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    if case.target.daemon == Daemon::None {
        return Err(NotJudged::Blocked("daemon.present", "there is no daemon to hand events over".into()));
    }
    let wanted = dcr::wants_syslog(ama)?;
    let there: Vec<Place> = own_files(case, ama).collect();
    let marker = match &ama.marker {
        None => "not there".to_owned(),
        Some(text) => text.as_ref()?.clone(),
    };
    let watch = |out: Outcome| {
        watcher(out.seen(paths::MARKER, &marker).seen_all(ama.daemon_files.iter().map(|f| (f.as_str(), "there"))))
    };
    if !wanted {
        let Some(first) = there.first() else {
            return Err(NotJudged::Blocked(
                "ama.dcr-present",
                "no rule wants syslog, so the agent asks the daemon for nothing".into(),
            ));
        };
        return Ok(watch(Outcome::warn(format!(
            "no rule wants syslog any more, but {} still hands events to the agent",
            first.path
        ))));
    }
    if marker != "true" {
        return Ok(watch(Outcome::fail(
            "a rule wants syslog, but the agent has not told its watcher so: the daemon hands it nothing",
        ))
        .command(restart(AgentKind::Ama, None)));
    }
    let (socket, tcp): (Vec<&Place>, Vec<&Place>) = there.iter().partition(|f| f.transport == files::Transport::Socket);
    match (tcp.first(), socket.first()) {
        (None, None) => {
            let missing = "the agent's file is missing from the daemon's configuration";
            if let Some(out) = spared(case, missing)? {
                return Ok(watch(out).fixable_if(placeable(ama, case)));
            }
            let foreign = ama.daemon_files.first().map(|f| (f.as_str(), "belongs to the other daemon"));
            let known = ama::number(ama).is_some_and(|v| v.is(&[1, 40]) || v.is(&[1, 41]));
            let why = known.then_some(("version", "1.40 and 1.41 do not write the file again after a change of rules"));
            let out = Outcome::fail(format!("{missing}: no event is handed to the agent"));
            Ok(watch(out.seen_all(foreign).seen_all(why)).fixable_if(placeable(ama, case)))
        }
        (Some(tcp), Some(socket)) => Ok(watch(
            Outcome::warn("the agent's own files hand events to it twice: over TCP and over the unix socket")
                .seen(tcp.path, "TCP")
                .seen(socket.path, "unix socket"),
        )
        .command(format!("# the old way, after a look into it: sudo rm {}", socket.path))),
        (None, Some(file)) => Ok(by_socket(case, ama, file)),
        (Some(file), None) => by_tcp(case, ama, file),
    }
}

/// A fault of the agent's own file where another rule brings what devices send to the agent all the same: ours for
/// syslog-ng, or one made by hand.
fn spared(case: &Case<'_>, fault: &str) -> Result<Option<Outcome>, NotJudged> {
    let own = |f: &Forward| files::PLACES.iter().any(|p| Path::new(p.path) == &*f.at.file);
    let there = |f: &Forward| match over_socket(case) {
        true => f.target == paths::SOCKET,
        false => flow::is_right(case.target, f),
    };
    let forwards = case.config()?.forwards();
    let Some(other) = forwards.iter().find(|f| f.enabled && there(f) && !own(f)) else { return Ok(None) };
    let rest = match case.is_own(&other.at.file) {
        true => "what devices send comes to the agent all the same, this machine's own messages do not",
        false => "another rule takes its place",
    };
    Ok(Some(Outcome::warn(format!("{fault}; {rest}")).seen(other.at.to_string(), other.describe())))
}

/// Where the port is known, `install` puts the agent's own template in place if its watcher does not.
pub fn placeable(ama: &AmaState, case: &Case<'_>) -> bool {
    let port = ama.port.as_ref().and_then(|p| p.as_ref().ok()).is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    let socket = ama.port.is_none() && ama.socket.bound == Some(true);
    (port || socket) && case.facts.host.live
}

fn watcher(out: Outcome) -> Outcome {
    out.advise(WATCHER)
        .command("cd /var/lib/waagent/Microsoft.Azure.Monitor.AzureMonitorLinuxAgent-*/ && sudo ./shim.sh -disable && sudo ./shim.sh -enable")
}

fn by_socket(case: &Case<'_>, ama: &AmaState, file: &Place) -> Outcome {
    let seen = |out: Outcome| out.seen(file.path, "hands events to the unix socket");
    if case.facts.host.live && (!ama.socket.exists || ama.socket.bound == Some(false)) {
        let text = if ama.socket.exists { "there, but no process has it" } else { "not there" };
        return seen(Outcome::fail("the daemon hands events to a unix socket on which nobody listens"))
            .seen(paths::SOCKET, text)
            .advise("restart the agent")
            .command(restart(AgentKind::Ama, None))
            .fix_all(crate::check::agent::unit(case).map(Fix::Restart));
    }
    let modern = ama::number(ama).is_some_and(|v| v.is_at_least(&version::TCP));
    let port = ama.port.as_ref().and_then(|p| p.as_ref().ok()).filter(|p| !p.is_empty());
    match (modern, port) {
        (true, Some(port)) => watcher(
            seen(Outcome::warn("events go over the unix socket although this agent takes them over TCP: under load the socket loses them"))
                .seen(paths::PORT_FILE, port),
        )
        .command("# SELinux without semanage has this effect: install policycoreutils-python-utils first"),
        _ => seen(Outcome::pass("the daemon hands events to the agent's unix socket")).seen(paths::SOCKET, "in use"),
    }
}

fn by_tcp(case: &Case<'_>, ama: &AmaState, file: &Place) -> Judged {
    let text = match &ama.port {
        None => None,
        Some(text) => Some(text.as_ref()?.as_str()),
    };
    let stated = text.and_then(|t| t.parse::<u16>().ok()).filter(|p| *p != 0);
    let shown = || match text {
        None => "not there".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => text.to_owned(),
    };
    let forwards = case.config()?.forwards();
    let own: Vec<&Forward> = forwards.iter().filter(|f| f.at.file.as_os_str() == file.path).collect();
    let real = real_ports(case);
    let sockets = || real.iter().map(|s| (s.display(), "the agent's own"));
    let Some(forward) = own.iter().find(|f| f.loopback && f.transport == Some(Transport::Tcp)) else {
        let found = own.iter().map(|f| (f.at.to_string(), f.describe()));
        let text = if own.is_empty() {
            "the daemon reads no forward from it"
        } else {
            "it does not forward over TCP to this machine"
        };
        let fault = format!("{} does not hand events to the agent: {text}", file.path);
        let out = spared(case, &fault)?.unwrap_or_else(|| Outcome::fail(fault));
        return Ok(watcher(out.seen(file.path, text).seen_all(found))
            .command(format!("# first: sudo rm {}", file.path))
            .fixable_if(own.is_empty() && placeable(ama, case)));
    };
    let at = forward.at.to_string();
    let Some(stated) = stated else {
        let out = Outcome::fail("the agent does not say on which port it takes events")
            .seen(paths::PORT_FILE, shown())
            .seen(at, forward.describe())
            .seen_all(sockets());
        return Ok(out
            .advise("restart the agent: it writes the file when it starts")
            .command(restart(AgentKind::Ama, None))
            .fix_all(crate::check::agent::unit(case).map(Fix::Restart)));
    };
    if forward.number != Some(stated) {
        let fault = format!("the daemon sends to port {}, but the agent takes events on {stated}", forward.port);
        let out = spared(case, &fault)?.unwrap_or_else(|| Outcome::fail(fault));
        let out = out.seen(at, forward.describe()).seen(paths::PORT_FILE, shown()).seen_all(sockets());
        return Ok(watcher(out)
            .command(format!(
                "# or by hand: sudo sed -i 's/{}/{stated}/' {} && sudo systemctl restart {}",
                forward.port,
                file.path,
                case.unit_name()
            ))
            .fixable());
    }
    if !real.is_empty() && !real.iter().any(|s| s.local.port() == stated) {
        let out = Outcome::fail(format!("the agent says it takes events on port {stated}, but listens on another one"))
            .seen(paths::PORT_FILE, shown())
            .seen(at, forward.describe())
            .seen_all(sockets());
        return Ok(out
            .advise("restart the agent: it writes the port it has into the file")
            .command(restart(AgentKind::Ama, None))
            .fix_all(crate::check::agent::unit(case).map(Fix::Restart)));
    }
    Ok(Outcome::pass(format!("marker, port file and {} agree on port {stated}", file.path))
        .seen(at, forward.describe())
        .seen(paths::PORT_FILE, shown()))
}

/// Ports of loopback on which the agent's own process listens, but for those of its other parts (facts 3.2).
fn real_ports<'a>(case: &'a Case<'_>) -> Vec<&'a Socket> {
    const OTHERS: [u16; 3] = [13000, 13005, 28230];
    let Ok(net) = ports::net(case) else { return Vec::new() };
    let own = |s: &&Socket| {
        s.owners.iter().filter_map(|p| case.facts.process(*p)).any(|p| super::is_agent(AgentKind::Ama, p))
    };
    let tcp = net
        .sockets
        .iter()
        .filter(|s| s.transport == Transport::Tcp && s.is_open() && !OTHERS.contains(&s.local.port()));
    tcp.filter(|s| s.local.ip().is_loopback() || s.local.ip().is_unspecified()).filter(own).collect()
}
