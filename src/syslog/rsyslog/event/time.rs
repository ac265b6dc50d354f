//! Times in event headers, with what is not in them left open.

use serde::{Deserialize, Serialize};

use super::cursor::Cursor;

/// A time as it stands in an event; only what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTime {
    /// 0: not known (RFC 3164 gives none).
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// The digits of the fraction as a number, and how many they were.
    pub fraction: u32,
    pub precision: u8,
    /// Minutes east of UTC; none: not known.
    pub offset: Option<i32>,
    /// Written with `Z`.
    pub zulu: bool,
}

impl EventTime {
    pub fn rfc3164(&self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).unwrap_or(&"Jan");
        format!("{month} {:>2} {:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second)
    }

    /// `None` where year or zone are not known.
    pub fn rfc3339(&self) -> Option<String> {
        let fraction = match usize::from(self.precision) {
            0 => String::new(),
            n => format!(".{:0n$}", self.fraction),
        };
        let zone = if self.zulu { "Z".to_owned() } else { self.zone()? };
        let EventTime { year, month, day, hour, minute, second, .. } = self;
        (*year > 0).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
    }

    /// `+02:00`
    pub fn zone(&self) -> Option<String> {
        let offset = self.offset?;
        let sign = if offset < 0 { '-' } else { '+' };
        Some(format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60))
    }
}

/// `2026-08-01T10:00:00[.fraction](Z|±hh:mm)`. The cursor stays where there is none.
pub(super) fn time_3339(cursor: &mut Cursor<'_>) -> Option<EventTime> {
    let mut c = Cursor { text: cursor.text, at: cursor.at };
    let year = c.number();
    if !(0..2100).contains(&year) {
        return None;
    }
    c.eat(b'-')?;
    let month = c.ranged(1, 12)?;
    c.eat(b'-')?;
    let day = c.ranged(1, 31)?;
    c.eat(b'T')?;
    let hour = c.ranged(0, 23)?;
    c.eat(b':')?;
    let minute = c.ranged(0, 59)?;
    c.eat(b':')?;
    let second = c.ranged(0, 60)?;
    let (fraction, precision) = c.fraction();
    let zulu = c.eat(b'Z').is_some();
    let offset = if zulu { Some(0) } else { Some(offset(&mut c)?) };
    c.end_of_time()?;
    cursor.at = c.at;
    Some(EventTime { year, month, day, hour, minute, second, fraction, precision, offset, zulu })
}

fn offset(c: &mut Cursor<'_>) -> Option<i32> {
    let sign = if c.eat(b'-').is_some() {
        -1
    } else {
        c.eat(b'+')?;
        1
    };
    let hours = i32::from(c.ranged(0, 23)?);
    c.eat(b':')?;
    Some(sign * (hours * 60 + i32::from(c.ranged(0, 59)?)))
}

/// `[yyyy ]Mmm dd [yyyy ]hh:mm:ss[.fraction][:]`
pub(super) fn time_3164(cursor: &mut Cursor<'_>, received: Option<&EventTime>) -> Option<EventTime> {
    let mut c = Cursor { text: cursor.text, at: cursor.at };
    let mut year = 0;
    if c.rest().first().is_some_and(u8::is_ascii_digit) {
        year = c.number();
        if !(1970..=2100).contains(&year) {
            return None;
        }
        c.eat(b' ')?;
    }
    let name = c.rest().get(..3)?.to_ascii_lowercase();
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let month = MONTHS.iter().position(|m| *m == name)? as u8 + 1;
    c.at += 3;
    c.eat(b' ')?;
    let _ = c.eat(b' ');
    let day = c.ranged(1, 31)?;
    c.eat(b' ')?;
    let mut hour = c.number();
    if year == 0 && hour > 1970 && hour < 2100 {
        year = hour;
        c.eat(b' ')?;
        hour = c.number();
    }
    let hour = (0..=23).contains(&hour).then_some(hour as u8)?;
    c.eat(b':')?;
    let minute = c.ranged(0, 59)?;
    c.eat(b':')?;
    let second = c.ranged(0, 60)?;
    let (fraction, precision) = c.fraction();
    let _ = c.eat(b':');
    c.end_of_time()?;
    cursor.at = c.at;
    let year = if year > 0 { year } else { received.map_or(0, |r| r.year) };
    let offset = received.and_then(|r| r.offset);
    Some(EventTime { year, month, day, hour, minute, second, fraction, precision, offset, zulu: false })
}
