//! A fault at every single step of an installation and of its removal, one step a run, and a kill at every step followed
//! by the next run. Whatever happens, the host is as it was before or as it is after, never between.
//!
//! The steps are the tool's own failpoints (feature `failpoints`, `src/host/fault.rs`): one run lists them, then each is
//! made to fail in turn. Which points a run passes may differ between two runs only where it polls a state
//! (`POINT.again`): a run that needed fewer looks than the first one must then leave the finished state.

use anyhow::{Context, Result, bail, ensure};

use crate::host::{Host, Output};
use crate::install::INSTALL;
use crate::tree::Tree;
use crate::{Case, Kind};

const UNINSTALL: [&str; 2] = ["uninstall", "--yes"];
/// What the failpoint `changed` writes.
const FOREIGN: &[u8] = b"# changed by somebody else";

/// Where the tool notes that a fault was met; outside the folders that are compared.
const DONE: &str = "/var/tmp/done";

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
    for removal in [false, true] {
        let run = if removal { "uninstall" } else { "install" };
        for (fault, applies) in FAULTS {
            let name = format!("{fault}_at_every_step_of_{run}");
            cases.push(Case::new(name, move |kind| {
                every_step(&mut Bench::set_up(kind, removal, StartLimit::Off)?, fault, |p| applies(p))
            }));
        }
        let name = format!("faults_where_systemd_refuses_the_restart_of_{run}");
        let refused = Case::new(name, move |kind| {
            let mut bench = Bench::set_up(kind, removal, StartLimit::One)?;
            let restart = bench.restart_points()?;
            ["error", "kill", "int"].iter().try_for_each(|f| every_step(&mut bench, f, |p| restart.contains(p)))
        });
        // syslog-ng is reloaded.
        cases.push(refused.only("rsyslog"));
    }
    cases
}

/// How many starts in a row systemd allows the daemon. Its own limit (five in ten seconds) would be met by a fast
/// sequence of runs now and then, and such a run passes other points: the tool then lifts the limit and starts again.
#[derive(Clone, Copy)]
enum StartLimit {
    Off,
    /// Every restart is refused at first.
    One,
}

impl StartLimit {
    fn impose(self, host: &Host, unit: &str) {
        let text = match self {
            StartLimit::Off => "StartLimitIntervalSec=0",
            StartLimit::One => "StartLimitIntervalSec=1h\\nStartLimitBurst=1",
        };
        // In /run: no part of the trees that are compared.
        let folder = format!("/run/systemd/system/{unit}.service.d");
        host.sh(&format!(
            "mkdir -p {folder}; printf '[Unit]\\n{text}\\n' >{folder}/limit.conf; systemctl daemon-reload; \
             systemctl reset-failed {unit}; systemctl restart {unit}"
        ));
    }
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
        State { etc: host.tree("/etc"), service: host.service_state(kind.unit()), listening: !host.is_free(514) }
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
    kind: Kind,
    limit: StartLimit,
    host: Host,
    clean: State,
    installed: State,
    /// The points that the run under test passes, as `POINT:NTH`.
    points: Vec<String>,
    removal: bool,
}

impl Bench {
    fn set_up(kind: &Kind, removal: bool, limit: StartLimit) -> Result<Bench> {
        let host = kind.boot()?;
        limit.impose(&host, kind.unit());
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
        Ok(Bench { kind: kind.clone(), limit, host, clean, installed, points, removal })
    }

    /// The same with a fresh host.
    fn renew(&mut self) -> Result<()> {
        *self = Bench::set_up(&self.kind, self.removal, self.limit)?;
        Ok(())
    }

    /// The points from the restart of the daemon to the end of that step.
    fn restart_points(&self) -> Result<Vec<String>> {
        let from = self.points.iter().position(|p| p == "run.systemctl.restart:1").context("no restart")?;
        let len = self.points[from..].iter().position(|p| p.starts_with("plan.applied")).context("no end of it")?;
        let points = self.points[from..from + len].to_vec();
        ensure!(points.iter().any(|p| p.starts_with("run.systemctl.reset-failed")), "not refused: {points:?}");
        Ok(points)
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

fn every_step(bench: &mut Bench, fault: &str, applies: impl Fn(&String) -> bool) -> Result<()> {
    let points: Vec<String> = bench.points.iter().filter(|p| applies(p)).cloned().collect();
    let mut wrong = Vec::new();
    let mut missed = Vec::new();
    for (n, point) in points.iter().enumerate() {
        let (out, met) = run_with_fault(bench, point, fault);
        let outcome = match fault {
            _ if !met => {
                missed.push(point.as_str());
                not_met(bench, point, out)
            }
            "kill" => killed_at(bench, out, n),
            "changed" => changed_at(bench, out),
            _ => failed_at(bench, out, fault),
        };
        // A host that somebody else has changed, or that went wrong, is of no use to the next step.
        let spent = (fault == "changed" && met) || outcome.is_err();
        if let Err(e) = outcome {
            wrong.push(format!("── {fault} at {point}: {e:#}"));
            if wrong.len() == 5 {
                wrong.push("(and perhaps more: stopped here)".into());
                break;
            }
        }
        if spent && n + 1 < points.len() {
            bench.renew()?;
        }
    }
    if !missed.is_empty() {
        println!(
            "{fault}: {} of {} points not met in a run of their own: {}",
            missed.len(),
            points.len(),
            missed.join(" ")
        );
    }
    if !wrong.is_empty() {
        bail!("of {} steps:\n{}", points.len(), wrong.join("\n"));
    }
    Ok(())
}

/// One run with a fault at `point`, and whether that point was met.
fn run_with_fault(bench: &Bench, point: &str, fault: &str) -> (Output, bool) {
    let rule = format!("CEFCTL_FAIL={point}={fault}");
    let args: &[&str] = if bench.removal { &UNINSTALL } else { &INSTALL };
    let out = bench.host.cefctl_with(&[&rule, &format!("CEFCTL_FAIL_DONE={DONE}")], args);
    let met = !bench.host.get(DONE).is_empty();
    bench.host.remove(DONE);
    (out, met)
}

/// The run needed fewer looks at a service than the one that listed the points: all of it happened, without a fault.
fn not_met(bench: &Bench, point: &str, out: Output) -> Result<()> {
    ensure!(point.contains(".again:"), "a run without this point, which every run must pass: {out}");
    ensure!(out.code == 0, "no fault happened, yet it failed: {out}");
    let difference = bench.ends().1.difference(&State::of(&bench.host, &bench.kind));
    ensure!(difference.is_empty(), "no fault happened, yet the host is not finished:\n{difference}{out}");
    bench.rewind().ok();
    Ok(())
}

/// An error or an interruption: the exit code says which of the two states the host must be in.
fn failed_at(bench: &Bench, out: Output, fault: &str) -> Result<()> {
    let (start, end) = bench.ends();
    let wanted = match (out.code, fault) {
        (0, _) => end,
        (130, "int" | "term") => start,
        (1, "error" | "timeout" | "enospc" | "shortwrite") => start,
        _ => bail!("exit code {}: {out}", out.code),
    };
    let difference = wanted.difference(&State::of(&bench.host, &bench.kind));
    ensure!(difference.is_empty(), "the host is neither before nor after:\n{difference}{out}");
    if out.code == 0 {
        bench.rewind().ok();
    }
    Ok(())
}

/// After a kill it is the next run that has to leave a whole host; every other time that is the opposite command.
fn killed_at(bench: &Bench, out: Output, n: usize) -> Result<()> {
    ensure!(out.code == 137, "a kill was expected: {out}");
    let install_next = n.is_multiple_of(2);
    let next = bench.host.cefctl(if install_next { &INSTALL } else { &UNINSTALL });
    ensure!(next.code == 0, "the run after the kill failed: {next}");
    let wanted = if install_next { &bench.installed } else { &bench.clean };
    let difference = wanted.difference(&State::of(&bench.host, &bench.kind));
    ensure!(difference.is_empty(), "the run after the kill left a host between the two:\n{difference}{next}");
    if install_next != bench.removal {
        bench.rewind().ok();
    }
    Ok(())
}

/// Somebody else writes to the file of this step at the last moment: their text stays, and of ours all or nothing.
fn changed_at(bench: &Bench, out: Output) -> Result<()> {
    let (start, end) = bench.ends();
    let wanted = match out.code {
        0 => end,
        1 => start,
        code => bail!("exit code {code}: {out}"),
    };
    let now = State::of(&bench.host, &bench.kind);
    let theirs = now.etc.marked(FOREIGN);
    let difference = wanted.clone().without(&theirs).difference(&now.without(&theirs));
    ensure!(difference.is_empty(), "the host is neither before nor after:\n{difference}{out}");
    ensure!(bench.host.unit(bench.kind.unit(), "ActiveState") == "active", "the daemon is down: {out}");
    Ok(())
}
