//! Changes to the machine: planned as data, described before, journalled during, taken back on any miss. Knows no
//! daemon's syntax.
//!
//! A command that changes something begins a [`Session`] (lock, recovery), asks it for a [`Plan`] made of [`Change`]s,
//! shows it, and applies it with a proof; the [`Outcome`] says how it ended. `--dry-run` uses [`plan_install`] and
//! [`plan_uninstall`] without a session.

mod apply;
pub mod block;
pub mod build;
pub mod change;
pub mod describe;
pub mod diff;
pub mod encode;
pub mod journal;
pub mod observe;
pub mod outcome;
pub mod receipt;
mod rollback;
pub mod session;
pub mod state;
pub mod store;
mod undo;
pub mod uninstall;

pub use build::{Op, Plan, Step};
pub use change::{Change, EditBlock, Place, ServiceChange, When, WriteFile};
pub use describe::Described;
pub use observe::{Event, Observer};
pub use outcome::{Interrupted, Miss, Outcome, StartError, render};
pub use receipt::Receipt;
pub use session::{Goal, Session, peek, unfinished};
pub(crate) use undo::copy_path;
pub use uninstall::{plan_install, plan_uninstall};

#[cfg(test)]
mod tests;
