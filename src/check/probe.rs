//! Judgement on the marked events: did they arrive at the agent's port as they were sent?

use std::net::Ipv4Addr;

use super::agents::forward_config::over_tcp;
use super::case::Case;
use super::facts::ProbeFacts;
use super::outcome::{Judged, NotJudged, Outcome, both};
use super::pipeline::Listener;
use super::ports;
use super::probe_run::event_of;
use super::spool;
use super::stats;
use super::target::Door;
use super::words;
use crate::agent::AgentKind;
use crate::agent::accept::{self, Verdict};
use crate::host::proc_net::Transport;
use crate::report::Status;
use crate::syslog::rsyslog::senders::Senders;

pub fn udp(case: &Case<'_>) -> Judged {
    judge(case, Transport::Udp)
}

pub fn tcp(case: &Case<'_>) -> Judged {
    let Some(port) = case.target.tls else { return judge(case, Transport::Tcp) };
    let probe = case.facts.tls_probe.as_ref().map(|p| &p.probe);
    both(judge(case, Transport::Tcp), judged(case, Door { transport: Transport::Tcp, port, tls: true }, probe))
}

/// Did a test event come to the daemon's port and no further, while nothing else explains that?
pub fn lost_at_port(case: &Case<'_>, transport: Transport) -> bool {
    let at_port = case.facts.probe.get(&transport).is_some_and(ProbeFacts::lost_at_port);
    at_port && judge(case, transport).is_ok_and(|o| o.status == Status::Fail)
}

fn judge(case: &Case<'_>, transport: Transport) -> Judged {
    let door = Door { transport, port: case.target.port, tls: false };
    judged(case, door, case.facts.probe.get(&transport))
}

fn judged(case: &Case<'_>, door: Door, probe: Option<&ProbeFacts>) -> Judged {
    over_tcp(case)?;
    let listeners = case.listeners()?;
    let word = door.word();
    if ports::behind(listeners, door).is_empty() {
        return Err(NotJudged::Skip(format!("nothing is configured to take {word}")));
    }
    if let Some(senders) = shut_out(listeners, door) {
        let why = format!("the daemon takes {word} events of {} only, and not of this box", senders.display());
        return Err(NotJudged::Skip(why));
    }
    let Some(probe) = probe else { return Err(not_sent(case)) };
    let sent = |out: Outcome| out.seen(format!("sent over {word} to {}", probe.to), &probe.sent.0);
    if let Some(error) = &probe.send_error {
        let out = Outcome::fail(format!("the test event could not be sent to {}: {error}", probe.to));
        return Ok(advise(case, sent(out)));
    }
    if let Some(why) = &probe.blind {
        return Ok(sent(Outcome::unknown(format!(
            "a test event was sent, but its arrival could not be watched: {why}"
        ))));
    }
    let Some(arrived) = &probe.arrived else { return Ok(lost(case, probe, sent)) };
    let by = if door.tls { " over tls" } else { "" };
    let out = match change(case, &probe.sent.0, &arrived.0) {
        None => Outcome::pass(format!(
            "the test event{by} arrived at port {} after {} ms",
            case.target.agent_port, probe.took_ms
        )),
        Some(what) => Outcome::fail(format!("the test event arrived, but {what}"))
            .advise("look for a template that changes the event, or write the current rule")
            .command(case.install_command())
            .fixable(),
    };
    Ok(sent(out).seen(format!("arrived at port {}", case.target.agent_port), &arrived.0))
}

/// The list of senders that this box is not on.
fn shut_out(listeners: &[Listener], door: Door) -> Option<&Senders> {
    let listener = ports::winner(&ports::behind(listeners, door), door.transport)?;
    listener.senders.as_ref().filter(|s| s.admits(Ipv4Addr::LOCALHOST.into()) == Some(false))
}

fn not_sent(case: &Case<'_>) -> NotJudged {
    match () {
        _ if case.facts.no_probe => NotJudged::Skip("left out, as asked for".into()),
        _ if !case.facts.host.live => NotJudged::Skip("these are the files of an image that does not run".into()),
        _ => NotJudged::Unknown("no test event was sent: the daemon's listener could not be seen".into()),
    }
}

fn lost(case: &Case<'_>, probe: &ProbeFacts, sent: impl Fn(Outcome) -> Outcome) -> Outcome {
    let waited = format!("within {} ms", probe.took_ms);
    let waiting = case.flow().map(|flow| spool::waiting(case, flow)).unwrap_or_default();
    if let Some(waiting) = waiting.shown() {
        let out = Outcome::warn(format!("the test event did not arrive {waited}: {waiting} before it"));
        return sent(out).advise("wait until the queue has drained, then run the check again");
    }
    // Less patience than the daemon has: it may only be waiting for its next try.
    let retry = spool::until_retry(case).and_then(|_| case.flow().ok()?.good_carriers().first()?.retry);
    if let Some(seconds) = retry.filter(|s| s * 1000 > probe.took_ms) {
        let text = format!(
            "the test event did not arrive {waited}: the daemon is not connected to the agent and tries again every {seconds} s"
        );
        return sent(Outcome::warn(text)).advise("run the check again after that time");
    }
    if probe.seen_at_listener != Some(false)
        && let Some((place, target, events)) = held_up(case)
    {
        let text = format!(
            "the test event did not arrive {waited}: the daemon's source stands still, since {events} events wait for \
             {target}, which takes none"
        );
        return sent(Outcome::fail(text))
            .seen(place, format!("flags(flow-control): its sources wait for {target}"))
            .advise(format!("see that {target} takes events again, or take flow-control out of that log path"))
            .command(case.load_command());
    }
    let hop = match probe.seen_at_listener {
        Some(true) => "it reached the daemon's port, and the daemon did not pass it on",
        Some(false) => "it was not even seen on its way to the daemon's port",
        None => "where it was lost could not be seen",
    };
    advise(case, sent(Outcome::fail(format!("the test event did not arrive {waited}: {hop}"))))
        .seen_all(case.last_lines(3))
}

/// Somebody's forward that the listeners stand still for, and the events that wait for it.
fn held_up(case: &Case<'_>) -> Option<(String, String, u64)> {
    let flow = case.flow().ok()?;
    let counters = case.facts.syslog_ng_says.stats.as_ref().ok()?;
    let to_agent: Vec<usize> = flow.to_agent().map(|f| f.id).collect();
    let listeners = flow.entries.iter().filter_map(|e| e.listener.as_ref());
    let found = listeners.flat_map(|l| flow.config.holding_up(l, &to_agent));
    let waiting = found.map(|(at, target, port)| {
        let events = stats::queued(&counters.0, &target, port);
        (at.to_string(), port.map_or_else(|| target.clone(), |port| format!("{target}:{port}")), events)
    });
    waiting.max_by_key(|(.., events)| *events).filter(|(.., events)| *events > 0)
}

fn advise(case: &Case<'_>, out: Outcome) -> Outcome {
    out.advise("look at what the daemon says, and restart it")
        .command(format!("journalctl -u {} -n 20", case.unit_name()))
        .command(format!("sudo systemctl restart {}", case.unit_name()))
}

/// What became of the event on its way, if not everything is as it was.
fn change(case: &Case<'_>, sent: &[u8], arrived: &[u8]) -> Option<String> {
    if case.target.agent == AgentKind::Ama {
        // The agent's own template puts a blank behind the tag `CEF:` (facts 3.3), and the agent takes it so.
        let joined = String::from_utf8_lossy(arrived).replacen("CEF: 0|", "CEF:0|", 1);
        return (event_of(sent) != event_of(joined.as_bytes())).then(|| "its text was changed on the way".to_owned());
    }
    if event_of(sent) != event_of(arrived) {
        return Some("its text was changed on the way".into());
    }
    match accept::judge(arrived) {
        Verdict::Accepted(_) => None,
        Verdict::Dropped(refusal) => Some(format!("the agent would drop it: {}", refusal.reason.text())),
        Verdict::Damaged(_, damage) => {
            let texts: Vec<&str> = damage.iter().map(|d| d.text()).collect();
            Some(format!("the agent would damage it: {}", words::list(&texts)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::facts::{Bytes, Facts, SizedFile};
    use crate::check::fixture;
    use crate::check::target::Target;
    use crate::report::Status;

    const LINE: &[u8] = b"<164>Aug  1 10:00:00 c1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Self test|1|msg=cefctl-1";

    fn facts(change: impl FnOnce(&mut ProbeFacts)) -> Facts {
        let mut probe = ProbeFacts {
            sent: Bytes(LINE.to_vec()),
            to: "127.0.0.1:514".into(),
            send_error: None,
            blind: None,
            seen_at_listener: Some(true),
            arrived: Some(Bytes(LINE.to_vec())),
            took_ms: 12,
        };
        change(&mut probe);
        let mut facts = fixture::healthy();
        facts.probe.insert(Transport::Udp, probe);
        facts
    }

    fn of(change: impl FnOnce(&mut ProbeFacts)) -> (Status, String) {
        let o = fixture::judge(udp, &facts(change));
        (o.status, o.summary)
    }

    #[test]
    fn arrived_as_sent() {
        assert_eq!(of(|_| ()), (Status::Pass, "the test event arrived at port 25226 after 12 ms".into()));
        // A rebuilt header is all right, as long as the agent takes it.
        let other: Vec<u8> =
            String::from_utf8_lossy(LINE).replace("Aug  1 10:00:00 c1", "2026-08-01T10:00:00.000+00:00 c2").into();
        assert_eq!(of(|p| p.arrived = Some(Bytes(other))).0, Status::Pass);
    }

    #[test]
    fn changed_on_the_way() {
        let text = String::from_utf8_lossy(LINE).into_owned();
        let with = |text: String| of(|p| p.arrived = Some(Bytes(text.into_bytes())));
        let (status, summary) = with(text.replace("CEF:0", "CEF: 0"));
        assert_eq!(status, Status::Fail);
        assert!(summary.contains("text was changed"), "{summary}");
        let (status, summary) = with(text.replace("<164>", ""));
        assert_eq!(status, Status::Fail);
        assert!(summary.contains("would drop it"), "{summary}");
    }

    #[test]
    fn the_blank_of_amas_own_template_is_no_change() {
        let ama = Target { agent: AgentKind::Ama, ..Target::default() };
        let status = |arrived: String| {
            let facts = facts(|p| p.arrived = Some(Bytes(arrived.into_bytes())));
            fixture::judge_for(udp, &facts, &ama).status
        };
        let text = String::from_utf8_lossy(LINE).into_owned();
        assert_eq!(status(text.replace("CEF:0", "CEF: 0")), Status::Pass);
        assert_eq!(status(text.replace("Self test", "Self")), Status::Fail);
    }

    #[test]
    fn lost_on_the_way_names_the_last_hop() {
        let lost = |seen| of(|p| (p.arrived, p.seen_at_listener, p.took_ms) = (None, seen, 1000));
        assert_eq!(lost(Some(true)).0, Status::Fail);
        assert!(lost(Some(true)).1.contains("the daemon did not pass it on"));
        assert!(lost(Some(false)).1.contains("not even seen"));
        assert!(lost(None).1.contains("could not be seen"));
        assert_eq!(of(|p| p.send_error = Some("refused".into())).0, Status::Fail);
        assert_eq!(of(|p| p.blind = Some("no permission".into())).0, Status::Unknown);
    }

    #[test]
    fn events_that_wait_before_it_make_it_late() {
        let mut facts = facts(|p| p.arrived = None);
        let file = SizedFile { path: "/var/spool/rsyslog/cef_fwd.00000001".into(), size: 5 << 20 };
        facts.rsyslog.spools[0].files = Ok(vec![file]);
        assert_eq!(fixture::judge(udp, &facts).status, Status::Warn);
    }

    #[test]
    fn not_sent_or_nothing_to_send_to() {
        let mut facts = facts(|_| ());
        assert_eq!(fixture::judge(tcp, &facts).status, Status::Unknown);
        facts.no_probe = true;
        assert_eq!(fixture::judge(tcp, &facts).status, Status::Skip);
        let facts = fixture::with_drop_in("module(load=\"imudp\")\n");
        assert!(fixture::judge(udp, &facts).summary.contains("nothing is configured"));
    }
}
