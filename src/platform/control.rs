//! Daemons that tell how a reload ended. A service manager's `reload` sends syslog-ng a signal and knows nothing of what
//! becomes of it; the daemon's own control program answers with 0 (taken) or 1 (it runs on as before). Tried on 3.28,
//! 3.38 and 4.8; docs/syslog-ng.md has the table.

use std::path::Path;
use std::time::Duration;

use crate::host::{Cmd, Host, Output, RunError, facts, proc_process};

use super::service::UnitState;

/// How long its messages take to a file, and bytes to look at from the end of it.
const WRITTEN: Duration = Duration::from_millis(300);
const TAIL: u64 = 64 << 10;

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
        Ok(output) => Ok(match read(&output) {
            Answer::Refused(said) => Answer::Refused(said + &reasons(host, state.main_pid)),
            answer => answer,
        }),
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

/// What the daemon says of its own accord when it goes back to the old configuration, indented, or nothing: its answer
/// names no reason where a port could not be opened. It writes that where its messages go.
fn reasons(host: &Host, pid: Option<u32>) -> String {
    let Some(pid) = pid else { return String::new() };
    host.clock.sleep(WRITTEN);
    for file in ["/var/log/syslog", "/var/log/messages"] {
        let text = facts::tail(&host.root, Path::new(file), TAIL).unwrap_or_default();
        let found = errors_of(&text, pid);
        if !found.is_empty() {
            return found.iter().map(|line| format!("\n    {line}")).collect();
        }
    }
    String::new()
}

/// Errors of this process from its last attempt: no more than three lines, from the end on.
fn errors_of(log: &[u8], pid: u32) -> Vec<String> {
    let (tag, end) = (format!(" syslog-ng[{pid}]: "), "Configuration reload request received");
    let mut found = Vec::new();
    for line in log.rsplit(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some((_, said)) = line.split_once(tag.as_str()) else { continue };
        // some of them have the time in front
        let said = said.split_once("] ").filter(|(stamp, _)| stamp.starts_with('[')).map_or(said, |(_, text)| text);
        if said.contains(end) || found.len() == 3 {
            break;
        }
        if said.starts_with("Error") {
            found.push(said.trim_end().to_owned());
        }
    }
    found.reverse();
    found
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

    /// As 3.38 writes it.
    #[test]
    fn reasons_come_from_its_own_messages() {
        let log = b"Nov 24 18:00:00 c1 syslog-ng[9]: Error binding socket; addr='old', error='x'
Nov 24 18:36:40 c1 syslog-ng[9]: Configuration reload request received, reloading configuration;
Nov 24 18:36:40 c1 app[9]: Error of somebody else
Nov 24 18:36:40 c1 syslog-ng[9]: Error binding socket; addr='AF_INET6([::]:514)', error='Permission denied (13)'
Nov 24 18:36:40 c1 syslog-ng[9]: Error initializing message pipeline; plugin_name='network'
Nov 24 18:36:40 c1 syslog-ng[9]: Configuration reload finished;
";
        let found = errors_of(log, 9);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("Permission denied (13)"), "{found:?}");
        assert_eq!(errors_of(log, 10), Vec::<String>::new());
    }
}
