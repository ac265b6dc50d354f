//! Whole runs without faults, and the ends they can take.

use super::lab::{Job, Lab, wishes};
use crate::plan::outcome::exit;
use crate::plan::*;
use crate::platform::service_act::Action;

fn done(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::Done { notes, .. } => notes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_install_does_what_it_says_and_the_second_one_nothing() {
    let lab = Lab::new();
    done(lab.run(Job::Install(1)).unwrap());
    assert!(lab.read("/etc/rsyslog.d/60-ours.conf").starts_with(b"# ours, version 1"));
    assert_eq!(lab.read("/opt/real.conf"), b"through the link\n");
    assert_eq!(lab.read("/opt/missing.conf"), b"through the dangling link\n");
    assert!(!lab.exists("/etc/rsyslog.d/90-old.conf") && !lab.exists("/run/cefctl.lock"));
    let units = lab.systemd.units();
    assert!(units["agent.service"].active && units["agent.service"].enabled);
    assert!(!units["other.service"].active && !units["other.service"].enabled);
    let (before, pid) = (lab.snapshot(), units["rsyslog.service"].pid);
    assert!(matches!(lab.run(Job::Install(1)).unwrap(), Outcome::NothingToDo));
    assert_eq!(lab.snapshot(), before);
    assert_eq!(lab.systemd.units()["rsyslog.service"].pid, pid);
}

/// A daemon that says how a reload ended keeps its process, and with it the connections of senders.
#[test]
fn a_daemon_that_answers_is_never_restarted() {
    let lab = Lab::new();
    let state = |lab: &Lab| lab.systemd.units()["syslog-ng.service"].clone();
    let before = state(&lab);
    done(lab.run(Job::Install(1)).unwrap());
    assert_ne!(state(&lab).loaded, before.loaded);
    done(lab.run(Job::Uninstall).unwrap());
    let failed = lab.run_with(Job::Install(1), &mut || Err(anyhow::anyhow!("no proof"))).unwrap();
    assert!(
        matches!(&failed, Outcome::RolledBack(m) if m.undone.iter().any(|u| u.starts_with("given its"))),
        "{failed:?}"
    );
    assert_eq!(state(&lab), before);
}

#[test]
fn a_daemon_that_does_not_take_its_configuration_runs_on_with_the_one_of_before() {
    let lab = Lab::new();
    let before = lab.systemd.units()["syslog-ng.service"].clone();
    let mut session = lab.session().unwrap();
    let wishes: [Change; 2] = [
        WriteFile::new("/etc/other.d/new.conf", "broken").into(),
        ServiceChange::new("syslog-ng", Action::Reload).into(),
    ];
    let plan = session.plan_install(wishes).unwrap();
    match session.apply(&plan, &Goal::Fix, &mut (), &mut || Ok(())) {
        Outcome::RolledBack(miss) => assert!(miss.cause.contains("runs on with the one it had: broken"), "{miss:?}"),
        other => panic!("{other:?}"),
    }
    assert!(!lab.exists("/etc/other.d/new.conf"));
    assert_eq!(lab.systemd.units()["syslog-ng.service"], before);
}

/// What somebody left in the files without loading it stays his: our way back is at its end with the files.
#[test]
fn a_daemon_that_does_not_take_what_was_there_before_either_is_as_it_was() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("/etc/other.d")).unwrap();
    lab.edit("/etc/other.d/theirs.conf", b"broken");
    let before = lab.systemd.units()["syslog-ng.service"].clone();
    let mut session = lab.session().unwrap();
    let wishes: [Change; 2] = [
        WriteFile::new("/etc/other.d/new.conf", "fine").into(),
        ServiceChange::new("syslog-ng", Action::Reload).into(),
    ];
    let plan = session.plan_install(wishes).unwrap();
    match session.apply(&plan, &Goal::Fix, &mut (), &mut || Ok(())) {
        Outcome::RolledBack(miss) => {
            assert!(miss.cause.contains("runs on with the one it had"), "{miss:?}");
            assert!(format!("{miss:?}").contains("was not loaded before either"), "{miss:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!lab.exists("/etc/other.d/new.conf"));
    assert_eq!(lab.systemd.units()["syslog-ng.service"], before);
}

#[test]
fn a_plan_touches_nothing() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let plan = plan_install(&lab.host, peek(&lab.host).unwrap().as_ref(), wishes(1)).unwrap();
    let json = plan.to_json().to_string();
    assert!(json.contains("create /etc/rsyslog.d/60-ours.conf (mode 0644): the rule"), "{json}");
    assert!(json.contains("restart rsyslog.service") && json.contains("+include 1"));
    assert_eq!(plan.steps.len(), wishes(1).len());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn secrets_show_nowhere() {
    let lab = Lab::new();
    let mut session = lab.session().unwrap();
    lab.edit("/opt/real.conf", b"oldGeheim");
    let wishes = [
        WriteFile::new("/opt/key", "newGeheim").mode(0o600).secret().into(),
        Change::RemoveFile { path: "/opt/real.conf".into(), secret: true, lasting: false },
    ];
    let plan = session.plan_install(wishes).unwrap();
    assert!(!plan.to_json().to_string().contains("Geheim"));
    let outcome = session.apply(&plan, &Goal::Fix, &mut (), &mut || {
        let journal = String::from_utf8(lab.read("/var/lib/cefctl/journal.jsonl")).unwrap();
        assert!(!journal.contains("Geheim") && journal.lines().count() > 2);
        Ok(())
    });
    done(outcome);
    assert!(!String::from_utf8(lab.read("/var/lib/cefctl/receipt.json")).unwrap().contains("Geheim"));
    let back = session.plan_uninstall(false).unwrap().unwrap();
    assert_eq!(back.steps.len(), 2);
    assert!(!back.to_json().to_string().contains("Geheim"));
}

#[test]
fn a_failed_proof_takes_everything_back() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let mut live = false;
    let outcome = lab.run_with(Job::Install(1), &mut || {
        live = lab.exists("/etc/rsyslog.d/60-ours.conf");
        Err(anyhow::anyhow!("nothing arrived\nhint: look"))
    });
    let Outcome::RolledBack(miss) = outcome.unwrap() else { panic!() };
    assert!(live && miss.cause == "nothing arrived\nhint: look" && !miss.interrupted);
    assert!(miss.undone.iter().any(|u| u.contains("restarted, with its configuration of before: rsyslog.service")));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_daemon_that_does_not_come_up_takes_everything_back() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let mut session = lab.session().unwrap();
    let wishes: [Change; 3] = [
        WriteFile::new("/etc/rsyslog.d/61.conf", "broken\n").into(),
        ServiceChange::new("rsyslog", Action::Restart).into(),
        WriteFile::new("/etc/rsyslog.d/62.conf", "never\n").into(),
    ];
    let plan = session.plan_fix(wishes).unwrap();
    let outcome = session.apply(&plan, &Goal::Fix, &mut (), &mut || Ok(()));
    assert_eq!(outcome.exit_code(), exit::FAILED);
    let Outcome::RolledBack(miss) = outcome else { panic!() };
    assert!(miss.cause.contains("step 2 of 3 failed: restart rsyslog.service"), "{}", miss.cause);
    drop(session);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn what_cannot_be_taken_back_is_told_and_tried_again_by_the_next_run() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let outcome = lab
        .run_with(Job::Install(1), &mut || {
            // Somebody breaks the old configuration: the daemon cannot come up with it any more.
            lab.edit("/etc/rsyslog.d/broken.conf", b"broken\n");
            Err(anyhow::anyhow!("no"))
        })
        .unwrap();
    assert_eq!(outcome.exit_code(), exit::INCOMPLETE);
    let Outcome::Incomplete(miss) = outcome else { panic!() };
    assert!(miss.failures.iter().any(|f| f.contains("rsyslog.service did not restart")), "{:?}", miss.failures);
    assert!(miss.failures.iter().any(|f| f.contains("hint: mend the reason")));
    let again = lab.session().err().unwrap();
    assert_eq!(again.exit_code(), exit::INCOMPLETE);
    std::fs::remove_file(lab.path("/etc/rsyslog.d/broken.conf")).unwrap();
    drop(lab.session().unwrap());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let lab = Lab::new();
    let session = lab.session().unwrap();
    let error = lab.session().err().unwrap();
    assert!(matches!(error, StartError::Busy(Some(pid)) if pid == std::process::id()));
    drop(session);
    assert!(lab.session().is_ok());
    assert!(!lab.exists("/run/cefctl.lock") && !lab.exists("/var/lib/cefctl"));
}

#[test]
fn an_interrupt_during_the_proof_takes_everything_back() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let outcome = lab.run_with(Job::Install(1), &mut || {
        lab.interrupt.set();
        Ok(())
    });
    assert_eq!(outcome.unwrap().exit_code(), exit::INTERRUPTED);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn what_is_in_the_way_is_refused_before_anything_is_touched() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("/opt/dir")).unwrap();
    nix::unistd::mkfifo(&lab.path("/opt/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(lab.path("/opt/huge")).unwrap().set_len(5 << 30).unwrap();
    std::os::unix::fs::symlink("loop", lab.path("/opt/loop")).unwrap();
    let before = lab.systemd.units();
    let block = |path: &str| EditBlock::new(path, "x", "y", Place::Append).into();
    let remove = |path: &str| Change::RemoveFile { path: path.into(), secret: false, lasting: false };
    let service = |unit: &str, action| ServiceChange::new(unit, action).into();
    let cases: [(Change, &str); 11] = [
        (WriteFile::new("/opt/dir", "").into(), "a folder"),
        (WriteFile::new("/opt/fifo", "").into(), "a pipe"),
        (WriteFile::new("/opt/loop", "").into(), "links"),
        (WriteFile::new("/opt/none/file", "").into(), "does not exist"),
        (WriteFile::new("relative", "").into(), "absolute"),
        (block("/opt/none"), "absent"),
        (block("/opt/huge"), "64 MiB"),
        (block("/opt/fifo"), "a pipe"),
        (remove("/opt/dir"), "a folder"),
        (Change::CreateDir { path: "/opt/fifo".into(), mode: 0o755, owner: None }, "a pipe"),
        (service("missing", Action::Restart), "no such unit"),
    ];
    for (change, words) in cases {
        let changes = [change.clone(), ServiceChange::new("missing", Action::Start).into()];
        let error = render(&Plan::build(&lab.host, changes).unwrap_err());
        assert!(error.contains(words), "{change:?}: {error}");
    }
    assert!(Plan::build(&lab.host, [service("missing", Action::Stop)]).unwrap().is_empty());
    assert_eq!(lab.systemd.units(), before);
}

#[test]
fn a_restart_needs_a_reason() {
    let lab = Lab::new();
    let restart = |when| ServiceChange::new("rsyslog", Action::Restart).when(when).into();
    let file = || WriteFile::new("/etc/rsyslog.d/61.conf", "x").into();
    let steps = |changes: Vec<Change>| Plan::build(&lab.host, changes).unwrap().steps.len();
    assert_eq!(steps(vec![restart(When::AnyChange)]), 0);
    assert_eq!(steps(vec![restart(When::Always)]), 1);
    assert_eq!(steps(vec![file(), restart(When::AnyChange)]), 2);
    assert_eq!(steps(vec![file(), restart(When::Changed(vec!["/etc/rsyslog.d".into()]))]), 2);
    assert_eq!(steps(vec![file(), restart(When::Changed(vec!["/etc/other.d".into()]))]), 1);
}

#[test]
fn a_restart_by_somebody_else_during_the_run_is_taken_back_as_well() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let mut session = lab.session().unwrap();
    let restart = ServiceChange::new("rsyslog", Action::Restart);
    let plan = session.plan_fix([WriteFile::new("/etc/rsyslog.d/61.conf", "x").into(), restart.into()]).unwrap();
    // Between the file and our own restart.
    let mut observer = |event: &Event<'_>| {
        if let Event::StepDone { n: 1, .. } = event {
            let _ = lab.host.runner.run(&crate::host::Cmd::new(["systemctl", "restart", "--", "rsyslog.service"]));
            lab.interrupt.set();
        }
    };
    let outcome = session.apply(&plan, &Goal::Fix, &mut observer, &mut || Ok(()));
    assert_eq!(outcome.exit_code(), exit::INTERRUPTED);
    drop(session);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_file_edited_during_the_run_keeps_the_edit_and_gets_our_old_block_back() {
    let lab = Lab::new();
    let edit = || {
        let mut content = lab.read("/etc/rsyslog.conf");
        content.splice(0..0, b"# edited meanwhile\n".iter().copied());
        lab.edit("/etc/rsyslog.conf", &content);
        Err(anyhow::anyhow!("no"))
    };
    let text = || String::from_utf8_lossy(&lab.read("/etc/rsyslog.conf")).into_owned();
    assert_eq!(lab.run_with(Job::Install(1), &mut { edit }).unwrap().exit_code(), exit::FAILED);
    assert!(text().starts_with("# edited meanwhile\n# main") && !text().contains("cefctl"), "{}", text());
    done(lab.run(Job::Install(1)).unwrap());
    assert_eq!(lab.run_with(Job::Install(2), &mut { edit }).unwrap().exit_code(), exit::FAILED);
    assert!(text().starts_with("# edited meanwhile\n# edited") && text().contains("\ninclude 1\n"), "{}", text());
}
