//! The drop-in on the distribution's own rsyslogd, over loopback and without root: what devices send goes in at the
//! inputs, what the agent would get is collected and judged by the agent's rule. A missing rsyslogd is a failure.
//!
//! Every daemon has its own folder and ports; nothing outside of them is touched.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // a test starts programs and looks at files itself

mod agent;
#[path = "../support/corpus.rs"]
#[allow(dead_code)] // shared with the suite of whole hosts
mod corpus;
mod device;
mod devices;
#[path = "../support/devices.rs"]
mod devices_file;
mod figures;
mod framing;
#[path = "../support/judged.rs"]
mod judged;
mod outage;
mod placement;
mod rsyslogd;
