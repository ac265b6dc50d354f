//! Every status of every check of the agents, each on a box that is healthy but for one thing.

mod azure;
mod log_analytics;
mod records;

use super::boxes::*;
use super::*;
use crate::agent::ama::Ama;
use crate::agent::ama::rules::tests::rule;
use crate::check::agent::{ama_listening, listening};
use crate::check::agent_facts::*;
use crate::check::fixture::*;
use crate::check::select::Selection;
use crate::check::target::{Target, TargetOptions};
use crate::check::{diagnose, target};
use crate::host::SystemClock;
use crate::host::proc_mount::Mount;
use crate::host::proc_net::Transport;
use crate::report::{CheckResult, Status};

fn all(facts: &Facts) -> Vec<CheckResult> {
    with(facts, &TargetOptions::default())
}

fn with(facts: &Facts, options: &TargetOptions) -> Vec<CheckResult> {
    diagnose(facts, &Target::resolve(options, facts), &Selection::default(), &SystemClock::default())
}

fn of(facts: &Facts, id: &str) -> CheckResult {
    all(facts).into_iter().find(|c| c.id == id).unwrap_or_else(|| panic!("no {id}"))
}

/// The status of a check, and that its summary (or evidence) has a word.
#[track_caller]
fn is(facts: &Facts, id: &str, status: Status, word: &str) {
    let c = of(facts, id);
    let seen: Vec<&str> = c.evidence.iter().map(|e| e.text.as_str()).collect();
    assert_eq!(c.status, status, "{id}: {} {seen:?}", c.summary);
    assert!(
        c.summary.contains(word) || seen.iter().any(|t| t.contains(word)),
        "{id}: `{word}` is not in {} {seen:?}",
        c.summary
    );
    if matches!(status, Status::Warn | Status::Fail) {
        assert!(!c.evidence.is_empty() && c.remedy.is_some(), "{id} says neither why nor what to do: {c:?}");
    }
}

/// First failing check.
fn root(facts: &Facts) -> Option<String> {
    all(facts).into_iter().find(|c| c.status == Status::Fail).map(|c| c.id)
}

/// Breaks the healthy box of an agent.
fn oms_with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = oms_box();
    change(&mut facts);
    facts
}

fn ama_with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = ama_box();
    change(&mut facts);
    facts
}

fn package(version: &str, state: &str) -> Packages {
    Packages(Ok(vec![Package { name: "p".into(), version: version.into(), state: state.into() }]))
}

fn unit(facts: &mut Facts, name: &str, lines: &str) {
    facts.units.as_mut().unwrap().extend(units(&[(name, lines)]));
}

fn oms_unit() -> String {
    format!("omsagent-{WORKSPACE}.service")
}

const AMA_UNIT: &str = "azuremonitoragent.service";

fn stop(facts: &mut Facts, name: &str, lines: &str) {
    unit(facts, name, lines);
    facts.processes.remove(&AGENT);
    close(facts, Transport::Tcp, |a| a.ip().is_loopback());
}

fn odd(checks: &[CheckResult], groups: &[&str]) -> Vec<(String, Status, String)> {
    let odd = checks.iter().filter(|c| groups.contains(&c.group.as_str()) && c.status != Status::Pass);
    odd.map(|c| (c.id.clone(), c.status, c.summary.clone())).collect()
}

#[test]
fn a_healthy_box_of_each_agent_has_nothing_but_the_retirement() {
    let checks = all(&oms_box());
    assert_eq!(
        odd(&checks, &["agent", "forward"]).iter().map(|(id, s, _)| (id.as_str(), *s)).collect::<Vec<_>>(),
        [("agent.retired", Status::Warn)]
    );
    assert!(checks.iter().filter(|c| c.group == "ama").all(|c| c.status == Status::Skip && c.blocked_by.is_none()));
    let checks = all(&ama_box());
    let odd = odd(&checks, &["ama"]);
    assert!(odd.is_empty(), "{odd:?}");
    let agent: Vec<_> = checks
        .iter()
        .filter(|c| c.group == "agent" && c.status != Status::Skip)
        .map(|c| (c.id.as_str(), c.status))
        .collect();
    assert_eq!(agent, [("agent.both-agents", Status::Pass)]);
    assert!(checks.iter().all(|c| c.status != Status::Fail), "{checks:?}");
}

#[test]
fn without_an_agent_nothing_of_either_is_judged_but_the_port() {
    let checks = all(&bare_box());
    let judged: Vec<_> = checks
        .iter()
        .filter(|c| ["agent", "ama"].contains(&c.group.as_str()) && c.status != Status::Skip)
        .map(|c| c.id.as_str())
        .collect();
    assert_eq!(judged, ["agent.listening"]);
    // Nor where somebody says that there is none although there is one.
    let none = TargetOptions { agent: Some(AgentKind::None), ..TargetOptions::default() };
    assert!(
        with(&oms_box(), &none)
            .iter()
            .filter(|c| c.group == "agent" && c.id != "agent.listening")
            .all(|c| c.status == Status::Skip)
    );
}

fn left_over() -> Ama {
    Ama { conf: true, ..Ama::default() }
}

#[test]
fn the_agent_that_is_there_decides_before_what_another_left_behind() {
    let left = oms_with(|f| f.agent_states.ama = Some(AmaState { own: left_over(), ..AmaState::default() }));
    assert_eq!(Target::resolve(&TargetOptions::default(), &left).agent, AgentKind::Oms);
    let mut gone = bare_box();
    gone.agent_states.ama = Some(AmaState { own: left_over(), ..AmaState::default() });
    assert_eq!(Target::resolve(&TargetOptions::default(), &gone).agent, AgentKind::Ama);
    is(&gone, "ama.installed", Status::Fail, "gone");
    gone.receipt = Ok(Some(crate::check::facts::ReceiptFacts { agent: Some("none".into()), ..Default::default() }));
    assert_eq!(Target::resolve(&TargetOptions::default(), &gone).agent, AgentKind::None);
    let us = oms_with(|f| {
        drop(
            workspace(f)
                .admin
                .as_mut()
                .unwrap()
                .as_mut()
                .unwrap()
                .insert("URL_TLD".into(), "opinsights.azure.us".into()),
        )
    });
    assert_eq!(Target::resolve(&TargetOptions::default(), &us).cloud, "usgov");
    let china =
        ama_with(|f| ama(f).own.chunks = Some(Ok(vec![chunk("1.json", cef_rule().replace("azure.com", "azure.cn"))])));
    assert_eq!(Target::resolve(&TargetOptions::default(), &china).cloud, "china");
}

#[test]
fn running_of_both() {
    for (make, name, id) in
        [(oms_box as fn() -> Facts, oms_unit(), "agent.running"), (ama_box, AMA_UNIT.into(), "ama.running")]
    {
        let broken = |change: &dyn Fn(&mut Facts)| {
            let mut facts = make();
            change(&mut facts);
            facts
        };
        let state = |lines: &str| broken(&|f| stop(f, &name, lines));
        let dead = state("ActiveState=inactive\nSubState=dead\nResult=success\n");
        is(&dead, id, Status::Fail, "does not run");
        let expected = if id == "ama.running" { "ama.running" } else { "agent.running" };
        assert_eq!(root(&dead).as_deref(), Some(expected), "a stopped agent is the root cause");
        assert_eq!(of(&dead, "forward.connected").blocked_by.as_deref(), Some(expected));
        is(&state("ActiveState=failed\nSubState=failed\nResult=exit-code\n"), id, Status::Fail, "exit-code");
        is(&state("ActiveState=inactive\nLoadState=masked\n"), id, Status::Fail, "inactive");
        is(&state("ActiveState=failed\nResult=start-limit-hit\n"), id, Status::Fail, "start-limit-hit");
        is(&state("ActiveState=activating\nSubState=auto-restart\nNRestarts=9\n"), id, Status::Fail, "again and again");
        is(&state("ActiveState=active\nSubState=exited\n"), id, Status::Fail, "has ended");
        is(&broken(&|f| f.processes.get_mut(&AGENT).unwrap().state = "T".into()), id, Status::Fail, "halted");
        is(
            &broken(&|f| f.units.as_mut().unwrap().get_mut(&name).unwrap().freezer = "frozen".into()),
            id,
            Status::Fail,
            "frozen",
        );
        let young = |n: &str| {
            broken(&|f| {
                unit(f, &name, &format!("ActiveState=active\nSubState=running\nMainPID=60\nNRestarts={n}\n"));
                f.units.as_mut().unwrap().get_mut(&name).unwrap().since = Some(NOW - 30);
            })
        };
        is(&young("1"), id, Status::Warn, "restarted");
        is(&young("7"), id, Status::Fail, "again and again");
        is(
            &broken(&|f| unit(f, &name, "ActiveState=active\nMainPID=60\nUnitFileState=disabled\n")),
            id,
            Status::Warn,
            "at boot",
        );
        is(&broken(&|f| unit(f, &name, "ActiveState=inactive\n")), id, Status::Warn, "not as its unit");
        is(&broken(&|f| f.units = Err("no systemd".into())), id, Status::Pass, "pid 60");
        let gone = broken(&|f| {
            f.units = Err("no systemd".into());
            f.processes.remove(&AGENT);
        });
        is(&gone, id, Status::Fail, "does not run");
        is(&broken(&|f| f.host.live = false), id, Status::Skip, "image");
    }
    is(
        &ama_with(|f| unit(f, "azuremonitor-coreagent.service", "ActiveState=failed\n")),
        "ama.running",
        Status::Warn,
        "azuremonitor-coreagent",
    );
    let no_user = ama_with(|f| {
        ama(f).user = None;
        stop(f, AMA_UNIT, "ActiveState=failed\nResult=exit-code\n");
    });
    is(&no_user, "ama.running", Status::Fail, "no user syslog");
}

#[test]
fn two_agents() {
    let both = oms_with(|f| f.agent_states.ama = ama_box().agent_states.ama);
    is(&both, "agent.both-agents", Status::Warn, "retired, not through");
    let twice = oms_with(|f| {
        (f.agent_states.ama, f.agents.ama) = (ama_box().agent_states.ama, ama_box().agents.ama);
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, DROP_IN), (OMFWD, AMA_RULE)]);
    });
    is(&twice, "agent.both-agents", Status::Warn, "billed twice");
    let left = ama_with(|f| {
        let old =
            ("/etc/rsyslog.d/security-config-omsagent.conf", "if $rawmsg contains \"CEF:\" then @@127.0.0.1:25226\n");
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (OMFWD, AMA_RULE), old]);
    });
    is(&left, "agent.both-agents", Status::Warn, "is gone");
    // Removed, and its file stayed.
    let rest = oms_with(|f| {
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, DROP_IN), (OMFWD, AMA_RULE)]);
        let files = ama_box().agent_states.ama.unwrap().own.files;
        f.agent_states.ama = Some(AmaState { own: Ama { files, ..Ama::default() }, ..AmaState::default() });
    });
    is(&rest, "agent.both-agents", Status::Warn, "still sends everything to the Azure Monitor Agent, which is gone");
    is(&rest, "forward.rule", Status::Pass, "");
    let lad = OtherShipper { name: "LAD".into(), seen: "mdsd-lde.service".into(), active: true, same_service: true };
    is(&oms_with(|f| f.agent_states.others.push(lad)), "agent.both-agents", Status::Warn, "LAD");
    let other =
        OtherShipper { name: "Filebeat".into(), seen: "filebeat.service".into(), active: true, same_service: false };
    is(&oms_with(|f| f.agent_states.others.push(other)), "agent.both-agents", Status::Pass, "Filebeat");
}

#[test]
fn listening_of_each_agent_is_one_check() {
    let oms = |f: &Facts| judge(listening, f).status;
    assert_eq!((oms(&oms_box()), judge(ama_listening, &oms_box()).status), (Status::Pass, Status::Skip));
    assert_eq!((oms(&ama_box()), judge(ama_listening, &ama_box()).status), (Status::Skip, Status::Pass));
    let closed = ama_with(|f| close(f, Transport::Tcp, |a| a.port() == 28330));
    is(&closed, "ama.listening", Status::Fail, "nobody listens");
    assert_eq!(of(&closed, "forward.connected").blocked_by.as_deref(), Some("ama.listening"));
    assert_eq!(target::agent_word(Target::resolve(&TargetOptions::default(), &closed).agent), "ama");
}

#[test]
fn facts_of_the_agents_survive_the_way_through_json() {
    for facts in [oms_box(), ama_box()] {
        let back: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        let brief = |f: &Facts| all(f).into_iter().map(|c| (c.id, c.status, c.summary)).collect::<Vec<_>>();
        assert_eq!(brief(&back), brief(&facts));
    }
}
