//! What an administrator writes, in the language of either daemon: the same thing said twice.

use crate::Kind;

pub const MAIN_NG: &str = "/etc/syslog-ng/syslog-ng.conf";
/// Written by the older scripts.
pub const REPLACED_NG: &str = "/etc/syslog-ng/conf.d/security-config-omsagent.conf";
pub const OLDER_RULE_NG: &[u8] = b"filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};destination oms_destination {tcp(\"127.0.0.1\" port(25226));};\nlog {source(s_src);filter(f_oms_filter);destination(oms_destination);};\n";

pub const MAIN_RSYSLOG: &str = "/etc/rsyslog.conf";
pub const REPLACED_RSYSLOG: &str = "/etc/rsyslog.d/security-config-omsagent.conf";
/// The last generation: an empty line in front, no line end behind.
pub const OLDER_RULE_RSYSLOG: &[u8] =
    b"\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226";

/// A main file as on Red Hat 7, with remarks behind its statements, which the older scripts take for switched off.
pub const LEGACY_RSYSLOG: &str = "$ModLoad imuxsock # provides support for local system logging\n\
    $ModLoad imklog   # provides kernel logging support\n\
    $ModLoad imudp # needs to be done just once\n$UDPServerRun 514 # default\n\
    $WorkDirectory /var/spool/rsyslog\n$IncludeConfig /etc/rsyslog.d/*.conf\n\
    *.info;mail.none;authpriv.none;cron.none /var/log/messages\nauthpriv.* /var/log/secure\n";

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

/// A main file after two runs of the older scripts (facts 2.3, 2.4).
pub fn damaged(kind: &Kind, main: &[u8]) -> Vec<u8> {
    let once = if is_ng(kind) { damaged_ng } else { damaged_rsyslog };
    once(&once(&String::from_utf8_lossy(main))).into_bytes()
}

/// A line with `source` starts a comment, the next line that begins something else ends it; their source goes to the end.
fn damaged_ng(text: &str) -> String {
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
    out + "source s_src { udp( port(514)); tcp( port(514));};\n"
}

/// Comment marks go from lines about the network modules; in a file of the old style their lines go to the end, where the
/// last line about a module has a comment mark anywhere.
fn damaged_rsyslog(text: &str) -> String {
    if text.contains("module(load=") {
        let change = |line: &str| match line.contains("imudp") || line.contains("imtcp") {
            true if line.contains("load") => line.replacen('#', "", 1),
            true if line.contains("port") => line.replacen('#', "", 2),
            _ => line.to_owned(),
        };
        return text.split_inclusive('\n').map(change).collect();
    }
    let mut out = text.to_owned();
    for (module, run) in [("imudp", "UDPServerRun"), ("imtcp", "InputTCPServerRun")] {
        let about = text.lines().rfind(|l| l.contains(module) || l.contains(run));
        if about.is_none_or(|l| l.contains('#')) {
            out += &format!("$ModLoad {module}\n${run} 514\n");
        }
    }
    out
}
