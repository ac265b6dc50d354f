//! Syslog, CEF and ASA messages: build, parse, send, capture.

pub mod base64;
pub mod build;
pub mod capture;
pub mod cef;
pub mod lint;
pub mod receive;
pub mod send;
pub mod syslog;

pub use build::{find_marker, has_marker, marker};
pub use send::{Framing, Transport};
pub use syslog::{Kind, is_security_event};
