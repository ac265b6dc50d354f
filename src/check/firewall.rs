//! Judgements on what the firewalls of this machine do to the events: on their way in, and over loopback to the agent.

use std::net::{IpAddr, Ipv4Addr};

use super::case::Case;
use super::facts::FirewallFacts;
use super::near;
use super::outcome::{Judged, NotJudged, Outcome};
use super::sandbox::Filter;
use super::target::Door;
use super::words;
use crate::host::proc_net::Transport;
use crate::platform::firewall::answer::{Answer, Block, Verdict};
use crate::platform::firewall::model::{Engine, Family, Hook, Ruleset};
use crate::platform::firewall::opening;
use crate::platform::firewall::owner::{self, Owner};
use crate::platform::firewall::packet::{Moment, TCP, UDP};
use crate::platform::firewall::port::{self, Way};
use crate::platform::firewall::span::Span;
use crate::platform::firewall::walk::Place;
use crate::platform::setting::{Opening, Setting};
use crate::report::{Fix, Status};

/// Networks named in one line.
const MOST_NETWORKS: usize = 6;

/// What cannot be seen from inside, said with every verdict.
const OUTSIDE: &str = "security groups of the cloud and firewalls on the way are not visible from this box";

/// The verdict on one transport by one way.
struct Seen {
    door: Door,
    way: Way,
    answer: Answer,
}

impl Seen {
    fn name(&self) -> String {
        format!("{} port {} by {}", self.door.word().to_uppercase(), self.door.port, self.by())
    }
    fn by(&self) -> String {
        format!("{} ({})", self.way.interface, if self.way.local.is_ipv6() { "IPv6" } else { "IPv4" })
    }
    /// Nearly everybody: only some addresses are shut out.
    fn mostly_open(&self) -> bool {
        self.answer.allowed.size() >= self.answer.asked.size() / 2
    }
    /// Open for some, each by a rule about this port.
    fn chosen(&self) -> bool {
        self.answer.verdict() == Verdict::Partly && !self.mostly_open() && self.on_purpose()
    }
    /// Somebody has opened this very port for those senders.
    fn on_purpose(&self) -> bool {
        let named = self.answer.opened_by.iter().filter(|(_, place)| place.names_port);
        let meant = named.fold(Span::empty(), |all, (who, _)| all.union(who));
        meant.covers(&self.answer.allowed)
    }
}

/// What the daemon's unit itself keeps off, which no firewall shows.
fn by_unit(case: &Case<'_>, source: Option<IpAddr>, what: &str) -> Option<Outcome> {
    let unit = format!("{}.service", case.unit_name());
    let sandbox = &case.facts.unit(&unit)?.sandbox;
    let out = match sandbox.filter(source) {
        Filter::Open => return None,
        Filter::Shut => Outcome::fail(format!("IPAddressDeny in {unit} keeps {what}")),
        Filter::Partly => {
            Outcome::warn(format!("IPAddressDeny in {unit} keeps some networks off port {}", case.target.port))
        }
    };
    Some(
        out.seen("IPAddressDeny", &sandbox.ip_deny)
            .seen("IPAddressAllow", if sandbox.ip_allow.is_empty() { "nobody" } else { &sandbox.ip_allow })
            .advise("allow the devices' networks and loopback in the unit (IPAddressAllow=), then restart the daemon")
            .command(format!("sudo systemctl edit {unit}"))
            .command(format!("sudo systemctl restart {unit}")),
    )
}

pub fn inbound(case: &Case<'_>) -> Judged {
    let who = case.target.source.map_or_else(|| "devices".to_owned(), |ip| ip.to_string());
    if let Some(out) = by_unit(case, case.target.source, &format!("{who} off port {}", case.target.port)) {
        return Ok(out);
    }
    let facts = case.facts.firewall.as_ref()?;
    if let Some(out) = super::network::judge(case, facts) {
        return Ok(out);
    }
    let rules = facts.listings.read();
    let mut ways = port::ways(&facts.interfaces);
    let supposed = ways.is_empty();
    if supposed {
        ways = supposed_ways();
    }
    if let Some(source) = case.target.source {
        ways.retain(|w| w.local.is_ipv6() == source.is_ipv6());
        if ways.is_empty() {
            let version = if source.is_ipv6() { "IPv6" } else { "IPv4" };
            return Ok(Outcome::fail(format!("{source} cannot reach this box: no interface has an {version} address"))
                .advise("have the device send to an address of the same IP version"));
        }
    }
    let seen = look(case, &rules, facts, &ways);
    let outcome = worst(case, &rules, facts, &seen);
    let outcome = if supposed {
        outcome.seen("interfaces", "none has an address but lo; judged for an interface called eth0")
    } else {
        outcome
    };
    Ok(outcome.seen("outside of this box", OUTSIDE))
}

/// For a machine whose network is not up.
fn supposed_ways() -> Vec<Way> {
    [[192, 0, 2, 1].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()]
        .map(|local| Way { interface: "eth0".into(), local })
        .into()
}

fn look(case: &Case<'_>, rules: &Ruleset, facts: &FirewallFacts, ways: &[Way]) -> Vec<Seen> {
    let t = case.target;
    let senders = t.source.map(|source| Span::one(crate::platform::firewall::span::number(source)));
    let mut seen = Vec::new();
    for door in t.doors() {
        for way in ways {
            let proto = proto(door.transport);
            let answer = port::inbound(rules, &facts.interfaces, way, proto, door.port, senders.as_ref());
            seen.push(Seen { door, way: way.clone(), answer });
        }
    }
    seen
}

fn proto(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => UDP,
        Transport::Tcp => TCP,
    }
}

fn worst(case: &Case<'_>, rules: &Ruleset, facts: &FirewallFacts, seen: &[Seen]) -> Outcome {
    let closed = |s: &&Seen| s.answer.verdict() == Verdict::Closed;
    // IPv6 counts where there is nothing else.
    let only_v6 = seen.iter().all(|s| s.way.local.is_ipv6());
    let counts = |s: &&Seen| only_v6 || !s.way.local.is_ipv6();
    let all: Vec<&Seen> = seen.iter().collect();
    let shut: Vec<Door> = doors(&all)
        .into_iter()
        .filter(|d| seen.iter().filter(counts).filter(|s| s.door == *d).all(|s| closed(&s)))
        .collect();
    let all_shut = shut.len() == doors(&all).len();
    if !shut.is_empty() && (all_shut || case.target.promises()) {
        let lost: Vec<&Seen> = seen.iter().filter(|s| shut.contains(&s.door)).collect();
        return blocked(case, rules, &lost, Outcome::fail);
    }
    if let Some(out) = swallowed(case, rules) {
        return out;
    }
    let unknown: Vec<&Seen> = seen.iter().filter(|s| s.answer.verdict() == Verdict::Unknown).collect();
    if let Some(first) = unknown.first() {
        return unread(case, rules).unwrap_or_else(|| unsure(first, &unknown));
    }
    // Who opened the port for some senders of IPv4 did not forget IPv6: none of those has an address of it.
    let chosen = |door: Door| seen.iter().any(|s| s.door == door && s.way.local.is_ipv4() && s.chosen());
    let lost: Vec<&Seen> = seen.iter().filter(closed).filter(|s| s.way.local.is_ipv4() || !chosen(s.door)).collect();
    if !lost.is_empty() {
        return blocked(case, rules, &lost, Outcome::warn);
    }
    let partly: Vec<&Seen> =
        seen.iter().filter(|s| s.answer.verdict() == Verdict::Partly && !s.mostly_open()).collect();
    if let Some(first) = partly.first() {
        return some_only(case, rules, first, &partly);
    }
    let near = seen.iter().filter(|_| case.target.source.is_none());
    let near = near.filter_map(|s| Some((s, near::shut_out(facts, &s.way, &s.answer)?)));
    let (near, shut): (Vec<&Seen>, Vec<near::Shut>) = near.unzip();
    if let Some(first) = shut.first() {
        return neighbours(rules, first, &near);
    }
    if let Some(out) = in_pieces(rules, seen).or_else(|| super::network::narrow(facts)) {
        return out;
    }
    let from = case.target.source.map(|s| format!(" from {s}")).unwrap_or_default();
    let out = Outcome::pass(format!("nothing on this box keeps {}{from}", named(&all, "off")));
    out.seen_all(seen.iter().flat_map(shut_out))
}

/// What is too large for one packet comes in pieces, which a rule drops although it lets the rest in.
fn in_pieces(rules: &Ruleset, seen: &[Seen]) -> Option<Outcome> {
    let most = |s: &&Seen| {
        let lost = s.answer.pieces.iter().fold(Span::empty(), |all, b| all.union(&b.who));
        lost.size() > s.answer.allowed.size() / 2
    };
    let found = seen.iter().find(most)?;
    let block = found.answer.pieces.first()?;
    let text = format!(
        "large events over UDP do not get in: {} drops the pieces they come in (IP fragments)",
        keeper(rules, block)
    );
    let out = Outcome::warn(text)
        .seen(format!("{}, events above 1472 bytes", found.name()), told(block))
        .advise("let pieces of datagrams through, since they have no port that a rule could ask for; or let devices send over TCP");
    Some(match removal(rules, &block.place) {
        Some(command) => out.command(command),
        None => out,
    })
}

/// A rule that is not judged, and a test event that was lost just where it stands.
fn swallowed(case: &Case<'_>, rules: &Ruleset) -> Option<Outcome> {
    let lost = |door: &Door| !door.tls && super::probe::lost_at_port(case, door.transport);
    for door in case.target.doors().into_iter().filter(lost) {
        let answer = port::loopback(rules, false, proto(door.transport), door.port, None);
        if answer.verdict() != Verdict::Unknown {
            continue;
        }
        let (word, port) = (door.word(), door.port);
        let reason = answer.doubt();
        let text = format!(
            "a test event over {word} was lost at port {port}, where a rule stands that is not judged here: {reason}"
        );
        let lines = answer.unknown.iter().take(3).map(|u| (format!("{word}/{port}"), u.2.words()));
        let out = Outcome::fail(text).seen_all(lines);
        let out = out.advise("take the rule away for the syslog port, or put one before it that lets events in; then run the check again");
        let commands: Vec<String> = answer.unknown.iter().filter_map(|u| removal(rules, &u.2)).take(3).collect();
        return Some(commands.into_iter().fold(out, |out, command| out.command(command)));
    }
    None
}

fn doors(seen: &[&Seen]) -> Vec<Door> {
    let mut all: Vec<Door> = seen.iter().map(|s| s.door).collect();
    all.dedup();
    all
}

/// `UDP and TCP to port 514 and TLS to port 6514`
fn named(seen: &[&Seen], to: &str) -> String {
    let mut ports: Vec<(u16, Vec<String>)> = Vec::new();
    for door in doors(seen) {
        let word = door.word().to_uppercase();
        match ports.iter_mut().find(|(port, _)| *port == door.port) {
            Some((_, words)) if !words.contains(&word) => words.push(word),
            Some(_) => {}
            None => ports.push((door.port, vec![word])),
        }
    }
    let parts: Vec<String> =
        ports.iter().map(|(port, words)| format!("{} {to} port {port}", words::list(words))).collect();
    words::list(&parts)
}

/// `port 514`, `ports 514 and 6514`
fn numbers(seen: &[&Seen]) -> String {
    let mut ports: Vec<u16> = seen.iter().map(|s| s.door.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let words: Vec<String> = ports.iter().map(ToString::to_string).collect();
    format!("{} {}", if words.len() == 1 { "port" } else { "ports" }, words::list(&words))
}

/// The senders that a way shuts out, and where.
fn shut_out(seen: &Seen) -> Vec<(String, String)> {
    let v6 = seen.way.local.is_ipv6();
    let line = |b: &Block| {
        let others = seen.answer.asked.minus(&b.who);
        let who = match () {
            () if others.is_empty() => "every sender".to_owned(),
            () if others.size() < b.who.size() => format!("every sender but {}", networks(&others, v6)),
            () => networks(&b.who, v6),
        };
        (format!("{}: {who}", seen.name()), told(b))
    };
    seen.answer.blocked.iter().take(3).map(line).collect()
}

fn networks(who: &Span, v6: bool) -> String {
    words::list(&who.words(v6, MOST_NETWORKS))
}

/// What the rule does, and to which packet.
fn told(block: &Block) -> String {
    let verdict = if block.diverted { format!(" ({})", block.place.verdict) } else { String::new() };
    let moment = match block.moment {
        Moment::First => "",
        Moment::Later => " (to the packets after the first)",
        Moment::Piece => " (to the pieces of large datagrams)",
        Moment::Answer => " (to our answers)",
    };
    format!("{}{verdict}{moment}", block.place.words())
}

fn blocked(case: &Case<'_>, rules: &Ruleset, lost: &[&Seen], make: fn(String) -> Outcome) -> Outcome {
    let blocks: Vec<&Block> = lost.iter().filter_map(|s| s.answer.blocked.first()).collect();
    let mut owners: Vec<Owner> = blocks.iter().map(|b| owner::of(rules, &b.place)).collect();
    owners.sort();
    owners.dedup();
    let mut who: Vec<String> = blocks.iter().map(|b| keeper(rules, b)).collect();
    who.sort();
    who.dedup();
    let mut by: Vec<String> = lost.iter().map(|s| s.by()).collect();
    by.sort();
    by.dedup();
    let from = case.target.source.map(|s| format!(" from {s}")).unwrap_or_default();
    let place =
        if make("".into()).status == Status::Fail { String::new() } else { format!(" by {}", words::list(&by)) };
    let diverted = blocks.iter().all(|b| b.diverted);
    let verb = if diverted { "sent elsewhere" } else { "blocked" };
    let is = if doors(lost).len() == 1 { "is" } else { "are" };
    let text = format!("{}{from}{place} {is} {verb} by {}", named(lost, "to"), words::list(&who));
    let out = make(text).seen_all(lost.iter().flat_map(|s| shut_out(s)));
    let own: Vec<String> = blocks.iter().filter_map(|b| removal(rules, &b.place)).collect();
    let remove = |out: Outcome| own.iter().fold(out, |out, command| out.command(command.clone()));
    if diverted {
        return remove(out.advise("take away the rule that is named, or the container that publishes the port"));
    }
    // An opening lets packets in, not the answers out.
    if blocks.iter().all(|b| b.moment == Moment::Answer) && !own.is_empty() {
        return remove(out.advise("take away the rule that is named: it drops what this box answers to TCP senders"));
    }
    let doors = doors(lost);
    to_open(case, &owners, &doors, out)
}

/// `firewalld (zone public)`, `nftables (table inet fw, chain input)`.
fn keeper(rules: &Ruleset, block: &Block) -> String {
    let owner = owner::of(rules, &block.place);
    let table = rules.tables.get(block.place.at.table);
    let where_ = match (&owner, table) {
        (Owner::Firewalld { zone: Some(zone) }, _) => format!("zone {zone}"),
        (Owner::Nftables, Some(t)) => format!("table {} {}, chain {}", t.family.word(), t.name, block.place.chain),
        (Owner::Iptables, _) => format!("chain {}", block.place.chain),
        _ => return owner.word().to_owned(),
    };
    format!("{} ({where_})", owner.word())
}

/// The command that takes a rule of the administrator's own away, now; where it is loaded from it has to go too.
fn removal(rules: &Ruleset, place: &Place) -> Option<String> {
    let table = rules.tables.get(place.at.table)?;
    match owner::of(rules, place) {
        Owner::Iptables => {
            let rule = place.rule.as_ref()?.strip_prefix("-A ")?;
            let program = match (table.engine, table.family) {
                (Engine::IptablesLegacy, Family::Ip6) => "ip6tables-legacy",
                (Engine::IptablesLegacy, _) => "iptables-legacy",
                (_, Family::Ip6) => "ip6tables",
                _ => "iptables",
            };
            let of = if table.name == "filter" { String::new() } else { format!(" -t {}", table.name) };
            Some(format!("sudo {program}{of} -D {rule}"))
        }
        Owner::Nftables => {
            let handle = place.at.handle?;
            Some(format!("sudo nft delete rule {} {} {} handle {handle}", table.family.word(), table.name, place.chain))
        }
        Owner::Firewalld { .. } | Owner::Ufw | Owner::Program(_) => None,
    }
}

/// What opens the port, with our own command first.
fn to_open(case: &Case<'_>, owners: &[Owner], doors: &[Door], out: Outcome) -> Outcome {
    let from = case.target.source.map(|s| format!("={s}")).unwrap_or_default();
    let mut words: Vec<(u16, &str)> = doors.iter().map(|d| (d.port, d.transport.word())).collect();
    words.sort_unstable();
    words.dedup();
    // Those tools have one command for it; where a rule of nftables or iptables belongs is for its author to say.
    let by_hand = owners.iter().any(|o| matches!(o, Owner::Firewalld { .. } | Owner::Ufw));
    let by_hand = if by_hand { "; by hand with the commands below it" } else { "" };
    let mut out = out
        .advise(format!(
            "open the port, for the senders' networks only where they are known (--open-firewall=10.0.0.0/8){by_hand}"
        ))
        .command(format!("{} --open-firewall{from}", case.install_command()));
    if can_open(case, &words) {
        let source = case.target.source.map_or_else(|| "any".to_owned(), |s| s.to_string());
        out = out.fix(Fix::OpenFirewall(vec![source]));
    }
    for owner in owners {
        match owner {
            Owner::Firewalld { zone } => {
                let zone = zone.as_ref().map(|z| format!(" --zone={z}")).unwrap_or_default();
                let ports: Vec<String> = words.iter().map(|(port, w)| format!("--add-port={port}/{w}")).collect();
                let ports = ports.join(" ");
                out = out.command(format!("sudo firewall-cmd --permanent{zone} {ports} && sudo firewall-cmd --reload"));
            }
            Owner::Ufw => {
                for (port, w) in &words {
                    out = out.command(format!("sudo ufw allow {port}/{w}"));
                }
            }
            Owner::Nftables | Owner::Iptables | Owner::Program(_) => {}
        }
    }
    out
}

/// Would `install --open-firewall` open the port for good, as far as the rules tell?
fn can_open(case: &Case<'_>, doors: &[(u16, &str)]) -> bool {
    let Ok(facts) = &case.facts.firewall else { return false };
    let source = case.target.source.map(|s| s.to_string());
    let wanted = doors.iter().map(|(port, protocol)| Opening {
        protocol: (*protocol).to_owned(),
        port: *port,
        source: source.clone(),
    });
    let wanted: Vec<Opening> = wanted.collect();
    let rules = facts.listings.read();
    let plan = opening::plan(&rules, &facts.interfaces, &port::ways(&facts.interfaces), &wanted, "public");
    !plan.settings.is_empty() && plan.notes.is_empty()
}

/// Where a tool could not list its rules nothing is known of any port.
fn unread(case: &Case<'_>, rules: &Ruleset) -> Option<Outcome> {
    if rules.gaps.is_empty() {
        return None;
    }
    let gaps = rules.gaps.iter().map(|gap| ("rules", gap.as_str()));
    if case.facts.is_root() {
        return Some(Outcome::unknown("not all rules of this box's firewalls could be read").seen_all(gaps));
    }
    let out = Outcome::unknown("only root can read the rules of this box's firewalls").seen_all(gaps);
    Some(out.advise("run it again as root").command("sudo cefctl troubleshoot"))
}

fn unsure(first: &Seen, unknown: &[&Seen]) -> Outcome {
    let port = first.door.port;
    let ports = numbers(unknown);
    let are = if ports.starts_with("ports") { "are" } else { "is" };
    let evidence = unknown.iter().flat_map(|s| {
        let why = |u: &(Span, _, crate::platform::firewall::walk::Place)| u.2.words();
        let name = s.name();
        s.answer
            .unknown
            .iter()
            .take(3)
            .map(move |u| (name.clone(), format!("{}: {}", u.1.text(), why(u))))
            .collect::<Vec<_>>()
    });
    let reason = first.answer.doubt();
    if unknown.iter().all(|s| s.answer.only_rate()) {
        return Outcome::warn(format!("{ports} {are} let in only up to a limit ({reason}); the rest is lost"))
            .seen_all(evidence)
            .advise("take the limit away for the syslog port: a burst of events is what devices send when it matters");
    }
    Outcome::unknown(format!("whether {ports} {are} let in hangs on something that is not judged here: {reason}"))
        .seen_all(evidence)
        .advise("send an event from a device or another box and watch for it")
        .command(format!("cefctl send --host THIS_BOX --port {port}"))
}

fn some_only(case: &Case<'_>, rules: &Ruleset, first: &Seen, partly: &[&Seen]) -> Outcome {
    let ports = numbers(partly);
    let are = if ports.starts_with("ports") { "are" } else { "is" };
    let allowed = networks(&first.answer.allowed, first.way.local.is_ipv6());
    let lines = partly.iter().flat_map(|s| {
        let allowed = (s.name(), format!("let in: {}", networks(&s.answer.allowed, s.way.local.is_ipv6())));
        std::iter::once(allowed).chain(shut_out(s))
    });
    if partly.iter().all(|s| s.on_purpose()) {
        return Outcome::pass(format!("{ports} {are} open for {allowed} only")).seen_all(lines);
    }
    let out = Outcome::warn(format!("only {allowed} can send to {ports}, by rules that are not about it"));
    let mut owners: Vec<Owner> =
        partly.iter().filter_map(|s| s.answer.blocked.first()).map(|b| owner::of(rules, &b.place)).collect();
    owners.sort();
    owners.dedup();
    let doors = doors(partly);
    to_open(case, &owners, &doors, out.seen_all(lines))
}

/// Only those next to this box are shut out. Nothing is opened unasked here: somebody may have meant it.
fn neighbours(rules: &Ruleset, first: &near::Shut, all: &[&Seen]) -> Outcome {
    let by = |s: &&Seen| s.answer.blocked.iter().find(|b| !b.who.intersect(&first.who).is_empty()).cloned();
    let blocks: Vec<Block> = all.iter().filter_map(by).collect();
    let mut who: Vec<String> = blocks.iter().map(|b| keeper(rules, b)).collect();
    who.dedup();
    let mut commands: Vec<String> = blocks.iter().filter_map(|b| removal(rules, &b.place)).collect();
    commands.dedup();
    let text = format!("what {} sends to {} is blocked by {}", first.text, numbers(all), words::list(&who));
    let out = Outcome::warn(text).seen_all(all.iter().flat_map(|s| shut_out(s)));
    let out = out
        .advise("if devices send from there, take the rule that is named away, or put one before it that lets them in");
    commands.into_iter().fold(out, |out, command| out.command(command))
}

pub fn loopback(case: &Case<'_>) -> Judged {
    let lo = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    if let Some(out) = by_unit(case, lo, "the daemon from the agent on loopback") {
        return Ok(out);
    }
    let facts = case.facts.firewall.as_ref()?;
    let rules = facts.listings.read();
    let port = case.target.agent_port;
    if let Some(lo) = facts.interfaces.iter().find(|i| i.loopback && !i.up) {
        return Ok(Outcome::fail(format!(
            "the loopback interface {} is down: nothing on this box reaches the agent",
            lo.name
        ))
        .seen(&lo.name, "not up")
        .advise("bring it up; nothing works as it should without it")
        .command(format!("sudo ip link set {} up", lo.name)));
    }
    if let Some(why) = &facts.no_way_to_self {
        return Ok(Outcome::fail(format!("this box cannot send to itself: there is no way to 127.0.0.1 ({why})"))
            .seen("way to 127.0.0.1", why)
            .advise("look for a rule or route that takes 127.0.0.0/8 away from loopback")
            .command("ip rule; ip route show table local; ip route get 127.0.0.1"));
    }
    let user = case.daemon_pid().and_then(|pid| case.facts.process(pid)).map(|p| (p.uid, p.gid));
    let answer = port::loopback(&rules, false, TCP, port, user);
    match answer.verdict() {
        Verdict::Open => Ok(Outcome::pass(format!("nothing keeps the daemon from port {port} over loopback"))),
        Verdict::Unknown => {
            if let Some(out) = unread(case, &rules) {
                return Ok(out);
            }
            let reason = answer.doubt();
            let lines = answer.unknown.iter().map(|u| ("loopback", format!("{}: {}", u.1.text(), u.2.words())));
            let text = format!("whether loopback is open hangs on something that is not judged here: {reason}");
            Ok(Outcome::unknown(text).seen_all(lines))
        }
        Verdict::Partly | Verdict::Closed => {
            let Some(block) = answer.blocked.first() else {
                return Err(NotJudged::Unknown("the rules gave no verdict".into()));
            };
            let owner = owner::of(&rules, &block.place);
            let out = Outcome::fail(format!(
                "the daemon cannot reach the agent: port {port} on loopback is blocked by {}",
                owner.word()
            ))
            .seen("loopback", told(block));
            // Sent to another port by a rule that no other rule can precede.
            if let Some(command) = removal(&rules, &block.place).filter(|_| block.diverted) {
                return Ok(out.advise("take away the rule that is named").command(command));
            }
            let out = out.advise("accept what the box sends to itself; loopback is never reached from outside");
            Ok(match owner {
                Owner::Firewalld { .. } => out.command(
                    "sudo firewall-cmd --permanent --zone=trusted --add-interface=lo && sudo firewall-cmd --reload",
                ),
                Owner::Nftables | Owner::Program(_) => {
                    let table = rules.tables.get(block.place.at.table);
                    let words = table.map(|t| format!("{} {}", t.family.word(), t.name)).unwrap_or_default();
                    let base = table.and_then(|t| t.chains.get(&block.place.at.base)?.base.as_ref());
                    let key = if base.is_some_and(|b| b.hook == Hook::Output) { "oif" } else { "iif" };
                    let command = format!("sudo nft insert rule {words} {} {key} lo accept", block.place.at.base);
                    with_setting(out.command(command), &rules, &block.place, &owner)
                }
                Owner::Ufw | Owner::Iptables => {
                    let out_hook = block.place.at.base == "OUTPUT";
                    let key = if out_hook { "-o" } else { "-i" };
                    let command = format!("sudo iptables -I {} {key} lo -j ACCEPT", block.place.at.base);
                    with_setting(out.command(command), &rules, &block.place, &owner)
                }
            })
        }
    }
}

/// The built-in repair, where the chain is nobody's but the administrator's: a program would put its own rules back.
fn with_setting(out: Outcome, rules: &Ruleset, place: &Place, owner: &Owner) -> Outcome {
    let Some(table) = rules.tables.get(place.at.table) else { return out };
    let hook = table.chains.get(&place.at.base).and_then(|c| c.base.as_ref()).map(|b| b.hook);
    let outward = match hook {
        Some(Hook::Output) => true,
        Some(Hook::Input) => false,
        _ => return out,
    };
    let (program, family, name) = match (owner, table.family, table.engine) {
        (Owner::Nftables, family, _) => ("nft", family.word(), table.name.as_str()),
        (Owner::Iptables, ..) if table.name != "filter" => return out,
        (Owner::Iptables, Family::Ip6, _) => return out,
        (Owner::Iptables, _, Engine::IptablesLegacy) => ("iptables-legacy", "", ""),
        (Owner::Iptables, ..) => ("iptables", "", ""),
        _ => return out,
    };
    out.fix(Fix::Set(Setting::Loopback {
        program: program.into(),
        family: family.into(),
        table: name.into(),
        chain: place.at.base.clone(),
        outward,
    }))
}

pub fn exposed(case: &Case<'_>) -> Judged {
    let net = case.facts.net.as_ref()?;
    let port = case.target.agent_port;
    if port == case.target.port {
        return Err(NotJudged::Skip(format!("the agent's port {port} is the one that devices send to")));
    }
    let wide: Vec<_> = net.open(Transport::Tcp, port).filter(|s| !s.local.ip().is_loopback()).collect();
    if !wide.is_empty() {
        return Ok(Outcome::warn(format!(
            "the agent's port {port} is bound to more than loopback: anybody can write events into it"
        ))
        .seen_all(wide.iter().map(|s| (s.display(), super::listen::owners(case, s))))
        .advise("bind the agent's input to 127.0.0.1"));
    }
    let facts = case.facts.firewall.as_ref()?;
    let rules = facts.listings.read();
    let mut ways = port::ways(&facts.interfaces);
    if ways.is_empty() {
        ways = supposed_ways();
    }
    for way in &ways {
        let answer = port::inbound(&rules, &facts.interfaces, way, TCP, port, None);
        // A port that is open because everything is says nothing about the agent's.
        let whole = answer.blocked.is_empty();
        let opened = answer.opened_by.iter().find(|(who, place)| place.names_port && !who.is_empty());
        if let (Some((_, place)), true) = (opened, !whole || names_only(&answer)) {
            return Ok(Outcome::warn(format!(
                "a firewall rule opens the agent's port {port} to the network, which only this box needs"
            ))
            .seen(&way.interface, place.words())
            .advise("take the rule away: the daemon reaches the agent over loopback"));
        }
    }
    Ok(Outcome::pass(format!("the agent's port {port} is on loopback only, and no rule opens it")))
}

/// Is everybody let in by rules about the port?
fn names_only(answer: &Answer) -> bool {
    answer.opened_by.iter().all(|(_, place)| place.names_port)
}

#[cfg(test)]
#[path = "firewall_tests.rs"]
mod tests;
