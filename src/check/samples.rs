//! Sample events that are followed through the configuration: what a filter matches is found out by asking it, not by
//! looking for words in it (the traps: facts 5.3).

use std::sync::LazyLock;

use crate::syslog::collector::EVENTS;

/// What must become of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To the agent, or events of this kind are lost.
    Forwarded,
    /// To the agent, unless somebody chose otherwise.
    Usual,
    /// Not to the agent.
    Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// For people.
    pub name: &'static str,
    pub line: &'static [u8],
    pub fate: Fate,
}

pub const SAMPLES: &[Sample] = &[
    must("CEF", EVENTS[0]),
    must("CEF with a blank", EVENTS[1]),
    must("CEF behind a program name", EVENTS[2]),
    must("CEF in RFC 5424", EVENTS[3]),
    must("CEF without a header", EVENTS[4]),
    must("ASA", EVENTS[5]),
    must("ASA behind a colon", EVENTS[6]),
    must("FTD", EVENTS[7]),
    Sample {
        name: "CEF of another facility",
        line: b"<13>Aug  1 10:00:00 fw1 CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1",
        fate: Fate::Usual,
    },
    Sample {
        name: "a login on a server",
        line: b"<38>Aug  1 10:00:00 NASA-1 sshd[812]: Accepted publickey for ops from 192.0.2.9 port 50022 ssh2",
        fate: Fate::Kept,
    },
];

const fn must(name: &'static str, line: &'static [u8]) -> Sample {
    Sample { name, line, fate: Fate::Forwarded }
}

/// A plain event of a facility and a severity.
pub fn with_priority(is_cef: bool, facility: u8, severity: u8) -> &'static Sample {
    /// Both kinds of all 192, made once.
    static ALL: LazyLock<Vec<Sample>> = LazyLock::new(|| {
        let kinds =
            ["%ASA-6-302013: Built outbound TCP connection 1", "CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1"];
        let one = |kind: &str, pri: usize| {
            let line: &'static str = format!("<{pri}>Aug  1 10:00:00 fw1 {kind}").leak();
            Sample { name: "an event of this facility and severity", line: line.as_bytes(), fate: Fate::Usual }
        };
        kinds.iter().flat_map(|kind| (0..PRIORITIES).map(move |pri| one(kind, pri))).collect()
    });
    let pri = usize::from(facility) * 8 + usize::from(severity);
    let at = if is_cef { PRIORITIES } else { 0 } + pri.min(PRIORITIES - 1);
    ALL.get(at).unwrap_or(&SAMPLES[0])
}

/// Facilities times severities.
const PRIORITIES: usize = 24 * 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::is_security_event;

    #[test]
    fn samples_are_what_they_say() {
        for s in SAMPLES {
            assert_eq!(is_security_event(s.line).is_some(), s.fate != Fate::Kept, "{}", s.name);
        }
    }

    #[test]
    fn one_of_every_priority() {
        assert!(with_priority(true, 20, 4).line.starts_with(b"<164>Aug  1 10:00:00 fw1 CEF:0|"));
        assert!(with_priority(false, 23, 7).line.starts_with(b"<191>Aug  1 10:00:00 fw1 %ASA-"));
        assert!(with_priority(true, 255, 255).line.starts_with(b"<191>"));
    }
}
