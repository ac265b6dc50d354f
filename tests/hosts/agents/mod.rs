//! The agents on booted hosts, with stand-ins for what cannot be had here: tests/stand_ins.

mod ama;
mod lab;
mod oms;

use crate::Case;

pub fn cases() -> Vec<Case> {
    oms::cases().into_iter().chain(ama::cases()).collect()
}
