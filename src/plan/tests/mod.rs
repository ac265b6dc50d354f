//! The engine as a whole: plans applied to a fake root with a fake systemd, once with a fault and once with a kill at
//! every single point.
#![allow(clippy::disallowed_methods)] // tests make and read their own trees

mod faults;
mod kills;
mod lab;
mod runs;
mod uninstalls;
