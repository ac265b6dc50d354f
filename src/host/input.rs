//! Files that the user names on the command line, as input or output: of the machine the program runs on, or standard
//! input. Not part of the examined root.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Host;
use super::root::{FileKind, Root};
use super::writer_attrs::Attrs;

/// Larger input is refused: it is held in memory.
const LIMIT: u64 = 1 << 30;

impl Host {
    /// Whole content of a file, or of standard input for `-`.
    ///
    /// # Errors
    /// As opening and reading; input above 1 GiB.
    pub fn read_input(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = match path.to_str() {
            Some("-") => io::stdin().lock().take(LIMIT + 1).read_to_end(&mut content)?,
            _ => std::fs::File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?,
        };
        if read as u64 > LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 GiB"));
        }
        Ok(content)
    }

    /// A file to write to, made or emptied.
    ///
    /// # Errors
    /// As creating the file.
    pub fn create_output(&self, path: &Path) -> io::Result<std::fs::File> {
        std::fs::File::create(path)
    }

    /// Is there a folder for `path`, or something that can be written to at it?
    pub fn can_hold_output(&self, path: &Path) -> bool {
        std::fs::metadata(folder_of(path)).is_ok_and(|m| m.is_dir())
    }

    /// A new folder under /var/tmp that only we may enter.
    ///
    /// # Errors
    /// As making the folder.
    pub fn private_folder(&self, prefix: &str) -> io::Result<PathBuf> {
        Ok(nix::unistd::mkdtemp(&Path::new("/var/tmp").join(format!("{prefix}-XXXXXX")))?)
    }

    /// Makes `path` a file with this content that only we may read, whoever had the file before; it comes in one step, so
    /// that nobody sees half of it. Pipes and devices are written to.
    ///
    /// # Errors
    /// As making and writing the file; a link, which somebody else may have put there.
    pub fn write_private(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        // The root is that of the examined machine; what the user names is on this one.
        let system = Root::default();
        let path = std::path::absolute(path)?;
        let is_device = path.starts_with("/dev") || path.starts_with("/proc");
        match system.stat(&path)?.map(|m| m.kind) {
            Some(FileKind::Other) => write_into(&path, content),
            Some(_) if is_device => write_into(&path, content),
            Some(FileKind::Link) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a link; name the file itself"))
            }
            Some(FileKind::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            Some(FileKind::File) | None => {
                let owner = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
                let attrs = Attrs { owner: Some(owner), ..Attrs::mode(0o600) };
                system.write(&path, content, &attrs).map(drop)
            }
        }
    }
}

/// Writes to what is there.
fn write_into(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).custom_flags(nix::libc::O_NOCTTY).open(path)?;
    file.write_all(content)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::host::fake::{FakeRunner, host};

    #[test]
    fn private_output_is_private_and_follows_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(Root::at(dir.path()), FakeRunner::new());
        let (file, link) = (dir.path().join("report"), dir.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        assert!(host.write_private(&link, b"x").unwrap_err().to_string().contains("is a link"));
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        host.write_private(&file, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(host.write_private(dir.path(), b"x").is_err());
        host.write_private(Path::new("/dev/null"), b"x").unwrap();
        assert!(host.can_hold_output(&file) && !host.can_hold_output(&dir.path().join("no/report")));
    }
}
