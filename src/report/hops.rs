//! The way of an event as a row of hops, each with the worst that its checks found: what the picture of the HTML report
//! shows, as plain data.

use super::clean::clean;
use super::model::{CheckResult, Report, Status, TargetInfo};

/// One hop and its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub title: String,
    /// Second line of the box.
    pub detail: String,
    /// Worst status of its checks; `None` where no check looked at it.
    pub status: Option<Status>,
    /// `2 failed, 1 warned`: the two worst kinds.
    pub words: String,
    /// The root cause is here.
    pub broken: bool,
    /// An anchor in the report: the id of the first check that is worst.
    pub worst: Option<String>,
}

/// The hops of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hops {
    /// In the direction of an event: device first, cloud last.
    pub way: Vec<Hop>,
    /// The machine that the inner hops are on, and groups that belong to no hop.
    pub machine: Hop,
    /// The marked event that was sent along the whole way.
    pub probe: Hop,
}

/// Groups of checks by hop. A group that is in none of them counts for the machine.
const WAY: [&[&str]; 6] =
    [&["traffic"], &["listen", "firewall"], &["daemon"], &["forward"], &["agent", "ama"], &["cloud"]];
const PROBE: &[&str] = &["probe"];

impl Hops {
    pub fn of(report: &Report) -> Hops {
        let root = report.root_cause.as_deref();
        let among =
            |groups: &[&str]| report.checks.iter().filter(|c| groups.contains(&c.group.as_str())).collect::<Vec<_>>();
        let names = names(&report.target);
        let way =
            WAY.iter().zip(names).map(|(groups, (title, detail))| hop(title, detail, &among(groups), root)).collect();
        let known = |c: &&CheckResult| WAY.iter().chain([&PROBE]).any(|groups| groups.contains(&c.group.as_str()));
        let rest: Vec<&CheckResult> = report.checks.iter().filter(|c| !known(c)).collect();
        Hops {
            way,
            machine: hop(report.host.hostname.clone(), String::new(), &rest, root),
            probe: hop("test event".into(), String::new(), &among(PROBE), root),
        }
    }
}

fn names(target: &TargetInfo) -> [(String, String); 6] {
    let daemon = match target.daemon.as_str() {
        "none" => "no syslog daemon",
        daemon => daemon,
    };
    let agent = match target.agent.as_str() {
        "oms" => "Log Analytics agent",
        "ama" => "Azure Monitor Agent",
        _ => "agent",
    };
    [
        ("devices".into(), "send syslog".into()),
        (target.ports_in_words(3), "listener, firewall".into()),
        (daemon.into(), "daemon".into()),
        ("forward".into(), "rule and queue".into()),
        (agent.into(), format!("port {}", target.agent_port)),
        ("Microsoft Sentinel".into(), target.cloud.clone()),
    ]
}

fn hop(title: String, detail: String, checks: &[&CheckResult], root: Option<&str>) -> Hop {
    let worst = checks.iter().copied().reduce(|a, b| if weight(b) > weight(a) { b } else { a });
    let count = |status: Status| checks.iter().filter(|c| c.status == status).count();
    let parts = [
        (count(Status::Fail), "failed"),
        (count(Status::Warn), "warned"),
        (count(Status::Unknown), "unknown"),
        (count(Status::Pass), "passed"),
        (count(Status::Skip), "skipped"),
    ];
    let words: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).take(2).map(|(n, word)| format!("{n} {word}")).collect();
    Hop {
        title: clean(&title),
        detail: clean(&detail),
        status: worst.map(|c| c.status),
        words: if words.is_empty() { "not looked at".into() } else { words.join(", ") },
        broken: root.is_some_and(|root| checks.iter().any(|c| c.id == root)),
        worst: worst.map(|c| c.id.clone()),
    }
}

/// What decides how a hop looks. A check that is held up says more than one that does not apply.
fn weight(check: &CheckResult) -> u8 {
    match check.status {
        Status::Fail => 5,
        Status::Warn => 4,
        Status::Unknown => 3,
        Status::Skip if check.blocked_by.is_some() => 2,
        Status::Pass => 1,
        Status::Skip => 0,
    }
}
