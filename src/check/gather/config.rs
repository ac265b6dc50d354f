//! The daemon's configuration as facts: every file it consists of, with who may read it. The configuration is read once
//! through a recorder that notes each answer of the file system; reading from the record again gives the same result,
//! on any machine.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::check::facts::{Bytes, ConfigFile, ConfigFiles, SizedFile, Spool, decode_path, encode_path};
use crate::host::{FileKind, Root};
use crate::platform::access::walk;
use crate::syslog::{ConfigSource, PathKind, SourceError};

/// Has a configuration read; gives what it amounts to and the record.
pub fn read<T>(root: &Root, load: impl FnOnce(&dyn ConfigSource) -> T) -> (T, ConfigFiles) {
    let recorder = Recorder { root, record: RefCell::default() };
    let effective = load(&recorder);
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
    let meta = root.resolve(path).and_then(|p| root.stat(&p)).ok().flatten();
    let mtime = meta.map(|m| m.mtime);
    ConfigFile { content: Err("it was not read".into()), kind, mtime, walk: walk(root, path) }
}

/// A folder queues spill into, with what lies in it.
pub fn spool(root: &Root, path: &Path) -> Spool {
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
    Spool {
        path: encode_path(path),
        real: encode_path(&real),
        walk: walk(root, path),
        link: root.stat(path).ok().flatten().is_some_and(|m| m.kind == FileKind::Link),
        files,
        read: Default::default(),
        space,
    }
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
    #![allow(clippy::disallowed_methods)] // a test makes its own files

    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::syslog::rsyslog::Effective;

    #[test]
    fn reading_from_the_record_gives_the_same_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().join("etc/rsyslog.d");
        std::fs::create_dir_all(&d).unwrap();
        std::fs::write(dir.path().join("etc/rsyslog.conf"), "$IncludeConfig /etc/rsyslog.d/*.conf\n*.* /a\n").unwrap();
        std::fs::write(d.join("10-a.conf"), b"mail.* /b\xff\n").unwrap();
        std::fs::write(d.join(std::ffi::OsStr::from_bytes(b"20-\xff\\.conf")), "mail.* /c\n").unwrap();
        let root = Root::at(dir.path());
        let read_twice = || {
            let (effective, record) = read(&root, |source| Effective::load(Path::new("/etc/rsyslog.conf"), source));
            let json = serde_json::to_string(&record).unwrap();
            let back: ConfigFiles = serde_json::from_str(&json).unwrap();
            assert_eq!(Effective::load(Path::new("/etc/rsyslog.conf"), &back), effective);
            effective
        };
        assert_eq!(read_twice().actions.len(), 3);
        std::fs::create_dir(d.join("30-dir.conf")).unwrap();
        read_twice();
        std::os::unix::fs::symlink("/nowhere", d.join("40-x.conf")).unwrap();
        assert!(!read_twice().problems.is_empty());
    }
}
