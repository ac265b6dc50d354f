//! The way back, planned from the receipt: what is still as we left it returns to what was there before us; what
//! others have changed since is never lost. The same is done by an install for what it no longer wishes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::block;
use super::build::{Builder, Plan};
use super::change::{Change, ServiceChange, When, WriteFile};
use super::receipt::{Entry, Receipt};
use super::state::{FileState, Saved, ServiceState};
use super::store::Store;
use super::undo::{copy_path, shown};
use crate::host::Host;
use crate::platform::control;
use crate::platform::service_act::{Action, Services};
use crate::platform::setting::Setting;

/// The plan that takes back everything on `receipt`; packages, which others may rely on by now, only if asked.
///
/// Errors: a backup is missing or damaged; a file cannot be read.
pub fn plan_uninstall(host: &Host, receipt: &Receipt, packages: bool) -> Result<Plan> {
    let brought: Vec<&Setting> = receipt.packages().collect();
    let leaves = packages && !brought.is_empty();
    let services = Services::detect(host);
    let mut way = WayBack { host, builder: Builder::new(host, &services), services: &services, by_hand: false };
    for service in receipt.services.iter().rev() {
        way.service_down(service)?;
    }
    for entry in receipt.entries.iter().rev() {
        way.entry(entry)?;
    }
    for service in receipt.services.iter().filter(|_| !leaves) {
        way.service_up(service)?;
    }
    // Last of all, since a daemon that goes down may still write into its spool folder.
    for entry in receipt.entries.iter().rev() {
        way.folder(entry)?;
    }
    // What came later may need what came before.
    for setting in brought.into_iter().rev() {
        match packages {
            true => way.builder.add(Change::Unset(setting.clone()))?,
            false => way.builder.note(format!(
                "{} stays, since others may rely on it by now; --packages removes what install has installed",
                setting.noun()
            )),
        }
    }
    Ok(way.builder.plan)
}

/// The plan that fulfils `changes` and takes back files and folders on `receipt` that are not among them. Marked
/// blocks and removed files stay: whoever wishes may no longer see why they were needed, because they are done.
pub fn plan_install(host: &Host, receipt: Option<&Receipt>, changes: Vec<Change>) -> Result<Plan> {
    let services = Services::detect(host);
    let mut way = WayBack { host, builder: Builder::new(host, &services), services: &services, by_hand: false };
    let entries = receipt.map(|r| r.entries.as_slice()).unwrap_or_default();
    let wished: Vec<PathBuf> = changes.iter().filter_map(Change::path).map(|p| real(host, p)).collect::<Result<_>>()?;
    let set = |c: &Change| match c {
        Change::Set(setting) => Some(setting.clone()),
        _ => None,
    };
    let settings: Vec<Setting> = changes.iter().filter_map(set).collect();
    let obsolete = |e: &&Entry| {
        let written = |e: &Entry| matches!(e, Entry::File { after: FileState::File { .. }, fix: false, .. });
        let file = written(e) || matches!(e, Entry::Dir { fix: false, .. });
        match e {
            // Openings stay until an install wishes for others: one that does not mention them has no opinion.
            Entry::Setting { setting, fix: false } => {
                let same_kind = |s: &Setting| s.opening().is_some() == setting.opening().is_some();
                settings.iter().any(same_kind) && !settings.iter().any(|s| s.is_same(setting))
            }
            _ => file && !wished.iter().any(|w| Some(w.as_path()) == e.path()),
        }
    };
    for entry in entries.iter().rev().filter(obsolete) {
        way.entry(entry)?;
    }
    // No service has read a setting that was taken back.
    let took_back = way.builder.plan.steps.iter().any(|s| matches!(s.op, super::build::Op::File(_)));
    for change in changes {
        if let Change::WriteFile(wish) = &change {
            way.keep_users_version(wish, entries)?;
            way.keep_damaged_version(wish)?;
        }
        way.builder.add(change)?;
    }
    if took_back {
        for service in receipt.iter().flat_map(|r| &r.services) {
            way.forgotten_service(service)?;
        }
    }
    for entry in entries.iter().rev().filter(obsolete) {
        way.folder(entry)?;
    }
    Ok(way.builder.plan)
}

fn real(host: &Host, path: &Path) -> Result<PathBuf> {
    host.root.resolve(path).with_context(|| format!("cannot follow the links of {}", path.display()))
}

/// A file without what is left of a block of ours.
fn scrubbed(path: &Path, without: Vec<u8>) -> Change {
    let wish = WriteFile::new(path, without).purpose("what is left of our block goes");
    WriteFile { for_user: true, ..wish }.into()
}

struct WayBack<'a> {
    host: &'a Host,
    services: &'a Services<'a>,
    builder: Builder<'a>,
    /// Somebody has taken something back already: whether the service knows is not known.
    by_hand: bool,
}

impl WayBack<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        match entry {
            Entry::File { path, before, after, .. } => self.file(path, before, after),
            Entry::Block { path, id, content } => self.block(path, id, content),
            Entry::Dir { .. } => Ok(()),
            // At the very end, if at all.
            Entry::Setting { setting, .. } if !setting.packages().is_empty() => Ok(()),
            Entry::Setting { setting, .. } => self.builder.add(Change::Unset(setting.clone())),
        }
    }

    fn folder(&mut self, entry: &Entry) -> Result<()> {
        match entry {
            Entry::Dir { path, .. } => self.builder.add(Change::RemoveDir { path: path.clone() }),
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path, before: &Saved, after: &FileState) -> Result<()> {
        let (now, content) = self.builder.look(path)?;
        if now == before.state {
            self.by_hand |= now != *after;
            return Ok(());
        }
        let restore = Change::Restore { path: path.to_owned(), saved: before.clone() };
        match (&now, &content) {
            (now, _) if now.same_content(after) => {}
            // Gone is gone, but what was there before us comes back.
            (FileState::Absent, _) => {}
            (FileState::File { .. }, Some(content)) if matches!(after, FileState::File { .. }) => {
                self.keep(path, content, now.mode(), now.owner(), before.secret)?;
                let copy = copy_path(&self.host.root, path, content)?;
                self.builder.note(format!(
                    "{} was changed after it was installed; that version is kept as {}",
                    shown(path),
                    shown(&copy)
                ));
            }
            // Somebody has put something of theirs where we had made room; it stays, and what was there before is
            // kept beside it.
            _ => return self.keep_original(path, before, &now),
        }
        self.builder.add(restore)
    }

    fn keep_original(&mut self, path: &Path, before: &Saved, now: &FileState) -> Result<()> {
        let mut note = format!("{} is now {} of somebody else and is left alone", shown(path), now.noun());
        if let FileState::File { .. } = before.state {
            let content = Store::new(&self.host.root).saved_content(before)?;
            let copy = copy_path(&self.host.root, path, &content)?;
            self.keep(path, &content, before.state.mode(), before.state.owner(), before.secret)?;
            note = format!("{note}; what was there before is kept as {}", shown(&copy));
        }
        self.builder.note(note);
        Ok(())
    }

    /// Plans a copy of `content` beside `path`.
    fn keep(
        &mut self,
        path: &Path,
        content: &[u8],
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
        secret: bool,
    ) -> Result<()> {
        let copy = copy_path(&self.host.root, path, content)?;
        let wish = WriteFile { mode, owner, secret, for_user: true, ..WriteFile::new(copy, content) };
        self.builder.add(wish.into())
    }

    /// An install is about to write over a file of ours that the user has edited.
    fn keep_users_version(&mut self, wish: &WriteFile, entries: &[Entry]) -> Result<()> {
        let path = real(self.host, &wish.path)?;
        let ours = entries.iter().find_map(|e| match e {
            Entry::File { path: p, after: after @ FileState::File { .. }, .. } if *p == path => Some(after),
            _ => None,
        });
        let (now, content) = self.builder.look(&path)?;
        let (Some(after), Some(content)) = (ours, content) else { return Ok(()) };
        if now.same_content(after) || content == wish.content {
            return Ok(());
        }
        let copy = copy_path(&self.host.root, &path, &content)?;
        self.keep(&path, &content, now.mode(), now.owner(), wish.secret)?;
        self.builder.note(format!(
            "{} was changed after it was installed; that version is kept as {}",
            shown(&path),
            shown(&copy)
        ));
        Ok(())
    }

    /// A repair is for good, so what was there before is kept where a person finds it.
    fn keep_damaged_version(&mut self, wish: &WriteFile) -> Result<()> {
        let path = real(self.host, &wish.path)?;
        match self.builder.look(&path)? {
            (now, Some(content)) if wish.lasting && content != wish.content => {
                self.keep(&path, &content, now.mode(), now.owner(), wish.secret)
            }
            _ => Ok(()),
        }
    }

    fn block(&mut self, path: &Path, id: &str, body: &[u8]) -> Result<()> {
        let (_, content) = self.builder.look(path)?;
        let Some(content) = content else {
            self.by_hand = true;
            return Ok(());
        };
        let unmarked = block::take(&content, id) == Ok(None);
        if let Some(without) = block::scrub_signed(&content, body).filter(|_| unmarked) {
            return self.builder.add(scrubbed(path, without));
        }
        if let Ok(without) = block::take(&content, id) {
            self.by_hand |= without.is_none();
            return self.builder.add(Change::TakeBlock { path: path.to_owned(), id: id.to_owned() });
        }
        match block::scrub(&content, id, body) {
            Some(without) => self.builder.add(scrubbed(path, without)),
            None => {
                self.builder.note(format!(
                    "the marks of our block \"{id}\" in {0} are damaged, so it stays\n\
                     hint: remove what is left of it from {0} by hand",
                    shown(path)
                ));
                Ok(())
            }
        }
    }

    /// Off, and not started at boot, before its files go.
    fn service_down(&mut self, before: &ServiceState) -> Result<()> {
        if !before.is_wanted() {
            self.builder.add(ServiceChange::new(&before.unit, Action::Stop).into())?;
        }
        if !before.enabled {
            self.builder.add(ServiceChange::new(&before.unit, Action::Disable).into())?;
        }
        Ok(())
    }

    /// On with its configuration of before, once its files are back.
    fn service_up(&mut self, before: &ServiceState) -> Result<()> {
        if !before.is_wanted() && !before.enabled && before.sockets.is_empty() {
            return Ok(());
        }
        let state = self.services.state(&before.unit)?;
        if !state.exists() || state.is_masked() {
            self.builder.note(format!("{} is gone or masked by now and is left alone", before.unit));
            return Ok(());
        }
        if before.enabled {
            self.builder.add(ServiceChange::new(&before.unit, Action::Enable).into())?;
        }
        if before.is_wanted() {
            // A reload keeps the connections of senders.
            let again = if control::answers(&before.unit) { Action::Reload } else { Action::Restart };
            let when = if self.by_hand { When::Always } else { When::AnyChange };
            self.builder.add(ServiceChange::new(&before.unit, again).when(when).into())?;
            self.builder.add(ServiceChange::new(&before.unit, Action::Start).into())?;
        }
        for socket in &before.sockets {
            if !self.services.state(socket)?.exists() {
                continue;
            }
            self.builder.add(ServiceChange::new(socket, Action::Start).into())?;
        }
        Ok(())
    }

    /// A service of an earlier install that this one does not name: its files have been taken back.
    fn forgotten_service(&mut self, before: &ServiceState) -> Result<()> {
        let named = |step: &super::build::Step| match &step.op {
            super::build::Op::Service(op) => op.unit == before.unit,
            super::build::Op::File(_) | super::build::Op::Setting(_) => false,
        };
        if self.builder.plan.steps.iter().any(named) {
            return Ok(());
        }
        self.service_down(before)?;
        // One that is down by now was not stopped by us: it may be dead for good, and need not come up for this install.
        if !self.services.state(&before.unit)?.is_active() {
            self.builder.note(format!("{} is not running and is left alone", before.unit));
            return Ok(());
        }
        self.service_up(before)
    }
}
