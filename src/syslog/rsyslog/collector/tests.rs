//! Decisions on small configurations, each judged by what the candidate configuration then does with sample events.

use std::path::Path;

use super::*;
use crate::syslog::source::{MapSource, Overlay};

const STOCK: &str = "module(load=\"imuxsock\")\n#module(load=\"imudp\")\n#input(type=\"imudp\" port=\"514\")\n\
                     $WorkDirectory /var/spool/rsyslog\n$IncludeConfig /etc/rsyslog.d/*.conf\n\
                     auth,authpriv.* /var/log/auth.log\n*.*;auth,authpriv.none -/var/log/syslog\n*.emerg :omusrmsg:*\n";

fn main_with(rest: &str) -> MapSource {
    MapSource::new().with("/etc/rsyslog.conf", [STOCK, rest].concat())
}

fn decided(source: &MapSource, wish: &Wish) -> Result<Collector, Refusal> {
    let config = Effective::load(Path::new("/etc/rsyslog.conf"), source);
    let found = Found {
        config: &config,
        source,
        version: (8, 2302, 0),
        work_directory: "/var/spool/rsyslog".into(),
        imptcp: false,
    };
    decide(&found, wish)
}

fn path(collector: &Collector) -> &Path {
    &collector.drop_in.as_ref().unwrap().0
}

/// The whole configuration with what was decided.
fn candidate(source: &MapSource, collector: &Collector) -> Effective {
    let changes = overlay(path(collector), &collector.drop_in.as_ref().unwrap().1, &collector.insertions, source);
    Effective::load(Path::new("/etc/rsyslog.conf"), &Overlay { base: source, changes })
}

/// Where one plain CEF event of a transport ends up.
fn ends(config: &Effective, transport: Transport) -> Vec<String> {
    let listener = config.taker(514, transport, None).unwrap();
    let raw = b"<164>Aug  1 10:00:00 fw1 CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1";
    let trace = config.trace_from(&config.event_at(listener, raw), listener);
    let name = |id: usize| match &config.actions[id].kind {
        effective_kind::Forward(f) => format!("{}:{}", f.target, f.port),
        effective_kind::File(path) => path.to_string(),
        _ => "other".to_owned(),
    };
    trace.visits.iter().map(|v| name(v.action)).collect()
}
use crate::syslog::rsyslog::effective::ActionKind as effective_kind;

fn errors(config: &Effective) -> Vec<String> {
    config
        .problems
        .iter()
        .filter(|p| p.severity == crate::syslog::rsyslog::Severity::Error)
        .map(|p| p.to_string())
        .collect()
}

#[test]
fn a_stock_box_gets_its_own_listeners_and_no_local_copies() {
    let source = main_with("");
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&collector), Path::new("/etc/rsyslog.d/10-cefctl.conf"));
    assert!(collector.insertions.is_empty());
    let config = candidate(&source, &collector);
    assert_eq!(errors(&config), Vec::<String>::new());
    for transport in [Transport::Udp, Transport::Tcp] {
        assert_eq!(ends(&config, transport), ["127.0.0.1:25226"]);
    }
}

#[test]
fn local_copies_can_be_kept() {
    let source = main_with("");
    let collector = decided(&source, &Wish { local_copy: LocalCopy::Keep, ..Wish::usual() }).unwrap();
    assert_eq!(ends(&candidate(&source, &collector), Transport::Udp), ["127.0.0.1:25226", "/var/log/syslog"]);
}

#[test]
fn a_listener_that_is_there_is_used_and_only_the_other_transport_is_added() {
    let source = main_with("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n");
    let collector = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &collector);
    assert_eq!(errors(&config), Vec::<String>::new());
    assert_eq!(config.listeners_on(514, Transport::Udp).len(), 1);
    assert!(collector.intakes[0].reused.is_some() && collector.intakes[1].reused.is_none());
    for transport in [Transport::Udp, Transport::Tcp] {
        assert_eq!(ends(&config, transport), ["127.0.0.1:25226"], "{transport:?}");
    }
}

#[test]
fn somebodys_own_rule_on_a_used_listener_goes_on_seeing_its_events() {
    let source = main_with("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n")
        .with("/etc/rsyslog.d/60-siem.conf", "*.* @@siem.example.net:6514\n");
    let collector = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &collector);
    assert_eq!(ends(&config, Transport::Udp), ["127.0.0.1:25226", "siem.example.net:6514", "/var/log/syslog"]);
    assert_eq!(ends(&config, Transport::Tcp), ["127.0.0.1:25226"]);
    assert!(collector.notes.iter().any(|n| n.contains("60-siem.conf:1")), "{:?}", collector.notes);
}

#[test]
fn ours_stands_before_what_takes_events_of_any_device_away() {
    for taker in [
        ":fromhost-ip, !isequal, \"127.0.0.1\" /var/log/remote.log\n& ~\n",
        "if $syslogfacility-text == \"local0\" then stop\n",
        "if $hostname == \"asa7\" then {\n  /var/log/asa7.log\n  stop\n}\n",
    ] {
        let source = main_with("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n")
            .with("/etc/rsyslog.d/05-remote.conf", taker);
        let collector = decided(&source, &Wish::usual()).unwrap();
        assert_eq!(path(&collector), Path::new("/etc/rsyslog.d/00-cefctl.conf"), "{taker}");
        assert_eq!(ends(&candidate(&source, &collector), Transport::Udp)[0], "127.0.0.1:25226", "{taker}");
    }
}

#[test]
fn a_folder_that_is_read_twice_is_refused_with_both_places() {
    let source = main_with("$IncludeConfig /etc/rsyslog.d/*.conf\n");
    let refusal = decided(&source, &Wish::usual()).unwrap_err();
    assert!(refusal.what.contains("rsyslog.conf:5 and by /etc/rsyslog.conf:9"), "{}", refusal.what);
}

#[test]
fn a_ruleset_in_one_line_is_split_at_its_brace() {
    let source = main_with(
        "module(load=\"imudp\")\nruleset(name=\"fw\"){ action(type=\"omfile\" file=\"/var/log/fw.log\") stop }\n\
         input(type=\"imudp\" port=\"514\" ruleset=\"fw\")\n",
    );
    let collector = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &collector);
    assert_eq!(errors(&config), Vec::<String>::new());
    assert_eq!(ends(&config, Transport::Udp), ["127.0.0.1:25226", "/var/log/fw.log"]);
}

#[test]
fn a_ruleset_of_somebodys_own_calls_ours_and_works_as_before() {
    let source = main_with(
        "module(load=\"imtcp\")\nruleset(name=\"fw\") {\n  action(type=\"omfile\" file=\"/var/log/fw.log\")\n  stop\n}\n\
         input(type=\"imtcp\" port=\"514\" ruleset=\"fw\")\n",
    );
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(collector.insertions.len(), 1);
    let config = candidate(&source, &collector);
    assert_eq!(errors(&config), Vec::<String>::new());
    assert_eq!(ends(&config, Transport::Tcp), ["127.0.0.1:25226", "/var/log/fw.log"]);
    assert_eq!(ends(&config, Transport::Udp), ["127.0.0.1:25226"]);
}

#[test]
fn an_earlier_stop_is_overtaken_by_the_name_or_named() {
    let listeners = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n";
    let source = main_with(listeners).with("/etc/rsyslog.d/05-drop.conf", "if $rawmsg contains \"CEF:\" then stop\n");
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&collector), Path::new("/etc/rsyslog.d/00-cefctl.conf"));
    assert_eq!(ends(&candidate(&source, &collector), Transport::Udp), ["127.0.0.1:25226"]);

    let early = ["module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nlocal4.* stop\n", STOCK].concat();
    let source = MapSource::new().with("/etc/rsyslog.conf", early);
    let refusal = decided(&source, &Wish::usual()).unwrap_err();
    assert!(refusal.what.contains("/etc/rsyslog.conf:3"), "{refusal}");
}

#[test]
fn without_an_include_the_main_file_gets_one_before_its_first_rule() {
    let source =
        MapSource::new().with("/etc/rsyslog.conf", STOCK.replace("$IncludeConfig /etc/rsyslog.d/*.conf\n", ""));
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(collector.insertions.len(), 1);
    let config = candidate(&source, &collector);
    assert_eq!(ends(&config, Transport::Udp), ["127.0.0.1:25226"]);
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_the_place() {
    let hand_made = main_with("if $rawmsg contains \"CEF:\" then @@127.0.0.1:25226\n");
    assert!(decided(&hand_made, &Wish::usual()).unwrap_err().what.contains("rsyslog.conf:9"));
    let tls = main_with(
        "module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
         input(type=\"imtcp\" port=\"514\")\n",
    );
    assert!(decided(&tls, &Wish::usual()).unwrap_err().what.contains("TLS"));
    let bound = main_with("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" address=\"127.0.0.1\")\n");
    assert!(decided(&bound, &Wish::usual()).unwrap_err().what.contains("127.0.0.1 only"));
}

#[test]
fn what_is_set_elsewhere_is_not_set_again() {
    let source = main_with("global(maxMessageSize=\"128k\")\nmodule(load=\"imtcp\")\n");
    let collector = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &collector);
    assert_eq!(errors(&config), Vec::<String>::new());
    assert_eq!(config.setting("maxmessagesize").unwrap().value.to_string(), "128k");
}

/// Name lookups are switched off where nothing rests on them: not where others listen, nor where the box logs under its
/// full name, nor where somebody has decided.
#[test]
fn name_lookups_go_only_where_nobody_misses_them() {
    let off = |rest: &str| {
        let collector = decided(&main_with(rest), &Wish::usual()).unwrap();
        String::from_utf8_lossy(&collector.drop_in.unwrap().1).contains("net.enableDNS")
    };
    assert!(off(""));
    assert!(!off("module(load=\"imudp\")\ninput(type=\"imudp\" port=\"1514\")\n"));
    assert!(!off("$PreserveFQDN on\n"));
    assert!(!off("global(net.enableDNS=\"on\")\n"));
}
