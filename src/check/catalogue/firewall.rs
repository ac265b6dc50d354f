//! What the machine's own firewalls do to the events.

use super::Check;
use crate::check::firewall as judge;

pub const CHECKS: &[Check] = &[
    Check {
        id: "firewall.inbound",
        title: "Do this machine's firewalls let the devices' events in?",
        why: "A dropped datagram leaves no trace: a capture still sees it, but the daemon never gets it.",
        looks_at: "first whether an interface of the network is up, has an address and a carrier, and whether the kernel's own \
                   routing (rp_filter, rules of policy, blackholes) lets neighbours' packets in and answers out, whether an interface answers who asks for its address (arp_ignore) \
                   and takes packets of the usual size. Then \
                   every rule set of the kernel (nftables, iptables in both kinds, for IPv4 and IPv6, with the rules of \
                   firewalld and ufw among them), followed in the order the kernel follows it for a first packet to the \
                   port, by each interface, from everybody or from the address given with --source; for TCP also the \
                   packets after it and the answers, for UDP also the pieces of large datagrams. A list of unwanted addresses is in order, unless this box's own \
                   network is on it, or a machine that is there. A rule that cannot be judged makes the answer unknown, \
                   and is the cause where the test event was lost. Security groups of the cloud cannot be seen from inside.",
        mend: "`cefctl install --open-firewall`, or for some senders only `--open-firewall=10.0.0.0/8`, opens the port \
               with the tool that keeps the rules, for good, and `uninstall` closes it again.",
        needs: &[],
        judge: judge::inbound,
    },
    Check {
        id: "firewall.loopback",
        title: "May the daemon reach the agent over loopback?",
        why: "Hardened rule sets that drop loopback cut the daemon off from the agent on the same box.",
        looks_at: "the same rule sets, for a connection of the daemon's user to the agent's port on 127.0.0.1, on its way \
                   out and in.",
        mend: "accept what the interface lo sends and receives, before any rule that drops. Never open the agent's port \
               to the network.",
        needs: &[],
        judge: judge::loopback,
    },
    Check {
        id: "firewall.exposed",
        title: "Is the agent's port kept from the network?",
        why: "Whoever can reach the agent's port can write events into the workspace, and old advice opened it to the \
              world.",
        looks_at: "the addresses that the agent's port is bound to, and firewall rules that accept that very port.",
        mend: "bind the agent's input to 127.0.0.1 and take away the rule that is named.",
        needs: &[],
        judge: judge::exposed,
    },
];
