use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::advice::advise;
use super::frames::Framing;
use super::packets::{Assembler, Filter};
use super::tally::{Arrival, Clock, Tally};
use super::{Level, lint, pcap};
use crate::host::Packet;

fn level(text: &str) -> Level {
    lint(text.as_bytes(), Framing::Datagram).level
}

fn ids(text: &str) -> Vec<String> {
    advise(&lint(text.as_bytes(), Framing::Datagram)).into_iter().map(|a| a.id).collect()
}

const CEF: &str = "CEF:0|V|P|1|id|name|5|src=10.0.0.1";

#[test]
fn levels() {
    assert_eq!(level(&format!("<164>Aug  1 10:00:00 fw1 {CEF}")), Level::Good);
    assert_eq!(level(&format!("<164>Aug  1 10:00:00 {CEF}")), Level::Odd, "no host");
    assert_eq!(level(&format!("<164>Aug  1 10:00:00 fw1 {CEF} a=b=c")), Level::Odd, "an unescaped =");
    assert_eq!(level(&format!("<164>{CEF}")), Level::Rebuilt, "no time");
    assert_eq!(level(CEF), Level::Rebuilt, "nothing in front at all");
    assert_eq!(level("<134>Aug  1 10:00:00 fw1 %FTD-6-302013: text"), Level::Lost);
    assert_eq!(level("<134>Aug  1 10:00:00 fw1 %ASA-session-6-302013: text"), Level::Lost);
    assert_eq!(level("<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1"), Level::Lost, "a header cut short");
    assert_eq!(level("<134>Aug  1 10:00:00 fw1 LEEF:2.0|V|P|1|x|a=b"), Level::Lost);
    assert_eq!(level("<30>Aug  1 10:00:00 box sshd[1]: hello"), Level::Foreign);
    assert_eq!(level("hello"), Level::Foreign);
    assert_eq!(level(""), Level::Foreign);
}

#[test]
fn the_setting_is_named_as_the_make_names_it() {
    assert_eq!(ids("<164>%ASA-4-106023: Deny"), ["asa-timestamp"]);
    assert_eq!(ids("<164>Aug  1 2026 10:00:00: %ASA-4-106023: Deny"), ["asa-device-id"]);
    assert_eq!(ids("<134>date=2026-08-01 time=10:00:00 devname=\"f\" logid=\"1\" type=\"traffic\""), ["fortigate-cef"]);
    assert_eq!(ids("<134>Aug  1 10:00:00 fw LEEF:1.0|V|P|1|x|a=b"), ["leef"]);
    assert_eq!(ids("<134>Aug  1 10:00:00 fw 1,2026/08/01 10:00:00,0123,TRAFFIC,end,"), ["paloalto-cef"]);
    assert!(ids(&format!("<164>2026-08-01T10:00:00Z fw1 {CEF}")).contains(&"time-format".into()));
    assert!(ids(&format!("<164>Aug  1 10:00:00 fw1 {CEF}\r")).contains(&"frame-lf".into()));
    assert!(ids(&format!("<164>Aug  1 10:00:00 fw1 {CEF}#015")).contains(&"frame-lf".into()));
    assert!(ids(&format!("<164>Aug  1 10:00:00 fw1 {CEF} {CEF}")).contains(&"one-event".into()));
    assert!(ids(&format!("<164>Aug  1 10:00:00 fw1 {CEF}")).is_empty());
}

#[test]
fn words_for_people() {
    let raw = "<164>Aug  1 2026 10:00:00: %ASA-4-106023: Deny".as_bytes();
    let found = lint(raw, Framing::LineFeed);
    assert_eq!(found.envelope(), "RFC 3164, RFC 3164 time with year, no host");
    assert_eq!(
        (found.priority().as_deref(), found.event().as_str()),
        (Some("local4.warning"), "Cisco ASA %ASA-4-106023")
    );
    let text = format!("<164>{CEF}");
    let fate = lint(text.as_bytes(), Framing::LineFeed).fate();
    assert!(fate.starts_with("dropped: ") && fate.contains("rebuilds its header"), "{fate}");
}

fn arrival(time: &str, zone: TimeZone) -> Arrival {
    Arrival { time: Some(time.parse::<Timestamp>().unwrap()), zone }
}

#[test]
fn clocks_zones_and_the_turn_of_the_year() {
    let clock = |times: &[(&str, &str)]| {
        let mut tally = Tally::default();
        for (header, now) in times {
            let text = format!("<164>{header} fw1 {CEF}");
            tally.add("10.0.0.1", "udp", &lint(text.as_bytes(), Framing::Datagram), &arrival(now, TimeZone::UTC));
        }
        tally.senders[0].time.clock()
    };
    assert_eq!(clock(&[("Aug  1 10:00:00", "2026-08-01T10:00:03Z")]), Clock::Right);
    let two = [("Aug  1 12:00:00", "2026-08-01T10:00:03Z"), ("Aug  1 12:10:00", "2026-08-01T10:10:00Z")];
    assert_eq!(clock(&two), Clock::Zone(7200));
    assert_eq!(clock(&[("Aug  1 15:30:00", "2026-08-01T10:00:00Z")]), Clock::Zone(19_800));
    assert_eq!(clock(&[("Aug  1 10:07:00", "2026-08-01T10:00:00Z")]), Clock::Off(420));
    assert_eq!(clock(&[("Jan  1 00:00:01", "2026-12-31T23:59:58Z")]), Clock::Right);
    assert_eq!(clock(&[("Dec 31 23:59:58", "2027-01-01T00:00:01Z")]), Clock::Right);
    assert_eq!(clock(&[("2026-08-01T12:00:00.000+02:00", "2026-08-01T10:00:00Z")]), Clock::Right);
    assert_eq!(clock(&[("Jan  1 2000 00:00:00", "2026-08-01T10:00:00Z")]), Clock::Off(-838_893_600));
}

#[test]
fn a_tally_is_bounded_whatever_is_sent() {
    let mut tally = Tally::default();
    let now = arrival("2026-08-01T10:00:00Z", TimeZone::UTC);
    for n in 0..2000 {
        let text = format!("<{}>Aug  1 10:00:00 h CEF:0|V{n}|P|1|i|n|5|", n % 200);
        tally.add(&format!("sender{}", n % 600), "udp", &lint(text.as_bytes(), Framing::Datagram), &now);
        tally.add("one", "udp", &lint(text.as_bytes(), Framing::Datagram), &now);
    }
    assert_eq!((tally.messages, tally.senders.len()), (4000, 500));
    assert!(tally.others > 0);
    let one = tally.senders.iter().find(|s| s.from == "one").unwrap();
    assert_eq!((one.messages, one.products.len()), (2000, 41));
    assert_eq!(one.products.values().sum::<u64>(), 2000);
    let back: Tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
    assert_eq!(back, tally);
}

fn tcp(sequence: u32, syn: bool, payload: &[u8]) -> Vec<u8> {
    let mut builder = PacketBuilder::ipv4([10, 0, 0, 7], [10, 0, 0, 1], 64).tcp(40000, 514, sequence, 1000);
    if syn {
        builder = builder.syn();
    }
    let mut bytes = vec![0; builder.size(payload.len())];
    builder.write_to_slice(&mut bytes, payload).unwrap();
    bytes
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 8], [10, 0, 0, 1], 64).udp(40000, port);
    let mut bytes = vec![0; builder.size(payload.len())];
    builder.write_to_slice(&mut bytes, payload).unwrap();
    bytes
}

fn seen(assembler: &mut Assembler, packets: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for bytes in packets {
        let packet = Packet { ethertype: 0x0800, bytes };
        assembler.feed(&packet, &mut |s| found.push(format!("{} {}", s.from.ip(), String::from_utf8_lossy(s.bytes))));
    }
    found
}

#[test]
fn streams_are_joined_in_the_middle_put_in_order_and_cut() {
    let mut a = Assembler::new(Filter { port: Some(514), ..Filter::default() });
    let packets = [
        tcp(100, false, b"rest of something\n<1>first\n<2>sec"),
        tcp(100, false, b"rest of something\n<1>first\n<2>sec"),
        tcp(133, false, b"ond\n8 <3>count"),
        udp(514, b"<4>datagram\n"),
        udp(515, b"<4>elsewhere"),
        udp(514, b""),
    ];
    assert_eq!(
        seen(&mut a, &packets),
        ["10.0.0.7 <1>first", "10.0.0.7 <2>second", "10.0.0.7 <3>count", "10.0.0.8 <4>datagram"]
    );
    // bytes are missing: what was pending is not glued to what comes
    let gap = [tcp(500, false, b"<5>half"), tcp(600, false, b"<6>whole\n")];
    assert_eq!(seen(&mut a, &gap), ["10.0.0.7 <6>whole"]);
}

#[test]
fn what_goes_elsewhere_or_is_encrypted_is_no_message() {
    let to = ["10.0.0.99".parse::<IpAddr>().unwrap()].into();
    let mut a = Assembler::new(Filter { port: Some(514), to });
    assert!(seen(&mut a, &[udp(514, b"<1>x")]).is_empty());
    let mut a = Assembler::new(Filter::default());
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n<1>fake\n";
    assert!(seen(&mut a, &[tcp(1, true, b""), tcp(2, false, hello)]).is_empty());
    let sender: SocketAddr = "10.0.0.7:1".parse().unwrap();
    assert_eq!(a.encrypted, [sender.ip()].into());
}

/// A capture file of Ethernet frames with these IP packets.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for packet in packets {
        let frame = [&[0; 12], [0x08, 0x00].as_slice(), packet].concat();
        for word in [1_785_578_400_u32, 500_000, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[test]
fn capture_files_whole_and_cut() {
    let file = capture(&[udp(514, b"<1>one"), udp(514, b"<2>two")]);
    assert!(pcap::is_pcap(&file) && !pcap::is_pcap(b"<164>Aug"));
    let mut times = Vec::new();
    assert_eq!(pcap::packets(&file, &mut |p, t| times.push((p.ethertype, t.map(|t| t.to_string())))), Ok(2));
    assert_eq!(times[0], (0x0800, Some("2026-08-01T10:00:00.5Z".into())));
    let cut = pcap::packets(&file[..file.len() - 3], &mut |_, _| ());
    assert_eq!(cut, Err(pcap::PcapError::Damaged(1)));
    assert_eq!(pcap::packets(&file[..10], &mut |_, _| ()), Err(pcap::PcapError::Header));
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let found = lint(&bytes, Framing::Datagram);
        let _ = (found.envelope(), found.event(), found.fate(), found.oddities(), advise(&found));
        let _ = pcap::packets(&bytes, &mut |_, _| ());
        let ng = [&[0x0A, 0x0D, 0x0D, 0x0A], bytes.as_slice()].concat();
        let _ = pcap::packets(&ng, &mut |_, _| ());
    }
}
