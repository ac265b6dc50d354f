//! Takes the agent's place on its port: many connections, split at line feeds as the agent splits them, each line judged
//! as the agent would judge it. The core of `listen`, and of the proof that a forward really arrives.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::syslog::is_security_event;
use crate::agent::accept::{Verdict, judge};
use crate::host::inbox::{Arrival, Connection, Inbox};
use crate::host::{Clock, Interrupt, Net};

/// Bytes of one line that are kept by default. The agent knows no limit.
pub const LINE_CAP: usize = 4 << 20;

/// When to stop; the first of these that comes true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Complete lines.
    pub count: Option<u64>,
    pub time: Option<Duration>,
    /// Bytes of one line; what is longer is reported and not judged.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { count: None, time: None, line: LINE_CAP }
    }
}

/// How a line came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    LineFeed,
    /// Longer than the limit: the bytes are its beginning, the rest is left out.
    TooLong,
    /// The connection ended first: the agent never reads it.
    Unterminated,
}

/// One line that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    pub peer: SocketAddr,
    /// Without the line feed.
    pub bytes: &'a [u8],
    pub end: End,
    /// What the agent would make of a complete line.
    pub verdict: Option<Verdict<'a>>,
}

/// What arrived in all. Keys of the maps are the stable names of reasons, damages, notes and kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub connections: u64,
    /// Bytes read, line feeds included.
    pub bytes: u64,
    pub lines: u64,
    /// Complete records.
    pub accepted: u64,
    /// Records that are not what was sent.
    pub damaged: u64,
    pub dropped: u64,
    pub too_long: u64,
    pub unterminated: u64,
    pub reasons: BTreeMap<&'static str, u64>,
    /// A record can have more than one damage.
    pub damages: BTreeMap<&'static str, u64>,
    pub notes: BTreeMap<&'static str, u64>,
    /// `cef`, `asa`, `ftd`, `other`, by what the lines hold, whatever became of them.
    pub kinds: BTreeMap<&'static str, u64>,
}

impl Totals {
    fn count(&mut self, frame: &Frame<'_>) {
        match frame.end {
            End::LineFeed => {}
            End::TooLong => self.too_long += 1,
            End::Unterminated => self.unterminated += 1,
        }
        let Some(verdict) = &frame.verdict else { return };
        self.lines += 1;
        *self.kinds.entry(is_security_event(frame.bytes).map_or("other", |kind| kind.id())).or_default() += 1;
        match verdict {
            Verdict::Accepted(_) => self.accepted += 1,
            Verdict::Damaged(_, damage) => {
                self.damaged += 1;
                damage.iter().for_each(|d| *self.damages.entry(d.id()).or_default() += 1);
            }
            Verdict::Dropped(refusal) => {
                self.dropped += 1;
                *self.reasons.entry(refusal.reason.id()).or_default() += 1;
            }
        }
        let notes = verdict.record().map(|record| record.notes.as_slice()).unwrap_or_default();
        notes.iter().for_each(|note| *self.notes.entry(note.id()).or_default() += 1);
    }
}

/// Bound, but not yet reading.
pub struct Listener(Inbox);

impl Listener {
    /// Binds all addresses or none.
    pub fn bind(net: &dyn Net, addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let listen = |address: &SocketAddr| net.listen(*address).with_context(|| refused(*address));
        let listeners = addresses.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
        Ok(Listener(Inbox::new(listeners).context("could not set up the listening sockets")?))
    }

    /// Addresses really bound (with the port the kernel chose for 0).
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses()
    }

    /// Reads until a limit is reached, `stop` is set, or `on` breaks off. Complete lines also go to `out`, as they are;
    /// an error of `out` ends the run.
    pub fn run(
        mut self,
        clock: &dyn Clock,
        stop: &Interrupt,
        limits: &Limits,
        out: Option<&mut dyn Write>,
        on: impl FnMut(&Frame<'_>) -> ControlFlow<()>,
    ) -> io::Result<Totals> {
        let flow = ControlFlow::Continue(());
        let mut desk = Desk { limits, out, on, totals: Totals::default(), flow, written: Ok(()) };
        let mut partial: HashMap<u64, Partial> = HashMap::new();
        let end = limits.time.map(|time| clock.monotonic() + time);
        while desk.is_open() && !stop.is_set() {
            let rest = end.map_or(SLICE, |end| end.saturating_sub(clock.monotonic()));
            if rest.is_zero() {
                break;
            }
            self.0.wait(rest.min(SLICE), &mut |Connection { id, peer }, arrival| match arrival {
                Arrival::Opened => desk.totals.connections += 1,
                Arrival::Data(data) => {
                    desk.totals.bytes += data.len() as u64;
                    partial.entry(id).or_default().feed(data, limits.line, &mut |line, end| desk.take(peer, line, end));
                }
                Arrival::Closed => {
                    if let Some(partial) = partial.remove(&id) {
                        partial.close(&mut |line, end| desk.take(peer, line, end));
                    }
                }
            })?;
        }
        desk.close()
    }
}

/// Where the lines of all connections end up.
struct Desk<'a, 'w, F> {
    limits: &'a Limits,
    out: Option<&'a mut (dyn Write + 'w)>,
    on: F,
    totals: Totals,
    flow: ControlFlow<()>,
    written: io::Result<()>,
}

impl<F: FnMut(&Frame<'_>) -> ControlFlow<()>> Desk<'_, '_, F> {
    fn is_open(&self) -> bool {
        self.flow.is_continue() && self.written.is_ok()
    }

    fn take(&mut self, peer: SocketAddr, bytes: &[u8], end: End) {
        if !self.is_open() {
            return;
        }
        let frame = Frame { peer, bytes, end, verdict: (end == End::LineFeed).then(|| judge(bytes)) };
        self.totals.count(&frame);
        if let (Some(out), End::LineFeed) = (&mut self.out, end) {
            self.written = out.write_all(bytes).and_then(|()| out.write_all(b"\n"));
        }
        self.flow = (self.on)(&frame);
        if self.limits.count.is_some_and(|count| self.totals.lines >= count) {
            self.flow = ControlFlow::Break(());
        }
    }

    fn close(self) -> io::Result<Totals> {
        self.written?;
        self.out.map_or(Ok(()), |out| out.flush())?;
        Ok(self.totals)
    }
}

/// How long a wait may be, so that a stop is noticed.
const SLICE: Duration = Duration::from_millis(100);

fn refused(address: SocketAddr) -> String {
    format!(
        "could not listen on {address} (tcp); hint: if the port is taken, the agent itself or another program has it \
         (ss -lntp 'sport = :{}'); ports below 1024 need root",
        address.port()
    )
}

/// What has arrived of a line that is not complete.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    /// The line has been reported as too long; the rest is left out.
    skipping: bool,
}

impl Partial {
    fn feed(&mut self, mut data: &[u8], cap: usize, on: &mut dyn FnMut(&[u8], End)) {
        while let Some(at) = data.iter().position(|&b| b == b'\n') {
            let (line, rest) = data.split_at(at);
            data = rest.get(1..).unwrap_or_default();
            if self.bytes.is_empty() && !self.skipping && line.len() <= cap {
                on(line, End::LineFeed);
                continue;
            }
            self.keep(line, cap, on);
            if !std::mem::take(&mut self.skipping) {
                on(&self.bytes, End::LineFeed);
            }
            self.bytes.clear();
        }
        self.keep(data, cap, on);
    }

    fn keep(&mut self, data: &[u8], cap: usize, on: &mut dyn FnMut(&[u8], End)) {
        if self.skipping {
            return;
        }
        let room = cap - self.bytes.len().min(cap);
        self.bytes.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            self.skipping = true;
            on(&self.bytes, End::TooLong);
            self.bytes = Vec::new();
        }
    }

    fn close(self, on: &mut dyn FnMut(&[u8], End)) {
        if !self.bytes.is_empty() {
            on(&self.bytes, End::Unterminated);
        }
    }
}

#[cfg(test)]
mod tests;
