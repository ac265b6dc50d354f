//! Which configurations the daemon reads, which it starts with, and what we say of them.

use std::time::Duration;

use anyhow::{Result, ensure};

use cefctl::syslog::syslogng::lint;

use crate::daemon::{MAIN, Tree, port, wait};
use crate::{Case, Kind};

pub const CASES: &[Case] = &[
    ("stock", stock),
    ("read_or_not", read_or_not),
    ("start_or_not", start_or_not),
    ("listeners", listeners),
    ("layouts", layouts),
];

/// The distribution's own configuration has nothing wrong with it.
fn stock(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    ensure!(tree.check(MAIN).status.success());
    let config = tree.effective(MAIN);
    let bad: Vec<String> = lint::lint(&config)
        .iter()
        .filter(|p| p.severity > cefctl::syslog::syslogng::Severity::Note)
        .map(|p| p.to_string())
        .collect();
    ensure!(bad.is_empty(), "{bad:?}");
    ensure!(config.logs.len() > 10 && config.filters.len() > 15, "{} paths", config.logs.len());
    Ok(())
}

/// Texts, and whether they are configurations.
const TEXTS: &[(&str, bool)] = &[
    ("source s { internal(); };", true),
    ("source s { internal(); };\r\n# c\r\n@define a b\r\n", true),
    ("source \"a b\" { internal(); };\nlog { source(\"a b\"); };", true),
    ("source s { internal() };", false),
    ("source s { internal(); }", false),
    ("source s { internal();;; };;;", true),
    ("source s { };", true),
    (" @define a b", false),
    ("@define a b", true),
    ("@nonsense a", false),
    ("@include \"/etc/syslog-ng/nowhere.conf\"", false),
    ("@include \"/etc/syslog-ng/nowhere/*.conf\"", true),
    ("include \"/etc/syslog-ng/scl.conf\";", false),
    ("# a ` alone", false),
    ("# a `` pair", true),
    ("@define p 5514\nsource s { network(port(`p`)); };", true),
    ("source s { network(port(`nothing`)); };", false),
    ("@define q \"a b\"\ndestination d { file(\"/tmp/`q`\"); };", true),
    ("block source x(p(5514))\n{ network(port(`p`)); };\nsource s { x(); };", true),
    ("block source x(p(5514)) { network(port(`p`)); };\nsource s { x(); };", false),
    ("block source x(p(5514))\n{ network(port(`p`)); };\nsource s { x(q(1)); };", false),
    ("block source x-y(p-q(1))\n{ network(port(`p-q`)); };\nsource s { x_y(p_q(2)); };", true),
    ("source s { internal(); };\nsource s { internal(); };", false),
    ("@define allow-config-dups 1\nsource s { internal(); };\nsource s { internal(); };", true),
    ("template t { template(\"x\\n\"); };\ntemplate u \"y\\n\";", true),
    ("filter f { level(crit .. emerg) and not facility(auth, \"mail\"); };", true),
    ("filter f { level(nonsense); };", false),
    ("filter f { facility(nonsense); };", false),
    ("log { source { internal(); }; };", true),
    ("log { junction { channel { }; }; flags(final, flow-control); };", true),
    ("destination d { file(\"/tmp/x); };", false),
    ("options { keep-hostname(yes); keep_hostname(no); };", true),
    ("source s {\n@include \"/etc/syslog-ng/no*.inc\"\ninternal(); };", true),
    ("parser p { channel { filter { level(err); }; flags(final); }; };", true),
    ("rewrite r { set(\"x\" value(\"A.B\")); subst(\"a\" \"b\" value(\"MESSAGE\") flags(global)); };", true),
];

fn read_or_not(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let mut wrong = Vec::new();
    for (text, good) in TEXTS {
        tree.write(MAIN, format!("@version: {}\n{text}\n", kind.version));
        let theirs = tree.check(MAIN).status.success();
        let config = tree.effective(MAIN);
        // An undefined name in backticks is empty; that this breaks the statement we leave to the daemon's check.
        let ours =
            lint::fatal(&config).is_empty() && !text.contains("`nothing`") && !text.contains(") { network(port(`p`))");
        if theirs != *good || ours != *good {
            wrong.push(format!("{text}\n  good {good}, daemon {theirs}, ours {ours} {:?}", lint::fatal(&config)));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Configurations that the check accepts; does the daemon start? `@` and `&` stand for ports.
const STARTS: &[(&str, bool)] = &[
    ("log { source(s); destination(d); };", true),
    ("log { source(none); destination(d); };", false),
    ("log { source(s); destination(none); };", false),
    ("log { source(s); filter(none); destination(d); };", false),
    ("log { source(s); parser(none); destination(d); };", false),
    ("log { source(s); rewrite(none); destination(d); };", false),
    ("log { source(s); log { source(none); }; };", false),
    ("filter f { filter(none); };\nlog { source(s); destination(d); };", true),
    ("filter f { filter(none); };\nlog { source(s); filter(f); destination(d); };", false),
    ("destination e { file(\"/tmp/d\"); };\nlog { source(s); destination(d); };", true),
    ("destination e { file(\"/tmp/d\"); };\nlog { source(s); destination(d); destination(e); };", false),
    ("source t { internal(); };\nlog { source(s); source(t); destination(d); };", false),
    ("source t { tcp(port(@)); syslog(port(@)); };\nlog { source(t); destination(d); };", false),
    ("source t { tcp(port(@)); tcp(ip(127.0.0.1) port(@)); };\nlog { source(t); destination(d); };", false),
    ("source t { tcp(port(@)); tcp6(port(@)); };\nlog { source(t); destination(d); };", false),
    ("source t { tcp(port(@)); };\nlog { source(t); destination(d); };\nlog { source(t); };", true),
    ("source t { tcp(port(@)); };\nsource u { tcp(port(@)); };\nlog { source(t); destination(d); };", true),
    ("source t { udp(port(@)); network(transport(udp) port(@)); };\nlog { source(t); destination(d); };", false),
    ("source t { udp(port(@)); udp(ip(127.0.0.1) port(@)); };\nlog { source(t); destination(d); };", true),
    ("source t { udp(port(@)); udp6(port(@)); tcp(port(@)); };\nlog { source(t); destination(d); };", true),
    (
        "source t { tcp(ip(127.0.0.1) port(@)); tcp(ip(127.0.0.2) port(@)); };\nlog { source(t); destination(d); };",
        true,
    ),
    (
        "destination e { tcp(\"127.0.0.1\" port(&)); };\ndestination f { network(\"127.0.0.1\" port(&)); };\nlog { source(s); destination(e); destination(f); };",
        false,
    ),
    (
        "destination e { tcp(\"127.0.0.1\" port(&)); };\ndestination f { network(\"127.0.0.1\" port(&) persist-name(\"mine\")); };\nlog { source(s); destination(e); destination(f); };",
        true,
    ),
    (
        "destination e { tcp(\"127.0.0.1\" port(&)); };\ndestination f { udp(\"127.0.0.1\" port(&)); };\nlog { source(s); destination(e); destination(f); };",
        true,
    ),
    (
        "source t { unix-dgram(\"/tmp/u\"); };\nsource u { unix-dgram(\"/tmp/u\"); };\nlog { source(t); source(u); };",
        false,
    ),
    ("destination e { file(\"/tmp/e\" template(t_none)); };\nlog { source(s); destination(e); };", true),
    ("log { destination(d); };", true),
];

fn start_or_not(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let mut wrong = Vec::new();
    for (text, good) in STARTS {
        let text = text.replace('@', &port().to_string()).replace('&', &port().to_string());
        tree.write(
            MAIN,
            format!(
                "@version: {}\nsource s {{ internal(); }};\ndestination d {{ file(\"/tmp/d\"); }};\n{text}\n",
                kind.version
            ),
        );
        let checked = tree.check(MAIN).status.success();
        let ours = lint::fatal(&tree.effective(MAIN));
        let mut daemon = tree.launch(MAIN)?;
        let theirs = wait(Duration::from_secs(20), || daemon.state());
        if !checked || theirs != Some(*good) || ours.is_empty() != *good {
            wrong.push(format!(
                "{text}\n  good {good}, check {checked}, daemon {theirs:?}, ours {ours:?}\n  {}",
                daemon.messages()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Sockets that are open against listeners that we find.
fn listeners(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let (p, q, r) = (port(), port(), port());
    tree.write("/etc/syslog-ng/inner.inc", format!("udp(port({q}));\n"));
    tree.write(
        MAIN,
        format!(
            "@version: {}\n@define p {p}\nblock source both(port(1) ...)\n{{\n  tcp(port(`port`) `__VARARGS__`);\n  udp(port(`port`));\n}};\n\
             source s {{ both(port(`p`) max-connections(3)); }};\nsource t {{\n@include \"inner.inc\"\n}};\n\
             source idle {{ tcp(port({r})); }};\nsource six {{ network(ip-protocol(6) port({q})); }};\n\
             log {{ source(s); source(t); }};\nlog {{ source(six); }};\n",
            kind.version
        ),
    );
    let config = tree.effective(MAIN);
    ensure!(config.problems.is_empty(), "{:?}", config.problems);
    let mut ours: Vec<(bool, u16)> = config
        .listeners()
        .iter()
        .filter(|l| l.used)
        .map(|l| (l.listener.transport.is_stream(), l.listener.port_number().unwrap()))
        .collect();
    let daemon = tree.start(MAIN)?;
    let mut theirs = open_ports(daemon.pid());
    ours.sort();
    theirs.sort();
    ensure!(ours == theirs, "ours {ours:?}, daemon {theirs:?}");
    Ok(())
}

/// Ports of the sockets of one process that listen, streams as `true`.
fn open_ports(pid: u32) -> Vec<(bool, u16)> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let inodes: Vec<String> =
        links.filter_map(|e| std::fs::read_link(e.path()).ok()).map(|l| l.to_string_lossy().into_owned()).collect();
    let mut found = Vec::new();
    for (table, stream) in [("tcp", true), ("tcp6", true), ("udp", false), ("udp6", false)] {
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = if stream { fields[3] == "0A" } else { fields[3] == "07" };
            if listens && inodes.contains(&format!("socket:[{}]", fields[9])) {
                found.push((stream, u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap()));
            }
        }
    }
    found
}

/// The layouts of other distributions: read by all versions; those that are broken do not start, as we say.
fn layouts(kind: Kind) -> Result<()> {
    for (layout, good) in [
        ("debian", true),
        ("rhel", true),
        ("ama-debian", true),
        ("oms-portal", true),
        ("original-debian-twice", true),
        ("original-rhel", false),
        ("ama-wrong-source", false),
    ] {
        let tree = Tree::new(kind)?;
        let from = format!("{}/fixtures/syslog-ng/trees/{layout}/etc", env!("CARGO_MANIFEST_DIR"));
        ensure!(std::process::Command::new("cp").args(["-rT", &from]).arg(tree.at("/etc")).status()?.success());
        let main = String::from_utf8(tree.read(MAIN))?;
        let version = main.lines().next().unwrap_or_default().to_owned();
        let main = main.replacen(&version, &format!("@version: {}", kind.version), 1);
        // Other tests run meanwhile.
        tree.write(MAIN, main.replace("port(514)", &format!("port({})", port())));
        ensure!(tree.check(MAIN).status.success(), "{layout}");
        let ours = lint::fatal(&tree.effective(MAIN));
        let mut daemon = tree.launch(MAIN)?;
        let theirs = wait(Duration::from_secs(20), || daemon.state());
        ensure!(
            theirs == Some(good) && ours.is_empty() == good,
            "{layout}: {theirs:?}, ours {ours:?}\n{}",
            daemon.messages()
        );
    }
    Ok(())
}
