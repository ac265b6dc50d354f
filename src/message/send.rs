//! Sends messages to a syslog listener: datagrams, or a stream with line feeds or octet counts. A broken connection is
//! made anew and what was not written yet is sent again, so that a daemon's restart costs as little as TCP allows: bytes
//! the other side's kernel took before it closed cannot be known to have been read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde::Serialize;

use super::tls::{self, Tls, TlsStream};
use crate::host::{Clock, Interrupt, Net};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Udp,
    Tcp,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

/// How messages are told apart on TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// A line feed behind each.
    LineFeed,
    /// The length in decimal and a blank in front of each (RFC 6587).
    OctetCount,
}

impl Framing {
    /// Appends `message` in its frame.
    pub fn frame(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Framing::LineFeed => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Framing::OctetCount => {
                out.extend_from_slice(format!("{} ", message.len()).as_bytes());
                out.extend_from_slice(message);
            }
        }
    }
}

/// Where and how to send.
#[derive(Debug, Clone)]
pub struct Plan {
    pub to: SocketAddr,
    pub transport: Transport,
    /// Around TCP.
    pub tls: Option<Tls>,
    /// TCP only.
    pub framing: Framing,
    /// Messages per second; 0 is as fast as possible.
    pub rate: u32,
    /// How long one attempt to connect, and one write, may take.
    pub limit: Duration,
    /// How long to go on trying to connect; zero is one attempt.
    pub patience: Duration,
}

impl Plan {
    pub fn new(transport: Transport, to: SocketAddr) -> Self {
        let limit = Duration::from_secs(5);
        Plan { to, transport, tls: None, framing: Framing::LineFeed, rate: 0, limit, patience: Duration::ZERO }
    }

    /// The same over TCP and inside TLS.
    pub fn with_tls(self, tls: Tls) -> Self {
        Plan { transport: Transport::Tcp, tls: Some(tls), ..self }
    }

    /// `udp`, `tcp`, `tls`
    pub fn word(&self) -> String {
        if self.tls.is_some() { "tls".to_owned() } else { self.transport.to_string() }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Messages handed to the network.
    pub sent: u64,
    /// Messages that were not, or that the other side refused (UDP to a closed port).
    pub failed: u64,
    /// Bytes of the messages sent, frames included.
    pub bytes: u64,
    /// Connections made after the first.
    pub reconnects: u64,
    /// From the first message to the last, in milliseconds.
    pub millis: u64,
    /// Why something failed, in words, with a hint.
    pub error: Option<String>,
}

/// Lines of a file as messages, byte for byte; empty lines are left out.
pub fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

/// Sends all `messages`. Ends early when `stop` is set or nothing gets through any more; the rest then counts as failed
/// only as far as it was taken from the iterator.
pub fn send<I>(net: &dyn Net, clock: &dyn Clock, stop: &Interrupt, plan: &Plan, messages: I) -> Summary
where
    I: IntoIterator<Item = Vec<u8>>,
{
    let mut pace = Pace { clock, stop, rate: plan.rate, start: clock.monotonic(), count: 0 };
    let mut summary = match plan.transport {
        Transport::Udp => udp(net, &mut pace, plan, messages.into_iter()),
        Transport::Tcp => tcp(net, &mut pace, plan, messages.into_iter()),
    };
    let took = clock.monotonic().saturating_sub(pace.start);
    summary.millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    summary
}

/// Lets messages go when they are due.
struct Pace<'a> {
    clock: &'a dyn Clock,
    stop: &'a Interrupt,
    rate: u32,
    start: Duration,
    count: u64,
}

impl Pace<'_> {
    /// Time until the next message is due; zero if it already is.
    fn wait_for_next(&self) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let due = self.start + Duration::from_secs_f64(self.count as f64 / f64::from(self.rate));
        due.saturating_sub(self.clock.monotonic())
    }

    /// Waits until the next message is due; `false` when asked to stop.
    fn next(&mut self) -> bool {
        loop {
            if self.stop.is_set() {
                return false;
            }
            match self.wait_for_next() {
                Duration::ZERO => break,
                // In slices, so that a slow rate can be stopped as well.
                wait => self.clock.sleep(wait.min(Duration::from_millis(100))),
            }
        }
        self.count += 1;
        true
    }
}

fn udp(net: &dyn Net, pace: &mut Pace<'_>, plan: &Plan, messages: impl Iterator<Item = Vec<u8>>) -> Summary {
    let mut summary = Summary::default();
    let socket = match net.udp(plan.to) {
        Ok(socket) => socket,
        Err(error) => {
            summary.failed = messages.count() as u64;
            summary.error = Some(explain(plan, "open a socket", &error));
            return summary;
        }
    };
    for message in messages {
        if !pace.next() {
            return summary;
        }
        // A refusal concerns an earlier datagram; this one has to be sent again.
        let sent = match socket.send(&message) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                refused(&mut summary, plan, &error);
                socket.send(&message)
            }
            sent => sent,
        };
        match sent {
            Ok(bytes) => {
                summary.sent += 1;
                summary.bytes += bytes as u64;
            }
            Err(error) => {
                summary.failed += 1;
                summary.error = Some(explain(plan, &format!("send {} bytes", message.len()), &error));
            }
        }
    }
    // The answer to the last one takes a moment.
    pace.clock.sleep(Duration::from_millis(20));
    if let Ok(Some(error)) = socket.take_error() {
        refused(&mut summary, plan, &error);
    }
    summary
}

fn refused(summary: &mut Summary, plan: &Plan, error: &io::Error) {
    summary.sent = summary.sent.saturating_sub(1);
    summary.failed += 1;
    summary.error = Some(explain(plan, "send", error));
}

fn tcp(net: &dyn Net, pace: &mut Pace<'_>, plan: &Plan, messages: impl Iterator<Item = Vec<u8>>) -> Summary {
    let mut stream = Stream { net, plan, connection: None, connected: false, summary: Summary::default() };
    let mut batch = Batch::default();
    for message in messages {
        // What is due together goes out in one write; nothing waits for a message that is not due yet.
        let full = batch.bytes.len() >= Batch::FULL;
        if (full || !pace.wait_for_next().is_zero()) && !stream.write(&mut batch, pace) {
            stream.summary.failed += 1 + batch.ends.len() as u64;
            return stream.summary;
        }
        if !pace.next() {
            break;
        }
        batch.add(plan.framing, &message);
    }
    stream.write(&mut batch, pace);
    stream.finish();
    stream.summary.failed += batch.ends.len() as u64;
    stream.summary
}

/// Framed messages on their way.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Bytes that are worth a write.
    const FULL: usize = 64 * 1024;

    fn add(&mut self, framing: Framing, message: &[u8]) {
        framing.frame(message, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Forgets the messages that lie wholly in the first `written` bytes and returns how many and how long they were.
    fn done(&mut self, written: usize) -> (u64, u64) {
        let count = self.ends.iter().take_while(|&&end| end <= written).count();
        let length = count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        self.bytes.drain(..length);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= length);
        (count as u64, length as u64)
    }
}

struct Stream<'a> {
    net: &'a dyn Net,
    plan: &'a Plan,
    connection: Option<Connection>,
    /// Was there a connection before?
    connected: bool,
    summary: Summary,
}

impl Stream<'_> {
    /// Writes the batch, on new connections if need be. `false` when no connection can be had, or none that takes
    /// anything: the batch then holds what was not written.
    fn write(&mut self, batch: &mut Batch, pace: &Pace<'_>) -> bool {
        let mut useless = 0;
        while !batch.bytes.is_empty() {
            if !self.connect(pace) {
                return false;
            }
            let Some(connection) = &mut self.connection else { return false };
            let mut written = 0;
            let result = loop {
                match connection.write(batch.bytes.get(written..).unwrap_or_default()) {
                    Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                }
                if written == batch.bytes.len() {
                    break Ok(());
                }
            };
            let (count, bytes) = batch.done(written);
            self.summary.sent += count;
            self.summary.bytes += bytes;
            if let Err(error) = result {
                self.summary.error = Some(explain(self.plan, "write", &error));
                self.connection = None;
                useless = if count == 0 { useless + 1 } else { 0 };
                if pace.stop.is_set() || useless == 3 {
                    return false;
                }
            }
        }
        true
    }

    /// Makes sure of a connection that the other side has not closed.
    fn connect(&mut self, pace: &Pace<'_>) -> bool {
        if self.connection.as_mut().is_some_and(|connection| !connection.is_closed()) {
            return true;
        }
        self.connection = None;
        let end = pace.clock.monotonic() + self.plan.patience;
        loop {
            let made = self.net.connect(self.plan.to, self.plan.limit).and_then(|connection| {
                connection.set_write_timeout(Some(self.plan.limit))?;
                Ok(match &self.plan.tls {
                    Some(tls) => Connection::Tls(Box::new(tls.open(connection, self.plan.limit)?)),
                    None => Connection::Plain(connection),
                })
            });
            match made {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.summary.reconnects += u64::from(std::mem::replace(&mut self.connected, true));
                    return true;
                }
                Err(error) => self.summary.error = Some(explain(self.plan, "connect", &error)),
            }
            if pace.clock.monotonic() >= end || pace.stop.is_set() {
                return false;
            }
            pace.clock.sleep(Duration::from_millis(50));
        }
    }

    /// Says goodbye in an orderly way, so that nothing still on its way is thrown out.
    fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.finish();
        }
    }
}

/// A listener closes in turn when it has read all; one that does not is not waited for longer.
const GOODBYE: Duration = Duration::from_millis(300);

enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Connection {
    /// Has the other side closed? Syslog listeners send nothing, so there is only an end to read.
    fn is_closed(&mut self) -> bool {
        let connection = match self {
            Connection::Tls(stream) => return stream.is_closed(),
            Connection::Plain(connection) => connection,
        };
        if connection.set_nonblocking(true).is_err() {
            return true;
        }
        let closed = match connection.read(&mut [0; 512]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        closed || connection.set_nonblocking(false).is_err()
    }

    fn finish(self) {
        let mut connection = match self {
            Connection::Tls(stream) => return stream.finish(GOODBYE),
            Connection::Plain(connection) => connection,
        };
        if connection.shutdown(Shutdown::Write).is_err() || connection.set_nonblocking(false).is_err() {
            return;
        }
        let _ = connection.set_read_timeout(Some(GOODBYE));
        let _ = connection.read(&mut [0; 256]);
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(connection) => connection.write(bytes),
            Connection::Tls(stream) => stream.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Connection::Plain(connection) => connection.flush(),
            Connection::Tls(stream) => stream.flush(),
        }
    }
}

/// What was tried, what was seen, what to do.
fn explain(plan: &Plan, what: &str, error: &io::Error) -> String {
    if let Some((cause, hint)) = tls::explain(error) {
        let hint = if hint.is_empty() { String::new() } else { format!("; hint: {hint}") };
        return format!("could not {what} to {} ({}): {cause}{hint}", plan.to, plan.word());
    }
    let hint = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the listener closed the connection during the handshake: it may not speak TLS",
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there: is the syslog daemon running, with this port and protocol?"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock if plan.tls.is_some() => {
            "no answer in time: a firewall on the way, or a listener that does not speak TLS"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "no answer in time: a firewall on the way, or a listener that does not read"
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "there is no route to that address",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the listener closed the connection: a restart, or its session limit"
        }
        io::ErrorKind::PermissionDenied => "a local firewall rule forbids it",
        _ if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
            "a datagram takes at most 65507 bytes; use TCP for longer messages"
        }
        _ => "",
    };
    let hint = if hint.is_empty() { String::new() } else { format!("; hint: {hint}") };
    format!("could not {what} to {} ({}): {error}{hint}", plan.to, plan.word())
}

#[cfg(test)]
mod tests;
