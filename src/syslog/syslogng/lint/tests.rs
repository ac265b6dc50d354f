//! Tests of the rules, each on a configuration that was also tried on the daemon.

use super::*;
use crate::syslog::MapSource;
use crate::syslog::syslogng::effective::ReadSetting;
use crate::syslog::syslogng::problem::Severity;
use std::path::Path;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";

fn load(text: &str) -> Effective {
    let text = format!("@version: 3.38\n{text}\n@include \"/etc/syslog-ng/conf.d/*.conf\"\n");
    let source = MapSource::new().with(MAIN, text).with("/etc/syslog-ng/conf.d/x", "");
    let mut setting = ReadSetting::usual(Path::new(MAIN));
    setting.program = Some(Version::new(3, 38, 1));
    Effective::load_with(Path::new(MAIN), &source, setting)
}

fn errors(text: &str) -> Vec<(Topic, u32)> {
    fatal(&load(text)).iter().map(|p| (p.topic, p.at.as_ref().map_or(0, |a| a.line))).collect()
}

fn warnings(text: &str) -> Vec<Topic> {
    lint(&load(text)).iter().filter(|p| p.severity == Severity::Warning).map(|p| p.topic).collect()
}

#[test]
fn undefined_names() {
    let text = "source s_sys { system(); };\ndestination d { file(\"/x\"); };\nlog { source(s_src); destination(d); };";
    let found = fatal(&load(text));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), format!("{MAIN}:4: source 's_src' is not defined; defined: s_sys"));
    for step in [
        "destination(n)",
        "filter(n)",
        "parser(n)",
        "rewrite(n)",
        "if (filter(n)) { }",
        "junction { channel { filter(n); }; }",
    ] {
        let text = format!("source s {{ internal(); }};\nlog {{ source(s);\n{step}; }};");
        assert_eq!(errors(&text), [(Topic::ReferenceMissing, 4)], "{step}");
    }
}

#[test]
fn filters_that_call_filters() {
    let calls = "source s { internal(); };\nfilter f { not (level(err) or filter(n)); };\n";
    // An unused filter is never resolved.
    assert_eq!(errors(calls), []);
    assert_eq!(errors(&format!("{calls}log {{ source(s); filter(f); }};")), [(Topic::ReferenceMissing, 3)]);
    let circle =
        "source s { internal(); };\nfilter a { filter(b); };\nfilter b { filter(a); };\nlog { source(s); filter(a); };";
    assert_eq!(errors(circle), [(Topic::ReferenceMissing, 4)]);
}

#[test]
fn names_given_twice() {
    let twice = "source s { internal(); };\nsource s { system(); };\nfilter s { level(err); };";
    assert_eq!(errors(twice), [(Topic::NameTwice, 3)]);
    assert_eq!(errors(&format!("@define allow-config-dups 1\n{twice}")), []);
}

#[test]
fn listeners_on_one_port() {
    let with = |drivers: &str| errors(&format!("source s {{\n{drivers}\n}};\nlog {{ source(s); }};"));
    let clash = [(Topic::ListenerTwice, 4)];
    assert_eq!(with("tcp(port(514));\nsyslog(port(514));"), clash);
    assert_eq!(with("tcp();\nnetwork(ip(127.0.0.1) port(\"514\"));"), clash);
    assert_eq!(with("tcp();\ntcp6();"), clash);
    assert_eq!(with("network(ip-protocol(6));\ntcp(ip(10.0.0.1));"), clash);
    assert_eq!(with("udp();\nnetwork(transport(\"udp\"));"), clash);
    assert_eq!(with("udp(persist-name(a));\nudp(persist-name(b));"), clash);
    assert_eq!(with("tcp(port(\"shell\"));\ntcp();"), clash);
    assert_eq!(with("udp(so-reuseport(1));\nudp(so-reuseport(1));"), clash);
    for fine in [
        "tcp();\nudp();",
        "network(so-reuseport(1) persist-name(a));\nnetwork(so-reuseport(yes) persist-name(b));",
        "udp(so-reuseport(1) persist-name(a));\nudp(so_reuseport(1) persist-name(b));",
        "udp();\nudp6();",
        "udp();\nudp(ip(127.0.0.1));",
        "tcp();\nsyslog();",
        "tcp(ip(10.0.0.1));\ntcp(ip(10.0.0.2));",
    ] {
        assert_eq!(with(fine), [], "{fine}");
    }
    // One source in two paths is opened once; a source in no path not at all.
    assert_eq!(errors("source s { tcp(); };\nsource t { tcp(); };\nlog { source(s); };\nlog { source(s); };"), []);
    assert_eq!(warnings("source s { tcp(); };"), [Topic::Unused]);
}

#[test]
fn state_kept_under_one_name() {
    let source = "source s { internal(); };\nlog { source(s); destination(a); destination(b); };\n";
    let with = |a: &str, b: &str| errors(&format!("{source}destination a {{ {a}; }};\ndestination b {{ {b}; }};"));
    let clash = [(Topic::StateTwice, 5)];
    assert_eq!(with("file(\"/x\")", "file(\"/x\" perm(0600))"), clash);
    assert_eq!(with("file(\"/x/$HOST\")", "file(\"/x/$HOST\")"), clash);
    assert_eq!(with("tcp(\"127.0.0.1\" port(25226))", "network(\"127.0.0.1\" port(25226))"), clash);
    assert_eq!(with("file(\"/x\")", "file(\"/y\")"), []);
    assert_eq!(with("tcp(\"127.0.0.1\" port(1))", "udp(\"127.0.0.1\" port(1))"), []);
    assert_eq!(with("tcp(\"127.0.0.1\" port(1))", "tcp(\"localhost\" port(1))"), []);
    assert_eq!(with("tcp(\"127.0.0.1\" port(1))", "tcp(\"127.0.0.1\" port(1) persist-name(\"mine\"))"), []);
    assert_eq!(with("usertty(root)", "usertty(root)"), []);
    let inputs =
        |d: &str| errors(&format!("source a {{ {d}; }};\nsource b {{ {d}; }};\nlog {{ source(a); source(b); }};"));
    for twice in ["internal()", "system()", "unix-dgram(\"/dev/log\")", "file(\"/x\")"] {
        assert_eq!(inputs(twice), [(Topic::StateTwice, 3)], "{twice}");
    }
}

#[test]
fn version_lines() {
    let load = |text: &str, program: Option<Version>| {
        let source = MapSource::new().with(MAIN, text);
        let setting = ReadSetting { program, ..ReadSetting::usual(Path::new(MAIN)) };
        let found = lint(&Effective::load_with(Path::new(MAIN), &source, setting));
        let found: Vec<_> = found.into_iter().filter(|p| p.topic == Topic::Version).map(|p| p.severity).collect();
        found
    };
    let (old, new) = (Some(Version::new(3, 38, 1)), Some(Version::new(4, 8, 1)));
    assert_eq!(load("options { };\n", old), [Severity::Error]);
    assert_eq!(load("options { };\n", new), []);
    assert_eq!(load("@version: 3.5\n", new), []);
    assert_eq!(load("@version: 4.8\n", old), [Severity::Warning]);
    assert_eq!(load("@version: 2.1\n", old), [Severity::Error]);
    assert_eq!(load("@version: current\n", old), []);
    assert_eq!(load("@version: current\n", Some(Version::new(3, 28, 1))), [Severity::Error]);
    assert_eq!(load("# x\n@version: 3.38\n@version: 3.5\n", old), [Severity::Warning]);
    assert_eq!(load("options { };\n@version: 3.38\n", old), [Severity::Error]);
}

#[test]
fn folders_paths_and_templates() {
    let source = MapSource::new().with(MAIN, "@version: 3.38\n");
    let found = lint(&Effective::load(Path::new(MAIN), &source));
    assert_eq!(found.iter().map(|p| p.topic).collect::<Vec<_>>(), [Topic::DropInFolder]);
    let behind = "source s { internal(); };\nlog { source(s); flags(final); };\nlog { source(s); };";
    assert_eq!(warnings(behind), [Topic::Unreachable]);
    let filtered =
        "source s { internal(); };\nlog { source(s); filter { level(err); }; flags(final); };\nlog { source(s); };";
    assert_eq!(warnings(filtered), []);
    assert_eq!(warnings("destination d { file(\"/x\" template(t_mine)); };"), [Topic::TemplateMissing]);
    assert_eq!(warnings("template t_mine \"$MSG\\n\";\ndestination d { file(\"/x\" template(t_mine)); };"), []);
}

#[test]
fn limits_of_a_listener() {
    let found = limits(&load("source s { tcp(); };\nlog { source(s); };"), 514);
    assert_eq!(found.len(), 3, "{found:?}"); // connections, DNS, host name
    let good = "source s { network(max-connections(500) log-iw-size(50000) use-dns(no) keep_hostname(yes)); };\nlog { source(s); };";
    assert_eq!(limits(&load(good), 514), []);
    assert_eq!(limits(&load(good), 601), []);
}
