//! Firewalls, routes and the loopback interface.

use super::{Fault, fault};

const FLUSH: &str = "nft flush ruleset; iptables -P INPUT ACCEPT; iptables -P OUTPUT ACCEPT; iptables -F; ip6tables -P INPUT ACCEPT; ip6tables -F; iptables -t raw -F; iptables -t nat -F; nft flush ruleset";

pub fn faults() -> Vec<Fault> {
    let all = vec![
        fault("1.12", "nftables drops what nobody allowed", "firewall.inbound",
            "nft -f - <<<'table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; tcp dport 22 accept; }; }'").fixed(),
        fault("1.12", "nftables drops loopback too", "firewall.inbound",
            "nft -f - <<<'table inet filter { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }'").fixed(),
        fault("1.12", "nftables rejects 514 before anything else", "firewall.inbound",
            "nft -f - <<<'table inet early { chain pre { type filter hook prerouting priority raw; policy accept; meta l4proto { tcp, udp } th dport 514 drop; }; }'").fixed(),
        fault("1.12", "iptables drops what nobody allowed", "firewall.inbound",
            "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -P INPUT DROP").fixed(),
        fault("1.12", "iptables drops TCP for 514 only", "firewall.inbound",
            "iptables -A INPUT -p tcp --dport 514 -j DROP").fixed(),
        fault("1.12", "iptables drops what the box sends to itself", "firewall.loopback",
            "iptables -A INPUT -p udp --dport 514 -j ACCEPT; iptables -A INPUT -p tcp --dport 514 -j ACCEPT; iptables -P INPUT DROP").fixed(),
        fault("1.12", "a rule for outgoing packets keeps the daemon from the agent", "firewall.loopback",
            "iptables -A OUTPUT -p tcp --dport 25226 -j REJECT").fixed(),
        fault("1.12", "nftables keeps the daemon from the agent", "firewall.loopback",
            "nft -f - <<<'table ip guard { chain out { type filter hook output priority 0; policy accept; oif lo tcp dport 25226 drop; }; }'").fixed(),
        fault("1.12", "IPv6 alone is shut out", "firewall.inbound", "ip6tables -A INPUT -p udp --dport 514 -j DROP; ip6tables -A INPUT -p tcp --dport 514 -j DROP").warns().fixed(),
        fault("1.12", "514 is sent on to another port", "firewall.inbound",
            "iptables -t nat -A PREROUTING -p udp --dport 514 -j REDIRECT --to-ports 5514; iptables -t nat -A PREROUTING -p tcp --dport 514 -j REDIRECT --to-ports 5514"),
        fault("1.12", "the agent's port is open to the network", "firewall.exposed",
            "nft -f - <<<'table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; tcp dport { 514, 25226 } accept; udp dport 514 accept; }; }'").warns(),
        fault("", "the agent's port is redirected on this box", "firewall.loopback",
            "iptables -t nat -A OUTPUT -o lo -p tcp --dport 25226 -j REDIRECT --to-ports 9999"),
        fault("", "answers to TCP senders are dropped", "firewall.inbound", "iptables -A OUTPUT -o eth0 -p tcp --sport 514 -j DROP"),
        fault("", "a hook of the interface drops datagrams", "firewall.inbound",
            "nft -f - <<<'table netdev early { chain in { type filter hook ingress device \"eth0\" priority -500; policy accept; udp dport 514 drop; }; }'").fixed(),
        fault("", "a map of verdicts drops the port", "firewall.inbound",
            "printf 'table inet f { chain u { udp dport vmap { 53 : accept, 500-520 : drop }\n }\n chain in { type filter hook input priority filter; policy accept; meta l4proto vmap { udp : jump u }\n }\n }\n' | nft -f -").fixed(),
        fault("", "the devices' own network is on a list of unwanted addresses", "firewall.inbound",
            "nft -f - <<<'table inet unwanted { chain i { type filter hook input priority 0; policy accept; ip saddr 192.0.2.0/24 drop; }; }'").warns(),
        fault("", "a rule that looks into the packets drops events", "firewall.inbound",
            "nft -f - <<<'table inet look { chain i { type filter hook input priority 0; policy accept; udp dport 514 meta length > 40 drop; }; }'"),
        fault("", "a burst of datagrams is limited by the firewall", "firewall.inbound",
            "iptables -A INPUT -p udp --dport 514 -m limit --limit 10/sec -j ACCEPT; iptables -A INPUT -p udp --dport 514 -j DROP").warns(),
        fault("", "pieces of large datagrams are dropped", "firewall.inbound",
            "nft -f - <<<'table ip pieces { chain p { type filter hook prerouting priority -450; policy accept; ip frag-off & 0x1fff != 0 drop; }; }'").warns(),
    ];
    all.into_iter().map(|f| f.undo(FLUSH)).chain([
        fault("", "the loopback interface is down", "firewall.loopback", "ip link set lo down").undo("ip link set lo up"),
        fault("", "the interface of the devices is down", "firewall.inbound", "ip link set eth0 down")
            .undo("ip link set eth0 up; ip -6 addr add 2001:db8::1/64 dev eth0 nodad"),
        fault("", "the cable is out", "firewall.inbound", "ip link set far0 down; sleep 0.2").undo("ip link set far0 up; sleep 0.2"),
        fault("", "the address of the devices' interface is gone", "firewall.inbound", "ip addr flush dev eth0")
            .undo("ip addr add 192.0.2.1/24 dev eth0; ip -6 addr add 2001:db8::1/64 dev eth0 nodad"),
        fault("", "nobody is told where the box is", "firewall.inbound", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=8")
            .undo("sysctl -qw net.ipv4.conf.eth0.arp_ignore=0"),
        fault("", "the interface takes small packets only", "firewall.inbound", "ip link set eth0 mtu 576")
            .undo("ip link set eth0 mtu 1500; ip -6 addr add 2001:db8::1/64 dev eth0 nodad").warns(),
        fault("", "the route back to the devices is a blackhole", "firewall.inbound", "ip route add blackhole 192.0.2.0/25")
            .undo("ip route del blackhole 192.0.2.0/25"),
        fault("", "the route to the devices leads by another interface, and the kernel is strict", "firewall.inbound",
            "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1; ip link add other0 type veth peer name other1; ip link set other0 up; ip link set other1 up; ip route add 192.0.2.0/25 dev other0")
            .undo("ip link del other0; sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0"),
        fault("", "a rule of policy throws away what comes by the devices' interface", "firewall.inbound",
            "ip rule add iif eth0 blackhole pref 0; ip rule add pref 1 lookup local; ip rule del pref 0 lookup local")
            .undo("ip rule add pref 0 lookup local; ip rule del pref 0 iif eth0; ip rule del pref 1"),
        fault("", "a route of policy swallows what goes to loopback", "firewall.loopback",
            "ip rule add pref 0 to 127.0.0.0/8 blackhole; ip rule add pref 5 lookup local; ip rule del pref 0 lookup local; ip rule add pref 0 to 127.0.0.0/8 blackhole 2>/dev/null")
            .undo("ip rule del pref 0 to 127.0.0.0/8 blackhole; ip rule add pref 0 lookup local; ip rule del pref 5"),
    ]).collect()
}
