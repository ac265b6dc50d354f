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
