//! The shapes of syslog headers, as expressions for the drop-ins of both daemons: what the agent reads rightly, what it
//! would misread, and where time and host stand in the others. Measured against the agent's own pattern (facts 1.11);
//! docs/rsyslog.md and docs/syslog-ng.md have the figures.
//!
//! Written in what POSIX and PCRE have in common and read alike: every group counts, alternatives need no order, no text
//! holds an apostrophe or a backtick. Kept cheap on purpose. An expression tied to the start of the line that never says
//! `.*` ends at the first character that does not fit, and costs less than a microsecond.

/// A pattern of the shapes whose groups do not count. Brackets that stand for themselves are escaped: engines of our own
/// language do not read them in brackets.
pub fn uncounted(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some((before, inside)) = rest.split_once('[') {
        out += &before.replace('(', "(?:");
        let negated = inside.starts_with('^');
        let members = inside.strip_prefix('^').unwrap_or(inside);
        // A bracket that comes first is a member.
        let first = usize::from(members.starts_with(']'));
        let end = members.get(first..).and_then(|m| m.find(']')).map_or(members.len(), |at| at + first);
        let (members, behind) = members.split_at(end);
        out += if negated { "[^" } else { "[" };
        out += &members.replace('[', r"\[").replace(']', r"\]");
        out.push(']');
        rest = behind.strip_prefix(']').unwrap_or(behind);
    }
    out + &rest.replace('(', "(?:")
}

/// CEF with its seven bars, ASA and FTD with a severity and six digits, wherever they stand in the line: found every
/// event of a corpus of 529 lines and nothing else. Fewer bars are a CEF header quoted in some other message.
pub const EVENT: &str = "CEF: ?[0-9]+[|]([^|]*[|]){6}|%(ASA|FTD)-([A-Za-z_]+-)?[0-7]-[0-9]{6}";

/// The id of an ASA or FTD event up to its severity.
pub const CISCO: &str = "%(ASA|FTD)-([A-Za-z_]+-)?";

pub const MONTH: &str = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
pub const WEEKDAY: &str = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
pub const DAY: &str = "([12][0-9]|3[01]|0?[1-9])";
pub const YEAR: &str = "(19|20)[0-9]{2}";
/// A time of day that exists: the agent drops the others.
pub const CLOCK: &str = "([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
/// The same with two digits for the hour, which the agent wants in ISO times.
pub const ISO_CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const OFFSET: &str = "[+-][0-9]{2}:?[0-9]{2}";
/// Words for a time zone. A word of capitals is a host unless it is one of these.
const ZONE: &str = "(UTC|UCT|GMT|Z|[A-Z][SD]T|[CEW]ET|WEST|[CE]EST|A[CEKW][SD]T|NZ[SD]T|SAST|BRS?T|CLS?T|MS[DK]|MES?Z\
                    |[ECW]AT|ART|COT|HKT|ICT|MYT|NPT|PET|PHT|PKT|SGT|TRT|VET|WIB|WITA?|CHST)([+-][0-9:]+)?";
/// What may be a host. The agent takes anything without blank and colon, and devices are called `HQ#1`, `fw(root)` or in
/// letters of any script; quotes, brackets and equals signs belong to other things than a host. A `]` comes first
/// in such a list, so that both languages take it for itself.
const HOST: &str = "[^][ \t:|%\"<>={};*.,()/@#&+~!?$^-][^][ \t:|%\"<>={};]*";
/// A name that no ordinary word looks like: with a digit, a dot or a dash in it.
const HOST_LIKE: &str = "([0-9]+[A-Za-z._-]|[A-Za-z_]+[0-9._-])[A-Za-z0-9._/-]*";
const IPV6: &str = "[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){1,6}:[0-9A-Fa-f]{1,4}([.][0-9.]+)?";
/// A host that is surely neither time zone, month, year nor nothing at all: six capitals and more, a small letter, a
/// dot, letters with digits …
const SURE_HOST: &str = "([A-Z]{6,}|[A-Z0-9]*([a-z_]|[A-Z0-9][._/-]|[A-Z][0-9]|[0-9][A-Z])[A-Za-z0-9._/-]*)";

/// `Aug  1 [2026] 10:00:00`, `1 Aug [2026] 10:00:00`.
fn bsd() -> String {
    format!("({MONTH}[a-z]* +{DAY}|{DAY} +{MONTH})( +{YEAR})? +{CLOCK}")
}

/// ISO times as the agent's pattern takes them whole: one character and three to twelve more behind the seconds.
fn iso() -> String {
    format!(
        "{YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T{ISO_CLOCK}\
         (([.,][0-9]{{1,6}})?{OFFSET}|[.,][0-9]{{2,9}}Z|[.,][0-9]{{7}}[+-][0-9]{{4}}|[.,][0-9]{{3,9}})"
    )
}

/// PRI and a time that the agent reads. `1 ` is the version of RFC 5424, other numbers and `*`, `.` are Cisco's.
fn head() -> String {
    format!("^(<[0-9]+>)+[ :]*(([0-9]+: *)?[*.]?({WEEKDAY} +)?{}|(1 )?{})", bsd(), iso())
}

/// What must follow the host, so that the agent finds the event: anything before CEF, nothing before an ASA id.
/// With `rewrite`, only events that need no rewriting.
fn event(between: &str, rewrite: bool) -> String {
    if rewrite {
        format!("((:? {between}|:)CEF: ?0[|]|( ?:| ) *%ASA-[0-7]-[0-9]{{6}})")
    } else {
        format!("((:? {between}|:)CEF: ?[0-9]+[|]|( ?:| ) *{CISCO}[0-7]-[0-9]{{6}})")
    }
}

/// Lines whose header the agent reads rightly, without any doubt about the host: nearly all real traffic.
pub fn plain(rewrite: bool) -> String {
    format!("{} +{SURE_HOST}{}", head(), event("[^|%]*", rewrite))
}

/// The same with any host and with bars in front of the event (structured data); see [`misread`].
pub fn readable(rewrite: bool) -> String {
    format!("{} +{HOST}{}", head(), event(".*", rewrite))
}

/// A Cisco event behind two headers, of which the agent reads the second: what the device itself says.
pub fn readable_second(rewrite: bool) -> String {
    let id = if rewrite { "%ASA-" } else { CISCO };
    format!("^<[0-9]+>[^|%]* ({MONTH} +{DAY} +{YEAR} +{CLOCK}|{}) +{HOST}( ?:| ) *{id}[0-7]-[0-9]{{6}}", iso())
}

/// The agent would take the word behind the time for the host, but it is a time zone, a year, the date of a second
/// header, `AM`, the name of the format.
pub fn misread() -> String {
    format!("^[^|%]*:[0-9]{{2}}([.,0-9]*(Z|{OFFSET}))? +({ZONE}|[0-9]{{1,4}}|{MONTH}|{WEEKDAY}|[AP]M|{FORMAT})[ :]")
}

/// Stands in front of the event as if it were a program's name.
const FORMAT: &str = "[Cc][Ee][Ff]";

/// What relays of the BSD kind put between the time and the host.
pub const FORWARDED: &str = "Message forwarded from ";

/// Between the header and the bar or percent sign that belongs to the event.
pub const EVENT_START: &str = "(CEF: ?[0-9]+[|]|%(ASA|FTD)-([A-Za-z_]+-)?[0-7]-[0-9]{6})";

/// Facility and severity as the standards allow them.
pub const PRI: &str = "19[01]|1[0-8][0-9]|[0-9]{1,2}";

/// A date as digits, in the order of ISO 8601.
pub fn digits_date() -> String {
    format!("{YEAR}[-/](0[1-9]|1[0-2])[-/](0[1-9]|[12][0-9]|3[01])")
}

/// Date and time of day as digits, whatever stands between them.
pub fn digits_time() -> String {
    format!("{}[Tt ]{ISO_CLOCK}", digits_date())
}

/// Date and time of day with the name of the month.
pub fn named_time() -> String {
    format!(
        "({MONTH}[a-z]* +{DAY},?|{DAY}[ /-]{MONTH}[a-z]*|{YEAR}[ /-]{MONTH}[a-z]*[ /-]+{DAY})([ /-]+{YEAR},?)?[ :]+{CLOCK}"
    )
}

/// The first date and time of a header, whichever way it is written, with its fraction, offset and late year (the C
/// library's `Fri Aug 14 09:21:07 UTC 2026`) as far as there are any. An IPv6 address that begins like a year
/// (`2001:db8::7`) is none.
pub fn stamp() -> String {
    let end = "([^0-9A-Za-z:+-]|:( |$))";
    format!(
        "({}|{})([.,][0-9]+)?(( ?[(]?({}))?[)]?( +[A-Z]{{3,5}})?( +{YEAR})?({end}|$))?",
        digits_time(),
        named_time(),
        offset_words()
    )
}

/// A clock of twelve hours with its `AM` or `PM`.
pub const HALF_DAY: &str = "[0-9]{1,2}:[0-5][0-9]:[0-5][0-9]([.,][0-9]+)? ?[AaPp][Mm]";
pub const AFTER_HALF_DAY: &str = "([^0-9A-Za-z]|$)";

// ---- dates in another order, or other marks between their parts ----

pub const MONTH_NUMBER: &str = "(0?[1-9]|1[0-2])";
pub const AFTER_ODD: &str = "([^0-9]|$)";
pub const BEFORE_ODD: &str = "(^|[^0-9./-])";
/// The one or the other of day and month.
pub const ODD_FIRST: &str = "[0-9]{1,2}";
pub const ODD_MARK: &str = "[./-]";
/// Between date and time of day.
pub const ODD_BETWEEN: &str = "[Tt ,:_-]+";
/// A time of day without colons.
pub const ODD_CLOCK: &str = "([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]";

/// `08/14/2026`, `14.8.26`, `14-Aug-26`.
fn odd_day_first() -> String {
    format!("{DAY}{ODD_MARK}({DAY}|{MONTH}){ODD_MARK}({YEAR}|[0-9]{{2}})")
}

/// `2026.08.14`, `2026-8-4`, `20260814`.
fn odd_year_first() -> String {
    format!("{YEAR}({ODD_MARK}{MONTH_NUMBER}{ODD_MARK}{DAY}|(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]))")
}

/// Date and time of day in digits that [`stamp`] does not know.
pub fn odd_time() -> String {
    format!(
        "({}|{}){ODD_BETWEEN}{CLOCK}|{YEAR}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[Tt ]?{ODD_CLOCK}",
        odd_day_first(),
        odd_year_first()
    )
}

// ---- pieces of a stamp ----

pub fn before_day() -> String {
    format!("{MONTH}[a-z]*[ /-]+")
}
pub const AFTER_DAY: &str = "[ /-]";
pub const BEFORE_CLOCK: &str = "[ :]";
pub const BEFORE_YEAR: &str = "(^|[ /-])";
pub const AFTER_YEAR: &str = "([^0-9A-Za-z]|$)";

/// Between the time of day and its offset.
pub fn before_offset() -> String {
    format!("{CLOCK}([.,][0-9]+)? ?[(]?")
}
pub const AFTER_OFFSET: &str = "([^0-9A-Za-z+-]|$)";

/// Names of time zones that mean one offset wherever they are used. `CST`, `IST`, `BST` and the like mean several.
pub const ZONES: &[(&str, &[&str])] = &[
    ("Z", &["UTC", "UCT", "GMT", "WET", "Z", "z"]),
    ("+01:00", &["CET", "MEZ", "WEST"]),
    ("+02:00", &["CEST", "MESZ", "EET", "SAST"]),
    ("+03:00", &["EEST", "MSK", "TRT"]),
    ("+05:00", &["PKT"]),
    ("+07:00", &["ICT", "WIB"]),
    ("+08:00", &["AWST", "HKT", "MYT", "PHT", "SGT"]),
    ("+09:00", &["JST", "KST"]),
    ("+10:00", &["AEST"]),
    ("+11:00", &["AEDT"]),
    ("+12:00", &["NZST"]),
    ("+13:00", &["NZDT"]),
    ("-03:00", &["BRT"]),
    ("-04:00", &["EDT"]),
    ("-05:00", &["CDT", "COT", "EST"]),
    ("-06:00", &["MDT"]),
    ("-07:00", &["MST", "PDT"]),
    ("-08:00", &["AKDT", "PST"]),
    ("-09:00", &["AKST"]),
];

/// An offset that means the same everywhere, as number or name.
pub fn offset_words() -> String {
    let names: Vec<&str> = ZONES.iter().flat_map(|(_, names)| *names).copied().collect();
    format!("(UTC|GMT)?[+-][0-9]{{1,2}}(:?[0-9]{{2}})?|{}", names.join("|"))
}

/// Seconds since 1970, with or without thousandths.
pub const EPOCH: &str = "(^|[> []|: ?)[1-9][0-9]{9}([.][0-9]+|[0-9]{3}|[0-9]{6})?([] :]|$)";
pub const BEFORE_EPOCH: &str = "(^|[> []|: ?)";
pub const EPOCH_SECONDS: &str = "[1-9][0-9]{9}";

/// Everything up to a host that follows the first time of day (or epoch, or `…T092107Z`).
pub fn before_host() -> String {
    format!(
        "(([> Tt]|^|{YEAR}:)[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}})?|([> []|^)[0-9]{{10}}([0-9]{{3}}|[0-9]{{6}})?)\
         ([.,:][0-9]+)?( ?[AP]M)?( ?[Zz]| ?[+-][0-9]{{2}}(:?[0-9]{{2}})?)?[]]?( [(][A-Z]{{1,5}}[)])?( {YEAR})?\
         ( {WEEKDAY})?( {MONTH} +{DAY}( +{YEAR})?)?[]]?:? +({ZONE}:? +)?(({WEEKDAY} +)?{MONTH} +{DAY} +{YEAR} +)?({YEAR} +)?\
         ({FORWARDED} *)?[[]?"
    )
}
pub fn host() -> String {
    format!("{HOST}|{IPV6}")
}
pub const AFTER_HOST: &str = "[]]?(:[0-9]{1,5})?(:? |:?$|%)";

/// A host that stands before the time, or without any: Cisco's `SEQ: HOST: *Aug …`, `HOST CEF:…`.
pub const BEFORE_FIRST_HOST: &str = "^(<[0-9]*>)?[ :]*([0-9]+: *)?";
/// As [`HOST`], but no number: that would be Cisco's sequence, or seconds since 1970.
pub const FIRST_HOST: &str = "([0-9]+[^][ \t:|%\"<>={};0-9]|[A-Za-z_])[^][ \t:|%\"<>={};]*";
pub fn after_first_host() -> String {
    format!("(: +([0-9]+: *)?[*.]?{MONTH}| +([0-9]+: *)?[*.[]?({MONTH}|{YEAR}|{DAY}/{MONTH})| +-|  ?$)")
}

/// A host of RFC 5424 behind a time that is not there (`1 - HOST …`).
pub const BEFORE_TIMELESS_HOST: &str = "^(<[0-9]*>)?[ :]*1 +- +";
pub const AFTER_TIMELESS_HOST: &str = " ";

/// A host without a time, in front of a program's name: `HOST PROGRAM: CEF:…`.
pub const BEFORE_LONE_HOST: &str = "^(<[0-9]*>)?[ :]*";
pub const LONE_HOST: &str = HOST_LIKE;
pub const AFTER_LONE_HOST: &str = " +[^ :]+:? *$";

/// No host: nothing, a number that may be a year, a date or a part of one, seconds since 1970 with a fraction, the name
/// of the format.
pub fn no_host() -> String {
    format!(
        "^([0-9]{{0,4}}|[0-9]+[./-][0-9]+[/-][0-9T]*|[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}}|[0-9]{{10}}[.][0-9]+\
         |[0-9]{{8}}[Tt][0-9]{{6}}[Zz]?|{ZONE}|{MONTH}|{WEEKDAY}|{FORMAT})$"
    )
}

/// A name or IPv4 address as a whole, and nothing that may be an ordinary word.
pub fn only_host() -> String {
    format!("^{HOST_LIKE}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_told_from_groups() {
        assert_eq!(uncounted("(a)[^][(]?[(]([[]b[]])"), r"(?:a)[^\]\[(]?[(](?:[\[]b[\]])");
    }
}
