//! The sockets of this network namespace as `/proc/net/{tcp,tcp6,udp,udp6}` lists them: no tool needs to be installed,
//! and IPv4, IPv6, UDP and TCP are told apart (shapes: facts 8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub fn word(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// States that matter here; the kernel's others are kept by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketState {
    Established,
    Listen,
    /// A UDP socket without a peer: bound, takes what comes.
    Unconnected,
    /// The other side has closed the connection, this one has not yet.
    CloseWait,
    Other(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub state: SocketState,
    /// Bytes not yet read by the program; of a listening TCP socket the connections not yet accepted.
    pub recv_queue: u64,
    /// Bytes not yet taken by the peer.
    pub send_queue: u64,
    pub uid: u32,
    pub inode: u64,
    /// Datagrams thrown away since the socket was made (UDP).
    pub drops: Option<u64>,
    /// IPv6 sockets: takes IPv6 only. `None`: not known, or an IPv4 socket.
    pub v6only: Option<bool>,
    /// Receive buffer in bytes as the kernel counts it (twice what the program asked for).
    pub recv_buffer: Option<u64>,
    /// Processes that hold the socket; empty where none could be seen.
    pub owners: Vec<u32>,
}

impl Socket {
    /// Waits for traffic on its port: a listening TCP socket or an unconnected UDP socket.
    pub fn is_open(&self) -> bool {
        matches!(self.state, SocketState::Listen | SocketState::Unconnected)
    }

    /// Does traffic to `to` reach this socket by its address and family? A socket on `[::]` takes IPv4 as well unless
    /// it is IPv6-only; where that is not known it is taken to be.
    pub fn takes(&self, to: IpAddr) -> bool {
        match (self.local.ip(), to) {
            (IpAddr::V4(own), IpAddr::V4(to)) => own.is_unspecified() || own == to,
            (IpAddr::V6(own), IpAddr::V6(to)) => own.is_unspecified() || own == to,
            (IpAddr::V6(own), IpAddr::V4(to)) => {
                (own.is_unspecified() && self.v6only == Some(false)) || own.to_ipv4_mapped() == Some(to)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    /// As `ss` would write it: `udp 0.0.0.0:514`.
    pub fn display(&self) -> String {
        format!("{} {}", self.transport.word(), self.local)
    }
}

/// All sockets of one file. Lines that do not have the known shape are left out.
pub fn parse(transport: Transport, text: &[u8]) -> Vec<Socket> {
    text.split(|b| *b == b'\n').skip(1).filter_map(|line| parse_line(transport, line)).collect()
}

fn parse_line(transport: Transport, line: &[u8]) -> Option<Socket> {
    let line = std::str::from_utf8(line).ok()?;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send, recv) = fields.get(4)?.split_once(':')?;
    let state = match (transport, u8::from_str_radix(fields.get(3)?, 16).ok()?) {
        (_, 0x01) => SocketState::Established,
        (Transport::Tcp, 0x0a) => SocketState::Listen,
        (Transport::Udp, 0x07) => SocketState::Unconnected,
        (Transport::Tcp, 0x08) => SocketState::CloseWait,
        (_, other) => SocketState::Other(other),
    };
    Some(Socket {
        transport,
        local: parse_address(fields.get(1)?)?,
        remote: parse_address(fields.get(2)?)?,
        state,
        recv_queue: u64::from_str_radix(recv, 16).ok()?,
        send_queue: u64::from_str_radix(send, 16).ok()?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        drops: if transport == Transport::Udp { fields.get(12).and_then(|d| d.parse().ok()) } else { None },
        v6only: None,
        recv_buffer: None,
        owners: Vec::new(),
    })
}

/// `0100007F:0202`. The kernel prints each 32-bit piece of the address as a number of the machine's own byte order.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    if !ip.is_ascii() || ip.len() % 8 != 0 {
        return None;
    }
    for at in (0..ip.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        IpAddr::V4(Ipv4Addr::from(v4))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?))
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &[u8] = b"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n  512: 00000000:0202 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 33101 2 00000000d1c2a6c5 17        \n";
    const TCP6: &[u8] = b"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000000000000000000000000000:0202 00000000000000000000000000000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 33105 1 0000000000000000 100 0 0 10 0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_a_udp_socket_with_queue_and_drops() {
        let s = parse(Transport::Udp, UDP);
        assert_eq!(s.len(), 1);
        assert_eq!(s[0].local, "0.0.0.0:514".parse().unwrap());
        assert_eq!((s[0].recv_queue, s[0].drops, s[0].inode), (0x300, Some(17), 33101));
        assert!(s[0].is_open());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_loopback_connections() {
        let line = b"header\n   1: 0100007F:A1B2 0100007F:628A 01 00000010:00000000 02:000005A1 00000000  1000        0 77 2 0 20 4 30 10 -1\n";
        let s = parse(Transport::Tcp, line);
        assert_eq!(s[0].remote, "127.0.0.1:25226".parse().unwrap());
        assert_eq!((s[0].state, s[0].send_queue, s[0].uid, s[0].drops), (SocketState::Established, 16, 1000, None));
    }

    #[test]
    fn a_wildcard_v6_socket_takes_v4_only_when_it_is_known_to_be_dual() {
        let mut s = parse(Transport::Tcp, TCP6).remove(0);
        assert_eq!(s.state, SocketState::Listen);
        let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        assert!(s.takes(v6) && !s.takes(v4));
        s.v6only = Some(true);
        assert!(!s.takes(v4));
        s.v6only = Some(false);
        assert!(s.takes(v4));
        s.local = "[::ffff:127.0.0.1]:514".parse().unwrap();
        assert!(s.takes("127.0.0.1".parse().unwrap()) && !s.takes(v4));
    }

    #[test]
    fn garbage_is_left_out() {
        for bad in [
            &b""[..],
            b"\n\n",
            b"h\n 0: 0100007F 00000000:0000 07 0:0 0 0 0 0 1 2 3 4\n",
            b"h\n 0: 0100007F:FFFFF 00000000:0000 07 0:0 0 0 0 0 1 2 3 4\n",
            b"h\n 0: 010\xff007F:0202 00000000:0000 07 0:0 0 0 0 0 1 2 3 4\n",
            "h\n 0: é00007F:0202 00000000:0000 07 0:0 0 0 0 0 1 2 3 4\n".as_bytes(),
            b"h\n 0: 0100007F0100007F:0202 00000000:0000 07 0:0 0 0 0 0 1 2 3 4\n",
        ] {
            assert_eq!(parse(Transport::Udp, bad), [], "{bad:?}");
        }
    }
}
