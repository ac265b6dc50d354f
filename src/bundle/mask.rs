//! Names, addresses and workspace ids replaced by others, the same one by the same other everywhere, so that a bundle can
//! be read and judged as before and yet does not say whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::bytes::{Captures, Regex};

use super::Item;
use crate::check::facts::Facts;

/// What stands for what. One for a bundle.
#[derive(Debug)]
pub struct Mask {
    on: bool,
    names: Option<Regex>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    ids: BTreeMap<Vec<u8>, usize>,
    v4: BTreeMap<Ipv4Addr, usize>,
    v6: BTreeMap<Ipv6Addr, usize>,
    names: BTreeMap<Vec<u8>, usize>,
}

/// Words that a machine may be called and that mean something else as well: replaced in text, they would spoil it.
const RESERVED: &[&str] = &[
    "localhost",
    "rsyslog",
    "rsyslogd",
    "syslog",
    "syslog-ng",
    "log",
    "logs",
    "cef",
    "asa",
    "agent",
    "root",
    "host",
    "server",
    "collector",
    "forwarder",
    "sentinel",
    "azure",
    "debian",
    "ubuntu",
    "linux",
    "etc",
    "var",
    "conf",
    "main",
    "default",
    "none",
    "systemd",
    "daemon",
    "local",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-allnodes",
    "ip6-allrouters",
    "localdomain",
];

static UUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i-u)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b").ok());
static V4: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?-u)\b\d{1,3}(?:\.\d{1,3}){3}\b").ok());
static V6: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i-u)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}").ok());

/// Hosts as daemons' configurations name them.
static TARGET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern =
        r#"(?i-u)\b(?:target|server|host)="([a-z0-9][a-z0-9.-]*)"|@@?(?:\([^)]*\))?([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)"#;
    Regex::new(pattern).ok()
});
/// Hosts in URLs and behind logins.
static URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i-u)(?:://|@)([a-z0-9-]+(?:\.[a-z0-9-]+)+)").ok());

/// Names of makers and projects, which are nobody's secret.
const PUBLIC: &[&str] = &[
    ".azure.com",
    ".azure.us",
    ".azure.cn",
    ".azure.net",
    ".windows.net",
    "microsoft.com",
    "azure-automation.net",
    "rsyslog.com",
    "syslog-ng.com",
    "debian.org",
    "ubuntu.com",
    "redhat.com",
    "rockylinux.org",
    "almalinux.org",
    "suse.com",
    "opensuse.org",
    "freedesktop.org",
    "kernel.org",
    "gnu.org",
    "w3.org",
    ".service",
    ".socket",
    ".slice",
    ".scope",
    ".conf",
];

impl Mask {
    /// Changes nothing.
    pub fn none() -> Self {
        Mask { on: false, names: None, table: Mutex::default() }
    }

    /// Knows the names of this machine, and the hosts that its configuration and what was gathered name.
    pub fn new(facts: &Facts, items: &[Item]) -> Self {
        let own = facts.host.hostname.as_str();
        let mut names: BTreeSet<String> = BTreeSet::from([own.to_owned()]);
        names.extend(own.split_once('.').into_iter().flat_map(|(short, domain)| [short.to_owned(), domain.to_owned()]));
        let daemons = [&facts.rsyslog, &facts.syslog_ng].into_iter().flat_map(|d| d.config.files.values());
        let configs = daemons.filter_map(|f| f.content.as_ref().ok()).map(|c| c.0.as_slice());
        // Units are called user@1000.service, and software tells where it lives.
        let foreign = |name: &str| {
            let name = name.to_ascii_lowercase();
            PUBLIC.iter().any(|end| name.ends_with(end))
        };
        for content in configs.chain(items.iter().map(|i| i.content.as_slice())) {
            for found in [TARGET.as_ref(), URL.as_ref()].into_iter().flatten().flat_map(|r| r.captures_iter(content)) {
                let name = found.get(1).or(found.get(2)).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned());
                names.extend(name.filter(|n| !foreign(n)));
            }
        }
        names.retain(|n| {
            n.len() >= 3 && n.parse::<IpAddr>().is_err() && !RESERVED.contains(&n.to_ascii_lowercase().as_str())
        });
        let mut names: Vec<String> = names.into_iter().collect();
        // The longest first: a short name may begin a long one.
        names.sort_by_key(|n| std::cmp::Reverse(n.len()));
        let words: Vec<String> = names.iter().map(|n| regex::escape(n)).collect();
        let pattern = (!words.is_empty()).then(|| format!(r"(?i-u)\b(?:{})\b", words.join("|")));
        Mask { on: true, names: pattern.and_then(|p| Regex::new(&p).ok()), table: Mutex::default() }
    }

    /// The content with other names.
    pub fn apply(&self, content: &[u8]) -> Vec<u8> {
        if !self.on {
            return content.to_vec();
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = content.to_vec();
        let mut pass = |pattern: Option<&Regex>, with: &mut dyn FnMut(&[u8]) -> Option<String>| {
            let Some(pattern) = pattern else { return };
            out = pattern
                .replace_all(&out, |found: &Captures<'_>| {
                    let old = found.get(0).map(|m| m.as_bytes()).unwrap_or_default();
                    with(old).map_or_else(|| old.to_vec(), String::into_bytes)
                })
                .into_owned();
        };
        pass(UUID.as_ref(), &mut |old| {
            let n = number(&mut table.ids, old.to_ascii_lowercase());
            // One that is already another's stays.
            (!old.starts_with(b"00000000-0000-4000-8000-")).then(|| format!("00000000-0000-4000-8000-{n:012}"))
        });
        pass(self.names.as_ref(), &mut |old| {
            Some(format!("host-{}", number(&mut table.names, old.to_ascii_lowercase())))
        });
        pass(V4.as_ref(), &mut |old| {
            let ip: Ipv4Addr = std::str::from_utf8(old).ok()?.parse().ok()?;
            let n = (!is_plain_v4(ip)).then(|| number(&mut table.v4, ip))?;
            Some(format!("198.{}.{}.{}", 18 + (n >> 16 & 1), n >> 8 & 255, n & 255))
        });
        pass(V6.as_ref(), &mut |old| {
            let ip: Ipv6Addr = std::str::from_utf8(old).ok()?.parse().ok()?;
            let plain = ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.segments().starts_with(&[0x2001, 0xdb8]);
            let mapped = ip.to_ipv4_mapped().is_some();
            let n = (!plain && !mapped).then(|| number(&mut table.v6, ip))?;
            Some(format!("2001:db8::{n:x}"))
        });
        out
    }

    /// As [`Mask::apply`] for text.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.apply(text.as_bytes())).into_owned()
    }
}

/// Addresses that say nothing about anybody: loopback, unspecified, multicast, broadcast, netmasks, versions such as
/// 8.2302.0.0 that only look like one, and those that stand for others already.
fn is_plain_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || a == 255 || a == 0 || (a == 198 && (b & 254) == 18)
}

/// The number of a thing, the next one where it is new.
fn number<K: Ord>(table: &mut BTreeMap<K, usize>, key: K) -> usize {
    let next = table.len() + 1;
    *table.entry(key).or_insert(next)
}
