//! The way back after days of life: several installs, users' edits, things that went missing.

use super::lab::{Job, Lab, wishes};
use crate::plan::*;

fn done(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::Done { notes, .. } => notes,
        other => panic!("{other:?}"),
    }
}

fn installed(versions: &[u32]) -> Lab {
    let lab = Lab::new();
    for version in versions {
        done(lab.run(Job::Install(*version)).unwrap());
    }
    lab
}

#[test]
fn uninstall_gives_back_the_very_first_state() {
    let before = Lab::new().snapshot();
    for versions in [&[1][..], &[1, 2], &[1, 2, 1], &[2, 1]] {
        let lab = installed(versions);
        assert_ne!(lab.snapshot(), before);
        done(lab.run(Job::Uninstall).unwrap());
        assert_eq!(lab.snapshot(), before, "{versions:?}");
        assert!(matches!(lab.run(Job::Uninstall).unwrap(), Outcome::NothingToDo));
    }
}

#[test]
fn times_of_restored_files_are_those_of_before() {
    use std::os::unix::fs::MetadataExt;
    let lab = installed(&[1]);
    done(lab.run(Job::Uninstall).unwrap());
    for path in ["/etc/rsyslog.d/50-default.conf", "/etc/rsyslog.d/90-old.conf"] {
        assert_eq!(lab.path(path).metadata().unwrap().mtime(), 1_500_000_000, "{path}");
    }
}

#[test]
fn other_options_take_back_what_they_no_longer_wish() {
    let lab = installed(&[1]);
    assert!(lab.exists("/etc/other.d/only-in-1.conf"));
    done(lab.run(Job::Install(2)).unwrap());
    assert!(!lab.exists("/etc/other.d/only-in-1.conf"));
    let receipt = lab.session().unwrap().receipt().unwrap().clone();
    assert_eq!(receipt.options, serde_json::json!({"v": 2}));
    assert!(!receipt.entries.iter().any(|e| e.path().is_some_and(|p| p.ends_with("only-in-1.conf"))));
    // Only what the receipt names is kept.
    let kept = std::fs::read_dir(lab.path("/var/lib/cefctl/backup")).unwrap().count();
    assert_eq!(kept, receipt.backups().len());
}

#[test]
fn only_our_block_leaves_a_file_that_the_user_has_edited() {
    let lab = installed(&[1]);
    let mut content = lab.read("/etc/rsyslog.conf");
    content.splice(0..0, b"# mine\n".iter().copied());
    content.extend(b"also mine");
    lab.edit("/etc/rsyslog.conf", &content);
    assert!(done(lab.run(Job::Uninstall).unwrap()).is_empty());
    let expected = b"# mine\n# main \xff\r\nmodule(load=\"x\")\n\0\n*.* /var/log/messages\nalso mine";
    assert_eq!(lab.read("/etc/rsyslog.conf"), expected);
}

#[test]
fn a_damaged_block_is_found_by_its_content_or_told() {
    let lab = installed(&[1]);
    let cut = |from: &str, to: &str| {
        let text = lab.read("/etc/rsyslog.conf");
        let text = String::from_utf8_lossy(&text).replace(from, to);
        lab.edit("/etc/rsyslog.conf", text.as_bytes());
    };
    cut("# END cefctl block \"include\"\n", "");
    assert!(done(lab.run(Job::Uninstall).unwrap()).is_empty());
    assert!(!String::from_utf8_lossy(&lab.read("/etc/rsyslog.conf")).contains("include 1"));

    let lab = installed(&[1]);
    let text = String::from_utf8_lossy(&lab.read("/etc/rsyslog.conf")).replace("include 1\n", "my own\n");
    lab.edit("/etc/rsyslog.conf", text.replace("# END cefctl block \"include\"\n", "").as_bytes());
    let notes = done(lab.run(Job::Uninstall).unwrap());
    assert!(notes.iter().any(|n| n.contains("damaged") && n.contains("hint:")), "{notes:?}");
    assert!(String::from_utf8_lossy(&lab.read("/etc/rsyslog.conf")).contains("my own\n"));
}

#[test]
fn the_users_versions_of_our_files_are_kept_aside() {
    let lab = installed(&[1]);
    lab.edit("/etc/rsyslog.d/60-ours.conf", b"tuned\n");
    lab.edit("/etc/rsyslog.d/50-default.conf", b"tuned too\n");
    let notes = done(lab.run(Job::Uninstall).unwrap());
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(!lab.exists("/etc/rsyslog.d/60-ours.conf"));
    assert_eq!(lab.read("/etc/rsyslog.d/.60-ours.conf.cefctl-saved"), b"tuned\n");
    assert_eq!(lab.read("/etc/rsyslog.d/50-default.conf"), b"*.* ~\n");
    assert_eq!(lab.read("/etc/rsyslog.d/.50-default.conf.cefctl-saved"), b"tuned too\n");
}

#[test]
fn an_install_over_the_users_edits_keeps_them_aside_and_uninstall_leaves_them() {
    let lab = installed(&[1]);
    lab.edit("/etc/rsyslog.d/60-ours.conf", b"tuned\n");
    let notes = done(lab.run(Job::Install(1)).unwrap());
    assert!(notes[0].contains(".60-ours.conf.cefctl-saved"), "{notes:?}");
    assert!(lab.read("/etc/rsyslog.d/60-ours.conf").starts_with(b"# ours, version 1"));
    assert!(matches!(lab.run(Job::Install(1)).unwrap(), Outcome::NothingToDo));
    done(lab.run(Job::Uninstall).unwrap());
    assert_eq!(lab.read("/etc/rsyslog.d/.60-ours.conf.cefctl-saved"), b"tuned\n");
}

#[test]
fn what_is_gone_already_is_fine_and_what_others_put_in_its_place_stays() {
    let lab = installed(&[1]);
    for path in ["/etc/rsyslog.d/60-ours.conf", "/etc/other.d/only-in-1.conf", "/etc/rsyslog.conf"] {
        std::fs::remove_file(lab.path(path)).unwrap();
    }
    lab.edit("/etc/rsyslog.d/90-old.conf", b"written anew by the portal\n");
    std::fs::remove_file(lab.path("/etc/rsyslog.d/50-default.conf")).unwrap();
    let notes = done(lab.run(Job::Uninstall).unwrap());
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(lab.read("/etc/rsyslog.d/90-old.conf"), b"written anew by the portal\n");
    assert_eq!(lab.read("/etc/rsyslog.d/.90-old.conf.cefctl-saved"), b"local4.* @@127.0.0.1:25226\n");
    assert_eq!(lab.read("/etc/rsyslog.d/50-default.conf"), b"*.* ~\n");
    assert!(!lab.exists("/var/lib/cefctl"));
}

#[test]
fn a_folder_with_something_of_others_in_it_stays() {
    let lab = installed(&[1]);
    lab.edit("/var/spool/rsyslog/cefctl/queue.00001", b"events");
    let notes = done(lab.run(Job::Uninstall).unwrap());
    assert!(notes.iter().any(|n| n.contains("cefctl is kept: it is not empty")), "{notes:?}");
    assert_eq!(lab.read("/var/spool/rsyslog/cefctl/queue.00001"), b"events");
}

#[test]
fn a_damaged_backup_is_told_before_anything_is_touched() {
    let lab = installed(&[1]);
    for entry in std::fs::read_dir(lab.path("/var/lib/cefctl/backup")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"rotten").unwrap();
    }
    let before = lab.snapshot();
    let Err(StartError::Other(error)) = lab.run(Job::Uninstall) else { panic!() };
    assert!(error.contains("cannot restore") && error.contains("backup"), "{error}");
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_unit_that_is_gone_does_not_stop_the_way_back() {
    let lab = installed(&[1]);
    lab.systemd.change(|units| units.remove("other.service"));
    let notes = done(lab.run(Job::Uninstall).unwrap());
    assert!(notes.iter().any(|n| n.contains("other.service is gone")), "{notes:?}");
}

#[test]
fn a_repair_is_on_the_receipt_and_an_install_leaves_it_alone() {
    let lab = installed(&[1]);
    let start = Lab::new().snapshot();
    let mut session = lab.session().unwrap();
    let plan = session.plan_fix([WriteFile::new("/etc/other.d/fix.conf", "fix\n").into()]).unwrap();
    done(session.apply(&plan, &Goal::Fix, &mut (), &mut || Ok(())));
    assert!(session.plan_install(wishes(1)).unwrap().is_empty());
    drop(session);
    done(lab.run(Job::Uninstall).unwrap());
    assert_eq!(lab.snapshot(), start);
}

#[test]
fn what_was_mended_stays_and_leaves_no_receipt() {
    let lab = Lab::new();
    let mend = |lab: &Lab| {
        let mut session = lab.session().unwrap();
        let folder = Change::CreateDir { path: "/var/spool/mended".into(), mode: 0o700, owner: None };
        let plan = session.plan_fix([folder]).unwrap();
        done(session.apply(&plan, &Goal::Mend, &mut (), &mut || Ok(())));
    };
    mend(&lab);
    assert!(!lab.exists("/var/lib/cefctl"), "nothing to take back, so no receipt");
    let mended = lab.snapshot();
    drop(lab);
    let lab = installed(&[1]);
    mend(&lab);
    done(lab.run(Job::Uninstall).unwrap());
    assert_eq!(lab.snapshot(), mended, "an uninstall takes the install back and not the repair");
}
