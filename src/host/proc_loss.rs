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
    /// Datagrams that came in pieces (IP fragments) and were put together again; `ReasmOKs` and `Ip6ReasmOKs`.
    #[serde(default)]
    pub joined: Option<u64>,
    /// Those that were not: a piece is missing, or the kernel had no room for them (`ReasmFails`).
    #[serde(default)]
    pub not_joined: Option<u64>,
    /// Packets that a policy of IPsec refused, since they came in clear (`XfrmInNoPols` and its like).
    #[serde(default)]
    pub not_encrypted: Option<u64>,
    /// `rx_missed_errors` by interface: the host did not take packets from the card fast enough.
    pub missed: BTreeMap<String, u64>,
}

/// Interfaces that are looked at; a machine with many containers has thousands.
const MOST_INTERFACES: usize = 256;

impl LossCounters {
    pub fn gather(root: &Root) -> LossCounters {
        let read = |path: &str| root.read_opt(Path::new(path)).ok().flatten().unwrap_or_default();
        let (snmp, snmp6) = (read("/proc/net/snmp"), read("/proc/net/snmp6"));
        let both = |name: &str, name6: &str, group: &str| {
            let found = [of_group(&snmp, group, name), by_name(&snmp6, name6)];
            found.iter().any(Option::is_some).then(|| found.into_iter().flatten().fold(0, u64::saturating_add))
        };
        let ipsec = read("/proc/net/xfrm_stat");
        let refused: Vec<u64> = NOT_ENCRYPTED.iter().filter_map(|name| by_name(&ipsec, name)).collect();
        let interfaces = root.list(Path::new("/sys/class/net")).unwrap_or_default();
        let missed = interfaces.into_iter().take(MOST_INTERFACES).filter_map(|name| {
            let name = name.to_str()?.to_owned();
            let text = read(&format!("/sys/class/net/{name}/statistics/rx_missed_errors"));
            let missed = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
            Some((name, missed))
        });
        LossCounters {
            full_buffers: both("RcvbufErrors", "Udp6RcvbufErrors", "Udp:"),
            joined: both("ReasmOKs", "Ip6ReasmOKs", "Ip:"),
            not_joined: both("ReasmFails", "Ip6ReasmFails", "Ip:"),
            not_encrypted: (!refused.is_empty()).then(|| refused.into_iter().fold(0, u64::saturating_add)),
            missed: missed.filter(|(_, n)| *n > 0).collect(),
        }
    }

    /// What came to it since `before`.
    pub fn since(&self, before: &LossCounters) -> LossCounters {
        let more = |now: u64, then: u64| now.saturating_sub(then);
        let since = |now: Option<u64>, then: Option<u64>| now.zip(then).map(|(now, then)| more(now, then));
        let missed =
            self.missed.iter().map(|(name, n)| (name, more(*n, before.missed.get(name).copied().unwrap_or(0))));
        LossCounters {
            full_buffers: since(self.full_buffers, before.full_buffers),
            joined: since(self.joined, before.joined),
            not_joined: since(self.not_joined, before.not_joined),
            not_encrypted: since(self.not_encrypted, before.not_encrypted),
            missed: missed.filter(|(_, n)| *n > 0).map(|(name, n)| (name.clone(), n)).collect(),
        }
    }
}

/// What the kernel counts where a packet in clear meets a policy that wants it encrypted.
const NOT_ENCRYPTED: [&str; 3] = ["XfrmInNoPols", "XfrmInPolBlock", "XfrmInTmplMismatch"];

/// A counter of /proc/net/snmp: for each group a line of names, then one of numbers.
fn of_group(snmp: &[u8], group: &str, name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(snmp);
    let mut lines = text.lines().filter_map(|l| l.strip_prefix(group));
    let at = lines.next()?.split_ascii_whitespace().position(|n| n == name)?;
    lines.next()?.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// A counter of a file with one name and number a line.
fn by_name(text: &[u8], name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    let mut fields = text.lines().map(str::split_ascii_whitespace);
    fields.find_map(|mut f| (f.next() == Some(name)).then(|| f.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_kernel() {
        let snmp = b"Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\nUdpLite: InDatagrams\nUdpLite: 0\n";
        let full = |text: &[u8]| of_group(text, "Udp:", "RcvbufErrors");
        assert_eq!(full(snmp), Some(5));
        assert_eq!(of_group(snmp, "Ip:", "Forwarding"), Some(1));
        assert_eq!(full(b"Udp: InDatagrams\nUdp: 1\n"), None);
        assert_eq!(full(b"\xff"), None);
        let snmp6 = b"Udp6InErrors  \t3\nUdp6RcvbufErrors               \t12\n";
        assert_eq!(by_name(snmp6, "Udp6RcvbufErrors"), Some(12));
        assert_eq!(by_name(snmp6, "Udp6Rcvbuf"), None);
    }

    #[test]
    fn only_what_is_new_counts() {
        let counters = |full, missed: &[(&str, u64)]| LossCounters {
            full_buffers: Some(full),
            missed: missed.iter().map(|(n, m)| ((*n).to_owned(), *m)).collect(),
            ..LossCounters::default()
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
