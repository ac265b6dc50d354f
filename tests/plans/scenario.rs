//! What people and earlier tools add to a stock configuration.

use crate::layout::Layout;

/// Path and content.
pub type File = (&'static str, String);

pub struct Scenario {
    pub name: &'static str,
    pub layouts: &'static [&'static str],
    pub options: &'static [&'static str],
    /// Files in place of those of the fixture, or besides them.
    pub files: fn(&Layout) -> Vec<File>,
}

const MAIN: &str = "/etc/rsyslog.conf";
const NO_AGENT: &[&str] = &["--agent", "none"];
/// Legacy syntax with systemd's journal; modern Debian; rules in a drop-in; mode 0600 and more includes.
const KINDS: &[&str] = &["rhel7", "rhel9", "debian12", "ubuntu22.04", "suse15"];

fn drop_in(path: &'static str, text: &str) -> Vec<File> {
    vec![(path, text.to_owned())]
}

/// The listeners of the distribution's own file, switched on as its comments say.
fn listeners_on(layout: &Layout) -> String {
    let main = layout.file(MAIN);
    let on = |line: &str| {
        let bare = line.trim_start_matches('#').trim_start();
        let wanted = line.starts_with('#')
            && ["module(load=\"im", "input(type=\"im", "$ModLoad im", "$UDPServerRun", "$InputTCPServerRun"]
                .iter()
                .any(|start| bare.starts_with(start))
            && !bare.contains("immark");
        if wanted { bare.to_owned() } else { line.to_owned() }
    };
    main.lines().map(on).collect::<Vec<_>>().join("\n") + "\n"
}

pub const SCENARIOS: [Scenario; 10] = [
    Scenario {
        name: "the_originals_edits",
        layouts: KINDS,
        options: NO_AGENT,
        files: |layout| {
            let rule = "\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";
            let mut main = listeners_on(layout);
            if !main.contains("\"imudp\"") && !main.contains("\n$ModLoad imudp") {
                main += "\n$ModLoad imudp\n$UDPServerRun 514\n$ModLoad imtcp\n$InputTCPServerRun 514\n";
            }
            vec![(MAIN, main), ("/etc/rsyslog.d/security-config-omsagent.conf", rule.to_owned())]
        },
    },
    Scenario {
        name: "azure_monitor_agent",
        layouts: KINDS,
        options: &[],
        files: |_| {
            let forward = "# Azure Monitor Agent configuration: forward logs to azuremonitoragent\n\
                template(name=\"AMA_RSYSLOG_TraditionalForwardFormat\" type=\"string\" string=\"<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\")\n\
                *.* action(type=\"omfwd\"\ntemplate=\"AMA_RSYSLOG_TraditionalForwardFormat\"\nqueue.type=\"LinkedList\"\n\
                queue.filename=\"omfwd-azuremonitoragent\"\nqueue.maxFileSize=\"32m\"\nqueue.maxDiskSpace=\"1g\"\n\
                action.resumeRetryCount=\"-1\"\naction.resumeInterval=\"5\"\naction.reportSuspension=\"on\"\n\
                action.reportSuspensionContinuation=\"on\"\nqueue.size=\"25000\"\nqueue.workerThreads=\"100\"\n\
                queue.dequeueBatchSize=\"2048\"\nqueue.saveonshutdown=\"on\"\ntarget=\"127.0.0.1\" Port=\"28330\" Protocol=\"tcp\")\n";
            vec![
                ("/etc/rsyslog.d/10-azuremonitoragent-omfwd.conf", forward.to_owned()),
                ("/opt/microsoft/azuremonitoragent/bin/mdsd", String::new()),
                ("/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port", "28330".to_owned()),
            ]
        },
    },
    Scenario {
        name: "own_ruleset_on_514",
        layouts: &["debian12", "rhel9"],
        options: NO_AGENT,
        files: |_| {
            drop_in(
                "/etc/rsyslog.d/20-firewalls.conf",
                "module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                 template(name=\"perhost\" type=\"string\" string=\"/var/log/firewalls/%HOSTNAME%.log\")\n\
                 ruleset(name=\"firewalls\") {\n  action(type=\"omfile\" dynaFile=\"perhost\")\n  stop\n}\n\
                 input(type=\"imudp\" port=\"514\" ruleset=\"firewalls\")\n\
                 input(type=\"imtcp\" port=\"514\" ruleset=\"firewalls\")\n",
            )
        },
    },
    Scenario {
        name: "own_ruleset_on_514_legacy",
        layouts: &["rhel7"],
        options: NO_AGENT,
        files: |_| {
            drop_in(
                "/etc/rsyslog.d/20-firewalls.conf",
                "$ModLoad imudp\n$ModLoad imtcp\n$Ruleset firewalls\n*.* /var/log/firewalls.log\n& stop\n\
                 $InputUDPServerBindRuleset firewalls\n$UDPServerRun 514\n\
                 $InputTCPServerBindRuleset firewalls\n$InputTCPServerRun 514\n$Ruleset RSYSLOG_DefaultRuleset\n",
            )
        },
    },
    Scenario {
        name: "tls_on_6514",
        layouts: &["rhel8", "debian13"],
        options: NO_AGENT,
        files: |_| {
            drop_in(
                "/etc/rsyslog.d/30-tls.conf",
                "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"/etc/pki/ca.pem\"\n\
                 \x20      defaultNetstreamDriverCertFile=\"/etc/pki/cert.pem\" defaultNetstreamDriverKeyFile=\"/etc/pki/key.pem\")\n\
                 module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
                 input(type=\"imtcp\" port=\"6514\")\n",
            )
        },
    },
    Scenario {
        name: "tls_on_514",
        layouts: &["debian12"],
        options: NO_AGENT,
        files: |_| {
            drop_in(
                "/etc/rsyslog.d/30-tls.conf",
                "module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
                 input(type=\"imtcp\" port=\"514\")\n",
            )
        },
    },
    Scenario {
        name: "relp",
        layouts: &["debian12", "rhel9"],
        options: NO_AGENT,
        files: |_| {
            drop_in(
                "/etc/rsyslog.d/30-relp.conf",
                "module(load=\"imrelp\")\ninput(type=\"imrelp\" port=\"2514\" maxDataSize=\"10k\")\n",
            )
        },
    },
    Scenario {
        name: "other_siem",
        layouts: KINDS,
        options: NO_AGENT,
        files: |layout| {
            vec![
                (MAIN, listeners_on(layout)),
                ("/etc/rsyslog.d/60-siem.conf", "*.* @@siem.example.com:6514\n".to_owned()),
            ]
        },
    },
    Scenario {
        name: "hand_made_forward",
        layouts: &["debian12", "rhel7"],
        options: NO_AGENT,
        files: |layout| {
            vec![
                (MAIN, listeners_on(layout)),
                ("/etc/rsyslog.d/99-sentinel.conf", ":msg, contains, \"CEF\" @127.0.0.1:25226\n".to_owned()),
            ]
        },
    },
    Scenario {
        name: "no_include",
        layouts: &["rhel9", "debian12", "rhel7"],
        options: NO_AGENT,
        files: |layout| {
            let keep = |l: &&str| !l.contains("rsyslog.d/*.conf") || l.starts_with("# ");
            let main = layout.file(MAIN).lines().filter(keep).collect::<Vec<_>>().join("\n") + "\n";
            vec![(MAIN, main)]
        },
    },
];
