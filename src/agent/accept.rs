//! What the Log Analytics agent's input on 25226 makes of a line (facts 1.11), the one implementation used by
//! `listen`, `troubleshoot` and the tests. The agent itself logs no word about a record it damaged.
//!
//! Steps of the agent, each of which may drop the line: PRI, pattern, time. What follows (tag, ident, message text)
//! drops nothing. Compared with Ruby 3.1 running the agent's own pattern; see fixtures/corpus.

pub mod damage;
pub mod event;
pub mod header;
pub mod meant;
mod pattern;
pub mod reason;
pub mod time;
mod view;
mod words;

pub use damage::{Damage, Note};
pub use reason::{Reason, Repair};
pub use time::EventTime;
pub use view::View;

use serde::Serialize;

/// The table a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    Cef,
    Asa,
}

/// A record as the agent would store it, borrowed from the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub stream: Stream,
    /// Number in front of the line. The agent takes any size; above 64 bits this stays at the largest.
    pub pri: u64,
    /// The agent's name of the facility; `None` above 23: the record's field is empty.
    pub facility: Option<&'static str>,
    pub severity: &'static str,
    pub time: &'a [u8],
    pub event_time: EventTime,
    pub host: Option<&'a [u8]>,
    /// What the pattern captured as ident. The record's own ident is `CEF`, or this for ASA.
    pub ident: &'a [u8],
    /// The record's message without `CEF: ` or the ASA id and `: ` in front, which the agent adds.
    pub message: &'a [u8],
    /// What looks odd in a record that is complete.
    pub notes: Vec<Note>,
}

/// Why there is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to mend first. A shape that no header can save comes before anything wrong with the header.
    pub reason: Reason,
    /// What would be in the way next.
    pub also: Option<Reason>,
}

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    Accepted(Record<'a>),
    /// Stored, but not what was sent, or not an event at all.
    Damaged(Record<'a>, Vec<Damage>),
    Dropped(Refusal),
}

impl<'a> Verdict<'a> {
    /// The record, where one is stored.
    pub fn record(&self) -> Option<&Record<'a>> {
        match self {
            Verdict::Accepted(record) | Verdict::Damaged(record, _) => Some(record),
            Verdict::Dropped(_) => None,
        }
    }
}

/// Judges one line, without its line feed, as the agent reads it from the stream.
pub fn judge(line: &[u8]) -> Verdict<'_> {
    let Some((pri, severity, text)) = split_pri(line) else {
        return Verdict::Dropped(reason::without_pri(line));
    };
    let Some(found) = pattern::find(text) else {
        return Verdict::Dropped(reason::without_match(text));
    };
    let part = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
    let Ok(event_time) = EventTime::parse(part(&found.time)) else {
        return Verdict::Dropped(Refusal { reason: Reason::BadTimeValue, also: None });
    };
    let (damage, notes) = damage::assess(text, &found, &event_time, pri);
    let record = Record {
        stream: if found.cef { Stream::Cef } else { Stream::Asa },
        pri,
        facility: usize::try_from(pri / 8).ok().and_then(|f| FACILITIES.get(f).copied()),
        severity,
        time: part(&found.time),
        event_time,
        host: found.host.as_ref().map(part),
        ident: part(&found.ident),
        message: part(&found.message),
        notes,
    };
    if damage.is_empty() { Verdict::Accepted(record) } else { Verdict::Damaged(record, damage) }
}

/// `<digits>` at the start of a line, its severity, and the text behind it. A line feed cannot come from the stream; where one is,
/// the first of the lines with a PRI counts, as in the agent.
fn split_pri(line: &[u8]) -> Option<(u64, &'static str, &[u8])> {
    line.split(|&b| b == b'\n').find_map(|line| {
        let rest = line.strip_prefix(b"<")?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at_checked(digits)?;
        let text = rest.strip_prefix(b">").filter(|_| !digits.is_empty())?;
        // The last three digits decide about the severity (1000 is a multiple of 8), whatever the size.
        let last = time::number(digits.get(digits.len().saturating_sub(3)..)?);
        let severity = SEVERITIES.get(usize::try_from(last % 8).ok()?).copied()?;
        Some((time::number(digits).unsigned_abs(), severity, text))
    })
}

/// Names of fluentd 0.12, some of them not the usual ones.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "at", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

#[cfg(test)]
mod tests;
