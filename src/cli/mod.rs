//! The command line: what was asked for, handed to the module that does it, and the exit code.

pub mod agent;
pub mod args;
mod collect;
pub mod exit;
mod explain;
mod fix;
mod generate;
pub mod install;
mod lint;
mod listen;
mod reports;
mod send;
mod show;
mod troubleshoot;
mod uninstall;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::host::{Host, Root, handover};
use crate::ui::Ui;
use args::{Cli, Command};
use exit::Exit;

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().collect();
    let handed = handover::take(&mut args);
    let args = old_spellings(args);
    let mut cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => {
            let usage = e.use_stderr();
            // a closed terminal is no reason to fail
            let _ = e.print();
            return if usage { Exit::Usage.into() } else { Exit::Good.into() };
        }
    };
    let ui = Ui::new(cli.common.color, cli.common.quiet, cli.common.verbose);
    if let Command::Install(install) = &mut cli.command {
        keep_secrets(&ui, &mut install.onboarding, &args, &handed);
    }
    match run(cli, &ui) {
        Ok(exit) => exit.into(),
        Err(error) => {
            ui.error(&error);
            exit::code(&error).into()
        }
    }
}

fn run(cli: Cli, ui: &Ui) -> anyhow::Result<Exit> {
    let host = Host::system(Root::at(&cli.common.root));
    match cli.command {
        Command::Completions { shell } => generate::completions(ui, shell),
        Command::Generate { what, name } => generate::print(ui, what, name.as_deref()),
        Command::Send(args) => send::run(&host, ui, &args),
        Command::Listen(args) => listen::run(&host, ui, &args),
        Command::Install(args) => install::run(&host, ui, &args),
        Command::Uninstall(args) => uninstall::run(&host, ui, &args),
        Command::Troubleshoot(args) => troubleshoot::run(&host, ui, &args),
        Command::Collect(args) => collect::run(&host, ui, &args),
        Command::Lint(args) => lint::run(&host, ui, &args),
        Command::Explain(args) => explain::run(ui, &args),
    }
}

/// Key and proxy login out of sight of `ps`, and out of cores.
fn keep_secrets(ui: &Ui, onboarding: &mut agent::args::AgentArgs, args: &[OsString], handed: &handover::Secrets) {
    if handed.is_empty()
        && let Some(exposed) = onboarding.exposed(args)
    {
        let error = handover::start_again(&exposed.args, &exposed.unset, &exposed.secrets);
        ui.warn(&format!("the key or proxy login given to this command stays visible to `ps`: {error}"));
        onboarding.fill(&exposed.secrets);
    }
    onboarding.fill(handed);
    if onboarding.key.is_some() || onboarding.key_file.is_some() || onboarding.proxy.is_some() {
        handover::no_cores();
    }
}

/// Spellings of the scripts this tool replaces, which people paste from old notes.
fn old_spellings(args: Vec<OsString>) -> Vec<OsString> {
    let new = |arg: OsString| match arg.to_str() {
        Some("-help") => "--help".into(),
        Some("-FF") => "--cloud=usgov".into(),
        _ => arg,
    };
    args.into_iter().map(new).collect()
}
