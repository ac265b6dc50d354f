//! Is the agent really there? Asked of the kernel and the agent's files, not of any program's exit code.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::agent::oms::log;
use crate::agent::oms::paths::{self, Workspace};
use crate::cli::exit::hint;
use crate::host::proc_net::{Socket, Transport};
use crate::host::{Cmd, Host, Interrupt, facts};

/// The Log Analytics agent's own limit for a start is 18 s (facts 1.5).
const START: Duration = Duration::from_secs(30);
/// Of the log, for its reasons. Bytes.
const LOG_END: u64 = 64 << 10;

/// Waits until somebody listens on the agent's port.
///
/// # Errors
/// Nobody does, and what the agent's log says about it.
pub fn listens(host: &Host, interrupt: &Interrupt, port: u16, place: Option<&Workspace>) -> anyhow::Result<()> {
    let end = host.clock.monotonic() + START;
    let mut pause = Duration::from_millis(10);
    while !is_open(host, port) {
        if interrupt.is_set() || host.clock.monotonic() >= end {
            return Err(silent(host, port, place));
        }
        host.clock.sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(250));
    }
    Ok(())
}

fn is_open(host: &Host, port: u16) -> bool {
    let keep = |s: &Socket| s.transport == Transport::Tcp && s.is_open() && s.local.port() == port;
    let found = facts::sockets(&host.root, &*host.clock, &keep, &[], u64::MAX, Duration::from_secs(2));
    let local = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
    found.is_ok_and(|f| f.sockets.iter().any(|s| s.takes(local)))
}

fn silent(host: &Host, port: u16, place: Option<&Workspace>) -> anyhow::Error {
    let what = format!("the agent does not listen on 127.0.0.1:{port}");
    let Some(place) = place else {
        return anyhow!(hint(
            "systemctl status azuremonitoragent; tail /var/opt/microsoft/azuremonitoragent/log/mdsd.err"
        ))
        .context(what);
    };
    let text = facts::tail(&host.root, &place.log(), LOG_END).unwrap_or_default();
    let mut error = anyhow!(hint(format!("systemctl status {}; tail {}", place.unit(), place.log().display())));
    for known in log::explain(&text) {
        error = error.context(hint(known.hint)).context(format!("its log says: {} ({})", known.meaning, known.line));
    }
    error.context(what)
}

/// May the portal change this box?
pub fn is_sync_off(host: &Host) -> bool {
    matches!(host.root.stat(Path::new(paths::SYNC_OFF)), Ok(Some(m)) if m.size > 0)
}

/// Switches off what the portal does to this box, with the agent's own helper.
///
/// # Errors
/// The helper did not; what it said.
pub fn sync_off(host: &Host) -> anyhow::Result<()> {
    let mut said = Vec::new();
    for (python, helper) in paths::SYNC_HELPERS {
        if !matches!(host.root.stat(Path::new(helper)), Ok(Some(_))) {
            continue;
        }
        let cmd =
            Cmd::new(["runuser", "-u", paths::USER, "--", python, helper, "--disable"]).limit(Duration::from_secs(60));
        match host.runner.run(&cmd) {
            Ok(_) if is_sync_off(host) => return Ok(()),
            Ok(output) => said.push(output.last_words(2)),
            Err(e) => said.push(e.to_string()),
        }
    }
    if said.is_empty() {
        bail!("changes from the portal cannot be switched off: the agent's helper for it is not installed (omsconfig)");
    }
    bail!("changes from the portal could not be switched off: {}", said.join("; "))
}
