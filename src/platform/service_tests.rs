#![allow(clippy::disallowed_methods)] // tests make their own trees
use super::*;
use crate::host::fake::{FakeRunner, host, reply};
use crate::host::{Attrs, Root};
use crate::platform::service_act::{Action, ServiceError, Services};
use std::sync::Arc;

const RUNNING: &str = "\
Id=rsyslog.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
ReloadResult=success
MainPID=412
UnitFileState=enabled
NRestarts=0
ActiveEnterTimestamp=Mon 2026-01-05 10:00:00 UTC
FragmentPath=/lib/systemd/system/rsyslog.service
DropInPaths=/etc/systemd/system/rsyslog.service.d/a.conf /run/systemd/system/rsyslog.service.d/b.conf
TriggeredBy=syslog.socket
NeedDaemonReload=no
";

fn show(active: &str, sub: &str, result: &str, job: &str) -> String {
    format!("Id=rsyslog.service\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nResult={result}\nJob={job}\n")
}

/// A runner that answers `show` with `shows` in turn and every other systemctl command with success.
fn systemd(shows: &[String]) -> FakeRunner {
    let c = ["systemctl", "--no-ask-password", "--no-pager"];
    let mut runner = FakeRunner::new().on(&c, reply(0, "", ""));
    for s in shows {
        runner = runner.on(&[&c[..], &["show"]].concat(), reply(0, s, ""));
    }
    runner
}

fn act(shows: &[String], action: Action) -> (Result<UnitState, ServiceError>, Vec<String>) {
    let runner = Arc::new(systemd(shows));
    let host = host(Root::at("/nonexistent"), runner.clone());
    let result = Services::with(&host, Manager::Systemd).act("rsyslog", action, &|| false);
    let done = runner.calls().into_iter().filter(|c| !c.contains(" show ")).collect();
    (result, done)
}

#[test]
fn reads_a_running_unit() {
    let state = parse_show(RUNNING.as_bytes());
    assert!(state.is_active() && state.is_enabled() && state.exists() && !state.is_masked() && !state.job);
    assert_eq!((state.main_pid, state.restarts), (Some(412), Some(0)));
    assert_eq!(state.drop_ins.len(), 2);
    assert_eq!(state.triggered_by, ["syslog.socket"]);
}

#[test]
fn reads_an_old_systemd_a_missing_unit_and_rubbish() {
    let old = parse_show(b"Id=a.service\nLoadState=loaded\nActiveState=inactive\nMainPID=0\nUnitFileState=static\n");
    assert_eq!((old.main_pid, old.restarts, old.has_switch()), (None, None, false));
    let missing = parse_show(b"Id=x.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n");
    assert!(!missing.exists());
    let rubbish = parse_show(b"\xff\xfe\n=\nJob=0\nMainPID=-3\nActiveState=\xf0\n");
    assert_eq!((rubbish.active, rubbish.main_pid, rubbish.job), (Active::Unknown, None, false));
    assert!(parse_show(b"LoadState=masked\nJob=77 /org/x").job);
}

#[test]
fn waits_for_the_job_and_the_state() {
    let shows = [
        show("inactive", "dead", "success", ""),
        show("activating", "start", "success", "12"),
        show("active", "running", "success", "12"),
        show("active", "running", "success", ""),
    ];
    let (result, done) = act(&shows, Action::Restart);
    assert!(result.unwrap().is_active());
    assert_eq!(done, ["systemctl --no-ask-password --no-pager --no-block restart -- rsyslog.service"]);
}

#[test]
fn a_start_that_is_tried_again_and_again_has_failed() {
    let shows = [show("active", "running", "success", ""), show("activating", "auto-restart", "exit-code", "")];
    let (result, _) = act(&shows, Action::Restart);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("auto-restart") && error.contains("exit-code") && error.contains("hint:"), "{error}");
}

/// It has read the configuration as it was before ours.
#[test]
fn a_start_that_is_under_way_is_replaced() {
    for sub in ["start", "auto-restart"] {
        let shows = [show("activating", sub, "success", ""), show("active", "running", "success", "")];
        let (result, done) = act(&shows, Action::Start);
        assert!(result.unwrap().is_active());
        assert_eq!(done, ["systemctl --no-ask-password --no-pager --no-block restart -- rsyslog.service"], "{sub}");
    }
}

#[test]
fn the_start_limit_is_reset_once() {
    let limit = show("failed", "failed", "start-limit-hit", "");
    let up = show("active", "running", "success", "");
    let (result, done) = act(&[up.clone(), limit.clone(), limit.clone(), up], Action::Restart);
    assert!(result.unwrap().is_active());
    assert_eq!(done.len(), 4); // restart, journalctl, reset-failed, start
    assert!(done[2].ends_with("reset-failed -- rsyslog.service"));
    assert!(done[3].ends_with("start -- rsyslog.service"));
    let (result, _) = act(&[limit], Action::Restart);
    assert!(matches!(result, Err(ServiceError::Failed { .. })));
}

#[test]
fn masked_missing_and_refused_are_told_apart() {
    let masked = "Id=rsyslog.service\nLoadState=masked\nUnitFileState=masked\n".to_owned();
    assert!(matches!(act(&[masked], Action::Start).0, Err(ServiceError::Masked { .. })));
    let missing = "Id=rsyslog.service\nLoadState=not-found\nActiveState=inactive\n".to_owned();
    assert!(matches!(act(&[missing], Action::Start).0, Err(ServiceError::NotFound { .. })));
    let runner = systemd(&[show("active", "running", "success", "")]).on(
        &["systemctl", "--no-ask-password", "--no-pager", "--no-block", "reload"],
        reply(1, "", "not applicable\n"),
    );
    let host = host(Root::at("/nonexistent"), runner);
    let error = Services::with(&host, Manager::Systemd).act("rsyslog", Action::Reload, &|| false).unwrap_err();
    assert!(matches!(&error, ServiceError::Refused { said, .. } if said == "not applicable"), "{error}");
}

#[test]
fn a_wait_ends_by_the_clock_or_an_interrupt() {
    let hangs = show("activating", "start", "success", "7");
    assert!(matches!(act(std::slice::from_ref(&hangs), Action::Start).0, Err(ServiceError::Timeout { .. })));
    let host = host(Root::at("/nonexistent"), systemd(&[hangs]));
    let result = Services::with(&host, Manager::Systemd).act("rsyslog", Action::Start, &|| true);
    assert!(matches!(result, Err(ServiceError::Interrupted { .. })));
}

#[test]
fn stopping_also_stops_the_socket_and_changed_files_are_read_first() {
    let up = RUNNING.replace("NeedDaemonReload=no", "NeedDaemonReload=yes");
    let (result, done) =
        act(&[up, "Id=syslog.socket\nActiveState=active\n".into(), show("inactive", "dead", "", "")], Action::Stop);
    assert!(!result.unwrap().is_active());
    assert!(done[0].ends_with("daemon-reload"));
    assert!(done[1].ends_with("--no-block stop -- syslog.socket rsyslog.service"), "{done:?}");
}

fn sysv_root() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::at(dir.path());
    for d in ["usr/sbin", "etc/init.d", "etc/rc3.d", "run", "proc/1"] {
        std::fs::create_dir_all(dir.path().join(d)).unwrap();
    }
    for (path, content) in [
        ("/usr/sbin/service", ""),
        ("/etc/init.d/rsyslog", ""),
        ("/run/rsyslogd.pid", "55\n"),
        ("/proc/1/comm", "init\n"),
    ] {
        root.write(Path::new(path), content.as_bytes(), &Attrs::default()).unwrap();
    }
    (dir, root)
}

#[test]
fn finds_the_manager() {
    let (dir, root) = sysv_root();
    let machine = host(root.clone(), FakeRunner::new());
    assert_eq!(Manager::detect(&machine), Manager::Sysv);
    std::fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    root.write(Path::new("/proc/1/comm"), b"systemd\n", &Attrs::default()).unwrap();
    assert_eq!(Manager::detect(&machine), Manager::Systemd);
    root.write(Path::new("/proc/1/comm"), b"bash\n", &Attrs::default()).unwrap();
    assert_eq!(Manager::detect(&machine), Manager::Sysv);
    root.remove_file(Path::new("/usr/sbin/service")).unwrap();
    assert_eq!(Manager::detect(&machine), Manager::None);
}

#[test]
fn init_scripts_are_asked_by_exit_code() {
    let (_dir, root) = sysv_root();
    let runner = Arc::new(
        FakeRunner::new()
            .on(&["service", "rsyslog", "status"], reply(3, "", ""))
            .on(&["service", "rsyslog", "status"], reply(3, "", ""))
            .on(&["service", "rsyslog", "status"], reply(0, "", ""))
            .on(&["service", "rsyslog", "start"], reply(0, "", ""))
            .on(&["chkconfig"], reply(0, "", "")),
    );
    let machine = host(root.clone(), runner.clone());
    let services = Services::detect(&machine);
    let before = services.state("rsyslog").unwrap();
    assert_eq!((before.is_active(), before.is_enabled(), before.main_pid), (false, false, Some(55)));
    assert!(services.act("rsyslog.service", Action::Start, &|| false).unwrap().is_active());
    assert!(!services.state("other").unwrap().exists());
    services.act("rsyslog", Action::Enable, &|| false).unwrap();
    assert!(runner.calls().contains(&"chkconfig rsyslog on".to_owned()));
    std::os::unix::fs::symlink("../init.d/rsyslog", root.real(Path::new("/etc/rc3.d/S20rsyslog"))).unwrap();
    assert!(services.state("rsyslog").unwrap().is_enabled());
}

#[test]
fn nobody_to_ask_is_an_error_only_when_something_is_to_be_done() {
    let machine = host(Root::at("/nonexistent"), FakeRunner::new());
    let services = Services::detect(&machine);
    assert_eq!(services.manager(), Manager::None);
    assert!(!services.state("rsyslog").unwrap().is_active());
    assert!(matches!(services.act("rsyslog", Action::Stop, &|| false), Err(ServiceError::NoManager { .. })));
}
