#!/bin/sh
# Stand-in for the watcher inside the agent's extension: watcher.sh SECONDS. Places or removes the daemon's file by the
# marker, with the port of the port file; looks only at existence and the port, and restarts the daemon after a change.
etc=/etc/opt/microsoft/azuremonitoragent
while sleep "$1"; do
  port=$(cat $etc/config-cache/syslog.port 2>/dev/null)
  for pair in rsyslog:/etc/rsyslog.d:rsyslogconf/10-azuremonitoragent-omfwd.conf \
    syslog-ng:/etc/syslog-ng/conf.d:syslog-ngconf/azuremonitoragent-tcp.conf; do
    daemon=${pair%%:*} rest=${pair#*:}
    folder=${rest%%:*} original=$etc/syslog/${rest#*:}
    file=$folder/${original##*/}
    [ -d "$folder" ] || continue
    if [ "$(cat $etc/config-cache/syslog.marker 2>/dev/null)" = true ] && [ -n "$port" ]; then
      grep -qi "port[=(\"]*$port" "$file" 2>/dev/null && continue
      sed "s/28330/$port/" "$original" >"$file"
      chmod 644 "$file"
    else
      [ -e "$file" ] || continue
      rm -f "$file"
    fi
    systemctl restart "$daemon"
  done
done
