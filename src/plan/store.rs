//! Our own folder on the machine, `/var/lib/cefctl`: the journal of a run under way, the receipt, and backups of what
//! was replaced. It is there only while there is something to take back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::receipt::{Receipt, SCHEMA};
use super::state::{FileState, Saved, sha256};
use crate::host::fault::hit;
use crate::host::{Attrs, FileKind, LockAttempt, Root};

pub const STATE_DIR: &str = "/var/lib/cefctl";
const BACKUP_DIR: &str = "/var/lib/cefctl/backup";
const RECEIPT: &str = "/var/lib/cefctl/receipt.json";
pub const JOURNAL: &str = "/var/lib/cefctl/journal.jsonl";

/// Handle on the state folder of one machine.
#[derive(Debug, Clone)]
pub struct Store {
    root: Root,
}

impl Store {
    pub fn new(root: &Root) -> Self {
        Store { root: root.clone() }
    }

    /// Takes the lock that keeps a second run out. In `/run`, where nothing outlives a reboot; a tree without it is
    /// locked beside our folder.
    pub fn lock(&self) -> Result<LockAttempt> {
        let is_dir = |p: &&&str| matches!(FileState::at(&self.root, Path::new(*p)), Ok(FileState::Dir { .. }));
        let dir = ["/run", "/var/lib", "/"].iter().find(is_dir).copied().unwrap_or("/");
        let path = Path::new(dir).join("cefctl.lock");
        self.root
            .try_lock(&path)
            .with_context(|| format!("cannot take the lock {}\nhint: changing the machine needs root", path.display()))
    }

    /// Makes our folders, and notes in `made` those above them that were missing. A folder that others may write to is
    /// refused, since what it holds is put back into `/etc`.
    pub fn prepare(&self, made: &mut Vec<PathBuf>) -> Result<()> {
        let missing = |p: &Path| Ok::<_, anyhow::Error>(FileState::at(&self.root, p)? == FileState::Absent);
        for dir in ["/var", "/var/lib"].map(Path::new) {
            if missing(dir)? {
                self.make_dir(dir, 0o755)?;
                made.push(dir.to_owned());
            }
        }
        for dir in [STATE_DIR, BACKUP_DIR].map(Path::new) {
            if missing(dir)? {
                self.make_dir(dir, 0o700)?;
            }
            self.must_be_ours(dir)?;
        }
        Ok(())
    }

    fn make_dir(&self, dir: &Path, mode: u32) -> Result<()> {
        self.root.create_dir(dir, mode, None).with_context(|| format!("cannot make the folder {}", dir.display()))
    }

    fn must_be_ours(&self, dir: &Path) -> Result<()> {
        let meta = self.root.stat(dir)?;
        let me = nix::unistd::Uid::effective().as_raw();
        match meta {
            Some(m) if m.kind == FileKind::Dir && m.mode & 0o022 == 0 && (m.uid == me || m.uid == 0) => Ok(()),
            _ => bail!(
                "{0} is not a folder that only root may write to\nhint: look at what it is (ls -ld {0}) and move it away",
                dir.display()
            ),
        }
    }

    /// The receipt; `None` if we have done nothing to this machine.
    pub fn receipt(&self) -> Result<Option<Receipt>> {
        let path = Path::new(RECEIPT);
        let Some(bytes) = self.root.read_opt(path).with_context(|| format!("cannot read {RECEIPT}"))? else {
            return Ok(None);
        };
        let unreadable = || {
            format!(
                "{RECEIPT} cannot be understood, so what was done before cannot be taken back\n\
                 hint: restore it from a backup of the machine, or move {STATE_DIR} away and remove our files by hand"
            )
        };
        let json: serde_json::Value = serde_json::from_slice(&bytes).with_context(unreadable)?;
        if let Some(schema) = json.get("schema").and_then(serde_json::Value::as_u64).filter(|s| *s > u64::from(SCHEMA))
        {
            bail!("{RECEIPT} is of a later version of cefctl (format {schema})\nhint: use that version");
        }
        serde_json::from_value(json).map(Some).with_context(unreadable)
    }

    pub fn save_receipt(&self, receipt: &Receipt) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(receipt).context("cannot write the receipt as JSON")?;
        json.push(b'\n');
        let private = Attrs::mode(0o600);
        self.root.write(Path::new(RECEIPT), &json, &private).with_context(|| format!("cannot write {RECEIPT}"))?;
        Ok(())
    }

    /// Keeps the bytes of a file under `name` and returns what it takes to restore the file.
    pub fn save(&self, path: &Path, state: FileState, content: Option<&[u8]>, name: &str) -> Result<Saved> {
        let Some(content) = content else {
            return Ok(Saved { state, ..Saved::absent() });
        };
        hit("plan.backup")?;
        let attrs =
            self.root.attrs(path).with_context(|| format!("cannot read the attributes of {}", path.display()))?;
        let to = Path::new(BACKUP_DIR).join(name);
        self.root
            .write(&to, content, &Attrs::mode(0o600))
            .with_context(|| format!("cannot keep a backup of {} as {}", path.display(), to.display()))?;
        Ok(Saved { state, attrs, backup: Some(name.to_owned()), secret: false })
    }

    /// The bytes of a saved file.
    pub fn saved_content(&self, saved: &Saved) -> Result<Vec<u8>> {
        let name = saved.backup.as_deref().filter(|n| !n.is_empty() && !n.contains('/'));
        let Some(name) = name else { bail!("no backup was kept") };
        let path = Path::new(BACKUP_DIR).join(name);
        let bytes = self.root.read(&path).with_context(|| format!("cannot read the backup {}", path.display()))?;
        match &saved.state {
            FileState::File { sha256: wanted, .. } if *wanted == sha256(&bytes) => Ok(bytes),
            _ => bail!("the backup {} is not what was saved", path.display()),
        }
    }

    /// Removes the receipt; one that is gone is no error.
    pub fn forget_receipt(&self) -> Result<()> {
        self.remove(Path::new(RECEIPT))
    }

    pub fn remove_journal(&self) -> Result<()> {
        self.remove(Path::new(JOURNAL))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match self.root.remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Removes backups that nobody needs and what a killed run left; then our folders and `made`, as far as they are
    /// empty. Nothing else is ever removed.
    pub fn tidy(&self, needed: &BTreeSet<String>, made: &[PathBuf]) -> Result<()> {
        let (state, backup) = (Path::new(STATE_DIR), Path::new(BACKUP_DIR));
        // A kill may have come while the folders themselves were being made.
        self.remove_temps(&["/", "/var", "/var/lib"])?;
        if FileState::at(&self.root, state)? == FileState::Absent {
            return Ok(());
        }
        self.must_be_ours(state)?;
        self.remove_temps(&[STATE_DIR, BACKUP_DIR])?;
        if FileState::at(&self.root, backup)? != FileState::Absent {
            for name in self.root.list(backup).with_context(|| format!("cannot list {BACKUP_DIR}"))? {
                if !name.to_str().is_some_and(|n| needed.contains(n)) {
                    self.remove(&backup.join(name))?;
                }
            }
        }
        for dir in [backup, state].into_iter().chain(made.iter().rev().map(PathBuf::as_path)) {
            self.remove_if_empty(dir)?;
        }
        Ok(())
    }

    fn remove_temps(&self, dirs: &[&str]) -> Result<()> {
        for dir in dirs {
            self.root.remove_temps(Path::new(dir)).with_context(|| format!("cannot tidy {dir}"))?;
        }
        Ok(())
    }

    fn remove_if_empty(&self, dir: &Path) -> Result<()> {
        match self.root.list(dir) {
            Ok(names) if names.is_empty() => {
                self.root.remove_dir(dir).with_context(|| format!("cannot remove {}", dir.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::receipt::{Entry, Record};

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&Root::at(dir.path()));
        (dir, store)
    }

    #[test]
    fn comes_and_goes_without_a_trace() {
        let (_dir, store) = store();
        let mut made = Vec::new();
        store.prepare(&mut made).unwrap();
        assert_eq!(made, [Path::new("/var"), Path::new("/var/lib")]);
        assert_eq!(store.root.stat(Path::new(STATE_DIR)).unwrap().unwrap().mode, 0o700);
        store.prepare(&mut Vec::new()).unwrap();
        store.tidy(&BTreeSet::new(), &made).unwrap();
        assert!(store.root.list(Path::new("/")).unwrap().is_empty());
    }

    #[test]
    fn a_backup_that_was_tampered_with_is_not_used() {
        let (_dir, store) = store();
        store.prepare(&mut Vec::new()).unwrap();
        store.root.write(Path::new("/f"), b"secret", &Attrs::mode(0o644)).unwrap();
        let (state, content) = FileState::look(&store.root, Path::new("/f")).unwrap();
        let saved = store.save(Path::new("/f"), state, content.as_deref(), "b-1").unwrap();
        assert_eq!(store.saved_content(&saved).unwrap(), b"secret");
        let backup = Path::new(BACKUP_DIR).join("b-1");
        assert_eq!(store.root.stat(&backup).unwrap().unwrap().mode, 0o600);
        store.root.write(&backup, b"changed", &Attrs::default()).unwrap();
        assert!(store.saved_content(&saved).unwrap_err().to_string().contains("not what was saved"));
        let escape = Saved { backup: Some("../receipt.json".into()), ..saved };
        assert!(store.saved_content(&escape).is_err());
    }

    #[test]
    fn needed_backups_stay_when_tidying() {
        let (_dir, store) = store();
        store.prepare(&mut Vec::new()).unwrap();
        for name in ["keep", "drop"] {
            store.root.write(&Path::new(BACKUP_DIR).join(name), b"", &Attrs::default()).unwrap();
        }
        store.tidy(&BTreeSet::from(["keep".to_owned()]), &[]).unwrap();
        assert_eq!(store.root.list(Path::new(BACKUP_DIR)).unwrap(), ["keep"]);
    }

    #[test]
    fn a_receipt_comes_back_and_a_broken_or_later_one_is_refused() {
        let (_dir, store) = store();
        assert_eq!(store.receipt().unwrap(), None);
        store.prepare(&mut Vec::new()).unwrap();
        let mut receipt = Receipt::new("now");
        receipt.merge([Record::Put(Entry::Dir { path: "/d".into(), fix: false })], &[]);
        store.save_receipt(&receipt).unwrap();
        assert_eq!(store.receipt().unwrap(), Some(receipt));
        for (bytes, word) in
            [(&b"{\"schema\": 1, \"ent"[..], "hint:"), (b"\xff\x00", "hint:"), (b"{\"schema\": 7}", "later version")]
        {
            store.root.write(Path::new(RECEIPT), bytes, &Attrs::default()).unwrap();
            let error = format!("{:#}", store.receipt().unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let (_dir, store) = store();
        store.make_dir(Path::new("/var"), 0o755).unwrap();
        store.make_dir(Path::new("/var/lib"), 0o755).unwrap();
        store.make_dir(Path::new(STATE_DIR), 0o777).unwrap();
        assert!(store.prepare(&mut Vec::new()).unwrap_err().to_string().contains("hint:"));
        assert!(store.tidy(&BTreeSet::new(), &[]).is_err());
    }
}
