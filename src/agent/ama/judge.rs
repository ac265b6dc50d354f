//! Do marker, port file, the daemon's file and the rules agree? (facts 3.3, 8 hop 8; field-failures 1.5, 1.13, 1.14)

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::dcr::Stream;
use super::files::{self, Daemon, DaemonFile, Transport};
use super::handover::{self, Handover};
use super::rules::{Rule, stored_twice};
use super::{Ama, paths, steps};

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

/// What would put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    pub path: PathBuf,
    /// `None`: the file goes.
    pub content: Option<Vec<u8>>,
    pub why: String,
    /// The agent's own watcher does the same within half a minute, where it runs.
    pub wait_first: bool,
}

fn finding(id: &'static str, fatal: bool, what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { id, fatal, what: what.into(), hint: hint.into(), mend: None }
}

const WATCHER: &str = "the agent's extension writes it within a minute; if not, restart the extension: in \
                       /var/lib/waagent/Microsoft.Azure.Monitor.AzureMonitorLinuxAgent-*/ run ./shim.sh -disable, then ./shim.sh -enable";

const RESTART: &str = "restart the agent: systemctl restart azuremonitoragent";

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
    if ama.is_gone() {
        let what = "the Azure Monitor Agent's program is gone, only its configuration is left: nobody takes the events";
        found.push(finding(
            "ama.installed",
            true,
            what,
            "have Azure install its extension AzureMonitorLinuxAgent again",
        ));
    }
    found.extend(rules(ama, wanted));
    if ama.is_told() || ama.of(daemon).next().is_some() {
        found.extend(forward(ama, daemon, sources));
    }
    found
}

fn rules(ama: &Ama, wanted: &[Stream]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (chunk, why) in ama.chunks().iter().filter_map(|c| Some((c, c.rule.as_ref().err()?))) {
        found.push(finding(
            "ama.dcr-valid",
            false,
            format!("the rule in {}/{} cannot be read: {why}", paths::CHUNKS, chunk.name),
            format!("{RESTART}, it fetches its rules again"),
        ));
    }
    if !ama.is_told() {
        found.push(match ama.wants_syslog() {
            Some(true) => {
                let what = "a data collection rule wants syslog, but the agent has not told its watcher so";
                finding("ama.forward-config", true, what, RESTART)
            }
            _ => {
                let what = "no data collection rule asks this agent for syslog yet";
                finding("ama.dcr-present", true, what, steps::rule(wanted))
            }
        });
        return found;
    }
    let rules: Vec<&Rule> = ama.rules().collect();
    if !rules.is_empty() && !wanted.iter().any(|s| rules.iter().any(|r| r.has(s.stream()))) {
        let names: Vec<&str> = wanted.iter().map(|s| s.in_rule()).collect();
        found.push(finding(
            "ama.dcr-stream",
            true,
            format!("no data collection rule of this machine has the stream {}", names.join(" or ")),
            steps::rule(wanted),
        ));
    }
    let doubled: BTreeSet<String> = stored_twice(&rules).into_iter().flat_map(|(_, _, names)| names).collect();
    if !doubled.is_empty() {
        let names: Vec<&str> = doubled.iter().map(|n| if n == "*" { "every facility" } else { n }).collect();
        found.push(finding(
            "ama.dcr-duplicate",
            false,
            format!("{} is collected as security events and as plain syslog: stored and billed twice", names.join(", ")),
            "give the rule with the stream Microsoft-Syslog the transformation: source | where ProcessName !contains \"CEF\"",
        ));
    }
    found
}

fn forward(ama: &Ama, daemon: Daemon, sources: Option<&Sources>) -> Vec<Finding> {
    const ID: &str = "ama.forward-config";
    let shown = |file: &DaemonFile| file.path.display().to_string();
    let placed =
        |sources: Option<&Sources>| placed(ama, daemon).into_iter().map(|m| with_known(m, daemon, sources)).collect();
    let (what, fatal, hint, mends): (String, bool, &str, Vec<Mend>) = match handover::of(ama, daemon, &[]) {
        Handover::Missing => (
            "a data collection rule wants syslog, but the agent's file in the daemon's configuration is missing".into(),
            true,
            WATCHER,
            placed(sources),
        ),
        Handover::Unread(file, why) => {
            let what = format!("the daemon cannot read {}: {why}", shown(file));
            (what, true, "move away what lies there; the agent's extension writes its file again", Vec::new())
        }
        Handover::Nothing(file) => {
            let what =
                if file.damaged { "is damaged: the daemon reads no further" } else { "hands nothing to the agent" };
            // the watcher looks for the port only, which a damaged file may well have
            let mut mends: Vec<Mend> = placed(sources);
            mends.iter_mut().for_each(|m| m.wait_first &= !file.damaged);
            (format!("{} {what}", shown(file)), true, WATCHER, mends)
        }
        Handover::Stale { file, there, port } => {
            let what = format!("{} forwards to port {there}, but the agent takes syslog on {port}", shown(file));
            let mut mends = moved(file, port).map_or_else(|| placed(sources), |m| vec![with_known(m, daemon, sources)]);
            mends.truncate(1);
            (what, true, WATCHER, mends)
        }
        Handover::Unsaid { file, .. } => {
            let what = format!("the agent does not say on which port it takes syslog, {} names one", shown(file));
            (what, false, RESTART, Vec::new())
        }
        Handover::DeadSocket { file, port: Some(port) } => {
            let what = format!(
                "{} hands events to a unix socket on which nobody listens: the agent takes syslog on port {port}",
                shown(file)
            );
            let mut mends: Vec<Mend> = placed(sources);
            if !mends.is_empty() {
                mends.extend(without_old_way(ama, daemon));
            }
            (what, true, WATCHER, mends)
        }
        Handover::DeadSocket { file, port: None } => {
            let what = format!("{} hands events to a unix socket on which nobody listens", shown(file));
            (what, true, RESTART, Vec::new())
        }
        Handover::Beside { socket, .. } => {
            let what = format!("{} is left of the time when the agent took events over its socket", shown(socket));
            (what, false, WATCHER, without_old_way(ama, daemon))
        }
        Handover::Socket(_) if daemon == Daemon::Rsyslog && !ama.loader => {
            let what = format!("{} is missing, without which the agent's file has no effect", files::LOADER);
            let loader: Vec<Mend> =
                over_socket(ama, daemon).into_iter().filter(|m| m.path == Path::new(files::LOADER)).collect();
            if loader.is_empty() {
                return Vec::new();
            }
            (what, false, WATCHER, loader)
        }
        Handover::Misstated { .. } | Handover::Elsewhere { .. } | Handover::Socket(_) | Handover::Tcp(..) => {
            return ama.of(daemon).flat_map(|file| unknown_sources(file, sources)).collect();
        }
    };
    // The old way has two files, and a new one may come with the old one going.
    let mut mends = mends.into_iter();
    let first = Finding { mend: mends.next(), ..finding(ID, fatal, what, hint) };
    let more = mends.map(|m| {
        let what = format!(
            "with it {} {}",
            m.path.display(),
            if m.content.is_some() { "is missing" } else { "is of no use any more" }
        );
        Finding { mend: Some(m), ..finding(ID, false, what, hint) }
    });
    std::iter::once(first).chain(more).collect()
}

/// Sources that the agent's file takes from and the daemon does not have: it does not start then.
fn unknown_sources(file: &DaemonFile, sources: Option<&Sources>) -> Option<Finding> {
    let known = sources?;
    let unknown: Vec<&str> = file.sources.iter().filter(|s| !known.defined.contains(s)).map(String::as_str).collect();
    let name = unknown.first()?;
    let shown = file.path.display();
    let what = format!(
        "{shown} takes from the source {name}, which this syslog-ng does not have ({})",
        known.defined.join(", ")
    );
    let mend = Mend {
        path: file.path.clone(),
        content: Some(file.content.clone()),
        why: format!("take from {}, which has this box's own messages", known.local.as_deref().unwrap_or_default()),
        wait_first: false,
    };
    Some(Finding {
        mend: known.local.as_ref().map(|_| with_known(mend, file.daemon, sources)),
        ..finding(
            "ama.forward-config",
            true,
            what,
            "syslog-ng does not start with it: name an existing source in that file",
        )
    })
}

/// The same file, taking this box's own messages from where this syslog-ng has them.
fn with_known(mut mend: Mend, daemon: Daemon, sources: Option<&Sources>) -> Mend {
    let (Some(Sources { defined, local: Some(local) }), Some(content), Daemon::SyslogNg) =
        (sources, &mend.content, daemon)
    else {
        return mend;
    };
    let mut content = content.clone();
    for name in files::sources(&content).iter().filter(|s| !defined.contains(s)) {
        content = files::with_sources(&content, name, std::slice::from_ref(local));
    }
    mend.content = Some(content);
    mend
}

/// The file with another port, where that is all it needs.
fn moved(file: &DaemonFile, port: u16) -> Option<Mend> {
    let content = files::with_port(&file.content, port)?;
    Some(Mend {
        path: file.path.clone(),
        content: Some(content),
        why: format!("forward to port {port}, where the agent is"),
        wait_first: true,
    })
}

/// The files of the old way go, as the agent's own watcher takes them away.
fn without_old_way(ama: &Ama, daemon: Daemon) -> Vec<Mend> {
    let old = ama.of(daemon).filter(|f| f.transport == Transport::Socket && f.unread.is_none()).map(|f| f.path.clone());
    let loader = (daemon == Daemon::Rsyslog && ama.loader).then(|| PathBuf::from(files::LOADER));
    let gone =
        |path| Mend { path, content: None, why: "of the agent's old way over its socket".into(), wait_first: true };
    old.chain(loader).map(gone).collect()
}

/// The agent's own originals: with the port that it really has, or, where it has none, those of the old way.
fn placed(ama: &Ama, daemon: Daemon) -> Vec<Mend> {
    match ama.port_number() {
        Some(port) => over_tcp(ama, daemon, port).into_iter().collect(),
        None if ama.socket.exists => over_socket(ama, daemon),
        None => Vec::new(),
    }
}

fn over_socket(ama: &Ama, daemon: Daemon) -> Vec<Mend> {
    let Some(place) = files::PLACES.into_iter().find(|p| p.daemon == daemon && p.transport == Transport::Socket) else {
        return Vec::new();
    };
    let path = PathBuf::from(place.path);
    let loader = Path::new(files::LOADER).file_name();
    let own = |name: &OsStr| path.file_name() == Some(name) || loader == Some(name);
    let of_daemon = |t: &&(PathBuf, Vec<u8>)| {
        let folder = if daemon == Daemon::Rsyslog { "rsyslogconf" } else { "syslog-ngconf" };
        t.0.parent().is_some_and(|p| p.ends_with(folder)) && t.0.file_name().is_some_and(own)
    };
    let place = |(template, content): &(PathBuf, Vec<u8>)| {
        let path = path.parent()?.join(template.file_name()?);
        let why = "the agent's own forward over its socket, from its original".into();
        Some(Mend { path, content: Some(content.clone()), why, wait_first: true })
    };
    ama.templates.iter().filter(of_daemon).filter_map(place).collect()
}

fn over_tcp(ama: &Ama, daemon: Daemon, port: u16) -> Option<Mend> {
    let place = files::PLACES.into_iter().find(|p| p.daemon == daemon && p.transport == Transport::Tcp)?;
    let path = PathBuf::from(place.path);
    let (_, original) = ama.templates.iter().find(|(t, _)| t.file_name() == path.file_name())?;
    let content = Some(files::with_port(original, port)?);
    Some(Mend { path, content, why: "the agent's own forward, from its original".into(), wait_first: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ama::SocketState;

    const OMFWD: &str = "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf";
    const FILE: &[u8] = b"# Azure\n*.* action(type=\"omfwd\" target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";

    fn said(port: u16) -> Option<Result<String, String>> {
        Some(Ok(port.to_string()))
    }

    /// The port that a mended file forwards to.
    fn port(mend: &Mend) -> Option<u16> {
        DaemonFile::read(mend.path.to_str().unwrap(), mend.content.as_ref().unwrap()).port
    }

    fn good() -> Ama {
        Ama {
            port: said(28330),
            marker: Some(Ok("true".into())),
            files: vec![DaemonFile::read(OMFWD, FILE)],
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
        let found = judged(&Ama { port: said(31000), ..good() });
        let mend = found[0].mend.as_ref().unwrap();
        assert_eq!((found.len(), port(mend)), (1, Some(31000)));
    }

    #[test]
    fn a_missing_file_comes_from_the_original_with_the_real_port() {
        let found = judged(&Ama { port: said(31000), files: vec![], ..good() });
        let mend = found[0].mend.as_ref().unwrap();
        assert_eq!((mend.path.to_str(), port(mend)), (Some(OMFWD), Some(31000)));
        let found = judged(&Ama { files: vec![], templates: vec![], ..good() });
        assert!(found[0].mend.is_none() && found[0].hint.contains("shim.sh"));
    }

    #[test]
    fn a_damaged_file_comes_from_the_original() {
        let broken = |content: &[u8]| Ama { files: vec![DaemonFile::read(OMFWD, content)], ..good() };
        let cut = &FILE[..FILE.len() - 20];
        let found = judged(&broken(cut));
        assert!(found.len() == 1 && found[0].what.contains("damaged"), "{found:?}");
        assert_eq!(found[0].mend.as_ref().map(|m| (m.content.as_deref(), m.wait_first)), Some((Some(FILE), false)));
        let found = judged(&broken(b"auth.* /var/log/auth\n"));
        assert!(found.len() == 1 && found[0].mend.is_some(), "{found:?}");
    }

    #[test]
    fn without_a_rule_the_rule_is_what_is_missing() {
        for marker in [None, Some(Ok("false".to_owned()))] {
            let found = judged(&Ama { marker, files: vec![], ..good() });
            assert_eq!((found.len(), found[0].id), (1, "ama.dcr-present"));
        }
    }

    #[test]
    fn a_source_that_is_not_there() {
        let text = b"log { source(s_src); destination(d_azure_mdsd); };\ndestination d_azure_mdsd { network(\"127.0.0.1\" port(28330)); };\n";
        let path = "/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf";
        let ama = Ama { files: vec![DaemonFile::read(path, text)], ..good() };
        let sources =
            Sources { defined: vec!["s_net".to_owned(), "s_sys".to_owned()], local: Some("s_sys".to_owned()) };
        let found = judge(&ama, Daemon::SyslogNg, &[Stream::Cef], Some(&sources));
        let mend = found[0].mend.as_ref().unwrap();
        assert!(String::from_utf8_lossy(mend.content.as_ref().unwrap()).contains("log { source(s_sys);"));
        let there = Sources { defined: vec!["s_src".to_owned()], local: None };
        assert_eq!(judge(&ama, Daemon::SyslogNg, &[Stream::Cef], Some(&there)), []);
    }

    #[test]
    fn after_an_update_the_old_way_gives_place_to_the_new_one() {
        const OLD: &[u8] = b"$OMUxSockSocket /run/azuremonitoragent/default_syslog.socket\n*.* :omuxsock:\n";
        let old = DaemonFile::read("/etc/rsyslog.d/10-azuremonitoragent.conf", OLD);
        let paths = |ama: &Ama| -> Vec<(String, bool)> {
            let mends = judged(ama).into_iter().filter_map(|f| f.mend);
            mends.map(|m| (m.path.file_name().unwrap().to_string_lossy().into_owned(), m.content.is_some())).collect()
        };
        let (new, gone) = ("10-azuremonitoragent-omfwd.conf".to_owned(), "10-azuremonitoragent.conf".to_owned());
        let loader = "05-azuremonitoragent-loadomuxsock.conf".to_owned();
        let updated = Ama { files: vec![old.clone()], loader: true, ..good() };
        assert_eq!(paths(&updated), [(new, true), (gone.clone(), false), (loader.clone(), false)]);
        let beside = Ama { files: vec![good().files.remove(0), old], ..good() };
        assert_eq!(paths(&beside), [(gone, false)]);
        // The old way itself, as long as the agent has its socket.
        let socket = SocketState { exists: true, bound: Some(true) };
        let usual = Ama { socket: socket.clone(), ..updated.clone() };
        assert_eq!(judged(&usual), []);
        let template = (format!("{}/rsyslogconf/{loader}", paths::TEMPLATES).into(), b"$ModLoad omuxsock\n".to_vec());
        let without = Ama { loader: false, templates: vec![template], ..usual };
        assert_eq!(paths(&without), [(loader, true)]);
        // No port and no socket: only the agent can mend that.
        let dead = judged(&Ama { port: None, ..updated });
        assert!(dead.len() == 1 && dead[0].fatal && dead[0].mend.is_none(), "{dead:?}");
    }

    #[test]
    fn what_is_no_file_is_named_and_left() {
        let place = files::PLACES.into_iter().find(|p| p.path == OMFWD).unwrap();
        let found = judged(&Ama { files: vec![DaemonFile::of(&place, Err("not a regular file".into()))], ..good() });
        assert!(
            found.len() == 1 && found[0].what.contains("not a regular file") && found[0].mend.is_none(),
            "{found:?}"
        );
    }

    #[test]
    fn an_original_takes_from_a_source_that_is_there() {
        const NG: &[u8] = b"destination d_azure_mdsd { network(\"127.0.0.1\" port(28330)); };\nlog { source(s_src); destination(d_azure_mdsd); };\n";
        let template = (format!("{}/syslog-ngconf/azuremonitoragent-tcp.conf", paths::TEMPLATES).into(), NG.to_vec());
        let ama = Ama { files: vec![], templates: vec![template], ..good() };
        let sources = Sources { defined: vec!["s_sys".to_owned()], local: Some("s_sys".to_owned()) };
        let found = judge(&ama, Daemon::SyslogNg, &[Stream::Cef], Some(&sources));
        let mend = found[0].mend.as_ref().unwrap();
        assert!(String::from_utf8_lossy(mend.content.as_ref().unwrap()).contains("source(s_sys);"), "{found:?}");
    }
}
