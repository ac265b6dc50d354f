//! Senders in a host's network, as devices send: datagrams, one TCP connection a line, a stream that connects again
//! whenever the collector goes away.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::host::Host;

pub fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// One datagram a line, `gap` apart so that no receive buffer decides the outcome.
pub fn udp(host: &Host, to: SocketAddr, lines: &[Vec<u8>], gap: Duration) -> Result<()> {
    host.in_network(|| {
        let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        for line in lines {
            socket.send_to(line, to).with_context(|| format!("UDP to {to}"))?;
            std::thread::sleep(gap);
        }
        Ok(())
    })
}

/// Each line framed by a line feed, in its own connection as many devices do; closed in an orderly way.
pub fn tcp_each(host: &Host, to: SocketAddr, lines: &[Vec<u8>]) -> Result<()> {
    host.in_network(|| {
        for line in lines {
            let mut stream = TcpStream::connect(to).with_context(|| format!("TCP to {to}"))?;
            stream.write_all(&[line, b"\n".as_slice()].concat())?;
            finish(stream)?;
        }
        Ok(())
    })
}

/// All lines in one connection, framed by their length in decimal and a blank.
pub fn tcp_counted(host: &Host, to: SocketAddr, lines: &[Vec<u8>]) -> Result<()> {
    host.in_network(|| {
        let mut stream = TcpStream::connect(to).with_context(|| format!("TCP to {to}"))?;
        for line in lines {
            stream.write_all(&[format!("{} ", line.len()).as_bytes(), line].concat())?;
        }
        finish(stream)
    })
}

/// Waits for the peer's own close, so that a reset cannot throw away what it has not read yet.
fn finish(mut stream: TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).context("the collector did not close the connection after ours")?;
    Ok(())
}

/// A numbered event as a firewall would send it.
pub fn numbered(n: usize) -> Vec<u8> {
    format!("<134>Aug  1 10:00:00 fw01 CEF:0|Acme|Wall|9.1|100|conn|5|src=192.0.2.7 spt=51234 act=Deny msg=seq={n:09}")
        .into_bytes()
}

/// The number of such an event, from whatever form it arrived in.
pub fn number_of(line: &[u8]) -> Option<usize> {
    let at = line.windows(4).position(|w| w == b"seq=")? + 4;
    std::str::from_utf8(line.get(at..at + 9)?).ok()?.parse().ok()
}

/// Sends `rate` numbered events a second over one TCP connection for `time`, and connects again when the collector has
/// closed it or gone away. As a careful sender does, it then repeats the last moment: TCP does not tell what the other
/// side had read. Returns how many events there were and how often it had to connect again.
pub fn steady(host: &Host, to: SocketAddr, rate: usize, time: Duration) -> Result<(usize, usize)> {
    const BATCH: usize = 10;
    /// What may lie unread at a collector that is closing down.
    const UNSURE: Duration = Duration::from_millis(100);
    host.in_network(|| {
        let start = Instant::now();
        let total = (rate as f64 * time.as_secs_f64()) as usize;
        let when = |n: usize| start + Duration::from_secs_f64(n as f64 / rate as f64);
        let (mut next, mut connects) = (0, 0);
        let mut stream: Option<TcpStream> = None;
        while next < total {
            std::thread::sleep(when(next).saturating_duration_since(Instant::now()));
            let Some(open) = &mut stream else {
                match TcpStream::connect(to) {
                    Ok(s) => {
                        s.set_nodelay(true)?;
                        (stream, connects) = (Some(s), connects + 1);
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
                continue;
            };
            let end = (next + BATCH).min(total);
            let batch: Vec<u8> = (next..end).flat_map(|n| [numbered(n), vec![b'\n']].concat()).collect();
            if closed_by_peer(open) || open.write_all(&batch).is_err() {
                next = next.saturating_sub((rate as f64 * UNSURE.as_secs_f64()) as usize);
                stream = None;
            } else {
                next = end;
            }
        }
        if let Some(s) = stream {
            finish(s)?;
        }
        Ok((total, connects - 1))
    })
}

/// Has the peer closed or reset the connection? A collector sends nothing, so anything but "nothing to read yet" is an end.
fn closed_by_peer(stream: &TcpStream) -> bool {
    let mut byte = [0];
    let _ = stream.set_nonblocking(true);
    let seen = stream.peek(&mut byte);
    let _ = stream.set_nonblocking(false);
    !matches!(seen, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}
