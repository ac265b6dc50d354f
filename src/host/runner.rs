//! Commands of the machine: argument vectors only (never a shell), a fixed environment, no input unless given, a time
//! limit that ends the whole process group, and a cap on what is kept of the output.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Clock;
use super::runner_pipes::Pipes;
use super::secret::{Secret, Stars};

/// One command to run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cmd {
    pub argv: Vec<OsString>,
    pub limit: Duration,
    /// What the command reads; nothing where `None`. A secret, because that is what goes this way.
    pub stdin: Option<Secret>,
    /// Set besides the fixed `PATH` and `LC_ALL=C`.
    pub env: Vec<(OsString, OsString)>,
}

impl Cmd {
    /// A command with the usual limit of 10 s.
    pub fn new<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) -> Self {
        Cmd {
            argv: argv.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            limit: Duration::from_secs(10),
            stdin: None,
            env: Vec::new(),
        }
    }
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
    /// Gives the command `bytes` to read.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(Secret::new(bytes));
        self
    }
    /// One more variable in the command's environment. Not for secrets: `/proc` shows it to the same user.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
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

    /// The end of what the command complained about (else of what it said), in at most `lines` lines.
    pub fn last_words(&self, lines: usize) -> String {
        let said = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(said);
        let all: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
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
    /// Commands that have not ended, where somebody keeps count of them.
    fn waiting(&self) -> Vec<String> {
        Vec::new()
    }
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

/// How long output may still come after the command has ended. Whoever holds the pipes longer is a daemon that the
/// command has started (`service x start`), not the command.
const LINGER: Duration = Duration::from_millis(150);

/// How long to wait for a killed process to be gone. Longer takes only one that hangs inside the kernel.
const REAP: Duration = Duration::from_secs(2);

impl Run for SystemRunner {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let name = cmd.display();
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => RunError::NotFound(name.clone()),
            _ => RunError::Failed(name.clone(), e.to_string()),
        };
        let Some((program, args)) = cmd.argv.split_first() else { return Err(RunError::NotFound(name)) };
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .envs(cmd.env.iter().map(|(k, v)| (k, v)))
            .stdin(if cmd.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let input = cmd.stdin.as_ref().map(Secret::expose).unwrap_or_default();
        let end = Instant::now() + cmd.limit;
        let outcome = Pipes::of(&mut child, input, self.cap).and_then(|mut pipes| {
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if Instant::now() >= end {
                    return Ok(None);
                }
                pipes.pump(end.saturating_duration_since(Instant::now()).min(Duration::from_millis(5)))?;
            };
            pipes.drain(LINGER)?;
            Ok(Some((status, pipes)))
        });
        match outcome {
            Ok(Some((status, pipes))) => Ok(Output {
                exit: status.code().map(Exit::Code).unwrap_or_else(|| Exit::Signal(status.signal().unwrap_or(0))),
                stdout: pipes.out,
                stderr: pipes.err,
            }),
            Ok(None) => {
                kill_group(&mut child);
                Err(RunError::Timeout(name, cmd.limit))
            }
            Err(e) => {
                kill_group(&mut child);
                Err(failed(e))
            }
        }
    }
}

/// Ends the command and everything it started that is still in its process group.
fn kill_group(child: &mut std::process::Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let end = Instant::now() + REAP;
    while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One command as a trace shows it: secrets starred, input and output left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    pub command: String,
    /// `exit 0`, `signal 9` or why there was no result.
    pub result: String,
    pub took: Duration,
}

/// A runner that tells somebody about every command after it ran (`-v`).
pub struct TracingRunner<F: Fn(Traced) + Send + Sync> {
    pub inner: Arc<dyn Run>,
    pub stars: Stars,
    pub tell: F,
}

impl<F: Fn(Traced) + Send + Sync> Run for TracingRunner<F> {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let start = Instant::now();
        let outcome = self.inner.run(cmd);
        let result = match &outcome {
            Ok(Output { exit: Exit::Code(code), .. }) => format!("exit {code}"),
            Ok(Output { exit: Exit::Signal(signal), .. }) => format!("signal {signal}"),
            Err(RunError::NotFound(_)) => "no such program".to_owned(),
            Err(RunError::Timeout(..)) => "timed out".to_owned(),
            Err(RunError::Failed(_, why)) => self.stars.hide(why),
        };
        (self.tell)(Traced { command: self.stars.hide(&cmd.display()), result, took: start.elapsed() });
        outcome
    }
}

/// A runner that knows which commands it waits for.
pub struct WaitingRunner {
    inner: Arc<dyn Run>,
    waiting: Mutex<Vec<String>>,
}

impl WaitingRunner {
    pub fn new(inner: Arc<dyn Run>) -> Self {
        WaitingRunner { inner, waiting: Mutex::default() }
    }
}

impl Run for WaitingRunner {
    fn waiting(&self) -> Vec<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let name = cmd.display();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let outcome = self.inner.run(cmd);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = waiting.iter().position(|w| *w == name) {
            waiting.remove(at);
        }
        outcome
    }
}

/// A runner whose commands all have to end by a time.
pub struct EndingRunner {
    pub inner: Arc<dyn Run>,
    pub clock: Arc<dyn Clock>,
    /// On the monotonic clock.
    pub end: Duration,
}

impl Run for EndingRunner {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let left = self.end.saturating_sub(self.clock.monotonic());
        if left < LEAST {
            return Err(RunError::Failed(cmd.display(), "no time was left to ask it".into()));
        }
        // Whole milliseconds, for the limit is shown to people.
        let left = Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)).max(LEAST);
        self.inner.run(&cmd.clone().limit(cmd.limit.min(left)))
    }
    fn waiting(&self) -> Vec<String> {
        self.inner.waiting()
    }
}

/// Less is no time for a command.
const LEAST: Duration = Duration::from_millis(20);

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
