//! Nothing is lost while the agent is away, not even when the daemon is restarted meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::install::installed;
use crate::{Case, Kind, send};

const RATE: usize = 1000;

pub fn cases() -> Vec<Case> {
    vec![Case::new("agent_away_for_30_s_daemon_restarted_in_between", agent_away)]
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
    let complete = |lines: &[Vec<u8>]| lines.len() >= sent;
    let lines = agent.lines_when(Duration::from_secs(25), complete);

    let mut seen: HashMap<usize, usize> = HashMap::new();
    for line in &lines {
        *seen.entry(send::number_of(line).unwrap_or(usize::MAX)).or_default() += 1;
    }
    let lost: Vec<usize> = (0..sent).filter(|n| !seen.contains_key(n)).collect();
    ensure!(lost.is_empty(), "{} of {sent} lost, the first {:?}", lost.len(), &lost[..lost.len().min(20)]);
    // The connection that broke may have taken some events along unread; they come once more, but no more than that.
    let doubled = seen.iter().filter(|(n, count)| **n != usize::MAX && **count > 1).count();
    ensure!(doubled <= sent / 100, "{doubled} of {sent} arrived more than once");
    Ok(())
}
