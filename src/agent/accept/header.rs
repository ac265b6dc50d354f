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

/// Words that devices put behind the time and that no host is called: zones (with hours behind them, in parentheses, as
/// numbers alone), `AM`, `PM`.
pub(crate) fn is_zone_word(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"(").and_then(|w| w.strip_suffix(b")")).unwrap_or(word);
    let letters = word.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (name, hours) = word.split_at(letters);
    let is_offset = |text: &[u8]| {
        matches!(text, [b'+' | b'-', digits @ ..] if (1..=5).contains(&digits.len())
            && digits.iter().all(|b| b.is_ascii_digit() || *b == b':'))
    };
    match (std::str::from_utf8(name).unwrap_or_default(), hours) {
        ("", hours) => is_offset(hours) && hours.len() > 2,
        (name, []) => is_zone_name(name) || matches!(name, "AM" | "PM"),
        (name, hours) => is_zone_name(name) && is_offset(hours),
    }
}

fn is_zone_name(name: &str) -> bool {
    const SEVERAL: [&str; 9] = ["ART", "CAT", "CHST", "CLT", "EAT", "NPT", "PET", "WAT", "WITA"];
    let standard =
        |w: &[u8]| matches!(w, [b'A'..=b'Z', b'S' | b'D', b'T'] | [b'A', b'C' | b'E' | b'K' | b'W', b'S' | b'D', b'T']);
    let certain = || crate::syslog::shapes::ZONES.iter().any(|(_, names)| names.contains(&name));
    standard(name.as_bytes()) || SEVERAL.contains(&name) || name.len() > 1 && certain()
}

/// What relays of the BSD kind put in front of the host.
pub(crate) const FORWARDED: &[u8] = b"Message forwarded from ";

/// Reads the header at the start of `text`, the line behind its PRI; `event` is where the event starts, as far as known.
pub fn read(text: &[u8], event: Option<usize>) -> Header {
    let mut cursor = Cursor { text: text.get(..event.unwrap_or(text.len())).unwrap_or(text), at: 0 };
    cursor.skip_front();
    let version_1 = cursor.rest().starts_with(b"1 ");
    if version_1 {
        cursor.at += 2;
        cursor.skip(|b| b == b' ');
    }
    let early = cursor.early_host();
    let time = cursor.time();
    if time.place.is_empty() {
        let host = cursor.lone_host();
        return Header { version_1, time, zone_word: None, host, end: cursor.at };
    }
    let (zone_word, host) = cursor.host();
    Header { version_1, time, zone_word, host: early.or(host), end: cursor.at }
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

    /// What may stand in front of the time: a second PRI, a byte order mark, a quote or bracket; Cisco's sequence number
    /// with a colon, and `*` and `.` (clock not set).
    fn skip_front(&mut self) {
        let ornament = |b| matches!(b, b' ' | b'\t' | b':' | b'*' | b'.' | b'"' | b'[' | 0xEF | 0xBB | 0xBF);
        self.skip(ornament);
        let priority = self.clone().byte(b'<').and_then(|c| c.digits(1..=3)).and_then(|c| c.byte(b'>'));
        if let Some(behind) = priority {
            *self = behind;
            self.skip(ornament);
        }
        let numbered = self.clone().digits(1..=10).and_then(|c| c.byte(b':')).and_then(Self::blanks);
        if let Some(behind) = numbered {
            *self = behind;
            self.skip(ornament);
        }
    }

    /// Cisco's `HOST: *Aug …`: a host in front of the time, which the cursor moves to.
    fn early_host(&mut self) -> Option<Range<usize>> {
        let word = self.run(|b| !b.is_ascii_whitespace() && !matches!(b, b':' | b'%' | b'|' | b'<' | b'['));
        let mut behind = Cursor { at: self.at + word, ..self.clone() }.byte(b':').and_then(Self::blanks)?;
        behind.skip(|b| matches!(b, b'*' | b'.'));
        // Digits alone are a sequence number.
        let number = self.rest().get(..word).is_some_and(|w| w.iter().all(u8::is_ascii_digit));
        if word == 0 || number || behind.iso().or_else(|| behind.month_first()).is_none() {
            return None;
        }
        let host = self.at..self.at + word;
        self.at = behind.at;
        Some(host)
    }

    /// No time, and a host all the same: a name that no ordinary word looks like, alone or in front of a tag.
    fn lone_host(&mut self) -> Option<Range<usize>> {
        let len = self.run(|b| !b.is_ascii_whitespace());
        let word = self.rest().get(..len)?;
        let rest: Vec<&[u8]> =
            self.rest().get(len..)?.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
        let tag_only = matches!(rest[..], []) || matches!(rest[..], [tag] if tag.ends_with(b":"));
        let marked = word.iter().any(|b| matches!(b, b'0'..=b'9' | b'.' | b'-'))
            && word.iter().any(u8::is_ascii_alphabetic)
            || std::str::from_utf8(word).is_ok_and(|w| w.parse::<std::net::Ipv4Addr>().is_ok());
        let plain = word.first().is_some_and(u8::is_ascii_alphanumeric)
            && word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'));
        if !(tag_only && marked && plain && self.rest().get(len) == Some(&b' ')) {
            return None;
        }
        let host = self.at..self.at + len;
        self.at += len;
        Some(host)
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
            b'T' => matches!(b, b'T' | b't' | b' '),
            b'-' => matches!(b, b'-' | b'/'),
            _ => s == *b,
        };
        let head = self.rest().get(..ISO_SHAPE.len())?;
        if !ISO_SHAPE.iter().zip(head).all(shape) {
            return None;
        }
        let kind = match head {
            [_, _, _, _, b'/', ..] => TimeKind::Odd,
            _ if head.get(10) == Some(&b'T') => TimeKind::Iso,
            _ if head.get(10) == Some(&b't') => TimeKind::Odd,
            _ => TimeKind::IsoBlank,
        };
        Some((kind, Cursor { at: self.at + ISO_SHAPE.len(), ..self.clone() }))
    }

    fn month_first(&self) -> Option<(TimeKind, Self)> {
        let day = self.clone().month()?.blanks()?.digits(1..=2)?;
        if let Some(comma) = day.clone().byte(b',') {
            return comma.blanks()?.digits(4..=4)?.blanks()?.clock().map(|behind| (TimeKind::Odd, behind));
        }
        let day = day.blanks()?;
        let with_year = day.clone().digits(4..=4).and_then(Self::blanks).and_then(Self::clock);
        match with_year {
            Some(behind) => Some((TimeKind::BsdYear, behind)),
            None => day.clock().map(|behind| (TimeKind::Bsd, behind)),
        }
    }

    fn weekday_first(&self) -> Option<(TimeKind, Self)> {
        const DAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
        let is_day = |word: &[u8]| word.get(..3).is_some_and(|w| DAYS.contains(&w.to_ascii_lowercase().as_slice()));
        let name = self.clone().name(is_day)?;
        if let Some(comma) = name.clone().byte(b',') {
            return comma.blanks()?.day_first();
        }
        let (kind, behind) = name.blanks()?.month_first()?;
        let year = behind.clone().blanks().and_then(|c| c.digits(4..=4)).filter(|c| c.peek().is_none_or(|b| b == b' '));
        match year {
            Some(year) if kind == TimeKind::Bsd => Some((TimeKind::Ctime, year)),
            _ => Some((kind, behind)),
        }
    }

    fn day_first(&self) -> Option<(TimeKind, Self)> {
        let day = self.clone().digits(1..=2)?;
        if let Some(separator @ (b'-' | b'/')) = day.peek() {
            let year = day.byte(separator)?.month()?.byte(separator)?.digits(4..=4)?;
            let clock = year.clone().blanks().or_else(|| year.byte(b':'))?.clock()?;
            return Some((TimeKind::Odd, clock));
        }
        let month = day.blanks()?.month()?.blanks()?;
        let year = month.clone().digits(4..=4).and_then(Self::blanks).and_then(Self::clock);
        year.or_else(|| month.clock()).map(|behind| (TimeKind::DayMonth, behind))
    }

    fn epoch(&self) -> Option<(TimeKind, Self)> {
        let behind = self.clone().digits(10..=16)?;
        behind.peek().is_some_and(|b| matches!(b, b' ' | b'.')).then_some((TimeKind::Epoch, behind))
    }

    fn fraction_and_zone(&mut self) -> (usize, Zone) {
        let mut fraction = 0;
        if matches!(self.peek(), Some(b'.' | b',')) && self.peek_at(1).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
            fraction = self.skip(|b| b.is_ascii_digit());
        }
        let zone = match self.peek() {
            Some(b'Z' | b'z') => {
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
        self.skip(|b| b == b']');
        // A zone, `AM`, the year of the C library's form: all of them stand between the time and the host.
        loop {
            let start = self.at + self.run(|b| b == b' ' || b == b'\t');
            let rest = self.text.get(start..).unwrap_or_default();
            let token = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
            let token = rest.get(..token).unwrap_or_default();
            let token = token.strip_suffix(b":").unwrap_or(token);
            let token = token.strip_suffix(b"]").unwrap_or(token);
            let year = token.len() == 4 && token.iter().all(u8::is_ascii_digit);
            if !(is_zone_word(token) || year) {
                break;
            }
            zone_word = zone_word.or((!year).then(|| start..start + token.len()));
            self.at = start + token.len();
            self.skip(|b| b == b']');
            if self.peek() == Some(b':') {
                self.at += 1;
                if self.word().is_empty() || self.peek() != Some(b' ') {
                    return (zone_word, None);
                }
            }
        }
        if self.rest().trim_ascii_start().starts_with(FORWARDED) {
            self.skip(|b| b == b' ');
            self.at += FORWARDED.len();
        }
        let word = self.word();
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

/// Could this be an IPv6 address (with brackets, a port or a zone)?
pub(crate) fn is_ipv6(word: &[u8]) -> bool {
    let closed = word.iter().position(|b| *b == b']').unwrap_or(word.len());
    let word = word.strip_prefix(b"[").and_then(|w| w.get(..closed.saturating_sub(1))).unwrap_or(word);
    let address = word.split(|&b| b == b'%').next().unwrap_or_default();
    std::str::from_utf8(address).is_ok_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Is there something like `12:34` in it?
fn has_clock(text: &[u8]) -> bool {
    text.windows(4)
        .any(|w| matches!(w, [h, b':', m1, m2] if h.is_ascii_digit() && m1.is_ascii_digit() && m2.is_ascii_digit()))
}
