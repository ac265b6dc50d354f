//! What the administrator has set up otherwise goes on as before: local files, other receivers, rulesets with their own
//! ports, listeners that were there already.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::host::{Host, wait_for};
use crate::install::{INSTALL, installed};
use crate::{Case, Kind, language, send};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("local_logging_goes_where_it_went", local_logging),
        Case::new("another_receiver_keeps_getting_everything", other_forward),
        Case::new("own_ruleset_with_own_port_keeps_working", own_ruleset),
        Case::new("an_open_listener_is_used_again", listener_reused),
        Case::new("a_listener_on_loopback_or_without_a_name_is_no_obstacle", hard_to_use),
        Case::new("security_events_stay_out_of_local_files", no_local_copy),
        Case::new("other_network_messages_reach_local_files", network_messages),
        Case::new("a_port_for_senders_that_count_octets", counted).only("syslog-ng"),
        Case::new("another_listener_takes_the_port_over_at_removal", taken_over).only("syslog-ng"),
        Case::new("a_removal_that_would_leave_a_broken_configuration_is_refused", needed).only("syslog-ng"),
        Case::new("a_path_that_takes_all_for_good_is_overtaken", overtaken).only("syslog-ng"),
        Case::new("a_rule_above_the_includes_is_overtaken", above_the_includes).only("rsyslog"),
        Case::new("what_takes_some_devices_events_above_the_includes_is_overtaken", some_devices),
    ]
}

/// Opens 514 for both protocols the way administrators do, in a file of their own.
pub fn open_514(host: &Host, kind: &Kind) {
    let (path, text) = language::listener(kind, 514);
    host.put(&path, text);
    restart(host, kind);
}

pub fn restart(host: &Host, kind: &Kind) {
    host.sh(&format!("systemctl reset-failed {0}; systemctl restart {0}", kind.unit()));
}

/// The files under /var/log with `needle` in them.
fn logged_in(host: &Host, needle: &str) -> Vec<String> {
    host.exec(&["grep", "-rls", "--exclude-dir=journal", needle, "/var/log"])
        .text()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Logs a message locally and gives the files it ended in.
pub fn log_locally(host: &Host, marker: &str) -> Result<Vec<String>> {
    host.sh(&format!("logger -p user.notice {marker}"));
    wait_for("the local message", Duration::from_secs(3), || {
        let files = logged_in(host, marker);
        (!files.is_empty()).then_some(files)
    })
}

fn local_logging(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = log_locally(&host, "hello-before")?;
    installed(&host);
    ensure!(log_locally(&host, "hello-during")? == before, "local messages went to {before:?} before the installation");
    host.cefctl(&["uninstall", "--yes"]).ok();
    ensure!(log_locally(&host, "hello-after")? == before, "local messages went to {before:?} before the installation");
    Ok(())
}

fn other_forward(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let siem = Agent::start_on(&host, 10514)?;
    let (path, text) = language::forward_all(kind, 10514);
    host.put(&path, text);
    restart(&host, kind);
    host.sh("logger siem-before");
    ensure!(siem.sees("siem-before", Duration::from_secs(5)), "the other receiver did not work to begin with");
    let agent = Agent::start(&host)?;
    installed(&host);
    host.sh("logger siem-during");
    ensure!(siem.sees("siem-during", Duration::from_secs(5)), "the other receiver gets no local messages any more");
    if kind.daemon == "rsyslog" {
        // syslog-ng's rules name their sources: nobody else gets what comes in by a new one.
        let line = b"<13>Aug  1 10:00:00 box app: siem-network".to_vec();
        send::udp(&host, send::loopback(514), &[line], Duration::ZERO)?;
        ensure!(siem.sees("siem-network", Duration::from_secs(5)), "the other receiver gets no network messages");
    }
    ensure!(!agent.lines().iter().any(|l| crate::agent::contains(l, b"siem-")), "the agent got what is not its own");
    Ok(())
}

fn own_ruleset(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let (path, text) = language::switches(kind, 5140);
    host.put(&path, text);
    restart(&host, kind);
    let agent = Agent::start(&host)?;
    installed(&host);
    ensure!(host.all_bound(514), "514 is not open beside the other listener");
    send::tcp_each(&host, send::loopback(5140), &[b"<13>Aug  1 10:00:00 sw1 link: for-the-switches".to_vec()])?;
    wait_for("the ruleset's own file", Duration::from_secs(5), || {
        (logged_in(&host, "for-the-switches") == ["/var/log/switches.log"]).then_some(())
    })?;
    send::tcp_each(&host, send::loopback(514), &[send::numbered(1)])?;
    ensure!(
        agent.sees("seq=000000001", Duration::from_secs(5)),
        "events on 514 do not arrive beside the other ruleset"
    );
    let check = host.exec(language::check(kind));
    ensure!(check.code == 0, "the daemon finds fault with the configuration now: {check}");
    Ok(())
}

fn listener_reused(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    open_514(&host, kind);
    let agent = Agent::start(&host)?;
    installed(&host);
    // A second UDP socket on one port would take all datagrams from the first.
    let sockets = host.listeners("udp", 514);
    ensure!(sockets == 1, "{sockets} UDP sockets on 514 that take IPv4");
    send::udp(&host, send::loopback(514), &[send::numbered(1)], Duration::ZERO)?;
    send::tcp_each(&host, send::loopback(514), &[send::numbered(2)])?;
    for n in ["seq=000000001", "seq=000000002"] {
        ensure!(agent.sees(n, Duration::from_secs(5)), "{n} did not arrive through the listener that was there");
    }
    let pid = host.main_pid(kind.unit())?;
    installed(&host);
    ensure!(host.main_pid(kind.unit())? == pid, "the second run restarted the daemon");
    let check = host.exec(language::check(kind));
    ensure!(check.code == 0, "the daemon finds fault with the configuration now: {check}");
    Ok(())
}

/// HAProxy's UDP listener on 127.0.0.1 (rsyslog), and a source that no other log path can name (syslog-ng): every event
/// arrives once, the administrator's own file goes on being written, and his configuration is as it was in the end.
fn hard_to_use(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let path = language::drop_in(kind, "05-site.conf");
    let (text, to) = match kind.daemon.as_str() {
        "rsyslog" => (
            "module(load=\"imudp\")\nruleset(name=\"site\") {\n  action(type=\"omfile\" file=\"/var/log/site.log\")\n}\n\
             input(type=\"imudp\" port=\"514\" address=\"127.0.0.1\" ruleset=\"site\")\n",
            SocketAddr::from(([127, 0, 0, 2], 514)),
        ),
        _ => (
            "log { source { network(transport(\"udp\") port(514)); }; destination { file(\"/var/log/site.log\"); }; \
             flags(final); };\n",
            send::loopback(514),
        ),
    };
    host.put(&path, text);
    restart(&host, kind);
    let agent = Agent::start(&host)?;
    installed(&host);
    send::udp(&host, to, &[send::numbered(1)], Duration::ZERO)?;
    send::udp(&host, send::loopback(514), &[send::numbered(2)], Duration::ZERO)?;
    send::tcp_each(&host, send::loopback(514), &[send::numbered(3)])?;
    let numbers = |lines: &[Vec<u8>]| {
        let mut numbers: Vec<usize> = lines.iter().filter_map(|l| send::number_of(l)).collect();
        numbers.sort_unstable();
        numbers
    };
    let lines = agent.lines_when(Duration::from_secs(5), |lines| numbers(lines).len() >= 3);
    ensure!(numbers(&lines) == [1, 2, 3], "the agent got {:?}", numbers(&lines));
    wait_for("the administrator's own file", Duration::from_secs(5), || {
        logged_in(&host, "seq=000000002").contains(&"/var/log/site.log".to_owned()).then_some(())
    })?;
    let report = host.cefctl(&["troubleshoot", "--agent", "none"]).text();
    ensure!(!report.contains("verdict: broken"), "{report}");
    let pid = host.main_pid(kind.unit())?;
    installed(&host);
    ensure!(host.main_pid(kind.unit())? == pid, "the second run restarted the daemon");
    host.cefctl(&["uninstall", "--yes"]).ok();
    ensure!(host.get(&path) == text.as_bytes(), "the administrator's file is not as it was");
    Ok(())
}

fn no_local_copy(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    host.cefctl(&INSTALL).ok();
    send::udp(&host, send::loopback(514), &[send::numbered(41)], Duration::ZERO)?;
    ensure!(agent.sees("seq=000000041", Duration::from_secs(5)), "the event did not arrive");
    let files = logged_in(&host, "seq=000000041");
    ensure!(files.is_empty(), "a security event was also written to {files:?}");
    Ok(())
}

fn network_messages(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    installed(&host);
    send::tcp_each(&host, send::loopback(514), &[b"<13>Aug  1 10:00:00 box app: plain-syslog".to_vec()])?;
    wait_for("a plain message in the local files", Duration::from_secs(5), || {
        (!logged_in(&host, "plain-syslog").is_empty()).then_some(())
    })?;
    let forwarded = agent.lines().iter().any(|l| crate::agent::contains(l, b"plain-syslog"));
    ensure!(!forwarded, "a message that is no security event went to the agent");
    Ok(())
}

/// Debian's versions take one framing a port: whose port 514 is can be chosen, and a listener of that kind is used. The
/// proof at the end of an install and the probes speak as the port wants it.
fn counted(kind: &Kind) -> Result<()> {
    let listener = "source s_net { syslog(transport(tcp) port(514) max-connections(99)); };\n\
                    log { source(s_net); destination(d_syslog); };\n";
    let choice: &[&str] = &["--protocol", "tcp", "--counted-port", "514"];
    for (there, options) in [("# nothing yet\n", choice), (listener, &["--protocol", "tcp"])] {
        let host = kind.boot()?;
        host.put("/etc/syslog-ng/conf.d/10-network.conf", there);
        restart(&host, kind);
        let agent = Agent::start(&host)?;
        host.cefctl(&[&INSTALL[..], options].concat()).ok();
        send::tcp_counted(&host, send::loopback(514), &[send::numbered(1)])?;
        ensure!(agent.sees("seq=000000001", Duration::from_secs(8)), "the counted event did not arrive");
        host.cefctl(&["troubleshoot"]).ok();
    }
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    let out = host.cefctl(&[&INSTALL[..], &["--counted-port", "1601"]].concat()).ok();
    ensure!(out.all().contains("TCP port 1601"), "where devices that count send to is not said: {out}");
    send::tcp_counted(&host, send::loopback(1601), &[send::numbered(2)])?;
    send::tcp_each(&host, send::loopback(514), &[send::numbered(3)])?;
    for n in ["seq=000000002", "seq=000000003"] {
        ensure!(agent.sees(n, Duration::from_secs(8)), "{n} did not arrive");
    }
    Ok(())
}

/// Somebody wants the port after us, on another address: the daemon takes that only from the start on.
fn taken_over(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    installed(&host);
    let listener = "source s_mine { network(transport(udp) port(514)); network(port(514)); };\n\
                    log { source(s_mine); destination(d_syslog); };\n";
    host.put("/etc/syslog-ng/conf.d/50-mine.conf", listener);
    let reload = host.exec(&["syslog-ng-ctl", "reload"]);
    ensure!(reload.code != 0, "not the case this test is about: {reload}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    let has = |table: &str| host.bound(table).contains(&514);
    let theirs = || has("udp") && has("tcp") && !has("udp6") && !has("tcp6");
    wait_for("the other listener has the port", Duration::from_secs(3), || theirs().then_some(()))?;
    host.exec(&["syslog-ng-ctl", "reload"]).ok();
    Ok(())
}

/// Somebody has built on a name of ours. Told so before anything is touched, he can mend it and go on.
fn needed(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    installed(&host);
    let path = "/etc/syslog-ng/conf.d/50-mine.conf";
    host.put(
        path,
        "destination d_mine { file(\"/var/log/mine\"); };\nlog { source(s_cefctl); destination(d_mine); };\n",
    );
    host.exec(&["syslog-ng-ctl", "reload"]).ok();
    let (etc, pid) = (host.tree("/etc"), host.main_pid(kind.unit())?);
    let out = host.cefctl(&["uninstall", "--yes"]).expect_code(1);
    ensure!(out.all().contains("50-mine.conf:2") && out.all().contains("hint:"), "the place is not named: {out}");
    etc.assert_same(&host.tree("/etc"), "after a refusal");
    ensure!(host.main_pid(kind.unit())? == pid && host.all_bound(514), "the daemon was disturbed: {out}");
    host.sh(&format!("rm {path}"));
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}

/// A log path in front of everybody's drop-ins that ends there: ours is read right before it.
fn overtaken(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let main = String::from_utf8(host.get(language::MAIN_NG))?;
    let path = "source s_net { udp(port(514)); tcp(port(514)); };\n\
                log { source(s_net); destination(d_syslog); flags(final); };\n@include \"/etc/syslog-ng/conf.d";
    host.put(language::MAIN_NG, main.replace("@include \"/etc/syslog-ng/conf.d", path));
    restart(&host, kind);
    let before = host.tree("/etc");
    let agent = Agent::start(&host)?;
    installed(&host);
    send::udp(&host, send::loopback(514), &[send::numbered(5)], Duration::ZERO)?;
    ensure!(agent.sees("seq=000000005", Duration::from_secs(8)), "the event did not arrive");
    let pid = host.main_pid(kind.unit())?;
    let again = installed(&host);
    ensure!(again.all().contains("nothing to do") && host.main_pid(kind.unit())? == pid, "not at rest: {again}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}

/// A main file that keeps what devices send to its one address for itself, and reads drop-ins only then.
fn above_the_includes(kind: &Kind) -> Result<()> {
    const MAIN: &str = "module(load=\"imuxsock\")\nmodule(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                        input(type=\"imudp\" port=\"514\" address=\"198.51.100.9\")\n\
                        input(type=\"imtcp\" port=\"514\" address=\"198.51.100.9\")\n\
                        if $fromhost-ip != \"127.0.0.1\" then {\n  action(type=\"omfile\" file=\"/var/log/devices.log\")\n  stop\n}\n\
                        *.* /var/log/syslog\n$IncludeConfig /etc/rsyslog.d/*.conf\n";
    let host = kind.boot()?;
    host.sh("ip address add 198.51.100.9/32 dev lo");
    host.put("/etc/rsyslog.conf", MAIN);
    restart(&host, kind);
    comes_and_goes(&host)
}

/// The same where it keeps what some of them send only; with syslog-ng in a main file that is a link. The tool's own samples come from another address.
fn some_devices(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    host.sh("ip address add 198.51.100.9/32 dev lo");
    if kind.daemon == "rsyslog" {
        let main = String::from_utf8(host.get("/etc/rsyslog.conf"))?;
        let site = "module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                    input(type=\"imudp\" port=\"514\" address=\"198.51.100.9\")\n\
                    input(type=\"imtcp\" port=\"514\" address=\"198.51.100.9\")\n\
                    :fromhost-ip, isequal, \"198.51.100.9\" /var/log/devices.log\n& stop\n";
        host.put("/etc/rsyslog.conf", [site, main.as_str()].concat());
        restart(&host, kind);
        return comes_and_goes(&host);
    }
    let main = String::from_utf8(host.get(language::MAIN_NG))?;
    let site = "source s_dev {\n  network(transport(\"udp\") ip(198.51.100.9) port(514));\n\
                \x20 network(transport(\"tcp\") ip(198.51.100.9) port(514));\n};\n\
                destination d_dev { file(\"/var/log/devices.log\"); };\n\
                log { source(s_dev); filter { netmask(198.51.100.0/24); }; destination(d_dev); flags(final); };\n\
                @include \"/etc/syslog-ng/conf.d";
    host.put(language::MAIN_NG, main.replace("@include \"/etc/syslog-ng/conf.d", site));
    host.sh(&format!("mv {0} /etc/syslog-ng/site.main && ln -s site.main {0}", language::MAIN_NG));
    restart(&host, kind);
    comes_and_goes(&host)
}

/// The way of a host whose devices send to 198.51.100.9, and where a rule of its own keeps what they send in
/// /var/log/devices.log: installed, events arrive, that file still has them, at rest, taken back.
fn comes_and_goes(host: &Host) -> Result<()> {
    let before = host.tree("/etc");
    let agent = Agent::start(host)?;
    let out = installed(host);
    ensure!(out.all().contains("198.51.100.9"), "the address is not named: {out}");
    let to = ([198, 51, 100, 9], 514).into();
    send::udp(host, to, &[send::numbered(6)], Duration::ZERO)?;
    send::tcp_each(host, to, &[send::numbered(7)])?;
    for n in ["seq=000000006", "seq=000000007"] {
        ensure!(agent.sees(n, Duration::from_secs(5)), "{n} did not arrive");
    }
    ensure!(logged_in(host, "seq=000000006") == ["/var/log/devices.log"], "their own file misses it");
    let report = host.cefctl(&["troubleshoot"]).all();
    ensure!(!report.contains("verdict: broken"), "{report}");
    let again = installed(host);
    ensure!(again.all().contains("nothing to do"), "not at rest: {again}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}
