//! The same for syslog-ng: the configurations of fixtures/syslog-ng under the release files of the distributions that
//! ship them, with the version that each of them has.

use std::path::Path;

use cefctl::host::fake::{self, FakeRunner, reply};
use cefctl::host::{Host, Root};

use crate::layout::{copy, fixtures};
use crate::scenario::File;

const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";
const NO_AGENT: &[&str] = &["--agent", "none"];

/// A distribution's syslog-ng (facts 6.1).
struct Layout {
    name: &'static str,
    /// Of fixtures/hosts, for its os-release.
    distribution: &'static str,
    /// Of fixtures/syslog-ng/trees.
    tree: &'static str,
    version: &'static str,
    /// The `@version` of its own file.
    language: &'static str,
    /// Of the packages that its users have.
    modules: &'static str,
}

const MODULES: &str = "afsocket,affile,afprog,syslogformat,basicfuncs,disk-buffer,system-source";

const fn layout(
    name: &'static str,
    distribution: &'static str,
    tree: &'static str,
    version: &'static str,
    language: &'static str,
) -> Layout {
    Layout { name, distribution, tree, version, language, modules: MODULES }
}

const LAYOUTS: [Layout; 11] = [
    layout("ng-debian11", "debian11", "debian", "3.28.1", "3.27"),
    layout("ng-debian12", "debian12", "debian", "3.38.1", "3.38"),
    layout("ng-debian13", "debian13", "debian", "4.8.1", "4.8"),
    layout("ng-ubuntu20.04", "ubuntu20.04", "debian", "3.25.1", "3.25"),
    layout("ng-ubuntu22.04", "ubuntu22.04", "debian", "3.35.1", "3.35"),
    layout("ng-ubuntu24.04", "ubuntu24.04", "debian", "4.3.1", "4.3"),
    Layout { modules: "", ..layout("ng-rhel7", "rhel7", "rhel", "3.5.6", "3.5") },
    layout("ng-rhel8", "rhel8", "rhel", "3.23.1", "3.23"),
    layout("ng-rhel9", "rhel9", "rhel", "3.35.1", "3.35"),
    layout("ng-suse15", "suse15", "suse", "3.35.1", "3.35"),
    Layout { modules: "", ..layout("ng-amazon2", "amazon2", "rhel-7-no-include", "3.5.6", "3.5") },
];

impl Layout {
    fn file(&self, path: &str) -> String {
        let file = trees().join(self.tree).join(path.trim_start_matches('/'));
        let text = std::fs::read_to_string(file).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("@version:"), "{first}");
        format!("@version: {}\n{rest}", self.language)
    }

    /// The source that reads what the machine itself logs.
    fn local_source(&self) -> &'static str {
        match self.tree {
            "debian" => "s_src",
            "suse" => "src",
            _ => "s_sys",
        }
    }

    fn host(&self, changes: &[File]) -> (Host, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        copy(&trees().join(self.tree), folder.path());
        let release = fixtures().join(self.distribution).join("etc/os-release");
        put("/etc/os-release", &std::fs::read_to_string(release).unwrap());
        put(MAIN, &self.file(MAIN));
        put("/usr/sbin/syslog-ng", "");
        for dir in ["var/lib/syslog-ng", "var/log", "proc", "run", "etc/syslog-ng/conf.d"] {
            std::fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        for (path, text) in changes {
            put(path, text);
        }
        let version = self.version;
        let modules =
            if self.modules.is_empty() { String::new() } else { format!("Available-Modules: {}\n", self.modules) };
        let about = format!(
            "syslog-ng {} ({version})\nInstaller-Version: {version}\nInclude-Path: /usr/share/syslog-ng/include\n{modules}\
             Enable-IPv6: on\n",
            version.split('.').next().unwrap()
        );
        let runner = FakeRunner::new()
            .on(&["/usr/sbin/syslog-ng", "--version"], reply(0, &about, ""))
            .on(&["/usr/sbin/syslog-ng", "--syntax-only"], reply(0, "", ""));
        (fake::host(Root::at(folder.path()), runner), folder)
    }
}

fn trees() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/syslog-ng/trees")
}

/// What people and earlier tools add.
struct Scenario {
    name: &'static str,
    layouts: &'static [&'static str],
    options: &'static [&'static str],
    files: fn(&Layout) -> Vec<File>,
}

const KINDS: &[&str] = &["ng-debian12", "ng-debian13", "ng-rhel7", "ng-rhel9", "ng-suse15"];
const SITE: &str = "/etc/syslog-ng/conf.d/site.conf";

fn site(text: &str) -> Vec<File> {
    vec![(SITE, text.to_owned())]
}

fn originals_rule() -> File {
    let rule = "filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};\ndestination oms_destination {tcp(\"127.0.0.1\" port(25226));};\n\
                \nlog {source(s_src);filter(f_oms_filter);destination(oms_destination);};\n";
    ("/etc/syslog-ng/conf.d/security-config-omsagent.conf", rule.to_owned())
}

/// What the original does to the main file: the local source a comment, another one at the end.
fn originals_edit(layout: &Layout) -> String {
    let mut inside = false;
    let comment = |line: &str| {
        let skip = line.contains('#') || line.contains("s_net") || line.contains("log");
        let ends = ["source", "destination", "filter", "log"].iter().any(|w| line.contains(w)) && !line.contains('#');
        if inside && ends {
            inside = false;
        }
        inside |= line.contains("source") && !skip;
        if inside { format!("#{line}") } else { line.to_owned() }
    };
    let text = layout.file(MAIN).lines().map(comment).collect::<Vec<_>>().join("\n");
    format!("{text}\nsource s_src {{ udp( port(514)); tcp( port(514));}};\n")
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the_originals_edits",
        layouts: KINDS,
        options: &["--agent", "none", "--repair"],
        files: |layout| vec![(MAIN, originals_edit(layout)), originals_rule()],
    },
    Scenario {
        name: "azure_monitor_agent",
        layouts: KINDS,
        options: &[],
        files: |layout| {
            let forward = format!(
                "# Azure Monitor Agent configuration: forward logs to azuremonitoragent\n\
                 destination d_azure_mdsd {{ network(\"127.0.0.1\" port(28330) log-fifo-size(25000)); }};\n\
                 log {{ source({}); destination(d_azure_mdsd); flags(flow-control); }};\n",
                layout.local_source()
            );
            vec![
                ("/etc/syslog-ng/conf.d/azuremonitoragent-tcp.conf", forward),
                ("/opt/microsoft/azuremonitoragent/bin/mdsd", String::new()),
                ("/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port", "28330".to_owned()),
            ]
        },
    },
    Scenario {
        name: "network_in_the_local_source",
        layouts: KINDS,
        options: NO_AGENT,
        files: |layout| {
            let main = layout
                .file(MAIN)
                .replace("internal();", "internal();\n    udp(ip(0.0.0.0) port(514)); tcp(ip(0.0.0.0) port(514));");
            vec![(MAIN, main)]
        },
    },
    Scenario {
        name: "own_files_per_device",
        layouts: &["ng-debian12", "ng-rhel9"],
        options: NO_AGENT,
        files: |_| {
            site(
                "source s_firewalls {\n  network(transport(\"udp\") port(514) keep-hostname(yes));\n\
                 \x20 network(transport(\"tcp\") port(514) keep-hostname(yes) max-connections(200) log-iw-size(20000));\n};\n\
                 destination d_firewalls { file(\"/var/log/firewalls/$HOST.log\" create-dirs(yes)); };\n\
                 log { source(s_firewalls); filter { netmask(10.1.0.0/16); }; destination(d_firewalls); flags(final); };\n\
                 log { source(s_firewalls); destination { file(\"/var/log/others.log\"); }; };\n",
            )
        },
    },
    Scenario {
        name: "tls_on_6514",
        layouts: &["ng-debian13", "ng-rhel8"],
        options: NO_AGENT,
        files: |_| {
            site(
                "source s_tls { network(transport(\"tls\") port(6514) tls(key-file(\"/etc/pki/k.pem\") \
                 cert-file(\"/etc/pki/c.pem\") peer-verify(optional-untrusted))); };\n\
                 destination d_tls { file(\"/var/log/tls.log\"); };\nlog { source(s_tls); destination(d_tls); };\n",
            )
        },
    },
    Scenario {
        name: "tls_on_514",
        layouts: &["ng-debian12"],
        options: NO_AGENT,
        files: |_| {
            site(
                "source s_tls { network(transport(\"tls\") port(514) tls(key-file(\"/etc/pki/k.pem\") \
                 cert-file(\"/etc/pki/c.pem\") peer-verify(optional-untrusted))); };\n\
                 log { source(s_tls); destination { file(\"/var/log/tls.log\"); }; };\n",
            )
        },
    },
    Scenario {
        name: "other_siem",
        layouts: &["ng-debian12", "ng-rhel9", "ng-suse15"],
        options: NO_AGENT,
        files: |layout| {
            vec![(
                SITE,
                format!(
                    "source s_net {{ udp(); tcp(); }};\ndestination d_siem {{ network(\"siem.example.com\" port(6514)); }};\n\
                     log {{ source({}); source(s_net); destination(d_siem); }};\n",
                    layout.local_source()
                ),
            )]
        },
    },
    Scenario {
        name: "hand_made_forward",
        layouts: &["ng-debian12"],
        options: NO_AGENT,
        files: |_| {
            site(
                "source s_net { udp(); tcp(); };\nfilter f_cef { match(\"CEF\" value(\"MSGHDR\")); };\n\
                 destination d_sentinel { tcp(\"127.0.0.1\" port(25226)); };\n\
                 log { source(s_net); filter(f_cef); destination(d_sentinel); };\n",
            )
        },
    },
    Scenario {
        name: "a_path_for_all_before",
        layouts: &["ng-debian12"],
        options: NO_AGENT,
        files: |layout| {
            let all = "log { filter(f_crit); destination(d_messages); flags(catchall, final); };\n\n@include \"/etc";
            vec![(MAIN, layout.file(MAIN).replacen("@include \"/etc", all, 1))]
        },
    },
    Scenario {
        name: "no_include",
        layouts: &["ng-debian12", "ng-rhel9", "ng-suse15"],
        options: NO_AGENT,
        files: |layout| {
            let keep = |l: &&str| !l.contains("conf.d/*.conf");
            vec![(MAIN, layout.file(MAIN).lines().filter(keep).collect::<Vec<_>>().join("\n") + "\n")]
        },
    },
];

/// A diff without the inside of what is the same everywhere and has tests of its own.
fn in_short(diff: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in diff.lines() {
        let starts = |words: &[&str]| words.iter().any(|w| line.starts_with(w));
        if !inside && starts(&["+filter f_cefctl"]) {
            out += "   …\n";
            inside = true;
        }
        if inside
            && (starts(&["+rewrite r_cefctl_kept", "+rewrite r_cefctl_parsed", "+destination ", "+log "])
                || !line.starts_with('+'))
        {
            inside = false;
        }
        if !inside {
            out += &format!("   {line}\n");
        }
    }
    out
}

fn plan(layout: &Layout, changes: &[File], options: &[&str]) -> String {
    let (host, _folder) = layout.host(changes);
    crate::plan_of(&host, options, in_short)
}

#[test]
fn as_shipped() {
    for layout in &LAYOUTS {
        crate::snapshot("as_shipped", layout.name, &plan(layout, &[], NO_AGENT));
    }
}

#[test]
fn with_what_others_added() {
    for scenario in SCENARIOS {
        for layout in LAYOUTS.iter().filter(|l| scenario.layouts.contains(&l.name)) {
            crate::snapshot(scenario.name, layout.name, &plan(layout, &(scenario.files)(layout), scenario.options));
        }
    }
}
