//! The syslog header of a line as devices really write it: many kinds of time, zone words, hosts with a colon, no host.
//! Lenient on purpose: it says what a person would read, so that what the agent or a daemon reads can be held against it.

use std::ops::Range;

use serde::Serialize;

use super::time::{ISO_SHAPE, month_by_name};

/// How the time of a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeKind {
    /// `Mmm dd hh:mm:ss`
    Bsd,
    /// `Mmm dd yyyy hh:mm:ss`
    BsdYear,
    /// `Www Mmm dd hh:mm:ss yyyy`
    Ctime,
    /// `dd Mmm [yyyy] hh:mm:ss`
    DayMonth,
    /// `yyyy-mm-ddThh:mm:ss`, see [`Time::fraction`] and [`Time::zone`].
    Iso,
    /// `yyyy-mm-dd hh:mm:ss`
    IsoBlank,
    /// Seconds since 1970.
    Epoch,
    /// `-` in the place of an RFC 5424 time.
    Nil,
    /// There is a clock (`12:34`), but in no shape known here.
    Odd,
    None,
}

/// What follows the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    None,
    Z,
    /// `+hh:mm` or `+hhmm`
    Offset,
    /// `+hh`
    ShortOffset,
}

/// The time of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    pub kind: TimeKind,
    /// From the first word to the zone; empty for [`TimeKind::None`] and [`TimeKind::Odd`].
    pub place: Range<usize>,
    /// Digits behind the seconds.
    pub fraction: usize,
    pub zone: Zone,
}

/// A header: what stands between the PRI and the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// RFC 5424 version `1` in front of the time.
    pub version_1: bool,
    pub time: Time,
    /// A zone as a word of its own behind the time (`UTC`).
    pub zone_word: Option<Range<usize>>,
    pub host: Option<Range<usize>>,
    /// Where the header ends: behind host and colon, or behind what could be read of it.
    pub end: usize,
}

/// Words that devices put behind the time and that no host is called.
const ZONE_WORDS: [&str; 24] = [
    "UTC", "GMT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "CET", "CEST", "WET", "WEST", "EET", "EEST",
    "BST", "IST", "MSK", "JST", "KST", "SGT", "AEST", "AEDT",
];

pub(crate) fn is_zone_word(word: &[u8]) -> bool {
    ZONE_WORDS.iter().any(|zone| zone.as_bytes() == word)
}

/// Reads the header at the start of `text`, the line behind its PRI; `event` is where the event starts, as far as known.
pub fn read(text: &[u8], event: Option<usize>) -> Header {
    let mut cursor = Cursor { text: text.get(..event.unwrap_or(text.len())).unwrap_or(text), at: 0 };
    // Cisco puts a sequence number, a colon, or `*` and `.` (clock not set) in front of the time.
    let ornament = |b| matches!(b, b' ' | b':' | b'*' | b'.');
    cursor.skip(ornament);
    let numbered = cursor.clone().digits(1..=10).and_then(|c| c.byte(b':')).and_then(Cursor::blanks);
    if let Some(behind) = numbered {
        cursor = behind;
        cursor.skip(ornament);
    }
    let version_1 = cursor.rest().starts_with(b"1 ");
    if version_1 {
        cursor.at += 2;
    }
    let time = cursor.time();
    if time.place.is_empty() {
        return Header { version_1, time, zone_word: None, host: None, end: cursor.at };
    }
    let (zone_word, host) = cursor.host();
    Header { version_1, time, zone_word, host, end: cursor.at }
}

#[derive(Clone)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn run(&self, class: impl Fn(u8) -> bool) -> usize {
        self.rest().iter().take_while(|&&b| class(b)).count()
    }

    fn skip(&mut self, class: impl Fn(u8) -> bool) -> usize {
        let count = self.run(class);
        self.at += count;
        count
    }

    /// Behind a run of digits of one of these lengths.
    fn digits(mut self, lengths: std::ops::RangeInclusive<usize>) -> Option<Self> {
        let count = self.skip(|b| b.is_ascii_digit());
        lengths.contains(&count).then_some(self)
    }

    fn byte(mut self, byte: u8) -> Option<Self> {
        (self.peek()? == byte).then(|| self.at += 1)?;
        Some(self)
    }

    fn blanks(mut self) -> Option<Self> {
        (self.skip(|b| b == b' ') > 0).then_some(self)
    }

    /// A month (or weekday, by `known`) of at least three letters.
    fn name(mut self, known: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let len = self.run(|b| b.is_ascii_alphabetic());
        if !known(self.rest().get(..len)?) {
            return None;
        }
        self.at += len;
        Some(self)
    }

    fn month(self) -> Option<Self> {
        self.name(|word| month_by_name(word).is_some())
    }

    fn clock(self) -> Option<Self> {
        self.digits(1..=2)?.byte(b':')?.digits(2..=2)?.byte(b':')?.digits(2..=2)
    }

    /// The time at the cursor, which moves behind it.
    fn time(&mut self) -> Time {
        let start = self.at;
        let found = self
            .iso()
            .or_else(|| self.month_first())
            .or_else(|| self.weekday_first())
            .or_else(|| self.day_first())
            .or_else(|| self.epoch());
        let none = |kind| Time { kind, place: start..start, fraction: 0, zone: Zone::None };
        if let Some((kind, behind)) = found {
            self.at = behind.at;
            let (fraction, zone) = if kind == TimeKind::Ctime { (0, Zone::None) } else { self.fraction_and_zone() };
            return Time { kind, place: start..self.at, fraction, zone };
        }
        if self.rest().starts_with(b"- ") {
            self.at += 1;
            return Time { kind: TimeKind::Nil, place: start..self.at, fraction: 0, zone: Zone::None };
        }
        if !has_clock(self.rest()) {
            return none(TimeKind::None);
        }
        self.later_time().unwrap_or_else(|| none(TimeKind::Odd))
    }

    /// A relay may have put a time of its own, in its own form, in front of the header: looks for a known form at the
    /// words that follow closely.
    fn later_time(&mut self) -> Option<Time> {
        let mut next = self.clone();
        while next.at < self.at + 48 {
            next.skip(|b| b != b' ');
            next = next.blanks()?;
            if let Some((kind, behind)) = next.iso().or_else(|| next.month_first()) {
                let start = next.at;
                self.at = behind.at;
                let (fraction, zone) = self.fraction_and_zone();
                return Some(Time { kind, place: start..self.at, fraction, zone });
            }
        }
        None
    }

    fn iso(&self) -> Option<(TimeKind, Self)> {
        let shape = |(&s, b): (&u8, &u8)| match s {
            b'd' => b.is_ascii_digit(),
            b'T' => matches!(b, b'T' | b' '),
            _ => s == *b,
        };
        let head = self.rest().get(..ISO_SHAPE.len())?;
        if !ISO_SHAPE.iter().zip(head).all(shape) {
            return None;
        }
        let kind = if head.get(10) == Some(&b'T') { TimeKind::Iso } else { TimeKind::IsoBlank };
        Some((kind, Cursor { at: self.at + ISO_SHAPE.len(), ..self.clone() }))
    }

    fn month_first(&self) -> Option<(TimeKind, Self)> {
        let day = self.clone().month()?.blanks()?.digits(1..=2)?.blanks()?;
        let with_year = day.clone().digits(4..=4).and_then(Self::blanks).and_then(Self::clock);
        match with_year {
            Some(behind) => Some((TimeKind::BsdYear, behind)),
            None => day.clock().map(|behind| (TimeKind::Bsd, behind)),
        }
    }

    fn weekday_first(&self) -> Option<(TimeKind, Self)> {
        const DAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
        let is_day = |word: &[u8]| word.get(..3).is_some_and(|w| DAYS.contains(&w.to_ascii_lowercase().as_slice()));
        let (kind, behind) = self.clone().name(is_day)?.blanks()?.month_first()?;
        let year = behind.clone().blanks().and_then(|c| c.digits(4..=4)).filter(|c| c.peek().is_none_or(|b| b == b' '));
        match year {
            Some(year) if kind == TimeKind::Bsd => Some((TimeKind::Ctime, year)),
            _ => Some((kind, behind)),
        }
    }

    fn day_first(&self) -> Option<(TimeKind, Self)> {
        let month = self.clone().digits(1..=2)?.blanks()?.month()?.blanks()?;
        let year = month.clone().digits(4..=4).and_then(Self::blanks).and_then(Self::clock);
        year.or_else(|| month.clock()).map(|behind| (TimeKind::DayMonth, behind))
    }

    fn epoch(&self) -> Option<(TimeKind, Self)> {
        let behind = self.clone().digits(10..=13)?;
        behind.peek().is_some_and(|b| matches!(b, b' ' | b'.')).then_some((TimeKind::Epoch, behind))
    }

    fn fraction_and_zone(&mut self) -> (usize, Zone) {
        let mut fraction = 0;
        if matches!(self.peek(), Some(b'.' | b',')) && self.peek_at(1).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
            fraction = self.skip(|b| b.is_ascii_digit());
        }
        let zone = match self.peek() {
            Some(b'Z') => {
                self.at += 1;
                Zone::Z
            }
            Some(b'+' | b'-') => self.offset(),
            _ => Zone::None,
        };
        (fraction, zone)
    }

    fn offset(&mut self) -> Zone {
        let sign = Cursor { at: self.at + 1, ..self.clone() };
        let long = sign.clone().digits(4..=4);
        let colon = sign.clone().digits(2..=2).and_then(|c| c.byte(b':')).and_then(|c| c.digits(2..=2));
        if let Some(behind) = long.or(colon) {
            self.at = behind.at;
            return Zone::Offset;
        }
        match sign.digits(2..=2).map(|behind| behind.at) {
            Some(at) => {
                self.at = at;
                Zone::ShortOffset
            }
            None => Zone::None,
        }
    }

    /// Zone word and host behind the time; the cursor ends behind them.
    fn host(&mut self) -> (Option<Range<usize>>, Option<Range<usize>>) {
        if self.peek() == Some(b':') {
            self.at += 1;
            return (None, None);
        }
        let mut zone_word = None;
        let mut word = self.word();
        if self.text.get(word.clone()).is_some_and(is_zone_word) {
            zone_word = Some(word.clone());
            self.at = word.end;
            if self.peek() == Some(b':') {
                self.at += 1;
                return (zone_word, None);
            }
            word = self.word();
        }
        let name = self.text.get(word.clone()).unwrap_or_default();
        if name == b"-" {
            self.at = word.end;
            return (zone_word, None);
        }
        // A program with its process number is a tag, not a host.
        if name.is_empty() || name.contains(&b'[') && !name.starts_with(b"[") {
            return (zone_word, None);
        }
        self.at = word.end;
        if self.rest().starts_with(b" :") {
            self.at += 1;
        }
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        (zone_word, Some(word))
    }

    /// The next word: IPv6 with its colons, anything else up to a colon or blank.
    fn word(&self) -> Range<usize> {
        let start = self.at + self.run(|b| b == b' ' || b == b'\t');
        let rest = self.text.get(start..).unwrap_or_default();
        let token = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
        let whole = rest.get(..token).unwrap_or_default();
        let whole = whole.strip_suffix(b":").filter(|w| !w.ends_with(b":")).unwrap_or(whole);
        let len = if is_ipv6(whole) { whole.len() } else { whole.iter().take_while(|&&b| b != b':').count() };
        start..start + len
    }
}

/// Could this be an IPv6 address (with brackets or a zone)?
pub(crate) fn is_ipv6(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"[").and_then(|w| w.strip_suffix(b"]")).unwrap_or(word);
    let address = word.split(|&b| b == b'%').next().unwrap_or_default();
    std::str::from_utf8(address).is_ok_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Is there something like `12:34` in it?
fn has_clock(text: &[u8]) -> bool {
    text.windows(4)
        .any(|w| matches!(w, [h, b':', m1, m2] if h.is_ascii_digit() && m1.is_ascii_digit() && m2.is_ascii_digit()))
}
