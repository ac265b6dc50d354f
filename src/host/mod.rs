//! The machine: files under a root, commands, clock and network. The only module that touches any of them, so that
//! everything else is plain data and can be tested on a fake root with scripted command replies. Decides nothing.
#![allow(clippy::disallowed_methods)] // this module is what the bans protect

pub mod clock;
pub mod dial;
pub mod facts;
#[cfg(any(test, feature = "failpoints"))]
pub mod fake;
#[cfg(any(test, feature = "failpoints"))]
pub mod fake_systemd;
pub mod fault;
pub mod handover;
pub mod held;
pub mod http;
pub mod inbox;
pub mod input;
pub mod interfaces;
pub mod interrupt;
pub mod memfile;
pub mod names;
pub mod net;
pub mod packet;
pub mod proc_diag;
pub mod proc_files;
pub mod proc_loss;
pub mod proc_mount;
pub mod proc_net;
pub mod proc_process;
pub mod root;
pub mod root_glob;
pub mod root_lock;
pub mod runner;
mod runner_pipes;
pub mod secret;
pub mod selinuxfs;
pub mod sockdiag;
pub mod subnet;
pub mod tls;
pub mod writer;
pub mod writer_attrs;

use std::sync::Arc;

pub use clock::{Clock, SystemClock};
pub use interrupt::Interrupt;
pub use net::{Net, SystemNet};
pub use packet::{Packet, PacketSource};
pub use root::{FileKind, FsSpace, Meta, Root};
pub use root_lock::{LockAttempt, LockFile};
pub use runner::{Cmd, EndingRunner, Exit, Output, Run, RunError, SystemRunner, Traced, TracingRunner, WaitingRunner};
pub use secret::{Secret, Stars};
pub use sockdiag::TcpSocket;
pub use writer::Written;
pub use writer_attrs::{Attrs, Mtime, Xattr};

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
        let runner: Arc<dyn Run> = Arc::new(SystemRunner::default());
        #[cfg(feature = "failpoints")]
        let runner: Arc<dyn Run> = Arc::new(fault::FaultyRunner(runner));
        Host { root, runner, clock: Arc::new(SystemClock::default()), net: Arc::new(SystemNet) }
    }
}
