//! Where SELinux is enforcing: labels for the agent's port and for a listen port of one's own, as changes that the plan
//! engine knows (facts.md 7.5).

use std::path::Path;

use crate::host::proc_net::Transport;
use crate::host::{Cmd, Host, RunError};
use crate::plan::Change;
use crate::plan::receipt::{Entry, Receipt};
use crate::platform::selinux::{self, Mode, Ports};
use crate::platform::setting::Setting;

const ENFORCE: &str = "/sys/fs/selinux/enforce";
/// Labels that a port has because nobody gave it one: a label of its own can be added.
const GENERIC: &[&str] = &["unreserved_port_t", "ephemeral_port_t", "port_t", "reserved_port_t", "hi_reserved_port_t"];

/// The changes, and what the user has to know.
pub fn changes(
    host: &Host,
    agent_port: u16,
    port: u16,
    transports: &[Transport],
    receipt: Option<&Receipt>,
) -> (Vec<Change>, Vec<String>) {
    let enforce = host.root.read_opt(Path::new(ENFORCE)).ok().flatten().unwrap_or_default();
    if selinux::mode(&enforce) != Some(Mode::Enforcing) {
        return (Vec::new(), Vec::new());
    }
    let output = host.runner.run(&Cmd::new(["semanage", "port", "-l"]));
    let ports = match output {
        Ok(output) if output.ok() => selinux::ports(&output.stdout),
        Err(RunError::NotFound(_)) => return (Vec::new(), vec![missing(agent_port)]),
        Ok(output) => {
            return (Vec::new(), vec![format!("the labels of ports are not known: {}", output.last_words(2))]);
        }
        Err(e) => return (Vec::new(), vec![format!("the labels of ports are not known: {e}")]),
    };
    let mut wanted = vec![(Transport::Tcp, agent_port, selinux::may_connect as fn(&str) -> bool)];
    wanted.extend(transports.iter().map(|t| (*t, port, selinux::may_bind as fn(&str) -> bool)));
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    for (transport, port, may) in wanted {
        let setting = Setting::SelinuxPort {
            label: selinux::SYSLOG_PORT.to_owned(),
            protocol: transport.word().to_owned(),
            port,
        };
        // One that we made is still wished for, although it is there now.
        let ours = receipt.iter().flat_map(|r| &r.entries).any(|e| match e {
            Entry::Setting { setting: s, .. } => s.is_same(&setting),
            _ => false,
        });
        match need(&ports, transport, port, may) {
            Need::Label => changes.push(setting.into()),
            Need::Nothing if ours => changes.push(setting.into()),
            Need::Nothing => {}
            Need::Taken(label) => notes.push(format!(
                "SELinux has {} port {port} as {label}, which a syslog daemon may not use; choose another port",
                transport.word()
            )),
        }
    }
    (changes, notes)
}

enum Need {
    Nothing,
    Label,
    /// The policy gives the port to something else.
    Taken(String),
}

fn need(ports: &[Ports], transport: Transport, port: u16, may: fn(&str) -> bool) -> Need {
    match selinux::label_of(ports, transport.word(), port) {
        Some(label) if may(label) => Need::Nothing,
        Some(label) if !GENERIC.contains(&label) => Need::Taken(label.to_owned()),
        _ => Need::Label,
    }
}

fn missing(port: u16) -> String {
    format!(
        "SELinux is enforcing and semanage is not installed, so the daemon may not reach the agent's port {port}: install \
         policycoreutils-python-utils and run this again"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // a test makes its own tree

    use super::*;
    use crate::host::Root;
    use crate::host::fake::{FakeRunner, host, reply};
    use crate::plan::receipt::Record;

    const LISTED: &str = "SELinux Port Type  Proto  Port Number\nrsh_port_t tcp 514\nsyslogd_port_t udp 514, 601\nhttp_cache_port_t tcp 8080\nunreserved_port_t tcp 1024-32767\nunreserved_port_t udp 1024-32767\n";

    fn of(enforce: &str, listed: Option<&str>, port: u16, receipt: Option<&Receipt>) -> (Vec<Change>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sys/fs/selinux")).unwrap();
        std::fs::write(dir.path().join("sys/fs/selinux/enforce"), enforce).unwrap();
        let runner = match listed {
            Some(text) => FakeRunner::new().on(&["semanage", "port", "-l"], reply(0, text, "")),
            None => FakeRunner::new(),
        };
        let host = host(Root::at(dir.path()), runner);
        changes(&host, 25226, port, &[Transport::Udp, Transport::Tcp], receipt)
    }

    fn label(protocol: &str, port: u16) -> Setting {
        Setting::SelinuxPort { label: "syslogd_port_t".into(), protocol: protocol.into(), port }
    }

    #[test]
    fn only_what_has_no_label_gets_one_and_only_where_it_counts() {
        assert_eq!(of("0", Some(LISTED), 514, None), (vec![], vec![]));
        assert_eq!(of("", Some(LISTED), 514, None), (vec![], vec![]));
        assert_eq!(of("1", Some(LISTED), 514, None).0, [label("tcp", 25226).into()]);
        let custom = of("1", Some(LISTED), 5514, None).0;
        assert_eq!(custom, [label("tcp", 25226).into(), label("udp", 5514).into(), label("tcp", 5514).into()]);
        let (_, notes) = of("1", Some(LISTED), 8080, None);
        assert!(notes[0].contains("http_cache_port_t"), "{notes:?}");
        assert!(of("1", None, 514, None).1[0].contains("policycoreutils"));
    }

    #[test]
    fn a_label_of_ours_is_wished_for_as_long_as_it_is_needed() {
        let labelled = format!("{LISTED}syslogd_port_t tcp 25226\n");
        assert_eq!(of("1", Some(&labelled), 514, None).0, []);
        let mut receipt = Receipt::new("now");
        receipt.merge([Record::Put(Entry::Setting { setting: label("tcp", 25226), fix: false })], &[]);
        assert_eq!(of("1", Some(&labelled), 514, Some(&receipt)).0, [label("tcp", 25226).into()]);
    }
}
