//! Waits for marked messages at several hops at once. Started before the messages are sent; says at which hops each was
//! seen, with the whole line, so that a cut or changed one is noticed.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::lines::Streams;
use super::{Segment, segment};
use crate::host::{Clock, Interrupt, Net, PacketSource, TcpSocket};
use crate::message::build::has_marker;
use crate::message::send::Transport;

/// A port that messages pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Hop {
    pub transport: Transport,
    pub port: u16,
}

impl Hop {
    pub fn udp(port: u16) -> Self {
        Hop { transport: Transport::Udp, port }
    }

    pub fn tcp(port: u16) -> Self {
        Hop { transport: Transport::Tcp, port }
    }
}

/// A marked message at a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sighting {
    pub marker: String,
    pub hop: Hop,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// The datagram, or the line of the stream.
    pub line: Vec<u8>,
    /// Was the line's end seen?
    pub complete: bool,
}

/// What a report rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The packets themselves.
    Packets,
    /// Byte counters of TCP connections: something of that size moved, what it was is not known.
    Counters,
    /// Neither was to be had.
    Nothing,
}

impl Evidence {
    /// One plain sentence without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Evidence::Packets => "seen in the packets of the interface",
            Evidence::Counters => "packets could not be captured; judged by how many bytes the TCP connections moved",
            Evidence::Nothing => "neither packets nor connection counters could be read",
        }
    }
}

/// What has been seen so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub evidence: Evidence,
    /// Why there is no better evidence.
    pub excuse: Option<String>,
    /// In the order of their coming; each message once a hop, unless it really came more than once.
    pub sightings: Vec<Sighting>,
    /// Bytes moved to each TCP hop since the start; only with [`Evidence::Counters`].
    pub moved: Vec<(Hop, u64)>,
}

impl Report {
    /// Sightings of one message at one hop.
    pub fn at(&self, hop: Hop, marker: &str) -> impl Iterator<Item = &Sighting> {
        self.sightings.iter().filter(move |s| s.hop == hop && s.marker == marker)
    }

    /// Was the message seen whole at the hop?
    pub fn passed(&self, hop: Hop, marker: &str) -> bool {
        self.at(hop, marker).any(|sighting| sighting.complete)
    }

    /// Bytes that moved to a hop, where counters are all there is.
    pub fn moved(&self, hop: Hop) -> u64 {
        self.moved.iter().find(|(h, _)| *h == hop).map_or(0, |(_, bytes)| *bytes)
    }
}

/// A running watch.
pub struct Watch<'a> {
    net: &'a dyn Net,
    hops: Vec<Hop>,
    markers: Vec<String>,
    packets: Option<Box<dyn PacketSource>>,
    streams: Streams,
    /// Counters at the start.
    before: Counters,
    report: Report,
}

type Counters = HashMap<(SocketAddr, SocketAddr), TcpSocket>;

/// How long a wait may be, so that a stop is noticed.
const SLICE: Duration = Duration::from_millis(50);

impl<'a> Watch<'a> {
    /// Starts watching on one interface (`lo` for a probe of this box), or on all. Never fails: what cannot be had is
    /// said in the report.
    pub fn start(net: &'a dyn Net, interface: Option<&str>, hops: &[Hop], markers: &[String]) -> Self {
        let mut report = Report { evidence: Evidence::Packets, excuse: None, sightings: Vec::new(), moved: Vec::new() };
        let (mut packets, mut before) = (None, Counters::new());
        match net.capture(interface) {
            Ok(source) => packets = Some(source),
            Err(error) => {
                report.excuse = Some(excuse(&error));
                match counters(net) {
                    Ok(now) => (report.evidence, before) = (Evidence::Counters, now),
                    Err(_) => report.evidence = Evidence::Nothing,
                }
            }
        }
        let (hops, markers) = (hops.to_vec(), markers.to_vec());
        Watch { net, hops, markers, packets, streams: Streams::default(), before, report }
    }

    /// Watches on until `done`, but at most for `limit`. Can be called again to go on.
    pub fn wait(
        &mut self,
        clock: &dyn Clock,
        stop: &Interrupt,
        limit: Duration,
        done: impl Fn(&Report) -> bool,
    ) -> &Report {
        let end = clock.monotonic() + limit;
        while !done(&self.report) && !stop.is_set() {
            let rest = end.saturating_sub(clock.monotonic());
            if rest.is_zero() {
                break;
            }
            match &self.packets {
                Some(_) => self.next_packet(rest.min(SLICE)),
                None => {
                    clock.sleep(rest.min(SLICE));
                    self.read_counters();
                }
            }
        }
        &self.report
    }

    pub fn report(&self) -> &Report {
        &self.report
    }

    fn next_packet(&mut self, limit: Duration) {
        let Some(source) = &mut self.packets else { return };
        match source.next(limit) {
            Ok(Some(packet)) => {
                let Some(segment) = segment(&packet) else { return };
                let hop = Hop { transport: segment.transport, port: segment.to.port() };
                if self.hops.contains(&hop) {
                    note(hop, &segment, &self.markers, &mut self.streams, &mut self.report.sightings);
                }
            }
            Ok(None) => {}
            Err(error) => {
                // The interface went away, or the like: what was seen so far stays true.
                self.report.excuse = Some(excuse(&error));
                self.packets = None;
                if self.report.sightings.is_empty() {
                    self.report.evidence = Evidence::Nothing;
                }
            }
        }
    }

    fn read_counters(&mut self) {
        if self.report.evidence != Evidence::Counters {
            return;
        }
        let Ok(now) = counters(self.net) else { return };
        self.report.moved = self
            .hops
            .iter()
            .filter(|hop| hop.transport == Transport::Tcp)
            .map(|hop| (*hop, moved(&self.before, &now, hop.port)))
            .collect();
    }
}

fn excuse(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "; hint: a packet socket needs root or CAP_NET_RAW",
        _ => "",
    };
    format!("could not capture packets: {error}{hint}")
}

fn counters(net: &dyn Net) -> io::Result<Counters> {
    Ok(net.tcp_sockets()?.into_iter().map(|socket| ((socket.local, socket.remote), socket)).collect())
}

/// Bytes that have moved towards a port: acknowledged to a sender on this box, or else received from one elsewhere.
fn moved(before: &Counters, now: &Counters, port: u16) -> u64 {
    let grown = |key: &(SocketAddr, SocketAddr), count: fn(&TcpSocket) -> Option<u64>| {
        let now = now.get(key).and_then(count).unwrap_or(0);
        now.saturating_sub(before.get(key).and_then(count).unwrap_or(0))
    };
    let sent = |s: &&TcpSocket| s.remote.port() == port;
    let received = |s: &&TcpSocket| s.local.port() == port && !now.contains_key(&(s.remote, s.local));
    let out: u64 = now.values().filter(sent).map(|s| grown(&(s.local, s.remote), |s| s.acknowledged)).sum();
    let inn: u64 = now.values().filter(received).map(|s| grown(&(s.local, s.remote), |s| s.received)).sum();
    out + inn
}

/// Adds what a segment shows of the markers.
fn note(hop: Hop, segment: &Segment<'_>, markers: &[String], streams: &mut Streams, seen: &mut Vec<Sighting>) {
    let mut look = |line: &[u8], complete: bool| {
        for marker in markers.iter().filter(|marker| has_marker(line, marker)) {
            add(
                seen,
                Sighting {
                    marker: marker.clone(),
                    hop,
                    from: segment.from,
                    to: segment.to,
                    line: line.to_vec(),
                    complete,
                },
            );
        }
    };
    match segment.transport {
        Transport::Udp => look(segment.payload, true),
        Transport::Tcp => streams.feed(segment, &mut look),
    }
}

/// A line that grows is one sighting; a datagram seen on two interfaces, too.
fn add(seen: &mut Vec<Sighting>, new: Sighting) {
    let same = |old: &&mut Sighting| {
        (&old.marker, old.hop, old.from, old.to) == (&new.marker, new.hop, new.from, new.to)
            && (!old.complete && new.line.starts_with(&old.line)
                || new.hop.transport == Transport::Udp && old.line == new.line)
    };
    match seen.iter_mut().find(same) {
        Some(old) => (old.line, old.complete) = (new.line, new.complete),
        None => seen.push(new),
    }
}
