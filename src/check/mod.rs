//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.

pub mod facts;
pub mod gather;
