//! Syslog, CEF and ASA messages: build, parse, send, capture.

pub mod base64;
pub mod build;
pub mod cef;
pub mod send;
pub mod syslog;

pub use syslog::{Kind, is_security_event};
