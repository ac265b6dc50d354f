//! What the agents' logs, buffers and counters say.

use super::*;

fn oms_log(kind: &str, last: i64, line: &str) -> Facts {
    oms_with(|f| workspace(f).log = Some(Ok(log("/var/log/omsagent.log", vec![said(kind, last, line)]))))
}

#[test]
fn oms_logs() {
    is(&oms_log("refused-403", NOW - 60, "HTTP 403"), "agent.log", Status::Fail, "refuses");
    is(&oms_log("refused-403", NOW - 7200, "HTTP 403"), "agent.log", Status::Warn, "refuses");
    let line = "2026 [warn]: pattern not match: \"Aug  1 10:00:00 fw1 %FTD-6-302013: Built\"";
    is(&oms_log("pattern-not-match", NOW - 60, line), "agent.log", Status::Warn, "%FTD is not known");
    is(&oms_log("upload-retried", NOW - 60, "x"), "agent.log", Status::Warn, "tried again");
    is(&oms_log("upload-retried", NOW - 7200, "x"), "agent.log", Status::Pass, "no line");
    is(&oms_log("port-taken", NOW - 60, "EADDRINUSE"), "agent.log", Status::Pass, "no line");
    let taken = oms_with(|f| {
        workspace(f).log = Some(Ok(log("/l/omsagent.log", vec![said("port-taken", NOW - 60, "\u{1b}[31mEADDRINUSE")])));
        close(f, Transport::Tcp, |a| a.port() == 25226);
    });
    is(&taken, "agent.log", Status::Fail, "another program");
    assert!(of(&taken, "agent.log").evidence.iter().all(|e| !e.text.contains('\u{1b}')));
    is(&oms_with(|f| workspace(f).log = None), "agent.log", Status::Skip, "no log");
    is(&oms_with(|f| workspace(f).log = Some(Err("may not".into()))), "agent.log", Status::Unknown, "may not");
}

#[test]
fn oms_buffers() {
    let buffers = |name: &str, count: usize, age: i64| {
        let chunk =
            |n: usize| Chunk { name: format!("{name}.oms.security.b{n}.buffer"), size: 1 << 20, mtime: NOW - age };
        oms_with(|f| workspace(f).buffers = Some(Ok((0..count).map(chunk).collect())))
    };
    is(&buffers("out_oms_common", 3, 30), "agent.backlog", Status::Pass, "3.0 MiB");
    is(&buffers("out_oms_common", 10, 30), "agent.backlog", Status::Fail, "thrown away");
    is(&buffers("out_oms_blob", 2, 3600), "agent.backlog", Status::Fail, "60 minutes");
    is(&buffers("out_oms_blob", 2, 900), "agent.backlog", Status::Warn, "15 minutes");
    is(&buffers("out_oms_diag", 60, 9000), "agent.backlog", Status::Pass, "60 chunks of 50");
    is(&oms_with(|f| workspace(f).buffers = None), "agent.backlog", Status::Skip, "no folder");
    is(&oms_with(|f| workspace(f).buffers = Some(Err("may not".into()))), "agent.backlog", Status::Unknown, "may not");
}

#[test]
fn ama_logs_cache_and_counters() {
    let line =
        |kind: &str, last: i64| ama_with(|f| ama(f).logs = vec![Ok(log("/l/mdsd.err", vec![said(kind, last, "x")]))]);
    is(&line("no-identity", NOW - 60), "ama.log", Status::Fail, "no token");
    is(&line("no-space", NOW - 9000), "ama.log", Status::Warn, "disk is full");
    is(&line("dropped", NOW - 60), "ama.log", Status::Warn, "threw data away");
    is(&ama_with(|f| ama(f).logs.clear()), "ama.log", Status::Skip, "no error log");
    is(&ama_with(|f| ama(f).logs = vec![Err("may not".into())]), "ama.log", Status::Unknown, "may not");
    let huge = crate::check::facts::SizedFile { path: "/l/mdsd.warn".into(), size: 23 << 30 };
    is(&ama_with(|f| ama(f).log_sizes.push(huge)), "ama.log", Status::Warn, "23.0 GiB");
    for options in ["-A -T 0x2002", "-T0x1002"] {
        is(
            &ama_with(|f| drop(ama(f).environment.insert("MDSD_OPTIONS".into(), options.into()))),
            "ama.log",
            Status::Warn,
            "trace",
        );
    }
    let cache = |bytes: u64, age: i64| {
        ama_with(|f| ama(f).events = Some(Ok(Folder { files: 9, bytes, oldest: Some(NOW - age), cut_short: false })))
    };
    is(&cache(10 << 30, 60), "ama.backlog", Status::Fail, "thrown away");
    is(&cache(6 << 30, 60), "ama.backlog", Status::Warn, "% full");
    is(&cache(2 << 30, 7200), "ama.backlog", Status::Warn, "2 hours");
    is(&cache(2 << 30, 60), "ama.backlog", Status::Pass, "2.0 GiB");
    let small = r#"{"dataSources":[{"kind":"AgentSettings","configuration":{"agentSettings":[{"name":"MaxDiskQuotaInMB","value":"4000"}]}}]}"#;
    let quota = ama_with(|f| {
        ama(f).own.chunks.as_mut().unwrap().as_mut().unwrap().push(chunk("s.json", small.into()));
        ama(f).events = Some(Ok(Folder { files: 9, bytes: 4000 << 20, ..Folder::default() }));
    });
    is(&quota, "ama.backlog", Status::Fail, "3.9 GiB of 3.9 GiB");
    is(&ama_with(|f| ama(f).events = None), "ama.backlog", Status::Skip, "no cache");
    is(&ama_with(|f| ama(f).events = Some(Err("may not".into()))), "ama.backlog", Status::Unknown, "may not");
    let qos = |total: u64, success: u64, age: i64| {
        let rows = vec![qos_row(crate::agent::ama::qos::UPLOAD, "https://x", total, success)];
        ama_with(|f| ama(f).qos = Some(Ok(Qos { path: "q".into(), mtime: NOW - age, rows })))
    };
    is(&qos(5, 0, 60), "ama.upload", Status::Fail, "not one of 5");
    is(&qos(5, 3, 60), "ama.upload", Status::Warn, "2 of 5");
    is(&qos(5, 5, 60), "ama.upload", Status::Skip, "no security event");
    is(&qos(5, 5, 86_400), "ama.upload", Status::Unknown, "ago");
    is(&ama_with(|f| ama(f).qos = None), "ama.upload", Status::Skip, "no counters");
}
