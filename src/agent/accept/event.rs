//! Which lines are security events, by their own text and not by their envelope: the filter of acceptance.md, which
//! found every event of its corpus and nothing else.

use serde::Serialize;

/// What an event is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Cef,
    Asa,
    Ftd,
}

impl Kind {
    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Kind::Cef => "cef",
            Kind::Asa => "asa",
            Kind::Ftd => "ftd",
        }
    }
}

/// An event inside a line; all places count from the start of what was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    /// Place of `CEF:`, `%ASA` or `%FTD`.
    pub start: usize,
    /// CEF: place of the version's first digit. ASA and FTD: place behind the six-digit id.
    pub body: usize,
    /// ASA and FTD with a class name (`%ASA-session-6-302013`).
    pub class_name: bool,
    /// CEF: is the version 0? Always true for the others.
    pub version_0: bool,
}

/// The first event in `line`: `CEF:`, an optional blank, a version and seven bars; or `%ASA-` / `%FTD-`, an optional
/// class, a severity and six digits. Quoted or garbled headers with fewer bars are none.
pub fn find(line: &[u8]) -> Option<Event> {
    line.iter().enumerate().find_map(|(at, &byte)| match byte {
        b'C' => cef_at(line, at),
        b'%' => cisco_at(line, at),
        _ => None,
    })
}

fn cef_at(line: &[u8], start: usize) -> Option<Event> {
    let behind = line.get(start..)?.strip_prefix(b"CEF:")?;
    let blank = usize::from(behind.first() == Some(&b' '));
    let version = behind.get(blank..)?;
    let digits = version.iter().take_while(|b| b.is_ascii_digit()).count();
    let header = version.get(digits..)?;
    if digits == 0 || header.first() != Some(&b'|') || header.iter().filter(|&&b| b == b'|').nth(6).is_none() {
        return None;
    }
    let version_0 = version.get(..digits) == Some(b"0");
    Some(Event { kind: Kind::Cef, start, body: start + 4 + blank, class_name: false, version_0 })
}

fn cisco_at(line: &[u8], start: usize) -> Option<Event> {
    let rest = line.get(start..)?;
    let (kind, mut id) = match (rest.strip_prefix(b"%ASA-"), rest.strip_prefix(b"%FTD-")) {
        (Some(id), _) => (Kind::Asa, id),
        (_, Some(id)) => (Kind::Ftd, id),
        _ => return None,
    };
    let class = id.iter().take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    if class > 0 {
        id = id.get(class..)?.strip_prefix(b"-")?;
    }
    let [b'0'..=b'7', b'-', number @ ..] = id else { return None };
    if !number.get(..6)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let body = line.len() - number.len() + 6;
    Some(Event { kind, start, body, class_name: class > 0, version_0: true })
}
