//! The decision as changes that the plan engine knows.

use std::path::Path;

use super::Decided;
use super::daemon::Daemon;
use crate::check::facts::Facts;
use crate::host::Host;
use crate::plan::receipt::Entry;
use crate::plan::{Change, EditBlock, Place, Receipt, ServiceChange, When, WriteFile};
use crate::platform::service::Active;
use crate::platform::service_act::{Action, Services};
use crate::syslog::collector::{self, Collector};

/// Everything that shall be true afterwards, also what already is.
pub fn changes(
    host: &Host,
    facts: &Facts,
    daemon: Daemon,
    decided: &Decided,
    receipt: Option<&Receipt>,
) -> Vec<Change> {
    let collector = &decided.collector;
    let mut changes = Vec::new();
    if is_there(host, &collector.work_directory).is_none() {
        let process = daemon.facts(facts).pid.and_then(|pid| facts.process(pid));
        let owner = process.map(|p| (p.uid, p.gid)).or(decided.runs_as);
        changes.push(Change::CreateDir { path: collector.work_directory.clone(), mode: 0o700, owner });
    }
    // That of the certificates is wished for together with them.
    let kept = receipt.iter().flat_map(|r| &r.entries).filter(|e| e.path() != Some(&super::tls::folder(daemon)));
    changes.extend(kept.filter_map(kept_folder));
    if is_there(host, &decided.replaced).is_some() {
        changes.push(Change::RemoveFile { path: decided.replaced.clone(), secret: false, lasting: false });
    }
    if let Some(mended) = &decided.mended {
        let repair = WriteFile::new(&mended.file, mended.damage.text.clone());
        changes.push(repair.purpose("undo what an older script has done to it").lasting().into());
    }
    if let Some((path, content)) = &collector.drop_in {
        if let Some(folder) = path.parent().filter(|f| is_there(host, f).is_none()) {
            changes.push(Change::CreateDir { path: folder.to_owned(), mode: 0o755, owner: Some((0, 0)) });
        }
        changes.push(
            WriteFile::new(path, content.clone())
                .mode(0o644)
                .owner(0, 0)
                .purpose("listeners and the forward to the agent")
                .into(),
        );
    }
    for (n, insertion) in collector.insertions.iter().enumerate() {
        let id = collector::block_id(n);
        let block = EditBlock::new(&insertion.file, id, insertion.text.clone(), Place::At(insertion.at));
        changes.push(block.purpose(&insertion.why).into());
    }
    if let Some(begin) = begin(host, facts, daemon) {
        changes.extend(begin.into_iter().map(|a| ServiceChange::new(daemon.unit(), a).when(When::Always).into()));
        return changes;
    }
    let live = is_live(facts, daemon, collector);
    let when = if live { When::AnyChange } else { When::Always };
    // A daemon that has our file and not our listeners has been told to read it, or never will be by the same means.
    let stuck = !live && is_as_wished(host, collector);
    // One that gave up, after systemd had tried often enough, is not reloaded but started, whatever the limit says.
    let down = daemon.facts(facts).pid.is_none();
    let again = if decided.restart || stuck || down { Action::Restart } else { Action::Reload };
    changes.push(ServiceChange::new(daemon.unit(), again).when(when).into());
    changes
}

/// What brings up a daemon that is down, or does not start at boot; `None`: it runs and will run.
fn begin(host: &Host, facts: &Facts, daemon: Daemon) -> Option<Vec<Action>> {
    if !host.root.is_live() {
        return None;
    }
    let asked;
    let state = match facts.unit(daemon.unit()) {
        Some(unit) => &unit.state,
        None => {
            asked = Services::detect(host).state(daemon.unit()).ok()?;
            &asked
        }
    };
    match (state.is_active() || state.is_coming_up(), state.has_switch() && !state.is_enabled()) {
        (true, false) => None,
        (true, true) => Some(vec![Action::Enable]),
        // Between two tries of a daemon that fails again and again: a moment later it looks as if it were up.
        (false, _) if state.active == Active::Activating => Some(vec![Action::Enable, Action::Restart]),
        (false, _) => Some(vec![Action::Enable, Action::Start]),
    }
}

fn is_as_wished(host: &Host, collector: &Collector) -> bool {
    collector.drop_in.as_ref().is_none_or(|(path, content)| host.root.read(path).is_ok_and(|now| now == *content))
}

/// A folder that an earlier install made is still wished for: it is there now, so the decision no longer asks for it.
fn kept_folder(entry: &Entry) -> Option<Change> {
    match entry {
        Entry::Dir { path, fix: false } => Some(Change::CreateDir { path: path.clone(), mode: 0o755, owner: None }),
        _ => None,
    }
}

fn is_there(host: &Host, path: &Path) -> Option<()> {
    matches!(host.root.resolve(path).and_then(|p| host.root.stat(&p)), Ok(Some(_))).then_some(())
}

/// Does the running daemon already have every listener? If not it has to be restarted although its files are right.
fn is_live(facts: &Facts, daemon: Daemon, collector: &Collector) -> bool {
    let (Ok(net), Some(pid)) = (&facts.net, daemon.facts(facts).pid) else { return true };
    collector.intakes.iter().all(|intake| net.open(intake.transport, intake.port).any(|s| s.owners.contains(&pid)))
}
