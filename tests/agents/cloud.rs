//! tests/stand_ins/cloud.py as a process of the test's.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificates;

pub struct Cloud {
    process: Child,
    folder: tempfile::TempDir,
    pub port: u16,
    pub proxy: u16,
    /// Of the authority, as PEM.
    pub roots: Vec<u8>,
}

impl Cloud {
    pub fn start() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = certificates::make("Test Authorities", &["localhost"]);
        std::fs::create_dir(at("files")).unwrap();
        std::fs::write(at("server.pem"), &made.server).unwrap();
        std::fs::write(at("server.key"), &made.key).unwrap();
        std::fs::write(at("workspaces.json"), "{}").unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand_ins/cloud.py");
        let process = Command::new("python3")
            .args([PathBuf::from(script), folder.path().to_owned(), at("server.pem"), at("server.key")])
            .stdin(Stdio::null())
            .spawn()
            .expect("python3");
        let end = Instant::now() + Duration::from_secs(20);
        let ports = loop {
            if let Ok(text) = std::fs::read_to_string(at("ports")) {
                break text;
            }
            assert!(Instant::now() < end, "cloud.py did not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut ports = ports.split_whitespace().map(|p| p.parse().unwrap());
        let (port, proxy) = (ports.next().unwrap(), ports.next().unwrap());
        Cloud { process, folder, port, proxy, roots: made.authority.into_bytes() }
    }

    pub fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join("files").join(name), content).unwrap();
    }

    pub fn url(&self, rest: &str) -> String {
        format!("https://localhost:{}/files/{rest}", self.port)
    }

    pub fn requests(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("requests.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
