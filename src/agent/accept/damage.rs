//! What is wrong with a record the agent stored: its event cut, its host or time not those of the header, or no event at
//! all. The agent logs nothing for these. "Damage" is what makes a record useless or false; a "note" is an oddity of a
//! record that is complete.

use serde::Serialize;

use super::event::{self, Event, Kind};
use super::header::{self, Header, TimeKind, Zone};
use super::pattern::Match;
use super::time::EventTime;

/// Damage done to a record. The names (kebab case) are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// The line is no security event, a record was made of it all the same.
    FalseRecord,
    /// `CEF:0|` without the seven fields that must follow: cut on its way, or quoted in another message.
    HeaderIncomplete,
    /// A CEF version other than 0: the record starts at a later `0|`, the header is lost.
    CefVersion,
    /// `CEF` and a later `0|` in the event: the record starts there, the header is lost.
    CefInEvent,
    /// The record does not start where the event does.
    EventCut,
    /// The ASA id took in what follows it.
    IdWrong,
    /// The host lost a part (IPv6), or is a piece of something else.
    HostCut,
    /// The host went into the time.
    HostInTime,
    /// The time lost a part (fraction, zone).
    TimeCut,
    /// Two words that are no date: the record carries today's date.
    NotADate,
    /// The date is not the one the header names.
    WrongDate,
}

impl Damage {
    pub const ALL: [Damage; 11] = [
        Damage::FalseRecord,
        Damage::HeaderIncomplete,
        Damage::CefVersion,
        Damage::CefInEvent,
        Damage::EventCut,
        Damage::IdWrong,
        Damage::HostCut,
        Damage::HostInTime,
        Damage::TimeCut,
        Damage::NotADate,
        Damage::WrongDate,
    ];

    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Damage::FalseRecord => "false-record",
            Damage::HeaderIncomplete => "header-incomplete",
            Damage::CefVersion => "cef-version",
            Damage::CefInEvent => "cef-in-event",
            Damage::EventCut => "event-cut",
            Damage::IdWrong => "id-wrong",
            Damage::HostCut => "host-cut",
            Damage::HostInTime => "host-in-time",
            Damage::TimeCut => "time-cut",
            Damage::NotADate => "not-a-date",
            Damage::WrongDate => "wrong-date",
        }
    }

    /// One plain sentence without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Damage::FalseRecord => "the line is no security event, but the agent stores it as one",
            Damage::HeaderIncomplete => {
                "CEF:0| is not followed by the seven fields of a header: the event was cut, or is quoted in another message"
            }
            Damage::CefVersion => {
                "the CEF version is not 0, so the agent starts the record at a later 0| and loses the header"
            }
            Damage::CefInEvent => {
                "the event holds CEF and a later 0|, so the agent starts the record there and loses the header"
            }
            Damage::EventCut => "the record does not start where the event starts",
            Damage::IdWrong => "the ASA id takes in characters that follow it",
            Damage::HostCut => "the host is cut (an IPv6 address, or a piece of the time)",
            Damage::HostInTime => "the host is swallowed by the time",
            Damage::TimeCut => "the time is cut: its fraction or zone is lost",
            Damage::NotADate => "two words were taken for a date; the record carries the day of its arrival",
            Damage::WrongDate => "the date in the record is not the one in the header",
        }
    }

    /// Does it come from the event's own text, so that no header can help?
    pub fn is_in_event(self) -> bool {
        use Damage::*;
        matches!(self, FalseRecord | HeaderIncomplete | CefVersion | CefInEvent | IdWrong)
    }
}

/// Something odd in a complete record. The names (kebab case) are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The record has no host; the table then shows the collector.
    NoHost,
    /// The host is a zone word (`UTC`), or an hour (`+0200`, `PM`).
    HostIsZone,
    /// The host is a number, such as the year of a ctime header.
    HostIsNumber,
    /// The host is the tag of a program.
    HostIsTag,
    /// The host is the first of a relay's words `Message forwarded from`.
    HostIsRelay,
    /// The record's host and time come from a second header.
    SecondHeader,
    /// PRI above 191: the record has no facility.
    PriTooLarge,
    /// The message ends in a carriage return.
    CarriageReturn,
}

impl Note {
    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Note::NoHost => "no-host",
            Note::HostIsZone => "host-is-zone",
            Note::HostIsNumber => "host-is-number",
            Note::HostIsTag => "host-is-tag",
            Note::HostIsRelay => "host-is-relay",
            Note::SecondHeader => "second-header",
            Note::PriTooLarge => "pri-too-large",
            Note::CarriageReturn => "carriage-return",
        }
    }

    /// One plain sentence without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Note::NoHost => "the record has no host, so it will appear under the collector's name",
            Note::HostIsZone => "a zone (or AM, PM) behind the time is taken for the host",
            Note::HostIsNumber => "a number is taken for the host",
            Note::HostIsTag => "the program's tag is taken for the host",
            Note::HostIsRelay => "a relay's words, `Message forwarded from`, are taken for the host",
            Note::SecondHeader => "host and time come from a second header in the line",
            Note::PriTooLarge => "the PRI is above 191, so the record has no facility",
            Note::CarriageReturn => "the message ends in a carriage return",
        }
    }
}

/// Judges the record the pattern made of `text`.
pub(super) fn assess(text: &[u8], found: &Match, time: &EventTime, pri: u64) -> (Vec<Damage>, Vec<Note>) {
    let Some(event) = event::find(text) else {
        let ident = text.get(found.ident.clone()).unwrap_or_default();
        let cut_header = found.cef && (ident.ends_with(b"CEF:") || ident.ends_with(b"CEF: "));
        let damage = if cut_header { Damage::HeaderIncomplete } else { Damage::FalseRecord };
        return (vec![damage], Vec::new());
    };
    let header = header::read(text, Some(event.start));
    let mut damage = Vec::new();
    damage.extend(event_damage(found, &event));
    damage.extend(time_damage(text, found, time, &header, event.start));
    damage.extend(host_damage(text, found, event.start));
    (damage, notes(text, found, &header, pri))
}

fn event_damage(found: &Match, event: &Event) -> Option<Damage> {
    match event.kind {
        Kind::Cef if found.cef && found.message.start == event.body => None,
        Kind::Cef if found.cef && !event.version_0 => Some(Damage::CefVersion),
        Kind::Cef if found.cef && found.message.start > event.body => Some(Damage::CefInEvent),
        Kind::Asa | Kind::Ftd if found.cef => Some(Damage::CefInEvent),
        Kind::Asa if found.ident == (event.start..event.body) => None,
        Kind::Asa if found.ident.start == event.start && !event.class_name => Some(Damage::IdWrong),
        _ => Some(Damage::EventCut),
    }
}

fn time_damage(text: &[u8], found: &Match, time: &EventTime, header: &Header, event: usize) -> Vec<Damage> {
    let mut damage = Vec::new();
    let place = found.time.clone();
    let captured = text.get(place.clone()).unwrap_or_default();
    let iso = captured.get(10) == Some(&b'T') && captured.get(4) == Some(&b'-');
    // The byte behind the seconds may be anything: as a blank it starts the host.
    if iso && captured.get(19).is_some_and(u8::is_ascii_whitespace) {
        damage.push(Damage::HostInTime);
    } else if place.end < token_end(text, place.end, event) {
        damage.push(Damage::TimeCut);
    }
    if !iso && !time.has_date() {
        damage.push(Damage::NotADate);
    } else if wrong_date(text, found, time, header) {
        damage.push(Damage::WrongDate);
    }
    damage
}

/// Where the word around `at` ends, a colon at its end apart.
fn token_end(text: &[u8], at: usize, event: usize) -> usize {
    let limit = event.max(at).min(text.len());
    let rest = text.get(at..limit).unwrap_or_default();
    let len = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    if rest.get(..len) == Some(b":") { at } else { at + len }
}

/// Ruby reads `1 Aug 14` (a version and a date) as 1 August 2014.
fn wrong_date(text: &[u8], found: &Match, time: &EventTime, header: &Header) -> bool {
    let place = &header.time.place;
    if place.start < found.time.start || place.end > found.time.end {
        return false;
    }
    let Ok(meant) = EventTime::parse(text.get(place.clone()).unwrap_or_default()) else { return false };
    let known = matches!(header.time.kind, TimeKind::Bsd | TimeKind::BsdYear | TimeKind::DayMonth | TimeKind::Iso);
    known && header.time.zone == Zone::None && (meant.year, meant.month, meant.day) != (time.year, time.month, time.day)
}

fn host_damage(text: &[u8], found: &Match, event: usize) -> Option<Damage> {
    let host = found.host.clone()?;
    let glued_to_time =
        host.start == found.time.end || text.get(host.start - 1) == Some(&b':') && host.start == found.time.end + 1;
    let rest = text.get(host.start..event.max(host.end).min(text.len())).unwrap_or_default();
    let token = rest.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    let name = token.strip_suffix(b":").filter(|t| !t.ends_with(b":")).unwrap_or(token);
    let ipv6 = header::is_ipv6(name) && name.len() > host.len();
    (glued_to_time || ipv6).then_some(Damage::HostCut)
}

fn notes(text: &[u8], found: &Match, header: &Header, pri: u64) -> Vec<Note> {
    let mut notes = Vec::new();
    let host = found.host.as_ref().and_then(|place| text.get(place.clone()));
    match host {
        None => notes.push(Note::NoHost),
        Some(host) if header::is_zone_word(host) => notes.push(Note::HostIsZone),
        Some(host) if host.iter().all(u8::is_ascii_digit) => notes.push(Note::HostIsNumber),
        Some(b"Message")
            if text
                .get(found.host.as_ref().map_or(0, |h| h.start)..)
                .is_some_and(|t| t.starts_with(header::FORWARDED)) =>
        {
            notes.push(Note::HostIsRelay);
        }
        Some(host) if host.contains(&b'[') => notes.push(Note::HostIsTag),
        Some(_) => {}
    }
    if !header.time.place.is_empty() && found.time.start > header.time.place.end {
        notes.push(Note::SecondHeader);
    }
    if pri > 191 {
        notes.push(Note::PriTooLarge);
    }
    if text.ends_with(b"\r") {
        notes.push(Note::CarriageReturn);
    }
    notes
}
