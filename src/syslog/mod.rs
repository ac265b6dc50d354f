//! The configuration languages of the syslog daemons, pure: parse, effective configuration, lint, render. Reads no
//! file itself; what it needs comes through [`ConfigSource`].

pub mod rsyslog;
