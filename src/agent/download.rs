//! A download that survives bad lines: it goes on where it was cut, tries again after growing pauses, and ends with bytes
//! whose size and SHA-256 are known, or with a reason.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::host::http::{Answer, Head, Http, HttpError, Part};
use crate::host::{Attrs, Host, Interrupt};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub url: String,
    /// Written as root's own, mode 0600.
    pub into: PathBuf,
    /// More bytes are refused.
    pub max: u64,
    /// SHA-256 in small hexadecimal digits.
    pub sha256: Option<String>,
    /// Looks at the first bytes; no: this is something else.
    pub looks_right: fn(&[u8]) -> bool,
}

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Tries in a row that brought nothing.
    pub tries: u32,
    /// Before the second try; doubled each time.
    pub pause: Duration,
    /// A connection on which nothing comes for so long counts as cut.
    pub stall: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { tries: 6, pause: Duration::from_secs(1), stall: Duration::from_secs(30) }
    }
}

/// No pause is longer, whatever a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Tries altogether, also where each of them brings a little.
const MOST_TRIES: u32 = 100;
/// Bytes that are collected before they are written.
const BLOCK: usize = 1 << 20;
/// Bytes that must stay free beside the download.
const SPARE: u64 = 32 << 20;

/// What was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub size: u64,
    pub sha256: String,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Bytes {
        have: u64,
        total: Option<u64>,
        per_second: f64,
    },
    /// It did not work, and is tried again.
    Again {
        why: String,
        after: Duration,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("{0}")]
    Http(HttpError),
    #[error("the server answers with HTTP status {0}")]
    Status(u16),
    #[error("it is larger than {} MB, so it is not what was wanted", .0 >> 20)]
    TooLarge(u64),
    #[error("what came is no installation bundle; a proxy or a login page may have answered in its place")]
    SomethingElse,
    #[error("its SHA-256 is {got}, but {wanted} was wanted")]
    WrongSum { wanted: String, got: String },
    #[error("{} MB are wanted and {} MB are free in {}", .wanted >> 20, .free >> 20, .path.display())]
    NoSpace { path: PathBuf, wanted: u64, free: u64 },
    #[error("cannot write {}: {error}", .path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("interrupted")]
    Interrupted,
}

impl DownloadError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            DownloadError::Http(HttpError::Processor) => "download it elsewhere and give the file: --agent-bundle FILE",
            DownloadError::Http(HttpError::NoRoots) => {
                "install the package ca-certificates, or give the file: --agent-bundle FILE"
            }
            DownloadError::Http(HttpError::Certificate(_) | HttpError::Tls(_)) => {
                "if a proxy inspects TLS here, add its certificate to this box's trusted ones (update-ca-certificates, update-ca-trust), \
                 or download it elsewhere and give the file: --agent-bundle FILE"
            }
            DownloadError::Http(HttpError::ProxyLogin) => {
                "give the login with the proxy: --proxy http://USER:PASSWORD@HOST:PORT, or by the variable CEFCTL_PROXY"
            }
            DownloadError::Http(_) => {
                "check DNS, port 443 outbound and --proxy; or download it elsewhere and give the file: --agent-bundle FILE"
            }
            DownloadError::Status(403 | 401) => {
                "the address wants a login or is closed to this box; give another with --agent-url, or a file with --agent-bundle"
            }
            DownloadError::Status(404 | 410) => {
                "there is no such file any more; give a mirror with --agent-url, or a file with --agent-bundle"
            }
            DownloadError::Status(407) => {
                "give the login with the proxy: --proxy http://USER:PASSWORD@HOST:PORT, or by the variable CEFCTL_PROXY"
            }
            DownloadError::Status(_) => "try again later, or give a mirror with --agent-url",
            DownloadError::TooLarge(_) | DownloadError::SomethingElse => {
                "look at the address in a browser; give a mirror with --agent-url"
            }
            DownloadError::WrongSum { .. } => {
                "the file was changed or damaged on the way, or the sum is that of another version; nothing of it was run"
            }
            DownloadError::NoSpace { .. } | DownloadError::Write { .. } => "make room: df -h /var/cache",
            DownloadError::Interrupted => "run the command again",
        }
    }

    fn is_worth_another_try(&self) -> bool {
        match self {
            DownloadError::Http(e) => {
                matches!(
                    e,
                    HttpError::Name
                        | HttpError::Connect(_)
                        | HttpError::Timeout
                        | HttpError::Broken(_)
                        | HttpError::Proxy
                )
            }
            DownloadError::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// Downloads.
///
/// # Errors
/// Whatever another try would not help against, or did not. What was written by then is removed.
pub fn download(
    host: &Host,
    http: &Http,
    interrupt: &Interrupt,
    wanted: &Wanted,
    pace: Pace,
    tell: &mut dyn FnMut(Step),
) -> Result<Got, DownloadError> {
    let mut run = Run { host, http, interrupt, wanted, pace, have: Have::new(), total: None };
    let got = run.all(tell);
    if got.is_err() {
        let _ = host.root.remove_file(&wanted.into);
    }
    got
}

/// What is on the disk.
struct Have {
    written: u64,
    block: Vec<u8>,
    sum: Sha256,
    /// Of the file on the server.
    version: Option<String>,
}

impl Have {
    fn new() -> Self {
        Have { written: 0, block: Vec::new(), sum: Sha256::new(), version: None }
    }
    fn size(&self) -> u64 {
        self.written + self.block.len() as u64
    }
}

struct Run<'a> {
    host: &'a Host,
    http: &'a Http,
    interrupt: &'a Interrupt,
    wanted: &'a Wanted,
    pace: Pace,
    have: Have,
    total: Option<u64>,
}

impl Run<'_> {
    fn all(&mut self, tell: &mut dyn FnMut(Step)) -> Result<Got, DownloadError> {
        let (mut in_vain, mut pause) = (0, self.pace.pause);
        for _ in 0..MOST_TRIES {
            let before = self.have.size();
            let mut asked = None;
            let error = match self.once(&mut asked, tell) {
                Ok(()) => return self.done(),
                Err(e) => e,
            };
            if self.have.size() > before {
                (in_vain, pause) = (0, self.pace.pause);
            }
            in_vain += 1;
            if !error.is_worth_another_try() || in_vain >= self.pace.tries {
                return Err(error);
            }
            let after = asked.unwrap_or(pause).min(LONGEST_PAUSE);
            tell(Step::Again { why: error.to_string(), after });
            self.sleep(after)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(DownloadError::Http(HttpError::Broken(format!("it was cut {MOST_TRIES} times"))))
    }

    fn sleep(&self, time: Duration) -> Result<(), DownloadError> {
        let clock = &self.host.clock;
        let end = clock.monotonic() + time;
        while clock.monotonic() < end {
            if self.interrupt.is_set() {
                return Err(DownloadError::Interrupted);
            }
            clock.sleep((end - clock.monotonic()).min(Duration::from_millis(100)));
        }
        Ok(())
    }

    /// One request, to its end. `asked`: how long the server wants us to wait.
    fn once(&mut self, asked: &mut Option<Duration>, tell: &mut dyn FnMut(Step)) -> Result<(), DownloadError> {
        let size = self.have.size();
        let version = self.have.version.clone();
        let from = version.as_deref().filter(|_| size > 0).map(|v| (size, v));
        let answer = self.http.get(&self.wanted.url, from);
        let head = match self.part(&answer)? {
            Part::Head(head) => head,
            _ => return Err(DownloadError::Http(HttpError::Broken("no head came".into()))),
        };
        *asked = head.retry_after.map(Duration::from_secs);
        self.begin(&head)?;
        let (start, first) = (self.host.clock.monotonic(), self.have.size());
        loop {
            match self.part(&answer)? {
                Part::Head(_) => {}
                Part::Piece(bytes) => {
                    self.take(&bytes)?;
                    let took = (self.host.clock.monotonic() - start).as_secs_f64().max(0.001);
                    let per_second = (self.have.size() - first) as f64 / took;
                    tell(Step::Bytes { have: self.have.size(), total: self.total, per_second });
                }
                Part::End if self.total.is_none_or(|t| t == self.have.size()) => return Ok(()),
                Part::End => return Err(DownloadError::Http(HttpError::Broken("it was cut short".into()))),
            }
        }
    }

    fn part(&self, answer: &Answer) -> Result<Part, DownloadError> {
        let clock = &self.host.clock;
        let end = clock.monotonic() + self.pace.stall;
        loop {
            if self.interrupt.is_set() {
                return Err(DownloadError::Interrupted);
            }
            match answer.next(Duration::from_millis(100)) {
                Some(part) => return part.map_err(DownloadError::Http),
                None if clock.monotonic() >= end => return Err(DownloadError::Http(HttpError::Timeout)),
                None => {}
            }
        }
    }

    /// Is this the rest of what we have, the whole anew, or nothing?
    fn begin(&mut self, head: &Head) -> Result<(), DownloadError> {
        let size = self.have.size();
        match (head.status, head.range) {
            (206, Some((first, total))) if first == size && size > 0 => self.total = total.or(self.total),
            (416, _) if size > 0 => {
                // what we have does not fit what is there now: from the start, at the next try
                self.have = Have::new();
                return Err(DownloadError::Http(HttpError::Broken("the file has changed".into())));
            }
            (200, _) => {
                self.have = Have::new();
                self.have.version = head.version.clone();
                self.total = head.length;
            }
            (status, _) => return Err(DownloadError::Status(status)),
        }
        if let Some(total) = self.total {
            if total > self.wanted.max {
                return Err(DownloadError::TooLarge(self.wanted.max));
            }
            self.must_fit(total - self.have.written.min(total))?;
        }
        if self.have.size() == 0 {
            self.host.root.write(&self.wanted.into, b"", &Attrs::mode(0o600)).map_err(|e| self.cannot_write(e))?;
        }
        Ok(())
    }

    fn must_fit(&self, bytes: u64) -> Result<(), DownloadError> {
        let folder = self.wanted.into.parent().unwrap_or(Path::new("/"));
        match self.host.root.space(folder) {
            Ok(space) if space.available < bytes + SPARE => {
                Err(DownloadError::NoSpace { path: folder.to_owned(), wanted: bytes + SPARE, free: space.available })
            }
            _ => Ok(()),
        }
    }

    fn cannot_write(&self, error: std::io::Error) -> DownloadError {
        DownloadError::Write { path: self.wanted.into.clone(), error }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        if self.have.size() == 0 && !(self.wanted.looks_right)(bytes) {
            return Err(DownloadError::SomethingElse);
        }
        if self.have.size() + bytes.len() as u64 > self.wanted.max {
            return Err(DownloadError::TooLarge(self.wanted.max));
        }
        self.have.sum.update(bytes);
        self.have.block.extend_from_slice(bytes);
        if self.have.block.len() >= BLOCK { self.flush(false) } else { Ok(()) }
    }

    fn flush(&mut self, sync: bool) -> Result<(), DownloadError> {
        let (root, path) = (&self.host.root, &self.wanted.into);
        self.have.written =
            root.append(path, self.have.written, &self.have.block, sync).map_err(|e| self.cannot_write(e))?;
        self.have.block.clear();
        Ok(())
    }

    fn done(&mut self) -> Result<Got, DownloadError> {
        self.flush(true)?;
        let sum = std::mem::take(&mut self.have.sum).finalize();
        let got: String = sum.iter().map(|b| format!("{b:02x}")).collect();
        match &self.wanted.sha256 {
            Some(wanted) if *wanted != got => Err(DownloadError::WrongSum { wanted: wanted.clone(), got }),
            _ => Ok(Got { size: self.have.written, sha256: got }),
        }
    }
}
