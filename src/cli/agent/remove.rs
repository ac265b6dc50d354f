//! Takes the Log Analytics agent off the box by its own tool, and what that leaves (facts 1.15).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::agent::oms::{leftovers, paths};
use crate::cli::exit::hint;
use crate::host::{Cmd, Host};
use crate::plan::{Change, ServiceChange, When, WriteFile};
use crate::platform::service_act::Action;

const LIMIT: Duration = Duration::from_secs(900);

/// Removes the agent.
///
/// # Errors
/// No tool worked; what is left is named.
pub fn purge(host: &Host, bundle: Option<&Path>) -> anyhow::Result<()> {
    let there = |p: &Path| matches!(host.root.stat(p), Ok(Some(_)));
    let mut tools: Vec<Vec<PathBuf>> = Vec::new();
    if let Some(bundle) = bundle.filter(|b| there(b)) {
        tools.push(vec!["/bin/sh".into(), bundle.to_owned(), "--purge".into()]);
    }
    for (tool, args) in paths::UNINSTALLERS {
        tools.push([tool].iter().chain(args).map(PathBuf::from).collect());
    }
    let mut tried = Vec::new();
    for tool in tools {
        let program = tool.first().cloned().unwrap_or_default();
        if !there(&host.root.resolve(&program).unwrap_or(program)) {
            continue;
        }
        let cmd = Cmd::new(&tool).limit(LIMIT);
        match host.runner.run(&cmd) {
            Ok(output) if !there(Path::new(paths::OMSADMIN)) => {
                let _ = output;
                return Ok(());
            }
            Ok(output) => tried.push(format!("{}: {:?}, {}", cmd.display(), output.exit, output.last_words(2))),
            Err(e) => tried.push(e.to_string()),
        }
    }
    if !there(Path::new(paths::OMSADMIN)) {
        return Ok(());
    }
    if tried.is_empty() {
        bail!("its own uninstaller is missing ({})", paths::UNINSTALLERS.map(|(t, _)| t).join(", "));
    }
    Err(anyhow!(hint("remove the packages omsagent, omsconfig, scx and omi with the package manager"))
        .context(format!("its own uninstaller did not remove it: {}", tried.join("; "))))
}

/// Is there something to remove?
pub fn is_there(host: &Host) -> bool {
    super::onboard::is_installed(&host.root)
}

pub fn has_ama(host: &Host) -> bool {
    crate::agent::AgentFacts::gather(&host.root).ama.is_some()
}

/// Takes its rules out of the syslog daemon's files: nobody will listen on those ports any more.
pub fn leftover_changes(host: &Host) -> Vec<Change> {
    let mut changes = Vec::new();
    let files = leftovers::FILES.map(Path::new);
    for file in files.into_iter().filter(|f| matches!(host.root.stat(f), Ok(Some(_)))) {
        changes.push(Change::RemoveFile { path: file.to_owned(), secret: false, lasting: false });
    }
    for main in ["/etc/syslog-ng/syslog-ng.conf", "/etc/rsyslog.conf"].map(Path::new) {
        let content = host.root.read_opt(main).ok().flatten().and_then(|text| leftovers::without_block(&text));
        if let Some(content) = content {
            // The next install no longer finds them, and must not take that for a wish to have them back.
            let without = WriteFile::new(main, content).purpose("without the rules of the Log Analytics agent");
            changes.push(without.lasting().into());
        }
    }
    let daemons = ["rsyslog", "syslog-ng"].map(|d| {
        let touched: Vec<PathBuf> = changes
            .iter()
            .filter_map(Change::path)
            .filter(|p| p.to_string_lossy().contains(d))
            .map(Path::to_owned)
            .collect();
        (d, touched)
    });
    for (daemon, touched) in daemons.into_iter().filter(|(_, t)| !t.is_empty()) {
        let restart = ServiceChange::new(format!("{daemon}.service"), Action::Restart);
        changes.push(restart.when(When::Changed(touched)).into());
    }
    changes
}
