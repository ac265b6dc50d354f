//! Our drop-in on the distribution's own configuration.

use std::time::Duration;

use anyhow::{Result, ensure};

use cefctl::host::{Exit, Output};
use cefctl::syslog::syslogng::lint;
use cefctl::syslog::syslogng::render::{DropIn, Stack, Wanted, render};
use cefctl::syslog::syslogng::validate::Report;

use crate::daemon::{Agent, DROP_IN, Daemon, MAIN, Tree, loopback, port, send_tcp, send_udp, with_lf};
use crate::{Case, Kind};

pub const CASES: &[Case] = &[
    ("nothing_new_is_said", nothing_new_is_said),
    ("both_families", both_families),
    ("local_logging_goes_on", local_logging_goes_on),
];

/// A collector on ports of its own, put on the stock configuration of a clone.
pub struct Collector {
    pub tree: Tree,
    pub made: DropIn,
    pub port: u16,
    pub counted: u16,
    pub agent_port: u16,
}

impl Collector {
    pub fn new(kind: Kind, wish: impl FnOnce(&mut Wanted)) -> Result<Collector> {
        Collector::on(Tree::new(kind)?, wish)
    }

    pub fn on(tree: Tree, wish: impl FnOnce(&mut Wanted)) -> Result<Collector> {
        let (port, counted, agent_port) = (port(), port(), port());
        let mut wanted =
            Wanted { port, agent_port, counted_port: Some(counted), stack: Stack::Dual, ..Wanted::default() };
        wish(&mut wanted);
        let (port, agent_port) = (wanted.port, wanted.agent_port);
        let made = render(&tree.effective(MAIN), &tree.program()?, &wanted)?;
        ensure!(made.include.is_none(), "the stock configuration includes conf.d");
        tree.write(DROP_IN, &made.text);
        let fatal = lint::fatal(&tree.effective(MAIN));
        ensure!(fatal.is_empty(), "{fatal:?}");
        Ok(Collector { tree, made, port, counted, agent_port })
    }

    pub fn start(&self) -> Result<(Daemon, Agent)> {
        let agent = Agent::start(self.agent_port)?;
        Ok((self.tree.start(MAIN)?, agent))
    }
}

pub fn report(output: &std::process::Output) -> Report {
    let exit = output.status.code().map(Exit::Code).unwrap_or(Exit::Signal(0));
    Report::read(&Output { exit, stdout: output.stdout.clone(), stderr: output.stderr.clone() })
}

fn nothing_new_is_said(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let before = report(&tree.check(MAIN));
    ensure!(before.accepted, "{before:?}");
    let collector = Collector::on(tree, |w| w.rewrite_ids = true)?;
    let after = report(&collector.tree.check(MAIN));
    ensure!(after.accepted && after.new_since(&before).is_empty(), "{:?}", after.new_since(&before));
    ensure!(collector.made.reliable && collector.made.notes.is_empty(), "{:?}", collector.made);
    let (daemon, _agent) = collector.start()?;
    let said = daemon.messages();
    ensure!(!said.contains("rror") && !said.contains("WARNING: window"), "{said}");
    Ok(())
}

fn event(n: usize) -> Vec<u8> {
    format!("<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|externalId={n}").into_bytes()
}

fn both_families(kind: Kind) -> Result<()> {
    for stack in [Stack::V4, Stack::Dual] {
        let collector = Collector::new(kind, |w| w.stack = stack)?;
        let (_daemon, agent) = collector.start()?;
        let hosts = if stack == Stack::V4 { vec!["127.0.0.1"] } else { vec!["127.0.0.1", "[::1]"] };
        let mut sent = Vec::new();
        for (i, host) in hosts.iter().enumerate() {
            let to = format!("{host}:{}", collector.port).parse()?;
            // Without a header the sender's address is all there is for a host.
            let bare = b"<134>CEF:0|V|P|1|2|n|5|bare=1".to_vec();
            send_udp(to, &[event(2 * i), bare]);
            send_tcp(to, &[event(2 * i + 1)], with_lf);
            sent.extend([event(2 * i), event(2 * i + 1)]);
        }
        let arrived = agent.wait(hosts.len() * 3, Duration::from_secs(10));
        for line in &sent {
            ensure!(arrived.contains(line), "{stack:?} {}", String::from_utf8_lossy(line));
        }
        let senders: Vec<String> = arrived
            .iter()
            .filter(|l| l.ends_with(b"bare=1"))
            .map(|l| String::from_utf8_lossy(l).split(' ').nth(1).unwrap_or_default().to_owned())
            .collect();
        let expected: &[&str] = if stack == Stack::V4 { &["127.0.0.1"] } else { &["127.0.0.1", "--1"] };
        ensure!(expected.iter().all(|e| senders.iter().any(|s| s == e)), "{stack:?} {senders:?}");
    }
    Ok(())
}

/// Local messages go to their file as before, security events do not, and what is neither goes where it is wanted.
fn local_logging_goes_on(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |w| w.others = vec!["d_syslog".into()])?;
    let (_daemon, agent) = collector.start()?;
    let logger =
        collector.tree.command(&["logger", "--socket", "/dev/log", "-p", "daemon.info", "hello from here"]).status()?;
    ensure!(logger.success(), "logger finds no /dev/log");
    send_udp(loopback(collector.port), &[event(7), b"<13>Aug  1 10:00:00 sw1 link: up".to_vec()]);
    let arrived = agent.wait(1, Duration::from_secs(10));
    ensure!(arrived == [event(7)], "{arrived:?}");
    let text = || String::from_utf8_lossy(&collector.tree.read("/var/log/syslog")).into_owned();
    crate::daemon::wait(Duration::from_secs(10), || {
        (text().contains("hello from here") && text().contains("sw1 link: up")).then_some(())
    });
    let text = text();
    ensure!(
        text.contains("hello from here") && text.contains("sw1 link: up") && !text.contains("externalId=7"),
        "{text}"
    );
    Ok(())
}
