//! The proof at the end of an install, asked while everything can still be taken back: the daemon runs, the sockets are
//! really bound on both address families, and a marked event sent to each transport comes out at the agent's port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, bail};

use super::daemon::Daemon;
use super::said;
use crate::check::gather::security;
use crate::cli::exit::hint;
use crate::host::proc_net::{Socket, Transport};
use crate::host::{Host, Interrupt, facts, tls};
use crate::message::build::{self, Shape, Stamp};
use crate::message::capture::{Hop, Watch};
use crate::message::receive::{Limits, Listener};
use crate::message::send::{self, Plan};
use crate::message::tls::{Tls, Trust};
use crate::platform::service_act::Services;
use crate::syslog::collector::Intake;

/// How long the daemon may take to bind its sockets.
const BIND: Duration = Duration::from_secs(10);
/// How long an event may take through the daemon.
const PASS: Duration = Duration::from_secs(10);
/// How long each step of a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What must be true.
pub struct Expected {
    pub daemon: Daemon,
    /// Where events come in, over the IP versions that this box has.
    pub doors: Vec<Intake>,
    /// What our own TLS listener must show (DER).
    pub certificate: Option<Vec<u8>>,
    pub agent_port: u16,
    /// The agent itself listens there, at the latest after the change: nobody stands in for it.
    pub agent_listens: bool,
    /// Why events cannot be followed to the agent's port; `None`: they can.
    pub unproven: Option<String>,
    /// An earlier install has collected events, which may wait for an agent: a stand-in would be given them, and they
    /// would be lost.
    pub collected: bool,
}

/// How it was proven, for people.
pub struct Proven {
    pub sentence: String,
}

/// The proof, with what had to be ready before the change.
pub struct Proof<'a> {
    host: &'a Host,
    interrupt: &'a Interrupt,
    expected: Expected,
    /// Stands in for the agent where nobody is there. Open before the daemon takes its configuration: syslog-ng connects
    /// then, and tries again only after some seconds.
    stand_in: Option<anyhow::Result<Listener>>,
    begun: jiff::Timestamp,
}

impl<'a> Proof<'a> {
    pub fn prepare(host: &'a Host, interrupt: &'a Interrupt, mut expected: Expected) -> Self {
        let begun = host.clock.now();
        let agent = SocketAddr::from((Ipv4Addr::LOCALHOST, expected.agent_port));
        let there = expected.agent_listens
            || expected.unproven.is_some()
            || host.net.connect(agent, Duration::from_secs(1)).is_ok();
        if !there && expected.collected {
            let why = "nobody listens at the agent's port yet, and no test event was sent, so that none of the events that \
                       wait for the agent is lost";
            expected.unproven = Some(why.to_owned());
            return Proof { host, interrupt, expected, stand_in: None, begun };
        }
        let stand_in = (!there).then(|| Listener::bind(&*host.net, &[agent]));
        Proof { host, interrupt, expected, stand_in, begun }
    }

    /// Proves it.
    ///
    /// # Errors
    /// The first thing that is not as it should be, with what was seen.
    pub fn prove(&mut self) -> anyhow::Result<Proven> {
        let pid = self.running()?;
        self.bound(pid)?;
        if let Some(why) = &self.expected.unproven {
            self.handshakes()?;
            return Ok(Proven { sentence: format!("{}; {why}", self.open()) });
        }
        self.arrived()
    }

    /// `port 514 is open`
    fn open(&self) -> String {
        let mut ports: Vec<u16> = self.expected.doors.iter().map(|d| d.port).collect();
        ports.dedup();
        let words: Vec<String> = ports.iter().map(ToString::to_string).collect();
        match words.as_slice() {
            [one] => format!("port {one} is open"),
            _ => format!("ports {} are open", words.join(" and ")),
        }
    }

    /// TLS can be proven without an event.
    fn handshakes(&self) -> anyhow::Result<()> {
        for door in self.expected.doors.iter().filter(|d| d.tls && !d.is_silent() && tls::is_possible()) {
            let to = door.local();
            let tcp = self.host.net.connect(to, HANDSHAKE).with_context(|| format!("cannot connect to {to}"))?;
            let opened = trusted(&self.expected)?.open(tcp, HANDSHAKE);
            opened.with_context(|| format!("the TLS listener on port {} refuses a connection", door.port))?;
        }
        Ok(())
    }

    fn running(&self) -> anyhow::Result<u32> {
        let unit = self.expected.daemon.unit();
        let state = Services::detect(self.host).state(unit)?;
        match state.main_pid {
            Some(pid) if state.is_active() => Ok(pid),
            _ => bail!("{unit} is not running after the change"),
        }
    }

    /// Where to look for the cause: at what a security module has just refused the daemon, else at the daemon's own words.
    fn say(&self, else_: &str) -> String {
        let since = self.begun.as_second();
        match security::newest_refusal(self.host, since) {
            Some(refusal) => hint(format!("{refusal}; `cefctl explain {}` says what to do", refusal.check())),
            None => hint(format!("{else_}: {}", self.expected.daemon.where_it_speaks())),
        }
    }

    /// Every wanted socket, by the daemon itself, within the limit.
    fn bound(&self, pid: u32) -> anyhow::Result<()> {
        let (clock, daemon) = (&self.host.clock, self.expected.daemon);
        let end = clock.monotonic() + BIND;
        let mut pause = Duration::from_millis(5);
        loop {
            let missing = missing(self.host, &self.expected, pid)?;
            if missing.is_empty() {
                return Ok(());
            }
            if clock.monotonic() >= end || self.interrupt.is_set() {
                let say = self.say("the daemon's own lines say why");
                let why = said::complaints(self.host, daemon);
                let what = format!("{} does not listen on {}{why}", daemon.name(), missing.join(", "));
                return Err(anyhow::Error::msg(say).context(what));
            }
            clock.sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// One marked event for each transport, seen at the agent's port: by a listener of our own where nobody is there,
    /// else in the packets that go to the agent.
    fn arrived(&mut self) -> anyhow::Result<Proven> {
        let stand_in = self.stand_in.take();
        let (host, interrupt, expected) = (self.host, self.interrupt, &self.expected);
        // A processor that our TLS does not run on proves the rest.
        let can = |d: &&Intake| !d.is_silent() && (!d.tls || tls::is_possible());
        let doors: Vec<&Intake> = expected.doors.iter().filter(can).collect();
        if doors.is_empty() {
            let sentence =
                format!("{}; no test event was sent, because the daemon takes none from this box", self.open());
            return Ok(Proven { sentence });
        }
        let marked: Vec<(&Intake, String)> = doors.iter().map(|d| (*d, build::marker())).collect();
        let missed = match stand_in {
            None => through_agent(host, interrupt, expected, &marked)?,
            Some(Ok(listener)) => through_listener(host, interrupt, expected, listener, &marked)?,
            Some(Err(e)) => return Err(e.context("cannot stand in for the agent")),
        };
        if !missed.is_empty() {
            let words: Vec<String> = missed.iter().map(|d| format!("port {} over {}", d.port, d.word())).collect();
            let say = self.say("what the daemon says");
            return Err(anyhow::Error::msg(say).context(format!(
                "a marked event sent to {} did not come out at 127.0.0.1:{} within {} s{}",
                words.join(" and to "),
                expected.agent_port,
                PASS.as_secs(),
                said::complaints(host, expected.daemon)
            )));
        }
        let words: Vec<&str> = doors.iter().map(|d| d.word()).collect();
        Ok(Proven {
            sentence: format!(
                "a marked event over {} came out at 127.0.0.1:{}",
                words.join(" and over "),
                expected.agent_port
            ),
        })
    }
}

fn missing(host: &Host, expected: &Expected, pid: u32) -> anyhow::Result<Vec<String>> {
    let keep = |s: &Socket| s.is_open() && expected.doors.iter().any(|d| d.port == s.local.port());
    let found = facts::sockets(&host.root, &*host.clock, &keep, &[], u64::MAX, Duration::from_secs(2))
        .context("cannot read the sockets of this machine")?;
    let mut missing = Vec::new();
    for door in &expected.doors {
        let families: [(bool, IpAddr, &str); 2] =
            [(door.v4, Ipv4Addr::UNSPECIFIED.into(), "IPv4"), (door.v6, Ipv6Addr::UNSPECIFIED.into(), "IPv6")];
        let which = if door.absent { "on an address that this box does not have" } else { "of that address" };
        let one = door.address.map(|ip| (true, ip, which));
        let asked = if one.is_some() { one.into_iter().collect() } else { families.to_vec() };
        for (_, any, family) in asked.into_iter().filter(|(wanted, ..)| *wanted) {
            let ours = |s: &&Socket| {
                s.transport == door.transport && s.local.port() == door.port && s.takes(any) && s.owners.contains(&pid)
            };
            if !found.sockets.iter().any(|s| ours(&s)) {
                missing.push(format!("{} port {} ({family})", door.word().to_uppercase(), door.port));
            }
        }
    }
    Ok(missing)
}

fn through_listener<'d>(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    listener: Listener,
    marked: &[(&'d Intake, String)],
) -> anyhow::Result<Vec<&'d Intake>> {
    send_all(host, interrupt, expected, marked)?;
    let mut seen = BTreeSet::new();
    let limits = Limits { time: Some(PASS), ..Limits::default() };
    listener.run(&*host.clock, interrupt, &limits, None, |frame| {
        seen.extend(marked.iter().filter(|(_, m)| build::has_marker(frame.bytes, m)).map(|(_, m)| m));
        if seen.len() == marked.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(marked.iter().filter(|(_, m)| !seen.contains(m)).map(|(d, _)| *d).collect())
}

fn through_agent<'d>(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    marked: &[(&'d Intake, String)],
) -> anyhow::Result<Vec<&'d Intake>> {
    let hop = Hop::tcp(expected.agent_port);
    let markers: Vec<String> = marked.iter().map(|(_, m)| m.clone()).collect();
    let mut watch = Watch::start(&*host.net, Some("lo"), &[hop], &markers);
    send_all(host, interrupt, expected, marked)?;
    let report = watch.wait(&*host.clock, interrupt, PASS, |r| {
        r.sightings.iter().map(|s| &s.marker).collect::<BTreeSet<_>>().len() == markers.len() || r.moved(hop) > 0
    });
    let passed = |marker: &str| report.at(hop, marker).next().is_some() || report.moved(hop) > 0;
    Ok(marked.iter().filter(|(_, m)| !passed(m)).map(|(d, _)| *d).collect())
}

/// The certificate we gave it where the listener is ours; where it was there before, its owner knows.
fn trusted(expected: &Expected) -> anyhow::Result<Tls> {
    let trust = expected.certificate.clone().map_or(Trust::Anybody, Trust::Exactly);
    Ok(Tls::new(&trust, "127.0.0.1")?)
}

fn send_all(
    host: &Host,
    interrupt: &Interrupt,
    expected: &Expected,
    marked: &[(&Intake, String)],
) -> anyhow::Result<()> {
    let name = facts::identity().hostname;
    for (door, marker) in marked {
        let to = door.local();
        let mut plan = Plan::new(
            match door.transport {
                Transport::Udp => send::Transport::Udp,
                Transport::Tcp => send::Transport::Tcp,
            },
            to,
        );
        if door.tls {
            plan = plan.with_tls(trusted(expected)?);
        }
        if door.counted {
            plan.framing = send::Framing::OctetCount;
        }
        let message = build::message(Shape::Cef, &Stamp::now(name.as_str(), &*host.clock), marker, 1);
        let summary = send::send(&*host.net, &*host.clock, interrupt, &plan, [message]);
        if let Some(error) = summary.error {
            bail!("cannot send to {to} over {}: {error}", door.word());
        }
    }
    Ok(())
}
