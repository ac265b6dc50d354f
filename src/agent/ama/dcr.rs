//! Data collection rules as the agent keeps them: one JSON file each (facts 3.5). Parsed, never searched.

use serde::{Deserialize, Serialize};

use super::rules::{self, Rule};

/// Where events of a rule go, as people ask for it.
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
    /// The stream of rules that has it.
    pub fn stream(self) -> rules::Stream {
        match self {
            Stream::Cef => rules::Stream::Cef,
            Stream::Asa | Stream::Ftd => rules::Stream::Asa,
            Stream::Syslog => rules::Stream::Syslog,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its name in the folder of rules.
    pub name: String,
    /// Seconds since the epoch.
    pub mtime: i64,
    pub rule: Result<Rule, Unfit>,
}

/// Why a file gives no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfit {
    /// We cannot read it.
    Unread(String),
    /// It is none.
    Invalid(String),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Unfit::Unread(why) | Unfit::Invalid(why)) = self;
        f.write_str(why)
    }
}

impl Chunk {
    pub fn read(name: &str, mtime: i64, text: Result<&[u8], String>) -> Chunk {
        let rule = text.map_err(Unfit::Unread).and_then(|text| rules::parse(text).map_err(Unfit::Invalid));
        Chunk { name: name.to_owned(), mtime, rule }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_rubbish() {
        let of = |text: &[u8]| Chunk::read("x.json", 0, Ok(text)).rule;
        assert!(of(br#"{"dataSources":[{"kind":"AgentSettings"}]}"#).unwrap().syslog.is_empty());
        assert!(matches!(of(b"{"), Err(Unfit::Invalid(_))) && matches!(of(b"[]"), Err(Unfit::Invalid(_))));
        let unread = Chunk::read("x.json", 0, Err("may not".into())).rule.unwrap_err();
        assert_eq!(unread.to_string(), "may not");
    }
}
