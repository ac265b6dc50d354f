//! The result of a diagnosis as one model, and its renderers. Pure: what the machine looked like is gathered elsewhere,
//! and where the text goes is `ui`'s business.

pub mod clean;
pub mod hops;
pub mod html;
pub mod json;
pub mod junit;
pub mod model;
pub mod text;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use clean::{clean, clean_bytes, json_safe, shell_quote};
pub use model::{CheckResult, Counts, Evidence, Fix, HostInfo, Remedy, Report, Status, TargetInfo, Tool, Verdict};
pub use text::TextOptions;
