//! What a whole configuration amounts to: options, sources with their listeners, destinations with their forwards and
//! files, filters, and log paths with their flags, each with file and line. Blocks are put in where they are used.

mod block;
mod build;
mod driver;
mod path;
mod query;
mod rule;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use query::ListenerAt;

use super::filter::Expr;
use super::problem::Problem;
pub use super::reader::{Define, FileRead, Include, Setting as ReadSetting, VersionLine};
use super::version::Version;
use crate::syslog::{ConfigSource, Location, Text};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effective {
    pub main: PathBuf,
    /// The installed program, where known.
    pub program: Option<Version>,
    /// Files in the order the daemon reads them.
    pub files: Vec<FileRead>,
    pub includes: Vec<Include>,
    /// `@version` lines; the first one counts.
    pub versions: Vec<VersionLine>,
    pub defines: Vec<Define>,
    /// `@module` lines.
    pub modules: Vec<(Text, Location)>,
    /// Items of `options { … }` in the order of reading; of two of one name the last counts.
    pub options: Vec<Opt>,
    /// Sources, those written inside log paths included (without a name).
    pub sources: Vec<Source>,
    pub destinations: Vec<Destination>,
    pub filters: Vec<Filter>,
    pub rewrites: Vec<Rewrite>,
    pub parsers: Vec<Parser>,
    pub templates: Vec<Template>,
    pub blocks: Vec<BlockName>,
    /// In the order events meet them.
    pub logs: Vec<LogPath>,
    pub problems: Vec<Problem>,
}

/// An option: `name(args …)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opt {
    /// As written; `_` and `-` mean the same.
    pub name: Text,
    pub args: Vec<Arg>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arg {
    Word(Text),
    Str(Text),
    Opt(Opt),
    /// Brackets and other bytes; of no use to us, but there.
    Other(Text),
}

/// What two things refer to each other by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ref {
    Named(Text),
    /// Written in place: index into the list of its kind.
    Inline(usize),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub name: Option<Text>,
    pub drivers: Vec<SourceDriver>,
    /// Has it parsers, filters or rewrite rules of its own (channels inside the source), so that we cannot tell what an
    /// event looks like behind it?
    pub reworks: bool,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceDriver {
    /// As written: `network`, `udp`, `system` …
    pub driver: Text,
    pub kind: SourceKind,
    /// `flags(…)`, `-` and lower case.
    pub flags: Vec<String>,
    pub persist_name: Option<Text>,
    pub args: Vec<Arg>,
    /// The block it comes out of.
    pub block: Option<Text>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    Listener(Listener),
    /// A local socket.
    Unix {
        path: Text,
        stream: bool,
    },
    Internal,
    /// `system()`: the platform's local logs.
    System,
    File(Text),
    /// Journal, programs, pipes, plugins.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    /// RLTP, proxied transports and the like.
    Other,
}

impl Transport {
    /// Does it use a TCP port?
    pub fn is_stream(self) -> bool {
        self != Transport::Udp
    }
}

/// How events are told apart on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    Datagram,
    /// One event a line.
    Lines,
    /// A length in front of each event (RFC 6587).
    OctetCounted,
    /// Either, told apart per connection.
    Auto,
}

/// What the driver makes of an event's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Rfc3164,
    /// RFC 5424, and RFC 3164 where there is no version.
    Rfc5424,
    /// `flags(no-parse)`: everything is the text of the event.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    V4,
    /// `[::]` takes IPv4 senders too, unless the kernel is told otherwise (`net.ipv6.bindv6only`).
    V6,
}

/// One port somebody listens on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    pub transport: Transport,
    pub framing: Framing,
    pub format: Format,
    pub family: Family,
    /// A number or a service name, as written or the driver's default.
    pub port: Text,
    /// None: every address of the family.
    pub address: Option<Text>,
    /// Connections at a time (streams).
    pub max_connections: i64,
    /// Events that may wait per source, all connections together.
    pub window: i64,
    /// Bytes of one event.
    pub message_size: i64,
    /// Socket receive buffer asked for, bytes.
    pub receive_buffer: Option<i64>,
    pub keep_hostname: bool,
    /// Does it ask name servers for each sender?
    pub use_dns: bool,
    /// Is the event as received kept (`$RAWMSG`)?
    pub raw_message: bool,
    /// What takes the place of the name of the program (`program-override()`, of old `log-prefix()`), and with it of what
    /// the header says before the text.
    pub program_name: Option<Text>,
    /// What takes the place of the device's name (`host-override()`).
    pub host_name: Option<Text>,
    /// Does it share its port with others that do, the kernel dealing events out (`so-reuseport()`)?
    pub shares_port: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    pub name: Option<Text>,
    pub drivers: Vec<DestDriver>,
    /// As of [`Source::reworks`].
    pub reworks: bool,
    /// Channels that lead on to other destinations.
    pub channels: Vec<LogPath>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestDriver {
    pub driver: Text,
    pub kind: DestKind,
    /// What is sent or written; none: the daemon's default for this kind.
    pub template: Option<Text>,
    pub disk_buffer: Option<DiskBuffer>,
    /// Events kept in memory while the target is away.
    pub fifo_size: i64,
    /// Seconds until the next attempt to connect.
    pub time_reopen: i64,
    pub persist_name: Option<Text>,
    pub args: Vec<Arg>,
    pub block: Option<Text>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestKind {
    Forward(Forward),
    /// A file; the name may hold macros.
    File(Text),
    Unix {
        path: Text,
        stream: bool,
    },
    Pipe(Text),
    Program(Text),
    /// Terminals of a user; `*` for all.
    Users(Text),
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub target: Text,
    pub port: Text,
    pub transport: Transport,
    pub framing: Framing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskBuffer {
    /// Every event goes to disk at once; otherwise only what memory cannot hold, and the rest at an orderly stop.
    pub reliable: bool,
    /// Bytes.
    pub capacity: i64,
    /// None: the daemon's own folder.
    pub dir: Option<Text>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    pub name: Option<Text>,
    pub expr: Expr,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rewrite {
    pub name: Option<Text>,
    pub ops: Vec<RewriteOp>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewriteOp {
    pub kind: RewriteKind,
    pub condition: Option<Expr>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewriteKind {
    Set {
        template: Text,
        value: Text,
    },
    Subst {
        pattern: super::filter::Pattern,
        replacement: Text,
        value: Text,
        global: bool,
    },
    Unset {
        value: Text,
    },
    /// Anything else, by name.
    Other(Text),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parser {
    pub name: Option<Text>,
    pub steps: Vec<ParserStep>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParserStep {
    /// `syslog-parser`, `csv-parser` …
    Parser(Text),
    Channel(LogPath),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub name: Text,
    pub text: Text,
    pub at: Location,
}

/// A block, as known by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockName {
    pub context: Text,
    pub name: Text,
    pub at: Location,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// What got through this path meets no later one.
    pub is_final: bool,
    /// Only for what no path without this flag has taken.
    pub fallback: bool,
    /// For the events of every source.
    pub catchall: bool,
    /// Sources stop reading when a destination cannot keep up.
    pub flow_control: bool,
}

/// A log path, or a branch of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogPath {
    pub name: Option<Text>,
    pub steps: Vec<Step>,
    pub flags: Flags,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub kind: StepKind,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Source(Ref),
    Filter(Ref),
    Parser(Ref),
    Rewrite(Ref),
    Destination(Ref),
    /// `junction { … }`, and log paths at the end of a log path: each branch gets the event; what got through at least
    /// one goes on.
    Junction(Vec<LogPath>),
    If {
        branches: Vec<Branch>,
        otherwise: Option<LogPath>,
    },
    /// A block or plugin that stands for steps unknown to us.
    Other(Text),
}

/// `if (FILTER) { … }`, or `if { … }` where the content itself decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    pub condition: Option<Expr>,
    pub path: LogPath,
}

impl Effective {
    /// Reads everything from the main file on, with the settings distributions use. Never fails: what cannot be read
    /// or understood is among the problems.
    pub fn load(main: &Path, source: &dyn ConfigSource) -> Effective {
        Effective::load_with(main, source, ReadSetting::usual(main))
    }

    /// As [`Effective::load`], with what is known of the installed program.
    pub fn load_with(main: &Path, source: &dyn ConfigSource, setting: ReadSetting) -> Effective {
        build::build(main, source, setting)
    }
}

#[cfg(test)]
mod tests;
