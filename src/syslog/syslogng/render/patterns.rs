//! The patterns of our drop-in (PCRE), made of the shapes that both daemons share: what a line holds is found by the same
//! expressions, whoever reads it. What is added here is which pieces of them are kept as `$1`, `$2` …
//!
//! None holds a single quote (they stand in such) or a backtick (the daemon would look for a definition).

use crate::syslog::shapes::{self as p, uncounted};

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

/// Where the next event of a datagram begins that holds several, one a line.
pub(super) fn next_event() -> String {
    format!(r"[\r\x00]*\n(?=<[0-9]+>[^\n]*(?:{}))", uncounted(p::EVENT_START))
}

/// In what follows the first event of a datagram: priority, and the rest of a header that the agent does not read rightly.
pub(super) fn further_head(rewrite_ids: bool) -> String {
    let plain = uncounted(&p::plain(rewrite_ids));
    let plain = plain.trim_start_matches('^');
    format!(r"\n(?!(?![^\n|%]*{}){plain})(<[0-9]+>)[^\n]*?(?={})", p::FORWARDED, event())
}

/// The expressions by which the agent reads the header rightly: `plain`, or `readable` and not `misread`.
pub(super) fn plain(rewrite_ids: bool) -> String {
    uncounted(&p::plain(rewrite_ids))
}

pub(super) fn readable(rewrite_ids: bool) -> String {
    uncounted(&p::readable(rewrite_ids))
}

pub(super) fn readable_second(rewrite_ids: bool) -> String {
    uncounted(&p::readable_second(rewrite_ids))
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

/// The first date and time of day, with all that belongs to it.
pub(super) fn stamp() -> String {
    format!("({})", uncounted(&p::stamp()))
}

/// A clock of twelve hours: hour, the rest, `A` or `P`.
pub(super) fn half_day() -> String {
    "(?<![0-9])0?([0-9]{1,2})(:[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?) ?([AaPp])[Mm](?![0-9A-Za-z])".into()
}

/// `2026.08.14 09:21:07`, `20260814T092107`: year, month, day, hour, minute, second.
pub(super) fn odd_year_first() -> String {
    let (year, between) = (uncounted(p::YEAR), uncounted(p::ODD_BETWEEN));
    format!(
        "(?<![0-9./-])({year})(?:[./-](?=[0-9]+[./-])|(?=[0-9]{{4}}))(0[1-9]|1[0-2]|[1-9])[./-]?\
         (0[1-9]|[12][0-9]|3[01]|[1-9])(?:{between}|[Tt ]?(?=[0-9]{{6}}(?![0-9])))\
         ([01]?[0-9]|2[0-3]):?([0-5][0-9]):?([0-5][0-9])(?![0-9])"
    )
}

/// `08/14/2026 09:21:07`, `14-Aug-26 …`: one of day and month, the mark behind it, the other, year, time of day.
pub(super) fn odd_day_first() -> String {
    let [day, month, year, mark, between, clock] =
        [p::DAY, p::MONTH, p::YEAR, p::ODD_MARK, p::ODD_BETWEEN, p::CLOCK].map(uncounted);
    format!("(?<![0-9./-])({day})({mark})({day}|{month}){mark}({year}|[0-9]{{2}}){between}({clock})(?![0-9])")
}

/// Of `MARK|FIRST|SECOND|THIS MONTH`, the mark with an `h` behind it for a clock of twelve hours: the day stands first.
/// That is so where nothing else is possible, and before dots; a clock of twelve hours is American; else the month is the
/// number that is this month, else the first where a slash stands, the second where a dash.
pub(super) fn day_is_first() -> &'static str {
    "^(?:..?[|](?:1[3-9]|[23][0-9])[|]|[.]h?[|]..[|](?:0[1-9]|1[0-2])[|]|\
     [/-][|](?!(..)[|]..[|]\\1)..[|](..)[|]\\2|-[|](?!(..)[|]..[|]\\3)..[|](?:0[1-9]|1[0-2])[|])"
}

/// Seconds since 1970.
pub(super) fn epoch() -> String {
    let behind = uncounted(p::EPOCH.split_once(p::EPOCH_SECONDS).map_or("", |(_, behind)| behind));
    format!("{}({}){behind}", uncounted(p::BEFORE_EPOCH), p::EPOCH_SECONDS)
}

/// A host behind the time.
pub(super) fn host() -> String {
    taken(&p::before_host(), &p::host(), p::AFTER_HOST)
}

/// Hosts before the time, or without one.
pub(super) fn other_hosts() -> [String; 3] {
    [
        taken(p::BEFORE_FIRST_HOST, p::FIRST_HOST, &p::after_first_host()),
        taken(p::BEFORE_TIMELESS_HOST, &p::host(), p::AFTER_TIMELESS_HOST),
        taken(p::BEFORE_LONE_HOST, p::LONE_HOST, p::AFTER_LONE_HOST),
    ]
}

/// `piece` between `before` and `after`, as group 1.
fn taken(before: &str, piece: &str, after: &str) -> String {
    format!("{}({}){}", uncounted(before), uncounted(piece), uncounted(after))
}

// ---- of a stamp ----

pub(super) fn offset() -> String {
    taken(&p::before_offset(), &p::offset_words(), p::AFTER_OFFSET)
}

/// Date and time of day in digits.
pub(super) fn digits() -> String {
    format!("({})[Tt ]({})", uncounted(&p::digits_date()), uncounted(p::ISO_CLOCK))
}

pub(super) fn thousandths() -> String {
    taken(&format!("{}[.,]", p::digits_time()), "[0-9]{3}", "")
}

pub(super) fn month() -> String {
    taken("", p::MONTH, "")
}

/// Before the month, or behind it.
pub(super) fn days() -> [String; 2] {
    [taken("^", p::DAY, p::AFTER_DAY), taken(&p::before_day(), p::DAY, "")]
}

pub(super) fn year() -> String {
    taken(p::BEFORE_YEAR, p::YEAR, p::AFTER_YEAR)
}

pub(super) fn clock() -> String {
    taken(p::BEFORE_CLOCK, p::CLOCK, "")
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
        let stamp = |text: &str| groups(&stamp(), text).concat();
        assert_eq!(stamp("<1>2026/08/01 10:00:00,1234 +0530 h"), "2026/08/01 10:00:00,1234 +0530 ");
        assert_eq!(stamp("Fri Aug 14 09:21:07 CEST 2026 h"), "Aug 14 09:21:07 CEST 2026 ");
        assert_eq!(stamp("Fri, 14 Aug 2026 09:21:07 GMT h"), "14 Aug 2026 09:21:07 GMT ");
        assert_eq!(stamp("<1>Aug 14 09:21:09 r Aug 14 2026 09:21:07 UTC: "), "Aug 14 09:21:09 ");
        assert_eq!(groups(&offset(), "Aug  8 09:41:13.303 UTC:"), ["UTC"]);
        assert_eq!(groups(&offset(), "Aug  8 09:41:13 GMT+2 "), ["GMT+2"]);
        assert!(groups(&offset(), "Aug  8 09:41:13 UTCX ").is_empty());
        assert_eq!(groups(&year(), "Aug 14 09:21:07 CEST 2026 "), ["2026"]);
        assert!(groups(&year(), "Aug 14 09:21:07.2034 +2000 ").is_empty());
        assert_eq!(groups(&days()[0], "14/Aug/2026:09:21:07 "), ["14"]);
        assert_eq!(groups(&days()[1], "Aug 14, 2026 09:21:07 "), ["14"]);
        assert_eq!(groups(&host(), "<1>Aug  1 10:00:00 UTC: h1: "), ["h1"]);
        assert_eq!(groups(&host(), "<1>Aug  1 10:00:00 2001:db8::1 x"), ["2001:db8::1"]);
        assert_eq!(groups(&host(), "<1>09:21:07.123 UTC Fri Aug 14 2026 h1 "), ["h1"]);
        let [first, timeless, lone] = other_hosts();
        assert_eq!(groups(&first, "<1>77: h1: *Aug  1 10:00:00 "), ["h1"]);
        assert_eq!(groups(&timeless, "<1>1 - h1 app - - - "), ["h1"]);
        assert_eq!(groups(&lone, "<1>fw-7 app[3]: "), ["fw-7"]);
        assert!(groups(&lone, "<1>Security Center: ").is_empty());
    }

    #[test]
    fn fit_into_the_configuration() {
        let all = [event(), front(), plain(true), plain(false), readable(true), readable(false), misread()];
        let [a, b, c] = other_hosts();
        let [d, e] = days();
        let more =
            [other_cisco(), pri(), stamp(), half_day(), digits(), thousandths(), month(), year(), clock(), offset()];
        let odd = [next_event(), further_head(true), odd_year_first(), odd_day_first(), day_is_first().into(), epoch()];
        let more = more.into_iter().chain(odd).chain([host(), a, b, c, d, e, readable_second(true)]);
        for pattern in all.into_iter().chain(more).chain([no_host(), one_line().into(), other_version().into()]) {
            assert!(!pattern.contains(['\'', '`']) && pattern.len() < 2000, "{pattern}");
            fancy_regex::Regex::new(&pattern).unwrap();
        }
    }
}
