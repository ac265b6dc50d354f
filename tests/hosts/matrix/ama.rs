//! The Azure Monitor Agent: what its watcher leaves, what its rules say, what its program has.

use super::{Fault, fault};

/// Those of every agent of this kind, however it takes events.
fn common() -> Vec<Fault> {
    vec![
        fault("1.30", "the agent was stopped", "ama.running", "systemctl stop azuremonitoragent").fixed(),
        fault("1.30", "the agent is masked", "ama.running", "systemctl mask --now --runtime azuremonitoragent").fixed(),
        fault("1.30", "the agent is halted by a signal", "ama.running",
            "kill -STOP $(systemctl show --value -p MainPID azuremonitoragent)").fixed(),
        fault("1.30", "the agent does not start at boot", "ama.running", "systemctl -q disable azuremonitoragent").warns().fixed(),
        fault("1.13", "the agent's file is missing in the daemon's configuration", "ama.forward-config", "rm $FORWARD; restart").rsyslog().fixed(),
        fault("1.13", "the agent's file is missing in the daemon's configuration", "ama.forward-config", "rm $FORWARD; restart").syslog_ng().warns().fixed(),
        fault("1.13", "the agent has told its watcher nothing of a rule that wants syslog", "ama.forward-config", "echo false >$CACHE/syslog.marker").warns(),
        fault("1.29", "the listeners hand over to a ruleset without the agent's rule", "listen.reachable",
            "printf 'ruleset(name=\"elsewhere\") { action(type=\"omfile\" file=\"/var/log/elsewhere\") }\n' >$CONF/05-other.conf; edit $OURS 's/^(input.*)\\)$/\\1 ruleset=\"elsewhere\")/'; restart").rsyslog().fixed(),
        fault("1.29", "somebody's listener hands over to a ruleset without the agent's rule", "listen.reachable",
            "rm $OURS; printf 'ruleset(name=\"elsewhere\") {\n  action(type=\"omfile\" file=\"/var/log/elsewhere\")\n}\nmodule(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\" ruleset=\"elsewhere\" rcvbufSize=\"8m\")\nmodule(load=\"imtcp\" maxSessions=\"500\")\ninput(type=\"imtcp\" port=\"514\" ruleset=\"elsewhere\")\n' >$CONF/05-other.conf; restart").rsyslog().fixed(),
        fault("facts 5.7", "events end before the agent's rule", "listen.reachable",
            "printf ':rawmsg, contains, \"CEF:\" stop\n:rawmsg, contains, \"%%ASA-\" stop\n' >$CONF/00-quiet.conf; restart").rsyslog(),
        fault("1.5", "the source that the agent's file names is not there", "daemon.references",
            "edit $MAIN 's/\\bs_src\\b/s_sys/g'; restart").syslog_ng().fixed(),
        fault("1.14", "no rule of the agent has the stream for security events", "ama.dcr-stream",
            "edit $CACHE/configchunks/fw.json 's/SECURITY_CEF_BLOB/LINUX_SYSLOGS_BLOB/'"),
        fault("1.13", "the agent has no rule", "ama.dcr-present", "rm $CACHE/configchunks/*; rm $FORWARD $CACHE/syslog.marker; restart"),
        fault("facts 3.5", "a rule of the agent is damaged", "ama.dcr-valid", "truncate -s 100 $CACHE/configchunks/fw.json"),
        fault("1.2", "one facility is in two streams of the agent", "ama.dcr-duplicate",
            "sed 's/SECURITY_CEF_BLOB/LINUX_SYSLOGS_BLOB/; s/\"fw\"/\"sys\"/' $CACHE/configchunks/fw.json | chunk sys").warns(),
        fault("1.32", "the agent sends one stream to two workspaces", "ama.dcr-multihoming",
            "sed 's/ws.ods/other.ods/; s/\"fw\"/\"two\"/; s/ods-1/ods-2/g; s/local4/local5/' $CACHE/configchunks/fw.json | chunk two").warns(),
        fault("1.6", "the agent's cache had no room", "ama.log",
            "mkdir -p /var/opt/microsoft/azuremonitoragent/log; date '+%Y-%m-%dT%H:%M:%S.0000000Z: write failed: No space left on device' >/var/opt/microsoft/azuremonitoragent/log/mdsd.err"),
        fault("", "the agent's programs may not be started where they are", "ama.installed",
            "mount --bind /opt/microsoft/azuremonitoragent /opt/microsoft/azuremonitoragent; mount -o remount,bind,noexec /opt/microsoft/azuremonitoragent")
            .undo("umount -l /opt/microsoft/azuremonitoragent"),
        fault("", "the system is one that the agent does not support", "host.os",
            "cp -L /etc/os-release /root/os-release; sed 's/^VERSION_ID=.*/VERSION_ID=\"8\"/' /root/os-release >/usr/lib/os-release")
            .undo("cp /root/os-release /usr/lib/os-release").warns(),
        fault("", "the agent of Azure Arc is gone", "ama.identity", "mkdir -p /var/opt/azcmagent; echo '{}' >/var/opt/azcmagent/localconfig.json")
            .undo("rm -r /var/opt/azcmagent"),
        fault("", "what waits in the agent's cache grows old", "ama.backlog",
            "mkdir -p /var/opt/microsoft/azuremonitoragent/events; truncate -s 2G /var/opt/microsoft/azuremonitoragent/events/a; touch -d '-9 hours' /var/opt/microsoft/azuremonitoragent/events/a").warns(),
        fault("", "the agent's cache is full", "ama.backlog",
            "mkdir -p /var/opt/microsoft/azuremonitoragent/events; truncate -s 11G /var/opt/microsoft/azuremonitoragent/events/a"),
        fault("", "no upload of the agent succeeds", "ama.upload",
            "mkdir -p /var/opt/microsoft/azuremonitoragent/log; printf 'Operation,Object,TotalCount,SuccessCount,Retries\nMaODSRequest,https://ws.ods.opinsights.azure.com,12,0,9\n' >/var/opt/microsoft/azuremonitoragent/log/mdsd.qos"),
        fault("", "some uploads of the agent fail", "ama.upload",
            "mkdir -p /var/opt/microsoft/azuremonitoragent/log; printf 'Operation,Object,TotalCount,SuccessCount,Retries\nMaODSRequest,https://ws.ods.opinsights.azure.com,12,7,9\n' >/var/opt/microsoft/azuremonitoragent/log/mdsd.qos").warns(),
        fault("1.8", "the version of the agent is one that nobody supports", "ama.version", "sed -i '/^Package: azuremonitoragent/,/^$/s/^Version: .*/Version: 1.20.3/' /var/lib/dpkg/status"),
    ]
}

const AGAIN: &str = "rm -rf /var/opt/microsoft/azuremonitoragent/log /var/opt/microsoft/azuremonitoragent/events";

fn put_back(all: Vec<Fault>) -> Vec<Fault> {
    all.into_iter().map(|f| Fault { undo: if f.undo.is_empty() { AGAIN } else { f.undo }, ..f }).collect()
}

pub fn faults() -> Vec<Fault> {
    let tcp = vec![
        fault("", "the agent's file is cut short", "daemon.config", "truncate -s -20 $FORWARD; restart").fixed(),
        fault("1.13", "the agent's file is empty", "ama.forward-config", ": >$FORWARD; restart").rsyslog().fixed(),
        fault("1.13", "the agent's file is empty", "ama.forward-config", ": >$FORWARD; restart").syslog_ng().warns().fixed(),
        fault("1.13", "the old way over the socket is there as well", "ama.forward-config",
            "if ng; then sed 's/d_azure_mdsd/d_azure_old/' /etc/opt/microsoft/azuremonitoragent/syslog/syslog-ngconf/azuremonitoragent.conf >$CONF/azuremonitoragent.conf; else cp /etc/opt/microsoft/azuremonitoragent/syslog/rsyslogconf/*loadomuxsock.conf $CONF; sed '/^template/d' /etc/opt/microsoft/azuremonitoragent/syslog/rsyslogconf/10-azuremonitoragent.conf >$CONF/10-azuremonitoragent.conf; fi; restart").warns().fixed(),
        fault("1.26", "another program took the agent's port, and the agent went to another one", "ama.forward-config",
            "moved; restart").fixed(),
        fault("", "the agent runs and listens nowhere", "ama.listening",
            "u=/usr/lib/systemd/system/azuremonitoragent.service; cp $u /root/u; systemctl stop azuremonitoragent; sed -i 's#^ExecStart=.*#ExecStart=/usr/bin/sleep 1000#' $u; systemctl daemon-reload; systemctl start azuremonitoragent; cp /root/u $u; systemctl daemon-reload; restart").fixed(),
        fault("1.12", "a firewall keeps the daemon from the agent", "firewall.loopback",
            "iptables -A OUTPUT -p tcp --dport 28330 -j DROP").undo("nft flush ruleset; iptables -F").fixed(),
        fault("1.16", "the Log Analytics agent's rule is still there", "agent.both-agents",
            "if ng; then printf 'filter f_oms_filter {match(\"CEF\\|ASA\" ) ;};destination oms_destination {tcp(\"127.0.0.1\" port(25226));};\nlog {source(s_src);filter(f_oms_filter);destination(oms_destination);};\n' >$CONF/security-config-omsagent.conf; else printf '\nif $rawmsg contains \"CEF:\" or $rawmsg contains \"ASA-\" then @@127.0.0.1:25226' >$CONF/security-config-omsagent.conf; fi; restart").warns().fixed(),
        fault("1.2", "a second rule hands events to the agent", "forward.duplicate", "other 09-two.conf <<<'*.* @@127.0.0.1:28330'").rsyslog().warns(),
        fault("1.2", "a second rule hands events to the agent", "daemon.references",
            "printf 'destination d_two { network(\"127.0.0.1\" port(28330)); };\nlog { source(s_cefctl); destination(d_two); };\n' | other 05-two.conf").syslog_ng(),
        fault("1.6", "security events are written to local files", "forward.local-copy", "edit $OURS '/^if .*stop$/d'; restart").rsyslog().warns().fixed(),
    ];
    put_back(common().into_iter().chain(ports()).chain(tcp).collect())
}

/// Of the port that all have to agree on.
fn ports() -> Vec<Fault> {
    vec![
        fault(
            "1.13",
            "the agent's file names a port of before",
            "ama.forward-config",
            "edit $FORWARD \"s/$PORT/28331/\"; restart",
        )
        .rsyslog()
        .fixed(),
        fault(
            "1.13",
            "the agent's file names a port of before",
            "ama.forward-config",
            "edit $FORWARD \"s/$PORT/28331/\"; restart",
        )
        .syslog_ng()
        .warns()
        .fixed(),
        fault("1.13", "the agent's port file is missing", "ama.forward-config", "rm $CACHE/syslog.port")
            .warns()
            .fixed(),
        fault(
            "1.13",
            "the agent's port file names another port than it has",
            "ama.forward-config",
            "echo 31000 >$CACHE/syslog.port",
        )
        .fixed(),
        fault(
            "1.26",
            "the agent went to another port, and its watcher has written its file anew",
            "forward.target",
            "moved; edit $FORWARD \"s/$PORT/31000/\"; restart",
        )
        .syslog_ng()
        .fixed(),
    ]
}

/// An agent that found its usual port taken.
pub fn elsewhere_faults() -> Vec<Fault> {
    let missing = |f: Fault| Fault {
        name: "the agent's file is missing, its original names the usual port",
        how: "rm $FORWARD; restart",
        ..f
    };
    let more = vec![
        missing(fault("1.13", "", "ama.forward-config", "")).rsyslog().fixed(),
        missing(fault("1.13", "", "ama.forward-config", "")).syslog_ng().warns().fixed(),
        fault(
            "1.13",
            "another program has the usual port, and the agent's file names that one",
            "ama.forward-config",
            "squat STREAM 28330 's.listen();'; edit $FORWARD \"s/$PORT/28330/\"; restart",
        )
        .rsyslog()
        .fixed(),
    ];
    put_back(ports().into_iter().chain(more).collect())
}

pub fn socket_faults() -> Vec<Fault> {
    let socket = vec![
        fault(
            "1.33",
            "nobody holds the agent's socket",
            "ama.forward-config",
            "rm /run/azuremonitoragent/default_syslog.socket",
        )
        .fixed(),
        fault(
            "1.33",
            "the agent was updated and takes events on a port, its files are those of the socket",
            "ama.forward-config",
            "sed -i 's,mdsd.py [^ ]*,mdsd.py 28330,' /usr/lib/systemd/system/azuremonitoragent.service; systemctl daemon-reload; \
             rm -f /run/azuremonitoragent/default_syslog.socket; systemctl restart azuremonitoragent; sleep 0.5; restart",
        )
        .fixed(),
    ];
    put_back(common().into_iter().chain(socket).collect())
}
