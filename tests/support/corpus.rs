//! The corpus of real device messages, and the judgement of what became of them on their way through a collector. Shared
//! by the suites that send them through a real daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cefctl::agent::accept::{Damage, Verdict, event, judge};
use cefctl::message::base64;

/// One line of the corpus.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: String,
    pub raw: Vec<u8>,
    /// Should a collector pass it on?
    pub forward: bool,
    /// Does the agent make a complete record of exactly these bytes?
    pub accepted_raw: bool,
    /// Name in the (first) header, where there is one.
    pub host: Option<String>,
    /// Labels of the header's shape, joined by `+`.
    #[allow(dead_code)] // one of the two suites asks for it
    pub envelope: String,
}

impl Line {
    /// Sent without priority and with a digit first: a daemon that takes octet-counted frames reads it as a length.
    pub fn looks_counted(&self) -> bool {
        self.raw.first().is_some_and(u8::is_ascii_digit)
    }

    /// Does the agent make a complete record of exactly these bytes, and with the host that the header names? Then there
    /// is nothing to mend, and the bytes must arrive as they are.
    pub fn must_stay(&self) -> bool {
        let record_host = match judge(&self.raw) {
            Verdict::Accepted(record) => record.host.map(|h| String::from_utf8_lossy(h).into_owned()),
            _ => return false,
        };
        self.accepted_raw && self.host.is_some() && self.host == record_host
    }

    /// Is the event itself of a shape that the agent takes under no header at all? Then nothing but a change of the
    /// event would help.
    pub fn hopeless(&self) -> bool {
        !matches!(judge(&self.under_a_perfect_header()), Verdict::Accepted(_))
    }

    /// Would not even a change of its id make the agent take the event?
    pub fn beyond_rewriting(&self) -> bool {
        let line = self.under_a_perfect_header();
        matches!(judge(&line), Verdict::Damaged(_, damage) if damage.contains(&Damage::CefInEvent))
    }

    fn under_a_perfect_header(&self) -> Vec<u8> {
        let event = event::find(&self.raw).and_then(|e| self.raw.get(e.start..)).unwrap_or_default();
        [b"<134>Aug  1 10:00:00 fw01 ".as_slice(), event].concat()
    }
}

/// How many of the lines that arrived the agent makes complete records of.
pub fn accepted(arrived: &[Vec<u8>]) -> usize {
    arrived.iter().filter(|line| matches!(judge(line), Verdict::Accepted(_))).count()
}

pub fn load() -> Vec<Line> {
    let text = include_str!("../../fixtures/corpus/messages.jsonl");
    let lines: Vec<Line> = text.lines().map(line).collect();
    assert!(lines.len() > 250, "the corpus has {} lines only", lines.len());
    lines
}

fn line(json: &str) -> Line {
    let v: serde_json::Value = serde_json::from_str(json).expect("a line of the corpus is JSON");
    let text = |name: &str| v[name].as_str().map(str::to_owned);
    Line {
        id: text("id").expect("an id"),
        raw: text("raw_b64").and_then(|b| base64::decode(&b)).expect("the bytes"),
        forward: v["forward"] == true,
        accepted_raw: v["oms_raw"] == "accept",
        host: text("host"),
        envelope: text("envelope").expect("an envelope"),
    }
}

/// The event of a line without its envelope, which is what must arrive unchanged: from `CEF:` or the ASA id to the end.
/// The blank after `CEF:`, trailing blanks and a trailing carriage return (which rsyslog may spell out) do not count.
fn key(line: &[u8]) -> Option<Vec<u8>> {
    let event = event::find(line)?;
    let name = line.get(event.start..event.start + 4)?;
    let mut body = line.get(if event.kind == event::Kind::Cef { event.body } else { event.start + 4 }..)?;
    while let Some(shorter) = [b" ".as_slice(), b"\r", b"#015"].iter().find_map(|end| body.strip_suffix(*end)) {
        body = shorter;
    }
    Some(spelled_out(&[name, body].concat()))
}

/// rsyslog spells control characters other than tabs out when it receives them (0x01 becomes `#001`): the one change of
/// an event that the drop-in does not undo, since it protects the box's own log files.
fn spelled_out(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\t' => out.push(b),
            0..32 | 127 => out.extend_from_slice(format!("#{b:03o}").as_bytes()),
            _ => out.push(b),
        }
    }
    out
}

/// What became of the lines that were sent.
#[derive(Debug, Default)]
pub struct Outcome {
    pub forwardable: usize,
    /// Arrived, in whatever form.
    pub delivered: usize,
    /// Arrived in a form of which the agent makes a complete record.
    pub accepted: usize,
    /// Of these: the record names the host of the header (lines without a host count).
    pub host_right: usize,
    /// Ids of lines, by what is wrong with them.
    pub missing: Vec<String>,
    pub doubled: Vec<String>,
    /// Rightly read by the agent as it was sent, but not sent on byte for byte.
    pub touched: Vec<String>,
    /// The agent would take the event under a proper header, but not what arrived.
    pub refused: Vec<String>,
    /// What arrived and was not sent: other vendors' lines, altered events.
    pub strangers: Vec<String>,
}

impl Outcome {
    pub fn of(sent: &[Line], arrived: &[Vec<u8>]) -> Outcome {
        let mut by_key: BTreeMap<Vec<u8>, Vec<&[u8]>> = BTreeMap::new();
        let mut outcome = Outcome::default();
        let known: BTreeSet<Vec<u8>> = sent.iter().filter(|l| l.forward).filter_map(|l| key(&l.raw)).collect();
        for line in arrived {
            match key(line).filter(|k| known.contains(k)) {
                Some(k) => by_key.entry(k).or_default().push(line),
                None => outcome.strangers.push(printable(line)),
            }
        }
        // Some events were sent under several envelopes: those with the stricter demand choose first.
        let mut wanted: Vec<&Line> = sent.iter().filter(|l| l.forward).collect();
        wanted.sort_by_key(|l| !l.accepted_raw);
        outcome.forwardable = wanted.len();
        for line in &wanted {
            let found = key(&line.raw).and_then(|k| by_key.get_mut(&k)).filter(|f| !f.is_empty());
            match found {
                Some(found) => outcome.judge(line, take_best(found, line)),
                None => outcome.missing.push(line.id.clone()),
            }
        }
        for (_, rest) in by_key {
            outcome.doubled.extend(rest.into_iter().map(printable));
        }
        outcome
    }

    fn judge(&mut self, line: &Line, arrived: &[u8]) {
        self.delivered += 1;
        if let Verdict::Accepted(record) = judge(arrived) {
            self.accepted += 1;
            let host = record.host.map(String::from_utf8_lossy);
            self.host_right += usize::from(line.host.is_none() || line.host.as_deref() == host.as_deref());
        } else if !line.hopeless() {
            self.refused.push(format!("{} arrived as {}", line.id, printable(arrived)));
        }
        if line.must_stay() && spelled_out(without_cr(arrived)) != spelled_out(without_cr(&line.raw)) {
            self.touched.push(format!("{} arrived as {}", line.id, printable(arrived)));
        }
    }
}

/// Of several arrivals of one event the one that equals what was sent, else any.
fn take_best<'a>(found: &mut Vec<&'a [u8]>, line: &Line) -> &'a [u8] {
    let at = found.iter().position(|f| without_cr(f) == without_cr(&line.raw)).unwrap_or(0);
    found.remove(at)
}

fn without_cr(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"#015").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..160).unwrap_or(line)).escape_debug().to_string()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { forwardable, delivered, accepted, host_right, .. } = self;
        writeln!(
            f,
            "of {forwardable}: {delivered} delivered, {accepted} accepted, {host_right} of these with the right host"
        )?;
        let lists = [
            ("missing", &self.missing),
            ("doubled", &self.doubled),
            ("not byte for byte", &self.touched),
            ("refused by the agent", &self.refused),
            ("not sent, or altered", &self.strangers),
        ];
        for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            writeln!(f, "{} {what}:\n    {}", list.len(), list.join("\n    "))?;
        }
        Ok(())
    }
}
