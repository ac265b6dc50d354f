//! Every check on a collector with syslog-ng, in hop order: each status it can have there.

use super::facts::*;
use super::fixture::*;
use super::fixture_ng::*;
use super::outcome::{Judged, Outcome};
use super::target::{Target, TargetOptions};
use super::*;
use crate::host::proc_process::Process;
use crate::host::{FileKind, FsSpace, SystemClock};
use crate::syslog::syslogng::version::Version;

type Judge = fn(&Case<'_>) -> Judged;

fn judge_of(id: &str) -> Judge {
    catalogue::all().find(|c| c.id == id).unwrap_or_else(|| panic!("{id}")).judge
}

fn of(id: &str, facts: &Facts) -> Outcome {
    judge(judge_of(id), facts)
}

fn is(id: &str, facts: &Facts, status: Status, words: &str) -> Outcome {
    let o = of(id, facts);
    assert!(o.status == status && o.summary.contains(words), "{id}: {words}: {o:#?}");
    o
}

fn whole(facts: &Facts) -> Vec<CheckResult> {
    let target = Target::resolve(&TargetOptions::default(), facts);
    diagnose(facts, &target, &Selection::default(), &SystemClock::default())
}

/// The first failing check, and how many fail.
fn root_cause(facts: &Facts) -> String {
    whole(facts).into_iter().find(|c| c.status == Status::Fail).map(|c| c.id).unwrap_or_default()
}

const USER: &str = "/etc/syslog-ng/conf.d/10-user.conf";

#[test]
fn a_healthy_box_is_called_healthy_and_nothing_else() {
    let facts = ng_healthy();
    let checks = whole(&facts);
    let odd: Vec<_> = checks
        .iter()
        .filter(|c| !["probe", "traffic"].contains(&c.group.as_str()) && !super::tests::is_good(c))
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert_eq!(is("listen.udp", &facts, Status::Pass, "udp/514 is open over IPv4 and IPv6").evidence.len(), 2);
    is("listen.reachable", &facts, Status::Pass, "what arrives at udp/514 and tcp/514 comes to the forward rule");
    is("forward.reliable", &facts, Status::Pass, "up to 1.0 GiB of events wait on disk");
}

#[test]
fn facts_of_another_box_give_the_same_report() {
    let facts = ng_with_files(&[(USER, "log { source(s_cefctl); flags(final); };\n")]);
    let words =
        |facts: &Facts| whole(facts).into_iter().map(|c| (c.id, c.status, c.summary, c.blocked_by)).collect::<Vec<_>>();
    let back: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(words(&back), words(&facts));
    assert_eq!(root_cause(&back), "listen.reachable");
}

#[test]
fn the_daemon_is_there_or_not() {
    let mut facts = ng_healthy();
    is("daemon.present", &facts, Status::Pass, "syslog-ng 3.38.1");
    facts.processes.insert(90, Process { pid: 90, comm: "rsyslogd".into(), ..Process::default() });
    facts.rsyslog.program = Some("/usr/sbin/rsyslogd".into());
    facts.rsyslog.pid = Some(90);
    let o = is("daemon.single", &facts, Status::Warn, "both run");
    assert_eq!(o.advice.unwrap().commands, ["sudo systemctl disable --now rsyslog"]);
    let mut facts = ng_healthy();
    facts.syslog_ng = DaemonFacts::unknown(SYSLOG_NG_CONF);
    let target = Target { daemon: target::Daemon::SyslogNg, ..Target::default() };
    assert_eq!(judge_for(judge_of("daemon.present"), &facts, &target).status, Status::Fail);
}

#[test]
fn the_daemons_own_check_is_believed() {
    let mut facts = ng_healthy();
    is("daemon.config", &facts, Status::Pass, "accepted");
    // Recorded with 3.38: a word where none may be, in somebody else's file.
    let text = "Error parsing config, syntax error, unexpected LL_IDENTIFIER in /etc/syslog-ng/conf.d/90-x.conf:3:1-3:9:\n3->     nonsense here;\n3->     ^^^^^^^^\n";
    facts.syslog_ng.validation = Ok(ng_validation(1, text));
    let o = is("daemon.config", &facts, Status::Fail, "/etc/syslog-ng/conf.d/90-x.conf:3: Error parsing config");
    assert!(o.summary.contains("goes on with what it has loaded"), "{}", o.summary);
    assert_eq!(o.advice.unwrap().commands, ["sudo syslog-ng --syntax-only", "sudo syslog-ng-ctl reload"]);
    // Refused without a place: what we read names it.
    let mut facts = ng_with_files(&[(USER, "destination d { file(\"/x\") };\nnonsense here;\n")]);
    facts.syslog_ng.validation = Ok(ng_validation(1, "Error opening something; error='no'\n"));
    is("daemon.config", &facts, Status::Fail, "10-user.conf:");
    assert_eq!(root_cause(&facts), "daemon.config");
    assert_eq!(of("listen.udp", &facts).blocked_by, Some("daemon.config"));
    // What we cannot read and the daemon can is no fault.
    facts.syslog_ng.validation = Ok(ng_validation(0, ""));
    is("daemon.config", &facts, Status::Pass, "accepted");
    is("listen.udp", &facts, Status::Pass, "open");
    // Nobody asked the daemon.
    let mut facts = ng_healthy();
    facts.syslog_ng.validation = Err("only root can".into());
    is("daemon.config", &facts, Status::Unknown, "syslog-ng was not asked: only root can");
    facts.host.live = false;
    is("daemon.config", &facts, Status::Pass, "nothing wrong was found");
}

#[test]
fn names_that_the_daemons_check_misses() {
    let facts = ng_with_files(&[(USER, "log { source(s_sys); destination(d_syslog); };\n")]);
    let o = is("daemon.references", &facts, Status::Fail, "10-user.conf:1: source 's_sys' is not defined");
    assert!(o.summary.ends_with("the running daemon does not come back after the next start"), "{}", o.summary);
    // It runs on with what it has.
    is("listen.udp", &facts, Status::Pass, "open");
    let twice = "destination d_a { file(\"/var/log/x\"); };\ndestination d_b { file(\"/var/log/x\"); };\n\
                 log { source(s_src); destination(d_a); destination(d_b); };\n";
    is("daemon.references", &ng_with_files(&[(USER, twice)]), Status::Fail, "is written to already");
    let template =
        "destination d_a { file(\"/var/log/x\" template(t_gone)); };\nlog { source(s_src); destination(d_a); };\n";
    is("daemon.references", &ng_with_files(&[(USER, template)]), Status::Warn, "template 't_gone' is not defined");
    is("daemon.references", &ng_with("template(\"${MESSAGE}\\n\")", "template(t_gone)"), Status::Fail, "t_gone");
    is("daemon.references", &ng_healthy(), Status::Pass, "once only");
}

#[test]
fn the_folder_of_drop_ins() {
    is("daemon.include", &ng_healthy(), Status::Pass, "1 file of /etc/syslog-ng/conf.d read");
    let without = NG_MAIN.replace("@include \"/etc/syslog-ng/conf.d/*.conf\"", "");
    let facts = ng_with_files(&[(SYSLOG_NG_CONF, &without)]);
    let o = is("daemon.include", &facts, Status::Fail, "does not include /etc/syslog-ng/conf.d");
    assert!(o.advice.unwrap().summary.contains("`@include \"/etc/syslog-ng/conf.d/*.conf\"` to the end of"));
    assert_eq!(root_cause(&facts), "daemon.include");
    let other = NG_MAIN.replace("conf.d/*.conf", "conf.d/c*.conf");
    let mut facts = ng_with_files(&[(SYSLOG_NG_CONF, &other), (USER, "")]);
    facts.syslog_ng.config.globs.insert("/etc/syslog-ng/conf.d/c*.conf".into(), vec![NG_DROP_IN.into()]);
    is("daemon.include", &facts, Status::Fail, "1 file in /etc/syslog-ng/conf.d without effect");
    let mut facts = ng_healthy();
    ng_set_config(&mut facts, &[(SYSLOG_NG_CONF, NG_MAIN), ("/etc/syslog-ng/scl.conf", "")]);
    is("daemon.include", &facts, Status::Skip, "there is no /etc/syslog-ng/conf.d with files in it");
}

#[test]
fn files_the_daemon_may_not_read() {
    let mut facts = ng_healthy();
    is("daemon.files", &facts, Status::Pass, "all readable");
    facts.syslog_ng.config.files.get_mut(NG_DROP_IN).unwrap().walk.last_mut().unwrap().mode = 0o600;
    is("daemon.files", &facts, Status::Pass, "all readable");
    // With `-u` it is that user who reads.
    let process = facts.processes.get_mut(&DAEMON).unwrap();
    (process.uid, process.gid, process.cap_effective) = (100, 100, 0);
    let o = is("daemon.files", &facts, Status::Fail, "may not read /etc/syslog-ng/conf.d/cefctl.conf");
    assert!(o.advice.unwrap().commands.contains(&"sudo syslog-ng-ctl reload".to_owned()));
    let mut facts = ng_with_files(&[(USER, "@include \"/etc/gone.conf\"\n")]);
    facts.syslog_ng.validation =
        Ok(ng_validation(1, "Include file/directory not found; filename='/etc/gone.conf', error='x'\n"));
    is("daemon.config", &facts, Status::Fail, "/etc/gone.conf");
    is("daemon.files", &facts, Status::Fail, "/etc/gone.conf");
    let mut facts = ng_healthy();
    facts.syslog_ng.config.files.get_mut(NG_DROP_IN).unwrap().content = Err("permission denied".into());
    is("daemon.files", &facts, Status::Unknown, "could not be read");
}

fn stopped(facts: &mut Facts, lines: &str) {
    facts.units = Ok(units(&[("syslog-ng.service", lines)]));
    facts.syslog_ng.pid = None;
    facts.processes.remove(&DAEMON);
    sockets(facts).retain(|s| s.owners != [DAEMON]);
    facts.syslog_ng_says.stats = Err("its control socket is not there".into());
    facts.syslog_ng_says.loaded = Err("its control socket is not there".into());
}

const FAILED: &str = "ActiveState=failed\nSubState=failed\nMainPID=0\nUnitFileState=enabled\nResult=exit-code\n";

#[test]
fn it_runs_or_something_keeps_it_from_that() {
    let mut facts = ng_healthy();
    is("daemon.running", &facts, Status::Pass, "syslog-ng is active (running), pid 47");
    stopped(&mut facts, "ActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=enabled\nResult=success\n");
    let o = is("daemon.running", &facts, Status::Fail, "syslog-ng does not run");
    assert_eq!(o.advice.unwrap().commands, ["sudo systemctl start syslog-ng"]);
    assert_eq!(root_cause(&facts), "daemon.running");
    // Ended because somebody has the port: that one is the cause.
    stopped(&mut facts, FAILED);
    assert_eq!(root_cause(&facts), "daemon.running");
    add_socket(&mut facts, Transport::Tcp, "0.0.0.0:514", 4711);
    assert_eq!(of("daemon.running", &facts).blocked_by, Some("listen.owner"));
    assert_eq!(root_cause(&facts), "listen.owner");
    // In the middle of systemd's next try as well.
    facts.units = Ok(units(&[(
        "syslog-ng.service",
        "ActiveState=activating\nSubState=start\nMainPID=0\nUnitFileState=enabled\nResult=success\n",
    )]));
    assert_eq!(root_cause(&facts), "listen.owner");
    let try_again =
        Process { pid: 90, comm: "syslog-ng".into(), unit: Some("syslog-ng.service".into()), ..Process::default() };
    facts.processes.insert(90, try_again);
    facts.syslog_ng.pid = Some(90);
    assert_eq!(root_cause(&facts), "listen.owner");
    facts.processes.get_mut(&90).unwrap().unit = None;
    assert_eq!(root_cause(&facts), "listen.owner");
    // Or because it asks twice.
    let mut facts = ng_with_files(&[(USER, "source s_n { tcp(port(514)); };\nlog { source(s_n); };\n")]);
    stopped(&mut facts, FAILED);
    assert_eq!(root_cause(&facts), "listen.duplicate");
    is("listen.duplicate", &facts, Status::Fail, "tcp/514 has two listeners");
}

#[test]
fn what_it_has_loaded_is_what_counts() {
    let mut facts = ng_healthy();
    let touch = |facts: &mut Facts, at| facts.syslog_ng.config.files.get_mut(NG_DROP_IN).unwrap().mtime = Some(at);
    // Written after the start and loaded since by a reload, which leaves no trace in the unit.
    touch(&mut facts, 1_000_100);
    is("daemon.running", &facts, Status::Pass, "active");
    facts.syslog_ng_says.loaded = Ok(Loaded { only_in_files: vec!["udp(port(514));".into()], ..Loaded::default() });
    let o = is(
        "daemon.running",
        &facts,
        Status::Warn,
        "not with its present configuration: /etc/syslog-ng/conf.d/cefctl.conf was changed",
    );
    assert!(o.evidence.iter().any(|e| e.source == "not in force yet" && e.text.contains("udp(port")));
    assert_eq!(o.advice.unwrap().commands, ["sudo syslog-ng-ctl reload"]);
    // A listener that waits for that.
    close(&mut facts, Transport::Udp, |_| true);
    let o = is("listen.udp", &facts, Status::Fail, "udp/514 is configured but not open");
    assert_eq!(o.advice.unwrap().commands, ["sudo syslog-ng-ctl reload"]);
    // One that shows nothing to compare with, as 4.12 does.
    facts.syslog_ng_says.loaded = Ok(Loaded { unread: true, ..Loaded::default() });
    assert!(!of("daemon.running", &facts).summary.contains("present configuration"));
    // A daemon that cannot be asked: the times of the files are all there is.
    facts.syslog_ng_says.loaded = Err("no".into());
    is("daemon.running", &facts, Status::Warn, "was changed after its start");
}

#[test]
fn the_port() {
    let mut facts = ng_healthy();
    close(&mut facts, Transport::Tcp, |a| a.port() == 514);
    is("listen.tcp", &facts, Status::Fail, "tcp/514 is configured but not open");
    is("listen.udp", &facts, Status::Pass, "open");
    // IPv4 alone is what was asked for.
    let mut facts = ng_with(" ip-protocol(6)", "");
    sockets(&mut facts).retain(|s| s.local.port() != 514);
    for transport in [Transport::Udp, Transport::Tcp] {
        add_socket(&mut facts, transport, "0.0.0.0:514", DAEMON);
    }
    is("listen.udp", &facts, Status::Pass, "open over IPv4, as configured");
    // A source that no log path names is never opened.
    let mut facts = ng_with_drop_in("source s_net { network(transport(udp)); };\n");
    close(&mut facts, Transport::Udp, |a| a.port() == 514);
    let o = is("listen.udp", &facts, Status::Fail, "no log path names it");
    assert!(o.evidence.iter().any(|e| e.text.contains("source s_net, in no log path")), "{o:#?}");
    // Nothing asks for it, but it is open: gone with the next reload.
    let facts = ng_with_drop_in("");
    is("listen.udp", &facts, Status::Fail, "is open, but its listener is no longer configured");
    is("listen.limits", &facts, Status::Skip, "nothing is configured");
    let mut facts = ng_with("network(transport", "network(ip(\"::1\") transport");
    sockets(&mut facts).retain(|s| s.local.port() != 514);
    is("listen.udp", &facts, Status::Fail, "loopback only");
    // Another program has it.
    let mut facts = ng_healthy();
    close(&mut facts, Transport::Udp, |a| a.port() == 514);
    add_socket(&mut facts, Transport::Udp, "0.0.0.0:514", 4711);
    is("listen.owner", &facts, Status::Fail, "udp 0.0.0.0:514 belongs to pid 4711");
    assert_eq!(of("listen.udp", &facts).blocked_by, Some("listen.owner"));
}

#[test]
fn two_listeners() {
    let of = |driver: &str| {
        ng_with_files(&[(
            USER,
            &format!("source s_n {{ {driver}; }};\nlog {{ source(s_n); destination(d_syslog); }};\n"),
        )])
    };
    let o = is("listen.duplicate", &of("udp6(port(514))"), Status::Fail, "udp/514 has two listeners");
    assert!(o.evidence.iter().any(|e| e.source == "/etc/syslog-ng/conf.d/10-user.conf:1"), "{o:#?}");
    is("listen.duplicate", &of("tcp(port(5514))"), Status::Pass, "one listener");
    is("listen.duplicate", &of("udp6(port(514) persist-name(x))"), Status::Warn, "cefctl.conf:2 gets the traffic");
    let last = "source s_n { udp6(port(514) persist-name(x)); };\nlog { source(s_n); destination(d_syslog); };\n";
    let facts = ng_with_files(&[("/etc/syslog-ng/conf.d/z.conf", last)]);
    is("listen.duplicate", &facts, Status::Fail, "z.conf:1 gets the traffic, and from there nothing comes to");
    is(
        "listen.duplicate",
        &of("udp(ip(192.0.2.5) port(514))"),
        Status::Warn,
        "sent to 192.0.2.5 goes to the listener at",
    );
}

#[test]
fn from_the_listener_to_the_rule() {
    let last = "/etc/syslog-ng/conf.d/a.conf";
    let o = is(
        "listen.reachable",
        &ng_with_files(&[(last, "log { source(s_cefctl); destination(d_syslog); flags(final); };\n")]),
        Status::Fail,
        "the log path at /etc/syslog-ng/conf.d/a.conf:1 takes it for good",
    );
    assert!(o.evidence.iter().any(|e| e.text.contains("flags(final)")), "{o:#?}");
    // It takes what other devices send than that of the samples.
    let of_some = "log { source(s_cefctl); filter { netmask(10.0.0.0/8); }; destination(d_syslog); flags(final); };\n";
    let o = is(
        "listen.reachable",
        &ng_with_files(&[(last, of_some)]),
        Status::Warn,
        "what some devices send to udp/514 and tcp/514 does not come to the forward rule: the log path at /etc/syslog-ng/conf.d/a.conf:1",
    );
    assert!(o.evidence.iter().any(|e| e.text.contains("filter by sender")), "{o:#?}");
    // Somebody's will, but not one of a device's owner.
    let drops = "log { source(s_cefctl); filter { host(\"fw9\"); }; flags(final); };\n";
    let text = "what some devices send to udp/514 and tcp/514 is dropped before it comes to the forward rule, at /etc/syslog-ng/conf.d/a.conf:1";
    is("listen.reachable", &ng_with_files(&[(last, drops)]), Status::Warn, text);
    let noise = "log { source(s_cefctl); filter { level(debug); }; flags(final); };\n";
    is("listen.reachable", &ng_with_files(&[(last, noise)]), Status::Pass, "comes to the forward rule");
    // The rule takes another source.
    let facts = ng_with_drop_in(
        "source s_net { network(transport(udp) flags(store-raw-message)); };\nlog { source(s_net); destination(d_syslog); };\n\
         filter f_c { match(\"CEF:|%(ASA|FTD)-\" value(\"MSGHDR\")) or match(\"CEF:|%(ASA|FTD)-\" value(\"MESSAGE\")); };\n\
         destination d_c { network(\"127.0.0.1\" port(25226)); };\n\
         log { source(s_src); filter(f_c); destination(d_c); };\n",
    );
    let o = is("listen.reachable", &facts, Status::Fail, "no log path leads from source s_net to destination d_c");
    assert!(o.evidence.iter().any(|e| e.text.contains("for events of source s_src only")), "{o:#?}");
    // No rule: another check's fault.
    let none =
        ng_with_drop_in("source s_net { network(transport(udp)); };\nlog { source(s_net); destination(d_syslog); };\n");
    assert_eq!(of("listen.reachable", &none).blocked_by, Some("forward.rule"));
    // Something we cannot follow.
    let facts = ng_with_files(&[(
        last,
        "parser p_x { csv-parser(columns(\"X\")); };\nlog { source(s_cefctl); parser(p_x); filter { match(\"a\" value(\"X\")); }; destination(d_syslog); flags(final); };\n",
    )]);
    is("listen.reachable", &facts, Status::Unknown, "only the running daemon knows");
}

#[test]
fn limits() {
    is("listen.limits", &ng_healthy(), Status::Pass, "messages up to 64.0 KiB");
    is("listen.limits", &ng_with("max-connections(500)", ""), Status::Warn, "no more than 10 TCP senders");
    is("listen.limits", &ng_with("log-msg-size(65536)", "log-msg-size(8192)"), Status::Warn, "cut at 8192 bytes");
    let counted = ng_with("network(transport(\"tcp\")", "syslog(transport(\"tcp\")");
    is("listen.limits", &counted, Status::Warn, "the driver wants a length");
    let mut facts = ng_with("use-dns(no)", "use-dns(yes)");
    facts.host.reverse_lookup_ms = Some(1000);
    is("listen.limits", &facts, Status::Warn, "takes 1000 ms or more");
}

const ORIGINAL: &str = include_str!(
    "../../fixtures/syslog-ng/trees/original-debian-twice/etc/syslog-ng/conf.d/security-config-omsagent.conf"
);
const ORIGINAL_PATH: &str = "/etc/syslog-ng/conf.d/security-config-omsagent.conf";

#[test]
fn what_the_original_left() {
    let main = include_str!("../../fixtures/syslog-ng/trees/original-debian-twice/etc/syslog-ng/syslog-ng.conf");
    let mut facts = ng_with_files(&[(SYSLOG_NG_CONF, main), (NG_DROP_IN, "")]);
    ng_set_config(&mut facts, &[(SYSLOG_NG_CONF, main), ("/etc/syslog-ng/scl.conf", ""), (ORIGINAL_PATH, ORIGINAL)]);
    let o = is("daemon.config", &facts, Status::Warn, "local messages of this box are logged nowhere");
    assert!(o.evidence.iter().any(|e| e.text.contains("added and made a comment again")), "{o:#?}");
    let o = is("forward.rule", &facts, Status::Fail, "is the syslog-ng rule of cef_installer.py; it does not forward");
    assert!(o.summary.starts_with("/etc/syslog-ng/conf.d/security-config-omsagent.conf:1 "), "{}", o.summary);
    assert_eq!(root_cause(&facts), "forward.rule");
    is("forward.local-copy", &facts, Status::Warn, "also written to local files");
    is("forward.reliable", &facts, Status::Warn, "in memory only");
    // RHEL: its own source is a comment that log paths still name.
    let main = include_str!("../../fixtures/syslog-ng/trees/original-rhel/etc/syslog-ng/syslog-ng.conf");
    ng_set_config(&mut facts, &[(SYSLOG_NG_CONF, main), ("/etc/syslog-ng/scl.conf", ""), (ORIGINAL_PATH, ORIGINAL)]);
    stopped(&mut facts, FAILED);
    let o = is("daemon.references", &facts, Status::Fail, "source 's_sys' is not defined");
    assert!(
        o.evidence.iter().any(|e| e.text.contains("source s_sys is a comment: cef_installer.py does that")),
        "{o:#?}"
    );
    assert_eq!(root_cause(&facts), "daemon.references");
}

#[test]
fn the_rule() {
    is(
        "forward.rule",
        &ng_healthy(),
        Status::Pass,
        "CEF, ASA and FTD are forwarded by /etc/syslog-ng/conf.d/cefctl.conf:",
    );
    let rule = |filter: &str| {
        ng_with_drop_in(&format!(
            "source s_net {{ network(transport(udp) flags(no-parse)); network(flags(no-parse) max-connections(500)); }};\n\
             destination d_c {{ network(\"127.0.0.1\" port(25226)); }};\n\
             log {{ source(s_net); filter {{ {filter}; }}; destination(d_c); flags(final); }};\n"
        ))
    };
    is("forward.rule", &rule("match(\"CEF:|%ASA-\" value(\"MESSAGE\"))"), Status::Fail, "does not forward FTD");
    is(
        "forward.rule",
        &rule("match(\"CEF:|%FTD|ASA\" value(\"MESSAGE\"))"),
        Status::Warn,
        "also forwards what is no security event (a login",
    );
    let usual = "match(\"CEF:|%ASA-|%FTD-\" value(\"MESSAGE\")) and match(\"^<164>\" value(\"MESSAGE\"))";
    is("forward.rule", &rule(usual), Status::Warn, "does not forward CEF of another facility");
    is("forward.rule", &rule("in-list(\"/etc/x\" value(\"HOST\"))"), Status::Unknown, "only the running daemon knows");
    let none = ng_with_drop_in(
        "destination d_c { network(\"192.0.2.1\" port(25226)); };\nlog { source(s_src); destination(d_c); };\n",
    );
    let o = is("forward.rule", &none, Status::Fail, "nothing in the configuration forwards");
    assert!(o.evidence.iter().any(|e| e.text.contains("another machine")));
}

#[test]
fn target_duplicate_and_copy() {
    is("forward.target", &ng_healthy(), Status::Pass, "forwards to 127.0.0.1:25226 over tcp");
    is(
        "forward.target",
        &ng_with("port(25226)", "port(25227)"),
        Status::Fail,
        "forwards to 127.0.0.1:25227 over tcp, but",
    );
    is(
        "forward.target",
        &ng_with("port(25226) transport(\"tcp\")", "port(25226) transport(\"udp\")"),
        Status::Fail,
        "over udp, but",
    );
    let twice = "destination d_two { network(\"127.0.0.1\" port(25226) persist-name(two)); };\nlog { source(s_cefctl); destination(d_two); };\n";
    is("forward.duplicate", &ng_with_files(&[(USER, twice)]), Status::Warn, "2 rules");
    let plain =
        "destination d_oms { udp(\"127.0.0.1\" port(25224)); };\nlog { source(s_cefctl); destination(d_oms); };\n";
    is("forward.duplicate", &ng_with_files(&[(USER, plain)]), Status::Warn, "stored twice");
    is("forward.duplicate", &ng_healthy(), Status::Pass, "once");
    let copy = ng_with_files(&[(USER, "log { source(s_cefctl); destination(d_syslog); };\n")]);
    is("forward.local-copy", &copy, Status::Warn, "writes to /var/log/syslog");
    is("forward.local-copy", &ng_healthy(), Status::Pass, "no local file");
}

#[test]
fn what_waits_for_the_agent() {
    let plain = ng_with_drop_in(&without_buffer());
    is("forward.reliable", &plain, Status::Warn, "in memory only");
    let mut facts = ng_with("disk-buffer(", "disk-buffer(dir(\"/data/q\") ");
    is("forward.reliable", &facts, Status::Unknown, "/data/q was not looked at");
    let gone = Spool {
        link: false,
        path: "/data/q".into(),
        real: "/data/q".into(),
        walk: folders(&["/", "/data"]),
        files: Err("no such folder".into()),
        read: Default::default(),
        space: None,
    };
    facts.syslog_ng.spools.push(gone);
    // The daemon makes it; that of Debian 11 did not.
    is("forward.reliable", &facts, Status::Pass, "wait on disk");
    facts.syslog_ng_says.about.as_mut().unwrap().version = Version::new(3, 28, 1);
    is("forward.reliable", &facts, Status::Fail, "cannot write to /data/q: it does not exist");
    facts.syslog_ng_says.about.as_mut().unwrap().version = Version::new(3, 38, 1);
    let spool = facts.syslog_ng.spools.last_mut().unwrap();
    spool.walk = folders(&["/", "/data", "/data/q"]);
    spool.walk.last_mut().unwrap().immutable = true;
    is("forward.reliable", &facts, Status::Fail, "cannot write to /data/q");
    let spool = facts.syslog_ng.spools.last_mut().unwrap();
    spool.walk.last_mut().unwrap().immutable = false;
    spool.walk.last_mut().unwrap().kind = FileKind::File;
    is("forward.reliable", &facts, Status::Fail, "it is no folder; the daemon does not come back");
    // What keeps the daemon from starting is the cause, not that it does not run.
    stopped(&mut facts, FAILED);
    is("forward.reliable", &facts, Status::Fail, "it is no folder; the daemon does not start");
    assert_eq!(of("daemon.running", &facts).blocked_by, Some("forward.reliable"));
    assert_eq!(root_cause(&facts), "forward.reliable");
    let mut facts = ng_healthy();
    stopped(&mut facts, FAILED);
    facts.syslog_ng.mounts = Err("the daemon does not run".into());
    let space = FsSpace { total: 1, available: 1, inodes: 1, inodes_available: 1, read_only: true };
    facts.syslog_ng.spools[0].space = Some(space);
    is("forward.reliable", &facts, Status::Fail, "/var/lib/syslog-ng: it is on a file system that is read-only");
}

/// The drop-in with the queue in memory.
fn without_buffer() -> String {
    let text = ng_drop_in();
    let at = text.find("disk-buffer(").unwrap();
    let mut depth = 0;
    let end = text[at..].find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ')' && depth == 0
    });
    format!("{}{}", &text[..at], &text[at + end.unwrap() + 1..])
}

#[test]
fn connected() {
    let mut facts = ng_healthy();
    is("forward.connected", &facts, Status::Pass, "connected to port 25226");
    ng_disconnect(&mut facts);
    let o = is("forward.connected", &facts, Status::Warn, "not connected to port 25226 although somebody listens");
    assert!(o.advice.unwrap().summary.contains("every 5 s"));
    let line = |text: &str| OwnLine { source: "/var/log/syslog".into(), text: text.into() };
    facts.syslog_ng.own_lines = Ok(vec![line(
        "Syslog connection failed; fd='12', server='AF_INET(127.0.0.1:25226)', error='Connection refused (111)', time_reopen='5'",
    )]);
    let stats = b"dst.network;d_cefctl#0;tcp,127.0.0.1:25226;a;queued;12\n";
    facts.syslog_ng_says.stats = Ok(Bytes(stats.to_vec()));
    let o = is("forward.connected", &facts, Status::Warn, "not connected");
    assert!(o.evidence.iter().any(|e| e.text == "12 events wait for the agent"), "{o:#?}");
    assert!(o.evidence.iter().any(|e| e.text.contains("Connection refused")), "{o:#?}");
}

#[test]
fn a_daemon_between_two_tries_to_connect_is_not_called_broken() {
    let mut facts = ng_healthy();
    let arrived = |took_ms, arrived: Option<&[u8]>| ProbeFacts {
        sent: Bytes(b"<164>Aug  1 10:00:00 c1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Self test|1|msg=x".to_vec()),
        to: "127.0.0.1:514".into(),
        send_error: None,
        blind: None,
        seen_at_listener: Some(true),
        arrived: arrived.map(|a| Bytes(a.to_vec())),
        took_ms,
    };
    facts.probe.insert(Transport::Udp, arrived(1000, None));
    is("probe.udp", &facts, Status::Fail, "the daemon did not pass it on");
    ng_disconnect(&mut facts);
    is("probe.udp", &facts, Status::Warn, "tries again every 5 s");
    facts.probe.insert(Transport::Udp, arrived(6000, None));
    is("probe.udp", &facts, Status::Fail, "the daemon did not pass it on");
    let configs = case::read_config(&facts);
    let target = Target::resolve(&TargetOptions::default(), &facts);
    let case = Case::new(&facts, &target, &configs);
    assert_eq!(spool::until_retry(&case), Some(Duration::from_secs(6)));
    let facts = ng_healthy();
    let configs = case::read_config(&facts);
    assert_eq!(spool::until_retry(&Case::new(&facts, &target, &configs)), None);
}

/// The port for lines and the one for counted events: what comes to the wrong one is lost, however good it is.
#[test]
fn traffic_in_the_wrong_frames_is_named() {
    use crate::message::lint::frames::Framing;
    use crate::message::lint::live::Traffic;
    use crate::message::lint::tally::Arrival;
    let seen = |way: &str, framing: Framing| {
        let mut facts = ng_with_drop_in(&ng_drop_in());
        let mut traffic = Traffic { milliseconds: 2000, ..Traffic::default() };
        let line = crate::message::lint::lint(b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1", framing);
        traffic.tally.add("10.0.0.7", way, &line, &Arrival { time: None, zone: jiff::tz::TimeZone::UTC });
        facts.traffic = Some(TrafficFacts { seen: traffic, dropped: Some(0), ..TrafficFacts::default() });
        facts
    };
    is("traffic.format", &seen("tcp", Framing::LineFeed), Status::Pass, "arrive as they should");
    is("traffic.format", &seen("tcp/601", Framing::OctetCount), Status::Pass, "arrive as they should");
    let out = is("traffic.format", &seen("tcp/601", Framing::LineFeed), Status::Fail, "closes the connection");
    assert!(format!("{out:?}").contains("all others to tcp/514"), "{out:?}");
    is("traffic.format", &seen("tcp", Framing::OctetCount), Status::Fail, "run into one");
}

/// Somebody's forward that does not take events, in a log path of the source that ours uses too.
#[test]
fn a_source_that_stands_still_is_told_with_what_it_waits_for() {
    let site = "source s_net { network(transport(udp) flags(store-raw-message)); };\n\
                destination d_siem { network(\"192.0.2.9\" port(6000)); };\n\
                log { source(s_net); log { destination(d_siem); flags(flow-control); }; };\n\
                filter f_c { match(\"CEF:|%(ASA|FTD)-\" value(\"RAWMSG\")); };\n\
                destination d_c { network(\"127.0.0.1\" port(25226)); };\n\
                log { source(s_net); filter(f_c); destination(d_c); flags(flow-control); };\n";
    let mut facts = ng_with_drop_in(site);
    facts.probe.insert(
        Transport::Udp,
        ProbeFacts {
            sent: Bytes(
                b"<164>Aug  1 10:00:00 c1 CEF:0|TestCommonEventFormat|MOCK|1.0|mock|Self test|1|msg=x".to_vec(),
            ),
            to: "127.0.0.1:514".into(),
            send_error: None,
            blind: None,
            seen_at_listener: Some(true),
            arrived: None,
            took_ms: 90_000,
        },
    );
    is("probe.udp", &facts, Status::Fail, "the daemon did not pass it on");
    let stats = b"dst.network;d_siem#0;tcp,192.0.2.9:6000;a;queued;105\n";
    facts.syslog_ng_says.stats = Ok(Bytes(stats.to_vec()));
    let o = is("probe.udp", &facts, Status::Fail, "stands still, since 105 events wait for 192.0.2.9:6000");
    assert!(o.evidence.iter().any(|e| e.source == format!("{NG_DROP_IN}:3")), "{o:#?}");
}
