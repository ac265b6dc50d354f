//! The agents: where they live, what state they are in, what they accept. Never touches the syslog daemon.

pub mod accept;
