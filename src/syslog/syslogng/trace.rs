//! Follows one event through the log paths: which destinations it reaches, what is sent there, and which path takes it
//! for good. What cannot be evaluated is followed as possible, and everything that hangs on it is marked `maybe`.

mod drops;
mod filters;

use serde::{Deserialize, Serialize};

use super::effective::*;
use super::event::{Origin, SampleEvent};
use super::filter::Pattern;
use super::pattern::{Found, Matcher};
use super::reader::normal;
use super::template::expand;
use crate::syslog::{Location, Text};

/// Copies of one event that are followed at a time.
const MAX_COPIES: usize = 64;
/// Filters calling filters.
const MAX_CALLS: usize = 20;

/// Yes, no, or not known.
pub type Maybe = Option<bool>;

/// A destination the event reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub destination: Ref,
    /// Not sure: something on the way could not be evaluated.
    pub maybe: bool,
    /// The log path, outermost.
    pub path: Location,
    /// The step that names the destination.
    pub at: Location,
    /// What each driver of the destination writes or sends, where known; the daemon's own formats are not.
    pub lines: Vec<Option<Text>>,
}

/// A log path that keeps the event from later ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub at: Location,
    pub maybe: bool,
    /// How many of the visits came before.
    pub after: usize,
}

/// The way of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub visits: Vec<Visit>,
    pub stops: Vec<Stop>,
    /// The rest was not followed: too many copies.
    pub cut_short: bool,
}

impl Trace {
    /// Does the event reach the destination: yes, no, or not known?
    pub fn reaches(&self, destination: &Ref) -> Maybe {
        let mut visits = self.visits.iter().filter(|v| v.destination == *destination).peekable();
        if visits.peek().is_none() {
            return if self.cut_short { None } else { Some(false) };
        }
        if visits.any(|v| !v.maybe) { Some(true) } else { None }
    }
}

/// Why an event gets to a destination or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    Yes,
    Maybe,
    /// No log path with this source leads there.
    NoPath,
    /// The paths that lead there filter it out.
    Filtered,
    /// An earlier path takes it for good.
    Stopped(Location),
}

impl Effective {
    /// Runs an event of a source through all log paths.
    pub fn trace(&self, event: &SampleEvent, source: &Ref) -> Trace {
        self.run(event, source, false)
    }

    /// As [`Effective::trace`], as if no path had `flags(final)`.
    pub fn trace_without_final(&self, event: &SampleEvent, source: &Ref) -> Trace {
        self.run(event, source, true)
    }

    /// Log paths that take the event of some devices, or of all, for good before it came to one of the destinations. Those
    /// that lead nowhere are left out: they are how somebody says that an event is not wanted.
    pub fn diversions(&self, event: &SampleEvent, source: &Ref, wanted: &dyn Fn(&Ref) -> bool) -> Vec<Location> {
        let leads = |at: &Location| self.logs.iter().any(|path| path.at == *at && path.leads_anywhere());
        self.stops_before(event, source, wanted).into_iter().filter(leads).collect()
    }

    /// Every log path that takes the event of some devices, or of all, for good before it came to one of the destinations.
    fn stops_before(&self, event: &SampleEvent, source: &Ref, wanted: &dyn Fn(&Ref) -> bool) -> Vec<Location> {
        let trace = self.trace(&event.clone().of_anybody(), source);
        let came = |stop: &Stop| trace.visits.iter().take(stop.after).any(|v| wanted(&v.destination));
        trace.stops.iter().filter(|stop| !came(stop)).map(|stop| stop.at.clone()).collect()
    }

    /// How `raw` looks to the daemon when it comes in by this listener.
    pub fn event_at(&self, listener: &Listener, raw: &[u8]) -> SampleEvent {
        let origin = Origin { program: self.program, ..Origin::default() };
        SampleEvent::at(raw, &origin, listener)
    }

    /// Why an event of a source gets to a destination or not.
    pub fn reach(&self, event: &SampleEvent, source: &Ref, destination: &Ref) -> Reach {
        let trace = self.trace(event, source);
        match trace.reaches(destination) {
            Some(true) => return Reach::Yes,
            None => return Reach::Maybe,
            Some(false) => {}
        }
        let leads = |path: &LogPath| path_takes(path, source) && path.leads_to(destination);
        if !self.logs.iter().any(leads) {
            return Reach::NoPath;
        }
        match (self.run(event, source, true).reaches(destination), trace.stops.first()) {
            (Some(false), _) | (_, None) => Reach::Filtered,
            (_, Some(stop)) => Reach::Stopped(stop.at.clone()),
        }
    }

    fn run(&self, event: &SampleEvent, source: &Ref, ignore_final: bool) -> Trace {
        let mut event = event.clone();
        if let Ref::Named(name) = source {
            event.set("SOURCE", name.as_bytes());
        }
        let reworked = self.source(source).is_some_and(|s| s.reworks);
        if reworked {
            event.opaque();
        }
        let mut run = Run { config: self, trace: Trace::default(), path: None, ignore_final, within: 0 };
        run.all(&Flow { event, maybe: reworked }, source);
        run.trace
    }
}

/// Does this path take events of the source?
fn path_takes(path: &LogPath, source: &Ref) -> bool {
    path.flags.catchall || path.sources().contains(&source)
}

/// One copy of the event on its way.
#[derive(Clone)]
struct Flow {
    event: SampleEvent,
    maybe: bool,
}

struct Run<'a> {
    config: &'a Effective,
    trace: Trace,
    /// The outermost path at work.
    path: Option<Location>,
    ignore_final: bool,
    /// Destinations within destinations.
    within: usize,
}

impl Run<'_> {
    /// All log paths: those without `fallback` first, then, where none of them took the event, those with it.
    fn all(&mut self, flow: &Flow, source: &Ref) {
        let config = self.config;
        let mut taken: Maybe = Some(false);
        for fallback in [false, true] {
            if fallback && taken == Some(true) {
                break;
            }
            let mut flow = Flow { maybe: flow.maybe || (fallback && taken.is_none()), ..flow.clone() };
            for path in config.logs.iter().filter(|p| p.flags.fallback == fallback && path_takes(p, source)) {
                self.path = Some(path.at.clone());
                let through = self.steps(path, vec![flow.clone()]);
                let result = got_through(&through);
                taken = either(taken, result);
                if !path.flags.is_final || result == Some(false) || self.ignore_final {
                    continue;
                }
                let after = self.trace.visits.len();
                self.trace.stops.push(Stop { at: path.at.clone(), maybe: result.is_none(), after });
                if result == Some(true) {
                    break;
                }
                flow.maybe = true;
            }
        }
    }

    /// What comes out at the end of a path.
    fn steps(&mut self, path: &LogPath, mut flows: Vec<Flow>) -> Vec<Flow> {
        for step in &path.steps {
            let mut next = Vec::new();
            for flow in flows {
                self.step(step, flow, &mut next);
            }
            if next.len() > MAX_COPIES {
                self.trace.cut_short = true;
                next.truncate(MAX_COPIES);
            }
            flows = next;
            if flows.is_empty() {
                break;
            }
        }
        flows
    }

    fn step(&mut self, step: &Step, mut flow: Flow, next: &mut Vec<Flow>) {
        let config = self.config;
        match &step.kind {
            StepKind::Source(_) => next.push(flow),
            StepKind::Filter(r) => {
                let expr = config.filter(r).map(|f| &f.expr);
                let result = expr.and_then(|e| self.filter(e, &mut flow.event, 0));
                pass(flow, result, next);
            }
            StepKind::Rewrite(r) => {
                match config.rewrite(r) {
                    Some(rewrite) => rewrite.ops.iter().for_each(|op| self.rewrite(op, &mut flow.event)),
                    None => opaque(&mut flow),
                }
                next.push(flow);
            }
            StepKind::Parser(r) => match config.parser(r) {
                Some(parser) => next.extend(self.parser(parser, flow)),
                None => {
                    opaque(&mut flow);
                    next.push(flow);
                }
            },
            StepKind::Destination(r) => {
                self.visit(r, step, &flow);
                self.lead_on(r, &flow);
                next.push(flow);
            }
            StepKind::Junction(paths) => self.junction(paths, flow, next),
            StepKind::If { branches, otherwise } => self.condition(branches, otherwise.as_ref(), flow, next),
            StepKind::Other(_) => {
                opaque(&mut flow);
                next.push(flow);
            }
        }
    }

    fn visit(&mut self, r: &Ref, step: &Step, flow: &Flow) {
        let drivers = self.config.destination(r).map(|d| d.drivers.as_slice()).unwrap_or_default();
        let lines = drivers.iter().map(|driver| {
            let template = self.config.template_of(driver)?;
            expand(template, &flow.event).map(Text)
        });
        let visit = Visit {
            destination: r.clone(),
            maybe: flow.maybe,
            path: self.path.clone().unwrap_or_else(|| step.at.clone()),
            at: step.at.clone(),
            lines: lines.collect(),
        };
        self.trace.visits.push(visit);
    }

    /// Channels inside a destination get the event as well; nothing comes back from there.
    fn lead_on(&mut self, r: &Ref, flow: &Flow) {
        let config = self.config;
        let channels = config.destination(r).map(|d| d.channels.as_slice()).unwrap_or_default();
        if channels.is_empty() {
            return;
        }
        if self.within == MAX_CALLS {
            self.trace.cut_short = true;
            return;
        }
        self.within += 1;
        for channel in channels {
            self.steps(channel, vec![flow.clone()]);
        }
        self.within -= 1;
    }

    /// Every branch gets the event; `final` keeps it from later ones, `fallback` waits until no other took it.
    fn junction(&mut self, paths: &[LogPath], flow: Flow, next: &mut Vec<Flow>) {
        let mut taken: Maybe = Some(false);
        for fallback in [false, true] {
            if fallback && taken == Some(true) {
                break;
            }
            let mut flow = Flow { maybe: flow.maybe || (fallback && taken.is_none()), ..flow.clone() };
            for path in paths.iter().filter(|p| p.flags.fallback == fallback) {
                let through = self.steps(path, vec![flow.clone()]);
                let result = got_through(&through);
                taken = either(taken, result);
                next.extend(through);
                match (path.flags.is_final, result) {
                    (true, Some(true)) if !flow.maybe => return,
                    (true, Some(true)) => break,
                    (true, None) => flow.maybe = true,
                    _ => {}
                }
            }
        }
    }

    fn condition(&mut self, branches: &[Branch], otherwise: Option<&LogPath>, mut flow: Flow, next: &mut Vec<Flow>) {
        for branch in branches {
            let mut inside = flow.clone();
            let result = match &branch.condition {
                Some(expr) => self.filter(expr, &mut inside.event, 0),
                None => Some(true),
            };
            if result == Some(false) {
                continue;
            }
            inside.maybe |= result.is_none();
            let through = self.steps(&branch.path, vec![inside]);
            let result = if branch.condition.is_some() { result } else { got_through(&through) };
            next.extend(through);
            match result {
                Some(true) => return,
                Some(false) => {}
                None => flow.maybe = true,
            }
        }
        match otherwise {
            Some(path) => {
                let through = self.steps(path, vec![flow]);
                next.extend(through);
            }
            None => next.push(flow),
        }
    }

    /// Channels inside a parser are followed; of parsers proper only the one for syslog headers is.
    fn parser(&mut self, parser: &Parser, flow: Flow) -> Vec<Flow> {
        let mut flows = vec![flow];
        for step in &parser.steps {
            match step {
                ParserStep::Channel(path) => flows = self.steps(path, flows),
                ParserStep::Parser(kind) if normal(kind) == b"syslog-parser" => flows.iter_mut().for_each(parse_again),
                ParserStep::Parser(_) => flows.iter_mut().for_each(opaque),
            }
        }
        flows
    }

    // ---- rewrite rules ----

    fn rewrite(&mut self, op: &RewriteOp, event: &mut SampleEvent) {
        let holds = match &op.condition {
            Some(condition) => self.filter(condition, event, 0),
            None => Some(true),
        };
        if holds == Some(false) {
            return;
        }
        let (name, made) = match &op.kind {
            RewriteKind::Set { template, value } => (value, expand(template, event)),
            RewriteKind::Unset { value } => (value, Some(Vec::new())),
            RewriteKind::Subst { pattern, replacement, value, global } => {
                (value, self.substitute(pattern, replacement, value, *global, event))
            }
            RewriteKind::Other(_) => {
                event.opaque = true;
                return;
            }
        };
        let made = made.filter(|_| holds.is_some()).map(Text);
        if matches!(name.as_bytes(), b"PROGRAM" | b"PID") {
            match holds {
                Some(_) => event.forget_header(),
                None => drop(event.values.insert("LEGACY_MSGHDR".into(), None)),
            }
        }
        event.values.insert(name.clone(), made);
    }

    fn substitute(
        &mut self,
        pattern: &Pattern,
        replacement: &Text,
        value: &Text,
        global: bool,
        event: &mut SampleEvent,
    ) -> Option<Vec<u8>> {
        let matcher = Matcher::remembered(pattern)?;
        let text = event.get(value)?.0;
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(found) = matcher.find(&text, at).ok()? {
            keep_groups(&found, event);
            out.extend_from_slice(text.get(at..found.start)?);
            out.extend(expand(replacement, event)?);
            at = found.end;
            if found.end == found.start {
                out.extend(text.get(at));
                at += 1;
            }
            if !global || at > text.len() {
                break;
            }
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Some(out)
    }
}

/// `$0`, `$1` … of the latest match.
fn keep_groups(found: &Found, event: &mut SampleEvent) {
    event.values.retain(|name, _| !name.as_bytes().iter().all(u8::is_ascii_digit));
    for (i, group) in found.groups.iter().enumerate() {
        event.set(&i.to_string(), group);
    }
}

/// What `syslog-parser()` does: reads the text of the event as a syslog message.
fn parse_again(flow: &mut Flow) {
    match flow.event.get(&"MESSAGE".into()) {
        Some(text) => flow.event.parse(text.as_bytes(), Format::Rfc3164),
        None => opaque(flow),
    }
}

/// Something happened to the event that we cannot follow.
fn opaque(flow: &mut Flow) {
    flow.event.opaque();
    flow.maybe = true;
}

fn pass(mut flow: Flow, result: Maybe, next: &mut Vec<Flow>) {
    flow.maybe |= result.is_none();
    if result != Some(false) {
        next.push(flow);
    }
}

/// Did anything come out, for sure or perhaps?
fn got_through(flows: &[Flow]) -> Maybe {
    match flows.iter().any(|f| !f.maybe) {
        true => Some(true),
        false if flows.is_empty() => Some(false),
        false => None,
    }
}

fn either(a: Maybe, b: Maybe) -> Maybe {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
