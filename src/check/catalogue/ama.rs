//! The Azure Monitor Agent.

use super::Check;
use crate::check::agent as port;
use crate::check::agents::{ama, backlog, dcr, forward_config, logs, running, upload};

const INSTALLED: &[&str] = &["ama.installed"];
const RULES: &[&str] = &["ama.installed", "ama.dcr-present"];

pub const CHECKS: &[Check] = &[
    Check {
        id: "ama.installed",
        title: "Is the Azure Monitor Agent installed?",
        why: "Without its program nobody takes the events, whatever else is right.",
        looks_at: "the package as dpkg or rpm knows it and its state, the program mdsd, a running process, and whether the file \
                   systems allow to start programs and to write the cache.",
        mend: "install the extension AzureMonitorLinuxAgent; outside of Azure connect the machine with Azure Arc first.",
        needs: &[],
        judge: ama::installed,
    },
    Check {
        id: "ama.version",
        title: "Is its version fit for security events?",
        why: "Old versions do not know CEF, lose events under load, or have faults that are long mended.",
        looks_at: "the package's version, what mdsd -V says, or the folder of the extension, against the versions with known faults \
                   and what the distribution needs.",
        mend: "update the extension, and let it update by itself.",
        needs: INSTALLED,
        judge: ama::version,
    },
    Check {
        id: "ama.running",
        title: "Does the Azure Monitor Agent run?",
        why: "While it does not run the daemon's events queue up, and are lost where there is no queue.",
        looks_at: "the unit azuremonitoragent, its process (ended, stopped by a signal, frozen), how often it was restarted, its last \
                   lines in the journal, and the units beside it; without systemd the process alone.",
        mend: "`systemctl restart azuremonitoragent`; if it does not stay up, mdsd.err says why.",
        needs: INSTALLED,
        judge: running::ama,
    },
    Check {
        id: "ama.identity",
        title: "Does the agent have an identity?",
        why: "Without a token the agent gets no rules and uploads nothing.",
        looks_at: "whether this is a virtual machine of Azure or an Arc machine, the service of Azure Arc, and whether the agent's \
                   user may read its tokens (group himds). Whether a token is to be had is a matter of the network.",
        mend: "Azure VM: assign a managed identity. Elsewhere: connect the machine with Azure Arc, `azcmagent show`.",
        needs: INSTALLED,
        judge: ama::identity,
    },
    Check {
        id: "ama.dcr-present",
        title: "Has a data collection rule come to this machine?",
        why: "The agent collects nothing but what a rule tells it to.",
        looks_at: "the rules that the agent keeps on the disk, read as JSON; the agent's own settings are none.",
        mend: "create a data collection rule and associate it with this machine.",
        needs: &["ama.installed", "ama.identity"],
        judge: dcr::present,
    },
    Check {
        id: "ama.dcr-stream",
        title: "Does a rule collect security events?",
        why: "Without a stream for CEF or ASA the events end as text in the table Syslog, or nowhere.",
        looks_at: "the streams of the rules' syslog sources: CEF, or ASA (which takes FTD as well), with facilities and levels.",
        mend: "create the rule from the connector Common Event Format (CEF) via AMA, or Cisco ASA/FTD via AMA.",
        needs: RULES,
        judge: dcr::stream,
    },
    Check {
        id: "ama.dcr-valid",
        title: "Are the rules complete?",
        why: "A rule without a facility, a level or a destination collects nothing, and nobody says so.",
        looks_at: "every file of the rules: JSON, facilities and levels that exist, streams, channels that are defined and have an \
                   endpoint.",
        mend: "correct the rule in the portal; a damaged file comes anew when the agent is restarted.",
        needs: RULES,
        judge: dcr::valid,
    },
    Check {
        id: "ama.dcr-duplicate",
        title: "Is each facility collected once only?",
        why: "A facility that is collected as security events and as Syslog, or by two rules for one workspace, is stored and billed twice.",
        looks_at: "facilities and levels that a stream of security events and one of Syslog share, and those that two rules \
                   send into one stream of one workspace.",
        mend: "take the facility out of one of the rules, or filter the Syslog one with a transformation.",
        needs: RULES,
        judge: dcr::duplicate,
    },
    Check {
        id: "ama.dcr-multihoming",
        title: "Does each stream go to one workspace?",
        why: "A stream that several rules send to several workspaces is billed several times.",
        looks_at: "the destinations of the rules by stream, and the workspace that was asked for.",
        mend: "remove this machine from the rule that is not meant. Two destinations on purpose are in order.",
        needs: RULES,
        judge: dcr::multi_homing,
    },
    Check {
        id: "ama.forward-config",
        title: "Do the agent and the daemon agree on where events are handed over?",
        why: "A file that a watcher writes hands events to the agent; when it is missing or names an old port, nothing arrives.",
        looks_at: "the agent's marker and port file, its file in the daemon's configuration as the daemon reads it, the sockets the \
                   agent really has, TCP or unix socket.",
        mend: "restart the watcher of the agent's extension, as shown; it writes the file anew.",
        needs: &["daemon.present", "ama.installed", "ama.dcr-present"],
        judge: forward_config::config,
    },
    Check {
        id: "ama.listening",
        title: "Does the agent listen on its port?",
        why: "Nobody takes the events from the daemon: they queue up, and are lost where there is no queue.",
        looks_at: "the socket on the port that syslog.port names and whether mdsd holds it; with old agents the unix socket.",
        mend: "restart the agent; if another program has the port, stop that one first.",
        needs: &["ama.installed", "ama.running"],
        judge: port::ama_listening,
    },
    Check {
        id: "ama.log",
        title: "Are the agent's logs free of lines that say why events do not arrive?",
        why: "The agent says only in its logs that it drops events or cannot upload them.",
        looks_at: "known lines of mdsd.err and mdsd.warn since the agent's last start, a day at most, counted and explained; the size \
                   of all its logs, and whether its trace is switched on.",
        mend: "as the explanation of the line says.",
        needs: INSTALLED,
        judge: logs::ama,
    },
    Check {
        id: "ama.backlog",
        title: "Does the agent upload what it takes?",
        why: "When its cache is full the agent throws the oldest events away.",
        looks_at: "size and age of the agent's events folder against its quota (10 GB unless its settings say otherwise).",
        mend: "mdsd.err and mdsd.qos say why uploads fail.",
        needs: INSTALLED,
        judge: backlog::ama,
    },
    Check {
        id: "ama.upload",
        title: "Do the agent's uploads succeed?",
        why: "Only the agent's own counters tell whether events leave this box.",
        looks_at: "the last rows of mdsd.qos: uploads, and the streams of security events.",
        mend: "mdsd.err says why an upload fails.",
        needs: INSTALLED,
        judge: upload::upload,
    },
];
