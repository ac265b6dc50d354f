use super::*;
use crate::check::facts::{NetFacts, SizedFile, Spool};
use crate::check::target::Target;
use crate::host::FsSpace;
use crate::host::proc_process::DeletedFile;
use crate::platform::os_release::OsRelease;
use crate::report::Status;

fn judge(f: fn(&Case<'_>) -> Judged, facts: &Facts, agent: AgentKind) -> Outcome {
    let target = Target { agent, ..Target::default() };
    crate::check::fixture::judge_for(f, facts, &target)
}

fn disk_of(available: u64, total: u64, inodes: (u64, u64), read_only: bool, folders: &[&str]) -> DiskFacts {
    let space = FsSpace { total, available, inodes: inodes.1, inodes_available: inodes.0, read_only };
    DiskFacts { folders: folders.iter().map(|f| f.to_string()).collect(), space }
}

fn with_disk(disk: DiskFacts) -> Facts {
    Facts { disks: vec![disk], ..Facts::default() }
}

#[test]
fn privileges_need_root_and_a_full_view() {
    let mut facts = Facts { net: Ok(NetFacts { owners_complete: true, ..NetFacts::default() }), ..Facts::default() };
    assert_eq!(judge(privileges, &facts, AgentKind::None).status, Status::Pass);
    facts.net = Ok(NetFacts::default());
    assert_eq!(judge(privileges, &facts, AgentKind::None).status, Status::Unknown);
    facts.host.euid = 1000;
    let o = judge(privileges, &facts, AgentKind::None);
    assert_eq!(o.status, Status::Unknown);
    assert_eq!(o.advice.unwrap().commands, ["sudo cefctl troubleshoot"]);
}

#[test]
fn os_is_measured_against_the_agent() {
    let os = |id: &str, version: &str| OsRelease { id: id.into(), version_id: version.into(), ..OsRelease::default() };
    let mut facts = Facts::default();
    assert_eq!(judge(super::os, &facts, AgentKind::None).status, Status::Unknown);
    facts.host.os = Ok(os("gentoo", ""));
    facts.host.arch = "riscv64".into();
    assert_eq!(judge(super::os, &facts, AgentKind::None).status, Status::Pass);
    assert_eq!(judge(super::os, &facts, AgentKind::Ama).status, Status::Fail);
    assert_eq!(judge(super::os, &facts, AgentKind::Oms).status, Status::Fail);
    facts.host.arch = "x86_64".into();
    assert_eq!(judge(super::os, &facts, AgentKind::Ama).status, Status::Warn);
    facts.host.os = Ok(os("debian", "12"));
    assert_eq!(judge(super::os, &facts, AgentKind::Ama).status, Status::Pass);
    facts.host.openssl = Some("OpenSSL 3.0.15 3 Sep 2024".into());
    assert_eq!(judge(super::os, &facts, AgentKind::Oms).status, Status::Pass);
    facts.host.openssl = Some("OpenSSL 3.2.2 4 Jun 2024".into());
    assert_eq!(judge(super::os, &facts, AgentKind::Oms).status, Status::Warn);
}

#[test]
fn a_full_file_system_that_is_written_to_is_a_failure() {
    let fs = |a, t, i, ro, f: &[&str]| judge(disk, &with_disk(disk_of(a, t, i, ro, f)), AgentKind::None).status;
    let many = (1 << 20, 1 << 21);
    assert_eq!(fs(100 * GIB, 200 * GIB, many, false, &["/var/log"]), Status::Pass);
    assert_eq!(fs(0, 200 * GIB, many, false, &["/var/log"]), Status::Fail);
    assert_eq!(fs(100 * GIB, 200 * GIB, (3, 1 << 20), false, &["/var/log"]), Status::Fail);
    assert_eq!(fs(100 * GIB, 200 * GIB, many, true, &["/var/log"]), Status::Warn);
    // A read-only /etc is how image-based systems are made; a full one stops no event.
    assert_eq!(fs(0, GIB, many, true, &["/etc"]), Status::Pass);
    assert_eq!(fs(0, GIB, many, false, &["/etc"]), Status::Warn);
    assert_eq!(fs(GIB, 200 * GIB, many, false, &["/var/log"]), Status::Warn);
    assert_eq!(fs(900 * MIB, 2 * GIB, many, false, &["/var/log"]), Status::Pass);
    assert_eq!(fs(100 * GIB, 200 * GIB, (100_000, 1 << 22), false, &["/var/log"]), Status::Warn);
    // File systems without a fixed number of inodes say zero.
    assert_eq!(fs(100 * GIB, 200 * GIB, (0, 0), false, &["/var/log"]), Status::Pass);
}

#[test]
fn the_spool_counts_as_written_to() {
    let mut facts = with_disk(disk_of(0, GIB, (0, 0), false, &["/data/spool"]));
    facts.rsyslog.spools = vec![Spool {
        link: false,
        path: "/data/spool".into(),
        real: "/data/spool".into(),
        walk: Vec::new(),
        files: Ok(Vec::new()),
        read: Default::default(),
        space: None,
    }];
    assert_eq!(judge(disk, &facts, AgentKind::None).status, Status::Fail);
}

#[test]
fn growth_and_deleted_files_warn_with_the_largest_writers() {
    let mut facts = with_disk(disk_of(100 * GIB, 200 * GIB, (0, 0), false, &["/var/log"]));
    facts.logs.growth = Some(GIB);
    assert_eq!(judge(disk, &facts, AgentKind::None).status, Status::Pass);
    facts.logs.growth = Some(5 * GIB);
    facts.logs.largest = vec![SizedFile { path: "/var/log/syslog".into(), size: 60 * GIB }];
    let o = judge(disk, &facts, AgentKind::None);
    assert_eq!(o.status, Status::Warn);
    assert!(o.summary.contains("full in 20 hours"), "{}", o.summary);
    assert!(o.evidence.iter().any(|e| e.source == "/var/log/syslog" && e.text == "60.0 GiB"));
    facts.logs.growth = None;
    facts.logs.deleted = vec![DeletedFile { pid: 5, path: "/var/log/syslog.1".into(), size: 30 * GIB }];
    let o = judge(disk, &facts, AgentKind::None);
    assert_eq!(o.status, Status::Warn);
    assert!(o.evidence.iter().any(|e| e.text == "/var/log/syslog.1 30.0 GiB"), "{:?}", o.evidence);
    facts.disks.clear();
    assert_eq!(judge(disk, &facts, AgentKind::None).status, Status::Unknown);
}
