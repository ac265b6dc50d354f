//! The port that devices send to.

use super::Check;
use crate::check::{limits, listen as judge, routing};

const DAEMON: &[&str] = &["daemon.present", "daemon.running"];

pub const CHECKS: &[Check] = &[
    Check {
        id: "listen.udp",
        title: "Does the daemon take UDP on the port devices send to?",
        why: "Most devices send UDP, and a datagram to a closed port is lost without a trace.",
        looks_at: "the listener in the configuration, and the sockets that are really open, IPv4 and IPv6 apart, with \
                   the process that holds them. A socket on loopback only does not count, nor does one whose \
                   configuration is gone, since it closes at the next restart.",
        mend: "`cefctl install` adds the listener; if it is configured but not open, restart the daemon and look for its \
               own error lines.",
        needs: DAEMON,
        judge: judge::udp,
    },
    Check {
        id: "listen.tcp",
        title: "Does the daemon take TCP on the port devices send to?",
        why: "Devices that send TCP are refused, and most of them throw away what they could not send.",
        looks_at: "the same as listen.udp, for TCP; where TLS was asked for (`--protocol tls`) also for that port, whether \
                   the pair of files that `cefctl install` made is there, and the date of the certificate that the test \
                   event met.",
        mend: "`cefctl install` adds the listener; if it is configured but not open, restart the daemon and look for its \
               own error lines.",
        needs: DAEMON,
        judge: judge::tcp,
    },
    Check {
        id: "listen.owner",
        title: "Does the port belong to the daemon alone?",
        why: "Another program on the port gets the events, and the daemon goes on without its listener, for UDP without \
              a word.",
        looks_at: "every open socket on the port that another process, container or socket unit holds.",
        mend: "stop the other program or move it to another port, then restart the daemon; or let the collector listen \
               elsewhere with `cefctl install --port 5514`.",
        needs: &["daemon.present"],
        judge: judge::owner,
    },
    Check {
        id: "listen.duplicate",
        title: "Is there one listener only for each port and address?",
        why: "Of two UDP listeners on one port the one bound last gets every datagram and the other none; of two TCP \
              listeners the second is not opened. syslog-ng does not start with either.",
        looks_at: "all listeners of the configuration with their address, port and ruleset, and which of two gets the \
                   traffic.",
        mend: "remove one of the two, or give both the same ruleset.",
        needs: &["daemon.present"],
        judge: routing::duplicate,
    },
    Check {
        id: "listen.reachable",
        title: "Does what arrives at the listener come to the forward rule?",
        why: "A listener bound to a ruleset of its own, a source in no log path of the rule, or a `stop` or `flags(final)` in \
              an earlier file, keeps events away from the rule \
              although both are there. A filter by sender or priority in front of it keeps those of some devices away, \
              which no test event shows.",
        looks_at: "sample events, followed through the configuration from each listener's ruleset or source to the forward rule.",
        mend: "bind the listener to the ruleset of the rule, call the rule's ruleset from the listener's, or move the \
               rule before the `stop` that is named.",
        needs: &["daemon.present", "daemon.references"],
        judge: routing::reachable,
    },
    Check {
        id: "listen.limits",
        title: "Are the limits of the listeners wide enough?",
        why: "rsyslog cuts messages at 8 kB and syslog-ng takes no more than ten TCP senders unless told otherwise, and a small receive buffer loses datagrams in bursts.",
        looks_at: "message size, rate limits, number of TCP sessions and receive buffer, as configured and as the kernel has them, on \
                   the port, on that of TLS and on others whose events go the same way; \
                   datagrams dropped so far, how many files the daemon has open and may have, how much memory it may ask for, and how long it takes to look up a new sender's name where the daemon \
                   does that.",
        mend: "raise maxMessageSize to 64k, rcvbufSize to 8m and maxSessions to 500, set net.enableDNS to off where \
               lookups are slow; for syslog-ng log-msg-size(65536), so-rcvbuf(8388608), max-connections(500) with \
               log-iw-size(50000), use-dns(no); `cefctl install` sets these where it makes the listener.",
        needs: DAEMON,
        judge: limits::limits,
    },
];
