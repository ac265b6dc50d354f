//! Without systemd, as in a container: the daemon is started, asked and ended by what is there, and what cannot be had is
//! said. A box without systemd is a shell as process 1 in namespaces of its own, on the files of a booted host.

use anyhow::{Result, ensure};

use crate::host::{Host, Output};
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a_daemon_that_is_down_is_started_and_ended", down),
        Case::new("a_daemon_started_by_hand_goes_on", by_hand),
        Case::new("the_container_is_not_ended", main_process).only("rsyslog"),
    ]
}

/// Runs a script as process 1. `start` and `bound` are commands of it.
fn container(host: &Host, kind: &Kind, script: &str) -> Output {
    let unit = kind.unit();
    host.sh(&format!("systemctl stop syslog.socket {unit} 2>/dev/null || systemctl stop {unit}"));
    let program = if unit == "rsyslog" { "rsyslogd" } else { "syslog-ng" };
    let prelude = format!(
        "rm -f /dev/log; mount -t tmpfs tmpfs /run; ip link set lo up
         program={program}
         processes() {{ pgrep -x $program | wc -l; }}
         up() {{ $program; for i in $(seq 50); do [ $(processes) = 0 ] || break; sleep 0.1; done; sleep 0.5; }}
         bound() {{ ss -Htuln 'sport = :514' | wc -l; }}
         INSTALL='cefctl install --agent none --yes'\n"
    );
    let script = format!("{prelude}{script}");
    let shell = ["--pid", "--mount", "--net", "--ipc", "--fork", "--mount-proc", "--kill-child", "sh", "-euc", &script];
    host.exec(&[&["unshare"], &shell[..]].concat()).no_panic()
}

fn down(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    let out = container(
        &host,
        kind,
        "$INSTALL; [ $(bound) -gt 0 ]; $INSTALL | grep 'nothing to do'
         cefctl troubleshoot --only daemon.running,listen.udp,listen.tcp
         cefctl uninstall --yes; [ $(bound) = 0 ]; [ $(processes) = 0 ]",
    )
    .ok();
    before.assert_same(&host.tree("/etc"), &format!("after {out}"));
    Ok(())
}

fn by_hand(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    let out = container(
        &host,
        kind,
        "up; n=$(processes); $INSTALL; [ $(bound) -gt 0 ]; [ $(processes) = $n ]
         cefctl uninstall --yes; [ $(bound) = 0 ]; [ $(processes) = $n ]",
    )
    .ok();
    let script = host.path("/etc/init.d").join(kind.unit()).exists();
    ensure!(script || out.all().contains("no service manager looks after"), "not said what cannot be had: {out}");
    before.assert_same(&host.tree("/etc"), &format!("after {out}"));
    Ok(())
}

fn main_process(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    let out = container(
        &host,
        kind,
        "$program -n -iNONE & sleep 1; code=0; $INSTALL || code=$?; [ $code = 1 ]; [ $(processes) = 1 ]",
    )
    .ok();
    ensure!(out.all().contains("would end the container") && out.all().contains("hint:"), "not said why: {out}");
    before.assert_same(&host.tree("/etc"), &format!("after {out}"));
    Ok(())
}
