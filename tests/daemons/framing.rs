//! Frames and sizes: how events are told apart on TCP, and that long ones stay whole.

use std::time::Duration;

use cefctl::syslog::rsyslog::render::TcpModule;

use crate::agent::Agent;
use crate::device::{self, event};
use crate::rsyslogd::{Rsyslogd, Setup};

const LIMIT: Duration = Duration::from_secs(10);

const MODULES: [TcpModule; 2] = [TcpModule::Imtcp, TcpModule::Imptcp];

fn with_module(module: TcpModule) -> Setup {
    match module {
        TcpModule::Imtcp => Setup::with(|d| d.tcp_module = TcpModule::Imtcp),
        TcpModule::Imptcp => Setup::with(|d| d.tcp_module = TcpModule::Imptcp),
    }
}

/// Sends `bytes` over one connection and a last event over UDP: what arrived before that.
fn arrived(setup: &Setup, bytes: &[u8]) -> Vec<Vec<u8>> {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, setup);
    device::tcp(daemon.port, bytes);
    const LAST: usize = 999_999_999;
    device::udp(daemon.port, &event(LAST));
    let mut lines = agent.wait(LIMIT, |lines| lines.last().and_then(|l| device::number(l)) == Some(LAST));
    assert_eq!(lines.pop().as_deref(), Some(event(LAST).as_slice()));
    lines
}

fn framed(count: usize, end: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let events: Vec<Vec<u8>> = (0..count).map(event).collect();
    (events.iter().flat_map(|e| [e, end].concat()).collect(), events)
}

#[test]
fn every_way_to_end_a_line() {
    for module in MODULES {
        for end in [b"\n".as_slice(), b"\r\n", b"\0", b"\0\n", b"\n\n", b"\n "] {
            let (bytes, events) = framed(3, end);
            assert_eq!(arrived(&with_module(module), &bytes), events, "{module:?} {end:?}");
        }
    }
}

#[test]
fn lengths_in_front() {
    for module in MODULES {
        let (_, events) = framed(3, b"");
        let mut bytes: Vec<u8> = events.iter().flat_map(|e| device::counted(e)).collect();
        assert_eq!(arrived(&with_module(module), &bytes), events, "{module:?}");
        // a sender may change its mind within one connection
        bytes.extend([event(3), b"\n".to_vec(), device::counted(&event(4))].concat());
        assert_eq!(arrived(&with_module(module), &bytes).len(), 5, "{module:?}");
    }
}

/// imtcp takes the last event of a connection without an end of line, imptcp does not.
#[test]
fn a_last_line_without_an_end() {
    let bytes = [event(0), b"\n".to_vec(), event(1)].concat();
    assert_eq!(arrived(&with_module(TcpModule::Imtcp), &bytes).len(), 2);
    assert_eq!(arrived(&with_module(TcpModule::Imptcp), &bytes).len(), 1);
}

fn long_event(size: usize) -> Vec<u8> {
    let mut event = event(7);
    event.resize(size, b'y');
    event
}

#[test]
fn long_events_stay_whole() {
    for module in MODULES {
        for size in [9_000, 60_000, 66_560, 120_000] {
            let events = [long_event(size), event(8)];
            let lines: Vec<u8> = events.iter().flat_map(|e| [e.as_slice(), b"\n"].concat()).collect();
            assert_eq!(arrived(&with_module(module), &lines), events, "{module:?}, {size} bytes");
            let counted: Vec<u8> = events.iter().flat_map(|e| device::counted(e)).collect();
            assert_eq!(arrived(&with_module(module), &counted), events, "{module:?}, {size} bytes counted");
        }
    }
}

#[test]
fn the_longest_datagram_stays_whole() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::default());
    let longest = long_event(65_507);
    device::udp(daemon.port, &longest);
    assert_eq!(agent.wait(LIMIT, |lines| !lines.is_empty()), [longest]);
}

/// What is beyond the limit is cut off, and neither becomes an event of its own nor harms the next one.
#[test]
fn a_line_that_is_too_long_is_cut() {
    let long = long_event(300_000);
    let lines = arrived(&with_module(TcpModule::Imtcp), &[&long, b"\n".as_slice(), &event(8), b"\n"].concat());
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() == 128 << 10 && long.starts_with(&lines[0]));
    assert_eq!(lines[1], event(8));
}

/// Nothing but lines of a few hundred bytes from many connections at once.
#[test]
fn hundreds_of_connections() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::default());
    let open: Vec<_> = (0..400)
        .map(|n| {
            use std::io::Write;
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", daemon.port)).expect("a connection");
            stream.write_all(&[event(n), b"\n".to_vec()].concat()).expect("a line");
            stream
        })
        .collect();
    assert_eq!(agent.wait(LIMIT, |lines| lines.len() >= 400).len(), 400);
    drop(open);
}
