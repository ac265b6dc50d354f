//! Judgements on the way from this box to the agent's services: the services themselves, somebody who opens TLS, the proxy.
//!
//! Without an agent nothing here talks to the cloud, so nothing is asked. A box that has no way out at all, neither a route
//! nor a proxy (a closed network, an image in the making), is warned, not called broken: its agent keeps what it takes.

use super::agent_facts::AmaState;
use super::case::Case;
use super::cloud_facts::{CloudFacts, ProxyFacts, Tried, WayOut};
use super::cloud_reach::{Fault, Kind, Reached, issuer, part, proxy_of, reached};
use super::outcome::{Judged, NotJudged, Outcome};
use super::words;
use crate::agent::AgentKind;
use crate::agent::endpoints::Purpose;
use crate::agent::way_out::{METADATA, bypasses};
use crate::host::dial::TlsSeen;

/// Organisations that issue certificates for Azure's names (Microsoft's list of its certification authorities).
const AUTHORITIES: [&str; 6] = ["microsoft corporation", "digicert", "baltimore", "d-trust", "entrust", "globalsign"];
/// Services shown one by one.
const MOST: usize = 12;

pub fn endpoints(case: &Case<'_>) -> Judged {
    let (cloud, way) = way(case)?;
    if way.tries.is_empty() {
        return Err(NotJudged::Blocked(
            "agent.onboarded",
            "the agent belongs to no workspace, so it has no services yet".into(),
        ));
    }
    let judged: Vec<(&Tried, Reached)> = way.tries.iter().map(|t| (t, reached(t, way))).collect();
    let faults: Vec<(&Tried, &Fault)> = judged.iter().filter_map(|(t, r)| Some((*t, r.fault()?))).collect();
    let proxy = proxy_of(way);
    let Some((_, first)) = faults.iter().find(|(t, _)| t.endpoint.purpose != Purpose::Config).or(faults.first()) else {
        if let Some(why) = judged.iter().find_map(|(_, r)| r.unknown()) {
            return Err(NotJudged::Unknown(format!("no answer was seen: {why}")));
        }
        let through = proxy.map(|p| format!(" through the proxy {p}")).unwrap_or_default();
        let out = Outcome::pass(format!("{} answer{through}", words::count(judged.len(), "service")));
        return Ok(evidence(out, &judged));
    };
    if let Err(why) = &way.proxy {
        return Err(NotJudged::Unknown(format!("which proxy the agent has is not known: {why}")));
    }
    if first.kind == Kind::Proxy {
        return Err(NotJudged::Blocked("cloud.proxy", first.text.clone()));
    }
    if first.kind == Kind::Clock && super::clock::is_refused(case) {
        return Err(NotJudged::Blocked("host.clock", "the clock is too far off for any certificate".into()));
    }
    if no_way_out(cloud, way, &faults) {
        let text = "this machine has no way out (no route, no proxy of the agent): what the agent takes stays here";
        let out = if super::agents::backlog::is_stuck(case) { Outcome::fail(text) } else { Outcome::warn(text) };
        let out = out.seen("route", "none to any address outside of this machine's own networks");
        return Ok(evidence(out, &judged).advise(
            "give it a route, or the agent a proxy; on a closed network that is meant to stay so nothing arrives at the workspace",
        ));
    }
    let needed: Vec<_> = faults.iter().filter(|(t, _)| t.endpoint.purpose != Purpose::Config).collect();
    let summary = match (needed.as_slice(), faults.as_slice()) {
        ([], [(t, f), ..]) => {
            return Ok(advise(
                evidence(
                    Outcome::warn(format!("{}: {}; only settings from the portal need it", t.endpoint.host, f.text)),
                    &judged,
                ),
                f,
                cloud,
                way,
            ));
        }
        ([(t, f)], _) => format!("{} ({}): {}", t.endpoint.host, t.endpoint.purpose.word(), f.text),
        (some, _) => {
            let count = some.len();
            let all = if faults.len() == judged.len() {
                "no service answers".to_owned()
            } else {
                format!("{count} of {} do not answer", words::count(judged.len(), "service"))
            };
            format!("{all}: {}", first.text)
        }
    };
    Ok(advise(evidence(Outcome::fail(summary), &judged), first, cloud, way))
}

/// The agent's way out, where there is an agent and it was tried.
fn way<'a>(case: &'a Case<'_>) -> Result<(&'a CloudFacts, &'a WayOut), NotJudged> {
    let agent = case.target.agent;
    if agent == AgentKind::None {
        return Err(NotJudged::Skip("without an agent nothing on this box talks to the cloud".into()));
    }
    if !case.facts.host.live {
        return Err(NotJudged::Skip("these are the files of an image that does not run".into()));
    }
    let cloud = case.facts.cloud.as_ref()?;
    let by = if agent == AgentKind::Ama { "ama.installed" } else { "agent.installed" };
    let way = cloud.way(agent).ok_or_else(|| NotJudged::Blocked(by, format!("the {agent} is not installed")))?;
    Ok((cloud, way))
}

/// Nobody could be asked, and there is nothing by which one could.
fn no_way_out(cloud: &CloudFacts, way: &WayOut, faults: &[(&Tried, &Fault)]) -> bool {
    // Whoever refuses was reached.
    let lost = |f: &Fault| f.kind == Kind::Name || (f.kind == Kind::Connection && f.text.contains("unreachable"));
    cloud.route == Some(false)
        && matches!(way.proxy, Ok(None))
        && faults.len() == way.tries.len()
        && faults.iter().all(|(_, f)| lost(f))
}

fn evidence(out: Outcome, judged: &[(&Tried, Reached)]) -> Outcome {
    judged
        .iter()
        .take(MOST)
        .fold(out, |out, (t, r)| out.seen(format!("{} ({})", t.endpoint.host, t.endpoint.purpose.word()), r.text()))
}

fn advise(out: Outcome, fault: &Fault, cloud: &CloudFacts, way: &WayOut) -> Outcome {
    let host = way.tries.iter().find(|t| reached(t, way).fault().is_some()).map(|t| t.endpoint.host.as_str());
    let host = host.unwrap_or_default();
    let users = cloud.users_proxy.as_ref().filter(|_| matches!(way.proxy, Ok(None)));
    let out = match users {
        Some((file, address)) => {
            out.seen(file, format!("{address} is the proxy of this box's users, not of the agent"))
        }
        None => out,
    };
    match fault.kind {
        Kind::Name => out
            .advise(format!("let the name servers of this box resolve it{}", or_proxy(way, users.is_some())))
            .command(format!("getent hosts {host}"))
            .command("cat /etc/resolv.conf"),
        Kind::Connection => out
            .advise(format!("let TCP 443 to it out through every firewall on the way{}", or_proxy(way, users.is_some())))
            .command(format!("curl -v https://{host}/")),
        Kind::Refused => out.advise("allow the agent's services in the proxy's rules, without a login page and without inspection"),
        Kind::Tls => out.advise(
            "a firewall that looks at names, or a port of something else, breaks TLS: let it through untouched to the agent's services",
        ),
        Kind::Certificate => out.advise(
            "leave the agent's services out of TLS inspection: the agent shows a certificate of its own, which inspection takes away",
        ),
        Kind::Clock => out.advise("set the clock").command("sudo timedatectl set-ntp true"),
        Kind::Roots => out.advise("install the root certificates").command("sudo apt-get install ca-certificates"),
        Kind::Service => out.advise(
            "wait, and look at Azure's status page; where it refuses this network, let it in at the workspace's network isolation (private link)",
        ),
        Kind::Proxy => out,
    }
}

fn or_proxy(way: &WayOut, is_known: bool) -> String {
    let setting = match way.agent {
        AgentKind::Ama => "the extension's setting `proxy`",
        AgentKind::Oms | AgentKind::None => "/etc/opt/microsoft/omsagent/proxy.conf",
    };
    match (&way.proxy, is_known) {
        (Ok(None), true) => format!(", or tell the agent of the proxy as well, by {setting}"),
        (Ok(None), false) => format!("; where a proxy is the way out, tell the agent of it by {setting}"),
        _ => String::new(),
    }
}

pub fn inspection(case: &Case<'_>) -> Judged {
    let (_, way) = way(case)?;
    let seen: Vec<(&Tried, &TlsSeen)> =
        way.tries.iter().filter_map(|t| Some((t, t.seen.tls.as_ref()?.as_ref().ok()?))).collect();
    if seen.is_empty() {
        let no_answer = || NotJudged::Blocked("cloud.endpoints", "no service showed a certificate".into());
        return Err(match endpoints(case) {
            Ok(out) if out.status == crate::report::Status::Fail => no_answer(),
            Err(NotJudged::Blocked(by, why)) => NotJudged::Blocked(by, why),
            Err(NotJudged::Unknown(why)) => NotJudged::Unknown(why),
            _ => NotJudged::Skip("no service showed a certificate".into()),
        });
    }
    let strange: Vec<_> = seen.iter().filter(|(_, tls)| !is_azures(tls)).collect();
    let Some((_, first)) = strange.first() else {
        return Ok(Outcome::pass(format!(
            "the certificates of {} are by {}",
            words::count(seen.len(), "service"),
            issuer(seen[0].1)
        )));
    };
    let accepted = if first.distrust.is_none() { ", whom this box trusts" } else { "" };
    let out = Outcome::warn(format!("TLS is opened on the way: the certificate is by {}{accepted}", issuer(first)));
    let out = strange.iter().take(MOST).fold(out, |out, (t, tls)| {
        out.seen(&t.endpoint.host, format!("issuer {}; subject {}", tls.issuer, tls.subject))
    });
    Ok(out.advise(
        "leave the agent's services out of inspection on the proxy or firewall that issues these certificates: the agent shows \
         one of its own, which does not get through",
    ))
}

fn is_azures(tls: &TlsSeen) -> bool {
    let organisation = part(&tls.issuer, "O").unwrap_or_default().to_ascii_lowercase();
    AUTHORITIES.iter().any(|a| organisation.starts_with(a))
}

pub fn proxy(case: &Case<'_>) -> Judged {
    let (_, way) = way(case)?;
    let Some(proxy) = way.proxy.as_ref()? else {
        return Err(NotJudged::Skip("the agent goes out without a proxy".into()));
    };
    let address = match &proxy.address {
        Some(Ok(address)) => address,
        Some(Err(why)) => {
            return Ok(set(Outcome::fail(format!("the agent's proxy setting cannot be used: {why}")), way, proxy));
        }
        None => return Err(NotJudged::Unknown("its address is not known".into())),
    };
    let through: Vec<&Tried> = way.tries.iter().filter(|t| t.seen.proxied).collect();
    let bad =
        through.iter().find_map(|t| reached(t, way).fault().filter(|f| f.kind == Kind::Proxy).map(|f| f.text.clone()));
    if let Some(text) = bad {
        return Ok(set(Outcome::fail(format!("{address}: {text}")), way, proxy));
    }
    if let Some(out) = metadata(case, proxy) {
        return Ok(out);
    }
    if proxy.restart_due {
        let out = Outcome::warn(format!("the agent runs with an older setting than {address}"));
        return Ok(out
            .seen(&proxy.from, address)
            .advise("restart the agent, so that it takes the setting")
            .command(super::agents::restart(way.agent, None)));
    }
    if through.is_empty() {
        return Err(NotJudged::Unknown(format!(
            "{address} is set, but no service is known that it could be tried with"
        )));
    }
    let login = if proxy.login { ", and accepts the login" } else { "" };
    Ok(Outcome::pass(format!("{address} takes connections{login}")).seen(&proxy.from, address))
}

/// Machines ask for their identity by plain HTTP at an address of their own; a proxy answers that for itself, if at all.
fn metadata(case: &Case<'_>, proxy: &ProxyFacts) -> Option<Outcome> {
    let ama: &AmaState = case.facts.agent_states.ama.as_ref().filter(|_| case.target.agent == AgentKind::Ama)?;
    if !proxy.plain_http {
        return None;
    }
    let [azure, arc] = METADATA;
    let address = if ama.arc.is_empty() { azure } else { arc };
    // A name may stand for it.
    if bypasses(&proxy.bypass, address) || (address == arc && bypasses(&proxy.bypass, "localhost")) {
        return None;
    }
    let out = Outcome::fail(format!("the agent asks {address} who it is, and the proxy stands between")).seen(
        &proxy.from,
        format!(
            "without the proxy: {}",
            match proxy.bypass.as_slice() {
                [] => "nothing".to_owned(),
                some => some.join(", "),
            }
        ),
    );
    Some(
        out.advise(format!("add {azure} and {arc} to no_proxy where the agent's environment is set, and restart it"))
            .command(super::agents::restart(AgentKind::Ama, None)),
    )
}

/// Where the proxy is set and how.
fn set(out: Outcome, way: &WayOut, proxy: &ProxyFacts) -> Outcome {
    let shown = proxy
        .address
        .as_ref()
        .and_then(|a| a.as_ref().ok())
        .cloned()
        .unwrap_or_else(|| "cannot be read as a proxy".into());
    let login = if proxy.login { " (with a user name)" } else { "" };
    let out = out.seen(&proxy.from, format!("{shown}{login}"));
    match way.agent {
        AgentKind::Ama => out.advise(
            "correct the extension's setting: {\"proxy\":{\"mode\":\"application\",\"address\":\"http://HOST:PORT\",\"auth\":\"true\"}}, \
             with user and password in its protected settings",
        ),
        AgentKind::Oms | AgentKind::None => out
            .advise("correct the file: one line [http://][user:password@]host[:port], every odd character of user and password as %XX")
            .command(format!("sudoedit {}", proxy.from))
            .command(super::agents::restart(AgentKind::Oms, None)),
    }
}

/// Does this check find that the agent's services cannot be reached? Then what waits for them is a symptom.
pub fn is_cut_off(case: &Case<'_>) -> Option<&'static str> {
    match endpoints(case) {
        Ok(out) if out.status == crate::report::Status::Fail => Some("cloud.endpoints"),
        Err(NotJudged::Blocked(by @ ("cloud.proxy" | "host.clock"), _)) => Some(by),
        _ => None,
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
