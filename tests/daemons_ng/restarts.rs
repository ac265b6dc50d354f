//! A steady stream of events, and meanwhile the daemon reloads and is restarted, with the agent there and without it:
//! nothing is lost. Senders are as good as TCP lets them be: they watch their connection and, when it ends, repeat the
//! last second, since TCP does not tell what the daemon had read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::daemon::{Agent, MAIN};
use crate::drop_in::Collector;
use crate::{Case, Kind, device};

pub const CASES: &[Case] = &[("nothing_is_lost", nothing_is_lost)];

/// Events a second.
const RATE: usize = 1000;

fn nothing_is_lost(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let (daemon, first) = collector.start()?;
    let stop = AtomicBool::new(false);
    let pause = || std::thread::sleep(Duration::from_secs(1));
    let (sent, arrived) = std::thread::scope(|scope| -> Result<_> {
        let sender = scope.spawn(|| device::steady_repeating(collector.port, RATE, RATE, 0, &stop));
        let through = (|| {
            pause();
            daemon.end(Signal::SIGTERM);
            let daemon = collector.tree.start(MAIN)?;
            pause();
            first.leave();
            pause();
            let reload = collector.tree.ctl(&["reload"]);
            ensure!(reload.status.success(), "{}", String::from_utf8_lossy(&reload.stdout));
            pause();
            daemon.end(Signal::SIGTERM);
            let daemon = collector.tree.start(MAIN)?;
            pause();
            Ok((daemon, Agent::start(collector.agent_port)?))
        })();
        pause();
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap_or_default();
        let (_daemon, second) = through?;
        let early = first.lines();
        let late = second.wait(sent.saturating_sub(early.len()), Duration::from_secs(20));
        Ok((sent, [early, late].concat()))
    })?;
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for number in arrived.iter().filter_map(|line| device::number(line)) {
        *seen.entry(number).or_default() += 1;
    }
    let lost = (0..sent).filter(|n| !seen.contains_key(n)).count();
    let doubled: usize = seen.values().map(|n| n - 1).sum();
    println!("{} {sent} sent, {lost} lost, {doubled} doubled", kind.version);
    // Two restarts, before which the sender repeats what it sent in the second before.
    ensure!(sent > 4 * RATE && lost == 0 && doubled <= 2 * RATE + 100, "{sent} sent, {lost} lost, {doubled} doubled");
    Ok(())
}
