//! Which services an agent on this box talks to (facts 1.13, 3.6; field-failures 3): by its own configuration where that
//! names them, else by the names its maker documents. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cloud;
use super::ama::paths as ama_paths;
use super::ama::rules::Rule;

/// What a service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Takes the events.
    Data,
    /// Registers the agent, hands out rules and the tokens that data is sent with.
    Control,
    /// What may be missing without an event getting lost: settings from the portal.
    Config,
}

impl Purpose {
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Data => "events",
            Purpose::Control => "control",
            Purpose::Config => "settings from the portal",
        }
    }
}

/// A service on port 443.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub host: String,
    /// What can be asked for without a certificate.
    pub path: String,
    pub purpose: Purpose,
    /// What names it: a file, or words.
    pub named_by: String,
}

impl Endpoint {
    fn new(host: impl Into<String>, path: &str, purpose: Purpose, named_by: &str) -> Option<Endpoint> {
        let host = host.into().to_ascii_lowercase();
        is_name(&host).then(|| Endpoint { host, path: path.into(), purpose, named_by: named_by.into() })
    }
}

/// Only what can be a name in DNS: it comes from files.
fn is_name(host: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    host.len() < 254 && host.contains('.') && host.split('.').all(part)
}

/// Of a workspace of the Log Analytics agent; `admin` are the lines of its `omsadmin.conf`, `file` where they are.
pub fn oms(workspace: &str, admin: &BTreeMap<String, String>, file: &str, cloud: Cloud) -> Vec<Endpoint> {
    // Also clouds that have no name here have a suffix of their own.
    let suffix = admin.get("URL_TLD").filter(|s| is_name(s)).map_or(cloud.suffix(), String::as_str);
    let named = |key: &str| host_of(admin.get(key)?);
    let data = named("OMS_ENDPOINT").unwrap_or_else(|| format!("{workspace}.ods.{suffix}"));
    let found = [
        Endpoint::new(data, "/", Purpose::Data, file),
        Endpoint::new(format!("{workspace}.oms.{suffix}"), "/", Purpose::Control, file),
        named("DSC_ENDPOINT").and_then(|host| Endpoint::new(host, "/", Purpose::Config, file)),
    ];
    once(found.into_iter().flatten().collect())
}

/// Of the Azure Monitor Agent, by the rules on the box; `cloud` where no rule tells.
pub fn ama(rules: &[(String, Rule)], cloud: Cloud) -> Vec<Endpoint> {
    let channels = || rules.iter().flat_map(|(file, rule)| rule.channels.iter().map(move |c| (file.as_str(), c)));
    let mut suffixes = channels().filter_map(|(_, c)| Cloud::of_suffix(c.host().split_once(".ods.")?.1));
    let cloud = suffixes.next().unwrap_or(cloud);
    let mut found: Vec<Option<Endpoint>> = Vec::new();
    for (file, channel) in channels() {
        let path = format!("{}/{file}", ama_paths::CHUNKS);
        found.push(Endpoint::new(channel.host(), "/", Purpose::Data, &path));
        let token = host_of(&channel.token_uri);
        found.push(token.and_then(|host| Endpoint::new(host, "/ping", Purpose::Control, &path)));
        found.push(
            channel
                .region()
                .and_then(|region| Endpoint::new(cloud.ama_region_host(region), "/ping", Purpose::Control, &path)),
        );
    }
    // By private link nothing but the names of the data collection endpoint is reached.
    let private = channels().any(|(_, c)| c.host().contains(".privatelink.") || c.token_uri.contains(".privatelink."));
    if !private {
        found.insert(0, Endpoint::new(cloud.ama_host(), "/ping", Purpose::Control, "the agent itself"));
    }
    once(found.into_iter().flatten().collect())
}

/// The host of an https address.
fn host_of(url: &str) -> Option<String> {
    let rest = url.trim().strip_prefix("https://")?;
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    is_name(host).then(|| host.to_owned())
}

/// Each host once, as what it is most needed for.
fn once(mut all: Vec<Endpoint>) -> Vec<Endpoint> {
    all.sort_by_key(|e| e.purpose);
    let mut seen = Vec::new();
    all.retain(|e| {
        let new = !seen.contains(&e.host);
        seen.push(e.host.clone());
        new
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ama::rules::parse;

    fn hosts(all: &[Endpoint]) -> Vec<(&str, Purpose)> {
        all.iter().map(|e| (e.host.as_str(), e.purpose)).collect()
    }

    #[test]
    fn the_log_analytics_agent_says_itself_where_it_sends_to() {
        let none = oms("ws", &BTreeMap::new(), "f", Cloud::China);
        assert_eq!(
            hosts(&none),
            [("ws.ods.opinsights.azure.cn", Purpose::Data), ("ws.oms.opinsights.azure.cn", Purpose::Control)]
        );
        let admin = [
            ("URL_TLD", "opinsights.azure.eaglex.ic.gov"),
            ("OMS_ENDPOINT", "https://ws.ods.opinsights.azure.eaglex.ic.gov/OperationalData.svc/PostJsonDataItems"),
            ("DSC_ENDPOINT", "https://ws.agentsvc.azure-automation.net/Accounts/ws/Nodes(AgentId='x')"),
        ];
        let admin = admin.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let named = oms("ws", &admin, "f", Cloud::Public);
        assert_eq!(
            hosts(&named),
            [
                ("ws.ods.opinsights.azure.eaglex.ic.gov", Purpose::Data),
                ("ws.oms.opinsights.azure.eaglex.ic.gov", Purpose::Control),
                ("ws.agentsvc.azure-automation.net", Purpose::Config),
            ]
        );
        let odd = [("OMS_ENDPOINT", "https://x\u{1b}[0m.y/"), ("DSC_ENDPOINT", "http://a.b/")];
        let odd = odd.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(oms("ws", &odd, "f", Cloud::Public).len(), 2);
    }

    #[test]
    fn the_azure_monitor_agents_rules_name_its_services() {
        let text = r#"{"dataSources":[],"channels":[{"id":"ods-1","protocol":"ods","endpoint":"https://WS.ods.opinsights.azure.us",
            "tokenEndpointUri":"https://example.handler.control.monitor.azure.us/subscriptions/x/issueIngestionToken?operatingLocation=usgovvirginia&platform=linux"}]}"#;
        let rules = [("r.json".to_owned(), parse(text.as_bytes()).unwrap())];
        let found = ama(&rules, Cloud::Public);
        assert_eq!(
            hosts(&found),
            [
                ("ws.ods.opinsights.azure.us", Purpose::Data),
                ("global.handler.control.monitor.azure.us", Purpose::Control),
                ("example.handler.control.monitor.azure.us", Purpose::Control),
                ("usgovvirginia.handler.control.monitor.azure.us", Purpose::Control),
            ]
        );
        assert!(found[0].named_by.ends_with("/configchunks/r.json"));
        assert_eq!(hosts(&ama(&[], Cloud::China)), [("global.handler.control.monitor.azure.cn", Purpose::Control)]);
    }
}
