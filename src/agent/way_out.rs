//! Which proxy an agent goes through: its own setting, or the environment it was started with. The password goes no
//! further than the [`Proxy`]; facts get the address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::proxy::Proxy;
use crate::host::Secret;
use crate::host::subnet::Subnet;

/// Where Azure's machines ask who they are, and where Azure Arc's do; never by a proxy (field-failures 3).
pub const METADATA: [&str; 2] = ["169.254.169.254", "127.0.0.1"];

/// A proxy that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The setting's name, or the file's.
    pub name: String,
    /// What is wrong with it, where it is none.
    pub proxy: Result<Proxy, String>,
    /// From the environment, whose proxy of plain HTTP also gets the questions to [`METADATA`].
    pub plain_http: bool,
    /// Names that are reached without it.
    pub bypass: Vec<String>,
}

/// `proxy.conf` of the Log Analytics agent: one line. `None`: it says nothing.
pub fn oms(text: &[u8], file: &str) -> Option<Found> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|l| !l.is_empty())?;
    Some(Found { name: file.into(), proxy: Proxy::parse(line), plain_http: false, bypass: Vec::new() })
}

/// By the Azure Monitor Agent's variables: its own ones (`MDSD_PROXY_…`), else those that every program looks at.
pub fn ama(environment: &BTreeMap<String, String>) -> Option<Found> {
    let get = |name: &str| environment.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
    let off = get("MDSD_PROXY_MODE").is_some_and(|m| m.eq_ignore_ascii_case("none"));
    if let Some(address) = get("MDSD_PROXY_ADDRESS").filter(|_| !off) {
        let login = |mut proxy: Proxy| {
            if let Some(user) = get("MDSD_PROXY_USERNAME") {
                proxy.user = Some(user.to_owned());
                proxy.password = get("MDSD_PROXY_PASSWORD").map(Secret::new);
            }
            proxy
        };
        let proxy = Proxy::parse(address).map(login);
        return Some(Found { name: "MDSD_PROXY_ADDRESS".into(), proxy, plain_http: false, bypass: Vec::new() });
    }
    usual(environment)
}

/// The variables that every program looks at, in either case.
pub fn usual(environment: &BTreeMap<String, String>) -> Option<Found> {
    let get = |name: &str| {
        let upper = name.to_ascii_uppercase();
        let hit = |n: &str| Some((n.to_owned(), environment.get(n).filter(|v| !v.trim().is_empty())?));
        hit(name).or_else(|| hit(&upper))
    };
    let (name, value) = get("https_proxy").or_else(|| get("all_proxy"))?;
    let plain_http = get("http_proxy").or_else(|| get("all_proxy")).is_some();
    let bypass = get("no_proxy").map(|(_, v)| v.split([',', ' ']).map(|w| w.trim().to_owned()).collect::<Vec<_>>());
    let bypass = bypass.unwrap_or_default().into_iter().filter(|w| !w.is_empty()).collect();
    Some(Found { name, proxy: Proxy::parse(value), plain_http, bypass })
}

impl Found {
    /// Is this host reached without the proxy?
    pub fn bypasses(&self, host: &str) -> bool {
        bypasses(&self.bypass, host)
    }
}

/// As `no_proxy` is read by most programs: `*`, a name and what is below it, an address, a network.
pub fn bypasses(entries: &[String], host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    entries.iter().any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || (!name.is_empty() && (host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))))
            || in_network(&entry, &host)
    })
}

/// `169.254.0.0/16`
fn in_network(network: &str, host: &str) -> bool {
    let net = Subnet::parse(network).filter(|_| network.contains('/'));
    net.zip(host.parse().ok()).is_some_and(|(net, host): (_, Ipv4Addr)| net.contains(host.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(lines: &[(&str, &str)]) -> BTreeMap<String, String> {
        lines.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_agents_own_setting_beats_the_environment() {
        let own = [
            ("MDSD_PROXY_MODE", "application"),
            ("MDSD_PROXY_ADDRESS", "http://p:3128"),
            ("MDSD_PROXY_USERNAME", "u"),
            ("MDSD_PROXY_PASSWORD", "secret"),
            ("https_proxy", "http://other:1"),
        ];
        let found = ama(&environment(&own)).unwrap();
        let proxy = found.proxy.clone().unwrap();
        assert_eq!((proxy.address().as_str(), proxy.user.as_deref()), ("http://p:3128", Some("u")));
        assert_eq!(proxy.password.unwrap().expose(), b"secret");
        assert!(!found.plain_http && !format!("{found:?}").contains("secret"));
        let off = ama(&environment(&[("MDSD_PROXY_MODE", "none"), ("MDSD_PROXY_ADDRESS", "http://p:1")]));
        assert_eq!(off, None);
        let usual = ama(&environment(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "169.254.0.0/16, .azure.us")]));
        let usual = usual.unwrap();
        assert_eq!((usual.name.as_str(), usual.plain_http), ("HTTPS_PROXY", false));
        assert!(usual.bypasses("169.254.169.254") && usual.bypasses("ws.ods.opinsights.azure.us"));
        assert_eq!(ama(&environment(&[("http_proxy", "http://p:1")])), None, "not for https");
        assert!(ama(&environment(&[("all_proxy", "http://p:1")])).unwrap().plain_http);
    }

    #[test]
    fn one_line_of_the_log_analytics_agent() {
        let found = oms(b"http://u:hunter22@p:8080\n", "/f").unwrap();
        assert_eq!(found.proxy.unwrap().to_string(), "http://p:8080");
        assert_eq!(oms(b"\n\n", "/f"), None);
        let bad = oms(b"u:hunter22@p:none", "/f").unwrap().proxy.unwrap_err();
        assert!(!bad.contains("hunter22"), "{bad}");
        assert!(oms(b"\xff\x1b[0m", "/f").is_some());
    }

    #[test]
    fn names_that_are_left_out() {
        let of = |entry: &str, host: &str| bypasses(&[entry.to_owned()], host);
        assert!(of("*", "x") && of("azure.com", "A.azure.com") && of("*.azure.com", "a.azure.com"));
        assert!(!of("azure.com", "notazure.com") && !of("", "a.b") && !of(".", "a.b"));
        assert!(of("169.254.169.254", "169.254.169.254") && !of("169.254.169.25", "169.254.169.254"));
        assert!(of("0.0.0.0/0", "10.1.1.1") && !of("10.0.0.0/8", "11.0.0.1") && !of("10.0.0.0/40", "10.0.0.1"));
    }
}
