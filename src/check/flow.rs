//! The ways of the sample events through the configuration, from each listener of the port to the actions, worked out
//! once for all checks that need them.

use super::ports;
use super::samples::{Fate, SAMPLES, Sample};
use super::target::Target;
use crate::agent::AgentKind;
use crate::host::proc_net::Transport;
use crate::syslog::Text;
use crate::syslog::rsyslog::SampleEvent;
use crate::syslog::rsyslog::effective::{self, Action, ActionKind, Effective, Forward, Listener};
use crate::syslog::rsyslog::event::{Origin, Reception};
use crate::syslog::rsyslog::trace::Trace;

/// Where the Log Analytics agent takes plain syslog (facts 1.9).
const OMS_SYSLOG_PORT: u16 = 25224;

/// Where events come in.
pub struct Entry<'a> {
    /// `None`: nobody listens, so the default ruleset stands for a listener.
    pub listener: Option<(Transport, &'a Listener)>,
    pub ruleset: &'a Text,
    pub ways: Vec<Way>,
}

/// One sample's way.
pub struct Way {
    pub sample: &'static Sample,
    pub trace: Trace,
}

pub struct Flow<'a> {
    pub config: &'a Effective,
    target: &'a Target,
    pub entries: Vec<Entry<'a>>,
    /// Samples that the filter of some rule to the agent matches, wherever the rule stands and whatever stops before it.
    matched: Vec<Match>,
}

struct Match {
    sample: &'static Sample,
    sure: bool,
    actions: Vec<usize>,
}

impl<'a> Flow<'a> {
    pub fn new(config: &'a Effective, target: &'a Target) -> Self {
        let mut entries = Vec::new();
        for transport in [Transport::Udp, Transport::Tcp] {
            let listeners = ports::listeners(config, transport, target.port);
            if let Some(listener) = ports::winner(&listeners, transport) {
                entries.push(entry(config, Some((transport, listener)), config.ruleset_of(listener)));
            }
        }
        if entries.is_empty() {
            entries.push(entry(config, None, &config.default_ruleset));
        }
        Flow { config, target, entries, matched: matched(config, target) }
    }

    /// Actions that pass events on to the agent, wherever they stand.
    pub fn to_agent(&self) -> impl Iterator<Item = (&'a Action, &'a Forward)> {
        let target = self.target;
        self.config.forwards().filter(move |(a, f)| is_to_agent(target, a, f))
    }

    /// What that action does, if it passes events on to the agent.
    pub fn agent_forward(&self, action: usize) -> Option<(&'a Action, &'a Forward)> {
        self.to_agent().find(|(a, _)| a.id == action)
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
    pub fn carriers(&self) -> Vec<(&'a Action, &'a Forward)> {
        let reached = self.entries.iter().flat_map(|e| &e.ways).filter(|w| w.sample.fate == Fate::Forwarded);
        let mut ids: Vec<usize> = reached.flat_map(|w| w.trace.visits.iter().map(|v| v.action)).collect();
        ids.retain(|id| self.agent_forward(*id).is_some());
        if ids.is_empty() {
            let wanted = self.matched.iter().filter(|m| m.sample.fate == Fate::Forwarded);
            ids = wanted.flat_map(|m| m.actions.iter().copied()).collect();
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.agent_forward(id)).collect()
    }

    /// The carriers that go to the agent's own port over TCP, or all where none does.
    pub fn good_carriers(&self) -> Vec<(&'a Action, &'a Forward)> {
        let all = self.carriers();
        let good: Vec<_> = all.iter().copied().filter(|(_, f)| is_right(self.target, f)).collect();
        if good.is_empty() { all } else { good }
    }

    /// Does the sample come to a rule that passes it on to the agent: yes, no, or not known?
    pub fn arrives(&self, way: &Way) -> Option<bool> {
        let visits = way.trace.visits.iter().filter(|v| self.agent_forward(v.action).is_some());
        let mut maybe = false;
        for visit in visits {
            if !visit.maybe {
                return Some(true);
            }
            maybe = true;
        }
        // What was not followed to its end may still come there.
        if maybe || way.trace.cut_short { None } else { Some(false) }
    }
}

/// Plain TCP to the agent's port.
pub fn is_right(target: &Target, forward: &Forward) -> bool {
    let plain =
        forward.transport == effective::Transport::Tcp && !forward.tls && !forward.compressed && !forward.octet_counted;
    forward.is_loopback() && forward.port_number() == Some(target.agent_port) && plain
}

/// The Log Analytics agent's plain syslog input: what comes there is stored as Syslog, not as a security event.
pub fn is_plain_syslog(forward: &Forward) -> bool {
    forward.is_loopback()
        && forward.port_number() == Some(OMS_SYSLOG_PORT)
        && forward.transport == effective::Transport::Udp
}

fn is_to_agent(target: &Target, action: &Action, forward: &Forward) -> bool {
    let own_port = forward.port_number() == Some(target.port);
    action.enabled && forward.is_loopback() && !is_plain_syslog(forward) && !own_port
}

fn entry<'a>(config: &'a Effective, listener: Option<(Transport, &'a Listener)>, ruleset: &'a Text) -> Entry<'a> {
    let ways =
        SAMPLES.iter().map(|sample| Way { sample, trace: config.trace(&event(config, sample, listener), ruleset) });
    Entry { listener, ruleset, ways: ways.collect() }
}

/// The sample as a device somewhere in the network would have sent it.
pub fn event(config: &Effective, sample: &Sample, listener: Option<(Transport, &Listener)>) -> SampleEvent {
    let module = listener.map(|(_, l)| l.name.clone().unwrap_or_else(|| l.module.clone()));
    let address = Text::from("198.51.100.7");
    let origin = Origin {
        fromhost: address.clone(),
        fromhost_ip: address,
        inputname: module.unwrap_or_else(|| Text::from("imudp")),
        received: None,
    };
    SampleEvent::parse_with(sample.line, &origin, &Reception::of(config))
}

/// Follows the samples from every ruleset on, as if nothing were ever stopped: what reaches a rule now is what the
/// rule's own filter matches. A ruleset that others call is entered through them, for the condition stands there.
fn matched(config: &Effective, target: &Target) -> Vec<Match> {
    let to_agent = |id: usize| config.forwards().any(|(a, f)| a.id == id && is_to_agent(target, a, f));
    let is_bound =
        |name: &Text| *name == config.default_ruleset || config.listeners.iter().any(|l| config.ruleset_of(l) == name);
    let mut found = Vec::new();
    for sample in SAMPLES {
        let event = event(config, sample, None);
        let entered = config.rulesets.iter().filter(|r| is_bound(&r.name) || !config.is_called(&r.name));
        let traces = entered.map(|r| config.trace_without_stops(&event, &r.name));
        let visits: Vec<_> = traces.flat_map(|t| t.visits).filter(|v| to_agent(v.action)).collect();
        if !visits.is_empty() {
            let sure = visits.iter().any(|v| !v.maybe);
            found.push(Match { sample, sure, actions: visits.iter().map(|v| v.action).collect() });
        }
    }
    found
}

/// Local files that a way leads to; devices are none.
pub fn files<'a>(config: &'a Effective, trace: &'a Trace) -> impl Iterator<Item = (&'a Action, String)> {
    trace.visits.iter().filter(|v| !v.maybe).filter_map(|v| config.actions.get(v.action)).filter_map(|a| {
        match &a.kind {
            ActionKind::File(path) if !path.as_bytes().starts_with(b"/dev/") => Some((a, path.to_string())),
            ActionKind::DynaFile(template) => Some((a, format!("files named by template {template}"))),
            _ => None,
        }
    })
}

/// What AMA's own rule passes on is everything; its data collection rule sorts it out.
pub fn takes_everything(target: &Target) -> bool {
    target.agent == AgentKind::Ama
}
