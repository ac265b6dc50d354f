//! Which tool keeps the rules that are in the way: rules of firewalld and ufw are changed by their own commands only.

use super::model::{Engine, Family, Ruleset, Table};
use super::walk::Place;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// With the zone whose chain decided, where that can be told.
    Firewalld {
        zone: Option<String>,
    },
    Ufw,
    /// Nobody's but the administrator's.
    Nftables,
    Iptables,
    /// Rules of containers and guards, which put them there again at any time.
    Program(&'static str),
}

impl Owner {
    pub fn word(&self) -> &str {
        match self {
            Owner::Firewalld { .. } => "firewalld",
            Owner::Ufw => "ufw",
            Owner::Nftables => "nftables",
            Owner::Iptables => "iptables",
            Owner::Program(name) => name,
        }
    }
}

/// Who keeps the rule at `place`.
pub fn of(rules: &Ruleset, place: &Place) -> Owner {
    let Some(table) = rules.tables.get(place.at.table) else { return Owner::Nftables };
    let program = |chain: &str| {
        let known = [("DOCKER", "docker"), ("f2b-", "fail2ban"), ("KUBE-", "kubernetes"), ("LIBVIRT", "libvirt")];
        known.into_iter().find(|(start, _)| chain.starts_with(start)).map(|(_, name)| name)
    };
    match table.engine {
        Engine::Nft if table.name == "firewalld" => Owner::Firewalld { zone: zone(&place.chain) },
        Engine::Nft => program(&place.chain).map_or(Owner::Nftables, Owner::Program),
        _ if is_firewalld(table) => Owner::Firewalld { zone: zone(&place.chain) },
        _ if is_ufw(table) => Owner::Ufw,
        _ => program(&place.chain).map_or(Owner::Iptables, Owner::Program),
    }
}

/// With `FirewallBackend=iptables` its chains are among the others.
fn is_firewalld(table: &Table) -> bool {
    table.chains.keys().any(|c| c == "INPUT_ZONES" || c == "PREROUTING_ZONES")
}

fn is_ufw(table: &Table) -> bool {
    table.chains.keys().any(|c| c == "ufw-user-input" || c == "ufw6-user-input")
}

/// `filter_IN_public_deny` or `IN_public_deny` → `public`.
fn zone(chain: &str) -> Option<String> {
    let rest = chain.strip_prefix("filter_IN_").or_else(|| chain.strip_prefix("IN_"))?;
    let name = ["_pre", "_log", "_deny", "_allow", "_post"].iter().find_map(|end| rest.strip_suffix(end));
    let name = name.unwrap_or(rest);
    (!name.starts_with("policy_")).then(|| name.to_owned())
}

/// The zone that packets of an interface come to, as firewalld's dispatch chain has it.
pub fn zone_of_interface(rules: &Ruleset, interface: &str) -> Option<String> {
    use super::model::{Key, Step, Test, Verdict};
    let table = rules
        .tables
        .iter()
        .find(|t| t.family != Family::Ip6 && ((t.engine == Engine::Nft && t.name == "firewalld") || is_firewalld(t)))?;
    let dispatch = table.chains.get("filter_INPUT_ZONES").or_else(|| table.chains.get("INPUT_ZONES"))?;
    dispatch.rules.iter().find_map(|rule| {
        let named = rule.steps.iter().all(|step| match step {
            Step::Test(Test::Is { key: Key::Iif, values, not: false }) => {
                values.names.iter().any(|n| n.strip_suffix('*').map_or(n == interface, |s| interface.starts_with(s)))
            }
            // A zone of source addresses comes before those of interfaces.
            Step::Test(_) => false,
            _ => true,
        });
        let target = rule.steps.iter().find_map(|step| match step {
            Step::Do(Verdict::Goto(name) | Verdict::Jump(name)) => zone(name),
            _ => None,
        });
        target.filter(|_| named)
    })
}

/// Is a rule of one of the front-ends loaded?
pub fn has_firewalld(rules: &Ruleset) -> bool {
    rules.tables.iter().any(|t| (t.engine == Engine::Nft && t.name == "firewalld") || is_firewalld(t))
}
