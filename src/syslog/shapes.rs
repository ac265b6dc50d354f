//! The shapes of syslog headers, as expressions for the drop-ins of both daemons: what the agent reads rightly, what it
//! would misread, and where time and host stand in the others. Measured against the agent's own pattern (facts 1.11);
//! docs/rsyslog.md and docs/syslog-ng.md have the figures.
//!
//! Written in what POSIX and PCRE have in common and read alike: every group counts, alternatives need no order, no text
//! holds an apostrophe or a backtick. Kept cheap on purpose. An expression tied to the start of the line that never says
//! `.*` ends at the first character that does not fit, and costs less than a microsecond.

/// CEF with its seven bars, ASA and FTD with a severity and six digits, wherever they stand in the line: found every
/// event of a corpus of 529 lines and nothing else. Fewer bars are a CEF header quoted in some other message.
pub const EVENT: &str = "CEF: ?[0-9]+[|]([^|]*[|]){6}|%(ASA|FTD)-([A-Za-z_]+-)?[0-7]-[0-9]{6}";

/// The id of an ASA or FTD event up to its severity.
pub const CISCO: &str = "%(ASA|FTD)-([A-Za-z_]+-)?";

pub const MONTH: &str = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
pub const WEEKDAY: &str = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
pub const DAY: &str = "([12][0-9]|3[01]|0?[1-9])";
pub const YEAR: &str = "20[0-9]{2}";
/// A time of day that exists: the agent drops the others.
pub const CLOCK: &str = "([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
/// The same with two digits for the hour, which the agent wants in ISO times.
pub const ISO_CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const OFFSET: &str = "[+-][0-9]{2}:?[0-9]{2}";
/// Words for a time zone. A word of capitals is a host unless it is one of these.
const ZONE: &str = "(UTC|UCT|GMT|Z|[A-Z][SD]T|[CEW]ET|WEST|[CE]EST|A[CEKW][SD]T|NZ[SD]T|SAST|BRS?T|CLS?T|MS[DK]|MES?Z\
                    |[ECW]AT|ART|COT|HKT|ICT|MYT|NPT|PET|PHT|PKT|SGT|TRT|VET|WIB|WITA?|CHST)([+-][0-9:]+)?";
/// What may be a host. The agent takes anything without blank and colon.
const HOST: &str = "[A-Za-z0-9_][A-Za-z0-9._/-]*";
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
        format!("(:? {between}CEF: ?0[|]|( ?:| ) *%ASA-[0-7]-[0-9]{{6}})")
    } else {
        format!("(:? {between}CEF: ?[0-9]+[|]|( ?:| ) *{CISCO}[0-7]-[0-9]{{6}})")
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

/// The agent would take the word behind the time for the host, but it is a time zone, a year, the date of a second
/// header, `AM`.
pub fn misread() -> String {
    format!("^[^|%]*:[0-9]{{2}}([.,0-9]*(Z|{OFFSET}))? +({ZONE}|[0-9]+|{MONTH}|{WEEKDAY}|[AP]M)[ :]")
}

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
    format!("({MONTH}[a-z]* +{DAY}|{DAY}[ -]{MONTH})([ -]+{YEAR})? +{CLOCK}")
}

/// `Aug  1`.
pub fn month_day() -> String {
    format!("{MONTH} +{DAY}")
}

/// Between the time of day and the year of the C library's form (`Fri Aug 14 09:21:07 UTC 2026`).
pub fn before_late_year() -> String {
    format!("{MONTH} +{DAY} +{CLOCK}( +[A-Z]{{3,5}})? +")
}
pub const LATE_YEAR: &str = YEAR;
pub const AFTER_LATE_YEAR: &str = "(:? |:?$)";

/// Between the time of day and an offset that means the same everywhere; names of zones other than these do not.
pub fn before_offset() -> String {
    format!("{CLOCK}([.,][0-9]+)? ?")
}
pub const KNOWN_OFFSET: &str = "[+-][0-9]{2}(:?[0-9]{2})?|UTC|GMT|[Zz]";
pub const AFTER_OFFSET: &str = "([^0-9A-Za-z+-]|$)";

/// Seconds since 1970, with or without thousandths.
pub const EPOCH: &str = "[> ][0-9]{10}([.][0-9]+|[0-9]{3})?[ :]";
pub const BEFORE_EPOCH: &str = "[> ]";
pub const EPOCH_SECONDS: &str = "[0-9]{10}";

/// Everything up to a host that follows the first time of day (or epoch, or `…T092107Z`).
pub fn before_host() -> String {
    format!(
        "(([> Tt]|^|{YEAR}:)[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}})?|[> ][0-9]{{10}}([0-9]{{3}})?|T[0-9]{{6}})\
         ([.,][0-9]+)?( ?[AP]M)?( ?[Zz]| ?[+-][0-9]{{2}}(:?[0-9]{{2}})?)?( {YEAR})?:? +({ZONE}:? +)?({YEAR} +)?[[]?"
    )
}
pub fn host() -> String {
    format!("{HOST}|{IPV6}")
}
pub const AFTER_HOST: &str = "[]]?(:? |:?$)";

/// A host that stands before the time, or without any: Cisco's `SEQ: HOST: *Aug …`, `1 - HOST - …`, `HOST CEF:…`.
pub const BEFORE_FIRST_HOST: &str = "^(<[0-9]*>)?[ :]*([0-9]+: *|1 - )?";
pub const FIRST_HOST: &str = HOST;
pub fn after_first_host() -> String {
    format!("(: +[*.]?{MONTH}| +[*.]?({MONTH}|{YEAR})| +-|  ?$)")
}

/// No host: nothing, a number, a part of a date.
pub fn no_host() -> String {
    format!("^([0-9]*|{ZONE}|{MONTH}|{WEEKDAY})$")
}

/// A name or IPv4 address as a whole.
pub fn only_host() -> String {
    format!("^{HOST}$")
}
