//! One rule in a chain of nftables that is the administrator's. It is found again by its comment, not by its place.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use super::{Opening, ask, must};
use crate::host::Host;

/// The rule without its comment: `ip saddr 10.0.0.0/8 udp dport 514 accept`.
pub fn rule(opening: &Opening) -> String {
    let Opening { protocol, port, source } = opening;
    let from = source.as_ref().map(|s| format!("{} saddr {s} ", if s.contains(':') { "ip6" } else { "ip" }));
    format!("{}{protocol} dport {port} accept", from.unwrap_or_default())
}

/// Handles of our rules in the chain (family, table, chain); none if there is no such chain.
pub fn handles(host: &Host, chain: &[&String; 3], opening: &Opening) -> Result<Vec<u64>> {
    let [family, table, name] = chain;
    let Some(output) = ask(host, &["nft", "-j", "list", "chain", family, table, name])? else { return Ok(Vec::new()) };
    if !output.ok() {
        let said = output.last_words(3);
        if said.contains("No such file or directory") {
            return Ok(Vec::new());
        }
        bail!("cannot list the chain {name} of the nftables table {family} {table}: {said}");
    }
    let json: Json = serde_json::from_slice(&output.stdout).context("the output of nft -j is no JSON")?;
    let items = json.get("nftables").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let comment = opening.comment();
    let ours = |rule: &&Json| rule.get("comment").and_then(Json::as_str) == Some(comment.as_str());
    let rules = items.iter().filter_map(|i| i.get("rule"));
    Ok(rules.filter(ours).filter_map(|r| r.get("handle")?.as_u64()).collect())
}

pub fn set(host: &Host, chain: &[&String; 3], opening: &Opening, before: Option<u64>) -> Result<()> {
    let [family, table, name] = chain;
    let text = format!("{} comment \"{}\"", rule(opening), opening.comment());
    let place = before.map(|handle| handle.to_string());
    let mut argv = vec!["nft", if place.is_some() { "insert" } else { "add" }, "rule", family, table, name];
    if let Some(place) = &place {
        argv.extend(["position", place]);
    }
    argv.push(&text);
    must(host, &argv)?;
    Ok(())
}

pub fn unset(host: &Host, chain: &[&String; 3], opening: &Opening) -> Result<()> {
    let [family, table, name] = chain;
    for handle in handles(host, chain, opening)? {
        must(host, &["nft", "delete", "rule", family, table, name, "handle", &handle.to_string()])?;
    }
    Ok(())
}
