//! Which filter takes what, which `stop` stands in the way: the table of facts 5.3, the rules that earlier installers
//! wrote, and the rule that rebuilds headers, all as seen with rsyslogd 8.2302.

use std::path::Path;

use super::*;
use crate::syslog::MapSource;
use crate::syslog::rsyslog::effective::{ActionKind, Transport};
use crate::syslog::rsyslog::query::Reach;

/// R: RFC 3164, S: blank behind `CEF:`, A: as text of a program, N: no header, 5: RFC 5424, C: ASA, D: ASA with ` : `,
/// H: ASA without header, F: FTD, X: neither.
const EVENTS: [(char, &str); 10] = [
    ('R', "<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1"),
    ('S', "<164>Aug  1 10:00:00 fw1 CEF: 0|V|P|1|100|N|5|src=1.1.1.1"),
    ('A', "<164>Aug  1 10:00:00 fw1 app[12]: CEF:0|V|P|1|100|N|5|src=1.1.1.1"),
    ('N', "<164>CEF:0|V|P|1|100|N|5|src=1.1.1.1"),
    ('5', "<164>1 2026-08-01T10:00:00.123Z fw1 app 1 - - CEF:0|V|P|1|100|N|5|src=1.1.1.1"),
    ('C', "<164>Aug  1 10:00:00 fw1 %ASA-6-302013: Built outbound TCP connection"),
    ('D', "<164>Aug  1 10:00:00 fw1 : %ASA-6-302013: Built outbound TCP connection"),
    ('H', "<164>%ASA-6-302013: Built outbound TCP connection"),
    ('F', "<164>Aug  1 10:00:00 fw1 %FTD-6-302013: Built outbound TCP connection"),
    ('X', "<86>Aug  1 10:00:00 host sshd[1]: NASA-1 something"),
];

fn load(config: &str) -> Effective {
    Effective::load(Path::new("/etc/rsyslog.conf"), &MapSource::new().with("/etc/rsyslog.conf", config))
}

/// The events that reach a forward.
fn forwarded(config: &str) -> String {
    let e = load(config);
    let reaches = |raw: &str| {
        let trace = e.trace(&SampleEvent::parse(raw.as_bytes()), &e.default_ruleset);
        assert!(trace.visits.iter().all(|v| !v.maybe));
        e.forwards().any(|(a, _)| trace.reaches(a.id) == Some(true))
    };
    EVENTS.iter().filter(|(_, raw)| reaches(raw)).map(|(name, _)| *name).collect()
}

#[test]
fn filters_of_facts_5_3() {
    for (filter, expected) in [
        (r#"if $rawmsg contains "CEF:" then"#, "RSAN5"),
        (r#":rawmsg, contains, "CEF:""#, "RSAN5"),
        (r#"if $msg contains "CEF:" then"#, "A5"),
        (r#":msg, contains, "CEF:""#, "A5"),
        (r#"if $syslogtag contains "CEF:" then"#, "RSN"),
        (r#"if $programname == "CEF" then"#, "RSN"),
        (r#":rawmsg, regex, "CEF:\|ASA-""#, ""),
        (r#":rawmsg, regex, "CEF:\\|ASA-""#, "RSAN5CDHX"),
        (r#":rawmsg, ereregex, "CEF:|%ASA-|%FTD-""#, "RSAN5CDHF"),
        (r#"if re_match($rawmsg, "CEF:|%(ASA|FTD)-") then"#, "RSAN5CDHF"),
        (r#":programname, startswith, "%ASA-""#, "CH"),
        (r#":msg, contains, "%ASA-""#, "D"),
        (r#":msg, !contains, "%ASA-""#, "RSAN5CHFX"),
        ("local4.=warning", "RSAN5CDHF"),
        ("authpriv.*", "X"),
    ] {
        assert_eq!(forwarded(&format!("{filter} @@127.0.0.1:25226\n")), expected, "{filter}");
    }
}

#[test]
fn rules_that_earlier_installers_wrote() {
    let original = "\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";
    assert_eq!(forwarded(original), "RSAN5CDHX");
    // The first documented rule drops what matches and forwards the rest; the expression matches nothing.
    let of_2019 = ":rawmsg, regex, \"CEF\\|ASA\" ~\n*.* @@127.0.0.1:25226\n";
    assert_eq!(forwarded(of_2019), "RSAN5CDHFX");
    // Its first correction put the quotes in the wrong place: a pipe named "ASA" gets what has CEF, the rest is the same.
    let corrected = ":rawmsg, regex, \"CEF\"|\"ASA\"\n*.* @@127.0.0.1:25226\n";
    assert_eq!(load(corrected).actions[0].kind, ActionKind::Pipe("\"ASA\"".into()));
    assert_eq!(forwarded(corrected), "RSAN5CDHFX");
}

const REBUILDING: &str = include_str!("../../../../fixtures/rsyslog/rebuilding-rule.conf");

#[test]
fn headers_are_rebuilt_where_needed() {
    let e = load(REBUILDING);
    assert_eq!(e.problems, []);
    let line = |raw: &str| {
        let event = SampleEvent::parse(raw.as_bytes());
        let mut env = Env::new(&e, &event);
        let mut run = Run {
            copies: 0,
            config: &e,
            trace: Trace::default(),
            via: Vec::new(),
            maybe: false,
            calls: 0,
            taken: 0,
            ignore_stops: false,
        };
        run.ruleset(e.ruleset(&Text::from("cefcol_in")).unwrap(), &mut env);
        assert!(run.trace.visits.iter().all(|v| !v.maybe), "{raw}");
        let sent = run.trace.visits.iter().any(|v| e.actions[v.action].module == "omfwd");
        sent.then(|| env.value(&Text::from(".cefcol_line")).text().map(|t| String::from_utf8(t).unwrap()))
    };
    let good = "<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1";
    assert_eq!(line(good), Some(Some(good.to_owned())));
    assert_eq!(
        line("<164>2026-08-01T10:00:00Z fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1"),
        Some(Some("<164>2026-08-01T10:00:00.000Z fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1".to_owned()))
    );
    // Without a time in the event the one of reception is used, which is not known here.
    assert_eq!(line("<164>CEF:0|V|P|1|100|N|5|src=1.1.1.1"), Some(None));
    assert_eq!(line("<86>Aug  1 10:00:00 host sshd[1]: NASA-1 something"), None);
}

#[test]
fn what_stands_in_the_way() {
    let e = load(
        "module(load=\"imudp\") module(load=\"imtcp\")\n\
         input(type=\"imudp\" port=\"514\")\n\
         input(type=\"imtcp\" port=\"514\" ruleset=\"remote\")\n\
         ruleset(name=\"remote\") { action(type=\"omfile\" file=\"/remote\") }\n\
         if $rawmsg contains \"fw1\" then {\n  /var/log/fw\n  stop\n}\n\
         if $rawmsg contains \"CEF:\" then @@127.0.0.1:25226\n\
         *.* /var/log/all\n",
    );
    assert_eq!(e.problems, []);
    let udp = e.listeners_on(514, Transport::Udp)[0];
    let tcp = e.listeners_on(514, Transport::Tcp)[0];
    let (forward, _) = e.forwards_to(25226)[0];
    let event = e.event_at(udp, b"<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1");
    let other = e.event_at(udp, b"<164>Aug  1 10:00:00 fw2 CEF:0|V|P|1|100|N|5|src=1.1.1.1");
    match e.reach(udp, &event, forward.id) {
        Reach::Stopped { stop } => assert_eq!(stop.at.to_string(), "/etc/rsyslog.conf:7"),
        other => panic!("{other:?}"),
    }
    assert_eq!(e.reach(udp, &other, forward.id), Reach::Yes);
    let missed = Reach::OtherRuleset { listener: "remote".into(), action: "RSYSLOG_DefaultRuleset".into() };
    assert_eq!(e.reach(tcp, &other, forward.id), missed);
    let plain = e.event_at(udp, b"<13>Aug  1 10:00:00 fw2 app: hello");
    match e.reach(udp, &plain, forward.id) {
        Reach::Filtered { at: Some(at) } => assert_eq!(at.line, 9),
        other => panic!("{other:?}"),
    }
    let trace = e.trace_from(&other, udp);
    let (before, after) = trace.others(forward.id);
    assert_eq!((before.len(), after.len()), (0, 1));
}

#[test]
fn what_cannot_be_known_is_marked() {
    let e = load(
        "if lookup(\"t\", $hostname) == \"x\" then { /a\n stop }\nelse /b\n\
         set $.x = getenv(\"HOME\");\nif $.x == \"/root\" then /c\n*.* /d\n",
    );
    let trace = e.trace(&SampleEvent::parse(b"<13>Aug  1 10:00:00 h t: m"), &e.default_ruleset);
    let seen: Vec<_> = trace.visits.iter().map(|v| (v.action, v.maybe)).collect();
    assert_eq!(seen, [(0, true), (1, true), (2, true), (3, true)]);
    assert!(trace.stops[0].maybe);
}

#[test]
fn calls_with_and_without_a_queue() {
    let config = |queue: &str| {
        format!("ruleset(name=\"sub\"{queue}) {{ action(type=\"omfile\" file=\"/a\") stop }}\ncall sub\n*.* /b\n")
    };
    let reached = |config: &str| {
        let e = load(config);
        let trace = e.trace(&SampleEvent::parse(b"<13>Aug  1 10:00:00 h t: m"), &e.default_ruleset);
        trace.visits.iter().map(|v| v.action).collect::<Vec<_>>()
    };
    // A stop in a called ruleset stops the caller too, unless the ruleset has a queue of its own.
    assert_eq!(reached(&config("")), [0]);
    assert_eq!(reached(&config(" queue.type=\"LinkedList\"")), [0, 1]);
}

#[test]
fn circles_end() {
    let e = load("ruleset(name=\"loop\") { call loop call loop }\ncall loop\n*.* /b\n");
    let trace = e.trace(&SampleEvent::parse(b"<13>x"), &e.default_ruleset);
    assert!(trace.cut_short);
}
