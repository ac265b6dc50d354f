use super::*;
use crate::platform::firewall::model::{Engine, Family};
use crate::platform::firewall::{nft, xtables};

fn iptables(text: &str) -> Ruleset {
    let mut rules = Ruleset::default();
    let text = format!("*filter\n{text}COMMIT\n");
    xtables::parse(text.as_bytes(), Family::Ip, Engine::IptablesNft, &Default::default(), &mut rules);
    rules
}

fn wanted(source: Option<&str>) -> Vec<Opening> {
    ["udp", "tcp"].map(|p| Opening { protocol: p.into(), port: 514, source: source.map(str::to_owned) }).into()
}

fn plan_of(rules: &Ruleset, source: Option<&str>) -> Openings {
    let interfaces = [Interface {
        name: "eth0".into(),
        up: true,
        loopback: false,
        addresses: vec!["192.0.2.1".parse().unwrap()],
        ..Interface::default()
    }];
    plan(rules, &interfaces, &super::super::port::ways(&interfaces), &wanted(source), "public")
}

#[test]
fn an_open_port_needs_nothing() {
    assert_eq!(plan_of(&Ruleset::default(), None), Openings::default());
    let open = iptables(
        ":INPUT DROP [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -p udp -m udp --dport 514 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 514 -j ACCEPT\n",
    );
    assert_eq!(plan_of(&open, None), Openings::default());
}

#[test]
fn the_rule_goes_right_before_the_one_that_drops_and_a_block_list_stays() {
    let rules = iptables(
        ":INPUT ACCEPT [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -s 203.0.113.0/24 -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT\n",
    );
    let out = plan_of(&rules, None);
    let place = |s: &Setting| match s {
        Setting::Iptables { program, chain, before, .. } => (program.clone(), chain.clone(), *before),
        other => panic!("{other:?}"),
    };
    let places: Vec<_> = out.settings.iter().map(place).collect();
    // The second one goes before the same rule, which is one further down by then.
    assert_eq!(places, [("iptables".into(), "INPUT".into(), Some(4)), ("iptables".into(), "INPUT".into(), Some(5))]);
    assert!(out.notes[0].contains("203.0.113.0/24 stay shut out"), "{:?}", out.notes);
    let policy = iptables(":INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n");
    assert!(
        matches!(&plan_of(&policy, Some("10.0.0.0/8")).settings[0], Setting::Iptables { before: None, opening, .. } if opening.source.is_some())
    );
}

#[test]
fn several_rule_sets_in_the_way_are_all_opened() {
    let mut rules = iptables(":INPUT DROP [0:0]\n");
    let native = r#"{"nftables": [{"table": {"family": "inet", "name": "fw"}},
        {"chain": {"family": "inet", "table": "fw", "name": "in", "hook": "input", "type": "filter", "prio": 5, "policy": "accept"}},
        {"rule": {"family": "inet", "table": "fw", "chain": "in", "handle": 9, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 514}}, {"drop": null}]}}]}"#;
    nft::parse(native.as_bytes(), &mut rules).unwrap();
    let out = plan_of(&rules, None);
    assert_eq!(out.settings.len(), 3, "{out:?}");
    assert!(out.settings.iter().any(|s| matches!(s, Setting::Nft { chain, before: Some(9), .. } if chain == "in")));
    // TCP's later packets are let in by the same rule.
    assert_eq!(out.notes, Vec::<String>::new());
}

#[test]
fn keepers_are_asked_in_their_own_way() {
    let ufw = iptables(
        ":INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n:ufw-before-input - [0:0]\n-A INPUT -j ufw-before-input\n-A ufw-before-input -m state --state ESTABLISHED -j ACCEPT\n-A ufw-before-input -j ufw-user-input\n",
    );
    assert!(matches!(&plan_of(&ufw, None).settings[..], [Setting::Ufw { first: false, .. }, Setting::Ufw { .. }]));
    let denied = iptables(
        ":INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\n-A ufw-user-input -p udp -m udp --dport 514 -j DROP\n",
    );
    assert!(plan_of(&denied, None).settings.iter().any(|s| matches!(s, Setting::Ufw { first: true, .. })));
    let firewalld = iptables(
        ":INPUT ACCEPT [0:0]\n:INPUT_ZONES - [0:0]\n:IN_dmz - [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A INPUT -j INPUT_ZONES\n-A INPUT -j REJECT\n-A INPUT_ZONES -i eth0 -g IN_dmz\n-A IN_dmz -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    let found = plan_of(&firewalld, None).settings;
    let zone = |s: &Setting| matches!(s, Setting::Firewalld { zone, permanent: false, .. } if zone == "dmz");
    assert!(found.len() == 2 && found.iter().all(zone), "{found:?}");
}

#[test]
fn old_openings_are_left_out_of_the_model() {
    let mut rules = iptables(
        ":INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A INPUT -p udp -m udp --dport 514 -j ACCEPT\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 514 -j ACCEPT\n-A INPUT -i eth0 -p tcp -m tcp --dport 514 -j ACCEPT\n",
    );
    let count = |rules: &Ruleset| rules.tables[0].chains["INPUT"].rules.len();
    for opening in wanted(None).iter().chain(&wanted(Some("11.0.0.0/8"))) {
        without(&mut rules, opening);
    }
    assert_eq!(count(&rules), 3);
    wanted(Some("10.0.0.0/8")).iter().for_each(|o| without(&mut rules, o));
    assert_eq!(count(&rules), 2);
}

#[test]
fn what_an_opening_does_not_mend_is_told() {
    let answers = iptables(":INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n");
    let out = plan_of(&answers, None);
    assert!(out.settings.is_empty() && out.notes[0].contains("cannot be answered"), "{out:?}");
    let unknown = iptables(":INPUT DROP [0:0]\n-A INPUT -m geoip --x DE -j ACCEPT\n");
    let out = plan_of(&unknown, None);
    assert!(out.settings.is_empty() && out.notes[0].contains("geoip"), "{out:?}");
}
