//! Judgements on the daemon's configuration as a whole: accepted, every name leads somewhere, every file read and
//! readable.

use std::collections::BTreeSet;
use std::path::Path;

use super::case::Case;
use super::facts::{DropIn, UnitFacts, encode_path};
use super::outcome::{Judged, NotJudged, Outcome};
use super::validator::{self, Message, Weight};
use super::words;
use crate::host::FileKind;
use crate::platform::access::{self, Who};
use crate::report::shell_quote;
use crate::syslog::rsyslog::{Effective, Problem, Severity, Topic};

const DROP_INS: &str = "/etc/rsyslog.d";

pub fn config(case: &Case<'_>) -> Judged {
    let config = case.config_as_read()?;
    if let Some(stopped) = &config.stopped {
        let out = Outcome::fail(format!("{}: {}", stopped.at, stopped.why))
            .seen(stopped.at.to_string(), "nothing behind this place has any effect, in this file or in any other")
            .seen_all(said(case, Weight::Harmful));
        return Ok(correct(case, out));
    }
    if let Some((place, text)) = said(case, Weight::Fatal).first() {
        let out = Outcome::fail(format!("the daemon ends at its start: {text}")).seen(place, text);
        return Ok(correct(case, out.seen_all(said(case, Weight::Harmful))));
    }
    let own: Vec<&Problem> = of_topic(config, |p| is_mistake(p.topic)).collect();
    let from_daemon: Vec<Message> = messages(case).into_iter().filter(|m| m.weight == Weight::Harmful).collect();
    let first = own.first().map(|p| shown(p)).or_else(|| from_daemon.first().map(|m| (m.place(), m.text.clone())));
    let Some(first) = first else { return accepted(case, config) };
    let bad =
        own.iter().any(|p| concerns(case, p)) || from_daemon.iter().any(|m| concerns_file(case, m.file.as_deref()));
    let out = by_concern(bad, first).seen_all(own.iter().map(|p| shown(p))).seen_all(said(case, Weight::Harmful));
    Ok(correct(case, out))
}

fn accepted(case: &Case<'_>, config: &Effective) -> Judged {
    let files = words::count(config.files.len(), "file");
    match &case.facts.rsyslog.validation {
        Ok(_) => Ok(Outcome::pass(format!("{files} accepted"))),
        Err(why) if case.facts.host.live => {
            Err(NotJudged::Unknown(format!("nothing wrong was found in {files}, but rsyslogd was not asked: {why}")))
        }
        Err(_) => Ok(Outcome::pass(format!("nothing wrong was found in {files}; rsyslogd itself was not asked"))),
    }
}

/// A mistake where the events of the collector pass fails; elsewhere it warns: somebody's rule has no effect, but no
/// security event is lost.
fn by_concern(concerns: bool, (at, text): (String, String)) -> Outcome {
    let text = format!("{at}: {text}");
    if concerns { Outcome::fail(text) } else { Outcome::warn(text) }
}

fn concerns(case: &Case<'_>, problem: &Problem) -> bool {
    problem.at.as_ref().is_none_or(|at| concerns_file(case, Some(&encode_path(&at.file))))
}

/// Has the file a listener of the port, a forward to this box, or did `install` write it? A message without a place is
/// about something somewhere.
fn concerns_file(case: &Case<'_>, file: Option<&str>) -> bool {
    let (Some(file), Ok(config)) = (file, case.config_as_read()) else { return false };
    let here = |path: &Path| encode_path(path) == file;
    let listens = config.listeners.iter().any(|l| here(&l.at.file) && l.port_number() == Some(case.target.port));
    let forwards = config.forwards().any(|(a, f)| here(&a.at.file) && f.is_loopback());
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    listens || forwards || receipt.is_some_and(|r| r.files.iter().any(|f| f.path == file))
}

fn messages(case: &Case<'_>) -> Vec<Message> {
    case.facts.rsyslog.validation.as_ref().map(|v| validator::read(&v.stderr.0)).unwrap_or_default()
}

/// What the daemon's own validator says of at least this weight.
fn said(case: &Case<'_>, least: Weight) -> Vec<(String, String)> {
    let heavy = messages(case).into_iter().filter(|m| m.weight >= least);
    let place = |m: &Message| if m.file.is_some() { format!("rsyslogd -N1, {}", m.place()) } else { m.place() };
    heavy.take(8).map(|m| (place(&m), m.text)).collect()
}

fn is_mistake(topic: Topic) -> bool {
    matches!(topic, Topic::Character | Topic::Syntax | Topic::Unsupported | Topic::Setting | Topic::Statement)
}

fn correct(case: &Case<'_>, out: Outcome) -> Outcome {
    out.advise("correct the place that is named, check it, restart the daemon")
        .command("sudo rsyslogd -N1")
        .command(format!("sudo systemctl restart {}", case.unit_name()))
}

pub fn include(case: &Case<'_>) -> Judged {
    let config = case.rsyslog()?;
    let drop_ins = case.facts.rsyslog.drop_in_folder.as_ref()?;
    let wanted: Vec<&DropIn> = drop_ins.iter().filter(|d| is_config_file(d)).collect();
    if wanted.is_empty() {
        return Err(NotJudged::Skip(format!("there is no {DROP_INS} with files in it")));
    }
    let read: BTreeSet<String> = config.files.iter().flat_map(|f| names_of(case, &f.path)).collect();
    let unread: Vec<&DropIn> =
        wanted.iter().copied().filter(|d| !read.contains(&d.path) && !read.contains(&d.real)).collect();
    if unread.is_empty() {
        return Ok(Outcome::pass(format!("{} of {DROP_INS} read", words::count(wanted.len(), "file"))));
    }
    let main = &case.facts.rsyslog.main_file;
    let whole = unread.len() == wanted.len();
    let summary = match whole {
        true => {
            format!("{main} does not include {DROP_INS}: {} there without effect", words::count(unread.len(), "file"))
        }
        false => format!("{} in {DROP_INS} without effect", words::count(unread.len(), "file")),
    };
    let includes = config.includes.iter().map(|i| (i.at.to_string(), format!("includes {}", i.pattern)));
    let out = Outcome::fail(summary)
        .seen_all(unread.iter().map(|d| (d.path.as_str(), "not read by the daemon")))
        .seen_all(includes);
    Ok(if whole {
        out.advise(format!(
            "add the line `$IncludeConfig {DROP_INS}/*.conf` to {main}, before its rules, then restart the daemon"
        ))
        .command(case.install_command())
        .fixable()
    } else {
        out.advise("see which include leaves them out, or move them to where files are read from")
    })
}

/// A file, or a link to one, by the name that every include pattern of a distribution takes.
fn is_config_file(entry: &DropIn) -> bool {
    let hidden = Path::new(&entry.path).file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    entry.kind == Some(FileKind::File) && entry.path.ends_with(".conf") && !hidden
}

/// The path as the configuration has it, and the file behind it.
fn names_of(case: &Case<'_>, path: &Path) -> Vec<String> {
    let name = encode_path(path);
    let real = case.facts.rsyslog.config.files.get(&name).and_then(|f| f.walk.last()).map(|s| s.path.clone());
    std::iter::once(name).chain(real).collect()
}

pub fn files(case: &Case<'_>) -> Judged {
    let config = case.config_as_read()?;
    let who = reader(case)?;
    let mut denied = Vec::new();
    for (path, file) in &case.facts.rsyslog.config.files {
        if file.kind == Some(FileKind::File)
            && let Err(at) = access::may(&who, &file.walk, access::READ)
        {
            denied.push((path.clone(), at));
        }
    }
    let broken: Vec<&Problem> = of_topic(config, |p| p.topic == Topic::Include).collect();
    if let Some((path, at)) = denied.first() {
        let folder = at.path != *path;
        let mode = if folder { "0755" } else { "0644" };
        return Ok(Outcome::fail(format!("the daemon may not read {path}: {} has {}", at.path, at.why))
            .seen("the daemon starts as", format!("user {}, group {}, groups {:?}", who.uid, who.gid, who.groups))
            .seen_all(denied.iter().map(|(path, at)| (path.clone(), format!("{}: {}", at.path, at.why))))
            .advise("let the daemon read it, then restart it")
            .command(format!("sudo chmod {mode} {}", shell_quote(&at.path)))
            .command(format!("sudo systemctl restart {}", case.unit_name())));
    }
    if let Some(first) = broken.first() {
        let lost = config.includes.iter().any(|i| !i.lost.is_empty());
        let out = if lost { Outcome::fail(first.text.clone()) } else { Outcome::warn(first.text.clone()) };
        return Ok(out
            .seen_all(broken.iter().map(|p| shown(p)))
            .advise("remove or correct what is named, then restart the daemon"));
    }
    let count = config.files.len();
    Ok(Outcome::pass(format!("{} read, all readable for the daemon", words::count(count, "file"))))
}

/// Who the daemon is when it reads its configuration: it drops privileges only afterwards.
fn reader(case: &Case<'_>) -> Result<Who, NotJudged> {
    let unit = case.facts.unit("rsyslog.service");
    let process = case.facts.daemon_process();
    let user = unit.map(|u: &UnitFacts| u.user.as_str()).unwrap_or_default();
    if !matches!(user, "" | "root" | "0") {
        let p =
            process.ok_or_else(|| format!("the unit runs as {user}, and without its process nothing more is known"))?;
        return Ok(Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective });
    }
    let capabilities = process.map_or(u64::MAX, |p| p.cap_bounding);
    Ok(Who { capabilities, ..Who::default() })
}

fn of_topic<'a>(config: &'a Effective, wanted: impl Fn(&Problem) -> bool + 'a) -> impl Iterator<Item = &'a Problem> {
    config.problems.iter().filter(|p| p.severity == Severity::Error).filter(move |p| wanted(p))
}

/// As evidence.
fn shown(problem: &Problem) -> (String, String) {
    let at = problem.at.as_ref().map_or_else(|| "configuration".to_owned(), |at| at.to_string());
    (at, problem.text.clone())
}

pub fn references(case: &Case<'_>) -> Judged {
    let config = case.rsyslog()?;
    let bad: Vec<&Problem> = of_topic(config, |p| is_reference(p.topic)).collect();
    let Some(first) = bad.first() else {
        return Ok(Outcome::pass("every ruleset, template, module and queue file is there, and once only"));
    };
    Ok(by_concern(bad.iter().any(|p| concerns(case, p)), shown(first))
        .seen_all(bad.iter().map(|p| shown(p)))
        .advise("define the name before it is used, or correct the place that uses it; then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name())))
}

fn is_reference(topic: Topic) -> bool {
    matches!(
        topic,
        Topic::ModuleMissing
            | Topic::RulesetMissing
            | Topic::TemplateMissing
            | Topic::NameTwice
            | Topic::QueueFileTwice
    )
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
