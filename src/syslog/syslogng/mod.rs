//! syslog-ng 3.5 to 4.x. From text to meaning: [`lex`] splits a file where the daemon's scanner does, [`reader`] puts
//! includes, defines and blocks in, [`tree`] puts brackets together, [`effective`] says what the whole amounts to.
//! On that stand [`lint`] (what keeps the daemon from starting though its own check is content), [`trace`] (the way of
//! one event), [`render`] (our drop-in), [`collector`] (what to add to a box, and where), and [`candidate`] with [`validate`] (the daemon's check of a change before it
//! is made). docs/syslog-ng.md has the reasons and the figures.

pub mod candidate;
pub mod collector;
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
pub mod repair;
pub mod template;
pub mod trace;
pub mod tree;
pub mod validate;
pub mod version;

pub use effective::Effective;
pub use problem::{Problem, Severity, Topic};
