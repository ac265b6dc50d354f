//! What the box is measured against: which agent on which port, which daemon, which transports were promised. An option
//! beats what the agent itself says, that beats the receipt of `install`, and last come the defaults.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::agents;
use super::case::read_config;
use super::facts::{DaemonFacts, Facts, ReceiptFacts};
use super::flow::is_plain_syslog;
use crate::agent::{AgentFacts, AgentKind, OMS_PORT};
use crate::host::proc_net::Transport;

/// Port devices send to.
pub const SYSLOG_PORT: u16 = 514;

/// As the command line and reports have it.
pub fn agent_word(agent: AgentKind) -> &'static str {
    match agent {
        AgentKind::Oms => "oms",
        AgentKind::Ama => "ama",
        AgentKind::None => "none",
    }
}

fn agent_of(word: &str) -> Option<AgentKind> {
    [AgentKind::Oms, AgentKind::Ama, AgentKind::None].into_iter().find(|a| agent_word(*a) == word)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    Rsyslog,
    SyslogNg,
    None,
}

impl Daemon {
    pub fn word(self) -> &'static str {
        match self {
            Daemon::Rsyslog => "rsyslog",
            Daemon::SyslogNg => "syslog-ng",
            Daemon::None => "none",
        }
    }
    fn of(word: &str) -> Option<Daemon> {
        [Daemon::Rsyslog, Daemon::SyslogNg, Daemon::None].into_iter().find(|d| d.word() == word)
    }
}

/// What the command line says; `None` means `auto`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetOptions {
    pub workspace: Option<String>,
    pub cloud: Option<String>,
    pub agent: Option<AgentKind>,
    pub agent_port: Option<u16>,
    pub daemon: Option<Daemon>,
    pub port: Option<u16>,
    /// Those without TLS.
    pub protocols: Option<Vec<Transport>>,
    /// With `protocols`: TLS is one of them.
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub tls_port: Option<u16>,
    /// The device that is asked about; else any.
    pub source: Option<IpAddr>,
}

impl TargetOptions {
    /// What is said here, and for the rest what `other` says.
    pub fn or(self, other: TargetOptions) -> TargetOptions {
        TargetOptions {
            workspace: self.workspace.or(other.workspace),
            cloud: self.cloud.or(other.cloud),
            agent: self.agent.or(other.agent),
            agent_port: self.agent_port.or(other.agent_port),
            daemon: self.daemon.or(other.daemon),
            port: self.port.or(other.port),
            tls: if self.protocols.is_some() { self.tls } else { other.tls },
            protocols: self.protocols.or(other.protocols),
            tls_port: self.tls_port.or(other.tls_port),
            source: self.source.or(other.source),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub workspace: Option<String>,
    pub cloud: String,
    /// The cloud, where somebody named it.
    pub asked_cloud: Option<String>,
    pub agent: AgentKind,
    pub agent_port: u16,
    /// Who says that this is the agent's port, for people.
    pub agent_port_from: String,
    pub daemon: Daemon,
    pub port: u16,
    /// Transports somebody counts on, those without TLS; empty, and no `tls`: nothing was promised.
    pub promised: Vec<Transport>,
    /// Port of a TLS listener that somebody counts on.
    pub tls: Option<u16>,
    pub promised_by: String,
    /// The device that is asked about; else any.
    pub source: Option<IpAddr>,
}

impl Default for Target {
    fn default() -> Self {
        Target {
            workspace: None,
            cloud: "public".into(),
            asked_cloud: None,
            agent: AgentKind::None,
            agent_port: OMS_PORT,
            agent_port_from: "the default".into(),
            daemon: Daemon::Rsyslog,
            port: SYSLOG_PORT,
            promised: Vec::new(),
            tls: None,
            promised_by: String::new(),
            source: None,
        }
    }
}

/// Port of syslog over TLS (RFC 5425).
pub const TLS_PORT: u16 = 6514;

/// Port for senders that count octets, with a daemon that takes one framing a port, where nobody has said anything (RFC 3195
/// gave it to syslog over TCP).
pub const COUNTED_PORT: u16 = 601;

/// One way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Door {
    pub transport: Transport,
    pub port: u16,
    pub tls: bool,
}

impl Door {
    /// `udp`, `tcp`, `tls`
    pub fn word(self) -> &'static str {
        if self.tls { "tls" } else { self.transport.word() }
    }
}

impl Target {
    pub fn resolve(options: &TargetOptions, facts: &Facts) -> Target {
        let receipt = facts.receipt.as_ref().ok().and_then(Option::as_ref);
        let port = options.port.or(receipt.and_then(|r| r.port)).unwrap_or(SYSLOG_PORT);
        let agent = options.agent.unwrap_or_else(|| find_agent(facts, receipt));
        let daemon = options.daemon.unwrap_or_else(|| find_daemon(facts, receipt, port));
        let (agent_port, agent_port_from) = find_agent_port(options, facts, agent, receipt, daemon);
        let (promised, promised_by) = find_promise(options, receipt);
        let received = receipt.and_then(|r| r.tls_port);
        let tls = if options.protocols.is_some() { options.tls.then_some(TLS_PORT) } else { received };
        let tls = tls.map(|usual| options.tls_port.or(received).unwrap_or(usual));
        Target {
            workspace: options.workspace.clone(),
            cloud: options.cloud.clone().or_else(|| agents::cloud(facts, agent)).unwrap_or_else(|| "public".into()),
            asked_cloud: options.cloud.clone(),
            agent,
            agent_port,
            agent_port_from,
            daemon,
            port,
            promised,
            tls,
            promised_by,
            source: options.source,
        }
    }

    /// Does somebody count on certain transports?
    pub fn promises(&self) -> bool {
        !self.promised.is_empty() || self.tls.is_some()
    }

    /// The ways in that matter: those somebody counts on, else both without TLS.
    pub fn doors(&self) -> Vec<Door> {
        let plain: &[Transport] = if self.promises() { &self.promised } else { &[Transport::Udp, Transport::Tcp] };
        let plain = plain.iter().map(|t| Door { transport: *t, port: self.port, tls: false });
        plain.chain(self.tls.map(|port| Door { transport: Transport::Tcp, port, tls: true })).collect()
    }

    pub fn is_promised(&self, transport: Transport) -> bool {
        self.promised.contains(&transport)
    }
}

/// An installed agent tells more than a receipt written before it came; the receipt tells more than what an agent that is
/// gone left behind.
fn find_agent(facts: &Facts, receipt: Option<&ReceiptFacts>) -> AgentKind {
    let received = || receipt.and_then(|r| agent_of(r.agent.as_deref()?));
    let listens =
        || facts.net.as_ref().is_ok_and(|n| n.open(Transport::Tcp, facts.agents.port(AgentKind::Oms)).next().is_some());
    let meant = facts.agents.meant(|| received().map_or_else(listens, |a| a == AgentKind::Oms));
    match (agents::present(facts), meant) {
        ((AgentKind::Ama, true), AgentKind::Oms) => AgentKind::Oms,
        ((agent, true), _) => agent,
        // Facts that have no more than which files are there.
        ((AgentKind::None, _), agent) if agent != AgentKind::None => agent,
        ((left, _), _) => received().unwrap_or(left),
    }
}

fn find_agent_port(
    options: &TargetOptions,
    facts: &Facts,
    agent: AgentKind,
    receipt: Option<&ReceiptFacts>,
    daemon: Daemon,
) -> (u16, String) {
    if let Some(port) = options.agent_port {
        return (port, "--agent-port".into());
    }
    let input = facts.agents.oms.as_ref().and_then(|o| o.input.as_ref());
    let own = match agent {
        AgentKind::Oms => input.and_then(|i| Some((i.port?, i.file.to_string_lossy().into_owned()))),
        AgentKind::Ama => facts.agents.ama.as_ref().and_then(|a| Some((a.port?, "the agent's syslog.port".to_owned()))),
        AgentKind::None => None,
    };
    let received = receipt.and_then(|r| Some((r.agent_port?, r.path.clone())));
    own.or(received)
        .or_else(|| used_port(facts, daemon))
        .unwrap_or_else(|| (AgentFacts::default().port(agent), "the default".into()))
}

/// Where nobody says which port it is and nobody has the usual one: the port of this machine that the configuration
/// forwards to, if it is one and somebody listens there.
fn used_port(facts: &Facts, daemon: Daemon) -> Option<(u16, String)> {
    let net = facts.net.as_ref().ok()?;
    let listens = |port: u16| net.open(Transport::Tcp, port).next().is_some();
    if listens(OMS_PORT) {
        return None;
    }
    let configs = read_config(facts);
    let forwards = configs.of(daemon)?.forwards();
    let here = forwards.iter().filter(|f| f.enabled && f.loopback && !is_plain_syslog(f));
    let ports: BTreeSet<u16> = here.filter_map(|f| f.number).filter(|p| listens(*p)).collect();
    match ports.into_iter().collect::<Vec<_>>().as_slice() {
        [port] => Some((*port, "the configuration, and somebody listens there".into())),
        _ => None,
    }
}

fn find_promise(options: &TargetOptions, receipt: Option<&ReceiptFacts>) -> (Vec<Transport>, String) {
    match (&options.protocols, receipt) {
        (Some(asked), _) => (asked.clone(), "--protocol".into()),
        (None, Some(r)) => (r.protocols.clone(), r.path.clone()),
        (None, None) => (Vec::new(), String::new()),
    }
}

/// The daemon the receipt names, else the one that runs, else the one that is there. Where both run the one that has
/// the port devices send to, else rsyslog.
fn find_daemon(facts: &Facts, receipt: Option<&ReceiptFacts>, port: u16) -> Daemon {
    if let Some(daemon) = receipt.and_then(|r| Daemon::of(r.daemon.as_deref()?)) {
        return daemon;
    }
    let there = |d: &DaemonFacts| d.program.is_some() || d.pid.is_some();
    let (rsyslog, other) = (&facts.rsyslog, &facts.syslog_ng);
    let other_runs = other.pid.is_some() || facts.unit("syslog-ng.service").is_some_and(|u| u.state.is_active());
    let has_port = |d: &DaemonFacts| {
        let sockets = facts.net.as_ref().map(|n| n.sockets.as_slice()).unwrap_or_default();
        sockets.iter().any(|s| s.is_open() && s.local.port() == port && d.pid.is_some_and(|p| s.owners.contains(&p)))
    };
    match (there(rsyslog), there(other)) {
        (true, true) if other_runs && (rsyslog.pid.is_none() || has_port(other) && !has_port(rsyslog)) => {
            Daemon::SyslogNg
        }
        (true, _) => Daemon::Rsyslog,
        (false, true) => Daemon::SyslogNg,
        (false, false) => Daemon::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::detect::{AmaFacts, OmsFacts, OmsInput};

    fn receipt() -> ReceiptFacts {
        ReceiptFacts {
            path: "/r".into(),
            protocols: vec![Transport::Tcp],
            tls_port: None,
            tls_pair: None,
            port: Some(5514),
            agent: Some("none".into()),
            agent_port: Some(25300),
            daemon: Some("rsyslog".into()),
            local_copy: None,
            files: Vec::new(),
        }
    }

    #[test]
    fn defaults_where_nothing_is_known() {
        let t = Target::resolve(&TargetOptions::default(), &Facts::default());
        assert_eq!(t, Target { daemon: Daemon::None, ..Target::default() });
    }

    #[test]
    fn option_beats_agent_beats_receipt() {
        let mut facts = Facts { receipt: Ok(Some(receipt())), ..Facts::default() };
        let of = |f: &Facts, o: &TargetOptions| Target::resolve(o, f);
        let none = TargetOptions::default();
        let t = of(&facts, &none);
        assert_eq!((t.agent, t.agent_port, t.port, t.agent_port_from.as_str()), (AgentKind::None, 25300, 5514, "/r"));
        assert!(t.is_promised(Transport::Tcp) && !t.is_promised(Transport::Udp));
        let input = OmsInput { file: "/s".into(), port: Some(25400), bind: None, protocol: None };
        facts.agents.oms = Some(OmsFacts { workspaces: Vec::new(), input: Some(input) });
        assert_eq!((of(&facts, &none).agent_port, of(&facts, &none).agent), (25400, AgentKind::Oms));
        facts.agents.ama = Some(AmaFacts { port: Some(28331), asked: true });
        assert_eq!(of(&facts, &none).agent_port, 28331);
        let options = TargetOptions {
            agent_port: Some(1),
            port: Some(2),
            protocols: Some(vec![Transport::Udp]),
            ..TargetOptions::default()
        };
        let t = of(&facts, &options);
        assert_eq!((t.agent_port, t.port, t.promised), (1, 2, vec![Transport::Udp]));
    }

    #[test]
    fn a_port_that_works_is_not_called_wrong() {
        use crate::check::fixture::*;
        let mut facts = with_drop_in(&DROP_IN.replace("25226", "25300"));
        let port = |f: &Facts| Target::resolve(&TargetOptions::default(), f).agent_port;
        assert_eq!(port(&facts), 25226, "somebody has the usual port");
        close(&mut facts, Transport::Tcp, |a| a.port() == 25226);
        assert_eq!(port(&facts), 25226, "nobody listens on the other one");
        add_socket(&mut facts, Transport::Tcp, "127.0.0.1:25300", AGENT);
        assert_eq!(port(&facts), 25300);
    }

    #[test]
    fn the_running_daemon_is_the_one_that_matters() {
        let mut facts = Facts::default();
        facts.syslog_ng.program = Some("/usr/sbin/syslog-ng".into());
        let daemon = |f: &Facts| Target::resolve(&TargetOptions::default(), f).daemon;
        assert_eq!(daemon(&facts), Daemon::SyslogNg);
        facts.rsyslog.program = Some("/usr/sbin/rsyslogd".into());
        assert_eq!(daemon(&facts), Daemon::Rsyslog);
        facts.units = Ok(crate::check::fixture::units(&[("syslog-ng.service", "ActiveState=active\n")]));
        assert_eq!(daemon(&facts), Daemon::SyslogNg);
    }
}
