//! What can be changed: a closed set of wishes, each saying how a path or service shall be. Planning finds out what is
//! there and whether anything is left to do.

use std::path::{Path, PathBuf};

use super::state::Saved;
use crate::platform::service_act::Action;
use crate::platform::setting::Setting;

/// One wish. Kinds to come (package) are further variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    WriteFile(WriteFile),
    EditBlock(EditBlock),
    /// Takes our marked block out of a file that is not ours.
    TakeBlock {
        path: PathBuf,
        id: String,
    },
    /// Removes a file or link that is there; a backup is kept.
    RemoveFile {
        path: PathBuf,
        /// The content is shown nowhere.
        secret: bool,
        /// A repair, which uninstall does not take back.
        lasting: bool,
    },
    /// Makes a folder. One that is there is left as it is, whatever its mode.
    CreateDir {
        path: PathBuf,
        mode: u32,
        owner: Option<(u32, u32)>,
    },
    /// Mode and owner of a file or folder that is there, for good: a repair that stays when everything else is taken back.
    /// `None`: as it is.
    Access {
        path: PathBuf,
        mode: u32,
        owner: Option<(u32, u32)>,
    },
    /// Removes a folder if it is empty then.
    RemoveDir {
        path: PathBuf,
    },
    /// Puts a path back as it was saved.
    Restore {
        path: PathBuf,
        saved: Saved,
    },
    Service(ServiceChange),
    /// A setting in the hands of a tool shall be so.
    Set(Setting),
    /// A setting of ours shall be gone.
    Unset(Setting),
}

impl Change {
    /// The path it is about, as it was wished: links not followed.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Change::WriteFile(wish) => Some(&wish.path),
            Change::EditBlock(wish) => Some(&wish.path),
            Change::TakeBlock { path, .. }
            | Change::RemoveFile { path, .. }
            | Change::CreateDir { path, .. }
            | Change::Access { path, .. }
            | Change::RemoveDir { path }
            | Change::Restore { path, .. } => Some(path),
            Change::Service(_) | Change::Set(_) | Change::Unset(_) => None,
        }
    }
}

/// A whole file that shall have these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFile {
    /// Links are followed to the real file.
    pub path: PathBuf,
    pub content: Vec<u8>,
    /// Permission bits; else those of the old file, else 0644.
    pub mode: Option<u32>,
    /// User and group id; else those of the old file, else of the folder.
    pub owner: Option<(u32, u32)>,
    /// What the file is for, as half a sentence; may be empty.
    pub purpose: String,
    /// The content is shown nowhere.
    pub secret: bool,
    /// Not part of what uninstall takes back: a copy kept for the user.
    pub(super) for_user: bool,
    /// Not part of what uninstall takes back: a repair that shall stay. The version before is kept beside the file.
    pub(super) lasting: bool,
}

impl WriteFile {
    pub fn new(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        WriteFile {
            path: path.into(),
            content: content.into(),
            mode: None,
            owner: None,
            purpose: String::new(),
            secret: false,
            for_user: false,
            lasting: false,
        }
    }
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.owner = Some((uid, gid));
        self
    }
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = purpose.into();
        self
    }
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
    /// A repair that stays when everything else is taken back.
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }
}

/// A marked block inside a file that is not ours. Only the block is put in, kept up to date and taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditBlock {
    /// Must exist; links are followed.
    pub path: PathBuf,
    /// Tells our blocks in one file apart; lower-case letters, digits and `-`.
    pub id: String,
    pub content: Vec<u8>,
    /// Where the block goes if it is not in the file yet.
    pub place: Place,
    /// As in [`WriteFile`].
    pub purpose: String,
}

impl EditBlock {
    pub fn new(path: impl Into<PathBuf>, id: impl Into<String>, content: impl Into<Vec<u8>>, place: Place) -> Self {
        EditBlock { path: path.into(), id: id.into(), content: content.into(), place, purpose: String::new() }
    }
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = purpose.into();
        self
    }
}

/// Where a new block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Prepend,
    Append,
    /// At this byte of the file as it is now. Within a line that line is split, until the block is taken out.
    At(usize),
}

/// A service that shall be started, stopped …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChange {
    /// Aliases will do.
    pub unit: String,
    pub action: Action,
    pub when: When,
}

impl ServiceChange {
    /// Restart and reload only if something before them in the plan changes; the others as their state says.
    pub fn new(unit: impl Into<String>, action: Action) -> Self {
        ServiceChange { unit: unit.into(), action, when: When::AnyChange }
    }
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }
}

/// When a restart or reload is needed; the other actions look at the unit's state instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    Always,
    /// A file or folder changes earlier in the plan.
    AnyChange,
    /// One of these paths, or something below one of them, changes earlier in the plan.
    Changed(Vec<PathBuf>),
}

impl From<WriteFile> for Change {
    fn from(change: WriteFile) -> Self {
        Change::WriteFile(change)
    }
}
impl From<EditBlock> for Change {
    fn from(change: EditBlock) -> Self {
        Change::EditBlock(change)
    }
}
impl From<Setting> for Change {
    fn from(setting: Setting) -> Self {
        Change::Set(setting)
    }
}
impl From<ServiceChange> for Change {
    fn from(change: ServiceChange) -> Self {
        Change::Service(change)
    }
}
