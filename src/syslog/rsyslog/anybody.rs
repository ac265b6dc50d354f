//! The same event of any device: a rule that names one sender, or one facility, takes the events of some devices away and
//! leaves those of all others alone. Samples are of one device, so they do not see it; an event of anybody does. What
//! differs between devices is unknown of it, as far as a comparison is not the same for all of them.

use super::ast::Expr;
use super::event::SampleEvent;
use super::filter::{PriFilter, facility_code, severity_code};
use crate::syslog::Text;
use crate::syslog::rsyslog::eval::Maybe;

/// Facilities that devices send security events with: user and local0 to local7. A rule for the box's own mail or cron
/// takes nothing of theirs.
const FACILITIES: [u8; 9] = [1, 16, 17, 18, 19, 20, 21, 22, 23];
/// Severities that they send with: all but debug, which is often thrown away and hardly ever sent on purpose.
const SEVERITIES: [u8; 7] = [0, 1, 2, 3, 4, 5, 6];

/// Properties that say who sent an event.
const SENDER: [&str; 4] = ["fromhost", "fromhost-ip", "hostname", "source"];

fn says_who(property: &str) -> bool {
    SENDER.iter().any(|name| property.eq_ignore_ascii_case(name))
}

/// Does the property differ between devices that send the same event?
pub(super) fn varies(property: &str) -> bool {
    let lower = property.to_ascii_lowercase();
    says_who(property) || lower.starts_with("pri") || lower.starts_with("syslogfac") || is_severity(&lower)
}

fn is_severity(lower: &str) -> bool {
    lower.starts_with("syslogsev") || lower.starts_with("syslogpri")
}

/// What all say, if they agree.
fn agreed(mut answers: impl Iterator<Item = Maybe>) -> Maybe {
    let first = answers.next()??;
    answers.all(|a| a == Some(first)).then_some(first)
}

/// What no device in the network is called: the box itself.
fn is_here(name: &[u8]) -> bool {
    name.is_empty() || name.starts_with(b"127.") || name == b"::1" || name.eq_ignore_ascii_case(b"localhost")
}

impl SampleEvent {
    /// The same event from a device that is not known: neither its address nor its name nor the facility and severity
    /// it sends with.
    pub fn of_anybody(mut self) -> SampleEvent {
        self.of_anybody = true;
        self
    }

    /// The event with each priority it may have.
    fn variants(&self) -> Vec<SampleEvent> {
        let mut one = self.clone();
        one.of_anybody = false;
        if !self.of_anybody {
            return vec![one];
        }
        let pris = FACILITIES.iter().flat_map(|f| SEVERITIES.iter().map(move |s| (*f, *s)));
        let with = |(facility, severity)| {
            let mut event = one.clone();
            (event.facility, event.severity) = (facility, severity);
            event
        };
        pris.map(with).collect()
    }

    /// Does a filter take it, whoever sent it?
    pub(super) fn passes(&self, filter: &PriFilter) -> Maybe {
        if !self.of_anybody {
            return Some(filter.passes(self.facility, self.severity));
        }
        agreed(FACILITIES.iter().flat_map(|f| SEVERITIES.iter().map(|s| Some(filter.passes(*f, *s)))))
    }

    /// Is its facility (severity) the one of this name, whoever sent it? `None` within: no such name or property.
    pub(super) fn is_called(&self, property: &[u8], name: &[u8]) -> Option<Maybe> {
        let (wanted, candidates): (usize, &[u8]) = match property {
            b"syslogseverity-text" => (severity_code(&name.to_ascii_lowercase())?.into(), &SEVERITIES),
            b"syslogfacility-text" => (facility_code(name)?, &FACILITIES),
            _ => return None,
        };
        let own = if property == b"syslogseverity-text" { self.severity } else { self.facility };
        let candidates = if self.of_anybody { candidates } else { &[own] };
        Some(agreed(candidates.iter().map(|c| Some(usize::from(*c) == wanted))))
    }

    /// A test of one of its properties against a text that is known, whoever sent it.
    pub(super) fn tested(&self, property: &str, with: &[&[u8]], test: &dyn Fn(&[u8]) -> Maybe) -> Maybe {
        if says_who(property) && !with.iter().all(|text| is_here(text)) {
            return None;
        }
        let variants = if says_who(property) { self.variants().into_iter().take(1).collect() } else { self.variants() };
        agreed(variants.iter().map(|event| test(&event.property(property)?)))
    }
}

/// The texts of an operand that is known when the configuration is read.
pub(super) fn literals(operand: &Expr) -> Option<Vec<Text>> {
    match operand {
        Expr::Text(text) => Some(vec![text.clone()]),
        Expr::Number(n) => Some(vec![Text::from(n.to_string().as_str())]),
        Expr::List(items) => Some(items.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::syslog::rsyslog::event::{Origin, Reception};
    use crate::syslog::rsyslog::{Effective, SampleEvent, Severity};
    use crate::syslog::{MapSource, Text};

    /// Places that take a CEF event of some devices away before it comes to the forward.
    fn diverted(rule: &str) -> Vec<u32> {
        let text = format!("{rule}\n:rawmsg, contains, \"CEF:\" @@127.0.0.1:25226\n& stop\n*.* /var/log/messages\n");
        let config = Effective::load(Path::new("/c"), &MapSource::new().with("/c", text));
        assert!(config.problems.iter().all(|p| p.severity != Severity::Error), "{rule}: {:?}", config.problems);
        let line = b"<164>Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=1.1.1.1";
        let event = SampleEvent::parse_with(line, &Origin::device(Text::from("imudp")), &Reception::default());
        let forward = |id| config.forwards().any(|(a, _)| a.id == id);
        config.diversions(&event, &config.default_ruleset, &forward).iter().map(|s| s.place().line).collect()
    }

    #[test]
    fn rules_for_some_senders() {
        for rule in [
            "if $fromhost-ip == '10.0.0.5' then { action(type=\"omfile\" file=\"/a\") stop }",
            ":fromhost-ip, startswith, \"10.\" /a\n& stop",
            ":fromhost-ip, startswith, \"10.\" /a\n& ~",
            ":hostname, isequal, \"fw2\" /a\n& stop",
            "if $hostname == ['fw2', 'fw3'] then stop",
            "local4.* /a\n& stop",
            "local3.* stop",
            "if $syslogfacility-text == 'local4' then stop",
            "if $syslogfacility == 20 then stop",
            "if $syslogfacility >= 16 and $syslogfacility <= 23 then stop",
            ":syslogfacility-text, isequal, \"local5\" stop",
            "if prifilt(\"local4.*\") then stop",
            "*.warning /a\n& stop",
            "if $fromhost-ip startswith '10.' and $rawmsg contains 'CEF' then stop",
            "if not ($fromhost-ip == '10.0.0.5') then { action(type=\"omfile\" file=\"/a\") stop }",
            "ruleset(name=\"net\") { if $fromhost == 'fw2' then stop }\ncall net",
        ] {
            assert!(!diverted(rule).is_empty(), "{rule}");
        }
    }

    #[test]
    fn rules_that_take_no_devices_events() {
        for rule in [
            "mail.* /a\n& stop",
            "if $syslogfacility-text == 'mail' then stop",
            "*.=debug stop",
            "local4.* /a",
            "if $fromhost-ip == '127.0.0.1' then stop",
            ":fromhost-ip, startswith, \"127.\" /a\n& stop",
            "if $fromhost == ['localhost', '::1'] then stop",
            "if $programname == 'sshd' and $hostname == 'fw2' then stop",
            ":programname, startswith, \"haproxy\" /a\n& stop",
            ":syslogfacility-text, isequal, \"cron\" stop",
            "ruleset(name=\"net\" queue.type=\"LinkedList\") { if $fromhost == 'fw2' then stop }\ncall net",
        ] {
            assert_eq!(diverted(rule), [0u32; 0], "{rule}");
        }
    }
}
