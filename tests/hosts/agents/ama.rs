//! The Azure Monitor Agent: our part is a listener whose events its own forward sees; what does not fit is named and mended.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::lab::Lab;
use crate::host::{Host, wait_for};
use crate::{Case, Kind, send};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("events_arrive_once_on_the_port_that_it_has", once),
        Case::new("a_stale_port_and_a_missing_file_are_mended", mended),
        Case::new("its_file_may_go_and_come_back", file_goes),
        Case::new("without_a_rule_the_listener_is_made_and_the_rule_is_named", no_rule),
        Case::new("a_move_from_one_agent_to_the_other_loses_nothing", migrate),
        Case::new("what_waits_for_the_old_agent_goes_to_the_new_one", waiting),
        Case::new("what_waits_for_any_agent_goes_to_the_first_one", first),
        Case::new("a_working_agent_keeps_the_events_until_its_successor_is_asked_for_them", unasked),
        Case::new("a_missing_agent_is_told_how_to_get_it", missing),
        Case::new("what_no_rule_asks_for_is_seen_on_the_wire", facilities),
    ]
}

const ETC: &str = "/etc/opt/microsoft/azuremonitoragent";

/// How the daemon hands events over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp(u16),
    /// The way of versions before 1.28.11, and of SELinux boxes without `semanage`.
    Socket,
}

const SOCKET: &str = "/run/azuremonitoragent/default_syslog.socket";

/// The agent's own files in the daemon's configuration, and where their originals lie; the one that forwards first.
fn forward_of(kind: &Kind, over: Over) -> Vec<(String, String)> {
    let (folder, originals): (_, &[&str]) = match (kind.daemon.as_str(), over) {
        ("syslog-ng", Over::Tcp(_)) => ("/etc/syslog-ng/conf.d", &["syslog-ngconf/azuremonitoragent-tcp.conf"]),
        ("syslog-ng", Over::Socket) => ("/etc/syslog-ng/conf.d", &["syslog-ngconf/azuremonitoragent.conf"]),
        (_, Over::Tcp(_)) => ("/etc/rsyslog.d", &["rsyslogconf/10-azuremonitoragent-omfwd.conf"]),
        (_, Over::Socket) => (
            "/etc/rsyslog.d",
            &["rsyslogconf/10-azuremonitoragent.conf", "rsyslogconf/05-azuremonitoragent-loadomuxsock.conf"],
        ),
    };
    let place = |original: &&str| {
        let name = original.split('/').next_back().expect("a name");
        (format!("{folder}/{name}"), format!("{ETC}/syslog/{original}"))
    };
    originals.iter().map(place).collect()
}

const RECEIVED: &str = "/var/opt/microsoft/azuremonitoragent/received";

pub struct Ama<'a> {
    pub host: &'a Host,
    over: Over,
    /// Its file in the daemon's configuration.
    pub forward: String,
    unit: String,
}

/// What the package brings: templates for the daemons.
const TEMPLATES: [(&str, &str); 5] = [
    (
        "rsyslogconf/10-azuremonitoragent-omfwd.conf",
        include_str!("../../stand_ins/ama/syslog/rsyslogconf/10-azuremonitoragent-omfwd.conf"),
    ),
    (
        "rsyslogconf/10-azuremonitoragent.conf",
        include_str!("../../stand_ins/ama/syslog/rsyslogconf/10-azuremonitoragent.conf"),
    ),
    (
        "rsyslogconf/05-azuremonitoragent-loadomuxsock.conf",
        include_str!("../../stand_ins/ama/syslog/rsyslogconf/05-azuremonitoragent-loadomuxsock.conf"),
    ),
    (
        "syslog-ngconf/azuremonitoragent-tcp.conf",
        include_str!("../../stand_ins/ama/syslog/syslog-ngconf/azuremonitoragent-tcp.conf"),
    ),
    (
        "syslog-ngconf/azuremonitoragent.conf",
        include_str!("../../stand_ins/ama/syslog/syslog-ngconf/azuremonitoragent.conf"),
    ),
];

impl<'a> Ama<'a> {
    /// The agent with a rule for CEF from local4, taking syslog on `port`; its file for the daemon is there.
    pub fn start(host: &'a Host, kind: &Kind, port: u16) -> Result<Ama<'a>> {
        Ama::start_over(host, kind, Over::Tcp(port))
    }

    /// An older one, which takes datagrams on its unix socket.
    pub fn start_on_socket(host: &'a Host, kind: &Kind) -> Result<Ama<'a>> {
        Ama::start_over(host, kind, Over::Socket)
    }

    fn start_over(host: &'a Host, kind: &Kind, over: Over) -> Result<Ama<'a>> {
        for (name, text) in TEMPLATES {
            host.put(&format!("{ETC}/syslog/{name}"), text);
        }
        host.put(&format!("{ETC}/config-cache/syslog.marker"), "true");
        host.put(
            &format!("{ETC}/config-cache/configchunks/fw.json"),
            r#"{"dataSources":[{"configuration":{"facilityNames":["local4"],"logLevels":["Warning"]},"id":"fw","kind":"syslog",
            "streams":[{"stream":"SECURITY_CEF_BLOB","solution":"SecurityInsights"}],"sendToChannels":["ods-1"]}],
            "channels":[{"endpoint":"https://ws.ods.opinsights.azure.com","id":"ods-1","protocol":"ods"}]}"#,
        );
        host.put("/usr/local/lib/stand-in/mdsd.py", include_bytes!("../../stand_ins/ama/mdsd.py"));
        host.put("/usr/local/lib/stand-in/watcher.sh", include_bytes!("../../stand_ins/ama/watcher.sh"));
        let files = forward_of(kind, over);
        for (path, original) in &files {
            let text = String::from_utf8_lossy(&host.get(original)).into_owned();
            let port = if let Over::Tcp(port) = over { port.to_string() } else { String::new() };
            host.put(path, text.replace("28330", &port));
        }
        if let Over::Tcp(port) = over {
            host.put(&format!("{ETC}/config-cache/syslog.port"), port.to_string());
        }
        host.put(RECEIVED, "");
        host.sh("mkdir -p /opt/microsoft/azuremonitoragent/bin; cp $(readlink -f $(command -v python3)) /opt/microsoft/azuremonitoragent/bin/mdsd");
        let ama = Ama { host, over, forward: files[0].0.clone(), unit: kind.unit().to_owned() };
        ama.run()?;
        host.sh(&format!("systemctl restart {}", kind.unit()));
        Ok(ama)
    }

    /// Starts its program as its unit.
    fn run(&self) -> Result<()> {
        let at = match self.over {
            Over::Tcp(port) => port.to_string(),
            Over::Socket => SOCKET.to_owned(),
        };
        let version = "1.33.1-build.main.845";
        // The package manager knows of it.
        let status = String::from_utf8_lossy(&self.host.get("/var/lib/dpkg/status")).into_owned();
        if !status.contains("Package: azuremonitoragent") {
            let entry = format!(
                "Package: azuremonitoragent\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: {version}\nDescription: stand-in\n\n"
            );
            self.host.put("/var/lib/dpkg/status", status + &entry);
        }
        self.host.put(
            "/usr/lib/systemd/system/azuremonitoragent.service",
            format!(
                "[Unit]\nDescription=Azure Monitor Agent\n[Service]\nRuntimeDirectory=azuremonitoragent\n\
                 ExecStart=/opt/microsoft/azuremonitoragent/bin/mdsd /usr/local/lib/stand-in/mdsd.py {at} {RECEIVED}\n\
                 [Install]\nWantedBy=multi-user.target\n"
            ),
        );
        self.host
            .sh("systemctl daemon-reload; systemctl -q enable azuremonitoragent; systemctl restart azuremonitoragent");
        wait_for("the agent listens", Duration::from_secs(5), || self.listens().then_some(()))
    }

    fn listens(&self) -> bool {
        match self.over {
            Over::Tcp(port) => self.host.bound("tcp").contains(&port),
            Over::Socket => self.host.exec(&["test", "-S", SOCKET]).code == 0,
        }
    }

    /// Back to how it was started, whatever has become of it.
    pub fn again(&self) -> Result<()> {
        let gone = "systemctl unmask --runtime azuremonitoragent; systemctl kill -s CONT azuremonitoragent; systemctl stop azuremonitoragent; \
                    systemctl reset-failed azuremonitoragent";
        self.host.exec(&["sh", "-c", gone]);
        self.run()
    }

    pub fn port(&self) -> Option<u16> {
        if let Over::Tcp(port) = self.over { Some(port) } else { None }
    }

    pub fn watch(&self, seconds: u32) {
        self.host
            .sh(&format!("systemd-run --quiet --unit=ama-watcher sh /usr/local/lib/stand-in/watcher.sh {seconds}"));
    }

    fn lose_file(&self) {
        self.host.sh(&format!("rm {}; systemctl restart {}", self.forward, self.unit));
    }

    pub fn received(&self) -> Vec<Vec<u8>> {
        self.host.get(RECEIVED).split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
    }

    fn count(&self, number: usize) -> usize {
        let word = format!("seq={number:09}");
        self.received().iter().filter(|l| crate::agent::contains(l, word.as_bytes())).count()
    }

    /// One event over each transport, each of them exactly once.
    pub fn takes_once(&self, number: usize) -> Result<()> {
        send::tcp_each(self.host, send::loopback(514), &[send::numbered(number)])?;
        send::udp(self.host, send::loopback(514), &[send::numbered(number + 1)], Duration::ZERO)?;
        wait_for("both events reach the agent", Duration::from_secs(15), || {
            (self.count(number) > 0 && self.count(number + 1) > 0).then_some(())
        })?;
        std::thread::sleep(Duration::from_millis(300));
        let counts = (self.count(number), self.count(number + 1));
        ensure!(counts == (1, 1), "over {:?}: events arrived {counts:?} times", self.over);
        Ok(())
    }
}

const INSTALL: [&str; 2] = ["install", "--yes"];

fn once(kind: &Kind) -> Result<()> {
    for over in [Over::Tcp(28330), Over::Tcp(31755), Over::Socket] {
        let host = kind.boot()?;
        let ama = Ama::start_over(&host, kind, over)?;
        let before = host.get(&ama.forward);
        host.cefctl(&INSTALL).ok();
        ama.takes_once(10)?;
        ensure!(host.get(&ama.forward) == before, "the agent's own file was changed");
        let again = host.cefctl(&INSTALL).ok();
        ensure!(again.all().contains("nothing to do"), "the second run: {again}");
        host.cefctl(&["uninstall", "--yes"]).ok();
        ensure!(host.get(&ama.forward) == before, "the agent's own file is gone");
    }
    Ok(())
}

fn mended(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 31755)?;
    // stale: the agent has moved since, and its watcher is dead
    host.put(&ama.forward, String::from_utf8_lossy(&host.get(&ama.forward)).replace("31755", "28330"));
    let out = host.cefctl(&INSTALL).ok();
    ensure!(out.all().contains("31755"), "the port is not named: {out}");
    ama.takes_once(20)?;
    // gone, with the agent's original still there
    ama.lose_file();
    host.cefctl(&INSTALL).ok();
    ama.takes_once(30)?;
    // gone, and the watcher alive: it is the one that writes it
    ama.lose_file();
    ama.watch(3);
    host.cefctl(&INSTALL).ok();
    ama.takes_once(40)
}

/// Azure takes the last rule for syslog away, and with it the agent its file; later there is one again, and the agent has
/// another port. The daemon starts all the while, and with syslog-ng events go on.
fn file_goes(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let mut ama = Ama::start(&host, kind, 31755)?;
    host.cefctl(&INSTALL).ok();
    ama.takes_once(50)?;
    let file = String::from_utf8_lossy(&host.get(&ama.forward)).into_owned();
    ama.lose_file();
    ensure!(
        host.exec(&["systemctl", "is-active", kind.unit()]).code == 0,
        "the daemon does not start without the file"
    );
    ensure!(host.all_bound(514), "514 is not open");
    if kind.daemon == "syslog-ng" {
        ama.takes_once(60)?;
        let said = host.cefctl(&["troubleshoot", "--only", "ama.forward-config"]).all();
        ensure!(said.contains("this machine's own messages do not"), "what still works is not said: {said}");
    }
    ama.over = Over::Tcp(31900);
    ama.again()?;
    host.put(&ama.forward, file.replace("31755", "31900"));
    host.sh(&format!("systemctl restart {}", kind.unit()));
    // what comes before the mend waits for it
    send::udp(&host, send::loopback(514), &[send::numbered(70)], Duration::ZERO)?;
    host.cefctl(&["troubleshoot", "--fix", "--yes", "--skip", "cloud,host"]).ok();
    ama.takes_once(80)?;
    ensure!(ama.count(70) == 1, "the event that had to wait arrived {} times", ama.count(70));
    Ok(())
}

/// The old agent is dead, as most are by now, and events wait for it in memory and on disk.
fn waiting(kind: &Kind) -> Result<()> {
    const EVENTS: usize = 5000;
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    lab.install(&[]).ok();
    host.put(
        &format!("/etc/systemd/system/{}.d/broken.conf", lab.unit()),
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
    );
    host.sh(&format!("systemctl daemon-reload; systemctl stop {}", lab.unit()));
    send::steady(&host, send::loopback(514), 2000, Duration::from_millis(EVENTS as u64 / 2))?;
    let ama = Ama::start(&host, kind, 28330)?;
    let out = host.cefctl(&["install", "--yes", "--agent", "ama", "--purge-oms"]).ok();
    let missing = |ama: &Ama<'_>| {
        let (old, new) = (numbers(&lab.kept()), numbers(&ama.received()));
        (0..EVENTS).filter(|n| !old.contains_key(n) && !new.contains_key(n)).count()
    };
    wait_for("all that waited arrived", Duration::from_secs(20), || (missing(&ama) == 0).then_some(()))
        .map_err(|e| anyhow::anyhow!("{e}: {} of {EVENTS} are missing\n{out}", missing(&ama)))?;
    ama.takes_once(900_000)?;
    let again = host.cefctl(&["install", "--yes", "--agent", "ama"]).ok();
    ensure!(again.all().contains("nothing to do"), "the second run: {again}");
    Ok(())
}

/// Prepared without an agent, then Azure brings one: what came before it waits on disk.
fn first(kind: &Kind) -> Result<()> {
    const EVENTS: usize = 300;
    let host = kind.boot()?;
    host.cefctl(&["install", "--agent", "none", "--yes"]).ok();
    let events: Vec<Vec<u8>> = (0..EVENTS).map(send::numbered).collect();
    send::tcp_each(&host, send::loopback(514), &events)?;
    let ama = Ama::start(&host, kind, 28330)?;
    let out = host.cefctl(&INSTALL).ok();
    let all = wait_for("all that waited arrived", Duration::from_secs(20), || {
        let new = numbers(&ama.received());
        (0..EVENTS).all(|n| new.contains_key(&n)).then_some(())
    });
    all.map_err(|e| anyhow::anyhow!("{e}: {} of {EVENTS}\n{out}", numbers(&ama.received()).len()))?;
    ama.takes_once(900_000)?;
    let again = host.cefctl(&INSTALL).ok();
    ensure!(again.all().contains("nothing to do"), "the second run: {again}");
    Ok(())
}

/// The old agent works, and the new one is there without a rule that asks for security events: it would throw them away.
fn unasked(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    lab.install(&[]).ok();
    let ama = Ama::start(&host, kind, 28330)?;
    let (chunk, marker) =
        (format!("{ETC}/config-cache/configchunks/fw.json"), format!("{ETC}/config-cache/syslog.marker"));
    let rule = String::from_utf8_lossy(&host.get(&chunk)).into_owned();
    let plain = rule.replace("SECURITY_CEF_BLOB", "LINUX_SYSLOGS_BLOB");
    for (n, (text, told)) in [(&plain, "true"), (&rule, "false")].into_iter().enumerate() {
        host.put(&chunk, text);
        host.put(&marker, told);
        let before = host.tree("/etc");
        host.cefctl(&INSTALL).ok();
        host.cefctl(&["install", "--yes", "--agent", "ama"]).expect_code(1);
        before.assert_same(&host.tree("/etc"), "where the new agent takes nothing");
        send::tcp_each(&host, send::loopback(514), &[send::numbered(n)])?;
        wait_for("the old agent has the event", Duration::from_secs(10), || {
            numbers(&lab.received()).contains_key(&n).then_some(())
        })?;
        let report = host.cefctl(&["troubleshoot", "--skip", "cloud,host", "-o", "json"]).json()?;
        ensure!(report["verdict"] == "degraded", "a box that works is called otherwise: {report:#}");
    }
    host.put(&marker, "true");
    host.cefctl(&INSTALL).ok();
    ama.takes_once(900_000)
}

fn no_rule(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.sh(&format!(
        "rm {} {ETC}/config-cache/syslog.marker {ETC}/config-cache/configchunks/*; systemctl restart {}",
        ama.forward, ama.unit
    ));
    let out = host.cefctl(&INSTALL).ok();
    ensure!(out.all().contains("Microsoft-CommonSecurityLog"), "the rule is not named: {out}");
    ensure!(host.all_bound(514), "514 is not open");
    Ok(())
}

fn missing(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let out = host.cefctl(&["install", "--yes", "--agent", "ama"]).expect_code(1);
    for word in ["az vm extension set", "azcmagent connect", "connectedmachine", "hint:"] {
        ensure!(out.all().contains(word), "“{word}” is not in {out}");
    }
    Ok(())
}

/// The rule asks for local4 at Warning; three devices send other things.
fn facilities(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let ama = Ama::start(&host, kind, 28330)?;
    host.cefctl(&INSTALL).ok();
    for (pri, status, word) in [
        (164, "pass", "all asked for"),
        // A level that the rule leaves out was left out by somebody.
        (166, "warn", "local4.Info is not collected"),
        (188, "fail", "local7.Warning is not collected: no rule asks for this facility"),
    ] {
        let event = format!("<{pri}>Aug  1 10:00:00 fw1 CEF:0|V|P|1|id|name|5|src=10.0.0.1");
        let (report, sent) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                (0..20).try_for_each(|_| {
                    std::thread::sleep(Duration::from_millis(150));
                    send::udp(&host, send::loopback(514), &[event.clone().into_bytes()], Duration::ZERO)
                })
            });
            let report =
                host.cefctl(&["troubleshoot", "--watch", "2", "--no-probe", "--only", "traffic", "-o", "json"]);
            (report, sender.join().expect("the sender"))
        });
        sent?;
        let report = report.json()?;
        let check = report["checks"].as_array().into_iter().flatten().find(|c| c["id"] == "traffic.facility");
        let text = |key: &str| check.and_then(|c| c[key].as_str()).unwrap_or_default();
        ensure!(text("status") == status && text("summary").contains(word), "<{pri}>: {report:#}");
    }
    drop(ama);
    Ok(())
}

fn numbers(lines: &[Vec<u8>]) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for number in lines.iter().filter_map(|l| send::number_of(l)) {
        *found.entry(number).or_default() += 1;
    }
    found
}

fn migrate(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let lab = Lab::start(&host)?;
    lab.install(&[]).ok();
    if kind.daemon == "rsyslog" {
        host.put("/etc/rsyslog.d/95-omsagent.conf", "# OMS\nauth.=alert @127.0.0.1:25224\n");
    }
    // without its successor, or with one that Azure has told nothing, the old agent stays what it is
    let before = host.tree("/etc");
    host.cefctl(&["install", "--yes", "--agent", "ama", "--purge-oms"]).expect_code(1);
    before.assert_same(&host.tree("/etc"), "after a refusal");
    let ama = Ama::start(&host, kind, 28330)?;
    let (sent, out) = std::thread::scope(|scope| {
        let stream = scope.spawn(|| send::steady(&host, send::loopback(514), 200, Duration::from_secs(15)));
        std::thread::sleep(Duration::from_secs(2));
        let out = host.cefctl(&["install", "--yes", "--agent", "ama", "--purge-oms"]);
        (stream.join().expect("the sender"), out)
    });
    let out = out.ok();
    let (total, reconnects) = sent?;
    // what the old agent had before it was purged is gone with it; the bridge is what makes that no loss
    let old = lab.kept();
    let all = wait_for("everything has arrived", Duration::from_secs(15), || {
        let (old, new) = (numbers(&old), numbers(&ama.received()));
        (0..total).all(|n| old.contains_key(&n) || new.contains_key(&n)).then_some(new)
    });
    let new = all.or_else(|e| {
        let (old, new) = (numbers(&old), numbers(&ama.received()));
        let missing: Vec<usize> = (0..total).filter(|n| !old.contains_key(n) && !new.contains_key(n)).collect();
        anyhow::bail!("{e}: {} of {total} missing, {missing:?}; {reconnects} reconnects\n{out}", missing.len())
    })?;
    ensure!(new.len() > total / 4, "the new agent got {} of {total} only", new.len());
    ensure!(!host.path("/opt/microsoft/omsagent").exists(), "the old agent is still there: {out}");
    ensure!(!host.path("/etc/rsyslog.d/95-omsagent.conf").exists(), "its rules are still there");
    ama.takes_once(900_000)?;
    let again = host.cefctl(&["install", "--yes", "--agent", "ama"]).ok();
    ensure!(again.all().contains("nothing to do"), "the second run: {again}");
    Ok(())
}
