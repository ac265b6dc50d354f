//! The time of a record as the agent reads it: Ruby's `Time.parse` on the text the pattern captured.
//!
//! Followed is Ruby 3.1 (as measured for facts 1.11). What the pattern can capture is a small part of what
//! `Time.parse` takes, so the two shapes devices send are read directly and anything else goes to [`super::words`].
//! Not followed: names of the machine's own time zone in the text (read as local time, which is nearly always the same),
//! and years beyond 64 bits.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, civil};

/// A time as far as the text names it. Seconds are whole: the agent cuts fractions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventTime {
    pub year: Option<i64>,
    pub month: Option<i64>,
    pub day: Option<i64>,
    /// Day of the year, where the text has that in place of month and day.
    pub year_day: Option<i64>,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// Seconds east of UTC; `None` is the agent's local time.
    pub offset: Option<i64>,
}

/// Why a time the pattern took is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("longer than 128 bytes")]
    TooLong,
    #[error("month, day, hour, minute, second or zone out of range")]
    Range,
}

impl EventTime {
    /// Reads the text of a time. Missing parts are no error, parts out of range are.
    pub fn parse(text: &[u8]) -> Result<Self, TimeError> {
        if text.len() > 128 {
            return Err(TimeError::TooLong);
        }
        let time = match bsd(text).or_else(|| iso(text)) {
            Some(time) => time,
            None => super::words::read(text)?,
        };
        if time.offset.is_some_and(|seconds| seconds.abs() >= 24 * 3600) {
            return Err(TimeError::Range);
        }
        // Any leap year does: a missing year matters for nothing but day 366.
        time.complete(civil::date(2024, 1, 1)).checked()?;
        Ok(time)
    }

    /// Does the text name a day?
    pub fn has_date(&self) -> bool {
        self.day.is_some() && self.month.is_some() || self.year_day.is_some()
    }

    /// The instant, with what the text leaves out taken from `now` in `local`, the zone of the agent's machine.
    /// `None` where the calendar ends.
    pub fn resolve(&self, now: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        let today = match self.offset {
            Some(seconds) => Offset::from_seconds(seconds.try_into().ok()?).ok()?.to_datetime(now),
            None => local.to_datetime(now),
        };
        let parts = self.complete(today.date()).checked().ok()?;
        // Days 29 to 31 run on into the next month, 24:00:00 and second 60 into the next day and minute.
        let seconds = (((parts.day - 1) * 24 + parts.hour) * 60 + parts.minute) * 60 + parts.second;
        let month = civil::Date::new(parts.year.try_into().ok()?, parts.month.try_into().ok()?, 1).ok()?;
        let at = month.at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(seconds)).ok()?;
        // Where the clock is set back and an hour comes twice, Ruby takes the later one.
        let zone = if self.offset.is_some() { &TimeZone::UTC } else { local };
        zone.to_ambiguous_timestamp(at).later().ok()
    }

    /// Month and day of a day of the year, found as Ruby finds them: a first try with months of 31 days, then one step
    /// by the error. A clock that runs into the next day counts as an error, too. Out of range where there is no such day.
    fn month_and_day(&self, year: i64, year_day: i64) -> (Option<i64>, Option<i64>) {
        if !(1..=366).contains(&year_day) {
            return (None, Some(0));
        }
        let (mut month, mut day) = ((year_day - 1) / 31 + 1, (year_day - 1) % 31 + 1);
        let clock = (self.hour, self.minute, self.second);
        let reached = ordinal(year, month, day) + i64::from(matches!(clock, (24, ..) | (23, 59, 60)));
        let length = ordinal(year, 13, 0);
        let reached = if reached > length { reached - length } else { reached };
        day += year_day - reached;
        if reached != year_day && day > 28 && day > month_length(year, month) {
            day -= month_length(year, month);
            month += 1;
        }
        (Some(month), Some(day))
    }

    /// Fills missing parts: the upper ones from today, those below the first one given with their least value.
    fn complete(&self, today: civil::Date) -> Parts {
        let (mut month, mut day) = (self.month, self.day);
        let year = self.year.unwrap_or(today.year().into());
        if let Some(year_day) = self.year_day {
            (month, day) = self.month_and_day(year, year_day);
        } else if self.year.is_none() && month.is_none() {
            month = Some(today.month().into());
            day = day.or(Some(today.day().into()));
        }
        let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
        let parts = Parts { year, month, day, hour: self.hour, minute: self.minute, second: self.second };
        parts.without_offset(self.offset.unwrap_or(0))
    }
}

/// Days of the months before `month`, and `day`.
fn ordinal(year: i64, month: i64, day: i64) -> i64 {
    (1..month).map(|m| month_length(year, m)).sum::<i64>() + day
}

/// Complete, but not yet checked.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Parts {
    /// Takes the offset off, part by part, as Ruby does: only parts that the offset touches are brought into range,
    /// so `25:00:00+02:00` is a time and `25:00:00+00:00` is none.
    fn without_offset(mut self, offset: i64) -> Self {
        let sign = if offset < 0 { 1 } else { -1 };
        let (mut rest, mut part) = (offset.abs() / 60, offset.abs() % 60);
        for (field, size, next) in [(&mut self.second, 60, 60), (&mut self.minute, 60, 24), (&mut self.hour, 24, 0)] {
            if part != 0 {
                let moved = field.saturating_add(sign * part);
                rest = rest.saturating_add(sign * moved.div_euclid(size));
                *field = moved.rem_euclid(size);
            }
            if next != 0 {
                (rest, part) = (rest.div_euclid(next), rest.rem_euclid(next));
            }
        }
        match (rest, sign) {
            (0, _) => self,
            (days, 1) => self.later(days),
            (days, _) => self.earlier(days),
        }
    }

    fn later(mut self, days: i64) -> Self {
        self.day = self.day.saturating_add(days);
        if (0..=12).contains(&self.month) && self.day > month_length(self.year, self.month) {
            (self.month, self.day) = (self.month + 1, 1);
            if self.month > 12 {
                (self.month, self.year) = (1, self.year.saturating_add(1));
            }
        }
        self
    }

    fn earlier(mut self, days: i64) -> Self {
        self.day = self.day.saturating_sub(days);
        if self.day < 1 {
            self.month = self.month.saturating_sub(1);
            if self.month < 1 {
                (self.month, self.year) = (12, self.year.saturating_sub(1));
            }
            self.day = month_length(self.year, self.month);
        }
        self
    }

    fn checked(self) -> Result<Self, TimeError> {
        let ok = (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && (0..=59).contains(&self.minute)
            && (0..=60).contains(&self.second)
            && ((0..=23).contains(&self.hour) || (self.hour, self.minute, self.second) == (24, 0, 0));
        ok.then_some(self).ok_or(TimeError::Range)
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && year % 100 != 0 || year % 400 == 0
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Month by its first three letters in any case, from 1.
pub(super) fn month_by_name(word: &[u8]) -> Option<i64> {
    const NAMES: &[u8] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let name = word.get(..3)?.to_ascii_lowercase();
    NAMES.chunks(3).zip(1..).find_map(|(month, number)| (month == name).then_some(number))
}

/// Decimal digits; a number too large stays at the largest.
pub(super) fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |n: i64, b| n.saturating_mul(10).saturating_add(i64::from(b.wrapping_sub(b'0'))))
}

/// `Mmm d hh:mm:ss` and `Mmm d yyyy hh:mm:ss`, the usual case.
fn bsd(text: &[u8]) -> Option<EventTime> {
    let mut words = text.split(|&b| b == b' ').filter(|w| !w.is_empty());
    let (name, day, mut clock) = (words.next()?, words.next()?, words.next()?);
    let mut year = None;
    if let Some(word) = words.next() {
        year = Some(clock);
        clock = word;
    }
    let digits = |word: &[u8], most: usize| word.len() <= most && word.iter().all(u8::is_ascii_digit);
    if words.next().is_some()
        || name.len() != 3
        || !digits(day, 2)
        || year.is_some_and(|y| y.len() != 4 || !digits(y, 4))
    {
        return None;
    }
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let pairs = [[h1, h2], [m1, m2], [s1, s2]];
    if !pairs.as_flattened().iter().all(u8::is_ascii_digit) {
        return None;
    }
    let [hour, minute, second] = pairs.map(|p| number(&p));
    let month = Some(month_by_name(name)?);
    Some(EventTime {
        year: year.map(number),
        month,
        day: Some(number(day)),
        hour,
        minute,
        second,
        ..EventTime::default()
    })
}

/// `d` stands for a digit.
pub(super) const ISO_SHAPE: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";

/// `yyyy-mm-ddThh:mm:ss`, a fraction, `Z` or an offset; nothing else.
fn iso(text: &[u8]) -> Option<EventTime> {
    let (head, mut tail) = text.split_at_checked(19)?;
    let shape = |(&s, b): (&u8, &u8)| if s == b'd' { b.is_ascii_digit() } else { s == *b };
    if !ISO_SHAPE.iter().zip(head).all(shape) {
        return None;
    }
    if let Some(fraction) = tail.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        tail = fraction.get(digits..)?;
    }
    let offset = match *tail {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, ref rest @ ..] => {
            let (m1, m2) = match *rest {
                [b':', m1, m2] | [m1, m2] => (m1, m2),
                _ => return None,
            };
            if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
                return None;
            }
            let seconds = (number(&[h1, h2]) * 60 + number(&[m1, m2])) * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let part = |from: usize, to: usize| head.get(from..to).map(number);
    Some(EventTime {
        year: part(0, 4),
        month: part(5, 7),
        day: part(8, 10),
        year_day: None,
        hour: part(11, 13)?,
        minute: part(14, 16)?,
        second: part(17, 19)?,
        offset: Some(offset),
    })
}
