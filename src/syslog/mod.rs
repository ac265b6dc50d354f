//! The configuration languages of the syslog daemons, pure: parse, effective configuration, lint, render. Reads no
//! file itself; what it needs comes through [`ConfigSource`].

pub mod collector;
pub mod glob;
pub mod problem;
pub mod rsyslog;
pub(crate) mod shapes;
pub mod source;
pub mod syslogng;
pub mod text;

pub use source::{ConfigSource, MapSource, PathKind, SourceError};
pub use text::{Location, Text};
