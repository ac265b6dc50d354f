//! What a careful administrator would add to this rsyslog to make it a collector: which listeners are re-used and which
//! are new, where the drop-in goes, whether security events also stay in the local files. Pure: an effective
//! configuration and a wish go in, files and reasons come out.
//!
//! The decision is always made on the configuration *without* our own files, so that a second run comes to the same
//! result as the first.

mod copy;
mod place;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of our `n`th block in files of others, counted from 0.
pub fn block_id(n: usize) -> String {
    if n == 0 { "collector".to_owned() } else { format!("collector-{}", n + 1) }
}

use super::effective::{Effective, Listener, Transport};
use super::render::{self, Block, DropIn, OwnInput, TcpModule};
use crate::agent::{AgentKind, AgentTarget};
use crate::syslog::{ConfigSource, Location, Text};

/// What the user wants of the collector.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Port that devices send to.
    pub port: u16,
    pub transports: Vec<Transport>,
    pub agent: AgentTarget,
    pub local_copy: LocalCopy,
    pub rewrite_ids: bool,
    pub octet_counting: bool,
    /// Disk space of the queue, MB.
    pub queue_disk: u32,
    /// Named in the drop-in's header.
    pub receipt: PathBuf,
}

/// Whether security events also go through the daemon's other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalCopy {
    Auto,
    Keep,
    Drop,
}

/// The daemon as found.
pub struct Found<'a> {
    /// The whole configuration, our own files left out.
    pub config: &'a Effective,
    /// The same files.
    pub source: &'a dyn ConfigSource,
    /// Of the daemon.
    pub version: (u32, u32, u32),
    /// The work directory to set where the configuration sets none.
    pub work_directory: PathBuf,
    /// The daemon's module imptcp is installed.
    pub imptcp: bool,
}

/// How the events of one transport come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake {
    pub transport: Transport,
    pub port: u16,
    /// The listener that was there before; none: ours.
    pub reused: Option<Location>,
}

/// What to add, and why.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Path and content of our drop-in.
    pub drop_in: (PathBuf, Vec<u8>),
    /// Lines to insert into files that are not ours.
    pub insertions: Vec<Insertion>,
    pub intakes: Vec<Intake>,
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

/// Why this configuration cannot be made a collector without somebody's decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal { what: what.into(), hint: hint.into() }
    }
}

/// Decides what to add.
///
/// # Errors
/// Where going on would double events, take traffic away from somebody, or have no effect.
pub fn decide(found: &Found<'_>, wish: &Wish) -> Result<Collector, Refusal> {
    let config = found.config;
    refuse_second_forward(config, wish)?;
    let mut notes = Vec::new();
    let mut intakes = Vec::new();
    let mut reused = Vec::new();
    for &transport in &wish.transports {
        let listener = existing(config, transport, wish.port)?;
        intakes.push(Intake { transport, port: wish.port, reused: listener.map(|l| l.at.clone()) });
        if let Some(listener) = listener {
            notes.push(format!(
                "{} port {} is already open by {}: that listener is used as it is",
                word(transport),
                wish.port,
                listener.at
            ));
            reused.push(listener);
        }
    }
    let copies = copy::decide(config, &reused, wish, &mut notes);
    let rulesets = place::rulesets(config, &reused);
    let names_off = names_off(config);
    let set_max_message_size = config.setting("maxMessageSize").is_none();
    let tcp_module = tcp_module(found, names_off, set_max_message_size);
    let drop_in = DropIn {
        version: found.version,
        receipt: wish.receipt.clone(),
        agent_port: wish.agent.port,
        forward: wish.agent.kind != AgentKind::Ama,
        inputs: own_inputs(config, wish, &intakes, tcp_module),
        tcp_module,
        block: if rulesets.default { if copies.reused { Block::Keep } else { Block::Stop } } else { Block::None },
        callable: !rulesets.named.is_empty(),
        keep_own: copies.own,
        rewrite_ids: wish.rewrite_ids,
        queue_disk: wish.queue_disk,
        work_directory: config.setting("workDirectory").is_none().then(|| found.work_directory.clone()),
        set_max_message_size,
        keep_tabs: config.setting("parser.escapeControlCharacterTab").is_none(),
        names_off,
        keep_repeats: is_switched(config, "RepeatedMsgReduction", true),
    };
    let calls = place::calls(found, &rulesets)?;
    let (path, bytes, insertions) = placed(found, wish, drop_in, calls)?;
    Ok(Collector { drop_in: (path, bytes), insertions, intakes, notes, work_directory: work_directory(found) })
}

/// The folder queues spill into: as configured, else the one we set.
fn work_directory(found: &Found<'_>) -> PathBuf {
    let set = found.config.setting("workDirectory");
    set.map_or_else(|| found.work_directory.clone(), |s| PathBuf::from(s.value.to_str_lossy().as_ref()))
}

/// A path for the drop-in at which it works. Where somebody's module line comes behind every drop-in (at the end of the
/// main file, say) our input goes behind that line: loading the module ourselves would void its parameters.
fn placed(
    found: &Found<'_>,
    wish: &Wish,
    mut drop_in: DropIn,
    calls: Vec<Insertion>,
) -> Result<(PathBuf, Vec<u8>, Vec<Insertion>), Refusal> {
    let mut insertions = calls.clone();
    let bytes = render::render(&drop_in);
    let refusal = match place::drop_in(found, wish, &bytes, &mut insertions) {
        Ok(path) => return Ok((path, bytes, in_order(insertions))),
        Err(refusal) => refusal,
    };
    let mut insertions = calls;
    for n in 0..drop_in.inputs.len() {
        let Some(input) = drop_in.inputs.get(n).filter(|i| !i.load_module) else { continue };
        insertions.extend(place::behind_module(found, &drop_in, input));
        if let Some(input) = drop_in.inputs.get_mut(n) {
            input.elsewhere = true;
        }
    }
    if !drop_in.inputs.iter().any(|i| i.elsewhere) {
        return Err(refusal);
    }
    let bytes = render::render(&drop_in);
    let path = place::drop_in(found, wish, &bytes, &mut insertions).map_err(|_| refusal)?;
    Ok((path, bytes, in_order(insertions)))
}

/// From the end of each file on, so that one insertion does not move the place of the next.
fn in_order(mut insertions: Vec<Insertion>) -> Vec<Insertion> {
    insertions.sort_by(|a, b| a.file.cmp(&b.file).then(b.at.cmp(&a.at)));
    insertions
}

/// The plain listener of a transport and port that takes events from the network.
fn existing(config: &Effective, transport: Transport, port: u16) -> Result<Option<&Listener>, Refusal> {
    let on_port: Vec<&Listener> =
        config.listeners.iter().filter(|l| l.transport == transport && l.port_number() == Some(port)).collect();
    if let Some(listener) = on_port.iter().find(|l| l.tls.is_some()) {
        return Err(Refusal::new(
            format!("{} port {port} is a TLS listener ({})", word(transport), listener.at),
            format!("choose another port with --port, or leave {} out of --protocol", word(transport).to_lowercase()),
        ));
    }
    // of several the one bound last gets the datagrams (facts 5.6)
    let wide = on_port.iter().rev().find(|l| l.address.as_ref().is_none_or(is_any));
    match (wide, on_port.first()) {
        (Some(listener), _) => Ok(Some(listener)),
        (None, None) => Ok(None),
        (None, Some(listener)) => Err(Refusal::new(
            format!(
                "{} port {port} is open on {} only ({}), and a second listener would compete with it",
                word(transport),
                listener.address.as_ref().map(ToString::to_string).unwrap_or_default(),
                listener.at
            ),
            "remove the address from that listener, or choose another port with --port",
        )),
    }
}

fn is_any(address: &Text) -> bool {
    matches!(&*address.to_str_lossy(), "" | "*" | "0.0.0.0" | "::" | "[::]")
}

/// Name lookups go where nobody can miss them: on a box without network listeners.
fn names_off(config: &Effective) -> bool {
    let network = config.listeners.iter().any(|l| l.transport != Transport::Other);
    // with it off, the box's own full name is no longer looked up either
    let full_name = is_switched(config, "preserveFQDN", true);
    !network && !full_name && config.setting("net.enableDNS").is_none()
}

fn tcp_module(found: &Found<'_>, names_off: bool, large_messages: bool) -> TcpModule {
    let names_off = names_off || is_switched(found.config, "net.enableDNS", false);
    if found.imptcp { TcpModule::best(found.version, names_off, large_messages) } else { TcpModule::Imtcp }
}

fn is_switched(config: &Effective, setting: &str, on: bool) -> bool {
    config.setting(setting).and_then(|s| s.value.switch()) == Some(on)
}

fn own_inputs(config: &Effective, wish: &Wish, intakes: &[Intake], tcp: TcpModule) -> Vec<OwnInput> {
    intakes
        .iter()
        .filter(|i| i.reused.is_none())
        .map(|i| {
            let module = if i.transport == Transport::Udp { "imudp" } else { tcp.name() };
            OwnInput {
                transport: i.transport,
                port: wish.port,
                load_module: config.module(module).is_none(),
                octet_counting: wish.octet_counting,
                elsewhere: false,
            }
        })
        .collect()
}

/// Two forwards to one port would deliver every event twice.
fn refuse_second_forward(config: &Effective, wish: &Wish) -> Result<(), Refusal> {
    if wish.agent.kind == AgentKind::Ama {
        return Ok(());
    }
    let second = config.forwards().find(|(action, forward)| {
        action.enabled && forward.is_loopback() && forward.port_number() == Some(wish.agent.port)
    });
    match second {
        None => Ok(()),
        Some((action, _)) => Err(Refusal::new(
            format!(
                "{} already forwards to 127.0.0.1:{}; a second forward would deliver every event twice",
                action.at, wish.agent.port
            ),
            "remove that rule (or comment it out) and run the command again",
        )),
    }
}

/// UDP, TCP.
pub fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Relp => "RELP",
        Transport::Other => "another transport's",
    }
}

/// The candidate: present files with what would change. The real blocks have comment lines around them, which mean
/// nothing to the daemon.
fn overlay(
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

/// The path of a file as text for messages.
fn show(path: &Path) -> String {
    crate::ui::text::visible(&path.to_string_lossy())
}
