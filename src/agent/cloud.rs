//! The clouds a workspace may live in, and the names the agents talk to there (facts 1.13, 3.6).

use serde::{Deserialize, Serialize};

/// A cloud of Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Azure (opinsights.azure.com)
    #[default]
    Public,
    /// Azure US Government (opinsights.azure.us)
    Usgov,
    /// Azure China, operated by 21Vianet (opinsights.azure.cn)
    China,
}

impl Cloud {
    pub const ALL: [Cloud; 3] = [Cloud::Public, Cloud::Usgov, Cloud::China];

    /// The end of every name of the Log Analytics service; also the agent's own option `-d` and `URL_TLD`.
    pub fn suffix(self) -> &'static str {
        match self {
            Cloud::Public => "opinsights.azure.com",
            Cloud::Usgov => "opinsights.azure.us",
            Cloud::China => "opinsights.azure.cn",
        }
    }

    /// As the command line has it.
    pub fn word(self) -> &'static str {
        match self {
            Cloud::Public => "public",
            Cloud::Usgov => "usgov",
            Cloud::China => "china",
        }
    }

    /// The cloud of a suffix.
    pub fn of_suffix(suffix: &str) -> Option<Cloud> {
        Cloud::ALL.into_iter().find(|c| c.suffix().eq_ignore_ascii_case(suffix.trim()))
    }

    /// Where the Log Analytics agent of a workspace registers itself.
    pub fn oms_host(self, workspace: &str) -> String {
        format!("{workspace}.oms.{}", self.suffix())
    }

    /// Where both agents send a workspace's events.
    pub fn ods_host(self, workspace: &str) -> String {
        format!("{workspace}.ods.{}", self.suffix())
    }

    /// Where the Azure Monitor Agent asks what to collect.
    pub fn ama_host(self) -> String {
        self.ama_region_host("global")
    }

    /// The same for one region.
    pub fn ama_region_host(self, region: &str) -> String {
        let end = self.suffix().rsplit('.').next().unwrap_or("com");
        format!("{region}.handler.control.monitor.azure.{end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_cloud() {
        assert_eq!(Cloud::Usgov.oms_host("ws"), "ws.oms.opinsights.azure.us");
        assert_eq!(Cloud::China.ama_host(), "global.handler.control.monitor.azure.cn");
        for cloud in Cloud::ALL {
            assert_eq!(Cloud::of_suffix(cloud.suffix()), Some(cloud));
        }
        assert_eq!(Cloud::of_suffix("opinsights.azure.eaglex.ic.gov"), None);
    }
}
