//! The proof at the end of an install, asked while everything can still be taken back: the daemon runs, the sockets are
//! really bound on both address families, and a marked event sent to each transport comes out at the agent's port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::exit::hint;
use crate::host::proc_net::{Socket, Transport};
use crate::host::{Host, Interrupt, facts};
use crate::message::build::{self, Shape, Stamp};
use crate::message::capture::{Hop, Watch};
use crate::message::receive::{Limits, Listener};
use crate::message::send::{self, Plan};
use crate::platform::service_act::Services;

/// How long the daemon may take to bind its sockets.
const BIND: Duration = Duration::from_secs(10);
/// How long an event may take through the daemon.
const PASS: Duration = Duration::from_secs(10);

/// What must be true.
pub struct Expected {
    pub unit: String,
    pub port: u16,
    pub transports: Vec<Transport>,
    pub agent_port: u16,
    pub ipv6: bool,
    /// What the daemon takes reaches the agent; false: the agent was not told by Azure yet to take anything.
    pub carried: bool,
}

/// How it was proven, for people.
pub struct Proven {
    pub sentence: String,
}

/// Proves it.
///
/// # Errors
/// The first thing that is not as it should be, with what was seen.
pub fn prove(host: &Host, interrupt: &Interrupt, expected: &Expected) -> anyhow::Result<Proven> {
    let pid = running(host, expected)?;
    bound(host, interrupt, expected, pid)?;
    if !expected.carried {
        let sentence = format!("port {} is open; the agent takes nothing until Azure tells it to", expected.port);
        return Ok(Proven { sentence });
    }
    arrived(host, interrupt, expected)
}

fn running(host: &Host, expected: &Expected) -> anyhow::Result<u32> {
    let state = Services::detect(host).state(&expected.unit)?;
    match state.main_pid {
        Some(pid) if state.is_active() => Ok(pid),
        _ => bail!("{} is not running after the change", expected.unit),
    }
}

/// Every wanted socket, by the daemon itself, within the limit.
fn bound(host: &Host, interrupt: &Interrupt, expected: &Expected, pid: u32) -> anyhow::Result<()> {
    let end = host.clock.monotonic() + BIND;
    let mut pause = Duration::from_millis(5);
    loop {
        let missing = missing(host, expected, pid)?;
        if missing.is_empty() {
            return Ok(());
        }
        if host.clock.monotonic() >= end || interrupt.is_set() {
            return Err(anyhow::Error::msg(hint(
                "the daemon's own lines say why: journalctl -u rsyslog -n 50, or grep rsyslogd /var/log/syslog",
            ))
            .context(format!("rsyslog does not listen on {}", missing.join(", "))));
        }
        host.clock.sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

fn missing(host: &Host, expected: &Expected, pid: u32) -> anyhow::Result<Vec<String>> {
    let keep = |s: &Socket| s.is_open() && s.local.port() == expected.port;
    let found = facts::sockets(&host.root, &*host.clock, &keep, &[], u64::MAX, Duration::from_secs(2))
        .context("cannot read the sockets of this machine")?;
    let mut families: Vec<(IpAddr, &str)> = vec![(Ipv4Addr::UNSPECIFIED.into(), "IPv4")];
    if expected.ipv6 {
        families.push((Ipv6Addr::UNSPECIFIED.into(), "IPv6"));
    }
    let mut missing = Vec::new();
    for transport in &expected.transports {
        for (any, family) in &families {
            let ours = |s: &&Socket| s.transport == *transport && s.takes(*any) && s.owners.contains(&pid);
            if !found.sockets.iter().any(|s| ours(&s)) {
                missing.push(format!("{} port {} ({family})", transport.word().to_uppercase(), expected.port));
            }
        }
    }
    Ok(missing)
}

/// One marked event for each transport, seen at the agent's port: by a listener of our own where nobody is there, else
/// in the packets that go to the agent.
fn arrived(host: &Host, interrupt: &Interrupt, expected: &Expected) -> anyhow::Result<Proven> {
    let agent = SocketAddr::from((Ipv4Addr::LOCALHOST, expected.agent_port));
    let marked: Vec<(Transport, String)> = expected.transports.iter().map(|t| (*t, build::marker())).collect();
    let missed = match host.net.connect(agent, Duration::from_secs(1)) {
        Ok(_) => through_agent(host, interrupt, expected, &marked)?,
        Err(_) => through_listener(host, interrupt, expected, agent, &marked)?,
    };
    if !missed.is_empty() {
        let words: Vec<&str> = missed.iter().map(|t| t.word()).collect();
        return Err(anyhow::Error::msg(hint("journalctl -u rsyslog -n 50 shows what the daemon says")).context(
            format!(
                "a marked event sent to port {} over {} did not come out at 127.0.0.1:{} within {} s",
                expected.port,
                words.join(" and "),
                expected.agent_port,
                PASS.as_secs()
            ),
        ));
    }
    let words: Vec<&str> = expected.transports.iter().map(|t| t.word()).collect();
    Ok(Proven {
        sentence: format!(
            "a marked event over {} came out at 127.0.0.1:{}",
            words.join(" and over "),
            expected.agent_port
        ),
    })
}

fn through_listener(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    agent: SocketAddr,
    marked: &[(Transport, String)],
) -> anyhow::Result<Vec<Transport>> {
    let listener = Listener::bind(&*host.net, &[agent]).context("cannot stand in for the agent")?;
    send_all(host, interrupt, expected, marked)?;
    let mut seen = BTreeSet::new();
    let limits = Limits { time: Some(PASS), ..Limits::default() };
    listener.run(&*host.clock, interrupt, &limits, None, |frame| {
        seen.extend(marked.iter().filter(|(_, m)| build::has_marker(frame.bytes, m)).map(|(t, _)| *t));
        if seen.len() == marked.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(marked.iter().map(|(t, _)| *t).filter(|t| !seen.contains(t)).collect())
}

fn through_agent(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    marked: &[(Transport, String)],
) -> anyhow::Result<Vec<Transport>> {
    let hop = Hop::tcp(expected.agent_port);
    let markers: Vec<String> = marked.iter().map(|(_, m)| m.clone()).collect();
    let mut watch = Watch::start(&*host.net, Some("lo"), &[hop], &markers);
    send_all(host, interrupt, expected, marked)?;
    let report = watch.wait(&*host.clock, interrupt, PASS, |r| {
        r.sightings.iter().map(|s| &s.marker).collect::<BTreeSet<_>>().len() == markers.len() || r.moved(hop) > 0
    });
    let passed = |marker: &str| report.at(hop, marker).next().is_some() || report.moved(hop) > 0;
    Ok(marked.iter().filter(|(_, m)| !passed(m)).map(|(t, _)| *t).collect())
}

fn send_all(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    marked: &[(Transport, String)],
) -> anyhow::Result<()> {
    let name = facts::identity().hostname;
    for (transport, marker) in marked {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, expected.port));
        let plan = Plan::new(
            match transport {
                Transport::Udp => send::Transport::Udp,
                Transport::Tcp => send::Transport::Tcp,
            },
            to,
        );
        let message = build::message(Shape::Cef, &Stamp::now(name.as_str(), &*host.clock), marker, 1);
        let summary = send::send(&*host.net, &*host.clock, interrupt, &plan, [message]);
        if let Some(error) = summary.error {
            bail!("cannot send to {to} over {}: {error}", transport.word());
        }
    }
    Ok(())
}
