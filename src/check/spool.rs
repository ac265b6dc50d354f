//! Judgements on what happens to events while the agent is away: queues, the folder they spill into, and whether the
//! daemon is through to the agent now.

use std::path::Path;
use std::time::Duration;

use super::agents::forward_config::over_tcp;
use super::case::Case;
use super::facts::{OwnLine, Spool, decode_path};
use super::flow::Flow;
use super::forward::needs_a_rule;
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::{Config, Forward, Queue, Storage};
use super::stats;
use super::target::Daemon;
use super::words;
use crate::agent::ama::files;
use crate::host::proc_mount;
use crate::host::{FileKind, proc_process::Process};
use crate::platform::access::{self, Who};
use crate::report::{Fix, Status, shell_quote};
use crate::syslog::syslogng::version::Version;

pub const MIB: u64 = 1 << 20;

pub fn reliable(case: &Case<'_>) -> Judged {
    over_tcp(case)?;
    let flow = case.flow()?;
    needs_a_rule(flow)?;
    let carriers = flow.good_carriers();
    let Some(forward) = carriers.first() else { return Err(NotJudged::Skip("there is no forward".into())) };
    let queue = &forward.queue;
    let at = forward.at.to_string();
    let install = |out: Outcome| {
        let what = match case.target.daemon {
            Daemon::SyslogNg => "give the destination a disk buffer",
            Daemon::Rsyslog | Daemon::None => "give the forward a disk-assisted queue with endless retries",
        };
        out.advise(what).command(case.install_command()).fixable()
    };
    match queue.storage {
        Storage::None => {
            return Ok(install(
                Outcome::warn("the forward has no queue: what arrives while the agent is away is lost")
                    .seen(at, &queue.shown),
            ));
        }
        // What the agent brings is not ours to change, and its watcher would undo it.
        Storage::Memory if own_file(forward) => {
            return Ok(Outcome::pass("the agent's own rule: what arrives while it is away waits in memory")
                .seen(at, &queue.shown));
        }
        Storage::Memory => {
            return Ok(install(
                Outcome::warn("the queue of the forward is in memory only: a long outage or a restart loses events")
                    .seen(at, &queue.shown),
            ));
        }
        Storage::Disk => {}
    }
    if let Some(bad) = spool_fault(case, forward)? {
        return Ok(bad);
    }
    if let Some((text, seen)) = queue.losses.first() {
        return Ok(install(Outcome::warn(text.clone()).seen(at, seen)));
    }
    let Some(limit) = queue.limit else {
        return Ok(install(
            Outcome::warn("the queue may fill the disk: it has no limit").seen(at, "queue.maxDiskSpace is not set"),
        ));
    };
    Ok(Outcome::pass(format!("up to {} of events wait on disk while the agent is away", words::bytes(limit)))
        .seen(at, &queue.shown))
}

/// Does the forward stand in a file that the Azure Monitor Agent has put into the daemon's configuration?
fn own_file(forward: &Forward) -> bool {
    files::is_own(&forward.at.file)
}

/// The folder the queue writes to, as the configuration or the daemon itself names it.
fn folder(case: &Case<'_>, queue: &Queue) -> Result<Option<String>, NotJudged> {
    let own = queue.folder.as_ref().map(|p| p.to_string());
    Ok(match case.config()? {
        Config::Rsyslog(config) => own.or_else(|| config.work_directory().map(|p| p.to_string())),
        Config::SyslogNg(_) => Some(own.unwrap_or_else(|| case.facts.syslog_ng_says.state.clone())),
    })
}

/// What keeps the queue from writing to disk: events beyond its memory are lost.
fn spool_fault(case: &Case<'_>, forward: &Forward) -> Result<Option<Outcome>, NotJudged> {
    let Some(path) = folder(case, &forward.queue)? else {
        return Ok(Some(
            Outcome::fail("no work directory is set, so the queue never writes to disk")
                .seen(forward.at.to_string(), "disk-assisted queue")
                .seen("configuration", "neither $WorkDirectory nor global(workDirectory=…)")
                .advise("set the work directory")
                .command(case.install_command())
                .fixable(),
        ));
    };
    match case.daemon().spools.iter().find(|s| s.path == path) {
        Some(dir) => Ok(unwritable(case, dir)?.or_else(|| complained(case, dir))),
        None => Err(NotJudged::Unknown(format!("the queue's folder {path} was not looked at"))),
    }
}

fn unwritable(case: &Case<'_>, dir: &Spool) -> Result<Option<Outcome>, NotJudged> {
    let harm = match (case.target.daemon, case.process()) {
        (Daemon::SyslogNg, Some(_)) => "the daemon does not come back after the next start",
        (Daemon::SyslogNg, None) => "the daemon does not start",
        (Daemon::Rsyslog | Daemon::None, _) => "events beyond its memory are lost",
    };
    let lost = |text: String| {
        Outcome::fail(format!("the queue cannot write to {}: {text}; {harm}", dir.path)).seen_all(spool_lines(case))
    };
    let restart = format!("sudo systemctl restart {}", case.unit_name());
    let quoted = shell_quote(&dir.path);
    let there = dir.walk.last().filter(|s| s.path == dir.real);
    if there.is_none() && makes_folders(case) {
        return Ok(None);
    }
    let Some(last) = there else {
        let (who, group) = writer(case).map(|w| (w.uid, w.gid)).unwrap_or_default();
        if dir.link {
            return Ok(Some(
                lost("it is a link that leads to no folder".into())
                    .seen(&dir.path, format!("a link; followed to its end: {}", dir.real))
                    .advise(
                        "make the folder that it should lead to, or put a folder in its place; then restart the daemon",
                    )
                    .command(format!("ls -l {quoted}"))
                    .command(format!("sudo rm {quoted} && sudo install -d -m 0700 -o {who} {quoted}"))
                    .command(restart),
            ));
        }
        return Ok(Some(
            lost("it does not exist".into())
                .seen(&dir.path, "no such folder")
                .advise("make the folder for the daemon's user and restart the daemon")
                .command(format!("sudo install -d -m 0700 -o {who} {quoted}"))
                .command(restart)
                .fix(Fix::Folder { path: decode_path(&dir.path), mode: 0o700, owner: (who, group) })
                .fix(case.restart()),
        ));
    };
    if last.kind != FileKind::Dir {
        return Ok(Some(
            lost("it is no folder".into())
                .seen(&dir.path, format!("{:?}", last.kind).to_lowercase())
                .advise("move away what is there, make the folder and restart the daemon")
                .command(format!("sudo mv {quoted} {quoted}.old && sudo install -d -m 0700 {quoted}"))
                .command(restart),
        ));
    }
    if let Ok(mounts) = &case.daemon().mounts
        && let Some(mount) = proc_mount::holding(mounts, Path::new(&dir.real)).filter(|m| m.read_only)
    {
        return Ok(Some(
            lost("it is read-only for the daemon".into())
                .seen("mount as the daemon sees it", format!("{} ({}) read-only", mount.point, mount.fs_type))
                .seen_all(case.unit_changes())
                .advise("mount it writable, or allow it in the unit with ReadWritePaths=, then restart the daemon")
                .command(restart),
        ));
    }
    if case.daemon().mounts.is_err() && dir.space.as_ref().is_some_and(|s| s.read_only) {
        return Ok(Some(
            lost("it is on a file system that is read-only".into())
                .seen(&dir.path, "read-only")
                .advise("mount it writable, then start the daemon")
                .command(restart),
        ));
    }
    if let (Err(why), Some(_)) = (&case.daemon().mounts, case.process()) {
        return Err(NotJudged::Unknown(format!("what the daemon sees of its file systems is not known: {why}")));
    }
    let who = writer(case)?;
    match access::may(&who, &dir.walk, access::WRITE | access::SEARCH) {
        Ok(()) => Ok(None),
        Err(at) => {
            let out = lost(format!("{} has {}, the daemon runs as user {}", at.path, at.why, who.uid))
                .seen("the daemon runs as", format!("user {}, group {}, groups {:?}", who.uid, who.gid, who.groups));
            let immutable = dir.walk.iter().any(|s| s.path == at.path && s.immutable);
            let out = out.advise("let the daemon write there, then restart it");
            Ok(Some(match () {
                _ if immutable => out.command(format!("sudo chattr -i {}", shell_quote(&at.path))).command(restart),
                _ if at.path == dir.real => {
                    let access =
                        Fix::Access { path: decode_path(&dir.real), mode: 0o700, owner: Some((who.uid, who.gid)) };
                    out.command(format!("sudo chown {}:{} {quoted}", who.uid, who.gid))
                        .command(restart)
                        .fix(access)
                        .fix(case.restart())
                }
                _ => out.command(format!("sudo chmod o+x {}", shell_quote(&at.path))).command(restart),
            }))
        }
    }
}

/// syslog-ng makes a missing folder itself; 3.28 did not (both tried), where between them it learnt it is not known.
fn makes_folders(case: &Case<'_>) -> bool {
    let about = case.facts.syslog_ng_says.about.as_ref();
    case.target.daemon == Daemon::SyslogNg && about.is_ok_and(|p| p.version >= Version::new(3, 38, 0))
}

/// Why the queue has no folder to write to, if that is so.
pub fn fault(case: &Case<'_>) -> Option<Outcome> {
    let flow = case.flow().ok()?;
    let carriers = flow.good_carriers();
    let forward = carriers.first().filter(|f| f.queue.storage == Storage::Disk)?;
    spool_fault(case, forward).ok()?.filter(|o| o.status == Status::Fail)
}

/// Who the daemon is while it works: after it dropped its privileges.
fn writer(case: &Case<'_>) -> Result<Who, NotJudged> {
    let who = |p: &Process| Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective };
    if let Some(process) = case.process() {
        return Ok(who(process));
    }
    let user = match case.config()? {
        Config::Rsyslog(config) => config.privilege_drop().0,
        Config::SyslogNg(_) => None,
    };
    match user {
        Some(user) => Err(NotJudged::Unknown(format!("the daemon would run as {user}, but does not run now"))),
        None => Ok(Who { capabilities: u64::MAX, ..Who::default() }),
    }
}

/// Everything looks right now, but the daemon could not use the folder since it was started and does not try again.
fn complained(case: &Case<'_>, dir: &Spool) -> Option<Outcome> {
    // What a daemon that is gone complained about, its successor may find in order.
    case.process()?;
    // That a file could not be opened is said of log files too.
    let here = |text: &str| !text.contains("/e/2433") || text.contains(&dir.path) || text.contains(&dir.real);
    let lines: Vec<&OwnLine> = case.own_lines().filter(|l| spool_error(&l.text) && here(&l.text)).collect();
    let first = lines.first()?;
    let text = format!("the daemon could not use {} since it was started: {}", dir.path, first.text);
    // A line in a log file may be anybody's; the journal vouches for its own.
    let out = if first.source == "journal" { Outcome::fail(text) } else { Outcome::warn(text) };
    // What it cannot read again it cannot write either, after every start anew.
    let left = if case.target.daemon == Daemon::Rsyslog { left_behind(dir) } else { Vec::new() };
    if !left.is_empty() && lines.iter().any(|l| l.text.contains("disk queue")) {
        let folder = shell_quote(&format!("{}.damaged", dir.real));
        let files: Vec<String> = left.iter().map(|stem| format!("{}/{stem}.*", dir.real)).collect();
        let name = case.unit_name();
        return Some(
            out.seen_all(lines.iter().take(4).map(|l| (l.source.as_str(), l.text.as_str())))
                .seen_all(left.iter().map(|stem| (dir.path.clone(), format!("{stem}.qi, left by an earlier run"))))
                .advise(
                    "the queue's files are damaged: move them away while the daemon is stopped (the events in them are \
                     lost to it; a person can still read them); if it is no better then, a security module may forbid the folder",
                )
                .command(format!("sudo systemctl stop {name}; sudo mkdir -p {folder}; sudo mv {} {folder}/", files.join(" ")))
                .command(format!("sudo systemctl start {name}")),
        );
    }
    Some(
        out.seen_all(lines.iter().take(4).map(|l| (l.source.as_str(), l.text.as_str())))
            .advise(
                "the folder looks right now: restart the daemon; if it says so again, a security module may forbid it",
            )
            .command(format!("sudo systemctl restart {}", case.unit_name())),
    )
}

/// Names of queues of which an earlier run has left its notes (`NAME.qi`): rsyslog reads them when it starts.
fn left_behind(dir: &Spool) -> Vec<String> {
    let names =
        dir.files.iter().flatten().filter_map(|f| Path::new(&f.path).file_name()?.to_str()?.strip_suffix(".qi"));
    names.filter(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))).map(str::to_owned).collect()
}

/// Disk queue given up (2036), file not opened (2433); 2181 is the missing folder itself. syslog-ng says it in words.
fn spool_error(text: &str) -> bool {
    let words = |all: &[&str]| all.iter().all(|w| text.contains(w));
    if words(&["rror", "disk", "queue"]) || words(&["rror", "disk-buffer"]) {
        return true;
    }
    ["/e/2036", "/e/2181"].iter().any(|e| text.contains(e)) || (text.contains("/e/2433") && text.contains("open error"))
}

fn spool_lines<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    case.own_lines().filter(|l| spool_error(&l.text)).take(3).map(|l| (l.source.as_str(), l.text.as_str()))
}

/// Most that a diagnosis waits until the daemon tries the agent again.
const MOST_PATIENCE: Duration = Duration::from_secs(7);

/// How long it takes until a daemon that is not connected tries again, where it only does so at fixed times: an agent
/// that has just come up is not at fault, nor is the daemon.
pub fn until_retry(case: &Case<'_>) -> Option<Duration> {
    let flow = case.flow().ok()?;
    let retry = flow.good_carriers().first()?.retry?;
    let pid = case.daemon_pid()?;
    let net = case.facts.net.as_ref().ok()?;
    // rsyslog connects with the first event, and waits only after a try that failed.
    if case.target.daemon != Daemon::SyslogNg && last_word(case).is_none() {
        return None;
    }
    let connected = net.connections_to(case.target.agent_port).any(|s| s.owners.contains(&pid));
    (!connected).then(|| MOST_PATIENCE.min(Duration::from_secs(retry) + Duration::from_secs(1)))
}

/// What waits for the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In files of the queue, where that tells.
    pub bytes: u64,
    /// As the daemon counts them, where it does.
    pub events: u64,
}

impl Waiting {
    pub fn is_some(self) -> bool {
        self.bytes > 0 || self.events > 0
    }
    pub fn is_much(self) -> bool {
        self.bytes > MIB || self.events > 10_000
    }
    /// `2.0 MiB of events wait on disk`
    pub fn shown(self) -> Option<String> {
        match self {
            Waiting { bytes: 0, events: 0 } => None,
            Waiting { bytes: 0, events } => {
                Some(format!("{} wait for the agent", words::count(events as usize, "event")))
            }
            Waiting { bytes, .. } => Some(format!("{} of events wait on disk", words::bytes(bytes))),
        }
    }
}

/// What waits before the agent, by the files of the forward's queue or by the daemon's counters.
pub fn waiting(case: &Case<'_>, flow: &Flow<'_>) -> Waiting {
    let carriers = flow.good_carriers();
    if case.target.daemon == Daemon::SyslogNg {
        // Disk buffers of syslog-ng keep their size when they are drained, so files tell nothing.
        let counters = case.facts.syslog_ng_says.stats.as_ref().map(|s| s.0.as_slice()).unwrap_or_default();
        let events = carriers.iter().map(|f| stats::queued(counters, &f.target.to_string(), f.number)).sum();
        return Waiting { bytes: 0, events };
    }
    let names: Vec<String> = carriers.iter().filter_map(|f| f.queue.file.as_ref()).map(|n| n.to_string()).collect();
    let spools = case.daemon().spools.iter();
    Waiting { bytes: spools.map(|s| s.waiting(|stem| names.iter().any(|n| n == stem))).sum(), events: 0 }
}

/// The daemon's last word about the connection, if it is a complaint.
pub fn last_word<'a>(case: &'a Case<'_>) -> Option<&'a OwnLine> {
    if case.target.daemon == Daemon::SyslogNg {
        let port = format!(":{})", case.target.agent_port);
        let last =
            case.own_lines().filter(|l| l.text.contains("Syslog connection") && l.text.contains(&port)).last()?;
        return (!last.text.contains("established")).then_some(last);
    }
    let about = |text: &str| ["/e/2007", "/e/2027", "/e/2359", "/e/2186"].iter().any(|e| text.contains(e));
    // 2186 is also said of a listener's address.
    let listener = |text: &str| text.contains("bound address");
    let last = case.own_lines().filter(|l| about(&l.text) && !listener(&l.text)).last()?;
    (!last.text.contains("/e/2359") && !last.text.contains("resumed")).then_some(last)
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
