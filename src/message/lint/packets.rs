//! Messages out of packets: datagrams as they are, TCP streams put in order and cut. Bounded in streams and bytes,
//! since a port that anybody can send to must not fill the memory of who looks at it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::frames::{Frames, Framing, begins_message};
use crate::host::Packet;
use crate::message::capture::fragments::Fragments;
use crate::message::capture::sequence::{Fresh, Sequence};
use crate::message::capture::{Segment, segment};
use crate::message::send::Transport;

/// Streams that are followed at once.
const MOST_STREAMS: usize = 2000;

/// Segments of one stream that are held until those come that belong in front of them, and their bytes.
const MOST_HELD: usize = 32;
const MOST_HELD_BYTES: usize = 256 << 10;

/// Which packets count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Destination ports; empty takes all.
    pub ports: BTreeSet<u16>,
    /// Destination addresses; empty takes all. A box that sends to another collector's port 514 is no sender here.
    pub to: BTreeSet<IpAddr>,
}

/// A message that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub transport: Transport,
    pub from: SocketAddr,
    /// That it was sent to.
    pub port: u16,
    pub bytes: &'a [u8],
    pub framing: Framing,
}

/// Puts messages together.
#[derive(Default)]
pub struct Assembler {
    filter: Filter,
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    fragments: Fragments,
    /// Segments of streams that were not followed, because there were too many.
    pub ignored: u64,
    /// Senders that speak TLS: what they say cannot be read on the way.
    pub encrypted: BTreeSet<IpAddr>,
    /// Messages that were too long to keep.
    pub too_long: u64,
}

#[derive(Default)]
struct Stream {
    order: Sequence,
    /// What came too early, by its sequence number.
    held: BTreeMap<u32, Vec<u8>>,
    frames: Frames,
    /// Where messages begin is known.
    joined: bool,
    tls: bool,
}

impl Assembler {
    pub fn new(filter: Filter) -> Self {
        Assembler { filter, ..Assembler::default() }
    }

    /// Takes one packet in; `on` gets every message that it completes.
    pub fn feed(&mut self, packet: &Packet<'_>, on: &mut dyn FnMut(Seen<'_>)) {
        let Some(segment) = segment(packet) else {
            if let Some(datagram) = self.fragments.take(packet).filter(|d| self.is_wanted(d.to)) {
                self.datagram(datagram.from, datagram.to.port(), &datagram.payload, on);
            }
            return;
        };
        if !self.is_wanted(segment.to) {
            return;
        }
        match segment.transport {
            Transport::Udp => self.datagram(segment.from, segment.to.port(), segment.payload, on),
            Transport::Tcp => self.in_order(&segment, on),
        }
    }

    fn datagram(&self, from: SocketAddr, port: u16, payload: &[u8], on: &mut dyn FnMut(Seen<'_>)) {
        // An empty datagram is how some devices ask whether somebody is there.
        if !payload.is_empty() {
            let bytes = payload.strip_suffix(b"\n").unwrap_or(payload);
            on(Seen { transport: Transport::Udp, from, port, bytes, framing: Framing::Datagram });
        }
    }

    fn is_wanted(&self, to: SocketAddr) -> bool {
        (self.filter.ports.is_empty() || self.filter.ports.contains(&to.port()))
            && (self.filter.to.is_empty() || is_for_all(to.ip()) || self.filter.to.contains(&to.ip()))
    }

    /// Holds a segment that came too early until the stream has got there, or so much is held that the rest will not come.
    fn in_order(&mut self, segment: &Segment<'_>, on: &mut dyn FnMut(Seen<'_>)) {
        let key = (segment.from, segment.to);
        if let Some(stream) = self.streams.get_mut(&key).filter(|s| s.order.ahead(segment).is_some()) {
            if segment.payload.is_empty() {
                return;
            }
            stream.held.entry(segment.sequence).or_insert_with(|| segment.payload.to_vec());
            let bytes: usize = stream.held.values().map(Vec::len).sum();
            if stream.held.len() <= MOST_HELD && bytes <= MOST_HELD_BYTES {
                return;
            }
            return self.release(key, true, on);
        }
        self.stream(segment, on);
        self.release(key, false, on);
    }

    /// Passes on what is held: all that follows now, or with `all` whatever is there.
    fn release(&mut self, key: (SocketAddr, SocketAddr), all: bool, on: &mut dyn FnMut(Seen<'_>)) {
        let mut all = all;
        while let Some(stream) = self.streams.get_mut(&key) {
            let segment_at = |sequence: u32, payload| Segment {
                transport: Transport::Tcp,
                from: key.0,
                to: key.1,
                payload,
                sequence,
                start: false,
            };
            // Numbers start again at zero: the nearest one comes first, not the least.
            let nearest =
                stream.held.keys().copied().min_by_key(|s| stream.order.ahead(&segment_at(*s, &[])).unwrap_or(0));
            let Some(sequence) = nearest else { return };
            if !all && stream.order.ahead(&segment_at(sequence, &[])).is_some() {
                return;
            }
            let Some(payload) = stream.held.remove(&sequence) else { return };
            // Behind one gap the next one is worth waiting for again.
            all &= stream.held.len() > MOST_HELD / 2;
            self.stream(&segment_at(sequence, &payload), on);
        }
    }

    fn stream(&mut self, segment: &Segment<'_>, on: &mut dyn FnMut(Seen<'_>)) {
        let key = (segment.from, segment.to);
        if self.streams.len() >= MOST_STREAMS && !self.streams.contains_key(&key) {
            self.ignored += 1;
            return;
        }
        let stream = self.streams.entry(key).or_default();
        let data = match stream.order.take(segment) {
            Fresh::Nothing => {
                stream.joined |= segment.start;
                return;
            }
            Fresh::Next(data) => data,
            Fresh::Anew(data) => {
                stream.frames.gap();
                stream.joined = segment.start;
                data
            }
        };
        if is_tls(data) && (!stream.joined || stream.frames.is_fresh()) {
            stream.tls = true;
        }
        if stream.tls {
            self.encrypted.insert(segment.from.ip());
            return;
        }
        // Joined in the middle, a stream's first bytes may be the rest of a message.
        stream.joined |= begins_message(data);
        if !stream.joined {
            let Some(at) = data.iter().position(|b| *b == b'\n') else { return };
            stream.joined = true;
            return self.cut(key, data.get(at + 1..).unwrap_or_default(), on);
        }
        self.cut(key, data, on);
    }

    fn cut(&mut self, key: (SocketAddr, SocketAddr), data: &[u8], on: &mut dyn FnMut(Seen<'_>)) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let before = stream.frames.too_long;
        stream.frames.feed(data, &mut |bytes, framing| {
            on(Seen { transport: Transport::Tcp, from: key.0, port: key.1.port(), bytes, framing });
        });
        self.too_long += stream.frames.too_long - before;
    }

    /// At the end of a watch: what is held for segments that did not come.
    pub fn release_all(&mut self, on: &mut dyn FnMut(Seen<'_>)) {
        let held: Vec<_> = self.streams.iter().filter(|(_, s)| !s.held.is_empty()).map(|(key, _)| *key).collect();
        for key in held {
            while self.streams.get(&key).is_some_and(|s| !s.held.is_empty()) {
                self.release(key, true, on);
            }
        }
    }

    /// At the end of a capture file: what is held, and what was never ended.
    pub fn end(&mut self, on: &mut dyn FnMut(Seen<'_>)) {
        self.release_all(on);
        for ((from, to), stream) in &mut self.streams {
            stream.frames.end(&mut |bytes, framing| {
                on(Seen { transport: Transport::Tcp, from: *from, port: to.port(), bytes, framing })
            });
        }
    }
}

fn is_for_all(to: IpAddr) -> bool {
    to.is_multicast() || matches!(to, IpAddr::V4(v4) if v4.is_broadcast())
}

/// A handshake record, or application data, of TLS 1.0 to 1.3.
fn is_tls(data: &[u8]) -> bool {
    matches!(data, [0x14..=0x17, 0x03, 0x00..=0x04, ..])
}
