//! The patterns of our drop-in (PCRE): which lines are security events, which of them the agent takes as they are, and
//! where time and host of the others stand. Starting point is the agent's own pattern (facts 1.11).
//!
//! Possessive quantifiers (`*+`) keep the cost of long lines linear. None holds a single quote (they stand in such) or a
//! backtick (the daemon would look for a definition).

/// Words behind the time that are no host.
const ZONE: &str = "(?:UTC|GMT|W?ES?T|CES?T|[ECMP][SD]T|IST|MSK)";
const MONTH: &str = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const WEEKDAY: &str = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?";
const DAY: &str = "(?:0?[1-9]|[12][0-9]|3[01])";
const CLOCK: &str = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const DATE: &str = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])";
/// `Mmm dd [yyyy] hh:mm:ss` or `dd Mmm [yyyy] hh:mm:ss`: the agent reads both.
fn wall_time() -> String {
    format!("(?:{MONTH} +{DAY}|{DAY} +{MONTH}) +(?:[0-9]{{4}} +)?{CLOCK}")
}
/// The header in front of the time: PRI, a colon or blanks (EMBLEM), the version of RFC 5424.
const FRONT: &str = "^(?:<[0-9]{1,4}>)?[ :]*(?:1 )?";
/// Six more bars, escaped ones not counted: what follows the version of a CEF header.
const BARS: &str = r"(?:[^|\\\n]++|\\.)*+(?:\|(?:[^|\\\n]++|\\.)*+){5}\|";

/// A security event, to the end of the line, as group 1.
pub(super) fn event() -> String {
    format!(r"(CEF: ?[0-9]+\|{BARS}.*|%(?:ASA|FTD)-(?:[A-Za-z_]+-)?[0-7]-[0-9]{{6}}.*)")
}

/// A CEF event of another version than 0, its text behind the version as group 1.
pub(super) fn other_version() -> String {
    format!(r"CEF: ?(?:[1-9][0-9]*|0[0-9]+)\|({BARS}.*)")
}

/// A Cisco event as the agent does not know it (FTD, class names), its number and text as group 1.
pub(super) fn other_cisco() -> &'static str {
    "%(?:FTD-(?:[A-Za-z_]+-)?|ASA-[A-Za-z_]+-)([0-7]-[0-9]{6}.*)"
}

/// Lines that the agent takes as they are: one line, a PRI, a time it reads in full, and either the event right behind it
/// or a word that it takes for the host (a zone or a year too: such lines are sent on unchanged all the same).
pub(super) fn accepted() -> String {
    let iso =
        format!(r"{DATE}T{CLOCK}(?:(?:\.[0-9]{{1,6}})?[+-][0-9]{{2}}:?[0-9]{{2}}|\.[0-9]{{2,9}}Z|\.[0-9]{{3,9}})");
    let wall = wall_time();
    // Behind `1 ` a day and a month would be read as something else.
    let time = format!("(?:{WEEKDAY}{wall}|(?:1 )?{iso})");
    let no_host = r"[ :]*(?=CEF: ?0\|)";
    let host = ":? +[^: ]++(?=:? ).*";
    let cef = format!(r"[ :]*{time}(?:{no_host}|{host})CEF: ?0\|{BARS}");
    // Of two headers the agent takes the second one for ASA: the event must follow the host at once. In front of a time
    // without a year it would take a number for part of the date.
    let year = format!("{MONTH} +{DAY} +[0-9]{{4}} +{CLOCK}");
    let second = format!("[^%]{{0,80}}?(?:(?<=[ :])(?:{year}|{iso})|(?<=:) *{wall})");
    let asa = format!("(?:[ :]*{time}|{second})(?::? *|:? +[^: ]+ ?:? *)%ASA-[0-7]-[0-9]{{6}}(?![0-9-]|[ :]*%ASA)");
    format!(r"^<[0-9]{{1,3}}>(?:{cef}|{asa})[^\n]*+\z")
}

pub(super) fn pri() -> &'static str {
    "^<([0-9]{1,3})>"
}

/// ISO time with zone: date and time, up to three digits of the fraction, zone.
pub(super) fn iso() -> String {
    format!(r"{FRONT}({DATE}T{CLOCK})(?:[.,]([0-9]{{1,3}})[0-9]*)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})[: ]")
}

/// Date and time without a zone, a `T` or a blank between: date, time, fraction.
pub(super) fn no_zone() -> String {
    format!(r"{FRONT}({DATE})[T ]({CLOCK})(?:[.,]([0-9]{{1,3}})[0-9]*)?[: ]")
}

/// A time as the agent reads it, fraction and zone left out.
pub(super) fn wall() -> String {
    format!(r"{FRONT}({})(?![0-9]| [0-9]{{4}} )", wall_time())
}

/// `Fri Aug 14 09:21:07 2026`: day, time, year.
pub(super) fn ctime() -> String {
    format!("{FRONT}{WEEKDAY}({MONTH} +{DAY}) ({CLOCK}) ([0-9]{{4}}) ")
}

/// Any time at the front of a line.
fn any_time() -> String {
    let loose = "[0-9]{2}:[0-9]{2}:[0-9]{2}";
    let forms = [
        format!("{MONTH} +[0-9]{{1,2}} (?:[0-9]{{4}} )?{loose}(?: [0-9]{{4}})?"),
        format!("[0-9]{{1,2}} {MONTH} (?:[0-9]{{4}} )?{loose}"),
        format!("[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{loose}"),
        "[0-9]{10}".to_owned(),
    ];
    format!(r"{FRONT}{WEEKDAY}(?:{})(?:[.,][0-9]+)?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?:?", forms.join("|"))
}

/// The host behind any time, a zone word between them passed over.
pub(super) fn host() -> String {
    let name = "([A-Za-z0-9_][A-Za-z0-9._-]*)";
    let not = format!("(?!CEF:|%|{ZONE}[: ])");
    format!(r"{} +(?:{ZONE} +)?{not}{name}(?=:? +:? *%(?:ASA|FTD)|:? +\S|: )", any_time())
}

/// An IPv6 address in the place of the host.
pub(super) fn host6() -> String {
    format!("{} +([0-9A-Fa-f]{{0,4}}:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?= )", any_time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::accept::{Damage, Verdict, judge};
    use crate::message::base64;
    use crate::syslog::syslogng::filter::{Pattern, PatternKind};
    use crate::syslog::syslogng::pattern::Matcher;

    fn matcher(pattern: &str) -> Matcher {
        let kind = PatternKind::Pcre;
        Matcher::new(&Pattern { text: pattern.into(), kind, flags: Vec::new() }).unwrap()
    }

    fn lines(text: &str) -> Vec<(serde_json::Value, Vec<u8>)> {
        let line = |l: &str| {
            let v: serde_json::Value = serde_json::from_str(l).unwrap();
            let raw = base64::decode(v["raw_b64"].as_str().unwrap()).unwrap();
            (v, raw)
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn events_of_the_corpus_are_found_and_nothing_else() {
        let event = matcher(&event());
        for (v, raw) in lines(include_str!("../../../../fixtures/corpus/messages.jsonl")) {
            let found = event.find(&raw, 0).unwrap().is_some();
            assert_eq!(found, v["forward"] == true, "{}", v["id"]);
        }
    }

    #[test]
    fn lines_sent_on_unchanged_are_the_ones_the_agent_takes() {
        let (accepted, event) = (matcher(&accepted()), matcher(&event()));
        let mut wrong = Vec::new();
        for (v, raw) in lines(include_str!("../../../../fixtures/corpus/messages.jsonl")) {
            let is_event = event.find(&raw, 0).unwrap().is_some();
            let taken = is_event && matches!(judge(&raw), Verdict::Accepted(_));
            if accepted.find(&raw, 0).unwrap().is_some() != taken {
                wrong.push(v["id"].as_str().unwrap_or_default().to_owned());
            }
        }
        // An event with `CEF` and a later `0|` in it: no header helps, so it goes as it is.
        assert_eq!(wrong, ["v243"]);
    }

    #[test]
    fn odd_lines_sent_on_unchanged_are_taken_too() {
        let accepted = matcher(&accepted());
        let (mut all, mut unchanged) = (0, 0);
        for (_, raw) in lines(include_str!("../../../../fixtures/corpus/agent-verdicts.jsonl")) {
            all += 1;
            if accepted.find(&raw, 0).unwrap().is_some() {
                unchanged += 1;
                // `CEF` and a later `0|` inside the event: no header helps.
                let hopeless = |d: &[Damage]| d == [Damage::CefInEvent];
                let fine = match judge(&raw) {
                    Verdict::Accepted(_) => true,
                    Verdict::Damaged(_, damage) => hopeless(&damage),
                    Verdict::Dropped(_) => false,
                };
                assert!(fine, "{}", String::from_utf8_lossy(&raw));
            }
        }
        assert!(all > 400 && unchanged > 30, "{unchanged} of {all}");
    }

    #[test]
    fn fit_into_the_configuration() {
        let all = [event(), other_version(), accepted(), iso(), no_zone(), wall(), ctime(), host(), host6()];
        for pattern in all {
            assert!(!pattern.contains(['\'', '`']) && pattern.len() < 2000, "{pattern}");
            fancy_regex::Regex::new(&pattern).unwrap();
        }
    }
}
