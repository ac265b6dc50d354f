//! The Log Analytics agent: stopped, half configured, unreadable, damaged.

use super::{Fault, fault};

/// What putting the files back does not undo.
const AGAIN: &str = "systemctl unmask --runtime omsagent-$WS; systemctl kill -s CONT omsagent-$WS; systemctl -q enable omsagent-$WS; \
     chown -R omsagent:omiusers /etc/opt/microsoft/omsagent; rm -rf /var/opt/microsoft/omsagent/$WS/state/*.buffer /opt/microsoft/omsconfig /etc/opt/omi; \
     : >/var/opt/microsoft/omsagent/$WS/log/omsagent.log; rm -f /etc/omsagent-onboard.conf; systemctl reset-failed omsagent-$WS";

pub fn faults() -> Vec<Fault> {
    let all = vec![
        fault("1.30", "the agent was stopped", "agent.running", "systemctl stop omsagent-$WS").fixed(),
        fault("1.30", "the agent was killed", "agent.running", "systemctl kill -s KILL omsagent-$WS; sleep 0.3").fixed(),
        fault("1.30", "the agent is masked", "agent.running", "systemctl mask --now --runtime omsagent-$WS").fixed(),
        fault("1.30", "the agent does not start at boot", "agent.running", "systemctl -q disable omsagent-$WS").warns().fixed(),
        fault("1.30", "the agent is halted by a signal", "agent.running",
            "kill -STOP $(systemctl show --value -p MainPID omsagent-$WS)").fixed(),
        fault("1.30", "the agent's program is gone", "agent.running", "mv /opt/microsoft/omsagent/ruby /opt/microsoft/ruby; systemctl restart omsagent-$WS; sleep 0.3")
            .undo("rm -rf /opt/microsoft/ruby"),
        fault("1.26", "another program has the agent's port", "agent.listening",
            "systemctl stop omsagent-$WS; squat STREAM 25226 's.listen();'; systemctl start omsagent-$WS; sleep 0.5; restart"),
        fault("1.4", "the agent's input for security events is gone", "agent.input-config", "rm $INPUT; agent").fixed(),
        fault("1.39", "the agent's input is empty: its download failed", "agent.input-config", ": >$INPUT; agent").fixed(),
        fault("2.1", "the agent's input is on another port", "forward.target", "edit $INPUT 's/port +25226/port 25227/'; agent").fixed(),
        fault("2.1", "the agent's input takes UDP", "agent.input-config", "edit $INPUT 's/protocol_type +tcp/protocol_type udp/'; agent").fixed(),
        fault("2.1", "the agent's input listens on another address", "agent.input-config",
            "edit $INPUT 's/bind +127.0.0.1/bind 192.0.2.1/'; agent").fixed(),
        fault("1.12", "the agent's input is open to the network", "agent.input-config",
            "edit $INPUT 's/bind +127.0.0.1/bind 0.0.0.0/'; agent").warns().fixed(),
        fault("1.9", "the agent's input has a pattern of long ago", "agent.input-config",
            "edit $INPUT 's#^( *format) .*#\\1 /(?<time>(?:\\\\w+ +){2,3}(?:\\\\d+:){2}\\\\d+):? *(?<host>[^: ]+) (?<ident>CEF):(?<message>.*)/#'; agent").fixed(),
        fault("2.1", "the filter for security events is missing", "agent.input-config",
            "edit $INPUT 's/filter_syslog_security/filter_syslog/'; agent").fixed(),
        fault("1.30", "two inputs of the agent want one port", "agent.input-config",
            "printf '<source>\n  type syslog\n  port 25226\n  bind 127.0.0.1\n  protocol_type tcp\n  tag oms.other\n</source>\n' >$(dirname $INPUT)/zz-other.conf; agent"),
        fault("1.25", "the agent may not read its input", "agent.input-permissions",
            "chown root:root $INPUT; chmod 600 $INPUT; agent").fixed(),
        fault("1.25", "the agent may not pass the folder of its inputs", "agent.input-permissions",
            "chown root:root $(dirname $INPUT); chmod 700 $(dirname $INPUT); agent").fixed(),
        fault("1.17", "the agent's registration is incomplete", "agent.onboarded", "edit $ADMIN '/^OMS_ENDPOINT/d'"),
        fault("1.17", "the agent was never registered", "agent.onboarded", "rm $ADMIN"),
        fault("1.24", "the agent is registered with another cloud", "agent.onboarded", "edit $ADMIN 's/^URL_TLD=.*/URL_TLD=opinsights.azure.us/'"),
        fault("1.17", "the agent's certificate is gone", "agent.onboarded", "rm /etc/opt/microsoft/omsagent/$WS/certs/oms.crt"),
        fault("1.36", "the file with the workspace key was left behind", "agent.onboarded",
            "printf 'WORKSPACE_ID=%s\nSHARED_KEY=x\n' $WS >/etc/omsagent-onboard.conf").warns().fixed(),
        fault("", "the agent's programs may not be started where they are", "agent.installed",
            "mount --bind /opt/microsoft/omsagent /opt/microsoft/omsagent; mount -o remount,bind,noexec /opt/microsoft/omsagent")
            .undo("umount -l /opt/microsoft/omsagent"),
        fault("", "the agent's plugin takes the time from elsewhere", "agent.event-time",
            "edit /opt/microsoft/omsagent/plugin/filter_syslog_security.rb \"s/Time.now.utc/Time.at(0)/\"").warns(),
        fault("facts 1.12", "ASA events lose the number of their message", "agent.asa-ident",
            "edit /opt/microsoft/omsagent/plugin/security_lib.rb \"s/return ident if ident.include/return '%ASA' if ident.include/\"").warns().fixed(),
        fault("1.28", "the field Computer is the collector's name", "agent.host-field",
            "edit /opt/microsoft/omsagent/plugin/filter_syslog_security.rb \"/'Host' => record/d\"").warns().fixed(),
        fault("1.32", "the agent serves a second workspace", "agent.multi-homing",
            "cp -a /etc/opt/microsoft/omsagent/$WS /etc/opt/microsoft/omsagent/11111111-2222-3333-4444-555555555555; sed -i s/$WS/11111111-2222-3333-4444-555555555555/ /etc/opt/microsoft/omsagent/11111111-*/conf/omsadmin.conf; rm -r /etc/opt/microsoft/omsagent/11111111-*/conf/omsagent.d/security_events.conf; cp /lib/systemd/system/omsagent-$WS.service /run/systemd/system/omsagent-11111111-2222-3333-4444-555555555555.service; mkdir -p /var/opt/microsoft/omsagent/11111111-2222-3333-4444-555555555555; cp -a /var/opt/microsoft/omsagent/$WS/* /var/opt/microsoft/omsagent/11111111-2222-3333-4444-555555555555/; sed -i 's/omsagent.py .*/omsagent.py 11111111-2222-3333-4444-555555555555/' /run/systemd/system/omsagent-1111*.service; systemctl daemon-reload; systemctl start omsagent-11111111-2222-3333-4444-555555555555").warns()
            .undo("systemctl stop omsagent-11111111-2222-3333-4444-555555555555; rm -rf /run/systemd/system/omsagent-1111* /etc/opt/microsoft/omsagent/1111* /var/opt/microsoft/omsagent/1111*"),
        fault("1.27", "the portal may rewrite the syslog settings", "agent.portal-sync",
            "mkdir -p /etc/opt/omi/conf/omsconfig /opt/microsoft/omsconfig/Scripts/python3; chown omsagent /etc/opt/omi/conf/omsconfig; echo 'import sys; sys.argv[1] == \"--disable\" and open(\"/etc/opt/omi/conf/omsconfig/omshelper_disable\", \"w\").write(\"1\")' >/opt/microsoft/omsconfig/Scripts/python3/OMS_MetaConfigHelper.py").warns().fixed(),
        fault("1.17", "the service refuses the agent's uploads", "agent.log",
            "date '+%Y-%m-%d %H:%M:%S +0000 [error]: Error sending data: 403 Forbidden' >>$LOG"),
        fault("1.6", "the agent's disk was full", "agent.log",
            "date '+%Y-%m-%d %H:%M:%S +0000 [warn]: failed to flush the buffer: No space left on device @ rb_sysopen' >>$LOG"),
        fault("1.9", "the agent drops events that it does not understand", "agent.log",
            "for i in 1 2 3; do date '+%Y-%m-%d %H:%M:%S +0000 [warn]: pattern not match: \"Aug  1 10:00:00 fw1 hello\"' >>$LOG; done").warns(),
        fault("1.4", "the agent's uploads are stuck", "agent.backlog",
            "for i in 1 2 3; do f=/var/opt/microsoft/omsagent/$WS/state/out_oms_common.b$i.buffer; head -c 100000 /dev/zero >$f; touch -d '-2 hours' $f; done"),
    ];
    all.into_iter().map(|f| Fault { undo: if f.undo.is_empty() { AGAIN } else { f.undo }, ..f }).collect()
}
