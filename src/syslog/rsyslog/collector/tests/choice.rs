//! Configurations that leave little choice: where a drop-in can stand, which listeners count.

use super::*;

fn text(collector: &Collector) -> String {
    String::from_utf8(collector.drop_in.as_ref().unwrap().1.clone()).unwrap()
}

/// What stops events in the main file above its include cannot be outrun by a drop-in's name.
#[test]
fn a_stop_above_the_include() {
    const MAIN: &str = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n\
                        if $fromhost-ip != \"127.0.0.1\" then {\n action(type=\"omfile\" file=\"/var/log/remote.log\")\n stop\n}\n\
                        *.* /var/log/syslog\n$IncludeConfig /etc/rsyslog.d/*.conf\n";
    let source = MapSource::new().with("/etc/rsyslog.conf", MAIN);
    let wish = Wish { transports: vec![Proto::Udp], ..Wish::usual() };
    let collector = decided(&source, &wish).unwrap();
    let [block] = collector.insertions.as_slice() else { panic!("{:?}", collector.insertions) };
    assert_eq!((block.at, &*block.text), (MAIN.find("if ").unwrap(), "call cefctl_events\n"), "their own rule goes on");
    let after = candidate(&source, &collector);
    assert!(after.listeners.iter().all(|l| reach::forwarded(&after, l, &wish).is_ok()));
    let twice = text(&collector).matches("call cefctl_events").count();
    assert_eq!(twice, 0, "the drop-in itself comes too late");
    let stock_only = MAIN.replace("/var/log/remote.log", "/var/log/messages");
    let source = MapSource::new().with("/etc/rsyslog.conf", stock_only);
    let collector = decided(&source, &wish).unwrap();
    assert!(collector.insertions[0].text.ends_with("then stop\n"), "{:?}", collector.insertions);
}

/// In braces only statements can be read.
#[test]
fn an_include_within_braces_is_no_place_for_a_drop_in() {
    const MAIN: &str = "module(load=\"imudp\")\nruleset(name=\"in\") {\n include(file=\"/etc/rsyslog.d/in/*.conf\")\n *.* /a\n}\n\
                        input(type=\"imudp\" port=\"514\" ruleset=\"in\")\n";
    let source = MapSource::new()
        .with("/etc/rsyslog.conf", MAIN)
        .with("/etc/rsyslog.d/in/a.conf", "if $msg == \"x\" then stop\n");
    let wish = Wish { transports: vec![Proto::Udp], ..Wish::usual() };
    let collector = decided(&source, &wish).unwrap();
    assert_eq!(path(&collector), Path::new("/etc/rsyslog.d/10-cefctl.conf"));
    let after = candidate(&source, &collector);
    assert!(after.listeners.iter().all(|l| reach::forwarded(&after, l, &wish).is_ok()));
    // an include behind closed braces is not within them
    let behind =
        main_with("if $msg == \"x\" then {\n stop\n}\nif $msg == \"y\" then stop\n$IncludeConfig /etc/more.d/*.conf\n");
    let config = Effective::load(Path::new("/etc/rsyslog.conf"), &behind);
    assert!(config.includes.iter().all(|i| !i.nested));
    let refused = decided(&source_with_all_in_braces(), &wish).unwrap_err();
    assert!(refused.what.contains("within braces"), "{refused}");
}

fn source_with_all_in_braces() -> MapSource {
    let main = "module(load=\"imudp\")\nif $msg == \"x\" then {\n include(file=\"/etc/rsyslog.d/*.conf\")\n}\n*.* /a\n";
    MapSource::new().with("/etc/rsyslog.conf", main).with("/etc/rsyslog.d/a.conf", "stop\n")
}

/// Listeners of single addresses are what devices send to; a new one beside them would compete.
#[test]
fn listeners_bound_to_an_address() {
    let wish = Wish { transports: vec![Proto::Udp], ..Wish::usual() };
    let source = main_with(
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" address=\"192.0.2.7\" ruleset=\"fw\")\n\
         input(type=\"imudp\" port=\"514\" address=\"192.0.2.8\")\nruleset(name=\"fw\") {\n *.* /var/log/fw.log\n}\n",
    );
    let collector = decided(&source, &wish).unwrap();
    let at: Vec<String> = collector.intakes.iter().map(|i| i.local().to_string()).collect();
    assert_eq!(at, ["192.0.2.7:514", "192.0.2.8:514"]);
    assert!(collector.intakes.iter().all(|i| i.reused.is_some() && i.v4 && !i.v6));
    let after = candidate(&source, &collector);
    assert!(after.listeners.iter().all(|l| reach::forwarded(&after, l, &wish).is_ok()));
    assert!(collector.notes.iter().any(|n| n.contains("on 192.0.2.7")), "{:?}", collector.notes);
}

/// A listener that leaves devices out keeps its place, and one of ours takes the others: beside one on loopback (the
/// usual recipe for HAProxy), beside one of IPv6 alone.
#[test]
fn a_listener_beside_one_that_leaves_devices_out() {
    let wish = Wish { transports: vec![Proto::Udp], ..Wish::usual() };
    let source = main_with(
        "module(load=\"imudp\")\nruleset(name=\"ha\") {\n *.* /var/log/haproxy.log\n stop\n}\n\
         input(type=\"imudp\" port=\"514\" address=\"127.0.0.1\" ruleset=\"ha\")\n",
    );
    let collector = decided(&source, &wish).unwrap();
    let at: Vec<_> = collector.intakes.iter().map(|i| (i.reused.is_some(), i.local().to_string())).collect();
    // A test event for ours must not end in theirs.
    assert_eq!(at, [(false, "127.0.0.2:514".to_owned()), (true, "127.0.0.1:514".to_owned())]);
    assert!(collector.notes.iter().any(|n| n.contains("one more listener")), "{:?}", collector.notes);
    let after = candidate(&source, &collector);
    let own = after.listeners.iter().find(|l| l.name.as_ref().is_some_and(|n| n.is("cefctl_udp"))).unwrap();
    assert_eq!((after.listeners.len(), &own.address), (2, &None));
    assert!(after.listeners.iter().all(|l| reach::forwarded(&after, l, &wish).is_ok()));

    for (module, transport) in [("imudp", Proto::Udp), ("imtcp", Proto::Tcp)] {
        let input = format!("module(load=\"{module}\")\ninput(type=\"{module}\" port=\"514\" address=\"::\")\n");
        let wish = Wish { transports: vec![transport], ..Wish::usual() };
        let source = main_with(&input);
        let collector = decided(&source, &wish).unwrap();
        let after = candidate(&source, &collector);
        let own = after.listeners.iter().find(|l| l.name.as_ref().is_some_and(|n| n.to_string().starts_with("cefctl")));
        assert_eq!(own.and_then(|l| l.address.as_ref()).map(ToString::to_string).as_deref(), Some("0.0.0.0"));
        let families: Vec<_> = collector.intakes.iter().map(|i| (i.v4, i.v6)).collect();
        assert_eq!(families, [(true, false), (false, true)]);
        let both = format!("{input}input(type=\"{module}\" port=\"514\" address=\"0.0.0.0\")\n");
        let collector = decided(&main_with(&both), &wish).unwrap();
        assert!(collector.intakes.iter().all(|i| i.reused.is_some()), "{:?}", collector.intakes);
    }
}

/// The connection to the agent is plain TCP whatever the daemon's other connections are.
#[test]
fn another_default_driver() {
    let source = main_with("$DefaultNetstreamDriver gtls\n");
    assert!(text(&decided(&source, &Wish::usual()).unwrap()).contains("streamDriver=\"ptcp\""));
    assert!(!text(&decided(&main_with(""), &Wish::usual()).unwrap()).contains("streamDriver"));
}
