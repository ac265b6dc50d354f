//! How a change goes in: the candidate is checked beside the running configuration, then the daemon reloads.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use cefctl::host::Root;
use cefctl::syslog::syslogng::candidate::candidate;

use crate::daemon::{Agent, DROP_IN, MAIN, Tree, loopback, port, send_udp, wait};
use crate::drop_in::{Collector, report};
use crate::{Case, Kind};

pub const CASES: &[Case] =
    &[("candidate", candidates), ("reload_takes_it_in", takes_it_in), ("failed_reload_goes_back", goes_back)];

const FOLDER: &str = "/etc/syslog-ng/.cefctl-check";

fn candidates(kind: Kind) -> Result<()> {
    let collector = Collector::new(kind, |_| {})?;
    let tree = &collector.tree;
    let check = |changes: &[(&str, Option<&str>)]| -> Result<bool> {
        let config = tree.effective(MAIN);
        let changes: BTreeMap<PathBuf, Option<Vec<u8>>> =
            changes.iter().map(|(p, c)| (PathBuf::from(p), c.map(|c| c.as_bytes().to_vec()))).collect();
        let made = candidate(&config, &Root::at(&tree.root), &changes, Path::new(FOLDER))?;
        for (path, content) in &made.files {
            tree.write(&path.to_string_lossy(), content);
        }
        let checked = report(&tree.check(&made.main.to_string_lossy()));
        std::fs::remove_dir_all(tree.at(FOLDER))?;
        Ok(checked.accepted)
    };
    let text = collector.made.text.clone();
    // Our own file may be there already: its copy takes its place, it is not doubled.
    ensure!(check(&[])? && check(&[(DROP_IN, Some(&text))])? && check(&[(DROP_IN, None)])?);
    ensure!(!check(&[(DROP_IN, Some("source s_cefctl { nonsense(); };\n"))])?);
    ensure!(!check(&[("/etc/syslog-ng/conf.d/z.conf", Some(&text))])?, "names given twice");
    ensure!(check(&[(DROP_IN, None), ("/etc/syslog-ng/conf.d/z.conf", Some(&text))])?);
    Ok(())
}

fn takes_it_in(kind: Kind) -> Result<()> {
    let tree = Tree::new(kind)?;
    let daemon = tree.start(MAIN)?;
    let pid = daemon.pid();
    let collector = Collector::on(tree, |_| {})?;
    let agent = Agent::start(collector.agent_port)?;
    let out = collector.tree.ctl(&["reload"]);
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let event = b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1".to_vec();
    send_udp(loopback(collector.port), std::slice::from_ref(&event));
    ensure!(agent.wait(1, Duration::from_secs(10)) == [event], "{}", daemon.messages());
    ensure!(daemon.pid() == pid);
    // And out again.
    std::fs::remove_file(collector.tree.at(DROP_IN))?;
    ensure!(collector.tree.ctl(&["reload"]).status.success());
    let closed = wait(Duration::from_secs(5), || TcpStream::connect(loopback(collector.port)).is_err().then_some(()));
    ensure!(closed.is_some(), "the port stays open");
    Ok(())
}

/// Whatever is wrong with the new one, the daemon goes on with the old one, and says so by the exit code.
fn goes_back(kind: Kind) -> Result<()> {
    let taken = port();
    let _somebody = std::net::TcpListener::bind(loopback(taken))?;
    for bad in [
        "source x {\n".to_owned(),
        "log { source(nowhere); };\n".to_owned(),
        format!("source x {{ tcp(ip(127.0.0.1) port({taken})); }};\nlog {{ source(x); }};\n"),
        "destination x { file(\"/var/log/syslog\"); };\nlog { source(s_src); destination(x); };\n".to_owned(),
    ] {
        let collector = Collector::new(kind, |_| {})?;
        let (mut daemon, agent) = collector.start()?;
        collector.tree.write("/etc/syslog-ng/conf.d/bad.conf", &bad);
        let out = collector.tree.ctl(&["reload"]);
        ensure!(out.status.code() == Some(1), "{bad} {}", String::from_utf8_lossy(&out.stdout));
        ensure!(daemon.state() == Some(true), "{bad} {}", daemon.messages());
        let event = b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1".to_vec();
        send_udp(loopback(collector.port), std::slice::from_ref(&event));
        ensure!(agent.wait(1, Duration::from_secs(10)) == [event], "{bad}");
    }
    Ok(())
}
