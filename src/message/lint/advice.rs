//! Which setting of the device to change, from what is wrong with its messages. Where the make can be seen in the
//! message, the setting is named as that make names it.

use serde::{Deserialize, Serialize};

use super::frames::Framing;
use super::{Level, Lint, USUAL_LIMIT};
use crate::agent::accept::damage::{Damage, Note};
use crate::agent::accept::reason::Reason;
use crate::agent::accept::{Verdict, header};
use crate::message::cef::Problem;
use crate::message::syslog::{Form, Kind, Trace};

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Advice {
    /// Stable name.
    pub id: String,
    /// One plain sentence without a full stop.
    pub text: String,
}

fn advice(id: &str, text: impl Into<String>) -> Advice {
    Advice { id: id.into(), text: text.into() }
}

/// What to change, most important first; nothing for a message that is as it should be.
pub fn advise(lint: &Lint<'_>) -> Vec<Advice> {
    if lint.level == Level::Foreign {
        // Whatever else is odd about it matters only once it is an event.
        return if lint.line.raw.is_empty() { Vec::new() } else { vec![choose_cef(lint)] };
    }
    let mut found = Vec::new();
    match &lint.verdict {
        Verdict::Dropped(refusal) => {
            found.extend(for_reason(lint, refusal.reason));
            found.extend(refusal.also.and_then(|also| for_reason(lint, also)));
        }
        Verdict::Damaged(record, damage) => {
            found.extend(damage.iter().filter_map(|d| for_damage(lint, *d)));
            found.extend(record.notes.iter().filter_map(|n| for_note(lint, *n)));
        }
        Verdict::Accepted(record) => found.extend(record.notes.iter().filter_map(|n| for_note(lint, *n))),
    }
    if let Some(cef) = &lint.line.cef {
        found.extend(cef.problems.iter().filter_map(|p| for_problem(*p)));
    }
    // Which of the two it is said to be depends on the day; that it can be both does not.
    if lint.line.meant(jiff::civil::date(2000, 1, 1)).is_some_and(|meant| meant.either) {
        found.push(advice(
            "date-order",
            "let the device write its dates as 2026-08-14: in this one either number may be the month, and the collector has to guess which",
        ));
    }
    found.extend(lint.line.traces.iter().filter_map(|t| for_trace(*t)));
    if lint.line.raw.len() > USUAL_LIMIT {
        found.push(advice(
            "size",
            "let the device send fewer fields, or take longer messages: `cefctl install` sets 64 KiB where nobody has set a limit",
        ));
    }
    if lint.framing == Framing::Nul {
        found.push(advice("frame-lf", "let the device end each message with a line feed instead of a NUL byte"));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|a| seen.insert(a.id.clone()));
    found
}

fn for_reason(lint: &Lint<'_>, reason: Reason) -> Option<Advice> {
    use Reason::*;
    Some(match reason {
        EmptyLine => return None,
        OctetCount => advice(
            "framing",
            "let the relay in between send one message a line, or let it be received by a listener that counts octets",
        ),
        NoPri | PriNotNumeric => advice(
            "pri",
            "let the device send a syslog header with <PRI>; choose syslog, not raw text, as its log format",
        ),
        NoTimestamp if lint.line.kind() == Some(Kind::Asa) => {
            advice("asa-timestamp", "on the ASA: `logging timestamp`")
        }
        NoTimestamp if lint.line.kind() == Some(Kind::Ftd) => {
            advice("ftd-timestamp", "on FTD: platform settings, Syslog, Syslog Settings: enable the timestamp")
        }
        NoTimestamp | NilTime => {
            advice("timestamp", "let the device put the time into the syslog header (RFC 3164 or BSD format)")
        }
        IsoZNoFraction | IsoNoZone | IsoShortZone | IsoBlank | EpochTime | OddTime | BadTimeValue => advice(
            "time-format",
            "let the device write its header's time as in RFC 3164 (Aug  1 10:00:00), or as in RFC 5424 with fraction and zone (2026-08-01T10:00:00.000+00:00)",
        ),
        ZoneWord => advice(
            "zone-word",
            "let the device leave the zone out of the time; on Cisco: `service timestamps log datetime` without `show-timezone`",
        ),
        TimeFraction => advice(
            "time-fraction",
            "let the device leave fractions out of the time; on Cisco: `service timestamps log datetime` without `msec`",
        ),
        Ipv6Host => advice("host-name", host_name(lint)),
        AsaTextBefore if lint.line.form == Form::Rfc5424 => {
            advice("asa-rfc3164", "on the ASA: `logging timestamp` without `rfc5424`")
        }
        AsaTextBefore => {
            advice("asa-emblem", "on the ASA: `no logging emblem`, and `logging host` without `format emblem`")
        }
        Ftd => advice(
            "ftd",
            "the Log Analytics agent does not know %FTD, the Azure Monitor Agent does; `cefctl install --rewrite-ids` turns it into %ASA",
        ),
        AsaClassName => advice(
            "asa-class",
            "let the device leave the class out of the id, or let `cefctl install --rewrite-ids` take it out",
        ),
        CefVersion => advice(
            "cef-version",
            "let the device send CEF version 0, or let `cefctl install --rewrite-ids` turn it into 0",
        ),
        CefInEvent => advice(
            "cef-in-event",
            "no header helps against CEF quoted in an event; have the device leave that field out",
        ),
        AsaNoPercent | AsaIdShort => advice(
            "asa-id",
            "something in between has changed the id: let the device send here directly, or the relay pass messages on as they are",
        ),
        CefLowerCase => advice("cef-capitals", "let the format template begin with CEF:0| in capitals"),
        CefIncomplete => cut_header(),
        Leef => advice("leef", "choose CEF instead of LEEF as the device's log format"),
        NotSecurity => choose_cef(lint),
    })
}

fn cut_header() -> Advice {
    advice(
        "cef-header",
        "CEF needs seven fields, each ended by a bar: complete the device's format template, and see that nothing in between cuts messages",
    )
}

fn host_name(lint: &Lint<'_>) -> String {
    match lint.line.kind() {
        Some(Kind::Asa | Kind::Ftd) => "on the ASA: `logging device-id hostname`".into(),
        _ => "let the device put its name or an IPv4 address into the header".into(),
    }
}

fn for_damage(lint: &Lint<'_>, damage: Damage) -> Option<Advice> {
    Some(match damage {
        Damage::HeaderIncomplete => cut_header(),
        Damage::FalseRecord => choose_cef(lint),
        Damage::CefVersion => return for_reason(lint, Reason::CefVersion),
        Damage::CefInEvent => return for_reason(lint, Reason::CefInEvent),
        Damage::IdWrong => {
            advice("asa-id", "let the message text begin with a colon and a blank behind the six-digit id")
        }
        Damage::HostCut if lint.line.host().is_some_and(header::is_ipv6) => advice("host-name", host_name(lint)),
        Damage::EventCut
        | Damage::HostCut
        | Damage::HostInTime
        | Damage::TimeCut
        | Damage::NotADate
        | Damage::WrongDate => {
            return for_reason(lint, Reason::OddTime);
        }
    })
}

fn for_note(lint: &Lint<'_>, note: Note) -> Option<Advice> {
    Some(match note {
        Note::NoHost if matches!(lint.line.kind(), Some(Kind::Asa | Kind::Ftd)) => advice(
            "asa-device-id",
            "on the ASA: `logging device-id hostname`, so that the record has the device's name",
        ),
        Note::NoHost => advice("host", "let the device put its name into the syslog header"),
        Note::HostIsZone => return for_reason(lint, Reason::ZoneWord),
        Note::HostIsNumber => return for_reason(lint, Reason::OddTime),
        Note::HostIsTag => {
            advice("host", "let the device put its name into the syslog header, before the program's name")
        }
        Note::HostIsRelay => advice(
            "relay-words",
            "let the relay pass messages on as they are, or the device send here directly: the relay puts words in front of the host",
        ),
        Note::SecondHeader => advice(
            "one-header",
            "switch off the second syslog header: the device or a relay puts one in front of the other",
        ),
        Note::PriTooLarge => advice("pri", "let the device send a PRI of at most 191"),
        Note::CarriageReturn => return for_trace(Trace::CarriageReturn),
    })
}

fn for_problem(problem: Problem) -> Option<Advice> {
    Some(match problem {
        Problem::BlankAfterColon | Problem::VersionNot0 | Problem::HeaderIncomplete => return None,
        Problem::HeaderEscape | Problem::ValueEscape | Problem::UnescapedEquals => advice(
            "cef-escapes",
            "correct the escaping in the device's format template: \\| and \\\\ in the header, \\= and \\\\ in values",
        ),
        Problem::NameMissing => advice("cef-names", "fill in vendor, product and name in the device's format template"),
        Problem::Severity => advice("cef-severity", "let the device send a CEF severity of 0 to 10"),
        Problem::ExtensionText => advice("cef-extension", "let the text behind the last bar begin with key=value"),
        Problem::DuplicateKey => {
            advice("cef-keys", "use each key once in the device's format template: only one value is kept")
        }
    })
}

fn for_trace(trace: Trace) -> Option<Advice> {
    Some(match trace {
        Trace::OctetCount => return None, // told as a reason
        Trace::CarriageReturn | Trace::EscapedCarriageReturn => advice(
            "frame-lf",
            "let the device end messages with a line feed only, not with carriage return and line feed",
        ),
        Trace::Nul => advice("frame-lf", "let the device end each message with a line feed instead of a NUL byte"),
        Trace::Bom => advice("bom", "let the device send UTF-8 without a byte order mark"),
        Trace::NotUtf8 => advice("utf8", "let the device send UTF-8"),
        Trace::Control => advice("control", "have control characters left out or escaped by the device"),
        Trace::SeveralEvents | Trace::SeveralLines => {
            advice("one-event", "let the device send one event a message (no batches), each ended by a line feed")
        }
    })
}

/// Marks of log formats that devices have beside CEF (all of a row must be there), and where CEF is switched on.
const MAKES: &[(&[&str], &str, &str)] = &[
    (&["devname=", "logid="], "fortigate-cef", "on the FortiGate: `config log syslogd setting`, `set format cef`"),
    (
        &["date=", "devid=", "type="],
        "fortinet-cef",
        "on Fortinet products: choose CEF as the format of the syslog server",
    ),
    (&[",TRAFFIC,"], "paloalto-cef", PAN_OS),
    (&[",THREAT,"], "paloalto-cef", PAN_OS),
    (&[",SYSTEM,"], "paloalto-cef", PAN_OS),
    (&[",CONFIG,"], "paloalto-cef", PAN_OS),
    (&["CheckPoint", "product:\""], "checkpoint-cef", CHECK_POINT),
    (&["loguid=", "product="], "checkpoint-cef", CHECK_POINT),
    (&["sysloghost=", "fw="], "sonicwall-cef", SONICWALL),
    (&["id=firewall", "sn=", "fw="], "sonicwall-cef", SONICWALL),
    (
        &["device_name=", "log_type=\"Firewall\""],
        "sophos-cef",
        "choose the CEF format if this Sophos version has it; its usual format is no CEF",
    ),
    (
        &["device=\"SFW\""],
        "sophos-cef",
        "choose the CEF format if this Sophos version has it; its usual format is no CEF",
    ),
    (&["ASM:unit_hostname="], "f5-cef", F5),
    (&["ASM:\"", "unit_hostname=\""], "f5-cef", F5),
    (&["vendor=Forcepoint", "product="], "forcepoint-cef", FORCEPOINT),
    (&["vendor=Websense", "product="], "forcepoint-cef", FORCEPOINT),
    (
        &["default APPFW "],
        "citrix-cef",
        "on NetScaler: `set appfw settings -CEFLogging ON`; its other messages have no CEF",
    ),
    (&["CPPM_"], "clearpass-cef", "on ClearPass: the syslog export filter's event format type: CEF"),
    (&["<EPOEvent"], "epo-cef", EPO),
    (&["<EPOevent"], "epo-cef", EPO),
    (
        &["MSWinEventLog"],
        "windows-cef",
        "Windows events in Snare's format are no CEF: use CEF output (NXLog `to_cef()`), or the agent on that machine",
    ),
    (
        &["reason=", "event_id=", "urlcategory="],
        "zscaler-cef",
        "on Zscaler NSS: the feed's output type: CEF, or ArcSight CEF",
    ),
    (&["LEEF:"], "leef", "choose CEF instead of LEEF as the device's log format"),
    (&["RT_FLOW"], "junos", JUNOS),
    (&["RT_IDP"], "junos", JUNOS),
    (
        &["flows src=", "mac="],
        "meraki",
        "Meraki has no CEF: it can be collected as plain syslog, with a parser of its own",
    ),
    (
        &["msg_id=\"", "proc_id="],
        "watchguard",
        "WatchGuard's own format is no CEF: it can be collected as plain syslog",
    ),
];
const PAN_OS: &str =
    "on PAN-OS: syslog server profile, Custom Log Format, the CEF formats of Palo Alto's CEF guide for every log type";
const CHECK_POINT: &str = "on Check Point: `cp_log_export set name NAME format cef`";
const SONICWALL: &str = "on SonicWall: syslog server settings, syslog format ArcSight";
const F5: &str = "on the BIG-IP: the logging profile's storage format: Common Event Format (ArcSight)";
const FORCEPOINT: &str = "on Forcepoint: SIEM integration, SIEM format: syslog/CEF (ArcSight)";
const EPO: &str =
    "ePO's XML is no CEF: put a converter in between that writes CEF, or collect it with a connector of its own";
const JUNOS: &str = "Junos has no CEF of its own: it can be collected as plain syslog, or through Juniper's collectors, which write CEF";

/// `%SYS-5-CONFIG_I`, `%LINK-3-UPDOWN`: what Cisco's switches and routers send.
fn is_ios(text: &str) -> bool {
    text.split('%').skip(1).any(|word| {
        let id = word.split(':').next().unwrap_or_default();
        let mut parts = id.rsplitn(3, '-');
        let (name, severity, facility) = (parts.next(), parts.next(), parts.next());
        let named = |w: Option<&str>| {
            w.is_some_and(|w| {
                w.len() > 1
                    && w.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
            })
        };
        let numbered = name.is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit()));
        matches!(severity, Some("0" | "1" | "2" | "3" | "4" | "5" | "6" | "7"))
            && named(name)
            && named(facility)
            && !numbered
    })
}

/// The message is in another format of the device.
fn choose_cef(lint: &Lint<'_>) -> Advice {
    let raw = lint.line.raw;
    if [b"C\0E\0F\0:".as_slice(), b"%\0A\0S\0A"].iter().any(|wide| raw.windows(wide.len()).any(|w| w == *wide)) {
        return advice("utf8", "let the device send UTF-8: this is UTF-16, in which nobody finds the event");
    }
    let text = String::from_utf8_lossy(raw);
    let make = MAKES.iter().find(|(marks, ..)| marks.iter().all(|mark| text.contains(mark)));
    match make {
        Some((_, id, setting)) => advice(id, *setting),
        None if text.contains("%PIX-") || text.contains("%FWSM-") => {
            advice("cisco-old", "PIX and FWSM ids are not known to any agent; send these as plain syslog")
        }
        None if is_ios(&text) => advice(
            "cisco-ios",
            "switches and routers of Cisco have no CEF, and only ASA and FTD ids are security events: collect these as plain syslog",
        ),
        None => advice(
            "choose-cef",
            "choose CEF as the device's log format; if this sender is no security device, nothing is to do",
        ),
    }
}
