//! The configuration as it would be without us: our own files hidden, our marked blocks taken out, and files of the
//! scripts we replace left out. Decisions are made on this, so that every run comes to the same ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Root;
use crate::plan::receipt::Entry;
use crate::plan::state::FileState;
use crate::plan::{Receipt, block};
use crate::syslog::collector::block_id;
use crate::syslog::{ConfigSource, PathKind, SourceError};

/// The first words of every file of ours.
pub const HEADER: &[u8] = b"# Written by cefctl";

/// Blocks of ours that are known without a receipt; no box has needed more than two.
const MAX_BLOCKS: usize = 8;

/// Their names.
pub fn block_ids() -> impl Iterator<Item = String> {
    (0..MAX_BLOCKS).map(block_id)
}

pub struct Without<'a> {
    root: &'a Root,
    hidden: BTreeSet<PathBuf>,
    blocks: BTreeSet<String>,
}

impl<'a> Without<'a> {
    /// `replaced` are files of others that go.
    pub fn new(root: &'a Root, receipt: Option<&Receipt>, replaced: &[PathBuf]) -> Self {
        let mut hidden: BTreeSet<PathBuf> = replaced.iter().cloned().collect();
        let mut blocks: BTreeSet<String> = block_ids().collect();
        for entry in receipt.iter().flat_map(|r| &r.entries) {
            match entry {
                Entry::File { path, before, .. } if before.state == FileState::Absent => {
                    hidden.insert(path.clone());
                }
                Entry::Block { id, .. } => {
                    blocks.insert(id.clone());
                }
                _ => {}
            }
        }
        Without { root, hidden, blocks }
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.hidden.contains(path)
            || (path.file_name().is_some_and(|n| n.to_string_lossy().contains("cefctl"))
                && self.root.read(path).is_ok_and(|text| text.starts_with(HEADER)))
    }
}

impl ConfigSource for Without<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        if self.is_ours(path) {
            return Err(SourceError::NotFound);
        }
        let mut text = ConfigSource::read(self.root, path)?;
        for id in &self.blocks {
            // a damaged block stays in: whoever changes the file says so
            if let Ok(Some(rest)) = block::take(&text, id) {
                text = rest;
            }
        }
        Ok(text)
    }

    fn kind(&self, path: &Path) -> PathKind {
        if self.is_ours(path) { PathKind::Missing } else { ConfigSource::kind(self.root, path) }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = ConfigSource::glob(self.root, pattern);
        found.retain(|path| !self.is_ours(path));
        found
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.root.real(path)
    }
}
