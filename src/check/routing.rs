//! Judgements on what happens between a listener and the rule: which of two listeners gets the traffic, whether it comes
//! to the rule from there.

use super::case::Case;
use super::flow::{Entry, Flow};
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::{Asked, Double, Listener, Way, Why};
use super::ports;
use super::samples::{Fate, Sample};
use super::target::Daemon;
use super::words;
use crate::agent::AgentKind;
use crate::host::proc_net::Transport;

pub fn duplicate(case: &Case<'_>) -> Judged {
    let flow = case.flow()?;
    let all = &flow.listeners;
    let mut doubles = flow.config.doubles(all);
    // What happens on the port devices send to comes first.
    doubles.sort_by_key(|d| d.number != Some(case.target.port));
    let Some(double) = doubles.first() else { return taken_away(case, flow) };
    let (Some(winner), Some(loser)) = (all.get(double.winner), all.get(double.loser)) else {
        return Err("the listeners changed while they were judged".to_owned().into());
    };
    let port = format!("{}/{}", double.transport.word(), double.port);
    let out = match double.refused {
        true => Outcome::fail(format!(
            "{port} has two listeners, at {} and at {}: the daemon does not start with them",
            winner.at, loser.at
        )),
        false => {
            let text = format!("{port} has two listeners; the one at {} gets the traffic", winner.at);
            let on_port = double.number == Some(case.target.port);
            let same = winner.leads_to == loser.leads_to;
            let text = if same { format!("{text}, which leads where the other one does") } else { text };
            match on_port && !same && flow.reaches(loser) && !flow.reaches(winner) {
                true => Outcome::fail(format!("{text}, and from there nothing comes to the forward rule")),
                false => Outcome::warn(text),
            }
        }
    };
    let both = doubles.iter().flat_map(|d| [d.winner.min(d.loser), d.winner.max(d.loser)]).filter_map(|i| all.get(i));
    let advice = match double.refused {
        true => "remove one of the two listeners before the daemon is restarted",
        false if winner.leads_to == loser.leads_to => "remove one of the two listeners, then restart the daemon",
        false => "remove one of the two listeners, or bind both to the same ruleset; then restart the daemon",
    };
    let main = std::path::Path::new(&case.daemon().main_file);
    let in_main = [winner, loser].iter().all(|l| &*l.at.file == main) && case.target.daemon == Daemon::Rsyslog;
    let told = in_main
        .then_some(("cef_installer.py", "appends such lines once more where a remark stands behind the first ones"));
    Ok(out.seen_all(both.map(show)).seen_all(told).advise(advice).command(case.load_command()))
}

/// A listener on one address takes the datagrams for that address away from the one on all addresses (facts 5.6).
fn taken_away(case: &Case<'_>, flow: &Flow<'_>) -> Judged {
    let all = ports::listeners(&flow.listeners, Transport::Udp, case.target.port);
    let wide = all.iter().find(|l| l.asked.is_wide());
    let special = all.iter().find(|l| matches!(l.asked, Asked::Ip(ip) if !ip.is_loopback() && !ip.is_unspecified()));
    match (wide, special) {
        (Some(wide), Some(special)) if flow.reaches(wide) && !flow.reaches(special) => Ok(Outcome::warn(format!(
            "what is sent to {} goes to the listener at {}, and from there nothing comes to the forward rule",
            special.address.as_ref().map(|a| a.to_string()).unwrap_or_default(),
            special.at
        ))
        .seen_all([wide, special].map(|l| show(l)))
        .advise("let devices send to another address of this box, or give both listeners the same way to the rule")),
        _ => Ok(Outcome::pass("every port and address has one listener")),
    }
}

fn show(listener: &Listener) -> (String, String) {
    (listener.at.to_string(), listener.shown.clone())
}

pub fn reachable(case: &Case<'_>) -> Judged {
    let flow = case.flow()?;
    if flow.to_agent().next().is_none() {
        return Err(NotJudged::Blocked("forward.rule", "there is no rule to come to".into()));
    }
    if flow.matched(Fate::Forwarded).is_empty() && flow.unsure(Fate::Forwarded).is_empty() {
        return Err(NotJudged::Blocked("forward.rule", "the rule's filter matches no security event".into()));
    }
    if flow.entries.iter().all(|e| e.listener.is_none()) {
        return Err(NotJudged::Skip(format!("nothing is configured to listen on port {}", case.target.port)));
    }
    let on_port = |d: &Double| d.refused && d.number == Some(case.target.port);
    if flow.config.doubles(&flow.listeners).iter().any(on_port) {
        return Err(NotJudged::Blocked("listen.duplicate", "two listeners want one port".into()));
    }
    let wanted = flow.matched(Fate::Forwarded);
    let mut unsure = Vec::new();
    let mut cut_off: Vec<(&Entry, Vec<&Way>)> = Vec::new();
    for entry in &flow.entries {
        let ways = || entry.ways.iter().filter(|w| wanted.contains(&w.sample));
        let lost: Vec<&Way> = ways().filter(|w| flow.arrives(w) == Some(false)).collect();
        if !lost.is_empty() {
            cut_off.push((entry, lost));
        }
        unsure.extend(ways().filter(|w| flow.arrives(w).is_none()).map(|w| w.sample.name));
    }
    if !cut_off.is_empty() {
        return Ok(not_reached(case, flow, &cut_off, wanted.len()));
    }
    if !unsure.is_empty() {
        unsure.dedup();
        let why = format!(
            "whether {} comes to the rule hangs on something only the running daemon knows",
            words::list(&unsure)
        );
        return Err(NotJudged::Unknown(why));
    }
    let from: Vec<String> = flow.entries.iter().filter_map(|e| e.listener.as_ref()).map(port_of).collect();
    let diversions = places(flow, &wanted, &|s, l, rules| flow.config.diversions(s, l, rules));
    if let Some((place, _)) = diversions.first() {
        let (what, advice) = match case.target.daemon {
            Daemon::Rsyslog | Daemon::None => {
                ("rule", "let the forward rule stand before that one, or take the stop away")
            }
            Daemon::SyslogNg => ("log path", "let the rule stand before that log path, or take its flags(final) away"),
        };
        return Ok(Outcome::warn(format!(
            "what some devices send to {} does not come to the forward rule: the {what} at {place} takes it for good",
            words::list(&from)
        ))
        .seen_all(diversions.clone())
        .advise(advice)
        .command(case.install_command())
        .fixable_if(case.target.agent != AgentKind::Ama));
    }
    let drops = places(flow, &wanted, &|s, l, rules| flow.config.drops(s, l, rules));
    if let Some((place, _)) = drops.first() {
        return Ok(Outcome::warn(format!(
            "what some devices send to {} is dropped before it comes to the forward rule, at {place}",
            words::list(&from)
        ))
        .seen_all(drops.clone())
        .advise("if those devices are to be heard, take that log path out, or narrow its filter; then load it")
        .command(case.load_command()));
    }
    Ok(Outcome::pass(format!("what arrives at {} comes to the forward rule", words::list(&from))))
}

/// A question about a sample, a listener and the forwards to the agent.
type Question<'a> = &'a dyn Fn(&Sample, &Listener, &[usize]) -> Vec<(String, String)>;

/// Places that keep the events of some devices from the rule, though those of the samples come to it.
fn places(flow: &Flow<'_>, wanted: &[&'static Sample], ask: Question<'_>) -> Vec<(String, String)> {
    let rules: Vec<usize> = flow.to_agent().map(|f| f.id).collect();
    let listeners = || flow.entries.iter().filter_map(|e| e.listener.as_ref());
    let mut places: Vec<(String, String)> = Vec::new();
    for found in wanted.iter().flat_map(|s| listeners().flat_map(|l| ask(s, l, &rules))) {
        if !places.contains(&found) {
            places.push(found);
        }
    }
    places
}

fn port_of(listener: &Listener) -> String {
    format!("{}/{}", listener.transport.word(), listener.port)
}

fn not_reached(case: &Case<'_>, flow: &Flow<'_>, cut_off: &[(&Entry, Vec<&Way>)], all: usize) -> Outcome {
    let from: Vec<String> = cut_off.iter().filter_map(|(e, _)| e.listener.as_ref()).map(port_of).collect();
    let lost: Vec<&Way> = cut_off.iter().max_by_key(|(_, l)| l.len()).map(|(_, l)| l.clone()).unwrap_or_default();
    let names: Vec<&str> = lost.iter().map(|w| w.sample.name).collect();
    let what = if names.len() == all { "what arrives".to_owned() } else { words::list(&names) };
    let reasons: Vec<Why> = cut_off.iter().map(|(e, l)| reason(flow, e, l)).collect();
    let why = reasons.first().map(|why| why.text.clone()).unwrap_or_default();
    let listeners = cut_off.iter().filter_map(|(e, _)| e.listener.as_ref()).map(show);
    // Where the rule is the Azure Monitor Agent's own, nothing of ours can stand before what ends events there.
    let beyond = case.target.agent == AgentKind::Ama && reasons.iter().any(|why| why.stopped);
    let mut places: Vec<(String, String)> = reasons.into_iter().filter_map(|why| why.place).collect();
    places.dedup();
    let rules = flow.carriers().into_iter().map(|f| (f.at.to_string(), f.describe()));
    Outcome::fail(format!("{what} on {} does not come to the forward rule: {why}", words::list(&from)))
        .seen_all(listeners)
        .seen_all(places)
        .seen_all(rules)
        .seen_all(lost.iter().take(2).map(|w| (w.sample.name, w.sample.line)))
        .advise("let the listener's events come to the rule, and the rule stand before what takes them away")
        .command(case.install_command())
        .fixable_if(!beyond)
}

/// Why the first lost sample does not come to the rule whose filter matches it, and the place that is to blame.
fn reason(flow: &Flow<'_>, entry: &Entry, lost: &[&Way]) -> Why {
    let nothing = || Why { text: format!("it runs through {} only", entry.runs_through), stopped: false, place: None };
    let (Some(listener), Some(way)) = (&entry.listener, lost.first()) else { return nothing() };
    let mut reasons =
        flow.to_agent().filter_map(|f| flow.config.why_not(way.sample, listener, f.id)).collect::<Vec<_>>();
    // What takes the event away on its way to a rule says more than a rule it has no way to.
    let at = reasons.iter().position(|why| why.stopped).unwrap_or(0);
    if reasons.is_empty() { nothing() } else { reasons.swap_remove(at) }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
