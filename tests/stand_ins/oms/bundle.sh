#!/bin/sh
# Stand-in for the Log Analytics agent's shell bundle: layout, options, exit codes and quirks of the real one, with the
# programs of this folder behind the last line as a tar archive. Made from the documented behaviour; nothing of the
# original is in it. A test that wants a certain failure puts its code into /etc/stand-in/bundle-code.

RETIRED="The Log Analytics agent is retired."
finish() {
  echo "OMS agent shell bundle exiting with status code $1"
  echo "$RETIRED"
  exit "$1"
}

mode= id= key=
[ $# -gt 0 ] || finish 3
while [ $# -gt 0 ]; do
  case $1 in
    --install | --upgrade | --purge | --remove) mode=${1#--} ;;
    --force | --noDigest | --skip-docker-provider-install | --debug) ;;
    -w | --id) id=$2; shift ;;
    -s | --shared) key=$2; shift ;;
    -d | --domain | -p | --proxy) shift ;;
    *) echo "Unknown argument: '$1'" >&2; finish 2 ;;
  esac
  shift
done
if [ -n "$id" ] && [ -z "$key" ] || [ -z "$id" ] && [ -n "$key" ]; then finish 2; fi
[ "$(id -u)" = 0 ] || finish 5
[ "$(uname -m)" = x86_64 ] || finish 6
command -v python3 >/dev/null || finish 60
command -v dpkg >/dev/null || command -v rpm >/dev/null || finish 66

if [ "$mode" = purge ] || [ "$mode" = remove ]; then
  [ ! -x /opt/microsoft/omsagent/bin/uninstall ] || /opt/microsoft/omsagent/bin/uninstall P
  finish 0
fi
if [ -e /opt/microsoft/omsagent/bin/omsadmin.sh ] && [ "$mode" = install ]; then finish 23; fi
if [ -e /etc/stand-in/bundle-wait ]; then # a test wants to look at a run under way
  : >/run/bundle-waits
  while [ -e /etc/stand-in/bundle-wait ]; do sleep 0.1; done
fi
code=$(cat /etc/stand-in/bundle-code 2>/dev/null)
case ${code:-0} in
  0 | 18 | 30) ;;
  *) echo "something is wrong ($code)"; finish "$code" ;;
esac
[ "$(df -k --output=avail /opt | tail -n 1)" -gt 102400 ] || { echo "not enough space in /opt"; finish 52; }

same=
[ ! -e /opt/microsoft/omsagent/bin/omsadmin.sh ] || same=yes
work=$(mktemp -d) || finish 30
sed '1,/^__PAYLOAD__$/d' "$0" >"$work/payload.tar"
tar -C "$work" -xf "$work/payload.tar" || { code=$?; rm -rf "$work"; finish "$code"; }
if [ -z "$same" ]; then
  getent group omiusers >/dev/null || groupadd --system omiusers
  getent passwd omsagent >/dev/null ||
    useradd --system --gid omiusers --home-dir /var/opt/microsoft/omsagent/run --shell /bin/sh omsagent
  mkdir -p /opt/microsoft/omsagent/ruby/bin /etc/opt/microsoft/omsagent/sysconf /var/opt/microsoft/omsagent
  cp -R "$work/bin" "$work/plugin" /opt/microsoft/omsagent/
  chmod 755 /opt/microsoft/omsagent/bin/*
  cp "$(readlink -f "$(command -v python3)")" /opt/microsoft/omsagent/ruby/bin/ruby # the agent's own ruby is what shows as owner of the port
  [ "$code" != 18 ] || { rm -rf "$work"; finish 18; } # the first package is in by then
  # As the package's own step after it: whatever omsadmin says is lost.
  if [ -f /etc/omsagent-onboard.conf ]; then
    /opt/microsoft/omsagent/bin/omsadmin.sh || true
  fi
fi
rm -rf "$work"
[ "$code" != 30 ] || finish 30
finish 0
__PAYLOAD__
