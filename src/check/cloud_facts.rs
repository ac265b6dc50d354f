//! What is known about the way from this box to the agent's services: the proxy that the agent has, and what was seen on
//! the way to each of them. Without a password: that goes no further than the connection.

use serde::{Deserialize, Serialize};

use super::facts::Fact;
use crate::agent::AgentKind;
use crate::agent::endpoints::Endpoint;
use crate::host::dial::Dialled;

/// The way out of every agent that is on the box.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudFacts {
    pub ways: Vec<WayOut>,
    /// The kernel has a route to addresses far away; `None`: could not be seen.
    pub route: Option<bool>,
    /// File and address of a proxy that users of this box get, which is none of the agent's.
    pub users_proxy: Option<(String, String)>,
    /// How long was waited at the most.
    pub limit_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOut {
    pub agent: AgentKind,
    pub proxy: Fact<Option<ProxyFacts>>,
    pub tries: Vec<Tried>,
}

/// The agent's proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyFacts {
    /// Where it is set: file and name.
    pub from: String,
    /// `scheme://host:port`, or what is wrong with the setting.
    pub address: Option<Result<String, String>>,
    /// It is given a user name.
    pub login: bool,
    /// Plain HTTP goes through it as well: that is what machines ask who they are by.
    pub plain_http: bool,
    pub bypass: Vec<String>,
    /// The process that runs now was started without this setting.
    pub restart_due: bool,
}

/// One service that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub endpoint: Endpoint,
    pub seen: Dialled,
}

impl CloudFacts {
    pub fn way(&self, agent: AgentKind) -> Option<&WayOut> {
        self.ways.iter().find(|w| w.agent == agent)
    }
}
