//! An rsyslogd of our own: a main file like a distribution's, the drop-in under test, a folder for its work.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cefctl::syslog::rsyslog::effective::Transport;
use cefctl::syslog::rsyslog::render::{Block, DropIn, OwnInput, TcpModule, render};
use cefctl::syslog::rsyslog::validate;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::agent::Agent;

/// The installed program and its version.
fn program() -> (&'static str, (u32, u32, u32)) {
    let path = ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"].into_iter().find(|p| Path::new(p).exists());
    let path = path.expect("rsyslogd is installed (tests/run deps)");
    let output = Command::new(path).arg("-v").output().expect("rsyslogd runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = validate::version(text.as_bytes()).map(validate::Version::parts);
    (path, version.unwrap_or_else(|| panic!("no version in {text}")))
}

/// A port free for UDP and TCP, IPv4 and IPv6.
fn free_port() -> u16 {
    for _ in 0..100 {
        let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0));
        let tcp = both.or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a TCP port");
        let port = tcp.local_addr().expect("its address").port();
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

pub struct Rsyslogd {
    dir: tempfile::TempDir,
    pub port: u16,
    child: Option<Child>,
}

/// What a test changes of the usual.
pub struct Setup {
    /// Lines of the main file before the drop-in; `PORT` stands for the port.
    pub before: &'static str,
    /// Lines of the main file behind the drop-in.
    pub after: &'static str,
    pub change: fn(&mut DropIn),
}

impl Default for Setup {
    fn default() -> Self {
        Setup { before: "", after: "", change: |_| {} }
    }
}

impl Setup {
    pub fn with(change: fn(&mut DropIn)) -> Self {
        Setup { change, ..Setup::default() }
    }
}

impl Rsyslogd {
    /// Writes the files; `-N1` must find nothing to say about them.
    pub fn prepare(agent_port: u16, setup: &Setup) -> Rsyslogd {
        let dir = tempfile::tempdir().expect("a folder");
        let (_, version) = program();
        let port = free_port();
        std::fs::create_dir(dir.path().join("work")).expect("a work folder");
        let own = |transport| OwnInput {
            transport,
            tls: false,
            port,
            v4_only: false,
            load_module: true,
            octet_counting: true,
            elsewhere: false,
        };
        let mut drop_in = DropIn {
            end: false,
            version,
            receipt: "/var/lib/cefctl/receipt.json".into(),
            agent_port,
            forward: true,
            hand_over: false,
            inputs: vec![own(Transport::Udp), own(Transport::Tcp)],
            tls: None,
            tcp_module: TcpModule::best(version, true, true),
            block: Block::None,
            callable: false,
            keep_own: false,
            rewrite_ids: false,
            queue_disk: 100,
            work_directory: Some(dir.path().join("work")),
            set_max_message_size: true,
            keep_tabs: true,
            names_off: true,
            keep_repeats: false,
            plain_driver: false,
        };
        (setup.change)(&mut drop_in);
        let at = |name: &str| dir.path().join(name).display().to_string();
        let fill =
            |text: &str| text.replace("PORT", &port.to_string()).replace("DIR", &dir.path().display().to_string());
        let main = format!(
            "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"on\")\n\
             {}\n$IncludeConfig {}\n\
             template(name=\"test_raw\" type=\"string\" string=\"%rawmsg%\\n\")\n{}\n\
             *.* action(type=\"omfile\" file=\"{}\" template=\"test_raw\")\n",
            at("log.sock"),
            fill(setup.before),
            at("10-cefctl.conf"),
            fill(setup.after),
            at("local.log"),
        );
        std::fs::write(dir.path().join("rsyslog.conf"), main).expect("the main file");
        std::fs::write(dir.path().join("10-cefctl.conf"), render(&drop_in)).expect("the drop-in");
        let daemon = Rsyslogd { dir, port, child: None };
        daemon.must_be_valid();
        daemon
    }

    pub fn start(agent: &Agent, setup: &Setup) -> Rsyslogd {
        let mut daemon = Rsyslogd::prepare(agent.port, setup);
        daemon.start_again();
        daemon
    }

    fn must_be_valid(&self) {
        let output = Command::new(program().0).args(["-N1", "-f"]).arg(self.path("rsyslog.conf")).output();
        let output = output.expect("rsyslogd -N1 runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "rsyslogd -N1: {text}");
        assert_eq!(text.lines().count(), 2, "rsyslogd -N1 has something to say: {text}");
    }

    /// Starts it and waits until both inputs are open.
    pub fn start_again(&mut self) {
        let errors = std::fs::File::options().create(true).append(true).open(self.path("stderr")).expect("stderr");
        let child = Command::new(program().0)
            .args(["-n", "-iNONE", "-f"])
            .arg(self.path("rsyslog.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("rsyslogd starts");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "rsyslogd does not listen: {}", self.errors());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as `systemctl stop` does.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, Signal::SIGTERM).expect("rsyslogd runs");
        let end = Instant::now() + Duration::from_secs(20);
        while child.try_wait().expect("the state of rsyslogd").is_none() {
            if Instant::now() > end {
                child.kill().expect("rsyslogd ends");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Instant::now() < end, "rsyslogd did not end by itself");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Lines of a file of the local rules.
    pub fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        let text = std::fs::read(self.path(name)).unwrap_or_default();
        text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// Waits until a line of a local file holds `word`; how long that took.
    pub fn logged(&self, name: &str, word: &str, limit: Duration) -> Option<Duration> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.lines(name).iter().any(|l| l.windows(word.len()).any(|w| w == word.as_bytes())) {
                return Some(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
