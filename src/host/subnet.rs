//! Networks as they are written in settings: an address, and how many of its bits count.

use std::fmt;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    pub bits: u8,
}

impl Subnet {
    /// `None`: more bits than the address has.
    pub fn new(address: IpAddr, bits: u8) -> Option<Subnet> {
        (u32::from(bits) <= width(address)).then_some(Subnet { address, bits })
    }

    /// `192.0.2.0/24`, `[2001:db8::]/32`, `192.0.2.7`. Bits beyond the length may be set.
    pub fn parse(word: &str) -> Option<Subnet> {
        let (address, bits) = word.split_once('/').map_or((word, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        Subnet::new(address, bits.map_or(Some(all), |b| b.trim_end_matches(']').parse().ok())?)
    }

    /// An IPv4 address may be written as an IPv6 one (`::ffff:192.0.2.7`).
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let prefix = |ip: IpAddr| number(ip).checked_shr(width(ip) - u32::from(self.bits)).unwrap_or(0);
        self.address.is_ipv4() == address.is_ipv4() && prefix(self.address) == prefix(address)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::from(self.bits) == width(self.address) {
            true => self.address.fmt(f),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_contains() {
        let has = |net: &str, ip: &str| Subnet::parse(net).unwrap().contains(ip.parse().unwrap());
        for (net, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.1.2.3/8", "::ffff:10.9.9.9", "11.0.0.1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("[2001:db8::]/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            assert_eq!((has(net, inside), has(net, outside)), (true, false), "{net}");
        }
        for bad in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/a"] {
            assert_eq!(Subnet::parse(bad), None, "{bad}");
        }
        let shown = |net: &str| Subnet::parse(net).unwrap().to_string();
        assert_eq!((shown("10.0.0.0/8"), shown("[::1]/128")), ("10.0.0.0/8".to_owned(), "::1".to_owned()));
    }
}
