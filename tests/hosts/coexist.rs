//! What the administrator has set up otherwise goes on as before: local files, other receivers, rulesets with their own
//! ports, listeners that were there already.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::host::{Host, wait_for};
use crate::install::{INSTALL, installed};
use crate::{Case, Kind, send};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("local_logging_goes_where_it_went", local_logging),
        Case::new("another_receiver_keeps_getting_everything", other_forward),
        Case::new("own_ruleset_with_own_port_keeps_working", own_ruleset),
        Case::new("an_open_listener_is_used_again", listener_reused),
        Case::new("security_events_stay_out_of_local_files", no_local_copy),
        Case::new("other_network_messages_reach_local_files", network_messages),
    ]
}

/// Opens 514 for both protocols the way administrators do, in a file of their own.
pub fn open_514(host: &Host, kind: &Kind) {
    host.put(
        "/etc/rsyslog.d/10-network.conf",
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\")\n",
    );
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
fn log_locally(host: &Host, marker: &str) -> Result<Vec<String>> {
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
    host.put("/etc/rsyslog.d/60-siem.conf", "*.* @@127.0.0.1:10514\n");
    restart(&host, kind);
    host.sh("logger siem-before");
    ensure!(siem.sees("siem-before", Duration::from_secs(5)), "the other receiver did not work to begin with");
    let agent = Agent::start(&host)?;
    installed(&host);
    host.sh("logger siem-during");
    ensure!(siem.sees("siem-during", Duration::from_secs(5)), "the other receiver gets no local messages any more");
    send::udp(&host, send::loopback(514), &[b"<13>Aug  1 10:00:00 box app: siem-network".to_vec()], Duration::ZERO)?;
    ensure!(siem.sees("siem-network", Duration::from_secs(5)), "the other receiver gets no network messages");
    ensure!(!agent.lines().iter().any(|l| crate::agent::contains(l, b"siem-")), "the agent got what is not its own");
    Ok(())
}

fn own_ruleset(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    host.put(
        "/etc/rsyslog.d/20-switches.conf",
        "module(load=\"imtcp\")\nruleset(name=\"switches\") { action(type=\"omfile\" file=\"/var/log/switches.log\") stop }\n\
         input(type=\"imtcp\" port=\"5140\" ruleset=\"switches\")\n",
    );
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
    let check = host.exec(&["rsyslogd", "-N1"]);
    ensure!(check.code == 0, "the daemon finds fault with the configuration now: {check}");
    Ok(())
}

fn listener_reused(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    open_514(&host, kind);
    let agent = Agent::start(&host)?;
    installed(&host);
    // A second UDP socket on one port would take all datagrams from the first.
    let sockets = host.bound("udp").into_iter().filter(|p| *p == 514).count();
    ensure!(sockets == 1, "{sockets} IPv4 UDP sockets on 514");
    send::udp(&host, send::loopback(514), &[send::numbered(1)], Duration::ZERO)?;
    send::tcp_each(&host, send::loopback(514), &[send::numbered(2)])?;
    for n in ["seq=000000001", "seq=000000002"] {
        ensure!(agent.sees(n, Duration::from_secs(5)), "{n} did not arrive through the listener that was there");
    }
    let pid = host.main_pid(kind.unit())?;
    installed(&host);
    ensure!(host.main_pid(kind.unit())? == pid, "the second run restarted the daemon");
    let check = host.exec(&["rsyslogd", "-N1"]);
    ensure!(check.code == 0, "the daemon finds fault with the configuration now: {check}");
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
