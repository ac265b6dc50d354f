//! Who holds a lock on a file, without taking it: package managers lock theirs with fcntl.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::Root;

/// The process that holds a write lock on `path`; `None` where nobody does or there is no such file.
///
/// # Errors
/// As opening the file and asking.
pub fn holder(root: &Root, path: &Path) -> io::Result<Option<u32>> {
    let file = match OpenOptions::new().read(true).open(root.real(&root.resolve(path)?)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    let free = i32::from(lock.l_type) == libc::F_UNLCK;
    Ok(u32::try_from(lock.l_pid).ok().filter(|_| !free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_and_a_missing_file_have_no_holder() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        std::fs::write(dir.path().join("lock"), b"").unwrap();
        assert_eq!(holder(&root, Path::new("/lock")).unwrap(), None);
        assert_eq!(holder(&root, Path::new("/no/lock")).unwrap(), None);
    }

    #[test]
    fn the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, b"").unwrap();
        let program = "import fcntl, sys\nf = open(sys.argv[1], 'w')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint(flush=True)\nsys.stdin.read()\n";
        let mut child = std::process::Command::new("python3")
            .args(["-c", program])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        let found = holder(&Root::at(dir.path()), Path::new("/lock")).unwrap();
        let id = child.id();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found, Some(id));
    }
}
