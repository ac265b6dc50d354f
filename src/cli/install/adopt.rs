//! A box that was set up before and whose receipt is gone: an image made without /var/lib, a folder that was cleared. Our
//! files say themselves that they are ours, and with a receipt made from them install and uninstall work as ever. What no
//! file tells (openings of a firewall, labels, packages) nobody can take back any more.

use std::path::{Path, PathBuf};

use super::daemon::Daemon;
use super::source::{HEADER, block_ids};
use crate::host::Host;
use crate::plan::receipt::{Entry, timestamp};
use crate::plan::state::{FileState, Saved, ServiceState};
use crate::plan::{Receipt, block};
use crate::platform::service_act::Services;

/// Said once, where a receipt is made up.
pub const NOTE: &str = "this box was set up before, but the receipt of that (/var/lib/cefctl) is gone: our files are \
                        recognised, anything else that was changed then is not taken back";

/// Where each daemon's configuration is, in every distribution.
fn places(daemon: Daemon) -> [&'static str; 2] {
    match daemon {
        Daemon::Rsyslog => ["/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"],
        Daemon::SyslogNg => ["/etc/syslog-ng/syslog-ng.conf", "/etc/syslog-ng/conf.d/*.conf"],
    }
}

/// A receipt from what is found; `None`: nothing of ours is there.
pub fn found(host: &Host) -> Option<Receipt> {
    let of = |daemon: Daemon| {
        let paths = places(daemon).map(|p| host.root.glob(Path::new(p)).unwrap_or_default()).concat();
        let entries: Vec<Entry> = paths.into_iter().flat_map(|path| entries(host, path)).collect();
        (!entries.is_empty()).then_some((daemon, entries))
    };
    let (daemon, entries) = Daemon::ALL.into_iter().find_map(of)?;
    let state = Services::detect(host).state(daemon.unit()).ok().filter(|s| s.exists());
    Some(Receipt {
        options: serde_json::json!({ "daemon": daemon.name() }),
        services: state.iter().map(|s| ServiceState::of(s, Vec::new())).collect(),
        entries,
        ..Receipt::new(&timestamp(&*host.clock))
    })
}

fn entries(host: &Host, path: PathBuf) -> Vec<Entry> {
    let Ok((after, Some(text))) = FileState::look(&host.root, &path) else { return Vec::new() };
    if text.starts_with(HEADER) {
        return vec![Entry::File { path, before: Saved::absent(), after, fix: false }];
    }
    let block = |id: String| {
        let content = block::body(&text, &id).ok().flatten()?;
        Some(Entry::Block { path: path.clone(), id, content })
    };
    block_ids().filter_map(block).collect()
}
