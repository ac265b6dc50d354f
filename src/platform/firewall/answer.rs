//! Does a packet get in? The walk's outcome as an answer about senders: who is let in, who is not and by which rule, who
//! nobody can tell about.

use std::collections::BTreeMap;

use super::model::{Ruleset, Why};
use super::packet::{Moment, Packet, TCP, UDP};
use super::span::Span;
use super::walk::{Outcome, Place, walk};

/// Who of the senders that were asked about gets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub asked: Span,
    pub allowed: Span,
    /// Who surely does not, the largest part first.
    pub blocked: Vec<Block>,
    /// Who may or may not, and what could not be judged.
    pub unknown: Vec<(Span, Why, Place)>,
    /// Who of the allowed ones loses what is too large for one packet: its pieces are dropped. UDP over IPv4 only.
    pub pieces: Vec<Block>,
    /// The rules that let the allowed ones in.
    pub opened_by: Vec<(Span, Place)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub who: Span,
    pub place: Place,
    /// The packet that is lost.
    pub moment: Moment,
    /// It goes somewhere else instead of being lost.
    pub diverted: bool,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everybody.
    Open,
    /// Some, and the others are blocked.
    Partly,
    /// Part of it could not be judged.
    Unknown,
    /// Nobody.
    Closed,
}

impl Answer {
    pub fn verdict(&self) -> Verdict {
        let unknown = self.unknown.iter().any(|(who, ..)| !who.is_empty());
        match (self.allowed.is_empty(), self.blocked.is_empty()) {
            _ if unknown => Verdict::Unknown,
            (_, true) => Verdict::Open,
            (false, false) => Verdict::Partly,
            (true, false) => Verdict::Closed,
        }
    }

    /// What the first doubt is about.
    pub fn doubt(&self) -> &str {
        self.unknown.first().map(|(_, why, _)| why.text()).unwrap_or_default()
    }

    /// What is unsure is only how much gets in.
    pub fn only_rate(&self) -> bool {
        self.unknown.iter().all(|(_, why, _)| matches!(why, Why::Rate(_)))
    }
}

/// Asks for `senders` (or everybody) about the first packet and, for TCP, about the ones after it and our answers.
pub fn ask(rules: &Ruleset, packet: &Packet, senders: Option<&Span>) -> Answer {
    let asked = match senders {
        Some(senders) => senders.clone(),
        None => packet.senders(),
    };
    let first = walk(rules, packet, &asked);
    let mut answer = Answer { asked: asked.clone(), opened_by: first.accepting.clone(), ..Answer::default() };
    let mut may = first.accepted.clone();
    let mut lost: Vec<Block> = losses(&first, packet.moment);
    // Packets that a rule gives another port do not come to the one that was asked about.
    for (who, port) in &first.redirected {
        may = may.minus(who);
        let place = Place { verdict: format!("redirected to port {port}"), ..redirecting(&first) };
        lost.push(Block { who: who.clone(), place, moment: Moment::First, diverted: true });
    }
    let mut unsure = first.unsure;
    if packet.proto == TCP && packet.moment == Moment::First && !may.is_empty() {
        let moments: &[Moment] = if packet.loopback() { &[Moment::Later] } else { &[Moment::Later, Moment::Answer] };
        for moment in moments {
            let out = walk(rules, &Packet { moment: *moment, ..packet.clone() }, &may);
            lost.extend(losses(&out, *moment));
            may = may.intersect(&out.accepted);
            unsure.extend(out.unsure);
        }
    }
    let lost_any = lost.iter().fold(Span::empty(), |all, block| all.union(&block.who));
    let either = may.intersect(&lost_any);
    answer.allowed = may.minus(&lost_any);
    answer.blocked = collected(lost, &either);
    if !either.is_empty() {
        answer.unknown = unsure
            .into_iter()
            .map(|(who, why, place)| (who.intersect(&either), why, place))
            .filter(|(who, ..)| !who.is_empty())
            .collect();
        if answer.unknown.is_empty() {
            let why = Why::Expression("the way through the rules".into());
            answer.unknown.push((either, why, Place::nowhere()));
        }
    }
    if packet.proto == UDP && packet.moment == Moment::First && !packet.loopback() && !packet.v6() {
        let out = walk(rules, &Packet { moment: Moment::Piece, ..packet.clone() }, &answer.allowed);
        answer.pieces = collected(losses(&out, Moment::Piece), &out.accepted);
    }
    let gaps = rules.gaps.iter().map(|gap| (asked.clone(), Why::Expression(gap.clone()), Place::nowhere()));
    // What is blocked by the rules that are known stays blocked, whatever the others say.
    if !answer.allowed.is_empty() || !answer.unknown.is_empty() {
        answer.unknown.extend(gaps);
    }
    answer
}

fn losses(out: &Outcome, moment: Moment) -> Vec<Block> {
    let block = |diverted: bool| {
        move |(who, place): &(Span, Place)| Block { who: who.clone(), place: place.clone(), moment, diverted }
    };
    out.dropped.iter().map(block(false)).chain(out.diverted.iter().map(block(true))).collect()
}

fn redirecting(out: &Outcome) -> Place {
    out.redirecting.first().cloned().unwrap_or_else(Place::nowhere)
}

/// Blocks by place, the largest first, without those who may come through.
fn collected(lost: Vec<Block>, either: &Span) -> Vec<Block> {
    let mut by_place: BTreeMap<(Moment, Place), Block> = BTreeMap::new();
    for block in lost {
        let who = block.who.minus(either);
        if who.is_empty() {
            continue;
        }
        let key = (block.moment, block.place.clone());
        let entry = by_place.entry(key).or_insert(Block { who: Span::empty(), ..block });
        entry.who = entry.who.union(&who);
    }
    let mut blocks: Vec<Block> = by_place.into_values().collect();
    blocks.sort_by_key(|b| std::cmp::Reverse(b.who.size()));
    blocks
}
