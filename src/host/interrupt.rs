//! Ctrl-C, `kill` and a closed terminal as a flag that the work looks at between its steps, so that an interrupted run
//! takes its changes back instead of dying among them. A second signal only sets the flag again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Has somebody asked us to stop? Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on INT, TERM and HUP set the flag instead of ending the process.
    pub fn install() -> io::Result<Self> {
        let flag = Interrupt::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, flag.0.clone())?;
        }
        Ok(flag)
    }

    /// As if a signal had come.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
