//! Large events over UDP come in pieces (IP fragments): above 1472 bytes on a usual network, which CEF events often are. A
//! firewall or tunnel on the way that drops pieces loses exactly those, and no test event shows it; the kernel counts what
//! it could not put together.

use super::case::Case;
use super::outcome::Outcome;

/// Datagrams that may fail since the machine was started: scanners send odd pieces to everybody.
const STRAY: u64 = 10;
/// One of so many may fail.
const ONE_OF: u64 = 20;

/// `None`: the kernel puts together what comes in pieces, or does not tell.
pub fn lost(case: &Case<'_>) -> Option<Outcome> {
    let watched = case.facts.traffic.as_ref();
    let (lost, when, few) = match watched {
        Some(watched) => (&watched.lost, "while somebody watched", 1),
        None => (&case.facts.net.as_ref().ok()?.lost, "since this machine was started", STRAY),
    };
    let (bad, good) = (lost.not_joined?, lost.joined.unwrap_or_default());
    if bad < few || bad.saturating_mul(ONE_OF) < bad.saturating_add(good) {
        return None;
    }
    Some(
        Outcome::warn(format!("large events over UDP get lost: {bad} datagrams came in pieces that do not make a whole"))
            .seen("/proc/net/snmp", format!("{bad} not put together (ReasmFails), {good} put together, {when}"))
            .advise(
                "something on the way drops IP fragments, or the kernel has no room for them (net.ipv4.ipfrag_high_thresh): \
                 let the devices send over TCP, or let fragments through; with --watch only what comes then is counted",
            )
            .command("sysctl net.ipv4.ipfrag_high_thresh")
            .command("nstat -asz IpReasmReqds IpReasmOKs IpReasmFails IpReasmTimeout"),
    )
}

#[cfg(test)]
mod tests {
    use crate::check::facts::TrafficFacts;
    use crate::check::fixture::{healthy, judge};
    use crate::check::traffic::loss;
    use crate::host::proc_loss::LossCounters;
    use crate::report::Status;

    fn counted(bad: u64, good: u64) -> LossCounters {
        LossCounters { joined: Some(good), not_joined: Some(bad), ..LossCounters::default() }
    }

    #[test]
    fn pieces_that_make_no_whole_are_lost_events() {
        let of = |bad, good| {
            let mut facts = healthy();
            facts.net.as_mut().unwrap().lost = counted(bad, good);
            judge(loss, &facts).status
        };
        assert_eq!(of(40, 0), Status::Warn);
        assert_eq!(of(40, 300), Status::Warn);
        // A few of many are somebody's odd packets.
        assert_eq!(of(40, 100_000), Status::Pass);
        assert_eq!(of(3, 0), Status::Pass);
        assert_eq!(of(0, 0), Status::Pass);
    }

    #[test]
    fn what_is_watched_counts_and_not_what_was() {
        let of = |bad| {
            let mut facts = healthy();
            facts.net.as_mut().unwrap().lost = counted(400, 0);
            facts.traffic = Some(TrafficFacts { dropped: Some(0), lost: counted(bad, 0), ..TrafficFacts::default() });
            judge(loss, &facts).status
        };
        assert_eq!(of(2), Status::Warn);
        assert_eq!(of(0), Status::Pass);
    }

    #[test]
    fn what_ipsec_refused_is_not_called_a_busy_daemon() {
        let mut facts = healthy();
        let net = facts.net.as_mut().unwrap();
        net.lost = LossCounters { not_encrypted: Some(20), ..LossCounters::default() };
        assert_eq!(judge(loss, &facts).status, Status::Pass, "nothing lost on this port");
        for socket in &mut facts.net.as_mut().unwrap().sockets {
            socket.drops = socket.drops.map(|_| 5);
        }
        let out = judge(loss, &facts);
        assert_eq!(out.status, Status::Warn);
        assert!(out.summary.contains("IPsec"), "{}", out.summary);
    }
}
