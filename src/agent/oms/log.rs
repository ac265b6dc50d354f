//! Lines of `omsagent.log` that say why the agent does not work, and what they mean (facts 1.4, 1.11, 1.14;
//! field-failures 1.17, 1.30).

/// A known kind of line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub meaning: &'static str,
    pub hint: &'static str,
    /// How many lines.
    pub count: usize,
    /// The last of them.
    pub line: String,
}

const KINDS: [(&[&str], &str, &str); 7] = [
    (
        &["EADDRINUSE", "Address already in use"],
        "another program has the agent's port",
        "find it with `ss -lntup`, stop it or give the agent another port with -p",
    ),
    (
        &["403", "InvalidWorkspaceKey"],
        "the service refuses this machine (403): key, cloud or clock",
        "onboard again with the current key: cefctl install WORKSPACE --key-file FILE; timedatectl",
    ),
    (
        &["Permission denied", "EACCES"],
        "the agent may not read or write one of its files",
        "namei -l on the file that the line names; the agent runs as user omsagent",
    ),
    (&["No space left on device", "ENOSPC"], "the disk is full", "df -h /var/opt /etc"),
    (
        &["certificate verify failed", "SSL_connect", "OpenSSL::SSL::SSLError"],
        "the TLS connection to the service fails; a proxy that inspects TLS has this effect",
        "let connections to *.opinsights.azure.com through without inspection",
    ),
    (
        &["getaddrinfo", "Name or service not known", "Temporary failure in name resolution"],
        "the name of the service is not resolved",
        "check DNS, or give the proxy with --proxy",
    ),
    (
        &["config error", "ConfigError"],
        "the agent does not understand one of its configuration files",
        "see the line in the log; the files are in conf/omsagent.d",
    ),
];

/// What is known about the lines of `text`, the most telling first.
pub fn explain(text: &[u8]) -> Vec<Known> {
    let text = String::from_utf8_lossy(text);
    let hit = |(needles, meaning, hint): &(&'static [&'static str], &'static str, &'static str)| {
        let lines: Vec<&str> = text.lines().filter(|l| needles.iter().any(|n| has_word(l, n))).collect();
        let line = lines.last()?.chars().take(300).collect();
        Some(Known { meaning, hint, count: lines.len(), line })
    };
    KINDS.iter().filter_map(hit).collect()
}

/// `needle` as a word of its own, so that 403 is not found in 14030.
fn has_word(line: &str, needle: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    line.match_indices(needle).any(|(at, _)| {
        let (before, after) = (line.get(..at).unwrap_or_default(), line.get(at + needle.len()..).unwrap_or_default());
        edge(before.chars().next_back()) && edge(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines_are_counted_and_explained() {
        let log = b"2026 [error]: unexpected error error=\"Address already in use - bind(2) for 127.0.0.1:25226\"\n\
                    2026 [warn]: HTTP 403 forbidden\n2026 [warn]: HTTP 403 again\n2026 [info]: 14030 sent\n";
        let found = explain(log);
        assert_eq!(found.iter().map(|k| k.count).collect::<Vec<_>>(), [1, 2]);
        assert!(found[1].line.ends_with("again"));
        assert_eq!(explain(b"2026 [info]: all is well, 1403 records\n"), []);
    }
}
