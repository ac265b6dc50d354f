//! What `/proc/net` does not tell of an open socket and the kernel's socket monitor does: whether an IPv6 socket takes
//! IPv4 as well, and how large its receive buffer really is.

use std::collections::BTreeMap;
use std::io;

use nix::libc;

use super::proc_net::Transport;
use super::sockdiag::{MESSAGE, Query, attribute, dump, u32_at};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketExtra {
    pub v6only: Option<bool>,
    /// Bytes.
    pub recv_buffer: Option<u64>,
}

const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_SKV6ONLY: u16 = 11;
/// Listening TCP and unconnected UDP sockets: states LISTEN (10) and CLOSE (7).
const OPEN_STATES: u32 = 1 << 10 | 1 << 7;

/// Extras of all open sockets of one kind, by inode.
///
/// # Errors
/// Where the kernel has no socket monitor (module missing, sandbox) or does not answer in time.
pub fn extras(transport: Transport, v6: bool) -> io::Result<BTreeMap<u64, SocketExtra>> {
    let protocol = match transport {
        Transport::Udp => libc::IPPROTO_UDP,
        Transport::Tcp => libc::IPPROTO_TCP,
    };
    // Whether a socket is IPv6-only is told without being asked for.
    let query = Query { v6, protocol, attribute: INET_DIAG_SKMEMINFO, states: OPEN_STATES };
    let mut found = BTreeMap::new();
    dump(&query, &mut |message| found.extend(read(message)))?;
    Ok(found)
}

/// The inode is the last field of the fixed part.
fn read(message: &[u8]) -> Option<(u64, SocketExtra)> {
    let inode = u32_at(message, MESSAGE - 4)?;
    let attributes = message.get(MESSAGE..)?;
    let v6only = attribute(attributes, INET_DIAG_SKV6ONLY).and_then(|v| v.first()).map(|b| *b != 0);
    let memory = attribute(attributes, INET_DIAG_SKMEMINFO);
    // Memory in use, then the receive buffer.
    let recv_buffer = memory.and_then(|m| u32_at(m, 4)).map(u64::from);
    Some((inode.into(), SocketExtra { v6only, recv_buffer }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_v6only_and_the_buffer() {
        let mut message = vec![0; MESSAGE - 4];
        message.extend(7u32.to_ne_bytes());
        assert_eq!(read(&message), Some((7, SocketExtra::default())));
        message.extend([5u16.to_ne_bytes(), INET_DIAG_SKV6ONLY.to_ne_bytes()].concat());
        message.extend([1, 0, 0, 0]);
        message.extend([40u16.to_ne_bytes(), INET_DIAG_SKMEMINFO.to_ne_bytes()].concat());
        message.extend([0u32, 16_777_216, 0, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat());
        let wanted = SocketExtra { v6only: Some(true), recv_buffer: Some(16_777_216) };
        assert_eq!(read(&message), Some((7, wanted)));
        for n in 0..message.len() {
            let _ = read(&message[..n]);
        }
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
