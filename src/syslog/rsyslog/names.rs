//! The names rsyslog knows: message properties and script functions.

/// Properties, as written in a property filter or behind the dollar sign of an expression.
const PROPERTIES: [&str; 56] = [
    "msg",
    "timestamp",
    "timereported",
    "hostname",
    "source",
    "syslogtag",
    "rawmsg",
    "rawmsg-after-pri",
    "inputname",
    "fromhost",
    "fromhost-ip",
    "fromhost-port",
    "pri",
    "pri-text",
    "iut",
    "syslogfacility",
    "syslogfacility-text",
    "syslogseverity",
    "syslogpriority",
    "syslogseverity-text",
    "syslogpriority-text",
    "timegenerated",
    "timereceived",
    "programname",
    "protocol-version",
    "structured-data",
    "app-name",
    "procid",
    "msgid",
    "jsonmesg",
    "parsesuccess",
    "uuid",
    "$now",
    "$year",
    "$month",
    "$day",
    "$hour",
    "$hhour",
    "$qhour",
    "$minute",
    "$wday",
    "$now-utc",
    "$year-utc",
    "$month-utc",
    "$day-utc",
    "$hour-utc",
    "$hhour-utc",
    "$qhour-utc",
    "$minute-utc",
    "$wday-utc",
    "$now-unixtimestamp",
    "$myhostname",
    "$!all-json",
    "$!all-json-plain",
    "$bom",
    "$uptime",
];

/// Is this a property of every event? Variables (`!a`, `.a`, `/a`) are not.
pub fn is_property(name: &[u8]) -> bool {
    PROPERTIES.iter().any(|p| p.as_bytes().eq_ignore_ascii_case(name))
}

/// Is this a variable (message `!`, local `.`, global `/`)?
pub fn is_variable(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'!' | b'.' | b'/'))
}

/// A function with the least and the most parameters it takes. Names are case-sensitive.
pub struct Function {
    pub name: &'static str,
    pub params: std::ops::RangeInclusive<usize>,
    /// Not yet known to version 8.2302.
    pub newer: bool,
}

const fn old(name: &'static str, least: usize, most: usize) -> Function {
    Function { name, params: least..=most, newer: false }
}

const fn newer(name: &'static str, least: usize, most: usize) -> Function {
    Function { name, params: least..=most, newer: true }
}

const FUNCTIONS: [Function; 45] = [
    old("strlen", 1, 1),
    old("getenv", 1, 1),
    old("num2ipv4", 1, 1),
    old("int2hex", 1, 1),
    old("substring", 3, 3),
    old("ltrim", 1, 1),
    old("rtrim", 1, 1),
    old("tolower", 1, 1),
    newer("toupper", 1, 1),
    old("cstr", 1, 1),
    old("cnum", 1, 1),
    newer("cbool", 1, 1),
    old("ip42num", 1, 1),
    old("ipv42num", 1, 1),
    old("re_match", 2, 2),
    old("re_match_i", 2, 2),
    old("re_extract", 5, 5),
    old("re_extract_i", 5, 5),
    old("field", 3, 3),
    old("exec_template", 1, 1),
    old("prifilt", 1, 1),
    old("lookup", 2, 2),
    old("dyn_inc", 2, 2),
    old("percentile_observe", 3, 3),
    old("replace", 3, 3),
    old("wrap", 2, 3),
    old("random", 1, 1),
    old("format_time", 2, 2),
    old("parse_time", 1, 1),
    newer("parse_time_localtz", 1, 1),
    old("is_time", 1, 2),
    old("parse_json", 2, 2),
    old("get_property", 2, 2),
    old("script_error", 0, 0),
    old("previous_action_suspended", 0, 0),
    newer("b64_decode", 1, 1),
    newer("split", 2, 2),
    newer("is_in_subnet", 2, 2),
    newer("append_json", 2, 3),
    newer("tocef", 8, 8),
    newer("cef_ext_escape", 1, 1),
    // These come with the modules fmhash, fmhttp and fmpcre.
    old("hash64", 1, 2),
    old("hash64mod", 2, 3),
    old("http_request", 1, 1),
    old("pcre_match", 2, 2),
];

pub fn function(name: &[u8]) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.as_bytes() == name)
}
