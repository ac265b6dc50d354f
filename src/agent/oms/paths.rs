//! Where the Log Analytics agent keeps what (facts 1.7). Folders of one workspace are named after its id as it was typed
//! at onboarding.

use std::path::PathBuf;

pub const HOME: &str = "/opt/microsoft/omsagent";
pub const OMSADMIN: &str = "/opt/microsoft/omsagent/bin/omsadmin.sh";
pub const SERVICE_CONTROL: &str = "/opt/microsoft/omsagent/bin/service_control";
/// Its own ways out (facts 1.15), best first.
pub const UNINSTALLERS: [(&str, &[&str]); 2] =
    [("/opt/microsoft/omsagent/bin/uninstall", &["P"]), ("/opt/microsoft/omsagent/bin/purge_omsagent.sh", &[])];
/// Read by omsadmin as shell, with the key in it (facts 1.6).
pub const ONBOARD_FILE: &str = "/etc/omsagent-onboard.conf";
pub const CONF: &str = "/etc/opt/microsoft/omsagent";
/// The proxy it goes through, with the password; the second place is that of older versions (facts 1.7).
pub const PROXIES: [&str; 2] =
    ["/etc/opt/microsoft/omsagent/proxy.conf", "/etc/opt/microsoft/omsagent/conf/proxy.conf"];
pub const STATE: &str = "/var/opt/microsoft/omsagent";
pub const PLUGIN_ASA: &str = "/opt/microsoft/omsagent/plugin/security_lib.rb";
pub const PLUGIN_FILTER: &str = "/opt/microsoft/omsagent/plugin/filter_syslog_security.rb";
/// There and not empty: the portal changes nothing on this machine (facts 1.10).
pub const SYNC_OFF: &str = "/etc/opt/omi/conf/omsconfig/omshelper_disable";
/// The switch for that, by the Python it is for.
pub const SYNC_HELPERS: [(&str, &str); 2] = [
    ("python3", "/opt/microsoft/omsconfig/Scripts/python3/OMS_MetaConfigHelper.py"),
    ("python", "/opt/microsoft/omsconfig/Scripts/OMS_MetaConfigHelper.py"),
];
/// The agent's user and group.
pub const USER: &str = "omsagent";
pub const GROUP: &str = "omiusers";

/// Files and folders of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    pub id: String,
}

impl Workspace {
    pub fn new(id: impl Into<String>) -> Self {
        Workspace { id: id.into() }
    }
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(CONF).join(&self.id)
    }
    pub fn omsadmin_conf(&self) -> PathBuf {
        self.folder().join("conf/omsadmin.conf")
    }
    pub fn inputs(&self) -> PathBuf {
        self.folder().join("conf/omsagent.d")
    }
    pub fn security_events(&self) -> PathBuf {
        self.inputs().join("security_events.conf")
    }
    pub fn certificates(&self) -> [PathBuf; 2] {
        [self.folder().join("certs/oms.crt"), self.folder().join("certs/oms.key")]
    }
    pub fn log(&self) -> PathBuf {
        PathBuf::from(STATE).join(&self.id).join("log/omsagent.log")
    }
    pub fn unit(&self) -> String {
        format!("omsagent-{}.service", self.id)
    }
}
