//! Odd times, read as Ruby's `Date._parse` would read them: the text the agent's pattern captures is not always a date,
//! and what Ruby makes of `14 Aug`, `1 Aug 14`, `Foo Bar` or `x 2026` decides whether the event is kept.
//!
//! A guess by steps, each of which takes its part out of the text: weekday, clock with zone, date in one of several
//! shapes (the first that fits ends the search), a lone day at the end. The expressions are cut down to the bytes the
//! pattern lets through: letters, digits, blanks and colons, or an ISO time with one free byte.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::time::{EventTime, TimeError, month_by_name, number};

const MONTHS: &str = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec";

fn expression(pattern: &str) -> Option<Regex> {
    let pattern = pattern.replace("MONTH", MONTHS);
    regex::bytes::RegexBuilder::new(&pattern).unicode(false).case_insensitive(true).build().ok()
}

/// The steps' expressions. `None` cannot happen: the tests build each of them.
struct Steps {
    noise: Option<Regex>,
    weekday: Option<Regex>,
    clock: Option<Regex>,
    clock_parts: Option<Regex>,
    day_month: Option<Regex>,
    month_day: Option<Regex>,
    iso_date: Option<Regex>,
    week: Option<Regex>,
    month: Option<Regex>,
    ordinal: Option<Regex>,
    digits: Option<Regex>,
    before_christ: Option<Regex>,
    lone_day: Option<Regex>,
}

static STEPS: LazyLock<Steps> = LazyLock::new(|| Steps {
    noise: expression(r"[^-+',./:@a-z0-9\[\]]+"),
    weekday: expression(r"\b(?:sun|mon|tue|wed|thu|fri|sat)[^-/\d\s]*"),
    clock: expression(concat!(
        r"(?P<clock>(?:\d+\s*:\s*\d+(?:\s*:\s*\d+(?:[,.]\d*)?)?|\d+\s*h(?:\s*\d+m?(?:\s*\d+s?)?)?)(?:\s*[ap]m\b)?",
        r"|\d+\s*[ap]m\b)",
        r"(?:\s*(?P<zone>(?:gmt|utc?)?[-+]\d+(?:[,.:]\d+(?::\d+)?)?|[a-z]+(?:\sdst)?\b))?",
    )),
    clock_parts: expression(concat!(
        r"^(?P<h>\d+)h?(?:\s*:?\s*(?P<m>\d+)m?(?:\s*:?\s*(?P<s>\d+)(?:[,.]\d+)?s?)?)?",
        r"(?:\s*(?P<p>[ap])m\b)?",
    )),
    day_month: expression(concat!(
        r"(?P<d>'?\d+)[^-\d\s]*\s*(?P<mon>MONTH)[^-\d\s']*",
        r"(?:\s*(?P<era>ce|bce|ad|bc)?\s*(?P<y>'?-?\d+(?:(?:st|nd|rd|th)\b)?))?",
    )),
    month_day: expression(concat!(
        r"\b(?P<mon>MONTH)[^-\d\s']*\s*(?P<d>'?\d+)[^-\d\s']*",
        r"(?:\s*,?\s*(?P<era>ce|bce|ad|bc)?\s*(?P<y>'?-?\d+))?",
    )),
    iso_date: expression(r"(?P<y>\d+)-(?P<mon>\d+)-(?P<d>\d+)"),
    week: expression(r"\b(?:\d{2}|\d{4})?w\d{2}\d?\b"),
    month: expression(r"\b(?P<mon>MONTH)\S*"),
    ordinal: expression(r"(?P<d>\d+)(?:st|nd|rd|th)\b"),
    digits: expression(r"(?P<d>\d{2,14})(?:\s*t?\s*(?P<t>\d{2,6})?)?(?:\s*(?P<z>z)\b)?"),
    before_christ: expression(r"\b(?:bce?)\b"),
    lone_day: expression(r"^\s*(?P<d>\d{1,2})\s*$"),
});

/// Reads a time; nearly every text gives one, if need be with nothing but the clock. Parts are not yet checked for range.
pub(super) fn read(text: &[u8]) -> Result<EventTime, TimeError> {
    let noise = STEPS.noise.as_ref();
    let text = noise.map_or_else(|| text.to_vec(), |noise| noise.replace_all(text, &b" "[..]).into_owned());
    let mut guess = Guess { text, two_digit_years: true, ..Guess::default() };
    guess.weekday();
    guess.clock();
    guess.date();
    guess.leftovers();
    guess.finish()
}

/// A named part of a match, where it took part.
type Part = Option<Vec<u8>>;

#[derive(Default)]
struct Guess {
    /// What no step has taken yet.
    text: Vec<u8>,
    time: EventTime,
    zone: Option<Vec<u8>>,
    before_christ: bool,
    two_digit_years: bool,
    impossible: bool,
}

impl Guess {
    /// Takes the first match out of the text, a blank in its place, and returns the named parts asked for.
    fn take<const N: usize>(&mut self, step: &Option<Regex>, names: [&str; N]) -> Option<[Part; N]> {
        let found: Captures<'_> = step.as_ref()?.captures(&self.text)?;
        let parts = names.map(|name| found.name(name).map(|m| m.as_bytes().to_vec()));
        let range = found.get(0)?.range();
        self.text.splice(range, *b" ");
        Some(parts)
    }

    fn weekday(&mut self) {
        self.take(&STEPS.weekday, []);
    }

    fn clock(&mut self) {
        let Some([clock, zone]) = self.take(&STEPS.clock, ["clock", "zone"]) else { return };
        self.zone = zone;
        // The clock alone is read once more, from its start and by a looser rule.
        let clock = clock.unwrap_or_default();
        let Some(found) = STEPS.clock_parts.as_ref().and_then(|step| step.captures(&clock)) else { return };
        let part = |name: &str| found.name(name).map(|m| number(m.as_bytes()));
        self.time.hour = part("h").unwrap_or(0);
        self.time.minute = part("m").unwrap_or(0);
        self.time.second = part("s").unwrap_or(0);
        if let Some(half) = found.name("p") {
            let afternoon = half.as_bytes().eq_ignore_ascii_case(b"p");
            // Ruby refuses a number of more than 32 bits here.
            self.impossible = i32::try_from(self.time.hour).is_err();
            self.time.hour = self.time.hour % 12 + if afternoon { 12 } else { 0 };
        }
    }

    fn date(&mut self) {
        let _ = self.dated(&STEPS.day_month)
            || self.dated(&STEPS.month_day)
            || self.dated(&STEPS.iso_date)
            || self.take(&STEPS.week, []).is_some()
            || self.month()
            || self.ordinal()
            || self.digits();
    }

    /// Year, month and day as one group, sorted out by their shapes.
    fn dated(&mut self, step: &Option<Regex>) -> bool {
        let Some([mut year, month, mut day, era]) = self.take(step, ["y", "mon", "d", "era"]) else { return false };
        self.before_christ = era.is_some_and(|era| era.to_ascii_lowercase().starts_with(b"b"));
        self.time.month = month.map(|m| month_by_name(&m).unwrap_or_else(|| number(&m)));
        let is_year = |word: &Vec<u8>| word.len() > 2 || word.starts_with(b"'");
        if year.is_none() && day.as_ref().is_some_and(is_year) {
            year = day.take();
        }
        // `2nd` in the year's place is the day.
        if let Some([found @ .., a, b]) = year.as_deref()
            && a.is_ascii_alphabetic()
            && b.is_ascii_alphabetic()
        {
            year = day.replace(found.to_vec());
        }
        if day.as_ref().is_some_and(is_year) {
            std::mem::swap(&mut year, &mut day);
        }
        let digits = |word: &[u8]| word.iter().copied().filter(u8::is_ascii_digit).collect::<Vec<u8>>();
        if let Some(word) = year {
            let count = digits(&word);
            let negative = word.contains(&b'-');
            self.two_digit_years &= count.len() <= 2 && !negative;
            self.time.year = Some(if negative { -number(&count) } else { number(&count) });
        }
        self.time.day = day.map(|word| number(&digits(&word)));
        true
    }

    fn month(&mut self) -> bool {
        let Some([month]) = self.take(&STEPS.month, ["mon"]) else { return false };
        self.time.month = month.and_then(|m| month_by_name(&m));
        true
    }

    fn ordinal(&mut self) -> bool {
        let Some([day]) = self.take(&STEPS.ordinal, ["d"]) else { return false };
        self.time.day = day.map(|d| number(&d));
        true
    }

    /// A run of digits, cut into parts by its length.
    fn digits(&mut self) -> bool {
        let Some([run, clock, zone]) = self.take(&STEPS.digits, ["d", "t", "z"]) else { return false };
        let run = run.unwrap_or_default();
        let part = |from: usize, len: usize| run.get(from..from + len).map(number);
        let time = &mut self.time;
        match run.len() {
            2 => time.day = part(0, 2),
            3 => time.year_day = part(0, 3),
            4 => (time.month, time.day) = (part(0, 2), part(2, 2)),
            5 => (time.year, time.year_day) = (part(0, 2), part(2, 3)),
            6 => (time.year, time.month, time.day) = (part(0, 2), part(2, 2), part(4, 2)),
            7 => (time.year, time.year_day) = (part(0, 4), part(4, 3)),
            8 | 10 | 12 | 14 => {
                (time.year, time.month, time.day) = (part(0, 4), part(4, 2), part(6, 2));
                time.hour = part(8, 2).unwrap_or(time.hour);
                time.minute = part(10, 2).unwrap_or(time.minute);
                time.second = part(12, 2).unwrap_or(time.second);
                self.two_digit_years = false;
            }
            _ => {}
        }
        let clock = clock.unwrap_or_default();
        if matches!(clock.len(), 2 | 4 | 6) {
            let part = |from: usize| clock.get(from..from + 2).map(number);
            time.hour = part(0).unwrap_or(time.hour);
            time.minute = part(2).unwrap_or(time.minute);
            time.second = part(4).unwrap_or(time.second);
        }
        self.zone = zone.or(self.zone.take());
        true
    }

    fn leftovers(&mut self) {
        if self.take(&STEPS.before_christ, []).is_some() {
            self.before_christ = true;
        }
        let Some([day]) = self.take(&STEPS.lone_day, ["d"]) else { return };
        if self.time.day.is_none() {
            self.time.day = day.map(|d| number(&d)).filter(|d| (1..=31).contains(d));
        }
    }

    fn finish(mut self) -> Result<EventTime, TimeError> {
        if self.impossible {
            return Err(TimeError::Range);
        }
        if let Some(year) = &mut self.time.year {
            if self.before_christ {
                *year = 1 - *year;
            }
            if self.two_digit_years && (0..=99).contains(year) {
                *year += if *year >= 69 { 1900 } else { 2000 };
            }
        }
        self.time.offset = self.zone.and_then(|zone| offset(&zone));
        Ok(self.time)
    }
}

/// Seconds east of UTC of a zone's name or number; unknown ones are local time.
fn offset(zone: &[u8]) -> Option<i64> {
    let zone = zone.to_ascii_uppercase();
    if let [sign @ (b'+' | b'-'), rest @ ..] = zone.as_slice() {
        let seconds = match *rest {
            [h1, h2] => number(&[h1, h2]) * 3600,
            [h1, h2, m1, m2] if rest.iter().all(u8::is_ascii_digit) => {
                (number(&[h1, h2]) * 60 + number(&[m1, m2])) * 60
            }
            [h1, h2, b':', m1, m2] => (number(&[h1, h2]) * 60 + number(&[m1, m2])) * 60,
            [h1, h2, m1, m2, s1, s2] if rest.iter().all(u8::is_ascii_digit) => {
                (number(&[h1, h2]) * 60 + number(&[m1, m2])) * 60 + number(&[s1, s2])
            }
            [h1, h2, b':', m1, m2, b':', s1, s2] => {
                (number(&[h1, h2]) * 60 + number(&[m1, m2])) * 60 + number(&[s1, s2])
            }
            _ => return None,
        };
        return Some(if *sign == b'-' { -seconds } else { seconds });
    }
    let hours = match zone.as_slice() {
        b"UTC" | b"UT" | b"GMT" | b"Z" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        [letter @ b'A'..=b'I'] => i64::from(letter - b'A') + 1,
        [letter @ b'K'..=b'M'] => i64::from(letter - b'K') + 10,
        [letter @ b'N'..=b'Y'] => -(i64::from(letter - b'N') + 1),
        _ => return None,
    };
    Some(hours * 3600)
}
