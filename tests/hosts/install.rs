//! The main job on a stock host: install, prove, install again, take back. With the time limits of a tool that people
//! run by hand.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::host::{Host, Output};
use crate::{Case, Kind, send};

/// How every test installs unless it is about the options.
pub const INSTALL: [&str; 4] = ["install", "--agent", "none", "--yes"];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("is_quick_and_the_second_run_changes_nothing", quick).alone(),
        Case::new("a_healthy_host_is_reported_as_healthy", healthy).alone(),
        Case::new("uninstall_restores_the_host", restore),
        Case::new("uninstall_leaves_ports_open_that_were_open", restore_with_listener),
        Case::new("a_lost_receipt_is_made_up_from_our_files", lost_receipt),
        Case::new("uninstall_closes_the_ports_of_a_file_that_is_gone", gone),
        Case::new("dry_run_touches_nothing", dry_run),
        Case::new("dry_run_works_as_plain_user", dry_run_as_user),
        Case::new("ports_and_protocol_as_asked", options),
    ]
}

/// Installs and has the tool's own word for it that all is well.
#[track_caller]
pub fn installed(host: &Host) -> Output {
    host.cefctl(&INSTALL).ok()
}

fn quick(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let first = installed(&host);
    ensure!(first.time < Duration::from_secs(3), "install took too long: {first}");
    ensure!(host.all_bound(514), "514 is not bound for both protocols on both families after {first}");

    let (etc, state, pid) = (host.tree("/etc"), host.tree("/var/lib/cefctl"), host.main_pid(kind.unit())?);
    // The best of five: what the machine does beside is not the tool's time.
    let again: Vec<Output> = (0..5).map(|_| installed(&host)).collect();
    etc.assert_same(&host.tree("/etc"), "after the second install");
    state.assert_same(&host.tree("/var/lib/cefctl"), "after the second install (the tool's own state)");
    ensure!(host.main_pid(kind.unit())? == pid, "the second install restarted the daemon: {}", again[0]);
    ensure!(again[0].all().contains("nothing to do"), "the second install does not say so: {}", again[0]);
    let best = again.iter().map(|o| o.time).min().unwrap_or_default();
    ensure!(best < Duration::from_millis(200), "the second install took {best:?}");
    Ok(())
}

fn healthy(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    installed(&host);
    let before = host.tree("/etc");
    let runs: Vec<Output> = (0..2).map(|_| host.cefctl(&["troubleshoot", "-o", "json"])).collect();
    let report = runs[0].json()?;
    let odd: Vec<&Value> = report["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|c| !matches!(c["status"].as_str(), Some("pass" | "skip")))
        .collect();
    ensure!(
        runs[0].code == 0 && report["verdict"] == "healthy" && odd.is_empty(),
        "not healthy: {odd:#?}\n{}",
        runs[0]
    );
    ensure!(report["root_cause"].is_null() && report["schema"] == 1, "an odd report: {}", runs[0]);
    for probe in ["probe.udp", "probe.tcp"] {
        ensure!(status(&report, probe) == "pass", "{probe} did not pass: {}", runs[0]);
    }
    ensure!(!agent.lines().is_empty(), "the probes passed, but nothing arrived at the agent");
    before.assert_same(&host.tree("/etc"), "after a diagnosis");
    let best = runs.iter().map(|o| o.time).min().unwrap_or_default();
    ensure!(best < Duration::from_secs(2), "troubleshoot took {best:?}");
    host.cefctl(&["troubleshoot"]).ok(); // the report for people ends the same way
    Ok(())
}

/// Status of one check in a report, `missing` where the report has no such check.
pub fn status<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().find(|c| c["id"] == id).and_then(|c| c["status"].as_str()).unwrap_or("missing")
}

fn restore(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = (host.tree("/etc"), host.service_state(kind.unit()));
    installed(&host);
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.0.assert_same(&host.tree("/etc"), "after uninstall");
    ensure!(host.service_state(kind.unit()) == before.1, "the service is {} now", host.service_state(kind.unit()));
    ensure!(host.is_free(514), "514 is still open");
    // And once more from the start: a removed installation is no obstacle.
    installed(&host);
    ensure!(host.all_bound(514), "514 is not open after the second installation");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.0.assert_same(&host.tree("/etc"), "after the second uninstall");
    Ok(())
}

fn restore_with_listener(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    crate::coexist::open_514(&host, kind);
    let before = host.tree("/etc");
    installed(&host);
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    ensure!(host.all_bound(514), "514 was open before and is not now");
    Ok(())
}

/// An image without /var/lib, a folder that was cleared.
fn lost_receipt(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    installed(&host);
    host.sh("rm -r /var/lib/cefctl");
    let pid = host.main_pid(kind.unit())?;
    let out = installed(&host);
    ensure!(out.all().contains("receipt") && host.main_pid(kind.unit())? == pid, "not taken up again: {out}");
    ensure!(installed(&host).all().contains("nothing to do"), "the receipt was not written");
    host.sh("rm -r /var/lib/cefctl");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall without a receipt");
    ensure!(host.is_free(514), "the port is still open");
    Ok(())
}

/// Somebody has deleted our file; the daemon runs on with it.
fn gone(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    installed(&host);
    host.sh("find /etc -name '*cefctl*.conf' -delete");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    ensure!(host.is_free(514), "the port is still open");
    Ok(())
}

fn dry_run(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    // Where the daemon has got to in the journal is its own business.
    let state = |host: &Host| host.tree("/var/lib").without(&["syslog-ng/syslog-ng.persist".to_owned()]);
    let before = (host.tree("/etc"), state(&host), host.main_pid(kind.unit())?);
    let text = host.cefctl(&["install", "--agent", "none", "--dry-run"]).ok();
    ensure!(text.all().contains("25226") && text.all().contains("+++ "), "no plan with a diff: {text}");
    host.cefctl(&["install", "--agent", "none", "--dry-run", "-o", "json"]).ok().json()?;
    before.0.assert_same(&host.tree("/etc"), "after a dry run");
    before.1.assert_same(&state(&host), "after a dry run");
    ensure!(host.main_pid(kind.unit())? == before.2, "a dry run restarted the daemon");
    Ok(())
}

fn dry_run_as_user(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    let out = host.exec(&["runuser", "-u", "nobody", "--", "cefctl", "install", "--agent", "none", "--dry-run"]);
    let out = out.no_panic().ok();
    ensure!(out.all().contains("25226"), "no plan: {out}");
    before.assert_same(&host.tree("/etc"), "after a dry run");
    Ok(())
}

fn options(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start_on(&host, 25300)?;
    let install = [&INSTALL[..], &["--port", "1514", "--protocol", "tcp", "--agent-port", "25300"]].concat();
    host.cefctl(&install).ok();
    ensure!(host.listeners("tcp", 1514) == 1 && host.bound("tcp6").contains(&1514), "tcp 1514 is not open");
    ensure!(host.listeners("udp", 1514) == 0 && host.is_free(514), "a port is open that nobody asked for");
    send::tcp_each(&host, send::loopback(1514), &[send::numbered(7)])?;
    ensure!(agent.sees("seq=000000007", Duration::from_secs(5)), "the event did not arrive at port 25300");
    // Nobody has to say it twice, and a repair does not set it back.
    let again = host.cefctl(&INSTALL).ok();
    ensure!(again.all().contains("nothing to do"), "what was asked for is not remembered: {again}");
    let back = host.cefctl(&[&INSTALL[..], &["--port", "514", "--protocol", "udp,tcp"]].concat()).ok();
    ensure!(host.all_bound(514) && host.is_free(1514), "not the usual ports after {back}");
    ensure!(back.all().contains("events go to port 25300, as before"), "what is kept is not named: {back}");
    Ok(())
}
