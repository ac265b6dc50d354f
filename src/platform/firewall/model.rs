//! One model for every rule set of the machine, whichever tool wrote it: chains of rules, a rule being tests and what it
//! does. What a parser does not understand stays in the rule as a test whose answer is not known.

use std::collections::BTreeMap;

use super::span::Span;

/// All rules that a packet of this machine can meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    pub tables: Vec<Table>,
    /// Rules that could not be had at all, in words.
    pub gaps: Vec<String>,
}

/// What a table holds packets of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Ip,
    Ip6,
    Inet,
    Netdev,
    Bridge,
    Arp,
}

impl Family {
    pub fn word(self) -> &'static str {
        match self {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Inet => "inet",
            Family::Netdev => "netdev",
            Family::Bridge => "bridge",
            Family::Arp => "arp",
        }
    }
    pub fn parse(word: &str) -> Option<Family> {
        [Family::Ip, Family::Ip6, Family::Inet, Family::Netdev, Family::Bridge, Family::Arp]
            .into_iter()
            .find(|f| f.word() == word)
    }
    /// Do packets of this IP version pass its tables?
    pub fn sees(self, v6: bool) -> bool {
        match self {
            Family::Ip => !v6,
            Family::Ip6 => v6,
            Family::Inet | Family::Netdev => true,
            Family::Bridge | Family::Arp => false,
        }
    }
}

/// Whose rules a table has: they are told and changed by different commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// `nft`
    Nft,
    /// `iptables` on the kernel's nftables.
    IptablesNft,
    /// `iptables` on the kernel's old tables.
    IptablesLegacy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub engine: Engine,
    pub family: Family,
    pub name: String,
    pub chains: BTreeMap<String, Chain>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    /// Where packets come into it by themselves; `None`: only by jumps.
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub hook: Hook,
    /// Lower is earlier.
    pub priority: i32,
    pub nat: bool,
    /// What happens to packets that come to its end.
    pub accept: bool,
    /// Interfaces of an ingress or egress chain.
    pub devices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub steps: Vec<Step>,
    /// As the tool shows it.
    pub text: String,
    /// Number by which `nft` names the rule.
    pub handle: Option<u64>,
    pub comment: Option<String>,
}

/// Tests and deeds, in order; the first test that is not met ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Test(Test),
    Do(Verdict),
    /// The verdict of the row that the packet fits; none: on with the rule.
    Map {
        keys: Vec<Key>,
        rows: Vec<(Vec<Values>, Verdict)>,
    },
    /// The mark is set to this, or to something not known.
    Mark(Option<u32>),
    /// The same of the mark that stays with the connection.
    CtMark(Option<u32>),
    /// The packet gets the connection's mark.
    MarkFromCt,
    /// Connection tracking leaves the packet alone.
    NoTrack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Is the value one of these?
    Is {
        key: Key,
        values: Values,
        not: bool,
    },
    /// Is any of these bits set?
    Bits {
        key: Key,
        bits: u128,
        not: bool,
    },
    /// Do all values of one row fit?
    Rows {
        keys: Vec<Key>,
        rows: Vec<Vec<Values>>,
        not: bool,
    },
    Never,
    /// Cannot be judged from here.
    Unknown(Why),
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It depends on how much comes: a limit or quota.
    Rate(String),
    /// An expression that is not judged here, or that rests on what is not known.
    Expression(String),
}

impl Why {
    pub fn text(&self) -> &str {
        match self {
            Why::Rate(text) | Why::Expression(text) => text,
        }
    }
}

/// What of a packet is looked at. Those with a family or a protocol fit no packet of another one, whatever the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Saddr {
        v6: bool,
    },
    Daddr {
        v6: bool,
    },
    /// `None`: of either protocol.
    Sport(Option<u8>),
    Dport(Option<u8>),
    /// Protocol number; the IP version where the header was named.
    Proto(Option<bool>),
    /// 2 or 10 (`NFPROTO_IPV4`, `NFPROTO_IPV6`).
    NfProto,
    EtherType,
    Iif,
    Oif,
    CtState,
    CtMark,
    /// Bits; of interest is that its destination was changed.
    CtStatus,
    /// 0: original, 1: reply.
    CtDirection,
    Mark,
    TcpFlags,
    /// Fragment offset and flags: 0 for all packets that are asked about.
    Fragment,
    PacketType,
    /// Kind of an address as the routes have it; of the sender or of the receiver.
    AddrType {
        source: bool,
    },
    /// Is there a way back to the sender through the interface? 1 or 0.
    WayBack,
    /// User or group of the sending process.
    Uid,
    Gid,
    Masked(Box<Key>, u128),
}

/// The values to compare with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Fits everything.
    pub any: bool,
    pub numbers: Span,
    /// Names of interfaces; `*` at the end stands for anything.
    pub names: Vec<String>,
    /// There are more, which cannot be judged.
    pub unknown: Option<String>,
}

impl Values {
    pub fn any() -> Self {
        Values { any: true, ..Values::default() }
    }
    pub fn numbers(numbers: Span) -> Self {
        Values { numbers, ..Values::default() }
    }
    pub fn one(n: impl Into<u128>) -> Self {
        Values::numbers(Span::one(n.into()))
    }
    pub fn name(name: impl Into<String>) -> Self {
        Values { names: vec![name.into()], ..Values::default() }
    }
    pub fn unknown(why: impl Into<String>) -> Self {
        Values { unknown: Some(why.into()), ..Values::default() }
    }
    /// Adds the other's values. Many at once: collect them and call [`Span::of`].
    pub fn add(&mut self, other: Values) {
        self.any |= other.any;
        if !other.numbers.is_empty() {
            self.numbers = self.numbers.union(&other.numbers);
        }
        self.names.extend(other.names);
        self.unknown = self.unknown.take().or(other.unknown);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Reject,
    Return,
    Jump(String),
    Goto(String),
    /// On with the next rule.
    Continue,
    /// To another address or port; `None`: the same as before.
    Nat {
        to: Option<Span>,
        port: Option<Span>,
    },
    /// Whatever it does, it ends the walk through the chain, or not; which cannot be judged.
    Unknown(Why),
}

impl Test {
    pub fn is(key: Key, values: Values) -> Step {
        Step::Test(Test::Is { key, values, not: false })
    }
    pub fn unknown(why: impl Into<String>) -> Step {
        Step::Test(Test::Unknown(Why::Expression(why.into())))
    }
    pub fn rate(why: impl Into<String>) -> Step {
        Step::Test(Test::Unknown(Why::Rate(why.into())))
    }
}

impl Table {
    /// As people name it.
    pub fn label(&self) -> String {
        match (self.engine, self.family) {
            (Engine::Nft, family) => format!("nftables table {} {}", family.word(), self.name),
            (engine, family) => {
                let tool = if family == Family::Ip6 { "ip6tables" } else { "iptables" };
                let legacy = if engine == Engine::IptablesLegacy { "-legacy" } else { "" };
                format!("{tool}{legacy} table {}", self.name)
            }
        }
    }
}
