//! Pieces of a syslog header, read where the daemon reads them.

use crate::syslog::syslogng::version::Version;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(super) fn take(&mut self, byte: u8) {
        self.0 = self.0.strip_prefix(&[byte]).unwrap_or(self.0);
    }

    pub(super) fn must(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    pub(super) fn skip(&mut self, bytes: &[u8]) {
        let n = self.0.iter().take_while(|b| bytes.contains(b)).count();
        self.0 = &self.0[n..];
    }

    pub(super) fn until(&mut self, end: impl Fn(u8) -> bool) -> &'a [u8] {
        let n = self.0.iter().take_while(|b| !end(**b)).count();
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    /// `123: ` in front of the time, as IOS writes it.
    pub(super) fn sequence_number(&mut self) {
        let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if self.0[digits..].starts_with(b": ") {
            self.0 = &self.0[digits + 1..];
        }
    }

    /// Does the text look like this? `d` a digit, `n` a digit or a blank, `M` a month's name, else the byte itself.
    fn looks(&self, shape: &str) -> bool {
        let shape = shape.as_bytes();
        let mut at = 0;
        for &s in shape {
            let fits = match (s, self.0.get(at)) {
                (b'M', _) => self.0.get(at..at + 3).is_some_and(|m| MONTHS.contains(&m)),
                (b'd', Some(b)) => b.is_ascii_digit(),
                (b'n', Some(b)) => b.is_ascii_digit() || *b == b' ',
                (s, Some(b)) => s == *b,
                (_, None) => false,
            };
            if !fits {
                return false;
            }
            at += if s == b'M' { 3 } else { 1 };
        }
        true
    }

    fn advance(&mut self, n: usize) {
        self.0 = self.0.get(n..).unwrap_or_default();
    }

    /// Any of the times that are known in front of a host name.
    pub(super) fn timestamp(&mut self, program: Option<Version>) -> bool {
        let since = |major, minor| program.is_none_or(|v| v >= Version::new(major, minor, 0));
        if self.looks("M nd dddd dd:dd:dd:") || self.looks("M nd dddd dd:dd:dd ") {
            self.advance(20);
            self.take(b':');
        } else if self.looks("M nd dd:dd:dd dddd ") {
            self.advance(20);
        } else if self.looks("M nd dd:dd:dd") {
            self.advance(15);
            self.fraction(false);
        } else if since(4, 5) && self.looks("M d dd:dd:dd") {
            self.advance(14);
            self.fraction(false);
        } else if since(3, 36) && self.looks("dddd-dd-dd dd:dd:dd") {
            self.advance(19);
            self.fraction(since(3, 37));
            self.zone();
        } else if !self.iso(since(3, 37)) {
            return false;
        }
        self.take(b':');
        true
    }

    pub(super) fn iso(&mut self, comma: bool) -> bool {
        if !self.looks("dddd-dd-ddTdd:dd:dd") {
            return false;
        }
        self.advance(19);
        self.fraction(comma);
        self.zone();
        true
    }

    fn zone(&mut self) {
        if self.looks("Z") {
            self.advance(1);
        } else if self.looks("+dd:dd") || self.looks("-dd:dd") {
            self.advance(6);
        }
    }

    fn fraction(&mut self, comma: bool) {
        if self.peek() == Some(b'.') || (comma && self.peek() == Some(b',')) {
            let digits = self.0[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            self.advance(1 + digits);
        }
    }

    /// A word with a blank behind it, without `[`; a colon only where it may be an IPv6 address.
    pub(super) fn host(&mut self) -> Option<&'a [u8]> {
        let (mut colons, mut digits, mut v6) = (0, 0, true);
        let mut end = 0;
        for &b in self.0.iter().take(255) {
            if matches!(b, b' ' | b'[') {
                break;
            }
            match b {
                b':' => (colons, digits) = (colons + 1, 0),
                b => (digits, v6) = (digits + 1, v6 && b.is_ascii_hexdigit()),
            }
            v6 = v6 && colons < 8 && digits <= 4;
            if b == b':' && !v6 {
                break;
            }
            end += 1;
        }
        if self.0.get(end) != Some(&b' ') {
            return None;
        }
        let host = &self.0[..end];
        self.advance(end);
        Some(host)
    }

    /// `-` or `[id name="value" …]…`
    pub(super) fn structured_data(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.advance(1);
            return Some(());
        }
        let (mut quoted, mut open, mut at) = (false, false, 0);
        while let Some(&b) = self.0.get(at) {
            match b {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b'[' if !quoted && !open => open = true,
                b']' if !quoted => open = false,
                _ if !open => break,
                _ => {}
            }
            at += 1;
        }
        if open || at == 0 {
            return None;
        }
        self.advance(at);
        Some(())
    }
}
