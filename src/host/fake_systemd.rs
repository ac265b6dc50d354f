//! A systemd for tests: units that are up or down, enabled or not, that come up only if their configuration lets them,
//! and that remember which configuration they came up with. It answers the `systemctl` commands of
//! `platform::service_act`. Its state can live in a file, so that it outlasts a killed process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::fake::reply;
use super::{Cmd, Output, Run, RunError};

/// One unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeUnit {
    pub active: bool,
    /// Went down by itself or did not come up.
    pub failed: bool,
    pub enabled: bool,
    /// 0 while down.
    pub pid: u32,
    /// What the unit's configuration was when it came up.
    pub loaded: String,
    /// Times it came up.
    pub starts: u32,
}

/// Reads a unit's configuration: `Ok` with something that identifies it, or `Err` if the unit cannot come up with it.
pub type ReadConfig = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

pub struct FakeSystemd {
    units: Mutex<BTreeMap<String, FakeUnit>>,
    read_config: ReadConfig,
    file: Option<PathBuf>,
}

impl FakeSystemd {
    pub fn new(read_config: ReadConfig) -> Self {
        FakeSystemd { units: Mutex::default(), read_config, file: None }
    }

    /// Keeps the state in `file`, and goes on from what is there.
    pub fn kept_in(mut self, file: PathBuf) -> Self {
        if let Ok(bytes) = std::fs::read(&file) {
            *self.units.get_mut().unwrap_or_else(PoisonError::into_inner) =
                serde_json::from_slice(&bytes).unwrap_or_default();
        }
        self.file = Some(file);
        self
    }

    /// Adds a unit; an active one has come up with its configuration as it is now.
    pub fn unit(self, name: &str, active: bool, enabled: bool) -> Self {
        self.change(|units| {
            let unit = FakeUnit { enabled, ..FakeUnit::default() };
            units.insert(name.to_owned(), unit);
            if active {
                self.start(name, units);
            }
        });
        self
    }

    /// All units as they are.
    pub fn units(&self) -> BTreeMap<String, FakeUnit> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes units behind everybody's back.
    pub fn change<T>(&self, f: impl FnOnce(&mut BTreeMap<String, FakeUnit>) -> T) -> T {
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut units);
        if let Some(file) = &self.file {
            let _ = std::fs::write(file, serde_json::to_vec(&*units).unwrap_or_default());
        }
        result
    }

    fn start(&self, name: &str, units: &mut BTreeMap<String, FakeUnit>) {
        let next = units.values().map(|u| u.pid.max(u.starts)).max().unwrap_or(0) + 100;
        let Some(unit) = units.get_mut(name) else { return };
        match (self.read_config)(name) {
            Ok(loaded) => {
                (unit.active, unit.failed, unit.pid, unit.loaded) = (true, false, next, loaded);
                unit.starts += 1;
            }
            Err(_) => (unit.active, unit.failed, unit.pid) = (false, true, 0),
        }
    }

    fn act(&self, verb: &str, name: &str, units: &mut BTreeMap<String, FakeUnit>) {
        let active = units.get(name).is_some_and(|u| u.active);
        let Some(unit) = units.get_mut(name) else { return };
        match verb {
            "enable" => unit.enabled = true,
            "disable" => unit.enabled = false,
            "reset-failed" => unit.failed = false,
            "stop" => (unit.active, unit.failed, unit.pid) = (false, false, 0),
            "start" if !active => self.start(name, units),
            "restart" => self.start(name, units),
            "reload" => {
                if let Ok(loaded) = (self.read_config)(name) {
                    unit.loaded = loaded;
                }
            }
            _ => {}
        }
    }
}

impl Run for FakeSystemd {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let argv: Vec<_> = cmd.argv.iter().map(|a| a.to_string_lossy()).collect();
        let words: Vec<&str> = argv.iter().map(AsRef::as_ref).filter(|w| !w.starts_with('-')).collect();
        match words.as_slice() {
            ["systemctl", "show", unit] => reply(0, &show(unit, self.units().get(*unit)), ""),
            ["systemctl", "daemon-reload"] => reply(0, "", ""),
            ["systemctl", verb, names @ ..] => {
                if let Some(missing) = names.iter().find(|n| !self.units().contains_key(**n)) {
                    return reply(5, "", &format!("Failed to {verb} {missing}: Unit {missing} not found.\n"));
                }
                self.change(|units| names.iter().for_each(|name| self.act(verb, name, units)));
                reply(0, "", "")
            }
            ["syslog-ng-ctl", "reload"] => self.control("syslog-ng.service"),
            _ => Err(RunError::NotFound(cmd.display())),
        }
    }
}

impl FakeSystemd {
    /// What a daemon's control program says: a running daemon takes its configuration, or stays with what it has.
    fn control(&self, name: &str) -> Result<Output, RunError> {
        self.change(|units| match units.get_mut(name).filter(|u| u.active) {
            None => reply(1, "", "Error connecting control socket, error='Connection refused'\n"),
            Some(unit) => match (self.read_config)(name) {
                Ok(loaded) => {
                    unit.loaded = loaded;
                    reply(0, "Config reload successful\n", "")
                }
                Err(why) => reply(1, &format!("{why}, previous config remained intact\n"), ""),
            },
        })
    }
}

fn show(name: &str, unit: Option<&FakeUnit>) -> String {
    let Some(unit) = unit else {
        return format!("Id={name}\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n");
    };
    let (active, sub, result) = match (unit.active, unit.failed) {
        (true, _) => ("active", "running", "success"),
        (false, true) => ("failed", "failed", "exit-code"),
        (false, false) => ("inactive", "dead", "success"),
    };
    let enabled = if unit.enabled { "enabled" } else { "disabled" };
    format!(
        "Id={name}\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nResult={result}\nMainPID={}\n\
         UnitFileState={enabled}\nNRestarts=0\nTriggeredBy=\nNeedDaemonReload=no\n",
        unit.pid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_up_if_their_configuration_lets_them() {
        let systemd = FakeSystemd::new(Box::new(|unit| match unit {
            "good.service" => Ok("v1".into()),
            _ => Err("broken".into()),
        }));
        let systemd = systemd.unit("good.service", true, true).unit("bad.service", false, false);
        let run = |args: &[&str]| systemd.run(&Cmd::new([&["systemctl"], args].concat())).unwrap();
        let pid = systemd.units()["good.service"].pid;
        assert!(run(&["--no-block", "restart", "--", "good.service"]).ok());
        assert!(run(&["start", "bad.service"]).ok());
        let units = systemd.units();
        assert!(units["good.service"].pid > pid && units["good.service"].starts == 2);
        assert!(units["bad.service"].failed && !units["bad.service"].active);
        assert!(!run(&["start", "none.service"]).ok());
        assert!(String::from_utf8(run(&["show", "none.service"]).stdout).unwrap().contains("not-found"));
    }
}
