//! Our rsyslog drop-in: what the administrator sees, and the events' way through it. Pure; the decisions (which listeners
//! are re-used, what the configuration lacks) are made in [`super::collector`].
//!
//! The file has one ruleset that finds security events and forwards them, [`CALLABLE`]; it is called from the ruleset of
//! our own inputs, from the default ruleset for listeners that were there before, and by rulesets of others. It never
//! stops an event: that is up to the caller. Every figure that a setting here rests on is in docs/rsyslog.md.

mod dates;
mod rule;
mod script;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::effective::Transport;
use script::quoted;

/// The ruleset that others may call for their events: it forwards security events, sets `$.cefctl_sent` to `yes` for
/// them and stops nothing. May be called from any place of any file.
pub const CALLABLE: &str = "cefctl_events";
/// The ruleset of our own inputs.
pub const OWN_RULESET: &str = "cefctl_in";
/// Name of the ruleset that forwards, of its action, and of the files its queue leaves in the work directory.
pub const QUEUE_FILE: &str = "cefctl_fwd";

/// First version with `queue.takeFlowCtlFromMsg`.
const FLOW_CONTROL: (u32, u32, u32) = (8, 1911, 0);
/// First version whose imtcp takes its limits at the input too.
const INPUT_LIMITS: (u32, u32, u32) = (8, 2106, 0);
/// First version in which `discardTruncatedMsg` leaves the next message alone.
const DISCARD_WORKS: (u32, u32, u32) = (8, 2006, 0);
/// First version whose imptcp has a limit of sessions.
pub const PTCP_SESSIONS: (u32, u32, u32) = (8, 2102, 0);

/// First version whose imtcp takes certificate, key and driver at the input. Before, all its inputs have TLS or none.
pub const TLS_AT_INPUT: (u32, u32, u32) = (8, 2108, 0);

/// What the default ruleset does with events of listeners that were there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Nothing: no such listener.
    None,
    /// Forwards security events and ends there.
    Stop,
    /// Forwards security events and goes on with the local rules.
    Keep,
}

/// The module behind our TCP input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpModule {
    /// Known to everybody. Leaves connections open, unread, until the daemon has ended: what senders write meanwhile is
    /// lost (measured: as long as the daemon takes to stop, a tenth to a quarter of a second).
    Imtcp,
    /// Closes connections at once when the daemon stops, so that senders notice. Looks names up at every connection
    /// unless that is switched off; needs the end of line also behind a connection's last event.
    Imptcp,
}

impl TcpModule {
    /// The better one. imptcp loses next to nothing at a restart, but only where names are not looked up (each
    /// connection would wait for the resolver) and where no event comes near the largest message: before 8.2304 it
    /// sends one that is too long again and again.
    pub fn best(version: (u32, u32, u32), names_off: bool, large_messages: bool) -> TcpModule {
        let sound = version >= (8, 2304, 0) || large_messages;
        if version >= PTCP_SESSIONS && names_off && sound { TcpModule::Imptcp } else { TcpModule::Imtcp }
    }

    pub fn name(self) -> &'static str {
        match self {
            TcpModule::Imtcp => "imtcp",
            TcpModule::Imptcp => "imptcp",
        }
    }
}

/// The TLS library behind imtcp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsDriver {
    GnuTls,
    OpenSsl,
}

impl TlsDriver {
    /// As `StreamDriver.Name` has it.
    pub fn name(self) -> &'static str {
        match self {
            TlsDriver::GnuTls => "gtls",
            TlsDriver::OpenSsl => "ossl",
        }
    }

    /// Its module.
    pub fn file(self) -> &'static str {
        match self {
            TlsDriver::GnuTls => "lmnsd_gtls.so",
            TlsDriver::OpenSsl => "lmnsd_ossl.so",
        }
    }
}

/// What our TLS input needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub driver: TlsDriver,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Of no use to us, as clients need no certificate, but the drivers complain without one.
    pub authority: PathBuf,
    /// The configuration names these files for the whole daemon already.
    pub are_global: bool,
}

/// A listener of ours.
#[derive(Debug, Clone)]
pub struct OwnInput {
    pub transport: Transport,
    /// TCP inside TLS, see [`DropIn::tls`].
    pub tls: bool,
    pub port: u16,
    /// Somebody has the IPv6 socket of the port.
    pub v4_only: bool,
    /// The configuration does not load its module yet.
    pub load_module: bool,
    /// Does TCP take frames that start with their length? Then a line that starts with a digit is misread as one.
    pub octet_counting: bool,
    /// The statement stands in another file, behind the module it needs; see [`input`].
    pub elsewhere: bool,
}

/// All that the drop-in depends on.
#[derive(Debug, Clone)]
pub struct DropIn {
    /// Of the daemon.
    pub version: (u32, u32, u32),
    /// Named in the header.
    pub receipt: PathBuf,
    pub agent_port: u16,
    /// Off for an agent that brings its own forward (Azure Monitor Agent): then there are inputs only, bound to the
    /// default ruleset.
    pub forward: bool,
    /// Security events end in the default ruleset: the agent's own forward stands before, and the local files are to get
    /// none of them.
    pub end: bool,
    /// Without a forward of ours: what lies in our queue goes to this agent. Nothing new comes to it.
    pub hand_over: bool,
    pub inputs: Vec<OwnInput>,
    pub tls: Option<TlsFiles>,
    /// Of plain TCP.
    pub tcp_module: TcpModule,
    pub block: Block,
    /// A ruleset of somebody else calls [`CALLABLE`].
    pub callable: bool,
    /// Security events of our own inputs also go through the local rules.
    pub keep_own: bool,
    /// Give ids and versions that the agent does not know (`%FTD-`, `%ASA-session-`, `CEF:1`) a form it does.
    pub rewrite_ids: bool,
    /// Disk space of the queue, MB.
    pub queue_disk: u32,
    /// To set, because the configuration sets none.
    pub work_directory: Option<PathBuf>,
    /// The configuration leaves the largest message at 8 kB.
    pub set_max_message_size: bool,
    /// The configuration does not say whether tabs are spelled out; we need them as they are.
    pub keep_tabs: bool,
    /// Switch off name lookups of senders. Concerns the whole daemon: for boxes that had no network listener before.
    pub names_off: bool,
    /// The configuration drops repeated messages, which eats events that differ in their time only.
    pub keep_repeats: bool,
    /// The daemon's connections have another driver than plain TCP by default; the one to the agent must not need it.
    pub plain_driver: bool,
}

/// The bytes of the file.
pub fn render(drop_in: &DropIn) -> Vec<u8> {
    let mut out = header(drop_in);
    out += &globals(drop_in);
    out += &modules(drop_in);
    let needed = drop_in.block != Block::None || drop_in.callable || !drop_in.inputs.is_empty();
    if drop_in.forward && needed {
        out.push('\n');
        out += LINE;
        out += TEMPLATES;
        out += &rule::forward(drop_in);
        out.push('\n');
        out += &rule::ruleset(drop_in);
        if !drop_in.inputs.is_empty() {
            out.push('\n');
            out += &own_ruleset(drop_in);
        }
        if drop_in.block != Block::None {
            out.push('\n');
            out += &block(drop_in);
        }
    }
    if drop_in.end {
        out += &rule::end();
    }
    if !drop_in.forward && drop_in.hand_over {
        out += "\n# What still waits for the agent that was here before. The next `cefctl install` takes this away when it is through.\n";
        out += LINE;
        out += &rule::forward(drop_in);
    }
    out += &inputs(drop_in);
    out.into_bytes()
}

fn header(d: &DropIn) -> String {
    // A path may hold anything; in a comment a line feed would end it.
    let receipt: String = d.receipt.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!(
        "# Written by cefctl {}, receipt {receipt}.\n\
         # Do not edit: `cefctl install` writes it anew, `cefctl uninstall` takes it away.\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Settings of the whole daemon, each only where the configuration has none.
fn globals(d: &DropIn) -> String {
    let mut out = String::new();
    let mut set = |why: &str, name: &str, value: &str| {
        out += &format!("\n# {why}\nglobal({name}={})\n", quoted(value));
    };
    if let Some(folder) = &d.work_directory {
        set("where queues keep their files", "workDirectory", &folder.to_string_lossy());
    }
    if d.set_max_message_size {
        set("events longer than 8 kB would be cut in two", "maxMessageSize", largest_message(d));
    }
    if d.keep_tabs {
        set("tabs are part of events", "parser.escapeControlCharacterTab", "off");
    }
    if d.names_off {
        set(
            "a slow name server would hold up reception: a new sender's connection for 10 s and more",
            "net.enableDNS",
            "off",
        );
    }
    if d.keep_repeats {
        out += "\n# Events that differ in their time only would be dropped as repetitions. Of these lines the last counts.\n\
                $RepeatedMsgReduction off\n";
    }
    out
}

/// Twice what a column of the table takes; for imptcp far more than any event has, see [`TcpModule::best`].
fn largest_message(d: &DropIn) -> &'static str {
    if d.tcp_module == TcpModule::Imptcp && tcp(d).is_some() { "1m" } else { "128k" }
}

fn tcp(d: &DropIn) -> Option<&OwnInput> {
    d.inputs.iter().find(|i| i.transport == Transport::Tcp && !i.tls)
}

/// The module behind one of our inputs.
pub fn module(d: &DropIn, input: &OwnInput) -> &'static str {
    match input.transport {
        // The other TCP module knows no TLS.
        Transport::Tcp if input.tls => TcpModule::Imtcp.name(),
        Transport::Tcp => d.tcp_module.name(),
        _ => "imudp",
    }
}

fn modules(d: &DropIn) -> String {
    let mut out = String::new();
    let mut done: Vec<&str> = Vec::new();
    for input in d.inputs.iter().filter(|i| i.load_module) {
        let name = module(d, input);
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let tls = d.tls.as_ref().filter(|_| d.inputs.iter().any(|i| i.tls) && d.version < TLS_AT_INPUT);
        out += &match (name, tls) {
            ("imtcp", None) => format!("module(load=\"imtcp\"{})\n", limits(d)),
            // All its inputs have TLS then; plain TCP goes to the other module.
            ("imtcp", Some(tls)) => {
                format!("{}module(load=\"imtcp\"{}{})\n", global_files(tls), stream_driver(tls), limits(d))
            }
            _ => format!("module(load=\"{name}\")\n"),
        };
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// Before [`TLS_AT_INPUT`] the whole daemon has one certificate.
fn global_files(tls: &TlsFiles) -> String {
    if tls.are_global {
        return String::new();
    }
    let set = |name: &str, path: &Path| format!("global(defaultNetstreamDriver{name}={})\n", shown(path));
    set("CAFile", &tls.authority) + &set("CertFile", &tls.certificate) + &set("KeyFile", &tls.key)
}

/// TLS, and clients need no certificate.
fn stream_driver(tls: &TlsFiles) -> String {
    let driver = tls.driver.name();
    format!(" streamDriver.name=\"{driver}\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\"")
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// What makes an input one with TLS.
fn tls_input(d: &DropIn) -> String {
    let Some(tls) = d.tls.as_ref().filter(|_| d.version >= TLS_AT_INPUT) else { return String::new() };
    format!(
        "{} streamDriver.CAFile={} streamDriver.certFile={} streamDriver.keyFile={}",
        stream_driver(tls),
        shown(&tls.authority),
        shown(&tls.certificate),
        shown(&tls.key)
    )
}

/// Limits of TCP. For imtcp at the module line, or at the input where that line is somebody else's.
fn limits(d: &DropIn) -> String {
    let discard = if d.version >= DISCARD_WORKS { " discardTruncatedMsg=\"on\"" } else { "" };
    format!(" maxSessions=\"500\" keepAlive=\"on\" addtlFrameDelimiter=\"0\"{discard}")
}

const LINE: &str = "template(name=\"cefctl_line\" type=\"string\" string=\"%$.cefctl_line%\")\n";
const TEMPLATES: &str = r##"# the time of the event as rsyslog read it, and of reception where it found none
template(name="cefctl_now" type="string" string="%timereported:::date-year%-%timereported:::date-month%-%timereported:::date-day%T%timereported:::date-hour%:%timereported:::date-minute%:%timereported:::date-second%.000%timereported:::date-tzoffsdirection%%timereported:::date-tzoffshour%:%timereported:::date-tzoffsmin%")

"##;

/// Has a queue of its own, so that neither our events wait for the box's other messages nor these for ours.
fn own_ruleset(d: &DropIn) -> String {
    let stop = if d.keep_own { String::new() } else { format!("  {STOP}\n") };
    format!(
        r##"# What comes in at our own inputs: security events to the agent, everything else through the local rules.
ruleset(name="{OWN_RULESET}" queue.type="LinkedList" queue.size="50000") {{
  call {CALLABLE}
{stop}  call RSYSLOG_DefaultRuleset
}}
"##
    )
}

fn block(d: &DropIn) -> String {
    format!("# What comes in at listeners that were here before.\n{}", statements(d.block))
}

/// What stands in a ruleset that takes events of listeners that were here before.
pub fn statements(block: Block) -> String {
    match block {
        Block::None => String::new(),
        Block::Keep => format!("call {CALLABLE}\n"),
        Block::Stop => format!("call {CALLABLE}\n{STOP}\n"),
    }
}

const STOP: &str = "if $.cefctl_sent == \"yes\" then stop";

fn inputs(d: &DropIn) -> String {
    let out: String = d.inputs.iter().filter(|i| !i.elsewhere).map(|i| input(d, i)).collect();
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// The statement of one of our inputs, with its line feed.
pub fn input(d: &DropIn, input: &OwnInput) -> String {
    let ruleset = if d.forward { format!(" ruleset=\"{OWN_RULESET}\"") } else { String::new() };
    let port = input.port;
    let address = if input.v4_only { " address=\"0.0.0.0\"" } else { "" };
    match input.transport {
        Transport::Tcp => {
            let (module, limits) = (module(d, input), tcp_input(d, input));
            let (name, tls) = if input.tls { ("cefctl_tls", tls_input(d)) } else { ("cefctl_tcp", String::new()) };
            format!("input(type=\"{module}\" name=\"{name}\" port=\"{port}\"{address}{tls}{limits}{ruleset})\n")
        }
        _ => format!(
            "input(type=\"imudp\" name=\"cefctl_udp\" port=\"{port}\"{address} rcvbufSize=\"8m\" rateLimit.interval=\"0\"{ruleset})\n"
        ),
    }
}

/// Parameters of a TCP input. A blank behind the line feed is a habit of Cisco ASA; NUL ends a message like a line feed.
fn tcp_input(d: &DropIn, input: &OwnInput) -> String {
    let mut out = match module(d, input) {
        "imptcp" => format!("{} maxFrameSize=\"1048576\"", limits(d)),
        _ if !input.load_module && d.version >= INPUT_LIMITS => limits(d),
        _ => String::new(),
    };
    out += " framingFix.cisco.asa=\"on\" rateLimit.interval=\"0\"";
    if !input.octet_counting {
        out += " supportOctetCountedFraming=\"off\"";
    }
    out
}
