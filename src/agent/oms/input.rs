//! `security_events.conf`, the agent's input for CEF and ASA (facts 1.11): what we write, and whether one that is there
//! does the same. The original downloads it from a branch at run time and edits it with `sed`.

use crate::agent::detect::OmsInput;

/// The agent's pattern, the present generation.
pub const PATTERN: &str = r"(?<time>(?:\w+ +){2,3}(?:\d+:){2}\d+|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}.[\w\-\:\+]{3,12}):?\s*(?:(?<host>[^: ]+) ?:?)?\s*(?<ident>.*CEF.+?(?=0\|)|%ASA[0-9\-]{8,10})\s*:?(?<message>0\|.*|.*)";

/// The file for a port.
pub fn render(port: u16, version: &str) -> String {
    format!(
        "# Written by cefctl {version}: the Log Analytics agent's input for CEF and Cisco ASA events.\n\
         # `cefctl uninstall` takes it back.\n\
         <source>\n  type syslog\n  port {port}\n  bind 127.0.0.1\n  protocol_type tcp\n  tag oms.security\n  \
         format /{PATTERN}/\n  <parse>\n    message_format auto\n  </parse>\n</source>\n\n\
         <filter oms.security.**>\n  type filter_syslog_security\n</filter>\n"
    )
}

/// What is wrong with an input that is there; empty: it does what ours does.
pub fn faults(text: &[u8], input: &OmsInput, port: u16) -> Vec<String> {
    let mut found = Vec::new();
    match input.port {
        Some(there) if there == port => {}
        Some(there) => found.push(format!("it listens on port {there}, not {port}")),
        None => found.push("it names no port".to_owned()),
    }
    match input.bind.as_deref() {
        Some("127.0.0.1" | "localhost") => {}
        Some(other) => found.push(format!("it listens on {other}, open to the network")),
        None => found.push("it names no address, so it is open to the network".to_owned()),
    }
    if input.protocol.as_deref() != Some("tcp") {
        found.push("it does not take TCP".to_owned());
    }
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.starts_with('#'));
    let format = lines.clone().find_map(|l| l.strip_prefix("format ").map(str::trim));
    match format.map(|f| f.trim_matches('/')) {
        Some(PATTERN) => {}
        Some(_) => found.push("its pattern is an older one".to_owned()),
        None => found.push("it has no pattern".to_owned()),
    }
    let is_ours = |l: &&str| l.strip_prefix("tag ").is_some_and(|t| t.trim_start().starts_with("oms.security"));
    if lines.clone().filter(is_ours).count() > 1 {
        found.push("it is there more than once".to_owned());
    }
    if !lines.any(|l| l.split_whitespace().eq(["type", "filter_syslog_security"])) {
        found.push("the filter that makes security events of lines is missing".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::agent::detect::security_input;

    fn faults_of(text: &str) -> Vec<String> {
        faults(text.as_bytes(), &security_input(PathBuf::new(), text.as_bytes()), 25226)
    }

    #[test]
    fn ours_has_no_faults() {
        assert_eq!(faults_of(&render(25226, "1")), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_named() {
        let ours = render(25226, "1");
        for (from, to, word) in [
            ("25226", "25300", "port 25300"),
            ("  port 25226\n", "", "no port"),
            ("127.0.0.1", "0.0.0.0", "network"),
            ("protocol_type tcp", "protocol_type udp", "TCP"),
            ("[0-9\\-]{8,10}", "", "older"),
            ("type filter_syslog_security", "type filter_x", "filter"),
        ] {
            let found = faults_of(&ours.replace(from, to));
            assert!(found.len() == 1 && found[0].contains(word), "{from}: {found:?}");
        }
        assert_eq!(faults_of("").len(), 5);
        let twice = faults_of(&[ours.as_str(), &ours].concat());
        assert!(twice.len() == 1 && twice[0].contains("more than once"), "{twice:?}");
    }
}
