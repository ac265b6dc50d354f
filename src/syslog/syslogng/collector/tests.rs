//! Decisions on small configurations and on the trees of fixtures/syslog-ng, each judged by what the candidate
//! configuration then does with sample events.

use std::path::Path;

use super::*;
use crate::host::Root;
use crate::syslog::collector::overlay;
use crate::syslog::source::{MapSource, Overlay};
use crate::syslog::syslogng::effective::Ref;
use crate::syslog::syslogng::lint;
use crate::syslog::syslogng::version::Version;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";
const REPLACED: &str = "/etc/syslog-ng/conf.d/security-config-omsagent.conf";
const EVENT: &[u8] = b"<164>Aug  1 10:00:00 fw1 CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1";
const PLAIN: &[u8] = b"<13>Aug  1 10:00:00 box app: plain";

fn ama() -> Wish {
    Wish { agent: AgentTarget { kind: AgentKind::Ama, port: 28330 }, ..Wish::usual() }
}

fn stock() -> String {
    "@version: 3.38\nsource s_src {\n  system();\n  internal();\n};\ndestination d_syslog { file(\"/var/log/syslog\"); };\n\
     log { source(s_src); destination(d_syslog); };\n@include \"/etc/syslog-ng/conf.d/*.conf\"\n"
        .to_owned()
}

/// The stock box with a drop-in of somebody's.
fn with(drop_in: &str) -> MapSource {
    MapSource::new().with(MAIN, stock()).with("/etc/syslog-ng/conf.d/site.conf", drop_in)
}

fn setting() -> ReadSetting {
    ReadSetting { program: Some(Version::new(3, 38, 1)), ..ReadSetting::usual(Path::new(MAIN)) }
}

fn decided_as(source: &dyn ConfigSource, wish: &Wish, free: bool) -> Result<Collector, Refusal> {
    let setting = setting();
    let config = Effective::load_with(Path::new(MAIN), source, setting.clone());
    let text = b"syslog-ng 3 (3.38.1)\nAvailable-Modules: afsocket,disk-buffer\n";
    let program = Program::parse(text).unwrap();
    let found = Found {
        config: &config,
        source,
        setting: &setting,
        program: &program,
        stack: Stack::Dual,
        counted_port_free: free,
        work_directory: "/var/lib/syslog-ng".into(),
    };
    decide(&found, wish)
}

fn decided(source: &dyn ConfigSource, wish: &Wish) -> Result<Collector, Refusal> {
    decided_as(source, wish, true)
}

/// The whole configuration with what was decided.
fn candidate(source: &dyn ConfigSource, made: &Collector) -> Effective {
    let changes = match &made.drop_in {
        Some((path, bytes)) => overlay(path, bytes, &made.insertions, source),
        None => Default::default(),
    };
    let config = Effective::load_with(Path::new(MAIN), &Overlay { base: source, changes }, setting());
    assert_eq!(lint::fatal(&config), []);
    config
}

/// Where one line that comes in on 514 ends up.
fn ends(config: &Effective, transport: Transport, raw: &[u8]) -> Vec<String> {
    let listener = config.listeners_on(514, transport)[0];
    let source = match &listener.source.name {
        Some(name) => Ref::Named(name.clone()),
        None => Ref::Inline(config.sources.iter().position(|s| std::ptr::eq(s, listener.source)).unwrap()),
    };
    let trace = config.trace(&config.event_at(listener.listener, raw), &source);
    let drivers = trace.visits.iter().flat_map(|v| &config.destination(&v.destination).unwrap().drivers);
    drivers
        .map(|d| match &d.kind {
            DestKind::Forward(f) => format!("{}:{}", f.target, f.port),
            DestKind::File(path) => path.to_string(),
            other => format!("{other:?}"),
        })
        .collect()
}

fn path(made: &Collector) -> &Path {
    &made.drop_in.as_ref().unwrap().0
}

#[test]
fn stock_boxes_get_their_own_listeners_and_no_local_copies() {
    for (tree, log) in [("debian", "/var/log/syslog"), ("rhel", "/var/log/messages"), ("suse", "/var/log/messages")] {
        let root = Root::at(format!("{}/fixtures/syslog-ng/trees/{tree}", env!("CARGO_MANIFEST_DIR")));
        let made = decided(&root, &Wish::usual()).unwrap();
        assert_eq!(path(&made), Path::new("/etc/syslog-ng/conf.d/cefctl.conf"), "{tree}");
        assert_eq!((made.insertions.len(), made.notes.len()), (0, 1), "{tree}: {:?}", made.notes);
        assert!(made.notes[0].contains("count octets (RFC 6587) send to TCP port 601"), "{tree}: {:?}", made.notes);
        let config = candidate(&root, &made);
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(ends(&config, transport, EVENT), ["127.0.0.1:25226"], "{tree}");
            assert_eq!(ends(&config, transport, PLAIN), [log], "{tree}");
        }
        assert_eq!(config.listeners_on(601, Transport::Tcp).len(), 1, "{tree}");
    }
}

#[test]
fn local_copies_can_be_kept_and_a_taken_second_port_is_left_alone() {
    let source = with("");
    let made = decided_as(&source, &Wish { local_copy: LocalCopy::Keep, ..Wish::usual() }, false).unwrap();
    let config = candidate(&source, &made);
    assert_eq!(ends(&config, Transport::Udp, EVENT), ["127.0.0.1:25226", "/var/log/syslog"]);
    assert_eq!(config.listeners_on(601, Transport::Tcp).len(), 0);
    assert!(made.notes[0].contains("601 belongs to another program"), "{:?}", made.notes);
}

#[test]
fn a_listener_that_is_there_is_used_and_works_as_before() {
    let source = with(
        "source s_net { network(transport(\"udp\") port(514)); };\ndestination d_net { file(\"/var/log/net.log\"); };\n\
         log { source(s_net); destination(d_net); };\n",
    );
    let made = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &made);
    assert_eq!(config.listeners_on(514, Transport::Udp).len(), 1);
    assert!(made.intakes[0].reused.is_some() && made.intakes[1].reused.is_none());
    assert_eq!((made.intakes[0].v4, made.intakes[0].v6, made.intakes[1].v6), (true, false, true));
    assert_eq!(ends(&config, Transport::Udp, EVENT), ["127.0.0.1:25226", "/var/log/net.log"]);
    assert_eq!(ends(&config, Transport::Tcp, EVENT), ["127.0.0.1:25226"]);
    assert_eq!(ends(&config, Transport::Udp, PLAIN), ["/var/log/net.log"]);
    let note = &made.notes[0];
    assert!(note.contains("site.conf:1") && note.contains("IPv4 senders only") && note.contains("net.log"), "{note}");
}

/// What holds for some devices only: the samples come from another one.
#[test]
fn a_path_that_takes_what_some_devices_send_is_overtaken_too() {
    let net = "source s_net { udp(port(514) keep-hostname(yes)); };\n";
    for filter in ["netmask(10.0.0.0/8)", "host(\"^pa-\")", "facility(local7)", "level(err..emerg)"] {
        let path_of =
            format!("log {{ source(s_net); filter {{ {filter}; }}; destination(d_syslog); flags(final); }};\n");
        let source = with("").with("/etc/syslog-ng/conf.d/05-site.conf", format!("{net}{path_of}"));
        let made = decided(&source, &Wish::usual()).unwrap();
        assert_eq!(path(&made), Path::new("/etc/syslog-ng/conf.d/00-cefctl.conf"), "{filter}");
    }
    // How somebody says that he does not want what one device sends; and a path that is none of ours to care for.
    for other in [
        "log { source(s_net); filter { netmask(10.0.0.9/32); }; flags(final); };\n",
        "log { source(s_src); filter { host(\"pa\"); }; destination(d_syslog); flags(final); };\n",
        "log { source(s_net); filter { host(\"pa\"); }; destination(d_syslog); };\n",
    ] {
        let source = with("").with("/etc/syslog-ng/conf.d/05-site.conf", format!("{net}{other}"));
        assert_eq!(
            path(&decided(&source, &Wish::usual()).unwrap()),
            Path::new("/etc/syslog-ng/conf.d/cefctl.conf"),
            "{other}"
        );
    }
    // No place comes before it: events of others go through, and a note says what does not.
    let before = "log { source(s_net); filter { host(\"pa\"); }; destination(d_syslog); flags(final); };";
    let main = stock().replace("@include", &format!("{net}filter f {{ level(info); }}; {before}\n@include"));
    let source = MapSource::new().with(MAIN, main);
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&made), Path::new("/etc/syslog-ng/conf.d/cefctl.conf"));
    assert!(made.notes.iter().any(|n| n.contains("takes what some devices send for good")), "{:?}", made.notes);

    let forward = "destination d_a { network(\"127.0.0.1\" port(25226)); };\n\
                   log { source(s_net); filter { netmask(10.0.0.0/8); }; destination(d_a); };\n";
    let refusal = decided(&with(&format!("{net}{forward}")), &Wish::usual()).unwrap_err();
    assert!(refusal.what.contains("already forwards some of the events"), "{refusal}");
}

#[test]
fn a_path_that_takes_events_for_good_is_overtaken() {
    let drop_in = "source s_net { udp(port(514)); };\nlog { source(s_net); destination(d_syslog); flags(final); };\n";
    let source = with("").with("/etc/syslog-ng/conf.d/05-site.conf", drop_in);
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&made), Path::new("/etc/syslog-ng/conf.d/00-cefctl.conf"));
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:25226", "/var/log/syslog"]);

    let main = stock().replace("@include", &format!("{drop_in}@include"));
    let source = MapSource::new().with(MAIN, main.clone());
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(path(&made), Path::new("/etc/syslog-ng/cefctl.conf"));
    assert_eq!(made.insertions.len(), 1);
    assert!(main[made.insertions[0].at..].starts_with("log { source(s_net)"));
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:25226", "/var/log/syslog"]);

    let one_line = main.replace("};\nlog { source(s_net)", "}; log { source(s_net)");
    let refusal = decided(&MapSource::new().with(MAIN, one_line), &Wish::usual()).unwrap_err();
    assert!(refusal.what.contains(&format!("{MAIN}:8 takes them for good")), "{refusal}");
}

#[test]
fn without_an_include_the_main_file_gets_one_at_its_end() {
    let source = MapSource::new().with(MAIN, stock().replace("@include \"/etc/syslog-ng/conf.d/*.conf\"\n", "# end"));
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(made.insertions[0].text, "@include \"/etc/syslog-ng/conf.d/cefctl.conf\"\n");
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:25226"]);
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_the_place() {
    let what = |drop_in: &str| decided(&with(drop_in), &Wish::usual()).unwrap_err().what;
    let forward = "destination d_a { tcp(\"127.0.0.1\" port(25226)); };\n";
    let net = "source s_net { udp(port(514)); };\n";
    let twice = what(&format!("{forward}{net}log {{ source(s_net); destination(d_a); }};\n"));
    assert!(twice.contains("site.conf:3 already forwards"), "{twice}");
    let all = format!("{forward}log {{ source(s_src); destination(d_a); flags(catchall); }};\n");
    let all = MapSource::new().with(MAIN, stock().replace("@include", &format!("{all}@include")));
    let all = decided(&all, &Wish::usual()).unwrap_err().what;
    assert!(all.contains(&format!("{MAIN}:9 already forwards")), "{all}");
    let tls = what("source s_t { network(transport(tls) port(514)); };\nlog { source(s_t); };\n");
    assert!(tls.contains("TLS"), "{tls}");
    let local = what("source s_l { tcp(ip(127.0.0.1) port(514)); };\nlog { source(s_l); };\n");
    assert!(local.contains("127.0.0.1 only (/etc/syslog-ng/conf.d/site.conf:1)"), "{local}");
    let nameless = what("log { source(s_src); source { udp(port(514)); }; destination(d_syslog); };\n");
    assert!(nameless.contains("no source name"), "{nameless}");
    let branch = "log { junction { channel { source { udp(port(514)); }; }; }; destination(d_syslog); };\n";
    assert!(what(branch).contains("no source name"), "{}", what(branch));
    let theirs =
        with("").with("/etc/syslog-ng/conf.d/cefctl.conf", "").with("/etc/syslog-ng/conf.d/00-cefctl.conf", "");
    assert!(decided(&theirs, &Wish::usual()).unwrap_err().what.contains("not ours"));
}

/// A source without a name: its own log path sends to us as well, and goes on with the event as it was.
#[test]
fn a_source_without_a_name_is_used_in_its_own_log_path() {
    for path in [
        "log { source { udp(port(514)); tcp(port(514)); }; destination(d_syslog); flags(final); };\n",
        "log {\n  source { udp(port(514)); };\n  source { tcp(port(514) flags(no-parse)); } ; # devices\n  destination(d_syslog); };\n",
    ] {
        let source = with(path);
        let made = decided(&source, &Wish::usual()).unwrap();
        let [block] = made.insertions.as_slice() else { panic!("{:?}", made.insertions) };
        assert_eq!(block.text, "destination(d_cefctl_parsed);\n");
        assert!(path[..block.at].ends_with(';') && path[block.at..].trim_start().starts_with(['d', '#']), "{block:?}");
        let config = candidate(&source, &made);
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(ends(&config, transport, EVENT), ["127.0.0.1:25226", "/var/log/syslog"]);
            assert_eq!(ends(&config, transport, PLAIN), ["/var/log/syslog"]);
        }
        // A line that is not parsed, among others that are, goes on as a whole.
        let text = String::from_utf8(made.drop_in.unwrap().1).unwrap();
        assert_eq!(text.contains("# a whole line"), path.contains("no-parse"), "{text}");
    }
    // What comes out of a variable stands elsewhere than it seems.
    let named = with("@define net \"source { udp(port(514)); }\"\nlog { `net`; destination(d_syslog); };\n");
    assert!(decided(&named, &Wish::usual()).unwrap_err().what.contains("no source name"));
}

/// Of UDP, a socket on all addresses takes what one on loopback leaves.
#[test]
fn a_listener_beside_one_on_loopback() {
    let source = with("source s_l { udp(ip(127.0.0.1) port(514)); };\nlog { source(s_l); destination(d_syslog); };\n");
    let made = decided(&source, &Wish { transports: vec![collector::Transport::Udp], ..Wish::usual() }).unwrap();
    let at: Vec<_> = made.intakes.iter().map(|i| (i.reused.is_some(), i.local().to_string())).collect();
    assert_eq!(at, [(true, "127.0.0.1:514".to_owned()), (false, "127.0.0.2:514".to_owned())]);
    assert!(made.notes.iter().any(|n| n.contains("one more listener")), "{:?}", made.notes);
    assert_eq!(candidate(&source, &made).listeners_on(514, Transport::Udp).len(), 2);
}

/// The daemon opens every source that has a name where a log path takes all of them.
#[test]
fn a_path_for_all_sources_opens_them() {
    let source = with("source s_net { udp(port(514)); };\nlog { destination(d_syslog); flags(catchall); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(
        made.intakes[0].reused.as_ref().map(ToString::to_string).as_deref(),
        Some("/etc/syslog-ng/conf.d/site.conf:1")
    );
}

/// A path that leads nowhere is somebody's will; where it goes by the sender it is told.
#[test]
fn what_is_dropped_by_its_sender_is_told() {
    let told = |filter: &str| {
        let rest = format!(
            "source s_net {{ udp(port(514)); }};\nlog {{ source(s_net); filter {{ {filter}; }}; flags(final); }};\n"
        );
        let source = with("").with("/etc/syslog-ng/conf.d/0.conf", rest);
        decided(&source, &Wish::usual()).unwrap().notes.iter().any(|n| n.contains("0.conf:2 drops what some devices"))
    };
    assert!(told("netmask(10.0.0.0/8)"));
    assert!(told("facility(local0) and host(\"fw9\")"));
    assert!(told("\"${SOURCEIP}\" eq \"192.0.2.200\""));
    assert!(!told("level(debug)"));
    assert!(!told("message(\"keepalive\")"));
}

/// A forward to the agent of other events, from another port, is nobody's business.
#[test]
fn a_forward_of_other_events_is_left_alone() {
    let source = with(
        "destination d_a { tcp(\"127.0.0.1\" port(25226)); };\nsource s_x { udp(port(5140)); };\n\
         log { source(s_x); destination(d_a); };\n",
    );
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:25226"]);
}

#[test]
fn the_azure_agents_forward_is_used_and_never_doubled() {
    let root = Root::at(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/syslog-ng/trees/ama-debian"));
    let made = decided(&root, &ama()).unwrap();
    let config = candidate(&root, &made);
    assert_eq!(ends(&config, Transport::Udp, EVENT), ["127.0.0.1:28330"]);
    let text = String::from_utf8_lossy(&made.drop_in.as_ref().unwrap().1).into_owned();
    assert!(!text.contains("d_azure_mdsd"), "{text}");
    // Devices already send to the source that the agent's file names: there is nothing left to do.
    let source = MapSource::new()
        .with(MAIN, stock().replace("internal();", "internal(); udp(port(514)); tcp(port(514));"))
        .with(
            "/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf",
            "destination d_azure_mdsd { network(\"127.0.0.1\" port(28330) log-fifo-size(25000)); };\n\
             log { source(s_src); destination(d_azure_mdsd); flags(flow-control); };\n",
        );
    let made = decided(&source, &ama()).unwrap();
    assert!(made.drop_in.is_none() && made.insertions.is_empty());
    assert!(made.notes.iter().all(|n| n.contains("go to the agent already")), "{:?}", made.notes);
    // A rule of somebody's that has some of these events only.
    let partial = "source s_net { udp(port(514)); };\ndestination d_mine { network(\"127.0.0.1\" port(28330)); };\n\
                   log { source(s_net); filter { match(\"CEF\") }; destination(d_mine); };\n";
    let refusal = decided(&with(partial), &ama()).unwrap_err();
    assert!(refusal.what.contains("already forwards"), "{refusal}");
    // The agent's file is not there yet.
    let source = with("");
    let made = decided(&source, &ama()).unwrap();
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:28330"]);
}

/// Without the file of the older tool, which install replaces.
#[test]
fn the_older_tools_rule_is_replaced() {
    let text = "filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};\ndestination oms_destination {tcp(\"127.0.0.1\" \
                port(25226));};\n\nlog {source(s_src);filter(f_oms_filter);destination(oms_destination);};\n";
    let main = format!(
        "{}source s_src {{ udp( port(514)); tcp( port(514));}};\n",
        stock().replace("source s_src {\n  system();\n  internal();\n};\n", "")
    );
    let source = MapSource::new().with(MAIN, main).with(REPLACED, text);
    let refusal = decided(&source, &Wish::usual()).unwrap_err();
    assert!(refusal.what.contains("security-config-omsagent.conf:4 already forwards"), "{refusal}");
    let mut source = source;
    source.remove(Path::new(REPLACED));
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["/var/log/syslog", "127.0.0.1:25226"]);
}

fn with_tls() -> Wish {
    let tls = TlsWish { port: 6514, certificate: "/c.pem".into(), key: "/k.pem".into(), authority: "/a.pem".into() };
    Wish { tls: Some(tls), ..Wish::usual() }
}

#[test]
fn a_tls_listener_of_our_own_or_the_one_that_is_there() {
    let source = with("");
    let made = decided(&source, &with_tls()).unwrap();
    let config = candidate(&source, &made);
    let tls: Vec<_> = config.listeners().into_iter().filter(|l| l.listener.transport == Transport::Tls).collect();
    assert_eq!(tls.iter().map(|l| l.listener.port_number()).collect::<Vec<_>>(), [Some(6514)]);
    assert!(made.notes.iter().any(|n| n.contains("line by line")), "{:?}", made.notes);
    assert!(made.intakes.iter().any(|i| i.tls && i.reused.is_none() && i.port == 6514));

    let theirs = "source s_t { network(transport(tls) port(6514) tls(key-file(\"/x\") cert-file(\"/y\"))); };\n\
                  destination d_t { file(\"/var/log/t\"); };\nlog { source(s_t); destination(d_t); };\n";
    let source = with(theirs);
    let made = decided(&source, &with_tls()).unwrap();
    let config = candidate(&source, &made);
    let tls: Vec<_> = config.listeners().into_iter().filter(|l| l.listener.transport == Transport::Tls).collect();
    assert_eq!(tls.len(), 1);
    assert_eq!(reach::once(&config, &tls[0], &made.drop_in.as_ref().unwrap().0, &with_tls()), Ok(()));
    assert!(made.intakes.iter().any(|i| i.tls && i.reused.is_some()));

    let plain = "source s_p { network(transport(tcp) port(6514)); };\nlog { source(s_p); };\n";
    let refusal = decided(&with(plain), &with_tls()).unwrap_err();
    assert!(refusal.what.contains("TLS port 6514 is a listener of another kind"), "{refusal}");
    assert!(refusal.hint.contains("--tls-port"), "{}", refusal.hint);
}

/// Up to 4.8 a port takes lines or counts; which one 514 takes is the user's choice.
#[test]
fn the_port_of_senders_that_count_octets_is_a_choice() {
    let source = with("");
    let framings = |wish: &Wish| {
        let made = decided(&source, wish).unwrap();
        let config = candidate(&source, &made);
        let of = |l: ListenerAt<'_>| (l.listener.port_number().unwrap_or_default(), l.listener.framing);
        let all: Vec<_> = config.listeners().into_iter().map(of).filter(|(_, f)| *f != Framing::Datagram).collect();
        (all, made)
    };
    let (all, made) = framings(&Wish { counted_port: 1601, ..Wish::usual() });
    assert_eq!(made.counted, Some(1601));
    assert_eq!(all, [(514, Framing::Lines), (1601, Framing::OctetCounted)]);
    assert!(made.intakes.iter().all(|i| !i.counted));
    let (all, made) = framings(&Wish { counted_port: 514, ..Wish::usual() });
    assert_eq!(all, [(514, Framing::OctetCounted)]);
    assert_eq!(made.intakes.iter().map(|i| i.counted).collect::<Vec<_>>(), [false, true]);
    assert!(made.notes[0].contains("one that sends lines is refused"), "{:?}", made.notes);
    // A listener that is there is proven the way it takes events.
    let source = with("source s_net { syslog(transport(tcp) port(514)); };\nlog { source(s_net); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(made.intakes.iter().map(|i| i.counted).collect::<Vec<_>>(), [false, true]);
}

/// Options of a listener that change what there is to forward.
#[test]
fn a_name_in_the_place_of_the_header() {
    let of = |options: &str| {
        let text = format!(
            "source s_net {{ network(transport(tcp) port(514) keep-hostname(yes) {options}); }};\nlog {{ source(s_net); }};\n"
        );
        let source = with(&text);
        decided(&source, &Wish::usual()).map(|made| ends(&candidate(&source, &made), Transport::Tcp, EVENT))
    };
    for destroys in ["program-override(\"fw\")", "log_prefix(\"fw: \")"] {
        let refusal = of(destroys).unwrap_err();
        assert!(
            refusal.what.contains("in the place of `CEF:`") && refusal.hint.contains("store-raw-message"),
            "{refusal}"
        );
        for kept in ["store-raw-message", "no-parse"] {
            assert_eq!(of(&format!("{destroys} flags({kept})")).unwrap(), ["127.0.0.1:25226"], "{destroys} {kept}");
        }
    }
    assert_eq!(of("host-override(\"dc1\")").unwrap(), ["127.0.0.1:25226"]);
    let source = with("source s_n { udp(host-override(\"dc1\")); };\nlog { source(s_n); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    assert!(made.notes.iter().any(|n| n.contains("'dc1' stands for the device's name")), "{:?}", made.notes);
}

/// Somebody's listener that takes counts, on our port or on the second one.
#[test]
fn listeners_for_counts_that_are_there() {
    let source = with("source s_s { syslog(transport(tcp)); };\nlog { source(s_s); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    let config = candidate(&source, &made);
    assert_eq!(config.listeners_on(601, Transport::Tcp).len(), 1);
    let counts: Vec<&String> = made.notes.iter().filter(|n| n.contains("count octets")).collect();
    assert!(counts.len() == 1 && counts[0].contains("open at /etc/syslog-ng/conf.d/site.conf:1"), "{counts:?}");
    let listener = config.listeners_on(601, Transport::Tcp)[0];
    assert_eq!(reach::once(&config, &listener, path(&made), &Wish::usual()), Ok(()));

    let source = with("source s_s { network(port(601)); };\nlog { source(s_s); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    let counts: Vec<&String> = made.notes.iter().filter(|n| n.contains("count octets")).collect();
    assert!(counts.len() == 1 && counts[0].contains("have no port here"), "{counts:?}");

    let source = with("source s_s { syslog(transport(tcp) port(514)); };\nlog { source(s_s); };\n");
    let made = decided(&source, &Wish::usual()).unwrap();
    assert!(made.notes.iter().any(|n| n.contains("refuses senders of lines")), "{:?}", made.notes);
    assert!(made.notes.iter().all(|n| !n.contains("TCP port 601")), "{:?}", made.notes);
}

/// `channel { source { … }; parser { … }; }` inside a source: what its driver hands on is not what comes out of it.
#[test]
fn a_source_with_a_parser_of_its_own_is_put_together_again() {
    let channel = "source s_c { channel { source { network(transport(udp) flags(no-parse)); }; parser { syslog-parser(); }; \
                   }; };\nlog { source(s_c); };\n";
    let made = decided(&with(channel), &Wish::usual()).unwrap();
    assert!(String::from_utf8_lossy(&made.drop_in.unwrap().1).contains("rewrite r_cefctl_parsed"));
}

#[test]
fn a_source_that_waits_for_somebody_elses_forward_has_a_note() {
    let site = |flags: &str| {
        with(&format!(
            "source s_net {{ udp(); tcp(); }};\ndestination d_siem {{ network(\"siem.example.com\" port(6514)); }};\n\
             log {{ source(s_net); destination(d_siem); {flags} }};\n"
        ))
    };
    let told = |flags: &str| {
        let made = decided(&site(flags), &Wish::usual()).unwrap();
        made.notes.iter().any(|n| n.contains("while siem.example.com:6514 takes no events"))
    };
    assert!(told("flags(flow-control);"));
    assert!(!told(""));
}

#[test]
fn listeners_on_addresses_of_their_own_are_used() {
    let text = "source s_n { udp(ip(192.0.2.1)); udp(ip(192.0.2.2)); tcp(ip(192.0.2.1)); };\nlog { source(s_n); };\n";
    let source = with(text);
    let made = decided(&source, &Wish::usual()).unwrap();
    let at: Vec<_> = made.intakes.iter().map(|i| (i.transport, i.local().to_string(), i.v4, i.v6)).collect();
    let (udp, tcp) = (collector::Transport::Udp, collector::Transport::Tcp);
    let wanted = [(udp, "192.0.2.1:514"), (udp, "192.0.2.2:514"), (tcp, "192.0.2.1:514")]
        .map(|(t, a)| (t, a.to_owned(), true, false));
    assert_eq!(at, wanted);
    assert!(
        made.notes[0].contains("open on 192.0.2.1 by") && made.notes[0].contains("that address"),
        "{:?}",
        made.notes
    );
    assert_eq!(ends(&candidate(&source, &made), Transport::Udp, EVENT), ["127.0.0.1:25226"]);
    // One for all addresses besides: that is where a test event can be sent.
    let made = decided(&with(&text.replace("udp(ip(192.0.2.2))", "udp()")), &Wish::usual()).unwrap();
    assert_eq!(made.intakes[0].local().to_string(), "127.0.0.1:514");
    let named = decided(&with("source s { udp(ip(fw-net)); };\nlog { source(s); };\n"), &Wish::usual()).unwrap_err();
    assert!(named.what.contains("fw-net only"), "{named}");
}

#[test]
fn a_folder_that_is_read_twice_is_not_ours_to_use() {
    let main = stock() + "@include \"/etc/syslog-ng/conf.d/*.conf\"\n";
    let source = MapSource::new().with(MAIN, main);
    let made = decided(&source, &Wish::usual()).unwrap();
    assert_eq!(made.drop_in.as_ref().unwrap().0, Path::new("/etc/syslog-ng/cefctl.conf"));
    assert_eq!(made.insertions.len(), 1);
    assert!(lint::fatal(&candidate(&source, &made)).is_empty());
}
