//! The words of one iptables rule as steps of the model.

use std::collections::BTreeMap;

use super::atoms::{addr_type, atom, ct_state, int, network, protocol, tcp_flag, values};
use super::ipset::{self, IpSet};
use super::model::{Family, Key, Step, Table, Test, Values, Verdict, Why};
use super::span::{Span, number};

/// Number of the routing header as a protocol (RFC 8200, 4.4).
const ROUTING_HEADER: u8 = 43;

/// Steps of the rule, and its comment.
pub fn steps(
    words: &[String],
    family: Family,
    sets: &BTreeMap<String, IpSet>,
    table: &Table,
) -> (Vec<Step>, Option<String>) {
    let mut reader = Reader {
        words,
        at: 0,
        v6: family == Family::Ip6,
        sets,
        table,
        proto: None,
        module: String::new(),
        steps: Vec::new(),
        comment: None,
    };
    while reader.at < words.len() {
        reader.option();
    }
    (reader.steps, reader.comment)
}

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    v6: bool,
    sets: &'a BTreeMap<String, IpSet>,
    table: &'a Table,
    /// Protocol that `-p` named.
    proto: Option<u8>,
    /// Module whose options come now.
    module: String,
    steps: Vec<Step>,
    comment: Option<String>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> &'a str {
        let word = self.words.get(self.at).map(String::as_str).unwrap_or_default();
        self.at += 1;
        word
    }

    /// The words up to the next option, as far as nobody knows what they are.
    fn rest_of_option(&mut self) -> String {
        let start = self.at;
        while self.words.get(self.at).is_some_and(|w| !(w.starts_with('-') && w.len() > 1) && w != "!") {
            self.at += 1;
        }
        self.words.get(start..self.at).unwrap_or_default().join(" ")
    }

    fn is(&mut self, key: Key, values: Values, not: bool) {
        self.steps.push(Step::Test(Test::Is { key, values, not }));
    }

    fn option(&mut self) {
        let mut word = self.next();
        let not = word == "!";
        if not {
            word = self.next();
        }
        let v6 = self.v6;
        match word {
            "-s" | "--source" => self.address(Key::Saddr { v6 }, not),
            "-d" | "--destination" => self.address(Key::Daddr { v6 }, not),
            "-i" | "--in-interface" => self.interface(Key::Iif, not),
            "-o" | "--out-interface" => self.interface(Key::Oif, not),
            "-p" | "--protocol" => {
                let name = self.next();
                match name.parse::<u128>().ok().or_else(|| protocol(name)) {
                    _ if name == "all" => {}
                    Some(0) => {}
                    Some(n) => {
                        self.proto = u8::try_from(n).ok().filter(|_| !not);
                        self.is(Key::Proto(None), Values::one(n), not);
                    }
                    None => self.steps.push(Test::unknown(format!("-p {name}"))),
                }
            }
            "-f" | "--fragment" => self.is(Key::Fragment, Values::one(0u8), !not),
            "-m" | "--match" => self.module(),
            "-j" | "--jump" => self.target(),
            "-g" | "--goto" => {
                let name = self.next().to_owned();
                self.steps.push(Step::Do(Verdict::Goto(name)));
            }
            "-c" => self.at += 2,
            other => self.module_option(other, not),
        }
    }

    fn address(&mut self, key: Key, not: bool) {
        let word = self.next();
        let step = match network(word, self.v6) {
            Some(span) => Step::Test(Test::Is { key, values: Values::numbers(span), not }),
            None => match odd_mask(word, &key) {
                Some((key, values)) => Step::Test(Test::Is { key, values, not }),
                None => Test::unknown(format!("the address {word}")),
            },
        };
        self.steps.push(step);
    }

    fn interface(&mut self, key: Key, not: bool) {
        // Any beginning is written with a plus sign here.
        let name = self.next();
        let pattern = match name.strip_suffix('+') {
            Some(start) => format!("{start}*"),
            None => name.to_owned(),
        };
        self.is(key, Values::name(pattern), not);
    }

    fn module(&mut self) {
        self.module = self.next().to_owned();
        // Modules that test something although they have no option.
        match self.module.as_str() {
            "rpfilter" => {
                let mut invert = false;
                while let Some(word @ ("--invert" | "--loose" | "--validmark" | "--accept-local")) =
                    self.words.get(self.at).map(String::as_str)
                {
                    invert |= word == "--invert";
                    self.at += 1;
                }
                self.is(Key::WayBack, Values::one(1u8), invert);
            }
            // A header of IPv6 that devices' packets do not have. ufw drops one kind of them.
            "rt" => self.is(Key::Proto(None), Values::one(ROUTING_HEADER), false),
            "socket" | "unclean" | "ipv6header" | "hbh" | "dst" => {
                let rest = self.rest_of_option();
                self.steps.push(Test::unknown(format!("-m {} {rest}", self.module)));
            }
            "frag" | "ah" | "esp" | "sctp" | "dccp" | "icmp" | "icmp6" | "mh" => {}
            _ => {}
        }
    }

    fn module_option(&mut self, option: &str, not: bool) {
        let v6 = self.v6;
        let proto = self.proto;
        match option {
            "--dport" | "--destination-port" => self.ports(Key::Dport(proto), not),
            "--sport" | "--source-port" => self.ports(Key::Sport(proto), not),
            "--dports" | "--destination-ports" => self.ports(Key::Dport(proto), not),
            "--sports" | "--source-ports" => self.ports(Key::Sport(proto), not),
            "--ports" => {
                let list = self.next();
                let (to, from) = (Key::Dport(proto), Key::Sport(proto));
                let (to_values, from_values) = (values(&to, list.split(',')), values(&from, list.split(',')));
                let rows = vec![vec![to_values, Values::any()], vec![Values::any(), from_values]];
                self.steps.push(Step::Test(Test::Rows { keys: vec![to, from], rows, not }));
            }
            "--tcp-flags" => {
                let (mask, wanted) = (self.next(), self.next());
                let bits = |list: &str| list.split(',').map(tcp_flag).try_fold(0, |a, b| b.map(|b| a | b));
                match (bits(mask), bits(wanted)) {
                    (Some(mask), Some(wanted)) => {
                        self.is(Key::Masked(Box::new(Key::TcpFlags), mask), Values::one(wanted), not);
                    }
                    _ => self.steps.push(Test::unknown(format!("--tcp-flags {mask} {wanted}"))),
                }
            }
            "--syn" => self.is(Key::Masked(Box::new(Key::TcpFlags), 0x17), Values::one(2u8), not),
            "--ctstate" | "--state" => {
                let list = self.next();
                match list.split(',').map(ct_state).try_fold(0, |a, b| b.map(|b| a | b)) {
                    Some(bits) => self.steps.push(Step::Test(Test::Bits { key: Key::CtState, bits, not })),
                    None => self.steps.push(Test::unknown(format!("{option} {list}"))),
                }
            }
            "--ctdir" => {
                let word = self.next().to_ascii_lowercase();
                self.is(Key::CtDirection, values(&Key::CtDirection, [word.as_str()]), not);
            }
            "--src-range" => self.range(Key::Saddr { v6 }, not),
            "--dst-range" => self.range(Key::Daddr { v6 }, not),
            "--match-set" => {
                let (name, directions) = (self.next(), self.next());
                let test = ipset::test(self.sets, name, directions, not);
                self.steps.push(Step::Test(test));
            }
            "--return-nomatch" => {}
            "--src-type" => self.addr_types(true, not),
            "--dst-type" => self.addr_types(false, not),
            "--limit-iface-in" | "--limit-iface-out" => {}
            "--pkt-type" => {
                let word = self.next();
                self.is(Key::PacketType, values(&Key::PacketType, [word]), not);
            }
            "--mark" => {
                let key = if self.module == "connmark" { Key::CtMark } else { Key::Mark };
                let word = self.next();
                let (value, mask) = word.split_once('/').unwrap_or((word, "0xffffffff"));
                match (int(value), int(mask)) {
                    (Some(value), Some(mask)) => self.is(Key::Masked(Box::new(key), mask), Values::one(value), not),
                    _ => self.steps.push(Test::unknown(format!("--mark {word}"))),
                }
            }
            "--uid-owner" => self.owner(Key::Uid, not),
            "--gid-owner" => self.owner(Key::Gid, not),
            "--comment" => self.comment = Some(self.next().to_owned()),
            // Of IPsec: packets that came without.
            "--pol" if self.words.get(self.at).is_some_and(|w| w == "none") => self.at += 1,
            "--dir" if self.module == "policy" => self.at += 1,
            _ if self.module == "rt" => {
                self.rest_of_option();
            }
            // Others' protocols: `-p` has said no already.
            "--icmp-type" | "--icmpv6-type" | "--ahspi" | "--espspi" | "--mh-type" => {
                self.rest_of_option();
            }
            _ => {
                let rest = self.rest_of_option();
                let text = format!("-m {} {}{option} {rest}", self.module, if not { "! " } else { "" });
                let text = text.trim().to_owned();
                let first = !matches!(self.steps.last(), Some(Step::Test(Test::Unknown(why))) if why.text().starts_with(&format!("-m {} ", self.module)));
                if first {
                    self.steps.push(match self.module.as_str() {
                        "limit" | "hashlimit" | "connlimit" | "quota" | "recent" | "connbytes" => Test::rate(text),
                        _ => Test::unknown(text),
                    });
                }
            }
        }
    }

    fn ports(&mut self, key: Key, not: bool) {
        let list = self.next();
        let values = values(&key, list.split(','));
        self.is(key, values, not);
    }

    fn range(&mut self, key: Key, not: bool) {
        let word = self.next();
        let step = match network(word, self.v6) {
            Some(span) => Step::Test(Test::Is { key, values: Values::numbers(span), not }),
            None => Test::unknown(format!("the range {word}")),
        };
        self.steps.push(step);
    }

    fn addr_types(&mut self, source: bool, not: bool) {
        let list = self.next();
        let numbers: Option<Vec<u128>> = list.split(',').map(addr_type).collect();
        match numbers {
            Some(numbers) => {
                let span = Span::of(numbers.into_iter().map(|n| (n, n)));
                self.is(Key::AddrType { source }, Values::numbers(span), not);
            }
            None => self.steps.push(Test::unknown(format!("-m addrtype {list}"))),
        }
    }

    fn owner(&mut self, key: Key, not: bool) {
        let word = self.next();
        match atom(&key, word).map(Values::one).or_else(|| {
            let (low, high) = word.split_once('-')?;
            Some(Values::numbers(Span::range(int(low)?, int(high)?)))
        }) {
            Some(values) => self.is(key, values, not),
            None => self.steps.push(Test::unknown(format!("-m owner {word}"))),
        }
    }

    /// What follows `-j`; options after it are the target's.
    fn target(&mut self) {
        let name = self.next();
        let options = self.words.get(self.at..).unwrap_or_default();
        self.at = self.words.len();
        let shown = || format!("-j {name} {}", options.join(" ")).trim().to_owned();
        let value = |option: &str| {
            let at = options.iter().position(|w| w == option)?;
            options.get(at + 1).map(String::as_str)
        };
        let step = match name {
            "ACCEPT" => Step::Do(Verdict::Accept),
            "DROP" => Step::Do(Verdict::Drop),
            "REJECT" => Step::Do(Verdict::Reject),
            "RETURN" => Step::Do(Verdict::Return),
            // A chain of that name comes before an extension of that name.
            _ if self.table.chains.contains_key(name) => Step::Do(Verdict::Jump(name.to_owned())),
            "NOTRACK" => Step::NoTrack,
            "CT" if options.iter().any(|w| w == "--notrack") => Step::NoTrack,
            "LOG" | "NFLOG" | "ULOG" | "AUDIT" | "TRACE" | "CT" | "TCPMSS" | "TOS" | "DSCP" | "CLASSIFY"
            | "CHECKSUM" | "TTL" | "HL" | "TEE" | "RATEEST" | "IDLETIMER" | "LED" | "SECMARK" | "CONNSECMARK"
            | "TCPOPTSTRIP" | "ECN" | "SET" => return,
            "MARK" => Step::Mark(mark(&value)),
            "CONNMARK" if options.iter().any(|w| w == "--restore-mark") => Step::MarkFromCt,
            "CONNMARK" => Step::CtMark(mark(&value)),
            "DNAT" | "REDIRECT" => match nat(name, &value, self.v6) {
                Some(verdict) => Step::Do(verdict),
                None => Step::Do(Verdict::Unknown(Why::Expression(shown()))),
            },
            "SNAT" | "MASQUERADE" => Step::Do(Verdict::Accept),
            _ => Step::Do(Verdict::Unknown(Why::Expression(shown()))),
        };
        self.steps.push(step);
    }
}

/// `MARK --set-xmark VALUE/MASK`: known where the whole mark is set.
fn mark<'w>(value: &impl Fn(&str) -> Option<&'w str>) -> Option<u32> {
    let word = value("--set-xmark").or_else(|| value("--set-mark"))?;
    let (number, mask) = word.split_once('/').unwrap_or((word, "0xffffffff"));
    (int(mask)? == 0xffff_ffff).then(|| int(number).and_then(|n| u32::try_from(n).ok()))?
}

fn nat<'w>(name: &str, value: &impl Fn(&str) -> Option<&'w str>, v6: bool) -> Option<Verdict> {
    let port = |word: &str| {
        let (low, high) = word.split_once('-').unwrap_or((word, word));
        Some(Span::range(int(low)?, int(high)?))
    };
    if name == "REDIRECT" {
        let to = value("--to-ports");
        return Some(Verdict::Nat { to: None, port: to.map(port).unwrap_or_default() });
    }
    // `10.0.0.1`, `10.0.0.1:514`, `:514`, `[2001:db8::1]:514`, `10.0.0.1-10.0.0.9:514`
    let word = value("--to-destination")?;
    let (addr, to_port) = match word.strip_prefix('[').and_then(|w| w.split_once(']')) {
        Some((addr, rest)) => (addr, rest.strip_prefix(':')),
        None if v6 => (word, None),
        None => match word.split_once(':') {
            Some((addr, rest)) => (addr, Some(rest)),
            None => (word, None),
        },
    };
    let to = match addr {
        "" => None,
        _ => Some(network(addr, v6)?),
    };
    Some(Verdict::Nat { to, port: to_port.map(port).unwrap_or_default() })
}

/// `10.0.0.1/255.0.0.255`
fn odd_mask(word: &str, key: &Key) -> Option<(Key, Values)> {
    let (addr, mask) = word.split_once('/')?;
    let (addr, mask) = (number(addr.parse().ok()?), number(mask.parse().ok()?));
    Some((Key::Masked(Box::new(key.clone()), mask), Values::one(addr & mask)))
}
