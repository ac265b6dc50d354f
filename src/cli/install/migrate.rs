//! From the Log Analytics agent to the Azure Monitor Agent without a moment in which no agent gets the events: for a while
//! both do, and only when the new one was seen to get them does the forward to the old one go.

use anyhow::Context;

use super::{proof, propose, validate};
use crate::agent::AgentKind;
use crate::cli::agent::Setup;
use crate::cli::args::{InstallArgs, LocalCopy};
use crate::cli::show;
use crate::host::{Host, Interrupt};
use crate::plan::{Goal, Outcome, Receipt, Session};
use crate::ui::Ui;

/// The port of the Log Analytics agent to which we have events of this box go now, where they are to go to the other one.
pub fn from(receipt: Option<&Receipt>, setup: &Setup) -> Option<u16> {
    let options = &receipt?.options;
    let migrates = options["agent"] == "oms" && setup.target.kind == AgentKind::Ama && setup.unproven.is_none();
    migrates.then(|| options["agent_port"].as_u64().and_then(|p| u16::try_from(p).ok())).flatten()
}

/// Has events go to both agents (`old` and `new` are their ports), and sees them get there. What the queue to the old
/// one still holds when its forward goes, the new one has had as well, so nothing is lost with it.
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
) -> anyhow::Result<()> {
    // Events that also go through the daemon's other rules pass the new agent's own.
    let both = InstallArgs { local_copy: LocalCopy::Keep, ..args.clone() };
    let setup = &mut Setup::bridge(host, old);
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
    let goal = Goal::Install { options: proposal.options() };
    let outcome = session.apply(&plan, &goal, &mut show::observe(ui, &progress, args.output), &mut prove);
    if matches!(outcome, Outcome::NothingToDo) {
        prove()?;
    }
    drop(progress);
    show::finish(outcome)?;
    ui.say("events go to both agents now, and both were seen to get them");
    Ok(())
}
