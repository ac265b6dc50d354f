//! The daemon's own complaints since it was last started: why a proof has failed is often there and nowhere else.

use super::daemon::Daemon;
use crate::check::facts::OwnLine;
use crate::check::gather::own_lines::{self, SYSTEMD};
use crate::check::gather::units;
use crate::host::{Host, facts};
use crate::report::clean;

/// No more than this many lines, the last ones.
const MOST: usize = 4;

/// What the daemon complains of, an indented line each, or nothing.
pub fn complaints(host: &Host, daemon: Daemon) -> String {
    let Ok(units) = units::gather(host, &[]) else { return String::new() };
    let unit = units.get(daemon.unit());
    let hostname = facts::identity().hostname;
    let lines = match daemon {
        Daemon::Rsyslog => own_lines::rsyslog(host, &hostname, unit),
        Daemon::SyslogNg => own_lines::syslog_ng(host, &hostname, unit),
    };
    let lines = lines.unwrap_or_default();
    last_complaints(&lines).iter().map(|line| format!("\n    {}", clean(line))).collect()
}

fn last_complaints(lines: &[OwnLine]) -> Vec<&str> {
    let own = lines.iter().filter(|l| l.source != SYSTEMD).map(|l| l.text.as_str());
    let mut found: Vec<&str> = Vec::new();
    for line in own.filter(|l| is_complaint(l)) {
        // Said again it is the last of its kind.
        found.retain(|known| *known != line);
        found.push(line);
    }
    found.split_off(found.len().saturating_sub(MOST))
}

/// Both daemons write in English; rsyslog has an address for every error, which its mere tellings lack.
fn is_complaint(line: &str) -> bool {
    let words = ["rror", "ould not", "annot", "ailed", "denied", "not supported", "not found", "/e/"];
    // Of no consequence: said at every start in a container, of our own queue, of senders that come and go.
    let harmless = ["capability management", "imklog", "/proc/kmsg", "kernel log", "\"cefctl_", "closed by remote"];
    words.iter().any(|w| line.contains(w)) && !harmless.iter().any(|w| line.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&str, &str)]) -> Vec<String> {
        let lines: Vec<OwnLine> =
            lines.iter().map(|(source, text)| OwnLine { source: (*source).into(), text: (*text).into() }).collect();
        last_complaints(&lines).into_iter().map(str::to_owned).collect()
    }

    /// As rsyslog 8.2302 and syslog-ng 3.38 wrote them.
    #[test]
    fn complaints_are_told_from_the_rest() {
        let cause = "Could not create tcp listener, ignoring port 514 bind-address **UNSPECIFIED**. [v8.2302.0 try https://www.rsyslog.com/e/2087 ]";
        let said = of(&[
            (
                "journal",
                "imuxsock: Acquired UNIX socket '/run/systemd/journal/syslog' (fd 3) from systemd.  [v8.2302.0]",
            ),
            ("journal", cause),
            (
                "journal",
                "queue \"cefctl_fwd\": high water mark is set quite low at 2000. [v8.2302.0 try https://www.rsyslog.com/e/2357 ]",
            ),
            ("journal", "[origin software=\"rsyslogd\" swVersion=\"8.2302.0\" x-pid=\"9\"] start"),
            ("systemd", "rsyslog.service: Failed with result 'exit-code'."),
        ]);
        assert_eq!(said, [cause]);
        let capabilities =
            "syslog-ng: Error setting capabilities, capability management disabled; error='Operation not permitted'";
        let binding = "Error binding socket; addr='AF_INET(0.0.0.0:514)', error='Address already in use (98)'";
        assert_eq!(of(&[("journal", capabilities), ("/var/log/syslog", binding)]), [binding]);
    }

    #[test]
    fn the_last_ones_are_kept_each_once() {
        let lines: Vec<String> = (0..9).map(|n| format!("error {}", n % 6)).collect();
        let lines: Vec<(&str, &str)> = lines.iter().map(|l| ("journal", l.as_str())).collect();
        assert_eq!(of(&lines), ["error 5", "error 0", "error 1", "error 2"]);
    }
}
