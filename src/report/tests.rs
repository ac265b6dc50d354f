use super::*;

fn check(id: &str, status: Status) -> CheckResult {
    let group = id.split('.').next().unwrap_or(id).to_owned();
    CheckResult {
        id: id.into(),
        group,
        title: format!("title of {id}"),
        status,
        summary: format!("summary of {id}"),
        why: format!("why {id} matters"),
        evidence: vec![Evidence { source: "/etc/rsyslog.conf:3".into(), text: format!("seen by {id}") }],
        remedy: matches!(status, Status::Fail | Status::Warn).then(|| Remedy {
            summary: format!("mend {id}"),
            commands: vec!["systemctl restart rsyslog".into()],
            fixable: false,
            doc: "docs/checks.md".into(),
        }),
        blocked_by: None,
        duration_ms: 1,
        fixes: Vec::new(),
    }
}

fn report(checks: Vec<CheckResult>) -> Report {
    let host = HostInfo {
        hostname: "c1".into(),
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
    };
    let target = TargetInfo {
        ports: Vec::new(),
        tls_port: None,
        workspace: None,
        cloud: "public".into(),
        agent: "none".into(),
        agent_port: 25226,
        daemon: "rsyslog".into(),
        port: 514,
    };
    Report::new(host, target, "2026-08-01T10:00:00Z".into(), 12, checks)
}

#[test]
fn root_cause_is_the_first_failure_in_order() {
    let r = report(vec![
        check("host.disk", Status::Warn),
        check("listen.owner", Status::Fail),
        check("forward.rule", Status::Fail),
    ]);
    assert_eq!(r.root_cause.as_deref(), Some("listen.owner"));
    assert_eq!(r.verdict, Verdict::Broken);
    assert_eq!(r.counts, Counts { warn: 1, fail: 2, ..Counts::default() });
}

#[test]
fn exit_codes() {
    let of = |s: &[Status], deny| report(s.iter().map(|s| check("host.os", *s)).collect::<Vec<_>>()).exit_code(deny);
    assert_eq!(of(&[Status::Pass, Status::Skip], true), 0);
    assert_eq!(of(&[Status::Pass, Status::Warn], false), 0);
    assert_eq!(of(&[Status::Pass, Status::Warn], true), 3);
    assert_eq!(of(&[Status::Unknown], false), 0);
    assert_eq!(of(&[Status::Unknown], true), 3);
    assert_eq!(of(&[Status::Warn, Status::Fail], true), 1);
    assert_eq!(of(&[Status::Fail], false), 1);
}

#[test]
fn healthy_is_said_only_of_what_was_proven() {
    let verdict = |checks| report(checks).verdict;
    assert_eq!(verdict(vec![check("host.os", Status::Pass), check("probe.udp", Status::Skip)]), Verdict::Healthy);
    assert_eq!(verdict(vec![check("host.os", Status::Pass), check("probe.udp", Status::Unknown)]), Verdict::Degraded);
    assert_eq!(verdict(vec![check("probe.udp", Status::Skip)]), Verdict::Degraded);
    let mut held = check("probe.udp", Status::Skip);
    held.blocked_by = Some("daemon.running".into());
    let held_up = report(vec![check("host.os", Status::Pass), held]);
    assert_eq!(held_up.verdict, Verdict::Degraded);
    // and why, where no finding says it
    let text = text::render(&held_up, &TextOptions::default());
    assert!(text.contains("waits for daemon.running"), "{text}");
}

#[test]
fn json_is_one_object_with_the_documented_fields_in_order() {
    let text = json::render(&report(vec![check("host.disk", Status::Fail), check("host.os", Status::Pass)])).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&value),
        ["schema", "tool", "host", "started", "duration_ms", "target", "checks", "counts", "root_cause", "verdict"]
    );
    assert_eq!(keys(&value["tool"]), ["name", "version"]);
    assert_eq!(keys(&value["host"]), ["hostname", "os", "kernel", "arch"]);
    assert_eq!(keys(&value["target"]), ["workspace", "cloud", "agent", "agent_port", "daemon", "port"]);
    assert_eq!(keys(&value["counts"]), ["pass", "warn", "fail", "skip", "unknown"]);
    assert_eq!(
        keys(&value["checks"][0]),
        ["id", "group", "title", "status", "summary", "why", "evidence", "remedy", "blocked_by", "duration_ms"]
    );
    assert_eq!(keys(&value["checks"][0]["remedy"]), ["summary", "commands", "fixable", "doc"]);
    assert_eq!(value["schema"], 1);
    assert_eq!(value["checks"][0]["status"], "fail");
    assert_eq!(value["verdict"], "broken");
    assert!(value["checks"][1]["remedy"].is_null() && value["checks"][1]["blocked_by"].is_null());
    let back: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(back.counts.fail, 1);
}

#[test]
fn text_shows_evidence_reason_and_remedy_of_what_did_not_pass_and_ends_with_the_root_cause() {
    let r = report(vec![check("host.os", Status::Pass), check("listen.udp", Status::Fail)]);
    let text = text::render(&r, &TextOptions::default());
    for wanted in [
        "✗ fail",
        "/etc/rsyslog.conf:3: seen by listen.udp",
        "why listen.udp matters",
        "mend listen.udp",
        "explain listen.udp",
    ] {
        assert!(text.contains(wanted), "{wanted} not in\n{text}");
    }
    assert!(!text.contains("seen by host.os"), "{text}");
    let end = text.split("root cause: ").nth(1).unwrap();
    assert!(end.starts_with("listen.udp: summary of listen.udp"), "{end}");
    assert!(end.contains("what to do: mend listen.udp") && end.trim_end().ends_with("$ systemctl restart rsyslog"));
}

#[test]
fn text_keeps_to_the_width_and_is_plain_without_colour() {
    let mut c = check("forward.local-copy", Status::Warn);
    c.summary = "word ".repeat(60);
    let r = report(vec![c]);
    let plain = text::render(&r, &TextOptions::default());
    assert!(plain.lines().all(|l| console::measure_text_width(l) <= 80), "{plain}");
    assert!(!plain.contains('\u{1b}'));
    let coloured = text::render(&r, &TextOptions { color: true, ..TextOptions::default() });
    assert!(coloured.contains("\u{1b}[33m"));
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
    let ascii = text::render(&r, &TextOptions { unicode: false, ..TextOptions::default() });
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn short_text_leaves_out_what_passed_but_not_what_is_blocked() {
    let mut blocked = check("listen.udp", Status::Skip);
    blocked.blocked_by = Some("daemon.running".into());
    let r = report(vec![check("host.os", Status::Pass), check("daemon.running", Status::Fail), blocked]);
    let text = text::render(&r, &TextOptions { short: true, ..TextOptions::default() });
    assert!(!text.contains("host.os"), "{text}");
    assert!(text.contains("(1 of 1 good or not applicable)"), "{text}");
    assert!(text.contains("- skip") && text.contains("listen.udp"), "{text}");
}

#[test]
fn what_the_host_wrote_cannot_act_on_the_terminal() {
    assert_eq!(clean_bytes(b"a\x1b[31mred\xff\n\tb"), "a\\u{1b}[31mred\\xff\\n\\tb");
    assert_eq!(clean("\u{202e}txt.\u{9b}31m"), "\\u{202e}txt.\\u{9b}31m");
    let once = clean_bytes(b"\x07\xc3\x28\r");
    assert_eq!(clean(&once), once);
    let mut c = check("daemon.config", Status::Fail);
    c.evidence[0].text = "\u{1b}]0;owned\u{7}".into();
    c.remedy.as_mut().unwrap().commands = vec!["rm \u{1b}[2Jx".into()];
    let text = text::render(&report(vec![c]), &TextOptions::default());
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn words_for_the_shell_are_quoted_only_where_needed() {
    assert_eq!(shell_quote("/etc/rsyslog.d/60-cefctl.conf"), "/etc/rsyslog.d/60-cefctl.conf");
    assert_eq!(shell_quote("/etc/rsyslog.d/a b'c$(x).conf"), "'/etc/rsyslog.d/a b'\\''c$(x).conf'");
    assert_eq!(shell_quote(""), "''");
}

const NASTY: &str = "<script>alert(1)</script>\" onload='x' &amp; \u{1b}[31m\u{9b}31m\u{202e}\0]]>\u{ffff}";

/// A report in which every text that a host controls is hostile.
fn hostile() -> Report {
    let mut c = check("daemon.config", Status::Fail);
    c.summary = NASTY.into();
    c.evidence = vec![Evidence { source: NASTY.into(), text: NASTY.into() }];
    c.remedy.as_mut().unwrap().commands = vec![NASTY.into()];
    let mut unknown = check("host.os", Status::Unknown);
    unknown.summary = NASTY.into();
    let mut warned = check("host.disk", Status::Warn);
    warned.evidence[0].text = NASTY.into();
    let mut r = report(vec![unknown, warned, c]);
    r.host.hostname = NASTY.into();
    r.host.os = NASTY.into();
    r.target.workspace = Some(NASTY.into());
    r
}

fn no_control(page: &str) {
    assert!(page.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{page:?}");
}

#[test]
fn html_escapes_what_the_host_says_and_loads_nothing() {
    let page = html::render(&hostile()).unwrap();
    no_control(&page);
    assert!(!page.contains("<script") && !page.contains("onload='"), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    assert!(!page.contains("http://www.w3.org/1999") && !page.contains("src=") && !page.contains("url("));
    assert!(page.contains("default-src 'none'"));
    // every link stays on the page
    assert!(page.split("href=\"").skip(1).all(|link| link.starts_with('#')), "{page}");
}

#[test]
fn html_marks_the_broken_hop_and_no_other() {
    let mut held = check("probe.udp", Status::Skip);
    held.blocked_by = Some("forward.rule".into());
    let r = report(vec![
        check("host.disk", Status::Warn),
        check("listen.udp", Status::Pass),
        check("forward.rule", Status::Fail),
        check("agent.listening", Status::Fail),
        held,
    ]);
    let hops = hops::Hops::of(&r);
    let broken: Vec<_> = hops.way.iter().filter(|h| h.broken).map(|h| h.title.as_str()).collect();
    assert_eq!(broken, ["forward"]);
    assert_eq!((hops.machine.status, hops.way[1].status), (Some(Status::Warn), Some(Status::Pass)));
    assert_eq!((hops.way[0].status, hops.way[0].words.as_str()), (None, "not looked at"));
    let page = html::render(&r).unwrap();
    assert_eq!(page.matches("broken here</text>").count(), 1);
    // the way behind the broken hop is dashed
    assert_eq!(page.matches("class=\"way cut\"").count(), 2);
    assert!(page.contains("<details id=\"forward.rule\" class=\"fail root\" open>"), "{page}");
    assert!(page.contains("<details id=\"listen.udp\" class=\"pass\">"), "{page}");
}

#[test]
fn a_failing_probe_is_marked_although_it_is_no_hop() {
    let hops = hops::Hops::of(&report(vec![check("probe.udp", Status::Fail), check("new.group", Status::Fail)]));
    assert!(hops.probe.broken && !hops.machine.broken);
    assert_eq!(hops.machine.status, Some(Status::Fail), "a group that no hop knows counts for the machine");
}

#[test]
fn junit_is_one_case_a_check_and_agrees_with_the_exit_code() {
    let r = hostile();
    let page = junit::render(&r, false).unwrap();
    no_control(&page);
    assert!(page.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{page}");
    assert!(page.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{ffff}') && !page.contains("]]>"), "{page}");
    assert_eq!(page.matches("<testcase ").count(), 3);
    assert!(page.contains("<failure type=\"fail\""), "{page}");
    let strict = junit::render(&r, true).unwrap();
    assert!(strict.contains("tests=\"3\" failures=\"2\" errors=\"1\" skipped=\"0\""), "{strict}");
    assert!(strict.contains("<error type=\"unknown\"") && strict.contains("<failure type=\"warn\""), "{strict}");
}

#[test]
fn short_text_puts_quiet_groups_line_by_line() {
    let r = report(vec![
        check("host.os", Status::Pass),
        check("daemon.running", Status::Pass),
        check("listen.udp", Status::Warn),
    ]);
    let text = text::render(&r, &TextOptions { short: true, ..TextOptions::default() });
    assert!(
        text.contains("\n\nhost  (1 of 1 good or not applicable)\ndaemon  (1 of 1 good or not applicable)\n\nlisten\n"),
        "{text}"
    );
}
