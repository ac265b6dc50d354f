//! What the kernel's routing does to packets of devices, asked of the kernel itself (`ip route get`): reverse path filter,
//! rules of policy and blackholes are no firewall's, and no listing of them tells as surely what comes of one packet.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use crate::check::facts::RouteFacts;
use crate::host::interfaces::Interface;
use crate::host::{Cmd, Host};
use crate::platform::firewall::port;

/// Neighbours that are asked for, by each interface.
const SAMPLES: usize = 3;
/// Interfaces that are looked at: a router with hundreds is no collector.
const MOST: usize = 8;
/// Neighbours that are kept.
const MOST_SEEN: usize = 1024;
const ARP: &str = "/proc/net/arp";
const LIMIT: Duration = Duration::from_secs(1);

/// Asks for `source`, or for neighbours of this box on each of its networks.
pub fn gather(host: &Host, interfaces: &[Interface], source: Option<IpAddr>) -> Vec<RouteFacts> {
    let own: BTreeSet<IpAddr> = interfaces.iter().flat_map(|i| i.addresses.iter().copied()).collect();
    let seen = seen(host);
    let mut found = Vec::new();
    for way in port::ways(interfaces).into_iter().take(MOST) {
        let senders = match source {
            Some(source) if source.is_ipv6() == way.local.is_ipv6() => vec![source],
            Some(_) => Vec::new(),
            None => neighbours(interfaces, &way, &seen),
        };
        for sender in senders.into_iter().filter(|s| !own.contains(s)) {
            let (from, to) = (sender.to_string(), way.local.to_string());
            let refused = refusal(host, &["ip", "route", "get", &to, "from", &from, "iif", &way.interface]);
            let no_way_back = refusal(host, &["ip", "route", "get", &from, "from", &to]);
            found.push(RouteFacts { interface: way.interface.clone(), local: way.local, sender, refused, no_way_back });
        }
    }
    found
}

/// What the kernel answers where there is no way. Anything else that went wrong says nothing.
fn refusal(host: &Host, argv: &[&str]) -> Option<String> {
    let out = host.runner.run(&Cmd::new(argv.iter().copied()).limit(LIMIT)).ok()?;
    if out.ok() {
        return None;
    }
    told(&String::from_utf8_lossy(&out.stderr))
}

/// `RTNETLINK answers: Invalid cross-device link`
fn told(stderr: &str) -> Option<String> {
    let said = stderr.lines().find_map(|l| l.trim().strip_prefix("RTNETLINK answers: "))?;
    let known = [
        "Invalid cross-device link",
        "Network is unreachable",
        "No route to host",
        "Permission denied",
        // A blackhole.
        "Invalid argument",
    ];
    known.contains(&said).then(|| said.to_owned())
}

/// Machines of the same networks that have answered this box, with the interface they are behind.
pub fn seen(host: &Host) -> Vec<(String, Ipv4Addr)> {
    answered(&host.root.read_opt(Path::new(ARP)).ok().flatten().unwrap_or_default())
}

fn answered(arp: &[u8]) -> Vec<(String, Ipv4Addr)> {
    let text = String::from_utf8_lossy(arp);
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // 0x0: asked for, and nobody answered.
        let answered = fields.get(2).is_some_and(|flags| *flags != "0x0");
        let ip = fields.first()?.parse().ok().filter(|_| answered)?;
        Some(((*fields.get(5)?).to_owned(), ip))
    };
    text.lines().skip(1).filter_map(one).take(MOST_SEEN).collect()
}

/// Those that were seen there, and one that may be there. IPv4: what nearly all devices send by.
fn neighbours(interfaces: &[Interface], way: &port::Way, seen: &[(String, Ipv4Addr)]) -> Vec<IpAddr> {
    let IpAddr::V4(local) = way.local else { return Vec::new() };
    let here = seen.iter().filter(|(interface, _)| *interface == way.interface);
    let mut found: Vec<IpAddr> = here.map(|(_, ip)| IpAddr::V4(*ip)).take(SAMPLES).collect();
    let prefix = interfaces.iter().flat_map(|i| &i.prefixes).find(|(ip, _)| *ip == local).map(|(_, prefix)| *prefix);
    found.extend(prefix.and_then(|bits| next_to(local, bits)).map(IpAddr::V4).filter(|ip| !found.contains(ip)));
    found
}

/// An address of the same network; `None` where there is no other one.
fn next_to(local: Ipv4Addr, bits: u32) -> Option<Ipv4Addr> {
    if bits > 30 {
        return None;
    }
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    let network = u32::from(local) & mask;
    [1, 2].map(|n| Ipv4Addr::from(network + n)).into_iter().find(|ip| *ip != local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_in_the_same_network_and_another_one() {
        let of = |ip: &str, bits| next_to(ip.parse().unwrap(), bits).map(|ip| ip.to_string());
        assert_eq!(of("192.0.2.1", 24).as_deref(), Some("192.0.2.2"));
        assert_eq!(of("10.9.8.7", 8).as_deref(), Some("10.0.0.1"));
        assert_eq!(of("192.0.2.1", 32), None);
        assert_eq!(of("0.0.0.9", 0).as_deref(), Some("0.0.0.1"));
    }

    #[test]
    fn those_that_answered_are_asked_for_too() {
        let arp = b"IP address HW type Flags HW address Mask Device\n192.0.2.9 0x1 0x2 02:fc:00:00:00:05 * eth0\n\
                    192.0.2.8 0x1 0x0 00:00:00:00:00:00 * eth0\n10.0.0.1 0x1 0x2 02:fc:00:00:00:05 * eth1\n\xff\n";
        let eth0 = Interface {
            name: "eth0".into(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            prefixes: vec![("192.0.2.1".parse().unwrap(), 24)],
            ..Interface::default()
        };
        let way = port::Way { interface: "eth0".into(), local: eth0.addresses[0] };
        let all: Vec<String> = neighbours(&[eth0], &way, &answered(arp)).iter().map(ToString::to_string).collect();
        assert_eq!(all, ["192.0.2.9", "192.0.2.2"]);
    }

    #[test]
    fn only_what_the_kernel_says_of_the_way_counts() {
        assert_eq!(told("RTNETLINK answers: Invalid cross-device link\n").unwrap(), "Invalid cross-device link");
        assert_eq!(told("RTNETLINK answers: Operation not permitted\n"), None);
        assert_eq!(told("Cannot find device \"eth0\"\n"), None);
    }
}
