//! Do marker, port file, the daemon's file and the rules agree? (facts 3.3, 8 hop 8; field-failures 1.5, 1.13, 1.14)

use std::ffi::OsStr;
use std::path::PathBuf;

use super::dcr::{self, Stream};
use super::files::{self, Daemon, Transport};
use super::{Ama, steps};

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check it belongs to.
    pub id: &'static str,
    /// Events do not arrive because of it.
    pub fatal: bool,
    pub what: String,
    pub hint: String,
    pub mend: Option<Mend>,
}

/// A file that would put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    pub path: PathBuf,
    pub content: Vec<u8>,
    pub why: String,
    /// The agent's own watcher does the same within half a minute, where it runs.
    pub wait_first: bool,
}

fn finding(id: &'static str, fatal: bool, what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { id, fatal, what: what.into(), hint: hint.into(), mend: None }
}

const WATCHER: &str = "the agent's extension writes it within a minute; if not, restart the extension: in \
                       /var/lib/waagent/Microsoft.Azure.Monitor.AzureMonitorLinuxAgent-*/ run ./shim.sh -disable, then ./shim.sh -enable";

/// Sources of a syslog-ng.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// All by name.
    pub defined: Vec<String>,
    /// The one that takes what is logged on this box: distributions name it differently (field-failures 1.5).
    pub local: Option<String>,
}

/// Everything that does not fit, for one daemon and the streams that are wanted.
pub fn judge(ama: &Ama, daemon: Daemon, wanted: &[Stream], sources: Option<&Sources>) -> Vec<Finding> {
    let mut found = Vec::new();
    if ama.gone {
        let what = "the Azure Monitor Agent's program is gone, only its configuration is left: nobody takes the events";
        found.push(finding(
            "ama.installed",
            true,
            what,
            "have Azure install its extension AzureMonitorLinuxAgent again",
        ));
    }
    found.extend(rules(ama, wanted));
    match (ama.marker, ama.file(daemon)) {
        (Some(true), None) => {
            let mut missing = finding(
                "ama.forward-config",
                true,
                "a data collection rule wants syslog, but the agent's file in the daemon's configuration is missing",
                WATCHER,
            );
            let mut mends = placed(ama, daemon).into_iter();
            missing.mend = mends.next();
            found.push(missing);
            // The old way has two files.
            found.extend(mends.map(|mend| Finding {
                mend: Some(mend),
                ..finding("ama.forward-config", false, "with it the file that it needs is missing", WATCHER)
            }));
        }
        (_, Some(file)) => found.extend(forward(ama, file, sources)),
        _ => {}
    }
    found
}

fn rules(ama: &Ama, wanted: &[Stream]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, why) in &ama.unreadable {
        found.push(finding(
            "ama.dcr-valid",
            false,
            format!("the rule in {} cannot be read: {why}", file.display()),
            "restart the agent, it fetches its rules again: systemctl restart azuremonitoragent",
        ));
    }
    if ama.marker != Some(true) {
        let hint = steps::rule(wanted);
        found.push(finding("ama.dcr-present", true, "no data collection rule asks this agent for syslog yet", hint));
        return found;
    }
    if !ama.chunks.is_empty() && !wanted.iter().any(|s| dcr::has(&ama.chunks, *s)) {
        let names: Vec<&str> = wanted.iter().map(|s| s.in_rule()).collect();
        found.push(finding(
            "ama.dcr-stream",
            true,
            format!("no data collection rule of this machine has the stream {}", names.join(" or ")),
            steps::rule(wanted),
        ));
    }
    let doubled = dcr::doubled(&ama.chunks);
    if !doubled.is_empty() {
        found.push(finding(
            "ama.dcr-duplicate",
            false,
            format!("{} is collected as security events and as plain syslog: stored and billed twice", doubled.join(", ")),
            "give the rule with the stream Microsoft-Syslog the transformation: source | where ProcessName !contains \"CEF\"",
        ));
    }
    found
}

fn forward(ama: &Ama, file: &super::DaemonFile, sources: Option<&Sources>) -> Vec<Finding> {
    let (mut found, shown) = (Vec::new(), file.path.display().to_string());
    if file.empty || file.damaged || file.transport == Transport::Tcp && file.port.is_none() {
        let what = if file.damaged { "is damaged: the daemon reads no further" } else { "forwards nothing" };
        let mut anew = finding("ama.forward-config", true, format!("{shown} {what}"), WATCHER);
        // the watcher looks for the port only, which a damaged file may well have
        anew.mend = placed(ama, file.daemon)
            .into_iter()
            .next()
            .map(|m| Mend { wait_first: m.wait_first && !file.damaged, ..m });
        found.push(anew);
        return found;
    }
    if file.transport == Transport::Tcp
        && let (Some(port), Some(there)) = (ama.port, file.port)
        && port != there
    {
        let mut stale = finding(
            "ama.forward-config",
            true,
            format!("{shown} forwards to port {there}, but the agent takes syslog on {port}"),
            WATCHER,
        );
        stale.mend = files::with_port(&file.content, port).map(|content| Mend {
            path: file.path.clone(),
            content,
            why: format!("forward to port {port}, where the agent is"),
            wait_first: true,
        });
        found.push(stale);
    }
    if let Some(Sources { defined, local }) = sources {
        for name in file.sources.iter().filter(|s| !defined.contains(s)) {
            let mut unknown = finding(
                "ama.forward-config",
                true,
                format!(
                    "{shown} takes from the source {name}, which this syslog-ng does not have ({})",
                    defined.join(", ")
                ),
                "syslog-ng does not start with it: name an existing source in that file",
            );
            unknown.mend = local.as_ref().map(|local| Mend {
                path: file.path.clone(),
                content: files::with_sources(&file.content, name, std::slice::from_ref(local)),
                why: format!("take from {local}, which has this box's own messages"),
                wait_first: false,
            });
            found.push(unknown);
        }
    }
    found
}

/// The agent's own originals: with the port that it really has, or, where it has none, those of the old way.
fn placed(ama: &Ama, daemon: Daemon) -> Vec<Mend> {
    match ama.port {
        Some(port) => over_tcp(ama, daemon, port).into_iter().collect(),
        None if ama.socket => over_socket(ama, daemon),
        None => Vec::new(),
    }
}

fn over_socket(ama: &Ama, daemon: Daemon) -> Vec<Mend> {
    let Some(place) = files::PLACES.into_iter().find(|p| p.daemon == daemon && p.transport == Transport::Socket) else {
        return Vec::new();
    };
    let path = PathBuf::from(place.path);
    let own = |name: &OsStr| path.file_name() == Some(name) || name == "05-azuremonitoragent-loadomuxsock.conf";
    let of_daemon = |t: &&(PathBuf, Vec<u8>)| {
        let folder = if daemon == Daemon::Rsyslog { "rsyslogconf" } else { "syslog-ngconf" };
        t.0.parent().is_some_and(|p| p.ends_with(folder)) && t.0.file_name().is_some_and(own)
    };
    let place = |(template, content): &(PathBuf, Vec<u8>)| {
        let path = path.parent()?.join(template.file_name()?);
        let why = "the agent's own forward over its socket, from its original".into();
        Some(Mend { path, content: content.clone(), why, wait_first: true })
    };
    ama.templates.iter().filter(of_daemon).filter_map(place).collect()
}

fn over_tcp(ama: &Ama, daemon: Daemon, port: u16) -> Option<Mend> {
    let place = files::PLACES.into_iter().find(|p| p.daemon == daemon && p.transport == Transport::Tcp)?;
    let path = PathBuf::from(place.path);
    let (_, original) = ama.templates.iter().find(|(t, _)| t.file_name() == path.file_name())?;
    let content = files::with_port(original, port)?;
    Some(Mend { path, content, why: "the agent's own forward, from its original".into(), wait_first: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ama::DaemonFile;

    const OMFWD: &str = "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf";
    const FILE: &[u8] = b"# Azure\n*.* action(type=\"omfwd\" target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";

    fn good() -> Ama {
        Ama {
            port: Some(28330),
            marker: Some(true),
            files: vec![DaemonFile::read(OMFWD, Daemon::Rsyslog, Transport::Tcp, FILE.to_vec())],
            templates: vec![(
                "/etc/opt/microsoft/azuremonitoragent/syslog/rsyslogconf/10-azuremonitoragent-omfwd.conf".into(),
                FILE.to_vec(),
            )],
            ..Ama::default()
        }
    }

    fn judged(ama: &Ama) -> Vec<Finding> {
        judge(ama, Daemon::Rsyslog, &[Stream::Cef], None)
    }

    #[test]
    fn all_agree() {
        assert_eq!(judged(&good()), []);
    }

    #[test]
    fn a_stale_port_is_mended_in_place() {
        let found = judged(&Ama { port: Some(31000), ..good() });
        let mend = found[0].mend.as_ref().unwrap();
        assert_eq!((found.len(), files::port(&mend.content)), (1, Some(31000)));
    }

    #[test]
    fn a_missing_file_comes_from_the_original_with_the_real_port() {
        let found = judged(&Ama { port: Some(31000), files: vec![], ..good() });
        let mend = found[0].mend.as_ref().unwrap();
        assert_eq!((mend.path.to_str(), files::port(&mend.content)), (Some(OMFWD), Some(31000)));
        let found = judged(&Ama { files: vec![], templates: vec![], ..good() });
        assert!(found[0].mend.is_none() && found[0].hint.contains("shim.sh"));
    }

    #[test]
    fn a_damaged_file_comes_from_the_original() {
        let broken = |content: &[u8]| Ama {
            files: vec![DaemonFile::read(OMFWD, Daemon::Rsyslog, Transport::Tcp, content.to_vec())],
            ..good()
        };
        let cut = &FILE[..FILE.len() - 20];
        let found = judged(&broken(cut));
        assert!(found.len() == 1 && found[0].what.contains("damaged"), "{found:?}");
        assert_eq!(found[0].mend.as_ref().map(|m| (m.content.as_slice(), m.wait_first)), Some((FILE, false)));
        let found = judged(&broken(b"auth.* /var/log/auth\n"));
        assert!(found.len() == 1 && found[0].mend.is_some(), "{found:?}");
    }

    #[test]
    fn without_a_rule_the_rule_is_what_is_missing() {
        for marker in [None, Some(false)] {
            let found = judged(&Ama { marker, files: vec![], ..good() });
            assert_eq!((found.len(), found[0].id), (1, "ama.dcr-present"));
        }
    }

    #[test]
    fn a_source_that_is_not_there() {
        let text = b"log { source(s_src); destination(d_azure_mdsd); };\ndestination d_azure_mdsd { network(\"127.0.0.1\" port(28330)); };\n";
        let path = "/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf";
        let file = DaemonFile::read(path, Daemon::SyslogNg, Transport::Tcp, text.to_vec());
        let ama = Ama { files: vec![file], ..good() };
        let sources =
            Sources { defined: vec!["s_net".to_owned(), "s_sys".to_owned()], local: Some("s_sys".to_owned()) };
        let found = judge(&ama, Daemon::SyslogNg, &[Stream::Cef], Some(&sources));
        let mend = found[0].mend.as_ref().unwrap();
        assert!(String::from_utf8_lossy(&mend.content).contains("log { source(s_sys);"));
        let there = Sources { defined: vec!["s_src".to_owned()], local: None };
        assert_eq!(judge(&ama, Daemon::SyslogNg, &[Stream::Cef], Some(&there)), []);
    }
}
