//! What is known about the agents of a box: packages, files, logs, buffers, each as the agent itself left it. Parsed where it
//! is read, so that no secret of another input or of a proxy gets into the facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{Bytes, Fact, OwnLine, SizedFile};
use crate::agent::ama::{Ama, qos};
use crate::agent::logs::Found;
use crate::host::proc_mount::Mount;
use crate::platform::access::{Step, Who};

/// Both agents, as far as anything of them is there, and whatever else ships logs from this box.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentStates {
    /// `None`: nothing of it is on the box.
    pub oms: Option<OmsState>,
    pub ama: Option<AmaState>,
    pub others: Vec<OtherShipper>,
    /// Mounts as this process sees them.
    pub mounts: Fact<Vec<Mount>>,
    /// Last lines in the journal of the agents' units that do not run or were restarted, by unit.
    pub lines: BTreeMap<String, Vec<OwnLine>>,
}

impl Default for AgentStates {
    fn default() -> Self {
        AgentStates {
            oms: None,
            ama: None,
            others: Vec::new(),
            mounts: Err("it was not looked at".into()),
            lines: BTreeMap::new(),
        }
    }
}

/// Another program that ships logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherShipper {
    pub name: String,
    /// Its unit, or the folder that shows it.
    pub seen: String,
    pub active: bool,
    /// Collects the same events for the same service.
    pub same_service: bool,
}

/// A package as the package manager knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// `installed`, or where it got stuck (`half-configured`).
    pub state: String,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    pub path: String,
    /// Bytes of the whole file.
    pub size: u64,
    pub mtime: i64,
    /// Known lines since `since`.
    pub found: Vec<Found>,
    /// Seconds since the epoch.
    pub since: i64,
    /// Time of the last line that has one.
    pub last: Option<i64>,
}

/// The Log Analytics agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OmsState {
    /// Its program folder has `omsadmin.sh`.
    pub program: bool,
    pub packages: Packages,
    /// In its own notes, where the package manager does not know it.
    pub noted_version: Option<String>,
    pub workspaces: Vec<OmsWorkspace>,
    /// `/etc/omsagent-onboard.conf` is there, with the key in it.
    pub onboard_file: bool,
    /// The folder of its plugins is there.
    pub plugin_folder: bool,
    pub asa_plugin: PluginFile,
    pub filter_plugin: PluginFile,
    /// The agent's user as `/etc/passwd` and `/etc/group` have it.
    pub user: Option<Who>,
    pub sync: SyncState,
}

/// A file of the agent's Ruby code; `Ok(None)`: not there.
pub type PluginFile = Option<Fact<Bytes>>;

/// Packages of a name; `Err`: the package manager could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages(pub Fact<Vec<Package>>);

impl Default for Packages {
    fn default() -> Self {
        Packages(Err("it was not looked at".into()))
    }
}

/// What the portal may change on this machine (facts 1.10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// What shows that the configuration agent is here; empty: nothing syncs.
    pub seen: Vec<String>,
    /// The file that switches it off is there.
    pub off: bool,
    /// The command's script, where it is there, with the Python it is for.
    pub helper: Option<(String, String)>,
    /// Last change of the file it rewrites, in seconds since the epoch.
    pub rewritten: Option<i64>,
}

/// One workspace of the Log Analytics agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OmsWorkspace {
    pub id: String,
    /// `omsadmin.conf`; `Ok(None)`: not there.
    pub admin: Option<Fact<BTreeMap<String, String>>>,
    pub certificates: Vec<Certificate>,
    /// `omsagent.conf`.
    pub main: Option<InputFile>,
    /// `conf/omsagent.d/*.conf`
    pub inputs: Vec<InputFile>,
    pub log: Option<Fact<LogState>>,
    /// Chunks in its state folder.
    pub buffers: Option<Fact<Vec<Chunk>>>,
}

/// A certificate or its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub path: String,
    /// From `/` down; does not end with the file where that is missing.
    pub walk: Vec<Step>,
    pub exists: bool,
    pub size: u64,
    /// Begins as such a file does; `None`: it could not be read.
    pub is_pem: Option<bool>,
    /// Seconds since the epoch.
    pub not_after: Option<i64>,
}

/// A fluentd configuration file, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    pub path: String,
    pub size: u64,
    pub walk: Vec<Step>,
    /// It could not be read.
    pub unread: Option<String>,
    /// Line and text of what fluentd would refuse.
    pub malformed: Option<(usize, String)>,
    /// How it begins, where it is malformed.
    pub head: String,
    pub sources: Vec<Source>,
    /// Pattern and kind of each filter.
    pub filters: Vec<(String, String)>,
    pub outputs: Vec<OutputBuffer>,
    pub includes: Vec<String>,
}

/// A `<source>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub line: usize,
    pub kind: String,
    pub tag: String,
    pub port: Option<String>,
    pub bind: Option<String>,
    pub protocol: Option<String>,
    /// With its slashes.
    pub format: Option<String>,
}

/// A `<match>` that buffers in files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputBuffer {
    pub path: String,
    /// Chunks it may have.
    pub limit: Option<u64>,
}

/// A file of a buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub name: String,
    /// Bytes.
    pub size: u64,
    pub mtime: i64,
}

/// The Azure Monitor Agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AmaState {
    /// What its files say.
    pub own: Ama,
    pub packages: Packages,
    /// What `mdsd -V` or the extension's folder says, and which of them.
    pub said_version: Option<(String, String)>,
    pub user: Option<Who>,
    /// The user is a member of the group of Arc's tokens; `None`: there is no such group.
    pub in_arc_group: Option<bool>,
    /// What shows that this is an Arc machine, or a virtual machine of Azure.
    pub arc: Vec<String>,
    pub azure: Vec<String>,
    /// Harmless lines of its environment file.
    pub environment: BTreeMap<String, String>,
    /// `mdsd.err`, `mdsd.warn`
    pub logs: Vec<Fact<LogState>>,
    /// Sizes of all files in its log folder.
    pub log_sizes: Vec<SizedFile>,
    /// Its cache on the disk.
    pub events: Option<Fact<Folder>>,
    pub qos: Option<Fact<Qos>>,
}

/// Files below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    pub files: u64,
    pub bytes: u64,
    /// Last change of the file that was changed longest ago.
    pub oldest: Option<i64>,
    /// Not everything was counted.
    pub cut_short: bool,
}

/// `mdsd.qos`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qos {
    pub path: String,
    pub mtime: i64,
    pub rows: Vec<qos::Row>,
}

/// The box's clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClockFacts {
    /// What it said, in seconds since the epoch.
    pub now: Option<i64>,
    /// The kernel counts its clock as set by a time source.
    pub synchronized: Option<bool>,
    /// A time service is switched on, as timedatectl says.
    pub enabled: Option<bool>,
    /// Units of time services that run.
    pub services: Vec<String>,
    /// Seconds by which chrony or ntpd sees the clock off.
    pub offset: Option<f64>,
    /// Commands and what they said, for people.
    pub said: Vec<(String, String)>,
}
