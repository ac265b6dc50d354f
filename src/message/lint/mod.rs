//! What is right and wrong with the messages of a device: the envelope, the event, what the agent will make of it, and
//! which setting of the device to change (field failures 1.9, 1.20, 1.21). For lines of a file, for a capture file, and
//! for live traffic.
//!
//! Here: the judgement on one message. [`frames`] cuts streams into messages, [`tally`] counts them by sender,
//! [`pcap`] and [`live`] are where they come from, [`advice`] is what to do.

pub mod advice;
pub mod frames;
pub mod live;
pub mod packets;
pub mod pcap;
pub mod tally;

use serde::{Deserialize, Serialize};

use super::cef::Problem;
use super::syslog::{self, Form, Kind, Line, Trace};
use crate::agent::accept::header::TimeKind;
use crate::agent::accept::reason::{Reason, Repair};
use crate::agent::accept::{Verdict, judge};
use crate::syslog::rsyslog::filter::{facility_name, severity_name};
use frames::Framing;

/// What becomes of a message. Worse ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Arrives complete and as it should be.
    Good,
    /// Arrives complete, but something about it is odd.
    Odd,
    /// The agent alone would drop or damage it; with the header that the rule of `install` rebuilds it arrives.
    Rebuilt,
    /// Neither CEF nor ASA nor FTD.
    Foreign,
    /// A security event that the agent drops or damages whatever its header is.
    Lost,
}

impl Level {
    pub const ALL: [Level; 5] = [Level::Good, Level::Odd, Level::Rebuilt, Level::Foreign, Level::Lost];

    /// Stable name.
    pub fn id(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Odd => "odd",
            Level::Rebuilt => "rebuilt",
            Level::Foreign => "foreign",
            Level::Lost => "lost",
        }
    }
}

/// One message and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint<'a> {
    pub line: Line<'a>,
    pub framing: Framing,
    /// Of the Log Analytics agent, for the message as it is.
    pub verdict: Verdict<'a>,
    pub level: Level,
}

/// Longer than rsyslog takes unless told otherwise (facts 4.4).
pub const USUAL_LIMIT: usize = 8096;

/// Judges one message, without its framing.
pub fn lint(raw: &[u8], framing: Framing) -> Lint<'_> {
    let line = syslog::read(raw);
    let verdict = judge(raw);
    let level = level(&line, &verdict);
    Lint { line, framing, verdict, level }
}

fn level(line: &Line<'_>, verdict: &Verdict<'_>) -> Level {
    let foreign = line.event.is_none();
    match verdict {
        // What looks like a security event and is none (cut, lower case, LEEF) is lost, not foreign.
        Verdict::Dropped(refusal) => {
            let reasons = [Some(refusal.reason), refusal.also];
            let nothing = |r: Reason| matches!(r, Reason::NotSecurity | Reason::EmptyLine);
            match refusal.reason.repair() {
                _ if foreign && reasons.into_iter().flatten().any(nothing) => Level::Foreign,
                Repair::Header if !foreign => Level::Rebuilt,
                Repair::Header | Repair::Rewrite | Repair::None => Level::Lost,
            }
        }
        Verdict::Damaged(_, damage) if damage.iter().any(|d| d.is_in_event()) => Level::Lost,
        Verdict::Damaged(..) => Level::Rebuilt,
        Verdict::Accepted(record) => {
            let odd_event = line.cef.as_ref().is_some_and(|cef| cef.problems.iter().any(|p| is_odd(*p)));
            match record.notes.is_empty() && !odd_event && line.traces.is_empty() && line.raw.len() <= USUAL_LIMIT {
                true => Level::Good,
                false => Level::Odd,
            }
        }
    }
}

/// A blank behind `CEF:` is so common that the agent's pattern allows for it.
fn is_odd(problem: Problem) -> bool {
    problem != Problem::BlankAfterColon
}

impl Lint<'_> {
    /// `RFC 3164, RFC 3164 time with year, no host`
    pub fn envelope(&self) -> String {
        let form = match self.line.form {
            Form::Rfc5424 => "RFC 5424",
            Form::Short5424 => "RFC 5424 without its fields",
            Form::Rfc3164 => "RFC 3164",
            Form::Bare => "no header",
        };
        let mut words = vec![form.to_owned()];
        if !matches!(self.line.pri, syslog::Pri::Value(_)) {
            words.push(match self.line.pri {
                syslog::Pri::TooLarge => "PRI above 191".into(),
                syslog::Pri::NotNumeric => "PRI is no number".into(),
                _ => "no PRI".into(),
            });
        }
        let time = self.line.header.time.kind;
        if time != TimeKind::None {
            words.push(syslog::time_words(time).to_owned());
            if self.line.host().is_none() {
                words.push("no host".into());
            }
        } else if self.line.form == Form::Bare && self.line.event.is_some() {
            words.push("no time".into());
        }
        words.join(", ")
    }

    /// `local4.warning`
    pub fn priority(&self) -> Option<String> {
        let (facility, severity) = self.line.facility_severity()?;
        Some(format!("{}.{}", facility_name(facility), severity_name(severity)))
    }

    /// `Fortinet Fortigate`; Cisco's two are named by their id.
    pub fn product(&self) -> Option<String> {
        let text = |bytes: &[u8]| crate::report::clean_bytes(bytes).chars().take(60).collect::<String>();
        match self.line.kind()? {
            Kind::Cef => {
                let cef = self.line.cef.as_ref()?;
                Some(format!("{} {}", text(cef.vendor), text(cef.product)))
            }
            Kind::Asa => Some("Cisco ASA".into()),
            Kind::Ftd => Some("Cisco FTD".into()),
        }
    }

    /// `CEF, Fortinet Fortigate` or `neither CEF nor ASA`.
    pub fn event(&self) -> String {
        let product = self.product().unwrap_or_default();
        match self.line.kind() {
            Some(Kind::Cef) => format!("CEF of {product}"),
            Some(Kind::Asa | Kind::Ftd) => format!("{product} {}", self.cisco_id()),
            None => "neither CEF nor ASA nor FTD".into(),
        }
    }

    /// `%ASA-4-106023`
    fn cisco_id(&self) -> String {
        let Some(event) = self.line.event else { return String::new() };
        let id = self.line.raw.get(event.start..event.body).unwrap_or_default();
        crate::report::clean_bytes(id)
    }

    /// What the agent makes of it, and whether the rule of `install` helps.
    pub fn fate(&self) -> String {
        let rebuilt = "the rule of `cefctl install` rebuilds its header, and it arrives";
        match &self.verdict {
            Verdict::Accepted(_) => "taken, complete".into(),
            Verdict::Damaged(_, damage) => {
                let texts: Vec<&str> = damage.iter().map(|d| d.text()).collect();
                let after =
                    if self.level == Level::Rebuilt { format!(". {}", capital(rebuilt)) } else { String::new() };
                format!("damaged: {}{after}", texts.join("; "))
            }
            Verdict::Dropped(refusal) => {
                let after = match self.level {
                    Level::Rebuilt => format!(". {}", capital(rebuilt)),
                    Level::Lost if refusal.reason.repair() == Repair::Rewrite => {
                        ". No header helps; `cefctl install --rewrite-ids` rewrites what can be rewritten".into()
                    }
                    _ => String::new(),
                };
                format!("dropped: {}{after}", refusal.reason.text())
            }
        }
    }

    /// What is odd about it, in sentences without a full stop.
    pub fn oddities(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        if let Verdict::Accepted(record) | Verdict::Damaged(record, _) = &self.verdict {
            found.extend(record.notes.iter().map(|n| n.text().to_owned()));
        }
        let problems = self.line.cef.iter().flat_map(|cef| &cef.problems);
        found.extend(problems.filter(|p| is_odd(**p)).map(|p| p.text().to_owned()));
        found.extend(self.line.traces.iter().map(|t| trace_text(*t).to_owned()));
        if self.line.raw.len() > USUAL_LIMIT {
            found.push(format!(
                "{} bytes, longer than the {USUAL_LIMIT} that rsyslog takes by default",
                self.line.raw.len()
            ));
        }
        found.dedup();
        found
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// One plain sentence without a full stop.
pub fn trace_text(trace: Trace) -> &'static str {
    match trace {
        Trace::OctetCount => "a length stands in front of the PRI",
        Trace::CarriageReturn => "it ends in a carriage return",
        Trace::EscapedCarriageReturn => "it ends in #015, a carriage return that a relay escaped",
        Trace::Nul => "it holds a NUL byte",
        Trace::Bom => "it holds a byte order mark",
        Trace::NotUtf8 => "it is not UTF-8",
        Trace::Control => "it holds control characters",
        Trace::SeveralEvents => "it holds more than one event in one line, of which the agent keeps one",
        Trace::SeveralLines => {
            "it holds more than one event, one a line: the rule of `cefctl install` takes them apart, other rules send them on as one, of which the agent keeps one"
        }
    }
}

#[cfg(test)]
mod tests;
