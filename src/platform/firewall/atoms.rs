//! Words of rules as the numbers they stand for, for both languages.

use std::net::IpAddr;

use super::model::{Key, Values};
use super::packet::ct::STATUS_DNAT;
use super::span::{Span, number};

/// One value of a kind that `key` compares with; `None`: not understood.
pub fn atom(key: &Key, word: &str) -> Option<u128> {
    match key {
        Key::Saddr { v6 } | Key::Daddr { v6 } => {
            let addr: IpAddr = word.parse().ok()?;
            (addr.is_ipv6() == *v6).then(|| number(addr))
        }
        Key::Sport(_) | Key::Dport(_) => int(word).or_else(|| service(word)),
        Key::Proto(_) => int(word).or_else(|| protocol(word)),
        Key::NfProto => match word {
            "ipv4" => Some(2),
            "ipv6" => Some(10),
            _ => int(word),
        },
        Key::EtherType => match word {
            "ip" => Some(0x0800),
            "ip6" => Some(0x86dd),
            "arp" => Some(0x0806),
            "vlan" => Some(0x8100),
            _ => int(word),
        },
        Key::CtState => ct_state(word).or_else(|| int(word)),
        Key::CtStatus => match word {
            "expected" => Some(1),
            "seen-reply" => Some(2),
            "assured" => Some(4),
            "confirmed" => Some(8),
            "snat" => Some(16),
            "dnat" => Some(STATUS_DNAT),
            "dying" => Some(512),
            _ => int(word),
        },
        Key::CtDirection => match word {
            "original" => Some(0),
            "reply" => Some(1),
            _ => int(word),
        },
        Key::TcpFlags => tcp_flag(word).or_else(|| int(word)),
        Key::PacketType => match word {
            "host" | "unicast" => Some(0),
            "broadcast" => Some(1),
            "multicast" => Some(2),
            "other" => Some(3),
            _ => int(word),
        },
        Key::AddrType { .. } => addr_type(word).or_else(|| int(word)),
        Key::Uid | Key::Gid if word == "root" => Some(0),
        Key::CtMark | Key::Mark | Key::Fragment | Key::WayBack | Key::Uid | Key::Gid => int(word),
        Key::Iif | Key::Oif => None,
        Key::Masked(key, _) => atom(key, word),
    }
}

/// Decimal or, with `0x`, hexadecimal.
pub fn int(word: &str) -> Option<u128> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Is a key's value the name of an interface?
pub fn is_name(key: &Key) -> bool {
    match key {
        Key::Iif | Key::Oif => true,
        Key::Masked(key, _) => is_name(key),
        _ => false,
    }
}

/// Services whose names old tools print, as far as they can matter here.
fn service(word: &str) -> Option<u128> {
    let known = [
        ("syslog", 514),
        ("shell", 514),
        ("cmd", 514),
        ("syslog-tls", 6514),
        ("ssh", 22),
        ("http", 80),
        ("https", 443),
        ("domain", 53),
        ("ntp", 123),
        ("snmp", 161),
        ("snmp-trap", 162),
        ("snmptrap", 162),
        ("smtp", 25),
        ("bootps", 67),
        ("bootpc", 68),
        ("telnet", 23),
        ("ftp", 21),
        ("dhcpv6-client", 546),
        ("mdns", 5353),
        ("sunrpc", 111),
        ("nfs", 2049),
        ("ldap", 389),
        ("ldaps", 636),
        ("imaps", 993),
        ("pop3s", 995),
        ("ipp", 631),
        ("login", 513),
        ("rsync", 873),
        ("mysql", 3306),
        ("postgresql", 5432),
        ("zabbix-agent", 10050),
        ("netbios-ns", 137),
        ("netbios-dgm", 138),
        ("netbios-ssn", 139),
        ("microsoft-ds", 445),
        ("http-alt", 8080),
        ("webcache", 8080),
    ];
    known.iter().find(|(name, _)| *name == word).map(|(_, port)| *port)
}

pub fn protocol(word: &str) -> Option<u128> {
    let known = [
        ("ip", 0),
        ("icmp", 1),
        ("igmp", 2),
        ("ipencap", 4),
        ("ipip", 4),
        ("tcp", 6),
        ("udp", 17),
        ("dccp", 33),
        ("ipv6", 41),
        ("gre", 47),
        ("esp", 50),
        ("ipsec-esp", 50),
        ("ah", 51),
        ("ipsec-ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("pim", 103),
        ("vrrp", 112),
        ("l2tp", 115),
        ("sctp", 132),
        ("udplite", 136),
        ("mobility-header", 135),
        ("ipv6-mh", 135),
        ("comp", 108),
        ("ipcomp", 108),
        ("ipv6-nonxt", 59),
        ("mh", 135),
    ];
    known.iter().find(|(name, _)| *name == word).map(|(_, n)| *n)
}

pub fn ct_state(word: &str) -> Option<u128> {
    use super::packet::ct::*;
    match word.to_ascii_lowercase().as_str() {
        "new" => Some(NEW),
        "established" => Some(ESTABLISHED),
        "related" => Some(RELATED),
        "invalid" => Some(INVALID),
        "untracked" => Some(UNTRACKED),
        "dnat" => Some(DNAT),
        "snat" => Some(SNAT),
        _ => None,
    }
}

pub fn tcp_flag(word: &str) -> Option<u128> {
    match word.to_ascii_lowercase().as_str() {
        "fin" => Some(0x01),
        "syn" => Some(0x02),
        "rst" => Some(0x04),
        "psh" => Some(0x08),
        "ack" => Some(0x10),
        "urg" => Some(0x20),
        "ecn" | "ece" => Some(0x40),
        "cwr" => Some(0x80),
        "all" => Some(0x3f),
        "none" => Some(0),
        _ => None,
    }
}

pub fn addr_type(word: &str) -> Option<u128> {
    let words =
        ["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit"];
    words.iter().position(|w| word.eq_ignore_ascii_case(w)).and_then(|n| n.try_into().ok())
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`, `10.0.0.1-10.0.0.9` of one family.
pub fn network(word: &str, v6: bool) -> Option<Span> {
    let one = |w: &str| w.parse::<IpAddr>().ok().filter(|a| a.is_ipv6() == v6);
    if let Some((low, high)) = word.split_once('-') {
        return Some(Span::range(number(one(low)?), number(one(high)?)));
    }
    let Some((addr, len)) = word.split_once('/') else { return one(word).map(|a| Span::one(number(a))) };
    let bits = super::span::width(v6);
    let len = match len.parse::<u32>() {
        Ok(len) => len,
        Err(_) => {
            let mask = number(one(len)?);
            let host = super::span::ones(bits) & !mask;
            // A mask that is no prefix is told apart by the caller.
            (host & host.wrapping_add(1) == 0).then(|| bits - host.count_ones())?
        }
    };
    (len <= bits).then(|| one(addr).map(|a| Span::prefix(a, u8::try_from(len).unwrap_or(u8::MAX))))?
}

/// Words, ranges and networks as one set; what is not understood makes the set incomplete.
pub fn values<'a>(key: &Key, words: impl IntoIterator<Item = &'a str>) -> Values {
    let mut out = Values::default();
    let mut ranges = Vec::new();
    for word in words {
        let v6 = match key {
            Key::Saddr { v6 } | Key::Daddr { v6 } => Some(*v6),
            _ => None,
        };
        let span = match v6 {
            Some(v6) => network(word, v6),
            None if is_name(key) => {
                out.names.push(word.to_owned());
                continue;
            }
            None => atom(key, word).map(Span::one).or_else(|| {
                let (low, high) = word.split_once([':', '-'])?;
                let low = if low.is_empty() { 0 } else { atom(key, low)? };
                let high = if high.is_empty() { 65535 } else { atom(key, high)? };
                Some(Span::range(low, high))
            }),
        };
        match span {
            Some(span) => ranges.extend_from_slice(span.ranges()),
            None => out.unknown = Some(format!("the value {word}")),
        }
    }
    out.numbers = Span::of(ranges);
    out
}
