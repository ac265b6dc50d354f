//! What the default configurations of the distributions amount to (fixtures/hosts), as one page each, and the same with
//! what people and earlier tools add to them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use cefctl::host::Root;
use cefctl::syslog::rsyslog::effective::{Effective, Transport};
use cefctl::syslog::rsyslog::lint::lint_with_folder;
use cefctl::syslog::rsyslog::query::{Reach, placement};
use cefctl::syslog::rsyslog::{Severity, Topic};
use cefctl::syslog::source::Overlay;

const MAIN: &str = "/etc/rsyslog.conf";

fn hosts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts");
    let all = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut with_rsyslog: Vec<_> = all.filter(|p| p.join("etc/rsyslog.conf").exists()).collect();
    with_rsyslog.sort();
    with_rsyslog
}

fn name(host: &Path) -> String {
    host.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn default_configurations() {
    assert!(hosts().len() >= 11);
    for host in hosts() {
        let e = Effective::load(Path::new(MAIN), &Root::at(&host));
        insta::assert_snapshot!(name(&host), e.summary());
    }
}

#[test]
fn default_configurations_are_healthy() {
    for host in hosts() {
        let root = Root::at(&host);
        let e = Effective::load(Path::new(MAIN), &root);
        let bad: Vec<_> = lint_with_folder(&e, &root).into_iter().filter(|p| p.severity > Severity::Note).collect();
        // A drop-in folder that the package makes may be empty or missing in the fixture.
        assert_eq!(bad, [], "{}", name(&host));
        assert_eq!(e.listeners, [], "{}", name(&host));
    }
}

/// Everywhere a drop-in stands before the rules that write local files.
#[test]
fn drop_ins_come_before_the_local_files() {
    for host in hosts() {
        let root = Root::at(&host);
        let path = Path::new("/etc/rsyslog.d/00-first.conf");
        let placement =
            placement(Path::new(MAIN), &root, path).unwrap_or_else(|| panic!("{}: not included", name(&host)));
        assert!(placement.before.is_empty(), "{}: {placement:?}", name(&host));
        assert!(!placement.behind.is_empty());
        assert_eq!(placement.in_ruleset, None);
    }
}

/// The first installer's files on every host: events arrive at its rule over both transports.
#[test]
fn the_original_installers_result() {
    const RULE: &str = "\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";
    for host in hosts() {
        let root = Root::at(&host);
        let main = root.read(Path::new(MAIN)).unwrap();
        let listeners = "\n$ModLoad imudp\n$UDPServerRun 514\n$ModLoad imtcp\n$InputTCPServerRun 514\n";
        let changes = [
            (PathBuf::from(MAIN), Some([main.as_slice(), listeners.as_bytes()].concat())),
            (PathBuf::from("/etc/rsyslog.d/security-config-omsagent.conf"), Some(RULE.as_bytes().to_vec())),
        ];
        let e = Effective::load(Path::new(MAIN), &Overlay { base: &root, changes: changes.into() });
        let (forward, target) = e.forwards_to(25226)[0];
        assert_eq!((target.transport, forward.queue.on_disk()), (Transport::Tcp, false));
        for transport in [Transport::Udp, Transport::Tcp] {
            let listener = e.taker(514, transport, None).unwrap();
            let event = e.event_at(listener, b"<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1");
            assert_eq!(e.reach(listener, &event, forward.id), Reach::Yes, "{}", name(&host));
            let trace = e.trace_from(&event, listener);
            let local = trace.visits.iter().filter(|v| e.actions[v.action].module == "omfile").count();
            assert!(local >= 1, "{}: the event is written locally as well", name(&host));
        }
    }
}

/// One drop-in with a slip in it takes everything behind it away, the distribution's own rules too.
#[test]
fn a_syntax_error_in_a_drop_in() {
    for host in hosts() {
        let root = Root::at(&host);
        let bad = b"if $msg contains \"x\" the { stop }\n".to_vec();
        let changes = [(PathBuf::from("/etc/rsyslog.d/01-bad.conf"), Some(bad))];
        let e = Effective::load(Path::new(MAIN), &Overlay { base: &root, changes: changes.into() });
        assert_eq!(e.stopped.as_ref().unwrap().at.to_string(), "/etc/rsyslog.d/01-bad.conf:1");
        assert!(e.actions.is_empty(), "{}", name(&host));
    }
}

/// Both AMA files and ours: which come first, who sees what.
#[test]
fn names_decide_the_order() {
    let ama = "template(name=\"AMA_RSYSLOG_TraditionalForwardFormat\" type=\"string\" string=\"<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\")\n\
        *.* action(type=\"omfwd\" template=\"AMA_RSYSLOG_TraditionalForwardFormat\" queue.type=\"LinkedList\" \
        queue.filename=\"omfwd-azuremonitoragent\" queue.maxFileSize=\"32m\" queue.maxDiskSpace=\"1g\" action.resumeRetryCount=\"-1\" \
        target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";
    let ours = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nif $rawmsg contains \"CEF:\" then stop\n";
    for host in hosts() {
        let root = Root::at(&host);
        for (own, reached) in [("05-own.conf", false), ("60-own.conf", true)] {
            let changes = [
                (PathBuf::from("/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf"), Some(ama.as_bytes().to_vec())),
                (PathBuf::from("/etc/rsyslog.d").join(own), Some(ours.as_bytes().to_vec())),
            ];
            let e = Effective::load(Path::new(MAIN), &Overlay { base: &root, changes: changes.into() });
            let (forward, _) = e.forwards_to(28330)[0];
            assert!(forward.queue.on_disk() && forward.resume_retries == -1 && forward.queue.max_disk == 1 << 30);
            let listener = &e.listeners_on(514, Transport::Udp)[0];
            let event = e.event_at(listener, b"<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1");
            match (e.reach(listener, &event, forward.id), reached) {
                (Reach::Yes, true) => {}
                (Reach::Stopped { stop }, false) => assert!(stop.at.to_string().ends_with("05-own.conf:3")),
                other => panic!("{} {own}: {other:?}", name(&host)),
            }
            assert!(e.problems.iter().all(|p| p.topic != Topic::Syntax));
        }
    }
}
