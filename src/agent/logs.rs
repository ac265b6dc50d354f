//! Lines of the agents' own logs that say why events do not arrive: known kinds, counted, with their last example. A line
//! counts for the first kind it fits, so that the text of a sender's event, which the agent repeats when it drops it, is
//! taken for nothing else. Pure.

use serde::{Deserialize, Serialize};

/// What a line means for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The agent takes or uploads nothing while this is so.
    Stops,
    /// Single events are thrown away.
    Drops,
    /// Tried again by itself, or slow.
    Hurts,
}

/// A known kind of line.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable name.
    pub id: &'static str,
    pub weight: Weight,
    /// Any of these, as words of their own.
    pub needles: &'static [&'static str],
    /// Without a full stop.
    pub meaning: &'static str,
    pub hint: &'static str,
}

/// Lines of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// [`Kind::id`]
    pub kind: String,
    pub count: usize,
    /// When the last one was written, in seconds since the epoch; `None` where the line does not say.
    pub last: Option<i64>,
    /// The last one, 300 characters at most.
    pub line: String,
}

/// Kinds of lines in `text` that were written at `since` or later, in the order of `kinds`. A line without a time belongs to the
/// one before it.
pub fn scan(text: &[u8], kinds: &[Kind], since: Option<i64>) -> Vec<Found> {
    let mut found: Vec<Option<Found>> = kinds.iter().map(|_| None).collect();
    let mut time = None;
    for line in text.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line);
        time = line_time(&line).or(time);
        if since.zip(time).is_some_and(|(since, time)| time < since) {
            continue;
        }
        let hit = kinds.iter().zip(&mut found).find(|(k, _)| k.needles.iter().any(|n| has_word(&line, n)));
        let Some((kind, entry)) = hit else { continue };
        let entry =
            entry.get_or_insert_with(|| Found { kind: kind.id.into(), count: 0, last: None, line: String::new() });
        entry.count += 1;
        entry.last = time;
        entry.line = line.trim_end().chars().take(300).collect();
    }
    found.into_iter().flatten().collect()
}

/// `2026-11-24 08:36:02 +0000 …` (fluentd), `2026-11-24T08:36:02.1234560Z: …` (mdsd).
pub fn line_time(line: &str) -> Option<i64> {
    let line = line.trim_start();
    if let Some(text) = line.get(..25)
        && let Ok(time) = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", text).and_then(|t| t.to_timestamp())
    {
        return Some(time.as_second());
    }
    let end = line.get(..40).unwrap_or(line).find('Z')?;
    line.get(..=end)?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// `needle` as a word of its own, so that 403 is not found in 14030.
pub fn has_word(line: &str, needle: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    line.match_indices(needle).any(|(at, _)| {
        let (before, after) = (line.get(..at).unwrap_or_default(), line.get(at + needle.len()..).unwrap_or_default());
        edge(before.chars().next_back()) && edge(after.chars().next())
    })
}

/// Of the Log Analytics agent (facts 1.4, 1.11, 1.14; field-failures 1.17, 1.30). What repeats a sender's text comes first.
pub const OMS: &[Kind] = &[
    Kind {
        id: "pattern-not-match",
        weight: Weight::Drops,
        needles: &["pattern not match"],
        meaning: "the agent dropped events: its pattern does not fit them",
        hint: "change the format at the sender; `cefctl listen` says for each line what is wrong with it",
    },
    Kind {
        id: "invalid-syslog-message",
        weight: Weight::Drops,
        needles: &["invalid syslog message"],
        meaning: "the agent dropped lines that do not begin with <PRI>",
        hint: "let the syslog daemon pass events on with their header: `cefctl install` writes such a rule",
    },
    Kind {
        id: "buffer-full",
        weight: Weight::Drops,
        needles: &[
            "BufferQueueLimitError",
            "queue size exceeds limit",
            "dropping oldest chunk",
            "drop_oldest_chunk",
            "hit limit for retries",
            "throwing away logs",
        ],
        meaning: "the agent threw data away: it could not upload it in time",
        hint: "mend the way to the service first; lines near to this one say why uploads fail",
    },
    Kind {
        id: "port-taken",
        weight: Weight::Stops,
        needles: &["EADDRINUSE", "Address already in use"],
        meaning: "another program has the agent's port",
        hint: "find it with `ss -lntup` and stop it, or give the agent another port",
    },
    Kind {
        id: "refused-403",
        weight: Weight::Stops,
        needles: &["403", "InvalidWorkspaceKey", "Forbidden"],
        meaning: "the service refuses this machine (403): the key, the cloud or the clock is wrong, or the agent's retirement has \
                  reached this workspace",
        hint: "check the clock with `timedatectl`, then onboard again with the current key",
    },
    Kind {
        id: "no-permission",
        weight: Weight::Stops,
        needles: &["Permission denied", "EACCES"],
        meaning: "the agent may not read or write one of its files",
        hint: "`namei -l` on the file that the line names; the agent runs as user omsagent",
    },
    Kind {
        id: "no-space",
        weight: Weight::Stops,
        needles: &["No space left on device", "ENOSPC"],
        meaning: "the disk is full",
        hint: "`df -h; df -i`, then make room",
    },
    Kind {
        id: "tls",
        weight: Weight::Stops,
        needles: &["certificate verify failed", "SSL_connect", "OpenSSL::SSL::SSLError", "certificate has expired"],
        meaning: "the TLS connection to the service fails; a proxy that inspects TLS has this effect",
        hint: "let connections to *.opinsights.azure.com through without inspection",
    },
    Kind {
        id: "dns",
        weight: Weight::Stops,
        needles: &["getaddrinfo", "Name or service not known", "Temporary failure in name resolution"],
        meaning: "the name of the service is not resolved",
        hint: "check DNS with `getent hosts`, or let the agent use a proxy",
    },
    Kind {
        id: "no-connection",
        weight: Weight::Stops,
        needles: &["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "Net::OpenTimeout", "execution expired"],
        meaning: "the service cannot be reached",
        hint: "let the box reach port 443 of *.opinsights.azure.com, directly or by the agent's proxy",
    },
    Kind {
        id: "configuration",
        weight: Weight::Stops,
        needles: &[
            "config error",
            "ConfigError",
            "Unknown input plugin",
            "Unknown filter plugin",
            "Unknown output plugin",
        ],
        meaning: "the agent does not understand one of its configuration files",
        hint: "the line names it; the files are in conf/omsagent.d of the workspace",
    },
    Kind {
        id: "upload-retried",
        weight: Weight::Hurts,
        needles: &["temporarily failed to flush the buffer"],
        meaning: "uploads failed and were tried again",
        hint: "lines near to this one say why",
    },
];

/// Of the Azure Monitor Agent, in mdsd.err and mdsd.warn (facts 3.4, 3.8; field-failures 1.6, 1.13, 1.48).
pub const AMA: &[Kind] = &[
    Kind {
        id: "no-space",
        weight: Weight::Stops,
        needles: &["No space left on device", "ENOSPC", "disk quota", "Disk quota", "DiskQuota"],
        meaning: "the disk is full, or the agent's own quota is used up",
        hint: "`df -h; df -i`, then make room; the quota is a setting of the agent",
    },
    Kind {
        id: "too-large",
        weight: Weight::Drops,
        needles: &["larger than 1 MB", "exceeds the maximum", "too large"],
        meaning: "the agent dropped events that are too large",
        hint: "shorten them at the sender",
    },
    Kind {
        id: "dropped",
        weight: Weight::Drops,
        needles: &["Dropping", "dropping", "dropped", "Data loss", "data loss"],
        meaning: "the agent threw data away",
        hint: "more than 20000 events a second, or a failing upload: lines near to this one say which",
    },
    Kind {
        id: "bad-descriptor",
        weight: Weight::Drops,
        needles: &["Bad file descriptor"],
        meaning: "a fault of agent 1.25.2 that loses data",
        hint: "update the agent",
    },
    Kind {
        id: "port-taken",
        weight: Weight::Stops,
        needles: &["EADDRINUSE", "Address already in use"],
        meaning: "another program has the agent's port",
        hint: "find it with `ss -lntup` and stop it, then restart the agent",
    },
    Kind {
        id: "no-identity",
        weight: Weight::Stops,
        needles: &["MSI token", "MSI auth", "managed identity", "Managed Identity", "IMDS", "169.254.169.254", "40342"],
        meaning: "the agent gets no token: it has no identity, or the way to it is closed",
        hint: "Azure VM: assign a managed identity; elsewhere `azcmagent show`; 169.254.169.254 and 127.0.0.1:40342 must go past the proxy",
    },
    Kind {
        id: "refused-403",
        weight: Weight::Stops,
        needles: &["403", "401", "Forbidden", "Unauthorized"],
        meaning: "the service refuses this machine",
        hint: "check the clock with `timedatectl`, and that the data collection rule is associated with this machine",
    },
    Kind {
        id: "dns",
        weight: Weight::Stops,
        needles: &[
            "Name or service not known",
            "Temporary failure in name resolution",
            "Could not resolve host",
            "Error resolving address",
            "Host not found",
        ],
        meaning: "a name of the service is not resolved",
        hint: "check DNS with `getent hosts`",
    },
    Kind {
        id: "tls",
        weight: Weight::Stops,
        needles: &[
            "certificate verify failed",
            "SSL handshake",
            "SSL routines",
            "TLS handshake",
            "self signed certificate",
        ],
        meaning: "the TLS connection to the service fails; a proxy that inspects TLS has this effect",
        hint: "let connections to *.monitor.azure.com and *.opinsights.azure.com through without inspection",
    },
    Kind {
        id: "no-connection",
        weight: Weight::Stops,
        needles: &[
            "Connection refused",
            "Connection timed out",
            "Network is unreachable",
            "No route to host",
            "Failed to connect",
        ],
        meaning: "the service cannot be reached",
        hint: "let the box reach port 443 of the agent's endpoints, directly or by the agent's proxy",
    },
    Kind {
        id: "no-permission",
        weight: Weight::Stops,
        needles: &["Permission denied", "EACCES"],
        meaning: "the agent may not read or write one of its files",
        hint: "`namei -l` on the file that the line names; the agent runs as user syslog",
    },
    Kind {
        id: "configuration",
        weight: Weight::Stops,
        needles: &[
            "Failed to parse",
            "failed to parse",
            "Invalid configuration",
            "invalid configuration",
            "Failed to load config",
        ],
        meaning: "the agent does not understand its configuration",
        hint: "look at the data collection rule (ama.dcr-valid)",
    },
    Kind {
        id: "descriptors",
        weight: Weight::Stops,
        needles: &["Too many open files"],
        meaning: "the agent has no more file descriptors",
        hint: "raise LimitNOFILE of the unit azuremonitoragent and restart it",
    },
];

/// The kind of a name, in one of the tables.
pub fn kind<'a>(kinds: &'a [Kind], id: &str) -> Option<&'a Kind> {
    kinds.iter().find(|k| k.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_event_counts_once_whatever_its_text_says() {
        let log = b"2026-11-24 08:36:02 +0000 [warn]: pattern not match: \"fw1 Permission denied 403\"\n\
                    2026-11-24 08:36:03 +0000 [error]: bind: Address already in use\n2026-11-24 08:36:04 +0000 [info]: 14030 sent\n";
        let found = scan(log, OMS, None);
        let ids: Vec<_> = found.iter().map(|f| (f.kind.as_str(), f.count)).collect();
        assert_eq!(ids, [("pattern-not-match", 1), ("port-taken", 1)]);
        assert_eq!(found[1].last, Some(1_795_509_363));
    }

    #[test]
    fn old_lines_do_not_count_and_lines_without_a_time_belong_to_the_one_before() {
        let log = b"2026-11-24T08:00:00.1234567Z: No space left on device\n  at No space left on device\n\
                    2026-11-24T09:00:00.0000000Z: Could not resolve host\n\tNo space left on device\n";
        let since = line_time("2026-11-24T08:30:00Z x");
        assert!(since.is_some());
        let found = scan(log, AMA, since);
        assert_eq!(found.iter().map(|f| (f.kind.as_str(), f.count)).collect::<Vec<_>>(), [("no-space", 1), ("dns", 1)]);
        assert_eq!(scan(log, AMA, None)[0].count, 3);
        assert_eq!(scan(b"\xff\xfe\n\n", AMA, since), []);
    }

    #[test]
    fn names_are_unique_and_words_are_words() {
        for kinds in [OMS, AMA] {
            let names: std::collections::BTreeSet<_> = kinds.iter().map(|k| k.id).collect();
            assert_eq!(names.len(), kinds.len());
        }
        assert!(!has_word("14030 sent", "403") && has_word("HTTP 403: no", "403"));
        assert_eq!(line_time("no time"), None);
        assert_eq!(line_time("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"), None);
    }
}
