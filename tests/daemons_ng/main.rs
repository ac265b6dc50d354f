//! syslog-ng itself, as three Debian suites ship it (3.28, 3.38, 4.8): does it read, start, filter and forward as we say
//! it does? Each test has a clone of a suite's tree and runs the daemon in it by `chroot`.
//!
//! The whole suite runs again inside namespaces of its own: its network is a lone loopback, and whatever it starts or
//! mounts is gone when it ends, however it ends.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::unwrap_used)] // a test looks at the machine

#[allow(dead_code)] // shared with the booted hosts
#[path = "../support/corpus.rs"]
mod corpus;
mod daemon;
#[allow(dead_code)] // shared with the suite on rsyslogd
#[path = "../daemons/device.rs"]
mod device;
mod devices;
#[path = "../support/devices.rs"]
mod devices_file;
mod drop_in;
mod events;
mod framing;
#[path = "../support/judged.rs"]
mod judged;
mod language;
mod messages;
mod outage;
mod reload;
mod restarts;
mod sizes;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

/// A suite and the syslog-ng it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub suite: &'static str,
    pub version: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind { suite: "bullseye", version: "3.28" },
    Kind { suite: "bookworm", version: "3.38" },
    Kind { suite: "trixie", version: "4.8" },
];

/// Set for the run inside the namespaces.
const INSIDE: &str = "CEFCTL_NG_INSIDE";

/// One test: its name, and what it does with a kind of daemon.
pub type Case = (&'static str, fn(Kind) -> Result<()>);

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(4);
    if !args.list
        && let Err(e) = if std::env::var_os(INSIDE).is_some() { inside() } else { outside(&args) }
    {
        eprintln!("syslog-ng tests: {e:#}");
        return ExitCode::from(2);
    }
    libtest_mimic::run(&args, trials()).exit_code()
}

/// Builds the trees and runs this program again in namespaces. Returns only when that fails.
fn outside(args: &Arguments) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "they chroot into distribution trees, which only root can.\nhint: run `sudo ./tests/run daemons`"
    );
    build_trees(args)?;
    let error = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().context("the path of this program")?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    bail!("cannot start unshare: {error}\nhint: install util-linux")
}

/// The trees of the tests that are asked for; side by side, since unpacking packages keeps one core busy.
fn build_trees(args: &Arguments) -> Result<()> {
    let trials = trials();
    let asked = |kind: &Kind| {
        let own = format!("{}::", kind.version);
        trials.iter().any(|t| t.name().starts_with(&own) && !args.is_filtered_out(t))
    };
    std::thread::scope(|scope| {
        let builds: Vec<_> =
            KINDS.iter().filter(|k| asked(k)).map(|k| scope.spawn(|| daemon::build(k.suite))).collect();
        builds.into_iter().try_for_each(|b| b.join().unwrap_or_else(|_| bail!("a build panicked")))
    })
}

fn inside() -> Result<()> {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip, of iproute2")?;
    ensure!(status.success(), "the loopback of the test's own network does not come up");
    daemon::prepare()
}

fn trials() -> Vec<Trial> {
    let areas = [
        ("language", language::CASES),
        ("events", events::CASES),
        ("drop_in", drop_in::CASES),
        ("corpus", messages::CASES),
        ("devices", devices::CASES),
        ("framing", framing::CASES),
        ("outage", outage::CASES),
        ("reload", reload::CASES),
        ("restarts", restarts::CASES),
        ("sizes", sizes::CASES),
    ];
    let mut trials = Vec::new();
    for kind in KINDS {
        for (area, cases) in areas {
            for (name, run) in cases {
                let name = format!("{}::{area}::{name}", kind.version);
                let run = Arc::new(*run);
                trials.push(Trial::test(name, move || run(kind).map_err(|e| Failed::from(format!("{e:#}")))));
            }
        }
    }
    trials
}
