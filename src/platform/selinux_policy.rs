//! What SELinux's policy lets the daemon do, asked of the kernel that enforces it. Policies differ from distribution to
//! distribution and are changed on single boxes (modules, booleans, permissive domains), so a list of ours can only stand in
//! where nobody can be asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::selinux::{self, Mode, Ports};
use crate::host::{Cmd, Host, RunError, selinuxfs};

/// Label of a syslog daemon where none runs that could be looked at.
const DAEMON: &str = "system_u:system_r:syslogd_t:s0";

/// `semanage` is written in Python and loads the whole policy: two seconds on a fast machine, twenty on a busy small one.
const LIMIT: Duration = Duration::from_secs(40);

/// Labels of all ports, as they are in force.
///
/// # Errors
/// `semanage` is not there, or does not answer.
pub fn ports(host: &Host) -> Result<Vec<Ports>, NoPorts> {
    let list = |more: &[&str]| {
        let argv: Vec<&str> = ["semanage", "port", "-l"].iter().chain(more).copied().collect();
        match host.runner.run(&Cmd::new(&argv).limit(LIMIT)) {
            Ok(out) if out.ok() => Ok(selinux::ports(&out.stdout)),
            Ok(out) => Err(NoPorts::Failed(format!("{} failed: {}", argv.join(" "), out.last_words(2)))),
            Err(RunError::NotFound(_)) => Err(NoPorts::NoTool),
            Err(e) => Err(NoPorts::Failed(e.to_string())),
        }
    };
    let all = list(&[])?;
    Ok(if selinux::is_doubtful(&all) { selinux::with_local(all, &list(&["-C"])?) } else { all })
}

/// Why the labels of ports are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPorts {
    #[error("semanage is not installed")]
    NoTool,
    #[error("{0}")]
    Failed(String),
}

/// What a daemon does with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Connect,
    Listen,
}

impl Use {
    /// The permission of that name in the policy.
    pub fn permission(self) -> &'static str {
        match self {
            Use::Connect => "name_connect",
            Use::Listen => "name_bind",
        }
    }

    /// For people: what the daemon may not do.
    pub fn words(self) -> &'static str {
        match self {
            Use::Connect => "connect to",
            Use::Listen => "listen on",
        }
    }
}

/// Labels of ports that the policy lets the daemon use, of those that ports have here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    connect: BTreeSet<String>,
    listen_tcp: BTreeSet<String>,
    listen_udp: BTreeSet<String>,
}

impl Rights {
    fn of(&mut self, use_: Use, protocol: &str) -> &mut BTreeSet<String> {
        match (use_, protocol) {
            (Use::Connect, _) => &mut self.connect,
            (Use::Listen, "udp") => &mut self.listen_udp,
            (Use::Listen, _) => &mut self.listen_tcp,
        }
    }

    /// Asks `may` (class, label, permission) about every label; `None` where there is no answer.
    fn ask(ports: &[Ports], may: impl Fn(&str, &str, &str) -> Option<bool>) -> Option<Rights> {
        let mut rights = Rights::default();
        let labels: BTreeSet<&str> = ports.iter().map(|p| p.label.as_str()).chain([selinux::SYSLOG_PORT]).collect();
        for label in labels {
            for (use_, protocol) in [(Use::Connect, "tcp"), (Use::Listen, "tcp"), (Use::Listen, "udp")] {
                if may(&format!("{protocol}_socket"), label, use_.permission())? {
                    rights.of(use_, protocol).insert(label.to_owned());
                }
            }
        }
        Some(rights)
    }
}

/// May the daemon use a port with that label? Without the kernel's word the lists of Fedora's policy count.
pub fn may_use(rights: Option<&Rights>, use_: Use, protocol: &str, label: &str) -> bool {
    match (rights, use_, protocol) {
        (Some(r), Use::Connect, _) => r.connect.contains(label),
        (Some(r), Use::Listen, "udp") => r.listen_udp.contains(label),
        (Some(r), Use::Listen, _) => r.listen_tcp.contains(label),
        (None, Use::Connect, _) => selinux::may_connect(label),
        (None, Use::Listen, _) => selinux::may_bind(label),
    }
}

/// The policy of the running machine, as one daemon meets it.
pub struct Policy<'h> {
    host: &'h Host,
    /// The daemon's label.
    daemon: String,
}

impl<'h> Policy<'h> {
    /// For the daemon with that process, or for the one that will run.
    pub fn of(host: &'h Host, pid: Option<u32>) -> Self {
        let current = pid.and_then(|pid| host.root.read_opt(Path::new(&format!("/proc/{pid}/attr/current"))).ok()?);
        let daemon = current.map(|c| String::from_utf8_lossy(&c).trim_end_matches(['\0', '\n']).to_owned());
        Policy { host, daemon: daemon.filter(|d| d.contains(':')).unwrap_or_else(|| DAEMON.to_owned()) }
    }

    /// May the daemon do all of that with a thing of that label and class? `None`: cannot be asked, or a label is not known.
    pub fn may(&self, what: &str, class: &str, permissions: &[&str]) -> Option<bool> {
        let number = |path: String| {
            let text = self.host.root.read_opt(Path::new(&path)).ok()??;
            String::from_utf8_lossy(&text).trim().parse::<u32>().ok()
        };
        let place = format!("{}/class/{class}", selinuxfs::PLACE);
        let mut wanted = 0;
        for permission in permissions {
            wanted |= bit(number(format!("{place}/perms/{permission}"))?)?;
        }
        let question = format!("{} {what} {} {wanted:x}", self.daemon, number(format!("{place}/index"))?);
        let answer = selinuxfs::ask(&self.host.root, "access", question.as_bytes()).ok()?;
        answered(&answer, wanted)
    }

    pub fn rights(&self, ports: &[Ports]) -> Option<Rights> {
        Rights::ask(ports, |class, label, permission| {
            self.may(&format!("system_u:object_r:{label}:s0"), class, &[permission])
        })
    }

    /// A part of the way to a file, or the file, that the policy keeps from the daemon, with its type. `None` as well where
    /// the policy is not enforced or cannot be asked.
    pub fn unreadable(&self, path: &Path) -> Option<(PathBuf, String)> {
        let enforce = self.host.root.read_opt(Path::new("/sys/fs/selinux/enforce")).ok()??;
        if selinux::mode(&enforce) != Some(Mode::Enforcing) {
            return None;
        }
        let file = self.host.root.resolve(path).ok()?;
        let mut way: Vec<&Path> = file.ancestors().collect();
        way.reverse();
        way.into_iter().find_map(|part| {
            let label = label(self.host, part)?;
            let refused = match part == file {
                true => self.may(&label, "file", &["getattr", "open", "read"]),
                false => self.may(&label, "dir", &["search"]),
            } == Some(false);
            refused.then(|| (part.to_owned(), selinux::type_of(&label).to_owned()))
        })
    }
}

/// The whole label of a file, `system_u:object_r:etc_t:s0`.
pub fn label(host: &Host, path: &Path) -> Option<String> {
    let found = host.root.attrs(path).ok()?.xattrs?.into_iter().find(|x| x.name == "security.selinux")?;
    Some(String::from_utf8_lossy(&found.value).trim_end_matches('\0').to_owned())
}

/// Permissions are numbered from 1.
fn bit(number: u32) -> Option<u32> {
    1_u32.checked_shl(number.checked_sub(1)?)
}

/// `allowed decided auditallow auditdeny seqno flags`, all but the number of the policy in hexadecimal; the last bit of the
/// flags says that the daemon's domain is permissive.
fn answered(answer: &[u8], wanted: u32) -> Option<bool> {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.trim_end_matches('\0').split_whitespace();
    let allowed = u32::from_str_radix(words.next()?, 16).ok()?;
    let flags = words.nth(4).and_then(|w| u32::from_str_radix(w, 16).ok()).unwrap_or_default();
    Some(allowed & wanted == wanted || flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answer_is_read() {
        // Seen with Debian's policy: syslogd_t on tcp_socket of syslogd_port_t and of unreserved_port_t.
        assert_eq!(answered(b"60000 ffffffff 0 ffffffff 2 0", 0x20000), Some(true));
        assert_eq!(answered(b"0 ffffffff 0 ffffffff 2 0", 0x20000), Some(false));
        assert_eq!(answered(b"20000 ffffffff 0 ffffffff 2 0", 0x60000), Some(false));
        assert_eq!(answered(b"0 ffffffff 0 ffffffff 2 1\0", 0x20000), Some(true), "a permissive domain");
        for odd in [&b""[..], b"x", b"\0"] {
            assert_eq!(answered(odd, 1), None);
        }
        assert_eq!((bit(1), bit(32), bit(0), bit(33)), (Some(1), Some(1 << 31), None, None));
    }

    #[test]
    fn what_the_kernel_says_beats_the_lists() {
        let ports = selinux::ports(b"syslogd_port_t udp 514\nmysqld_port_t tcp 3306\nodd_port_t tcp 7\n");
        let rights = Rights::ask(&ports, |class, label, permission| {
            Some(label == "odd_port_t" && class == "tcp_socket" && permission == "name_connect")
        });
        let may = |use_, label| may_use(rights.as_ref(), use_, "tcp", label);
        assert!(may(Use::Connect, "odd_port_t") && !may(Use::Listen, "odd_port_t"));
        assert!(!may(Use::Connect, "mysqld_port_t") && may_use(None, Use::Connect, "tcp", "mysqld_port_t"));
        assert_eq!(Rights::ask(&ports, |_, _, _| None), None);
    }
}
