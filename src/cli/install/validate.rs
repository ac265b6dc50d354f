//! The candidate configuration before it is live: the daemon's own check of every file as it would be. What is new in
//! what it says counts, since a box may have complaints of old.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::daemon::Daemon;
use super::{Proposal, rsyslog, syslog_ng};
use crate::cli::exit::{Exit, fail};
use crate::host::Host;
use crate::plan::build::Put;
use crate::plan::{Op, Plan};

/// Has the daemon check the whole candidate.
///
/// # Errors
/// What the daemon says about the candidate that it does not say about the configuration as it is.
pub fn validate(host: &Host, proposal: &Proposal, plan: &Plan) -> anyhow::Result<()> {
    let changes = changed_files(plan);
    match proposal.daemon {
        Daemon::Rsyslog => rsyslog::validate(host, &proposal.facts, changes),
        Daemon::SyslogNg => syslog_ng::validate(host, &proposal.facts, changes),
    }
}

/// The error of a candidate that the daemon does not accept.
pub fn not_accepted(daemon: Daemon, new: &[String]) -> anyhow::Error {
    fail(
        Exit::Problems,
        format!("{} does not accept the new configuration:\n{}", daemon.name(), new.join("\n")),
        "nothing was changed; please report this configuration",
    )
}

/// The error of a configuration that is broken before we come: a daemon that is started anew on it may lose what it does
/// now.
pub fn broken(daemon: Daemon, what: &str, hint: &str) -> anyhow::Error {
    fail(
        Exit::Problems,
        format!("{}'s configuration is broken already, and a restart would make it felt: {what}", daemon.name()),
        hint,
    )
}

/// Files as they would be, by the path the configuration names them by.
pub fn changed_files(plan: &Plan) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = BTreeMap::new();
    for step in &plan.steps {
        let Op::File(op) = &step.op else { continue };
        let path = step.change.path().map_or_else(|| op.path.clone(), Path::to_path_buf);
        match &op.put {
            Put::File { content, .. } => drop(files.insert(path, Some(content.clone()))),
            Put::Nothing => drop(files.insert(path, None)),
            Put::Link { .. } | Put::Dir { .. } => {}
        }
    }
    files
}
