//! The ruleset that finds security events and sends them on: with their original bytes where the agent reads the header
//! rightly, with a header made from what the line says where it would drop the event or misread its host or time.
//!
//! Order of cost: the filter for every message (under a microsecond for the others), one more expression for events
//! with an ordinary header, and the long way only for the rest.

use super::DropIn;
use super::script::{matches, part, whole};
use crate::syslog::shapes as p;

const RAW: &str = "$rawmsg";
const HEAD: &str = "$.cefctl_head";
const EVENT: &str = "$.cefctl_event";
const TIME: &str = "$.cefctl_time";
const HOST: &str = "$.cefctl_host";
const NONE: &str = "\"\"";

/// First version with `substring()`; `format_time()` is a little older.
const SUBSTRING: (u32, u32, u32) = (8, 32, 0);

/// The whole ruleset.
pub fn ruleset(drop_in: &DropIn) -> String {
    let (name, forward) = (super::CALLABLE, super::QUEUE_FILE);
    let cut = Cut { substring: drop_in.version >= SUBSTRING };
    let (filter, raw) = (matches(RAW, p::EVENT), raw(drop_in));
    let rebuild = rebuild(drop_in, &cut);
    let carriage_return = carriage_return(&cut);
    format!(
        r##"# Security events go to the agent. Whoever calls this ruleset finds "yes" in $.cefctl_sent for them.
ruleset(name="{name}") {{
  # CEF with its seven bars, Cisco ASA and FTD ids
  if $.cefctl_sent != "yes" and {filter} then {{
    # The agent reads this header rightly: the original bytes.
    if {raw} then {{
      set $.cefctl_line = $rawmsg;
    # It would drop the event, or misread its host or time: a header made of what the line says, then the event.
    }} else {{
{rebuild}    }}
{carriage_return}    set $.cefctl_sent = "yes";
    call {forward}
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
    format!("{plain}\n       or ({readable}\n           and not {misread})")
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

fn rebuild(d: &DropIn, cut: &Cut) -> String {
    let head = part(RAW, "^", "[^|%]*", p::EVENT_START, "\"|\"");
    let event = if cut.substring {
        format!("substring($rawmsg, strlen({HEAD}), strlen($rawmsg) - strlen({HEAD}))")
    } else {
        whole(RAW, &format!("({}).*", p::EVENT))
    };
    let far_event = whole(RAW, &format!("({}).*", p::EVENT));
    let far_head = whole(RAW, "^[^|%]*");
    let ids = if d.rewrite_ids { rewritten_ids(cut) } else { String::new() };
    let (time, host) = (time(cut), host());
    let pri = part(HEAD, "<", p::PRI, ">", "\"13\"");
    format!(
        r##"      set {HEAD} = {head};
      if {HEAD} != "|" then {{
        set {EVENT} = {event};
      # a bar or percent sign stands before the event
      }} else {{
        set {EVENT} = {far_event};
        set {HEAD} = {far_head};
      }}
{ids}      set {HEAD} = replace({HEAD}, "\t", " ");
{time}{host}      # Colons would cut the host; an IPv6 address is written with dashes.
      set $.cefctl_line = "<" & {pri} & ">"
        & {TIME} & " " & replace(replace({HOST}, "::ffff:", ""), ":", "-") & " " & {EVENT};
"##
    )
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
    let offset = part(HEAD, &p::before_offset(), p::KNOWN_OFFSET, p::AFTER_OFFSET, NONE);
    let digits = p::digits_time();
    let numeric = whole(HEAD, &digits);
    let thousandths = part(HEAD, &format!("{digits}[.,]"), "[0-9]{3}", "", "\"000\"");
    let named = whole(HEAD, &p::named_time());
    let late_year = matches(HEAD, &format!("{}{}{}", p::before_late_year(), p::LATE_YEAR, p::AFTER_LATE_YEAR));
    let year = part(HEAD, &p::before_late_year(), p::LATE_YEAR, "", NONE);
    let (date, clock) = (whole(TIME, &p::month_day()), whole(TIME, p::CLOCK));
    let epoch = if cut.substring {
        let seconds = part(HEAD, p::BEFORE_EPOCH, p::EPOCH_SECONDS, "", "\"0\"");
        format!(
            r##"      }} else if {} then {{
        set {TIME} = replace(format_time(cnum({seconds}), "date-rfc3339"), "Z", ".000Z");
"##,
            matches(HEAD, p::EPOCH)
        )
    } else {
        String::new()
    };
    format!(
        r##"      # time: 2026-08-01T10:00:00.000Z; without an offset the agent takes it for local time, as it does with Aug  1
      set $.cefctl_offset = {offset};
      if $.cefctl_offset == "UTC" or $.cefctl_offset == "GMT" or $.cefctl_offset == "z" then
        set $.cefctl_offset = "Z";
      else if strlen($.cefctl_offset) == 3 then
        set $.cefctl_offset = $.cefctl_offset & ":00";
      set {TIME} = {numeric};
      if {TIME} != "" then {{
        set {TIME} = replace(replace(replace({TIME}, "/", "-"), " ", "T"), "t", "T")
          & "." & {thousandths}
          & $.cefctl_offset;
{epoch}      }} else {{
        set {TIME} = replace({named}, "-", " ");
        if {TIME} == "" then
          set {TIME} = exec_template("cefctl_now");
        else if $.cefctl_offset != "" and {TIME} contains exec_template("cefctl_clock") then
          set {TIME} = exec_template("cefctl_date") & "T" & exec_template("cefctl_clock") & ".000" & $.cefctl_offset;
        else if {late_year} then
          set {TIME} = {date} & " " & {year} & " " & {clock};
      }}
"##
    )
}

/// The host of the line: behind the time, before it, as rsyslog found it, or the sender.
fn host() -> String {
    let behind = part(HEAD, &p::before_host(), &p::host(), p::AFTER_HOST, NONE);
    let before = part(HEAD, p::BEFORE_FIRST_HOST, p::FIRST_HOST, &p::after_first_host(), NONE);
    let none = matches(HOST, &p::no_host());
    let name = matches("$hostname", &p::only_host());
    let no_name = matches("$hostname", &p::no_host());
    format!(
        r##"      # host: behind the time, before it, as rsyslog found it, else the sender
      set {HOST} = {behind};
      if {none} then
        set {HOST} = {before};
      if {none} then {{
        if {name} and not {no_name} then
          set {HOST} = $hostname;
        else
          set {HOST} = $fromhost;
      }}
"##
    )
}

/// What a sender of CR LF leaves behind: rsyslog spells control characters out on reception.
fn carriage_return(cut: &Cut) -> String {
    let line = "$.cefctl_line";
    let ends = matches(line, "#015$");
    let without = if cut.substring {
        format!("substring({line}, 0, strlen({line}) - 4)")
    } else {
        part(line, "^", ".*", "#015$", line)
    };
    format!(
        r##"    # the CR of senders that end lines with CR LF
    if {line} contains "#015" and {ends} then
      set {line} = {without};
"##
    )
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
