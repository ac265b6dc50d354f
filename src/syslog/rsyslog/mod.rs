//! rsyslog, legacy and RainerScript: [`lex`] and [`parse`] follow the daemon's own grammar (both dialects mixed, errors
//! treated as the daemon treats them), [`effective`] says what the whole configuration amounts to, with file and line.

pub mod ast;
pub mod effective;
pub mod filter;
pub mod lex;
pub mod lines;
pub mod names;
pub mod parse;
pub mod problem;
pub mod stage;
mod stream;

pub use effective::Effective;
pub use problem::{Problem, Severity, Topic};
