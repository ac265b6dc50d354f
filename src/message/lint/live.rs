//! What arrives on a port now, read from the packets of all interfaces: no other program, no change to the daemon, and
//! it ends when asked to, with what it has seen so far.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lint;
use super::packets::{Assembler, Filter, Seen};
use super::tally::{Arrival, Tally};
use crate::host::{Clock, Host, Interrupt};

/// What was seen on the port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// How long was really looked.
    pub milliseconds: u64,
    pub tally: Tally,
    /// Why nothing could be seen.
    pub blind: Option<String>,
    /// Somebody ended it before its time.
    pub interrupted: bool,
    /// Senders whose messages are encrypted.
    pub encrypted: Vec<String>,
    /// Messages too long to keep.
    pub too_long: u64,
    /// Packets of more connections than can be followed: not counted above.
    pub ignored: u64,
}

/// How long a wait may be, so that a stop is noticed.
const SLICE: Duration = Duration::from_millis(100);

/// Watches `ports` for `limit`, or until `stop`. `now` hears of the progress about five times a second.
pub fn watch(host: &Host, stop: &Interrupt, ports: &[u16], limit: Duration, now: &mut dyn FnMut(&Traffic)) -> Traffic {
    let mut traffic = Traffic::default();
    let mut source = match host.net.capture(None) {
        Ok(source) => source,
        Err(error) => return Traffic { blind: Some(excuse(&error)), ..traffic },
    };
    let local: BTreeSet<IpAddr> = host.net.local_addresses();
    let mut assembler = Assembler::new(Filter { ports: ports.iter().copied().collect(), to: local });
    let zone = host.clock.zone();
    let start = host.clock.monotonic();
    let mut told = Duration::ZERO;
    while !stop.is_set() {
        let passed = host.clock.monotonic().saturating_sub(start);
        if passed >= limit {
            break;
        }
        match source.next((limit - passed).min(SLICE)) {
            Ok(Some(packet)) => {
                let arrival = Arrival { time: Some(host.clock.now()), zone: zone.clone() };
                assembler.feed(&packet, &mut |seen| {
                    let judged = lint(seen.bytes, seen.framing);
                    traffic.tally.add(&seen.from.ip().to_string(), &way_in(&seen, ports), &judged, &arrival);
                });
            }
            Ok(None) => {}
            Err(error) => {
                traffic.blind = Some(excuse(&error));
                break;
            }
        }
        if passed >= told + Duration::from_millis(200) {
            told = passed;
            traffic.milliseconds = milliseconds(passed);
            now(&traffic);
        }
    }
    let arrival = Arrival { time: Some(host.clock.now()), zone };
    assembler.release_all(&mut |seen| {
        let judged = lint(seen.bytes, seen.framing);
        traffic.tally.add(&seen.from.ip().to_string(), &way_in(&seen, ports), &judged, &arrival);
    });
    traffic.milliseconds = milliseconds(elapsed(&*host.clock, start));
    traffic.interrupted = stop.is_set();
    traffic.encrypted = assembler.encrypted.iter().map(ToString::to_string).collect();
    traffic.too_long = assembler.too_long;
    traffic.ignored = assembler.ignored;
    traffic.tally = traffic.tally.sorted();
    traffic
}

/// `tcp`; on another port than the first of those that are watched `tcp/601`.
fn way_in(seen: &Seen<'_>, ports: &[u16]) -> String {
    match ports.first() {
        Some(first) if *first != seen.port => format!("{}/{}", seen.transport, seen.port),
        _ => seen.transport.to_string(),
    }
}

fn elapsed(clock: &dyn Clock, start: Duration) -> Duration {
    clock.monotonic().saturating_sub(start)
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn excuse(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => " (a packet socket needs root or CAP_NET_RAW)",
        _ => "",
    };
    format!("packets cannot be captured: {error}{hint}")
}
