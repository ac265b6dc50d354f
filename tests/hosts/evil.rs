//! A host that is hostile to whoever looks at it: escape sequences and HTML in its logs, names with line feeds, endless files,
//! commands that print garbage, hang or are missing, a file system that does not answer, no permission. There is a whole report
//! each time, in every format, and nothing raw of the host is in it. And: what looks changes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::agents::ama::Ama;
use crate::agent::Agent;
use crate::host::{Host, Output};
use crate::install::{INSTALL, installed};
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("nothing_raw_of_the_host_is_in_a_report", raw),
        Case::new("commands_that_print_garbage_hang_or_are_missing", commands).alone(),
        Case::new("a_daemon_or_an_agent_that_is_stopped_hangs_nobody", halted),
        Case::new("without_permission_there_is_a_whole_report", unprivileged),
        Case::new("a_diagnosis_changes_nothing", read_only),
        Case::new("a_full_run_is_quick_and_small", figures).alone(),
    ]
}

const FORMATS: [&str; 4] = ["text", "json", "junit", "html"];

fn ids(report: &Value) -> BTreeSet<String> {
    report["checks"].as_array().into_iter().flatten().filter_map(|c| Some(c["id"].as_str()?.to_owned())).collect()
}

/// All checks, whatever became of each.
fn whole(host: &Host, out: &Output) -> Result<Value> {
    let report = out.json()?;
    let all: BTreeSet<String> = host
        .cefctl(&["explain"])
        .text()
        .lines()
        .filter_map(|l| l.split_whitespace().find(|w| w.contains('.') && !w.ends_with('.')))
        .filter(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'-'))
        .map(str::to_owned)
        .collect();
    let missing: Vec<&String> = all.iter().filter(|id| !ids(&report).contains(*id)).collect();
    ensure!(all.len() > 60 && missing.is_empty(), "of {} checks these are not in the report: {missing:?}", all.len());
    Ok(report)
}

fn control_bytes(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| (*b < b' ' && !matches!(b, b'\n')) || *b == 0x7f)
}

/// A run in every format, without a raw control byte, an own tag of HTML, or a panic.
fn every_format(host: &Host, args: &[&str]) -> Result<()> {
    for format in FORMATS {
        let out = host.cefctl(&[&["troubleshoot", "-o", format], args].concat()).no_panic();
        ensure!([0, 1].contains(&out.code), "{format}: {out}");
        for stream in [&out.stdout, &out.stderr] {
            let at = control_bytes(stream);
            ensure!(at.is_none(), "{format}: a control byte at {at:?} of {out}");
        }
        ensure!(out.stdout.len() > 2000, "{format}: {out}");
        if matches!(format, "html" | "junit") {
            let text = out.text();
            ensure!(!text.contains("<script") && !text.contains("<img"), "{format}: raw HTML of the host: {text}");
        }
    }
    Ok(())
}

/// What a host may put where it is read, as the shell's printf wants it.
const EVIL: &str = r"\033[2J\033]0;title\007<script>alert(1)</script><img src=x>\r\b\233\000&quot;]]>";

fn raw(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.cefctl(&["install", "--yes"]).ok();
    let folders = match kind.daemon.as_str() {
        "rsyslog" => "/etc/rsyslog.d",
        _ => "/etc/syslog-ng/conf.d",
    };
    host.sh(&format!(
        "evil() {{ printf '{EVIL}'; }}\n\
         mkdir -p /var/opt/microsoft/azuremonitoragent/log; cd /var/opt/microsoft/azuremonitoragent/log\n\
         now=$(date -u +%Y-%m-%dT%H:%M:%S.0000000Z)\n\
         for line in 'Failed to resolve host' 'Connection refused' 'HTTP 403 Forbidden' 'No space left on device'; do\n\
           printf '%s: %s ' \"$now\" \"$line\"; evil; echo; done >mdsd.err\n\
         truncate -s 5G mdsd.warn mdsd.info; printf 'Operation,Object\\n' >mdsd.qos; evil >>mdsd.qos\n\
         truncate -s 5G /var/log/huge.log\n\
         name=$(printf 'a\\nb \\033[31mred <script>x')\n\
         truncate -s 6G \"/var/log/$name\"\n\
         cd {folders}; evil >\"60-$name.conf.txt\"; printf '# %s\\n' \"$(evil | tr -d '\\000')\" >\"60-$name.conf\"\n\
         cd /etc/opt/microsoft/azuremonitoragent/config-cache/configchunks; evil >\"$name.json\"; truncate -s 5G huge.json; mkfifo pipe.json\n\
         printf '28330\\033[31m' >../syslog.port; evil >../syslog.marker\n\
         evil >/etc/default/azuremonitoragent\n\
         printf 'ID=debian\\nPRETTY_NAME=\"\\033[31mDebian<script>\"\\nVERSION_ID=12\\n' >/etc/os-release\n\
         systemctl restart {} || true\n\
         printf '<27>{}[1]: %s\\n' \"$(evil | tr -d '\\000')\" | logger --socket-errors=off -t {} || true",
        kind.unit(),
        kind.unit(),
        if kind.daemon == "rsyslog" { "rsyslogd" } else { "syslog-ng" },
    ));
    // Processes that come and go meanwhile, with such names.
    host.sh("systemd-run --quiet --unit=crowd sh -c 'while :; do sh -c \"exec -a evil sleep 0.001\" & (:) & sleep 0.001; done'");
    let out = host.cefctl(&["troubleshoot", "-o", "json"]).no_panic();
    whole(&host, &out)?;
    ensure!(out.text().contains("alert(1)"), "nothing of it is shown: {out}");
    every_format(&host, &[])?;
    every_format(&host, &["--no-probe", "--short"])?;
    let out = host.cefctl(&["collect", "--no-probe", "--file", "/var/tmp/b.tgz"]).no_panic().ok();
    ensure!(control_bytes(&out.stdout).is_none(), "{out}");
    every_format(&host, &["--from", "/var/tmp/b.tgz"])?;
    drop(ama);
    Ok(())
}

/// Programs that a diagnosis asks, in the folder that comes first in its path.
const PROGRAMS: [&str; 12] = [
    "systemctl",
    "journalctl",
    "nft",
    "iptables-save",
    "ip6tables-save",
    "getent",
    "timedatectl",
    "openssl",
    "getconf",
    "chronyc",
    "syslog-ng-ctl",
    "ipset",
];

fn commands(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    installed(&host);
    let put = |script: &str| {
        for program in PROGRAMS {
            host.put(&format!("/usr/local/sbin/{program}"), script);
            host.sh(&format!("chmod 755 /usr/local/sbin/{program}"));
        }
    };
    for (what, script) in [
        ("garbage", "#!/bin/sh\nhead -c 300000 /dev/urandom\nhead -c 3000 /dev/urandom >&2\n"),
        ("garbage without an end", "#!/bin/sh\nexec cat /dev/urandom\n"),
        ("nothing", "#!/bin/sh\nexit 0\n"),
        ("an error", "#!/bin/sh\nprintf '\\033[31mno' >&2\nexit 1\n"),
        ("a signal", "#!/bin/sh\nkill -SEGV $$\n"),
        ("no program", "\u{7f}ELF"),
        ("silence", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 100; done\n"),
    ] {
        put(script);
        let start = Instant::now();
        let out = host.cefctl(&["troubleshoot", "-o", "json", "--no-probe"]).no_panic();
        let took = start.elapsed();
        let report = whole(&host, &out)?;
        println!("{what}: {took:.1?}, {}", report["counts"]);
        ensure!(control_bytes(&out.stdout).is_none(), "{what}: {out}");
        ensure!(took < Duration::from_secs(20), "{what}: {took:?}");
        // What is not said is not known: it makes nothing fail.
        ensure!(report["counts"]["fail"] == 0, "{what}: {report:#}");
    }
    // Part of it in time, the rest unknown.
    let start = Instant::now();
    let out = host.cefctl(&["troubleshoot", "-o", "json", "--no-probe", "--timeout", "2"]).no_panic();
    ensure!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let report = whole(&host, &out)?;
    let count = |status: &str| report["counts"][status].as_u64().unwrap_or_default();
    ensure!(count("pass") > 20 && count("unknown") > 0 && count("fail") == 0, "{report:#}");
    ensure!(out.text().contains("no answer within"), "what hangs is not said: {report:#}");
    ensure!(report["verdict"] != "healthy" || count("unknown") > 0, "{report:#}");
    // And the daemon's own program.
    host.sh(&format!("for p in {}; do rm /usr/local/sbin/$p; done", PROGRAMS.join(" ")));
    let program = host
        .sh(&format!("readlink -f $(command -v {})", if kind.daemon == "rsyslog" { "rsyslogd" } else { "syslog-ng" }));
    host.sh(&format!(
        "mv {program} {program}.away; printf '#!/bin/sh\\nexec sleep 1000\\n' >{program}; chmod 755 {program}"
    ));
    let out = host.cefctl(&["troubleshoot", "-o", "json", "--no-probe", "--timeout", "3"]).no_panic();
    whole(&host, &out)?;
    host.sh(&format!("mv {program}.away {program}"));
    let out = host.cefctl(&["troubleshoot", "-o", "json"]).no_panic().ok();
    ensure!(out.json()?["verdict"] == "healthy", "the host is well again: {out}");
    Ok(())
}

fn halted(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.cefctl(&["install", "--yes"]).ok();
    let look = |what: &str, root: &str| -> Result<()> {
        let out = host.cefctl(&["troubleshoot", "-o", "json", "--timeout", "15"]).no_panic();
        let report = whole(&host, &out)?;
        ensure!(out.time < Duration::from_secs(15), "{what}: {out}");
        ensure!(report["root_cause"] == root, "{what}: {report:#}");
        Ok(())
    };
    let pid = host.main_pid(kind.unit())?;
    host.sh(&format!("kill -STOP $(systemctl show -p MainPID --value {})", kind.unit()));
    look("the daemon is stopped by a signal", "daemon.running")?;
    host.sh(&format!("kill -CONT $(systemctl show -p MainPID --value {})", kind.unit()));
    ensure!(host.main_pid(kind.unit())? == pid, "the daemon was restarted");
    host.sh("kill -STOP $(systemctl show -p MainPID --value azuremonitoragent)");
    look("the agent is stopped by a signal", "ama.running")?;
    host.sh("kill -CONT $(systemctl show -p MainPID --value azuremonitoragent)");
    // Pipes in the place of files that are read.
    for file in ["/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port", "/etc/default/azuremonitoragent"] {
        host.sh(&format!("[ ! -e {file} ] || mv {file} {file}.away; mkfifo {file}"));
        let out = host.cefctl(&["troubleshoot", "-o", "json", "--timeout", "15"]).no_panic();
        whole(&host, &out)?;
        ensure!(out.time < Duration::from_secs(10), "a pipe at {file}: {:?}", out.time);
        host.sh(&format!("rm {file}; [ ! -e {file}.away ] || mv {file}.away {file}"));
    }
    let main = if kind.daemon == "rsyslog" { "/etc/rsyslog.conf" } else { "/etc/syslog-ng/syslog-ng.conf" };
    host.sh(&format!("mv {main} {main}.away; mkfifo {main}"));
    look("the main file is a pipe", "daemon.config")?;
    host.sh(&format!("rm {main}; mv {main}.away {main}"));
    drop(ama);
    Ok(())
}

fn unprivileged(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    host.cefctl(&INSTALL).ok();
    let out = host
        .exec(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cefctl", "troubleshoot", "-o", "json"])
        .no_panic();
    let report = whole(&host, &out)?;
    let of = |id: &str| {
        let check = report["checks"].as_array().into_iter().flatten().find(|c| c["id"] == id);
        check.and_then(|c| c["status"].as_str()).unwrap_or_default().to_owned()
    };
    ensure!(of("host.privileges") != "pass", "{report:#}");
    // What cannot be seen is no fault.
    ensure!(report["counts"]["fail"] == 0, "{report:#}");
    Ok(())
}

/// Everything that would show that somebody changed something: files, processes, units, counters.
fn state(host: &Host) -> (Vec<(String, crate::tree::Tree)>, String) {
    let trees = ["/etc", "/opt", "/usr/local", "/root", "/var/lib", "/var/opt", "/var/spool", "/var/tmp", "/srv"];
    let trees = trees.iter().map(|t| ((*t).to_owned(), host.tree(t))).collect();
    let seen = host.sh(
        "systemctl list-units --all --plain --no-legend --type=service,socket,timer,mount --state=active | awk '{ print $1, $3, $4 }' | sort\n\
         systemctl show -p MainPID,NRestarts,InvocationID rsyslog syslog-ng azuremonitoragent 2>/dev/null\n\
         iptables-save -c | grep -v '^#'; nft list ruleset\n\
         awk '/^Udp:/ { print $2, $4 }' /proc/net/snmp\n\
         cat /proc/net/udp /proc/net/udp6 | awk 'NR > 1 { print $2, $10, $13 }' | sort\n\
         awk 'NR > 1 && $4 == \"0A\" { print $2, $10 }' /proc/net/tcp /proc/net/tcp6 | sort\n\
         ls -l /dev /run/systemd/system 2>/dev/null | awk '{ print $1, $NF }'; ls /tmp; sysctl -a 2>/dev/null | grep -E '^net\\.(core|ipv4\\.(ip_forward|conf))' | sort",
    );
    (trees, seen)
}

fn read_only(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.cefctl(&["install", "--yes"]).ok();
    host.sh("iptables -A INPUT -p udp --dport 514 -j ACCEPT");
    host.cefctl(&["troubleshoot"]).no_panic();
    // systemd's own random seed and the like are written in their own time.
    std::thread::sleep(Duration::from_millis(500));
    let around = || {
        let before = state(&host);
        for args in [&["troubleshoot", "--no-probe"][..], &["troubleshoot", "--no-probe", "--watch", "1", "-o", "html"]]
        {
            host.cefctl(args).no_panic();
        }
        (before, state(&host))
    };
    // The host's own timers may write in between; a diagnosis that changes something does so each time.
    let (before, after) = (0..3).map(|_| around()).find(|(b, a)| b == a).unwrap_or_else(around);
    for ((name, was), (_, is)) in before.0.iter().zip(&after.0) {
        was.assert_same(is, &format!("{name} after a diagnosis"));
    }
    ensure!(before.1 == after.1, "changed by a diagnosis:\n{}\n── now:\n{}", before.1, after.1);
    drop(ama);
    Ok(())
}

/// Seconds and KiB of a run, in one line.
const MEASURE: &str = "import resource, subprocess, sys, time\n\
    t = time.monotonic(); p = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
    print(time.monotonic() - t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n";

fn figures(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.cefctl(&["install", "--yes"]).ok();
    host.put("/usr/local/lib/measure.py", MEASURE);
    let mut best = (f64::MAX, u64::MAX);
    for _ in 0..3 {
        let out =
            host.exec(&["python3", "/usr/local/lib/measure.py", "cefctl", "troubleshoot", "-o", "json"]).ok().text();
        let mut words = out.split_whitespace();
        let seconds: f64 = words.next().unwrap_or_default().parse()?;
        let kib: u64 = words.next().unwrap_or_default().parse()?;
        best = (best.0.min(seconds), best.1.min(kib));
    }
    println!("{}-{}: {:.2} s, {} KiB at most", kind.suite, kind.daemon, best.0, best.1);
    ensure!(best.0 < 2.0, "{} s", best.0);
    ensure!(best.1 < 40 << 10, "{} KiB", best.1);
    drop(ama);
    Ok(())
}
