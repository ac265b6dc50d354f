//! Messages under every logging option that devices have, through rsyslog over UDP and TCP: each event once, with its own
//! text, host and time.

use std::time::Duration;

use cefctl::syslog::rsyslog::render::TcpModule;

use crate::agent::Agent;
use crate::device;
use crate::devices_file::{Count, Message, load};
use crate::rsyslogd::{Rsyslogd, Setup};

fn through(setup: &Setup, rewritten: bool, send: fn(u16, &[u8]), takes: fn(&Message) -> bool) -> (Count, Vec<String>) {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, setup);
    let (mut count, mut wrong) = (Count::default(), Vec::new());
    for (number, message) in load().iter().enumerate().filter(|(_, m)| takes(m)) {
        agent.forget();
        send(daemon.port, &message.raw);
        device::udp(daemon.port, &device::event(number));
        let is_last = |l: &Vec<u8>| device::number(l) == Some(number);
        let mut arrived = agent.wait(Duration::from_secs(10), |lines| lines.last().is_some_and(is_last));
        assert!(arrived.pop().as_ref().is_some_and(is_last), "{}: nothing arrives any more", message.id);
        wrong.extend(message.judge(&arrived, rewritten, &mut count));
    }
    (count, wrong)
}

/// Nothing wrong with any, and these figures.
fn must_be(wanted: Count, setup: &Setup, rewritten: bool, send: fn(u16, &[u8]), takes: fn(&Message) -> bool) {
    let (count, wrong) = through(setup, rewritten, send, takes);
    assert!(wrong.is_empty(), "{count:?}\n{} wrong:\n  {}", wrong.len(), wrong.join("\n  "));
    assert_eq!(count, wanted);
}

#[test]
fn over_udp() {
    must_be(Count::all(), &Setup::default(), false, device::udp, |_| true);
}

/// Without what only a datagram can hold, and what begins with digits and is read as a length.
#[test]
fn over_tcp() {
    let wanted = Count { accepted: 769, ..Count::every(784) };
    must_be(wanted, &Setup::default(), false, device::tcp_line, |m| !m.datagram_only && !m.looks_counted());
}

#[test]
fn over_tcp_octet_counted() {
    let takes = |m: &Message| !m.raw.ends_with(b"\n") && !m.raw.ends_with(b"\0");
    let setup = Setup::with(|d| d.tcp_module = TcpModule::Imtcp);
    let wanted = Count { accepted: 774, ..Count::every(789) };
    must_be(wanted, &setup, false, |port, line| device::tcp(port, &device::counted(line)), takes);
}

#[test]
fn with_ids_rewritten() {
    must_be(Count::rewritten(), &Setup::with(|d| d.rewrite_ids = true), true, device::udp, |_| true);
}

/// What an old daemon gets does without `substring()` and `format_time()`.
#[test]
fn as_written_for_old_versions() {
    must_be(Count::all(), &Setup::with(|d| d.version = (8, 24, 0)), false, device::udp, |_| true);
}

/// Senders that put several events into one datagram: each arrives with a header of its own.
#[test]
fn twice_in_one_datagram() {
    for (version, setup) in [("this", Setup::default()), ("8.24", Setup::with(|d| d.version = (8, 24, 0)))] {
        let agent = Agent::start();
        let daemon = Rsyslogd::start(&agent, &setup);
        let (mut events, mut wrong) = (0, Vec::new());
        for (number, message) in load().iter().enumerate() {
            let Some(datagram) = message.twice() else { continue };
            agent.forget();
            device::udp(daemon.port, &datagram);
            device::udp(daemon.port, &device::event(number));
            let is_last = |l: &Vec<u8>| device::number(l) == Some(number);
            let mut arrived = agent.wait(Duration::from_secs(10), |lines| lines.last().is_some_and(is_last));
            assert!(arrived.pop().as_ref().is_some_and(is_last), "{}: nothing arrives any more", message.id);
            events += 1;
            if arrived.len() != 2 {
                wrong.push(format!("{}: {} lines", message.id, arrived.len()));
            }
            for line in arrived {
                wrong.extend(message.rebuilt().judge(&[line], false, &mut Count::default()));
            }
        }
        assert!(
            wrong.is_empty() && events > 600,
            "{version}: {} of {events} wrong:\n  {}",
            wrong.len(),
            wrong.join("\n  ")
        );
    }
}
