//! The agent's port: takes lines from any number of connections, can go away and come back.

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Inbox {
    lines: Vec<Vec<u8>>,
    connections: Vec<TcpStream>,
    /// Counts up when the agent goes away: what belongs to earlier times ends.
    epoch: u64,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
}

pub struct Agent {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Agent {
    pub fn start() -> Agent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the agent");
        let agent =
            Agent { port: listener.local_addr().expect("its address").port(), shared: Arc::new(Shared::default()) };
        agent.listen(listener);
        agent
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.shared.inbox.lock().expect("nobody panicked with the lines")
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let epoch = self.inbox().epoch;
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut inbox = shared.inbox.lock().expect("the lines");
                if inbox.epoch != epoch {
                    return;
                }
                inbox.connections.push(stream.try_clone().expect("a second handle"));
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || read(stream, &shared));
            }
        });
    }

    /// Nobody listens any more, and connections are closed as a program does that reads to their end: what a daemon
    /// has handed to the kernel of an agent that dies unread is lost, whatever the daemon does.
    pub fn go_away(&self) {
        // the port first: a daemon that connects again at once would be taken, and dropped with what it sends
        let connections = {
            let mut inbox = self.inbox();
            inbox.epoch += 1;
            std::mem::take(&mut inbox.connections)
        };
        // wakes the listening thread, which sees that its time is over and closes the port
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let end = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < end, "the agent's port stays open");
        }
        for connection in connections {
            let _ = connection.shutdown(Shutdown::Write);
        }
    }

    pub fn come_back(&self) {
        self.listen(TcpListener::bind(("127.0.0.1", self.port)).expect("the same port again"));
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.inbox().lines.clone()
    }

    /// The lines, once `enough` says so or `limit` is over.
    pub fn wait(&self, limit: Duration, enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let end = Instant::now() + limit;
        let mut inbox = self.inbox();
        while !enough(&inbox.lines) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inbox = self.shared.arrived.wait_timeout(inbox, left).expect("the lines").0;
        }
        inbox.lines.clone()
    }

    /// All lines, once none came for a second and a half.
    pub fn wait_until_quiet(&self) -> Vec<Vec<u8>> {
        let mut count = usize::MAX;
        while self.lines().len() != count {
            count = self.lines().len();
            std::thread::sleep(Duration::from_millis(1500));
        }
        self.lines()
    }

    pub fn forget(&self) {
        self.inbox().lines.clear();
    }
}

fn read(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        if line.pop() == Some(b'\n') {
            shared.inbox.lock().expect("the lines").lines.push(std::mem::take(&mut line));
            shared.arrived.notify_all();
        }
        line.clear();
    }
}
