//! Going through a plan, step by step: note in the journal how to take the step back, look once more that nobody has
//! changed what it is about, do it. Stops at the first miss; taking back is in `rollback`.

use anyhow::{Context, Result, bail};

use super::build::{FileOp, Op, Plan, Put, ServiceOp, SettingOp, Step};
use super::change::Change;
use super::journal::{Journal, Undo, UndoFile, UndoSetting};
use super::observe::{Event, Observer};
use super::outcome::Interrupted;
use super::receipt::{Entry, Receipt, Record};
use super::state::{FileState, Saved};
use super::store::Store;
use super::undo::{is_not_empty, place, shown};
use crate::host::fault::{hit, hit_file};
use crate::host::{Host, Interrupt};
use crate::platform::service::Active;
use crate::platform::service_act::{Action, Services};

/// A run under way.
pub(super) struct Forward<'a> {
    pub host: &'a Host,
    pub services: &'a Services<'a>,
    pub store: &'a Store,
    pub interrupt: &'a Interrupt,
    pub journal: &'a mut Journal,
    pub observer: &'a mut dyn Observer,
    pub notes: &'a mut Vec<String>,
    /// The run is a repair.
    pub fix: bool,
}

impl Forward<'_> {
    /// Takes all steps, then asks `prove`.
    pub fn run(&mut self, plan: &Plan, prove: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let of = plan.steps.len();
        for (n, step) in plan.steps.iter().enumerate() {
            Interrupted::check(self.interrupt)?;
            let n = n + 1;
            let sentence = step.sentence();
            self.observer.event(&Event::Step { n, of, sentence: &sentence });
            let start = self.host.clock.monotonic();
            match &step.op {
                Op::File(op) => self.file(step, op),
                Op::Service(op) => self.service(op),
                Op::Setting(op) => self.setting(op),
            }
            .with_context(|| format!("step {n} of {of} failed: {sentence}"))?;
            let took = self.host.clock.monotonic().saturating_sub(start);
            self.observer.event(&Event::StepDone { n, of, took });
        }
        Interrupted::check(self.interrupt)?;
        self.observer.event(&Event::Proving);
        hit("plan.prove")?;
        prove()?;
        Interrupted::check(self.interrupt)?;
        Ok(())
    }

    fn file(&mut self, step: &Step, op: &FileOp) -> Result<()> {
        let path = &op.path;
        let (now, content) = FileState::look(&self.host.root, path)?;
        must_be(op, &now)?;
        let name = format!("{}-{}", self.journal.story.header.run, self.journal.story.begun.len());
        let before = self.store.save(path, now, content.as_deref(), &name)?;
        let before = Saved { secret: step.is_secret(), ..before };
        let n = self.journal.begin(Undo::File(Box::new(UndoFile {
            path: path.clone(),
            record: record(&step.change, op, &before, self.fix),
            before,
            after: op.after.clone(),
            block: match &step.change {
                Change::EditBlock(wish) => Some(wish.id.clone()),
                _ => None,
            },
        })))?;
        hit_file("plan.recheck", &self.host.root.real(path))?;
        if let Err(e) = FileState::at(&self.host.root, path).and_then(|now| must_be(op, &now)) {
            // Whatever is there now is not ours to take back. That it is noted matters only if we are killed now.
            let _ = self.journal.skip(n);
            return Err(e);
        }
        hit("plan.apply")?;
        match place(&self.host.root, path, &op.put) {
            Err(e) if op.put == Put::Nothing && is_not_empty(&e) => {
                let note = format!("{} is kept: it is not empty", shown(path));
                self.observer.event(&Event::Note(&note));
                self.notes.push(note);
            }
            other => other?,
        }
        hit("plan.applied")?;
        self.journal.done(n)
    }

    fn service(&mut self, op: &ServiceOp) -> Result<()> {
        let now = self.services.state(&op.unit)?;
        // Somebody has stopped it, and may not want it back. One that fails and is tried again is what we came for.
        if op.before.active && now.active == Active::Inactive && matches!(op.action, Action::Restart | Action::Reload) {
            bail!("{} was running when this was planned and is not any more", op.unit);
        }
        let n = self.journal.begin(Undo::Service { unit: op.unit.clone(), action: op.action })?;
        hit("plan.apply")?;
        let interrupt = self.interrupt;
        self.services.act(&op.unit, op.action, &|| interrupt.is_set())?;
        hit("plan.applied")?;
        self.journal.done(n)
    }
}

impl Forward<'_> {
    fn setting(&mut self, op: &SettingOp) -> Result<()> {
        let (host, setting) = (self.host, &op.setting);
        if setting.is_set(host)? == op.make {
            bail!("somebody else has changed {} since this was planned\nhint: run the command again", setting.noun());
        }
        let record = match op.make {
            true => Record::Put(Entry::Setting { setting: setting.clone(), fix: self.fix }),
            false => Record::SettingGone { setting: setting.clone() },
        };
        let n = self.journal.begin(Undo::Setting(Box::new(UndoSetting {
            setting: setting.clone(),
            made: op.make,
            record,
        })))?;
        hit("plan.apply")?;
        if op.make {
            setting.set(host)?
        } else {
            setting.unset(host)?
        }
        hit("plan.applied")?;
        self.journal.done(n)
    }
}

fn must_be(op: &FileOp, now: &FileState) -> Result<()> {
    if *now == op.before {
        return Ok(());
    }
    let path = shown(&op.path);
    let seen = match (&op.before, now) {
        (FileState::File { .. }, FileState::File { .. }) if op.before.same_content(now) => {
            "its mode or owner has changed".to_owned()
        }
        (FileState::File { .. }, FileState::File { .. }) => "its content has changed".to_owned(),
        (before, now) => format!("it was {} and is {}", before.noun(), now.noun()),
    };
    bail!("{path} was changed by somebody else since this was planned: {seen}\nhint: run the command again")
}

/// What a step means for the receipt; `None`: it is nothing that uninstall takes back.
fn record(change: &Change, op: &FileOp, before: &Saved, fix: bool) -> Option<Record> {
    let path = op.path.clone();
    match change {
        Change::WriteFile(wish) if wish.for_user || wish.lasting => None,
        Change::Access { .. } | Change::RemoveFile { lasting: true, .. } => None,
        Change::EditBlock(wish) => {
            Some(Record::Put(Entry::Block { path, id: wish.id.clone(), content: wish.content.clone() }))
        }
        Change::TakeBlock { id, .. } => Some(Record::BlockTaken { path, id: id.clone() }),
        Change::CreateDir { .. } => Some(Record::Put(Entry::Dir { path, fix })),
        Change::RemoveDir { .. } => Some(Record::DirGone { path }),
        _ => Some(Record::Put(Entry::File { path, before: before.clone(), after: op.after.clone(), fix })),
    }
}

/// The receipt after a run: what was on it before and what the run did.
pub(super) fn next_receipt(old: Option<&Receipt>, journal: &Journal, now: &str) -> Receipt {
    let mut receipt = old.cloned().unwrap_or_else(|| Receipt::new(now));
    let story = &journal.story;
    let records = story.begun.iter().filter(|b| !b.skipped).filter_map(|b| match &b.undo {
        Undo::File(step) => step.record.clone(),
        Undo::Setting(step) => Some(step.record.clone()),
        Undo::Service { .. } => None,
    });
    receipt.merge(records, &story.header.services);
    receipt.version = env!("CARGO_PKG_VERSION").to_owned();
    receipt.updated = now.to_owned();
    for dir in &story.header.made_dirs {
        if !receipt.made_dirs.contains(dir) {
            receipt.made_dirs.push(dir.clone());
        }
    }
    receipt
}
