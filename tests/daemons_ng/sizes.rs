//! Long events, many senders at a time: every byte of every event arrives.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::daemon::{counted, loopback, send_tcp, send_udp, with_lf};
use crate::drop_in::Collector;
use crate::{Case, Kind};

pub const CASES: &[Case] = &[
    ("over_udp", |k| long(k, &[8_192, 16_384, 40_000, 65_507], |c, l| send_udp(loopback(c.port), l))),
    ("over_tcp", |k| long(k, LINES, |c, l| send_tcp(loopback(c.port), l, with_lf))),
    ("over_tcp_counted", |k| long(k, LINES, |c, l| send_tcp(loopback(c.counted), l, counted))),
    ("longer_than_that", longer_than_that),
    ("fifty_senders", fifty_senders),
];

/// Lengths with their headers.
const LINES: &[usize] = &[8_192, 16_384, 65_535, 65_536, 100_000, 262_143];

/// An event of this length. With a header in order it goes on as it is; without one it gets one.
fn event(number: usize, length: usize, header: &str) -> Vec<u8> {
    let start = format!("{header}CEF:0|V|P|1|2|n|5|externalId={number} end=");
    let fill = "0123456789abcde ".bytes().cycle().take(length - start.len() - 1);
    start.bytes().chain(fill).chain([b'Z']).collect()
}

fn long(kind: Kind, lengths: &[usize], send: fn(&Collector, &[Vec<u8>])) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (daemon, agent) = collector.start()?;
    let whole = "<134>Aug  1 10:00:00 fw1 ";
    let sent: Vec<Vec<u8>> = (0..).zip(lengths).map(|(n, length)| event(n, *length, whole)).collect();
    send(&collector, &sent);
    let bare: Vec<Vec<u8>> = (100..).zip(lengths).map(|(n, length)| event(n, *length, "<134>")).collect();
    send(&collector, &bare);
    let arrived = agent.wait(sent.len() + bare.len(), Duration::from_secs(10));
    for event in &sent {
        ensure!(arrived.contains(event), "{} bytes: {}", event.len(), daemon.messages());
    }
    for event in &bare {
        let rebuilt = arrived.iter().any(|line| line.ends_with(&event[b"<134>".len()..]));
        ensure!(rebuilt, "{} bytes without a header: {}", event.len(), daemon.messages());
    }
    ensure!(arrived.len() == sent.len() + bare.len(), "{} arrived", arrived.len());
    Ok(())
}

/// Beyond the limit an event is cut; what follows in the connection is not harmed.
fn longer_than_that(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (daemon, agent) = collector.start()?;
    let header = "<134>Aug  1 10:00:00 fw1 ";
    let (long, next) = (event(1, 300_000, header), event(2, 200, header));
    send_tcp(loopback(collector.port), &[long.clone(), next.clone()], with_lf);
    let arrived = agent.wait(2, Duration::from_secs(10));
    ensure!(arrived.contains(&next), "{}", daemon.messages());
    let lengths: Vec<usize> = arrived.iter().map(Vec::len).collect();
    ensure!(arrived.len() == 2 && long.starts_with(&arrived[0]), "{lengths:?} {}", daemon.messages());
    Ok(())
}

/// Each over a connection of its own, all at once.
fn fifty_senders(kind: Kind) -> Result<()> {
    const SENDERS: usize = 50;
    const EACH: usize = 20;
    let collector = Collector::new(kind, |_| {})?;
    let (daemon, agent) = collector.start()?;
    let header = "<134>Aug  1 10:00:00 fw1 ";
    let events = |sender: usize| -> Vec<Vec<u8>> {
        (0..EACH).map(|n| event(sender * EACH + n, 8_000 + (sender * EACH + n) * 57, header)).collect()
    };
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (to, events) = (loopback(collector.port), events(sender));
            scope.spawn(move || {
                let mut stream = TcpStream::connect(to).unwrap();
                events.iter().for_each(|e| stream.write_all(&with_lf(e)).unwrap());
            });
        }
    });
    let arrived = agent.wait(SENDERS * EACH, Duration::from_secs(30));
    let distinct: BTreeSet<&Vec<u8>> = arrived.iter().collect();
    let missing = (0..SENDERS).flat_map(events).filter(|e| !distinct.contains(e)).count();
    ensure!(missing == 0 && arrived.len() == SENDERS * EACH, "{missing} missing; {}", daemon.messages());
    Ok(())
}
