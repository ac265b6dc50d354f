use super::*;
use crate::check::facts::{Bytes, CertificateFacts, Facts, ProbeFacts, ReceiptFacts, ReceiptFile, TlsProbe};
use crate::check::fixture::*;
use crate::check::target::Target;
use crate::report::Status;

fn status(check: fn(&Case<'_>) -> Judged, facts: &Facts) -> (Status, Option<&'static str>) {
    let o = judge(check, facts);
    (o.status, o.blocked_by)
}

const PASS: (Status, Option<&str>) = (Status::Pass, None);
const FAIL: (Status, Option<&str>) = (Status::Fail, None);
const WARN: (Status, Option<&str>) = (Status::Warn, None);
const TAKEN: (Status, Option<&str>) = (Status::Skip, Some("listen.owner"));

/// Another program beside the daemon.
fn other(facts: &mut Facts) -> u32 {
    let nc = Process { pid: 99, comm: "nc".into(), unit: Some("session-1.scope".into()), ..Process::default() };
    facts.processes.insert(99, nc);
    99
}

#[test]
fn a_daemon_that_is_restarted_meanwhile_is_no_other_program() {
    let of = |owners: Vec<u32>, unit: Option<&str>| {
        let mut facts = healthy();
        facts.processes.insert(4711, Process { pid: 4711, unit: unit.map(str::to_owned), ..Process::default() });
        facts.units.as_mut().unwrap().get_mut("rsyslog.service").unwrap().since = Some(facts.taken - 1);
        let on_port = |s: &&mut Socket| s.is_open() && s.local.port() == 514;
        sockets(&mut facts).iter_mut().filter(on_port).for_each(|s| s.owners.clone_from(&owners));
        judge(owner, &facts).status
    };
    assert_eq!(of(vec![4711], Some("rsyslog.service")), Status::Pass);
    assert_eq!(of(vec![4711], Some("other.service")), Status::Fail);
    assert_eq!(of(vec![], None), Status::Unknown);
}

#[test]
fn a_healthy_box_passes_over_both_families() {
    let facts = healthy();
    let o = judge(udp, &facts);
    assert_eq!((o.status, o.summary.as_str()), (Status::Pass, "udp/514 is open over IPv4 and IPv6"));
    assert_eq!(status(tcp, &facts), PASS);
    assert_eq!(status(owner, &facts), PASS);
}

#[test]
fn a_family_that_is_not_open_fails_and_is_named() {
    let mut facts = healthy();
    close(&mut facts, Transport::Udp, |a| a.is_ipv4());
    let o = judge(udp, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("not open over IPv4"), "{}", o.summary);
    assert_eq!(status(tcp, &facts), PASS);
    let mut facts = healthy();
    close(&mut facts, Transport::Tcp, |a| a.is_ipv6());
    assert!(judge(tcp, &facts).summary.contains("not open over IPv6"));
    facts.host.ipv6 = false;
    assert_eq!(status(tcp, &facts), PASS);
}

#[test]
fn a_family_the_daemon_was_told_to_leave_alone_is_not_missed() {
    let mut facts = healthy();
    close(&mut facts, Transport::Udp, |a| a.is_ipv6());
    assert_eq!(status(udp, &facts), (Status::Warn, None));
    facts.processes.get_mut(&DAEMON).unwrap().cmdline = vec!["rsyslogd".into(), "-n".into(), "-4".into()];
    assert_eq!(status(udp, &facts), PASS);
    let mut facts = with_drop_in(&DROP_IN.replace("global(", "global(net.ipprotocol=\"ipv4-only\" "));
    close(&mut facts, Transport::Udp, |a| a.is_ipv6());
    assert_eq!(status(udp, &facts), PASS);
}

#[test]
fn a_dual_stack_socket_serves_both() {
    let mut facts = healthy();
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    let mut dual = socket(Transport::Tcp, "[::]:514", DAEMON);
    dual.v6only = Some(false);
    sockets(&mut facts).push(dual);
    assert_eq!(status(tcp, &facts), PASS);
}

#[test]
fn an_address_of_one_family_is_the_users_choice() {
    let facts_of = |address: &str| {
        let text = DROP_IN.replace("input(type=\"imudp\"", &format!("input(type=\"imudp\" address=\"{address}\""));
        let mut facts = with_drop_in(&text);
        close(&mut facts, Transport::Udp, |_| true);
        facts
    };
    let mut facts = facts_of("0.0.0.0");
    add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", DAEMON);
    let o = judge(udp, &facts);
    assert_eq!((o.status, o.summary.as_str()), (Status::Pass, "udp/514 is open over IPv4, as configured"));
    // What devices use is IPv4.
    let mut facts = facts_of("::");
    add_socket(&mut facts, Transport::Udp, "[::]:514", DAEMON);
    if let Some(socket) = facts.net.as_mut().ok().and_then(|n| n.sockets.last_mut()) {
        socket.v6only = Some(true);
    }
    let o = judge(udp, &facts);
    assert!(o.status == Status::Fail && o.summary.contains("IPv6 senders only"), "{}", o.summary);
    let source = Target { source: Some("2001:db8::9".parse().unwrap()), ..Target::default() };
    assert_eq!(judge_for(udp, &facts, &source).status, Status::Warn);
    let mut facts = facts_of("192.0.2.1");
    add_socket(&mut facts, Transport::Udp, "192.0.2.1:514", DAEMON);
    assert_eq!(status(udp, &facts), PASS);
    // rsyslog opens a socket on an address that no interface has, and nothing ever comes there.
    let mut facts = facts_of("192.0.2.7");
    add_socket(&mut facts, Transport::Udp, "192.0.2.7:514", DAEMON);
    let o = judge(udp, &facts);
    assert!(o.status == Status::Fail && o.summary.contains("no address of this box"), "{}", o.summary);
    let mut facts = facts_of("127.0.0.1");
    add_socket(&mut facts, Transport::Udp, "127.0.0.1:514", DAEMON);
    let o = judge(udp, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("loopback only"), "{}", o.summary);
}

#[test]
fn nothing_configured_fails_one_of_two_warns() {
    let none = "module(load=\"imudp\")\n";
    let mut facts = with_drop_in(none);
    close(&mut facts, Transport::Udp, |_| true);
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    assert_eq!((status(udp, &facts), status(tcp, &facts)), (FAIL, FAIL));
    let tcp_only = DROP_IN.replace("input(type=\"imudp\"", "#");
    let mut facts = with_drop_in(&tcp_only);
    close(&mut facts, Transport::Udp, |_| true);
    assert_eq!((status(udp, &facts), status(tcp, &facts)), (WARN, PASS));
    // Somebody counts on UDP.
    let promise = |protocols: &[Transport]| Target {
        promised: protocols.to_vec(),
        promised_by: "--protocol".into(),
        ..Target::default()
    };
    assert_eq!(judge_for(udp, &facts, &promise(&[Transport::Udp, Transport::Tcp])).status, Status::Fail);
    assert_eq!(judge_for(udp, &facts, &promise(&[Transport::Tcp])).status, Status::Skip);
}

#[test]
fn open_but_no_longer_configured_fails_and_names_the_missing_file() {
    let mut facts = healthy();
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN)]);
    let missing =
        ReceiptFile { path: DROP_IN_PATH.into(), sha256: String::new(), state: FileState::Missing, immutable: None };
    facts.receipt = Ok(Some(ReceiptFacts {
        path: "/var/lib/cefctl/receipt.json".into(),
        protocols: vec![Transport::Udp, Transport::Tcp],
        files: vec![missing],
        ..ReceiptFacts::default()
    }));
    for check in [udp, tcp] {
        let o = judge(check, &facts);
        assert_eq!(o.status, Status::Fail);
        assert!(o.summary.contains(&format!("{DROP_IN_PATH} is gone")), "{}", o.summary);
        let advice = o.advice.unwrap();
        assert_eq!(advice.commands, ["sudo cefctl install --agent none --yes --protocol udp,tcp"]);
        assert!(advice.fixable);
    }
}

#[test]
fn a_file_younger_than_the_daemon_explains_a_closed_port() {
    let mut facts = healthy();
    close(&mut facts, Transport::Udp, |_| true);
    facts.rsyslog.config.files.get_mut(DROP_IN_PATH).unwrap().mtime = Some(1_500_000);
    let o = judge(udp, &facts);
    assert!(o.evidence.iter().any(|e| e.text.contains("after the daemon was started")), "{o:?}");
    assert_eq!(o.advice.unwrap().commands, ["sudo systemctl restart rsyslog"]);
}

#[test]
fn the_daemons_own_error_is_evidence() {
    let mut facts = healthy();
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    let line = "create TCP socket bound to device failed: Operation not permitted";
    let own = crate::check::facts::OwnLine { source: "journal".into(), text: line.into() };
    facts.rsyslog.own_lines = Ok(vec![own]);
    assert!(judge(tcp, &facts).evidence.iter().any(|e| e.text == line));
}

#[test]
fn another_program_on_one_transport_is_the_cause() {
    let mut facts = healthy();
    close(&mut facts, Transport::Udp, |a| a.is_ipv4());
    let pid = other(&mut facts);
    add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", pid);
    assert_eq!(status(udp, &facts), TAKEN);
    assert_eq!(status(tcp, &facts), PASS);
    let o = judge(owner, &facts);
    assert_eq!(
        (o.status, o.summary.as_str()),
        (Status::Fail, "udp 0.0.0.0:514 belongs to nc pid 99 of session-1.scope")
    );
    assert_eq!(o.advice.unwrap().commands, ["sudo kill 99", "sudo systemctl restart rsyslog"]);
}

#[test]
fn a_socket_shared_with_another_program_is_no_good_either() {
    let mut facts = healthy();
    let pid = other(&mut facts);
    add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", pid);
    assert_eq!((status(udp, &facts), status(owner, &facts)), (TAKEN, FAIL));
}

#[test]
fn another_program_on_loopback_only_warns() {
    let mut facts = healthy();
    let pid = other(&mut facts);
    add_socket(&mut facts, Transport::Udp, "127.0.0.1:514", pid);
    assert_eq!((status(udp, &facts), status(owner, &facts)), (PASS, WARN));
}

#[test]
fn a_dual_stack_socket_of_another_program_takes_ipv4_too() {
    let mut facts = healthy();
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    let pid = other(&mut facts);
    let mut dual = socket(Transport::Tcp, "[::]:514", pid);
    dual.v6only = Some(false);
    sockets(&mut facts).push(dual);
    assert_eq!((status(tcp, &facts), status(owner, &facts)), (TAKEN, FAIL));
}

#[test]
fn a_transport_nobody_asked_for_may_be_somebody_elses() {
    let mut facts = with_drop_in(&DROP_IN.replace("input(type=\"imtcp\"", "#"));
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    let pid = other(&mut facts);
    add_socket(&mut facts, Transport::Tcp, "0.0.0.0:514", pid);
    assert_eq!(status(owner, &facts), PASS);
    let target = Target { promised: vec![Transport::Tcp], ..Target::default() };
    assert_eq!(judge_for(owner, &facts, &target).status, Status::Fail);
}

#[test]
fn the_holder_decides_what_to_do() {
    let commands = |p: Process| {
        let mut facts = healthy();
        facts.processes.insert(p.pid, p.clone());
        add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", p.pid);
        judge(owner, &facts).advice.unwrap().commands
    };
    let p = |pid, unit: Option<&str>, container: Option<&str>| Process {
        pid,
        comm: "x".into(),
        unit: unit.map(str::to_owned),
        container: container.map(str::to_owned),
        ..Process::default()
    };
    let restart = "sudo systemctl restart rsyslog";
    assert_eq!(
        commands(p(9, Some("fluent-bit.service"), None)),
        ["sudo systemctl disable --now fluent-bit.service", restart]
    );
    assert_eq!(commands(p(9, Some("docker.service"), Some("4c01"))), [restart]);
    assert_eq!(commands(p(1, None, None)), ["systemctl list-sockets | grep -w 514", restart]);
    assert_eq!(commands(p(9, Some("user@1000.service"), None)), ["sudo kill 9", restart]);
}

#[test]
fn an_owner_nobody_can_see_is_unknown_or_somebody_else() {
    let mut facts = healthy();
    sockets(&mut facts).iter_mut().for_each(|s| s.owners.clear());
    facts.net.as_mut().unwrap().owners_complete = false;
    assert_eq!(status(udp, &facts), (Status::Unknown, None));
    assert_eq!(status(owner, &facts), (Status::Unknown, None));
    facts.net.as_mut().unwrap().owners_complete = true;
    assert_eq!(status(owner, &facts), FAIL);
    facts.net = Err("no /proc".into());
    assert_eq!(status(udp, &facts), (Status::Unknown, None));
    facts.host.live = false;
    assert_eq!(status(udp, &facts), (Status::Skip, None));
}

#[test]
fn what_cannot_be_read_is_not_judged() {
    let mut facts = healthy();
    facts.rsyslog.config.files.get_mut(DROP_IN_PATH).unwrap().content = Err("permission denied".into());
    assert_eq!(status(udp, &facts), (Status::Unknown, None));
    let facts = with_files(&[("/etc/rsyslog.d/10-bad.conf", "if $msg contains the /var/log/x\n")]);
    assert_eq!(status(udp, &facts), (Status::Skip, Some("daemon.config")));
}

/// A box with a TLS listener that the receipt promises, alone.
fn with_tls(sockets: &[&str], certificate: Option<i64>) -> Facts {
    let input = "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"6514\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\")\n";
    let mut facts = with_drop_in(input);
    close(&mut facts, Transport::Udp, |_| true);
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    for local in sockets {
        add_socket(&mut facts, Transport::Tcp, local, DAEMON);
    }
    facts.receipt = Ok(Some(ReceiptFacts { path: "/r.json".into(), tls_port: Some(6514), ..ReceiptFacts::default() }));
    let probe = |not_after| TlsProbe {
        probe: ProbeFacts {
            sent: Bytes(Vec::new()),
            to: "127.0.0.1:6514".into(),
            send_error: None,
            blind: None,
            seen_at_listener: None,
            arrived: None,
            took_ms: 0,
        },
        certificate: Some(CertificateFacts { names: vec!["c1".into()], issuer: "CN=x".into(), not_after }),
    };
    facts.tls_probe = certificate.map(probe);
    facts
}

#[test]
fn a_promised_tls_listener_is_judged_and_nothing_else_is_missed() {
    let judged = |check: fn(&Case<'_>) -> Judged, facts: &Facts| {
        let target = Target::resolve(&Default::default(), facts);
        let o = judge_for(check, facts, &target);
        (o.status, o.summary)
    };
    const DAY: i64 = 24 * 60 * 60;
    let both = ["0.0.0.0:6514", "[::]:6514"];
    let good = with_tls(&both, Some(2_000_000 + 90 * DAY));
    assert_eq!(judged(tcp, &good).0, Status::Pass, "{:?}", judged(tcp, &good));
    assert_eq!(judged(udp, &good).0, Status::Skip);
    assert_eq!(judged(tcp, &with_tls(&both, None)).0, Status::Pass);
    let closed = judged(tcp, &with_tls(&[], None));
    assert!(closed.0 == Status::Fail && closed.1.contains("tls/6514 is configured but not open"), "{closed:?}");
    let soon = judged(tcp, &with_tls(&both, Some(2_000_000 + 9 * DAY)));
    assert!(soon.0 == Status::Warn && soon.1.contains("expires on"), "{soon:?}");
    let gone = judged(tcp, &with_tls(&both, Some(1_999_999)));
    assert!(gone.0 == Status::Fail && gone.1.contains("has expired"), "{gone:?}");
    let mut pem = with_tls(&both, None);
    let key = ReceiptFile {
        path: "/etc/rsyslog.d/cefctl-tls/key.pem".into(),
        sha256: String::new(),
        state: FileState::Missing,
        immutable: None,
    };
    pem.receipt.as_mut().unwrap().as_mut().unwrap().files.push(key);
    assert!(judged(tcp, &pem).1.contains("key.pem is gone"), "{:?}", judged(tcp, &pem));
    let mut missing = with_tls(&[], None);
    set_config(&mut missing, &[("/etc/rsyslog.conf", MAIN)]);
    let missing = judged(tcp, &missing);
    assert!(missing.0 == Status::Fail && missing.1.contains("/r.json asks for it"), "{missing:?}");
}

#[test]
fn a_list_of_senders_is_named_and_judged_for_the_device() {
    let list = "$AllowedSender UDP, 127.0.0.1, 10.9.0.0/16\n$AllowedSender TCP, 0.0.0.0/0\n";
    let facts = with_drop_in(&format!("{list}{DROP_IN}"));
    let o = judge(udp, &facts);
    assert_eq!(o.status, Status::Warn, "{}", o.summary);
    assert!(o.summary.contains("127.0.0.1, 10.9.0.0/16 only"), "{}", o.summary);
    assert_eq!(status(tcp, &facts), PASS);
    let from = |ip: &str| Target { source: Some(ip.parse().unwrap()), ..Target::resolve(&Default::default(), &facts) };
    assert_eq!(judge_for(udp, &facts, &from("10.9.3.4")).status, Status::Pass);
    assert_eq!(judge_for(udp, &facts, &from("192.0.2.4")).status, Status::Fail);
}
