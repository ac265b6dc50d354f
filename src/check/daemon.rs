//! Judgements on the syslog daemon: there, alone, running, coming back after a reboot. Its configuration is judged in
//! `config`.

use super::case::Case;
use super::facts::UnitFacts;
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::{Asked, Family, Listener};
use super::target::Daemon;
use super::words;
use crate::host::proc_net::Socket;
use crate::host::proc_process::Process;
use crate::platform::service::Active;
use crate::report::{Fix, Status};

pub fn present(case: &Case<'_>) -> Judged {
    let wanted = case.target.daemon;
    let daemon = case.daemon();
    let name = format!("{}{}", wanted.word(), daemon.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default());
    match (wanted, &daemon.program, case.process()) {
        (Daemon::None, ..) => Ok(absent(case, wanted)),
        (_, Some(program), _) => Ok(Outcome::pass(name).seen("program", program)),
        (_, None, Some(process)) => Ok(Outcome::pass(format!("{name} runs from {}", process.exe))),
        (_, None, None) => Ok(absent(case, wanted)),
    }
}

fn absent(case: &Case<'_>, wanted: Daemon) -> Outcome {
    let (summary, package) = match wanted {
        Daemon::None => {
            ("no syslog daemon is installed: systemd-journald alone takes nothing from the network", "rsyslog")
        }
        Daemon::Rsyslog => ("rsyslog is not installed", "rsyslog"),
        Daemon::SyslogNg => ("syslog-ng is not installed", "syslog-ng"),
    };
    let by_hand = case.facts.host.os.as_ref().ok().and_then(|os| os.install_command(package));
    let by_hand = by_hand.map(|command| format!(" (by hand: {command})")).unwrap_or_default();
    Outcome::fail(summary)
        .seen("looked for", "rsyslogd and syslog-ng in /usr/sbin, /sbin, /usr/local/sbin, /usr/bin")
        .advise(format!("install the distribution's package{by_hand}, then let install go on; or both at once"))
        .command(match wanted {
            Daemon::SyslogNg => "sudo cefctl install --daemon syslog-ng --install-packages",
            _ => "sudo cefctl install --install-packages",
        })
        .fix(Fix::InstallDaemon(package.to_owned()))
}

pub fn single(case: &Case<'_>) -> Judged {
    let facts = case.facts;
    let up = |unit: &str| facts.unit(unit).is_some_and(|u| u.state.is_active());
    // A daemon in a container, or in another network, is somebody else's.
    let near = |p: &&Process| p.container.is_none() && p.same_net != Some(false) && !p.is_zombie();
    let runs = |comm: &str| facts.processes.values().filter(near).find(|p| p.runs(comm));
    let rsyslog = up("rsyslog.service") || runs("rsyslogd").is_some();
    let other = up("syslog-ng.service") || runs("syslog-ng").is_some();
    if !(rsyslog && other) {
        let both = facts.rsyslog.program.is_some() && facts.syslog_ng.program.is_some();
        let text = if both { "both daemons are installed, one runs" } else { "one syslog daemon" };
        return Ok(Outcome::pass(text));
    }
    let (keep, stop, program) = match case.target.daemon {
        Daemon::SyslogNg => ("syslog-ng", "rsyslog", "rsyslogd"),
        Daemon::Rsyslog | Daemon::None => ("rsyslog", "syslog-ng", "syslog-ng"),
    };
    // It may be started by a unit of somebody's own.
    let unit = runs(program).and_then(|p| p.unit.as_deref()).filter(|unit| unit.ends_with(".service"));
    let stop = unit.unwrap_or(stop);
    let both = ["rsyslogd", "syslog-ng"].into_iter().filter_map(runs).map(|p| ("process", p.display()));
    Ok(Outcome::warn("rsyslog and syslog-ng both run on this box")
        .seen_all(both)
        .seen_all(port_owners(case))
        .advise(format!("keep one of them; the checks below judge {keep}"))
        .command(format!("sudo systemctl disable --now {stop}")))
}

/// Who holds the port devices send to.
fn port_owners(case: &Case<'_>) -> Vec<(String, String)> {
    let Ok(net) = &case.facts.net else { return Vec::new() };
    let on_port = net.sockets.iter().filter(|s| s.is_open() && s.local.port() == case.target.port);
    let name = |pid: &u32| case.facts.process(*pid).map(Process::display);
    on_port.flat_map(|s| s.owners.iter().filter_map(name).map(|who| (s.display(), who))).collect()
}

pub fn running(case: &Case<'_>) -> Judged {
    let unit = case.facts.unit(&format!("{}.service", case.unit_name()));
    match unit.filter(|u| u.state.exists()) {
        Some(unit) => running_unit(case, unit),
        None => running_process(case),
    }
}

fn running_unit(case: &Case<'_>, unit: &UnitFacts) -> Judged {
    let name = case.unit_name();
    let state = format!("{} ({})", word(unit.state.active), unit.state.sub);
    let process = unit.state.main_pid.and_then(|pid| case.facts.process(pid));
    if let Some(out) = restarting(case, unit, &state) {
        return Ok(out);
    }
    if !unit.state.is_active() {
        return not_active(case, unit, &state);
    }
    let frozen = unit.freezer == "frozen" || unit.freezer == "freezing";
    if frozen || process.is_some_and(Process::is_stopped) {
        let (why, command) = match process {
            Some(p) if !frozen => ("its process was stopped by a signal", format!("sudo kill -CONT {}", p.pid)),
            _ => ("its control group is frozen", format!("sudo systemctl thaw {name}.service")),
        };
        return Ok(Outcome::fail(format!("{name} is there but halted: {why}"))
            .seen(format!("{name}.service"), format!("{state}, freezer {}", unit.freezer))
            .seen_all(process.map(|p| (format!("process {}", p.pid), format!("state {}", p.state))))
            .advise("let it go on")
            .command(command)
            .fix(Fix::Restart(format!("{name}.service"))));
    }
    if process.is_some_and(Process::is_zombie) {
        return Ok(Outcome::fail(format!("the main process of {name} has ended"))
            .seen(format!("{name}.service"), state)
            .advise("restart it")
            .command(format!("sudo systemctl restart {name}"))
            .fix(Fix::Restart(format!("{name}.service"))));
    }
    if let Some(out) = replaced(case, unit) {
        return Ok(out);
    }
    let up = unit.since.map(|s| case.facts.taken - s);
    let restarts = unit.state.restarts.unwrap_or_default();
    // Restarted by hand or by an installer does not count; only the manager's own restarts do.
    if restarts > 0 && up.is_some_and(|s| s < 600) {
        return Ok(Outcome::warn(format!(
            "{name} was restarted by systemd {}",
            words::count(restarts as usize, "time")
        ))
        .seen(format!("{name}.service"), format!("{state}, {restarts} restarts, up {} s", up.unwrap_or_default()))
        .seen_all(case.last_lines(5))
        .advise("look at why it ends")
        .command(format!("journalctl -u {name} -n 50")));
    }
    if let Some(old) = old_configuration(case) {
        return Ok(old);
    }
    let pid = unit.state.main_pid.map(|p| format!(", pid {p}")).unwrap_or_default();
    Ok(Outcome::pass(format!("{name} is {state}{pid}")))
}

/// The process that the unit had is gone, and another one is there: it was restarted within the second or two that a
/// diagnosis takes, which seldom is chance.
fn replaced(case: &Case<'_>, unit: &UnitFacts) -> Option<Outcome> {
    let name = case.unit_name();
    let pid = unit.state.main_pid.filter(|pid| case.facts.process(*pid).is_none())?;
    // The main process may also be a script of somebody's own, which is no daemon and not looked at.
    let of_unit = |p: &&Process| {
        p.unit.as_ref() == Some(&unit.state.id) && p.container.is_none() && p.ppid != pid && !p.is_zombie()
    };
    let other = case.facts.processes.values().find(of_unit)?;
    Some(
        Outcome::warn(format!("{name} was restarted while this was looked at: pid {pid} is gone"))
            .seen("process now", other.display())
            .advise(
                "if nobody did that on purpose, look for the timer, script or watchdog that restarts it, since what devices \
                 send in between is lost; then run the check again",
            )
            .command(format!("journalctl -u {name} -n 50"))
            .command("systemctl list-timers"),
    )
}

/// Restarts by systemd within five minutes that are no accident any more.
const AGAIN: u32 = 3;

/// It works, for a moment: somebody or something ends it, and systemd starts it again, again and again.
fn restarting(case: &Case<'_>, unit: &UnitFacts, state: &str) -> Option<Outcome> {
    let name = case.unit_name();
    let times = unit.restarted_lately.filter(|n| *n >= AGAIN)?;
    // One that does not come up at all ends with a code of its own, and its lines say more.
    let between = matches!(unit.state.active, Active::Activating | Active::Deactivating)
        && matches!(unit.state.result.as_str(), "success" | "signal" | "watchdog" | "timeout");
    if !(unit.state.is_active() || between) {
        return None;
    }
    let out = Outcome::fail(format!(
        "{name} ends and is restarted by systemd again and again ({times} times within five minutes): what devices \
         send in between is lost"
    ))
    .seen(format!("{name}.service"), format!("{state}, {} restarts", unit.state.restarts.unwrap_or_default()))
    .seen_all(case.unit_changes())
    .seen_all(case.last_lines(5));
    Some(match unit.ended_by.as_str() {
        "" => out
            .advise("look at what ends it: a crash, somebody's `kill`, too little memory")
            .command(format!("journalctl -u {name} -n 50")),
        setting => out
            .seen(format!("systemctl show {name}"), setting)
            .advise(format!("{setting} in the unit ends it: take that out, then restart the daemon"))
            .command(format!("sudo systemctl edit {name}.service"))
            .command(format!("sudo systemctl restart {name}")),
    })
}

/// It runs, but does not do what its files say.
fn old_configuration(case: &Case<'_>) -> Option<Outcome> {
    let name = case.unit_name();
    let changed = case.changed_since_start();
    let files = || changed.iter().map(|p| (*p, "changed after the daemon was started"));
    let advise = |out: Outcome| {
        out.advise("let it read its configuration again, so that it does what its files say")
            .command(case.load_command())
    };
    match (case.target.daemon, &case.facts.syslog_ng_says.loaded) {
        // A reload leaves no trace in the unit; the daemon itself says what it has loaded.
        (Daemon::SyslogNg, Ok(loaded)) if loaded.same || loaded.unread => None,
        (Daemon::SyslogNg, Ok(loaded)) => {
            let why = match changed.first() {
                Some(first) => format!(": {first} was changed"),
                None => ": its files say something else than what it has loaded".to_owned(),
            };
            let out = Outcome::warn(format!("{name} runs, but not with its present configuration{why}"))
                .seen_all(files())
                .seen_all(loaded.only_in_files.iter().map(|l| ("not in force yet", l)))
                .seen_all(loaded.only_in_force.iter().map(|l| ("still in force", l)));
            Some(advise(out))
        }
        _ => {
            let first = changed.first()?;
            let text =
                format!("{name} runs, but not with its present configuration: {first} was changed after its start");
            Some(advise(Outcome::warn(text).seen_all(files())))
        }
    }
}

fn not_active(case: &Case<'_>, unit: &UnitFacts, state: &str) -> Judged {
    let name = case.unit_name();
    // A process of the unit's own is its next try to start, and of one that ended while it was looked at little is left.
    let trying = |p: &Process| {
        let gone = unit.state.active == Active::Activating && p.exe.is_empty();
        gone || p.unit.as_deref() == Some(unit.state.id.as_str())
    };
    let other = |p: &&Process| !trying(p) && !p.is_zombie() && !p.is_stopped();
    if let Some(process) = case.process().filter(other) {
        return Ok(Outcome::warn(format!("{name} runs, but not as its unit: nobody restarts it"))
            .seen(format!("{name}.service"), state)
            .seen("process", process.display())
            .advise(format!("end that process, then start the unit: `kill {}`", process.pid))
            .command(format!("sudo systemctl start {name}")));
    }
    if let Some(cause) = kept_from_starting(case, unit) {
        return Err(cause);
    }
    if let Err(NotJudged::Blocked(by, why)) = super::config::config(case) {
        return Err(NotJudged::Blocked(by, why));
    }
    let s = &unit.state;
    let how = match (s.result.as_str(), unit.exec_status) {
        ("success" | "", _) => String::new(),
        (result, Some(code)) if code != 0 => format!(", result {result}, exit status {code}"),
        (result, _) => format!(", result {result}"),
    };
    let out = Outcome::fail(format!("{name} does not run: it is {state}{how}"))
        .seen(format!("{name}.service"), format!("{state}{how}"))
        .seen_all(case.last_lines(5));
    let start = format!("sudo systemctl start {name}");
    let unit_name = format!("{name}.service");
    Ok(match () {
        _ if s.is_masked() => out
            .advise("the unit is masked: somebody forbade it to start")
            .command(format!("sudo systemctl unmask {name}"))
            .command(start)
            .fix(Fix::Unmask(unit_name.clone()))
            .fix(Fix::Start(unit_name)),
        // Until the counter is reset systemd refuses every start.
        _ if s.result == "start-limit-hit" => out
            .advise("it was started too often in a short time; mend what the lines name, reset the counter, start it")
            .command(format!("sudo systemctl reset-failed {name}"))
            .command(start)
            .fix(Fix::Start(unit_name)),
        // Without the socket that the unit asks for it never starts.
        _ if masked_socket(case, unit) => out
            .seen(SYSLOG_SOCKET, "masked")
            .advise(format!("{name} needs {SYSLOG_SOCKET}, which is masked: somebody forbade it to start"))
            .command(format!("sudo systemctl unmask {SYSLOG_SOCKET}"))
            .command(start)
            .fix(Fix::Unmask(SYSLOG_SOCKET.to_owned()))
                .fix(Fix::Start(SYSLOG_SOCKET.to_owned()))
            .fix(Fix::Start(unit_name)),
        _ if crashed(unit) && ran(unit).is_some_and(|seconds| seconds >= STARTING) => out
            .advise(format!(
                "it crashed after it had run for {}: start it; if it does so again, look for a newer version",
                super::agents::span(ran(unit).unwrap_or_default())
            ))
            .command(format!("journalctl -u {name} -n 20"))
            .command(start)
            .fix(Fix::Start(unit_name)),
        _ if unit.skipped => out
            .seen_all(case.unit_changes())
            .advise("systemd leaves every start out, since a condition of the unit is not met: look which one, then start it")
            .command(format!("systemctl cat {name} | grep -E '^(Condition|Assert)'"))
            .command(start),
        _ if s.result == "exit-code" && super::host::disk(case).is_ok_and(|o| o.status == Status::Fail) => out
            .advise("make room first, as host.disk says: without it a start will end the same way")
            .command(start),
        _ => match hindrance(unit) {
            Some(why) => out
                .seen_all(case.unit_changes())
                .advise(format!("{why}; a start alone will end the same way"))
                .command(format!("systemctl cat {name}"))
                .command(format!("journalctl -u {name} -n 20"))
                .command(start),
            None => out.advise("start it").command(start).fix(Fix::Start(unit_name)),
        },
    })
}

/// Exit codes of systemd itself, for what it could not do before it ran the program (systemd.exec(5)).
const SET_UP: std::ops::RangeInclusive<i32> = 200..=245;

/// SIGABRT, SIGBUS, SIGFPE, SIGSEGV and their like are the program's own; SIGKILL and SIGTERM are somebody's wish.
fn is_crash(signal: Option<i32>) -> bool {
    signal.is_some_and(|s| ![1, 2, 9, 15].contains(&s))
}

/// By which journald hands on; rsyslog's unit requires it.
const SYSLOG_SOCKET: &str = "syslog.socket";

fn masked_socket(case: &Case<'_>, unit: &UnitFacts) -> bool {
    let required = unit.requires.split_whitespace().any(|u| u == SYSLOG_SOCKET);
    required && case.facts.unit(SYSLOG_SOCKET).is_some_and(|u| u.state.is_masked())
}

/// Seconds in which a daemon reads its files and opens its ports.
const STARTING: i64 = 5;

/// Seconds that the last run took.
fn ran(unit: &UnitFacts) -> Option<i64> {
    unit.begun.zip(unit.ended).map(|(begun, ended)| ended - begun)
}

fn crashed(unit: &UnitFacts) -> bool {
    unit.state.result == "core-dump" || (unit.state.result == "signal" && is_crash(unit.exec_status))
}

/// Why the unit would not come up by another start. A daemon that was stopped, killed or could not read files that are in
/// order again comes up; one whose unit was changed by somebody may not.
fn hindrance(unit: &UnitFacts) -> Option<&'static str> {
    match unit.exec_status {
        _ if crashed(unit) => {
            Some("the daemon crashes when it starts: look at its own lines and at the limits of its unit")
        }
        _ if unit.state.result != "exit-code" => None,
        Some(203) => Some("systemd cannot run the program: look at its mode, its libraries and the mount it is on"),
        Some(n) if SET_UP.contains(&n) => Some("systemd cannot set up what the unit asks for"),
        Some(0) => Some("a command that the unit runs beside the daemon fails"),
        _ if !unit.state.drop_ins.is_empty() => {
            Some("look at what the drop-ins of the unit ask for, and at the daemon's own lines")
        }
        _ => None,
    }
}

/// syslog-ng ends as a whole when it cannot have a port it wants (facts 6.4) or cannot open its disk buffer; then that
/// is the cause.
fn kept_from_starting(case: &Case<'_>, unit: &UnitFacts) -> Option<NotJudged> {
    // Stopped by somebody: nothing keeps it from starting.
    let stopped = unit.state.active == Active::Inactive && matches!(unit.state.result.as_str(), "success" | "");
    if case.target.daemon != Daemon::SyslogNg || stopped {
        return None;
    }
    let flow = case.flow().ok()?;
    if flow.config.doubles(&flow.listeners).iter().any(|d| d.refused) {
        return Some(NotJudged::Blocked(
            "listen.duplicate",
            "the daemon does not start: it asks for one port twice".into(),
        ));
    }
    let net = case.facts.net.as_ref().ok()?;
    // Only what `listen.owner` looks at can be its fault.
    let ours = flow.listeners.iter().filter(|l| l.used && l.number == Some(case.target.port));
    let mut taken = ours.flat_map(|l| net.open(l.transport, case.target.port).filter(|s| clashes(l, s)));
    if let Some(taken) = taken.next() {
        let why = format!("the daemon does not start: {} is taken", taken.display());
        return Some(NotJudged::Blocked("listen.owner", why));
    }
    let fault = super::spool::fault(case)?;
    Some(NotJudged::Blocked("forward.reliable", format!("the daemon does not start: {}", fault.summary)))
}

/// Does the socket stand in the way of the listener?
fn clashes(listener: &Listener, socket: &Socket) -> bool {
    let wide = listener.asked.is_wide() || socket.local.ip().is_unspecified();
    let own = matches!(listener.asked, Asked::Ip(ip) if ip == socket.local.ip());
    // An IPv4 listener and an IPv6 socket of its own family do not meet.
    let apart = listener.asked == Asked::AnyOf(Family::V4) && socket.local.is_ipv6() && socket.v6only == Some(true);
    (wide || own) && !apart
}

/// Without a unit (container, other init) the process is all there is.
fn running_process(case: &Case<'_>) -> Judged {
    let name = case.unit_name();
    let comm = if case.target.daemon == Daemon::SyslogNg { "syslog-ng" } else { "rsyslogd" };
    let found = case.facts.processes.values().find(|p| p.runs(comm) && p.same_net != Some(false) && !p.is_zombie());
    match found {
        Some(p) if p.is_stopped() => Ok(Outcome::fail(format!("{comm} is there but halted by a signal"))
            .seen("process", p.display())
            .advise("let it go on")
            .command(format!("sudo kill -CONT {}", p.pid))),
        Some(p) => Ok(Outcome::pass(format!("{} runs", p.display()))),
        None if !case.facts.host.live => {
            Err(NotJudged::Skip("these are the files of an image that does not run".into()))
        }
        None if case.facts.net.is_err() => Err("processes could not be looked at".to_owned().into()),
        None => Ok(Outcome::fail(format!("{comm} does not run"))
            .seen("processes", format!("no process called {comm} in this machine"))
            .advise("start it")
            .command(format!("sudo service {name} start"))),
    }
}

pub fn enabled(case: &Case<'_>) -> Judged {
    let name = case.unit_name();
    let units = match &case.facts.units {
        Ok(units) => units,
        Err(why) => return Err(NotJudged::Skip(format!("{why}: what starts at boot is not known here"))),
    };
    let unit = match units.get(&format!("{name}.service")) {
        Some(unit) if unit.state.exists() => unit,
        _ => return Ok(Outcome::warn(format!("{name} has no unit, so nothing starts it at boot"))),
    };
    let state = &unit.state;
    let bad = |text: String| {
        Outcome::warn(text)
            .seen(format!("{name}.service"), format!("unit file state: {}", state.unit_file))
            .advise("let it start at boot")
            .command(format!("sudo systemctl enable {name}"))
    };
    let enable = Fix::Enable(format!("{name}.service"));
    Ok(match state.unit_file.as_str() {
        "disabled" => bad(format!("{name} does not start at boot")).fix(enable),
        "enabled-runtime" => bad(format!("{name} is enabled until the next boot only")).fix(enable),
        _ if state.is_masked() => bad(format!("{name} is masked: it starts neither at boot nor by hand"))
            .command(format!("sudo systemctl unmask {name}"))
            .fix(Fix::Unmask(format!("{name}.service")))
            .fix(enable),
        _ if masked_socket(case, unit) => {
            Outcome::warn(format!("{name} does not start at boot: it needs {SYSLOG_SOCKET}, which is masked"))
                .seen(SYSLOG_SOCKET, "masked")
                .advise("let the socket be used again")
                .command(format!("sudo systemctl unmask {SYSLOG_SOCKET}"))
                .fix(Fix::Unmask(SYSLOG_SOCKET.to_owned()))
                .fix(Fix::Start(SYSLOG_SOCKET.to_owned()))
        }
        "" => return Err("systemd does not tell the state of the unit file".to_owned().into()),
        other => Outcome::pass(format!("{name} starts at boot ({other})")),
    })
}

fn word(active: Active) -> &'static str {
    match active {
        Active::Active => "active",
        Active::Reloading => "reloading",
        Active::Inactive => "inactive",
        Active::Failed => "failed",
        Active::Activating => "activating",
        Active::Deactivating => "deactivating",
        Active::Unknown => "in an unknown state",
    }
}

#[cfg(test)]
#[path = "daemon_tests.rs"]
mod tests;
