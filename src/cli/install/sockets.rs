//! When syslog-ng must be restarted. A reload opens each new socket before it closes the old ones, so it is refused
//! where a port gets another address than the daemon has open there (docs/syslog-ng.md), and leaves a socket's buffer
//! as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::syslog_ng::stack;
use crate::check::facts::Facts;
use crate::host::Host;
use crate::host::proc_net::{Socket, Transport};
use crate::syslog::syslogng::effective::{DestDriver, DestKind, Effective, Family, Listener};
use crate::syslog::syslogng::render::Stack;

/// What the kernel makes of listeners.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    pub stack: Stack,
    /// Most bytes of a receive buffer that it grants (`net.core.rmem_max`), where known; it counts twice as many.
    pub most_buffer: Option<u64>,
}

impl Kernel {
    pub fn of(host: &Host, facts: &Facts) -> Kernel {
        let most = host.root.read(Path::new("/proc/sys/net/core/rmem_max")).ok();
        let most = most.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok());
        Kernel { stack: stack(host, facts), most_buffer: most }
    }
}

/// Bytes as the kernel counts them, of a socket that was not opened by a listener that asks for as much as ours do.
const NARROW: u64 = 2 << 20;

/// Does the configuration, as it is to be, want a port in another way than the daemon has it open?
pub fn must_restart(facts: &Facts, kernel: Kernel, then: &Effective) -> bool {
    let (Ok(net), Some(pid)) = (&facts.net, facts.syslog_ng.pid) else { return false };
    let narrow = kernel.most_buffer.map_or(NARROW, |most| NARROW.min(most.saturating_mul(2)));
    then.listeners().into_iter().filter(|l| l.used).any(|l| {
        let transport = if l.listener.transport.is_stream() { Transport::Tcp } else { Transport::Udp };
        let (Some(wanted), Some(port)) = (address(l.listener), l.listener.port_number()) else { return false };
        let open: Vec<&Socket> = net.open(transport, port).filter(|s| s.owners.contains(&pid)).collect();
        let there = open.iter().find(|s| s.local.ip() == wanted);
        let asks = transport == Transport::Udp
            && l.listener
                .receive_buffer
                .and_then(|bytes| u64::try_from(bytes).ok())
                .is_some_and(|bytes| bytes >= NARROW);
        match there {
            Some(socket) => asks && socket.recv_buffer.is_some_and(|bytes| bytes < narrow),
            None => open.iter().any(|s| in_the_way(s.local.ip(), wanted, kernel.stack)),
        }
    })
}

/// Does a forward go to another address than the one of the same persist-name does `now`, while the connection of that one
/// is open? A reload hands it on, and events would go on to a program that has the old address (tried with the agent's
/// port).
pub fn clings(facts: &Facts, now: &Effective, then: &Effective) -> bool {
    let (Ok(net), Some(pid)) = (&facts.net, facts.syslog_ng.pid) else { return false };
    let is_open = |kind: &DestKind| match kind {
        DestKind::Forward(f) => {
            f.port_number().is_some_and(|port| net.connections_to(port).any(|s| s.owners.contains(&pid)))
        }
        // of a socket for datagrams nothing can be seen
        _ => true,
    };
    let drivers = |config| -> Vec<DestDriver> {
        let config: &Effective = config;
        config.destinations.iter().flat_map(|d| &d.drivers).filter(|d| d.persist_name.is_some()).cloned().collect()
    };
    let (old, new) = (drivers(now), drivers(then));
    old.iter().any(|o| new.iter().any(|n| o.persist_name == n.persist_name && o.kind != n.kind) && is_open(&o.kind))
}

/// The address it binds to; `None` where only the daemon can tell.
fn address(listener: &Listener) -> Option<IpAddr> {
    match &listener.address {
        Some(written) => written.to_str_lossy().parse().ok(),
        None if listener.family == Family::V6 => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

/// Does a socket on `open` keep one from being bound to `wanted` on the same port?
fn in_the_way(open: IpAddr, wanted: IpAddr, stack: Stack) -> bool {
    if open.is_ipv4() == wanted.is_ipv4() {
        return open.is_unspecified() || wanted.is_unspecified();
    }
    let v6 = if open.is_ipv6() { open } else { wanted };
    v6.is_unspecified() && stack != Stack::Split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{DAEMON, add_socket, healthy};
    use crate::syslog::MapSource;

    fn kernel(stack: Stack) -> Kernel {
        Kernel { stack, most_buffer: None }
    }

    #[test]
    fn another_address_calls_for_a_restart() {
        let mut facts = healthy();
        facts.net.as_mut().unwrap().sockets.clear();
        facts.syslog_ng.pid = Some(9);
        let then = |drivers: &str| {
            let text = format!("@version: 3.38\nsource s {{ {drivers} }};\nlog {{ source(s); }};\n");
            Effective::load(Path::new("/c"), &MapSource::new().with("/c", text))
        };
        let restart = |facts: &Facts, drivers: &str| must_restart(facts, kernel(Stack::Dual), &then(drivers));
        let theirs = "udp(port(514));";
        assert!(!restart(&facts, theirs));
        add_socket(&mut facts, Transport::Udp, "[::]:514", 4711);
        assert!(!restart(&facts, theirs), "somebody else's socket");
        add_socket(&mut facts, Transport::Udp, "[::]:514", 9);
        assert!(restart(&facts, theirs));
        assert!(!must_restart(&facts, kernel(Stack::Split), &then(theirs)), "each family has a socket of its own");
        assert!(restart(&facts, "udp(ip(192.0.2.1) port(514));"));
        assert!(!restart(&facts, "network(transport(udp) ip-protocol(6) port(514));"));
        assert!(!restart(&facts, "tcp(port(514));"));
        add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", 9);
        assert!(!restart(&facts, theirs));
        add_socket(&mut facts, Transport::Tcp, "192.0.2.1:601", 9);
        assert!(restart(&facts, "syslog(port(601));"));
        assert!(!restart(&facts, "syslog(ip(192.0.2.2) port(601));"));
    }

    #[test]
    fn so_does_an_open_connection_to_another_address() {
        let of = |driver: &str| {
            let text =
                format!("@version: 3.38\ndestination d_cefctl {{ {driver} }};\nlog {{ destination(d_cefctl); }};\n");
            Effective::load(Path::new("/c"), &MapSource::new().with("/c", text))
        };
        let to = |port: u16| of(&format!("network(\"127.0.0.1\" port({port}) persist-name(\"cefctl\"));"));
        let mut facts = healthy();
        facts.syslog_ng.pid = Some(DAEMON);
        assert!(clings(&facts, &to(25226), &to(31000)) && !clings(&facts, &to(25226), &to(25226)));
        let socket = of("unix-dgram(\"/run/x\" persist-name(\"cefctl\"));");
        assert!(clings(&facts, &socket, &to(31000)));
        // nobody took the connection: there is none to be handed on
        facts.syslog_ng.pid = Some(9);
        assert!(!clings(&facts, &to(25226), &to(31000)));
    }

    #[test]
    fn so_does_a_wider_buffer() {
        let mut facts = healthy();
        facts.net.as_mut().unwrap().sockets.clear();
        facts.syslog_ng.pid = Some(9);
        add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", 9);
        facts.net.as_mut().unwrap().sockets[0].recv_buffer = Some(212_992);
        let then = |driver: &str| {
            let text = format!("@version: 3.38\nsource s {{ {driver}; }};\nlog {{ source(s); }};\n");
            Effective::load(Path::new("/c"), &MapSource::new().with("/c", text))
        };
        let ours = then("udp(so-rcvbuf(8388608))");
        assert!(must_restart(&facts, kernel(Stack::V4), &ours));
        assert!(!must_restart(&facts, kernel(Stack::V4), &then("udp()")));
        // It has all that the kernel gives.
        let most_buffer = |bytes| Kernel { stack: Stack::V4, most_buffer: Some(bytes) };
        assert!(must_restart(&facts, most_buffer(212_992), &ours));
        assert!(!must_restart(&facts, most_buffer(106_496), &ours));
    }
}
