//! What the agents need around them inside a host: the way out (tests/stand_ins/cloud.py on 127.0.0.1:443 with an own
//! authority that the host trusts), the bundle, workspaces whose keys are known.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::certificates;
use crate::host::{Host, Output, wait_for};

pub const WORKSPACE: &str = "0a1b2c3d-1111-2222-3333-444455556666";
/// Base64 of 64 bytes, and nothing that occurs by accident: everything is searched for it.
pub const KEY: &str = "Q0FOQVJZLXdvcmtzcGFjZS1rZXktQ0FOQVJZLXdvcmtzcGFjZS1rZXktQ0FOQVJZLXdvcmtzcGFjZS1rZXktIQ==";
pub const PROXY_PORT: u16 = 3128;
pub const PROXY: &str = "http://user:p%40ss%20word%2F1@127.0.0.1:3128";
const STATE: &str = "/var/lib/stand-in/cloud";

pub struct Lab<'a> {
    pub host: &'a Host,
}

impl<'a> Lab<'a> {
    pub fn start(host: &'a Host) -> Result<Lab<'a>> {
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let made = certificates::make("Microsoft Corporation", &names);
        host.put(&format!("{STATE}/server.pem"), &made.server);
        host.put(&format!("{STATE}/server.key"), &made.key);
        host.put(&format!("{STATE}/workspaces.json"), format!("{{\"{WORKSPACE}\": \"{KEY}\"}}"));
        host.put(&format!("{STATE}/files/omsagent-1.19.0-0.universal.x64.sh"), bundle()?);
        host.put("/usr/local/lib/stand-in/cloud.py", include_bytes!("../../stand_ins/cloud.py"));
        host.put("/etc/ssl/certs/ca-certificates.crt", &made.authority);
        host.sh(&format!("echo 127.0.0.1 {} >>/etc/hosts", names.join(" ")));
        let lab = Lab { host };
        lab.resume()?;
        Ok(lab)
    }

    pub fn resume(&self) -> Result<()> {
        self.host.sh(&format!(
            "rm -f {STATE}/ports; systemd-run --quiet --unit=stand-in-cloud /usr/bin/python3 \
             /usr/local/lib/stand-in/cloud.py {STATE} {STATE}/server.pem {STATE}/server.key 443 {PROXY_PORT}"
        ));
        wait_for("the way out is there", Duration::from_secs(10), || {
            (!self.host.get(&format!("{STATE}/ports")).is_empty()).then_some(())
        })
    }

    /// The service shows a certificate by another authority from now on, which is given back as PEM.
    pub fn issued_by(&self, organisation: &str) -> Result<String> {
        let names = names();
        let made = certificates::make(organisation, &names.iter().map(String::as_str).collect::<Vec<_>>());
        self.host.put(&format!("{STATE}/server.pem"), &made.server);
        self.host.put(&format!("{STATE}/server.key"), &made.key);
        self.host.sh("systemctl stop stand-in-cloud");
        self.resume()?;
        Ok(made.authority)
    }

    /// How the service looks to everybody, see cloud.py; 0 is as it should.
    pub fn looks(&self, what: &str, value: i64) {
        self.host.put(&format!("{STATE}/{what}"), value.to_string());
    }

    pub fn requests(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.host.get(&format!("{STATE}/requests.log"))).lines().map(str::to_owned).collect()
    }

    /// The service answers every registration with this status; 0: as it should.
    pub fn status(&self, status: u16) {
        self.host.put(&format!("{STATE}/status"), status.to_string());
    }

    pub fn bundle_code(&self, code: u8) {
        self.host.put("/etc/stand-in/bundle-code", code.to_string());
    }

    /// The documented one-liner, with options.
    pub fn install(&self, options: &[&str]) -> Output {
        self.host.cefctl(&[&["install", WORKSPACE, KEY], options].concat())
    }

    pub fn unit(&self) -> String {
        format!("omsagent-{WORKSPACE}.service")
    }

    /// What the agent took so far, line by line.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let bytes = self.host.get(&format!("/var/opt/microsoft/omsagent/{WORKSPACE}/state/received"));
        bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// What the agent took, also after it was removed: the stand-in's uninstaller keeps a copy for this.
    pub fn kept(&self) -> Vec<Vec<u8>> {
        let bytes = self.host.get("/var/lib/stand-in/kept");
        bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
    }

    pub fn is_running(&self) -> bool {
        self.host.unit(&self.unit(), "ActiveState") == "active"
    }
}

/// Names that the service answers to.
fn names() -> Vec<String> {
    let mut names = ["oms", "ods"].map(|kind| format!("{WORKSPACE}.{kind}.opinsights.azure.com")).to_vec();
    names.push(format!("{WORKSPACE}.agentsvc.azure-automation.net"));
    names.extend(["global", "westeurope"].map(|region| format!("{region}.handler.control.monitor.azure.com")));
    names.extend(["github.com", "mirror.test", "ws.ods.opinsights.azure.com"].map(str::to_owned));
    names
}

/// The stand-in bundle: script and archive in one file, as the real one.
pub fn bundle() -> Result<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_ins/oms");
    let mut file = std::fs::read(folder.join("bundle.sh"))?;
    let args = ["--owner=0", "--group=0", "--mode=u=rwX,go=rX", "-cf", "-", "bin", "plugin"];
    let tar = Command::new("tar").arg("-C").arg(&folder).args(args).output()?;
    ensure!(tar.status.success(), "tar: {}", String::from_utf8_lossy(&tar.stderr));
    file.extend(tar.stdout);
    Ok(file)
}
