//! Follows one event through the rulesets: which actions it reaches, in order, by which way, and where it is stopped.
//! Where a condition cannot be evaluated both branches are followed and everything that hangs on it is marked `maybe`.

use serde::{Deserialize, Serialize};

use super::effective::{ActionId, Effective, Listener, Ruleset, Step, StepKind};
use super::eval::{Env, Val};
use super::event::SampleEvent;
use crate::syslog::{Location, Text};

/// Calls within calls; the daemon would run out of stack in a circle.
const MAX_CALLS: usize = 30;
/// Statements followed for one event.
const MAX_STEPS: usize = 200_000;

/// An action the event reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub action: ActionId,
    /// Not sure: a condition on the way could not be evaluated, or the action runs only now and then.
    pub maybe: bool,
    /// Statements around it, outermost first: filters, `if`, `call`.
    pub via: Vec<Location>,
}

/// A place where the event is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub at: Location,
    pub ruleset: Text,
    pub maybe: bool,
    pub via: Vec<Location>,
    /// How many of the visits came before it.
    pub after: usize,
    /// It ends a copy of the event only, in a ruleset with a queue of its own or what that calls.
    pub of_copy: bool,
}

impl Stop {
    /// The statement that decides on it, where there is one: a filter rather than the `& stop` behind it.
    pub fn place(&self) -> &Location {
        self.via.last().unwrap_or(&self.at)
    }
}

/// The way of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// In the order of the daemon; what a queue of a called ruleset delays stands where it was called.
    pub visits: Vec<Visit>,
    pub stops: Vec<Stop>,
    /// Rulesets the event ran through, the first one first.
    pub rulesets: Vec<Text>,
    /// The rest was not followed: calls in a circle, or too many statements.
    pub cut_short: bool,
}

impl Trace {
    /// Does the event reach the action: yes, no, or not known?
    pub fn reaches(&self, action: ActionId) -> Option<bool> {
        match self.visits.iter().find(|v| v.action == action) {
            Some(visit) if visit.maybe => None,
            visit => Some(visit.is_some()),
        }
    }

    /// Actions reached before (or after) that one.
    pub fn others(&self, action: ActionId) -> (Vec<&Visit>, Vec<&Visit>) {
        match self.visits.iter().position(|v| v.action == action) {
            Some(at) => (self.visits[..at].iter().collect(), self.visits[at + 1..].iter().collect()),
            None => (self.visits.iter().collect(), Vec::new()),
        }
    }
}

impl Effective {
    /// Runs an event through a ruleset.
    pub fn trace(&self, event: &SampleEvent, ruleset: &Text) -> Trace {
        self.run(event, ruleset, false)
    }

    /// As [`Effective::trace`], as if no `stop` were there.
    pub fn trace_without_stops(&self, event: &SampleEvent, ruleset: &Text) -> Trace {
        self.run(event, ruleset, true)
    }

    fn run(&self, event: &SampleEvent, ruleset: &Text, ignore_stops: bool) -> Trace {
        let trace = Trace::default();
        let mut run =
            Run { config: self, trace, via: Vec::new(), maybe: false, calls: 0, copies: 0, taken: 0, ignore_stops };
        let mut env = Env::new(self, event);
        if let Some(ruleset) = self.ruleset(ruleset) {
            run.ruleset(ruleset, &mut env);
        }
        run.trace
    }

    /// Runs an event through the ruleset of a listener.
    pub fn trace_from(&self, event: &SampleEvent, listener: &Listener) -> Trace {
        self.trace(event, self.ruleset_of(listener))
    }
}

/// How a run of statements ends: both may be possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow {
    goes_on: bool,
    stops: bool,
}

const ON: Flow = Flow { goes_on: true, stops: false };
const STOPPED: Flow = Flow { goes_on: false, stops: true };

impl Flow {
    /// One of the two happens.
    fn or(self, other: Flow) -> Flow {
        Flow { goes_on: self.goes_on || other.goes_on, stops: self.stops || other.stops }
    }
}

struct Run<'a> {
    config: &'a Effective,
    trace: Trace,
    via: Vec<Location>,
    /// Is it unsure that the event comes here?
    maybe: bool,
    calls: usize,
    /// Of these, into rulesets that work on a copy.
    copies: usize,
    /// Statements so far.
    taken: usize,
    ignore_stops: bool,
}

impl<'a> Run<'a> {
    fn ruleset(&mut self, ruleset: &'a Ruleset, env: &mut Env<'a>) -> Flow {
        if !self.trace.rulesets.contains(&ruleset.name) {
            self.trace.rulesets.push(ruleset.name.clone());
        }
        self.steps(&ruleset.steps, &ruleset.name, env)
    }

    fn steps(&mut self, steps: &'a [Step], ruleset: &Text, env: &mut Env<'a>) -> Flow {
        let mut seen = ON;
        for step in steps {
            self.taken += 1;
            if self.taken > MAX_STEPS {
                self.trace.cut_short = true;
                break;
            }
            let flow = self.step(step, ruleset, env);
            seen = Flow { goes_on: flow.goes_on, stops: seen.stops || flow.stops };
            if !flow.goes_on {
                break;
            }
            // From here on the event comes only if it was not stopped.
            self.maybe |= flow.stops;
        }
        seen
    }

    fn step(&mut self, step: &'a Step, ruleset: &Text, env: &mut Env<'a>) -> Flow {
        match &step.kind {
            StepKind::Action(id) => self.action(*id, env),
            StepKind::Stop => {
                let (at, via, after) = (step.at.clone(), self.via.clone(), self.trace.visits.len());
                let (ruleset, maybe, of_copy) = (ruleset.clone(), self.maybe, self.copies > 0);
                self.trace.stops.push(Stop { at, ruleset, maybe, via, after, of_copy });
                return if self.ignore_stops { ON } else { STOPPED };
            }
            StepKind::Call(name) => return self.call(name, &step.at, env),
            StepKind::CallIndirect(name) => return self.call_indirect(env.eval(name), &step.at, env),
            StepKind::If { branches, otherwise } => {
                let conds = branches.iter().map(|(c, b)| (Some(c), b.as_slice())).chain([(None, otherwise.as_slice())]);
                return self.branches(&conds.collect::<Vec<_>>(), step, ruleset, env);
            }
            StepKind::Pri { filter, body } => match env.pri(filter) {
                Some(true) => return self.within(step, |run| run.steps(body, ruleset, env)),
                Some(false) => {}
                None => return self.perhaps(body, step, ruleset, env),
            },
            StepKind::Prop { filter, body } => match env.prop(filter) {
                Some(true) => return self.within(step, |run| run.steps(body, ruleset, env)),
                Some(false) => {}
                None => return self.perhaps(body, step, ruleset, env),
            },
            StepKind::Set { var, value } => {
                let value = env.eval(value);
                env.set(var, value);
            }
            StepKind::Unset(var) => env.unset(var),
            StepKind::Foreach { var, list, body } => {
                let nothing = matches!(env.eval(list), Val::Text(t) if t.is_empty());
                if !nothing {
                    env.set(var, Val::Unknown);
                    return self.perhaps(body, step, ruleset, env);
                }
            }
        }
        ON
    }

    fn within(&mut self, step: &Step, f: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.via.push(step.at.clone());
        let flow = f(self);
        self.via.pop();
        flow
    }

    /// The first branch that holds; unknown ones are followed and passed over as well.
    fn branches(
        &mut self,
        branches: &[(Option<&'a super::ast::Expr>, &'a [Step])],
        step: &'a Step,
        ruleset: &Text,
        env: &mut Env<'a>,
    ) -> Flow {
        let Some(((cond, body), rest)) = branches.split_first() else { return ON };
        match cond.map_or(Some(true), |c| env.eval(c).holds()) {
            Some(true) => self.within(step, |run| run.steps(body, ruleset, env)),
            Some(false) => self.branches(rest, step, ruleset, env),
            None => self.either(
                env,
                |run, env| run.within(step, |run| run.steps(body, ruleset, env)),
                |run, env| run.branches(rest, step, ruleset, env),
            ),
        }
    }

    /// The body happens or not.
    fn perhaps(&mut self, body: &'a [Step], step: &'a Step, ruleset: &Text, env: &mut Env<'a>) -> Flow {
        self.either(env, |run, env| run.within(step, |run| run.steps(body, ruleset, env)), |_, _| ON)
    }

    /// One of two ways, nobody knows which.
    fn either(
        &mut self,
        env: &mut Env<'a>,
        one: impl FnOnce(&mut Self, &mut Env<'a>) -> Flow,
        other: impl FnOnce(&mut Self, &mut Env<'a>) -> Flow,
    ) -> Flow {
        let before = std::mem::replace(&mut self.maybe, true);
        let mut second = env.clone();
        let first_flow = one(self, env);
        self.maybe = true;
        let second_flow = other(self, &mut second);
        self.maybe = before;
        merge(env, first_flow, second, second_flow);
        first_flow.or(second_flow)
    }

    fn action(&mut self, id: ActionId, env: &mut Env<'a>) {
        let Some(action) = self.config.actions.get(id).filter(|a| a.enabled) else { return };
        let rare = action.only_when_previous_suspended || action.every_nth().is_some() || action.once_every().is_some();
        // Modules that modify the event.
        if action.module.as_bytes().starts_with(b"mm") {
            env.json_changed = true;
            env.vars.retain(|k, _| k.first() != Some(&b'!'));
            env.msg_changed |= [&b"mmanon"[..], b"mmutf8fix", b"mmrm1stspace", b"mmexternal", b"mmsequence"]
                .contains(&action.module.as_bytes());
        }
        self.trace.visits.push(Visit { action: id, maybe: self.maybe || rare, via: self.via.clone() });
    }

    fn call(&mut self, name: &Text, at: &Location, env: &mut Env<'a>) -> Flow {
        let Some(ruleset) = self.config.ruleset(name) else { return ON };
        if self.calls >= MAX_CALLS {
            self.trace.cut_short = true;
            return ON;
        }
        self.calls += 1;
        self.via.push(at.clone());
        let flow = if ruleset.queue.is_some() {
            // The ruleset works on a copy: a stop inside is no stop outside.
            let before = self.maybe;
            self.copies += 1;
            self.ruleset(ruleset, &mut env.clone());
            self.copies -= 1;
            self.maybe = before;
            ON
        } else {
            self.ruleset(ruleset, env)
        };
        self.via.pop();
        self.calls -= 1;
        flow
    }

    /// A name that is made up on the way: if it is not known, any ruleset may be meant.
    fn call_indirect(&mut self, name: Val, at: &Location, env: &mut Env<'a>) -> Flow {
        if let Some(name) = name.text() {
            return self.call(&Text(name), at, env);
        }
        let mut seen = ON;
        // Within a call every further ruleset would open all of them again.
        if self.calls == 0 {
            for ruleset in &self.config.rulesets {
                seen = seen.or(self.either(env, |run, env| run.call(&ruleset.name, at, env), |_, _| ON));
            }
        }
        seen
    }
}

/// Where two ways meet again a variable is known only if both agree; a way that was stopped does not count.
fn merge<'a>(env: &mut Env<'a>, first: Flow, second: Env<'a>, second_flow: Flow) {
    if !second_flow.goes_on {
        return;
    }
    if !first.goes_on {
        *env = second;
        return;
    }
    let names: Vec<Vec<u8>> = env.vars.keys().chain(second.vars.keys()).cloned().collect();
    for name in names {
        let (a, b) = (env.value(&Text(name.clone())), second.value(&Text(name.clone())));
        env.vars.insert(name, if a == b { a } else { Val::Unknown });
    }
    env.msg_changed |= second.msg_changed;
    env.json_changed |= second.json_changed;
}

#[cfg(test)]
mod tests;
