//! The agent is away; the daemon is stopped, or killed, before it comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::daemon::{Agent, MAIN, loopback, send_tcp, wait, with_lf};
use crate::drop_in::Collector;
use crate::{Case, Kind};

pub const CASES: &[Case] = &[
    ("daemon_stopped_meanwhile", |k| away(k, Some(Signal::SIGTERM))),
    ("daemon_killed_meanwhile", |k| away(k, Some(Signal::SIGKILL))),
    ("agent_comes_back", |k| away(k, None)),
    ("many_connections", many_connections),
    ("buffer_full", buffer_full),
];

const EVENTS: usize = 5000;
const LIMIT: Duration = Duration::from_secs(10);

fn event(n: usize) -> Vec<u8> {
    format!("<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|externalId={n} msg={}", "x".repeat(200)).into_bytes()
}

fn away(kind: Kind, signal: Option<Signal>) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let mut daemon = collector.tree.start(MAIN)?;
    let events: Vec<Vec<u8>> = (0..EVENTS).map(event).collect();
    send_tcp(loopback(collector.port), &events, with_lf);
    // Taken in is what the daemon says it has processed.
    let taken = wait(Duration::from_secs(20), || {
        let stats = collector.tree.ctl(&["stats"]);
        let text = String::from_utf8_lossy(&stats.stdout).into_owned();
        let line =
            text.lines().find(|l| l.starts_with("dst.network;d_cefctl#0") && l.contains(";processed;"))?.to_owned();
        let count: usize = line.rsplit(';').next()?.parse().ok()?;
        (count >= EVENTS).then_some(())
    });
    ensure!(taken.is_some(), "{}", String::from_utf8_lossy(&collector.tree.ctl(&["stats"]).stdout));
    if let Some(signal) = signal {
        daemon.end(signal);
        daemon = collector.tree.start(MAIN)?;
    }
    let agent = Agent::start(collector.agent_port)?;
    let arrived = agent.wait(EVENTS, Duration::from_secs(30));
    let distinct: BTreeSet<&Vec<u8>> = arrived.iter().collect();
    ensure!(distinct.len() == EVENTS, "{} of {EVENTS} arrived; {}", distinct.len(), daemon.messages());
    Ok(())
}

/// More senders than the daemon's default of ten.
fn many_connections(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (_daemon, agent) = collector.start()?;
    let mut open = Vec::new();
    for n in 0..200 {
        let mut stream = std::net::TcpStream::connect(loopback(collector.port))?;
        std::io::Write::write_all(&mut stream, &with_lf(&event(n)))?;
        open.push(stream);
    }
    let arrived = agent.wait(200, Duration::from_secs(20));
    ensure!(arrived.len() == 200, "{} of 200 arrived", arrived.len());
    Ok(())
}

/// The agent is away and the space on disk is used up: TCP senders wait, the box goes on logging, nothing that was taken
/// is lost.
fn buffer_full(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |w| w.spool = 2 << 20)?;
    let _daemon = collector.tree.start(MAIN)?;
    const MANY: usize = 60_000;
    let port = collector.port;
    let sender = std::thread::spawn(move || {
        let events: Vec<Vec<u8>> = (0..MANY).map(event).collect();
        send_tcp(loopback(port), &events, with_lf);
    });
    let used = || -> u64 {
        let files = std::fs::read_dir(collector.tree.at("/var/lib/syslog-ng")).into_iter().flatten().flatten();
        files.map(|e| e.metadata().map_or(0, |m| m.len())).sum()
    };
    // It is used up, not merely begun, before the sender has to wait.
    let full = wait(LIMIT, || (used() > 3 << 19).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    ensure!(full.is_some() && used() < 3 << 20, "{} bytes on disk for a cap of 2 MiB", used());
    ensure!(!sender.is_finished(), "the sender does not wait");
    let text = || String::from_utf8_lossy(&collector.tree.read("/var/log/syslog")).into_owned();
    ensure!(collector.tree.command(&["logger", "--socket", "/dev/log", "hello from here"]).status()?.success());
    ensure!(wait(LIMIT, || text().contains("hello from here").then_some(())).is_some(), "local logging stands still");
    let agent = Agent::start(collector.agent_port)?;
    let arrived = agent.wait(MANY, Duration::from_secs(60));
    let distinct: BTreeSet<&Vec<u8>> = arrived.iter().collect();
    ensure!(distinct.len() == MANY, "{} of {MANY} arrived", distinct.len());
    Ok(())
}
