//! Real device messages through the daemon: every event once, nothing else, in a form the agent takes, and those it takes
//! as they are byte for byte. Our evaluator must have foretold each line.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use cefctl::syslog::syslogng::effective::Ref;

use crate::daemon::{MAIN, Tree, counted, loopback, port, send_tcp, send_udp, with_lf};
use crate::drop_in::Collector;
use crate::support::{Line, Outcome, accepted, load};
use crate::{Case, Kind};

pub const CASES: &[Case] = &[
    ("udp", |k| through(k, as_it_is, |c, l| send_udp(loopback(c.port), l))),
    ("udp6", |k| through(k, as_it_is, |c, l| send_udp(format!("[::1]:{}", c.port).parse().unwrap(), l))),
    ("tcp", |k| through(k, as_it_is, |c, l| send_tcp(loopback(c.port), l, with_lf))),
    ("tcp_counted", |k| through(k, as_it_is, |c, l| send_tcp(loopback(c.counted), l, counted))),
    // Senders that do both, on the port for lines: the length stays in front of the event.
    ("tcp_counted_with_line_ends", |k| {
        through(k, counted, |c, l| send_tcp(loopback(c.port), l, |line| with_lf(&counted(line))))
    }),
    ("rewritten_ids", rewritten_ids),
    ("original_rule", original_rule),
    ("reused_listeners", reused_listeners),
];

fn as_it_is(line: &[u8]) -> Vec<u8> {
    line.to_vec()
}

fn raw(lines: &[Line]) -> Vec<Vec<u8>> {
    lines.iter().map(|l| l.raw.clone()).collect()
}

fn clean(o: &Outcome) -> Result<()> {
    let clean = [&o.missing, &o.doubled, &o.touched, &o.refused, &o.strangers].iter().all(|list| list.is_empty());
    ensure!(clean, "{o}");
    Ok(())
}

/// `taken` is what the daemon takes for the event.
fn through(kind: Kind, taken: fn(&[u8]) -> Vec<u8>, send: fn(&Collector, &[Vec<u8>])) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (_daemon, agent) = collector.start()?;
    let lines = load();
    let events = lines.iter().filter(|l| l.forward).count();
    send(&collector, &raw(&lines));
    let arrived = agent.wait(events, Duration::from_secs(20));
    let outcome = Outcome::of(&lines, &arrived);
    println!("{} {outcome}", kind.version);
    clean(&outcome)?;
    ensure!(outcome.accepted >= 184, "{outcome}");
    let taken: Vec<Vec<u8>> = lines.iter().map(|l| taken(&l.raw)).collect();
    foretold(&collector, &taken, &arrived)
}

/// Every line that arrived is one that the evaluator says is sent, times of reception and senders aside.
fn foretold(collector: &Collector, lines: &[Vec<u8>], arrived: &[Vec<u8>]) -> Result<()> {
    let config = collector.tree.effective(MAIN);
    let source = Ref::Named("s_cefctl".into());
    let listeners = config.listeners();
    let listener = &listeners.iter().find(|l| l.source.name == Some("s_cefctl".into())).unwrap().listener;
    let mut sent = BTreeSet::new();
    for line in lines {
        let trace = config.trace(&config.event_at(listener, line), &source);
        let visits = trace.visits.iter().filter(|v| v.destination == Ref::Named("d_cefctl".into()));
        sent.extend(visits.filter_map(|v| v.lines[0].clone()).map(|l| comparable(&l.0)));
    }
    for line in arrived {
        ensure!(sent.contains(&comparable(line)), "not foretold: {}", String::from_utf8_lossy(line));
    }
    Ok(())
}

/// Without a time of reception, the sender's address, and carriage returns at the end, which TCP takes off.
fn comparable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    let text = text.replacen(" 127.0.0.1 ", " sender ", 1).replacen(" --1 ", " sender ", 1);
    let received = regex::Regex::new(r"^(<\d+>)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 ").unwrap();
    received.replace(&text, "${1}now ").into_owned()
}

fn rewritten_ids(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |w| w.rewrite_ids = true)?;
    let (_daemon, agent) = collector.start()?;
    let lines = load();
    send_udp(loopback(collector.port), &raw(&lines));
    let events: Vec<&Line> = lines.iter().filter(|l| l.forward).collect();
    let arrived = agent.wait(events.len(), Duration::from_secs(20));
    let wanted = events.iter().filter(|l| !l.beyond_rewriting()).count();
    ensure!(
        arrived.len() == events.len() && accepted(&arrived) == wanted,
        "{} arrived, {} of {wanted} accepted",
        arrived.len(),
        accepted(&arrived)
    );
    Ok(())
}

/// What the tool that this one replaces writes, for the figures: it must do worse.
fn original_rule(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let (listen, agent_port) = (port(), port());
    tree.write(
        MAIN,
        format!(
            "@version: {}\noptions {{ chain_hostnames(off); use_dns(no); use_fqdn(no); }};\nsource s_src {{ udp( port({listen})); tcp( port({listen}));}};\n\
             filter f_oms_filter {{match(\"CEF\\|ASA\" ) ;}};\ndestination oms_destination {{tcp(\"127.0.0.1\" port({agent_port}));}};\n\
             log {{source(s_src);filter(f_oms_filter);destination(oms_destination);}};\n",
            kind.version
        ),
    );
    let agent = crate::daemon::Agent::start(agent_port)?;
    let _daemon = tree.start(MAIN)?;
    let lines = load();
    for udp in [true, false] {
        let before = agent.lines().len();
        if udp {
            send_udp(loopback(listen), &raw(&lines))
        } else {
            send_tcp(loopback(listen), &raw(&lines), with_lf)
        }
        let arrived = agent.wait(before + 190, Duration::from_secs(20)).split_off(before);
        let outcome = Outcome::of(&lines, &arrived);
        println!(
            "{} original, {}: {} accepted, {} right host",
            kind.version,
            if udp { "UDP" } else { "TCP" },
            outcome.accepted,
            outcome.host_right
        );
        ensure!(outcome.accepted < 184 && outcome.host_right < 100, "{outcome}");
    }
    Ok(())
}

/// Ports that are open already stay as they are; their source feeds us, whatever it makes of the lines.
fn reused_listeners(kind: Kind) -> Result<()> {
    let figures = [
        ("flags(no-parse)", true, 184),
        ("flags(store-raw-message)", true, 184),
        ("keep-hostname(yes)", false, 175),
        ("", false, 175),
    ];
    for (options, whole, least) in figures {
        let tree = Tree::new(kind)?;
        let listen = port();
        let mut main = String::from_utf8(tree.read(MAIN))?;
        let net = format!(
            "source s_net {{ udp(port({listen}) {options}); tcp(port({listen}) {options}); }};\nlog {{ source(s_net); destination(d_syslog); }};\n"
        );
        let at = main.find("########################\n# Destinations").unwrap();
        main.insert_str(at, &net);
        tree.write(MAIN, main);
        let collector = Collector::on(tree, |w| w.port = listen)?;
        ensure!(collector.made.listeners.is_empty() && collector.made.reused.len() == 2, "{:?}", collector.made);
        let (_daemon, agent) = collector.start()?;
        let lines = load();
        send_udp(loopback(listen), &raw(&lines));
        let events = lines.iter().filter(|l| l.forward).count();
        let arrived = agent.wait(events, Duration::from_secs(20));
        let outcome = Outcome::of(&lines, &arrived);
        println!(
            "{} reused, {options}: {} delivered, {} accepted, {} right host, {} refused",
            kind.version,
            outcome.delivered,
            outcome.accepted,
            outcome.host_right,
            outcome.refused.len()
        );
        ensure!(outcome.accepted >= least && outcome.doubled.is_empty(), "{outcome}");
        if whole {
            clean(&outcome)?;
        }
    }
    Ok(())
}
