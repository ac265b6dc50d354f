use super::*;
use crate::agent::endpoints::{self, Endpoint};
use crate::check::agents::boxes::{ama_box, oms_box};
use crate::check::clock;
use crate::check::facts::Facts;
use crate::check::fixture::*;
use crate::host::dial::Distrust;
use crate::host::dial::{Dialled, HttpSeen};
use crate::report::Status;

const AZURE: &str = "CN=Microsoft Azure RSA TLS Issuing CA 03,O=Microsoft Corporation,C=US";
const CORP: &str = "O=Corp\\, Inc,CN=Corp Inspection CA";
const NOW: i64 = 2_000_000;

fn tls(issuer: &str, distrust: Option<Distrust>) -> TlsSeen {
    TlsSeen { version: "TLS 1.3".into(), subject: "CN=*.ods".into(), issuer: issuer.into(), distrust }
}

/// A service that answers, directly.
fn good(endpoint: &Endpoint) -> Dialled {
    Dialled {
        host: endpoint.host.clone(),
        port: 443,
        names: Some(Ok(vec!["203.0.113.7".into()])),
        connected: Some(Ok("203.0.113.7:443".into())),
        tls: Some(Ok(tls(AZURE, None))),
        http: Some(Ok(HttpSeen { status: 200, date: Some(NOW), at: NOW })),
        ended: true,
        ..Dialled::default()
    }
}

/// A healthy box of an agent whose services answer but for what `change` does to each of them.
fn with(agent: AgentKind, change: impl Fn(&mut Dialled, Purpose)) -> Facts {
    let mut facts = if agent == AgentKind::Ama { ama_box() } else { oms_box() };
    let mut admin = std::collections::BTreeMap::new();
    admin.insert("DSC_ENDPOINT".to_owned(), "https://ws.agentsvc.azure-automation.net/x".to_owned());
    let endpoints = match agent {
        AgentKind::Ama => endpoints::ama(&[], Default::default()),
        _ => endpoints::oms("ws", &admin, "omsadmin.conf", Default::default()),
    };
    let tried = |endpoint: Endpoint| {
        let mut seen = good(&endpoint);
        change(&mut seen, endpoint.purpose);
        Tried { endpoint, seen }
    };
    let way = WayOut { agent, proxy: Ok(None), tries: endpoints.into_iter().map(tried).collect() };
    facts.cloud = Ok(CloudFacts { ways: vec![way], route: Some(true), users_proxy: None, limit_ms: 4000 });
    facts
}

fn cloud(facts: &mut Facts) -> &mut CloudFacts {
    facts.cloud.as_mut().unwrap()
}

/// The same behind a proxy whose setting is as given.
fn proxied(agent: AgentKind, proxy: ProxyFacts, change: impl Fn(&mut Dialled)) -> Facts {
    let mut facts = with(agent, |d, _| {
        d.proxied = true;
        d.tunnel = Some(Ok(200));
        change(d);
    });
    cloud(&mut facts).ways[0].proxy = Ok(Some(proxy));
    facts
}

fn setting() -> ProxyFacts {
    ProxyFacts { from: "/f".into(), address: Some(Ok("http://proxy:3128".into())), ..ProxyFacts::default() }
}

#[track_caller]
fn is(check: fn(&Case<'_>) -> Judged, facts: &Facts, status: Status, word: &str) -> Outcome {
    let out = judge(check, facts);
    assert_eq!(out.status, status, "{out:?}");
    assert!(out.summary.contains(word), "`{word}` is not in {out:?}");
    if matches!(status, Status::Warn | Status::Fail) {
        assert!(!out.evidence.is_empty() && out.advice.is_some(), "says neither why nor what to do: {out:?}");
    }
    out
}

fn cut(kind: &str) -> impl Fn(&mut Dialled, Purpose) + use<'_> {
    move |d, _| {
        (d.tls, d.http) = (None, None);
        match kind {
            "name" => (d.names, d.connected) = (Some(Err("Name or service not known".into())), None),
            "resolver" => (d.names, d.connected) = (None, None),
            "refused" => d.connected = Some(Err("203.0.113.7:443: connection refused".into())),
            "silent" => d.connected = None,
            "tls" => d.tls = Some(Err("the connection was reset".into())),
            "slow" => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn services_that_answer() {
    for agent in [AgentKind::Oms, AgentKind::Ama] {
        let facts = with(agent, |_, _| ());
        is(endpoints, &facts, Status::Pass, "answer");
        is(inspection, &facts, Status::Pass, "Microsoft");
        is(proxy, &facts, Status::Skip, "without a proxy");
    }
    // Without the agent's certificate the service of the Log Analytics agent lets nobody in.
    is(
        endpoints,
        &with(AgentKind::Oms, |d, _| d.http = Some(Ok(HttpSeen { status: 403, date: None, at: 0 }))),
        Status::Pass,
        "",
    );
    let alert = |d: &mut Dialled, _| d.http = Some(Err("received fatal alert: CertificateRequired".into()));
    is(endpoints, &with(AgentKind::Oms, alert), Status::Pass, "");
}

#[test]
fn where_the_way_ends_is_said() {
    for (kind, word) in [
        ("name", "Name or service not known"),
        ("resolver", "do not answer in time"),
        ("refused", "refused"),
        ("silent", "no answer in time"),
        ("tls", "reset"),
        ("slow", "does not begin TLS"),
    ] {
        let out = is(endpoints, &with(AgentKind::Oms, cut(kind)), Status::Fail, word);
        assert!(out.summary.contains("no service answers"), "{out:?}");
        let blocked = judge(inspection, &with(AgentKind::Oms, cut(kind)));
        assert_eq!(blocked.blocked_by, Some("cloud.endpoints"));
    }
    let one = with(AgentKind::Oms, |d, p| {
        if p == Purpose::Data {
            cut("refused")(d, p)
        }
    });
    is(endpoints, &one, Status::Fail, "ws.ods.opinsights.azure.com (events)");
    let config = with(AgentKind::Oms, |d, p| {
        if p == Purpose::Config {
            cut("name")(d, p)
        }
    });
    is(endpoints, &config, Status::Warn, "only settings from the portal");
}

#[test]
fn what_the_service_answers() {
    let status = |agent, status| with(agent, move |d, _| d.http = Some(Ok(HttpSeen { status, date: None, at: 0 })));
    is(endpoints, &status(AgentKind::Oms, 503), Status::Fail, "HTTP 503");
    is(endpoints, &status(AgentKind::Ama, 403), Status::Fail, "refuses this network");
    is(endpoints, &status(AgentKind::Ama, 404), Status::Pass, "");
    is(endpoints, &with(AgentKind::Ama, |d, _| d.http = None), Status::Fail, "no answer behind it");
}

#[test]
fn a_box_without_any_way_out_is_warned() {
    let mut facts = with(AgentKind::Oms, cut("name"));
    cloud(&mut facts).route = Some(false);
    is(endpoints, &facts, Status::Warn, "no way out");
    assert_eq!(is_cut_off(&case_free(&facts)), None);
    // A proxy is a way out, and so is a service in the own network.
    cloud(&mut facts).ways[0].proxy = Ok(Some(setting()));
    is(endpoints, &facts, Status::Fail, "not resolved");
    let mut facts = with(AgentKind::Oms, |d, p| {
        if p == Purpose::Data {
            cut("name")(d, p)
        }
    });
    cloud(&mut facts).route = Some(false);
    is(endpoints, &facts, Status::Fail, "ws.ods");
    facts.cloud = Err("nobody looked".into());
    is(endpoints, &facts, Status::Unknown, "nobody looked");
}

/// A case that outlives the call.
fn case_free(facts: &Facts) -> Case<'_> {
    let target = Box::leak(Box::new(crate::check::target::Target::resolve(&Default::default(), facts)));
    let configs = Box::leak(Box::new(crate::check::case::read_config(facts)));
    Case::new(facts, target, configs)
}

#[test]
fn without_an_agent_nobody_is_asked() {
    for check in [endpoints, inspection, proxy] {
        is(check, &healthy(), Status::Skip, "without an agent");
        let mut image = with(AgentKind::Oms, |_, _| ());
        image.host.live = false;
        is(check, &image, Status::Skip, "image");
        let mut gone = with(AgentKind::Oms, |_, _| ());
        cloud(&mut gone).ways.clear();
        assert_eq!(judge(check, &gone).blocked_by, Some("agent.installed"));
    }
    let mut alone = with(AgentKind::Oms, |_, _| ());
    cloud(&mut alone).ways[0].tries.clear();
    assert_eq!(judge(endpoints, &alone).blocked_by, Some("agent.onboarded"));
}

#[test]
fn somebody_opens_tls() {
    let trusted = with(AgentKind::Ama, |d, _| d.tls = Some(Ok(tls(CORP, None))));
    is(endpoints, &trusted, Status::Pass, "");
    is(inspection, &trusted, Status::Warn, "Corp Inspection CA (Corp, Inc), whom this box trusts");
    let strange = with(AgentKind::Ama, |d, _| d.tls = Some(Ok(tls(CORP, Some(Distrust::Issuer)))));
    is(endpoints, &strange, Status::Fail, "whom this box does not trust");
    is(inspection, &strange, Status::Warn, "Corp Inspection CA");
    for (why, word) in [
        (Distrust::Name, "for another name"),
        (Distrust::NoRoots, "no root certificates"),
        (Distrust::Other("bad signature".into()), "bad signature"),
        (Distrust::Time, "by the clock"),
    ] {
        let facts = with(AgentKind::Ama, |d, _| d.tls = Some(Ok(tls(AZURE, Some(why.clone())))));
        is(endpoints, &facts, Status::Fail, word);
    }
    let old = with(AgentKind::Ama, |d, _| d.tls = Some(Err("this processor lacks instructions".into())));
    is(endpoints, &old, Status::Unknown, "this processor");
}

#[test]
fn the_proxys_own_faults() {
    let of = |change: &dyn Fn(&mut Dialled)| proxied(AgentKind::Oms, setting(), change);
    let good = of(&|_| ());
    is(proxy, &good, Status::Pass, "http://proxy:3128 takes connections");
    is(endpoints, &good, Status::Pass, "through the proxy http://proxy:3128");
    type Change<'a> = &'a dyn Fn(&mut Dialled);
    let faults: [(Change<'_>, &str); 5] = [
        (
            &|d| (d.names, d.connected, d.tunnel) = (Some(Err("x".into())), None, None),
            "the proxy's name is not resolved",
        ),
        (&|d| (d.connected, d.tunnel) = (None, None), "no connection to the proxy"),
        (&|d| d.tunnel = Some(Ok(407)), "wants a user and a password"),
        (&|d| d.tunnel = Some(Err("it is no HTTP proxy".into())), "no HTTP proxy"),
        (&|d| d.tunnel = None, "does not answer in time"),
    ];
    for (change, word) in faults {
        let facts = of(&|d| {
            (d.tls, d.http) = (None, None);
            change(d);
        });
        is(proxy, &facts, Status::Fail, word);
        assert_eq!(judge(endpoints, &facts).blocked_by, Some("cloud.proxy"));
        assert_eq!(judge(inspection, &facts).blocked_by, Some("cloud.proxy"));
    }
    let login = ProxyFacts { login: true, ..setting() };
    is(proxy, &proxied(AgentKind::Oms, login, |d| d.tunnel = Some(Ok(407))), Status::Fail, "does not accept the user");
    // A rule of the proxy is no fault of it.
    let refused = of(&|d| (d.tunnel, d.tls, d.http) = (Some(Ok(403)), None, None));
    is(proxy, &refused, Status::Pass, "");
    is(endpoints, &refused, Status::Fail, "the proxy does not let it through (403)");
    let bad = ProxyFacts { address: Some(Err("the proxy has no host name".into())), ..setting() };
    is(proxy, &proxied(AgentKind::Ama, bad, |_| ()), Status::Fail, "no host name");
    let mut unread = good.clone();
    cloud(&mut unread).ways[0].proxy = Err("permission denied".into());
    is(proxy, &unread, Status::Unknown, "permission denied");
}

#[test]
fn the_metadata_address_goes_round_the_proxy() {
    let of = |bypass: &[&str], arc: bool| {
        let bypass = bypass.iter().map(|b| (*b).to_owned()).collect();
        let mut facts = proxied(AgentKind::Ama, ProxyFacts { plain_http: true, bypass, ..setting() }, |_| ());
        let ama = facts.agent_states.ama.as_mut().unwrap();
        ama.arc = if arc { vec!["/opt/azcmagent/bin/azcmagent".into()] } else { Vec::new() };
        facts
    };
    is(proxy, &of(&[], false), Status::Fail, "169.254.169.254");
    is(proxy, &of(&["169.254.0.0/16"], false), Status::Pass, "");
    is(proxy, &of(&["169.254.169.254"], true), Status::Fail, "127.0.0.1");
    is(proxy, &of(&["localhost"], true), Status::Pass, "");
    let old = proxied(AgentKind::Ama, ProxyFacts { restart_due: true, ..setting() }, |_| ());
    is(proxy, &old, Status::Warn, "older setting");
}

#[test]
fn the_services_time_is_the_measure_of_the_clock() {
    let at = |skew: i64, distrust: Option<Distrust>| {
        let mut facts = with(AgentKind::Oms, move |d, _| {
            d.http = Some(Ok(HttpSeen { status: 200, date: Some(NOW), at: NOW + skew }));
            d.tls = Some(Ok(tls(AZURE, distrust.clone())));
        });
        facts.clock.now = None;
        facts
    };
    is(clock::synchronized, &at(5, None), Status::Pass, "");
    is(clock::synchronized, &at(-60, None), Status::Warn, "60 seconds behind");
    is(clock::synchronized, &at(1000, None), Status::Fail, "1000 seconds ahead of");
    let far = at(40_000_000, Some(Distrust::Time));
    is(clock::synchronized, &far, Status::Fail, "ahead of");
    assert_eq!(judge(endpoints, &far).blocked_by, Some("host.clock"));
    // Whoever opens TLS may say what he likes.
    is(clock::synchronized, &at(1000, Some(Distrust::Issuer)), Status::Pass, "");
}

#[test]
fn what_waits_for_the_services_is_a_symptom() {
    let mut facts = with(AgentKind::Ama, cut("refused"));
    facts.agent_states.ama.as_mut().unwrap().own.chunks = Some(Ok(Vec::new()));
    assert_eq!(judge(crate::check::agents::dcr::present, &facts).blocked_by, Some("cloud.endpoints"));
    let mut facts = with(AgentKind::Ama, |_, _| ());
    facts.agent_states.ama.as_mut().unwrap().own.chunks = Some(Ok(Vec::new()));
    assert_eq!(judge(crate::check::agents::dcr::present, &facts).status, Status::Fail);
}

#[test]
fn a_name_in_parts() {
    assert_eq!(part(CORP, "O").as_deref(), Some("Corp, Inc"));
    assert_eq!(part(AZURE, "CN").as_deref(), Some("Microsoft Azure RSA TLS Issuing CA 03"));
    assert_eq!((part("", "O"), part("OU=x", "O")), (None, None));
}
