//! What the agents' own logs say: known lines, counted and explained, the gravest first.

use super::{the_ama, the_oms, workspaces};
use crate::agent::accept::{self, Verdict};
use crate::agent::logs::{self, Found, Kind, Weight};
use crate::check::agent_facts::LogState;
use crate::check::case::Case;
use crate::check::facts::Fact;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;
use crate::host::proc_net::Transport;

/// What was said this long ago, in seconds, is so still.
const NOW: i64 = 3600;
/// A log beyond this has no rotation, or the agent's trace is on.
const HUGE: u64 = 1 << 30;

pub fn oms(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let states: Vec<&Fact<LogState>> = workspaces(oms)?.iter().filter_map(|w| w.log.as_ref()).collect();
    if states.is_empty() {
        return Err(NotJudged::Skip("the agent has written no log yet".into()));
    }
    judge(case, &states, logs::OMS)
}

pub fn ama(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    let trace = trace_option(ama.environment.get("MDSD_OPTIONS").map(String::as_str).unwrap_or_default());
    let states: Vec<&Fact<LogState>> = ama.logs.iter().collect();
    let outcome = if states.is_empty() { None } else { Some(judge(case, &states, logs::AMA)?) };
    if let Some(bad) = outcome.as_ref().filter(|o| o.status != crate::report::Status::Pass) {
        return Ok(bad.clone());
    }
    if let Some(large) = ama.log_sizes.iter().find(|f| f.size >= HUGE) {
        return Ok(Outcome::warn(format!("a log of the agent takes {}", words::bytes(large.size)))
            .seen_all(ama.log_sizes.iter().take(4).map(|f| (f.path.clone(), words::bytes(f.size))))
            .seen_all(trace.as_ref().map(|t| ("/etc/default/azuremonitoragent", format!("MDSD_OPTIONS has {t}"))))
            .advise("empty it, and see that logrotate runs (/etc/logrotate.d/azuremonitoragent)")
            .command(format!("sudo truncate -s 0 {}", crate::report::shell_quote(&large.path))));
    }
    if let Some(trace) = trace {
        return Ok(Outcome::warn("the agent's trace is switched on: its logs grow very fast")
            .seen("/etc/default/azuremonitoragent", format!("MDSD_OPTIONS has {trace}"))
            .advise(format!("take {trace} out of MDSD_OPTIONS, then restart the agent"))
            .command(super::restart(crate::agent::AgentKind::Ama, None)));
    }
    outcome.ok_or_else(|| NotJudged::Skip("the agent has written no error log".into()))
}

/// `-T 0x2002`
fn trace_option(options: &str) -> Option<String> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let at = words.iter().position(|w| w.starts_with("-T"))?;
    let joined = words.get(at).filter(|w| w.len() > 2).map(|w| (*w).to_owned());
    joined.or_else(|| Some(format!("-T {}", words.get(at + 1)?)))
}

/// One kind of line with where it was found.
struct Said<'a> {
    log: &'a LogState,
    found: &'a Found,
    kind: &'static Kind,
    /// It is so now, not only earlier today.
    now: bool,
}

fn judge(case: &Case<'_>, states: &[&Fact<LogState>], kinds: &'static [Kind]) -> Judged {
    let mut said = Vec::new();
    let mut read = Vec::new();
    for state in states {
        let log = state.as_ref()?;
        read.push(log);
        for found in &log.found {
            let Some(kind) = logs::kind(kinds, &found.kind) else { continue };
            let now = found.last.unwrap_or(log.mtime) >= case.facts.taken - NOW;
            let said_now = Said { log, found, kind, now };
            if !is_over(case, &said_now) {
                said.push(said_now);
            }
        }
    }
    said.sort_by_key(|s| (rank(s), !s.now));
    let Some(first) = said.first() else {
        let names: Vec<&str> = read.iter().map(|l| name(l)).collect();
        return Ok(Outcome::pass(format!("{} has no line that says why events would not arrive", words::list(&names))));
    };
    let text = format!(
        "{}: {} ({} in {})",
        name(first.log),
        first.kind.meaning,
        words::count(first.found.count, "line"),
        window(case, first.log)
    );
    let out = if first.kind.weight == Weight::Stops && first.now { Outcome::fail(text) } else { Outcome::warn(text) };
    let reason = reason(first);
    let lines = said.iter().take(6).map(|s| {
        let ago = s.found.last.map(|t| format!(", last {} ago", super::span(case.facts.taken - t))).unwrap_or_default();
        (format!("{} ({}{ago})", s.log.path, words::count(s.found.count, "line")), s.found.line.clone())
    });
    let also = said.iter().skip(1).take(5).map(|s| (format!("also in {}", name(s.log)), s.kind.meaning));
    let out = out
        .seen_all(lines)
        .seen_all(reason.map(|r| ("why it was dropped", r)))
        .seen_all(also)
        .advise(first.kind.hint)
        .command(format!("sudo tail -n 50 {}", crate::report::shell_quote(&first.log.path)));
    match first.kind.id {
        "dns" | "no-connection" | "tls" => super::unless_cut_off(case, out),
        _ => Ok(out),
    }
}

fn name(log: &LogState) -> &str {
    log.path.rsplit('/').next().unwrap_or(&log.path)
}

fn window(case: &Case<'_>, log: &LogState) -> String {
    format!("the last {}", super::span(case.facts.taken - log.since))
}

/// What stops everything now, then lost events, then what is over.
fn rank(said: &Said<'_>) -> u8 {
    match (said.kind.weight, said.now) {
        (Weight::Stops, true) => 0,
        (Weight::Drops, _) => 1,
        (Weight::Stops, false) => 2,
        (Weight::Hurts, _) => 3,
    }
}

/// A fault that what is seen elsewhere contradicts by now, or a short one that mended itself.
fn is_over(case: &Case<'_>, said: &Said<'_>) -> bool {
    match said.kind.id {
        "port-taken" => {
            let open = |n: &crate::check::facts::NetFacts| {
                n.open(Transport::Tcp, case.target.agent_port).any(|s| {
                    s.owners
                        .iter()
                        .filter_map(|p| case.facts.process(*p))
                        .any(|p| super::is_agent(case.target.agent, p))
                })
            };
            case.facts.net.as_ref().is_ok_and(open)
        }
        _ => said.kind.weight == Weight::Hurts && !said.now,
    }
}

/// What is wrong with the last event that the agent dropped, by the agent's own rule.
fn reason(said: &Said<'_>) -> Option<&'static str> {
    if said.kind.id != "pattern-not-match" {
        return None;
    }
    let (_, text) = said.found.line.split_once("pattern not match")?;
    let text = text.trim_start_matches(':').trim().trim_matches('"');
    let line = format!("<134>{text}");
    match accept::judge(line.as_bytes()) {
        Verdict::Dropped(refusal) => Some(refusal.reason.text()),
        Verdict::Accepted(_) | Verdict::Damaged(..) => None,
    }
}
