//! From wishes to steps: looks at what is there, drops what is already as wished, and works out for each step the
//! state before it (the precondition) and after it. Steps see the effect of the steps before them, so that a file may
//! go into a folder that the plan makes. Reads only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::block;
use super::change::{Change, EditBlock, ServiceChange, When, WriteFile};
use super::state::{FileState, Saved, ServiceState};
use super::store::Store;
use crate::host::writer::NEW_FILE_MODE;
use crate::host::{Attrs, Host};
use crate::platform::service_act::{Action, ServiceError, Services};
use crate::platform::setting::Setting;

/// Steps to take, in order, and what the user should know besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
}

/// One wish that is not fulfilled yet, and how to fulfil it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub change: Change,
    pub op: Op,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    File(Box<FileOp>),
    Service(ServiceOp),
    Setting(SettingOp),
}

/// What is done to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOp {
    /// The real file, links followed.
    pub path: PathBuf,
    pub before: FileState,
    pub after: FileState,
    pub put: Put,
    /// Bytes of the file before; empty where there is none.
    pub old: Vec<u8>,
}

/// What shall be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    File { content: Vec<u8>, attrs: Attrs },
    Link { target: PathBuf, owner: (u32, u32) },
    Dir { mode: u32, owner: (u32, u32) },
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOp {
    /// The unit's own name.
    pub unit: String,
    pub action: Action,
    pub before: ServiceState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingOp {
    pub setting: Setting,
    /// Made, else taken back.
    pub make: bool,
}

impl Plan {
    /// The steps that fulfil `changes`; empty if nothing is left to do.
    ///
    /// Errors: something is in the way (a folder where a file shall be), a file cannot be read, a unit is missing.
    pub fn build(host: &Host, changes: impl IntoIterator<Item = Change>) -> Result<Plan> {
        let services = Services::detect(host);
        let mut builder = Builder::new(host, &services);
        for change in changes {
            builder.add(change)?;
        }
        Ok(builder.plan)
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A plan being built, and the machine as it will be after the steps so far.
pub(super) struct Builder<'a> {
    host: &'a Host,
    services: &'a Services<'a>,
    store: Store,
    files: BTreeMap<PathBuf, (FileState, Option<Vec<u8>>)>,
    units: BTreeMap<String, ServiceState>,
    settings: Vec<(Setting, bool)>,
    pub plan: Plan,
}

impl<'a> Builder<'a> {
    pub fn new(host: &'a Host, services: &'a Services<'a>) -> Self {
        Builder {
            host,
            services,
            store: Store::new(&host.root),
            files: BTreeMap::new(),
            units: BTreeMap::new(),
            settings: Vec::new(),
            plan: Plan::default(),
        }
    }

    pub fn note(&mut self, note: String) {
        self.plan.notes.push(note);
    }

    pub fn add(&mut self, change: Change) -> Result<()> {
        match &change {
            Change::WriteFile(wish) => {
                let op = self.write(wish).with_context(|| format!("cannot plan {}", wish.path.display()))?;
                self.push_file(change, op);
            }
            Change::EditBlock(wish) => {
                let op = self.edit(wish).with_context(|| format!("cannot plan {}", wish.path.display()))?;
                self.push_file(change, op);
            }
            Change::TakeBlock { path, id } => {
                let op = self.take(path, id).with_context(|| format!("cannot plan {}", path.display()))?;
                self.push_file(change, op);
            }
            Change::RemoveFile { path, .. } => {
                let op = self.remove(path).with_context(|| format!("cannot plan {}", path.display()))?;
                self.push_file(change, op);
            }
            Change::CreateDir { path, mode, owner } => {
                let (mode, owner) = (*mode, *owner);
                let op = self.make_dir(path, mode, owner).with_context(|| format!("cannot plan {}", path.display()))?;
                self.push_file(change, op);
            }
            Change::Access { path, mode, owner } => {
                let op = self.access(path, *mode, *owner).with_context(|| format!("cannot plan {}", path.display()))?;
                self.push_file(change, op);
            }
            Change::RemoveDir { path } => {
                let op = self.remove_dir(path)?;
                self.push_file(change, op);
            }
            Change::Restore { path, saved } => {
                let op = self.restore(path, saved).with_context(|| format!("cannot restore {}", path.display()))?;
                self.push_file(change, op);
            }
            Change::Service(wish) => self.add_service(wish)?,
            Change::Set(setting) | Change::Unset(setting) => {
                let make = matches!(change, Change::Set(_));
                if self.has_setting(setting)? != make {
                    let setting = setting.clone();
                    self.settings.push((setting.clone(), make));
                    self.plan.steps.push(Step { op: Op::Setting(SettingOp { setting, make }), change });
                }
            }
        }
        Ok(())
    }

    /// State and bytes of a path after the steps so far.
    pub fn look(&self, path: &Path) -> Result<(FileState, Option<Vec<u8>>)> {
        match self.files.get(path) {
            Some(seen) => Ok(seen.clone()),
            None => FileState::look(&self.host.root, path),
        }
    }

    /// Is the setting so after the steps so far?
    fn has_setting(&self, setting: &Setting) -> Result<bool> {
        match self.settings.iter().rev().find(|(s, _)| s.is_same(setting)) {
            Some((_, made)) => Ok(*made),
            None => setting.is_set(self.host).with_context(|| format!("cannot find out about {}", setting.noun())),
        }
    }

    fn real(&self, path: &Path) -> Result<PathBuf> {
        if !path.is_absolute() {
            bail!("not an absolute path");
        }
        self.host.root.resolve(path).context("cannot follow its links")
    }

    fn push_file(&mut self, change: Change, op: Option<FileOp>) {
        let Some(op) = op else { return };
        if op.before == op.after {
            return;
        }
        let content = match &op.put {
            Put::File { content, .. } => Some(content.clone()),
            _ => None,
        };
        self.files.insert(op.path.clone(), (op.after.clone(), content));
        self.plan.steps.push(Step { op: Op::File(Box::new(op)), change });
    }

    /// Owner of the folder that holds `path`, which must be there.
    fn parent_owner(&self, path: &Path) -> Result<(u32, u32)> {
        let parent = path.parent().ok_or_else(|| anyhow!("it has no folder"))?;
        match self.look(parent)?.0 {
            FileState::Dir { uid, gid, .. } => Ok((uid, gid)),
            FileState::Absent => {
                bail!("the folder {} does not exist\nhint: is what it belongs to installed?", parent.display())
            }
            other => bail!("{} is {}, not a folder\nhint: move it away", parent.display(), other.noun()),
        }
    }

    fn write(&self, wish: &WriteFile) -> Result<Option<FileOp>> {
        let path = self.real(&wish.path)?;
        let (before, old) = self.look(&path)?;
        must_be_file_or_absent(&before)?;
        let parent = self.parent_owner(&path)?;
        let mode = wish.mode.or(before.mode()).unwrap_or(NEW_FILE_MODE) & 0o7777;
        let owner = wish.owner.or(before.owner()).unwrap_or(parent);
        Ok(Some(file_op(path, before, old, wish.content.clone(), mode, owner)))
    }

    fn edit(&self, wish: &EditBlock) -> Result<Option<FileOp>> {
        let path = self.real(&wish.path)?;
        let (before, old) = self.look(&path)?;
        let (Some(old), Some(mode), Some(owner)) = (old, before.mode(), before.owner()) else {
            bail!("it is {}, and a block can only go into a file", before.noun());
        };
        let new = block::put(&old, &wish.id, &wish.content, wish.place)?;
        Ok(Some(file_op(path, before, Some(old), new, mode, owner)))
    }

    fn take(&self, path: &Path, id: &str) -> Result<Option<FileOp>> {
        let path = self.real(path)?;
        let (before, old) = self.look(&path)?;
        let (Some(old), Some(mode), Some(owner)) = (old, before.mode(), before.owner()) else { return Ok(None) };
        let new = block::take(&old, id)?;
        Ok(new.map(|new| file_op(path, before, Some(old), new, mode, owner)))
    }

    fn remove(&self, path: &Path) -> Result<Option<FileOp>> {
        let path = self.host.root.entry(path).context("cannot follow its links")?;
        let (before, old) = self.look(&path)?;
        match before {
            FileState::Absent | FileState::File { .. } | FileState::Link { .. } => Ok(Some(gone(path, before, old))),
            other => bail!("it is {}, and only files and links are removed", other.noun()),
        }
    }

    fn make_dir(&self, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<Option<FileOp>> {
        let path = self.real(path)?;
        let before = self.look(&path)?.0;
        match before {
            FileState::Dir { .. } => return Ok(None),
            FileState::Absent => {}
            other => bail!("it is {}, not a folder\nhint: move it away", other.noun()),
        }
        let owner = owner.unwrap_or(self.parent_owner(&path)?);
        let mode = mode & 0o7777;
        let after = FileState::Dir { mode, uid: owner.0, gid: owner.1 };
        Ok(Some(FileOp { path, before, after, put: Put::Dir { mode, owner }, old: Vec::new() }))
    }

    fn access(&self, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<Option<FileOp>> {
        let path = self.real(path)?;
        let (before, old) = self.look(&path)?;
        let Some(now) = before.owner() else { bail!("it is {}", before.noun()) };
        let ((uid, gid), mode) = (owner.unwrap_or(now), mode & 0o7777);
        match (&before, old) {
            (FileState::File { .. }, Some(old)) => {
                Ok(Some(file_op(path, before, Some(old.clone()), old, mode, (uid, gid))))
            }
            (FileState::Dir { .. }, _) => {
                let after = FileState::Dir { mode, uid, gid };
                let put = Put::Dir { mode, owner: (uid, gid) };
                Ok(Some(FileOp { path, before, after, put, old: Vec::new() }))
            }
            (other, _) => bail!("it is {}, and only files and folders have a mode", other.noun()),
        }
    }

    fn remove_dir(&mut self, path: &Path) -> Result<Option<FileOp>> {
        let path = self.host.root.entry(path)?;
        let before = self.look(&path)?.0;
        if !matches!(before, FileState::Dir { .. }) {
            return Ok(None);
        }
        for name in self.host.root.list(&path).with_context(|| format!("cannot list {}", path.display()))? {
            if self.look(&path.join(name))?.0 != FileState::Absent {
                self.note(format!("{} is kept: it is not empty", path.display()));
                return Ok(None);
            }
        }
        Ok(Some(gone(path, before, None)))
    }

    fn restore(&self, path: &Path, saved: &Saved) -> Result<Option<FileOp>> {
        let path = self.host.root.entry(path)?;
        let (before, old) = self.look(&path)?;
        let put = put_of(&self.store, saved)?;
        if put != Put::Nothing {
            self.parent_owner(&path)?;
        }
        Ok(Some(FileOp { path, before, after: saved.state.clone(), put, old: old.unwrap_or_default() }))
    }

    /// A unit that is enabled gets its aliases back with it (`syslog.service`), and systemd 252 then takes a running daemon
    /// for a dead one that it no longer watches (seen on Debian 12): therefore it is down while that happens.
    fn add_service(&mut self, wish: &ServiceChange) -> Result<()> {
        let Some(op) = self.service(wish)? else { return Ok(()) };
        let goes_down = wish.action == Action::Enable && op.before.active;
        let around = |action| ServiceChange::new(&wish.unit, action);
        if !goes_down {
            self.push_service(wish, op);
            return Ok(());
        }
        // Looked at above as if it were the only step.
        self.units.insert(op.unit.clone(), op.before);
        for wish in [around(Action::Stop), wish.clone(), around(Action::Start)] {
            if let Some(op) = self.service(&wish)? {
                self.push_service(&wish, op);
            }
        }
        Ok(())
    }

    fn push_service(&mut self, wish: &ServiceChange, op: ServiceOp) {
        self.plan.steps.push(Step { op: Op::Service(op), change: Change::Service(wish.clone()) });
    }

    fn service(&mut self, wish: &ServiceChange) -> Result<Option<ServiceOp>> {
        let action = wish.action;
        let state = self.services.state(&wish.unit)?;
        let made_here = self.files.keys().any(|p| p.file_name().is_some_and(|n| n == state.id.as_str()));
        if !state.exists() && !made_here {
            return match action {
                Action::Stop | Action::Disable => Ok(None),
                _ => Err(ServiceError::NotFound { unit: state.id, verb: action.verb() }.into()),
            };
        }
        // `made_here`: the mask, a link of that name, goes earlier in the plan.
        if state.is_masked() && !made_here && matches!(action, Action::Start | Action::Restart | Action::Enable) {
            return Err(ServiceError::Masked { unit: state.id, verb: action.verb() }.into());
        }
        let now = match self.units.get(&state.id) {
            Some(now) => now.clone(),
            None => ServiceState::of(&state, self.services.active_triggers(&state)?),
        };
        let satisfied = match action {
            Action::Start => now.active,
            Action::Stop => !now.active && now.sockets.is_empty(),
            Action::Enable => now.enabled || !(state.has_switch() || made_here),
            Action::Disable => !now.enabled,
            Action::Restart | Action::Reload => !self.is_due(&wish.when),
        };
        if satisfied {
            return Ok(None);
        }
        if let Some(why) = self.services.refusal(&state.id, action) {
            return Err(why.into());
        }
        let mut then = now.clone();
        match action {
            Action::Start | Action::Restart | Action::Reload => then.active = true,
            Action::Stop => {
                (then.active, then.sockets) = (false, Vec::new());
                for socket in &now.sockets {
                    let down =
                        ServiceState { active: false, ..ServiceState::of(&self.services.state(socket)?, vec![]) };
                    self.units.insert(socket.clone(), down);
                }
            }
            Action::Enable => then.enabled = true,
            Action::Disable => then.enabled = false,
        }
        self.units.insert(state.id.clone(), then);
        Ok(Some(ServiceOp { unit: state.id, action, before: now }))
    }

    fn is_due(&self, when: &When) -> bool {
        match when {
            When::Always => true,
            When::AnyChange => !self.files.is_empty(),
            When::Changed(paths) => self.files.keys().any(|f| paths.iter().any(|p| f.starts_with(p))),
        }
    }
}

/// What puts a saved state back.
pub(super) fn put_of(store: &Store, saved: &Saved) -> Result<Put> {
    Ok(match &saved.state {
        FileState::Absent => Put::Nothing,
        FileState::File { .. } => Put::File { content: store.saved_content(saved)?, attrs: saved.attrs.clone() },
        FileState::Link { target, uid, gid } => Put::Link { target: target.clone(), owner: (*uid, *gid) },
        FileState::Dir { mode, uid, gid } => Put::Dir { mode: *mode, owner: (*uid, *gid) },
        FileState::Other => bail!("a pipe, socket or device cannot be put back"),
    })
}

fn must_be_file_or_absent(state: &FileState) -> Result<()> {
    match state {
        FileState::Absent | FileState::File { .. } => Ok(()),
        other => bail!("it is {}, not a file\nhint: move it away", other.noun()),
    }
}

fn file_op(
    path: PathBuf,
    before: FileState,
    old: Option<Vec<u8>>,
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
) -> FileOp {
    let after = FileState::of_file(&content, mode, owner);
    let attrs = Attrs { owner: Some(owner), ..Attrs::mode(mode) };
    FileOp { path, before, after, put: Put::File { content, attrs }, old: old.unwrap_or_default() }
}

fn gone(path: PathBuf, before: FileState, old: Option<Vec<u8>>) -> FileOp {
    FileOp { path, before, after: FileState::Absent, put: Put::Nothing, old: old.unwrap_or_default() }
}
