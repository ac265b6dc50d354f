//! Real device messages through the daemon, each alone: every event once, nothing else, in a form the agent reads rightly,
//! and those it does as they are byte for byte. Our evaluator must have foretold each line. The figures are those of
//! docs/syslog-ng.md.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use cefctl::syslog::syslogng::effective::Ref;

use crate::corpus::{self, Line};
use crate::daemon::{Agent, MAIN, Tree, counted, loopback, port, send_tcp, send_udp, wait, with_lf};
use crate::drop_in::Collector;
use crate::judged::Figures;
use crate::{Case, Kind, device};

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

/// The five wrong hosts are IPv6 addresses.
const ALL: Figures = Figures {
    delivered: 212,
    accepted: 184,
    intact: 184,
    host: 179,
    time: (48, 48),
    foreign: 0,
    doubled: 0,
    touched: 0,
};

fn as_it_is(line: &[u8]) -> Vec<u8> {
    line.to_vec()
}

/// Sends every line, each followed by a numbered event that shows when the daemon is through with it. Gives the figures
/// and what arrived.
fn measure(agent: &Agent, rewritten: bool, send: impl Fn(&[Vec<u8>])) -> Result<(Figures, Vec<Vec<u8>>)> {
    let (mut figures, mut all) = (Figures::default(), Vec::new());
    for (number, line) in corpus::load().iter().enumerate() {
        let before = agent.lines().len();
        send(&[line.raw.clone(), device::event(number)]);
        let arrived = wait(Duration::from_secs(10), || {
            let lines = agent.lines();
            (lines.last().and_then(|l| device::number(l)) == Some(number)).then(|| lines[before..].to_vec())
        });
        let mut arrived = arrived.with_context(|| format!("{}: nothing arrives any more", line.id))?;
        arrived.pop();
        figures.add(line, &arrived, rewritten);
        all.extend(arrived);
    }
    Ok((figures, all))
}

/// `taken` is what the daemon takes for the event.
fn through(kind: Kind, taken: fn(&[u8]) -> Vec<u8>, send: fn(&Collector, &[Vec<u8>])) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (_daemon, agent) = collector.start()?;
    let (figures, arrived) = measure(&agent, false, |lines| send(&collector, lines))?;
    ensure!(figures == ALL, "{figures:?}");
    let lines: Vec<Line> = corpus::load();
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

/// With ids rewritten the agent takes all but the one event that misleads its pattern by its own text.
fn rewritten_ids(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |w| w.rewrite_ids = true)?;
    let (_daemon, agent) = collector.start()?;
    let (figures, _) = measure(&agent, true, |lines| send_udp(loopback(collector.port), lines))?;
    ensure!(figures == Figures { accepted: 211, intact: 211, host: 206, time: (56, 56), ..ALL }, "{figures:?}");
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
    let agent = Agent::start(agent_port)?;
    let _daemon = tree.start(MAIN)?;
    for udp in [true, false] {
        let (figures, _) = measure(&agent, false, |lines| match udp {
            true => send_udp(loopback(listen), lines),
            false => send_tcp(loopback(listen), lines, with_lf),
        })?;
        println!("{} original rule: {figures:?}", kind.version);
        ensure!(figures.accepted < ALL.accepted && figures.host < 100 && figures.touched > 50, "{figures:?}");
    }
    Ok(())
}

/// Ports that are open already stay as they are; their source feeds us, whatever it makes of the lines.
fn reused_listeners(kind: Kind) -> Result<()> {
    // Where the source has taken the line apart, it is put together again as well as can be. The hosts it has lost
    // are those it could not make out, or, without keep-hostname(yes), all of them.
    let whole = ["flags(no-parse)", "flags(store-raw-message)"].map(|options| (options, ALL.accepted, ALL.host));
    for (options, accepted, host) in whole.into_iter().chain([("keep-hostname(yes)", 184, 166), ("", 181, 54)]) {
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
        let (figures, _) = measure(&agent, false, |lines| send_udp(loopback(listen), lines))?;
        println!("{} reused, {options}: {figures:?}", kind.version);
        ensure!(figures.accepted >= accepted && figures.host >= host, "{options} {figures:?}");
        ensure!(figures.foreign == 0 && figures.doubled == 0, "{options} {figures:?}");
        ensure!(accepted < ALL.accepted || !options.contains("flags") || figures == ALL, "{options} {figures:?}");
    }
    Ok(())
}
