//! A finding about a configuration, whichever daemon's: how bad, where, and one sentence. What it can be about is the
//! daemon's own list of topics.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Location;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Works as meant; worth knowing.
    Note,
    /// Works, but not as somebody meant it, or not for long.
    Warning,
    /// Something the configuration asks for does not happen.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem<Topic> {
    pub severity: Severity,
    pub topic: Topic,
    pub at: Option<Location>,
    /// One sentence.
    pub text: String,
}

impl<Topic> Problem<Topic> {
    pub fn error(topic: Topic, at: &Location, text: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, topic, at: Some(at.clone()), text: text.into() }
    }
    pub fn warning(topic: Topic, at: &Location, text: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(topic, at, text) }
    }
    pub fn note(topic: Topic, at: &Location, text: impl Into<String>) -> Self {
        Problem { severity: Severity::Note, ..Problem::error(topic, at, text) }
    }
}

impl<Topic> fmt::Display for Problem<Topic> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
