//! The tools' own listings of their rules: which ones are needed, as they were recorded, and what they say together.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Engine, Family, Ruleset, Table};
use super::{ipset, nft, xtables};
use crate::host::{Cmd, Host, RunError};

const LIMIT: Duration = Duration::from_secs(5);

/// What a command printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// As a person would type it.
    pub command: String,
    /// What it printed, or why that is not known.
    pub output: Result<String, String>,
    /// There is no such program.
    #[serde(default)]
    pub missing: bool,
    /// The program works on nftables, as its version says.
    #[serde(default)]
    pub on_nftables: bool,
}

/// Everything that the rules of this machine are read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listings {
    pub nft: Option<Listing>,
    /// `iptables-save` and its kin, IPv4 first.
    pub iptables: Vec<Listing>,
    pub ip6tables: Vec<Listing>,
    pub ipset: Option<Listing>,
    /// The kernel has nftables in it.
    pub nf_tables: bool,
    /// Names of the old kind of tables in the kernel.
    pub legacy: Vec<String>,
    pub legacy6: Vec<String>,
}

impl Listings {
    /// Asks the tools that are there. Changes nothing.
    pub fn gather(host: &Host) -> Self {
        let list = |argv: &[&str]| run(host, argv);
        let (nft, v4, v6) = thread::scope(|scope| {
            let nft = scope.spawn(|| list(&["nft", "-j", "list", "ruleset"]));
            let v6 = scope.spawn(|| saved(host, "ip6tables-save"));
            let v4 = saved(host, "iptables-save");
            (join(nft), v4, join(v6))
        });
        let names = |file: &str| {
            let text = host.root.read_opt(Path::new(file)).ok().flatten().unwrap_or_default();
            String::from_utf8_lossy(&text).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut found = Listings {
            nft: Some(nft),
            iptables: vec![v4],
            ip6tables: vec![v6],
            ipset: None,
            nf_tables: matches!(host.root.stat(Path::new("/sys/module/nf_tables")), Ok(Some(_))),
            legacy: names("/proc/net/ip_tables_names"),
            legacy6: names("/proc/net/ip6_tables_names"),
        };
        // The plain names lead to one kind of tables; the other kind may have rules as well.
        for (listings, legacy, prefix) in
            [(&mut found.iptables, &found.legacy, "iptables"), (&mut found.ip6tables, &found.legacy6, "ip6tables")]
        {
            let on_nft = listings.first().is_some_and(|l| engine(l) == Engine::IptablesNft);
            if on_nft && !legacy.is_empty() {
                listings.push(list(&[&format!("{prefix}-legacy-save")]));
            } else if !on_nft && found.nf_tables {
                let other = list(&[&format!("{prefix}-nft-save")]);
                listings.extend(Some(other).filter(|l| !l.missing));
            }
        }
        let wants_sets = |l: &Listing| l.output.as_ref().is_ok_and(|text| text.contains("--match-set"));
        if found.iptables.iter().chain(&found.ip6tables).any(wants_sets) {
            found.ipset = Some(list(&["ipset", "save"]));
        }
        found
    }

    /// What they say together.
    pub fn read(&self) -> Ruleset {
        let mut rules = Ruleset::default();
        if let Some(listing) = &self.nft {
            match &listing.output {
                Ok(text) => {
                    if let Err(why) = nft::parse(text.as_bytes(), &mut rules) {
                        rules.gaps.push(why);
                    }
                }
                Err(_) if listing.missing && !self.nf_tables => {}
                Err(why) => rules.gaps.push(format!("nftables rules: {why}")),
            }
        }
        let sets = self.ipset.as_ref().and_then(|l| l.output.as_ref().ok());
        let sets = sets.map(|text| ipset::parse(text.as_bytes())).unwrap_or_default();
        for (listings, family, legacy) in
            [(&self.iptables, Family::Ip, &self.legacy), (&self.ip6tables, Family::Ip6, &self.legacy6)]
        {
            for listing in listings {
                match &listing.output {
                    Ok(text) => {
                        let mut tables = Ruleset::default();
                        xtables::parse(text.as_bytes(), family, engine(listing), &sets, &mut tables);
                        tables.tables.into_iter().for_each(|table| take(&mut rules, table));
                    }
                    // Without the program there is nobody who could have made such rules, unless the kernel has them.
                    Err(_) if listing.missing && legacy.is_empty() => {}
                    Err(why) => rules.gaps.push(format!("{}: {why}", listing.command)),
                }
            }
        }
        rules
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run(host: &Host, argv: &[&str]) -> Listing {
    let cmd = Cmd::new(argv).limit(LIMIT);
    let result = host.runner.run(&cmd);
    let missing = matches!(result, Err(RunError::NotFound(_)));
    let output = match result {
        Ok(out) if out.ok() => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        Ok(out) => Err(format!("{} failed: {}", cmd.display(), out.last_words(2).replace('\n', "; "))),
        Err(e) => Err(e.to_string()),
    };
    Listing { command: cmd.display(), output, missing, on_nftables: false }
}

/// What a plain name lists, which leads to either kind of tables. Up to 1.8.7 (Debian 11, Ubuntu 22.04) only the version
/// says to which.
fn saved(host: &Host, program: &str) -> Listing {
    let listing = run(host, &[program]);
    if head(&listing).is_empty() || engine(&listing) == Engine::IptablesNft {
        return listing;
    }
    let version = run(host, &[program, "--version"]).output.unwrap_or_default();
    Listing { on_nftables: version.contains("(nf_tables)"), ..listing }
}

fn head(listing: &Listing) -> &str {
    listing.output.as_ref().ok().and_then(|text| text.lines().next()).unwrap_or_default()
}

/// Whose tables the listing shows, as its first line or the program's version says; one that shows nothing is of the kind
/// its name says.
fn engine(listing: &Listing) -> Engine {
    let head = head(listing);
    let nft = listing.on_nftables || head.contains("(nf_tables)") || listing.command.contains("-nft-");
    // An empty listing is one of either; that the kernel knows no old tables makes it harmless.
    if nft || (head.is_empty() && !listing.command.contains("-legacy-")) {
        Engine::IptablesNft
    } else {
        Engine::IptablesLegacy
    }
}

/// A table that iptables made is in the listing of `nft` as well, where its extensions cannot be read. The one of
/// iptables is taken, unless it shows fewer rules: then somebody has added what iptables cannot tell.
fn take(rules: &mut Ruleset, table: Table) {
    if table.engine == Engine::IptablesLegacy {
        rules.tables.push(table);
        return;
    }
    let same = |t: &Table| t.engine == Engine::Nft && t.family == table.family && t.name == table.name;
    let Some(native) = rules.tables.iter().position(same) else {
        rules.tables.push(table);
        return;
    };
    let count = |t: &Table| t.chains.values().map(|c| c.rules.len()).sum::<usize>();
    if let Some(old) = rules.tables.get_mut(native)
        && count(&table) >= count(old)
    {
        *old = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iptables 1.8.7 and nft 1.0.2 (Ubuntu 22.04) show one table: what nft cannot read counts only once it is known
    /// whose table it is.
    #[test]
    fn a_listing_whose_head_does_not_say_whose_tables_it_shows() {
        let nft = r#"{"nftables": [{"table": {"family": "ip", "name": "filter", "handle": 1}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
            {"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "handle": 2, "expr": [{"xt": null}, {"drop": null}]}}]}"#;
        let text = "# Generated by iptables-save v1.8.7 on Wed Nov 25 02:53:24 2026\n*filter\n:INPUT ACCEPT [0:0]\n\
                    -A INPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n";
        let listing = |command: &str, output: &str, on_nftables| Listing {
            command: command.into(),
            output: Ok(output.into()),
            missing: false,
            on_nftables,
        };
        let tables = |on_nftables| {
            let found = Listings {
                nft: Some(listing("nft -j list ruleset", nft, false)),
                iptables: vec![listing("iptables-save", text, on_nftables)],
                nf_tables: true,
                ..Listings::default()
            };
            found.read().tables.iter().map(|t| t.engine).collect::<Vec<_>>()
        };
        assert_eq!(tables(true), [Engine::IptablesNft]);
        assert_eq!(tables(false), [Engine::Nft, Engine::IptablesLegacy]);
    }
}
