//! Rules of ufw (ufw(8)): in force at once and lasting. What is set is read from ufw's own files, where each rule is
//! kept as a tuple.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Opening, must};
use crate::host::Host;

/// IPv4 and IPv6 rules; the older place beside the newer one.
const FILES: [(&str, &str); 2] =
    [("/etc/ufw/user.rules", "/etc/ufw/user6.rules"), ("/lib/ufw/user.rules", "/lib/ufw/user6.rules")];

/// `### tuple ### allow udp 514 0.0.0.0/0 any 10.0.0.0/8 in`
fn tuple(opening: &Opening, v6: bool) -> String {
    let any = if v6 { "::/0" } else { "0.0.0.0/0" };
    let Opening { protocol, port, source } = opening;
    format!("### tuple ### allow {protocol} {port} {any} any {} in", source.as_deref().unwrap_or(any))
}

pub fn is_set(host: &Host, opening: &Opening) -> Result<bool> {
    let read = |file: &str| -> Result<String> {
        let text = host.root.read_opt(Path::new(file)).with_context(|| format!("cannot read {file}"))?;
        Ok(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
    };
    for (v4, v6) in FILES {
        let (v4, v6) = (read(v4)?, read(v6)?);
        let has = |text: &str, v6: bool| {
            let wanted = tuple(opening, v6);
            // A comment or a log flag may follow.
            text.lines().any(|l| l.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
        };
        // Where IPv6 is switched off in ufw there is no rule for it.
        if has(&v4, false) && opening.is_v6() != Some(true) || opening.is_v6() == Some(true) && has(&v6, true) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn words(opening: &Opening) -> Vec<String> {
    let Opening { protocol, port, source } = opening;
    match source {
        None => vec!["allow".into(), format!("{port}/{protocol}")],
        Some(source) => ["allow", "proto", protocol, "from", source, "to", "any", "port"]
            .into_iter()
            .map(str::to_owned)
            .chain([port.to_string()])
            .collect(),
    }
}

fn call(host: &Host, before: &[&str], opening: &Opening) -> Result<()> {
    let words = words(opening);
    let argv: Vec<&str> = ["ufw"].iter().chain(before).copied().chain(words.iter().map(String::as_str)).collect();
    must(host, &argv)?;
    Ok(())
}

pub fn set(host: &Host, opening: &Opening, first: bool) -> Result<()> {
    call(host, if first { &["prepend"] } else { &[] }, opening)
}

pub fn unset(host: &Host, opening: &Opening) -> Result<()> {
    call(host, &["--force", "delete"], opening)
}
