//! The figures of a way through a collector: what became of the corpus, each line sent alone. Shared by the suites on the
//! daemons, so that the tables of their documents mean the same.

use cefctl::agent::accept::{EventTime, Record, Verdict, event, judge};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::corpus::Line;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// A line reached the agent's port.
    pub delivered: usize,
    /// The agent makes a complete record of it.
    pub accepted: usize,
    /// … with the text of the event byte for byte, a trailing carriage return aside.
    pub intact: usize,
    /// … with the host of the header; headers with none or two count as right.
    pub host: usize,
    /// … of those with an ISO time and zone in the header: with that instant.
    pub time: (usize, usize),
    /// Sent on without being a security event.
    pub foreign: usize,
    /// Arrived more than once.
    pub doubled: usize,
    /// Should have arrived byte for byte and did not.
    pub touched: usize,
}

impl Figures {
    pub fn add(&mut self, line: &Line, arrived: &[Vec<u8>], rewritten: bool) {
        if !line.forward {
            self.foreign += arrived.len();
            return;
        }
        self.doubled += arrived.len().saturating_sub(1);
        let Some(first) = arrived.first() else { return };
        self.delivered += 1;
        self.touched += usize::from(line.must_stay() && first.as_slice() != without_cr(&line.raw));
        let Verdict::Accepted(record) = judge(first) else { return };
        self.accepted += 1;
        self.intact += usize::from(text(first, rewritten) == text(&line.raw, rewritten));
        let two_headers = line.envelope.contains("two-headers");
        let host = record.host.map(|h| String::from_utf8_lossy(h).into_owned());
        self.host += usize::from(two_headers || line.host.is_none() || line.host == host);
        if let Some(right) = time_is_right(line, &record).filter(|_| !two_headers) {
            self.time.0 += usize::from(right);
            self.time.1 += 1;
        }
    }
}

/// The event from `CEF:` or behind the ASA id on; with changed ids, from behind these.
fn text(line: &[u8], rewritten: bool) -> Vec<u8> {
    let event = event::find(line).expect("an event");
    let start = if event.kind == event::Kind::Cef { event.start } else { event.body };
    let mut text = without_cr(line.get(start..).unwrap_or_default()).trim_ascii_end().to_vec();
    if rewritten && event.kind == event::Kind::Cef {
        text.drain(..text.iter().position(|b| *b == b'|').unwrap_or(0));
    }
    text
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn time_is_right(line: &Line, record: &Record<'_>) -> Option<bool> {
    let iso =
        regex::bytes::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)").expect("a pattern");
    let header = line.raw.get(..event::find(&line.raw)?.start)?;
    let wanted = EventTime::parse(iso.find(header).filter(|_| line.envelope.contains("iso"))?.as_bytes()).ok()?;
    let (now, zone) = (Timestamp::now(), TimeZone::system());
    let second = |t: &EventTime| t.resolve(now, &zone).map(Timestamp::as_second);
    Some(second(&wanted) == second(&record.event_time))
}
