//! SIGKILL at every point, by a process of its own that shares only the disk with the next run.

use std::path::Path;
use std::process::{Command, Output};

use super::faults::{ready, survey};
use super::lab::{Job, Lab};
use crate::host::Interrupt;
use crate::plan::*;

const DIR: &str = "CEFCTL_TEST_LAB";
const JOB: &str = "CEFCTL_TEST_JOB";

/// The killed process: runs one job on the machine it is told.
#[test]
#[ignore = "run by the tests below"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut lab = Lab::open(Path::new(&dir));
    lab.interrupt = Interrupt::install().unwrap();
    let outcome = match std::env::var(JOB).unwrap().as_str() {
        "install1" => lab.run(Job::Install(1)),
        "install2" => lab.run(Job::Install(2)),
        "uninstall" => lab.run(Job::Uninstall),
        _ => lab.session().map(|_| Outcome::NothingToDo),
    };
    let code = outcome.map_or_else(|e| e.exit_code(), |o| o.exit_code());
    std::process::exit(code.into());
}

fn run_child(dir: &Path, job: &str, fail: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "plan::tests::kills::child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(JOB, job).env("CEFCTL_FAIL", fail).output().unwrap()
}

fn was_killed(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt;
    output.status.signal() == Some(9)
}

fn name(job: Job) -> String {
    match job {
        Job::Install(n) => format!("install{n}"),
        Job::Uninstall => "uninstall".to_owned(),
    }
}

/// The machine after a kill and the next run is as at the start or the end of `job`. After every `twice`th kill the
/// next run is killed as well, once at each of its points.
fn kill_everywhere(job: Job, twice: usize) {
    let (start, end, hits) = survey(job);
    let (mut ends, mut again) = (0, 0);
    for (n, hit) in hits.iter().enumerate() {
        let lab = ready(job);
        let output = run_child(&lab.dir, &name(job), &format!("{hit}=kill"));
        assert!(was_killed(&output), "{hit}: {output:?}");
        let check = |dir: &Path, what: &str| {
            let lab = Lab::open(dir);
            drop(lab.session().unwrap_or_else(|e| panic!("{job:?} {hit} {what}: {e}")));
            let now = lab.snapshot();
            assert!(now == start || now == end, "{job:?} killed at {hit} {what}: {:#?}", now.differences(&start));
            now == end
        };
        if n % twice == twice / 2 {
            again += kill_the_recovery(&lab.dir, &check);
        }
        ends += usize::from(check(&lab.dir, ""));
    }
    assert!(ends > 0 && ends < hits.len() / 2, "{ends} of {} ended in the wished state", hits.len());
    assert!(again > 50, "{again} recoveries killed");
}

/// Kills the next run at each of its points, on copies of the machine; returns how many there are.
fn kill_the_recovery(dir: &Path, check: &dyn Fn(&Path, &str) -> bool) -> usize {
    let mut n = 0;
    loop {
        n += 1;
        let copies = tempfile::tempdir_in(dir.parent().unwrap()).unwrap();
        let copy = copies.path().join("lab");
        assert!(Command::new("cp").arg("-a").arg(dir).arg(&copy).status().unwrap().success());
        let output = run_child(&copy, "recover", &format!("any:{n}=kill"));
        if !was_killed(&output) {
            assert!(output.status.success(), "{n}: {output:?}");
            return n - 1;
        }
        check(&copy, &format!("and the recovery at its point {n}"));
    }
}

#[test]
fn a_kill_at_any_point_of_the_first_install() {
    kill_everywhere(Job::Install(1), 24);
}

#[test]
fn a_kill_at_any_point_of_an_install_with_other_options() {
    kill_everywhere(Job::Install(2), 60);
}

#[test]
fn a_kill_at_any_point_of_an_uninstall() {
    kill_everywhere(Job::Uninstall, 30);
}

#[test]
fn a_signal_at_any_point_takes_everything_back() {
    let job = Job::Install(1);
    let (start, end, hits) = survey(job);
    let mut interrupted = 0;
    for (hit, signal) in hits.iter().zip(["int", "term", "hup"].iter().cycle()) {
        let lab = ready(job);
        // Once more on the way back: it must not be broken by that.
        let fail = format!("{hit}={signal};plan.undo:2={signal}");
        let output = run_child(&lab.dir, &name(job), &fail);
        let lab = Lab::open(&lab.dir);
        match output.status.code() {
            Some(130) => {
                assert_eq!(lab.snapshot(), start, "{hit}");
                interrupted += 1;
            }
            Some(0) => assert_eq!(lab.snapshot(), end, "{hit}"),
            _ => panic!("{hit}: {output:?}"),
        }
    }
    assert!(interrupted > hits.len() / 2);
}
