//! What the Log Analytics agent left on the box: onboarding, inputs, plugins, buffers, log.

use std::collections::BTreeMap;
use std::path::Path;

use super::agents::{Asked, log, packages, user};
use crate::agent::logs;
use crate::agent::oms::fluentd::{self, Section};
use crate::agent::oms::paths::{self, Workspace};
use crate::check::agent_facts::*;
use crate::check::facts::{Bytes, Fact};
use crate::host::{FileKind, Host};
use crate::platform::{access, certificate};

const MOST_WORKSPACES: usize = 20;
const MOST_INPUTS: usize = 60;
const MOST_CHUNKS: usize = 2000;
/// No configuration of the agent is larger.
const CONF_CAP: u64 = 1 << 20;

/// Folders of workspaces, in byte order. Others below the same folder (`scom`, `LAD`, `sysconf`) are none.
pub fn workspaces(host: &Host) -> Vec<String> {
    let conf = Path::new(paths::CONF);
    let names = host.root.list(conf).unwrap_or_default();
    let guids = names.iter().filter_map(|n| n.to_str()).filter(|n| uuid::Uuid::try_parse(n).is_ok());
    let dirs = guids.filter(|n| matches!(host.root.stat(&conf.join(n)), Ok(Some(m)) if m.kind == FileKind::Dir));
    dirs.take(MOST_WORKSPACES).map(str::to_owned).collect()
}

/// `None` where nothing of the agent is there.
pub fn gather(host: &Host, asked: &Asked<'_>) -> Option<OmsState> {
    let there = |path: &str| matches!(host.root.stat(Path::new(path)), Ok(Some(_)));
    let ids = workspaces(host);
    let program = there(paths::OMSADMIN);
    let packages = packages(asked, "omsagent");
    let onboard_file = there(paths::ONBOARD_FILE);
    let known = packages.0.as_ref().is_ok_and(|p| !p.is_empty());
    let runs = asked.has_unit(|u| u.starts_with("omsagent"));
    if !program && ids.is_empty() && !known && !runs && !onboard_file && !there(paths::HOME) {
        return None;
    }
    Some(OmsState {
        program,
        packages,
        noted_version: noted_version(host),
        workspaces: ids.into_iter().map(|id| workspace(host, asked, Workspace::new(id))).collect(),
        onboard_file,
        plugin_folder: there("/opt/microsoft/omsagent/plugin"),
        asa_plugin: file(host, paths::PLUGIN_ASA),
        filter_plugin: file(host, paths::PLUGIN_FILTER),
        user: user(host, paths::USER),
        sync: sync(host),
    })
}

/// Content of a file; `None`: it is not there.
fn file(host: &Host, path: &str) -> Option<Fact<Bytes>> {
    match host.root.read_capped(Path::new(path), CONF_CAP) {
        Ok(bytes) => Some(Ok(Bytes(bytes))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => Some(Err(format!("{path}: {e}"))),
    }
}

/// `1.19.0-0 20240321 Release_Build`
fn noted_version(host: &Host) -> Option<String> {
    let places =
        ["/etc/opt/microsoft/omsagent/sysconf/installinfo.txt", "/etc/opt/microsoft/omsagent/conf/installinfo.txt"];
    let text = places.iter().find_map(|p| host.root.read_capped(Path::new(p), 4096).ok())?;
    let first = String::from_utf8_lossy(&text).split_whitespace().next()?.to_owned();
    first.starts_with(|c: char| c.is_ascii_digit()).then_some(first)
}

fn workspace(host: &Host, asked: &Asked<'_>, workspace: Workspace) -> OmsWorkspace {
    let conf = workspace.folder().join("conf");
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let inputs = host.root.list(&workspace.inputs()).unwrap_or_default();
    let inputs = inputs.into_iter().filter(|n| n.to_string_lossy().ends_with(".conf")).take(MOST_INPUTS);
    let inputs = inputs.filter_map(|n| input(host, &shown(&workspace.inputs().join(n)))).collect();
    OmsWorkspace {
        admin: file(host, &shown(&workspace.omsadmin_conf())).map(|f| f.map(|text| assignments(&text.0))),
        certificates: workspace.certificates().iter().map(|path| certificate_of(host, &shown(path))).collect(),
        main: input(host, &shown(&conf.join("omsagent.conf"))),
        inputs,
        log: log(host, asked, &workspace.unit(), &shown(&workspace.log()), logs::OMS),
        buffers: chunks(host, &format!("{}/{}/state", paths::STATE, workspace.id)),
        id: workspace.id,
    }
}

/// `KEY=value` lines, as the agent sources them.
pub fn assignments(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let pair = |line: &str| {
        let (key, value) = line.trim().split_once('=')?;
        let key = key.trim().trim_start_matches("export ").trim();
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        plain.then(|| (key.to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter(|l| !l.trim_start().starts_with('#')).filter_map(pair).collect()
}

fn certificate_of(host: &Host, path: &str) -> Certificate {
    let mut found =
        Certificate { path: path.into(), walk: access::walk(&host.root, Path::new(path)), ..Certificate::default() };
    let real = host.root.resolve(Path::new(path)).unwrap_or_default();
    let Ok(Some(meta)) = host.root.stat(&real) else { return found };
    (found.exists, found.size) = (true, meta.size);
    // A key is looked at for its first line only; nothing of it is kept.
    let Ok(text) = host.root.read_capped(Path::new(path), 64 << 10) else { return found };
    found.is_pem = Some(text.trim_ascii_start().starts_with(b"-----BEGIN "));
    if path.ends_with(".crt") {
        found.not_after = end(&text);
    }
    found
}

/// When the first certificate of a file ends, in seconds since the epoch.
fn end(pem: &[u8]) -> Option<i64> {
    let chain = certificate::chain(pem).ok()?;
    Some(certificate::about(chain.first()?).ok()?.not_after)
}

/// A configuration file; `None`: it is not there.
fn input(host: &Host, path: &str) -> Option<InputFile> {
    let content = file(host, path)?;
    let mut found =
        InputFile { path: path.into(), walk: access::walk(&host.root, Path::new(path)), ..InputFile::default() };
    let text = match content {
        Ok(text) => text.0,
        Err(why) => return Some(InputFile { unread: Some(why), ..found }),
    };
    found.size = text.len() as u64;
    match fluentd::parse(&text) {
        Ok(root) => describe(&mut found, &root),
        Err(bad) => {
            found.malformed = Some((bad.line, bad.what));
            found.head = String::from_utf8_lossy(&text).trim_start().chars().take(80).collect();
        }
    }
    Some(found)
}

/// Takes over what matters; other parameters may be secrets of other inputs.
pub fn describe(file: &mut InputFile, root: &Section) {
    file.includes.clone_from(&root.includes);
    for section in &root.children {
        let get = |key: &str| section.get(key).map(str::to_owned);
        let kind = section.kind().unwrap_or_default().to_owned();
        match section.name.as_str() {
            "source" => file.sources.push(Source {
                line: section.line,
                kind,
                tag: get("tag").unwrap_or_default(),
                port: get("port"),
                bind: get("bind"),
                protocol: get("protocol_type"),
                format: get("format"),
            }),
            "filter" => file.filters.push((section.arg.clone(), kind)),
            "match" => file.outputs.extend(
                get("buffer_path")
                    .map(|path| OutputBuffer { path, limit: get("buffer_queue_limit").and_then(|n| n.parse().ok()) }),
            ),
            _ => {}
        }
    }
}

fn chunks(host: &Host, folder: &str) -> Option<Fact<Vec<Chunk>>> {
    let dir = Path::new(folder);
    let names = match host.root.list(dir) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return Some(Err(format!("{folder}: {e}"))),
    };
    let chunk = |name: std::ffi::OsString| {
        let meta = host.root.stat(&dir.join(&name)).ok()??;
        let name = name.to_string_lossy().into_owned();
        let is = meta.kind == FileKind::File && name.ends_with(".buffer");
        is.then_some(Chunk { name, size: meta.size, mtime: meta.mtime })
    };
    Some(Ok(names.into_iter().filter_map(chunk).take(MOST_CHUNKS).collect()))
}

fn sync(host: &Host) -> SyncState {
    let meta = |path: &str| host.root.stat(Path::new(path)).ok().flatten();
    let signs = ["/opt/microsoft/omsconfig", "/etc/opt/omi/conf/omsconfig", "/etc/cron.d/OMSConsistencyInvoker"];
    let helpers = paths::SYNC_HELPERS.iter().find(|(_, script)| meta(script).is_some());
    SyncState {
        seen: signs.iter().filter(|p| meta(p).is_some()).map(|p| (*p).to_owned()).collect(),
        off: meta(paths::SYNC_OFF).is_some(),
        helper: helpers.map(|(python, script)| ((*python).to_owned(), (*script).to_owned())),
        rewritten: meta("/etc/rsyslog.d/95-omsagent.conf").map(|m| m.mtime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_as_the_shell_reads_them() {
        let found = assignments(b"# X=1\nWORKSPACE_ID=a\nexport B=\"c d\"\n bad line\nE-F=1\nURL_TLD='u'\n\xff=1\n");
        let pairs: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("B", "c d"), ("URL_TLD", "u"), ("WORKSPACE_ID", "a")]);
    }

    #[test]
    fn when_a_certificate_ends() {
        let made = certificate::make::make(&["box.test".to_owned()], 1_800_000_000).unwrap();
        assert!(end(made.certificate.as_bytes()).unwrap() > 1_800_000_000);
        assert_eq!((end(b"certificate\n"), end(b"")), (None, None));
    }
}
