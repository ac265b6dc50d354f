//! syslog-ng's part of an install: what the pure decision must know of the box, and the check of a candidate: our own
//! lint for what the daemon's check misses (facts 6.4), then `syslog-ng --syntax-only` on a staged copy.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::daemon::Daemon;
use super::sockets::{Kernel, clings, must_restart};
use super::source::Without;
use super::staging::Staging;
use super::{Decided, Mended, refused, validate as said};
use crate::check::facts::{DaemonFacts, Facts};
use crate::check::gather::{self, Depth};
use crate::check::target::TargetOptions;
use crate::cli::exit::{Exit, fail};
use crate::host::proc_net::Transport;
use crate::host::{Cmd, Host};
use crate::plan::Receipt;
use crate::report::clean;
use crate::syslog::collector::{Wish, overlay};
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::candidate::candidate;
use crate::syslog::syslogng::collector::{Found, decide as decide_on};
use crate::syslog::syslogng::effective::ReadSetting;
use crate::syslog::syslogng::render::Stack;
use crate::syslog::syslogng::validate::Report;
use crate::syslog::syslogng::version::{KEEP_ROOT, Program};
use crate::syslog::syslogng::{Effective, Severity, lint, repair};

/// Written by the scripts this tool replaces, in the folder that distributions include.
pub const REPLACED: &str = "conf.d/security-config-omsagent.conf";

/// Decides what to add to this syslog-ng, and with `mend` what of the older scripts' damage to undo. `agents`: files of
/// the agent as they will be.
pub fn decide(
    host: &Host,
    facts: &Facts,
    wish: &Wish,
    receipt: Option<&Receipt>,
    mend: bool,
    agents: BTreeMap<PathBuf, Option<Vec<u8>>>,
) -> anyhow::Result<Decided> {
    let main = PathBuf::from(&facts.syslog_ng.main_file);
    let program = program(facts)?;
    let setting = ReadSetting::of(&main, program);
    let replaced = main.parent().unwrap_or(Path::new("/")).join(REPLACED);
    let without = Without::new(&host.root, receipt, std::slice::from_ref(&replaced));
    let damage = repair::repair(&main, &without, &setting);
    let mut changes = agents;
    changes.extend(damage.iter().filter(|_| mend).map(|d| (main.clone(), Some(d.text.clone()))));
    let source = Overlay { base: &without, changes };
    let config = Effective::load_with(&main, &source, setting.clone());
    refuse_broken(host, &config, damage.is_some() && !mend)?;
    let found = Found {
        config: &config,
        source: &source,
        setting: &setting,
        program,
        stack: stack(host, facts),
        counted_port_free: is_free(facts, wish.counted_port),
        work_directory: state_folder(&facts.syslog_ng),
    };
    let mut collector = decide_on(&found, wish).map_err(refused)?;
    let then = |(path, bytes): &(PathBuf, Vec<u8>)| {
        let changes = overlay(path, bytes, &collector.insertions, &source);
        Effective::load_with(&main, &Overlay { base: &source, changes }, setting.clone())
    };
    let restart = collector.drop_in.as_ref().is_some_and(|made| {
        let (now, then) = (Effective::load_with(&main, &host.root, setting.clone()), then(made));
        must_restart(facts, Kernel::of(host, facts), &then) || clings(facts, &now, &then)
    });
    let mended = match damage {
        Some(damage) if mend => Some(Mended { file: main, damage }),
        Some(damage) => {
            collector.notes.push(format!("{}; --repair mends that", damage.what));
            None
        }
        None => None,
    };
    Ok(Decided { collector, replaced, mended, restart, runs_as: None })
}

pub fn program(facts: &Facts) -> anyhow::Result<&Program> {
    facts.syslog_ng_says.about.as_ref().map_err(|why| {
        anyhow!(crate::cli::exit::hint("syslog-ng --version shows what is wrong"))
            .context(format!("the version of syslog-ng is not known: {why}"))
    })
}

/// Which addresses our listeners take: an IPv6 socket takes IPv4 too unless the kernel is told otherwise, and where there
/// is no IPv6, or the unit forbids it (RestrictAddressFamilies=), it keeps the daemon from starting.
pub fn stack(host: &Host, facts: &Facts) -> Stack {
    let unit = facts.unit(Daemon::SyslogNg.unit());
    let allowed = unit.is_none_or(|u| u.sandbox.allows("AF_INET6"));
    let only = host.root.read(Path::new("/proc/sys/net/ipv6/bindv6only")).unwrap_or_default();
    match facts.host.ipv6 && allowed {
        false => Stack::V4,
        true if only.trim_ascii() == b"1" => Stack::Split,
        true => Stack::Dual,
    }
}

/// Has nobody but the daemon itself the second port?
fn is_free(facts: &Facts, port: u16) -> bool {
    let Ok(net) = &facts.net else { return true };
    let theirs = |owners: &[u32]| !owners.iter().any(|pid| Some(*pid) == facts.syslog_ng.pid);
    !net.open(Transport::Tcp, port).any(|s| theirs(&s.owners))
}

/// Where the daemon keeps its disk queues.
fn state_folder(daemon: &DaemonFacts) -> PathBuf {
    PathBuf::from(daemon.spools.first().map_or("/var/lib/syslog-ng", |s| &s.path))
}

/// Nothing is added to a configuration that the daemon would not start with. Where our reader finds fault with what the
/// daemon has loaded as it is, the daemon is right.
fn refuse_broken(host: &Host, config: &Effective, mendable: bool) -> anyhow::Result<()> {
    let fatal = lint::fatal(config);
    let Some(problem) = fatal.first() else { return Ok(()) };
    let says = gather::gather(host, &TargetOptions::default(), Depth::Local, None).syslog_ng_says;
    if says.loaded.is_ok_and(|l| l.same) {
        return Ok(());
    }
    let what = clean(&problem.to_string());
    let hint = match mendable {
        true => "this is what the older scripts leave behind: --repair mends it",
        false => "mend that line, see that syslog-ng works (`syslog-ng-ctl reload`), and run the command again",
    };
    Err(said::broken(Daemon::SyslogNg, &what, hint))
}

/// Has syslog-ng check the whole candidate, after our own lint.
pub fn validate(host: &Host, facts: &Facts, changes: BTreeMap<PathBuf, Option<Vec<u8>>>) -> anyhow::Result<()> {
    let main = Path::new(&facts.syslog_ng.main_file);
    let about = program(facts)?;
    let setting = ReadSetting::of(main, about);
    let now = Effective::load_with(main, &host.root, setting.clone());
    let source = Overlay { base: &host.root, changes: changes.clone() };
    let then = Effective::load_with(main, &source, setting);
    let known: Vec<String> = lint::fatal(&now).into_iter().map(|p| p.text).collect();
    let new = lint::fatal(&then).into_iter().filter(|p| !known.contains(&p.text));
    let new: Vec<String> = new.map(|p| clean(&p.to_string())).collect();
    if !new.is_empty() {
        return Err(said::not_accepted(Daemon::SyslogNg, &new));
    }
    let program = facts.syslog_ng.program.as_deref().context("syslog-ng is not installed")?;
    let staging = Staging::new(host, Daemon::SyslogNg);
    let laid_out = candidate(&then, &source, &changes, &staging.folder)?;
    let argv = |main: &Path| -> Vec<std::ffi::OsString> {
        let keep_root = about.gives_up_root.then_some(OsStr::new(KEEP_ROOT));
        let words = [OsStr::new(program), OsStr::new("--syntax-only"), OsStr::new("--cfgfile"), main.as_os_str()];
        words.into_iter().chain(keep_root).map(OsStr::to_owned).collect()
    };
    let words = argv(&laid_out.main);
    let words: Vec<&OsStr> = words.iter().map(|w| w.as_os_str()).collect();
    let output = staging.check(&laid_out.files, &words).context("syslog-ng could not check the new configuration")?;
    let after = Report::read(&output);
    if after.accepted && after.messages.is_empty() {
        return Ok(());
    }
    let before = host.runner.run(&Cmd::new(argv(main))).context("syslog-ng could not check its configuration")?;
    let before = Report::read(&before);
    let shown = |m: &crate::syslog::syslogng::validate::Message| clean(&m.text);
    let new: Vec<String> = after.new_since(&before).into_iter().map(shown).collect();
    match (new.is_empty(), after.accepted) {
        (false, _) => Err(said::not_accepted(Daemon::SyslogNg, &new)),
        (true, true) => Ok(()),
        (true, false) => {
            let errors = after.messages.iter().filter(|m| m.severity == Severity::Error);
            let what = errors.map(shown).next().unwrap_or_else(|| "its check fails".to_owned());
            Err(fail(
                Exit::Problems,
                format!("syslog-ng's configuration is broken already: {what}"),
                "`syslog-ng --syntax-only` names the place; mend it and run the command again",
            ))
        }
    }
}
