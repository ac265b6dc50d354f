//! The values the daemon makes of a line, and what its filters match, against ours.

use std::time::Duration;

use anyhow::{Result, ensure};

use cefctl::syslog::Text;
use cefctl::syslog::syslogng::effective::{DestKind, Effective, Ref, SourceKind};
use cefctl::syslog::syslogng::event::{Origin, SampleEvent};

use crate::daemon::{MAIN, Tree, file_lines, loopback, port, send_udp, wait};
use crate::{Case, Kind, corpus};

pub const CASES: &[Case] = &[("values", values), ("filters", filters), ("log_paths", log_paths)];

/// Shapes that the corpus has not.
const ODD: &[&[u8]] = &[
    b"",
    b"<",
    b"<13",
    b"<13>",
    b"<x>hello",
    b"<999>Aug  1 10:00:00 fw1 app: x",
    b"<13>Aug  1 10:00:00 fw1",
    b"<13>Aug  1 10:00:00 fw1 ",
    b"<13>Aug  1 10:00:00 fw1 app[12]: x",
    b"<13>Aug  1 10:00:00 fw1 app[12 x",
    b"<13>Aug  1 10:00:00 app[12]: x",
    b"<13>Aug  1 10:00:00.123 fw1 app: x",
    b"<13>Aug  1 10:00:00 2026 fw1 app: x",
    b"<13>Aug  1 2026 10:00:00 fw1 : app: x",
    b"<13>Aug  1 2026 10:00:00: %ASA-6-302013: x",
    b"<13>123: Aug  1 10:00:00 fw1 app: x",
    b"<13>123: *Aug  1 10:00:00 fw1 app: x",
    b"<13>Aug 1 10:00:00 fw1 app: x",
    b"<13>2026-08-01T10:00:00Z fw1 app: x",
    b"<13>2026-08-01T10:00:00.123456+02:00 fw1 app: x",
    b"<13>2026-08-01T10:00:00 fw1 app: x",
    b"<13>2026-08-01 10:00:00 fw1 app: x",
    b"<13>Aug  1 10:00:00 2001:db8::1 app: x",
    b"<13>Aug  1 10:00:00 fw1: app: x",
    b"<13>Aug  1 10:00:00  fw1   app: x",
    b"<13>1 2026-08-01T10:00:00Z fw1 app 1 id - x",
    b"<13>1 2026-08-01T10:00:00Z fw1 app 1 id [a b=\"c\\\"d\"][e] x",
    b"<13>1 - - - - - - x",
    b"<13>1 2026-08-01T10:00:00Z fw1 app",
    b"<13>1 2026-08-01T10:00:00Z fw1 app 1 id - \xef\xbb\xbfx",
    b"<13>1 nonsense fw1 app 1 id - x",
    b"just text",
    b"word",
    b"a: b",
    b"<13>Aug  1 10:00:00 fw1 caf\xe9: \xff",
    b"<13>Aug  1 10:00:00 fw1 app: x\n",
];

fn lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = corpus::load().into_iter().map(|l| l.raw).collect();
    lines.extend(ODD.iter().map(|l| l.to_vec()));
    // What one datagram cannot show.
    lines.retain(|l| !l.is_empty() && l.len() < 8000 && !l.contains(&b'\0'));
    lines
}

const NAMES: [&str; 7] = ["PRI", "HOST", "PROGRAM", "PID", "MSGHDR", "MESSAGE", "SOURCEIP"];

/// Three drivers read every line in their own way; a template shows what they made of it.
fn values(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let drivers = [
        "network(transport(udp) port(@) keep-hostname(yes) use-dns(no) flags(store-raw-message))",
        "network(transport(udp) port(@) keep-hostname(yes) use-dns(no) flags(syslog-protocol))",
        "syslog(transport(udp) port(@) keep-hostname(no) use-dns(no))",
        "network(transport(udp) port(@) use-dns(no) flags(no-parse))",
    ];
    // 0x1f between values, 0x1e behind an event: neither is in a line.
    let template: Vec<String> = NAMES.iter().map(|n| format!("${{{n}}}")).collect();
    let template = format!("{}\\x1e", template.join("\\x1f"));
    let mut config = format!("@version: {}\n", kind.version);
    let mut ports = Vec::new();
    for (i, driver) in drivers.iter().enumerate() {
        ports.push(port());
        let driver = driver.replace('@', &ports[i].to_string());
        config += &format!(
            "source s{i} {{ {driver}; }};\ndestination d{i} {{ file(\"/tmp/out{i}\" template(\"{template}\")); }};\nlog {{ source(s{i}); destination(d{i}); }};\n"
        );
    }
    tree.write(MAIN, config);
    let ours = tree.effective(MAIN);
    let daemon = tree.start(MAIN)?;
    let lines = lines();
    let mut wrong = Vec::new();
    let mut unknown = 0;
    for (i, port) in ports.iter().enumerate() {
        send_udp(loopback(*port), &lines);
        let path = format!("/tmp/out{i}");
        let seen = || tree.read(&path).iter().filter(|b| **b == 0x1e).count();
        wait(Duration::from_secs(10), || (seen() >= lines.len()).then_some(()));
        let content = tree.read(&path);
        let mut events: Vec<&[u8]> = content.split(|b| *b == 0x1e).collect();
        events.pop();
        ensure!(
            events.len() == lines.len(),
            "driver {i}: {} of {} events; {}",
            events.len(),
            lines.len(),
            daemon.messages()
        );
        for (line, event) in lines.iter().zip(events) {
            let theirs: Vec<Text> = event.split(|b| *b == 0x1f).map(Text::from).collect();
            let mine = read(&ours, i, line);
            // What we do not know is no mistake.
            unknown += mine.iter().filter(|m| m.is_none()).count();
            if mine.iter().zip(&theirs).any(|(m, t)| m.as_ref().is_some_and(|m| m != t)) {
                wrong.push(format!("s{i} {:?}\n  daemon {theirs:?}\n  ours   {mine:?}", Text::from(line.as_slice())));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} lines are read differently:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(unknown < 100, "{unknown} values are not known");
    Ok(())
}

fn read(config: &Effective, source: usize, line: &[u8]) -> Vec<Option<Text>> {
    let SourceKind::Listener(listener) = &config.sources[source].drivers[0].kind else { panic!() };
    let event = SampleEvent::at(line, &Origin { program: config.program, ..Origin::default() }, listener);
    NAMES.iter().map(|n| event.get(&(*n).into())).collect()
}

const FILTERS: &[&str] = &[
    "facility(local7) or \"$FACILITY\" eq \"local0\" and \"$LEVEL\" eq \"info\"",
    r#"match("CEF\|ASA")"#,
    r#"match('CEF\|ASA')"#,
    r#"program("CEF")"#,
    r#"message("CEF:")"#,
    r#"match("CEF:" value("MSGHDR"))"#,
    r#"match("CEF:|%(ASA|FTD)-" value("MSGHDR")) or match("CEF:|%(ASA|FTD)-" value("MESSAGE"))"#,
    r#"match("CEF:|%(ASA|FTD)-" value("RAWMSG"))"#,
    "facility(local0..local4) and not level(warning)",
    "facility(local4, user); level(info..emerg)",
    "not (facility(local4) or level(notice))",
    "not not not facility(local4)",
    "host(\"^[0-9.]+$\")",
    "host(\"fw\" type(string) flags(prefix, ignore-case))",
    "program(\"c\" flags(ignore-case)) and not program(CEF)",
    "message(\"src=\" type(string) flags(substring))",
    "message(\"*src=*\" type(glob))",
    "\"$PROGRAM\" eq \"CEF\" or \"$PID\" ne \"\"",
    "\"$LEVEL_NUM\" < \"5\"",
    "netmask(127.0.0.0/8)",
    "netmask(10.0.0.0/8)",
    "match('(?<![A-Z])CEF:(?! )' template(\"$MSGHDR$MSG\"))",
    "match(\"x\" value(\"no.such.value\"))",
    "filter(f0) and not filter(f1)",
];

/// Where we say yes or no the daemon must agree; `not known` is no answer, and must stay rare.
fn filters(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let port = port();
    let mut config = format!(
        "@version: {}\nsource s {{ network(transport(udp) port({port}) use-dns(no) keep-hostname(yes) flags(store-raw-message)); }};\n",
        kind.version
    );
    for (i, filter) in FILTERS.iter().enumerate() {
        config +=
            &format!("filter f{i} {{ {filter}; }};\ndestination d{i} {{ file(\"/tmp/f{i}\" template(\"x\\n\")); }};\n");
        config += &format!("log {{ source(s); filter(f{i}); destination(d{i}); }};\n");
    }
    let lines: Vec<Vec<u8>> = lines().into_iter().filter(|l| l.len() < 2000 && !l.starts_with(b"<x")).collect();
    let numbered = "template(\"$RAWMSG\\x1e\")";
    config +=
        &format!("destination all {{ file(\"/tmp/all\" {numbered}); }};\nlog {{ source(s); destination(all); }};\n");
    tree.write(MAIN, config);
    let ours = tree.effective(MAIN);
    ensure!(ours.problems.is_empty(), "{:?}", ours.problems);
    let daemon = tree.start(MAIN)?;
    send_udp(loopback(port), &lines);
    let seen = || tree.read("/tmp/all").iter().filter(|b| **b == 0x1e).count();
    wait(Duration::from_secs(10), || (seen() >= lines.len()).then_some(()));
    ensure!(seen() == lines.len(), "{} of {}", seen(), lines.len());
    drop(daemon);
    compare(&tree, &ours, &lines)
}

/// Counts per destination file against what our evaluator says.
fn compare(tree: &Tree, config: &Effective, lines: &[Vec<u8>]) -> Result<()> {
    let source = Ref::Named("s".into());
    let SourceKind::Listener(listener) = &config.source(&source).unwrap().drivers[0].kind else { panic!() };
    let traces: Vec<_> = lines.iter().map(|l| config.trace(&config.event_at(listener, l), &source)).collect();
    let mut wrong = Vec::new();
    let mut unknown = 0;
    for destination in config.destinations.iter().filter(|d| d.name != Some("all".into())) {
        let DestKind::File(path) = &destination.drivers[0].kind else { panic!() };
        let name = destination.name.clone().unwrap();
        // Copies count: a junction may send an event on more than once.
        let here = Ref::Named(name.clone());
        let visits: Vec<bool> =
            traces.iter().flat_map(|t| &t.visits).filter(|v| v.destination == here).map(|v| v.maybe).collect();
        let doubtful = visits.iter().filter(|maybe| **maybe).count();
        unknown += doubtful;
        let (sure, most) = (visits.len() - doubtful, visits.len());
        let theirs = tree.read(&path.to_string()).iter().filter(|b| **b == b'\n').count();
        if theirs < sure || theirs > most {
            wrong.push(format!("{name}: daemon {theirs}, ours {sure} to {most}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(unknown == 0, "{unknown} answers are not known");
    Ok(())
}

/// Flags, junctions and branches: who gets an event.
fn log_paths(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let port = port();
    let mut config = format!(
        "@version: {}\nsource s {{ network(transport(udp) port({port}) use-dns(no)); }};\nsource other {{ internal(); }};\n",
        kind.version
    );
    let mut used = Vec::new();
    for i in 0..20 {
        config += &format!("destination d{i} {{ file(\"/tmp/p{i}\" template(\"x\\n\")); }};\n");
        used.push(format!("destination(d{i});"));
    }
    let mut d = used.iter();
    let mut next = || d.next().unwrap().clone();
    let (err, cef) = ("filter { level(err..emerg); };", "filter { program(CEF); };");
    for path in [
        format!("log {{ source(s); {cef} log {{ {err} {} }}; log {{ {} flags(final); }}; }};", next(), next()),
        format!(
            "log {{ source(s); junction {{ channel {{ {err} flags(final); }}; channel {{ {cef} }}; }}; {} }};",
            next()
        ),
        format!(
            "log {{ source(s); junction {{ channel {{ {err} {} }}; channel {{ {cef} flags(final); }}; channel {{ {} flags(fallback); }}; }}; {} }};",
            next(),
            next(),
            next()
        ),
        format!(
            "log {{ source(s); if (program(CEF)) {{ {} }} elif (level(err..emerg)) {{ {} }} else {{ {} }}; {} }};",
            next(),
            next(),
            next(),
            next()
        ),
        format!("log {{ source(s); if {{ {cef} {} }} else {{ {err} {} }}; {} }};", next(), next(), next()),
        format!(
            "log {{ source(s); if (level(err..emerg)) {{ rewrite {{ set(\"new\" value(\"PROGRAM\")); }}; }}; filter {{ program(new); }}; {} }};",
            next()
        ),
        format!("log {{ {} flags(catchall); filter {{ level(err..emerg); }}; }};", next())
            .replace("flags(catchall); filter { level(err..emerg); };", "flags(catchall);"),
        format!("log {{ source(s); {} flags(fallback); }};", next()),
        format!("log {{ source(other); {} flags(final); }};", next()),
        format!("log {{ source(s); {cef} {} flags(final); }};", next()),
        format!("log {{ source(s); {} }};", next()),
    ] {
        config += &path;
        config.push('\n');
    }
    config += "destination all { file(\"/tmp/all\" template(\"x\\n\")); };\nlog { source(s); destination(all); flags(final); };\n";
    // The last one sees everything but what the path before takes: send a mark that gets there.
    tree.write(MAIN, config);
    let ours = tree.effective(MAIN);
    ensure!(ours.problems.is_empty(), "{:?}", ours.problems);
    let daemon = tree.start(MAIN)?;
    let lines: Vec<Vec<u8>> = [
        "<131>Aug  1 10:00:00 fw1 CEF:0|a",
        "<134>Aug  1 10:00:00 fw1 CEF:0|a",
        "<131>Aug  1 10:00:00 fw1 app: a",
        "<134>Aug  1 10:00:00 fw1 app: a",
    ]
    .map(|l| l.as_bytes().to_vec())
    .to_vec();
    send_udp(loopback(port), &lines);
    file_lines(&tree, "/tmp/all", 2);
    std::thread::sleep(Duration::from_millis(300));
    drop(daemon);
    // `internal()` gives the catch-all path events of its own.
    let catchall = ours.logs.iter().position(|l| l.flags.catchall).unwrap();
    let mut shown = ours.clone();
    let gone: Vec<Ref> = shown.logs[catchall]
        .steps
        .iter()
        .filter_map(|s| match &s.kind {
            cefctl::syslog::syslogng::effective::StepKind::Destination(r) => Some(r.clone()),
            _ => None,
        })
        .collect();
    shown.destinations.retain(|d| !gone.contains(&Ref::Named(d.name.clone().unwrap())));
    compare(&tree, &shown, &lines)
}
