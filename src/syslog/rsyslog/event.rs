//! One event as rsyslog sees it: the bytes cleaned on reception, and the properties its two parsers (RFC 5424, then
//! RFC 3164 with all its guesses) make of them. Differences between what a device sends and what a filter sees start
//! here: `CEF:` becomes the tag, a host with an odd character is no host, an ISO time without zone is no time.

use serde::{Deserialize, Serialize};

use super::Effective;
use super::filter::{facility_name, severity_name};
use crate::syslog::Text;

/// Facility of an event whose PRI is no PRI.
pub const INVALID_FACILITY: u8 = 24;
/// Longest tag and host name the daemon's parser takes.
const NAME_MAX: usize = 510;

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

/// How the daemon cleans what it receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reception {
    pub escape_control: bool,
    pub escape_tab: bool,
    pub escape_8bit: bool,
    pub drop_trailing_lf: bool,
    pub space_lf: bool,
    pub prefix: u8,
    /// Bytes; longer events are cut.
    pub max_size: usize,
    pub slash_in_programname: bool,
    pub hostname_and_tag: bool,
}

impl Default for Reception {
    fn default() -> Self {
        Reception {
            escape_control: true,
            escape_tab: true,
            escape_8bit: false,
            drop_trailing_lf: true,
            space_lf: false,
            prefix: b'#',
            max_size: 8096,
            slash_in_programname: false,
            hostname_and_tag: true,
        }
    }
}

impl Reception {
    /// The settings in force of a configuration.
    pub fn of(e: &Effective) -> Self {
        let default = Reception::default();
        let switch = |name: &str, value: bool| e.setting(name).and_then(|s| s.value.switch()).unwrap_or(value);
        let size = e.setting("maxmessagesize").and_then(|s| super::effective::size(&s.value));
        let prefix = e.setting("parser.controlcharacterescapeprefix").and_then(|s| s.value.as_bytes().first().copied());
        Reception {
            escape_control: switch("parser.escapecontrolcharactersonreceive", true),
            escape_tab: switch("parser.escapecontrolcharactertab", true),
            escape_8bit: switch("parser.escape8bitcharactersonreceive", false),
            drop_trailing_lf: switch("parser.droptrailinglfonreception", true),
            space_lf: switch("parser.spacelfonreceive", false),
            prefix: prefix.unwrap_or(default.prefix),
            max_size: size.and_then(|s| usize::try_from(s).ok()).unwrap_or(default.max_size),
            slash_in_programname: switch("parser.permitslashinprogramname", false),
            hostname_and_tag: switch("parser.parsehostnameandtag", true),
        }
    }

    /// The bytes as the daemon keeps them (`rawmsg`).
    fn clean(&self, raw: &[u8]) -> Vec<u8> {
        let mut raw = &raw[..raw.len().min(self.max_size)];
        raw = raw.strip_suffix(b"\0").unwrap_or(raw);
        if self.drop_trailing_lf {
            raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        for &b in raw {
            let control = b < 32 && (b == 0 || (self.escape_control && (b != b'\t' || self.escape_tab)));
            if b == b'\n' && self.space_lf {
                out.push(b' ');
            } else if control || (b > 127 && self.escape_8bit) {
                let digits = [b'0' + (b >> 6), b'0' + ((b >> 3) & 7), b'0' + (b & 7)];
                out.push(self.prefix);
                out.extend_from_slice(&digits);
            } else {
                out.push(b);
            }
        }
        out.truncate(self.max_size);
        out
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

/// A place in the bytes of an event.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    /// Digits as a number, none being 0; stops short of an overflow.
    fn number(&mut self) -> i32 {
        let mut n = 0i32;
        while let Some(digit) = self.rest().first().filter(|b| b.is_ascii_digit() && n < i32::MAX / 10 - 1) {
            n = n.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        n
    }

    /// Up to the next blank, which is eaten.
    fn word(&mut self) -> Text {
        let end = self.rest().iter().position(|b| *b == b' ').unwrap_or(self.rest().len());
        let word = Text::from(&self.rest()[..end]);
        self.at += end + usize::from(end < self.rest().len());
        word
    }

    /// `-` or `[…]` up to a bracket with a blank behind it. Nothing is moved where there is none.
    fn structured_data(&mut self) -> Option<Text> {
        let rest = self.rest();
        let end = match rest.first() {
            Some(b'-') => 1,
            Some(b'[') => {
                let mut i = 0;
                loop {
                    match (rest.get(i), rest.get(i + 1)) {
                        (Some(b']'), Some(b' ') | None) => break i + 1,
                        (Some(b'\\'), Some(b']')) => i += 2,
                        (Some(_), Some(_)) => i += 1,
                        _ => break i,
                    }
                }
            }
            _ => return None,
        };
        let data = Text::from(&rest[..end]);
        self.at += end;
        let _ = self.eat(b' ');
        Some(data)
    }

    /// Letters, digits, dot, dash and underscore, ending in a letter or digit and followed by a blank.
    fn hostname_3164(&mut self) -> Option<Text> {
        let belongs = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let rest = self.rest();
        let len = rest.iter().take_while(|b| belongs(b)).count().min(NAME_MAX + 1);
        if rest.is_empty() {
            return None;
        }
        let name = &rest[..len];
        let ends_well = name.last().is_some_and(u8::is_ascii_alphanumeric) && rest.get(len) == Some(&b' ');
        if len < rest.len() && !ends_well {
            return None;
        }
        let name = Text::from(name);
        self.at += if len == rest.len() { len } else { len + 1 };
        Some(name)
    }

    /// Up to a blank, or up to a colon that belongs to it.
    fn tag_3164(&mut self) -> Text {
        let rest = self.rest();
        let len = rest.iter().take_while(|b| !matches!(b, b':' | b' ')).count().min(NAME_MAX);
        let len = if rest.get(len) == Some(&b':') { len + 1 } else { len };
        let tag = Text::from(&rest[..len]);
        self.at += len;
        tag
    }

    fn ranged(&mut self, least: i32, most: i32) -> Option<u8> {
        let n = self.number();
        (least..=most).contains(&n).then_some(n as u8)
    }

    fn fraction(&mut self) -> (u32, u8) {
        if self.eat(b'.').is_none() {
            return (0, 0);
        }
        let start = self.at;
        let n = self.number();
        (n.max(0) as u32, (self.at - start).min(9) as u8)
    }

    /// A blank or the end must follow a time.
    fn end_of_time(&mut self) -> Option<()> {
        if self.rest().is_empty() { Some(()) } else { self.eat(b' ') }
    }
}

/// `2026-08-01T10:00:00[.fraction](Z|±hh:mm)`. The cursor stays where there is none.
fn time_3339(cursor: &mut Cursor<'_>) -> Option<EventTime> {
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
fn time_3164(cursor: &mut Cursor<'_>, received: Option<&EventTime>) -> Option<EventTime> {
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
