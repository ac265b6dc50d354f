//! The decision as changes that the plan engine knows.

use std::path::Path;

use super::REPLACED;
use crate::check::facts::Facts;
use crate::host::Host;
use crate::plan::receipt::Entry;
use crate::plan::{Change, EditBlock, Place, Receipt, ServiceChange, When, WriteFile};
use crate::platform::service_act::Action;
use crate::syslog::collector::{self, Collector};

/// Everything that shall be true afterwards, also what already is.
pub fn changes(host: &Host, facts: &Facts, collector: &Collector, receipt: Option<&Receipt>) -> Vec<Change> {
    let mut changes = Vec::new();
    if is_there(host, &collector.work_directory).is_none() {
        let owner = facts.daemon_process().map(|p| (p.uid, p.gid));
        changes.push(Change::CreateDir { path: collector.work_directory.clone(), mode: 0o700, owner });
    }
    changes.extend(receipt.iter().flat_map(|r| &r.entries).filter_map(kept_folder));
    if is_there(host, Path::new(REPLACED)).is_some() {
        changes.push(Change::RemoveFile { path: REPLACED.into(), secret: false });
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
    let when = if is_live(facts, collector) { When::AnyChange } else { When::Always };
    changes.push(ServiceChange::new("rsyslog.service", Action::Restart).when(when).into());
    changes
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
fn is_live(facts: &Facts, collector: &Collector) -> bool {
    let (Ok(net), Some(pid)) = (&facts.net, facts.rsyslog.pid) else { return true };
    collector.intakes.iter().all(|intake| net.open(intake.transport, intake.port).any(|s| s.owners.contains(&pid)))
}
