//! Judgement on the box's clock. The services of both agents refuse a machine that is off by more than a quarter of an hour
//! (facts 1.4), and every event carries a time.

use super::case::Case;
use super::outcome::{Judged, NotJudged, Outcome};
use super::words;
use crate::host::dial::Distrust;

/// 1 January 2024: no box that runs this program lives earlier.
const EARLIEST: i64 = 1_704_067_200;
/// Seconds that a service refuses, and seconds that spoil the order of events.
const REFUSED: f64 = 900.0;
const OFF: f64 = 5.0;
/// Seconds by which a service's answer may differ: it has whole ones, and takes its time.
const FAR: f64 = 30.0;

pub fn synchronized(case: &Case<'_>) -> Judged {
    let (host, clock) = (&case.facts.host, &case.facts.clock);
    if !host.live {
        return Err(NotJudged::Skip("these are the files of an image that does not run".into()));
    }
    let mend = |out: Outcome| {
        let out = out.seen_all(clock.said.iter().map(|(command, text)| (command.as_str(), text.as_str())));
        let out = out.seen(
            "time services that run",
            if clock.services.is_empty() { "none".into() } else { clock.services.join(", ") },
        );
        out.advise("let a time service set the clock, and look whether it reaches its servers (UDP 123)")
            .command("sudo timedatectl set-ntp true")
            .command("timedatectl; chronyc sources")
    };
    if let Some(now) = clock.now.filter(|now| *now < EARLIEST) {
        let now = jiff::Timestamp::from_second(now).map(|t| t.to_string()).unwrap_or_default();
        return Ok(mend(Outcome::fail(format!("the clock is wrong: it says {now}")).seen("clock", now)));
    }
    if let Some((skew, host)) = skew(case).filter(|(s, _)| (*s as f64).abs() >= FAR) {
        let (off, way) = (skew.unsigned_abs(), if skew > 0 { "ahead of" } else { "behind" });
        let off = words::count(usize::try_from(off).unwrap_or(usize::MAX), "second");
        let text = format!("the clock is {off} {way} the agent's service");
        let out = match is_refused(case) {
            true => Outcome::fail(format!("{text}, which refuses more than 15 minutes")),
            false => Outcome::warn(text),
        };
        return Ok(mend(out.seen(host, "the time that it answered with")));
    }
    if let Some(offset) = clock.offset.filter(|o| o.abs() >= OFF) {
        let text = format!("the clock is {:.0} seconds off", offset.abs());
        return Ok(mend(if offset.abs() >= REFUSED {
            Outcome::fail(format!("{text}: the agent's service refuses this box"))
        } else {
            Outcome::warn(text)
        }));
    }
    match (clock.synchronized, clock.enabled, &host.container) {
        (Some(true), ..) => Ok(Outcome::pass(match clock.services.as_slice() {
            [] => "the clock is set by a time source".to_owned(),
            some => format!("the clock is set by {}", some.join(", ")),
        })),
        // A container has the clock of its host, and no service of its own to set it.
        (_, enabled, Some(container)) if enabled != Some(true) && clock.services.is_empty() => {
            Err(NotJudged::Skip(format!("the clock belongs to the machine that this container ({container}) runs on")))
        }
        (Some(false), Some(true), _) => {
            Ok(mend(Outcome::warn("a time service is switched on, but has not set the clock")))
        }
        (Some(false), ..) => Ok(mend(Outcome::warn("nothing sets the clock of this box: it will drift"))),
        (None, ..) if !clock.services.is_empty() => Err(NotJudged::Unknown(format!(
            "{} runs, but whether it has set the clock is not said",
            clock.services.join(", ")
        ))),
        (None, ..) => {
            Err(NotJudged::Unknown("neither timedatectl nor chronyc nor ntpq tells whether the clock is set".into()))
        }
    }
}

/// Seconds that this box is ahead of a service, and which; only one whose certificate is in order but for its time.
pub fn skew<'a>(case: &'a Case<'_>) -> Option<(i64, &'a str)> {
    let tries = case.facts.cloud.as_ref().ok()?.ways.iter().flat_map(|w| &w.tries);
    let seen = tries.filter_map(|t| {
        let tls = t.seen.tls.as_ref()?.as_ref().ok()?;
        let http = t.seen.http.as_ref()?.as_ref().ok()?;
        matches!(tls.distrust, None | Some(Distrust::Time)).then_some(())?;
        Some((http.at.saturating_sub(http.date?), t.endpoint.host.as_str()))
    });
    // One wrong clock among services does not make this one wrong.
    seen.min_by_key(|(skew, _)| skew.unsigned_abs())
}

/// Is the clock so far off that the agent's services refuse this box?
pub fn is_refused(case: &Case<'_>) -> bool {
    skew(case).is_some_and(|(s, _)| s.unsigned_abs() as f64 >= REFUSED)
        || case.facts.clock.now.is_some_and(|now| now < EARLIEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::agent_facts::ClockFacts;
    use crate::check::fixture::*;
    use crate::report::Status;

    fn of(change: impl FnOnce(&mut ClockFacts), container: bool) -> Outcome {
        let mut facts = healthy();
        facts.clock = ClockFacts { now: Some(EARLIEST + 1), ..ClockFacts::default() };
        facts.host.container = container.then(|| "lxc".into());
        change(&mut facts.clock);
        judge(synchronized, &facts)
    }

    #[test]
    fn every_state_of_the_clock() {
        assert_eq!(of(|c| c.synchronized = Some(true), false).status, Status::Pass);
        assert_eq!(of(|c| c.synchronized = Some(false), false).status, Status::Warn);
        assert_eq!(of(|c| (c.synchronized, c.enabled) = (Some(false), Some(true)), true).status, Status::Warn);
        assert_eq!(of(|c| c.synchronized = Some(false), true).status, Status::Skip);
        assert_eq!(
            of(|c| (c.synchronized, c.services) = (Some(false), vec!["chronyd.service".into()]), true).status,
            Status::Warn
        );
        assert_eq!(of(|_| {}, false).status, Status::Unknown);
        assert_eq!(of(|c| c.services = vec!["ntp.service".into()], false).status, Status::Unknown);
        assert_eq!(of(|c| (c.synchronized, c.offset) = (Some(true), Some(-1000.0)), false).status, Status::Fail);
        assert_eq!(of(|c| (c.synchronized, c.offset) = (Some(true), Some(10.0)), false).status, Status::Warn);
        assert_eq!(of(|c| (c.synchronized, c.offset) = (Some(true), Some(0.01)), false).status, Status::Pass);
    }

    #[test]
    fn a_clock_of_long_ago_is_wrong_whatever_says_otherwise() {
        let mut facts = healthy();
        facts.clock.synchronized = Some(true);
        facts.clock.now = Some(86_400);
        assert_eq!(judge(synchronized, &facts).status, Status::Fail);
        facts.host.live = false;
        assert_eq!(judge(synchronized, &facts).status, Status::Skip);
    }
}
