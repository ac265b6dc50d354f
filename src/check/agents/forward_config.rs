//! What hands events from the daemon to the Azure Monitor Agent: a marker, a port file, a file in the daemon's configuration, a
//! socket. A watcher of the agent's extension keeps them together, and they come apart (facts 3.3, field-failures 1.13).

use super::{ama, dcr, restart, the_ama};
use crate::agent::AgentKind;
use crate::agent::ama::handover::{self, Handover};
use crate::agent::ama::{self as agent, Ama, DaemonFile, files, paths, version};
use crate::check::agent_facts::AmaState;
use crate::check::case::Case;
use crate::check::flow;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::pipeline::Forward;
use crate::check::ports;
use crate::check::target::Daemon;
use crate::host::proc_net::{Socket, Transport};
use crate::report::{Fix, shell_quote};

const WATCHER: &str = "restart the watcher of the agent's extension, which writes these files: it needs half a minute";

/// The daemon that is looked at, as the agent names it.
fn daemon(case: &Case<'_>) -> agent::Daemon {
    match case.target.daemon {
        Daemon::SyslogNg => agent::Daemon::SyslogNg,
        Daemon::Rsyslog | Daemon::None => agent::Daemon::Rsyslog,
    }
}

/// Events go over the unix socket, as with old agents and on SELinux boxes without `semanage`.
pub fn over_socket(case: &Case<'_>) -> bool {
    let ama = case.facts.agent_states.ama.as_ref().filter(|_| case.target.agent == AgentKind::Ama);
    ama.is_some_and(|ama| ama.own.transport(daemon(case)) == agent::Transport::Socket)
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
    for word in [&ama.own.marker, &ama.own.port].into_iter().flatten() {
        word.as_ref()?;
    }
    let there = ama.own.of(daemon(case)).next();
    if !wanted {
        let Some(first) = there else {
            return Err(NotJudged::Blocked(
                "ama.dcr-present",
                "no rule wants syslog, so the agent asks the daemon for nothing".into(),
            ));
        };
        let text =
            format!("no rule wants syslog any more, but {} still hands events to the agent", first.path.display());
        return Ok(watched(ama, Outcome::warn(text)));
    }
    let listening: Vec<u16> = real_ports(case).iter().map(|s| s.local.port()).collect();
    let found = handover::of(&ama.own, daemon(case), &listening);
    if !ama.own.is_told() {
        let fault = "a rule wants syslog, but the agent has not told its watcher so";
        let works = matches!(found, Handover::Tcp(..) | Handover::Socket(_) | Handover::Beside { .. });
        let out = match works {
            true => Outcome::warn(format!("{fault}, and a watcher that looks takes the agent's file away")),
            false => Outcome::fail(format!("{fault}: the daemon hands it nothing")),
        };
        return Ok(watched(ama, out).command(restart(AgentKind::Ama, None)));
    }
    match found {
        Handover::Missing => missing(case, ama),
        Handover::Unread(file, why) => unread(case, ama, file, why),
        Handover::Nothing(file) => {
            let what = if file.damaged { "it is damaged" } else { "it does not forward over TCP to this machine" };
            let what = if file.transport == agent::Transport::Socket { "it hands nothing to its socket" } else { what };
            nothing(case, ama, file, what)
        }
        Handover::Unsaid { file, listens } => Ok(unsaid(case, ama, file, listens)),
        Handover::Stale { file, there, port } => stale(case, ama, file, there, port),
        Handover::Misstated { file, there, port } => {
            // The daemon's file is right for as long as the watcher, which goes by the port file, has not looked.
            let text = format!(
                "the agent says it takes events on port {port}, but listens on {there}: its watcher turns the daemon to the wrong one"
            );
            Ok(stated(case, ama, file, restarted(case, Outcome::fail(text))))
        }
        Handover::Elsewhere { file, port } => {
            let text = format!("the agent says it takes events on port {port}, but listens on another one");
            Ok(stated(case, ama, file, restarted(case, Outcome::fail(text))))
        }
        Handover::DeadSocket { file, port } => Ok(dead_socket(case, ama, file, port)),
        Handover::Beside { tcp, socket, twice } => Ok(beside(case, ama, tcp, socket, twice)),
        Handover::Socket(file) => Ok(by_socket(ama, file)),
        Handover::Tcp(file, port) => by_tcp(case, ama, file, port),
    }
}

fn shown(file: &DaemonFile) -> String {
    file.path.display().to_string()
}

/// With what the watcher goes by.
fn watched(ama: &AmaState, out: Outcome) -> Outcome {
    let marker = match &ama.own.marker {
        None => "not there",
        Some(text) => text.as_deref().unwrap_or("cannot be read"),
    };
    watcher(out.seen(paths::MARKER, marker).seen_all(ama.own.files.iter().map(|f| (shown(f), "there"))))
}

/// The forward that the daemon reads from a file of the agent's.
fn read_from(case: &Case<'_>, file: &DaemonFile) -> Result<Option<Forward>, NotJudged> {
    Ok(case.config()?.forwards().into_iter().find(|f| *f.at.file == *file.path))
}

fn missing(case: &Case<'_>, ama: &AmaState) -> Judged {
    let missing = "the agent's file is missing from the daemon's configuration";
    if let Some(out) = spared(case, missing)? {
        return Ok(watched(ama, out).fixable_if(placeable(ama, case)));
    }
    let foreign = ama.own.files.first().map(|f| (shown(f), "belongs to the other daemon"));
    let known = ama::number(ama).is_some_and(|v| v.is(&[1, 40]) || v.is(&[1, 41]));
    let why = known.then_some(("version", "1.40 and 1.41 do not write the file again after a change of rules"));
    let out = Outcome::fail(format!("{missing}: no event is handed to the agent"));
    Ok(watched(ama, out.seen_all(foreign).seen_all(why)).fixable_if(placeable(ama, case)))
}

fn unread(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, why: &str) -> Judged {
    let fault = format!("the daemon cannot read the agent's file {}: {why}", shown(file));
    let out = spared(case, &fault)?.unwrap_or_else(|| Outcome::fail(fault));
    let place = shell_quote(&shown(file));
    Ok(watched(ama, out.command(format!("sudo mv {place} /root/  # what lies there is not the agent's"))))
}

fn nothing(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, what: &str) -> Judged {
    let fault = format!("{} does not hand events to the agent: {what}", shown(file));
    let out = spared(case, &fault)?.unwrap_or_else(|| Outcome::fail(fault));
    let read = read_from(case, file)?.map(|f| (f.at.to_string(), f.describe()));
    let found = read.unwrap_or_else(|| (shown(file), what.to_owned()));
    Ok(watcher(out.seen(found.0, found.1))
        .command(format!("# first: sudo rm {}", shell_quote(&shown(file))))
        .fixable_if(placeable(ama, case)))
}

/// With the port file, what the daemon does, and what the agent has.
fn stated(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, out: Outcome) -> Outcome {
    let port = match &ama.own.port {
        None => "not there",
        Some(text) => text.as_deref().ok().filter(|t| !t.is_empty()).unwrap_or("empty"),
    };
    let read = read_from(case, file).ok().flatten();
    out.seen(paths::PORT_FILE, port)
        .seen_all(read.map(|f| (f.at.to_string(), f.describe())))
        .seen_all(real_ports(case).iter().map(|s| (s.display(), "the agent's own")))
}

fn restarted(case: &Case<'_>, out: Outcome) -> Outcome {
    out.advise("restart the agent: it writes the port it has into the file when it starts")
        .command(restart(AgentKind::Ama, None))
        .fix_all(crate::check::agent::unit(case).map(Fix::Restart))
}

fn unsaid(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, listens: bool) -> Outcome {
    let fault = "the agent does not say on which port it takes events";
    let out = match (listens, file.port) {
        (true, Some(port)) => Outcome::warn(format!(
            "{fault}; it is {port}, where the daemon sends them, as long as nothing is restarted"
        )),
        _ => Outcome::fail(fault),
    };
    stated(case, ama, file, restarted(case, out))
}

fn stale(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, there: u16, port: u16) -> Judged {
    let fault = format!("the daemon sends to port {there}, but the agent takes events on {port}");
    let out = spared(case, &fault)?.unwrap_or_else(|| Outcome::fail(fault));
    Ok(watcher(stated(case, ama, file, out))
        .command(format!(
            "# or by hand: sudo sed -i 's/{there}/{port}/' {} && sudo systemctl restart {}",
            shell_quote(&shown(file)),
            case.unit_name()
        ))
        .fixable())
}

/// A fault of the agent's own file where another rule brings what devices send to the agent all the same: ours for
/// syslog-ng, or one made by hand.
fn spared(case: &Case<'_>, fault: &str) -> Result<Option<Outcome>, NotJudged> {
    let own = |f: &Forward| files::is_own(&f.at.file);
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
    let Ama { port, socket, .. } = &ama.own;
    (ama.own.port_number().is_some() || port.is_none() && socket.bound == Some(true)) && case.facts.host.live
}

fn watcher(out: Outcome) -> Outcome {
    out.advise(WATCHER)
        .command("cd /var/lib/waagent/Microsoft.Azure.Monitor.AzureMonitorLinuxAgent-*/ && sudo ./shim.sh -disable && sudo ./shim.sh -enable")
}

fn dead_socket(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, port: Option<u16>) -> Outcome {
    let there = if ama.own.socket.exists { "there, but no process has it" } else { "not there" };
    let seen = |out: Outcome| out.seen(shown(file), "hands events to the unix socket").seen(paths::SOCKET, there);
    let fault = "the daemon hands events to a unix socket on which nobody listens";
    match port {
        Some(port) => watcher(
            seen(Outcome::fail(format!("{fault}: the agent takes them on port {port}")))
                .seen(paths::PORT_FILE, port.to_string()),
        )
        .fixable_if(placeable(ama, case)),
        None if case.facts.host.live => seen(Outcome::fail(fault))
            .advise("restart the agent")
            .command(restart(AgentKind::Ama, None))
            .fix_all(crate::check::agent::unit(case).map(Fix::Restart)),
        None => by_socket(ama, file),
    }
}

fn beside(case: &Case<'_>, ama: &AmaState, tcp: &DaemonFile, socket: &DaemonFile, twice: bool) -> Outcome {
    let text = match twice {
        true => "the agent's own files hand events to it twice: over TCP and over the unix socket".to_owned(),
        false => format!(
            "{} is left of the time when the agent took events over its unix socket: it serves nobody",
            shown(socket)
        ),
    };
    watched(ama, Outcome::warn(text).seen(shown(tcp), "TCP").seen(shown(socket), "unix socket"))
        .command(format!("# the old way, after a look into it: sudo rm {}", shell_quote(&shown(socket))))
        .fixable_if(case.facts.host.live)
}

fn by_socket(ama: &AmaState, file: &DaemonFile) -> Outcome {
    let seen = |out: Outcome| out.seen(shown(file), "hands events to the unix socket");
    let modern = ama::number(ama).is_some_and(|v| v.is_at_least(&version::TCP));
    match (modern, ama.own.port_number()) {
        (true, Some(port)) => watcher(
            seen(Outcome::warn("events go over the unix socket although this agent takes them over TCP: under load the socket loses them"))
                .seen(paths::PORT_FILE, port.to_string()),
        )
        .command("# SELinux without semanage has this effect: install policycoreutils-python-utils first"),
        _ => seen(Outcome::pass("the daemon hands events to the agent's unix socket")).seen(paths::SOCKET, "in use"),
    }
}

fn by_tcp(case: &Case<'_>, ama: &AmaState, file: &DaemonFile, port: u16) -> Judged {
    let Some(forward) = read_from(case, file)? else {
        return nothing(case, ama, file, "the daemon reads no forward from it");
    };
    Ok(Outcome::pass(format!("marker, port file and {} agree on port {port}", shown(file)))
        .seen(forward.at.to_string(), forward.describe())
        .seen(paths::PORT_FILE, port.to_string()))
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
