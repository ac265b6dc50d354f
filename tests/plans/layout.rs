//! A fixture as a machine: what git cannot hold or what is the same everywhere is added (empty folders, modules), and
//! the daemon's own program answers with the version that the distribution has.

use std::path::{Path, PathBuf};

use cefctl::host::fake::{self, FakeRunner, reply};
use cefctl::host::{Host, Root};

use crate::scenario::File;

/// A distribution's rsyslog (facts: docs/rsyslog.md, the distributions' packages).
pub struct Layout {
    pub name: &'static str,
    pub version: &'static str,
    pub work_directory: &'static str,
    pub modules: &'static str,
}

const DEBIAN: &str = "usr/lib/x86_64-linux-gnu/rsyslog";
const RED_HAT: &str = "usr/lib64/rsyslog";
const SPOOL: &str = "var/spool/rsyslog";
const LIB: &str = "var/lib/rsyslog";

pub const LAYOUTS: [Layout; 11] = [
    Layout { name: "amazon2", version: "8.24.0", work_directory: LIB, modules: RED_HAT },
    Layout { name: "debian11", version: "8.2102.0", work_directory: SPOOL, modules: DEBIAN },
    Layout { name: "debian12", version: "8.2302.0", work_directory: SPOOL, modules: DEBIAN },
    Layout { name: "debian13", version: "8.2504.0", work_directory: SPOOL, modules: DEBIAN },
    Layout { name: "rhel7", version: "8.24.0", work_directory: LIB, modules: RED_HAT },
    Layout { name: "rhel8", version: "8.2102.0", work_directory: LIB, modules: RED_HAT },
    Layout { name: "rhel9", version: "8.2310.0", work_directory: LIB, modules: RED_HAT },
    Layout { name: "suse15", version: "8.2306.0", work_directory: SPOOL, modules: RED_HAT },
    Layout { name: "ubuntu20.04", version: "8.2001.0", work_directory: SPOOL, modules: DEBIAN },
    Layout { name: "ubuntu22.04", version: "8.2112.0", work_directory: SPOOL, modules: DEBIAN },
    Layout { name: "ubuntu24.04", version: "8.2312.0", work_directory: SPOOL, modules: DEBIAN },
];

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts")
}

impl Layout {
    /// Text of a file of the fixture.
    pub fn file(&self, path: &str) -> String {
        std::fs::read_to_string(fixtures().join(self.name).join(path.trim_start_matches('/'))).unwrap()
    }

    /// The machine, in a folder that lives as long as the second value.
    pub fn host(&self, changes: &[File]) -> (Host, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixtures().join(self.name), folder.path());
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for program in ["rsyslogd", "syslog-ng"].into_iter().filter(|p| *p == "rsyslogd") {
            put(&format!("usr/sbin/{program}"), "");
        }
        for module in ["imudp", "imtcp", "imptcp"] {
            put(&format!("{}/{module}.so", self.modules), "");
        }
        for dir in [self.work_directory, "etc/rsyslog.d", "var/lib", "var/log", "proc", "run"] {
            std::fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        for (path, text) in changes {
            put(path, text);
        }
        let checked = format!(
            "rsyslogd: version {}, config validation run (level 1), master config /etc/rsyslog.conf\n\
             rsyslogd: End of config validation run. Bye.\n",
            self.version
        );
        let runner = FakeRunner::new()
            .on(&["/usr/sbin/rsyslogd", "-N1"], reply(0, "", &checked))
            .on(&["/usr/sbin/rsyslogd", "-v"], reply(0, &format!("rsyslogd  {} compiled with:\n", self.version), ""));
        (fake::host(Root::at(folder.path()), runner), folder)
    }
}

pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
