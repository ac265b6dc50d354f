//! How a run ended, in a form that the command line turns into words and an exit code, and how errors are told: what
//! was tried, what was seen, and the hints last.

use std::fmt;

use crate::host::Interrupt;

/// Exit codes of every subcommand (docs: exit codes).
pub mod exit {
    pub const GOOD: u8 = 0;
    /// A change failed and everything was taken back; or nothing was begun.
    pub const FAILED: u8 = 1;
    /// Something could not be taken back: a person is needed.
    pub const INCOMPLETE: u8 = 4;
    pub const INTERRUPTED: u8 = 130;
}

/// How applying a plan ended.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The plan was empty.
    NothingToDo,
    Done {
        /// Number of steps taken.
        steps: usize,
        /// What the user should know: kept copies, folders that were not empty.
        notes: Vec<String>,
    },
    /// It failed, and the machine is as it was before.
    RolledBack(Miss),
    /// It failed, and so did taking it back.
    Incomplete(Miss),
}

/// A run that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Miss {
    /// Why, with hints.
    pub cause: String,
    /// A signal asked for the end.
    pub interrupted: bool,
    /// What was taken back, in order.
    pub undone: Vec<String>,
    pub notes: Vec<String>,
    /// What could not be taken back, and what a person must do about it.
    pub failures: Vec<String>,
}

impl Outcome {
    pub fn exit_code(&self) -> u8 {
        match self {
            Outcome::NothingToDo | Outcome::Done { .. } => exit::GOOD,
            Outcome::RolledBack(miss) if miss.interrupted => exit::INTERRUPTED,
            Outcome::RolledBack(_) => exit::FAILED,
            Outcome::Incomplete(_) => exit::INCOMPLETE,
        }
    }

    pub(super) fn of(miss: Miss) -> Self {
        if miss.failures.is_empty() { Outcome::RolledBack(miss) } else { Outcome::Incomplete(miss) }
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("another cefctl is changing this machine{}\nhint: wait until it has finished", pid_note(.0))]
    Busy(Option<u32>),
    /// The journal of an unfinished run cannot be used.
    #[error("{0}")]
    Stuck(String),
    /// An unfinished run could not be taken back.
    #[error("an earlier run did not finish and could not be taken back:\n{}", .0.failures.join("\n"))]
    Incomplete(Miss),
    #[error("{0}")]
    Other(String),
}

fn pid_note(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StartError {
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Stuck(_) | StartError::Incomplete(_) => exit::INCOMPLETE,
            StartError::Busy(_) | StartError::Other(_) => exit::FAILED,
        }
    }
}

/// A signal came in between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}
impl std::error::Error for Interrupted {}

impl Interrupted {
    /// An error if `interrupt` is set; for waits inside a proof as well.
    pub fn check(interrupt: &Interrupt) -> Result<(), Interrupted> {
        if interrupt.is_set() { Err(Interrupted) } else { Ok(()) }
    }
}

/// An error and its causes on one line, followed by the hints of all of them; where a cause is a system error that has
/// a usual reason, a hint for it.
pub fn render(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (hint, plain): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.trim_start().starts_with("hint:"));
        let plain = plain.join("\n");
        // An error that shows its own source repeats it.
        if !said.iter().any(|s| s.ends_with(&plain)) {
            said.push(plain);
        }
        hints.extend(hint.into_iter().map(|h| h.trim().to_owned()));
    }
    let code = error.chain().find_map(|e| e.downcast_ref::<std::io::Error>()).and_then(std::io::Error::raw_os_error);
    if hints.is_empty() {
        hints.extend(code.and_then(usual_reason).map(|reason| format!("hint: {reason}")));
    }
    hints.dedup();
    let mut out = said.join(": ");
    for hint in hints {
        out.push('\n');
        out.push_str(&hint);
    }
    out
}

fn usual_reason(code: i32) -> Option<&'static str> {
    match code {
        nix::libc::ENOSPC => Some("the file system is full: df -h and df -i show which"),
        nix::libc::EDQUOT => Some("the disk quota is used up"),
        nix::libc::EROFS => Some("the file system is mounted read-only"),
        nix::libc::EPERM => Some("the file or its folder may be immutable: lsattr -d shows it, chattr -i ends it"),
        nix::libc::EACCES => Some("run it as root; if it was, a security module refused: see the audit log"),
        nix::libc::EBUSY => Some("the file is a mount point of its own, as files given to a container are"),
        nix::libc::ELOOP => Some("its symbolic links go in a circle"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn hints_come_last_and_nothing_twice() {
        let error = anyhow!("no such thing\nhint: make it").context("cannot do it\nhint: try again");
        assert_eq!(render(&error), "cannot do it: no such thing\nhint: try again\nhint: make it");
        let io = Err::<(), _>(std::io::Error::from_raw_os_error(nix::libc::EROFS)).context("cannot write /x");
        assert!(render(&io.unwrap_err()).ends_with("\nhint: the file system is mounted read-only"));
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let miss = |interrupted, failures: &[&str]| Miss {
            interrupted,
            failures: failures.iter().map(|f| (*f).to_owned()).collect(),
            ..Miss::default()
        };
        assert_eq!(Outcome::NothingToDo.exit_code(), 0);
        assert_eq!(Outcome::of(miss(false, &[])).exit_code(), 1);
        assert_eq!(Outcome::of(miss(true, &[])).exit_code(), 130);
        assert_eq!(Outcome::of(miss(true, &["x"])).exit_code(), 4);
        assert_eq!(StartError::Busy(Some(7)).exit_code(), 1);
        assert!(StartError::Busy(Some(7)).to_string().contains("process 7"));
        assert_eq!(StartError::Stuck(String::new()).exit_code(), 4);
    }
}
