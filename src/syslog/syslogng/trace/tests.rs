//! Tests of the way of an event. What the filters match was measured on the daemon (facts 6.3).

use super::*;
use crate::syslog::MapSource;
use std::path::Path;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";

/// Events by letter: CEF in RFC 3164 (R), with a blank (S), behind a program (A), without header (N), in RFC 5424 (5);
/// ASA (C), with a colon (D), without header (H); FTD (F); none of them (X).
const EVENTS: [(char, &str); 10] = [
    ('R', "<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|src=1.1.1.1"),
    ('S', "<164>Aug  1 10:00:00 fw1 CEF: 0|V|P|1|2|n|5|src=1.1.1.1"),
    ('A', "<164>Aug  1 10:00:00 fw1 app[12]: CEF:0|V|P|1|2|n|5|src=1.1.1.1"),
    ('N', "<164>CEF:0|V|P|1|2|n|5|src=1.1.1.1"),
    ('5', "<164>1 2026-08-01T10:00:00Z fw1 app 1 - - CEF:0|V|P|1|2|n|5|src=1.1.1.1"),
    ('C', "<164>Aug  1 10:00:00 fw1 %ASA-6-302013: Built"),
    ('D', "<164>Aug  1 2026 10:00:00 fw1 : %ASA-6-302013: Built"),
    ('H', "<164>%ASA-6-302013: Built"),
    ('F', "<164>Aug  1 10:00:00 fw1 %FTD-6-302013: Built"),
    ('X', "<164>Aug  1 10:00:00 NASA-1 sshd[7]: accepted"),
];

fn load(text: &str) -> Effective {
    Effective::load(Path::new(MAIN), &MapSource::new().with(MAIN, format!("@version: 3.38\n{text}\n")))
}

/// Letters of the events that reach `d`, those that perhaps do with a question mark.
fn reached(config: &Effective) -> String {
    let s = Ref::Named("s".into());
    let SourceKind::Listener(listener) = &config.source(&s).unwrap().drivers[0].kind else { panic!() };
    let mut out = String::new();
    for (letter, raw) in EVENTS {
        let event = config.event_at(listener, raw.as_bytes());
        match config.trace(&event, &s).reaches(&Ref::Named("d".into())) {
            Some(true) => out.push(letter),
            None => out.extend([letter, '?']),
            Some(false) => {}
        }
    }
    out
}

fn through(filter: &str) -> String {
    let config = load(&format!(
        "source s {{ udp(flags(store-raw-message) keep-hostname(yes)); }};\ndestination d {{ tcp(\"127.0.0.1\" port(25226)); }};\n\
         filter f {{ {filter}; }};\nlog {{ source(s); filter(f); destination(d); }};"
    ));
    assert_eq!(config.problems.len(), 0, "{:?}", config.problems);
    reached(&config)
}

#[test]
fn what_filters_match() {
    assert_eq!(through(r#"match("CEF\|ASA")"#), "RSAN5CDH");
    assert_eq!(through(r#"match('CEF\|ASA')"#), "");
    assert_eq!(through(r#"program("CEF")"#), "RSN");
    assert_eq!(through(r#"message("CEF:")"#), "A5");
    assert_eq!(through(r#"match("CEF:" value("MSGHDR"))"#), "RSN");
    let both = r#"match("CEF:|%(ASA|FTD)-" value("MSGHDR")) or match("CEF:|%(ASA|FTD)-" value("MESSAGE"))"#;
    assert_eq!(through(both), "RSAN5CDHF");
    assert_eq!(through(r#"match("CEF:|%(ASA|FTD)-" value("RAWMSG"))"#), "RSAN5CDHF");
}

#[test]
fn other_filters() {
    assert_eq!(through("facility(local4) and level(warn)"), "RSAN5CDHFX");
    assert_eq!(through("not facility(auth, local0..local7)"), "");
    assert_eq!(through("level(info..emerg); host(\"NASA\")"), "X");
    assert_eq!(
        through("host(\"nasa-1\" flags(ignore-case)) or host(\"fw\" type(string) flags(prefix)) and program(app)"),
        "AX"
    );
    assert_eq!(through("\"$PROGRAM\" eq \"sshd\" and \"$PID\" == \"7\" and \"$PID\" < \"10\""), "X");
    assert_eq!(through("netmask(127.0.0.0/8) and (program(sshd) or program(zzz))"), "X");
    assert_eq!(through("netmask(10.0.0.0/255.0.0.0)"), "");
    assert_eq!(through("match(\"sshd7\" template(\"$PROGRAM$PID\"))"), "X");
    assert_eq!(through("in-list(\"/x\" value(\"HOST\")) and program(sshd)"), "X?");
    assert_eq!(through("match('(?<!x)sshd' value(PROGRAM))"), "X");
}

fn paths(logs: &str) -> String {
    let config = load(&format!(
        "source s {{ udp(); }};\nsource other {{ internal(); }};\ndestination d {{ file(\"/d\"); }};\n\
         destination e {{ file(\"/e\"); }};\nfilter x {{ program(sshd); }};\nfilter odd {{ in-list(\"/l\" value(HOST)); }};\n{logs}"
    ));
    assert_eq!(config.problems.len(), 0, "{:?}", config.problems);
    reached(&config)
}

#[test]
fn flags_of_paths() {
    let to_d = "log { source(s); destination(d); };";
    assert_eq!(paths(&format!("log {{ source(s); filter(x); destination(e); flags(final); }};\n{to_d}")), "RSAN5CDHF");
    assert_eq!(paths(&format!("log {{ source(other); destination(e); flags(final); }};\n{to_d}")), "RSAN5CDHFX");
    assert_eq!(paths(&format!("log {{ source(s); filter(odd); flags(final); }};\n{to_d}")), "R?S?A?N?5?C?D?H?F?X?");
    assert_eq!(
        paths("log { source(s); filter(x); destination(e); };\nlog { source(s); destination(d); flags(fallback); };"),
        "RSAN5CDHF"
    );
    assert_eq!(
        paths("log { source(s); destination(d); flags(fallback); };\nlog { source(s); filter(x); destination(e); };"),
        "RSAN5CDHF"
    );
    assert_eq!(paths("log { destination(d); flags(catchall); };"), "RSAN5CDHFX");
    assert_eq!(paths("log { source(other); destination(d); };"), "");
}

#[test]
fn branches() {
    assert_eq!(paths("log { source(s); log { filter(x); destination(d); }; };"), "X");
    let two = "junction { channel { filter(x); flags(final); }; channel { program(CEF); }; };";
    let two = two.replace("program(CEF)", "filter { program(CEF); }");
    assert_eq!(paths(&format!("log {{ source(s); {two} destination(d); }};")), "RSNX");
    let chain = "if (filter(x)) { destination(e); } elif (program(CEF)) { destination(d); } else { filter { level(debug); }; };";
    assert_eq!(paths(&format!("log {{ source(s); {chain} }};")), "RSN");
    assert_eq!(
        paths(
            "log { source(s); if (filter(x)) { rewrite { set(\"y\" value(PROGRAM)); }; }; filter { program(y); }; destination(d); };"
        ),
        "X"
    );
    assert_eq!(
        paths("log { source(s); if { filter(x); } else { filter { program(CEF); }; }; destination(d); };"),
        "RSNX"
    );
    assert_eq!(
        paths("log { source(s); parser { csv-parser(columns(\"a\")); }; destination(d); };"),
        "R?S?A?N?5?C?D?H?F?X?"
    );
}

#[test]
fn why_not() {
    let config = load(
        "source s { udp(); };\ndestination d { file(\"/d\"); };\nfilter x { program(sshd); };\n\
         log { source(s); filter(x); flags(final); };\nlog { source(s); filter { program(CEF); }; destination(d); };\n\
         log { source(s); filter(x); destination(d); };",
    );
    let s = Ref::Named("s".into());
    let reach = |i: usize, d: &str| {
        let event = SampleEvent::read(EVENTS[i].1.as_bytes(), &Origin::default(), Format::Rfc3164);
        config.reach(&event, &s, &Ref::Named(d.into()))
    };
    assert_eq!(reach(0, "d"), Reach::Yes);
    assert_eq!(reach(5, "d"), Reach::Filtered);
    assert_eq!(reach(0, "nowhere"), Reach::NoPath);
    assert!(matches!(reach(9, "d"), Reach::Stopped(at) if at.line == 5));
}

#[test]
fn what_is_sent() {
    let config = load(
        r#"source s { network(transport("udp") flags(no-parse)); };
template t "<$PRI>$MESSAGE\n";
destination d { tcp("127.0.0.1" port(25226) template(t)); };
rewrite r { subst('^<([0-9]+)>(.*)$' '$2=$1' value("MESSAGE")); subst("a" "b" value("MESSAGE") type(string) flags(substring,global)); };
log { source(s); rewrite(r); destination(d); };"#,
    );
    let s = Ref::Named("s".into());
    let SourceKind::Listener(listener) = &config.source(&s).unwrap().drivers[0].kind else { panic!() };
    let trace = config.trace(&config.event_at(listener, b"<164>aXa\n"), &s);
    assert_eq!(trace.visits[0].lines, [Some(Text::from("<13>bXb=164\n"))]);
}
