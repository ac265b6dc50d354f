//! Syslog, CEF and ASA messages: build, parse, send, capture.

pub mod base64;
