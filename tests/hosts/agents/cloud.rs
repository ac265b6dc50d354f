//! The way from a host to the agent's services, broken in one place after the other: what `troubleshoot` says of it, and how
//! long it takes where nobody answers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::ama::Ama;
use super::lab::{Lab, PROXY, PROXY_PORT, WORKSPACE};
use crate::host::Host;
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("what_stands_before_the_log_analytics_agents_services_is_named", oms).only("rsyslog"),
        Case::new("what_stands_before_the_azure_monitor_agents_services_is_named", ama),
        Case::new("a_full_run_ends_in_seconds_where_nobody_answers", silence).alone().only("rsyslog"),
        Case::new("without_an_agent_nobody_is_asked", nobody).only("rsyslog"),
    ]
}

const PROXY_CONF: &str = "/etc/opt/microsoft/omsagent/proxy.conf";
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Forms of the proxy's password, none of which may show anywhere.
const PASSWORDS: [&str; 4] = ["p@ss word", "p%40ss", "dXNlcjpwQHNz", "word of yesterday"];

/// The results of a run by id, and that no password is in it.
fn look(host: &Host, args: &[&str]) -> Result<Value> {
    let out = host.cefctl(&[&["troubleshoot", "-o", "json", "--no-probe"], args].concat()).no_panic();
    ensure!(!PASSWORDS.iter().any(|p| out.all().contains(p)), "the proxy's password shows: {out}");
    out.json()
}

/// Status and summary of a check.
fn said<'a>(report: &'a Value, id: &str) -> (&'a str, &'a str, &'a str) {
    let check = report["checks"].as_array().into_iter().flatten().find(|c| c["id"] == id);
    let text = |key: &str| check.and_then(|c| c[key].as_str()).unwrap_or_default();
    (text("status"), text("summary"), text("blocked_by"))
}

const CLOUD: [&str; 2] = ["--only", "cloud,host.clock"];

/// One look at the cloud alone: each line is an id, its status and a word of its summary, or of what it is blocked by.
fn is(host: &Host, what: &str, wanted: &[(&str, &str, &str)]) -> Result<()> {
    let report = look(host, &CLOUD)?;
    for (id, status, word) in wanted {
        let (now, summary, blocked) = said(&report, id);
        ensure!(
            now == *status && (summary.contains(word) || blocked == *word),
            "{what}: {id} is {now} ({summary}; {blocked}), {status} with `{word}` was expected\n{report:#}"
        );
    }
    Ok(())
}

const GOOD: [(&str, &str, &str); 3] = [
    ("cloud.endpoints", "pass", "services answer"),
    ("cloud.tls-inspection", "pass", "Microsoft Corporation"),
    ("cloud.proxy", "skip", "without a proxy"),
];

fn oms(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    lab.install(&[]).ok();
    is(&host, "a good way out", &GOOD)?;
    let report = look(&host, &[])?;
    ensure!(report["root_cause"].is_null(), "a healthy host: {report:#}");

    lab.looks("answer", 503);
    is(&host, "a service that is down", &[("cloud.endpoints", "fail", "HTTP 503")])?;
    lab.looks("answer", 0);
    for (seconds, status, word) in [(3600, "fail", "behind"), (-3600, "fail", "ahead of"), (90, "warn", "behind")] {
        lab.looks("seconds", seconds);
        is(&host, "a clock that is off", &[("host.clock", status, word), ("cloud.endpoints", "pass", "")])?;
    }
    lab.looks("seconds", 0);

    let roots = host.get(ROOTS);
    let corp = lab.issued_by("Corp Inspection")?;
    is(
        &host,
        "a strange authority",
        &[("cloud.endpoints", "fail", "does not trust"), ("cloud.tls-inspection", "warn", "Corp Inspection")],
    )?;
    host.put(ROOTS, [&roots, corp.as_bytes()].concat());
    is(
        &host,
        "a strange authority that the host trusts",
        &[("cloud.endpoints", "pass", ""), ("cloud.tls-inspection", "warn", "whom this box trusts")],
    )?;
    let azure = lab.issued_by("Microsoft Corporation")?;
    host.put(ROOTS, &azure);

    host.put(PROXY_CONF, PROXY);
    let through = [("cloud.proxy", "pass", "accepts the login"), ("cloud.endpoints", "pass", "through the proxy")];
    is(&host, "a proxy with its password", &through)?;
    let asked = lab.requests();
    ensure!(
        asked.iter().any(|r| *r == format!("PROXY {WORKSPACE}.ods.opinsights.azure.com:443")),
        "the proxy was not asked: {asked:?}"
    );
    lab.looks("proxy", 403);
    is(
        &host,
        "a proxy that lets nothing through",
        &[("cloud.endpoints", "fail", "the proxy does not let it through (403)"), ("cloud.proxy", "pass", "")],
    )?;
    lab.looks("proxy", 0);
    for (setting, word) in [
        (PROXY.replace("p%40ss", "wrong"), "does not accept the user"),
        (format!("http://127.0.0.1:{PROXY_PORT}"), "wants a user"),
        (PROXY.replace("3128", "3999"), "refused"),
        (PROXY.replace("127.0.0.1", "nowhere.invalid"), "not resolved"),
        (PROXY.replace("http", "socks5"), "socks5"),
    ] {
        host.put(PROXY_CONF, &setting);
        let bad = [("cloud.proxy", "fail", word)];
        is(&host, word, &bad)?;
        if word != "socks5" {
            is(&host, word, &[("cloud.endpoints", "skip", "cloud.proxy")])?;
        }
    }
    host.remove(PROXY_CONF);
    is(&host, "the proxy is gone", &GOOD)?;

    // What waits for the service is no cause.
    host.sh(&format!(
        "f=/var/opt/microsoft/omsagent/{WORKSPACE}/state/out_oms_common.b1.buffer; echo x >$f; touch -d '2 hours ago' $f"
    ));
    ensure!(look(&host, &[])?["root_cause"] == "agent.backlog", "chunks of two hours ago");
    host.sh("systemctl stop stand-in-cloud");
    let report = look(&host, &[])?;
    ensure!(said(&report, "cloud.endpoints").0 == "fail", "the names lead to a closed port: {report:#}");
    ensure!(report["root_cause"] == "cloud.endpoints", "{report:#}");
    ensure!(said(&report, "agent.backlog").2 == "cloud.endpoints", "{report:#}");
    // Nor where there is no way out: that only a warning is worth while nothing is stuck.
    host.sh("sed -i '/azure/d' /etc/hosts");
    let report = look(&host, &[])?;
    ensure!(report["root_cause"] == "cloud.endpoints", "{report:#}");
    Ok(())
}

const DEFAULTS: &str = "/etc/default/azuremonitoragent";

fn ama(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    let agent = Ama::start(&host, kind, 28330)?;
    host.cefctl(&["install", "--yes"]).ok();
    is(&host, "a good way out", &GOOD)?;
    // A region that the service does not know.
    let chunk = "/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks/fw.json";
    let rule = String::from_utf8(host.get(chunk))?;
    let token = |region: &str| {
        let host = format!(
            "https://{region}.handler.control.monitor.azure.com/x/issueIngestionToken?operatingLocation={region}&platform=linux"
        );
        rule.replace("\"protocol\"", &format!("\"tokenEndpointUri\":\"{host}\",\"protocol\""))
    };
    host.put(chunk, token("westeurope"));
    is(&host, "a region", &[("cloud.endpoints", "pass", "3 services answer")])?;
    host.put(chunk, token("atlantis"));
    is(
        &host,
        "a region that is not there",
        &[("cloud.endpoints", "fail", "atlantis.handler.control.monitor.azure.com")],
    )?;
    host.put(chunk, &rule);
    lab.looks("answer", 403);
    is(&host, "the network is not let in", &[("cloud.endpoints", "fail", "refuses this network")])?;
    lab.looks("answer", 0);

    let own = |address: &str, password: &str| {
        format!(
            "export MDSD_PROXY_MODE=application\nexport MDSD_PROXY_ADDRESS={address}\nexport MDSD_PROXY_USERNAME=user\nexport MDSD_PROXY_PASSWORD='{password}'\n"
        )
    };
    let address = format!("http://127.0.0.1:{PROXY_PORT}");
    host.put(DEFAULTS, own(&address, "p@ss word/1"));
    is(
        &host,
        "its own setting",
        &[("cloud.proxy", "pass", "accepts the login"), ("cloud.endpoints", "pass", "through")],
    )?;
    host.put(DEFAULTS, own(&address, "word of yesterday"));
    is(
        &host,
        "a wrong password",
        &[("cloud.proxy", "fail", "does not accept"), ("cloud.endpoints", "skip", "cloud.proxy")],
    )?;
    for (more, status, word) in
        [("", "fail", "169.254.169.254"), ("export no_proxy=169.254.169.254,127.0.0.1\n", "pass", "accepts the login")]
    {
        host.put(DEFAULTS, format!("export http_proxy='{PROXY}'\nexport https_proxy='{PROXY}'\n{more}"));
        is(&host, "the environment's", &[("cloud.proxy", status, word)])?;
    }
    // An authority that only the agent trusts.
    let corp = lab.issued_by("Corp Inspection")?;
    host.put("/etc/ssl/corp.pem", corp);
    host.put(DEFAULTS, "export SSL_CERT_FILE=/etc/ssl/corp.pem\n");
    is(
        &host,
        "the agent's own authorities",
        &[("cloud.endpoints", "pass", ""), ("cloud.tls-inspection", "warn", "Corp")],
    )?;
    host.remove(DEFAULTS);
    is(&host, "the host's authorities", &[("cloud.endpoints", "fail", "does not trust")])?;
    // A missing rule is no cause where nobody could have sent one.
    host.sh("rm /etc/opt/microsoft/azuremonitoragent/config-cache/configchunks/*");
    let report = look(&host, &["--only", "cloud,ama.dcr-present"])?;
    ensure!(report["root_cause"] == "cloud.endpoints", "{report:#}");
    ensure!(said(&report, "ama.dcr-present").2 == "cloud.endpoints", "{report:#}");
    drop(agent);
    Ok(())
}

/// A full run within the limit, whatever the service does not do.
fn silence(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    lab.install(&[]).ok();
    let full = |what: &str, wanted: (&str, &str), limit: u64| -> Result<()> {
        let start = Instant::now();
        let report = look(&host, &[])?;
        let took = start.elapsed();
        println!("{what}: {took:.1?}");
        let (status, summary, _) = said(&report, "cloud.endpoints");
        ensure!(status == wanted.0 && summary.contains(wanted.1), "{what}: {status}, {summary}\n{report:#}");
        ensure!(took < Duration::from_secs(limit), "{what}: {took:?}");
        Ok(())
    };
    full("a service that answers", ("pass", "3 services"), 4)?;
    host.sh(
        "echo 'table inet hole { chain out { type filter hook output priority 0; tcp dport 443 drop; }; }' | nft -f -",
    );
    full("a firewall that drops", ("fail", "no answer in time"), 6)?;
    host.sh("nft delete table inet hole");
    // Takes connections, and says nothing.
    host.sh("systemctl stop stand-in-cloud; systemd-run --quiet --unit=mute python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\",443)); time.sleep(600)'");
    full("a service that says nothing", ("fail", "does not begin TLS in time"), 6)?;
    // A proxy that does the same.
    host.put(PROXY_CONF, "http://127.0.0.1:443");
    let report = look(&host, &[])?;
    ensure!(said(&report, "cloud.proxy").1.contains("does not answer in time"), "{report:#}");
    host.remove(PROXY_CONF);
    // Name servers that do not answer.
    host.sh(
        "sed -i '/azure/d' /etc/hosts; echo 'nameserver 127.0.0.1' >/etc/resolv.conf; systemctl stop mute; systemd-run --quiet --unit=mute \
         python3 -c 'import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind((\"127.0.0.1\",53)); time.sleep(600)'; \
         ip route add default dev lo",
    );
    full("name servers that say nothing", ("fail", "not resolved: the name servers do not answer in time"), 6)?;
    // No way out at all: a closed network, or a lost route; a warning.
    host.sh("systemctl stop mute; ip route del default; rm /etc/resolv.conf");
    full("no way out", ("warn", "no way out"), 6)?;
    let report = look(&host, &[])?;
    ensure!(report["verdict"] != "broken", "{report:#}");
    Ok(())
}

fn nobody(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    host.cefctl(&["install", "--agent", "none", "--yes"]).ok();
    let report = look(&host, &[])?;
    for id in ["cloud.endpoints", "cloud.tls-inspection", "cloud.proxy"] {
        ensure!(said(&report, id).0 == "skip", "{id}: {report:#}");
    }
    lab.install(&[]).ok();
    let before = lab.requests().len();
    for args in [&["--skip", "cloud"][..], &["--agent", "none"], &["--only", "listen"]] {
        look(&host, args)?;
    }
    ensure!(lab.requests().len() == before, "asked all the same: {:?}", lab.requests());
    look(&host, &["--only", "host.clock"])?;
    ensure!(lab.requests().len() > before, "the clock was not compared");
    // The same by the bundle, where the service is not asked at all.
    let seen = look(&host, &CLOUD)?;
    host.cefctl(&["collect", "--no-probe", "--file", "/var/tmp/b.tgz"]).ok();
    host.sh("systemctl stop stand-in-cloud");
    let from = ["troubleshoot", "-o", "json", "--only", "cloud,host.clock", "--from", "/var/tmp/b.tgz"];
    let again = host.cefctl(&from).json()?;
    for id in ["cloud.endpoints", "cloud.tls-inspection", "cloud.proxy", "host.clock"] {
        ensure!(said(&again, id).0 == said(&seen, id).0, "{id}: {again:#}\n{seen:#}");
    }
    Ok(())
}
