//! `ipset save`, for iptables rules that look into sets.

use std::collections::BTreeMap;

use super::atoms::{atom, network, protocol};
use super::model::{Key, Test, Values, Why};
use super::span::Span;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpSet {
    /// `hash:net,port`
    pub kind: String,
    pub v6: bool,
    /// Element, and whether it stands for an exception.
    pub elements: Vec<(String, bool)>,
}

pub fn parse(text: &[u8]) -> BTreeMap<String, IpSet> {
    let text = String::from_utf8_lossy(text);
    let mut sets: BTreeMap<String, IpSet> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["create", name, kind, rest @ ..] => {
                let v6 = rest.windows(2).any(|w| w == ["family", "inet6"]);
                sets.insert((*name).to_owned(), IpSet { kind: (*kind).to_owned(), v6, elements: Vec::new() });
            }
            ["add", name, element, rest @ ..] => {
                if let Some(set) = sets.get_mut(*name) {
                    set.elements.push(((*element).to_owned(), rest.contains(&"nomatch")));
                }
            }
            _ => {}
        }
    }
    sets
}

/// `-m set [!] --match-set NAME DIRECTIONS`.
pub fn test(sets: &BTreeMap<String, IpSet>, name: &str, directions: &str, not: bool) -> Test {
    let shown = || Why::Expression(format!("the ipset {name} ({directions})"));
    match sets.get(name).and_then(|set| rows(sets, set, directions, 0)) {
        Some((keys, rows)) => Test::Rows { keys, rows, not },
        None => Test::Unknown(shown()),
    }
}

type Rows = (Vec<Key>, Vec<Vec<Values>>);

fn rows(sets: &BTreeMap<String, IpSet>, set: &IpSet, directions: &str, depth: usize) -> Option<Rows> {
    let (storage, parts) = set.kind.split_once(':')?;
    let directions: Vec<&str> = directions.split(',').collect();
    let source = |n: usize| match directions.get(n).copied() {
        Some("src") => Some(true),
        Some("dst") => Some(false),
        _ => None,
    };
    let address = |n: usize| {
        let v6 = set.v6;
        Some(if source(n)? { Key::Saddr { v6 } } else { Key::Daddr { v6 } })
    };
    if storage == "list" {
        // Members are told apart by their own kinds; only sets of the same kind can be taken together.
        let members: Vec<&IpSet> = set.elements.iter().map(|(n, _)| sets.get(n)).collect::<Option<_>>()?;
        let first = members.first()?;
        if depth > 2 || members.iter().any(|m| m.kind != first.kind || m.v6 != first.v6) {
            return None;
        }
        let mut all: Option<Rows> = None;
        for member in members {
            let (keys, more) = rows(sets, member, &directions.join(","), depth + 1)?;
            match &mut all {
                Some((_, rows)) => rows.extend(more),
                None => all = Some((keys, more)),
            }
        }
        return all;
    }
    let kinds: Vec<&str> = parts.split(',').collect();
    match kinds.as_slice() {
        ["ip" | "net"] => {
            let (mut inside, mut except) = (Vec::new(), Vec::new());
            for (element, nomatch) in &set.elements {
                let span = network(element, set.v6)?;
                if *nomatch { &mut except } else { &mut inside }.extend_from_slice(span.ranges());
            }
            // The longest prefix decides; exceptions inside of exceptions are not worth it.
            let span = Span::of(inside).minus(&Span::of(except));
            Some((vec![address(0)?], vec![vec![Values::numbers(span)]]))
        }
        ["port"] => {
            let key = if source(0)? { Key::Sport(None) } else { Key::Dport(None) };
            let ports: Option<Vec<u128>> = set.elements.iter().map(|(e, _)| atom(&key, e)).collect();
            let span = Span::of(ports?.into_iter().map(|p| (p, p)));
            Some((vec![key], vec![vec![Values::numbers(span)]]))
        }
        ["ip" | "net", "port"] => {
            let port = if source(1)? { Key::Sport(None) } else { Key::Dport(None) };
            let rows: Option<Vec<Vec<Values>>> = set
                .elements
                .iter()
                .map(|(element, nomatch)| {
                    let (net, service) = element.split_once(',').filter(|_| !nomatch)?;
                    let (proto, number) = service.split_once(':').unwrap_or(("tcp", service));
                    Some(vec![
                        Values::numbers(network(net, set.v6)?),
                        Values::one(protocol(proto)?),
                        Values::one(atom(&port, number)?),
                    ])
                })
                .collect();
            Some((vec![address(0)?, Key::Proto(None), port], rows?))
        }
        _ => None,
    }
}
