//! Two listeners of the daemon itself on one port.

use crate::syslog::Location;
use crate::syslog::syslogng::effective::{Effective, Family, ListenerAt};
use crate::syslog::syslogng::problem::{Problem, Topic};

/// Two drivers that want the same port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Places in the list of [`Effective::listeners`].
    pub first: usize,
    pub second: usize,
    /// Of the second.
    pub at: Location,
    pub text: String,
    /// The daemon does not start like this.
    pub refused: bool,
    /// Each has an address of its own, so both get events.
    apart: bool,
}

/// Streams exclude each other as soon as their addresses overlap, IPv6 wildcards cover IPv4; the daemon does not start.
/// Datagram sockets may share a port: the more special address gets its datagrams, and of two equal ones the last.
pub fn clashes(config: &Effective) -> Vec<Clash> {
    let mut found = all(config);
    found.retain(|c| !c.apart);
    found
}

pub(super) fn conflicts(config: &Effective, found: &mut Vec<Problem>) {
    for clash in all(config) {
        found.push(match clash.apart {
            true => Problem::note(Topic::ListenerTwice, &clash.at, clash.text),
            false => Problem::error(Topic::ListenerTwice, &clash.at, clash.text),
        });
    }
}

fn all(config: &Effective) -> Vec<Clash> {
    let open: Vec<Numbered<'_>> = config.listeners().into_iter().enumerate().filter(|(_, l)| l.used).collect();
    let pairs = open.iter().enumerate().flat_map(|(i, one)| open.iter().skip(i + 1).map(move |two| (one, two)));
    pairs.filter_map(|(one, two)| clash(one, two)).collect()
}

type Numbered<'a> = (usize, ListenerAt<'a>);

fn clash((number, one): &Numbered<'_>, (next, two): &Numbered<'_>) -> Option<Clash> {
    let (a, b) = (one.listener, two.listener);
    let same_port = match (a.port_number(), b.port_number()) {
        (Some(x), Some(y)) => x == y,
        _ => a.port == b.port,
    };
    if !same_port || a.transport.is_stream() != b.transport.is_stream() {
        return None;
    }
    let equal = a.address == b.address && a.family == b.family;
    let (port, first) = (&b.port, &one.driver.at);
    let clash = |text: String, refused: bool, apart: bool| {
        Some(Clash { first: *number, second: *next, at: two.driver.at.clone(), text, refused, apart })
    };
    let named = |l: &ListenerAt<'_>| l.driver.persist_name.clone();
    if a.shares_port && b.shares_port && named(one) != named(two) {
        return None;
    }
    if a.transport.is_stream() {
        let overlap = equal
            || a.address.is_none() && covers(a.family, b.family, b.address.is_none())
            || b.address.is_none() && covers(b.family, a.family, a.address.is_none());
        if !overlap {
            return None;
        }
        let text = format!("TCP port {port} is taken already by the listener at {first}; the daemon does not start");
        return clash(text, true, false);
    }
    let text = |rest: &str| format!("UDP port {port} has a listener {rest}");
    match equal {
        true if named(one) == named(two) => {
            clash(text(&format!("already at {first}; the daemon does not start")), true, false)
        }
        true => clash(text(&format!("already at {first}; only one of the two gets datagrams")), false, false),
        false if a.family == b.family => {
            clash(text(&format!("also at {first}; each address belongs to one of them")), false, true)
        }
        false => None,
    }
}

/// Does a wildcard of `family` take what `other` wants?
fn covers(family: Family, other: Family, other_is_wildcard: bool) -> bool {
    family == other || family == Family::V6 || other_is_wildcard
}
