//! Where the drop-in goes: into the included folder under a name that comes early enough, or, where a log path of
//! somebody else takes the events for good before, read by a marked block right in front of that path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::reach::{self, Miss};
use super::{Found, folder, refusal};
use crate::syslog::collector::{Insertion, Refusal, Wish, line_start, overlay, show};
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::effective::{Effective, ListenerAt, Transport};
use crate::syslog::syslogng::lint;
use crate::syslog::syslogng::render::{DropIn, RenderError, Splice};
use crate::syslog::{Location, PathKind};

/// Names in the included folder, best first; the second one comes before what others have there.
const NAMES: [&str; 2] = ["cefctl.conf", "00-cefctl.conf"];

/// A place for the drop-in.
pub struct Placed {
    pub path: PathBuf,
    pub insertions: Vec<Insertion>,
    /// The log path that keeps what some devices send from ours, wherever ours stands.
    pub diverted: Option<Location>,
    /// The log path before ours by which somebody drops what some devices send.
    pub dropped: Option<Location>,
}

/// Whose events have to come through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Senders {
    Any,
    /// The one device of the samples.
    One,
}

/// Finds a place at which the drop-in works: read by the daemon, nothing new wrong with the configuration, and every
/// listener's events reaching the agent once. Filters that hold for some devices only count as if they held.
pub fn place(found: &Found<'_>, wish: &Wish, drop_in: &DropIn) -> Result<Placed, Refusal> {
    let diverted = match place_for(found, wish, drop_in, Senders::Any) {
        Ok(placed) => return Ok(Placed { dropped: dropped(found, wish, drop_in, &placed), ..placed }),
        Err(Why { refusal, twice: true, .. }) => return Err(refusal),
        Err(why) => why.stopped,
    };
    let placed = place_for(found, wish, drop_in, Senders::One).map_err(|why| why.refusal)?;
    Ok(Placed { diverted, dropped: dropped(found, wish, drop_in, &placed), ..placed })
}

/// The configuration as it would be.
fn candidate(found: &Found<'_>, placed: &Placed, drop_in: &DropIn) -> Effective {
    let changes = overlay(&placed.path, drop_in.text.as_bytes(), &placed.insertions, found.source);
    let source = Overlay { base: found.source, changes };
    Effective::load_with(&found.config.main, &source, found.setting.clone())
}

/// The listeners that devices send to, ours at `placed` included.
fn wanted<'a>(candidate: &'a Effective, placed: &Placed, wish: &Wish) -> Vec<ListenerAt<'a>> {
    let ours = |l: &ListenerAt<'_>| *l.driver.at.file == *placed.path;
    let wanted = |l: &ListenerAt<'_>| {
        let tls = l.listener.transport == Transport::Tls;
        l.listener.port_number().is_some_and(|port| wish.has_port(port, tls))
    };
    candidate.listeners().into_iter().filter(|l| l.used && (ours(l) || wanted(l))).collect()
}

fn dropped(found: &Found<'_>, wish: &Wish, drop_in: &DropIn, placed: &Placed) -> Option<Location> {
    let candidate = candidate(found, placed, drop_in);
    wanted(&candidate, placed, wish).iter().find_map(|l| reach::dropped(&candidate, l, wish))
}

fn place_for(found: &Found<'_>, wish: &Wish, drop_in: &DropIn, from: Senders) -> Result<Placed, Why> {
    let mut first: Option<Why> = None;
    let mut stopped = None;
    let mut is_there = None;
    let splices = splices(found, drop_in)?;
    let with = |mut placed: Placed| {
        placed.insertions.extend(splices.clone());
        placed
    };
    for placed in in_folder(found, drop_in)?.into_iter().map(with) {
        if found.source.kind(&placed.path) != PathKind::Missing {
            is_there.get_or_insert(placed.path);
            continue;
        }
        match works(found, wish, &placed, drop_in, from) {
            Ok(()) => return Ok(placed),
            Err(why) => {
                stopped = stopped.or(why.stopped.clone());
                first.get_or_insert(why);
            }
        }
    }
    if let Some(placed) = stopped.and_then(|at| in_front_of(found, &at)).map(with) {
        match works(found, wish, &placed, drop_in, from) {
            Ok(()) => return Ok(placed),
            Err(why) => drop(first.get_or_insert(why)),
        }
    }
    Err(first.unwrap_or_else(|| {
        Refusal::new(
            format!("{} is there, but it is not ours", show(&is_there.unwrap_or_default())),
            "move it away and run the command again",
        )
        .into()
    }))
}

/// Our lines in log paths of others, behind the source that has no name.
fn splices(found: &Found<'_>, drop_in: &DropIn) -> Result<Vec<Insertion>, Refusal> {
    drop_in.splices.iter().map(|splice| insert(found, splice)).collect()
}

fn insert(found: &Found<'_>, splice: &Splice) -> Result<Insertion, Refusal> {
    let at = &splice.behind;
    let text = found.source.read(&at.file).unwrap_or_default();
    // What comes out of a variable or a block stands elsewhere than it seems.
    let written = text.get(at.span()).is_some_and(|t| t.starts_with(b"source") && t.ends_with(b"}"));
    let rest = text.get(at.end..).unwrap_or_default();
    let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    if !written || rest.get(blanks) != Some(&b';') {
        return Err(refusal(&RenderError::NoName { at: at.clone() }));
    }
    Ok(Insertion {
        file: at.file.to_path_buf(),
        at: at.end + blanks + 1,
        text: splice.text.clone(),
        why: "its source has no name, so that only this log path can pass its events on".to_owned(),
    })
}

/// The included folder; where nothing includes it, one name and a block for it at the end of the main file.
fn in_folder(found: &Found<'_>, drop_in: &DropIn) -> Result<Vec<Placed>, Refusal> {
    let config = found.config;
    let usual = drop_in.path.parent().unwrap_or(folder(config));
    // What is read twice would define everything twice: beside the main file, where no pattern takes it in.
    let twice = config.readers(&usual.join(NAMES[0])).nth(1).is_some();
    let dir = if twice { folder(config) } else { usual };
    let included = |name: &&str| config.includes_path(&dir.join(name)).is_some();
    let placed = NAMES.iter().filter(|n| included(n)).map(|n| Placed {
        path: dir.join(n),
        insertions: Vec::new(),
        diverted: None,
        dropped: None,
    });
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
    Ok(vec![Placed { path, insertions: vec![insertion], diverted: None, dropped: None }])
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
        Placed {
            path: path.clone(),
            insertions: vec![include(&at.file, start, &path, &why)],
            diverted: None,
            dropped: None,
        }
    })
}

/// Why a place is of no use.
struct Why {
    refusal: Refusal,
    /// A log path is in the way.
    stopped: Option<Location>,
    /// Somebody else forwards the same events.
    twice: bool,
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Why {
        Why { refusal, stopped: None, twice: false }
    }
}

/// Would the configuration do what we want?
fn works(found: &Found<'_>, wish: &Wish, placed: &Placed, drop_in: &DropIn, from: Senders) -> Result<(), Why> {
    let candidate = candidate(found, placed, drop_in);
    let known: BTreeSet<String> = lint::fatal(found.config).into_iter().map(|p| p.text).collect();
    if let Some(problem) = lint::fatal(&candidate).iter().find(|p| !known.contains(&p.text)) {
        let refusal = Refusal::new(
            format!("our drop-in does not fit this configuration: {problem}"),
            "report this configuration: it should have been handled",
        );
        return Err(refusal.into());
    }
    for l in wanted(&candidate, placed, wish) {
        if reach::is_done(&candidate, &l, wish, Some(&placed.path)) {
            continue;
        }
        reach::once(&candidate, &l, &placed.path, wish).map_err(|miss| explain(&l, &miss, wish, Senders::One))?;
        if from == Senders::Any {
            reach::once_from_anybody(&candidate, &l, &placed.path, wish)
                .map_err(|miss| explain(&l, &miss, wish, Senders::Any))?;
        }
    }
    Ok(())
}

fn explain(l: &ListenerAt<'_>, miss: &Miss, wish: &Wish, from: Senders) -> Why {
    let at = &l.driver.at;
    match miss {
        Miss::Stopped(stop) => Why {
            refusal: Refusal::new(
                format!("events from {at} do not reach our log path: the one at {stop} takes them for good"),
                "move or narrow that log path, or choose another port with --port",
            ),
            stopped: Some(stop.clone()),
            twice: false,
        },
        Miss::Lost(why) => Refusal::new(
            format!("events from {at} do not reach our log path: {why}"),
            "choose another port with --port, or report this configuration",
        )
        .into(),
        Miss::Twice(other) => {
            let (some, every) = match from {
                Senders::Any => ("some of the ", "them"),
                Senders::One => ("", "every event"),
            };
            let refusal = Refusal::new(
                format!(
                    "{other} already forwards {some}events from {at} to 127.0.0.1:{}; a second forward would deliver \
                     {every} twice",
                    wish.agent.port
                ),
                "remove that log path (or comment it out) and run the command again",
            );
            Why { refusal, stopped: None, twice: true }
        }
    }
}
