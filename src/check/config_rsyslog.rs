//! rsyslog's configuration: what `rsyslogd -N1` says of it, and what it misses.

use super::case::Case;
use super::config::{by_concern, concerns_file, correct};
use super::outcome::{Judged, NotJudged, Outcome};
use super::{config_ng, words};
use crate::agent::ama::files;
use crate::report::Status;
use crate::syslog::rsyslog::validate::{self, Harm, Message};
use crate::syslog::rsyslog::{Effective, Problem, Topic};

pub const DROP_INS: &str = "/etc/rsyslog.d";

pub fn config(case: &Case<'_>, config: &Effective) -> Judged {
    let said = said(case);
    let all = || said.iter().map(|(_, m)| (place(m), text(m)));
    if let Some(stopped) = &config.stopped {
        let out = Outcome::fail(format!("{}: {}", stopped.at, stopped.why))
            .seen(stopped.at.to_string(), "nothing behind this place has any effect, in this file or in any other")
            .seen_all(all());
        return Ok(correct(case, std::iter::once(&*stopped.at.file), out));
    }
    let files = || said.iter().filter_map(|(_, m)| m.file.as_deref());
    // Where the main file takes nothing in, that nothing is there to be done is what follows.
    let idle = said.iter().any(|(_, m)| m.text.contains("no active actions"));
    if idle && super::config::include(case).is_ok_and(|o| o.status == Status::Fail) {
        return Err(NotJudged::Blocked(
            "daemon.include",
            "the daemon does not start: its main file has no rule".into(),
        ));
    }
    if let Some((weight, worst)) = said.iter().max_by_key(|(w, _)| *w).filter(|(w, _)| *w > Weight::Mistake) {
        let what = if *weight == Weight::NoStart { "the daemon does not start" } else { "the daemon stops reading" };
        return Ok(correct(case, files(), Outcome::fail(format!("{what}: {}", text(worst))).seen_all(all())));
    }
    let own: Vec<&Problem> = case.rsyslog_errors().filter(|p| is_mistake(p.topic)).collect();
    let first = own.first().map(|p| shown(p)).or_else(|| said.first().map(|(_, m)| (place(m), text(m))));
    let Some(first) = first else { return accepted(case, config) };
    let bad = own.iter().any(|p| concerns(case, p)) || said.iter().any(|(_, m)| concerns_file(case, m.file.as_deref()));
    let files = files().chain(own.iter().filter_map(|p| p.at.as_ref()).map(|at| &*at.file));
    Ok(correct(case, files, by_concern(bad, first).seen_all(own.iter().map(|p| shown(p))).seen_all(all())))
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

fn concerns(case: &Case<'_>, problem: &Problem) -> bool {
    problem.at.as_ref().is_none_or(|at| concerns_file(case, Some(&at.file)))
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

/// Includes that lead nowhere.
pub fn broken_includes(case: &Case<'_>) -> Vec<(String, String)> {
    case.rsyslog_errors().filter(|p| p.topic == Topic::Include).map(shown).collect()
}

/// As evidence.
fn shown(problem: &Problem) -> (String, String) {
    let at = problem.at.as_ref().map_or_else(|| "configuration".to_owned(), |at| at.to_string());
    (at, problem.text.clone())
}

pub fn references(case: &Case<'_>) -> Judged {
    let bad: Vec<&Problem> = case.rsyslog_errors().filter(|p| is_reference(p.topic)).collect();
    let Some(first) = bad.first() else {
        return Ok(Outcome::pass("every ruleset, template, module and queue file is there, and once only"));
    };
    let ours = bad.iter().filter_map(|p| p.at.as_ref()).any(|at| case.is_changed(&at.file));
    let out = by_concern(bad.iter().any(|p| concerns(case, p)), shown(first)).seen_all(bad.iter().map(|p| shown(p)));
    if ours {
        return Ok(out
            .advise("write the file of `cefctl install` anew: somebody has changed it")
            .command(case.install_command())
            .fixable());
    }
    // `install` puts the agent's second file beside the first one.
    let agents = |p: &&Problem| {
        let at = p.at.as_ref().is_some_and(|at| files::is_own(&at.file));
        at && p.topic == Topic::ModuleMissing
    };
    Ok(out
        .advise("define the name before it is used, or correct the place that uses it; then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name()))
        .fixable_if(bad.iter().all(agents) && config_ng::agents_come_back(case)))
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
