//! Units as systemd tells of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::facts::{Fact, Sandbox, UnitFacts};
use crate::host::{Cmd, Host, facts};
use crate::platform::service::{self, Manager};

/// Units a diagnosis looks at.
pub const UNITS: &[&str] = &["rsyslog.service", "syslog-ng.service", "syslog.socket"];

/// Beside those of [`service::PROPERTIES`].
const MORE: &str = "ActiveEnterTimestampMonotonic,InactiveExitTimestampMonotonic,InactiveEnterTimestampMonotonic,Requires,InvocationID,FreezerState,ExecMainStatus,User,ExecStart,ConditionResult,ConditionTimestampMonotonic";

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
    Ok(parse(&out.stdout, boot))
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
UnitFileState=enabled\nPrivateNetwork=yes\nRestrictAddressFamilies=~\nActiveEnterTimestampMonotonic=1219596390\nInvocationID=abc\n\n\
Id=syslog-ng.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nActiveEnterTimestampMonotonic=0\n";

    #[test]
    fn reads_several_units() {
        let units = parse(SHOWN.as_bytes(), Some(1_000_000_000_000));
        let u = &units["rsyslog.service"];
        assert_eq!((u.state.is_active(), u.state.main_pid, u.state.restarts), (true, Some(47), Some(2)));
        assert_eq!((u.since, u.freezer.as_str()), (Some(1_001_219), "running"));
        assert_eq!(u.exec_start, "/usr/sbin/rsyslogd -n -iNONE");
        assert_eq!(u.state.drop_ins.len(), 2);
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
