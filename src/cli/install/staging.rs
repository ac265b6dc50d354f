//! The candidate configuration on the disk while the daemon's own check reads it, and gone afterwards whatever happens:
//! at the end, after an error, and after a kill at the beginning of the next run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::daemon::Daemon;
use crate::host::{Attrs, Cmd, Host, Output};

/// A daemon that takes longer to read its configuration is not waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// A folder for the candidate, gone when dropped.
pub struct Staging<'a> {
    host: &'a Host,
    pub folder: PathBuf,
}

/// Where a confined daemon may read (facts 7.6): the folder's parent, and the candidate's name below it.
fn confined_place(daemon: Daemon) -> (&'static str, &'static str) {
    match daemon {
        Daemon::Rsyslog => ("/var/spool/rsyslog", "cefctl-candidate"),
        // A name that no include pattern takes in.
        Daemon::SyslogNg => ("/etc/syslog-ng", ".cefctl-check"),
    }
}

impl<'a> Staging<'a> {
    /// In memory, or where AppArmor lets the daemon read.
    pub fn new(host: &'a Host, daemon: Daemon) -> Self {
        let program = match daemon {
            Daemon::Rsyslog => "rsyslogd",
            Daemon::SyslogNg => "syslog-ng",
        };
        let profiles = host.root.read(Path::new("/sys/kernel/security/apparmor/profiles")).unwrap_or_default();
        let confined = String::from_utf8_lossy(&profiles).lines().any(|l| {
            l.split_once(" (").is_some_and(|(name, mode)| name.ends_with(program) && mode.starts_with("enforce"))
        });
        let (place, name) = if confined { confined_place(daemon) } else { ("/run", "cefctl-candidate") };
        Staging { host, folder: Path::new(place).join(name) }
    }

    /// Writes the files and runs `argv`.
    pub fn check<'f>(
        &self,
        files: impl IntoIterator<Item = (&'f PathBuf, &'f Vec<u8>)>,
        argv: &[&std::ffi::OsStr],
    ) -> anyhow::Result<Output> {
        self.clear();
        let root = &self.host.root;
        root.create_dir(&self.folder, 0o700, None).with_context(|| format!("making {}", self.folder.display()))?;
        for (path, content) in files {
            root.write(path, content, &Attrs::mode(0o600)).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(self.host.runner.run(&Cmd::new(argv).limit(LIMIT))?)
    }

    fn clear(&self) {
        clear(self.host, &self.folder);
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn clear(host: &Host, folder: &Path) {
    let root = &host.root;
    for name in root.list(folder).unwrap_or_default() {
        let _ = root.remove_file(&folder.join(name));
    }
    let _ = root.remove_dir(folder);
}

/// Removes what a killed run may have left in folders that outlast a boot.
pub fn sweep(host: &Host) {
    for daemon in Daemon::ALL {
        let (place, name) = confined_place(daemon);
        clear(host, &Path::new(place).join(name));
    }
}
