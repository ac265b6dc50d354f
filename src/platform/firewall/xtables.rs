//! `iptables-save` and `ip6tables-save` as the model; the same text is what iptables-persistent and iptables-services
//! keep on the disk.

use std::collections::BTreeMap;

use super::ipset::IpSet;
use super::model::{Base, Chain, Engine, Family, Hook, Rule, Ruleset, Table};
use super::xt_rule;

/// Reads tables into `rules`, without those that are there already.
pub fn parse(text: &[u8], family: Family, engine: Engine, sets: &BTreeMap<String, IpSet>, rules: &mut Ruleset) {
    let text = String::from_utf8_lossy(text);
    let mut table: Option<Table> = None;
    for line in text.lines().map(str::trim) {
        match line.chars().next() {
            Some('*') => {
                rules.tables.extend(table.take());
                let name = line.trim_start_matches('*').to_owned();
                table = Some(Table { engine, family, name, chains: BTreeMap::new() });
            }
            Some(':') => {
                let Some(table) = &mut table else { continue };
                let mut words = line.trim_start_matches(':').split_whitespace();
                let (Some(name), policy) = (words.next(), words.next().unwrap_or("-")) else { continue };
                let base = (policy != "-").then(|| base(&table.name, name, policy)).flatten();
                table.chains.insert(name.to_owned(), Chain { name: name.to_owned(), base, rules: Vec::new() });
            }
            Some('-' | '[') => {
                let Some(table) = &mut table else { continue };
                if let Some((chain, rule)) = rule(line, family, sets, table)
                    && let Some(chain) = table.chains.get_mut(&chain)
                {
                    chain.rules.push(rule);
                }
            }
            _ => {}
        }
    }
    rules.tables.extend(table);
}

/// Where a built-in chain of a table hangs: the priorities are fixed (`netfilter_ipv4.h`).
fn base(table: &str, chain: &str, policy: &str) -> Option<Base> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let priority = match (table, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", Hook::Prerouting | Hook::Output) => -100,
        ("nat", _) => 100,
        ("security", _) => 50,
        _ => 0,
    };
    Some(Base { hook, priority, nat: table == "nat", accept: policy != "DROP", devices: Vec::new() })
}

fn rule(line: &str, family: Family, sets: &BTreeMap<String, IpSet>, table: &Table) -> Option<(String, Rule)> {
    let words = words(line);
    let mut words: &[String] = &words;
    // Counters: `[12:3456] -A INPUT …`.
    if words.first()?.starts_with('[') {
        words = words.get(1..)?;
    }
    let [append, chain, rest @ ..] = words else { return None };
    if append != "-A" {
        return None;
    }
    let (steps, comment) = xt_rule::steps(rest, family, sets, table);
    let text = line.get(line.find("-A")?..)?.to_owned();
    Some((chain.clone(), Rule { steps, text, handle: None, comment }))
}

/// Words as a shell would see them: `"` quotes and `\` escapes.
pub fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut open, mut any) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                open = !open;
                any = true;
            }
            '\\' if open => word.extend(chars.next()),
            c if c.is_whitespace() && !open => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}
