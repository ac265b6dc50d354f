//! Everything a judgement may rest on, gathered once, as plain data: a check is a function of these facts and of what
//! was asked for, so it can be tested on a fixture, and a support bundle of another box is such a fixture.
//!
//! A fact that could not be had is an `Err` with the reason in words. Checks pass that on as `unknown`, never as good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agent_facts::{AgentStates, ClockFacts};
pub use super::bytes::{Bytes, decode_path, encode_path};
use super::cloud_facts::CloudFacts;
use super::late::Late;
use crate::agent::AgentFacts;
use crate::host::interfaces::Interface;
use crate::host::proc_loss::LossCounters;
use crate::host::proc_mount::Mount;
use crate::host::proc_net::{Socket, SocketState, Transport};
use crate::host::proc_process::{DeletedFile, Process};
use crate::host::{Exit, FileKind, FsSpace};
use crate::message::lint::live::Traffic;
use crate::platform::access::Step;
use crate::platform::firewall::listing::Listings;
use crate::platform::os_release::OsRelease;
use crate::platform::selinux_policy::Rights;
use crate::platform::service::{UnitState, parse_show};
use crate::platform::{apparmor, selinux};
use crate::syslog::syslogng::version::Program;

/// Main files of the daemons where their command lines name none.
pub const RSYSLOG_CONF: &str = "/etc/rsyslog.conf";
pub const SYSLOG_NG_CONF: &str = "/etc/syslog-ng/syslog-ng.conf";
/// Where distributions build syslog-ng to keep its state: positions in files, and what waits on disk (facts 6.1).
pub const SYSLOG_NG_STATE: &str = "/var/lib/syslog-ng";

/// A fact, or why it is not known.
pub type Fact<T> = Result<T, String>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Seconds since the epoch.
    pub taken: i64,
    pub host: HostFacts,
    pub disks: Vec<DiskFacts>,
    pub logs: LogFacts,
    /// By unit name (`rsyslog.service`).
    pub units: Fact<BTreeMap<String, UnitFacts>>,
    pub net: Fact<NetFacts>,
    /// Processes that hold one of the sockets, and every syslog daemon and agent, by pid.
    pub processes: BTreeMap<u32, Process>,
    pub rsyslog: DaemonFacts,
    pub syslog_ng: DaemonFacts,
    pub syslog_ng_says: SyslogNgSays,
    pub agents: AgentFacts,
    #[serde(default)]
    pub agent_states: AgentStates,
    #[serde(default)]
    pub clock: ClockFacts,
    /// `Err`: nobody asked the services, and why.
    #[serde(default = "not_looked")]
    pub cloud: Fact<CloudFacts>,
    #[serde(default = "not_looked")]
    pub firewall: Fact<FirewallFacts>,
    #[serde(default)]
    pub security: SecurityFacts,
    /// What `install` wrote down; `None` where it never ran.
    pub receipt: Fact<Option<ReceiptFacts>>,
    /// Left by the probe, where it ran.
    pub probe: BTreeMap<Transport, ProbeFacts>,
    /// The same over TLS.
    #[serde(default)]
    pub tls_probe: Option<TlsProbe>,
    /// Somebody asked for no test event.
    pub no_probe: bool,
    /// What arrived while somebody watched; `None` where nobody did.
    #[serde(default)]
    pub traffic: Option<TrafficFacts>,
    /// What could not be looked at in time.
    #[serde(default)]
    pub late: Vec<Late>,
}

/// What arrived on the port devices send to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficFacts {
    pub seen: Traffic,
    /// Datagrams that the kernel threw away on the port's sockets meanwhile; `None` where it does not say.
    pub dropped: Option<u64>,
    /// What the whole machine lost meanwhile.
    #[serde(default)]
    pub lost: LossCounters,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostFacts {
    pub hostname: String,
    pub kernel: String,
    pub arch: String,
    pub os: Fact<OsRelease>,
    /// `glibc 2.36` or `musl`.
    pub libc: Option<String>,
    /// As `openssl version` says it.
    pub openssl: Option<String>,
    /// What looking up an address's name took, one second at most; `None` where it could not be tried.
    pub reverse_lookup_ms: Option<u64>,
    pub euid: u32,
    /// Effective capabilities of this process, one bit each.
    pub capabilities: u64,
    /// What the box runs in: `docker`, `systemd-nspawn` …; `None` on a machine of its own.
    pub container: Option<String>,
    pub systemd: bool,
    /// The kernel has IPv6 and it is not switched off on every interface.
    pub ipv6: bool,
    /// The facts are of the running machine, not of an offline image.
    pub live: bool,
}

/// One file system and the folders of interest on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskFacts {
    pub folders: Vec<String>,
    pub space: FsSpace,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LogFacts {
    /// Largest files under `/var/log`, largest first.
    pub largest: Vec<SizedFile>,
    /// Deleted files that a process keeps open, at least 1 MiB each.
    pub deleted: Vec<DeletedFile>,
    /// What the log files written now grow by, in bytes an hour, judged by their last rotation.
    pub growth: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizedFile {
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A unit as systemd tells of it. Empty text: this systemd does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    #[serde(flatten)]
    pub state: UnitState,
    /// Since when it is active, in seconds since the epoch.
    pub since: Option<i64>,
    /// When this run was begun, which is earlier for a daemon that takes its time to start.
    #[serde(default)]
    pub begun: Option<i64>,
    /// When the last run ended, in seconds since the epoch; `None`: it has not ended yet.
    #[serde(default)]
    pub ended: Option<i64>,
    /// Restarts by systemd itself within the last five minutes; `None`: nobody had reason to count them.
    #[serde(default)]
    pub restarted_lately: Option<u32>,
    /// Settings of the unit that end the daemon after a while, `RuntimeMaxSec=2s`; empty: none.
    #[serde(default)]
    pub ended_by: String,
    /// Units without which it does not start (`Requires=`).
    #[serde(default)]
    pub requires: String,
    /// Id of this run, by which the journal finds its lines.
    pub invocation: String,
    /// What the unit takes from the daemon's network.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// `running`, or `frozen` while somebody holds the whole control group still.
    pub freezer: String,
    pub exec_status: Option<i32>,
    /// User of the unit file; empty means root.
    pub user: String,
    /// Command line of the main process as the unit file has it.
    pub exec_start: String,
    /// The last start was left out, since a condition of the unit was not met.
    #[serde(default)]
    pub skipped: bool,
}

/// Settings of a unit by which its processes have another network, or a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    pub private_network: bool,
    /// Empty: none.
    pub network_namespace_path: String,
    /// `RestrictAddressFamilies=` as systemd shows it.
    pub address_families: String,
    /// `IPAddressAllow=` and `IPAddressDeny=`: networks, which systemd itself has the kernel filter by.
    #[serde(default)]
    pub ip_allow: String,
    #[serde(default)]
    pub ip_deny: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NetFacts {
    /// Open sockets, connections over loopback, and the TCP sessions of the port devices send to.
    pub sockets: Vec<Socket>,
    /// Every process could be looked into, so a socket without an owner really has none that is visible.
    pub owners_complete: bool,
    /// What was lost before any program could read it.
    #[serde(default)]
    pub lost: LossCounters,
}

/// One of the two syslog daemons, there or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonFacts {
    /// Program file; `None`: not installed.
    pub program: Option<String>,
    pub version: Option<String>,
    /// Main configuration file the daemon reads: that of its command line, or the usual one.
    pub main_file: String,
    /// Process that is the daemon of this machine.
    pub pid: Option<u32>,
    /// Every file the configuration consists of, and what else reading it asked for.
    pub config: ConfigFiles,
    /// What lies in the drop-in folder.
    pub drop_in_folder: Fact<Vec<DropIn>>,
    /// `rsyslogd -N1` or `syslog-ng --syntax-only` on the whole configuration.
    pub validation: Fact<Validation>,
    /// The daemon's own lines since it was started, oldest first.
    pub own_lines: Fact<Vec<OwnLine>>,
    /// Folders that queues may spill into: the daemon's own one, and those of single queues.
    pub spools: Vec<Spool>,
    /// Mounts as the daemon sees them.
    pub mounts: Fact<Vec<Mount>>,
}

/// What only syslog-ng can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyslogNgSays {
    /// `syslog-ng --version`: version, modules, include path.
    pub about: Fact<Program>,
    /// Folder of its persist file, where disk buffers lie that name no other one.
    pub state: String,
    /// Its control socket, where one is there.
    pub control: Option<String>,
    /// `syslog-ng-ctl stats` of the running daemon, one line a counter; `Err`: it does not answer.
    pub stats: Fact<Bytes>,
    /// The configuration that is loaded, held against the files.
    pub loaded: Fact<Loaded>,
}

/// How the configuration in force differs from what the files say. Both come from the daemon itself, with all includes
/// put in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// This version (4.12) writes what it has read to no pipe, so there is nothing to compare.
    #[serde(default)]
    pub unread: bool,
    pub same: bool,
    /// The first lines that only the files have.
    pub only_in_files: Vec<String>,
    /// The first lines that only the running daemon has.
    pub only_in_force: Vec<String>,
}

/// What the daemon's own check of the configuration said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    pub exit: Exit,
    pub stderr: Bytes,
}

/// An entry of the drop-in folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropIn {
    /// See [`encode_path`].
    pub path: String,
    /// After following links.
    pub real: String,
    /// Of what the path leads to; `None`: a link that leads nowhere.
    pub kind: Option<FileKind>,
}

/// A line the daemon wrote about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLine {
    /// Where it was found: `journal` or a file; `systemd`: in the journal, and the service manager said it.
    pub source: String,
    pub text: String,
}

/// The answers of the file system to the questions that reading the configuration asked, so that the same reading can
/// be done again without the machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConfigFiles {
    /// By path as the configuration names it, see [`encode_path`].
    pub files: BTreeMap<String, ConfigFile>,
    /// Pattern → paths.
    pub globs: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigFile {
    pub content: Fact<Bytes>,
    /// What is there after following links; `None`: nothing, or a link that leads nowhere.
    pub kind: Option<FileKind>,
    /// Last written, in seconds since the epoch.
    pub mtime: Option<i64>,
    pub walk: Vec<Step>,
}

/// A folder queues spill into.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spool {
    /// As the configuration names it.
    pub path: String,
    /// After following links.
    pub real: String,
    /// From `/` down, as far as it exists.
    pub walk: Vec<Step>,
    /// The path itself is a link.
    #[serde(default)]
    pub link: bool,
    /// Files in it; `Err` where it may not be read or is no folder.
    pub files: Fact<Vec<SizedFile>>,
    /// How far the daemon has read those that it has open for reading, in bytes.
    #[serde(default)]
    pub read: BTreeMap<String, u64>,
    pub space: Option<FsSpace>,
}

impl Spool {
    /// Bytes of the segments of rsyslog's queue files (`NAME.00000001`) that still wait. A queue that is through keeps its
    /// last segment until the daemon is restarted (seen with 8.2302), so the size alone tells nothing.
    pub fn waiting(&self, is_queue: impl Fn(&str) -> bool) -> u64 {
        let is_segment = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let parts = name.rsplit_once('.').filter(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            parts.is_some_and(|(stem, _)| is_queue(stem))
        };
        let files = self.files.iter().flatten().filter(|f| is_segment(&f.path));
        files.map(|f| f.size.saturating_sub(self.read.get(&f.path).copied().unwrap_or(0))).sum()
    }
}

/// What `install` promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFacts {
    pub path: String,
    /// Those without TLS.
    pub protocols: Vec<Transport>,
    /// Of the TLS listener, where there is to be one.
    #[serde(default)]
    pub tls_port: Option<u16>,
    /// Certificate and key that somebody gave for it.
    #[serde(default)]
    pub tls_pair: Option<(String, String)>,
    pub port: Option<u16>,
    pub agent: Option<String>,
    pub agent_port: Option<u16>,
    pub daemon: Option<String>,
    /// `keep`, `drop` or `auto`.
    pub local_copy: Option<String>,
    pub files: Vec<ReceiptFile>,
}

/// A file that `install` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFile {
    pub path: String,
    /// Of the content as written, lower-case hexadecimal digits.
    pub sha256: String,
    pub state: FileState,
    /// Where nobody may write it anew: the file itself, or its folder where it is gone, with the attribute `i`.
    #[serde(default)]
    pub immutable: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    AsWritten,
    Changed,
    Missing,
}

/// The security modules; `None`: not in use, or not for the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityFacts {
    pub selinux: Fact<Option<SelinuxFacts>>,
    pub apparmor: Fact<Option<AppArmorFacts>>,
}

impl Default for SecurityFacts {
    fn default() -> Self {
        SecurityFacts { selinux: not_looked(), apparmor: not_looked() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelinuxFacts {
    pub mode: selinux::Mode,
    /// Label of the daemon's process.
    pub domain: Option<String>,
    pub ports: Fact<Vec<selinux::Ports>>,
    /// What the running policy lets the daemon do with them; `None`: the kernel was not asked.
    #[serde(default)]
    pub rights: Option<Rights>,
    /// Of the daemon's configuration.
    pub files: Fact<Vec<FileLabel>>,
    /// Of a syslog daemon, since it was started.
    pub denials: Fact<Vec<selinux::Denial>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLabel {
    pub path: String,
    /// Types, without user, role and level.
    pub has: String,
    /// `None`: the policy has no wish.
    pub wants: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppArmorFacts {
    pub confinement: apparmor::Confinement,
    /// File of the profile.
    #[serde(default)]
    pub file: Option<String>,
    /// The profile's text with its includes.
    pub profile: Fact<String>,
    /// Since the daemon was started.
    pub denials: Fact<Vec<apparmor::Denial>>,
}

/// What the firewall verdicts rest on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallFacts {
    pub listings: Listings,
    pub interfaces: Vec<Interface>,
    /// Why nothing can be sent to 127.0.0.1, whatever the rules: what the kernel says of the way there.
    #[serde(default)]
    pub no_way_to_self: Option<String>,
    /// What the kernel does with packets of some senders, and of answers to them.
    #[serde(default)]
    pub routes: Vec<RouteFacts>,
    /// Machines of the same networks that have answered this box, with the interface they are behind.
    #[serde(default)]
    pub neighbours: Vec<(String, std::net::Ipv4Addr)>,
}

/// What the kernel says to a packet of one sender, and to an answer to it. `None`: it finds its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    pub interface: String,
    /// Of this box.
    pub local: std::net::IpAddr,
    pub sender: std::net::IpAddr,
    pub refused: Option<String>,
    pub no_way_back: Option<String>,
}

/// What became of one marked event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFacts {
    /// The line as sent, without framing.
    pub sent: Bytes,
    /// Where to.
    pub to: String,
    /// Sending went wrong.
    pub send_error: Option<String>,
    /// Why its arrival could not be watched.
    pub blind: Option<String>,
    /// It was seen on its way into the listener's port; `None` where that could not be watched.
    pub seen_at_listener: Option<bool>,
    /// The line with the marker as it went to the agent's port.
    pub arrived: Option<Bytes>,
    /// From sending to arrival, or how long was waited.
    pub took_ms: u64,
}

impl ProbeFacts {
    /// It came to the daemon's port, or knocked there in vain, and nothing of it was seen behind.
    pub fn lost_at_port(&self) -> bool {
        let knocked = self.send_error.as_deref().is_some_and(|e| e.contains("timed out"));
        self.arrived.is_none() && self.blind.is_none() && (knocked || self.seen_at_listener == Some(true))
    }
}

/// A test event over TLS, and what the listener showed of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsProbe {
    pub probe: ProbeFacts,
    pub certificate: Option<CertificateFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// DNS names and addresses it is for.
    pub names: Vec<String>,
    pub issuer: String,
    /// Seconds since the epoch.
    pub not_after: i64,
}

/// Reason of everything nobody looked for.
const NOT_LOOKED: &str = "it was not looked at";

pub(super) fn not_looked<T>() -> Fact<T> {
    Err(NOT_LOOKED.into())
}

impl Default for UnitFacts {
    fn default() -> Self {
        UnitFacts {
            state: parse_show(b""),
            since: None,
            begun: None,
            ended: None,
            restarted_lately: None,
            ended_by: String::new(),
            requires: String::new(),
            invocation: String::new(),
            sandbox: Sandbox::default(),
            freezer: String::new(),
            exec_status: None,
            user: String::new(),
            exec_start: String::new(),
            skipped: false,
        }
    }
}

impl DaemonFacts {
    /// A daemon nobody has looked at yet.
    pub fn unknown(main_file: &str) -> Self {
        DaemonFacts {
            program: None,
            version: None,
            main_file: main_file.into(),
            pid: None,
            config: ConfigFiles::default(),
            drop_in_folder: not_looked(),
            validation: not_looked(),
            own_lines: not_looked(),
            spools: Vec::new(),
            mounts: not_looked(),
        }
    }
}

impl Default for SyslogNgSays {
    fn default() -> Self {
        SyslogNgSays {
            about: not_looked(),
            state: SYSLOG_NG_STATE.into(),
            control: None,
            stats: not_looked(),
            loaded: not_looked(),
        }
    }
}

/// Facts of a box nobody has looked at yet: everything unknown.
impl Default for Facts {
    fn default() -> Self {
        Facts {
            taken: 0,
            host: HostFacts {
                hostname: String::new(),
                kernel: String::new(),
                arch: String::new(),
                os: not_looked(),
                libc: None,
                openssl: None,
                reverse_lookup_ms: None,
                euid: 0,
                capabilities: 0,
                container: None,
                systemd: false,
                ipv6: false,
                live: false,
            },
            disks: Vec::new(),
            logs: LogFacts::default(),
            units: not_looked(),
            net: not_looked(),
            processes: BTreeMap::new(),
            rsyslog: DaemonFacts::unknown(RSYSLOG_CONF),
            syslog_ng: DaemonFacts::unknown(SYSLOG_NG_CONF),
            syslog_ng_says: SyslogNgSays::default(),
            agents: AgentFacts::default(),
            agent_states: AgentStates::default(),
            clock: ClockFacts::default(),
            cloud: not_looked(),
            firewall: not_looked(),
            security: SecurityFacts::default(),
            receipt: not_looked(),
            probe: BTreeMap::new(),
            tls_probe: None,
            no_probe: false,
            traffic: None,
            late: Vec::new(),
        }
    }
}

impl Facts {
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// rsyslog's process.
    pub fn daemon_process(&self) -> Option<&Process> {
        self.rsyslog.pid.and_then(|pid| self.process(pid))
    }

    pub fn unit(&self, name: &str) -> Option<&UnitFacts> {
        self.units.as_ref().ok()?.get(name)
    }

    pub fn is_root(&self) -> bool {
        self.host.euid == 0
    }
}

impl NetFacts {
    /// Open sockets of one kind on a port.
    pub fn open(&self, transport: Transport, port: u16) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(move |s| s.transport == transport && s.local.port() == port && s.is_open())
    }

    /// Established TCP connections to a port.
    pub fn connections_to(&self, port: u16) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(move |s| s.state == SocketState::Established && s.remote.port() == port)
    }

    /// Connections to a port that the other side has closed already.
    pub fn closed_by_peer(&self, port: u16) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(move |s| s.state == SocketState::CloseWait && s.remote.port() == port)
    }

    /// Connections to a port that its holder has not taken yet.
    pub fn not_accepted(&self, port: u16) -> u64 {
        self.open(Transport::Tcp, port).map(|s| s.recv_queue).sum()
    }

    /// Bytes that the holder of a port has not read yet, and connections that it has not taken yet.
    pub fn unread(&self, port: u16) -> u64 {
        let held = |s: &&Socket| s.transport == Transport::Tcp && s.local.port() == port;
        self.sockets.iter().filter(held).map(|s| s.recv_queue).sum()
    }
}
