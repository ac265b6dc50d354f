//! `nft -j list ruleset` (libnftables-json(5)) as the model. What it does not know becomes a test or a verdict that is not
//! known, so that later versions of nft never make a wrong answer.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::model::{Base, Chain, Engine, Family, Hook, Rule, Ruleset, Table};
use super::nft_rule;
use super::nft_text;

/// Sets and maps of the ruleset, with their elements as JSON has them: what they mean depends on what they are compared
/// with.
pub struct Sets<'a>(BTreeMap<(&'a str, &'a str, &'a str), &'a Json>);

impl<'a> Sets<'a> {
    /// Elements of a named set; `None`: there is no such set.
    pub fn elements(&self, family: Family, table: &str, name: &str) -> Option<&'a [Json]> {
        let set = self.0.get(&(family.word(), table, name))?;
        Some(set.get("elem").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Reads the listing into `rules`.
///
/// # Errors
/// It is not what `nft -j` prints.
pub fn parse(text: &[u8], rules: &mut Ruleset) -> Result<(), String> {
    let json: Json = serde_json::from_slice(text).map_err(|e| format!("the output of nft -j is no JSON: {e}"))?;
    let items = json.get("nftables").and_then(Json::as_array).ok_or("the output of nft -j has no ruleset in it")?;
    let mut sets = BTreeMap::new();
    for set in items.iter().filter_map(|i| i.get("set").or_else(|| i.get("map"))) {
        if let (Some(family), Some(table), Some(name)) = (word(set, "family"), word(set, "table"), word(set, "name")) {
            sets.insert((family, table, name), set);
        }
    }
    let sets = Sets(sets);
    let start = rules.tables.len();
    for item in items {
        if let Some(table) = item.get("table") {
            if let Some((family, name)) = family(table).zip(word(table, "name")) {
                // A table that sleeps takes no part.
                let dormant = table.get("flags").is_some_and(|f| has_word(f, "dormant"));
                if !dormant {
                    let name = name.to_owned();
                    rules.tables.push(Table { engine: Engine::Nft, family, name, chains: BTreeMap::new() });
                }
            }
        } else if let Some(item) = item.get("chain") {
            let (Some(table), Some(name)) = (table_of(rules, start, item), word(item, "name")) else { continue };
            let chain = Chain { name: name.to_owned(), base: base(item), rules: Vec::new() };
            table.chains.insert(name.to_owned(), chain);
        } else if let Some(item) = item.get("rule") {
            let (Some(table), Some(name)) = (table_of(rules, start, item), word(item, "chain")) else { continue };
            let family = table.family;
            let expr = item.get("expr").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            let steps = nft_rule::steps(expr, &nft_rule::Context { family, table: &table.name, sets: &sets });
            let comment = word(item, "comment").map(str::to_owned);
            let handle = item.get("handle").and_then(Json::as_u64);
            if let Some(chain) = table.chains.get_mut(name) {
                chain.rules.push(Rule { steps, text: nft_text::rule(expr), handle, comment });
            }
        }
    }
    Ok(())
}

fn table_of<'r>(rules: &'r mut Ruleset, start: usize, item: &Json) -> Option<&'r mut Table> {
    let (family, name) = (family(item)?, word(item, "table")?);
    rules.tables.iter_mut().skip(start).find(|t| t.family == family && t.name == name)
}

fn family(item: &Json) -> Option<Family> {
    Family::parse(word(item, "family")?)
}

fn word<'a>(item: &'a Json, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Json::as_str)
}

/// Is it this word, or a list with this word?
fn has_word(json: &Json, word: &str) -> bool {
    json.as_str() == Some(word) || json.as_array().is_some_and(|a| a.iter().any(|w| w.as_str() == Some(word)))
}

fn base(chain: &Json) -> Option<Base> {
    let hook = match word(chain, "hook")? {
        "ingress" => Hook::Ingress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        _ => Hook::Egress,
    };
    let priority = chain.get("prio").and_then(Json::as_i64).and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    let devices = match chain.get("dev") {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let accept = word(chain, "policy") != Some("drop");
    Some(Base { hook, priority, nat: word(chain, "type") == Some("nat"), accept, devices })
}
