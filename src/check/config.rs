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
use crate::syslog::rsyslog::validate::{self, Harm, Message};
use crate::syslog::rsyslog::{Effective, Problem, Topic};

const DROP_INS: &str = "/etc/rsyslog.d";

pub fn config(case: &Case<'_>) -> Judged {
    let config = case.config_as_read()?;
    let said = said(case);
    let all = || said.iter().map(|(_, m)| (place(m), text(m)));
    if let Some(stopped) = &config.stopped {
        let out = Outcome::fail(format!("{}: {}", stopped.at, stopped.why))
            .seen(stopped.at.to_string(), "nothing behind this place has any effect, in this file or in any other")
            .seen_all(all());
        return Ok(correct(case, out));
    }
    if let Some((weight, worst)) = said.iter().max_by_key(|(w, _)| *w).filter(|(w, _)| *w > Weight::Mistake) {
        let what = if *weight == Weight::NoStart { "the daemon does not start" } else { "the daemon stops reading" };
        return Ok(correct(case, Outcome::fail(format!("{what}: {}", text(worst))).seen_all(all())));
    }
    let own: Vec<&Problem> = case.errors().filter(|p| is_mistake(p.topic)).collect();
    let first = own.first().map(|p| shown(p)).or_else(|| said.first().map(|(_, m)| (place(m), text(m))));
    let Some(first) = first else { return accepted(case, config) };
    let bad = own.iter().any(|p| concerns(case, p)) || said.iter().any(|(_, m)| concerns_file(case, m.file.as_deref()));
    Ok(correct(case, by_concern(bad, first).seen_all(own.iter().map(|p| shown(p))).seen_all(all())))
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
    problem.at.as_ref().is_none_or(|at| concerns_file(case, Some(&at.file)))
}

/// Has the file a listener of the port, a forward to this box, or did `install` write it? A message without a place is
/// about something somewhere.
fn concerns_file(case: &Case<'_>, file: Option<&Path>) -> bool {
    let (Some(file), Ok(config)) = (file, case.config_as_read()) else { return false };
    let listens = config.listeners.iter().any(|l| &*l.at.file == file && l.port_number() == Some(case.target.port));
    let forwards = config.forwards().any(|(a, f)| &*a.at.file == file && f.is_loopback());
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    listens || forwards || receipt.is_some_and(|r| r.files.iter().any(|f| f.path == encode_path(file)))
}

/// What a message of the validator means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Mistake,
    CutOff,
    NoStart,
}

/// What `rsyslogd -N1` says that does harm and that no other check names better.
fn said(case: &Case<'_>) -> Vec<(Weight, Message)> {
    let stderr = case.facts.rsyslog.validation.as_ref().map(|v| v.stderr.0.as_slice()).unwrap_or_default();
    let weigh = |message: Message| {
        let weight = match message.harm {
            Harm::NoStart => Weight::NoStart,
            Harm::ConfigCutOff => Weight::CutOff,
            Harm::Harmful if !is_named_elsewhere(&message) => Weight::Mistake,
            Harm::Harmful | Harm::Harmless | Harm::Aside => return None,
        };
        Some((weight, message))
    };
    let mut messages = validate::parse(stderr).messages;
    // Of a parameter that is set twice the daemon says in the next breath that it does not know it.
    let twice = |m: &Message| m.text.contains("specified more than once");
    let places: Vec<_> = messages.iter().filter(|m| twice(m)).map(|m| (m.file.clone(), m.line)).collect();
    messages.retain(|m| !(m.text.contains("not known -- typo") && places.contains(&(m.file.clone(), m.line))));
    messages.into_iter().filter_map(weigh).collect()
}

/// Without the place, which stands before it anyway.
fn text(message: &Message) -> String {
    let text = message.line.and_then(|line| message.text.split_once(&format!(", on or before line {line}: ")));
    text.map_or(message.text.as_str(), |(_, text)| text).to_owned()
}

/// The work directory (2181) is judged with the queue, inputs without module (2209), templates, rulesets and queue files
/// with the references; of a setting given twice the first one counts, and what that means is judged where it matters.
fn is_named_elsewhere(message: &Message) -> bool {
    let has = |words: &str| message.text.contains(words);
    matches!(message.code, Some(2181 | 2209))
        || has("Could not find template")
        || has("errors occurred in file")
        || has("using default ruleset")
        || (has("ruleset '") && has("cannot be found"))
        || has("already used. This is not possible")
        || has("specified more than once")
}

fn place(message: &Message) -> String {
    match (&message.file, message.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        (Some(file), None) => file.display().to_string(),
        (None, _) => "rsyslogd -N1".into(),
    }
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
    let broken: Vec<&Problem> = case.errors().filter(|p| p.topic == Topic::Include).collect();
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
        // A file that one include leaves out and another one reads is there.
        let read = |path: &Path| config.files.iter().any(|f| f.path == path);
        let lost = config.includes.iter().flat_map(|i| &i.lost).any(|path| !read(path));
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

/// As evidence.
fn shown(problem: &Problem) -> (String, String) {
    let at = problem.at.as_ref().map_or_else(|| "configuration".to_owned(), |at| at.to_string());
    (at, problem.text.clone())
}

pub fn references(case: &Case<'_>) -> Judged {
    case.rsyslog()?;
    let bad: Vec<&Problem> = case.errors().filter(|p| is_reference(p.topic)).collect();
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
