//! Judgements on what devices send, and on what the kernel loses of it.

use super::case::Case;
use super::facts::{Facts, FileState, TrafficFacts};
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::Listener;
use super::ports;
use super::words;
use crate::agent::AgentKind;
use crate::host::proc_net::{Socket, Transport};
use crate::message::lint::Level;
use crate::message::lint::live::Traffic;
use crate::message::lint::tally::{Clock, Sender};
use crate::report::traffic as text;

/// Events a second that the agents' makers measured (field failures 0).
const OMS_RATE: u64 = 8_500;
const AMA_RATE: u64 = 10_000;
/// Senders named in one finding.
const MOST_SENDERS: usize = 8;

/// Datagrams thrown away on the UDP sockets of some ports; `None` where the kernel does not say.
pub fn drops(facts: &Facts, ports: &[u16]) -> Option<u64> {
    let net = facts.net.as_ref().ok()?;
    let counted: Vec<u64> =
        ports.iter().flat_map(|port| net.open(Transport::Udp, *port)).filter_map(|s| s.drops).collect();
    (!counted.is_empty()).then(|| counted.iter().sum())
}

fn watched<'a>(case: &Case<'a>) -> Result<&'a TrafficFacts, NotJudged> {
    let none = || NotJudged::Skip("only while somebody watches: add `--watch 30`".into());
    let traffic = case.facts.traffic.as_ref().ok_or_else(none)?;
    match &traffic.seen.blind {
        Some(why) if traffic.seen.tally.messages == 0 => Err(NotJudged::Unknown(why.clone())),
        _ => Ok(traffic),
    }
}

/// What was seen, for checks that say something about messages.
pub(super) fn messages<'a>(case: &Case<'a>) -> Result<&'a Traffic, NotJudged> {
    let seen = &watched(case)?.seen;
    if seen.tally.messages == 0 {
        return Err(NotJudged::Skip("no message arrived that could be read".into()));
    }
    Ok(seen)
}

pub fn arriving(case: &Case<'_>) -> Judged {
    let seen = &watched(case)?.seen;
    let port = words::list(&case.ports().iter().map(u16::to_string).collect::<Vec<_>>());
    let time = format!("{:.0} s", seen.milliseconds as f64 / 1000.0);
    if seen.tally.messages == 0 && seen.encrypted.is_empty() {
        return Ok(Outcome::warn(format!("nothing arrived on port {port} within {time}"))
            .seen("packets of all interfaces", format!("none to port {port} with a message in it"))
            .advise("watch for longer; then look at the device and at what lies between, or send a test from another machine")
            .command(format!("cefctl send --host {} --port {}", case.facts.host.hostname, case.target.port)));
    }
    if seen.tally.messages == 0 {
        return Ok(Outcome::pass(format!("encrypted connections only: {}", words::list(&seen.encrypted))));
    }
    let senders = words::count(seen.tally.senders.len(), "sender");
    let count = words::count(usize::try_from(seen.tally.messages).unwrap_or(usize::MAX), "message");
    let out = Outcome::pass(format!("{count} from {senders} within {time}"));
    Ok(seen.tally.senders.iter().take(MOST_SENDERS).fold(out, |out, s| {
        out.seen(
            who(s),
            format!("{} messages, {}", s.messages, s.products.keys().cloned().collect::<Vec<_>>().join(", ")),
        )
    }))
}

fn who(sender: &Sender) -> String {
    format!("{} {}", sender.from, sender.transport).trim_end().to_owned()
}

/// What a level means on this box.
fn weight(case: &Case<'_>, level: Level) -> u8 {
    match (level, case.target.agent) {
        (Level::Lost, _) => 2,
        (Level::Foreign, _) => 1,
        // It reads headers leniently.
        (Level::Rebuilt | Level::Odd, AgentKind::Ama) | (Level::Good, _) => 0,
        (Level::Rebuilt, _) if rebuilds(case) => 0,
        (Level::Rebuilt, _) => 2,
        (Level::Odd, _) => 1,
    }
}

/// Is our rule, which rebuilds headers, in place as it was written?
fn rebuilds(case: &Case<'_>) -> bool {
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    receipt.is_some_and(|r| !r.files.is_empty() && r.files.iter().all(|f| f.state == FileState::AsWritten))
}

/// Senders that end events in another way than the listener tells them apart: it loses them, whatever is in them.
fn framing(case: &Case<'_>, seen: &Traffic) -> Option<Outcome> {
    let all = case.listeners().ok()?;
    let mut found = Vec::new();
    for sender in &seen.tally.senders {
        let Some(behind) = sender.transport.strip_prefix("tcp") else { continue };
        let port = behind.strip_prefix('/').and_then(|n| n.parse().ok()).unwrap_or(case.target.port);
        let listeners = ports::listeners(all, Transport::Tcp, port);
        let of = |framing: &str| sender.framing.get(framing).copied().unwrap_or_default();
        let every = |test: fn(&Listener) -> bool| !listeners.is_empty() && listeners.iter().all(|l| test(l));
        if every(|l| l.counted) && of("line-feed") > 0 {
            found.push((who(sender), format!(
                "{} messages end with a line end, and tcp/{port} wants a length in front of each: it closes the connection",
                of("line-feed")
            )));
        }
        if every(|l| l.lines_only) && of("octet-count") > 0 {
            found.push((who(sender), format!(
                "{} messages have their length in front, which means nothing to tcp/{port}: they run into one where no line end follows",
                of("octet-count")
            )));
        }
    }
    let (sender, first) = found.first().cloned()?;
    let other = all.iter().find(|l| l.used && !l.tls && l.counted).and_then(|l| l.number);
    let advice = match other {
        Some(port) => format!(
            "let devices that put a length in front of each message (RFC 6587) send to tcp/{port}, and all others to tcp/{}",
            case.target.port
        ),
        None => "let the device end each message with a line end, without a length in front".into(),
    };
    Some(Outcome::fail(format!("{sender}: {first}")).seen_all(found).advise(advice))
}

pub fn format(case: &Case<'_>) -> Judged {
    let seen = messages(case)?;
    if let Some(out) = framing(case, seen) {
        return Ok(out);
    }
    let worst = |s: &Sender| {
        Level::ALL.iter().filter(|l| s.of_level(**l) > 0).map(|l| weight(case, *l)).max().unwrap_or_default()
    };
    let bad: Vec<&Sender> = seen.tally.senders.iter().filter(|s| worst(s) > 0).collect();
    let Some(level) = bad.iter().map(|s| worst(s)).max() else {
        return Ok(Outcome::pass(text::summary(&seen.tally)));
    };
    let summary = text::summary(&seen.tally);
    let out = if level > 1 { Outcome::fail(summary) } else { Outcome::warn(summary) };
    let mut out = bad.iter().take(MOST_SENDERS).fold(out, |out, s| {
        let lines =
            text::lines(s, None).into_iter().skip(1).filter(|(label, _)| matches!(*label, "" | "odd" | "sample"));
        lines.take(6).fold(out, |out, (_, line)| out.seen(who(s), line))
    });
    let mut advice: Vec<(&str, &str)> = Vec::new();
    for (one, from) in bad.iter().flat_map(|s| s.advice.iter().map(|(a, _)| (a, s.from.as_str()))) {
        if !advice.iter().any(|(text, _)| *text == one.text) {
            advice.push((&one.text, from));
        }
    }
    let steps: Vec<String> = advice.iter().take(4).map(|(text, from)| format!("{from}: {text}")).collect();
    if !steps.is_empty() {
        out = out.advise(steps.join("; "));
    }
    Ok(out)
}

pub fn time(case: &Case<'_>) -> Judged {
    let seen = messages(case)?;
    let timed: Vec<&Sender> = seen.tally.senders.iter().filter(|s| s.time.count > 0).collect();
    if timed.is_empty() {
        return Err(NotJudged::Skip("no message has a time that could be compared".into()));
    }
    let wrong: Vec<&&Sender> = timed.iter().filter(|s| s.time.clock() != Clock::Right).collect();
    if wrong.is_empty() {
        return Ok(Outcome::pass(format!("the times of {} are right", words::count(timed.len(), "sender"))));
    }
    let out = Outcome::warn(format!("the times of {} differ from their arrival", words::count(wrong.len(), "sender")));
    let out = wrong.iter().take(MOST_SENDERS).fold(out, |out, s| out.seen(who(s), text::clock(s)));
    Ok(out.advise("set the device's clock by NTP, and let it send UTC or a time with its zone"))
}

pub fn loss(case: &Case<'_>) -> Judged {
    let net = ports::net(case)?;
    let ports = case.ports();
    let open = || ports.iter().flat_map(|port| net.open(Transport::Udp, *port));
    if open().next().is_none() {
        return Err(NotJudged::Skip(format!("nothing listens on udp/{}", case.target.port)));
    }
    let total =
        drops(case.facts, &ports).ok_or_else(|| "the kernel does not tell how many datagrams it dropped".to_owned())?;
    let watched = case.facts.traffic.as_ref();
    let lately = watched.and_then(|t| t.dropped);
    let missed = watched.map(|t| &t.lost.missed).filter(|m| !m.is_empty());
    let missed_count = missed.map_or(0, |m| m.values().fold(0u64, |all, n| all.saturating_add(*n)));
    let seen = |out: Outcome| machine(case, out, total);
    let out = match (lately, total) {
        (Some(n), _) if n > 0 => Outcome::fail(format!("{n} datagrams were thrown away while somebody watched")),
        _ if missed_count > 0 => {
            let out = Outcome::fail(format!("network cards threw {missed_count} packets away while somebody watched"));
            return Ok(seen(out).advise(
                "the machine does not fetch packets from the card fast enough: enlarge the card's ring (`ethtool -G`), give the machine more processors, or share the load",
            ));
        }
        // What was refused before the daemon had this socket may be mended by now.
        _ if total > 0 && refused_in_clear(case).is_some_and(|n| n >= total) => return Ok(seen(in_clear(case))),
        (_, 0) => {
            let good = || Outcome::pass("no datagram was thrown away since the port was opened");
            return Ok(seen(super::pieces::lost(case).unwrap_or_else(good)));
        }
        (Some(_), _) => {
            let good = || Outcome::pass(format!("none now; {total} datagrams since the port was opened"));
            return Ok(seen(super::pieces::lost(case).unwrap_or_else(good)));
        }
        (None, _) => Outcome::warn(format!("{total} datagrams were thrown away since the port was opened")),
    };
    let out = open().filter(|s| s.drops.unwrap_or_default() > 0).fold(out, |out, s| {
        let buffer = s.recv_buffer.map(|b| format!(", receive buffer {}", words::bytes(b))).unwrap_or_default();
        out.seen(s.display(), format!("{} dropped{buffer}", s.drops.unwrap_or_default()))
    });
    let narrow = |s: &Socket| s.drops.unwrap_or_default() > 0 && s.recv_buffer.is_none_or(|b| b < WIDE);
    if !open().any(narrow) {
        return Ok(seen(out).advise(
            "the receive buffer is as large as `cefctl install` makes it: the daemon was busy or halted, or devices send \
             more than it takes; let them send over TCP, or share the load",
        ));
    }
    // Somebody's own listener keeps the buffer that its owner gave it.
    let ours = super::forward::changed_files(case);
    let fixable = !ours.is_empty();
    Ok(seen(out)
        .seen_all(ours)
        .advise("give the listener a larger receive buffer (rcvbufSize=\"8m\", so-rcvbuf(8388608)), or let devices send over TCP")
        .command(case.install_command())
        .fixable_if(fixable))
}

/// Packets in clear that a policy of IPsec refused; `None`: none.
fn refused_in_clear(case: &Case<'_>) -> Option<u64> {
    let lost = match &case.facts.traffic {
        Some(watched) => &watched.lost,
        None => &case.facts.net.as_ref().ok()?.lost,
    };
    lost.not_encrypted.filter(|n| *n > 0)
}

fn in_clear(case: &Case<'_>) -> Outcome {
    let n = refused_in_clear(case).unwrap_or_default();
    let text = format!(
        "a policy of IPsec on this box has thrown {} away that came in clear",
        words::count(usize::try_from(n).unwrap_or(usize::MAX), "packet")
    );
    Outcome::warn(text)
        .seen("/proc/net/xfrm_stat", format!("{n} (XfrmInNoPols, XfrmInPolBlock, XfrmInTmplMismatch)"))
        .advise("take the devices' networks out of the policy, or let the devices send over that tunnel")
        .command("sudo ip xfrm policy")
}

/// What the kernel counts where 8 MiB were asked for.
const WIDE: u64 = 16 << 20;

/// What the whole machine lost. Whose datagrams they were nobody knows: a daemon that was restarted has a new socket that counts
/// from zero, and other programs have sockets too. So it is told, and judged by nobody.
fn machine(case: &Case<'_>, out: Outcome, of_ports: u64) -> Outcome {
    let Ok(net) = &case.facts.net else { return out };
    let full = net.lost.full_buffers.filter(|n| *n > of_ports);
    let out = match full {
        Some(n) => out.seen(
            "all UDP sockets of this machine, since it was started",
            format!("{n} datagrams thrown away; those of sockets that are closed by now are among them"),
        ),
        None => out,
    };
    net.lost.missed.iter().fold(out, |out, (name, n)| {
        out.seen(format!("network card {name}"), format!("{n} packets missed since it was started"))
    })
}

pub fn rate(case: &Case<'_>) -> Judged {
    let seen = messages(case)?;
    let rate = seen.tally.messages.saturating_mul(1000) / seen.milliseconds.max(1);
    let (limit, agent) = match case.target.agent {
        AgentKind::Ama => (AMA_RATE, "Azure Monitor Agent"),
        AgentKind::Oms | AgentKind::None => (OMS_RATE, "Log Analytics agent"),
    };
    let said = format!("{rate} messages a second; the {agent} was measured with {limit}");
    if rate <= limit {
        return Ok(Outcome::pass(said));
    }
    let out = Outcome::warn(said).advise("filter at the devices, or share the load between several collectors");
    Ok(seen.tally.senders.iter().take(3).fold(out, |out, s| out.seen(who(s), format!("{} messages", s.messages))))
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
