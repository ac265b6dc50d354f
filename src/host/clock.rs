//! Time as the rest of the program sees it: wall clock for messages and receipts, a monotonic one for limits, and the
//! only place that sleeps, so that tests run on a clock of their own.

use std::time::{Duration, Instant};

pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> jiff::Timestamp;
    /// The zone of local time, for syslog headers.
    fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
    /// Time since an arbitrary fixed point; never goes back.
    fn monotonic(&self) -> Duration;
    fn sleep(&self, time: Duration);
}

/// The machine's own clock.
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
    fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::system()
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
