//! What to change so that a port opens: for each rule that is in the way, the change its keeper would make, tried on the
//! model until nothing is in the way any more. Pure.
//!
//! Only what shuts out the larger part of the wanted senders is opened: a list of unwanted addresses stays in force. The
//! new rule goes right before the one that drops.

use super::answer::{Block, Verdict};
use super::model::{Engine, Family, Key, Rule, Ruleset, Step, Test, Values, Verdict as Does};
use super::owner::{self, Owner};
use super::packet::{Moment, TCP, UDP};
use super::port::{Way, inbound, network, only};
use super::span::Span;
use super::walk::Place;
use crate::host::interfaces::Interface;
use crate::platform::setting::{Opening, Setting};

/// Rule sets in a row that may be in the way of one packet.
const MOST: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openings {
    pub settings: Vec<Setting>,
    /// What stays closed, and why.
    pub notes: Vec<String>,
}

/// The settings that open what is wanted, on a machine with these rules.
pub fn plan(rules: &Ruleset, interfaces: &[Interface], ways: &[Way], wanted: &[Opening], zone: &str) -> Openings {
    let mut rules = rules.clone();
    let mut out = Openings::default();
    for opening in wanted {
        let reachable = |way: &Way| opening.is_v6().is_none_or(|v6| v6 == way.local.is_ipv6());
        if !ways.is_empty() && !ways.iter().any(reachable) {
            out.notes.push(format!("{opening} is not opened: no interface has an address of that IP version"));
        }
        for way in ways.iter().filter(|w| opening.is_v6().is_none_or(|v6| v6 == w.local.is_ipv6())) {
            if let Err(note) = open(&mut rules, interfaces, way, opening, zone, &mut out.settings)
                && !out.notes.contains(&note)
            {
                out.notes.push(note);
            }
        }
    }
    out
}

fn open(
    rules: &mut Ruleset,
    interfaces: &[Interface],
    way: &Way,
    opening: &Opening,
    default_zone: &str,
    settings: &mut Vec<Setting>,
) -> Result<(), String> {
    let v6 = way.local.is_ipv6();
    let proto = if opening.protocol == "tcp" { TCP } else { UDP };
    let senders = senders(opening, v6)?;
    for _ in 0..MOST {
        let answer = inbound(rules, interfaces, way, proto, opening.port, senders.as_ref());
        let half = answer.asked.size() / 2;
        if answer.verdict() == Verdict::Unknown {
            let why = answer.unknown.first().map(|u| format!("{} ({})", u.1.text(), u.2.words())).unwrap_or_default();
            return Err(format!("whether {opening} is let in hangs on something that is not judged here: {why}"));
        }
        // Of what does not name the port a good deal may get in by chance; what is asked for is more.
        let Some(block) = answer.blocked.first() else { return Ok(()) };
        if block.who.size() < half {
            return Err(format!(
                "{} stay shut out of {opening} by {}",
                block.who.words(v6, 4).join(", "),
                block.place.words()
            ));
        }
        let setting = setting(rules, way, opening, block, default_zone)?;
        if !try_on(rules, &block.place, opening) {
            return Err(format!("{opening} stays closed: {}", block.place.words()));
        }
        if !settings.iter().any(|s| s.is_same(&setting)) {
            settings.push(setting);
        }
    }
    Err(format!("{opening} stays closed by {}: too many rule sets are in the way", way.interface))
}

fn senders(opening: &Opening, v6: bool) -> Result<Option<Span>, String> {
    opening.source.as_ref().map(|source| network(source).map(|n| only(&[n], v6))).transpose()
}

fn setting(
    rules: &Ruleset,
    way: &Way,
    opening: &Opening,
    block: &Block,
    default_zone: &str,
) -> Result<Setting, String> {
    let (place, opening) = (&block.place, opening.clone());
    if block.diverted || block.moment == Moment::Answer {
        let what = if block.diverted { "is not let in" } else { "cannot be answered" };
        return Err(format!(
            "{opening} {what}, which an opening does not change: {} ({})",
            place.words(),
            place.verdict
        ));
    }
    let Some(table) = rules.tables.get(place.at.table) else { return Err(format!("{opening} stays closed")) };
    Ok(match owner::of(rules, place) {
        Owner::Firewalld { zone } => {
            let of_interface = || owner::zone_of_interface(rules, &way.interface);
            let zone = zone.or_else(of_interface).unwrap_or_else(|| default_zone.to_owned());
            Setting::Firewalld { zone, permanent: false, opening }
        }
        Owner::Ufw => {
            // A rule of the user's own forbids the port: ours has to come first.
            let first = place.chain.starts_with("ufw") && place.chain.contains("user");
            Setting::Ufw { opening, first }
        }
        Owner::Nftables => Setting::Nft {
            family: table.family.word().to_owned(),
            table: table.name.clone(),
            chain: place.at.base.clone(),
            before: at_rule(rules, place).and_then(|r| r.handle),
            opening,
        },
        Owner::Iptables => {
            if table.name != "filter" {
                return Err(format!("{opening} stays closed: {} is no place for an opening", place.words()));
            }
            let program = match (table.family, table.engine) {
                (Family::Ip6, Engine::IptablesLegacy) => "ip6tables-legacy",
                (Family::Ip6, _) => "ip6tables",
                (_, Engine::IptablesLegacy) => "iptables-legacy",
                _ => "iptables",
            };
            let before = place.at.rule.map(|n| n + 1);
            Setting::Iptables { program: program.to_owned(), chain: place.at.base.clone(), opening, before }
        }
        Owner::Program(name) => {
            return Err(format!(
                "{opening} stays closed by a rule of {name}, which would put it back: {}",
                place.words()
            ));
        }
    })
}

/// The rules without those that an opening made: for a change of what is opened, old openings are gone first.
pub fn without(rules: &mut Ruleset, opening: &Opening) {
    for table in &mut rules.tables {
        for chain in table.chains.values_mut() {
            chain.rules.retain(|rule| !is_opening(rule, opening));
        }
    }
}

/// Accepts the rule just this?
fn is_opening(rule: &Rule, opening: &Opening) -> bool {
    let proto = if opening.protocol == "tcp" { TCP } else { UDP };
    let source = opening.source.as_ref().and_then(|s| network(s).ok());
    let (mut port, mut from, mut accepts) = (false, source.is_none(), false);
    for step in &rule.steps {
        match step {
            Step::Test(Test::Is { key: Key::Dport(p), values, not: false }) => {
                port = p.is_none_or(|p| p == proto) && *values == Values::one(opening.port);
            }
            Step::Test(Test::Is { key: Key::Proto(_), values, not: false }) if *values == Values::one(proto) => {}
            Step::Test(Test::Is { key: Key::Saddr { .. }, values, not: false }) => {
                let wanted = source.map(|(addr, len)| Values::numbers(Span::prefix(addr, len)));
                from = wanted.as_ref() == Some(values);
            }
            // Older versions of firewalld ask for new connections as well; the family is implied by the address.
            Step::Test(Test::Bits { key: Key::CtState, .. } | Test::Is { key: Key::NfProto | Key::CtState, .. }) => {}
            Step::Do(Does::Accept) => accepts = true,
            _ => return false,
        }
    }
    port && from && accepts
}

/// The rule of the base chain in which the packet was lost.
fn at_rule<'r>(rules: &'r Ruleset, place: &Place) -> Option<&'r Rule> {
    let chain = rules.tables.get(place.at.table)?.chains.get(&place.at.base)?;
    chain.rules.get(place.at.rule?)
}

/// Puts the rule into the model where the tool will put it, or where it has the same effect.
fn try_on(rules: &mut Ruleset, place: &Place, opening: &Opening) -> bool {
    let Some(chain) = rules.tables.get_mut(place.at.table).and_then(|t| t.chains.get_mut(&place.at.base)) else {
        return false;
    };
    let proto = if opening.protocol == "tcp" { TCP } else { UDP };
    let mut steps = vec![Test::is(Key::Dport(Some(proto)), Values::one(opening.port))];
    if let Some((addr, len)) = opening.source.as_ref().and_then(|s| network(s).ok()) {
        steps.push(Test::is(Key::Saddr { v6: addr.is_ipv6() }, Values::numbers(Span::prefix(addr, len))));
    }
    steps.push(Step::Do(Does::Accept));
    // The handle of the rule behind it: a second opening goes to the same place.
    let handle = place.at.rule.and_then(|n| chain.rules.get(n)).and_then(|r| r.handle);
    let rule = Rule { steps, text: opening.comment(), handle, comment: Some(opening.comment()) };
    let at = place.at.rule.unwrap_or(chain.rules.len());
    if at > chain.rules.len() {
        return false;
    }
    chain.rules.insert(at, rule);
    true
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
