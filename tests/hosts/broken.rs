//! Hosts broken on purpose, one way each: `troubleshoot` must end with exit code 1 and name the first fault on the way
//! of an event, and it must change nothing while it looks.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::coexist::{open_514, restart};
use crate::host::{Host, wait_for};
use crate::install::installed;
use crate::refusals::take_port;
use crate::{Case, Kind};

/// A working collector, and how it was broken.
pub struct Broken {
    pub name: &'static str,
    /// Done before the installation, on the stock host.
    pub before: fn(&Host, &Kind),
    /// Without one the original's files are all there is.
    pub install: bool,
    pub agent: bool,
    /// Gets the path of our drop-in.
    pub spoil: fn(&Host, &Kind, &str),
    pub root_cause: &'static str,
}

pub const NORMAL: Broken =
    Broken { name: "", before: |_, _| {}, install: true, agent: true, spoil: |_, _, _| {}, root_cause: "" };

/// The listeners of the originals: uncommented in the distribution's own file.
fn original_listeners(host: &Host) {
    host.sh(r#"sed -i -E 's/^#(module\(load="im(udp|tcp)"\)|input\(type="im(udp|tcp)".*)/\1/' /etc/rsyslog.conf"#);
}

const ORIGINAL_RULE: &str = "/etc/rsyslog.d/security-config-omsagent.conf";

fn original(host: &Host, kind: &Kind, rule: &str) {
    original_listeners(host);
    host.put(ORIGINAL_RULE, rule);
    restart(host, kind);
}

/// Edits a file; a case whose text is not there is a mistake in this table.
pub fn edit(host: &Host, kind: &Kind, path: &str, change: impl FnOnce(&str) -> String) {
    let text = String::from_utf8(host.get(path)).expect("a configuration file in UTF-8");
    let changed = change(&text);
    assert_ne!(text, changed, "{path} has not what this case wants to change");
    host.put(path, changed);
    restart(host, kind);
}

pub fn restart_squatted(host: &Host, kind: &Kind, protocol: &str) {
    host.sh(&format!("systemctl stop syslog.socket {}", kind.unit()));
    take_port(host, protocol, 514).expect("a port that was just given up");
    try_restart(host, kind);
}

/// What somebody who hardens machines adds to the unit.
pub fn harden(host: &Host, kind: &Kind, setting: &str) {
    let folder = format!("/run/systemd/system/{}.service.d", kind.unit());
    host.sh(&format!(
        "mkdir -p {folder}; printf '[Service]\\n{setting}\\n' >{folder}/90-hardened.conf; systemctl daemon-reload"
    ));
    try_restart(host, kind);
}

/// For what the daemon may not survive. systemd tries several times; the test begins when it has given up.
pub fn try_restart(host: &Host, kind: &Kind) {
    host.sh(&format!("systemctl reset-failed {0}; systemctl restart {0} || true", kind.unit()));
    let settled = || matches!(host.unit(kind.unit(), "ActiveState").as_str(), "active" | "failed").then_some(());
    wait_for("the end of the restarts", Duration::from_secs(20), settled).expect("a unit that is up or down");
}

/// What breaks a collector with either daemon.
fn common() -> Vec<Broken> {
    vec![
        Broken {
            name: "daemon_stopped",
            spoil: |h, k, _| drop(h.sh(&format!("systemctl stop syslog.socket {}", k.unit()))),
            root_cause: "daemon.running",
            ..NORMAL
        },
        Broken {
            name: "daemon_killed_and_masked",
            spoil: |h, k, _| drop(h.sh(&format!("systemctl mask --now --runtime {}", k.unit()))),
            root_cause: "daemon.running",
            ..NORMAL
        },
        Broken {
            name: "daemon_in_a_network_of_its_own",
            spoil: |h, k, _| harden(h, k, "PrivateNetwork=yes"),
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "udp_514_taken_by_another_program",
            spoil: |h, k, _| restart_squatted(h, k, "udp"),
            root_cause: "listen.owner",
            ..NORMAL
        },
        Broken {
            name: "tcp_514_taken_by_another_program",
            spoil: |h, k, _| restart_squatted(h, k, "tcp"),
            root_cause: "listen.owner",
            ..NORMAL
        },
        Broken {
            name: "drop_in_deleted",
            spoil: |h, k, ours| {
                h.sh(&format!("rm {ours}"));
                restart(h, k);
            },
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "drop_in_deleted_where_the_listener_is_not_ours",
            before: open_514,
            spoil: |h, k, ours| {
                h.sh(&format!("rm {ours}"));
                restart(h, k);
            },
            root_cause: "forward.rule",
            ..NORMAL
        },
        Broken {
            name: "wrong_agent_port",
            spoil: |h, k, ours| edit(h, k, ours, |t| t.replace("25226", "25999")),
            root_cause: "forward.target",
            ..NORMAL
        },
        Broken { name: "nobody_on_the_agent_port", agent: false, root_cause: "agent.listening", ..NORMAL },
    ]
}

/// What only one with rsyslog has.
fn table() -> Vec<Broken> {
    vec![
        Broken {
            name: "listeners_missing",
            spoil: |h, k, ours| edit(h, k, ours, without_inputs),
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "drop_in_folder_not_included",
            spoil: |h, k, _| edit(h, k, "/etc/rsyslog.conf", |t| t.replace("$IncludeConfig", "#$IncludeConfig")),
            root_cause: "daemon.include",
            ..NORMAL
        },
        Broken {
            name: "input_bound_to_a_ruleset_without_the_rule",
            before: open_514,
            spoil: |h, k, _| {
                edit(h, k, "/etc/rsyslog.d/10-network.conf", |t| {
                    let bound = t.replace("port=\"514\"", "port=\"514\" ruleset=\"elsewhere\"");
                    format!(
                        "ruleset(name=\"elsewhere\") {{ action(type=\"omfile\" file=\"/var/log/elsewhere.log\") }}\n{bound}"
                    )
                })
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "only_udp_reaches_the_rule",
            before: open_514,
            spoil: |h, k, _| {
                edit(h, k, "/etc/rsyslog.d/10-network.conf", |t| {
                    let bound = t.replace("\"imtcp\" port=\"514\"", "\"imtcp\" port=\"514\" ruleset=\"elsewhere\"");
                    format!(
                        "ruleset(name=\"elsewhere\") {{ action(type=\"omfile\" file=\"/var/log/elsewhere.log\") }}\n{bound}"
                    )
                })
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "an_earlier_stop",
            before: open_514,
            spoil: |h, k, _| {
                h.put(
                    "/etc/rsyslog.d/00-quiet.conf",
                    ":rawmsg, contains, \"CEF:\" stop\n:rawmsg, contains, \"%ASA-\" stop\n",
                );
                restart(h, k);
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "an_earlier_stop_by_facility",
            before: open_514,
            spoil: |h, k, _| {
                h.put("/etc/rsyslog.d/00-quiet.conf", "local0.*;local1.*;local2.*;local3.*;local4.*;local5.*;local6.*;local7.* /var/log/quiet.log\n& stop\n");
                restart(h, k);
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "syntax_error_in_somebody_elses_drop_in",
            spoil: |h, k, _| {
                h.put(
                    "/etc/rsyslog.d/30-other.conf",
                    "if $msg contains \"x\" then { action(type=\"omfile\" file=\"/var/log/x\" \n",
                );
                restart(h, k);
            },
            root_cause: "daemon.config",
            ..NORMAL
        },
        Broken {
            name: "originals_rule_of_2019",
            install: false,
            before: |h, k| original(h, k, ":rawmsg, regex, \"CEF\\|ASA\" ~\n*.* @@127.0.0.1:25226"),
            root_cause: "forward.rule",
            ..NORMAL
        },
        Broken {
            name: "originals_rule_that_matches_nothing",
            install: false,
            before: |h, k| original(h, k, "\n:rawmsg, regex, \"CEF:\\|ASA-\" @@127.0.0.1:25226"),
            root_cause: "forward.rule",
            ..NORMAL
        },
        Broken {
            name: "rule_on_msg_sees_only_some_events",
            install: false,
            before: |h, k| original(h, k, "if $msg contains \"CEF:\" then @@127.0.0.1:25226\n"),
            root_cause: "forward.rule",
            ..NORMAL
        },
        Broken {
            name: "spool_not_writable",
            spoil: |h, k, _| {
                h.sh("mount -t tmpfs -o ro tmpfs /var/spool/rsyslog");
                restart(h, k);
            },
            root_cause: "forward.reliable",
            ..NORMAL
        },
        Broken {
            name: "spool_missing",
            spoil: |h, k, _| {
                h.sh("rm -rf /var/spool/rsyslog");
                restart(h, k);
            },
            root_cause: "forward.reliable",
            ..NORMAL
        },
    ]
}

/// Takes every `input(…)` statement out, whatever its line breaks.
fn without_inputs(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find("input(") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once(')').map_or("", |(_, after)| after);
    }
    out + rest
}

pub fn cases() -> Vec<Case> {
    let case = |broken: Broken| Case::new(broken.name, move |kind| found(kind, &broken));
    let of = |table: Vec<Broken>, daemon: &'static str| table.into_iter().map(move |b| case(b).only(daemon));
    let both = common().into_iter().map(case);
    both.chain(of(table(), "rsyslog")).chain(of(crate::broken_ng::table(), "syslog-ng")).collect()
}

fn found(kind: &Kind, broken: &Broken) -> Result<()> {
    let host = kind.boot()?;
    let _agent = broken.agent.then(|| Agent::start(&host)).transpose()?;
    (broken.before)(&host, kind);
    let stock = host.tree("/etc");
    if broken.install {
        installed(&host);
    }
    let ours = stock
        .added(&host.tree("/etc"))
        .into_iter()
        .find(|p| p.starts_with("rsyslog.d/") || p.starts_with("syslog-ng/conf.d/"));
    let ours = ours.map(|p| format!("/etc/{p}")).unwrap_or_default();
    ensure!(!broken.install || !ours.is_empty(), "install made no drop-in");
    (broken.spoil)(&host, kind, &ours);

    let before = (host.tree("/etc"), host.service_state(kind.unit()));
    let report = host.cefctl(&["troubleshoot", "-o", "json"]);
    let root_cause = report.json()?["root_cause"].clone();
    ensure!(root_cause == broken.root_cause, "root cause {root_cause}, {} was expected: {report}", broken.root_cause);
    ensure!(report.code == 1, "exit code 1 was expected: {report}");
    before.0.assert_same(&host.tree("/etc"), "after a diagnosis");
    ensure!(host.service_state(kind.unit()) == before.1, "the diagnosis changed the service: {report}");
    Ok(())
}
