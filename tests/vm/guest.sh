#!/bin/bash
# What run.sh runs inside the machine: guest.sh selinux|apparmor. Every line that begins with `not ok` is a fault.
# shellcheck disable=SC2317 # functions are called through `is`
set -u
bad=0
is() { # TEXT COMMAND...: the command must succeed
  local text=$1
  shift
  if "$@" >/tmp/out 2>&1; then echo "ok: $text"; else echo "not ok: $text"; sed 's/^/    /' /tmp/out | tail -20; bad=1; fi
}
cefctl_install() { cefctl install --agent none --yes "$@"; }
etc() { find /etc -xdev -path /etc/selinux -prune -o -printf '%p %m %u:%g %Z %s\n' 2>/dev/null | sort; }
# JSON path of the first failing check, and what it says
verdict() { cefctl troubleshoot -o json 2>/dev/null >/tmp/report; python3 - "$@" <<'P'
import json, sys
report = json.load(open("/tmp/report"))
root, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
found = next((c["summary"] for c in report["checks"] if c["id"] == root), "")
print("root cause", report["root_cause"], "-", found)
sys.exit(not (str(report["root_cause"]) == root and word in found))
P
}
labels() { [[ -z $(restorecon -nvR /etc/rsyslog.d /etc/rsyslog.conf /var/lib/cefctl /var/spool/rsyslog) ]]; }
no_labels() { semanage port -l -C | tee /tmp/out; ! grep -q syslog /tmp/out; }
same() { etc >/root/after; diff /root/before /root/after; }
refused() { ! cefctl_install "$@" >/tmp/said 2>&1 && cat /tmp/said && grep -q "$module_name" /tmp/said && [[ ! -e /etc/rsyslog.d/10-cefctl.conf ]]; }

# The agent's port, for the connection of the daemon to be there.
python3 -c '
import socket, threading
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("127.0.0.1", 25226)); s.listen(5)
def take(c):
    while c.recv(65536): pass
while 1: threading.Thread(target=take, args=(s.accept()[0],), daemon=True).start()' &
agent=$!
trap 'kill $agent' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=vm -addext subjectAltName=DNS:vm -keyout /root/k.pem -out /root/c.pem 2>/dev/null
chmod 600 /root/k.pem
etc >/root/before

selinux() {
  module_name=SELinux
  is "the policy is enforced" [ "$(cat /sys/fs/selinux/enforce)" = 1 ]
  is "a port of something else is refused before anything is changed" refused --port 8080
  is "so is a certificate that the policy keeps from the daemon" refused --protocol tls --tls-cert /root/c.pem --tls-key /root/k.pem
  is "install with TLS, proven by events" cefctl_install --protocol udp,tcp,tls
  is "everything has the label of its place" labels
  is "a healthy box" verdict None
  semanage port -d -p tcp 25226
  systemctl restart rsyslog
  is "a port without its label is the root cause" verdict host.selinux 25226
  is "--fix" cefctl troubleshoot --fix --yes
  is "healthy again, with the old lines in the audit log" verdict None
  chcon -t user_home_t /etc/rsyslog.d/10-cefctl.conf
  systemctl restart rsyslog 2>/dev/null
  is "a drop-in with a wrong label is found" verdict host.selinux 10-cefctl.conf
  is "--fix" cefctl troubleshoot --fix --yes
  is "healthy again" verdict None
  is "uninstall" cefctl uninstall --yes
  is "no label of ours is left" no_labels
}

apparmor() {
  module_name=AppArmor
  local file=/etc/apparmor.d/usr.sbin.rsyslogd local=/etc/apparmor.d/local/usr.sbin.rsyslogd
  # The shape of Ubuntu's.
  cat >"$file" <<'P'
#include <tunables/global>
profile rsyslogd /usr/sbin/rsyslogd {
  #include <abstractions/base>
  #include <abstractions/nameservice>
  #include <abstractions/openssl>
  capability dac_override,
  capability setuid,
  capability setgid,
  capability syslog,
  unix (receive) type=dgram,
  /etc/rsyslog.conf r,
  /etc/rsyslog.d/ r,
  /etc/rsyslog.d/** r,
  /{,var/}run/rsyslogd.pid{,.tmp} rwk,
  /var/spool/rsyslog/ r,
  /var/spool/rsyslog/** rwk,
  /usr/sbin/rsyslogd mr,
  /usr/lib{,32,64}/{,@{multiarch}/}rsyslog/*.so mr,
  @{PROC}/kmsg r,
  @{run}/systemd/notify w,
  /dev/log rwl,
  /var/log/** rw,
  #include <local/usr.sbin.rsyslogd>
}
P
  load() { apparmor_parser -r "$file" && systemctl restart rsyslog; }
  : >"$local"
  is "the profile is loaded" load
  is "and enforced" grep -q '(enforce)' "/proc/$(pidof rsyslogd)/attr/current"
  etc >/root/before
  is "a certificate outside the profile is refused before anything is changed" refused --protocol tls --tls-cert /root/c.pem --tls-key /root/k.pem
  is "install with TLS, proven by events" cefctl_install --protocol udp,tcp,tls
  is "a healthy box" verdict None
  mkdir -p /data/spool
  echo 'global(workDirectory="/data/spool")' >/etc/rsyslog.d/05-spool.conf
  systemctl restart rsyslog
  is "a spool outside the profile is the root cause" verdict host.apparmor /data/spool
  printf '/data/spool/ r,\n/data/spool/** rwk,\n' >"$local"
  load
  is "with the rules that were advised it is none" verdict None
  rm /etc/rsyslog.d/05-spool.conf
  echo 'deny network inet stream,' >"$local"
  load
  is "a forbidden network is the root cause" verdict host.apparmor 'network inet stream'
  : >"$local"
  load
  is "uninstall" cefctl uninstall --yes
}

case $1 in
  selinux) selinux ;;
  apparmor) apparmor ;;
esac
is "/etc is as it was" same
exit $bad
