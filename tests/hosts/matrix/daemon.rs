//! The daemon itself: does not run, does not come back, cannot read its configuration.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![
        fault("1.30", "the daemon was stopped", "daemon.running", "systemctl stop syslog.socket $UNIT").fixed(),
        fault("1.30", "the daemon was killed, and nothing starts it again", "daemon.running",
            "hardened Restart=no; systemctl stop syslog.socket; systemctl kill -s KILL $UNIT; sleep 0.2").fixed(),
        fault("1.30", "the daemon is masked", "daemon.running", "systemctl mask --now --runtime $UNIT")
            .undo("systemctl unmask --runtime $UNIT").fixed(),
        fault("1.30", "the daemon does not start at boot", "daemon.enabled", "systemctl disable $UNIT").warns().fixed(),
        fault("1.1", "systemd gave up starting the daemon", "daemon.running",
            "hardened Restart=no; for i in 1 2 3 4 5 6 7 8; do systemctl restart $UNIT; done 2>/dev/null; systemctl stop $UNIT; for i in 1 2 3 4 5 6 7 8; do systemctl start $UNIT; systemctl kill -s KILL $UNIT; done 2>/dev/null; sleep 0.2").fixed(),
        fault("", "the daemon is halted by a signal", "daemon.running",
            "kill -STOP $(systemctl show --value -p MainPID $UNIT); sleep 0.1").fixed(),
        fault("", "the daemon runs beside its unit", "daemon.running",
            "systemctl stop syslog.socket $UNIT; if ng; then setsid syslog-ng -F --no-caps >/dev/null 2>&1 & else rm -f /run/rsyslogd.pid; setsid rsyslogd -n >/dev/null 2>&1 & fi; sleep 1")
            .undo("for p in $(pgrep -x rsyslogd; pgrep -x syslog-ng); do kill -9 $p; done").warns(),
        fault("1.11", "a mistake in somebody else's file", "daemon.config",
            "if ng; then other 30-other.conf <<<'destination d_x { file(\"/var/log/x\")'; else other 30-other.conf <<<'if $msg contains \"x\" then { action(type=\"omfile\" file=\"/var/log/x\" '; fi"),
        fault("1.5", "a mistake that waits for the next start", "daemon.config", "echo 'nonsense here;' >$CONF/30-other.conf").syslog_ng(),
        fault("1.11", "the main file was replaced by the other daemon's", "daemon.config",
            "if ng; then printf 'module(load=\"imuxsock\")\n*.* /var/log/all\n' >$MAIN; else printf '@version: 3.38\n@include \"scl.conf\"\nsource s_src { system(); internal(); };\nlog { source(s_src); };\n' >$MAIN; fi; restart"),
        fault("", "the main file is empty", "daemon.include", ": >$MAIN; restart").rsyslog(),
        fault("", "the main file is gone", "daemon.config", "rm $MAIN; restart"),
        fault("1.11", "the drop-in folder is not included", "daemon.include",
            "if ng; then edit $MAIN 's/^@include \"\\/etc.*conf.d.*/#&/'; else edit $MAIN 's/^\\$IncludeConfig/#&/'; fi; restart").fixed(),
        fault("1.5", "a log path names a source that is not there", "daemon.references",
            "other 30-other.conf <<<'log { source(s_sys); destination(d_syslog); };'").syslog_ng(),
        fault("1.5", "a source that is not there waits for the next start", "daemon.references",
            "echo 'log { source(s_sys); destination(d_syslog); };' >$CONF/30-other.conf").syslog_ng(),
        fault("", "an input names a ruleset that is not there", "daemon.references",
            "edit $OURS 's/ruleset=\"cefctl_[a-z]*\"/ruleset=\"gone\"/'; restart").rsyslog().fixed(),
        fault("1.8", "a module of the daemon is missing", "daemon.config",
            "if ng; then d=/usr/lib/syslog-ng; else d=/usr/lib/x86_64-linux-gnu/rsyslog; fi; mkdir /root/mods; ng && mv /usr/lib/syslog-ng/*/libafsocket.so /root/mods || mv $d/imudp.so /root/mods; restart")
            .undo("if ng; then mv /root/mods/* /usr/lib/syslog-ng/*/; else mv /root/mods/* /usr/lib/x86_64-linux-gnu/rsyslog/; fi; rmdir /root/mods"),
        fault("", "the daemon's program may not be run", "daemon.running",
            "chmod a-x /usr/sbin/$( ng && echo syslog-ng || echo rsyslogd); restart")
            .undo("chmod a+x /usr/sbin/$( ng && echo syslog-ng || echo rsyslogd)"),
        fault("1.38", "our file is gone", "listen.udp", "rm $OURS; restart").fixed(),
        fault("1.38", "our file is gone, and the daemon still has it in memory", "listen.udp", "rm $OURS").fixed(),
        fault("", "our file was renamed", "listen.udp", "mv $OURS $OURS.disabled; restart").fixed(),
        fault("", "our file is empty", "listen.udp", ": >$OURS; restart").fixed(),
        fault("", "our file was cut off", "listen.udp", "truncate -s $(grep -abm1 '^ruleset(' $OURS | cut -d: -f1) $OURS; restart").rsyslog().fixed(),
        fault("", "our file was cut off", "daemon.config", "truncate -s 1500 $OURS; restart").syslog_ng().fixed(),
        fault("", "the include leaves out the name of our file", "daemon.include",
            "if ng; then edit $MAIN 's/conf\\.d\\/\\*\\.conf/conf.d\\/[0-9]*.conf/'; else edit $MAIN 's/rsyslog\\.d\\/\\*\\.conf/rsyslog.d\\/[2-9]*.conf/'; fi; restart").fixed(),
        fault("", "our file is empty, and its folder is read-only", "listen.udp",
            ": >$OURS; restart; mount --bind $CONF $CONF; mount -o remount,bind,ro $CONF").undo("umount -l $CONF"),
        fault("1.25", "a file of the daemon is a link to nowhere", "daemon.config", "ln -s /nowhere $CONF/20-lost.conf; restart"),
    ]
}
