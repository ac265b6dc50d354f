//! The proof: a marked event through the whole way.

use super::Check;
use crate::check::probe as judge;

pub const CHECKS: &[Check] = &[
    Check {
        id: "probe.udp",
        title: "Does a marked event sent over UDP arrive at the agent's port?",
        why: "Only an event that arrived proves that all hops work together.",
        looks_at: "one marked CEF event, sent to the listener on loopback and looked for on its way to the agent's port, \
                   for a second at most. It proves neither the firewall nor the network before the box. The event is \
                   recognisable by DeviceVendor TestCommonEventFormat and DeviceProduct MOCK; `--no-probe` leaves it out.",
        mend: "the first failing check above names the broken hop; if all pass, look at the last hop that saw the event.",
        needs: &[
            "daemon.present",
            "daemon.running",
            "listen.udp",
            "listen.reachable",
            "forward.rule",
            "firewall.loopback",
            "forward.target",
            "forward.connected",
            "agent.listening",
            "ama.listening",
        ],
        judge: judge::udp,
    },
    Check {
        id: "probe.tcp",
        title: "Does a marked event sent over TCP arrive at the agent's port?",
        why: "Only an event that arrived proves that all hops work together.",
        looks_at: "the same as probe.udp, over a TCP connection; where TLS was asked for also over TLS, with whatever \
                   certificate is shown.",
        mend: "the first failing check above names the broken hop; if all pass, look at the last hop that saw the event.",
        needs: &[
            "daemon.present",
            "daemon.running",
            "listen.tcp",
            "listen.reachable",
            "forward.rule",
            "firewall.loopback",
            "forward.target",
            "forward.connected",
            "agent.listening",
            "ama.listening",
        ],
        judge: judge::tcp,
    },
];
