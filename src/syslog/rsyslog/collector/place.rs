//! Where our statements go: the name of the drop-in, the include it needs, and the calls into rulesets that belong to
//! somebody else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Found, Insertion, Placed, Refusal, Wish, reach, show, word};
use crate::agent::AgentKind;
use crate::agent::ama::files;
use crate::syslog::collector::line_start;
use crate::syslog::rsyslog::effective::{DEFAULT_RULESET, Effective, Listener, Ruleset, StepKind};
use crate::syslog::rsyslog::parse::Include;
use crate::syslog::rsyslog::problem::Severity;
use crate::syslog::rsyslog::query::around;
use crate::syslog::rsyslog::render::{self, Block, DropIn, OwnInput};
use crate::syslog::source::Overlay;
use crate::syslog::{Location, Text, glob};

/// Where drop-ins live unless the configuration says otherwise.
const USUAL_FOLDER: &str = "/etc/rsyslog.d";

/// Names for the drop-in, best first: early, so that no rule of the box hides events from ours; later ones for a box
/// whose modules are loaded by another drop-in.
const NAMES: [&str; 4] = ["10-cefctl.conf", "00-cefctl.conf", "50-cefctl.conf", "zz-cefctl.conf"];

/// The rulesets that take the events of re-used listeners.
pub struct Rulesets<'a> {
    pub default: bool,
    /// Rulesets of somebody's own, each of which must call ours.
    pub named: Vec<&'a Ruleset>,
}

pub fn rulesets<'a>(config: &'a Effective, reused: &[&Listener]) -> Rulesets<'a> {
    let names: BTreeSet<&Text> = reused.iter().map(|l| config.ruleset_of(l)).collect();
    Rulesets {
        default: names.iter().any(|n| n.is(DEFAULT_RULESET)),
        named: names.iter().filter(|n| !n.is(DEFAULT_RULESET)).filter_map(|n| config.ruleset(n)).collect(),
    }
}

/// The blocks that make somebody's rulesets call ours, each before that ruleset's first statement.
pub fn calls(found: &Found<'_>, rulesets: &Rulesets<'_>, wish: &Wish) -> Result<Vec<Insertion>, Refusal> {
    // The Azure Monitor Agent's own forward stands in the default ruleset, and sees nothing else (facts 3.3).
    let callable = if wish.agent.kind == AgentKind::Ama { DEFAULT_RULESET } else { render::CALLABLE };
    let statement = format!("call {callable}\n");
    let why = |r: &Ruleset| format!("ruleset {} takes the events of the listener", r.name);
    rulesets.named.iter().map(|ruleset| first_in(found, ruleset, &statement, why(ruleset))).collect()
}

/// The block for a default ruleset that takes events away before any drop-in is read.
pub fn call_early(found: &Found<'_>, block: Block) -> Option<Insertion> {
    let ruleset = found.config.ruleset(&Text::from(DEFAULT_RULESET))?;
    let why = "a rule of this file takes events away before our drop-in is read".to_owned();
    first_in(found, ruleset, &render::statements(block), why).ok()
}

/// Statements before the first one of a ruleset.
fn first_in(found: &Found<'_>, ruleset: &Ruleset, statements: &str, why: String) -> Result<Insertion, Refusal> {
    let by_hand = |place: &dyn std::fmt::Display| {
        Refusal::new(
            format!("port is bound to ruleset {} ({place}), and there is no line to put our call on", ruleset.name),
            format!("write “{}” as the first statement of that ruleset, on a line of its own", statements.trim_end()),
        )
    };
    let Some(first) = ruleset.steps.first() else {
        return Err(by_hand(&ruleset.at.as_ref().map(ToString::to_string).unwrap_or_default()));
    };
    let file = first.at.file.to_path_buf();
    let text = found.source.read(&file).map_err(|e| {
        Refusal::new(format!("cannot read {}: {e}", show(&file)), "make it readable and run the command again")
    })?;
    let mut start = line_start(&text, first.at.start);
    let before = text.get(start..first.at.start).unwrap_or_default();
    if !before.iter().all(u8::is_ascii_whitespace) {
        // `ruleset(name="x") { action(…) }` in one line: between the brace and the statement
        if before.trim_ascii_end().last() != Some(&b'{') || before.contains(&b'#') {
            return Err(by_hand(&first.at));
        }
        start = first.at.start;
    }
    Ok(Insertion { file, at: start, text: statements.to_owned(), why })
}

/// One of our inputs behind the line that loads its module.
pub fn behind_module(found: &Found<'_>, drop_in: &DropIn, input: &OwnInput) -> Option<Insertion> {
    let name = render::module(drop_in, input);
    let module = found.config.module(name)?;
    let file = module.at.file.to_path_buf();
    let text = found.source.read(&file).ok()?;
    let rest = text.get(module.at.end..)?;
    let line_end = rest.iter().position(|b| *b == b'\n').map_or(text.len(), |n| module.at.end + n + 1);
    Some(Insertion {
        file,
        at: line_end,
        text: render::input(drop_in, input),
        why: format!("module {name} is loaded here, behind the drop-ins"),
    })
}

/// Finds a path for the drop-in at which it works: read by the daemon, nothing new wrong with the configuration, and
/// every listener's events reaching our forward. Adds the include to the main file where none would read it.
pub fn drop_in(
    found: &Found<'_>,
    wish: &Wish,
    bytes: &[u8],
    insertions: &mut Vec<Insertion>,
) -> Result<PathBuf, Refusal> {
    let folder = folder(found.config);
    let readers = readers(found.config, &folder.join(NAMES[0]));
    if let [first, second, ..] = readers.as_slice() {
        return Err(Refusal::new(
            format!("{} is read twice, by {first} and by {second}; everything in it would count double", show(&folder)),
            "remove one of the two lines and run the command again",
        ));
    }
    if let Some(nested) = found.config.includes.iter().find(|i| i.nested && readers.contains(&i.at)) {
        return Err(Refusal::new(
            format!("{} is read within braces ({}), where a file cannot open listeners", show(&folder), nested.at),
            "move that include to the outermost level, or have it read another folder, and run the command again",
        ));
    }
    if !NAMES.iter().any(|n| !self::readers(found.config, &folder.join(n)).is_empty()) {
        insertions.push(include(found, &folder.join(NAMES[0]))?);
    }
    let (mut works_at, mut first_reason) = (None, None);
    for name in NAMES {
        let path = folder.join(name);
        if found.source.read(&path).is_ok() {
            continue;
        }
        match works(found, wish, &path, bytes, insertions) {
            // Samples are samples: best is a place before anything that could take any event away.
            Ok(candidate) if !comes_after_a_stop(&candidate, &path) => return Ok(path),
            Ok(_) => {
                works_at.get_or_insert(path);
            }
            Err(reason) => {
                first_reason.get_or_insert(reason);
            }
        }
    }
    if let Some(path) = works_at {
        return Ok(path);
    }
    Err(first_reason.unwrap_or_else(|| {
        Refusal::new(
            format!("{} holds files with all the names of ours, but they are not ours", show(&folder)),
            "move them away and run the command again",
        )
    }))
}

/// Does the Azure Monitor Agent's own file hand events on from the default ruleset before `path` is read? Drop-ins are
/// read in the order of their names.
pub fn is_behind_agents_own(config: &Effective, path: &Path) -> bool {
    let own = |at: &Path| files::PLACES.iter().any(|p| p.daemon == files::Daemon::Rsyslog && Path::new(p.path) == at);
    let before = |at: &Path| at.parent() == path.parent() && at.file_name() < path.file_name();
    let default = config.ruleset(&Text::from(DEFAULT_RULESET));
    default.is_some_and(|r| r.steps.iter().any(|s| own(&s.at.file) && before(&s.at.file)))
}

/// The folder that drop-ins are read from.
fn folder(config: &Effective) -> PathBuf {
    let folders: Vec<PathBuf> = config
        .includes
        .iter()
        // within braces only statements can be read
        .filter(|i| !i.nested)
        .map(|i| PathBuf::from(i.pattern.to_str_lossy().as_ref()))
        .filter(|p| NAMES.iter().any(|n| p.parent().is_some_and(|d| glob::matches(p, &d.join(n)))))
        .filter_map(|p| p.parent().map(Path::to_path_buf))
        .collect();
    let usual = PathBuf::from(USUAL_FOLDER);
    if folders.contains(&usual) { usual } else { folders.into_iter().next().unwrap_or(usual) }
}

/// The includes that would read a file at `path`.
fn readers(config: &Effective, path: &Path) -> Vec<Location> {
    let reads = |i: &&Include| {
        let pattern = i.pattern.to_str_lossy();
        let folder = Path::new(pattern.trim_end_matches('/'));
        glob::matches(Path::new(pattern.as_ref()), path) || (pattern.ends_with('/') && path.parent() == Some(folder))
    };
    config.includes.iter().filter(reads).map(|i| i.at.clone()).collect()
}

/// Has the main file read our drop-in, before its first rule.
fn include(found: &Found<'_>, path: &Path) -> Result<Insertion, Refusal> {
    let main = &found.config.main;
    let text = found.source.read(main).map_err(|e| {
        Refusal::new(format!("cannot read {}: {e}", show(main)), "make it readable and run the command again")
    })?;
    let default = found.config.rulesets.iter().filter(|r| r.name.is(DEFAULT_RULESET)).flat_map(|r| &r.steps);
    let first_rule = default.filter(|s| &*s.at.file == main.as_path()).map(|s| s.at.start).min();
    Ok(Insertion {
        file: main.clone(),
        at: first_rule.map_or(text.len(), |at| line_start(&text, at)),
        text: format!("$IncludeConfig {}\n", path.display()),
        why: "no include reads our drop-in".to_owned(),
    })
}

/// A rule that takes the events of some devices away before they come to our forward, or to the Azure Monitor Agent's
/// own, where that is there.
pub fn taken_away(found: &Found<'_>, wish: &Wish, placed: &Placed) -> Option<Location> {
    let (path, bytes, insertions) = placed;
    let changes = super::overlay(path, bytes, insertions, found.source);
    let candidate = Effective::load(&found.config.main, &Overlay { base: found.source, changes });
    let wanted = |l: &&Listener| l.port_number().is_some_and(|port| wish.has_port(port, l.tls.is_some()));
    candidate.listeners.iter().filter(wanted).find_map(|l| reach::diverted(&candidate, l, wish))
}

/// Does a rule of the default ruleset that may take events away stand before ours?
fn comes_after_a_stop(candidate: &Effective, path: &Path) -> bool {
    let Some(ruleset) = candidate.ruleset(&Text::from(DEFAULT_RULESET)) else { return false };
    let ours = ruleset.steps.iter().position(|s| &*s.at.file == path);
    let before = ruleset.steps.get(..ours.unwrap_or(0)).unwrap_or_default();
    around(before, &|kind| matches!(kind, StepKind::Stop)).is_some()
}

/// The configuration with the drop-in at `path`, if it does what we want.
fn works(
    found: &Found<'_>,
    wish: &Wish,
    path: &Path,
    bytes: &[u8],
    insertions: &[Insertion],
) -> Result<Effective, Refusal> {
    let changes = super::overlay(path, bytes, insertions, found.source);
    let candidate_source = Overlay { base: found.source, changes };
    let candidate = Effective::load(&found.config.main, &candidate_source);
    if !candidate.files.iter().any(|f| f.path == path) {
        return Err(Refusal::new(
            format!("no include reads a file of the name {}", show(path)),
            "have the main file include every *.conf of that folder, and run the command again",
        ));
    }
    let known: BTreeSet<&str> = found.config.problems.iter().map(|p| p.text.as_str()).collect();
    let new = candidate.problems.iter().find(|p| p.severity == Severity::Error && !known.contains(p.text.as_str()));
    if let Some(problem) = new {
        return Err(Refusal::new(
            format!("our drop-in does not fit this configuration: {problem}"),
            "report this configuration: it should have been handled",
        ));
    }
    // That agent's forward may come later: its file is written when Azure says so, or by the same plan.
    if wish.agent.kind == AgentKind::Ama && candidate.forwards_to(wish.agent.port).is_empty() {
        return Ok(candidate);
    }
    let wanted = |l: &&Listener| l.port_number().is_some_and(|port| wish.has_port(port, l.tls.is_some()));
    for listener in candidate.listeners.iter().filter(wanted) {
        reach::forwarded(&candidate, listener, wish).map_err(|blocked| {
            Refusal::new(
                format!("{} events from {} do not reach our rule: {blocked}", word(listener.transport), listener.at),
                "move or narrow that statement, or choose another port with --port",
            )
        })?;
    }
    Ok(candidate)
}
