//! What the daemon said about itself since it was started. The journal is asked first: it vouches for the process a line
//! came from, while in a log file any sender may pose as the daemon. Where messages end up: facts 5.5.

use std::path::Path;
use std::time::Duration;

use crate::check::facts::{Fact, OwnLine, UnitFacts};
use crate::host::{Cmd, Host, facts};

/// Source of lines about the daemon that are the service manager's.
pub const SYSTEMD: &str = "systemd";

const MOST_LINES: usize = 400;
/// Bytes looked at from the end of a log file.
const TAIL: u64 = 512 << 10;

/// Lines of the running rsyslog, or of the last try to start it.
pub fn rsyslog(host: &Host, hostname: &str, unit: Option<&UnitFacts>) -> Fact<Vec<OwnLine>> {
    let pid = unit.and_then(|u| u.state.main_pid);
    match journal(host, unit) {
        Ok(lines) if !lines.is_empty() => Ok(lines),
        journal => {
            let files = from_files(host, |text| since_start(own(text, hostname, "rsyslogd"), pid));
            if files.is_empty() { journal } else { Ok(files) }
        }
    }
}

/// The same of syslog-ng. What it says before its configuration is in force goes to the journal, everything after that
/// is events of its source `internal()`, which end in a file.
pub fn syslog_ng(host: &Host, hostname: &str, unit: Option<&UnitFacts>) -> Fact<Vec<OwnLine>> {
    let journal = journal(host, unit);
    // What its forerunner wrote says nothing about why it does not start.
    if unit.is_some_and(|u| !u.state.is_active()) && journal.as_ref().is_ok_and(|l| !l.is_empty()) {
        return journal;
    }
    let files = from_files(host, |text| since_last(own(text, hostname, "syslog-ng"), "syslog-ng starting up;"));
    match journal {
        Err(why) if files.is_empty() => Err(why),
        journal => {
            let mut lines = journal.unwrap_or_default();
            // Where its own messages go to the journal as well they would be doubled.
            let new: Vec<_> = files.into_iter().filter(|f| !lines.iter().any(|l| l.text == f.text)).collect();
            lines.extend(new);
            Ok(lines)
        }
    }
}

/// Lines of a unit: of its present run, or the last ones where it does not run.
pub fn journal(host: &Host, unit: Option<&UnitFacts>) -> Fact<Vec<OwnLine>> {
    unit.map_or_else(|| Err("the daemon runs under no unit".into()), |unit| from_journal(host, unit))
}

fn from_journal(host: &Host, unit: &UnitFacts) -> Fact<Vec<OwnLine>> {
    let count = MOST_LINES.to_string();
    let mut argv = vec!["journalctl", "-q", "--no-pager", "-o", "json", "-n"];
    let invocation = format!("_SYSTEMD_INVOCATION_ID={}", unit.invocation);
    let since = format!("--since=@{}", unit.since.unwrap_or_default());
    match () {
        // Not running: the last lines tell why, systemd's own among them.
        _ if !unit.state.is_active() => argv.extend(["40", "-u", &unit.state.id]),
        _ if !unit.invocation.is_empty() => argv.extend([count.as_str(), &invocation]),
        _ => argv.extend([count.as_str(), "-u", &unit.state.id, &since]),
    }
    let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_millis(1500))).map_err(|e| e.to_string())?;
    let lines = parse_journal(&out.stdout);
    if lines.is_empty() && !out.stderr.is_empty() {
        return Err(format!("journalctl: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    Ok(lines)
}

/// One JSON object a line. A message that is no UTF-8 comes as a list of byte values.
fn parse_journal(text: &[u8]) -> Vec<OwnLine> {
    let message = |value: &serde_json::Value| match &value["MESSAGE"] {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|b| b.as_u64()?.try_into().ok()).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    };
    text.split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter_map(|value| {
            let source = if value["_PID"] == "1" { SYSTEMD } else { "journal" };
            Some(OwnLine { source: source.into(), text: message(&value)? })
        })
        .collect()
}

fn from_files(host: &Host, pick: impl Fn(&[u8]) -> Vec<String>) -> Vec<OwnLine> {
    for path in ["/var/log/syslog", "/var/log/messages"] {
        let Ok(text) = facts::tail(&host.root, Path::new(path), TAIL) else { continue };
        let lines = pick(&text);
        if !lines.is_empty() {
            return lines.into_iter().map(|text| OwnLine { source: path.into(), text }).collect();
        }
    }
    Vec::new()
}

/// Texts of the lines that this host's daemon wrote: `TIME HOST rsyslogd: TEXT`.
fn own(text: &[u8], hostname: &str, program: &str) -> Vec<String> {
    let program = format!(" {program}");
    let short = hostname.split('.').next().unwrap_or_default();
    let mut found = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some((head, said)) = line.split_once(program.as_str()) else { continue };
        let host = head.rsplit(' ').next().unwrap_or_default();
        let said = said.split_once(": ").filter(|(tag, _)| tag.is_empty() || tag.starts_with('['));
        let ours = !short.is_empty() && host.split('.').next() == Some(short);
        if let Some((_, said)) = said.filter(|_| ours) {
            found.push(said.trim_end().to_owned());
        }
    }
    found
}

/// What was said since the daemon was last started. It complains about its configuration before it says `start`, so its
/// lines begin behind the end of its forerunner.
fn since_start(lines: Vec<String>, pid: Option<u32>) -> Vec<String> {
    let own_start = pid.map(|p| format!("x-pid=\"{p}\""));
    let is_old = |l: &str| {
        let mark = l.contains("[origin software=\"rsyslogd\"");
        let ours = own_start.as_deref().is_some_and(|own| l.contains(own));
        mark && (l.contains("exiting on signal") || (l.ends_with("start") && !ours))
    };
    let begin = lines.iter().rposition(|l| is_old(l)).map_or(0, |at| at + 1);
    let skip = begin.max(lines.len().saturating_sub(MOST_LINES));
    lines.into_iter().skip(skip).collect()
}

/// Lines from the last one on that begins with this.
fn since_last(lines: Vec<String>, begin: &str) -> Vec<String> {
    let begin = lines.iter().rposition(|l| l.starts_with(begin)).unwrap_or(0);
    let skip = begin.max(lines.len().saturating_sub(MOST_LINES));
    lines.into_iter().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_lines_with_text_and_with_bytes() {
        let text = b"{\"MESSAGE\":\"plain\",\"_PID\":\"4\"}\n{\"MESSAGE\":[97,255,98]}\nnot json\n{\"MESSAGE\":null}\n";
        let lines: Vec<String> = parse_journal(text).into_iter().map(|l| l.text).collect();
        assert_eq!(lines, ["plain", "a\u{fffd}b"]);
    }

    #[test]
    fn only_lines_of_this_host_and_this_program_count() {
        let text = b"2026-11-24T05:09:45+00:00 c1 rsyslogd: iso\nNov 24 05:09:45 c1 rsyslogd[12]: bsd\n\
Nov 24 05:09:45 other rsyslogd: foreign\nNov 24 05:09:45 c1 app: rsyslogd: quoted\nNov 24 05:09:45 c1 rsyslogdx: no\n\xff\xfe\n";
        assert_eq!(own(text, "c1.example.org", "rsyslogd"), ["iso", "bsd"]);
        assert_eq!(own(text, "", "rsyslogd"), Vec::<String>::new());
    }

    #[test]
    fn lines_begin_behind_the_end_of_the_forerunner() {
        let mark = |pid: u32, what: &str| format!("[origin software=\"rsyslogd\" x-pid=\"{pid}\"] {what}");
        let lines = vec![
            "old error".to_owned(),
            mark(35, "start"),
            mark(35, "exiting on signal 15."),
            "new error".into(),
            mark(47, "start"),
            "later error".into(),
        ];
        let all = since_start(lines.clone(), Some(47));
        assert_eq!(all, ["new error".to_owned(), mark(47, "start"), "later error".into()]);
        // Killed without a word: the next start is the border.
        let lines = vec![mark(35, "start"), "new error".to_owned(), mark(47, "start")];
        assert_eq!(since_start(lines, Some(47)), ["new error".to_owned(), mark(47, "start")]);
    }
}
