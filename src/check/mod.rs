//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.

pub mod case;
mod daemon;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod gather;
mod host;
pub mod outcome;
pub mod target;
mod words;
