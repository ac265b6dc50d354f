//! One event as syslog-ng sees it: the values its parsers make of the bytes. Differences between what a device sends
//! and what a filter sees start here: `CEF:` becomes the program name, an RFC 5424 header behind a driver for RFC 3164
//! becomes text, a sender's address takes the place of the device's name.

mod cursor;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::cursor::Cursor;
use super::effective::{Format, Listener};
use super::filter::FACILITIES;
use super::version::Version;
use crate::syslog::Text;

/// Where an event comes from, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The sender's address as `$SOURCEIP` has it.
    pub address: Text,
    /// The sender's name, which is the address where no name server is asked.
    pub name: Text,
    /// Time of reception as `$R_ISODATE` has it.
    pub received: Text,
    /// The program that reads the event, where known: later versions know more forms of time.
    pub program: Option<Version>,
}

impl Default for Origin {
    /// A sender on this machine.
    fn default() -> Self {
        let address = Text::from("127.0.0.1");
        Origin { name: address.clone(), address, received: "2026-01-01T00:00:00+00:00".into(), program: None }
    }
}

/// An event with its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleEvent {
    /// As the daemon takes it from the socket, line end gone.
    pub raw: Text,
    /// Facility × 8 + severity; above 191 where the sender said so.
    pub pri: u16,
    /// By the name of the macro (`HOST`, `PROGRAM`, `MESSAGE` …). `None`: there is one, but we cannot tell which.
    pub values: BTreeMap<Text, Option<Text>>,
    /// Tags put on it.
    pub tags: Vec<Text>,
    /// Something happened to it that may have changed anything.
    pub opaque: bool,
    /// It stands for the same event of any device: see [`SampleEvent::of_anybody`].
    pub of_anybody: bool,
    program: Option<Version>,
}

impl SampleEvent {
    /// The event as this listener takes it in.
    pub fn at(raw: &[u8], origin: &Origin, listener: &Listener) -> SampleEvent {
        let size = usize::try_from(listener.message_size).unwrap_or(usize::MAX);
        let raw = &raw[..raw.len().min(size)];
        let mut event = SampleEvent::read(raw, origin, listener.format);
        if !listener.keep_hostname {
            event.set("HOST", &origin.name.0);
        }
        if let Some(name) = &listener.host_name {
            event.set("HOST", &name.0);
        }
        if let Some(name) = &listener.program_name {
            event.set("PROGRAM", &name.0);
            event.forget_header();
        }
        let readable = event.values.get(&"MESSAGE".into()).is_none_or(Option::is_some);
        if listener.raw_message && readable {
            event.set("RAWMSG", strip_end(raw));
        }
        event
    }

    /// The event as a driver for this format reads it, the device's host name kept.
    pub fn read(raw: &[u8], origin: &Origin, format: Format) -> SampleEvent {
        let values = BTreeMap::new();
        let mut event = SampleEvent {
            raw: Text::from(strip_end(raw)),
            pri: 13,
            values,
            tags: Vec::new(),
            opaque: false,
            of_anybody: false,
            program: origin.program,
        };
        event.set("SOURCEIP", &origin.address.0);
        event.set("HOST_FROM", &origin.name.0);
        event.set("HOST", &origin.name.0);
        for stamp in ["S_ISODATE", "ISODATE", "R_ISODATE", "C_ISODATE"] {
            event.set(stamp, &origin.received.0);
        }
        event.parse(raw, format);
        event
    }

    /// The same event from a device that is not known: neither its address nor its name nor the facility and severity
    /// it sends with. Filters by these (`netmask()`, `host()`, `facility()`) hold for some devices and not for others.
    pub fn of_anybody(mut self) -> SampleEvent {
        self.of_anybody = true;
        for name in ["SOURCEIP", "HOST", "HOST_FROM", "FULLHOST", "FULLHOST_FROM"] {
            self.values.insert(name.into(), None);
        }
        self
    }

    /// Facility × 8 + severity, where known.
    pub fn known_pri(&self) -> Option<u16> {
        (!self.opaque && !self.of_anybody).then_some(self.pri)
    }

    /// Reads `text` as a syslog message and sets the values it has.
    pub fn parse(&mut self, text: &[u8], format: Format) {
        match format {
            Format::Raw => self.set("MESSAGE", strip_end(text)),
            Format::Rfc3164 => self.legacy(strip_end(text)),
            Format::Rfc5424 => self.rfc5424(strip_end(text)),
        }
    }

    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.values.insert(name.into(), Some(Text::from(value)));
    }

    /// The header as the sender wrote it goes when the name of the program or its process id changes.
    pub fn forget_header(&mut self) {
        self.values.remove(&Text::from("LEGACY_MSGHDR"));
    }

    /// A value by its macro name. Known and absent is empty; `None` where we cannot tell.
    pub fn get(&self, name: &Text) -> Option<Text> {
        let name = match name.as_bytes() {
            b"MSG" | b"MSGONLY" => Text::from("MESSAGE"),
            _ => name.clone(),
        };
        match (self.values.get(&name), name.as_bytes()) {
            (Some(value), _) => value.clone(),
            (None, b"PRI") => self.of_pri(|pri| pri.to_string()),
            (None, b"LEVEL_NUM" | b"SEVERITY_NUM") => self.of_pri(|pri| (pri & 7).to_string()),
            (None, b"FACILITY_NUM") => self.of_pri(|pri| (pri >> 3).to_string()),
            (None, b"LEVEL" | b"PRIORITY" | b"SEVERITY") => self.of_pri(|pri| severity_name(pri).to_owned()),
            (None, b"FACILITY") => self.of_pri(facility_name),
            (None, b"MSGHDR") => self.header(),
            (None, b"R_YEAR") => self.of_reception(0..4),
            (None, b"R_MONTH") => self.of_reception(5..7),
            (None, _) if self.opaque || is_macro(&name) => None,
            (None, _) => Some(Text::default()),
        }
    }

    fn of_pri(&self, value: impl Fn(u16) -> String) -> Option<Text> {
        self.known_pri().map(|pri| Text::from(value(pri).as_str()))
    }

    /// A piece of the time of reception.
    fn of_reception(&self, place: std::ops::Range<usize>) -> Option<Text> {
        let time = self.values.get(&"R_ISODATE".into())?.as_ref()?;
        time.as_bytes().get(place).map(Text::from)
    }

    fn known(&self, name: &str) -> Option<Text> {
        self.get(&name.into())
    }

    /// `$MSGHDR`: as the sender wrote it, else made from program and process id.
    fn header(&self) -> Option<Text> {
        let kept = self.known("LEGACY_MSGHDR")?;
        if !kept.is_empty() {
            return Some(kept);
        }
        let (program, pid) = (self.known("PROGRAM")?, self.known("PID")?);
        let mut header = program.0;
        if !header.is_empty() {
            if !pid.is_empty() {
                header.extend([b"[", pid.as_bytes(), b"]"].concat());
            }
            header.extend(b": ");
        }
        Some(Text(header))
    }

    // ---- RFC 3164, with its guesses ----

    fn legacy(&mut self, text: &[u8]) {
        let mut at = Cursor(text);
        if !self.priority(&mut at) {
            return self.opaque();
        }
        at.sequence_number();
        at.skip(b" ");
        if matches!(at.peek(), Some(b'*' | b'.')) {
            at.0 = &at.0[1..];
        }
        if at.timestamp(self.program) {
            at.skip(b" ");
            if let Some(host) = at.host() {
                self.set("HOST", host);
            }
            at.skip(b" ");
        }
        self.program(&mut at);
        self.set("MESSAGE", at.0);
    }

    fn program(&mut self, at: &mut Cursor<'_>) {
        let start = at.0;
        let name = at.until(|b| matches!(b, b' ' | b'[' | b':'));
        self.set("PROGRAM", name);
        if at.peek() == Some(b'[') {
            at.take(b'[');
            let pid = at.until(|b| matches!(b, b' ' | b']' | b':'));
            if !at.0.is_empty() {
                self.set("PID", pid);
            }
            at.take(b']');
        }
        at.take(b':');
        at.take(b' ');
        self.set("LEGACY_MSGHDR", &start[..start.len() - at.0.len()]);
    }

    /// `false` where the text starts with `<` and is no PRI.
    fn priority(&mut self, at: &mut Cursor<'_>) -> bool {
        if at.peek() != Some(b'<') {
            self.pri = 13;
            return true;
        }
        let digits = at.0[1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&at.0[1..1 + digits]).unwrap_or_default();
        let end = at.0.get(1 + digits);
        if end.is_some_and(|b| *b != b'>') {
            return false;
        }
        self.pri = number.parse().unwrap_or(if number.is_empty() { 0 } else { u16::MAX });
        at.0 = at.0.get(digits + 2..).unwrap_or_default();
        true
    }

    /// What the daemon says instead of an event it cannot read: `Error processing log message: ` and the line, with a mark
    /// put in that differs between versions.
    fn unreadable(&mut self) {
        self.pri = 43;
        for name in ["MSGID", "LEGACY_MSGHDR", "RAWMSG"] {
            self.values.remove(&Text::from(name));
        }
        self.set("PROGRAM", b"syslog-ng");
        for name in ["HOST", "PID", "MESSAGE"] {
            self.values.insert(name.into(), None);
        }
    }

    /// Nothing is known of it any more.
    pub fn opaque(&mut self) {
        self.opaque = true;
        self.values.values_mut().for_each(|v| *v = None);
    }

    // ---- RFC 5424 ----

    fn rfc5424(&mut self, text: &[u8]) {
        let mut at = Cursor(text);
        if !self.priority(&mut at) || !at.0.starts_with(b"1 ") {
            return self.legacy(text);
        }
        at.0 = &at.0[2..];
        if self.rfc5424_fields(&mut at).is_none() {
            self.unreadable();
        }
    }

    fn rfc5424_fields(&mut self, at: &mut Cursor<'_>) -> Option<()> {
        if at.peek() == Some(b'-') {
            at.take(b'-');
        } else if !at.iso(false) {
            return None;
        }
        at.must(b' ')?;
        if let Some(host) = at.host()
            && host != b"-"
        {
            self.set("HOST", host);
        }
        at.must(b' ')?;
        for (name, longest) in [("PROGRAM", 48), ("PID", 128), ("MSGID", 32)] {
            let value = at.until(|b| b == b' ');
            if value != b"-" {
                self.set(name, value.get(..longest).unwrap_or(value));
            }
            at.must(b' ')?;
        }
        at.structured_data()?;
        if !at.0.is_empty() {
            at.must(b' ')?;
        }
        self.set("MESSAGE", at.0.strip_prefix(b"\xef\xbb\xbf").unwrap_or(at.0));
        Some(())
    }
}

/// Without the line end, and the NULs, that the daemon takes off.
fn strip_end(raw: &[u8]) -> &[u8] {
    let end = raw.iter().rposition(|b| !matches!(b, b'\n' | b'\0')).map_or(0, |i| i + 1);
    &raw[..end]
}

fn severity_name(pri: u16) -> &'static str {
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"][usize::from(pri & 7)]
}

/// The daemon's name of the facility; those without one are written as a number in hex.
fn facility_name(pri: u16) -> String {
    let number = pri >> 3;
    let named = FACILITIES.iter().find(|(_, n)| u16::from(*n) == number);
    named.map_or_else(|| format!("{number:x}"), |(name, _)| (*name).to_owned())
}

/// Names the daemon fills in itself, in ways we do not follow.
fn is_macro(name: &Text) -> bool {
    const NAMES: [&str; 21] = [
        "DATE",
        "BSDDATE",
        "FULLDATE",
        "STAMP",
        "UNIXTIME",
        "YEAR",
        "MONTH",
        "DAY",
        "HOUR",
        "MIN",
        "SEC",
        "WEEK",
        "TZ",
        "SEQNUM",
        "RCPTID",
        "UNIQID",
        "LOGHOST",
        "SYSUPTIME",
        "FULLHOST",
        "SDATA",
        "TAGS",
    ];
    let text = name.to_str_lossy();
    let bare = ["S_", "R_", "C_", "P_"].iter().find_map(|p| text.strip_prefix(p)).unwrap_or(&text);
    NAMES.contains(&bare)
}
