//! The commands that settings run, on scripted replies.

use std::sync::Arc;

use super::*;
use crate::host::Root;
use crate::host::fake::{FakeRunner, host, reply};

fn udp(source: Option<&str>) -> Opening {
    Opening { protocol: "udp".into(), port: 514, source: source.map(str::to_owned) }
}

fn machine(runner: FakeRunner) -> (tempfile::TempDir, Arc<FakeRunner>, Host) {
    let dir = tempfile::tempdir().unwrap();
    let runner = Arc::new(runner);
    let host = host(Root::at(dir.path()), runner.clone());
    (dir, runner, host)
}

const ZONE: &str = "public (active)\n  target: default\n  services: ssh\n  ports: 514/tcp 8080/tcp\n  rich rules: \n\trule family=\"ipv4\" source address=\"10.0.0.0/8\" port port=\"514\" protocol=\"udp\" accept\n";

#[test]
fn firewalld_items_are_seen_added_and_removed() {
    let runner = FakeRunner::new()
        .on(&["firewall-cmd", "--zone=public", "--list-all"], reply(0, ZONE, ""))
        .on(&["firewall-cmd", "--zone=public"], reply(0, "success\n", ""));
    let (_d, runner, host) = machine(runner);
    let tcp = Opening { protocol: "tcp".into(), ..udp(None) };
    let setting = |opening: Opening| Setting::Firewalld { zone: "public".into(), permanent: false, opening };
    assert!(setting(tcp.clone()).is_set(&host).unwrap());
    assert!(setting(udp(Some("10.0.0.0/8"))).is_set(&host).unwrap());
    assert!(!setting(udp(None)).is_set(&host).unwrap());
    setting(udp(None)).set(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "firewall-cmd --zone=public --add-port=514/udp");
    setting(tcp).unset(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "firewall-cmd --zone=public --remove-port=514/tcp");
}

#[test]
fn a_running_firewalld_is_asked_over_its_bus() {
    let fw = "org.fedoraproject.FirewallD1";
    let path = "/org/fedoraproject/FirewallD1";
    let zone = "/org/fedoraproject/FirewallD1/config/zone/6";
    let config = format!("{path}/config");
    let runner = FakeRunner::new()
        .on(&["busctl", "call", fw, path], reply(0, "b true\n", ""))
        .on(&["busctl", "call", fw, &config], reply(0, &format!("o \"{zone}\"\n"), ""))
        .on(&["busctl", "call", fw, zone], reply(0, "b false\n", ""));
    let (_d, runner, host) = machine(runner);
    let of = |permanent| Setting::Firewalld { zone: "dmz".into(), permanent, opening: udp(None) };
    assert!(of(false).is_set(&host).unwrap());
    assert!(!of(true).is_set(&host).unwrap());
    let calls = runner.calls();
    assert!(calls[0].ends_with("FirewallD1.zone queryPort sss dmz 514 udp"), "{calls:?}");
    assert!(calls[2].ends_with("FirewallD1.config.zone queryPort ss 514 udp"), "{calls:?}");
}

#[test]
fn a_stopped_firewalld_keeps_what_lasts_and_has_nothing_now() {
    let runner = FakeRunner::new()
        .on(&["firewall-cmd"], reply(252, "", "FirewallD is not running\n"))
        .on(&["firewall-offline-cmd", "--zone=public", "--list-all"], reply(0, ZONE, ""))
        .on(&["firewall-offline-cmd", "--zone=public"], reply(0, "success\n", ""));
    let (_d, runner, host) = machine(runner);
    let of = |permanent| Setting::Firewalld { zone: "public".into(), permanent, opening: udp(None) };
    assert!(!of(false).is_set(&host).unwrap());
    assert!(of(false).set(&host).is_err());
    of(true).set(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "firewall-offline-cmd --zone=public --add-port=514/udp");
    let (_d, _, without) = machine(FakeRunner::new());
    assert!(!of(true).is_set(&without).unwrap());
}

#[test]
fn ufw_is_read_from_its_files_and_told_by_its_command() {
    let (dir, runner, host) = machine(FakeRunner::new().on(&["ufw"], reply(0, "Rule added\n", "")));
    let file = dir.path().join("etc/ufw/user.rules");
    #[allow(clippy::disallowed_methods)] // a test makes its own tree
    {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(
            &file,
            "### tuple ### allow udp 514 0.0.0.0/0 any 10.0.0.0/8 in comment=61\n-A ufw-user-input …\n",
        )
        .unwrap();
    }
    let setting = |source| Setting::Ufw { opening: udp(source), first: false };
    assert!(setting(Some("10.0.0.0/8")).is_set(&host).unwrap());
    assert!(!setting(None).is_set(&host).unwrap());
    setting(None).set(&host).unwrap();
    Setting::Ufw { opening: udp(None), first: true }.set(&host).unwrap();
    setting(Some("10.0.0.0/8")).unset(&host).unwrap();
    assert_eq!(
        runner.calls(),
        [
            "ufw allow 514/udp",
            "ufw prepend allow 514/udp",
            "ufw --force delete allow proto udp from 10.0.0.0/8 to any port 514"
        ]
    );
}

#[test]
fn rules_are_found_by_their_comment_and_refusals_are_told() {
    let listed = r#"{"nftables": [{"rule": {"handle": 7, "comment": "cefctl: udp 514", "expr": []}}, {"rule": {"handle": 8, "comment": "x", "expr": []}}]}"#;
    let runner = FakeRunner::new()
        .on(&["nft", "-j", "list", "chain", "inet", "fw", "input"], reply(0, listed, ""))
        .on(&["nft", "-j", "list", "chain", "inet", "fw", "gone"], reply(1, "", "Error: No such file or directory"))
        .on(&["nft", "delete"], reply(0, "", ""))
        .on(&["nft", "insert"], reply(1, "", "Error: Could not process rule: No such file or directory"))
        .on(&["iptables"], reply(1, "", "iptables: Bad rule"));
    let (_d, runner, host) = machine(runner);
    let nft = |chain: &str| Setting::Nft {
        family: "inet".into(),
        table: "fw".into(),
        chain: chain.into(),
        opening: udp(None),
        before: Some(3),
    };
    assert!(nft("input").is_set(&host).unwrap());
    nft("input").unset(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "nft delete rule inet fw input handle 7");
    assert!(!nft("gone").is_set(&host).unwrap());
    assert!(nft("gone").set(&host).unwrap_err().to_string().contains("Could not process rule"));
    let xt = Setting::Iptables {
        program: "iptables".into(),
        chain: "INPUT".into(),
        opening: udp(Some("10.0.0.7")),
        before: Some(4),
    };
    assert!(xt.set(&host).is_err());
    assert_eq!(
        runner.calls().last().unwrap(),
        "iptables -w 5 -I INPUT 4 -s 10.0.0.7/32 -p udp -m udp --dport 514 -m comment --comment cefctl: udp 514 from 10.0.0.7 -j ACCEPT"
    );
    assert!(xt.is_same(&Setting::Iptables {
        program: "iptables".into(),
        chain: "INPUT".into(),
        opening: udp(Some("10.0.0.7")),
        before: None,
    }));
}

#[test]
fn port_labels_are_made_once_and_taken_back() {
    let listed =
        "SELinux Port Type              Proto    Port Number\n\nsyslogd_port_t                 tcp      25226, 601\n";
    let runner =
        FakeRunner::new().on(&["semanage", "port", "-l"], reply(0, listed, "")).on(&["semanage"], reply(0, "", ""));
    let (_d, runner, host) = machine(runner);
    let label = |port| Setting::SelinuxPort { label: "syslogd_port_t".into(), protocol: "tcp".into(), port };
    assert!(label(25226).is_set(&host).unwrap());
    label(28330).set(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "semanage port -a -t syslogd_port_t -p tcp 28330");
    label(25226).unset(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), "semanage port -d -p tcp 25226");
}

#[test]
fn file_labels_are_those_of_their_place_and_go_back_as_they_were() {
    let path = "/etc/rsyslog.d/10-cefctl.conf";
    let runner = FakeRunner::new()
        .on(&["matchpathcon", "-V", path], reply(1, "has context admin_home_t, should be syslog_conf_t\n", ""))
        .on(&["restorecon"], reply(0, "", ""))
        .on(&["chcon"], reply(0, "", ""));
    let (_d, runner, host) = machine(runner);
    let label = Setting::FileLabel { path: path.into(), had: "admin_home_t".into() };
    assert!(!label.is_set(&host).unwrap());
    label.set(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), &format!("restorecon {path}"));
    label.unset(&host).unwrap();
    assert_eq!(runner.calls().last().unwrap(), &format!("chcon -t admin_home_t {path}"));
    assert_eq!(label.sentence(), format!("restore SELinux's label of {path}"));
}
