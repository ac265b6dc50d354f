//! Judgements on the daemon's configuration as a whole: accepted, every name leads somewhere, every file read and
//! readable.

use std::collections::BTreeSet;
use std::path::Path;

use super::case::Case;
use super::facts::{DropIn, UnitFacts, encode_path};
use super::outcome::{Judged, NotJudged, Outcome};
use super::words;
use crate::host::FileKind;
use crate::platform::access::{self, Who};
use crate::report::shell_quote;
use crate::syslog::rsyslog::{Effective, Problem, Severity, Topic};

const DROP_INS: &str = "/etc/rsyslog.d";

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
    let (at, text) = shown(first);
    Ok(Outcome::fail(format!("{at}: {text}"))
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
