//! What a daemon's configuration does with security events, in words that both daemons share: where events come in,
//! where they are passed on, which way a sample takes between. The checks judge these; how either daemon says it is
//! known to `rsyslog` and `syslogng` alone.

mod rsyslog;
mod syslogng;

use super::samples::Sample;
use crate::agent::ama::paths::SOCKET;
use crate::host::proc_net::Transport;
use crate::syslog::rsyslog::senders::Senders;
use crate::syslog::{Location, Text, rsyslog as rs, syslogng as ng};

pub use asked::{Asked, Family};

mod asked;

/// A whole configuration of either daemon.
#[derive(Clone, Copy)]
pub enum Config<'a> {
    Rsyslog(&'a rs::Effective),
    SyslogNg(&'a ng::Effective),
}

/// One port the daemon is told to listen on.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// In the daemon's own list.
    pub id: usize,
    pub transport: Transport,
    pub tls: bool,
    /// Takes events with their length in front only (RFC 6587).
    pub counted: bool,
    /// Takes lines only: a length in front of an event means nothing to it.
    pub lines_only: bool,
    /// As written.
    pub port: Text,
    pub number: Option<u16>,
    pub address: Option<Text>,
    pub asked: Asked,
    /// Its module or driver, and where its events go first: `imudp listener, address any, ruleset x`.
    pub shown: String,
    /// `ruleset x`, `source s_net`: two listeners of one lead send events the same way.
    pub leads_to: String,
    /// The daemon opens it. (syslog-ng leaves a source alone that no log path names.)
    pub used: bool,
    /// Whose events it takes; `None`: everybody's.
    pub senders: Option<Senders>,
    pub at: Location,
}

/// What passes events on to another program or machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// In the daemon's own list.
    pub id: usize,
    /// The daemon does not leave it out.
    pub enabled: bool,
    pub target: Text,
    pub port: Text,
    pub number: Option<u16>,
    /// It stays on this machine.
    pub loopback: bool,
    /// `None`: neither UDP nor TCP.
    pub transport: Option<Transport>,
    pub tls: bool,
    pub compressed: bool,
    pub octet_counted: bool,
    /// Seconds until the next try to connect, where that is fixed.
    pub retry: Option<u64>,
    /// It takes some events only, whatever they say: the setting, and what that means.
    pub rare: Option<(String, String)>,
    /// Where events wait for it, whoever owns that queue.
    pub queue: Queue,
    pub at: Location,
}

/// Where events wait while the target is away.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub storage: Storage,
    /// What it is, as evidence.
    pub shown: String,
    /// Folder it writes to; `None`: the daemon's own one.
    pub folder: Option<Text>,
    /// First part of the names of its files, where the daemon names them after the queue.
    pub file: Option<Text>,
    /// What gets lost all the same, worst first: a sentence, and what was seen.
    pub losses: Vec<(String, String)>,
    /// Most bytes on disk; `None`: no limit.
    pub limit: Option<u64>,
    pub at: Location,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Nothing waits.
    None,
    Memory,
    Disk,
}

/// The way of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    pub sample: &'static Sample,
    /// Forwards it comes to, in order.
    pub visits: Vec<Visit>,
    /// Local files it is written to for sure: place of the rule, file.
    pub files: Vec<(Location, String)>,
    /// It was not followed to its end.
    pub cut_short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    pub forward: usize,
    /// It hangs on something only the running daemon knows.
    pub maybe: bool,
}

/// Why a sample does not come from a listener to a forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// `it is stopped at …`
    pub text: String,
    /// Something takes it away on a way that would lead there.
    pub stopped: bool,
    /// The place that is to blame, and what it does.
    pub place: Option<(String, String)>,
}

/// Two listeners on one port and address.
#[derive(Debug, Clone, PartialEq)]
pub struct Double {
    pub transport: Transport,
    pub number: Option<u16>,
    pub port: Text,
    /// Index in the list of listeners: the one that gets the traffic, and the other.
    pub winner: usize,
    pub loser: usize,
    /// The daemon does not start like this.
    pub refused: bool,
}

impl Config<'_> {
    /// In the order of the configuration.
    pub fn listeners(self) -> Vec<Listener> {
        match self {
            Config::Rsyslog(c) => rsyslog::listeners(c),
            Config::SyslogNg(c) => syslogng::listeners(c),
        }
    }

    pub fn forwards(self) -> Vec<Forward> {
        match self {
            Config::Rsyslog(c) => rsyslog::forwards(c),
            Config::SyslogNg(c) => syslogng::forwards(c),
        }
    }

    /// Two listeners of the list on one port and address.
    pub fn doubles(self, listeners: &[Listener]) -> Vec<Double> {
        match self {
            Config::Rsyslog(_) => rsyslog::doubles(listeners),
            Config::SyslogNg(c) => syslogng::doubles(c, listeners),
        }
    }

    /// The way of a sample that arrives at a listener; without one, where a daemon has a way for such events.
    pub fn way(self, sample: &'static Sample, listener: Option<&Listener>) -> Way {
        match self {
            Config::Rsyslog(c) => rsyslog::way(c, sample, listener),
            Config::SyslogNg(c) => syslogng::way(c, sample, listener),
        }
    }

    /// Where events go first that come in by a listener, or by none.
    pub fn runs_through(self, listener: Option<&Listener>) -> String {
        match (self, listener) {
            (_, Some(listener)) => listener.leads_to.clone(),
            (Config::Rsyslog(c), None) => format!("ruleset {}", c.default_ruleset),
            (Config::SyslogNg(_), None) => "no source".into(),
        }
    }

    /// Forwards whose own filter lets a sample through, wherever they stand and whatever takes it away before.
    pub fn matched(self, sample: &'static Sample) -> Vec<Visit> {
        match self {
            Config::Rsyslog(c) => rsyslog::matched(c, sample),
            Config::SyslogNg(c) => syslogng::matched(c, sample),
        }
    }

    /// Why a sample does not come to a forward; `None` where nothing but its filter is in the way.
    pub fn why_not(self, sample: &Sample, listener: &Listener, forward: usize) -> Option<Why> {
        match self {
            Config::Rsyslog(c) => rsyslog::why_not(c, sample, listener, forward),
            Config::SyslogNg(c) => syslogng::why_not(c, sample, listener, forward),
        }
    }

    /// What takes the events of some devices, but not the sample's, for good before they come to one of the forwards:
    /// the place, and what it does.
    pub fn diversions(self, sample: &Sample, listener: &Listener, forwards: &[usize]) -> Vec<(String, String)> {
        match self {
            Config::Rsyslog(c) => rsyslog::diversions(c, sample, listener, forwards),
            Config::SyslogNg(c) => syslogng::diversions(c, sample, listener, forwards),
        }
    }

    /// What drops the events of some devices before they come to one of the forwards, by somebody's will: the place, and
    /// what it does.
    pub fn drops(self, sample: &Sample, listener: &Listener, forwards: &[usize]) -> Vec<(String, String)> {
        match self {
            // There a rule that drops is overtaken like any other, and named as one.
            Config::Rsyslog(_) => Vec::new(),
            Config::SyslogNg(c) => syslogng::drops(c, sample, listener, forwards),
        }
    }

    /// Forwards to others, besides `to_agent`, that a listener stands still for when they do not take events: the place
    /// that says so, target and port.
    pub fn holding_up(self, listener: &Listener, to_agent: &[usize]) -> Vec<(Location, String, Option<u16>)> {
        match self {
            // Its actions wait in queues of their own or hold up the whole daemon, which is another check's matter.
            Config::Rsyslog(_) => Vec::new(),
            Config::SyslogNg(c) => syslogng::holding_up(c, listener, to_agent),
        }
    }

    pub fn files_read(self) -> usize {
        match self {
            Config::Rsyslog(c) => c.files.len(),
            Config::SyslogNg(c) => c.files.len(),
        }
    }

    /// Families the daemon is allowed to use: by its configuration (`false`: not).
    pub fn families(self) -> (bool, bool) {
        match self {
            Config::Rsyslog(c) => c.allowed_families(),
            Config::SyslogNg(_) => (true, true),
        }
    }
}

impl Forward {
    /// As TCP or UDP without anything around the lines.
    pub fn is_plain(&self, transport: Transport) -> bool {
        self.transport == Some(transport) && !self.tls && !self.compressed && !self.octet_counted
    }

    /// To the unix socket of the Azure Monitor Agent, which has no port.
    fn over_socket(id: usize, queue: Queue, at: &Location) -> Forward {
        Forward {
            id,
            enabled: true,
            target: Text::from(SOCKET),
            port: Text::from(""),
            number: None,
            loopback: true,
            transport: None,
            tls: false,
            compressed: false,
            octet_counted: false,
            retry: None,
            rare: None,
            queue,
            at: at.clone(),
        }
    }

    /// `forwards to 127.0.0.1:25226 over tcp`
    pub fn describe(&self) -> String {
        if self.number.is_none() && self.target == SOCKET {
            return format!("forwards to the unix socket {SOCKET}");
        }
        let over = self.transport.map_or("another protocol", Transport::word);
        let more =
            [(self.tls, " with TLS"), (self.compressed, ", compressed"), (self.octet_counted, ", octet-counted")];
        let more: String = more.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        format!("forwards to {}:{} over {over}{more}", self.target, self.port)
    }
}
