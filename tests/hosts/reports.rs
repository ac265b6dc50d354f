//! What people and programs get to see of a diagnosis, on real hosts: repairs, support bundles, live traffic, and a host
//! that is hostile in everything it says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::host::Host;
use crate::install::installed;
use crate::{Case, Kind};

/// A name, how the host is broken, and the check that names it.
type Mendable = (&'static str, &'static str, &'static str);

/// `UNIT` and `DROP_IN` stand for the daemon's unit and our file.
const MENDABLE: [Mendable; 6] = [
    ("stopped", "systemctl stop syslog.socket UNIT", "daemon.running"),
    ("disabled", "systemctl disable UNIT", "daemon.enabled"),
    ("masked", "systemctl mask --now UNIT", "daemon.running"),
    ("masked_until_boot", "systemctl mask --now --runtime UNIT", "daemon.running"),
    ("drop_in_deleted", "rm DROP_IN; systemctl restart UNIT", "listen.udp"),
    ("listeners_deleted", "sed -i '/^input(/d; /network(/d' DROP_IN; systemctl restart UNIT", "listen.udp"),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        MENDABLE.into_iter().map(|m| Case::new(format!("fix_{}", m.0), move |kind| mended(kind, m))).collect();
    cases.push(Case::new("fix_asks_and_keeps_to_what_is_asked", fix_asks));
    cases.push(Case::new("a_bundle_has_no_secret_and_is_judged_alike", bundle));
    cases.push(Case::new("live_traffic_by_sender", traffic));
    cases.push(Case::new("a_watch_ends_early_with_what_it_saw", interrupted_watch));
    cases.push(Case::new("an_evil_host_is_reported_complete_and_clean", evil));
    cases
}

fn of<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().find(|c| c["id"] == id).unwrap_or(&Value::Null)
}

/// Installs; the path of our file.
fn collector(host: &Host) -> Result<String> {
    let stock = host.tree("/etc");
    installed(host);
    let added = stock.added(&host.tree("/etc"));
    let ours = added.into_iter().find(|p| p.ends_with("cefctl.conf")).context("no drop-in after install")?;
    Ok(format!("/etc/{ours}"))
}

fn broken(host: &Host, kind: &Kind, how: &str, drop_in: &str) {
    // What breaks a daemon may well be refused by it.
    let how = format!("set +e; {how}\ntrue");
    host.sh(&how.replace("UNIT", kind.unit()).replace("DROP_IN", drop_in));
}

fn mended(kind: &Kind, (name, how, check): Mendable) -> Result<()> {
    if name == "listeners_deleted" && kind.daemon != "rsyslog" {
        return Ok(()); // in syslog-ng's language a source cannot lose its drivers line by line: it no longer starts
    }
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    let drop_in = collector(&host)?;
    broken(&host, kind, how, &drop_in);
    // How full the disk is says something of the machine that runs the tests.
    let look = ["troubleshoot", "--skip", "host.disk", "-o", "json"];
    let before = host.cefctl(&look).json()?;
    let found = of(&before, check);
    ensure!(matches!(found["status"].as_str(), Some("fail" | "warn")), "{check} is {found}");
    ensure!(found["remedy"]["fixable"] == true, "{check} is not called fixable: {found}");
    let after = host.cefctl(&[look.as_slice(), &["--fix", "--yes"]].concat()).ok().json()?;
    ensure!(after["verdict"] == "healthy", "after --fix: {after:#}");
    host.cefctl(&["troubleshoot", "--fix", "--yes"]).ok();
    Ok(())
}

fn fix_asks(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    let drop_in = collector(&host)?;
    broken(&host, kind, "systemctl stop syslog.socket UNIT", &drop_in);
    let before = (host.tree("/etc"), host.service_state(kind.unit()));
    let unasked = host.cefctl(&["troubleshoot", "--fix"]).expect_code(2);
    ensure!(unasked.all().contains("--yes"), "{unasked}");
    let other = host.cefctl(&["troubleshoot", "--fix", "--yes", "--only", "listen.udp"]).expect_code(1);
    ensure!(!other.all().contains("mended:"), "{other}");
    let nobody = host.sh("su -s /bin/sh nobody -c '/usr/local/bin/cefctl troubleshoot --fix --yes' || true");
    ensure!(nobody.contains("root") || !nobody.contains("mended"), "{nobody}");
    before.0.assert_same(&host.tree("/etc"), "after repairs that were not to be made");
    ensure!(host.service_state(kind.unit()) == before.1, "the service is {} now", host.service_state(kind.unit()));
    Ok(())
}

/// Secrets of every kind, wherever they may be. Each holds the word.
const CANARIES: &str = r#"
W=/etc/opt/microsoft/omsagent/11111111-2222-3333-4444-555555555555
A=/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks
mkdir -p $W/conf/omsagent.d $W/certs $A /var/opt/microsoft/azuremonitoragent/log
echo 'SHARED_KEY=CANARY01sharedkeyvalueAAAA' >$W/conf/omsadmin.conf
printf '%s\n' '-----BEGIN RSA PRIVATE KEY-----' CANARY02 '-----END RSA PRIVATE KEY-----' >$W/certs/oms.key
echo 'http://joe:CANARY03p@ss/w0rd@proxy.example.org:8080' >/etc/opt/microsoft/omsagent/proxy.conf
echo '{"token":"CANARY04","sharedAccessKey":"CANARY05==","u":"https://x/c?sv=1&sig=CANARY06%2F"}' >$A/1.json
printf 'export MDSD_PROXY_PASSWORD="CANARY07 with blank"\nAZURE_CLIENT_SECRET=CANARY08\n' >/etc/default/azuremonitoragent
printf 'Authorization: Bearer eyJCANARY09abc.eyJCANARY09def.sig\npassword CANARY10\nfound CANARY07 with blank here\n' \
  >/var/opt/microsoft/azuremonitoragent/log/mdsd.err
printf '# db pwd="CANARY11" api_key=CANARY12 http://u:CANARY13@h/\n# gr\374\337e password=CANARY14\n' >>DROP_IN
printf 'X_TOKEN=CANARY15\n' >>/etc/default/UNIT
usermod -p '$6$CANARY16$abcdefghijklmnop' root
ln -s /etc/shadow /etc/logrotate.d/UNIT-shadow.conf
echo '%CANARY17 ALL=(ALL) ALL' >/etc/sudoers.d/canary
python3 -c 'import time; time.sleep(60)' --password CANARY18 &
logger -t UNITd 'login with https://u:CANARY19@h/ failed'
"#;

fn bundle(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let drop_in = collector(&host)?;
    broken(&host, kind, CANARIES, &drop_in);
    let second = kind.boot()?;
    for mask in [false, true] {
        let mut argv = vec!["collect", "--agent", "none", "--no-probe", "--file", "/root/b.tar.gz"];
        argv.extend(mask.then_some("--mask"));
        host.cefctl(&argv).ok().no_panic();
        ensure!(host.sh("stat -c %a /root/b.tar.gz").trim() == "600", "the archive is readable for others");
        let leaked = host
            .sh("rm -rf /root/u; mkdir /root/u; tar xzf /root/b.tar.gz -C /root/u; grep -rl CANARY /root/u || true");
        ensure!(leaked.trim().is_empty(), "secrets in {leaked}");
        let files = host.sh("find /root/u -type f");
        for wanted in ["facts.json", "report.json", "manifest.json", "sockets.txt", "queues.txt", "1.json", "mdsd.err"]
        {
            ensure!(files.contains(wanted), "{wanted} is not in the bundle:\n{files}");
        }
        ensure!(!files.contains("shadow") && !files.contains("oms.key") && !files.contains("sudoers"), "{files}");
        if mask {
            let names = host.sh("grep -rlE \"$(hostname)|11111111-2222|proxy.example.org\" /root/u || true");
            ensure!(names.trim().is_empty(), "names in {names}");
        }
        let here: Value = serde_json::from_str(&host.sh("cat /root/u/*/report.json"))?;
        second.put("/root/b.tar.gz", host.get("/root/b.tar.gz"));
        let there = second.cefctl(&["troubleshoot", "--from", "/root/b.tar.gz", "-o", "json"]).json()?;
        let statuses = |r: &Value| {
            let list = r["checks"].as_array().cloned().unwrap_or_default();
            list.iter().map(|c| format!("{} {} {}", c["id"], c["status"], c["blocked_by"])).collect::<Vec<_>>()
        };
        ensure!(statuses(&here) == statuses(&there), "here {:#?}\nthere {:#?}", statuses(&here), statuses(&there));
    }
    second.cefctl(&["troubleshoot", "--from", "/etc/passwd"]).expect_code(2).no_panic();
    Ok(())
}

const SENDERS: &str = r#"sleep 2
cefctl send -n 10
cefctl send --kind asa --protocol tcp --port PORT --framing octet -n 3
cefctl send --message '<134>date=2026-08-01 devname=f logid=1'
cefctl send --message '<164>%ASA-4-106023: Deny'
for n in 1 2 3; do cefctl send --host ::1 --message "<134>$(date -d '-2 hours' '+%b %e %T') fw9 CEF:0|V|P|1|1|n|5|"; done"#;

fn traffic(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    installed(&host);
    // Debian's syslog-ng has a port of its own for senders that count octets.
    let (port, way) = if kind.daemon == "rsyslog" { ("514", "tcp") } else { ("601", "tcp/601") };
    let senders = SENDERS.replace("PORT", port);
    let script = format!("({senders}) >/dev/null 2>&1 & cefctl troubleshoot --watch 6 -o json; wait");
    let report: Value = serde_json::from_str(&host.sh(&script))?;
    ensure!(of(&report, "traffic.arriving")["status"] == "pass", "{report:#}");
    ensure!(of(&report, "traffic.format")["status"] == "warn", "a message that is no event: {report:#}");
    ensure!(of(&report, "traffic.format")["remedy"]["summary"].to_string().contains("set format cef"), "{report:#}");
    let senders = report["traffic"]["tally"]["senders"].as_array().context("senders")?;
    // What came over IPv6 is of the device whose clock is wrong.
    let here = |s: &&Value| !s["from"].to_string().contains("::1");
    let by = |transport: &str| {
        senders.iter().filter(here).find(|s| s["transport"] == transport).context(transport.to_owned())
    };
    let time = of(&report, "traffic.time");
    ensure!(time["status"] == "warn" && time["evidence"].to_string().contains("::1"), "two hours late: {time:#}");
    ensure!(by("udp")?["messages"] == 12 && by(way)?["messages"] == 3, "{senders:#?}");
    ensure!(by(way)?["framing"]["octet-count"] == 3, "{senders:#?}");
    ensure!(by("udp")?["products"]["TestCommonEventFormat MOCK"] == 10, "{senders:#?}");
    Ok(())
}

fn interrupted_watch(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    installed(&host);
    let out = host
        .sh("cefctl troubleshoot --watch 600 -o json >/root/o & p=$!; sleep 3; cefctl send -n 4 >/dev/null; sleep 1; \
         kill -INT $p; wait $p || echo $?");
    ensure!(out.trim() == "130", "exit code {out}");
    let report: Value = serde_json::from_slice(&host.get("/root/o"))?;
    ensure!(report["traffic"]["interrupted"] == true && report["traffic"]["tally"]["messages"] == 4, "{report:#}");
    Ok(())
}

/// Everything that the host says is meant to harm who reads it.
const EVIL: &str = r#"
printf 'Nov 24 09:00:00 %s UNITd: evil \033[31mred\033]0;owned\007 <script>alert(1)</script> \377 \302\23331m\n' "$(hostname)" >>/var/log/syslog
D=$(dirname DROP_IN)
printf 'local7.* /var/log/\033[31mx\n' >"$D/51-$(printf '\033[31mred<b>')".conf
touch "$D/$(printf '50-new\nline\033[2J.conf')"
truncate -s 5G /var/log/huge.log /var/log/syslog.1
mkdir -p /usr/local/sbin /var/opt/microsoft/azuremonitoragent/log
truncate -s 5G /var/opt/microsoft/azuremonitoragent/log/mdsd.info
rm -f /var/log/messages; mkfifo /var/log/messages /var/opt/microsoft/azuremonitoragent/log/mdsd.warn
fake() { printf '#!/bin/sh\n%s\n' "$2" >/usr/local/sbin/$1; chmod +x /usr/local/sbin/$1; }
for c in openssl getconf getent; do fake $c 'printf "\033[31mgarbage\000\377\n"; head -c 100000 /dev/urandom'; done
for c in nft iptables-save ss df; do fake $c 'sleep 1000 & sleep 1000'; done
fake ip 'yes AAAAAAAAAAAAAAAAAAAA'
(end=$((SECONDS+60)); while [ $SECONDS -lt $end ]; do for i in 1 2 3 4; do /bin/true & done; wait; done) >/dev/null 2>&1 &
"#;

fn evil(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let drop_in = collector(&host)?;
    broken(&host, kind, EVIL, &drop_in);
    let known = host.cefctl(&["explain"]).ok().text().lines().filter(|l| l.starts_with("  ")).count();
    for format in ["text", "json", "junit", "html"] {
        let out = host.cefctl(&["troubleshoot", "-o", format]).no_panic();
        ensure!(matches!(out.code, 0 | 1), "{out}");
        ensure!(out.time < Duration::from_secs(20), "{format} took {:?}", out.time);
        let text = String::from_utf8(out.stdout.clone()).context("the report is no UTF-8")?;
        let bad = text.chars().find(|c| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c));
        ensure!(bad.is_none(), "{format} holds {bad:?}");
        ensure!(format != "html" || !text.contains("<script"), "a script in the page");
        if format == "json" {
            let count = out.json()?["checks"].as_array().map_or(0, Vec::len);
            ensure!(count == known, "{count} checks of {known} in the report");
        }
    }
    let late = host.cefctl(&["troubleshoot", "--timeout", "1", "-o", "json"]).no_panic();
    ensure!(late.time < Duration::from_secs(5), "--timeout 1 took {:?}", late.time);
    // What hangs is unknown and says so; the rest is judged.
    let counts = late.json()?["counts"].clone();
    let count = |status: &str| counts[status].as_u64().unwrap_or_default();
    ensure!(count("pass") > 8 && count("unknown") > 0, "--timeout 1: {late}");
    ensure!(late.text().contains("no answer within"), "what hangs is not said: {late}");
    let bundle = host.cefctl(&["collect", "--file", "/root/b.tar.gz", "--no-probe"]).ok().no_panic();
    ensure!(bundle.time < Duration::from_secs(40), "collect took {:?}", bundle.time);
    Ok(())
}
