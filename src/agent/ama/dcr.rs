//! Data collection rules as the agent keeps them: one JSON file each (facts 3.5). Parsed, never searched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rules::{self, Rule, SyslogSource};

/// Where events of a rule go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// CEF into CommonSecurityLog
    Cef,
    /// Cisco ASA into CommonSecurityLog
    Asa,
    /// Cisco Firepower Threat Defense; the same rules as for ASA
    Ftd,
    /// Plain syslog into Syslog
    Syslog,
}

impl Stream {
    /// Its name in the agent's files.
    pub fn on_disk(self) -> &'static str {
        match self {
            Stream::Cef => "SECURITY_CEF_BLOB",
            Stream::Asa | Stream::Ftd => "SECURITY_CISCO_ASA_BLOB",
            Stream::Syslog => "LINUX_SYSLOGS_BLOB",
        }
    }
    /// Its name in the rule as people write it.
    pub fn in_rule(self) -> &'static str {
        match self {
            Stream::Cef => "Microsoft-CommonSecurityLog",
            Stream::Asa | Stream::Ftd => "Microsoft-CiscoAsa",
            Stream::Syslog => "Microsoft-Syslog",
        }
    }
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub file: PathBuf,
    pub rule: Rule,
}

impl Chunk {
    /// # Errors
    /// Why it is no rule.
    pub fn parse(file: &Path, text: &[u8]) -> Result<Chunk, String> {
        Ok(Chunk { file: file.to_owned(), rule: rules::parse(text)? })
    }
}

/// Does a rule ask for `stream`?
pub fn has(chunks: &[Chunk], stream: Stream) -> bool {
    of(chunks, stream).next().is_some()
}

fn of(chunks: &[Chunk], stream: Stream) -> impl Iterator<Item = &SyslogSource> {
    let wanted = move |s: &&SyslogSource| s.streams.iter().any(|n| n == stream.on_disk());
    chunks.iter().flat_map(move |c| c.rule.syslog.iter().filter(wanted))
}

/// Facilities that one rule stores as security events and another as plain syslog: stored and billed twice.
pub fn doubled(chunks: &[Chunk]) -> Vec<String> {
    let facilities = |streams: &[Stream]| -> BTreeSet<String> {
        let of = streams.iter().flat_map(|s| of(chunks, *s));
        of.flat_map(|s| s.facilities.iter().map(|f| f.to_ascii_lowercase())).collect()
    };
    let (security, plain) = (facilities(&[Stream::Cef, Stream::Asa]), facilities(&[Stream::Syslog]));
    let both = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> BTreeSet<String> {
        a.iter().filter(|f| b.contains(*f) || b.contains("*")).cloned().collect()
    };
    both(&security, &plain).union(&both(&plain, &security)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(stream: &str, facilities: &[&str]) -> Chunk {
        let text = rules::tests::rule(stream, facilities, &["Warning"], rules::tests::WS);
        Chunk::parse(Path::new("/c.json"), text.as_bytes()).unwrap()
    }

    #[test]
    fn streams_of_rules() {
        let chunks = [chunk("SECURITY_CEF_BLOB", &["local4"])];
        assert!(has(&chunks, Stream::Cef) && !has(&chunks, Stream::Asa) && !has(&chunks, Stream::Syslog));
        assert_eq!(chunks[0].rule.receivers(rules::Stream::Cef).len(), 1);
        assert!(has(&[chunk("SECURITY_CISCO_ASA_BLOB", &[])], Stream::Ftd));
    }

    #[test]
    fn doubled_facilities_are_named() {
        let cef = chunk("SECURITY_CEF_BLOB", &["local4", "local5"]);
        assert_eq!(doubled(&[cef.clone(), chunk("LINUX_SYSLOGS_BLOB", &["LOCAL4", "auth"])]), ["local4"]);
        assert_eq!(doubled(&[cef.clone(), chunk("LINUX_SYSLOGS_BLOB", &["*"])]), ["local4", "local5"]);
        assert!(doubled(&[cef]).is_empty());
    }

    #[test]
    fn settings_and_rubbish() {
        let settings = br#"{"dataSources":[{"kind":"AgentSettings"}]}"#;
        assert!(Chunk::parse(Path::new("/x"), settings).unwrap().rule.syslog.is_empty());
        assert!(Chunk::parse(Path::new("/x"), b"{").is_err());
        assert!(Chunk::parse(Path::new("/x"), b"[]").is_err());
    }
}
