//! Streams cut into messages as a collector's listener cuts them: at line feeds or NUL bytes, or by a length in front
//! (RFC 6587). Bounded: a message that never ends is given up.

use serde::{Deserialize, Serialize};

/// How a message was told apart from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// A datagram of its own.
    Datagram,
    LineFeed,
    Nul,
    /// Its length stood in front.
    OctetCount,
    /// The stream ended within it.
    Unterminated,
}

impl Framing {
    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Framing::Datagram => "datagram",
            Framing::LineFeed => "line-feed",
            Framing::Nul => "nul",
            Framing::OctetCount => "octet-count",
            Framing::Unterminated => "unterminated",
        }
    }
}

/// Bytes of one message that are kept.
pub const CAP: usize = 256 << 10;

/// One stream.
#[derive(Debug, Default)]
pub struct Frames {
    pending: Vec<u8>,
    /// Bytes to leave out: the rest of a message that was too long.
    skip_line: bool,
    skip_bytes: usize,
    /// Messages that were longer than [`CAP`].
    pub too_long: u64,
}

impl Frames {
    /// Takes bytes in; `on` gets every message that they complete.
    pub fn feed(&mut self, data: &[u8], on: &mut dyn FnMut(&[u8], Framing)) {
        let jump = self.skip_bytes.min(data.len());
        self.skip_bytes -= jump;
        let mut rest = data.get(jump..).unwrap_or_default();
        if self.skip_line {
            let Some(at) = rest.iter().position(is_end) else { return };
            rest = rest.get(at + 1..).unwrap_or_default();
            self.skip_line = false;
        }
        if self.pending.is_empty() {
            let used = self.cut(rest, on);
            self.keep(rest.get(used..).unwrap_or_default());
        } else {
            self.pending.extend_from_slice(rest);
            let pending = std::mem::take(&mut self.pending);
            let used = self.cut(&pending, on);
            self.keep(pending.get(used..).unwrap_or_default());
        }
    }

    /// The stream is over: what is pending was never ended.
    pub fn end(&mut self, on: &mut dyn FnMut(&[u8], Framing)) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            on(&pending, Framing::Unterminated);
        }
    }

    /// Nothing is pending: a message begins with the next byte.
    pub fn is_fresh(&self) -> bool {
        self.pending.is_empty() && !self.skip_line && self.skip_bytes == 0
    }

    /// Forgets what is pending: bytes are missing.
    pub fn gap(&mut self) {
        *self = Frames { too_long: self.too_long, ..Frames::default() };
    }

    /// Cuts all whole messages off; returns how many bytes they took.
    fn cut(&mut self, data: &[u8], on: &mut dyn FnMut(&[u8], Framing)) -> usize {
        let mut at = 0;
        while let Some(rest) = data.get(at..).filter(|r| !r.is_empty()) {
            if let Some((prefix, length)) = octet_count(rest) {
                match rest.get(prefix..prefix.saturating_add(length)) {
                    Some(message) => on(message.strip_suffix(b"\n").unwrap_or(message), Framing::OctetCount),
                    None if length > CAP => {
                        self.too_long += 1;
                        self.skip_bytes = (prefix + length).saturating_sub(rest.len());
                        return data.len();
                    }
                    None => return at,
                }
                at += prefix + length;
                continue;
            }
            let Some(end) = rest.iter().position(is_end) else { return at };
            let message = rest.get(..end).unwrap_or_default();
            let framing = if rest.get(end) == Some(&0) { Framing::Nul } else { Framing::LineFeed };
            // An empty line between messages is no message.
            if !message.iter().all(u8::is_ascii_whitespace) {
                on(message, framing);
            }
            at += end + 1;
        }
        at
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.len() > CAP + 16 {
            self.too_long += 1;
            self.skip_line = true;
        } else {
            self.pending.extend_from_slice(rest);
        }
    }
}

fn is_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | 0)
}

/// `57 <165>…`: how long the count is with its blank, and what it says. A message that begins with a number of its own
/// has no PRI behind it.
fn octet_count(data: &[u8]) -> Option<(usize, usize)> {
    let digits = data.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > 7 || !data.get(digits..)?.starts_with(b" <") {
        return None;
    }
    let length = std::str::from_utf8(data.get(..digits)?).ok()?.parse().ok()?;
    Some((digits + 1, length)).filter(|(_, length)| *length > 0)
}

/// Does a stream that is joined in the middle begin a message here?
pub fn begins_message(data: &[u8]) -> bool {
    let pri = |d: &[u8]| {
        let digits = d.get(1..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
        d.first() == Some(&b'<') && (1..=3).contains(&digits) && d.get(digits + 1) == Some(&b'>')
    };
    pri(data) || octet_count(data).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<(String, Framing)> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        let mut on = |m: &[u8], f| found.push((String::from_utf8_lossy(m).into_owned(), f));
        parts.iter().for_each(|p| frames.feed(p, &mut on));
        frames.end(&mut on);
        found
    }

    #[test]
    fn lines_nul_and_counts_wherever_the_packets_end() {
        let text = [b"<1>one\r\n\n<2>two\0".as_slice(), b"8 <3>three9 <4>f\nour\n", b"<5>five"].concat();
        let whole = cut(&[&text]);
        let names: Vec<_> = whole.iter().map(|(m, f)| (m.as_str(), *f)).collect();
        assert_eq!(
            names,
            [
                ("<1>one\r", Framing::LineFeed),
                ("<2>two", Framing::Nul),
                ("<3>three", Framing::OctetCount),
                ("<4>f\nour", Framing::OctetCount),
                ("<5>five", Framing::Unterminated),
            ]
        );
        for split in 0..text.len() {
            assert_eq!(cut(&[&text[..split], &text[split..]]), whole, "split at {split}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(cut(&bytes), whole);
    }

    #[test]
    fn a_number_that_is_no_count_belongs_to_the_message() {
        assert_eq!(cut(&[b"2026 text\n"]), [("2026 text".to_owned(), Framing::LineFeed)]);
        assert_eq!(cut(&[b"99999999 <1>x\n"]), [("99999999 <1>x".to_owned(), Framing::LineFeed)]);
    }

    #[test]
    fn what_never_ends_is_given_up_and_the_next_one_is_found() {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        let mut on = |m: &[u8], _| found.push(m.to_vec());
        for _ in 0..100 {
            frames.feed(&[b'x'; 8192], &mut on);
            assert!(frames.pending.len() <= CAP + 16 + 8192);
        }
        frames.feed(b"end\nnext\n", &mut on);
        frames.feed(b"900000 <1>", &mut on);
        frames.feed(&vec![b'y'; 900_000 - 3], &mut on);
        frames.feed(b"last\n", &mut on);
        assert_eq!(found, [b"next".to_vec(), b"last".to_vec()]);
        assert_eq!(frames.too_long, 2);
    }

    #[test]
    fn a_stream_is_joined_where_a_message_begins() {
        assert!(begins_message(b"<165>Aug") && begins_message(b"57 <165>Aug"));
        assert!(!begins_message(b"text <165>") && !begins_message(b"<abc>") && !begins_message(b"<1234>x"));
    }
}
