//! Facts of made-up boxes for the tests of the checks: one that is healthy, and the means to break it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::case::{Case, read_config};
use super::facts::*;
use super::outcome::{Judged, Outcome};
use super::target::Target;
use crate::host::proc_mount::Mount;
use crate::host::proc_net::{Socket, SocketState, Transport};
use crate::host::proc_process::Process;
use crate::host::{Exit, FileKind, FsSpace};
use crate::platform::access::Step;
use crate::platform::os_release::OsRelease;
use crate::platform::service;

pub const MAIN: &str = include_str!("../../fixtures/checks/debian12-rsyslog.conf");
pub const DROP_IN: &str = include_str!("../../fixtures/checks/collector.conf");
pub const DROP_IN_PATH: &str = "/etc/rsyslog.d/20-collector.conf";
pub const DAEMON: u32 = 47;
pub const AGENT: u32 = 60;

/// A Debian 12 collector on which everything is as it should be.
pub fn healthy() -> Facts {
    let os = OsRelease::parse(b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
    let root = |pid, comm: &str, exe: &str| Process {
        pid,
        ppid: 1,
        comm: comm.into(),
        exe: exe.into(),
        state: "S".into(),
        cap_effective: u64::MAX,
        cap_bounding: u64::MAX,
        unit: Some(format!("{comm}.service")),
        same_net: Some(true),
        ..Process::default()
    };
    let space = FsSpace {
        total: 200 << 30,
        available: 100 << 30,
        inodes: 1 << 22,
        inodes_available: 1 << 21,
        read_only: false,
    };
    let mut facts = Facts {
        taken: 2_000_000,
        disks: vec![DiskFacts { folders: vec!["/var/log".into(), "/etc".into()], space: space.clone() }],
        units: Ok(units(&[(
            "rsyslog.service",
            "ActiveState=active\nSubState=running\nMainPID=47\nUnitFileState=enabled\nNRestarts=0\n",
        )])),
        net: Ok(NetFacts { sockets: Vec::new(), owners_complete: true }),
        processes: BTreeMap::from([
            (DAEMON, root(DAEMON, "rsyslogd", "/usr/sbin/rsyslogd")),
            (AGENT, root(AGENT, "agent", "/usr/bin/agent")),
        ]),
        receipt: Ok(None),
        ..Facts::default()
    };
    facts.host.os = Ok(os);
    facts.host.arch = "x86_64".into();
    facts.host.systemd = true;
    facts.host.ipv6 = true;
    facts.host.live = true;
    facts.clock.synchronized = Some(true);
    facts.rsyslog = DaemonFacts {
        program: Some("/usr/sbin/rsyslogd".into()),
        version: Some("8.2302.0".into()),
        pid: Some(DAEMON),
        validation: Ok(validation(0, &[])),
        own_lines: Ok(Vec::new()),
        spools: vec![Spool {
            path: "/var/spool/rsyslog".into(),
            real: "/var/spool/rsyslog".into(),
            walk: folders(&["/", "/var", "/var/spool", "/var/spool/rsyslog"]),
            files: Ok(Vec::new()),
            space: Some(space),
        }],
        mounts: Ok(vec![Mount { point: "/".into(), fs_type: "ext4".into(), read_only: false, noexec: false }]),
        drop_in_folder: Ok(Vec::new()),
        ..DaemonFacts::unknown(RSYSLOG_CONF)
    };
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, DROP_IN)]);
    for local in ["0.0.0.0:514", "[::]:514"] {
        add_socket(&mut facts, Transport::Udp, local, DAEMON);
        add_socket(&mut facts, Transport::Tcp, local, DAEMON);
    }
    add_socket(&mut facts, Transport::Tcp, "127.0.0.1:25226", AGENT);
    let mut connection = socket(Transport::Tcp, "127.0.0.1:40000", DAEMON);
    connection.state = SocketState::Established;
    connection.remote = "127.0.0.1:25226".parse().unwrap();
    sockets(&mut facts).push(connection);
    facts
}

/// Units by name; `lines` are properties as systemd shows them.
pub fn units(units: &[(&str, &str)]) -> BTreeMap<String, UnitFacts> {
    let unit = |(name, lines): &(&str, &str)| {
        let state = service::parse_show(format!("Id={name}\nLoadState=loaded\n{lines}").as_bytes());
        let unit = UnitFacts {
            state,
            since: Some(1_000_000),
            invocation: "i".into(),
            freezer: "running".into(),
            exec_status: Some(0),
            user: String::new(),
            exec_start: "/usr/sbin/rsyslogd -n -iNONE".into(),
        };
        (name.to_string(), unit)
    };
    units.iter().map(unit).collect()
}

/// Folders that root owns and everybody may pass.
pub fn folders(paths: &[&str]) -> Vec<Step> {
    let step = |p: &&str| Step {
        path: p.to_string(),
        kind: FileKind::Dir,
        mode: 0o755,
        uid: 0,
        gid: 0,
        immutable: false,
        acl: None,
    };
    paths.iter().map(step).collect()
}

/// What `rsyslogd -N1` says: its first line, then these.
pub fn validation(code: i32, messages: &[&str]) -> Validation {
    let mut text =
        String::from("rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/rsyslog.conf\n");
    messages.iter().for_each(|m| text.push_str(&format!("rsyslogd: {m}\n")));
    if code == 0 {
        text.push_str("rsyslogd: End of config validation run. Bye.\n");
    }
    Validation { exit: Exit::Code(code), stderr: Bytes(text.into_bytes()) }
}

/// Replaces the whole configuration. Files of /etc/rsyslog.d are what its wildcard include finds.
pub fn set_config(facts: &mut Facts, files: &[(&str, &str)]) {
    let mut config = ConfigFiles::default();
    let mut drop_ins = Vec::new();
    for (path, text) in files {
        let mut walk = folders(&["/", "/etc"]);
        if path.starts_with("/etc/rsyslog.d/") {
            walk.extend(folders(&["/etc/rsyslog.d"]));
            let kind = Some(FileKind::File);
            drop_ins.push(DropIn { path: path.to_string(), real: path.to_string(), kind });
        }
        walk.push(Step {
            path: path.to_string(),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            immutable: false,
            acl: None,
        });
        let content = Ok(Bytes(text.as_bytes().to_vec()));
        config
            .files
            .insert(path.to_string(), ConfigFile { content, kind: Some(FileKind::File), mtime: Some(900_000), walk });
    }
    drop_ins.sort_by(|a, b| a.path.cmp(&b.path));
    let read = drop_ins.iter().map(|d| d.path.clone()).filter(|p| p.ends_with(".conf")).collect();
    config.globs.insert("/etc/rsyslog.d/*.conf".into(), read);
    facts.rsyslog.config = config;
    facts.rsyslog.drop_in_folder = Ok(drop_ins);
}

/// Replaces the collector's drop-in by this one.
pub fn with_drop_in(text: &str) -> Facts {
    let mut facts = healthy();
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, text)]);
    facts
}

/// Adds files to the healthy configuration.
pub fn with_files(more: &[(&str, &str)]) -> Facts {
    let mut facts = healthy();
    let mut files = vec![("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, DROP_IN)];
    files.extend(more);
    set_config(&mut facts, &files);
    facts
}

pub fn sockets(facts: &mut Facts) -> &mut Vec<Socket> {
    &mut facts.net.as_mut().unwrap().sockets
}

/// An open socket of one process.
pub fn socket(transport: Transport, local: &str, pid: u32) -> Socket {
    let local: SocketAddr = local.parse().unwrap();
    Socket {
        transport,
        local,
        remote: if local.is_ipv4() { "0.0.0.0:0".parse().unwrap() } else { "[::]:0".parse().unwrap() },
        state: if transport == Transport::Tcp { SocketState::Listen } else { SocketState::Unconnected },
        recv_queue: 0,
        send_queue: 0,
        uid: 0,
        inode: 1,
        drops: (transport == Transport::Udp).then_some(0),
        v6only: local.is_ipv6().then_some(true),
        recv_buffer: Some(16 << 20),
        owners: vec![pid],
    }
}

pub fn add_socket(facts: &mut Facts, transport: Transport, local: &str, pid: u32) {
    sockets(facts).push(socket(transport, local, pid));
}

/// Takes away the open sockets of one kind that `which` names by address.
pub fn close(facts: &mut Facts, transport: Transport, which: impl Fn(&SocketAddr) -> bool) {
    sockets(facts).retain(|s| !(s.transport == transport && s.is_open() && which(&s.local)));
}

/// Judges one check of a box.
pub fn judge_for(check: fn(&Case<'_>) -> Judged, facts: &Facts, target: &Target) -> Outcome {
    let config = read_config(facts);
    check(&Case::new(facts, target, &config)).unwrap_or_else(Outcome::from)
}

/// As [`judge_for`] with the target that follows from the facts.
pub fn judge(check: fn(&Case<'_>) -> Judged, facts: &Facts) -> Outcome {
    judge_for(check, facts, &Target::resolve(&Default::default(), facts))
}
