//! The agents: where they live, what state they are in, what they accept. Never touches the syslog daemon.

pub mod accept;
pub mod ama;
pub mod cloud;
pub mod detect;
pub mod download;
pub mod endpoints;
pub mod logs;
pub mod oms;
pub mod proxy;
pub mod way_out;

pub use cloud::Cloud;
pub use detect::{AgentFacts, AgentKind, AgentTarget, OMS_PORT};
