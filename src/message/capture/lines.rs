//! Lines of TCP streams, from packets: in their order, repeats left out, whatever the packets' borders.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::Segment;

/// Bytes of a line that are kept.
const CAP: usize = 1 << 20;

/// The streams seen so far.
#[derive(Default)]
pub struct Streams {
    open: HashMap<(SocketAddr, SocketAddr), Stream>,
}

#[derive(Default)]
struct Stream {
    /// Number of the byte that comes next; `None` before the first packet.
    next: Option<u32>,
    /// The line that is not complete yet.
    pending: Vec<u8>,
}

impl Streams {
    /// Takes a segment in. `on` gets each line that it completes, and the beginning of the one still open, with `false`.
    pub fn feed(&mut self, segment: &Segment<'_>, on: &mut dyn FnMut(&[u8], bool)) {
        let stream = self.open.entry((segment.from, segment.to)).or_default();
        let Some(mut data) = stream.fresh(segment) else { return };
        while let Some(at) = data.iter().position(|&b| b == b'\n') {
            let (line, rest) = data.split_at(at);
            stream.pending.extend_from_slice(line);
            on(&stream.pending, true);
            stream.pending.clear();
            data = rest.get(1..).unwrap_or_default();
        }
        if stream.pending.len() + data.len() > CAP {
            stream.pending.clear();
        }
        stream.pending.extend_from_slice(data);
        if !stream.pending.is_empty() {
            on(&stream.pending, false);
        }
    }
}

impl Stream {
    /// The part of a segment that was not there before.
    fn fresh<'a>(&mut self, segment: &Segment<'a>) -> Option<&'a [u8]> {
        if segment.start {
            *self = Stream { next: Some(segment.sequence), pending: Vec::new() };
        }
        let next = self.next.unwrap_or(segment.sequence);
        let seen = next.wrapping_sub(segment.sequence);
        let data = if seen < 1 << 31 {
            segment.payload.get(seen as usize..)?
        } else {
            // Packets between were missed, so what is pending does not belong to this.
            self.pending.clear();
            segment.payload
        };
        if data.is_empty() {
            return None;
        }
        self.next = Some(segment.sequence.wrapping_add(u32::try_from(segment.payload.len()).ok()?));
        Some(data)
    }
}
