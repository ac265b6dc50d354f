//! Does what hands events from a daemon to the agent fit together: marker, port file, the daemon's file, the socket? A watcher
//! of the agent's extension keeps them together, and they come apart (facts 3.3, field-failures 1.13, 1.33). Judged here,
//! once, for `install`, which mends, and `troubleshoot`, which names.

use super::{Ama, Daemon, DaemonFile, Transport};

/// What is the matter, the first thing that keeps events from the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover<'a> {
    /// There is no file of the agent's in the daemon's configuration.
    Missing,
    /// The daemon meets something in its place that is no file.
    Unread(&'a DaemonFile, &'a str),
    /// The file hands nothing to the agent: empty, cut short, or changed to go elsewhere.
    Nothing(&'a DaemonFile),
    /// The agent does not say on which port it takes events. Is it the file's?
    Unsaid {
        file: &'a DaemonFile,
        listens: bool,
    },
    /// The file names another port than the agent.
    Stale {
        file: &'a DaemonFile,
        there: u16,
        port: u16,
    },
    /// What the agent says is not what it does, and the file is right.
    Misstated {
        file: &'a DaemonFile,
        there: u16,
        port: u16,
    },
    /// File and agent say the same port, and the agent listens on others.
    Elsewhere {
        file: &'a DaemonFile,
        port: u16,
    },
    /// Events go to the socket, on which nobody listens. Since an update the agent takes them on a port, if it says one.
    DeadSocket {
        file: &'a DaemonFile,
        port: Option<u16>,
    },
    /// All is right for the way over TCP, and a file for the socket is there as well. Does it hand events over, too?
    Beside {
        tcp: &'a DaemonFile,
        socket: &'a DaemonFile,
        twice: bool,
    },
    /// Events go to the socket that the agent has.
    Socket(&'a DaemonFile),
    Tcp(&'a DaemonFile, u16),
}

/// `listening`: ports of loopback that the agent's own process has; empty: not known.
pub fn of<'a>(ama: &'a Ama, daemon: Daemon, listening: &[u16]) -> Handover<'a> {
    let file = |transport: Transport| ama.of(daemon).find(|f| f.transport == transport);
    match (file(Transport::Tcp), file(Transport::Socket)) {
        (None, None) => Handover::Missing,
        (Some(tcp), socket) => match (over_tcp(ama, tcp, listening), socket) {
            (Handover::Tcp(..), Some(socket)) => {
                Handover::Beside { tcp, socket, twice: socket.hands && !ama.socket.is_dead() }
            }
            (found, _) => found,
        },
        (None, Some(socket)) => over_socket(ama, socket),
    }
}

fn over_socket<'a>(ama: &'a Ama, file: &'a DaemonFile) -> Handover<'a> {
    match (&file.unread, ama.socket.is_dead()) {
        (_, true) => Handover::DeadSocket { file, port: ama.port_number() },
        (Some(why), false) => Handover::Unread(file, why),
        (None, false) if file.damaged || !file.hands => Handover::Nothing(file),
        (None, false) => Handover::Socket(file),
    }
}

fn over_tcp<'a>(ama: &'a Ama, file: &'a DaemonFile, listening: &[u16]) -> Handover<'a> {
    let there = match (&file.unread, file.port) {
        (Some(why), _) => return Handover::Unread(file, why),
        (None, Some(there)) if !file.damaged => there,
        (None, _) => return Handover::Nothing(file),
    };
    let has = |port: u16| listening.contains(&port);
    match ama.port_number() {
        None => Handover::Unsaid { file, listens: has(there) },
        Some(port) if port != there && has(there) && !has(port) => Handover::Misstated { file, there, port },
        Some(port) if port != there => Handover::Stale { file, there, port },
        Some(port) if !listening.is_empty() && !has(port) => Handover::Elsewhere { file, port },
        Some(port) => Handover::Tcp(file, port),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SocketState;
    use super::*;

    const OMFWD: &str = "/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf";
    const OMUXSOCK: &str = "/etc/rsyslog.d/10-azuremonitoragent.conf";
    const TCP: &str = "*.* action(type=\"omfwd\" target=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";
    const OLD: &str = "$OMUxSockSocket /run/azuremonitoragent/default_syslog.socket\n*.* :omuxsock:\n";

    fn ama(port: Option<&str>, files: &[(&str, &str)], socket: bool) -> Ama {
        Ama {
            port: port.map(|p| Ok(p.to_owned())),
            files: files.iter().map(|(path, text)| DaemonFile::read(path, text.as_bytes())).collect(),
            socket: SocketState { exists: socket, bound: Some(socket) },
            ..Ama::default()
        }
    }

    /// The first word of what is found.
    fn found(ama: &Ama, listening: &[u16]) -> String {
        let text = format!("{:?}", of(ama, Daemon::Rsyslog, listening));
        text.split([' ', '(']).next().unwrap().to_owned()
    }

    #[test]
    fn over_tcp() {
        let of =
            |port: Option<&str>, text: &str, listening: &[u16]| found(&ama(port, &[(OMFWD, text)], false), listening);
        let usual = Some("28330");
        assert_eq!(of(usual, TCP, &[]), "Tcp");
        assert_eq!(of(usual, TCP, &[28330]), "Tcp");
        assert_eq!(of(usual, TCP, &[31000]), "Elsewhere");
        assert_eq!(of(Some("31000"), TCP, &[]), "Stale");
        assert_eq!(of(Some("31000"), TCP, &[31000, 28330]), "Stale");
        assert_eq!(of(Some("31000"), TCP, &[28330]), "Misstated");
        for port in [None, Some(""), Some("x"), Some("0")] {
            assert_eq!(of(port, TCP, &[]), "Unsaid");
        }
        for text in ["", "# Azure\n", &TCP[..40], "auth.* /var/log/auth\n", &TCP.replace("tcp", "udp")] {
            assert_eq!(of(usual, text, &[28330]), "Nothing", "{text}");
        }
    }

    #[test]
    fn over_the_socket_and_after_an_update() {
        let of = |port: Option<&str>, socket: bool| found(&ama(port, &[(OMUXSOCK, OLD)], socket), &[]);
        assert_eq!((of(None, true), of(Some("28330"), true)), ("Socket".into(), "Socket".into()));
        assert_eq!((of(None, false), of(Some("28330"), false)), ("DeadSocket".into(), "DeadSocket".into()));
        let both = [(OMFWD, TCP), (OMUXSOCK, OLD)];
        for socket in [true, false] {
            let ama = ama(Some("28330"), &both, socket);
            let Handover::Beside { twice, .. } = super::of(&ama, Daemon::Rsyslog, &[]) else { panic!() };
            assert_eq!(twice, socket);
        }
        assert_eq!(found(&ama(Some("28330"), &[], true), &[]), "Missing");
    }
}
