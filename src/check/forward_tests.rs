use super::*;
use crate::agent::AgentKind;
use crate::check::facts::{Facts, FileState, ReceiptFacts, ReceiptFile};
use crate::check::fixture::*;
use crate::check::target::Target;
use crate::report::Status;

const INPUTS: &str = "module(load=\"imudp\")\nmodule(load=\"imtcp\")\ninput(type=\"imudp\" port=\"514\")\ninput(type=\"imtcp\" port=\"514\")\n";

/// A box with this rule in place of the current one.
fn with_rule(rule: &str) -> Facts {
    let mut facts = healthy();
    let path = "/etc/rsyslog.d/security-config-omsagent.conf";
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, INPUTS), (path, rule)]);
    facts
}

#[test]
fn the_current_rule_passes() {
    let facts = healthy();
    for check in [rule, target, duplicate, local_copy] {
        let o = judge(check, &facts);
        assert_eq!(o.status, Status::Pass, "{o:?}");
    }
    assert!(judge(rule, &facts).summary.contains("20-collector.conf"));
}

#[test]
fn no_rule_at_all_fails_and_tells_what_is_there_instead() {
    let mut facts = with_rule("*.* @@siem.example.org:514\n*.* @127.0.0.1:25224\n");
    let missing = ReceiptFile {
        path: "/etc/rsyslog.d/x.conf".into(),
        sha256: String::new(),
        state: FileState::Missing,
        immutable: None,
    };
    facts.receipt = Ok(Some(ReceiptFacts { files: vec![missing], ..ReceiptFacts::default() }));
    let o = judge(rule, &facts);
    assert_eq!(o.status, Status::Fail);
    let texts: Vec<&str> = o.evidence.iter().map(|e| e.text.as_str()).collect();
    assert!(texts.iter().any(|t| t.contains("another machine")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("plain syslog only")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("not there any more")), "{texts:?}");
    assert!(o.advice.unwrap().fixable);
}

#[test]
fn a_rule_that_misses_a_kind_fails_with_the_sample() {
    let facts = with_rule("if $rawmsg contains \"CEF:\" then @@127.0.0.1:25226\n");
    let o = judge(rule, &facts);
    assert_eq!(
        (o.status, o.summary.as_str()),
        (Status::Fail, "the rule does not forward ASA, ASA behind a colon and FTD")
    );
    // `CEF:` is the tag of a plain event, so `$msg` does not hold it (facts 5.3).
    let o = judge(
        rule,
        &with_rule(
            "if $msg contains \"CEF:\" or $msg contains \"%ASA-\" or $msg contains \"%FTD\" then @@127.0.0.1:25226\n",
        ),
    );
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("forward CEF, CEF with a blank,"), "{}", o.summary);
}

#[test]
fn old_generations_are_named() {
    let last = "\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";
    let o = judge(rule, &with_rule(last));
    assert_eq!(o.status, Status::Fail);
    assert!(
        o.summary.starts_with("/etc/rsyslog.d/security-config-omsagent.conf:2 is the last rule of cef_installer.py"),
        "{}",
        o.summary
    );
    assert!(o.summary.ends_with("it does not forward FTD"), "{}", o.summary);
    // The discard of 2019 matches nothing, so everything is forwarded.
    let o = judge(rule, &with_rule(":rawmsg, regex, \"CEF\\|ASA\" ~\n*.* @@127.0.0.1:25226\n"));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("2019"), "{}", o.summary);
    let o = judge(rule, &with_rule(":rawmsg, regex, \"CEF\\|ASA\" @@127.0.0.1:25226\n"));
    assert!(o.summary.contains("early rule") && o.summary.contains("does not forward CEF,"), "{}", o.summary);
    let o = judge(rule, &with_rule("local4.debug @@127.0.0.1:25226\n"));
    assert!(o.summary.contains("facility rule"), "{}", o.summary);
}

#[test]
fn an_old_rule_behind_the_current_one_is_not_what_carries_the_events() {
    let path = "/etc/rsyslog.d/security-config-omsagent.conf";
    let old = "if $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226\n";
    let o = judge(rule, &with_files(&[(path, old)]));
    assert_eq!(o.status, Status::Warn, "it still sends `NASA-1` to the agent: {o:?}");
}

#[test]
fn a_rule_by_facility_or_for_everything_warns() {
    let o = judge(rule, &with_rule("local4.* @@127.0.0.1:25226\n"));
    assert_eq!(o.status, Status::Fail, "an old generation: {o:?}");
    let o = judge(rule, &with_rule("local3.*;local4.* @@127.0.0.1:25226\n"));
    assert_eq!((o.status, o.summary.as_str()), (Status::Warn, "the rule does not forward CEF of another facility"));
    let o = judge(rule, &with_rule("*.* @@127.0.0.1:25226\n"));
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains("no security event (a login on a server)"), "{}", o.summary);
    let ama = Target { agent: AgentKind::Ama, agent_port: 28330, ..Target::default() };
    assert_eq!(judge_for(rule, &with_rule("*.* @@127.0.0.1:28330\n"), &ama).status, Status::Pass);
}

#[test]
fn the_wrong_place_fails_and_is_no_fault_of_the_rule() {
    for (from, to) in [
        ("25226", "25999"),
        ("protocol=\"tcp\"", "protocol=\"udp\""),
        ("tcp\" template", "tcp\" tcp_framing=\"octet-counted\" template"),
    ] {
        let facts = with_drop_in(&DROP_IN.replace(from, to));
        assert_eq!(judge_for(rule, &facts, &Target::default()).status, Status::Pass, "{to}");
        let o = judge_for(target, &facts, &Target::default());
        assert_eq!(o.status, Status::Fail, "{to}");
        assert!(o.evidence.iter().any(|e| e.source == "agent's port" && e.text == "25226, by the default"), "{o:?}");
    }
    let to_name = with_drop_in(&DROP_IN.replace("127.0.0.1", "localhost"));
    assert_eq!(judge(target, &to_name).status, Status::Pass);
    let remote = with_drop_in(&DROP_IN.replace("127.0.0.1", "192.0.2.9"));
    assert_eq!(judge(rule, &remote).status, Status::Fail);
    assert_eq!(judge(target, &remote).blocked_by, Some("forward.rule"));
}

#[test]
fn a_second_way_to_the_agent_warns() {
    let text = DROP_IN.replace("  stop\n", "");
    assert_eq!(judge(duplicate, &with_drop_in(&text)).status, Status::Pass);
    let mut facts = healthy();
    let twice = [
        ("/etc/rsyslog.conf", MAIN),
        (DROP_IN_PATH, text.as_str()),
        ("/etc/rsyslog.d/95-omsagent.conf", "local4.warning\t@127.0.0.1:25224\n"),
    ];
    set_config(&mut facts, &twice);
    let o = judge(duplicate, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains("stored twice"), "{}", o.summary);
    let twice = [
        ("/etc/rsyslog.conf", MAIN),
        (DROP_IN_PATH, text.as_str()),
        ("/etc/rsyslog.d/95-x.conf", "*.* @@127.0.0.1:25226\n"),
    ];
    set_config(&mut facts, &twice);
    let o = judge(duplicate, &facts);
    assert!(o.summary.contains("by 2 rules"), "{}", o.summary);
    assert_eq!(o.status, Status::Warn);
}

#[test]
fn a_local_copy_warns_unless_it_was_asked_for() {
    let mut facts = with_drop_in(&DROP_IN.replace("  stop\n", ""));
    let o = judge(local_copy, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.evidence.iter().any(|e| e.text == "writes to /var/log/syslog"), "{o:?}");
    facts.receipt = Ok(Some(ReceiptFacts { local_copy: Some("keep".into()), ..ReceiptFacts::default() }));
    assert_eq!(judge(local_copy, &facts).status, Status::Pass);
}

#[test]
fn what_does_not_come_to_the_rule_is_another_checks_fault() {
    let stopped = with_files(&[("/etc/rsyslog.d/10-s.conf", "*.* /var/log/all\n& stop\n")]);
    assert_eq!(judge(local_copy, &stopped).blocked_by, Some("listen.reachable"));
    let nobody = with_drop_in(&DROP_IN.replace("port=\"514\"", "port=\"5140\"").replace("  stop\n", ""));
    let o = judge(local_copy, &nobody);
    assert_eq!((o.status, o.blocked_by), (Status::Skip, None));
}

#[test]
fn a_filter_nobody_can_judge_is_unknown() {
    let facts = with_rule("if $!unknown!field == `echo $X` and $rawmsg contains \"CEF:\" then @@127.0.0.1:25226\n");
    assert_ne!(judge(rule, &facts).status, Status::Pass);
}
