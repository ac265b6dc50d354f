//! Where the Azure Monitor Agent keeps what (facts 3.1, 3.3).

pub const HOME: &str = "/opt/microsoft/azuremonitoragent";
pub const MDSD: &str = "/opt/microsoft/azuremonitoragent/bin/mdsd";
pub const PACKAGE: &str = "azuremonitoragent";
pub const CONF: &str = "/etc/opt/microsoft/azuremonitoragent";
/// `export KEY=VALUE` lines; may hold a proxy's password.
pub const DEFAULTS: &str = "/etc/default/azuremonitoragent";
pub const CHUNKS: &str = "/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks";
/// `true` while a rule wants syslog.
pub const MARKER: &str = "/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.marker";
pub const PORT_FILE: &str = "/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port";
pub const SOCKET: &str = "/run/azuremonitoragent/default_syslog.socket";
pub const LOG: &str = "/var/opt/microsoft/azuremonitoragent/log";
pub const EVENTS: &str = "/var/opt/microsoft/azuremonitoragent/events";
/// The process that takes events runs as this user.
pub const USER: &str = "syslog";
/// On an Arc machine that user must be in this group to read the tokens.
pub const ARC_GROUP: &str = "himds";
pub const ARC_CONF: &str = "/var/opt/azcmagent/localconfig.json";
pub const ARC_PROGRAMS: [&str; 2] = ["/opt/azcmagent/bin/azcmagent", "/usr/bin/azcmagent"];
/// Folders of the extension begin with this, its version follows.
pub const EXTENSION: &str = "Microsoft.Azure.Monitor.AzureMonitorLinuxAgent-";
pub const EXTENSION_HOMES: [&str; 2] = ["/var/lib/waagent", "/var/lib/GuestConfig/extension_logs"];

/// The unit that takes events; without it nothing works.
pub const UNIT: &str = "azuremonitoragent.service";
/// Units beside it: manager, launcher, configuration.
pub const OTHER_UNITS: [&str; 3] =
    ["azuremonitoragentmgr.service", "azuremonitor-agentlauncher.service", "azuremonitor-coreagent.service"];
/// Azure Arc's own agent, which hands out the tokens outside of Azure.
pub const ARC_UNIT: &str = "himdsd.service";

/// What the agent's watcher puts into the configuration of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaemonFile {
    pub path: &'static str,
    pub syslog_ng: bool,
    /// Events go over the unix socket, not over TCP.
    pub socket: bool,
}

pub const DAEMON_FILES: [DaemonFile; 4] = [
    DaemonFile { path: "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf", syslog_ng: false, socket: false },
    DaemonFile { path: "/etc/rsyslog.d/10-azuremonitoragent.conf", syslog_ng: false, socket: true },
    DaemonFile { path: "/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf", syslog_ng: true, socket: false },
    DaemonFile { path: "/etc/syslog-ng/conf.d/azuremonitoragent.conf", syslog_ng: true, socket: true },
];
