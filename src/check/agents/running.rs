//! Does the agent run: unit, process, restarts? Both agents alike, under systemd and without it.

use super::{is_agent, process, the_ama, the_oms, workspaces};
use crate::agent::AgentKind;
use crate::agent::ama::paths as ama_paths;
use crate::agent::oms::paths as oms_paths;
use crate::check::case::Case;
use crate::check::facts::UnitFacts;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;
use crate::host::proc_process::Process;
use crate::platform::service::Active;
use crate::report::Fix;

/// Restarts by systemd count while the present run is younger than this, in seconds.
const YOUNG: i64 = 600;
/// So many of them in that time are a loop.
const LOOP: u32 = 5;

pub fn oms(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let all = workspaces(oms)?;
    let mut worst: Option<Outcome> = None;
    let mut good = Vec::new();
    for workspace in all {
        let unit = oms_paths::Workspace::new(workspace.id.as_str()).unit();
        let outcome = one(case, AgentKind::Oms, &unit, Some(&workspace.id))?;
        match outcome.status {
            crate::report::Status::Pass => good.push(outcome),
            status if worst.as_ref().is_none_or(|w| rank(status) > rank(w.status)) => worst = Some(outcome),
            _ => {}
        }
    }
    Ok(worst.or_else(|| good.into_iter().next()).unwrap_or_else(|| Outcome::unknown("there is no workspace")))
}

fn rank(status: crate::report::Status) -> u8 {
    match status {
        crate::report::Status::Fail => 3,
        crate::report::Status::Warn => 2,
        crate::report::Status::Unknown => 1,
        crate::report::Status::Pass | crate::report::Status::Skip => 0,
    }
}

pub fn ama(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    let main = one(case, AgentKind::Ama, ama_paths::UNIT, None)?;
    if main.status == crate::report::Status::Fail {
        let main = match ama.user {
            None if case.facts.host.live => {
                main.seen("/etc/passwd", format!("no user {}, as which the agent runs", ama_paths::USER))
            }
            _ => main,
        };
        return Ok(main);
    }
    // The other units fetch rules and watch over the first one.
    let down = |name: &&str| {
        case.facts.unit(name).is_some_and(|u| {
            u.state.exists() && !u.state.is_active() && u.state.unit_file != "static" && !u.state.is_coming_up()
        })
    };
    let down: Vec<&str> = ama_paths::OTHER_UNITS.into_iter().filter(|n| down(n)).collect();
    if main.status == crate::report::Status::Pass && !down.is_empty() {
        let out = Outcome::warn(format!("the agent takes events, but {} does not run", words::list(&down)))
            .seen_all(down.iter().filter_map(|n| Some((*n, state(case.facts.unit(n)?)))))
            .advise("start it: without it the agent does not hear of changed rules");
        let out = out.command(format!("sudo systemctl restart {}", down.join(" ")));
        return Ok(down.into_iter().fold(out, |out, name| out.fix(Fix::Start(name.to_owned()))));
    }
    Ok(main)
}

fn one(case: &Case<'_>, agent: AgentKind, name: &str, workspace: Option<&str>) -> Judged {
    if !case.facts.host.live {
        return Err(NotJudged::Skip("these are the files of an image that does not run".into()));
    }
    let unit = case.facts.unit(name).filter(|u| u.state.exists());
    match unit {
        Some(unit) => Ok(by_unit(case, agent, unit, workspace)),
        None => without_unit(case, agent, name, workspace),
    }
}

fn by_unit(case: &Case<'_>, agent: AgentKind, unit: &UnitFacts, workspace: Option<&str>) -> Outcome {
    let name = unit.state.id.as_str();
    let restart = restart(case, agent, name, workspace);
    if !unit.state.is_active() {
        return not_active(case, agent, unit, &restart);
    }
    let process = unit.state.main_pid.and_then(|pid| case.facts.process(pid));
    if unit.freezer == "frozen" {
        return Outcome::fail(format!("{name} is held still (frozen)"))
            .seen(name, "freezer state: frozen")
            .advise("let it go on")
            .command(format!("sudo systemctl thaw {name}"));
    }
    if let Some(p) = process.filter(|p| p.is_stopped()) {
        return halted(p).fix(Fix::Restart(name.to_owned()));
    }
    let gone = process.is_some_and(Process::is_zombie)
        || (unit.state.sub == "exited" && super::process(case, agent).is_none());
    if gone {
        return Outcome::fail(format!("{name} counts as started, but its process has ended"))
            .seen(name, state(unit))
            .seen_all(lines(case, name))
            .advise("restart it; its log says why it ended")
            .command(restart)
            .fix(Fix::Restart(name.to_owned()));
    }
    let restarts = unit.state.restarts.unwrap_or_default();
    let up = unit.since.map(|s| case.facts.taken - s);
    if restarts > 0 && up.is_some_and(|s| s < YOUNG) {
        let text = format!(
            "systemd restarted {name} {}, the last time {} ago",
            words::count(restarts as usize, "time"),
            super::span(up.unwrap_or_default())
        );
        let out = if restarts >= LOOP {
            Outcome::fail(format!("{text}: it ends again and again"))
        } else {
            Outcome::warn(text)
        };
        return out
            .seen(name, format!("{}, {restarts} restarts", state(unit)))
            .seen_all(lines(case, name))
            .advise("look at why it ends")
            .command(format!("journalctl -u {name} -n 50"));
    }
    if unit.state.unit_file == "disabled" {
        return Outcome::warn(format!("{name} runs, but does not start at boot"))
            .seen(name, "unit file state: disabled")
            .advise("let it start at boot")
            .command(format!("sudo systemctl enable {name}"))
            .fix(Fix::Enable(name.to_owned()));
    }
    let pid = unit.state.main_pid.map(|p| format!(", pid {p}")).unwrap_or_default();
    Outcome::pass(format!("{name} is {}{pid}", state(unit)))
}

fn not_active(case: &Case<'_>, agent: AgentKind, unit: &UnitFacts, restart: &str) -> Outcome {
    let name = unit.state.id.as_str();
    if let Some(p) = process(case, agent).filter(|p| !p.is_stopped()) {
        return Outcome::warn(format!("the {agent} runs, but not as its unit: nobody restarts it"))
            .seen(name, state(unit))
            .seen("process", p.display())
            .advise(format!("end that process, then start the unit: `kill {}`", p.pid))
            .command(restart);
    }
    let s = &unit.state;
    let looping = s.active == Active::Activating && s.sub.starts_with("auto-restart");
    let text = match (looping, s.result.as_str(), unit.exec_status) {
        (true, ..) if s.restarts.unwrap_or_default() > 0 => {
            format!("the {agent} ends again and again: {name} waits for its next start")
        }
        (true, ..) => format!("the {agent} has ended, and systemd waits before it starts {name} again"),
        (_, "success" | "", _) => format!("the {agent} does not run: {name} is {}", state(unit)),
        (_, result, Some(code)) if code != 0 => {
            format!("the {agent} does not run: {name} is {}, result {result}, exit status {code}", state(unit))
        }
        (_, result, _) => format!("the {agent} does not run: {name} is {}, result {result}", state(unit)),
    };
    let out = Outcome::fail(text).seen(name, format!("{}, {} restarts", state(unit), s.restarts.unwrap_or_default()));
    let out = out.seen_all(lines(case, name));
    match () {
        _ if s.is_masked() => out
            .advise("the unit is masked: somebody forbade it to start")
            .command(format!("sudo systemctl unmask {name}"))
            .command(restart)
            .fix(Fix::Unmask(name.to_owned()))
            .fix(Fix::Start(name.to_owned())),
        _ if s.result == "start-limit-hit" => out
            .advise("it was started too often in a short time; mend what the lines name, reset the counter, start it")
            .command(format!("sudo systemctl reset-failed {name}"))
            .command(restart)
            .fix(Fix::Start(name.to_owned())),
        _ if looping && s.restarts.unwrap_or_default() == 0 && s.result != "exit-code" => {
            out.advise("start it at once, and look at why it ended").command(restart).fix(Fix::Restart(name.to_owned()))
        }
        _ if looping => out.advise("look at why it ends").command(format!("journalctl -u {name} -n 50")),
        // An agent that ended with an error of its own has said why; a start alone may not be all.
        _ if s.result == "exit-code" => out.advise("look at why it ended, then start it").command(restart),
        () => out.advise("start it").command(restart).fix(Fix::Start(name.to_owned())),
    }
}

/// Without a unit (SysV, container, started by hand) the process is all there is.
fn without_unit(case: &Case<'_>, agent: AgentKind, name: &str, workspace: Option<&str>) -> Judged {
    if let Some(p) = process(case, agent) {
        return Ok(if p.is_stopped() { halted(p) } else { Outcome::pass(format!("{} runs", p.display())) });
    }
    let net = case.facts.net.as_ref()?;
    // A process that may not be looked into keeps its unit and its program to itself.
    let hidden = case.facts.processes.values().any(|p| p.exe.is_empty() && p.comm == "ruby" && !is_agent(agent, p));
    if hidden && !net.owners_complete {
        return Err("whose processes these are can only be seen as root".to_owned().into());
    }
    let seen = match &case.facts.units {
        Ok(_) => format!("systemd has no unit {name}"),
        Err(why) => why.clone(),
    };
    Ok(Outcome::fail(format!("the {agent} does not run"))
        .seen("processes", "none of the agent")
        .seen("units", seen)
        .advise("start it")
        .command(restart(case, agent, name, workspace)))
}

fn restart(case: &Case<'_>, agent: AgentKind, unit: &str, workspace: Option<&str>) -> String {
    let control = case.facts.agent_states.oms.as_ref().is_some_and(|o| o.program);
    match agent {
        AgentKind::Oms if !control => format!("sudo systemctl restart {unit}"),
        _ => super::restart(agent, workspace),
    }
}

fn halted(process: &Process) -> Outcome {
    Outcome::fail(format!("{} is there, but halted by a signal", process.comm))
        .seen(process.display(), format!("state {}", process.state))
        .advise("let it go on")
        .command(format!("sudo kill -CONT {}", process.pid))
}

fn state(unit: &UnitFacts) -> String {
    let active = format!("{:?}", unit.state.active).to_lowercase();
    if unit.state.sub.is_empty() { active } else { format!("{active} ({})", unit.state.sub) }
}

/// The unit's last lines in the journal.
fn lines<'a>(case: &'a Case<'_>, unit: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = case.facts.agent_states.lines.get(unit).map(Vec::as_slice).unwrap_or_default();
    all.iter().skip(all.len().saturating_sub(5)).map(|l| (l.source.as_str(), l.text.as_str()))
}
