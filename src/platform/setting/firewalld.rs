//! Ports and rich rules of a firewalld zone (firewall-cmd(1)). With firewalld stopped its lasting configuration is still
//! changed, by the offline command.

use anyhow::{Result, bail};

use super::{Opening, ask, must};
use crate::host::{Exit, Host};

/// `firewall-cmd --state` of a stopped firewalld.
const NOT_RUNNING: Exit = Exit::Code(252);

/// As `firewall-cmd` takes it and `--list-all` shows it: kind and value.
fn item(opening: &Opening) -> (&'static str, String) {
    let Opening { protocol, port, source } = opening;
    match source {
        None => ("port", format!("{port}/{protocol}")),
        Some(source) => {
            let family = if source.contains(':') { "ipv6" } else { "ipv4" };
            let rule = format!(
                "rule family=\"{family}\" source address=\"{source}\" port port=\"{port}\" protocol=\"{protocol}\" accept"
            );
            ("rich-rule", rule)
        }
    }
}

/// The zone as firewalld shows it; `None`: not running (for what lasts: not installed).
fn zone_text(host: &Host, zone: &str, permanent: bool) -> Result<Option<String>> {
    let zone = format!("--zone={zone}");
    let mut argv = vec!["firewall-cmd"];
    if permanent {
        argv.push("--permanent");
    }
    argv.extend([zone.as_str(), "--list-all"]);
    let Some(mut output) = ask(host, &argv)? else { return Ok(None) };
    if output.exit == NOT_RUNNING {
        if !permanent {
            return Ok(None);
        }
        let Some(offline) = ask(host, &["firewall-offline-cmd", &zone, "--list-all"])? else { return Ok(None) };
        output = offline;
    }
    if !output.ok() {
        bail!("`{}` failed: {}", argv.join(" "), output.last_words(3));
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Is the item in the listing of a zone?
pub(super) fn has(zone: &str, opening: &Opening) -> bool {
    let (kind, value) = item(opening);
    match kind {
        "port" => zone
            .lines()
            .filter_map(|l| l.trim().strip_prefix("ports:"))
            .any(|ports| ports.split_whitespace().any(|p| p == value)),
        _ => zone.lines().any(|l| l.trim() == value),
    }
}

const SERVICE: &str = "org.fedoraproject.FirewallD1";
const OBJECT: &str = "/org/fedoraproject/FirewallD1";

/// Asks the running firewalld over D-Bus, which takes a tenth of the time of `firewall-cmd`. `None`: no answer.
fn query(host: &Host, zone: &str, permanent: bool, opening: &Opening) -> Option<bool> {
    let call = |object: &str, interface: &str, rest: &[&str]| {
        let interface = format!("{SERVICE}.{interface}");
        let argv: Vec<&str> =
            ["busctl", "call", SERVICE, object, &interface].into_iter().chain(rest.iter().copied()).collect();
        let output = ask(host, &argv).ok().flatten().filter(|o| o.ok())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (kind, value) = item(opening);
    let port = opening.port.to_string();
    let item: Vec<&str> = match kind {
        "port" => vec![&port, &opening.protocol],
        _ => vec![&value],
    };
    let method = if kind == "port" { "queryPort" } else { "queryRichRule" };
    let answer = if permanent {
        let found = call(&format!("{OBJECT}/config"), "config", &["getZoneByName", "s", zone])?;
        let object = found.strip_prefix("o \"")?.strip_suffix('"')?.to_owned();
        let types = "s".repeat(item.len());
        let words: Vec<&str> = [method, &types].into_iter().chain(item).collect();
        call(&object, "config.zone", &words)?
    } else {
        let types = "s".repeat(item.len() + 1);
        let words: Vec<&str> = [method, &types, zone].into_iter().chain(item).collect();
        call(OBJECT, "zone", &words)?
    };
    match answer.as_str() {
        "b true" => Some(true),
        "b false" => Some(false),
        _ => None,
    }
}

pub fn is_set(host: &Host, zone: &str, permanent: bool, opening: &Opening) -> Result<bool> {
    if let Some(answer) = query(host, zone, permanent, opening) {
        return Ok(answer);
    }
    Ok(zone_text(host, zone, permanent)?.is_some_and(|text| has(&text, opening)))
}

/// `verb`: `add` or `remove`.
pub fn change(host: &Host, zone: &str, permanent: bool, opening: &Opening, verb: &str) -> Result<()> {
    let zone = format!("--zone={zone}");
    let (kind, value) = item(opening);
    let item = format!("--{verb}-{kind}={value}");
    let mut argv = vec!["firewall-cmd"];
    if permanent {
        argv.push("--permanent");
    }
    argv.extend([zone.as_str(), item.as_str()]);
    let Some(output) = ask(host, &argv)? else { bail!("firewall-cmd is not installed") };
    if output.ok() {
        return Ok(());
    }
    if output.exit == NOT_RUNNING && permanent {
        must(host, &["firewall-offline-cmd", &zone, &item])?;
        return Ok(());
    }
    bail!("`{}` failed: {}", argv.join(" "), output.last_words(3))
}
