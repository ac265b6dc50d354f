//! The network operations the tool needs, as small as they can be: send one datagram or one stream of bytes, see
//! whether somebody accepts a connection, listen for a moment.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub trait Net: Send + Sync {
    /// Sends one datagram from an unbound socket of the target's family.
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()>;
    /// Connects, writes everything, closes in an orderly way.
    fn send_tcp(&self, to: SocketAddr, payload: &[u8], limit: Duration) -> io::Result<()>;
    fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream>;
    fn listen(&self, on: SocketAddr) -> io::Result<TcpListener>;
}

/// The machine's own network.
pub struct SystemNet;

impl Net for SystemNet {
    fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        UdpSocket::bind(any)?.send_to(payload, to).map(drop)
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
}
