//! Labels of files in SELinux: what the policy has for their place (matchpathcon(8), restorecon(8)).

use anyhow::Result;

use super::{ask, must};
use crate::host::Host;

/// Has the file the label of its place?
pub fn is_set(host: &Host, path: &str) -> Result<bool> {
    Ok(ask(host, &["matchpathcon", "-V", path])?.is_some_and(|output| output.ok()))
}

pub fn set(host: &Host, path: &str) -> Result<()> {
    must(host, &["restorecon", path])?;
    Ok(())
}

/// `had`: the type it had before.
pub fn unset(host: &Host, path: &str, had: &str) -> Result<()> {
    must(host, &["chcon", "-t", had, path])?;
    Ok(())
}
