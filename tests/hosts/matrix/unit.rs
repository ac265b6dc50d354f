//! The daemon's unit changed by somebody who hardens machines: the daemon runs and cannot do its work.

use super::{Fault, fault};

pub fn faults() -> Vec<Fault> {
    vec![
        fault("1.47", "the unit has a network of its own", "listen.udp", "hardened PrivateNetwork=yes"),
        fault("1.47", "the unit allows no network sockets", "listen.udp", "hardened RestrictAddressFamilies=AF_UNIX").rsyslog(),
        fault("1.47", "the unit allows no network sockets", "daemon.running", "hardened RestrictAddressFamilies=AF_UNIX; sleep 1.5").syslog_ng(),
        fault("1.47", "the unit may not open ports below 1024", "listen.udp",
            "hardened CapabilityBoundingSet=~CAP_NET_BIND_SERVICE").rsyslog(),
        fault("1.47", "the unit may not open ports below 1024", "daemon.running",
            "hardened CapabilityBoundingSet=~CAP_NET_BIND_SERVICE; sleep 1.5").syslog_ng(),
        fault("1.47", "the unit makes the disk read-only", "forward.reliable", "hardened ProtectSystem=strict").rsyslog(),
        fault("1.47", "the unit makes the disk read-only", "daemon.running", "hardened ProtectSystem=strict; sleep 1.5").syslog_ng(),
        fault("1.47", "the unit hides the drop-in folder", "daemon.files", "hardened InaccessiblePaths=$CONF"),
        fault("1.25", "our file is somebody else's, and the unit may not read everything", "daemon.files",
            "chmod 600 $OURS; chown nobody $OURS; hardened 'CapabilityBoundingSet=~CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH'").rsyslog().fixed(),
        fault("", "the unit shows the daemon another folder", "daemon.files", "mkdir -p /root/older; hardened BindReadOnlyPaths=/root/older:$CONF"),
        fault("", "the unit reads another main file", "daemon.include",
            "if ng; then printf '@version: 3.38\nsource s_x { internal(); };\n' >/etc/syslog-ng/other.conf; c='syslog-ng -F -f /etc/syslog-ng/other.conf'; else echo '*.* /var/log/all' >/etc/rsyslog-other.conf; c='rsyslogd -n -iNONE -f /etc/rsyslog-other.conf'; fi; hardened ExecStart= \"ExecStart=/usr/sbin/$c\"")
            .undo("rm -f /etc/syslog-ng/other.conf /etc/rsyslog-other.conf").fixed(),
        fault("", "the unit's condition is not met", "daemon.running",
            "mkdir -p /run/systemd/system/$UNIT.service.d; printf '[Unit]\nConditionPathExists=/nowhere\n' >/run/systemd/system/$UNIT.service.d/90-hardened.conf; systemctl stop syslog.socket $UNIT; restart"),
        fault("", "the unit does something before that fails", "daemon.running", "hardened ExecStartPre=/bin/false Restart=no"),
        fault("", "the unit may open few files", "daemon.running", "hardened LimitNOFILE=8 Restart=no"),
        fault("", "the unit allows few files, and all are open", "listen.limits", "hardened LimitNOFILE=16").rsyslog(),
        fault("", "the unit allows files for a few senders only", "listen.limits", "hardened LimitNOFILE=64").warns(),
        fault("", "the unit leaves no memory for threads", "listen.limits", "hardened LimitAS=40M; sleep 0.5").rsyslog(),
        fault("", "the unit ends the daemon every second", "daemon.running",
            "hardened RuntimeMaxSec=1 Restart=always RestartSec=100ms StartLimitIntervalSec=0; for i in $(seq 60); do [ $(systemctl show -p NRestarts --value $UNIT) -ge 4 ] && break; sleep 0.2; done"),
        fault("", "the unit allows no IPv6 sockets", "listen.udp", "hardened 'RestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK'").rsyslog().warns(),
        fault("", "the socket that the unit needs is masked", "daemon.running",
            "systemctl stop syslog.socket; systemctl mask -q syslog.socket; restart; sleep 0.3").rsyslog()
            .undo("systemctl unmask -q syslog.socket; systemctl start syslog.socket").fixed(),
        fault("", "the socket that the unit needs is masked while the daemon runs", "daemon.enabled", "systemctl mask -q syslog.socket").rsyslog()
            .undo("systemctl unmask -q syslog.socket; systemctl start syslog.socket").warns().fixed(),
        fault("", "the daemon crashed after it had worked for a while", "daemon.running",
            "hardened Restart=no; sleep 6; p=$(systemctl show -p MainPID --value $UNIT); kill -SEGV $p; sleep 0.5").syslog_ng().fixed(),
        fault("", "the spool is read-only for the unit", "forward.reliable",
            "hardened ReadOnlyPaths=/var/spool/rsyslog").rsyslog(),
        fault("", "the spool is read-only for the unit", "daemon.running", "hardened ReadOnlyPaths=/var/lib/syslog-ng; sleep 1.5").syslog_ng(),
    ]
}
