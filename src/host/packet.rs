//! Packets as they pass an interface, without any capture program: a packet socket (root or CAP_NET_RAW), from the IP
//! header on.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// EtherType: 0x0800 is IPv4, 0x86DD IPv6, 0x8100 a VLAN tag that is still in front.
    pub ethertype: u16,
    /// From behind the link's header.
    pub bytes: &'a [u8],
}

/// Where packets come from; a stand-in in tests.
pub trait PacketSource: Send {
    /// The next packet, or `None` when `limit` has passed.
    fn next(&mut self, limit: Duration) -> io::Result<Option<Packet<'_>>>;
}

/// A packet socket on one interface or on all.
pub(super) struct PacketSocket {
    socket: socket2::Socket,
    /// Of the interface, where only one is wanted.
    index: Option<usize>,
    buffer: Vec<u8>,
}

/// ARPHRD_LOOPBACK: the link type of `lo`.
const LOOPBACK: u16 = nix::libc::ARPHRD_LOOPBACK;
/// Packets that left the machine, as seen on the way out.
const OUTGOING: u8 = 4;
/// Room for the largest segment that the loopback passes in one piece.
const BUFFER: usize = 256 * 1024;

impl PacketSocket {
    pub fn open(interface: Option<&str>) -> io::Result<Self> {
        let index = interface.map(nix::net::if_::if_nametoindex).transpose()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        // A burst must not push the wanted packet out; the forced size needs CAP_NET_ADMIN.
        if setsockopt(&fd, sockopt::RcvBufForce, &(8 << 20)).is_err() {
            let _ = setsockopt(&fd, sockopt::RcvBuf, &(8 << 20));
        }
        let socket = socket2::Socket::from(fd);
        if let Some(index) = index {
            // An old kernel without this filter gives more packets; they are left out below.
            let _ = socket.attach_filter(&only_interface(index));
        }
        Ok(PacketSocket { socket, index: index.map(|i| i as usize), buffer: vec![0; BUFFER] })
    }

    /// Length and type of a packet that is wanted, if one is waiting.
    fn receive(&mut self) -> io::Result<Option<(usize, u16)>> {
        loop {
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut self.buffer) {
                Ok((length, Some(from))) => {
                    let elsewhere = self.index.is_some_and(|index| index != from.ifindex());
                    // The loopback shows each packet twice: going out and coming in.
                    let again = from.hatype() == LOOPBACK && from.pkttype() == OUTGOING;
                    if !elsewhere && !again {
                        return Ok(Some((length, u16::from_be(from.protocol()))));
                    }
                }
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl PacketSource for PacketSocket {
    fn next(&mut self, limit: Duration) -> io::Result<Option<Packet<'_>>> {
        let mut found = self.receive()?;
        if found.is_none() {
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            found = self.receive()?;
        }
        Ok(found.map(|(length, ethertype)| Packet { ethertype, bytes: self.buffer.get(..length).unwrap_or_default() }))
    }
}

/// Classic BPF: load the interface's index, pass the packet if it is the wanted one.
fn only_interface(index: u32) -> [socket2::SockFilter; 4] {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// SKF_AD_OFF + SKF_AD_IFINDEX
    const INTERFACE: u32 = 0xFFFF_F000 + 8;
    [
        socket2::SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        socket2::SockFilter::new(JUMP_EQUAL, 0, 1, index),
        socket2::SockFilter::new(RETURN, 0, 0, u32::MAX),
        socket2::SockFilter::new(RETURN, 0, 0, 0),
    ]
}
