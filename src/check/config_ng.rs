//! syslog-ng's configuration. The daemon refuses a configuration with a mistake as a whole, and its own check misses
//! names that lead nowhere: with them it goes on as it runs and does not come back after the next start (facts 6.4).

use std::path::Path;

use super::case::Case;
use super::config::{concerns_file, correct};
use super::damage;
use super::outcome::{Judged, NotJudged, Outcome};
use super::target::Daemon;
use super::words;
use crate::agent::AgentKind;
use crate::agent::ama::files;
use crate::host::Output;
use crate::syslog::syslogng::validate::{Message, Report};
use crate::syslog::syslogng::{Effective, Problem, Severity, Topic};

/// What the daemon's own check said.
fn report(case: &Case<'_>) -> Option<Report> {
    let validation = case.facts.syslog_ng.validation.as_ref().ok()?;
    let output = Output { exit: validation.exit, stdout: Vec::new(), stderr: validation.stderr.0.clone() };
    Some(Report::read(&output))
}

/// Errors of the reading: what stands in files cannot be told, or not all of it.
fn reading_errors<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Problem> {
    case.syslog_ng_problems().iter().filter(|p| p.severity == Severity::Error && is_reading(p.topic))
}

fn error_files<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Path> {
    reading_errors(case).filter_map(|p| p.at.as_ref()).map(|at| &*at.file)
}

fn is_reading(topic: Topic) -> bool {
    matches!(topic, Topic::Syntax | Topic::Include | Topic::Version | Topic::Define | Topic::ModuleMissing)
}

/// Why nothing can be built on the configuration as we read it. Where the daemon accepts it, it is the daemon that knows.
pub fn unreadable(case: &Case<'_>) -> Option<String> {
    if case.target.daemon != Daemon::SyslogNg || report(case).is_some_and(|r| r.accepted) {
        return None;
    }
    let first = reading_errors(case).next()?;
    Some(format!("the daemon takes none of its configuration: {first}"))
}

pub fn config(case: &Case<'_>, config: &Effective) -> Judged {
    let files = words::count(config.files.len(), "file");
    let runs = case.process().is_some();
    let harm = match runs {
        true => "the daemon goes on with what it has loaded, and does not come back after the next start",
        false => "the daemon does not start",
    };
    let own = || reading_errors(case).map(shown);
    match report(case) {
        Some(report) if !report.accepted => {
            let errors = || report.messages.iter().filter(|m| m.severity == Severity::Error);
            // The daemon does not always say where, and where something is not closed it stumbles in the next file only.
            let placed = errors().find(|m| m.file.is_some());
            let agreed = placed.filter(|m| {
                let file = |p: &Problem| p.at.as_ref().map(|at| at.file.to_path_buf());
                reading_errors(case).next().is_none() || reading_errors(case).any(|p| file(p) == m.file)
            });
            let first = agreed.map(said).or_else(|| own().next()).or_else(|| errors().next().map(said));
            let (at, text) = first.unwrap_or_else(|| ("syslog-ng --syntax-only".into(), "it is refused".into()));
            let out = Outcome::fail(format!("{at}: {text}; {harm}"));
            let files = errors().filter_map(|m| m.file.as_deref()).chain(error_files(case));
            Ok(correct(case, files, out.seen_all(errors().map(said)).seen_all(own())))
        }
        Some(_) => match damage::local_logs_lost(case, config) {
            Some(damage) => Ok(damage),
            None => Ok(Outcome::pass(format!("{files} accepted"))),
        },
        None => match (own().next(), &case.facts.syslog_ng.validation) {
            (Some((at, text)), _) => {
                Ok(correct(case, error_files(case), Outcome::fail(format!("{at}: {text}; {harm}")).seen_all(own())))
            }
            (None, Err(why)) if case.facts.host.live => Err(NotJudged::Unknown(format!(
                "nothing wrong was found in {files}, but syslog-ng was not asked: {why}"
            ))),
            (None, _) => {
                Ok(Outcome::pass(format!("nothing wrong was found in {files}; syslog-ng itself was not asked")))
            }
        },
    }
}

/// Can `install` put the Azure Monitor Agent's own file back?
pub fn agents_come_back(case: &Case<'_>) -> bool {
    let ama = case.facts.agent_states.ama.as_ref().filter(|_| case.target.agent == AgentKind::Ama);
    let Some(ama) = ama else { return false };
    ama.own.is_told() && super::agents::forward_config::placeable(ama, case)
}

fn said(message: &Message) -> (String, String) {
    let at = match (&message.file, message.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        (Some(file), None) => file.display().to_string(),
        (None, _) => "syslog-ng --syntax-only".into(),
    };
    (at, message.text.clone())
}

fn shown(problem: &Problem) -> (String, String) {
    let at = problem.at.as_ref().map_or_else(|| "configuration".to_owned(), |at| at.to_string());
    (at, problem.text.clone())
}

/// Includes that lead nowhere.
pub fn broken_includes(case: &Case<'_>) -> Vec<(String, String)> {
    reading_errors(case).filter(|p| p.topic == Topic::Include).map(shown).collect()
}

pub fn references(case: &Case<'_>, config: &Effective) -> Judged {
    let errors = || {
        let names = |t| matches!(t, Topic::ReferenceMissing | Topic::NameTwice | Topic::StateTwice);
        case.syslog_ng_problems().iter().filter(move |p| p.severity == Severity::Error && names(p.topic))
    };
    let again = |out: Outcome| {
        out.advise("define the name, or correct the place that uses it, before the daemon is restarted")
            .command(case.check_command())
            .command(case.load_command())
    };
    if let Some(first) = errors().next() {
        let (at, text) = shown(first);
        let harm = match case.process().is_some() {
            true => "the running daemon does not come back after the next start",
            false => "the daemon does not start",
        };
        let text = text.trim_end_matches("; the daemon does not start").to_owned();
        let out = Outcome::fail(format!("{at}: {text}; {harm}")).seen_all(errors().map(shown));
        let out = damage::explain_missing(case, config, again(out));
        // `install` lets the agent's file take from the source that this box has.
        let agents =
            |p: &Problem| p.topic == Topic::ReferenceMissing && p.at.as_ref().is_some_and(|at| files::is_own(&at.file));
        // Ours of versions before hands its events to what that file defines.
        let theirs = |p: &Problem| {
            let name = p.at.as_ref().and_then(|at| at.file.file_name()).map(|n| n.to_string_lossy().into_owned());
            p.topic == Topic::ReferenceMissing
                && name.is_some_and(|n| n.ends_with("cefctl.conf"))
                && agents_come_back(case)
        };
        let ours = |p: &Problem| p.at.as_ref().is_some_and(|at| case.is_changed(&at.file));
        let all = errors().all(|p| ours(p) || (case.target.agent == AgentKind::Ama && (agents(p) || theirs(p))));
        return Ok(out.command(case.install_command()).fixable_if(all));
    }
    let words = || case.syslog_ng_problems().iter().filter(|p| p.topic == Topic::TemplateMissing);
    let Some(first) = words().next() else {
        return Ok(Outcome::pass("every source, filter, destination and template is there, and once only"));
    };
    let (at, text) = shown(first);
    let concerns = words().any(|p| p.at.as_ref().is_none_or(|at| concerns_file(case, Some(&at.file))));
    let text = format!("{at}: {text}");
    let out = if concerns { Outcome::fail(text) } else { Outcome::warn(text) };
    Ok(again(out.seen_all(words().map(shown))))
}
