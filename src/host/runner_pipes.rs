//! The pipes of a running command, served by one thread with `poll`: input is written as the command takes it, output
//! is kept up to a cap and read on beyond it, and nobody who keeps a pipe open can make us wait.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub(super) struct Pipes<'a> {
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    input: &'a [u8],
    cap: usize,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

impl<'a> Pipes<'a> {
    /// Takes over the pipes of `child`; of each output at most `cap` bytes are kept.
    pub fn of(child: &mut Child, input: &'a [u8], cap: u64) -> io::Result<Self> {
        Ok(Pipes {
            stdin: nonblocking(child.stdin.take().map(OwnedFd::from))?.filter(|_| !input.is_empty()),
            stdout: nonblocking(child.stdout.take().map(OwnedFd::from))?,
            stderr: nonblocking(child.stderr.take().map(OwnedFd::from))?,
            input,
            cap: usize::try_from(cap).unwrap_or(usize::MAX),
            out: Vec::new(),
            err: Vec::new(),
        })
    }

    /// Waits up to `limit` for a pipe to be ready and serves those that are; returns whether any was.
    pub fn pump(&mut self, limit: Duration) -> io::Result<bool> {
        let millis = u16::try_from(limit.as_millis().max(1)).unwrap_or(u16::MAX);
        let mut waits: Vec<PollFd<'_>> = Vec::with_capacity(3);
        waits.extend(self.stdout.iter().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)));
        waits.extend(self.stderr.iter().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)));
        waits.extend(self.stdin.iter().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLOUT)));
        match poll(&mut waits, PollTimeout::from(millis)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        self.write()?;
        take(&mut self.stdout, &mut self.out, self.cap)?;
        take(&mut self.stderr, &mut self.err, self.cap)?;
        Ok(true)
    }

    /// Reads what is left until both outputs end, or until nothing has come for `quiet`, or for ten times that at the
    /// most: a daemon that inherited the pipe may write to it for ever.
    pub fn drain(&mut self, quiet: Duration) -> io::Result<()> {
        self.stdin = None;
        let end = Instant::now() + quiet * 10;
        while self.is_open() && Instant::now() < end {
            if !self.pump(quiet)? {
                break;
            }
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.stdin else { return Ok(()) };
        match pipe.write(self.input) {
            Ok(n) => self.input = self.input.get(n..).unwrap_or_default(),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
            // The command does not want to read on; that is its right.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.input = &[],
            Err(e) => return Err(e),
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }
}

/// Reads what is there now; closes the pipe at its end.
fn take(pipe: &mut Option<File>, kept: &mut Vec<u8>, cap: usize) -> io::Result<()> {
    let Some(file) = pipe else { return Ok(()) };
    let mut buf = [0; 16 << 10];
    // A bounded number of rounds: a command that writes faster than we read must not keep us from the time limit.
    for _ in 0..64 {
        match file.read(&mut buf) {
            Ok(0) => {
                *pipe = None;
                return Ok(());
            }
            Ok(n) => {
                let room = cap.saturating_sub(kept.len()).min(n);
                kept.extend_from_slice(buf.get(..room).unwrap_or_default());
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn nonblocking(fd: Option<OwnedFd>) -> io::Result<Option<File>> {
    let Some(fd) = fd else { return Ok(None) };
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(Some(File::from(fd)))
}
