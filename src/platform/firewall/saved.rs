//! Rules that shall be there after the next boot as well: in the file that the distribution loads them from. Only our own
//! lines are put in, in a marked block; what the running rules have besides stays out of it.

use super::answer::Verdict;
use super::model::{Engine, Family, Ruleset};
use super::packet::{TCP, UDP};
use super::port::{Way, inbound, network, only};
use super::xtables;
use crate::host::interfaces::Interface;
use crate::platform::setting::{Opening, Setting, iptables, nft};

/// Lines to put into a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Byte of the file, the start of a line.
    pub at: usize,
    pub text: String,
}

/// The lines that open a chain in a file for `iptables-restore`; `Err`: why that cannot be done.
pub fn iptables_lines(
    file: &[u8],
    v6: bool,
    interfaces: &[Interface],
    ways: &[Way],
    openings: &[(String, Opening)],
) -> Result<Lines, String> {
    let mut rules = Ruleset::default();
    let family = if v6 { Family::Ip6 } else { Family::Ip };
    xtables::parse(file, family, Engine::IptablesNft, &Default::default(), &mut rules);
    let text: String = openings.iter().map(|(chain, opening)| iptables::line(chain, opening)).collect();
    let mut at: Option<usize> = None;
    for (chain, opening) in openings {
        let way = ways.iter().find(|w| w.local.is_ipv6() == v6).ok_or("no interface has an address of that kind")?;
        let proto = if opening.protocol == "tcp" { TCP } else { UDP };
        let senders = opening.source.as_ref().map(|s| network(s).map(|n| only(&[n], v6))).transpose()?;
        let answer = inbound(&rules, interfaces, way, proto, opening.port, senders.as_ref());
        let here = match answer.verdict() {
            Verdict::Open => end_of(file, chain),
            _ => match answer.blocked.iter().find(|b| b.place.at.base == *chain) {
                Some(block) => match block.place.at.rule {
                    Some(n) => start_of_rule(file, chain, n),
                    None => end_of(file, chain),
                },
                None => start_of_rule(file, chain, 0),
            },
        };
        let here = here.ok_or_else(|| format!("it has no chain {chain} in a table filter"))?;
        // All in one block: at the place of the first that is dropped.
        at = Some(at.map_or(here, |at: usize| at.min(here)));
    }
    Ok(Lines { at: at.unwrap_or(file.len()), text })
}

/// Is there a line that ends so? Counters may come before.
pub fn has_line(file: &[u8], line: &str) -> bool {
    file.split(|b| *b == b'\n').any(|l| l.trim_ascii_end().ends_with(line.as_bytes()))
}

/// Lines of the table `filter` with where they start.
fn filter_lines(file: &[u8]) -> Vec<(usize, &[u8])> {
    let mut inside = false;
    let mut at = 0;
    let mut lines = Vec::new();
    for line in file.split_inclusive(|b| *b == b'\n') {
        let trimmed = line.trim_ascii();
        if trimmed.starts_with(b"*") {
            inside = trimmed == b"*filter";
        }
        if inside {
            lines.push((at, trimmed));
        }
        at += line.len();
    }
    lines
}

fn is_rule_of(line: &[u8], chain: &str) -> bool {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace().skip_while(|w| w.starts_with('['));
    words.next() == Some("-A") && words.next() == Some(chain)
}

/// Start of the rule with this index of a chain.
fn start_of_rule(file: &[u8], chain: &str, n: usize) -> Option<usize> {
    let lines = filter_lines(file);
    let rule = lines.iter().filter(|(_, l)| is_rule_of(l, chain)).nth(n).map(|(at, _)| *at);
    rule.or_else(|| end_of(file, chain))
}

/// After the last rule of a chain: before `COMMIT`.
fn end_of(file: &[u8], chain: &str) -> Option<usize> {
    let lines = filter_lines(file);
    let named = format!(":{chain} ");
    lines.iter().any(|(_, l)| l.starts_with(named.as_bytes())).then_some(())?;
    lines.iter().find(|(_, l)| *l == b"COMMIT").map(|(at, _)| *at)
}

/// The lines at the end of a file for `nft -f`. They go to the top of their chain: a number of a rule would be wrong as
/// soon as somebody edits the file, and then the whole file would not load.
pub fn nft_lines(settings: &[Setting]) -> String {
    let mut text = String::new();
    for setting in settings {
        let Setting::Nft { family, table, chain, opening, .. } = setting else { continue };
        let (rule, comment) = (nft::rule(opening), opening.comment());
        text.push_str(&format!("insert rule {family} {table} {chain} {rule} comment \"{comment}\"\n"));
    }
    text
}

/// Does a file for `nft -f` make this table?
pub fn makes_table(file: &[u8], family: &str, table: &str) -> bool {
    let text = String::from_utf8_lossy(file);
    let code = text.lines().map(|l| l.split('#').next().unwrap_or_default());
    let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
    let bare = |w: Option<&&str>| w.map(|w| w.trim_end_matches(['{', ';']).to_owned());
    let named = |w: &[&str]| {
        w.first() == Some(&"table") && w.get(1) == Some(&family) && bare(w.get(2)).as_deref() == Some(table)
    };
    // The family `ip` may be left out.
    let short = |w: &[&str]| family == "ip" && w.first() == Some(&"table") && bare(w.get(1)).as_deref() == Some(table);
    words.windows(3).any(named) || words.windows(2).any(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"# saved\n*nat\n:PREROUTING ACCEPT [0:0]\n-A INPUT -j X\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n[1:2] -A INPUT -i lo -j ACCEPT\n-A FORWARD -j DROP\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -j REJECT\nCOMMIT\n";

    fn lines(file: &[u8], source: Option<&str>) -> Result<Lines, String> {
        let interfaces = [Interface {
            name: "eth0".into(),
            up: true,
            loopback: false,
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ..Interface::default()
        }];
        let ways = super::super::port::ways(&interfaces);
        let opening = Opening { protocol: "udp".into(), port: 514, source: source.map(str::to_owned) };
        iptables_lines(file, false, &interfaces, &ways, &[("INPUT".into(), opening)])
    }

    #[test]
    fn the_line_goes_before_the_one_that_drops() {
        let found = lines(FILE, None).unwrap();
        assert!(FILE[found.at..].starts_with(b"-A INPUT -j REJECT"));
        assert_eq!(
            found.text,
            "-A INPUT -p udp -m udp --dport 514 -m comment --comment \"cefctl: udp 514\" -j ACCEPT\n"
        );
        let found =
            lines(b"*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n", Some("10.0.0.0/8")).unwrap();
        assert_eq!(found.at, 51);
        assert!(found.text.starts_with("-A INPUT -s 10.0.0.0/8 -p udp"));
        assert!(lines(b"*nat\nCOMMIT\n", None).is_err());
        assert!(lines(b"", None).is_err());
    }
}
