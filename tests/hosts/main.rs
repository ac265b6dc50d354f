//! The booted-host suite: every test boots its own distribution host, breaks or uses it as an administrator would, and
//! looks at the outcome from outside. `docs/testing.md` says how to run and read it.
//!
//! A test is run once for every suite and daemon asked for: `CEFCTL_E2E_SUITES` and `CEFCTL_E2E_DAEMONS`, words split by
//! blanks. Where neither is set, every test is run on one kind of host, and on the others those whose outcome depends on
//! the distribution or the daemon's version. Its name is `<suite>-<daemon>::<area>::<test>`; arguments are those of any Rust test binary.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // a test looks at the machine itself

mod again;
mod agent;
mod agents;
mod bare;
mod broken;
mod broken_ng;
#[path = "../support/certificates.rs"]
mod certificates;
mod coexist;
mod corpus;
mod evil;
mod faults;
mod firewall;
mod host;
mod hostile;
mod install;
mod interrupt;
mod language;
mod matrix;
mod originals;
mod outage;
mod packages;
mod program;
mod refusals;
mod reports;
mod send;
mod start;
#[path = "../support/corpus.rs"]
mod support;
mod tls;
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
    scope: Scope,
}

/// Which of the tests are run on a kind of host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    /// Those that the distribution or the version of the daemon can make a difference to: what its validator and its
    /// service manager say and do, and what it makes of messages.
    Version,
}

/// What is run where nothing else is asked for.
const DEFAULT: [(&str, &str, Scope); 6] = [
    ("bookworm", "rsyslog", Scope::All),
    ("bookworm", "syslog-ng", Scope::All),
    ("bullseye", "rsyslog", Scope::Version),
    ("bullseye", "syslog-ng", Scope::Version),
    ("trixie", "rsyslog", Scope::Version),
    ("trixie", "syslog-ng", Scope::Version),
];

/// The tests of [`Scope::Version`], as beginnings of their names.
const VERSION_MATTERS: &[&str] = &[
    "install::",
    "start::",
    "packages::brought",
    "bare::",
    "coexist::",
    "originals::",
    "corpus::",
    "outage::",
    // whose files the daemon refuses or takes, and what it sends them
    "agents::events_arrive_once",
    "agents::a_stale_port",
    "agents::its_file",
    "broken::",
    // what the resolver and the certificates of the distribution say
    "cloud::what_stands_before_the_azure",
    "tls::a_listener",
    // one pass of the longest: a fault at each step, and a recovery that restarts the daemon
    "faults::kill_at_every_step_of_install",
];

impl Scope {
    fn has(self, test: &str) -> bool {
        self == Scope::All || VERSION_MATTERS.iter().any(|start| test.starts_with(start))
    }
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
    /// The one daemon it is about; none: either.
    only: Option<&'static str>,
    run: Box<Test>,
}

impl Case {
    pub fn new(name: impl Into<String>, run: impl Fn(&Kind) -> anyhow::Result<()> + Send + Sync + 'static) -> Case {
        Case { name: name.into(), alone: false, only: None, run: Box::new(run) }
    }
    pub fn alone(mut self) -> Case {
        self.alone = true;
        self
    }
    pub fn only(mut self, daemon: &'static str) -> Case {
        self.only = Some(daemon);
        self
    }
    fn is_for(&self, kind: &Kind) -> bool {
        kind.scope.has(&self.name) && self.only.is_none_or(|d| d == kind.daemon)
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
    let conclusion = libtest_mimic::run(&args, trials(kinds));
    if again::report() { conclusion.exit_code() } else { ExitCode::from(101) }
}

/// The words of a variable; `None` where there are none.
fn words(variable: &str) -> Option<Vec<String>> {
    let text = std::env::var(variable).unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

fn kinds() -> Vec<Kind> {
    let kind = |suite: &str, daemon: &str, scope| Kind { suite: suite.into(), daemon: daemon.into(), scope };
    let (suites, daemons) = (words("CEFCTL_E2E_SUITES"), words("CEFCTL_E2E_DAEMONS"));
    if suites.is_none() && daemons.is_none() {
        return DEFAULT.map(|(suite, daemon, scope)| kind(suite, daemon, scope)).into();
    }
    let suites = suites.unwrap_or_else(|| vec!["bookworm".into()]);
    let daemons = daemons.unwrap_or_else(|| vec!["rsyslog".into()]);
    suites.iter().flat_map(|s| daemons.iter().map(move |d| kind(s, d, Scope::All))).collect()
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
            ("cloud", agents::cloud::cases()),
            ("program", program::cases()),
            ("refusals", refusals::cases()),
            ("start", start::cases()),
            ("packages", packages::cases()),
            ("bare", bare::cases()),
            ("reports", reports::cases()),
            ("coexist", coexist::cases()),
            ("originals", originals::cases()),
            ("corpus", corpus::cases()),
            ("outage", outage::cases()),
            ("broken", broken::cases()),
            ("matrix", matrix::cases()),
            ("interrupt", interrupt::cases()),
            ("faults", faults::cases()),
            ("hostile", hostile::cases()),
            ("evil", evil::cases()),
            ("firewall", firewall::cases()),
            ("tls", tls::cases()),
        ]
        .into_iter()
        .flat_map(|(area, cases)| cases.into_iter().map(move |c| Case { name: format!("{area}::{}", c.name), ..c }))
        .collect(),
    );
    let mut trials = Vec::new();
    for kind in kinds {
        for n in (0..cases.len()).filter(|n| cases[*n].is_for(&kind)) {
            let (kind, all) = (kind.clone(), Arc::clone(&cases));
            let name = format!("{}-{}::{}", kind.suite, kind.daemon, all[n].name);
            trials.push(Trial::test(name, move || run(&all[n], &kind)));
        }
    }
    trials
}

/// A failure's text.
type Failure = String;

fn run(case: &Case, kind: &Kind) -> Result<(), Failed> {
    let host = format!("{}-{}", kind.suite, kind.daemon);
    again::after(&case.name, &host, once(case, kind, case.alone), || once(case, kind, true)).map_err(Failed::from)
}

fn once(case: &Case, kind: &Kind, alone: bool) -> Result<(), Failure> {
    // A test that failed while holding the lock says nothing about the next one.
    let (_alone, _shared) = if alone {
        (Some(MACHINE.write().unwrap_or_else(|e| e.into_inner())), None)
    } else {
        (None, Some(MACHINE.read().unwrap_or_else(|e| e.into_inner())))
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| (case.run)(kind))) {
        Ok(result) => result.map_err(|e| format!("{e:#}")),
        Err(panic) => Err(describe(panic.as_ref())),
    }
}

/// A failed assertion as the failure's text; where it was comes from the hook, since the runner prints only this.
fn describe(panic: &(dyn std::any::Any + Send)) -> Failure {
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
