//! The daemon's configuration as facts: every file it consists of, with who may read it. The configuration is read once
//! through a recorder that notes each answer of the file system; reading from the record again gives the same result,
//! on any machine.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::check::facts::{Bytes, ConfigFile, ConfigFiles, SizedFile, Step, WorkDir, decode_path, encode_path};
use crate::host::{FileKind, Root};
use crate::syslog::rsyslog::Effective;
use crate::syslog::{ConfigSource, PathKind, SourceError};

/// Where queues spill to unless told otherwise: nowhere. This is what distributions set (facts 5.11).
const ACL: &str = "system.posix_acl_access";

/// Reads the whole configuration; gives what it amounts to and the record.
pub fn read(root: &Root, main: &Path) -> (Effective, ConfigFiles) {
    let recorder = Recorder { root, record: RefCell::default() };
    let effective = Effective::load(main, &recorder);
    (effective, recorder.record.into_inner())
}

struct Recorder<'a> {
    root: &'a Root,
    record: RefCell<ConfigFiles>,
}

impl ConfigSource for Recorder<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        let content = ConfigSource::read(self.root, path);
        let kept = content.clone().map(Bytes).map_err(|e| e.to_string());
        let mut record = self.record.borrow_mut();
        record.files.entry(encode_path(path)).or_insert_with(|| file(self.root, path)).content = kept;
        content
    }

    fn kind(&self, path: &Path) -> PathKind {
        let mut record = self.record.borrow_mut();
        record.files.entry(encode_path(path)).or_insert_with(|| file(self.root, path));
        ConfigSource::kind(self.root, path)
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let found = ConfigSource::glob(self.root, pattern);
        let paths = found.iter().map(|p| encode_path(p)).collect();
        self.record.borrow_mut().globs.insert(encode_path(pattern), paths);
        found
    }
}

fn file(root: &Root, path: &Path) -> ConfigFile {
    let kind = match ConfigSource::kind(root, path) {
        PathKind::Missing => None,
        PathKind::File => Some(FileKind::File),
        PathKind::Dir => Some(FileKind::Dir),
        PathKind::Other => Some(FileKind::Other),
    };
    ConfigFile { content: Err("it was not read".into()), kind, walk: walk(root, path) }
}

/// Every folder that must be passed on the way to `path`, the file or folder itself last. Links are followed; what is
/// behind a missing part is not there.
pub fn walk(root: &Root, path: &Path) -> Vec<Step> {
    let real = root.resolve(path).unwrap_or_else(|_| path.to_owned());
    let mut parts: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    parts.reverse();
    let mut rest: Vec<PathBuf> = real.ancestors().map(Path::to_owned).collect();
    rest.reverse();
    parts.extend(rest);
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for part in parts {
        let Ok(Some(meta)) = root.stat(&part) else { continue };
        if meta.kind != FileKind::Link && seen.insert(part.clone()) {
            let acl = root.attrs(&part).ok().and_then(|a| a.xattrs).unwrap_or_default();
            let acl = acl.into_iter().find(|x| x.name == ACL).map(|x| Bytes(x.value));
            steps.push(Step { path: encode_path(&part), kind: meta.kind, mode: meta.mode, uid: meta.uid, gid: meta.gid, acl });
        }
    }
    steps
}

/// The folder queues spill into, with what lies in it.
pub fn work_dir(root: &Root, path: &Path) -> WorkDir {
    let real = root.resolve(path).unwrap_or_else(|_| path.to_owned());
    let files = root.list(&real).map_err(|e| e.to_string()).map(|names| {
        let size = |name| {
            let path = real.join(name);
            let meta = root.stat(&path).ok().flatten()?;
            (meta.kind == FileKind::File).then(|| SizedFile { path: encode_path(&path), size: meta.size })
        };
        names.into_iter().filter_map(size).collect()
    });
    let space = root.space(&real).ok();
    WorkDir { path: encode_path(path), real: encode_path(&real), walk: walk(root, path), files, space }
}

/// Reading again from the record.
impl ConfigSource for ConfigFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        match self.files.get(&encode_path(path)).map(|f| &f.content) {
            Some(Ok(bytes)) => Ok(bytes.0.clone()),
            Some(Err(why)) if *why == SourceError::Denied.to_string() => Err(SourceError::Denied),
            Some(Err(why)) if *why != SourceError::NotFound.to_string() => Err(SourceError::Other(why.clone())),
            _ => Err(SourceError::NotFound),
        }
    }

    fn kind(&self, path: &Path) -> PathKind {
        match self.files.get(&encode_path(path)).and_then(|f| f.kind) {
            Some(FileKind::File) => PathKind::File,
            Some(FileKind::Dir) => PathKind::Dir,
            Some(FileKind::Other) => PathKind::Other,
            Some(FileKind::Link) | None => PathKind::Missing,
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let found = self.globs.get(&encode_path(pattern));
        found.into_iter().flatten().map(|p| decode_path(p)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn reading_from_the_record_gives_the_same_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().join("etc/rsyslog.d");
        std::fs::create_dir_all(&d).unwrap();
        std::fs::write(dir.path().join("etc/rsyslog.conf"), "$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /a\n").unwrap();
        std::fs::write(d.join("10-a.conf"), b"mail.* /b\xff\n").unwrap();
        std::fs::write(d.join(std::ffi::OsStr::from_bytes(b"20-\xff\\.conf")), "mail.* /c\n").unwrap();
        std::os::unix::fs::symlink("/nowhere", d.join("30-x.conf")).unwrap();
        std::fs::create_dir(d.join("40-dir.conf")).unwrap();
        let root = Root::at(dir.path());
        let (effective, record) = read(&root, Path::new("/etc/rsyslog.conf"));
        assert_eq!(effective.actions.len(), 3, "{effective:?}");
        let json = serde_json::to_string(&record).unwrap();
        let back: ConfigFiles = serde_json::from_str(&json).unwrap();
        let again = Effective::load(Path::new("/etc/rsyslog.conf"), &back);
        assert_eq!(again, effective);
    }

    #[test]
    fn the_way_to_a_file_goes_over_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        std::fs::write(dir.path().join("b/c/f"), "").unwrap();
        std::os::unix::fs::symlink("/b/c", dir.path().join("a/l")).unwrap();
        let root = Root::at(dir.path());
        let paths = |p: &str| walk(&root, Path::new(p)).into_iter().map(|s| s.path).collect::<Vec<_>>();
        assert_eq!(paths("/a/l/f"), ["/", "/a", "/b", "/b/c", "/b/c/f"]);
        assert_eq!(paths("/b/missing/f"), ["/", "/b"]);
    }
}
