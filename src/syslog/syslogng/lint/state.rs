//! Drivers keep what they must remember (positions in files, queues, sockets across a reload) under a name that is made
//! from what they are. Two drivers of one name stop the daemon at its start, unless `persist-name()` tells them apart.

use std::collections::BTreeMap;

use super::shown;
use crate::syslog::syslogng::effective::{DestDriver, DestKind, Effective, SourceDriver, SourceKind};
use crate::syslog::syslogng::problem::{Problem, Topic};
use crate::syslog::{Location, Text};

pub(super) fn conflicts(config: &Effective, found: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, &Location> = BTreeMap::new();
    let sources = config.sources.iter().zip(config.used_sources()).filter(|(_, used)| *used);
    for driver in sources.flat_map(|(s, _)| &s.drivers) {
        let Some(key) = source_key(driver) else { continue };
        let what = shown(&driver.kind);
        let text = |first: &Location| format!("{what} is read already at {first}; the daemon does not start");
        remember(&mut seen, key, &driver.at, text, found);
    }
    let destinations = config.destinations.iter().zip(config.used_destinations()).filter(|(_, used)| *used);
    for driver in destinations.flat_map(|(d, _)| &d.drivers) {
        let Some(key) = dest_key(driver) else { continue };
        let text = |first: &Location| {
            format!("{} is written to already by the destination at {first}; the daemon does not start", target(driver))
        };
        remember(&mut seen, key, &driver.at, text, found);
    }
}

fn remember<'a>(
    seen: &mut BTreeMap<String, &'a Location>,
    key: String,
    at: &'a Location,
    text: impl Fn(&Location) -> String,
    found: &mut Vec<Problem>,
) {
    match seen.get(&key) {
        Some(first) => found.push(Problem::error(Topic::StateTwice, at, text(first))),
        None => {
            seen.insert(key, at);
        }
    }
}

fn named(name: &Option<Text>, usual: String) -> String {
    name.as_ref().map_or(usual, |n| format!("persist-name {n}"))
}

/// Network listeners are left to the rule about ports.
fn source_key(driver: &SourceDriver) -> Option<String> {
    let usual = match &driver.kind {
        SourceKind::Internal => return Some("internal".to_owned()),
        SourceKind::System => return Some("system".to_owned()),
        SourceKind::Unix { path, stream } => format!("unix source {stream} {path}"),
        SourceKind::File(path) => format!("file source {path}"),
        SourceKind::Listener(_) | SourceKind::Other => return None,
    };
    Some(named(&driver.persist_name, usual))
}

fn dest_key(driver: &DestDriver) -> Option<String> {
    let usual = match &driver.kind {
        DestKind::Forward(f) => {
            let port = f.port_number().map_or_else(|| f.port.to_string(), |p| p.to_string());
            format!("forward {} {}:{port}", f.transport.is_stream(), f.target)
        }
        DestKind::File(path) => format!("file {path}"),
        DestKind::Unix { path, stream } => format!("unix {stream} {path}"),
        DestKind::Pipe(_) | DestKind::Program(_) | DestKind::Users(_) | DestKind::Other => return None,
    };
    Some(named(&driver.persist_name, usual))
}

fn target(driver: &DestDriver) -> String {
    match &driver.kind {
        DestKind::Forward(f) => format!("{}:{}", f.target, f.port),
        DestKind::File(path) | DestKind::Unix { path, .. } => path.to_string(),
        _ => driver.driver.to_string(),
    }
}
