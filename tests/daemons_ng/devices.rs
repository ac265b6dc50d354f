//! Messages under every logging option that devices have, through syslog-ng over UDP and TCP: each event once, with its
//! own text, host and time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::daemon::{Agent, loopback, send_tcp, send_udp, wait, with_lf};
use crate::devices_file::{Count, Message, load};
use crate::drop_in::Collector;
use crate::{Case, Kind, device};

pub const CASES: &[Case] = &[
    ("udp", |k| must_be(k, Count::all(), |c, l| send_udp(loopback(c.port), l), |_| true)),
    ("tcp", |k| {
        must_be(
            k,
            Count { accepted: 781, ..Count::every(796) },
            |c, l| send_tcp(loopback(c.port), l, with_lf),
            |m| !m.datagram_only,
        )
    }),
    ("twice_in_one_datagram", twice),
    ("rewritten_ids", |k| must_be(k, Count::rewritten(), |c, l| send_udp(loopback(c.port), l), |_| true)),
];

/// Nothing wrong with any, and these figures.
fn must_be(kind: Kind, wanted: Count, send: fn(&Collector, &[Vec<u8>]), takes: fn(&Message) -> bool) -> Result<()> {
    let rewritten = wanted == Count::rewritten();
    let collector = Collector::new(kind, |w| w.rewrite_ids = rewritten)?;
    let (_daemon, agent) = collector.start()?;
    let (count, wrong) = through(&collector, &agent, rewritten, send, takes)?;
    ensure!(wrong.is_empty(), "{count:?}\n{} wrong:\n  {}", wrong.len(), wrong.join("\n  "));
    ensure!(count == wanted, "{count:?}");
    Ok(())
}

fn through(
    collector: &Collector,
    agent: &Agent,
    rewritten: bool,
    send: fn(&Collector, &[Vec<u8>]),
    takes: fn(&Message) -> bool,
) -> Result<(Count, Vec<String>)> {
    let (mut count, mut wrong) = (Count::default(), Vec::new());
    for (number, message) in load().iter().enumerate().filter(|(_, m)| takes(m)) {
        let before = agent.lines().len();
        send(collector, &[message.raw.clone(), device::event(number)]);
        let arrived = wait(Duration::from_secs(10), || {
            let lines = agent.lines();
            (lines.last().and_then(|l| device::number(l)) == Some(number)).then(|| lines[before..].to_vec())
        });
        let mut arrived = arrived.with_context(|| format!("{}: nothing arrives any more", message.id))?;
        arrived.pop();
        wrong.extend(message.judge(&arrived, rewritten, &mut count));
    }
    Ok((count, wrong))
}

/// Senders that put several events into one datagram: each arrives with a header of its own, or with the first one's.
fn twice(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| ())?;
    let (_daemon, agent) = collector.start()?;
    let (mut events, mut wrong) = (0, Vec::new());
    for (number, message) in load().iter().enumerate() {
        let Some(datagram) = message.twice() else { continue };
        let before = agent.lines().len();
        send_udp(loopback(collector.port), &[datagram, device::event(number)]);
        let arrived = wait(Duration::from_secs(10), || {
            let lines = agent.lines();
            (lines.last().and_then(|l| device::number(l)) == Some(number)).then(|| lines[before..].to_vec())
        });
        let mut arrived = arrived.with_context(|| format!("{}: nothing arrives any more", message.id))?;
        arrived.pop();
        events += 1;
        if arrived.len() != 2 {
            wrong.push(format!("{}: {} lines", message.id, arrived.len()));
        }
        for line in arrived {
            wrong.extend(message.rebuilt().judge(&[line], false, &mut Count::default()));
        }
    }
    ensure!(wrong.is_empty() && events > 600, "{} of {events} wrong:\n  {}", wrong.len(), wrong.join("\n  "));
    Ok(())
}
