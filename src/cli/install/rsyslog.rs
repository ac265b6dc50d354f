//! rsyslog's part of an install: what the pure decision must know of the box, and the check of a candidate by
//! `rsyslogd -N1` on a staged copy, its messages compared with those of the configuration as it is (facts 5.4).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::daemon::Daemon;
use super::source::Without;
use super::staging::Staging;
use super::{Decided, refused, validate as said};
use crate::agent::ama::files;
use crate::check::facts::Facts;
use crate::host::Host;
use crate::plan::Receipt;
use crate::platform::accounts;
use crate::report::clean;
use crate::syslog::collector::{Collector, Wish};
use crate::syslog::rsyslog::collector::{Found, decide as decide_on};
use crate::syslog::rsyslog::render::TlsDriver;
use crate::syslog::rsyslog::validate::{self, Harm};
use crate::syslog::rsyslog::{Effective, Problem, Severity, Topic, stage};
use crate::syslog::source::Overlay;

/// Written by the scripts this tool replaces; two forwards would double every event.
const REPLACED: &str = "/etc/rsyslog.d/security-config-omsagent.conf";
/// Where queues spill if the configuration names no work directory: what the distributions use (facts 5.11).
const WORK_DIRECTORIES: [&str; 2] = ["/var/spool/rsyslog", "/var/lib/rsyslog"];

/// Decides what to add to this rsyslog.
/// `mended`: files of the agent as they will be.
pub fn decide(
    host: &Host,
    facts: &Facts,
    wish: &Wish,
    receipt: Option<&Receipt>,
    mended: BTreeMap<PathBuf, Option<Vec<u8>>>,
) -> anyhow::Result<Decided> {
    let main = PathBuf::from(&facts.rsyslog.main_file);
    let replaced = PathBuf::from(REPLACED);
    let without = Without::new(&host.root, receipt, std::slice::from_ref(&replaced));
    let damaged =
        |path: &PathBuf| host.root.read(path).is_ok_and(|text| files::is_damaged(files::Daemon::Rsyslog, &text));
    // What the daemon says of its configuration now is past then.
    let asked = !mended.keys().any(damaged);
    let source = Overlay { base: &without, changes: mended };
    let config = Effective::load(&main, &source);
    refuse_broken(facts, &config, asked)?;
    let found = Found {
        config: &config,
        source: &source,
        version: version(facts),
        work_directory: work_directory(host),
        imptcp: has_module(host, "imptcp.so"),
        tls_drivers: tls_drivers(host),
        tls_hint: super::tls::driver_hint(host, facts),
    };
    let mut collector = decide_on(&found, wish).map_err(refused)?;
    only_families(facts, &config, &mut collector);
    let runs_as = runs_as(host, &config);
    Ok(Decided { collector, replaced, mended: None, restart: true, runs_as })
}

/// Where the daemon's command line or configuration forbids a family, no socket of it is opened.
fn only_families(facts: &Facts, config: &Effective, collector: &mut Collector) {
    let process = facts.rsyslog.pid.and_then(|pid| facts.processes.get(&pid));
    let option = |o: &str| process.is_some_and(|p| p.cmdline.iter().any(|a| a == o));
    let (v4, v6) = config.allowed_families();
    let (v4, v6) = (v4 && !option("-6"), v6 && !option("-4"));
    for intake in &mut collector.intakes {
        intake.v4 &= v4;
        intake.v6 &= v6;
    }
    let only = match (v4, v6) {
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        _ => return,
    };
    collector
        .notes
        .push(format!("rsyslog is told to use {only} only: nothing comes in from senders of the other kind"));
}

/// User and group that rsyslog changes to after its start: they have to write the queue's files.
fn runs_as(host: &Host, config: &Effective) -> Option<(u32, u32)> {
    let (user, group) = config.privilege_drop();
    let user = user.map(|t| t.to_str_lossy().into_owned());
    let known = user.as_deref().and_then(|name| accounts::who(&host.root, name));
    let number = |t: &Option<String>| t.as_deref().and_then(|t| t.parse().ok());
    let uid = known.as_ref().map(|w| w.uid).or(number(&user));
    let group = group.map(|t| t.to_str_lossy().into_owned());
    let gid = group.as_deref().and_then(|name| accounts::group(&host.root, name)).or(number(&group));
    match (uid, gid) {
        (None, None) => None,
        (uid, gid) => Some((uid.unwrap_or(0), gid.or(known.map(|w| w.gid)).unwrap_or(0))),
    }
}

/// Nothing is taken for granted of a daemon whose version is not known.
fn version(facts: &Facts) -> (u32, u32, u32) {
    let version = facts.rsyslog.version.as_deref().and_then(|v| validate::version(v.as_bytes()));
    version.map(validate::Version::parts).unwrap_or_default()
}

/// The drivers for TLS that are installed.
pub fn tls_drivers(host: &Host) -> Vec<TlsDriver> {
    [TlsDriver::GnuTls, TlsDriver::OpenSsl].into_iter().filter(|d| has_module(host, d.file())).collect()
}

/// Is a module of rsyslog installed, in any of the places where distributions keep them?
fn has_module(host: &Host, file: &str) -> bool {
    ["/usr/lib/rsyslog", "/usr/lib64/rsyslog", "/usr/lib/*/rsyslog"]
        .iter()
        .any(|folder| host.root.glob(&Path::new(folder).join(file)).is_ok_and(|found| !found.is_empty()))
}

/// The folder a distribution has for rsyslog's queues, or the usual one if there is none yet.
fn work_directory(host: &Host) -> PathBuf {
    let there = |p: &str| matches!(host.root.stat(Path::new(p)), Ok(Some(_)));
    let found = WORK_DIRECTORIES.into_iter().find(|p| there(p));
    PathBuf::from(found.unwrap_or(WORK_DIRECTORIES[0]))
}

/// The daemon's own word on the configuration as it is counts; ours where it could not be asked, or speaks of a file that
/// we mend.
fn refuse_broken(facts: &Facts, config: &Effective, asked: bool) -> anyhow::Result<()> {
    let broken = match facts.rsyslog.validation.as_ref().ok().filter(|_| asked) {
        Some(said) => {
            let messages = validate::parse(&said.stderr.0).messages;
            let fatal = |m: &&validate::Message| matches!(m.harm, Harm::ConfigCutOff | Harm::NoStart);
            messages.iter().find(fatal).map(|m| clean(&m.text))
        }
        None => {
            let fatal = |p: &&Problem| p.severity == Severity::Error && p.topic == Topic::Syntax;
            config.problems.iter().find(fatal).map(|p| clean(&p.to_string()))
        }
    };
    let Some(what) = broken else { return Ok(()) };
    let hint = "mend that line (`rsyslogd -N1` names it as well), see that rsyslog works, and run the command again";
    Err(said::broken(Daemon::Rsyslog, &what, hint))
}

/// Has rsyslogd check the whole candidate.
pub fn validate(host: &Host, facts: &Facts, changes: BTreeMap<PathBuf, Option<Vec<u8>>>) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let program = facts.rsyslog.program.as_deref().context("rsyslog is not installed")?;
    let before = match &facts.rsyslog.validation {
        Ok(said) => validate::parse(&said.stderr.0),
        Err(why) => bail!("rsyslogd could not check its present configuration: {why}"),
    };
    let changed: BTreeSet<PathBuf> = changes.keys().cloned().collect();
    let source = Overlay { base: &host.root, changes };
    let config = Effective::load(Path::new(&facts.rsyslog.main_file), &source);
    let staging = Staging::new(host, Daemon::Rsyslog);
    let staged = stage::stage(&config, &changed, &source, &staging.folder);
    let argv = [OsStr::new(program), OsStr::new("-N1"), OsStr::new("-f"), staged.main.as_os_str()];
    let output = staging.check(staged.files.iter().map(|(path, text)| (path, text)), &argv);
    let output = output.context("rsyslogd could not check the new configuration")?;
    let after = validate::parse(&staged.real_names(&output.stderr));
    let new = validate::new_messages(&before, &after);
    let new: Vec<String> = new.iter().filter(|m| m.harm != validate::Harm::Aside).map(|m| clean(&m.text)).collect();
    if new.is_empty() { Ok(()) } else { Err(said::not_accepted(Daemon::Rsyslog, &new)) }
}
