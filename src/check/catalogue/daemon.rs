//! The syslog daemon: is it there, is its configuration sound, does it run.

use super::Check;
use crate::check::{config, daemon as judge};

pub const CHECKS: &[Check] = &[
    Check {
        id: "daemon.present",
        title: "Is rsyslog or syslog-ng installed?",
        why: "Without a syslog daemon nobody takes events from the network: systemd-journald alone cannot.",
        looks_at: "the program files of rsyslog and syslog-ng, their version, and a running process of either.",
        mend: "`cefctl install --install-packages` installs the distribution's rsyslog and goes on; `--fix` does the same \
               when asked.",
        needs: &[],
        judge: judge::present,
    },
    Check {
        id: "daemon.single",
        title: "Is there one syslog daemon, not two?",
        why: "With two daemons on one box the port belongs to whichever was faster, also after the next boot.",
        looks_at: "units and processes of rsyslog and syslog-ng in this machine (containers apart), and which of them \
                   holds the port.",
        mend: "stop and disable the one that is not meant to be the collector.",
        needs: &["daemon.present"],
        judge: judge::single,
    },
    Check {
        id: "daemon.config",
        title: "Does the daemon accept its whole configuration?",
        why: "After a syntax error rsyslog drops the rest of its configuration, often all of it, and still reports that \
              it runs; syslog-ng takes none of it and does not start the next time.",
        looks_at: "`rsyslogd -N1` or `syslog-ng --syntax-only` on the whole configuration. Of rsyslog's, messages that do no harm (a module loaded twice, a module \
                   without a listener) are not counted, and what a more exact check names is left to it.",
        mend: "correct the line that is named, check with `rsyslogd -N1` or `syslog-ng --syntax-only`, restart the daemon \
               (syslog-ng: `syslog-ng-ctl reload`).",
        needs: &["daemon.present"],
        judge: config::config,
    },
    Check {
        id: "daemon.references",
        title: "Does every name in the configuration lead somewhere?",
        why: "An input bound to a ruleset that does not exist, or an action with an unknown template, is silently \
              changed or left out. syslog-ng does not start with a name that is not defined.",
        looks_at: "rulesets, templates, modules and queue files, or sources, filters, destinations and templates, that are \
                   used but not defined, or defined twice, also those that the daemon's own check does not report.",
        mend: "define the name before it is used, or remove the statement that uses it.",
        needs: &["daemon.present"],
        judge: config::references,
    },
    Check {
        id: "daemon.include",
        title: "Does the main file include the drop-in folder?",
        why: "Files in a folder that nobody reads change nothing, and everything looks right on the disk.",
        looks_at: "whether every `*.conf` in /etc/rsyslog.d or /etc/syslog-ng/conf.d is part of the configuration the daemon reads.",
        mend: "put the include back into the main file, before its rules; `cefctl install` does that with a marked block.",
        needs: &["daemon.present"],
        judge: config::include,
    },
    Check {
        id: "daemon.files",
        title: "May the daemon read its configuration files?",
        why: "A file the daemon may not read is a file it starts without.",
        looks_at: "every file of the configuration and every folder above it: owner, mode, access list, links that lead \
                   nowhere, against the user and the capabilities the daemon starts with.",
        mend: "give the named file or folder the mode it should have (0644 for files, 0755 for folders).",
        needs: &["daemon.present"],
        judge: config::files,
    },
    Check {
        id: "daemon.running",
        title: "Does the daemon run?",
        why: "While it does not run, datagrams are lost and TCP senders are refused.",
        looks_at: "the unit's state, its main process (ended, stopped by a signal, frozen), how often it was restarted (again and again within minutes, or while this was looked at), \
                   what it said last, and whether its configuration was changed since it was started. syslog-ng is asked what \
                   it has loaded (`syslog-ng-ctl config`).",
        mend: "`systemctl start rsyslog` (or syslog-ng); if it does not stay up, the lines shown as evidence say why.",
        needs: &["daemon.present"],
        judge: judge::running,
    },
    Check {
        id: "daemon.enabled",
        title: "Will the daemon start at boot?",
        why: "A collector that does not come back after a reboot loses events until somebody notices.",
        looks_at: "the state of the unit file.",
        mend: "`systemctl enable rsyslog` (or syslog-ng).",
        needs: &["daemon.present"],
        judge: judge::enabled,
    },
];
