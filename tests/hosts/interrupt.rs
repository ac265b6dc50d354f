//! Ctrl-C and `kill` at the moments when it hurts: while the daemon's validator runs, while the daemon restarts.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::host::{Host, wait_for};
use crate::install::INSTALL;
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("ctrl_c_while_validating", |kind| while_validating(kind, "INT")),
        Case::new("term_while_validating", |kind| while_validating(kind, "TERM")),
        Case::new("ctrl_c_while_the_daemon_restarts", |kind| while_restarting(kind, "INT")),
        Case::new("term_while_the_daemon_restarts", |kind| while_restarting(kind, "TERM")),
        Case::new("killed_while_the_daemon_restarts", killed),
    ]
}

/// Puts a script in the validator's place that takes its time, and leaves the daemon itself as it was. Its process is
/// still called the same: only the folder of the program differs.
pub fn slow_down_validation(kind: &Kind, host: &Host, seconds: u32) {
    let (program, option) = match kind.daemon.as_str() {
        "syslog-ng" => ("syslog-ng", "--syntax-only"),
        _ => ("rsyslogd", "-N"),
    };
    host.sh(&format!(
        "mkdir -p /usr/local/lib/real; mv /usr/sbin/{program} /usr/local/lib/real/
         printf '%s\\n' '#!/bin/sh' 'case \"$*\" in *{option}*) : >/run/validating; sleep {seconds};; esac' \\
           'exec /usr/local/lib/real/{program} \"$@\"' >/usr/sbin/{program}
         chmod 755 /usr/sbin/{program}; systemctl restart {unit}",
        unit = kind.unit()
    ));
}

pub fn wait_for_validation(host: &Host) -> Result<()> {
    wait_for("the validator runs", Duration::from_secs(10), || {
        (host.exec(&["test", "-e", "/run/validating"]).code == 0).then_some(())
    })
}

/// Makes it take a second until the daemon has its new configuration: its start, by a unit drop-in outside /etc, or
/// its reload.
fn slow_down_renewal(kind: &Kind, host: &Host) {
    match kind.daemon.as_str() {
        "syslog-ng" => host.sh("mv /usr/sbin/syslog-ng-ctl /usr/sbin/syslog-ng-ctl.real
             printf '%s\\n' '#!/bin/sh' 'case \"$1\" in reload) : >/run/reloading; sleep 1;; esac' \\
               'exec /usr/sbin/syslog-ng-ctl.real \"$@\"' >/usr/sbin/syslog-ng-ctl
             chmod 755 /usr/sbin/syslog-ng-ctl"),
        _ => host.sh("mkdir -p /run/systemd/system/rsyslog.service.d
             printf '[Service]\\nExecStartPre=/bin/sleep 1\\n' >/run/systemd/system/rsyslog.service.d/slow.conf
             systemctl daemon-reload"),
    };
}

/// Interrupts a running install once `moment` has come; it must take everything back and say so by its exit code.
fn interrupted(kind: &Kind, host: &Host, signal: &str, moment: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = (host.tree("/etc"), host.service_state(kind.unit()));
    let run = host.spawn(&[&["cefctl"], &INSTALL[..]].concat())?;
    moment()?;
    host.exec(&["pkill", &format!("-{signal}"), "-x", "cefctl"]).ok();
    let out = run.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    ensure!(out.status.code() == Some(130), "exit {:?} after SIG{signal}: {said}", out.status.code());
    before.0.assert_same(&host.tree("/etc"), "after an interrupted install");
    ensure!(
        host.service_state(kind.unit()) == before.1,
        "the service is {} now: {said}",
        host.service_state(kind.unit())
    );
    ensure!(host.is_free(514), "514 is open after an interrupted install: {said}");
    // What was interrupted is no obstacle to the next run.
    host.cefctl(&INSTALL).ok();
    ensure!(host.all_bound(514), "514 is not open after the next install");
    Ok(())
}

fn while_validating(kind: &Kind, signal: &str) -> Result<()> {
    let host = kind.boot()?;
    slow_down_validation(kind, &host, 2);
    interrupted(kind, &host, signal, || wait_for_validation(&host))
}

fn wait_for_renewal(kind: &Kind, host: &Host) -> Result<()> {
    let begun = || match kind.daemon.as_str() {
        "syslog-ng" => host.exec(&["test", "-e", "/run/reloading"]).code == 0,
        _ => host.unit(kind.unit(), "ActiveState") == "activating",
    };
    wait_for("the daemon is given its new configuration", Duration::from_secs(10), || begun().then_some(()))
}

fn while_restarting(kind: &Kind, signal: &str) -> Result<()> {
    let host = kind.boot()?;
    slow_down_renewal(kind, &host);
    interrupted(kind, &host, signal, || wait_for_renewal(kind, &host))
}

/// Nothing can be done by a killed process; the next run finds what it left and finishes it or takes it back.
fn killed(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    slow_down_renewal(kind, &host);
    let run = host.spawn(&[&["cefctl"], &INSTALL[..]].concat())?;
    wait_for_renewal(kind, &host)?;
    host.exec(&["pkill", "-KILL", "-x", "cefctl"]).ok();
    run.wait_with_output()?;
    let next = host.cefctl(&INSTALL).ok();
    ensure!(host.all_bound(514), "514 is not open after {next}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after a killed install, an install and an uninstall");
    Ok(())
}
