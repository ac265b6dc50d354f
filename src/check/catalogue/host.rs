//! The machine itself.

use super::Check;
use crate::check::{clock, host as judge, security};

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
        looks_at: "the time that the agent's services answer with; what timedatectl, chronyc and ntpq say, each where it is there; \
                   units of time services; whether the clock stands in a year long gone. In a container without a time service \
                   the clock is the host's.",
        mend: "`timedatectl set-ntp true`, or install chrony; let UDP 123 to its servers through.",
        needs: &[],
        judge: clock::synchronized,
    },
    Check {
        id: "host.selinux",
        title: "Does SELinux let the daemon use its ports?",
        why: "In enforcing mode the daemon may connect only to ports with a label of syslog, which the agent's port does \
              not have at first, and a refused connection looks like an agent that is not there.",
        looks_at: "the mode, the label of the daemon's process, the labels of the agent's port and of the port devices send \
                   to, what the kernel's policy allows with them, and refusals of the daemon since it was started that are \
                   not over yet.",
        mend: "`semanage port -a -t syslogd_port_t -p tcp PORT`, which `cefctl install` does where SELinux is enforcing. \
               Never turn SELinux off for this.",
        needs: &[],
        judge: security::selinux,
    },
    Check {
        id: "host.selinux-labels",
        title: "Have the daemon's files the labels that the policy wants?",
        why: "A file that was moved into place keeps the label of the folder it came from, and the daemon cannot read it \
              whatever its mode.",
        looks_at: "the label of every file of the daemon's configuration, against what the policy has for its path.",
        mend: "`restorecon -v FILE`, then restart the daemon; `--fix` does both.",
        needs: &[],
        judge: security::labels,
    },
    Check {
        id: "host.apparmor",
        title: "Does AppArmor let the daemon use its files and folders?",
        why: "A profile that does not cover the queue's folder keeps events from being kept while the agent is away.",
        looks_at: "the profile that confines the daemon's process, its rules for the configuration and for the folders of \
                   queues, networks that it forbids, and refusals since the daemon was started that it would still make.",
        mend: "add the missing rules to the profile's file in /etc/apparmor.d/local, load it with `apparmor_parser -r` and \
               restart the daemon; or move the file or folder to where the profile lets it be.",
        needs: &[],
        judge: security::apparmor,
    },
];
