//! The listeners: not there, somebody else's, out of reach of the rule, too narrow.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![
        fault("1.4", "the listeners are missing", "listen.udp", "edit $OURS '/^input\\(/d'; restart").rsyslog().fixed(),
        fault("1.4", "the listener is in no log path", "listen.udp",
            "edit $OURS 's/source\\(s_cefctl\\)/source(s_src)/'; restart").syslog_ng().fixed(),
        fault("1.41", "nothing listens for TCP", "listen.tcp",
            "if ng; then edit $OURS '/transport\\(\"tcp\"\\) ip-protocol/d'; else edit $OURS '/^input.*imptcp/d'; fi; restart").fixed(),
        fault("1.26", "another program has 514 over UDP", "listen.owner", "systemctl stop syslog.socket $UNIT; squat DGRAM 514 ''; restart"),
        fault("1.26", "another program has 514 over TCP", "listen.owner", "systemctl stop syslog.socket $UNIT; squat STREAM 514 's.listen();'; restart"),
        fault("1.26", "a socket unit has 514", "listen.owner",
            "printf '[Socket]\nListenDatagram=514\n' >/run/systemd/system/old.socket; printf '[Service]\nExecStart=/bin/sleep 600\n' >/run/systemd/system/old.service; systemctl stop syslog.socket $UNIT; systemctl daemon-reload; systemctl start old.socket; restart")
            .undo("systemctl stop old.socket old.service; rm /run/systemd/system/old.*"),
        fault("1.10", "the listeners are on loopback only", "listen.udp",
            "if ng; then edit $OURS 's/ip-protocol\\(6\\) port\\(514\\)/ip(\"127.0.0.1\") port(514)/'; else edit $OURS 's/^input\\((.*port=\"514\")/input(\\1 address=\"127.0.0.1\"/'; fi; restart").fixed(),
        fault("1.47", "the listeners are on an address that this box does not have", "listen.udp",
            "edit $OURS 's/^input\\((.*port=\"514\")/input(\\1 address=\"192.0.2.77\"/'; restart").rsyslog().fixed(),
        fault("1.31", "the listeners are on another port", "listen.udp",
            "edit $OURS 's/port(=\"|\\()514/port\\1 5514/; s/port(=\"|\\() 5514/port\\15514/'; restart").fixed(),
        fault("facts 5.6", "a second listener takes the datagrams of the first", "listen.duplicate",
            "printf 'ruleset(name=\"x\") { action(type=\"omfile\" file=\"/var/log/x\") }\ninput(type=\"imudp\" port=\"514\" ruleset=\"x\")\n' | other 30-other.conf").rsyslog(),
        fault("1.26", "one port is asked for twice", "listen.duplicate",
            "printf 'source s_n { tcp(); };\nlog { source(s_n); destination(d_syslog); };\n' | other 30-other.conf").syslog_ng(),
        fault("1.29", "the listeners hand over to a ruleset without the rule", "listen.reachable",
            "printf 'ruleset(name=\"elsewhere\") { action(type=\"omfile\" file=\"/var/log/elsewhere\") }\n' >$CONF/05-other.conf; edit $OURS 's/ruleset=\"cefctl_[a-z]*\"(.*\\))/ruleset=\"elsewhere\"\\1/; s/^(input.*port=\"514\")([^r]*)$/\\1 ruleset=\"elsewhere\"\\2/'; restart").rsyslog().fixed(),
        fault("1.29", "the rule takes its events from another source", "listen.reachable",
            "edit $OURS 's/source\\(s_cefctl\\)/source(s_src)/'; echo 'log { source(s_cefctl); destination(d_syslog); };' >>$OURS; restart").syslog_ng().fixed(),
        fault("1.29", "an earlier path ends there", "listen.reachable",
            "other 00-quiet.conf <<<'log { source(s_cefctl); destination(d_syslog); flags(final); };'").syslog_ng().fixed(),
        fault("1.29", "an earlier path ends there for ASA", "listen.reachable",
            "other 00-quiet.conf <<<'log { source(s_cefctl); filter { match(\"%ASA\" value(\"MESSAGE\")); }; flags(final); };'").syslog_ng().fixed(),
        fault("1.19", "messages are cut at 1 kB", "listen.limits",
            "if ng; then edit $OURS 's/log-msg-size\\([0-9]+\\)/log-msg-size(1024)/g'; else edit $OURS 's/maxMessageSize=\"1m\"/maxMessageSize=\"1k\"/'; fi; restart").warns().fixed(),
        fault("1.22", "the receive buffer is small", "listen.limits",
            "if ng; then edit $OURS 's/so-rcvbuf\\([0-9]+\\)/so-rcvbuf(20000)/'; else edit $OURS 's/rcvbufSize=\"[0-9a-z]+\"/rcvbufSize=\"20k\"/'; fi; restart").warns().fixed(),
        fault("1.51", "the listener drops what comes too fast", "listen.limits",
            "edit $OURS 's/(imudp.*)rateLimit.interval=\"0\"/\\1rateLimit.interval=\"5\" rateLimit.burst=\"20\"/'; restart").rsyslog().warns().fixed(),
        fault("", "the listener drops nearly everything", "listen.limits",
            "edit $OURS 's/(imudp.*)rateLimit.interval=\"0\"/\\1rateLimit.interval=\"600\" rateLimit.burst=\"1\"/'; restart; for i in 1 2 3; do logger -n 127.0.0.1 -P 514 -d x; done").rsyslog().fixed(),
        fault("facts 6.5", "few TCP senders are let in", "listen.limits",
            "edit $OURS 's/max-connections\\([0-9]+\\)/max-connections(1)/g'; restart; exec 7<>/dev/tcp/127.0.0.1/514; sleep 0.2; cefctl troubleshoot >/dev/null")
            .syslog_ng().warns().fixed(),
    ]
}
