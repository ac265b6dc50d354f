//! A part of the look at the machine, in a thread of its own that nobody has to wait for: where a file system or a device
//! hangs in the kernel, no time limit of ours ends the call. What is late is noted, and the rest is judged.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::check::late::{Late, Part};
use crate::host::{EndingRunner, Host};

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
    end: Option<Duration>,
}

impl<'a> Looking<'a> {
    pub fn new(host: &'a Host, limit: Option<Duration>) -> Self {
        let start = host.clock.monotonic();
        Looking { host, end: limit.map(|l| start + l), start, late: Vec::new() }
    }

    /// Begins a part.
    pub fn begin<T: Send + 'static>(&self, part: Part, look: impl FnOnce(&Host) -> T + Send + 'static) -> Begun<T> {
        self.begin_within(part, self.left(), look)
    }

    /// Begins a part that others wait for: it gets a third of the time.
    pub fn begin_early<T: Send + 'static>(
        &self,
        part: Part,
        look: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> Begun<T> {
        self.begin_within(part, self.left().map(|left| left / 3), look)
    }

    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_sub(self.host.clock.monotonic()))
    }

    fn begin_within<T: Send + 'static>(
        &self,
        part: Part,
        limit: Option<Duration>,
        look: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> Begun<T> {
        let (tell, result) = mpsc::channel();
        let now = self.host.clock.monotonic();
        let mut host = self.host.clone();
        // Commands end a little before that, so that one which hangs costs its own answer and not the whole part.
        if let Some(limit) = limit {
            let (inner, clock) = (host.runner.clone(), host.clock.clone());
            host.runner = Arc::new(EndingRunner { inner, clock, end: now + limit - limit / 6 });
        }
        // Without a thread nothing comes, and the part is late.
        let _ = thread::Builder::new().name(part.name().into()).spawn(move || tell.send(look(&host)));
        Begun { part, result, end: limit.map(|limit| now + limit) }
    }

    /// What a part found, waiting for it if need be; what it would be without having been looked at, if it is late.
    pub fn end<T: Default>(&mut self, begun: Begun<T>) -> T {
        self.end_or(begun, T::default)
    }

    pub fn end_or<T>(&mut self, begun: Begun<T>, otherwise: impl FnOnce() -> T) -> T {
        let found = match begun.end.map(|end| end.saturating_sub(self.host.clock.monotonic())) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Root;

    #[test]
    fn what_hangs_or_breaks_is_late_and_the_rest_is_there() {
        let host = Host::system(Root::at("/nowhere"));
        let mut looking = Looking::new(&host, Some(Duration::from_millis(300)));
        // As a file system does that does not answer: nothing ends it.
        let (never, wait) = mpsc::channel::<()>();
        let hangs = looking.begin(Part::Logs, move |_| wait.recv().map_or(1, |()| 2));
        let breaks = looking.begin(Part::Disks, |_| -> u32 { panic!("a mistake") });
        let quick = looking.begin(Part::Clock, |_| 7);
        let start = host.clock.monotonic();
        assert_eq!((looking.end(breaks), looking.end(hangs), looking.end(quick)), (0, 0, 7));
        assert!(host.clock.monotonic() - start < Duration::from_secs(3));
        let late: Vec<_> = looking.late.iter().map(|l| (l.part, l.why.as_str())).collect();
        assert_eq!(late[0].0, Part::Disks);
        assert_eq!(late[1], (Part::Logs, "did not end within 1 s"));
        drop(never);
    }
}
