//! Made-up boxes for the tests of the agents' checks: one healthy with each agent, and the means to break them.

use std::collections::BTreeMap;

use crate::agent::AgentKind;
use crate::agent::ama::rules::tests::{WS, rule};
use crate::agent::ama::{Ama, DaemonFile, SocketState, dcr, qos};
use crate::agent::oms::{fluentd, input};
use crate::check::agent_facts::*;
use crate::check::facts::{Bytes, Facts};
use crate::check::fixture::*;
use crate::host::FileKind;
use crate::host::proc_net::Transport;
use crate::platform::access::{Step, Who};

pub use crate::agent::ama::rules::tests::WS as WORKSPACE;

pub const OMS_USER: u32 = 990;
const GROUP: u32 = 991;
/// What the fixture's clock says.
pub const NOW: i64 = 2_000_000;

pub fn oms(facts: &mut Facts) -> &mut OmsState {
    facts.agent_states.oms.as_mut().unwrap()
}

pub fn workspace(facts: &mut Facts) -> &mut OmsWorkspace {
    &mut oms(facts).workspaces[0]
}

pub fn ama(facts: &mut Facts) -> &mut AmaState {
    facts.agent_states.ama.as_mut().unwrap()
}

fn step(path: &str, kind: FileKind, mode: u32, uid: u32, gid: u32) -> Step {
    Step { path: path.into(), kind, mode, uid, gid, immutable: false, acl: None }
}

/// Folders of root, then what is the agent's, the file last.
pub fn walk(path: &str, mode: u32) -> Vec<Step> {
    let mut steps = folders(&["/", "/etc"]);
    steps.push(step(path.rsplit_once('/').unwrap().0, FileKind::Dir, 0o750, OMS_USER, GROUP));
    steps.push(step(path, FileKind::File, mode, OMS_USER, GROUP));
    steps
}

/// A configuration file of the agent as gathered from its text.
pub fn file(path: &str, text: &str) -> InputFile {
    let mut found =
        InputFile { path: path.into(), size: text.len() as u64, walk: walk(path, 0o640), ..InputFile::default() };
    match fluentd::parse(text.as_bytes()) {
        Ok(root) => crate::check::gather::describe_input(&mut found, &root),
        Err(bad) => (found.malformed, found.head) = (Some((bad.line, bad.what)), text.chars().take(80).collect()),
    }
    found
}

pub fn conf(id: &str) -> String {
    format!("/etc/opt/microsoft/omsagent/{id}/conf")
}

pub fn input_file(id: &str, text: &str) -> InputFile {
    file(&format!("{}/omsagent.d/security_events.conf", conf(id)), text)
}

pub fn good_input() -> String {
    input::render(25226, "1")
}

pub fn omsadmin(id: &str) -> BTreeMap<String, String> {
    [
        ("WORKSPACE_ID", id),
        ("AGENT_GUID", "g"),
        ("LOG_FACILITY", "local0"),
        ("CERTIFICATE_UPDATE_ENDPOINT", "https://x.oms.opinsights.azure.com/c"),
        ("URL_TLD", "opinsights.azure.com"),
        ("DSC_ENDPOINT", "https://x"),
        ("OMS_ENDPOINT", &format!("https://{id}.ods.opinsights.azure.com/OperationalData.svc/PostJsonDataItems")),
        ("AZURE_RESOURCE_ID", ""),
        ("OMSCLOUD_ID", ""),
        ("UUID", ""),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

pub fn log(path: &str, found: Vec<crate::agent::logs::Found>) -> LogState {
    LogState { path: path.into(), size: 10, mtime: NOW - 5, found, since: NOW - 86_400, last: Some(NOW - 5) }
}

pub fn said(kind: &str, last: i64, line: &str) -> crate::agent::logs::Found {
    crate::agent::logs::Found { kind: kind.into(), count: 3, last: Some(last), line: line.into() }
}

fn one_workspace(id: &str) -> OmsWorkspace {
    let certificate = |end: &str| {
        let path = format!("/etc/opt/microsoft/omsagent/{id}/certs/oms.{end}");
        let not_after = (end == "crt").then_some(NOW + 100 * 86_400);
        Certificate { walk: walk(&path, 0o640), path, exists: true, size: 1000, is_pem: Some(true), not_after }
    };
    let main = "@include omsagent.d/*.conf\n<match oms.**>\n  type out_oms\n  buffer_path /var/opt/microsoft/omsagent/x/state/out_oms_common*.buffer\n  buffer_queue_limit 10\n</match>\n";
    OmsWorkspace {
        id: id.into(),
        admin: Some(Ok(omsadmin(id))),
        certificates: vec![certificate("crt"), certificate("key")],
        main: Some(file(&format!("{}/omsagent.conf", conf(id)), main)),
        inputs: vec![
            input_file(id, &good_input()),
            file(
                &format!("{}/omsagent.d/syslog.conf", conf(id)),
                "<source>\n  type syslog\n  port 25224\n  bind 127.0.0.1\n  protocol_type udp\n  tag oms.syslog\n</source>\n",
            ),
        ],
        log: Some(Ok(log(&format!("/var/opt/microsoft/omsagent/{id}/log/omsagent.log"), Vec::new()))),
        buffers: Some(Ok(Vec::new())),
    }
}

/// Adds a second workspace.
pub fn second_workspace(facts: &mut Facts) {
    let mut second = one_workspace("99999999-2222-3333-4444-555555555555");
    second.inputs.remove(0);
    oms(facts).workspaces.push(second);
}

/// The healthy collector with the Log Analytics agent.
pub fn oms_box() -> Facts {
    let mut facts = healthy();
    let unit = format!("omsagent-{WS}.service");
    let lines = "ActiveState=active\nSubState=running\nMainPID=60\nUnitFileState=enabled\nNRestarts=0\n";
    facts.units.as_mut().unwrap().extend(units(&[(&unit, lines)]));
    let process = facts.processes.get_mut(&AGENT).unwrap();
    (process.comm, process.exe) = ("ruby".into(), "/opt/microsoft/omsagent/ruby/bin/ruby".into());
    (process.uid, process.gid, process.cap_effective, process.unit) = (OMS_USER, GROUP, 0, Some(unit));
    facts.agents.oms = Some(crate::agent::detect::OmsFacts { workspaces: vec![WS.into()], input: None });
    let plugin = |text: &str| Some(Ok(Bytes(text.as_bytes().to_vec())));
    facts.agent_states.oms = Some(OmsState {
        program: true,
        packages: Packages(Ok(vec![Package {
            name: "omsagent".into(),
            version: "1.19.0.0".into(),
            state: "installed".into(),
        }])),
        workspaces: vec![one_workspace(WS)],
        plugin_folder: true,
        asa_plugin: plugin("  return ident if ident.include?('%ASA')\n"),
        filter_plugin: plugin(
            "  'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(Time.now.utc),\n  'Host' => record['host'],\n",
        ),
        user: Some(Who { uid: OMS_USER, gid: GROUP, groups: Vec::new(), capabilities: 0 }),
        sync: SyncState { seen: vec!["/opt/microsoft/omsconfig".into()], off: true, ..SyncState::default() },
        ..OmsState::default()
    });
    facts.agent_states.mounts = Ok(facts.rsyslog.mounts.clone().unwrap());
    facts
}

pub const OMFWD: &str = "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf";
pub const AMA_RULE: &str = "# Azure Monitor Agent configuration: forward logs to azuremonitoragent\n\
    template(name=\"AMA_RSYSLOG_TraditionalForwardFormat\" type=\"string\" string=\"<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\")\n\
    *.* action(type=\"omfwd\" template=\"AMA_RSYSLOG_TraditionalForwardFormat\" target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\" queue.type=\"LinkedList\" queue.filename=\"omfwd-azuremonitoragent\" queue.maxFileSize=\"32m\" queue.maxDiskSpace=\"1g\" queue.size=\"25000\" queue.saveonshutdown=\"on\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"5\")\n";
pub const LISTENER: &str = "module(load=\"imudp\")\nmodule(load=\"imtcp\")\ninput(type=\"imudp\" port=\"514\")\ninput(type=\"imtcp\" port=\"514\")\n";

/// A rule's file.
pub fn chunk(name: &str, text: String) -> dcr::Chunk {
    dcr::Chunk::read(name, NOW - 1000, Ok(text.as_bytes()))
}

pub fn cef_rule() -> String {
    rule("SECURITY_CEF_BLOB", &["local4", "local7"], &["Warning", "Error", "Critical", "Alert", "Emergency"], WS)
}

pub fn qos_row(operation: &str, object: &str, total: u64, success: u64) -> qos::Row {
    qos::Row {
        line: 2,
        operation: operation.into(),
        object: object.into(),
        total,
        success,
        rows_sent: success * 10,
        ..qos::Row::default()
    }
}

/// The healthy collector with the Azure Monitor Agent, on rsyslog over TCP.
pub fn ama_box() -> Facts {
    let mut facts = healthy();
    set_config(&mut facts, &[("/etc/rsyslog.conf", MAIN), (OMFWD, AMA_RULE), (DROP_IN_PATH, LISTENER)]);
    let lines = "ActiveState=active\nSubState=running\nMainPID=60\nUnitFileState=enabled\nNRestarts=0\n";
    facts.units.as_mut().unwrap().extend(units(&[("azuremonitoragent.service", lines)]));
    let process = facts.processes.get_mut(&AGENT).unwrap();
    (process.comm, process.exe) = ("mdsd".into(), "/opt/microsoft/azuremonitoragent/bin/mdsd".into());
    process.unit = Some("azuremonitoragent.service".into());
    close(&mut facts, Transport::Tcp, |a| a.port() == 25226);
    add_socket(&mut facts, Transport::Tcp, "127.0.0.1:28330", AGENT);
    sockets(&mut facts).iter_mut().filter(|s| s.remote.port() == 25226).for_each(|s| s.remote.set_port(28330));
    facts.agents.ama = Some(crate::agent::detect::AmaFacts { port: Some(28330), asked: true });
    facts.agent_states.ama = Some(AmaState {
        own: Ama {
            program: true,
            conf: true,
            chunks: Some(Ok(vec![chunk("1.json", cef_rule())])),
            marker: Some(Ok("true".into())),
            port: Some(Ok("28330".into())),
            files: vec![DaemonFile::read(OMFWD, AMA_RULE.as_bytes())],
            socket: SocketState { exists: false, bound: Some(false) },
            ..Ama::default()
        },
        packages: Packages(Ok(vec![Package {
            name: "azuremonitoragent".into(),
            version: "1.33.1-build.main.1".into(),
            state: "installed".into(),
        }])),
        user: Some(Who { uid: 104, gid: 110, groups: Vec::new(), capabilities: 0 }),
        azure: vec!["/var/lib/waagent".into()],
        logs: vec![Ok(log("/var/opt/microsoft/azuremonitoragent/log/mdsd.err", Vec::new()))],
        events: Some(Ok(Folder { files: 10, bytes: 650 << 20, oldest: Some(NOW - 100), cut_short: false })),
        qos: Some(Ok(Qos {
            path: "mdsd.qos".into(),
            mtime: NOW - 60,
            rows: vec![qos_row(qos::UPLOAD, "https://x", 9, 9), qos_row("MaRunTaskLocal", "SECURITY_CEF_BLOB", 9, 9)],
        })),
        ..AmaState::default()
    });
    facts.agent_states.mounts = Ok(facts.rsyslog.mounts.clone().unwrap());
    facts
}

/// Lets the events go over the unix socket, as old agents have it.
pub fn by_socket(facts: &mut Facts) {
    const FILE: &str = "/etc/rsyslog.d/10-azuremonitoragent.conf";
    let text = "$ModLoad omuxsock\n$OMUxSockSocket /run/azuremonitoragent/default_syslog.socket\n*.* :omuxsock:;RSYSLOG_TraditionalForwardFormat\n";
    set_config(facts, &[("/etc/rsyslog.conf", MAIN), (FILE, text), (DROP_IN_PATH, LISTENER)]);
    let state = ama(facts);
    state.own.files = vec![DaemonFile::read(FILE, text.as_bytes())];
    state.own.loader = true;
    state.own.socket = SocketState { exists: true, bound: Some(true) };
    state.own.port = None;
    state.packages = Packages(Ok(vec![Package {
        name: "azuremonitoragent".into(),
        version: "1.26.2".into(),
        state: "installed".into(),
    }]));
    close(facts, Transport::Tcp, |a| a.port() == 28330);
    sockets(facts).retain(|s| s.remote.port() != 28330);
}

/// No agent at all.
pub fn bare_box() -> Facts {
    let facts = healthy();
    assert_eq!(super::present(&facts).0, AgentKind::None);
    facts
}
