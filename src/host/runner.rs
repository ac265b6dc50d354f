//! Commands of the machine: argument vectors only (never a shell), a fixed environment, no input, a time limit that
//! ends the whole process group, and a cap on what is kept of the output.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One command to run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cmd {
    pub argv: Vec<OsString>,
    pub limit: Duration,
}

impl Cmd {
    /// A command with the usual limit of 10 s.
    pub fn new<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) -> Self {
        Cmd { argv: argv.into_iter().map(|a| a.as_ref().to_owned()).collect(), limit: Duration::from_secs(10) }
    }
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
    /// As a person would type it.
    pub fn display(&self) -> String {
        self.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// Why a command has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    #[error("{0}: no such program")]
    NotFound(String),
    #[error("{0}: no answer within {1:?}")]
    Timeout(String, Duration),
    #[error("{0}: {1}")]
    Failed(String, String),
}

pub trait Run: Send + Sync {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError>;
}

/// Runs commands on this machine.
pub struct SystemRunner {
    /// Bytes kept of each of stdout and stderr.
    pub cap: u64,
}

impl Default for SystemRunner {
    fn default() -> Self {
        SystemRunner { cap: 4 << 20 }
    }
}

impl Run for SystemRunner {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let name = cmd.display();
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => RunError::NotFound(name.clone()),
            _ => RunError::Failed(name.clone(), e.to_string()),
        };
        let Some(program) = cmd.argv.first() else { return Err(RunError::NotFound(name)) };
        let mut child = Command::new(program)
            .args(&cmd.argv[1..])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let cap = self.cap;
        let collect = |pipe: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut kept = Vec::new();
                if let Some(mut pipe) = pipe {
                    let _ = pipe.by_ref().take(cap).read_to_end(&mut kept);
                    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
                }
                kept
            })
        };
        let out = collect(child.stdout.take().map(|p| Box::new(p) as _));
        let err = collect(child.stderr.take().map(|p| Box::new(p) as _));
        let end = Instant::now() + cmd.limit;
        let status = loop {
            match child.try_wait().map_err(failed)? {
                Some(status) => break status,
                None if Instant::now() >= end => {
                    let group = nix::unistd::Pid::from_raw(-(child.id() as i32));
                    let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
                    let _ = child.wait();
                    return Err(RunError::Timeout(name, cmd.limit));
                }
                None => std::thread::sleep(Duration::from_millis(3)),
            }
        };
        Ok(Output {
            exit: status.code().map(Exit::Code).unwrap_or_else(|| Exit::Signal(status.signal().unwrap_or(0))),
            stdout: out.join().unwrap_or_default(),
            stderr: err.join().unwrap_or_default(),
        })
    }
}
