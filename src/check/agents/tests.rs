//! Every status of every check of the agents, each on a box that is healthy but for one thing.

use super::boxes::*;
use super::*;
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

#[test]
fn the_agent_that_is_there_decides_before_what_another_left_behind() {
    let left = oms_with(|f| f.agent_states.ama = Some(AmaState { conf: true, ..AmaState::default() }));
    assert_eq!(Target::resolve(&TargetOptions::default(), &left).agent, AgentKind::Oms);
    let mut gone = bare_box();
    gone.agent_states.ama = Some(AmaState { conf: true, ..AmaState::default() });
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
        ama_with(|f| ama(f).chunks = Some(Ok(vec![chunk("1.json", cef_rule().replace("azure.com", "azure.cn"))])));
    assert_eq!(Target::resolve(&TargetOptions::default(), &china).cloud, "china");
}

#[test]
fn oms_installed() {
    let asked = TargetOptions { agent: Some(AgentKind::Oms), ..TargetOptions::default() };
    let missing = with(&bare_box(), &asked);
    let by = |id: &str| missing.iter().find(|c| c.id == id).unwrap().blocked_by.clone();
    assert_eq!(missing.iter().find(|c| c.status == Status::Fail).map(|c| c.id.as_str()), Some("agent.installed"));
    assert_eq!(
        (by("agent.running").as_deref(), by("forward.connected").as_deref()),
        (Some("agent.installed"), Some("agent.installed"))
    );
    is(
        &oms_with(|f| oms(f).packages = package("1.19.0.0", "half-configured")),
        "agent.installed",
        Status::Fail,
        "half-configured",
    );
    is(&oms_with(|f| oms(f).packages = package("1.12.15-0", "installed")), "agent.installed", Status::Warn, "1.12.15");
    let gone = oms_with(|f| {
        oms(f).program = false;
        oms(f).packages = Packages(Ok(Vec::new()));
        stop(f, &oms_unit(), "LoadState=not-found\nActiveState=inactive\n");
    });
    is(&gone, "agent.installed", Status::Fail, "gone");
    is(
        &oms_with(|f| (oms(f).packages, oms(f).noted_version) = (Packages(Err("x".into())), Some("1.19.0-0".into()))),
        "agent.installed",
        Status::Pass,
        "1.19.0",
    );
    let noexec = Mount { point: "/opt".into(), fs_type: "xfs".into(), read_only: false, noexec: true };
    is(&oms_with(|f| f.agent_states.mounts = Ok(vec![noexec])), "agent.installed", Status::Fail, "noexec");
}

#[test]
fn oms_onboarded() {
    let none = oms_with(|f| {
        oms(f).workspaces.clear();
        oms(f).onboard_file = true;
    });
    is(&none, "agent.onboarded", Status::Fail, "holds the key");
    assert_eq!(of(&none, "agent.running").blocked_by.as_deref(), Some("agent.onboarded"));
    is(&oms_with(|f| workspace(f).admin = None), "agent.onboarded", Status::Fail, "omsadmin.conf is missing");
    is(&oms_with(|f| workspace(f).admin = Some(Err("may not".into()))), "agent.onboarded", Status::Unknown, "may not");
    let change = |key: &str, value: Option<&str>| {
        oms_with(|f| {
            let admin = workspace(f).admin.as_mut().unwrap().as_mut().unwrap();
            match value {
                Some(value) => drop(admin.insert(key.into(), value.into())),
                None => drop(admin.remove(key)),
            }
        })
    };
    is(&change("DSC_ENDPOINT", None), "agent.onboarded", Status::Fail, "DSC_ENDPOINT missing");
    is(&change("AGENT_GUID", Some("")), "agent.onboarded", Status::Fail, "AGENT_GUID");
    is(
        &change("WORKSPACE_ID", Some("22222222-2222-3333-4444-555555555555")),
        "agent.onboarded",
        Status::Fail,
        "names workspace 2222",
    );
    is(&change("URL_TLD", Some("opinsights.azure.us")), "agent.onboarded", Status::Fail, "does not belong");
    let certificate = |change: fn(&mut Certificate)| oms_with(|f| change(&mut workspace(f).certificates[0]));
    is(&certificate(|c| c.exists = false), "agent.onboarded", Status::Fail, "missing");
    is(&certificate(|c| c.size = 0), "agent.onboarded", Status::Fail, "damaged");
    is(&certificate(|c| c.is_pem = Some(false)), "agent.onboarded", Status::Fail, "damaged");
    is(&certificate(|c| c.not_after = Some(NOW - 1)), "agent.onboarded", Status::Fail, "has ended");
    is(&certificate(|c| c.not_after = Some(NOW + 86_400 * 3)), "agent.onboarded", Status::Warn, "3 days");
    is(&oms_with(|f| oms(f).onboard_file = true), "agent.onboarded", Status::Warn, "left behind");
    let asked = |workspace: &str, cloud: Option<&str>| {
        let options = TargetOptions {
            workspace: Some(workspace.into()),
            cloud: cloud.map(str::to_owned),
            ..TargetOptions::default()
        };
        with(&oms_box(), &options).into_iter().find(|c| c.id == "agent.onboarded").unwrap()
    };
    assert_eq!(asked(&WORKSPACE.to_uppercase(), None).status, Status::Pass);
    assert!(asked("other", None).summary.contains("not to workspace other"));
    assert!(asked(WORKSPACE, Some("usgov")).summary.contains("cloud public, not to usgov"));
    assert_eq!(asked(WORKSPACE, Some("public")).status, Status::Pass);
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

fn input(text: &str) -> Facts {
    oms_with(|f| workspace(f).inputs[0] = input_file(WORKSPACE, text))
}

#[test]
fn oms_input() {
    let good = good_input();
    for (from, to, word) in [
        ("port 25226", "#port 25226", "no port"),
        ("port 25226", "port 0", "no port"),
        ("port 25226", "port http", "`http`"),
        ("type syslog", "type tcp", "not of type syslog"),
        ("protocol_type tcp", "", "over UDP"),
        ("protocol_type tcp", "protocol_type udp", "protocol_type udp"),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("</source>", "", "never closed"),
        ("oms.security\n", "oms.other\n", "oms.other"),
        ("filter_syslog_security", "filter_other", "filter"),
        (".*CEF.+?", ".*LEEF.+?", "does not take CEF"),
        ("|%ASA[0-9\\-]{8,10}", "", "ASA"),
        ("  format ", "  #format ", "no pattern"),
        ("  format /", "  format syslog#/", "syslog#"),
    ] {
        let broken = good.replacen(from, to, 1);
        assert_ne!(broken, good, "{from}");
        is(&input(&broken), "agent.input-config", Status::Fail, word);
        assert_eq!(of(&input(&broken), "agent.listening").blocked_by.as_deref(), Some("agent.input-config"));
    }
    is(&input(""), "agent.input-config", Status::Fail, "empty");
    is(&input("404: Not Found\n"), "agent.input-config", Status::Fail, "404: Not Found");
    is(&oms_with(|f| drop(workspace(f).inputs.remove(0))), "agent.input-config", Status::Fail, "not there");
    is(&input(&good.replace("127.0.0.1", "0.0.0.0")), "agent.input-config", Status::Warn, "open to the network");
    is(
        &input(&good.replace(r"|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}.[\w\-\:\+]{3,12}", "")),
        "agent.input-config",
        Status::Warn,
        "ISO time",
    );
    is(&input(&good.replace("(?<time>", "(?<time>(?<bad>")), "agent.input-config", Status::Warn, "cannot be judged");
    is(
        &oms_with(|f| {
            workspace(f).inputs[0] = InputFile { unread: Some("may not be read".into()), ..InputFile::default() }
        }),
        "agent.input-config",
        Status::Unknown,
        "may not",
    );
    let main =
        |text: &str| oms_with(|f| workspace(f).main = Some(file(&format!("{}/omsagent.conf", conf(WORKSPACE)), text)));
    is(&main("@include other.d/*.conf\n"), "agent.input-config", Status::Fail, "not part");
    is(
        &main(&format!("@include {}/omsagent.d/security*.conf\n", conf(WORKSPACE))),
        "agent.input-config",
        Status::Pass,
        "25226",
    );
    is(&main("<match>\n"), "agent.input-config", Status::Fail, "omsagent.conf");
    is(&oms_with(|f| workspace(f).main = None), "agent.input-config", Status::Pass, "25226");
    let twin = oms_with(|f| {
        let copy = file(&format!("{}/omsagent.d/security_events2.conf", conf(WORKSPACE)), &good_input());
        workspace(f).inputs.push(copy);
    });
    is(&twin, "agent.input-config", Status::Fail, "EADDRINUSE");
    let asked = TargetOptions { agent_port: Some(25300), ..TargetOptions::default() };
    let c = with(&oms_box(), &asked).into_iter().find(|c| c.id == "agent.input-config").unwrap();
    assert!(c.summary.contains("not on 25300"), "{}", c.summary);
}

#[test]
fn oms_permissions() {
    let path = format!("{}/omsagent.d/security_events.conf", conf(WORKSPACE));
    let root_only = |f: &mut Facts| {
        let last = workspace(f).inputs[0].walk.last_mut().unwrap();
        (last.mode, last.uid, last.gid) = (0o600, 0, 0);
    };
    is(&oms_with(root_only), "agent.input-permissions", Status::Fail, &path);
    let folder = oms_with(|f| {
        let at = workspace(f).inputs[0].walk.len() - 2;
        let folder = &mut workspace(f).inputs[0].walk[at];
        (folder.mode, folder.uid, folder.gid) = (0o700, 0, 0);
    });
    let c = of(&folder, "agent.input-permissions");
    assert!(c.remedy.unwrap().commands[0].contains("omsagent.d"));
    let key = oms_with(|f| {
        let last = workspace(f).certificates[1].walk.last_mut().unwrap();
        (last.mode, last.uid) = (0o600, 0);
    });
    is(&key, "agent.input-permissions", Status::Fail, "oms.key");
    // A stopped agent is judged by its user.
    let stopped = oms_with(|f| {
        stop(f, &oms_unit(), "ActiveState=inactive\n");
        root_only(f);
    });
    is(&stopped, "agent.input-permissions", Status::Fail, &path);
    let nobody = oms_with(|f| {
        stop(f, &oms_unit(), "ActiveState=inactive\n");
        oms(f).user = None;
    });
    is(&nobody, "agent.input-permissions", Status::Unknown, "no user omsagent");
    let no_files = oms_with(|f| {
        (workspace(f).inputs, workspace(f).main, workspace(f).certificates) = (Vec::new(), None, Vec::new())
    });
    assert_eq!(of(&no_files, "agent.input-permissions").blocked_by.as_deref(), Some("agent.input-config"));
}

#[test]
fn oms_plugins() {
    let text = |text: &str| Some(Ok(crate::check::facts::Bytes(text.as_bytes().to_vec())));
    is(
        &oms_with(|f| oms(f).asa_plugin = text("return '%ASA' if ident.include?('%ASA')")),
        "agent.asa-ident",
        Status::Warn,
        "old plugin",
    );
    is(&oms_with(|f| oms(f).asa_plugin = text("?")), "agent.asa-ident", Status::Warn, "none of the known");
    is(&oms_with(|f| oms(f).asa_plugin = None), "agent.asa-ident", Status::Warn, "missing");
    is(&oms_with(|f| oms(f).asa_plugin = Some(Err("may not".into()))), "agent.asa-ident", Status::Unknown, "may not");
    is(
        &oms_with(|f| (oms(f).asa_plugin, oms(f).plugin_folder) = (None, false)),
        "agent.asa-ident",
        Status::Skip,
        "no folder",
    );
    let stamp = "'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(Time.now.utc),\n";
    is(&oms_with(|f| oms(f).filter_plugin = text(stamp)), "agent.host-field", Status::Warn, "collector's name");
    is(&oms_with(|f| oms(f).filter_plugin = text("?")), "agent.host-field", Status::Warn, "known");
    is(&oms_with(|f| oms(f).filter_plugin = text("?")), "agent.event-time", Status::Warn, "something else");
    is(
        &oms_with(|f| oms(f).filter_plugin = text(&stamp.replace("Time.now.utc", "Time.at(time).utc"))),
        "agent.event-time",
        Status::Pass,
        "event's header",
    );
    is(&oms_with(|f| oms(f).filter_plugin = None), "agent.event-time", Status::Warn, "missing");
}

#[test]
fn oms_workspaces_and_portal() {
    let two = oms_with(second_workspace);
    is(&two, "agent.multi-homing", Status::Warn, "no input for security events");
    is(&oms_box(), "agent.multi-homing", Status::Pass, WORKSPACE);
    is(&oms_with(|f| oms(f).sync.off = false), "agent.portal-sync", Status::Warn, "every 15 minutes");
    is(&oms_with(|f| oms(f).sync = SyncState::default()), "agent.portal-sync", Status::Pass, "nothing");
    let crossed = oms_with(|f| {
        oms(f).sync.off = false;
        set_config(
            f,
            &[
                ("/etc/rsyslog.conf", MAIN),
                (DROP_IN_PATH, DROP_IN),
                ("/etc/rsyslog.d/95-omsagent.conf", "local4.* @127.0.0.1:25226\n"),
            ],
        );
    });
    is(&crossed, "agent.portal-sync", Status::Warn, "port of security events");
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
    let lad = OtherShipper { name: "LAD".into(), seen: "mdsd-lde.service".into(), active: true, same_service: true };
    is(&oms_with(|f| f.agent_states.others.push(lad)), "agent.both-agents", Status::Warn, "LAD");
    let other =
        OtherShipper { name: "Filebeat".into(), seen: "filebeat.service".into(), active: true, same_service: false };
    is(&oms_with(|f| f.agent_states.others.push(other)), "agent.both-agents", Status::Pass, "Filebeat");
}

fn oms_log(kind: &str, last: i64, line: &str) -> Facts {
    oms_with(|f| workspace(f).log = Some(Ok(log("/var/log/omsagent.log", vec![said(kind, last, line)]))))
}

#[test]
fn oms_logs() {
    is(&oms_log("refused-403", NOW - 60, "HTTP 403"), "agent.log", Status::Fail, "refuses");
    is(&oms_log("refused-403", NOW - 7200, "HTTP 403"), "agent.log", Status::Warn, "refuses");
    let line = "2026 [warn]: pattern not match: \"Aug  1 10:00:00 fw1 %FTD-6-302013: Built\"";
    is(&oms_log("pattern-not-match", NOW - 60, line), "agent.log", Status::Warn, "%FTD is not known");
    is(&oms_log("upload-retried", NOW - 60, "x"), "agent.log", Status::Warn, "tried again");
    is(&oms_log("upload-retried", NOW - 7200, "x"), "agent.log", Status::Pass, "no line");
    is(&oms_log("port-taken", NOW - 60, "EADDRINUSE"), "agent.log", Status::Pass, "no line");
    let taken = oms_with(|f| {
        workspace(f).log = Some(Ok(log("/l/omsagent.log", vec![said("port-taken", NOW - 60, "\u{1b}[31mEADDRINUSE")])));
        close(f, Transport::Tcp, |a| a.port() == 25226);
    });
    is(&taken, "agent.log", Status::Fail, "another program");
    assert!(of(&taken, "agent.log").evidence.iter().all(|e| !e.text.contains('\u{1b}')));
    is(&oms_with(|f| workspace(f).log = None), "agent.log", Status::Skip, "no log");
    is(&oms_with(|f| workspace(f).log = Some(Err("may not".into()))), "agent.log", Status::Unknown, "may not");
}

#[test]
fn oms_buffers() {
    let buffers = |name: &str, count: usize, age: i64| {
        let chunk =
            |n: usize| Chunk { name: format!("{name}.oms.security.b{n}.buffer"), size: 1 << 20, mtime: NOW - age };
        oms_with(|f| workspace(f).buffers = Some(Ok((0..count).map(chunk).collect())))
    };
    is(&buffers("out_oms_common", 3, 30), "agent.backlog", Status::Pass, "3.0 MiB");
    is(&buffers("out_oms_common", 10, 30), "agent.backlog", Status::Fail, "thrown away");
    is(&buffers("out_oms_blob", 2, 3600), "agent.backlog", Status::Fail, "60 minutes");
    is(&buffers("out_oms_blob", 2, 900), "agent.backlog", Status::Warn, "15 minutes");
    is(&buffers("out_oms_diag", 60, 9000), "agent.backlog", Status::Pass, "60 chunks of 50");
    is(&oms_with(|f| workspace(f).buffers = None), "agent.backlog", Status::Skip, "no folder");
    is(&oms_with(|f| workspace(f).buffers = Some(Err("may not".into()))), "agent.backlog", Status::Unknown, "may not");
}

#[test]
fn ama_as_a_whole() {
    let asked = TargetOptions { agent: Some(AgentKind::Ama), ..TargetOptions::default() };
    let missing = with(&bare_box(), &asked);
    assert_eq!(missing.iter().find(|c| c.status == Status::Fail).map(|c| c.id.as_str()), Some("ama.installed"));
    is(&ama_with(|f| ama(f).packages = package("1.33.1", "unpacked")), "ama.installed", Status::Fail, "unpacked");
    let full = Mount { point: "/var".into(), fs_type: "ext4".into(), read_only: true, noexec: false };
    is(&ama_with(|f| f.agent_states.mounts = Ok(vec![full])), "ama.installed", Status::Fail, "read-only");
    let noexec = Mount { point: "/var".into(), fs_type: "ext4".into(), read_only: false, noexec: true };
    is(&ama_with(|f| f.agent_states.mounts = Ok(vec![noexec])), "ama.installed", Status::Warn, "noexec");
    for (version, status) in [
        ("1.33.1-b", Status::Pass),
        ("1.28.10", Status::Warn),
        ("1.41.0", Status::Warn),
        ("1.10.7", Status::Fail),
        ("?", Status::Unknown),
    ] {
        is(&ama_with(|f| ama(f).packages = package(version, "installed")), "ama.version", status, "");
    }
    is(&ama_with(|f| ama(f).packages = Packages::default()), "ama.version", Status::Unknown, "neither");
    is(
        &ama_with(|f| {
            (ama(f).packages, ama(f).said_version) = (Packages::default(), Some(("1.12.0".into(), "mdsd -V".into())))
        }),
        "ama.version",
        Status::Fail,
        "CEF",
    );
}

#[test]
fn ama_identity() {
    is(&ama_with(|f| ama(f).azure.clear()), "ama.identity", Status::Pass, "got its rules");
    let nobody = ama_with(|f| {
        ama(f).azure.clear();
        ama(f).chunks = None;
    });
    is(&nobody, "ama.identity", Status::Fail, "neither");
    assert_eq!(root(&nobody).as_deref(), Some("ama.identity"));
    let arc = |himdsd: &str, group: Option<bool>, connected: bool| {
        ama_with(|f| {
            ama(f).arc = vec!["/opt/azcmagent/bin/azcmagent".into()];
            ama(f).arc.extend(connected.then(|| crate::agent::ama::paths::ARC_CONF.into()));
            ama(f).in_arc_group = group;
            unit(f, "himdsd.service", himdsd);
        })
    };
    is(&arc("ActiveState=active\n", Some(true), true), "ama.identity", Status::Pass, "Arc");
    is(&arc("ActiveState=failed\n", Some(true), true), "ama.identity", Status::Fail, "does not run");
    is(&arc("ActiveState=active\n", Some(false), true), "ama.identity", Status::Fail, "himds");
    is(&arc("ActiveState=active\n", None, true), "ama.identity", Status::Unknown, "no group");
    is(&arc("ActiveState=active\n", Some(true), false), "ama.identity", Status::Warn, "not connected");
    let no_service = ama_with(|f| ama(f).arc = vec!["/usr/bin/azcmagent".into()]);
    is(&no_service, "ama.identity", Status::Fail, "no such unit");
}

fn rules(texts: &[String]) -> Facts {
    let files = texts.iter().enumerate().map(|(n, t)| chunk(&format!("{n}.json"), t.clone())).collect();
    ama_with(|f| ama(f).chunks = Some(Ok(files)))
}

#[test]
fn ama_rules() {
    let levels = ["Warning", "Error"];
    let settings = r#"{"dataSources":[{"kind":"AgentSettings","configuration":{}}]}"#.to_owned();
    let syslog = rule("LINUX_SYSLOGS_BLOB", &["auth", "local4"], &levels, WORKSPACE);
    let none = ama_with(|f| ama(f).chunks = None);
    is(&none, "ama.dcr-present", Status::Fail, "no data collection rule");
    assert_eq!(root(&none).as_deref(), Some("ama.dcr-present"));
    assert_eq!(of(&none, "forward.rule").blocked_by.as_deref(), Some("ama.dcr-present"));
    is(&rules(std::slice::from_ref(&settings)), "ama.dcr-present", Status::Fail, "only the agent's own settings");
    is(&ama_with(|f| ama(f).chunks = Some(Err("may not".into()))), "ama.dcr-present", Status::Unknown, "may not");
    is(&rules(&[settings, cef_rule()]), "ama.dcr-present", Status::Pass, "CEF of local4, local7 (Warning and worse)");
    is(&rules(std::slice::from_ref(&syslog)), "ama.dcr-stream", Status::Fail, "table Syslog");
    is(
        &rules(&[r#"{"dataSources":[{"kind":"perfCounter"}],"channels":[]}"#.into()]),
        "ama.dcr-stream",
        Status::Fail,
        "throws them away",
    );
    is(
        &rules(&[rule("Microsoft-CiscoAsa", &["local4"], &levels, WORKSPACE)]),
        "ama.dcr-stream",
        Status::Pass,
        "ASA and FTD is",
    );
    is(&rules(&["{".into()]), "ama.dcr-valid", Status::Fail, "no JSON");
    assert_eq!(of(&rules(&["{".into()]), "ama.dcr-stream").blocked_by.as_deref(), Some("ama.dcr-valid"));
    is(&rules(&[rule("SECURITY_CEF_BLOB", &[], &levels, WORKSPACE)]), "ama.dcr-valid", Status::Fail, "no facility");
    is(&rules(&[cef_rule(), syslog.clone()]), "ama.dcr-duplicate", Status::Warn, "local4");
    is(
        &rules(&[cef_rule(), rule("LINUX_SYSLOGS_BLOB", &["auth"], &levels, WORKSPACE)]),
        "ama.dcr-duplicate",
        Status::Pass,
        "",
    );
    is(&rules(&["{".into()]), "ama.dcr-duplicate", Status::Skip, "");
    let other = rule("SECURITY_CEF_BLOB", &["local5"], &levels, "99999999-2222-3333-4444-555555555555");
    is(&rules(&[cef_rule(), other]), "ama.dcr-multihoming", Status::Warn, "2 workspaces");
    is(&rules(&[cef_rule(), cef_rule()]), "ama.dcr-multihoming", Status::Pass, "");
    is(&rules(&["{".into()]), "ama.dcr-multihoming", Status::Skip, "");
    let asked =
        TargetOptions { workspace: Some("99999999-2222-3333-4444-555555555555".into()), ..TargetOptions::default() };
    let c = with(&ama_box(), &asked).into_iter().find(|c| c.id == "ama.dcr-multihoming").unwrap();
    assert_eq!(c.status, Status::Warn, "{}", c.summary);
}

#[test]
fn ama_hand_over() {
    let id = "ama.forward-config";
    is(&ama_with(|f| ama(f).marker = None), id, Status::Fail, "not told its watcher");
    is(&ama_with(|f| ama(f).marker = Some(Ok("false".into()))), id, Status::Fail, "false");
    is(&ama_with(|f| ama(f).marker = Some(Err("may not".into()))), id, Status::Unknown, "may not");
    let no_file = ama_with(|f| {
        ama(f).daemon_files.clear();
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, LISTENER)]);
    });
    is(&no_file, id, Status::Fail, "missing");
    assert_eq!(root(&no_file).as_deref(), Some(id));
    assert_eq!(of(&no_file, "forward.rule").blocked_by.as_deref(), Some(id));
    let by_hand = ama_with(|f| {
        ama(f).daemon_files.clear();
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, &DROP_IN.replace("25226", "28330"))]);
    });
    is(&by_hand, id, Status::Warn, "another rule");
    let known = ama_with(|f| {
        ama(f).daemon_files.clear();
        ama(f).packages = package("1.40.2", "installed");
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, LISTENER)]);
    });
    is(&known, id, Status::Fail, "1.40");
    is(&ama_with(|f| ama(f).port = Some(Ok("28331".into()))), id, Status::Fail, "takes events on 28331");
    is(&ama_with(|f| ama(f).port = Some(Ok(String::new()))), id, Status::Fail, "empty");
    is(&ama_with(|f| ama(f).port = Some(Ok("x".into()))), id, Status::Fail, "on which port");
    let moved = ama_with(|f| {
        close(f, Transport::Tcp, |a| a.port() == 28330);
        add_socket(f, Transport::Tcp, "127.0.0.1:40123", AGENT);
    });
    is(&moved, id, Status::Fail, "listens on another one");
    is(
        &ama_with(|f| set_config(f, &[("/etc/rsyslog.conf", MAIN), (OMFWD, "# nothing\n")])),
        id,
        Status::Fail,
        "no forward",
    );
    let both = ama_with(|f| ama(f).daemon_files.push("/etc/rsyslog.d/10-azuremonitoragent.conf".into()));
    is(&both, id, Status::Warn, "twice");
    let plain = rules(&[r#"{"dataSources":[{"kind":"perfCounter"}],"channels":[]}"#.into()]);
    is(&plain, id, Status::Warn, "any more");
    let idle = ama_with(|f| {
        ama(f).chunks = plain.agent_states.ama.as_ref().unwrap().chunks.clone();
        ama(f).daemon_files.clear();
    });
    is(&idle, id, Status::Skip, "no rule wants syslog");
    let empty = ama_with(|f| f.rsyslog.program = None);
    assert!(of(&empty, id).status != Status::Pass || of(&empty, "daemon.present").status == Status::Pass);
}

#[test]
fn ama_over_the_unix_socket() {
    let good = ama_with(by_socket);
    is(&good, "ama.forward-config", Status::Pass, "unix socket");
    is(&good, "ama.listening", Status::Pass, "open");
    for id in ["forward.rule", "forward.target", "forward.connected", "probe.udp"] {
        is(&good, id, Status::Skip, "unix socket");
    }
    assert_eq!(root(&good), None);
    let dead = ama_with(|f| {
        by_socket(f);
        ama(f).socket.bound = Some(false);
    });
    is(&dead, "ama.forward-config", Status::Fail, "nobody listens");
    is(&dead, "ama.listening", Status::Fail, "unix socket");
    let unseen = ama_with(|f| {
        by_socket(f);
        ama(f).socket.bound = None;
    });
    is(&unseen, "ama.listening", Status::Unknown, "could not be seen");
    let modern = ama_with(|f| {
        by_socket(f);
        ama(f).packages = package("1.33.1", "installed");
        ama(f).port = Some(Ok("28330".into()));
    });
    is(&modern, "ama.forward-config", Status::Warn, "although this agent");
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
fn ama_logs_cache_and_counters() {
    let line =
        |kind: &str, last: i64| ama_with(|f| ama(f).logs = vec![Ok(log("/l/mdsd.err", vec![said(kind, last, "x")]))]);
    is(&line("no-identity", NOW - 60), "ama.log", Status::Fail, "no token");
    is(&line("no-space", NOW - 9000), "ama.log", Status::Warn, "disk is full");
    is(&line("dropped", NOW - 60), "ama.log", Status::Warn, "threw data away");
    is(&ama_with(|f| ama(f).logs.clear()), "ama.log", Status::Skip, "no error log");
    is(&ama_with(|f| ama(f).logs = vec![Err("may not".into())]), "ama.log", Status::Unknown, "may not");
    let huge = crate::check::facts::SizedFile { path: "/l/mdsd.warn".into(), size: 23 << 30 };
    is(&ama_with(|f| ama(f).log_sizes.push(huge)), "ama.log", Status::Warn, "23.0 GiB");
    for options in ["-A -T 0x2002", "-T0x1002"] {
        is(
            &ama_with(|f| drop(ama(f).environment.insert("MDSD_OPTIONS".into(), options.into()))),
            "ama.log",
            Status::Warn,
            "trace",
        );
    }
    let cache = |bytes: u64, age: i64| {
        ama_with(|f| ama(f).events = Some(Ok(Folder { files: 9, bytes, oldest: Some(NOW - age), cut_short: false })))
    };
    is(&cache(10 << 30, 60), "ama.backlog", Status::Fail, "thrown away");
    is(&cache(6 << 30, 60), "ama.backlog", Status::Warn, "% full");
    is(&cache(2 << 30, 7200), "ama.backlog", Status::Warn, "2 hours");
    is(&cache(2 << 30, 60), "ama.backlog", Status::Pass, "2.0 GiB");
    let small = r#"{"dataSources":[{"kind":"AgentSettings","configuration":{"agentSettings":[{"name":"MaxDiskQuotaInMB","value":"4000"}]}}]}"#;
    let quota = ama_with(|f| {
        ama(f).chunks.as_mut().unwrap().as_mut().unwrap().push(chunk("s.json", small.into()));
        ama(f).events = Some(Ok(Folder { files: 9, bytes: 4000 << 20, ..Folder::default() }));
    });
    is(&quota, "ama.backlog", Status::Fail, "3.9 GiB of 3.9 GiB");
    is(&ama_with(|f| ama(f).events = None), "ama.backlog", Status::Skip, "no cache");
    is(&ama_with(|f| ama(f).events = Some(Err("may not".into()))), "ama.backlog", Status::Unknown, "may not");
    let qos = |total: u64, success: u64, age: i64| {
        let rows = vec![qos_row(crate::agent::ama::qos::UPLOAD, "https://x", total, success)];
        ama_with(|f| ama(f).qos = Some(Ok(Qos { path: "q".into(), mtime: NOW - age, rows })))
    };
    is(&qos(5, 0, 60), "ama.upload", Status::Fail, "not one of 5");
    is(&qos(5, 3, 60), "ama.upload", Status::Warn, "2 of 5");
    is(&qos(5, 5, 60), "ama.upload", Status::Skip, "no security event");
    is(&qos(5, 5, 86_400), "ama.upload", Status::Unknown, "ago");
    is(&ama_with(|f| ama(f).qos = None), "ama.upload", Status::Skip, "no counters");
}

#[test]
fn facts_of_the_agents_survive_the_way_through_json() {
    for facts in [oms_box(), ama_box()] {
        let back: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        let brief = |f: &Facts| all(f).into_iter().map(|c| (c.id, c.status, c.summary)).collect::<Vec<_>>();
        assert_eq!(brief(&back), brief(&facts));
    }
}
