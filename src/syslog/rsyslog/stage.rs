//! A candidate configuration that the daemon's own validator can read while the live files are still untouched: every
//! file that would change, and every file that includes one of those, is copied to a staging folder, its includes
//! rewritten to name the staged copies. Everything else is read from its own place. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::effective::Effective;
use super::stream::{Include, IncludeKind};
use crate::syslog::ConfigSource;
use crate::syslog::source::replace;

/// The files to write, and how to read the validator's messages about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// What to hand to `rsyslogd -N1 -f`.
    pub main: PathBuf,
    /// Path in the staging folder and content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Staged path → path of the file it stands for.
    names: BTreeMap<PathBuf, PathBuf>,
}

impl Staged {
    /// The validator's output with the real files' names in it.
    pub fn real_names(&self, output: &[u8]) -> Vec<u8> {
        let mut text = output.to_vec();
        for (staged, real) in &self.names {
            text = replace(&text, staged.as_os_str().as_encoded_bytes(), real.as_os_str().as_encoded_bytes());
        }
        text
    }
}

/// Lays out the candidate in `folder`. `config` is the effective configuration *with* the changes, `changed` the files
/// that differ from what is on disk, `source` the candidate's files.
pub fn stage(config: &Effective, changed: &BTreeSet<PathBuf>, source: &dyn ConfigSource, folder: &Path) -> Staged {
    let affected = affected(config, changed);
    let names: BTreeMap<PathBuf, PathBuf> =
        affected.iter().enumerate().map(|(n, real)| (folder.join(staged_name(n, real)), real.clone())).collect();
    let staged: BTreeMap<&Path, &Path> = names.iter().map(|(s, real)| (real.as_path(), s.as_path())).collect();
    let files = names
        .iter()
        .map(|(place, real)| {
            let text = source.read(real).unwrap_or_default();
            let mut text = rewritten(config, real, text, &staged);
            // Certificates, say: what the configuration names is not in its place yet either.
            for (data, copy) in staged.iter().filter(|(f, _)| !config.files.iter().any(|c| c.path == ***f)) {
                text = replace(&text, data.as_os_str().as_encoded_bytes(), copy.as_os_str().as_encoded_bytes());
            }
            (place.clone(), text)
        })
        .collect();
    let main = staged.get(config.main.as_path()).map_or_else(|| config.main.clone(), |p| p.to_path_buf());
    Staged { main, files, names }
}

/// The changed files and all that include them, however deep; the main file among them if anything changes at all.
fn affected(config: &Effective, changed: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut found = changed.clone();
    loop {
        let more: Vec<PathBuf> = config
            .includes
            .iter()
            .filter(|i| i.matched.iter().any(|m| found.contains(m)))
            .map(|i| i.at.file.to_path_buf())
            .filter(|f| !found.contains(f))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn staged_name(number: usize, real: &Path) -> String {
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("{number:03}-{name}")
}

fn rewritten(config: &Effective, real: &Path, mut text: Vec<u8>, staged: &BTreeMap<&Path, &Path>) -> Vec<u8> {
    let mut includes: Vec<&Include> = config
        .includes
        .iter()
        .filter(|i| &*i.at.file == real && i.matched.iter().any(|m| staged.contains_key(m.as_path())))
        .collect();
    // from the end on, so that offsets stay right
    includes.sort_by_key(|i| std::cmp::Reverse(i.at.start));
    includes.dedup_by_key(|i| i.at.start);
    for include in includes {
        let end = include.at.end.min(text.len());
        let mut start = include.at.start.min(end);
        if include.kind == IncludeKind::Legacy {
            // the place is that of the value; the directive stands before it on the line
            start = text[..start].iter().rposition(|b| *b == b'$').unwrap_or(start);
        }
        text.splice(start..end, replacement(include, staged));
    }
    text
}

/// Include statements for each file an include matched, in the dialect of the old one.
fn replacement(include: &Include, staged: &BTreeMap<&Path, &Path>) -> Vec<u8> {
    let mut out = Vec::new();
    for matched in &include.matched {
        let path = staged.get(matched.as_path()).copied().unwrap_or(matched);
        let path = path.as_os_str().as_encoded_bytes();
        match include.kind {
            IncludeKind::Legacy => {
                out.extend_from_slice(b"$IncludeConfig ");
                out.extend_from_slice(path);
                out.push(b'\n');
            }
            _ => {
                out.extend_from_slice(b"include(file=\"");
                out.extend_from_slice(path);
                out.extend_from_slice(b"\") ");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::MapSource;

    #[test]
    fn changed_files_and_their_includers_are_staged_and_nothing_else() {
        let mut source = MapSource::default();
        source.insert(
            "/etc/rsyslog.conf",
            b"module(load=\"imuxsock\")\n$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /var/log/syslog\n".to_vec(),
        );
        source.insert("/etc/rsyslog.d/10-new.conf", b"# new\n".to_vec());
        source.insert("/etc/rsyslog.d/50-old.conf", b"# old\n".to_vec());
        let config = Effective::load(Path::new("/etc/rsyslog.conf"), &source);
        let changed = BTreeSet::from([PathBuf::from("/etc/rsyslog.d/10-new.conf")]);
        let staged = stage(&config, &changed, &source, Path::new("/stage"));
        assert_eq!(staged.main, Path::new("/stage/000-rsyslog.conf"));
        let texts: Vec<String> = staged.files.iter().map(|(_, t)| String::from_utf8_lossy(t).into_owned()).collect();
        assert_eq!(
            texts[0],
            "module(load=\"imuxsock\")\n$IncludeConfig /stage/001-10-new.conf\n$IncludeConfig /etc/rsyslog.d/50-old.conf\n\n*.* /var/log/syslog\n"
        );
        assert_eq!(staged.files.len(), 2);
        let message = b"error in file /stage/001-10-new.conf, line 3";
        assert_eq!(staged.real_names(message), b"error in file /etc/rsyslog.d/10-new.conf, line 3");
        // read back, the candidate means the same
        let mut laid = MapSource::default();
        laid.insert("/etc/rsyslog.d/50-old.conf", b"# old\n".to_vec());
        for (path, text) in &staged.files {
            laid.insert(path, text.clone());
        }
        let again = Effective::load(&staged.main, &laid);
        assert_eq!(again.files.len(), config.files.len());
        assert!(again.problems.is_empty(), "{:?}", again.problems);
    }
}
