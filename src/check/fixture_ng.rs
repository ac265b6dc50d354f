//! The same as `fixture`, for a collector with syslog-ng: Debian's own files and the drop-in that `install` writes.

use std::path::Path;

use super::facts::*;
use super::fixture::*;
use crate::host::proc_net::{SocketState, Transport};
use crate::host::{Exit, FileKind};
use crate::platform::access::Step;
use crate::syslog::MapSource;
use crate::syslog::syslogng::Effective;
use crate::syslog::syslogng::effective::ReadSetting;
use crate::syslog::syslogng::render::{Stack, Wanted, render};
use crate::syslog::syslogng::version::Program;

pub const NG_MAIN: &str = include_str!("../../fixtures/syslog-ng/trees/debian/etc/syslog-ng/syslog-ng.conf");
pub const NG_DROP_IN: &str = "/etc/syslog-ng/conf.d/cefctl.conf";
const SCL: &str = "/etc/syslog-ng/scl.conf";

pub fn program() -> Program {
    Program::parse(include_bytes!("../../fixtures/syslog-ng/version/3.38")).unwrap()
}

/// The drop-in as it is written for Debian's own configuration.
pub fn ng_drop_in() -> String {
    let source = MapSource::new().with(SYSLOG_NG_CONF, NG_MAIN).with(SCL, "");
    let main = Path::new(SYSLOG_NG_CONF);
    let config = Effective::load_with(main, &source, ReadSetting::of(main, &program()));
    let wanted = Wanted { stack: Stack::Dual, ..Wanted::default() };
    render(&config, &program(), &wanted).unwrap().text
}

/// A Debian 12 collector with syslog-ng on which everything is as it should be.
pub fn ng_healthy() -> Facts {
    let mut facts = healthy();
    facts.rsyslog = DaemonFacts::unknown(RSYSLOG_CONF);
    facts.units = Ok(units(&[(
        "syslog-ng.service",
        "ActiveState=active\nSubState=running\nMainPID=47\nUnitFileState=enabled\nNRestarts=0\nResult=success\n",
    )]));
    let process = facts.processes.get_mut(&DAEMON).unwrap();
    process.comm = "syslog-ng".into();
    process.exe = "/usr/sbin/syslog-ng".into();
    process.unit = Some("syslog-ng.service".into());
    facts.syslog_ng = DaemonFacts {
        program: Some("/usr/sbin/syslog-ng".into()),
        version: Some("3.38.1".into()),
        pid: Some(DAEMON),
        validation: Ok(ng_validation(0, "")),
        own_lines: Ok(Vec::new()),
        spools: vec![Spool {
            link: false,
            path: SYSLOG_NG_STATE.into(),
            real: SYSLOG_NG_STATE.into(),
            walk: folders(&["/", "/var", "/var/lib", SYSLOG_NG_STATE]),
            files: Ok(Vec::new()),
            read: Default::default(),
            space: None,
        }],
        mounts: Ok(vec![disk()]),
        drop_in_folder: Ok(Vec::new()),
        ..DaemonFacts::unknown(SYSLOG_NG_CONF)
    };
    facts.syslog_ng_says = SyslogNgSays {
        about: Ok(program()),
        state: SYSLOG_NG_STATE.into(),
        control: Some("/var/lib/syslog-ng/syslog-ng.ctl".into()),
        stats: Ok(Bytes(b"SourceName;SourceId;SourceInstance;State;Type;Number\n".to_vec())),
        loaded: Ok(Loaded { same: true, ..Loaded::default() }),
    };
    ng_set_config(&mut facts, &[(SYSLOG_NG_CONF, NG_MAIN), (SCL, ""), (NG_DROP_IN, &ng_drop_in())]);
    sockets(&mut facts).retain(|s| s.local.port() != 514);
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut socket = socket(transport, "[::]:514", DAEMON);
        socket.v6only = Some(false);
        sockets(&mut facts).push(socket);
    }
    facts
}

/// What `syslog-ng --syntax-only` says.
pub fn ng_validation(code: i32, text: &str) -> Validation {
    Validation { exit: Exit::Code(code), stderr: Bytes(text.as_bytes().to_vec()) }
}

/// Replaces the whole configuration. Files of conf.d are what its wildcard include finds.
pub fn ng_set_config(facts: &mut Facts, files: &[(&str, &str)]) {
    let mut config = ConfigFiles::default();
    let mut drop_ins = Vec::new();
    for (path, text) in files {
        let mut walk = folders(&["/", "/etc", "/etc/syslog-ng"]);
        if path.starts_with("/etc/syslog-ng/conf.d/") {
            walk.extend(folders(&["/etc/syslog-ng/conf.d"]));
            drop_ins.push(DropIn { path: path.to_string(), real: path.to_string(), kind: Some(FileKind::File) });
        }
        let kind = FileKind::File;
        walk.push(Step { path: path.to_string(), kind, mode: 0o644, uid: 0, gid: 0, immutable: false, acl: None });
        let content = Ok(Bytes(text.as_bytes().to_vec()));
        let file = ConfigFile { content, kind: Some(kind), mtime: Some(900_000), walk };
        config.files.insert(path.to_string(), file);
    }
    drop_ins.sort_by(|a, b| a.path.cmp(&b.path));
    let read = drop_ins.iter().map(|d| d.path.clone()).filter(|p| p.ends_with(".conf")).collect();
    config.globs.insert("/etc/syslog-ng/conf.d/*.conf".into(), read);
    facts.syslog_ng.config = config;
    facts.syslog_ng.drop_in_folder = Ok(drop_ins);
}

/// Adds files to the healthy configuration, or replaces them.
pub fn ng_with_files(more: &[(&str, &str)]) -> Facts {
    let mut facts = ng_healthy();
    let drop_in = ng_drop_in();
    let mut files = vec![(SYSLOG_NG_CONF, NG_MAIN), (SCL, ""), (NG_DROP_IN, drop_in.as_str())];
    files.retain(|(path, _)| !more.iter().any(|(other, _)| other == path));
    files.extend(more);
    ng_set_config(&mut facts, &files);
    facts
}

/// Replaces the collector's drop-in by this one.
pub fn ng_with_drop_in(text: &str) -> Facts {
    ng_with_files(&[(NG_DROP_IN, text)])
}

/// The collector's drop-in with something in it changed.
pub fn ng_with(from: &str, to: &str) -> Facts {
    let text = ng_drop_in();
    assert!(text.contains(from), "{from} is not in {text}");
    ng_with_drop_in(&text.replace(from, to))
}

/// Everything but the two transports and the agent's socket is open; the daemon is connected.
pub fn ng_disconnect(facts: &mut Facts) {
    sockets(facts).retain(|s| s.state != SocketState::Established);
}
