//! The command line: what was asked for, handed to the module that does it, and the exit code.

pub mod args;
pub mod exit;
mod explain;
mod generate;
pub mod install;
mod listen;
mod reports;
mod send;
mod show;
mod troubleshoot;
mod uninstall;

use std::process::ExitCode;

use clap::Parser;

use crate::host::{Host, Root};
use crate::ui::Ui;
use args::{Cli, Command};
use exit::Exit;

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(old_spellings(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(e) => {
            let usage = e.use_stderr();
            // a closed terminal is no reason to fail
            let _ = e.print();
            return if usage { Exit::Usage.into() } else { Exit::Good.into() };
        }
    };
    let ui = Ui::new(cli.common.color, cli.common.quiet, cli.common.verbose);
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
        Command::Explain(args) => explain::run(ui, &args),
    }
}

/// Spellings of the scripts this tool replaces, which people paste from old notes.
fn old_spellings(args: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    args.into_iter().map(|a| if a == "-help" { "--help".into() } else { a }).collect()
}
