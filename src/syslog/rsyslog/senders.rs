//! `$AllowedSender`: whose events the daemon takes at all. It throws the others away, with a line in its own log at most,
//! and nothing on the network side shows it. Holds for imudp and imtcp, for each with lists of its own.

use std::net::IpAddr;

use super::effective::{Effective, Transport};
use crate::host::subnet::Subnet;
use crate::syslog::{Location, Text};

/// Who is listed for a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Senders {
    pub networks: Vec<Subnet>,
    /// Host names and patterns, which only the daemon's name server can tell.
    pub names: Vec<String>,
    pub at: Vec<Location>,
}

impl Senders {
    /// May this address send? `None`: that hangs on its name.
    pub fn admits(&self, address: IpAddr) -> Option<bool> {
        match self.networks.iter().any(|n| n.contains(address)) {
            true => Some(true),
            false if self.names.is_empty() => Some(false),
            false => None,
        }
    }

    /// Is everybody admitted who has an IPv4 address?
    pub fn admits_all(&self) -> bool {
        self.networks.iter().any(|n| n.address.is_ipv4() && n.bits == 0)
    }

    /// As written, in short.
    pub fn display(&self) -> String {
        let networks = self.networks.iter().map(ToString::to_string);
        networks.chain(self.names.iter().cloned()).collect::<Vec<_>>().join(", ")
    }
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
            let mut words = text.split([',', ' ', '\t']).filter(|w| !w.is_empty());
            let word = if transport == Transport::Udp { "UDP" } else { "TCP" };
            if !words.next().is_some_and(|w| w.eq_ignore_ascii_case(word)) {
                continue;
            }
            found.at.push(setting.at.clone());
            for word in words {
                match Subnet::parse(word) {
                    Some(net) => found.networks.push(net),
                    None => found.names.push(word.to_owned()),
                }
            }
        }
        (!found.at.is_empty()).then_some(found)
    }
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
