//! Why the agent drops a line. It only knows `invalid syslog message` and `pattern not match`; here the cause is looked
//! for, so that a person can mend the sender, and so that the shapes no rebuilt header can save are told apart.

use serde::Serialize;

use super::Refusal;
use super::event::{self, Event, Kind};
use super::header::{self, Header, TimeKind, Zone};
use super::pattern;

/// Can a collector save such a line?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// A rebuilt header is enough.
    Header,
    /// Only by changing the event's own text.
    Rewrite,
    /// Nothing to save.
    None,
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident $id:literal $repair:ident $text:literal,)*) => {
        /// Why a line became no record. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$meta])* $name,)* }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// Stable name in kebab case.
            pub fn id(self) -> &'static str {
                match self { $(Reason::$name => $id,)* }
            }

            /// One plain sentence without a full stop.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }

            /// What it would take to have the line accepted.
            pub fn repair(self) -> Repair {
                match self { $(Reason::$name => Repair::$repair,)* }
            }
        }
    };
}

reasons! {
    EmptyLine "empty-line" None "the line is empty",
    OctetCount "octet-count" Header "a length stands in front of the PRI: octet-counted frames reached the agent, which splits at line feeds only",
    NoPri "no-pri" Header "there is no <PRI> in front",
    PriNotNumeric "pri-not-numeric" Header "the text between < and > in front is no number",
    NoTimestamp "no-timestamp" Header "there is no timestamp the agent reads",
    NilTime "nil-time" Header "the RFC 5424 header has - in place of the time",
    IsoZNoFraction "iso-z-no-fraction" Header "the agent reads an ISO time with Z only if it has at least two digits of fraction",
    IsoNoZone "iso-no-zone" Header "the ISO time has no zone",
    IsoShortZone "iso-short-zone" Header "the zone of the ISO time has hours only",
    IsoBlank "iso-blank" Header "the ISO time has a blank where the agent wants a T",
    EpochTime "epoch-time" Header "the time is in seconds since 1970",
    OddTime "odd-time" Header "the time is in a form the agent does not read",
    BadTimeValue "bad-time-value" Header "the time has the right form, but a part of it is out of range",
    ZoneWord "zone-word" Header "a zone word follows the time; the agent takes it for the host and then finds no %ASA",
    TimeFraction "time-fraction" Header "a fraction or zone follows the seconds; the agent takes it for the host and then finds no %ASA",
    Ipv6Host "ipv6-host" Header "the host is an IPv6 address, which the agent cuts at its first colon",
    AsaTextBefore "asa-text-before" Header "there are words between the host and %ASA, as in RFC 5424; the agent takes %ASA only right behind the host",
    Ftd "ftd" Rewrite "%FTD is not known to this agent",
    AsaClassName "asa-class-name" Rewrite "the agent does not take a class name in the ASA id (%ASA-session-6-…)",
    CefVersion "cef-version" Rewrite "the agent takes CEF version 0 only",
    CefInEvent "cef-in-event" None "the event holds CEF and a later 0|; the agent would start the record there",
    AsaNoPercent "asa-no-percent" Rewrite "the ASA id lacks its percent sign",
    AsaIdShort "asa-id-short" Rewrite "the number of the ASA id has fewer than six digits",
    CefLowerCase "cef-lower-case" Rewrite "cef: must be in capitals",
    CefIncomplete "cef-incomplete" None "CEF: is there, but not the header of seven fields that must follow",
    Leef "leef" None "LEEF is not CEF",
    NotSecurity "not-security" None "it is neither CEF nor ASA",
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// The line does not start with `<digits>`.
pub(super) fn without_pri(line: &[u8]) -> Refusal {
    let pri = pri_fault(line);
    if pri == Reason::EmptyLine {
        return Refusal { reason: pri, also: None };
    }
    match event::find(line).map(|event| shape_fault(line, &event)) {
        Some(Some(shape)) => Refusal { reason: shape, also: Some(pri) },
        Some(None) => Refusal { reason: pri, also: None },
        None => Refusal { reason: pri, also: Some(no_event(line)) },
    }
}

fn pri_fault(line: &[u8]) -> Reason {
    let trimmed = line.trim_ascii_start();
    let digits = trimmed.iter().take_while(|b| b.is_ascii_digit()).count();
    match (trimmed.first(), trimmed.get(digits..)) {
        (None, _) => Reason::EmptyLine,
        (Some(b'<'), _) => match trimmed.get(1) {
            // A numeric PRI behind blanks counts as none at all.
            Some(b) if b.is_ascii_digit() => Reason::NoPri,
            _ => Reason::PriNotNumeric,
        },
        (_, Some([b' ', b'<', b, ..])) if digits > 0 && b.is_ascii_digit() => Reason::OctetCount,
        _ => Reason::NoPri,
    }
}

/// The pattern does not match the text behind the PRI.
pub(super) fn without_match(text: &[u8]) -> Refusal {
    let event = event::find(text);
    let header = header::read(text, event.map(|e| e.start));
    let time = time_fault(&header);
    let Some(event) = event else {
        return Refusal { reason: no_event(text), also: time };
    };
    if let Some(reason) = shape_fault(text, &event) {
        return Refusal { reason, also: time };
    }
    match time {
        Some(reason) => Refusal { reason, also: None },
        // The time is fine, so something else stands between it and the event.
        None if event.kind == Kind::Asa => Refusal { reason: before_asa(text, &header), also: None },
        None => Refusal { reason: Reason::OddTime, also: None },
    }
}

/// What stands between a good time and `%ASA` besides a host.
fn before_asa(text: &[u8], header: &Header) -> Reason {
    let host = header.host.clone().and_then(|host| text.get(host)).unwrap_or_default();
    if header.zone_word.is_some() {
        Reason::ZoneWord
    } else if header.time.kind != TimeKind::Iso && (header.time.fraction > 0 || header.time.zone != Zone::None) {
        Reason::TimeFraction
    } else if header::is_ipv6(host) {
        Reason::Ipv6Host
    } else {
        Reason::AsaTextBefore
    }
}

/// What no header can repair in an event.
fn shape_fault(text: &[u8], event: &Event) -> Option<Reason> {
    match event.kind {
        Kind::Ftd => Some(Reason::Ftd),
        Kind::Asa => event.class_name.then_some(Reason::AsaClassName),
        Kind::Cef if !event.version_0 => Some(Reason::CefVersion),
        // With a good header the record would start there.
        Kind::Cef => pattern::last_cef(text).filter(|&(cef, _)| cef > event.start).map(|_| Reason::CefInEvent),
    }
}

/// What is wrong with the time of a header, if the agent would not read it.
fn time_fault(header: &Header) -> Option<Reason> {
    match header.time.kind {
        TimeKind::Bsd | TimeKind::BsdYear | TimeKind::Ctime | TimeKind::DayMonth => None,
        TimeKind::Iso => match header.time.zone {
            Zone::Offset => None,
            Zone::Z if header.time.fraction >= 2 => None,
            Zone::Z => Some(Reason::IsoZNoFraction),
            Zone::ShortOffset => Some(Reason::IsoShortZone),
            Zone::None => Some(Reason::IsoNoZone),
        },
        TimeKind::IsoBlank => Some(Reason::IsoBlank),
        TimeKind::Epoch => Some(Reason::EpochTime),
        TimeKind::Nil => Some(Reason::NilTime),
        TimeKind::Odd => Some(Reason::OddTime),
        TimeKind::None => Some(Reason::NoTimestamp),
    }
}

/// The nearest thing to an event in a line that holds none.
fn no_event(text: &[u8]) -> Reason {
    if contains(text, b"LEEF:") {
        Reason::Leef
    } else if contains(text, b"CEF:") {
        Reason::CefIncomplete
    } else if lower_case_cef(text) {
        Reason::CefLowerCase
    } else if asa_id(text, b"%ASA-").is_some() {
        Reason::AsaIdShort
    } else if asa_id(text, b" ASA-").is_some_and(|digits| digits == 6) {
        Reason::AsaNoPercent
    } else {
        Reason::NotSecurity
    }
}

fn lower_case_cef(text: &[u8]) -> bool {
    text.windows(6).any(
        |w| matches!(w, [c, e, f, b':', v, b'|'] if [*c, *e, *f].eq_ignore_ascii_case(b"cef") && v.is_ascii_digit()),
    )
}

/// Number of digits behind `mark` and a severity.
fn asa_id(text: &[u8], mark: &[u8]) -> Option<usize> {
    let at = text.windows(mark.len()).position(|w| w == mark)? + mark.len();
    match text.get(at..)? {
        [b'0'..=b'7', b'-', number @ ..] => Some(number.iter().take_while(|b| b.is_ascii_digit()).count()),
        _ => None,
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|w| w == word)
}
