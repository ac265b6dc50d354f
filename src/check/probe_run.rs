//! Sends one marked event per transport to the real listener and watches it on the loopback: at the listener's port and
//! at the agent's. The only check that does something; the event is recognisable by vendor and product.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::facts::{Bytes, CertificateFacts, ProbeFacts, TlsProbe};
use super::ports::Port;
use crate::agent::accept;
use crate::host::proc_net::Transport;
use crate::host::{Host, Interrupt};
use crate::message::build::{Shape, Stamp, marker, message};
use crate::message::capture::{Evidence, Hop, Report, Watch};
use crate::message::send::Framing;
use crate::message::tls::{self, Tls, Trust};
use crate::platform::certificate;

/// How long an event may take through the box.
pub const LIMIT: Duration = Duration::from_millis(1000);
const CONNECT: Duration = Duration::from_millis(500);
/// How long each step of a TLS handshake may take, and how long the daemon may take to close.
const HANDSHAKE: Duration = Duration::from_secs(2);
const GOODBYE: Duration = Duration::from_millis(100);

/// Where a probe of one transport goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    pub transport: Transport,
    pub tls: bool,
    pub to: SocketAddr,
    /// How the listener tells events of a stream apart.
    pub framing: Framing,
}

/// An address of this box that the daemon's socket takes; `None` where it has none open.
pub fn aim(port: &Port<'_>) -> Option<Aim> {
    let local: Vec<IpAddr> = port.own.iter().map(|s| s.local.ip()).collect();
    // The second one is free where a socket beside the one that devices reach is bound to the first.
    let second = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let candidates = [IpAddr::from(Ipv4Addr::LOCALHOST), second, IpAddr::from(Ipv6Addr::LOCALHOST)];
    let takes = |ip: &IpAddr| port.own.iter().any(|s| s.takes(*ip));
    let alone = |ip: &IpAddr| port.own.iter().chain(&port.foreign).any(|s| s.local.ip() == *ip);
    let wide = candidates.into_iter().find(|ip| takes(ip) && !alone(ip));
    let loopback = wide.or_else(|| candidates.into_iter().find(takes));
    // What is bound to one address is reached by that address, over the loopback all the same.
    let ip = loopback.or(local.first().copied())?;
    let counted = port.listeners.first().is_some_and(|l| l.counted);
    let framing = if counted { Framing::OctetCount } else { Framing::LineFeed };
    Some(Aim { transport: port.transport, tls: port.tls, to: SocketAddr::new(ip, port.number), framing })
}

struct Shot {
    aim: Aim,
    marker: String,
    line: Vec<u8>,
    error: Option<String>,
    certificate: Option<CertificateFacts>,
}

/// What became of the probes.
#[derive(Debug, Default)]
pub struct Probed {
    pub plain: BTreeMap<Transport, ProbeFacts>,
    pub tls: Option<TlsProbe>,
}

/// Sends all probes at once and waits until every one has arrived or the time is up.
pub fn run(host: &Host, stop: &Interrupt, hostname: &str, aims: &[Aim], agent_port: u16, limit: Duration) -> Probed {
    let stamp = Stamp::now(hostname, &*host.clock);
    let mut shots: Vec<Shot> = aims
        .iter()
        .map(|aim| {
            let marker = marker();
            let line = message(Shape::Cef, &stamp, &marker, 1);
            Shot { aim: *aim, marker, line, error: None, certificate: None }
        })
        .collect();
    let agent = Hop::tcp(agent_port);
    let hops: Vec<Hop> = aims.iter().map(listener).chain([agent]).collect();
    let markers: Vec<String> = shots.iter().map(|s| s.marker.clone()).collect();
    let mut watch = Watch::start(&*host.net, Some("lo"), &hops, &markers);
    let start = host.clock.monotonic();
    for shot in &mut shots {
        let sent = if shot.aim.tls { send_tls(host, shot) } else { send(host, &shot.aim, &shot.line) };
        shot.error = sent.err().map(|e| tls::explain(&e).map_or_else(|| e.to_string(), |(why, _)| why));
    }
    let sent: Vec<&Shot> = shots.iter().filter(|s| s.error.is_none()).collect();
    let limit = if sent.is_empty() { Duration::ZERO } else { limit };
    watch.wait(&*host.clock, stop, limit, |report| sent.iter().all(|s| report.passed(agent, &s.marker)));
    let took_ms = host.clock.monotonic().saturating_sub(start).as_millis().try_into().unwrap_or(u64::MAX);
    let report = watch.report();
    let mut probed = Probed::default();
    for shot in &shots {
        let probe = outcome(shot, report, agent, took_ms);
        match shot.aim.tls {
            true => probed.tls = Some(TlsProbe { probe, certificate: shot.certificate.clone() }),
            false => drop(probed.plain.insert(shot.aim.transport, probe)),
        }
    }
    probed
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

/// Whatever certificate is shown will do; what it says is judged on its own.
fn send_tls(host: &Host, shot: &mut Shot) -> std::io::Result<()> {
    let tls = Tls::new(&Trust::Anybody, &shot.aim.to.ip().to_string()).map_err(std::io::Error::other)?;
    let mut stream = tls.open(host.net.connect(shot.aim.to, CONNECT)?, HANDSHAKE)?;
    let shown = stream.certificates().first().and_then(|der| certificate::about(der).ok());
    shot.certificate = shown.map(|c| CertificateFacts { names: c.names, issuer: c.issuer, not_after: c.not_after });
    stream.write_all(&[shot.line.as_slice(), b"\n"].concat())?;
    stream.finish(GOODBYE);
    Ok(())
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
        // What goes in by TLS cannot be read on its way.
        seen_at_listener: (packets && !shot.aim.tls)
            .then(|| report.at(listener(&shot.aim), &shot.marker).next().is_some()),
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
