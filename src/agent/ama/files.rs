//! The agent's own files in the daemons' configurations (facts 3.3), read for the two things that matter: over what they
//! forward, and to which port.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::paths::SOCKET;
use crate::syslog::syslogng::effective::DestKind;
use crate::syslog::{MapSource, rsyslog, syslogng};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    Rsyslog,
    SyslogNg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Tcp,
    Socket,
}

/// Where the agent takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// On a port of 127.0.0.1.
    Tcp(u16),
    /// On its unix socket: before 1.28.11, and where SELinux is on without `semanage`.
    Socket,
}

/// What the agent's watcher puts into the configuration of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub path: &'static str,
    pub daemon: Daemon,
    pub transport: Transport,
}

const fn place(path: &'static str, daemon: Daemon, transport: Transport) -> Place {
    Place { path, daemon, transport }
}

/// Where they are.
pub const PLACES: [Place; 4] = [
    place("/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf", Daemon::Rsyslog, Transport::Tcp),
    place("/etc/rsyslog.d/10-azuremonitoragent.conf", Daemon::Rsyslog, Transport::Socket),
    place("/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf", Daemon::SyslogNg, Transport::Tcp),
    place("/etc/syslog-ng/conf.d/azuremonitoragent.conf", Daemon::SyslogNg, Transport::Socket),
];

/// Is it one of the agent's own files?
pub fn is_own(path: &Path) -> bool {
    PLACES.iter().any(|p| Path::new(p.path) == path)
}

/// Loads the module by which rsyslog hands events to the socket; beside the file that does.
pub const LOADER: &str = "/etc/rsyslog.d/05-azuremonitoragent-loadomuxsock.conf";

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonFile {
    pub path: PathBuf,
    pub daemon: Daemon,
    pub transport: Transport,
    /// Why what lies there cannot be read: a folder, a link to nothing.
    pub unread: Option<String>,
    /// It hands events to this machine in the way that its name says.
    pub hands: bool,
    /// Of a TCP forward to this machine.
    pub port: Option<u16>,
    /// Sources that a syslog-ng file takes from.
    pub sources: Vec<String>,
    /// The daemon gives up reading in it, or behind it.
    pub damaged: bool,
    #[serde(skip)]
    pub content: Vec<u8>,
}

impl DaemonFile {
    pub fn of(place: &Place, content: Result<Vec<u8>, String>) -> DaemonFile {
        let (unread, content) = match content {
            Ok(content) => (None, content),
            Err(why) => (Some(why), Vec::new()),
        };
        let told = told(place.daemon, &content);
        DaemonFile {
            path: place.path.into(),
            daemon: place.daemon,
            transport: place.transport,
            unread,
            hands: match place.transport {
                Transport::Tcp => told.port.is_some(),
                Transport::Socket => told.socket,
            },
            port: told.port.filter(|_| place.transport == Transport::Tcp),
            sources: told.sources,
            damaged: told.damaged,
            content,
        }
    }

    /// Read as the file of that path.
    #[cfg(test)]
    pub(crate) fn read(path: &str, content: &[u8]) -> DaemonFile {
        let place = PLACES.into_iter().find(|p| p.path == path).expect("a place of the agent's");
        DaemonFile::of(&place, Ok(content.to_vec()))
    }
}

/// What a daemon makes of a file of the agent's, by itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    port: Option<u16>,
    socket: bool,
    sources: Vec<String>,
    damaged: bool,
}

fn told(daemon: Daemon, content: &[u8]) -> Told {
    let main = Path::new("/file");
    let alone = MapSource::new().with(main, content);
    match daemon {
        Daemon::Rsyslog => {
            let read = rsyslog::Effective::load(main, &alone);
            let port = read.forwards().filter(|(action, f)| action.enabled && f.is_loopback() && f.is_plain_tcp());
            let port = port.filter_map(|(_, f)| f.port_number()).next();
            Told {
                port,
                socket: read.actions.iter().any(|a| a.module.is("omuxsock")),
                sources: Vec::new(),
                damaged: read.stopped.is_some() || read.problems.iter().any(|p| p.topic == rsyslog::Topic::Syntax),
            }
        }
        Daemon::SyslogNg => {
            let read = syslogng::Effective::load(main, &alone);
            let error = |p: &&syslogng::Problem| p.severity == syslogng::Severity::Error;
            let drivers = || read.destinations.iter().flat_map(|d| &d.drivers);
            let port = drivers().find_map(|d| match &d.kind {
                DestKind::Forward(f) if f.is_loopback() && f.is_plain_tcp() => f.port_number(),
                _ => None,
            });
            Told {
                port,
                socket: drivers().any(|d| is_socket(&d.kind)),
                sources: sources(content),
                damaged: read.problems.iter().filter(error).any(|p| p.topic == syslogng::Topic::Syntax),
            }
        }
    }
}

/// Sources that a file of syslog-ng takes from, whether they are there or not.
pub fn sources(content: &[u8]) -> Vec<String> {
    let mut sources: Vec<String> = arguments(&code(content), "source").map(str::to_owned).collect();
    sources.dedup();
    sources
}

/// The agent's unix socket.
pub fn is_socket(kind: &DestKind) -> bool {
    matches!(kind, DestKind::Unix { path, stream: false } if path.as_bytes() == SOCKET.as_bytes())
}

/// Does a daemon give up in a file of this content? One that is cut short makes it stumble in the next file only.
pub fn is_damaged(daemon: Daemon, content: &[u8]) -> bool {
    told(daemon, content).damaged
}

/// The text without comments.
fn code(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    text.lines().map(|l| l.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// What stands in the brackets behind each `word`.
fn arguments<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    text.match_indices(word).filter_map(move |(at, found)| {
        let rest = text.get(at + found.len()..)?.trim_start().strip_prefix('(')?;
        Some(rest.split(')').next()?.trim())
    })
}

/// Where the port's digits stand: `Port="28330"` or `port(28330)`, outside comments.
fn port_place(content: &[u8]) -> Option<std::ops::Range<usize>> {
    let text = String::from_utf8_lossy(content).to_ascii_lowercase();
    if text.len() != content.len() {
        return None;
    }
    text.match_indices("port").find_map(|(at, word)| {
        let line = text.get(..at)?.rfind('\n').map_or(0, |n| n + 1);
        if text.get(line..at)?.contains('#') {
            return None;
        }
        let rest = text.get(at + word.len()..)?;
        let skipped = rest.len() - rest.trim_start_matches([' ', '=', '"', '(']).len();
        let digits = rest.get(skipped..)?.chars().take_while(char::is_ascii_digit).count();
        let start = at + word.len() + skipped;
        (digits > 0 && skipped > 0).then_some(start..start + digits)
    })
}

/// The file with another port; `None` where it names none.
pub fn with_port(content: &[u8], port: u16) -> Option<Vec<u8>> {
    let place = port_place(content)?;
    let mut new = content.to_vec();
    new.splice(place, port.to_string().into_bytes());
    Some(new)
}

/// A syslog-ng file that takes from other sources.
pub fn with_sources(content: &[u8], from: &str, to: &[String]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let new: Vec<String> = to.iter().map(|s| format!("source({s})")).collect();
    text.replace(&format!("source({from})"), &new.join("; ")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OMFWD: &str = "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf";
    const RSYSLOG: &[u8] = b"# Azure Monitor Agent configuration: forward logs to azuremonitoragent, port 1\n\
        template(name=\"AMA_RSYSLOG_TraditionalForwardFormat\" type=\"string\" string=\"<%PRI%>\")\n\
        *.* action(type=\"omfwd\"\ntemplate=\"AMA_RSYSLOG_TraditionalForwardFormat\" target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";
    const SYSLOG_NG: &[u8] =
        b"# Azure\ndestination d_azure_mdsd {\n\tnetwork(\"127.0.0.1\" port(28330) log-fifo-size(25000));\n};\n\
        log { source(s_src); # will be automatically parsed\n destination(d_azure_mdsd); flags(flow-control); };\n";

    #[test]
    fn ports_are_found_and_replaced() {
        let (of_rsyslog, of_ng) =
            (|text: &[u8]| told(Daemon::Rsyslog, text).port, |text: &[u8]| told(Daemon::SyslogNg, text).port);
        assert_eq!((of_rsyslog(RSYSLOG), of_ng(SYSLOG_NG)), (Some(28330), Some(28330)));
        let new = with_port(RSYSLOG, 31000).unwrap();
        assert_eq!(of_rsyslog(&new), Some(31000));
        assert!(String::from_utf8_lossy(&new).contains("Port=\"31000\" Protocol"));
        assert!(with_port(SYSLOG_NG, 1).unwrap().windows(7).any(|w| w == b"port(1)"));
        assert_eq!(with_port(b"# port=\"1\"\n", 2), None);
    }

    #[test]
    fn what_is_cut_short_is_damaged_wherever_it_is_cut() {
        for (daemon, whole) in [(Daemon::Rsyslog, RSYSLOG), (Daemon::SyslogNg, SYSLOG_NG)] {
            assert!(!is_damaged(daemon, whole) && !is_damaged(daemon, b"# Azure\n") && !is_damaged(daemon, b""));
            let crlf = String::from_utf8_lossy(whole).replace('\n', "\r\n");
            assert!(!is_damaged(daemon, crlf.as_bytes()));
            for cut in [3, 20, 40, 60] {
                let text = String::from_utf8_lossy(&whole[..whole.len() - cut]).into_owned();
                assert!(is_damaged(daemon, text.as_bytes()), "{daemon:?}: {text}");
            }
            assert!(is_damaged(daemon, b"this is } not { a config\n"), "{daemon:?}");
        }
    }

    #[test]
    fn what_goes_elsewhere_is_not_handed_to_the_agent() {
        let of = |from: &str, to: &str| {
            let text = String::from_utf8_lossy(RSYSLOG).replace(from, to);
            DaemonFile::read(OMFWD, text.as_bytes()).hands
        };
        assert!(of("", "") && of("\"127.0.0.1\"", "\"localhost\""));
        assert!(!of("127.0.0.1", "10.9.9.9") && !of("\"tcp\"", "\"udp\"") && !of("*.* action", "#*.* action"));
        let of = |from: &str, to: &str| {
            let text = String::from_utf8_lossy(SYSLOG_NG).replace(from, to);
            told(Daemon::SyslogNg, text.as_bytes()).port
        };
        assert_eq!((of("127.0.0.1\"", "10.9.9.9\""), of("\" port", "\" transport(udp) port")), (None, None));
        let socket = "$OMUxSockSocket /run/azuremonitoragent/default_syslog.socket\n*.* :omuxsock:\n";
        assert!(DaemonFile::read("/etc/rsyslog.d/10-azuremonitoragent.conf", socket.as_bytes()).hands);
        assert!(!DaemonFile::read("/etc/rsyslog.d/10-azuremonitoragent.conf", RSYSLOG).hands);
    }

    #[test]
    fn sources_and_emptiness() {
        let file = DaemonFile::read("/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf", SYSLOG_NG);
        assert_eq!((file.sources, file.hands), (vec!["s_src".to_owned()], true));
        let empty = DaemonFile::read(OMFWD, b"# Azure\n\n");
        assert!(!empty.hands && empty.port.is_none() && !empty.damaged);
        let moved = with_sources(SYSLOG_NG, "s_src", &["s_sys".into(), "s_net".into()]);
        assert!(String::from_utf8_lossy(&moved).contains("log { source(s_sys); source(s_net); #"));
    }
}
