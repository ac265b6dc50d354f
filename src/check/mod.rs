//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.

mod agent;
pub mod case;
mod config;
mod daemon;
pub mod facts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gather;
mod host;
mod listen;
pub mod outcome;
mod ports;
pub mod target;
mod words;
