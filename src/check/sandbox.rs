//! What a unit's hardening takes from the daemon's network: a daemon in a network of its own opens its ports where no
//! device comes by, and never reaches the agent. Restarting it changes nothing, so the setting itself has to be named.

use std::net::IpAddr;

use super::facts::{DaemonFacts, Facts, Sandbox, UnitFacts};
use super::pipeline::Family;
use crate::host::proc_process::Process;
use crate::host::subnet::Subnet;

/// The daemon runs, but not in this box's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What put it there, as the subject of a sentence: `PrivateNetwork=yes in rsyslog.service`.
    pub cause: String,
    /// What to do, without full stop.
    pub advice: String,
    /// To be copied.
    pub commands: Vec<String>,
}

/// Is the daemon in another network namespace than we are? `None` also where that cannot be seen.
pub fn elsewhere(facts: &Facts, daemon: &DaemonFacts, unit: &str) -> Option<Elsewhere> {
    let process = daemon.pid.and_then(|pid| facts.process(pid)).filter(|p| p.same_net == Some(false))?;
    let Some(asks) = facts.unit(unit).and_then(|u| u.sandbox.own_network()) else {
        let (cause, advice) = match &process.container {
            Some(container) => (
                format!("a container ({container})"),
                "let the container share the network of this box, or run the command inside it".to_owned(),
            ),
            None => (
                "whatever started it (ip netns, unshare, a container)".to_owned(),
                format!("start the daemon by {unit} without a network of its own, or run the command in that network"),
            ),
        };
        let commands = vec![format!("sudo lsns -t net -p {}", process.pid), format!("systemctl cat {unit}")];
        return Some(Elsewhere { cause, advice, commands });
    };
    let name = asks.split('=').next().unwrap_or_default();
    let value = if name == "PrivateNetwork" { "no" } else { "" };
    Some(Elsewhere {
        cause: format!("{asks} in {unit}"),
        advice: format!("set {name}={value} in the unit, then restart the daemon"),
        commands: vec![
            format!("systemctl cat {unit}"),
            format!("sudo systemctl edit {unit}"),
            format!("sudo systemctl restart {unit}"),
        ],
    })
}

/// The families that the unit forbids the daemon, of those that it would need.
pub fn forbidden(unit: Option<&UnitFacts>, families: &[Family]) -> Vec<Family> {
    let Some(unit) = unit else { return Vec::new() };
    let name = |f: Family| match f {
        Family::V4 => "AF_INET",
        Family::V6 => "AF_INET6",
    };
    families.iter().copied().filter(|f| !unit.sandbox.allows(name(*f))).collect()
}

/// CAP_NET_BIND_SERVICE of capabilities(7).
const BIND_LOW_PORTS: u64 = 1 << 10;

/// Why a process of the unit may not open a port of the lower ones. rsyslog that gives its rights away itself opens its
/// ports before; a unit that starts as somebody else has none to begin with.
pub fn no_low_ports(unit: Option<&UnitFacts>, process: Option<&Process>, port: u16) -> Option<String> {
    let process = process?;
    if port >= 1024 {
        return None;
    }
    if process.cap_bounding & BIND_LOW_PORTS == 0 {
        return Some("the unit takes CAP_NET_BIND_SERVICE from the daemon".into());
    }
    let user = unit.map(|u| u.user.as_str()).unwrap_or_default();
    let other = !matches!(user, "" | "root" | "0") && process.uid != 0;
    (other && process.cap_effective & BIND_LOW_PORTS == 0)
        .then(|| format!("the unit starts the daemon as {user} without CAP_NET_BIND_SERVICE"))
}

/// What systemd's own filter of addresses does with packets of others: it stands in the unit, not in any firewall's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Open,
    /// Some may send.
    Partly,
    Shut,
}

impl Sandbox {
    /// What becomes of packets of `source`, or of devices anywhere. An address that is allowed is so whatever is denied
    /// (systemd.resource-control(5)).
    pub fn filter(&self, source: Option<IpAddr>) -> Filter {
        let networks = |list: &str| -> Vec<Subnet> { list.split_whitespace().filter_map(Subnet::parse).collect() };
        let (allow, deny) = (networks(&self.ip_allow), networks(&self.ip_deny));
        if let Some(ip) = source {
            let has = |list: &[Subnet]| list.iter().any(|n| n.contains(ip));
            return if has(&deny) && !has(&allow) { Filter::Shut } else { Filter::Open };
        }
        let outside = |n: &Subnet| !n.address.is_loopback();
        let everybody = |list: &[Subnet]| list.iter().any(|n| n.address.is_ipv4() && n.bits == 0);
        match () {
            () if deny.is_empty() || everybody(&allow) => Filter::Open,
            () if everybody(&deny) && !allow.iter().any(outside) => Filter::Shut,
            () if !deny.iter().any(outside) => Filter::Open,
            () => Filter::Partly,
        }
    }

    /// The setting that gives the unit a network of its own.
    fn own_network(&self) -> Option<String> {
        if !self.network_namespace_path.is_empty() {
            return Some(format!("NetworkNamespacePath={}", self.network_namespace_path));
        }
        self.private_network.then(|| "PrivateNetwork=yes".to_owned())
    }

    /// May a process of the unit open sockets of this family? A list forbids what it does not name; one that begins with
    /// `~` what it does (systemd.exec(5), RestrictAddressFamilies=).
    pub fn allows(&self, family: &str) -> bool {
        let list = self.address_families.trim();
        match list.strip_prefix('~') {
            Some(denied) => !denied.split_whitespace().any(|f| f == family),
            None => list.is_empty() || list.split_whitespace().any(|f| f == family),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{DAEMON, healthy};

    const UNIT: &str = "rsyslog.service";

    #[test]
    fn low_ports_need_a_capability() {
        let mut facts = healthy();
        let of = |facts: &Facts, port| no_low_ports(facts.unit(UNIT), facts.process(DAEMON), port);
        assert_eq!(of(&facts, 514), None);
        facts.processes.get_mut(&DAEMON).unwrap().cap_effective = 0;
        // rsyslog that gave them away, which it does once its ports are open.
        assert_eq!(of(&facts, 514), None);
        facts.processes.get_mut(&DAEMON).unwrap().uid = 104;
        facts.units.as_mut().unwrap().get_mut(UNIT).unwrap().user = "syslog".into();
        assert_eq!(of(&facts, 514).unwrap(), "the unit starts the daemon as syslog without CAP_NET_BIND_SERVICE");
        assert_eq!(of(&facts, 5514), None);
        facts.processes.get_mut(&DAEMON).unwrap().cap_bounding = !BIND_LOW_PORTS;
        assert!(of(&facts, 514).unwrap().contains("takes CAP_NET_BIND_SERVICE"));
    }

    fn moved(change: impl FnOnce(&mut Sandbox)) -> Option<Elsewhere> {
        let mut facts = healthy();
        facts.processes.get_mut(&DAEMON).unwrap().same_net = Some(false);
        change(&mut facts.units.as_mut().unwrap().get_mut(UNIT).unwrap().sandbox);
        elsewhere(&facts, &facts.rsyslog, UNIT)
    }

    #[test]
    fn the_setting_that_moved_the_daemon_is_named() {
        let facts = healthy();
        assert_eq!(elsewhere(&facts, &facts.rsyslog, UNIT), None);
        let private = moved(|s| s.private_network = true).unwrap();
        assert_eq!(private.cause, "PrivateNetwork=yes in rsyslog.service");
        assert!(private.advice.contains("set PrivateNetwork=no"), "{}", private.advice);
        let named = moved(|s| s.network_namespace_path = "/run/netns/dmz".into()).unwrap();
        assert!(named.cause.contains("NetworkNamespacePath=/run/netns/dmz"), "{}", named.cause);
        assert!(moved(|_| ()).unwrap().cause.contains("whatever started it"));
    }

    #[test]
    fn systemds_own_filter_of_addresses() {
        let with =
            |allow: &str, deny: &str| Sandbox { ip_allow: allow.into(), ip_deny: deny.into(), ..Sandbox::default() };
        let from = |s: &Sandbox, ip: &str| s.filter(Some(ip.parse().unwrap()));
        assert_eq!(with("", "").filter(None), Filter::Open);
        let local = with("127.0.0.0/8 ::1/128", "0.0.0.0/0 ::/0");
        assert_eq!(
            (local.filter(None), from(&local, "127.0.0.1"), from(&local, "10.0.0.1")),
            (Filter::Shut, Filter::Open, Filter::Shut)
        );
        let some = with("127.0.0.0/8 10.0.0.0/8", "::/0 0.0.0.0/0");
        assert_eq!(
            (some.filter(None), from(&some, "10.1.2.3"), from(&some, "192.0.2.1")),
            (Filter::Partly, Filter::Open, Filter::Shut)
        );
        assert_eq!(with("", "192.0.2.0/24").filter(None), Filter::Partly);
        assert_eq!(from(&with("", "127.0.0.0/8"), "127.0.0.1"), Filter::Shut);
    }

    #[test]
    fn families_are_allowed_by_a_list_or_forbidden_by_one() {
        let with = |list: &str| Sandbox { address_families: list.into(), ..Sandbox::default() };
        for (list, v4, v6) in [
            ("", true, true),
            ("~", true, true),
            ("AF_UNIX AF_INET", true, false),
            ("~AF_INET6 AF_PACKET", true, false),
            ("AF_UNIX", false, false),
            ("none", false, false),
        ] {
            assert_eq!((with(list).allows("AF_INET"), with(list).allows("AF_INET6")), (v4, v6), "{list}");
        }
        let unit = UnitFacts { sandbox: with("AF_INET"), ..UnitFacts::default() };
        assert_eq!(forbidden(Some(&unit), &[Family::V4, Family::V6]), [Family::V6]);
        assert_eq!(forbidden(None, &[Family::V4]), []);
    }
}
