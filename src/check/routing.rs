//! Judgements on what happens between a listener and the rule: which of two listeners gets the traffic, whether it comes
//! to the rule from there, and whether the listeners' limits are wide enough.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::case::Case;
use super::flow::{Entry, Flow, Way};
use super::outcome::{Judged, NotJudged, Outcome};
use super::ports::{self, Asked, Family};
use super::samples::Fate;
use super::words;
use crate::host::proc_net::{Socket, SocketState, Transport};
use crate::syslog::rsyslog::effective::{Effective, Listener};
use crate::syslog::rsyslog::query::Reach;

pub fn duplicate(case: &Case<'_>) -> Judged {
    let config = case.rsyslog()?;
    let mut doubles = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let all: Vec<&Listener> = config.listeners.iter().filter(|l| ports::same(transport, l.transport)).collect();
        for (n, second) in all.iter().enumerate() {
            let first = all.iter().take(n).find(|first| share_an_address(first, second));
            doubles.extend(first.map(|first| (transport, *first, *second)));
        }
    }
    // What happens on the port devices send to comes first.
    doubles.sort_by_key(|(_, l, _)| l.port_number() != Some(case.target.port));
    let Some((transport, first, second)) = doubles.first() else { return taken_away(case, config) };
    let flow = case.flow()?;
    let (winner, loser) = match transport {
        Transport::Udp => (*second, *first),
        Transport::Tcp => (*first, *second),
    };
    let on_port = winner.port_number() == Some(case.target.port);
    let same_way = config.ruleset_of(winner) == config.ruleset_of(loser);
    let text =
        format!("{}/{} has two listeners; the one at {} gets the traffic", transport.word(), winner.port, winner.at);
    let out = match on_port && !same_way && reaches(flow, loser) && !reaches(flow, winner) {
        true => Outcome::fail(format!("{text}, and from there nothing comes to the forward rule")),
        false => Outcome::warn(text),
    };
    Ok(out
        .seen_all(doubles.iter().flat_map(|(_, a, b)| [*a, *b]).map(|l| (l.at.to_string(), show(case, l))))
        .advise("remove one of the two listeners, or bind both to the same ruleset; then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name())))
}

/// A listener on one address takes the datagrams for that address away from the one on all addresses (facts 5.6).
fn taken_away(case: &Case<'_>, config: &Effective) -> Judged {
    let flow = case.flow()?;
    let all = ports::listeners(config, Transport::Udp, case.target.port);
    let wide = all.iter().find(|l| Asked::of(l) == Asked::Any);
    let special =
        all.iter().find(|l| matches!(Asked::of(l), Asked::Ip(ip) if !ip.is_loopback() && !ip.is_unspecified()));
    match (wide, special) {
        (Some(wide), Some(special)) if reaches(flow, wide) && !reaches(flow, special) => Ok(Outcome::warn(format!(
            "what is sent to {} goes to the listener at {}, and from there nothing comes to the forward rule",
            special.address.as_ref().map(|a| a.to_string()).unwrap_or_default(),
            special.at
        ))
        .seen_all([wide, special].map(|l| (l.at.to_string(), show(case, l))))
        .advise("let devices send to another address of this box, or call the rule's ruleset from that listener's")),
        _ => Ok(Outcome::pass("every port and address has one listener")),
    }
}

fn share_an_address(a: &Listener, b: &Listener) -> bool {
    let number = a.port_number();
    number.is_some() && number == b.port_number() && !addresses(a).is_disjoint(&addresses(b))
}

/// What the listener binds; a name is looked up by the daemon, so nothing is known of it.
fn addresses(listener: &Listener) -> BTreeSet<SocketAddr> {
    let port = listener.port_number().unwrap_or_default();
    let ips: Vec<IpAddr> = match Asked::of(listener) {
        Asked::Any => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        Asked::Ip(ip) => vec![ip],
        Asked::Name => Vec::new(),
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// Does a plain CEF event come from this listener to a rule?
fn reaches(flow: &Flow<'_>, listener: &Listener) -> bool {
    let config = flow.config;
    let plain = flow.matched(Fate::Forwarded).first().copied();
    let event = plain.map(|s| config.event_at(listener, s.line));
    let trace = event.map(|e| config.trace_from(&e, listener));
    trace.is_some_and(|t| t.visits.iter().any(|v| flow.agent_forward(v.action).is_some()))
}

fn show(case: &Case<'_>, listener: &Listener) -> String {
    let address = listener.address.as_ref().map_or_else(|| "any".to_owned(), |a| a.to_string());
    let ruleset = case.rsyslog().map(|c| c.ruleset_of(listener).to_string()).unwrap_or_default();
    format!("{} listener, address {address}, ruleset {ruleset}", listener.module)
}

pub fn reachable(case: &Case<'_>) -> Judged {
    let flow = case.flow()?;
    if flow.to_agent().next().is_none() {
        return Err(NotJudged::Blocked("forward.rule", "there is no rule to come to".into()));
    }
    if flow.matched(Fate::Forwarded).is_empty() && flow.unsure(Fate::Forwarded).is_empty() {
        return Err(NotJudged::Blocked("forward.rule", "the rule's filter matches no security event".into()));
    }
    if flow.entries.iter().all(|e| e.listener.is_none()) {
        return Err(NotJudged::Skip(format!("nothing is configured to listen on port {}", case.target.port)));
    }
    let wanted = flow.matched(Fate::Forwarded);
    let mut unsure = Vec::new();
    let mut cut_off: Vec<(&Entry<'_>, Vec<&Way>)> = Vec::new();
    for entry in &flow.entries {
        let ways = || entry.ways.iter().filter(|w| wanted.contains(&w.sample));
        let lost: Vec<&Way> = ways().filter(|w| flow.arrives(w) == Some(false)).collect();
        if !lost.is_empty() {
            cut_off.push((entry, lost));
        }
        unsure.extend(ways().filter(|w| flow.arrives(w).is_none()).map(|w| w.sample.name));
    }
    if !cut_off.is_empty() {
        return Ok(not_reached(case, flow, &cut_off, wanted.len()));
    }
    if !unsure.is_empty() {
        unsure.dedup();
        let why = format!(
            "whether {} comes to the rule hangs on something only the running daemon knows",
            words::list(&unsure)
        );
        return Err(NotJudged::Unknown(why));
    }
    let from: Vec<String> = flow
        .entries
        .iter()
        .filter_map(|e| e.listener)
        .map(|(t, _)| format!("{}/{}", t.word(), case.target.port))
        .collect();
    Ok(Outcome::pass(format!("what arrives at {} comes to the forward rule", words::list(&from))))
}

fn not_reached(case: &Case<'_>, flow: &Flow<'_>, cut_off: &[(&Entry<'_>, Vec<&Way>)], all: usize) -> Outcome {
    let name = |entry: &Entry<'_>| entry.listener.map(|(t, _)| format!("{}/{}", t.word(), case.target.port));
    let from: Vec<String> = cut_off.iter().filter_map(|(e, _)| name(e)).collect();
    let lost: Vec<&Way> = cut_off.iter().max_by_key(|(_, l)| l.len()).map(|(_, l)| l.clone()).unwrap_or_default();
    let names: Vec<&str> = lost.iter().map(|w| w.sample.name).collect();
    let what = if names.len() == all { "what arrives".to_owned() } else { words::list(&names) };
    let reasons: Vec<_> = cut_off.iter().map(|(e, l)| reason(flow, e, l)).collect();
    let why = reasons.first().map(|(why, _)| why.clone()).unwrap_or_default();
    let listeners = cut_off.iter().filter_map(|(e, _)| e.listener).map(|(_, l)| (l.at.to_string(), show(case, l)));
    let mut places: Vec<(String, String)> = reasons.into_iter().flat_map(|(_, place)| place).collect();
    places.dedup();
    let rules = flow.carriers().into_iter().map(|(a, f)| (a.at.to_string(), super::forward::describe(f)));
    Outcome::fail(format!("{what} on {} does not come to the forward rule: {why}", words::list(&from)))
        .seen_all(listeners)
        .seen_all(places)
        .seen_all(rules)
        .seen_all(lost.iter().take(2).map(|w| (w.sample.name, w.sample.line)))
        .advise("let the listener's events run through the rule's ruleset, and the rule stand before what stops them")
        .command(case.install_command())
        .fixable()
}

/// Why the first lost sample does not come to the rule whose filter matches it, and the place that is to blame.
fn reason(flow: &Flow<'_>, entry: &Entry<'_>, lost: &[&Way]) -> (String, Vec<(String, String)>) {
    let nothing = || (format!("it runs through ruleset {} only", entry.ruleset), Vec::new());
    let (Some((_, listener)), Some(way)) = (entry.listener, lost.first()) else { return nothing() };
    let event = flow.config.event_at(listener, way.sample.line);
    let reaches = flow.to_agent().map(|(a, _)| flow.config.reach(listener, &event, a.id));
    let mut best = None;
    for reach in reaches {
        match reach {
            Reach::Stopped { stop } => {
                let text = format!("it is stopped at {}", stop.at);
                return (text, vec![(stop.at.to_string(), format!("stops the event in ruleset {}", stop.ruleset))]);
            }
            Reach::OtherRuleset { listener: from, action } => {
                let text = format!("the listener is bound to ruleset {from}, the rule stands in {action}");
                best = Some((text, Vec::new()));
            }
            Reach::Yes | Reach::Maybe | Reach::Filtered { .. } | Reach::Disabled => {}
        }
    }
    best.unwrap_or_else(nothing)
}

/// Bytes that a long security event has; what is longer is rare.
const MESSAGE: i64 = 32 << 10;
/// Half of what the kernel counts is what the program asked for: below 1 MiB bursts are lost (baseline: 8 MiB lost none).
const RECEIVE: u64 = 2 << 20;
/// Sessions of imtcp unless told otherwise.
const SESSIONS: i64 = 200;

pub fn limits(case: &Case<'_>) -> Judged {
    let config = case.rsyslog()?;
    let net = ports::net(case)?;
    let port = case.target.port;
    let tcp = ports::listeners(config, Transport::Tcp, port);
    if tcp.is_empty() && ports::listeners(config, Transport::Udp, port).is_empty() {
        return Err(NotJudged::Skip(format!("nothing is configured to listen on port {port}")));
    }
    let mut findings = Vec::new();
    let set = config.setting("maxmessagesize");
    let size = config.max_message_size();
    if size < MESSAGE {
        let at = set.map_or_else(|| "default".to_owned(), |s| s.at.to_string());
        findings.push((at, format!("messages are cut at {size} bytes")));
    }
    let (own, _) = ports::split(case, net, Transport::Udp, port)?;
    findings.extend(own.iter().flat_map(|socket| narrow_socket(socket)));
    let sessions = net.sockets.iter().filter(|s| s.state == SocketState::Established && s.local.port() == port).count();
    findings.extend(tcp.iter().filter_map(|listener| full_listener(listener, sessions)));
    findings.extend(rate_limits(config, port));
    findings.extend(slow_names(case, config));
    let Some((_, first)) = findings.first() else {
        return Ok(Outcome::pass(format!(
            "messages up to {}, {sessions} TCP sessions",
            words::bytes(size.unsigned_abs())
        )));
    };
    Ok(Outcome::warn(first.clone())
        .seen_all(findings)
        .advise("maxMessageSize 64k, rcvbufSize 8m for imudp, maxSessions 500 for imtcp, net.enableDNS off where lookups are slow; then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name())))
}

/// What a datagram socket for senders from outside has too little of.
fn narrow_socket(socket: &Socket) -> Vec<(String, String)> {
    if !ports::outside(socket, Family::V4) && !ports::outside(socket, Family::V6) {
        return Vec::new();
    }
    let small = socket.recv_buffer.filter(|b| *b < RECEIVE);
    let small = small.map(|buffer| format!("receive buffer of {}", words::bytes(buffer / 2)));
    let dropped = socket.drops.filter(|d| *d > 0);
    let dropped = dropped.map(|drops| format!("{drops} datagrams dropped since the daemon was started"));
    small.into_iter().chain(dropped).map(|text| (socket.display(), text)).collect()
}

/// A listener that will soon turn senders away.
fn full_listener(listener: &Listener, sessions: usize) -> Option<(String, String)> {
    let unlimited = listener.module == "imptcp" && listener.max_sessions.is_none_or(|n| n == 0);
    let most = usize::try_from(listener.max_sessions.unwrap_or(SESSIONS)).unwrap_or_default();
    let full = !unlimited && sessions * 10 >= most * 8;
    full.then(|| (listener.at.to_string(), format!("{sessions} of {most} TCP sessions are in use")))
}

/// What comes faster than a listener's rate limit is thrown away.
fn rate_limits(config: &Effective, port: u16) -> impl Iterator<Item = (String, String)> {
    let on_port = config.listeners.iter().filter(move |l| l.port_number() == Some(port));
    on_port.filter_map(|l| Some((l, l.rate_limit?))).map(|(l, limit)| {
        let text = format!("more than {} messages in {} s are thrown away (ratelimit)", limit.burst, limit.interval);
        (l.at.to_string(), text)
    })
}

/// Milliseconds that looking up a sender's name may take: nothing is taken from the socket meanwhile.
const SLOW_LOOKUP: u64 = 500;

/// The daemon looks up the name of each new sender, unless told not to.
fn slow_names(case: &Case<'_>, config: &Effective) -> Option<(String, String)> {
    let off = config.setting("net.enabledns").and_then(|s| s.value.switch()) == Some(false);
    let option = case.facts.daemon_process().is_some_and(|p| p.cmdline.iter().any(|a| a == "-x"));
    let took = case.facts.host.reverse_lookup_ms.filter(|ms| *ms >= SLOW_LOOKUP && !off && !option)?;
    Some(("reverse lookup of a sender".into(), format!("looking up a new sender's name takes {took} ms or more")))
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
