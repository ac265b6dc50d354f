//! Data collection rules as the Azure Monitor Agent keeps them on the disk: one JSON file a rule, which says which facilities
//! and levels of syslog go into which stream and to which workspace (facts 3.5). What the portal shows may be newer; this is
//! what the agent does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The table a stream ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Cef,
    /// Cisco ASA; FTD comes by it as well.
    Asa,
    Syslog,
    Other,
}

impl Stream {
    /// By its name on the disk or in the service's interface.
    pub fn of(name: &str) -> Stream {
        match name {
            "SECURITY_CEF_BLOB" | "Microsoft-CommonSecurityLog" => Stream::Cef,
            "SECURITY_CISCO_ASA_BLOB" | "Microsoft-CiscoAsa" => Stream::Asa,
            "LINUX_SYSLOGS_BLOB" | "Microsoft-Syslog" => Stream::Syslog,
            _ => Stream::Other,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Stream::Cef => "CEF",
            Stream::Asa => "ASA and FTD",
            Stream::Syslog => "Syslog",
            Stream::Other => "another stream",
        }
    }

    /// Security events end in CommonSecurityLog.
    pub fn is_security(self) -> bool {
        matches!(self, Stream::Cef | Stream::Asa)
    }
}

/// Levels from the least to the most severe.
pub const LEVELS: [&str; 8] = ["Debug", "Info", "Notice", "Warning", "Error", "Critical", "Alert", "Emergency"];

const FACILITIES: [&str; 26] = [
    "*", "nopri", "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// A facility as rules name it.
pub fn facility_word(number: u8) -> &'static str {
    // Those of RFC 5424 in its order stand behind `*` and `nopri`.
    FACILITIES.get(2 + usize::from(number)).copied().unwrap_or("unknown")
}

/// A severity as rules name it; 0 is `Emergency`.
pub fn level_word(severity: u8) -> &'static str {
    LEVELS.iter().rev().nth(usize::from(severity)).copied().unwrap_or("unknown")
}

/// One data source of kind `syslog`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyslogSource {
    pub id: String,
    pub facilities: Vec<String>,
    pub levels: Vec<String>,
    pub streams: Vec<String>,
    /// Ids of channels.
    pub channels: Vec<String>,
}

/// Where data goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub id: String,
    pub endpoint: String,
    pub protocol: String,
    /// Where the agent gets the token that it sends with; empty: not said.
    #[serde(default)]
    pub token_uri: String,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub syslog: Vec<SyslogSource>,
    pub channels: Vec<Channel>,
    /// Kinds of the other data sources.
    pub others: BTreeSet<String>,
    /// Megabytes the agent may keep on the disk, where the settings say so.
    pub disk_quota: Option<u64>,
}

impl Rule {
    /// Settings of the agent, no rule: they collect nothing.
    pub fn is_settings(&self) -> bool {
        self.syslog.is_empty() && self.channels.is_empty() && self.others.iter().all(|k| k == "AgentSettings")
    }

    /// Is there a source of syslog of this stream?
    pub fn has(&self, stream: Stream) -> bool {
        self.syslog.iter().any(|s| s.has(stream))
    }

    /// What keeps the rule from collecting security events or syslog; empty: it is complete.
    pub fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        for source in &self.syslog {
            let mut say = |text: String| found.push(format!("data source `{}` {text}", source.id));
            if source.facilities.is_empty() {
                say("names no facility, so it takes nothing".into());
            }
            if source.levels.is_empty() {
                say("names no level, so it takes nothing".into());
            }
            for odd in source.facilities.iter().filter(|f| !is_one_of(&FACILITIES, f) && f.parse::<u32>().is_err()) {
                say(format!("names the facility `{odd}`, which does not exist"));
            }
            for odd in source.levels.iter().filter(|l| !is_one_of(&LEVELS, l) && l.as_str() != "*") {
                say(format!("names the level `{odd}`, which does not exist"));
            }
            if source.streams.is_empty() {
                say("goes into no stream".into());
            }
            if source.channels.is_empty() {
                say("is sent to no channel".into());
            }
            for id in source.channels.iter().filter(|id| !self.channels.iter().any(|c| c.id == **id)) {
                say(format!("is sent to the channel `{id}`, which the rule does not define"));
            }
        }
        for channel in self.channels.iter().filter(|c| self.is_used(c)) {
            if !channel.endpoint.starts_with("https://") || channel.host().is_empty() {
                found.push(format!("channel `{}` has no https endpoint", channel.id));
            }
        }
        found
    }

    fn is_used(&self, channel: &Channel) -> bool {
        self.syslog.iter().any(|s| s.channels.contains(&channel.id))
    }

    /// Workspaces (or other receivers) that a stream of syslog is sent to.
    pub fn receivers(&self, stream: Stream) -> BTreeSet<String> {
        let ids: BTreeSet<&String> = self.syslog.iter().filter(|s| s.has(stream)).flat_map(|s| &s.channels).collect();
        self.channels.iter().filter(|c| ids.contains(&c.id)).map(Channel::receiver).filter(|r| !r.is_empty()).collect()
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

impl SyslogSource {
    pub fn has(&self, stream: Stream) -> bool {
        self.streams.iter().any(|s| Stream::of(s) == stream)
    }

    /// Does it take in events of a facility at any level that `other` takes as well? Gives those facilities.
    pub fn shared(&self, other: &SyslogSource) -> Vec<String> {
        let all = |names: &[String]| names.iter().any(|n| n == "*");
        let one = |names: &[String], name: &String| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let level = all(&self.levels) || all(&other.levels) || self.levels.iter().any(|l| one(&other.levels, l));
        if !level {
            return Vec::new();
        }
        match (all(&self.facilities), all(&other.facilities)) {
            (true, true) => vec!["*".to_owned()],
            (true, false) => other.facilities.clone(),
            (false, true) => self.facilities.clone(),
            (false, false) => self.facilities.iter().filter(|f| one(&other.facilities, f)).cloned().collect(),
        }
    }

    /// The least severe level it takes, as people say it: `Warning and worse`, or the list where there are gaps.
    pub fn levels_shown(&self) -> String {
        let taken: Vec<usize> = (0..).zip(LEVELS).filter(|(_, l)| self.takes_level(l)).map(|(n, _)| n).collect();
        let lowest = taken.first().and_then(|n| LEVELS.get(*n)).copied();
        match lowest {
            None => "no level".into(),
            Some("Debug") if taken.len() == LEVELS.len() => "all levels".into(),
            Some(lowest) if taken.first().is_some_and(|n| n + taken.len() == LEVELS.len()) => {
                format!("{lowest} and worse")
            }
            Some(_) => self.levels.join(", "),
        }
    }

    /// Does it take events of a facility and a severity (0 is an emergency)?
    pub fn takes(&self, facility: u8, severity: u8) -> bool {
        let level = LEVELS.len().checked_sub(1 + usize::from(severity)).and_then(|at| LEVELS.get(at));
        self.takes_facility(facility) && level.is_some_and(|l| self.takes_level(l))
    }

    /// Does it take a facility at any level?
    pub fn takes_facility(&self, facility: u8) -> bool {
        let name = facility_word(facility);
        let number = facility.to_string();
        self.facilities.iter().any(|f| f == "*" || f.eq_ignore_ascii_case(name) || *f == number)
    }

    fn takes_level(&self, level: &str) -> bool {
        self.levels.iter().any(|l| l == "*" || l.eq_ignore_ascii_case(level))
    }
}

impl Channel {
    pub fn host(&self) -> &str {
        let rest = self.endpoint.strip_prefix("https://").unwrap_or_default();
        rest.split(['/', ':', '?']).next().unwrap_or_default()
    }

    /// The region that the agent says it is in when it asks for a token.
    pub fn region(&self) -> Option<&str> {
        let query = self.token_uri.split_once('?')?.1;
        let region = query.split('&').find_map(|pair| pair.strip_prefix("operatingLocation="))?;
        let plain = !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        plain.then_some(region)
    }

    /// The workspace, or the host where that does not tell one.
    pub fn receiver(&self) -> String {
        let id = self.id.strip_prefix("ods-").unwrap_or_default();
        let first = self.host().split('.').next().unwrap_or_default();
        let guid = |text: &&str| uuid::Uuid::try_parse(text).is_ok();
        [first, id].into_iter().find(guid).unwrap_or_else(|| self.host()).to_ascii_lowercase()
    }
}

/// Reads one file.
///
/// # Errors
/// What is wrong with it as JSON, or with its shape.
pub fn parse(text: &[u8]) -> Result<Rule, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err("it is empty".into());
    }
    let value: Value = serde_json::from_slice(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let object = value.as_object().ok_or("it is JSON, but no object")?;
    let list = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.iter().collect()),
        Some(_) => Err(format!("`{key}` is no list")),
    };
    let mut rule = Rule::default();
    for source in list("dataSources")? {
        let configuration = &source["configuration"];
        match text_of(&source["kind"]).as_str() {
            "syslog" => rule.syslog.push(SyslogSource {
                id: text_of(&source["id"]),
                facilities: texts(&configuration["facilityNames"]),
                levels: texts(&configuration["logLevels"]),
                streams: streams(&source["streams"]),
                channels: texts(&source["sendToChannels"]),
            }),
            kind => {
                rule.disk_quota = rule.disk_quota.or_else(|| quota(configuration));
                rule.others.insert(if kind.is_empty() { "without a kind".into() } else { kind.to_owned() });
            }
        }
    }
    for channel in list("channels")? {
        let get = |key: &str| text_of(&channel[key]);
        rule.channels.push(Channel {
            id: get("id"),
            endpoint: get("endpoint"),
            protocol: get("protocol"),
            token_uri: get("tokenEndpointUri"),
        });
    }
    if rule.others.is_empty() && rule.syslog.is_empty() && text_of(&value["kind"]) == "AgentSettings" {
        rule.others.insert("AgentSettings".into());
        rule.disk_quota = quota(&value);
    }
    Ok(rule)
}

/// `MaxDiskQuotaInMB`, at any depth of the settings: its place changed between versions.
fn quota(value: &Value) -> Option<u64> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let named = fields.get("name").and_then(Value::as_str) == Some("MaxDiskQuotaInMB");
            let own = key == "MaxDiskQuotaInMB" || (named && key == "value");
            let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
            number.filter(|_| own).or_else(|| quota(value))
        }),
        Value::Array(items) => items.iter().find_map(quota),
        _ => None,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| Some(v.as_str()?.to_owned())).collect()
}

/// A list of objects with `stream`, or of names.
fn streams(value: &Value) -> Vec<String> {
    let name = |v: &Value| v.as_str().or_else(|| v["stream"].as_str()).map(str::to_owned);
    value.as_array().into_iter().flatten().filter_map(name).collect()
}

/// Which facilities go into both a security stream and Syslog, by the two rules (their places in `rules`).
pub fn stored_twice(rules: &[&Rule]) -> Vec<(usize, usize, Vec<String>)> {
    let mut found: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
    for (at, rule) in rules.iter().enumerate() {
        for source in rule.syslog.iter().filter(|s| s.streams.iter().any(|n| Stream::of(n).is_security())) {
            for (other_at, other) in rules.iter().enumerate() {
                for plain in other.syslog.iter().filter(|s| s.has(Stream::Syslog)) {
                    let shared = source.shared(plain);
                    if !shared.is_empty() {
                        found.entry((at, other_at)).or_default().extend(shared);
                    }
                }
            }
        }
    }
    found.into_iter().map(|((a, b), names)| (a, b, names.into_iter().collect())).collect()
}

/// Which facilities two rules (their places in `rules`) both take into one security stream of one workspace: the agent sends
/// a copy for each.
pub fn sent_twice(rules: &[&Rule]) -> Vec<(usize, usize, Stream, Vec<String>)> {
    let mut found = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        for (other_at, other) in rules.iter().enumerate().skip(at + 1) {
            for stream in [Stream::Cef, Stream::Asa] {
                let (here, there) = (rule.receivers(stream), other.receivers(stream));
                if here.is_disjoint(&there) {
                    continue;
                }
                let pairs = rule.syslog.iter().filter(|s| s.has(stream));
                let pairs = pairs.flat_map(|a| other.syslog.iter().filter(|s| s.has(stream)).map(move |b| (a, b)));
                let names: BTreeSet<String> = pairs.flat_map(|(a, b)| a.shared(b)).collect();
                if !names.is_empty() {
                    found.push((at, other_at, stream, names.into_iter().collect()));
                }
            }
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const WS: &str = "11111111-2222-3333-4444-555555555555";

    /// A rule as the agent keeps it.
    pub fn rule(stream: &str, facilities: &[&str], levels: &[&str], workspace: &str) -> String {
        serde_json::json!({
            "dataSources": [{
                "configuration": { "facilityNames": facilities, "logLevels": levels },
                "id": "fw", "kind": "syslog",
                "streams": [{ "stream": stream, "solution": "SecurityInsights" }],
                "sendToChannels": [format!("ods-{workspace}")],
            }],
            "channels": [{
                "endpoint": format!("https://{workspace}.ods.opinsights.azure.com"),
                "tokenEndpointUri": "https://example.handler.control.monitor.azure.com/x",
                "id": format!("ods-{workspace}"), "protocol": "ods",
            }],
        })
        .to_string()
    }

    fn parsed(text: &str) -> Rule {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_complete_rule() {
        let r = parsed(&rule("SECURITY_CEF_BLOB", &["local4"], &LEVELS[3..], WS));
        assert_eq!((r.faults(), r.is_settings(), r.has(Stream::Cef)), (Vec::new(), false, true));
        assert_eq!(r.receivers(Stream::Cef).into_iter().collect::<Vec<_>>(), [WS]);
        assert_eq!(r.syslog[0].levels_shown(), "Warning and worse");
        assert_eq!(parsed(&rule("x", &["*"], &LEVELS, WS)).syslog[0].levels_shown(), "all levels");
        assert_eq!(parsed(&rule("x", &["*"], &["Debug", "Alert"], WS)).syslog[0].levels_shown(), "Debug, Alert");
    }

    #[test]
    fn every_gap_of_a_rule_is_named() {
        let good = rule("SECURITY_CEF_BLOB", &["local4"], &["Warning"], WS);
        for (from, to, word) in [
            (r#"["local4"]"#, "[]", "no facility"),
            (r#"["Warning"]"#, "[]", "no level"),
            ("local4", "local9", "facility `local9`"),
            (r#"["Warning"]"#, r#"["Warn"]"#, "level `Warn`"),
            (r#""stream":"#, r#""strom":"#, "no stream"),
            (r#""sendToChannels""#, r#""x""#, "no channel"),
            (r#""id":"ods-"#, r#""id":"od-"#, "does not define"),
            ("https://11111111", "http://11111111", "no https endpoint"),
        ] {
            let broken = good.replace(from, to);
            assert_ne!(broken, good, "{from}");
            let faults = parsed(&broken).faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{from}: {faults:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said_so() {
        assert!(parse(b"").unwrap_err().contains("empty"));
        assert!(parse(b"{").unwrap_err().contains("no JSON"));
        assert!(parse(b"[]").unwrap_err().contains("no object"));
        assert!(parse(br#"{"dataSources":1}"#).unwrap_err().contains("no list"));
        let settings = parsed(
            r#"{"dataSources":[{"kind":"AgentSettings","configuration":{"agentSettings":[{"name":"MaxDiskQuotaInMB","value":"4000"}]}}]}"#,
        );
        assert_eq!((settings.is_settings(), settings.disk_quota), (true, Some(4000)));
        assert!(parsed(r#"{"kind":"AgentSettings","MaxDiskQuotaInMB":5000}"#).is_settings());
        assert!(!parsed(r#"{"dataSources":[{"kind":"perfCounter"}],"channels":[]}"#).is_settings());
    }

    #[test]
    fn a_facility_of_two_streams_is_found_where_a_level_is_shared() {
        let cef = parsed(&rule("SECURITY_CEF_BLOB", &["local4", "local5"], &["Warning"], WS));
        let of = |facilities: &[&str], levels: &[&str]| {
            let plain = parsed(&rule("LINUX_SYSLOGS_BLOB", facilities, levels, WS));
            stored_twice(&[&cef, &plain]).into_iter().flat_map(|(.., names)| names).collect::<Vec<_>>()
        };
        assert_eq!(of(&["local4", "auth"], &["Warning"]), ["local4"]);
        assert_eq!(of(&["*"], &["*"]), ["local4", "local5"]);
        assert_eq!(of(&["local4"], &["Info"]), Vec::<String>::new());
        assert_eq!(of(&["auth"], &["Warning"]), Vec::<String>::new());
    }

    #[test]
    fn what_a_source_takes_by_number() {
        assert_eq!(
            (facility_word(0), facility_word(13), facility_word(20), facility_word(24)),
            ("kern", "audit", "local4", "unknown")
        );
        assert_eq!((level_word(0), level_word(4), level_word(7)), ("Emergency", "Warning", "Debug"));
        let source = |facilities: &[&str], levels: &[&str]| {
            parsed(&rule("SECURITY_CEF_BLOB", facilities, levels, WS)).syslog.remove(0)
        };
        let one = source(&["LOCAL4", "clock"], &["Warning", "Emergency"]);
        assert!(one.takes(20, 4) && one.takes(15, 0) && !one.takes(20, 5) && !one.takes(21, 4));
        assert!(source(&["*"], &["*"]).takes(3, 6) && !source(&["*"], &["Error"]).takes(3, 9));
    }
}
