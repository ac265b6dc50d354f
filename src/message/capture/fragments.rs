//! Datagrams that were sent in pieces: an event longer than a network's packets (1500 bytes as a rule) comes so, and a
//! capture shows the pieces. Bounded, since pieces whose others never come cost memory.

use std::net::{IpAddr, SocketAddr};

use etherparse::defrag::IpDefragPool;
use etherparse::{IpNumber, NetSlice, SlicedPacket, UdpSlice};

use crate::host::Packet;

/// Pieces that are waited for: datagrams of which none came among so many are given up.
const PATIENCE: u64 = 256;

/// Puts the pieces together.
#[derive(Debug, Default)]
pub struct Fragments {
    pool: IpDefragPool<u64>,
    /// Pieces seen so far.
    seen: u64,
}

/// A datagram that was put together.
#[derive(Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

impl Fragments {
    /// Takes a packet in; gives the datagram that it completes.
    pub fn take(&mut self, packet: &Packet<'_>) -> Option<Datagram> {
        let sliced = SlicedPacket::from_ip(super::without_vlan(packet)?).ok()?;
        if !sliced.is_ip_payload_fragmented() {
            return None;
        }
        let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
            NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            _ => return None,
        };
        self.seen += 1;
        let oldest = self.seen.saturating_sub(PATIENCE);
        if self.seen.is_multiple_of(64) {
            self.pool.retain(|seen| *seen >= oldest);
        }
        let whole = self.pool.process_sliced_packet(&sliced, self.seen, ()).ok().flatten()?;
        if whole.ip_number != IpNumber::UDP {
            return None;
        }
        let udp = UdpSlice::from_slice(&whole.payload).ok()?;
        Some(Datagram {
            from: SocketAddr::new(source.to_canonical(), udp.source_port()),
            to: SocketAddr::new(destination.to_canonical(), udp.destination_port()),
            payload: udp.payload().to_vec(),
        })
    }
}
