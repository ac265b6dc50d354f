//! What the tool must refuse before it touches anything, with a word on what to do.

use anyhow::{Result, ensure};

use crate::host::{Host, Output};
use crate::install::INSTALL;
use crate::{Case, Kind, language};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("no_daemon", no_daemon),
        Case::new("plain_user", plain_user),
        Case::new("no_terminal_and_no_yes", no_terminal),
        Case::new("port_taken_by_another_program", port_taken),
        Case::new("daemon_in_a_network_of_its_own", own_network),
        Case::new("no_space_for_the_spool", no_space),
        Case::new("impossible_port", impossible_port),
        Case::new("second_run_at_the_same_time", second_run),
        Case::new("two_daemons_and_nobody_says_which", two_daemons).only("syslog-ng"),
    ]
}

/// Runs something that must be refused, and checks that it left no trace.
pub fn refused(host: &Host, code: i32, run: impl FnOnce() -> Output) -> Result<Output> {
    let before = (host.tree("/etc"), host.tree("/var/spool"));
    let out = run();
    ensure!(out.code == code, "exit code {code} was expected: {out}");
    ensure!(out.all().contains("hint:"), "a refusal without a word on what to do: {out}");
    before.0.assert_same(&host.tree("/etc"), "after a refusal");
    before.1.assert_same(&host.tree("/var/spool"), "after a refusal");
    Ok(out)
}

fn no_daemon(kind: &Kind) -> Result<()> {
    let host = Host::boot(&kind.suite, "none")?;
    refused(&host, 1, || host.cefctl(&INSTALL)).map(drop)
}

fn plain_user(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let as_user = [&["runuser", "-u", "nobody", "--", "cefctl"], &INSTALL[..]].concat();
    refused(&host, 2, || host.exec(&as_user).no_panic()).map(drop)
}

fn no_terminal(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    refused(&host, 2, || host.cefctl(&["install", "--agent", "none"])).map(drop)
}

/// Takes a port with a small program; the unit's name is given back, for `systemctl stop`.
pub fn take_port(host: &Host, protocol: &str, port: u16) -> Result<String> {
    let kind = if protocol == "tcp" { "STREAM" } else { "DGRAM" };
    let unit = format!("squatter-{protocol}-{port}");
    let program = format!(
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_{kind}); s.bind(('0.0.0.0', {port})); \
         {kind_listen}time.sleep(600)",
        kind_listen = if protocol == "tcp" { "s.listen(); " } else { "" }
    );
    host.exec(&["systemd-run", "--quiet", &format!("--unit={unit}"), "python3", "-c", &program]).ok();
    crate::host::wait_for("the other program has the port", std::time::Duration::from_secs(5), || {
        host.bound(protocol).contains(&port).then_some(())
    })?;
    Ok(unit)
}

fn port_taken(kind: &Kind) -> Result<()> {
    for protocol in ["udp", "tcp"] {
        let host = kind.boot()?;
        take_port(&host, protocol, 514)?;
        let out = refused(&host, 1, || host.cefctl(&INSTALL))?;
        ensure!(out.all().contains("python3"), "the owner of the port is not named: {out}");
    }
    Ok(())
}

/// Its ports would be open where no device comes by.
fn own_network(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    crate::broken::harden(&host, kind, "PrivateNetwork=yes");
    let out = refused(&host, 1, || host.cefctl(&INSTALL))?;
    ensure!(out.all().contains("PrivateNetwork=yes"), "the setting is not named: {out}");
    // What the hint says is what helps.
    crate::broken::harden(&host, kind, "PrivateNetwork=no");
    crate::install::installed(&host);
    Ok(())
}

fn no_space(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let spool = if kind.daemon == "syslog-ng" { "/var/lib/syslog-ng" } else { "/var/spool/rsyslog" };
    host.sh(&format!("mount -t tmpfs -o size=64k tmpfs {spool}"));
    refused(&host, 1, || host.cefctl(&INSTALL)).map(drop)
}

fn impossible_port(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    for port in ["notaport", "0", "65536", "-1", ""] {
        let before = host.tree("/etc");
        let option = format!("--port={port}");
        let out = host.cefctl(&[&INSTALL[..], &[&option]].concat());
        ensure!(out.code == 2, "port `{port}`: {out}");
        before.assert_same(&host.tree("/etc"), "after a wrong option");
    }
    Ok(())
}

fn second_run(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    crate::interrupt::slow_down_validation(kind, &host, 3);
    let first = host.spawn(&[&["cefctl"], &INSTALL[..]].concat())?;
    crate::interrupt::wait_for_validation(&host)?;
    let second = host.cefctl(&INSTALL);
    ensure!(second.code == 1 || second.code == 2, "a second run at the same time was not refused: {second}");
    ensure!(second.all().contains("hint:"), "a refusal without a word on what to do: {second}");
    let first = first.wait_with_output()?;
    ensure!(first.status.success(), "the first run was disturbed: {}", String::from_utf8_lossy(&first.stderr));
    ensure!(host.all_bound(514), "514 is not open after the first run");
    Ok(())
}

/// Both daemons run: the one that has the port is named and nothing is guessed; told which, the tool goes on.
fn two_daemons(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    // Debian's packages exclude each other, so the other one comes as files.
    let other = Host::boot(&kind.suite, "rsyslog")?;
    other.sh("{ dpkg -L rsyslog; ldd /usr/sbin/rsyslogd | awk '/=> \\//{print $3}'; } >/var/tmp/all
         while read -r f; do [ ! -f \"$f\" ] || echo \"$f\"; done </var/tmp/all >/var/tmp/files");
    let files = other.exec(&["tar", "-C", "/", "-hcf", "-", "-T", "/var/tmp/files"]).ok();
    host.exec_with_input(&["tar", "-C", "/", "--skip-old-files", "-xf", "-"], &files.stdout).ok();
    let (path, text) = language::listener(&Kind { daemon: "rsyslog".into(), ..kind.clone() }, 514);
    host.put(&path, text);
    // Its own unit wants the journal's socket, which syslog-ng's does without.
    host.sh("systemd-run --quiet --unit=other-daemon /usr/sbin/rsyslogd -n -iNONE");
    crate::host::wait_for("the other daemon listens", std::time::Duration::from_secs(5), || {
        host.all_bound(514).then_some(())
    })?;
    let out = refused(&host, 1, || host.cefctl(&INSTALL))?;
    ensure!(out.all().contains("TCP port 514 belongs to rsyslog"), "the owner of the port is not named: {out}");
    ensure!(out.all().contains("--daemon syslog-ng"), "not asked which: {out}");
    let out = refused(&host, 1, || host.cefctl(&[&INSTALL[..], &["--daemon", "syslog-ng"]].concat()))?;
    ensure!(out.all().contains("taken by rsyslogd"), "the other daemon has the port: {out}");
    let report = host.cefctl(&["troubleshoot", "--daemon", "syslog-ng", "--agent", "none", "-o", "json"]).json()?;
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let single = checks.iter().find(|c| c["id"] == "daemon.single").cloned().unwrap_or_default();
    ensure!(
        single["status"] == "warn" && single["remedy"].to_string().contains("disable --now other-daemon"),
        "{single:#}"
    );
    let install = [&INSTALL[..], &["--daemon", "syslog-ng", "--port", "1514"]].concat();
    host.cefctl(&install).ok();
    let again = host.cefctl(&[&INSTALL[..], &["--port", "1514"]].concat()).ok();
    ensure!(again.all().contains("nothing to do"), "what an earlier run has set up is not remembered: {again}");
    Ok(())
}
