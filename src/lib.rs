//! cefctl turns a Linux box into a CEF/ASA collector for Microsoft Sentinel, proves that it works, and finds out
//! why it does not.
//!
//! Who may call whom: `cli → {plan, check, report, message} → {syslog, agent, platform} → host`. `host` is the only
//! module that touches the machine, `ui` the only one that prints or asks; everything between is plain data and pure
//! functions.

pub mod agent;
pub mod bundle;
pub mod check;
pub mod cli;
pub mod host;
pub mod message;
pub mod plan;
pub mod platform;
pub mod report;
pub mod syslog;
pub mod ui;
