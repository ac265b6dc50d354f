//! Files of the machine under one root (`/`, an offline image, a test's folder). Absolute paths go in and come out as
//! the machine itself would name them; the root's own place never shows.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
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

/// Largest file that [`Root::read`] takes, in bytes. No configuration is larger; a log or a core that got in its place
/// may be, and must not fill the memory.
pub const READ_CAP: u64 = 64 << 20;

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

    /// Whole content of a regular file of at most [`READ_CAP`] bytes; follows links.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read_capped(path, READ_CAP)
    }

    /// Whole content of a regular file; follows links. Never blocks: a pipe, socket or device is an error
    /// (`InvalidInput`), so is a file of more than `cap` bytes (`FileTooLarge`).
    pub fn read_capped(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        let file = open_regular(&self.real(&self.resolve(path)?))?;
        let mut bytes = Vec::new();
        file.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > cap {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {cap} bytes")));
        }
        Ok(bytes)
    }

    /// The first bytes of a regular file that may be of any size, `max` at most; as [`Root::read`].
    pub fn read_head(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_regular(&self.real(&self.resolve(path)?))?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
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
        let real = self.real(&self.entry(path)?);
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

    /// The path of the directory entry itself: links are followed up to the last part, which is kept.
    pub fn entry(&self, path: &Path) -> io::Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => self.resolve(path),
        }
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

/// Opens for reading without waiting for the other end of a pipe or for a device.
pub(super) fn open_regular(real: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(real)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn links_stay_inside_the_root() {
        let (dir, root) = root();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/real"), b"x").unwrap();
        symlink("/etc/real", dir.path().join("etc/abs")).unwrap();
        symlink("../../../../etc/real", dir.path().join("etc/up")).unwrap();
        symlink("loop", dir.path().join("etc/loop")).unwrap();
        assert_eq!(root.read(Path::new("/etc/abs")).unwrap(), b"x");
        assert_eq!(root.resolve(Path::new("/etc/up")).unwrap(), Path::new("/etc/real"));
        assert!(root.read(Path::new("/etc/loop")).is_err());
        assert_eq!(root.entry(Path::new("/etc/abs")).unwrap(), Path::new("/etc/abs"));
    }

    #[test]
    fn a_pipe_or_a_huge_file_is_an_error_and_no_wait() {
        let (dir, root) = root();
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = root.read(Path::new("/fifo")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        File::create(dir.path().join("huge")).unwrap().set_len(5 << 30).unwrap();
        assert_eq!(root.read_capped(Path::new("/huge"), 1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(root.read(Path::new("/")).is_err());
    }
}
