//! A file that is only in memory, for what must never be on a disk: readable by us and by root through
//! `/proc/PID/fd/N`, and gone with this process, however it ends.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod};

use super::Secret;

pub struct MemFile(File);

impl MemFile {
    /// A file with this content and mode 0600. `inherit`: also open in programs that this process turns into.
    ///
    /// # Errors
    /// As the system calls.
    pub fn new(content: &Secret, inherit: bool) -> io::Result<MemFile> {
        let flags = if inherit { MFdFlags::empty() } else { MFdFlags::MFD_CLOEXEC };
        let mut file = File::from(memfd_create(c"cefctl", flags)?);
        fchmod(&file, Mode::from_bits_truncate(0o600))?;
        file.write_all(content.expose())?;
        file.rewind()?;
        Ok(MemFile(file))
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Where other processes find it while this one lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}

/// Takes over a file that was inherited open as `fd`; `None` where that is no file in memory of ours.
#[allow(unsafe_code)]
pub fn inherited(fd: RawFd) -> Option<File> {
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    if !name.to_string_lossy().starts_with("/memfd:cefctl") {
        return None;
    }
    // SAFETY: the descriptor is open, as was just seen, and nobody else in this process knows of it.
    Some(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_private_file_that_others_can_open() {
        let file = MemFile::new(&Secret::new("hunter22"), false).unwrap();
        let link = std::fs::read_link(file.path()).unwrap();
        assert!(link.to_string_lossy().starts_with("/memfd:cefctl"), "{link:?}");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"hunter22");
        let meta = std::fs::metadata(file.path()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert!(meta.is_file() && meta.permissions().mode() & 0o777 == 0o600);
        assert!(inherited(0).is_none());
    }
}
