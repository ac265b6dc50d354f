//! Names: undefined, defined twice.

use std::collections::BTreeMap;

use super::listed;
use crate::syslog::syslogng::effective::{DestDriver, Effective, Ref, StepKind};
use crate::syslog::syslogng::filter::Expr;
use crate::syslog::syslogng::problem::{Problem, Topic};
use crate::syslog::{Location, Text};

/// Names in log paths, and in the filters they use, that nothing defines: the daemon does not start.
pub(super) fn references(config: &Effective, found: &mut Vec<Problem>) {
    for step in config.steps() {
        let (what, name, known): (_, _, Vec<&Text>) = match &step.kind {
            StepKind::Source(Ref::Named(n)) => ("source", n, names(&config.sources, |o| o.name.as_ref())),
            StepKind::Destination(Ref::Named(n)) => {
                ("destination", n, names(&config.destinations, |o| o.name.as_ref()))
            }
            StepKind::Filter(Ref::Named(n)) => ("filter", n, names(&config.filters, |o| o.name.as_ref())),
            StepKind::Parser(Ref::Named(n)) => ("parser", n, names(&config.parsers, |o| o.name.as_ref())),
            StepKind::Rewrite(Ref::Named(n)) => ("rewrite", n, names(&config.rewrites, |o| o.name.as_ref())),
            _ => continue,
        };
        if !known.contains(&name) {
            found.push(missing(what, name, &known, &step.at));
        }
    }
    filter_calls(config, found);
}

fn names<T>(list: &[T], name: impl Fn(&T) -> Option<&Text>) -> Vec<&Text> {
    list.iter().filter_map(name).collect()
}

fn missing(what: &str, name: &Text, known: &[&Text], at: &Location) -> Problem {
    let text = format!("{what} '{name}' is not defined; defined: {}", listed(known.iter().copied()));
    Problem::error(Topic::ReferenceMissing, at, text)
}

/// `filter(NAME)` inside filters that are in use, and circles of such calls.
fn filter_calls(config: &Effective, found: &mut Vec<Problem>) {
    let known = names(&config.filters, |f| f.name.as_ref());
    let mut todo: Vec<(&Expr, Vec<&Text>)> = Vec::new();
    for step in config.steps() {
        match &step.kind {
            StepKind::Filter(r) => {
                if let Some(f) = config.filter(r) {
                    todo.push((&f.expr, f.name.iter().collect()));
                }
            }
            StepKind::If { branches, .. } => {
                todo.extend(branches.iter().filter_map(|b| b.condition.as_ref()).map(|c| (c, Vec::new())));
            }
            _ => {}
        }
    }
    let mut seen: Vec<&Location> = Vec::new();
    while let Some((expr, above)) = todo.pop() {
        for (name, at) in calls(expr) {
            if seen.contains(&at) {
                continue;
            }
            seen.push(at);
            match config.filter(&Ref::Named(name.clone())) {
                None => found.push(missing("filter", name, &known, at)),
                Some(_) if above.contains(&name) => {
                    let text = format!("filter '{name}' calls itself");
                    found.push(Problem::error(Topic::ReferenceMissing, at, text));
                }
                Some(f) => {
                    let mut above = above.clone();
                    above.push(name);
                    todo.push((&f.expr, above));
                }
            }
        }
    }
}

fn calls(expr: &Expr) -> Vec<(&Text, &Location)> {
    match expr {
        Expr::Call { name, at } => vec![(name, at)],
        Expr::And(parts) | Expr::Or(parts) => parts.iter().flat_map(calls).collect(),
        Expr::Not(inner) => calls(inner),
        _ => Vec::new(),
    }
}

/// One name for two things of a kind: the daemon does not start, unless it is told to allow it.
pub(super) fn twice(config: &Effective, found: &mut Vec<Problem>) {
    let allowed = config.defines.iter().rev().find(|d| d.name == "allow-config-dups").is_some_and(|d| d.value != "0");
    let mut all: Vec<(&str, &Text, &Location)> = Vec::new();
    all.extend(config.sources.iter().filter_map(|o| Some(("source", o.name.as_ref()?, &o.at))));
    all.extend(config.destinations.iter().filter_map(|o| Some(("destination", o.name.as_ref()?, &o.at))));
    all.extend(config.filters.iter().filter_map(|o| Some(("filter", o.name.as_ref()?, &o.at))));
    all.extend(config.parsers.iter().filter_map(|o| Some(("parser", o.name.as_ref()?, &o.at))));
    all.extend(config.rewrites.iter().filter_map(|o| Some(("rewrite", o.name.as_ref()?, &o.at))));
    all.extend(config.templates.iter().map(|o| ("template", &o.name, &o.at)));
    let mut first: BTreeMap<(&str, &Text), &Location> = BTreeMap::new();
    for (what, name, at) in all {
        if let Some(before) = first.get(&(what, name)) {
            let text = format!("{what} '{name}' is defined already at {before}");
            found.push(match allowed {
                true => Problem::warning(Topic::NameTwice, at, text),
                false => Problem::error(Topic::NameTwice, at, text),
            });
        } else {
            first.insert((what, name), at);
        }
    }
}

/// `template(NAME)` of something that is no template: the daemon takes the name itself for the text to send.
pub(super) fn templates(config: &Effective, found: &mut Vec<Problem>) {
    let plain =
        |t: &Text| !t.is_empty() && t.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    for driver in config.destinations.iter().flat_map(|d| &d.drivers) {
        let DestDriver { template: Some(name), .. } = driver else { continue };
        if plain(name) && config.template(name).is_none() {
            let text = format!("template '{name}' is not defined: the word '{name}' is sent instead of each event");
            found.push(Problem::warning(Topic::TemplateMissing, &driver.at, text));
        }
    }
}
