//! The one way to change files. A file is replaced as a whole: the new bytes go into a temporary file beside the old
//! one, get its mode, owner and extended attributes, reach the disk, and then take its name; so nobody ever reads half
//! a configuration, and a crash leaves the old or the new one. Each step passes a fault point.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::fault::{hit, hit_data};
use super::root::{READ_CAP, open_regular};
use super::writer_attrs::{Attrs, put_attrs, read_attrs};
use super::{FileKind, Root};

/// How the names of our temporary files start. The leading dot keeps every include pattern off them.
pub const TEMP_PREFIX: &str = ".cefctl-tmp-";

/// Mode of a new file for which nobody asked for another one.
pub const NEW_FILE_MODE: u32 = 0o644;

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Created,
    Replaced,
    /// Bytes, mode and owner were already as wanted: nothing was touched.
    Unchanged,
}

impl Root {
    /// Makes the file at `path` have `content` and `want`. Follows links to the real file, which need not exist; its
    /// folder must.
    ///
    /// Errors: what is there is no regular file; any failing system call. An error before the new file has its name
    /// leaves the old one untouched and no temporary file.
    pub fn write(&self, path: &Path, content: &[u8], want: &Attrs) -> io::Result<Written> {
        let real = self.real(&self.resolve(path)?);
        let old = existing(&real)?;
        let attrs = merged(&real, old.as_ref(), want)?;
        let same_content = match &old {
            Some(_) => has_content(&real, content)?,
            None => false,
        };
        if let Some(old) = &old
            && same_content
            && already(old, want)
        {
            return Ok(Written::Unchanged);
        }
        hit("root.write.open")?;
        let (mut file, temp) = Temp::file_beside(&real)?;
        let len = hit_data("root.write.data", content.len())?;
        file.write_all(content.get(..len).unwrap_or(content))?;
        if len < content.len() {
            return Err(io::Error::from_raw_os_error(nix::libc::ENOSPC));
        }
        hit("root.write.attrs")?;
        put_attrs(&file, &attrs, same_content || want.xattrs.is_some())?;
        hit("root.write.sync")?;
        file.sync_all()?;
        hit("root.write.rename")?;
        temp.rename_to(&real)?;
        hit("root.write.dirsync")?;
        sync_parent(&real)?;
        Ok(if old.is_some() { Written::Replaced } else { Written::Created })
    }

    /// Adds `bytes` to a file of ours that is `len` bytes long, and returns its new length. On an error the file is
    /// cut back to `len`, so that half a record never stays. `sync`: the bytes are on the disk before this returns.
    pub fn append(&self, path: &Path, len: u64, bytes: &[u8], sync: bool) -> io::Result<u64> {
        let mut file =
            OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(self.real(&self.resolve(path)?))?;
        let mut add = || {
            // What is behind is the rest of a line that a killed run did not finish.
            file.set_len(len)?;
            file.seek(SeekFrom::Start(len))?;
            let allowed = hit_data("root.append.data", bytes.len())?;
            file.write_all(bytes.get(..allowed).unwrap_or(bytes))?;
            if allowed < bytes.len() {
                return Err(io::Error::from_raw_os_error(nix::libc::ENOSPC));
            }
            if sync {
                hit("root.append.sync")?;
                file.sync_data()?;
            }
            Ok(())
        };
        match add() {
            Ok(()) => Ok(len + bytes.len() as u64),
            Err(e) => {
                file.set_len(len)?;
                file.sync_data()?;
                Err(e)
            }
        }
    }

    /// Removes a file, link, pipe or socket (never a folder, and never what a link points to).
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let real = self.real(&self.entry(path)?);
        hit("root.remove")?;
        std::fs::remove_file(&real)?;
        hit("root.remove.dirsync")?;
        sync_parent(&real)
    }

    /// Makes one folder (its parent must exist) with exactly this mode; without an owner it gets its parent's. As with
    /// files nobody ever sees it half made.
    pub fn create_dir(&self, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
        let real = self.real(&self.entry(path)?);
        if std::fs::symlink_metadata(&real).is_ok() {
            // A rename would take the place of an empty folder.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let owner = match owner {
            Some(owner) => owner,
            None => owner_of_parent(&real)?,
        };
        hit("root.mkdir")?;
        let temp = Temp::dir_beside(&real)?;
        hit("root.mkdir.attrs")?;
        let dir = File::open(&temp.path)?;
        put_attrs(&dir, &Attrs { owner: Some(owner), ..Attrs::mode(mode) }, true)?;
        dir.sync_all()?;
        hit("root.mkdir.rename")?;
        temp.rename_to(&real)?;
        hit("root.mkdir.dirsync")?;
        sync_parent(&real)
    }

    /// Gives a folder that is there this mode and owner.
    pub fn set_dir_attrs(&self, path: &Path, mode: u32, owner: (u32, u32)) -> io::Result<()> {
        let real = self.real(&self.entry(path)?);
        hit("root.dirattrs")?;
        let dir = File::open(&real)?;
        if !dir.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        put_attrs(&dir, &Attrs { owner: Some(owner), ..Attrs::mode(mode) }, true)?;
        dir.sync_all()
    }

    /// Removes a folder that is empty.
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let real = self.real(&self.entry(path)?);
        hit("root.rmdir")?;
        std::fs::remove_dir(&real)?;
        hit("root.rmdir.dirsync")?;
        sync_parent(&real)
    }

    /// Makes a link; a file or link that has the name is replaced.
    pub fn symlink(&self, path: &Path, target: &Path, owner: (u32, u32)) -> io::Result<()> {
        let real = self.real(&self.entry(path)?);
        hit("root.symlink")?;
        let temp = Temp::link_beside(&real, target)?;
        let meta = std::fs::symlink_metadata(&temp.path)?;
        if (meta.uid(), meta.gid()) != owner {
            std::os::unix::fs::lchown(&temp.path, Some(owner.0), Some(owner.1))?;
        }
        hit("root.symlink.rename")?;
        temp.rename_to(&real)?;
        hit("root.symlink.dirsync")?;
        sync_parent(&real)
    }

    /// Removes the temporary files and folders that a killed run left in `dir`; returns their number. Only for the holder of the
    /// run lock: it would take the files of a living run too. A folder that is gone holds none.
    pub fn remove_temps(&self, dir: &Path) -> io::Result<usize> {
        let names = match self.list(dir) {
            Ok(names) => names,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(0),
            Err(e) => return Err(e),
        };
        let mut removed = 0;
        for name in names.iter().filter(|n| n.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes())) {
            let path = dir.join(name);
            match self.stat(&path)?.map(|m| m.kind) {
                Some(FileKind::File | FileKind::Link) => self.remove_file(&path)?,
                Some(FileKind::Dir) => self.remove_dir(&path)?,
                _ => continue,
            }
            removed += 1;
        }
        Ok(removed)
    }
}

/// Attributes of the regular file at `real`; an error if something else is there.
fn existing(real: &Path) -> io::Result<Option<Attrs>> {
    match std::fs::symlink_metadata(real) {
        Ok(meta) if meta.is_file() => read_attrs(real).map(Some),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What the new file shall have, all told: the wish first, then the old file, then the usual.
fn merged(real: &Path, old: Option<&Attrs>, want: &Attrs) -> io::Result<Attrs> {
    let owner = match want.owner.or(old.and_then(|o| o.owner)) {
        Some(owner) => owner,
        None => owner_of_parent(real)?,
    };
    Ok(Attrs {
        mode: Some(want.mode.or(old.and_then(|o| o.mode)).unwrap_or(NEW_FILE_MODE)),
        owner: Some(owner),
        xattrs: want.xattrs.clone().or_else(|| old.and_then(|o| o.xattrs.clone())),
        mtime: want.mtime,
    })
}

fn already(old: &Attrs, want: &Attrs) -> bool {
    fn same<T: PartialEq>(want: &Option<T>, old: &Option<T>) -> bool {
        want.is_none() || want == old
    }
    same(&want.mode, &old.mode)
        && same(&want.owner, &old.owner)
        && same(&want.xattrs, &old.xattrs)
        && same(&want.mtime, &old.mtime)
}

fn has_content(real: &Path, content: &[u8]) -> io::Result<bool> {
    let file = open_regular(real)?;
    if file.metadata()?.size() != content.len() as u64 {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.take(READ_CAP.max(content.len() as u64)).read_to_end(&mut bytes)?;
    Ok(bytes == content)
}

fn owner_of_parent(real: &Path) -> io::Result<(u32, u32)> {
    let meta = std::fs::metadata(real.parent().unwrap_or(Path::new("/")))?;
    Ok((meta.uid(), meta.gid()))
}

/// Makes a new name, or the loss of one, last.
fn sync_parent(real: &Path) -> io::Result<()> {
    match File::open(real.parent().unwrap_or(Path::new("/")))?.sync_all() {
        // Some network and FUSE file systems cannot sync a folder; there is nothing more we can do there.
        Err(e) if matches!(e.raw_os_error(), Some(nix::libc::EINVAL | nix::libc::ENOTSUP)) => Ok(()),
        other => other,
    }
}

/// A temporary file, link or folder, removed when dropped before it got its final name.
struct Temp {
    path: PathBuf,
    placed: bool,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Temp {
    fn file_beside(real: &Path) -> io::Result<(File, Temp)> {
        Temp::beside(real, |path| {
            OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW).open(path)
        })
    }

    fn link_beside(real: &Path, target: &Path) -> io::Result<Temp> {
        Temp::beside(real, |path| symlink(target, path)).map(|((), temp)| temp)
    }

    fn dir_beside(real: &Path) -> io::Result<Temp> {
        Temp::beside(real, |path| std::fs::DirBuilder::new().mode(0o700).create(path)).map(|((), temp)| temp)
    }

    /// Calls `make` with names that are not taken. The name says nothing of the file it will be, because that name may
    /// already be as long as names can be.
    fn beside<T>(real: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, Temp)> {
        let mut tries = 0;
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = real.with_file_name(format!("{TEMP_PREFIX}{}-{n}", std::process::id()));
            match make(&path) {
                Ok(made) => return Ok((made, Temp { path, placed: false })),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && tries < 1000 => tries += 1,
                Err(e) => return Err(e),
            }
        }
    }

    fn rename_to(mut self, real: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, real)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // Only one of the two can do anything, and neither follows a link.
        if !self.placed && std::fs::remove_file(&self.path).is_err() {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
