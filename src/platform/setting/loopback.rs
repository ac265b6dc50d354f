//! One rule at the top of a chain that accepts what the machine sends to itself. Found again by its comment.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use super::{ask, must};
use crate::host::{Exit, Host};

const COMMENT: &str = "cefctl: loopback";

/// A chain that packets over `lo` pass: of nftables (`family` and `table` set) or of a program of iptables.
pub struct Chain<'a> {
    /// Empty for iptables.
    pub family: &'a str,
    pub table: &'a str,
    /// `nft`, `iptables`, `ip6tables`, or one of their `-legacy` forms.
    pub program: &'a str,
    pub name: &'a str,
    /// Of packets on their way out.
    pub outward: bool,
}

impl Chain<'_> {
    fn handles(&self, host: &Host) -> Result<Vec<u64>> {
        let argv = ["nft", "-j", "list", "chain", self.family, self.table, self.name];
        let Some(output) = ask(host, &argv)? else { return Ok(Vec::new()) };
        if !output.ok() {
            let said = output.last_words(3);
            if said.contains("No such file or directory") {
                return Ok(Vec::new());
            }
            bail!("cannot list the chain {} of the nftables table {} {}: {said}", self.name, self.family, self.table);
        }
        let json: Json = serde_json::from_slice(&output.stdout).context("the output of nft -j is no JSON")?;
        let items = json.get("nftables").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let ours = |rule: &&Json| rule.get("comment").and_then(Json::as_str) == Some(COMMENT);
        let rules = items.iter().filter_map(|i| i.get("rule"));
        Ok(rules.filter(ours).filter_map(|r| r.get("handle")?.as_u64()).collect())
    }

    fn iptables<'b>(&'b self, verb: &'b str) -> Vec<&'b str> {
        let key = if self.outward { "-o" } else { "-i" };
        let rule = [key, "lo", "-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"];
        [self.program, "-w", "5", verb, self.name].into_iter().chain(rule).collect()
    }

    fn is_nft(&self) -> bool {
        self.program == "nft"
    }

    pub fn is_set(&self, host: &Host) -> Result<bool> {
        if self.is_nft() {
            return Ok(!self.handles(host)?.is_empty());
        }
        let Some(output) = ask(host, &self.iptables("-C"))? else { return Ok(false) };
        match output.exit {
            Exit::Code(0) => Ok(true),
            // There is none, or no such chain.
            Exit::Code(1 | 2) => Ok(false),
            _ => bail!("{} does not answer: {}", self.program, output.last_words(2)),
        }
    }

    pub fn set(&self, host: &Host) -> Result<()> {
        if self.is_nft() {
            let key = if self.outward { "oif" } else { "iif" };
            let rule = format!("{key} lo accept comment \"{COMMENT}\"");
            must(host, &["nft", "insert", "rule", self.family, self.table, self.name, &rule])?;
        } else {
            must(host, &self.iptables("-I"))?;
        }
        Ok(())
    }

    pub fn unset(&self, host: &Host) -> Result<()> {
        if !self.is_nft() {
            must(host, &self.iptables("-D"))?;
            return Ok(());
        }
        for handle in self.handles(host)? {
            let handle = handle.to_string();
            must(host, &["nft", "delete", "rule", self.family, self.table, self.name, "handle", &handle])?;
        }
        Ok(())
    }
}
