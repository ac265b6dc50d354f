//! The kernel's own list of TCP connections with the bytes each has moved, over netlink (inet_diag). Needs no
//! privilege; what /proc/net/tcp shows, plus counters.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::{Deserialize, Serialize};

/// One TCP connection of this machine (established, or closed by the other side).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSocket {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub inode: u32,
    pub uid: u32,
    /// Bytes the other side has sent and the program has not read.
    pub receive_queue: u32,
    /// Bytes the program has written and the other side has not acknowledged.
    pub send_queue: u32,
    /// Bytes sent and acknowledged since the connection was made; `None` before Linux 4.1.
    pub acknowledged: Option<u64>,
    pub received: Option<u64>,
}

/// All connections of both families.
pub(super) fn tcp_sockets() -> io::Result<Vec<TcpSocket>> {
    let mut all = Vec::new();
    for v6 in [false, true] {
        let query = Query { v6, protocol: nix::libc::IPPROTO_TCP, attribute: INET_DIAG_INFO, states: STATES };
        dump(&query, &mut |message| all.extend(read_socket(message)))?;
    }
    Ok(all)
}

/// Which sockets are wanted, and what of them beside the fixed part.
pub(super) struct Query {
    pub v6: bool,
    /// `IPPROTO_TCP`, `IPPROTO_UDP`
    pub protocol: i32,
    /// An `INET_DIAG_…` attribute.
    pub attribute: u16,
    /// One bit a state.
    pub states: u32,
}

/// Gives each `inet_diag_msg` with its attributes to `each`.
///
/// # Errors
/// Where the kernel has no socket monitor (module missing, sandbox) or does not answer in time.
pub(super) fn dump(query: &Query, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::milliseconds(500))?;
    sendto(fd.as_raw_fd(), &request(query), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if length == 0 || !read_messages(buffer.get(..length).unwrap_or_default(), each)? {
            return Ok(());
        }
    }
}

/// Length of an `inet_diag_msg`; its attributes stand behind it.
pub(super) const MESSAGE: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// NLM_F_REQUEST and NLM_F_DUMP
const REQUEST_DUMP: u16 = 0x301;
const INET_DIAG_INFO: u16 = 2;
/// Established and close-wait.
const STATES: u32 = 1 << 1 | 1 << 8;

/// A netlink header (16 bytes) and an `inet_diag_req_v2` (56 bytes) that leaves the addresses open.
fn request(query: &Query) -> Vec<u8> {
    let family = if query.v6 { nix::libc::AF_INET6 } else { nix::libc::AF_INET };
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(72u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family as u8, query.protocol as u8, 1 << (query.attribute - 1), 0]);
    bytes.extend(query.states.to_ne_bytes());
    bytes.resize(72, 0);
    bytes
}

/// Reads the messages of one datagram; `false` when they say that there are no more.
fn read_messages(mut bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(message) = bytes.get(16..length) else { break };
        match kind {
            NLMSG_DONE => return Ok(false),
            NLMSG_ERROR => {
                let code = u32_at(message, 0).map_or(0, |code| (code as i32).wrapping_neg());
                return Err(io::Error::from_raw_os_error(code));
            }
            SOCK_DIAG_BY_FAMILY => each(message),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

/// An `inet_diag_msg` (72 bytes) and its attributes.
fn read_socket(bytes: &[u8]) -> Option<TcpSocket> {
    let family = *bytes.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        if i32::from(family) == nix::libc::AF_INET {
            Some(IpAddr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?))
        } else {
            Some(IpAddr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?).to_canonical())
        }
    };
    let info = attribute(bytes.get(MESSAGE..)?, INET_DIAG_INFO).unwrap_or_default();
    Some(TcpSocket {
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
        receive_queue: u32_at(bytes, 56)?,
        send_queue: u32_at(bytes, 60)?,
        uid: u32_at(bytes, 64)?,
        inode: u32_at(bytes, 68)?,
        // tcpi_bytes_acked and tcpi_bytes_received of `tcp_info`
        acknowledged: u64_at(info, 120),
        received: u64_at(info, 128),
    })
}

/// Value of an attribute.
pub(super) fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_of_a_connection_are_counted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut receiver, _) = listener.accept().unwrap();
            sender.write_all(&[b'x'; 1234]).unwrap();
            receiver.read_exact(&mut [0; 1000]).unwrap();
            let all = tcp_sockets().unwrap();
            let (from, to) = (sender.local_addr().unwrap(), sender.peer_addr().unwrap());
            let out = all.iter().find(|s| (s.local, s.remote) == (from, to)).unwrap();
            // Linux counts the SYN as an acknowledged byte.
            assert!((1234..=1235).contains(&out.acknowledged.unwrap()), "{out:?}");
            let inn = all.iter().find(|s| (s.local, s.remote) == (to, from)).unwrap();
            assert_eq!((inn.received, inn.receive_queue), (Some(1234), 234));
        }
    }

    #[test]
    fn garbage_is_survived() {
        let mut sockets = Vec::new();
        for bytes in [&[][..], &[1], &[0; 16], &[0xFF; 200], &[20; 72], &[200, 0, 0, 0, 20, 0, 0, 0]] {
            let _ = read_messages(bytes, &mut |message| sockets.extend(read_socket(message)));
            let _ = read_socket(bytes);
            let _ = attribute(bytes, 2);
        }
        assert!(sockets.is_empty());
    }
}
