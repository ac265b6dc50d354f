//! The candidate configuration before it is live: rsyslogd's own validator on a staged copy of every file that would
//! change, its messages compared with those of the configuration as it is (facts 5.4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Proposal;
use crate::check::facts::Facts;
use crate::cli::exit::{Exit, fail};
use crate::host::{Attrs, Cmd, Host};
use crate::plan::build::Put;
use crate::plan::{Op, Plan};
use crate::report::clean;
use crate::syslog::rsyslog::validate::Harm;
use crate::syslog::rsyslog::{Effective, Problem, Severity, Topic, stage, validate};
use crate::syslog::source::Overlay;

/// A daemon that is restarted on a broken configuration may lose what it does now: nothing is added to one. The
/// daemon's own word counts; ours where it could not be asked.
pub fn refuse_broken(facts: &Facts, config: &Effective) -> anyhow::Result<()> {
    let broken = match &facts.rsyslog.validation {
        Ok(said) => {
            let messages = validate::parse(&said.stderr.0).messages;
            let fatal = |m: &&validate::Message| matches!(m.harm, Harm::ConfigCutOff | Harm::NoStart);
            messages.iter().find(fatal).map(|m| clean(&m.text))
        }
        Err(_) => {
            let fatal = |p: &&Problem| p.severity == Severity::Error && p.topic == Topic::Syntax;
            config.problems.iter().find(fatal).map(|p| clean(&p.to_string()))
        }
    };
    let Some(what) = broken else { return Ok(()) };
    Err(fail(
        Exit::Problems,
        format!("rsyslog's configuration is broken already, and a restart would make it felt: {what}"),
        "mend that line (`rsyslogd -N1` names it as well), see that rsyslog works, and run the command again",
    ))
}

/// Has rsyslogd check the whole candidate.
///
/// # Errors
/// What the validator says about the candidate that it does not say about the configuration as it is.
pub fn validate(host: &Host, proposal: &Proposal, plan: &Plan) -> anyhow::Result<()> {
    let changes = changed_files(plan);
    if changes.is_empty() {
        return Ok(());
    }
    let program = proposal.facts.rsyslog.program.as_deref().context("rsyslog is not installed")?;
    let before = match &proposal.facts.rsyslog.validation {
        Ok(said) => validate::parse(&said.stderr.0),
        Err(why) => bail!("rsyslogd could not check its present configuration: {why}"),
    };
    let changed: BTreeSet<PathBuf> = changes.keys().cloned().collect();
    let source = Overlay { base: &host.root, changes };
    let config = Effective::load(&proposal.main, &source);
    let staging = Staging::new(host);
    let staged = stage::stage(&config, &changed, &source, &staging.folder);
    let output = staging.check(program, &staged);
    let output = output.context("rsyslogd could not check the new configuration")?;
    let after = validate::parse(&staged.real_names(&output));
    let new: Vec<String> = validate::new_messages(&before, &after).iter().map(|m| clean(&m.text)).collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(fail(
        Exit::Problems,
        format!("rsyslogd does not accept the new configuration:\n{}", new.join("\n")),
        "nothing was changed; please report this configuration",
    ))
}

/// Files as they would be, by the path the configuration names them by.
fn changed_files(plan: &Plan) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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

/// A folder for the candidate, gone when dropped. Where AppArmor confines rsyslogd it must lie where the profile lets
/// the daemon read (facts 7.6).
struct Staging<'a> {
    host: &'a Host,
    folder: PathBuf,
}

impl<'a> Staging<'a> {
    fn new(host: &'a Host) -> Self {
        let profiles = host.root.read(Path::new("/sys/kernel/security/apparmor/profiles")).unwrap_or_default();
        let confined = String::from_utf8_lossy(&profiles).lines().any(|l| {
            l.split_once(" (").is_some_and(|(name, mode)| name.ends_with("rsyslogd") && mode.starts_with("enforce"))
        });
        let place = if confined { "/var/spool/rsyslog" } else { "/run" };
        Staging { host, folder: Path::new(place).join("cefctl-candidate") }
    }

    fn check(&self, program: &str, staged: &stage::Staged) -> anyhow::Result<Vec<u8>> {
        self.clear();
        let root = &self.host.root;
        root.create_dir(&self.folder, 0o700, None).with_context(|| format!("making {}", self.folder.display()))?;
        for (path, content) in &staged.files {
            root.write(path, content, &Attrs::mode(0o600)).with_context(|| format!("writing {}", path.display()))?;
        }
        let main = staged.main.as_os_str().to_owned();
        let argv = [program.into(), "-N1".into(), "-f".into(), main];
        let output = self.host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(20)))?;
        Ok(output.stderr)
    }

    fn clear(&self) {
        let root = &self.host.root;
        for name in root.list(&self.folder).unwrap_or_default() {
            let _ = root.remove_file(&self.folder.join(name));
        }
        let _ = root.remove_dir(&self.folder);
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
