//! The Azure Monitor Agent: installed, its identity, its rules, and how the daemon hands events over.

use super::*;
use crate::agent::ama::files::PLACES;
use crate::agent::ama::{DaemonFile, SocketState};

#[test]
fn ama_as_a_whole() {
    let asked = TargetOptions { agent: Some(AgentKind::Ama), ..TargetOptions::default() };
    let missing = with(&bare_box(), &asked);
    assert_eq!(missing.iter().find(|c| c.status == Status::Fail).map(|c| c.id.as_str()), Some("ama.installed"));
    is(&ama_with(|f| ama(f).packages = package("1.33.1", "unpacked")), "ama.installed", Status::Fail, "unpacked");
    let full =
        Mount { point: "/var".into(), fs_type: "ext4".into(), read_only: true, noexec: false, ..Mount::default() };
    is(&ama_with(|f| f.agent_states.mounts = Ok(vec![full])), "ama.installed", Status::Fail, "read-only");
    let noexec =
        Mount { point: "/var".into(), fs_type: "ext4".into(), read_only: false, noexec: true, ..Mount::default() };
    is(&ama_with(|f| f.agent_states.mounts = Ok(vec![noexec])), "ama.installed", Status::Warn, "noexec");
    for (version, status) in [
        ("1.33.1-b", Status::Pass),
        ("1.28.10", Status::Warn),
        ("1.41.0", Status::Warn),
        ("1.10.7", Status::Fail),
        ("?", Status::Unknown),
    ] {
        is(&ama_with(|f| ama(f).packages = package(version, "installed")), "ama.version", status, "");
    }
    is(&ama_with(|f| ama(f).packages = Packages::default()), "ama.version", Status::Unknown, "neither");
    is(
        &ama_with(|f| {
            (ama(f).packages, ama(f).said_version) = (Packages::default(), Some(("1.12.0".into(), "mdsd -V".into())))
        }),
        "ama.version",
        Status::Fail,
        "CEF",
    );
}

#[test]
fn ama_identity() {
    is(&ama_with(|f| ama(f).azure.clear()), "ama.identity", Status::Pass, "got its rules");
    let nobody = ama_with(|f| {
        ama(f).azure.clear();
        ama(f).own.chunks = None;
    });
    is(&nobody, "ama.identity", Status::Warn, "may have no identity");
    assert_eq!(root(&nobody).as_deref(), Some("ama.dcr-present"));
    let arc = |himdsd: &str, group: Option<bool>, connected: bool| {
        ama_with(|f| {
            ama(f).arc = vec!["/opt/azcmagent/bin/azcmagent".into()];
            ama(f).arc.extend(connected.then(|| crate::agent::ama::paths::ARC_CONF.into()));
            ama(f).in_arc_group = group;
            unit(f, "himdsd.service", himdsd);
        })
    };
    is(&arc("ActiveState=active\n", Some(true), true), "ama.identity", Status::Pass, "Arc");
    is(&arc("ActiveState=failed\n", Some(true), true), "ama.identity", Status::Fail, "does not run");
    is(&arc("ActiveState=active\n", Some(false), true), "ama.identity", Status::Fail, "himds");
    is(&arc("ActiveState=active\n", None, true), "ama.identity", Status::Unknown, "no group");
    is(&arc("ActiveState=active\n", Some(true), false), "ama.identity", Status::Warn, "not connected");
    let no_service = ama_with(|f| ama(f).arc = vec!["/usr/bin/azcmagent".into()]);
    is(&no_service, "ama.identity", Status::Fail, "no such unit");
}

fn rules(texts: &[String]) -> Facts {
    let files = texts.iter().enumerate().map(|(n, t)| chunk(&format!("{n}.json"), t.clone())).collect();
    ama_with(|f| ama(f).own.chunks = Some(Ok(files)))
}

#[test]
fn ama_rules() {
    let levels = ["Warning", "Error"];
    let settings = r#"{"dataSources":[{"kind":"AgentSettings","configuration":{}}]}"#.to_owned();
    let syslog = rule("LINUX_SYSLOGS_BLOB", &["auth", "local4"], &levels, WORKSPACE);
    let none = ama_with(|f| ama(f).own.chunks = None);
    is(&none, "ama.dcr-present", Status::Fail, "no data collection rule");
    assert_eq!(root(&none).as_deref(), Some("ama.dcr-present"));
    assert_eq!(of(&none, "forward.rule").blocked_by.as_deref(), Some("ama.dcr-present"));
    is(&rules(std::slice::from_ref(&settings)), "ama.dcr-present", Status::Fail, "only the agent's own settings");
    is(&ama_with(|f| ama(f).own.chunks = Some(Err("may not".into()))), "ama.dcr-present", Status::Unknown, "may not");
    is(&rules(&[settings, cef_rule()]), "ama.dcr-present", Status::Pass, "CEF of local4, local7 (Warning and worse)");
    is(&rules(std::slice::from_ref(&syslog)), "ama.dcr-stream", Status::Fail, "table Syslog");
    is(
        &rules(&[r#"{"dataSources":[{"kind":"perfCounter"}],"channels":[]}"#.into()]),
        "ama.dcr-stream",
        Status::Fail,
        "throws them away",
    );
    is(
        &rules(&[rule("Microsoft-CiscoAsa", &["local4"], &levels, WORKSPACE)]),
        "ama.dcr-stream",
        Status::Pass,
        "ASA and FTD is",
    );
    is(&rules(&["{".into()]), "ama.dcr-valid", Status::Fail, "no JSON");
    assert_eq!(of(&rules(&["{".into()]), "ama.forward-config").blocked_by.as_deref(), Some("ama.dcr-valid"));
    assert_eq!(of(&rules(&["{".into()]), "ama.dcr-stream").blocked_by.as_deref(), Some("ama.dcr-valid"));
    is(&rules(&[rule("SECURITY_CEF_BLOB", &[], &levels, WORKSPACE)]), "ama.dcr-valid", Status::Fail, "no facility");
    is(&rules(&[cef_rule(), syslog.clone()]), "ama.dcr-duplicate", Status::Warn, "local4");
    is(
        &rules(&[cef_rule(), rule("LINUX_SYSLOGS_BLOB", &["auth"], &levels, WORKSPACE)]),
        "ama.dcr-duplicate",
        Status::Pass,
        "",
    );
    is(&rules(&["{".into()]), "ama.dcr-duplicate", Status::Skip, "");
    is(
        &rules(&[cef_rule(), cef_rule()]),
        "ama.dcr-duplicate",
        Status::Warn,
        "two rules collect CEF of local4 and local7",
    );
    let quiet = rule("SECURITY_CEF_BLOB", &["local4"], &["Debug"], WORKSPACE);
    is(&rules(&[cef_rule(), quiet]), "ama.dcr-duplicate", Status::Pass, "");
    let far = rule("SECURITY_CEF_BLOB", &["local4"], &levels, "99999999-2222-3333-4444-555555555555");
    is(&rules(&[cef_rule(), far]), "ama.dcr-duplicate", Status::Pass, "");
    is(&rules(&[cef_rule(), "{".into()]), "ama.dcr-valid", Status::Warn, "what it should collect is missing");
    is(&rules(&[syslog.clone(), "{".into()]), "ama.dcr-valid", Status::Fail, "is not valid");
    let other = rule("SECURITY_CEF_BLOB", &["local5"], &levels, "99999999-2222-3333-4444-555555555555");
    is(&rules(&[cef_rule(), other]), "ama.dcr-multihoming", Status::Warn, "2 workspaces");
    is(&rules(&[cef_rule(), cef_rule()]), "ama.dcr-multihoming", Status::Pass, "");
    is(&rules(&["{".into()]), "ama.dcr-multihoming", Status::Skip, "");
    let asked =
        TargetOptions { workspace: Some("99999999-2222-3333-4444-555555555555".into()), ..TargetOptions::default() };
    let c = with(&ama_box(), &asked).into_iter().find(|c| c.id == "ama.dcr-multihoming").unwrap();
    assert_eq!(c.status, Status::Warn, "{}", c.summary);
}

#[test]
fn ama_hand_over() {
    let id = "ama.forward-config";
    let untold = |marker: Option<&str>, file: bool| {
        ama_with(|f| {
            ama(f).own.marker = marker.map(|m| Ok(m.into()));
            ama(f).own.files.retain(|_| file);
        })
    };
    for marker in [None, Some("false")] {
        is(&untold(marker, true), id, Status::Warn, "takes the agent's file away");
        is(&untold(marker, false), id, Status::Fail, "not told its watcher so: the daemon");
    }
    is(&untold(Some("True"), true), id, Status::Pass, "agree");
    is(&ama_with(|f| ama(f).own.marker = Some(Err("may not".into()))), id, Status::Unknown, "may not");
    let no_file = ama_with(|f| {
        ama(f).own.files.clear();
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, LISTENER)]);
    });
    is(&no_file, id, Status::Fail, "missing");
    assert_eq!(root(&no_file).as_deref(), Some(id));
    assert_eq!(of(&no_file, "forward.rule").blocked_by.as_deref(), Some(id));
    let by_hand = ama_with(|f| {
        ama(f).own.files.clear();
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, &DROP_IN.replace("25226", "28330"))]);
    });
    is(&by_hand, id, Status::Warn, "another rule");
    let known = ama_with(|f| {
        ama(f).own.files.clear();
        ama(f).packages = package("1.40.2", "installed");
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, LISTENER)]);
    });
    is(&known, id, Status::Fail, "1.40");
    let stale = ama_with(|f| {
        ama(f).own.port = Some(Ok("28331".into()));
        close(f, Transport::Tcp, |a| a.port() == 28330);
        add_socket(f, Transport::Tcp, "127.0.0.1:28331", AGENT);
    });
    is(&stale, id, Status::Fail, "takes events on 28331");
    // Nobody who listens on the port of the file: it may be anywhere.
    let unsaid = |port: Option<&str>, listens: bool| {
        ama_with(|f| {
            ama(f).own.port = port.map(|p| Ok(p.into()));
            if !listens {
                close(f, Transport::Tcp, |a| a.port() == 28330);
            }
        })
    };
    for port in [None, Some(""), Some("x")] {
        is(&unsaid(port, true), id, Status::Warn, "it is 28330, where the daemon sends them");
        is(&unsaid(port, false), id, Status::Fail, "on which port");
    }
    let misstated = ama_with(|f| ama(f).own.port = Some(Ok("31000".into())));
    is(&misstated, id, Status::Fail, "says it takes events on port 31000, but listens on 28330");
    let moved = ama_with(|f| {
        close(f, Transport::Tcp, |a| a.port() == 28330);
        add_socket(f, Transport::Tcp, "127.0.0.1:40123", AGENT);
    });
    is(&moved, id, Status::Fail, "listens on another one");
    let not_read = ama_with(|f| set_config(f, &[("/etc/rsyslog.conf", MAIN), (OMFWD, "# nothing\n")]));
    is(&not_read, id, Status::Fail, "no forward");
    let with_file = |text: &str| {
        ama_with(|f| {
            set_config(f, &[("/etc/rsyslog.conf", MAIN), (OMFWD, text), (DROP_IN_PATH, LISTENER)]);
            ama(f).own.files = vec![DaemonFile::read(OMFWD, text.as_bytes())];
        })
    };
    is(&with_file("# nothing\n"), id, Status::Fail, "does not hand events to the agent");
    is(
        &with_file(&AMA_RULE.replace("\"tcp\"", "\"udp\"")),
        id,
        Status::Fail,
        "does not forward over TCP to this machine",
    );
    let folder = ama_with(|f| {
        set_config(f, &[("/etc/rsyslog.conf", MAIN), (DROP_IN_PATH, LISTENER)]);
        let place = PLACES.into_iter().find(|p| p.path == OMFWD).unwrap();
        ama(f).own.files = vec![DaemonFile::of(&place, Err("not a regular file".into()))];
    });
    is(&folder, id, Status::Fail, "not a regular file");
    assert!(!of(&folder, id).remedy.is_some_and(|a| a.fixable));
    let beside = |socket: bool| {
        ama_with(|f| {
            let old = "/etc/rsyslog.d/10-azuremonitoragent.conf";
            ama(f).own.files.push(DaemonFile::read(old, b"$OMUxSockSocket /s\n*.* :omuxsock:\n"));
            ama(f).own.socket = SocketState { exists: socket, bound: Some(socket) };
        })
    };
    is(&beside(true), id, Status::Warn, "twice");
    is(&beside(false), id, Status::Warn, "serves nobody");
    assert!(of(&beside(false), id).remedy.is_some_and(|a| a.fixable));
    let plain = rules(&[r#"{"dataSources":[{"kind":"perfCounter"}],"channels":[]}"#.into()]);
    is(&plain, id, Status::Warn, "any more");
    let idle = ama_with(|f| {
        ama(f).own.chunks = plain.agent_states.ama.as_ref().unwrap().own.chunks.clone();
        ama(f).own.files.clear();
    });
    is(&idle, id, Status::Skip, "no rule wants syslog");
    let empty = ama_with(|f| f.rsyslog.program = None);
    assert!(of(&empty, id).status != Status::Pass || of(&empty, "daemon.present").status == Status::Pass);
}

#[test]
fn ama_over_the_unix_socket() {
    let good = ama_with(by_socket);
    is(&good, "ama.forward-config", Status::Pass, "unix socket");
    is(&good, "ama.listening", Status::Pass, "open");
    for id in ["forward.rule", "forward.target", "forward.connected", "probe.udp"] {
        is(&good, id, Status::Skip, "unix socket");
    }
    assert_eq!(root(&good), None);
    let dead = ama_with(|f| {
        by_socket(f);
        ama(f).own.socket.bound = Some(false);
    });
    is(&dead, "ama.forward-config", Status::Fail, "nobody listens");
    is(&dead, "ama.listening", Status::Fail, "unix socket");
    // Since an update it takes them on a port, and its watcher has not seen to the rest.
    let updated = ama_with(|f| {
        by_socket(f);
        ama(f).own.socket = SocketState::default();
        ama(f).own.port = Some(Ok("28330".into()));
        add_socket(f, Transport::Tcp, "127.0.0.1:28330", AGENT);
    });
    is(&updated, "ama.forward-config", Status::Fail, "the agent takes them on port 28330");
    is(&updated, "ama.listening", Status::Pass, "28330");
    assert_eq!(root(&updated).as_deref(), Some("ama.forward-config"));
    assert!(of(&updated, "ama.forward-config").remedy.is_some_and(|a| a.fixable));
    let unseen = ama_with(|f| {
        by_socket(f);
        ama(f).own.socket.bound = None;
    });
    is(&unseen, "ama.listening", Status::Unknown, "could not be seen");
    let modern = ama_with(|f| {
        by_socket(f);
        ama(f).packages = package("1.33.1", "installed");
        ama(f).own.port = Some(Ok("28330".into()));
    });
    is(&modern, "ama.forward-config", Status::Warn, "although this agent");
}
