//! What must be true after onboarding. Nothing else is believed: the bundle ends with 0 also where onboarding failed
//! (facts 0.2, 1.6, 1.7).

use std::collections::BTreeMap;

use super::workspace::WorkspaceId;
use crate::agent::cloud::Cloud;

/// Keys of a complete `omsadmin.conf` (facts 1.7).
pub const KEYS: [&str; 10] = [
    "WORKSPACE_ID",
    "AGENT_GUID",
    "LOG_FACILITY",
    "CERTIFICATE_UPDATE_ENDPOINT",
    "URL_TLD",
    "DSC_ENDPOINT",
    "OMS_ENDPOINT",
    "AZURE_RESOURCE_ID",
    "OMSCLOUD_ID",
    "UUID",
];

/// Keys that may be there without a value: a machine outside Azure has none.
const MAY_BE_EMPTY: [&str; 3] = ["AZURE_RESOURCE_ID", "OMSCLOUD_ID", "UUID"];

/// `omsadmin.conf` as key and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OmsAdmin(BTreeMap<String, String>);

impl OmsAdmin {
    pub fn parse(text: &[u8]) -> OmsAdmin {
        let text = String::from_utf8_lossy(text);
        let pair = |line: &str| {
            let (key, value) = line.trim().split_once('=')?;
            let value = value.trim().trim_matches('"');
            (!key.starts_with('#')).then(|| (key.trim().to_owned(), value.to_owned()))
        };
        OmsAdmin(text.lines().filter_map(pair).collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The cloud it was onboarded to.
    pub fn cloud(&self) -> Option<Cloud> {
        Cloud::of_suffix(self.get("URL_TLD")?)
    }
}

/// What a complete `omsadmin.conf` has and this one has not.
pub fn missing(pairs: &BTreeMap<String, String>) -> Vec<&'static str> {
    let incomplete = |key: &&str| match pairs.get(*key) {
        None => true,
        Some(value) => value.is_empty() && !MAY_BE_EMPTY.contains(key),
    };
    KEYS.into_iter().filter(incomplete).collect()
}

/// What was found after the programs had ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Content of `omsadmin.conf`.
    pub conf: Option<OmsAdmin>,
    /// Certificate and key that are missing or empty.
    pub missing_certificates: Vec<String>,
    /// The agent's unit exists.
    pub unit: bool,
}

/// What is not as it should be; empty: the agent is onboarded.
pub fn misses(seen: &Seen, wanted: &WorkspaceId, cloud: Cloud) -> Vec<String> {
    let mut found = Vec::new();
    match &seen.conf {
        None => found.push("there is no omsadmin.conf for this workspace".to_owned()),
        Some(conf) => {
            let missing = missing(&conf.0);
            if !missing.is_empty() {
                found.push(format!("omsadmin.conf lacks {}", missing.join(", ")));
            }
            match conf.get("WORKSPACE_ID") {
                Some(id) if !id.is_empty() && !wanted.is(id) => {
                    found.push(format!("omsadmin.conf names the workspace {id}"));
                }
                _ => {}
            }
            match conf.get("URL_TLD") {
                Some(suffix) if !suffix.is_empty() && conf.cloud() != Some(cloud) => {
                    found.push(format!("omsadmin.conf names the cloud {suffix}, not {}", cloud.suffix()));
                }
                _ => {}
            }
        }
    }
    if !seen.missing_certificates.is_empty() {
        found.push(format!("missing or empty: {}", seen.missing_certificates.join(", ")));
    }
    if !seen.unit {
        found.push("the agent's service was not made".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    fn conf() -> String {
        format!(
            "WORKSPACE_ID={WS}\nAGENT_GUID=1\nLOG_FACILITY=local0\nCERTIFICATE_UPDATE_ENDPOINT=https://x\n\
             URL_TLD=opinsights.azure.com\nDSC_ENDPOINT=https://x\nOMS_ENDPOINT=https://x\nAZURE_RESOURCE_ID=\nOMSCLOUD_ID=7\nUUID=\n"
        )
    }

    fn seen(conf: &str) -> Seen {
        Seen { conf: Some(OmsAdmin::parse(conf.as_bytes())), missing_certificates: vec![], unit: true }
    }

    fn judged(seen: &Seen, cloud: Cloud) -> Vec<String> {
        misses(seen, &WorkspaceId::parse(WS).unwrap(), cloud)
    }

    #[test]
    fn a_complete_one() {
        assert_eq!(judged(&seen(&conf()), Cloud::Public), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(judged(&Seen::default(), Cloud::Public).len(), 2);
        let cut = conf().replace("OMS_ENDPOINT=https://x\n", "").replace("AGENT_GUID=1", "AGENT_GUID=");
        assert_eq!(judged(&seen(&cut), Cloud::Public), ["omsadmin.conf lacks AGENT_GUID, OMS_ENDPOINT"]);
        assert!(judged(&seen(&conf()), Cloud::Usgov)[0].contains("opinsights.azure.com, not opinsights.azure.us"));
        let other = conf().replace("0a1b2c3d", "ffffffff");
        assert!(judged(&seen(&other), Cloud::Public)[0].contains("ffffffff"));
        let bare = Seen { missing_certificates: vec!["oms.key".into()], unit: false, ..seen(&conf()) };
        assert_eq!(judged(&bare, Cloud::Public).len(), 2);
    }
}
