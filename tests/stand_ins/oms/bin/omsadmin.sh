#!/bin/sh
# Stand-in for omsadmin.sh: onboarding from /etc/omsagent-onboard.conf (read as shell, removed only on success) or from
# options, -l, -x, with the original's exit codes.
home=/opt/microsoft/omsagent etc=/etc/opt/microsoft/omsagent var=/var/opt/microsoft/omsagent
file=/etc/omsagent-onboard.conf

[ "$(id -u)" = 0 ] || exit 1
WORKSPACE_ID= SHARED_KEY= URL_TLD=opinsights.azure.com PROXY= from_file=
if [ $# = 0 ] || [ "$*" = -v ]; then
  [ -r $file ] || { echo "no workspace"; exit 3; }
  . $file
  from_file=yes
fi
while [ $# -gt 0 ]; do
  case $1 in
    -w) WORKSPACE_ID=$2; shift ;;
    -s) SHARED_KEY=$2; shift ;;
    -d) URL_TLD=$2; shift ;;
    -p) PROXY=$2; shift ;;
    -v) ;;
    -l) for w in "$etc"/*-*; do [ ! -d "$w" ] || echo "Workspace: ${w##*/}  Status: Onboarded"; done; exit 0 ;;
    -x)
      $home/bin/service_control stop "$2" >/dev/null 2>&1
      $home/bin/service_control disable "$2" >/dev/null 2>&1
      rm -rf "${etc:?}/$2" "${var:?}/$2" "/lib/systemd/system/omsagent-$2.service"
      systemctl daemon-reload; exit 0 ;;
    *) exit 2 ;;
  esac
  shift
done
echo "$WORKSPACE_ID" | grep -Eq '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' && [ -n "$SHARED_KEY" ] || exit 3
conf=$etc/$WORKSPACE_ID/conf
if [ -s "$conf/omsadmin.conf" ] && ! $home/bin/service_control is-running "$WORKSPACE_ID" >/dev/null 2>&1; then
  echo "already onboarded"
  [ -z $from_file ] || rm -f $file
  exit 0
fi
printf '%s\n%s\n%s\n%s\n' "$WORKSPACE_ID" "$SHARED_KEY" "$URL_TLD" "$PROXY" | python3 $home/bin/register.py
code=$?
[ $code = 0 ] || exit $code

mkdir -p "$conf/omsagent.d" "$etc/$WORKSPACE_ID/certs" "$var/$WORKSPACE_ID/log" "$var/$WORKSPACE_ID/state" "$var/$WORKSPACE_ID/run"
ln -sfn "$conf" $etc/conf
cat >"$conf/omsadmin.conf" <<END
WORKSPACE_ID=$WORKSPACE_ID
AGENT_GUID=$(cat /proc/sys/kernel/random/uuid)
LOG_FACILITY=local0
CERTIFICATE_UPDATE_ENDPOINT=https://$WORKSPACE_ID.oms.$URL_TLD/ConfigurationService.Svc/RenewCertificate
URL_TLD=$URL_TLD
DSC_ENDPOINT=https://$WORKSPACE_ID.agentsvc.azure-automation.net/Accounts/$WORKSPACE_ID
OMS_ENDPOINT=https://$WORKSPACE_ID.ods.$URL_TLD/OperationalData.svc/PostJsonDataItems
AZURE_RESOURCE_ID=
OMSCLOUD_ID=7783-7084
UUID=
END
echo certificate >"$etc/$WORKSPACE_ID/certs/oms.crt"
echo key >"$etc/$WORKSPACE_ID/certs/oms.key"
chown -R omsagent:omiusers "$etc/$WORKSPACE_ID" "$var/$WORKSPACE_ID"
chmod 750 "$etc/$WORKSPACE_ID" "$conf" "$var/$WORKSPACE_ID"
[ -z $from_file ] || rm -f $file
$home/bin/service_control enable "$WORKSPACE_ID" && $home/bin/service_control start "$WORKSPACE_ID" || exit 30
echo "Onboarding success"
