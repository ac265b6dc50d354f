//! One booted distribution host, owned by the test that asked for it: commands inside, files from outside (the tree is
//! read through the overlay, so a test never has to trust what runs inside), sockets in its network namespace.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tree::Tree;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/host.sh");

/// A running host; dropping it switches it off and throws its files away.
pub struct Host {
    pub name: String,
    daemon: String,
    folder: PathBuf,
    leader: u32,
}

/// What a command inside a host left.
pub struct Output {
    pub command: String,
    /// Exit code; 128 + signal where a signal ended it, as a shell would say.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Wall time as seen from outside, about 15 ms of it for entering the host.
    pub time: Duration,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
    /// Both streams, for messages and for looking for a word.
    pub fn all(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(&self.stderr))
    }
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {self}");
        self
    }
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }
    /// The one JSON object that `-o json` promises on standard output.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.stdout).with_context(|| format!("standard output is not one JSON value: {self}"))
    }
    /// A program must not panic, whatever it is given.
    #[track_caller]
    pub fn no_panic(self) -> Self {
        assert!(!self.all().contains("panicked at") && self.code != 101 && self.code != 134, "a panic: {self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (exit {}, {:.2?}):\n{}", self.command, self.code, self.time, self.all())
    }
}

/// Calls the script with this process as the owner of what it starts.
fn script(args: &[&str]) -> Command {
    let mut c = Command::new(SCRIPT);
    c.args(args).env("CEFCTL_E2E_OWNER", std::process::id().to_string()).stdin(Stdio::null());
    c
}

fn run_script(args: &[&str]) -> Result<()> {
    let out = script(args).output().context("cannot start tests/hosts/host.sh")?;
    ensure!(out.status.success(), "host.sh {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim_end());
    Ok(())
}

/// Removes what earlier, killed runs left, and starts the process that does the same for this run should it be killed
/// or interrupted. It runs in a session of its own, so Ctrl-C does not reach it.
pub fn guard_this_process() -> Result<()> {
    run_script(&["reap"])?;
    let mut guard = Command::new("setsid");
    guard.args([SCRIPT, "guard", &std::process::id().to_string()]);
    guard.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start setsid")?;
    Ok(())
}

/// Makes the root tree for one kind of host, or keeps the cached one. Takes about 40 s for a new suite.
pub fn build(suite: &str, daemon: &str) -> Result<()> {
    let status = script(&["build", suite, daemon]).status().context("cannot start tests/hosts/host.sh")?;
    ensure!(status.success(), "the {suite} {daemon} tree could not be built");
    Ok(())
}

impl Host {
    /// Boots a fresh host with the binary under test in /usr/local/bin.
    pub fn boot(suite: &str, daemon: &str) -> Result<Host> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let base = std::env::var("CEFCTL_E2E_DIR").unwrap_or_else(|_| "/var/tmp/cefctl-e2e".into());
        let folder = Path::new(&base).join("hosts").join(&name);
        let mut host = Host { folder, name, daemon: daemon.to_owned(), leader: 0 };
        run_script(&["start", &host.name, suite, daemon])?;
        host.leader = std::fs::read_to_string(host.folder.join("leader"))?.trim().parse()?;
        let bin = host.path("/usr/local/bin/cefctl");
        // By a program of its own: what another thread starts meanwhile would inherit the file open for writing, and
        // nobody can run it then.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_cefctl")).arg(bin).status()?;
        ensure!(copied.success(), "cannot put cefctl into the host: cp ended with {copied}");
        Ok(host)
    }

    /// Where a file of the host lies outside. Not for paths on the host's own tmpfs mounts (/run, /tmp).
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.join("root").join(inside.trim_start_matches('/'))
    }

    /// Nothing a test runs may hang it: after three minutes the command is ended, with exit code 124.
    fn command<S: AsRef<OsStr>>(&self, argv: &[S]) -> Command {
        let mut c = script(&["exec", &self.name, "timeout", "--kill-after=5", "180"]);
        c.args(argv).stdout(Stdio::piped()).stderr(Stdio::piped());
        c
    }

    /// Runs a command inside as root and waits for it.
    pub fn exec<S: AsRef<OsStr>>(&self, argv: &[S]) -> Output {
        self.finish(argv, || self.command(argv).output())
    }

    /// As [`Host::exec`] with bytes on standard input.
    pub fn exec_with_input<S: AsRef<OsStr>>(&self, argv: &[S], input: &[u8]) -> Output {
        self.finish(argv, || {
            let mut child = self.command(argv).stdin(Stdio::piped()).spawn()?;
            if let Some(mut pipe) = child.stdin.take() {
                // A command that does not read its input is no error of the harness.
                let _ = std::io::Write::write_all(&mut pipe, input);
            }
            child.wait_with_output()
        })
    }

    fn finish<S: AsRef<OsStr>>(
        &self,
        argv: &[S],
        run: impl FnOnce() -> std::io::Result<std::process::Output>,
    ) -> Output {
        let command = argv.iter().map(|a| a.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ");
        let start = Instant::now();
        let out = run().unwrap_or_else(|e| panic!("cannot run `{command}` in {}: {e}", self.name));
        let code = {
            use std::os::unix::process::ExitStatusExt;
            out.status.code().unwrap_or_else(|| 128 + out.status.signal().unwrap_or(0))
        };
        Output { command, code, stdout: out.stdout, stderr: out.stderr, time: start.elapsed() }
    }

    /// Starts a command inside without waiting.
    pub fn spawn<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<Child> {
        self.command(argv).spawn().with_context(|| format!("cannot run a command in {}", self.name))
    }

    /// A shell script inside; a failure of it is a failure of the test's preparation.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.exec(&["/bin/sh", "-euc", script]).ok().text()
    }

    /// Runs the tool under test.
    pub fn cefctl(&self, args: &[&str]) -> Output {
        self.cefctl_with(&[], args)
    }

    /// Runs the tool under test with variables (`NAME=value`) in its environment.
    pub fn cefctl_with(&self, env: &[&str], args: &[&str]) -> Output {
        let argv: Vec<&str> =
            ["env"].iter().chain(env).copied().chain(["cefctl"]).chain(args.iter().copied()).collect();
        self.exec(&argv).no_panic()
    }

    /// Writes a file of the host, as root with mode 644, making folders as needed.
    pub fn put(&self, inside: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(inside);
        let parent = path.parent().expect("a path inside the host");
        std::fs::create_dir_all(parent).unwrap_or_else(|e| panic!("{}: {e}", parent.display()));
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// The bytes of a file of the host, empty where there is none.
    pub fn get(&self, inside: &str) -> Vec<u8> {
        std::fs::read(self.path(inside)).unwrap_or_default()
    }

    /// Removes a file of the host, if there is one.
    pub fn remove(&self, inside: &str) {
        let path = self.path(inside);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{}: {e}", path.display()),
            _ => {}
        }
    }

    /// Everything below a folder: bytes, modes, owners, links, extended attributes.
    pub fn tree(&self, inside: &str) -> Tree {
        Tree::read(&self.path(inside))
    }

    /// Joins two hosts by a cable: `eth<n>` in both, 10.99.n.1 here and 10.99.n.2 there.
    pub fn link(&self, other: &Host, n: u8) -> Result<()> {
        run_script(&["link", &self.name, &other.name, &n.to_string()])
    }

    // ------------------------------------------------------------------------------------------------ services

    /// One property of a unit, as `systemctl show` gives it.
    pub fn unit(&self, unit: &str, property: &str) -> String {
        self.exec(&["systemctl", "show", "--value", "--property", property, unit]).ok().text()
    }

    /// What must be the same before and after something that claims to have changed nothing.
    pub fn service_state(&self, unit: &str) -> String {
        format!("{} {}", self.unit(unit, "ActiveState"), self.unit(unit, "UnitFileState"))
    }

    /// The main process of an active unit.
    pub fn main_pid(&self, unit: &str) -> Result<u32> {
        let pid = self.unit(unit, "MainPID").parse()?;
        ensure!(pid != 0, "{unit} has no main process: {}", self.exec(&["systemctl", "status", unit]));
        Ok(pid)
    }

    // ------------------------------------------------------------------------------------------------ network

    /// Runs `f` on a thread of its own inside the host's network: sockets it opens belong to the host.
    pub fn in_network<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let namespace = format!("/run/netns/cef-{}", self.name);
        std::thread::scope(|s| {
            let inside = s.spawn(|| {
                let ns = std::fs::File::open(&namespace).unwrap_or_else(|e| panic!("{namespace}: {e}"));
                nix::sched::setns(ns, nix::sched::CloneFlags::CLONE_NEWNET)
                    .unwrap_or_else(|e| panic!("cannot enter {namespace}: {e}"));
                f()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Local addresses and ports on which the kernel has a socket of one table: `tcp`, `tcp6` (listening only), `udp`,
    /// `udp6` (not connected).
    pub fn bound(&self, table: &str) -> Vec<u16> {
        let text = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.leader)).unwrap_or_default();
        let wanted = if table.starts_with("tcp") { "0A" } else { "07" };
        text.lines()
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let (local, _peer, state) = (fields.next()?, fields.next()?, fields.next()?);
                (state == wanted).then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok()).flatten()
            })
            .collect()
    }

    /// The kernel's table of the sockets that take IPv4 senders of a protocol. syslog-ng opens one IPv6 socket for both
    /// families.
    fn table_of_v4(&self, protocol: &str) -> String {
        if self.daemon.starts_with("syslog-ng") { format!("{protocol}6") } else { protocol.to_owned() }
    }

    /// Sockets of the daemon that take IPv4 senders of `protocol` on a port.
    pub fn listeners(&self, protocol: &str, port: u16) -> usize {
        self.bound(&self.table_of_v4(protocol)).into_iter().filter(|p| *p == port).count()
    }

    /// Is a port bound for both protocols and both address families?
    pub fn all_bound(&self, port: u16) -> bool {
        ["tcp", "udp"].iter().all(|p| self.listeners(p, port) > 0 && self.bound(&format!("{p}6")).contains(&port))
    }

    /// Has nobody a port, whatever the protocol and address family?
    pub fn is_free(&self, port: u16) -> bool {
        !["tcp", "tcp6", "udp", "udp6"].iter().any(|t| self.bound(t).contains(&port))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("CEFCTL_E2E_KEEP").is_some() {
            return; // until the end of this process: `guard` takes it then
        }
        if let Err(e) = run_script(&["stop", &self.name]) {
            eprintln!("{e:#}");
        }
    }
}

/// Asks again and again until `f` gives something, at most for `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut f: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = f() {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
