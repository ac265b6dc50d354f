//! Messages out of packets: datagrams as they are, TCP streams put in order and cut. Bounded in streams and bytes,
//! since a port that anybody can send to must not fill the memory of who looks at it.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::frames::{Frames, Framing, begins_message};
use crate::host::Packet;
use crate::message::capture::sequence::{Fresh, Sequence};
use crate::message::capture::{Segment, segment};
use crate::message::send::Transport;

/// Streams that are followed at once.
const MOST_STREAMS: usize = 2000;

/// Which packets count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Destination port; `None` takes all.
    pub port: Option<u16>,
    /// Destination addresses; empty takes all. A box that sends to another collector's port 514 is no sender here.
    pub to: BTreeSet<IpAddr>,
}

/// A message that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub transport: Transport,
    pub from: SocketAddr,
    pub bytes: &'a [u8],
    pub framing: Framing,
}

/// Puts messages together.
#[derive(Default)]
pub struct Assembler {
    filter: Filter,
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
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
        let Some(segment) = segment(packet).filter(|s| self.is_wanted(s)) else { return };
        let (transport, from) = (segment.transport, segment.from);
        match transport {
            // An empty datagram is how some devices ask whether somebody is there.
            Transport::Udp if segment.payload.is_empty() => {}
            Transport::Udp => {
                let bytes = segment.payload.strip_suffix(b"\n").unwrap_or(segment.payload);
                on(Seen { transport, from, bytes, framing: Framing::Datagram });
            }
            Transport::Tcp => self.stream(&segment, on),
        }
    }

    fn is_wanted(&self, segment: &Segment<'_>) -> bool {
        self.filter.port.is_none_or(|port| segment.to.port() == port)
            && (self.filter.to.is_empty() || is_for_all(segment.to.ip()) || self.filter.to.contains(&segment.to.ip()))
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
            on(Seen { transport: Transport::Tcp, from: key.0, bytes, framing });
        });
        self.too_long += stream.frames.too_long - before;
    }

    /// At the end of a capture file: what was never ended.
    pub fn end(&mut self, on: &mut dyn FnMut(Seen<'_>)) {
        for ((from, _), stream) in &mut self.streams {
            stream
                .frames
                .end(&mut |bytes, framing| on(Seen { transport: Transport::Tcp, from: *from, bytes, framing }));
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
