//! How a run ends: the exit codes of docs/exit-codes.md, and errors that know theirs.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, the same for every subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Good = 0,
    /// Problems found, or a change failed and was rolled back.
    Problems = 1,
    /// Usage, missing privilege, not a terminal.
    Usage = 2,
    /// Warnings under `--deny-warnings`.
    Warnings = 3,
    /// A rollback did not finish: a person is needed.
    Stuck = 4,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that ends with a code other than 1. Put into an `anyhow` chain as the outermost error.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What to do about an error; shown on a line of its own. Attach with `.context(hint("…"))` *below* the sentence that
/// says what failed.
pub fn hint(text: impl fmt::Display) -> String {
    format!("hint: {text}")
}

/// An error of usage or privilege, with what to do.
pub fn usage(message: impl fmt::Display, what_to_do: impl fmt::Display) -> anyhow::Error {
    fail(Exit::Usage, message, what_to_do)
}

/// An error that ends with `exit`, with what to do.
pub fn fail(exit: Exit, message: impl fmt::Display, what_to_do: impl fmt::Display) -> anyhow::Error {
    anyhow::Error::msg(hint(what_to_do)).context(Failure { exit, message: message.to_string() })
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Failure>().map_or(Exit::Problems, |f| f.exit)
}
