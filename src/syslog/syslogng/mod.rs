//! syslog-ng 3.5 to 4.x: [`lex`] splits files as the daemon does.

pub mod lex;
pub mod problem;

pub use problem::{Problem, Severity, Topic};
