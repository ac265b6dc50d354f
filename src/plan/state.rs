//! What is there: the state of one path or service, as it was when planned, before a change and after it. Comparing
//! these is how the engine knows whether a change is still needed, still allowed, and whether it is ours to take back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::encode;
use crate::host::root::READ_CAP;
use crate::host::{Attrs, FileKind, Root};
use crate::platform::service::{Active, UnitState};

/// State of one path, without following a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FileState {
    Absent,
    File {
        sha256: String,
        /// Bytes.
        size: u64,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Link {
        #[serde(with = "encode::path")]
        target: PathBuf,
        uid: u32,
        gid: u32,
    },
    Dir {
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// A pipe, socket or device.
    Other,
}

impl FileState {
    /// The state of a regular file with these bytes.
    pub fn of_file(content: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Self {
        FileState::File { sha256: sha256(content), size: content.len() as u64, mode, uid, gid }
    }

    /// State of the directory entry `path`, and the bytes if it is a regular file.
    ///
    /// Errors: it cannot be read; it is larger than any configuration.
    pub fn look(root: &Root, path: &Path) -> Result<(Self, Option<Vec<u8>>)> {
        let tried = || format!("cannot look at {}", path.display());
        let Some(meta) = root.stat(path).with_context(tried)? else { return Ok((FileState::Absent, None)) };
        let (mode, uid, gid) = (meta.mode, meta.uid, meta.gid);
        Ok(match meta.kind {
            FileKind::File => {
                let content = root.read(path).with_context(|| read_hint(path))?;
                (FileState::of_file(&content, mode, (uid, gid)), Some(content))
            }
            FileKind::Dir => (FileState::Dir { mode, uid, gid }, None),
            FileKind::Link => (FileState::Link { target: meta.target.unwrap_or_default(), uid, gid }, None),
            FileKind::Other => (FileState::Other, None),
        })
    }

    /// Only the state of [`FileState::look`].
    pub fn at(root: &Root, path: &Path) -> Result<Self> {
        Ok(Self::look(root, path)?.0)
    }

    /// Has it the same bytes, whatever its mode and owner?
    pub fn same_content(&self, other: &Self) -> bool {
        match (self, other) {
            (FileState::File { sha256: a, .. }, FileState::File { sha256: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }

    /// For messages: `a file`, `absent`.
    pub fn noun(&self) -> &'static str {
        match self {
            FileState::Absent => "absent",
            FileState::File { .. } => "a file",
            FileState::Link { .. } => "a symbolic link",
            FileState::Dir { .. } => "a folder",
            FileState::Other => "a pipe, socket or device",
        }
    }

    pub fn mode(&self) -> Option<u32> {
        match self {
            FileState::File { mode, .. } | FileState::Dir { mode, .. } => Some(*mode),
            _ => None,
        }
    }

    pub fn owner(&self) -> Option<(u32, u32)> {
        match self {
            FileState::File { uid, gid, .. } | FileState::Link { uid, gid, .. } | FileState::Dir { uid, gid, .. } => {
                Some((*uid, *gid))
            }
            _ => None,
        }
    }
}

fn read_hint(path: &Path) -> String {
    format!(
        "cannot read {}\nhint: it must be a file of at most {} MiB that root may read",
        path.display(),
        READ_CAP >> 20
    )
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    encode::hex(&Sha256::digest(content))
}

/// Everything needed to put a path back as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub state: FileState,
    /// Mode, owner, extended attributes and time of a file; empty for everything else.
    #[serde(default)]
    pub attrs: Attrs,
    /// Name of the file in the backup folder that holds the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The content is shown nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl Saved {
    /// Nothing was there.
    pub fn absent() -> Self {
        Saved { state: FileState::Absent, attrs: Attrs::default(), backup: None, secret: false }
    }
}

/// State of one service that a run may have to bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The unit's own name.
    pub unit: String,
    pub active: bool,
    /// It was meant to run and could not: at the end of our stay it is started all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    pub enabled: bool,
    pub main_pid: Option<u32>,
    /// Sockets that were on and start the unit.
    #[serde(default)]
    pub sockets: Vec<String>,
}

impl ServiceState {
    /// Does it run when nobody stands in its way?
    pub fn is_wanted(&self) -> bool {
        self.active || (self.failed && self.enabled)
    }

    pub fn of(state: &UnitState, sockets: Vec<String>) -> Self {
        ServiceState {
            unit: state.id.clone(),
            active: state.is_active() || state.is_coming_up(),
            enabled: state.is_enabled(),
            main_pid: state.main_pid,
            sockets,
            failed: state.active == Active::Failed || (state.active == Active::Activating && !state.is_coming_up()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_kind_bytes_mode_and_owner() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let at = |path: &str| FileState::at(&root, Path::new(path)).unwrap();
        root.write(Path::new("/f"), b"abc", &Attrs::mode(0o640)).unwrap();
        root.symlink(Path::new("/l"), Path::new("f"), at("/f").owner().unwrap()).unwrap();
        root.create_dir(Path::new("/d"), 0o750, None).unwrap();
        nix::unistd::mkfifo(&dir.path().join("p"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(at("/f"), FileState::of_file(b"abc", 0o640, at("/d").owner().unwrap()));
        assert!(matches!(at("/l"), FileState::Link { target, .. } if target == Path::new("f")));
        assert_eq!(
            (at("/d").mode(), at("/p"), at("/no/such"), at("/f/x")),
            (Some(0o750), FileState::Other, FileState::Absent, FileState::Absent)
        );
        assert!(at("/f").same_content(&FileState::of_file(b"abc", 0, (9, 9))));
        assert!(!at("/f").same_content(&FileState::Absent));
    }

    #[test]
    fn sha256_is_the_known_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
