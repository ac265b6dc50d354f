//! Judgements on the rule that passes security events on to the agent: there, complete, to the right place, once, and
//! not into the local files as well.

use super::agents::forward_config::over_tcp;
use std::path::{Path, PathBuf};

use super::case::Case;
use super::facts::{decode_path, encode_path};
use super::flow::{self, Flow};
use super::generations::{self, Generation};
use super::listen::missing_files;
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::{Forward, Way};
use super::samples::{Fate, Sample};
use super::target::Daemon;
use super::words;
use crate::agent::AgentKind;
use crate::agent::oms::leftovers;
use crate::report::{Fix, shell_quote};
use crate::syslog::Location;

pub fn rule(case: &Case<'_>) -> Judged {
    over_tcp(case)?;
    let flow = case.flow()?;
    if flow.to_agent().next().is_none() {
        return Ok(no_rule(case, flow));
    }
    let mut carriers = flow.carriers();
    if carriers.is_empty() {
        carriers = flow.to_agent().collect();
    }
    let places = || carriers.iter().map(|f| seen(f));
    let lost = flow.unmatched(Fate::Forwarded);
    if let Some((place, old)) = old_rule(case, &carriers) {
        return Ok(old_generation(case, &place, old, &lost).seen_all(places()));
    }
    if !lost.is_empty() {
        let out = Outcome::fail(format!("the rule does not forward {}", names(&lost)))
            .seen_all(places())
            .seen_all(lost.iter().map(|s| (s.name, s.line)))
            .seen_all(changed_files(case));
        return Ok(reinstall(case, out, "write the current rule"));
    }
    let unsure = flow.unsure(Fate::Forwarded);
    if !unsure.is_empty() {
        let why =
            format!("whether the rule forwards {} hangs on something only the running daemon knows", names(&unsure));
        return Ok(Outcome::unknown(why).seen_all(places()));
    }
    let some = flow.unmatched(Fate::Usual);
    if !some.is_empty() {
        let out = Outcome::warn(format!("the rule does not forward {}", names(&some)))
            .seen_all(places())
            .seen_all(some.iter().map(|s| (s.name, s.line)));
        return Ok(reinstall(case, out, "write a rule that looks at the event, not at its facility"));
    }
    let more = flow.matched(Fate::Kept);
    if !more.is_empty() && !flow::takes_everything(case.target) {
        let out = Outcome::warn(format!("the rule also forwards what is no security event ({})", names(&more)))
            .seen_all(places())
            .seen_all(more.iter().map(|s| (s.name, s.line)));
        return Ok(reinstall(case, out, "write a rule that forwards security events only"));
    }
    let at: Vec<String> = carriers.iter().map(|f| f.at.to_string()).collect();
    Ok(Outcome::pass(format!("CEF, ASA and FTD are forwarded by {}", words::list(&at))).seen_all(places()))
}

fn no_rule(case: &Case<'_>, flow: &Flow<'_>) -> Outcome {
    let off = flow.forwards.iter().filter(|f| !f.enabled && f.loopback);
    let plain = flow.forwards.iter().filter(|f| f.enabled && flow::is_plain_syslog(f));
    let remote = flow.forwards.iter().filter(|f| f.enabled && !f.loopback);
    let out = Outcome::fail("nothing in the configuration forwards events to an agent on this box")
        .seen("configuration", case.files_read())
        .seen_all(missing_files(case))
        .seen_all(off.map(|f| (f.at.to_string(), format!("{}, left out by the daemon", f.describe()))))
        .seen_all(plain.map(|f| (f.at.to_string(), format!("{}, the agent's plain syslog only", f.describe()))))
        .seen_all(remote.map(|f| (f.at.to_string(), format!("{}, another machine", f.describe()))));
    reinstall(case, out, "write the rule")
}

fn old_generation(case: &Case<'_>, place: &str, old: Generation, lost: &[&Sample]) -> Outcome {
    let misses = if lost.is_empty() { String::new() } else { format!("; it does not forward {}", names(lost)) };
    let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
    let out = Outcome::fail(format!("{place} is {}{misses}", old.name))
        .seen(place, old.fault)
        .seen_all(lost.iter().map(|s| (s.name, s.line)));
    reinstall(case, out, &format!("take {file} away and write the current rule"))
        .command(format!("# after a look into it: sudo rm {}", shell_quote(file)))
}

/// An old rule among those that carry the events, if nothing newer carries them.
fn old_rule(case: &Case<'_>, carriers: &[&Forward]) -> Option<(String, Generation)> {
    let old = |forward: &Forward| {
        let path = super::facts::encode_path(&forward.at.file);
        let file = case.daemon().config.files.get(&path)?.content.as_ref().ok()?;
        let (line, generation) = generations::of_file(&file.0)?;
        Some((format!("{path}:{line}"), generation))
    };
    let all: Option<Vec<_>> = carriers.iter().map(|f| old(f)).collect();
    all?.into_iter().next()
}

/// Files of `install` that somebody changed since.
pub fn changed_files(case: &Case<'_>) -> Vec<(String, &'static str)> {
    case.changed_files().map(|f| (f.to_owned(), "was changed since `cefctl install` wrote it")).collect()
}

fn reinstall(case: &Case<'_>, out: Outcome, what: &str) -> Outcome {
    let Some(foreign) = second_forward(case) else {
        return out.advise(what).command(case.install_command()).fixable();
    };
    let at = foreign.at.to_string();
    out.advise(format!("take the rule at {at} out, which is not ours to change, then {what}"))
        .command(format!("sudoedit {}", shell_quote(&foreign.at.file.to_string_lossy())))
        .command(case.install_command())
}

/// Somebody's own rule for the agent's port: `install` would add a second one, and does not.
fn second_forward(case: &Case<'_>) -> Option<Forward> {
    if case.target.agent == AgentKind::Ama {
        return None;
    }
    let port = Some(case.target.agent_port);
    let to_agent = |f: &Forward| f.enabled && f.loopback && f.number == port && !is_ours(case, &f.at.file);
    case.config().ok()?.forwards().into_iter().find(to_agent)
}

/// Written by `install`, or by the original's installer, whose files `install` replaces.
fn is_ours(case: &Case<'_>, file: &Path) -> bool {
    leftovers::FILES.contains(&encode_path(file).as_str()) || case.is_own(file)
}

/// As evidence.
fn seen(forward: &Forward) -> (String, String) {
    (forward.at.to_string(), forward.describe())
}

fn names(samples: &[&Sample]) -> String {
    words::list(&samples.iter().map(|s| s.name).collect::<Vec<_>>())
}

pub fn target(case: &Case<'_>) -> Judged {
    over_tcp(case)?;
    let flow = case.flow()?;
    let t = case.target;
    needs_a_rule(flow)?;
    let carriers = flow.carriers();
    let wanted = format!("127.0.0.1:{} over tcp", t.agent_port);
    if let Some(forward) = carriers.iter().find(|f| flow::is_right(t, f)) {
        return Ok(Outcome::pass(format!("{} forwards to {wanted}, where the agent is", forward.at))
            .seen("agent's port", format!("{}, by {}", t.agent_port, t.agent_port_from)));
    }
    let places = carriers.iter().map(|f| seen(f));
    let out = match carriers.first() {
        Some(f) => Outcome::fail(format!("{} {}, but the agent takes events on {wanted}", f.at, f.describe())),
        None => Outcome::fail("no rule forwards to the agent"),
    };
    let out = out
        .seen_all(places)
        .seen("agent's port", format!("{}, by {}", t.agent_port, t.agent_port_from))
        .seen_all(changed_files(case));
    Ok(reinstall(
        case,
        out,
        "let the rule forward to the agent's port; if the agent is to be on another one, name it with --agent-port",
    ))
}

/// Nothing can be said of a rule that is not there.
pub fn needs_a_rule(flow: &Flow<'_>) -> Result<(), NotJudged> {
    match flow.carriers().is_empty() {
        true => Err(NotJudged::Blocked("forward.rule", "no rule forwards security events".into())),
        false => Ok(()),
    }
}

pub fn duplicate(case: &Case<'_>) -> Judged {
    over_tcp(case)?;
    let flow = case.flow()?;
    needs_a_rule(flow)?;
    let mut twice = Vec::new();
    for way in flow.entries.iter().flat_map(|e| &e.ways).filter(|w| w.sample.fate == Fate::Forwarded) {
        let sure = way.visits.iter().filter(|v| !v.maybe);
        let here: Vec<&Forward> = sure
            .filter_map(|v| flow.forwards.iter().find(|f| f.id == v.forward))
            .filter(|f| flow.agent_forward(f.id).is_some() || flow::is_plain_syslog(f))
            .collect();
        if here.len() > 1 && here.len() > twice.len() {
            twice = here;
        }
    }
    if twice.is_empty() {
        return Ok(Outcome::pass("each event goes to the agent once"));
    }
    let plain = twice.iter().any(|f| flow::is_plain_syslog(f));
    let text = match plain {
        true => "security events also go to the agent's plain syslog: they are stored twice".to_owned(),
        false => format!("security events are forwarded by {} to the agent", words::count(twice.len(), "rule")),
    };
    let out = Outcome::warn(text).seen_all(twice.iter().map(|f| seen(f)));
    let what = "keep one of the rules, or let the first one stop";
    // Only what was ours to begin with goes away by writing it anew.
    let mends =
        |f: &&Forward| case.is_changed(&f.at.file) || leftovers::FILES.iter().any(|l| Path::new(l) == &*f.at.file);
    if twice.iter().any(mends) {
        return Ok(reinstall(case, out, what));
    }
    let other = twice.iter().find(|f| !is_ours(case, &f.at.file)).map(|f| f.at.file.to_string_lossy().into_owned());
    let out = out.advise(what);
    Ok(match other {
        Some(file) => out.command(format!("sudoedit {}", shell_quote(&file))).command(case.load_command()),
        None => out,
    })
}

pub fn local_copy(case: &Case<'_>) -> Judged {
    over_tcp(case)?;
    let flow = case.flow()?;
    needs_a_rule(flow)?;
    if flow.entries.iter().all(|e| e.listener.is_none()) {
        return Err(NotJudged::Skip(format!("nothing is configured to listen on port {}", case.target.port)));
    }
    // Where else an event goes matters once it comes to the rule.
    let arriving: Vec<&Way> =
        flow.entries.iter().flat_map(|e| &e.ways).filter(|w| flow.arrives(w) == Some(true)).collect();
    if arriving.is_empty() {
        return Err(NotJudged::Blocked("listen.reachable", "no event comes to the rule".into()));
    }
    let mut written: Vec<(String, String)> = Vec::new();
    let mut places: Vec<&Location> = Vec::new();
    for way in arriving.into_iter().filter(|w| w.sample.fate == Fate::Forwarded) {
        for (at, file) in &way.files {
            let place = (at.to_string(), format!("writes to {file}"));
            if !written.contains(&place) {
                written.push(place);
                places.push(at);
            }
        }
    }
    let Some((_, first)) = written.first() else {
        return Ok(Outcome::pass("security events are in no local file"));
    };
    let kept = case.facts.receipt.as_ref().ok().and_then(|r| r.as_ref()?.local_copy.clone());
    if kept.as_deref() == Some("keep") {
        return Ok(
            Outcome::pass("security events are also in local files, as asked for at installation").seen_all(written)
        );
    }
    let growth = case.facts.logs.growth.map(|g| ("logs grow by".to_owned(), format!("{} an hour", words::bytes(g))));
    let out = Outcome::warn(format!("every security event is also written to local files: a rule {first}"))
        .seen_all(written)
        .seen_all(growth);
    if let Some(place) = places.iter().find(|at| !is_behind_ours(case, &at.file)) {
        return Ok(out
            .advise(format!("take security events out of the rule at {place}: it stands before ours, or beside it"))
            .command(format!("sudoedit {}", shell_quote(&place.file.to_string_lossy())))
            .command(case.load_command()));
    }
    Ok(out
        .advise("let the rule stop after forwarding")
        .command(format!("{} --local-copy drop", case.install_command()))
        .fix(Fix::DropLocalCopy))
}

/// Would a `stop` in our file keep events from a rule of that one? Drop-ins are read in the order of their names, the
/// stock rules after them. Paths of syslog-ng stand side by side.
fn is_behind_ours(case: &Case<'_>, file: &Path) -> bool {
    if is_ours(case, file) {
        return true;
    }
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    let own = receipt.and_then(|r| {
        r.files.iter().map(|f| decode_path(&f.path)).find(|p| p.to_string_lossy().ends_with("cefctl.conf"))
    });
    let own = own.unwrap_or_else(|| PathBuf::from("/etc/rsyslog.d/10-cefctl.conf"));
    let drop_in = file.parent() == own.parent();
    case.target.daemon == Daemon::Rsyslog && (!drop_in || file.file_name() > own.file_name())
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
