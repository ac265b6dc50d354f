//! Tests of the drop-in: what it says, and, with the evaluator in the daemon's place, what it makes of lines.

use std::path::Path;

use super::*;
use crate::agent::accept::{Damage, Verdict, judge};
use crate::message::base64;
use crate::syslog::MapSource;
use crate::syslog::syslogng::effective::{DestKind, ReadSetting};
use crate::syslog::syslogng::lint;
use crate::syslog::syslogng::trace::Trace;
use proptest::prelude::*;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";
const DROP_IN: &str = "/etc/syslog-ng/conf.d/cefctl.conf";

/// A small configuration of the shape distributions ship.
const BASE: &str = "options { keep_hostname(no); };\nsource s_src { system(); internal(); };\n\
    destination d_syslog { file(\"/var/log/syslog\"); };\nlog { source(s_src); destination(d_syslog); };\n";

fn program(version: &str) -> Program {
    let modules = if version == "3.5.6" { "" } else { "Available-Modules: afsocket,disk-buffer\n" };
    let text = format!("syslog-ng {version}\nInstaller-Version: {version}\n{modules}");
    Program::parse(text.as_bytes()).unwrap()
}

fn tree(version: &str, base: &str) -> MapSource {
    let language = Version::parse(version).unwrap().language();
    MapSource::new()
        .with(MAIN, format!("@version: {language}\n{base}@include \"/etc/syslog-ng/conf.d/*.conf\"\n"))
        .with("/etc/syslog-ng/conf.d/.keep", "")
}

fn load(tree: &MapSource, version: &str) -> Effective {
    let setting = ReadSetting { program: Version::parse(version), ..ReadSetting::usual(Path::new(MAIN)) };
    Effective::load_with(Path::new(MAIN), tree, setting)
}

/// The drop-in, and the configuration with it.
fn rendered(version: &str, base: &str, wanted: &Wanted) -> (DropIn, Effective) {
    let mut tree = tree(version, base);
    let made = render(&load(&tree, version), &program(version), wanted).unwrap();
    assert_eq!(made.path, Path::new(DROP_IN));
    tree.insert(DROP_IN, made.text.clone());
    let config = load(&tree, version);
    assert_eq!(lint::fatal(&config), [], "{version}\n{}", made.text);
    assert_eq!(
        config.problems.iter().filter(|p| p.topic != super::super::Topic::IncludeEmpty).count(),
        0,
        "{:?}",
        config.problems
    );
    (made, config)
}

fn trace(config: &Effective, source: &str, raw: &[u8]) -> Trace {
    let r = Ref::Named(source.into());
    let listener =
        config.listeners().into_iter().find(|l| l.source.name == Some(source.into())).unwrap().listener.clone();
    config.trace(&config.event_at(&listener, raw), &r)
}

/// What our destination sends for a line that our source receives.
fn sent(config: &Effective, source: &str, raw: &[u8]) -> Option<Vec<u8>> {
    let trace = trace(config, source, raw);
    let ours = trace.visits.iter().find(|v| v.destination == Ref::Named("d_cefctl".into()))?;
    assert!(!ours.maybe);
    let line = ours.lines[0].clone().unwrap().0;
    Some(line.strip_suffix(b"\n").unwrap().to_vec())
}

#[test]
fn the_text_for_three_versions() {
    let wanted =
        Wanted { banner: vec!["cefctl test".into(), "a `tick`".into()], stack: Stack::Dual, ..Wanted::default() };
    for version in ["3.28.1", "3.38.1", "4.9.0"] {
        let (made, _) = rendered(version, BASE, &wanted);
        // The patterns have tests of their own.
        let text: Vec<&str> = made.text.lines().filter(|l| !l.starts_with("filter ")).collect();
        insta::assert_snapshot!(format!("drop-in-{version}"), text.join("\n"));
        assert!(made.reliable && made.include.is_none() && made.notes.is_empty(), "{made:?}");
    }
}

#[test]
fn every_version_gets_what_it_knows() {
    for version in
        ["3.5.6", "3.13.2", "3.23.1", "3.31.2", "3.32.0", "3.35.1", "4.1.0", "4.2.0", "4.8.1", "4.9.0", "4.11.0"]
    {
        let (made, config) = rendered(version, BASE, &Wanted::default());
        let v = Version::parse(version).unwrap();
        assert_eq!(made.text.contains(" time-reopen(5) "), v.has_own_time_reopen(), "{version}");
        assert_eq!(made.text.contains("options {"), !v.has_own_time_reopen(), "{version}");
        assert_eq!(made.text.contains("disk-buffer("), version != "3.5.6", "{version}");
        assert_eq!(made.text.contains("capacity-bytes("), v.has_capacity_bytes(), "{version}");
        assert_eq!(made.text.contains("\"auto\""), v.has_auto_framing(), "{version}");
        assert_eq!(made.listeners.iter().any(|l| l.port == 601), !v.has_auto_framing(), "{version}");
        assert!(!made.text.contains("@version") && !made.text.contains("disk-buffer(dir"));
        assert_eq!(config.forwards_to(25226)[0].1.time_reopen, 5, "{version}");
        assert_eq!(lint::limits(&config, 514), []);
    }
    assert_eq!(
        render(&load(&tree("3.4.0", BASE), "3.4.0"), &program("3.4.0"), &Wanted::default()),
        Err(RenderError::TooOld(Version::new(3, 4, 0)))
    );
}

#[test]
fn without_octet_counting() {
    for version in ["3.38.1", "4.11.0"] {
        let (made, _) = rendered(version, BASE, &Wanted { octet_counting: false, ..Wanted::default() });
        assert_eq!(made.listeners.len(), 2);
        assert!(!made.text.contains("auto") && !made.text.contains("syslog(transport"));
    }
}

#[test]
fn all_tcp_senders_count() {
    let (made, _) = rendered("3.38.1", BASE, &Wanted { counted_port: Some(514), ..Wanted::default() });
    let tcp: Vec<_> = made.listeners.iter().filter(|l| l.transport == Transport::Tcp).collect();
    assert_eq!(tcp, [&OwnListener { transport: Transport::Tcp, port: 514, counted: true }]);
    // A listener that is there stays what it is.
    let base = format!("{BASE}source s_net {{ tcp(port(514)); }};\nlog {{ source(s_net); destination(d_syslog); }};\n");
    let (made, _) = rendered("3.38.1", &base, &Wanted { counted_port: Some(514), ..Wanted::default() });
    assert_eq!((made.listeners.len(), made.reused.len()), (1, 1));
    // Later versions tell the framings apart themselves.
    let (made, _) = rendered("4.9.0", BASE, &Wanted { counted_port: Some(514), ..Wanted::default() });
    assert!(made.listeners.iter().all(|l| !l.counted) && made.text.contains("\"auto\""));
}

#[test]
fn what_the_user_set_is_left_alone() {
    let base = format!("options {{ time_reopen(30); }};\n{BASE}");
    let (made, _) = rendered("3.28.1", &base, &Wanted::default());
    assert!(!made.text.contains("time-reopen"));
    let taken = format!("{BASE}filter f_cefctl_event {{ level(err); }};\n");
    let (made, _) = rendered("3.28.1", &taken, &Wanted::default());
    assert!(made.text.contains("source s_cefctl2 {") && !made.text.contains("s_cefctl "));
}

#[test]
fn the_main_file_may_lack_the_include() {
    let tree = MapSource::new().with(MAIN, format!("@version: 3.38\n{BASE}"));
    let made = render(&load(&tree, "3.38.1"), &program("3.38.1"), &Wanted::default()).unwrap();
    assert_eq!(made.include.as_deref(), Some("@include \"/etc/syslog-ng/conf.d/cefctl.conf\"\n"));
}

#[test]
fn a_listener_that_is_there_is_used() {
    let base = format!(
        "{BASE}source s_net {{ udp(); tcp(port(514) max-connections(50)); }};\nlog {{ source(s_net); destination(d_syslog); }};\n"
    );
    let (made, config) = rendered("3.38.1", &base, &Wanted::default());
    assert_eq!(made.listeners, []);
    let reused: Vec<_> = made
        .reused
        .iter()
        .map(|r| (r.source.clone().unwrap_or_default().to_string(), r.transport, r.at.line))
        .collect();
    assert_eq!(reused, [("s_net".to_owned(), Transport::Udp, 6), ("s_net".to_owned(), Transport::Tcp, 6)]);
    assert!(made.notes.iter().any(|n| n.contains("keep-hostname(no)")), "{:?}", made.notes);
    assert!(!made.text.contains("flow-control"), "{}", made.text);
    // What went to the user's file still does.
    let line = b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|src=192.0.2.1";
    let visits = trace(&config, "s_net", line).visits;
    let names: Vec<_> = visits.iter().map(|v| v.destination.clone()).collect();
    assert_eq!(names, [Ref::Named("d_syslog".into()), Ref::Named("d_cefctl".into())]);
    // Only half of it is there.
    let base = format!("{BASE}source s_net {{ udp(); }};\nlog {{ source(s_net); destination(d_syslog); }};\n");
    let (made, _) = rendered("3.38.1", &base, &Wanted::default());
    assert_eq!(
        made.listeners.iter().map(|l| (l.transport, l.port)).collect::<Vec<_>>(),
        [(Transport::Tcp, 514), (Transport::Tcp, 601)]
    );
    // A source in no log path is never opened.
    let unused = format!("{BASE}source s_net {{ udp(); tcp(); }};\n");
    assert_eq!(rendered("3.38.1", &unused, &Wanted::default()).0.reused, []);
    // One within a branch cannot be used.
    let inline = "log { junction { channel { source { udp(); }; }; }; };\n";
    let inline = load(&tree("3.38.1", inline), "3.38.1");
    assert!(matches!(render(&inline, &program("3.38.1"), &Wanted::default()), Err(RenderError::NoName { .. })));
}

/// A parsed source gives the event back as well as its options allow.
#[test]
fn lines_of_a_source_that_parses() {
    let with = |options: &str| {
        let base = format!(
            "{BASE}source s_net {{ udp({options}); tcp({options}); }};\nlog {{ source(s_net); destination(d_syslog); }};\n"
        );
        rendered("3.38.1", &base, &Wanted::default()).1
    };
    let text =
        |config: &Effective, raw: &str| String::from_utf8(sent(config, "s_net", raw.as_bytes()).unwrap()).unwrap();
    let cef = "CEF:0|V|P|1|2|n|5|src=192.0.2.1";
    let parsed = with("keep-hostname(yes)");
    assert_eq!(
        text(&parsed, &format!("<134>Aug  1 10:00:00 fw1 {cef}")),
        format!("<134>2026-01-01T00:00:00+00:00 fw1 {cef}")
    );
    // RFC 5424 behind a driver for RFC 3164: the header is in the text, and is found there.
    let modern = format!("<134>1 2026-08-01T10:00:00Z fw1 app 1 - - {cef}");
    assert_eq!(text(&parsed, &modern), format!("<134>2026-08-01T10:00:00.000Z fw1 {cef}"));
    assert_eq!(
        text(&with(""), &format!("<134>Aug  1 10:00:00 fw1 {cef}")),
        format!("<134>2026-01-01T00:00:00+00:00 127.0.0.1 {cef}")
    );
    for whole in ["flags(no-parse)", "flags(store-raw-message)"] {
        let line = format!("<134>Aug  1 10:00:00 fw1 {cef}");
        assert_eq!(text(&with(whole), &line), line);
    }
}

#[test]
fn copies_and_the_rest_go_where_they_are_wanted() {
    let wanted = Wanted { copies: vec!["d_syslog".into()], others: vec!["d_syslog".into()], ..Wanted::default() };
    let (_, config) = rendered("4.8.1", BASE, &wanted);
    let names = |raw: &[u8]| -> Vec<Ref> {
        trace(&config, "s_cefctl", raw).visits.into_iter().map(|v| v.destination).collect()
    };
    let (agent, local) = (Ref::Named("d_cefctl".into()), Ref::Named("d_syslog".into()));
    assert_eq!(names(b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1"), [agent, local.clone()]);
    assert_eq!(names(b"<134>Aug  1 10:00:00 fw1 sshd: hello"), [local]);
    let missing = Wanted { others: vec!["d_none".into()], ..Wanted::default() };
    let config = load(&tree("4.8.1", BASE), "4.8.1");
    assert_eq!(render(&config, &program("4.8.1"), &missing), Err(RenderError::NoDestination("d_none".into())));
}

#[test]
fn the_azure_agent_gets_a_destination_of_ours() {
    let base = format!(
        "{BASE}destination d_azure_mdsd {{ network(\"127.0.0.1\" port(28330) log-fifo-size(25000)); }};\nlog {{ source(s_src); destination(d_azure_mdsd); flags(flow-control); }};\n"
    );
    let azure = Azure { entry: Entry::Tcp(28330), beside: false, fed: Vec::new() };
    let wanted = Wanted { azure: Some(azure.clone()), agent_port: 28330, ..Wanted::default() };
    let names = |config: &Effective, source: &str| -> Vec<String> {
        let visits = trace(config, source, b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1").visits;
        let name = |r: &Ref| config.destination(r).and_then(|d| d.name.clone()).unwrap_or_default().to_string();
        visits.iter().map(|v| name(&v.destination)).collect()
    };
    let goes = |config: &Effective| names(config, "s_cefctl");
    let (made, config) = rendered("3.38.1", &base, &wanted);
    assert!(!made.text.contains("d_azure_mdsd") && made.reliable, "{}", made.text);
    assert_eq!(goes(&config), ["d_cefctl_azure"]);
    let socket = Azure { entry: Entry::Socket, ..azure.clone() };
    let (made, config) = rendered("3.38.1", &base, &Wanted { azure: Some(socket), ..Wanted::default() });
    assert!(made.text.contains("unix-dgram(\"/run/azuremonitoragent/default_syslog.socket\""), "{}", made.text);
    assert_eq!(goes(&config), ["d_cefctl_azure"]);
    // Both agents while events move from one to the other, but for a source that the agent's own file has.
    let base_net =
        format!("{base}source s_net {{ udp(port(514)); }};\nlog {{ source(s_net); destination(d_azure_mdsd); }};\n");
    let both = Azure { beside: true, fed: vec!["s_net".into()], ..azure };
    let (made, config) = rendered("3.38.1", &base_net, &Wanted { azure: Some(both), ..Wanted::default() });
    assert_eq!(goes(&config), ["d_cefctl", "d_cefctl_azure"], "{}", made.text);
    assert_eq!(names(&config, "s_net"), ["d_azure_mdsd", "d_cefctl"], "{}", made.text);
    // What waits for an agent that was here before goes on; nothing new comes to it.
    let (made, config) = rendered("3.38.1", &base, &Wanted { hand_over: true, ..wanted });
    assert!(made.text.contains("destination d_cefctl"), "{}", made.text);
    assert!(config.destination(&Ref::Named("d_cefctl".into())).unwrap().drivers[0].disk_buffer.is_some());
    let visits = trace(&config, "s_cefctl", b"<134>CEF:0|V|P|1|2|n|5|x=1").visits;
    assert!(visits.iter().all(|v| v.destination != Ref::Named("d_cefctl".into())));
    // Somebody else's forward to the agent's port is named, and does not stop the daemon.
    let (made, _) = rendered("3.38.1", &base, &Wanted { agent_port: 28330, ..Wanted::default() });
    assert_eq!(made.notes.len(), 1, "{:?}", made.notes);
}

#[test]
fn tls() {
    let wanted = Wanted {
        udp: false,
        tcp: false,
        tls: Some(TlsListener { port: 6514, key: "/k.pem".into(), certificate: "/c \"x\".pem".into(), counted: false }),
        ..Wanted::default()
    };
    let (made, config) = rendered("3.38.1", BASE, &wanted);
    assert_eq!(made.listeners, [OwnListener { transport: Transport::Tls, port: 6514, counted: false }]);
    assert_eq!(config.listeners_on(6514, Transport::Tcp).len(), 1);
    assert!(made.text.contains(r#"tls(key-file("/k.pem") cert-file("/c \"x\".pem") peer-verify(optional-untrusted))"#));
    let none = Wanted { udp: false, tcp: false, ..Wanted::default() };
    let config = load(&tree("4.8.1", BASE), "4.8.1");
    assert_eq!(render(&config, &program("4.8.1"), &none), Err(RenderError::NoTransport));
}

// ---- what becomes of lines ----

#[test]
fn the_corpus() {
    let (_, config) = rendered("3.38.1", BASE, &Wanted::default());
    let (_, rewriting) = rendered("3.38.1", BASE, &Wanted { rewrite_ids: true, ..Wanted::default() });
    let (mut events, mut accepted, mut unchanged, mut host_right, mut with_ids) = (0, 0, 0, 0, 0);
    for line in include_str!("../../../../fixtures/corpus/messages.jsonl").lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        let raw = base64::decode(v["raw_b64"].as_str().unwrap()).unwrap();
        let got = sent(&config, "s_cefctl", &raw);
        assert_eq!(got.is_some(), v["forward"] == true, "{}", v["id"]);
        let Some(got) = got else { continue };
        events += 1;
        let host = |line: &[u8]| match judge(line) {
            Verdict::Accepted(record) => Some(record.host.map(|h| String::from_utf8_lossy(h).into_owned())),
            _ => None,
        };
        let label = v["host"].as_str().map(str::to_owned);
        if let Some(host) = host(&got) {
            accepted += 1;
            // Of two headers either may be the one.
            let two = v["envelope"].as_str().is_some_and(|e| e.contains("two-headers"));
            host_right += usize::from(two || label.is_none() || host == label);
        }
        // Rightly read as it was sent: nothing to mend.
        if label.is_some() && host(&raw) == Some(label) {
            let end = if raw.ends_with(b"\r") { raw.len() - 1 } else { raw.len() };
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&raw[..end]), "{}", v["id"]);
            unchanged += 1;
        }
        let got = sent(&rewriting, "s_cefctl", &raw).unwrap();
        with_ids += usize::from(matches!(judge(&got), Verdict::Accepted(_)));
    }
    // The hosts that are wrong are IPv6 addresses, which no header can carry.
    assert_eq!((events, accepted, unchanged, host_right, with_ids), (212, 184, 106, 179, 211));
}

#[test]
fn framing_and_line_ends() {
    let (_, config) = rendered("3.28.1", BASE, &Wanted::default());
    let event = b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|msg=a";
    let made = |raw: &[u8]| sent(&config, "s_cefctl", raw).unwrap();
    assert_eq!(made(&[b"48 ", &event[..]].concat()), event);
    assert_eq!(made(&[&event[..], b"\n\0"].concat()), event);
    assert_eq!(made(&[&event[..], b"\r\nb"].concat()), [&event[..], b" b"].concat());
    let odd = made(b"<134>CEF:0|V|P|1|2|n|5|msg=a\nb");
    assert_eq!(odd, b"<134>2026-01-01T00:00:00+00:00 127.0.0.1 CEF:0|V|P|1|2|n|5|msg=a b");
}

/// Dates whose zone is known but whose form the agent takes for local time are written in digits.
#[test]
fn times() {
    let (_, config) = rendered("3.38.1", BASE, &Wanted::default());
    let head = |header: &str| {
        let line = sent(&config, "s_cefctl", format!("<134>{header} CEF:0|V|P|1|2|n|5|x=1").as_bytes()).unwrap();
        String::from_utf8(line).unwrap().replace("<134>", "").replace(" CEF:0|V|P|1|2|n|5|x=1", "")
    };
    for (header, wanted) in [
        ("Aug 17 12:24:12 UTC fw1", "2026-08-17T12:24:12.000Z fw1"),
        ("Aug  7 2:24:12 +02:00 fw1", "2026-08-07T02:24:12.000+02:00 fw1"),
        ("Aug  7 2019 12:24:12.5 -03 fw1", "2019-08-07T12:24:12.000-03:00 fw1"),
        // Received on the first of January.
        ("Dec 31 23:59:59 UTC fw1", "2025-12-31T23:59:59.000Z fw1"),
        ("Aug 17 12:24:12 CEST fw1", "2026-08-17T12:24:12.000+02:00 fw1"),
        ("Aug 17 12:24:12 UTC+2 fw1", "2026-08-17T12:24:12.000+02:00 fw1"),
        ("[17/Aug/2026:12:24:12 +0200] fw1", "2026-08-17T12:24:12.000+0200 fw1"),
        // What the name of this zone means is not known everywhere.
        ("Aug 17 12:24:12 IST fw1", "Aug 17 12:24:12 fw1"),
        ("Aug 17 2026 09:24:12 PM fw1", "Aug 17 2026 21:24:12 fw1"),
        ("Aug 17 12:24:12 AM fw1", "Aug 17 00:24:12 fw1"),
        ("2024 Jan  5 10:11:12 fw1", "Jan 5 2024 10:11:12 fw1"),
        ("08/14/2026 8:21:07.5 PM PDT fw1", "2026-08-14T20:21:07.000-07:00 fw1"),
        ("14.8.26 09:21:07 fw1", "2026-08-14T09:21:07.000 fw1"),
        ("14-Aug-26 09:21:07 fw1", "Aug 14 2026 09:21:07 fw1"),
        ("20260814T092107Z fw1", "2026-08-14T09:21:07.000Z fw1"),
        ("2026-8-4 9:21:07 fw1", "2026-08-04T09:21:07.000 fw1"),
        // Either number may be the month: this one, or else by the mark between them.
        ("01/08/2026 09:21:07 fw1", "2026-01-08T09:21:07.000 fw1"),
        ("08/01/2026 09:21:07 fw1", "2026-01-08T09:21:07.000 fw1"),
        ("07/08/2026 09:21:07 fw1", "2026-07-08T09:21:07.000 fw1"),
        ("07-08-2026 09:21:07 fw1", "2026-08-07T09:21:07.000 fw1"),
        ("07.01.2026 09:21:07 fw1", "2026-01-07T09:21:07.000 fw1"),
        ("01.07.2026 09:21:07 fw1", "2026-07-01T09:21:07.000 fw1"),
        ("08/01/2026 09:21:07 AM fw1", "2026-08-01T09:21:07.000 fw1"),
        // No date at all.
        ("13/14/2026 09:21:07 fw1", "2026-01-01T00:00:00+00:00 fw1"),
        ("Fri Aug 14 09:21:07 2026 ns-7", "Aug 14 2026 09:21:07 ns-7"),
        ("Fri Aug 14 09:21:07 UTC 2026 ns-7", "2026-08-14T09:21:07.000Z ns-7"),
        ("14-Aug-2026 09:21:07 fw1", "Aug 14 2026 09:21:07 fw1"),
        ("2026-08-14 09:21:07 fw1", "2026-08-14T09:21:07.000 fw1"),
        ("2026/08/14 09:21:07,1234+0530 fw1", "2026-08-14T09:21:07.123+0530 fw1"),
        ("2026-08-14T09:21:07Z fw1", "2026-08-14T09:21:07.000Z fw1"),
        ("1 2026-08-14T09:21:07.123456789+02:00 fw1 app - - -", "2026-08-14T09:21:07.123+02:00 fw1"),
        ("1786699267 fw1", "2026-08-14T09:21:07.000Z fw1"),
        ("1709251199.5 fw1", "2024-02-29T23:59:59.000Z fw1"),
        ("1000000000: ", "2001-09-09T01:46:40.000Z 127.0.0.1"),
        ("Aug 17 12:24:12", "Aug 17 12:24:12 127.0.0.1"),
        ("Aug 17 12:24:12 cef[7]:", "Aug 17 12:24:12 127.0.0.1"),
        ("77: fw1: *Aug 17 12:24:12.303 UTC:", "2026-08-17T12:24:12.000Z fw1"),
        ("", "2026-01-01T00:00:00+00:00 127.0.0.1"),
    ] {
        assert_eq!(head(header), wanted, "{header}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever stands in front of an event: what is sent is taken by the agent, with the event unchanged.
    #[test]
    fn any_header(header in "(<[0-9]{1,3}>)?(1 |: ?| )?(Aug  ?[1-9] |Dec 31 |31 Jan |2026-0[1-9]-1[0-9][T ]|Fri Aug 14 )?(2026 )?([0-2][0-9]:[0-5][0-9]:[0-5][0-9])?([.,][0-9]{1,9})?(Z|[+-]0[0-9]:?00)?(:| |  )?(UTC |CET )?(fw-1|10\\.1\\.2\\.3|2001:db8::1|-|x y|[a-z]{1,6})?( :|:| |  |\\[7\\]: ){1,2}(app 1 - - )?", cef in any::<bool>()) {
        let event: &[u8] = if cef { b"CEF:0|V|P|1|2|n|5|src=192.0.2.1" } else { b"%ASA-6-302013: Built outbound" };
        check(&[header.as_bytes(), event].concat(), event);
    }

    /// A header in order, in any of the forms that devices use: the record has its host.
    #[test]
    fn host_of_any_proper_header(
        pri in prop_oneof!["<[1-9]>", "<1[0-8][0-9]>", Just(String::new())],
        time in prop_oneof![
            "(Jan|Aug|December) ( [1-9]|1[0-9]) (2026 )?1[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{3,6})?( (UTC|CEST|EST|AEDT))?:?",
            "(1 )?2026-0[1-9]-1[0-9][T ]1[0-9]:[0-5][0-9]:[0-5][0-9]([.,][0-9]{1,9})?(Z|[+-]0[0-9]:?[03]0)?",
            "(Fri|Mon) Aug 14 09:21:07 (UTC )?2026", "14 Aug (2026 )?09:21:07",
        ],
        host in "[a-z][a-z0-9]{0,9}(-[0-9]{1,2})?(\\.example\\.(com|net))?|10\\.[1-9]\\.2\\.3|FW-[A-Z]{1,3}[0-9]",
        behind in prop_oneof![" ", ": ", " : "],
        cef in any::<bool>(),
    ) {
        let event = if cef { "CEF:0|V|P|1|2|n|5|src=192.0.2.1" } else { "%ASA-6-302013: Built outbound" };
        let line = format!("{pri}{time} {host}{behind}{event}");
        thread_local!(static CONFIG: Effective = rendered("3.38.1", BASE, &Wanted::default()).1);
        let got = CONFIG.with(|config| sent(config, "s_cefctl", line.as_bytes())).unwrap();
        let shown = format!("{line} -> {}", String::from_utf8_lossy(&got));
        let Verdict::Accepted(record) = judge(&got) else { panic!("{shown}") };
        prop_assert_eq!(record.host, Some(host.as_bytes()), "{}", shown);
    }

    #[test]
    fn any_bytes_in_front(header in proptest::collection::vec(any::<u8>(), 0..60)) {
        let event = b"CEF:0|V|P|1|2|n|5|src=192.0.2.1";
        let mut line = header.clone();
        // A bar or a second event in front belongs to other tests.
        line.retain(|b| !matches!(b, b'|' | b'%' | b'\n'));
        line.extend(event);
        check(&line, event);
    }
}

fn check(raw: &[u8], event: &[u8]) {
    thread_local!(static CONFIG: Effective = rendered("3.38.1", BASE, &Wanted::default()).1);
    let got = CONFIG.with(|config| sent(config, "s_cefctl", raw)).unwrap();
    let shown = || format!("{} -> {}", String::from_utf8_lossy(raw), String::from_utf8_lossy(&got));
    match judge(&got) {
        Verdict::Accepted(_) => {}
        Verdict::Damaged(_, damage) => {
            assert!(damage.iter().all(|d| *d == Damage::CefInEvent), "{} {damage:?}", shown())
        }
        Verdict::Dropped(refusal) => panic!("{} {refusal:?}", shown()),
    }
    assert!(got.ends_with(event), "{}", shown());
}

#[test]
fn our_names_and_kinds() {
    let (made, config) = rendered("4.8.1", BASE, &Wanted::default());
    let own = |at: &Location| *at.file == *Path::new(DROP_IN);
    for name in config.filters.iter().filter(|f| own(&f.at)).filter_map(|f| f.name.as_ref()) {
        assert!(name.to_string().starts_with("f_cefctl_"), "{name}");
    }
    let (_, driver, forward) = config.forwards_to(25226)[0];
    assert!(forward.is_loopback() && matches!(driver.kind, DestKind::Forward(_)));
    let buffer = driver.disk_buffer.as_ref().unwrap();
    assert_eq!((buffer.reliable, buffer.capacity, driver.fifo_size), (true, 1 << 30, 100_000));
    assert!(made.text.lines().all(|l| l.len() < 4000));
}
