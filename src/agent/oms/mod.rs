//! The Log Analytics agent ("OMS"), retired on 31 August 2024: who may have it, how it is brought up without its key on
//! any command line, what must be true afterwards, its input for security events. Pure, except where a folder is read.
//! Facts sections 1.1 to 1.15.

pub mod admin;
pub mod bundle;
pub mod codes;
pub mod fluentd;
pub mod input;
pub mod leftovers;
pub mod log;
pub mod onboard;
pub mod paths;
pub mod plugins;
pub mod preflight;
pub mod workspace;

pub use workspace::{WorkspaceId, WorkspaceKey};

/// Said once, when this agent is chosen. Dates: facts 1.1.
pub const RETIRED: &str = "the Log Analytics agent was retired on 31 August 2024, and since 1 February 2025 the service \
                           takes its uploads away step by step; its successor is the Azure Monitor Agent (`cefctl install --agent ama`)";
