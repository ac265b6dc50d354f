//! The distribution's package manager: what is installed, and installing or removing a few packages without a question,
//! without restarting other services, and with a reason in words when it does not work.

use std::path::Path;
use std::time::Duration;

use crate::host::{Cmd, Host, Output, RunError};

/// How long an installation may take: a slow mirror, a database to be rebuilt.
const LIMIT: Duration = Duration::from_secs(600);
/// How long the package database may take to answer.
const ASK: Duration = Duration::from_secs(60);
/// Seconds that apt and zypper wait for somebody else's lock (unattended upgrades hold it for minutes after boot).
const LOCK_WAIT: u32 = 60;

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
        "another program holds the package manager's lock: {0}\nhint: wait until it is done (an unattended upgrade takes minutes), then run the command again"
    )]
    Locked(String),
    #[error(
        "the package sources of this box have no {name}: {said}\nhint: look at the sources (subscription, offline mirror), or install {name} from elsewhere"
    )]
    Unknown { name: String, said: String },
    #[error(
        "the package sources cannot be reached: {0}\nhint: look at the network, and at the sources and the proxy in the package manager's own configuration"
    )]
    Unreachable(String),
    #[error("there is no room for the package: {0}\nhint: df -h / /usr /var shows which file system is full")]
    NoSpace(String),
    #[error(
        "installing {name} would remove other packages, and nothing was done: {said}\nhint: choose the syslog daemon that is there (--daemon), or exchange them by hand first"
    )]
    Removes { name: String, said: String },
    #[error("{name} stays: {by} needs it\nhint: remove {by} first, or leave both")]
    Needed { name: String, by: String },
    #[error("`{command}` failed: {said}\nhint: run it by hand to see all of what it says")]
    Failed { command: String, said: String },
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What the package database says of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// Removed, but its configuration files are still there (Debian).
    Leftovers,
    /// Some of its files are there.
    Partly,
    Installed,
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

    /// As a person would call it.
    pub fn tool(&self) -> &'static str {
        self.manager.program()
    }

    /// The package of a syslog daemon, by the name people call it.
    pub fn package_of(&self, daemon: &'static str) -> &'static str {
        match (self.manager, daemon) {
            // Debian's package of that name draws in all modules, with Java and Python.
            (Manager::Apt, "syslog-ng") => "syslog-ng-core",
            _ => daemon,
        }
    }

    /// # Errors
    /// The package database cannot be asked.
    pub fn presence(&self, name: &str) -> Result<Presence, PackageError> {
        let argv: [&str; 5] = match self.manager {
            Manager::Apt => ["dpkg-query", "-W", "-f", "${db:Status-Status}\n", name],
            _ => ["rpm", "-q", "--qf", "installed\n", name],
        };
        let output = self.host.runner.run(&Cmd::new(argv).limit(ASK))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(match text.lines().next().unwrap_or_default().trim() {
            "installed" => Presence::Installed,
            "config-files" => Presence::Leftovers,
            "" | "not-installed" => Presence::Absent,
            _ if self.manager != Manager::Apt => Presence::Absent,
            _ => Presence::Partly,
        })
    }

    /// Everything that installing `name` puts on the box, itself first. Only apt is asked: the others take what came with
    /// a package away with it by themselves. Its lists are fetched where they are missing or too old.
    ///
    /// # Errors
    /// The package is not to be had, or others would have to go.
    pub fn closure(&self, name: &str) -> Result<Vec<String>, PackageError> {
        if self.manager != Manager::Apt {
            return Ok(vec![name.to_owned()]);
        }
        let simulate = strings(&["apt-get", "-s", "-q", "-y", "--no-install-recommends", "install", name]);
        let said = match self.run(&simulate) {
            // Lists that were never fetched (images) or are too old.
            Err(PackageError::Unknown { .. } | PackageError::Unreachable(_)) => {
                self.run(&strings(&["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"]))?;
                self.run(&simulate)?
            }
            other => other?,
        };
        if let Some(gone) = said.lines().find_map(|l| l.strip_prefix("Remv ")) {
            let said = format!("{} would go", gone.split(' ').next().unwrap_or_default());
            return Err(PackageError::Removes { name: name.to_owned(), said });
        }
        let word = |l: &str| l.strip_prefix("Inst ")?.split(' ').next().map(str::to_owned);
        let others = said.lines().filter_map(word).filter(|n| n != name);
        Ok(std::iter::once(name.to_owned()).chain(others).collect())
    }

    /// Installs packages. What a failed attempt has put on the box is taken away again.
    ///
    /// # Errors
    /// Why it did not work.
    pub fn install(&self, names: &[String]) -> Result<(), PackageError> {
        let Some(first) = names.first() else { return Ok(()) };
        let mut before = Vec::new();
        for name in names {
            before.push((name, self.presence(name)?));
        }
        let installed = match self.run(&self.manager.install(first)) {
            // The lists name files that the mirror no longer has.
            Err(PackageError::Unreachable(_)) if self.manager == Manager::Apt => {
                self.run(&strings(&["apt-get", "-q", "update"])).and_then(|_| self.run(&self.manager.install(first)))
            }
            other => other,
        };
        let Err(error) = installed else { return Ok(()) };
        let new = before.iter().filter(|(_, was)| matches!(was, Presence::Absent | Presence::Leftovers));
        let mut left = Vec::new();
        for (name, was) in new {
            if !matches!(self.presence(name), Ok(Presence::Absent | Presence::Leftovers)) {
                left.push(((*name).clone(), *was == Presence::Absent));
            }
        }
        for purge in [true, false] {
            let these: Vec<String> = left.iter().filter(|(_, p)| *p == purge).map(|(n, _)| n.clone()).collect();
            let _ = self.remove(&these, purge);
        }
        Err(error)
    }

    /// Removes packages, with `purge` their configuration files as well.
    ///
    /// # Errors
    /// Why it did not work.
    pub fn remove(&self, names: &[String], purge: bool) -> Result<(), PackageError> {
        if names.is_empty() { Ok(()) } else { self.run(&self.manager.remove(names, purge)).map(drop) }
    }

    /// Takes away what [`Packages::install`] has brought: configuration files as well, except those of packages in
    /// `leftovers`, which were there before. What others have come to need since stays.
    ///
    /// # Errors
    /// Another package needs the first of them; why it did not work.
    pub fn take_back(&self, names: &[String], leftovers: &[String]) -> Result<(), PackageError> {
        let Some(first) = names.first() else { return Ok(()) };
        let mut here = Vec::new();
        for name in names {
            if matches!(self.presence(name)?, Presence::Partly | Presence::Installed) {
                here.push(name.clone());
            }
        }
        if let Some(needs) = self.dependent(&here)? {
            let Some(only) = here.iter().find(|n| *n == first) else { return Ok(()) };
            here = vec![only.clone()];
            if self.dependent(&here)?.is_some() {
                return Err(PackageError::Needed { name: first.clone(), by: needs });
            }
        }
        let (kept, gone): (Vec<String>, Vec<String>) = here.into_iter().partition(|n| leftovers.contains(n));
        self.remove(&kept, false)?;
        self.remove(&gone, true)
    }

    /// A package that would have to go together with these.
    fn dependent(&self, names: &[String]) -> Result<Option<String>, PackageError> {
        if names.is_empty() {
            return Ok(None);
        }
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        if self.manager == Manager::Apt {
            let said = self.run(&strings(&[["apt-get", "-s", "-q", "-y", "remove"].as_slice(), &list].concat()))?;
            let word = |l: &str| l.strip_prefix("Remv ")?.split(' ').next().map(str::to_owned);
            return Ok(said.lines().filter_map(word).find(|n| !names.contains(n)));
        }
        let argv = [["rpm", "-q", "--whatrequires", "--qf", "needed by %{NAME}\n"].as_slice(), &list].concat();
        let output = self.host.runner.run(&Cmd::new(argv).limit(ASK))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let word = |l: &str| l.strip_prefix("needed by ").map(str::to_owned);
        Ok(text.lines().filter_map(word).find(|n| !names.contains(n)))
    }

    fn run(&self, argv: &[String]) -> Result<String, PackageError> {
        let mut cmd = Cmd::new(argv).limit(LIMIT).env("ZYPP_LOCK_TIMEOUT", LOCK_WAIT.to_string());
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
        if output.ok() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(cause(argv, &output)) }
    }
}

impl Manager {
    fn program(self) -> &'static str {
        ALL.iter().find(|(m, _)| *m == self).map_or("apt-get", |(_, program)| program)
    }

    fn install(self, name: &str) -> Vec<String> {
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
                "--no-remove",
                "install",
                name,
            ],
            Manager::Zypper => vec!["zypper", "--non-interactive", "install", "--no-recommends", name],
            _ => vec![self.program(), "-y", "install", name],
        };
        strings(&argv)
    }

    fn remove(self, names: &[String], purge: bool) -> Vec<String> {
        let lock = format!("DPkg::Lock::Timeout={LOCK_WAIT}");
        let verb = if purge { "purge" } else { "remove" };
        let argv: Vec<&str> = match self {
            Manager::Apt => vec!["apt-get", "-q", "-y", "-o", &lock, verb],
            Manager::Zypper => vec!["zypper", "--non-interactive", "remove", "--clean-deps"],
            _ => vec![self.program(), "-y", "remove"],
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        strings(&[argv.as_slice(), names.as_slice()].concat())
    }
}

fn strings(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|a| (*a).to_owned()).collect()
}

/// What a failed run means, by what the managers write (in English: commands run under `LC_ALL=C`).
fn cause(argv: &[String], output: &Output) -> PackageError {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    let line = |words: &[&str]| {
        text.lines().find(|l| words.iter().any(|w| l.contains(w))).map(|l| crate::report::clean(l.trim()))
    };
    let name = argv.last().cloned().unwrap_or_default();
    let locked = [
        "Could not get lock",
        "Unable to lock",
        "Unable to acquire the dpkg",
        "is locked by",
        "System management is locked",
        "Existing lock",
        "Failed to obtain the transaction lock",
        "Could not acquire lock",
    ];
    if let Some(said) = line(&locked) {
        return PackageError::Locked(said);
    }
    let room =
        ["No space left on device", "enough free space", "more space needed", "Insufficient space", "not enough space"];
    if let Some(said) = line(&room) {
        return PackageError::NoSpace(said);
    }
    if let Some(said) = line(&["Packages need to be removed but remove is disabled"]) {
        return PackageError::Removes { name, said };
    }
    // Before the unknown ones: without its lists a manager knows no package.
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
        "Cannot find a valid baseurl",
        "Valid metadata not found",
        "There are no enabled repositories",
        "There are no enabled repos",
        "No repositories defined",
    ];
    if let Some(said) = line(&unreachable) {
        return PackageError::Unreachable(said);
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
    let command = argv.join(" ");
    let said = match output.last_words(4) {
        said if said.is_empty() => format!("{:?}", output.exit),
        said => crate::report::clean(&said),
    };
    PackageError::Failed { command, said }
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

    const SIMULATED: &str = "NOTE: This is only a simulation!\nInst libestr0 (0.1.11-1 Debian:12 [amd64])\nInst rsyslog (8.2302.0-1 Debian:12 [amd64])\nConf libestr0\nConf rsyslog\n";

    #[test]
    fn lists_are_fetched_where_the_package_is_not_known_and_what_comes_with_it_is_named() {
        let runner = FakeRunner::new()
            .on(&["apt-get", "-s"], reply(100, "", "E: Unable to locate package rsyslog\n"))
            .on(&["apt-get", "-s"], reply(0, SIMULATED, ""))
            .on(&["apt-get", "-q"], reply(0, "", ""));
        let (_dir, runner, host) = lab("apt-get", runner);
        let packages = Packages::detect(&host).unwrap();
        assert_eq!(packages.closure("rsyslog").unwrap(), ["rsyslog", "libestr0"]);
        let calls = runner.calls();
        assert!(calls.len() == 3 && calls[1].ends_with("update"), "{calls:?}");
    }

    #[test]
    fn nothing_is_installed_in_place_of_another_package() {
        let said = "Remv rsyslog [8.2302.0-1]\nInst syslog-ng-core (3.38.1-5 Debian:12 [amd64])\n";
        let (_dir, _, host) = lab("apt-get", FakeRunner::new().on(&["apt-get", "-s"], reply(0, said, "")));
        let error = Packages::detect(&host).unwrap().closure("syslog-ng-core").unwrap_err();
        assert!(error.to_string().contains("rsyslog would go"), "{error}");
    }

    #[test]
    fn what_a_failed_attempt_left_is_taken_away_and_what_was_there_is_not() {
        let asked = |name: &str, first: &str, then: &str| {
            let argv = ["dpkg-query", "-W", "-f", "${db:Status-Status}\n", name].map(str::to_owned);
            (argv, [first, then].map(str::to_owned))
        };
        let mut runner = FakeRunner::new()
            .on(&["apt-get", "-q", "-y"], reply(100, "", "dpkg: error: write error (No space left on device)\n"));
        for (argv, answers) in [
            asked("rsyslog", "config-files\n", "half-installed\n"),
            asked("libestr0", "", "installed\n"),
            asked("libfastjson4", "installed\n", "installed\n"),
        ] {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            for answer in answers {
                runner = runner.on(&argv, reply(0, &answer, ""));
            }
        }
        let (_dir, runner, host) = lab("apt-get", runner);
        let names = ["rsyslog", "libestr0", "libfastjson4"].map(str::to_owned);
        let error = Packages::detect(&host).unwrap().install(&names).unwrap_err();
        assert!(matches!(error, PackageError::NoSpace(_)), "{error}");
        let calls: Vec<String> = runner.calls().into_iter().filter(|c| c.starts_with("apt-get")).collect();
        assert!(calls[1].ends_with("purge libestr0") && calls[2].ends_with("remove rsyslog"), "{calls:?}");
    }

    #[test]
    fn what_others_have_come_to_need_stays() {
        let names = ["rsyslog", "libestr0"].map(str::to_owned);
        let runner = || FakeRunner::new().on(&["dpkg-query"], reply(0, "installed\n", ""));
        let remove = ["apt-get", "-s", "-q", "-y", "remove", "rsyslog"];
        let both = [remove.as_slice(), &["libestr0"]].concat();
        let runner = runner()
            .on(&both, reply(0, "Remv rsyslog [1]\nRemv other [1]\nRemv libestr0 [1]\n", ""))
            .on(&remove, reply(0, "Remv rsyslog [1]\n", ""))
            .on(&["apt-get", "-q", "-y"], reply(0, "", ""));
        let (_dir, runner, host) = lab("apt-get", runner);
        Packages::detect(&host).unwrap().take_back(&names, &[]).unwrap();
        assert!(runner.calls().last().unwrap().ends_with("purge rsyslog"), "{:?}", runner.calls());

        let runner = FakeRunner::new()
            .on(&["rpm", "-q", "--qf"], reply(0, "installed\n", ""))
            .on(&["rpm", "-q", "--whatrequires"], reply(0, "needed by rsyslog-gnutls\n", ""));
        let (_dir, _, host) = lab("dnf", runner);
        let error = Packages::detect(&host).unwrap().take_back(&names[..1], &[]).unwrap_err();
        assert!(error.to_string().contains("rsyslog-gnutls needs it"), "{error}");
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
        assert!(matches!(
            of("System management is locked by the application with pid 1234 (zypper)."),
            PackageError::Locked(_)
        ));
        assert!(matches!(of("Error: Unable to find a match: rsyslog"), PackageError::Unknown { .. }));
        assert!(matches!(of("Curl error (6): Couldn't resolve host name"), PackageError::Unreachable(_)));
        assert!(matches!(
            of("Error: There are no enabled repositories in \"/etc/yum.repos.d\""),
            PackageError::Unreachable(_)
        ));
        let room = "E: You don't have enough free space in /var/cache/apt/archives/.";
        assert!(matches!(of(room), PackageError::NoSpace(_)));
        assert!(matches!(
            of("Error Summary: At least 12MB more space needed on the / filesystem."),
            PackageError::NoSpace(_)
        ));
        assert!(matches!(of("odd"), PackageError::Failed { said, .. } if said == "odd"));
    }

    #[test]
    fn a_box_without_any_manager_is_told_so() {
        let (_dir, _, host) = lab("pacman", FakeRunner::new());
        assert!(matches!(Packages::detect(&host), Err(PackageError::NoManager)));
    }
}
