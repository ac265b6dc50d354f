//! The Log Analytics agent, and the agent's end of the loopback connection where no agent is chosen.

use super::Check;
use crate::check::agent as port;
use crate::check::agents::{backlog, both, input, logs, oms, onboarded, plugins, running};

const INSTALLED: &[&str] = &["agent.installed"];

pub const CHECKS: &[Check] = &[
    Check {
        id: "agent.installed",
        title: "Is the Log Analytics agent installed?",
        why: "Without its program nobody takes the events, whatever else is right.",
        looks_at: "the package as dpkg or rpm knows it, its state and version, the program folder, a running process, and \
                   whether the file system allows to start programs there.",
        mend: "prefer the Azure Monitor Agent; a package that got stuck is finished with `dpkg --configure -a`.",
        needs: &[],
        judge: oms::installed,
    },
    Check {
        id: "agent.retired",
        title: "Is the agent still supported?",
        why: "The Log Analytics agent was retired on 31 August 2024, and since 1 February 2025 its uploads are taken away \
              step by step.",
        looks_at: "which of the two agents this box has.",
        mend: "move the collector to the Azure Monitor Agent.",
        needs: INSTALLED,
        judge: oms::retired,
    },
    Check {
        id: "agent.onboarded",
        title: "Does the agent belong to the right workspace?",
        why: "An agent that is not onboarded, or to another workspace or cloud, sends nothing to where you look.",
        looks_at: "omsadmin.conf of each workspace (all ten entries, the workspace of its folder, endpoint and cloud against \
                   each other and against what was asked for), the certificate and its end, an onboarding file that was left \
                   behind with the key in it.",
        mend: "`cefctl install --agent oms WORKSPACE --key-file FILE` onboards again; remove /etc/omsagent-onboard.conf.",
        needs: INSTALLED,
        judge: onboarded::onboarded,
    },
    Check {
        id: "agent.running",
        title: "Does the Log Analytics agent run?",
        why: "While it does not run the daemon's events queue up, and are lost where there is no queue.",
        looks_at: "the unit of each workspace, its process (ended, stopped by a signal, frozen), how often it was restarted, its \
                   last lines in the journal; without systemd the process alone.",
        mend: "`/opt/microsoft/omsagent/bin/service_control restart WORKSPACE`; if it does not stay up, its log says why.",
        needs: INSTALLED,
        judge: running::oms,
    },
    Check {
        id: "agent.input-config",
        title: "Is the agent told to take security events?",
        why: "Without this input, or with a wrong line in it, nobody takes the events, or they are dropped one by one.",
        looks_at: "security_events.conf and its neighbours, read as fluentd reads them: syntax, a source with the tag \
                   oms.security, its port, address and protocol, whether omsagent.conf takes the file in, a second input on \
                   the same port, the filter; the pattern is tried on events of each kind.",
        mend: "`cefctl install --agent oms` writes the file anew.",
        needs: INSTALLED,
        judge: input::config,
    },
    Check {
        id: "agent.input-permissions",
        title: "May the agent read its files?",
        why: "The agent runs as a user of its own; what it may not read it starts without, or not at all.",
        looks_at: "omsagent.conf, the files of omsagent.d, certificate and key, and every folder above them: owner, mode, access \
                   list, against the user the agent runs as.",
        mend: "give the named file or folder to omsagent:omiusers, then restart the agent.",
        needs: INSTALLED,
        judge: input::permissions,
    },
    Check {
        id: "agent.listening",
        title: "Does the agent listen on its port?",
        why: "Nobody takes the events from the daemon: they queue up, and are lost where there is no queue.",
        looks_at: "the socket on the agent's port on loopback and the process that holds it, alone: the omsagent's ruby for the Log \
                   Analytics agent, anybody where no agent is chosen; for the Azure Monitor Agent see ama.listening.",
        mend: "start the agent. Where there is none yet, `cefctl listen` takes its place for a test.",
        needs: &["agent.installed", "agent.running", "agent.input-config", "agent.input-permissions"],
        judge: port::listening,
    },
    Check {
        id: "agent.asa-ident",
        title: "Do ASA events keep the number of their message?",
        why: "With an old plugin every ASA event is stored as `%ASA` without its number, and no rule in Sentinel fits.",
        looks_at: "one line of the agent's plugin security_lib.rb; comments do not count.",
        mend: "`cefctl install --agent oms` puts it right, an upgrade of the agent does as well.",
        needs: INSTALLED,
        judge: plugins::asa_ident,
    },
    Check {
        id: "agent.host-field",
        title: "Is the sender's name kept?",
        why: "With an old plugin every event seems to come from the collector itself.",
        looks_at: "one line of the agent's plugin filter_syslog_security.rb; comments do not count.",
        mend: "`cefctl install --agent oms` puts it right, an upgrade of the agent does as well.",
        needs: INSTALLED,
        judge: plugins::host_field,
    },
    Check {
        id: "agent.event-time",
        title: "Which time becomes TimeGenerated?",
        why: "Rules and searches go by TimeGenerated; an event whose time is taken from elsewhere is looked for in vain.",
        looks_at: "the line 'Timestamp' of the agent's plugin filter_syslog_security.rb: when the agent took the event, or what \
                   the event's header says. Both are in order; anything else is not known.",
        mend: "install the agent's package again: it has the plugin in its shipped form.",
        needs: INSTALLED,
        judge: plugins::event_time,
    },
    Check {
        id: "agent.multi-homing",
        title: "Does the agent belong to one workspace only?",
        why: "The Log Analytics agent for Linux is made for one workspace; with several it is left to chance which gets the events.",
        looks_at: "the folders of workspaces, and which of them have an input for security events.",
        mend: "`omsadmin.sh -x WORKSPACE` takes one away.",
        needs: INSTALLED,
        judge: oms::multi_homing,
    },
    Check {
        id: "agent.portal-sync",
        title: "Does the portal leave this box's configuration alone?",
        why: "Every 15 minutes the portal's settings may replace what was set here, up to sending events to the wrong port.",
        looks_at: "whether the configuration agent is here, the file that switches it off, when 95-omsagent.conf was rewritten, and \
                   whether it sends to the port of security events.",
        mend: "switch it off with OMS_MetaConfigHelper.py --disable, as shown.",
        needs: INSTALLED,
        judge: oms::portal_sync,
    },
    Check {
        id: "agent.both-agents",
        title: "Is there one agent only?",
        why: "Two agents store every event twice, or events still depend on the retired one without anybody knowing.",
        looks_at: "both agents and the Linux diagnostics extension (installed, running), and which of their ports the configuration \
                   forwards to; rules that an agent left behind when it was removed. Other log shippers are named.",
        mend: "once events arrive through the Azure Monitor Agent, remove the other one and its rules.",
        needs: &["agent.installed", "ama.installed"],
        judge: both::both,
    },
    Check {
        id: "agent.log",
        title: "Is the agent's log free of lines that say why events do not arrive?",
        why: "The agent says only in its log that it drops events or cannot upload them.",
        looks_at: "known lines of omsagent.log since the agent's last start, a day at most, counted and explained: events whose \
                   format does not fit (with the reason), 403, taken port, certificate, full disk, configuration.",
        mend: "as the explanation of the line says.",
        needs: INSTALLED,
        judge: logs::oms,
    },
    Check {
        id: "agent.backlog",
        title: "Does the agent upload what it takes?",
        why: "The buffers are small: after half an hour, or when they are full, the agent throws the oldest events away.",
        looks_at: "the chunks in the agent's state folder by buffer: number against the limit of its configuration, bytes, age.",
        mend: "the agent's log says why uploads fail.",
        needs: INSTALLED,
        judge: backlog::oms,
    },
];
