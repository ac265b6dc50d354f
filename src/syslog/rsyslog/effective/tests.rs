//! What configurations amount to; every expectation was seen with rsyslogd 8.2302.

use super::*;
use crate::syslog::MapSource;
use crate::syslog::rsyslog::Topic;

fn load(text: &str) -> Effective {
    Effective::load(Path::new("/etc/rsyslog.conf"), &MapSource::new().with("/etc/rsyslog.conf", text))
}

fn topics(e: &Effective) -> Vec<Topic> {
    e.problems.iter().map(|p| p.topic).collect()
}

#[test]
fn both_dialects_in_one_file() {
    let e = load(
        "$ModLoad imudp\n$UDPServerAddress 10.0.0.1\n$InputUDPServerBindRuleset r\n$UDPServerRun 514\n\
         module(load=\"imtcp\" maxSessions=\"500\")\n\
         ruleset(name=\"r\") { action(type=\"omfile\" file=\"/a\") stop }\n\
         input(type=\"imtcp\" port=\"514\" ruleset=\"nosuch\")\n\
         $ActionQueueType LinkedList\n$ActionQueueFileName q\n$ActionResumeRetryCount -1\n\
         *.* @@(o)127.0.0.1:25226;RSYSLOG_ForwardFormat # note\n\
         & @[::1]:28330\n\
         mail.*\t-/var/log/mail.log\n",
    );
    assert_eq!(topics(&e), []);
    let l: Vec<_> = e.listeners.iter().map(|l| (l.transport, l.port_number(), e.ruleset_of(l).to_string())).collect();
    let default = DEFAULT_RULESET.to_string();
    assert_eq!(l, [(Transport::Udp, Some(514), "r".into()), (Transport::Tcp, Some(514), default)]);
    assert_eq!(e.listeners[0].address, Some("10.0.0.1".into()));
    assert_eq!(e.listeners[1].max_sessions, Some(500));
    let forwards: Vec<_> = e.forwards().collect();
    let (a, f) = forwards[0];
    assert_eq!((f.target.to_string(), f.port_number(), f.transport), ("127.0.0.1".into(), Some(25226), Transport::Tcp));
    assert!(f.octet_counted && a.queue.on_disk() && a.resume_retries == -1);
    let (b, f) = forwards[1];
    assert!(f.is_loopback() && f.transport == Transport::Udp && !b.queue.on_disk() && b.resume_retries == 0);
    assert_eq!(e.actions[3].kind, ActionKind::File("/var/log/mail.log".into()));
}

#[test]
fn a_syntax_error_ends_everything() {
    let source = MapSource::new()
        .with("/etc/rsyslog.conf", "*.* /a\n$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /b\n")
        .with("/etc/rsyslog.d/10.conf", "*.* /c\nif $msg contains \"x\" the /d\n*.* /e\n")
        .with("/etc/rsyslog.d/20.conf", "*.* /f\n");
    let e = Effective::load(Path::new("/etc/rsyslog.conf"), &source);
    let files: Vec<_> = e.actions.iter().map(|a| a.kind.clone()).collect();
    assert_eq!(files, [ActionKind::File("/a".into()), ActionKind::File("/c".into())]);
    let stopped = e.stopped.unwrap();
    assert_eq!(stopped.at.to_string(), "/etc/rsyslog.d/10.conf:2");
    assert!(stopped.daemon);
}

fn tree(files: &[(&str, &str)]) -> MapSource {
    files.iter().fold(MapSource::new(), |s, (path, text)| s.with(*path, *text))
}

fn load_tree(source: &MapSource) -> Effective {
    Effective::load(Path::new("/etc/rsyslog.conf"), source)
}

fn read_files(e: &Effective) -> Vec<String> {
    e.files.iter().map(|f| f.path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

#[test]
fn includes_in_name_order_where_they_stand() {
    let source = tree(&[
        ("/etc/rsyslog.conf", "*.* /a\n$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /z\n"),
        ("/etc/rsyslog.d/b.conf", "*.* /c\n"),
        ("/etc/rsyslog.d/a.conf", "*.* /b\ninclude(file=\"/etc/more/\")\n"),
        ("/etc/rsyslog.d/.hidden.conf", "*.* /no\n"),
        ("/etc/more/x", "*.* /x\n"),
    ]);
    let e = load_tree(&source);
    assert_eq!(e.problems, []);
    assert_eq!(read_files(&e), ["rsyslog.conf", "a.conf", "x", "b.conf"]);
    let files: Vec<_> = e.actions.iter().map(|a| a.at.to_string()).collect();
    let expected = [
        "/etc/rsyslog.conf:1",
        "/etc/rsyslog.d/a.conf:1",
        "/etc/more/x:1",
        "/etc/rsyslog.d/b.conf:1",
        "/etc/rsyslog.conf:3",
    ];
    assert_eq!(files, expected);
    assert_eq!(e.files[2].included_at.as_ref().map(Location::to_string), Some("/etc/rsyslog.d/a.conf:2".to_owned()));
    assert_eq!(e.includes[0].matched.len(), 2);
}

/// A link that leads nowhere takes away what stands before it in the order of names; with `$IncludeConfig` it even ends
/// the reading.
#[test]
fn dangling_links() {
    let base = tree(&[("/etc/rsyslog.d/a.conf", "*.* /a\n"), ("/etc/rsyslog.d/c.conf", "*.* /c\n")]);
    let base = base.with_dangling("/etc/rsyslog.d/b.conf");
    let of = |main: &str| load_tree(&base.clone().with("/etc/rsyslog.conf", main));
    let e = of("include(file=\"/etc/rsyslog.d/*.conf\" mode=\"optional\")\n*.* /z\n");
    assert_eq!(
        e.actions.iter().map(|a| a.at.to_string()).collect::<Vec<_>>(),
        ["/etc/rsyslog.d/c.conf:1", "/etc/rsyslog.conf:2"]
    );
    assert_eq!(topics(&e), [Topic::Include]);
    assert_eq!(e.includes[0].lost, [Path::new("/etc/rsyslog.d/a.conf")]);
    let e = of("*.* /first\n$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /z\n");
    assert_eq!(e.actions.len(), 1);
    assert_eq!(e.stopped.unwrap().at.line, 2);
    let e = of("$IncludeConfig /etc/missing.conf\n*.* /z\n");
    assert!(e.stopped.is_some() && e.actions.is_empty());
    let e = of("include(file=\"/etc/missing.conf\" mode=\"optional\")\n*.* /z\n");
    assert!(e.stopped.is_none() && topics(&e) == [Topic::IncludeEmpty] && e.actions.len() == 1);
}

#[test]
fn circles_of_includes_end() {
    let source = tree(&[
        ("/etc/rsyslog.conf", "$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /z\n"),
        ("/etc/rsyslog.d/a.conf", "$IncludeConfig /etc/rsyslog.conf\n*.* /a\n"),
        ("/etc/rsyslog.d/b.conf", "$IncludeConfig /etc/../etc/rsyslog.d/a.conf\n*.* /b\n"),
    ]);
    let e = load_tree(&source);
    assert!(topics(&e).contains(&Topic::Include));
    assert!(e.actions.len() >= 3);
}

#[test]
fn which_setting_counts() {
    let e = load(
        "$MaxMessageSize 8k\n$MaxMessageSize 32k\nglobal(maxMessageSize=\"64k\" workDirectory=\"/a\")\n\
         global(workDirectory=\"/b\")\n$MaxMessageSize 128k\n$PrivDropToUser syslog\n$EscapeControlCharactersOnReceive off\n",
    );
    assert_eq!(e.max_message_size(), 64 << 10);
    assert_eq!(e.work_directory().map(Text::to_string), Some("/a".to_owned()));
    assert_eq!(e.privilege_drop().0.map(Text::to_string), Some("syslog".to_owned()));
    assert_eq!(e.setting("parser.escapeControlCharactersOnReceive").unwrap().value, "off");
    assert_eq!(topics(&e), [Topic::Setting]);
}

/// imptcp also takes a local socket in the place of a port.
#[test]
fn an_input_on_a_local_socket_needs_no_port() {
    let e = load("module(load=\"imptcp\")\ninput(type=\"imptcp\" path=\"/run/fw.sock\" unlink=\"on\")\n");
    assert_eq!((topics(&e), e.listeners.len(), e.inputs.len()), (vec![], 0, 1));
    let e = load("module(load=\"imtcp\")\ninput(type=\"imtcp\" name=\"x\")\n");
    assert_eq!(topics(&e), [Topic::Setting]);
}

#[test]
fn listeners_of_all_kinds() {
    let e = load(
        "module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" maxSessions=\"300\")\n\
         module(load=\"imudp\") module(load=\"imptcp\")\n\
         input(type=\"imtcp\" port=\"6514\" name=\"tls\")\n\
         input(type=\"imtcp\" port=\"514\" StreamDriver.Mode=\"0\" supportOctetCountedFraming=\"off\")\n\
         input(type=\"imudp\" port=[\"514\",\"515\"] rcvbufSize=\"8m\" rateLimit.Interval=\"5\")\n\
         input(type=\"imptcp\" port=\"1514\" config.enabled=\"off\")\n\
         input(type=\"imrelp\" port=\"2514\")\n\
         $InputTCPServerBindRuleset rr\n$InputTCPServerRun 10514\n$InputTCPServerRun 10515\n\
         $InputRELPServerRun 20514\n",
    );
    let shown: Vec<_> = e.listeners.iter().map(|l| (l.port.to_string(), l.tls.is_some(), l.max_sessions)).collect();
    let expected = [
        ("6514", true, Some(300)),
        ("514", false, Some(300)),
        ("514", false, None),
        ("515", false, None),
        ("10514", false, None),
        ("10515", false, None),
    ];
    assert_eq!(shown, expected.map(|(p, t, s)| (p.to_owned(), t, s)));
    assert!(!e.listeners[1].octet_counted && e.listeners[0].octet_counted);
    assert_eq!(
        (e.listeners[2].receive_buffer, e.listeners[2].rate_limit.map(|r| r.burst)),
        (Some(8 << 20), Some(10_000))
    );
    // A ruleset bound in the old way stays bound for all listeners behind it.
    assert_eq!(e.listeners[5].ruleset, Some("rr".into()));
    assert_eq!(topics(&e), [Topic::ModuleMissing, Topic::ModuleMissing]);
}

#[test]
fn actions_that_the_daemon_leaves_out() {
    let e = load(
        "*.* /a;nosuch\n*.* /b\naction(type=\"omrelp\" target=\"h\")\naction(type=\"omfwd\" target=\"h\" protocol=\"sctp\")\n\
         action(type=\"omfile\" file=\"/c\" config.enabled=\"off\")\n*.* :omfile:$chan\n$outchannel chan,/d,1000\n*.* :omfile:$chan\n",
    );
    let enabled: Vec<_> = e.actions.iter().filter(|a| a.enabled).map(|a| a.kind.clone()).collect();
    assert_eq!(enabled, [ActionKind::File("/b".into()), ActionKind::File("/d".into())]);
}

/// `action(…) & stop` outside any block, with something behind it.
#[test]
fn a_chain_without_a_filter_loses_its_tail() {
    let e = load("action(type=\"omfile\" file=\"/a\")\n& stop\n*.* /b\n");
    let kinds: Vec<_> = e.rulesets[0].steps.iter().map(|s| matches!(s.kind, StepKind::Stop)).collect();
    assert_eq!(kinds, [false, false]);
    assert_eq!(topics(&e), [Topic::Statement]);
    let e = load("*.* /b\naction(type=\"omfile\" file=\"/a\")\n& stop\n");
    assert_eq!(e.rulesets[0].steps.len(), 3);
    let e = load("*.* @@h:514\n& stop\n*.* /b\n");
    assert_eq!((e.rulesets[0].steps.len(), topics(&e)), (2, vec![]));
}

#[test]
fn forwards_in_every_writing() {
    let e = load(
        "*.* @h\n*.* @@h:99\n*.* @@(z9,o)h:99;RSYSLOG_ForwardFormat\n*.* @[2001:db8::1]:5\n*.* @@127.0.0.1:25226# note\n\
         action(type=\"omfwd\" Target=\"localhost\" Port=\"25226\" Protocol=\"TCP\" TCP_Framing=\"octet-counted\")\n",
    );
    let shown: Vec<_> = e.forwards().map(|(_, f)| format!("{:?} {} {}", f.transport, f.target, f.port)).collect();
    let expected =
        ["Udp h 514", "Tcp h 99", "Tcp h 99", "Udp 2001:db8::1 5", "Tcp 127.0.0.1 25226", "Tcp localhost 25226"];
    assert_eq!(shown, expected);
    assert_eq!(e.forwards_to(25226).len(), 2);
}

#[test]
fn hostile_files_do_no_harm() {
    let mut binary: Vec<u8> = (0..=255u8).cycle().take(20_000).collect();
    binary.extend_from_slice(b"\n*.* /x");
    for main in [b"".to_vec(), binary, b"\xef\xbb\xbf*.* /x".to_vec(), b"*.* /a\r\n*.* /b\r".to_vec(), vec![0; 5000]] {
        let e = load_tree(&MapSource::new().with("/etc/rsyslog.conf", main));
        let _ = (crate::syslog::rsyslog::lint::lint(&e), e.summary());
    }
    let e = load_tree(&MapSource::new());
    assert!(e.stopped.is_some_and(|s| s.why.contains("cannot be read")));
}

#[test]
fn it_survives_being_stored() {
    let e = load("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nif $msg contains 'x' then @@h:1\n");
    let stored = serde_json::to_string(&e).unwrap();
    let back: Effective = serde_json::from_str(&stored).unwrap();
    assert_eq!(e, back);
}

mod anything {
    use proptest::prelude::*;

    use super::*;
    use crate::syslog::rsyslog::SampleEvent;

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop::sample::select(vec![
            "if ",
            " then ",
            "else ",
            "$msg ",
            "== ",
            "contains ",
            "\"x\" ",
            "'CEF:' ",
            "1 ",
            "( ",
            ") ",
            "not ",
            "and ",
            "& ",
            "$.x ",
            "set ",
            "= ",
            "; ",
            "\n",
            "*.* ",
            "mail.info ",
            ":msg, contains, \"a\" ",
            "/x\n",
            "@@127.0.0.1:1\n",
            "{ ",
            "} ",
            "stop ",
            "call abc ",
            "ruleset(name=\"abc\") { ",
            "action(type=\"omfwd\" target=\"h\") ",
            "module(load=\"imudp\")\n",
            "input(type=\"imudp\" port=\"514\" ruleset=\"abc\")\n",
            "$RuleSet abc\n",
            "$UDPServerRun 514\n",
            "$ActionQueueType LinkedList\n",
            "foreach ( $.i in $!a ) do ",
            "re_match($msg, \"(a|b)*\") ",
            "field($msg, 32, 1) ",
            "re_extract($msg, \"[a-\", 0, 99, \"x\") ",
            "exec_template(\"t\") ",
            "~\n",
            "*\n",
            "template(name=\"t\" type=\"string\" string=\"%msg:R,ERE,1:(x)--end%%hostname:5:2%\")\n",
            "include(file=\"/etc/*\")\n",
            "$IncludeConfig /etc/rsyslog.conf\n",
            "$template u,\"%msg%\\n\"\n",
            "substring($msg, -5, -9) ",
            "int2hex(-1) ",
        ]);
        prop::collection::vec(
            prop_oneof![12 => pieces.prop_map(|p| p.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..3)],
            0..50,
        )
        .prop_map(|p| p.concat())
    }

    proptest! {
        #[test]
        fn can_be_loaded_linted_and_run(config in soup(), raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let e = load_tree(&MapSource::new().with("/etc/rsyslog.conf", config));
            let _ = (crate::syslog::rsyslog::lint::lint(&e), e.summary(), e.names());
            let event = SampleEvent::parse(&raw);
            for ruleset in &e.rulesets {
                let trace = e.trace(&event, &ruleset.name);
                for action in &e.actions {
                    let _ = trace.reaches(action.id);
                }
            }
            for listener in &e.listeners {
                for action in &e.actions {
                    let _ = e.reach(listener, &event, action.id);
                }
            }
        }
    }
}
