//! Daemons that tell how a reload ended. A service manager's `reload` sends syslog-ng a signal and knows nothing of what
//! becomes of it; the daemon's own control program answers with 0 (taken) or 1 (it runs on as before). Tried on 3.28,
//! 3.38 and 4.8; docs/syslog-ng.md has the table.

use std::path::Path;

use crate::host::{Cmd, Host, Output, RunError, proc_process};

use super::service::UnitState;

/// What a daemon said to a request to take its configuration anew.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// It runs on with what it had; its words.
    Refused(String),
    /// Nobody to ask: no control program, no control socket, or nobody behind it.
    None,
}

/// Does the daemon of this unit say how a reload ended?
pub fn answers(unit: &str) -> bool {
    unit == "syslog-ng.service"
}

/// Asks the daemon of `state`'s unit to take its configuration anew.
pub fn reload(host: &Host, state: &UnitState) -> Result<Answer, RunError> {
    if !answers(&state.id) {
        return Ok(Answer::None);
    }
    let process = state.main_pid.and_then(|pid| proc_process::process(&host.root, pid));
    let argv = command(host, &process.map(|p| p.cmdline).unwrap_or_default());
    match host.runner.run(&Cmd::new(argv).limit(super::service_act::CONTROL_LIMIT)) {
        Ok(output) => Ok(read(&output)),
        Err(RunError::NotFound(_) | RunError::Timeout(..)) => Ok(Answer::None),
        Err(e) => Err(e),
    }
}

/// The control program beside the daemon's own, with the socket that the daemon was told to open.
fn command(host: &Host, daemon: &[String]) -> Vec<String> {
    let beside = daemon.first().and_then(|p| Path::new(p).parent()).map(|d| d.join("syslog-ng-ctl"));
    let there = |p: &Path| p.is_absolute() && matches!(host.root.stat(p), Ok(Some(_)));
    let program = match beside.filter(|p| there(p)) {
        Some(path) => path.to_string_lossy().into_owned(),
        None => "syslog-ng-ctl".to_owned(),
    };
    let mut argv = vec![program, "reload".to_owned()];
    argv.extend(socket(daemon).map(|s| format!("--control={s}")));
    argv
}

/// `-c SOCKET`, `-cSOCKET`, `--control SOCKET` or `--control=SOCKET`.
fn socket(daemon: &[String]) -> Option<String> {
    let mut words = daemon.iter().skip(1);
    while let Some(word) = words.next() {
        let found = match word.as_str() {
            "-c" | "--control" => words.next().cloned(),
            w if w.starts_with("--control=") => w.strip_prefix("--control=").map(str::to_owned),
            w if w.starts_with("-c") => w.strip_prefix("-c").map(str::to_owned),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn read(output: &Output) -> Answer {
    let unreachable = String::from_utf8_lossy(&output.stderr).contains("control socket");
    match output.ok() {
        true => Answer::Taken,
        false if unreachable => Answer::None,
        false => Answer::Refused(output.last_words(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::reply;

    #[test]
    fn the_socket_is_the_one_on_the_command_line() {
        let of = |line: &str| socket(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("/usr/sbin/syslog-ng -F"), None);
        assert_eq!(of("/usr/sbin/syslog-ng -F -c /run/a.ctl").as_deref(), Some("/run/a.ctl"));
        assert_eq!(of("/usr/sbin/syslog-ng -c/run/a.ctl").as_deref(), Some("/run/a.ctl"));
        assert_eq!(of("syslog-ng --control=/run/a.ctl -F").as_deref(), Some("/run/a.ctl"));
        assert_eq!(of("syslog-ng --control /run/a.ctl").as_deref(), Some("/run/a.ctl"));
        assert_eq!(of("syslog-ng -c"), None);
        assert_eq!(of(""), None);
    }

    /// As recorded from 3.38 and 4.8.
    #[test]
    fn answers_are_told_apart() {
        let said = |code, stdout, stderr| read(&reply(code, stdout, stderr).unwrap());
        assert_eq!(said(0, "Config reload successful\n", ""), Answer::Taken);
        let kept = "Syntax error parsing configuration file, previous config remained intact";
        assert_eq!(said(1, kept, "\n"), Answer::Refused(kept.into()));
        let nobody =
            "Error connecting control socket, socket='/var/lib/syslog-ng/syslog-ng.ctl', error='Connection refused'\n";
        assert_eq!(said(1, "", nobody), Answer::None);
    }
}
