//! A fault at every single step of an installation and of its removal, one step a run, and a kill at every step followed
//! by the next run. Whatever happens, the host is as it was before or as it is after, never between.
//!
//! The steps are the tool's own failpoints (feature `failpoints`, `src/host/fault.rs`): one run lists them, then each is
//! made to fail in turn.

use anyhow::{Result, bail, ensure};

use crate::host::{Host, Output};
use crate::install::INSTALL;
use crate::tree::Tree;
use crate::{Case, Kind};

const UNINSTALL: [&str; 2] = ["uninstall", "--yes"];
/// What the failpoint `changed` writes.
const FOREIGN: &[u8] = b"# changed by somebody else";

/// The name of a fault, as in `CEFCTL_FAIL`, and whether it can happen at a point.
type Fault = (&'static str, fn(&str) -> bool);

const FAULTS: [Fault; 8] = [
    ("error", |_| true),
    ("kill", |_| true),
    ("int", |_| true),
    ("term", |point| point.starts_with("ran.")),
    ("timeout", |point| point.starts_with("run.")),
    ("enospc", |point| [".data", ".open", "mkdir"].iter().any(|writes| point.contains(writes))),
    ("shortwrite", |point| point.contains(".data")),
    // Only where the engine looks at a file for the last time before it changes it.
    ("changed", |point| point.starts_with("plan.")),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (fault, applies) in FAULTS {
        for removal in [false, true] {
            let name = format!("{fault}_at_every_step_of_{}", if removal { "uninstall" } else { "install" });
            cases.push(Case::new(name, move |kind| every_step(kind, fault, applies, removal)));
        }
    }
    cases
}

/// All of a host that an installation changes and that must be whole.
#[derive(Clone)]
struct State {
    etc: Tree,
    service: String,
    listening: bool,
}

impl State {
    fn of(host: &Host, kind: &Kind) -> State {
        State {
            etc: host.tree("/etc"),
            service: host.service_state(kind.unit()),
            listening: ["tcp", "tcp6", "udp", "udp6"].iter().any(|t| host.bound(t).contains(&514)),
        }
    }

    /// How `self` differs from the state `now`; empty if it does not.
    fn difference(&self, now: &State) -> String {
        let mut out = self.etc.diff(&now.etc);
        if self.service != now.service {
            out += &format!("service: {} → {}\n", self.service, now.service);
        }
        if self.listening != now.listening {
            out += &format!("listening on 514: {} → {}\n", self.listening, now.listening);
        }
        out
    }

    fn without(mut self, paths: &[String]) -> State {
        self.etc = self.etc.without(paths);
        self
    }
}

/// A host with the two states between which everything happens, and the steps that lead from one to the other.
struct Bench {
    host: Host,
    clean: State,
    installed: State,
    /// The points that the run under test passes, as `POINT:NTH`.
    points: Vec<String>,
    removal: bool,
}

impl Bench {
    fn set_up(kind: &Kind, removal: bool) -> Result<Bench> {
        let host = kind.boot()?;
        let clean = State::of(&host, kind);
        let list = |name: &str| format!("CEFCTL_FAIL_LIST=/var/tmp/{name}");
        host.cefctl_with(&[&list("install")], &INSTALL).ok();
        let installed = State::of(&host, kind);
        host.cefctl_with(&[&list("uninstall")], &UNINSTALL).ok();
        let bench_clean = clean.difference(&State::of(&host, kind));
        ensure!(bench_clean.is_empty(), "uninstall does not restore the host even without a fault:\n{bench_clean}");
        let points = String::from_utf8(host.get(if removal { "/var/tmp/uninstall" } else { "/var/tmp/install" }))?;
        let points: Vec<String> = points.lines().map(str::to_owned).collect();
        ensure!(points.len() > 5, "only {} steps: is the binary built with `failpoints`? {points:?}", points.len());
        if removal {
            host.cefctl(&INSTALL).ok();
        }
        Ok(Bench { host, clean, installed, points, removal })
    }

    /// Where the run under test starts from, and where it leads.
    fn ends(&self) -> (&State, &State) {
        if self.removal { (&self.installed, &self.clean) } else { (&self.clean, &self.installed) }
    }

    /// Back to where the run under test starts from.
    fn rewind(&self) -> Output {
        self.host.cefctl(if self.removal { &INSTALL } else { &UNINSTALL })
    }
}

fn every_step(kind: &Kind, fault: &str, applies: fn(&str) -> bool, removal: bool) -> Result<()> {
    let mut bench = Bench::set_up(kind, removal)?;
    let points: Vec<String> = bench.points.iter().filter(|p| applies(p)).cloned().collect();
    let mut wrong = Vec::new();
    for (n, point) in points.iter().enumerate() {
        let outcome = match fault {
            "kill" => killed_at(&bench, kind, point, n),
            "changed" => changed_at(&bench, kind, point),
            _ => failed_at(&bench, kind, point, fault),
        };
        // A host that somebody else has changed, or that went wrong, is of no use to the next step.
        let spent = fault == "changed" || outcome.is_err();
        if let Err(e) = outcome {
            wrong.push(format!("── {fault} at {point}: {e:#}"));
            if wrong.len() == 5 {
                wrong.push("(and perhaps more: stopped here)".into());
                break;
            }
        }
        if spent && n + 1 < points.len() {
            bench = Bench::set_up(kind, removal)?;
        }
    }
    if !wrong.is_empty() {
        bail!("of {} steps:\n{}", points.len(), wrong.join("\n"));
    }
    Ok(())
}

fn run_with_fault(bench: &Bench, point: &str, fault: &str) -> Output {
    let rule = format!("CEFCTL_FAIL={point}={fault}");
    let args: &[&str] = if bench.removal { &UNINSTALL } else { &INSTALL };
    bench.host.cefctl_with(&[&rule], args)
}

/// An error or an interruption: the exit code says which of the two states the host must be in.
fn failed_at(bench: &Bench, kind: &Kind, point: &str, fault: &str) -> Result<()> {
    let out = run_with_fault(bench, point, fault);
    let (start, end) = bench.ends();
    let wanted = match (out.code, fault) {
        (0, _) => end,
        (130, "int" | "term") => start,
        (1, "error" | "timeout" | "enospc" | "shortwrite") => start,
        _ => bail!("exit code {}: {out}", out.code),
    };
    let difference = wanted.difference(&State::of(&bench.host, kind));
    ensure!(difference.is_empty(), "the host is neither before nor after:\n{difference}{out}");
    if out.code == 0 {
        bench.rewind().ok();
    }
    Ok(())
}

/// After a kill it is the next run that has to leave a whole host; every other time that is the opposite command.
fn killed_at(bench: &Bench, kind: &Kind, point: &str, n: usize) -> Result<()> {
    let out = run_with_fault(bench, point, "kill");
    ensure!(out.code == 137, "a kill was expected: {out}");
    let install_next = n.is_multiple_of(2);
    let next = bench.host.cefctl(if install_next { &INSTALL } else { &UNINSTALL });
    ensure!(next.code == 0, "the run after the kill failed: {next}");
    let wanted = if install_next { &bench.installed } else { &bench.clean };
    let difference = wanted.difference(&State::of(&bench.host, kind));
    ensure!(difference.is_empty(), "the run after the kill left a host between the two:\n{difference}{next}");
    if install_next != bench.removal {
        bench.rewind().ok();
    }
    Ok(())
}

/// Somebody else writes to the file of this step at the last moment: their text stays, and of ours all or nothing.
fn changed_at(bench: &Bench, kind: &Kind, point: &str) -> Result<()> {
    let out = run_with_fault(bench, point, "changed");
    let (start, end) = bench.ends();
    let wanted = match out.code {
        0 => end,
        1 => start,
        code => bail!("exit code {code}: {out}"),
    };
    let now = State::of(&bench.host, kind);
    let theirs = now.etc.marked(FOREIGN);
    let difference = wanted.clone().without(&theirs).difference(&now.without(&theirs));
    ensure!(difference.is_empty(), "the host is neither before nor after:\n{difference}{out}");
    ensure!(bench.host.unit(kind.unit(), "ActiveState") == "active", "the daemon is down: {out}");
    Ok(())
}
