//! From the daemon to the agent's port.

use super::Check;
use crate::check::{connected, forward as judge, spool};

const CONFIG: &[&str] = &["daemon.present"];
/// The Azure Monitor Agent writes its forward itself; where it does not, that is the cause.
const RULE: &[&str] = &["daemon.present", "ama.forward-config"];

pub const CHECKS: &[Check] = &[
    Check {
        id: "forward.rule",
        title: "Is there a rule that forwards every kind of security event?",
        why: "What the rule does not match never leaves the box.",
        looks_at: "sample events of each kind (CEF with and without a tag, a blank after the colon, RFC 5424, no header; \
                   ASA in two forms; FTD), followed through the effective configuration to the agent's port, and a \
                   message that must not be forwarded. Rules of older generations of Microsoft's installer are \
                   recognised and named, with what they lose.",
        mend: "`cefctl install` writes the current rule; remove the old file that is named.",
        needs: RULE,
        judge: judge::rule,
    },
    Check {
        id: "forward.target",
        title: "Does the rule forward to where the agent really listens?",
        why: "Events sent to another port are refused and, without a queue, lost.",
        looks_at: "address, port and protocol of the forward, against the port the agent itself states (the OMS input \
                   file, AMA's syslog.port), the receipt of `install`, or `--agent-port`.",
        mend: "`cefctl install --agent-port PORT` writes the right port.",
        needs: RULE,
        judge: judge::target,
    },
    Check {
        id: "forward.reliable",
        title: "Are events kept while the agent is away?",
        why: "Without a disk-assisted queue and endless retries everything that arrives while the agent restarts is lost, \
              and half a minute more.",
        looks_at: "queue type, file name, size limit and retries of the forward, or the disk-buffer of syslog-ng's \
                   destination; the folder it writes to: set, there, on a \
                   writable file system as the daemon sees it, writable for the user the daemon runs as.",
        mend: "`cefctl install` sets the queue; for the spool, create the folder or correct its owner or mode as shown.",
        needs: CONFIG,
        judge: spool::reliable,
    },
    Check {
        id: "forward.duplicate",
        title: "Does each event go to the agent once only?",
        why: "A second copy, or one in the Syslog stream, is stored and billed twice.",
        looks_at: "where else the sample events go: a second forward to the agent's port, the agent's plain syslog port \
                   (25224), and a listener of this box again (a loop, which fails).",
        mend: "remove the second rule, or stop processing after the first; `cefctl install` writes a rule that stops.",
        needs: CONFIG,
        judge: judge::duplicate,
    },
    Check {
        id: "forward.local-copy",
        title: "Are security events kept out of the local log files?",
        why: "A copy of every event fills /var/log at the rate of the firewall.",
        looks_at: "local files that the sample events are written to on their way.",
        mend: "let the rule stop after forwarding; `cefctl install` does unless told to keep the local copy.",
        needs: CONFIG,
        judge: judge::local_copy,
    },
    Check {
        id: "forward.connected",
        title: "Is the daemon connected to the agent, and does the queue drain?",
        why: "A suspended action or a growing spool means that events arrive late or not at all.",
        looks_at: "the daemon's TCP connection to the agent's port and what is not yet taken from it, messages of the \
                   daemon about the connection, spill files in the spool or syslog-ng's counter of waiting events. It fails once a test event shows that \
                   nothing gets through, or that what listens there reads nothing or hangs up.",
        mend: "look at the agent first; a restart makes the daemon try again at once.",
        needs: &[
            "daemon.present",
            "daemon.running",
            "firewall.loopback",
            "forward.target",
            "agent.listening",
            "ama.listening",
        ],
        judge: connected::connected,
    },
];
