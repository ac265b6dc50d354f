//! The words of the drop-in.

use std::fmt::Write;

use super::{Access, OwnListener, Plan, Stack, header, splice};
use crate::agent::ama::{Entry, paths};
use crate::syslog::Text;
use crate::syslog::syslogng::effective::Transport;

/// Connections at a time per listener.
const CONNECTIONS: u32 = 500;
/// Events under way per connection.
const WINDOW: u32 = 100;
/// Bytes of the longest event. Over UDP no datagram is longer; over TCP every connection takes a buffer of this size.
const LONGEST_DATAGRAM: u32 = 65_536;
const LONGEST_LINE: u32 = 262_144;
/// Bytes of the disk buffer from whose beginning senders are held back. The default, 160 MB, would have a smaller buffer
/// hold them back as soon as the agent is away.
const HELD_BACK: u64 = 16 << 20;
/// Seconds between attempts to connect to the agent.
const REOPEN: u32 = 5;
/// Events kept in memory for the agent, where no disk buffer is had or before it is used.
const FIFO: u32 = 100_000;

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut out = String::new();
    for line in &plan.wanted.banner {
        push(&mut out, &format!("# {}", line.replace(['`', '\n', '\r'], " ")));
    }
    options(plan, &mut out);
    source(plan, &mut out);
    header::write(plan, &mut out);
    rewrites(plan, &mut out);
    destination(plan, &mut out);
    branches(plan, &mut out);
    paths(plan, &mut out);
    out
}

pub(super) fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// A string of the configuration.
fn quoted(text: &Text) -> String {
    let mut out = String::from("\"");
    for c in text.to_str_lossy().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '`' => out.push_str("``"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Before 3.32 the interval of attempts is one for all destinations; the user's own value is left alone.
fn options(plan: &Plan<'_>, out: &mut String) {
    let own = plan.program.version.has_own_time_reopen();
    if !own && plan.config.option("time-reopen").is_none() {
        push(out, "# This version has one interval for all destinations; its default of 60 s would leave gaps.");
        push(out, &format!("options {{ time-reopen({REOPEN}); }};"));
    }
}

fn source(plan: &Plan<'_>, out: &mut String) {
    if plan.own.is_empty() {
        return;
    }
    push(out, &format!("source s_{} {{", plan.stem));
    for listener in &plan.own {
        let families: &[&str] = match plan.wanted.stack {
            Stack::V4 => &[""],
            Stack::Dual => &[" ip-protocol(6)"],
            Stack::Split => &["", " ip-protocol(6)"],
        };
        for family in families {
            push(out, &format!("  {};", driver(plan, listener, family)));
        }
    }
    push(out, "};");
}

fn driver(plan: &Plan<'_>, listener: &OwnListener, family: &str) -> String {
    let auto = plan.program.version.has_auto_framing() && plan.wanted.octet_counting;
    let (name, transport, more) = match listener.transport {
        Transport::Udp => ("network", "udp", " so-rcvbuf(8388608)".to_owned()),
        Transport::Tls if auto => ("network", "auto", streams()),
        Transport::Tls => (if listener.counted { "syslog" } else { "network" }, "tls", streams()),
        _ if listener.counted => ("syslog", "tcp", streams()),
        _ => ("network", if auto { "auto" } else { "tcp" }, streams()),
    };
    let tls = match (&plan.wanted.tls, listener.transport) {
        (Some(tls), Transport::Tls) => {
            let (key, certificate) = (quoted(&tls.key), quoted(&tls.certificate));
            format!(" tls(key-file({key}) cert-file({certificate}) peer-verify(optional-untrusted))")
        }
        _ => String::new(),
    };
    let port = listener.port;
    let longest = if listener.transport == Transport::Udp { LONGEST_DATAGRAM } else { LONGEST_LINE };
    let usual = format!("log-msg-size({longest}) use-dns(no) keep-hostname(yes) flags(no-parse)");
    format!("{name}(transport(\"{transport}\"){family} port({port}){more}{tls} {usual})")
}

fn streams() -> String {
    format!(" max-connections({CONNECTIONS}) log-iw-size({})", CONNECTIONS * WINDOW)
}

/// Rules that put the line together where a source of somebody else has parsed it.
fn rewrites(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let named = plan.sources.iter().map(|(_, a)| *a);
    let used: Vec<Access> = named.chain(plan.unnamed.iter().map(|(_, a)| *a)).collect();
    let uses = |access: Access| used.contains(&access);
    if uses(Access::Kept) {
        push(out, &format!("rewrite r_{stem}_kept {{ set(\"$RAWMSG\" value(\"MESSAGE\")); }};"));
    }
    if uses(Access::Parsed) {
        let whole = if plan.mixed { whole(stem) } else { String::new() };
        let text = format!(
            r#"rewrite r_{stem}_parsed {{
  set("<$PRI>$S_ISODATE $HOST $MSGHDR$MSG" value("{stem}.line"));
  # a header of RFC 5424 that the source took for text
  set("<$PRI>$MSGHDR$MSG" value("{stem}.line")
    condition(match('^1 ?\z' value("MSGHDR") type(pcre)) and match('^[0-9]{{4}}-' value("MESSAGE") type(pcre))));
{whole}  set("${{{stem}.line}}" value("MESSAGE"));
}};
"#
        );
        out.push_str(&text);
    }
}

fn destination(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let (agent, azure) = (Entry::Tcp(plan.wanted.agent_port), plan.wanted.azure.as_ref());
    if azure.is_none_or(|a| a.beside || plan.wanted.hand_over) {
        // the line as it is: our parser has put a new one together where it had to
        push(out, &forward(plan, stem, agent, "${MESSAGE}"));
    }
    if let Some(azure) = azure {
        // the form that its own file sends, which is the one that it is known to read
        push(out, &forward(plan, &format!("{stem}_azure"), azure.entry, "<$PRI>$BSDDATE $HOST $MSGHDR$MSG"));
    }
}

/// What log paths of others lead to whose source has no name.
fn branches(plan: &Plan<'_>, out: &mut String) {
    for (name, content) in splice::destinations(plan) {
        push(out, &format!("destination {name} {{ {content} }};"));
    }
}

/// The line of a driver that does not parse, in a source where others do.
fn whole(stem: &str) -> String {
    format!(
        r#"  # a whole line: not every driver of the source parses
  set("$MSG" value("{stem}.line")
    condition(match('^\z' value("MSGHDR") type(pcre)) and match('^<[0-9]{{1,3}}>' value("MESSAGE") type(pcre))));
"#
    )
}

/// A destination to an agent on this box.
fn forward(plan: &Plan<'_>, name: &str, entry: Entry, template: &str) -> String {
    let version = plan.program.version;
    let mut driver = match entry {
        Entry::Tcp(port) => format!("network(\"{}\" port({port}) transport(\"tcp\")", loopback(plan, port)),
        Entry::Socket => format!("unix-dgram(\"{}\" flags(no-multi-line)", paths::SOCKET),
    };
    if version.has_disk_buffer() {
        let _ = write!(driver, " persist-name(\"{name}\")");
    }
    if version.has_own_time_reopen() {
        let _ = write!(driver, " time-reopen({REOPEN})");
    }
    let _ = write!(driver, " log-fifo-size({FIFO})");
    if plan.reliable() {
        let (size, window) = match version.has_capacity_bytes() {
            true => ("capacity-bytes", "flow-control-window-bytes"),
            false => ("disk-buf-size", "mem-buf-size"),
        };
        let held = HELD_BACK.min(plan.wanted.spool / 4);
        let _ = write!(driver, "\n    disk-buffer({size}({}) {window}({held}) reliable(yes))", plan.wanted.spool);
    }
    format!("destination d_{name} {{\n  {driver} template(\"{template}\\n\"));\n}};")
}

/// Without `persist-name()` a destination is known by its address as written, and two of one address keep the daemon from
/// starting: beside somebody's, such as the one in the Azure Monitor Agent's own file, ours is written otherwise.
fn loopback(plan: &Plan<'_>, port: u16) -> &'static str {
    let known = plan.program.version.has_disk_buffer();
    let taken = || plan.config.forwards_to(port).iter().any(|(_, _, f)| f.target.is("127.0.0.1"));
    if !known && taken() { "localhost" } else { "127.0.0.1" }
}

fn paths(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    if plan.wanted.hand_over && plan.wanted.azure.as_ref().is_some_and(|a| !a.beside) {
        push(
            out,
            "# What still waits for the agent that was here before; nothing new takes this path. The next `cefctl install`\n\
             # takes it away when it is through.",
        );
        push(out, &format!("log {{ destination(d_{stem}); }};"));
    }
    let keeps = !plan.wanted.copies.is_empty();
    if !plan.own.is_empty() {
        let ends = send(plan, plan.receivers(None));
        for (n, end) in ends.iter().enumerate() {
            let last = if keeps || n + 1 < ends.len() { "flags(flow-control)" } else { "flags(flow-control, final)" };
            push(out, &format!("log {{ source(s_{stem}); parser(p_{stem}); {end} {last}; }};"));
        }
        local(plan, out);
    }
    for (source, access) in &plan.sources {
        let line = made(stem, *access);
        // No flow control: a source that others use must not stand still because the agent does.
        for end in send(plan, plan.receivers(Some(source))) {
            push(out, &format!("log {{ source({});{line} parser(p_{stem}); {end} }};", quoted(source)));
        }
    }
}

/// Puts the line together from what a source of somebody's has made of it.
pub(super) fn made(stem: &str, access: Access) -> String {
    match access {
        Access::Raw => String::new(),
        Access::Kept => format!(" rewrite(r_{stem}_kept);"),
        Access::Parsed => format!(" rewrite(r_{stem}_parsed);"),
    }
}

/// The end of each path to an agent.
pub(super) fn send(plan: &Plan<'_>, (agent, azure): (bool, bool)) -> Vec<String> {
    let stem = &plan.stem;
    let agent = agent.then(|| format!("destination(d_{stem});"));
    let azure = azure.then(|| format!("parser {{ syslog-parser(); }}; destination(d_{stem}_azure);"));
    agent.into_iter().chain(azure).collect()
}

/// Paths to local destinations for what our own source receives.
fn local(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let names =
        |list: &[Text]| list.iter().map(|n| format!("destination({});", quoted(n))).collect::<Vec<_>>().join(" ");
    let parse = r#"parser { syslog-parser(); }; rewrite { subst('^::ffff:' '' value("HOST") type(pcre)); };"#;
    if !plan.wanted.copies.is_empty() {
        let names = names(&plan.wanted.copies);
        push(out, &format!("log {{ source(s_{stem}); filter(f_{stem}_event); {parse} {names} flags(final); }};"));
    }
    if !plan.wanted.others.is_empty() {
        let names = names(&plan.wanted.others);
        push(out, &format!("log {{ source(s_{stem}); {parse} {names} }};"));
    }
}
