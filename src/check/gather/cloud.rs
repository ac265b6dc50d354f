//! Asks the agent's services for a sign of life, by the way that the agent itself takes. Sends them nothing but a request
//! for `/` or `/ping`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::oms::assignments;
use crate::agent::ama::{paths as ama_paths, rules};
use crate::agent::endpoints::{self, Endpoint};
use crate::agent::oms::paths as oms_paths;
use crate::agent::proxy::Proxy;
use crate::agent::way_out::{self, Found};
use crate::agent::{AgentKind, Cloud};
use crate::check::agent_facts::{AgentStates, AmaState, OmsState};
use crate::check::cloud_facts::{CloudFacts, ProxyFacts, Tried, WayOut};
use crate::check::facts::{Fact, UnitFacts};
use crate::check::target::TargetOptions;
use crate::host::dial::{self, Dial, Roots, Via};
use crate::host::{Cmd, Host, Secret};
use crate::message::base64;

/// How long services have. A network that is worse than this would not carry the agent either.
pub const LIMIT: Duration = Duration::from_secs(4);
const MOST_ENDPOINTS: usize = 16;
const CONF_CAP: u64 = 64 << 10;
/// Addresses that nobody has (RFC 5737, 3849): only the route to them is looked up, nothing is sent.
const FAR: [&str; 2] = ["203.0.113.1:443", "[2001:db8::1]:443"];

/// One agent's way, before it was tried.
struct Way {
    agent: AgentKind,
    found: Fact<Option<Found>>,
    from: String,
    restart_due: bool,
    roots: Roots,
    endpoints: Vec<Endpoint>,
}

pub fn gather(
    host: &Host,
    options: &TargetOptions,
    states: &AgentStates,
    units: &Fact<BTreeMap<String, UnitFacts>>,
) -> Fact<CloudFacts> {
    if !host.root.is_live() {
        return Err("only a running machine can ask the services".into());
    }
    let wanted = |agent: AgentKind| options.agent.is_none_or(|a| a == agent);
    let asked = options.cloud.as_deref().and_then(|word| Cloud::ALL.into_iter().find(|c| c.word() == word));
    let cloud = asked.unwrap_or_default();
    let mut ways: Vec<Way> = Vec::new();
    if wanted(AgentKind::Oms) && (states.oms.is_some() || options.agent == Some(AgentKind::Oms)) {
        ways.push(oms(host, states.oms.as_ref(), options.workspace.as_deref(), cloud));
    }
    if wanted(AgentKind::Ama) && (states.ama.is_some() || options.agent == Some(AgentKind::Ama)) {
        let pid = units.as_ref().ok().and_then(|u| u.get(ama_paths::UNIT)?.state.main_pid);
        ways.push(ama(host, states.ama.as_ref(), pid, cloud));
    }
    let dials = ways.iter().flat_map(dials).collect();
    let mut seen = dial::dial_all(dials, LIMIT).into_iter();
    let ways = ways.into_iter().map(|way| {
        let proxy = way.found.as_ref().map(|f| f.as_ref().map(|f| shown(f, &way))).map_err(Clone::clone);
        let tries = way.endpoints.into_iter().zip(seen.by_ref()).map(|(endpoint, seen)| Tried { endpoint, seen });
        WayOut { agent: way.agent, proxy, tries: tries.collect() }
    });
    Ok(CloudFacts {
        ways: ways.collect(),
        route: route(host),
        users_proxy: users_proxy(host),
        limit_ms: LIMIT.as_millis().try_into().unwrap_or(u64::MAX),
    })
}

fn oms(host: &Host, state: Option<&OmsState>, asked: Option<&str>, cloud: Cloud) -> Way {
    let empty = BTreeMap::new();
    let mut endpoints = Vec::new();
    for workspace in state.into_iter().flat_map(|s| &s.workspaces) {
        let file = oms_paths::Workspace::new(&workspace.id).omsadmin_conf();
        let admin = workspace.admin.as_ref().and_then(|a| a.as_ref().ok()).unwrap_or(&empty);
        endpoints.extend(endpoints::oms(&workspace.id, admin, &file.to_string_lossy(), cloud));
    }
    if let (true, Some(id)) = (endpoints.is_empty(), asked) {
        endpoints.extend(endpoints::oms(id, &empty, "the command line", cloud));
    }
    endpoints.truncate(MOST_ENDPOINTS);
    let (found, from) = oms_proxy(host);
    Way { agent: AgentKind::Oms, found, from, restart_due: false, roots: Roots::System, endpoints }
}

/// Its file, else the place of older versions.
fn oms_proxy(host: &Host) -> (Fact<Option<Found>>, String) {
    for file in oms_paths::PROXIES {
        match host.root.read_capped(Path::new(file), CONF_CAP) {
            Ok(text) => {
                if let Some(found) = way_out::oms(&text, file) {
                    return (Ok(Some(found)), file.into());
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return (Err(format!("{file}: {e}")), file.into()),
        }
    }
    (Ok(None), String::new())
}

fn ama(host: &Host, state: Option<&AmaState>, pid: Option<u32>, cloud: Cloud) -> Way {
    let files = state.map(|s| s.own.chunks()).unwrap_or_default();
    let rules: Vec<(String, rules::Rule)> =
        files.iter().filter_map(|f| Some((f.name.clone(), f.rule.clone().ok()?))).collect();
    let mut endpoints = endpoints::ama(&rules, cloud);
    endpoints.truncate(MOST_ENDPOINTS);
    let file = match host.root.read_capped(Path::new(ama_paths::DEFAULTS), CONF_CAP) {
        Ok(text) => Ok(assignments(&text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => Err(format!("{}: {e}", ama_paths::DEFAULTS)),
    };
    let process = pid.and_then(|pid| process_environment(host, pid));
    let (found, from) = match &file {
        Ok(lines) => match way_out::ama(lines) {
            Some(found) => (Ok(Some(found)), ama_paths::DEFAULTS.to_owned()),
            None => match process.as_ref().map(|p| (way_out::ama(p), "the agent's process".to_owned())) {
                Some((found, from)) => (Ok(found), from),
                None => (Ok(way_out::ama(&unit_environment(host))), format!("unit {}", ama_paths::UNIT)),
            },
        },
        Err(e) => (Err(e.clone()), ama_paths::DEFAULTS.to_owned()),
    };
    let told = |p: &BTreeMap<String, String>| way_out::ama(p).and_then(|f| f.proxy.ok()).map(|p| p.address());
    let set = found.as_ref().ok().and_then(|f| f.as_ref()?.proxy.as_ref().ok()).map(Proxy::address);
    // A process that shows none of the agent's variables was not started with this file at all.
    let sourced = |p: &BTreeMap<String, String>| p.keys().any(|k| k.starts_with("MDSD_")) || told(p).is_some();
    let restart_due = process.as_ref().is_some_and(|p| sourced(p) && told(p) != set);
    let lines = file.unwrap_or_default();
    let get = |name: &str| lines.get(name).or_else(|| process.as_ref()?.get(name)).filter(|v| v.starts_with('/'));
    let (bundle, folder) = (get("SSL_CERT_FILE").map(PathBuf::from), get("SSL_CERT_DIR").map(PathBuf::from));
    let roots = match bundle.is_some() || folder.is_some() {
        true => Roots::Named { file: bundle, folder },
        false => Roots::System,
    };
    Way { agent: AgentKind::Ama, found, from, restart_due, roots, endpoints }
}

/// What a process was started with.
fn process_environment(host: &Host, pid: u32) -> Option<BTreeMap<String, String>> {
    let text = host.root.read_capped(Path::new(&format!("/proc/{pid}/environ")), 1 << 20).ok()?;
    let pair = |part: &[u8]| {
        let text = String::from_utf8_lossy(part);
        text.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))
    };
    Some(text.split(|b| *b == 0).filter_map(pair).collect())
}

/// `Environment="A=B" C=D` of its unit and drop-ins.
fn unit_environment(host: &Host) -> BTreeMap<String, String> {
    let cmd = Cmd::new(["systemctl", "show", "-p", "Environment", ama_paths::UNIT]).limit(Duration::from_secs(1));
    let Ok(out) = host.runner.run(&cmd) else { return BTreeMap::new() };
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.trim().strip_prefix("Environment=").unwrap_or_default().to_owned();
    let pair = |word: &str| {
        word.trim_matches('"').split_once('=').map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()))
    };
    line.split_whitespace().filter_map(pair).collect()
}

/// A proxy of people who log in here.
fn users_proxy(host: &Host) -> Option<(String, String)> {
    let file = "/etc/environment";
    let text = host.root.read_capped(Path::new(file), CONF_CAP).ok()?;
    let proxy = way_out::usual(&assignments(&text))?.proxy.ok()?;
    Some((file.into(), proxy.address()))
}

/// `None` where the kernel does not say.
fn route(host: &Host) -> Option<bool> {
    let mut answer = None;
    for far in FAR.iter().filter_map(|a| a.parse().ok()) {
        match host.net.udp(far) {
            Err(e) if e.kind() == std::io::ErrorKind::NetworkUnreachable => answer = answer.or(Some(false)),
            Ok(_) => return Some(true),
            // A route that says no, or one that throws away.
            Err(e) if e.kind() != std::io::ErrorKind::Unsupported => answer = answer.or(Some(false)),
            Err(_) => {}
        }
    }
    answer
}

fn dials(way: &Way) -> Vec<Dial> {
    let found = way.found.as_ref().ok().and_then(Option::as_ref);
    let dial = |endpoint: &Endpoint| Dial {
        host: endpoint.host.clone(),
        port: 443,
        path: endpoint.path.clone(),
        via: found.filter(|f| !f.bypasses(&endpoint.host)).and_then(|f| f.proxy.as_ref().ok()).map(via),
        roots: way.roots.clone(),
    };
    way.endpoints.iter().map(dial).collect()
}

fn via(proxy: &Proxy) -> Via {
    let login = proxy.user.as_ref().map(|user| {
        let password = proxy.password.as_ref().map(Secret::expose).unwrap_or_default();
        Secret::new(format!("Basic {}", base64::encode(&[user.as_bytes(), b":", password].concat())))
    });
    Via { host: proxy.host.clone(), port: proxy.port, tls: proxy.scheme == "https", login }
}

fn shown(found: &Found, way: &Way) -> ProxyFacts {
    let from = if found.name == way.from { found.name.clone() } else { format!("{}, {}", way.from, found.name) };
    ProxyFacts {
        from,
        address: Some(found.proxy.as_ref().map(Proxy::address).map_err(Clone::clone)),
        login: found.proxy.as_ref().is_ok_and(|p| p.user.is_some()),
        plain_http: found.plain_http,
        bypass: found.bypass.clone(),
        restart_due: way.restart_due,
    }
}
