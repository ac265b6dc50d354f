use super::*;
use crate::check::fixture::*;
use crate::host::proc_process::Process;
use crate::platform::access::Step;
use crate::report::Status;

#[test]
fn a_folder_nobody_includes_fails() {
    assert_eq!(judge(include, &healthy()).status, Status::Pass);
    let mut facts = healthy();
    let main = MAIN.replace("$IncludeConfig", "#$IncludeConfig");
    set_config(&mut facts, &[("/etc/rsyslog.conf", &main), (DROP_IN_PATH, DROP_IN)]);
    let o = judge(include, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("/etc/rsyslog.conf does not include /etc/rsyslog.d"), "{}", o.summary);
    assert!(o.evidence.iter().any(|e| e.source == DROP_IN_PATH));
    assert!(o.advice.unwrap().fixable);
    set_config(&mut facts, &[("/etc/rsyslog.conf", &main)]);
    assert_eq!(judge(include, &facts).status, Status::Skip);
}

#[test]
fn a_file_the_pattern_leaves_out_is_named() {
    let mut facts = healthy();
    let main = MAIN.replace("/etc/rsyslog.d/*.conf", "/etc/rsyslog.d/[0-9]*.conf");
    set_config(
        &mut facts,
        &[("/etc/rsyslog.conf", &main), (DROP_IN_PATH, DROP_IN), ("/etc/rsyslog.d/security-config.conf", "")],
    );
    facts.rsyslog.config.globs = [("/etc/rsyslog.d/[0-9]*.conf".to_owned(), vec![DROP_IN_PATH.to_owned()])].into();
    let o = judge(include, &facts);
    assert_eq!((o.status, o.summary.as_str()), (Status::Fail, "1 file in /etc/rsyslog.d without effect"));
    assert!(o.evidence.iter().any(|e| e.source == "/etc/rsyslog.d/security-config.conf"));
    assert!(o.evidence.iter().any(|e| e.text.contains("[0-9]*.conf")));
}

#[test]
fn the_same_file_by_another_name_counts_as_read() {
    let mut facts = healthy();
    if let Ok(drop_ins) = &mut facts.rsyslog.drop_in_folder {
        drop_ins.push(DropIn {
            path: "/etc/rsyslog.d/link.conf".into(),
            real: DROP_IN_PATH.into(),
            kind: Some(FileKind::File),
        });
        drop_ins.push(DropIn {
            path: "/etc/rsyslog.d/x.conf.bak".into(),
            real: String::new(),
            kind: Some(FileKind::File),
        });
        drop_ins.push(DropIn {
            path: "/etc/rsyslog.d/.y.conf".into(),
            real: String::new(),
            kind: Some(FileKind::File),
        });
    }
    assert_eq!(judge(include, &facts).status, Status::Pass);
}

fn walk_of<'a>(facts: &'a mut crate::check::facts::Facts, path: &str) -> &'a mut Vec<Step> {
    &mut facts.rsyslog.config.files.get_mut(path).unwrap().walk
}

#[test]
fn a_file_the_daemon_may_not_read_fails_with_the_part_that_is_closed() {
    let mut facts = healthy();
    assert_eq!(judge(files, &facts).status, Status::Pass);
    // SUSE ships 0600, which root reads.
    walk_of(&mut facts, "/etc/rsyslog.conf").last_mut().unwrap().mode = 0o600;
    assert_eq!(judge(files, &facts).status, Status::Pass);
    // A unit with a user of its own.
    let syslog = Process { pid: DAEMON, comm: "rsyslogd".into(), uid: 104, gid: 110, ..Process::default() };
    facts.processes.insert(DAEMON, syslog);
    if let Ok(units) = &mut facts.units {
        units.get_mut("rsyslog.service").unwrap().user = "syslog".into();
    }
    let o = judge(files, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("/etc/rsyslog.conf has mode 0600, owner 0:0"), "{}", o.summary);
    assert_eq!(o.advice.unwrap().commands[0], "sudo chmod 0644 /etc/rsyslog.conf");
    walk_of(&mut facts, "/etc/rsyslog.conf").last_mut().unwrap().mode = 0o644;
    walk_of(&mut facts, DROP_IN_PATH).iter_mut().find(|s| s.path == "/etc/rsyslog.d").unwrap().mode = 0o750;
    let o = judge(files, &facts);
    assert_eq!(o.advice.unwrap().commands[0], "sudo chmod 0755 /etc/rsyslog.d");
}

#[test]
fn root_without_the_capability_is_just_a_user() {
    let mut facts = healthy();
    let step = walk_of(&mut facts, DROP_IN_PATH).last_mut().unwrap();
    (step.mode, step.uid) = (0o600, 1000);
    assert_eq!(judge(files, &facts).status, Status::Pass);
    facts.processes.get_mut(&DAEMON).unwrap().cap_bounding = 0;
    assert_eq!(judge(files, &facts).status, Status::Fail);
}

#[test]
fn a_name_that_leads_nowhere_fails() {
    assert_eq!(judge(references, &healthy()).status, Status::Pass);
    let bad = [
        "input(type=\"imudp\" port=\"515\" ruleset=\"nowhere\")\n",
        "*.* action(type=\"omfile\" file=\"/x\" template=\"none\")\n",
        "input(type=\"imrelp\" port=\"2514\")\n",
        "ruleset(name=\"a\") { stop }\nruleset(name=\"a\") { stop }\n",
    ];
    for text in bad {
        let o = judge(references, &with_files(&[("/etc/rsyslog.d/90-user.conf", text)]));
        assert_eq!(o.status, Status::Fail, "{text}");
        assert!(o.summary.starts_with("/etc/rsyslog.d/90-user.conf:"), "{}", o.summary);
    }
    // A module loaded twice does no harm.
    let twice = with_files(&[("/etc/rsyslog.d/90-user.conf", "module(load=\"imudp\")\n")]);
    assert_eq!(judge(references, &twice).status, Status::Pass);
}
