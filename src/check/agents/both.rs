//! Two agents side by side, or another program that ships the same events: who carries them, and are they stored twice
//! (field-failures 1.16)?

use std::collections::BTreeSet;

use super::{is_agent, meant};
use crate::agent::ama::paths as ama_paths;
use crate::agent::oms::leftovers;
use crate::agent::{AgentKind, OMS_PORT};
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::pipeline::Forward;
use crate::check::samples::Fate;
use crate::check::words;
use crate::host::proc_net::Transport;

pub fn both(case: &Case<'_>) -> Judged {
    if let Some(out) = left_by_azures(case) {
        return Ok(out);
    }
    if case.target.agent == AgentKind::None {
        meant(case, AgentKind::Ama)?;
    }
    let states = &case.facts.agent_states;
    let lad = states.others.iter().find(|o| o.same_service && o.active);
    let others = || {
        states
            .others
            .iter()
            .map(|o| (o.seen.as_str(), format!("{}{}", o.name, if o.active { ", running" } else { ", not running" })))
    };
    let (oms, ama) = (there(case, AgentKind::Oms), there(case, AgentKind::Ama));
    let ways = ways(case);
    if oms && ama {
        return Ok(side_by_side(case, ways).seen_all(others()));
    }
    if !oms && let Some(out) = left_behind(case, &ways) {
        return Ok(out);
    }
    if let Some(lad) = lad {
        return Ok(Outcome::warn(format!("{} also collects syslog on this box: events may be stored twice", lad.name))
            .seen_all(others())
            .advise("take syslog out of its settings, or remove it"));
    }
    let only = if ama { AgentKind::Ama } else { AgentKind::Oms };
    if !oms && !ama {
        return Err(NotJudged::Blocked(
            if case.target.agent == AgentKind::Oms { "agent.installed" } else { "ama.installed" },
            "no agent is installed".into(),
        ));
    }
    Ok(Outcome::pass(format!("the {only} is the only agent on this box")).seen_all(others()))
}

/// Installed, or running from elsewhere.
fn there(case: &Case<'_>, agent: AgentKind) -> bool {
    let states = &case.facts.agent_states;
    let runs = case.facts.processes.values().any(|p| is_agent(agent, p) && !p.is_zombie());
    let installed = match agent {
        AgentKind::Oms => states.oms.as_ref().is_some_and(|o| o.program),
        AgentKind::Ama => {
            states.ama.as_ref().is_some_and(|a| a.own.program)
                || case.facts.unit(ama_paths::UNIT).is_some_and(|u| u.state.exists())
        }
        AgentKind::None => false,
    };
    installed || runs
}

/// Forwards to either agent's port on this machine.
struct Ways {
    oms: Vec<Forward>,
    ama: Vec<Forward>,
}

/// Forwards that a security event comes to from where devices send; `None`: not known.
fn reached(case: &Case<'_>) -> Option<BTreeSet<usize>> {
    let flow = case.flow().ok()?;
    let ways = flow.entries.iter().flat_map(|e| &e.ways).filter(|w| w.sample.fate == Fate::Forwarded);
    Some(ways.flat_map(|w| w.visits.iter().map(|v| v.forward)).collect())
}

fn ways(case: &Case<'_>) -> Ways {
    let all: Vec<Forward> = case.config().map(|c| c.forwards()).unwrap_or_default();
    let agents = &case.facts.agents;
    let ports = [(AgentKind::Oms, OMS_PORT), (AgentKind::Ama, agents.port(AgentKind::Ama))];
    let to = |agent: AgentKind, usual: u16| -> Vec<Forward> {
        let own = agents.port(agent);
        let fits = |f: &&Forward| f.enabled && f.loopback && f.number.is_some_and(|n| n == own || n == usual);
        all.iter().filter(fits).cloned().collect()
    };
    let [oms, ama] = ports.map(|(agent, usual)| to(agent, usual));
    Ways { oms, ama }
}

fn side_by_side(case: &Case<'_>, mut ways: Ways) -> Outcome {
    if let Some(reached) = reached(case) {
        ways.oms.retain(|f| reached.contains(&f.id));
        ways.ama.retain(|f| reached.contains(&f.id));
    }
    let runs = |agent: AgentKind| super::process(case, agent).is_some();
    let seen = ways.oms.iter().map(|f| (f.at.to_string(), format!("{}, the Log Analytics agent", f.describe())));
    let seen =
        seen.chain(ways.ama.iter().map(|f| (f.at.to_string(), format!("{}, the Azure Monitor Agent", f.describe()))));
    let state = |agent: AgentKind| (agent.to_string(), if runs(agent) { "runs" } else { "does not run" });
    let text = match (ways.oms.is_empty(), ways.ama.is_empty()) {
        (false, false) => "both agents get every event: each is stored and billed twice",
        (false, true) => {
            "both agents are here, and events go through the Log Analytics agent, which is retired, not through the Azure Monitor Agent"
        }
        (true, false) => {
            "both agents are here; events go through the Azure Monitor Agent, the other one is of no use for them"
        }
        (true, true) => "both agents are here, and no rule passes events to either",
    };
    let out = Outcome::warn(text).seen_all([state(AgentKind::Oms), state(AgentKind::Ama)]).seen_all(seen);
    let out = out
        .advise("once events arrive through the Azure Monitor Agent, take the Log Analytics agent and its rules away");
    let rules = ways.oms.iter().map(|f| f.at.file.to_string_lossy().into_owned()).collect::<BTreeSet<_>>();
    let rules: Vec<String> = rules
        .into_iter()
        .map(|f| format!("# after a look into it: sudo rm {}", crate::report::shell_quote(&f)))
        .collect();
    super::commands(out.command("sudo sh onboard_agent.sh --purge"), &rules)
}

/// The Azure Monitor Agent was removed, and its files in the daemon's configuration stayed: they hand everything to a port
/// that nobody has, and with syslog-ng hold the source up.
fn left_by_azures(case: &Case<'_>) -> Option<Outcome> {
    let ama = case.facts.agent_states.ama.as_ref()?;
    if there(case, AgentKind::Ama) || case.target.agent == AgentKind::Ama {
        return None;
    }
    let forwards = case.config().map(|c| c.forwards()).unwrap_or_default();
    let dead: Vec<&Forward> =
        forwards.iter().filter(|f| f.enabled && ama.own.files.iter().any(|own| *own.path == *f.at.file)).collect();
    let file = dead.first()?.at.file.to_string_lossy().into_owned();
    Some(
        Outcome::warn(format!("{file} still sends everything to the Azure Monitor Agent, which is gone"))
            .seen_all(dead.iter().map(|f| (f.at.to_string(), f.describe())))
            .advise("take that file away and restart the daemon")
            .command(format!("# after a look into it: sudo rm {}", crate::report::shell_quote(&file)))
            .command(format!("sudo systemctl restart {}", case.unit_name())),
    )
}

/// The Log Analytics agent is gone, but its rules still send to where nobody listens (facts 1.15).
fn left_behind(case: &Case<'_>, ways: &Ways) -> Option<Outcome> {
    if case.target.agent != AgentKind::Ama || ways.oms.is_empty() {
        return None;
    }
    let net = case.facts.net.as_ref().ok()?;
    let dead = |f: &&Forward| {
        f.number.is_some_and(|n| {
            n != case.target.agent_port && net.open(f.transport.unwrap_or(Transport::Tcp), n).next().is_none()
        })
    };
    let dead: Vec<&Forward> = ways.oms.iter().filter(dead).collect();
    let first = dead.first()?;
    let file = first.at.file.to_string_lossy().into_owned();
    let own =
        if leftovers::FILES.contains(&file.as_str()) { ", a file of the Log Analytics agent's installer," } else { "" };
    Some(
        Outcome::warn(format!("{file}{own} still sends to the Log Analytics agent, which is gone"))
            .seen_all(dead.iter().map(|f| (f.at.to_string(), f.describe())))
            .seen(
                "port",
                format!(
                    "nobody listens on {}",
                    words::list(&dead.iter().map(|f| f.port.to_string()).collect::<Vec<_>>())
                ),
            )
            .advise("take that rule away and restart the daemon")
            .command(format!("# after a look into it: sudo rm {}", crate::report::shell_quote(&file)))
            .command(format!("sudo systemctl restart {}", case.unit_name()))
            .fixable_if(leftovers::FILES.contains(&file.as_str())),
    )
}
