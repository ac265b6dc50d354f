//! syslog-ng 3.5 to 4.x: [`lex`] splits files as the daemon does.

pub mod candidate;
pub mod effective;
pub mod event;
pub mod filter;
#[cfg(test)]
mod layouts;
pub mod lex;
pub mod lint;
pub mod pattern;
pub mod problem;
pub mod reader;
pub mod render;
pub mod template;
pub mod trace;
pub mod tree;
pub mod validate;
pub mod version;

pub use effective::Effective;
pub use problem::{Problem, Severity, Topic};
