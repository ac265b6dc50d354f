//! Data collection rules as the agent keeps them: one JSON file each (facts 3.5). Parsed, never searched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// What one source of a rule collects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub id: String,
    pub streams: Vec<String>,
    /// `*` stands for all.
    pub facilities: Vec<String>,
    pub levels: Vec<String>,
    pub channels: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub file: PathBuf,
    pub sources: Vec<Source>,
    /// Channels by id, with where they lead.
    pub channels: Vec<(String, String)>,
}

impl Chunk {
    /// # Errors
    /// Why it is no rule.
    pub fn parse(file: &Path, text: &[u8]) -> Result<Chunk, String> {
        let json: Value = serde_json::from_slice(text).map_err(|e| format!("it is no JSON: {e}"))?;
        if !json.is_object() {
            return Err("it is no JSON object".into());
        }
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let source = |s: &Value| Source {
            id: word(&s["id"]),
            streams: list(&s["streams"]).iter().map(|s| word(&s["stream"])).collect(),
            facilities: list(&s["configuration"]["facilityNames"]).iter().map(word).collect(),
            levels: list(&s["configuration"]["logLevels"]).iter().map(word).collect(),
            channels: list(&s["sendToChannels"]).iter().map(word).collect(),
        };
        let sources = list(&json["dataSources"]).iter().filter(|s| s["kind"] == "syslog").map(source).collect();
        let channels = list(&json["channels"]).iter().map(|c| (word(&c["id"]), word(&c["endpoint"]))).collect();
        Ok(Chunk { file: file.to_owned(), sources, channels })
    }
}

/// Does a rule ask for `stream`?
pub fn has(chunks: &[Chunk], stream: Stream) -> bool {
    of(chunks, stream).next().is_some()
}

fn of(chunks: &[Chunk], stream: Stream) -> impl Iterator<Item = (&Chunk, &Source)> {
    let wanted = move |s: &&Source| s.streams.iter().any(|n| n == stream.on_disk());
    chunks.iter().flat_map(move |c| c.sources.iter().filter(wanted).map(move |s| (c, s)))
}

/// Facilities that one rule stores as security events and another as plain syslog: stored and billed twice.
pub fn doubled(chunks: &[Chunk]) -> Vec<String> {
    let facilities = |streams: &[Stream]| -> BTreeSet<String> {
        let of = streams.iter().flat_map(|s| of(chunks, *s));
        of.flat_map(|(_, s)| s.facilities.iter().map(|f| f.to_ascii_lowercase())).collect()
    };
    let (security, plain) = (facilities(&[Stream::Cef, Stream::Asa]), facilities(&[Stream::Syslog]));
    let both = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> BTreeSet<String> {
        a.iter().filter(|f| b.contains(*f) || b.contains("*")).cloned().collect()
    };
    both(&security, &plain).union(&both(&plain, &security)).cloned().collect()
}

/// Workspaces that events of a stream go to.
pub fn endpoints(chunks: &[Chunk], stream: Stream) -> BTreeSet<String> {
    let named = |(chunk, source): (&Chunk, &Source)| -> Vec<String> {
        let hits = chunk.channels.iter().filter(|(id, _)| source.channels.contains(id));
        hits.map(|(_, endpoint)| endpoint.clone()).collect()
    };
    of(chunks, stream).flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(stream: &str, facilities: &str) -> Chunk {
        let text = format!(
            r#"{{"dataSources":[{{"configuration":{{"facilityNames":[{facilities}],"logLevels":["Warning"]}},"id":"fw","kind":"syslog",
            "streams":[{{"stream":"{stream}","solution":"SecurityInsights"}}],"sendToChannels":["ods-1"]}}],
            "channels":[{{"endpoint":"https://ws.ods.opinsights.azure.com","id":"ods-1","protocol":"ods"}}]}}"#
        );
        Chunk::parse(Path::new("/c.json"), text.as_bytes()).unwrap()
    }

    #[test]
    fn streams_of_rules() {
        let chunks = [chunk("SECURITY_CEF_BLOB", r#""local4""#)];
        assert!(has(&chunks, Stream::Cef) && !has(&chunks, Stream::Asa) && !has(&chunks, Stream::Syslog));
        assert_eq!(endpoints(&chunks, Stream::Cef).len(), 1);
        assert!(has(&[chunk("SECURITY_CISCO_ASA_BLOB", "")], Stream::Ftd));
    }

    #[test]
    fn doubled_facilities_are_named() {
        let cef = chunk("SECURITY_CEF_BLOB", r#""local4","local5""#);
        assert_eq!(doubled(&[cef.clone(), chunk("LINUX_SYSLOGS_BLOB", r#""LOCAL4","auth""#)]), ["local4"]);
        assert_eq!(doubled(&[cef.clone(), chunk("LINUX_SYSLOGS_BLOB", r#""*""#)]), ["local4", "local5"]);
        assert!(doubled(&[cef]).is_empty());
    }

    #[test]
    fn settings_and_rubbish() {
        let settings = br#"{"dataSources":[{"kind":"AgentSettings"}]}"#;
        assert!(Chunk::parse(Path::new("/x"), settings).unwrap().sources.is_empty());
        assert!(Chunk::parse(Path::new("/x"), b"{").is_err());
        assert!(Chunk::parse(Path::new("/x"), b"[]").is_err());
    }
}
