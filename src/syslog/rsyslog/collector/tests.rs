//! Decisions on small configurations, each judged by what the candidate configuration then does with sample events.

use std::path::Path;

use super::*;
use crate::syslog::collector::TlsWish;
use crate::syslog::source::{MapSource, Overlay};

mod choice;

const STOCK: &str = "module(load=\"imuxsock\")\n#module(load=\"imudp\")\n#input(type=\"imudp\" port=\"514\")\n\
                     $WorkDirectory /var/spool/rsyslog\n$IncludeConfig /etc/rsyslog.d/*.conf\n\
                     auth,authpriv.* /var/log/auth.log\n*.*;auth,authpriv.none -/var/log/syslog\n*.emerg :omusrmsg:*\n";

fn main_with(rest: &str) -> MapSource {
    MapSource::new().with("/etc/rsyslog.conf", [STOCK, rest].concat())
}

fn decided(source: &MapSource, wish: &Wish) -> Result<Collector, Refusal> {
    decided_with(source, wish, wish.tls.is_some())
}

fn decided_with(source: &MapSource, wish: &Wish, imptcp: bool) -> Result<Collector, Refusal> {
    decided_on(source, wish, (8, 2302, 0), vec![TlsDriver::GnuTls, TlsDriver::OpenSsl], imptcp)
}

fn decided_by(
    source: &MapSource,
    wish: &Wish,
    version: (u32, u32, u32),
    tls_drivers: Vec<TlsDriver>,
) -> Result<Collector, Refusal> {
    decided_on(source, wish, version, tls_drivers, true)
}

fn decided_on(
    source: &MapSource,
    wish: &Wish,
    version: (u32, u32, u32),
    tls_drivers: Vec<TlsDriver>,
    imptcp: bool,
) -> Result<Collector, Refusal> {
    let config = Effective::load(Path::new("/etc/rsyslog.conf"), source);
    let found = Found {
        config: &config,
        source,
        version,
        work_directory: "/var/spool/rsyslog".into(),
        imptcp,
        tls_drivers,
        tls_hint: "install it".into(),
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
fn limits_of_a_used_listener_are_named() {
    let source = main_with(
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" rateLimit.interval=\"5\" rateLimit.burst=\"20\")\n\
         $MaxMessageSize 2k\n",
    );
    let notes = decided(&source, &Wish::usual()).unwrap().notes;
    assert!(notes.iter().any(|n| n.contains("rsyslog.conf:10 takes no more than 20 events in 5 s")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("2k bytes are cut (maxMessageSize at /etc/rsyslog.conf:11)")), "{notes:?}");
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
fn an_earlier_stop_is_overtaken_by_the_name_or_by_a_block() {
    let listeners = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n";
    let source = main_with(listeners).with("/etc/rsyslog.d/05-drop.conf", "if $rawmsg contains \"CEF:\" then stop\n");
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&collector), Path::new("/etc/rsyslog.d/00-cefctl.conf"));
    assert_eq!(ends(&candidate(&source, &collector), Transport::Udp), ["127.0.0.1:25226"]);

    let early = ["module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nlocal4.* stop\n", STOCK].concat();
    let source = MapSource::new().with("/etc/rsyslog.conf", early);
    let collector = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(ends(&candidate(&source, &collector), Transport::Udp), ["127.0.0.1:25226"]);
}

#[test]
fn a_rule_above_the_includes_that_takes_some_devices_events_is_overtaken_and_keeps_its_file() {
    for taker in [
        "if $fromhost-ip == '10.0.0.5' then { action(type=\"omfile\" file=\"/var/log/fw.log\") stop }\n",
        ":fromhost-ip, startswith, \"10.\" /var/log/fw.log\n& stop\n",
        "local3.* /var/log/fw.log\n& ~\n",
    ] {
        let top = ["module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n", taker, STOCK].concat();
        let source = MapSource::new().with("/etc/rsyslog.conf", top.as_str());
        let collector = decided(&source, &Wish::usual()).unwrap();
        assert_eq!(collector.insertions.len(), 1, "{taker}");
        // a file of somebody's goes on being fed
        assert!(collector.notes.iter().any(|n| n.contains("rsyslog.conf:3 already gets")), "{:?}", collector.notes);
        let config = candidate(&source, &collector);
        let listener = config.taker(514, Transport::Udp, None).unwrap();
        assert_eq!(reach::diverted(&config, listener, &Wish::usual()), None, "{taker}");
        assert_eq!(ends(&config, Transport::Udp), ["127.0.0.1:25226", "/var/log/syslog"], "{taker}");
        // The Azure Monitor Agent's own forward cannot be moved.
        let source = source.with(
            "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf",
            "*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"28330\" protocol=\"tcp\")\n",
        );
        let agent = crate::agent::AgentTarget { kind: AgentKind::Ama, port: 28330 };
        let collector = decided(&source, &Wish { agent, ..Wish::usual() }).unwrap();
        assert!(collector.notes.iter().any(|n| n.contains("rsyslog.conf:3 takes")), "{:?}", collector.notes);
    }
    // What this asks for stands in the message only where a colon comes before the id.
    let asa = ":msg, regex, \"%ASA-[0-9]-\" /var/log/fw.log\n& ~\n";
    let top = ["module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n", asa, STOCK].concat();
    let source = MapSource::new().with("/etc/rsyslog.conf", top);
    assert_eq!(decided(&source, &Wish::usual()).unwrap().insertions.len(), 1);
    // What no device sends with is no reason to touch the file.
    let top = ["module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nmail.* /var/log/m\n& stop\n", STOCK];
    let source = MapSource::new().with("/etc/rsyslog.conf", top.concat());
    assert_eq!(decided(&source, &Wish::usual()).unwrap().insertions, []);
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
fn an_include_that_leaves_out_our_usual_name_gets_another_one() {
    let narrow = MapSource::new().with("/etc/rsyslog.conf", STOCK.replace("/*.conf", "/[2-9]*.conf"));
    let collector = decided(&narrow, &Wish::usual()).unwrap();
    assert_eq!(collector.insertions, []);
    assert_eq!(ends(&candidate(&narrow, &collector), Transport::Udp), ["127.0.0.1:25226"]);
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
    // At another port it leaves ours to plain senders, but not to imtcp.
    let beside = main_with(
        "module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
         input(type=\"imtcp\" port=\"6514\")\n",
    );
    assert!(decided(&beside, &Wish::usual()).unwrap_err().what.contains("rsyslog.conf:9"));
    let collector = decided_with(&beside, &Wish::usual(), true).unwrap();
    let text = String::from_utf8(collector.drop_in.unwrap().1).unwrap();
    assert!(text.contains("input(type=\"imptcp\" name=\"cefctl_tcp\""), "{text}");
    // The kernel refuses a second TCP socket.
    let bound = main_with("module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\" address=\"127.0.0.1\")\n");
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

fn with_tls() -> Wish {
    let tls = TlsWish { port: 6514, certificate: "/c.pem".into(), key: "/k.pem".into(), authority: "/a.pem".into() };
    Wish { tls: Some(tls), ..Wish::usual() }
}

/// Port, module and driver of each TLS listener.
fn over_tls(config: &Effective) -> Vec<String> {
    let tls = config.listeners.iter().filter_map(|l| Some((l, l.tls.as_ref()?)));
    tls.map(|(l, tls)| format!("{} {} {} {}", l.module, l.port, tls.driver, tls.auth_mode)).collect()
}

#[test]
fn a_tls_listener_beside_the_plain_ones() {
    for (version, words) in
        [((8, 2302, 0), "streamDriver.keyFile=\"/k.pem\""), ((8, 2102, 0), "DriverKeyFile=\"/k.pem\"")]
    {
        let both = vec![TlsDriver::GnuTls, TlsDriver::OpenSsl];
        let source = main_with("");
        let collector = decided_by(&source, &with_tls(), version, both).unwrap();
        let config = candidate(&source, &collector);
        assert_eq!(errors(&config), Vec::<String>::new());
        assert_eq!(over_tls(&config), ["imtcp 6514 gtls anon"], "{version:?}");
        assert_eq!((ends(&config, Transport::Udp), ends(&config, Transport::Tcp)).0, ["127.0.0.1:25226"]);
        assert_eq!(ends(&config, Transport::Tcp), ["127.0.0.1:25226"]);
        let text = String::from_utf8(collector.drop_in.unwrap().1).unwrap();
        assert!(text.contains(words), "{text}");
        assert_eq!(collector.intakes.iter().filter(|i| i.tls && i.reused.is_none()).count(), 1);
    }
}

#[test]
fn the_driver_that_the_daemon_uses_already_and_none_without_one() {
    let source = main_with("global(defaultNetstreamDriver=\"ossl\")\n");
    let both = vec![TlsDriver::GnuTls, TlsDriver::OpenSsl];
    let collector = decided_by(&source, &with_tls(), (8, 2302, 0), both).unwrap();
    assert_eq!(over_tls(&candidate(&source, &collector)), ["imtcp 6514 ossl anon"]);
    let refusal = decided_by(&main_with(""), &with_tls(), (8, 2302, 0), vec![]).unwrap_err();
    assert!(refusal.what.contains("no driver"), "{refusal}");
}

const THEIRS: &str = "module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/name\")\n\
                      input(type=\"imtcp\" port=\"6514\")\n";

#[test]
fn a_tls_listener_that_is_there_is_used_and_plain_tcp_goes_beside_it() {
    for version in [(8, 2302, 0), (8, 2102, 0)] {
        let source = main_with(THEIRS);
        let collector = decided_by(&source, &with_tls(), version, vec![]).unwrap();
        let config = candidate(&source, &collector);
        assert_eq!(errors(&config), Vec::<String>::new());
        assert_eq!(over_tls(&config), ["imtcp 6514 ossl x509/name"]);
        let plain = config.taker(514, Transport::Tcp, None).unwrap();
        assert!(plain.module.is("imptcp") && plain.tls.is_none());
        assert!(collector.intakes.iter().any(|i| i.tls && i.reused.is_some()));
        let tls = config.listeners.iter().find(|l| l.tls.is_some()).unwrap();
        assert_eq!(reach::forwarded(&config, tls, &with_tls()), Ok(()));
    }
}

#[test]
fn what_an_old_version_cannot_have_beside_is_refused_with_the_place() {
    let refusal = |rest: &str, version| {
        let all = vec![TlsDriver::GnuTls];
        decided_by(&main_with(rest), &with_tls(), version, all).err().map(|r| format!("{} ({})", r.what, r.hint))
    };
    let plain = "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"1514\")\n";
    assert_eq!(refusal(plain, (8, 2302, 0)), None);
    let old = refusal(plain, (8, 2102, 0)).unwrap();
    assert!(old.contains("rsyslog.conf:9") && old.contains("imptcp"), "{old}");
    let certificate =
        "global(defaultNetstreamDriverCertFile=\"/other.pem\" defaultNetstreamDriverKeyFile=\"/k.pem\")\n";
    assert_eq!(refusal(certificate, (8, 2302, 0)), None);
    let old = refusal(certificate, (8, 2102, 0)).unwrap();
    assert!(old.contains("one certificate for the whole daemon") && old.contains("/other.pem"), "{old}");
    let same = "$DefaultNetstreamDriverCAFile /any.pem\n$DefaultNetstreamDriverCertFile /c.pem\n$DefaultNetstreamDriverKeyFile /k.pem\n";
    assert_eq!(refusal(same, (8, 2102, 0)), None);
    // a listener without TLS on that port
    let other = refusal("module(load=\"imptcp\")\ninput(type=\"imptcp\" port=\"6514\")\n", (8, 2302, 0)).unwrap();
    assert!(other.contains("without TLS") && other.contains("--tls-port"), "{other}");
}
