//! Did a marked message pass this hop? Without tcpdump: packets from a packet socket where that is allowed, else the
//! byte counters of the TCP connections. What a report rests on is always said.
//!
//! Here: packets into payloads. [`fragments`] joins datagrams that came in pieces, [`sequence`] puts TCP streams in order, [`lines`] takes their lines out, [`watch`] waits for markers.

pub mod fragments;
pub mod lines;
pub mod sequence;
pub mod watch;

use std::net::{IpAddr, SocketAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::send::Transport;
use crate::host::Packet;

pub use watch::{Evidence, Hop, Report, Sighting, Watch};

/// What one packet carries for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    pub transport: Transport,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: &'a [u8],
    /// TCP: number of the payload's first byte.
    pub sequence: u32,
    /// TCP: the first packet of a connection.
    pub start: bool,
}

/// The UDP datagram or TCP segment in a packet, VLAN tags and IPv6 extensions aside. `None` for anything else, and for
/// later fragments, which have no ports.
pub fn segment<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    let sliced = LaxSlicedPacket::from_ip(without_vlan(packet)?).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return None,
    };
    let ends = |from: u16, to: u16| {
        (SocketAddr::new(source.to_canonical(), from), SocketAddr::new(destination.to_canonical(), to))
    };
    match sliced.transport? {
        TransportSlice::Udp(udp) => {
            let (from, to) = ends(udp.source_port(), udp.destination_port());
            Some(Segment { transport: Transport::Udp, from, to, payload: udp.payload(), sequence: 0, start: false })
        }
        TransportSlice::Tcp(tcp) => {
            let (from, to) = ends(tcp.source_port(), tcp.destination_port());
            // A SYN takes a number of its own.
            let sequence = tcp.sequence_number().wrapping_add(u32::from(tcp.syn()));
            Some(Segment { transport: Transport::Tcp, from, to, payload: tcp.payload(), sequence, start: tcp.syn() })
        }
        _ => None,
    }
}

/// The IP packet behind any VLAN tags.
fn without_vlan<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    let (mut ethertype, mut bytes) = (packet.ethertype, packet.bytes);
    while matches!(ethertype, 0x8100 | 0x88A8) {
        let [_, _, high, low, rest @ ..] = bytes else { return None };
        (ethertype, bytes) = (u16::from_be_bytes([*high, *low]), rest);
    }
    matches!(ethertype, 0x0800 | 0x86DD).then_some(bytes)
}

#[cfg(test)]
mod tests;
