//! Judgements on the sockets: is the port open for both families, by the daemon, and by nobody else?

use std::net::IpAddr;

use super::case::Case;
use super::facts::FileState;
use super::outcome::{Judged, NotJudged, Outcome, both};
use super::pipeline::Listener;
use super::ports::{self, Asked, Family, Port};
use super::sandbox;
use super::target::{Daemon, Door};
use super::words;
use crate::host::proc_net::{Socket, Transport};
use crate::host::proc_process::Process;
use crate::platform::certificate::day;

pub fn udp(case: &Case<'_>) -> Judged {
    transport(case, Transport::Udp)
}

pub fn tcp(case: &Case<'_>) -> Judged {
    let Some(port) = case.target.tls else { return transport(case, Transport::Tcp) };
    let door = Door { transport: Transport::Tcp, port, tls: true };
    both(
        transport(case, Transport::Tcp),
        Port::of(case, door)
            .and_then(|port| judged(case, &port))
            .and_then(|listener| both(Ok(listener), pair(case, door)))
            .and_then(|listener| both(Ok(listener), certificate(case, door))),
    )
}

fn transport(case: &Case<'_>, transport: Transport) -> Judged {
    judged(case, &Port::look(case, transport)?)
}

/// Are the files of a pair that `install` made still there? rsyslog itself does not miss them before its next start.
fn pair(case: &Case<'_>, door: Door) -> Judged {
    let gone: Vec<_> = missing_files(case).into_iter().filter(|(path, _)| path.ends_with(".pem")).collect();
    let Some((path, _)) = gone.first() else { return Err(NotJudged::Skip("nothing is missing".into())) };
    let text =
        format!("{path} is gone: tls/{} does not work without it, at the latest after the next start", door.port);
    Ok(Outcome::fail(text)
        .seen_all(gone)
        .advise("have cefctl make a new pair, and give devices the new ca.pem")
        .command(case.install_command())
        .fixable())
}

/// A certificate that is good for fewer seconds than this is spoken of.
const SOON: i64 = 30 * 24 * 60 * 60;

/// What the TLS listener showed when the test event was sent.
fn certificate(case: &Case<'_>, door: Door) -> Judged {
    let Some(shown) = case.facts.tls_probe.as_ref().and_then(|p| p.certificate.as_ref()) else {
        return Err(NotJudged::Skip("its certificate was not looked at".into()));
    };
    let (port, until) = (door.port, day(shown.not_after));
    let seen = |out: Outcome| {
        out.seen(
            format!("tls/{port}"),
            format!("certificate for {}, by {}, until {until}", shown.names.join(", "), shown.issuer),
        )
    };
    let left = shown.not_after - case.facts.taken;
    if left >= SOON {
        return Ok(seen(Outcome::pass(format!("its certificate is good until {until}"))));
    }
    let out = match left < 0 {
        true => {
            Outcome::fail(format!("the certificate of tls/{port} has expired on {until}: devices that look refuse it"))
        }
        false => {
            Outcome::warn(format!("the certificate of tls/{port} expires on {until}: devices that look will refuse it"))
        }
    };
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    let own = receipt.is_some_and(|r| r.tls_pair.is_none() && r.files.iter().any(|f| f.path.ends_with("/cert.pem")));
    Ok(match own {
        true => seen(out)
            .advise("have cefctl make a new one, and give devices the new ca.pem")
            .command(case.install_command())
            .fixable(),
        false => seen(out)
            .advise("have it renewed, then let the daemon read it again")
            .command(format!("sudo systemctl restart {}", case.unit_name())),
    })
}

fn judged(case: &Case<'_>, port: &Port<'_>) -> Judged {
    if let Some(out) = elsewhere(case, port) {
        return Ok(out);
    }
    if port.listeners.is_empty() {
        return if port.own.is_empty() { not_configured(case, port) } else { Ok(no_longer_configured(case, port)) };
    }
    if port.is_loopback_only() {
        return Ok(loopback_only(case, port));
    }
    if let Some(out) = nobodys_address(case, port) {
        return Ok(out);
    }
    let families = port.families();
    if families.iter().any(|f| port.is_taken(*f)) {
        return Err(NotJudged::Blocked("listen.owner", format!("another program has {}", port.display())));
    }
    let closed: Vec<Family> = families.iter().copied().filter(|f| !port.is_open(*f)).collect();
    if !closed.is_empty() || families.is_empty() {
        return Ok(not_open(case, port, &closed));
    }
    if let Some(out) = turned_away(case, port) {
        return Ok(out);
    }
    if families == [Family::V6] && port.serves(Family::V4) {
        return Ok(v6_only(case, port));
    }
    let words: Vec<&str> = families.iter().map(|f| f.word()).collect();
    let limited = if families.len() == 1 && case.facts.host.ipv6 { ", as configured" } else { "" };
    Ok(Outcome::pass(format!("{} is open over {}{limited}", port.display(), words::list(&words)))
        .seen_all(port.listeners.iter().map(|l| (l.at.to_string(), "listener")))
        .seen_all(port.own.iter().map(|s| (s.display(), owners(case, s)))))
}

/// What devices use is IPv4: on a box that has such an address they send there.
fn v6_only(case: &Case<'_>, port: &Port<'_>) -> Outcome {
    let name = port.display();
    let interfaces = case.facts.firewall.as_ref().map(|f| f.interfaces.as_slice()).unwrap_or_default();
    let v4 = |ip: &&IpAddr| ip.is_ipv4() && !ip.is_loopback();
    let own: Vec<&IpAddr> = interfaces.iter().flat_map(|i| &i.addresses).filter(v4).collect();
    let by_v6 = case.target.source.is_some_and(|ip| ip.is_ipv6());
    let text = format!("{name} is open for IPv6 senders only: what devices send over IPv4 does not come in");
    let make = if own.is_empty() || by_v6 { Outcome::warn } else { Outcome::fail };
    let out = make(text)
        .seen_all(port.listeners.iter().map(|l| (l.at.to_string(), format!("address {}", address(l)))))
        .seen_all(port.own.iter().map(|s| (s.display(), owners(case, s))))
        .seen_all(own.iter().map(|ip| (ip.to_string(), "an address of this box")))
        .advise("let the daemon listen on IPv4 too: take the address out of that listener, or add another one");
    // Ours can stand beside it.
    let beside = case.target.daemon == Daemon::Rsyslog && !port.tls;
    if beside { out.command(case.install_command()).fixable() } else { out }
}

/// A daemon with a list of senders throws away what others send, although their packets arrive.
fn turned_away(case: &Case<'_>, port: &Port<'_>) -> Option<Outcome> {
    let listener = ports::winner(&port.listeners, port.transport)?;
    let senders = listener.senders.as_ref().filter(|s| !s.admits_all())?;
    let (name, list) = (port.display(), senders.display());
    let out = match case.target.source {
        Some(source) => match senders.admits(source) {
            Some(true) => return None,
            Some(false) => Outcome::fail(format!("the daemon takes {name} events of {list} only, and not of {source}")),
            None => Outcome::unknown(format!(
                "whether the daemon takes {name} events of {source} hangs on its name: {list}"
            )),
        },
        None => Outcome::warn(format!("the daemon takes {name} events of {list} only; other devices are not heard")),
    };
    let remedy = format!(
        "add the devices' networks to $AllowedSender at {}, then restart the daemon",
        words::list(&senders.at.iter().map(ToString::to_string).collect::<Vec<_>>(),)
    );
    Some(
        out.seen_all(senders.at.iter().map(|at| (at.to_string(), "$AllowedSender")))
            .seen_all(port.own.iter().map(|s| (s.display(), owners(case, s))))
            .advise(remedy)
            .command(format!("sudo systemctl restart {}", case.unit_name())),
    )
}

/// A daemon in another network has its ports there: neither reading its files again nor our drop-in changes that.
fn elsewhere(case: &Case<'_>, port: &Port<'_>) -> Option<Outcome> {
    if !is_asked_for(case, port) {
        return None;
    }
    let unit = format!("{}.service", case.unit_name());
    let found = sandbox::elsewhere(case.facts, case.daemon(), &unit)?;
    let out = Outcome::fail(format!(
        "{} cannot be reached: {} gives {} a network of its own, so no device reaches it and it does not reach the agent",
        port.display(),
        found.cause,
        case.unit_name()
    ))
    .seen_all(port.listeners.iter().map(|l| (l.at.to_string(), "listener")))
    .seen_all(case.process().map(|p| (p.display(), "is in another network namespace")))
    .seen_all(case.unit_changes())
    .advise(found.advice);
    Some(found.commands.into_iter().fold(out, Outcome::command))
}

/// Is the transport one that this box is to have?
fn is_asked_for(case: &Case<'_>, port: &Port<'_>) -> bool {
    let t = case.target;
    !port.listeners.is_empty() || t.promised.is_empty() || t.is_promised(port.transport)
}

/// The check that says that the daemon is in another network, where it is.
pub fn blocked_elsewhere(case: &Case<'_>) -> Result<(), NotJudged> {
    let named = |t: Transport| Port::look(case, t).is_ok_and(|port| elsewhere(case, &port).is_some());
    let by = match () {
        () if named(Transport::Udp) => "listen.udp",
        () if named(Transport::Tcp) => "listen.tcp",
        () => return Ok(()),
    };
    Err(NotJudged::Blocked(by, "the daemon has a network of its own".into()))
}

fn not_configured(case: &Case<'_>, port: &Port<'_>) -> Judged {
    let t = case.target;
    let unused = unused(case, port);
    let text = match unused.first() {
        Some((at, _)) => {
            format!("{at} asks for {}, but no log path names it: the daemon does not open it", port.display())
        }
        None => format!("nothing in the configuration listens on {}", port.display()),
    };
    let add = |out: Outcome| out.advise("let the daemon listen").command(case.install_command()).fixable();
    let missing = missing_files(case);
    let changed = super::forward::changed_files(case);
    if port.tls || t.is_promised(port.transport) {
        let out =
            Outcome::fail(format!("{text}, but {} asks for it", t.promised_by)).seen_all(missing).seen_all(changed);
        let out = out.seen_all(unused);
        return Ok(add(out.seen("configuration", format!("no {} listener on port {}", port.word(), port.number))));
    }
    if t.promises() {
        return Err(NotJudged::Skip(format!("{} asks for other transports only", t.promised_by)));
    }
    let other = if port.transport == Transport::Udp { Transport::Tcp } else { Transport::Udp };
    let out = if Port::look(case, other)?.is_good() {
        Outcome::warn(format!("{text}; devices that send {} are not heard", port.transport.word().to_uppercase()))
    } else {
        Outcome::fail(text)
    };
    Ok(add(out.seen_all(missing).seen_all(changed).seen_all(unused).seen("configuration", case.files_read())))
}

/// Listeners for the port in sources that no log path names.
fn unused(case: &Case<'_>, port: &Port<'_>) -> Vec<(String, String)> {
    let on_port =
        |l: &&Listener| !l.used && l.transport == port.transport && l.number == Some(port.number) && l.tls == port.tls;
    let all = case.listeners().unwrap_or_default().iter().filter(on_port);
    all.map(|l| (l.at.to_string(), format!("{}, in no log path", l.shown))).collect()
}

/// The daemon goes on with what it read at its start; the next restart closes the port.
fn no_longer_configured(case: &Case<'_>, port: &Port<'_>) -> Outcome {
    let missing = missing_files(case);
    let gone = match missing.first() {
        Some((path, _)) => format!(": {path} is gone"),
        None => String::new(),
    };
    Outcome::fail(format!("{} is open, but its listener is no longer configured{gone}", port.display()))
        .seen_all(port.own.iter().map(|s| (s.display(), owners(case, s))))
        .seen_all(missing)
        .advise("put the listener back before the daemon is restarted, which would close the port")
        .command(case.install_command())
        .fixable()
}

/// Files that `install` wrote and that are not there any more.
pub fn missing_files(case: &Case<'_>) -> Vec<(String, String)> {
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref);
    let files = receipt.map(|r| r.files.as_slice()).unwrap_or_default();
    let gone = files.iter().filter(|f| f.state == FileState::Missing);
    gone.map(|f| (f.path.clone(), "written by `cefctl install`, not there any more".to_owned())).collect()
}

fn loopback_only(case: &Case<'_>, port: &Port<'_>) -> Outcome {
    let out = Outcome::fail(format!("{} listens on loopback only: no device can reach it", port.display()))
        .seen_all(port.listeners.iter().map(|l| (l.at.to_string(), format!("address {}", address(l)))));
    if port.transport == Transport::Udp {
        // A second socket on all addresses takes what is sent to the others.
        return out
            .advise("let the daemon listen on the other addresses too: `install` adds a listener beside that one")
            .command(case.install_command())
            .fixable();
    }
    out.advise("take the address out of the listener, then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name()))
        .fixable_if(port.listeners.iter().all(|l| case.is_changed(&l.at.file)))
}

/// Every listener asks for an address that no interface has. rsyslog opens the socket all the same (IP_FREEBIND), and
/// nothing ever arrives at it.
fn nobodys_address(case: &Case<'_>, port: &Port<'_>) -> Option<Outcome> {
    let interfaces = &case.facts.firewall.as_ref().ok()?.interfaces;
    let own = |ip: &IpAddr| {
        ip.is_unspecified() || ip.is_loopback() || interfaces.iter().flat_map(|i| &i.addresses).any(|a| a == ip)
    };
    let foreign = |l: &&Listener| matches!(l.asked, Asked::Ip(ip) if !own(&ip.to_canonical()));
    if interfaces.is_empty() || !port.listeners.iter().all(foreign) {
        return None;
    }
    let shown = port.listeners.iter().map(|l| (l.at.to_string(), format!("address {}", address(l))));
    let first = port.listeners.first().map(|l| address(l)).unwrap_or_default();
    let own = interfaces.iter().filter(|i| !i.loopback).flat_map(|i| &i.addresses).map(ToString::to_string);
    let own: Vec<String> = own.collect();
    let own = if own.is_empty() { "none but loopback".to_owned() } else { own.join(", ") };
    Some(
        Outcome::fail(format!(
            "{} listens on {first}, which is no address of this box: nothing arrives",
            port.display()
        ))
        .seen_all(shown)
        .seen("addresses of this box", own)
        .advise("take the address out of the listener, or put the right one in, then restart the daemon")
        .command(format!("sudo systemctl restart {}", case.unit_name()))
        .fixable_if(port.listeners.iter().all(|l| case.is_changed(&l.at.file))),
    )
}

fn address(listener: &Listener) -> String {
    listener.address.as_ref().map_or_else(|| "any".to_owned(), |a| a.to_string())
}

fn not_open(case: &Case<'_>, port: &Port<'_>, closed: &[Family]) -> Outcome {
    let words: Vec<&str> = closed.iter().map(|f| f.word()).collect();
    let over =
        if words.is_empty() || words.len() > 1 { String::new() } else { format!(" over {}", words::list(&words)) };
    // What devices use is IPv4; without it nothing of theirs arrives.
    let v6_alone = closed == [Family::V6] && port.is_open(Family::V4);
    let make = if v6_alone { Outcome::warn } else { Outcome::fail };
    let out = make(format!("{} is configured but not open{over}", port.display()))
        .seen_all(port.listeners.iter().map(|l| (l.at.to_string(), format!("listener, address {}", address(l)))))
        .seen_all(port.own.iter().map(|s| (s.display(), owners(case, s))))
        .seen_all(binding_errors(case));
    let unit = format!("{}.service", case.unit_name());
    let forbidden = sandbox::forbidden(case.facts.unit(&unit), closed);
    if let Some(first) = forbidden.first() {
        let word = if forbidden.len() > 1 { "network sockets".to_owned() } else { format!("{} sockets", first.word()) };
        return out
            .seen_all(case.unit_changes())
            .advise(format!(
                "RestrictAddressFamilies= in {unit} forbids the daemon {word}: add AF_INET and AF_INET6 there"
            ))
            .command(format!("systemctl cat {unit}"))
            .command(format!("sudo systemctl edit {unit}"))
            .command(format!("sudo systemctl restart {unit}"));
    }
    if let Some(why) = sandbox::no_low_ports(case.facts.unit(&unit), case.process(), port.number) {
        return out
            .seen(&unit, &why)
            .seen_all(case.unit_changes())
            .advise(format!(
                "{why}, and ports below 1024 need it: give the unit AmbientCapabilities=CAP_NET_BIND_SERVICE, and have \
                 it in CapabilityBoundingSet= where that is set"
            ))
            .command(format!("systemctl cat {unit}"))
            .command(format!("sudo systemctl edit {unit}"))
            .command(format!("sudo systemctl restart {unit}"));
    }
    let restart = case.load_command();
    let younger = port.listeners.iter().find(|l| case.is_younger_than_daemon(&l.at.file));
    match younger {
        Some(l) => out
            .seen(l.at.file.to_string_lossy(), "was written after the daemon was started")
            .advise("let the daemon read that file: it has not done so yet")
            .command(restart),
        None => {
            let again = format!("sudo systemctl restart {}", case.unit_name());
            out.seen_all(case.unit_changes())
                .advise("restart the daemon and look for its own error; a hardened unit or an address that is not local can forbid the socket")
                .command(again)
                .command(format!("journalctl -u {} -n 20", case.unit_name()))
        }
    }
}

/// What the daemon said about sockets it could not open.
fn binding_errors<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let about = |text: &str| ["socket", "bind", "listener", "/e/2077"].iter().any(|w| text.contains(w));
    let failed = |text: &str| ["rror", "ould not", "annot", "ailed", "denied"].iter().any(|w| text.contains(w));
    case.own_lines()
        .filter(move |l| about(&l.text) && failed(&l.text))
        .take(4)
        .map(|l| (l.source.as_str(), l.text.as_str()))
}

/// Who holds a socket.
pub fn owners(case: &Case<'_>, socket: &Socket) -> String {
    let names: Vec<String> = socket
        .owners
        .iter()
        .map(|pid| case.facts.process(*pid).map_or_else(|| format!("pid {pid}"), Process::display))
        .collect();
    if names.is_empty() { "no process that is visible from here".into() } else { names.join(", ") }
}

pub fn owner(case: &Case<'_>) -> Judged {
    let net = ports::net(case)?;
    let mut taken = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        if !matters(case, transport) {
            continue;
        }
        let (_, foreign) = ports::split(case, net, transport, case.target.port)?;
        taken.extend(foreign);
    }
    if let Some(port) = case.target.tls {
        taken.extend(ports::split(case, net, Transport::Tcp, port)?.1);
    }
    // What is bound to loopback alone takes no device's events.
    let (outside, inside): (Vec<&Socket>, Vec<&Socket>) =
        taken.into_iter().partition(|s| ports::outside(s, Family::V4) || ports::outside(s, Family::V6));
    let Some(first) = outside.first().or(inside.first()) else {
        return Ok(Outcome::pass(format!("port {} is used by nobody but the daemon", case.target.port)));
    };
    if first.owners.is_empty() && just_started(case) {
        let why = format!("{} was restarted while this was looked at: run it again", case.unit_name());
        return Err(NotJudged::Unknown(why));
    }
    let text = format!("{} belongs to {}", first.display(), owners(case, first));
    let out = if outside.is_empty() { Outcome::warn(format!("{text} (loopback only)")) } else { Outcome::fail(text) };
    let all = outside.iter().chain(&inside).map(|s| (s.display(), owners(case, s)));
    Ok(stop_it(case, out.seen_all(all), first))
}

/// Seconds within which a restart disturbs what is looked at side by side.
const FRESH: i64 = 2;

fn just_started(case: &Case<'_>) -> bool {
    let unit = case.facts.unit(&format!("{}.service", case.unit_name()));
    unit.is_some_and(|u| !u.state.is_active() || u.since.is_some_and(|since| case.facts.taken - since <= FRESH))
}

/// A transport that neither the configuration nor a promise speaks of is nobody's concern: 514/tcp is also `rsh`.
fn matters(case: &Case<'_>, transport: Transport) -> bool {
    let configured = |t| case.listeners().is_ok_and(|all| !ports::listeners(all, t, case.target.port).is_empty());
    let any = configured(Transport::Udp) || configured(Transport::Tcp);
    match case.target.promises() {
        false => !any || configured(transport),
        true => configured(transport) || case.target.is_promised(transport),
    }
}

fn stop_it(case: &Case<'_>, out: Outcome, socket: &Socket) -> Outcome {
    let holder = socket.owners.iter().find_map(|pid| case.facts.process(*pid));
    let restart = format!("sudo systemctl restart {}", case.unit_name());
    let port = socket.local.port();
    match holder {
        Some(p) if p.container.is_some() => out
            .advise("a container has the port: publish another one for it, then restart the daemon")
            .command(restart),
        Some(p) if p.pid == 1 => out
            .advise("a socket unit has the port: disable the one that is listed, then restart the daemon")
            .command(format!("systemctl list-sockets | grep -w {port}"))
            .command(restart),
        Some(p) => match p.unit.as_deref().filter(|u| u.ends_with(".service") && !u.starts_with("user@")) {
            Some(unit) => out
                .advise(format!("stop {} or move it to another port, then restart the daemon", p.comm))
                .command(format!("sudo systemctl disable --now {unit}"))
                .command(restart),
            None => out
                .advise(format!("end {} or move it to another port, then restart the daemon", p.comm))
                .command(format!("sudo kill {}", p.pid))
                .command(restart),
        },
        None => out
            .advise("find the program (another container or PID namespace?) and move it to another port, then restart the daemon")
            .command(format!("sudo ss -lntup 'sport = :{port}'"))
            .command(restart),
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
