//! Nothing is lost while the agent is away, not even when the daemon is restarted meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::install::installed;
use crate::{Case, Kind, send};

const RATE: usize = 1000;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("agent_away_for_30_s_daemon_restarted_in_between", agent_away),
        Case::new("agent_killed", agent_killed),
        Case::new("what_waited_when_the_collector_went_is_passed_on_by_the_next", went),
    ]
}

fn agent_away(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    installed(&host);
    agent.forget();
    let (sent, connects) = std::thread::scope(|s| -> Result<_> {
        let sender = s.spawn(|| send::steady(&host, send::loopback(514), RATE, Duration::from_secs(36)));
        std::thread::sleep(Duration::from_secs(3));
        agent.stop();
        std::thread::sleep(Duration::from_secs(15));
        host.sh(&format!("systemctl restart {}", kind.unit()));
        std::thread::sleep(Duration::from_secs(15));
        agent.resume()?;
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    ensure!(connects >= 1, "the sender never had to connect again: the restart was not seen");
    let lines = agent.lines_when(Duration::from_secs(25), |lines| lines.len() >= sent);
    let (lost, doubled) = count(sent, &lines);
    ensure!(lost.is_empty(), "{} of {sent} lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    // The sender repeats a tenth of a second; a batch that was under way may come once more.
    ensure!(doubled <= RATE / 4, "{doubled} of {sent} arrived more than once");
    Ok(())
}

/// What an agent had not read when it was killed is lost: nobody can know. That is a moment's worth, and what comes after
/// waits for the next agent.
fn agent_killed(kind: &Kind) -> Result<()> {
    let host = kind.boot()?;
    let agent = Agent::start(&host)?;
    installed(&host);
    agent.forget();
    let (sent, _) = std::thread::scope(|s| -> Result<_> {
        let sender = s.spawn(|| send::steady(&host, send::loopback(514), RATE, Duration::from_secs(8)));
        std::thread::sleep(Duration::from_secs(2));
        agent.kill();
        std::thread::sleep(Duration::from_secs(4));
        agent.resume()?;
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let lines = agent.lines_when(Duration::from_secs(25), |lines| lines.len() >= sent);
    let (lost, _) = count(sent, &lines);
    ensure!(lost.len() <= RATE / 10, "{} of {sent} lost, the first {:?}", lost.len(), &lost[..lost.len().min(20)]);
    Ok(())
}

/// Numbers that did not arrive, and how many arrived more than once.
/// An install that stood in for the agent would be given what waits for it, and lose it.
fn went(kind: &Kind) -> Result<()> {
    const COUNT: usize = 3000;
    let host = kind.boot()?;
    installed(&host);
    let lines: Vec<Vec<u8>> = (0..COUNT).map(send::numbered).collect();
    send::tcp_each(&host, send::loopback(514), &lines)?;
    for _ in 0..2 {
        let out = host.cefctl(&["uninstall", "--yes"]).ok();
        ensure!(out.all().contains("has not had yet"), "nothing is said of what waits: {out}");
        let out = installed(&host);
        ensure!(out.all().contains("no test event was sent"), "a stand-in was given what waits: {out}");
    }
    let agent = Agent::start(&host)?;
    let lines = agent.lines_when(Duration::from_secs(25), |lines| lines.len() >= COUNT);
    let (lost, doubled) = count(COUNT, &lines);
    ensure!(lost.is_empty() && doubled == 0, "{} of {COUNT} lost, {doubled} doubled", lost.len());
    let out = host.cefctl(&["uninstall", "--yes"]).ok();
    ensure!(!out.all().contains("has not had yet"), "nothing waits any more: {out}");
    Ok(())
}

fn count(sent: usize, lines: &[Vec<u8>]) -> (Vec<usize>, usize) {
    let mut seen: HashMap<usize, usize> = HashMap::new();
    for number in lines.iter().filter_map(|line| send::number_of(line)) {
        *seen.entry(number).or_default() += 1;
    }
    let lost = (0..sent).filter(|n| !seen.contains_key(n)).collect();
    (lost, seen.values().filter(|count| **count > 1).count())
}
