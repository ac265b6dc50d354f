//! What could not be looked at in time, and which checks rest on it: those are unknown, whatever the missing facts would
//! make of them; all others are judged.

use serde::{Deserialize, Serialize};

use super::catalogue::Check;
use super::facts::Facts;
use super::outcome::Outcome;
use super::target::{Daemon, Target};

/// A part of the look at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Receipt,
    Units,
    Agents,
    Sockets,
    Logs,
    Clock,
    Names,
    Firewall,
    Machine,
    Rsyslog,
    SyslogNg,
    Disks,
    Security,
    Cloud,
    Probe,
}

/// A part that was not there when the time was up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    pub part: Part,
    /// `did not end within 60 s`
    pub why: String,
    /// Commands that had not ended then.
    pub running: Vec<String>,
}

impl Part {
    pub const ALL: [Part; 15] = [
        Part::Receipt,
        Part::Units,
        Part::Agents,
        Part::Sockets,
        Part::Logs,
        Part::Clock,
        Part::Names,
        Part::Firewall,
        Part::Machine,
        Part::Rsyslog,
        Part::SyslogNg,
        Part::Disks,
        Part::Security,
        Part::Cloud,
        Part::Probe,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Part::Receipt => "cefctl's own receipt",
            Part::Units => "systemd's units",
            Part::Agents => "the agents",
            Part::Sockets => "sockets and processes",
            Part::Logs => "the log files",
            Part::Clock => "the clock",
            Part::Names => "name lookup",
            Part::Firewall => "the firewall's rules",
            Part::Machine => "the machine itself",
            Part::Rsyslog => "rsyslog",
            Part::SyslogNg => "syslog-ng",
            Part::Disks => "the file systems",
            Part::Security => "SELinux and AppArmor",
            Part::Cloud => "the agent's services",
            Part::Probe => "the test event",
        }
    }

    /// Does a check rest on this part?
    fn carries(self, check: &Check, target: &Target) -> bool {
        let group = check.group();
        let is = |ids: &[&str]| ids.contains(&check.id);
        let on_daemon = ["daemon", "listen", "forward", "probe"].contains(&group)
            || is(&["host.disk", "traffic.facility", "firewall.exposed"]);
        match self {
            Part::Receipt => is(&["listen.udp", "listen.tcp", "forward.rule", "forward.local-copy", "traffic.format"]),
            // Which agent it is, and on which port, is what most of the way is measured against.
            Part::Agents => {
                ["agent", "ama", "cloud", "forward", "probe"].contains(&group)
                    || is(&["host.os", "firewall.loopback", "firewall.exposed", "traffic.facility", "traffic.format"])
            }
            Part::Units => {
                group == "daemon" || is(&["agent.running", "ama.running", "agent.both-agents", "host.clock"])
            }
            Part::Sockets => {
                ["listen", "probe", "daemon"].contains(&group)
                    || is(&[
                        "host.disk",
                        "forward.connected",
                        "forward.duplicate",
                        "agent.running",
                        "agent.listening",
                        "ama.running",
                        "ama.listening",
                        "ama.forward-config",
                        "firewall.exposed",
                        "traffic.loss",
                    ])
            }
            Part::Logs | Part::Disks => is(&["host.disk", "forward.reliable"]),
            Part::Clock => is(&["host.clock"]),
            Part::Names => is(&["listen.limits"]),
            Part::Firewall => group == "firewall",
            Part::Machine => is(&["host.privileges", "host.os", "host.clock", "listen.udp", "listen.tcp"]),
            Part::Rsyslog => is(&["daemon.present", "daemon.single"]) || on_daemon && target.daemon != Daemon::SyslogNg,
            Part::SyslogNg => is(&["daemon.present", "daemon.single"]) || on_daemon && target.daemon != Daemon::Rsyslog,
            Part::Security => is(&["host.selinux", "host.selinux-labels", "host.apparmor"]),
            Part::Cloud => group == "cloud",
            Part::Probe => group == "probe",
        }
    }
}

/// Why a check cannot be judged, where what it rests on was not there in time.
pub fn unknown(check: &Check, facts: &Facts, target: &Target) -> Option<Outcome> {
    let late = facts.late.iter().find(|l| l.part.carries(check, target))?;
    let out = Outcome::unknown(format!("looking at {} {}", late.part.name(), late.why));
    Some(
        late.running
            .iter()
            .take(8)
            .fold(out, |out, command| out.seen("still running", command.chars().take(100).collect::<String>())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::agents::boxes::{ama_box, oms_box};
    use crate::check::catalogue;
    use crate::check::fixture::healthy;
    use crate::check::fixture_ng;
    use crate::check::select::Selection;
    use crate::check::{diagnose, tests::is_good};
    use crate::host::SystemClock;
    use crate::report::Status;

    /// A healthy box of which nothing of one part is known: that makes nothing bad and nothing good.
    fn without(mut facts: Facts, part: Part) -> Vec<crate::report::CheckResult> {
        facts.no_probe = true;
        let empty = Facts::default();
        match part {
            Part::Receipt => facts.receipt = empty.receipt,
            Part::Units => facts.units = empty.units,
            Part::Agents => (facts.agents, facts.agent_states) = (empty.agents, empty.agent_states),
            Part::Sockets => (facts.net, facts.processes) = (empty.net, empty.processes),
            Part::Logs => facts.logs = empty.logs,
            Part::Clock => facts.clock = empty.clock,
            Part::Firewall => facts.firewall = empty.firewall,
            Part::Rsyslog => facts.rsyslog = empty.rsyslog,
            Part::SyslogNg => facts.syslog_ng = empty.syslog_ng,
            Part::Disks => facts.disks = empty.disks,
            Part::Security => facts.security = empty.security,
            Part::Machine | Part::Names | Part::Cloud | Part::Probe => {}
        }
        facts.late = vec![Late { part, why: "did not end within 9 s".into(), running: vec!["x\u{1b}[0m".into()] }];
        let target = Target::resolve(&Default::default(), &facts);
        diagnose(&facts, &target, &Selection::default(), &SystemClock::default())
    }

    fn bad_of(checks: &[crate::report::CheckResult]) -> Vec<String> {
        let bad = checks.iter().filter(|c| matches!(c.status, Status::Fail | Status::Warn));
        bad.map(|c| format!("{}: {}", c.id, c.summary)).collect()
    }

    #[test]
    fn what_is_late_makes_unknown_what_rests_on_it_and_nothing_else() {
        let boxes =
            [("none", healthy()), ("oms", oms_box()), ("ama", ama_box()), ("syslog-ng", fixture_ng::ng_healthy())];
        for (name, part, facts) in boxes.iter().flat_map(|(n, f)| Part::ALL.map(|p| (n, p, f))) {
            let expected: Vec<String> = bad_of(&without(facts.clone(), Part::Probe));
            let checks = without(facts.clone(), part);
            assert_eq!(checks.len(), catalogue::all().count());
            let bad: Vec<_> = bad_of(&checks).into_iter().filter(|b| !expected.contains(b)).collect();
            assert!(bad.is_empty(), "{name} without {part:?}: {bad:?}");
            let unknown: Vec<_> = checks.iter().filter(|c| c.status == Status::Unknown).collect();
            assert!(!unknown.is_empty(), "{part:?} carries nothing");
            let said = |c: &&&crate::report::CheckResult| c.summary.contains("did not end within 9 s");
            assert!(unknown.iter().any(|c| said(&c)), "{part:?}: {unknown:?}");
            assert!(!unknown.iter().any(|c| c.evidence.iter().any(|e| e.text.contains('\u{1b}'))));
            let good = checks.iter().filter(|c| is_good(c)).count();
            assert!(good > 9, "{name} without {part:?} leaves {good} checks");
        }
    }
}
