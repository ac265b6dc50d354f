//! The patterns of our drop-in (PCRE), made of the shapes that both daemons share: what a line holds is found by the same
//! expressions, whoever reads it. What is added here is which pieces of them are kept as `$1`, `$2` …
//!
//! None holds a single quote (they stand in such) or a backtick (the daemon would look for a definition).

use crate::syslog::shapes as p;

/// A pattern of the shapes whose groups do not count. Brackets that stand for themselves are escaped: our own evaluator
/// does not read them in brackets.
fn uncounted(pattern: &str) -> String {
    pattern.replace("[[]", r"\[").replace("[]]", r"\]").replace('(', "(?:")
}

/// A security event, wherever it stands.
pub(super) fn event() -> String {
    uncounted(p::EVENT)
}

/// What stands in front of the event, as group 1. The event itself is never a group: the daemon damages groups of more
/// than 64 kB.
pub(super) fn front() -> String {
    format!("^(.*?)(?={})", event())
}

/// One line without anything at its end that is not part of it.
pub(super) fn one_line() -> &'static str {
    r"^[^\n\x00]*+(?<!\r)\z"
}

/// The three expressions by which the agent reads the header rightly: `plain`, or `readable` and not `misread`.
pub(super) fn plain(rewrite_ids: bool) -> String {
    uncounted(&p::plain(rewrite_ids))
}

pub(super) fn readable(rewrite_ids: bool) -> String {
    uncounted(&p::readable(rewrite_ids))
}

pub(super) fn misread() -> String {
    uncounted(&p::misread())
}

/// Up to the end of its version, a CEF event of another one than 0.
pub(super) fn other_version() -> &'static str {
    r"^CEF: ?(?:[1-9][0-9]*|0[0-9]+)(?=\|)"
}

/// Up to its severity, a Cisco event as the agent does not know it (FTD, class names).
pub(super) fn other_cisco() -> String {
    format!("^(?!%ASA-[0-7]-){}(?=[0-7]-[0-9]{{6}})", uncounted(p::CISCO))
}

// ---- of the text in front of the event ----

pub(super) fn pri() -> String {
    format!("<({})>", uncounted(p::PRI))
}

/// An offset that means the same everywhere: its name or hours, its minutes.
fn offset() -> String {
    format!("(?: ?(UTC|GMT|[Zz]|[+-][0-9]{{2}})(?::?([0-9]{{2}}))?(?={}))?", uncounted(p::AFTER_OFFSET))
}

/// Date and time of day in digits: date, time of day, thousandths where there are three digits of them, offset.
pub(super) fn digits() -> String {
    let (date, clock) = (uncounted(&p::digits_date()), uncounted(p::ISO_CLOCK));
    format!("({date})[Tt ]({clock})(?:[.,](?:([0-9]{{3}})[0-9]*|[0-9]+))?{}", offset())
}

/// Date with the name of the month: month, day, or day, month; year; time of day; year behind it; offset.
pub(super) fn named() -> String {
    let [month, day, year, clock] = [p::MONTH, p::DAY, p::YEAR, p::CLOCK].map(uncounted);
    let late = format!("(?:(?: +[A-Z]{{3,5}})? +({year})(?={}))?", uncounted(p::AFTER_LATE_YEAR));
    let date = format!("(?:({month})[a-z]* +({day})|({day})[ -]({month}))(?:[ -]+({year}))?");
    format!("{date} +({clock})(?:[.,][0-9]+)?(?={late}){}", offset())
}

/// A host behind the time.
pub(super) fn host() -> String {
    format!("{}({}){}", uncounted(&p::before_host()), uncounted(&p::host()), uncounted(p::AFTER_HOST))
}

/// A host before the time, or without one.
pub(super) fn first_host() -> String {
    let [before, host, after] = [p::BEFORE_FIRST_HOST, p::FIRST_HOST, &p::after_first_host()].map(uncounted);
    format!("{before}({host}){after}")
}

/// Of what was found as host: none at all, a number, a part of a date.
pub(super) fn no_host() -> String {
    uncounted(&p::no_host())
}

/// Months by name, in order.
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::base64;
    use crate::syslog::syslogng::filter::{Pattern, PatternKind};
    use crate::syslog::syslogng::pattern::Matcher;

    fn matcher(pattern: &str) -> Matcher {
        let kind = PatternKind::Pcre;
        Matcher::new(&Pattern { text: pattern.into(), kind, flags: Vec::new() }).unwrap()
    }

    #[test]
    fn events_of_the_corpus_are_found_and_nothing_else() {
        let event = matcher(&event());
        for line in include_str!("../../../../fixtures/corpus/messages.jsonl").lines() {
            let v: serde_json::Value = serde_json::from_str(line).unwrap();
            let raw = base64::decode(v["raw_b64"].as_str().unwrap()).unwrap();
            let found = event.find(&raw, 0).unwrap().is_some();
            assert_eq!(found, v["forward"] == true, "{}", v["id"]);
        }
    }

    #[test]
    fn pieces() {
        let groups = |pattern: &str, text: &str| -> Vec<String> {
            let found = matcher(pattern).find(text.as_bytes(), 0).unwrap();
            let groups = found.map(|f| f.groups).unwrap_or_default();
            groups.iter().skip(1).map(|g| String::from_utf8_lossy(g).into_owned()).collect()
        };
        assert_eq!(
            groups(&digits(), "<1>2026/08/01 10:00:00,1234 +0530 h"),
            ["2026/08/01", "10:00:00", "123", "+05", "30"]
        );
        assert_eq!(groups(&digits(), "<1>2026-08-01T10:00:00.5Z h"), ["2026-08-01", "10:00:00", "", "Z", ""]);
        assert_eq!(
            groups(&named(), "Fri Aug 14 09:21:07 UTC 2026 h"),
            ["Aug", "14", "", "", "", "09:21:07", "2026", "UTC", ""]
        );
        assert_eq!(groups(&named(), "14-Aug-2026 9:21:07 h"), ["", "", "14", "Aug", "2026", "9:21:07", "", "", ""]);
        assert_eq!(groups(&named(), "Aug  8 09:41:13.303 UTC: ")[7..], ["UTC", ""]);
        assert_eq!(groups(&named(), "Aug  8 09:41:13 UTCX h")[7..], ["", ""]);
        assert_eq!(groups(&host(), "<1>Aug  1 10:00:00 UTC: h1: "), ["h1"]);
        assert_eq!(groups(&host(), "<1>Aug  1 10:00:00 2001:db8::1 x"), ["2001:db8::1"]);
        assert_eq!(groups(&first_host(), "<1>77: h1: *Aug  1 10:00:00 "), ["h1"]);
    }

    #[test]
    fn fit_into_the_configuration() {
        let all = [event(), front(), plain(true), plain(false), readable(true), readable(false), misread()];
        let more = [other_cisco(), pri(), digits(), named(), host(), first_host()];
        for pattern in all.into_iter().chain(more).chain([no_host(), one_line().into(), other_version().into()]) {
            assert!(!pattern.contains(['\'', '`']) && pattern.len() < 2000, "{pattern}");
            fancy_regex::Regex::new(&pattern).unwrap();
        }
    }
}
