//! Changes to the machine: planned as data, described before, journalled during, taken back on any miss. Knows no
//! daemon's syntax.

pub mod block;
pub mod build;
pub mod change;
pub mod describe;
pub mod diff;
pub mod encode;
pub mod journal;
pub mod receipt;
pub mod state;
pub mod store;
