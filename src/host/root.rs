//! Files of the machine under one root (`/`, an offline image, a test's folder). Absolute paths go in and come out as
//! the machine itself would name them; the root's own place never shows.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a path is, without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    File,
    Dir,
    Link,
    Other,
}

/// Kind, owner and mode of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub kind: FileKind,
    /// Permission bits including set-id and sticky, as in `chmod` (07777).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since the epoch.
    pub mtime: i64,
    pub dev: u64,
    pub ino: u64,
    /// Where a link points, as stored.
    pub target: Option<PathBuf>,
}

/// Space of one file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsSpace {
    /// Bytes.
    pub total: u64,
    /// Bytes an unprivileged process may still write.
    pub available: u64,
    pub inodes: u64,
    pub inodes_available: u64,
    pub read_only: bool,
}

/// Handle on the files of one machine.
#[derive(Debug, Clone)]
pub struct Root {
    base: PathBuf,
}

impl Default for Root {
    fn default() -> Self {
        Root::at("/")
    }
}

impl Root {
    pub fn at(base: impl Into<PathBuf>) -> Self {
        Root { base: base.into() }
    }

    /// Is this the running machine, so that its sockets, processes and services belong to these files?
    pub fn is_live(&self) -> bool {
        self.base == Path::new("/")
    }

    /// The place of `path` outside the root. `..` cannot leave the root.
    pub fn real(&self, path: &Path) -> PathBuf {
        let mut out = self.base.clone();
        let depth = out.components().count();
        for part in path.components() {
            match part {
                Component::Normal(p) => out.push(p),
                Component::ParentDir if out.components().count() > depth => {
                    out.pop();
                }
                _ => {}
            }
        }
        out
    }

    /// Follows links, each of them inside the root, to the path of the file itself. The last part need not exist.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut todo: Vec<OsString> = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            match std::fs::read_link(self.real(&next)) {
                Ok(target) => {
                    links += 1;
                    if links > 40 {
                        return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
                    }
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    todo.extend(parts(&target));
                }
                Err(_) => done = next,
            }
        }
        Ok(done)
    }

    /// Whole content; follows links.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.real(&self.resolve(path)?))
    }

    /// As [`Root::read`], `None` where there is no such file.
    pub fn read_opt(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Kind, owner and mode without following a link at the end; `None` where nothing is there.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        let real = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.real(&self.resolve(parent)?.join(name)),
            _ => self.real(path),
        };
        let m = match std::fs::symlink_metadata(&real) {
            Ok(m) => m,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(e),
        };
        let t = m.file_type();
        let kind = match () {
            _ if t.is_symlink() => FileKind::Link,
            _ if t.is_dir() => FileKind::Dir,
            _ if t.is_file() => FileKind::File,
            _ => FileKind::Other,
        };
        let target = if kind == FileKind::Link { std::fs::read_link(&real).ok() } else { None };
        Ok(Some(Meta {
            kind,
            mode: m.permissions().mode() & 0o7777,
            uid: m.uid(),
            gid: m.gid(),
            size: m.size(),
            mtime: m.mtime(),
            dev: m.dev(),
            ino: m.ino(),
            target,
        }))
    }

    /// Names in a folder, in byte order (the order of rsyslog's and syslog-ng's wildcard includes).
    pub fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut names = std::fs::read_dir(self.real(&self.resolve(dir)?))?
            .map(|e| e.map(|e| e.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Space of the file system that holds `path`.
    pub fn space(&self, path: &Path) -> io::Result<FsSpace> {
        let v = nix::sys::statvfs::statvfs(&self.real(&self.resolve(path)?))?;
        Ok(FsSpace {
            total: v.blocks() * v.fragment_size(),
            available: v.blocks_available() * v.fragment_size(),
            inodes: v.files(),
            inodes_available: v.files_available(),
            read_only: v.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
        })
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|c| match c {
            Component::Normal(p) => Some(p.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}
