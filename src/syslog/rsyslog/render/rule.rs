//! The ruleset that finds security events and sends them on: with their original bytes where the agent reads the header
//! rightly, with a header made from what the line says where it would drop the event or misread its host or time.
//!
//! Order of cost: the filter for every message (under a microsecond for the others), one more expression for events
//! with an ordinary header, and the long way only for the rest.

use super::DropIn;
use super::script::{matches, part, quoted, whole};
use crate::syslog::shapes as p;

const RAW: &str = "$rawmsg";
pub(super) const HEAD: &str = "$.cefctl_head";
const EVENT: &str = "$.cefctl_event";
const TIME: &str = "$.cefctl_time";
const HOST: &str = "$.cefctl_host";
pub(super) const STAMP: &str = "$.cefctl_stamp";
const OFFSET: &str = "$.cefctl_offset";
pub(super) const NONE: &str = "\"\"";
const LINE: &str = "$.cefctl_line";
/// What a header is made for: the line, or a piece of it.
const PIECE: &str = "$.cefctl_piece";
const NUMBER: &str = "$.cefctl_number";

/// First version with `substring()`; `format_time()` is a little older.
const SUBSTRING: (u32, u32, u32) = (8, 32, 0);

/// Makes the header of one event.
const HEADER: &str = "cefctl_header";
/// Takes a datagram of several events apart.
const SEVERAL: &str = "cefctl_several";
/// Pieces of a datagram; more than the shortest events that fit into one would only cost stack.
const MOST_PIECES: u32 = 500;

/// The ruleset for events, and those that it calls.
pub fn ruleset(drop_in: &DropIn) -> String {
    let (name, forward) = (super::CALLABLE, super::QUEUE_FILE);
    let cut = Cut { substring: drop_in.version >= SUBSTRING };
    let (filter, raw) = (matches(RAW, p::EVENT), raw(drop_in));
    let strip = strip(&cut);
    let several = matches(RAW, &format!("#012<[0-9]+>.*{}", p::EVENT_START));
    format!(
        r##"# Security events go to the agent. Whoever calls this ruleset finds "yes" in $.cefctl_sent for them.
ruleset(name="{name}") {{
  # CEF with its seven bars, Cisco ASA and FTD ids
  if $.cefctl_sent != "yes" and {filter} then {{
    set $.cefctl_sent = "yes";
    # The agent reads this header rightly: the original bytes.
    if {raw} then {{
      set {LINE} = $rawmsg;
    # It would drop the event, or misread its host or time: a header made of what the line says, then the event.
    }} else {{
      set {PIECE} = $rawmsg;
      call {HEADER}
    }}
    # line feeds and carriage returns, as rsyslog spells them
    if not ($rawmsg contains "#01") then {{
      call {forward}
    }} else if {several} then {{
      set {NUMBER} = 0;
      call {SEVERAL}
    }} else {{
{strip}      call {forward}
    }}
  }}
}}
{}{}"##,
        header(drop_in, &cut),
        pieces(&cut)
    )
}

/// A sender put several events into one datagram, one a line: each with a header of its own, for the agent reads one of
/// them. A ruleset that calls itself, since the language has no loop for this.
fn pieces(cut: &Cut) -> String {
    let (forward, strip, event) = (super::QUEUE_FILE, strip(cut), matches(PIECE, p::EVENT));
    format!(
        r##"# Several events in one datagram, one a line: each goes on with a header of its own.
ruleset(name="{SEVERAL}") {{
  set {NUMBER} = {NUMBER} + 1;
  set {PIECE} = field($rawmsg, "#012<", {NUMBER});
  if {PIECE} != "***FIELD NOT FOUND***" and {NUMBER} < {MOST_PIECES} then {{
    if {NUMBER} > 1 then
      set {PIECE} = "<" & {PIECE};
    if {event} then {{
      call {HEADER}
{strip}      call {forward}
    }}
    call {SEVERAL}
  }}
}}
"##
    )
}

/// Behind the agent's own forward: what it has got goes nowhere else.
pub fn end() -> String {
    let filter = matches(RAW, p::EVENT);
    format!(
        "\n# The agent's own file, which is read before this one, has handed these on; the local files need no copy.\nif {filter} then stop\n"
    )
}

/// Does the agent read the header rightly?
fn raw(d: &DropIn) -> String {
    let plain = matches(RAW, &p::plain(d.rewrite_ids));
    let readable = matches(RAW, &p::readable(d.rewrite_ids));
    let misread = matches(RAW, &p::misread());
    let second = matches(RAW, &p::readable_second(d.rewrite_ids));
    let forwarded = quoted(p::FORWARDED);
    format!(
        "not ($rawmsg contains {forwarded})\n       and ({plain}\n         or (({readable}\n             or {second})\n           and not {misread}))"
    )
}

/// How a piece of a text is taken. `substring()` costs nothing; an expression up to the end of a long event does.
struct Cut {
    substring: bool,
}

impl Cut {
    /// `text` without its first `strlen(first)` bytes.
    fn behind(&self, text: &str, first: &str, pattern: &str) -> String {
        if self.substring {
            format!("substring({text}, strlen({first}), strlen({text}) - strlen({first}))")
        } else {
            part(text, pattern, ".*", "", NONE)
        }
    }
}

/// The line for the agent: a header made of what the piece says, then its event.
fn header(d: &DropIn, cut: &Cut) -> String {
    let head = part(PIECE, "^", "[^|%]*", p::EVENT_START, "\"|\"");
    let far_event = whole(PIECE, &format!("({}).*", p::EVENT));
    let event = if cut.substring {
        format!("substring({PIECE}, strlen({HEAD}), strlen({PIECE}) - strlen({HEAD}))")
    } else {
        far_event.clone()
    };
    let far_head = whole(PIECE, "^[^|%]*");
    let ids = if d.rewrite_ids { rewritten_ids(cut) } else { String::new() };
    let parts = format!(
        "      set {HEAD} = replace({HEAD}, \"\\t\", \" \");\n{}{}{}",
        super::dates::half_day(),
        time(cut),
        host()
    );
    let parts: String = parts.lines().map(|line| format!("  {line}\n")).collect();
    let pri = part(HEAD, "<", p::PRI, ">", "\"13\"");
    let made = format!(
        r##"      set {HEAD} = {head};
      if {HEAD} != "|" then {{
        set {EVENT} = {event};
      # a bar or percent sign stands before the event
      }} else {{
        set {EVENT} = {far_event};
        set {HEAD} = {far_head};
      }}
{ids}      # nothing but a priority in front: the time of reception, and the sender
      if strlen({HEAD}) < 7 and {HEAD} startswith "<" then {{
        set {TIME} = exec_template("cefctl_now");
        set {HOST} = $fromhost;
      }} else {{
{parts}      }}
      # Colons would cut the host; an IPv6 address is written with dashes.
      set {LINE} = "<" & {pri} & ">"
        & {TIME} & " " & replace(replace({HOST}, "::ffff:", ""), ":", "-") & " " & {EVENT};
"##
    );
    let made: String = made.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    format!("# The header of one event, made of what the line says.\nruleset(name=\"{HEADER}\") {{\n{made}}}\n")
}

/// `%FTD-6-430003`, `%ASA-session-6-302013`, `CEF:1|` become what the agent knows.
fn rewritten_ids(cut: &Cut) -> String {
    let cisco = matches(EVENT, "^%");
    let id = part(EVENT, &format!("^{}", p::CISCO), "[0-7]-[0-9]{6}", "", NONE);
    let old_id = whole(EVENT, &format!("^{}[0-7]-[0-9]{{6}}", p::CISCO));
    let behind_id = cut.behind(EVENT, "$.cefctl_old", &format!("^{}[0-7]-[0-9]{{6}}", p::CISCO));
    let version_0 = matches(EVENT, "^CEF: ?0[|]");
    let old_version = whole(EVENT, "^CEF: ?[0-9]+");
    let behind_version = cut.behind(EVENT, "$.cefctl_old", "^CEF: ?[0-9]+");
    format!(
        r##"      # asked for with --rewrite-ids: ids and versions that the agent does not know
      if {cisco} then {{
        set $.cefctl_old = {old_id};
        set {EVENT} = "%ASA-" & {id} & {behind_id};
      }} else if not {version_0} then {{
        set $.cefctl_old = {old_version};
        set {EVENT} = "CEF:0" & {behind_version};
      }}
"##
    )
}

/// The time of the line, in a form that the agent takes; the time of reception where there is none.
fn time(cut: &Cut) -> String {
    let stamp = whole(HEAD, &p::stamp());
    let odd = super::dates::odd(&stamp);
    let offset = part(STAMP, &p::before_offset(), &p::offset_words(), p::AFTER_OFFSET, NONE);
    let offset = format!("{}{}", format_args!("      set {OFFSET} = {offset};\n"), offsets());
    let digits = p::digits_time();
    let numeric = whole(STAMP, &digits);
    let thousandths = part(STAMP, &format!("{digits}[.,]"), "[0-9]{3}", "", "\"000\"");
    let seconds = part(HEAD, p::BEFORE_EPOCH, p::EPOCH_SECONDS, "", "\"0\"");
    let convert = match cut.substring {
        true => {
            format!("        set {TIME} = replace(format_time(cnum({seconds}), \"date-rfc3339\"), \"Z\", \".000Z\");\n")
        }
        false => super::dates::epoch(&seconds, TIME),
    };
    let epoch = format!("      }} else if {STAMP} == \"\" and {} then {{\n{convert}", matches(HEAD, p::EPOCH));
    let named = named();
    format!(
        r##"      # time: 2026-08-01T10:00:00.000Z; without an offset the agent takes it for local time, as it does with Aug  1
      set {STAMP} = {stamp};
{odd}{offset}      set {TIME} = {numeric};
      if {TIME} != "" then {{
        set {TIME} = replace(replace(replace({TIME}, "/", "-"), " ", "T"), "t", "T")
          & "." & {thousandths}
          & {OFFSET};
{epoch}      }} else if {STAMP} == "" then {{
        set {TIME} = exec_template("cefctl_now");
      }} else {{
{named}      }}
"##
    )
}

/// Offsets in the one form that stands in ISO times: `Z`, `+02:00`, `+0200`.
fn offsets() -> String {
    let mut out = format!("      if {} then {{\n", matches(OFFSET, "^[A-Za-z]+$"));
    for (n, (offset, names)) in p::ZONES.iter().enumerate() {
        let names: Vec<String> = names.iter().map(|n| quoted(n)).collect();
        let word = if n == 0 { "if" } else { "else if" };
        out += &format!(
            "        {word} {OFFSET} == [{}] then\n          set {OFFSET} = {};\n",
            names.join(", "),
            quoted(offset)
        );
    }
    out += &format!(
        r##"      }} else if {OFFSET} != "" then {{
        set {OFFSET} = replace(replace({OFFSET}, "UTC", ""), "GMT", "");
        if strlen({OFFSET}) == 2 then
          set {OFFSET} = replace(replace({OFFSET}, "+", "+0"), "-", "-0");
        if strlen({OFFSET}) == 3 then
          set {OFFSET} = {OFFSET} & ":00";
      }}
"##
    );
    out
}

/// A date with the name of a month. With an offset the agent reads it in digits only; where it names no year it is this
/// one, or where December meets January its neighbour.
fn named() -> String {
    let month = whole(STAMP, p::MONTH);
    let day = part(STAMP, &p::before_day(), p::DAY, "", NONE);
    let first_day = part(STAMP, "^", p::DAY, p::AFTER_DAY, NONE);
    let year = part(STAMP, p::BEFORE_YEAR, p::YEAR, p::AFTER_YEAR, NONE);
    let clock = part(STAMP, p::BEFORE_CLOCK, p::CLOCK, "", NONE);
    let (month_name, day_name, year_name, clock_name) =
        ("$.cefctl_month", "$.cefctl_day", "$.cefctl_year", "$.cefctl_clock");
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = (1..)
        .zip(months)
        .fold(month_name.to_owned(), |text, (n, name)| format!("replace({text}, \"{name}\", \"{n:02}\")"));
    format!(
        r##"        set {month_name} = {month};
        set {day_name} = {first_day};
        if {day_name} == "" then
          set {day_name} = {day};
        set {year_name} = {year};
        set {clock_name} = {clock};
        if {OFFSET} == "" then {{
          set {TIME} = replace({month_name} & " " & {day_name} & " " & {year_name} & " " & {clock_name}, "  ", " ");
        }} else {{
          set {month_name} = {number};
          if strlen({day_name}) == 1 then
            set {day_name} = "0" & {day_name};
          if strlen({clock_name}) == 7 then
            set {clock_name} = "0" & {clock_name};
          if {year_name} == "" then {{
            set {year_name} = $$year;
            if {month_name} == "12" and $$month == "01" then
              set {year_name} = cnum($$year) - 1;
            else if {month_name} == "01" and $$month == "12" then
              set {year_name} = cnum($$year) + 1;
          }}
          set {TIME} = {year_name} & "-" & {month_name} & "-" & {day_name} & "T" & {clock_name} & ".000" & {OFFSET};
        }}
"##
    )
}

/// The host of the line: behind the time, before it, without one, as rsyslog found it, or the sender.
fn host() -> String {
    let tries = [
        part(HEAD, &p::before_host(), &p::host(), p::AFTER_HOST, NONE),
        part(HEAD, p::BEFORE_FIRST_HOST, p::FIRST_HOST, &p::after_first_host(), NONE),
        part(HEAD, p::BEFORE_TIMELESS_HOST, &p::host(), p::AFTER_TIMELESS_HOST, NONE),
        part(HEAD, p::BEFORE_LONE_HOST, p::LONE_HOST, p::AFTER_LONE_HOST, NONE),
    ];
    let none = matches(HOST, &p::no_host());
    let name = matches("$hostname", &p::only_host());
    let no_name = matches("$hostname", &p::no_host());
    let mut out =
        String::from("      # host: behind the time, before it, without one, as rsyslog found it, else the sender\n");
    for (depth, find) in tries.iter().enumerate() {
        let indent = "  ".repeat(depth);
        out += &format!("      {indent}set {HOST} = {find};\n      {indent}if {none} then {{\n");
    }
    let indent = "  ".repeat(tries.len());
    out += &format!(
        "      {indent}if {name} and not {no_name} then\n        {indent}set {HOST} = $hostname;\n\
         {indent}      else\n        {indent}set {HOST} = $fromhost;\n      {}\n",
        "}".repeat(tries.len())
    );
    out
}

/// What a sender of CR LF leaves behind, or of empty lines: rsyslog spells control characters out on reception.
fn strip(cut: &Cut) -> String {
    let ends = "(#01[25]|#000)+$";
    let (found, tail) = (matches(LINE, ends), whole(LINE, ends));
    let without = if cut.substring {
        format!("substring({LINE}, 0, strlen({LINE}) - strlen({tail}))")
    } else {
        part(LINE, "^", ".*", ends, LINE)
    };
    let strip = format!("      if {LINE} contains \"#01\" and {found} then\n        set {LINE} = {without};\n");
    // The greedy first part of the long form leaves all of them but one.
    if cut.substring { strip } else { strip.repeat(2) }
}

/// One connection to the agent, behind a queue that outlives its absence and the daemon's restart.
pub fn forward(d: &DropIn) -> String {
    let (port, disk) = (d.agent_port, d.queue_disk);
    let flow = if d.version >= super::FLOW_CONTROL { " queue.takeFlowCtlFromMsg=\"on\"" } else { "" };
    let driver = if d.plain_driver { " streamDriver=\"ptcp\"" } else { "" };
    let name = super::QUEUE_FILE;
    format!(
        r##"# While the agent is away, events wait in memory and from 2000 on in files of the work directory, which survive a
# restart. When those are full the newest are discarded at once: waiting for space here would hold up everything else
# this daemon logs. The queue is the ruleset's and not the action's, and `stop` ends it: otherwise the batch that is under
# way when the daemon is stopped while the agent is away would be lost.
ruleset(name="{name}"
        queue.type="LinkedList" queue.fileName="{name}" queue.size="50000" queue.dequeueBatchSize="16"
        queue.highWaterMark="2000" queue.lowWaterMark="500" queue.maxDiskSpace="{disk}m"
        queue.saveOnShutdown="on" queue.timeoutShutdown="10" queue.timeoutActionCompletion="20"
        queue.timeoutEnqueue="0"{flow}) {{
  action(type="omfwd" name="{name}" target="127.0.0.1" port="{port}" protocol="tcp" template="cefctl_line"{driver}
         keepAlive="on" action.resumeRetryCount="-1" action.resumeInterval="1")
  stop
}}
"##
    )
}
