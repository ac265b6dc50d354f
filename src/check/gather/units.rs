//! Units as systemd tells of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::facts::{Fact, Sandbox, UnitFacts};
use crate::host::{Cmd, Host, Output, facts};
use crate::platform::service::{self, Manager};

/// Units a diagnosis looks at.
pub const UNITS: &[&str] = &["rsyslog.service", "syslog-ng.service", "syslog.socket"];

/// Beside those of [`service::PROPERTIES`].
const MORE: &str = "ActiveEnterTimestampMonotonic,InactiveExitTimestampMonotonic,InactiveEnterTimestampMonotonic,Requires,InvocationID,RuntimeMaxUSec,WatchdogUSec,FreezerState,ExecMainStatus,User,ExecStart,ConditionResult,ConditionTimestampMonotonic";

/// What hardened units take from the network; those a systemd does not know stay empty.
const SANDBOX: &str = "PrivateNetwork,NetworkNamespacePath,RestrictAddressFamilies,IPAddressAllow,IPAddressDeny";

/// Asks systemd for all units of interest, and for `more` of them, at once.
pub fn gather(host: &Host, more: &[String]) -> Fact<BTreeMap<String, UnitFacts>> {
    if Manager::detect(host) != Manager::Systemd {
        return Err("systemd does not run here".into());
    }
    let properties = format!("{},{MORE},{SANDBOX}", service::PROPERTIES);
    let mut argv = vec!["systemctl", "show", "--no-pager", "-p", &properties, "--"];
    argv.extend(UNITS);
    argv.extend(more.iter().map(String::as_str));
    let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(3))).map_err(|e| e.to_string())?;
    if !out.ok() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(format!("systemctl show failed: {}", said.trim()));
    }
    // Units tell their times on the monotonic clock, which no time zone or clock step disturbs.
    let boot = facts::monotonic().map(|up| host.clock.now().as_microsecond() - up.as_micros() as i64);
    let mut units = parse(&out.stdout, boot);
    let now = host.clock.now().as_second();
    let young = |u: &UnitFacts| u.state.restarts.unwrap_or_default() > 0 && u.since.is_none_or(|s| now - s < YOUNG);
    for unit in units.values_mut().filter(|u| young(u)) {
        // What was before somebody started it by hand does not count.
        unit.restarted_lately = restarts(host, &unit.state.id).zip(unit.state.restarts).map(|(a, b)| a.min(b));
    }
    Ok(units)
}

/// A daemon that has run for so many seconds is not restarted again and again.
const YOUNG: i64 = 60;

/// systemd's own message before each restart of its own (`SD_MESSAGE_UNIT_RESTART_SCHEDULED`).
const RESTART: &str = "MESSAGE_ID=5eb03494b6584870a536b337290809b3";

/// How often systemd has restarted a unit by itself within the last five minutes.
fn restarts(host: &Host, unit: &str) -> Option<u32> {
    let unit = format!("UNIT={unit}");
    let argv = ["journalctl", "-q", "--no-pager", "-o", "cat", "-n", "100", "--since", "-5min", RESTART, &unit];
    let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(1))).ok().filter(Output::ok)?;
    u32::try_from(out.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count()).ok()
}

/// What of the unit ends a daemon that does nothing wrong.
fn ended_by(get: impl Fn(&str) -> String) -> String {
    let set = |key: &str, setting: &str| {
        let value = get(key);
        (!matches!(value.as_str(), "" | "0" | "infinity")).then(|| format!("{setting}={value}"))
    };
    let all = [set("RuntimeMaxUSec", "RuntimeMaxSec"), set("WatchdogUSec", "WatchdogSec")];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Blocks of `Key=value` lines, one block a unit, separated by an empty line. `boot`: when the monotonic clock was zero,
/// in microseconds since the epoch.
fn parse(text: &[u8], boot: Option<i64>) -> BTreeMap<String, UnitFacts> {
    let text = String::from_utf8_lossy(text);
    let mut units = BTreeMap::new();
    for block in text.split("\n\n") {
        let values: BTreeMap<&str, &str> = block.lines().filter_map(|l| l.split_once('=')).collect();
        let get = |key: &str| values.get(key).copied().unwrap_or_default().to_owned();
        let number = |key: &str| values.get(key).and_then(|v| v.parse::<i64>().ok());
        let state = service::parse_show(block.as_bytes());
        if state.id.is_empty() {
            continue;
        }
        let time = |key: &str| {
            let since = number(key).filter(|us| *us > 0);
            since.zip(boot).map(|(us, boot)| (boot + us).div_euclid(1_000_000))
        };
        let unit = UnitFacts {
            since: time("ActiveEnterTimestampMonotonic"),
            begun: time("InactiveExitTimestampMonotonic"),
            ended: time("InactiveEnterTimestampMonotonic"),
            restarted_lately: None,
            ended_by: ended_by(get),
            requires: get("Requires"),
            invocation: get("InvocationID"),
            sandbox: Sandbox {
                private_network: get("PrivateNetwork") == "yes",
                network_namespace_path: get("NetworkNamespacePath"),
                address_families: get("RestrictAddressFamilies"),
                ip_allow: get("IPAddressAllow"),
                ip_deny: get("IPAddressDeny"),
            },
            freezer: get("FreezerState"),
            exec_status: number("ExecMainStatus").and_then(|n| n.try_into().ok()),
            user: get("User"),
            exec_start: argv_of(&get("ExecStart")),
            // A unit that was never started has not met its conditions either.
            skipped: get("ConditionResult") == "no" && number("ConditionTimestampMonotonic").is_some_and(|t| t > 0),
            state,
        };
        units.insert(unit.state.id.clone(), unit);
    }
    units
}

/// `{ path=/usr/sbin/rsyslogd ; argv[]=/usr/sbin/rsyslogd -n -iNONE ; ignore_errors=no ; … }` → the command line.
fn argv_of(exec: &str) -> String {
    let Some((_, rest)) = exec.split_once("argv[]=") else { return String::new() };
    rest.split(" ; ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "MainPID=47\nResult=success\nNRestarts=2\nExecMainStatus=0\n\
ExecStart={ path=/usr/sbin/rsyslogd ; argv[]=/usr/sbin/rsyslogd -n -iNONE ; ignore_errors=no ; start_time=[n/a] ; pid=0 }\n\
User=\nId=rsyslog.service\nLoadState=loaded\nActiveState=active\nFreezerState=running\nSubState=running\n\
FragmentPath=/lib/systemd/system/rsyslog.service\nDropInPaths=/etc/systemd/system/rsyslog.service.d/a.conf /run/b.conf\n\
UnitFileState=enabled\nRuntimeMaxUSec=2s\nWatchdogUSec=0\nPrivateNetwork=yes\nRestrictAddressFamilies=~\nActiveEnterTimestampMonotonic=1219596390\nInvocationID=abc\n\n\
Id=syslog-ng.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nActiveEnterTimestampMonotonic=0\n";

    #[test]
    fn reads_several_units() {
        let units = parse(SHOWN.as_bytes(), Some(1_000_000_000_000));
        let u = &units["rsyslog.service"];
        assert_eq!((u.state.is_active(), u.state.main_pid, u.state.restarts), (true, Some(47), Some(2)));
        assert_eq!((u.since, u.freezer.as_str()), (Some(1_001_219), "running"));
        assert_eq!(u.exec_start, "/usr/sbin/rsyslogd -n -iNONE");
        assert_eq!((u.state.drop_ins.len(), u.ended_by.as_str()), (2, "RuntimeMaxSec=2s"));
        assert!(u.sandbox.private_network && u.sandbox.allows("AF_INET"));
        let none = &units["syslog-ng.service"];
        assert_eq!((none.state.exists(), none.state.main_pid, none.since), (false, None, None));
    }

    #[test]
    fn garbage_gives_no_units() {
        assert_eq!(parse(b"\xff\n\n=\n\nx=y\n", None), BTreeMap::new());
        assert_eq!(argv_of("{ path=/x }"), "");
    }
}
