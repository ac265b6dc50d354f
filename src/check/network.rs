//! Judgements on the network before any firewall: is there an interface that devices can come by, and does the kernel's
//! routing let their packets in and the answers out?

use super::case::Case;
use super::facts::{FirewallFacts, RouteFacts};
use super::outcome::Outcome;
use crate::host::interfaces::Interface;
use crate::host::proc_net::Transport;
use crate::platform::firewall::port;

/// What keeps every device, or those of some networks, from this box; `None`: nothing that shows here.
pub fn judge(case: &Case<'_>, facts: &FirewallFacts) -> Option<Outcome> {
    nothing_up(facts).or_else(|| no_route(case, &facts.routes)).or_else(|| silent(facts))
}

/// 8 of `arp_ignore`: no question for any address of this machine is answered.
const NEVER: u32 = 8;

/// Nobody on the network is told where this machine is.
fn silent(facts: &FirewallFacts) -> Option<Outcome> {
    let ways = port::ways(&facts.interfaces);
    let by = |i: &&Interface| ways.iter().any(|w| w.interface == i.name && w.local.is_ipv4());
    let all: Vec<&Interface> = facts.interfaces.iter().filter(by).collect();
    let mute = |i: &&&Interface| i.arp_ignore == Some(NEVER);
    let first = all.iter().find(mute)?;
    let text = format!("{} answers nobody who asks for this box's address (ARP): devices do not find it", first.name);
    let out = if all.iter().all(|i| mute(&i)) { Outcome::fail(text) } else { Outcome::warn(text) };
    let setting = format!("net.ipv4.conf.{}.arp_ignore", first.name);
    Some(
        out.seen(&setting, "8, or that of net.ipv4.conf.all")
            .advise("set it to 0 (2 at most), also where it is set at boot in /etc/sysctl.d")
            .command(format!("sudo sysctl net.ipv4.conf.all.arp_ignore=0 {setting}=0"))
            .command("grep -r arp_ignore /etc/sysctl.conf /etc/sysctl.d"),
    )
}

/// What every network of today carries (IPv6 asks for it).
const USUAL: u32 = 1280;

/// Packets of devices may be larger than what an interface takes, and then many drivers drop them.
pub fn narrow(facts: &FirewallFacts) -> Option<Outcome> {
    let ways = port::ways(&facts.interfaces);
    let narrow = |i: &&Interface| i.mtu.is_some_and(|m| m < USUAL) && ways.iter().any(|w| w.interface == i.name);
    let first = facts.interfaces.iter().find(narrow)?;
    let mtu = first.mtu?;
    let text = format!("{} takes packets of {mtu} bytes at most: larger events over UDP may not get in", first.name);
    Some(
        Outcome::warn(text)
            .seen(format!("/sys/class/net/{}/mtu", first.name), mtu.to_string())
            .advise("give the interface the MTU of its network, 1500 bytes as a rule, also where it is configured")
            .command(format!("sudo ip link set {} mtu 1500", first.name)),
    )
}

/// No interface of the network is in order. A machine with loopback alone has none that could be.
fn nothing_up(facts: &FirewallFacts) -> Option<Outcome> {
    let doors: Vec<&Interface> = port::doors(&facts.interfaces).collect();
    let ways = port::ways(&facts.interfaces);
    let works = |i: &&Interface| i.running && ways.iter().any(|w| w.interface == i.name);
    // Another address may be reached by what is not looked at here (an overlay network).
    if doors.is_empty() || doors.iter().any(works) || ways.iter().any(|w| !doors.iter().any(|d| d.name == w.interface))
    {
        return None;
    }
    let what = |i: &Interface| match () {
        () if !i.up => "is down",
        () if !i.running => "has no carrier: the cable, or the other end of it, is missing",
        () => "has no address",
    };
    let first = doors.iter().find(|i| !i.addresses.is_empty()).or(doors.first())?;
    let out = Outcome::fail(format!("no device can reach this box: {} {}", first.name, what(first)))
        .seen_all(doors.iter().map(|i| (i.name.clone(), what(i))))
        .advise("bring the interface up as this distribution does it, and see that it has its address");
    let out = if first.up { out } else { out.command(format!("sudo ip link set {} up", first.name)) };
    Some(out.command(format!("ip addr show {}", first.name)))
}

/// The kernel throws packets of devices away, or finds no way for the answers.
fn no_route(case: &Case<'_>, routes: &[RouteFacts]) -> Option<Outcome> {
    let wants_tcp = case.target.doors().iter().any(|d| d.transport == Transport::Tcp);
    let bad = |r: &&RouteFacts| r.refused.is_some() || (wants_tcp && r.no_way_back.is_some());
    let lost: Vec<&RouteFacts> = routes.iter().filter(bad).collect();
    let first = lost.first()?;
    let text = match &first.refused {
        Some(_) => format!("the kernel's routing throws away what {} sends by {}", first.sender, first.interface),
        None => format!("there is no way back to {}: TCP senders there get no answer", first.sender),
    };
    let all = lost.len() == routes.len();
    let out = if all { Outcome::fail(text) } else { Outcome::warn(text) };
    let filtered = lost.iter().any(|r| r.refused.as_deref() == Some(FILTERED));
    let advice = match filtered {
        true => {
            "the answer would leave by another interface (reverse path filter): add the missing route to the senders, or set rp_filter to 2 (loose)"
        }
        false => "look for a rule or route that swallows the senders' network, and for the missing route to it",
    };
    let out = out.seen_all(lost.iter().flat_map(|r| shown(r))).advise(advice);
    let out = if filtered {
        out.command(format!("sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{}.rp_filter", first.interface))
    } else {
        out
    };
    let out = match first.refused {
        Some(_) => out.command(format!("ip route get {} from {} iif {}", first.local, first.sender, first.interface)),
        None => out.command(format!("ip route get {} from {}", first.sender, first.local)),
    };
    Some(out.command("ip rule; ip route show table all"))
}

/// EXDEV: what the reverse path filter answers.
const FILTERED: &str = "Invalid cross-device link";

fn shown(r: &RouteFacts) -> Vec<(String, String)> {
    let to = |said: &String| match said.as_str() {
        FILTERED => format!("{said} (reverse path filter)"),
        "Invalid argument" => format!("{said} (blackhole)"),
        _ => said.clone(),
    };
    let way_in = r.refused.as_ref().map(|s| (format!("{} by {} to {}", r.sender, r.interface, r.local), to(s)));
    let way_back = r.no_way_back.as_ref().map(|s| (format!("answer from {} to {}", r.local, r.sender), to(s)));
    way_in.into_iter().chain(way_back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::facts::Facts;
    use crate::check::fixture::{healthy, judge as judged};
    use crate::report::Status;

    fn with(change: impl FnOnce(&mut FirewallFacts)) -> (Status, String) {
        let mut facts: Facts = healthy();
        change(facts.firewall.as_mut().unwrap());
        let o = judged(crate::check::firewall::inbound, &facts);
        (o.status, o.summary)
    }

    #[test]
    fn an_interface_that_is_down_shuts_every_device_out() {
        let eth0 = |f: &mut FirewallFacts| f.interfaces.iter().position(|i| i.name == "eth0").unwrap();
        for (change, word) in [
            ((|i| i.up = false) as fn(&mut Interface), "eth0 is down"),
            (|i| i.running = false, "eth0 has no carrier"),
            (|i| i.addresses.clear(), "eth0 has no address"),
            (|i| i.addresses = vec!["fe80::1".parse().unwrap()], "eth0 has no address"),
        ] {
            let (status, text) = with(|f| {
                let n = eth0(f);
                change(&mut f.interfaces[n]);
            });
            assert_eq!((status, text.contains(word)), (Status::Fail, true), "{text}");
        }
        // One of two is enough, and a machine with loopback alone is not blamed.
        let spare = |f: &mut FirewallFacts| {
            f.interfaces.push(Interface { name: "eth1".into(), up: false, ..Interface::default() });
        };
        assert_eq!(with(spare).0, Status::Pass);
        assert_eq!(with(|f| f.interfaces.retain(|i| i.loopback)).0, Status::Pass);
    }

    #[test]
    fn an_interface_that_answers_nobody_or_takes_small_packets_only() {
        let set = |change: fn(&mut Interface)| {
            with(|f| f.interfaces.iter_mut().filter(|i| i.name == "eth0").for_each(change))
        };
        let (status, text) = set(|i| i.arp_ignore = Some(8));
        assert_eq!((status, text.contains("answers nobody")), (Status::Fail, true), "{text}");
        // What balancers ask for is in order.
        assert_eq!(set(|i| i.arp_ignore = Some(2)).0, Status::Pass);
        let (status, text) = set(|i| i.mtu = Some(576));
        assert_eq!((status, text.contains("576 bytes at most")), (Status::Warn, true), "{text}");
        assert_eq!(set(|i| i.mtu = Some(1400)).0, Status::Pass);
    }

    #[test]
    fn the_kernels_routing_is_believed() {
        let route = |refused: Option<&str>, back: Option<&str>| RouteFacts {
            interface: "eth0".into(),
            local: "192.0.2.1".parse().unwrap(),
            sender: "192.0.2.2".parse().unwrap(),
            refused: refused.map(str::to_owned),
            no_way_back: back.map(str::to_owned),
        };
        assert_eq!(with(|f| f.routes = vec![route(None, None)]).0, Status::Pass);
        let (status, text) = with(|f| f.routes = vec![route(Some(FILTERED), None)]);
        assert_eq!((status, text.contains("throws away what 192.0.2.2 sends")), (Status::Fail, true), "{text}");
        let (status, text) = with(|f| f.routes = vec![route(None, Some("No route to host"))]);
        assert_eq!((status, text.contains("no way back to 192.0.2.2")), (Status::Fail, true), "{text}");
        assert_eq!(with(|f| f.routes = vec![route(None, None), route(Some(FILTERED), None)]).0, Status::Warn);
    }
}
