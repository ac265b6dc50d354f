//! Forwards that lead back to where their events came from. What goes round multiplies with every turn (seen: one event
//! 360 times at the agent within a second), fills log files and takes a whole processor.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::case::Case;
use super::flow::Flow;
use super::outcome::Outcome;
use super::pipeline::Forward;
use crate::report::shell_quote;

/// A forward to a listener of this box whose events come to that forward again.
pub fn judge(case: &Case<'_>, flow: &Flow<'_>) -> Option<Outcome> {
    let back: Vec<(&Forward, String)> = flow
        .entries
        .iter()
        .filter_map(|entry| entry.listener.as_ref().map(|listener| (entry, listener)))
        .flat_map(|(entry, listener)| {
            // Each forward once, whatever event it is that comes to it.
            let visited: BTreeSet<usize> =
                entry.ways.iter().flat_map(|w| &w.visits).filter(|v| !v.maybe).map(|v| v.forward).collect();
            let leads_back = move |f: &&Forward| {
                f.enabled
                    && visited.contains(&f.id)
                    && f.number.is_some()
                    && f.number == listener.number
                    && f.transport == Some(listener.transport)
                    && is_here(case, f)
            };
            flow.forwards.iter().filter(leads_back).map(|f| (f, listener.at.to_string()))
        })
        .collect();
    let (first, listener) = back.first()?;
    let at = first.at.to_string();
    Some(
        Outcome::fail(format!("{at} sends events back to this box's own listener: they go round and round"))
            .seen(at, first.describe())
            .seen(listener.clone(), "takes them in again")
            .advise("take that rule out, or let it take what this box logs itself only")
            .command(format!("sudoedit {}", shell_quote(&first.at.file.to_string_lossy())))
            .command(case.load_command()),
    )
}

/// Is the target this very box, by loopback, by an address of it or by its name?
fn is_here(case: &Case<'_>, forward: &Forward) -> bool {
    let target = forward.target.to_string();
    let own = case.facts.firewall.as_ref().map(|f| f.interfaces.as_slice()).unwrap_or_default();
    let is_own = |ip: IpAddr| own.iter().flat_map(|i| &i.addresses).any(|a| *a == ip.to_canonical());
    let name = case.facts.host.hostname.as_str();
    forward.loopback || target.parse().is_ok_and(is_own) || (!name.is_empty() && target.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use crate::check::fixture::{DROP_IN, judge, with_drop_in, with_files};
    use crate::check::forward::duplicate;
    use crate::report::Status;

    #[test]
    fn what_comes_back_to_the_listener_is_a_loop() {
        for rule in ["*.* @127.0.0.1:514\n", "*.* @@192.0.2.1:514\n"] {
            let o = judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-siem.conf", rule)]));
            assert_eq!(o.status, Status::Fail, "{rule}{o:?}");
            assert!(o.summary.starts_with("/etc/rsyslog.d/90-siem.conf:1 sends events back"), "{}", o.summary);
        }
    }

    #[test]
    fn another_port_another_box_or_what_does_not_come_there_is_none() {
        for rule in ["*.* @127.0.0.1:5514\n", "*.* @@192.0.2.7:514\n"] {
            let o = judge(duplicate, &with_files(&[("/etc/rsyslog.d/90-siem.conf", rule)]));
            assert_eq!(o.status, Status::Pass, "{rule}{o:?}");
        }
        // Local messages only: nothing that came by the network is sent there.
        let local = format!(
            "{DROP_IN}if $inputname == \"imuxsock\" then action(type=\"omfwd\" target=\"127.0.0.1\" port=\"514\")\n"
        );
        assert_eq!(judge(duplicate, &with_drop_in(&local)).status, Status::Pass);
    }
}
