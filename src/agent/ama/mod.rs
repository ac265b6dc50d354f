//! The Azure Monitor Agent ("AMA") as far as a collector has to know it: which port it takes syslog on, whether its own
//! file in the daemon's configuration is there and names that port, what its data collection rules ask for. It is
//! installed by Azure, never by us. Facts sections 3.1 to 3.6.

pub mod dcr;
pub mod files;
pub mod judge;
pub mod paths;
pub mod qos;
pub mod rules;
pub mod standing;
pub mod steps;
pub mod version;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::Root;

pub use dcr::{Chunk, Stream};
pub use files::{Daemon, DaemonFile, Entry, Transport};
pub use judge::{Finding, Mend};

/// What the agent's files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ama {
    /// Its configuration is there, its program is not.
    #[serde(default)]
    pub gone: bool,
    /// The port it takes syslog on, from its own port file.
    pub port: Option<u16>,
    /// A data collection rule wants syslog; `None` where the marker is missing.
    pub marker: Option<bool>,
    /// Its files in the daemons' configurations.
    pub files: Vec<DaemonFile>,
    /// Its own originals of those files, and what they hold.
    pub templates: Vec<(PathBuf, Vec<u8>)>,
    /// Its unix socket is there: the way of versions before 1.28.11.
    #[serde(default)]
    pub socket: bool,
    pub chunks: Vec<Chunk>,
    /// Chunks that are no JSON, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Ama {
    /// Reads them. What cannot be read counts as not there.
    pub fn gather(root: &Root) -> Ama {
        let text = |path: &str| {
            let bytes = root.read_opt(Path::new(path)).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        let there = |path: &str| matches!(root.stat(Path::new(path)), Ok(Some(_)));
        let mut ama = Ama {
            gone: there(paths::CONF) && !there(paths::MDSD),
            port: text(paths::PORT_FILE).and_then(|t| t.parse().ok()).filter(|port| *port != 0),
            socket: there(paths::SOCKET),
            marker: text(paths::MARKER).map(|t| t.eq_ignore_ascii_case("true")),
            ..Ama::default()
        };
        for files::Place { path, daemon, transport } in files::PLACES {
            if let Ok(Some(content)) = root.read_opt(Path::new(path)) {
                ama.files.push(DaemonFile::read(path, daemon, transport, content));
            }
        }
        for folder in ["rsyslogconf", "syslog-ngconf"] {
            let folder = Path::new(paths::TEMPLATES).join(folder);
            for name in root.list(&folder).unwrap_or_default() {
                let path = folder.join(name);
                if let Ok(Some(content)) = root.read_opt(&path) {
                    ama.templates.push((path, content));
                }
            }
        }
        let chunks = Path::new(paths::CHUNKS);
        for name in root.list(chunks).unwrap_or_default() {
            let path = chunks.join(&name);
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            match root.read(&path).map_err(|e| e.to_string()).and_then(|text| Chunk::parse(&path, &text)) {
                Ok(chunk) => ama.chunks.push(chunk),
                Err(why) => ama.unreadable.push((path, why)),
            }
        }
        ama
    }

    /// Does a rule ask for security events? One that cannot be read may.
    pub fn is_asked(&self) -> bool {
        let security = dcr::has(&self.chunks, Stream::Cef) || dcr::has(&self.chunks, Stream::Asa);
        self.marker == Some(true) && (security || self.chunks.is_empty() || !self.unreadable.is_empty())
    }

    /// Where it takes the events of a daemon; `port` is the one over TCP.
    pub fn entry(&self, daemon: Daemon, port: u16) -> Entry {
        let files = self.files.iter().filter(|f| f.daemon == daemon).map(|f| f.transport);
        match files::transport(files, self.port.is_some(), self.socket) {
            Transport::Tcp => Entry::Tcp(port),
            Transport::Socket => Entry::Socket,
        }
    }

    /// The file that is in use for a daemon: of two, the one over TCP.
    pub fn file(&self, daemon: Daemon) -> Option<&DaemonFile> {
        let mut files = self.files.iter().filter(|f| f.daemon == daemon);
        let first = files.next();
        files.find(|f| f.transport == Transport::Tcp).or(first)
    }
}
