//! Real device messages, each alone, over both transports. The figures are those of docs/rsyslog.md.

use std::time::Duration;

use cefctl::syslog::rsyslog::render::TcpModule;

use crate::agent::Agent;
use crate::corpus;
use crate::device;
use crate::judged::Figures;
use crate::rsyslogd::{Rsyslogd, Setup};

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
