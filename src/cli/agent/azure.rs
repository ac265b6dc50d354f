//! The Azure Monitor Agent on this box: is it there, does its part fit, what of it can be mended from here.

use std::path::Path;
use std::time::Duration;

use crate::agent::ama::judge::Sources;
use crate::agent::ama::{Ama, Daemon, Entry, Finding, Mend, Stream, judge, steps};
use crate::cli::args::{DaemonChoice, InstallArgs};
use crate::cli::exit::{Exit, fail};
use crate::host::{Host, facts, fault};
use crate::plan::{Change, WriteFile};
use crate::platform::service_act::Services;
use crate::syslog::syslogng::Effective;
use crate::syslog::syslogng::effective::{Source, SourceKind};
use crate::ui::Ui;

/// The agent's watcher looks every 30 s (facts 3.3).
const WATCHER: Duration = Duration::from_secs(35);
/// How long the daemon may take to be restarted by it.
const SETTLE: Duration = Duration::from_secs(15);
const SYSLOG_NG_CONF: &str = "/etc/syslog-ng/syslog-ng.conf";
const PAUSE: Duration = Duration::from_secs(1);

pub struct Look {
    pub findings: Vec<Finding>,
    /// Why an event cannot be followed to the agent's port; `None`: it can, at least after the mends.
    pub unproven: Option<String>,
    /// What it gets now it throws away, or there is nobody who would take it.
    pub takes_nothing: bool,
    pub entry: Entry,
}

/// Looks, and gives the agent's own watcher its time where it would mend the thing itself.
pub fn look(host: &Host, ui: &Ui, args: &InstallArgs, port: u16, dry: bool) -> Look {
    let daemon = match args.target.daemon {
        DaemonChoice::SyslogNg => Daemon::SyslogNg,
        DaemonChoice::Rsyslog => Daemon::Rsyslog,
        DaemonChoice::Auto => running(host),
    };
    let wanted = args.stream.clone();
    let wanted: &[Stream] = if wanted.is_empty() { &[Stream::Cef, Stream::Asa] } else { &wanted };
    let mut findings = judged(host, daemon, wanted);
    let waits = |list: &[Finding]| {
        list.iter()
            .any(|f| f.mend.as_ref().is_some_and(|m| m.wait_first) || f.id == "ama.forward-config" && f.mend.is_none())
    };
    if !dry && waits(&findings) {
        let progress = ui.progress("waiting for the Azure Monitor Agent to write its file");
        let end = host.clock.monotonic() + WATCHER;
        // a suite without a watcher need not wait for it
        while waits(&findings) && host.clock.monotonic() < end && fault::hit("ama.watcher").is_ok() {
            host.clock.sleep(PAUSE);
            findings = judged(host, daemon, wanted);
        }
        if !waits(&findings) {
            settle(host, daemon);
        }
        drop(progress);
    }
    let blocked = findings.iter().any(|f| f.fatal && f.mend.is_none() && f.id != "ama.dcr-stream");
    let unasked = findings.iter().any(|f| f.id == "ama.dcr-stream");
    let ama = Ama::gather(&host.root);
    let entry = ama.entry(daemon, port);
    let unproven = match entry {
        _ if ama.is_gone() => Some("the agent is not there to take them".to_owned()),
        _ if blocked => Some("the agent takes nothing until Azure tells it to".to_owned()),
        Entry::Socket => Some("the agent takes them over its socket, where they cannot be seen".to_owned()),
        Entry::Tcp(_) => None,
    };
    Look { findings, unproven, takes_nothing: ama.is_gone() || blocked || unasked, entry }
}

/// The watcher restarts the daemon after it has written its file.
fn settle(host: &Host, daemon: Daemon) {
    let unit = match daemon {
        Daemon::Rsyslog => "rsyslog.service",
        Daemon::SyslogNg => "syslog-ng.service",
    };
    let services = Services::detect(host);
    let end = host.clock.monotonic() + SETTLE;
    loop {
        host.clock.sleep(PAUSE);
        let up = services.state(unit).is_ok_and(|s| s.is_active() && !s.job);
        if up || host.clock.monotonic() >= end {
            return;
        }
    }
}

fn judged(host: &Host, daemon: Daemon, wanted: &[Stream]) -> Vec<Finding> {
    let sources = (daemon == Daemon::SyslogNg).then(|| sources(host));
    judge::judge(&Ama::gather(&host.root), daemon, wanted, sources.as_ref())
}

/// What the daemon's configuration defines, whether or not the daemon accepts it.
fn sources(host: &Host) -> Sources {
    let config = Effective::load(Path::new(SYSLOG_NG_CONF), &host.root);
    let name = |s: &Source| s.name.as_ref().map(ToString::to_string);
    let local = config.sources.iter().find(|s| s.drivers.iter().any(|d| d.kind == SourceKind::System));
    Sources { defined: config.sources.iter().filter_map(name).collect(), local: local.and_then(name) }
}

/// rsyslog, unless only syslog-ng is there.
fn running(host: &Host) -> Daemon {
    let there = |p: &str| matches!(host.root.resolve(Path::new(p)).and_then(|p| host.root.stat(&p)), Ok(Some(_)));
    let rsyslog = there("/usr/sbin/rsyslogd") || there("/sbin/rsyslogd");
    if !rsyslog && there("/etc/syslog-ng/syslog-ng.conf") { Daemon::SyslogNg } else { Daemon::Rsyslog }
}

/// The agent is not there, and how it comes.
pub fn missing(host: &Host) -> anyhow::Error {
    let machine = facts::identity().hostname;
    fail(
        Exit::Problems,
        format!(
            "the Azure Monitor Agent is not installed on this box, and only Azure can install it:\n{}",
            steps::install(in_azure(host), &machine)
        ),
        "take these steps, then run the command again",
    )
}

/// A virtual machine of Azure says so by its chassis (known since 2016, all generations).
fn in_azure(host: &Host) -> Option<bool> {
    let tag = host.root.read(Path::new("/sys/class/dmi/id/chassis_asset_tag")).ok()?;
    Some(tag.trim_ascii() == b"7783-7084-3265-9085-8269-3286-77")
}

pub fn change(mend: &Mend) -> Change {
    match &mend.content {
        Some(content) => WriteFile::new(&mend.path, content.clone())
            .mode(0o644)
            .owner(0, 0)
            .purpose(mend.why.clone())
            .lasting()
            .into(),
        None => Change::RemoveFile { path: mend.path.clone(), secret: false, lasting: true },
    }
}
