//! The Azure Monitor Agent: what its watcher leaves, what its rules say, what its program has.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![fault("1.30", "the agent was stopped", "ama.running", "systemctl stop azuremonitoragent")]
}

pub fn socket_faults() -> Vec<Fault> {
    vec![fault("1.30", "the agent was stopped", "ama.running", "systemctl stop azuremonitoragent")]
}
