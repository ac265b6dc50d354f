//! Real device messages, each alone, over both transports. The figures are those of docs/rsyslog.md.

use std::time::Duration;

use cefctl::agent::accept::{EventTime, Record, Verdict, event, judge};
use cefctl::syslog::rsyslog::render::TcpModule;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::agent::Agent;
use crate::corpus::{self, Line};
use crate::device;
use crate::rsyslogd::{Rsyslogd, Setup};

#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    /// A line reached the agent's port.
    delivered: usize,
    /// The agent makes a complete record of it.
    accepted: usize,
    /// … with the text of the event byte for byte, a trailing carriage return aside.
    intact: usize,
    /// … with the host of the header; headers with none or two count as right.
    host: usize,
    /// … of those with an ISO time and zone in the header: with that instant.
    time: (usize, usize),
    /// Sent on without being a security event.
    foreign: usize,
    /// Arrived more than once.
    doubled: usize,
    /// Should have arrived byte for byte and did not.
    touched: usize,
}

impl Figures {
    fn add(&mut self, line: &Line, arrived: &[Vec<u8>], rewritten: bool) {
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

/// Sends every line with `send`, each followed by a numbered event that shows when the daemon is through with it.
fn measure(setup: &Setup, rewritten: bool, send: fn(u16, &[u8])) -> Figures {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, setup);
    let mut figures = Figures::default();
    for (number, line) in corpus::load().iter().enumerate() {
        agent.forget();
        send(daemon.port, &line.raw);
        device::udp(daemon.port, &device::event(number));
        let is_last = |l: &Vec<u8>| device::number(l) == Some(number);
        let mut arrived = agent.wait(Duration::from_secs(10), |lines| lines.last().is_some_and(is_last));
        assert!(arrived.pop().as_ref().is_some_and(is_last), "{}: nothing arrives any more", line.id);
        figures.add(line, &arrived, rewritten);
    }
    figures
}

const UDP: Figures = Figures {
    delivered: 212,
    accepted: 184,
    intact: 182,
    host: 179,
    time: (48, 48),
    foreign: 0,
    doubled: 0,
    // control characters, which rsyslog spells out on reception
    touched: 1,
};

#[test]
fn over_udp() {
    assert_eq!(measure(&Setup::default(), false, device::udp), UDP);
}

/// Four lines have no PRI and start with a digit: read as the length of a frame, they and what follows in that connection
/// are lost. That is the price of octet counting.
#[test]
fn over_tcp() {
    let wanted = Figures { delivered: 208, accepted: 181, intact: 179, host: 176, time: (45, 45), ..UDP };
    assert_eq!(measure(&Setup::default(), false, device::tcp_line), wanted);
}

#[test]
fn over_tcp_without_octet_counting() {
    let setup = Setup::with(|d| d.inputs.iter_mut().for_each(|i| i.octet_counting = false));
    assert_eq!(measure(&setup, false, device::tcp_line), UDP);
}

#[test]
fn over_tcp_octet_counted() {
    assert_eq!(measure(&Setup::default(), false, |port, line| device::tcp(port, &device::counted(line))), UDP);
}

#[test]
fn over_the_well_known_tcp_module() {
    let setup = Setup::with(|d| d.tcp_module = TcpModule::Imtcp);
    assert_eq!(measure(&setup, false, |port, line| device::tcp(port, &device::counted(line))), UDP);
}

/// With ids rewritten the agent takes all but the one event that misleads its pattern by its own text.
#[test]
fn with_ids_rewritten() {
    let wanted = Figures { accepted: 211, intact: 209, host: 206, time: (56, 56), ..UDP };
    assert_eq!(measure(&Setup::with(|d| d.rewrite_ids = true), true, device::udp), wanted);
}

/// What an old daemon gets: longer expressions in place of functions that it does not have.
#[test]
fn as_written_for_old_versions() {
    let setup = Setup::with(|d| (d.version, d.tcp_module) = ((8, 24, 0), TcpModule::Imtcp));
    assert_eq!(measure(&setup, false, device::udp), UDP);
}
