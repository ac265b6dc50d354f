//! The rule that hands events to the agent, its queue, and the disk below it.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![
        fault("1.13", "the rule sends to another port", "forward.target", "edit $OURS 's/25226/25999/'; restart").fixed(),
        fault("1.4", "the rule sends to another machine", "forward.rule", "edit $OURS 's/127\\.0\\.0\\.1/192.0.2.9/g'; restart").fixed(),
        fault("1.18", "the first generation's rule alone is there", "forward.rule",
            "if ng; then printf 'source s_n { network(transport(\"udp\") port(514)); network(port(514)); };\nfilter f_oms_filter {match(\"CEF\\|ASA\" ) ;};destination oms_destination {tcp(\"127.0.0.1\" port(25226));};\nlog {source(s_n);filter(f_oms_filter);destination(oms_destination);};\n' >$CONF/security-config-omsagent.conf; else printf 'module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" rcvbufSize=\"8m\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\")\n' >$CONF/10-net.conf; printf ':rawmsg, regex, \"CEF\\|ASA\" ~\n*.* @@127.0.0.1:25226' >$CONF/security-config-omsagent.conf; fi; rm $OURS; restart").fixed(),
        fault("facts 0.10", "the rule looks at the parsed message", "forward.rule",
            "printf 'module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" rcvbufSize=\"8m\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\")\nif $msg contains \"CEF:\" then @@127.0.0.1:25226\n' >$CONF/10-net.conf; rm $OURS; restart").rsyslog(),
        fault("1.14", "the rule takes one facility only", "forward.rule",
            "printf 'module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" rcvbufSize=\"8m\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\")\nlocal4.* @@127.0.0.1:25226\n' >$CONF/10-net.conf; rm $OURS; restart").rsyslog(),
        fault("facts 0.12", "events that come while the agent is away are lost", "forward.reliable",
            "if ng; then perl -0pi -e 's/disk-buffer\\([^()]*(\\([^()]*\\)[^()]*)*\\)//' $OURS; else perl -0pi -e 's/queue\\.fileName=\"[^\"]*\"//; s/queue\\.maxDiskSpace=\"[^\"]*\"//; s/queue\\.saveOnShutdown=\"[^\"]*\"//' $OURS; fi; restart").warns().fixed(),
        fault("1.6", "the queue has no limit", "forward.reliable", "edit $OURS 's/queue.maxDiskSpace=\"[^\"]*\"//'; restart").rsyslog().warns().fixed(),
        fault("facts 5.5", "the spool folder is gone", "forward.reliable", "rm -rf /var/spool/rsyslog; restart")
            .undo("install -d -m 700 /var/spool/rsyslog").rsyslog().fixed(),
        fault("1.6", "the spool is read-only", "forward.reliable",
            "d=$( ng && echo /var/lib/syslog-ng || echo /var/spool/rsyslog); mount --bind $d $d; mount -o remount,bind,ro $d; restart")
            .undo("umount -l /var/lib/syslog-ng /var/spool/rsyslog 2>/dev/null"),
        fault("", "the spool is a file", "forward.reliable", "rm -rf /var/spool/rsyslog; echo x >/var/spool/rsyslog; restart")
            .undo("rm -f /var/spool/rsyslog; install -d -m 700 /var/spool/rsyslog").rsyslog(),
        fault("", "the spool is a link that leads nowhere", "forward.reliable", "rm -rf /var/spool/rsyslog; ln -s /nowhere/spool /var/spool/rsyslog; restart")
            .undo("rm -f /var/spool/rsyslog; install -d -m 700 /var/spool/rsyslog").rsyslog(),
        fault("", "the files of the queue are damaged", "forward.reliable",
            "systemctl stop syslog.socket $UNIT; n=$(grep -oi 'queue.fileName=\"[^\"]*' $OURS | head -1 | cut -d'\"' -f2); echo nonsense >/var/spool/rsyslog/$n.qi; head -c 3000 /dev/urandom >/var/spool/rsyslog/$n.00000001; restart; sleep 0.5")
            .undo("systemctl stop syslog.socket $UNIT; rm -f /var/spool/rsyslog/*").rsyslog(),
        fault("1.6", "the disk of the spool is full", "host.disk",
            "d=$( ng && echo /var/lib/syslog-ng || echo /var/spool/rsyslog); mount -t tmpfs -o size=1m tmpfs $d; restart; dd if=/dev/zero of=$d/junk bs=64k 2>/dev/null")
            .undo("umount -l /var/lib/syslog-ng /var/spool/rsyslog 2>/dev/null"),
        fault("1.6", "the disk of the logs has no more room for files", "host.disk",
            "mkdir -p /var/log; mount -t tmpfs -o size=20m,nr_inodes=30 tmpfs /var/log; for i in $(seq 40); do : >/var/log/x$i; done 2>/dev/null")
            .undo("umount -l /var/log"),
        fault("1.6", "the disk of the logs is full", "host.disk",
            "mount -t tmpfs -o size=1m tmpfs /var/log; dd if=/dev/zero of=/var/log/junk bs=64k 2>/dev/null")
            .undo("umount -l /var/log"),
        fault("1.2", "security events go to plain syslog as well", "forward.duplicate",
            "printf 'destination d_oms { udp(\"127.0.0.1\" port(25224)); };\nlog { source(s_cefctl); destination(d_oms); };\n' | other 05-oms.conf").syslog_ng().warns(),
        fault("1.2", "security events go to plain syslog as well", "forward.duplicate",
            "echo 'local4.* @127.0.0.1:25224' >$CONF/95-omsagent.conf; edit $OURS '/^  if .*cefctl_sent == .yes. then stop$/d; s/^\\*\\.\\*.*//'; restart").rsyslog().warns().fixed(),
        fault("1.6", "security events are written to local files", "forward.local-copy",
            "other 05-copy.conf <<<'log { source(s_cefctl); destination(d_syslog); };'").syslog_ng().warns(),
        fault("1.6", "security events are written to local files", "forward.local-copy",
            "edit $OURS '/^  if .*cefctl_sent == .yes. then stop$/d'; restart").rsyslog().warns().fixed(),
        fault("", "a rule sends what comes in back to the listener", "forward.duplicate",
            "if ng; then other 90-loop.conf <<<'destination d_loop { network(\"127.0.0.1\" port(514) transport(\"udp\")); }; log { source(s_cefctl); destination(d_loop); };'; else other 90-loop.conf <<<'*.* @127.0.0.1:514'; fi"),
        fault("", "a backup of our file is read too", "daemon.config", "cp $OURS ${OURS%.conf}-old.conf; restart; sleep 0.5"),
        fault("", "the rule writes events by another template", "probe.udp",
            "edit $OURS '/omfwd/s/template=\"[^\"]*\"/template=\"RSYSLOG_SyslogProtocol23Format\"/'; restart").rsyslog().fixed(),
        fault("", "datagrams were lost while the daemon was busy", "traffic.loss",
            "kill -STOP $(systemctl show --value -p MainPID $UNIT); python3 -c 'import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor i in range(700): s.sendto(b\"x\" * 60000, (\"127.0.0.1\", 514))'; kill -CONT $(systemctl show --value -p MainPID $UNIT)").warns(),
        fault("", "the rule takes one event of five", "forward.rule",
            "edit $OURS 's/type=\"omfwd\"/type=\"omfwd\" action.execOnlyEveryNthTime=\"5\"/'; restart").rsyslog().fixed(),
        fault("", "the rule throws away what comes too fast", "forward.reliable",
            "edit $OURS 's/type=\"omfwd\"/type=\"omfwd\" ratelimit.interval=\"5\" ratelimit.burst=\"900\"/'; restart").rsyslog().warns().fixed(),
        fault("", "the rule throws away what waits", "forward.reliable",
            "edit $OURS 's/(queue.type=\"linkedlist\")/\\1 queue.discardMark=\"500\" queue.discardSeverity=\"0\"/I'; restart").rsyslog().warns().fixed(),
        fault("", "the rule's connection is bound to another interface", "forward.connected",
            "edit $OURS 's/type=\"omfwd\"/type=\"omfwd\" device=\"eth0\"/'; restart").rsyslog().fixed(),
        fault("", "what listens on the agent's port reads nothing", "forward.connected",
            "systemctl stop stand-in-25226; squat STREAM 25226 's.listen(5);'; restart"),
        fault("", "two programs listen on the agent's port", "agent.listening",
            "systemctl stop stand-in-25226; for n in 1 2; do systemd-run -q --unit=squatter$n python3 -c \"import socket,time; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', 25226)); s.listen(); c=[s.accept() for _ in range(9)]; n=$n\"; done; for i in 1 2 3 4 5 6 7 8 9 10; do [ $(ss -Hltn 'sport = 25226' | wc -l) = 2 ] && break; sleep 0.1; done; restart")
            .undo("systemctl stop squatter1 squatter2").warns(),
        fault("", "what listens on the agent's port hangs up", "forward.connected",
            "systemctl stop stand-in-25226; squat STREAM 25226 's.listen(5); [s.accept()[0].close() for _ in iter(int, 1)];'; restart"),
        fault("1.30", "nobody listens on the agent's port", "agent.listening", "systemctl stop stand-in-25226"),
        fault("1.30", "what listens on the agent's port is halted", "agent.listening",
            "kill -STOP $(systemctl show --value -p MainPID stand-in-25226)").undo("kill -CONT $(systemctl show --value -p MainPID stand-in-25226)"),
    ]
}
