//! Test messages: valid in every respect, recognisable by people and saved searches (vendor `TestCommonEventFormat`,
//! product `MOCK`, as the original's users know it) and by a marker that occurs nowhere else. Time, zone and host come in
//! from outside, so that the same call gives the same bytes.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::host::Clock;

/// local4.warning, the value in all of Microsoft's examples.
pub const DEFAULT_PRI: u8 = 164;

/// What a test message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    Cef,
    Asa,
    Ftd,
    /// Plain syslog, which a collector does not pass on.
    Syslog,
}

/// What goes into the header of a test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// 0 to 191: facility × 8 + severity.
    pub pri: u8,
    /// Bytes that a host name cannot have become dashes.
    pub host: String,
    /// When, and in whose local time the header says it: RFC 3164 has neither year nor zone.
    pub time: Timestamp,
    pub zone: TimeZone,
}

impl Stamp {
    /// local4.warning of `host`, now.
    pub fn now(host: impl Into<String>, clock: &dyn Clock) -> Self {
        Stamp { pri: DEFAULT_PRI, host: host.into(), time: clock.now(), zone: clock.zone() }
    }

    /// `<PRI>Mmm dd hh:mm:ss HOST `
    fn header(&self) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host: String = self.host.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
        let host = if host.is_empty() { "localhost" } else { &host };
        format!("<{}>{} {host} ", self.pri.min(191), header_time(self.time, &self.zone))
    }
}

/// RFC 3164 time: `Mmm dd hh:mm:ss`, the day padded with a blank.
pub fn header_time(time: Timestamp, zone: &TimeZone) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let local = zone.to_datetime(time);
    let month = usize::try_from(local.month() - 1).ok().and_then(|m| MONTHS.get(m)).unwrap_or(&"Jan");
    format!("{month} {:2} {:02}:{:02}:{:02}", local.day(), local.hour(), local.minute(), local.second())
}

/// One test message without line feed. `number` tells messages with the same marker apart.
pub fn message(shape: Shape, stamp: &Stamp, marker: &str, number: u64) -> Vec<u8> {
    let text = match shape {
        Shape::Cef => format!(
            "CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Collector self test|1|src=192.0.2.1 dst=192.0.2.2 \
             msg={marker} cs1Label=TestId cs1={marker} cn1Label=Number cn1={number}"
        ),
        Shape::Asa => format!("%ASA-5-111010: {}", cisco_text(marker, number)),
        Shape::Ftd => format!("%FTD-5-111010: {}", cisco_text(marker, number)),
        Shape::Syslog => format!("cefctl: collector self test {marker} number {number}"),
    };
    (stamp.header() + &text).into_bytes()
}

/// Message 111010 carries a text of the user's choice.
fn cisco_text(marker: &str, number: u64) -> String {
    format!("User 'cefctl', running 'CLI' from IP 192.0.2.1, executed '{marker} number {number}'")
}

const MARKER: &str = "cefctl-";

/// A marker that no other message has: `cefctl-` and a random UUID.
pub fn marker() -> String {
    format!("{MARKER}{}", uuid::Uuid::new_v4())
}

/// The first marker in some bytes, whoever's it is.
pub fn find_marker(bytes: &[u8]) -> Option<&str> {
    let shape = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let is_uuid = |text: &[u8]| {
        let fits = |(&s, b): (&u8, &u8)| if s == b'x' { b.is_ascii_hexdigit() } else { s == *b };
        text.len() == shape.len() && shape.iter().zip(text).all(fits)
    };
    bytes.windows(MARKER.len() + shape.len()).find_map(|window| {
        let uuid = window.strip_prefix(MARKER.as_bytes())?;
        std::str::from_utf8(window).ok().filter(|_| is_uuid(uuid))
    })
}

/// Is `marker` somewhere in the bytes?
pub fn has_marker(bytes: &[u8], marker: &str) -> bool {
    !marker.is_empty() && bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::accept::{Stream, Verdict, judge};
    use crate::message::{cef, is_security_event, syslog};

    fn stamp() -> Stamp {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        Stamp { pri: DEFAULT_PRI, host: "fw1".into(), time: Timestamp::constant(1_785_578_405, 0), zone }
    }

    #[test]
    fn the_header_is_in_local_time() {
        let line = message(Shape::Cef, &stamp(), "TOKEN", 7);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "<164>Aug  1 12:00:05 fw1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Collector self test|1|src=192.0.2.1 \
             dst=192.0.2.2 msg=TOKEN cs1Label=TestId cs1=TOKEN cn1Label=Number cn1=7"
        );
    }

    #[test]
    fn the_agent_takes_what_it_can_take() {
        let marker = marker();
        for (shape, stream) in [(Shape::Cef, Stream::Cef), (Shape::Asa, Stream::Asa)] {
            let line = message(shape, &stamp(), &marker, 1);
            let Verdict::Accepted(record) = judge(&line) else { panic!("{:?}", judge(&line)) };
            assert_eq!((record.stream, record.host), (stream, Some(&b"fw1"[..])));
            assert_eq!(record.notes, []);
            assert_eq!(find_marker(record.message), Some(marker.as_str()));
            let now = Timestamp::constant(1_790_000_000, 0);
            assert_eq!(record.event_time.resolve(now, &stamp().zone), Some(stamp().time));
        }
        let ftd = message(Shape::Ftd, &stamp(), &marker, 1);
        assert_eq!(is_security_event(&ftd), Some(syslog::Kind::Ftd));
        let plain = message(Shape::Syslog, &stamp(), &marker, 1);
        assert_eq!(is_security_event(&plain), None);
        assert!(has_marker(&plain, &marker));
    }

    #[test]
    fn the_event_is_sound_cef() {
        let line = message(Shape::Cef, &stamp(), &marker(), 1);
        let cef = cef::parse(&line[line.windows(4).position(|w| w == b"CEF:").unwrap()..]).unwrap();
        assert_eq!(cef.problems, []);
        assert_eq!((cef.vendor, cef.product), (&b"TestCommonEventFormat"[..], &b"MOCK"[..]));
    }

    #[test]
    fn odd_hosts_stay_one_word() {
        for (host, word) in [("", "localhost"), ("a b", "a-b"), ("2001:db8::1", "2001-db8--1"), ("hö", "h-")] {
            let line = message(Shape::Asa, &Stamp { host: host.into(), ..stamp() }, "x", 1);
            assert_eq!(syslog::read(&line).host(), Some(word.as_bytes()));
        }
    }

    #[test]
    fn markers_are_found_and_differ() {
        let (a, b) = (marker(), marker());
        assert_ne!(a, b);
        assert_eq!(find_marker(format!("x cefctl-nope {a} {b}").as_bytes()), Some(a.as_str()));
        assert_eq!(find_marker(b"cefctl-12345678-1234"), None);
        assert!(!has_marker(b"", "") && !has_marker(b"abc", &a));
    }
}
