//! Syslog, CEF and ASA messages: build, parse, send, capture.
