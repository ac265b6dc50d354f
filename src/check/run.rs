//! Runs the catalogue over gathered facts. A check whose cause is another check's fault is `skip` with `blocked_by`, so
//! that a symptom never outranks its cause, wherever in the hop order the cause stands.

use std::collections::BTreeMap;
use std::time::Duration;

use super::case::Case;
use super::catalogue::{self, Check};
use super::late;
use super::outcome::Outcome;
use super::promise;
use super::select::Selection;
use crate::host::Clock;
use crate::report::{CheckResult, Remedy, Status, clean};

/// Results in hop order: what was selected, and whatever fault holds up something that was selected.
pub fn run(case: &Case<'_>, selection: &Selection, clock: &dyn Clock) -> Vec<CheckResult> {
    run_checks(&catalogue::all().collect::<Vec<_>>(), case, selection, clock)
}

fn run_checks(checks: &[&Check], case: &Case<'_>, selection: &Selection, clock: &dyn Clock) -> Vec<CheckResult> {
    let mut runner = Runner { checks, case, clock, done: BTreeMap::new() };
    for check in checks {
        runner.judge(check);
    }
    let done = runner.done;
    let holds_up = |id: &str| done.iter().any(|(other, (o, _))| o.blocked_by == Some(id) && selection.has(other));
    let shown = |c: &&&Check| selection.has(c.id) || (holds_up(c.id) && !selection.is_skipped(c.id));
    checks.iter().filter(shown).filter_map(|c| done.get(c.id).map(|(o, time)| result(c, o, *time))).collect()
}

struct Runner<'a, 'c> {
    checks: &'a [&'a Check],
    case: &'a Case<'c>,
    clock: &'a dyn Clock,
    done: BTreeMap<&'static str, (Outcome, Duration)>,
}

impl Runner<'_, '_> {
    /// Judges what the check needs first, then the check.
    fn judge(&mut self, check: &Check) {
        if self.done.contains_key(check.id) {
            return;
        }
        for need in check.needs {
            // Needs never form a circle: a test of the catalogue holds that.
            if let Some(needed) = self.checks.iter().find(|c| c.id == *need) {
                self.judge(needed);
            }
        }
        let start = self.clock.monotonic();
        let outcome = match check.needs.iter().find_map(|need| self.fault_behind(need)) {
            Some(cause) => Outcome::blocked(cause, format!("cannot be judged while {cause} fails")),
            None => match late::unknown(check, self.case.facts, self.case.target) {
                Some(unknown) => unknown,
                None => {
                    let outcome = (check.judge)(self.case).unwrap_or_else(Outcome::from);
                    promise::kept(self.case, self.settle(outcome))
                }
            },
        };
        self.done.insert(check.id, (outcome, self.clock.monotonic().saturating_sub(start)));
    }

    /// The failing check that makes `id` impossible, if there is one.
    fn fault_behind(&self, id: &'static str) -> Option<&'static str> {
        match self.done.get(id) {
            Some((o, _)) if o.status == Status::Fail => Some(id),
            Some((o, _)) => o.blocked_by,
            None => None,
        }
    }

    /// A judgement may itself name its cause; where that one is blocked in turn, the first cause is named.
    fn settle(&self, mut outcome: Outcome) -> Outcome {
        if let Some(further) = outcome.blocked_by.and_then(|by| self.done.get(by)).and_then(|(o, _)| o.blocked_by) {
            outcome.blocked_by = Some(further);
        }
        outcome
    }
}

fn result(check: &Check, outcome: &Outcome, time: Duration) -> CheckResult {
    let remedy = outcome.advice.as_ref().map(|advice| Remedy {
        summary: clean(&advice.summary),
        commands: advice.commands.iter().map(|c| clean(c)).collect(),
        fixable: advice.fixable,
        doc: check.doc(),
    });
    CheckResult {
        id: check.id.into(),
        group: check.group().into(),
        title: check.title.into(),
        status: outcome.status,
        summary: clean(&outcome.summary),
        why: check.why.into(),
        evidence: outcome.evidence.clone(),
        remedy,
        blocked_by: outcome.blocked_by.map(str::to_owned),
        duration_ms: time.as_millis().try_into().unwrap_or(u64::MAX),
        fixes: outcome.advice.as_ref().map(|a| a.fixes.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::case::read_config;
    use crate::check::facts::Facts;
    use crate::check::outcome::Judged;
    use crate::check::target::Target;
    use crate::host::SystemClock;

    fn check(id: &'static str, needs: &'static [&'static str], judge: fn(&Case<'_>) -> Judged) -> Check {
        Check { id, title: "t", why: "w", looks_at: "l", mend: "m", needs, judge }
    }

    fn run_all(checks: &[Check], selection: &Selection) -> Vec<CheckResult> {
        let facts = Facts::default();
        let target = Target::default();
        let config = read_config(&facts);
        let case = Case::new(&facts, &target, &config);
        run_checks(&checks.iter().collect::<Vec<_>>(), &case, selection, &SystemClock::default())
    }

    fn chain() -> Vec<Check> {
        vec![
            check("listen.udp", &["listen.owner"], |_| Ok(Outcome::pass("p"))),
            check("listen.owner", &[], |_| {
                Ok(Outcome::fail("taken").seen("ss", "x").advise("stop it").command("kill\n1"))
            }),
            check("forward.connected", &["listen.udp"], |_| Ok(Outcome::pass("p"))),
            check("probe.udp", &[], |_| Ok(Outcome::blocked("forward.connected", "no use"))),
            check("host.os", &[], |_| Err("not looked at".to_owned().into())),
        ]
    }

    #[test]
    fn a_cause_later_in_the_order_holds_up_what_needs_it() {
        let all = run_all(&chain(), &Selection::default());
        let of = |id: &str| all.iter().find(|c| c.id == id).unwrap();
        assert_eq!(all[0].id, "listen.udp");
        assert_eq!(
            (of("listen.udp").status, of("listen.udp").blocked_by.as_deref()),
            (Status::Skip, Some("listen.owner"))
        );
        assert_eq!(of("forward.connected").blocked_by.as_deref(), Some("listen.owner"));
        assert_eq!(of("probe.udp").blocked_by.as_deref(), Some("listen.owner"));
        assert_eq!(of("host.os").status, Status::Unknown);
        assert_eq!(of("host.os").summary, "not looked at");
        let remedy = of("listen.owner").remedy.as_ref().unwrap();
        assert_eq!(remedy.commands, ["kill\\n1"]);
        assert!(remedy.doc.ends_with("#listenowner"), "{}", remedy.doc);
    }

    #[test]
    fn the_fault_that_holds_up_a_selected_check_is_shown_with_it() {
        let only = |w: &str| Selection::new(&[w.into()], &[]).unwrap();
        let shown = |s: &Selection| run_all(&chain(), s).into_iter().map(|c| c.id).collect::<Vec<_>>();
        assert_eq!(shown(&only("probe.udp")), ["listen.owner", "probe.udp"]);
        assert_eq!(shown(&only("host.os")), ["host.os"]);
        let skipping = Selection::new(&["probe.udp".into()], &["listen.owner".into()]).unwrap();
        assert_eq!(shown(&skipping), ["probe.udp"]);
    }
}
