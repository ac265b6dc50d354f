//! Reads what `syslog-ng --syntax-only` says. Its exit code tells errors (1) from warnings and silence (0), but it misses
//! what [`super::lint`] finds, and a warning that was there before is no reason to refuse a change: sets of messages are
//! compared.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::host::{Exit, Output};

/// One message of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Message {
    pub severity: Severity,
    /// Without time stamp and place.
    pub text: String,
    pub file: Option<PathBuf>,
    pub line: Option<u32>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Would the daemon read this configuration? (Starting is another matter.)
    pub accepted: bool,
    pub messages: Vec<Message>,
}

impl Report {
    /// Reads the output of `syslog-ng --syntax-only`.
    pub fn read(output: &Output) -> Report {
        let mut text = output.stderr.clone();
        text.push(b'\n');
        text.extend(&output.stdout);
        Report { accepted: output.exit == Exit::Code(0), messages: messages(&text) }
    }

    /// Messages that `before` did not have. Lines may have moved, so places do not count.
    pub fn new_since(&self, before: &Report) -> Vec<&Message> {
        let known: BTreeSet<(&Severity, &str)> =
            before.messages.iter().map(|m| (&m.severity, m.text.as_str())).collect();
        self.messages.iter().filter(|m| !known.contains(&(&m.severity, m.text.as_str()))).collect()
    }
}

fn messages(output: &[u8]) -> Vec<Message> {
    let text = String::from_utf8_lossy(output);
    text.lines().filter_map(message).collect()
}

fn message(line: &str) -> Option<Message> {
    let line = without_stamp(line.trim_end());
    let severity = if line.starts_with("WARNING") {
        Severity::Warning
    } else if line.to_ascii_lowercase().starts_with("error") || line.starts_with("Fatal") {
        Severity::Error
    } else if is_message(line) {
        // `Include file/directory not found; filename='…'`, `Unknown argument …`, `Setting current version …`
        if line.contains("error=") || line.starts_with("Unknown") { Severity::Error } else { Severity::Note }
    } else {
        return None;
    };
    let (text, file, number) = place(line);
    Some(Message { severity, text, file, line: number })
}

/// `[2026-11-24T05:07:08.236072] `, which versions before 4 put in front.
fn without_stamp(line: &str) -> &str {
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match stamped {
        Some((stamp, rest)) if stamp.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

/// The daemon's own form `text; name='value', …`. What else it prints are lines of the configuration and addresses for
/// help.
fn is_message(line: &str) -> bool {
    let starts = line.starts_with(|c: char| c.is_ascii_uppercase());
    starts && line.split_once("; ").is_some_and(|(_, rest)| rest.contains("='"))
}

/// Takes the place out of a message: `… in FILE:LINE:COLUMN-LINE:COLUMN:`, or `location='FILE:LINE:COLUMN'`, or
/// `filename='FILE', line='LINE:COLUMN'`.
fn place(line: &str) -> (String, Option<PathBuf>, Option<u32>) {
    if let Some(found) = behind_in(line) {
        return found;
    }
    let mut file = None;
    let mut number = None;
    let (text, attributes) = line.split_once("; ").unwrap_or((line, ""));
    let mut kept = Vec::new();
    for attribute in split_attributes(attributes) {
        let Some((name, value)) = attribute.split_once('=') else { continue };
        let value = value.trim_matches('\'');
        match name {
            "location" => {
                let (path, line) = file_and_line(value);
                file = path;
                number = line;
            }
            "line" => number = value.split(':').next().and_then(|n| n.parse().ok()),
            "filename" if text.contains("backtick") => file = Some(value.into()),
            _ => kept.push(attribute),
        }
    }
    let text = text.trim_end_matches(';').to_owned();
    let text = if kept.is_empty() { text } else { format!("{text}; {}", kept.join(", ")) };
    (text, file, number)
}

fn behind_in(line: &str) -> Option<(String, Option<PathBuf>, Option<u32>)> {
    let (text, place) = line.strip_suffix(':')?.rsplit_once(" in ")?;
    let (from, _) = place.rsplit_once('-')?;
    let (file, number) = file_and_line(from);
    // `block source x() at FILE:LINE:…`: the place in the block is of no use, the block's is.
    let file = file.map(|f| match f.to_string_lossy().rsplit_once(" at ") {
        Some((_, at)) => PathBuf::from(at.split(':').next().unwrap_or(at)),
        None => f.clone(),
    });
    Some((text.to_owned(), file, number))
}

fn file_and_line(place: &str) -> (Option<PathBuf>, Option<u32>) {
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, file) = (parts.next(), parts.next(), parts.next());
    (file.map(PathBuf::from), line.and_then(|l| l.parse().ok()))
}

/// `a='b', c='d, e'` at the commas between attributes.
fn split_attributes(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find("', ") {
        out.push(&rest[..end + 1]);
        rest = &rest[end + 3..];
    }
    if !rest.is_empty() {
        out.push(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded output with `exit N` as last line.
    fn recorded(text: &str) -> Report {
        let (output, exit) = text.rsplit_once("exit ").unwrap();
        let exit = Exit::Code(exit.trim().parse().unwrap());
        Report::read(&Output { exit, stdout: Vec::new(), stderr: output.as_bytes().to_vec() })
    }

    macro_rules! all_versions {
        ($case:literal) => {
            [
                recorded(include_str!(concat!("../../../fixtures/syslog-ng/check/3.28-", $case, ".txt"))),
                recorded(include_str!(concat!("../../../fixtures/syslog-ng/check/3.38-", $case, ".txt"))),
                recorded(include_str!(concat!("../../../fixtures/syslog-ng/check/4.8-", $case, ".txt"))),
            ]
        };
    }

    fn errors(report: &Report) -> Vec<(&str, Option<u32>)> {
        let errors = report.messages.iter().filter(|m| m.severity == Severity::Error);
        errors.map(|m| (m.text.as_str(), m.line)).collect()
    }

    #[test]
    fn accepted_configurations() {
        for report in all_versions!("ok") {
            assert_eq!(report, Report { accepted: true, messages: Vec::new() });
        }
        for report in all_versions!("old-version") {
            assert!(report.accepted);
            assert_eq!(report.messages.len(), 1);
            let message = &report.messages[0];
            assert_eq!(message.severity, Severity::Warning);
            assert!(message.text.ends_with("; config-version='3.5'"), "{message:?}");
        }
    }

    #[test]
    fn places() {
        for report in all_versions!("syntax") {
            assert!(!report.accepted);
            let found = errors(&report);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0.starts_with("Error parsing ") && !found[0].0.contains(".conf"), "{found:?}");
            assert_eq!(found[0].1, Some(3));
            assert_eq!(report.messages[0].file, Some("/etc/syslog-ng/t/syslog-ng.conf".into()));
        }
        for report in all_versions!("deprecated") {
            let long = report.messages.iter().find(|m| m.text.contains("long_hostnames")).unwrap();
            assert_eq!((long.severity, long.line), (Severity::Warning, Some(2)));
            assert!(long.text.ends_with("keyword='long_hostnames', change='chain_hostnames'"), "{}", long.text);
        }
        for report in all_versions!("backtick") {
            assert_eq!(errors(&report)[0].1, Some(2));
            assert_eq!(errors(&report).len(), 3);
        }
        for report in all_versions!("block") {
            assert_eq!(report.messages[0].file, Some("/etc/syslog-ng/t/syslog-ng.conf".into()));
        }
    }

    #[test]
    fn refusals() {
        for case in [
            all_versions!("missing-include"),
            all_versions!("duplicate"),
            all_versions!("plugin"),
            all_versions!("no-main"),
        ] {
            for report in case {
                assert!(!report.accepted && !errors(&report).is_empty(), "{report:?}");
                assert!(
                    report.messages.iter().all(|m| !m.text.contains("http") && !m.text.starts_with('[')),
                    "{report:?}"
                );
            }
        }
        let [old, middle, new] = all_versions!("no-version");
        assert!(!old.accepted && !middle.accepted && new.accepted);
        assert_eq!(new.messages[0].severity, Severity::Note);
    }

    #[test]
    fn only_what_is_new_counts() {
        let [_, before, _] = all_versions!("deprecated");
        let mut after = before.clone();
        after.messages[0].line = Some(99);
        assert_eq!(after.new_since(&before), Vec::<&Message>::new());
        let [_, broken, _] = all_versions!("syntax");
        assert_eq!(broken.new_since(&before).len(), 1);
    }
}
