//! `--protocol tls`: the listener as a device meets it, by Python's OpenSSL, which shares nothing with the tool's own
//! TLS; with a pair of the tool's, with a given one, and where somebody has TLS already.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::certificates;
use crate::host::{Host, Output};
use crate::install::INSTALL;
use crate::send::numbered;
use crate::{Case, Kind};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a_listener_with_a_pair_of_its_own", own_pair),
        Case::new("a_given_pair_is_judged_first", given_pair),
        Case::new("a_listener_that_is_there_is_used", reused),
        Case::new("a_missing_driver_is_named", no_driver).only("rsyslog"),
    ]
}

/// Checks the certificate and its name, sends what comes on standard input.
const DEVICE: &str = "
import socket, ssl, sys
ca, name, port = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
tls = context.wrap_socket(socket.create_connection(('127.0.0.1', int(port)), 5), server_hostname=name)
tls.sendall(sys.stdin.buffer.read())
try: tls.unwrap().close()
except OSError: pass # a goodbye that is not answered in kind
";

/// Events as a device sends them: one a line, or each behind its length.
fn device(host: &Host, ca: &str, name: &str, port: u16, numbers: &[usize], counted: bool) -> Output {
    let frame = |n: &usize| match (numbered(*n), counted) {
        (line, true) => [format!("{} ", line.len()).into_bytes(), line].concat(),
        (line, false) => [line, b"\n".to_vec()].concat(),
    };
    let bytes: Vec<u8> = numbers.iter().flat_map(frame).collect();
    host.exec_with_input(&["timeout", "10", "python3", "-c", DEVICE, ca, name, &port.to_string()], &bytes)
}

fn boot(kind: &Kind) -> Result<Host> {
    match kind.daemon.as_str() {
        "rsyslog" => Host::boot(&kind.suite, "rsyslog+rsyslog-gnutls"),
        other => Host::boot(&kind.suite, other),
    }
}

fn folder(kind: &Kind) -> &'static str {
    if kind.daemon == "rsyslog" { "/etc/rsyslog.d/cefctl-tls" } else { "/etc/syslog-ng/cefctl-tls" }
}

fn install(host: &Host, more: &[&str]) -> Output {
    host.cefctl(&[&INSTALL[..], more].concat())
}

fn all_seen(agent: &Agent<'_>, numbers: &[usize]) -> bool {
    numbers.iter().all(|n| agent.sees(&format!("seq={n:09}"), Duration::from_secs(5)))
}

fn own_pair(kind: &Kind) -> Result<()> {
    const ALL: [&str; 2] = ["--protocol", "udp,tcp,tls"];
    let host = boot(kind)?;
    let before = host.tree("/etc");
    let agent = Agent::start(&host)?;
    let first = install(&host, &ALL).ok();
    ensure!(first.all().contains("over udp and over tcp and over tls came out"), "no proof: {first}");
    ensure!(!first.all().contains("PRIVATE KEY"), "the key is shown");
    ensure!(host.all_bound(514), "514 is not open as well");
    ensure!(host.listeners("tcp", 6514) == 1 && host.bound("tcp6").contains(&6514), "6514 is not open");
    let (ca, name) = (format!("{}/ca.pem", folder(kind)), host.name.clone());
    device(&host, &ca, &name, 6514, &[1, 2, 3], false).ok();
    ensure!(all_seen(&agent, &[1, 2, 3]), "events in lines did not arrive");
    if kind.daemon == "rsyslog" {
        device(&host, &ca, &name, 6514, &[4, 5, 6], true).ok();
        ensure!(all_seen(&agent, &[4, 5, 6]), "counted events did not arrive");
    } else {
        ensure!(first.all().contains("line by line"), "nothing on senders that count: {first}");
    }
    let stranger = device(&host, &ca, "somebody-else", 6514, &[7], false);
    ensure!(stranger.code != 0 && stranger.all().contains("CERTIFICATE_VERIFY_FAILED"), "any name will do: {stranger}");
    host.cefctl(&["send", "--protocol", "tls", "--ca", &ca, "--message", "<164>CEF:0|a|b|1|2|by-send|5|x=1"]).ok();
    ensure!(agent.sees("by-send", Duration::from_secs(5)), "`send` did not get through");
    let distrust = host.cefctl(&["send", "--protocol", "tls", "--ca", &ca, "--host", "127.0.0.9"]).expect_code(1);
    ensure!(distrust.all().contains("is for other names"), "no word on the name: {distrust}");
    let modes = host.sh(&format!("stat -c '%a %U' {0}/key.pem {0}/cert.pem", folder(kind)));
    ensure!(modes == "600 root\n644 root", "modes: {modes}");
    ensure!(!host.sh("grep -rl 'PRIVATE KEY' /var/lib/cefctl || true").contains('/'), "the key was copied");

    let (etc, pid) = (host.tree("/etc"), host.main_pid(kind.unit())?);
    let again = install(&host, &ALL).ok();
    ensure!(again.all().contains("nothing to do"), "the second run does something: {again}");
    etc.assert_same(&host.tree("/etc"), "after the second install");
    ensure!(host.main_pid(kind.unit())? == pid, "the second run restarted the daemon");

    // Not asked for any more: listener and pair go.
    ensure!(install(&host, &[]).ok().all().contains("nothing to do"), "a run that says nothing changes it");
    install(&host, &["--protocol", "udp,tcp"]).ok();
    ensure!(host.is_free(6514) && host.get(&ca).is_empty(), "TLS is still there");
    install(&host, &["--protocol", "tls", "--tls-port", "7514"]).ok();
    ensure!(host.is_free(514) && host.listeners("tcp", 7514) == 1, "not TLS alone, on its port");
    device(&host, &ca, &name, 7514, &[8], false).ok();
    ensure!(all_seen(&agent, &[8]), "nothing arrived by the other port");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}

fn given_pair(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let agent = Agent::start(&host)?;
    let (pair, other) =
        (certificates::make("Example", &["collector.example"]), certificates::make("Example", &["other.example"]));
    let (ca, cert, key) = ("/etc/ssl/mine/ca.pem", "/etc/ssl/mine/cert.pem", "/etc/ssl/mine/key.pem");
    host.put(ca, &pair.authority);
    host.put(cert, &pair.server);
    host.put(key, &other.key);
    let before = host.tree("/etc");
    let options = ["--protocol", "tls", "--tls-cert", cert, "--tls-key", key];
    let refused = |why: &str| {
        let out = install(&host, &options).expect_code(1);
        ensure!(out.all().contains(why) && out.all().contains("hint:"), "no word on “{why}”: {out}");
        Ok(())
    };
    refused("holds the key of another certificate")?;
    host.put(key, &pair.key);
    refused("everybody on this box can read the key")?;
    before
        .without(&["ssl/mine/key.pem".into()])
        .assert_same(&host.tree("/etc").without(&["ssl/mine/key.pem".into()]), "after what was refused");
    host.sh(&format!("chmod 600 {key}"));
    let before = host.tree("/etc");
    let done = install(&host, &options).ok();
    ensure!(done.all().contains("collector.example"), "nothing on the certificate's names: {done}");
    ensure!(host.exec(&["test", "-e", folder(kind)]).code == 1, "a pair was made all the same");
    device(&host, ca, "collector.example", 6514, &[1, 2], false).ok();
    ensure!(all_seen(&agent, &[1, 2]), "events did not arrive");
    ensure!(install(&host, &options).ok().all().contains("nothing to do"), "the second run does something");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}

fn reused(kind: &Kind) -> Result<()> {
    let host = boot(kind)?;
    let agent = Agent::start(&host)?;
    let pair = certificates::make("Example", &["collector.example"]);
    host.put("/etc/mine/ca.pem", &pair.authority);
    host.put("/etc/mine/cert.pem", &pair.server);
    host.put("/etc/mine/key.pem", &pair.key);
    if kind.daemon == "rsyslog" {
        host.put(
            "/etc/rsyslog.d/30-tls.conf",
            "global(DefaultNetstreamDriverCAFile=\"/etc/mine/ca.pem\" DefaultNetstreamDriverCertFile=\"/etc/mine/cert.pem\" \
             DefaultNetstreamDriverKeyFile=\"/etc/mine/key.pem\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
             input(type=\"imtcp\" port=\"6514\")\n",
        );
    } else {
        host.put(
            "/etc/syslog-ng/conf.d/tls.conf",
            "source s_tls { network(transport(tls) port(6514) keep-hostname(yes) tls(key-file(\"/etc/mine/key.pem\") \
             cert-file(\"/etc/mine/cert.pem\") peer-verify(optional-untrusted))); };\n\
             destination d_tls { file(\"/var/log/tls.log\"); };\nlog { source(s_tls); destination(d_tls); };\n",
        );
    }
    host.sh(&format!("systemctl restart {}", kind.unit()));
    let before = host.tree("/etc");
    let done = install(&host, &["--protocol", "tcp,tls"]).ok();
    ensure!(done.all().contains("TLS port 6514 is already open by"), "not recognised: {done}");
    ensure!(host.exec(&["test", "-e", folder(kind)]).code == 1, "a pair was made all the same");
    ensure!(host.listeners("tcp", 514) == 1, "plain TCP is not open beside it");
    // syslog-ng's default is one IPv4 socket, which the other listeners of this test are not.
    ensure!(host.bound("tcp").iter().chain(&host.bound("tcp6")).any(|p| *p == 6514), "the port is shut");
    device(&host, "/etc/mine/ca.pem", "collector.example", 6514, &[1, 2], false).ok();
    ensure!(all_seen(&agent, &[1, 2]), "events did not arrive");
    ensure!(agent.lines().iter().filter(|l| l.ends_with(b"seq=000000001")).count() == 1, "events were doubled");
    ensure!(install(&host, &["--protocol", "tcp,tls"]).ok().all().contains("nothing to do"), "not the same again");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}

fn no_driver(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let before = host.tree("/etc");
    let out = install(&host, &["--protocol", "udp,tls"]).expect_code(1);
    ensure!(out.all().contains("no driver for TLS") && out.all().contains("rsyslog-gnutls"), "no way out: {out}");
    before.assert_same(&host.tree("/etc"), "after a refusal");
    Ok(())
}
