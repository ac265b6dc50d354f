//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.

pub mod case;
mod daemon;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod gather;
mod host;
mod listen;
pub mod outcome;
mod ports;
pub mod target;
mod words;
