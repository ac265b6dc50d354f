//! Lines of TCP streams, from packets: in their order, repeats left out, whatever the packets' borders.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::Segment;
use super::sequence::{Fresh, Sequence};

/// Bytes of a line that are kept.
const CAP: usize = 1 << 20;

/// The streams seen so far.
#[derive(Default)]
pub struct Streams {
    open: HashMap<(SocketAddr, SocketAddr), Stream>,
}

#[derive(Default)]
struct Stream {
    order: Sequence,
    /// The line that is not complete yet.
    pending: Vec<u8>,
}

impl Streams {
    /// Takes a segment in. `on` gets each line that it completes, and the beginning of the one still open, with `false`.
    pub fn feed(&mut self, segment: &Segment<'_>, on: &mut dyn FnMut(&[u8], bool)) {
        let stream = self.open.entry((segment.from, segment.to)).or_default();
        let mut data = match stream.order.take(segment) {
            Fresh::Nothing => return,
            Fresh::Next(data) => data,
            Fresh::Anew(data) => {
                // What is pending does not belong to this.
                stream.pending.clear();
                data
            }
        };
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
