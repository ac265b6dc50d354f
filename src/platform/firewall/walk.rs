//! The way of a packet through the rules: every base chain of every table in the order of hooks and priorities, since an
//! accept in one chain does not overrule a drop in another.
//!
//! A whole set of senders goes through at once. Where a test cannot be judged, the senders go both ways; who can end both
//! accepted and dropped is told as unknown, with the reason.

use std::collections::BTreeMap;

use super::judge::{Met, fits_row, meets};
use super::model::{Base, Chain, Hook, Key, Rule, Ruleset, Step, Table, Test, Verdict, Why};
use super::packet::{Moment, Packet, State, Tracked};
use super::span::{Span, number};

/// Depth of jumps that nftables allows.
const DEPTH: usize = 16;
/// States of packets that are told apart; more are taken together, which makes marks unknown.
const MOST_STATES: usize = 16;

/// Where something was decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `nftables table inet filter`
    pub table: String,
    pub chain: String,
    /// The rule as its tool shows it; `None`: the chain's policy.
    pub rule: Option<String>,
    /// The rule, or one on the way to it, asks for the port: somebody meant it.
    pub names_port: bool,
    /// What the verdict is: `drop`, `reject`, `accept`, or in words.
    pub verdict: String,
    /// Index of table and base chain, and of the rule's own chain, for who wants to change it.
    pub at: At,
}

impl Place {
    /// Of what no rule can be named for.
    pub fn nowhere() -> Place {
        let at = At { table: usize::MAX, base: String::new(), chain: String::new(), rule: None, handle: None };
        Place { table: String::new(), chain: String::new(), rule: None, verdict: String::new(), names_port: false, at }
    }

    /// `iptables table filter, chain INPUT: -A INPUT -j DROP`, or the policy.
    pub fn words(&self) -> String {
        match &self.rule {
            _ if self.table.is_empty() => "not known".to_owned(),
            Some(rule) => format!("{}, chain {}: {rule}", self.table, self.chain),
            None => format!("{}, chain {}: policy drop", self.table, self.chain),
        }
    }
}

/// A rule in a [`Ruleset`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub table: usize,
    /// The base chain that was walked.
    pub base: String,
    /// The chain the rule is in.
    pub chain: String,
    /// Index of the rule of the base chain that was being followed, also where the decision fell deeper; `None`: policy.
    pub rule: Option<usize>,
    pub handle: Option<u64>,
}

/// Which senders end where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub accepted: Span,
    /// Who may be dropped, and where; the same sender can be in more than one.
    pub dropped: Vec<(Span, Place)>,
    /// Sent on to somewhere else: `to 172.17.0.2 port 514`.
    pub diverted: Vec<(Span, Place)>,
    /// Rules that accepted in the chains of the `filter` kind, for who wants to know what opens the port.
    pub accepting: Vec<(Span, Place)>,
    pub unsure: Vec<(Span, Why, Place)>,
    /// The rules that change ports.
    pub redirecting: Vec<Place>,
    /// Ports that the packets have in the end, where a rule changed them.
    pub redirected: Vec<(Span, u16)>,
}

type Flow = (Span, State);

/// The ways out of a rule.
struct Ways<'w> {
    /// On to the next rule.
    next: Vec<Flow>,
    /// Back to where the chain was called from.
    back: &'w mut Vec<Flow>,
    /// Through the base chain.
    through: &'w mut Vec<Flow>,
}

struct Walk<'a> {
    packet: &'a Packet,
    out: Outcome,
    /// Where the walk is.
    table: &'a Table,
    index: usize,
    base: &'a Base,
    base_chain: &'a str,
    base_rule: Option<usize>,
    /// A rule on the way here asked for the port.
    named: bool,
}

/// Follows `packet` from all of `senders`.
pub fn walk(rules: &Ruleset, packet: &Packet, senders: &Span) -> Outcome {
    let mut out = Outcome::default();
    // A new connection has no mark; what a rule gave an old one is not known here.
    let ct_mark = (packet.moment == Moment::First).then_some(0);
    let state = State { tracked: Tracked::NotYet, mark: Some(0), ct_mark, redirected: None, going_out: false };
    let mut flows: Vec<Flow> = vec![(senders.clone(), state)];
    for hook in hooks(packet) {
        let going_out = matches!(hook, Hook::Output | Hook::Postrouting | Hook::Egress);
        for (_, state) in &mut flows {
            state.going_out = going_out;
        }
        for (priority, index, chain) in chains_at(rules, *hook, packet) {
            if packet.moment == Moment::Piece && *hook == Hook::Prerouting && priority >= WHOLE && tracks(rules) {
                continue;
            }
            let (Some(table), Some(base)) = (rules.tables.get(index), chain.base.as_ref()) else { continue };
            // Connection tracking looks at the packet at -200 of its first hook (`NF_IP_PRI_CONNTRACK`).
            if priority > -200 {
                flows.iter_mut().for_each(|(_, state)| track(state));
            }
            let first_hook = matches!(hook, Hook::Ingress | Hook::Prerouting | Hook::Output);
            if !first_hook {
                flows.iter_mut().for_each(|(_, state)| track(state));
            }
            let mut walk =
                Walk { packet, out, table, index, base, base_chain: &chain.name, base_rule: None, named: false };
            flows = walk.base(chain, flows);
            out = walk.out;
        }
    }
    for (who, state) in flows {
        out.accepted = out.accepted.union(&who);
        if let Some(port) = state.redirected.filter(|p| *p != packet.port) {
            out.redirected.push((who, port));
        }
    }
    out
}

/// Connection tracking puts pieces together before anything with this priority sees them (`NF_IP_PRI_CONNTRACK_DEFRAG`).
const WHOLE: i32 = -400;

/// Is there a rule that has the kernel track connections?
fn tracks(rules: &Ruleset) -> bool {
    let asks = |step: &Step| match step {
        Step::Test(Test::Is { key, .. } | Test::Bits { key, .. }) => by_tracking(key),
        Step::Test(Test::Rows { keys, .. }) => keys.iter().any(by_tracking),
        Step::Map { keys, .. } => keys.iter().any(by_tracking),
        Step::CtMark(_) | Step::MarkFromCt => true,
        _ => false,
    };
    // A chain for the translation of addresses alone does not ask for it, its rules do.
    let nat = |c: &Chain| c.base.as_ref().is_some_and(|b| b.nat) && !c.rules.is_empty();
    let tracked = |c: &Chain| nat(c) || c.rules.iter().flat_map(|r| &r.steps).any(asks);
    rules.tables.iter().flat_map(|t| t.chains.values()).any(tracked)
}

fn by_tracking(key: &Key) -> bool {
    match key {
        Key::CtState | Key::CtMark | Key::CtStatus | Key::CtDirection => true,
        Key::Masked(key, _) => by_tracking(key),
        _ => false,
    }
}

fn track(state: &mut State) {
    if state.tracked == Tracked::NotYet {
        state.tracked = Tracked::Yes;
    }
}

/// The hooks that the packet passes, in order.
fn hooks(packet: &Packet) -> &'static [Hook] {
    match (packet.moment, packet.loopback()) {
        // Pieces are put together before the rules for what is this machine's own.
        (Moment::Piece, false) => &[Hook::Ingress, Hook::Prerouting],
        (Moment::First | Moment::Later, false) => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
        (Moment::Answer, false) => &[Hook::Output, Hook::Postrouting, Hook::Egress],
        (_, true) => &[Hook::Output, Hook::Postrouting, Hook::Ingress, Hook::Prerouting, Hook::Input],
    }
}

/// Base chains of a hook in the order in which they are called.
fn chains_at<'a>(rules: &'a Ruleset, hook: Hook, packet: &Packet) -> Vec<(i32, usize, &'a Chain)> {
    let mut found: Vec<(i32, usize, &Chain)> = Vec::new();
    for (index, table) in rules.tables.iter().enumerate().filter(|(_, t)| t.family.sees(packet.v6())) {
        for chain in table.chains.values() {
            let Some(base) = chain.base.as_ref().filter(|b| b.hook == hook) else { continue };
            let on_device = base.devices.is_empty() || base.devices.contains(&packet.interface);
            // Addresses are translated when a connection begins; of the machine's own ones when they go out.
            let nat = base.nat && (packet.moment != Moment::First || (packet.loopback() && hook == Hook::Prerouting));
            if on_device && !nat {
                found.push((base.priority, index, chain));
            }
        }
    }
    found.sort_by_key(|(priority, index, _)| (*priority, *index));
    found
}

impl<'a> Walk<'a> {
    /// Who gets through the base chain.
    fn base(&mut self, chain: &'a Chain, flows: Vec<Flow>) -> Vec<Flow> {
        let mut through: Vec<Flow> = Vec::new();
        let mut left = Vec::new();
        // Whose destination was changed once is not asked again.
        for flow in flows {
            if self.base.nat && flow.1.redirected.is_some() { through.push(flow) } else { left.push(flow) }
        }
        let rest = self.chain(chain, left, &mut through, 0);
        for (who, state) in rest {
            if self.base.accept {
                through.push((who, state));
            } else {
                self.base_rule = None;
                let place = self.place(chain, None, "drop");
                self.out.dropped.push((who, place));
            }
        }
        merged(through)
    }

    /// Takes packets through a chain; what comes back has reached its end or returned. Accepted ones go to `through`.
    fn chain(&mut self, chain: &'a Chain, flows: Vec<Flow>, through: &mut Vec<Flow>, depth: usize) -> Vec<Flow> {
        let mut here = flows;
        let mut back: Vec<Flow> = Vec::new();
        for (n, rule) in chain.rules.iter().enumerate() {
            if here.is_empty() {
                break;
            }
            if depth == 0 {
                self.base_rule = Some(n);
            }
            let mut ways = Ways { next: Vec::new(), back: &mut back, through };
            for flow in std::mem::take(&mut here) {
                self.rule(chain, rule, flow, &mut ways, depth);
            }
            here = merged(ways.next);
        }
        back.extend(here);
        merged(back)
    }

    fn rule(&mut self, chain: &'a Chain, rule: &'a Rule, (who, state): Flow, ways: &mut Ways<'_>, depth: usize) {
        let mut met = Met { surely: who.clone(), maybe: who.clone(), why: None };
        let mut then = state.clone();
        // Who has surely left the rule by a verdict.
        let mut gone = Span::empty();
        for step in &rule.steps {
            if met.maybe.is_empty() {
                break;
            }
            match step {
                Step::Test(test) => met = met.and(self.met(test, &then, &who)),
                Step::Mark(mark) => then.mark = *mark,
                Step::CtMark(mark) => then.ct_mark = *mark,
                Step::MarkFromCt => then.mark = then.ct_mark,
                Step::NoTrack => {
                    if then.tracked == Tracked::NotYet {
                        then.tracked = Tracked::No;
                    }
                }
                Step::Map { keys, rows } => {
                    for (row, verdict) in rows {
                        let fits = fits_row(keys, row, self.packet, &then, &who).and(met.clone());
                        if fits.maybe.is_empty() {
                            continue;
                        }
                        met = Met {
                            surely: met.surely.minus(&fits.maybe),
                            maybe: met.maybe.minus(&fits.surely),
                            why: met.why.or(fits.why.clone()),
                        };
                        gone = gone.union(&fits.surely);
                        self.note_unsure(chain, rule, &fits);
                        self.verdict(chain, rule, verdict, (fits.maybe, then.clone()), ways, depth);
                    }
                }
                Step::Do(verdict) => {
                    self.note_unsure(chain, rule, &met);
                    self.verdict(chain, rule, verdict, (met.maybe, then), ways, depth);
                    gone = gone.union(&met.surely);
                    ways.next.push((who.minus(&gone), state));
                    return;
                }
            }
        }
        // No verdict for these: on with the next rule, those who met all with what was done to them.
        if then != state {
            self.note_unsure(chain, rule, &met);
        }
        let others = who.minus(&gone).minus(&met.surely);
        ways.next.push((met.maybe, then));
        ways.next.push((others, state));
    }

    fn met(&self, test: &Test, state: &State, who: &Span) -> Met {
        meets(test, self.packet, state, who)
    }

    fn verdict(
        &mut self,
        chain: &'a Chain,
        rule: &'a Rule,
        verdict: &'a Verdict,
        (who, state): Flow,
        ways: &mut Ways<'_>,
        depth: usize,
    ) {
        if who.is_empty() {
            return;
        }
        match verdict {
            Verdict::Accept => {
                if !self.base.nat {
                    let place = self.place(chain, Some(rule), "accept");
                    self.out.accepting.push((who.clone(), place));
                }
                ways.through.push((who, state));
            }
            Verdict::Drop | Verdict::Reject => {
                let word = if *verdict == Verdict::Drop { "drop" } else { "reject" };
                let place = self.place(chain, Some(rule), word);
                self.out.dropped.push((who, place));
            }
            Verdict::Return => ways.back.push((who, state)),
            Verdict::Continue => ways.next.push((who, state)),
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let target = self.table.chains.get(name);
                let Some(target) = target.filter(|_| depth < DEPTH) else {
                    let why = Why::Expression(format!("a jump to the chain {name}, which cannot be followed"));
                    return self.either_way(chain, rule, why, (who, state), ways);
                };
                let before = self.named;
                self.named |= names_port(rule);
                let ends = self.chain(target, vec![(who, state)], ways.through, depth + 1);
                self.named = before;
                if matches!(verdict, Verdict::Jump(_)) { ways.next.extend(ends) } else { ways.back.extend(ends) }
            }
            Verdict::Nat { to, port } => {
                self.nat(chain, rule, (to.as_ref(), port.as_ref()), (who, state), ways.through)
            }
            Verdict::Unknown(why) => self.either_way(chain, rule, why.clone(), (who, state), ways),
        }
    }

    /// What cannot be judged may accept, drop, or let the packet go on.
    fn either_way(&mut self, chain: &'a Chain, rule: &'a Rule, why: Why, (who, state): Flow, ways: &mut Ways<'_>) {
        let place = self.place(chain, Some(rule), why.text());
        self.out.unsure.push((who.clone(), why, place.clone()));
        self.out.dropped.push((who.clone(), place));
        ways.through.push((who.clone(), state.clone()));
        ways.next.push((who, state));
    }

    fn nat(
        &mut self,
        chain: &'a Chain,
        rule: &'a Rule,
        (to, port): (Option<&Span>, Option<&Span>),
        (who, mut state): Flow,
        through: &mut Vec<Flow>,
    ) {
        let new_port = port.and_then(|p| p.ranges().first()).and_then(|(low, _)| u16::try_from(*low).ok());
        let local = |n: u128| {
            let own = self.packet.own.iter().chain([&self.packet.local]);
            own.filter(|a| a.is_ipv6() == self.packet.v6()).any(|a| number(*a) == n)
        };
        let stays = to.is_none_or(|to| to.ranges().iter().all(|(low, high)| low == high && local(*low)));
        if stays {
            let place = self.place(chain, Some(rule), "redirect");
            self.out.redirecting.push(place);
            state.redirected = Some(new_port.unwrap_or(self.packet.port));
            through.push((who, state));
            return;
        }
        let mut words =
            format!("sent on to {}", to.map(|t| t.words(self.packet.v6(), 3).join(", ")).unwrap_or_default());
        if let Some(port) = new_port {
            words.push_str(&format!(" port {port}"));
        }
        let place = self.place(chain, Some(rule), &words);
        self.out.diverted.push((who, place));
    }

    fn note_unsure(&mut self, chain: &Chain, rule: &Rule, met: &Met) {
        let unsure = met.maybe.minus(&met.surely);
        if let (false, Some(why)) = (unsure.is_empty(), &met.why) {
            let place = self.place(chain, Some(rule), why.text());
            self.out.unsure.push((unsure, why.clone(), place));
        }
    }

    fn place(&self, chain: &Chain, rule: Option<&Rule>, verdict: &str) -> Place {
        Place {
            table: self.table.label(),
            chain: chain.name.clone(),
            rule: rule.map(|r| r.text.clone()),
            names_port: self.named || rule.is_some_and(names_port),
            verdict: verdict.to_owned(),
            at: At {
                table: self.index,
                base: self.base_chain.to_owned(),
                chain: chain.name.clone(),
                rule: self.base_rule,
                handle: rule.and_then(|r| r.handle),
            },
        }
    }
}

fn names_port(rule: &Rule) -> bool {
    let port = |key: &Key| matches!(key, Key::Dport(_));
    rule.steps.iter().any(|step| match step {
        Step::Test(Test::Is { key, .. }) => port(key),
        Step::Test(Test::Rows { keys, .. }) | Step::Map { keys, .. } => keys.iter().any(port),
        _ => false,
    })
}

/// Packets in the same state taken together.
fn merged(flows: Vec<Flow>) -> Vec<Flow> {
    let mut out: Vec<Flow> = Vec::new();
    for (who, state) in flows.into_iter().filter(|(who, _)| !who.is_empty()) {
        match out.iter_mut().find(|(_, s)| *s == state) {
            Some((all, _)) => *all = all.union(&who),
            None => out.push((who, state)),
        }
    }
    if out.len() > MOST_STATES {
        let mut rough: BTreeMap<String, Flow> = BTreeMap::new();
        for (who, state) in out {
            let state = State { mark: None, ct_mark: None, ..state };
            let entry = rough.entry(format!("{state:?}")).or_insert_with(|| (Span::empty(), state));
            entry.0 = entry.0.union(&who);
        }
        return rough.into_values().collect();
    }
    out
}
