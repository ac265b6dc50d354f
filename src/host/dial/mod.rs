//! The way to a service on the internet, one stage after the other: name, connection, the proxy's tunnel, TLS with the
//! server's certificate, one HTTP answer. A client library says only that it did not work; here each stage leaves what it
//! saw, also where a later one fails or time runs out.
//!
//! Everything runs side by side in threads of its own under one time limit. A thread that hangs in the resolver is left to
//! itself: what was seen up to then is what there is.

mod stages;
mod tls;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Secret;
pub use tls::{Distrust, Roots, TlsSeen};

/// A service to be tried.
#[derive(Debug, Clone)]
pub struct Dial {
    pub host: String,
    pub port: u16,
    /// What is asked for, beginning with a slash.
    pub path: String,
    pub via: Option<Via>,
    pub roots: Roots,
}

/// A proxy that is asked for a tunnel.
#[derive(Debug, Clone)]
pub struct Via {
    /// A name, an address, or an IPv6 address in brackets.
    pub host: String,
    pub port: u16,
    /// It is spoken to over TLS itself (`https://`).
    pub tls: bool,
    /// Value of the header `Proxy-Authorization`.
    pub login: Option<Secret>,
}

/// A stage that was reached: what was seen, or why it went wrong. `None`: not reached, or still under way at the end.
pub type Stage<T> = Option<Result<T, String>>;

/// What was seen on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialled {
    pub host: String,
    pub port: u16,
    /// Where `names`, `connected` and `tunnel` are those of a proxy, which looks the service up itself.
    pub proxied: bool,
    pub names: Stage<Vec<String>>,
    /// The address that answered first.
    pub connected: Stage<String>,
    /// The status of the proxy's answer to CONNECT.
    pub tunnel: Stage<u16>,
    pub tls: Stage<TlsSeen>,
    pub http: Stage<HttpSeen>,
    pub milliseconds: u64,
    /// All stages have ended, well or not.
    pub ended: bool,
}

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSeen {
    pub status: u16,
    /// `Date`, in seconds since the epoch.
    pub date: Option<i64>,
    /// What the clock of this machine said then.
    pub at: i64,
}

/// Tries all of them at once. Takes `limit` at the most.
pub fn dial_all(dials: Vec<Dial>, limit: Duration) -> Vec<Dialled> {
    let start = Instant::now();
    let end = start + limit;
    let notes: Vec<Note> = dials.iter().map(Note::new).collect();
    let (tell, told) = mpsc::channel();
    for (dial, note) in dials.into_iter().zip(&notes) {
        let (note, tell) = (note.clone(), tell.clone());
        let started = std::thread::Builder::new().name("dial".into()).spawn(move || {
            stages::run(&dial, &note, end);
            note.write(|d| {
                d.ended = true;
                d.milliseconds = millis(start.elapsed());
            });
            let _ = tell.send(());
        });
        drop(started);
    }
    drop(tell);
    for _ in &notes {
        if told.recv_timeout(end.saturating_duration_since(Instant::now())).is_err() {
            break;
        }
    }
    let took = millis(start.elapsed());
    let seen = |note: &Note| {
        let mut seen = note.read();
        if !seen.ended {
            seen.milliseconds = took;
        }
        seen
    };
    notes.iter().map(seen).collect()
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What a thread writes down as it goes.
#[derive(Clone)]
struct Note(Arc<Mutex<Dialled>>);

impl Note {
    fn new(dial: &Dial) -> Note {
        let proxied = dial.via.is_some();
        let seen = Dialled { host: dial.host.clone(), port: dial.port, proxied, ..Dialled::default() };
        Note(Arc::new(Mutex::new(seen)))
    }
    fn write(&self, change: impl FnOnce(&mut Dialled)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
    fn read(&self) -> Dialled {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn one(port: u16, via: Option<Via>, limit: u64) -> Dialled {
        let dial = Dial { host: "127.0.0.1".into(), port, path: "/".into(), via, roots: Roots::System };
        dial_all(vec![dial], Duration::from_millis(limit)).remove(0)
    }

    /// Answers the first connection with this, then holds it.
    fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let _ = peer.read(&mut head);
            let _ = peer.write_all(answer);
            std::thread::sleep(Duration::from_secs(5));
        });
        port
    }

    fn proxy(port: u16) -> Option<Via> {
        Some(Via { host: "127.0.0.1".into(), port, tls: false, login: None })
    }

    #[test]
    fn a_closed_port_is_said_at_once() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let seen = one(free, None, 5000);
        assert_eq!(seen.names, Some(Ok(vec!["127.0.0.1".into()])));
        assert!(seen.connected.as_ref().unwrap().as_ref().unwrap_err().contains("refused"), "{seen:?}");
        assert!(seen.ended && seen.milliseconds < 2000, "{seen:?}");
    }

    #[test]
    fn a_server_that_says_nothing_costs_the_time_limit_and_no_more() {
        let start = Instant::now();
        let seen = one(server(b""), None, 400);
        assert!(start.elapsed() < Duration::from_secs(3));
        assert!(matches!(seen.connected, Some(Ok(_))) && !matches!(seen.tls, Some(Ok(_))), "{seen:?}");
    }

    #[test]
    fn what_is_no_tls_and_what_a_proxy_answers() {
        let seen = one(server(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None, 3000);
        assert!(matches!(seen.tls, Some(Err(_))), "{seen:?}");
        let seen = one(443, proxy(server(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")), 3000);
        assert_eq!((seen.tunnel, seen.tls), (Some(Ok(407)), None));
        let seen = one(443, proxy(server(b"SSH-2.0-x\r\n\r\n")), 3000);
        assert!(matches!(seen.tunnel, Some(Err(_))), "{seen:?}");
        // A head without an end.
        let seen = one(443, proxy(server(&[b'a'; 40_000])), 3000);
        assert!(matches!(seen.tunnel, Some(Err(_))), "{seen:?}");
    }

    #[test]
    fn a_name_that_cannot_be_is_an_error() {
        let dial = Dial { host: "no name at all".into(), port: 1, path: "/".into(), via: None, roots: Roots::System };
        let seen = dial_all(vec![dial], Duration::from_secs(5)).remove(0);
        assert!(matches!(seen.names, Some(Err(_))) && seen.connected.is_none(), "{seen:?}");
    }
}
