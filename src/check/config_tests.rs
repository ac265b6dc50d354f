use super::*;
use crate::check::fixture::*;
use crate::host::proc_mount::Mount;
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
fn an_include_that_leaves_something_out_fails_only_if_nobody_else_reads_it() {
    // rsyslogd refuses to include a file that it is reading already.
    let circle = with_files(&[("/etc/rsyslog.d/05-loop.conf", "$IncludeConfig /etc/rsyslog.d/*.conf\n")]);
    assert_eq!(judge(files, &circle).status, Status::Warn);
}

#[test]
fn a_folder_that_is_another_one_for_the_daemon_hides_its_files() {
    let of = |root: &str, device: &str| {
        let mount = |point: &str, root: &str, device: &str| Mount {
            point: point.into(),
            fs_type: "ext4".into(),
            device: device.into(),
            root: root.into(),
            ..Mount::default()
        };
        let mut facts = healthy();
        facts.agent_states.mounts = Ok(vec![mount("/", "/", "8:1")]);
        facts.rsyslog.mounts = Ok(vec![mount("/", "/", "8:1"), mount("/etc/rsyslog.d", root, device)]);
        judge(files, &facts).status
    };
    assert_eq!(of("/srv/old", "8:1"), Status::Fail);
    assert_eq!(of("/etc/rsyslog.d", "8:9"), Status::Fail);
    // As ProtectSystem= does.
    assert_eq!(of("/etc/rsyslog.d", "8:1"), Status::Pass);
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
fn a_name_that_leads_nowhere_fails_where_events_pass_and_warns_elsewhere() {
    assert_eq!(judge(references, &healthy()).status, Status::Pass);
    let bad = [
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"5150\" ruleset=\"nowhere\")\n",
        "*.* action(type=\"omfile\" file=\"/x\" template=\"none\")\n",
        "input(type=\"imrelp\" port=\"2514\")\n",
        "ruleset(name=\"a\") { stop }\nruleset(name=\"a\") { stop }\n",
    ];
    for text in bad {
        let o = judge(references, &with_files(&[("/etc/rsyslog.d/90-user.conf", text)]));
        assert_eq!(o.status, Status::Warn, "{text}");
        assert!(o.summary.starts_with("/etc/rsyslog.d/90-user.conf:"), "{}", o.summary);
        let o = judge(references, &with_drop_in(&format!("{DROP_IN}{text}")));
        assert_eq!(o.status, Status::Fail, "{text}");
    }
    // A module loaded twice does no harm.
    let twice = with_files(&[("/etc/rsyslog.d/90-user.conf", "module(load=\"imudp\")\n")]);
    assert_eq!(judge(references, &twice).status, Status::Pass);
}

#[test]
fn a_syntax_error_in_anybodys_file_fails_with_its_place() {
    assert_eq!(judge(config, &healthy()).status, Status::Pass);
    let mut facts = with_files(&[("/etc/rsyslog.d/10-their.conf", "# fine\nif $msg contains \"x\" the /d\n")]);
    facts.rsyslog.validation = Ok(validation(
        1,
        &["error during parsing file /etc/rsyslog.d/10-their.conf, on or before line 2: syntax error"],
    ));
    let o = judge(config, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.starts_with("/etc/rsyslog.d/10-their.conf:2: syntax error"), "{}", o.summary);
    assert!(o.evidence.iter().any(|e| e.text == "syntax error"), "{o:?}");
}

fn saying(messages: &[&str]) -> Outcome {
    let mut facts = healthy();
    facts.rsyslog.validation = Ok(validation(1, messages));
    judge(config, &facts)
}

#[test]
fn what_only_the_daemon_knows_counts_by_what_it_means() {
    let typo = |file: &str| {
        format!(
            "error during parsing file {file}, on or before line 3: parameter 'x' not known -- typo in config file? [v8.2302.0 try https://www.rsyslog.com/e/2207 ]"
        )
    };
    let o = saying(&[&typo(DROP_IN_PATH)]);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.starts_with(&format!("{DROP_IN_PATH}:3: parameter 'x'")), "{}", o.summary);
    assert_eq!(saying(&[&typo("/etc/rsyslog.d/90-user.conf")]).status, Status::Warn);
    let fatal = saying(&["ID for user 'gone' could not be found or error"]);
    assert_eq!(fatal.status, Status::Fail);
    assert!(fatal.summary.contains("does not start"), "{}", fatal.summary);
    let cut = saying(&[
        "error during parsing file /etc/rsyslog.d/90-user.conf, on or before line 3: syntax error on token 'x' [v8.2302.0 try https://www.rsyslog.com/e/2207 ]",
    ]);
    assert_eq!(cut.status, Status::Fail, "although our own reading found nothing");
    let harmless =
        "module 'imudp' already in this config, cannot be added  [v8.2302.0 try https://www.rsyslog.com/e/2221 ]";
    let elsewhere = "$WorkDirectory: /nix can not be accessed, probably does not exist - directive ignored [v8.2302.0 try https://www.rsyslog.com/e/2181 ]";
    assert_eq!(saying(&[harmless, elsewhere]).status, Status::Pass);
    let twice = format!(
        "error during parsing file {DROP_IN_PATH}, on or before line 2: parameter 'maxmessagesize' specified more than once - one instance is ignored. Fix config [v8.2302.0 try https://www.rsyslog.com/e/2207 ]"
    );
    let echo = format!(
        "error during parsing file {DROP_IN_PATH}, on or before line 2: parameter 'maxMessageSize' not known -- typo in config file? [v8.2302.0 try https://www.rsyslog.com/e/2207 ]"
    );
    assert_eq!(saying(&[&twice, &echo]).status, Status::Pass);
    assert_eq!(saying(&[&echo]).status, Status::Fail);
}

#[test]
fn a_validator_that_did_not_run_leaves_it_open() {
    let mut facts = healthy();
    facts.rsyslog.validation = Err("no answer within 5s".into());
    assert_eq!(judge(config, &facts).status, Status::Unknown);
    facts.host.live = false;
    assert_eq!(judge(config, &facts).status, Status::Pass);
}

#[test]
fn a_mistake_fails_where_events_pass_and_warns_elsewhere() {
    let bad = "nonsense.info /var/log/x\n";
    let o = judge(config, &with_files(&[("/etc/rsyslog.d/90-user.conf", bad)]));
    assert_eq!(o.status, Status::Warn, "{o:?}");
    let o = judge(config, &with_drop_in(&format!("{DROP_IN}{bad}")));
    assert_eq!(o.status, Status::Fail, "{o:?}");
}

#[test]
fn a_missing_main_file_fails_a_closed_one_is_unknown() {
    let mut facts = healthy();
    set_config(&mut facts, &[]);
    assert_eq!(judge(config, &facts).status, Status::Fail);
    let mut facts = healthy();
    facts.rsyslog.config.files.get_mut("/etc/rsyslog.conf").unwrap().content = Err("permission denied".into());
    assert_eq!(judge(config, &facts).status, Status::Unknown);
}

#[test]
fn a_backup_of_our_file_that_is_read_too_is_named() {
    use crate::check::facts::{FileState, ReceiptFacts, ReceiptFile};
    let ours = format!("# Written by cefctl 0.1.0, receipt /var/lib/cefctl/receipt.json.\n{DROP_IN}");
    let old = "/etc/rsyslog.d/20-collector-old.conf";
    let mut facts = healthy();
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, &ours), (old, &ours)]);
    assert_ne!(judge(config, &facts).summary, format!("{old} is a copy of {DROP_IN_PATH}, and the daemon reads both"));
    let file =
        ReceiptFile { path: DROP_IN_PATH.into(), sha256: String::new(), state: FileState::AsWritten, immutable: None };
    facts.receipt = Ok(Some(ReceiptFacts { files: vec![file], ..ReceiptFacts::default() }));
    let o = judge(config, &facts);
    assert_eq!(o.summary, format!("{old} is a copy of {DROP_IN_PATH}, and the daemon reads both"));
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.advice.unwrap().commands[0], format!("sudo mv {old} /root/"));
}
