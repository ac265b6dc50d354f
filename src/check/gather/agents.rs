//! Which agent is on the box, where it says it listens, and what `install` wrote into its receipt. Only what the checks
//! of the way up to the agent's port need.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::check::facts::{AgentFacts, AmaFacts, Fact, FileState, OmsFacts, ReceiptFacts, ReceiptFile};
use crate::host::Root;
use crate::host::proc_net::Transport;

const OMS: &str = "/etc/opt/microsoft/omsagent";
const AMA: &str = "/etc/opt/microsoft/azuremonitoragent/config-cache";
const RECEIPT: &str = "/var/lib/cefctl/receipt.json";

pub fn gather(root: &Root) -> AgentFacts {
    AgentFacts { oms: oms(root), ama: ama(root) }
}

fn oms(root: &Root) -> Option<OmsFacts> {
    let names = root.list(Path::new(OMS)).ok()?;
    let workspaces: Vec<String> =
        names.iter().filter_map(|n| n.to_str()).filter(|n| is_guid(n)).map(str::to_owned).collect();
    let first = workspaces.first()?;
    let file = format!("{OMS}/{first}/conf/omsagent.d/security_events.conf");
    let text = root.read_opt(Path::new(&file)).ok().flatten();
    let input_port = text.as_deref().and_then(fluentd_port);
    Some(OmsFacts { input_file: text.map(|_| file), workspaces, input_port })
}

fn is_guid(name: &str) -> bool {
    let parts: Vec<usize> = name.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && name.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// `port 25226` of the first `<source>`; comments do not count.
fn fluentd_port(text: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(text);
    let mut words = text.lines().map(|l| l.split('#').next().unwrap_or_default().split_whitespace());
    words.find_map(|mut line| (line.next() == Some("port")).then(|| line.next()?.parse().ok())?)
}

fn ama(root: &Root) -> Option<AmaFacts> {
    let installed = ["/opt/microsoft/azuremonitoragent/bin/mdsd", AMA]
        .iter()
        .any(|p| matches!(root.stat(Path::new(p)), Ok(Some(_))));
    let port = root.read_opt(Path::new(&format!("{AMA}/syslog.port"))).ok().flatten();
    let port = port.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok());
    installed.then_some(AmaFacts { port })
}

/// What the receipt promises. Fields that are missing or of another shape are left empty.
pub fn receipt(root: &Root) -> Fact<Option<ReceiptFacts>> {
    let text = match root.read_opt(Path::new(RECEIPT)) {
        Ok(None) => return Ok(None),
        Ok(Some(text)) => text,
        Err(e) => return Err(format!("{RECEIPT}: {e}")),
    };
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| format!("{RECEIPT} is no JSON ({e}); it may be damaged"))?;
    let mut receipt = parse_receipt(&value);
    for file in &mut receipt.files {
        file.state = state_of(root, file);
    }
    Ok(Some(receipt))
}

fn parse_receipt(value: &serde_json::Value) -> ReceiptFacts {
    let options = &value["options"];
    let option = |names: [&str; 2]| names.iter().find_map(|n| options.get(n));
    let number = |names| option(names).and_then(|v| v.as_u64()).and_then(|n| n.try_into().ok());
    let text = |name| options[name].as_str().map(str::to_owned);
    let protocols: Vec<String> = match option(["protocol", "protocols"]) {
        Some(serde_json::Value::String(list)) => list.split(',').map(|p| p.trim().to_owned()).collect(),
        Some(serde_json::Value::Array(list)) => list.iter().filter_map(|p| p.as_str()).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let transport = |name: &String| [Transport::Udp, Transport::Tcp].into_iter().find(|t| t.word() == name);
    let entries = value["entries"].as_array().into_iter().flatten();
    // A file that `install` took away is not missing.
    let written = entries.filter(|e| e["entry"] == "file" && e["after"]["kind"] != "absent");
    let file = |e: &serde_json::Value| {
        let sha256 = e["after"]["sha256"].as_str().unwrap_or_default().to_owned();
        Some(ReceiptFile { path: e["path"].as_str()?.to_owned(), sha256, state: FileState::Missing })
    };
    ReceiptFacts {
        path: RECEIPT.into(),
        protocols: protocols.iter().filter_map(transport).collect(),
        port: number(["port", "port"]),
        agent: text("agent"),
        agent_port: number(["agent_port", "agent-port"]),
        daemon: text("daemon"),
        files: written.filter_map(file).collect(),
    }
}

/// What has become of a file since `install` wrote it.
fn state_of(root: &Root, file: &ReceiptFile) -> FileState {
    match root.read_opt(Path::new(&file.path)) {
        Ok(None) => FileState::Missing,
        Ok(Some(content)) if !file.sha256.is_empty() && sha256(&content) != file.sha256 => FileState::Changed,
        Ok(Some(_)) | Err(_) => FileState::AsWritten,
    }
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn the_port_of_the_log_analytics_agent_is_the_one_in_its_input_file() {
        let ws = "00000000-0000-0000-0000-0000000000ab";
        let path = format!("etc/opt/microsoft/omsagent/{ws}/conf/omsagent.d/security_events.conf");
        let (_d, root) =
            tree(&[(&path, "<source>\n  type syslog\n  # port 1\n  port 25300\n  bind 127.0.0.1\n</source>\n")]);
        std::fs::create_dir_all(root.real(Path::new("/etc/opt/microsoft/omsagent/sysconf"))).unwrap();
        let oms = gather(&root).oms.unwrap();
        assert_eq!((oms.workspaces, oms.input_port), (vec![ws.to_owned()], Some(25300)));
        assert_eq!(gather(&tree(&[]).1).oms.is_some(), false);
    }

    #[test]
    fn the_port_of_the_azure_monitor_agent_is_the_one_in_its_port_file() {
        let (_d, root) = tree(&[("etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port", "28331\n")]);
        assert_eq!(gather(&root).ama.unwrap().port, Some(28331));
        let (_d, root) = tree(&[("opt/microsoft/azuremonitoragent/bin/mdsd", "")]);
        assert_eq!(gather(&root).ama.unwrap().port, None);
    }

    #[test]
    fn a_receipt_of_any_shape_is_taken_for_what_it_says() {
        assert_eq!(receipt(&tree(&[]).1), Ok(None));
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", "{]")]);
        assert!(receipt(&root).unwrap_err().contains("no JSON"));
        let text = r#"{"options":{"protocol":["udp","tcp",7],"port":514,"agent":"none","agent_port":99999},
            "entries":[{"entry":"file","path":"/etc/a","after":{"kind":"file"}},{"entry":"file","path":"/etc/b","after":{}},
            {"entry":"file","path":"/etc/c","after":{"sha256":"00"}},
            {"entry":"file","path":"/etc/taken","after":{"kind":"absent"}},{"entry":"dir","path":"/d"},5]}"#;
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", text), ("etc/a", ""), ("etc/c", "x")]);
        let r = receipt(&root).unwrap().unwrap();
        assert_eq!(r.protocols, [Transport::Udp, Transport::Tcp]);
        assert_eq!((r.port, r.agent_port, r.agent.as_deref()), (Some(514), None, Some("none")));
        let files: Vec<_> = r.files.iter().map(|f| (f.path.as_str(), f.state)).collect();
        let wanted = [("/etc/a", FileState::AsWritten), ("/etc/b", FileState::Missing), ("/etc/c", FileState::Changed)];
        assert_eq!(files, wanted);
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", r#"{"options":{"protocol":"tcp"},"entries":7}"#)]);
        assert_eq!(receipt(&root).unwrap().unwrap().protocols, [Transport::Tcp]);
    }
}
