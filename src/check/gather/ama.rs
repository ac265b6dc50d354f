//! What the Azure Monitor Agent left on the box beside what [`crate::agent::ama`] reads: packages, cache, statistics, logs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::agents::{Asked, log, packages, user};
use super::oms::assignments;
use crate::agent::ama::{Ama, paths, qos, version};
use crate::agent::logs;
use crate::check::agent_facts::*;
use crate::check::facts::{Fact, SizedFile};
use crate::host::{Cmd, FileKind, Host, facts};
use crate::platform::accounts;

const MOST_CACHED: u64 = 50_000;
const DEEPEST: usize = 4;
/// Bytes looked at from the end of the statistics.
const QOS_TAIL: u64 = 256 << 10;
/// Lines of the environment file that are no secrets.
const HARMLESS: [&str; 6] =
    ["MDSD_OPTIONS", "MDSD_CONFIG_DIR", "MDSD_LOG_DIR", "MDSD_SPOOL_DIRECTORY", "MDSD_ROLE_PREFIX", "ENABLE_MCS"];

/// `None` where nothing of the agent is there.
pub fn gather(host: &Host, asked: &Asked<'_>) -> Option<AmaState> {
    let own = Ama::gather(&host.root);
    let packages = packages(asked, paths::PACKAGE);
    let known = packages.0.as_ref().is_ok_and(|p| !p.is_empty());
    let seen = own.program || own.conf || !own.files.is_empty();
    if !seen && !known && !asked.has_unit(|u| u == paths::UNIT) {
        return None;
    }
    let environment = environment(host);
    let folder = |key: &str, usual: &str| {
        environment.get(key).filter(|v| v.starts_with('/')).cloned().unwrap_or_else(|| usual.into())
    };
    let log_folder = folder("MDSD_LOG_DIR", paths::LOG);
    let logs = ["mdsd.err", "mdsd.warn"];
    let logs =
        logs.iter().filter_map(|n| log(host, asked, paths::UNIT, &format!("{log_folder}/{n}"), logs::AMA)).collect();
    let said_version = if known { None } else { said_version(host, own.program && asked.is_active(paths::UNIT)) };
    Some(AmaState {
        own,
        packages,
        said_version,
        user: user(host, paths::USER),
        in_arc_group: in_arc_group(host),
        arc: arc(host),
        azure: azure(host),
        logs,
        log_sizes: sizes(host, &log_folder),
        events: events(host, paths::EVENTS),
        qos: statistics(host, &format!("{log_folder}/mdsd.qos")),
        environment,
    })
}

fn environment(host: &Host) -> BTreeMap<String, String> {
    let text = host.root.read_capped(Path::new(paths::DEFAULTS), 64 << 10).unwrap_or_default();
    let mut all = assignments(&text);
    all.retain(|key, _| HARMLESS.contains(&key.as_str()));
    all
}

/// Asks the program, else takes the version of the newest extension folder. The program is started only while the agent runs:
/// whatever lies in its place, a second one beside it can take nothing over.
fn said_version(host: &Host, runs: bool) -> Option<(String, String)> {
    if host.root.is_live() && runs {
        let out = host.runner.run(&Cmd::new([paths::MDSD, "-V"]).limit(Duration::from_secs(1)));
        let text = out.ok().map(|o| String::from_utf8_lossy(&[o.stdout, o.stderr].concat()).into_owned());
        let found = text.and_then(|t| t.split_whitespace().find_map(number_in));
        if let Some(found) = found {
            return Some((found, "mdsd -V".into()));
        }
    }
    for home in paths::EXTENSION_HOMES {
        let names = host.root.list(Path::new(home)).unwrap_or_default();
        let versions = names.iter().filter_map(|n| n.to_str()?.strip_prefix(paths::EXTENSION));
        let newest = versions.filter_map(|v| Some((version::Version::parse(v)?, v))).max_by(|a, b| a.0.newer(&b.0));
        if let Some((_, found)) = newest {
            return Some((found.to_owned(), format!("{home}/{}{found}", paths::EXTENSION)));
        }
    }
    None
}

/// `1.33.1-build.main.1`, also in brackets or behind a `v`.
fn number_in(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).trim_start_matches('v');
    let dotted = word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    (dotted && version::Version::parse(word).is_some()).then(|| word.to_owned())
}

fn in_arc_group(host: &Host) -> Option<bool> {
    let group = accounts::group(&host.root, paths::ARC_GROUP)?;
    Some(accounts::who(&host.root, paths::USER).is_some_and(|w| w.gid == group || w.groups.contains(&group)))
}

fn arc(host: &Host) -> Vec<String> {
    let there = |path: &&str| matches!(host.root.stat(Path::new(path)), Ok(Some(_)));
    paths::ARC_PROGRAMS.iter().copied().chain([paths::ARC_CONF]).filter(there).map(str::to_owned).collect()
}

/// Azure's virtual machines have its agent, and a chassis tag of their own.
fn azure(host: &Host) -> Vec<String> {
    const TAG: &[u8] = b"7783-7084-3265-9085-8269-3286-77";
    let mut seen = Vec::new();
    let tag = "/sys/class/dmi/id/chassis_asset_tag";
    if host.root.read_capped(Path::new(tag), 256).is_ok_and(|t| t.trim_ascii() == TAG) {
        seen.push(tag.to_owned());
    }
    let agent = "/var/lib/waagent";
    if matches!(host.root.stat(Path::new(agent)), Ok(Some(_))) {
        seen.push(agent.to_owned());
    }
    seen
}

fn sizes(host: &Host, folder: &str) -> Vec<SizedFile> {
    let dir = Path::new(folder);
    let size = |name: std::ffi::OsString| {
        let path = dir.join(name);
        let meta = host.root.stat(&path).ok()??;
        let path = path.to_string_lossy().into_owned();
        (meta.kind == FileKind::File).then_some(SizedFile { path, size: meta.size })
    };
    let mut found: Vec<SizedFile> = host.root.list(dir).unwrap_or_default().into_iter().filter_map(size).collect();
    found.sort_by_key(|f| std::cmp::Reverse(f.size));
    found.truncate(20);
    found
}

fn events(host: &Host, path: &str) -> Option<Fact<Folder>> {
    match host.root.list(Path::new(path)) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return Some(Err(format!("{path}: {e}"))),
    }
    let mut folder = Folder::default();
    measure(host, Path::new(path), 0, &mut folder);
    Some(Ok(folder))
}

fn measure(host: &Host, dir: &Path, depth: usize, folder: &mut Folder) {
    for name in host.root.list(dir).unwrap_or_default() {
        if folder.files >= MOST_CACHED {
            folder.cut_short = true;
            return;
        }
        let path = dir.join(name);
        let Ok(Some(meta)) = host.root.stat(&path) else { continue };
        match meta.kind {
            FileKind::File => {
                folder.files += 1;
                folder.bytes += meta.size;
                folder.oldest = Some(folder.oldest.map_or(meta.mtime, |t| t.min(meta.mtime)));
            }
            FileKind::Dir if depth < DEEPEST => measure(host, &path, depth + 1, folder),
            _ => {}
        }
    }
}

fn statistics(host: &Host, path: &str) -> Option<Fact<Qos>> {
    let meta = host.root.stat(Path::new(path)).ok()?.filter(|m| m.kind == FileKind::File)?;
    let text = facts::tail(&host.root, Path::new(path), QOS_TAIL).map_err(|e| format!("{path}: {e}"));
    Some(text.map(|text| Qos { path: path.into(), mtime: meta.mtime, rows: qos::parse(&text) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_among_other_words() {
        assert_eq!(number_in("1.33.1-build.main.999").as_deref(), Some("1.33.1-build.main.999"));
        assert_eq!(number_in("(v1.28.11)").as_deref(), Some("1.28.11"));
        assert_eq!((number_in("mdsd"), number_in("2026"), number_in("...")), (None, None, None));
    }
}
