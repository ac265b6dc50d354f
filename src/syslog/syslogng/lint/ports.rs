//! Two listeners of the daemon itself on one port.

use crate::syslog::syslogng::effective::{Effective, Family, ListenerAt};
use crate::syslog::syslogng::problem::{Problem, Topic};

/// Streams exclude each other as soon as their addresses overlap, IPv6 wildcards cover IPv4; the daemon does not start.
/// Datagram sockets may share a port: the more special address gets its datagrams, and of two equal ones the last.
pub(super) fn conflicts(config: &Effective, found: &mut Vec<Problem>) {
    let open: Vec<ListenerAt<'_>> = config.listeners().into_iter().filter(|l| l.used).collect();
    for (i, one) in open.iter().enumerate() {
        for two in &open[i + 1..] {
            if let Some(problem) = conflict(one, two) {
                found.push(problem);
            }
        }
    }
}

fn conflict(one: &ListenerAt<'_>, two: &ListenerAt<'_>) -> Option<Problem> {
    let (a, b) = (one.listener, two.listener);
    let same_port = match (a.port_number(), b.port_number()) {
        (Some(x), Some(y)) => x == y,
        _ => a.port == b.port,
    };
    if !same_port || a.transport.is_stream() != b.transport.is_stream() {
        return None;
    }
    let equal = a.address == b.address && a.family == b.family;
    let (proto, port, first) = (if a.transport.is_stream() { "TCP" } else { "UDP" }, &b.port, &one.driver.at);
    if a.transport.is_stream() {
        let overlap = equal
            || a.address.is_none() && covers(a.family, b.family, b.address.is_none())
            || b.address.is_none() && covers(b.family, a.family, a.address.is_none());
        let text =
            format!("{proto} port {port} is taken already by the listener at {first}; the daemon does not start");
        return overlap.then(|| Problem::error(Topic::ListenerTwice, &two.driver.at, text));
    }
    let named = |l: &ListenerAt<'_>| l.driver.persist_name.clone();
    match equal {
        true if named(one) == named(two) => {
            let text = format!("UDP port {port} has a listener already at {first}; the daemon does not start");
            Some(Problem::error(Topic::ListenerTwice, &two.driver.at, text))
        }
        true => {
            let text = format!("UDP port {port} has a listener already at {first}; only one of the two gets datagrams");
            Some(Problem::error(Topic::ListenerTwice, &two.driver.at, text))
        }
        false if a.family == b.family => {
            let text = format!("UDP port {port} has a listener also at {first}; each address belongs to one of them");
            Some(Problem::note(Topic::ListenerTwice, &two.driver.at, text))
        }
        false => None,
    }
}

/// Does a wildcard of `family` take what `other` wants?
fn covers(family: Family, other: Family, other_is_wildcard: bool) -> bool {
    family == other || family == Family::V6 || other_is_wildcard
}
