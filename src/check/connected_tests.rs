use super::*;
use crate::check::facts::{Bytes, Facts, OwnLine, SizedFile};
use crate::check::fixture::*;
use crate::host::proc_net::SocketState;
use crate::report::Status;

#[test]
fn connected_passes_and_not_yet_connected_too() {
    let mut facts = healthy();
    assert_eq!(judge(connected, &facts).summary, "the daemon is connected to port 25226");
    sockets(&mut facts).retain(|s| s.remote.port() != 25226);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Pass);
    assert!(o.summary.contains("with the first event"), "{}", o.summary);
}

#[test]
fn somebody_elses_connection_is_not_the_daemons() {
    let mut facts = healthy();
    sockets(&mut facts).iter_mut().filter(|s| s.remote.port() == 25226).for_each(|s| s.owners = vec![AGENT]);
    facts.rsyslog.own_lines = Ok(vec![OwnLine {
        source: "journal".into(),
        text: "action 'cef_fwd' suspended (module 'builtin:omfwd'), retry 0 [try https://www.rsyslog.com/e/2007 ]"
            .into(),
    }]);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.evidence.iter().any(|e| e.text.contains("suspended")));
    if let Ok(lines) = &mut facts.rsyslog.own_lines {
        let text = "action 'cef_fwd' resumed (module 'builtin:omfwd') [try https://www.rsyslog.com/e/2359 ]".into();
        lines.push(OwnLine { source: "journal".into(), text });
    }
    assert_eq!(judge(connected, &facts).status, Status::Pass);
    facts.net.as_mut().unwrap().owners_complete = false;
    sockets(&mut facts).iter_mut().for_each(|s| s.owners.clear());
    assert_eq!(judge(connected, &facts).status, Status::Unknown);
}

#[test]
fn events_on_disk_without_a_connection_warn() {
    let mut facts = healthy();
    let file = |name: &str, size| SizedFile { path: format!("/var/spool/rsyslog/{name}"), size };
    facts.rsyslog.spools[0].files =
        Ok(vec![file("cef_fwd.00000001", 3 << 20), file("cef_fwd.qi", 500), file("other.00000001", 9)]);
    assert_eq!(judge(connected, &facts).status, Status::Pass);
    close(&mut facts, Transport::Udp, |_| false);
    sockets(&mut facts).retain(|s| s.remote.port() != 25226);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.evidence.iter().any(|e| e.text == "3.0 MiB of events wait on disk"), "{o:?}");
}

#[test]
fn an_agent_that_takes_too_slowly_warns() {
    let mut facts = healthy();
    sockets(&mut facts).iter_mut().filter(|s| s.remote.port() == 25226).for_each(|s| s.send_queue = 3 << 20);
    assert_eq!(judge(connected, &facts).status, Status::Pass);
    let file = SizedFile { path: "/var/spool/rsyslog/cef_fwd.00000002".into(), size: 90 << 20 };
    facts.rsyslog.spools[0].files = Ok(vec![file]);
    assert_eq!(judge(connected, &facts).status, Status::Warn);
}

fn unanswered(facts: &mut Facts, took_ms: u64) {
    let probe = ProbeFacts {
        sent: Bytes(b"<164>x".to_vec()),
        to: "127.0.0.1:514".into(),
        send_error: None,
        blind: None,
        seen_at_listener: Some(true),
        arrived: None,
        took_ms,
    };
    facts.probe.insert(Transport::Udp, probe);
}

#[test]
fn an_agent_that_reads_nothing_fails_once_a_test_event_shows_it() {
    let mut facts = healthy();
    sockets(&mut facts).iter_mut().filter(|s| s.remote.port() == 25226).for_each(|s| s.send_queue = 300);
    assert_eq!(judge(connected, &facts).status, Status::Pass);
    unanswered(&mut facts, 1000);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("does not read"), "{}", o.summary);
}

#[test]
fn an_agent_that_hangs_up_fails() {
    let mut facts = healthy();
    let mine = |s: &&mut Socket| s.remote.port() == 25226;
    sockets(&mut facts).iter_mut().filter(mine).for_each(|s| s.state = SocketState::CloseWait);
    // As after a restart of the agent: the daemon notices with the next event.
    assert_eq!(judge(connected, &facts).status, Status::Pass);
    unanswered(&mut facts, 1000);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("hangs up"), "{}", o.summary);
}

#[test]
fn a_connection_that_is_gone_after_an_event_was_closed_by_somebody() {
    let mut facts = healthy();
    sockets(&mut facts).retain(|s| s.remote.port() != 25226);
    unanswered(&mut facts, 5);
    facts.probe.values_mut().for_each(|p| p.arrived = Some(Bytes(b"<164>x".to_vec())));
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("hangs up"), "{}", o.summary);
}

#[test]
fn a_daemon_that_had_its_time_and_is_not_connected_fails() {
    let mut facts = healthy();
    sockets(&mut facts).retain(|s| s.remote.port() != 25226);
    unanswered(&mut facts, 60_000);
    let o = judge(connected, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("does not get through"), "{}", o.summary);
}
