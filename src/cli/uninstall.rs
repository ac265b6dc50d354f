//! `cefctl uninstall`: takes back what the receipt says we did, and proves that the daemon runs without us.

use anyhow::{Context, bail};

use super::args::{Format, UninstallArgs};
use super::exit::{Exit, usage};
use super::{agent, install, show};
use crate::host::{Host, Interrupt};
use crate::plan::{Goal, Outcome, Plan, Session, peek, plan_uninstall};
use crate::platform::service_act::Services;
use crate::ui::Ui;

pub fn run(host: &Host, ui: &Ui, args: &UninstallArgs) -> anyhow::Result<Exit> {
    if args.dry_run {
        return dry_run(host, ui, args);
    }
    if !host.root.is_live() {
        return Err(usage("changes are made on the running machine only", "add --dry-run to see the plan"));
    }
    if crate::host::facts::euid() != 0 {
        return Err(usage("uninstalling needs root", "run it with sudo, or add --dry-run to see what it would do"));
    }
    let interrupt = Interrupt::install().context("watching for Ctrl-C")?;
    let progress = ui.progress("looking at this machine");
    let mut session = {
        let mut observer = show::observe(ui, &progress, args.output);
        Session::begin(host, &interrupt, &mut observer).map_err(show::not_begun)?
    };
    install::sweep(host);
    let adopted = install::adopt(host, &mut session);
    let leftovers = if args.agent { agent::remove::leftover_changes(host) } else { Vec::new() };
    let purge = args.agent && agent::remove::is_there(host);
    let mut plan = install::removal::fit(host, session.plan_uninstall_with(args.packages, leftovers)?)?;
    plan.notes.extend(adopted);
    if !session.has_receipt() && plan.is_empty() && !purge {
        drop(progress);
        return nothing(ui, args);
    }
    drop(progress);
    if purge && args.output == Format::Text {
        ui.result("last: remove the Log Analytics agent and its data with its own tool\n")?;
    }
    if args.output == Format::Text {
        ui.result(&show::plan_text(ui, &plan, &[], !args.yes || ui.verbose()))?;
    }
    if (!plan.is_empty() || purge) && !install::consent(ui, args.yes)? {
        ui.say("nothing was changed");
        return Ok(Exit::Problems);
    }
    let progress = ui.progress("taking back");
    // A daemon that goes with its package runs no more.
    let brought = session.receipt().is_some_and(|r| r.packages().next().is_some());
    let (leaves, stays) = (args.packages && brought, !args.packages && brought);
    let units = if leaves { Vec::new() } else { running_units(&session) };
    let queue = (!leaves).then(|| install::queue_left::Queue::look(host, session.receipt())).flatten();
    let outcome = session.apply(&plan, &Goal::Uninstall, &mut show::observe(ui, &progress, args.output), &mut || {
        still_running(host, &units)
    });
    let done = matches!(outcome, Outcome::Done { .. });
    let left = queue.filter(|_| done).and_then(|q| q.left(host));
    drop(progress);
    if args.output == Format::Json {
        ui.result(&show::json(&plan, left.as_slice(), true, Some(&outcome), None))?;
    } else if let Outcome::Done { steps, .. } = &outcome {
        let end = match stays {
            true => "what install changed is taken back, the package it installed stays",
            false => "the box is as it was before install",
        };
        ui.result(&format!("done: {steps} steps; {end}\n"))?;
        left.iter().for_each(|note| ui.warn(note));
    }
    let exit = show::finish(outcome)?;
    if purge {
        let progress = ui.progress("removing the Log Analytics agent");
        agent::remove::purge(host, None).context("the Log Analytics agent is still there")?;
        drop(progress);
        ui.say("the Log Analytics agent is removed");
    }
    if args.agent && agent::remove::has_ama(host) {
        ui.say("the Azure Monitor Agent stays: Azure removes it (take its extension off this machine in the portal)");
    }
    Ok(exit)
}

/// Services that ran before we came and shall run after we are gone.
fn running_units(session: &Session<'_>) -> Vec<String> {
    let services = session.receipt().map(|r| r.services.as_slice()).unwrap_or_default();
    services.iter().filter(|s| s.active).map(|s| s.unit.clone()).collect()
}

fn still_running(host: &Host, units: &[String]) -> anyhow::Result<()> {
    let services = Services::detect(host);
    for unit in units {
        if !services.state(unit)?.is_active() {
            bail!("{unit} is not running with its old configuration");
        }
    }
    Ok(())
}

fn dry_run(host: &Host, ui: &Ui, args: &UninstallArgs) -> anyhow::Result<Exit> {
    let Some(receipt) = peek(host)?.or_else(|| install::adopt::found(host)) else { return nothing(ui, args) };
    let plan = install::removal::fit(host, plan_uninstall(host, &receipt, args.packages)?)?;
    match args.output {
        Format::Json => ui.result(&show::json(&plan, &[], false, None, None))?,
        Format::Text => {
            ui.result(&show::plan_text(ui, &plan, &[], true))?;
            ui.say("this was a dry run: nothing was changed");
        }
    }
    Ok(Exit::Good)
}

fn nothing(ui: &Ui, args: &UninstallArgs) -> anyhow::Result<Exit> {
    match args.output {
        Format::Json => ui.result(&show::json(&Plan::default(), &[], false, Some(&Outcome::NothingToDo), None))?,
        Format::Text => ui.result("nothing to take back: there is no receipt of an install on this box\n")?,
    }
    Ok(Exit::Good)
}
