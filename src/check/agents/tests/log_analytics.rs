//! The Log Analytics agent: installed, onboarded, its input, plugins and workspaces.

use super::*;
use crate::host::FileKind;

#[test]
fn oms_installed() {
    let asked = TargetOptions { agent: Some(AgentKind::Oms), ..TargetOptions::default() };
    let missing = with(&bare_box(), &asked);
    let by = |id: &str| missing.iter().find(|c| c.id == id).unwrap().blocked_by.clone();
    assert_eq!(missing.iter().find(|c| c.status == Status::Fail).map(|c| c.id.as_str()), Some("agent.installed"));
    assert_eq!(
        (by("agent.running").as_deref(), by("forward.connected").as_deref()),
        (Some("agent.installed"), Some("agent.installed"))
    );
    is(
        &oms_with(|f| oms(f).packages = package("1.19.0.0", "half-configured")),
        "agent.installed",
        Status::Fail,
        "half-configured",
    );
    is(&oms_with(|f| oms(f).packages = package("1.12.15-0", "installed")), "agent.installed", Status::Warn, "1.12.15");
    let gone = oms_with(|f| {
        oms(f).program = false;
        oms(f).packages = Packages(Ok(Vec::new()));
        stop(f, &oms_unit(), "LoadState=not-found\nActiveState=inactive\n");
    });
    is(&gone, "agent.installed", Status::Fail, "gone");
    is(
        &oms_with(|f| (oms(f).packages, oms(f).noted_version) = (Packages(Err("x".into())), Some("1.19.0-0".into()))),
        "agent.installed",
        Status::Pass,
        "1.19.0",
    );
    let noexec =
        Mount { point: "/opt".into(), fs_type: "xfs".into(), read_only: false, noexec: true, ..Mount::default() };
    is(&oms_with(|f| f.agent_states.mounts = Ok(vec![noexec])), "agent.installed", Status::Fail, "noexec");
}

#[test]
fn oms_onboarded() {
    let none = oms_with(|f| {
        oms(f).workspaces.clear();
        oms(f).onboard_file = true;
    });
    is(&none, "agent.onboarded", Status::Fail, "holds the key");
    assert_eq!(of(&none, "agent.running").blocked_by.as_deref(), Some("agent.onboarded"));
    is(&oms_with(|f| workspace(f).admin = None), "agent.onboarded", Status::Fail, "omsadmin.conf is missing");
    is(&oms_with(|f| workspace(f).admin = Some(Err("may not".into()))), "agent.onboarded", Status::Unknown, "may not");
    let change = |key: &str, value: Option<&str>| {
        oms_with(|f| {
            let admin = workspace(f).admin.as_mut().unwrap().as_mut().unwrap();
            match value {
                Some(value) => drop(admin.insert(key.into(), value.into())),
                None => drop(admin.remove(key)),
            }
        })
    };
    is(&change("DSC_ENDPOINT", None), "agent.onboarded", Status::Fail, "DSC_ENDPOINT missing");
    is(&change("AGENT_GUID", Some("")), "agent.onboarded", Status::Fail, "AGENT_GUID");
    is(
        &change("WORKSPACE_ID", Some("22222222-2222-3333-4444-555555555555")),
        "agent.onboarded",
        Status::Fail,
        "names workspace 2222",
    );
    is(&change("URL_TLD", Some("opinsights.azure.us")), "agent.onboarded", Status::Fail, "does not belong");
    let certificate = |change: fn(&mut Certificate)| oms_with(|f| change(&mut workspace(f).certificates[0]));
    is(&certificate(|c| c.exists = false), "agent.onboarded", Status::Fail, "missing");
    is(&certificate(|c| c.size = 0), "agent.onboarded", Status::Fail, "is empty");
    is(&certificate(|c| c.not_after = Some(NOW - 1)), "agent.onboarded", Status::Fail, "has ended");
    is(&certificate(|c| c.not_after = Some(NOW + 86_400 * 3)), "agent.onboarded", Status::Warn, "3 days");
    is(&oms_with(|f| oms(f).onboard_file = true), "agent.onboarded", Status::Warn, "left behind");
    let asked = |workspace: &str, cloud: Option<&str>| {
        let options = TargetOptions {
            workspace: Some(workspace.into()),
            cloud: cloud.map(str::to_owned),
            ..TargetOptions::default()
        };
        with(&oms_box(), &options).into_iter().find(|c| c.id == "agent.onboarded").unwrap()
    };
    assert_eq!(asked(&WORKSPACE.to_uppercase(), None).status, Status::Pass);
    assert!(asked("other", None).summary.contains("not to workspace other"));
    assert!(asked(WORKSPACE, Some("usgov")).summary.contains("cloud public, not to usgov"));
    assert_eq!(asked(WORKSPACE, Some("public")).status, Status::Pass);
}

fn input(text: &str) -> Facts {
    oms_with(|f| workspace(f).inputs[0] = input_file(WORKSPACE, text))
}

#[test]
fn oms_input() {
    let good = good_input();
    for (from, to, word) in [
        ("port 25226", "#port 25226", "no port"),
        ("port 25226", "port 0", "no port"),
        ("port 25226", "port http", "`http`"),
        ("type syslog", "type tcp", "not of type syslog"),
        ("protocol_type tcp", "", "over UDP"),
        ("protocol_type tcp", "protocol_type udp", "protocol_type udp"),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("</source>", "", "never closed"),
        ("oms.security\n", "oms.other\n", "oms.other"),
        ("filter_syslog_security", "filter_other", "filter"),
        (".*CEF.+?", ".*LEEF.+?", "does not take CEF"),
        ("|%ASA[0-9\\-]{8,10}", "", "ASA"),
        ("  format ", "  #format ", "no pattern"),
        ("  format /", "  format syslog#/", "syslog#"),
    ] {
        let broken = good.replacen(from, to, 1);
        assert_ne!(broken, good, "{from}");
        is(&input(&broken), "agent.input-config", Status::Fail, word);
        assert_eq!(of(&input(&broken), "agent.listening").blocked_by.as_deref(), Some("agent.input-config"));
    }
    is(&input(""), "agent.input-config", Status::Fail, "empty");
    is(&input("404: Not Found\n"), "agent.input-config", Status::Fail, "404: Not Found");
    is(&oms_with(|f| drop(workspace(f).inputs.remove(0))), "agent.input-config", Status::Fail, "not there");
    is(&input(&good.replace("127.0.0.1", "0.0.0.0")), "agent.input-config", Status::Warn, "open to the network");
    is(
        &input(&good.replace(r"|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}.[\w\-\:\+]{3,12}", "")),
        "agent.input-config",
        Status::Warn,
        "ISO time",
    );
    is(&input(&good.replace("(?<time>", "(?<time>(?<bad>")), "agent.input-config", Status::Warn, "cannot be judged");
    is(
        &oms_with(|f| {
            workspace(f).inputs[0] = InputFile { unread: Some("may not be read".into()), ..InputFile::default() }
        }),
        "agent.input-config",
        Status::Unknown,
        "may not",
    );
    let folder = oms_with(|f| {
        let there = &mut workspace(f).inputs[0];
        (there.unread, there.sources) = (Some("not a regular file".into()), Vec::new());
        there.walk.last_mut().unwrap().kind = FileKind::Dir;
    });
    is(&folder, "agent.input-config", Status::Fail, "a folder lies where");
    let twice = input(&[good.as_str(), &good].concat());
    is(&twice, "agent.input-config", Status::Fail, "EADDRINUSE");
    assert!(of(&twice, "agent.input-config").remedy.is_some_and(|r| r.fixable));
    let main =
        |text: &str| oms_with(|f| workspace(f).main = Some(file(&format!("{}/omsagent.conf", conf(WORKSPACE)), text)));
    is(&main("@include other.d/*.conf\n"), "agent.input-config", Status::Fail, "not part");
    is(
        &main(&format!("@include {}/omsagent.d/security*.conf\n", conf(WORKSPACE))),
        "agent.input-config",
        Status::Pass,
        "25226",
    );
    is(&main("<match>\n"), "agent.input-config", Status::Fail, "omsagent.conf");
    is(&oms_with(|f| workspace(f).main = None), "agent.input-config", Status::Pass, "25226");
    let twin = oms_with(|f| {
        let copy = file(&format!("{}/omsagent.d/security_events2.conf", conf(WORKSPACE)), &good_input());
        workspace(f).inputs.push(copy);
    });
    is(&twin, "agent.input-config", Status::Fail, "EADDRINUSE");
    let asked = TargetOptions { agent_port: Some(25300), ..TargetOptions::default() };
    let c = with(&oms_box(), &asked).into_iter().find(|c| c.id == "agent.input-config").unwrap();
    assert!(c.summary.contains("not on 25300"), "{}", c.summary);
}

#[test]
fn oms_permissions() {
    let path = format!("{}/omsagent.d/security_events.conf", conf(WORKSPACE));
    let root_only = |f: &mut Facts| {
        let last = workspace(f).inputs[0].walk.last_mut().unwrap();
        (last.mode, last.uid, last.gid) = (0o600, 0, 0);
    };
    is(&oms_with(root_only), "agent.input-permissions", Status::Fail, &path);
    let folder = oms_with(|f| {
        let at = workspace(f).inputs[0].walk.len() - 2;
        let folder = &mut workspace(f).inputs[0].walk[at];
        (folder.mode, folder.uid, folder.gid) = (0o700, 0, 0);
    });
    let c = of(&folder, "agent.input-permissions");
    assert!(c.remedy.unwrap().commands[0].contains("omsagent.d"));
    let key = oms_with(|f| {
        let last = workspace(f).certificates[1].walk.last_mut().unwrap();
        (last.mode, last.uid) = (0o600, 0);
    });
    is(&key, "agent.input-permissions", Status::Fail, "oms.key");
    // A stopped agent is judged by its user.
    let stopped = oms_with(|f| {
        stop(f, &oms_unit(), "ActiveState=inactive\n");
        root_only(f);
    });
    is(&stopped, "agent.input-permissions", Status::Fail, &path);
    let nobody = oms_with(|f| {
        stop(f, &oms_unit(), "ActiveState=inactive\n");
        oms(f).user = None;
    });
    is(&nobody, "agent.input-permissions", Status::Unknown, "no user omsagent");
    let no_files = oms_with(|f| {
        (workspace(f).inputs, workspace(f).main, workspace(f).certificates) = (Vec::new(), None, Vec::new())
    });
    assert_eq!(of(&no_files, "agent.input-permissions").blocked_by.as_deref(), Some("agent.input-config"));
}

#[test]
fn oms_plugins() {
    let text = |text: &str| Some(Ok(crate::check::facts::Bytes(text.as_bytes().to_vec())));
    is(
        &oms_with(|f| oms(f).asa_plugin = text("return '%ASA' if ident.include?('%ASA')")),
        "agent.asa-ident",
        Status::Warn,
        "old plugin",
    );
    is(&oms_with(|f| oms(f).asa_plugin = text("?")), "agent.asa-ident", Status::Warn, "none of the known");
    is(&oms_with(|f| oms(f).asa_plugin = None), "agent.asa-ident", Status::Warn, "missing");
    is(&oms_with(|f| oms(f).asa_plugin = Some(Err("may not".into()))), "agent.asa-ident", Status::Unknown, "may not");
    is(
        &oms_with(|f| (oms(f).asa_plugin, oms(f).plugin_folder) = (None, false)),
        "agent.asa-ident",
        Status::Skip,
        "no folder",
    );
    let stamp = "'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(Time.now.utc),\n";
    is(&oms_with(|f| oms(f).filter_plugin = text(stamp)), "agent.host-field", Status::Warn, "collector's name");
    is(&oms_with(|f| oms(f).filter_plugin = text("?")), "agent.host-field", Status::Warn, "known");
    is(&oms_with(|f| oms(f).filter_plugin = text("?")), "agent.event-time", Status::Warn, "something else");
    is(
        &oms_with(|f| oms(f).filter_plugin = text(&stamp.replace("Time.now.utc", "Time.at(time).utc"))),
        "agent.event-time",
        Status::Pass,
        "event's header",
    );
    is(&oms_with(|f| oms(f).filter_plugin = None), "agent.event-time", Status::Warn, "missing");
}

#[test]
fn oms_workspaces_and_portal() {
    let two = oms_with(second_workspace);
    is(&two, "agent.multi-homing", Status::Warn, "no input for security events");
    is(&oms_box(), "agent.multi-homing", Status::Pass, WORKSPACE);
    is(&oms_with(|f| oms(f).sync.off = false), "agent.portal-sync", Status::Warn, "every 15 minutes");
    is(&oms_with(|f| oms(f).sync = SyncState::default()), "agent.portal-sync", Status::Pass, "nothing");
    let crossed = oms_with(|f| {
        oms(f).sync.off = false;
        set_config(
            f,
            &[
                ("/etc/rsyslog.conf", MAIN),
                (DROP_IN_PATH, DROP_IN),
                ("/etc/rsyslog.d/95-omsagent.conf", "local4.* @127.0.0.1:25226\n"),
            ],
        );
    });
    is(&crossed, "agent.portal-sync", Status::Warn, "port of security events");
}
