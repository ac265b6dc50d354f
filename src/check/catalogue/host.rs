//! The machine itself.

use super::Check;
use crate::check::{clock, host as judge};

pub const CHECKS: &[Check] = &[
    Check {
        id: "host.privileges",
        title: "Does the diagnosis run as root?",
        why: "Without root the owners of sockets, files with mode 0600 and the daemon's own messages stay hidden, so \
              what depends on them cannot be judged.",
        looks_at: "the effective user and the capabilities of the running cefctl.",
        mend: "run it as root (`sudo cefctl troubleshoot`). In a container, give it the capabilities SYS_PTRACE and \
               DAC_READ_SEARCH, or run it on the host.",
        needs: &[],
        judge: judge::privileges,
    },
    Check {
        id: "host.os",
        title: "Which system is this, and does the chosen agent support it?",
        why: "An agent on a system it was not made for stops at an update or never starts.",
        looks_at: "/etc/os-release, architecture, C library and OpenSSL, against the list of the chosen agent. Without an \
                   agent it only tells what is there.",
        mend: "move the collector to a supported distribution, or choose the other agent.",
        needs: &[],
        judge: judge::os,
    },
    Check {
        id: "host.disk",
        title: "Is there room where the daemon and the agent write?",
        why: "On a full file system the daemon loses what it cannot forward at once, and the agent stops.",
        looks_at: "free bytes and inodes of the file systems of /var/log, the daemon's spool, /etc and, with an agent, \
                   /var/opt/microsoft and /opt; whether /var/log is read-only; the largest files under /var/log; files \
                   that are deleted but still open; how fast the logs have grown since their last rotation.",
        mend: "remove or rotate the largest files, restart the program that holds a deleted one, enlarge the file \
               system. Security events need no local copy: `cefctl install` keeps them out of the local files.",
        needs: &[],
        judge: judge::disk,
    },
    Check {
        id: "host.clock",
        title: "Does something keep the clock right?",
        why: "The agents' services refuse a machine whose clock is off by more than 15 minutes, and events get wrong times.",
        looks_at: "what timedatectl, chronyc and ntpq say, each where it is there; units of time services; whether the clock \
                   stands in a year long gone. In a container without a time service the clock is the host's.",
        mend: "`timedatectl set-ntp true`, or install chrony; let UDP 123 to its servers through.",
        needs: &[],
        judge: clock::synchronized,
    },
];
