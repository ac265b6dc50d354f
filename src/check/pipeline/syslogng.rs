//! syslog-ng's configuration as a pipeline: sources in log paths, network destinations with their buffers.

use super::*;
use crate::agent::ama::files;
use crate::syslog::syslogng::effective::{
    DestDriver, DestKind, Destination, Effective, Framing, ListenerAt, Ref, Source, StepKind, Transport as Wire,
};
use crate::syslog::syslogng::effective::{Family as NgFamily, Listener as NgListener};
use crate::syslog::syslogng::event::{Origin, SampleEvent};
use crate::syslog::syslogng::lint;
use crate::syslog::syslogng::trace::{Reach, Trace};

pub fn listeners(config: &Effective) -> Vec<Listener> {
    let of = |(id, l): (usize, ListenerAt<'_>)| {
        let (own, any) = (l.listener, any_of(l.listener));
        let address = own.address.as_ref().map_or_else(|| any.to_owned(), |a| a.to_string());
        let source = name_of(l.source);
        Listener {
            id,
            transport: transport(own.transport),
            tls: own.transport == Wire::Tls,
            counted: own.framing == Framing::OctetCounted,
            lines_only: own.framing == Framing::Lines,
            port: own.port.clone(),
            number: own.port_number(),
            address: own.address.clone(),
            asked: Asked::of(own.address.as_ref(), Asked::AnyOf(family(own.family))),
            shown: format!("{}() listener, address {address}, {source}", l.driver.driver),
            leads_to: source,
            used: l.used,
            senders: None,
            at: l.driver.at.clone(),
        }
    };
    config.listeners().into_iter().enumerate().map(of).collect()
}

fn any_of(listener: &NgListener) -> &'static str {
    match listener.family {
        NgFamily::V4 => "any of IPv4",
        NgFamily::V6 => "any",
    }
}

fn family(family: NgFamily) -> Family {
    match family {
        NgFamily::V4 => Family::V4,
        NgFamily::V6 => Family::V6,
    }
}

/// TLS and the proxied protocols run over TCP.
fn transport(wire: Wire) -> Transport {
    if wire.is_stream() { Transport::Tcp } else { Transport::Udp }
}

fn name_of(source: &Source) -> String {
    source.name.as_ref().map_or_else(|| format!("the source at {}", source.at), |n| format!("source {n}"))
}

fn source_ref(config: &Effective, source: &Source) -> Option<Ref> {
    match &source.name {
        Some(name) => Some(Ref::Named(name.clone())),
        None => config.sources.iter().position(|s| std::ptr::eq(s, source)).map(Ref::Inline),
    }
}

/// What passes events on: over the network, and to the unix socket of the Azure Monitor Agent.
fn outward(config: &Effective) -> Vec<(&Destination, &DestDriver)> {
    let drivers = config.destinations.iter().flat_map(|d| d.drivers.iter().map(move |v| (d, v)));
    let carries = |kind: &DestKind| matches!(kind, DestKind::Forward(_)) || files::is_socket(kind);
    drivers.filter(|(_, driver)| carries(&driver.kind)).collect()
}

pub fn forwards(config: &Effective) -> Vec<Forward> {
    let used = config.used_destinations();
    let is_used = |at: &Location| config.destinations.iter().zip(&used).any(|(d, used)| *used && d.at == *at);
    let of = |(id, (destination, driver)): (usize, (&Destination, &DestDriver))| {
        let (enabled, retry) = (is_used(&destination.at), u64::try_from(driver.time_reopen).ok());
        let DestKind::Forward(f) = &driver.kind else {
            return Forward { enabled, retry, ..Forward::over_socket(id, queue(driver), &driver.at) };
        };
        Forward {
            id,
            enabled,
            target: f.target.clone(),
            port: f.port.clone(),
            number: f.port_number(),
            loopback: f.is_loopback(),
            transport: match f.transport {
                Wire::Udp => Some(Transport::Udp),
                Wire::Tcp | Wire::Tls => Some(Transport::Tcp),
                Wire::Other => None,
            },
            tls: f.transport == Wire::Tls,
            compressed: false,
            octet_counted: f.framing == Framing::OctetCounted,
            retry,
            rare: None,
            queue: queue(driver),
            at: driver.at.clone(),
        }
    };
    outward(config).into_iter().enumerate().map(of).collect()
}

fn queue(driver: &DestDriver) -> Queue {
    let in_memory = format!("{} events in memory (log-fifo-size)", driver.fifo_size);
    let (storage, shown, folder, limit, at) = match &driver.disk_buffer {
        Some(buffer) => {
            let kind = if buffer.reliable { "disk-buffer, reliable(yes)" } else { "disk-buffer, reliable(no)" };
            // The daemon takes less than its least size for that.
            let limit = u64::try_from(buffer.capacity).ok().filter(|n| *n > 0);
            (Storage::Disk, kind.to_owned(), buffer.dir.clone(), limit, &buffer.at)
        }
        None => (Storage::Memory, in_memory, None, None, &driver.at),
    };
    Queue { storage, shown, folder, file: None, losses: Vec::new(), limit, at: at.clone() }
}

/// The daemon does not start with two listeners on one address and port, and a log path per listener is of no use then.
pub fn doubles(config: &Effective, listeners: &[Listener]) -> Vec<Double> {
    let of = |clash: lint::Clash| {
        let (first, second) = (clash.first, clash.second);
        let one = listeners.get(first)?;
        Some(Double {
            transport: one.transport,
            number: one.number,
            port: one.port.clone(),
            winner: if clash.refused { first } else { second },
            loser: if clash.refused { second } else { first },
            refused: clash.refused,
        })
    };
    lint::clashes(config).into_iter().filter_map(of).collect()
}

/// The sample as a device somewhere in the network would have sent it.
fn event(config: &Effective, sample: &Sample, listener: Option<&NgListener>) -> SampleEvent {
    let address = Text::from("198.51.100.7");
    let origin = Origin { name: address.clone(), address, program: config.program, ..Origin::default() };
    match listener {
        Some(listener) => SampleEvent::at(sample.line, &origin, listener),
        None => SampleEvent::read(sample.line, &origin, crate::syslog::syslogng::effective::Format::Rfc3164),
    }
}

/// An event that comes in by no source goes nowhere.
pub fn way(config: &Effective, sample: &'static Sample, listener: Option<&Listener>) -> Way {
    let nowhere = Way { sample, visits: Vec::new(), files: Vec::new(), cut_short: false };
    let all = config.listeners();
    let Some(own) = listener.and_then(|l| all.get(l.id)) else { return nowhere };
    let Some(source) = source_ref(config, own.source) else { return nowhere };
    let trace = config.trace(&event(config, sample, Some(own.listener)), &source);
    Way { sample, visits: visits(config, &trace), files: files(config, &trace), cut_short: trace.cut_short }
}

fn visits(config: &Effective, trace: &Trace) -> Vec<Visit> {
    let forwards = outward(config);
    let mut found = Vec::new();
    for visit in &trace.visits {
        let Some(destination) = config.destination(&visit.destination) else { continue };
        let here = forwards.iter().enumerate().filter(|(_, (d, ..))| std::ptr::eq(*d, destination));
        found.extend(here.map(|(id, _)| Visit { forward: id, maybe: visit.maybe || destination.reworks }));
    }
    found
}

fn files(config: &Effective, trace: &Trace) -> Vec<(Location, String)> {
    let mut found = Vec::new();
    for visit in trace.visits.iter().filter(|v| !v.maybe) {
        let drivers = config.destination(&visit.destination).map(|d| d.drivers.as_slice()).unwrap_or_default();
        for driver in drivers {
            match &driver.kind {
                DestKind::File(path) if !path.as_bytes().starts_with(b"/dev/") => {
                    found.push((visit.at.clone(), path.to_string()));
                }
                _ => {}
            }
        }
    }
    found
}

/// Follows a sample from every source on, as if no path ever kept it from later ones.
pub fn matched(config: &Effective, sample: &'static Sample) -> Vec<Visit> {
    let mut found = Vec::new();
    for source in sources(config) {
        let definition = config.source(source);
        let network = config.listeners().into_iter().filter(|l| definition.is_some_and(|d| std::ptr::eq(d, l.source)));
        let mut events: Vec<SampleEvent> = network.map(|l| event(config, sample, Some(l.listener))).collect();
        if events.is_empty() {
            events.push(event(config, sample, None));
        }
        for event in &events {
            found.extend(visits(config, &config.trace_without_final(event, source)));
        }
    }
    found
}

/// Sources as log paths name them, each once, defined or not.
fn sources(config: &Effective) -> Vec<&Ref> {
    let mut found: Vec<&Ref> = Vec::new();
    for step in config.steps() {
        if let StepKind::Source(source) = &step.kind
            && !found.contains(&source)
        {
            found.push(source);
        }
    }
    found
}

pub fn why_not(config: &Effective, sample: &Sample, listener: &Listener, forward: usize) -> Option<Why> {
    let all = config.listeners();
    let own = all.get(listener.id)?;
    let source = source_ref(config, own.source)?;
    let destination = outward(config).into_iter().nth(forward).map(|(d, ..)| d)?;
    let target = match &destination.name {
        Some(name) => Ref::Named(name.clone()),
        None => Ref::Inline(config.destinations.iter().position(|d| std::ptr::eq(d, destination))?),
    };
    match config.reach(&event(config, sample, Some(own.listener)), &source, &target) {
        Reach::Stopped(at) => Some(Why {
            text: format!("the log path at {at} takes it for good"),
            stopped: true,
            place: Some((at.to_string(), "flags(final): later log paths do not see the event".into())),
        }),
        Reach::NoPath => {
            let to = target_name(&target);
            let text = format!("no log path leads from {} to {to}", listener.leads_to);
            Some(Why { text, stopped: false, place: leading(config, &target) })
        }
        Reach::Yes | Reach::Maybe | Reach::Filtered => None,
    }
}

pub fn diversions(config: &Effective, sample: &Sample, listener: &Listener, wanted: &[usize]) -> Vec<(String, String)> {
    let of = |event: &SampleEvent, source: &Ref, ours: &dyn Fn(&Ref) -> bool| config.diversions(event, source, ours);
    let places = before(config, sample, listener, wanted, &of).into_iter();
    places.map(|at| (at.to_string(), "flags(final), and a filter by sender or priority".into())).collect()
}

pub fn drops(config: &Effective, sample: &Sample, listener: &Listener, wanted: &[usize]) -> Vec<(String, String)> {
    let of = |event: &SampleEvent, source: &Ref, ours: &dyn Fn(&Ref) -> bool| config.drops(event, source, ours);
    let places = before(config, sample, listener, wanted, &of).into_iter();
    places.map(|at| (at.to_string(), "flags(final), a filter by sender, and no destination".into())).collect()
}

/// A question about what stands before the forwards that are wanted.
type Question<'a> = &'a dyn Fn(&SampleEvent, &Ref, &dyn Fn(&Ref) -> bool) -> Vec<Location>;

fn before(
    config: &Effective,
    sample: &Sample,
    listener: &Listener,
    wanted: &[usize],
    ask: Question<'_>,
) -> Vec<Location> {
    let all = config.listeners();
    let Some(own) = all.get(listener.id) else { return Vec::new() };
    let Some(source) = source_ref(config, own.source) else { return Vec::new() };
    let forwards = outward(config);
    let ours = |r: &Ref| {
        let destination = config.destination(r);
        let is = |id: &usize| forwards.get(*id).is_some_and(|(d, ..)| destination.is_some_and(|x| std::ptr::eq(*d, x)));
        wanted.iter().any(is)
    };
    ask(&event(config, sample, Some(own.listener)), &source, &ours)
}

pub fn holding_up(config: &Effective, listener: &Listener, to_agent: &[usize]) -> Vec<(Location, String, Option<u16>)> {
    let all = config.listeners();
    let Some(source) = all.get(listener.id).and_then(|own| source_ref(config, own.source)) else { return Vec::new() };
    let forwards = outward(config);
    let agents = |driver| to_agent.iter().any(|id| forwards.get(*id).is_some_and(|(_, d)| std::ptr::eq(*d, driver)));
    let others = config.holding_up(&source).into_iter().filter(|(_, driver, _)| !agents(*driver));
    others.map(|(path, _, f)| (path.at.clone(), f.target.to_string(), f.port_number())).collect()
}

fn target_name(target: &Ref) -> String {
    match target {
        Ref::Named(name) => format!("destination {name}"),
        Ref::Inline(_) => "the rule's destination".into(),
    }
}

/// The log path that has the destination, with the sources it takes.
fn leading(config: &Effective, target: &Ref) -> Option<(String, String)> {
    let path = config.logs.iter().find(|p| p.leads_to(target))?;
    let names: Vec<String> = path
        .sources()
        .into_iter()
        .map(|s| match s {
            Ref::Named(name) => format!("source {name}"),
            Ref::Inline(_) => "a source of its own".into(),
        })
        .collect();
    let takes = if names.is_empty() { "no source".to_owned() } else { names.join(", ") };
    Some((path.at.to_string(), format!("leads to {} for events of {takes} only", target_name(target))))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::syslog::MapSource;

    /// Forwards have one numbering, in which the agent's socket has a place too.
    #[test]
    fn the_agents_own_forward_holds_nobody_up() {
        let text = format!(
            "@version: 3.38\nsource s_net {{ network(transport(udp)); }};\n\
             destination d_socket {{ unix-dgram(\"{}\"); }};\n\
             destination d_siem {{ network(\"192.0.2.9\" port(6000)); }};\n\
             destination d_c {{ network(\"127.0.0.1\" port(25226)); }};\n\
             log {{ source(s_net); destination(d_siem); destination(d_c); flags(flow-control); }};\n",
            crate::agent::ama::paths::SOCKET
        );
        let config = Effective::load(Path::new("/c"), &MapSource::new().with("/c", text));
        let agents: Vec<usize> = forwards(&config).iter().filter(|f| f.number == Some(25226)).map(|f| f.id).collect();
        let others = holding_up(&config, &listeners(&config)[0], &agents);
        assert_eq!(others.iter().map(|(_, target, _)| target.as_str()).collect::<Vec<_>>(), ["192.0.2.9"]);
    }
}
