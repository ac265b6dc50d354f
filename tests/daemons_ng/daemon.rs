//! A clone of a distribution's tree, and the syslog-ng that runs in it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use cefctl::host::Root;
use cefctl::syslog::syslogng::Effective;
use cefctl::syslog::syslogng::effective::ReadSetting;
use cefctl::syslog::syslogng::version::Program;

use crate::Kind;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/host.sh");
/// Where clones live; a file system in memory of this process's own.
const CLONES: &str = "/mnt";
pub const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";
pub const DROP_IN: &str = "/etc/syslog-ng/conf.d/cefctl.conf";

/// Makes the suite's tree, or finds it made.
pub fn build(suite: &str) -> Result<()> {
    let status = Command::new(SCRIPT).args(["build", suite, "syslog-ng"]).status().context("tests/hosts/host.sh")?;
    ensure!(status.success(), "the tree of {suite} with syslog-ng could not be built");
    Ok(())
}

pub fn prepare() -> Result<()> {
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", CLONES]))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

/// Waits until `done` gives something.
pub fn wait<T>(limit: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port no other test uses.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A clone of a tree.
pub struct Tree {
    pub root: PathBuf,
}

impl Tree {
    pub fn new(kind: Kind) -> Result<Tree> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let dir = Path::new(CLONES).join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        let (root, upper, work) = (dir.join("root"), dir.join("up"), dir.join("work"));
        for d in [&root, &upper, &work] {
            fs::create_dir_all(d)?;
        }
        let layers = Command::new(SCRIPT).args(["layers", kind.suite, "syslog-ng"]).output()?;
        let lower = String::from_utf8(layers.stdout)?.trim_end().to_owned();
        let options = format!("lowerdir={lower},upperdir={},workdir={}", upper.display(), work.display());
        run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&root))?;
        run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
        let tree = Tree { root };
        ensure!(tree.program()?.version.language().to_string() == kind.version, "{kind:?} has another version");
        Ok(tree)
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap_or_default()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }

    pub fn program(&self) -> Result<Program> {
        let out = self.command(&["syslog-ng", "--version"]).output()?;
        Program::parse(&out.stdout).context("syslog-ng --version says nothing we know")
    }

    /// What our reader makes of the configuration.
    pub fn effective(&self, main: &str) -> Effective {
        let program = self.program().unwrap();
        let setting = ReadSetting {
            program: Some(program.version),
            modules: Some(program.modules.clone()),
            ..ReadSetting::usual(Path::new(MAIN))
        };
        Effective::load_with(Path::new(main), &Root::at(&self.root), setting)
    }

    /// `syslog-ng --syntax-only`
    pub fn check(&self, main: &str) -> Output {
        self.command(&["syslog-ng", "--syntax-only", "--cfgfile", main]).output().unwrap()
    }

    /// Starts the daemon with this configuration, and waits until it says that it is up.
    pub fn start(&self, main: &str) -> Result<Daemon> {
        let mut daemon = self.launch(main)?;
        let limit = Duration::from_secs(20);
        let state = wait(limit, || daemon.state());
        match state {
            Some(true) => Ok(daemon),
            Some(false) => bail!("the daemon does not start: {}", daemon.messages()),
            None => bail!("the daemon says nothing within {limit:?}: {}", daemon.messages()),
        }
    }

    /// Starts it without waiting.
    pub fn launch(&self, main: &str) -> Result<Daemon> {
        let log = self.at("/tmp/messages");
        let before = fs::read(&log).map(|m| m.len()).unwrap_or(0);
        let file = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = self.command(&["syslog-ng", "--foreground", "--stderr", "--no-caps", "--cfgfile", main]);
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Daemon { child, log, before })
    }

    /// `syslog-ng-ctl`
    pub fn ctl(&self, args: &[&str]) -> Output {
        self.command(&[&["syslog-ng-ctl"], args].concat()).output().unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A daemon that a test still holds keeps them busy: lazily.
        let _ = Command::new("umount").args(["--lazy", "--recursive"]).arg(&self.root).status();
    }
}

/// A running daemon, ended when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Bytes of the log that are of an earlier run.
    before: usize,
}

impl Daemon {
    pub fn messages(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(all.get(self.before..).unwrap_or_default()).into_owned()
    }

    /// `Some(true)` when it is up, `Some(false)` when it has ended.
    pub fn state(&mut self) -> Option<bool> {
        if self.child.try_wait().ok().flatten().is_some() {
            return Some(false);
        }
        self.messages().contains("syslog-ng starting up").then_some(true)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn end(mut self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// The stand-in for the agent: keeps every line that comes in on a port.
pub struct Agent {
    lines: Arc<Mutex<Vec<Vec<u8>>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    port: u16,
    stop: Arc<Mutex<bool>>,
}

impl Agent {
    pub fn start(port: u16) -> Result<Agent> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let agent = Agent { lines: Arc::default(), open: Arc::default(), port, stop: Arc::default() };
        let (lines, open, stop) = (agent.lines.clone(), agent.open.clone(), agent.stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *stop.lock().unwrap() {
                    return;
                }
                open.lock().unwrap().extend(stream.try_clone());
                let lines = lines.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                        lines.lock().unwrap().push(line);
                    }
                });
            }
        });
        Ok(agent)
    }

    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines, once there are that many and no more come for a moment.
    pub fn wait(&self, count: usize, limit: Duration) -> Vec<Vec<u8>> {
        wait(limit, || (self.lines.lock().unwrap().len() >= count).then_some(()));
        let mut last = 0;
        wait(Duration::from_secs(5), || {
            std::thread::sleep(Duration::from_millis(150));
            let now = self.lines.lock().unwrap().len();
            let quiet = now == last;
            last = now;
            quiet.then_some(())
        });
        self.lines()
    }

    /// Leaves: the port is closed, connections are ended when what came in is read.
    pub fn leave(&self) {
        *self.stop.lock().unwrap() = true;
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.leave();
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// One datagram a line.
pub fn send_udp(to: SocketAddr, lines: &[Vec<u8>]) {
    let from = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(from).unwrap();
    for line in lines {
        socket.send_to(line, to).unwrap();
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Every line over one connection, each put together by `frame`.
pub fn send_tcp(to: SocketAddr, lines: &[Vec<u8>], frame: fn(&[u8]) -> Vec<u8>) {
    let mut stream = TcpStream::connect(to).unwrap();
    for line in lines {
        stream.write_all(&frame(line)).unwrap();
    }
}

pub fn with_lf(line: &[u8]) -> Vec<u8> {
    [line, b"\n"].concat()
}

pub fn counted(line: &[u8]) -> Vec<u8> {
    [line.len().to_string().as_bytes(), b" ", line].concat()
}

/// Lines of a file of the tree, once there are that many.
pub fn file_lines(tree: &Tree, path: &str, count: usize) -> Vec<Vec<u8>> {
    let lines = || -> Vec<Vec<u8>> {
        let content = tree.read(path);
        let mut lines: Vec<Vec<u8>> = content.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        lines.pop();
        lines
    };
    wait(Duration::from_secs(15), || (lines().len() >= count).then_some(()));
    lines()
}
