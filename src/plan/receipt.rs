//! What we have done to this machine, kept for the day it is to be taken back. Later installs are merged into it: what
//! was there before the very first one stays the state that uninstall restores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::encode;
use super::state::{FileState, Saved, ServiceState};
use crate::host::Clock;
use crate::platform::setting::Setting;

/// Version of the format; a receipt of a later one is refused, not guessed at.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub schema: u32,
    /// Version of the tool that wrote it last.
    pub version: String,
    /// RFC 3339, UTC.
    pub installed: String,
    pub updated: String,
    /// The options of the last install, as the command line gave them. Never secrets.
    pub options: serde_json::Value,
    /// In the order they were made; taken back in the opposite one.
    pub entries: Vec<Entry>,
    /// How the services were before we first touched them.
    pub services: Vec<ServiceState>,
    /// Folders above our state folder that were missing before.
    #[serde(default)]
    pub made_dirs: Vec<PathBuf>,
}

/// One thing to take back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A file we wrote or removed.
    File {
        #[serde(with = "encode::path")]
        path: PathBuf,
        before: Saved,
        /// As we left it.
        after: FileState,
        /// Made by a repair: an install that does not wish it leaves it alone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fix: bool,
    },
    /// A block of ours in somebody else's file.
    Block {
        #[serde(with = "encode::path")]
        path: PathBuf,
        id: String,
        /// To find it again where its marks are damaged.
        #[serde(with = "encode::bytes")]
        content: Vec<u8>,
    },
    /// A folder we made.
    Dir {
        #[serde(with = "encode::path")]
        path: PathBuf,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fix: bool,
    },
    /// A setting of a tool's that we made.
    Setting {
        setting: Setting,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fix: bool,
    },
}

impl Entry {
    /// Where it is, if it is a file or folder.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Entry::File { path, .. } | Entry::Block { path, .. } | Entry::Dir { path, .. } => Some(path),
            Entry::Setting { .. } => None,
        }
    }
}

/// What a finished step means for the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    Put(Entry),
    BlockTaken {
        #[serde(with = "encode::path")]
        path: PathBuf,
        id: String,
    },
    DirGone {
        #[serde(with = "encode::path")]
        path: PathBuf,
    },
    SettingGone {
        setting: Setting,
    },
}

/// Now, as receipts have it: RFC 3339, UTC.
pub fn timestamp(clock: &dyn Clock) -> String {
    clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Receipt {
    /// A receipt with nothing on it yet; `now` in RFC 3339.
    pub fn new(now: &str) -> Self {
        Receipt {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            installed: now.to_owned(),
            updated: now.to_owned(),
            options: serde_json::Value::Null,
            entries: Vec::new(),
            services: Vec::new(),
            made_dirs: Vec::new(),
        }
    }

    /// Adds what a run did. What was there before the first change of a path or service stays; what has come back to
    /// that state is dropped.
    pub fn merge(&mut self, records: impl IntoIterator<Item = Record>, services: &[ServiceState]) {
        for record in records {
            match record {
                Record::Put(entry) => self.put(entry),
                Record::BlockTaken { path, id } => {
                    self.entries
                        .retain(|e| !matches!(e, Entry::Block { path: p, id: i, .. } if *p == path && *i == id));
                }
                Record::SettingGone { setting } => {
                    self.entries.retain(|e| !matches!(e, Entry::Setting { setting: s, .. } if s.is_same(&setting)));
                }
                Record::DirGone { path } => {
                    self.entries.retain(|e| !matches!(e, Entry::Dir { path: p, .. } if *p == path));
                }
            }
        }
        for service in services {
            if !self.services.iter().any(|s| s.unit == service.unit) {
                self.services.push(ServiceState { main_pid: None, ..service.clone() });
            }
        }
    }

    fn put(&mut self, new: Entry) {
        let same_thing = |old: &Entry| match (old, &new) {
            (Entry::Block { id: a, .. }, Entry::Block { id: b, .. }) => a == b && old.path() == new.path(),
            (Entry::Setting { setting: a, .. }, Entry::Setting { setting: b, .. }) => a.is_same(b),
            (Entry::Setting { .. }, _) | (_, Entry::Setting { .. }) => false,
            (Entry::Block { .. }, _) | (_, Entry::Block { .. }) => false,
            _ => old.path() == new.path(),
        };
        let Some(at) = self.entries.iter().position(same_thing) else {
            self.entries.push(new);
            return;
        };
        let back = match (self.entries.get_mut(at), new) {
            (Some(Entry::File { before, after, .. }), Entry::File { after: now, .. }) => {
                *after = now;
                before.state == *after
            }
            (Some(old), new) => {
                *old = new;
                false
            }
            (None, _) => false,
        };
        if back {
            self.entries.remove(at);
        }
    }

    /// Packages that an install has brought.
    pub fn packages(&self) -> impl Iterator<Item = &Setting> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Setting { setting, .. } if !setting.packages().is_empty() => Some(setting),
            _ => None,
        })
    }

    /// Names of the backups it needs.
    pub fn backups(&self) -> BTreeSet<String> {
        let backup = |entry: &Entry| match entry {
            Entry::File { before, .. } => before.backup.clone(),
            _ => None,
        };
        self.entries.iter().filter_map(backup).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> FileState {
        FileState::of_file(content.as_bytes(), 0o644, (0, 0))
    }

    fn saved(content: &str, backup: &str) -> Saved {
        Saved { state: file(content), backup: Some(backup.into()), ..Saved::absent() }
    }

    fn put(path: &str, before: Saved, after: FileState) -> Record {
        Record::Put(Entry::File { path: path.into(), before, after, fix: false })
    }

    fn service(active: bool) -> ServiceState {
        ServiceState {
            unit: "x.service".into(),
            active,
            enabled: true,
            main_pid: Some(1),
            sockets: vec![],
            failed: false,
        }
    }

    #[test]
    fn the_first_state_stays() {
        let mut receipt = Receipt::new("then");
        receipt.merge([put("/a", saved("theirs", "b1"), file("v1"))], &[service(false)]);
        receipt.merge([put("/a", saved("v1", "b2"), file("v2"))], &[service(true)]);
        let Entry::File { before, after, .. } = &receipt.entries[0] else { panic!() };
        assert_eq!((before, after), (&saved("theirs", "b1"), &file("v2")));
        assert_eq!(receipt.entries.len(), 1);
        assert_eq!(receipt.backups().into_iter().collect::<Vec<_>>(), ["b1"]);
        assert!(!receipt.services[0].active);
    }

    #[test]
    fn what_came_back_is_dropped() {
        let mut receipt = Receipt::new("then");
        let block = Entry::Block { path: "/m".into(), id: "i".into(), content: b"c".to_vec() };
        let records = [
            put("/a", Saved::absent(), file("v1")),
            Record::Put(block.clone()),
            Record::Put(block),
            Record::Put(Entry::Dir { path: "/d".into(), fix: false }),
        ];
        receipt.merge(records, &[]);
        assert_eq!(receipt.entries.len(), 3);
        let gone = [
            put("/a", saved("v1", "b"), FileState::Absent),
            Record::BlockTaken { path: "/m".into(), id: "i".into() },
            Record::DirGone { path: "/d".into() },
        ];
        receipt.merge(gone, &[]);
        assert_eq!(receipt.entries, []);
    }

    #[test]
    fn survives_json() {
        use std::os::unix::ffi::OsStringExt;
        let mut receipt = Receipt::new("then");
        let odd = std::ffi::OsString::from_vec(b"/etc/\xff".to_vec());
        receipt.merge([Record::Put(Entry::Block { path: odd.into(), id: "i".into(), content: vec![0xfe] })], &[]);
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    }
}
