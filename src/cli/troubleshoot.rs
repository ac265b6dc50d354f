//! `cefctl troubleshoot`: look once, judge every hop, say which one is broken first. Changes nothing.

use anyhow::Context;

use super::args::{AgentChoice, DaemonChoice, Protocol, TroubleshootArgs};
use super::exit::{Exit, usage};
use super::reports::{self, Files};
use crate::agent::AgentKind;
use crate::check;
use crate::check::select::Selection;
use crate::check::target::{Daemon, TargetOptions};
use crate::host::proc_net::Transport;
use crate::host::{Host, Interrupt};
use crate::report::TextOptions;
use crate::ui::Ui;

pub fn run(host: &Host, ui: &Ui, args: &TroubleshootArgs) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.only, &args.skip)
        .map_err(|e| usage(e.to_string(), "`cefctl explain` lists all checks"))?;
    let files = Files::new(host, &args.report, args.report_format)?;
    let interrupt = Interrupt::install().context("watching for Ctrl-C")?;
    let progress = ui.progress("looking at every hop");
    let options = check::Options { target: options(args), selection, no_probe: args.no_probe };
    let report = check::troubleshoot(host, &interrupt, &options);
    drop(progress);
    let look =
        TextOptions { color: ui.out_color(), unicode: ui.unicode(), width: ui.width().min(100), short: args.short };
    ui.result(&reports::page(&report, args.output, &look, args.deny_warnings)?)?;
    files.write(host, ui, &report, args.deny_warnings)?;
    if interrupt.is_set() {
        return Ok(Exit::Interrupted);
    }
    Ok(match report.exit_code(args.deny_warnings) {
        0 => Exit::Good,
        3 => Exit::Warnings,
        _ => Exit::Problems,
    })
}

/// What the command line says about the box.
fn options(args: &TroubleshootArgs) -> TargetOptions {
    let target = &args.target;
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
        source: args.source,
        protocols: target.protocol.as_ref().map(|list| {
            list.iter()
                .map(|p| match p {
                    Protocol::Udp => Transport::Udp,
                    Protocol::Tcp => Transport::Tcp,
                })
                .collect()
        }),
        ..TargetOptions::default()
    }
}
