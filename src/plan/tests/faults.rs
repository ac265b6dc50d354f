//! A fault at every point of an install and of an uninstall: the machine is as before or as wished, nothing between,
//! and nothing of ours is left that the end does not call for.

use super::lab::{Job, Lab, Snapshot};
use crate::host::fault;
use crate::plan::*;

/// A machine ready for `job`.
pub fn ready(job: Job) -> Lab {
    let lab = Lab::new();
    let before: &[Job] = match job {
        Job::Install(1) => &[],
        _ => &[Job::Install(1)],
    };
    for job in before {
        assert!(matches!(lab.run(*job).unwrap(), Outcome::Done { .. }));
    }
    lab
}

/// Start, end and every point in between.
pub fn survey(job: Job) -> (Snapshot, Snapshot, Vec<String>) {
    let lab = ready(job);
    let start = lab.snapshot();
    let (outcome, hits) = fault::with("", || lab.run(job));
    assert!(matches!(outcome.unwrap(), Outcome::Done { .. }));
    assert!(hits.len() > 60, "{}", hits.len());
    (start, lab.snapshot(), hits)
}

const JOBS: [Job; 3] = [Job::Install(1), Job::Install(2), Job::Uninstall];

/// What can go wrong at a point.
fn actions(hit: &str) -> &'static [&'static str] {
    match hit {
        _ if hit.contains(".data:") => &["error", "shortwrite"],
        _ if hit.starts_with("ra") || hit.starts_with("run") => &["error", "timeout"],
        _ => &["error"],
    }
}

#[test]
fn an_error_at_any_point_gives_start_or_end() {
    for job in JOBS {
        let (start, end, hits) = survey(job);
        assert_ne!(start, end);
        let (mut failed, mut done) = (0, 0);
        for hit in &hits {
            for action in actions(hit) {
                let lab = ready(job);
                let what = format!("{job:?} {hit}={action}");
                let (outcome, _) = fault::with(&format!("{hit}={action}"), || lab.run(job));
                match outcome {
                    Ok(Outcome::Done { .. }) => {
                        assert_eq!(lab.snapshot(), end, "{what}");
                        done += 1;
                    }
                    Ok(Outcome::RolledBack(miss)) => {
                        assert!(!miss.cause.is_empty());
                        assert_eq!(lab.snapshot(), start, "{what}: {miss:?}");
                        failed += 1;
                    }
                    // While planning, or beginning.
                    Err(StartError::Other(_)) => assert_eq!(lab.snapshot(), start, "{what}"),
                    other => panic!("{what}: {other:?}"),
                }
            }
        }
        assert!(failed > 60 && done > 3, "{job:?}: {failed} rolled back, {done} done");
    }
}

#[test]
fn a_disk_that_stays_full_does_not_stop_the_way_back() {
    // Every write from some point on fails, also those of the way back. What was created is removed all the same.
    let lab = Lab::new();
    let start = lab.snapshot();
    let mut session = lab.session().unwrap();
    let wishes: [Change; 2] =
        [WriteFile::new("/etc/rsyslog.d/61.conf", "x").into(), WriteFile::new("/etc/rsyslog.d/62.conf", "x").into()];
    let plan = session.plan_fix(wishes).unwrap();
    let (_, hits) = fault::with("", || session.apply(&plan, &Goal::Fix, &mut (), &mut || Err(anyhow::anyhow!("no"))));
    drop(session);
    let writes = hits.iter().filter(|h| h.starts_with("root.write.data")).count();
    for from in 1..=writes {
        let mut session = lab.session().unwrap();
        let plan = session.plan_fix(plan.steps.iter().map(|s| s.change.clone())).unwrap();
        let spec: Vec<String> = (from..from + 50).map(|n| format!("root.write.data:{n}=enospc")).collect();
        let spec = format!("{};root.append.*=enospc", spec.join(";"));
        let (outcome, _) = fault::with(&spec, || session.apply(&plan, &Goal::Fix, &mut (), &mut || Ok(())));
        assert!(matches!(&outcome, Outcome::RolledBack(m) if m.cause.contains("full")), "{outcome:?}");
        drop(session);
        assert_eq!(lab.snapshot(), start);
    }
}

#[test]
fn a_file_changed_underneath_stops_the_run_and_keeps_the_change() {
    for job in JOBS {
        let (_, _, hits) = survey(job);
        let points: Vec<_> = hits.iter().filter(|h| h.starts_with("plan.recheck")).collect();
        assert!(points.len() >= 4, "{points:?}");
        for point in points {
            let lab = ready(job);
            let start = lab.snapshot();
            let (outcome, _) = fault::with(&format!("{point}=changed"), || lab.run(job));
            let now = lab.snapshot();
            let changed = now.tree.iter().filter(|(p, line)| start.tree.get(*p) != Some(line));
            // A folder that we made stays if there is something of somebody else in it.
            let changed: Vec<_> = changed.filter(|(_, line)| !line.starts_with("40")).collect();
            match outcome.unwrap() {
                Outcome::RolledBack(miss) => {
                    assert!(miss.cause.contains("changed by somebody else since this was planned"), "{}", miss.cause);
                    assert_eq!(changed.len(), 1, "{job:?} {point}: {changed:?}");
                    assert!(changed[0].1.contains("# changed by somebody else"), "{changed:?}");
                }
                // The folder that was to be removed has something in it now.
                Outcome::Done { notes, .. } => {
                    assert!(job == Job::Uninstall && notes.iter().any(|n| n.contains("is kept")), "{point}: {notes:?}");
                    assert!(lab.exists("/var/spool/rsyslog/cefctl/changed"));
                }
                other => panic!("{job:?} {point}: {other:?}"),
            }
        }
    }
}
