//! Sample events followed through a configuration, to see what becomes of real ones.

use std::path::Path;

use super::leads_to_agent;
use crate::agent::AgentKind;
use crate::syslog::collector::{EVENTS, Wish, show};
use crate::syslog::syslogng::effective::{Effective, ListenerAt, Ref};
use crate::syslog::syslogng::trace::{Reach, Visit};
use crate::syslog::{Location, Text};

/// What keeps an event from the agent's port, or brings it there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// A log path takes it for good before ours.
    Stopped(Location),
    /// Some other reason, in words.
    Lost(String),
    /// Somebody else's log path brings it there too.
    Twice(Location),
}

/// Does this destination lead to the agent?
pub fn is_agents(config: &Effective, destination: &Ref, wish: &Wish) -> bool {
    config.destination(destination).is_some_and(|d| d.drivers.iter().any(|v| leads_to_agent(&v.kind, wish)))
}

/// Does it lead to a destination of our file? In a log path of somebody's our lines do so too.
fn is_ours(config: &Effective, visit: &Visit, ours: &Path) -> bool {
    config.destination(&visit.destination).is_some_and(|d| *d.at.file == *ours)
}

fn source_of(config: &Effective, l: &ListenerAt<'_>) -> Ref {
    match &l.source.name {
        Some(name) => Ref::Named(name.clone()),
        None => Ref::Inline(config.sources.iter().position(|s| std::ptr::eq(s, l.source)).unwrap_or(usize::MAX)),
    }
}

/// The steps that bring one sample of this listener to the agent.
fn to_agent(config: &Effective, l: &ListenerAt<'_>, raw: &[u8], wish: &Wish) -> (Vec<Visit>, bool) {
    let trace = config.trace(&config.event_at(l.listener, raw), &source_of(config, l));
    let visits = trace.visits.into_iter().filter(|v| is_agents(config, &v.destination, wish)).collect();
    (visits, trace.cut_short)
}

/// Does the Azure Monitor Agent's own forward get every event of this listener already, and `ours` none of them? Then
/// nothing is to be added: a second path would double them.
pub fn is_done(config: &Effective, l: &ListenerAt<'_>, wish: &Wish, ours: Option<&Path>) -> bool {
    let done = |raw: &&[u8]| {
        let (visits, _) = to_agent(config, l, raw, wish);
        visits.iter().any(|v| !v.maybe) && visits.iter().all(|v| ours.is_none_or(|ours| !is_ours(config, v, ours)))
    };
    wish.agent.kind == AgentKind::Ama && EVENTS.iter().all(done)
}

/// Does each sample of this listener come to the agent once, by our own file?
pub fn once(config: &Effective, l: &ListenerAt<'_>, ours: &Path, wish: &Wish) -> Result<(), Miss> {
    for raw in EVENTS {
        let (visits, cut_short) = to_agent(config, l, raw, wish);
        if cut_short {
            continue;
        }
        if let Some(other) = visits.iter().find(|v| !is_ours(config, v, ours)) {
            return Err(Miss::Twice(other.at.clone()));
        }
        if visits.is_empty() {
            return Err(lost(config, l, raw, wish));
        }
    }
    Ok(())
}

/// As [`once`], for devices that are not known: no log path of somebody else takes what some of them send for good before
/// ours, or brings it to the agent too.
pub fn once_from_anybody(config: &Effective, l: &ListenerAt<'_>, ours: &Path, wish: &Wish) -> Result<(), Miss> {
    let source = source_of(config, l);
    for raw in EVENTS {
        let event = config.event_at(l.listener, raw);
        let wanted = |r: &Ref| is_agents(config, r, wish);
        if let Some(at) = config.diversions(&event, &source, &wanted).into_iter().find(|at| *at.file != *ours) {
            return Err(Miss::Stopped(at));
        }
        let others = |v: &Visit| !is_ours(config, v, ours) && wanted(&v.destination);
        // What the Azure Monitor Agent's own file leads to the agent is not ours to judge.
        if wish.agent.kind != AgentKind::Ama
            && let Some(other) = config.trace(&event.of_anybody(), &source).visits.into_iter().find(others)
        {
            return Err(Miss::Twice(other.at));
        }
    }
    Ok(())
}

/// The log path by which somebody drops what some devices send, before it comes to the agent.
pub fn dropped(config: &Effective, l: &ListenerAt<'_>, wish: &Wish) -> Option<Location> {
    let (source, wanted) = (source_of(config, l), |r: &Ref| is_agents(config, r, wish));
    EVENTS.iter().flat_map(|raw| config.drops(&config.event_at(l.listener, raw), &source, &wanted)).next()
}

fn lost(config: &Effective, l: &ListenerAt<'_>, raw: &[u8], wish: &Wish) -> Miss {
    let Some(destination) =
        config.destinations.iter().filter_map(|d| d.name.clone().map(Ref::Named)).find(|r| is_agents(config, r, wish))
    else {
        return Miss::Lost("there is no forward to the agent".to_owned());
    };
    match config.reach(&config.event_at(l.listener, raw), &source_of(config, l), &destination) {
        Reach::Stopped(at) => Miss::Stopped(at),
        Reach::NoPath => Miss::Lost("no log path leads from this source to the agent".to_owned()),
        Reach::Filtered => Miss::Lost("a filter does not hold for them".to_owned()),
        Reach::Yes | Reach::Maybe => Miss::Lost("it is not known why".to_owned()),
    }
}

/// Somebody's forward that this listener's source stands still for, with the log path.
pub fn held_up(config: &Effective, l: &ListenerAt<'_>, wish: &Wish) -> Option<(Location, String)> {
    let others = config.holding_up(&source_of(config, l)).into_iter();
    let mut others = others.filter(|(_, driver, _)| !leads_to_agent(&driver.kind, wish));
    others.next().map(|(path, _, f)| (path.at.clone(), format!("{}:{}", f.target, f.port)))
}

/// Files that security events of this listener are written to.
pub fn local_files(config: &Effective, l: &ListenerAt<'_>) -> Vec<Text> {
    let mut files: Vec<Text> = Vec::new();
    for raw in EVENTS {
        let event = config.event_at(l.listener, raw);
        files.extend(config.file_copies(&event, &source_of(config, l)).into_iter().map(|(path, ..)| path));
    }
    files.sort();
    files.dedup();
    files.into_iter().map(|f| Text::from(show(Path::new(&*f.to_str_lossy())).as_str())).collect()
}
