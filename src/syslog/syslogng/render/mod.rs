//! Our drop-in, as text. Pure: what the box has (configuration, program, wishes) goes in, the file comes out.
//!
//! Our own source reads lines as they come (`flags(no-parse)`), so that nothing of what the daemon's parsers do to a
//! header can harm an event, and the good majority costs one pattern. What the agent would drop or take wrongly gets a
//! new header from what the old one said. One arrangement serves all versions from 3.5 on; docs/syslog-ng.md has the
//! reasons and the figures.

mod dates;
mod header;
mod patterns;
mod splice;
mod text;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::effective::{Effective, Format, Framing, ListenerAt, Ref, Transport};
use super::version::{Program, Version};
use crate::agent::ama::{Entry, files};
use crate::syslog::{Location, Text};

/// What is wanted of the drop-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The agent's TCP port on 127.0.0.1.
    pub agent_port: u16,
    /// Port to listen on.
    pub port: u16,
    pub udp: bool,
    pub tcp: bool,
    pub tls: Option<TlsListener>,
    /// Take in TCP senders that count octets (RFC 6587) too: on the same port from 4.9 on, where a line that starts with a
    /// digit is then read as a count; on `counted_port` before.
    pub octet_counting: bool,
    /// Port for such senders with versions that cannot tell the framings apart on one port. The same as `port`: all TCP
    /// senders there count octets.
    pub counted_port: Option<u16>,
    pub stack: Stack,
    /// Destinations (by name) that get the security events too, in readable form.
    pub copies: Vec<Text>,
    /// Destinations (by name) for what our own ports receive and is no security event; none: it is dropped.
    pub others: Vec<Text>,
    /// Write ids and versions that the agent does not know as ones it knows (`%FTD-` as `%ASA-`, `CEF:1` as `CEF:0`).
    pub rewrite_ids: bool,
    /// Bytes that may wait on disk for the agent.
    pub spool: u64,
    /// The Azure Monitor Agent gets the events. Always by a destination of ours: a name that its own file defines is gone
    /// when the agent takes that file away, and the daemon does not start any more.
    pub azure: Option<Azure>,
    /// With the Azure Monitor Agent alone: what waits in the queue to the agent that was here before goes to `agent_port`.
    /// Nothing new comes to it.
    pub hand_over: bool,
    /// First lines of the file, without `#`.
    pub banner: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            agent_port: 25226,
            port: 514,
            udp: true,
            tcp: true,
            tls: None,
            octet_counting: true,
            counted_port: Some(601),
            stack: Stack::V4,
            copies: Vec::new(),
            others: Vec::new(),
            rewrite_ids: false,
            spool: 1 << 30,
            azure: None,
            hand_over: false,
            banner: Vec::new(),
        }
    }
}

/// How events come to the Azure Monitor Agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Azure {
    pub entry: Entry,
    /// The agent on `agent_port` gets the events as well.
    pub beside: bool,
    /// Sources (by name) whose events the agent has by its own file.
    pub fed: Vec<Text>,
}

/// A TLS listener; clients need no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsListener {
    pub port: u16,
    pub key: Text,
    pub certificate: Text,
    /// Count octets (RFC 5425) instead of lines; versions that can tell them apart take both.
    pub counted: bool,
}

/// Which addresses the box has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// No IPv6: an IPv6 socket would keep the daemon from starting.
    V4,
    /// One IPv6 socket takes IPv4 too (the kernel's default).
    Dual,
    /// `net.ipv6.bindv6only=1`: one socket each.
    Split,
}

/// The drop-in, and what it amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropIn {
    pub path: PathBuf,
    pub text: String,
    /// Ports we open.
    pub listeners: Vec<OwnListener>,
    /// Listeners that are there already and are used.
    pub reused: Vec<Reused>,
    /// What goes into log paths of others.
    pub splices: Vec<Splice>,
    /// The line the main file needs where nothing includes the drop-in.
    pub include: Option<String>,
    /// Are events kept on disk while the agent is away?
    pub reliable: bool,
    /// What an administrator should know.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnListener {
    pub transport: Transport,
    pub port: u16,
    /// Octet counting only.
    pub counted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reused {
    /// None: written in its log path.
    pub source: Option<Text>,
    pub transport: Transport,
    pub port: u16,
    pub at: Location,
}

/// A few lines for a log path whose source has no name, so that nothing else can pass its events on. The path goes on
/// with every event as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    /// The source they go behind.
    pub behind: Location,
    pub text: String,
}

/// Why there is no drop-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("syslog-ng {0} is too old; 3.5 is the oldest version this tool can configure")]
    TooOld(Version),
    #[error("the listener at {at} has no source name, so nothing but its own log path can use it")]
    NoName { at: Location },
    #[error(
        "the listener at {at} puts a name of its own before each event (program-override), in the place of `CEF:` or the \
         id of an ASA event"
    )]
    NameReplaced { at: Location },
    #[error("destination '{0}' is not defined")]
    NoDestination(Text),
    #[error("no transport is wanted")]
    NoTransport,
}

impl RenderError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            RenderError::TooOld(_) => "upgrade syslog-ng".to_owned(),
            RenderError::NoName { .. } => {
                "give the source a name: `source s_net { … };`, and name it in the log path".to_owned()
            }
            RenderError::NameReplaced { .. } => {
                "add flags(store-raw-message) to that listener, or take program-override() or log-prefix() out of it"
                    .to_owned()
            }
            RenderError::NoDestination(_) => "name one of the destinations that the configuration defines".to_owned(),
            RenderError::NoTransport => "ask for UDP, TCP or TLS".to_owned(),
        }
    }
}

/// How the text of an event is had from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    /// `$MESSAGE` is the line as received.
    Raw,
    /// `$RAWMSG` is.
    Kept,
    /// Parsed: put together again.
    Parsed,
}

impl Access {
    /// As names of ours have it.
    fn word(self) -> &'static str {
        match self {
            Access::Raw => "raw",
            Access::Kept => "kept",
            Access::Parsed => "parsed",
        }
    }
}

/// Renders the drop-in for a configuration in which our own file is not there.
pub fn render(config: &Effective, program: &Program, wanted: &Wanted) -> Result<DropIn, RenderError> {
    let version = program.version;
    if version < Version::new(3, 5, 0) {
        return Err(RenderError::TooOld(version));
    }
    for name in wanted.copies.iter().chain(&wanted.others) {
        if config.destination(&Ref::Named(name.clone())).is_none() {
            return Err(RenderError::NoDestination(name.clone()));
        }
    }
    let mut plan = Plan::new(config, program, wanted);
    if wanted.udp {
        plan.listen(Transport::Udp, wanted.port, false)?;
    }
    if wanted.tcp {
        let two_ports = wanted.octet_counting && !version.has_auto_framing();
        let counted = wanted.counted_port.filter(|_| two_ports);
        plan.listen(Transport::Tcp, wanted.port, counted == Some(wanted.port))?;
        if let Some(port) = counted.filter(|port| *port != wanted.port && plan.owns_tcp()) {
            plan.listen(Transport::Tcp, port, true)?;
        }
    }
    if let Some(tls) = &wanted.tls {
        plan.listen(Transport::Tls, tls.port, tls.counted)?;
    }
    if plan.own.is_empty() && plan.reused.is_empty() {
        return Err(RenderError::NoTransport);
    }
    Ok(plan.finish())
}

/// The drop-in in the making.
struct Plan<'a> {
    config: &'a Effective,
    program: &'a Program,
    wanted: &'a Wanted,
    /// Stem of all our names.
    stem: String,
    own: Vec<OwnListener>,
    reused: Vec<Reused>,
    /// Sources that are there already, each once.
    sources: Vec<(Text, Access)>,
    /// Sources without a name, each once: where they stand in their log path.
    unnamed: Vec<(Location, Access)>,
    /// Some lines of one source are parsed, and others not.
    mixed: bool,
    notes: Vec<String>,
}

impl<'a> Plan<'a> {
    fn new(config: &'a Effective, program: &'a Program, wanted: &'a Wanted) -> Self {
        Plan {
            config,
            program,
            wanted,
            stem: free_stem(config),
            own: Vec::new(),
            reused: Vec::new(),
            sources: Vec::new(),
            unnamed: Vec::new(),
            mixed: false,
            notes: Vec::new(),
        }
    }

    /// Uses the listener that is there, or plans one of our own.
    fn listen(&mut self, transport: Transport, port: u16, counted: bool) -> Result<(), RenderError> {
        let found = self.config.listeners_on(port, transport);
        if found.is_empty() {
            self.own.push(OwnListener { transport, port, counted });
            return Ok(());
        }
        if counted && transport == Transport::Tcp && port != self.wanted.port {
            let (at, takes) = (&found[0].driver.at, found[0].listener.framing);
            if takes == Framing::Lines || found.iter().any(|l| l.source.name.is_none() || l.listener.address.is_some())
            {
                // Nothing that they could be told to send to: leave both alone.
                self.notes
                    .push(format!("TCP port {port} is in use at {at}: devices that count octets have no port here"));
                return Ok(());
            }
            self.notes
                .push(format!("devices that count octets (RFC 6587) send to TCP port {port}, open at {at} already"));
        }
        if transport == Transport::Udp && found.iter().all(|l| l.listener.is_inside_only()) {
            self.own.push(OwnListener { transport, port, counted });
        }
        for listener in found {
            self.reuse(&listener, port)?;
        }
        Ok(())
    }

    fn reuse(&mut self, l: &ListenerAt<'_>, port: u16) -> Result<(), RenderError> {
        let at = l.driver.at.clone();
        let access = match (l.listener.format, l.listener.raw_message) {
            // a channel inside the source has a parser of its own
            (Format::Raw, false) if l.source.reworks => Access::Parsed,
            (Format::Raw, _) => Access::Raw,
            (_, true) => Access::Kept,
            _ => Access::Parsed,
        };
        if access == Access::Parsed && l.listener.format != Format::Raw && l.listener.program_name.is_some() {
            return Err(RenderError::NameReplaced { at });
        }
        if let Some(name) = l.listener.host_name.as_ref().filter(|_| access == Access::Parsed) {
            self.notes.push(format!("the source at {at} has host-override(): '{name}' stands for the device's name"));
        } else if access == Access::Parsed && !l.listener.keep_hostname && !l.source.reworks {
            self.notes.push(format!(
                "the source at {at} has keep-hostname(no): the sender's address stands for the device's name"
            ));
        }
        // A source of drivers that differ is read the way that suits all of them.
        let all = |mixed: &mut bool, known: &mut Access| {
            *mixed |= *known != access;
            *known = (*known).max(access);
        };
        match &l.source.name {
            Some(name) => match self.sources.iter_mut().find(|(n, _)| n == name) {
                Some((_, known)) => all(&mut self.mixed, known),
                None => self.sources.push((name.clone(), access)),
            },
            None => {
                let Some(place) = splice::place(self, l.source) else { return Err(RenderError::NoName { at }) };
                match self.unnamed.iter_mut().find(|(p, _)| *p == place) {
                    Some((_, known)) => all(&mut self.mixed, known),
                    None => self.unnamed.push((place, access)),
                }
            }
        }
        self.reused.push(Reused { source: l.source.name.clone(), transport: l.listener.transport, port, at });
        Ok(())
    }

    fn owns_tcp(&self) -> bool {
        self.own.iter().any(|o| o.transport == Transport::Tcp)
    }

    /// Does a destination of ours keep events on disk?
    fn reliable(&self) -> bool {
        self.program.has_disk_buffer()
    }

    /// Does a source's events go to the agent on `agent_port`, to the Azure Monitor Agent?
    fn receivers(&self, source: Option<&Text>) -> (bool, bool) {
        match &self.wanted.azure {
            None => (true, false),
            Some(azure) => (azure.beside, source.is_none_or(|s| !azure.fed.contains(s))),
        }
    }

    fn finish(mut self) -> DropIn {
        let path = self.config.drop_in_folder().join("cefctl.conf");
        let include = self.config.includes_path(&path).is_none().then(|| format!("@include \"{}\"\n", path.display()));
        if !self.reliable() {
            self.notes.push(
                "events that wait for the agent are kept in memory only: a restart of the daemon loses them".to_owned(),
            );
        }
        for (_, driver, forward) in self.config.forwards_to(self.wanted.agent_port) {
            let azures = files::is_own(&driver.at.file);
            if !azures {
                self.notes.push(format!("{} forwards to port {} too", driver.at, forward.port));
            }
        }
        let text = text::write(&self);
        let splices = splice::write(&self);
        DropIn {
            path,
            text,
            reliable: self.reliable(),
            listeners: self.own,
            splices,
            reused: self.reused,
            include,
            notes: self.notes,
        }
    }
}

/// `cefctl`, or with a number behind it where somebody has that name.
fn free_stem(config: &Effective) -> String {
    let names = config.sources.iter().filter_map(|s| s.name.as_ref());
    let names = names.chain(config.destinations.iter().filter_map(|d| d.name.as_ref()));
    let names = names.chain(config.filters.iter().filter_map(|f| f.name.as_ref()));
    let names = names.chain(config.parsers.iter().filter_map(|f| f.name.as_ref()));
    let names = names.chain(config.rewrites.iter().filter_map(|f| f.name.as_ref()));
    let names: Vec<String> = names.map(|n| n.to_string()).collect();
    let free = |stem: &str| {
        let ours = |name: &String| {
            let rest = name.get(2..).unwrap_or_default();
            name.get(1..2) == Some("_") && (rest == stem || rest.starts_with(&format!("{stem}_")))
        };
        !names.iter().any(ours)
    };
    (1..).map(|n| if n == 1 { "cefctl".to_owned() } else { format!("cefctl{n}") }).find(|s| free(s)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
