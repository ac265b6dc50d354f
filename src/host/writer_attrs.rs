//! What a file has besides its bytes: mode, owner, time, extended attributes (SELinux label, POSIX ACL). They are read
//! from the old file and put on its successor, or kept in a backup to be put back.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs as sys;
use serde::{Deserialize, Serialize};

use super::Root;

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Xattr {
    pub name: String,
    pub value: Vec<u8>,
}

/// When a file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds since the epoch.
    pub secs: i64,
    pub nanos: u32,
}

/// What a written file shall have; `None` keeps what the old file has. A new file gets, where nothing is said, mode
/// 0644 and the owner of its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    /// Permission bits (07777), whatever the umask says.
    pub mode: Option<u32>,
    /// User and group id.
    pub owner: Option<(u32, u32)>,
    /// Exactly these; what the file system refuses is left out.
    pub xattrs: Option<Vec<Xattr>>,
    pub mtime: Option<Mtime>,
}

impl Attrs {
    pub fn mode(mode: u32) -> Self {
        Attrs { mode: Some(mode), ..Attrs::default() }
    }
}

/// Attributes bound to the bytes of a file by a signature over them; copied to other bytes they would be wrong.
const BOUND_TO_CONTENT: [&str; 2] = ["security.ima", "security.evm"];

impl Root {
    /// All attributes of the directory entry `path`, with no `None` in them.
    pub fn attrs(&self, path: &Path) -> io::Result<Attrs> {
        read_attrs(&self.real(&self.entry(path)?))
    }
}

pub(super) fn read_attrs(real: &Path) -> io::Result<Attrs> {
    let meta = std::fs::symlink_metadata(real)?;
    Ok(Attrs {
        mode: Some(meta.permissions().mode() & 0o7777),
        owner: Some((meta.uid(), meta.gid())),
        xattrs: Some(read_xattrs(real)?),
        mtime: Some(Mtime { secs: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec()).unwrap_or(0) }),
    })
}

/// Extended attributes of `real` itself, sorted by name. Those that may not be read are left out.
fn read_xattrs(real: &Path) -> io::Result<Vec<Xattr>> {
    let names = match filled(|buf| sys::llistxattr(real, buf)) {
        Ok(names) => names,
        Err(e) if not_for_us(&e) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for name in names.split(|b| *b == 0) {
        let Ok(name @ [_, ..]) = std::str::from_utf8(name).map(str::as_bytes) else { continue };
        let name = String::from_utf8_lossy(name).into_owned();
        match filled(|buf| sys::lgetxattr(real, name.as_str(), buf)) {
            Ok(value) => found.push(Xattr { name, value }),
            Err(e) if not_for_us(&e) || e.raw_os_error() == Some(nix::libc::ENODATA) => {}
            Err(e) => return Err(e),
        }
    }
    found.sort();
    Ok(found)
}

/// Calls `read` with buffers up to the kernel's limit of 64 KiB for lists and values.
fn filled(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    for size in [1 << 10, 64 << 10] {
        let mut buf = vec![0; size];
        match read(&mut buf) {
            Ok(len) => {
                buf.truncate(len);
                return Ok(buf);
            }
            Err(rustix::io::Errno::RANGE) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(io::Error::from_raw_os_error(nix::libc::ERANGE))
}

/// The file system has no such attributes, or they are not ours to touch.
fn not_for_us(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(nix::libc::ENOTSUP | nix::libc::EPERM | nix::libc::EACCES | nix::libc::EINVAL))
}

/// Puts `attrs` on a file that is still under its temporary name. The owner goes first, because changing it clears
/// set-id bits and capabilities; the mode last, because it is the mask of an ACL.
pub(super) fn put_attrs(file: &File, attrs: &Attrs, same_content: bool) -> io::Result<()> {
    let meta = file.metadata()?;
    if let Some((uid, gid)) = attrs.owner.filter(|owner| *owner != (meta.uid(), meta.gid())) {
        std::os::unix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    if let Some(xattrs) = &attrs.xattrs {
        put_xattrs(file, xattrs, same_content)?;
    }
    if let Some(mode) = attrs.mode {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(time) = attrs.mtime.and_then(system_time) {
        file.set_modified(time)?;
    }
    Ok(())
}

fn put_xattrs(file: &File, wanted: &[Xattr], same_content: bool) -> io::Result<()> {
    let fd = file.as_fd();
    let present = filled(|buf| sys::flistxattr(fd, buf)).unwrap_or_default();
    for name in present.split(|b| *b == 0).filter_map(|n| std::str::from_utf8(n).ok()) {
        // A default ACL of the folder, for instance, that the old file did not have.
        if !name.is_empty() && !wanted.iter().any(|x| x.name == name) {
            lenient(sys::fremovexattr(fd, name))?;
        }
    }
    for x in wanted.iter().filter(|x| same_content || !BOUND_TO_CONTENT.contains(&x.name.as_str())) {
        lenient(sys::fsetxattr(fd, x.name.as_str(), &x.value, sys::XattrFlags::empty()))?;
    }
    Ok(())
}

fn lenient(result: rustix::io::Result<()>) -> io::Result<()> {
    match result.map_err(io::Error::from) {
        Err(e) if !not_for_us(&e) && e.raw_os_error() != Some(nix::libc::ENODATA) => Err(e),
        _ => Ok(()),
    }
}

fn system_time(time: Mtime) -> Option<SystemTime> {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let at = if time.secs < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    at?.checked_add(Duration::from_nanos(time.nanos.into()))
}
