//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.
//!
//! [`troubleshoot`] looks at the machine and judges; [`diagnose`] judges facts that are already there, of this box or of
//! another one.

mod agent;
pub mod agent_facts;
mod agents;
mod bytes;
pub mod case;
pub mod catalogue;
mod clock;
mod cloud;
pub mod cloud_facts;
mod cloud_reach;
mod config;
mod config_ng;
mod config_rsyslog;
mod connected;
mod daemon;
mod damage;
mod facility;
pub mod facts;
mod firewall;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod fixture_ng;
mod flow;
mod forward;
pub mod gather;
mod generations;
mod host;
pub mod late;
mod limits;
mod listen;
mod loops;
mod near;
mod network;
#[cfg(test)]
mod ng_tests;
mod open_files;
pub mod outcome;
mod pieces;
mod pipeline;
mod ports;
mod probe;
mod probe_run;
mod promise;
mod routing;
mod run;
mod samples;
pub mod sandbox;
mod security;
pub mod select;
mod spool;
pub mod stats;
pub mod target;
mod traffic;
mod words;

use std::time::Duration;

use case::{Case, read_config};
use facts::{Facts, TrafficFacts};
use late::{Late, Part};
use select::Selection;
use target::{Door, Target, TargetOptions, agent_word};

use crate::host::proc_net::Transport;
use crate::host::{Clock, Host, Interrupt};
use crate::message::lint::live::{self, Traffic};
use crate::report::{CheckResult, HostInfo, Report, Status, TargetInfo, clean};

/// What a run was asked to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub target: TargetOptions,
    pub selection: Selection,
    /// Send no test event.
    pub no_probe: bool,
    /// How long to watch what devices send.
    pub watch: Option<Duration>,
    /// How long all of it may take, but for the watching; what is late then is unknown.
    pub limit: Option<Duration>,
}

/// What somebody who waits may want to know.
pub enum Progress<'a> {
    /// What there is without watching and test event.
    Looked(&'a Facts),
    Watching(&'a Traffic),
}

/// Looks at the machine, sends a test event where the way is free, judges. Changes nothing on the machine.
/// `tell` hears of what there is so far, and of the traffic while it is watched.
pub fn troubleshoot(
    host: &Host,
    stop: &Interrupt,
    options: &Options,
    tell: &mut dyn FnMut(Progress<'_>),
) -> (Facts, Report) {
    let start = host.clock.monotonic();
    let started = format!("{:.0}", host.clock.now());
    let depth = if asks_services(&options.selection) { gather::Depth::Diagnosis } else { gather::Depth::Local };
    // What is left then is for the test event.
    let looking = options.limit.map(|limit| limit - (limit / 5).min(AFTERWARDS));
    let mut facts = gather::gather(host, &options.target, depth, looking);
    let target = Target::resolve(&options.target, &facts);
    facts.no_probe = options.no_probe;
    tell(Progress::Looked(&facts));
    if let Some(limit) = options.watch.filter(|_| facts.host.live) {
        let ports = Case::new(&facts, &target, &read_config(&facts)).ports();
        watch(host, stop, &mut facts, &ports, limit, &mut |seen| tell(Progress::Watching(seen)));
    }
    if !options.no_probe && facts.host.live && !stop.is_set() {
        let spent = host.clock.monotonic().saturating_sub(start).saturating_sub(options.watch.unwrap_or_default());
        let left = options.limit.map(|limit| limit.saturating_sub(spent));
        probe(host, stop, &mut facts, &target, &options.selection, left);
    }
    let checks = diagnose(&facts, &target, &options.selection, &*host.clock);
    let time = host.clock.monotonic().saturating_sub(start);
    let report = report(&facts, &target, started, time, checks);
    (facts, report)
}

/// The most that is kept back of the time for what comes after the look.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// How long a connection may wait until it is taken.
const TO_ACCEPT: Duration = Duration::from_millis(300);

/// Does a check that is wanted rest on what the agent's services answer? The clock is one, but is no reason to ask them where
/// somebody left them out by name.
fn asks_services(selection: &Selection) -> bool {
    let ids = || catalogue::all().filter(|c| c.group() == "cloud").map(|c| c.id);
    ids().any(|id| selection.has(id)) || (selection.has("host.clock") && !ids().any(|id| selection.is_skipped(id)))
}

/// Watches what arrives, and what the kernel throws away meanwhile.
fn watch(
    host: &Host,
    stop: &Interrupt,
    facts: &mut Facts,
    ports: &[u16],
    limit: Duration,
    watching: &mut dyn FnMut(&Traffic),
) {
    let lost = |facts: &Facts| facts.net.as_ref().map(|net| net.lost.clone()).unwrap_or_default();
    let (before, lost_before) = (traffic::drops(facts, ports), lost(facts));
    let seen = live::watch(host, stop, ports, limit, watching);
    gather::sockets_again(host, facts, ports.first().copied().unwrap_or_default());
    let dropped = before.zip(traffic::drops(facts, ports)).map(|(before, after)| after.saturating_sub(before));
    let lost = lost(facts).since(&lost_before);
    facts.traffic = Some(TrafficFacts { seen, dropped, lost });
}

/// The report where the time was up before everything was done: what was seen until then is judged, and what was waited for
/// is said.
pub fn not_in_time(
    clock: &dyn Clock,
    options: &Options,
    facts: Option<Facts>,
    limit: Duration,
    running: Vec<String>,
) -> Report {
    let why = format!("did not end within {} s", limit.as_secs().max(1));
    let late = |part: Part| Late { part, why: why.clone(), running: running.clone() };
    let mut facts = match facts {
        Some(facts) => facts,
        // Nothing at all was seen.
        None => Facts { late: Part::ALL.map(late).into(), ..Facts::default() },
    };
    facts.late.push(late(Part::Probe));
    let target = Target::resolve(&options.target, &facts);
    let checks = diagnose(&facts, &target, &options.selection, clock);
    report(&facts, &target, format!("{:.0}", clock.now()), limit, checks)
}

/// Judges facts. Pure but for the clock that says how long each check took.
pub fn diagnose(facts: &Facts, target: &Target, selection: &Selection, clock: &dyn Clock) -> Vec<CheckResult> {
    let config = read_config(facts);
    run::run(&Case::new(facts, target, &config), selection, clock)
}

/// Puts the report together.
pub fn report(facts: &Facts, target: &Target, started: String, time: Duration, checks: Vec<CheckResult>) -> Report {
    let h = &facts.host;
    let os = h.os.as_ref().map_or_else(|_| "unknown".to_owned(), |os| os.pretty_name.clone());
    let host =
        HostInfo { hostname: clean(&h.hostname), os: clean(&os), kernel: clean(&h.kernel), arch: clean(&h.arch) };
    let mut ports = Case::new(facts, target, &read_config(facts)).ports();
    if ports.len() == 1 {
        ports.clear();
    }
    let target = TargetInfo {
        ports,
        tls_port: target.tls,
        workspace: target.workspace.clone(),
        cloud: target.cloud.clone(),
        agent: agent_word(target.agent).into(),
        agent_port: target.agent_port,
        daemon: target.daemon.word().into(),
        port: target.port,
    };
    let mut report = Report::new(host, target, started, time.as_millis().try_into().unwrap_or(u64::MAX), checks);
    report.traffic = facts.traffic.as_ref().map(|t| t.seen.clone());
    report
}

/// Sends the test events that are wanted and that no fault found so far holds up, and looks at the sockets again
/// afterwards: the daemon connects to the agent with the first event.
fn probe(
    host: &Host,
    stop: &Interrupt,
    facts: &mut Facts,
    target: &Target,
    selection: &Selection,
    left: Option<Duration>,
) {
    let configs = read_config(facts);
    let case = Case::new(facts, target, &configs);
    let aims = aims(&case, selection, &*host.clock);
    if aims.is_empty() {
        return;
    }
    let limit = probe_run::LIMIT.max(spool::until_retry(&case).unwrap_or_default());
    let limit = left.map_or(limit, |left| left.min(limit));
    let probed = probe_run::run(host, stop, &facts.host.hostname, &aims, target.agent_port, limit);
    (facts.probe, facts.tls_probe) = (probed.plain, probed.tls);
    gather::sockets_again(host, facts, target.port);
    if facts.probe.values().any(|p| p.arrived.is_none()) {
        gather::refusals_again(host, facts);
    }
    // A program that works takes a connection within milliseconds; one that still waits then is believed.
    if facts.net.as_ref().is_ok_and(|net| net.not_accepted(target.agent_port) > 0) {
        host.clock.sleep(TO_ACCEPT);
        gather::sockets_again(host, facts, target.port);
    }
}

fn aims(case: &Case<'_>, selection: &Selection, clock: &dyn Clock) -> Vec<probe_run::Aim> {
    let judged = run::run(case, selection, clock);
    // Without an event a probe that no fault holds up and that applies here stays unknown.
    let free = |id: &str| judged.iter().any(|c| c.id == id && c.status == Status::Unknown);
    let plain = |transport| Door { transport, port: case.target.port, tls: false };
    let over_tls = case.target.tls.map(|port| (Door { transport: Transport::Tcp, port, tls: true }, "probe.tcp"));
    [(plain(Transport::Udp), "probe.udp"), (plain(Transport::Tcp), "probe.tcp")]
        .into_iter()
        .chain(over_tls)
        .filter(|(_, id)| free(id))
        .filter_map(|(door, _)| {
            let port = ports::Port::of(case, door).ok().filter(|p| !p.tls || !p.listeners.is_empty())?;
            probe_run::aim(&port)
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::fixture::*;
    use super::*;
    use crate::host::SystemClock;

    /// Passed, or does not apply: a probe without an event, an agent on a box without one.
    pub fn is_good(check: &CheckResult) -> bool {
        let may_skip = ["probe", "agent", "ama", "cloud"].contains(&check.group.as_str()) && check.blocked_by.is_none();
        check.status == Status::Pass || (may_skip && check.status == Status::Skip)
    }

    fn aimed(facts: &Facts, selection: &Selection) -> Vec<String> {
        let target = Target::resolve(&TargetOptions::default(), facts);
        let configs = read_config(facts);
        let case = Case::new(facts, &target, &configs);
        aims(&case, selection, &SystemClock::default()).iter().map(|a| a.to.to_string()).collect()
    }

    #[test]
    fn events_are_sent_where_the_way_is_free_and_only_where_somebody_wants_them() {
        let mut facts = healthy();
        let all = Selection::default();
        assert_eq!(aimed(&facts, &all), ["127.0.0.1:514", "127.0.0.1:514"]);
        let only = |word: &str| Selection::new(&[word.into()], &[]).unwrap();
        assert_eq!(aimed(&facts, &only("probe.tcp")).len(), 1);
        assert_eq!(aimed(&facts, &only("listen")).len(), 0);
        close(&mut facts, Transport::Udp, |_| true);
        assert_eq!(aimed(&facts, &all).len(), 1);
        close(&mut facts, Transport::Tcp, |a| a.port() == 25226);
        assert_eq!(aimed(&facts, &all).len(), 0);
    }

    #[test]
    fn a_healthy_box_is_called_healthy_and_nothing_else() {
        let mut facts = healthy();
        facts.no_probe = true;
        let target = Target::resolve(&TargetOptions::default(), &facts);
        let checks = diagnose(&facts, &target, &Selection::default(), &SystemClock::default());
        let odd: Vec<_> = checks.iter().filter(|c| !is_good(c) && c.group != "traffic").collect();
        assert!(odd.is_empty(), "{odd:?}");
        let report = report(&facts, &target, String::new(), Duration::ZERO, checks);
        assert_eq!((report.verdict, report.root_cause), (crate::report::Verdict::Healthy, None));
    }

    #[test]
    fn facts_of_another_box_give_the_same_report() {
        let facts = with_files(&[("/etc/rsyslog.d/10-s.conf", "local4.* stop\n")]);
        let target = Target::resolve(&TargetOptions::default(), &facts);
        let of = |facts: &Facts| {
            let checks = diagnose(facts, &target, &Selection::default(), &SystemClock::default());
            checks.into_iter().map(|c| (c.id, c.status, c.summary, c.blocked_by)).collect::<Vec<_>>()
        };
        let back: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        assert_eq!(of(&back), of(&facts));
        assert!(of(&facts).iter().any(|(id, status, ..)| id == "listen.reachable" && *status == Status::Fail));
    }
}
