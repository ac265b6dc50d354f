//! One event as rsyslog sees it: the bytes cleaned on reception, and the properties its two parsers (RFC 5424, then
//! RFC 3164 with all its guesses) make of them. Differences between what a device sends and what a filter sees start
//! here: `CEF:` becomes the tag, a host with an odd character is no host, an ISO time without zone is no time.

use serde::{Deserialize, Serialize};

use super::anybody;
use super::filter::{facility_name, severity_name};
use crate::syslog::Text;

mod cursor;
mod reception;
mod time;

pub use reception::Reception;
pub use time::EventTime;

use cursor::Cursor;
use time::{time_3164, time_3339};

/// Facility of an event whose PRI is no PRI.
pub const INVALID_FACILITY: u8 = 24;
/// Longest tag and host name the daemon's parser takes.
const NAME_MAX: usize = 510;

/// Where an event comes from, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The sender's name as the daemon resolved it; its address where it has none.
    pub fromhost: Text,
    pub fromhost_ip: Text,
    /// `name` of the input, else the module's name.
    pub inputname: Text,
    /// Time of reception; unknown where an evaluation should hold for any time.
    pub received: Option<EventTime>,
}

impl Origin {
    /// A device in the network, whose name is not known.
    pub fn device(inputname: Text) -> Self {
        let address = Text::from("198.51.100.7");
        Origin { fromhost: address.clone(), fromhost_ip: address, inputname, received: None }
    }
}

impl Default for Origin {
    /// A sender on this machine.
    fn default() -> Self {
        Origin {
            fromhost: Text::from("localhost"),
            fromhost_ip: Text::from("127.0.0.1"),
            inputname: Text::from("imudp"),
            received: None,
        }
    }
}

/// One event and its properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleEvent {
    /// As the daemon keeps it.
    pub raw: Text,
    /// 24 where the PRI is none.
    pub facility: u8,
    pub severity: u8,
    /// RFC 5424?
    pub is_5424: bool,
    /// Time of the event, where its header has one the daemon understands. RFC 3164 gives no year and no zone: those of
    /// the reception are filled in.
    pub time: Option<EventTime>,
    /// None: the sender's name is used.
    pub hostname: Option<Text>,
    /// `syslogtag`
    pub tag: Text,
    app_name: Option<Text>,
    procid: Option<Text>,
    msgid: Option<Text>,
    structured_data: Option<Text>,
    /// Where `msg` starts in `raw`.
    msg_at: usize,
    pub origin: Origin,
    /// It stands for the same event of any device: see [`SampleEvent::of_anybody`].
    #[serde(default)]
    pub of_anybody: bool,
    slash_in_programname: bool,
}

impl SampleEvent {
    /// What the daemon makes of `raw`, with its default settings.
    pub fn parse(raw: &[u8]) -> SampleEvent {
        SampleEvent::parse_with(raw, &Origin::default(), &Reception::default())
    }

    pub fn parse_with(raw: &[u8], origin: &Origin, reception: &Reception) -> SampleEvent {
        let raw = reception.clean(raw);
        let (pri, after_pri) = pri_of(&raw);
        let mut event = SampleEvent {
            raw: Text::default(),
            facility: (pri >> 3) as u8,
            severity: (pri & 7) as u8,
            is_5424: false,
            time: None,
            hostname: None,
            tag: Text::default(),
            app_name: None,
            procid: None,
            msgid: None,
            structured_data: None,
            msg_at: after_pri,
            origin: origin.clone(),
            of_anybody: false,
            slash_in_programname: reception.slash_in_programname,
        };
        if raw.get(after_pri..).is_some_and(|r| r.starts_with(b"1 ")) {
            event.parse_5424(&raw, after_pri + 2);
        } else {
            event.parse_3164(&raw, after_pri, reception.hostname_and_tag);
        }
        event.raw = Text(raw);
        event
    }

    fn parse_5424(&mut self, raw: &[u8], at: usize) {
        self.is_5424 = true;
        let mut cursor = Cursor { text: raw, at };
        self.msg_at = at;
        if cursor.rest().starts_with(b"- ") {
            cursor.at += 2;
            self.time = self.origin.received;
        } else {
            match time_3339(&mut cursor) {
                Some(time) => self.time = Some(time),
                // Without a time the rest of the line is text.
                None => return,
            }
        }
        self.hostname = Some(cursor.word());
        self.app_name = Some(cursor.word()).filter(|n| !n.is_empty()).or(Some(Text::from("-")));
        self.procid = Some(cursor.word());
        self.msgid = Some(cursor.word());
        // Where there is none, what was read last stays in the daemon's buffer.
        self.structured_data = cursor.structured_data().or_else(|| self.msgid.clone());
        self.msg_at = cursor.at;
        let (app, procid) = (self.app_name.clone().unwrap_or_default(), self.procid.clone().unwrap_or_default());
        self.tag = match procid == "-" {
            true => app,
            false => Text([app.as_bytes(), b"[", procid.as_bytes(), b"]"].concat()),
        };
    }

    fn parse_3164(&mut self, raw: &[u8], at: usize, hostname_and_tag: bool) {
        let mut cursor = Cursor { text: raw, at };
        let first = cursor.rest().iter().find(|b| !matches!(b, b' ' | b'\t'));
        if self.facility == INVALID_FACILITY || matches!(first, Some(b'{' | b'[')) {
            return;
        }
        self.time = time_3339(&mut cursor).or_else(|| time_3164(&mut cursor, self.origin.received.as_ref()));
        // Some devices put a blank between PRI and time.
        if self.time.is_none() && cursor.rest().starts_with(b" ") && cursor.rest().len() > 1 {
            cursor.at += 1;
            self.time = time_3164(&mut cursor, self.origin.received.as_ref());
            if self.time.is_none() {
                cursor.at -= 1;
            }
        }
        if hostname_and_tag {
            self.hostname = cursor.hostname_3164();
            self.tag = cursor.tag_3164();
        }
        self.msg_at = cursor.at;
    }

    pub fn msg(&self) -> &[u8] {
        self.raw.as_bytes().get(self.msg_at..).unwrap_or_default()
    }

    /// The tag up to the first byte that cannot belong to a program's name.
    pub fn programname(&self) -> &[u8] {
        let tag = self.tag.as_bytes();
        let ends =
            |b: &u8| !(32..127).contains(b) || matches!(b, b':' | b'[') || (*b == b'/' && !self.slash_in_programname);
        &tag[..tag.iter().position(ends).unwrap_or(tag.len())]
    }

    pub fn pri(&self) -> u16 {
        u16::from(self.facility) * 8 + u16::from(self.severity)
    }

    /// A property by the name that filters and templates use; `None` where its value is not known here (the machine's
    /// own name, the time of reception …) or there is no such property.
    pub fn property(&self, name: &str) -> Option<Vec<u8>> {
        let text = |t: &Text| Some(t.0.clone());
        let of = |s: &str| Some(s.as_bytes().to_vec());
        if self.of_anybody && anybody::varies(name) {
            return None;
        }
        match name.to_ascii_lowercase().as_str() {
            "msg" => Some(self.msg().to_vec()),
            "rawmsg" => text(&self.raw),
            "rawmsg-after-pri" => Some(self.raw_after_pri().to_vec()),
            "hostname" | "source" => text(self.hostname.as_ref().unwrap_or(&self.origin.fromhost)),
            "syslogtag" => text(&self.tag),
            "programname" => Some(self.programname().to_vec()),
            "app-name" => Some(match (&self.app_name, self.programname()) {
                (Some(name), _) => name.0.clone(),
                (None, _) if self.is_5424 => Vec::new(),
                (None, b"") => b"-".to_vec(),
                (None, name) => name.to_vec(),
            }),
            "procid" => Some(self.procid()),
            "msgid" => Some(self.msgid.as_ref().map_or(&b"-"[..], Text::as_bytes).to_vec()),
            "structured-data" => Some(self.structured_data.as_ref().map_or(&b"-"[..], Text::as_bytes).to_vec()),
            "protocol-version" => of(if self.is_5424 { "1" } else { "0" }),
            "fromhost" => text(&self.origin.fromhost),
            "fromhost-ip" => text(&self.origin.fromhost_ip),
            "inputname" => text(&self.origin.inputname),
            "iut" => of("1"),
            "pri" if self.pri() > 191 => of("invld"),
            "pri" => of(&self.pri().to_string()),
            "pri-text" => of(&format!("{}.{}", facility_name(self.facility), severity_name(self.severity))),
            "syslogfacility" => of(&self.facility.to_string()),
            "syslogfacility-text" => of(facility_name(self.facility)),
            "syslogseverity" | "syslogpriority" => of(&self.severity.to_string()),
            "syslogseverity-text" | "syslogpriority-text" => of(severity_name(self.severity)),
            "timereported" | "timestamp" => self.reported().map(|t| t.rfc3164().into_bytes()),
            "timegenerated" => self.origin.received.map(|t| t.rfc3164().into_bytes()),
            "$now" => self.origin.received.map(|t| format!("{:04}-{:02}-{:02}", t.year, t.month, t.day).into_bytes()),
            "$year" => self.origin.received.map(|t| format!("{:04}", t.year).into_bytes()),
            "$month" => self.origin.received.map(|t| format!("{:02}", t.month).into_bytes()),
            "$day" => self.origin.received.map(|t| format!("{:02}", t.day).into_bytes()),
            "$hour" => self.origin.received.map(|t| format!("{:02}", t.hour).into_bytes()),
            "$minute" => self.origin.received.map(|t| format!("{:02}", t.minute).into_bytes()),
            "$bom" => Some(b"\xef\xbb\xbf".to_vec()),
            _ => None,
        }
    }

    /// Time of the event, else of its reception.
    pub fn reported(&self) -> Option<EventTime> {
        self.time.or(self.origin.received)
    }

    fn procid(&self) -> Vec<u8> {
        if let Some(procid) = &self.procid {
            return procid.0.clone();
        }
        let tag = self.tag.as_bytes();
        let inner = tag.iter().position(|b| *b == b'[').and_then(|open| {
            let inner = &tag[open + 1..];
            inner.iter().position(|b| *b == b']').map(|close| &inner[..close])
        });
        inner.unwrap_or(b"-").to_vec()
    }

    /// What follows a PRI of one to three digits, whatever the digits are.
    fn raw_after_pri(&self) -> &[u8] {
        let raw = self.raw.as_bytes();
        let at = (2..5).find(|i| raw.get(*i) == Some(&b'>')).filter(|_| raw.first() == Some(&b'<'));
        &raw[at.map_or(0, |i| i + 1)..]
    }
}

/// PRI (192 and up: none) and where the text behind it starts. Without `<` it is user.notice.
fn pri_of(raw: &[u8]) -> (u32, usize) {
    const INVALID: u32 = (INVALID_FACILITY as u32) << 3 | 7;
    if raw.first() != Some(&b'<') {
        return (13, 0);
    }
    let (mut pri, mut at) = (0u32, 1);
    while let Some(digit) = raw.get(at).filter(|b| b.is_ascii_digit() && pri <= 191) {
        pri = pri * 10 + u32::from(digit - b'0');
        at += 1;
    }
    match raw.get(at) {
        Some(b'>') if pri <= 191 => (pri, at + 1),
        _ => (INVALID, 0),
    }
}
