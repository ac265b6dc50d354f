//! Judgement on the limits of the listeners: what is too narrow cuts events or loses them in bursts. The limits are each
//! daemon's own, what the kernel counts is the same for both.

use super::case::Case;
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::Config;
use super::ports::{self, Family};
use super::target::Daemon;
use super::words;
use crate::host::proc_net::{Socket, SocketState, Transport};
use crate::report::Status;
use crate::syslog::{rsyslog as rs, syslogng as ng};

/// Bytes that a long security event has; what is longer is rare.
const MESSAGE: i64 = 32 << 10;
/// Half of what the kernel counts is what the program asked for: below 1 MiB bursts are lost (baseline: 8 MiB lost none).
const RECEIVE: u64 = 2 << 20;
/// Milliseconds that looking up a sender's name may take: nothing is taken from the socket meanwhile.
const SLOW_LOOKUP: u64 = 500;

/// Events in a second that a single firewall exceeds at its quietest: a listener that takes fewer is no collector. What is
/// merely tight is a warning, until it is seen to lose something.
const TRICKLE: i64 = 1;

/// Place, and what is wrong there.
type Finding = (String, String);

pub fn limits(case: &Case<'_>) -> Judged {
    let all = case.listeners()?;
    let net = ports::net(case)?;
    let ports = case.ports();
    if !all.iter().any(|l| l.used && l.number.is_some_and(|n| ports.contains(&n))) {
        return Err(NotJudged::Skip(format!("nothing is configured to listen on port {}", case.target.port)));
    }
    let sessions_of = |port: u16| {
        net.sockets.iter().filter(|s| s.state == SocketState::Established && s.local.port() == port).count()
    };
    let sessions = ports.iter().map(|port| sessions_of(*port)).sum();
    let (size, mut loses, more) = match case.config()? {
        Config::Rsyslog(config) => {
            let (size, more) = rsyslog(config, &ports, &sessions_of);
            (size, rate_limits(config, &ports), more)
        }
        Config::SyslogNg(config) => {
            let (size, more) = syslog_ng(config, case, &ports, &sessions_of);
            (size, Vec::new(), more)
        }
    };
    let mut findings = [loses.clone(), more].concat();
    for port in &ports {
        let (own, _) = ports::split(case, net, Transport::Udp, *port)?;
        findings.extend(own.iter().flat_map(|socket| narrow_socket(socket)));
    }
    let slow = slow_names(case, &ports)?;
    loses.extend(slow.clone());
    findings.extend(slow);
    // What the test event was lost by comes first, and is no warning any more.
    let lost = loses.first().filter(|_| super::probe::lost_at_port(case, Transport::Udp));
    if let Some(first) = lost {
        findings.retain(|f| f != first);
        findings.insert(0, first.clone());
    }
    let files = super::open_files::judge(case);
    if let Some(out) = files.filter(|o| findings.is_empty() || o.status == Status::Fail) {
        return Ok(out.seen_all(findings));
    }
    let Some((_, first)) = findings.first() else {
        return Ok(Outcome::pass(format!(
            "messages up to {}; {} open now",
            words::bytes(size.unsigned_abs()),
            words::count(sessions, "TCP session")
        )));
    };
    let advice = match case.target.daemon {
        Daemon::SyslogNg => {
            "log-msg-size(65536), so-rcvbuf(8388608) for UDP, max-connections(500) with log-iw-size(50000) for TCP, use-dns(no) where lookups are slow; then let the daemon read its configuration again"
        }
        Daemon::Rsyslog | Daemon::None => {
            "maxMessageSize 64k, rcvbufSize 8m for imudp, maxSessions 500 for imtcp, net.enableDNS off where lookups are slow; then restart the daemon"
        }
    };
    let changed = super::forward::changed_files(case);
    let ours = !changed.is_empty();
    let make = if lost.is_some() || trickles(case, &ports)? { Outcome::fail } else { Outcome::warn };
    let first = match lost {
        Some(_) => format!("the test event was lost: {first}"),
        None => first.clone(),
    };
    let out = make(first).seen_all(findings).seen_all(changed).advise(advice);
    let out = if ours { out.command(case.install_command()) } else { out };
    Ok(out.command(case.load_command()).fixable_if(ours))
}

/// What a datagram socket for senders from outside has too little of.
fn narrow_socket(socket: &Socket) -> Vec<Finding> {
    if !ports::outside(socket, Family::V4) && !ports::outside(socket, Family::V6) {
        return Vec::new();
    }
    let small = socket.recv_buffer.filter(|b| *b < RECEIVE);
    let small = small.map(|buffer| format!("receive buffer of {}", words::bytes(buffer / 2)));
    let dropped = socket.drops.filter(|d| *d > 0);
    let dropped = dropped.map(|drops| format!("{drops} datagrams dropped since the daemon was started"));
    small.into_iter().chain(dropped).map(|text| (socket.display(), text)).collect()
}

/// A listener that will soon turn senders away.
fn full(sessions: usize, most: i64) -> Option<String> {
    let most = usize::try_from(most).unwrap_or_default();
    (sessions * 10 >= most * 8).then(|| format!("{sessions} of {most} TCP sessions are in use"))
}

/// The daemon looks up the name of each new sender, unless told not to.
fn slow_names(case: &Case<'_>, ports: &[u16]) -> Result<Option<Finding>, NotJudged> {
    let looks_up = match case.config()? {
        Config::Rsyslog(config) => {
            let off = config.setting("net.enabledns").and_then(|s| s.value.switch()) == Some(false);
            !off && !case.process().is_some_and(|p| p.cmdline.iter().any(|a| a == "-x"))
        }
        Config::SyslogNg(config) => {
            let ours = |number: Option<u16>| number.is_some_and(|n| ports.contains(&n));
            config.listeners().iter().any(|l| l.used && ours(l.listener.port_number()) && l.listener.use_dns)
        }
    };
    let took = case.facts.host.reverse_lookup_ms.filter(|ms| *ms >= SLOW_LOOKUP && looks_up);
    Ok(took.map(|took| {
        ("reverse lookup of a sender".into(), format!("looking up a new sender's name takes {took} ms or more"))
    }))
}

/// Is there a listener whose rate limit throws away most of what even one device sends?
fn trickles(case: &Case<'_>, ports: &[u16]) -> Result<bool, NotJudged> {
    let Config::Rsyslog(config) = case.config()? else { return Ok(false) };
    Ok(limited(config, ports).any(|(_, limit)| limit.burst < limit.interval.saturating_mul(TRICKLE)))
}

/// What comes faster than a listener's rate limit is thrown away, whatever it is.
fn rate_limits(config: &rs::Effective, ports: &[u16]) -> Vec<Finding> {
    let told = |(l, limit): (&rs::effective::Listener, rs::effective::RateLimit)| {
        let text = format!("more than {} messages in {} s are thrown away (ratelimit)", limit.burst, limit.interval);
        (l.at.to_string(), text)
    };
    limited(config, ports).map(told).collect()
}

/// The listeners that have a rate limit.
fn limited<'a>(
    config: &'a rs::Effective,
    ports: &'a [u16],
) -> impl Iterator<Item = (&'a rs::effective::Listener, rs::effective::RateLimit)> {
    let on_port = config.listeners.iter().filter(|l| l.port_number().is_some_and(|n| ports.contains(&n)));
    on_port.filter_map(|l| Some((l, l.rate_limit.filter(|limit| limit.interval > 0)?)))
}

// ---- rsyslog ----

/// Sessions of imtcp unless told otherwise.
const SESSIONS: i64 = 200;

fn rsyslog(config: &rs::Effective, ports: &[u16], sessions: &dyn Fn(u16) -> usize) -> (i64, Vec<Finding>) {
    let mut findings = Vec::new();
    let size = config.max_message_size();
    if size < MESSAGE {
        let set = config.setting("maxmessagesize");
        let at = set.map_or_else(|| "default".to_owned(), |s| s.at.to_string());
        findings.push((at, format!("messages are cut at {size} bytes")));
    }
    let on_port = || config.listeners.iter().filter(|l| l.port_number().is_some_and(|n| ports.contains(&n)));
    for listener in on_port().filter(|l| l.transport == rs::effective::Transport::Tcp) {
        let unlimited = listener.module == "imptcp" && listener.max_sessions.is_none_or(|n| n == 0);
        let most = listener.max_sessions.unwrap_or(SESSIONS);
        let sessions = sessions(listener.port_number().unwrap_or_default());
        let full = full(sessions, most).filter(|_| !unlimited);
        findings.extend(full.map(|text| (listener.at.to_string(), text)));
    }
    (size, findings)
}

// ---- syslog-ng ----

fn syslog_ng(
    config: &ng::Effective,
    case: &Case<'_>,
    ports: &[u16],
    sessions: &dyn Fn(u16) -> usize,
) -> (i64, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut least = i64::MAX;
    let ours = |number: Option<u16>| number.is_some_and(|n| ports.contains(&n));
    for l in config.listeners().into_iter().filter(|l| l.used && ours(l.listener.port_number())) {
        let (at, listener) = (l.driver.at.to_string(), l.listener);
        let mut say = |text: String| findings.push((at.clone(), text));
        least = least.min(listener.message_size);
        if listener.message_size < MESSAGE {
            say(format!("messages are cut at {} bytes", listener.message_size));
        }
        if !listener.transport.is_stream() {
            continue;
        }
        // The daemon's own limit is so low that one more device may reach it: the next connection is closed at once.
        if listener.max_connections <= ng::lint::FEW_CONNECTIONS {
            say(format!("no more than {} TCP senders at a time (max-connections)", listener.max_connections));
        } else if let Some(text) = full(sessions(listener.port_number().unwrap_or_default()), listener.max_connections)
        {
            say(text);
        }
        // A port of its own for such senders is as it should be.
        let usual = listener.port_number() == Some(case.target.port);
        if usual && listener.framing == ng::effective::Framing::OctetCounted {
            say("senders that end each event with a line end are refused: the driver wants a length before it".into());
        }
    }
    (if least == i64::MAX { 0 } else { least }, findings)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
