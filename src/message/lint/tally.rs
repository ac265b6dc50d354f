//! Messages counted by their sender: how many, how they look, what becomes of them, what to change. Plain data, so that it
//! goes into facts and reports; bounded, whatever is sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::advice::{self, Advice};
use super::{Level, Lint};
use crate::agent::accept::{EventTime, Verdict};
use crate::message::syslog::Kind;
use crate::report::clean_bytes;

/// Senders told apart; all others are counted together.
const MOST_SENDERS: usize = 500;
/// Different words a sender may have in one of its tables.
const MOST_WORDS: usize = 40;
/// Characters of a sample that are kept.
const SAMPLE: usize = 200;

/// Word → how often.
pub type Counts = BTreeMap<String, u64>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub messages: u64,
    /// Most messages first, once [`Tally::sorted`] was called.
    pub senders: Vec<Sender>,
    /// Messages of senders beyond the first 500.
    pub others: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Address, or the name of the file.
    pub from: String,
    /// `udp`, `tcp`; empty for lines of a file.
    pub transport: String,
    pub messages: u64,
    pub bytes: u64,
    /// Of the largest message.
    pub largest: u64,
    /// By [`super::frames::Framing::id`].
    pub framing: Counts,
    pub envelope: Counts,
    /// What it is: `Fortinet Fortigate`, `Cisco ASA`, `other`.
    pub products: Counts,
    /// `local4.warning`; `none` where there is no PRI.
    pub priorities: Counts,
    /// By [`Level::id`].
    pub levels: Counts,
    /// What the agent does, in words.
    pub fates: Counts,
    /// What is odd, in words.
    pub oddities: Counts,
    pub advice: Vec<(Advice, u64)>,
    pub time: Offset,
    /// A message of the worst level, cleaned and shortened.
    pub sample: Option<(Level, String)>,
    /// Security events by kind and PRI: `cef 164`, `asa 166`, `cef none`.
    #[serde(default)]
    pub events: Counts,
}

/// Header time against arrival, in seconds; positive: the header is ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset {
    /// Messages with a time that can be compared.
    pub count: u64,
    pub least: i64,
    pub most: i64,
}

/// What an offset looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Nothing to compare.
    Unknown,
    Right,
    /// Constantly off by whole quarters of an hour: a zone that the header does not name.
    Zone(i64),
    /// Off otherwise: a clock that is not set, or events that come late.
    Off(i64),
}

/// Seconds that a header's time may differ from its arrival.
const TOLERANCE: i64 = 120;
const QUARTER: i64 = 900;

impl Offset {
    fn add(&mut self, seconds: i64) {
        if self.count == 0 {
            (self.least, self.most) = (seconds, seconds);
        }
        self.count += 1;
        self.least = self.least.min(seconds);
        self.most = self.most.max(seconds);
    }

    pub fn clock(&self) -> Clock {
        if self.count == 0 {
            return Clock::Unknown;
        }
        let middle = self.least / 2 + self.most / 2;
        let near = |target: i64| (self.least - target).abs() <= TOLERANCE && (self.most - target).abs() <= TOLERANCE;
        let quarters = (middle + QUARTER / 2).div_euclid(QUARTER);
        match () {
            _ if near(0) => Clock::Right,
            // Zones reach from -12 to +14 hours.
            _ if near(quarters * QUARTER) && (-48..=56).contains(&quarters) => Clock::Zone(quarters * QUARTER),
            _ if self.least.abs() > self.most.abs() => Clock::Off(self.least),
            _ => Clock::Off(self.most),
        }
    }
}

/// When and where a message was seen.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// `None` where nobody knows: the lines of a file.
    pub time: Option<Timestamp>,
    /// Zone of the machine, for headers that name none.
    pub zone: TimeZone,
}

impl Tally {
    /// Counts one message; gives back what was found to be changed.
    pub fn add(&mut self, from: &str, transport: &str, lint: &Lint<'_>, arrival: &Arrival) -> Vec<Advice> {
        self.messages += 1;
        let advice = advice::advise(lint);
        let at = self.senders.iter().position(|s| s.from == from && s.transport == transport);
        let sender = match at {
            Some(at) => self.senders.get_mut(at),
            None if self.senders.len() >= MOST_SENDERS => None,
            None => {
                self.senders.push(Sender { from: from.into(), transport: transport.into(), ..Sender::default() });
                self.senders.last_mut()
            }
        };
        match sender {
            Some(sender) => sender.add(lint, &advice, arrival),
            None => self.others += 1,
        }
        advice
    }

    /// With the busiest senders first.
    pub fn sorted(mut self) -> Self {
        self.senders.iter_mut().for_each(|s| s.advice.sort_by_key(|(_, n)| std::cmp::Reverse(*n)));
        self.senders.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.from.cmp(&b.from)));
        self
    }

    /// Messages of one level.
    pub fn of_level(&self, level: Level) -> u64 {
        self.senders.iter().filter_map(|s| s.levels.get(level.id())).sum()
    }

    /// The worst that became of any message.
    pub fn worst(&self) -> Option<Level> {
        Level::ALL.into_iter().rev().find(|level| self.of_level(*level) > 0)
    }
}

impl Sender {
    fn add(&mut self, lint: &Lint<'_>, advice: &[Advice], arrival: &Arrival) {
        let length = lint.line.raw.len() as u64;
        self.messages += 1;
        self.bytes += length;
        self.largest = self.largest.max(length);
        count(&mut self.framing, lint.framing.id().into());
        count(&mut self.envelope, lint.envelope());
        count(&mut self.products, lint.product().unwrap_or_else(|| "other".into()));
        count(&mut self.priorities, lint.priority().unwrap_or_else(|| "none".into()));
        if let Some(kind) = lint.line.kind() {
            // FTD ends where ASA does.
            let kind = if kind == Kind::Cef { "cef" } else { "asa" };
            let pri = lint.line.facility_severity().map(|(f, s)| (u16::from(f) * 8 + u16::from(s)).to_string());
            count(&mut self.events, format!("{kind} {}", pri.as_deref().unwrap_or("none")));
        }
        count(&mut self.levels, lint.level.id().into());
        if lint.level > Level::Odd {
            count(&mut self.fates, lint.fate());
        }
        lint.oddities().into_iter().for_each(|word| count(&mut self.oddities, word));
        for one in advice {
            // Bounded by itself: there are only so many things to advise.
            match self.advice.iter_mut().find(|(a, _)| a.id == one.id) {
                Some((_, n)) => *n += 1,
                None => self.advice.push((one.clone(), 1)),
            }
        }
        if let Some(seconds) = offset(lint, arrival) {
            self.time.add(seconds);
        }
        if self.sample.as_ref().is_none_or(|(level, _)| lint.level > *level) {
            let start = lint.line.raw.get(..lint.line.raw.len().min(SAMPLE)).unwrap_or_default();
            self.sample = Some((lint.level, clean_bytes(start)));
        }
    }

    /// Messages of one level.
    pub fn of_level(&self, level: Level) -> u64 {
        self.levels.get(level.id()).copied().unwrap_or_default()
    }
}

/// Counts a word; beyond the first forty all further ones together.
fn count(counts: &mut Counts, word: String) {
    let key = if counts.len() < MOST_WORDS || counts.contains_key(&word) { word } else { "…".into() };
    *counts.entry(key).or_default() += 1;
}

/// Seconds that the header's time is ahead of the arrival.
fn offset(lint: &Lint<'_>, arrival: &Arrival) -> Option<i64> {
    let now = arrival.time?;
    let meant = lint.line.meant(arrival.zone.to_datetime(now).date()).map(|meant| meant.time);
    let time = match &lint.verdict {
        _ if meant.is_some() => meant?,
        _ if lint.line.time().is_empty() => return None,
        Verdict::Accepted(record) => record.event_time,
        _ => EventTime::parse(lint.line.time()).ok()?,
    };
    if !time.has_date() {
        return None;
    }
    let resolved = time.resolve(now, &arrival.zone)?;
    // Without a year, December is ahead of January by a year and not by eleven months.
    let year = 366 * 86_400;
    let seconds = resolved.as_second() - now.as_second();
    match time.year {
        None if seconds > year / 2 => Some(seconds - 365 * 86_400),
        None if seconds < -year / 2 => Some(seconds + 365 * 86_400),
        _ => Some(seconds),
    }
}
