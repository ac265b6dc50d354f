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
    let mut a = Assembler::new(Filter { ports: [514].into(), ..Filter::default() });
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
    assert!(seen(&mut a, &gap).is_empty());
    let mut last = Vec::new();
    a.release_all(&mut |s| last.push(String::from_utf8_lossy(s.bytes).into_owned()));
    assert_eq!(last, ["<6>whole"]);
}

#[test]
fn what_goes_elsewhere_or_is_encrypted_is_no_message() {
    let to = ["10.0.0.99".parse::<IpAddr>().unwrap()].into();
    let mut a = Assembler::new(Filter { ports: [514].into(), to });
    assert!(seen(&mut a, &[udp(514, b"<1>x")]).is_empty());
    let mut a = Assembler::new(Filter::default());
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n<1>fake\n";
    assert!(seen(&mut a, &[tcp(1, true, b""), tcp(2, false, hello)]).is_empty());
    let sender: SocketAddr = "10.0.0.7:1".parse().unwrap();
    assert_eq!(a.encrypted, [sender.ip()].into());
}

#[test]
fn segments_that_overtook_others_are_put_in_their_place() {
    let parts = [tcp(100, false, b"<1>one\n<2>t"), tcp(111, false, b"wo\n<3>thr"), tcp(120, false, b"ee\n<4>four\n")];
    let start = tcp(99, true, b"");
    let wanted = ["<1>one", "<2>two", "<3>three", "<4>four"].map(|m| format!("10.0.0.7 {m}"));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let mut a = Assembler::new(Filter::default());
        let packets: Vec<_> = [start.clone()].into_iter().chain(order.map(|i| parts[i].clone())).collect();
        assert_eq!(seen(&mut a, &packets), wanted, "{order:?}");
    }
    // What never came is a gap, at the end of a capture as well.
    let mut a = Assembler::new(Filter::default());
    assert_eq!(seen(&mut a, &[start, parts[0].clone(), parts[2].clone()]), ["10.0.0.7 <1>one"]);
    let mut last = Vec::new();
    a.end(&mut |s| last.push(String::from_utf8_lossy(s.bytes).into_owned()));
    assert_eq!(last, ["<4>four"]);
    // Numbers start again at zero in the middle.
    let mut a = Assembler::new(Filter::default());
    let packets = [
        tcp(u32::MAX - 3, true, b""),
        tcp(6, false, b"<2>b\n"),
        tcp(u32::MAX - 2, false, b"<1>long\n"),
        tcp(5, false, b"\n"),
    ];
    assert_eq!(seen(&mut a, &packets), ["10.0.0.7 <1>long", "10.0.0.7 <2>b"]);
}

#[test]
fn datagrams_in_pieces_are_put_together() {
    let text = format!("<1>{}", "x".repeat(4000));
    let whole = udp(514, text.as_bytes());
    let (header, body) = whole.split_at(20);
    let piece = |from: usize, to: usize, more: bool| {
        let mut packet = [header, &body[from..to]].concat();
        let length = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[6..8].copy_from_slice(&((u16::from(more) << 13) | u16::try_from(from / 8).unwrap()).to_be_bytes());
        packet
    };
    let pieces = [piece(0, 1480, true), piece(1480, 2960, true), piece(2960, body.len(), false)];
    for order in [[0, 1, 2], [2, 0, 1]] {
        let mut a = Assembler::new(Filter { ports: [514].into(), ..Filter::default() });
        let packets: Vec<_> = order.iter().map(|i| pieces[*i].clone()).collect();
        assert_eq!(seen(&mut a, &packets), [format!("10.0.0.8 {text}")]);
    }
    let mut a = Assembler::new(Filter::default());
    assert!(seen(&mut a, &pieces[..2]).is_empty());
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

#[test]
fn other_formats_of_known_makes_are_named() {
    for (text, id) in [
        ("<134>Aug 14 09:21:07 bigip ASM:unit_hostname=\"b\",management_ip_address=\"10.1.1.1\"", "f5-cef"),
        ("<189>2031: sw1: Aug 14 09:21:07.019: %SYS-5-CONFIG_I: Configured from console by vty0", "cisco-ios"),
        ("<189>: 2026 Aug 14 09:21:07 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up", "cisco-ios"),
        ("<14>1 2026-08-14T09:21:07Z srx RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636] x", "junos"),
        ("<134>1 1786699267.9 MX84 flows src=10.1.1.1 dst=8.8.8.8 mac=00:18:0A:AA:BB:CC protocol=udp", "meraki"),
        ("<13>Aug 14 09:21:07 h app: see %ASA-6-30201 in the manual", "asa-id"),
        ("<13>Aug 14 09:21:07 h app: 100%-5-sure", "choose-cef"),
    ] {
        let found = advise(&lint(text.as_bytes(), Framing::Datagram));
        assert!(found.iter().any(|a| a.id == id), "{text}: {found:?}");
    }
    let wide: Vec<u8> = b"CEF:0|V|P|1|2|n|5|".iter().flat_map(|b| [*b, 0]).collect();
    let found = advise(&lint(&[b"<134>Aug 14 09:21:07 fw1 ".as_slice(), &wide].concat(), Framing::Datagram));
    assert!(found[0].text.contains("UTF-16"), "{found:?}");
}

/// A shape that the agent reads, and yet with something else in the place of the host.
#[test]
fn what_is_taken_for_the_host_is_named() {
    for (header, note) in [
        ("Aug 14 09:21:07 NZDT fw1", "a zone"),
        ("Aug 14 2026 09:21:07 +0200 fw1", "a zone"),
        ("Aug 14 2026 09:21:07 GMT+2 fw1", "a zone"),
        ("Aug 14 2026 09:21:07 (UTC) fw1", "a zone"),
        ("Aug 14 2026 9:21:07 PM fw1", "a zone"),
        ("Aug 14 09:21:07 Message forwarded from fw1:", "relay"),
    ] {
        let text = format!("<134>{header} {CEF}");
        let found = lint(text.as_bytes(), Framing::Datagram);
        assert_eq!(found.level, Level::Odd, "{header}");
        assert!(found.oddities().iter().any(|o| o.contains(note)), "{header}: {:?}", found.oddities());
        assert_eq!(found.line.host(), Some(b"fw1".as_slice()), "{header}");
    }
}

/// What a person reads in the headers of fixtures/devices is what a report says of them.
#[test]
fn headers_of_devices_are_read_as_a_person_would() {
    let zone = TimeZone::fixed(jiff::tz::offset(3));
    let now: Timestamp = "2026-08-14T12:00:00Z".parse().unwrap();
    let mut wrong = Vec::new();
    for line in include_str!("../../../fixtures/devices/messages.jsonl").lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = |name: &str| match v[format!("{name}_b64")].as_str() {
            Some(encoded) => crate::message::base64::decode(encoded).unwrap(),
            None => v[name].as_str().unwrap_or_default().into(),
        };
        if v["forward"] == false {
            continue;
        }
        let raw = [bytes("head"), bytes("event")].concat();
        let found = lint(&raw, Framing::Datagram);
        let host = found.line.host().map(|h| String::from_utf8_lossy(h).into_owned()).unwrap_or_default();
        let host_is_right = match v["host"].as_str().unwrap() {
            "any" => true,
            "sender" => host.is_empty(),
            name => host.replace("::ffff:", "").split('%').next().unwrap_or_default().replace(':', "-") == name,
        };
        if !host_is_right {
            wrong.push(format!("{}: host {host:?} of {:?}", v["id"], String::from_utf8_lossy(&bytes("head"))));
        }
        let time = v["time"].as_str().unwrap();
        let at = found.line.meant(jiff::civil::date(2026, 8, 14)).and_then(|m| m.time.resolve(now, &zone));
        let clock = |zone: &TimeZone| at.map(|at| zone.to_datetime(at).strftime("%H:%M:%S").to_string());
        let time_is_right = match time.split_once(':').unwrap_or((time, "")) {
            ("any", _) => true,
            ("now", _) => at.is_none(),
            ("clock", wanted) => clock(&zone).as_deref() == Some(wanted),
            ("clockutc", wanted) => clock(&TimeZone::UTC).as_deref() == Some(wanted),
            ("local", wanted) => at.map(|at| zone.to_datetime(at)) == Some(wanted.parse().unwrap()),
            _ => at.map(Timestamp::as_second) == Some(time.parse::<Timestamp>().unwrap().as_second()),
        };
        if !time_is_right {
            wrong.push(format!(
                "{}: time {at:?}, not {time}, of {:?}",
                v["id"],
                String::from_utf8_lossy(&bytes("head"))
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_date_that_can_be_read_in_two_ways_is_named() {
    for (header, wanted) in [
        ("08/04/2026 09:21:07 fw1", true),
        ("08/14/2026 09:21:07 fw1", false),
        ("08/04/2026 09:21:07 AM fw1", false),
        ("04.08.2026 09:21:07 fw1", false),
    ] {
        assert_eq!(ids(&format!("<134>{header} {CEF}")).contains(&"date-order".into()), wanted, "{header}");
    }
}

/// The clock of a device is judged by what its header means, also where the agent alone would not read it.
#[test]
fn clocks_of_odd_headers() {
    let clock = |header: &str| {
        let mut tally = Tally::default();
        let text = format!("<164>{header} fw1 {CEF}");
        let now = arrival("2026-08-01T10:00:03Z", TimeZone::UTC);
        tally.add("10.0.0.1", "udp", &lint(text.as_bytes(), Framing::Datagram), &now);
        tally.senders[0].time.clock()
    };
    for right in [
        "1785578400",
        "08/01/2026 10:00:00",
        "8/1/2026 10:00:00 AM",
        "01.08.26 10:00:00",
        "Aug  1 12:00:00 CEST",
        "Aug  1 2026 12:00:00 +02:00",
        "2026 Aug  1 10:00:00",
    ] {
        assert_eq!(clock(right), Clock::Right, "{right}");
    }
    assert_eq!(clock("8/1/2026 12:00:00 PM"), Clock::Zone(7200));
    assert_eq!(clock("1785575000"), Clock::Off(-3403));
}

#[test]
fn several_events_in_one_datagram_are_named() {
    let line = format!("<164>Aug  1 10:00:00 fw1 {CEF}");
    let lines = format!("{line}\n{line}");
    assert_eq!(lint(lines.as_bytes(), Framing::Datagram).oddities().len(), 1, "nothing else is odd about them");
    for (text, word) in [(format!("{line}\n{line}"), "takes them apart"), (format!("{line} {line}"), "keeps one")] {
        let found = lint(text.as_bytes(), Framing::Datagram);
        assert!(found.oddities().iter().any(|o| o.contains(word)), "{:?}", found.oddities());
        assert!(ids(&text).contains(&"one-event".into()));
    }
}

/// A capture file of one frame of some link.
fn capture_of(magic: u32, link: u32, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let words = [magic, 0x0004_0002, 0, 0, 65_535, link, 1_785_578_400, 500_000, length, length];
    words.into_iter().flat_map(u32::to_le_bytes).chain(frame.iter().copied()).collect()
}

#[test]
fn links_of_every_kind() {
    let ip = udp(514, b"<1>one");
    let frame = |front: &[u8]| [front, &ip].concat();
    let ethernet = [0_u8; 12];
    let sll = [0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0];
    let sll2 = [0x08, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    for (link, front) in [
        (0, [2_u8, 0, 0, 0].to_vec()),
        (1, [&ethernet[..], &[0x08, 0x00]].concat()),
        (1, [&ethernet[..], &[0x81, 0x00, 0, 7, 0x08, 0x00]].concat()),
        (1, [&ethernet[..], &[0x88, 0xA8, 0, 7, 0x81, 0x00, 0, 8, 0x08, 0x00]].concat()),
        (9, vec![0xFF, 0x03, 0x00, 0x21]),
        (9, vec![0x00, 0x21]),
        (9, vec![0x21]),
        (50, vec![0xFF, 0x03, 0x00, 0x21]),
        (50, vec![0x0F, 0x00, 0x08, 0x00]),
        (51, vec![0x11, 0x00, 0x00, 0x01, 0x00, 0x40, 0x00, 0x21]),
        (12, vec![]),
        (101, vec![]),
        (108, vec![0, 0, 0, 2]),
        (113, sll.to_vec()),
        (228, vec![]),
        (276, sll2.to_vec()),
    ] {
        for magic in [0xA1B2_C3D4, 0xA1B2_3C4D] {
            let file = capture_of(magic, link, &frame(&front));
            let mut assembler = Assembler::new(Filter { ports: [514].into(), ..Filter::default() });
            let mut found = Vec::new();
            let read = pcap::packets(&file, &mut |packet, _| {
                assembler.feed(packet, &mut |seen| found.push(seen.bytes.to_vec()));
            });
            assert_eq!((read, found), (Ok(1), vec![b"<1>one".to_vec()]), "link {link} {front:02x?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_frame_of_any_link_panics(link in 0_u32..300, frame in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
        let mut assembler = Assembler::new(Filter::default());
        let file = capture_of(0xA1B2_C3D4, link, &frame);
        let _ = pcap::packets(&file, &mut |packet, _| assembler.feed(packet, &mut |_| ()));
    }
}
