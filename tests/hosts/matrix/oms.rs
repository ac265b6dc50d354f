//! The Log Analytics agent: stopped, half configured, unreadable, damaged.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![fault("1.30", "the agent was stopped", "agent.running", "systemctl stop omsagent-$WS").fixed()]
}
