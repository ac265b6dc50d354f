//! What a careful administrator would add to this syslog-ng to make it a collector: which listeners are re-used and
//! which are new, where the drop-in goes, who else forwards to the agent already, what becomes of local copies. Pure: an
//! effective configuration and a wish go in, files and reasons come out.
//!
//! The decision is always made on the configuration *without* our own files, so that a second run comes to the same
//! result as the first.

mod place;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::effective::{DestKind, Effective, Family, Framing, ListenerAt, ReadSetting, Transport};
use super::render::{self, Azure, RenderError, Stack, TlsListener, Wanted};
use super::version::Program;
use crate::agent::ama::Entry;
use crate::agent::{AgentKind, AgentTarget};
use crate::syslog::collector::{self, Collector, Intake, LocalCopy, Refusal, TlsWish, Wish, in_order};
use crate::syslog::{ConfigSource, Text};

/// The daemon as found.
pub struct Found<'a> {
    /// The whole configuration, our own files left out.
    pub config: &'a Effective,
    /// The same files.
    pub source: &'a dyn ConfigSource,
    /// How the program reads them.
    pub setting: &'a ReadSetting,
    pub program: &'a Program,
    pub stack: Stack,
    /// No other program has the port of the wish: the daemon does not start when it cannot have a port.
    pub counted_port_free: bool,
    /// Where the daemon keeps its disk queues.
    pub work_directory: PathBuf,
}

/// Decides what to add.
///
/// # Errors
/// Where going on would double events, take traffic away from somebody, or have no effect.
pub fn decide(found: &Found<'_>, wish: &Wish) -> Result<Collector, Refusal> {
    let config = found.config;
    let mut notes = Vec::new();
    let mut intakes = Vec::new();
    let mut render_for = Vec::new();
    for kind in kinds(wish) {
        let port = if kind == Transport::Tls { wish.tls.as_ref().map_or(0, |t| t.port) } else { wish.port };
        let there = existing(config, kind, port)?;
        intakes.extend(intakes_of(found, wish, (kind, port), &there));
        let beside = inside_only(&there);
        let done = !there.is_empty() && !beside && there.iter().all(|l| reach::is_done(config, l, wish, None));
        if !done {
            render_for.push(kind);
        }
        for listener in &there {
            let everywhere = there.iter().any(|l| l.listener.address.is_none());
            notes.push(note_of(config, listener, wish, (port, done, everywhere), found.stack));
        }
        if kind == Transport::Tls && there.is_empty() && !found.program.version.has_auto_framing() {
            notes.push(format!(
                "syslog-ng {} takes events over TLS line by line: devices that count octets (RFC 5425) need version 4.9 or \
                 later",
                found.program.version
            ));
        }
    }
    let work_directory = found.work_directory.clone();
    if render_for.is_empty() {
        return Ok(Collector { drop_in: None, insertions: Vec::new(), intakes, counted: None, notes, work_directory });
    }
    let wanted = wanted(found, wish, &render_for, &mut notes);
    let drop_in = render::render(config, found.program, &wanted).map_err(|e| refusal(&e))?;
    notes.extend(drop_in.notes.iter().cloned());
    let placed = place::place(found, wish, &drop_in)?;
    if let Some(at) = &placed.diverted {
        notes
            .push(format!("the log path at {at} takes what some devices send for good: that does not go to the agent"));
    }
    if let Some(at) = &placed.dropped {
        notes.push(format!(
            "the log path at {at} drops what some devices send (flags(final), no destination): that does not go to the agent"
        ));
    }
    // The UDP and the TCP driver of one source have the same to tell.
    let mut told = BTreeSet::new();
    notes.retain(|note| told.insert(note.clone()));
    let counted = drop_in.listeners.iter().find(|l| l.counted && l.transport == Transport::Tcp).map(|l| l.port);
    Ok(Collector {
        counted,
        drop_in: Some((placed.path, drop_in.text.into_bytes())),
        insertions: in_order(placed.insertions),
        intakes,
        notes,
        work_directory,
    })
}

fn refusal(error: &RenderError) -> Refusal {
    Refusal::new(error.to_string(), error.hint())
}

/// What is wanted, in the daemon's own terms.
fn kinds(wish: &Wish) -> Vec<Transport> {
    let plain = wish.transports.iter().map(|t| match t {
        collector::Transport::Udp => Transport::Udp,
        collector::Transport::Tcp => Transport::Tcp,
    });
    plain.chain(wish.tls.iter().map(|_| Transport::Tls)).collect()
}

fn word(kind: Transport) -> &'static str {
    match kind {
        Transport::Udp => "UDP",
        Transport::Tls => "TLS",
        _ => "TCP",
    }
}

/// The listeners of a kind and port that take events from the network.
fn existing(config: &Effective, kind: Transport, port: u16) -> Result<Vec<ListenerAt<'_>>, Refusal> {
    let (word, option) = (word(kind), if kind == Transport::Tls { "--tls-port" } else { "--port" });
    let there = config.listeners_on(port, kind);
    if let Some(l) = there.iter().find(|l| l.listener.transport != kind) {
        return Err(Refusal::new(
            format!("{word} port {port} is a listener of another kind ({}: {})", l.driver.at, in_words(l)),
            format!("choose another port with {option}, or leave {} out of --protocol", word.to_lowercase()),
        ));
    }
    // A name means what the resolver says when the daemon starts.
    let unknown = there.iter().find(|l| l.listener.address.is_some() && bound_to(l).is_none());
    // Of UDP, another socket takes what is sent to the other addresses; a second one of TCP the kernel refuses.
    let closed = there.first().filter(|_| inside_only(&there) && kind != Transport::Udp);
    match unknown.or(closed) {
        Some(l) => {
            let address = l.listener.address.as_ref().map(ToString::to_string).unwrap_or_default();
            Err(collector::bound_away(word, port, &address, &l.driver.at, option))
        }
        None => Ok(there),
    }
}

/// Do they take what this box sends to itself and nothing else?
fn inside_only(there: &[ListenerAt<'_>]) -> bool {
    !there.is_empty() && there.iter().all(|l| l.listener.is_inside_only())
}

/// The one address that a listener is bound to.
fn bound_to(l: &ListenerAt<'_>) -> Option<IpAddr> {
    l.listener.ip()
}

fn in_words(l: &ListenerAt<'_>) -> &'static str {
    match l.listener.transport {
        Transport::Tls => "TLS",
        Transport::Tcp => "TCP without TLS",
        _ => "a transport this tool does not know",
    }
}

/// One where any listener takes what is sent to every address, else one for each address.
fn intakes_of(found: &Found<'_>, wish: &Wish, (kind, port): (Transport, u16), there: &[ListenerAt<'_>]) -> Vec<Intake> {
    if there.is_empty() || there.iter().any(|l| l.listener.address.is_none()) {
        return vec![intake(found, wish, (kind, port), there)];
    }
    let one = |l: &ListenerAt<'_>| {
        let address = bound_to(l);
        let (v4, v6) = (address.is_some_and(|ip| ip.is_ipv4()), address.is_some_and(|ip| ip.is_ipv6()));
        Intake { address, v4, v6, ..intake(found, wish, (kind, port), &[*l]) }
    };
    let mut intakes: Vec<Intake> = there.iter().map(one).collect();
    if inside_only(there) {
        intakes.push(Intake { shadowed: true, ..intake(found, wish, (kind, port), &[]) });
    }
    intakes
}

fn intake(found: &Found<'_>, wish: &Wish, (kind, port): (Transport, u16), there: &[ListenerAt<'_>]) -> Intake {
    let stack = found.stack;
    let is = |family| there.iter().any(|l| l.listener.family == family && l.listener.address.is_none());
    let (v4, v6) = match there.is_empty() {
        true => (true, true),
        // One IPv6 socket takes both families, unless the kernel is told otherwise.
        false => (is(Family::V4) || (is(Family::V6) && stack != Stack::Split), is(Family::V6)),
    };
    let transport = if kind == Transport::Udp { collector::Transport::Udp } else { collector::Transport::Tcp };
    let counted = match there.first() {
        Some(l) => l.listener.framing == Framing::OctetCounted,
        None => kind == Transport::Tcp && takes_counts_only(found, wish),
    };
    let (tls, reused) = (kind == Transport::Tls, there.first().map(|l| l.driver.at.clone()));
    Intake {
        transport,
        port,
        tls,
        reused,
        address: None,
        v4,
        v6,
        counted,
        only_of: None,
        absent: false,
        shadowed: false,
    }
}

/// Is the port devices send to to be that of senders who count octets, for lack of one that takes both?
fn takes_counts_only(found: &Found<'_>, wish: &Wish) -> bool {
    wish.octet_counting && wish.counted_port == wish.port && !found.program.version.has_auto_framing()
}

fn note_of(
    config: &Effective,
    l: &ListenerAt<'_>,
    wish: &Wish,
    (port, done, everywhere): (u16, bool, bool),
    stack: Stack,
) -> String {
    let word = word(l.listener.transport);
    let bound = bound_to(l).map(|ip| format!(" on {ip}")).unwrap_or_default();
    let mut note =
        format!("{word} port {port} is already open{bound} by {}: that listener is used as it is", l.driver.at);
    if !everywhere && bound_to(l).is_some_and(|ip| !ip.is_loopback()) {
        note = format!("{note}; devices have to send to that address");
    }
    if l.listener.is_inside_only() && !everywhere {
        note = format!("{note}; one more listener takes what is sent to the other addresses");
    }
    if done {
        note = format!("{note}; its events go to the agent already, so nothing is added to it");
    }
    if bound_to(l).is_none() && l.listener.family == Family::V4 && stack != Stack::V4 {
        note = format!("{note}; it takes IPv4 senders only");
    }
    if l.listener.framing == Framing::OctetCounted {
        note =
            format!("{note}; it takes events with their length in front (RFC 6587) only, and refuses senders of lines");
    }
    if let Some((at, target)) = reach::held_up(config, l, wish) {
        note = format!(
            "{note}; it stands still, and nothing goes to the agent, while {target} takes no events (flags(flow-control) at \
             {at})"
        );
    }
    let files = reach::local_files(config, l);
    if wish.local_copy != LocalCopy::Keep && !files.is_empty() {
        let files: Vec<String> = files.iter().map(ToString::to_string).collect();
        note = format!("{note}; its security events go on being written to {}", files.join(", "));
    }
    note
}

/// What the drop-in is to do.
fn wanted(found: &Found<'_>, wish: &Wish, kinds: &[Transport], notes: &mut Vec<String>) -> Wanted {
    let config = found.config;
    let has = |t| kinds.contains(&t);
    let local: Vec<Text> = config.local_log().cloned().into_iter().collect();
    let tcp = has(Transport::Tcp);
    let second_port = wish.octet_counting && wish.port != wish.counted_port;
    let number = wish.counted_port;
    let counted_port = match second_port {
        true => found.counted_port_free.then_some(number),
        false => takes_counts_only(found, wish).then_some(number),
    };
    if tcp && !found.program.version.has_auto_framing() {
        match counted_port {
            None if second_port => notes.push(format!(
                "TCP port {number} belongs to another program: devices that count octets have no port here; \
                 --counted-port names another one"
            )),
            // The one that is there has a note of its own.
            Some(port) if second_port && !config.listeners_on(port, Transport::Tcp).is_empty() => {}
            // Without a listener of ours for lines there is none for counts.
            Some(_) if second_port && !config.listeners_on(wish.port, Transport::Tcp).is_empty() => {}
            Some(_) if second_port => notes.push(format!(
                "devices that count octets (RFC 6587) send to TCP port {number}: this version of syslog-ng takes one \
                 framing a port"
            )),
            Some(_) => notes.push(format!(
                "TCP port {number} takes devices that count octets (RFC 6587) only; one that sends lines is refused"
            )),
            None => {}
        }
    }
    Wanted {
        agent_port: wish.agent.port,
        port: wish.port,
        udp: has(Transport::Udp),
        tcp,
        tls: wish.tls.as_ref().filter(|_| has(Transport::Tls)).map(tls_listener),
        octet_counting: wish.octet_counting,
        counted_port,
        stack: found.stack,
        copies: if wish.local_copy == LocalCopy::Keep { local.clone() } else { Vec::new() },
        others: local,
        rewrite_ids: wish.rewrite_ids,
        spool: u64::from(wish.queue_disk) << 20,
        azure: azure(config, wish),
        hand_over: wish.hand_over,
        banner: vec![
            format!("Written by cefctl {}, receipt {}.", env!("CARGO_PKG_VERSION"), wish.receipt.display()),
            "cefctl install with other options changes this file, cefctl uninstall removes it; your edits are kept \
             as a copy beside it."
                .to_owned(),
        ],
    }
}

fn tls_listener(tls: &TlsWish) -> TlsListener {
    let text = |path: &Path| Text::from(path.to_string_lossy().as_ref());
    TlsListener { port: tls.port, key: text(&tls.key), certificate: text(&tls.certificate), counted: false }
}

/// How the Azure Monitor Agent gets the events, and which sources its own file has for it already.
fn azure(config: &Effective, wish: &Wish) -> Option<Azure> {
    let entry = match wish.agent.kind {
        AgentKind::Ama => wish.azure.unwrap_or(Entry::Tcp(wish.agent.port)),
        AgentKind::Oms | AgentKind::None => wish.azure?,
    };
    let beside = wish.agent.kind != AgentKind::Ama;
    // As if it were the only one, which it is once it has been proven.
    let port = if let Entry::Tcp(port) = entry { port } else { wish.agent.port };
    let alone = Wish { agent: AgentTarget { kind: AgentKind::Ama, port }, ..wish.clone() };
    let done = config.listeners().into_iter().filter(|l| l.used && reach::is_done(config, l, &alone, None));
    let fed = done.filter_map(|l| l.source.name.clone()).collect();
    Some(Azure { entry, beside, fed })
}

/// Does a driver lead to the agent?
fn leads_to_agent(kind: &DestKind, wish: &Wish) -> bool {
    match kind {
        DestKind::Forward(f) => f.is_loopback() && f.port_number() == Some(wish.agent.port),
        DestKind::Unix { path, .. } => {
            wish.agent.kind == AgentKind::Ama && path.to_str_lossy().starts_with("/run/azuremonitoragent/")
        }
        _ => false,
    }
}

/// The main file's folder: what is beside it is ours to name.
fn folder(config: &Effective) -> &Path {
    config.main.parent().unwrap_or(Path::new("/"))
}
