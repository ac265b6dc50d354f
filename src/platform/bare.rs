//! Syslog daemons where no service manager runs: a container, a chroot, an image under construction. The daemon is found
//! among the processes, ended by a signal and started again as it was started before.
//!
//! What cannot be had here is said plainly: a daemon that is the container's main process cannot be restarted from
//! inside, because the container ends with it; and nobody starts a daemon at boot.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::proc_process::{self, Process};
use crate::host::{Cmd, Host, fault};

use super::service::{Active, UnitState, parse_show};
use super::service_act::{Action, ServiceError};

/// How long a daemon may take to end: rsyslog writes its queues first.
const END: Duration = Duration::from_secs(60);
/// How long somebody else who watches over the daemon (supervisord, runit) has to bring it up again.
const REVIVE: Duration = Duration::from_secs(3);
/// How long a started daemon may take to be seen, and then has to stay.
const UP: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Programs that start what ended, also as process 1 of a container.
const SUPERVISORS: [&str; 7] = ["supervisord", "s6-svscan", "s6-supervise", "runsvdir", "runsv", "init", "systemd"];

/// A daemon this module knows how to handle.
struct Daemon {
    unit: &'static str,
    /// Process name.
    comm: &'static str,
    programs: [&'static str; 2],
    /// Options that keep it in the foreground.
    foreground: &'static [&'static str],
}

const DAEMONS: [Daemon; 2] = [
    Daemon {
        unit: "rsyslog.service",
        comm: "rsyslogd",
        programs: ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"],
        foreground: &["-n"],
    },
    Daemon {
        unit: "syslog-ng.service",
        comm: "syslog-ng",
        programs: ["/usr/sbin/syslog-ng", "/sbin/syslog-ng"],
        foreground: &["-F", "--foreground"],
    },
];

/// What can be said of `unit`; `not-found` where its program is not installed.
pub fn state(host: &Host, unit: &str) -> UnitState {
    let mut state = UnitState { id: unit.to_owned(), ..parse_show(b"") };
    let daemon = DAEMONS.iter().find(|d| d.unit == unit);
    let Some((daemon, _)) = daemon.and_then(|d| Some((d, program(host, d)?))) else {
        state.load = "not-found".into();
        state.active = Active::Inactive;
        return state;
    };
    state.load = "loaded".into();
    state.main_pid = running(host, daemon).map(|p| p.pid);
    (state.active, state.sub) = match state.main_pid {
        Some(_) => (Active::Active, "running".into()),
        None => (Active::Inactive, "dead".into()),
    };
    state
}

/// Starts, stops or restarts; `stop` is asked while waiting.
pub fn act(host: &Host, unit: &str, action: Action, stop: &dyn Fn() -> bool) -> Result<UnitState, ServiceError> {
    let verb = action.verb();
    let daemon = DAEMONS.iter().find(|d| d.unit == unit);
    let Some((daemon, program)) = daemon.and_then(|d| Some((d, program(host, d)?))) else {
        return Err(ServiceError::NoManager { unit: unit.to_owned(), verb });
    };
    let here = Here { host, daemon, program, verb, stop };
    let now = running(host, daemon);
    match (action, now) {
        (Action::Enable, _) | (Action::Disable, _) => {
            return Err(ServiceError::NoManager { unit: unit.to_owned(), verb });
        }
        (Action::Start, Some(_)) | (Action::Stop, None) => {}
        (Action::Stop, Some(process)) => here.end(&process)?,
        (Action::Start | Action::Restart | Action::Reload, None) => here.start(None)?,
        (Action::Restart | Action::Reload, Some(process)) => {
            here.end(&process)?;
            if !here.comes_back()? {
                here.start(Some(&process))?;
            }
        }
    }
    Ok(state(host, unit))
}

/// Why the daemon cannot be ended from here, if so.
pub fn refusal(host: &Host, unit: &str, action: Action) -> Option<ServiceError> {
    let daemon = DAEMONS.iter().find(|d| d.unit == unit)?;
    let program = program(host, daemon)?;
    let process = running(host, daemon)?;
    Here { host, daemon, program, verb: action.verb(), stop: &|| false }.may_end(&process).err()
}

struct Here<'a> {
    host: &'a Host,
    daemon: &'a Daemon,
    program: &'static str,
    verb: &'static str,
    stop: &'a dyn Fn() -> bool,
}

impl Here<'_> {
    fn refused(&self, said: String) -> ServiceError {
        ServiceError::Refused { unit: self.daemon.unit.to_owned(), verb: self.verb, said }
    }

    fn may_end(&self, process: &Process) -> Result<(), ServiceError> {
        if let Some(why) = holds_the_container(process, |pid| proc_process::comm(&self.host.root, pid)) {
            return Err(self.refused(format!(
                "{why}, so ending it would end the container\nhint: make the change while the image is built, or run \
                 the daemon under an init, and start the container anew"
            )));
        }
        Ok(())
    }

    fn end(&self, process: &Process) -> Result<(), ServiceError> {
        self.may_end(process)?;
        fault::hit("signal.term").map_err(|e| self.refused(e.to_string()))?;
        let pid = i32::try_from(process.pid).map_err(|e| self.refused(e.to_string()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|e| self.refused(format!("process {pid} cannot be signalled: {e}")))?;
        let gone = self.wait(END, || {
            !proc_process::process(&self.host.root, process.pid)
                .is_some_and(|p| p.start_ticks == process.start_ticks && !p.is_zombie())
        })?;
        match gone {
            true => Ok(()),
            false => Err(self.refused(format!("process {pid} still runs {} s after SIGTERM", END.as_secs()))),
        }
    }

    /// Does somebody else start it again? Not waited for where nobody is there who would.
    fn comes_back(&self) -> Result<bool, ServiceError> {
        let root = &self.host.root;
        let watched = proc_process::pids(root)
            .into_iter()
            .any(|pid| proc_process::comm(root, pid).is_some_and(|c| SUPERVISORS.contains(&c.as_str())));
        if watched { self.wait(REVIVE, || running(self.host, self.daemon).is_some()) } else { Ok(false) }
    }

    /// As it was started before, but in the background, since nobody waits for it.
    fn start(&self, before: Option<&Process>) -> Result<(), ServiceError> {
        let argv = argv(self.daemon, self.program, before);
        let output = self.host.runner.run(&Cmd::new(&argv).limit(Duration::from_secs(20)))?;
        if !output.ok() {
            let said = output.last_words(5);
            return Err(self.refused(format!("`{}` failed ({:?}): {said}", argv.join(" "), output.exit)));
        }
        if !self.wait(UP, || running(self.host, self.daemon).is_some())? {
            return Err(self.refused(format!("`{}` left no process behind: {}", argv.join(" "), output.last_words(5))));
        }
        Ok(())
    }

    fn wait(&self, limit: Duration, done: impl Fn() -> bool) -> Result<bool, ServiceError> {
        let start = self.host.clock.monotonic();
        loop {
            if done() {
                return Ok(true);
            }
            if (self.stop)() {
                return Err(ServiceError::Interrupted { unit: self.daemon.unit.to_owned(), verb: self.verb });
            }
            if self.host.clock.monotonic().saturating_sub(start) >= limit {
                return Ok(false);
            }
            self.host.clock.sleep(PAUSE);
        }
    }
}

fn program(host: &Host, daemon: &Daemon) -> Option<&'static str> {
    daemon.programs.into_iter().find(|p| matches!(host.root.stat(Path::new(p)), Ok(Some(_))))
}

/// The daemon of this box, not one of a container that is visible from here. syslog-ng watches over itself: it is the
/// process below that does the work.
fn running(host: &Host, daemon: &Daemon) -> Option<Process> {
    let root = &host.root;
    let all: Vec<Process> = proc_process::pids(root)
        .into_iter()
        .filter(|pid| proc_process::comm(root, *pid).is_some_and(|c| c == daemon.comm))
        .filter_map(|pid| proc_process::process(root, pid))
        .filter(|p| !p.is_zombie() && p.same_net != Some(false) && p.container.is_none())
        // one that only checks a configuration
        .filter(|p| !p.cmdline.iter().any(|a| a.starts_with("-N") || a == "--syntax-only" || a == "-s"))
        .collect();
    choose(&all).cloned()
}

/// The oldest, or the worker below it.
fn choose(all: &[Process]) -> Option<&Process> {
    let oldest = all.iter().min_by_key(|p| (p.start_ticks, p.pid))?;
    Some(all.iter().find(|p| p.ppid == oldest.pid).unwrap_or(oldest))
}

/// Why the container would end together with this process.
fn holds_the_container(process: &Process, comm: impl Fn(u32) -> Option<String>) -> Option<String> {
    if process.pid == 1 {
        return Some(format!("{} is process 1 here", process.comm));
    }
    if process.ppid != 1 || !is_foreground(process) {
        return None;
    }
    let parent = comm(1).unwrap_or_default();
    let revives = SUPERVISORS.contains(&parent.as_str());
    (!revives).then(|| format!("{} is what process 1 ({parent}) waits for", process.comm))
}

fn is_foreground(process: &Process) -> bool {
    let flags = DAEMONS.iter().find(|d| d.comm == process.comm).map(|d| d.foreground).unwrap_or_default();
    process.cmdline.iter().any(|a| flags.contains(&a.as_str()))
}

fn argv(daemon: &Daemon, program: &str, before: Option<&Process>) -> Vec<String> {
    let args = before.map(|p| p.cmdline.as_slice()).unwrap_or_default();
    // a process that rewrote its title ("supervising syslog-ng") tells nothing of its arguments
    let own = args.first().is_some_and(|a| a.rsplit('/').next() == Some(daemon.comm));
    let kept = args.iter().skip(1).filter(|a| own && !daemon.foreground.contains(&a.as_str()) && !a.is_empty());
    std::iter::once(program.to_owned()).chain(kept.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, ppid: u32, cmdline: &[&str]) -> Process {
        let cmdline = cmdline.iter().map(|a| (*a).to_owned()).collect();
        Process { pid, ppid, comm: "rsyslogd".into(), cmdline, start_ticks: u64::from(pid), ..Process::default() }
    }

    #[test]
    fn the_worker_is_chosen_below_the_oldest() {
        let all = [process(9, 1, &[]), process(12, 9, &[]), process(20, 1, &[])];
        assert_eq!(choose(&all).map(|p| p.pid), Some(12));
        assert_eq!(choose(&all[2..]).map(|p| p.pid), Some(20));
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn a_container_is_not_ended_by_a_restart() {
        let shell = |_: u32| Some("sh".to_owned());
        assert!(holds_the_container(&process(1, 0, &["rsyslogd", "-n"]), shell).unwrap().contains("process 1 here"));
        assert!(holds_the_container(&process(7, 1, &["rsyslogd", "-n"]), shell).unwrap().contains("(sh) waits"));
        // in the background, below a shell of somebody, under a supervisor
        assert_eq!(holds_the_container(&process(7, 1, &["rsyslogd"]), shell), None);
        assert_eq!(holds_the_container(&process(7, 5, &["rsyslogd", "-n"]), shell), None);
        assert_eq!(holds_the_container(&process(7, 1, &["rsyslogd", "-n"]), |_| Some("supervisord".into())), None);
    }

    #[test]
    fn it_is_started_as_it_was_but_in_the_background() {
        let [rsyslog, syslog_ng] = &DAEMONS;
        let before = process(7, 5, &["rsyslogd", "-n", "-iNONE", "-f", "/etc/other.conf"]);
        let program = "/usr/sbin/rsyslogd";
        assert_eq!(argv(rsyslog, program, Some(&before)), [program, "-iNONE", "-f", "/etc/other.conf"]);
        assert_eq!(argv(rsyslog, program, None), [program]);
        let titled = process(7, 5, &["supervising syslog-ng", ""]);
        assert_eq!(argv(syslog_ng, "/usr/sbin/syslog-ng", Some(&titled)), ["/usr/sbin/syslog-ng"]);
    }
}
