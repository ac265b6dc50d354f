//! Where the daemon does not run yet: stopped, not started at boot, forbidden to start. `install` starts what may be
//! started, and the way back ends where it began.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::host::{Host, wait_for};
use crate::install::{INSTALL, installed};
use crate::refusals::refused;
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("stopped_and_disabled_ones_are_started_and_return", found_and_left),
        Case::new("one_that_does_not_start_is_left_as_it_was", does_not_start),
        Case::new("a_masked_one_is_left_alone", masked),
        Case::new("one_started_by_hand_is_left_alone", by_hand),
    ]
}

/// Every property that the way back has to restore.
#[derive(Debug, PartialEq, Eq)]
struct State {
    service: String,
    enabled: String,
    /// The socket that starts rsyslog.
    socket: String,
}

impl State {
    /// As it is once nothing is on its way any more.
    fn of(host: &Host, kind: &Kind) -> Result<State> {
        let service = wait_for("the service comes to rest", Duration::from_secs(20), || {
            Some(host.unit(kind.unit(), "ActiveState")).filter(|s| !s.ends_with("activating"))
        })?;
        let enabled = host.unit(kind.unit(), "UnitFileState");
        // Without the alias that comes and goes with the enablement systemd does not know that this socket starts rsyslog.
        let socket = match enabled.as_str() {
            "disabled" => String::new(),
            _ => host.unit("syslog.socket", "ActiveState"),
        };
        Ok(State { service, enabled, socket })
    }

    /// Whether it is what was there `before`. Any message to a listening socket starts the service behind it, at any time.
    fn is_back(&self, before: &State) -> bool {
        let started_by_a_message = self.socket == "active" && self.service == "active" && before.service == "inactive";
        self == before || (started_by_a_message && (&self.enabled, &self.socket) == (&before.enabled, &before.socket))
    }
}

fn found_and_left(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let unit = kind.unit();
    // All that can be the other way round, the last from the one before.
    let steps = [
        format!("systemctl stop syslog.socket {unit} 2>/dev/null || systemctl stop {unit}"),
        format!("systemctl start {unit}; systemctl disable {unit}"),
        format!("systemctl stop {unit}"),
        format!("systemctl enable {unit}; systemctl start {unit}; systemctl stop {unit}"),
    ];
    for step in steps {
        host.sh(&step);
        let before = (host.tree("/etc"), State::of(&host, kind)?);
        let out = installed(&host);
        ensure!(host.service_state(unit) == "active enabled", "{step}: {} after {out}", host.service_state(unit));
        ensure!(host.all_bound(514), "{step}: 514 is not open after {out}");
        let processes = host.sh(&format!("pgrep -c -x {}", if unit == "rsyslog" { "rsyslogd" } else { "syslog-ng" }));
        ensure!(matches!(processes.as_str(), "1" | "2"), "{step}: {processes}");
        let again = installed(&host);
        ensure!(again.all().contains("nothing to do"), "{step}: {again}");
        let back = host.cefctl(&["uninstall", "--yes"]).ok();
        before.0.assert_same(&host.tree("/etc"), &step);
        let after = State::of(&host, kind)?;
        ensure!(after.is_back(&before.1), "{step}: {after:?} was {:?} before: {back}", before.1);
        ensure!(host.is_free(514), "{step}: 514 is still open after {back}");
    }
    Ok(())
}

fn does_not_start(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let unit = kind.unit();
    host.sh(&format!(
        "systemctl stop syslog.socket {unit} 2>/dev/null || systemctl stop {unit}; systemctl disable {unit}"
    ));
    let drop_in = format!("/etc/systemd/system/{unit}.service.d/why.conf");
    host.put(&drop_in, "[Service]\nExecStartPre=/bin/sh -c \"echo no luck today; exit 3\"\n");
    host.sh("systemctl daemon-reload");
    let before = (host.tree("/etc"), State::of(&host, kind)?);
    let out = host.cefctl(&INSTALL).expect_code(1);
    before.0.assert_same(&host.tree("/etc"), "after a roll-back");
    let after = State::of(&host, kind)?;
    ensure!(after.is_back(&before.1), "{after:?} was {:?} before: {out}", before.1);
    ensure!(out.all().contains("did not start") && out.all().contains("hint:"), "not said why: {out}");
    Ok(())
}

fn masked(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    host.sh(&format!("systemctl mask --now {}", kind.unit()));
    let out = refused(&host, 1, || host.cefctl(&INSTALL))?;
    ensure!(out.all().contains("is masked") && out.all().contains("systemctl unmask"), "not said why: {out}");
    Ok(())
}

fn by_hand(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let unit = kind.unit();
    let program = if unit == "rsyslog" { "rsyslogd -n -iNONE" } else { "syslog-ng -F" };
    host.sh(&format!("systemctl stop syslog.socket {unit} 2>/dev/null || systemctl stop {unit}"));
    host.sh(&format!("systemd-run --quiet --unit=by-hand /usr/sbin/{program}"));
    crate::host::wait_for("the daemon runs", std::time::Duration::from_secs(5), || {
        (host.unit("by-hand", "SubState") == "running").then_some(())
    })?;
    let out = refused(&host, 1, || host.cefctl(&INSTALL))?;
    ensure!(out.all().contains("not as") && out.all().contains("kill "), "not said why: {out}");
    Ok(())
}
