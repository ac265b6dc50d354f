//! What `/proc/net` does not tell of a socket and the kernel's socket monitor (netlink `sock_diag`, what `ss` uses)
//! does: whether an IPv6 socket takes IPv4 as well, and how large its receive buffer really is.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket as ns;
use nix::sys::time::TimeVal;

use super::proc_net::Transport;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketExtra {
    pub v6only: Option<bool>,
    /// Bytes.
    pub recv_buffer: Option<u64>,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_SKV6ONLY: u16 = 11;
/// Listening TCP and unconnected UDP sockets: states LISTEN (10) and CLOSE (7).
const OPEN_STATES: u32 = 1 << 10 | 1 << 7;
const HEADER: usize = 16;
const MESSAGE: usize = 72;

/// Extras of all open sockets of one kind, by inode.
///
/// # Errors
/// Where the kernel has no socket monitor (module missing, sandbox) or does not answer in time.
pub fn extras(transport: Transport, v6: bool) -> io::Result<BTreeMap<u64, SocketExtra>> {
    let socket = ns::socket(
        ns::AddressFamily::Netlink,
        ns::SockType::Raw,
        ns::SockFlag::SOCK_CLOEXEC,
        ns::SockProtocol::NetlinkSockDiag,
    )?;
    ns::setsockopt(&socket, ns::sockopt::ReceiveTimeout, &TimeVal::new(0, 300_000))?;
    ns::send(socket.as_raw_fd(), &request(transport, v6), ns::MsgFlags::empty())?;
    let mut found = BTreeMap::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = ns::recv(socket.as_raw_fd(), &mut buffer, ns::MsgFlags::empty())?;
        if n == 0 || read_messages(buffer.get(..n).unwrap_or_default(), &mut found)? {
            return Ok(found);
        }
    }
}

fn request(transport: Transport, v6: bool) -> Vec<u8> {
    let protocol = match transport {
        Transport::Udp => libc::IPPROTO_UDP,
        Transport::Tcp => libc::IPPROTO_TCP,
    };
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let mut out = Vec::with_capacity(HEADER + 56);
    out.extend((HEADER as u32 + 56).to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    out.extend([0; 8]); // sequence and port: one request, one socket
    out.extend([family as u8, protocol as u8, 1 << (INET_DIAG_SKMEMINFO - 1), 0]);
    out.extend(OPEN_STATES.to_ne_bytes());
    out.extend([0; 48]); // any address
    out
}

/// Reads one datagram of replies; true when it holds the last one.
fn read_messages(mut data: &[u8], found: &mut BTreeMap<u64, SocketExtra>) -> io::Result<bool> {
    while let (Some(len), Some(kind)) = (u32_at(data, 0), u16_at(data, 4)) {
        let len = len as usize;
        let Some(body) = data.get(HEADER..len) else { break };
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = u32_at(body, 0).unwrap_or_default() as i32;
                return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
            }
            SOCK_DIAG_BY_FAMILY => {
                if let Some(inode) = u32_at(body, MESSAGE - 4) {
                    found.insert(inode.into(), read_attributes(body.get(MESSAGE..).unwrap_or_default()));
                }
            }
            _ => {}
        }
        data = data.get(aligned(len)..).unwrap_or_default();
    }
    Ok(false)
}

fn read_attributes(mut data: &[u8]) -> SocketExtra {
    let mut extra = SocketExtra::default();
    while let (Some(len), Some(kind)) = (u16_at(data, 0), u16_at(data, 2)) {
        let len = usize::from(len);
        let Some(value) = data.get(4..len) else { break };
        match kind {
            INET_DIAG_SKV6ONLY => extra.v6only = value.first().map(|b| *b != 0),
            INET_DIAG_SKMEMINFO => extra.recv_buffer = u32_at(value, 4).map(u64::from),
            _ => {}
        }
        data = data.get(aligned(len)..).unwrap_or_default();
    }
    extra
}

fn aligned(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(inode: u32, attributes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(((HEADER + MESSAGE + attributes.len()) as u32).to_ne_bytes());
        out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        out.extend([0; 10]);
        out.extend([0; MESSAGE - 4]);
        out.extend(inode.to_ne_bytes());
        out.extend(attributes);
        out
    }

    #[test]
    fn reads_v6only_and_the_buffer() {
        let mut attributes = Vec::new();
        attributes.extend([5u16.to_ne_bytes(), INET_DIAG_SKV6ONLY.to_ne_bytes()].concat());
        attributes.extend([1, 0, 0, 0]);
        attributes.extend([40u16.to_ne_bytes(), INET_DIAG_SKMEMINFO.to_ne_bytes()].concat());
        attributes.extend([0u32, 16_777_216, 0, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat());
        let mut found = BTreeMap::new();
        let mut data = reply(7, &attributes);
        data.extend(reply(8, &[]));
        assert!(!read_messages(&data, &mut found).unwrap());
        assert_eq!(found[&7], SocketExtra { v6only: Some(true), recv_buffer: Some(16_777_216) });
        assert_eq!(found[&8], SocketExtra::default());
    }

    #[test]
    fn cut_off_and_endless_replies_end() {
        let whole = reply(7, &[0, 0, 0, 0, 9, 9, 9, 9]);
        for n in 0..whole.len() {
            let _ = read_messages(&whole[..n], &mut BTreeMap::new());
        }
        assert!(!read_messages(&[0; 64], &mut BTreeMap::new()).unwrap());
        let error = [20u32.to_ne_bytes(), [2, 0, 0, 0], [0; 4], [0; 4], (-2i32).to_ne_bytes()].concat();
        assert_eq!(read_messages(&error, &mut BTreeMap::new()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_kernel_tells_a_dual_stack_socket_from_a_v6_only_one() {
        use std::os::fd::AsRawFd;
        let inode = |fd: i32| {
            let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap()
        };
        let make = |only: bool| {
            let s = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).ok()?;
            s.set_only_v6(only).ok()?;
            s.bind(&"[::]:0".parse::<std::net::SocketAddr>().unwrap().into()).ok()?;
            Some(s)
        };
        // No IPv6 or no socket monitor on the machine that runs the test: nothing to compare.
        let (Some(dual), Some(only), Ok(found)) = (make(false), make(true), extras(Transport::Udp, true)) else {
            return;
        };
        assert_eq!(found[&inode(dual.as_raw_fd())].v6only, Some(false));
        assert_eq!(found[&inode(only.as_raw_fd())].v6only, Some(true));
        assert!(found[&inode(only.as_raw_fd())].recv_buffer.unwrap() > 1000);
    }
}
