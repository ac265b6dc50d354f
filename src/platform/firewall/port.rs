//! The questions about one port of this machine: from each network that devices can come from, and over loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::answer::{Answer, ask};
use super::model::Ruleset;
use super::packet::{Moment, Packet};
use super::span::{Span, number};
use crate::host::interfaces::Interface;

/// Interfaces of containers and virtual machines: no device sends through them.
const INTERNAL: &[&str] = &[
    "docker",
    "br-",
    "virbr",
    "veth",
    "cni",
    "flannel",
    "cali",
    "lxcbr",
    "lxdbr",
    "podman",
    "vnet",
    "tap",
    "kube-",
    "ve-",
    "vb-",
    "dummy",
    "ifb",
    "nodelocaldns",
];

/// One way in: an interface and the machine's address on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub interface: String,
    pub local: IpAddr,
}

/// Tunnels that the kernel makes by itself and leaves empty.
const TUNNELS: &[&str] = &["tunl", "sit", "gre", "erspan", "ip6tnl", "ip6gre", "ip_vti", "ip6_vti", "teql"];

/// What devices could come by, were it in order: interfaces of the network, up or not.
pub fn doors(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    let internal = |name: &str| INTERNAL.iter().chain(TUNNELS).any(|start| name.starts_with(start));
    interfaces.iter().filter(move |i| !i.loopback && !internal(&i.name))
}

/// The ways devices can come, one for each interface and IP version.
pub fn ways(interfaces: &[Interface]) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for interface in interfaces.iter().filter(|i| i.up && !i.loopback) {
        if INTERNAL.iter().any(|start| interface.name.starts_with(start)) {
            continue;
        }
        for v6 in [false, true] {
            let usable = |a: &&IpAddr| a.is_ipv6() == v6 && !is_link_local(a);
            if let Some(local) = interface.addresses.iter().find(usable) {
                ways.push(Way { interface: interface.name.clone(), local: *local });
            }
        }
    }
    ways
}

fn is_link_local(addr: &IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Who gets in by `way` to the port. `senders`: only these are of interest.
pub fn inbound(
    rules: &Ruleset,
    interfaces: &[Interface],
    way: &Way,
    proto: u8,
    port: u16,
    senders: Option<&Span>,
) -> Answer {
    let own = interfaces.iter().flat_map(|i| i.addresses.iter().copied()).collect();
    let packet = Packet {
        moment: Moment::First,
        proto,
        local: way.local,
        port,
        interface: way.interface.clone(),
        own,
        sender: None,
    };
    ask(rules, &packet, senders)
}

/// May a process of this user and group connect to the port over loopback?
pub fn loopback(rules: &Ruleset, v6: bool, proto: u8, port: u16, user: Option<(u32, u32)>) -> Answer {
    let local: IpAddr = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let packet =
        Packet { moment: Moment::First, proto, local, port, interface: "lo".into(), own: vec![local], sender: user };
    ask(rules, &packet, None)
}

/// The senders of these addresses and networks that are of one IP version.
pub fn only(networks: &[(IpAddr, u8)], v6: bool) -> Span {
    let of_family = networks.iter().filter(|(addr, _)| addr.is_ipv6() == v6);
    of_family.fold(Span::empty(), |all, (addr, len)| all.union(&Span::prefix(*addr, *len)))
}

/// `10.0.0.0/8` or `10.0.0.7`.
///
/// # Errors
/// What is wrong with it.
pub fn network(word: &str) -> Result<(IpAddr, u8), String> {
    let (addr, len) = word.split_once('/').map_or((word, None), |(a, l)| (a, Some(l)));
    let addr: IpAddr = addr.parse().map_err(|_| format!("{addr:?} is no IP address"))?;
    let most = if addr.is_ipv6() { 128 } else { 32 };
    let len = match len {
        None => most,
        Some(len) => len.parse().ok().filter(|n| *n <= most).ok_or(format!("/{len} is no prefix length"))?,
    };
    let first = Span::prefix(addr, len).ranges().first().map(|(low, _)| *low);
    if first != Some(number(addr)) {
        return Err(format!("{word} has bits set beyond its length"));
    }
    Ok((addr, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Interface { name: name.into(), up: true, loopback: name == "lo", addresses, ..Interface::default() }
    }

    #[test]
    fn devices_come_by_real_interfaces_with_an_address() {
        let all = [
            interface("lo", &["127.0.0.1", "::1"]),
            interface("eth0", &["192.0.2.1", "fe80::1", "2001:db8::1"]),
            interface("docker0", &["172.17.0.1"]),
            interface("eth1", &["fe80::2"]),
            Interface { up: false, ..interface("eth2", &["192.0.2.9"]) },
        ];
        let found: Vec<String> = ways(&all).iter().map(|w| format!("{} {}", w.interface, w.local)).collect();
        assert_eq!(found, ["eth0 192.0.2.1", "eth0 2001:db8::1"]);
    }

    #[test]
    fn networks_are_read_or_refused() {
        assert_eq!(network("10.0.0.0/8"), Ok(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(network("2001:db8::1"), Ok(("2001:db8::1".parse().unwrap(), 128)));
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "x", "", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }
}
