//! Hosts on which the scripts that this tool replaces have been at work, twice (facts 2.3, 2.4): `troubleshoot` names what
//! they did, `install` takes over, a second run has nothing to do, `uninstall` leaves what was there or what was mended.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::broken::try_restart;
use crate::coexist::{log_locally, restart};
use crate::host::Host;
use crate::install::{INSTALL, status};
use crate::language::{self, MAIN_NG, MAIN_RSYSLOG};
use crate::{Case, Kind, send};

/// What they found, and what is said of what they left.
struct Original {
    name: &'static str,
    daemon: &'static str,
    /// The main file before them, made from the distribution's.
    found: fn(String) -> String,
    root_cause: &'static str,
    /// A check that tells of the damage besides.
    warned: Option<&'static str>,
}

const ORIGINALS: [Original; 4] = [
    Original { name: "debian", daemon: "rsyslog", found: |t| t, root_cause: "forward.rule", warned: None },
    Original {
        name: "remarks_behind_statements",
        daemon: "rsyslog",
        found: |_| language::LEGACY_RSYSLOG.to_owned(),
        root_cause: "forward.rule",
        warned: Some("listen.duplicate"),
    },
    Original {
        name: "debian",
        daemon: "syslog-ng",
        found: |t| t,
        root_cause: "forward.rule",
        warned: Some("daemon.config"),
    },
    Original {
        name: "source_of_another_name",
        daemon: "syslog-ng",
        found: |t| t.replace("s_src", "s_sys"),
        root_cause: "daemon.references",
        warned: Some("daemon.config"),
    },
];

pub fn cases() -> Vec<Case> {
    ORIGINALS.iter().map(|o| Case::new(o.name, |kind| taken_over(kind, o)).only(o.daemon)).collect()
}

fn taken_over(kind: &Kind, original: &Original) -> Result<()> {
    let host = kind.boot()?;
    let ng = kind.daemon == "syslog-ng";
    let (main, rule, rule_text) = match ng {
        true => (MAIN_NG, language::REPLACED_NG, language::OLDER_RULE_NG),
        false => (MAIN_RSYSLOG, language::REPLACED_RSYSLOG, language::OLDER_RULE_RSYSLOG),
    };
    let whole = (original.found)(String::from_utf8(host.get(main))?);
    host.put(main, &whole);
    restart(&host, kind);
    let logs = log_locally(&host, "hello-before")?;
    host.put(main, language::damaged(kind, whole.as_bytes()));
    host.put(rule, rule_text);
    host.sh(&format!("chmod 644 {main}"));
    try_restart(&host, kind);
    let before = host.tree("/etc");
    let agent = Agent::start(&host)?;

    let report = host.cefctl(&["troubleshoot", "-o", "json"]).expect_code(1);
    let checks = report.json()?;
    ensure!(checks["root_cause"] == original.root_cause, "{} was expected: {report}", original.root_cause);
    ensure!(report.all().contains("cef_installer.py"), "who did it is not named: {report}");
    if let Some(id) = original.warned {
        ensure!(status(&checks, id) == "warn", "{id} does not warn: {report}");
    }

    if ng {
        // Not asked to mend, it says what is wrong, and that it can.
        let plan = host.cefctl(&["install", "--agent", "none", "--dry-run"]);
        ensure!(plan.all().contains("--repair mends"), "the damage is not named: {plan}");
        host.cefctl(&[&INSTALL[..], &["--repair"]].concat()).ok();
        ensure!(host.get(main) == whole.as_bytes(), "the main file is not what it was before the scripts");
    } else {
        host.cefctl(&INSTALL).ok();
    }
    ensure!(!host.path(rule).exists(), "the older rule is still there");
    ensure!(log_locally(&host, "hello-during")? == logs, "local messages went to {logs:?} before the scripts");
    once(&host, &agent, 1)?;
    let pid = host.main_pid(kind.unit())?;
    let again = host.cefctl(&INSTALL).ok();
    ensure!(again.all().contains("nothing to do") && host.main_pid(kind.unit())? == pid, "not at rest: {again}");
    host.cefctl(&["troubleshoot"]).ok();

    let out = host.cefctl(&["uninstall", "--yes"]).ok();
    ensure!(host.unit(kind.unit(), "ActiveState") == "active", "the daemon is down after {out}");
    if !ng {
        before.assert_same(&host.tree("/etc"), "after uninstall");
        return Ok(());
    }
    ensure!(host.get(main) == whole.as_bytes(), "uninstall has brought the damage back");
    // Their rule comes back where the daemon takes it.
    match host.path(rule).exists() {
        true => ensure!(host.get(rule) == rule_text, "another rule is back"),
        false => {
            let kept = rule.replace("security-config", ".security-config") + ".cefctl-saved";
            ensure!(host.get(&kept) == rule_text, "the older rule is gone: {out}");
            ensure!(whole.contains("s_sys") && out.all().contains(&kept), "why it is not back is not said: {out}");
        }
    }
    log_locally(&host, "hello-after").map(drop)
}

/// An event over each transport arrives, and only once.
fn once(host: &Host, agent: &Agent<'_>, number: usize) -> Result<()> {
    send::udp(host, send::loopback(514), &[send::numbered(number)], Duration::ZERO)?;
    send::tcp_each(host, send::loopback(514), &[send::numbered(number + 1)])?;
    for n in [number, number + 1] {
        ensure!(agent.sees(&format!("seq={n:09}"), Duration::from_secs(8)), "event {n} did not arrive");
    }
    std::thread::sleep(Duration::from_millis(300));
    let arrived = agent.lines().iter().filter(|l| send::number_of(l).is_some()).count();
    ensure!(arrived == 2, "two events arrived {arrived} times");
    Ok(())
}
