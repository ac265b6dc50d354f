//! The distribution's package manager: what is installed, and installing or removing a few packages without a question,
//! without restarting other services, and with a reason in words when it does not work.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::host::{Cmd, Host, Output, RunError};

/// How long an installation may take: a slow mirror, a database to be rebuilt.
const LIMIT: Duration = Duration::from_secs(600);
/// Seconds that apt waits for somebody else's lock (unattended upgrades hold it for minutes after boot).
const LOCK_WAIT: u32 = 120;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Apt,
    Dnf,
    Yum,
    /// Azure Linux and Mariner.
    Tdnf,
    Microdnf,
    Zypper,
}

/// In the order in which they are looked for: where dnf is, yum is a name for it.
const ALL: [(Manager, &str); 6] = [
    (Manager::Apt, "apt-get"),
    (Manager::Zypper, "zypper"),
    (Manager::Dnf, "dnf"),
    (Manager::Tdnf, "tdnf"),
    (Manager::Yum, "yum"),
    (Manager::Microdnf, "microdnf"),
];

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error(
        "no package manager was found on this box\nhint: looked for apt-get, dnf, yum, tdnf, microdnf and zypper; install the package by hand"
    )]
    NoManager,
    #[error(
        "another program holds the package manager's lock\nhint: wait until it is done ({0}), then run the command again"
    )]
    Locked(String),
    #[error(
        "the package sources of this box have no {name}: {said}\nhint: look at the sources (subscription, offline mirror), or install it from elsewhere"
    )]
    Unknown { name: String, said: String },
    #[error(
        "the package sources cannot be reached: {0}\nhint: look at the network and the proxy in the package manager's own configuration"
    )]
    Unreachable(String),
    #[error("`{command}` failed: {said}")]
    Failed { command: String, said: String },
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The packages of one box.
pub struct Packages<'a> {
    host: &'a Host,
    manager: Manager,
}

impl<'a> Packages<'a> {
    /// # Errors
    /// No package manager is there.
    pub fn detect(host: &'a Host) -> Result<Self, PackageError> {
        let there = |name: &str| {
            ["/usr/bin", "/bin", "/usr/sbin"]
                .iter()
                .any(|d| matches!(host.root.stat(&Path::new(d).join(name)), Ok(Some(_))))
        };
        let found = ALL.into_iter().find(|(_, program)| there(program)).ok_or(PackageError::NoManager)?;
        Ok(Packages { host, manager: found.0 })
    }

    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// The command that installs `names`, as a person would type it.
    pub fn install_command(&self, names: &[&str]) -> String {
        let program = self.manager.program();
        let verb = if self.manager == Manager::Zypper { "--non-interactive install" } else { "install -y" };
        format!("{program} {verb} {}", names.join(" "))
    }

    /// Names of all packages that are installed.
    ///
    /// # Errors
    /// The package database cannot be asked.
    pub fn installed(&self) -> Result<BTreeSet<String>, PackageError> {
        let argv: &[&str] = match self.manager {
            Manager::Apt => &["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"],
            _ => &["rpm", "-qa", "--qf", "installed %{NAME}\n"],
        };
        let output = self.host.runner.run(&Cmd::new(argv).limit(Duration::from_secs(60)))?;
        if !output.ok() {
            return Err(failed(argv, &output));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|l| l.strip_prefix("installed ")).map(str::to_owned).collect())
    }

    /// Installs what of `names` is missing, and says what is on the box now that was not before.
    ///
    /// # Errors
    /// Why it did not work; nothing of it is taken back here.
    pub fn install(&self, names: &[&str]) -> Result<Vec<String>, PackageError> {
        let before = self.installed()?;
        let missing: Vec<&str> = names.iter().copied().filter(|n| !before.contains(*n)).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        match self.run(&self.manager.install(&missing)) {
            // Lists that were never fetched (images) or are too old.
            Err(PackageError::Unknown { .. } | PackageError::Unreachable(_)) if self.manager == Manager::Apt => {
                self.run(&strings(&["apt-get", "-q", "update"]))?;
                self.run(&self.manager.install(&missing))?;
            }
            other => other?,
        }
        Ok(self.installed()?.difference(&before).cloned().collect())
    }

    /// Removes packages together with their configuration files.
    ///
    /// # Errors
    /// Why it did not work.
    pub fn remove(&self, names: &[String]) -> Result<(), PackageError> {
        if names.is_empty() { Ok(()) } else { self.run(&self.manager.remove(names)) }
    }

    fn run(&self, argv: &[String]) -> Result<(), PackageError> {
        let mut cmd = Cmd::new(argv).limit(LIMIT);
        let quiet =
            [("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_SUSPEND", "1"), ("APT_LISTCHANGES_FRONTEND", "none")];
        for (name, value) in quiet {
            cmd = cmd.env(name, value);
        }
        for name in ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
            if let Some(value) = std::env::var_os(name) {
                cmd = cmd.env(name, value);
            }
        }
        let output = self.host.runner.run(&cmd)?;
        if output.ok() { Ok(()) } else { Err(cause(argv, &output)) }
    }
}

impl Manager {
    fn program(self) -> &'static str {
        ALL.iter().find(|(m, _)| *m == self).map_or("apt-get", |(_, program)| program)
    }

    fn install(self, names: &[&str]) -> Vec<String> {
        let lock = format!("DPkg::Lock::Timeout={LOCK_WAIT}");
        let argv: Vec<&str> = match self {
            Manager::Apt => vec![
                "apt-get",
                "-q",
                "-y",
                "-o",
                &lock,
                "-o",
                "Dpkg::Options::=--force-confold",
                "--no-install-recommends",
                "install",
            ],
            Manager::Zypper => vec!["zypper", "--non-interactive", "install", "--no-recommends"],
            _ => vec![self.program(), "-y", "install"],
        };
        strings(&[argv.as_slice(), names].concat())
    }

    fn remove(self, names: &[String]) -> Vec<String> {
        let lock = format!("DPkg::Lock::Timeout={LOCK_WAIT}");
        let argv: Vec<&str> = match self {
            Manager::Apt => vec!["apt-get", "-q", "-y", "-o", &lock, "purge"],
            Manager::Zypper => vec!["zypper", "--non-interactive", "remove"],
            _ => vec![self.program(), "-y", "remove"],
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        strings(&[argv.as_slice(), names.as_slice()].concat())
    }
}

fn strings(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|a| (*a).to_owned()).collect()
}

fn failed<S: AsRef<str>>(argv: &[S], output: &Output) -> PackageError {
    let command = argv.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ");
    let said = match output.last_words(4) {
        said if said.is_empty() => format!("{:?}", output.exit),
        said => said,
    };
    PackageError::Failed { command, said }
}

/// What a failed run means, by what the managers write (in English: commands run under `LC_ALL=C`).
fn cause(argv: &[String], output: &Output) -> PackageError {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    let line = |words: &[&str]| {
        text.lines().find(|l| words.iter().any(|w| l.contains(w))).map(|l| crate::report::clean(l.trim()))
    };
    let name = argv.last().cloned().unwrap_or_default();
    if let Some(said) = line(&["Could not get lock", "is locked by", "System management is locked", "Existing lock"]) {
        return PackageError::Locked(said);
    }
    let unknown = [
        "Unable to locate package",
        "has no installation candidate",
        "No match for argument",
        "Unable to find a match",
        "No package ",
        "No provider of",
        "No matching packages",
        "not found in package names",
    ];
    if let Some(said) = line(&unknown) {
        return PackageError::Unknown { name, said };
    }
    let unreachable = [
        "Failed to fetch",
        "Could not resolve",
        "Cannot download",
        "Curl error",
        "Unable to fetch",
        "Failed to download",
        "Temporary failure resolving",
        "Timeout exceeded",
        "Cannot prepare internal mirrorlist",
    ];
    if let Some(said) = line(&unreachable) {
        return PackageError::Unreachable(said);
    }
    failed(argv, output)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests make their own trees
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::Root;
    use crate::host::fake::{FakeRunner, host, reply};

    fn lab(program: &str, runner: FakeRunner) -> (tempfile::TempDir, Arc<FakeRunner>, Host) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("usr/bin")).unwrap();
        std::fs::write(dir.path().join("usr/bin").join(program), "").unwrap();
        let runner = Arc::new(runner);
        let host = host(Root::at(dir.path()), runner.clone());
        (dir, runner, host)
    }

    const APT: [&str; 8] = [
        "apt-get",
        "-q",
        "-y",
        "-o",
        "DPkg::Lock::Timeout=120",
        "-o",
        "Dpkg::Options::=--force-confold",
        "--no-install-recommends",
    ];

    #[test]
    fn lists_are_fetched_where_the_package_is_not_known_and_the_answer_is_what_is_new() {
        let list = |names: &[&str]| names.iter().map(|n| format!("installed {n}\n")).collect::<String>();
        let runner = FakeRunner::new()
            .on(&["dpkg-query"], reply(0, &(list(&["bash"]) + "config-files rsyslog\n"), ""))
            .on(&["dpkg-query"], reply(0, &list(&["bash", "libestr0", "rsyslog"]), ""))
            .on(&APT, reply(100, "", "E: Unable to locate package rsyslog\n"))
            .on(&APT, reply(0, "", ""))
            .on(&["apt-get", "-q", "update"], reply(0, "", ""));
        let (_dir, runner, host) = lab("apt-get", runner);
        let packages = Packages::detect(&host).unwrap();
        assert_eq!(packages.install(&["rsyslog"]).unwrap(), ["libestr0", "rsyslog"]);
        let verbs: Vec<String> = runner.calls().iter().filter(|c| c.starts_with("apt-get")).cloned().collect();
        assert_eq!(verbs.len(), 3, "{verbs:?}");
        assert!(verbs[1].ends_with("update"), "{verbs:?}");
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let (_dir, runner, host) = lab("dnf", FakeRunner::new().on(&["rpm"], reply(0, "installed rsyslog\n", "")));
        assert!(Packages::detect(&host).unwrap().install(&["rsyslog"]).unwrap().is_empty());
        assert!(runner.calls().iter().all(|c| c.starts_with("rpm")), "{:?}", runner.calls());
    }

    #[test]
    fn failures_have_a_cause() {
        let of = |stderr: &str| {
            let output = reply(1, "", stderr).unwrap();
            cause(&strings(&["dnf", "-y", "install", "rsyslog"]), &output)
        };
        assert!(matches!(
            of("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812"),
            PackageError::Locked(_)
        ));
        assert!(matches!(of("Error: Unable to find a match: rsyslog"), PackageError::Unknown { .. }));
        assert!(matches!(of("Curl error (6): Couldn't resolve host name"), PackageError::Unreachable(_)));
        assert!(matches!(of("No space left on device"), PackageError::Failed { said, .. } if said.contains("space")));
    }

    #[test]
    fn a_box_without_any_manager_is_told_so() {
        let (_dir, _, host) = lab("pacman", FakeRunner::new());
        assert!(matches!(Packages::detect(&host), Err(PackageError::NoManager)));
    }
}
