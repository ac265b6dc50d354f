//! What the kernel threw away before any program could read it: datagrams for sockets whose buffer was full, of all
//! programs together, and packets that a network card had no room for.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Root;

/// Counters since the machine (or the network namespace, or the card's driver) started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossCounters {
    /// `RcvbufErrors` of /proc/net/snmp and snmp6: datagrams that found a full buffer, whichever socket it was; also of sockets that
    /// are closed by now.
    pub full_buffers: Option<u64>,
    /// `rx_missed_errors` by interface: the host did not take packets from the card fast enough.
    pub missed: BTreeMap<String, u64>,
}

/// Interfaces that are looked at; a machine with many containers has thousands.
const MOST_INTERFACES: usize = 256;

impl LossCounters {
    pub fn gather(root: &Root) -> LossCounters {
        let read = |path: &str| root.read_opt(Path::new(path)).ok().flatten().unwrap_or_default();
        let full = [udp_full(&read("/proc/net/snmp")), udp6_full(&read("/proc/net/snmp6"))];
        let known = full.iter().any(Option::is_some);
        let interfaces = root.list(Path::new("/sys/class/net")).unwrap_or_default();
        let missed = interfaces.into_iter().take(MOST_INTERFACES).filter_map(|name| {
            let name = name.to_str()?.to_owned();
            let text = read(&format!("/sys/class/net/{name}/statistics/rx_missed_errors"));
            let missed = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
            Some((name, missed))
        });
        LossCounters {
            full_buffers: known.then(|| full.into_iter().flatten().fold(0, u64::saturating_add)),
            missed: missed.filter(|(_, n)| *n > 0).collect(),
        }
    }

    /// What came to it since `before`.
    pub fn since(&self, before: &LossCounters) -> LossCounters {
        let more = |now: u64, then: u64| now.saturating_sub(then);
        let missed =
            self.missed.iter().map(|(name, n)| (name, more(*n, before.missed.get(name).copied().unwrap_or(0))));
        LossCounters {
            full_buffers: self.full_buffers.zip(before.full_buffers).map(|(now, then)| more(now, then)),
            missed: missed.filter(|(_, n)| *n > 0).map(|(name, n)| (name.clone(), n)).collect(),
        }
    }
}

/// The `Udp:` lines: names, then numbers.
fn udp_full(snmp: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(snmp);
    let mut lines = text.lines().filter_map(|l| l.strip_prefix("Udp:"));
    let at = lines.next()?.split_ascii_whitespace().position(|name| name == "RcvbufErrors")?;
    lines.next()?.split_ascii_whitespace().nth(at)?.parse().ok()
}

fn udp6_full(snmp6: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(snmp6);
    let line = text.lines().find_map(|l| l.strip_prefix("Udp6RcvbufErrors"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_kernel() {
        let snmp = b"Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\nUdpLite: InDatagrams\nUdpLite: 0\n";
        assert_eq!(udp_full(snmp), Some(5));
        assert_eq!(udp_full(b"Udp: InDatagrams\nUdp: 1\n"), None);
        assert_eq!(udp_full(b"\xff"), None);
        assert_eq!(udp6_full(b"Udp6InErrors  \t3\nUdp6RcvbufErrors               \t12\n"), Some(12));
    }

    #[test]
    fn only_what_is_new_counts() {
        let counters = |full, missed: &[(&str, u64)]| LossCounters {
            full_buffers: Some(full),
            missed: missed.iter().map(|(n, m)| ((*n).to_owned(), *m)).collect(),
        };
        let now = counters(12, &[("eth0", 7), ("eth1", 3)]);
        assert_eq!(now.since(&counters(10, &[("eth0", 7)])), counters(2, &[("eth1", 3)]));
        // A counter that starts anew is no loss.
        assert_eq!(counters(1, &[]).since(&now), counters(0, &[]));
    }

    #[test]
    fn this_machine_has_them() {
        let seen = LossCounters::gather(&Root::default());
        assert!(!Path::new("/proc/net/snmp").exists() || seen.full_buffers.is_some(), "{seen:?}");
    }
}
