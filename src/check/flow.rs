//! The ways of the sample events through the configuration, from each listener of the port to the forwards, worked out
//! once for all checks that need them.

use std::path::Path;

use super::pipeline::{Config, Forward, Listener, Visit, Way};
use super::ports;
use super::samples::{Fate, SAMPLES, Sample};
use super::target::{Door, Target};
use crate::agent::AgentKind;
use crate::agent::ama::files;
use crate::host::proc_net::Transport;

/// Where the Log Analytics agent takes plain syslog (facts 1.9).
const OMS_SYSLOG_PORT: u16 = 25224;

/// Where the two agents take security events unless told otherwise (facts 1.9, 3.3).
const AGENT_PORTS: [u16; 2] = [25226, 28330];

/// Where events come in.
pub struct Entry {
    /// Of the port devices send to; `None`: nobody listens there.
    pub listener: Option<Listener>,
    /// `ruleset x`, `source s_net`
    pub runs_through: String,
    pub ways: Vec<Way>,
}

pub struct Flow<'a> {
    pub config: Config<'a>,
    target: &'a Target,
    pub listeners: Vec<Listener>,
    pub forwards: Vec<Forward>,
    /// Those of `install`.
    ours: Vec<usize>,
    pub entries: Vec<Entry>,
    /// Samples that the filter of some rule to the agent matches, wherever the rule stands and whatever stops before it.
    matched: Vec<Match>,
}

struct Match {
    sample: &'static Sample,
    sure: bool,
    forwards: Vec<usize>,
}

impl<'a> Flow<'a> {
    /// `own`: is it a file of `install`?
    pub fn new(config: Config<'a>, target: &'a Target, own: impl Fn(&Path) -> bool) -> Self {
        let (listeners, forwards) = (config.listeners(), config.forwards());
        let ours: Vec<usize> = forwards.iter().filter(|f| own(&f.at.file)).map(|f| f.id).collect();
        let mut entries = Vec::new();
        let plain = [Transport::Udp, Transport::Tcp].map(|transport| Door { transport, port: target.port, tls: false });
        let over_tls = target.tls.map(|port| Door { transport: Transport::Tcp, port, tls: true });
        for door in plain.into_iter().chain(over_tls) {
            let all = ports::behind(&listeners, door);
            if let Some(listener) = ports::winner(&all, door.transport) {
                entries.push(entry(config, Some(listener)));
            }
        }
        if entries.is_empty() {
            entries.push(entry(config, None));
        }
        let matched = matched(config, target, &forwards, &ours);
        Flow { config, target, listeners, forwards, ours, entries, matched }
    }

    /// What passes events on to the agent, wherever it stands.
    pub fn to_agent(&self) -> impl Iterator<Item = &Forward> {
        self.forwards.iter().filter(|f| is_to_agent(self.target, &self.forwards, &self.ours, f))
    }

    /// The forward of that number, if it passes events on to the agent.
    pub fn agent_forward(&self, id: usize) -> Option<&Forward> {
        self.to_agent().find(|f| f.id == id)
    }

    /// Samples of this fate that no rule's filter matches.
    pub fn unmatched(&self, fate: Fate) -> Vec<&'static Sample> {
        let hit = |s: &Sample| self.matched.iter().any(|m| m.sample == s);
        SAMPLES.iter().filter(|s| s.fate == fate && !hit(s)).collect()
    }

    /// Samples of this fate that a rule's filter matches for sure.
    pub fn matched(&self, fate: Fate) -> Vec<&'static Sample> {
        self.matched.iter().filter(|m| m.sure && m.sample.fate == fate).map(|m| m.sample).collect()
    }

    /// Samples of this fate of which it is not known whether a filter matches them.
    pub fn unsure(&self, fate: Fate) -> Vec<&'static Sample> {
        self.matched.iter().filter(|m| !m.sure && m.sample.fate == fate).map(|m| m.sample).collect()
    }

    /// The rules that carry security events: reached from a listener, or at least with a filter that matches.
    pub fn carriers(&self) -> Vec<&Forward> {
        let reached = self.entries.iter().flat_map(|e| &e.ways).filter(|w| w.sample.fate == Fate::Forwarded);
        let mut ids: Vec<usize> = reached.flat_map(|w| w.visits.iter().map(|v| v.forward)).collect();
        ids.retain(|id| self.agent_forward(*id).is_some());
        if ids.is_empty() {
            let wanted = self.matched.iter().filter(|m| m.sample.fate == Fate::Forwarded);
            ids = wanted.flat_map(|m| m.forwards.iter().copied()).collect();
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.agent_forward(id)).collect()
    }

    /// The carriers that go to the agent's own port over TCP, or all where none does.
    pub fn good_carriers(&self) -> Vec<&Forward> {
        let all = self.carriers();
        let good: Vec<_> = all.iter().copied().filter(|f| is_right(self.target, f)).collect();
        if good.is_empty() { all } else { good }
    }

    /// Does the sample come to a rule that passes it on to the agent: yes, no, or not known?
    pub fn arrives(&self, way: &Way) -> Option<bool> {
        let mut maybe = false;
        for visit in way.visits.iter().filter(|v| self.agent_forward(v.forward).is_some()) {
            if !visit.maybe {
                return Some(true);
            }
            maybe = true;
        }
        // What was not followed to its end may still come there.
        if maybe || way.cut_short { None } else { Some(false) }
    }

    /// Does a plain CEF event come from this listener to a rule?
    pub fn reaches(&self, listener: &Listener) -> bool {
        let plain = self.matched(Fate::Forwarded).first().copied();
        let way = plain.map(|sample| self.config.way(sample, Some(listener)));
        way.is_some_and(|w| w.visits.iter().any(|v| self.agent_forward(v.forward).is_some()))
    }
}

/// Plain TCP to the agent's port.
pub fn is_right(target: &Target, forward: &Forward) -> bool {
    forward.loopback && forward.number == Some(target.agent_port) && forward.is_plain(Transport::Tcp)
}

/// The Log Analytics agent's plain syslog input: what comes there is stored as Syslog, not as a security event.
pub fn is_plain_syslog(forward: &Forward) -> bool {
    forward.loopback && forward.number == Some(OMS_SYSLOG_PORT) && forward.transport == Some(Transport::Udp)
}

/// Where a rule leads to the agent for sure, another one to this machine belongs to a collector of another maker beside
/// it, unless its port is an agent's or `install` made it. Where none does, any of them may be the rule with a wrong port.
fn is_to_agent(target: &Target, all: &[Forward], ours: &[usize], forward: &Forward) -> bool {
    let own_port = forward.number == Some(target.port);
    let could = forward.enabled && forward.loopback && !is_plain_syslog(forward) && !own_port;
    // The Azure Monitor Agent's own forward beside another agent that has the events takes everything, as it should.
    let azures = target.agent != AgentKind::Ama && files::is_own(&forward.at.file);
    let could = could && !azures;
    let of_agent = forward.number.is_none_or(|n| AGENT_PORTS.contains(&n));
    let known = of_agent || ours.contains(&forward.id) || is_right(target, forward);
    could && (known || !all.iter().any(|f| f.enabled && is_right(target, f)))
}

fn entry(config: Config<'_>, listener: Option<&Listener>) -> Entry {
    let ways = SAMPLES.iter().map(|sample| config.way(sample, listener)).collect();
    Entry { listener: listener.cloned(), runs_through: config.runs_through(listener), ways }
}

fn matched(config: Config<'_>, target: &Target, forwards: &[Forward], ours: &[usize]) -> Vec<Match> {
    let to_agent = |id: usize| forwards.iter().any(|f| f.id == id && is_to_agent(target, forwards, ours, f));
    let mut found = Vec::new();
    for sample in SAMPLES {
        let visits: Vec<Visit> = config.matched(sample).into_iter().filter(|v| to_agent(v.forward)).collect();
        if !visits.is_empty() {
            let sure = visits.iter().any(|v| !v.maybe);
            found.push(Match { sample, sure, forwards: visits.iter().map(|v| v.forward).collect() });
        }
    }
    found
}

/// What AMA's own rule passes on is everything; its data collection rule sorts it out.
pub fn takes_everything(target: &Target) -> bool {
    target.agent == AgentKind::Ama
}
