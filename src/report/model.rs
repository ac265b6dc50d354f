//! The report itself. Field names and their order are an interface (monitoring reads the JSON), so nothing here is
//! renamed or moved; new fields go to the end of their object.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::message::lint::live::Traffic;
use crate::platform::setting::Setting;

/// Version of the JSON object. Raised only when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// Result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    /// Works, but will hurt.
    Warn,
    /// Events are lost, stuck or refused now.
    Fail,
    /// Does not apply, or cannot be judged because of another check (`blocked_by`).
    Skip,
    /// Could not be judged; never counted as a pass.
    Unknown,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Skip => "skip",
            Status::Unknown => "unknown",
        }
    }
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where: `file:line`, a socket, a command, a counter.
    pub source: String,
    /// What was there.
    pub text: String,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    pub summary: String,
    /// Lines for a root shell, to be copied as they stand.
    pub commands: Vec<String>,
    /// `cefctl troubleshoot --fix` mends it by itself.
    pub fixable: bool,
    /// Where this check is described.
    pub doc: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    pub id: String,
    pub group: String,
    pub title: String,
    pub status: Status,
    pub summary: String,
    pub why: String,
    pub evidence: Vec<Evidence>,
    pub remedy: Option<Remedy>,
    pub blocked_by: Option<String>,
    pub duration_ms: u64,
    /// What `--fix` would do about it; empty where only a person can mend it.
    #[serde(skip)]
    pub fixes: Vec<Fix>,
}

/// Something that `troubleshoot --fix` can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// What `install` does.
    Install,
    /// The same, with security events kept out of the local files.
    DropLocalCopy,
    /// The same, and the portal changes nothing on this box any more.
    NoPortalSync,
    /// The same, with the port opened for these networks.
    OpenFirewall(Vec<String>),
    /// The same, with the distribution's package of this daemon installed first.
    InstallDaemon(String),
    /// A setting in the hands of a tool of the machine.
    Set(Setting),
    /// Removes a file that holds a secret and serves nobody.
    Remove(PathBuf),
    /// Takes away what forbids the unit to start.
    Unmask(String),
    Start(String),
    /// Stops it, whatever state it is in, and starts it.
    Restart(String),
    Enable(String),
    /// Lets somebody read a file or folder that is there.
    Access {
        path: PathBuf,
        mode: u32,
        owner: Option<(u32, u32)>,
    },
    Folder {
        path: PathBuf,
        mode: u32,
        owner: (u32, u32),
    },
}

impl Fix {
    /// Is it done by `install`?
    pub fn is_install(&self) -> bool {
        matches!(
            self,
            Fix::Install | Fix::DropLocalCopy | Fix::NoPortalSync | Fix::OpenFirewall(_) | Fix::InstallDaemon(_)
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    pub hostname: String,
    pub os: String,
    pub kernel: String,
    pub arch: String,
}

/// What the box was measured against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    pub workspace: Option<String>,
    /// `public`, `usgov` or `china`.
    pub cloud: String,
    /// `oms`, `ama` or `none`.
    pub agent: String,
    pub agent_port: u16,
    /// `rsyslog`, `syslog-ng` or `none`.
    pub daemon: String,
    /// Where devices send to.
    pub port: u16,
    /// Where devices send to over TLS, where somebody counts on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
    /// All ports whose events go the same way, where there are others: those two, and that of senders that count octets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

impl TargetInfo {
    /// `port 514`, `ports 514, 6514`: so many at the most.
    pub fn ports_in_words(&self, most: usize) -> String {
        let others = self.ports.iter().filter(|p| **p != self.port);
        let all: Vec<String> = std::iter::once(&self.port).chain(others).take(most).map(u16::to_string).collect();
        format!("{} {}", if all.len() > 1 { "ports" } else { "port" }, all.join(", "))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub pass: u32,
    pub warn: u32,
    pub fail: u32,
    pub skip: u32,
    pub unknown: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Healthy,
    Degraded,
    Broken,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Degraded => "degraded",
            Verdict::Broken => "broken",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    pub tool: Tool,
    pub host: HostInfo,
    /// RFC 3339, UTC.
    pub started: String,
    pub duration_ms: u64,
    pub target: TargetInfo,
    /// In hop order: the way of an event through the box.
    pub checks: Vec<CheckResult>,
    pub counts: Counts,
    /// The first failing check in hop order.
    pub root_cause: Option<String>,
    pub verdict: Verdict,
    /// What arrived while `--watch` looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

impl Report {
    /// Puts a report together; counts, root cause and verdict follow from `checks`, which must be in hop order.
    pub fn new(
        host: HostInfo,
        target: TargetInfo,
        started: String,
        duration_ms: u64,
        checks: Vec<CheckResult>,
    ) -> Self {
        let counts = count(&checks);
        let root_cause = checks.iter().find(|c| c.status == Status::Fail).map(|c| c.id.clone());
        let verdict = verdict(&counts, &checks);
        let tool = Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() };
        Report {
            schema: SCHEMA,
            tool,
            host,
            started,
            duration_ms,
            target,
            checks,
            counts,
            root_cause,
            verdict,
            traffic: None,
        }
    }

    /// The check that is the root cause.
    pub fn root(&self) -> Option<&CheckResult> {
        let id = self.root_cause.as_deref()?;
        self.checks.iter().find(|c| c.id == id)
    }

    /// Exit code of the run: 1 when a check failed; 3 when warnings are denied and one was met, or something could not
    /// be judged (which is never counted as good); else 0.
    pub fn exit_code(&self, deny_warnings: bool) -> u8 {
        match () {
            _ if self.counts.fail > 0 => 1,
            _ if deny_warnings && (self.counts.warn > 0 || self.counts.unknown > 0) => 3,
            _ => 0,
        }
    }
}

fn count(checks: &[CheckResult]) -> Counts {
    let mut counts = Counts::default();
    for check in checks {
        *match check.status {
            Status::Pass => &mut counts.pass,
            Status::Warn => &mut counts.warn,
            Status::Fail => &mut counts.fail,
            Status::Skip => &mut counts.skip,
            Status::Unknown => &mut counts.unknown,
        } += 1;
    }
    counts
}

/// Healthy is said only of what was proven: one check passed, none warned or stayed unknown, and none was held up by a
/// fault that the selection of checks kept out of the report.
fn verdict(counts: &Counts, checks: &[CheckResult]) -> Verdict {
    let held_up = checks.iter().any(|c| c.blocked_by.is_some());
    match () {
        _ if counts.fail > 0 => Verdict::Broken,
        _ if counts.warn > 0 || counts.unknown > 0 || counts.pass == 0 || held_up => Verdict::Degraded,
        _ => Verdict::Healthy,
    }
}
