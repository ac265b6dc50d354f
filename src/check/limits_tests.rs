use std::net::SocketAddr;

use super::*;
use crate::check::facts::{Bytes, Facts, ProbeFacts};
use crate::check::fixture::*;
use crate::report::Status;

fn with(from: &str, to: &str) -> Facts {
    assert!(DROP_IN.contains(from), "{from}");
    with_drop_in(&DROP_IN.replace(from, to))
}

#[test]
fn narrow_limits_warn_one_by_one() {
    let warns = |facts: &Facts, word: &str| {
        let o = judge(limits, facts);
        assert_eq!(o.status, Status::Warn, "{o:?}");
        assert!(o.summary.contains(word), "{}", o.summary);
    };
    warns(&with("maxMessageSize=\"64k\"", ""), "cut at 8096 bytes");
    let mut facts = healthy();
    sockets(&mut facts).iter_mut().for_each(|s| s.recv_buffer = Some(212_992));
    warns(&facts, "receive buffer of 104.0 KiB");
    let trickle = with("rcvbufSize=\"8m\"", "rcvbufSize=\"8m\" ratelimit.interval=\"5\" ratelimit.burst=\"2\"");
    let o = judge(limits, &trickle);
    assert!(o.status == Status::Fail && o.summary.contains("more than 2 messages in 5 s are thrown away"), "{o:?}");
    let limited = with("rcvbufSize=\"8m\"", "rcvbufSize=\"8m\" ratelimit.interval=\"5\" ratelimit.burst=\"100\"");
    warns(&limited, "more than 100 messages in 5 s");
    let mut facts = healthy();
    sockets(&mut facts)[0].drops = Some(17);
    warns(&facts, "17 datagrams dropped");
    let mut facts = healthy();
    for n in 0..450u16 {
        let mut s = socket(Transport::Tcp, "192.0.2.1:514", DAEMON);
        s.state = SocketState::Established;
        s.remote = SocketAddr::from(([192, 0, 2, 9], 10_000 + n));
        sockets(&mut facts).push(s);
    }
    warns(&facts, "450 of 500 TCP sessions");
}

#[test]
fn a_limit_that_the_test_event_was_lost_by_fails() {
    let mut facts = with("rcvbufSize=\"8m\"", "rcvbufSize=\"8m\" ratelimit.interval=\"60\" ratelimit.burst=\"900\"");
    let line = Bytes(b"<164>Aug  1 10:00:00 c1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Self test|1|".to_vec());
    let mut probe = ProbeFacts {
        sent: line.clone(),
        to: "127.0.0.1:514".into(),
        send_error: None,
        blind: None,
        seen_at_listener: Some(true),
        arrived: None,
        took_ms: 1000,
    };
    facts.probe.insert(Transport::Udp, probe.clone());
    let o = judge(limits, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("lost: more than 900 messages in 60 s"), "{}", o.summary);
    probe.arrived = Some(line);
    facts.probe.insert(Transport::Udp, probe);
    assert_eq!(judge(limits, &facts).status, Status::Warn);
}

#[test]
fn slow_name_lookups_warn_where_the_daemon_does_them() {
    let mut facts = healthy();
    facts.host.reverse_lookup_ms = Some(20);
    assert_eq!(judge(limits, &facts).status, Status::Pass);
    facts.host.reverse_lookup_ms = Some(1000);
    assert!(judge(limits, &facts).summary.contains("takes 1000 ms"));
    facts.processes.get_mut(&DAEMON).unwrap().cmdline = vec!["rsyslogd".into(), "-n".into(), "-x".into()];
    assert_eq!(judge(limits, &facts).status, Status::Pass);
    let mut facts = with("global(", "global(net.enableDNS=\"off\" ");
    facts.host.reverse_lookup_ms = Some(1000);
    assert_eq!(judge(limits, &facts).status, Status::Pass);
    assert_eq!(judge(limits, &with_drop_in("")).status, Status::Skip);
}

/// The ports for TLS and for senders that count octets are looked at like the usual one.
#[test]
fn every_port_whose_events_go_the_same_way_counts() {
    let more = "input(type=\"imtcp\" name=\"more\" port=\"6514\" maxSessions=\"5\" ruleset=\"cefctl_in\")\n";
    let mut facts = with_drop_in(&format!("{DROP_IN}{more}"));
    for n in 0..5u16 {
        let mut s = socket(Transport::Tcp, "192.0.2.1:6514", DAEMON);
        s.state = SocketState::Established;
        s.remote = SocketAddr::from(([192, 0, 2, 9], 10_000 + n));
        sockets(&mut facts).push(s);
    }
    let out = judge(limits, &facts);
    assert!(out.status == Status::Warn && out.summary.contains("5 of 5 TCP sessions"), "{out:?}");
    let elsewhere = more.replace("cefctl_in", "other").replace("6514", "7000");
    let out = judge(limits, &with_drop_in(&format!("ruleset(name=\"other\") {{ stop }}\n{DROP_IN}{elsewhere}")));
    assert_eq!(out.status, Status::Pass, "{out:?}");
}
