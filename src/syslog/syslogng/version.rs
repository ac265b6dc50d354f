//! Versions of syslog-ng, what `syslog-ng --version` tells, and which version can what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the program, or of the configuration language (`@version`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version { major, minor, patch }
    }

    /// `3.38`, `3.38.1`, `4.8.1-2+deb13u1`: the numbers it starts with, at least two.
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.trim().split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            (part[..digits].parse::<u32>().ok(), digits == part.len())
        });
        let (major, whole) = numbers.next()?;
        if !whole {
            return None;
        }
        let (minor, whole) = numbers.next()?;
        let patch = if whole { numbers.next().and_then(|(n, _)| n) } else { None };
        Some(Version { major: major?, minor: minor?, patch: patch.unwrap_or(0) })
    }

    /// The version without its last number, as `@version` has it.
    pub fn language(self) -> Version {
        Version { patch: 0, ..self }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patch {
            0 => write!(f, "{}.{}", self.major, self.minor),
            _ => write!(f, "{}.{}.{}", self.major, self.minor, self.patch),
        }
    }
}

/// What a version of the program can do; each from the first release that has it. Read in the sources of the releases
/// and tried on 3.28, 3.38 and 4.8.
impl Version {
    /// Junctions and channels in log paths, the `network()` drivers.
    pub fn has_junctions(self) -> bool {
        self >= Version::new(3, 4, 0)
    }
    /// `persist-name()` of drivers and `disk-buffer()` (before 3.8 it was part of the commercial edition).
    pub fn has_disk_buffer(self) -> bool {
        self >= Version::new(3, 8, 0)
    }
    /// `flags(store-raw-message)`
    pub fn has_raw_message(self) -> bool {
        self >= Version::new(3, 13, 1)
    }
    /// `if`, `elif` and `else` in log paths.
    pub fn has_conditions(self) -> bool {
        self >= Version::new(3, 15, 0)
    }
    /// `dynamic-window-size()`
    pub fn has_dynamic_window(self) -> bool {
        self >= Version::new(3, 23, 0)
    }
    /// `time-reopen()` of one destination; before, only the one in `options` counts.
    pub fn has_own_time_reopen(self) -> bool {
        self >= Version::new(3, 32, 0)
    }
    /// `capacity-bytes()` and `flow-control-window-bytes()` instead of `disk-buf-size()` and `mem-buf-size()`; the old names
    /// go on working.
    pub fn has_capacity_bytes(self) -> bool {
        self >= Version::new(4, 2, 0)
    }
    /// IPv4 senders on an IPv6 socket are named by their IPv4 address, not `::ffff:a.b.c.d`.
    pub fn unmaps_addresses(self) -> bool {
        self >= Version::new(4, 5, 0)
    }
    /// `@version: current`
    pub fn has_current(self) -> bool {
        self >= Version::new(3, 29, 0)
    }
    /// Is a configuration without `@version` read at all? Up to 3.12 as one of version 2.1, from 4.8 on as one of the
    /// program's own version, by those between not.
    pub fn may_lack_version(self) -> bool {
        self < Version::new(3, 13, 0) || self >= Version::new(4, 8, 0)
    }
    /// `transport(auto)`: tells octet counting and line framing apart per connection.
    pub fn has_auto_framing(self) -> bool {
        self >= Version::new(4, 9, 0)
    }
}

/// What the installed program says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub version: Version,
    /// The `@version` of its default configuration, which may be older.
    pub config_version: Option<Version>,
    /// Modules that can be loaded (`disk-buffer`, `afsocket` …); empty when it does not say.
    pub modules: Vec<String>,
    /// Folders searched for includes beside the one of the main file.
    pub include_path: Vec<String>,
    pub ipv6: bool,
    /// It gives up root's capabilities, as it reads its configuration already: root then cannot read what belongs to
    /// somebody else and is closed to others, which the daemon may do once it runs as that user.
    #[serde(default)]
    pub gives_up_root: bool,
}

/// Keeps it from that.
pub const KEEP_ROOT: &str = "--no-caps";

impl Program {
    /// Reads the output of `syslog-ng --version`. `None` where no version is found.
    pub fn parse(output: &[u8]) -> Option<Program> {
        let text = String::from_utf8_lossy(output);
        let field = |name: &str| {
            let line = text.lines().find(|l| l.trim_start().starts_with(name))?;
            line.split_once(':').map(|(_, v)| v.trim().to_owned())
        };
        // `syslog-ng 3 (3.38.1)`, `syslog-ng 4 (4.8.1)`, `syslog-ng 3.5.6`
        let first = text.lines().find(|l| l.starts_with("syslog-ng "))?;
        let named = first.split(['(', ')', ' ']).find_map(Version::parse);
        let version = field("Installer-Version").and_then(|v| Version::parse(&v)).or(named)?;
        let list = |name: &str, by: char| -> Vec<String> {
            field(name)
                .map(|v| v.split(by).map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()).collect())
                .unwrap_or_default()
        };
        Some(Program {
            version,
            config_version: field("Config version").and_then(|v| Version::parse(&v)),
            modules: list("Available-Modules", ','),
            include_path: list("Include-Path", ':'),
            ipv6: field("Enable-IPv6").is_none_or(|v| v == "on"),
            gives_up_root: field("Enable-Linux-Caps").is_some_and(|v| v == "on"),
        })
    }

    /// Is this module installed? `None` where the program does not list its modules.
    pub fn has_module(&self, name: &str) -> Option<bool> {
        (!self.modules.is_empty()).then(|| self.modules.iter().any(|m| m == name))
    }

    /// Can destinations keep events on disk?
    pub fn has_disk_buffer(&self) -> bool {
        self.version.has_disk_buffer() && self.has_module("disk-buffer").unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Version::parse("3.38.1-5+deb12u1"), Some(Version::new(3, 38, 1)));
        assert_eq!(Version::parse(" 4.8"), Some(Version::new(4, 8, 0)));
        assert_eq!(Version::parse("3"), None);
        assert_eq!(Version::parse("3x.1"), None);
        assert_eq!(Version::parse("99999999999.1"), None);
        assert!(Version::new(3, 5, 6) < Version::new(3, 28, 0));
        assert_eq!(Version::new(3, 38, 1).language().to_string(), "3.38");
    }

    #[test]
    fn program() {
        let old = Program::parse(include_bytes!("../../../fixtures/syslog-ng/version/3.28")).unwrap();
        assert_eq!((old.version, old.config_version), (Version::new(3, 28, 1), Some(Version::new(3, 22, 0))));
        assert_eq!(old.include_path, ["/usr/share/syslog-ng/include"]);
        assert!(old.has_disk_buffer());
        let new = Program::parse(include_bytes!("../../../fixtures/syslog-ng/version/4.8")).unwrap();
        assert_eq!(new.version, Version::new(4, 8, 1));
        assert_eq!(new.has_module("no-such"), Some(false));
        let bare = Program::parse(b"syslog-ng 3.5.6\nInstaller-Version: 3.5.6\nRevision: \n").unwrap();
        assert_eq!((bare.version, bare.has_module("disk-buffer")), (Version::new(3, 5, 6), None));
        assert_eq!(Program::parse(b"sh: syslog-ng: not found"), None);
    }
}
