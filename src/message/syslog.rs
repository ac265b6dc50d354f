//! An incoming line as a person would describe it: PRI, header, host, tag, where the event starts, what it is written in.
//! Lenient: every line gets a description. What the agent makes of the line is another question ([`crate::agent::accept`]).

use std::ops::Range;

use serde::Serialize;

use super::cef::{self, Cef};
use crate::agent::accept::event::{self, Event};
use crate::agent::accept::header::{self, Header, TimeKind};
use crate::agent::accept::meant::{self, Meant};

pub use crate::agent::accept::event::Kind;

/// The filter a collector should forward by: is this line a CEF, ASA or FTD event, whatever its envelope?
pub fn is_security_event(raw: &[u8]) -> Option<Kind> {
    event::find(raw).map(|event| event.kind)
}

/// What stands in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pri {
    None,
    /// 0 to 191: facility × 8 + severity.
    Value(u8),
    /// A number above 191.
    TooLarge,
    /// `<…>` without a number.
    NotNumeric,
}

/// Which of the syslog formats a line follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// All six fields and the structured data.
    Rfc5424,
    /// Version, time and host, then the event: neither one nor the other (CyberArk, Kaspersky and others).
    Short5424,
    /// A time of any kind, then perhaps a host and a tag.
    Rfc3164,
    /// No time: nothing in front of the text but perhaps a PRI.
    Bare,
}

/// Traces of framing and encoding. The names (kebab case) are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trace {
    /// A length in front of the PRI.
    OctetCount,
    /// A carriage return at the end.
    CarriageReturn,
    /// rsyslog's `#015` at the end: a carriage return it escaped.
    EscapedCarriageReturn,
    /// A NUL byte.
    Nul,
    /// A byte order mark.
    Bom,
    NotUtf8,
    /// Control characters other than tab.
    Control,
    /// More than one event in the line.
    SeveralEvents,
    /// More than one event, each in a line of its own.
    SeveralLines,
}

/// Description of one line. Places count from the start of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    pub raw: &'a [u8],
    pub pri: Pri,
    /// Where the text behind the PRI starts.
    pub text: usize,
    pub form: Form,
    pub header: Header,
    /// Program or module in front of the event (`ASM:`, `prog[12]:`), RFC 5424: the app name.
    pub tag: Option<Range<usize>>,
    pub event: Option<Event>,
    pub cef: Option<Cef<'a>>,
    pub traces: Vec<Trace>,
}

impl<'a> Line<'a> {
    fn part(&self, place: &Range<usize>) -> &'a [u8] {
        self.raw.get(place.clone()).unwrap_or_default()
    }

    pub fn host(&self) -> Option<&'a [u8]> {
        self.header.host.as_ref().map(|place| self.part(place))
    }

    pub fn tag(&self) -> Option<&'a [u8]> {
        self.tag.as_ref().map(|place| self.part(place))
    }

    /// The time as written; empty where there is none.
    pub fn time(&self) -> &'a [u8] {
        self.part(&self.header.time.place)
    }

    /// The time that the header means, whatever its form; `today` is the collector's date, for dates that can be read in two
    /// ways. `None` where there is none.
    pub fn meant(&self, today: jiff::civil::Date) -> Option<Meant> {
        let end = self.event.map_or(self.header.end.min(self.raw.len()), |event| event.start);
        meant::read(self.raw.get(..end)?, today)
    }

    pub fn kind(&self) -> Option<Kind> {
        self.event.map(|event| event.kind)
    }

    /// Facility and severity as numbers.
    pub fn facility_severity(&self) -> Option<(u8, u8)> {
        match self.pri {
            Pri::Value(pri) => Some((pri / 8, pri % 8)),
            _ => None,
        }
    }
}

/// Describes one line (without its line feed).
pub fn read(raw: &[u8]) -> Line<'_> {
    let count = octet_count(raw);
    let (pri, text) = pri(raw, count.unwrap_or(0));
    let event = event::find(raw);
    let behind = raw.get(text..).unwrap_or_default();
    let header = shift(header::read(behind, event.and_then(|e| e.start.checked_sub(text))), text);
    let limit = event.map_or(raw.len(), |e| e.start);
    let header = named_as_forwarded(raw, header, event);
    let (form, tag) = form_and_tag(raw, &header, limit);
    let end = first_of_several(raw, event);
    let first = end.and_then(|end| raw.get(..end)).unwrap_or(raw);
    let cef = event.filter(|e| e.kind == Kind::Cef).and_then(|e| cef::parse(first.get(e.start..)?));
    let traces = traces(raw, count.is_some(), event, end);
    Line { raw, pri, text, form, header, tag, event, cef, traces }
}

/// The host as the rules of both daemons find it in the text in front of an event. Its place does not depend on the date.
fn named_as_forwarded(raw: &[u8], header: Header, event: Option<Event>) -> Header {
    let head = event.and_then(|event| raw.get(..event.start));
    let host = head.and_then(|head| meant::host_place(head, jiff::civil::date(2000, 1, 1)));
    match host {
        Some(host) if header.host.as_ref().is_none_or(|known| known.start < host.end && host.start < known.end) => {
            Header { end: header.end.max(host.end), host: Some(host), ..header }
        }
        None if header.host.clone().and_then(|known| raw.get(known)).is_some_and(meant::is_no_host) => {
            Header { host: None, ..header }
        }
        _ => header,
    }
}

/// Length of a count in front of a PRI, blank included.
fn octet_count(raw: &[u8]) -> Option<usize> {
    let digits = raw.iter().take_while(|b| b.is_ascii_digit()).count();
    let behind = raw.get(digits..)?;
    (digits > 0 && matches!(behind, [b' ', b'<', b'0'..=b'9', ..])).then_some(digits + 1)
}

fn pri(raw: &[u8], start: usize) -> (Pri, usize) {
    let Some(behind) = raw.get(start..).and_then(|r| r.strip_prefix(b"<")) else { return (Pri::None, start) };
    // A closing bracket further off than any PRI needs is something else.
    let Some(len) = behind.iter().take(12).position(|&b| b == b'>') else { return (Pri::None, start) };
    let digits = behind.get(..len).unwrap_or_default();
    let pri = match std::str::from_utf8(digits).map(str::parse::<u64>) {
        Ok(Ok(number)) => u8::try_from(number).ok().filter(|n| *n <= 191).map_or(Pri::TooLarge, Pri::Value),
        _ => Pri::NotNumeric,
    };
    (pri, start + len + 2)
}

fn shift(mut header: Header, by: usize) -> Header {
    let moved = |place: &mut Range<usize>| *place = place.start + by..place.end + by;
    moved(&mut header.time.place);
    header.host.as_mut().map(moved);
    header.zone_word.as_mut().map(moved);
    header.end += by;
    header
}

fn form_and_tag(raw: &[u8], header: &Header, limit: usize) -> (Form, Option<Range<usize>>) {
    let rest = raw.get(header.end..limit).unwrap_or_default();
    let timeless = header.time.place.is_empty();
    if header.version_1 && !timeless {
        return match rfc5424_fields(rest) {
            Some(app) => (Form::Rfc5424, app.map(|app| app.start + header.end..app.end + header.end)),
            None => (Form::Short5424, None),
        };
    }
    let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == b':').count();
    let word = rest.iter().skip(blanks).take_while(|b| !b.is_ascii_whitespace()).count();
    let token = rest.get(blanks..blanks + word).unwrap_or_default();
    // A tag ends in a colon; glued to the event it has lost nothing.
    let name =
        token.iter().position(|&b| b == b':').or((limit < raw.len() && rest.len() == blanks + word).then_some(word));
    let start = header.end + blanks;
    let tag = name.filter(|&len| len > 0).map(|len| start..start + len);
    // A time in a form of its own stands in no known place, but is a header all the same.
    (if timeless && header.time.kind == TimeKind::None { Form::Bare } else { Form::Rfc3164 }, tag)
}

/// App name, process, message id and structured data behind the host; `None` where they are not all there. The app name
/// itself may be `-`.
fn rfc5424_fields(rest: &[u8]) -> Option<Option<Range<usize>>> {
    let mut at = 0;
    let mut app = None;
    for field in 0..3 {
        at += usize::from(rest.get(at)? == &b' ');
        let len = rest.get(at..)?.iter().position(|&b| b == b' ')?;
        if len == 0 {
            return None;
        }
        if field == 0 && rest.get(at..at + len)? != b"-" {
            app = Some(at..at + len);
        }
        at += len;
    }
    match rest.get(at + 1..)? {
        [b'-'] | [b'-', b' ', ..] | [b'[', ..] => Some(app),
        _ => None,
    }
}

/// Where the first of several events ends that stand in lines of their own.
fn first_of_several(raw: &[u8], event: Option<Event>) -> Option<usize> {
    let first = event?;
    let behind = raw.get(first.body..)?;
    let next = event::find(behind)?;
    let at = behind.get(..next.start)?.windows(2).position(|w| w == b"\n<")?;
    Some(first.body + at)
}

fn traces(raw: &[u8], counted: bool, event: Option<Event>, first_ends: Option<usize>) -> Vec<Trace> {
    let body = raw.strip_suffix(b"\r").unwrap_or(raw);
    let between = |b: &u8| first_ends.is_some() && matches!(b, b'\r' | b'\n');
    let control = |b: &u8| b.is_ascii_control() && !matches!(b, 0 | b'\t') && !between(b);
    let several = event.is_some_and(|e| raw.get(e.body..).is_some_and(|behind| event::find(behind).is_some()));
    let found = [
        (Trace::OctetCount, counted),
        (Trace::CarriageReturn, body.len() < raw.len()),
        (Trace::EscapedCarriageReturn, raw.ends_with(b"#015")),
        (Trace::Nul, raw.contains(&0)),
        (Trace::Bom, raw.windows(3).any(|w| w == b"\xEF\xBB\xBF")),
        (Trace::NotUtf8, std::str::from_utf8(raw).is_err()),
        (Trace::Control, body.iter().any(control)),
        (Trace::SeveralEvents, several && first_ends.is_none()),
        (Trace::SeveralLines, first_ends.is_some()),
    ];
    found.into_iter().filter(|(_, there)| *there).map(|(trace, _)| trace).collect()
}

/// One or two words for a header's time, for reports.
pub fn time_words(kind: TimeKind) -> &'static str {
    match kind {
        TimeKind::Bsd => "RFC 3164 time",
        TimeKind::BsdYear => "RFC 3164 time with year",
        TimeKind::Ctime => "ctime",
        TimeKind::DayMonth => "day before month",
        TimeKind::Iso => "ISO time",
        TimeKind::IsoBlank => "ISO time with a blank",
        TimeKind::Epoch => "epoch seconds",
        TimeKind::Nil => "no time (RFC 5424 -)",
        TimeKind::Odd => "time in a form of its own",
        TimeKind::None => "no time",
    }
}

#[cfg(test)]
mod tests;
