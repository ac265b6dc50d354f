//! Our TLS input: which driver, and whether it can stand beside what the configuration has.

use std::path::Path;

use super::{Found, Refusal, Wish};
use crate::syslog::rsyslog::render::{PTCP_SESSIONS, TLS_AT_INPUT, TcpModule, TlsDriver, TlsFiles};

/// What makes one certificate count for the whole daemon, with the file of ours for it.
const GLOBALS: [&str; 3] =
    ["defaultnetstreamdrivercafile", "defaultnetstreamdrivercertfile", "defaultnetstreamdriverkeyfile"];

/// What a TLS input of ours needs.
///
/// # Errors
/// No driver is installed, or a version that cannot have both kinds of input is configured otherwise.
pub fn files(found: &Found<'_>, wish: &Wish) -> Result<Option<TlsFiles>, Refusal> {
    let Some(tls) = &wish.tls else { return Ok(None) };
    let Some(driver) = driver(found) else {
        return Err(Refusal::new("rsyslog has no driver for TLS on this box", found.tls_hint.clone()));
    };
    let mut files = TlsFiles {
        driver,
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        authority: tls.authority.clone(),
        are_global: false,
    };
    if found.version < TLS_AT_INPUT {
        files.are_global = beside_the_rest(found, &files)?;
    }
    Ok(Some(files))
}

/// The one that the daemon uses already, else the one most boxes have.
fn driver(found: &Found<'_>) -> Option<TlsDriver> {
    let default = found.config.setting("defaultnetstreamdriver");
    let used = found.tls_drivers.iter().find(|d| default.is_some_and(|s| s.value.is(d.name())));
    used.or(found.tls_drivers.first()).copied()
}

/// In old versions the whole daemon has one certificate, and all inputs of imtcp TLS or none. Does the configuration name
/// our very files already?
fn beside_the_rest(found: &Found<'_>, files: &TlsFiles) -> Result<bool, Refusal> {
    let version = format!("rsyslog {}.{}", found.version.0, found.version.1);
    if let Some(module) = found.config.module("imtcp") {
        return Err(Refusal::new(
            format!(
                "{version} has TLS for all inputs of imtcp or for none, and imtcp is in use already ({})",
                module.at
            ),
            "if that is a TLS input, name its port with --tls-port; else move its inputs to imptcp, or have version \
             8.2108 or later",
        ));
    }
    let ours: [&Path; 3] = [&files.authority, &files.certificate, &files.key];
    let set: Vec<_> =
        GLOBALS.iter().zip(ours).filter_map(|(name, own)| Some((found.config.setting(name)?, own))).collect();
    let other = set.iter().find(|(s, own)| Path::new(s.value.to_str_lossy().as_ref()) != *own);
    match other {
        // Whoever gives a certificate of his own need not name an authority.
        Some((s, _)) if s.name != GLOBALS[0] => Err(Refusal::new(
            format!("{version} has one certificate for the whole daemon, and {} sets it already", s.at),
            format!("give the same pair with --tls-cert and --tls-key ({})", s.value),
        )),
        _ if set.is_empty() => Ok(false),
        _ if set.iter().filter(|(s, _)| s.name != GLOBALS[0]).count() == 2 => Ok(true),
        _ => Err(Refusal::new(
            format!(
                "{version} has one certificate for the whole daemon, and only a part of it is set ({})",
                set[0].0.at
            ),
            "set certificate, key and authority, or none of them",
        )),
    }
}

/// Plain TCP beside an imtcp that has TLS for all its inputs.
///
/// # Errors
/// The module for it is not installed.
pub fn need_imptcp(found: &Found<'_>) -> Result<TcpModule, Refusal> {
    match found.imptcp && found.version >= PTCP_SESSIONS {
        true => Ok(TcpModule::Imptcp),
        false => Err(Refusal::new(
            "all inputs of imtcp get TLS in this version, and imptcp, which could take plain TCP, is not installed or too \
             old",
            "leave tcp out of --protocol",
        )),
    }
}

/// What comes with imptcp where nobody has switched lookups off.
pub fn names_are_looked_up(found: &Found<'_>, names_off: bool) -> Option<String> {
    let note = "plain TCP is taken in by imptcp, as all of imtcp has TLS; it looks up the name of each new sender: a name \
                server that does not answer makes senders wait, unless you set global(net.enableDNS=\"off\")";
    (!names_off && !super::is_switched(found.config, "net.enableDNS", false)).then(|| note.to_owned())
}
