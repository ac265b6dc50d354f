//! Judgements on the machine itself.

use super::case::Case;
use super::facts::{DiskFacts, Facts};
use super::outcome::{Judged, Outcome};
use super::words;
use crate::agent::AgentKind;

pub fn privileges(case: &Case<'_>) -> Judged {
    let facts = case.facts;
    if !facts.is_root() {
        return Ok(Outcome::unknown("not run as root: owners of sockets, protected files and the journal stay hidden")
            .seen("effective user", facts.host.euid.to_string())
            .advise("run it again as root")
            .command("sudo cefctl troubleshoot"));
    }
    let net = facts.net.as_ref()?;
    if !net.owners_complete {
        return Ok(Outcome::unknown(
            "root, but some processes may not be looked into, so owners of sockets may be missing",
        )
        .seen("effective capabilities", format!("{:#x}", facts.host.capabilities))
        .advise("run it on the host itself, or give the container SYS_PTRACE and DAC_READ_SEARCH"));
    }
    Ok(Outcome::pass("running as root"))
}

pub fn os(case: &Case<'_>) -> Judged {
    let host = &case.facts.host;
    let os = host.os.as_ref()?;
    let mut parts = vec![os.pretty_name.clone(), host.arch.clone()];
    parts.extend(host.libc.clone());
    parts.extend(host.openssl.clone());
    parts.extend(host.container.as_ref().map(|c| format!("in a container ({c})")));
    let here = parts.join(", ");
    let outcome = match case.target.agent {
        AgentKind::None => return Ok(Outcome::pass(here)),
        AgentKind::Oms if host.arch != "x86_64" => {
            Outcome::fail(format!("the Log Analytics agent runs on x86_64 only, not on {}", host.arch))
        }
        AgentKind::Oms if host.openssl.as_deref().is_some_and(openssl_too_new) => Outcome::warn(
            "the Log Analytics agent knows OpenSSL up to 3.0 only: its installer refuses this version (exit code 55)",
        ),
        AgentKind::Oms => return Ok(Outcome::pass(here)),
        AgentKind::Ama => match os.ama_supports() {
            _ if !["x86_64", "aarch64"].contains(&host.arch.as_str()) => {
                Outcome::fail(format!("the Azure Monitor Agent does not exist for {}", host.arch))
            }
            Some(true) if host.arch == "x86_64" => return Ok(Outcome::pass(here)),
            Some(true) => Outcome::warn("on aarch64 the Azure Monitor Agent supports only some of the distributions"),
            Some(false) => Outcome::warn("the Azure Monitor Agent does not support this distribution"),
            None => return Err(format!("{here}: the version is not stated, so support cannot be judged").into()),
        },
    };
    Ok(outcome
        .seen("/etc/os-release", here)
        .advise("move the collector to a system in the agent's list of supported ones"))
}

/// `OpenSSL 3.1.4 …`: everything after 3.0 fails the installer's test (facts 1.3).
fn openssl_too_new(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number.split('.').map(|p| p.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) > (3, 0)
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Below this nothing that matters can be written.
const FULL: u64 = 16 * MIB;
const FULL_INODES: u64 = 100;
/// Hours of growth that must be left.
const HOURS: u64 = 48;

/// How bad a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    Good,
    Low,
    Full,
}

pub fn disk(case: &Case<'_>) -> Judged {
    let facts = case.facts;
    if facts.disks.is_empty() {
        return Err("no file system could be asked for its space".to_owned().into());
    }
    let mut worst = Room::Good;
    let mut findings = Vec::new();
    for disk in &facts.disks {
        if let Some((room, text)) = room_of(disk, &writers(facts)) {
            worst = worst.max(room);
            findings.push((disk.folders.join(", "), text));
        }
    }
    for (source, text) in [growth(facts), deleted(facts)].into_iter().flatten() {
        worst = worst.max(Room::Low);
        findings.push((source, text));
    }
    let Some((folders, first)) = findings.first().cloned() else { return Ok(Outcome::pass(free(facts))) };
    let summary = format!("{folders}: {first}");
    let outcome = if worst == Room::Full { Outcome::fail(summary) } else { Outcome::warn(summary) };
    let largest = facts.logs.largest.iter().map(|f| (f.path.clone(), words::bytes(f.size)));
    let held = facts.logs.deleted.iter().take(5).map(|d| {
        let name = facts.process(d.pid).map(|p| p.comm.clone()).unwrap_or_default();
        (format!("deleted, held open by {name} pid {}", d.pid), format!("{} {}", d.path, words::bytes(d.size)))
    });
    Ok(outcome
        .seen_all(findings)
        .seen_all(largest)
        .seen_all(held)
        .advise("make room: remove or rotate the largest files, restart the program that holds a deleted one")
        .command("df -h; df -i")
        .command("du -xh /var/log | sort -h | tail"))
}

/// Folders that something must be able to write into all the time.
fn writers(facts: &Facts) -> Vec<&str> {
    let spools = facts.rsyslog.spools.iter().chain(&facts.syslog_ng.spools).map(|s| s.path.as_str());
    ["/var/log", "/var/opt/microsoft"].into_iter().chain(spools).collect()
}

fn room_of(disk: &DiskFacts, writers: &[&str]) -> Option<(Room, String)> {
    let s = &disk.space;
    let written = disk.folders.iter().any(|f| writers.contains(&f.as_str()));
    let logs = disk.folders.iter().any(|f| f == "/var/log");
    let full = if written { Room::Full } else { Room::Low };
    let percent = |part: u64, whole: u64| part.saturating_mul(100) / whole.max(1);
    let left = percent(s.available, s.total);
    let inodes = format!("{} of {} inodes free", s.inodes_available, s.inodes);
    let space = format!("{} of {} free", words::bytes(s.available), words::bytes(s.total));
    match () {
        // What is read-only by design has no free space either; whether the daemon may write into its spool is
        // judged with its own eyes (forward.reliable).
        _ if s.read_only && logs => Some((Room::Low, "mounted read-only".into())),
        _ if s.read_only => None,
        _ if s.available < FULL => Some((full, space)),
        _ if s.inodes > 0 && s.inodes_available < FULL_INODES => Some((full, inodes)),
        _ if left < 5 && s.available < 20 * GIB => Some((Room::Low, space)),
        _ if left < 20 && s.available < GIB / 2 => Some((Room::Low, space)),
        _ if s.inodes > 0 && percent(s.inodes_available, s.inodes) < 5 => Some((Room::Low, inodes)),
        _ => None,
    }
}

fn log_disk(facts: &Facts) -> Option<&DiskFacts> {
    facts.disks.iter().find(|d| d.folders.iter().any(|f| f == "/var/log"))
}

fn growth(facts: &Facts) -> Option<(String, String)> {
    let rate = facts.logs.growth.filter(|g| *g > 0)?;
    let hours = log_disk(facts)?.space.available / rate;
    let text = format!("growing by {} an hour, full in {}", words::bytes(rate), words::count(hours as usize, "hour"));
    (hours < HOURS).then(|| ("/var/log".to_owned(), text))
}

/// Space that is gone although no file shows it.
fn deleted(facts: &Facts) -> Option<(String, String)> {
    let mut paths: Vec<_> = facts.logs.deleted.iter().filter(|d| d.path.starts_with("/var/")).collect();
    paths.dedup_by(|a, b| a.path == b.path);
    let sum: u64 = paths.iter().map(|d| d.size).sum();
    let total = log_disk(facts)?.space.total;
    let text = format!("{} in deleted files that are still open", words::bytes(sum));
    (sum >= GIB || sum >= (total / 10).max(FULL)).then(|| ("/var".to_owned(), text))
}

fn free(facts: &Facts) -> String {
    let each = |d: &DiskFacts| format!("{} free for {}", words::bytes(d.space.available), d.folders.join(", "));
    facts.disks.iter().map(each).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
