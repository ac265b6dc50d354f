//! What still waits for the agent when a collector goes: it is not thrown away, and whoever takes the collector away has to
//! know that the agent never got it. The next collector passes it on, so that its install must not stand in for the agent.

use std::path::Path;

use super::daemon::Daemon;
use super::migrate;
use crate::check::facts::Facts;
use crate::check::gather::{self, Depth};
use crate::check::target::TargetOptions;
use crate::host::Host;
use crate::plan::Receipt;
use crate::report::clean;
use crate::syslog::rsyslog::render::QUEUE_FILE;

/// The queue as it is before our configuration goes.
pub struct Queue {
    daemon: Daemon,
    facts: Facts,
    /// syslog-ng counts in memory, and tells only as long as it knows the destination.
    waited: bool,
}

impl Queue {
    /// `None`: no install has set a daemon up.
    pub fn look(host: &Host, receipt: Option<&Receipt>) -> Option<Queue> {
        let name = receipt?.options["daemon"].as_str()?;
        let daemon = Daemon::ALL.into_iter().find(|d| d.name() == name)?;
        let facts = gather::gather(host, &TargetOptions::default(), Depth::Change, None);
        let waited = daemon == Daemon::SyslogNg && migrate::waits(host, &facts, daemon);
        Some(Queue { daemon, facts, waited })
    }

    /// What the user should know once the daemon runs without us. rsyslog writes what is in memory to its files when it
    /// stops.
    pub fn left(mut self, host: &Host) -> Option<String> {
        let place = match self.daemon {
            Daemon::SyslogNg => self.waited.then(|| "syslog-ng's disk buffer".to_owned()),
            Daemon::Rsyslog => {
                gather::queues_again(host, &mut self.facts);
                let mut spools = self.facts.rsyslog.spools.iter();
                let spool = spools.find(|s| s.waiting(|stem| stem == QUEUE_FILE) > 0);
                spool.map(|s| format!("{}/{QUEUE_FILE}.*", clean(&s.path)))
            }
        }?;
        Some(format!(
            "events that the agent has not had yet stay in {place}; another `cefctl install` passes them on, otherwise \
             they can be deleted"
        ))
    }
}

/// Do events of an earlier collector wait in the daemon's folder, for which the configuration of now has no use?
pub fn from_before(host: &Host, daemon: Daemon, folder: &Path) -> bool {
    let found = |pattern: &str| host.root.glob(&folder.join(pattern)).unwrap_or_default();
    match daemon {
        Daemon::Rsyslog => !found(&format!("{QUEUE_FILE}.*")).is_empty(),
        Daemon::SyslogNg => {
            // Which file belongs to which name is told by a table of the daemon's own; ours was there, and some file waits.
            let names = host.root.read_opt(&folder.join("syslog-ng.persist")).ok().flatten().unwrap_or_default();
            let ours = names.windows(OUR_KEY.len()).any(|w| w == OUR_KEY);
            ours && found("*.rqf").iter().any(|path| host.root.read_head(path, 64).is_ok_and(|h| is_waiting(&h)))
        }
    }
}

/// Key of our disk buffer in syslog-ng's table; what follows is the rest of its persist-name.
const OUR_KEY: &[u8] = b"afsocket_dd_qfile(cefctl";

/// Head of a reliable disk buffer (seen with 3.28 to 4.8): magic, version, byte order, then from byte 8 on where reading and
/// where writing goes on.
fn is_waiting(head: &[u8]) -> bool {
    head.starts_with(b"SLRQ") && head.get(8..16).zip(head.get(16..24)).is_some_and(|(read, write)| read != write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_buffer_waits_where_reading_is_behind_writing() {
        let head = |read: u64, write: u64| [&b"SLRQ\x02\0\0\0"[..], &read.to_le_bytes(), &write.to_le_bytes()].concat();
        assert!(is_waiting(&head(4096, 2_658_700)));
        assert!(!is_waiting(&head(4096, 4096)));
        assert!(!is_waiting(b"SLRQ"));
        assert!(!is_waiting(b"SLQF\x02\0\0\0aaaaaaaabbbbbbbb"));
    }
}
