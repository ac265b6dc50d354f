//! A machine to try the engine on: a tree with everything that is hard to put back, and services in all states.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::host::fake::{FakeClock, FakeNet, reply};
use crate::host::fake_systemd::FakeSystemd;
use crate::host::fault::FaultyRunner;
use crate::host::{Cmd, Host, Interrupt, Output, Root, Run, RunError};
use crate::plan::*;
use crate::platform::service_act::Action;
use crate::platform::setting::Setting;

pub struct Lab {
    pub dir: PathBuf,
    pub host: Host,
    pub systemd: Arc<FakeSystemd>,
    pub interrupt: Interrupt,
    _keep: Option<tempfile::TempDir>,
}

/// In memory where possible: there fsync costs nothing.
fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Lab {
    /// A fresh machine.
    pub fn new() -> Self {
        let keep = tempdir();
        make_tree(&keep.path().join("root"));
        let lab = Lab::at(keep.path(), |systemd| {
            systemd
                .unit("rsyslog.service", true, true)
                .unit("agent.service", false, false)
                .unit("other.service", true, true)
                .unit("broken.service", false, true)
                .unit("syslog-ng.service", true, true)
        });
        Lab { _keep: Some(keep), ..lab }
    }

    /// Labelled ports, as the machine has them.
    pub fn ports(&self) -> String {
        std::fs::read_to_string(self.dir.join("ports")).unwrap_or_default()
    }

    /// The machine that another process left in `dir`.
    pub fn open(dir: &Path) -> Self {
        Lab::at(dir, |systemd| systemd)
    }

    fn at(dir: &Path, units: impl FnOnce(FakeSystemd) -> FakeSystemd) -> Self {
        let base = dir.join("root");
        let config = base.clone();
        let systemd = FakeSystemd::new(Box::new(move |unit| read_config(&config, unit)));
        let systemd = Arc::new(units(systemd.kept_in(dir.join("units.json"))));
        let host = Host {
            root: Root::at(base),
            runner: Arc::new(FaultyRunner(Arc::new(Tools { systemd: systemd.clone(), ports: dir.join("ports") }))),
            clock: Arc::new(FakeClock::default()),
            net: Arc::new(FakeNet::default()),
        };
        Lab { dir: dir.to_owned(), host, systemd, interrupt: Interrupt::default(), _keep: None }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.host.root.real(Path::new(path))
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap()
    }

    /// As an editor in place would.
    pub fn edit(&self, path: &str, content: &[u8]) {
        std::fs::write(self.path(path), content).unwrap();
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub fn session(&self) -> Result<Session<'_>, StartError> {
        Session::begin(&self.host, &self.interrupt, &mut ())
    }

    /// Lock, recovery, plan, apply.
    pub fn run(&self, job: Job) -> Result<Outcome, StartError> {
        self.run_with(job, &mut || Ok(()))
    }

    pub fn run_with(&self, job: Job, prove: &mut dyn FnMut() -> anyhow::Result<()>) -> Result<Outcome, StartError> {
        let mut session = self.session()?;
        let other = |e: anyhow::Error| StartError::Other(render(&e));
        let (plan, goal) = match job {
            Job::Install(version) => (
                session.plan_install(wishes(version)).map_err(other)?,
                Goal::Install { options: json!({"v": version}) },
            ),
            Job::Uninstall => (session.plan_uninstall(false).map_err(other)?.unwrap_or_default(), Goal::Uninstall),
        };
        Ok(session.apply(&plan, &goal, &mut (), prove))
    }

    /// Everything that counts: the tree, and what each service does with which configuration.
    pub fn snapshot(&self) -> Snapshot {
        let mut tree = BTreeMap::new();
        walk(&self.dir.join("root"), "", &mut tree);
        let units = self.systemd.units();
        let units = units.into_iter().map(|(n, u)| (n, (u.active, u.enabled, u.active.then_some(u.loaded)))).collect();
        Snapshot { tree, units, ports: self.ports() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// With options 1 or 2.
    Install(u32),
    Uninstall,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub tree: BTreeMap<String, String>,
    pub units: BTreeMap<String, (bool, bool, Option<String>)>,
    pub ports: String,
}

impl Snapshot {
    /// What is not the same in `other`, for the messages of failing tests.
    pub fn differences(&self, other: &Snapshot) -> Vec<String> {
        let lines = |s: &Snapshot| -> Vec<String> {
            let files = s.tree.iter().map(|(path, line)| format!("{path} {line}"));
            let units = s.units.iter().map(|unit| format!("{unit:?}"));
            files.chain(units).chain([s.ports.clone()]).collect()
        };
        let (ours, theirs) = (lines(self), lines(other));
        let here = ours.iter().filter(|l| !theirs.contains(l)).map(|l| format!("+{l}"));
        here.chain(theirs.iter().filter(|l| !ours.contains(l)).map(|l| format!("-{l}"))).collect()
    }
}

fn make_tree(base: &Path) {
    for dir in ["etc/rsyslog.d", "etc/other.d", "var/lib", "var/spool/rsyslog", "run/systemd/system", "proc/1", "opt"] {
        std::fs::create_dir_all(base.join(dir)).unwrap();
    }
    let file = |path: &str, content: &[u8], mode: u32, owner: (u32, u32)| {
        let path = base.join(path);
        std::fs::write(&path, content).unwrap();
        if nix::unistd::Uid::effective().is_root() {
            std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        }
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("proc/1/comm", b"systemd\n", 0o444, (0, 0));
    // Not UTF-8, CRLF, NUL, no newline at its end.
    file("etc/rsyslog.conf", b"# main \xff\r\nmodule(load=\"x\")\n\0\n*.* /var/log/messages", 0o640, (3, 4));
    file("etc/rsyslog.d/50-default.conf", b"*.* ~\n", 0o604, (5, 6));
    file("etc/rsyslog.d/90-old.conf", b"local4.* @@127.0.0.1:25226\n", 0o600, (1, 2));
    file("opt/real.conf", b"real\n", 0o2644, (0, 7));
    let label = rustix::fs::setxattr(
        base.join("etc/rsyslog.conf"),
        "user.label",
        b"syslog_conf_t\0",
        rustix::fs::XattrFlags::empty(),
    );
    label.unwrap_or_default(); // a file system without attributes has nothing to lose
    symlink("/opt/real.conf", base.join("etc/rsyslog.d/80-linked.conf")).unwrap();
    symlink("../../opt/missing.conf", base.join("etc/rsyslog.d/85-dangling.conf")).unwrap();
    symlink("no/where\u{e9}", base.join("etc/rsyslog.d/95-old.conf")).unwrap();
}

/// Wishes of every kind; what `version` changes is what an install with other options would.
pub fn wishes(version: u32) -> Vec<Change> {
    let drop_in = format!("# ours, version {version}\n{}", "*.* action()\n".repeat(50));
    let mut wishes: Vec<Change> = vec![
        Change::CreateDir { path: "/var/spool/rsyslog/cefctl".into(), mode: 0o750, owner: None },
        WriteFile::new("/var/spool/rsyslog/cefctl/readme", "spool\n").mode(0o600).into(),
        WriteFile::new("/etc/rsyslog.d/60-ours.conf", drop_in).mode(0o644).purpose("the rule").into(),
        WriteFile::new("/etc/rsyslog.d/50-default.conf", format!("replaced {version}\n")).into(),
        WriteFile::new("/etc/rsyslog.d/80-linked.conf", "through the link\n").into(),
        WriteFile::new("/etc/rsyslog.d/85-dangling.conf", "through the dangling link\n").into(),
        EditBlock::new("/etc/rsyslog.conf", "include", format!("include {version}\n"), Place::Append).into(),
        Change::RemoveFile { path: "/etc/rsyslog.d/90-old.conf".into(), secret: false, lasting: false },
        Change::RemoveFile { path: "/etc/rsyslog.d/95-old.conf".into(), secret: false, lasting: false },
    ];
    if version == 1 {
        wishes.push(WriteFile::new("/etc/other.d/only-in-1.conf", "one\n").into());
    }
    // One that stays, and one that depends on the options.
    for port in [25226, 2000 + u16::try_from(version).unwrap()] {
        let (label, protocol) = ("syslogd_port_t".to_owned(), "tcp".to_owned());
        wishes.push(Setting::SelinuxPort { label, protocol, port }.into());
    }
    for (unit, action) in [
        ("other", Action::Stop),
        ("other", Action::Disable),
        ("agent", Action::Enable),
        ("agent", Action::Start),
        ("rsyslog", Action::Restart),
        ("syslog-ng", Action::Reload),
    ] {
        wishes.push(ServiceChange::new(unit, action).into());
    }
    wishes
}

/// systemd, and a `semanage` that keeps its labels in a file.
struct Tools {
    systemd: Arc<FakeSystemd>,
    ports: PathBuf,
}

impl Run for Tools {
    fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let words: Vec<_> = cmd.argv.iter().map(|a| a.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let listed = std::fs::read_to_string(&self.ports).unwrap_or_default();
        let line = |port: &str| format!("syslogd_port_t tcp {port}\n");
        match words.as_slice() {
            ["semanage", "port", "-l"] => reply(0, &listed, ""),
            ["semanage", "port", "-a", .., port] if listed.contains(&line(port)) => {
                reply(1, "", "ValueError: already defined")
            }
            ["semanage", "port", "-a", .., port] => {
                std::fs::write(&self.ports, listed + &line(port)).unwrap();
                reply(0, "", "")
            }
            ["semanage", "port", "-d", .., port] if listed.contains(&line(port)) => {
                std::fs::write(&self.ports, listed.replace(&line(port), "")).unwrap();
                reply(0, "", "")
            }
            ["semanage", ..] => reply(1, "", "ValueError: not defined"),
            _ => self.systemd.run(cmd),
        }
    }
}

/// What a unit comes up with: the whole of /etc. A file with the word `broken` keeps every unit down.
fn read_config(base: &Path, unit: &str) -> Result<String, String> {
    let mut tree = BTreeMap::new();
    walk(&base.join("etc"), "", &mut tree);
    let all = format!("{tree:?}");
    match all.contains("broken") || unit == "broken.service" {
        true => Err("broken".into()),
        false => Ok(state::sha256(all.as_bytes())),
    }
}

fn walk(base: &Path, inside: &str, tree: &mut BTreeMap<String, String>) {
    let mut entries: Vec<_> = std::fs::read_dir(base.join(inside)).unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let name = format!("{inside}/{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        let meta = path.symlink_metadata().unwrap();
        let mut line = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_symlink() {
            line += &format!(" -> {}", path.read_link().unwrap().display());
        } else if meta.is_file() {
            line += &format!(" {:?}", String::from_utf8_lossy(&content_of(&path)));
            let mut value = [0; 64];
            let label = rustix::fs::getxattr(&path, "user.label", &mut value).ok();
            line += &format!(" {:?}", label.map(|n| String::from_utf8_lossy(&value[..n]).into_owned()));
        }
        if meta.is_dir() {
            walk(base, name.trim_start_matches('/'), tree);
        }
        // Backups carry the random name of their run; what counts is how many there are of what.
        let key = match name.split_once("lib/cefctl/backup/") {
            Some((dir, _)) => format!("/{}lib/cefctl/backup/{line}", dir.trim_start_matches('/')),
            None => format!("/{}", name.trim_start_matches('/')),
        };
        tree.insert(key, line);
    }
}

/// Bytes of a file; of a receipt without the random names of backups.
fn content_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if !path.ends_with("cefctl/receipt.json") {
        return bytes;
    }
    let mut receipt: Receipt = serde_json::from_slice(&bytes).unwrap();
    for entry in &mut receipt.entries {
        if let receipt::Entry::File { before, .. } = entry {
            before.backup = before.backup.take().map(|_| "some".to_owned());
            before.attrs.mtime = before.attrs.mtime.map(|m| crate::host::Mtime { nanos: 0, ..m });
        }
    }
    serde_json::to_vec(&receipt).unwrap()
}
