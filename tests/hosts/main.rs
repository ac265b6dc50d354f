//! The booted-host suite: every test boots its own distribution host, breaks or uses it as an administrator would, and
//! looks at the outcome from outside. `docs/testing.md` says how to run and read it.
//!
//! A test is run once for every suite and daemon asked for: `CEFCTL_E2E_SUITES` and `CEFCTL_E2E_DAEMONS`, words split by
//! blanks. Its name is `<suite>-<daemon>::<area>::<test>`; arguments are those of any Rust test binary.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // a test looks at the machine itself

mod agent;
mod agents;
mod broken;
#[path = "../support/certificates.rs"]
mod certificates;
mod coexist;
mod corpus;
mod faults;
mod host;
mod hostile;
mod install;
mod interrupt;
mod outage;
mod program;
mod refusals;
mod send;
#[path = "../support/corpus.rs"]
mod support;
mod tree;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};

/// What kind of host a test is run on.
#[derive(Debug, Clone)]
pub struct Kind {
    pub suite: String,
    pub daemon: String,
}

impl Kind {
    pub fn boot(&self) -> anyhow::Result<host::Host> {
        host::Host::boot(&self.suite, &self.daemon)
    }
    /// The unit of the daemon; both packages name it as themselves.
    pub fn unit(&self) -> &str {
        &self.daemon
    }
}

type Test = dyn Fn(&Kind) -> anyhow::Result<()> + Send + Sync;

/// One test, not yet bound to a kind of host.
pub struct Case {
    name: String,
    /// Measures time: nothing else may run meanwhile.
    alone: bool,
    run: Box<Test>,
}

impl Case {
    pub fn new(name: impl Into<String>, run: impl Fn(&Kind) -> anyhow::Result<()> + Send + Sync + 'static) -> Case {
        Case { name: name.into(), alone: false, run: Box::new(run) }
    }
    pub fn alone(mut self) -> Case {
        self.alone = true;
        self
    }
}

/// Tests share the machine by reading; one that measures time has it for itself by writing.
static MACHINE: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // Hosts wait more than they compute: one more than the two cores of a small machine.
    args.test_threads.get_or_insert(3);
    let kinds = kinds();
    if !args.list
        && let Err(e) = prepare(&kinds)
    {
        eprintln!("booted-host tests: {e:#}");
        return ExitCode::from(2);
    }
    keep_panics_for_the_report();
    libtest_mimic::run(&args, trials(kinds)).exit_code()
}

fn words(variable: &str, default: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_default();
    let text = if text.trim().is_empty() { default } else { &text };
    text.split_whitespace().map(str::to_owned).collect()
}

fn kinds() -> Vec<Kind> {
    let daemons = words("CEFCTL_E2E_DAEMONS", "rsyslog");
    let with_daemons = |suite: String| {
        let kind = move |daemon: &String| Kind { suite: suite.clone(), daemon: daemon.clone() };
        daemons.iter().map(kind).collect::<Vec<_>>()
    };
    words("CEFCTL_E2E_SUITES", "bookworm").into_iter().flat_map(with_daemons).collect()
}

fn prepare(kinds: &[Kind]) -> anyhow::Result<()> {
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "they boot containers, which only root can.\nhint: run `sudo ./tests/run`, or only the suites that need no root: `./tests/run rootless`"
    );
    host::guard_this_process()?;
    kinds.iter().try_for_each(|k| host::build(&k.suite, &k.daemon))
}

fn trials(kinds: Vec<Kind>) -> Vec<Trial> {
    let cases: Arc<Vec<Case>> = Arc::new(
        [
            ("install", install::cases()),
            ("agents", agents::cases()),
            ("program", program::cases()),
            ("refusals", refusals::cases()),
            ("coexist", coexist::cases()),
            ("corpus", corpus::cases()),
            ("outage", outage::cases()),
            ("broken", broken::cases()),
            ("interrupt", interrupt::cases()),
            ("faults", faults::cases()),
            ("hostile", hostile::cases()),
        ]
        .into_iter()
        .flat_map(|(area, cases)| cases.into_iter().map(move |c| Case { name: format!("{area}::{}", c.name), ..c }))
        .collect(),
    );
    let mut trials = Vec::new();
    for kind in kinds {
        for n in 0..cases.len() {
            let (kind, all) = (kind.clone(), Arc::clone(&cases));
            let name = format!("{}-{}::{}", kind.suite, kind.daemon, all[n].name);
            trials.push(Trial::test(name, move || run(&all[n], &kind)));
        }
    }
    trials
}

fn run(case: &Case, kind: &Kind) -> Result<(), Failed> {
    // A test that failed while holding the lock says nothing about the next one.
    let (_alone, _shared) = if case.alone {
        (Some(MACHINE.write().unwrap_or_else(|e| e.into_inner())), None)
    } else {
        (None, Some(MACHINE.read().unwrap_or_else(|e| e.into_inner())))
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| (case.run)(kind))) {
        Ok(result) => result.map_err(|e| Failed::from(format!("{e:#}"))),
        Err(panic) => Err(Failed::from(describe(panic.as_ref()))),
    }
}

/// A failed assertion as the failure's text; where it was comes from the hook, since the runner prints only this.
fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    let place = PLACE.with(std::cell::RefCell::take);
    format!("{place}{}", text.unwrap_or_else(|| "a panic without words".into()))
}

thread_local! {
    static PLACE: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Keeps backtraces of failed assertions out of the list of results.
fn keep_panics_for_the_report() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}: ", l.file(), l.line())).unwrap_or_default();
        PLACE.with(|p| *p.borrow_mut() = place);
    }));
}
