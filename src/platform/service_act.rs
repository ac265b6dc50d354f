//! Starting, stopping and asking services. Nothing here waits blindly: a job is handed to the service manager without
//! blocking, then its state is polled by the clock until it has settled, so that a wait can be interrupted and a
//! result is what the manager says of the unit, not the exit code of a client.

use std::path::Path;
use std::time::Duration;

use crate::host::{Cmd, Exit, Host, Output, RunError, fault};

use super::bare;
use super::control::{self, Answer};
use super::service::{Active, Manager, PROPERTIES, UnitState, parse_show, unit_name};

/// What can be done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Start,
    Stop,
    Restart,
    Reload,
    Enable,
    Disable,
}

impl Action {
    /// The word that `systemctl` and init scripts take.
    pub fn verb(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Restart => "restart",
            Action::Reload => "reload",
            Action::Enable => "enable",
            Action::Disable => "disable",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(
        "cannot {verb} {unit}: no service manager runs here\nhint: start or stop it by hand, and see that it is started with the box"
    )]
    NoManager { unit: String, verb: &'static str },
    #[error("cannot {verb} {unit}: there is no such unit")]
    NotFound { unit: String, verb: &'static str },
    #[error("cannot {verb} {unit}: the unit is masked\nhint: systemctl unmask {unit}")]
    Masked { unit: String, verb: &'static str },
    #[error("cannot {verb} {unit}: {said}")]
    Refused { unit: String, verb: &'static str, said: String },
    #[error("{unit} did not take its configuration and runs on with the one it had: {said}")]
    NotTaken { unit: String, said: String },
    #[error("{unit} did not {verb}: it is {state}{log}\nhint: journalctl -u {unit} -n 50")]
    Failed { unit: String, verb: &'static str, state: String, log: String },
    #[error("{unit} did not {verb} within {limit:?}: it is {state}\nhint: systemctl list-jobs; journalctl -u {unit}")]
    Timeout { unit: String, verb: &'static str, state: String, limit: Duration },
    #[error("interrupted while waiting for {unit} to {verb}")]
    Interrupted { unit: String, verb: &'static str },
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How long a unit may take to come up or go down; systemd's own limit for either is 90 s.
const LIMIT: Duration = Duration::from_secs(100);

/// How long a daemon may take to answer its control program; reading a large configuration takes a second.
pub(super) const CONTROL_LIMIT: Duration = Duration::from_secs(30);

/// Pauses between two looks at a unit: short at first, since a daemon starts in some 50 ms.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// The services of one machine.
pub struct Services<'a> {
    host: &'a Host,
    manager: Manager,
}

impl<'a> Services<'a> {
    pub fn detect(host: &'a Host) -> Self {
        Services { host, manager: Manager::detect(host) }
    }

    pub fn with(host: &'a Host, manager: Manager) -> Self {
        Services { host, manager }
    }

    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// State of `unit` (an alias or a bare name will do). A unit that is not there has `load` = `not-found`.
    pub fn state(&self, unit: &str) -> Result<UnitState, ServiceError> {
        let unit = unit_name(unit);
        match self.manager {
            Manager::Systemd => {
                let output = self.systemctl(&["show", &format!("--property={PROPERTIES}"), "--", &unit])?;
                if !output.ok() {
                    return Err(refused(&unit, "show", &output));
                }
                let mut state = parse_show(&output.stdout);
                if state.id.is_empty() {
                    state.id = unit;
                }
                Ok(state)
            }
            Manager::Sysv => self.sysv_state(&unit),
            Manager::None => Ok(bare::state(self.host, &unit)),
        }
    }

    /// Those units that would start `state`'s unit again by themselves and are on: `syslog.socket`.
    pub fn active_triggers(&self, state: &UnitState) -> Result<Vec<String>, ServiceError> {
        let mut active = Vec::new();
        for unit in &state.triggered_by {
            if self.state(unit)?.is_active() {
                active.push(unit.clone());
            }
        }
        Ok(active)
    }

    /// Does `action` and waits until the unit has settled; an error if it settles elsewhere. `stop` is asked between
    /// two looks; its yes ends the wait (not the job).
    ///
    /// Stopping also stops the sockets that would start the unit again. A reload is asked of the daemon itself where it
    /// tells the outcome; one that is down or cannot be asked is started or restarted instead.
    pub fn act(&self, unit: &str, action: Action, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
        let verb = action.verb();
        let state = self.state(unit)?;
        if action == Action::Reload && control::answers(&state.id) && state.exists() {
            return self.reload_by_control(&state, stop);
        }
        if self.is_bare(&state.id) {
            return bare::act(self.host, &state.id, action, stop);
        }
        let unit = state.id.clone();
        // The mask may have been taken away just now.
        let state = if state.is_masked() && state.needs_daemon_reload {
            self.daemon_reload()?;
            self.state(&unit)?
        } else {
            state
        };
        if state.is_masked() && matches!(action, Action::Start | Action::Restart | Action::Enable) {
            return Err(ServiceError::Masked { unit, verb });
        }
        if !state.exists() {
            return Err(ServiceError::NotFound { unit, verb });
        }
        if state.needs_daemon_reload {
            self.daemon_reload()?;
        }
        match (action, self.manager) {
            (Action::Enable | Action::Disable, _) => self.switch(&unit, action),
            (_, Manager::Sysv) => self.sysv_act(&unit, action, stop),
            (Action::Start | Action::Restart, _) => self.bring_up(&state, action, stop),
            (Action::Stop, _) => {
                let mut units = self.active_triggers(&state)?;
                units.push(unit.clone());
                self.job("stop", &units)?;
                self.wait(&unit, action, stop)
            }
            (Action::Reload, _) => {
                self.job("reload", std::slice::from_ref(&unit))?;
                let state = self.wait(&unit, action, stop)?;
                match state.reload_result.as_str() {
                    "" | "success" => Ok(state),
                    _ => Err(self.failed(verb, &state)),
                }
            }
        }
    }

    fn reload_by_control(&self, state: &UnitState, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
        if !state.is_active() {
            return self.act(&state.id, Action::Start, stop);
        }
        match control::reload(self.host, state)? {
            Answer::Taken => self.wait(&state.id, Action::Reload, stop),
            Answer::Refused(said) => Err(ServiceError::NotTaken { unit: state.id.clone(), said }),
            Answer::None => self.act(&state.id, Action::Restart, stop),
        }
    }

    /// Does nothing start the unit again when the box starts, because there is no manager that would?
    pub fn is_unmanaged(&self, unit: &str) -> bool {
        self.is_bare(&unit_name(unit))
    }

    /// Why `action` cannot be done to a unit that nobody manages, to be known before anything is touched.
    pub fn refusal(&self, unit: &str, action: Action) -> Option<ServiceError> {
        let ends = matches!(action, Action::Restart | Action::Stop) && self.is_bare(unit);
        ends.then(|| bare::refusal(self.host, unit, action)).flatten()
    }

    /// Does nobody manage this one? Init scripts may be there for other daemons only: Debian's rsyslog brings none any more.
    fn is_bare(&self, unit: &str) -> bool {
        match self.manager {
            Manager::Systemd => false,
            Manager::Sysv => !self.has_script(unit) || self.is_by_hand(unit),
            Manager::None => true,
        }
    }

    /// It runs, and its init script, which knows only what it has started, would start a second one.
    fn is_by_hand(&self, unit: &str) -> bool {
        let knows = self.service(script_of(unit), "status").is_ok_and(|o| o.ok());
        !knows && bare::state(self.host, unit).is_active()
    }

    fn has_script(&self, unit: &str) -> bool {
        let script = Path::new("/etc/init.d").join(script_of(unit));
        matches!(self.host.root.stat(&script), Ok(Some(_)))
    }

    /// Makes systemd read unit files again.
    pub fn daemon_reload(&self) -> Result<(), ServiceError> {
        if self.manager == Manager::Systemd {
            let output = self.systemctl(&["daemon-reload"])?;
            if !output.ok() {
                return Err(refused("systemd", "reload", &output));
            }
        }
        Ok(())
    }

    /// Starts or restarts; once more if systemd refused only because of too many starts in a short time, which our own
    /// restart, proof and roll-back can add up to. Of one that had failed before systemd goes on telling that reason.
    fn bring_up(&self, before: &UnitState, action: Action, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
        let unit = before.id.as_str();
        // A start that is under way (tried again, or set off by a socket) may have read what is no longer there: ours would
        // only wait for its end.
        let verb = if before.active == Active::Activating { Action::Restart } else { action }.verb();
        self.job(verb, &[unit.to_owned()])?;
        let error = match self.wait(unit, action, stop) {
            Err(e @ ServiceError::Failed { .. }) => e,
            other => return other,
        };
        let state = self.state(unit)?;
        if state.result != "start-limit-hit" && before.active != Active::Failed {
            return Err(error);
        }
        let mut units = vec![unit.to_owned()];
        // A socket fails together with the service it triggers.
        units.extend(state.triggered_by.iter().cloned());
        let mut args = vec!["reset-failed", "--"];
        args.extend(units.iter().map(String::as_str));
        self.systemctl(&args)?;
        self.job("start", &[unit.to_owned()])?;
        self.wait(unit, action, stop)
    }

    /// Has systemd forget that the unit failed to start. Does nothing to one that did not.
    ///
    /// # Errors
    /// systemd cannot be asked.
    pub fn forget_failure(&self, unit: &str) -> Result<(), ServiceError> {
        if self.manager == Manager::Systemd && self.state(unit)?.active == Active::Failed {
            self.systemctl(&["reset-failed", "--", unit])?;
        }
        Ok(())
    }

    fn job(&self, verb: &'static str, units: &[String]) -> Result<(), ServiceError> {
        let mut args = vec!["--no-block", verb, "--"];
        args.extend(units.iter().map(String::as_str));
        let output = self.systemctl(&args)?;
        let unit = units.last().map(String::as_str).unwrap_or_default();
        if output.ok() { Ok(()) } else { Err(refused(unit, verb, &output)) }
    }

    fn switch(&self, unit: &str, action: Action) -> Result<UnitState, ServiceError> {
        let output = match self.manager {
            Manager::Systemd => self.systemctl(&[action.verb(), "--", unit])?,
            _ => self.sysv_switch(script_of(unit), action == Action::Enable)?,
        };
        if !output.ok() {
            return Err(refused(unit, action.verb(), &output));
        }
        self.state(unit)
    }

    /// Polls until no job is left and the unit is where `action` leads, or has failed to get there.
    fn wait(&self, unit: &str, action: Action, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
        let verb = action.verb();
        let start = self.host.clock.monotonic();
        let mut pause = FIRST_PAUSE;
        let mut look = 0;
        loop {
            let state = fault::look(look, || self.state(unit))?;
            match settled(&state, action) {
                Some(true) => return Ok(state),
                Some(false) => return Err(self.failed(verb, &state)),
                None => {}
            }
            if stop() {
                return Err(ServiceError::Interrupted { unit: unit.to_owned(), verb });
            }
            if self.host.clock.monotonic().saturating_sub(start) >= LIMIT {
                return Err(ServiceError::Timeout {
                    unit: unit.to_owned(),
                    verb,
                    state: in_words(&state),
                    limit: LIMIT,
                });
            }
            self.host.clock.sleep(pause);
            look += 1;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }

    fn failed(&self, verb: &'static str, state: &UnitState) -> ServiceError {
        ServiceError::Failed { unit: state.id.clone(), verb, state: in_words(state), log: self.last_log(&state.id) }
    }

    /// The last lines the unit logged, indented, or nothing.
    fn last_log(&self, unit: &str) -> String {
        if self.manager != Manager::Systemd {
            return String::new();
        }
        let cmd = Cmd::new(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", "5", "-u", unit]);
        match self.host.runner.run(&cmd.limit(Duration::from_secs(5))) {
            Ok(output) if output.ok() => output.last_words(5).lines().map(|l| format!("\n    {l}")).collect(),
            _ => String::new(),
        }
    }

    fn systemctl(&self, args: &[&str]) -> Result<Output, ServiceError> {
        let argv = ["systemctl", "--no-ask-password", "--no-pager"].iter().chain(args);
        Ok(self.host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(30)))?)
    }

    fn sysv_state(&self, unit: &str) -> Result<UnitState, ServiceError> {
        let script = script_of(unit);
        if self.is_bare(unit) {
            return Ok(bare::state(self.host, unit));
        }
        let mut state = UnitState { id: unit.to_owned(), ..parse_show(b"") };
        state.load = "loaded".into();
        // Exit codes of `status` are fixed by the LSB: 0 runs, 1 and 2 dead with leftovers, 3 stopped.
        state.active = match self.service(script, "status")?.exit {
            Exit::Code(0) => Active::Active,
            Exit::Code(1 | 2) => Active::Failed,
            Exit::Code(3) => Active::Inactive,
            _ => Active::Unknown,
        };
        // Some scripts find a process whose pid file lies elsewhere.
        let seen = || bare::state(self.host, unit).main_pid.filter(|_| state.is_active());
        state.main_pid = self.pid_file(script).or_else(seen);
        state.unit_file = if self.sysv_enabled(script) { "enabled" } else { "disabled" }.into();
        Ok(state)
    }

    fn sysv_act(&self, unit: &str, action: Action, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
        let output = self.service(script_of(unit), action.verb())?;
        if !output.ok() {
            return Err(refused(unit, action.verb(), &output));
        }
        self.wait(unit, action, stop)
    }

    fn service(&self, script: &str, verb: &str) -> Result<Output, ServiceError> {
        Ok(self.host.runner.run(&Cmd::new(["service", script, verb]).limit(LIMIT))?)
    }

    fn pid_file(&self, script: &str) -> Option<u32> {
        // rsyslog writes rsyslogd.pid, syslog-ng syslog-ng.pid.
        [format!("/run/{script}d.pid"), format!("/run/{script}.pid")].iter().find_map(|path| {
            let bytes = self.host.root.read_capped(Path::new(path), 64).ok()?;
            std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
        })
    }

    fn sysv_enabled(&self, script: &str) -> bool {
        ["/etc/rc[2-5].d/S[0-9][0-9]", "/etc/rc.d/rc[2-5].d/S[0-9][0-9]"]
            .iter()
            .any(|start| !self.host.root.glob(Path::new(&format!("{start}{script}"))).unwrap_or_default().is_empty())
    }

    /// Debian's tool, else Red Hat's and SUSE's.
    fn sysv_switch(&self, script: &str, on: bool) -> Result<Output, ServiceError> {
        let debian = Cmd::new(["update-rc.d", script, if on { "enable" } else { "disable" }]);
        match self.host.runner.run(&debian) {
            Err(RunError::NotFound(_)) => {
                Ok(self.host.runner.run(&Cmd::new(["chkconfig", script, if on { "on" } else { "off" }]))?)
            }
            other => Ok(other?),
        }
    }
}

/// Has `action` come to its end, and a good one? `None`: not yet.
fn settled(state: &UnitState, action: Action) -> Option<bool> {
    if state.job {
        return None;
    }
    match (action, state.active) {
        (_, Active::Deactivating | Active::Reloading) => None,
        // No job, but coming up: systemd has taken the failed start for one to be tried again.
        (Action::Start | Action::Restart, Active::Activating) => state.sub.starts_with("auto-restart").then_some(false),
        (_, Active::Activating) => None,
        (Action::Stop, Active::Inactive | Active::Failed) => Some(true),
        (Action::Stop, _) => Some(false),
        (_, Active::Active) => Some(true),
        (_, Active::Inactive | Active::Failed | Active::Unknown) => Some(false),
    }
}

fn in_words(state: &UnitState) -> String {
    let mut words = serde_json::to_value(state.active).ok().and_then(|v| v.as_str().map(str::to_owned));
    if !state.sub.is_empty() {
        words = words.map(|w| format!("{w} ({})", state.sub));
    }
    let words = words.unwrap_or_default();
    match state.result.as_str() {
        "" | "success" => words,
        result => format!("{words}, result {result}"),
    }
}

fn refused(unit: &str, verb: &'static str, output: &Output) -> ServiceError {
    let said = match output.last_words(3) {
        said if said.is_empty() => format!("the service manager refused ({:?})", output.exit),
        said => said,
    };
    ServiceError::Refused { unit: unit.to_owned(), verb, said }
}

fn script_of(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}
