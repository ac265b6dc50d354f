//! What is wrong with a configuration, as data: the daemon goes on after an error, so do we.

use serde::{Deserialize, Serialize};

pub use crate::syslog::problem::Severity;

/// What a problem is about, for callers that act on some kinds only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// A byte the daemon cannot read here; it skips it.
    Character,
    /// The daemon stops reading its whole configuration here.
    Syntax,
    /// A file or folder to include is missing, unreadable, included in a circle.
    Include,
    /// An include pattern matches nothing.
    IncludeEmpty,
    /// A drop-in folder beside the main file is not included.
    DropInFolder,
    /// A construct the daemon no longer has (BSD blocks).
    Unsupported,
    /// A parameter or directive that is set twice, unknown or malformed.
    Setting,
    /// A module loaded twice.
    ModuleTwice,
    /// A module used but not loaded.
    ModuleMissing,
    /// A module loaded for listening, without a listener.
    ModuleIdle,
    /// A ruleset named but not defined.
    RulesetMissing,
    /// A ruleset that a file opens and leaves open for the files behind it.
    RulesetOpen,
    /// A template named but not defined (yet).
    TemplateMissing,
    /// A name given twice.
    NameTwice,
    /// Two queues with one file name.
    QueueFileTwice,
    /// Two listeners on one port and address.
    ListenerTwice,
    /// No action at all: the daemon does not start.
    NoAction,
    /// Statements no event reaches.
    Unreachable,
    /// A function that does not exist or is called wrongly.
    Function,
    /// Old forms that still work.
    Obsolete,
    /// A filter or an action that is not understood; the daemon leaves it out.
    Statement,
}

pub type Problem = crate::syslog::problem::Problem<Topic>;
