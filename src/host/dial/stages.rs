//! The stages themselves. Each reads and writes under the same end of time, so that a peer who sends a byte a second does
//! not get more of it than one who sends nothing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Dial, HttpSeen, Note, Via, tls};
use crate::host::http::http_date;

/// The head of an answer is not longer.
const HEAD_CAP: usize = 16 << 10;
/// Addresses of a name that are tried, all at once.
const MOST_ADDRESSES: usize = 6;

/// Bytes both ways.
pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Goes as far as it can.
pub fn run(dial: &Dial, note: &Note, end: Instant) {
    let (host, port) = match &dial.via {
        Some(via) => (via.host.as_str(), via.port),
        None => (dial.host.as_str(), dial.port),
    };
    let addresses = names(host, port, end);
    let shown = addresses.clone().map(|all| all.iter().map(|a| a.ip().to_string()).collect());
    note.write(|d| d.names = Some(shown));
    let Ok(addresses) = addresses else { return };
    let connection = connect(&addresses, end);
    note.write(|d| d.connected = Some(connection.as_ref().map(|(a, _)| a.to_string()).map_err(Clone::clone)));
    let Ok((_, stream)) = connection else { return };
    let mut wire: Box<dyn Wire> = Box::new(Limited { stream, end });
    if let Some(via) = &dial.via {
        let answer = tunnel(&mut wire, dial, via, end);
        note.write(|d| d.tunnel = Some(answer.as_ref().map(|(status, _)| *status).map_err(Clone::clone)));
        match answer {
            Ok((200..=299, through)) => wire = through.unwrap_or(wire),
            _ => return,
        }
    }
    let secured = tls::secure(wire, &dial.host, &dial.roots);
    note.write(|d| d.tls = Some(secured.as_ref().map(|(seen, _)| seen.clone()).map_err(Clone::clone)));
    let Ok((_, mut wire)) = secured else { return };
    let answer = ask(&mut wire, dial);
    note.write(|d| d.http = Some(answer));
}

/// Looks a name up in a thread of its own: the resolver takes the time it likes.
fn names(host: &str, port: u16, end: Instant) -> Result<Vec<SocketAddr>, String> {
    let (tell, told) = mpsc::channel();
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = tell.send(found);
    });
    match told.recv_timeout(left(end)) {
        Ok(Ok(found)) if found.is_empty() => Err("the name has no address".into()),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(e)) => {
            let text = e.to_string();
            Err(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned())
        }
        Err(_) => Err("the name servers do not answer in time".into()),
    }
}

/// The first of all addresses that answers.
fn connect(addresses: &[SocketAddr], end: Instant) -> Result<(SocketAddr, TcpStream), String> {
    let (tell, told) = mpsc::channel();
    let mut asked = 0;
    for address in addresses.iter().take(MOST_ADDRESSES).copied() {
        let tell = tell.clone();
        asked += 1;
        std::thread::spawn(move || {
            let limit = left(end).max(Duration::from_millis(1));
            let _ = tell.send((address, TcpStream::connect_timeout(&address, limit)));
        });
    }
    let mut refused: Vec<(SocketAddr, String)> = Vec::new();
    for _ in 0..asked {
        match told.recv_timeout(left(end)) {
            Ok((address, Ok(stream))) => return Ok((address, stream)),
            Ok((address, Err(e))) => refused.push((address, in_words(&e))),
            Err(_) => break,
        }
    }
    let silent = addresses.iter().take(MOST_ADDRESSES).filter(|a| !refused.iter().any(|(r, _)| r == *a));
    let silent: Vec<_> = silent.map(|a| (*a, "no answer in time".to_owned())).collect();
    refused.extend(silent);
    // The same word for all is said once.
    let word = refused.first().map(|(_, word)| word.clone()).unwrap_or_default();
    let shown = |list: &[(SocketAddr, String)]| list.iter().map(|(a, _)| a.to_string()).collect::<Vec<_>>().join(", ");
    if refused.iter().all(|(_, w)| *w == word) {
        return Err(format!("{}: {word}", shown(&refused)));
    }
    Err(refused.iter().map(|(a, w)| format!("{a}: {w}")).collect::<Vec<_>>().join("; "))
}

/// Asks the proxy for the way to the service. The wire is given back where it had to be wrapped.
fn tunnel(
    wire: &mut Box<dyn Wire>,
    dial: &Dial,
    via: &Via,
    end: Instant,
) -> Result<(u16, Option<Box<dyn Wire>>), String> {
    let mut wrapped: Option<Box<dyn Wire>> = None;
    if via.tls {
        // What the proxy's own certificate is worth is for the agent to say.
        let plain = std::mem::replace(wire, Box::new(io::empty()));
        let (_, through) = tls::secure(plain, &via.host, &dial.roots).map_err(|e| format!("TLS to the proxy: {e}"))?;
        wrapped = Some(through);
    }
    let wire = wrapped.as_mut().unwrap_or(wire);
    let place = match dial.host.contains(':') && !dial.host.starts_with('[') {
        true => format!("[{}]:{}", dial.host, dial.port),
        false => format!("{}:{}", dial.host, dial.port),
    };
    let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
    if let Some(login) = &via.login {
        request.extend([b"Proxy-Authorization: ", login.expose(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let head = exchange(wire, &request).map_err(|e| {
        if left(end).is_zero() {
            "the proxy does not answer in time".to_owned()
        } else {
            format!("the proxy broke off: {}", in_words(&e))
        }
    })?;
    let (status, _) = parse_head(&head).ok_or("it is no HTTP proxy: its answer is none of HTTP")?;
    Ok((status, wrapped))
}

fn ask(wire: &mut Box<dyn Wire>, dial: &Dial) -> Result<HttpSeen, String> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: cefctl/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        dial.path,
        dial.host,
        env!("CARGO_PKG_VERSION")
    );
    let head = exchange(wire, request.as_bytes()).map_err(|e| in_words(&e))?;
    let at = jiff::Timestamp::now().as_second();
    let (status, date) = parse_head(&head).ok_or("the answer is none of HTTP")?;
    Ok(HttpSeen { status, date, at })
}

/// Sends a request and reads the head of the answer, not one byte further: a tunnel begins behind it.
fn exchange(wire: &mut Box<dyn Wire>, request: &[u8]) -> io::Result<Vec<u8>> {
    wire.write_all(request)?;
    wire.flush()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") && head.len() < HEAD_CAP {
        match wire.read(&mut byte) {
            Ok(0) if head.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(_) => head.extend(byte),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(head)
}

/// `HTTP/1.1 200 OK` and the lines behind it: status and `Date`.
fn parse_head(head: &[u8]) -> Option<(u16, Option<i64>)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut words = lines.next()?.split_ascii_whitespace();
    words.next().filter(|w| w.starts_with("HTTP/"))?;
    let status = words.next()?.parse().ok().filter(|s| (100..1000).contains(s))?;
    let date = lines.filter_map(|l| l.split_once(':')).find(|(name, _)| name.trim().eq_ignore_ascii_case("date"));
    Some((status, date.and_then(|(_, value)| http_date(value))))
}

/// An error without the number of the system call's.
pub fn in_words(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".into(),
        io::ErrorKind::UnexpectedEof => "the other side closed the connection without an answer".into(),
        io::ErrorKind::ConnectionReset => "the connection was reset".into(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

/// A connection that nothing is waited for on beyond the end.
struct Limited {
    stream: TcpStream,
    end: Instant,
}

impl Limited {
    fn left(&self) -> io::Result<Option<Duration>> {
        match left(self.end) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            some => Ok(Some(some)),
        }
    }
}

impl Read for Limited {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buf)
    }
}

impl Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_answers() {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            parse_head(format!("HTTP/1.1 403 Forbidden\r\n{date}\r\n\r\n").as_bytes()),
            Some((403, Some(784_111_777)))
        );
        assert_eq!(parse_head(b"HTTP/2 200\ndate: never\n\n"), Some((200, None)));
        for bad in [&b""[..], b"\xff\xfe", b"HTTP/1.1", b"HTTP/1.1 99999 x", b"HTTP/1.1 -1 x", b"220 ready"] {
            assert_eq!(parse_head(bad), None);
        }
    }
}
