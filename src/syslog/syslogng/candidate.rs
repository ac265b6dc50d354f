//! A configuration as it would be after a change, laid out beside the real one so that the daemon's own check can read
//! it: copies of the files that change, and of those that include them, with their includes pointing to the copies.
//!
//! How a change goes in (each step tried on 3.28, 3.38 and 4.8; docs/syslog-ng.md has the table):
//! 1. `syslog-ng --syntax-only --cfgfile CANDIDATE` must return 0 and say nothing it did not say before; [`super::lint`]
//!    must find nothing that keeps the daemon from starting: the check returns 0 for undefined names and ports in use.
//! 2. The files go into place, then `syslog-ng-ctl reload`: it answers with 0, or with 1 having gone back to the old
//!    configuration by itself. The files must then go back too, or the next start fails.
//! 3. Only a daemon that is not running, or has no control socket, is started or restarted: a restart with a bad
//!    configuration leaves no daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::effective::{Effective, Include};
use crate::syslog::{ConfigSource, SourceError};

/// Files to write for the check, and the one to check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub main: PathBuf,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// Lays out a candidate in `folder`. It must be a folder that the daemon may read under its confinement (AppArmor): one
/// below the folder of the main file, whose name begins with a dot so that no include takes it in. `changes` are files
/// with new content, or without any (`None`) where they go away; `config` is the configuration with these changes, and
/// `source` has its files. New files must match an include.
pub fn candidate(
    config: &Effective,
    source: &dyn ConfigSource,
    changes: &BTreeMap<PathBuf, Option<Vec<u8>>>,
    folder: &Path,
) -> Result<Candidate, SourceError> {
    let mut made: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    for (path, content) in changes {
        if let Some(content) = content {
            made.insert(path.clone(), content.clone());
        }
    }
    let touched = |made: &BTreeMap<PathBuf, Vec<u8>>, i: &Include| {
        let takes = |p: &Path| config.includes_path(p).is_some_and(|by| by.at == i.at);
        i.files.iter().any(|f| made.contains_key(f) || changes.contains_key(f)) || changes.keys().any(|p| takes(p))
    };
    // A file that includes a copied one is copied too, and so on up to the main file.
    loop {
        let including = |i: &Include| i.at.file.to_path_buf();
        let next = config.includes.iter().find(|i| touched(&made, i) && !made.contains_key(&including(i)));
        let Some(include) = next else { break };
        let path = including(include);
        made.insert(path.clone(), source.read(&path)?);
    }
    if !made.contains_key(&config.main) {
        made.insert(config.main.clone(), source.read(&config.main)?);
    }
    let copy = |path: &Path| folder.join(copy_name(path));
    let mut files = BTreeMap::new();
    for (path, content) in &made {
        let includes = config.includes.iter().filter(|i| *i.at.file == **path && touched(&made, i));
        files.insert(copy(path), redirect(content, includes, changes, &made, &copy));
    }
    Ok(Candidate { main: copy(&config.main), files })
}

/// A name that tells where the copy comes from.
fn copy_name(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').replace('/', "+")
}

/// Puts, in the place of each include, one include per file that it will take in.
fn redirect<'a>(
    content: &[u8],
    includes: impl Iterator<Item = &'a Include>,
    changes: &BTreeMap<PathBuf, Option<Vec<u8>>>,
    made: &BTreeMap<PathBuf, Vec<u8>>,
    copy: &dyn Fn(&Path) -> PathBuf,
) -> Vec<u8> {
    let mut includes: Vec<&Include> = includes.collect();
    includes.sort_by_key(|i| i.at.start);
    let mut out = Vec::with_capacity(content.len());
    let mut at = 0;
    for include in includes {
        let mut files: Vec<PathBuf> = include.files.clone();
        let new = changes.iter().filter(|(_, c)| c.is_some()).map(|(p, _)| p);
        files.extend(new.filter(|p| takes(include, p)).cloned());
        files.retain(|f| !matches!(changes.get(f), Some(None)));
        files.sort();
        files.dedup();
        out.extend_from_slice(content.get(at..include.at.start).unwrap_or_default());
        let lines: Vec<String> = files
            .iter()
            .map(|f| if made.contains_key(f) { copy(f) } else { f.clone() })
            .map(|f| format!("@include \"{}\"", f.display()))
            .collect();
        out.extend(lines.join("\n").into_bytes());
        at = include.at.end;
    }
    out.extend_from_slice(content.get(at..).unwrap_or_default());
    out
}

fn takes(include: &Include, path: &Path) -> bool {
    include
        .places
        .iter()
        .any(|place| *place == *path || path.parent() == Some(place) || crate::syslog::glob::matches(place, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::MapSource;
    use crate::syslog::source::Overlay;
    use crate::syslog::syslogng::effective::ReadSetting;

    const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";
    const FOLDER: &str = "/etc/syslog-ng/.cefctl-check";

    fn tree() -> MapSource {
        MapSource::new()
            .with(MAIN, "@version: 3.38\n@include \"scl.conf\"\nsource s { internal(); };\n@include \"/etc/syslog-ng/conf.d/*.conf\" # all\nlog { source(s); };\n")
            .with("/etc/syslog-ng/scl.conf", "# library\n")
            .with("/etc/syslog-ng/conf.d/a.conf", "destination a { file(\"/a\"); };\n")
            .with("/etc/syslog-ng/conf.d/cefctl.conf", "destination old { file(\"/o\"); };\n")
            .with("/etc/syslog-ng/conf.d/z.conf", "@include \"/etc/site/*.inc\"\n")
            .with("/etc/site/x.inc", "destination x { file(\"/x\"); };\n")
    }

    /// The candidate, and what the daemon would read.
    fn made(changes: &[(&str, Option<&str>)]) -> (Candidate, Vec<String>) {
        let changes: BTreeMap<PathBuf, Option<Vec<u8>>> =
            changes.iter().map(|(p, c)| (PathBuf::from(p), c.map(|c| c.as_bytes().to_vec()))).collect();
        let (base, changed) = (tree(), changes.clone());
        let then = Overlay { base: &base, changes: changed };
        let config = Effective::load(Path::new(MAIN), &then);
        let candidate = candidate(&config, &then, &changes, Path::new(FOLDER)).unwrap();
        let mut all = tree();
        candidate.files.iter().for_each(|(p, c)| all.insert(p, c.clone()));
        let mut setting = ReadSetting::usual(Path::new(MAIN));
        setting.include_path[0] = "/etc/syslog-ng".into();
        let config = Effective::load_with(&candidate.main, &all, setting);
        assert_eq!(config.problems, [], "{candidate:?}");
        let names = config.destinations.iter().filter_map(|d| d.name.as_ref()).map(|n| n.to_string()).collect();
        (candidate, names)
    }

    #[test]
    fn a_file_that_changes() {
        let (candidate, names) =
            made(&[("/etc/syslog-ng/conf.d/cefctl.conf", Some("destination new { file(\"/n\"); };\n"))]);
        assert_eq!(names, ["a", "new", "x"]);
        let files: Vec<_> =
            candidate.files.keys().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(files, ["etc+syslog-ng+conf.d+cefctl.conf", "etc+syslog-ng+syslog-ng.conf"]);
        let main = String::from_utf8_lossy(&candidate.files[&candidate.main]).into_owned();
        assert!(main.contains("a.conf\"\n@include \"/etc/syslog-ng/.cefctl-check/etc+syslog-ng+conf.d+cefctl.conf\"\n@include \"/etc/syslog-ng/conf.d/z.conf\" # all\nlog"), "{main}");
        assert!(main.starts_with("@version: 3.38\n@include \"scl.conf\"\n"));
    }

    #[test]
    fn files_that_come_and_go() {
        assert_eq!(made(&[("/etc/syslog-ng/conf.d/cefctl.conf", None)]).1, ["a", "x"]);
        assert_eq!(made(&[("/etc/syslog-ng/conf.d/b.conf", Some("destination b { };\n"))]).1, ["a", "b", "old", "x"]);
        assert_eq!(made(&[("/etc/site/x.inc", Some("destination deep { };\n"))]).1, ["a", "old", "deep"]);
        assert_eq!(made(&[]).1, ["a", "old", "x"]);
    }

    #[test]
    fn the_main_file_itself() {
        let text = "@version: 3.38\ndestination only { };\n";
        assert_eq!(made(&[(MAIN, Some(text))]).1, ["only"]);
        // With a drop-in that is as new as the include of it.
        let text = "@version: 3.38\n@include \"/etc/new/*.conf\"\n";
        assert_eq!(made(&[(MAIN, Some(text)), ("/etc/new/x.conf", Some("destination new { };\n"))]).1, ["new"]);
    }
}
