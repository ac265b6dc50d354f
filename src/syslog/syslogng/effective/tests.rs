//! Tests of the effective configuration.

use super::*;
use crate::syslog::MapSource;
use crate::syslog::syslogng::problem::{Severity, Topic};

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";

fn load(text: &str) -> Effective {
    Effective::load(Path::new(MAIN), &MapSource::new().with(MAIN, format!("@version: 3.38\n{text}")))
}

fn topics(config: &Effective) -> Vec<(Topic, u32)> {
    config.problems.iter().map(|p| (p.topic, p.at.as_ref().map_or(0, |a| a.line))).collect()
}

fn only_listener(drivers: &str) -> Listener {
    let config = load(&format!("source s {{ {drivers}; }};\nlog {{ source(s); }};\n"));
    assert_eq!(config.problems, [], "{drivers}");
    let found = config.listeners();
    assert_eq!(found.len(), 1, "{drivers}");
    found[0].listener.clone()
}

#[test]
fn listeners() {
    let l = only_listener("udp()");
    assert_eq!(
        (l.transport, l.framing, l.format, l.family),
        (Transport::Udp, Framing::Datagram, Format::Rfc3164, Family::V4)
    );
    assert_eq!((l.port_number(), l.address, l.max_connections, l.window), (Some(514), None, 10, 1000));
    assert_eq!((l.keep_hostname, l.use_dns, l.message_size, l.raw_message), (false, true, 65536, false));
    let l = only_listener("network(ip(\"10.0.0.1\") transport(\"udp\") port(5514) flags(no-parse, store-raw-message))");
    assert_eq!(
        (l.transport, l.port_number(), l.format, l.raw_message),
        (Transport::Udp, Some(5514), Format::Raw, true)
    );
    assert_eq!(l.address, Some("10.0.0.1".into()));
    let l =
        only_listener("network(max_connections(200) log_iw_size(20k) so-rcvbuf(8MiB) keep_hostname(yes) use_dns(no))");
    assert_eq!((l.transport, l.framing, l.max_connections, l.window), (Transport::Tcp, Framing::Lines, 200, 20_000));
    assert_eq!((l.receive_buffer, l.keep_hostname, l.use_dns), (Some(8 << 20), true, false));
    let l = only_listener("syslog()");
    assert_eq!(
        (l.transport, l.framing, l.format, l.port_number()),
        (Transport::Tcp, Framing::OctetCounted, Format::Rfc5424, Some(601))
    );
    assert_eq!(only_listener("syslog(transport(\"udp\"))").port_number(), Some(514));
    let l = only_listener("syslog(transport(tls) tls(key-file(\"/k\") cert-file(\"/c\")))");
    assert_eq!((l.transport, l.port_number()), (Transport::Tls, Some(6514)));
    assert_eq!(only_listener("tcp(tls(key-file(\"/k\")))").transport, Transport::Tls);
    assert_eq!(only_listener("network(transport(auto))").framing, Framing::Auto);
    assert_eq!(only_listener("tcp6(localport(1) localip(\"::\"))").family, Family::V6);
    assert_eq!(only_listener("network(ip-protocol(6) ip(\"::\"))").address, None);
    assert_eq!(only_listener("network(flags(syslog-protocol))").format, Format::Rfc5424);
}

#[test]
fn options_hold_for_what_says_nothing_wherever_they_stand() {
    let config = load(
        "source s { udp(); };\noptions { keep_hostname(no); keep-hostname(yes); use_dns(no); log-msg-size(8192); time_reopen(5); };\ndestination d { tcp(\"127.0.0.1\" port(25226)); };\nlog { source(s); destination(d); };\n",
    );
    let l = config.listeners()[0].listener;
    assert_eq!((l.keep_hostname, l.use_dns, l.message_size), (true, false, 8192));
    assert_eq!(config.forwards_to(25226)[0].1.time_reopen, 5);
    assert_eq!(config.option("time-reopen").unwrap().at.line, 3);
}

#[test]
fn library_network_drivers() {
    let config =
        load("source s { default-network-drivers(max-connections(99) udp-port(5140)); };\nlog { source(s); };\n");
    let found: Vec<_> = config
        .listeners()
        .iter()
        .map(|l| (l.listener.port_number(), l.listener.framing, l.listener.max_connections))
        .collect();
    assert_eq!(
        found,
        [(Some(514), Framing::Lines, 99), (Some(5140), Framing::Datagram, 99), (Some(601), Framing::OctetCounted, 99)]
    );
    assert_eq!(load("source s { default-network-drivers(tls(key-file(\"/k\"))); };\n").listeners().len(), 4);
}

#[test]
fn destinations() {
    let config = load(
        r#"destination d {
    network("192.0.2.1" port(6514) transport("tls") template("$MSG\n") disk-buffer(reliable(yes) disk-buf-size(1GiB) dir("/q")) persist-name("p"));
    tcp("localhost" port(25226) log_fifo_size(500));
    udp("10.0.0.1");
    file("/var/log/$HOST" template(t));
    unix-dgram("/run/azuremonitoragent/default_syslog.socket");
    usertty("root");
    pipe("/dev/xconsole");
    program("/bin/x");
    mongodb();
};
template t { template("$HOST $MSG\n"); template_escape(no); };
"#,
    );
    assert_eq!(config.problems, []);
    let drivers = &config.destinations[0].drivers;
    let kinds: Vec<String> =
        drivers.iter().map(|d| format!("{:?}", d.kind).split(['(', ' ']).next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Forward", "Forward", "Forward", "File", "Unix", "Users", "Pipe", "Program", "Other"]);
    let buffer = drivers[0].disk_buffer.as_ref().unwrap();
    assert_eq!(
        (buffer.reliable, buffer.capacity, buffer.dir.as_ref().unwrap().to_string()),
        (true, 1 << 30, "/q".into())
    );
    assert_eq!(drivers[0].persist_name, Some("p".into()));
    assert_eq!((drivers[1].fifo_size, drivers[1].time_reopen), (500, 60));
    assert_eq!(config.template_of(&drivers[3]).unwrap(), &"$HOST $MSG\n");
    assert_eq!(config.forwards_to(25226).len(), 1);
    assert_eq!(config.forwards_to(6514).len(), 0);
    assert_eq!(drivers[3].at.to_string(), format!("{MAIN}:6"));
}

#[test]
fn log_paths() {
    let config = load(
        "log named { source(a); source { udp(); }; filter { level(err); }; parser(p);\n\
         if (program(x)) { rewrite(r); } elif { filter(y); } else { };\n\
         junction { channel { destination(d); flags(final); }; log { destination(e); }; };\n\
         log { destination(f); flags(fallback); };\n\
         flags(flow-control, catchall); };\n",
    );
    assert_eq!(config.problems, []);
    let path = &config.logs[0];
    assert_eq!(path.name, Some("named".into()));
    assert_eq!(path.flags, Flags { catchall: true, flow_control: true, ..Flags::default() });
    let kinds: Vec<String> =
        path.steps.iter().map(|s| format!("{:?}", s.kind).split(['(', ' ']).next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Source", "Source", "Filter", "Parser", "If", "Junction", "Junction"]);
    let StepKind::If { branches, otherwise } = &path.steps[4].kind else { panic!() };
    assert_eq!((branches.len(), branches[1].condition.is_none(), otherwise.is_some()), (2, true, true));
    let StepKind::Junction(forks) = &path.steps[5].kind else { panic!() };
    assert!(forks[0].flags.is_final && !forks[1].flags.is_final);
    assert_eq!(config.used_sources(), [true]);
    assert_eq!(path.sources(), [&Ref::Named("a".into()), &Ref::Inline(0)]);
}

#[test]
fn defines_and_blocks() {
    let config = load(
        r#"@define port 5514
@define where "/var/log/x y"
block source both(port(514) rcv("") ...)
{
  udp(port(`port`) `__VARARGS__`);
  tcp(port(`port`) ip(`rcv`) keep-hostname(yes));
};
block destination here() { file("/one-line/`port`"); };
source s { both(port(601) use-dns(no)); network(port(`port`)); };
destination d { file("`where`/a"); here(); };
log { source(s); destination(d); };
"#,
    );
    assert_eq!(topics(&config), []);
    let found: Vec<_> = config
        .listeners()
        .iter()
        .map(|l| (l.listener.port_number(), l.listener.use_dns, l.driver.block.is_some(), l.driver.at.line))
        .collect();
    assert_eq!(found, [(Some(601), false, true, 10), (Some(601), true, true, 10), (Some(5514), true, false, 10)]);
    let files: Vec<String> = config.destinations[0].drivers.iter().map(|d| format!("{:?}", d.kind)).collect();
    assert_eq!(files, ["File(\"/var/log/x y/a\")", "File(\"/one-line/5514\")"]);
}

#[test]
fn block_arguments_are_not_known_in_the_line_of_the_head() {
    // The daemon reads `port()` here and does not start.
    let config = load("block source x(p(5514)) { udp(port(`p`)); };\nsource s { x(); };\n");
    assert_eq!(topics(&config), [(Topic::Define, 2)]);
    let wrong = load("block source x(p(1))\n{ udp(port(`p`)); };\nsource s { x(q(2)); };\n");
    assert_eq!(topics(&wrong), [(Topic::Syntax, 4)]);
}

#[test]
fn includes() {
    let source = MapSource::new()
        .with(MAIN, "@version: 3.38\n@include \"scl.conf\"\nsource s {\n@include \"inner.inc\"\n};\n@include \"/etc/syslog-ng/conf.d/*.conf\"\n@include \"/etc/syslog-ng/dir\"\nlog { source(s); };\n")
        .with("/etc/syslog-ng/inner.inc", "udp();\n")
        .with("/usr/share/syslog-ng/include/scl.conf", "@include 'scl/*/*.conf'\n")
        .with("/usr/share/syslog-ng/include/scl/a/p.conf", "block source ours()\n{ tcp(); };\n")
        .with("/etc/syslog-ng/conf.d/b.conf", "destination b { file(\"/b\"); };\n")
        .with("/etc/syslog-ng/conf.d/a.conf", "destination a { file(\"/a\"); };\n")
        .with("/etc/syslog-ng/conf.d/c.conf.bak", "nonsense")
        .with("/etc/syslog-ng/dir/.hidden", "nonsense")
        .with("/etc/syslog-ng/dir/od d", "nonsense")
        .with("/etc/syslog-ng/dir/z", "destination z { ours(); };\n");
    let config = Effective::load(Path::new(MAIN), &source);
    assert_eq!(config.problems, []);
    let names: Vec<String> = config.destinations.iter().map(|d| d.name.as_ref().unwrap().to_string()).collect();
    assert_eq!(names, ["a", "b", "z"]);
    let read: Vec<String> =
        config.files.iter().map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(read, ["syslog-ng.conf", "scl.conf", "p.conf", "inner.inc", "a.conf", "b.conf", "z"]);
    assert_eq!(config.listeners()[0].driver.at.to_string(), "/etc/syslog-ng/inner.inc:1");
    assert!(config.includes_path(Path::new("/etc/syslog-ng/conf.d/new.conf")).is_some());
    assert!(config.includes_path(Path::new("/etc/syslog-ng/conf.d/new.txt")).is_none());
    assert!(config.includes_path(Path::new("/etc/syslog-ng/dir/new")).is_some());
}

#[test]
fn includes_that_fail() {
    let missing = load("@include \"/etc/syslog-ng/none.conf\"\n@include \"/etc/none/*.conf\"\n");
    assert_eq!(topics(&missing), [(Topic::Include, 2), (Topic::IncludeEmpty, 3)]);
    let circle = MapSource::new()
        .with(MAIN, "@version: 3.38\n@include \"a\"\n")
        .with("/etc/syslog-ng/a", "@include \"syslog-ng.conf\"\noptions { };\n");
    assert_eq!(topics(&Effective::load(Path::new(MAIN), &circle)), [(Topic::Include, 1)]);
    let dangling = MapSource::new()
        .with(MAIN, "@include \"/etc/syslog-ng/conf.d/*.conf\"\n")
        .with_dangling("/etc/syslog-ng/conf.d/x.conf");
    assert_eq!(topics(&Effective::load(Path::new(MAIN), &dangling)), [(Topic::Include, 1)]);
    let none = Effective::load(Path::new(MAIN), &MapSource::new());
    assert_eq!(topics(&none), [(Topic::Include, 1)]);
    assert_eq!(topics(&load("@include \"/etc/syslog-ng/none.conf\"")), [(Topic::Syntax, 2), (Topic::Include, 2)]);
}

#[test]
fn modules_that_are_required() {
    let source = MapSource::new()
        .with(
            MAIN,
            "@version: 3.38\n@module confgen context(source) name(x) exec(\"y\")\n@include \"a\"\n@include \"b\"\n",
        )
        .with("/etc/syslog-ng/a", "@requires json-plugin\ndestination a { };\n")
        .with("/etc/syslog-ng/b", "@requires afsocket\ndestination b { };\n");
    let mut setting = ReadSetting::usual(Path::new(MAIN));
    setting.modules = Some(vec!["afsocket".to_owned()]);
    let config = Effective::load_with(Path::new(MAIN), &source, setting);
    assert_eq!(config.problems, []);
    assert_eq!(config.destinations.len(), 1);
    assert_eq!(config.modules[0].0, "confgen");
}

#[test]
fn old_forms() {
    let source = |version: &str| {
        MapSource::new()
            .with(MAIN, format!("@version: {version}\ninclude \"a\";\nlog {{ }};\n"))
            .with("/etc/syslog-ng/a", "options { };\n")
    };
    let old = Effective::load(Path::new(MAIN), &source("3.5"));
    assert_eq!((topics(&old), old.files.len()), (vec![(Topic::Obsolete, 2)], 2));
    assert_eq!(topics(&Effective::load(Path::new(MAIN), &source("3.38"))), [(Topic::Syntax, 2)]);
}

#[test]
fn mistakes_are_all_found() {
    for (text, expected) in [
        ("source s { udp(); }\nlog { source(s); };\n", vec![(Topic::Syntax, 3)]),
        ("source s { udp(; };\nlog { };\n", vec![(Topic::Syntax, 2), (Topic::Syntax, 2)]),
        ("source s { \"udp\"(); };\n", vec![(Topic::Syntax, 2)]),
        ("source 5;\nnonsense;\n", vec![(Topic::Syntax, 2)]),
        ("# a lone ` here\n", vec![(Topic::Syntax, 2)]),
        ("destination d { file(\"/x); };\n", vec![(Topic::Syntax, 2); 5]),
        (" @define x y\n", vec![(Topic::Syntax, 2), (Topic::Syntax, 2)]),
        ("@nonsense x\n", vec![(Topic::Syntax, 2)]),
        ("log { source(s); } ;;;\noptions", vec![(Topic::Syntax, 3), (Topic::Syntax, 3)]),
        ("source s { udp(port(`none`)); };\n", vec![(Topic::Define, 2)]),
        ("filter f { not; };\n", vec![(Topic::Syntax, 2)]),
        ("source s { udp(\0); };\n};\n", vec![(Topic::Syntax, 2), (Topic::Syntax, 3), (Topic::Syntax, 2)]),
    ] {
        assert_eq!(topics(&load(text)), expected, "{text}");
    }
}

#[test]
fn hostile_text_is_read_in_linear_time() {
    for text in [
        "(".repeat(200_000),
        "source s {".repeat(20_000),
        "\"".to_owned() + &"\\\"".repeat(200_000),
        "if (a) { ".repeat(20_000),
        "not ".repeat(100_000),
        "a`b`".repeat(50_000),
        "filter f { (((((((((((x))))))))))) };\n".repeat(5_000),
    ] {
        let config = load(&text);
        let _ = crate::syslog::syslogng::lint::lint(&config);
    }
    let block = "block source a() {\n a(); a();\n};\nsource s { a(); };\n";
    assert!(load(block).problems.iter().any(|p| p.severity == Severity::Error));
}

#[test]
fn ten_megabytes() {
    let line =
        "filter f_x { level(info..emerg) and not facility(auth, \"mail\") }; # and a comment that is not short\n";
    let source = MapSource::new().with(MAIN, format!("@version: 3.38\n{}", line.repeat(10_000_000 / line.len())));
    let config = Effective::load(Path::new(MAIN), &source);
    assert_eq!((config.problems.len(), config.filters.len()), (0, 10_000_000 / line.len()));
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let config = Effective::load(Path::new(MAIN), &MapSource::new().with(MAIN, text));
            crate::syslog::syslogng::lint::lint(&config);
        }

        #[test]
        fn never_panic_on_likely_text(text in "(source|log|destination|filter|block|template|if|elif|else|junction|channel|@include|@define|@version: |[a-z0-9]{1,3}|[(){};\"'`#,.\n \\\\]){0,80}") {
            let config = Effective::load(Path::new(MAIN), &MapSource::new().with(MAIN, text));
            crate::syslog::syslogng::lint::lint(&config);
        }
    }
}
