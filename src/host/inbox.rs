//! TCP listeners and all their connections, read by one thread as bytes arrive. Where a line or a message ends is not
//! known here.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Something that happened on a connection.
#[derive(Debug)]
pub enum Arrival<'a> {
    Opened,
    Data(&'a [u8]),
    /// Closed by the other side, or broken.
    Closed,
}

/// One connection; the number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    pub id: u64,
    pub peer: SocketAddr,
}

/// Listeners and their connections.
pub struct Inbox {
    listeners: Vec<TcpListener>,
    connections: Vec<(Connection, TcpStream)>,
    next: u64,
    buffer: Vec<u8>,
}

impl Inbox {
    pub fn new(listeners: Vec<TcpListener>) -> io::Result<Self> {
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Inbox { listeners, connections: Vec::new(), next: 0, buffer: vec![0; 256 * 1024] })
    }

    /// Addresses really bound (with the port the kernel chose for 0).
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Waits until something happens, at most `limit`, and reports it. Each connection gets one read a call, so that a
    /// busy one cannot starve the others.
    pub fn wait(&mut self, limit: Duration, on: &mut dyn FnMut(Connection, Arrival<'_>)) -> io::Result<()> {
        let ready = self.ready(limit)?;
        let (accepting, reading) = ready.split_at(self.listeners.len().min(ready.len()));
        self.read(reading, on);
        self.accept(accepting, on);
        Ok(())
    }

    /// Which listeners, then which connections, have something.
    fn ready(&self, limit: Duration) -> io::Result<Vec<bool>> {
        let listeners = self.listeners.iter().map(|l| PollFd::new(l.as_fd(), PollFlags::POLLIN));
        let streams = self.connections.iter().map(|(_, s)| PollFd::new(s.as_fd(), PollFlags::POLLIN));
        let mut all: Vec<PollFd<'_>> = listeners.chain(streams).collect();
        match poll(&mut all, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => Ok(all.iter().map(|fd| fd.any().unwrap_or(false)).collect()),
            Err(nix::errno::Errno::EINTR) => Ok(vec![false; all.len()]),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, ready: &[bool], on: &mut dyn FnMut(Connection, Arrival<'_>)) {
        let buffer = &mut self.buffer;
        let mut ready = ready.iter();
        self.connections.retain_mut(|(connection, stream)| {
            if !ready.next().copied().unwrap_or(false) {
                return true;
            }
            match stream.read(buffer) {
                Ok(0) => {}
                Ok(count) => {
                    on(*connection, Arrival::Data(buffer.get(..count).unwrap_or_default()));
                    return true;
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return true,
                Err(_) => {}
            }
            on(*connection, Arrival::Closed);
            false
        });
    }

    fn accept(&mut self, ready: &[bool], on: &mut dyn FnMut(Connection, Arrival<'_>)) {
        for (listener, _) in self.listeners.iter().zip(ready).filter(|(_, ready)| **ready) {
            // A failure (too many open files) is tried again at the next call: the connection waits in the queue.
            while let Ok((stream, peer)) = listener.accept() {
                if stream.set_nonblocking(true).is_err() {
                    continue;
                }
                // When we leave, the sender shall know at once. After an orderly end its next write would still
                // succeed, and be lost: that is one event, or one batch of events, of a daemon that could have kept it.
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                let connection = Connection { id: self.next, peer };
                self.next += 1;
                on(connection, Arrival::Opened);
                self.connections.push((connection, stream));
            }
        }
    }
}
