//! The drop-in read back by our own parser and followed with sample events. What the real daemon makes of it is in
//! tests/daemons.

use std::path::Path;

use super::*;
use crate::syslog::MapSource;
use crate::syslog::rsyslog::Effective;
use crate::syslog::rsyslog::effective::{ActionKind, Listener, QueueType};
use crate::syslog::rsyslog::query::Reach;

const CEF: &[u8] = b"<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=192.0.2.1";
const ASA_WITHOUT_HEADER: &[u8] = b"<164>%ASA-6-302013: Built outbound TCP connection 1";
const OTHER: &[u8] = b"<30>Aug  1 10:00:00 host1 dhcpd[7]: DHCPACK on 192.0.2.7";

/// A daemon of a distribution: loads nothing, writes everything to one file.
const STOCK: &str = "module(load=\"imuxsock\")\n$WorkDirectory /var/spool/rsyslog\n\
                     $IncludeConfig /etc/rsyslog.d/*.conf\n*.* /var/log/syslog\n";

fn own(transport: Transport) -> OwnInput {
    OwnInput {
        transport,
        tls: false,
        port: 514,
        v4_only: false,
        load_module: true,
        octet_counting: true,
        elsewhere: false,
    }
}

fn stock() -> DropIn {
    DropIn {
        version: (8, 2302, 0),
        receipt: "/var/lib/cefctl/receipt.json".into(),
        agent_port: 25226,
        forward: true,
        end: false,
        hand_over: false,
        inputs: vec![own(Transport::Udp), own(Transport::Tcp)],
        tls: None,
        tcp_module: TcpModule::Imtcp,
        block: Block::None,
        callable: false,
        keep_own: false,
        rewrite_ids: false,
        queue_disk: 2048,
        work_directory: None,
        set_max_message_size: true,
        keep_tabs: true,
        names_off: true,
        keep_repeats: false,
        plain_driver: false,
    }
}

fn text(d: &DropIn) -> String {
    String::from_utf8(render(d)).expect("the drop-in is text")
}

/// The configuration with the drop-in, which must bring no new problem.
fn with(main: &str, d: &DropIn) -> Effective {
    let source = MapSource::new().with("/etc/rsyslog.conf", main).with("/etc/rsyslog.d/10-cefctl.conf", render(d));
    let config = Effective::load(Path::new("/etc/rsyslog.conf"), &source);
    assert!(config.problems.is_empty(), "{:?}", config.problems);
    config
}

fn listener(config: &Effective, module: &str) -> Listener {
    config.listeners.iter().find(|l| l.module.is(module)).expect("the listener").clone()
}

/// How often an event is forwarded, and whether it is written to the local file.
fn way(config: &Effective, module: &str, raw: &[u8]) -> (usize, bool) {
    let listener = listener(config, module);
    let trace = config.trace_from(&config.event_at(&listener, raw), &listener);
    assert!(trace.visits.iter().all(|v| !v.maybe), "{:?}", trace.visits);
    let kinds: Vec<_> = trace.visits.iter().map(|v| &config.actions[v.action].kind).collect();
    let forwards = kinds.iter().filter(|k| matches!(k, ActionKind::Forward(_))).count();
    (forwards, kinds.iter().any(|k| matches!(k, ActionKind::File(_))))
}

#[test]
fn on_a_stock_box_security_events_go_to_the_agent_and_the_rest_to_the_local_rules() {
    let config = with(STOCK, &stock());
    for module in ["imudp", "imtcp"] {
        assert_eq!(listener(&config, module).port_number(), Some(514));
        assert_eq!(way(&config, module, CEF), (1, false));
        assert_eq!(way(&config, module, ASA_WITHOUT_HEADER), (1, false));
        assert_eq!(way(&config, module, OTHER), (0, true));
    }
}

#[test]
fn the_queue_outlives_the_agent_and_the_daemon_but_not_the_disk() {
    let config = with(STOCK, &stock());
    let (action, forward) = config.forwards().next().expect("a forward");
    assert_eq!((forward.is_loopback(), forward.port_number()), (true, Some(25226)));
    assert_eq!((forward.transport, forward.octet_counted), (Transport::Tcp, false));
    assert_eq!(action.queue.kind, QueueType::Direct, "a queue of the action would lose the batch in hand");
    let queue = config.queue_of(action);
    assert!(queue.on_disk() && queue.save_on_shutdown && queue.kind == QueueType::LinkedList);
    assert_eq!((queue.max_disk, queue.enqueue_timeout), (2048 << 20, 0));
    assert_eq!((action.resume_retries, action.resume_interval), (-1, 1));
}

#[test]
fn local_copies_where_they_are_wanted() {
    let keep = DropIn { keep_own: true, ..stock() };
    assert_eq!(way(&with(STOCK, &keep), "imudp", CEF), (1, true));
}

#[test]
fn listeners_that_were_there_before_stay_in_the_default_ruleset() {
    let main = STOCK.replace("$Include", "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n$Include");
    let missing = DropIn { inputs: vec![own(Transport::Tcp)], block: Block::Stop, ..stock() };
    let config = with(&main, &missing);
    assert_eq!(config.listeners.iter().filter(|l| l.transport == Transport::Udp).count(), 1);
    assert_eq!(way(&config, "imudp", CEF), (1, false));
    assert_eq!(way(&config, "imtcp", CEF), (1, false));
    assert_eq!(way(&config, "imudp", OTHER), (0, true));
    let keep = DropIn { block: Block::Keep, ..missing };
    assert_eq!(way(&with(&main, &keep), "imudp", CEF), (1, true));
}

#[test]
fn a_ruleset_of_others_calls_ours_and_goes_on() {
    let main = "module(load=\"imudp\")\nruleset(name=\"theirs\") {\n  call cefctl_events\n  action(type=\"omfile\" file=\"/var/log/fw\")\n}\n\
                input(type=\"imudp\" port=\"514\" ruleset=\"theirs\")\n$WorkDirectory /var/spool/rsyslog\n\
                $IncludeConfig /etc/rsyslog.d/*.conf\n*.* /var/log/syslog\n";
    let callable = DropIn { inputs: vec![], callable: true, ..stock() };
    let config = with(main, &callable);
    assert_eq!(way(&config, "imudp", CEF), (1, true));
    assert_eq!(way(&config, "imudp", OTHER), (0, true));
}

#[test]
fn an_event_that_comes_by_twice_is_forwarded_once() {
    let main = "module(load=\"imudp\")\nruleset(name=\"theirs\") {\n  call cefctl_events\n  call RSYSLOG_DefaultRuleset\n}\n\
                input(type=\"imudp\" port=\"514\" ruleset=\"theirs\")\n$WorkDirectory /var/spool/rsyslog\n\
                $IncludeConfig /etc/rsyslog.d/*.conf\n*.* /var/log/syslog\n";
    let both = DropIn { inputs: vec![], callable: true, block: Block::Keep, ..stock() };
    assert_eq!(way(&with(main, &both), "imudp", CEF), (1, true));
}

#[test]
fn for_an_agent_with_its_own_forward_there_are_listeners_only() {
    let listening = DropIn { forward: false, block: Block::Keep, callable: true, ..stock() };
    let config = with(STOCK, &listening);
    assert_eq!(config.forwards().count(), 0);
    assert_eq!(way(&config, "imtcp", CEF), (0, true));
    assert!(!text(&listening).contains("ruleset"));
}

#[test]
fn what_waits_for_an_earlier_agent_goes_on_and_nothing_new_comes_to_it() {
    let over = DropIn { forward: false, hand_over: true, agent_port: 28330, block: Block::None, ..stock() };
    let config = with(STOCK, &over);
    let forwards: Vec<_> = config.forwards().filter_map(|(_, f)| f.port_number()).collect();
    assert_eq!(forwards, [28330]);
    assert_eq!(way(&config, "imtcp", CEF), (0, true), "{}", text(&over));
    assert_eq!(config.problems, [], "{}", text(&over));
}

#[test]
fn settings_of_the_whole_daemon_only_where_asked_for() {
    let bare = DropIn { set_max_message_size: false, keep_tabs: false, names_off: false, ..stock() };
    assert!(!text(&bare).contains("global("));
    let all = DropIn { work_directory: Some("/var/lib/rsyslog".into()), keep_repeats: true, ..stock() };
    let config = with(&STOCK.replace("$WorkDirectory /var/spool/rsyslog\n", "$RepeatedMsgReduction on\n"), &all);
    let value = |name: &str| config.setting(name).map(|s| s.value.to_string());
    assert_eq!(value("workDirectory").as_deref(), Some("/var/lib/rsyslog"));
    assert_eq!(value("maxMessageSize").as_deref(), Some("128k"));
    assert_eq!(value("net.enableDNS").as_deref(), Some("off"));
    assert_eq!(value("RepeatedMsgReduction").as_deref(), Some("off"));
    assert_eq!(value("parser.escapeControlCharacterTab").as_deref(), Some("off"));
}

#[test]
fn modules_only_where_nobody_loads_them() {
    let main = STOCK.replace("$Include", "$ModLoad imudp\nmodule(load=\"imtcp\")\n$Include");
    let loaded = |transport| OwnInput { load_module: false, ..own(transport) };
    let d = DropIn { inputs: vec![loaded(Transport::Udp), loaded(Transport::Tcp)], ..stock() };
    assert!(!text(&d).contains("module("));
    // limits that belong to somebody else's module line go to the input, where the version knows them there
    assert_eq!(listener(&with(&main, &d), "imtcp").max_sessions, Some(500));
    let old = DropIn { version: (8, 2102, 0), ..d };
    assert!(!text(&old).contains("maxSessions"));
}

/// By the source of each release.
#[test]
fn nothing_that_the_version_does_not_know() {
    let newer = |version, words: &[&str]| {
        let text = text(&DropIn { version, rewrite_ids: true, ..stock() });
        words.iter().filter(|w| text.contains(**w)).map(|w| (*w).to_owned()).collect::<Vec<_>>()
    };
    let words = ["substring(", "format_time(", "queue.takeFlowCtlFromMsg", "discardTruncatedMsg"];
    assert!(newer((8, 24, 0), &words).is_empty());
    assert_eq!(newer((8, 1901, 0), &words), words[..2]);
    assert_eq!(newer((8, 1911, 0), &words), words[..3]);
    assert_eq!(newer((8, 2102, 0), &words), words);
    // an unknown version counts as the oldest
    assert!(newer((0, 0, 0), &words).is_empty());
}

#[test]
fn imptcp_only_where_it_is_harmless() {
    use TcpModule::{Imptcp, Imtcp};
    assert_eq!(TcpModule::best((8, 2302, 0), true, true), Imptcp);
    assert_eq!(TcpModule::best((8, 2302, 0), false, true), Imtcp);
    assert_eq!(TcpModule::best((8, 2302, 0), true, false), Imtcp);
    assert_eq!(TcpModule::best((8, 2504, 0), true, false), Imptcp);
    assert_eq!(TcpModule::best((8, 1911, 0), true, true), Imtcp);
    let d = DropIn { tcp_module: Imptcp, ..stock() };
    let config = with(STOCK, &d);
    assert_eq!(listener(&config, "imptcp").max_sessions, Some(500));
    assert_eq!(config.setting("maxMessageSize").map(|s| s.value.to_string()).as_deref(), Some("1m"));
    assert_eq!(way(&config, "imptcp", CEF), (1, false));
}

#[test]
fn octet_counting_can_be_switched_off() {
    for tcp_module in [TcpModule::Imtcp, TcpModule::Imptcp] {
        let inputs = vec![OwnInput { octet_counting: false, ..own(Transport::Tcp) }];
        let config = with(STOCK, &DropIn { inputs, tcp_module, ..stock() });
        assert!(!config.listeners[0].octet_counted);
    }
}

#[test]
fn the_header_stays_a_comment() {
    let d = DropIn { receipt: "/tmp/a\n*.* @192.0.2.1\r".into(), ..stock() };
    let text = text(&d);
    assert!(text.starts_with("# Written by cefctl "));
    assert!(text.lines().take(2).all(|l| l.starts_with("# ")) && !text.contains("\n*.*"));
}

#[test]
fn a_folder_of_any_name_stays_one_string() {
    let d = DropIn { work_directory: Some("/srv/a\"b$c\\d".into()), ..stock() };
    assert!(text(&d).contains(r#"global(workDirectory="/srv/a\"b\$c\\d")"#));
}

#[test]
fn what_keeps_an_event_from_the_forward_is_found_behind_the_call() {
    let config = with(STOCK, &stock());
    let (action, _) = config.forwards().next().expect("a forward");
    let udp = listener(&config, "imudp");
    let reach = |raw: &[u8]| config.reach(&udp, &config.event_at(&udp, raw), action.id);
    assert_eq!(reach(CEF), Reach::Yes);
    // the condition around the call, not "it stands in another ruleset"
    assert!(matches!(reach(OTHER), Reach::Filtered { at: Some(_) }), "{:?}", reach(OTHER));
}
