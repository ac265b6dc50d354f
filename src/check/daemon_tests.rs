use super::*;
use crate::check::facts::{Facts, OwnLine};
use crate::check::fixture;
use crate::check::target::Target;
use crate::report::Status;

fn judge(f: fn(&Case<'_>) -> Judged, facts: &Facts, daemon: Daemon) -> Outcome {
    let target = Target { daemon, ..Target::default() };
    crate::check::fixture::judge_for(f, facts, &target)
}

fn rsyslog(f: fn(&Case<'_>) -> Judged, facts: &Facts) -> Outcome {
    judge(f, facts, Daemon::Rsyslog)
}

/// A box whose rsyslog unit has these properties.
fn with_unit(lines: &str) -> Facts {
    let mut facts = fixture::healthy();
    facts.units = Ok(fixture::units(&[("rsyslog.service", lines)]));
    facts
}

const ACTIVE: &str = "ActiveState=active\nSubState=running\nMainPID=47\nUnitFileState=enabled\nNRestarts=0\n";

#[test]
fn presence() {
    let mut facts = fixture::healthy();
    assert_eq!(rsyslog(present, &facts).summary, "rsyslog 8.2302.0");
    facts.rsyslog.program = None;
    // A daemon from a place of its own is a daemon.
    assert_eq!(rsyslog(present, &facts).status, Status::Pass);
    facts.rsyslog.pid = None;
    let o = rsyslog(present, &facts);
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.advice.unwrap().commands, ["sudo cefctl install --install-packages"]);
    assert_eq!(judge(present, &facts, Daemon::None).status, Status::Fail);
    assert_eq!(judge(present, &facts, Daemon::SyslogNg).status, Status::Fail);
    facts.syslog_ng.program = Some("/usr/sbin/syslog-ng".into());
    assert_eq!(judge(present, &facts, Daemon::SyslogNg).status, Status::Pass);
}

#[test]
fn two_daemons_warn_but_not_one_in_a_container() {
    let mut facts = fixture::healthy();
    assert_eq!(rsyslog(single, &facts).status, Status::Pass);
    let other = Process { pid: 90, comm: "syslog-ng".into(), container: Some("abc".into()), ..Process::default() };
    facts.processes.insert(90, other);
    assert_eq!(rsyslog(single, &facts).status, Status::Pass);
    facts.processes.get_mut(&90).unwrap().container = None;
    let o = rsyslog(single, &facts);
    assert_eq!(o.status, Status::Warn);
    assert_eq!(o.advice.unwrap().commands, ["sudo systemctl disable --now syslog-ng"]);
    assert!(o.evidence.iter().any(|e| e.source == "udp 0.0.0.0:514" && e.text.contains("rsyslogd pid 47")));
    assert_eq!(
        judge(single, &facts, Daemon::SyslogNg).advice.unwrap().commands,
        ["sudo systemctl disable --now rsyslogd.service"],
        "the unit it belongs to, whatever its name"
    );
}

#[test]
fn a_running_unit_passes() {
    let o = rsyslog(running, &with_unit(ACTIVE));
    assert_eq!((o.status, o.summary.as_str()), (Status::Pass, "rsyslog is active (running), pid 47"));
}

#[test]
fn a_stopped_failed_or_masked_unit_fails_with_the_last_lines() {
    let mut facts = with_unit("ActiveState=failed\nSubState=failed\nResult=exit-code\n");
    facts.processes.clear();
    facts.rsyslog.pid = None;
    facts.rsyslog.own_lines = Ok(vec![OwnLine { source: "journal".into(), text: "could not drop privileges".into() }]);
    if let Ok(units) = &mut facts.units {
        units.get_mut("rsyslog.service").unwrap().exec_status = Some(1);
    }
    let o = rsyslog(running, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("result exit-code, exit status 1"), "{}", o.summary);
    assert!(o.evidence.iter().any(|e| e.text == "could not drop privileges"));
    facts.units =
        Ok(fixture::units(&[("rsyslog.service", "ActiveState=inactive\nSubState=dead\nUnitFileState=masked\n")]));
    let o = rsyslog(running, &facts);
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.advice.unwrap().commands, ["sudo systemctl unmask rsyslog", "sudo systemctl start rsyslog"]);
    let limit = "ActiveState=failed\nSubState=failed\nResult=start-limit-hit\n";
    facts.units = Ok(fixture::units(&[("rsyslog.service", limit)]));
    let commands = rsyslog(running, &facts).advice.unwrap().commands;
    assert_eq!(commands, ["sudo systemctl reset-failed rsyslog", "sudo systemctl start rsyslog"]);
}

#[test]
fn a_halted_process_fails_although_the_unit_is_active() {
    let mut facts = with_unit(ACTIVE);
    facts.processes.get_mut(&47).unwrap().state = "T".into();
    let o = rsyslog(running, &facts);
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.advice.unwrap().commands, ["sudo kill -CONT 47"]);
    let mut facts = with_unit(ACTIVE);
    if let Ok(units) = &mut facts.units {
        units.get_mut("rsyslog.service").unwrap().freezer = "frozen".into();
    }
    assert_eq!(rsyslog(running, &facts).advice.unwrap().commands, ["sudo systemctl thaw rsyslog.service"]);
    let mut facts = with_unit(ACTIVE);
    facts.processes.get_mut(&47).unwrap().state = "Z".into();
    assert_eq!(rsyslog(running, &facts).status, Status::Fail);
}

#[test]
fn a_configuration_changed_after_the_start_warns() {
    let mut facts = with_unit(ACTIVE);
    facts.rsyslog.config.files.get_mut(fixture::DROP_IN_PATH).unwrap().mtime = Some(1_000_005);
    let o = rsyslog(running, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains(fixture::DROP_IN_PATH), "{}", o.summary);
    // A time that is still to come says nothing.
    facts.rsyslog.config.files.get_mut(fixture::DROP_IN_PATH).unwrap().mtime = Some(9_000_000);
    assert_eq!(rsyslog(running, &facts).status, Status::Pass);
}

#[test]
fn restarts_by_systemd_warn_while_they_are_fresh() {
    let mut facts = with_unit(&ACTIVE.replace("NRestarts=0", "NRestarts=3"));
    facts.taken = 1_000_100;
    assert_eq!(rsyslog(running, &facts).status, Status::Warn);
    facts.taken = 1_100_000;
    assert_eq!(rsyslog(running, &facts).status, Status::Pass);
}

#[test]
fn a_daemon_that_is_restarted_again_and_again_fails() {
    let of = |lines: &str, times: u32, ended_by: &str| {
        let mut facts = with_unit(lines);
        let unit = facts.units.as_mut().unwrap().get_mut("rsyslog.service").unwrap();
        (unit.restarted_lately, unit.ended_by) = (Some(times), ended_by.to_owned());
        facts.taken = 1_000_010;
        rsyslog(running, &facts)
    };
    let young = ACTIVE.replace("NRestarts=0", "NRestarts=3");
    let out = of(&young, 3, "RuntimeMaxSec=2s");
    assert_eq!(out.status, Status::Fail);
    assert!(out.advice.unwrap().summary.contains("RuntimeMaxSec=2s in the unit ends it"));
    assert_eq!(of(&young, 2, "").status, Status::Warn);
    // Between two runs as well; a start alone would mend nothing.
    let out = of("ActiveState=activating\nSubState=auto-restart\nResult=signal\nNRestarts=5\n", 5, "");
    assert!(out.status == Status::Fail && out.advice.is_some_and(|a| !a.fixable));
}

#[test]
fn a_restart_while_it_is_looked_at_is_told() {
    let of = |ppid: u32| {
        let mut facts = with_unit(ACTIVE);
        let mut process = facts.processes.remove(&fixture::DAEMON).unwrap();
        (process.pid, process.ppid, process.unit) = (4711, ppid, Some("rsyslog.service".into()));
        facts.processes.insert(4711, process);
        rsyslog(running, &facts)
    };
    let out = of(1);
    assert_eq!((out.status, out.summary.contains("restarted while")), (Status::Warn, true), "{}", out.summary);
    // The unit's own process is a script that has started the daemon.
    assert_eq!(of(fixture::DAEMON).status, Status::Pass);
}

#[test]
fn a_daemon_outside_of_its_unit_warns() {
    let facts = with_unit("ActiveState=inactive\nSubState=dead\n");
    assert_eq!(rsyslog(running, &facts).status, Status::Warn);
}

#[test]
fn without_systemd_the_process_decides() {
    let mut facts = fixture::healthy();
    facts.units = Err("systemd does not run here".into());
    assert_eq!(rsyslog(running, &facts).status, Status::Pass);
    assert_eq!(rsyslog(enabled, &facts).status, Status::Skip);
    facts.processes.get_mut(&47).unwrap().state = "T".into();
    assert_eq!(rsyslog(running, &facts).status, Status::Fail);
    facts.processes.clear();
    assert_eq!(rsyslog(running, &facts).status, Status::Fail);
    facts.net = Err("no /proc".into());
    assert_eq!(rsyslog(running, &facts).status, Status::Unknown);
    facts.host.live = false;
    assert_eq!(rsyslog(running, &facts).status, Status::Skip);
}

#[test]
fn enabled_at_boot() {
    let of = |state: &str| rsyslog(enabled, &with_unit(&format!("ActiveState=active\nUnitFileState={state}\n"))).status;
    assert_eq!((of("enabled"), of("static"), of("alias")), (Status::Pass, Status::Pass, Status::Pass));
    assert_eq!((of("disabled"), of("enabled-runtime"), of("masked")), (Status::Warn, Status::Warn, Status::Warn));
    assert_eq!(of(""), Status::Unknown);
    let mut facts = fixture::healthy();
    facts.units = Ok(fixture::units(&[]));
    assert_eq!(rsyslog(enabled, &facts).status, Status::Warn);
}
