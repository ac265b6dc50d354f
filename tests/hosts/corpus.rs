//! Real device messages through a booted collector: every event once, nothing else, in a form the agent takes.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::host::Host;
use crate::install::INSTALL;
use crate::support::{Line, Outcome, accepted, load};
use crate::{Case, Kind, send};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("over_udp", |kind| through(kind, &[], Transport::Udp, |_| true)),
        Case::new("over_udp_to_ipv6", |kind| through(kind, &[], Transport::Udp6, |_| true)),
        // Lines that start with a digit are read as an octet count: documented, and the next test is the way out.
        Case::new("over_tcp", |kind| through(kind, &[], Transport::Tcp, |l| !l.looks_counted())),
        Case::new("over_tcp_without_octet_counting", |kind| {
            through(kind, &["--no-octet-counting"], Transport::Tcp, |_| true)
        }),
        Case::new("over_tcp_octet_counted", |kind| through(kind, &[], Transport::Counted, |_| true)),
        Case::new("through_a_listener_that_was_there", through_default_ruleset),
        Case::new("rewritten_where_nothing_else_helps", rewritten),
    ]
}

#[derive(Clone, Copy)]
enum Transport {
    Udp,
    Udp6,
    Tcp,
    Counted,
}

fn send_all(kind: &Kind, host: &Host, transport: Transport, lines: &[Line]) -> Result<()> {
    let raw: Vec<Vec<u8>> = lines.iter().map(|l| l.raw.clone()).collect();
    let gap = Duration::from_millis(1);
    match transport {
        Transport::Udp => send::udp(host, send::loopback(514), &raw, gap),
        Transport::Udp6 => send::udp(host, "[::1]:514".parse()?, &raw, gap),
        Transport::Tcp => send::tcp_each(host, send::loopback(514), &raw),
        // No version of syslog-ng that Debian ships takes both framings on one port.
        Transport::Counted => {
            let port = if kind.daemon == "syslog-ng" { 601 } else { 514 };
            send::tcp_counted(host, send::loopback(port), &raw)
        }
    }
}

/// Installs, sends the lines of the corpus that `which` takes, and gives both what was sent and what arrived.
fn sent_and_arrived(
    kind: &Kind,
    options: &[&str],
    before: fn(&Host, &Kind),
    transport: Transport,
    which: fn(&Line) -> bool,
) -> Result<(Vec<Line>, Vec<Vec<u8>>)> {
    let host = kind.boot()?;
    before(&host, kind);
    host.cefctl(&[&INSTALL[..], options].concat()).ok();
    let agent = Agent::start(&host)?;
    let lines: Vec<Line> = load().into_iter().filter(which).collect();
    send_all(kind, &host, transport, &lines)?;
    let events = lines.iter().filter(|l| l.forward).count();
    // Longer than the daemon may wait before it tries an agent again that was not there at the start.
    let mut arrived = agent.lines_when(Duration::from_secs(35), |lines| lines.len() >= events);
    // The marked messages of install itself may have waited for the agent too.
    arrived.retain(|l| !crate::agent::contains(l, b"TestCommonEventFormat"));
    Ok((lines, arrived))
}

/// What must hold whatever the way: nothing lost, doubled, altered, refused for its header; nothing else sent on.
fn check(o: &Outcome) -> Result<()> {
    let clean = [&o.missing, &o.doubled, &o.touched, &o.refused, &o.strangers].iter().all(|list| list.is_empty());
    ensure!(clean, "{o}");
    Ok(())
}

fn through(kind: &Kind, options: &[&str], transport: Transport, which: fn(&Line) -> bool) -> Result<()> {
    let (sent, arrived) = sent_and_arrived(kind, options, |_, _| {}, transport, which)?;
    check(&Outcome::of(&sent, &arrived))
}

fn through_default_ruleset(kind: &Kind) -> Result<()> {
    let (sent, arrived) = sent_and_arrived(kind, &[], crate::coexist::open_514, Transport::Udp, |_| true)?;
    check(&Outcome::of(&sent, &arrived))
}

/// With ids rewritten on request hardly anything is left that the agent refuses.
fn rewritten(kind: &Kind) -> Result<()> {
    let (sent, arrived) = sent_and_arrived(kind, &["--rewrite-ids"], |_, _| {}, Transport::Udp, |_| true)?;
    let events: Vec<&Line> = sent.iter().filter(|l| l.forward).collect();
    let wanted = events.iter().filter(|l| !l.beyond_rewriting()).count();
    let hopeless = events.iter().filter(|l| l.hopeless()).count();
    ensure!(events.len() - wanted < hopeless / 4, "the corpus has too few events that rewriting can save");
    ensure!(arrived.len() == events.len(), "{} of {} events arrived", arrived.len(), events.len());
    ensure!(accepted(&arrived) >= wanted, "{} accepted of {wanted}", accepted(&arrived));
    Ok(())
}
