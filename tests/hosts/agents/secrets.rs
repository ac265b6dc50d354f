//! The key and the proxy's password show nowhere: every command line and environment while install runs, everything it
//! says, the journal, logs, receipt, run journal, files left on any disk. Also when it fails, and when it is killed.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::lab::{KEY, Lab, PROXY, WORKSPACE};
use crate::host::{Host, Output, wait_for};
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("secrets_show_nowhere", nowhere),
        Case::new("a_killed_run_leaves_no_key_and_the_next_one_finishes", killed),
    ]
}

const WATCHED: &str = "/var/lib/stand-in/watched";
/// Raw and encoded.
const SECRETS: [&str; 3] = [KEY, "p%40ss%20word%2F1", "p@ss word/1"];

fn watch(host: &Host) -> Result<()> {
    host.put("/usr/local/lib/stand-in/watch.py", include_bytes!("../../stand_ins/watch.py"));
    let reversed = SECRETS.map(|s| s.chars().rev().collect::<String>());
    let mut argv =
        vec!["systemd-run", "--quiet", "--unit=watcher", "python3", "/usr/local/lib/stand-in/watch.py", WATCHED];
    argv.extend(reversed.iter().map(String::as_str));
    host.exec(&argv).ok();
    wait_for("the watcher looks", Duration::from_secs(5), || (!host.get(WATCHED).is_empty()).then_some(()))
}

/// What the watcher saw, without those who called cefctl in the first place: `env` of the harness and cefctl's own first
/// moment, which the caller chose.
fn seen(host: &Host) -> Vec<String> {
    let text = String::from_utf8_lossy(&host.get(WATCHED)).into_owned();
    text.lines().filter(|l| *l != "looked").map(str::to_owned).collect()
}

fn clean(host: &Host, lab: &Lab<'_>, out: &Output) -> Result<()> {
    for secret in SECRETS {
        ensure!(!out.all().contains(secret), "the output shows a secret: {out}");
        let journal = host.exec(&["journalctl", "--no-pager", "-o", "cat"]).ok();
        ensure!(!journal.all().contains(secret), "the journal shows a secret");
        for folder in ["/etc", "/var", "/root", "/opt", "/usr/local", "/run", "/tmp", "/home"] {
            let own = ["--exclude-dir=stand-in", "--exclude-dir=journal", "--devices=skip", "-rlaF"];
            let found = host.exec(&[&["grep"][..], &own, &["-e", secret, folder]].concat()).text();
            ensure!(found.is_empty(), "left on the disk: {found}");
        }
    }
    let seen = seen(host);
    ensure!(seen.is_empty(), "seen while it ran: {seen:#?}\n{:#?}", lab.requests());
    Ok(())
}

fn nowhere(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    watch(&host)?;
    // the key by standard input, the proxy's password by a file that only the shell reads
    host.put("/var/lib/stand-in/proxy", PROXY);
    let run = |options: &str| {
        let script = format!(
            "CEFCTL_PROXY=$(cat /var/lib/stand-in/proxy); export CEFCTL_PROXY; exec cefctl install {WORKSPACE} --key-file - -v {options}"
        );
        host.exec_with_input(&["sh", "-c", &script], format!("{KEY}\n").as_bytes()).no_panic()
    };
    lab.status(403);
    let failed = run("").expect_code(1);
    // the shell's variable is in the environment of cefctl's first moment, and no longer
    host.sh(&format!("sed -i '/^environ of \\(sh\\|cefctl\\|env\\|timeout\\)/d' {WATCHED}"));
    clean(&host, &lab, &failed)?;
    lab.status(0);
    let done = run("").ok();
    host.sh(&format!("sed -i '/^environ of \\(sh\\|cefctl\\|env\\|timeout\\)/d' {WATCHED}"));
    clean(&host, &lab, &done)?;
    ensure!(lab.requests().iter().any(|r| r.contains("PROXY") && r.contains("github.com")), "not through the proxy");
    let troubled = host.cefctl(&["troubleshoot", "-o", "json"]);
    clean(&host, &lab, &troubled)?;
    let undone = host.cefctl(&["uninstall", "--yes", "--agent"]).ok();
    clean(&host, &lab, &undone)
}

/// Is the key on a command line or in an environment of a process with this name, now?
fn shows(host: &Host, name: &str) -> bool {
    let script = format!(
        "for p in $(pgrep -x {name}); do cat /proc/$p/cmdline /proc/$p/environ; done 2>/dev/null | grep -aqF -e '{}' ",
        &KEY[..40]
    );
    host.exec(&["sh", "-c", &script]).code == 0
}

fn killed(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    host.put("/root/key", KEY);
    // the bundle waits until it is told to go on
    host.put("/etc/stand-in/bundle-wait", "");
    for how in ["argument", "variable"] {
        let command = match how {
            "argument" => format!("exec cefctl install {WORKSPACE} {KEY}"),
            _ => format!("CEFCTL_KEY={KEY} exec cefctl install {WORKSPACE}"),
        };
        host.sh("rm -f /run/bundle-waits");
        let mut run = host.spawn(&["sh", "-c", &command])?;
        wait_for("the bundle runs", Duration::from_secs(20), || {
            (host.exec(&["test", "-e", "/run/bundle-waits"]).code == 0).then_some(())
        })?;
        ensure!(!shows(&host, "cefctl"), "by {how}: cefctl's own command line or environment shows the key");
        let mode = host.sh("stat -L -c '%F %a %u' /etc/omsagent-onboard.conf");
        ensure!(mode == "regular file 600 0", "the onboarding file is {mode}");
        let link = host.sh("readlink /etc/omsagent-onboard.conf");
        ensure!(link.starts_with("/proc/"), "the onboarding file is on a disk: {link}");
        host.exec(&["pkill", "-KILL", "-x", "cefctl"]).ok();
        run.wait()?;
        ensure!(host.exec(&["test", "-e", "/etc/omsagent-onboard.conf"]).code == 1, "the key outlived cefctl");
        host.sh("pkill -KILL -f [o]msagent.sh || true; sleep 0.1");
    }
    host.sh("rm /etc/stand-in/bundle-wait /root/key");
    let left = host
        .exec(&["grep", "-rlaF", "--exclude-dir=stand-in", "-e", KEY, "/etc", "/var", "/root", "/run", "/tmp"])
        .text();
    ensure!(left.is_empty(), "left by the killed runs: {left}");
    lab.install(&[]).ok();
    ensure!(lab.is_running(), "the agent does not run");
    ensure!(
        !host.path("/etc/omsagent-onboard.conf").is_symlink() && !host.path("/var/cache/cefctl").exists(),
        "leftovers"
    );
    Ok(())
}
