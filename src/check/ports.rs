//! The port devices send to, from both sides: what the configuration asks for, and which sockets are open and whose
//! they are. IPv4 and IPv6 are always told apart, since each of a listener's two sockets can fail alone (facts 5.4).

use super::case::Case;
use super::facts::NetFacts;
use super::outcome::NotJudged;
pub use super::pipeline::{Asked, Family};
use super::pipeline::{Config, Listener};
use super::target::{Daemon, Door};
use crate::host::proc_net::{Socket, Transport};

/// Plain listeners of one kind on a port that the daemon opens, in the order of the configuration.
pub fn listeners(all: &[Listener], transport: Transport, port: u16) -> Vec<&Listener> {
    behind(all, Door { transport, port, tls: false })
}

/// The listeners of one way in.
pub fn behind(all: &[Listener], door: Door) -> Vec<&Listener> {
    let fits =
        |l: &&Listener| l.used && l.transport == door.transport && l.number == Some(door.port) && l.tls == door.tls;
    all.iter().filter(fits).collect()
}

/// One transport of the port, as it is.
pub struct Port<'a> {
    pub transport: Transport,
    pub tls: bool,
    pub number: u16,
    pub listeners: Vec<&'a Listener>,
    /// Open sockets that are the daemon's.
    pub own: Vec<&'a Socket>,
    /// Open sockets that are somebody else's.
    pub foreign: Vec<&'a Socket>,
    /// Families the host has and the daemon is allowed to use.
    usable: Vec<Family>,
}

impl<'a> Port<'a> {
    /// # Errors
    /// When sockets or their owners cannot be seen, or the configuration cannot be judged.
    pub fn look(case: &'a Case<'_>, transport: Transport) -> Result<Self, NotJudged> {
        Port::of(case, Door { transport, port: case.target.port, tls: false })
    }

    /// # Errors
    /// As [`Port::look`].
    pub fn of(case: &'a Case<'_>, door: Door) -> Result<Self, NotJudged> {
        let all = case.listeners()?;
        let net = net(case)?;
        let (transport, number, tls) = (door.transport, door.port, door.tls);
        let (own, foreign) = split(case, net, transport, number)?;
        let listeners = behind(all, door);
        Ok(Port { transport, tls, number, listeners, own, foreign, usable: usable(case, case.config()?) })
    }

    /// Families that matter here: what a listener asks for and the host has.
    pub fn families(&self) -> Vec<Family> {
        let asked = |f: &Family| self.listeners.iter().any(|l| l.asked.covers(*f) || self.is_dual(l, *f));
        self.usable.iter().copied().filter(asked).collect()
    }

    /// Does the host have this family, and may the daemon use it?
    pub fn serves(&self, family: Family) -> bool {
        self.usable.contains(&family)
    }

    /// An IPv6 socket that stands for IPv4 too, since the configuration has none of its own for that.
    fn is_dual(&self, listener: &Listener, family: Family) -> bool {
        listener.asked == Asked::AnyOf(Family::V6)
            && family == Family::V4
            && self.own.iter().all(|s| s.v6only != Some(true))
    }

    /// Open for senders from outside.
    pub fn is_open(&self, family: Family) -> bool {
        self.own.iter().any(|s| outside(s, family))
    }

    pub fn is_taken(&self, family: Family) -> bool {
        self.foreign.iter().any(|s| outside(s, family))
    }

    /// Does somebody outside reach a listener of the configuration as it stands?
    pub fn is_good(&self) -> bool {
        let families = self.families();
        !families.is_empty() && families.iter().all(|f| self.is_open(*f) && !self.is_taken(*f))
    }

    /// All listeners ask for loopback only.
    pub fn is_loopback_only(&self) -> bool {
        !self.listeners.is_empty() && self.listeners.iter().all(|l| l.asked.is_loopback())
    }

    /// `udp/514`, `tls/6514`
    pub fn display(&self) -> String {
        format!("{}/{}", self.word(), self.number)
    }

    /// `udp`, `tcp`, `tls`
    pub fn word(&self) -> &'static str {
        if self.tls { "tls" } else { self.transport.word() }
    }
}

/// The daemon opens no socket of a family that its command line or configuration forbids.
fn usable(case: &Case<'_>, config: Config<'_>) -> Vec<Family> {
    let argv = case.process().map(|p| p.cmdline.as_slice()).unwrap_or_default();
    let option = |o: &str| case.target.daemon == Daemon::Rsyslog && argv.iter().any(|a| a == o);
    let (v4, v6) = config.families();
    let mut families = Vec::new();
    if v4 && !option("-6") {
        families.push(Family::V4);
    }
    if v6 && case.facts.host.ipv6 && !option("-4") {
        families.push(Family::V6);
    }
    families
}

/// Does the socket take what comes from outside over this family?
pub fn outside(socket: &Socket, family: Family) -> bool {
    let ip = socket.local.ip();
    let specific = !ip.is_unspecified();
    if specific {
        Family::of(ip.to_canonical()) == family && !ip.to_canonical().is_loopback()
    } else {
        socket.takes(family.sample())
    }
}

pub fn net<'a>(case: &'a Case<'_>) -> Result<&'a NetFacts, NotJudged> {
    if !case.facts.host.live {
        return Err(NotJudged::Skip("these are the files of an image that does not run".into()));
    }
    Ok(case.facts.net.as_ref()?)
}

type Split<'a> = (Vec<&'a Socket>, Vec<&'a Socket>);

/// The daemon's sockets and the others'.
///
/// # Errors
/// When a socket's owner cannot be seen by us.
pub fn split<'a>(case: &Case<'_>, net: &'a NetFacts, transport: Transport, port: u16) -> Result<Split<'a>, NotJudged> {
    let (mut own, mut foreign) = (Vec::new(), Vec::new());
    for socket in net.open(transport, port) {
        if socket.owners.is_empty() && !net.owners_complete {
            let why = format!("{} is open, but whose it is can only be seen as root", socket.display());
            return Err(NotJudged::Unknown(why));
        }
        // One that was restarted while the sockets were looked at has another process by now, in the same unit.
        let unit = format!("{}.service", case.unit_name());
        let in_unit = |pid: &u32| {
            case.facts.process(*pid).is_some_and(|p| p.container.is_none() && p.unit.as_ref() == Some(&unit))
        };
        let is_daemon = |pid: &u32| case.daemon_pid() == Some(*pid) || in_unit(pid);
        let ours = socket.owners.iter().any(is_daemon);
        if ours { own.push(socket) } else { foreign.push(socket) }
    }
    Ok((own, foreign))
}

/// The listener that gets what is sent to any of the host's own addresses: of several UDP sockets the one bound last,
/// of several TCP sockets the first (facts 5.6). syslog-ng does not start with two of either kind.
pub fn winner<'a>(listeners: &[&'a Listener], transport: Transport) -> Option<&'a Listener> {
    let mut wide = listeners.iter().filter(|l| l.asked.covers(Family::V4) || l.asked.covers(Family::V6));
    match transport {
        Transport::Udp => wide.next_back(),
        Transport::Tcp => wide.next(),
    }
    .or(listeners.first())
    .copied()
}
