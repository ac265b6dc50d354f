//! Services of the machine as data: which service manager runs, and what it says about one unit. Pure; the commands
//! are in `service_act`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::{FileKind, Host};

/// Who starts and stops daemons here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    Systemd,
    /// Init scripts, reached by `service` or directly.
    Sysv,
    /// Nobody: a container without init scripts, an image that is not running.
    None,
}

impl Manager {
    pub fn detect(host: &Host) -> Self {
        let is_dir = |path: &str| {
            let path = host.root.resolve(Path::new(path)).ok();
            path.and_then(|p| host.root.stat(&p).ok().flatten()).is_some_and(|m| m.kind == FileKind::Dir)
        };
        // The folder is what sd_booted(3) looks for; it may also be there by a bind mount, hence process 1 as well.
        if is_dir("/run/systemd/system") {
            let init = host.root.read_capped(Path::new("/proc/1/comm"), 64).unwrap_or_default();
            if matches!(init.trim_ascii(), b"systemd" | b"init" | b"") {
                return Manager::Systemd;
            }
        }
        let has_service = ["/usr/sbin/service", "/sbin/service"].iter().any(|p| exists(host, p));
        // Works without an init as well: a container's init scripts start its daemons.
        if has_service && is_dir("/etc/init.d") {
            return Manager::Sysv;
        }
        Manager::None
    }
}

fn exists(host: &Host, path: &str) -> bool {
    host.root.stat(Path::new(path)).ok().flatten().is_some()
}

/// Is the unit up?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Active {
    Active,
    Reloading,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    Unknown,
}

/// What the service manager says about one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// The unit's own name, also when it was asked for by an alias (`syslog.service`).
    pub id: String,
    /// `loaded`, `not-found`, `masked`, `error`, `bad-setting`.
    pub load: String,
    pub active: Active,
    /// As systemd names it: `running`, `dead`, `auto-restart`, `exited`.
    pub sub: String,
    /// How the last run ended: `success`, `exit-code`, `start-limit-hit`.
    pub result: String,
    /// How the last reload ended.
    pub reload_result: String,
    pub main_pid: Option<u32>,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, `generated`; empty where nobody knows.
    pub unit_file: String,
    /// Restarts by the manager itself since it was started; systemd 235 and later.
    pub restarts: Option<u32>,
    /// When it last came up, as systemd writes it.
    pub active_since: Option<String>,
    pub fragment: Option<PathBuf>,
    pub drop_ins: Vec<PathBuf>,
    /// Units that start this one by themselves (`syslog.socket`).
    pub triggered_by: Vec<String>,
    /// The unit's files have changed since systemd read them.
    pub needs_daemon_reload: bool,
    /// A start or stop is still under way.
    pub job: bool,
}

/// The properties that [`parse_show`] reads, for `systemctl show -p`.
pub const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,ReloadResult,MainPID,UnitFileState,NRestarts,\
                              ActiveEnterTimestamp,FragmentPath,DropInPaths,TriggeredBy,NeedDaemonReload,Job";

impl UnitState {
    /// Is the service doing its work?
    pub fn is_active(&self) -> bool {
        matches!(self.active, Active::Active | Active::Reloading)
    }

    /// Is it on its way up for the first time, not failing again and again?
    pub fn is_coming_up(&self) -> bool {
        self.active == Active::Activating && !self.sub.starts_with("auto-restart")
    }

    pub fn exists(&self) -> bool {
        !matches!(self.load.as_str(), "not-found" | "")
    }

    pub fn is_masked(&self) -> bool {
        self.load == "masked" || self.unit_file.starts_with("masked")
    }

    /// Does it start at boot by its own enablement?
    pub fn is_enabled(&self) -> bool {
        matches!(self.unit_file.as_str(), "enabled" | "enabled-runtime")
    }

    /// Can `enable` and `disable` change anything? Static, generated and linked units have no switch.
    pub fn has_switch(&self) -> bool {
        matches!(self.unit_file.as_str(), "enabled" | "enabled-runtime" | "disabled")
    }
}

/// Reads the answer of `systemctl show -p … UNIT`. Properties that this systemd does not know stay empty.
pub fn parse_show(stdout: &[u8]) -> UnitState {
    let text = String::from_utf8_lossy(stdout);
    let all: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once('=')).collect();
    let get = |name: &str| all.get(name).copied().unwrap_or_default().trim();
    let words = |name: &str| get(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let some = |name: &str| Some(get(name).to_owned()).filter(|v| !v.is_empty());
    UnitState {
        id: get("Id").to_owned(),
        load: get("LoadState").to_owned(),
        active: match get("ActiveState") {
            "active" => Active::Active,
            "reloading" | "refreshing" => Active::Reloading,
            "inactive" => Active::Inactive,
            "failed" => Active::Failed,
            "activating" => Active::Activating,
            "deactivating" => Active::Deactivating,
            _ => Active::Unknown,
        },
        sub: get("SubState").to_owned(),
        result: get("Result").to_owned(),
        reload_result: get("ReloadResult").to_owned(),
        main_pid: get("MainPID").parse().ok().filter(|pid| *pid != 0),
        unit_file: get("UnitFileState").to_owned(),
        restarts: get("NRestarts").parse().ok(),
        active_since: some("ActiveEnterTimestamp"),
        fragment: some("FragmentPath").map(PathBuf::from),
        drop_ins: words("DropInPaths").into_iter().map(PathBuf::from).collect(),
        triggered_by: words("TriggeredBy"),
        needs_daemon_reload: get("NeedDaemonReload") == "yes",
        job: get("Job").split_whitespace().next().is_some_and(|id| id != "0"),
    }
}

/// `rsyslog` → `rsyslog.service`; a name that has a unit type keeps it.
pub fn unit_name(name: &str) -> String {
    const TYPES: [&str; 5] = [".service", ".socket", ".timer", ".target", ".path"];
    if TYPES.iter().any(|t| name.ends_with(t)) { name.to_owned() } else { format!("{name}.service") }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
