//! Network interfaces of this process's network namespace and their addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use serde::{Deserialize, Serialize};

use super::Root;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// Switched on by the administrator.
    pub up: bool,
    pub loopback: bool,
    pub addresses: Vec<IpAddr>,
    /// A cable is in it, and the other end is there. Facts of older bundles do not say; it is taken to be so.
    #[serde(default = "yes")]
    pub running: bool,
    /// Length of the network's part of each IPv4 address, in bits.
    #[serde(default)]
    pub prefixes: Vec<(Ipv4Addr, u32)>,
    /// Largest packet in bytes, where the kernel tells.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// `arp_ignore` of sysctl as it is in force: which questions for this machine's addresses get no answer.
    #[serde(default)]
    pub arp_ignore: Option<u32>,
}

fn yes() -> bool {
    true
}

impl Default for Interface {
    fn default() -> Self {
        let (up, loopback, running) = (true, false, true);
        let (addresses, prefixes, mtu, arp_ignore) = (Vec::new(), Vec::new(), None, None);
        Interface { name: String::new(), up, loopback, addresses, running, prefixes, mtu, arp_ignore }
    }
}

impl Interface {
    /// With what only files of the kernel tell.
    #[must_use]
    pub fn with_settings(self, root: &Root) -> Interface {
        let number = |path: String| -> Option<u32> {
            let text = root.read_opt(Path::new(&path)).ok()??;
            std::str::from_utf8(&text).ok()?.trim().parse().ok()
        };
        let arp = |name: &str| number(format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore"));
        // The larger one of both is in force (ip-sysctl.rst).
        let arp_ignore = arp("all").max(arp(&self.name));
        Interface { mtu: number(format!("/sys/class/net/{}/mtu", self.name)), arp_ignore, ..self }
    }
}

/// All interfaces, by name.
///
/// # Errors
/// The kernel's own, in words.
pub fn interfaces() -> Result<Vec<Interface>, String> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for one in getifaddrs().map_err(|e| format!("the interfaces cannot be listed: {e}"))? {
        let entry = found.entry(one.interface_name.clone()).or_insert_with(|| Interface {
            name: one.interface_name.clone(),
            up: one.flags.contains(InterfaceFlags::IFF_UP),
            loopback: one.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            running: one.flags.contains(InterfaceFlags::IFF_RUNNING),
            ..Interface::default()
        });
        let address = one.address.as_ref().and_then(|a| {
            let v4 = a.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
            v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
        });
        let v4 = |a: &SockaddrStorage| a.as_sockaddr_in().map(|a| a.ip());
        let prefix = one.address.as_ref().and_then(v4).zip(one.netmask.as_ref().and_then(v4));
        entry.prefixes.extend(prefix.map(|(ip, mask)| (ip, u32::from(mask).leading_ones())));
        entry.addresses.extend(address);
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_among_them() {
        let all = super::interfaces().unwrap();
        let lo = all.iter().find(|i| i.name == "lo").unwrap();
        assert!(lo.loopback);
        assert!(!lo.up || lo.prefixes.contains(&([127, 0, 0, 1].into(), 8)), "{lo:?}");
    }
}
