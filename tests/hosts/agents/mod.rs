//! The agents on booted hosts, with stand-ins for what cannot be had here: tests/stand_ins.

pub mod ama;
pub mod cloud;
pub mod lab;
mod oms;
mod secrets;

use crate::Case;

pub fn cases() -> Vec<Case> {
    [oms::cases(), secrets::cases(), ama::cases()].into_iter().flatten().collect()
}
