//! Sends one marked event per transport to the real listener and watches it on the loopback: at the listener's port and
//! at the agent's. The only check that does something; the event is recognisable by vendor and product.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::facts::{Bytes, ProbeFacts};
use super::ports::Port;
use crate::agent::accept;
use crate::host::proc_net::Transport;
use crate::host::{Host, Interrupt};
use crate::message::build::{Shape, Stamp, marker, message};
use crate::message::capture::{Evidence, Hop, Report, Watch};
use crate::message::send::Framing;

/// How long an event may take through the box.
pub const LIMIT: Duration = Duration::from_millis(1000);
const CONNECT: Duration = Duration::from_millis(500);

/// Where a probe of one transport goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    pub transport: Transport,
    pub to: SocketAddr,
    /// How the listener tells events of a stream apart.
    pub framing: Framing,
}

/// An address of this box that the daemon's socket takes; `None` where it has none open.
pub fn aim(port: &Port<'_>) -> Option<Aim> {
    let local: Vec<IpAddr> = port.own.iter().map(|s| s.local.ip()).collect();
    let candidates = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let loopback = candidates.into_iter().find(|ip| port.own.iter().any(|s| s.takes(*ip)));
    // What is bound to one address is reached by that address, over the loopback all the same.
    let ip = loopback.or(local.first().copied())?;
    let counted = port.listeners.first().is_some_and(|l| l.counted);
    let framing = if counted { Framing::OctetCount } else { Framing::LineFeed };
    Some(Aim { transport: port.transport, to: SocketAddr::new(ip, port.number), framing })
}

struct Shot {
    aim: Aim,
    marker: String,
    line: Vec<u8>,
    error: Option<String>,
}

/// Sends all probes at once and waits until every one has arrived or the time is up.
pub fn run(
    host: &Host,
    stop: &Interrupt,
    hostname: &str,
    aims: &[Aim],
    agent_port: u16,
    limit: Duration,
) -> BTreeMap<Transport, ProbeFacts> {
    let stamp = Stamp::now(hostname, &*host.clock);
    let mut shots: Vec<Shot> = aims
        .iter()
        .map(|aim| {
            let marker = marker();
            let line = message(Shape::Cef, &stamp, &marker, 1);
            Shot { aim: *aim, marker, line, error: None }
        })
        .collect();
    let agent = Hop::tcp(agent_port);
    let hops: Vec<Hop> = aims.iter().map(listener).chain([agent]).collect();
    let markers: Vec<String> = shots.iter().map(|s| s.marker.clone()).collect();
    let mut watch = Watch::start(&*host.net, Some("lo"), &hops, &markers);
    let start = host.clock.monotonic();
    for shot in &mut shots {
        shot.error = send(host, &shot.aim, &shot.line).err().map(|e| e.to_string());
    }
    let sent: Vec<&Shot> = shots.iter().filter(|s| s.error.is_none()).collect();
    let limit = if sent.is_empty() { Duration::ZERO } else { limit };
    watch.wait(&*host.clock, stop, limit, |report| sent.iter().all(|s| report.passed(agent, &s.marker)));
    let took_ms = host.clock.monotonic().saturating_sub(start).as_millis().try_into().unwrap_or(u64::MAX);
    let report = watch.report();
    shots.iter().map(|shot| (shot.aim.transport, outcome(shot, report, agent, took_ms))).collect()
}

fn listener(aim: &Aim) -> Hop {
    match aim.transport {
        Transport::Udp => Hop::udp(aim.to.port()),
        Transport::Tcp => Hop::tcp(aim.to.port()),
    }
}

fn send(host: &Host, aim: &Aim, line: &[u8]) -> std::io::Result<()> {
    match aim.transport {
        Transport::Udp => host.net.send_udp(aim.to, line),
        Transport::Tcp => {
            let mut frame = Vec::new();
            aim.framing.frame(line, &mut frame);
            host.net.send_tcp(aim.to, &frame, CONNECT)
        }
    }
}

fn outcome(shot: &Shot, report: &Report, agent: Hop, took_ms: u64) -> ProbeFacts {
    let packets = report.evidence == Evidence::Packets;
    let moved = report.moved(agent);
    let blind = match report.evidence {
        Evidence::Packets => None,
        Evidence::Counters => Some(format!("{}; {moved} bytes went to the agent's port", report.evidence.text())),
        Evidence::Nothing => Some(report.evidence.text().to_owned()),
    };
    // Should it arrive more than once, one whole copy is enough here; that there are two is judged elsewhere.
    let event = event_of(&shot.line);
    let seen = || report.at(agent, &shot.marker);
    let whole = seen().find(|s| s.complete && event_of(&s.line) == event);
    let arrived = whole.or_else(|| seen().find(|s| s.complete)).or_else(|| seen().next());
    ProbeFacts {
        sent: Bytes(shot.line.clone()),
        to: shot.aim.to.to_string(),
        send_error: shot.error.clone(),
        blind: blind.map(|why| report.excuse.iter().fold(why, |why, excuse| format!("{why} ({excuse})"))),
        seen_at_listener: packets.then(|| report.at(listener(&shot.aim), &shot.marker).next().is_some()),
        arrived: arrived.map(|s| Bytes(s.line.clone())),
        took_ms,
    }
}

/// The event without its envelope.
pub fn event_of(line: &[u8]) -> Option<&[u8]> {
    accept::event::find(line).and_then(|e| line.get(e.start..))
}

#[cfg(test)]
#[path = "probe_run_tests.rs"]
mod tests;
