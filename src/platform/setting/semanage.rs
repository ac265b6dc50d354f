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
    let port = port.to_string();
    let change = |how: &str| must(host, &["semanage", "port", how, "-t", label, "-p", protocol, &port]);
    match change("-a") {
        // One that the policy itself names: newer tools change it by themselves. `-d` gives it back to the policy.
        Err(e) if format!("{e:#}").contains("already defined") => change("-m")?,
        made => made?,
    };
    Ok(())
}

pub fn unset(host: &Host, protocol: &str, port: u16) -> Result<()> {
    must(host, &["semanage", "port", "-d", "-p", protocol, &port.to_string()])?;
    Ok(())
}
