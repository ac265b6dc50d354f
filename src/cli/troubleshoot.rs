//! `cefctl troubleshoot`: look once, judge every hop, say which one is broken first. Changes nothing.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::args::{AgentChoice, DaemonChoice, Protocol, ReportFormat, TroubleshootArgs};
use super::exit::{Exit, code, usage};
use super::reports::{self, Files};
use crate::agent::AgentKind;
use crate::check::facts::Facts;
use crate::check::select::Selection;
use crate::check::target::{Daemon, Target, TargetOptions};
use crate::check::{self, Progress};
use crate::host::{Host, Interrupt, Run as _, WaitingRunner};
use crate::message::lint::live::Traffic;
use crate::report::{Report, TextOptions};
use crate::ui::Ui;

pub fn run(host: &Host, ui: &Ui, args: &TroubleshootArgs) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.only, &args.skip)
        .map_err(|e| usage(e.to_string(), "`cefctl explain` lists all checks"))?;
    let files = Files::new(host, &args.report, args.report_format)?;
    let interrupt = Interrupt::install().context("watching for Ctrl-C")?;
    let report = match &args.from {
        Some(bundle) => from_bundle(host, bundle, args, &selection)?,
        None => look(host, ui, &interrupt, args, selection.clone()),
    };
    let (report, failed) = match args.fix && !interrupt.is_set() {
        true => mend(host, ui, &interrupt, args, &selection, report)?,
        false => (report, None),
    };
    let look =
        TextOptions { color: ui.out_color(), unicode: ui.unicode(), width: ui.width().min(100), short: args.short };
    // A person has seen it before the repair that was taken back.
    if failed.is_none() || args.output != ReportFormat::Text {
        ui.result(&reports::page(&report, args.output, &look, args.deny_warnings)?)?;
    }
    files.write(host, ui, &report, args.deny_warnings)?;
    if interrupt.is_set() {
        return Ok(Exit::Interrupted);
    }
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(match report.exit_code(args.deny_warnings) {
        0 => Exit::Good,
        3 => Exit::Warnings,
        _ => Exit::Problems,
    })
}

/// Looks at this machine, but not for ever: whatever hangs (a dead network file system, a disk), there is a report.
fn look(host: &Host, ui: &Ui, interrupt: &Interrupt, args: &TroubleshootArgs, selection: Selection) -> Report {
    let progress = ui.progress("looking at every hop");
    let watch = args.watch.map(Duration::from_secs);
    let options = check::Options {
        target: asked(args),
        selection,
        no_probe: args.no_probe,
        watch,
        limit: Some(Duration::from_secs(args.timeout)),
    };
    let runner = Arc::new(WaitingRunner::new(host.runner.clone()));
    let limit = Duration::from_secs(args.timeout) + watch.unwrap_or_default();
    let (tell, told) = mpsc::channel();
    let worker = (Host { runner: runner.clone(), ..host.clone() }, interrupt.clone(), options.clone());
    // Left to itself when the time is up: what hangs in the kernel cannot be ended.
    thread::spawn(move || {
        let (host, interrupt, options) = worker;
        let (_, report) = check::troubleshoot(&host, &interrupt, &options, &mut |progress| {
            let _ = tell.send(match progress {
                Progress::Looked(facts) => Told::Looked(Box::new(facts.clone())),
                Progress::Watching(seen) => Told::Watching(watching(seen)),
            });
        });
        let _ = tell.send(Told::Done(Box::new(report)));
    });
    let end = host.clock.monotonic() + limit;
    let mut facts = None;
    loop {
        match told.recv_timeout(end.saturating_sub(host.clock.monotonic())) {
            Ok(Told::Looked(looked)) => facts = Some(*looked),
            Ok(Told::Watching(text)) => progress.now(&text),
            Ok(Told::Done(report)) => return *report,
            Err(_) => return check::not_in_time(&*host.clock, &options, facts, limit, runner.waiting()),
        }
    }
}

/// Shows what was found, mends, and looks again. Without anything to mend the report stays as it is. A repair that did not
/// work is told beside the report of how the box is now: who reads the report of a program wants one in any case.
///
/// # Errors
/// Nothing was tried, since the run itself was not as it must be.
fn mend(
    host: &Host,
    ui: &Ui,
    interrupt: &Interrupt,
    args: &TroubleshootArgs,
    selection: &Selection,
    found: Report,
) -> anyhow::Result<(Report, Option<anyhow::Error>)> {
    let text = args.output == ReportFormat::Text;
    let ui = if text { ui.clone() } else { ui.aside() };
    if text {
        let style =
            TextOptions { color: ui.out_color(), unicode: ui.unicode(), width: ui.width().min(100), short: true };
        ui.result(&reports::page(&found, args.output, &style, args.deny_warnings)?)?;
    }
    // No second time what devices send.
    let again = TroubleshootArgs { watch: None, ..args.clone() };
    let look_again = || look(host, &ui, interrupt, &again, selection.clone());
    let failed = super::fix::run(host, &ui, interrupt, args, selection, &found, &look_again).err();
    let failed = match failed {
        Some(error) if code(&error) == Exit::Usage => return Err(error),
        failed => failed,
    };
    let now = look_again();
    if text && failed.is_none() {
        ui.result("\nchecked again:\n")?;
    }
    Ok((Report { traffic: found.traffic, ..now }, failed))
}

/// What the worker says.
enum Told {
    Looked(Box<Facts>),
    Watching(String),
    Done(Box<Report>),
}

/// Judges a bundle as the machine it is from was judged. What the command line says beats what was said there.
fn from_bundle(host: &Host, path: &Path, args: &TroubleshootArgs, selection: &Selection) -> anyhow::Result<Report> {
    let start = host.clock.monotonic();
    let recorded = super::collect::read(host, path)?;
    let target = Target::resolve(&asked(args).or(recorded.options), &recorded.facts);
    let checks = check::diagnose(&recorded.facts, &target, selection, &*host.clock);
    let taken = jiff::Timestamp::from_second(recorded.facts.taken).map(|t| t.to_string()).unwrap_or_default();
    let time = host.clock.monotonic().saturating_sub(start);
    Ok(check::report(&recorded.facts, &target, taken, time, checks))
}

/// What was seen so far, on one line.
fn watching(seen: &Traffic) -> String {
    let (messages, senders) = (seen.tally.messages, seen.tally.senders.len());
    format!("watching for {} s: {messages} messages from {senders} senders (Ctrl-C ends it)", seen.milliseconds / 1000)
}

/// All that the command line says to be measured against.
fn asked(args: &TroubleshootArgs) -> TargetOptions {
    TargetOptions {
        source: args.source,
        workspace: args.workspace.clone(),
        cloud: args.cloud.map(|c| c.word().to_owned()),
        ..target_options(&args.target)
    }
}

/// What the command line says about the box.
pub fn target_options(target: &super::args::Target) -> TargetOptions {
    TargetOptions {
        agent: match target.agent {
            AgentChoice::Auto => None,
            AgentChoice::Oms => Some(AgentKind::Oms),
            AgentChoice::Ama => Some(AgentKind::Ama),
            AgentChoice::None => Some(AgentKind::None),
        },
        daemon: match target.daemon {
            DaemonChoice::Auto => None,
            DaemonChoice::Rsyslog => Some(Daemon::Rsyslog),
            DaemonChoice::SyslogNg => Some(Daemon::SyslogNg),
        },
        agent_port: target.agent_port,
        port: target.port,
        tls: target.protocol.iter().flatten().any(|p| *p == Protocol::Tls),
        tls_port: target.tls_port,
        protocols: target.protocol.as_ref().map(|list| list.iter().filter_map(|p| p.plain()).collect()),
        ..TargetOptions::default()
    }
}
