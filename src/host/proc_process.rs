//! Processes as `/proc` shows them: who holds a socket, as whom a daemon runs and what it may do, which logs are deleted
//! but still open. Processes come and go while one looks; whatever vanished or may not be read is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Clock, Root};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub ppid: u32,
    /// Name as the kernel keeps it (15 bytes at most).
    pub comm: String,
    /// Program file; empty where it may not be read.
    pub exe: String,
    pub cmdline: Vec<String>,
    /// One letter: `R`, `S`, `D`, `T` (stopped), `Z` (ended, not reaped) …
    pub state: String,
    /// Effective ids.
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Effective capabilities, one bit each.
    pub cap_effective: u64,
    /// Capabilities it can ever have; what a daemon started with before it dropped its privileges.
    pub cap_bounding: u64,
    /// systemd unit (`rsyslog.service`) from its control group.
    pub unit: Option<String>,
    /// Id of its container, where that is not the one we are in ourselves.
    pub container: Option<String>,
    /// Clock ticks after boot.
    pub start_ticks: u64,
    /// Lives in our network namespace; `None` where that may not be read.
    pub same_net: Option<bool>,
    /// Its root folder, where that is not `/`.
    pub chroot: Option<String>,
    /// Files, sockets and the like that it has open; `None` where that may not be read.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// So many it may have at a time (RLIMIT_NOFILE, the soft one).
    #[serde(default)]
    pub most_open_files: Option<u64>,
    /// Address space in use and the most it may have, in bytes; `None`: no limit, or it may not be looked at.
    #[serde(default)]
    pub address_space: Option<(u64, u64)>,
}

impl Process {
    /// Ended, only its entry is left.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state.as_str(), "Z" | "X")
    }
    /// Does this program run in it? A script of that name has it as its name too, but its shell as its program.
    pub fn runs(&self, program: &str) -> bool {
        let exe = self.exe.rsplit('/').next().unwrap_or_default();
        self.comm == program && (exe.is_empty() || exe.starts_with(program))
    }
    /// Halted by a signal or a debugger.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "T" | "t")
    }
    pub fn display(&self) -> String {
        let exe = if self.exe.is_empty() { String::new() } else { format!(" ({})", self.exe) };
        let unit = match (&self.container, &self.unit) {
            (Some(id), _) => format!(" in container {id}"),
            (None, Some(unit)) => format!(" of {unit}"),
            (None, None) => String::new(),
        };
        format!("{} pid {}{exe}{unit}", self.comm, self.pid)
    }
}

/// A file that was deleted while a process has it open: its space stays taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedFile {
    pub pid: u32,
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// What the open files of all processes say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenFiles {
    /// Socket inode → processes that hold it.
    pub owners: BTreeMap<u64, BTreeSet<u32>>,
    pub deleted: Vec<DeletedFile>,
    /// Every process could be looked into, in time.
    pub complete: bool,
}

/// Numbers of all processes.
pub fn pids(root: &Root) -> Vec<u32> {
    let Ok(dir) = std::fs::read_dir(root.real(Path::new("/proc"))) else { return Vec::new() };
    let mut pids: Vec<u32> = dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Name of a process; `None` when it is gone.
pub fn comm(root: &Root, pid: u32) -> Option<String> {
    let text = std::fs::read(root.real(&proc(pid, "comm"))).ok()?;
    Some(String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(&text)).into_owned())
}

/// One process; `None` when it is gone.
pub fn process(root: &Root, pid: u32) -> Option<Process> {
    let read = |name: &str| std::fs::read(root.real(&proc(pid, name))).ok();
    let link = |name: &str| std::fs::read_link(root.real(&proc(pid, name))).ok();
    let mut p = Process { pid, ..Process::default() };
    parse_stat(&mut p, &read("stat")?)?;
    parse_status(&mut p, &read("status")?);
    p.exe = link("exe").map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    p.cmdline = parse_cmdline(&read("cmdline").unwrap_or_default());
    (p.unit, p.container) = parse_cgroup(&read("cgroup").unwrap_or_default());
    if p.container.is_some() {
        let own = std::fs::read(root.real(Path::new("/proc/self/cgroup"))).unwrap_or_default();
        p.container = p.container.filter(|id| parse_cgroup(&own).1.as_ref() != Some(id));
    }
    let own = std::fs::read_link(root.real(Path::new("/proc/self/ns/net"))).ok();
    p.same_net = link("ns/net").zip(own).map(|(a, b)| a == b);
    p.chroot = link("root").filter(|r| r != Path::new("/")).map(|r| r.to_string_lossy().into_owned());
    p.open_files = std::fs::read_dir(root.real(&proc(pid, "fd"))).ok().map(|dir| dir.count() as u64);
    let limits = read("limits").unwrap_or_default();
    p.most_open_files = soft_limit(&limits, "Max open files");
    p.address_space = vm_size(&read("status").unwrap_or_default()).zip(soft_limit(&limits, "Max address space"));
    Some(p)
}

/// Looks through the open files of all processes for the given socket inodes and for deleted files of at least
/// `min_size` bytes, for at most `limit`.
pub fn open_files(root: &Root, clock: &dyn Clock, wanted: &BTreeSet<u64>, min_size: u64, limit: Duration) -> OpenFiles {
    let end = clock.monotonic() + limit;
    let mut found = OpenFiles { complete: true, ..OpenFiles::default() };
    for pid in pids(root) {
        if clock.monotonic() > end {
            found.complete = false;
            break;
        }
        let dir = match std::fs::read_dir(root.real(&proc(pid, "fd"))) {
            Ok(dir) => dir,
            Err(e) => {
                found.complete &= e.kind() == std::io::ErrorKind::NotFound;
                continue;
            }
        };
        for entry in dir.flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let target = target.as_os_str().as_bytes();
            if let Some(inode) = socket_inode(target).filter(|i| wanted.contains(i)) {
                found.owners.entry(inode).or_default().insert(pid);
            } else if let Some(path) = target.strip_suffix(b" (deleted)").filter(|p| is_file_path(p)) {
                let Ok(meta) = std::fs::metadata(entry.path()) else { continue };
                if meta.is_file() && meta.len() >= min_size {
                    let path = String::from_utf8_lossy(path).into_owned();
                    found.deleted.push(DeletedFile { pid, path, size: meta.len() });
                }
            }
        }
    }
    found.deleted.sort_by(|a, b| (&a.path, a.pid).cmp(&(&b.path, b.pid)));
    found
}

fn proc(pid: u32, name: &str) -> std::path::PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

/// `socket:[4711]`
fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Memory files and the like have no place on a disk.
fn is_file_path(path: &[u8]) -> bool {
    path.starts_with(b"/") && !path.starts_with(b"/memfd:") && !path.starts_with(b"/dev/") && path != b"/SYSV00000000"
}

/// `pid (comm) state ppid …`; the name may hold blanks and brackets, so the last `)` ends it.
fn parse_stat(p: &mut Process, text: &[u8]) -> Option<()> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    p.comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    p.state = (*fields.first()?).to_owned();
    p.ppid = fields.get(1)?.parse().ok()?;
    // Field 22 of the whole line; state is its third.
    p.start_ticks = fields.get(19)?.parse().ok()?;
    Some(())
}

fn parse_status(p: &mut Process, text: &[u8]) {
    for line in String::from_utf8_lossy(text).lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let mut words = value.split_ascii_whitespace();
        // Uid and Gid: real, effective, saved, file system.
        let mut effective = || words.nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
        let mask = || u64::from_str_radix(value.trim(), 16).unwrap_or_default();
        match key {
            "Uid" => p.uid = effective(),
            "Gid" => p.gid = effective(),
            "Groups" => p.groups = value.split_ascii_whitespace().filter_map(|g| g.parse().ok()).collect(),
            "CapEff" => p.cap_effective = mask(),
            "CapBnd" => p.cap_bounding = mask(),
            _ => {}
        }
    }
}

fn parse_cmdline(text: &[u8]) -> Vec<String> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// `Max open files            1024                 524288               files`; `None`: unlimited.
fn soft_limit(text: &[u8], name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    let rest = text.lines().find_map(|l| l.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// `VmSize:   224996 kB`, in bytes.
fn vm_size(status: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let rest = text.lines().find_map(|l| l.strip_prefix("VmSize:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The systemd unit and the container of a control group, from any of the hierarchies. Container engines put a 64-digit
/// hexadecimal id into the path, bare or as `docker-ID.scope`.
fn parse_cgroup(text: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(text);
    let parts = || text.lines().filter_map(|l| l.splitn(3, ':').nth(2)).flat_map(|p| p.split('/'));
    let container = parts().find_map(container_id);
    let unit = parts().rfind(|p| [".service", ".socket"].iter().any(|end| p.ends_with(end)));
    (unit.map(str::to_owned), container)
}

fn container_id(part: &str) -> Option<String> {
    let id = part.strip_suffix(".scope").unwrap_or(part);
    let id = id.rsplit_once('-').map_or(id, |(_, id)| id);
    let hex = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| id.chars().take(12).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::SystemClock;

    #[test]
    fn a_name_with_brackets_does_not_break_the_fields() {
        let mut p = Process::default();
        let stat = b"42 (a) b (c) T 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 4 0 98765 1 2";
        assert_eq!(parse_stat(&mut p, stat), Some(()));
        assert_eq!((p.comm.as_str(), p.ppid, p.start_ticks), ("a) b (c", 1, 98765));
        assert!(p.is_stopped() && !p.is_zombie());
        assert_eq!(parse_stat(&mut Process::default(), b"42 (a"), None);
        assert_eq!(parse_stat(&mut Process::default(), b")("), None);
    }

    #[test]
    fn effective_ids_groups_and_capabilities() {
        let mut p = Process::default();
        parse_status(
            &mut p,
            b"Name:\trsyslogd\nUid:\t0\t104\t104\t104\nGid:\t0\t110\t110\t110\nGroups:\t4 5 \nCapEff:\t0000000400000000\nCapBnd:\t000001ffffffffff\n",
        );
        assert_eq!((p.uid, p.gid, p.groups), (104, 110, vec![4, 5]));
        assert_eq!((p.cap_effective, p.cap_bounding), (0x4_0000_0000, 0x1ff_ffff_ffff));
    }

    #[test]
    fn limit_of_open_files() {
        let text = b"Limit                     Soft Limit           Hard Limit           Units     \nMax open files            16                   524288               files     \n";
        let files = |text: &[u8]| soft_limit(text, "Max open files");
        assert_eq!(files(text), Some(16));
        assert_eq!(files(b"Max open files unlimited unlimited files"), None);
        assert_eq!(files(b"\xff"), None);
        assert_eq!(vm_size(b"Name:\tx\nVmSize:\t  224996 kB\n"), Some(224_996 << 10));
        assert_eq!(vm_size(b"\xff"), None);
    }

    #[test]
    fn unit_and_container_of_a_control_group() {
        let id = "4c01db0b339c4d5a8f4e3c0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445";
        let of = |s: &str| parse_cgroup(s.as_bytes());
        assert_eq!(of("0::/system.slice/rsyslog.service\n"), (Some("rsyslog.service".into()), None));
        assert_eq!(of(&format!("0::/system.slice/docker-{id}.scope\n")), (None, Some("4c01db0b339c".into())));
        assert_eq!(of(&format!("4:cpu:/docker/{id}\n")), (None, Some("4c01db0b339c".into())));
        assert_eq!(
            of("1:name=systemd:/user.slice/user@0.service/app.slice/x.service\n0::/\n"),
            (Some("x.service".into()), None)
        );
        assert_eq!(of("\u{fffd}::"), (None, None));
    }

    #[test]
    fn a_file_that_is_no_file_on_disk_is_not_a_deleted_log() {
        assert!(is_file_path(b"/var/log/syslog.1") && !is_file_path(b"/memfd:x") && !is_file_path(b"anon_inode:x"));
        assert_eq!(socket_inode(b"socket:[12]"), Some(12));
        assert_eq!(socket_inode(b"socket:[x]"), None);
    }

    #[test]
    fn finds_its_own_socket_and_its_own_deleted_file() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let root = Root::default();
        let sock = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", sock.as_raw_fd())).unwrap();
        let inode = socket_inode(link.as_os_str().as_bytes()).unwrap();
        let mut gone = tempfile::NamedTempFile::new().unwrap();
        gone.write_all(&[0; 5000]).unwrap();
        let path = gone.path().to_owned();
        std::fs::remove_file(&path).unwrap();
        let found = open_files(&root, &SystemClock::default(), &BTreeSet::from([inode]), 4096, Duration::from_secs(20));
        let me = std::process::id();
        assert!(found.owners[&inode].contains(&me));
        assert!(found.deleted.iter().any(|d| d.pid == me && d.size == 5000 && Path::new(&d.path) == path));
        let p = process(&root, me).unwrap();
        assert_eq!(p.same_net, Some(true));
        assert!(p.open_files.unwrap() >= 3 && p.most_open_files.unwrap() >= p.open_files.unwrap());
        assert!(!p.exe.is_empty() && !p.cmdline.is_empty() && !p.is_stopped());
        assert_eq!(process(&root, u32::MAX), None);
    }

    #[test]
    fn nothing_to_see_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        assert_eq!(pids(&root), Vec::<u32>::new());
        let found = open_files(&root, &SystemClock::default(), &BTreeSet::new(), 0, Duration::from_secs(1));
        assert_eq!(found, OpenFiles { complete: true, ..OpenFiles::default() });
    }
}
