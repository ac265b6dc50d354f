//! Where the drop-in stands among the rules of others, and that these go on as before.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use cefctl::syslog::rsyslog::effective::Transport;
use cefctl::syslog::rsyslog::render::Block;

use crate::agent::Agent;
use crate::device::{self, event};
use crate::rsyslogd::{Rsyslogd, Setup};

const LIMIT: Duration = Duration::from_secs(10);
const OTHER: &[u8] = b"<30>Aug 14 09:21:07 host1 dhcpd[7]: DHCPACK other-message";

/// Sends a security event and another message over both transports; which of them the agent and the local file got.
fn way(setup: &Setup) -> (usize, usize, usize) {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, setup);
    for message in [&event(1), OTHER] {
        device::udp(daemon.port, message);
        device::tcp_line(daemon.port, message);
    }
    let end = b"<30>Aug 14 09:21:07 host1 test: the-end";
    device::udp(daemon.port, end);
    device::tcp_line(daemon.port, end);
    daemon.logged("local.log", "the-end", LIMIT).expect("local logging works");
    let forwarded = agent.wait(LIMIT, |lines| lines.len() >= 2);
    std::thread::sleep(Duration::from_millis(100)); // for what should not come
    let local = daemon.lines("local.log");
    let with = |word: &[u8]| local.iter().filter(|l| l.windows(word.len()).any(|w| w == word)).count();
    assert!(forwarded.iter().all(|l| *l == event(1)), "the bytes of the event");
    (agent.lines().len(), with(b"seq=000000001"), with(b"other-message"))
}

#[test]
fn own_inputs() {
    assert_eq!(way(&Setup::default()), (2, 0, 2));
}

#[test]
fn own_inputs_and_local_copies() {
    assert_eq!(way(&Setup::with(|d| d.keep_own = true)), (2, 2, 2));
}

#[test]
fn listeners_of_the_default_ruleset() {
    const BEFORE: &str = "module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                          input(type=\"imudp\" port=\"PORT\")\ninput(type=\"imtcp\" port=\"PORT\")";
    let stop = Setup { before: BEFORE, change: |d| (d.inputs, d.block) = (vec![], Block::Stop), after: "" };
    assert_eq!(way(&stop), (2, 0, 2));
    let keep = Setup { before: BEFORE, change: |d| (d.inputs, d.block) = (vec![], Block::Keep), after: "" };
    assert_eq!(way(&keep), (2, 2, 2));
}

#[test]
fn one_listener_was_there_and_the_other_is_ours() {
    let setup = Setup {
        before: "$ModLoad imudp\n$UDPServerRun PORT",
        after: "",
        change: |d| {
            d.inputs.retain(|i| i.transport == Transport::Tcp);
            d.block = Block::Stop;
        },
    };
    assert_eq!(way(&setup), (2, 0, 2));
}

/// The ruleset of somebody's own listener calls ours, which is defined further down, and goes on.
#[test]
fn a_ruleset_of_somebody_else() {
    let setup = Setup {
        before: "module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                 ruleset(name=\"theirs\") {\n  call cefctl_events\n  call RSYSLOG_DefaultRuleset\n}\n\
                 input(type=\"imudp\" port=\"PORT\" ruleset=\"theirs\")\ninput(type=\"imtcp\" port=\"PORT\" ruleset=\"theirs\")",
        after: "",
        change: |d| (d.inputs, d.callable, d.block) = (vec![], true, Block::Keep),
    };
    assert_eq!(way(&setup), (2, 2, 2));
}

/// For the Azure Monitor Agent: listeners, everything to the default ruleset.
#[test]
fn listeners_only() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::with(|d| d.forward = false));
    device::udp(daemon.port, &event(1));
    assert!(daemon.logged("local.log", "seq=000000001", LIMIT).is_some());
    assert!(agent.lines().is_empty());
}

/// A distribution's setting that takes events for repetitions when only their time differs.
#[test]
fn repeated_events_all_arrive() {
    let setup = Setup { before: "$RepeatedMsgReduction on", after: "", change: |d| d.keep_repeats = true };
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &setup);
    for second in 0..10 {
        let line = format!("<134>Aug 14 09:21:{second:02} fw1 %ASA-4-106023: Deny tcp src outside:198.51.100.7/1");
        device::udp(daemon.port, line.as_bytes());
        device::tcp_line(daemon.port, line.as_bytes());
    }
    assert_eq!(agent.wait(LIMIT, |lines| lines.len() >= 20).len(), 20);
}

#[test]
fn both_families_are_open() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::default());
    let families = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let here = |ip: &IpAddr| UdpSocket::bind((*ip, 0)).is_ok();
    for ip in families.iter().filter(|ip| here(ip)) {
        TcpStream::connect((*ip, daemon.port)).unwrap_or_else(|e| panic!("TCP {ip}: {e}"));
        agent.forget();
        let socket = UdpSocket::bind((*ip, 0)).expect("a socket");
        socket.send_to(&event(1), (*ip, daemon.port)).expect("a datagram");
        assert_eq!(agent.wait(LIMIT, |lines| !lines.is_empty()).len(), 1, "UDP {ip}");
    }
}

/// Programs of the box log through the socket; one that speaks CEF is a security event like any other.
#[test]
fn local_programs_log_as_before() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::with(|d| d.block = Block::Stop));
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to(b"<13>Aug 14 09:21:07 amy: hello", daemon.path("log.sock")).expect("a message");
    assert!(daemon.logged("local.log", "hello", LIMIT).is_some());
    assert!(agent.lines().is_empty());
}
