//! `/etc/os-release`: which distribution this is. Written as shell assignments, so values may be quoted and escaped.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::Root;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// `debian`, `rhel`, `sles` …
    pub id: String,
    /// Families it belongs to, nearest first.
    pub id_like: Vec<String>,
    /// `12`, `9.3`; empty for rolling distributions.
    pub version_id: String,
    pub name: String,
    pub pretty_name: String,
}

/// Package family, for the command that installs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Debian,
    RedHat,
    Suse,
    AzureLinux,
    Other,
}

impl OsRelease {
    /// That of the machine with this root; `None`: it has none, or none that may be read.
    pub fn of(root: &Root) -> Option<OsRelease> {
        let text =
            ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|p| root.read_opt(Path::new(p)).ok()?)?;
        Some(OsRelease::parse(&text))
    }

    /// Lines that are no assignment are left out; a missing `ID` is `linux`, as its definition says.
    pub fn parse(text: &[u8]) -> OsRelease {
        let text = String::from_utf8_lossy(text);
        let values: BTreeMap<&str, String> = text
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .filter(|(key, _)| !key.starts_with('#'))
            .map(|(key, value)| (key.trim(), unquote(value.trim())))
            .collect();
        let get = |key: &str| values.get(key).cloned().unwrap_or_default();
        let id = Some(get("ID")).filter(|id| !id.is_empty()).unwrap_or_else(|| "linux".into());
        let name = Some(get("NAME")).filter(|n| !n.is_empty()).unwrap_or_else(|| "Linux".into());
        let pretty = Some(get("PRETTY_NAME")).filter(|n| !n.is_empty()).unwrap_or_else(|| name.clone());
        OsRelease {
            id: id.to_lowercase(),
            id_like: get("ID_LIKE").split_whitespace().map(str::to_lowercase).collect(),
            version_id: get("VERSION_ID"),
            name,
            pretty_name: pretty,
        }
    }

    /// Leading number of the version.
    pub fn major(&self) -> Option<u32> {
        self.version_id.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    pub fn family(&self) -> Family {
        let ids = || std::iter::once(&self.id).chain(&self.id_like).map(String::as_str);
        ids().find_map(family_of).unwrap_or(Family::Other)
    }

    /// Command that installs a package; `None` where it is not known.
    pub fn install_command(&self, package: &str) -> Option<String> {
        let tool = match self.family() {
            Family::Debian => "apt-get install -y",
            Family::RedHat if self.is_old_red_hat() => "yum install -y",
            Family::RedHat => "dnf install -y",
            Family::Suse => "zypper --non-interactive install",
            Family::AzureLinux => "tdnf install -y",
            Family::Other => return None,
        };
        Some(format!("{tool} {package}"))
    }

    /// The package that has `semanage` (facts 7.5).
    pub fn semanage_package(&self) -> &'static str {
        match self.family() {
            Family::RedHat if self.is_old_red_hat() => "policycoreutils-python",
            _ => super::selinux::SEMANAGE_PACKAGE,
        }
    }

    /// Version 7 and what is made from it: yum, Python 2.
    fn is_old_red_hat(&self) -> bool {
        self.major().is_some_and(|m| m <= 7) || self.id == "amzn" && self.version_id == "2"
    }

    /// In the list of distributions that the Azure Monitor Agent supports on x86_64 (facts 3.4); `None` where the
    /// version cannot be told.
    pub fn ama_supports(&self) -> Option<bool> {
        let between = |from: u32, to: u32| self.major().map(|m| (from..=to).contains(&m));
        match self.id.as_str() {
            "almalinux" | "rocky" => between(8, 10),
            "rhel" | "ol" => between(7, 10),
            "centos" => between(7, 7),
            "amzn" => Some(["2", "2023"].contains(&self.version_id.as_str())),
            "azurelinux" => between(3, 4),
            "mariner" => between(2, 2),
            "debian" => between(9, 13),
            "opensuse-leap" => between(15, 15),
            "sles" | "sles_sap" => between(15, 16),
            "ubuntu" => between(16, 26),
            _ => Some(false),
        }
    }
}

fn family_of(id: &str) -> Option<Family> {
    Some(match id {
        "debian" | "ubuntu" => Family::Debian,
        "azurelinux" | "mariner" => Family::AzureLinux,
        "rhel" | "fedora" | "centos" | "amzn" | "ol" | "rocky" | "almalinux" => Family::RedHat,
        "suse" | "sles" | "opensuse" | "opensuse-leap" => Family::Suse,
        _ => return None,
    })
}

/// A shell word: single quotes keep everything, double quotes and bare words know the backslash.
fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotes_escapes_and_families() {
        let os = OsRelease::parse(
            b"# a comment\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\nVERSION_ID=\"12\"\nID=debian\nX=\"a \\\"b\\\" \\$c\"\nnonsense\n",
        );
        assert_eq!((os.id.as_str(), os.major(), os.name.as_str()), ("debian", Some(12), "Debian GNU/Linux"));
        assert_eq!(os.pretty_name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(unquote("\"a \\\"b\\\" \\$c\""), "a \"b\" $c");
        assert_eq!(os.install_command("rsyslog").as_deref(), Some("apt-get install -y rsyslog"));
    }

    #[test]
    fn the_family_of_a_derivative_is_that_of_its_parent() {
        let of = |text: &str| OsRelease::parse(text.as_bytes());
        let oracle = of("ID=\"ol\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.3\"");
        assert_eq!(oracle.install_command("rsyslog").as_deref(), Some("dnf install -y rsyslog"));
        let centos7 = of("ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"");
        assert_eq!(centos7.install_command("rsyslog").as_deref(), Some("yum install -y rsyslog"));
        assert_eq!(of("ID=mint\nID_LIKE=\"ubuntu debian\"").family(), Family::Debian);
        assert_eq!(of("ID=sles\nVERSION_ID=\"15.5\"").family(), Family::Suse);
        assert_eq!(of("ID=nixos").install_command("rsyslog"), None);
    }

    #[test]
    fn a_file_without_sense_is_some_linux() {
        let os = OsRelease::parse(b"\xff\xfe\n===\n");
        assert_eq!((os.id.as_str(), os.pretty_name.as_str(), os.major()), ("linux", "Linux", None));
    }

    #[test]
    fn support_of_the_azure_monitor_agent() {
        let of = |id: &str, v: &str| OsRelease { id: id.into(), version_id: v.into(), ..OsRelease::default() };
        assert_eq!(of("debian", "13").ama_supports(), Some(true));
        assert_eq!(of("ubuntu", "14.04").ama_supports(), Some(false));
        assert_eq!(of("amzn", "2023").ama_supports(), Some(true));
        assert_eq!(of("debian", "").ama_supports(), None);
        assert_eq!(of("kali", "2024.1").ama_supports(), Some(false));
    }
}
