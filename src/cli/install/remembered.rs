//! What earlier runs of `install` were told and this one was not: it holds until somebody says otherwise, so that neither a
//! repair nor a second run by hand sets anything back.

use serde_json::Value;

use crate::agent::{AgentFacts, OMS_PORT};
use crate::check::target::{COUNTED_PORT, TLS_PORT};
use crate::cli::args::{AgentChoice, InstallArgs, LocalCopy, Protocol};
use crate::host::Host;
use crate::plan::Receipt;

/// Disk space of the queue where nobody has said anything, MB.
pub const QUEUE_DISK: u32 = 2048;

/// The options with what the receipt says filled in, and a sentence on each that is not the usual one.
pub fn fill(host: &Host, args: &InstallArgs, receipt: Option<&Receipt>) -> (InstallArgs, Vec<String>) {
    let mut args = args.clone();
    let mut notes = Vec::new();
    let Some(options) = receipt.map(|r| &r.options) else { return (args, notes) };
    let mut kept = |what: String, back: &str| notes.push(format!("{what}, as before; {back} changes that"));

    if args.target.port.is_none() {
        args.target.port = number(&options["port"]);
        if let Some(port) = args.target.port.filter(|p| *p != 514) {
            kept(format!("devices send to port {port}"), "--port 514");
        }
    }
    if args.target.protocol.is_none() {
        args.target.protocol = protocols(&options["protocols"]);
        if let Some([one]) = args.target.protocol.as_deref() {
            kept(format!("they send over {} only", word(*one)), "--protocol udp,tcp");
        } else if args.target.protocol.iter().flatten().any(|p| *p == Protocol::Tls) {
            kept("they may send over TLS".into(), "--protocol udp,tcp");
        }
    }
    if args.target.protocol.iter().flatten().any(|p| *p == Protocol::Tls) {
        if args.target.tls_port.is_none() {
            args.target.tls_port = number(&options["tls_port"]);
            if let Some(port) = args.target.tls_port.filter(|p| *p != TLS_PORT) {
                kept(format!("devices send to port {port} over TLS"), &format!("--tls-port {TLS_PORT}"));
            }
        }
        let file = |name: &str| options[name].as_str().map(std::path::PathBuf::from);
        if let (None, Some(pair)) = (&args.tls_cert, file("tls_cert").zip(file("tls_key"))) {
            kept(format!("TLS has the certificate {}", pair.0.display()), "--tls-cert and --tls-key");
            (args.tls_cert, args.tls_key) = (Some(pair.0), Some(pair.1));
        }
    }
    if args.target.agent_port.is_none() && options["agent"] == "none" && has_no_agent(host, args.target.agent) {
        args.target.agent_port = number(&options["agent_port"]);
        if let Some(port) = args.target.agent_port.filter(|p| *p != OMS_PORT) {
            kept(format!("events go to port {port}"), &format!("--agent-port {}", OMS_PORT));
        }
    }
    if args.local_copy.is_none() {
        args.local_copy = LocalCopy::ALL.into_iter().find(|c| options["local_copy"] == c.word());
        match args.local_copy {
            Some(LocalCopy::Keep) => kept("events also go through the local rules".into(), "--local-copy auto"),
            Some(LocalCopy::Drop) => kept("events are kept out of the local rules".into(), "--local-copy auto"),
            Some(LocalCopy::Auto) | None => {}
        }
    }
    if !args.rewrite_ids && !args.no_rewrite_ids && options["rewrite_ids"] == true {
        args.rewrite_ids = true;
        kept("event ids are rewritten".into(), "--no-rewrite-ids");
    }
    if !args.no_octet_counting && !args.octet_counting && options["octet_counting"] == false {
        args.no_octet_counting = true;
        kept("TCP input is taken line by line".into(), "--octet-counting");
    }
    if args.queue_disk.is_none() {
        args.queue_disk = number(&options["queue_disk"]);
        if let Some(size) = args.queue_disk.filter(|s| *s != QUEUE_DISK) {
            kept(format!("the queue may take {size} MB"), &format!("--queue-disk {QUEUE_DISK}"));
        }
    }
    if args.counted_port.is_none() {
        args.counted_port = number(&options["counted_port"]);
        if let Some(port) = args.counted_port.filter(|p| *p != COUNTED_PORT) {
            kept(format!("senders that count octets use port {port}"), &format!("--counted-port {COUNTED_PORT}"));
        }
    }
    (args, notes)
}

fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    value.as_u64()?.try_into().ok()
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
        Protocol::Tls => "TLS",
    }
}

fn protocols(value: &Value) -> Option<Vec<Protocol>> {
    let known = |name: &Value| match name.as_str() {
        Some("udp") => Some(Protocol::Udp),
        Some("tcp") => Some(Protocol::Tcp),
        Some("tls") => Some(Protocol::Tls),
        _ => None,
    };
    let list: Vec<Protocol> = value.as_array()?.iter().filter_map(known).collect();
    (!list.is_empty()).then_some(list)
}

/// An agent's own port is what the agent says.
fn has_no_agent(host: &Host, choice: AgentChoice) -> bool {
    match choice {
        AgentChoice::None => true,
        AgentChoice::Auto => {
            let agents = AgentFacts::gather(&host.root);
            agents.oms.is_none() && agents.ama.is_none()
        }
        AgentChoice::Oms | AgentChoice::Ama => false,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::host::Root;
    use crate::host::fake::{FakeRunner, host};

    fn filled(words: &[&str], options: Value) -> (InstallArgs, Vec<String>) {
        let line = [&["cefctl", "install", "--agent", "none"], words].concat();
        let Command::Install(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        let dir = tempfile::tempdir().unwrap();
        let receipt = Receipt { options, ..Receipt::new("then") };
        fill(&host(Root::at(dir.path()), FakeRunner::new()), &args, Some(&receipt))
    }

    fn odd() -> Value {
        serde_json::json!({
            "agent": "none", "agent_port": 25300, "port": 1514, "protocols": ["tcp"], "local_copy": "keep",
            "rewrite_ids": true, "octet_counting": false, "queue_disk": 512,
        })
    }

    #[test]
    fn what_was_said_once_holds_and_is_named() {
        let (args, notes) = filled(&[], odd());
        assert_eq!((args.target.port, args.target.agent_port, args.queue_disk), (Some(1514), Some(25300), Some(512)));
        assert_eq!(args.target.protocol, Some(vec![Protocol::Tcp]));
        assert_eq!((args.local_copy, args.rewrite_ids, args.no_octet_counting), (Some(LocalCopy::Keep), true, true));
        assert_eq!(notes.len(), 7, "{notes:?}");
        // Every note names the option that takes it back.
        let back: Vec<&str> = notes.iter().flat_map(|n| n.split_once("; ").unwrap().1.split(' ')).collect();
        let words: Vec<&str> = back.into_iter().filter(|w| !["changes", "that"].contains(w)).collect();
        let (args, notes) = filled(&words, odd());
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!((args.target.port, args.queue_disk), (Some(514), Some(2048)));
        assert_eq!((args.local_copy, args.rewrite_ids, args.no_octet_counting), (Some(LocalCopy::Auto), false, false));
    }

    #[test]
    fn a_receipt_without_options_and_a_usual_one_say_nothing() {
        assert!(filled(&[], Value::Null).1.is_empty());
        let usual = serde_json::json!({
            "agent": "none", "agent_port": 25226, "port": 514, "protocols": ["udp", "tcp"], "local_copy": "auto",
            "rewrite_ids": false, "octet_counting": true, "queue_disk": 2048,
        });
        assert!(filled(&[], usual).1.is_empty());
    }
}
