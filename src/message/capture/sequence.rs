//! The bytes of a TCP stream in their order: repeats left out, gaps told.

use super::Segment;

/// Where a stream is.
#[derive(Debug, Default)]
pub struct Sequence {
    /// Number of the byte that comes next; `None` before the first packet.
    next: Option<u32>,
}

/// What a segment adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh<'a> {
    /// Nothing that was not there before.
    Nothing,
    Next(&'a [u8]),
    /// Packets between were missed, or the stream begins anew.
    Anew(&'a [u8]),
}

impl Sequence {
    pub fn take<'a>(&mut self, segment: &Segment<'a>) -> Fresh<'a> {
        let fresh = self.fresh(segment);
        if let Fresh::Next(_) | Fresh::Anew(_) = fresh {
            let length = u32::try_from(segment.payload.len()).unwrap_or_default();
            self.next = Some(segment.sequence.wrapping_add(length));
        }
        fresh
    }

    /// How far a segment lies behind a gap; `None` where it does not.
    pub fn ahead(&self, segment: &Segment<'_>) -> Option<u32> {
        let distance = segment.sequence.wrapping_sub(self.next?);
        (!segment.start && distance > 0 && distance < 1 << 20).then_some(distance)
    }

    fn fresh<'a>(&mut self, segment: &Segment<'a>) -> Fresh<'a> {
        if segment.start {
            self.next = Some(segment.sequence);
            return Fresh::Anew(segment.payload);
        }
        let first = self.next.is_none();
        let seen = self.next.unwrap_or(segment.sequence).wrapping_sub(segment.sequence);
        if seen >= 1 << 31 {
            return Fresh::Anew(segment.payload);
        }
        match segment.payload.get(seen as usize..).filter(|data| !data.is_empty()) {
            Some(data) if first => Fresh::Anew(data),
            Some(data) => Fresh::Next(data),
            None => Fresh::Nothing,
        }
    }
}
