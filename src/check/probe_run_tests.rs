use std::sync::{Arc, Mutex};

use super::*;
use crate::check::fixture::*;
use crate::check::target::Target;
use crate::host::proc_net::Transport;
use crate::host::{Net, Packet, PacketSource, Root, fake};

/// A network that shows every event at both ports, as the daemon of `how` passes it on.
struct Daemon {
    how: fn(&[u8]) -> Vec<u8>,
    wire: Arc<Mutex<Vec<Vec<u8>>>>,
    refuse_tcp: bool,
}

struct Wire(Arc<Mutex<Vec<Vec<u8>>>>, Vec<u8>);

impl PacketSource for Wire {
    fn next(&mut self, _: Duration) -> std::io::Result<Option<Packet<'_>>> {
        let mut wire = self.0.lock().unwrap();
        if wire.is_empty() {
            return Ok(None);
        }
        self.1 = wire.remove(0);
        Ok(Some(Packet { ethertype: 0x0800, bytes: &self.1 }))
    }
}

/// One packet on the loopback; each test line comes on a connection of its own.
fn packet(transport: Transport, to: u16, payload: &[u8]) -> Vec<u8> {
    let ip = || etherparse::PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64);
    match transport {
        Transport::Udp => {
            let builder = ip().udp(40_000, to);
            let mut out = vec![0; builder.size(payload.len())];
            builder.write_to_slice(&mut out, payload).unwrap();
            out
        }
        Transport::Tcp => {
            let builder = ip().tcp(40_001, to, 1000, 1000);
            let mut out = vec![0; builder.size(payload.len())];
            builder.write_to_slice(&mut out, payload).unwrap();
            out
        }
    }
}

impl Daemon {
    fn pass(&self, transport: Transport, to: u16, payload: &[u8]) {
        let mut wire = self.wire.lock().unwrap();
        wire.push(packet(transport, to, payload));
        let on = (self.how)(payload.strip_suffix(b"\n").unwrap_or(payload));
        if !on.is_empty() {
            wire.push(packet(Transport::Tcp, 25226, &[&on[..], b"\n"].concat()));
        }
    }
}

impl Net for Daemon {
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> std::io::Result<()> {
        self.pass(Transport::Udp, to.port(), payload);
        Ok(())
    }
    fn send_tcp(&self, to: SocketAddr, payload: &[u8], _: Duration) -> std::io::Result<()> {
        if self.refuse_tcp {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        self.pass(Transport::Tcp, to.port(), payload);
        Ok(())
    }
    fn udp(&self, _: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn connect(&self, _: SocketAddr, _: Duration) -> std::io::Result<std::net::TcpStream> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn listen(&self, _: SocketAddr) -> std::io::Result<std::net::TcpListener> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn capture(&self, _: Option<&str>) -> std::io::Result<Box<dyn PacketSource>> {
        Ok(Box::new(Wire(Arc::clone(&self.wire), Vec::new())))
    }
}

/// The machine's own clock, for nothing in the fake moves the other one.
fn probe(how: fn(&[u8]) -> Vec<u8>, refuse_tcp: bool, transport: Transport) -> ProbeFacts {
    let net = Daemon { how, wire: Arc::default(), refuse_tcp };
    let mut host = fake::host(Root::at("/nonexistent"), fake::FakeRunner::new());
    host.net = Arc::new(net);
    host.clock = Arc::new(crate::host::SystemClock::default());
    let to = "127.0.0.1:514".parse().unwrap();
    let mut found = run(
        &host,
        &Interrupt::default(),
        "c1",
        &[Aim { transport, tls: false, to, framing: Framing::LineFeed }],
        25226,
        LIMIT,
    )
    .plain;
    found.remove(&transport).unwrap()
}

#[test]
fn an_event_that_passes_is_seen_at_both_ports() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let p = probe(|line| line.to_vec(), false, transport);
        assert_eq!((p.seen_at_listener, p.arrived.as_ref(), p.blind.clone()), (Some(true), Some(&p.sent), None));
        assert!(String::from_utf8_lossy(&p.sent.0).contains(" c1 CEF:0|TestCommonEventFormat|MOCK|"));
        assert!(p.took_ms < 1000);
    }
}

#[test]
fn an_event_that_is_kept_is_seen_at_the_listener_only() {
    let p = probe(|_| Vec::new(), false, Transport::Udp);
    assert_eq!((p.seen_at_listener, p.arrived), (Some(true), None));
    assert!(p.took_ms >= 1000);
}

#[test]
fn a_refused_connection_is_told_at_once() {
    let p = probe(|line| line.to_vec(), true, Transport::Tcp);
    assert!(p.send_error.unwrap().contains("refused"));
    assert!(p.took_ms < 1000);
}

#[test]
fn without_capture_the_probe_is_blind() {
    let host = fake::host(Root::at("/nonexistent"), fake::FakeRunner::new());
    let to = "127.0.0.1:514".parse().unwrap();
    let found = run(
        &host,
        &Interrupt::default(),
        "c1",
        &[Aim { transport: Transport::Udp, tls: false, to, framing: Framing::LineFeed }],
        25226,
        LIMIT,
    )
    .plain;
    let p = &found[&Transport::Udp];
    assert!(p.blind.is_some() && p.seen_at_listener.is_none() && p.arrived.is_none());
}

#[test]
fn the_aim_is_an_address_the_daemons_socket_takes() {
    let aim_of = |local: &[&str]| {
        let mut facts = healthy();
        close(&mut facts, Transport::Udp, |_| true);
        local.iter().for_each(|l| add_socket(&mut facts, Transport::Udp, l, DAEMON));
        let target = Target::default();
        let config = crate::check::case::read_config(&facts);
        let case = crate::check::case::Case::new(&facts, &target, &config);
        aim(&Port::look(&case, Transport::Udp).unwrap()).map(|a| a.to.to_string())
    };
    assert_eq!(aim_of(&["0.0.0.0:514", "[::]:514"]).as_deref(), Some("127.0.0.1:514"));
    assert_eq!(aim_of(&["[::]:514"]).as_deref(), Some("[::1]:514"));
    assert_eq!(aim_of(&["192.0.2.7:514"]).as_deref(), Some("192.0.2.7:514"));
    // Beside a socket for what the box sends to itself, the one that devices reach.
    assert_eq!(aim_of(&["127.0.0.1:514", "0.0.0.0:514"]).as_deref(), Some("127.0.0.2:514"));
    assert_eq!(aim_of(&["127.0.0.1:514"]).as_deref(), Some("127.0.0.1:514"));
    assert_eq!(aim_of(&[]), None);
}
