//! One booted collector that is broken in many ways, one after the other: broken, diagnosed, mended by the tool where it
//! says that it can, put back, and looked at again before the next fault.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Fault;
use crate::Kind;
use crate::agent::Agent;
use crate::agents::ama::Ama;
use crate::agents::lab::Lab;
use crate::host::Host;

/// What takes the events on this box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Something that listens on the agent's port.
    Plain,
    Oms,
    Ama,
    /// The Azure Monitor Agent on a port that it was given for want of its own.
    AmaElsewhere,
    /// The Azure Monitor Agent of before 1.28.11, which takes events on a unix socket.
    AmaSocket,
}

impl Side {
    pub fn word(self) -> &'static str {
        match self {
            Side::Plain => "",
            Side::Oms => "Log Analytics agent",
            Side::Ama => "Azure Monitor Agent",
            Side::AmaElsewhere => "Azure Monitor Agent (port 31755)",
            Side::AmaSocket => "Azure Monitor Agent (socket)",
        }
    }
}

/// What a fault's script may use. `$OURS`: our file in the daemon's folder `$CONF`; `$MAIN`: the daemon's own file.
const PRELUDE: &str = r#"
set +e
restart() { systemctl daemon-reload; systemctl reset-failed $UNIT 2>/dev/null; systemctl restart $UNIT 2>/dev/null; settle; }
settle() { for i in 1 2 3 4 5 6 7 8 9 10; do systemctl -q is-active $UNIT && [ -n "$(ss -Hlun 'sport = 514')" ] && return; sleep 0.05; done; }
ng() { [ $UNIT = syslog-ng ]; }
# A drop-in of the unit, then a restart.
hardened() { mkdir -p /run/systemd/system/$UNIT.service.d; printf '[Service]\n' >/run/systemd/system/$UNIT.service.d/90-hardened.conf; printf '%s\n' "$@" >>/run/systemd/system/$UNIT.service.d/90-hardened.conf; restart; }
# sed on a file; a case whose text is not there is a mistake in the table.
edit() { cp "$1" /run/before; sed -i -E "$2" "$1"; if cmp -s "$1" /run/before; then echo "MISTAKE: $1 has nothing for $2"; fi; }
# The Log Analytics agent.
INPUT=/etc/opt/microsoft/omsagent/$WS/conf/omsagent.d/security_events.conf ADMIN=/etc/opt/microsoft/omsagent/$WS/conf/omsadmin.conf
LOG=/var/opt/microsoft/omsagent/$WS/log/omsagent.log
agent() { systemctl restart omsagent-$WS; sleep 0.3; restart; }
# The Azure Monitor Agent.
CACHE=/etc/opt/microsoft/azuremonitoragent/config-cache
# It goes to port 31000, another program has the usual one.
moved() { systemctl stop azuremonitoragent; squat STREAM 28330 's.listen();'; sed -i "s/mdsd.py $PORT/mdsd.py 31000/" /usr/lib/systemd/system/azuremonitoragent.service; systemctl daemon-reload; systemctl start azuremonitoragent; sleep 0.5; }
chunk() { cat >$CACHE/configchunks/$1.json; }
# Somebody else's file.
other() { cat >$CONF/$1; restart; }
squat() { systemd-run -q --unit=squatter python3 -c "import socket,time; s=socket.socket(socket.AF_INET6, socket.SOCK_$1); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int('$1' == 'STREAM')); s.bind(('::', $2)); $3 time.sleep(600)"; for i in 1 2 3 4 5 6 7 8 9 10; do ss -Hlnut "sport = $2" | grep -q . && return; sleep 0.05; done; }
"#;

/// What is kept of the healthy box and put back after each fault.
const KEPT: &str = "etc/rsyslog.conf etc/rsyslog.d etc/syslog-ng etc/systemd etc/opt etc/default etc/hosts etc/passwd etc/group \
     opt/microsoft var/lib/cefctl \
     var/lib/dpkg/status";

pub struct Bench<'a> {
    host: &'a Host,
    kind: &'a Kind,
    side: Side,
    ours: String,
    ama: Option<Ama<'a>>,
    lab: Option<Lab<'a>>,
    _agent: Option<Agent<'a>>,
}

/// What a fault came to.
pub struct Seen {
    pub root_cause: Option<String>,
    pub fixed: bool,
}

impl<'a> Bench<'a> {
    /// A healthy collector.
    pub fn set_up(host: &'a Host, kind: &'a Kind, side: Side) -> Result<Bench<'a>> {
        // A way in for devices.
        host.sh("ip link add eth0 type veth peer name far0; ip addr add 192.0.2.1/24 dev eth0; ip -6 addr add 2001:db8::1/64 dev eth0 nodad; ip link set eth0 up; ip link set far0 up");
        let stock = host.tree("/etc");
        let mut bench = Bench { host, kind, side, ours: String::new(), ama: None, lab: None, _agent: None };
        match side {
            Side::Plain => {
                bench._agent = Some(Agent::start(host)?);
                crate::install::installed(host);
            }
            Side::Oms => {
                let lab = Lab::start(host)?;
                lab.install(&[]).ok();
                bench.lab = Some(lab);
            }
            Side::Ama | Side::AmaElsewhere => {
                let port = if side == Side::Ama { 28330 } else { 31755 };
                bench.ama = Some(Ama::start(host, kind, port)?);
                host.cefctl(&["install", "--yes"]).ok();
            }
            Side::AmaSocket => {
                bench.ama = Some(Ama::start_on_socket(host, kind)?);
                host.cefctl(&["install", "--yes"]).ok();
            }
        }
        let added = stock.added(&host.tree("/etc"));
        let ours = added.into_iter().find(|p| p.ends_with("cefctl.conf")).context("install made no drop-in")?;
        bench.ours = format!("/etc/{ours}");
        host.sh(&format!("cd /; tar -cf /root/good.tar $(ls -d {KEPT} 2>/dev/null)"));
        bench.healthy("after the installation")?;
        Ok(bench)
    }

    fn sh(&self, script: &str) -> String {
        let (conf, main) = match self.kind.daemon.as_str() {
            "syslog-ng" => ("/etc/syslog-ng/conf.d", "/etc/syslog-ng/syslog-ng.conf"),
            _ => ("/etc/rsyslog.d", "/etc/rsyslog.conf"),
        };
        let agent = match (&self.lab, &self.ama) {
            (Some(_), _) => crate::agents::lab::WORKSPACE,
            _ => "",
        };
        let forward = self.ama.as_ref().map_or("", |a| a.forward.as_str());
        let head = format!(
            "UNIT={} CONF={conf} MAIN={main} OURS={} WS={agent} FORWARD={forward} PORT={}\n",
            self.kind.unit(),
            self.ours,
            self.ama.as_ref().and_then(Ama::port).unwrap_or_default()
        );
        let out = self.host.exec(&["/bin/bash", "-c", &format!("{head}{PRELUDE}{script}\ntrue")]);
        let all = out.all();
        assert!(!all.contains("MISTAKE"), "{script}: {all}");
        all
    }

    fn look(&self, disk: bool, more: &[&str]) -> Result<Value> {
        // How full the disk is says something of the machine that runs the tests.
        // That the Log Analytics agent was retired is said of every box that has it; these have no way out either.
        let skip: &[&str] =
            if disk { &["--skip", "agent.retired,cloud"] } else { &["--skip", "host.disk,agent.retired,cloud"] };
        let env = ["CEFCTL_FAIL=ama.watcher=error"]; // there is none here, and waiting for it takes half a minute
        let out = self.host.cefctl_with(&env, &[&["troubleshoot", "-o", "json"], skip, more].concat());
        out.json().with_context(|| out.to_string())
    }

    fn healthy(&self, when: &str) -> Result<()> {
        let report = self.look(false, &[])?;
        ensure!(report["verdict"] == "healthy", "{when} the box is not healthy: {}", odd(&report));
        Ok(())
    }

    /// Breaks the box, looks, mends it, and puts it back. The error says what was not as the table says.
    pub fn run(&self, fault: &Fault) -> Result<Seen> {
        self.sh(fault.how);
        let seen = self.judged(fault);
        self.put_back(fault);
        self.healthy("put back,")?;
        seen
    }

    /// Once more where it is not as the table says: a daemon that is just coming up is told wrongly on a busy machine.
    fn judged(&self, fault: &Fault) -> Result<Seen> {
        self.named(fault)
            .or_else(|_| {
                std::thread::sleep(Duration::from_secs(3));
                self.named(fault)
            })
            .and_then(|seen| self.mended(fault).map(|()| seen))
    }

    fn named(&self, fault: &Fault) -> Result<Seen> {
        let report = self.look(fault.check == "host.disk", &[])?;
        let root_cause = report["root_cause"].as_str().map(str::to_owned);
        let found = checks(&report).find(|c| c["id"] == fault.check).cloned().unwrap_or_default();
        let wanted = (fault.verdict.root_cause(fault.check), fault.verdict.word(), fault.verdict.status());
        let got = (
            root_cause.as_deref(),
            report["verdict"].as_str().unwrap_or_default(),
            found["status"].as_str().unwrap_or_default(),
        );
        ensure!(got == wanted, "{got:?}, wanted {wanted:?}: {}", odd(&report));
        let promised = found["remedy"]["fixable"] == true;
        ensure!(promised == fault.fixed, "fixable is {promised}: {}", found["remedy"]);
        Ok(Seen { root_cause, fixed: fault.fixed })
    }

    fn mended(&self, fault: &Fault) -> Result<()> {
        if !fault.fixed {
            return Ok(());
        }
        let mut after = self.look(false, &["--fix", "--yes"])?;
        // A connection whose first packets were dropped is tried again by the kernel after 1, 3, 7 s.
        for _ in 0..4 {
            if after["verdict"] == "healthy" {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(2));
            after = self.look(false, &[])?;
        }
        anyhow::bail!("not mended: {}", odd(&after))
    }

    fn put_back(&self, fault: &Fault) {
        self.sh(fault.undo);
        self.sh(&format!(
            "systemctl stop squatter 2>/dev/null; systemctl reset-failed 2>/dev/null
             rm -f /run/systemd/system/$UNIT.service /run/systemd/system/$UNIT.service.d/90-hardened.conf
             cd /; for f in {KEPT}; do [ -d $f ] && rm -rf $f/*; done; tar -xf /root/good.tar
             systemctl daemon-reload"
        ));
        match self.side {
            Side::Oms => drop(self.sh("systemctl restart omsagent-$WS")),
            Side::Ama | Side::AmaElsewhere | Side::AmaSocket => self.ama.iter().for_each(|a| drop(a.again())),
            Side::Plain => {
                drop(self.sh("systemctl -q is-active stand-in-25226 || systemd-run --quiet --unit=stand-in-25226 /usr/bin/python3 /usr/local/lib/stand-in/agent.py 25226 /var/lib/stand-in/25226"));
            }
        }
        let port = self.ama.as_ref().map_or(Some(25226), Ama::port).unwrap_or_default();
        let listens = || (self.side == Side::AmaSocket || self.host.bound("tcp").contains(&port)).then_some(());
        crate::host::wait_for("the agent listens again", Duration::from_secs(10), listens).ok();
        self.sh("restart");
    }
}

fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().into_iter().flatten()
}

/// What is not good in a report, one line each.
fn odd(report: &Value) -> String {
    let bad = |c: &&Value| !matches!(c["status"].as_str(), Some("pass" | "skip"));
    let line = |c: &Value| {
        let evidence = c["evidence"].as_array().into_iter().flatten().take(3);
        let seen: Vec<String> = evidence.map(|e| format!("{} = {}", e["source"], e["text"])).collect();
        format!("\n      {} {}: {} [{}]", c["status"], c["id"], c["summary"], seen.join("; "))
    };
    checks(report).filter(bad).map(line).collect()
}
