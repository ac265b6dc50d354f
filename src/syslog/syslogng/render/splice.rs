//! Listeners in a source without a name, written in a log path: `log { source { network(…); }; … };`. No other log path
//! can name it, so that one sends to a destination of ours too, right behind the source. The destination is a channel
//! that mends the line and leads on to the agent; the path goes on with the event as it was. Tried on 3.28, 3.38 and 4.8.
//! (A branch of a junction would not do: what ends in it counts as not taken, and the junctions of our parser then try
//! their other branches.)

use super::{Access, Plan, Splice, text};
use crate::syslog::Location;
use crate::syslog::syslogng::effective::{Listener, LogPath, Ref, Source, SourceDriver, SourceKind, Step, StepKind};

/// Where a source without a name stands in its log path: the last of the path's sources, which all come first. None where
/// events of others would be taken along, or where it stands within a branch.
pub(super) fn place(plan: &Plan<'_>, source: &Source) -> Option<Location> {
    let config = plan.config;
    let id = config.sources.iter().position(|s| std::ptr::eq(s, source))?;
    let first = |path: &&LogPath| path.steps.iter().take_while(|s| is_source(s)).any(|s| s.kind == here(id));
    let path = config.logs.iter().find(first)?;
    let leading: Vec<&Step> = path.steps.iter().take_while(|s| is_source(s)).collect();
    let fits = |r: &Ref| *r == Ref::Inline(id) || is_for_devices(plan, r);
    let all = path.sources();
    let alone = all.len() == leading.len() && all.into_iter().all(fits) && !path.flags.catchall;
    leading.last().filter(|_| alone).map(|s| s.at.clone())
}

fn here(id: usize) -> StepKind {
    StepKind::Source(Ref::Inline(id))
}

fn is_source(step: &Step) -> bool {
    matches!(step.kind, StepKind::Source(_))
}

/// A source without a name, too, that has nothing but the ports devices send to.
fn is_for_devices(plan: &Plan<'_>, r: &Ref) -> bool {
    let tls = plan.wanted.tls.as_ref().map(|t| t.port);
    let asked = |l: &Listener| l.port_number().is_some_and(|p| p == plan.wanted.port || Some(p) == tls);
    let listens = |d: &SourceDriver| matches!(&d.kind, SourceKind::Listener(l) if asked(l));
    matches!(r, Ref::Inline(_)) && plan.config.source(r).is_some_and(|s| s.drivers.iter().all(listens))
}

/// The destinations of ours for these sources, one for each way of reading them and each agent: name and content.
pub(super) fn destinations(plan: &Plan<'_>) -> Vec<(String, String)> {
    let stem = &plan.stem;
    let mut known: Vec<Access> = plan.unnamed.iter().map(|(_, access)| *access).collect();
    known.sort();
    known.dedup();
    let of = |access: Access| {
        let made = text::made(stem, access);
        let ends = text::send(plan, plan.receivers(None)).into_iter().enumerate();
        let channel = move |(n, end): (usize, String)| {
            (name(stem, access, n), format!("channel {{{made} parser(p_{stem}); {end} }};"))
        };
        ends.map(channel).collect::<Vec<_>>()
    };
    known.into_iter().flat_map(of).collect()
}

fn name(stem: &str, access: Access, n: usize) -> String {
    let more = if n == 0 { "" } else { "_too" };
    format!("d_{stem}_{}{more}", access.word())
}

pub(super) fn write(plan: &Plan<'_>) -> Vec<Splice> {
    let ends = text::send(plan, plan.receivers(None)).len();
    let of = |(behind, access): &(Location, Access)| {
        let lines = (0..ends).map(|n| format!("destination({});\n", name(&plan.stem, *access, n)));
        Splice { behind: behind.clone(), text: lines.collect() }
    };
    plan.unnamed.iter().map(of).collect()
}
