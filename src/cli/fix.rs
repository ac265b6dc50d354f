//! `troubleshoot --fix`: what the checks name and a program can mend, through the same engine as `install`: plan, diff,
//! consent, journal, proof, and everything taken back where the proof misses. First the daemon and its files, then what
//! `install` does; looked at anew in between, since one repair may make another needless.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use super::agent::args::AgentArgs;
use super::args::{AgentChoice, DaemonChoice, Format, InstallArgs, LocalCopy, TroubleshootArgs};
use super::exit::usage;
use super::{install, show};
use crate::check::select::Selection;
use crate::host::{FileKind, Host, Interrupt};
use crate::plan::{Change, Goal, Outcome, ServiceChange, Session, When};
use crate::platform::service_act::{Action, Services};
use crate::report::{CheckResult, Fix, Report, Status, clean};
use crate::ui::Ui;

/// Times that the daemon and its files are mended before what `install` does.
const ROUNDS: usize = 3;
/// Installations in a row.
const INSTALLS: usize = 2;
/// How long the daemon may take to settle.
const SETTLE: Duration = Duration::from_secs(5);
/// Places of a mask, the lasting one and the one until the next boot.
const MASKS: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

/// Mends what can be mended. `look` looks at the machine again.
///
/// # Errors
/// A repair that did not work (and was taken back); no consent to be had.
pub fn run(
    host: &Host,
    ui: &Ui,
    interrupt: &Interrupt,
    args: &TroubleshootArgs,
    asked: &Selection,
    first: &Report,
    look: &dyn Fn() -> Report,
) -> anyhow::Result<()> {
    if !host.root.is_live() {
        return Err(usage("changes are made on the running machine only", "run it there"));
    }
    if crate::host::facts::euid() != 0 {
        return Err(usage("mending needs root", "run it with sudo"));
    }
    let all = wanted(first, asked);
    let others = first.checks.iter().filter(|c| c.status == Status::Fail && !c.fixes.is_empty() && !asked.has(&c.id));
    for other in others {
        ui.say(&format!("not asked for, and left alone: {}: {}", other.id, clean(&other.summary)));
    }
    if all.is_empty() {
        ui.say("nothing here can be mended by cefctl itself; the remedies above are for a person");
        return Ok(());
    }
    for check in &all {
        ui.say(&format!("to mend: {}: {}", check.id, clean(&check.summary)));
    }
    // Once more where the first repair lets another fault be seen; never the same twice.
    let mut report = first.clone();
    let mut done: Vec<Fix> = Vec::new();
    let mut installed: Vec<Fix> = Vec::new();
    // Nothing else is proven while the daemon cannot read its files.
    if unreadable(&report, asked) {
        installed.extend(install(host, ui, args, asked, &report)?);
        report = look();
    }
    for _ in 0..ROUNDS {
        // A daemon that cannot read its files does not start before `install` has put them right, and then by it.
        let unit = format!("{}.service", report.target.daemon);
        let hopeless = unreadable(&report, asked);
        let later = |f: &Fix| f.is_install() || hopeless && matches!(f, Fix::Start(u) if *u == unit);
        let direct: Vec<Fix> = fixes(&report, asked).filter(|f| !later(f) && !done.contains(f)).cloned().collect();
        if direct.is_empty() {
            break;
        }
        repair(host, ui, interrupt, args, &direct, &report)?;
        done.extend(direct);
        report = look();
    }
    // What one installation makes possible another one may have to use: the place behind a rule that was missing, say.
    for _ in 0..INSTALLS {
        if fixes(&report, asked).filter(|f| f.is_install()).all(|f| installed.contains(f)) {
            break;
        }
        installed.extend(install(host, ui, args, asked, &report)?);
        report = look();
    }
    Ok(())
}

/// What `install` mends of a report; returns that.
fn install(
    host: &Host,
    ui: &Ui,
    args: &TroubleshootArgs,
    asked: &Selection,
    report: &Report,
) -> anyhow::Result<Vec<Fix>> {
    let mine: Vec<Fix> = fixes(report, asked).filter(|f| f.is_install()).cloned().collect();
    install::run(host, ui, &install_args(args, report, &mine))?;
    Ok(mine)
}

fn fixes<'a>(report: &'a Report, asked: &Selection) -> impl Iterator<Item = &'a Fix> {
    wanted(report, asked).into_iter().flat_map(|c| &c.fixes)
}

/// Is the daemon's configuration one that `install` has to mend first?
fn unreadable(report: &Report, asked: &Selection) -> bool {
    wanted(report, asked).into_iter().any(|c| {
        c.status == Status::Fail
            && c.group == "daemon"
            && c.id != "daemon.running"
            && c.fixes.iter().any(Fix::is_install)
    })
}

/// Checks that were asked for, found something, and of which something can be mended.
fn wanted<'a>(report: &'a Report, asked: &Selection) -> Vec<&'a CheckResult> {
    let bad = |c: &CheckResult| matches!(c.status, Status::Fail | Status::Warn);
    let found = |c: &&CheckResult| bad(c) && !c.fixes.is_empty() && asked.has(&c.id);
    report.checks.iter().filter(found).collect()
}

/// The daemon and its files.
fn repair(
    host: &Host,
    ui: &Ui,
    interrupt: &Interrupt,
    args: &TroubleshootArgs,
    fixes: &[Fix],
    report: &Report,
) -> anyhow::Result<()> {
    let progress = ui.progress("planning the repair");
    let mut session = {
        let mut observer = show::observe(ui, &progress, Format::Text);
        Session::begin(host, interrupt, &mut observer).map_err(show::not_begun)?
    };
    let plan = session.plan_fix(changes(host, fixes, report)?)?;
    drop(progress);
    if plan.is_empty() {
        return Ok(());
    }
    ui.result(&show::plan_text(ui, &plan, &[], true))?;
    if !install::consent(ui, args.yes)? {
        bail!("nothing was changed: there was no consent");
    }
    let progress = ui.progress("mending");
    // systemd hears of a mask that is gone with the next action on that unit; one that runs needs none.
    let unmasked = fixes.iter().any(|f| matches!(f, Fix::Unmask(_)));
    let unit = format!("{}.service", report.target.daemon);
    let outcome = session.apply(&plan, &Goal::Mend, &mut show::observe(ui, &progress, Format::Text), &mut || {
        if unmasked {
            Services::detect(host).daemon_reload()?;
        }
        runs(host, &unit)
    });
    drop(progress);
    if let Outcome::Done { steps, .. } = &outcome {
        ui.result(&format!("mended: {steps} steps; {} runs\n", report.target.daemon))?;
    }
    show::finish(outcome).map(drop)
}

/// Does the daemon run, now or within a moment?
fn runs(host: &Host, unit: &str) -> anyhow::Result<()> {
    let services = Services::detect(host);
    let end = host.clock.monotonic() + SETTLE;
    loop {
        let state = services.state(unit)?;
        if state.is_active() {
            return Ok(());
        }
        if host.clock.monotonic() >= end {
            bail!("{unit} does not run afterwards: {:?}, {}, last result {}", state.active, state.sub, state.result);
        }
        host.clock.sleep(Duration::from_millis(100));
    }
}

fn changes(host: &Host, fixes: &[Fix], report: &Report) -> anyhow::Result<Vec<Change>> {
    let mut changes: Vec<Change> = Vec::new();
    let mut services: Vec<ServiceChange> = Vec::new();
    for fix in fixes {
        match fix {
            Fix::Install | Fix::DropLocalCopy | Fix::NoPortalSync | Fix::OpenFirewall(_) | Fix::InstallDaemon(_) => {}
            Fix::Set(setting) => changes.push(setting.clone().into()),
            Fix::Remove(path) => changes.push(Change::RemoveFile { path: path.clone(), secret: true, lasting: false }),
            Fix::Unmask(unit) => {
                let places = MASKS.iter().map(|folder| Path::new(folder).join(unit));
                // Only a mask: a unit of somebody's own with that name stays.
                let masks = places.filter(|p| is_mask(host, p));
                let removals = masks.map(|path| Change::RemoveFile { path, secret: false, lasting: false });
                let new: Vec<Change> = removals.filter(|c| !changes.contains(c)).collect();
                changes.extend(new);
            }
            Fix::Restart(unit) => services.push(ServiceChange::new(unit, Action::Restart).when(When::Always)),
            Fix::Start(unit) => services.push(ServiceChange::new(unit, Action::Start)),
            Fix::Enable(unit) => services.push(ServiceChange::new(unit, Action::Enable)),
            Fix::Access { path, mode, owner } => {
                changes.push(Change::Access { path: path.clone(), mode: *mode, owner: *owner });
            }
            Fix::Folder { path, mode, owner } => {
                changes.push(Change::CreateDir { path: path.clone(), mode: *mode, owner: Some(*owner) });
            }
        }
    }
    // The agent first: the daemon connects to it when it comes up. Each once, whoever asks for it.
    // A unit is enabled before it is started, since one that runs would have to stop for it.
    services.sort_by_key(|s| (s.unit.starts_with(&report.target.daemon), s.action != Action::Enable));
    services.dedup();
    changes.extend(services.into_iter().map(Change::Service));
    Ok(changes)
}

fn is_mask(host: &Host, path: &Path) -> bool {
    let meta = host.root.stat(path).ok().flatten();
    meta.is_some_and(|m| m.kind == FileKind::Link && m.target.as_deref() == Some(Path::new("/dev/null")))
}

/// The `install` that brings this box to what it was measured against.
fn install_args(args: &TroubleshootArgs, report: &Report, fixes: &[Fix]) -> InstallArgs {
    let t = &report.target;
    let mut target = args.target.clone();
    target.port = Some(t.port);
    target.agent_port = Some(t.agent_port);
    target.agent = match t.agent.as_str() {
        "oms" => AgentChoice::Oms,
        "ama" => AgentChoice::Ama,
        _ => AgentChoice::None,
    };
    target.daemon = match t.daemon.as_str() {
        "rsyslog" => DaemonChoice::Rsyslog,
        "syslog-ng" => DaemonChoice::SyslogNg,
        _ => DaemonChoice::Auto,
    };
    let missing = fixes.iter().find_map(|f| match f {
        Fix::InstallDaemon(name) => Some(name.as_str()),
        _ => None,
    });
    if missing == Some("syslog-ng") {
        target.daemon = DaemonChoice::SyslogNg;
    }
    let sources = fixes.iter().find_map(|f| match f {
        Fix::OpenFirewall(sources) => Some(sources.clone()),
        _ => None,
    });
    InstallArgs {
        // A repair onboards nobody and removes no agent.
        onboarding: AgentArgs { no_portal_sync: fixes.contains(&Fix::NoPortalSync), ..AgentArgs::default() },
        target,
        stream: Vec::new(),
        purge_oms: false,
        dry_run: false,
        yes: args.yes,
        // What is not said, protocols and TLS among it, stays as the receipt has it.
        tls_cert: None,
        tls_key: None,
        local_copy: fixes.contains(&Fix::DropLocalCopy).then_some(LocalCopy::Drop),
        rewrite_ids: false,
        no_rewrite_ids: false,
        no_octet_counting: false,
        octet_counting: false,
        counted_port: None,
        repair: false,
        install_packages: missing.is_some(),
        queue_disk: None,
        open_firewall: sources,
        output: Format::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::target::{Target, TargetOptions};
    use crate::check::{diagnose, fixture, report};
    use crate::host::SystemClock;

    #[test]
    fn what_was_not_asked_for_is_not_mended() {
        let mut facts = fixture::with_drop_in(""); // neither listener nor rule
        facts.rsyslog.spools.iter_mut().for_each(|s| drop(s.walk.pop()));
        let target = Target::resolve(&TargetOptions::default(), &facts);
        let checks = diagnose(&facts, &target, &Selection::default(), &SystemClock::default());
        let report = report(&facts, &target, String::new(), Duration::ZERO, checks);
        let of = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|w| (*w).to_owned()).collect();
            let asked = Selection::new(&only, &[]).unwrap();
            wanted(&report, &asked).into_iter().map(|c| c.id.clone()).collect::<Vec<_>>()
        };
        assert!(of(&[]).len() >= 3, "{:?}", of(&[]));
        assert_eq!(of(&["forward.rule"]), ["forward.rule"]);
        assert_eq!(of(&["listen"]), ["listen.udp", "listen.tcp"]);
        assert!(of(&["firewall"]).is_empty());
    }
}
