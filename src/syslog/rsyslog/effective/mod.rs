//! What a whole configuration amounts to: listeners, forwards and other actions with their queues, rulesets, templates,
//! modules, settings and names, each with file and line. Built in the daemon's own order, since much depends on it: a
//! legacy directive acts on what follows, the first of two templates of one name counts, and so on.

mod action;
mod build;
mod legacy;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ast::{Expr, Object, Param};
use super::filter::{PriFilter, PropFilter};
use super::parse::{self, FileRead, Include, Stopped};
use super::problem::Problem;
use crate::syslog::{ConfigSource, Location, Text};

/// The ruleset that is there without being defined.
pub const DEFAULT_RULESET: &str = "RSYSLOG_DefaultRuleset";

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effective {
    pub main: PathBuf,
    /// Files in the order the daemon reads them.
    pub files: Vec<FileRead>,
    pub includes: Vec<Include>,
    /// Where the daemon stops reading too early, if it does: what stands behind has no effect.
    pub stopped: Option<Stopped>,
    /// Loaded modules; a second load of the same module is a problem, not an entry.
    pub modules: Vec<Module>,
    /// Every setting in the order of reading, overruled ones included.
    pub settings: Vec<Setting>,
    /// Network listeners, one per port.
    pub listeners: Vec<Listener>,
    /// Other `input(…)` objects (imfile, imuxsock …).
    pub inputs: Vec<Object>,
    pub templates: Vec<Template>,
    /// The default ruleset comes first, used or not.
    pub rulesets: Vec<Ruleset>,
    /// The ruleset that listeners without one are bound to.
    pub default_ruleset: Text,
    pub main_queue: Queue,
    pub actions: Vec<Action>,
    /// `lookup_table`, `parser`, `timezone`, `dyn_stats` …
    pub objects: Vec<Object>,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// As the daemon knows it: `imudp`, `builtin:omfile`.
    pub name: Text,
    pub params: Vec<Param>,
    pub legacy: bool,
    pub at: Location,
}

/// One `$Directive` or `global()` parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Lower case, as `global()` has it where both dialects know it (`workdirectory`, `privdrop.user.name`).
    pub name: Text,
    pub value: Text,
    pub legacy: bool,
    /// Is this the one that counts? Of legacy lines the last does, of `global()` the first, and `global()` beats legacy.
    pub in_force: bool,
    pub at: Location,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    Relp,
    /// DTLS, GSSAPI, HTTP and the like.
    Other,
}

/// One port somebody listens on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// `imudp`, `imtcp`, `imptcp`, `imrelp` …
    pub module: Text,
    pub transport: Transport,
    /// A number or a service name, as written.
    pub port: Text,
    /// None: every address, IPv4 and IPv6.
    pub address: Option<Text>,
    /// As written; see [`Effective::ruleset_of`] for where events really go.
    pub ruleset: Option<Text>,
    /// The name given to the input (`inputname` property, counters).
    pub name: Option<Text>,
    /// `None` plain; else the stream driver's mode and name.
    pub tls: Option<Tls>,
    pub max_sessions: Option<i64>,
    /// Socket receive buffer, bytes.
    pub receive_buffer: Option<i64>,
    pub rate_limit: Option<RateLimit>,
    /// Does a leading number mean octet-counted framing (TCP)?
    pub octet_counted: bool,
    /// Parameters of the input itself, as written; module-wide ones stand with the module.
    pub params: Vec<Param>,
    pub legacy: bool,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `gtls`, `ossl`; empty: the default driver.
    pub driver: Text,
    pub auth_mode: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Seconds.
    pub interval: i64,
    pub burst: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub name: Text,
    /// `string`, `list`, `subtree`, `plugin`.
    pub kind: Text,
    /// The format of a string template, escapes resolved as far as the configuration language does it.
    pub format: Option<Text>,
    /// Parts of a list template.
    pub parts: Vec<Object>,
    pub legacy: bool,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ruleset {
    pub name: Text,
    /// None for the default ruleset that nobody defines.
    pub at: Option<Location>,
    /// Its own queue, if it has one.
    pub queue: Option<Queue>,
    pub steps: Vec<Step>,
    /// `parser="…"`
    pub parsers: Vec<Text>,
    /// Opened by `$RuleSet`.
    pub legacy: bool,
}

/// A statement that does something to an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub at: Location,
    pub kind: StepKind,
}

/// Index into [`Effective::actions`].
pub type ActionId = usize;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StepKind {
    Action(ActionId),
    /// `stop` or `~`.
    Stop,
    Call(Text),
    CallIndirect(Expr),
    If {
        branches: Vec<(Expr, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
    Foreach {
        var: Text,
        list: Expr,
        body: Vec<Step>,
    },
    Set {
        var: Text,
        value: Expr,
    },
    Unset(Text),
    Pri {
        filter: PriFilter,
        body: Vec<Step>,
    },
    Prop {
        filter: PropFilter,
        body: Vec<Step>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub id: ActionId,
    /// The ruleset it stands in.
    pub ruleset: Text,
    /// `omfwd`, `omfile`, `omusrmsg`, `ompipe`, `omprog` …
    pub module: Text,
    pub name: Option<Text>,
    pub kind: ActionKind,
    /// The template it names; none: the module's default.
    pub template: Option<Text>,
    pub queue: Queue,
    /// −1: for ever.
    pub resume_retries: i64,
    /// Seconds.
    pub resume_interval: i64,
    pub only_when_previous_suspended: bool,
    /// False where the daemon leaves it out (template or module missing, switched off).
    pub enabled: bool,
    pub params: Vec<Param>,
    pub legacy: bool,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionKind {
    Forward(Forward),
    /// A file with a fixed name.
    File(Text),
    /// A file whose name a template makes.
    DynaFile(Text),
    /// Terminals of these users; `*` for all.
    Users(Vec<Text>),
    Pipe(Text),
    Program(Text),
    /// Any other module.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub target: Text,
    /// A number or a service name.
    pub port: Text,
    pub transport: Transport,
    pub octet_counted: bool,
    pub compressed: bool,
    pub tls: bool,
}

impl Forward {
    pub fn port_number(&self) -> Option<u16> {
        port_number(&self.port)
    }
    /// TCP without anything around the lines.
    pub fn is_plain_tcp(&self) -> bool {
        self.transport == Transport::Tcp && !self.tls && !self.compressed && !self.octet_counted
    }
    /// Does it stay on this machine, as far as the name says?
    pub fn is_loopback(&self) -> bool {
        let target = self.target.to_str_lossy();
        let target = target.trim_start_matches('[').trim_end_matches(']');
        match target.parse::<std::net::IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
            Err(_) => target.eq_ignore_ascii_case("localhost") || target.to_ascii_lowercase().ends_with(".localhost"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    Direct,
    LinkedList,
    FixedArray,
    Disk,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    pub kind: QueueType,
    /// With a memory queue: it spills to disk.
    pub file_name: Option<Text>,
    /// Own folder; none: the work directory.
    pub spool: Option<Text>,
    /// Messages.
    pub size: i64,
    /// Bytes; 0: no limit.
    pub max_disk: i64,
    pub save_on_shutdown: bool,
    /// Milliseconds; 0: drop at once when full, −1: wait for ever.
    pub enqueue_timeout: i64,
    pub params: Vec<Param>,
}

impl Action {
    fn number(&self, names: [&str; 2]) -> Option<i64> {
        let named = |p: &&Param| names.contains(&p.name.to_lower().to_string().as_str());
        self.params.iter().rev().find(named).and_then(|p| p.value.text()?.number())
    }

    /// It is done with one event of so many only.
    pub fn every_nth(&self) -> Option<i64> {
        self.number(["action.execonlyeverynthtime", "actionexeconlyeverynthtime"]).filter(|n| *n > 1)
    }

    /// Once it was done it is left out for so many seconds.
    pub fn once_every(&self) -> Option<i64> {
        self.number(["action.execonlyonceeveryinterval", "actionexeconlyonceeveryinterval"]).filter(|n| *n > 0)
    }
}

impl Queue {
    /// Does it keep events on disk when memory is full or the daemon stops?
    pub fn on_disk(&self) -> bool {
        self.kind == QueueType::Disk || (self.kind != QueueType::Direct && self.file_name.is_some())
    }
}

impl Effective {
    /// Reads everything from the main file on. Never fails: what cannot be read or understood is among the problems.
    pub fn load(main: &Path, source: &dyn ConfigSource) -> Effective {
        build::build(main, parse::read(main, source))
    }

    /// A ruleset by name (names are case-sensitive).
    pub fn ruleset(&self, name: &Text) -> Option<&Ruleset> {
        self.rulesets.iter().find(|r| r.name == *name)
    }

    /// The ruleset that really takes the events of a listener: an undefined one falls back to the default.
    pub fn ruleset_of(&self, listener: &Listener) -> &Text {
        listener.ruleset.as_ref().and_then(|r| self.ruleset(r)).map_or(&self.default_ruleset, |r| &r.name)
    }

    /// The value in force of a setting, by its `global()` name or its legacy name, case does not matter.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        let name = legacy::canonical(name.as_bytes());
        self.settings.iter().find(|s| s.in_force && s.name == name)
    }

    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|m| m.name == name)
    }

    pub fn template(&self, name: &Text) -> Option<&Template> {
        self.templates.iter().find(|t| t.name == *name)
    }

    /// Actions that forward over the network.
    pub fn forwards(&self) -> impl Iterator<Item = (&Action, &Forward)> {
        self.actions.iter().filter_map(|a| match &a.kind {
            ActionKind::Forward(f) => Some((a, f)),
            _ => None,
        })
    }
}

impl Listener {
    pub fn port_number(&self) -> Option<u16> {
        port_number(&self.port)
    }
}

/// A port as number; the one service name that occurs is known.
fn port_number(port: &Text) -> Option<u16> {
    if port.is("syslog") {
        return Some(514);
    }
    port.number().and_then(|n| u16::try_from(n).ok())
}

/// A size as the daemon reads it: `64k` is 65536, `64K` is 64000, and so on up to exa.
pub fn size(text: &Text) -> Option<i64> {
    let bytes = text.as_bytes().trim_ascii();
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b',' | b'.')).count();
    let number: Vec<u8> = bytes[..digits].iter().copied().filter(u8::is_ascii_digit).collect();
    let number: i64 = std::str::from_utf8(&number).ok()?.parse().ok()?;
    let (base, power) = match bytes.get(digits) {
        None => (1, 0),
        Some(unit) => {
            let power = b"kmgtpe".iter().position(|u| u.eq_ignore_ascii_case(unit))? as u32 + 1;
            (if unit.is_ascii_lowercase() { 1024 } else { 1000 }, power)
        }
    };
    number.checked_mul(i64::pow(base, power))
}

#[cfg(test)]
mod tests;
