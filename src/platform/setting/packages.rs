//! Packages as a setting of the machine: there or not, by its package manager.

use anyhow::Result;

use crate::host::Host;
use crate::platform::packages::{Packages, Presence};

/// Is the wanted one there, if only in part? A box without a package manager has none.
pub fn is_set(host: &Host, names: &[String]) -> Result<bool> {
    let (Some(name), Ok(packages)) = (names.first(), Packages::detect(host)) else { return Ok(false) };
    Ok(matches!(packages.presence(name)?, Presence::Partly | Presence::Installed))
}

pub fn noun(names: &[String]) -> String {
    match names {
        [] => "no package".to_owned(),
        [one] => format!("the package {one}"),
        [one, rest @ ..] => format!("the package {one}, and with it {}", rest.join(", ")),
    }
}
