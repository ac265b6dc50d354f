//! Configuration files as nobody would write them on purpose. Whatever is in them: no panic, the services run as before,
//! and nothing is changed unless the tool says that it succeeded.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::host::{Host, wait_for};
use crate::install::INSTALL;
use crate::{Case, Kind, send};

/// A name, and what is done to the host before.
type Hostile = (&'static str, fn(&Host));

const RSYSLOG: [Hostile; 16] = [
    ("crlf", |h| h.put("/etc/rsyslog.d/60-x.conf", b"# from another system\r\nlocal7.* /var/log/x.log\r\n")),
    ("crlf_main_file", |h| {
        let text = h.get("/etc/rsyslog.conf");
        let crlf: Vec<u8> = text.iter().flat_map(|b| if *b == b'\n' { vec![b'\r', b'\n'] } else { vec![*b] }).collect();
        h.put("/etc/rsyslog.conf", crlf);
    }),
    ("no_final_newline", |h| h.put("/etc/rsyslog.d/60-x.conf", b"local7.* /var/log/x.log")),
    ("main_file_without_final_newline", |h| {
        let text = h.get("/etc/rsyslog.conf");
        h.put("/etc/rsyslog.conf", text.strip_suffix(b"\n").unwrap_or(&text));
    }),
    ("nul_bytes", |h| h.put("/etc/rsyslog.d/60-x.conf", b"local7.* /var/log/x.log\n\0\0local6.* /var/log/y.log\n")),
    ("not_utf8", |h| h.put("/etc/rsyslog.d/60-x.conf", b"# gr\xfc\xdfe \xff\xfe\nlocal7.* /var/log/\xe4.log\n")),
    ("not_utf8_name", |h| {
        h.sh("printf 'local7.* /var/log/x.log\\n' >\"/etc/rsyslog.d/$(printf '60-\\344.conf')\"").clear()
    }),
    ("empty_file", |h| h.put("/etc/rsyslog.d/60-x.conf", b"")),
    ("ten_megabytes", |h| {
        h.put("/etc/rsyslog.d/60-x.conf", b"# a comment that says little, many times over\n".repeat(220_000))
    }),
    ("one_line_of_ten_megabytes", |h| {
        h.put("/etc/rsyslog.d/60-x.conf", [b"#".as_slice(), &[b'x'; 10 << 20], b"\n"].concat())
    }),
    ("deep_nesting", |h| {
        let text = ["if $msg contains 'x' then { ".repeat(20_000), "}".repeat(20_000), "\n".into()].concat();
        h.put("/etc/rsyslog.d/60-x.conf", text);
    }),
    ("includes_itself", |h| h.put("/etc/rsyslog.d/60-x.conf", b"$IncludeConfig /etc/rsyslog.d/60-x.conf\n")),
    ("includes_in_a_circle", |h| {
        h.put("/etc/rsyslog.d/60-a.conf", b"include(file=\"/etc/rsyslog.d/60-b.conf\")\n");
        h.put("/etc/rsyslog.d/60-b.conf", b"include(file=\"/etc/rsyslog.d/60-a.conf\")\n");
    }),
    ("dangling_symlink", |h| h.sh("ln -s /nowhere/at-all.conf /etc/rsyslog.d/60-x.conf").clear()),
    ("symlink_to_itself", |h| h.sh("ln -s 60-x.conf /etc/rsyslog.d/60-x.conf").clear()),
    ("folder_named_like_a_file", |h| h.sh("mkdir /etc/rsyslog.d/60-x.conf").clear()),
];

const X: &str = "/etc/syslog-ng/conf.d/60-x.conf";
const MAIN: &str = crate::language::MAIN_NG;

const SYSLOG_NG: [Hostile; 17] = [
    ("crlf", |h| h.put(X, b"# from another system\r\ndestination d_x { file(\"/var/log/x.log\"); };\r\n")),
    ("crlf_main_file", |h| {
        let text = h.get(MAIN);
        let crlf: Vec<u8> = text.iter().flat_map(|b| if *b == b'\n' { vec![b'\r', b'\n'] } else { vec![*b] }).collect();
        h.put(MAIN, crlf);
    }),
    ("no_final_newline", |h| h.put(X, b"destination d_x { file(\"/var/log/x.log\"); };")),
    ("main_file_without_final_newline", |h| {
        let text = h.get(MAIN);
        h.put(MAIN, text.trim_ascii_end());
    }),
    ("nul_bytes", |h| h.put(X, b"destination d_x { file(\"/x\"); };\n\0\0destination d_y { file(\"/y\"); };\n")),
    ("not_utf8", |h| h.put(X, b"# gr\xfc\xdfe \xff\xfe\ndestination d_x { file(\"/var/log/\xe4.log\"); };\n")),
    ("not_utf8_name", |h| {
        h.sh("printf '# x\\n' >\"/etc/syslog-ng/conf.d/$(printf '60-\\344.conf')\"").clear();
    }),
    ("empty_file", |h| h.put(X, b"")),
    ("ten_megabytes", |h| h.put(X, b"# a comment that says little, many times over\n".repeat(220_000))),
    ("one_line_of_ten_megabytes", |h| h.put(X, [b"#".as_slice(), &[b'x'; 10 << 20], b"\n"].concat())),
    ("deep_nesting", |h| {
        let text = ["log { junction { channel { ".repeat(5000), "}; }; };".repeat(5000), "\n".into()].concat();
        h.put(X, text);
    }),
    ("includes_itself", |h| h.put(X, format!("@include \"{X}\"\n"))),
    ("includes_in_a_circle", |h| {
        h.put("/etc/syslog-ng/conf.d/60-a.conf", b"@include \"/etc/syslog-ng/conf.d/60-b.conf\"\n");
        h.put("/etc/syslog-ng/conf.d/60-b.conf", b"@include \"/etc/syslog-ng/conf.d/60-a.conf\"\n");
    }),
    ("dangling_symlink", |h| h.sh(&format!("ln -s /nowhere/at-all.conf {X}")).clear()),
    ("symlink_to_itself", |h| h.sh(&format!("ln -s 60-x.conf {X}")).clear()),
    ("folder_named_like_a_file", |h| h.sh(&format!("mkdir {X}")).clear()),
    ("backtick_alone", |h| h.put(X, b"# it`s\n")),
];

pub fn cases() -> Vec<Case> {
    let cases = |daemon, configs: &[Hostile]| {
        let case = move |(name, make): &Hostile| {
            let make = *make;
            Case::new(*name, move |kind| survives(kind, make)).only(daemon)
        };
        configs.iter().map(case).collect::<Vec<_>>()
    };
    cases("rsyslog", &RSYSLOG).into_iter().chain(cases("syslog-ng", &SYSLOG_NG)).collect()
}

fn survives(kind: &Kind, make: fn(&Host)) -> Result<()> {
    let host = kind.boot()?;
    make(&host);
    // Some of these the daemon itself does not survive: then the tool has a stopped daemon to deal with.
    host.exec(&["systemctl", "restart", kind.unit()]);
    wait_for("the daemon runs, or is given up", Duration::from_secs(10), || {
        matches!(host.unit(kind.unit(), "ActiveState").as_str(), "active" | "failed").then_some(())
    })?;
    let before = (host.tree("/etc"), host.service_state(kind.unit()));

    let report = host.cefctl(&["troubleshoot", "-o", "json"]);
    ensure!(matches!(report.code, 0 | 1), "a diagnosis ends with 0 or 1: {report}");
    report.json()?;
    before.0.assert_same(&host.tree("/etc"), "after a diagnosis");

    let out = host.cefctl(&INSTALL);
    if out.code != 0 {
        ensure!(out.code == 1, "a refusal or a rollback ends with 1: {out}");
        before.0.assert_same(&host.tree("/etc"), "after a failed install");
        ensure!(
            host.service_state(kind.unit()) == before.1,
            "the service is {} now: {out}",
            host.service_state(kind.unit())
        );
        return Ok(());
    }
    ensure!(host.all_bound(514), "success, but 514 is not open: {out}");
    let agent = Agent::start(&host)?;
    send::udp(&host, send::loopback(514), &[send::numbered(3)], Duration::ZERO)?;
    ensure!(agent.sees("seq=000000003", Duration::from_secs(40)), "success, but nothing arrives: {out}");
    host.cefctl(&["uninstall", "--yes"]).ok();
    before.0.assert_same(&host.tree("/etc"), "after uninstall");
    Ok(())
}
