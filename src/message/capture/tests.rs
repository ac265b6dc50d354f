#![allow(clippy::disallowed_methods)] // threads of the tests use real sockets

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::lines::Streams;
use super::watch::{Evidence, Hop, Watch};
use super::*;
use crate::host::{Clock, Interrupt, Net, PacketSource, SystemClock, SystemNet, TcpSocket};

fn tcp4(from: u16, to: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64).tcp(from, to, sequence, 1000);
    let mut bytes = vec![0; builder.size(payload.len())];
    builder.write_to_slice(&mut bytes, payload).unwrap();
    bytes
}

fn udp6(to: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(4000, to);
    let mut bytes = vec![0; builder.size(payload.len())];
    builder.write_to_slice(&mut bytes, payload).unwrap();
    bytes
}

fn packet(ethertype: u16, bytes: &[u8]) -> Packet<'_> {
    Packet { ethertype, bytes }
}

#[test]
fn segments_of_both_families() {
    let bytes = tcp4(1, 514, 77, b"hello");
    let seen = segment(&packet(0x0800, &bytes)).unwrap();
    assert_eq!((seen.transport, seen.to.to_string().as_str()), (Transport::Tcp, "127.0.0.1:514"));
    assert_eq!((seen.payload, seen.sequence, seen.start), (&b"hello"[..], 77, false));

    let bytes = udp6(514, b"datagram");
    let seen = segment(&packet(0x86DD, &bytes)).unwrap();
    assert_eq!((seen.transport, seen.to.port(), seen.payload), (Transport::Udp, 514, &b"datagram"[..]));
    assert!(seen.to.is_ipv6());

    // Two VLAN tags in front.
    let tagged = [&[0, 5, 0x81, 0][..], &[0, 6, 0x86, 0xDD], &bytes].concat();
    assert_eq!(segment(&packet(0x88A8, &tagged)).unwrap().payload, b"datagram");

    assert_eq!(segment(&packet(0x0806, &bytes)), None);
    assert_eq!(segment(&packet(0x8100, &[0])), None);
}

fn feed(streams: &mut Streams, sequence: u32, payload: &[u8]) -> Vec<(String, bool)> {
    let bytes = tcp4(9, 514, sequence, payload);
    let mut seen = Vec::new();
    streams.feed(&segment(&packet(0x0800, &bytes)).unwrap(), &mut |line, complete| {
        seen.push((String::from_utf8_lossy(line).into_owned(), complete));
    });
    seen
}

#[test]
fn lines_over_packet_borders() {
    let line = |text: &str, complete| (text.to_owned(), complete);
    let mut streams = Streams::default();
    assert_eq!(feed(&mut streams, 10, b"ab\ncd"), [line("ab", true), line("cd", false)]);
    // The same again, then one that overlaps.
    assert_eq!(feed(&mut streams, 10, b"ab\ncd"), []);
    assert_eq!(feed(&mut streams, 13, b"cdef\n"), [line("cdef", true)]);
    // A gap: the open line is forgotten.
    assert_eq!(feed(&mut streams, 18, b"xx"), [line("xx", false)]);
    assert_eq!(feed(&mut streams, 30, b"yy\n"), [line("yy", true)]);
    // Numbers wrap.
    let mut streams = Streams::default();
    feed(&mut streams, u32::MAX - 1, b"abc");
    assert_eq!(feed(&mut streams, 1, b"d\n"), [line("abcd", true)]);
}

/// Packets and counters by script.
#[derive(Default)]
struct Script {
    packets: Mutex<Option<Packets>>,
    sockets: Mutex<VecDeque<Vec<TcpSocket>>>,
}

/// EtherType and bytes of each.
type Packets = VecDeque<(u16, Vec<u8>)>;

struct Scripted(Packets, (u16, Vec<u8>));

impl PacketSource for Scripted {
    fn next(&mut self, limit: Duration) -> io::Result<Option<Packet<'_>>> {
        let Some(next) = self.0.pop_front() else {
            std::thread::sleep(limit);
            return Ok(None);
        };
        self.1 = next;
        Ok(Some(packet(self.1.0, &self.1.1)))
    }
}

impl Net for Script {
    fn send_udp(&self, _: SocketAddr, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn send_tcp(&self, _: SocketAddr, _: &[u8], _: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn udp(&self, _: SocketAddr) -> io::Result<UdpSocket> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn connect(&self, _: SocketAddr, _: Duration) -> io::Result<TcpStream> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn listen(&self, _: SocketAddr) -> io::Result<TcpListener> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn capture(&self, _: Option<&str>) -> io::Result<Box<dyn PacketSource>> {
        match self.packets.lock().unwrap().take() {
            Some(packets) => Ok(Box::new(Scripted(packets, (0, Vec::new())))),
            None => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
    fn tcp_sockets(&self) -> io::Result<Vec<TcpSocket>> {
        let mut sockets = self.sockets.lock().unwrap();
        if sockets.len() > 1 {
            Ok(sockets.pop_front().unwrap())
        } else {
            sockets.front().cloned().ok_or(io::ErrorKind::Other.into())
        }
    }
}

const HOPS: [Hop; 2] = [Hop { transport: Transport::Udp, port: 514 }, Hop { transport: Transport::Tcp, port: 25226 }];

#[test]
fn markers_are_found_at_each_hop() {
    let marker = "cefctl-6d9b1c8e".to_owned();
    let message = format!("<164>x {marker} end");
    let (head, tail) = message.split_at(12);
    let packets = [
        (0x86DD, udp6(514, message.as_bytes())),
        // On the way to the agent the marker lies across two segments; the first of them comes twice.
        (0x0800, tcp4(7, 25226, 100, format!("before\n{head}").as_bytes())),
        (0x0800, tcp4(7, 25226, 100, format!("before\n{head}").as_bytes())),
        (0x0800, tcp4(7, 25226, 119, tail.as_bytes())),
        (0x0800, tcp4(7, 25226, 119 + tail.len() as u32, b"\nnext")),
        (0x0800, tcp4(7, 9999, 1, message.as_bytes())),
    ];
    let net = Script { packets: Mutex::new(Some(packets.into())), ..Script::default() };
    let mut watch = Watch::start(&net, Some("lo"), &HOPS, &[marker.clone(), "other".into()]);
    let (clock, stop) = (SystemClock::default(), Interrupt::default());
    let report = watch.wait(&clock, &stop, Duration::from_secs(5), |report| report.passed(HOPS[1], &marker));
    assert_eq!(report.evidence, Evidence::Packets);
    assert_eq!(report.at(HOPS[0], &marker).count(), 1);
    let agent: Vec<_> = report.at(HOPS[1], &marker).collect();
    assert_eq!((agent.len(), agent[0].complete), (1, true));
    assert_eq!(agent[0].line, message.as_bytes());
    assert!(!report.passed(HOPS[0], "other"));
    let sightings = report.sightings.len();
    assert_eq!(watch.wait(&clock, &stop, Duration::from_millis(10), |_| false).sightings.len(), sightings);
}

#[test]
fn a_message_that_comes_twice_is_seen_twice() {
    let line = b"<164>cefctl-x\n";
    let packets = [(0x0800, tcp4(7, 25226, 1, line)), (0x0800, tcp4(7, 25226, 1 + line.len() as u32, line))];
    let net = Script { packets: Mutex::new(Some(packets.into())), ..Script::default() };
    let mut watch = Watch::start(&net, None, &HOPS, &["cefctl-x".into()]);
    let report = watch.wait(&SystemClock::default(), &Interrupt::default(), Duration::from_millis(30), |_| false);
    assert_eq!(report.at(HOPS[1], "cefctl-x").count(), 2);
}

#[test]
fn counters_where_packets_are_forbidden() {
    let socket = |from: u16, acknowledged| TcpSocket {
        local: ([127, 0, 0, 1], from).into(),
        remote: ([127, 0, 0, 1], 25226).into(),
        inode: 1,
        uid: 0,
        receive_queue: 0,
        send_queue: 0,
        acknowledged: Some(acknowledged),
        received: Some(0),
    };
    let sockets = [vec![socket(1, 1000)], vec![socket(1, 1000)], vec![socket(1, 1200), socket(2, 40)]];
    let net = Script { sockets: Mutex::new(sockets.into()), ..Script::default() };
    let mut watch = Watch::start(&net, Some("lo"), &HOPS, &["m".into()]);
    let (clock, stop) = (SystemClock::default(), Interrupt::default());
    let report = watch.wait(&clock, &stop, Duration::from_secs(5), |report| report.moved(HOPS[1]) > 100);
    assert_eq!((report.evidence, report.moved(HOPS[1]), report.sightings.len()), (Evidence::Counters, 240, 0));
    assert!(report.excuse.as_ref().unwrap().contains("CAP_NET_RAW"));

    let nothing = Script::default();
    let watch = Watch::start(&nothing, None, &HOPS, &[]);
    assert_eq!(watch.report().evidence, Evidence::Nothing);
}

/// On the real loopback: with packets as root, with counters as anybody else.
#[test]
fn the_real_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let hops = [Hop::udp(receiver.local_addr().unwrap().port()), Hop::tcp(listener.local_addr().unwrap().port())];
    let marker = crate::message::build::marker();
    let message = format!("<164>{marker}\n").into_bytes();
    let mut watch = Watch::start(&SystemNet, Some("lo"), &hops, std::slice::from_ref(&marker));
    SystemNet.send_udp(receiver.local_addr().unwrap(), &message).unwrap();
    let mut stream = SystemNet.connect(listener.local_addr().unwrap(), Duration::from_secs(1)).unwrap();
    io::Write::write_all(&mut stream, &message).unwrap();
    let (clock, stop) = (SystemClock::default(), Interrupt::default());
    let report = watch.wait(&clock, &stop, Duration::from_secs(5), |report| {
        let all_packets = hops.iter().all(|hop| report.passed(*hop, &marker));
        all_packets || report.evidence != Evidence::Packets && report.moved(hops[1]) > 0
    });
    assert!(clock.monotonic() < Duration::from_secs(4), "{report:?}");
    if report.evidence == Evidence::Packets {
        assert_eq!(report.sightings.len(), 2, "each once: {report:?}");
    } else {
        assert!(report.moved(hops[1]) >= message.len() as u64);
    }
}

proptest! {
    #[test]
    fn never_panics(ethertype in prop::sample::select(vec![0x0800u16, 0x86DD, 0x8100]), bytes in prop::collection::vec(any::<u8>(), 0..120), good in any::<bool>()) {
        let mut bytes = bytes;
        if good && bytes.len() > 20 {
            bytes[0] = if ethertype == 0x0800 { 0x45 } else { 0x60 };
            bytes[9] = 6;
        }
        if let Some(segment) = segment(&packet(ethertype, &bytes)) {
            Streams::default().feed(&segment, &mut |_, _| {});
        }
    }
}
