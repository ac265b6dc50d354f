//! `$AllowedSender`: whose events the daemon takes at all. It throws the others away, with a line in its own log at most,
//! and nothing on the network side shows it. Holds for imudp and imtcp, for each with lists of its own.

use std::net::IpAddr;

use super::effective::{Effective, Transport};
use crate::syslog::{Location, Text};

/// Who is listed for a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Senders {
    /// Networks: address and number of bits.
    pub networks: Vec<(IpAddr, u8)>,
    /// Host names and patterns, which only the daemon's name server can tell.
    pub names: Vec<String>,
    pub at: Vec<Location>,
}

impl Senders {
    /// Networks in a list of words, names left aside.
    pub fn of(list: &str) -> Self {
        let mut found = Senders { networks: Vec::new(), names: Vec::new(), at: Vec::new() };
        found.add(list);
        found
    }

    fn add(&mut self, list: &str) {
        for word in list.split([',', ' ', '\t']).filter(|w| !w.is_empty()) {
            match network(word) {
                Some(net) => self.networks.push(net),
                None => self.names.push(word.to_owned()),
            }
        }
    }

    /// May this address send? `None`: that hangs on its name.
    pub fn admits(&self, address: IpAddr) -> Option<bool> {
        let address = address.to_canonical();
        let within = |(net, bits): &(IpAddr, u8)| match (net, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                prefix(net.to_bits().into(), 32, *bits) == prefix(ip.to_bits().into(), 32, *bits)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => prefix(net.to_bits(), 128, *bits) == prefix(ip.to_bits(), 128, *bits),
            _ => false,
        };
        match self.networks.iter().any(within) {
            true => Some(true),
            false if self.names.is_empty() => Some(false),
            false => None,
        }
    }

    /// Is everybody admitted who has an IPv4 address?
    pub fn admits_all(&self) -> bool {
        self.networks.iter().any(|(net, bits)| net.is_ipv4() && *bits == 0)
    }

    /// As written, in short.
    pub fn display(&self) -> String {
        let net = |(ip, bits): &(IpAddr, u8)| match (ip, bits) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => ip.to_string(),
            _ => format!("{ip}/{bits}"),
        };
        self.networks.iter().map(net).chain(self.names.iter().cloned()).collect::<Vec<_>>().join(", ")
    }
}

/// The first `bits` of a number of `width` bits.
fn prefix(number: u128, width: u32, bits: u8) -> u128 {
    number.checked_shr(width.saturating_sub(bits.into())).unwrap_or(0)
}

impl Effective {
    /// Whose events a listener's module takes; `None`: everybody's.
    pub fn allowed_senders(&self, module: &Text) -> Option<Senders> {
        let transport = match module.to_str_lossy().as_ref() {
            "imudp" => Transport::Udp,
            "imtcp" => Transport::Tcp,
            _ => return None,
        };
        let mut found = Senders { networks: Vec::new(), names: Vec::new(), at: Vec::new() };
        for setting in self.settings.iter().filter(|s| s.name.is("allowedsender")) {
            let text = setting.value.to_str_lossy();
            let (first, rest) = text.trim().split_once([',', ' ', '\t']).unwrap_or((text.trim(), ""));
            let word = if transport == Transport::Udp { "UDP" } else { "TCP" };
            if first.eq_ignore_ascii_case(word) {
                found.at.push(setting.at.clone());
                found.add(rest);
            }
        }
        (!found.at.is_empty()).then_some(found)
    }
}

/// `192.0.2.0/24`, `[2001:db8::]/32`, `192.0.2.7`
fn network(word: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = word.split_once('/').map_or((word, None), |(a, b)| (a, Some(b)));
    let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |b| b.trim_end_matches(']').parse().ok())?;
    (bits <= most).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::syslog::source::MapSource;

    fn senders(text: &str, module: &str) -> Option<Senders> {
        let source = MapSource::new().with("/etc/rsyslog.conf", text);
        Effective::load(Path::new("/etc/rsyslog.conf"), &source).allowed_senders(&Text::from(module))
    }

    #[test]
    fn lists_add_up_for_each_transport() {
        let text = "$AllowedSender UDP, 127.0.0.1, 10.9.0.0/16\n$AllowedSender TCP, [2001:db8::]/32 *.example.net\n\
                    $AllowedSender udp,192.0.2.7\n";
        let udp = senders(text, "imudp").unwrap();
        let admits = |ip: &str| udp.admits(ip.parse().unwrap());
        assert_eq!(
            (admits("10.9.200.3"), admits("192.0.2.7"), admits("::ffff:10.9.1.1")),
            (Some(true), Some(true), Some(true))
        );
        assert_eq!((admits("10.10.0.1"), admits("192.0.2.8"), admits("::1")), (Some(false), Some(false), Some(false)));
        assert_eq!(udp.display(), "127.0.0.1, 10.9.0.0/16, 192.0.2.7");
        assert!(!udp.admits_all() && udp.at.len() == 2);
        let tcp = senders(text, "imtcp").unwrap();
        assert_eq!(tcp.admits("2001:db8:1::9".parse().unwrap()), Some(true));
        assert_eq!(tcp.admits("10.9.0.1".parse().unwrap()), None);
        assert_eq!(senders(text, "imptcp"), None);
        assert_eq!(senders("*.* /var/log/syslog\n", "imudp"), None);
        assert!(senders("$AllowedSender UDP, 0.0.0.0/0\n", "imudp").unwrap().admits_all());
    }
}
