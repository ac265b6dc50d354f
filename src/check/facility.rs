//! Judgement on facilities and severities: what devices send against what the daemon passes on and what the agent's rules
//! ask for. An event that falls through here is refused by nobody and noticed by nobody.

use std::collections::BTreeMap;

use super::agents::dcr;
use super::case::Case;
use super::outcome::{Judged, NotJudged, Outcome};
use super::samples;
use super::{traffic, words};
use crate::agent::AgentKind;
use crate::agent::ama::rules::{Stream, SyslogSource, facility_word, level_word};
use crate::host::proc_net::Transport;

/// A daemon gives an event without a PRI this one: user.notice.
const WITHOUT: u8 = 13;
/// Lines of evidence.
const MOST: usize = 10;

/// Events of one kind, facility and severity, that came over one transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    is_cef: bool,
    facility: u8,
    severity: u8,
    transport: Option<Transport>,
}

/// What becomes of them. Worse ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Collected,
    /// The facility is collected, but only what is more severe.
    Level,
    /// As text in the table Syslog.
    Syslog,
    Facility,
    /// The daemon does not pass them on.
    Daemon,
}

impl End {
    fn text(self) -> &'static str {
        match self {
            End::Collected => "collected",
            End::Level => "not collected: no rule asks for this level",
            End::Syslog => "collected as plain Syslog only, not as security events",
            End::Facility => "not collected: no rule asks for this facility",
            End::Daemon => "not passed on: no rule of the daemon to the agent matches",
        }
    }
}

impl Seen {
    fn stream(&self) -> Stream {
        if self.is_cef { Stream::Cef } else { Stream::Asa }
    }

    /// `CEF of local4.Warning`
    fn text(&self) -> String {
        let kind = if self.is_cef { "CEF" } else { "ASA or FTD" };
        format!("{kind} of {}.{}", facility_word(self.facility), level_word(self.severity))
    }
}

pub fn facility(case: &Case<'_>) -> Judged {
    let seen = gather(traffic::messages(case)?);
    if seen.is_empty() {
        return Err(NotJudged::Skip("no security event was seen".into()));
    }
    let sources = match case.target.agent {
        AgentKind::Ama => Some(sources(case)?),
        AgentKind::Oms | AgentKind::None => None,
    };
    let mut ends: Vec<(Seen, u64, End)> = Vec::new();
    let mut unsure = None;
    for (one, count) in seen {
        match passes(case, &one)? {
            Some(false) => ends.push((one, count, End::Daemon)),
            passed => {
                if passed.is_none() {
                    unsure = Some(one);
                }
                let end = sources.as_ref().map_or(End::Collected, |all| collected(all, &one));
                ends.push((one, count, end));
            }
        }
    }
    ends.sort_by(|a, b| b.2.cmp(&a.2).then(b.1.cmp(&a.1)));
    let lost: Vec<_> = ends.iter().filter(|(.., end)| *end > End::Collected).collect();
    let total = |all: &[&(Seen, u64, End)]| all.iter().map(|(_, n, _)| *n).sum::<u64>();
    let Some((first, _, end)) = lost.first() else {
        if let Some(one) = unsure {
            return Err(NotJudged::Unknown(format!(
                "whether the daemon passes {} on hangs on what only it knows",
                one.text()
            )));
        }
        let by = if sources.is_some() { "asked for by the agent's rules" } else { "passed on to the agent" };
        return Ok(Outcome::pass(format!("{} of facility and severity, all {by}", words::count(ends.len(), "kind"))));
    };
    let count = words::count(usize::try_from(total(&lost)).unwrap_or(usize::MAX), "event");
    let text = format!("{} is {} ({count} in all)", first.text(), end.text());
    // A level that was left out was left out by somebody.
    let out = if *end == End::Level { Outcome::warn(text) } else { Outcome::fail(text) };
    let out = ends.iter().take(MOST).fold(out, |out, (one, n, end)| {
        let over = one.transport.map(|t| format!(" over {}", t.word())).unwrap_or_default();
        out.seen(format!("{}{over}", one.text()), format!("{n} seen, {}", end.text()))
    });
    Ok(match end {
        End::Daemon => out
            .advise("the daemon's rule must match whatever the facility: that of `cefctl install` does")
            .command(case.install_command()),
        _ => out.advise(format!(
            "in the portal add {} at {} to the data collection rule's security events ({}), or let the device send with a \
             facility and severity that it asks for",
            facility_word(first.facility),
            level_word(first.severity),
            first.stream().word(),
        )),
    })
}

/// All senders' events together.
fn gather(traffic: &crate::message::lint::live::Traffic) -> BTreeMap<Seen, u64> {
    let mut all = BTreeMap::new();
    for sender in &traffic.tally.senders {
        let transport = [Transport::Udp, Transport::Tcp].into_iter().find(|t| t.word() == sender.transport);
        for (word, count) in &sender.events {
            let Some((kind, pri)) = word.split_once(' ') else { continue };
            let pri: u8 = if pri == "none" { WITHOUT } else { pri.parse().unwrap_or(WITHOUT) };
            let one = Seen { is_cef: kind == "cef", facility: pri / 8, severity: pri % 8, transport };
            *all.entry(one).or_default() += count;
        }
    }
    all
}

/// Does the daemon pass such events on to the agent: yes, no, or not known?
fn passes(case: &Case<'_>, one: &Seen) -> Result<Option<bool>, NotJudged> {
    let flow = case.flow()?;
    let sample = samples::with_priority(one.is_cef, one.facility, one.severity);
    let entered =
        |e: &&super::flow::Entry| e.listener.as_ref().is_some_and(|l| one.transport.is_none_or(|t| l.transport == t));
    let mut answer = Some(true);
    for entry in flow.entries.iter().filter(entered) {
        match flow.arrives(&flow.config.way(sample, entry.listener.as_ref())) {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => answer = None,
        }
    }
    Ok(answer)
}

/// What the rules on the box ask for.
fn sources(case: &Case<'_>) -> Result<Vec<SyslogSource>, NotJudged> {
    let ama = super::agents::the_ama(case)?;
    let all = dcr::read(ama)?;
    let found: Vec<SyslogSource> =
        all.iter().filter_map(|r| r.rule.as_ref().ok()).flat_map(|r| r.syslog.iter().cloned()).collect();
    match (found.is_empty(), all.iter().any(|r| r.rule.is_err())) {
        (_, true) => Err(NotJudged::Blocked("ama.dcr-valid", "a rule cannot be read".into())),
        (true, _) => Err(NotJudged::Blocked("ama.dcr-present", "there is no rule that asks for syslog".into())),
        (false, _) => Ok(found),
    }
}

fn collected(sources: &[SyslogSource], one: &Seen) -> End {
    let (facility, severity) = (one.facility, one.severity);
    let wanted = || sources.iter().filter(|s| s.has(one.stream()));
    match () {
        _ if wanted().any(|s| s.takes(facility, severity)) => End::Collected,
        _ if sources.iter().any(|s| s.has(Stream::Syslog) && s.takes(facility, severity)) => End::Syslog,
        _ if wanted().any(|s| s.takes_facility(facility)) => End::Level,
        () => End::Facility,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ama::Chunk;
    use crate::agent::ama::rules::tests::{WS, rule};
    use crate::check::agents::boxes::{ama_box, oms_box};
    use crate::check::facts::{Facts, TrafficFacts};
    use crate::check::fixture::*;
    use crate::message::lint::frames::Framing;
    use crate::message::lint::lint;
    use crate::message::lint::live::Traffic;
    use crate::message::lint::tally::Arrival;
    use crate::report::Status;

    fn event(pri: &str) -> String {
        format!("{pri}Aug  1 10:00:00 fw1 CEF:0|V|P|1|id|name|5|src=10.0.0.1")
    }

    fn send(facts: &mut Facts, messages: &[String]) {
        let mut seen = Traffic { milliseconds: 1000, ..Traffic::default() };
        let now = Arrival { time: None, zone: jiff::tz::TimeZone::UTC };
        for message in messages {
            seen.tally.add("10.0.0.7", "udp", &lint(message.as_bytes(), Framing::Datagram), &now);
        }
        facts.traffic = Some(TrafficFacts { seen, dropped: Some(0), ..TrafficFacts::default() });
    }

    /// An AMA box with these rules on which these messages arrived.
    fn ama(rules: &[(&str, &[&str], &[&str])], messages: &[String]) -> Outcome {
        let mut facts = ama_box();
        let file = |(stream, facilities, levels): &(&str, &[&str], &[&str])| {
            Chunk::read("r.json", 0, Ok(rule(stream, facilities, levels, WS).as_bytes()))
        };
        facts.agent_states.ama.as_mut().unwrap().own.chunks = Some(Ok(rules.iter().map(file).collect()));
        send(&mut facts, messages);
        judge(facility, &facts)
    }

    const CEF: &str = "SECURITY_CEF_BLOB";
    const WARNING: &[&str] = &["Warning", "Error", "Critical", "Alert", "Emergency"];

    #[test]
    fn what_the_rules_of_the_azure_monitor_agent_ask_for() {
        let of = |pri: &str| ama(&[(CEF, &["local4"], WARNING)], &[event("<164>"), event(pri)]);
        assert_eq!(of("<164>").status, Status::Pass);
        let out = of("<166>");
        assert_eq!((out.status, out.summary.contains("CEF of local4.Info")), (Status::Warn, true), "{out:?}");
        let out = of("<188>");
        assert_eq!(out.status, Status::Fail);
        assert!(out.summary.contains("no rule asks for this facility (1 event in all)"), "{out:?}");
        assert!(out.advice.unwrap().summary.contains("add local7 at Warning"));
        assert_eq!(of("").status, Status::Fail, "user.notice");
        let both = ama(&[(CEF, &["local4"], WARNING), ("LINUX_SYSLOGS_BLOB", &["*"], &["*"])], &[event("<188>")]);
        assert!(both.status == Status::Fail && both.summary.contains("plain Syslog"), "{both:?}");
        assert_eq!(ama(&[], &[event("<164>")]).blocked_by, Some("ama.dcr-present"));
        let asa = "<164>Aug  1 10:00:00 fw1 %ASA-6-302013: Built".to_owned();
        assert_eq!(ama(&[(CEF, &["*"], &["*"])], std::slice::from_ref(&asa)).status, Status::Fail);
        assert_eq!(ama(&[("SECURITY_CISCO_ASA_BLOB", &["*"], &["*"])], &[asa]).status, Status::Pass);
    }

    #[test]
    fn what_the_daemon_passes_on() {
        let mut facts = oms_box();
        send(&mut facts, &[event("<164>"), event("<13>")]);
        assert_eq!(judge(facility, &facts).status, Status::Pass);
        // Somebody keeps one facility for himself.
        let text = with_files(&[("/etc/rsyslog.d/10-s.conf", "local3.* stop\n")]);
        facts.rsyslog.config = text.rsyslog.config;
        send(&mut facts, &[event("<164>"), event("<156>")]);
        let out = judge(facility, &facts);
        assert!(
            out.status == Status::Fail && out.summary.contains("CEF of local3.Warning is not passed on"),
            "{out:?}"
        );
    }

    #[test]
    fn without_security_events_there_is_nothing_to_judge() {
        let mut facts = healthy();
        assert_eq!(judge(facility, &facts).status, Status::Skip);
        send(&mut facts, &["<38>Aug  1 10:00:00 h sshd[1]: x".into()]);
        assert_eq!(judge(facility, &facts).status, Status::Skip);
    }
}
