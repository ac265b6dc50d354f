//! A box without a syslog daemon, as cloud images are by now: `--install-packages` brings the distribution's, and a box on
//! which anything of it misses is as it was before, packages included.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::host::{Host, Output};
use crate::install::INSTALL;
use crate::refusals::take_port;
use crate::tree::Tree;
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    let only = |case: Case| case.only("rsyslog");
    [
        Case::new("brought_and_taken_away", brought),
        Case::new("syslog_ng_if_asked", other),
        Case::new("stay_unless_asked", stay),
        Case::new("what_was_left_of_an_older_package_stays", leftovers),
        Case::new("go_again_when_the_install_fails", fails),
        Case::new("not_to_be_had", not_to_be_had),
        Case::new("no_room", no_room),
        Case::new("lock_held_by_another_program", locked),
        Case::new("fix_brings_them", fix),
    ]
    .into_iter()
    .map(only)
    .collect()
}

const ADD: [&str; 5] = ["install", "--agent", "none", "--yes", "--install-packages"];

/// What must be the same afterwards: configuration and packages.
struct Before {
    etc: Tree,
    packages: String,
}

impl Before {
    fn of(host: &Host) -> Before {
        Before { etc: host.tree("/etc"), packages: packages(host) }
    }

    fn is_back(&self, host: &Host, out: &Output) -> Result<()> {
        self.etc.assert_same(&host.tree("/etc"), &format!("after {out}"));
        ensure!(self.packages == packages(host), "other packages: {}\n{out}", packages(host));
        ensure!(!host.path("/var/lib/cefctl").exists(), "a folder of ours is left: {out}");
        Ok(())
    }
}

fn packages(host: &Host) -> String {
    host.sh("dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sort")
}

fn boot(kind: &Kind) -> Result<Host> {
    Host::boot(&kind.suite, "none+repo")
}

fn brought(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let before = Before::of(&host);
    let dry = host.cefctl(&["install", "--agent", "none", "--dry-run", "--install-packages"]).ok();
    ensure!(dry.all().contains("install the package rsyslog with apt-get"), "no plan: {dry}");
    before.is_back(&host, &dry)?;

    let out = host.cefctl(&ADD).ok();
    ensure!(host.all_bound(514), "514 is not open after {out}");
    ensure!(out.all().contains("a marked event over udp and over tcp came out"), "no proof: {out}");
    ensure!(host.service_state("rsyslog") == "active enabled", "{}", host.service_state("rsyslog"));
    let again = host.cefctl(&INSTALL).ok();
    ensure!(again.all().contains("nothing to do"), "{again}");

    let back = host.cefctl(&["uninstall", "--yes", "--packages"]).ok();
    before.is_back(&host, &back)
}

fn other(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let before = Before::of(&host);
    let install = [&ADD[..], &["--daemon", "syslog-ng"]].concat();
    host.cefctl(&install).ok();
    ensure!(host.bound("tcp6").contains(&514), "514 is not open");
    // Debian's packages exclude each other: the one that works must not go for the other.
    let out = host.cefctl(&[&ADD[..], &["--daemon", "rsyslog"]].concat()).expect_code(1);
    ensure!(out.all().contains("would go") && out.all().contains("hint:"), "not said why: {out}");
    ensure!(host.service_state("syslog-ng") == "active enabled", "{}", host.service_state("syslog-ng"));
    let back = host.cefctl(&["uninstall", "--yes", "--packages"]).ok();
    before.is_back(&host, &back)
}

fn stay(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    host.cefctl(&ADD).ok();
    let with = packages(&host);
    let out = host.cefctl(&["uninstall", "--yes"]).ok();
    ensure!(out.all().contains("--packages removes"), "not told how they go: {out}");
    ensure!(packages(&host) == with && host.service_state("rsyslog") == "active enabled", "the package went: {out}");
    ensure!(host.is_free(514), "514 is still open");
    Ok(())
}

/// Somebody's own configuration of a package that was removed, but not purged.
fn leftovers(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    host.sh("apt-get -qq update; apt-get -qq install -y rsyslog; echo '# mine' >>/etc/rsyslog.conf; apt-get -qq remove -y rsyslog");
    let before = Before::of(&host);
    host.cefctl(&ADD).ok();
    let back = host.cefctl(&["uninstall", "--yes", "--packages"]).ok();
    ensure!(String::from_utf8_lossy(&host.get("/etc/rsyslog.conf")).contains("# mine"), "it is gone: {back}");
    ensure!(before.packages == packages(&host), "other packages: {}\n{back}", packages(&host));
    Ok(())
}

fn fails(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    take_port(&host, "tcp", 514)?;
    let before = Before::of(&host);
    let out = host.cefctl(&ADD).expect_code(1);
    ensure!(out.all().contains("is taken by python3"), "the cause is not named: {out}");
    before.is_back(&host, &out)?;
    // The same for a run that is killed when the package is there, and taken up by nobody but uninstall.
    host.sh("systemctl stop squatter-tcp-514");
    host.cefctl_with(&["CEFCTL_FAIL=plan.apply:2=kill"], &ADD).expect_code(137);
    let back = host.cefctl(&["uninstall", "--yes", "--packages"]).ok();
    before.is_back(&host, &back)
}

fn not_to_be_had(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let sources = ["", "deb http://127.0.0.1:9/debian stable main\n", "deb http://mirror.invalid/debian stable main\n"];
    for (source, word) in sources.into_iter().zip(["have no rsyslog", "cannot be reached", "cannot be reached"]) {
        host.put("/etc/apt/sources.list", source);
        let before = Before::of(&host);
        let out = host.cefctl(&ADD).expect_code(1);
        ensure!(out.all().contains(word) && out.all().contains("hint:"), "`{source}`: {out}");
        before.is_back(&host, &out)?;
    }
    host.sh("mv /usr/bin/apt-get /usr/bin/apt-got");
    let out = host.cefctl(&ADD).expect_code(1);
    ensure!(out.all().contains("no package manager"), "{out}");
    Ok(())
}

fn no_room(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let before = Before::of(&host);
    let place = "/usr/lib/x86_64-linux-gnu/rsyslog";
    host.sh(&format!("mkdir -p {place}; mount -t tmpfs -o size=300k tmpfs {place}"));
    let out = host.cefctl(&ADD).expect_code(1);
    ensure!(out.all().contains("no room for the package"), "not said why: {out}");
    before.is_back(&host, &out)
}

fn locked(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let before = Before::of(&host);
    let program = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); \
                   print('held', file=open('/var/tmp/held', 'w'), flush=True); time.sleep(600)";
    host.exec(&["systemd-run", "--quiet", "--unit=upgrade", "python3", "-c", program]).ok();
    crate::host::wait_for("the lock is held", Duration::from_secs(5), || {
        (!host.get("/var/tmp/held").is_empty()).then_some(())
    })?;
    let out = host.cefctl(&ADD).expect_code(1);
    ensure!(out.all().contains("lock: ") && out.all().contains("python3"), "the holder is not named: {out}");
    before.is_back(&host, &out)
}

fn fix(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let report = host.cefctl(&["troubleshoot", "-o", "json", "--only", "daemon.present"]).expect_code(1).json()?;
    ensure!(report["root_cause"] == "daemon.present", "{report}");
    ensure!(report["checks"][0]["remedy"]["fixable"] == true, "{report}");
    host.cefctl(&["troubleshoot", "--fix", "--yes", "--agent", "none"]);
    ensure!(host.all_bound(514), "514 is not open after --fix");
    Ok(())
}
