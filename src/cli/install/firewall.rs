//! `--open-firewall`: the openings as changes that the plan engine knows, now and for the next boot.

use std::path::Path;

use crate::check::facts::FirewallFacts;
use crate::check::gather;
use crate::host::proc_net::Transport;
use crate::host::{Cmd, Host};
use crate::plan::receipt::Entry;
use crate::plan::{Change, EditBlock, Place, Receipt};
use crate::platform::firewall::answer::Verdict;
use crate::platform::firewall::model::Ruleset;
use crate::platform::firewall::owner::{self, Owner};
use crate::platform::firewall::packet::{TCP, UDP};
use crate::platform::firewall::port::{self, Way};
use crate::platform::firewall::{opening, saved};
use crate::platform::setting::{Opening, Setting, iptables};

/// Word of the option without a value.
pub const ANYBODY: &str = "any";
const BLOCK: &str = "firewall";
const ZONE: &str = "public";
const FIREWALLD: &str = "/etc/firewalld/firewalld.conf";
/// Where the distributions keep native rules: Debian and SUSE, Red Hat.
const NFT_FILES: [&str; 2] = ["/etc/sysconfig/nftables.conf", "/etc/nftables.conf"];
/// iptables-persistent, iptables-services.
const V4_FILES: [&str; 2] = ["/etc/iptables/rules.v4", "/etc/sysconfig/iptables"];
const V6_FILES: [&str; 2] = ["/etc/iptables/rules.v6", "/etc/sysconfig/ip6tables"];

/// What `--open-firewall` asks for; changes nothing where it was not given.
pub struct Wish<'a> {
    /// Networks, or [`ANYBODY`].
    pub sources: &'a [String],
    pub ports: &'a [(Transport, u16)],
}

impl Wish<'_> {
    fn openings(&self) -> Vec<Opening> {
        let mut all = Vec::new();
        for source in self.sources {
            let source = Some(source.clone()).filter(|s| s != ANYBODY);
            for (transport, port) in self.ports {
                let protocol = transport.word().to_owned();
                all.push(Opening { protocol, port: *port, source: source.clone() });
            }
        }
        all.sort();
        all.dedup();
        all
    }
}

/// The changes, and what the user has to know.
pub fn changes(host: &Host, wish: &Wish<'_>, receipt: Option<&Receipt>) -> (Vec<Change>, Vec<String>) {
    let wanted = wish.openings();
    if wanted.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let seen = &match gather::firewall(host) {
        Ok(seen) => seen,
        Err(why) => return (Vec::new(), vec![format!("the firewall is not opened: {why}")]),
    };
    let mut rules = seen.listings.read();
    // What an earlier run opened and this one does not ask for is closed.
    for opening in receipt.iter().flat_map(|r| &r.entries).filter_map(made).filter(|o| !wanted.contains(o)) {
        opening::without(&mut rules, opening);
    }
    let ways = port::ways(&seen.interfaces);
    let mut notes = Vec::new();
    if ways.is_empty() {
        notes.push(
            "no interface has an address yet, so the firewall cannot be opened for one: run it again then".to_owned(),
        );
    }
    // What an earlier run has opened is wished for as long as it is asked for.
    let mut settings: Vec<Setting> = receipt.iter().flat_map(|r| &r.entries).filter_map(|e| kept(e, &wanted)).collect();
    let planned = opening::plan(&rules, &seen.interfaces, &ways, &wanted, &default_zone(host));
    notes.extend(planned.notes);
    for setting in planned.settings {
        if !settings.iter().any(|s| s.is_same(&setting)) {
            settings.push(setting);
        }
    }
    for setting in lasting(&rules, seen, &ways, &wanted, &settings) {
        if !settings.iter().any(|s| s.is_same(&setting)) {
            settings.push(setting);
        }
    }
    let mut changes: Vec<Change> = settings.iter().cloned().map(Change::Set).collect();
    changes.extend(nft_file(host, &settings, &mut notes));
    for v6 in [false, true] {
        changes.extend(iptables_file(host, seen, &ways, v6, &settings, &mut notes));
    }
    (changes, notes)
}

fn kept(entry: &Entry, wanted: &[Opening]) -> Option<Setting> {
    match entry {
        Entry::Setting { setting, .. } if setting.opening().is_some_and(|o| wanted.contains(o)) => {
            Some(setting.clone())
        }
        _ => None,
    }
}

fn made(entry: &Entry) -> Option<&Opening> {
    match entry {
        Entry::Setting { setting, .. } => setting.opening(),
        _ => None,
    }
}

fn default_zone(host: &Host) -> String {
    let text = host.root.read_opt(Path::new(FIREWALLD)).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find_map(|l| l.trim().strip_prefix("DefaultZone="));
    line.map(|z| z.trim().to_owned()).filter(|z| !z.is_empty()).unwrap_or_else(|| ZONE.to_owned())
}

/// The lasting half of what firewalld is asked for now, also where somebody has opened the port until the next restart.
fn lasting(
    rules: &Ruleset,
    seen: &FirewallFacts,
    ways: &[Way],
    wanted: &[Opening],
    settings: &[Setting],
) -> Vec<Setting> {
    let twin = |setting: &Setting| match setting {
        Setting::Firewalld { zone, permanent: false, opening } => {
            Some(Setting::Firewalld { zone: zone.clone(), permanent: true, opening: opening.clone() })
        }
        _ => None,
    };
    let mut twins: Vec<Setting> = settings.iter().filter_map(twin).collect();
    for opening in wanted.iter().filter(|_| owner::has_firewalld(rules)) {
        for way in ways.iter().filter(|w| opening.is_v6().is_none_or(|v6| v6 == w.local.is_ipv6())) {
            let proto = if opening.protocol == "tcp" { TCP } else { UDP };
            let v6 = way.local.is_ipv6();
            let senders = opening.source.as_ref().and_then(|s| port::network(s).ok()).map(|n| port::only(&[n], v6));
            let answer = port::inbound(rules, &seen.interfaces, way, proto, opening.port, senders.as_ref());
            if answer.verdict() != Verdict::Open {
                continue;
            }
            for (_, place) in answer.opened_by.iter().filter(|(_, place)| place.names_port) {
                if let Owner::Firewalld { zone: Some(zone) } = owner::of(rules, place) {
                    twins.push(Setting::Firewalld { zone, permanent: true, opening: opening.clone() });
                }
            }
        }
    }
    twins
}

fn read(host: &Host, path: &str) -> Option<Vec<u8>> {
    let real = host.root.resolve(Path::new(path)).ok()?;
    host.root.read_opt(&real).ok().flatten()
}

/// Our lines at the end of the file that native rules are loaded from.
fn nft_file(host: &Host, settings: &[Setting], notes: &mut Vec<String>) -> Option<Change> {
    let native = |s: &&Setting| matches!(s, Setting::Nft { .. });
    let native: Vec<Setting> = settings.iter().filter(native).cloned().collect();
    let Some(Setting::Nft { family, table, .. }) = native.first() else { return None };
    let found = NFT_FILES.iter().find_map(|path| {
        let text = read(host, path)?;
        saved::makes_table(&text, family, table).then_some((*path, text))
    });
    let Some((path, text)) = found else {
        notes.push(format!(
            "the opening lasts until the next boot only: none of {} makes the table {family} {table}; put the rule \
             where that table comes from",
            NFT_FILES.join(", ")
        ));
        return None;
    };
    let lines = saved::nft_lines(&native);
    let whole = crate::plan::block::put(&text, BLOCK, lines.as_bytes(), Place::Append).ok()?;
    let checked = host.runner.run(&Cmd::new(["nft", "-c", "-f", "-"]).stdin(whole));
    match checked {
        Ok(output) if output.ok() => {}
        Ok(output) => {
            notes.push(format!(
                "the opening lasts until the next boot only: nft refuses {path} with it: {}",
                output.last_words(2)
            ));
            return None;
        }
        Err(e) => {
            notes.push(format!("the opening lasts until the next boot only: {e}"));
            return None;
        }
    }
    let block = EditBlock::new(path, BLOCK, lines, Place::Append);
    Some(block.purpose("the port stays open after a reboot").into())
}

/// Our lines in the file that iptables rules are restored from.
fn iptables_file(
    host: &Host,
    seen: &FirewallFacts,
    ways: &[Way],
    v6: bool,
    settings: &[Setting],
    notes: &mut Vec<String>,
) -> Option<Change> {
    let ours = |s: &Setting| match s {
        Setting::Iptables { program, chain, opening, .. } if program.starts_with("ip6") == v6 => {
            Some((chain.clone(), opening.clone()))
        }
        _ => None,
    };
    let openings: Vec<(String, Opening)> = settings.iter().filter_map(ours).collect();
    if openings.is_empty() {
        return None;
    }
    let files = if v6 { V6_FILES } else { V4_FILES };
    let Some((path, text)) = files.iter().find_map(|path| Some((*path, read(host, path)?))) else {
        let tool = if v6 { "ip6tables" } else { "iptables" };
        notes.push(format!(
            "the opening lasts until the next boot only: {tool} rules are not kept on this box (there is none of {}); \
             iptables-persistent or iptables-services would",
            files.join(", ")
        ));
        return None;
    };
    // A tool may have saved the running rules, ours among them, and our marks are gone.
    let line = |(chain, opening): &(String, Opening)| iptables::line(chain, opening);
    if openings.iter().map(line).all(|l| saved::has_line(&text, l.trim_end()))
        && crate::plan::block::body(&text, BLOCK) == Ok(None)
    {
        return None;
    }
    match saved::iptables_lines(&text, v6, &seen.interfaces, ways, &openings) {
        Ok(lines) => {
            let block = EditBlock::new(path, BLOCK, lines.text, Place::At(lines.at));
            Some(block.purpose("the port stays open after a reboot").into())
        }
        Err(why) => {
            notes.push(format!("the opening lasts until the next boot only: {path}: {why}"));
            None
        }
    }
}
