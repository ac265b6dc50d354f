//! rsyslog, legacy and RainerScript: [`lex`] and [`parse`] follow the daemon's own grammar (both dialects mixed, errors
//! treated as the daemon treats them), [`effective`] says what the whole configuration amounts to, with file and line.

pub mod anybody;
pub mod ast;
pub mod collector;
pub mod effective;
pub mod eval;
pub mod event;
pub mod filter;
pub mod lex;
pub mod lines;
pub mod lint;
pub mod names;
pub mod parse;
pub mod posix;
pub mod problem;
pub mod query;
pub mod render;
pub mod senders;
pub mod stage;
mod stream;
pub mod summary;
pub mod template;
pub mod trace;
pub mod validate;

pub use effective::Effective;
pub use event::SampleEvent;
pub use problem::{Problem, Severity, Topic};
