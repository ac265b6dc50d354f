//! Faults in the language of syslog-ng, and those that only it has: a mistake anywhere, or a port it cannot
//! have, ends the whole daemon at its next start, though its own check is content.

use crate::Kind;
use crate::broken::{Broken, NORMAL, edit, try_restart};
use crate::host::Host;
use crate::language::{MAIN_NG as MAIN, OLDER_RULE_NG, REPLACED_NG};

const OTHER: &str = "/etc/syslog-ng/conf.d/30-other.conf";
const FIRST: &str = "/etc/syslog-ng/conf.d/00-quiet.conf";

/// Another file beside ours, and a restart that may fail.
fn with(host: &Host, kind: &Kind, path: &str, text: &str) {
    host.put(path, text);
    try_restart(host, kind);
}

/// The source a drop-in defines, up to its closing bracket.
fn without_source(text: &str) -> String {
    let at = text.find("source s_cefctl").expect("a source of ours");
    let end = text[at..].find("\n};\n").expect("its end") + at + 4;
    format!("{}{}", &text[..at], &text[end..])
}

/// What cef_installer.py leaves: the system's own source a comment, a source for the network alone in its place.
fn original(host: &Host, kind: &Kind) {
    host.put(REPLACED_NG, OLDER_RULE_NG);
    edit(host, kind, MAIN, |text| {
        let at = text.find("\nsource s_src").expect("Debian's source") + 1;
        let end = text[at..].find("\n};\n").expect("its end") + at + 4;
        let comment: String = text[at..end].lines().map(|l| format!("#{l}\n")).collect();
        let added = "source s_src { udp( port(514)); tcp( port(514));};\n";
        format!("{}{comment}{added}{}", &text[..at], &text[end..])
    });
}

/// Room for the queue that is no folder, before the daemon has a queue anywhere else.
fn buffer_in_a_file(host: &Host, kind: &Kind, ours: &str) {
    host.sh(&format!("systemctl stop {}; rm -f /var/lib/syslog-ng/*; echo x > /var/lib/queue", kind.unit()));
    let text = String::from_utf8(host.get(ours)).expect("our file");
    host.put(ours, text.replace("disk-buffer(", "disk-buffer(dir(\"/var/lib/queue\") "));
    try_restart(host, kind);
}

pub fn table() -> Vec<Broken> {
    vec![
        Broken {
            name: "listeners_missing",
            spoil: |h, k, ours| edit(h, k, ours, |t| without_source(t).replace("source(s_cefctl)", "source(s_src)")),
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "source_in_no_log_path",
            spoil: |h, k, ours| edit(h, k, ours, |t| t.replace("source(s_cefctl)", "source(s_src)")),
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "drop_in_deleted_but_still_loaded",
            spoil: |h, _, ours| drop(h.sh(&format!("rm {ours}"))),
            root_cause: "listen.udp",
            ..NORMAL
        },
        Broken {
            name: "drop_in_folder_not_included",
            spoil: |h, k, _| edit(h, k, MAIN, |t| t.replace("@include \"/etc/syslog-ng/conf.d", "#@include \"/x")),
            root_cause: "daemon.include",
            ..NORMAL
        },
        Broken {
            name: "rule_takes_another_source",
            spoil: |h, k, ours| {
                edit(h, k, ours, |t| {
                    let text = t.replace("source(s_cefctl)", "source(s_src)");
                    format!("{text}log {{ source(s_cefctl); destination(d_syslog); }};\n")
                });
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "an_earlier_final",
            spoil: |h, k, _| with(h, k, FIRST, "log { source(s_cefctl); destination(d_syslog); flags(final); };\n"),
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "an_earlier_final_for_some_events",
            spoil: |h, k, _| {
                let text = "log { source(s_cefctl); filter { match(\"%ASA\" value(\"MESSAGE\")); }; flags(final); };\n";
                with(h, k, FIRST, text);
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken {
            name: "syntax_error_in_somebody_elses_file",
            spoil: |h, k, _| with(h, k, OTHER, "destination d_x { file(\"/var/log/x\")\n"),
            root_cause: "daemon.config",
            ..NORMAL
        },
        Broken {
            name: "syntax_error_that_waits_for_the_next_start",
            spoil: |h, _, _| h.put(OTHER, "nonsense here;\n"),
            root_cause: "daemon.config",
            ..NORMAL
        },
        Broken {
            name: "undefined_source",
            spoil: |h, k, _| with(h, k, OTHER, "log { source(s_sys); destination(d_syslog); };\n"),
            root_cause: "daemon.references",
            ..NORMAL
        },
        Broken {
            name: "undefined_source_that_waits_for_the_next_start",
            spoil: |h, _, _| h.put(OTHER, "log { source(s_sys); destination(d_syslog); };\n"),
            root_cause: "daemon.references",
            ..NORMAL
        },
        Broken {
            name: "one_port_asked_for_twice",
            spoil: |h, k, _| {
                with(h, k, OTHER, "source s_n { tcp(); };\nlog { source(s_n); destination(d_syslog); };\n");
            },
            root_cause: "listen.duplicate",
            ..NORMAL
        },
        Broken { name: "originals_rule", install: false, before: original, root_cause: "forward.rule", ..NORMAL },
        Broken {
            name: "only_udp_reaches_the_rule",
            spoil: |h, k, ours| {
                edit(h, k, ours, |t| {
                    let text = without_source(t).replace("source(s_cefctl)", "source(s_net)");
                    format!(
                        "source s_net {{ network(transport(\"udp\") flags(no-parse)); }};\n\
                         source s_tcp {{ network(port(514) flags(no-parse) max-connections(99)); }};\n\
                         log {{ source(s_tcp); destination(d_syslog); }};\n{text}"
                    )
                });
            },
            root_cause: "listen.reachable",
            ..NORMAL
        },
        Broken { name: "disk_buffer_in_no_folder", spoil: buffer_in_a_file, root_cause: "forward.reliable", ..NORMAL },
        Broken {
            name: "state_folder_read_only",
            spoil: |h, k, _| {
                h.sh("mount --bind /var/lib/syslog-ng /var/lib/syslog-ng; mount -o remount,bind,ro /var/lib/syslog-ng");
                try_restart(h, k);
            },
            root_cause: "forward.reliable",
            ..NORMAL
        },
    ]
}
