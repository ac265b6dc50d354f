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
mod tls;

use std::collections::BTreeMap;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::effective::{Effective, Listener, Transport};
use super::render::{self, Block, DropIn, OwnInput, TcpModule, TlsDriver};
use crate::agent::AgentKind;
use crate::host::proc_net::Transport as Proto;
use crate::syslog::collector::{
    Collector, Insertion, Intake, LocalCopy, Refusal, Wish, bound_away, in_order, overlay, show,
};
use crate::syslog::{ConfigSource, Location, Text};

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
    /// Drivers for TLS that are installed.
    pub tls_drivers: Vec<TlsDriver>,
    /// How to install one.
    pub tls_hint: String,
}

/// What rsyslog takes unless told otherwise, bytes: less is somebody's decision, and too little for security events.
const USUAL_SIZE: i64 = 8096;

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
    let plain = wish.transports.iter().map(|t| (*t, wish.port, false));
    let over_tls = wish.tls.iter().map(|t| (Proto::Tcp, t.port, true));
    for (transport, port, tls) in plain.chain(over_tls) {
        let There { listeners, beside } = existing(config, of_rsyslog(transport), port, tls)?;
        if listeners.is_empty() || beside.is_some() {
            intakes.push(Intake {
                transport,
                port,
                tls,
                reused: None,
                address: None,
                v4: true,
                v6: beside != Some(Beside::V4),
                counted: false,
                only_of: None,
                absent: false,
                shadowed: beside == Some(Beside::Loopback),
            });
        }
        notes.extend(beside.and_then(|beside| beside_note(&listeners, beside, port)));
        for listener in listeners {
            intakes.push(intake(config, listener, transport, port));
            for note in about(config, listener, port) {
                // Both transports have some in common.
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            reused.push(listener);
        }
    }
    let azures = wish.agent.kind == AgentKind::Ama;
    let copies = copy::decide(config, &reused, wish, &mut notes);
    let end = azures && !copies.own && !copies.reused;
    // The Azure Monitor Agent takes events from the default ruleset: nothing may end before it (facts 5.7).
    let copies = if azures { copy::Copies { own: true, reused: true } } else { copies };
    let rulesets = place::rulesets(config, &reused);
    let names_off = names_off(config);
    let set_max_message_size = config.setting("maxMessageSize").is_none();
    let own_tcp = intakes.iter().any(|i| i.reused.is_none() && !i.tls && is_tcp(i));
    let files = match intakes.iter().any(|i| i.reused.is_none() && i.tls) {
        true => tls::files(found, wish)?,
        false => None,
    };
    // All of imtcp has TLS then.
    let ours_is_all = files.is_some() && found.version < render::TLS_AT_INPUT;
    let tcp_module = match speaks_tls(config).filter(|_| own_tcp) {
        Some(at) => beside_tls(found, &at)?,
        None if ours_is_all && own_tcp => tls::need_imptcp(found)?,
        None => tcp_module(found, names_off, set_max_message_size),
    };
    if own_tcp && tcp_module == TcpModule::Imptcp {
        notes.extend(tls::names_are_looked_up(found, names_off));
    }
    let drop_in = DropIn {
        version: found.version,
        receipt: wish.receipt.clone(),
        agent_port: wish.agent.port,
        forward: !azures,
        end: false,
        hand_over: wish.hand_over,
        inputs: own_inputs(config, wish, &intakes, tcp_module),
        tls: files,
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
        plain_driver: config.setting("defaultNetstreamDriver").is_some_and(|s| !s.value.is("ptcp")),
    };
    let calls = place::calls(found, &rulesets, wish)?;
    let late = || placed_late(found, wish, drop_in.clone(), calls.clone());
    let mut chosen = placed(found, wish, drop_in.clone(), calls.clone()).or_else(|refusal| late().ok_or(refusal))?;
    let taken_away = |placed: &Placed| place::taken_away(found, wish, placed);
    if let Some(at) = taken_away(&chosen) {
        match late().filter(|placed| taken_away(placed).is_none()) {
            Some(better) => chosen = better,
            None => notes.push(format!(
                "the rule at {at} takes the events of some devices away before they come to the agent: if they are to \
                 come, move it behind {}",
                show(&chosen.0)
            )),
        }
    }
    let (path, mut bytes, insertions) = chosen;
    if end && place::is_behind_agents_own(config, &path) {
        let ending = DropIn { end, ..drop_in };
        // Only where the same place will do, and nothing is lost by it.
        if let Ok((same, with_end, _)) = placed(found, wish, ending, calls)
            && same == path
        {
            bytes = with_end;
        }
    }
    Ok(Collector {
        drop_in: Some((path, bytes)),
        insertions,
        intakes,
        counted: None,
        notes,
        work_directory: work_directory(found),
    })
}

/// The folder queues spill into: as configured, else the one we set.
fn work_directory(found: &Found<'_>) -> PathBuf {
    let set = found.config.setting("workDirectory");
    set.map_or_else(|| found.work_directory.clone(), |s| PathBuf::from(s.value.to_str_lossy().as_ref()))
}

/// Path and content of the drop-in, and what goes into files of others.
type Placed = (PathBuf, Vec<u8>, Vec<Insertion>);

/// A path for the drop-in at which it works. Where somebody's module line comes behind every drop-in (at the end of the
/// main file, say) our input goes behind that line: loading the module ourselves would void its parameters.
fn placed(found: &Found<'_>, wish: &Wish, mut drop_in: DropIn, calls: Vec<Insertion>) -> Result<Placed, Refusal> {
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

/// The same where the default ruleset takes events away before any drop-in is read, in the main file above its include:
/// the drop-in holds our rulesets, and a block before that rule calls them.
fn placed_late(found: &Found<'_>, wish: &Wish, mut drop_in: DropIn, mut calls: Vec<Insertion>) -> Option<Placed> {
    // The Azure Monitor Agent's own forward stands in a drop-in as well.
    let block = std::mem::replace(&mut drop_in.block, Block::None);
    if !drop_in.forward || block == Block::None {
        return None;
    }
    drop_in.callable = true;
    calls.push(place::call_early(found, block)?);
    placed(found, wish, drop_in, calls).ok()
}

/// Listeners of somebody's on a port that devices send to.
struct There<'a> {
    listeners: Vec<&'a Listener>,
    /// They leave senders out, and one of ours can stand beside them.
    beside: Option<Beside>,
}

/// What a listener of ours takes beside those that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// They are bound to loopback (the usual recipe for HAProxy). Of UDP the kernel gives them what is sent there, and
    /// the rest to the socket of all addresses; a second TCP socket it would refuse.
    Loopback,
    /// They have IPv6 sockets, which rsyslog makes for IPv6 alone.
    V4,
}

/// The listeners of a port that take events from the network. One that is bound to an address gets what is sent there;
/// of several on one address the one bound last gets the datagrams (facts 5.6).
fn existing(config: &Effective, transport: Transport, port: u16, tls: bool) -> Result<There<'_>, Refusal> {
    let (word, option) = if tls { ("TLS", "--tls-port") } else { (word(transport), "--port") };
    let on_port: Vec<&Listener> =
        config.listeners.iter().filter(|l| l.transport == transport && l.port_number() == Some(port)).collect();
    if let Some(listener) = on_port.iter().find(|l| l.tls.is_some() != tls) {
        let kind = if tls { "a listener without TLS" } else { "a TLS listener" };
        return Err(Refusal::new(
            format!("{word} port {port} is {kind} ({})", listener.at),
            format!("choose another port with {option}, or leave {} out of --protocol", word.to_lowercase()),
        ));
    }
    let mut by_address: BTreeMap<Option<IpAddr>, &Listener> = BTreeMap::new();
    for listener in &on_port {
        // A name means what the resolver says when the daemon starts.
        let Ok(asked) = asked(listener) else { return Err(bound(listener, word, port, option)) };
        by_address.insert(asked, listener);
    }
    let is = |test: fn(&IpAddr) -> bool| by_address.keys().flatten().any(test);
    let loopback = |ip: &IpAddr| ip.is_loopback();
    let inside = |ip: &IpAddr| ip.is_loopback() || *ip == IpAddr::from(Ipv6Addr::UNSPECIFIED);
    let beside = match on_port.first() {
        Some(first) if by_address.keys().all(|ip| ip.as_ref().is_some_and(loopback)) => match transport {
            Transport::Udp if !tls => Some(Beside::Loopback),
            _ => return Err(bound(first, word, port, option)),
        },
        Some(_) if !tls && by_address.keys().all(|ip| ip.as_ref().is_some_and(inside)) => {
            let refused = transport == Transport::Tcp && is(|ip| ip.is_loopback() && ip.is_ipv4());
            (!refused).then_some(Beside::V4)
        }
        _ => None,
    };
    Ok(There { listeners: by_address.into_values().collect(), beside })
}

/// The address that a listener asks for; of both families' any, none.
fn asked(listener: &Listener) -> Result<Option<IpAddr>, AddrParseError> {
    let Some(address) = &listener.address else { return Ok(None) };
    match &*address.to_str_lossy() {
        "" | "*" => Ok(None),
        ip => ip.trim_matches(['[', ']']).parse().map(Some),
    }
}

/// Says that ours stands beside theirs.
fn beside_note(listeners: &[&Listener], beside: Beside, port: u16) -> Option<String> {
    let first = listeners.first()?;
    let (word, at) = (word(first.transport), &first.at);
    Some(match beside {
        Beside::Loopback => {
            let address = first.address.as_ref().map(ToString::to_string).unwrap_or_default();
            format!(
                "{word} port {port} is open on {address} only ({at}): one more listener takes what is sent to the other \
                 addresses"
            )
        }
        Beside::V4 => {
            format!("{word} port {port} is open for IPv6 senders only ({at}): one more listener takes those with IPv4")
        }
    })
}

fn bound(listener: &Listener, word: &str, port: u16, option: &str) -> Refusal {
    let address = listener.address.as_ref().map(ToString::to_string).unwrap_or_default();
    bound_away(word, port, &address, &listener.at, option)
}

fn is_any(address: &Text) -> bool {
    matches!(&*address.to_str_lossy(), "" | "*" | "0.0.0.0" | "::" | "[::]")
}

/// The one address that a listener is bound to.
fn bound_to(listener: &Listener) -> Option<IpAddr> {
    let address = listener.address.as_ref().filter(|a| !is_any(a))?;
    address.to_str_lossy().parse().ok()
}

/// Events that come in by somebody's listener.
fn intake(config: &Effective, listener: &Listener, transport: Proto, port: u16) -> Intake {
    let only = |any: &str| listener.address.as_ref().is_some_and(|a| a.is(any));
    let address = bound_to(listener);
    let here = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    Intake {
        counted: false,
        absent: false,
        shadowed: false,
        transport,
        port,
        tls: listener.tls.is_some(),
        reused: Some(listener.at.clone()),
        address,
        v4: address.map_or(!only("::") && !only("[::]"), |a| a.is_ipv4()),
        v6: address.map_or(!only("0.0.0.0"), |a| a.is_ipv6()),
        only_of: config
            .allowed_senders(&listener.module)
            .filter(|s| s.admits(here) == Some(false))
            .map(|s| s.display()),
    }
}

/// What a user may want to know of somebody's listener.
fn about(config: &Effective, listener: &Listener, port: u16) -> Vec<String> {
    let word = if listener.tls.is_some() { "TLS" } else { word(listener.transport) };
    let mut notes = Vec::new();
    if let Some(senders) = config.allowed_senders(&listener.module).filter(|s| !s.admits_all()) {
        notes.push(format!(
            "the {word} listener at {} takes events of {} only ($AllowedSender)",
            listener.at,
            senders.display()
        ));
    }
    let bound = bound_to(listener).map(|ip| format!(" on {ip}")).unwrap_or_default();
    let far = bound_to(listener).is_some_and(|ip| !ip.is_loopback());
    let only = if far { "; devices have to send to that address" } else { "" };
    if let Some(limit) = listener.rate_limit.filter(|limit| limit.interval > 0) {
        notes.push(format!(
            "the {word} listener at {} takes no more than {} events in {} s (rateLimit) and throws the others away",
            listener.at, limit.burst, limit.interval
        ));
    }
    if let Some(set) = config.setting("maxMessageSize").filter(|_| config.max_message_size() < USUAL_SIZE) {
        notes.push(format!("events longer than {} bytes are cut (maxMessageSize at {})", set.value, set.at));
    }
    notes.push(format!(
        "{word} port {port} is already open{bound} by {}: that listener is used as it is{only}",
        listener.at
    ));
    notes
}

/// Name lookups go where nobody can miss them: on a box without network listeners.
fn names_off(config: &Effective) -> bool {
    let network = config.listeners.iter().any(|l| l.transport != Transport::Other);
    // with it off, the box's own full name is no longer looked up either
    let full_name = is_switched(config, "preserveFQDN", true);
    !network && !full_name && config.setting("net.enableDNS").is_none()
}

/// Where imtcp is told to speak TLS at every input that does not say otherwise: a plain one of ours would speak it too.
fn speaks_tls(config: &Effective) -> Option<Location> {
    let module = config.module("imtcp")?;
    let mode = module.params.iter().rev().find(|p| p.name.is("streamdriver.mode")).and_then(|p| p.value.text());
    let told = mode.is_some_and(|m| m.number().map_or(m.switch() == Some(true), |n| n > 0));
    let at =
        || config.listeners.iter().find(|l| l.module == "imtcp" && l.tls.is_some() && l.legacy).map(|l| l.at.clone());
    if told { Some(module.at.clone()) } else { at() }
}

/// imptcp knows no TLS, so that plain senders can come in by it.
fn beside_tls(found: &Found<'_>, at: &Location) -> Result<TcpModule, Refusal> {
    if found.imptcp && found.version >= render::PTCP_SESSIONS {
        return Ok(TcpModule::Imptcp);
    }
    Err(Refusal::new(
        format!("imtcp speaks TLS at every port here ({at}), and this rsyslog has no other module for plain TCP"),
        "leave tcp out of --protocol, or have the devices send with TLS to the port that is there",
    ))
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
            let transport = of_rsyslog(i.transport);
            let module = match transport {
                Transport::Udp => "imudp",
                _ if i.tls => TcpModule::Imtcp.name(),
                _ => tcp.name(),
            };
            OwnInput {
                transport,
                tls: i.tls,
                port: i.port,
                load_module: config.module(module).is_none(),
                v4_only: !i.v6,
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

fn is_tcp(intake: &Intake) -> bool {
    of_rsyslog(intake.transport) == Transport::Tcp
}

fn of_rsyslog(transport: Proto) -> Transport {
    match transport {
        Proto::Udp => Transport::Udp,
        Proto::Tcp => Transport::Tcp,
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
