//! rsyslog's configuration as a pipeline: inputs bound to rulesets, omfwd actions with their queues.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::agent::ama::files;
use crate::syslog::rsyslog::SampleEvent;
use crate::syslog::rsyslog::ast::Param;
use crate::syslog::rsyslog::effective::{self, Action, ActionKind, Effective, QueueType};
use crate::syslog::rsyslog::event::{Origin, Reception};
use crate::syslog::rsyslog::query::Reach;
use crate::syslog::rsyslog::trace::Trace;

pub fn listeners(config: &Effective) -> Vec<Listener> {
    let of = |(id, l): (usize, &effective::Listener)| {
        let ruleset = config.ruleset_of(l);
        let address = l.address.as_ref().map_or_else(|| "any".to_owned(), |a| a.to_string());
        let transport = match l.transport {
            effective::Transport::Udp => Transport::Udp,
            effective::Transport::Tcp => Transport::Tcp,
            // RELP and the like are another protocol, not what devices send.
            effective::Transport::Relp | effective::Transport::Other => return None,
        };
        Some(Listener {
            id,
            transport,
            tls: l.tls.is_some(),
            counted: false,
            lines_only: transport == Transport::Tcp && !l.octet_counted,
            port: l.port.clone(),
            number: l.port_number(),
            address: l.address.clone(),
            asked: Asked::of(l.address.as_ref(), Asked::Any),
            shown: format!("{} listener, address {address}, ruleset {ruleset}", l.module),
            leads_to: format!("ruleset {ruleset}"),
            used: true,
            senders: config.allowed_senders(&l.module),
            at: l.at.clone(),
        })
    };
    config.listeners.iter().enumerate().filter_map(of).collect()
}

pub fn forwards(config: &Effective) -> Vec<Forward> {
    let of = |(action, f): (&Action, &effective::Forward)| Forward {
        id: action.id,
        enabled: action.enabled,
        target: f.target.clone(),
        port: f.port.clone(),
        number: f.port_number(),
        loopback: f.is_loopback(),
        transport: match f.transport {
            effective::Transport::Udp => Some(Transport::Udp),
            effective::Transport::Tcp => Some(Transport::Tcp),
            effective::Transport::Relp | effective::Transport::Other => None,
        },
        tls: f.tls,
        compressed: f.compressed,
        octet_counted: f.octet_counted,
        retry: u64::try_from(action.resume_interval).ok(),
        rare: rare(action),
        queue: queue(config, action),
        at: action.at.clone(),
    };
    let over_socket = config.actions.iter().filter(|a| is_agents_socket(a)).map(|action| Forward {
        enabled: action.enabled,
        ..Forward::over_socket(action.id, queue(config, action), &action.at)
    });
    config.forwards().map(of).chain(over_socket).collect()
}

/// Settings by which an action lets most events pass by.
fn rare(action: &Action) -> Option<(String, String)> {
    let seen = |name: &str, value: i64| format!("action.{name} is {value}");
    if action.only_when_previous_suspended {
        let text = "takes events only while the action before it does not work";
        return Some(("action.execOnlyWhenPreviousIsSuspended is on".into(), text.into()));
    }
    if let Some(n) = action.every_nth() {
        return Some((seen("execOnlyEveryNthTime", n), format!("takes one event of {n} only")));
    }
    let seconds = action.once_every()?;
    Some((seen("execOnlyOnceEveryInterval", seconds), format!("takes one event in {seconds} s only")))
}

/// The Azure Monitor Agent's own rule of before 1.28.11 (facts 3.3).
fn is_agents_socket(action: &Action) -> bool {
    action.module.is("omuxsock") && files::is_own(&action.at.file)
}

/// Of omfwd's own rate limit, where only the interval is set.
const RATE_BURST: i64 = 200;

/// A number by its name, today's or the old one.
fn number(params: &[Param], names: [&str; 2]) -> Option<i64> {
    params.iter().rev().find(|p| names.iter().any(|n| p.name.is(n)))?.value.text()?.number()
}

fn queue(config: &Effective, action: &Action) -> Queue {
    let queue = config.queue_of(action);
    let (storage, shown) = match queue.kind {
        QueueType::Direct => (Storage::None, "direct queue".to_owned()),
        _ if queue.on_disk() => (Storage::Disk, "disk-assisted queue".to_owned()),
        _ => (Storage::Memory, format!("queue of {} messages in memory, no file", queue.size)),
    };
    let mut losses = Vec::new();
    if action.resume_retries != -1 {
        let text = format!("action.resumeRetryCount is {}", action.resume_retries);
        losses.push(("the forward gives events up after some tries".to_owned(), text));
    }
    let seconds = number(&action.params, ["ratelimit.interval"; 2]).filter(|n| *n > 0);
    if let Some(seconds) = seconds {
        let events = number(&action.params, ["ratelimit.burst"; 2]).unwrap_or(RATE_BURST);
        let text = format!("the forward throws away more than {events} events in {seconds} s");
        losses.push((text, "ratelimit.interval is set on the forward".to_owned()));
    }
    // 8 is no severity: nothing is thrown away (the default).
    let severity = number(&queue.params, ["queue.discardseverity", "actionqueuediscardseverity"]).unwrap_or(8);
    let mark = number(&queue.params, ["queue.discardmark", "actionqueuediscardmark"]);
    let mark = mark.filter(|n| (0..queue.size).contains(n));
    if let (Some(mark), 0..8) = (mark, severity) {
        let text =
            format!("with more than {mark} events waiting, those of severity {severity} and above are thrown away");
        losses.push((text, "queue.discardMark and queue.discardSeverity are set".to_owned()));
    }
    if !queue.save_on_shutdown {
        let text = "what is in the queue's memory is lost when the daemon stops".to_owned();
        losses.push((text, "queue.saveOnShutdown is off".to_owned()));
    }
    Queue {
        storage,
        shown,
        folder: queue.spool.clone(),
        file: queue.file_name.clone(),
        losses,
        limit: u64::try_from(queue.max_disk).ok().filter(|n| *n > 0),
        at: action.at.clone(),
    }
}

/// Of several UDP sockets the one bound last gets the datagrams, of several TCP sockets only the first is opened (facts
/// 5.6).
pub fn doubles(listeners: &[Listener]) -> Vec<Double> {
    let mut found = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let all: Vec<(usize, &Listener)> =
            listeners.iter().enumerate().filter(|(_, l)| l.transport == transport).collect();
        for (n, (second, b)) in all.iter().enumerate() {
            let Some((first, _)) = all.iter().take(n).find(|(_, a)| share_an_address(a, b)) else { continue };
            let (winner, loser) = if transport == Transport::Udp { (*second, *first) } else { (*first, *second) };
            found.push(Double { transport, number: b.number, port: b.port.clone(), winner, loser, refused: false });
        }
    }
    found
}

fn share_an_address(a: &Listener, b: &Listener) -> bool {
    a.number.is_some() && a.number == b.number && !addresses(a).is_disjoint(&addresses(b))
}

/// What the listener binds; a name is looked up by the daemon, so nothing is known of it.
fn addresses(listener: &Listener) -> BTreeSet<SocketAddr> {
    let port = listener.number.unwrap_or_default();
    let ips: Vec<IpAddr> = match listener.asked {
        Asked::Any => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        Asked::AnyOf(Family::V4) => vec![Ipv4Addr::UNSPECIFIED.into()],
        Asked::AnyOf(Family::V6) => vec![Ipv6Addr::UNSPECIFIED.into()],
        Asked::Ip(ip) => vec![ip],
        Asked::Name => Vec::new(),
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The sample as a device somewhere in the network would have sent it.
fn event(config: &Effective, sample: &Sample, listener: Option<&Listener>) -> SampleEvent {
    let own = listener.and_then(|l| config.listeners.get(l.id));
    let module = own.map(|l| l.name.clone().unwrap_or_else(|| l.module.clone()));
    let origin = Origin::device(module.unwrap_or_else(|| Text::from("imudp")));
    SampleEvent::parse_with(sample.line, &origin, &Reception::of(config))
}

/// Without a listener the default ruleset stands for one.
pub fn way(config: &Effective, sample: &'static Sample, listener: Option<&Listener>) -> Way {
    let own = listener.and_then(|l| config.listeners.get(l.id));
    let ruleset = own.map_or(&config.default_ruleset, |l| config.ruleset_of(l));
    let trace = config.trace(&event(config, sample, listener), ruleset);
    Way { sample, visits: visits(config, &trace), files: files(config, &trace), cut_short: trace.cut_short }
}

fn visits(config: &Effective, trace: &Trace) -> Vec<Visit> {
    let carries = |a: &Action| matches!(a.kind, ActionKind::Forward(_)) || is_agents_socket(a);
    let is_forward = |id: usize| config.actions.get(id).is_some_and(carries);
    let forwards = trace.visits.iter().filter(|v| is_forward(v.action));
    forwards.map(|v| Visit { forward: v.action, maybe: v.maybe }).collect()
}

/// Devices are no files.
fn files(config: &Effective, trace: &Trace) -> Vec<(Location, String)> {
    let sure = trace.visits.iter().filter(|v| !v.maybe).filter_map(|v| config.actions.get(v.action));
    let written = sure.filter_map(|a| match &a.kind {
        ActionKind::File(path) if !path.as_bytes().starts_with(b"/dev/") => Some((a.at.clone(), path.to_string())),
        ActionKind::DynaFile(template) => Some((a.at.clone(), format!("files named by template {template}"))),
        _ => None,
    });
    written.collect()
}

/// Follows a sample from every ruleset on, as if nothing were ever stopped: what reaches a rule now is what the rule's
/// own filter matches. A ruleset that others call is entered through them, for the condition stands there.
pub fn matched(config: &Effective, sample: &'static Sample) -> Vec<Visit> {
    let is_bound =
        |name: &Text| *name == config.default_ruleset || config.listeners.iter().any(|l| config.ruleset_of(l) == name);
    let event = event(config, sample, None);
    let entered = config.rulesets.iter().filter(|r| is_bound(&r.name) || !config.is_called(&r.name));
    let traces = entered.map(|r| config.trace_without_stops(&event, &r.name));
    traces.flat_map(|t| visits(config, &t)).collect()
}

pub fn diversions(config: &Effective, sample: &Sample, listener: &Listener, wanted: &[usize]) -> Vec<(String, String)> {
    let Some(own) = config.listeners.get(listener.id) else { return Vec::new() };
    let event = config.event_at(own, sample.line);
    let stops = config.diversions(&event, config.ruleset_of(own), &|id| wanted.contains(&id));
    stops.iter().map(|s| (s.place().to_string(), "stops events by their sender or priority".into())).collect()
}

pub fn why_not(config: &Effective, sample: &Sample, listener: &Listener, forward: usize) -> Option<Why> {
    let own = config.listeners.get(listener.id)?;
    match config.reach(own, &config.event_at(own, sample.line), forward) {
        Reach::Stopped { stop } => Some(Why {
            text: format!("it is stopped at {}", stop.at),
            stopped: true,
            place: Some((stop.at.to_string(), format!("stops the event in ruleset {}", stop.ruleset))),
        }),
        Reach::OtherRuleset { listener: from, action } => Some(Why {
            text: format!("the listener is bound to ruleset {from}, the rule stands in {action}"),
            stopped: false,
            place: None,
        }),
        Reach::Yes | Reach::Maybe | Reach::Filtered { .. } | Reach::Disabled => None,
    }
}
