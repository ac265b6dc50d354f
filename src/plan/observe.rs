//! What happens during a run, told to whoever wants to show it. The plan itself prints nothing.

use std::time::Duration;

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A run that had been killed is being dealt with first: taken back, or (`finishing`) put in order.
    Recovering {
        /// RFC 3339, UTC.
        started: &'a str,
        goal: &'a str,
        finishing: bool,
    },
    Recovered,
    /// Step `n` (from 1) of `of` begins.
    Step {
        n: usize,
        of: usize,
        sentence: &'a str,
    },
    StepDone {
        n: usize,
        of: usize,
        took: Duration,
    },
    /// All steps are done; now it is proven that they do what they shall.
    Proving,
    RollingBack {
        cause: &'a str,
    },
    Undone(&'a str),
    UndoFailed(&'a str),
    Note(&'a str),
}

pub trait Observer {
    fn event(&mut self, event: &Event<'_>);
}

/// Nobody looks.
impl Observer for () {
    fn event(&mut self, _: &Event<'_>) {}
}

impl<F: FnMut(&Event<'_>)> Observer for F {
    fn event(&mut self, event: &Event<'_>) {
        self(event);
    }
}
