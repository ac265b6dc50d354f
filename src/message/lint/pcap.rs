//! Packets of a capture file, in both formats (pcap, pcapng), with their times.

use jiff::Timestamp;
use pcap_parser::data::{PacketData, get_packetdata};
use pcap_parser::{Block, LegacyPcapSlice, Linktype, PcapBlockOwned, PcapNGSlice};

use crate::host::Packet;

/// Why a file is not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PcapError {
    #[error("the capture file's beginning is damaged")]
    Header,
    #[error("the capture file is damaged or cut after {0} packets; what came before was read")]
    Damaged(u64),
}

/// Does a file look like a capture file?
pub fn is_pcap(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xD4, 0xC3, 0xB2, 0xA1, ..]
            | [0xA1, 0xB2, 0xC3, 0xD4, ..]
            | [0x4D, 0x3C, 0xB2, 0xA1, ..]
            | [0xA1, 0xB2, 0x3C, 0x4D, ..]
            | [0x0A, 0x0D, 0x0D, 0x0A, ..]
    )
}

/// Calls `on` with every packet of a network that is known here and the time it was captured at; returns their number.
///
/// # Errors
/// A damaged file; what came before the damage was passed on.
pub fn packets(bytes: &[u8], on: &mut dyn FnMut(&Packet<'_>, Option<Timestamp>)) -> Result<u64, PcapError> {
    if bytes.starts_with(&[0x0A, 0x0D, 0x0D, 0x0A]) { next_generation(bytes, on) } else { legacy(bytes, on) }
}

fn legacy(bytes: &[u8], on: &mut dyn FnMut(&Packet<'_>, Option<Timestamp>)) -> Result<u64, PcapError> {
    let file = LegacyPcapSlice::from_slice(bytes).map_err(|_| PcapError::Header)?;
    let link = file.header.network;
    let nanoseconds = file.header.is_nanosecond_precision();
    let mut count = 0;
    for block in file {
        let Ok(PcapBlockOwned::Legacy(packet)) = block else { return Err(PcapError::Damaged(count)) };
        let unit = if nanoseconds { 1 } else { 1000 };
        let nanos = packet.ts_usec.checked_mul(unit).and_then(|n| i32::try_from(n).ok());
        let time = nanos.and_then(|n| Timestamp::new(packet.ts_sec.into(), n).ok());
        count += 1;
        pass(packet.data, link, time, on);
    }
    Ok(count)
}

/// An interface of a pcapng section: its link, and how it counts time.
struct Interface {
    link: Linktype,
    per_second: u64,
    offset: i64,
}

fn next_generation(bytes: &[u8], on: &mut dyn FnMut(&Packet<'_>, Option<Timestamp>)) -> Result<u64, PcapError> {
    let file = PcapNGSlice::from_slice(bytes).map_err(|_| PcapError::Header)?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut count = 0;
    for block in file {
        let Ok(PcapBlockOwned::NG(block)) = block else { return Err(PcapError::Damaged(count)) };
        match block {
            Block::SectionHeader(_) => interfaces.clear(),
            Block::InterfaceDescription(i) => interfaces.push(Interface {
                link: i.linktype,
                per_second: i.ts_resolution().unwrap_or(1_000_000),
                offset: i.ts_offset(),
            }),
            Block::EnhancedPacket(packet) => {
                count += 1;
                let Some(interface) = usize::try_from(packet.if_id).ok().and_then(|id| interfaces.get(id)) else {
                    continue;
                };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                pass(packet.data, interface.link, time(ticks, interface), on);
            }
            Block::SimplePacket(packet) => {
                count += 1;
                if let Some(interface) = interfaces.first() {
                    pass(packet.data, interface.link, None, on);
                }
            }
            _ => {}
        }
    }
    Ok(count)
}

fn time(ticks: u64, interface: &Interface) -> Option<Timestamp> {
    let per_second = interface.per_second.max(1);
    let seconds = i64::try_from(ticks / per_second).ok()?.checked_add(interface.offset)?;
    let rest = u128::from(ticks % per_second) * 1_000_000_000 / u128::from(per_second);
    Timestamp::new(seconds, i32::try_from(rest).ok()?).ok()
}

/// What a PPP frame carries, with or without address and control in front of the protocol's one or two bytes (RFC 1661,
/// 1662). Cisco's HDLC has an EtherType in their place.
fn ppp(data: &[u8]) -> Option<&[u8]> {
    let data = data.strip_prefix(&[0xFF, 0x03]).unwrap_or(data);
    match data {
        [0x0F | 0x8F, 0x00, 0x08, 0x00, ip @ ..] | [0x0F | 0x8F, 0x00, 0x86, 0xDD, ip @ ..] => Some(ip),
        [0x00, 0x21 | 0x57, ip @ ..] | [0x21 | 0x57, ip @ ..] => Some(ip),
        _ => None,
    }
}

/// From the link's frame to what the rest of the program calls a packet.
fn pass(data: &[u8], link: Linktype, time: Option<Timestamp>, on: &mut dyn FnMut(&Packet<'_>, Option<Timestamp>)) {
    let by_version = |bytes: &[u8]| match bytes.first().map(|b| b >> 4) {
        Some(4) => Some(0x0800),
        Some(6) => Some(0x86DD),
        _ => None,
    };
    // IP as such has three numbers by system (DLT_RAW), and OpenBSD's loopback puts the family in front in network order.
    let bare = match link.0 {
        12 | 14 => Some(data),
        108 => data.get(4..),
        9 | 50 => ppp(data),
        // PPPoE: version, code, session and length in front.
        51 => data.get(6..).and_then(ppp),
        _ => None,
    };
    if let Some((ethertype, bytes)) = bare.and_then(|bytes| Some((by_version(bytes)?, bytes))) {
        return on(&Packet { ethertype, bytes }, time);
    }
    match get_packetdata(data, link, data.len()) {
        Some(PacketData::L2(frame)) => {
            if let ([high, low], bytes) = (frame.get(12..14).unwrap_or_default(), frame.get(14..).unwrap_or_default()) {
                on(&Packet { ethertype: u16::from_be_bytes([*high, *low]), bytes }, time);
            }
        }
        Some(PacketData::L3(ethertype, bytes)) => on(&Packet { ethertype, bytes }, time),
        _ => {}
    }
}
