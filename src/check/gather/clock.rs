//! Whether something keeps the clock right: timedatectl, chrony, ntpd, each only where it is there. Commands that talk to
//! the network are not used.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::check::agent_facts::ClockFacts;
use crate::check::facts::UnitFacts;
use crate::host::{Cmd, Host};

/// Units of programs that set the clock.
pub const SERVICES: [&str; 7] = [
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
];

pub fn gather(host: &Host, units: Option<&BTreeMap<String, UnitFacts>>) -> ClockFacts {
    let mut clock = ClockFacts { now: Some(host.clock.now().as_second()), ..ClockFacts::default() };
    let runs = |name: &&str| units.is_some_and(|u| u.get(*name).is_some_and(|u| u.state.is_active()));
    clock.services = SERVICES.iter().copied().filter(runs).map(str::to_owned).collect();
    if !host.root.is_live() {
        return clock;
    }
    let mut ask = |argv: &[&str]| {
        let out =
            host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(1))).ok().filter(crate::host::Output::ok)?;
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        clock.said.push((argv.join(" "), text.lines().take(12).collect::<Vec<_>>().join("\n")));
        Some(text)
    };
    let there = |paths: &[&str]| paths.iter().any(|p| matches!(host.root.stat(Path::new(p)), Ok(Some(_))));
    let shown = ask(&["timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"])
        // Before systemd 239.
        .or_else(|| ask(&["timedatectl", "status"]));
    let chrony = there(&["/usr/bin/chronyc"]).then(|| ask(&["chronyc", "-n", "tracking"])).flatten();
    let ntpd = there(&["/usr/bin/ntpq", "/usr/sbin/ntpq"]).then(|| ask(&["ntpq", "-c", "rv 0 leap,offset"])).flatten();
    (clock.enabled, clock.synchronized) = shown.as_deref().map(timedatectl).unwrap_or_default();
    if let Some((synchronized, offset)) = chrony.as_deref().and_then(chronyc).or_else(|| ntpd.as_deref().and_then(ntpq))
    {
        clock.synchronized = Some(clock.synchronized.unwrap_or_default() || synchronized);
        clock.offset = offset;
    }
    clock
}

type Switches = (Option<bool>, Option<bool>);

/// `NTPSynchronized=yes`, or `NTP synchronized: yes` of older and `System clock synchronized: yes` of newer ones.
fn timedatectl(text: &str) -> Switches {
    let mut found = (None, None);
    for line in text.lines() {
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let yes = match value.trim() {
            "yes" | "active" => true,
            "no" | "inactive" => false,
            _ => continue,
        };
        match key.trim() {
            "NTP" | "NTP enabled" | "NTP service" | "Network time on" => found.0 = Some(yes),
            "NTPSynchronized" | "NTP synchronized" | "System clock synchronized" => found.1 = Some(yes),
            _ => {}
        }
    }
    found
}

/// `Leap status     : Normal`, `System time     : 0.000012 seconds slow of NTP time`.
fn chronyc(text: &str) -> Option<(bool, Option<f64>)> {
    let get = |key: &str| {
        text.lines().find_map(|l| l.split_once(':').filter(|(k, _)| k.trim() == key)).map(|(_, v)| v.trim())
    };
    let leap = get("Leap status")?;
    let offset = get("System time").and_then(|v| v.split_whitespace().next()?.parse().ok());
    Some((leap != "Not synchronised", offset))
}

/// `leap=00, offset=-0.123` in milliseconds; 11 is the alarm that the clock was never set.
fn ntpq(text: &str) -> Option<(bool, Option<f64>)> {
    let get = |key: &str| text.split([',', '\n']).find_map(|p| p.trim().strip_prefix(key)?.strip_prefix('='));
    let leap = get("leap")?;
    let offset = get("offset").and_then(|v| v.parse::<f64>().ok()).map(|ms| (ms / 1000.0).abs());
    Some((!matches!(leap, "11" | "3" | "leap_alarm"), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_timedatectl_says_in_all_its_forms() {
        assert_eq!(timedatectl("NTP=yes\nNTPSynchronized=no\n"), (Some(true), Some(false)));
        assert_eq!(timedatectl("      NTP enabled: yes\nNTP synchronized: yes\n"), (Some(true), Some(true)));
        assert_eq!(
            timedatectl("System clock synchronized: yes\n              NTP service: inactive\n"),
            (Some(false), Some(true))
        );
        assert_eq!(timedatectl("Time zone: n/a\n\u{1b}[0m"), (None, None));
    }

    #[test]
    fn chrony_and_ntpd() {
        let text = "Reference ID    : 7F7F0101 ()\nSystem time     : 1.500000000 seconds slow of NTP time\nLeap status     : Normal\n";
        assert_eq!(chronyc(text), Some((true, Some(1.5))));
        assert_eq!(chronyc("Leap status     : Not synchronised\n"), Some((false, None)));
        assert_eq!(chronyc("506 Cannot talk to daemon"), None);
        assert_eq!(ntpq("leap=11, offset=-1500.0\n"), Some((false, Some(1.5))));
        assert_eq!(ntpq("leap=00,\noffset=0.1\n").map(|r| r.0), Some(true));
        assert_eq!(ntpq("ntpq: read: Connection refused"), None);
    }
}
