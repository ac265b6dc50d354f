//! Where SELinux is enforcing: labels for the agent's port and for a listen port of one's own, as changes that the plan
//! engine knows (facts.md 7.5).

use std::path::Path;

use crate::host::Host;
use crate::host::proc_net::Transport;
use crate::plan::Change;
use crate::plan::receipt::{Entry, Receipt};
use crate::platform::os_release::OsRelease;
use crate::platform::selinux::{self, Mode, Ports};
use crate::platform::selinux_policy::{self, NoPorts, Policy, Use, may_use};
use crate::platform::setting::Setting;
use crate::syslog::collector::Refusal;

const ENFORCE: &str = "/sys/fs/selinux/enforce";
/// The changes, and what the user has to know.
///
/// # Errors
/// The running policy gives a port to something else and lets the daemon use none of that.
pub fn changes(
    host: &Host,
    pid: Option<u32>,
    agent_port: u16,
    ports: &[(Transport, u16)],
    receipt: Option<&Receipt>,
) -> Result<(Vec<Change>, Vec<String>), Refusal> {
    let enforce = host.root.read_opt(Path::new(ENFORCE)).ok().flatten().unwrap_or_default();
    if selinux::mode(&enforce) != Some(Mode::Enforcing) {
        return Ok((Vec::new(), Vec::new()));
    }
    let labels = match selinux_policy::ports(host) {
        Ok(labels) => labels,
        Err(NoPorts::NoTool) => return Ok((Vec::new(), vec![missing(host, agent_port)])),
        Err(e) => return Ok((Vec::new(), vec![format!("the labels of ports are not known: {e}")])),
    };
    let rights = Policy::of(host, pid).rights(&labels);
    let mut wanted = vec![(Transport::Tcp, agent_port, Use::Connect)];
    wanted.extend(ports.iter().map(|(t, port)| (*t, *port, Use::Listen)));
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    for (transport, port, use_) in wanted {
        let may = |label: &str| may_use(rights.as_ref(), use_, transport.word(), label);
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
        match need(&labels, transport, port, &may) {
            Need::Label => changes.push(setting.into()),
            Need::Nothing if ours => changes.push(setting.into()),
            Need::Nothing => {}
            Need::Taken(label) => {
                let text = format!(
                    "SELinux has {} port {port} as {label}, which the daemon may not {}",
                    transport.word(),
                    use_.words(),
                );
                // Only the kernel knows for sure; a list of ours may be of another policy.
                if rights.is_some() {
                    let hint = format!(
                        "choose another port; or, if nothing else uses this one: {}",
                        selinux::label_command(transport.word(), port, &label)
                    );
                    return Err(Refusal::new(text, hint));
                }
                notes.push(format!("{text}; choose another port"));
            }
        }
    }
    Ok((changes, notes))
}

enum Need {
    Nothing,
    Label,
    /// The policy gives the port to something else.
    Taken(String),
}

fn need(ports: &[Ports], transport: Transport, port: u16, may: &dyn Fn(&str) -> bool) -> Need {
    match selinux::label_of(ports, transport.word(), port) {
        Some(label) if may(label) => Need::Nothing,
        Some(label) if !selinux::may_relabel(label) => Need::Taken(label.to_owned()),
        _ => Need::Label,
    }
}

fn missing(host: &Host, port: u16) -> String {
    let os = OsRelease::of(&host.root);
    let package = os.as_ref().map_or(selinux::SEMANAGE_PACKAGE, OsRelease::semanage_package);
    format!(
        "SELinux is enforcing and semanage is not installed, so the daemon may not reach the agent's port {port}: install \
         {package} and run this again"
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
        changes(&host, None, 25226, &[(Transport::Udp, port), (Transport::Tcp, port)], receipt).unwrap()
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
