//! Labels of ports in SELinux's policy (semanage-port(8)).

use anyhow::{Result, bail};

use super::{ask, must};
use crate::host::Host;
use crate::platform::selinux;

pub fn is_set(host: &Host, label: &str, protocol: &str, port: u16) -> Result<bool> {
    let Some(output) = ask(host, &["semanage", "port", "-l"])? else { return Ok(false) };
    if !output.ok() {
        bail!("`semanage port -l` failed: {}", output.last_words(3));
    }
    Ok(selinux::ports(&output.stdout).iter().any(|p| p.label == label && p.protocol == protocol && p.has(port)))
}

pub fn set(host: &Host, label: &str, protocol: &str, port: u16) -> Result<()> {
    must(host, &["semanage", "port", "-a", "-t", label, "-p", protocol, &port.to_string()])?;
    Ok(())
}

pub fn unset(host: &Host, protocol: &str, port: u16) -> Result<()> {
    must(host, &["semanage", "port", "-d", "-p", protocol, &port.to_string()])?;
    Ok(())
}
