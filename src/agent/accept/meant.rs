//! The time that a header means, in whatever form it is written: read by the same expressions and in the same order as
//! the drop-ins of both daemons do, so that what a report says of a device's clock is what will stand in its records.

use std::ops::Range;
use std::sync::LazyLock;

use jiff::civil;
use regex::bytes::{Captures, Regex, RegexBuilder};

use super::time::{EventTime, month_by_name, number};
use crate::syslog::shapes as p;

fn expression(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).build().ok()
}

fn host(before: &str, name: &str, after: &str) -> Option<Regex> {
    let [before, name, after] = [before, name, after].map(p::uncounted);
    expression(&format!("{before}(?P<host>{name}){after}"))
}

/// `None` cannot happen: the tests build each of them.
struct Shapes {
    half_day: Option<Regex>,
    stamp: Option<Regex>,
    digits: Option<Regex>,
    year_first: Option<Regex>,
    day_first: Option<Regex>,
    epoch: Option<Regex>,
    hosts: [Option<Regex>; 4],
    no_host: Option<Regex>,
    offset: Option<Regex>,
    month: Option<Regex>,
    day_before: Option<Regex>,
    day_behind: Option<Regex>,
    year: Option<Regex>,
    clock: Option<Regex>,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    let (year, mark, between) = (p::YEAR, p::ODD_MARK, p::ODD_BETWEEN);
    let number = p::ODD_FIRST;
    let end = p::AFTER_ODD;
    Shapes {
        half_day: expression(&format!("(?P<half>{}){}", p::HALF_DAY, p::AFTER_HALF_DAY)),
        stamp: expression(&p::stamp()),
        digits: expression(
            r"^(?P<y>[0-9]{4})[-/](?P<m>[0-9]{2})[-/](?P<d>[0-9]{2})[Tt ](?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})",
        ),
        year_first: expression(&format!(
            "{}(?P<y>{year})(?:{mark}(?P<m>{number}){mark}(?P<d>{number})|(?P<mm>[0-9]{{2}})(?P<dd>[0-9]{{2}}))\
             (?:{between}(?P<clock>{})|[Tt ]?(?P<bare>{})){end}",
            p::BEFORE_ODD,
            p::CLOCK,
            p::ODD_CLOCK
        )),
        day_first: expression(&format!(
            "{}(?P<a>{number})(?P<mark>{mark})(?P<b>{number}|{}){mark}(?P<y>{year}|[0-9]{{2}}){between}(?P<clock>{}){end}",
            p::BEFORE_ODD,
            p::MONTH,
            p::CLOCK
        )),
        epoch: expression(&format!("{}(?P<seconds>{})", p::uncounted(p::BEFORE_EPOCH), p::EPOCH_SECONDS)),
        hosts: [
            host(&p::before_host(), &p::host(), p::AFTER_HOST),
            host(p::BEFORE_FIRST_HOST, p::FIRST_HOST, &p::after_first_host()),
            host(p::BEFORE_TIMELESS_HOST, &p::host(), p::AFTER_TIMELESS_HOST),
            host(p::BEFORE_LONE_HOST, p::LONE_HOST, p::AFTER_LONE_HOST),
        ],
        no_host: expression(&p::uncounted(&p::no_host())),
        offset: expression(&format!("{}(?P<offset>{}){}", p::before_offset(), p::offset_words(), p::AFTER_OFFSET)),
        month: expression(p::MONTH),
        day_before: expression(&format!("^(?P<d>{}){}", p::DAY, p::AFTER_DAY)),
        day_behind: expression(&format!("{}(?P<d>{})", p::before_day(), p::DAY)),
        year: expression(&format!("{}(?P<y>{}){}", p::BEFORE_YEAR, p::YEAR, p::AFTER_YEAR)),
        clock: expression(&format!("{}(?P<clock>{})", p::BEFORE_CLOCK, p::CLOCK)),
    }
});

/// What a header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    pub time: EventTime,
    /// Either of two numbers may be the month.
    pub either: bool,
    /// A clock of twelve hours.
    pub half_day: bool,
}

/// Reads the text in front of an event. `today` decides which of two numbers is the month where either may be.
pub fn read(head: &[u8], today: civil::Date) -> Option<Meant> {
    let Rewritten { head, stamp, either, half_day } = rewritten(head, today);
    let time = match stamp {
        Some(stamp) => stamped(&stamp)?,
        None => epoch(&head)?,
    };
    Some(Meant { time, either, half_day })
}

/// A header with its time as the other expressions know it: a clock of 24 hours, the date in the order of ISO times.
struct Rewritten {
    head: Vec<u8>,
    stamp: Option<Vec<u8>>,
    either: bool,
    half_day: bool,
}

fn rewritten(head: &[u8], today: civil::Date) -> Rewritten {
    let mut head: Vec<u8> = head.iter().map(|b| if *b == b'\t' { b' ' } else { *b }).collect();
    let half_day = whole_day(&mut head);
    let mut either = false;
    let mut stamp = found(&SHAPES.stamp, &head);
    if stamp.is_none() {
        either = ordered(&mut head, today, half_day).unwrap_or(false);
        stamp = found(&SHAPES.stamp, &head);
    }
    Rewritten { head, stamp, either, half_day }
}

/// Where the host stands in the text in front of an event.
pub fn host_place(head: &[u8], today: civil::Date) -> Option<Range<usize>> {
    let read = rewritten(head, today).head;
    let name = SHAPES.hosts.iter().flatten().find_map(|shape| {
        let found = shape.captures(&read)?.name("host")?;
        (!is_no_host(found.as_bytes())).then(|| found.range())
    })?;
    // What was rewritten lies in front of the host, or behind it.
    let text = read.get(name.clone())?;
    let behind = (head.len() + name.start).checked_sub(read.len())?;
    [behind, name.start].into_iter().map(|at| at..at + text.len()).find(|place| head.get(place.clone()) == Some(text))
}

/// A word that stands where the host does and is none: a date, a time zone, the name of the format.
pub fn is_no_host(word: &[u8]) -> bool {
    SHAPES.no_host.as_ref().is_some_and(|none| none.is_match(word))
}

fn found(expression: &Option<Regex>, text: &[u8]) -> Option<Vec<u8>> {
    Some(expression.as_ref()?.find(text)?.as_bytes().to_vec())
}

fn part<'a>(captures: &Captures<'a>, name: &str) -> Option<&'a [u8]> {
    captures.name(name).map(|found| found.as_bytes())
}

/// `9:21:07 PM` becomes `21:21:07`.
fn whole_day(head: &mut Vec<u8>) -> bool {
    let Some(captures) = SHAPES.half_day.as_ref().and_then(|half| half.captures(head)) else { return false };
    let Some(half) = captures.name("half") else { return false };
    let text = half.as_bytes();
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (hour, rest) = text.split_at(digits);
    let clock = rest.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b',')).count();
    let afternoon = rest.iter().any(|b| matches!(b, b'P' | b'p'));
    let hour = number(hour) % 12 + if afternoon { 12 } else { 0 };
    let clock = [format!("{hour:02}").as_bytes(), rest.get(..clock).unwrap_or_default()].concat();
    let range = half.range();
    head.splice(range, clock);
    true
}

/// Brings a date in another order into that of ISO times; was either of two numbers possibly the month?
fn ordered(head: &mut Vec<u8>, today: civil::Date, half_day: bool) -> Option<bool> {
    let text = head.clone();
    let padded = |clock: &[u8]| if clock.len() == 7 { [b"0", clock].concat() } else { clock.to_vec() };
    if let Some(captures) = SHAPES.year_first.as_ref().and_then(|shape| shape.captures(&text)) {
        let month = number(part(&captures, "m").or_else(|| part(&captures, "mm"))?);
        let day = number(part(&captures, "d").or_else(|| part(&captures, "dd"))?);
        let clock = match (part(&captures, "clock"), part(&captures, "bare")) {
            (Some(clock), _) => padded(clock),
            (None, Some([h1, h2, m1, m2, s1, s2])) => vec![*h1, *h2, b':', *m1, *m2, b':', *s1, *s2],
            _ => return None,
        };
        let date = format!("{}-{month:02}-{day:02} ", number(part(&captures, "y")?));
        let start = captures.name("y")?.start();
        let end = captures.name("clock").or_else(|| captures.name("bare"))?.end();
        head.splice(start..end, [date.as_bytes(), &clock].concat());
        return Some(false);
    }
    let captures = SHAPES.day_first.as_ref()?.captures(&text)?;
    let (first, second, mark) = (number(part(&captures, "a")?), part(&captures, "b")?, part(&captures, "mark")?);
    let (year, clock) = (number(part(&captures, "y")?), padded(part(&captures, "clock")?));
    let year = if year < 100 { year + 2000 } else { year };
    let range = captures.name("a")?.start()..captures.name("clock")?.end();
    let (date, either) = match month_by_name(second) {
        Some(month) => (format!("{year}-{month:02}-{first:02} "), false),
        None => {
            let second = number(second);
            let month = i64::from(today.month());
            let either = first <= 12 && second <= 12 && first != second && mark != b".";
            let day_first = first > 12
                || second <= 12 && (mark == b"." || !half_day && first != month && (second == month || mark == b"-"));
            let (month, day) = if day_first { (second, first) } else { (first, second) };
            (format!("{year}-{month:02}-{day:02} "), either && !half_day)
        }
    };
    head.splice(range, [date.as_bytes(), &clock].concat());
    Some(either)
}

fn stamped(stamp: &[u8]) -> Option<EventTime> {
    let offset = SHAPES.offset.as_ref()?.captures(stamp).and_then(|found| offset(part(&found, "offset")?));
    let clock = |text: &[u8]| {
        let mut parts = text.split(|b| *b == b':').map(number);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    let time = |year, month, day, (hour, minute, second)| EventTime {
        year,
        month: Some(month),
        day: Some(day),
        hour,
        minute,
        second,
        offset,
        ..EventTime::default()
    };
    if let Some(found) = SHAPES.digits.as_ref()?.captures(stamp) {
        let [year, month, day] = ["y", "m", "d"].map(|name| part(&found, name).map(number));
        return Some(time(year, month?, day?, clock(part(&found, "clock")?)?));
    }
    let month = month_by_name(&found(&SHAPES.month, stamp)?)?;
    let named = |shape: &Option<Regex>, name: &str| {
        shape.as_ref()?.captures(stamp).and_then(|found| part(&found, name).map(<[u8]>::to_vec))
    };
    let day = named(&SHAPES.day_before, "d").or_else(|| named(&SHAPES.day_behind, "d"))?;
    let year = named(&SHAPES.year, "y").map(|year| number(&year));
    Some(time(year, month, number(&day), clock(&named(&SHAPES.clock, "clock")?)?))
}

fn epoch(head: &[u8]) -> Option<EventTime> {
    let captures = SHAPES.epoch.as_ref()?.captures(head)?;
    let at = jiff::Timestamp::from_second(number(part(&captures, "seconds")?)).ok()?;
    let at = jiff::tz::Offset::UTC.to_datetime(at);
    Some(EventTime {
        year: Some(at.year().into()),
        month: Some(at.month().into()),
        day: Some(at.day().into()),
        hour: at.hour().into(),
        minute: at.minute().into(),
        second: at.second().into(),
        offset: Some(0),
        ..EventTime::default()
    })
}

/// Seconds east of UTC of a zone's name or number.
fn offset(word: &[u8]) -> Option<i64> {
    let word = std::str::from_utf8(word).ok()?;
    let named = p::ZONES.iter().find(|(_, names)| names.contains(&word)).map(|(offset, _)| *offset);
    let text = named.unwrap_or(word).trim_start_matches("UTC").trim_start_matches("GMT");
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return Some(0),
    };
    let digits: Vec<u8> = digits.iter().copied().filter(u8::is_ascii_digit).collect();
    let (hours, minutes) = digits.split_at(if digits.len() % 2 == 1 { 1 } else { 2 });
    Some(sign * (number(hours) * 60 + number(minutes)) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_one() {
        let s = &*SHAPES;
        let all = [&s.half_day, &s.stamp, &s.digits, &s.year_first, &s.day_first, &s.epoch, &s.offset, &s.month];
        let more = [&s.day_before, &s.day_behind, &s.year, &s.clock];
        assert!(all.into_iter().chain(more).chain(&s.hosts).chain([&s.no_host]).all(Option::is_some));
    }

    #[test]
    fn which_number_is_the_month() {
        let read = |head: &str| {
            let meant = read(head.as_bytes(), civil::date(2026, 1, 20)).unwrap();
            (meant.time.month.unwrap(), meant.time.day.unwrap(), meant.either)
        };
        assert_eq!(read("<1>01/08/2026 09:21:07 h"), (1, 8, true));
        assert_eq!(read("<1>08/01/2026 09:21:07 h"), (1, 8, true));
        assert_eq!(read("<1>07/08/2026 09:21:07 h"), (7, 8, true));
        assert_eq!(read("<1>07-08-2026 09:21:07 h"), (8, 7, true));
        assert_eq!(read("<1>07.08.2026 09:21:07 h"), (8, 7, false));
        assert_eq!(read("<1>08/01/2026 09:21:07 AM h"), (8, 1, false));
        assert_eq!(read("<1>14/08/2026 09:21:07 h"), (8, 14, false));
        assert!(super::read(b"<1>10.1.1.9 app: ", civil::date(2026, 1, 20)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(head in "(<1>)?[0-9A-Za-z ,:./+-]{0,40}", bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            for head in [head.as_bytes(), &bytes] {
                read(head, civil::date(2026, 8, 14));
                host_place(head, civil::date(2026, 8, 14));
            }
        }
    }
}
