//! The agent is away, the daemon is restarted, the disk space for waiting events is used up.

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cefctl::syslog::rsyslog::render::Block;

use crate::agent::Agent;
use crate::device::{self, event};
use crate::rsyslogd::{Rsyslogd, Setup};

const LIMIT: Duration = Duration::from_secs(30);

fn numbers(lines: &[Vec<u8>]) -> HashSet<usize> {
    lines.iter().filter_map(|l| device::number(l)).collect()
}

/// 1000 events a second over TCP; the agent leaves while they flow, the daemon is restarted in between.
#[test]
fn nothing_is_lost_while_the_agent_is_away_and_the_daemon_restarts() {
    let agent = Agent::start();
    let mut daemon = Rsyslogd::start(&agent, &Setup::default());
    device::tcp_line(daemon.port, &event(0));
    assert_eq!(agent.wait(LIMIT, |lines| !lines.is_empty()).len(), 1);
    let (port, stop) = (daemon.port, AtomicBool::new(false));
    let behind = std::thread::scope(|scope| {
        let sender = scope.spawn(|| device::steady(port, 1000, 1, &stop));
        std::thread::sleep(Duration::from_secs(1));
        agent.go_away();
        // long enough for the queue to spill to disk
        std::thread::sleep(Duration::from_secs(4));
        daemon.stop();
        daemon.start_again();
        std::thread::sleep(Duration::from_secs(2));
        agent.come_back();
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        sender.join().expect("the sender")
    });
    let lines = agent.wait_until_quiet();
    let arrived = numbers(&lines);
    let lost: Vec<usize> = (1..behind).filter(|n| !arrived.contains(n)).collect();
    assert!(behind > 7000, "{behind} events sent");
    assert!(lost.is_empty(), "{} of {behind} lost, the first {:?}", lost.len(), lost.first());
    let doubled = lines.len() - arrived.len();
    assert!(doubled <= 600, "{doubled} came twice: more than a batch and what the sender repeated");
    assert!(lines.iter().all(|l| device::number(l).is_some_and(|n| *l == event(n))), "an event was altered");
}

/// What the daemon has read when it is told to stop is not lost.
#[test]
fn a_restart_alone() {
    const COUNT: usize = 20_000;
    let agent = Agent::start();
    let mut daemon = Rsyslogd::start(&agent, &Setup::default());
    let bytes: Vec<u8> = (0..COUNT).flat_map(|n| [event(n), b"\n".to_vec()].concat()).collect();
    device::tcp(daemon.port, &bytes);
    daemon.stop();
    daemon.start_again();
    agent.wait(LIMIT, |lines| lines.len() >= COUNT);
    assert_eq!(numbers(&agent.wait_until_quiet()).len(), COUNT);
}

/// More events than the disk space holds: the oldest are kept, and nothing else has to wait, neither network messages
/// nor what programs of the box log, with own inputs and with listeners that were there before.
#[test]
fn a_full_queue_holds_nothing_up() {
    const THEIRS: &str = "module(load=\"imptcp\")\ninput(type=\"imptcp\" port=\"PORT\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" port=\"PORT\")";
    let reused =
        Setup { before: THEIRS, after: "", change: |d| (d.inputs, d.block, d.queue_disk) = (vec![], Block::Stop, 3) };
    for setup in [Setup::with(|d| d.queue_disk = 3), reused] {
        let agent = Agent::start();
        let mut daemon = Rsyslogd::start(&agent, &setup);
        agent.go_away();
        let flood = |from: usize| {
            let bytes: Vec<u8> = (from..from + 20_000).flat_map(|n| [event(n), b"\n".to_vec()].concat()).collect();
            device::tcp(daemon.port, &bytes);
        };
        flood(0);
        std::thread::sleep(Duration::from_secs(1));
        flood(20_000);
        device::tcp_line(daemon.port, b"<30>Aug 14 09:21:07 host1 test: from-the-network");
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(b"<13>Aug 14 09:21:07 amy: from-the-box", daemon.path("log.sock")).expect("a message");
        for word in ["from-the-box", "from-the-network"] {
            let took = daemon.logged("local.log", word, LIMIT);
            assert!(took.is_some_and(|t| t < Duration::from_secs(3)), "{word}: {took:?}");
        }
        let used: u64 = std::fs::read_dir(daemon.path("work"))
            .expect("the work folder")
            .flatten()
            .map(|e| e.metadata().map_or(0, |m| m.len()))
            .sum();
        assert!((2 << 20..6 << 20).contains(&used), "{used} bytes on disk for a cap of 3 MB");
        daemon.stop();
        daemon.start_again();
        agent.come_back();
        agent.wait(LIMIT, |lines| !lines.is_empty());
        let arrived = numbers(&agent.wait_until_quiet());
        // not the batches in hand at the restart: there was no space to put it back
        let missing: Vec<usize> = (200..2000).filter(|n| !arrived.contains(n)).collect();
        assert!(missing.is_empty(), "{} of the oldest, of {}: {missing:?}", missing.len(), arrived.len());
    }
}

/// A burst that neither the agent nor the disk is fast enough for holds its TCP sender back; nothing is lost.
#[test]
fn a_burst_is_slowed_down_not_dropped() {
    let agent = Agent::start();
    agent.go_away();
    let daemon = Rsyslogd::start(&agent, &Setup::with(|d| d.queue_disk = 500));
    const COUNT: usize = 150_000;
    let bytes: Vec<u8> = (0..COUNT).flat_map(|n| [event(n), b"\n".to_vec()].concat()).collect();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", daemon.port)).expect("a connection");
    std::io::Write::write_all(&mut stream, &bytes).expect("the burst");
    agent.come_back();
    agent.wait(Duration::from_secs(60), |lines| lines.len() >= COUNT);
    // one may have come twice before the last one came
    assert_eq!(numbers(&agent.wait_until_quiet()).len(), COUNT);
}
