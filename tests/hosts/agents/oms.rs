//! `install WORKSPACE KEY`: the Log Analytics agent from nothing to events that arrive, and every way in which that fails.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::lab::{KEY, Lab, PROXY, WORKSPACE, bundle};
use crate::host::{Host, Output, wait_for};
use crate::tree::Tree;
use crate::{Case, Kind, send};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("one_line_brings_the_agent_up_and_the_second_run_plans_nothing", one_line),
        Case::new("every_failure_is_named_and_leaves_the_box_as_it_was", failures),
    ]
}

fn arrives(lab: &Lab<'_>, number: usize) -> Result<()> {
    send::tcp_each(lab.host, send::loopback(514), &[send::numbered(number)])?;
    let word = format!("seq={number:09}");
    wait_for("the event reaches the agent", Duration::from_secs(10), || {
        lab.received().iter().any(|l| crate::agent::contains(l, word.as_bytes())).then_some(())
    })
}

fn one_line(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    let out = host.exec(&["sh", "-c", &format!("umask 077; exec cefctl install {WORKSPACE} {KEY}")]).no_panic().ok();
    ensure!(out.all().contains("retired"), "nothing is said about the agent's end: {out}");
    ensure!(lab.is_running(), "the agent does not run");
    arrives(&lab, 7)?;
    let conf = format!("/etc/opt/microsoft/omsagent/{WORKSPACE}/conf/omsagent.d/security_events.conf");
    ensure!(host.sh(&format!("stat -c '%U:%G %a' {conf}")) == "omsagent:omiusers 644", "owner or mode of {conf}");
    nothing_left(&host)?;
    let before = (host.tree("/etc"), host.main_pid(&lab.unit())?, host.main_pid(kind.unit())?);
    let again = lab.install(&[]).ok();
    ensure!(again.all().contains("nothing to do"), "the second run: {again}");
    ensure!(
        (host.main_pid(&lab.unit())?, host.main_pid(kind.unit())?) == (before.1, before.2),
        "something was restarted"
    );
    before.0.assert_same(&host.tree("/etc"), "after the second run");
    host.cefctl(&["uninstall", "--yes", "--agent"]).ok();
    ensure!(!host.path("/opt/microsoft/omsagent").exists(), "the agent is still there");
    Ok(())
}

fn nothing_left(host: &Host) -> Result<()> {
    let left = host.sh("ls -d /etc/omsagent-onboard.conf /var/cache/cefctl 2>/dev/null || true");
    ensure!(left.is_empty() && !host.path("/etc/omsagent-onboard.conf").is_symlink(), "left behind: {left}");
    Ok(())
}

/// /etc without what useradd and its like keep of the state before.
fn etc(host: &Host) -> Tree {
    let kept = ["passwd-", "shadow-", "group-", "gshadow-", ".pwd.lock", "subuid-", "subgid-"];
    host.tree("/etc").without(&kept.map(str::to_owned))
}

/// Runs something that must fail with these words, and looks that nothing is left of it.
fn fails(lab: &Lab<'_>, kind: &Kind, words: &[&str], run: impl FnOnce() -> Output) -> Result<()> {
    let host = lab.host;
    let before = (etc(host), host.tree("/opt"), host.tree("/var/opt"), host.main_pid(kind.unit())?);
    let out = run();
    ensure!(out.code == 1 && out.all().contains("hint:"), "it must fail with a hint: {out}");
    for word in words {
        ensure!(out.all().contains(word), "“{word}” is not in {out}");
    }
    ensure!(!out.all().contains(KEY), "the key is shown: {out}");
    before.0.assert_same(&etc(host), "after a failure");
    before.1.assert_same(&host.tree("/opt"), "after a failure");
    before.2.assert_same(&host.tree("/var/opt"), "after a failure");
    ensure!(host.main_pid(kind.unit())? == before.3, "the daemon was restarted");
    ensure!(!host.all_bound(514), "514 was opened");
    nothing_left(host)
}

fn failures(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    let url = |query: &str| format!("--agent-url=https://mirror.test/omsagent-1.19.0-0.universal.x64.sh{query}");
    // the way to the bundle
    let zero = format!("--agent-sha256={}", "0".repeat(64));
    fails(&lab, kind, &["SHA-256 is"], || lab.install(&[&zero]))?;
    fails(&lab, kind, &["403"], || lab.install(&[&url("?status=403")]))?;
    fails(&lab, kind, &["404"], || lab.install(&["--agent-url=https://mirror.test/none"]))?;
    fails(&lab, kind, &["login"], || lab.install(&["--proxy=http://127.0.0.1:3128"]))?;
    host.put("/root/page.sh", "<html>log in</html>");
    fails(&lab, kind, &["no installation bundle"], || lab.install(&["--agent-bundle=/root/page.sh"]))?;
    // the bundle's own codes
    for (code, word) in [
        (17, "omsagent could not be installed"),
        (18, "omsconfig"),
        (19, "omi"),
        (20, "scx"),
        (21, "provider"),
        (22, "auoms"),
        (30, "internal"),
        (51, "operating system"),
        (52, "depends on"),
        (55, "OpenSSL"),
        (60, "no Python"),
        (61, "ctypes"),
        (62, "tar is missing"),
        (63, "sed is missing"),
        (65, "gpg"),
        (66, "neither dpkg nor rpm"),
    ] {
        lab.bundle_code(code);
        fails(&lab, kind, &[word, &format!("code {code}")], || lab.install(&[]))?;
    }
    lab.bundle_code(0);
    // registration
    let wrong = KEY.replace("Q0FO", "R0FO");
    fails(&lab, kind, &["HTTP 403", "code 5"], || host.cefctl(&["install", WORKSPACE, &wrong]))?;
    for (status, words) in [(403, "code 5"), (500, "code 6")] {
        lab.status(status);
        fails(&lab, kind, &[words], || lab.install(&[]))?;
    }
    lab.status(0);
    let bundle_file = "/root/bundle.sh";
    host.put(bundle_file, bundle()?);
    let offline = format!("--agent-bundle={bundle_file}");
    host.sh("systemctl stop stand-in-cloud");
    fails(&lab, kind, &["code 8", "does not answer"], || lab.install(&[&offline]))?;
    host.sh("cp /etc/hosts /root/hosts; echo 127.0.0.1 localhost >/etc/hosts");
    fails(&lab, kind, &["code 7"], || lab.install(&[&offline]))?;
    host.sh("cp /root/hosts /etc/hosts");
    lab.resume()?;
    // a box that will not do
    host.sh("mount -t tmpfs -o size=100m tmpfs /opt");
    fails(&lab, kind, &["/opt has", "df -h /opt"], || lab.install(&[]))?;
    host.sh("umount /opt");
    host.sh("mkdir -p /usr/local/bin; printf '#!/bin/sh\necho OpenSSL 3.5.1 1 Jul 2025\n' >/usr/local/bin/openssl; chmod 755 /usr/local/bin/openssl");
    fails(&lab, kind, &["OpenSSL 3.5.1"], || lab.install(&[]))?;
    host.sh("rm /usr/local/bin/openssl");
    let lock = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); open('/run/locked', 'w'); time.sleep(600)";
    host.exec(&["systemd-run", "--quiet", "--unit=locker", "python3", "-c", lock]).ok();
    wait_for("the lock is held", Duration::from_secs(5), || {
        (host.exec(&["test", "-e", "/run/locked"]).code == 0).then_some(())
    })?;
    fails(&lab, kind, &["lock-frontend", "python3"], || lab.install(&[]))?;
    host.sh("systemctl stop locker");
    // and after all that it still works, also through the proxy and from a mirror
    lab.install(&["--proxy", PROXY, &url("?status=503&times=1")]).ok();
    arrives(&lab, 8)?;
    let asked = lab.requests();
    ensure!(asked.iter().any(|r| r.contains("PROXY") && r.contains(".oms.")), "registered past the proxy: {asked:#?}");
    Ok(())
}
