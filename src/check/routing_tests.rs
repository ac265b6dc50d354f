use super::*;
use crate::check::facts::Facts;
use crate::check::fixture::*;
use crate::report::Status;

const PATH_10: &str = "/etc/rsyslog.d/10-user.conf";

fn with(from: &str, to: &str) -> Facts {
    assert!(DROP_IN.contains(from), "{from}");
    with_drop_in(&DROP_IN.replace(from, to))
}

#[test]
fn a_healthy_box_passes() {
    for check in [duplicate, reachable] {
        let o = judge(check, &healthy());
        assert_eq!(o.status, Status::Pass, "{o:?}");
    }
    assert_eq!(judge(reachable, &healthy()).summary, "what arrives at udp/514 and tcp/514 comes to the forward rule");
}

#[test]
fn a_listener_with_another_ruleset_does_not_reach_the_rule() {
    let mut facts = with_drop_in(&format!(
        "ruleset(name=\"remote\") {{ action(type=\"omfile\" file=\"/var/log/remote\") }}\n{}",
        DROP_IN.replace("port=\"514\"", "port=\"514\" ruleset=\"remote\"")
    ));
    let o = judge(reachable, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("bound to ruleset remote, the rule stands in RSYSLOG_DefaultRuleset"), "{}", o.summary);
    // A call hands the events over.
    let text = String::from_utf8(facts.rsyslog.config.files[DROP_IN_PATH].content.as_ref().unwrap().0.clone()).unwrap();
    let text = text.replace("file=\"/var/log/remote\") }", "file=\"/var/log/remote\") call RSYSLOG_DefaultRuleset }");
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, &text)]);
    assert_eq!(judge(reachable, &facts).status, Status::Pass);
}

#[test]
fn only_one_transport_reaches_the_rule() {
    let text = format!(
        "ruleset(name=\"tcponly\") {{ action(type=\"omfile\" file=\"/var/log/tcp\") }}\n{}",
        DROP_IN.replace("input(type=\"imtcp\" port=\"514\"", "input(type=\"imtcp\" port=\"514\" ruleset=\"tcponly\"")
    );
    let o = judge(reachable, &with_drop_in(&text));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.starts_with("what arrives on tcp/514 does not come to the forward rule"), "{}", o.summary);
}

#[test]
fn an_earlier_stop_is_named_with_its_place() {
    for rule in ["local4.* stop\n", "if $rawmsg contains \"fw1\" then stop\n", ":hostname, isequal, \"fw1\" ~\n"] {
        let o = judge(reachable, &with_files(&[(PATH_10, &format!("# one\n{rule}"))]));
        assert_eq!(o.status, Status::Fail, "{rule}");
        assert!(o.summary.contains(&format!("stopped at {PATH_10}:2")), "{}", o.summary);
    }
    let o = judge(reachable, &with_files(&[(PATH_10, "if $rawmsg contains \"%ASA-\" then stop\n")]));
    assert!(o.summary.starts_with("ASA and ASA behind a colon on udp/514 and tcp/514"), "{}", o.summary);
    // It takes what other devices send than that of the samples.
    for rule in [":fromhost-ip, startswith, \"10.\" /var/log/fw\n& stop\n", "local0.* stop\n"] {
        let o = judge(reachable, &with_files(&[(PATH_10, rule)]));
        assert_eq!(o.status, Status::Warn, "{rule}");
        assert!(o.summary.contains(&format!("the rule at {PATH_10}:1 takes it for good")), "{}", o.summary);
    }
    // A stop for something else is nobody's concern.
    assert_eq!(
        judge(reachable, &with_files(&[(PATH_10, ":programname, isequal, \"cron\" stop\n")])).status,
        Status::Pass
    );
    // Nor is one behind the rule.
    assert_eq!(judge(reachable, &with_files(&[("/etc/rsyslog.d/90-x.conf", "*.* stop\n")])).status, Status::Pass);
}

#[test]
fn a_missing_rule_or_listener_is_another_checks_fault() {
    let o = judge(reachable, &with("action(type=\"omfwd\"", "action(type=\"omfwd\" config.enabled=\"off\""));
    assert_eq!(o.blocked_by, Some("forward.rule"));
    let o = judge(reachable, &with("re_match($rawmsg, \"CEF", "re_match($rawmsg, \"XEF"));
    assert_eq!(o.status, Status::Pass, "what the filter does match comes through: {o:?}");
    let o = judge(reachable, &with_drop_in(&DROP_IN.replace("port=\"514\"", "port=\"5140\"")));
    assert_eq!((o.status, o.blocked_by), (Status::Skip, None));
}

#[test]
fn of_two_udp_listeners_the_last_one_gets_the_traffic() {
    let other = "module(load=\"imudp\")\nruleset(name=\"r\") { action(type=\"omfile\" file=\"/var/log/r\") }\ninput(type=\"imudp\" port=\"514\" ruleset=\"r\")\n";
    let o = judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-user.conf", other)]));
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("the one at /etc/rsyslog.d/90-user.conf:3 gets the traffic"), "{}", o.summary);
    // The collector's own listener is opened last: the other one starves, the events arrive.
    assert_eq!(judge(duplicate, &with_files(&[(PATH_10, other)])).status, Status::Warn);
    let same = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n";
    assert_eq!(judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-user.conf", same)])).status, Status::Warn);
}

#[test]
fn of_two_tcp_listeners_the_first_one_is_opened() {
    let other = "module(load=\"imtcp\")\nruleset(name=\"r\") { action(type=\"omfile\" file=\"/var/log/r\") }\ninput(type=\"imtcp\" port=\"514\" ruleset=\"r\")\n";
    assert_eq!(judge(duplicate, &with_files(&[(PATH_10, other)])).status, Status::Fail);
    assert_eq!(judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-user.conf", other)])).status, Status::Warn);
}

#[test]
fn different_ports_or_addresses_are_no_double() {
    for input in ["port=\"515\"", "port=\"514\" address=\"192.0.2.5\""] {
        let other = format!("module(load=\"imudp\")\ninput(type=\"imudp\" {input})\n");
        assert_eq!(
            judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-user.conf", &other)])).status,
            Status::Pass,
            "{input}"
        );
    }
}

#[test]
fn a_listener_on_one_address_takes_that_addresss_traffic_away() {
    let other = |ruleset: &str| {
        let input = format!("input(type=\"imudp\" port=\"514\" address=\"192.0.2.5\" ruleset=\"{ruleset}\")\n");
        with_files(&[(
            PATH_10,
            &format!(
                "module(load=\"imudp\")\nruleset(name=\"r\") {{ action(type=\"omfile\" file=\"/var/log/r\") }}\n{input}"
            ),
        )])
    };
    let o = judge(duplicate, &other("r"));
    assert_eq!(o.status, Status::Warn);
    assert!(
        o.summary.contains("sent to 192.0.2.5 goes to the listener at /etc/rsyslog.d/10-user.conf:3"),
        "{}",
        o.summary
    );
    assert_eq!(judge(duplicate, &other("RSYSLOG_DefaultRuleset")).status, Status::Pass);
}
