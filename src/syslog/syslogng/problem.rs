//! What is wrong with a configuration, as data. The daemon refuses a configuration with an error as a whole; we read
//! on, so that everything that is wrong can be said at once.

use serde::{Deserialize, Serialize};

pub use crate::syslog::problem::Severity;

/// What a problem is about, for callers that act on some kinds only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The daemon's grammar does not allow this.
    Syntax,
    /// A file to include is missing, unreadable or included in a circle.
    Include,
    /// An include pattern matches nothing.
    IncludeEmpty,
    /// A drop-in folder beside the main file is not included.
    DropInFolder,
    /// `@version` is missing, misplaced, older or newer than the program.
    Version,
    /// A backtick reference to something that is not defined.
    Define,
    /// A source, destination, filter, parser or rewrite rule that is named but not defined.
    ReferenceMissing,
    /// A template that is named but not defined: its name is sent instead of the event.
    TemplateMissing,
    /// A name given twice.
    NameTwice,
    /// Two listeners on one port and address.
    ListenerTwice,
    /// Two drivers that keep their state under one name (same file, same target, same socket).
    StateTwice,
    /// Something defined but never used.
    Unused,
    /// A log path that no event reaches.
    Unreachable,
    /// An option that this version does not know or has renamed.
    Setting,
    /// A driver or plugin that is not installed.
    ModuleMissing,
    /// A filter that does not match what it looks like.
    Filter,
    /// Limits too small for a collector.
    Limits,
    /// Old forms that still work.
    Obsolete,
}

pub type Problem = crate::syslog::problem::Problem<Topic>;
