//! From the Log Analytics agent to the Azure Monitor Agent without a moment in which no agent gets the events: for a while
//! both do, and only when the new one was seen to get them does the forward to the old one go.

use std::time::Duration;

use anyhow::Context;

use super::daemon::Daemon;
use super::{proof, propose, validate};
use crate::agent::AgentKind;
use crate::check::facts::Facts;
use crate::check::gather::{self, Depth};
use crate::check::stats;
use crate::check::target::TargetOptions;
use crate::cli::agent::Setup;
use crate::cli::args::{InstallArgs, LocalCopy};
use crate::cli::show;
use crate::host::{Host, Interrupt};
use crate::plan::{Goal, Outcome, Receipt, Session};
use crate::syslog::rsyslog::render::QUEUE_FILE;
use crate::ui::Ui;

/// Our destinations for the port of an agent, with syslog-ng.
const QUEUE_STEM: &str = "d_cefctl";
/// How long the old agent has for what waits for it, before the new one gets that instead.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the new agent is waited for with what the old one did not take.
const HAND_OVER: Duration = Duration::from_secs(60);

/// The port of the Log Analytics agent to which we have events of this box go now, where they are to go to the other one.
pub fn from(receipt: Option<&Receipt>, setup: &Setup) -> Option<u16> {
    let options = &receipt?.options;
    let migrates = options["agent"] == "oms" && setup.target.kind == AgentKind::Ama && setup.unproven.is_none();
    migrates.then(|| options["agent_port"].as_u64().and_then(|p| u16::try_from(p).ok())).flatten()
}

/// Do events wait in a queue of ours? For rsyslog those on disk count: what is in memory goes there with a restart.
pub fn waits(host: &Host, facts: &Facts, daemon: Daemon) -> bool {
    match daemon {
        Daemon::Rsyslog => facts.rsyslog.spools.iter().any(|s| s.waiting(|stem| stem == QUEUE_FILE) > 0),
        Daemon::SyslogNg => {
            gather::syslog_ng_stats(host, facts).is_ok_and(|text| stats::queued_by(&text.0, QUEUE_STEM) > 0)
        }
    }
}

/// Waits until the old agent has all that waited when it was called; `false`: it has not. What comes meanwhile may still
/// wait: the new one has it as well.
fn caught_up(host: &Host, daemon: Daemon, interrupt: &Interrupt) -> bool {
    if daemon == Daemon::Rsyslog {
        return drained(host, daemon, interrupt, DRAIN);
    }
    let end = host.clock.monotonic() + DRAIN;
    let facts = gather::gather(host, &TargetOptions::default(), Depth::Change, None);
    let mut enough = None;
    loop {
        let Ok(text) = gather::syslog_ng_stats(host, &facts) else { return true };
        let (queued, written) = (stats::queued_by(&text.0, QUEUE_STEM), stats::written_by(&text.0, QUEUE_STEM));
        // a queue: what stood there first is sent first
        if queued == 0 || written >= *enough.get_or_insert(written + queued) {
            return true;
        }
        if interrupt.is_set() || host.clock.monotonic() >= end {
            return false;
        }
        host.clock.sleep(Duration::from_millis(200));
    }
}

/// Waits until nothing waits any more; `false`: it still does.
fn drained(host: &Host, daemon: Daemon, interrupt: &Interrupt, limit: Duration) -> bool {
    let end = host.clock.monotonic() + limit;
    let mut facts = gather::gather(host, &TargetOptions::default(), Depth::Change, None);
    loop {
        if !waits(host, &facts, daemon) {
            return true;
        }
        if interrupt.is_set() || host.clock.monotonic() >= end {
            return false;
        }
        host.clock.sleep(Duration::from_millis(200));
        if daemon == Daemon::Rsyslog {
            gather::queues_again(host, &mut facts);
        }
    }
}

/// The new agent gets what waited for the old one; then the queue goes. It stays while it is not empty, and the next
/// `install` takes it away.
///
/// # Errors
/// The configuration without the queue is not taken; the one with it stays.
pub fn hand_over(
    host: &Host,
    ui: &Ui,
    args: &InstallArgs,
    session: &mut Session<'_>,
    interrupt: &Interrupt,
    setup: &mut Setup,
) -> anyhow::Result<()> {
    let progress = ui.progress("handing over what waited for the Log Analytics agent");
    let mut proposal = propose(host, args, setup, session.receipt())?;
    if !drained(host, proposal.daemon, interrupt, HAND_OVER) {
        drop(progress);
        ui.say(
            "events that waited for the Log Analytics agent are still on their way to the Azure Monitor Agent; run the \
             same command again later to have that queue taken away",
        );
        return Ok(());
    }
    if proposal.wish.hand_over {
        proposal = propose(host, args, setup, session.receipt())?;
    }
    let plan = session.plan_install(proposal.changes.clone())?;
    let mut proof = proof::Proof::prepare(host, interrupt, proposal.expected(setup));
    let goal = Goal::Install { options: proposal.options() };
    let outcome =
        session.apply(&plan, &goal, &mut show::observe(ui, &progress, args.output), &mut || proof.prove().map(|_| ()));
    drop(progress);
    show::finish(outcome)?;
    ui.say("what waited for the Log Analytics agent went to the Azure Monitor Agent");
    Ok(())
}

/// Has events go to both agents (`old` and `new` are their ports), and sees them get there. Did the old one take all that
/// came before? Then what the queue to it still holds when its forward goes, the new one has had as well, and nothing is
/// lost with it.
///
/// # Errors
/// One of them does not get the events; everything is as it was then.
pub fn bridge(
    host: &Host,
    ui: &Ui,
    args: &InstallArgs,
    session: &mut Session<'_>,
    interrupt: &Interrupt,
    (old, new): (u16, u16),
) -> anyhow::Result<bool> {
    // Events that also go through the daemon's other rules pass the new agent's own.
    let both = InstallArgs { local_copy: Some(LocalCopy::Keep), ..args.clone() };
    let setup = &mut Setup::bridge(host, old, new);
    let proposal = propose(host, &both, setup, session.receipt())?;
    let plan = session.plan_install(proposal.changes.clone())?;
    validate::validate(host, &proposal, &plan)?;
    let progress = ui.progress("sending events to both agents");
    let mut to_old = proof::Proof::prepare(host, interrupt, proposal.expected(setup));
    let expected = proof::Expected { agent_port: new, agent_listens: true, ..proposal.expected(setup) };
    let mut to_new = proof::Proof::prepare(host, interrupt, expected);
    let mut prove = || {
        to_old.prove()?;
        to_new.prove().context("the Azure Monitor Agent does not get the events")?;
        Ok(())
    };
    // The copies end with the bridge, also where the rest of the migration fails.
    let mut options = proposal.options();
    options["local_copy"] = args.local_copy.unwrap_or_default().word().into();
    let goal = Goal::Install { options };
    let outcome = session.apply(&plan, &goal, &mut show::observe(ui, &progress, args.output), &mut prove);
    if matches!(outcome, Outcome::NothingToDo) {
        prove()?;
    }
    let emptied = caught_up(host, proposal.daemon, interrupt);
    drop(progress);
    show::finish(outcome)?;
    ui.say("events go to both agents now, and both were seen to get them");
    Ok(emptied)
}
