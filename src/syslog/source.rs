//! Where configuration files come from: the machine's own files, or a map in memory (tests, candidate trees, support
//! bundles). The languages ask for no more than this.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::glob;
use crate::host::{FileKind, Root};

/// What is found at a path after following links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// Nothing, or a link that leads nowhere.
    Missing,
    File,
    Dir,
    /// Device, socket, pipe.
    Other,
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("no such file")]
    NotFound,
    #[error("permission denied")]
    Denied,
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for SourceError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::NotFound => SourceError::NotFound,
            io::ErrorKind::PermissionDenied => SourceError::Denied,
            _ => SourceError::Other(e.to_string()),
        }
    }
}

/// Files by absolute path.
pub trait ConfigSource {
    /// Whole content; follows links.
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError>;
    /// What is there after following links.
    fn kind(&self, path: &Path) -> PathKind;
    /// Paths that match a shell pattern (`*`, `?`, `[…]`), in byte order: files, folders and dangling links. A pattern
    /// without wildcards matches what exists under that very name.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
    /// The path of the file itself, links followed; the last parts need not exist.
    fn real(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

impl ConfigSource for Root {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        Ok(Root::read(self, path)?)
    }

    fn kind(&self, path: &Path) -> PathKind {
        match self.resolve(path).and_then(|p| self.stat(&p)) {
            Ok(Some(m)) => match m.kind {
                FileKind::File => PathKind::File,
                FileKind::Dir => PathKind::Dir,
                // A link that is still there after resolving is one of a loop.
                FileKind::Link => PathKind::Missing,
                FileKind::Other => PathKind::Other,
            },
            _ => PathKind::Missing,
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let exists = |p: &Path| matches!(self.stat(p), Ok(Some(_)));
        let list = |p: &Path| self.list(p).unwrap_or_default();
        glob::expand(pattern, &exists, &list)
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.resolve(path).unwrap_or_else(|_| path.to_owned())
    }
}

/// Files held in memory. Folders are the parents of the files.
#[derive(Debug, Clone, Default)]
pub struct MapSource {
    files: BTreeMap<PathBuf, Vec<u8>>,
    dangling: BTreeSet<PathBuf>,
}

impl MapSource {
    pub fn new() -> Self {
        MapSource::default()
    }
    /// Adds or replaces a file.
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.insert(path, content);
        self
    }
    pub fn insert(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }
    pub fn remove(&mut self, path: &Path) {
        self.files.remove(path);
    }
    /// Adds a link that leads nowhere.
    pub fn with_dangling(mut self, path: impl Into<PathBuf>) -> Self {
        self.dangling.insert(path.into());
        self
    }
    fn names(&self, dir: &Path) -> Vec<std::ffi::OsString> {
        let below = self.files.keys().chain(&self.dangling).filter_map(|p| p.strip_prefix(dir).ok());
        let mut names: Vec<_> = below.filter_map(|p| p.iter().next()).map(|n| n.to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl ConfigSource for MapSource {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        self.files.get(&plain(path)).cloned().ok_or(SourceError::NotFound)
    }

    fn kind(&self, path: &Path) -> PathKind {
        let path = &plain(path);
        match () {
            _ if self.files.contains_key(path) => PathKind::File,
            _ if self.dangling.contains(path) => PathKind::Missing,
            _ if !self.names(path).is_empty() => PathKind::Dir,
            _ => PathKind::Missing,
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let exists = |p: &Path| self.dangling.contains(p) || self.kind(p) != PathKind::Missing;
        glob::expand(pattern, &exists, &|p| self.names(p))
    }
}

/// Without `.` and `..`; there are no links here that they could lead behind.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// A source with some files replaced, added (`Some`) or taken away (`None`): the candidate configuration of a plan.
pub struct Overlay<'a> {
    pub base: &'a dyn ConfigSource,
    pub changes: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Overlay<'_> {
    /// What becomes of the file at `path`: a plan may know it by another name than the configuration, where either name
    /// leads over a link.
    fn change(&self, path: &Path) -> Option<&Option<Vec<u8>>> {
        self.changes.get(path).or_else(|| {
            let real = self.base.real(path);
            self.changes.iter().find(|(p, _)| **p == real || self.base.real(p) == real).map(|(_, content)| content)
        })
    }
}

impl ConfigSource for Overlay<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        match self.change(path) {
            Some(Some(content)) => Ok(content.clone()),
            Some(None) => Err(SourceError::NotFound),
            None => self.base.read(path),
        }
    }

    fn kind(&self, path: &Path) -> PathKind {
        match self.change(path) {
            Some(Some(_)) => PathKind::File,
            Some(None) => PathKind::Missing,
            None => match self.base.kind(path) {
                PathKind::Missing if self.changes.iter().any(|(p, c)| c.is_some() && p.starts_with(path)) => {
                    PathKind::Dir
                }
                kind => kind,
            },
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = self.base.glob(pattern);
        found.retain(|p| !matches!(self.change(p), Some(None)));
        let added = || self.changes.iter().filter(|(_, c)| c.is_some()).map(|(p, _)| p);
        found.extend(added().filter(|p| glob::matches(pattern, p)).cloned());
        // The pattern may name the folder by a link.
        if let (Some(dir), Some(last)) = (pattern.parent(), pattern.file_name()) {
            let real = self.base.real(dir).join(last);
            let names = added().filter(|p| real != *pattern && glob::matches(&real, p)).filter_map(|p| p.file_name());
            found.extend(names.map(|name| dir.join(name)));
        }
        found.sort();
        found.dedup();
        found
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.base.real(path)
    }
}

/// `text` with every `from` replaced.
pub fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    if from.is_empty() {
        return text.to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|w| w == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // makes links, which no seam of ours offers
mod tests {
    use super::*;

    /// A plan knows the file itself, the configuration a link to it or to its folder.
    #[test]
    fn an_overlay_sees_through_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("opt/site/conf.d")).unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("opt/site/conf.d/a.conf"), "a").unwrap();
        std::os::unix::fs::symlink("/opt/site", dir.path().join("etc/ng")).unwrap();
        std::os::unix::fs::symlink("site/conf.d/a.conf", dir.path().join("opt/main.conf")).unwrap();
        let root = Root::at(dir.path());
        let over = |changes: &[(&str, Option<&str>)]| Overlay {
            base: &root,
            changes: changes.iter().map(|(p, c)| (PathBuf::from(p), c.map(|c| c.as_bytes().to_vec()))).collect(),
        };
        let pattern = Path::new("/etc/ng/conf.d/*.conf");
        let one = over(&[("/opt/site/conf.d/a.conf", Some("b")), ("/opt/site/conf.d/new.conf", Some("n"))]);
        for name in ["/opt/main.conf", "/etc/ng/conf.d/a.conf", "/opt/site/conf.d/a.conf"] {
            assert_eq!(one.read(Path::new(name)).unwrap(), b"b", "{name}");
        }
        let files = ["/etc/ng/conf.d/a.conf", "/etc/ng/conf.d/new.conf"].map(PathBuf::from);
        assert_eq!(one.glob(pattern), files);
        assert_eq!(one.read(&files[1]).unwrap(), b"n");
        let gone = over(&[("/opt/site/conf.d/a.conf", None)]);
        assert!(gone.glob(pattern).is_empty());
        assert_eq!(gone.kind(Path::new("/opt/main.conf")), PathKind::Missing);
    }
}
