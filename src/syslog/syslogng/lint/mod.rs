//! What `syslog-ng --syntax-only` does not see but the daemon stops at when it starts: names that are not defined, two
//! drivers on one port, two drivers that keep their state under one name. And what works, but not as somebody meant it.
//!
//! Every rule here was tried on 3.28, 3.38 and 4.8: the syntax check returns 0, the start ends with 2.

mod names;
mod ports;
mod state;

pub use ports::{Clash, clashes};

use super::effective::{Effective, Flags, LogPath, Ref, SourceKind, StepKind};
use super::problem::{Problem, Topic};
use super::version::Version;
use crate::syslog::{Location, Text};

/// Everything that is wrong or doubtful, what the reading itself found included; errors first, in the order of files.
pub fn lint(config: &Effective) -> Vec<Problem> {
    let mut found = config.problems.clone();
    names::references(config, &mut found);
    names::twice(config, &mut found);
    names::templates(config, &mut found);
    ports::conflicts(config, &mut found);
    state::conflicts(config, &mut found);
    version(config, &mut found);
    drop_in_folder(config, &mut found);
    unused(config, &mut found);
    unreachable(config, &mut found);
    found.sort_by_key(|p| std::cmp::Reverse(p.severity));
    found
}

/// What makes the daemon refuse to start with this configuration.
pub fn fatal(config: &Effective) -> Vec<Problem> {
    let mut found = lint(config);
    found.retain(|p| p.severity == super::Severity::Error);
    found
}

fn top(config: &Effective) -> Location {
    Location { file: config.main.as_path().into(), line: 1, start: 0, end: 0 }
}

fn version(config: &Effective, found: &mut Vec<Problem>) {
    let Some(program) = config.program else {
        if config.versions.is_empty() && !config.files.iter().all(|f| f.error.is_some()) {
            let text = "no @version line; programs from 3.13 to 4.7 do not start without one";
            found.push(Problem::warning(Topic::Version, &top(config), text));
        }
        return;
    };
    let Some(line) = config.versions.first() else {
        if !program.may_lack_version() {
            let text = format!("no @version line; syslog-ng {program} does not start without one");
            found.push(Problem::error(Topic::Version, &top(config), text));
        }
        return;
    };
    match line.version {
        Some(v) if v < Version::new(3, 0, 0) => {
            let text = "configurations before 3.0 are not read any more";
            found.push(Problem::error(Topic::Version, &line.at, text));
        }
        Some(v) if v.language() > program.language() => {
            let text = format!("@version {v} is newer than the program ({program})");
            found.push(Problem::warning(Topic::Version, &line.at, text));
        }
        _ => {}
    }
}

/// Files put into `conf.d` have no effect when nothing includes them.
fn drop_in_folder(config: &Effective, found: &mut Vec<Problem>) {
    let folder = config.drop_in_folder();
    if config.includes_path(&folder.join("any.conf")).is_none() {
        let text = format!("nothing includes {}/*.conf", folder.display());
        found.push(Problem::warning(Topic::DropInFolder, &top(config), text));
    }
}

fn unused(config: &Effective, found: &mut Vec<Problem>) {
    for l in config.listeners().into_iter().filter(|l| !l.used) {
        let name = l.source.name.clone().unwrap_or_default();
        let text = format!("source '{name}' is in no log path: the daemon does not open port {}", l.listener.port);
        found.push(Problem::warning(Topic::Unused, &l.driver.at, text));
    }
}

/// Paths behind one that takes every event of their sources for good.
fn unreachable(config: &Effective, found: &mut Vec<Problem>) {
    let mut taken: Vec<(&Ref, &Location)> = Vec::new();
    for path in config.logs.iter().filter(|p| !p.flags.fallback) {
        let sources = path.sources();
        if sources.is_empty() && !path.flags.catchall {
            found.push(Problem::warning(Topic::Unreachable, &path.at, "a log path without a source gets no events"));
            continue;
        }
        let by = |s: &Ref| taken.iter().find(|(t, _)| *t == s).map(|(_, at)| *at);
        if !path.flags.catchall
            && sources.iter().all(|s| by(s).is_some())
            && let Some(at) = sources.first().and_then(|s| by(s))
        {
            let text = format!("no event gets here: the log path at {at} takes all of them for good");
            found.push(Problem::warning(Topic::Unreachable, &path.at, text));
        }
        if takes_all(path) {
            taken.extend(sources.into_iter().map(|s| (s, &path.at)));
        }
    }
}

fn takes_all(path: &LogPath) -> bool {
    let Flags { is_final, fallback, .. } = path.flags;
    let passes = |k: &StepKind| matches!(k, StepKind::Source(_) | StepKind::Destination(_) | StepKind::Rewrite(_));
    is_final && !fallback && path.steps.iter().all(|s| passes(&s.kind))
}

/// Connections per listener where nothing is set: too few for a collector.
pub const FEW_CONNECTIONS: i64 = 10;

/// Settings of the collector's listeners that cost events under load.
pub fn limits(config: &Effective, port: u16) -> Vec<Problem> {
    let mut found = Vec::new();
    for l in config.listeners().into_iter().filter(|l| l.used && l.listener.port_number() == Some(port)) {
        let (at, listener) = (&l.driver.at, l.listener);
        let mut say = |text: String| found.push(Problem::warning(Topic::Limits, at, text));
        if listener.transport.is_stream() && listener.max_connections <= FEW_CONNECTIONS {
            let n = listener.max_connections;
            say(format!("no more than {n} connections at a time; the next one is closed without a word"));
        }
        if listener.transport.is_stream() && listener.window < listener.max_connections * 10 {
            let text = "log-iw-size({}) leaves each of max-connections({}) a window of less than 10 events";
            let text = text.replacen("{}", &listener.window.to_string(), 1);
            say(text.replacen("{}", &listener.max_connections.to_string(), 1));
        }
        if listener.message_size < 65_536 {
            say(format!("events are cut at {} bytes", listener.message_size));
        }
        if listener.use_dns {
            say("use-dns(yes): reading waits for name servers".to_owned());
        }
        if !listener.keep_hostname && listener.format != super::effective::Format::Raw {
            say("keep-hostname(no): the sender's address takes the place of the device's name".to_owned());
        }
    }
    found
}

/// A short list of names for a message.
fn listed<'a>(names: impl Iterator<Item = &'a Text>) -> String {
    let names: Vec<String> = names.map(|n| n.to_string()).collect();
    match names.len() {
        0 => "none is".to_owned(),
        n if n > 8 => format!("{}, … ({n} in all)", names[..8].join(", ")),
        _ => names.join(", "),
    }
}

/// Name of what a source driver does, for messages.
fn shown(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Internal => "internal()",
        SourceKind::System => "system()",
        _ => "the same input",
    }
}

#[cfg(test)]
mod tests;
