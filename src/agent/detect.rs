//! Which agents are on this box and on which loopback port they take security events.
//!
//! Paths and ports: facts 1.7, 1.9, 1.11 (Log Analytics agent), 3.1, 3.2 (Azure Monitor Agent).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::ama::Ama;
use crate::host::{FileKind, Root};

/// Where the Log Analytics agent takes CEF and ASA events unless told otherwise.
pub const OMS_PORT: u16 = 25226;
/// Where the Azure Monitor Agent takes syslog unless the port was taken.
pub const AMA_PORT: u16 = 28330;

const OMS_HOME: &str = "/opt/microsoft/omsagent/bin/omsadmin.sh";
const OMS_CONF: &str = "/etc/opt/microsoft/omsagent";
const AMA_HOMES: [&str; 2] = ["/opt/microsoft/azuremonitoragent/bin/mdsd", "/etc/opt/microsoft/azuremonitoragent"];

/// The kind of agent events go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentKind {
    /// Log Analytics agent.
    Oms,
    /// Azure Monitor Agent.
    Ama,
    /// None on this box.
    None,
}

impl std::fmt::Display for AgentKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AgentKind::Oms => "Log Analytics agent",
            AgentKind::Ama => "Azure Monitor Agent",
            AgentKind::None => "no agent",
        })
    }
}

/// An agent and the loopback port that takes its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTarget {
    pub kind: AgentKind,
    pub port: u16,
}

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    pub oms: Option<OmsFacts>,
    pub ama: Option<AmaFacts>,
}

/// An installed Log Analytics agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OmsFacts {
    /// The workspaces it is onboarded to.
    pub workspaces: Vec<String>,
    /// The CEF/ASA input of the first workspace that has one.
    pub input: Option<OmsInput>,
}

/// The CEF/ASA input of the Log Analytics agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OmsInput {
    pub file: PathBuf,
    pub port: Option<u16>,
    pub bind: Option<String>,
    pub protocol: Option<String>,
}

/// An installed Azure Monitor Agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmaFacts {
    /// Content of its port file; `None` where there is none.
    pub port: Option<u16>,
    /// A data collection rule asks it for security events: it throws away what none asks for.
    #[serde(default)]
    pub asked: bool,
}

impl AgentFacts {
    /// Looks at the files of the box. What cannot be read counts as not there.
    pub fn gather(root: &Root) -> AgentFacts {
        let there = |path: &str| matches!(root.stat(Path::new(path)), Ok(Some(_)));
        AgentFacts {
            oms: there(OMS_HOME).then(|| oms(root)),
            ama: AMA_HOMES.iter().any(|home| there(home)).then(|| {
                let ama = Ama::gather(root);
                AmaFacts { port: ama.port_number(), asked: ama.is_asked() }
            }),
        }
    }

    /// The agent that is meant when nothing was said: the one that is installed. Of two the supported one, once Azure has
    /// asked it for security events: until then it throws away what it gets, and events stay with the other one if that one has
    /// them now (`carries`).
    pub fn meant(&self, carries: impl FnOnce() -> bool) -> AgentKind {
        match (&self.ama, &self.oms) {
            (Some(ama), Some(_)) if !ama.asked && carries() => AgentKind::Oms,
            (Some(_), _) => AgentKind::Ama,
            (None, Some(_)) => AgentKind::Oms,
            (None, None) => AgentKind::None,
        }
    }

    /// The port on which `kind` takes security events on this box.
    pub fn port(&self, kind: AgentKind) -> u16 {
        match kind {
            AgentKind::Oms => self.oms.as_ref().and_then(|o| o.input.as_ref()).and_then(|i| i.port).unwrap_or(OMS_PORT),
            AgentKind::Ama => self.ama.as_ref().and_then(|a| a.port).unwrap_or(AMA_PORT),
            AgentKind::None => OMS_PORT,
        }
    }
}

fn oms(root: &Root) -> OmsFacts {
    let conf = Path::new(OMS_CONF);
    let mut facts = OmsFacts::default();
    let is_workspace = |name: &String| {
        let dir = matches!(root.stat(&conf.join(name)), Ok(Some(m)) if m.kind == FileKind::Dir);
        dir && uuid::Uuid::try_parse(name).is_ok()
    };
    let names = root.list(conf).unwrap_or_default().into_iter().filter_map(|n| n.into_string().ok());
    let mut names: Vec<String> = names.filter(is_workspace).collect();
    // What is left of a workspace that the agent no longer belongs to does not count beside one to which it does.
    let onboarded = |name: &String| {
        let file = conf.join(name).join("conf/omsadmin.conf");
        matches!(root.stat(&file), Ok(Some(m)) if m.size > 0)
    };
    if names.iter().any(onboarded) {
        names.retain(onboarded);
    }
    for name in names {
        let dir = conf.join(&name);
        facts.workspaces.push(name);
        let file = dir.join("conf/omsagent.d/security_events.conf");
        if facts.input.is_none()
            && let Ok(Some(text)) = root.read_opt(&file)
        {
            facts.input = Some(security_input(file, &text));
        }
    }
    facts
}

/// Reads the source tagged `oms.security` of a `security_events.conf`.
pub(crate) fn security_input(file: PathBuf, text: &[u8]) -> OmsInput {
    let text = String::from_utf8_lossy(text);
    let empty = OmsInput { file, port: None, bind: None, protocol: None };
    let (mut current, mut found) = (empty.clone(), None);
    let (mut depth, mut source, mut security) = (0, false, false);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if line.starts_with("</") {
            depth -= 1;
            if depth == 0 && source && security && found.is_none() {
                found = Some(current.clone());
            }
        } else if let Some(section) = line.strip_prefix('<') {
            depth += 1;
            if depth == 1 {
                (source, security, current) = (section.starts_with("source"), false, empty.clone());
            }
        } else if depth == 1 {
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let value = value.trim();
            match key {
                "tag" => security = value.starts_with("oms.security"),
                "port" => current.port = value.parse().ok(),
                "bind" => current.bind = Some(value.to_owned()),
                "protocol_type" => current.protocol = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    found.unwrap_or(empty)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests make their own trees
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let real = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(real.parent().unwrap()).unwrap();
            std::fs::write(real, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn nothing_installed() {
        let (_dir, root) = tree(&[]);
        let facts = AgentFacts::gather(&root);
        assert_eq!((facts.meant(|| false), facts.port(AgentKind::None)), (AgentKind::None, 25226));
    }

    #[test]
    fn the_port_of_the_log_analytics_agent_is_read_from_its_input() {
        let conf = "# port 1\n<source>\n  type syslog\n  port 25300\n  bind 127.0.0.1\n  protocol_type tcp\n  tag oms.security\n  \
                    <parse>\n    port 7\n  </parse>\n</source>\n<filter oms.security.**>\n  type filter_syslog_security\n</filter>\n";
        let ws =
            "/etc/opt/microsoft/omsagent/11111111-2222-3333-4444-555555555555/conf/omsagent.d/security_events.conf";
        let (_dir, root) = tree(&[(OMS_HOME, ""), (ws, conf), ("/etc/opt/microsoft/omsagent/sysconf/x", "")]);
        let facts = AgentFacts::gather(&root);
        assert_eq!(facts.meant(|| false), AgentKind::Oms);
        assert_eq!(facts.port(AgentKind::Oms), 25300);
        let oms = facts.oms.unwrap();
        assert_eq!(oms.workspaces.len(), 1);
        assert_eq!(oms.input.unwrap().protocol.as_deref(), Some("tcp"));
    }

    #[test]
    fn what_is_left_of_another_workspace_does_not_count() {
        let of = |id: &str, file: &str| format!("/etc/opt/microsoft/omsagent/{id}/conf/{file}");
        let (old, new) = ("00000000-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555555");
        let (input, port) =
            (of(old, "omsagent.d/security_events.conf"), "<source>\n  port 25999\n  tag oms.security\n</source>\n");
        let admin = of(new, "omsadmin.conf");
        let (_dir, root) = tree(&[(OMS_HOME, ""), (&input, port), (&admin, "WORKSPACE_ID=x\n")]);
        let facts = AgentFacts::gather(&root);
        assert_eq!((facts.oms.clone().unwrap().workspaces, facts.port(AgentKind::Oms)), (vec![new.to_owned()], 25226));
        // The only one there is, however little there is of it.
        let (_dir, root) = tree(&[(OMS_HOME, ""), (&input, port)]);
        assert_eq!(AgentFacts::gather(&root).oms.unwrap().workspaces, [old]);
    }

    #[test]
    fn the_azure_monitor_agent_wins_and_names_its_own_port() {
        let (_dir, root) =
            tree(&[(OMS_HOME, ""), (AMA_HOMES[0], ""), (crate::agent::ama::paths::PORT_FILE, "28331\n")]);
        let facts = AgentFacts::gather(&root);
        assert_eq!((facts.meant(|| false), facts.port(AgentKind::Ama)), (AgentKind::Ama, 28331));
    }

    #[test]
    fn an_agent_that_azure_has_not_asked_for_security_events_leaves_them_where_they_are() {
        use crate::agent::ama::{paths, rules::tests::rule};
        let security = rule("SECURITY_CEF_BLOB", &["local4"], &["Warning"], "w");
        let plain = rule("LINUX_SYSLOGS_BLOB", &["local4"], &["Warning"], "w");
        for (marker, chunk, carries, meant) in [
            ("true\n", Some(&security), true, AgentKind::Ama),
            ("true\n", None, true, AgentKind::Ama),
            ("true\n", Some(&plain), true, AgentKind::Oms),
            ("false", Some(&security), true, AgentKind::Oms),
            ("", None, true, AgentKind::Oms),
            ("false", None, false, AgentKind::Ama),
        ] {
            let file = format!("{}/fw.json", paths::CHUNKS);
            let mut files = vec![(OMS_HOME, ""), (AMA_HOMES[0], ""), (paths::MARKER, marker)];
            files.extend(chunk.map(|text| (file.as_str(), text.as_str())));
            let (_dir, root) = tree(&files);
            assert_eq!(AgentFacts::gather(&root).meant(|| carries), meant, "{marker:?} {chunk:?} {carries}");
        }
    }
}
