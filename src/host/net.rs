//! The network operations the tool needs, as small as they can be: send one datagram or one stream of bytes, see
//! whether somebody accepts a connection, listen for a moment.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::ifaddrs::InterfaceAddress;
use nix::sys::socket::SockaddrStorage;

use super::packet::{PacketSocket, PacketSource};
use super::sockdiag::{self, TcpSocket};

pub trait Net: Send + Sync {
    /// Sends one datagram from an unbound socket of the target's family.
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()>;
    /// Connects, writes everything, closes in an orderly way.
    fn send_tcp(&self, to: SocketAddr, payload: &[u8], limit: Duration) -> io::Result<()>;
    /// A datagram socket of the target's family, connected to it: refusals come back as errors.
    fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket>;
    fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream>;
    fn listen(&self, on: SocketAddr) -> io::Result<TcpListener>;
    /// Packets of one interface, or of all. Needs root or CAP_NET_RAW.
    fn capture(&self, interface: Option<&str>) -> io::Result<Box<dyn PacketSource>> {
        let _ = interface;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Addresses of this machine, those of broadcast to it among them; empty where they cannot be read.
    fn local_addresses(&self) -> BTreeSet<IpAddr> {
        BTreeSet::new()
    }
    /// The machine's TCP connections with what each has moved.
    fn tcp_sockets(&self) -> io::Result<Vec<TcpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The machine's own network.
pub struct SystemNet;

impl Net for SystemNet {
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        UdpSocket::bind(any_of_family(to))?.send_to(payload, to).map(drop)
    }
    fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(any_of_family(to))?;
        socket.connect(to)?;
        Ok(socket)
    }
    fn send_tcp(&self, to: SocketAddr, payload: &[u8], limit: Duration) -> io::Result<()> {
        let mut stream = self.connect(to, limit)?;
        stream.set_write_timeout(Some(limit))?;
        stream.write_all(payload)?;
        stream.shutdown(std::net::Shutdown::Write)
    }
    fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&to, limit)
    }
    fn listen(&self, on: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(on)
    }
    fn capture(&self, interface: Option<&str>) -> io::Result<Box<dyn PacketSource>> {
        Ok(Box::new(PacketSocket::open(interface)?))
    }
    fn local_addresses(&self) -> BTreeSet<IpAddr> {
        let ip = |address: SockaddrStorage| {
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
        };
        let of =
            |i: InterfaceAddress| [i.address, i.broadcast].into_iter().flatten().filter_map(ip).collect::<Vec<_>>();
        nix::ifaddrs::getifaddrs().map(|all| all.flat_map(of).collect()).unwrap_or_default()
    }
    fn tcp_sockets(&self) -> io::Result<Vec<TcpSocket>> {
        sockdiag::tcp_sockets()
    }
}

fn any_of_family(to: SocketAddr) -> SocketAddr {
    if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() }
}
