//! What is wrong with a configuration although it can be read: references to nothing, names given twice, listeners that
//! take each other's traffic, statements nobody reaches. Adds to the problems found while reading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ast::Expr;
use super::effective::{Effective, Listener, Ruleset, Step, StepKind, Transport};
use super::problem::{Problem, Severity, Topic};
use crate::syslog::{ConfigSource, Location, PathKind, Text};

/// All problems of a configuration: those of the reading and those found here, in no particular order.
pub fn lint(e: &Effective) -> Vec<Problem> {
    let mut problems = e.problems.clone();
    problems.extend(missing_rulesets(e));
    problems.extend(unused_rulesets(e));
    problems.extend(open_rulesets(e));
    problems.extend(double_listeners(e));
    problems.extend(idle_modules(e));
    problems.extend(double_queue_files(e));
    problems.extend(late_templates(e));
    problems.extend(no_action(e));
    for ruleset in &e.rulesets {
        unreachable(e, &ruleset.steps, &mut problems);
    }
    problems
}

/// As [`lint`], and looks at the drop-in folder beside the main file (`rsyslog.d`) too.
pub fn lint_with_folder(e: &Effective, source: &dyn ConfigSource) -> Vec<Problem> {
    let mut problems = lint(e);
    problems.extend(drop_in_folder(e, source));
    problems
}

// ---- rulesets ----

fn missing_rulesets(e: &Effective) -> Vec<Problem> {
    let mut out = Vec::new();
    for listener in &e.listeners {
        if let Some(name) = listener.ruleset.as_ref().filter(|n| e.ruleset(n).is_none()) {
            let text = format!(
                "listener on port {} names ruleset '{name}', which does not exist: its events go to '{}'",
                listener.port, e.default_ruleset
            );
            out.push(Problem::error(Topic::RulesetMissing, &listener.at, text));
        }
    }
    for input in &e.inputs {
        if let Some(name) = input.get("ruleset").filter(|n| e.ruleset(n).is_none()) {
            let text = format!("input names ruleset '{name}', which does not exist");
            out.push(Problem::error(Topic::RulesetMissing, &input.at, text));
        }
    }
    for (name, at) in calls(e) {
        if e.ruleset(name).is_none() {
            let text = format!("call of ruleset '{name}', which does not exist; it has no effect");
            out.push(Problem::error(Topic::RulesetMissing, at, text));
        }
    }
    out
}

/// Every `call` of the configuration.
fn calls(e: &Effective) -> Vec<(&Text, &Location)> {
    fn walk<'a>(steps: &'a [Step], out: &mut Vec<(&'a Text, &'a Location)>) {
        for step in steps {
            if let StepKind::Call(name) = &step.kind {
                out.push((name, &step.at));
            }
            blocks(step).into_iter().for_each(|b| walk(b, out));
        }
    }
    let mut out = Vec::new();
    e.rulesets.iter().for_each(|r| walk(&r.steps, &mut out));
    out
}

/// The blocks inside a statement.
fn blocks(step: &Step) -> Vec<&[Step]> {
    match &step.kind {
        StepKind::If { branches, otherwise } => {
            branches.iter().map(|(_, b)| b.as_slice()).chain([otherwise.as_slice()]).collect()
        }
        StepKind::Pri { body, .. } | StepKind::Prop { body, .. } | StepKind::Foreach { body, .. } => vec![body],
        _ => Vec::new(),
    }
}

fn unused_rulesets(e: &Effective) -> Vec<Problem> {
    let mut used: BTreeSet<&Text> = e.listeners.iter().map(|l| e.ruleset_of(l)).collect();
    used.extend(e.inputs.iter().filter_map(|i| i.get("ruleset")));
    used.extend(calls(e).into_iter().map(|(name, _)| name));
    used.insert(&e.default_ruleset);
    let indirect = e.rulesets.iter().any(|r| any_step(&r.steps, &|s| matches!(s.kind, StepKind::CallIndirect(_))));
    let unused = |r: &&Ruleset| !used.contains(&r.name) && !indirect && !r.steps.is_empty();
    let unused = e.rulesets.iter().filter(unused).filter_map(|r| Some((r, r.at.as_ref()?)));
    unused
        .map(|(r, at)| {
            let text = format!("no listener and no call leads to ruleset '{}'", r.name);
            Problem::note(Topic::Unreachable, at, text)
        })
        .collect()
}

fn any_step(steps: &[Step], test: &dyn Fn(&Step) -> bool) -> bool {
    steps.iter().any(|s| test(s) || blocks(s).into_iter().any(|b| any_step(b, test)))
}

/// `$RuleSet x` in one file and rules of another behind it.
fn open_rulesets(e: &Effective) -> Vec<Problem> {
    let mut out = Vec::new();
    for ruleset in e.rulesets.iter().filter(|r| r.legacy) {
        let Some(at) = &ruleset.at else { continue };
        if let Some(foreign) = ruleset.steps.iter().find(|s| s.at.file != at.file) {
            let text = format!(
                "'$RuleSet {}' is still open here ({at}): these rules belong to that ruleset, not to the default one",
                ruleset.name
            );
            out.push(Problem::warning(Topic::RulesetOpen, &foreign.at, text));
        }
    }
    out
}

// ---- listeners and modules ----

fn double_listeners(e: &Effective) -> Vec<Problem> {
    let mut out = Vec::new();
    for (i, second) in e.listeners.iter().enumerate() {
        let clash = |first: &&Listener| {
            first.transport == second.transport && same_port(first, second) && addresses_meet(first, second)
        };
        for first in e.listeners[..i].iter().filter(clash) {
            out.push(Problem::error(Topic::ListenerTwice, &second.at, double_text(first, second)));
        }
    }
    out
}

fn same_port(a: &Listener, b: &Listener) -> bool {
    match (a.port_number(), b.port_number()) {
        // Port 0 is any free one.
        (Some(a), Some(b)) => a == b && a != 0,
        _ => a.port == b.port,
    }
}

fn addresses_meet(a: &Listener, b: &Listener) -> bool {
    match (&a.address, &b.address) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

fn double_text(first: &Listener, second: &Listener) -> String {
    let port = &second.port;
    let at = &first.at;
    match (second.transport, &first.address, &second.address) {
        (Transport::Udp, None, Some(address)) => {
            format!("second UDP listener on port {port}: it takes what arrives for {address} away from the one at {at}")
        }
        (Transport::Udp, Some(address), None) => {
            format!("second UDP listener on port {port}: what arrives for {address} goes to the one at {at}")
        }
        (Transport::Udp, ..) => {
            format!(
                "second UDP listener on port {port}: it gets all datagrams, the one at {at} none, without any message"
            )
        }
        _ => format!("second listener on port {port}: the one at {at} keeps the port, this one fails"),
    }
}

fn idle_modules(e: &Effective) -> Vec<Problem> {
    let idle = e.modules.iter().filter(|m| matches!(m.name.as_bytes(), b"imudp" | b"imtcp" | b"imptcp" | b"imrelp"));
    let idle = idle.filter(|m| !e.listeners.iter().any(|l| l.module == m.name));
    let text = |name: &Text| format!("module '{name}' is loaded but nothing listens with it (harmless)");
    idle.map(|m| Problem::note(Topic::ModuleIdle, &m.at, text(&m.name))).collect()
}

fn double_queue_files(e: &Effective) -> Vec<Problem> {
    let of_actions = e.actions.iter().map(|a| (&a.queue, &a.at));
    let of_rulesets = e.rulesets.iter().filter_map(|r| Some((r.queue.as_ref()?, r.at.as_ref()?)));
    let mut seen: BTreeMap<(Option<&Text>, &Text), &Location> = BTreeMap::new();
    let mut out = Vec::new();
    for (queue, at) in of_actions.chain(of_rulesets) {
        let Some(name) = &queue.file_name else { continue };
        match seen.get(&(queue.spool.as_ref(), name)) {
            Some(first) => {
                let text =
                    format!("queue file name '{name}' is used already at {first}: both queues write the same files");
                out.push(Problem::error(Topic::QueueFileTwice, at, text));
            }
            None => drop(seen.insert((queue.spool.as_ref(), name), at)),
        }
    }
    out
}

/// Templates that exist, but only behind the action that names them.
fn late_templates(e: &Effective) -> Vec<Problem> {
    let mut out = Vec::new();
    let missed: BTreeSet<&Location> =
        e.problems.iter().filter(|p| p.topic == Topic::TemplateMissing).filter_map(|p| p.at.as_ref()).collect();
    for action in e.actions.iter().filter(|a| missed.contains(&a.at)) {
        if let Some(template) = action.template.as_ref().and_then(|t| e.template(t)) {
            let text = format!("template '{}' is defined only later, at {}", template.name, template.at);
            out.push(Problem::note(Topic::TemplateMissing, &action.at, text));
        }
    }
    out
}

/// A daemon without any action ends at its start. (The obsolete `~` counts as one, `stop` does not.)
fn no_action(e: &Effective) -> Option<Problem> {
    let some = e.actions.iter().any(|a| a.enabled) || e.problems.iter().any(|p| p.topic == Topic::Obsolete);
    let end = Location { file: e.main.as_path().into(), line: 1, start: 0, end: 0 };
    let at = e.stopped.as_ref().map_or(&end, |s| &s.at);
    (!some).then(|| Problem::error(Topic::NoAction, at, "no action is left: the daemon does not start"))
}

// ---- reachability ----

fn unreachable(e: &Effective, steps: &[Step], out: &mut Vec<Problem>) {
    for (i, step) in steps.iter().enumerate() {
        if let (true, Some(next)) = (always_stops(e, step, 0), steps.get(i + 1)) {
            let text = format!("no event comes here: {} stops all of them", step.at);
            out.push(Problem::warning(Topic::Unreachable, &next.at, text));
            return;
        }
        blocks(step).into_iter().for_each(|b| unreachable(e, b, out));
    }
}

/// Does no event get past this statement?
fn always_stops(e: &Effective, step: &Step, depth: usize) -> bool {
    let all = |steps: &[Step]| steps.iter().any(|s| always_stops(e, s, depth));
    match &step.kind {
        StepKind::Stop => true,
        StepKind::Pri { filter, body } => filter.is_all() && all(body),
        StepKind::If { branches, otherwise } => {
            let always = branches.iter().position(|(c, _)| matches!(c, Expr::Number(n) if *n as u8 != 0));
            let taken = &branches[..always.map_or(branches.len(), |i| i + 1)];
            taken.iter().all(|(_, b)| all(b)) && (always.is_some() || all(otherwise))
        }
        StepKind::Call(name) if depth < 10 => {
            let called = e.ruleset(name).filter(|r| r.queue.is_none());
            called.is_some_and(|r| r.steps.iter().any(|s| always_stops(e, s, depth + 1)))
        }
        _ => false,
    }
}

// ---- drop-in folder ----

/// A folder of drop-ins that nobody includes, or that is reached too late.
fn drop_in_folder(e: &Effective, source: &dyn ConfigSource) -> Option<Problem> {
    let folder = e.main.parent().unwrap_or(Path::new("/etc")).join("rsyslog.d");
    if source.kind(&folder) != PathKind::Dir || e.includes_path(&folder.join("x.conf")).is_some() {
        return None;
    }
    let files = source.glob(&folder.join("*.conf"));
    let severity = if files.is_empty() { Severity::Warning } else { Severity::Error };
    let what = match files.len() {
        0 => "a drop-in put there would have no effect".to_owned(),
        n => format!("{n} file(s) there have no effect"),
    };
    let end = Location { file: e.main.as_path().into(), line: 1, start: 0, end: 0 };
    let partly = e.includes.iter().find(|i| Path::new(&*i.pattern.to_str_lossy()).parent() == Some(&folder));
    let (severity, text) = match (&e.stopped, partly) {
        (None, Some(include)) => {
            let text = format!("only '{}' is read of {}, not every *.conf there", include.pattern, folder.display());
            (Severity::Warning, text)
        }
        (Some(stopped), _) => (
            severity,
            format!("folder {} is not read: the daemon stops reading at {}; {what}", folder.display(), stopped.at),
        ),
        (None, None) => (
            severity,
            format!("folder {} is not read: {} does not include it; {what}", folder.display(), e.main.display()),
        ),
    };
    Some(Problem { severity, topic: Topic::DropInFolder, at: Some(end), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::MapSource;

    fn topics(config: &str) -> Vec<(Topic, u32)> {
        let e = Effective::load(Path::new("/etc/rsyslog.conf"), &MapSource::new().with("/etc/rsyslog.conf", config));
        lint(&e).into_iter().map(|p| (p.topic, p.at.map_or(0, |a| a.line))).collect()
    }

    #[test]
    fn rulesets_and_listeners() {
        let load = "module(load=\"imudp\") module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"1\")\n";
        let two =
            |a: &str, b: &str| topics(&format!("{load}input(type=\"imudp\" {a})\ninput(type=\"imudp\" {b})\n*.* /x\n"));
        assert_eq!(topics("# nothing\n"), [(Topic::NoAction, 1)]);
        assert_eq!(two("port=\"514\"", "port=\"514\""), [(Topic::ListenerTwice, 4)]);
        assert_eq!(two("port=\"514\"", "port=\"514\" address=\"10.0.0.1\""), [(Topic::ListenerTwice, 4)]);
        assert_eq!(two("port=\"514\" address=\"10.0.0.2\"", "port=\"514\" address=\"10.0.0.1\""), []);
        assert_eq!(two("port=[\"514\",\"515\"]", "port=\"516\""), []);
        assert_eq!(two("port=\"514\" ruleset=\"nope\"", "port=\"515\""), [(Topic::RulesetMissing, 3)]);
        assert_eq!(topics("call nope\n*.* /x\n"), [(Topic::RulesetMissing, 1)]);
        assert_eq!(topics("ruleset(name=\"aa\") { stop }\n*.* /x\n"), [(Topic::Unreachable, 1)]);
        assert_eq!(topics("module(load=\"imudp\")\n*.* /x\n"), [(Topic::ModuleIdle, 1)]);
    }

    #[test]
    fn nothing_behind_a_stop() {
        assert_eq!(topics("*.* stop\n*.* /x\n"), [(Topic::Unreachable, 2)]);
        assert_eq!(topics("*.* ~\n*.* /x\n"), [(Topic::Obsolete, 1), (Topic::Unreachable, 2)]);
        assert_eq!(topics("mail.* stop\n*.* /x\n"), []);
        assert_eq!(topics("if $msg == 'x' then stop else stop\n*.* /x\n"), [(Topic::Unreachable, 2)]);
        assert_eq!(topics("ruleset(name=\"aa\") { stop }\ncall aa\n*.* /x\n"), [(Topic::Unreachable, 3)]);
    }

    #[test]
    fn names_and_files() {
        let action = "action(type=\"omfwd\" target=\"h\" queue.type=\"linkedlist\" queue.fileName=\"q\")\n";
        assert_eq!(topics(&format!("{action}{action}")), [(Topic::QueueFileTwice, 2)]);
        let late = "*.* /x;tt\ntemplate(name=\"tt\" type=\"string\" string=\"x\")\n";
        assert_eq!(topics(late), [(Topic::TemplateMissing, 1), (Topic::TemplateMissing, 1), (Topic::NoAction, 1)]);
    }

    #[test]
    fn a_ruleset_left_open_swallows_the_rules_behind() {
        let source = MapSource::new()
            .with("/etc/rsyslog.conf", "$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /x\n")
            .with("/etc/rsyslog.d/a.conf", "$RuleSet remote\n*.* /remote\n");
        let e = Effective::load(Path::new("/etc/rsyslog.conf"), &source);
        let found = lint(&e).into_iter().find(|p| p.topic == Topic::RulesetOpen).unwrap();
        assert_eq!(found.at.unwrap().to_string(), "/etc/rsyslog.conf:2");
    }

    #[test]
    fn the_drop_in_folder() {
        let base = MapSource::new().with("/etc/rsyslog.d/a.conf", "*.* /y\n");
        let of = |main: &str| {
            let source = base.clone().with("/etc/rsyslog.conf", main);
            let e = Effective::load(Path::new("/etc/rsyslog.conf"), &source);
            lint_with_folder(&e, &source).into_iter().filter(|p| p.topic == Topic::DropInFolder).count()
        };
        assert_eq!(of("*.* /x\n"), 1);
        assert_eq!(of("$IncludeConfig /etc/rsyslog.d/*.conf\n"), 0);
        assert_eq!(of("include(file=\"/etc/rsyslog.d/\")\n"), 0);
        assert_eq!(of("include(file=\"/etc/rsyslog.d/99-*.conf\")\n*.* /x\n"), 1);
    }
}
