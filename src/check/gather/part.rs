//! A part of the look at the machine, in a thread of its own that nobody has to wait for: where a file system or a device
//! hangs in the kernel, no time limit of ours ends the call. What is late is noted, and the rest is judged.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::check::late::{Late, Part};
use crate::host::Host;

/// The whole look: until when, and what did not end in time.
pub struct Looking<'a> {
    host: &'a Host,
    /// On the monotonic clock; `None`: for as long as it takes.
    end: Option<Duration>,
    start: Duration,
    pub late: Vec<Late>,
}

/// A part under way.
pub struct Begun<T> {
    part: Part,
    result: Receiver<T>,
}

impl<'a> Looking<'a> {
    pub fn new(host: &'a Host, limit: Option<Duration>) -> Self {
        let start = host.clock.monotonic();
        Looking { host, end: limit.map(|l| start + l), start, late: Vec::new() }
    }

    /// Begins a part.
    pub fn begin<T: Send + 'static>(&self, part: Part, look: impl FnOnce(&Host) -> T + Send + 'static) -> Begun<T> {
        let (tell, result) = mpsc::channel();
        let host = self.host.clone();
        // Without a thread nothing comes, and the part is late.
        let _ = thread::Builder::new().name(part.name().into()).spawn(move || tell.send(look(&host)));
        Begun { part, result }
    }

    /// What a part found, waiting for it if need be; what it would be without having been looked at, if it is late.
    pub fn end<T: Default>(&mut self, begun: Begun<T>) -> T {
        self.end_or(begun, T::default)
    }

    pub fn end_or<T>(&mut self, begun: Begun<T>, otherwise: impl FnOnce() -> T) -> T {
        let wait = self.end.map(|end| end.saturating_sub(self.host.clock.monotonic()));
        self.wait(begun, wait, otherwise)
    }

    /// The same for something that others wait for: it gets a third of the time.
    pub fn end_early<T>(&mut self, begun: Begun<T>, otherwise: impl FnOnce() -> T) -> T {
        let wait = self.end.map(|end| end.saturating_sub(self.host.clock.monotonic()) / 3);
        self.wait(begun, wait, otherwise)
    }

    fn wait<T>(&mut self, begun: Begun<T>, limit: Option<Duration>, otherwise: impl FnOnce() -> T) -> T {
        let found = match limit {
            Some(limit) => begun.result.recv_timeout(limit),
            None => begun.result.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        found.unwrap_or_else(|why| {
            let waited = self.host.clock.monotonic().saturating_sub(self.start);
            let why = match why {
                RecvTimeoutError::Timeout => format!("did not end within {:.0} s", waited.as_secs_f64().max(1.0)),
                RecvTimeoutError::Disconnected => "ended early, which is a fault of cefctl".into(),
            };
            self.late.push(Late { part: begun.part, why, running: self.host.runner.waiting() });
            otherwise()
        })
    }
}
