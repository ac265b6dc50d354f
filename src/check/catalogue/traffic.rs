//! What devices really send. Needs `--watch`, all but the counters.

use super::Check;
use crate::check::{facility, traffic as judge};

pub const CHECKS: &[Check] = &[
    Check {
        id: "traffic.arriving",
        title: "Do devices send anything?",
        why: "Where nothing arrives, the fault is before this machine: the device, its route, or a firewall between.",
        looks_at: "packets to the port, to that of TLS and to others whose events go the same way, on all interfaces, for as long \
                   as `--watch` says, by sender. What comes over TLS is seen to come, and not read. A packet that is seen \
                   may still be refused by this machine's own firewall.",
        mend: "look at the device's syslog settings (address, port, protocol), at firewalls and security groups on the way, \
               and send a test from another machine with `cefctl send --host ADDRESS`.",
        needs: &[],
        judge: judge::arriving,
    },
    Check {
        id: "traffic.format",
        title: "Do devices send what the agent takes?",
        why: "The agent drops what it does not recognise, and stores what it misreads, without a word to the sender.",
        looks_at: "every message that arrives while `--watch` looks: envelope, CEF and ASA header, escapes, whether it is framed \
                   as the listener of its port wants it, and what the agent's own pattern makes of it. For the Azure Monitor Agent only the event itself is judged.",
        mend: "change the setting of the device that the finding names; `cefctl lint FILE` judges a file of messages in the \
               same way. Headers that the agent does not read are rebuilt by the rule of `cefctl install`.",
        needs: &["traffic.arriving"],
        judge: judge::format,
    },
    Check {
        id: "traffic.facility",
        title: "Is every facility and severity that devices send collected?",
        why: "What no rule asks for is thrown away at the agent without a word, event by event.",
        looks_at: "facility and severity of every security event that arrives while `--watch` looks: whether the daemon's rules \
                   pass such an event on, and for the Azure Monitor Agent whether a data collection rule on the machine asks for \
                   it in the stream of security events. The Log Analytics agent takes whatever is passed on to it.",
        mend: "add facility and level to the data collection rule, or set the device's facility to one that it asks for.",
        needs: &["traffic.arriving"],
        judge: facility::facility,
    },
    Check {
        id: "traffic.time",
        title: "Are the devices' clocks right?",
        why: "An event with a wrong time is looked for in the wrong hour, and one from the future may be refused.",
        looks_at: "the time in each header against its arrival, by sender: constantly off by whole quarters of an hour is a time \
                   zone, anything else a clock that is not set, or a queue before this machine.",
        mend: "set the device's clock by NTP; let it send UTC, or a time with its zone (RFC 5424).",
        needs: &["traffic.arriving"],
        judge: judge::time,
    },
    Check {
        id: "traffic.loss",
        title: "Does the kernel throw datagrams away?",
        why: "What does not fit into the socket's buffer while the daemon is busy is lost for good, and nobody is told.",
        looks_at: "the drop counters of the UDP sockets of all these ports: while `--watch` looks, else since the daemon opened them; \
                   while it looks also the packets that network cards had no room for. What all sockets of the machine have lost \
                   since its start is told: sockets that are closed by now are in it, and other programs'. Large datagrams whose \
                   pieces did not make a whole, and packets that a policy of IPsec refused.",
        mend: "give the listener a larger receive buffer (`cefctl install` does for its own), raise net.core.rmem_max, or let \
               devices send over TCP.",
        needs: &["listen.udp"],
        judge: judge::loss,
    },
    Check {
        id: "traffic.rate",
        title: "Is it more than the agent carries?",
        why: "Above the rate that an agent was measured with, events queue up here and arrive later and later.",
        looks_at: "messages a second while `--watch` looks, against 8 500 a second for the Log Analytics agent and 10 000 for the \
                   Azure Monitor Agent (their makers' figures).",
        mend: "filter at the devices, or share the load between several collectors.",
        needs: &["traffic.arriving"],
        judge: judge::rate,
    },
];
