//! What waits in the agents' buffers: how much, how old, how near to the limit at which the oldest is thrown away.

use std::collections::BTreeMap;

use super::{the_ama, the_oms, workspaces};
use crate::agent::ama::paths as ama_paths;
use crate::check::agent_facts::{AmaState, Chunk, OmsWorkspace};
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;
use crate::report::Status;

/// Chunks per kind of buffer in the shipped configuration (facts 1.14), by the beginning of their names.
const SHIPPED: [(&str, u64); 3] = [("out_oms_common", 10), ("out_oms_blob", 10), ("out_oms_diag", 50)];
/// A chunk is uploaded after a minute at most; what is older waits for something, in seconds.
const WAITING: i64 = 600;
/// The agent tries for half an hour, then throws a chunk away.
const STUCK: i64 = 1800;

pub fn oms(case: &Case<'_>) -> Judged {
    super::unless_cut_off(case, oms_waits(case)?)
}

pub fn ama(case: &Case<'_>) -> Judged {
    super::unless_cut_off(case, ama_waits(case)?)
}

/// Do events wait for so long, or are they so many, that some get lost? Whatever the reason.
pub fn is_stuck(case: &Case<'_>) -> bool {
    [oms_waits(case), ama_waits(case)].into_iter().any(|j| j.is_ok_and(|o| o.status == Status::Fail))
}

fn oms_waits(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let all = workspaces(oms)?;
    let mut seen = Vec::new();
    let mut worst: Option<(bool, String, String)> = None;
    let mut any = false;
    for workspace in all {
        let Some(buffers) = &workspace.buffers else { continue };
        any = true;
        for (kind, chunks) in grouped(workspace, buffers.as_ref()?) {
            let bytes: u64 = chunks.iter().map(|c| c.size).sum();
            let age = chunks.iter().map(|c| case.facts.taken - c.mtime).max().unwrap_or_default();
            let limit = limit(workspace, &kind);
            let full = limit.is_some_and(|l| chunks.len() as u64 >= l);
            let of = limit.map(|l| format!(" of {l}")).unwrap_or_default();
            let text = format!(
                "{}{of}, {}, the oldest from {} ago",
                words::count(chunks.len(), "chunk"),
                words::bytes(bytes),
                super::span(age)
            );
            let place = format!("/var/opt/microsoft/omsagent/{}/state/{kind}*", workspace.id);
            let line = match () {
                // A diagnosis of the agent's own is no event.
                _ if kind.contains("diag") => None,
                _ if full => {
                    Some((true, format!("the agent's buffer {kind} is full: the oldest events are thrown away")))
                }
                _ if age > STUCK => Some((
                    true,
                    format!("events wait in the agent's buffer {kind} for {}: uploads fail", super::span(age)),
                )),
                _ if age > WAITING => {
                    Some((false, format!("events wait in the agent's buffer {kind} for {}", super::span(age))))
                }
                () => None,
            };
            if let Some((bad, text)) = line
                && worst.as_ref().is_none_or(|(w, ..)| bad && !*w)
            {
                worst = Some((bad, text, workspace.id.clone()));
            }
            seen.push((place, text));
        }
    }
    if !any {
        return Err(NotJudged::Skip("the agent has no folder for buffers yet".into()));
    }
    let Some((bad, text, workspace)) = worst else {
        let total: u64 = all.iter().filter_map(|w| w.buffers.as_ref()?.as_ref().ok()).flatten().map(|c| c.size).sum();
        return Ok(
            Outcome::pass(format!("the agent uploads what it takes: {} wait", words::bytes(total))).seen_all(seen)
        );
    };
    let out = if bad { Outcome::fail(text) } else { Outcome::warn(text) };
    Ok(out
        .seen_all(seen)
        .advise("the agent's log says why uploads fail; look at the clock, the network and the certificate")
        .command(format!("sudo tail -n 50 /var/opt/microsoft/omsagent/{workspace}/log/omsagent.log")))
}

/// Chunks by buffer: the part of the name up to the key, `out_oms_common`. Empty ones are files for what comes next.
fn grouped<'a>(workspace: &OmsWorkspace, chunks: &'a [Chunk]) -> BTreeMap<String, Vec<&'a Chunk>> {
    let mut found: BTreeMap<String, Vec<&Chunk>> = BTreeMap::new();
    let starts: Vec<String> = prefixes(workspace).map(|(p, _)| p).collect();
    for chunk in chunks.iter().filter(|c| c.size > 0) {
        let known = starts.iter().filter(|p| chunk.name.starts_with(p.as_str())).max_by_key(|p| p.len()).cloned();
        let kind = known.unwrap_or_else(|| chunk.name.split('.').next().unwrap_or_default().to_owned());
        found.entry(kind).or_default().push(chunk);
    }
    found
}

/// Beginnings of chunk names with their limits, as the agent's configuration has them.
fn prefixes(workspace: &OmsWorkspace) -> impl Iterator<Item = (String, Option<u64>)> {
    let files = workspace.main.iter().chain(&workspace.inputs);
    files.flat_map(|f| &f.outputs).filter_map(|o| {
        let name = o.path.rsplit('/').next()?;
        let prefix = name.split('*').next().unwrap_or(name).trim_end_matches(".buffer");
        (!prefix.is_empty()).then(|| (prefix.to_owned(), o.limit))
    })
}

fn limit(workspace: &OmsWorkspace, kind: &str) -> Option<u64> {
    let shipped = SHIPPED.iter().find(|(name, _)| kind.starts_with(name)).map(|(_, n)| *n);
    prefixes(workspace).find(|(p, _)| p == kind).and_then(|(_, limit)| limit).or(shipped)
}

/// Of the agent's cache, in bytes, where its settings say nothing (facts 3.1).
const QUOTA: u64 = 10_000 << 20;
/// About this much is there on an idle box.
const IDLE: u64 = 1 << 30;

fn ama_waits(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    let Some(events) = &ama.events else {
        return Err(NotJudged::Skip("the agent has no cache yet".into()));
    };
    let folder = events.as_ref()?;
    let quota = quota(ama);
    let age = folder.oldest.map(|t| case.facts.taken - t).unwrap_or_default();
    let text = format!(
        "{}, {} of {}, the oldest from {} ago",
        words::count(usize::try_from(folder.files).unwrap_or(usize::MAX), "file"),
        words::bytes(folder.bytes),
        words::bytes(quota),
        super::span(age)
    );
    let percent = folder.bytes.saturating_mul(100) / quota.max(1);
    let out = match percent {
        95.. => Outcome::fail("the agent's cache is full: the oldest events are thrown away"),
        50.. => Outcome::warn(format!("the agent's cache is {percent} % full: uploads do not keep up")),
        _ if folder.cut_short => {
            Outcome::warn("the agent's cache holds more files than were counted: uploads do not keep up")
        }
        _ if folder.bytes > IDLE && age > 2 * STUCK => Outcome::warn(format!(
            "{} wait in the agent's cache, some for {}",
            words::bytes(folder.bytes),
            super::span(age)
        )),
        _ => {
            return Ok(Outcome::pass(format!("the agent's cache holds {}", words::bytes(folder.bytes)))
                .seen(ama_paths::EVENTS, text));
        }
    };
    Ok(out
        .seen(ama_paths::EVENTS, text)
        .advise("mdsd.err and mdsd.qos say why uploads fail; look at the clock, the network and the agent's identity")
        .command("sudo tail -n 50 /var/opt/microsoft/azuremonitoragent/log/mdsd.err"))
}

fn quota(ama: &AmaState) -> u64 {
    ama.own.rules().filter_map(|r| r.disk_quota).max().map_or(QUOTA, |mb| mb << 20)
}
