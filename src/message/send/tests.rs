#![allow(clippy::disallowed_methods)] // threads of the tests wait on real sockets

use std::io::BufRead;
use std::net::{TcpListener, UdpSocket};

use super::*;
use crate::host::{SystemClock, SystemNet};

fn numbered(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| format!("<164>message {n}").into_bytes())
}

fn run(plan: &Plan, messages: impl Iterator<Item = Vec<u8>>) -> Summary {
    send(&SystemNet, &SystemClock::default(), &Interrupt::default(), plan, messages)
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn frames() {
    let mut out = Vec::new();
    Framing::LineFeed.frame(b"abc", &mut out);
    Framing::OctetCount.frame(b"a\nbc", &mut out);
    assert_eq!(out, b"abc\n4 a\nbc");
    assert_eq!(lines(b"a\r\n\nb\xFF\nc").collect::<Vec<_>>(), [&b"a\r"[..], b"b\xFF", b"c"]);
}

#[test]
fn datagrams_arrive_on_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(socket) = UdpSocket::bind(address) else { continue };
        let summary = run(&Plan::new(Transport::Udp, socket.local_addr().unwrap()), numbered(20));
        assert_eq!((summary.sent, summary.failed, summary.error), (20, 0, None));
        let mut buffer = [0; 100];
        for n in 0..20 {
            let len = socket.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..len], format!("<164>message {n}").into_bytes());
        }
    }
}

#[test]
fn a_closed_port_is_noticed() {
    let free = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let summary = run(&Plan::new(Transport::Udp, free), numbered(3));
    assert_eq!((summary.sent, summary.failed), (0, 3));
    assert!(summary.error.unwrap().contains("hint: nobody listens"));
    let free = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let summary = run(&Plan::new(Transport::Tcp, free), numbered(3));
    assert_eq!(summary.sent, 0);
    assert!(summary.failed > 0 && summary.error.unwrap().contains("hint: nobody listens"));
}

#[test]
fn a_datagram_that_is_too_long_is_one_failure() {
    let socket = UdpSocket::bind(loopback()).unwrap();
    let plan = Plan::new(Transport::Udp, socket.local_addr().unwrap());
    let summary = run(&plan, [b"a".to_vec(), vec![b'x'; 70_000], b"b".to_vec()].into_iter());
    assert_eq!((summary.sent, summary.failed), (2, 1));
    assert!(summary.error.unwrap().contains("65507"));
}

#[test]
fn octet_counts_on_a_stream() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let plan = Plan { framing: Framing::OctetCount, ..Plan::new(Transport::Tcp, listener.local_addr().unwrap()) };
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        all
    });
    let summary = run(&plan, numbered(2));
    assert_eq!(reader.join().unwrap(), b"14 <164>message 014 <164>message 1");
    assert_eq!((summary.sent, summary.failed, summary.bytes), (2, 0, 34));
}

/// A listener that closes after every 50 lines, at first only behind the 50th: nothing may be missing.
#[test]
fn a_broken_connection_is_made_anew() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let plan = Plan {
        rate: 1000,
        patience: Duration::from_millis(500),
        ..Plan::new(Transport::Tcp, listener.local_addr().unwrap())
    };
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < 200 {
            let stream = io::BufReader::with_capacity(1, listener.accept().unwrap().0);
            seen.extend(stream.lines().take(50).map_while(Result::ok));
        }
        seen
    });
    let summary = run(&plan, numbered(250));
    let seen = reader.join().unwrap();
    assert!(summary.reconnects >= 3, "{summary:?}");
    // Each line came once, in order; some were on their way when the listener closed, which no sender can know.
    let numbers: Vec<u64> = seen.iter().map(|l| l.trim_start_matches("<164>message ").parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(numbers[..50], (0..50).collect::<Vec<_>>());
}

#[test]
fn the_rate_is_kept_and_stopped() {
    let socket = UdpSocket::bind(loopback()).unwrap();
    let plan = Plan { rate: 200, ..Plan::new(Transport::Udp, socket.local_addr().unwrap()) };
    let summary = run(&plan, numbered(41));
    assert!((200..2000).contains(&summary.millis), "{summary:?}");

    let stop = Interrupt::default();
    stop.set();
    let summary = send(&SystemNet, &SystemClock::default(), &stop, &plan, numbered(1000));
    assert_eq!(summary.sent, 0);
}

#[test]
fn unwritten_messages_are_kept() {
    let mut batch = Batch::default();
    for message in [&b"one"[..], b"two", b"three"] {
        batch.add(Framing::LineFeed, message);
    }
    assert_eq!(batch.done(5), (1, 4));
    assert_eq!(batch.bytes, b"two\nthree\n");
    assert_eq!(batch.done(10), (2, 10));
    assert!(batch.bytes.is_empty() && batch.ends.is_empty());
}
