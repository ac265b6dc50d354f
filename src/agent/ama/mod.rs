//! The Azure Monitor Agent ("AMA") as far as a collector has to know it: which port it takes syslog on, whether its own
//! file in the daemon's configuration is there and names that port, what its data collection rules ask for. It is
//! installed by Azure, never by us. Facts sections 3.1 to 3.6. Read here, once, for `install` and `troubleshoot`.

pub mod dcr;
pub mod files;
pub mod handover;
pub mod judge;
pub mod paths;
pub mod qos;
pub mod rules;
pub mod standing;
pub mod steps;
pub mod version;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::{FileKind, Root};

pub use dcr::{Chunk, Stream};
pub use files::{Daemon, DaemonFile, Entry, Transport};
pub use judge::{Finding, Mend};

/// Files of rules that are read.
const MOST_RULES: usize = 200;
/// Bytes of one.
const RULE_CAP: u64 = 2 << 20;
/// Bytes of a file of one word.
const WORD_CAP: u64 = 4096;

/// What the agent's files say. A `Result` is what a file holds, or why it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ama {
    /// `mdsd` is there.
    pub program: bool,
    /// Its configuration folder is there.
    pub conf: bool,
    /// `syslog.port`, the port it takes syslog on; `None`: the file is not there.
    pub port: Option<Result<String, String>>,
    /// `syslog.marker`, by which it tells its watcher that a rule wants syslog.
    pub marker: Option<Result<String, String>>,
    /// Its files in the daemons' configurations.
    pub files: Vec<DaemonFile>,
    /// The file beside them by which rsyslog knows the socket is there.
    #[serde(default)]
    pub loader: bool,
    /// Its own originals of those files, and what they hold.
    #[serde(skip)]
    pub templates: Vec<(PathBuf, Vec<u8>)>,
    /// Its unix socket: the way of versions before 1.28.11.
    pub socket: SocketState,
    /// `None`: the folder of rules is not there.
    pub chunks: Option<Result<Vec<Chunk>, String>>,
}

/// The unix socket of older or SELinux boxes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketState {
    /// A socket is at its path.
    pub exists: bool,
    /// A process holds it open; `None`: could not be seen.
    pub bound: Option<bool>,
}

impl SocketState {
    /// Nobody takes what is sent there.
    pub fn is_dead(&self) -> bool {
        !self.exists || self.bound == Some(false)
    }
}

impl Ama {
    pub fn gather(root: &Root) -> Ama {
        let there = |path: &str| matches!(root.stat(Path::new(path)), Ok(Some(_)));
        let daemon_file = |p: files::Place| {
            let path = Path::new(p.path);
            // a link to nothing, and a folder, are in the daemon's way as well
            there(p.path).then(|| DaemonFile::of(&p, root.read(path).map_err(|e| e.to_string())))
        };
        Ama {
            program: there(paths::MDSD),
            conf: there(paths::CONF),
            port: word(root, paths::PORT_FILE),
            marker: word(root, paths::MARKER),
            files: files::PLACES.into_iter().filter_map(daemon_file).collect(),
            loader: there(files::LOADER),
            templates: templates(root),
            socket: socket(root),
            chunks: chunks(root),
        }
    }

    /// Its configuration is there, its program is not.
    pub fn is_gone(&self) -> bool {
        self.conf && !self.program
    }

    /// The port that it says.
    pub fn port_number(&self) -> Option<u16> {
        self.port.as_ref()?.as_ref().ok()?.parse().ok().filter(|port| *port != 0)
    }

    /// A rule wants syslog, as it has told its watcher.
    pub fn is_told(&self) -> bool {
        let text = self.marker.as_ref().and_then(|m| m.as_ref().ok());
        text.is_some_and(|t| t.trim_start_matches('\u{feff}').eq_ignore_ascii_case("true"))
    }

    /// Files of rules.
    pub fn chunks(&self) -> &[Chunk] {
        self.chunks.as_ref().and_then(|c| c.as_ref().ok()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Rules that can be read.
    pub fn rules(&self) -> impl Iterator<Item = &rules::Rule> {
        self.chunks().iter().filter_map(|c| c.rule.as_ref().ok())
    }

    /// Does a rule want syslog? One that cannot be read may: `None`.
    pub fn wants_syslog(&self) -> Option<bool> {
        let unread = matches!(self.chunks, Some(Err(_))) || self.chunks().iter().any(|c| c.rule.is_err());
        match self.rules().any(|r| !r.syslog.is_empty()) {
            true => Some(true),
            false if unread => None,
            false => Some(false),
        }
    }

    /// Does a rule ask for security events? One that cannot be read may.
    pub fn is_asked(&self) -> bool {
        let security = [rules::Stream::Cef, rules::Stream::Asa];
        let open = self.wants_syslog() != Some(true) && self.rules().all(rules::Rule::is_settings);
        self.is_told() && (open || self.rules().any(|r| security.iter().any(|s| r.has(*s))))
    }

    /// Where it takes the events of a daemon; `port` is the one over TCP.
    pub fn entry(&self, daemon: Daemon, port: u16) -> Entry {
        match self.transport(daemon) {
            Transport::Tcp => Entry::Tcp(port),
            Transport::Socket => Entry::Socket,
        }
    }

    /// Over what a daemon hands events over: as the agent's own files have it; without one, as it can take them. A file for
    /// the socket from before an update counts no more when nobody listens there.
    pub fn transport(&self, daemon: Daemon) -> Transport {
        let file = |transport: Transport| self.of(daemon).any(|f| f.transport == transport);
        let moved = self.port_number().is_some() && self.socket.is_dead();
        match (file(Transport::Tcp), file(Transport::Socket)) {
            (false, false) if self.port.is_none() && self.socket.exists => Transport::Socket,
            (false, true) if !moved => Transport::Socket,
            _ => Transport::Tcp,
        }
    }

    /// Its files in the configuration of a daemon.
    pub fn of(&self, daemon: Daemon) -> impl Iterator<Item = &DaemonFile> {
        self.files.iter().filter(move |f| f.daemon == daemon)
    }
}

/// A file of one word.
fn word(root: &Root, path: &str) -> Option<Result<String, String>> {
    match root.read_capped(Path::new(path), WORD_CAP) {
        Ok(text) => Some(Ok(String::from_utf8_lossy(&text).trim().to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => Some(Err(format!("{path}: {e}"))),
    }
}

fn templates(root: &Root) -> Vec<(PathBuf, Vec<u8>)> {
    let folders = ["rsyslogconf", "syslog-ngconf"].map(|f| Path::new(paths::TEMPLATES).join(f));
    let all = folders.iter().flat_map(|f| root.list(f).unwrap_or_default().into_iter().map(move |name| f.join(name)));
    all.filter_map(|path| root.read_opt(&path).ok()?.map(|text| (path, text))).collect()
}

fn chunks(root: &Root) -> Option<Result<Vec<Chunk>, String>> {
    let dir = Path::new(paths::CHUNKS);
    let names = match root.list(dir) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return Some(Err(format!("{}: {e}", paths::CHUNKS))),
    };
    let chunk = |name: std::ffi::OsString| {
        let path = dir.join(&name);
        let meta = root.stat(&root.resolve(&path).ok()?).ok()??;
        let name = name.to_string_lossy().into_owned();
        let is_rule = name.ends_with(".json") && meta.kind != FileKind::Dir;
        is_rule.then(|| {
            let text = root.read_capped(&path, RULE_CAP).map_err(|e| e.to_string());
            Chunk::read(&name, meta.mtime, text.as_deref().map_err(Clone::clone))
        })
    };
    Some(Ok(names.into_iter().filter_map(chunk).take(MOST_RULES).collect()))
}

fn socket(root: &Root) -> SocketState {
    let exists = matches!(root.stat(Path::new(paths::SOCKET)), Ok(Some(m)) if m.kind == FileKind::Other);
    let bound = root.read(Path::new("/proc/net/unix")).ok().map(|text| is_bound(&text, paths::SOCKET));
    SocketState { exists, bound }
}

/// `Num: RefCount Protocol Flags Type St Inode Path`; the path is there as long as somebody holds the socket.
fn is_bound(text: &[u8], path: &str) -> bool {
    let other = path.strip_prefix("/run/").map(|rest| format!("/var/run/{rest}")).unwrap_or_default();
    String::from_utf8_lossy(text).lines().filter_map(|l| l.split_whitespace().nth(7)).any(|p| p == path || p == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_bound_while_its_path_is_listed() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
                      0000000000000000: 00000002 00000000 00000000 0002 01 12345 /run/azuremonitoragent/default_syslog.socket\n\
                      0000000000000000: 00000002 00000000 00000000 0002 01 12346\n";
        assert!(is_bound(table, paths::SOCKET));
        assert!(!is_bound(table, "/run/azuremonitoragent/default_syslog"));
        assert!(!is_bound(b"\xff", paths::SOCKET));
    }

    #[test]
    fn the_marker_is_a_word() {
        for (text, told) in [("true", true), ("True", true), ("\u{feff}true", true), ("false", false), ("", false)] {
            assert_eq!(Ama { marker: Some(Ok(text.into())), ..Ama::default() }.is_told(), told, "{text:?}");
        }
    }
}
