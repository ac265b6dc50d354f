//! A place in the bytes of an event, and the pieces of a header that can be taken from there.

use super::NAME_MAX;
use crate::syslog::Text;

/// A place in the bytes of an event.
pub(super) struct Cursor<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

impl Cursor<'_> {
    pub fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn eat(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    /// Digits as a number, none being 0; stops short of an overflow.
    pub fn number(&mut self) -> i32 {
        let mut n = 0i32;
        while let Some(digit) = self.rest().first().filter(|b| b.is_ascii_digit() && n < i32::MAX / 10 - 1) {
            n = n.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        n
    }

    /// Up to the next blank, which is eaten.
    pub fn word(&mut self) -> Text {
        let end = self.rest().iter().position(|b| *b == b' ').unwrap_or(self.rest().len());
        let word = Text::from(&self.rest()[..end]);
        self.at += end + usize::from(end < self.rest().len());
        word
    }

    /// `-` or `[…]` up to a bracket with a blank behind it. Nothing is moved where there is none.
    pub fn structured_data(&mut self) -> Option<Text> {
        let rest = self.rest();
        let end = match rest.first() {
            Some(b'-') => 1,
            Some(b'[') => {
                let mut i = 0;
                loop {
                    match (rest.get(i), rest.get(i + 1)) {
                        (Some(b']'), Some(b' ') | None) => break i + 1,
                        (Some(b'\\'), Some(b']')) => i += 2,
                        (Some(_), Some(_)) => i += 1,
                        _ => break i,
                    }
                }
            }
            _ => return None,
        };
        let data = Text::from(&rest[..end]);
        self.at += end;
        let _ = self.eat(b' ');
        Some(data)
    }

    /// Letters, digits, dot, dash and underscore, ending in a letter or digit and followed by a blank.
    pub fn hostname_3164(&mut self) -> Option<Text> {
        let belongs = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let rest = self.rest();
        let len = rest.iter().take_while(|b| belongs(b)).count().min(NAME_MAX + 1);
        if rest.is_empty() {
            return None;
        }
        let name = &rest[..len];
        let ends_well = name.last().is_some_and(u8::is_ascii_alphanumeric) && rest.get(len) == Some(&b' ');
        if len < rest.len() && !ends_well {
            return None;
        }
        let name = Text::from(name);
        self.at += if len == rest.len() { len } else { len + 1 };
        Some(name)
    }

    /// Up to a blank, or up to a colon that belongs to it.
    pub fn tag_3164(&mut self) -> Text {
        let rest = self.rest();
        let len = rest.iter().take_while(|b| !matches!(b, b':' | b' ')).count().min(NAME_MAX);
        let len = if rest.get(len) == Some(&b':') { len + 1 } else { len };
        let tag = Text::from(&rest[..len]);
        self.at += len;
        tag
    }

    pub fn ranged(&mut self, least: i32, most: i32) -> Option<u8> {
        let n = self.number();
        (least..=most).contains(&n).then_some(n as u8)
    }

    pub fn fraction(&mut self) -> (u32, u8) {
        if self.eat(b'.').is_none() {
            return (0, 0);
        }
        let start = self.at;
        let n = self.number();
        (n.max(0) as u32, (self.at - start).min(9) as u8)
    }

    /// A blank or the end must follow a time.
    pub fn end_of_time(&mut self) -> Option<()> {
        if self.rest().is_empty() { Some(()) } else { self.eat(b' ') }
    }
}
