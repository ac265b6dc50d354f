//! Where the drop-in goes: into the included folder under a name that comes early enough, or, where a log path of
//! somebody else takes the events for good before, read by a marked block right in front of that path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::reach::{self, Miss};
use super::{Found, folder};
use crate::syslog::collector::{Insertion, Refusal, Wish, line_start, overlay, show};
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::effective::{Effective, ListenerAt, Transport};
use crate::syslog::syslogng::lint;
use crate::syslog::syslogng::render::DropIn;
use crate::syslog::{Location, PathKind};

/// Names in the included folder, best first; the second one comes before what others have there.
const NAMES: [&str; 2] = ["cefctl.conf", "00-cefctl.conf"];

/// A place for the drop-in.
pub struct Placed {
    pub path: PathBuf,
    pub insertions: Vec<Insertion>,
}

/// Finds a place at which the drop-in works: read by the daemon, nothing new wrong with the configuration, and every
/// listener's events reaching the agent once.
pub fn place(found: &Found<'_>, wish: &Wish, drop_in: &DropIn) -> Result<Placed, Refusal> {
    let mut first_reason = None;
    let mut stopped = None;
    let mut is_there = None;
    for placed in in_folder(found, drop_in)? {
        if found.source.kind(&placed.path) != PathKind::Missing {
            is_there.get_or_insert(placed.path);
            continue;
        }
        match works(found, wish, &placed, drop_in) {
            Ok(()) => return Ok(placed),
            Err((refusal, at)) => {
                stopped = stopped.or(at);
                first_reason.get_or_insert(refusal);
            }
        }
    }
    if let Some(placed) = stopped.and_then(|at| in_front_of(found, &at)) {
        match works(found, wish, &placed, drop_in) {
            Ok(()) => return Ok(placed),
            Err((refusal, _)) => drop(first_reason.get_or_insert(refusal)),
        }
    }
    Err(first_reason.unwrap_or_else(|| {
        Refusal::new(
            format!("{} is there, but it is not ours", show(&is_there.unwrap_or_default())),
            "move it away and run the command again",
        )
    }))
}

/// The included folder; where nothing includes it, one name and a block for it at the end of the main file.
fn in_folder(found: &Found<'_>, drop_in: &DropIn) -> Result<Vec<Placed>, Refusal> {
    let config = found.config;
    let dir = drop_in.path.parent().unwrap_or(folder(config));
    let included = |name: &&str| config.includes_path(&dir.join(name)).is_some();
    let placed = NAMES.iter().filter(|n| included(n)).map(|n| Placed { path: dir.join(n), insertions: Vec::new() });
    let placed: Vec<Placed> = placed.collect();
    if !placed.is_empty() {
        return Ok(placed);
    }
    let main = &config.main;
    let text = found.source.read(main).map_err(|e| {
        Refusal::new(format!("cannot read {}: {e}", show(main)), "make it readable and run the command again")
    })?;
    let path = dir.join(NAMES[0]);
    let insertion = include(main, text.len(), &path, "nothing includes our drop-in");
    Ok(vec![Placed { path, insertions: vec![insertion] }])
}

fn include(file: &Path, at: usize, path: &Path, why: &str) -> Insertion {
    Insertion { file: file.to_owned(), at, text: format!("@include \"{}\"\n", path.display()), why: why.to_owned() }
}

/// Beside the main file, where no pattern takes it in, and included right before the log path at `at`.
fn in_front_of(found: &Found<'_>, at: &Location) -> Option<Placed> {
    let config = found.config;
    let path = folder(config).join(NAMES[0]);
    let free = config.includes_path(&path).is_none() && found.source.kind(&path) == PathKind::Missing;
    let text = found.source.read(&at.file).ok()?;
    let start = line_start(&text, at.start);
    // A directive stands on a line of its own.
    let alone = text.get(start..at.start)?.iter().all(u8::is_ascii_whitespace);
    (free && alone).then(|| {
        let why = format!("the log path behind it takes events for good ({at})");
        Placed { path: path.clone(), insertions: vec![include(&at.file, start, &path, &why)] }
    })
}

/// Would the configuration do what we want? If a log path is in the way, the refusal comes with its place.
fn works(found: &Found<'_>, wish: &Wish, placed: &Placed, drop_in: &DropIn) -> Result<(), (Refusal, Option<Location>)> {
    let changes = overlay(&placed.path, drop_in.text.as_bytes(), &placed.insertions, found.source);
    let source = Overlay { base: found.source, changes };
    let candidate = Effective::load_with(&found.config.main, &source, found.setting.clone());
    let known: BTreeSet<String> = lint::fatal(found.config).into_iter().map(|p| p.text).collect();
    if let Some(problem) = lint::fatal(&candidate).iter().find(|p| !known.contains(&p.text)) {
        let refusal = Refusal::new(
            format!("our drop-in does not fit this configuration: {problem}"),
            "report this configuration: it should have been handled",
        );
        return Err((refusal, None));
    }
    let ours = |l: &ListenerAt<'_>| *l.driver.at.file == *placed.path;
    let used = candidate.listeners().into_iter().filter(|l| l.used);
    let wanted = |l: &ListenerAt<'_>| {
        let tls = l.listener.transport == Transport::Tls;
        l.listener.port_number().is_some_and(|port| wish.has_port(port, tls))
    };
    for l in used.filter(|l| ours(l) || wanted(l)) {
        if reach::is_done(&candidate, &l, wish, Some(&placed.path)) {
            continue;
        }
        reach::once(&candidate, &l, &placed.path, wish).map_err(|miss| explain(&l, &miss, wish))?;
    }
    Ok(())
}

fn explain(l: &ListenerAt<'_>, miss: &Miss, wish: &Wish) -> (Refusal, Option<Location>) {
    let at = &l.driver.at;
    match miss {
        Miss::Stopped(stop) => (
            Refusal::new(
                format!("events from {at} do not reach our log path: the one at {stop} takes them for good"),
                "move or narrow that log path, or choose another port with --port",
            ),
            Some(stop.clone()),
        ),
        Miss::Lost(why) => (
            Refusal::new(
                format!("events from {at} do not reach our log path: {why}"),
                "choose another port with --port, or report this configuration",
            ),
            None,
        ),
        Miss::Twice(other) => (
            Refusal::new(
                format!(
                    "{other} already forwards events from {at} to 127.0.0.1:{}; a second forward would deliver every \
                     event twice",
                    wish.agent.port
                ),
                "remove that log path (or comment it out) and run the command again",
            ),
            None,
        ),
    }
}
