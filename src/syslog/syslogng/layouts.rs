//! Tests of whole configuration trees, in the shape distributions and tools give them (fixtures/syslog-ng).

use std::path::Path;

use super::effective::{Effective, ReadSetting, Ref};
use super::lint;
use super::problem::Severity;
use super::render::{Azure, Wanted, render};
use super::version::{Program, Version};
use crate::agent::ama::Entry;
use crate::host::Root;
use crate::syslog::Text;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";

struct Layout {
    config: Effective,
    program: Program,
}

fn load(tree: &str, version: &str) -> Layout {
    let root = Root::at(format!("{}/fixtures/syslog-ng/trees/{tree}", env!("CARGO_MANIFEST_DIR")));
    let text = format!("syslog-ng {version}\nInstaller-Version: {version}\nAvailable-Modules: afsocket,disk-buffer\n");
    let program = Program::parse(text.as_bytes()).unwrap();
    let setting = ReadSetting { program: Version::parse(version), ..ReadSetting::usual(Path::new(MAIN)) };
    Layout { config: Effective::load_with(Path::new(MAIN), &root, setting), program }
}

impl Layout {
    fn said(&self, least: Severity) -> Vec<String> {
        lint::lint(&self.config).iter().filter(|p| p.severity >= least).map(|p| p.to_string()).collect()
    }

    /// Ports our drop-in opens, sources it uses, the include it needs, its notes.
    fn drop_in(&self) -> (Vec<u16>, Vec<String>, Option<String>, Vec<String>) {
        let made = render(&self.config, &self.program, &Wanted::default()).unwrap();
        let mut sources: Vec<String> =
            made.reused.iter().map(|r| r.source.as_ref().map(ToString::to_string).unwrap_or_default()).collect();
        sources.dedup();
        (made.listeners.iter().map(|l| l.port).collect(), sources, made.include, made.notes)
    }
}

#[test]
fn stock() {
    for (tree, version, source, options) in
        [("debian", "3.38.1", "s_src", 10), ("rhel", "3.35.1", "s_sys", 8), ("suse", "3.35.1", "src", 5)]
    {
        let layout = load(tree, version);
        assert_eq!(layout.said(Severity::Warning), Vec::<String>::new(), "{tree}");
        assert_eq!(layout.config.sources[0].name, Some(source.into()), "{tree}");
        assert_eq!(layout.config.options.len(), options, "{tree}");
        let log = if tree == "suse" { "messages" } else { ["d_syslog", "d_mesg"][usize::from(tree == "rhel")] };
        assert_eq!(layout.config.local_log(), Some(&log.into()), "{tree}");
        assert_eq!(layout.drop_in(), (vec![514, 514, 601], vec![], None, vec![]), "{tree}");
    }
    // An interval the distribution sets is left alone, an old program's other default is not.
    let old = load("rhel", "3.23.1");
    assert!(!render(&old.config, &old.program, &Wanted::default()).unwrap().text.contains("options {"));
}

#[test]
fn nothing_includes_the_folder() {
    let layout = load("rhel-7-no-include", "3.5.6");
    assert_eq!(layout.said(Severity::Warning), [format!("{MAIN}:1: nothing includes /etc/syslog-ng/conf.d/*.conf")]);
    let (ports, _, include, notes) = layout.drop_in();
    assert_eq!(ports, [514, 514, 601]);
    assert_eq!(include.as_deref(), Some("@include \"/etc/syslog-ng/conf.d/cefctl.conf\"\n"));
    assert_eq!(notes.len(), 1, "memory only: {notes:?}");
}

#[test]
fn a_site_with_its_own_ports() {
    let layout = load("own-ports", "3.38.1");
    assert_eq!(layout.said(Severity::Warning), Vec::<String>::new());
    let (ports, sources, _, notes) = layout.drop_in();
    assert_eq!((ports, sources), (vec![], vec!["s_firewalls".to_owned()]));
    assert_eq!(notes, Vec::<String>::new());
    let made = render(&layout.config, &layout.program, &Wanted::default()).unwrap();
    assert!(made.text.contains("rewrite r_cefctl_kept") && !made.text.contains("flags(flow-control"));
    assert_eq!(lint::limits(&layout.config, 514), []);
    let source = Ref::Named("s_firewalls".into());
    let listener = layout.config.listeners_on(514, super::effective::Transport::Udp)[0].listener;
    let event = layout.config.event_at(listener, b"<134>Aug  1 10:00:00 fw1 CEF:0|V|P|1|2|n|5|x=1");
    let copies = layout.config.file_copies(&event, &source);
    assert_eq!(copies.len(), 1);
    assert_eq!((copies[0].0.to_string().as_str(), copies[0].2), ("/var/log/firewalls/$HOST.log", false));
}

#[test]
fn forwards_of_agents() {
    let ama = load("ama-debian", "3.38.1");
    assert_eq!(ama.said(Severity::Warning), Vec::<String>::new());
    let azure = Azure { entry: Entry::Tcp(28330), beside: false, fed: Vec::new() };
    let wanted = Wanted { azure: Some(azure), agent_port: 28330, ..Wanted::default() };
    let made = render(&ama.config, &ama.program, &wanted).unwrap();
    assert!(made.text.contains("destination(d_cefctl_azure); flags(flow-control, final);"), "{}", made.text);
    assert!(!made.text.contains("d_azure_mdsd") && made.notes.is_empty(), "{}: {:?}", made.text, made.notes);
    let oms = load("oms-portal", "3.38.1");
    assert_eq!(oms.said(Severity::Warning), Vec::<String>::new());
    assert_eq!(oms.config.forwards_to(25224).len(), 1);
    assert_eq!(oms.config.forwards_to(25226).len(), 0);
}

#[test]
fn a_forward_that_names_a_source_of_another_distribution() {
    let layout = load("ama-wrong-source", "3.35.1");
    let place = "/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf:3";
    assert_eq!(layout.said(Severity::Error), [format!("{place}: source 's_src' is not defined; defined: s_sys")]);
}

#[test]
fn damage_of_the_older_tool() {
    let rhel = load("original-rhel", "3.35.1");
    let missing = rhel.said(Severity::Error);
    assert_eq!(missing.len(), 5);
    assert!(missing.iter().all(|m| m.ends_with("source 's_sys' is not defined; defined: s_src")), "{missing:?}");
    let debian = load("original-debian-twice", "3.38.1");
    assert_eq!(debian.said(Severity::Error), Vec::<String>::new());
    // Local logging is off: the one source there is takes nothing from this machine.
    let source = debian.config.source(&Ref::Named("s_src".into())).unwrap();
    let drivers: Vec<&Text> = source.drivers.iter().map(|d| &d.driver).collect();
    assert_eq!(drivers, [&"udp", &"tcp"]);
    assert_eq!(debian.config.forwards_to(25226).len(), 1);
}
