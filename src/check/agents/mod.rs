//! Judgements on the agents themselves: installed, onboarded, running, told what to take, keeping up. One file an area; pure,
//! over what [`super::agent_facts`] holds.

pub mod ama;
pub mod backlog;
pub mod both;
pub mod dcr;
pub mod forward_config;
pub mod input;
pub mod logs;
pub mod oms;
pub mod onboarded;
pub mod plugins;
pub mod running;
pub mod upload;

#[cfg(test)]
pub mod boxes;
#[cfg(test)]
mod tests;

use super::agent_facts::{AmaState, OmsState, OmsWorkspace, Package, Packages};
use super::case::Case;
use super::facts::Facts;
use super::outcome::{Judged, NotJudged, Outcome};
use crate::agent::ama::paths as ama_paths;
use crate::agent::{AgentKind, Cloud};
use crate::host::proc_mount;
use crate::host::proc_process::Process;
use crate::report::shell_quote;

/// The Log Analytics agent, where it is the one that is meant.
///
/// # Errors
/// It is not, or nothing of it is there.
fn the_oms<'a>(case: &'a Case<'_>) -> Result<&'a OmsState, NotJudged> {
    meant(case, AgentKind::Oms)?;
    let missing = || NotJudged::Blocked("agent.installed", "the Log Analytics agent is not installed".into());
    case.facts.agent_states.oms.as_ref().ok_or_else(missing)
}

/// The Azure Monitor Agent, where it is the one that is meant.
pub fn the_ama<'a>(case: &'a Case<'_>) -> Result<&'a AmaState, NotJudged> {
    meant(case, AgentKind::Ama)?;
    let missing = || NotJudged::Blocked("ama.installed", "the Azure Monitor Agent is not installed".into());
    case.facts.agent_states.ama.as_ref().ok_or_else(missing)
}

/// A check of one agent does not apply where the other one is meant, or none.
pub fn meant(case: &Case<'_>, agent: AgentKind) -> Result<(), NotJudged> {
    match case.target.agent {
        there if there == agent => Ok(()),
        AgentKind::None => Err(NotJudged::Skip("no agent is looked for on this box".into())),
        other => Err(NotJudged::Skip(format!("the agent of this box is the {other}"))),
    }
}

/// The agent whose traces are on the box: what is installed or runs before what is only left over.
pub fn present(facts: &Facts) -> (AgentKind, bool) {
    let states = &facts.agent_states;
    let runs = |agent: AgentKind| facts.processes.values().any(|p| is_agent(agent, p) && !p.is_zombie());
    let unit = |name: &str| facts.unit(name).is_some_and(|u| u.state.exists());
    let known = |p: &Packages| p.0.as_ref().is_ok_and(|p| !p.is_empty());
    let ama = states.ama.as_ref().is_some_and(|a| a.own.program || known(&a.packages));
    let oms = states.oms.as_ref().is_some_and(|o| o.program || known(&o.packages));
    match () {
        _ if ama || unit(ama_paths::UNIT) || runs(AgentKind::Ama) => (AgentKind::Ama, true),
        _ if oms || runs(AgentKind::Oms) => (AgentKind::Oms, true),
        _ if states.ama.is_some() => (AgentKind::Ama, false),
        _ if states.oms.as_ref().is_some_and(|o| !o.workspaces.is_empty()) => (AgentKind::Oms, false),
        () => (AgentKind::None, false),
    }
}

/// The cloud that the agent's own configuration names.
pub fn cloud(facts: &Facts, agent: AgentKind) -> Option<String> {
    let states = &facts.agent_states;
    let suffixes: Vec<String> = match agent {
        AgentKind::Oms => {
            let admins = states.oms.iter().flat_map(|o| &o.workspaces).filter_map(|w| w.admin.as_ref()?.as_ref().ok());
            admins.filter_map(|a| a.get("URL_TLD").cloned()).collect()
        }
        AgentKind::Ama => {
            let channels = states.ama.as_ref()?.own.rules().flat_map(|r| &r.channels);
            // `<workspace>.ods.opinsights.azure.us`
            channels.filter_map(|c| Some(c.host().split_once(".ods.")?.1.to_owned())).collect()
        }
        AgentKind::None => Vec::new(),
    };
    suffixes.iter().find_map(|s| Cloud::of_suffix(s)).map(|c| c.word().to_owned())
}

/// The omsagent is a ruby of its own (facts 1.8), AMA's intake is mdsd.
pub fn is_agent(agent: AgentKind, process: &Process) -> bool {
    let unit = process.unit.as_deref().unwrap_or_default();
    match agent {
        AgentKind::Oms => {
            let home = |path: &str| path.starts_with("/opt/microsoft/omsagent/");
            home(&process.exe) || unit.starts_with("omsagent") || process.cmdline.iter().any(|a| home(a))
        }
        AgentKind::Ama => {
            let home = |path: &str| path.starts_with("/opt/microsoft/azuremonitoragent/bin/mdsd");
            let named =
                process.comm == "mdsd" || process.exe.ends_with("/mdsd") || process.cmdline.iter().any(|a| home(a));
            // The Linux diagnostics extension has an mdsd of its own.
            (named && !unit.starts_with("mdsd-lde")) || unit == ama_paths::UNIT
        }
        AgentKind::None => true,
    }
}

/// The agent's own process, if it runs.
pub fn process<'a>(case: &'a Case<'_>, agent: AgentKind) -> Option<&'a Process> {
    let all = || case.facts.processes.values().filter(|p| !p.is_zombie());
    all().find(|p| is_agent(agent, p))
}

/// Command that restarts an agent; a workspace's own one where it is named.
pub fn restart(agent: AgentKind, workspace: Option<&str>) -> String {
    match agent {
        AgentKind::Oms => {
            let workspace = workspace.map(|w| format!(" {}", shell_quote(w))).unwrap_or_default();
            format!("sudo /opt/microsoft/omsagent/bin/service_control restart{workspace}")
        }
        AgentKind::Ama | AgentKind::None => "sudo systemctl restart azuremonitoragent".into(),
    }
}

/// A fault that only says that nothing gets out, where another check has found why.
fn unless_cut_off(case: &Case<'_>, out: Outcome) -> Judged {
    if out.status != crate::report::Status::Fail {
        return Ok(out);
    }
    match super::cloud::is_cut_off(case) {
        Some(by) => Err(NotJudged::Blocked(by, out.summary)),
        None => Ok(out),
    }
}

/// Workspaces; without one the agent is not onboarded, and nothing else can be said.
fn workspaces(oms: &OmsState) -> Result<&[OmsWorkspace], NotJudged> {
    match oms.workspaces.as_slice() {
        [] => Err(NotJudged::Blocked("agent.onboarded", "the agent belongs to no workspace".into())),
        some => Ok(some),
    }
}

/// A package that is not as it should be, in words.
fn broken_package(packages: &Packages) -> Option<(&Package, String)> {
    let package = packages.0.as_ref().ok()?.iter().find(|p| p.state != "installed")?;
    Some((package, format!("package {} {} is {}", package.name, package.version, package.state)))
}

/// A folder that programs may not be started from, or cannot write to, by how its file system is mounted.
fn bad_mount(case: &Case<'_>, folder: &str, of_programs: bool) -> Option<(String, String)> {
    let mounts = case.facts.agent_states.mounts.as_ref().ok()?;
    let mount = proc_mount::holding(mounts, std::path::Path::new(folder))?;
    let source = format!("mount {}", mount.point);
    match () {
        _ if mount.noexec && of_programs => Some((source, format!("{} has the option noexec", mount.fs_type))),
        _ if mount.read_only && !of_programs => Some((source, format!("{} is read-only", mount.fs_type))),
        () => None,
    }
}

/// `5 minutes`, `3 hours`, `2 days`
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, one) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    super::words::count(usize::try_from(count).unwrap_or(usize::MAX), one)
}

/// Adds the commands that a finding is mended with.
fn commands(out: Outcome, all: &[String]) -> Outcome {
    all.iter().fold(out, |out, c| out.command(c.clone()))
}
