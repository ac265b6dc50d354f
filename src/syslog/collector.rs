//! What is wanted of a collector and what a decision for one comes to, whatever the daemon. The decisions themselves
//! are pure and lie with the languages: [`super::rsyslog::collector`], [`super::syslogng::collector`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{ConfigSource, Location};
use crate::agent::AgentTarget;
use crate::agent::ama::Entry;
pub use crate::host::proc_net::Transport;

/// What the user wants of the collector.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Port that devices send to.
    pub port: u16,
    pub transports: Vec<Transport>,
    /// A TLS listener too.
    pub tls: Option<TlsWish>,
    pub agent: AgentTarget,
    /// Where the Azure Monitor Agent takes events, where it gets them: alone if it is the agent, else beside it.
    pub azure: Option<Entry>,
    pub local_copy: LocalCopy,
    pub rewrite_ids: bool,
    pub octet_counting: bool,
    /// Where TCP senders go that count octets, with a daemon that takes one framing a port (docs/syslog-ng.md).
    pub counted_port: u16,
    /// Disk space of the queue, MB.
    pub queue_disk: u32,
    /// Events wait in our queue for an agent that is no longer the one: they shall go to this one, which has a forward of
    /// its own.
    pub hand_over: bool,
    /// Named in the drop-in's header.
    pub receipt: PathBuf,
}

/// A TLS listener that is wanted; clients need no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsWish {
    pub port: u16,
    /// PEM files, as the daemon will find them: the server's certificate with those that signed it, its key, and what an
    /// authority's certificate is read from where the daemon insists on one.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

impl Wish {
    /// Is it one of the ports that devices send to?
    pub fn has_port(&self, port: u16, tls: bool) -> bool {
        match tls {
            true => self.tls.as_ref().is_some_and(|t| t.port == port),
            false => self.port == port && !self.transports.is_empty(),
        }
    }
}

#[cfg(test)]
impl Wish {
    /// What `install` asks for without an option, for tests.
    pub fn usual() -> Wish {
        Wish {
            port: 514,
            transports: vec![Transport::Udp, Transport::Tcp],
            tls: None,
            agent: AgentTarget { kind: crate::agent::AgentKind::None, port: 25226 },
            azure: None,
            local_copy: LocalCopy::Auto,
            rewrite_ids: false,
            octet_counting: true,
            counted_port: 601,
            queue_disk: 2048,
            hand_over: false,
            receipt: PathBuf::from("/var/lib/cefctl/receipt.json"),
        }
    }
}

/// Whether security events also go through the daemon's other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalCopy {
    Auto,
    Keep,
    Drop,
}

impl LocalCopy {
    /// As options and receipts have it.
    pub fn word(self) -> &'static str {
        match self {
            LocalCopy::Auto => "auto",
            LocalCopy::Keep => "keep",
            LocalCopy::Drop => "drop",
        }
    }
}

/// How the events of one transport come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake {
    pub transport: Transport,
    pub port: u16,
    pub tls: bool,
    /// The listener that was there before; none: ours.
    pub reused: Option<Location>,
    /// The one address of this box that it is bound to; none: all.
    pub address: Option<IpAddr>,
    /// Senders with IPv4, with IPv6 addresses come in by it.
    pub v4: bool,
    pub v6: bool,
    /// Takes events with their length in front only (RFC 6587).
    pub counted: bool,
    /// Whose events alone it takes, where this box is not among them.
    pub only_of: Option<String>,
    /// Its address is not one of this box now (a floating one, say).
    pub absent: bool,
    /// Somebody's listener on 127.0.0.1 takes what is sent there.
    pub shadowed: bool,
}

impl Intake {
    /// `udp`, `tcp`, `tls`
    pub fn word(&self) -> &'static str {
        if self.tls { "tls" } else { self.transport.word() }
    }

    /// Where this box itself reaches it.
    pub fn local(&self) -> SocketAddr {
        let here = match self.v4 {
            true if self.shadowed => Ipv4Addr::new(127, 0, 0, 2).into(),
            true => IpAddr::from(Ipv4Addr::LOCALHOST),
            false => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::from((self.address.unwrap_or(here), self.port))
    }

    /// The daemon takes nothing from this box there, so that no test event can be sent.
    pub fn is_silent(&self) -> bool {
        self.only_of.is_some() || self.absent
    }
}

/// What to add, and why.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Path and content of our drop-in; none where the box does already what is wanted.
    pub drop_in: Option<(PathBuf, Vec<u8>)>,
    /// Lines to insert into files that are not ours.
    pub insertions: Vec<Insertion>,
    pub intakes: Vec<Intake>,
    /// A port of ours beside them, for senders that count octets.
    pub counted: Option<u16>,
    /// Decisions a user may want to know, one sentence each.
    pub notes: Vec<String>,
    /// The folder our queue spills into.
    pub work_directory: PathBuf,
}

/// A marked block for a file that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    pub file: PathBuf,
    /// Byte offset, at the beginning of a line.
    pub at: usize,
    pub text: String,
    pub why: String,
}

/// One line of each kind that must get through, as devices send them (local4.warning, as in all of Microsoft's examples):
/// what `install` makes sure of is what `troubleshoot` asks for.
pub const EVENTS: [&[u8]; 8] = [
    b"<164>Aug  1 10:00:00 fw1 CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1 dst=192.0.2.2",
    b"<164>Aug  1 10:00:00 fw1 CEF: 0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1",
    b"<164>Aug  1 10:00:00 fw1 app[12]: CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1",
    b"<164>1 2026-08-01T10:00:00.123Z fw1 app 1 - - CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1",
    b"<164>CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1",
    b"<164>Aug  1 10:00:00 fw1 %ASA-6-302013: Built outbound TCP connection 1 for outside:192.0.2.1/443",
    b"<164>Aug  1 2026 10:00:00 fw1 : %ASA-6-302013: Built outbound TCP connection 1",
    b"<164>Aug  1 10:00:00 fw1 %FTD-6-302013: Built outbound TCP connection 1 for outside:192.0.2.1/443",
];

/// The name of our `n`th block in files of others, counted from 0.
pub fn block_id(n: usize) -> String {
    if n == 0 { "collector".to_owned() } else { format!("collector-{}", n + 1) }
}

/// Why this configuration cannot be made a collector without somebody's decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal { what: what.into(), hint: hint.into() }
    }
}

/// A port that only a listener of single addresses has, of which nothing comes from the network.
/// `option` chooses another port.
pub fn bound_away(word: &str, port: u16, address: &str, at: &Location, option: &str) -> Refusal {
    Refusal::new(
        format!("{word} port {port} is open on {address} only ({at}), and a second listener would compete with it"),
        format!("remove the address from that listener, or choose another port with {option}"),
    )
}

/// From the end of each file on, so that one insertion does not move the place of the next.
pub fn in_order(mut insertions: Vec<Insertion>) -> Vec<Insertion> {
    insertions.sort_by(|a, b| a.file.cmp(&b.file).then(b.at.cmp(&a.at)));
    insertions
}

/// The candidate: present files with what would change. The real blocks have comment lines around them, which mean
/// nothing to the daemon.
pub fn overlay(
    drop_in: &Path,
    bytes: &[u8],
    insertions: &[Insertion],
    source: &dyn ConfigSource,
) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
    for insertion in in_order(insertions.to_vec()) {
        let before = files.remove(&insertion.file).flatten();
        let mut text = before.unwrap_or_else(|| source.read(&insertion.file).unwrap_or_default());
        if insertion.at >= text.len() && !text.ends_with(b"\n") && !text.is_empty() {
            text.push(b'\n');
            let end = text.len();
            text.splice(end..end, insertion.text.bytes());
            files.insert(insertion.file.clone(), Some(text));
            continue;
        }
        let at = insertion.at.min(text.len());
        text.splice(at..at, insertion.text.bytes());
        files.insert(insertion.file.clone(), Some(text));
    }
    files.insert(drop_in.to_owned(), Some(bytes.to_vec()));
    files
}

/// The beginning of the line that byte `at` is in.
pub fn line_start(text: &[u8], at: usize) -> usize {
    text.get(..at).unwrap_or_default().iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

/// The path of a file as text for messages.
pub fn show(path: &Path) -> String {
    crate::ui::text::visible(&path.to_string_lossy())
}
