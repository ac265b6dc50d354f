//! Firewalls that are shut: a second host's events over a cable do not get in, the diagnosis names who keeps them out,
//! `--open-firewall` lets them in (with a network: those only), uninstall closes again and leaves every other rule as it
//! was. And the judgement on rules is compared with what the kernel does with packets.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cefctl::host::interfaces::Interface;
use cefctl::platform::firewall::answer::{Answer, Verdict};
use cefctl::platform::firewall::listing::{Listing, Listings};
use cefctl::platform::firewall::packet::{TCP, UDP};
use cefctl::platform::firewall::port::{self, Way};
use cefctl::platform::firewall::span::{Span, number};

use crate::agent::Agent;
use crate::host::Host;
use crate::install::{INSTALL, installed, status};
use crate::send::numbered;
use crate::{Case, Kind};

/// One package cannot be beside the others.
const FRONT_ENDS: &str = "firewalld+ufw+ipset";
const SAVED_IPTABLES: &str = "iptables-persistent";

/// A firewall that lets in nothing but answers.
struct Shut {
    name: &'static str,
    packages: &'static str,
    /// Makes it so, from a shell.
    shut: &'static str,
    /// Word for who keeps events out.
    keeper: &'static str,
    /// Loads the rules as the next boot would.
    boot: &'static str,
}

const NFTABLES: &str = "systemctl disable --now -q firewalld
cat >/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	set bad { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 } }
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		ip saddr @bad drop
		tcp dport { 22, 443 } accept
		counter reject with icmpx type admin-prohibited
	}
}
END
systemctl enable -q nftables; systemctl restart nftables";

const IPTABLES: &str = "cat >/etc/iptables/rules.v4 <<'END'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:BAD - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j BAD
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-port-unreachable
-A BAD -s 203.0.113.0/24 -j DROP
COMMIT
END
printf '*filter\\n:INPUT DROP [0:0]\\n:FORWARD DROP [0:0]\\n:OUTPUT ACCEPT [0:0]\\nCOMMIT\\n' >/etc/iptables/rules.v6
systemctl restart netfilter-persistent";

const SHUT: [Shut; 4] = [
    Shut {
        name: "firewalld",
        packages: FRONT_ENDS,
        shut: "firewall-cmd -q --set-default-zone=public; firewall-cmd -q --zone=public --change-interface=eth1
               firewall-cmd -q --zone=public --permanent --change-interface=eth1",
        keeper: "firewalld (zone public)",
        boot: "systemctl restart firewalld; until firewall-cmd -q --state; do sleep 0.1; done",
    },
    Shut {
        name: "ufw",
        packages: FRONT_ENDS,
        // Its own reload adds rules that enabling does not: taken as they are after one.
        shut: "systemctl disable --now -q firewalld; ufw --force enable >/dev/null
               ufw allow 22/tcp >/dev/null; ufw delete allow 22/tcp >/dev/null; ufw allow 443/tcp >/dev/null",
        keeper: "ufw",
        boot: "ufw disable >/dev/null; ufw --force enable >/dev/null",
    },
    Shut {
        name: "nftables",
        packages: FRONT_ENDS,
        shut: NFTABLES,
        keeper: "nftables (table inet filter, chain input)",
        boot: "systemctl restart nftables",
    },
    Shut {
        name: "iptables",
        packages: SAVED_IPTABLES,
        shut: IPTABLES,
        keeper: "iptables (chain INPUT)",
        boot: "systemctl restart netfilter-persistent",
    },
];

pub fn cases() -> Vec<Case> {
    let shut =
        |shut: &'static Shut| Case::new(format!("{}_opened_and_closed", shut.name), move |kind| opened(kind, shut));
    let mut cases: Vec<Case> = SHUT.iter().map(shut).collect();
    cases.push(Case::new("a_rewritten_file_of_iptables_is_cleaned", rewritten));
    cases.push(Case::new("loopback_that_is_dropped_is_the_root_cause", no_loopback));
    cases.push(Case::new("the_kernel_agrees", kernel));
    cases
}

/// The collector's host and a device's, joined by a cable: 10.99.1.1 and 10.99.1.2 with 10.99.1.3.
fn hosts(kind: &Kind, packages: &str) -> Result<(Host, Host)> {
    let collector = Host::boot(&kind.suite, &format!("{}+{packages}", kind.daemon))?;
    let device = Host::boot(&kind.suite, "none")?;
    collector.link(&device, 1)?;
    device.sh("ip addr add 10.99.1.3/24 dev eth1; ip route add 10.99.1.1 dev eth1 src 10.99.1.2");
    Ok((collector, device))
}

/// Every rule there is, and the files they are loaded from; without counters and handles.
fn rules(host: &Host) -> String {
    host.sh(
        "nft -s list ruleset 2>/dev/null; for p in iptables ip6tables; do $p-save | grep -v '^#' | sed 's/\\[.*\\]//'; done
         cat /etc/nftables.conf /etc/iptables/rules.v4 /etc/iptables/rules.v6 /etc/ufw/user.rules /etc/ufw/user6.rules 2>/dev/null || true
         ! firewall-cmd -q --state 2>/dev/null || firewall-cmd --permanent --list-all-zones",
    )
}

/// Which events from an address arrive: over UDP, over TCP.
fn arrives(agent: &Agent<'_>, device: &Host, from: &str, n: usize) -> (bool, bool) {
    let from: IpAddr = from.parse().expect("an address");
    let to: SocketAddr = ([10, 99, 1, 1], 514).into();
    device.in_network(|| {
        let _ = UdpSocket::bind((from, 0)).and_then(|s| s.send_to(&numbered(n), to));
        let _ = connect(from, to).and_then(|mut s| s.write_all(&[numbered(n + 1), b"\n".to_vec()].concat()));
    });
    let sees = |n: usize| agent.sees(&format!("seq={n:09}"), Duration::from_secs(1));
    (sees(n), sees(n + 1))
}

fn connect(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), Duration::from_millis(400))?;
    Ok(socket.into())
}

fn opened(kind: &Kind, shut: &Shut) -> Result<()> {
    let (host, device) = hosts(kind, shut.packages)?;
    host.sh(shut.shut);
    let agent = Agent::start(&host)?;
    installed(&host);
    let before = rules(&host);
    ensure!(arrives(&agent, &device, "10.99.1.2", 10) == (false, false), "it is not shut: {before}");
    let report = host.cefctl(&["troubleshoot", "-o", "json"]);
    ensure!(report.json()?["root_cause"] == "firewall.inbound" && report.code == 1, "not found: {report}");
    ensure!(report.all().contains(shut.keeper), "{} is not named: {report}", shut.keeper);
    ensure!(rules(&host) == before, "the diagnosis changed rules");

    let open = |networks: &str| {
        let option = format!("--open-firewall{networks}");
        host.cefctl(&[&INSTALL[..], &[option.as_str()]].concat()).ok()
    };
    open("");
    ensure!(arrives(&agent, &device, "10.99.1.2", 20) == (true, true), "not open: {}", rules(&host));
    let report = host.cefctl(&["troubleshoot", "-o", "json"]).ok();
    ensure!(status(&report.json()?, "firewall.inbound") == "pass", "{report}");
    // Where senders go that count octets, with a syslog-ng that takes one framing a port.
    let counted = host.sh("ss -Hlnt 'sport = :601'");
    ensure!(counted.is_empty() || rules(&host).contains("601"), "601 is not open: {}", rules(&host));
    let again = open("");
    ensure!(again.all().contains("nothing to do"), "the second run does something: {again}");
    host.sh(shut.boot);
    ensure!(arrives(&agent, &device, "10.99.1.2", 30) == (true, true), "shut after a boot: {}", rules(&host));

    open("=10.99.1.3");
    ensure!(arrives(&agent, &device, "10.99.1.3", 40) == (true, true), "not open for one: {}", rules(&host));
    ensure!(arrives(&agent, &device, "10.99.1.2", 50) == (false, false), "open for others: {}", rules(&host));
    for (source, wanted) in [("10.99.1.3", "pass"), ("10.99.1.2", "fail")] {
        let report = host.cefctl(&["troubleshoot", "--only", "firewall.inbound", "--source", source, "-o", "json"]);
        ensure!(status(&report.json()?, "firewall.inbound") == wanted, "{source}: {report}");
    }
    installed(&host); // without the option nothing is closed
    ensure!(arrives(&agent, &device, "10.99.1.3", 60) == (true, true), "closed by an install without the option");

    host.cefctl(&["uninstall", "--yes"]).ok();
    let after = rules(&host);
    ensure!(after == before, "rules differ after uninstall:\n{before}\n--- after:\n{after}");
    Ok(())
}

/// `netfilter-persistent save` keeps our rules and throws our marks away.
fn rewritten(kind: &Kind) -> Result<()> {
    let (host, _device) = hosts(kind, SAVED_IPTABLES)?;
    host.sh(IPTABLES);
    let open = [&INSTALL[..], &["--open-firewall"]].concat();
    host.cefctl(&open).ok();
    host.sh("netfilter-persistent save 2>/dev/null");
    let again = host.cefctl(&open).ok();
    ensure!(again.all().contains("nothing to do"), "the second run does something: {again}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    let left = rules(&host);
    ensure!(!left.contains("514") && left.contains("203.0.113.0/24"), "something is left, or too much gone: {left}");
    Ok(())
}

fn no_loopback(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let _agent = Agent::start(&host)?;
    installed(&host);
    host.sh("nft add table inet hard; nft 'add chain inet hard out { type filter hook output priority 0; policy accept; }'
             nft add rule inet hard out oif lo tcp dport 25226 counter drop; systemctl restart rsyslog || systemctl restart syslog-ng");
    let report = host.cefctl(&["troubleshoot", "-o", "json"]);
    ensure!(report.json()?["root_cause"] == "firewall.loopback", "not found: {report}");
    ensure!(report.all().contains("nft insert rule inet hard out oif lo accept"), "no remedy: {report}");
    Ok(())
}

// ---------------------------------------------------------------------------------------------- against the kernel

/// Conditions and verdicts that random rules are put together from, in both languages.
const NFT: [&str; 16] = [
    "ip saddr 10.99.1.2",
    "ip saddr != 10.99.1.2",
    "ip saddr { 10.99.1.0/31, 10.99.1.3 }",
    "ip saddr @some",
    "iifname \"eth*\"",
    "iif lo",
    "udp dport 514",
    "tcp dport { 500-520, 6514 }",
    "meta l4proto { tcp, udp } th dport 514",
    "ct state new",
    "ct state established,related",
    "tcp flags & (fin|syn|rst|ack) == syn",
    "meta mark 7",
    "ip saddr . tcp dport { 10.99.1.3 . 514 }",
    "ip daddr 10.99.1.1",
    "fib daddr type local",
];
const NFT_DO: [&str; 9] = [
    "accept",
    "drop",
    "jump one",
    "goto one",
    "return",
    "meta mark set 7",
    "counter",
    "reject",
    "udp dport vmap { 514 : jump one, 600 : drop }",
];
const XT: [&str; 14] = [
    "-s 10.99.1.2",
    "! -s 10.99.1.2",
    "-s 10.99.1.2/31",
    "-i eth+",
    "-i lo",
    "-p udp --dport 514",
    "-p tcp --dport 500:520",
    "-p tcp -m multiport --dports 22,514",
    "-m conntrack --ctstate NEW",
    "-m state --state ESTABLISHED",
    "-p tcp --syn",
    "-m set --match-set some src",
    "-m mark --mark 0x7",
    "-m iprange --src-range 10.99.1.3-10.99.1.9",
];
const XT_DO: [&str; 7] = ["ACCEPT", "DROP", "one", "RETURN", "MARK --set-mark 7", "REJECT", "LOG"];

/// A small generator: the same rules every time, and no crate for it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

fn random_nft(dice: &mut Dice) -> String {
    let rule = |dice: &mut Dice, chain: &str| {
        let tests: Vec<&str> = (0..dice.roll(3)).map(|_| dice.of(&NFT)).collect();
        let verdict = loop {
            let verdict = dice.of(&NFT_DO);
            // Only one level of chains.
            if chain != "one" || !verdict.contains("one") {
                break verdict;
            }
        };
        format!("add rule inet t {chain} {} {verdict}\n", tests.join(" "))
    };
    let policy = dice.of(&["accept", "drop"]);
    let mut text = format!(
        "add table inet t\nadd set inet t some {{ type ipv4_addr; flags interval; elements = {{ 10.99.1.3, 192.0.2.0/24 }}; }}\n\
         add chain inet t one\nadd chain inet t in {{ type filter hook input priority 0; policy {policy}; }}\n\
         add chain inet t pre {{ type filter hook prerouting priority -150; policy accept; }}\n"
    );
    for _ in 0..1 + dice.roll(3) {
        text += &rule(dice, "one");
    }
    for _ in 0..dice.roll(2) {
        text += &rule(dice, "pre");
    }
    for _ in 0..1 + dice.roll(6) {
        text += &rule(dice, "in");
    }
    text
}

fn random_xt(dice: &mut Dice) -> String {
    let policy = dice.of(&["ACCEPT", "DROP"]);
    let mut text = format!("*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n:one - [0:0]\n");
    for (chain, most) in [("one", 3), ("INPUT", 6)] {
        for _ in 0..1 + dice.roll(most) {
            let verdict = loop {
                let verdict = dice.of(&XT_DO);
                // Marks are made in the table mangle only.
                if !verdict.starts_with("MARK") && (chain == "INPUT" || verdict != "one") {
                    break verdict;
                }
            };
            let (first, second) = (dice.of(&XT), dice.of(&XT));
            // Two tests on the same thing do not go into one rule.
            let same = |a: &str, b: &str| a.split(' ').any(|w| w.starts_with('-') && b.split(' ').any(|v| v == w));
            let tests =
                if dice.roll(2) == 0 || same(first, second) { first.to_owned() } else { format!("{first} {second}") };
            let goes = if verdict == "one" && dice.roll(3) == 0 { "-g" } else { "-j" };
            text += &format!("-A {chain} {tests} {goes} {verdict}\n");
        }
    }
    text + "COMMIT\n"
}

/// Rules of every kind are loaded, packets are sent, and what gets in is what was said.
fn kernel(kind: &Kind) -> Result<()> {
    let (host, device) = hosts(kind, FRONT_ENDS)?;
    host.sh("systemctl disable --now -q firewalld; systemctl stop rsyslog syslog-ng syslog.socket 2>/dev/null || true
             ipset create some hash:net; ipset add some 10.99.1.3; ipset add some 192.0.2.0/24");
    let (udp, tcp) = host.in_network(|| -> Result<_> {
        let udp = UdpSocket::bind("10.99.1.1:514")?;
        udp.set_read_timeout(Some(Duration::from_millis(60)))?;
        Ok((udp, TcpListener::bind("10.99.1.1:514")?))
    })?;
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut judged, mut let_in, mut unknown) = (0, 0, 0);
    for round in 0..60 {
        let native = round % 2 == 0;
        let text = if native { random_nft(&mut dice) } else { random_xt(&mut dice) };
        host.sh("nft flush ruleset");
        let load = if native { ["nft", "-f", "-"].as_slice() } else { &["iptables-restore"] };
        let loaded = host.exec_with_input(load, text.as_bytes());
        if loaded.code != 0 {
            continue; // two random tests that contradict each other
        }
        let rules = listed(&host).read();
        ensure!(rules.gaps.is_empty(), "{:?}", rules.gaps);
        let interfaces =
            [Interface { name: "eth1".into(), addresses: vec!["10.99.1.1".parse()?], ..Interface::default() }];
        let way = Way { interface: "eth1".into(), local: "10.99.1.1".parse()? };
        for from in ["10.99.1.2", "10.99.1.3"] {
            let from: IpAddr = from.parse()?;
            let said = |proto| port::inbound(&rules, &interfaces, &way, proto, 514, Some(&Span::one(number(from))));
            for proto in [UDP, TCP] {
                let said: Answer = said(proto);
                let gets_in = || match proto {
                    UDP => udp_gets_in(&device, &udp, from),
                    _ => tcp_gets_in(&device, &tcp, from),
                };
                // On a busy machine a packet may come too late; none that is dropped comes the next time.
                let tries = if said.verdict() == Verdict::Open { 4 } else { 1 };
                let did = (0..tries).any(|_| gets_in());
                match said.verdict() {
                    Verdict::Unknown => unknown += 1,
                    verdict => {
                        ensure!(
                            (verdict == Verdict::Open) == did,
                            "protocol {proto} from {from}: said {verdict:?}, but the kernel {}:\n{text}\n{:#?}",
                            if did { "lets it in" } else { "does not let it in" },
                            said.blocked
                        );
                        judged += 1;
                        let_in += usize::from(did);
                    }
                }
            }
        }
    }
    ensure!(judged > 120 && let_in > 20 && let_in < judged - 20, "{judged} judged, {let_in} let in");
    ensure!(unknown == 0, "{unknown} could not be judged");
    Ok(())
}

fn listed(host: &Host) -> Listings {
    let list = |argv: &[&str]| {
        let output = host.exec(argv).ok();
        Listing {
            command: argv.join(" "),
            output: Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            missing: false,
            on_nftables: false,
        }
    };
    Listings {
        nft: Some(list(&["nft", "-j", "list", "ruleset"])),
        iptables: vec![list(&["iptables-save"])],
        ip6tables: vec![list(&["ip6tables-save"])],
        ipset: Some(list(&["ipset", "save"])),
        nf_tables: true,
        ..Listings::default()
    }
}

/// Packets of an earlier try can come late, when the rules of that time are gone: each try says which one it is.
fn mark() -> [u8; 4] {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    TRIES.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

fn udp_gets_in(device: &Host, listener: &UdpSocket, from: IpAddr) -> bool {
    let mark = mark();
    device.in_network(|| {
        // A new socket each time: a new connection for the kernel.
        let _ = UdpSocket::bind((from, 0)).and_then(|s| s.send_to(&mark, "10.99.1.1:514"));
    });
    let mut got = [0; 4];
    while listener.recv(&mut got).is_ok() {
        if got == mark {
            return true;
        }
    }
    false
}

/// A connection that carries data: the packets after the first have to get in as well.
fn tcp_gets_in(device: &Host, listener: &TcpListener, from: IpAddr) -> bool {
    const WAIT: Duration = Duration::from_millis(120);
    let mark = mark();
    let _ = listener.set_nonblocking(true);
    let sent = device.in_network(|| {
        let stream = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
        stream.bind(&SocketAddr::from((from, 0)).into()).ok()?;
        stream.connect_timeout(&SocketAddr::from(([10, 99, 1, 1], 514)).into(), WAIT).ok()?;
        let mut stream = TcpStream::from(stream);
        stream.write_all(&mark).ok()?;
        Some(stream)
    });
    let end = Instant::now() + WAIT;
    while sent.is_some() && Instant::now() < end {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let _ = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(WAIT)));
        let mut got = [0; 4];
        if stream.read_exact(&mut got).is_ok() && got == mark {
            return true;
        }
    }
    false
}
