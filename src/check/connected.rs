//! Judgement on the connection from the daemon to the agent: there, and is what goes through it taken?

use super::agents::forward_config::over_tcp;
use super::case::Case;
use super::facts::{NetFacts, ProbeFacts};
use super::flow::Flow;
use super::forward::needs_a_rule;
use super::outcome::{Judged, Outcome};
use super::ports;
use super::spool::{MIB, last_word, waiting};
use super::target::Daemon;
use super::words;
use crate::host::proc_net::{Socket, Transport};
use crate::host::proc_process::Process;

pub fn connected(case: &Case<'_>) -> Judged {
    let net = ports::net(case)?;
    over_tcp(case)?;
    let flow = case.flow()?;
    needs_a_rule(flow)?;
    super::listen::blocked_elsewhere(case)?;
    let port = case.target.agent_port;
    let pid = case.daemon_pid();
    let all: Vec<&Socket> = net.connections_to(port).collect();
    if all.iter().any(|s| s.owners.is_empty()) && !net.owners_complete {
        return Err(format!("there are connections to port {port}, but whose they are can only be seen as root").into());
    }
    let own: Vec<&Socket> = all.into_iter().filter(|s| pid.is_some_and(|p| s.owners.contains(&p))).collect();
    let waiting = waiting(case, flow);
    let shown = waiting.shown().map(|text| ("queue".to_owned(), text));
    let stuck = own.iter().map(|s| s.send_queue).sum::<u64>();
    let lines =
        || own.iter().map(|s| (s.display(), format!("to {}, {} not yet taken", s.remote, words::bytes(s.send_queue))));
    if !own.is_empty() {
        // What the agent does not take piles up in the socket first, then in the queue.
        if stuck > MIB && waiting.is_much() {
            return Ok(Outcome::warn(format!(
                "the agent takes events too slowly: {}",
                waiting.shown().unwrap_or_default()
            ))
            .seen_all(lines())
            .seen_all(shown)
            .advise("look at the agent's load and log; the queue drains by itself once it keeps up"));
        }
        if let Some(out) = not_read(case, net, &own).filter(|_| !waiting.is_some()) {
            return Ok(out.seen_all(lines()));
        }
        return Ok(Outcome::pass(format!("the daemon is connected to port {port}")).seen_all(lines()).seen_all(shown));
    }
    if let Some(out) = no_connection(case, net, flow) {
        return Ok(out.seen_all(shown));
    }
    // syslog-ng connects when it starts, not with the first event.
    let always = case.target.daemon == Daemon::SyslogNg;
    let last = last_word(case);
    if waiting.is_some() || last.is_some() || always {
        let again = match flow.good_carriers().first().and_then(|f| f.retry) {
            Some(seconds) => format!("it tries again every {seconds} s by itself; a restart makes it try at once"),
            None => "it tries again by itself; a restart makes it try at once".into(),
        };
        return Ok(Outcome::warn(format!(
            "the daemon is not connected to port {port} although somebody listens there"
        ))
        .seen_all(last.map(|l| (l.source.as_str(), l.text.as_str())))
        .seen_all(shown)
        .advise(again)
        .command(format!("sudo systemctl restart {}", case.unit_name()))
        .fix(case.restart()));
    }
    Ok(Outcome::pass(format!("no connection to port {port} yet: the daemon makes it with the first event")))
}

/// A test event that came to the daemon's port, and that the daemon has not handed on in that many milliseconds.
fn undelivered(case: &Case<'_>) -> Option<u64> {
    let all = || case.facts.probe.values().chain(case.facts.tls_probe.as_ref().map(|p| &p.probe));
    let lost = |p: &&ProbeFacts| p.arrived.is_none() && p.send_error.is_none() && p.blind.is_none();
    let seen = |p: &&ProbeFacts| p.seen_at_listener != Some(false);
    all().filter(lost).filter(seen).map(|p| p.took_ms).max()
}

/// Who has the agent's port.
fn holder<'a>(case: &'a Case<'_>, net: &NetFacts) -> Option<&'a Process> {
    let socket = net.open(Transport::Tcp, case.target.agent_port).next()?;
    socket.owners.iter().find_map(|pid| case.facts.process(*pid))
}

/// The daemon is connected and hands events over, and nobody reads them.
fn not_read(case: &Case<'_>, net: &NetFacts, own: &[&Socket]) -> Option<Outcome> {
    let port = case.target.agent_port;
    let refused = net.not_accepted(port) > 0 && !case.facts.probe.is_empty();
    if !refused && undelivered(case).is_none() {
        return None;
    }
    let unread = net.unread(port).max(own.iter().map(|s| s.send_queue).sum());
    if unread == 0 {
        return None;
    }
    let who = holder(case, net);
    let out = Outcome::fail(format!(
        "the daemon is connected to port {port}, but what listens there does not read what it sends"
    ))
    .seen_all(net.open(Transport::Tcp, port).map(|s| (s.display(), super::listen::owners(case, s))))
    .seen(format!("not yet read at port {port}"), words::bytes(unread))
    .advise("restart what listens there, and look into its log; what waits is sent again then");
    Some(match who.and_then(|p| p.unit.as_deref()).filter(|u| u.ends_with(".service")) {
        Some(unit) => out.command(format!("sudo systemctl restart {unit}")),
        None => out.command(format!("sudo ss -tnp 'sport = :{port}'")),
    })
}

/// A test event shows that the daemon does not get through: the other side hangs up on it, or it cannot even begin.
fn no_connection(case: &Case<'_>, net: &NetFacts, flow: &Flow<'_>) -> Option<Outcome> {
    let port = case.target.agent_port;
    let pid = case.daemon_pid()?;
    let holders = || net.open(Transport::Tcp, port).map(|s| (s.display(), super::listen::owners(case, s)));
    let closed: Vec<&Socket> = net.closed_by_peer(port).filter(|s| s.owners.contains(&pid)).collect();
    let hung_up = case.target.daemon == Daemon::SyslogNg && last_word(case).is_some_and(|l| l.text.contains("closed"));
    let retry = flow.good_carriers().first().and_then(|f| f.retry).unwrap_or_default();
    let late = undelivered(case).is_some_and(|took| took >= retry * 1000);
    let last = last_word(case).map(|l| (l.source.as_str(), l.text.as_str()));
    // A daemon keeps its connection open: one over which an event has just gone is there, unless somebody closed it.
    let used = case.facts.probe.values().any(|p| p.arrived.is_some());
    let gone = used && net.connections_to(port).next().is_none();
    if gone || (!closed.is_empty() && !case.facts.probe.is_empty()) || (hung_up && late) {
        let out = Outcome::fail(format!(
            "what listens on port {port} hangs up on the daemon: events are lost or wait, and none is taken"
        ))
        .seen_all(holders())
        .seen_all(closed.iter().map(|s| (s.display(), "closed by the other side")))
        .seen_all(last)
        .advise("see whether it is the agent that listens there, and look into its log");
        return Some(out.command(format!("sudo ss -ltnp 'sport = :{port}'")));
    }
    if !late {
        return None;
    }
    let out = Outcome::fail(format!("the daemon does not get through to port {port} although somebody listens there"))
        .seen_all(last)
        .seen_all(holders());
    let changed = super::forward::changed_files(case);
    if !changed.is_empty() {
        return Some(
            out.seen_all(changed)
                .advise("write the rule again as install wrote it")
                .command(case.install_command())
                .fixable(),
        );
    }
    Some(
        out.advise("look at what the daemon says, and restart it")
            .command(format!("journalctl -u {} -n 20", case.unit_name()))
            .command(format!("sudo systemctl restart {}", case.unit_name()))
            .fix(case.restart()),
    )
}

#[cfg(test)]
#[path = "connected_tests.rs"]
mod tests;
