//! The fault matrix: what goes wrong on collectors in the field, done for real to booted ones. For each fault the check
//! that names it, what the whole box is called, and whether `--fix` makes it healthy again. docs/fault-matrix.md is this
//! table; what it says is what the tests of this area have seen.

mod ama;
mod bench;
mod daemon;
mod document;
mod forward;
mod listen;
mod network;
mod oms;
mod unit;

use std::fmt::Write as _;

use anyhow::{Result, bail};
use bench::Bench;
pub use bench::Side;

use crate::{Case, Kind};

/// What the box as a whole is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The check fails, and is the root cause.
    Broken,
    /// It warns, and nothing fails.
    Degraded,
}

impl Verdict {
    fn word(self) -> &'static str {
        if self == Verdict::Broken { "broken" } else { "degraded" }
    }
    fn status(self) -> &'static str {
        if self == Verdict::Broken { "fail" } else { "warn" }
    }
    fn root_cause(self, check: &str) -> Option<&str> {
        (self == Verdict::Broken).then_some(check)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Both,
    Rsyslog,
    SyslogNg,
}

impl On {
    fn has(self, daemon: &str) -> bool {
        match self {
            On::Both => true,
            On::Rsyslog => daemon == "rsyslog",
            On::SyslogNg => daemon == "syslog-ng",
        }
    }
}

/// One way in which a collector breaks.
pub struct Fault {
    /// Section of the list of what users met in the field; empty: found by ourselves.
    pub from: &'static str,
    /// In words, as somebody would say it.
    pub name: &'static str,
    pub on: On,
    /// A script that does it; see the prelude in `bench`.
    pub how: &'static str,
    /// What restoring the files and restarting the daemon does not undo.
    pub undo: &'static str,
    /// The check that names it.
    pub check: &'static str,
    pub verdict: Verdict,
    /// `--fix` makes the box healthy again. Else the check must not promise it.
    pub fixed: bool,
}

fn fault(from: &'static str, name: &'static str, check: &'static str, how: &'static str) -> Fault {
    Fault { from, name, on: On::Both, how, undo: "", check, verdict: Verdict::Broken, fixed: false }
}

impl Fault {
    fn rsyslog(self) -> Fault {
        Fault { on: On::Rsyslog, ..self }
    }
    fn syslog_ng(self) -> Fault {
        Fault { on: On::SyslogNg, ..self }
    }
    fn undo(self, undo: &'static str) -> Fault {
        Fault { undo, ..self }
    }
    /// Only a warning.
    fn warns(self) -> Fault {
        Fault { verdict: Verdict::Degraded, ..self }
    }
    fn fixed(self) -> Fault {
        Fault { fixed: true, ..self }
    }
}

/// Faults of one kind of box; each area is a test with a host of its own.
pub struct Area {
    pub name: &'static str,
    pub side: Side,
    pub faults: Vec<Fault>,
}

fn areas() -> Vec<Area> {
    vec![
        Area { name: "daemon", side: Side::Plain, faults: daemon::faults() },
        Area { name: "unit", side: Side::Plain, faults: unit::faults() },
        Area { name: "listeners", side: Side::Plain, faults: listen::faults() },
        Area { name: "network", side: Side::Plain, faults: network::faults() },
        Area { name: "rule_and_queue", side: Side::Plain, faults: forward::faults() },
        Area { name: "log_analytics_agent", side: Side::Oms, faults: oms::faults() },
        Area { name: "azure_monitor_agent", side: Side::Ama, faults: ama::faults() },
        Area { name: "azure_monitor_agent_on_another_port", side: Side::AmaElsewhere, faults: ama::elsewhere_faults() },
        Area { name: "azure_monitor_agent_on_a_socket", side: Side::AmaSocket, faults: ama::socket_faults() },
    ]
}

pub fn cases() -> Vec<Case> {
    let area = |n: usize, name: &str| Case::new(name, move |kind| run(&areas()[n], kind));
    let all = areas();
    let mut cases: Vec<Case> = all.iter().enumerate().map(|(n, a)| area(n, a.name)).collect();
    cases.push(Case::new("is_what_the_document_says", |_| document::matches(&areas())).only("rsyslog"));
    cases
}

/// All of an area; what is not as the table says is told at the end, all of it. `CEFCTL_E2E_FAULT` runs those with this
/// word in their name only.
fn run(area: &Area, kind: &Kind) -> Result<()> {
    let word = std::env::var("CEFCTL_E2E_FAULT").unwrap_or_default();
    let mine = |f: &&Fault| f.on.has(&kind.daemon) && f.name.contains(&word);
    let faults: Vec<&Fault> = area.faults.iter().filter(mine).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let host = kind.boot()?;
    let bench = Bench::set_up(&host, kind, area.side)?;
    let (mut wrong, mut table) = (String::new(), String::new());
    for fault in &faults {
        match bench.run(fault) {
            Ok(seen) => {
                let cause = seen.root_cause.as_deref().unwrap_or(fault.check);
                writeln!(table, "{} | {cause} | {}", fault.name, if seen.fixed { "fixed" } else { "-" })?;
            }
            Err(e) => {
                eprintln!("{}-{} {}: {}: {e:#}", kind.suite, kind.daemon, area.name, fault.name);
                writeln!(wrong, "  {}", fault.name)?;
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{} of {} faults are not as the table says (see above):\n{wrong}", wrong.lines().count(), faults.len());
    }
    eprint!("{}-{} {}: {} faults\n{table}", kind.suite, kind.daemon, area.name, faults.len());
    Ok(())
}
