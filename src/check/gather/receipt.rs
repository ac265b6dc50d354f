//! What `install` wrote into its receipt, as far as the checks need it, and what has become of its files since.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::check::facts::{Fact, FileState, ReceiptFacts, ReceiptFile};
use crate::host::proc_net::Transport;
use crate::host::{Root, facts};

const RECEIPT: &str = "/var/lib/cefctl/receipt.json";

/// What the receipt promises. Fields that are missing or of another shape are left empty.
pub fn gather(root: &Root) -> Fact<Option<ReceiptFacts>> {
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
        file.immutable = immutable(root, file);
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
        Some(ReceiptFile { path: e["path"].as_str()?.to_owned(), sha256, state: FileState::Missing, immutable: None })
    };
    ReceiptFacts {
        path: RECEIPT.into(),
        protocols: protocols.iter().filter_map(transport).collect(),
        tls_port: protocols
            .iter()
            .any(|p| p == "tls")
            .then(|| number(["tls_port", "tls-port"]).unwrap_or(crate::check::target::TLS_PORT)),
        tls_pair: text("tls_cert").zip(text("tls_key")),
        port: number(["port", "port"]),
        agent: text("agent"),
        agent_port: number(["agent_port", "agent-port"]),
        daemon: text("daemon"),
        local_copy: option(["local_copy", "local-copy"]).and_then(|v| v.as_str()).map(str::to_owned),
        files: written.filter_map(file).collect(),
    }
}

fn immutable(root: &Root, file: &ReceiptFile) -> Option<String> {
    let path = Path::new(&file.path);
    // It is replaced as a whole, and the folder has to let that happen.
    let places = [Some(path), path.parent()].into_iter().flatten();
    let mut fixed = places.filter(|p| facts::is_immutable(root, p));
    fixed.next().map(|p| p.to_string_lossy().into_owned())
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
    #![allow(clippy::disallowed_methods)] // a test makes its own files

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
    fn a_receipt_of_any_shape_is_taken_for_what_it_says() {
        assert_eq!(gather(&tree(&[]).1), Ok(None));
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", "{]")]);
        assert!(gather(&root).unwrap_err().contains("no JSON"));
        let text = r#"{"options":{"protocol":["udp","tcp",7],"port":514,"agent":"none","agent_port":99999},
            "entries":[{"entry":"file","path":"/etc/a","after":{"kind":"file"}},{"entry":"file","path":"/etc/b","after":{}},
            {"entry":"file","path":"/etc/c","after":{"sha256":"00"}},
            {"entry":"file","path":"/etc/taken","after":{"kind":"absent"}},{"entry":"dir","path":"/d"},5]}"#;
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", text), ("etc/a", ""), ("etc/c", "x")]);
        let r = gather(&root).unwrap().unwrap();
        assert_eq!(r.protocols, [Transport::Udp, Transport::Tcp]);
        assert_eq!((r.port, r.agent_port, r.agent.as_deref()), (Some(514), None, Some("none")));
        let files: Vec<_> = r.files.iter().map(|f| (f.path.as_str(), f.state)).collect();
        let wanted = [("/etc/a", FileState::AsWritten), ("/etc/b", FileState::Missing), ("/etc/c", FileState::Changed)];
        assert_eq!(files, wanted);
        let (_d, root) = tree(&[("var/lib/cefctl/receipt.json", r#"{"options":{"protocol":"tcp"},"entries":7}"#)]);
        assert_eq!(gather(&root).unwrap().unwrap().protocols, [Transport::Tcp]);
    }
}
