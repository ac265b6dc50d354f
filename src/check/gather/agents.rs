//! What both agents have in common when one looks at them: packages, units, users, logs; and who else ships logs from here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{ama, oms, own_lines};
use crate::agent::ama::paths as ama_paths;
use crate::agent::logs::{self, Kind};
use crate::agent::oms::paths as oms_paths;
use crate::check::agent_facts::*;
use crate::check::facts::{Fact, OwnLine, UnitFacts};
use crate::host::{Cmd, FileKind, Host, facts, proc_mount};
use crate::platform::access::Who;
use crate::platform::accounts;

/// Bytes looked at from the end of a log.
const TAIL: u64 = 512 << 10;
/// Older lines tell of faults that are over.
const DAY: i64 = 86_400;

/// Other programs that ship logs, by their units; the last word says whether it is the same service.
const SHIPPERS: [(&str, &str, bool); 12] = [
    ("the Linux diagnostics extension (LAD)", "mdsd-lde.service", true),
    ("td-agent", "td-agent.service", false),
    ("fluentd", "fluentd.service", false),
    ("Fluent Bit", "fluent-bit.service", false),
    ("Filebeat", "filebeat.service", false),
    ("Elastic Agent", "elastic-agent.service", false),
    ("Logstash", "logstash.service", false),
    ("NXLog", "nxlog.service", false),
    ("Splunk", "SplunkForwarder.service", false),
    ("Splunk", "Splunkd.service", false),
    ("Vector", "vector.service", false),
    ("Promtail", "promtail.service", false),
];

/// Names of all units that tell something about agents on this box.
pub fn units(host: &Host) -> Vec<String> {
    let mut names: Vec<String> =
        oms::workspaces(host).into_iter().map(|id| oms_paths::Workspace::new(id).unit()).collect();
    for folder in [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/run/systemd/transient",
        "/lib/systemd/system",
        "/usr/lib/systemd/system",
    ] {
        let found = host.root.list(Path::new(folder)).unwrap_or_default();
        let found =
            found.iter().filter_map(|n| n.to_str()).filter(|n| n.starts_with("omsagent") && n.ends_with(".service"));
        names.extend(found.map(str::to_owned));
    }
    names.push(ama_paths::UNIT.into());
    names.extend(ama_paths::OTHER_UNITS.map(str::to_owned));
    names.push(ama_paths::ARC_UNIT.into());
    names.extend(SHIPPERS.map(|(_, unit, _)| unit.to_owned()));
    names.extend(super::clock::SERVICES.map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// What the gatherers of single agents build on.
pub struct Asked<'a> {
    /// Now, in seconds since the epoch.
    pub taken: i64,
    pub units: &'a Fact<BTreeMap<String, UnitFacts>>,
    packages: Fact<Vec<Package>>,
}

impl Asked<'_> {
    pub fn has_unit(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.units.as_ref().is_ok_and(|units| units.iter().any(|(name, u)| fits(name) && u.state.exists()))
    }

    pub fn is_active(&self, unit: &str) -> bool {
        self.units.as_ref().is_ok_and(|units| units.get(unit).is_some_and(|u| u.state.is_active()))
    }

    fn started(&self, unit: &str) -> Option<i64> {
        self.units.as_ref().ok()?.get(unit)?.since
    }
}

/// Looks at everything of both agents.
pub fn gather(host: &Host, units: &Fact<BTreeMap<String, UnitFacts>>) -> AgentStates {
    let asked = Asked { taken: host.clock.now().as_second(), units, packages: query(host) };
    AgentStates {
        oms: oms::gather(host, &asked),
        ama: ama::gather(host, &asked),
        others: others(host, &asked),
        mounts: mounts(host),
        lines: lines(host, units.as_ref().ok()),
    }
}

/// Agents' packages. dpkg's database is a file; rpm's has to be asked.
fn query(host: &Host) -> Fact<Vec<Package>> {
    const NAMES: [&str; 2] = ["azuremonitoragent", "omsagent"];
    match host.root.read_opt(Path::new("/var/lib/dpkg/status")) {
        Ok(Some(text)) => return Ok(dpkg(&text, &NAMES)),
        Ok(None) => {}
        Err(e) => return Err(format!("/var/lib/dpkg/status: {e}")),
    }
    let there = |p: &str| matches!(host.root.stat(Path::new(p)), Ok(Some(_)));
    if !there("/usr/bin/rpm") && !there("/bin/rpm") {
        return Err("there is neither dpkg's nor rpm's database".into());
    }
    let argv = ["rpm", "-q", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\tinstalled\n", NAMES[0], NAMES[1]];
    let out = host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(2))).map_err(|e| e.to_string())?;
    Ok(rpm(&out.stdout, &NAMES))
}

/// Blocks of `Key: value` lines.
fn dpkg(text: &[u8], names: &[&str]) -> Vec<Package> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    for block in text.split("\n\n") {
        let get = |key: &str| block.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default();
        let Some(name) = names.iter().find(|n| get("Package") == **n) else { continue };
        let state = get("Status").split_whitespace().last().unwrap_or_default();
        // Removed but for its configuration, or only ever wished for.
        if !matches!(state, "config-files" | "not-installed" | "") {
            found.push(Package { name: (*name).into(), version: get("Version").into(), state: state.into() });
        }
    }
    found
}

/// `name TAB version TAB state` lines; others say that a package is not there.
fn rpm(text: &[u8], names: &[&str]) -> Vec<Package> {
    let text = String::from_utf8_lossy(text);
    let line = |l: &str| {
        let mut fields = l.split('\t').map(str::to_owned);
        let package = Package { name: fields.next()?, version: fields.next()?, state: fields.next()? };
        names.contains(&package.name.as_str()).then_some(package)
    };
    text.lines().filter_map(line).collect()
}

/// The packages of one agent.
pub fn packages(asked: &Asked<'_>, name: &str) -> Packages {
    Packages(asked.packages.clone().map(|all| all.into_iter().filter(|p| p.name == name).collect()))
}

pub fn user(host: &Host, name: &str) -> Option<Who> {
    accounts::who(&host.root, name)
}

/// The end of a log; `None`: there is no such file. Lines from before the agent's last start, or older than a day, do not count.
pub fn log(host: &Host, asked: &Asked<'_>, unit: &str, path: &str, kinds: &[Kind]) -> Option<Fact<LogState>> {
    let file = Path::new(path);
    let real = host.root.resolve(file).ok()?;
    let meta = host.root.stat(&real).ok()??;
    if meta.kind != FileKind::File {
        return Some(Err(format!("{path} is no file")));
    }
    // A start takes a while, and what goes wrong with it is said meanwhile.
    let since = asked.started(unit).map_or(0, |s| s - 60).max(asked.taken - DAY);
    let text = match facts::tail(&host.root, file, TAIL) {
        Ok(text) => text,
        Err(e) => return Some(Err(format!("{path}: {e}"))),
    };
    let last = text.rsplit(|b| *b == b'\n').take(200).find_map(|l| logs::line_time(&String::from_utf8_lossy(l)));
    let found = logs::scan(&text, kinds, Some(since));
    Some(Ok(LogState { path: path.into(), size: meta.size, mtime: meta.mtime, found, since, last }))
}

fn others(host: &Host, asked: &Asked<'_>) -> Vec<OtherShipper> {
    let units = asked.units.as_ref().ok();
    let mut found: Vec<OtherShipper> = SHIPPERS
        .iter()
        .filter_map(|(name, unit, same_service)| {
            let state = &units?.get(*unit)?.state;
            let shipper = OtherShipper {
                name: (*name).into(),
                seen: (*unit).into(),
                active: state.is_active(),
                same_service: *same_service,
            };
            state.exists().then_some(shipper)
        })
        .collect();
    let lad = "/etc/opt/microsoft/omsagent/LAD";
    if !found.iter().any(|o| o.same_service) && matches!(host.root.stat(Path::new(lad)), Ok(Some(_))) {
        found.push(OtherShipper {
            name: SHIPPERS[0].0.into(),
            seen: lad.into(),
            active: asked.has_unit(|u| u == "omsagent-LAD.service"),
            same_service: true,
        });
    }
    found
}

/// What the journal says of units that are not well. One that runs undisturbed is not asked for.
fn lines(host: &Host, units: Option<&BTreeMap<String, UnitFacts>>) -> BTreeMap<String, Vec<OwnLine>> {
    let own = |name: &str| name.starts_with("omsagent") || name == ama_paths::UNIT;
    let ill = |u: &UnitFacts| u.state.exists() && (!u.state.is_active() || u.state.restarts.is_some_and(|n| n > 0));
    let asked = units.into_iter().flatten().filter(|(name, u)| own(name) && ill(u)).take(4);
    asked.filter_map(|(name, u)| Some((name.clone(), own_lines::journal(host, Some(u)).ok()?))).collect()
}

fn mounts(host: &Host) -> Fact<Vec<proc_mount::Mount>> {
    let path = "/proc/self/mountinfo";
    let text = host.root.read(Path::new(path)).map_err(|e| format!("{path}: {e}"))?;
    Ok(proc_mount::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_both_databases() {
        let text = b"Package: omsagentx\nStatus: install ok installed\nVersion: 1\n\nPackage: omsagent\nStatus: deinstall ok config-files\nVersion: 1.13\n\n\
                     Package: azuremonitoragent\nStatus: install ok half-configured\nDescription: x\n .\n Package: omsagent\nVersion: 1.33.1-build.main.1\n";
        let found = dpkg(text, &["azuremonitoragent", "omsagent"]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].version.as_str(), found[0].state.as_str()), ("1.33.1-build.main.1", "half-configured"));
        let found =
            rpm(b"azuremonitoragent\t1.33.1-1\tinstalled\npackage omsagent is not installed\n", &["azuremonitoragent"]);
        assert_eq!(found.iter().map(|p| p.version.as_str()).collect::<Vec<_>>(), ["1.33.1-1"]);
    }
}
