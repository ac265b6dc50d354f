//! The stand-in for the agent inside a host, and what arrived there. A small Python program on purpose: what proves the
//! tool must not be the tool.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::host::{Host, wait_for};

/// The port the tool forwards to when it is told nothing else.
pub const PORT: u16 = 25226;

/// The agent's input of one host; stopped and started as a test needs it. What arrived is kept over a restart.
pub struct Agent<'a> {
    host: &'a Host,
    port: u16,
}

impl<'a> Agent<'a> {
    /// On the port the tool forwards to by default.
    pub fn start(host: &'a Host) -> Result<Agent<'a>> {
        Agent::start_on(host, PORT)
    }

    /// On another port, as for an agent that was moved, or for another receiver altogether.
    pub fn start_on(host: &'a Host, port: u16) -> Result<Agent<'a>> {
        let agent = Agent { host, port };
        host.put("/usr/local/lib/stand-in/agent.py", include_bytes!("agent.py"));
        agent.forget();
        agent.resume()?;
        Ok(agent)
    }

    pub fn stop(&self) {
        self.host.sh(&format!("systemctl stop stand-in-{}", self.port));
    }

    /// As if it had crashed.
    pub fn kill(&self) {
        self.host
            .sh(&format!("systemctl kill --signal=KILL stand-in-{0}; systemctl reset-failed stand-in-{0}", self.port));
    }

    pub fn resume(&self) -> Result<()> {
        // A transient unit: nothing of it shows in /etc.
        let (port, file) = (self.port, self.file());
        self.host.sh(&format!(
            "systemd-run --quiet --unit=stand-in-{port} /usr/bin/python3 /usr/local/lib/stand-in/agent.py {port} {file}"
        ));
        wait_for("the stand-in agent listens", Duration::from_secs(5), || {
            self.host.bound("tcp").contains(&self.port).then_some(())
        })
    }

    fn file(&self) -> String {
        format!("/var/lib/stand-in/{}", self.port)
    }

    /// Whole lines that arrived so far, without their line feed.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        let mut bytes = self.host.get(&self.file());
        bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1));
        bytes.split_inclusive(|b| *b == b'\n').map(|line| line[..line.len() - 1].to_vec()).collect()
    }

    pub fn forget(&self) {
        self.host.put(&self.file(), b""); // the stand-in appends, so it goes on at the new end
    }

    /// Waits until `enough` holds for the lines, or until none has come for `idle`; gives what is there then, and lets
    /// late doubles show up first.
    pub fn lines_when(&self, idle: Duration, enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let (mut size, mut since, mut enough_since) = (0, Instant::now(), None::<Instant>);
        loop {
            let lines = self.lines();
            if lines.len() != size {
                (size, since) = (lines.len(), Instant::now());
            }
            if enough(&lines) {
                let first = *enough_since.get_or_insert_with(Instant::now);
                if first.elapsed() > Duration::from_millis(300) && since.elapsed() > Duration::from_millis(200) {
                    return lines;
                }
            }
            if since.elapsed() > idle {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a line with `needle` in it.
    pub fn sees(&self, needle: &str, limit: Duration) -> bool {
        let hit = |l: &Vec<u8>| contains(l, needle.as_bytes());
        wait_for("the line", limit, || self.lines().iter().any(hit).then_some(())).is_ok()
    }
}

pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|w| w == needle)
}
