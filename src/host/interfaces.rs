//! Network interfaces of this process's network namespace and their addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// Switched on by the administrator.
    pub up: bool,
    pub loopback: bool,
    pub addresses: Vec<IpAddr>,
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
            addresses: Vec::new(),
        });
        let address = one.address.as_ref().and_then(|a| {
            let v4 = a.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
            v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
        });
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
    }
}
