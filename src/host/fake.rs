//! Stand-ins for tests: commands with scripted replies, a clock that runs only when somebody waits, a network that
//! notes what was sent. Files need none: a [`Root`] at a temporary folder is a machine.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Clock, Cmd, Exit, Host, Net, Output, Root, Run, RunError};

/// A machine with the files of `root` and the commands of `runner`; its clock starts at 2026-01-01T00:00:00Z.
pub fn host(root: Root, runner: impl Run + 'static) -> Host {
    Host { root, runner: Arc::new(runner), clock: Arc::new(FakeClock::default()), net: Arc::new(FakeNet::default()) }
}

/// A reply with this exit code.
pub fn reply(code: i32, stdout: &str, stderr: &str) -> Result<Output, RunError> {
    Ok(Output { exit: Exit::Code(code), stdout: stdout.into(), stderr: stderr.into() })
}

type Answer = Box<dyn Fn(&Cmd) -> Result<Output, RunError> + Send + Sync>;

struct Script {
    prefix: Vec<String>,
    /// Given in turn; the last one stays.
    answers: Vec<Answer>,
    used: usize,
}

/// Commands with scripted replies, found by the longest prefix of the argument vector. A command without a script is
/// a program that is not there.
#[derive(Default)]
pub struct FakeRunner {
    scripts: Mutex<Vec<Script>>,
    calls: Mutex<Vec<Cmd>>,
}

impl FakeRunner {
    pub fn new() -> Self {
        FakeRunner::default()
    }

    /// Commands that start with `prefix` get this reply. Said again for the same prefix: the replies come in turn.
    pub fn on(self, prefix: &[&str], answer: Result<Output, RunError>) -> Self {
        self.on_fn(prefix, move |_| answer.clone())
    }

    /// As [`FakeRunner::on`], with a reply made for each call.
    pub fn on_fn(
        self,
        prefix: &[&str],
        answer: impl Fn(&Cmd) -> Result<Output, RunError> + Send + Sync + 'static,
    ) -> Self {
        let prefix: Vec<String> = prefix.iter().map(|s| (*s).to_owned()).collect();
        let mut scripts = lock(&self.scripts);
        match scripts.iter_mut().find(|s| s.prefix == prefix) {
            Some(script) => script.answers.push(Box::new(answer)),
            None => scripts.push(Script { prefix, answers: vec![Box::new(answer)], used: 0 }),
        }
        drop(scripts);
        self
    }

    /// The commands so far, as a person would type them.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.calls).iter().map(Cmd::display).collect()
    }

    /// The commands so far, with their input and environment.
    pub fn commands(&self) -> Vec<Cmd> {
        lock(&self.calls).clone()
    }
}

impl Run for FakeRunner {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        lock(&self.calls).push(cmd.clone());
        let argv: Vec<_> = cmd.argv.iter().map(|a| a.to_string_lossy()).collect();
        let mut scripts = lock(&self.scripts);
        let script = scripts
            .iter_mut()
            .filter(|s| {
                s.prefix.len() <= argv.len() && s.prefix.iter().zip(&argv).all(|(a, b)| a.as_str() == b.as_ref())
            })
            .max_by_key(|s| s.prefix.len());
        let Some(script) = script else { return Err(RunError::NotFound(cmd.display())) };
        let at = script.used.min(script.answers.len().saturating_sub(1));
        script.used += 1;
        match script.answers.get(at) {
            Some(answer) => answer(cmd),
            None => Err(RunError::NotFound(cmd.display())),
        }
    }
}

/// A runner shared with the test that asks it afterwards what it was told.
impl<R: Run + ?Sized> Run for Arc<R> {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        (**self).run(cmd)
    }
}

/// A clock that stands still until somebody sleeps or [`FakeClock::advance`] is called.
pub struct FakeClock {
    start: jiff::Timestamp,
    passed: Mutex<Duration>,
}

impl Default for FakeClock {
    fn default() -> Self {
        FakeClock::at(jiff::Timestamp::constant(1_767_225_600, 0))
    }
}

impl FakeClock {
    pub fn at(start: jiff::Timestamp) -> Self {
        FakeClock { start, passed: Mutex::new(Duration::ZERO) }
    }
    pub fn advance(&self, time: Duration) {
        *lock(&self.passed) += time;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> jiff::Timestamp {
        self.start.checked_add(*lock(&self.passed)).unwrap_or(jiff::Timestamp::MAX)
    }
    fn monotonic(&self) -> Duration {
        *lock(&self.passed)
    }
    fn sleep(&self, time: Duration) {
        self.advance(time);
    }
}

/// What went out through a [`FakeNet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Udp(SocketAddr, Vec<u8>),
    Tcp(SocketAddr, Vec<u8>),
}

/// A network that notes what is sent. Connections are refused and ports are taken unless a test opens them; an opened
/// address stands for one of the test's own on loopback.
#[derive(Default)]
pub struct FakeNet {
    sent: Mutex<Vec<Sent>>,
    open: Mutex<HashMap<SocketAddr, SocketAddr>>,
}

impl FakeNet {
    /// What was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.sent).clone()
    }
    /// From now on `address` is reachable; connections and listeners really use `stand_in`.
    pub fn open(&self, address: SocketAddr, stand_in: SocketAddr) {
        lock(&self.open).insert(address, stand_in);
    }
    fn stand_in(&self, address: SocketAddr) -> Option<SocketAddr> {
        lock(&self.open).get(&address).copied()
    }
}

impl Net for FakeNet {
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        lock(&self.sent).push(Sent::Udp(to, payload.to_vec()));
        Ok(())
    }
    fn send_tcp(&self, to: SocketAddr, payload: &[u8], _: Duration) -> io::Result<()> {
        lock(&self.sent).push(Sent::Tcp(to, payload.to_vec()));
        Ok(())
    }
    fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        let to = self.stand_in(to).ok_or(io::ErrorKind::ConnectionRefused)?;
        let socket = UdpSocket::bind((to.ip(), 0))?;
        socket.connect(to)?;
        Ok(socket)
    }
    fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        let to = self.stand_in(to).ok_or(io::ErrorKind::ConnectionRefused)?;
        TcpStream::connect_timeout(&to, limit)
    }
    fn listen(&self, on: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(self.stand_in(on).ok_or(io::ErrorKind::AddrInUse)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_script_answers_in_turn() {
        let runner = FakeRunner::new()
            .on(&["systemctl"], reply(1, "", "any"))
            .on(&["systemctl", "show"], reply(0, "first", ""))
            .on(&["systemctl", "show"], reply(0, "then", ""));
        let out = |argv: &[&str]| runner.run(&Cmd::new(argv)).map(|o| String::from_utf8(o.stdout).unwrap());
        assert_eq!(out(&["systemctl", "show", "x"]).unwrap(), "first");
        assert_eq!(out(&["systemctl", "show", "x"]).unwrap(), "then");
        assert_eq!(out(&["systemctl", "show"]).unwrap(), "then");
        assert_eq!(out(&["systemctl", "stop"]).unwrap(), "");
        assert!(matches!(out(&["sysctl"]), Err(RunError::NotFound(_))));
        assert_eq!(runner.calls().len(), 5);
        assert_eq!(runner.calls()[3], "systemctl stop");
    }

    #[test]
    fn the_clock_runs_when_somebody_sleeps() {
        let clock = FakeClock::default();
        let start = clock.now();
        assert_eq!(start.to_string(), "2026-01-01T00:00:00Z");
        clock.sleep(Duration::from_secs(3));
        assert_eq!(clock.monotonic(), Duration::from_secs(3));
        assert_eq!(clock.now().duration_since(start).as_secs(), 3);
    }
}
