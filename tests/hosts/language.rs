//! What an administrator writes, in the language of either daemon: the same thing said twice.

use crate::Kind;

pub const MAIN_NG: &str = "/etc/syslog-ng/syslog-ng.conf";
/// Written by the older scripts.
pub const REPLACED_NG: &str = "/etc/syslog-ng/conf.d/security-config-omsagent.conf";
pub const OLDER_RULE_NG: &[u8] = b"filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};destination oms_destination {tcp(\"127.0.0.1\" port(25226));};\nlog {source(s_src);filter(f_oms_filter);destination(oms_destination);};\n";

/// Path and content of a drop-in.
type DropIn = (String, String);

fn is_ng(kind: &Kind) -> bool {
    kind.daemon == "syslog-ng"
}

/// A drop-in of this name in the folder the daemon reads.
pub fn drop_in(kind: &Kind, name: &str) -> String {
    match is_ng(kind) {
        true => format!("/etc/syslog-ng/conf.d/{name}"),
        false => format!("/etc/rsyslog.d/{name}"),
    }
}

/// Listeners for both protocols, whose messages go to the local files.
pub fn listener(kind: &Kind, port: u16) -> DropIn {
    let text = match is_ng(kind) {
        true => {
            let driver = |t: &str| {
                format!(
                    "network(transport(\"{t}\") ip-protocol(6) port({port}) flags(store-raw-message) keep-hostname(yes));"
                )
            };
            let (udp, tcp) = (driver("udp"), driver("tcp"));
            format!("source s_net {{ {udp} {tcp} }};\nlog {{ source(s_net); destination(d_syslog); }};\n")
        }
        false => format!(
            "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"{port}\")\n\
             module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{port}\")\n"
        ),
    };
    (drop_in(kind, "10-network.conf"), text)
}

/// Another receiver of everything that is logged here.
pub fn forward_all(kind: &Kind, port: u16) -> DropIn {
    let text = match is_ng(kind) {
        true => format!(
            "destination d_siem {{ network(\"127.0.0.1\" port({port})); }};\n\
             log {{ source(s_src); destination(d_siem); }};\n"
        ),
        false => format!("*.* @@127.0.0.1:{port}\n"),
    };
    (drop_in(kind, "60-siem.conf"), text)
}

/// A listener of its own whose messages go to /var/log/switches.log and nowhere else.
pub fn switches(kind: &Kind, port: u16) -> DropIn {
    let text = match is_ng(kind) {
        true => format!(
            "source s_switches {{ network(transport(\"tcp\") port({port})); }};\n\
             destination d_switches {{ file(\"/var/log/switches.log\"); }};\n\
             log {{ source(s_switches); destination(d_switches); flags(final); }};\n"
        ),
        false => format!(
            "module(load=\"imtcp\")\nruleset(name=\"switches\") {{ action(type=\"omfile\" file=\"/var/log/switches.log\") stop }}\n\
             input(type=\"imtcp\" port=\"{port}\" ruleset=\"switches\")\n"
        ),
    };
    (drop_in(kind, "20-switches.conf"), text)
}

/// The daemon's own check of its whole configuration.
pub fn check(kind: &Kind) -> &'static [&'static str] {
    if is_ng(kind) { &["syslog-ng", "--syntax-only"] } else { &["rsyslogd", "-N1"] }
}

/// Debian's main file after two runs of the older scripts, by the rule they follow (a line with `source` starts a
/// comment, the next line that begins something else ends it), and with the source they add.
pub fn damaged(main: &[u8]) -> Vec<u8> {
    const ADDED: &str = "source s_src { udp( port(514)); tcp( port(514));};\n";
    let mut text = String::from_utf8_lossy(main).into_owned();
    for _ in 0..2 {
        let mut out = String::new();
        let mut inside = false;
        for line in text.split_inclusive('\n') {
            let has = |word: &str| line.contains(word);
            let begins = !has("#") && has("source") && !has("s_net") && !has("log");
            let ends = !has("#") && ["source", "destination", "filter", "log"].iter().any(|w| has(w));
            inside = begins || (inside && !ends);
            out += if inside { "#" } else { "" };
            out += line;
        }
        text = out + ADDED;
    }
    text.into_bytes()
}
