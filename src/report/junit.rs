//! The report as JUnit XML, for CI servers and test dashboards: a suite a group, a case a check. The format knows no
//! warnings, so a warning is a passed case with text, and what could not be judged is skipped, unless warnings are denied;
//! the result then agrees with the exit code.

use askama::Template;

use super::clean::clean;
use super::model::{CheckResult, Report, Status};

/// The whole document.
///
/// # Errors
/// Those of the formatter, which a string does not have.
pub fn render(report: &Report, deny_warnings: bool) -> Result<String, askama::Error> {
    let mut suites: Vec<Suite<'_>> = Vec::new();
    for check in &report.checks {
        let case = Case { check, outcome: Outcome::of(check.status, deny_warnings) };
        match suites.last_mut().filter(|s| s.name == check.group) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { name: &check.group, cases: vec![case] }),
        }
    }
    Document { report, suites }.render()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Error,
    Skipped,
}

impl Outcome {
    fn of(status: Status, deny_warnings: bool) -> Self {
        match status {
            Status::Pass => Outcome::Passed,
            Status::Warn if deny_warnings => Outcome::Failed,
            Status::Warn => Outcome::Passed,
            Status::Fail => Outcome::Failed,
            Status::Unknown if deny_warnings => Outcome::Error,
            Status::Unknown | Status::Skip => Outcome::Skipped,
        }
    }
}

struct Case<'a> {
    check: &'a CheckResult,
    outcome: Outcome,
}

struct Suite<'a> {
    name: &'a str,
    cases: Vec<Case<'a>>,
}

impl Suite<'_> {
    fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|c| c.outcome == outcome).count()
    }

    /// Seconds.
    fn time(&self) -> String {
        seconds(&self.cases.iter().map(|c| c.check.duration_ms).sum())
    }
}

#[derive(Template)]
#[template(path = "report.xml", config = "src/report/askama.toml")]
struct Document<'a> {
    report: &'a Report,
    suites: Vec<Suite<'a>>,
}

impl Document<'_> {
    fn count(&self, outcome: Outcome) -> usize {
        self.suites.iter().map(|s| s.count(outcome)).sum()
    }
}

fn seconds(milliseconds: &u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Cleaned, and without the two characters that are text but may not stand in XML.
fn text(text: &str) -> String {
    clean(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// What was seen and what to do, a line each.
fn details(check: &CheckResult) -> String {
    let seen = check.evidence.iter().map(|e| format!("seen: {}: {}", text(&e.source), text(&e.text)));
    let mut lines: Vec<String> = seen.collect();
    lines.push(format!("why: {}", text(&check.why)));
    if let Some(remedy) = &check.remedy {
        lines.push(format!("do: {}", text(&remedy.summary)));
        lines.extend(remedy.commands.iter().map(|c| format!("$ {}", text(c))));
    }
    lines.join("\n")
}
