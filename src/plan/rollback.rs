//! Taking a whole run back, from its journal: right after a failure, or in the next run after a kill. Everything is
//! tried, whatever fails; what failed is tried once more, since by then its reason may be gone; and all of it may be
//! repeated, because each part looks first.
//!
//! Order: services that were off go off and lose their enablement while their files are still there; then files, the
//! last change first; then services that were on come up with their old configuration; then folders, into which a
//! stopping daemon may just have written.

use std::collections::BTreeMap;

use super::journal::{Begun, Story, Undo};
use super::observe::{Event, Observer};
use super::outcome::render;
use super::state::{FileState, ServiceState};
use super::store::Store;
use super::undo::{Undone, undo};
use crate::host::Host;
use crate::host::fault::hit;
use crate::platform::control;
use crate::platform::service::{Active, UnitState};
use crate::platform::service_act::{Action, ServiceError, Services};

/// What taking back came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub undone: Vec<String>,
    pub notes: Vec<String>,
    pub failures: Vec<String>,
}

pub(super) struct RollBack<'a> {
    pub host: &'a Host,
    pub services: &'a Services<'a>,
    pub store: &'a Store,
    pub story: &'a Story,
    pub observer: &'a mut dyn Observer,
}

impl RollBack<'_> {
    pub fn run(mut self) -> Report {
        let mut report = Report::default();
        for _ in 0..2 {
            report.notes.clear();
            report.failures.clear();
            self.pass(&mut report);
            if report.failures.is_empty() {
                break;
            }
        }
        for note in &report.notes {
            self.observer.event(&Event::Note(note));
        }
        for failure in &report.failures {
            self.observer.event(&Event::UndoFailed(failure));
        }
        report
    }

    fn pass(&mut self, report: &mut Report) {
        let story = self.story;
        self.remove_temps(report);
        let touched = touched(story);
        for service in story.header.services.iter().rev() {
            self.take_down(service, touched.get(service.unit.as_str()).copied().unwrap_or_default(), report);
        }
        for begun in story.begun.iter().rev() {
            self.file(begun, false, report);
            self.setting(begun, report);
        }
        let files = story.begun.iter().any(|b| !b.skipped && matches!(b.undo, Undo::File(_)));
        for service in &story.header.services {
            self.bring_up(service, touched.get(service.unit.as_str()).copied().unwrap_or_default(), files, report);
        }
        for begun in story.begun.iter().rev() {
            self.file(begun, true, report);
        }
    }

    /// Temporary files of a killed run.
    fn remove_temps(&mut self, report: &mut Report) {
        for begun in &self.story.begun {
            let Undo::File(step) = &begun.undo else { continue };
            let Some(dir) = step.path.parent() else { continue };
            if let Err(e) = self.host.root.remove_temps(dir) {
                report.failures.push(format!("cannot remove temporary files in {}: {e}", dir.display()));
            }
        }
    }

    /// Takes a file step back, or with `dirs` a step that made or removed a folder.
    fn file(&mut self, begun: &Begun, dirs: bool, report: &mut Report) {
        let Undo::File(step) = &begun.undo else { return };
        let is_dir = |s: &FileState| matches!(s, FileState::Dir { .. });
        // A folder that was removed must be back before files go into it again.
        let late = is_dir(&step.after) && !is_dir(&step.before.state);
        if begun.skipped || late != dirs {
            return;
        }
        let result = hit("plan.undo").map_err(anyhow::Error::from);
        match result.and_then(|()| undo(&self.host.root, self.store, step, begun.done)) {
            Ok(Undone::Nothing) => {}
            Ok(Undone::Back(what)) => self.undone(what, report),
            Ok(Undone::Kept(note)) => report.notes.push(note),
            Err(e) => report.failures.push(render(&e)),
        }
    }

    fn setting(&mut self, begun: &Begun, report: &mut Report) {
        let Undo::Setting(step) = &begun.undo else { return };
        let (setting, made) = (&step.setting, step.made);
        if begun.skipped {
            return;
        }
        let host = self.host;
        let undo = || {
            hit("plan.undo")?;
            match (made, setting.is_set(host)?) {
                (true, true) => setting.unset(host).map(|()| Some(setting.undo_sentence())),
                (false, false) => setting.set(host).map(|()| Some(setting.sentence())),
                _ => Ok(None),
            }
        };
        match undo() {
            Ok(None) => {}
            Ok(Some(what)) => self.undone(what, report),
            Err(e) => report.failures.push(render(&e)),
        }
    }

    fn undone(&mut self, what: String, report: &mut Report) {
        self.observer.event(&Event::Undone(&what));
        report.undone.push(what);
    }

    fn take_down(&mut self, before: &ServiceState, touched: Touched, report: &mut Report) {
        if touched == Touched::default() {
            return;
        }
        let Some(now) = self.state(before, report) else { return };
        // One that failed to start may be tried again and again, by its manager or by a socket.
        let rests = matches!(now.active, Active::Inactive | Active::Failed) && !now.job;
        let woken = || self.services.active_triggers(&now).is_ok_and(|s| s.iter().any(|s| !before.sockets.contains(s)));
        if touched.run && !before.active && (!rests || woken()) {
            self.act(before, Action::Stop, "stopped", report);
        }
        if touched.run && !before.active && !before.failed {
            // What systemd remembers of our start is no state of the box as it was.
            let _ = self.services.forget_failure(&before.unit);
        }
        if touched.boot && !before.enabled && now.is_enabled() {
            self.act(before, Action::Disable, "disabled", report);
        }
    }

    fn bring_up(&mut self, before: &ServiceState, touched: Touched, files: bool, report: &mut Report) {
        if touched == Touched::default() && !files {
            return;
        }
        let Some(mut now) = self.state(before, report) else { return };
        if touched.boot && before.enabled && !now.is_enabled() {
            // systemd 252 loses sight of one that runs meanwhile.
            if now.is_active() {
                self.act(before, Action::Stop, "stopped", report);
            }
            self.act(before, Action::Enable, "enabled", report);
            let Some(then) = self.state(before, report) else { return };
            now = then;
        }
        // Somebody else may have restarted it while our files were there.
        let other_process = before.main_pid.is_some() && now.main_pid != before.main_pid;
        let same_process = now.is_active() && !other_process && !touched.restarted;
        if before.active && same_process && control::answers(&before.unit) {
            // Any signal from somebody else (log rotation) may have made it read our files, too.
            let word = "given its configuration of before:";
            match self.try_act(before, Action::Reload) {
                // What is in its files had not been loaded before us either, and now we know that it cannot be.
                Err(Failure::Service(e @ ServiceError::NotTaken { .. })) if !self.was_taken(&before.unit) => {
                    report
                        .notes
                        .push(format!("{e}: what its files say is as before, and was not loaded before either"));
                }
                result => self.acted(before, result, word, report),
            }
        } else if before.active && (touched.run || other_process || !now.is_active()) {
            let back = match now.is_active() {
                true => "restarted, with its configuration of before:",
                false => "started, with its configuration of before:",
            };
            self.act(before, Action::Restart, back, report);
        }
        for socket in &before.sockets {
            match self.services.state(socket) {
                Ok(state) if state.is_active() => {}
                _ => {
                    let socket = ServiceState { unit: socket.clone(), ..before.clone() };
                    self.act(&socket, Action::Start, "started", report);
                }
            }
        }
    }

    fn state(&mut self, service: &ServiceState, report: &mut Report) -> Option<UnitState> {
        self.services.state(&service.unit).map_err(|e| report.failures.push(e.to_string())).ok()
    }

    fn act(&mut self, service: &ServiceState, action: Action, word: &str, report: &mut Report) {
        let result = self.try_act(service, action);
        self.acted(service, result, word, report);
    }

    fn acted(&mut self, service: &ServiceState, result: Result<(), Failure>, word: &str, report: &mut Report) {
        match result {
            Ok(()) => self.undone(format!("{word} {}", service.unit), report),
            Err(e) => report.failures.push(e.to_string()),
        }
    }

    fn try_act(&self, service: &ServiceState, action: Action) -> Result<(), Failure> {
        hit("plan.undo")?;
        // Never interrupted: half a way back is worse than either end.
        Ok(self.services.act(&service.unit, action, &|| false).map(drop)?)
    }

    /// Did the daemon of this unit run with our files?
    fn was_taken(&self, unit: &str) -> bool {
        let took = |b: &Begun| matches!(&b.undo, Undo::Service { unit: u, .. } if u == unit) && b.done && !b.skipped;
        self.story.begun.iter().any(took)
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Injected(#[from] std::io::Error),
}

/// What a run did to one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Touched {
    /// Started, stopped, restarted or reloaded it.
    run: bool,
    /// All of these but reloaded.
    restarted: bool,
    /// Enabled or disabled it.
    boot: bool,
}

fn touched(story: &Story) -> BTreeMap<&str, Touched> {
    let mut touched: BTreeMap<&str, Touched> = BTreeMap::new();
    for begun in story.begun.iter().filter(|b| !b.skipped) {
        if let Undo::Service { unit, action } = &begun.undo {
            let entry = touched.entry(unit).or_default();
            match action {
                Action::Enable | Action::Disable => entry.boot = true,
                Action::Reload => entry.run = true,
                _ => (entry.run, entry.restarted) = (true, true),
            }
        }
    }
    touched
}
