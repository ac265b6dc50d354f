//! Which addresses a listener asks for. IPv4 and IPv6 are always told apart, since each of a listener's two sockets can
//! fail alone (facts 5.4).

use std::net::IpAddr;

use crate::syslog::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn word(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    /// An address of somebody else, standing for all of them (documentation ranges).
    pub fn sample(self) -> IpAddr {
        match self {
            Family::V4 => IpAddr::from([192, 0, 2, 1]),
            Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        }
    }

    pub fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// Addresses a listener asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Every address, a socket for each family.
    Any,
    /// Every address of one family. An IPv6 socket takes IPv4 too unless the kernel is told otherwise.
    AnyOf(Family),
    Ip(IpAddr),
    /// A name, or something that is no address: the daemon resolves it, we do not.
    Name,
}

impl Asked {
    /// `any`: what is asked for where no address stands.
    pub fn of(address: Option<&Text>, any: Asked) -> Asked {
        let Some(address) = address.map(|a| a.to_str_lossy().into_owned()) else { return any };
        match address.trim_matches(['[', ']']) {
            "" | "*" => any,
            text => text.parse().map_or(Asked::Name, Asked::Ip),
        }
    }

    /// Does it ask for senders from outside over this family?
    pub fn covers(self, family: Family) -> bool {
        match self {
            Asked::Any => true,
            Asked::AnyOf(own) => own == family,
            Asked::Ip(ip) => Family::of(ip) == family && !ip.is_loopback(),
            Asked::Name => false,
        }
    }

    pub fn is_loopback(self) -> bool {
        matches!(self, Asked::Ip(ip) if ip.is_loopback())
    }

    /// Every address of a family at least.
    pub fn is_wide(self) -> bool {
        matches!(self, Asked::Any | Asked::AnyOf(_))
    }
}
