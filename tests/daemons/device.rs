//! Senders as devices are: datagrams, one connection an event, one connection for all, one that connects again.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub fn udp(port: u16, message: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(message, ("127.0.0.1", port)).expect("a datagram");
}

/// Sends `bytes` as they are in a connection of their own and waits until the daemon has read and closed it.
pub fn tcp(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(bytes).expect("the bytes go out");
    stream.shutdown(Shutdown::Write).expect("our side closes");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    stream.read_to_end(&mut Vec::new()).expect("the daemon closes its side");
}

pub fn tcp_line(port: u16, message: &[u8]) {
    tcp(port, &[message, b"\n"].concat());
}

pub fn counted(message: &[u8]) -> Vec<u8> {
    [format!("{} ", message.len()).as_bytes(), message].concat()
}

/// A numbered event of about 300 bytes.
pub fn event(number: usize) -> Vec<u8> {
    format!(
        "<134>Aug 14 09:21:07 fw01 CEF:0|Acme|Wall|9.1|100|conn|5|src=10.1.1.7 dst=10.2.2.2 spt=51234 dpt=443 \
         proto=TCP act=Deny cs1Label=Rule cs1=block-outbound msg=seq={number:09} {}",
        "x".repeat(110)
    )
    .into_bytes()
}

pub fn number(line: &[u8]) -> Option<usize> {
    let at = line.windows(4).position(|w| w == b"seq=")? + 4;
    std::str::from_utf8(line.get(at..at + 9)?).ok()?.parse().ok()
}

/// Sends `rate` numbered events a second from `first` on until told to stop; connects again when the daemon closed the
/// connection or is not there, and then repeats the last twentieth of a second, since TCP does not tell what the other
/// side had read. Returns the number behind the last one.
pub fn steady(port: u16, rate: usize, first: usize, stop: &AtomicBool) -> usize {
    steady_repeating(port, rate, rate / 20, first, stop)
}

/// The same with another number of events that are repeated.
pub fn steady_repeating(port: u16, rate: usize, repeat: usize, first: usize, stop: &AtomicBool) -> usize {
    let start = Instant::now();
    let mut next = first;
    let mut stream: Option<TcpStream> = None;
    while !stop.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs_f64((next - first) as f64 / rate as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let Some(open) = &mut stream else {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            if stream.is_none() {
                std::thread::sleep(Duration::from_millis(10));
            }
            continue;
        };
        if is_closed(open) || open.write_all(&[event(next), b"\n".to_vec()].concat()).is_err() {
            next = next.saturating_sub(repeat).max(first);
            stream = None;
        } else {
            next += 1;
        }
    }
    if let Some(mut open) = stream {
        open.shutdown(Shutdown::Write).expect("our side closes");
        let _ = open.read_to_end(&mut Vec::new());
    }
    next
}

/// A collector sends nothing: anything but "nothing to read" is an end.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a switch");
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a switch");
    !matches!(seen, Err(e) if e.kind() == ErrorKind::WouldBlock)
}
