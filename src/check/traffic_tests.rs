use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::check::fixture;
use crate::message::lint::frames::Framing;
use crate::message::lint::lint;
use crate::message::lint::tally::Arrival;
use crate::report::Status;

const GOOD: &str = "<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|id|name|5|src=10.0.0.1";

/// A healthy box on which these messages arrived at 10:00 of 2026-08-01, within two seconds.
fn facts(messages: &[&str]) -> Facts {
    let mut seen = Traffic { milliseconds: 2000, ..Traffic::default() };
    let now = Arrival { time: Timestamp::new(1_785_578_400, 0).ok(), zone: TimeZone::UTC };
    for message in messages {
        seen.tally.add("10.0.0.7", "udp", &lint(message.as_bytes(), Framing::Datagram), &now);
    }
    let mut facts = fixture::healthy();
    facts.traffic = Some(TrafficFacts { seen, dropped: Some(0), ..TrafficFacts::default() });
    facts
}

fn of(check: fn(&Case<'_>) -> Judged, facts: &Facts) -> (Status, String) {
    let out = fixture::judge(check, facts);
    (out.status, out.summary)
}

#[test]
fn without_a_watch_only_the_counters_are_judged() {
    let facts = fixture::healthy();
    for check in [arriving, format, time, rate] {
        let (status, summary) = of(check, &facts);
        assert!(status == Status::Skip && summary.contains("--watch"), "{summary}");
    }
}

#[test]
fn arriving_nothing_blind_encrypted() {
    assert_eq!(of(arriving, &facts(&[GOOD, GOOD])), (Status::Pass, "2 messages from 1 sender within 2 s".into()));
    let mut none = facts(&[]);
    assert_eq!(of(arriving, &none).0, Status::Warn);
    none.traffic.as_mut().unwrap().seen.encrypted = vec!["10.0.0.8".into()];
    assert_eq!(of(arriving, &none).0, Status::Pass);
    assert_eq!(of(format, &none).0, Status::Skip);
    none.traffic.as_mut().unwrap().seen.blind = Some("no permission".into());
    assert_eq!(of(arriving, &none), (Status::Unknown, "no permission".into()));
}

#[test]
fn a_rebuilt_header_is_no_fault_where_the_rule_is_there() {
    let mut facts = facts(&[GOOD, "<164>CEF:0|V|P|1|id|name|5|x=y"]);
    facts.receipt = Ok(None);
    assert_eq!(of(format, &facts).0, Status::Fail);
    let file = crate::check::facts::ReceiptFile {
        path: "/f".into(),
        sha256: String::new(),
        state: FileState::AsWritten,
        immutable: None,
    };
    let receipt = crate::check::facts::ReceiptFacts { files: vec![file], ..Default::default() };
    facts.receipt = Ok(Some(receipt));
    assert_eq!(of(format, &facts).0, Status::Pass);
}

#[test]
fn formats_and_what_to_change() {
    assert_eq!(of(format, &facts(&[GOOD])).0, Status::Pass);
    assert_eq!(of(format, &facts(&[GOOD, "<30>Aug  1 10:00:00 h sshd[1]: x"])).0, Status::Warn);
    let lost = facts(&[GOOD, "<134>Aug  1 10:00:00 fw LEEF:1.0|V|P|1|x|a=b"]);
    let out = fixture::judge(format, &lost);
    assert_eq!(out.status, Status::Fail);
    assert!(out.advice.unwrap().summary.contains("10.0.0.7: choose CEF instead of LEEF"));
    assert!(out.evidence.iter().all(|e| e.source == "10.0.0.7 udp") && !out.evidence.is_empty());
}

#[test]
fn clocks() {
    assert_eq!(of(time, &facts(&[GOOD])).0, Status::Pass);
    let (status, _) = of(time, &facts(&[&GOOD.replace("10:00:00", "12:00:00")]));
    assert_eq!(status, Status::Warn);
    let out = fixture::judge(time, &facts(&[&GOOD.replace("10:00:00", "12:00:00")]));
    assert!(
        out.evidence[0].text.contains("2 h ahead") && out.evidence[0].text.contains("time zone"),
        "{:?}",
        out.evidence
    );
    assert_eq!(of(time, &facts(&["<164>CEF:0|V|P|1|id|name|5|x=y"])).0, Status::Skip);
}

#[test]
fn loss_now_and_before() {
    let mut facts = facts(&[GOOD]);
    assert_eq!(of(loss, &facts).0, Status::Pass);
    let port =
        facts.net.as_mut().unwrap().sockets.iter_mut().find(|s| s.transport == Transport::Udp && s.local.port() == 514);
    port.unwrap().drops = Some(7);
    assert_eq!(of(loss, &facts).0, Status::Pass, "not now");
    facts.traffic.as_mut().unwrap().dropped = Some(3);
    assert_eq!(of(loss, &facts).0, Status::Fail);
    facts.traffic = None;
    assert_eq!(of(loss, &facts), (Status::Warn, "7 datagrams were thrown away since the port was opened".into()));
    // A buffer that is as large as ours is no matter for `install`, nor one that somebody else set.
    let advice = |facts: &Facts| fixture::judge(loss, facts).advice.unwrap();
    assert!(!advice(&facts).fixable && advice(&facts).summary.contains("as large as"));
    facts.net.as_mut().unwrap().sockets.iter_mut().for_each(|s| s.recv_buffer = Some(212_992));
    assert!(!advice(&facts).fixable && advice(&facts).summary.contains("larger receive buffer"));
}

#[test]
fn too_many_a_second() {
    assert_eq!(of(rate, &facts(&[GOOD])).0, Status::Pass);
    let mut facts = facts(&[GOOD]);
    facts.traffic.as_mut().unwrap().seen.tally.messages = 20_000;
    assert_eq!(of(rate, &facts).0, Status::Warn);
}

#[test]
fn what_the_machine_lost_is_told_and_only_the_network_cards_are_judged() {
    let mut facts = facts(&[GOOD]);
    facts.net.as_mut().unwrap().lost.full_buffers = Some(40);
    let out = fixture::judge(loss, &facts);
    assert_eq!(out.status, Status::Pass, "{out:?}");
    assert!(out.evidence.iter().any(|e| format!("{e:?}").contains("40 datagrams thrown away")), "{out:?}");
    facts.traffic.as_mut().unwrap().lost.missed = [("eth0".to_owned(), 7)].into();
    let (status, summary) = of(loss, &facts);
    assert!(status == Status::Fail && summary.contains("threw 7 packets away"), "{summary}");
}
