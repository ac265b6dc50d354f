//! Plain facts about the running machine that other modules may not ask for themselves: who we are, what kernel this
//! is, what runs in a container, which sockets are open and who holds them. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use super::proc_net::{self, Socket, Transport};
use super::proc_process::{self, OpenFiles, Process};
use super::{Clock, Root, proc_diag};

/// Name and kernel of the running machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub hostname: String,
    pub kernel: String,
    pub arch: String,
}

pub fn identity() -> Identity {
    let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
    match nix::sys::utsname::uname() {
        Ok(u) => Identity { hostname: text(u.nodename()), kernel: text(u.release()), arch: text(u.machine()) },
        Err(_) => Identity::default(),
    }
}

/// Effective user id of this process.
pub fn euid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Seconds on the clock that unit timestamps (`…TimestampMonotonic`) are taken from.
pub fn monotonic() -> Option<Duration> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok()?;
    Some(Duration::new(now.tv_sec().try_into().ok()?, now.tv_nsec().try_into().ok()?))
}

/// Effective capabilities of this process, one bit each.
pub fn own_capabilities(root: &Root) -> u64 {
    proc_process::process(root, std::process::id()).map(|p| p.cap_effective).unwrap_or_default()
}

/// What the machine runs in, as container managers mark it; `None` on a machine of its own.
pub fn container(root: &Root) -> Option<String> {
    let text = |path: &str| root.read_opt(Path::new(path)).ok().flatten();
    let exists = |path: &str| matches!(root.stat(Path::new(path)), Ok(Some(_)));
    if let Some(name) = text("/run/systemd/container") {
        return Some(String::from_utf8_lossy(&name).trim().to_owned());
    }
    if exists("/run/.containerenv") {
        return Some("podman".into());
    }
    if exists("/.dockerenv") {
        return Some("docker".into());
    }
    let environment = text("/proc/1/environ")?;
    let value = environment.split(|b| *b == 0).find_map(|v| v.strip_prefix(b"container="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Is there an IPv6 that a listener could use: the kernel has it and it is not switched off on every interface?
pub fn has_ipv6(root: &Root) -> bool {
    let interfaces = root.read(Path::new("/proc/net/if_inet6")).unwrap_or_default();
    !interfaces.trim_ascii().is_empty()
}

/// Marked so that nobody may change it, root included (`chattr +i`); false where the file system does not say.
pub fn is_immutable(root: &Root, path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, root.real(path), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
    found.is_ok_and(|s| s.stx_attributes.contains(StatxAttributes::IMMUTABLE))
}

/// The last `max` bytes of a file at most, from the beginning of a line; follows links.
///
/// # Errors
/// As reading the file.
pub fn tail(root: &Root, path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = super::root::open_regular(&root.real(&root.resolve(path)?))?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(max);
    file.seek(io::SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(max).read_to_end(&mut text)?;
    if start > 0 {
        let cut = text.iter().position(|b| *b == b'\n').map_or(text.len(), |n| n + 1);
        text.drain(..cut);
    }
    Ok(text)
}

/// Sockets of this network namespace with their owners, and the processes concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sockets {
    pub sockets: Vec<Socket>,
    pub open_files: OpenFiles,
    pub processes: BTreeMap<u32, Process>,
}

/// Reads all sockets, keeps those that `keep` wants, and finds their owners. Deleted files of at least `min_deleted`
/// bytes that are still open come along, since the same walk shows them. `names` are processes wanted in any case.
///
/// # Errors
/// Where `/proc/net` cannot be read at all; single missing files (no IPv6) are none.
pub fn sockets(
    root: &Root,
    clock: &dyn Clock,
    keep: &dyn Fn(&Socket) -> bool,
    names: &[&str],
    min_deleted: u64,
    limit: Duration,
) -> io::Result<Sockets> {
    let mut sockets = Vec::new();
    for (transport, file) in [
        (Transport::Udp, "/proc/net/udp"),
        (Transport::Udp, "/proc/net/udp6"),
        (Transport::Tcp, "/proc/net/tcp"),
        (Transport::Tcp, "/proc/net/tcp6"),
    ] {
        match root.read_opt(Path::new(file))? {
            Some(text) => sockets.extend(proc_net::parse(transport, &text).into_iter().filter(|s| keep(s))),
            None if file == "/proc/net/udp" => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "/proc/net/udp is not there: is /proc mounted?"));
            }
            None => {}
        }
    }
    if root.is_live() {
        add_extras(&mut sockets);
    }
    let wanted: BTreeSet<u64> = sockets.iter().map(|s| s.inode).filter(|i| *i != 0).collect();
    let open_files = proc_process::open_files(root, clock, &wanted, min_deleted, limit);
    let mut pids: BTreeSet<u32> = open_files.owners.values().flatten().copied().collect();
    pids.extend(open_files.deleted.iter().map(|d| d.pid));
    pids.extend(named(root, names));
    for socket in &mut sockets {
        socket.owners = open_files.owners.get(&socket.inode).into_iter().flatten().copied().collect();
    }
    // Seen from inside a container its own processes may carry its id; they are no strangers.
    let own = proc_process::process(root, std::process::id()).and_then(|p| p.container);
    let look = |pid| {
        let mut process = proc_process::process(root, pid)?;
        process.container = process.container.filter(|c| Some(c) != own.as_ref());
        Some((pid, process))
    };
    let processes = pids.into_iter().filter_map(look).collect();
    Ok(Sockets { sockets, open_files, processes })
}

/// Processes by name.
fn named<'a>(root: &'a Root, names: &'a [&str]) -> impl Iterator<Item = u32> + 'a {
    let hit = |pid: &u32| proc_process::comm(root, *pid).is_some_and(|c| names.contains(&c.as_str()));
    proc_process::pids(root).into_iter().filter(hit)
}

/// What the kernel's socket monitor adds; where it does not answer, those fields stay unknown.
fn add_extras(sockets: &mut [Socket]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        for v6 in [false, true] {
            let Ok(extras) = proc_diag::extras(transport, v6) else { continue };
            for socket in sockets.iter_mut().filter(|s| s.transport == transport && s.local.is_ipv6() == v6) {
                if let Some(extra) = extras.get(&socket.inode) {
                    socket.v6only = extra.v6only;
                    socket.recv_buffer = extra.recv_buffer;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::SystemClock;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn containers_are_known_by_their_marks() {
        assert_eq!(container(&tree(&[]).1), None);
        let (_d, root) = tree(&[("run/systemd/container", "systemd-nspawn\n")]);
        assert_eq!(container(&root).as_deref(), Some("systemd-nspawn"));
        let (_d, root) = tree(&[(".dockerenv", "")]);
        assert_eq!(container(&root).as_deref(), Some("docker"));
        let (_d, root) = tree(&[("proc/1/environ", "PATH=/bin\0container=lxc\0")]);
        assert_eq!(container(&root).as_deref(), Some("lxc"));
    }

    #[test]
    fn sockets_of_a_tree_and_their_owner() {
        let (dir, root) = tree(&[
            (
                "proc/net/udp",
                "h\n 1: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 33101 2 0 5\n 2: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 33102 2 0 5\n",
            ),
            ("proc/47/comm", "rsyslogd\n"),
            ("proc/47/stat", "47 (rsyslogd) S 1 47 47 0 -1 0 1 2 3 4 5 6 7 8 20 0 4 0 98765 1 2"),
            ("proc/47/status", "Name:\trsyslogd\nUid:\t0\t0\t0\t0\n"),
            ("proc/48/comm", "rsyslogd\n"),
        ]);
        std::fs::create_dir_all(dir.path().join("proc/47/fd")).unwrap();
        std::os::unix::fs::symlink("socket:[33101]", dir.path().join("proc/47/fd/6")).unwrap();
        let keep = |s: &Socket| s.local.port() == 514;
        let found = sockets(&root, &SystemClock::default(), &keep, &["rsyslogd"], 1, Duration::from_secs(5)).unwrap();
        assert_eq!(found.sockets.len(), 1);
        assert_eq!(found.sockets[0].owners, [47]);
        // 48 ended between the list and the look: it is left out.
        assert_eq!(found.processes.keys().copied().collect::<Vec<_>>(), [47]);
        assert!(found.open_files.complete);
    }

    #[test]
    fn without_proc_there_is_a_reason() {
        let (_d, root) = tree(&[]);
        let e = sockets(&root, &SystemClock::default(), &|_| true, &[], 1, Duration::from_secs(1)).unwrap_err();
        assert!(e.to_string().contains("/proc"), "{e}");
    }

    #[test]
    fn the_tail_begins_with_a_whole_line() {
        let (_d, root) = tree(&[("log", "first\nsecond\nthird\n")]);
        let tail = |max| String::from_utf8(tail(&root, Path::new("/log"), max).unwrap()).unwrap();
        assert_eq!(tail(100), "first\nsecond\nthird\n");
        assert_eq!(tail(9), "third\n");
        assert_eq!(tail(2), "");
    }

    #[test]
    fn ipv6_needs_an_interface_with_it() {
        assert!(!has_ipv6(&tree(&[("proc/net/if_inet6", "\n")]).1));
        assert!(!has_ipv6(&tree(&[]).1));
        assert!(has_ipv6(&tree(&[("proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n")]).1));
    }
}
