use super::*;
use crate::check::facts::{Bytes, ProbeFacts};
use crate::check::fixture::*;
use crate::check::target::{Target, TargetOptions};
use crate::report::Status;

const CLOSED: &str = ":INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";

fn with(rules: &str) -> Outcome {
    with_target(rules, |_| {})
}

fn with_target(rules: &str, change: impl Fn(&mut Target)) -> Outcome {
    let mut facts = healthy();
    facts.firewall = Ok(firewall(rules));
    let mut target = Target::resolve(&TargetOptions::default(), &facts);
    change(&mut target);
    judge_for(inbound, &facts, &target)
}

fn evidence(o: &Outcome) -> String {
    o.evidence.iter().map(|e| format!("{}: {}\n", e.source, e.text)).collect()
}

#[test]
fn no_rules_and_an_open_port_pass_and_the_cloud_is_mentioned() {
    let o = with("");
    assert_eq!(o.status, Status::Pass);
    assert!(evidence(&o).contains("security groups"));
    let both = format!(
        "{CLOSED}-A INPUT -p udp -m udp --dport 514 -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 514,6514 -j ACCEPT"
    );
    assert_eq!(with(&both).status, Status::Pass);
}

#[test]
fn a_closed_port_fails_with_rule_and_remedy() {
    let o = with(&format!("{CLOSED}-A INPUT -j REJECT --reject-with icmp-host-prohibited"));
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.summary, "UDP and TCP to port 514 are blocked by iptables (chain INPUT)");
    assert!(evidence(&o).contains("every sender: iptables table filter, chain INPUT: -A INPUT -j REJECT"), "{o:?}");
    let advice = o.advice.unwrap();
    assert!(advice.fixable && advice.commands[0].contains("--open-firewall"), "{advice:?}");
    let o = with(CLOSED);
    assert!(evidence(&o).contains("policy drop"), "{o:?}");
}

#[test]
fn one_transport_closed_is_a_warning_unless_it_was_promised() {
    let udp_only = format!("{CLOSED}-A INPUT -p udp -m udp --dport 514 -j ACCEPT");
    let o = with(&udp_only);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.starts_with("TCP to port 514 by eth0"), "{}", o.summary);
    let o = with_target(&udp_only, |t| t.promised = vec![Transport::Udp, Transport::Tcp]);
    assert_eq!(o.status, Status::Fail);
    assert_eq!(with_target(&udp_only, |t| t.promised = vec![Transport::Udp]).status, Status::Pass);
}

#[test]
fn some_senders_only() {
    let some = |rule: &str| with(&format!("{CLOSED}-A INPUT -s 10.0.0.0/8 {rule} -j ACCEPT"));
    let meant = with_target(&format!("{CLOSED}-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 514 -j ACCEPT"), |t| {
        t.promised = vec![Transport::Udp];
    });
    assert_eq!((meant.status, meant.summary.as_str()), (Status::Pass, "port 514 is open for 10.0.0.0/8 only"));
    let other = some("");
    assert_eq!(other.status, Status::Warn);
    assert!(other.summary.contains("only 10.0.0.0/8 can send"), "{}", other.summary);
    // A list of unwanted addresses is no fault.
    let listed = ":INPUT ACCEPT [0:0]\n-A INPUT -s 198.51.100.0/24 -j DROP";
    let o = with(listed);
    assert_eq!(o.status, Status::Pass);
    assert!(evidence(&o).contains("198.51.100.0/24"), "{o:?}");
}

#[test]
fn those_next_to_this_box_are_no_unwanted_addresses() {
    let next = |rule: &str, seen: &[&str]| {
        let mut facts = healthy();
        let mut f = firewall(&format!(":INPUT ACCEPT [0:0]\n{rule}"));
        let eth0 = f.interfaces.iter_mut().find(|i| i.name == "eth0").unwrap();
        eth0.prefixes = vec![("192.0.2.1".parse().unwrap(), 24)];
        f.neighbours = seen.iter().map(|ip| ("eth0".to_owned(), ip.parse().unwrap())).collect();
        facts.firewall = Ok(f);
        let o = judge(inbound, &facts);
        (o.status, o.summary)
    };
    let (status, text) = next("-A INPUT -s 192.0.2.0/24 -j DROP", &[]);
    assert_eq!(status, Status::Warn);
    assert_eq!(text, "what 192.0.2.0/24, the network of eth0, sends to port 514 is blocked by iptables (chain INPUT)");
    // One of them counts if it is there.
    assert_eq!(next("-A INPUT -s 192.0.2.77 -j DROP", &["192.0.2.2"]).0, Status::Pass);
    let (status, text) = next("-A INPUT -s 192.0.2.77 -j DROP", &["192.0.2.2", "192.0.2.77"]);
    assert_eq!((status, text.contains("what 192.0.2.77 on the network of eth0 sends")), (Status::Warn, true), "{text}");
    // Addresses of a public interface that nobody can have.
    assert_eq!(next("-A INPUT -s 10.0.0.0/8 -j DROP", &["192.0.2.2"]).0, Status::Pass);
}

#[test]
fn a_port_opened_for_some_senders_is_not_one_that_ipv6_was_forgotten_for() {
    let v4 = format!("{CLOSED}-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 514 -j ACCEPT");
    let of = |v4: &str| {
        let mut facts = healthy();
        let mut f = firewall(v4);
        let mut v6 = f.listings.iptables[0].clone();
        v6.command = "ip6tables-save".into();
        v6.output = Ok(format!("*filter\n{CLOSED}COMMIT\n"));
        f.listings.ip6tables.push(v6);
        facts.firewall = Ok(f);
        let mut target = Target::resolve(&TargetOptions::default(), &facts);
        target.promised = vec![Transport::Udp];
        let o = judge_for(inbound, &facts, &target);
        (o.status, o.summary)
    };
    assert_eq!(of(&v4), (Status::Pass, "port 514 is open for 10.0.0.0/8 only".into()));
    assert_eq!(of(&format!("{CLOSED}-A INPUT -p udp -m udp --dport 514 -j ACCEPT")).0, Status::Warn);
}

#[test]
fn one_sender_is_judged_for_itself() {
    let rules = format!("{CLOSED}-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 514 -j ACCEPT");
    let from = |source: &str| {
        let source = source.parse().unwrap();
        with_target(&rules, |t| {
            t.promised = vec![Transport::Udp];
            t.source = Some(source);
        })
    };
    assert_eq!(from("10.1.2.3").status, Status::Pass);
    let o = from("11.1.2.3");
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("from 11.1.2.3") && o.advice.unwrap().commands[0].contains("--open-firewall=11.1.2.3"));
}

#[test]
fn what_cannot_be_judged_is_unknown_and_a_limit_is_a_warning() {
    let o = with(&format!("{CLOSED}-A INPUT -m geoip --source-country DE -j ACCEPT"));
    assert_eq!(o.status, Status::Unknown);
    assert!(o.summary.contains("geoip"), "{}", o.summary);
    let o = with(&format!("{CLOSED}-A INPUT -m limit --limit 10/sec -j ACCEPT"));
    assert_eq!(o.status, Status::Warn);
    let mut facts = healthy();
    facts.firewall.as_mut().unwrap().listings.nft.as_mut().unwrap().output = Err("Operation not permitted".into());
    let o = judge(inbound, &facts);
    assert_eq!(o.status, Status::Unknown);
    // Said once, not for every interface and transport.
    assert_eq!(evidence(&o).matches("not permitted").count(), 1, "{}", evidence(&o));
    facts.host.euid = 1000;
    for check in [inbound, loopback] {
        let o = judge(check, &facts);
        assert!(o.summary.contains("only root"), "{}", o.summary);
        assert_eq!(o.advice.unwrap().commands, ["sudo cefctl troubleshoot"]);
    }
    facts.firewall = Err("it was not looked at".into());
    assert_eq!(judge(inbound, &facts).status, Status::Unknown);
}

#[test]
fn a_rule_that_is_not_judged_is_the_cause_where_the_test_event_was_lost() {
    let of = |rule: &str, arrived: bool| {
        let mut facts = healthy();
        facts.firewall = Ok(firewall(&format!(":INPUT ACCEPT [0:0]\n{rule}")));
        let line = Bytes(b"<164>Aug  1 10:00:00 c1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Self test|1|".to_vec());
        let probe = ProbeFacts {
            sent: line.clone(),
            to: "127.0.0.1:514".into(),
            send_error: None,
            blind: None,
            seen_at_listener: Some(true),
            arrived: arrived.then_some(line),
            took_ms: 1000,
        };
        facts.probe.insert(Transport::Udp, probe);
        judge(inbound, &facts)
    };
    let rule = "-A INPUT -p udp -m udp --dport 514 -m string --string \"CEF:\" --algo bm --to 65535 -j DROP";
    let o = of(rule, false);
    assert_eq!(o.status, Status::Fail);
    assert!(o.summary.contains("over udp was lost at port 514") && o.summary.contains("-m string"), "{}", o.summary);
    assert_eq!(of(rule, true).status, Status::Unknown);
    // One that does not touch what the box sends to itself is not to blame for it.
    assert_eq!(of(&rule.replace("INPUT -p", "INPUT -i eth0 -p"), false).status, Status::Unknown);
}

#[test]
fn a_box_without_network_is_judged_for_a_network_to_come() {
    let mut facts = healthy();
    let mut f = firewall(CLOSED);
    f.interfaces.retain(|i| i.loopback);
    facts.firewall = Ok(f);
    let o = judge(inbound, &facts);
    assert_eq!(o.status, Status::Fail);
    assert!(evidence(&o).contains("called eth0"));
}

#[test]
fn loopback_is_judged_on_its_whole_way() {
    let of = |rules: &str| {
        let mut facts = healthy();
        facts.firewall = Ok(firewall(rules));
        judge(loopback, &facts)
    };
    assert_eq!(of(CLOSED).status, Status::Pass);
    let o = of(":INPUT DROP [0:0]\n-A INPUT -p udp -j ACCEPT");
    assert_eq!(o.status, Status::Fail);
    assert_eq!(o.advice.unwrap().commands, ["sudo iptables -I INPUT -i lo -j ACCEPT"]);
    let o = of(":INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -o lo -p tcp -m tcp --dport 25226 -j DROP");
    assert_eq!(o.status, Status::Fail);
    // Only others than the daemon's user are kept away.
    let o = of(":OUTPUT ACCEPT [0:0]\n-A OUTPUT -o lo -p tcp -m owner ! --uid-owner 0 -j DROP");
    assert_eq!(o.status, Status::Pass);
    let o = of(":OUTPUT ACCEPT [0:0]\n-A OUTPUT -o lo -m cgroup --cgroup 7 -j DROP");
    assert_eq!(o.status, Status::Unknown);
}

#[test]
fn the_agents_port_belongs_to_the_box_alone() {
    let mut facts = healthy();
    assert_eq!(judge(exposed, &facts).status, Status::Pass);
    facts.firewall = Ok(firewall(&format!("{CLOSED}-A INPUT -p tcp -m tcp --dport 25226 -j ACCEPT")));
    let o = judge(exposed, &facts);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains("opens the agent's port"));
    let mut wide = healthy();
    close(&mut wide, Transport::Tcp, |a| a.port() == 25226);
    add_socket(&mut wide, Transport::Tcp, "0.0.0.0:25226", AGENT);
    assert_eq!(judge(exposed, &wide).status, Status::Warn);
    let same = Target { port: 25226, ..Target::resolve(&TargetOptions::default(), &healthy()) };
    assert_eq!(judge_for(exposed, &healthy(), &same).status, Status::Skip);
    let mut unknown = healthy();
    unknown.net = Err("no /proc".into());
    assert_eq!(judge(exposed, &unknown).status, Status::Unknown);
}
