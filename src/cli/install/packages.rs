//! The step before an install on a box without a syslog daemon: the distribution's own package, by its package manager,
//! if it was asked for. It is a run of its own, journal and receipt included, because only the package brings the
//! configuration that the plan is made on; should the install not come to its end, the package goes again.

use super::consent;
use super::daemon::Daemon;
use crate::check::gather;
use crate::cli::args::{DaemonChoice, Format, InstallArgs};
use crate::cli::exit::{Exit, fail};
use crate::cli::show;
use crate::host::Host;
use crate::plan::{Change, Goal, Outcome, Plan, Session};
use crate::platform::packages::{Packages, Presence};
use crate::platform::setting::Setting;
use crate::ui::{AskError, Ui};

/// What the step came to.
pub enum Added {
    Nothing,
    /// There was no consent.
    Declined,
    Brought(Brought),
}

/// Packages that this run has brought.
pub struct Brought {
    setting: Setting,
    /// There was no receipt before it.
    first: bool,
}

/// The daemon that was asked for (rsyslog if none was), where it is not here.
fn missing(host: &Host, choice: DaemonChoice) -> Option<Daemon> {
    let here = |daemon: Daemon| gather::program(host, daemon.name()).is_some();
    match choice {
        DaemonChoice::Rsyslog => Some(Daemon::Rsyslog).filter(|d| !here(*d)),
        DaemonChoice::SyslogNg => Some(Daemon::SyslogNg).filter(|d| !here(*d)),
        DaemonChoice::Auto => Some(Daemon::Rsyslog).filter(|_| !Daemon::ALL.into_iter().any(here)),
    }
}

/// What `--install-packages` would do here, in a sentence.
///
/// # Errors
/// There is no package manager.
pub fn wanted(host: &Host, args: &InstallArgs) -> anyhow::Result<Option<String>> {
    let Some(daemon) = missing(host, args.target.daemon).filter(|_| args.install_packages) else { return Ok(None) };
    let packages = Packages::detect(host).map_err(failed)?;
    Ok(Some(format!("install the package {} with {}", packages.package_of(daemon.name()), packages.tool())))
}

/// The plan that can be told before there is a daemon.
pub fn dry_run(ui: &Ui, args: &InstallArgs, sentence: &str) -> anyhow::Result<Exit> {
    let note = "what install adds depends on the configuration that the package brings, and is shown once it is there";
    match args.output {
        Format::Json => {
            let notes = [format!("first: {sentence}"), note.to_owned()];
            ui.result(&show::json(&Plan::default(), &notes, false, None, None))?;
        }
        Format::Text => {
            ui.result(&show::before_plan(ui, &[sentence.to_owned()]))?;
            ui.result(&format!("note: {note}\n"))?;
            ui.say("this was a dry run: nothing was changed");
        }
    }
    Ok(Exit::Good)
}

/// Installs what is missing, if that was asked for.
///
/// # Errors
/// The package is not to be had, or does not install; the box is as it was then.
pub fn add(host: &Host, ui: &Ui, args: &InstallArgs, session: &mut Session<'_>) -> anyhow::Result<Added> {
    let Some(daemon) = missing(host, args.target.daemon) else { return Ok(Added::Nothing) };
    if !args.install_packages {
        let question = format!("{} is not installed. Install the distribution's package?", daemon.name());
        match ui.confirm(&question) {
            Ok(true) => {}
            Ok(false) => return Ok(Added::Declined),
            // Refused with its reason by whoever looks for the daemon.
            Err(AskError::NotATerminal { .. } | AskError::Failed(_)) => return Ok(Added::Nothing),
        }
    }
    let progress = ui.progress("asking the package manager");
    let packages = Packages::detect(host).map_err(failed)?;
    let names = packages.closure(packages.package_of(daemon.name())).map_err(failed)?;
    let mut leftovers = Vec::new();
    for name in &names {
        if packages.presence(name).map_err(failed)? == Presence::Leftovers {
            leftovers.push(name.clone());
        }
    }
    let setting = Setting::Packages { names, leftovers };
    let plan = session.plan_fix([Change::Set(setting.clone())])?;
    drop(progress);
    if args.output == Format::Text {
        ui.result(&show::plan_text(ui, &plan, &[], false))?;
    }
    if args.install_packages && !consent(ui, args.yes)? {
        return Ok(Added::Declined);
    }
    let first = !session.has_receipt();
    let progress = ui.progress("installing");
    let outcome = session.apply(&plan, &Goal::Fix, &mut show::observe(ui, &progress, args.output), &mut || Ok(()));
    drop(progress);
    if !matches!(outcome, Outcome::Done { .. }) {
        show::finish(outcome)?;
    }
    if args.output == Format::Text {
        ui.result(&format!("{} is installed\n", daemon.name()))?;
    }
    Ok(Added::Brought(Brought { setting, first }))
}

impl Brought {
    /// Takes the packages away again after an install that did not come to its end; its outcome is given back.
    pub fn take_back(
        self,
        ui: &Ui,
        args: &InstallArgs,
        session: &mut Session<'_>,
        done: anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let progress = ui.progress("removing the packages again");
        let change = || Change::Unset(self.setting.clone());
        let (plan, goal) = match self.first {
            true => (session.plan_uninstall(true).map(Option::unwrap_or_default), Goal::Uninstall),
            false => (session.plan_fix([change()]), Goal::Fix),
        };
        let outcome = plan
            .map(|plan| session.apply(&plan, &goal, &mut show::observe(ui, &progress, args.output), &mut || Ok(())));
        drop(progress);
        match outcome.and_then(show::finish) {
            Ok(_) => ui.say(&format!("taken back: {} again", self.setting.undo_sentence())),
            Err(e) => ui.warn(&format!("{} could not be removed again: {e:#}", self.setting.noun())),
        }
        done
    }
}

fn failed(error: crate::platform::packages::PackageError) -> anyhow::Error {
    let text = error.to_string();
    let (what, hint) =
        text.split_once("\nhint: ").unwrap_or((&text, "install the package by hand, then run this again"));
    fail(Exit::Problems, what, hint)
}
