//! The command line as a type. The texts here are the reference: `--help`, the man pages and docs/cli.md come from them.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::agent::Cloud;
use crate::agent::oms::workspace::WorkspaceId;
use crate::host::proc_net::Transport;
use crate::ui::ColorChoice;

/// Turns a Linux box into a CEF/ASA collector for Microsoft Sentinel, proves that it works, and finds out why it does not
#[derive(Debug, Parser)]
#[command(name = "cefctl", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Start with `cefctl install --dry-run` to see what would change, and `cefctl troubleshoot` when events \
do not arrive.\n\nExit codes: 0 good; 1 problems found, or a change failed and was rolled back; 2 usage, missing privilege or no \
terminal; 3 warnings under --deny-warnings; 4 rollback incomplete; 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Say only what is wrong, and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: every command that is run, every decision and its reason
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Work on the files under DIR instead of /
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide = true, value_hint = ValueHint::DirPath)]
    pub root: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this box a collector: plan, show, apply, prove
    Install(InstallArgs),
    /// Check every hop from the listener to the agent and name the first broken one
    Troubleshoot(TroubleshootArgs),
    /// Take back what install did
    Uninstall(UninstallArgs),
    /// Send test messages to a syslog listener
    Send(SendArgs),
    /// Stand in for the agent: take what the daemon forwards and say what the agent would make of it
    Listen(ListenArgs),
    /// Put what somebody needs to help you into one archive, without its secrets
    Collect(CollectArgs),
    /// Say what is right and wrong with messages of a device, and which of its settings to change
    Lint(LintArgs),
    /// What a check looks at, why it matters, how to mend it
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the reference or man pages that the documentation is made of
    #[command(hide = true)]
    Generate {
        /// What to print
        what: Generated,
        /// The subcommand whose man page is wanted
        name: Option<String>,
    },
}

/// What `generate` can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// docs/cli.md
    Reference,
    /// A man page
    Man,
    /// docs/checks.md
    Checks,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: JSON on stdout and nothing else there
    Json,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object on stdout and nothing else there
    Json,
    /// For CI servers and test dashboards: JUnit XML
    Junit,
    /// One file for browsers, without scripts, with a picture of the hops
    Html,
}

/// The agent behind the syslog daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AgentChoice {
    /// What is installed; none if nothing is
    #[default]
    Auto,
    /// Log Analytics agent (retired in August 2024)
    Oms,
    /// Azure Monitor Agent
    Ama,
    /// No agent on this box yet: forward to its port all the same
    None,
}

/// The syslog daemon to configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DaemonChoice {
    /// The one that runs; where both do, say which
    #[default]
    Auto,
    Rsyslog,
    SyslogNg,
}

/// A transport that devices send over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Protocol {
    Udp,
    Tcp,
    /// TCP with encryption, on a port of its own
    Tls,
}

impl Protocol {
    /// The transport, if it is one without encryption.
    pub fn plain(self) -> Option<Transport> {
        match self {
            Protocol::Udp => Some(Transport::Udp),
            Protocol::Tcp => Some(Transport::Tcp),
            Protocol::Tls => None,
        }
    }
}

/// What happens to security events besides being forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LocalCopy {
    /// Keep them out of the local log files, unless rules that somebody added to this box rely on them
    #[default]
    Auto,
    /// They also go through the daemon's other rules
    Keep,
    /// They go to the agent only
    Drop,
}

impl LocalCopy {
    pub const ALL: [LocalCopy; 3] = [LocalCopy::Auto, LocalCopy::Keep, LocalCopy::Drop];

    /// As on the command line.
    pub fn word(self) -> &'static str {
        match self {
            LocalCopy::Auto => "auto",
            LocalCopy::Keep => "keep",
            LocalCopy::Drop => "drop",
        }
    }
}

/// A network of senders, or `any`.
fn firewall_source(word: &str) -> Result<String, String> {
    match word {
        "any" => Ok(word.to_owned()),
        _ => crate::platform::firewall::port::network(word).map(|_| word.to_owned()),
    }
}

/// Options about the collector that install and troubleshoot share.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The agent that takes the events
    #[arg(long, value_name = "AGENT", default_value = "auto")]
    pub agent: AgentChoice,
    /// The syslog daemon
    #[arg(long, value_name = "DAEMON", default_value = "auto")]
    pub daemon: DaemonChoice,
    /// Port that devices send to [default: 514, or what install set up]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Transports that devices use, comma-separated [default: udp,tcp, or what install set up]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub protocol: Option<Vec<Protocol>>,
    /// Port that devices send to over TLS [default: 6514, or what install set up]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub tls_port: Option<u16>,
    /// Loopback port of the agent [default: what the agent has; else 25226]
    #[arg(short = 'p', long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub agent_port: Option<u16>,
}

#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    pub onboarding: super::agent::args::AgentArgs,
    #[command(flatten)]
    pub target: Target,
    /// What the Azure Monitor Agent's data collection rules should ask for, comma-separated [default: cef,asa]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Agent")]
    pub stream: Vec<crate::agent::ama::Stream>,
    /// Once the Azure Monitor Agent has been seen to take the events, remove the Log Analytics agent
    #[arg(long, help_heading = "Agent")]
    pub purge_oms: bool,
    /// Show what would change, as sentences and a diff, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Apply without asking
    #[arg(short, long)]
    pub yes: bool,
    /// What happens to security events besides being forwarded [default: auto, or what install set up]
    #[arg(long, value_name = "WHAT")]
    pub local_copy: Option<LocalCopy>,
    /// Certificate for --protocol tls, as PEM with those of the authorities in between behind it [default: one made by
    /// install]
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM without a pass phrase, readable for the daemon and nobody else
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,
    /// Rewrite event ids that the Log Analytics agent drops: %FTD- to %ASA-, ASA class words, CEF:1 to CEF:0. Later
    /// runs of install keep to it
    #[arg(long, overrides_with = "no_rewrite_ids")]
    pub rewrite_ids: bool,
    /// Pass event ids on as they are again
    #[arg(long)]
    pub no_rewrite_ids: bool,
    /// Take TCP input line by line only, for senders that omit the priority and begin with a digit; senders that
    /// count octets are then misread. Later runs of install keep to it
    #[arg(long, overrides_with = "octet_counting")]
    pub no_octet_counting: bool,
    /// Take TCP input of senders that count octets again
    #[arg(long)]
    pub octet_counting: bool,
    /// TCP port for senders that count octets, where the daemon takes one framing a port (syslog-ng up to 4.8); that of
    /// --port makes all TCP senders count [default: 601, or what install set up]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub counted_port: Option<u16>,
    /// Undo what the older installation scripts have done to syslog-ng's main file: sources turned into comments, a
    /// network source added at the end. Stays when everything else is uninstalled; a copy of the file is kept
    #[arg(long)]
    pub repair: bool,
    /// Where no syslog daemon is installed, install the distribution's rsyslog (or what --daemon names) with its package
    /// manager first, and rsyslog's driver for TLS where --protocol tls asks for it. Without it, you are asked
    #[arg(long)]
    pub install_packages: bool,
    /// Disk space that events may take while the agent is away, in MB [default: 2048, or what install set up]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(64..))]
    pub queue_disk: Option<u32>,
    /// Open the port in this box's firewall, for everybody or for these networks only (10.0.0.0/8,192.0.2.7); uninstall
    /// closes it again
    #[arg(
        long,
        value_name = "NETWORKS",
        value_delimiter = ',',
        num_args = 0..,
        require_equals = true,
        default_missing_value = "any",
        value_parser = firewall_source
    )]
    pub open_firewall: Option<Vec<String>>,
    /// How to print the plan and the outcome
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Clone, Args)]
pub struct TroubleshootArgs {
    /// Workspace that the agent should serve [default: what the agent's own configuration says]
    #[arg(value_name = "WORKSPACE_ID", value_parser = workspace)]
    pub workspace: Option<String>,
    #[command(flatten)]
    pub target: Target,
    /// The cloud that the workspace is in [default: what the agent's own configuration says, else public]
    #[arg(long, value_name = "CLOUD")]
    pub cloud: Option<Cloud>,
    /// Run only these checks: ids, groups or patterns such as listen.*
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Judge the firewall for this sender only; else for any
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<IpAddr>,
    /// Leave these checks out
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Mend what is found, as far as cefctl can: shows each change, asks, proves that it works or takes it back; then
    /// checks again. With --only, nothing but what those checks find
    #[arg(long, conflicts_with = "from")]
    pub fix: bool,
    /// Mend without asking
    #[arg(short, long, requires = "fix")]
    pub yes: bool,
    /// Judge the support bundle in FILE, of this or another machine, instead of this machine
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["watch", "no_probe"])]
    pub from: Option<PathBuf>,
    /// Send no test message
    #[arg(long)]
    pub no_probe: bool,
    /// Also watch for SECS seconds what devices send: who, how much, in which format, and what the agent will do with it.
    /// Ctrl-C ends it earlier, with what was seen so far
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub watch: Option<u64>,
    /// End after SECS seconds of looking at this machine (those of --watch come on top): what hangs is named, and the rest
    /// judged
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Show what passed in one line per group
    #[arg(long)]
    pub short: bool,
    /// Exit with 3 when there are warnings
    #[arg(long)]
    pub deny_warnings: bool,
    /// How to print the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ReportFormat,
    /// Also write the report to FILE, readable by you only; .txt, .json, .xml (JUnit) and .html say the format. Can be
    /// given more than once
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Vec<PathBuf>,
    /// Format of these files, whatever they are called
    #[arg(long, value_name = "FORMAT", requires = "report")]
    pub report_format: Option<ReportFormat>,
}

fn workspace(text: &str) -> Result<String, String> {
    WorkspaceId::parse(text).map(|id| id.as_str().to_owned()).map_err(|e| e.to_string())
}

#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Also remove the Log Analytics agent, by its own tool, and what it leaves behind
    #[arg(long)]
    pub agent: bool,
    /// Also remove the packages that install has installed (--install-packages); they stay otherwise
    #[arg(long)]
    pub packages: bool,
    /// Show what would change and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Apply without asking
    #[arg(short, long)]
    pub yes: bool,
    /// How to print the plan and the outcome
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

/// Kinds of test messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum MessageKind {
    /// CEF
    #[default]
    Cef,
    /// Cisco ASA
    Asa,
    /// Cisco Firepower Threat Defense
    Ftd,
    /// Plain syslog, which a collector does not pass on
    Syslog,
}

/// How messages are told apart on TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FramingChoice {
    /// A line feed after each
    #[default]
    Lf,
    /// The length before each (RFC 6587)
    Octet,
}

#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Host name or address to send to
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", value_hint = ValueHint::Hostname)]
    pub host: String,
    /// Port to send to [default: 514, with tls 6514]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Transport
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub protocol: Protocol,
    /// Over TLS, trust these certificates (PEM) instead of those that this machine trusts
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
    /// Over TLS, take any certificate
    #[arg(long)]
    pub insecure: bool,
    /// How messages are told apart on TCP
    #[arg(long, value_name = "FRAMING", default_value = "lf")]
    pub framing: FramingChoice,
    /// What to send
    #[arg(long, value_name = "KIND", default_value = "cef")]
    pub kind: MessageKind,
    /// Send this message as it is instead of a made one
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["file", "kind"])]
    pub message: Option<String>,
    /// Send the lines of FILE as they are, byte for byte (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "kind", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// How many messages; with --file, how many times the file
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// Messages per second; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rate: u32,
    /// How to print the outcome
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Port to take the agent's place on
    #[arg(short, long, value_name = "PORT", default_value_t = 25226, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: IpAddr,
    /// Stop after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Stop after this many seconds
    #[arg(long = "for", value_name = "SECS")]
    pub seconds: Option<u64>,
    /// Also write what arrives to FILE, as it is, a line each
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// How to print: with json, one object per message and a last one with the totals
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Clone, Args)]
pub struct CollectArgs {
    #[command(flatten)]
    pub target: Target,
    /// Where to write the archive [default: a new folder of your own in /var/tmp]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Also replace workspace ids, host names and addresses, the same one by the same other everywhere
    #[arg(long)]
    pub mask: bool,
    /// How much of the end of each log to take, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub log_size: u64,
    /// Send no test message
    #[arg(long)]
    pub no_probe: bool,
    /// Also watch for SECS seconds what devices send
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub watch: Option<u64>,
    /// How to print the outcome
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// A file of messages, a line each, or a capture file (pcap, pcapng); - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Of a capture file, only what was sent to this port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Leave out messages with which nothing is wrong
    #[arg(long)]
    pub short: bool,
    /// Exit with 3 when messages arrive, but something is odd about them
    #[arg(long)]
    pub deny_warnings: bool,
    /// How to print: with json, one object per message and a last one with the totals
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A check's id; without one, the list of all checks
    pub id: Option<String>,
}
