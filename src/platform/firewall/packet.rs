//! The packet that is asked about. Everything of it is known but the other side's address, which is a whole set, and its
//! port, which is one of the ephemeral ones.

use std::net::IpAddr;

use super::model::{Key, Values};
use super::span::{Span, number, ones, width};

/// Ports that senders send from. Some devices send from 514 itself; rules rarely ask.
const EPHEMERAL: (u128, u128) = (1024, 65535);

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Which packet of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The first one, coming in.
    First,
    /// Coming in later on the same connection.
    Later,
    /// A piece, not the first, of a datagram that is too large for one packet: it has no ports.
    Piece,
    /// Our answer, going out. Address sets are then those of the receiver.
    Answer,
}

/// A packet to a local port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub moment: Moment,
    /// Protocol number, [`TCP`] or [`UDP`].
    pub proto: u8,
    /// Our address.
    pub local: IpAddr,
    /// Our port.
    pub port: u16,
    /// Name of the interface it comes in by; `lo` for what the machine sends to itself.
    pub interface: String,
    /// Addresses of the machine: what is sent from one of them was not sent by a device.
    pub own: Vec<IpAddr>,
    /// User and group of the sending process, where that is one of this machine.
    pub sender: Option<(u32, u32)>,
}

impl Packet {
    pub fn v6(&self) -> bool {
        self.local.is_ipv6()
    }
    pub fn loopback(&self) -> bool {
        self.interface == "lo"
    }

    /// Every address that a device can have: no loopback, multicast or reserved ones, and none of our own.
    pub fn senders(&self) -> Span {
        if self.loopback() {
            return Span::one(number(self.local));
        }
        let own = self.own.iter().filter(|a| a.is_ipv6() == self.v6()).map(|a| (number(*a), number(*a)));
        let usable = if self.v6() {
            // Global, unique local and link-local unicast.
            [("2000::", 3), ("fc00::", 7), ("fe80::", 10)].map(|(a, len)| prefix(a, len))
        } else {
            let all = Span::range(1 << 24, (224 << 24) - 1);
            [all.minus(&prefix("127.0.0.0", 8)), Span::empty(), Span::empty()]
        };
        usable.iter().fold(Span::empty(), |a, b| a.union(b)).minus(&Span::of(own))
    }
}

fn prefix(addr: &str, len: u8) -> Span {
    addr.parse().map(|a| Span::prefix(a, len)).unwrap_or_default()
}

/// What rules and the kernel change of a packet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub tracked: Tracked,
    /// `None`: not known.
    pub mark: Option<u32>,
    /// The connection's mark; `None`: not known.
    pub ct_mark: Option<u32>,
    /// Its destination was changed, to this port.
    pub redirected: Option<u16>,
    /// It is at a hook of the way out, where it has no incoming interface.
    pub going_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// Connection tracking has not seen it yet.
    NotYet,
    Yes,
    /// A rule took it out of connection tracking.
    No,
}

/// Bits of a connection's state in the kernel's `ct state`.
pub mod ct {
    pub const INVALID: u128 = 1;
    pub const ESTABLISHED: u128 = 2;
    pub const RELATED: u128 = 4;
    pub const NEW: u128 = 8;
    pub const UNTRACKED: u128 = 64;
    /// iptables has this among the states; nftables in the status, with the next number.
    pub const DNAT: u128 = 256;
    pub const SNAT: u128 = 512;
    pub const STATUS_DNAT: u128 = 32;
}

/// What is known of one value of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(u128),
    /// Any of these, with nothing to tell which.
    Among(Span),
    Name(String),
    /// The other side's address.
    Peer,
    /// The packet has no such thing: it fits no test on it.
    Absent,
    Unknown(String),
}

impl Packet {
    pub fn value(&self, key: &Key, state: &State) -> Value {
        let reply = self.moment == Moment::Answer;
        let port = state.redirected.unwrap_or(self.port);
        let is_tcp_or_udp = |p: &Option<u8>| p.is_none_or(|p| p == self.proto);
        match key {
            Key::Saddr { v6 } | Key::Daddr { v6 } if *v6 != self.v6() => Value::Absent,
            Key::Saddr { .. } if !reply && self.loopback() => Value::Number(number(self.local)),
            Key::Saddr { .. } => {
                if reply {
                    Value::Number(number(self.local))
                } else {
                    Value::Peer
                }
            }
            Key::Daddr { .. } => {
                if reply {
                    Value::Peer
                } else {
                    Value::Number(number(self.local))
                }
            }
            Key::Sport(p) | Key::Dport(p) if !is_tcp_or_udp(p) || self.moment == Moment::Piece => Value::Absent,
            Key::Sport(_) if reply => Value::Number(port.into()),
            Key::Dport(_) if !reply => Value::Number(port.into()),
            Key::Sport(_) | Key::Dport(_) => Value::Among(Span::range(EPHEMERAL.0, EPHEMERAL.1)),
            Key::Proto(Some(v6)) if *v6 != self.v6() => Value::Absent,
            Key::Proto(_) => Value::Number(self.proto.into()),
            Key::NfProto => Value::Number(if self.v6() { 10 } else { 2 }),
            Key::EtherType => Value::Number(if self.v6() { 0x86dd } else { 0x0800 }),
            Key::Iif => match state.going_out {
                true => Value::Name(String::new()),
                false => Value::Name(self.interface.clone()),
            },
            Key::Oif => match state.going_out {
                true => Value::Name(self.interface.clone()),
                false => Value::Name(String::new()),
            },
            Key::CtState => Value::Number(
                dnat(state)
                    | match (state.tracked, self.moment) {
                        (Tracked::No, _) => ct::UNTRACKED,
                        (Tracked::NotYet, _) => ct::INVALID,
                        (Tracked::Yes, Moment::First | Moment::Piece) => ct::NEW,
                        (Tracked::Yes, _) => ct::ESTABLISHED,
                    },
            ),
            Key::CtMark => match state.ct_mark {
                Some(mark) => Value::Number(mark.into()),
                None => Value::Unknown("the connection's mark".into()),
            },
            Key::CtStatus if self.moment != Moment::First => Value::Unknown("the connection's status".into()),
            Key::CtStatus => Value::Number(if state.redirected.is_some() { ct::STATUS_DNAT } else { 0 }),
            Key::CtDirection => Value::Number(u128::from(reply)),
            Key::Mark => match state.mark {
                Some(mark) => Value::Number(mark.into()),
                None => Value::Unknown("a mark set by another rule".into()),
            },
            Key::TcpFlags if self.proto != TCP => Value::Absent,
            Key::TcpFlags => Value::Number(match self.moment {
                Moment::First | Moment::Piece => 0x02,
                Moment::Later => 0x10,
                Moment::Answer => 0x12,
            }),
            // More pieces follow; this one starts behind 1480 bytes, counted in eights.
            Key::Fragment if self.moment == Moment::Piece => Value::Number(0x2000 | (1480 / 8)),
            Key::Fragment => Value::Number(0),
            Key::PacketType => Value::Number(0),
            // The receiver's address is local, or is reached by a route; so is the sender's.
            Key::AddrType { source } => match (*source == reply) || self.loopback() {
                true => Value::Number(2),
                false => Value::Number(1),
            },
            Key::WayBack => Value::Number(1),
            Key::Uid | Key::Gid => match (self.sender, state.going_out) {
                (Some((uid, _)), true) if *key == Key::Uid => Value::Number(uid.into()),
                (Some((_, gid)), true) => Value::Number(gid.into()),
                (None, true) => Value::Unknown("the user of the sending process".into()),
                (_, false) => Value::Absent,
            },
            Key::Masked(key, mask) => match self.value(key, state) {
                Value::Number(n) => Value::Number(n & mask),
                Value::Among(_) => Value::Unknown("bits of a port".into()),
                other => other,
            },
        }
    }
}

/// The bit that iptables has among the states of a connection whose destination was changed.
fn dnat(state: &State) -> u128 {
    if state.redirected.is_some() { ct::DNAT } else { 0 }
}

/// The values as they are before `mask` is laid over an address: those that a masked address fits.
pub fn unmasked(values: &Values, mask: u128, v6: bool) -> Option<Values> {
    let host = ones(width(v6)) & !mask;
    // Only a mask as networks have it: ones, then zeros.
    if host & host.wrapping_add(1) != 0 {
        return None;
    }
    let mut ranges = Vec::new();
    for &(low, high) in values.numbers.ranges() {
        // A value with bits outside of the mask fits nothing; a range of masked values is one of whole networks.
        let first = low.checked_add(host).map(|n| n & !host);
        if let Some(first) = first.filter(|f| *f <= high) {
            ranges.push((first, (high & !host) | host));
        }
    }
    Some(Values { numbers: Span::of(ranges), ..values.clone() })
}
