//! Judgements on the daemon's configuration as a whole: accepted, every name leads somewhere, every file read and
//! readable. What is particular to one daemon stands in `config_rsyslog` and `config_ng`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::case::Case;
use super::facts::{DropIn, UnitFacts, decode_path, encode_path};
use super::outcome::{Judged, NotJudged, Outcome};
use super::pipeline::Config;
use super::target::Daemon;
use super::words;
use super::{config_ng, config_rsyslog};
use crate::agent::ama::files;
use crate::host::{FileKind, proc_mount};
use crate::platform::access::{self, Who};
use crate::report::{Fix, shell_quote};
use crate::syslog::Location;

pub fn config(case: &Case<'_>) -> Judged {
    if let Some((copy, ours)) = second_copy(case) {
        let quoted = shell_quote(&copy);
        return Ok(Outcome::fail(format!("{copy} is a copy of {ours}, and the daemon reads both"))
            .seen(&copy, "begins as that file does, and `cefctl install` did not write it")
            .seen(&ours, "written by `cefctl install`")
            .advise("move the copy to a place that the daemon does not read")
            .command(format!("sudo mv {quoted} /root/"))
            .command(format!("sudo systemctl restart {}", case.unit_name())));
    }
    match case.config_as_read()? {
        Config::Rsyslog(config) => config_rsyslog::config(case, config),
        Config::SyslogNg(config) => config_ng::config(case, config),
    }
}

/// A file that is read beside the one of ours that it was made from: a backup in the wrong place, mostly.
fn second_copy(case: &Case<'_>) -> Option<(String, String)> {
    let receipt = case.facts.receipt.as_ref().ok().and_then(Option::as_ref)?;
    let files = &case.daemon().config.files;
    let first_line = |path: &str| {
        let text = files.get(path)?.content.as_ref().ok()?;
        text.0.split(|b| *b == b'\n').next().filter(|l| l.starts_with(b"# Written by "))
    };
    let read = Reading::of(case.config_as_read().ok()?);
    let read: BTreeSet<String> = read.files.iter().map(|f| encode_path(f)).collect();
    let real = |path: &str| files.get(path).and_then(|f| f.walk.last()).map(|s| s.path.clone());
    let is_ours = |path: &str| {
        receipt.files.iter().any(|f| f.path == path || (real(path).is_some() && real(&f.path) == real(path)))
    };
    let copy = |path: &&String| !is_ours(path) && first_line(path).is_some();
    let copy = read.iter().find(copy)?;
    let made_from = |path: &&str| read.contains(*path) && first_line(path) == first_line(copy);
    let ours = receipt.files.iter().map(|f| f.path.as_str()).find(made_from)?;
    Some((copy.clone(), ours.to_owned()))
}

pub fn references(case: &Case<'_>) -> Judged {
    match case.config()? {
        Config::Rsyslog(_) => config_rsyslog::references(case),
        Config::SyslogNg(config) => config_ng::references(case, config),
    }
}

/// A mistake where the events of the collector pass fails; elsewhere it warns: somebody's rule has no effect, but no
/// security event is lost.
pub fn by_concern(concerns: bool, (at, text): (String, String)) -> Outcome {
    let text = format!("{at}: {text}");
    if concerns { Outcome::fail(text) } else { Outcome::warn(text) }
}

/// Has the file a listener of the port, a forward to this box, or did `install` write it? A message without a place is
/// about something somewhere.
pub fn concerns_file(case: &Case<'_>, file: Option<&Path>) -> bool {
    let (Some(file), Ok(config)) = (file, case.config_as_read()) else { return false };
    let listens = config.listeners().iter().any(|l| &*l.at.file == file && l.number == Some(case.target.port));
    let forwards = config.forwards().iter().any(|f| &*f.at.file == file && f.loopback);
    listens || forwards || case.is_own(file)
}

/// `files`: where the mistakes are. Those of ours are written anew.
pub fn correct<'p>(case: &Case<'_>, mut files: impl Iterator<Item = &'p Path>, out: Outcome) -> Outcome {
    if let Some(file) = agents_damaged(case) {
        return out
            .seen(file, "is damaged or cut short: the daemon stumbles in it, or in the file behind it")
            .advise("write the Azure Monitor Agent's file anew, from the agent's own original")
            .command(case.check_command())
            .command(case.install_command())
            .fixable();
    }
    if files.any(|f| case.is_changed(f)) {
        return out
            .advise("write the file of `cefctl install` anew: somebody has changed it")
            .command(case.check_command())
            .command(case.install_command())
            .fixable();
    }
    let advice = match case.target.daemon {
        Daemon::SyslogNg => "correct the place that is named, check it, let the daemon read it again",
        Daemon::Rsyslog | Daemon::None => "correct the place that is named, check it, restart the daemon",
    };
    out.advise(advice).command(case.check_command()).command(case.load_command())
}

/// A file of the Azure Monitor Agent's at which the daemon gives up, where `install` can put the agent's original there.
fn agents_damaged(case: &Case<'_>) -> Option<&'static str> {
    let daemon = match case.target.daemon {
        Daemon::SyslogNg => files::Daemon::SyslogNg,
        Daemon::Rsyslog | Daemon::None => files::Daemon::Rsyslog,
    };
    let damaged = |path: &str| {
        let content = case.daemon().config.files.get(path).and_then(|f| f.content.as_ref().ok());
        content.is_some_and(|text| files::is_damaged(daemon, &text.0))
    };
    let mut places = files::PLACES.into_iter().filter(|p| p.daemon == daemon && damaged(p.path)).map(|p| p.path);
    places.next().filter(|_| config_ng::agents_come_back(case))
}

pub fn include(case: &Case<'_>) -> Judged {
    let reading = Reading::of(case.config()?);
    let drop_ins = case.daemon().drop_in_folder.as_ref()?;
    let wanted: Vec<&DropIn> = drop_ins.iter().filter(|d| is_config_file(d)).collect();
    if wanted.is_empty() {
        return Err(NotJudged::Skip(format!("there is no {} with files in it", reading.folder.display())));
    }
    let read: BTreeSet<String> = reading.files.iter().flat_map(|f| names_of(case, f)).collect();
    let unread: Vec<&DropIn> =
        wanted.iter().copied().filter(|d| !read.contains(&d.path) && !read.contains(&d.real)).collect();
    if unread.is_empty() {
        return Ok(Outcome::pass(format!(
            "{} of {} read",
            words::count(wanted.len(), "file"),
            reading.folder.display()
        )));
    }
    let (main, folder) = (&case.daemon().main_file, reading.folder.display());
    let whole = unread.len() == wanted.len();
    let summary = match whole {
        true => {
            format!("{main} does not include {folder}: {} there without effect", words::count(unread.len(), "file"))
        }
        false => format!("{} in {folder} without effect", words::count(unread.len(), "file")),
    };
    let includes = reading.includes.iter().map(|(at, pattern)| (at.to_string(), format!("includes {pattern}")));
    let out = Outcome::fail(summary)
        .seen_all(unread.iter().map(|d| (d.path.as_str(), "not read by the daemon")))
        .seen_all(includes);
    Ok(if whole {
        let line = match case.target.daemon {
            Daemon::SyslogNg => format!("`@include \"{folder}/*.conf\"` to the end of {main}"),
            Daemon::Rsyslog | Daemon::None => format!("`$IncludeConfig {folder}/*.conf` to {main}, before its rules"),
        };
        out.advise(format!("add the line {line}, then let the daemon read its configuration again"))
            .command(case.install_command())
            // What a daemon that does not even start is to do besides is not ours to decide.
            .fixable_if(case.process().is_some() || !case.facts.host.live)
    } else {
        out.advise("see which include leaves them out, or move them to where files are read from")
    })
}

/// What was read, whoever reads it.
struct Reading<'a> {
    files: Vec<&'a Path>,
    includes: Vec<(&'a Location, String)>,
    /// Where drop-ins lie.
    folder: PathBuf,
    /// Files that an include should read and that are lost.
    lost: Vec<&'a Path>,
}

impl<'a> Reading<'a> {
    fn of(config: Config<'a>) -> Self {
        match config {
            Config::Rsyslog(c) => Reading {
                files: c.files.iter().map(|f| f.path.as_ref()).collect(),
                includes: c.includes.iter().map(|i| (&i.at, i.pattern.to_string())).collect(),
                folder: config_rsyslog::DROP_INS.into(),
                lost: c.includes.iter().flat_map(|i| &i.lost).map(|p| p.as_ref()).collect(),
            },
            Config::SyslogNg(c) => Reading {
                files: c.files.iter().map(|f| f.path.as_path()).collect(),
                includes: c.includes.iter().map(|i| (&i.at, i.pattern.to_string())).collect(),
                folder: c.drop_in_folder(),
                lost: c.files.iter().filter(|f| f.error.is_some()).map(|f| f.path.as_path()).collect(),
            },
        }
    }
}

/// A file, or a link to one, by the name that every include pattern of a distribution takes.
fn is_config_file(entry: &DropIn) -> bool {
    let hidden = Path::new(&entry.path).file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    entry.kind == Some(FileKind::File) && entry.path.ends_with(".conf") && !hidden
}

/// The path as the configuration has it, and the file behind it.
fn names_of(case: &Case<'_>, path: &Path) -> Vec<String> {
    let name = encode_path(path);
    let real = case.daemon().config.files.get(&name).and_then(|f| f.walk.last()).map(|s| s.path.clone());
    std::iter::once(name).chain(real).collect()
}

pub fn files(case: &Case<'_>) -> Judged {
    let reading = Reading::of(case.config_as_read()?);
    if let Some((path, point)) = hidden(case) {
        return Ok(Outcome::fail(format!("the daemon does not see {path}: something else is mounted at {point} for it alone"))
            .seen("mount as the daemon sees it", &point)
            .seen_all(case.unit_changes())
            .advise("take InaccessiblePaths=, TemporaryFileSystem= or their like for that place out of the unit, then restart the daemon")
            .command(format!("systemctl cat {} | grep -E 'Inaccessible|TemporaryFile|Bind|RootDirectory'", case.unit_name()))
            .command(format!("sudo systemctl daemon-reload && sudo systemctl restart {}", case.unit_name())));
    }
    let who = reader(case)?;
    let mut denied = Vec::new();
    for (path, file) in &case.daemon().config.files {
        if file.kind == Some(FileKind::File)
            && let Err(at) = access::may(&who, &file.walk, access::READ)
        {
            denied.push((path.clone(), at));
        }
    }
    let broken = match case.config_as_read()? {
        Config::Rsyslog(_) => config_rsyslog::broken_includes(case),
        Config::SyslogNg(_) => config_ng::broken_includes(case),
    };
    if let Some((path, at)) = denied.first() {
        let folder = at.path != *path;
        let mode = if folder { "0755" } else { "0644" };
        let out = Outcome::fail(format!("the daemon may not read {path}: {} has {}", at.path, at.why))
            .seen("the daemon starts as", format!("user {}, group {}, groups {:?}", who.uid, who.gid, who.groups))
            .seen_all(denied.iter().map(|(path, at)| (path.clone(), format!("{}: {}", at.path, at.why))))
            .advise("let the daemon read it, then restart it")
            .command(format!("sudo chmod {mode} {}", shell_quote(&at.path)))
            .command(case.load_command());
        // Every file and folder that is in the way, each once.
        let mut places: Vec<&str> = denied.iter().map(|(_, at)| at.path.as_str()).collect();
        places.dedup();
        let out = places.into_iter().fold(out, |out, place| {
            let mode = if denied.iter().any(|(path, _)| path == place) { 0o644 } else { 0o755 };
            out.fix(Fix::Access { path: decode_path(place), mode, owner: None })
        });
        return Ok(out.fix(case.restart()));
    }
    if let Some((_, first)) = broken.first() {
        // A file that one include leaves out and another one reads is there.
        let read = |path: &Path| reading.files.contains(&path);
        let lost = case.target.daemon == Daemon::SyslogNg || reading.lost.iter().any(|path| !read(path));
        let out = if lost { Outcome::fail(first.clone()) } else { Outcome::warn(first.clone()) };
        return Ok(out.seen_all(broken).advise("remove or correct what is named, then restart the daemon"));
    }
    let count = reading.files.len();
    Ok(Outcome::pass(format!("{} read, all readable for the daemon", words::count(count, "file"))))
}

/// A file of the configuration in whose place the daemon has another file system than we, and where that is mounted.
fn hidden(case: &Case<'_>) -> Option<(String, String)> {
    let (theirs, ours) = (case.daemon().mounts.as_ref().ok()?, case.facts.agent_states.mounts.as_ref().ok()?);
    let files = case.daemon().config.files.iter().filter(|(_, f)| f.content.is_ok()).map(|(path, _)| path);
    let other = |path: &&String| {
        let at = decode_path(path);
        let (there, here) = (proc_mount::holding(theirs, &at)?, proc_mount::holding(ours, &at)?);
        // A folder mounted over itself, as ProtectSystem= does, shows the same file.
        let same = match there.device.is_empty() || here.device.is_empty() {
            true => there.fs_type == here.fs_type,
            false => there.place(&at) == here.place(&at),
        };
        (there.point != here.point && !same).then(|| there.point.clone())
    };
    files.into_iter().find_map(|path| Some((path.clone(), other(&path)?)))
}

/// Who the daemon is when it reads its configuration: rsyslog drops privileges only afterwards.
fn reader(case: &Case<'_>) -> Result<Who, NotJudged> {
    let unit = case.facts.unit(&format!("{}.service", case.unit_name()));
    let process = case.process();
    let user = unit.map(|u: &UnitFacts| u.user.as_str()).unwrap_or_default();
    if !matches!(user, "" | "root" | "0") {
        let p =
            process.ok_or_else(|| format!("the unit runs as {user}, and without its process nothing more is known"))?;
        return Ok(Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective });
    }
    // syslog-ng changes to the user of its `-u` option first.
    if let Some(p) = process.filter(|p| case.target.daemon == Daemon::SyslogNg && p.uid != 0) {
        return Ok(Who { uid: p.uid, gid: p.gid, groups: p.groups.clone(), capabilities: p.cap_effective });
    }
    let capabilities = process.map_or(u64::MAX, |p| p.cap_bounding);
    Ok(Who { capabilities, ..Who::default() })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
