//! One run that changes the machine, from lock to exit code: lock, deal with a run that was killed, plan, apply with
//! proof, and either commit or take everything back.

use anyhow::Result;

use super::apply::{Forward, next_receipt};
use super::build::{Op, Plan};
use super::change::Change;
use super::journal::{Header, Journal};
use super::observe::{Event, Observer};
use super::outcome::{Miss, Outcome, StartError, render};
use super::receipt::Receipt;
use super::rollback::RollBack;
use super::state::ServiceState;
use super::store::Store;
use super::uninstall;
use crate::host::{Host, Interrupt, LockAttempt, LockFile};
use crate::platform::service_act::Services;

/// What a run is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// `options`: those of the command line, for the receipt; never secrets.
    Install {
        options: serde_json::Value,
    },
    /// Repairs; recorded in the receipt like an install, whose options stay.
    Fix,
    /// Repairs of the machine itself (a stopped or masked daemon, a file's mode), which stay when everything else is taken
    /// back: the receipt does not change.
    Mend,
    Uninstall,
}

impl Goal {
    fn name(&self) -> &'static str {
        match self {
            Goal::Install { .. } => "install",
            Goal::Fix => "fix",
            Goal::Mend => "repair",
            Goal::Uninstall => "uninstall",
        }
    }
}

/// The right to change the machine, held by one process at a time.
pub struct Session<'a> {
    host: &'a Host,
    services: Services<'a>,
    store: Store,
    interrupt: Interrupt,
    receipt: Option<Receipt>,
    /// The receipt is made up and not written yet.
    adopted: bool,
    _lock: LockFile,
}

impl<'a> Session<'a> {
    /// Takes the lock, and finishes or takes back a run that was killed.
    pub fn begin(host: &'a Host, interrupt: &Interrupt, observer: &mut dyn Observer) -> Result<Self, StartError> {
        let other = |e: anyhow::Error| StartError::Other(render(&e));
        let store = Store::new(&host.root);
        let lock = match store.lock().map_err(other)? {
            LockAttempt::Taken(lock) => lock,
            LockAttempt::Busy(pid) => return Err(StartError::Busy(pid)),
        };
        let services = Services::detect(host);
        recover(host, &services, &store, observer)?;
        let receipt = store.receipt().map_err(other)?;
        Ok(Session { host, services, store, interrupt: interrupt.clone(), receipt, adopted: false, _lock: lock })
    }

    /// What earlier runs have done to this machine.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// Takes `receipt` for the one that is gone. The next run that is proven writes it.
    pub fn adopt(&mut self, receipt: Receipt) {
        if self.receipt.is_none() {
            (self.receipt, self.adopted) = (Some(receipt), true);
        }
    }

    /// Does a run have something to do although nothing is to be changed?
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// The plan of an install: `changes` are all that is wished, also what is there already. Files and folders of
    /// earlier installs that are not among them are taken back.
    pub fn plan_install(&self, changes: impl IntoIterator<Item = Change>) -> Result<Plan> {
        uninstall::plan_install(self.host, self.receipt.as_ref(), changes.into_iter().collect())
    }

    /// The plan of a repair: `changes` and nothing else.
    pub fn plan_fix(&self, changes: impl IntoIterator<Item = Change>) -> Result<Plan> {
        Plan::build(self.host, changes)
    }

    /// The plan that takes back everything on the receipt; `None` if there is no receipt.
    pub fn plan_uninstall(&self, packages: bool) -> Result<Option<Plan>> {
        self.receipt.as_ref().map(|receipt| uninstall::plan_uninstall(self.host, receipt, packages)).transpose()
    }

    pub fn has_receipt(&self) -> bool {
        self.receipt.is_some()
    }

    /// As [`Session::plan_uninstall`], also where there is no receipt, and then `changes`, which are not taken back by
    /// anything any more.
    pub fn plan_uninstall_with(&self, packages: bool, changes: impl IntoIterator<Item = Change>) -> Result<Plan> {
        let mut plan = self.plan_uninstall(packages)?.unwrap_or_default();
        let more = Plan::build(self.host, changes)?;
        plan.steps.extend(more.steps);
        plan.notes.extend(more.notes);
        Ok(plan)
    }

    /// Applies `plan`. `prove` is asked after the last step, with everything live; its error takes all back. An empty
    /// plan touches nothing and proves nothing, except that an uninstall always ends without receipt, and that an install
    /// which has adopted one ends with it.
    pub fn apply(
        &mut self,
        plan: &Plan,
        goal: &Goal,
        observer: &mut dyn Observer,
        prove: &mut dyn FnMut() -> Result<()>,
    ) -> Outcome {
        let forgets = *goal == Goal::Uninstall && self.receipt.is_some();
        let writes = self.adopted && matches!(goal, Goal::Install { .. });
        if plan.is_empty() && !forgets && !writes {
            return Outcome::NothingToDo;
        }
        let mut notes = plan.notes.clone();
        let mut journal = match self.open(plan, goal) {
            Ok(journal) => journal,
            Err(e) => return Outcome::of(self.missed(&e)),
        };
        let result = self.forward(plan, goal, &mut journal, &mut notes, observer, prove);
        match result {
            Ok(receipt) => {
                if let Err(e) = twice(|| finish(&self.store, receipt.as_ref(), &journal.story.header)) {
                    notes.push(format!("{}; the next run of cefctl puts that in order", render(&e)));
                }
                (self.receipt, self.adopted) = (receipt, false);
                Outcome::Done { steps: plan.steps.len(), notes }
            }
            Err(e) => self.back(&e, journal, observer),
        }
    }

    /// Makes the journal. On an error nothing has been changed and nothing of ours is left.
    fn open(&self, plan: &Plan, goal: &Goal) -> Result<Journal> {
        let mut made = Vec::new();
        let opened = self.services_of(plan).and_then(|services| {
            self.store.prepare(&mut made)?;
            let mut made = made.clone();
            // Uninstall takes these away at its very end, when there is no receipt to say so any more.
            made.extend(self.receipt.iter().flat_map(|r| r.made_dirs.clone()));
            Journal::create(&self.host.root, Journal::header(goal.name(), &self.now(), services, made))
        });
        if opened.is_err() {
            let _ = twice(|| {
                self.store.remove_journal()?;
                self.store.tidy(&backups(self.receipt.as_ref()), &made)
            });
        }
        opened
    }

    /// Every service of the plan as it is now.
    fn services_of(&self, plan: &Plan) -> Result<Vec<ServiceState>> {
        let mut found: Vec<ServiceState> = Vec::new();
        for step in &plan.steps {
            let Op::Service(op) = &step.op else { continue };
            if !found.iter().any(|s| s.unit == op.unit) {
                let state = self.services.state(&op.unit)?;
                found.push(ServiceState::of(&state, self.services.active_triggers(&state)?));
            }
        }
        Ok(found)
    }

    /// Steps, proof, commit; the receipt to leave.
    fn forward(
        &self,
        plan: &Plan,
        goal: &Goal,
        journal: &mut Journal,
        notes: &mut Vec<String>,
        observer: &mut dyn Observer,
        prove: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Receipt>> {
        let (host, services, store, interrupt) = (self.host, &self.services, &self.store, &self.interrupt);
        let fix = *goal == Goal::Fix;
        Forward { host, services, store, interrupt, journal: &mut *journal, observer, notes, fix }.run(plan, prove)?;
        let receipt = match goal {
            Goal::Uninstall => None,
            Goal::Mend => self.receipt.clone(),
            Goal::Fix => Some(next_receipt(self.receipt.as_ref(), journal, &self.now())),
            Goal::Install { options } => {
                let receipt = next_receipt(self.receipt.as_ref(), journal, &self.now());
                Some(Receipt { options: options.clone(), ..receipt })
            }
        };
        journal.commit(receipt.as_ref())?;
        Ok(receipt)
    }

    fn back(&self, error: &anyhow::Error, mut journal: Journal, observer: &mut dyn Observer) -> Outcome {
        let mut miss = self.missed(error);
        observer.event(&Event::RollingBack { cause: &miss.cause });
        let _ = journal.back();
        let (host, services, store) = (self.host, &self.services, &self.store);
        let report = RollBack { host, services, store, story: &journal.story, observer }.run();
        miss.undone = report.undone;
        miss.notes = report.notes;
        miss.failures = report.failures;
        close(&self.store, &Ok(self.receipt.clone()), &journal.story.header, &mut miss);
        Outcome::of(miss)
    }

    fn missed(&self, error: &anyhow::Error) -> Miss {
        Miss { cause: render(error), interrupted: self.interrupt.is_set(), ..Miss::default() }
    }

    fn now(&self) -> String {
        super::receipt::timestamp(&*self.host.clock)
    }
}

/// Once more if it failed: the state folder shall not stay behind because of a passing trouble.
fn twice<T>(mut f: impl FnMut() -> Result<T>) -> Result<T> {
    f().or_else(|_| f())
}

fn backups(receipt: Option<&Receipt>) -> std::collections::BTreeSet<String> {
    receipt.map(Receipt::backups).unwrap_or_default()
}

/// After the commit: receipt and backups in order, journal gone; without a receipt the whole folder gone.
fn finish(store: &Store, receipt: Option<&Receipt>, header: &Header) -> Result<()> {
    match receipt {
        Some(receipt) => store.save_receipt(receipt)?,
        None => store.forget_receipt()?,
    }
    store.remove_journal()?;
    store.tidy(&backups(receipt), &header.made_dirs)
}

/// After taking back: journal and backups gone; if something is left to take back, both stay for the next run.
fn close(store: &Store, receipt: &Result<Option<Receipt>>, header: &Header, miss: &mut Miss) {
    if !miss.failures.is_empty() {
        miss.failures.push(format!(
            "hint: mend the reason and run cefctl again, it goes on taking back; the old files are in {0}/backup; to \
             leave the machine as it is now, remove {0}/journal.jsonl",
            super::store::STATE_DIR
        ));
        return;
    }
    let closed = twice(|| {
        store.remove_journal()?;
        match receipt {
            Ok(receipt) => store.tidy(&backups(receipt.as_ref()), &header.made_dirs),
            Err(_) => Ok(()), // nobody knows which backups it needs
        }
    });
    if let Err(e) = closed {
        miss.notes.push(format!("{}; the next run of cefctl puts that in order", render(&e)));
    }
}

/// Deals with the journal of a run that was killed.
fn recover(host: &Host, services: &Services<'_>, store: &Store, observer: &mut dyn Observer) -> Result<(), StartError> {
    let other = |e: anyhow::Error| StartError::Other(render(&e));
    let Some(journal) = Journal::load(&host.root).map_err(|e| StartError::Stuck(render(&e)))? else {
        // A run may have been killed before its journal was there, or after it was gone.
        return match store.receipt() {
            Ok(receipt) => store.tidy(&backups(receipt.as_ref()), &[]).map_err(other),
            Err(_) => Ok(()), // told by whoever needs the receipt; its backups must stay
        };
    };
    let story = &journal.story;
    let Header { started, goal, .. } = &story.header;
    let finishing = story.committed.is_some();
    observer.event(&Event::Recovering { started, goal, finishing });
    if let Some(receipt) = &story.committed {
        twice(|| finish(store, receipt.as_ref(), &story.header)).map_err(other)?;
    } else {
        let report = RollBack { host, services, store, story, observer: &mut *observer }.run();
        let cause = format!("the run of {started} ({goal}) did not finish");
        let mut miss =
            Miss { cause, undone: report.undone, notes: report.notes, failures: report.failures, ..Miss::default() };
        close(store, &store.receipt(), &story.header, &mut miss);
        if !miss.failures.is_empty() {
            return Err(StartError::Incomplete(miss));
        }
    }
    observer.event(&Event::Recovered);
    Ok(())
}

/// For `--dry-run`, which takes no lock and touches nothing: what the receipt says. A plain user may not read it.
pub fn peek(host: &Host) -> Result<Option<Receipt>> {
    match Store::new(&host.root).receipt() {
        Err(e) if is_forbidden(&e) => Ok(None),
        other => other,
    }
}

/// For `--dry-run`: when and for what a run began that did not finish; the next real run deals with it first.
pub fn unfinished(host: &Host) -> Result<Option<Header>> {
    match Journal::load(&host.root) {
        Err(e) if is_forbidden(&e) => Ok(None),
        other => Ok(other?.map(|journal| journal.story.header)),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    let kind = error.chain().find_map(|e| e.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::PermissionDenied)
}
