//! The machine: files under a root, commands, clock and network. The only module that touches any of them, so that
//! everything else is plain data and can be tested on a fake root with scripted command replies. Decides nothing.
#![allow(clippy::disallowed_methods)] // this module is what the bans protect

pub mod clock;
pub mod names;
pub mod net;
pub mod root;
pub mod runner;

use std::sync::Arc;

pub use clock::{Clock, SystemClock};
pub use net::{Net, SystemNet};
pub use root::{FileKind, FsSpace, Meta, Root};
pub use runner::{Cmd, Exit, Output, Run, RunError, SystemRunner};

/// Handles on one machine: the real one, or a fake root with scripted replies.
#[derive(Clone)]
pub struct Host {
    pub root: Root,
    pub runner: Arc<dyn Run>,
    pub clock: Arc<dyn Clock>,
    pub net: Arc<dyn Net>,
}

impl Host {
    /// The machine this process runs on, with `root` in place of `/` for files.
    pub fn system(root: Root) -> Self {
        Host {
            root,
            runner: Arc::new(SystemRunner::default()),
            clock: Arc::new(SystemClock::default()),
            net: Arc::new(SystemNet),
        }
    }
}
