//! Senders next to this box. A list of unwanted addresses is in order, and most are; one that has this box's own network on
//! it, or a machine that is there, keeps devices away.

use std::net::IpAddr;

use super::facts::FirewallFacts;
use crate::platform::firewall::answer::Answer;
use crate::platform::firewall::port::Way;
use crate::platform::firewall::span::{Span, number};

/// Networks of IPv4 that are looked at: smaller ones are cables between two, larger ones no network with neighbours.
const PREFIXES: std::ops::RangeInclusive<u32> = 8..=30;
/// What every network of IPv6 has.
const PREFIX_6: u8 = 64;
/// Neighbours named.
const MOST: usize = 3;

/// Senders next to this box that `answer` shuts out of `way`.
pub struct Shut {
    pub who: Span,
    /// `192.0.2.0/24, the network of eth0,`; `192.0.2.2, which is on the network of eth0,`
    pub text: String,
}

/// `None`: nobody there is shut out, as far as it is known who is there.
pub fn shut_out(facts: &FirewallFacts, way: &Way, answer: &Answer) -> Option<Shut> {
    let own = |span: Span| {
        let addresses = facts.interfaces.iter().flat_map(|i| &i.addresses);
        addresses.filter(|a| a.is_ipv6() == way.local.is_ipv6()).fold(span, |s, a| s.minus(&Span::one(number(*a))))
    };
    let blocked = answer.blocked.iter().fold(Span::empty(), |all, b| all.union(&b.who));
    if let Some(network) = network(facts, way) {
        let lost = own(network.intersect(&blocked));
        if lost.size() > network.size() / 2 {
            let words = network.words(way.local.is_ipv6(), 1).concat();
            return Some(Shut { who: lost, text: format!("{words}, the network of {},", way.interface) });
        }
    }
    let there = facts.neighbours.iter().filter(|(interface, _)| *interface == way.interface);
    let there = there.map(|(_, ip)| number(IpAddr::V4(*ip))).filter(|_| way.local.is_ipv4());
    let lost = there.filter(|n| blocked.contains(*n)).fold(Span::empty(), |all, n| all.union(&Span::one(n)));
    let lost = own(lost);
    if lost.is_empty() {
        return None;
    }
    let words = super::words::list(&lost.words(false, MOST));
    Some(Shut { who: lost, text: format!("{words} on the network of {}", way.interface) })
}

fn network(facts: &FirewallFacts, way: &Way) -> Option<Span> {
    match way.local {
        IpAddr::V6(_) => Some(Span::prefix(way.local, PREFIX_6)),
        IpAddr::V4(local) => {
            let all = facts.interfaces.iter().filter(|i| i.name == way.interface).flat_map(|i| &i.prefixes);
            let bits =
                all.filter(|(ip, bits)| *ip == local && PREFIXES.contains(bits)).map(|(_, bits)| *bits).next()?;
            Some(Span::prefix(way.local, u8::try_from(bits).ok()?))
        }
    }
}
