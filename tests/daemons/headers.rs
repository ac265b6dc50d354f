//! Headers beyond the corpus, in front of one CEF and one ASA event each: the agent must make a complete record, with the
//! host and the time that a reader of the line would say.

use std::time::Duration;

use cefctl::agent::accept::{Verdict, event, judge};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::agent::Agent;
use crate::device;
use crate::rsyslogd::{Rsyslogd, Setup};

use Host::{Any, Is, Sender};
use Time::{At, ClockOf, Now};

#[derive(Debug, Clone, Copy)]
enum Host {
    Is(&'static str),
    /// The header names none: the address it came from.
    Sender,
    /// Two headers: either will do.
    Any,
}

#[derive(Debug, Clone, Copy)]
enum Time {
    /// This instant, where a year and a zone or none are given (none: local time).
    At(&'static str),
    /// Minute and second of the header; the rest depends on today and the zone.
    ClockOf(i8, i8),
    /// No time, or none that can be understood: reception.
    Now,
}

const CLOCK: Time = ClockOf(21, 7);
const UTC: Time = At("2026-08-14T09:21:07Z");
const PLUS_2: Time = At("2026-08-14T07:21:07Z");
const LOCAL: Time = At("2026-08-14T09:21:07");

const HEADERS: &[(&str, Host, Time)] = &[
    // as they should be
    ("<134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug  4 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 2026 09:21:07 fw1 : ", Is("fw1"), LOCAL),
    ("<134>Aug 14 09:21:07 fw1: ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 VAULT ", Is("VAULT"), CLOCK),
    ("<134>Aug 14 09:21:07 FW ", Is("FW"), CLOCK),
    ("<134>Aug 14 09:21:07 FIREWALL ", Is("FIREWALL"), CLOCK),
    ("<134>Aug 14 09:21:07 FW-01 app[12]: ", Is("FW-01"), CLOCK),
    ("<134>Aug 14 09:21:07 VAULT app[12]: ", Is("VAULT"), CLOCK),
    ("<134>Aug 14 09:21:07 fw1/admin ", Is("fw1/admin"), CLOCK),
    ("<134>Aug 14 09:21:07 fw_1.example.com ", Is("fw_1.example.com"), CLOCK),
    ("<134>Aug 14 09:21:07  10.1.1.1  ", Is("10.1.1.1"), CLOCK),
    ("<134>1 2026-08-14T09:21:07.123Z fw1 app 12 ID47 - ", Is("fw1"), UTC),
    ("<134>1 2026-08-14T09:21:07.123Z fw1 app - - [meta ip=\"10.1.1.1\"] \u{feff}", Is("fw1"), UTC),
    ("<134>1 2026-08-14T09:21:07.123Z fw1 app - - [meta a=\"x|y\" b=\"50%\"] ", Is("fw1"), UTC),
    ("<134>1 2026-08-14T09:21:07Z fw1 app - - [meta a=\"x|y\" b=\"50%\"] ", Is("fw1"), UTC),
    // fractions the agent takes for the host
    ("<134>Aug 14 09:21:07.123 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 2026 09:21:07.123456 fw1 : ", Is("fw1"), LOCAL),
    ("<134>Aug 14 09:21:07,123 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07.123: ", Sender, CLOCK),
    // time zones the agent takes for the host
    ("<134>Aug 14 2026 09:21:07 UTC fw1 ", Is("fw1"), UTC),
    ("<134>Aug 14 2026 09:21:07 UTC: ", Sender, UTC),
    ("<134>Aug 14 09:21:07 AEST fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 CEST: ", Sender, CLOCK),
    ("<134>Aug 14 09:21:07 NZDT fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 WIB: ", Sender, CLOCK),
    ("<134>Aug 14 2026 09:21:07 +02:00 fw1 ", Is("fw1"), PLUS_2),
    ("<134>Aug 14 2026 09:21:07 +0200 fw1 ", Is("fw1"), PLUS_2),
    ("<134>Aug 14 09:21:07 GMT+2 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 UTC+02:00 fw1 ", Is("fw1"), CLOCK),
    // other dates
    ("<134>Fri Aug 14 09:21:07 2026 fw1 ", Is("fw1"), LOCAL),
    ("<134>Fri Aug 14 09:21:07 UTC 2026 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 2026 fw1 ", Is("fw1"), LOCAL),
    ("<134>Fri Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<134>August 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<134>14 Aug 2026 09:21:07 fw1 ", Is("fw1"), LOCAL),
    ("<134>14-Aug-2026 09:21:07 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026/08/14 09:21:07 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026-08-14 09:21:07 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026-08-14 09:21:07,123 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026-08-14 09:21:07 +02:00 fw1 ", Is("fw1"), PLUS_2),
    ("<134>2026-08-14 09:21:07 UTC fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14T09:21:07 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026-08-14T09:21:07.123 fw1 ", Is("fw1"), LOCAL),
    ("<134>2026-08-14T09:21:07Z fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14T09:21:07.5Z fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14T09:21:07.123456789Z fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14T09:21:07,123Z fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14t09:21:07z fw1 ", Is("fw1"), UTC),
    ("<134>2026-08-14T09:21:07+02:00 fw1 ", Is("fw1"), PLUS_2),
    ("<134>2026-08-14T09:21:07+02 fw1 ", Is("fw1"), PLUS_2),
    ("<134>2026-08-14T09:21:07.1234567+02:00 fw1 ", Is("fw1"), PLUS_2),
    ("<134>2026-08-14T09:21:07.123456789+0200 fw1 ", Is("fw1"), PLUS_2),
    ("<134> 2026-08-14T09:21:07Z fw1 ", Is("fw1"), UTC),
    ("<134>1786699267 fw1 ", Is("fw1"), At("2026-08-14T09:21:07Z")),
    ("<134>1786699267.123 fw1 ", Is("fw1"), At("2026-08-14T09:21:07Z")),
    ("<134>1786699267123 fw1 ", Is("fw1"), At("2026-08-14T09:21:07Z")),
    ("<134>08/14/2026 09:21:07 AM fw1 ", Is("fw1"), Now),
    ("<134>09:21:07 fw1 ", Is("fw1"), Now),
    ("<134>Aug 14 25:61:61 fw1 ", Is("fw1"), Now),
    ("<134>2026-13-45T09:21:07.000Z fw1 ", Is("fw1"), Now),
    // no host, or no header at all
    ("<134>Aug 14 2026 09:21:07: ", Sender, LOCAL),
    ("<134>Aug 14 09:21:07 ", Sender, CLOCK),
    ("<134>Aug 14 09:21:07 cef[12]: ", Sender, CLOCK),
    ("<134>1 2026-08-14T09:21:07.123Z - - - - - ", Sender, UTC),
    ("<134>1 - fw1 - - - - ", Is("fw1"), Now),
    ("<134>1 - - - - - - ", Sender, Now),
    ("<134>", Sender, Now),
    ("<134> ", Sender, Now),
    ("<134>cef[12]: ", Sender, Now),
    ("<134>fw-edge-01 ", Is("fw-edge-01"), Now),
    // IPv6 hosts, which the agent cuts at the first colon
    ("<134>Aug 14 09:21:07 2001:db8::1 ", Is("2001-db8--1"), CLOCK),
    ("<134>1 2026-08-14T09:21:07.123Z 2001:db8::1 app - - - ", Is("2001-db8--1"), UTC),
    ("<134>Aug 14 09:21:07 [2001:db8::1] ", Is("2001-db8--1"), CLOCK),
    ("<134>Aug 14 09:21:07 2001:db8::1: ", Is("2001-db8--1"), CLOCK),
    ("<134>Aug 14 09:21:07 fe80::1%eth0 ", Is("fe80--1"), CLOCK),
    ("<134>Aug 14 09:21:07 ::ffff:10.1.1.9 ", Is("10.1.1.9"), CLOCK),
    // Cisco
    ("<166>:Aug 14 09:21:07 UTC: ", Sender, CLOCK),
    ("<166>:Aug 14 2026 09:21:07: ", Sender, LOCAL),
    ("<166>123: Aug 14 2026 09:21:07 fw1 : ", Is("fw1"), LOCAL),
    ("<166>123: *Aug 14 09:21:07.411 UTC: ", Sender, CLOCK),
    ("<166>123: .Aug 14 09:21:07.411: ", Sender, CLOCK),
    ("<166>123: fw1: Aug 14 2026 09:21:07.411: ", Is("fw1"), LOCAL),
    ("<166>fw1: *Aug 14 09:21:07: ", Is("fw1"), CLOCK),
    ("<166>*Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<166>123: ", Sender, Now),
    // PRI missing, too large, in the wrong place
    ("Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("2026-08-14T09:21:07Z fw1 ", Is("fw1"), UTC),
    ("", Sender, Now),
    ("<999>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<999>2026-08-14T09:21:07Z fw1 ", Is("fw1"), UTC),
    ("<abc>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("  <134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("\u{feff}<134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("\"<134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("{\"message\":\"<134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07 fw1 {\"message\":\"", Is("fw1"), CLOCK),
    ("<134>Aug 14 09:21:07\tfw1\t", Is("fw1"), CLOCK),
    // relayed
    ("<13>Aug 14 09:21:07 relay1 <134>Aug 14 09:21:07 fw1 ", Any, CLOCK),
    ("<13>2026-08-14T09:21:07Z relay1 <134>Aug 14 09:21:06 fw1 ", Is("relay1"), UTC),
    ("<13><134>Aug 14 09:21:07 fw1 ", Is("fw1"), CLOCK),
];

/// The number of the case is part of the event, which holds more that looks like a header.
fn events(number: usize) -> [String; 2] {
    [
        format!("CEF:0|Acme|Wall|9.1|100|seq={number:09}|5|act=50% msg=a|b <13> 2026-01-01T00:00:00Z 11:12:13 end"),
        format!("%ASA-6-302013: Built seq={:09} at 11:12:13 <13> a|b", number + HEADERS.len()),
    ]
}

fn wrong(header: &str, host: Host, time: Time, event: &str, arrived: &[u8]) -> Option<String> {
    let complain = |what: &str| Some(format!("{what}: {header:?} arrived as {}", String::from_utf8_lossy(arrived)));
    let Verdict::Accepted(record) = judge(arrived) else { return complain("refused or damaged") };
    if event::find(arrived).is_none_or(|e| arrived.get(e.start..) != Some(event.as_bytes())) {
        return complain("the event is another one");
    }
    let stored = record.host.map(|h| String::from_utf8_lossy(h).into_owned()).unwrap_or_default();
    let right = match host {
        Is(name) => stored == name,
        Sender => stored == "127.0.0.1",
        Any => true,
    };
    if !right {
        return complain("host");
    }
    let (zone, now) = (TimeZone::system(), Timestamp::now());
    let instant = record.event_time.resolve(now, &zone).expect("a time");
    let right = match time {
        At(text) => text
            .parse::<Timestamp>()
            .or_else(|_| local(text, &zone))
            .is_ok_and(|t| t.as_second() == instant.as_second()),
        ClockOf(minute, second) => {
            let clock = zone.to_datetime(instant);
            (clock.minute(), clock.second()) == (minute, second)
        }
        Now => (now.as_second() - instant.as_second()).abs() < 30,
    };
    if right { None } else { complain("time") }
}

fn local(text: &str, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    zone.to_timestamp(text.parse()?)
}

#[test]
fn every_header_is_read_or_mended() {
    let agent = Agent::start();
    let daemon = Rsyslogd::start(&agent, &Setup::default());
    let mut sent = Vec::new();
    for (number, (header, host, time)) in HEADERS.iter().enumerate() {
        for event in events(number) {
            device::udp(daemon.port, [header, event.as_str()].concat().as_bytes());
            sent.push((*header, *host, *time, event));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let arrived = agent.wait(Duration::from_secs(20), |lines| lines.len() >= sent.len());
    let mut complaints: Vec<String> = Vec::new();
    for (header, host, time, event) in &sent {
        let number = device::number(event.as_bytes());
        match arrived.iter().filter(|l| device::number(l) == number).collect::<Vec<_>>()[..] {
            [line] => complaints.extend(wrong(header, *host, *time, event, line)),
            [] => complaints.push(format!("lost: {header:?}")),
            _ => complaints.push(format!("doubled: {header:?}")),
        }
    }
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), sent.len(), complaints.join("\n"));
}
