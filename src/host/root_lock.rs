//! A lock file that one process holds at a time. The kernel lets go of it when the process ends, however it ends; what
//! is left then is an empty claim that the next holder takes over and removes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::Root;

/// A lock that is ours until dropped.
#[derive(Debug)]
pub struct LockFile {
    real: PathBuf,
    _file: Flock<File>,
}

/// What trying to lock gave.
#[derive(Debug)]
pub enum LockAttempt {
    Taken(LockFile),
    /// Somebody else holds it; the pid as they wrote it, if they have got that far.
    Busy(Option<u32>),
}

impl Root {
    /// Takes the lock file at `path` or says who holds it; never waits.
    pub fn try_lock(&self, path: &Path) -> io::Result<LockAttempt> {
        let real = self.real(&self.entry(path)?);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
                .open(&real)?;
            let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => return Ok(LockAttempt::Busy(read_pid(&mut file))),
                Err((_, e)) => return Err(e.into()),
            };
            // The holder before us may have removed the file between our open and our lock; then ours is a lock on
            // nothing that others can see.
            if !is_at(&file, &real)? {
                continue;
            }
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
            return Ok(LockAttempt::Taken(LockFile { real, _file: file }));
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // While still locked, so that nobody locks a file that is about to go.
        let _ = std::fs::remove_file(&self.real);
    }
}

fn is_at(file: &File, real: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(real) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_no_file_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let path = Path::new("/lock");
        let LockAttempt::Taken(held) = root.try_lock(path).unwrap() else { panic!("free, but not taken") };
        match root.try_lock(path).unwrap() {
            LockAttempt::Busy(pid) => assert_eq!(pid, Some(std::process::id())),
            LockAttempt::Taken(_) => panic!("taken twice"),
        }
        drop(held);
        assert!(!dir.path().join("lock").exists());
        assert!(matches!(root.try_lock(path).unwrap(), LockAttempt::Taken(_)));
    }

    #[test]
    fn a_left_over_file_is_no_holder() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), b"999999\nrubbish \xff").unwrap();
        let root = Root::at(dir.path());
        assert!(matches!(root.try_lock(Path::new("/lock")).unwrap(), LockAttempt::Taken(_)));
    }
}
