//! What the security modules make of the daemon: SELinux's mode, labels and refusals, AppArmor's profile. Nothing is asked
//! where a module is not in use.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::check::facts::{AppArmorFacts, Fact, FileLabel, SecurityFacts, SelinuxFacts, decode_path};
use crate::check::facts::{ConfigFiles, DaemonFacts};
use crate::host::{Cmd, Host, RunError, facts};
use crate::platform::selinux_policy::{self, Policy};
use crate::platform::{apparmor, selinux};
use crate::report::clean;

const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
const AUDIT_LOG: &str = "/var/log/audit/audit.log";
/// Bytes of the audit log's end that are looked at.
const AUDIT_TAIL: u64 = 1 << 20;
const MOST_DENIALS: usize = 50;
const MOST_FILES: usize = 60;
const MOST_INCLUDES: usize = 60;
const LIMIT: Duration = Duration::from_secs(8);

/// About the daemon that runs; `since`: when it was started, in seconds since the epoch.
pub fn gather(host: &Host, daemon: &DaemonFacts, since: Option<i64>) -> SecurityFacts {
    SecurityFacts { selinux: selinux(host, daemon, since), apparmor: apparmor(host, daemon, since) }
}

fn text(host: &Host, path: &str) -> Option<Vec<u8>> {
    host.root.read_opt(Path::new(path)).ok().flatten()
}

/// The daemon's own label under the modules that are in use.
fn label(host: &Host, pid: Option<u32>) -> Option<String> {
    let found = text(host, &format!("/proc/{}/attr/current", pid?))?;
    Some(String::from_utf8_lossy(&found).trim_end_matches(['\0', '\n']).to_owned())
}

fn selinux(host: &Host, daemon: &DaemonFacts, since: Option<i64>) -> Fact<Option<SelinuxFacts>> {
    let Some(enforce) = text(host, "/sys/fs/selinux/enforce") else { return Ok(None) };
    let mode = selinux::mode(&enforce).ok_or("/sys/fs/selinux/enforce says neither 0 nor 1")?;
    let ports = selinux_policy::ports(host).map_err(|e| e.to_string());
    let policy = Policy::of(host, daemon.pid);
    let rights = ports.as_ref().ok().and_then(|ports| policy.rights(ports));
    Ok(Some(SelinuxFacts {
        mode,
        domain: label(host, daemon.pid),
        ports,
        rights,
        files: labels(host, &daemon.config),
        denials: refusals(host, &policy, since),
    }))
}

/// SELinux's refusals once more, after the daemon was given something to do.
pub fn selinux_again(host: &Host, facts: &mut SecurityFacts, pid: Option<u32>, since: Option<i64>) {
    if let Ok(Some(found)) = &mut facts.selinux {
        found.denials = refusals(host, &Policy::of(host, pid), since);
    }
}

/// The newest refusals of a syslog daemon, each thing once, and what labels the files have by now.
fn refusals(host: &Host, policy: &Policy<'_>, since: Option<i64>) -> Fact<Vec<selinux::Denial>> {
    let lines = denials(host, since)?;
    let mut found: Vec<selinux::Denial> = Vec::new();
    // A daemon that tries again every second must not hide the rest.
    for denial in lines.iter().rev().filter_map(|l| selinux::denial(l)).filter(is_ours) {
        let same = |d: &selinux::Denial| {
            (&d.permission, &d.what, &d.class, &d.path, d.port, d.permissive)
                == (&denial.permission, &denial.what, &denial.class, &denial.path, denial.port, denial.permissive)
        };
        if found.len() < MOST_DENIALS && !found.iter().any(same) {
            found.push(denial);
        }
    }
    found.reverse();
    let mut paths: Vec<String> = found.iter().filter_map(|d| d.file().map(str::to_owned)).collect();
    paths.sort();
    paths.dedup();
    // Without the tool a refusal is told all the same.
    let known = file_labels(host, paths).unwrap_or_default();
    for denial in &mut found {
        if let Some(file) = denial.file().and_then(|path| known.iter().find(|f| f.path == path)) {
            // A label that the daemon may not use either is no help.
            let helps = |wants: &String| {
                policy.may(&format!("system_u:object_r:{wants}:s0"), &denial.class, &[&denial.permission])
                    != Some(false)
            };
            (denial.now, denial.wants) = (Some(file.has.clone()), file.wants.clone().filter(helps));
        }
    }
    Ok(found)
}

fn run(host: &Host, argv: &[&str]) -> Fact<Vec<u8>> {
    match host.runner.run(&Cmd::new(argv).limit(LIMIT)) {
        Ok(out) if out.ok() => Ok(out.stdout),
        Ok(out) => Err(format!("{} failed: {}", argv.join(" "), out.last_words(2))),
        Err(RunError::NotFound(_)) => Err(format!("{} is not installed", argv.first().copied().unwrap_or_default())),
        Err(e) => Err(e.to_string()),
    }
}

/// What a security module has refused a syslog daemon.
pub enum Refusal {
    Selinux(selinux::Denial),
    AppArmor(apparmor::Denial),
}

impl Refusal {
    /// The check that judges it.
    pub fn check(&self) -> &'static str {
        match self {
            Refusal::Selinux(_) => "host.selinux",
            Refusal::AppArmor(_) => "host.apparmor",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Selinux(d) => {
                let what = match (d.port, &d.path) {
                    (Some(port), _) => format!("port {port}"),
                    (None, Some(path)) => clean(path),
                    (None, None) => d.class.clone(),
                };
                write!(f, "SELinux refused the daemon {} on {what} ({})", clean(&d.permission), clean(&d.what))
            }
            Refusal::AppArmor(d) => {
                write!(f, "AppArmor's profile {} refused the daemon {}", clean(&d.profile), clean(&d.what()))
            }
        }
    }
}

/// The last refusal since then, in seconds since the epoch.
pub fn newest_refusal(host: &Host, since: i64) -> Option<Refusal> {
    let in_use = host.root.is_live() && ["/sys/fs/selinux/enforce", APPARMOR].iter().any(|p| text(host, p).is_some());
    let lines = if in_use { denials(host, Some(since)).ok()? } else { Vec::new() };
    lines.iter().rev().find_map(|line| {
        let ours = |d: &selinux::Denial| is_ours(d) && !d.permissive;
        let selinux = selinux::denial(line).filter(ours).map(Refusal::Selinux);
        let syslog = |d: &apparmor::Denial| d.profile.contains("syslog");
        selinux.or_else(|| apparmor::denial(line).filter(syslog).map(Refusal::AppArmor))
    })
}

/// journald has the same label as the daemon.
fn is_ours(denial: &selinux::Denial) -> bool {
    denial.who.contains("syslog") && !denial.line.contains("comm=\"systemd-journal\"")
}

/// Labels of the configuration, as they are and as the policy wants them.
fn labels(host: &Host, config: &ConfigFiles) -> Fact<Vec<FileLabel>> {
    let paths: Vec<String> = config
        .files
        .keys()
        .map(|p| decode_path(p).to_string_lossy().into_owned())
        .filter(|p| p.starts_with('/'))
        .take(MOST_FILES)
        .collect();
    file_labels(host, paths)
}

fn file_labels(host: &Host, paths: Vec<String>) -> Fact<Vec<FileLabel>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let argv: Vec<&str> = ["matchpathcon", "-n"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let wanted = run(host, &argv)?;
    let wanted = String::from_utf8_lossy(&wanted).into_owned();
    let label = |(path, wants): (&String, &str)| {
        let has = selinux::type_of(&selinux_policy::label(host, Path::new(path))?).to_owned();
        let wants = Some(selinux::type_of(wants.trim()).to_owned()).filter(|w| w != "<<none>>");
        Some(FileLabel { path: path.clone(), has, wants })
    };
    Ok(paths.iter().zip(wanted.lines()).filter_map(label).collect())
}

/// Lines about refusals since the daemon was started: the audit log where there is one, else the journal.
fn denials(host: &Host, since: Option<i64>) -> Fact<Vec<String>> {
    let since = since.unwrap_or_default();
    if let Ok(tail) = facts::tail(&host.root, Path::new(AUDIT_LOG), AUDIT_TAIL) {
        let tail = String::from_utf8_lossy(&tail).into_owned();
        let young = |line: &&str| {
            let (_, rest) = line.split_once("audit(").unwrap_or(("", ""));
            rest.split(['.', ':']).next().and_then(|n| n.parse::<i64>().ok()).is_none_or(|at| at >= since)
        };
        let told = |line: &&str| line.contains("denied") || line.contains("DENIED");
        return Ok(tail.lines().filter(told).filter(young).map(str::to_owned).collect());
    }
    let since = format!("--since=@{since}");
    let argv = [
        "journalctl",
        "-q",
        "--no-pager",
        "-o",
        "cat",
        "-n",
        "2000",
        &since,
        "_TRANSPORT=audit",
        "+",
        "_TRANSPORT=kernel",
    ];
    let out = run(host, &argv)?;
    let out = String::from_utf8_lossy(&out).into_owned();
    Ok(out.lines().filter(|l| l.contains("denied") || l.contains("DENIED")).map(str::to_owned).collect())
}

/// What AppArmor makes of the daemon; `None`: nothing.
pub fn apparmor(host: &Host, daemon: &DaemonFacts, since: Option<i64>) -> Fact<Option<AppArmorFacts>> {
    let enabled = text(host, APPARMOR).is_some_and(|t| t.trim_ascii() == b"Y");
    if !enabled {
        return Ok(None);
    }
    let Some(pid) = daemon.pid else { return Ok(None) };
    // Where several modules are stacked AppArmor has a file of its own.
    let own = text(host, &format!("/proc/{pid}/attr/apparmor/current"));
    let Some(current) = own.or_else(|| text(host, &format!("/proc/{pid}/attr/current"))) else {
        return Err(format!("/proc/{pid}/attr/current cannot be read"));
    };
    let Some(confinement) = apparmor::confinement(&current) else { return Ok(None) };
    let file = profile_file(host, &confinement.profile, daemon.program.as_deref());
    let profile = match &file {
        Some(file) => Ok(profile(host, file)),
        None => Err(format!("the text of the profile {} was not found in /etc/apparmor.d", confinement.profile)),
    };
    let denials = denials(host, since).map(|lines| {
        let ours = |d: &apparmor::Denial| d.profile == confinement.profile;
        lines.iter().filter_map(|l| apparmor::denial(l)).filter(ours).take(MOST_DENIALS).collect()
    });
    Ok(Some(AppArmorFacts { confinement, file, profile, denials }))
}

/// The file of a profile: by its usual name, else the one that has `profile NAME`.
fn profile_file(host: &Host, name: &str, program: Option<&str>) -> Option<String> {
    let dotted = |path: &str| path.trim_start_matches('/').replace('/', ".");
    let program = program.unwrap_or_default();
    let base = program.rsplit('/').next().unwrap_or_default();
    let usual = [dotted(name), dotted(program), format!("usr.sbin.{base}"), format!("sbin.{base}")];
    let others = host.root.list(Path::new("/etc/apparmor.d")).unwrap_or_default();
    let paths = usual.iter().filter(|n| !n.is_empty()).map(|n| format!("/etc/apparmor.d/{n}"));
    let others = others.iter().map(|n| format!("/etc/apparmor.d/{}", n.to_string_lossy()));
    let has = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).lines().any(|line| {
            let mut words = line.split_whitespace().map(|w| w.trim_matches('"'));
            match words.next() {
                Some("profile") => words.next() == Some(name),
                first => name.starts_with('/') && first == Some(name),
            }
        })
    };
    let mut all: Vec<String> = paths.collect();
    let first = all.iter().find(|path| text(host, path).is_some()).cloned();
    all.extend(others);
    all.into_iter().find(|path| text(host, path).is_some_and(|t| has(&t))).or(first)
}

/// The profile's text with its includes.
fn profile(host: &Host, file: &str) -> String {
    let mut whole = String::from_utf8_lossy(&text(host, file).unwrap_or_default()).into_owned();
    let mut todo = apparmor::includes(&whole);
    let mut seen = Vec::new();
    while let Some(path) = todo.pop() {
        if seen.contains(&path) || seen.len() >= MOST_INCLUDES {
            continue;
        }
        let names = host.root.list(Path::new(&path)).unwrap_or_default();
        let inside: Vec<String> = names.iter().map(|n| format!("{path}/{}", n.to_string_lossy())).collect();
        let files = if inside.is_empty() { vec![path.clone()] } else { inside };
        for bytes in files.iter().filter_map(|file| text(host, file)) {
            let more = String::from_utf8_lossy(&bytes).into_owned();
            todo.extend(apparmor::includes(&more));
            whole.push('\n');
            whole.push_str(&more);
        }
        seen.push(path);
    }
    whole
}
