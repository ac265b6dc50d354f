#!/bin/bash
# Distribution hosts for tests: a Debian root file system booted with its own systemd as PID 1, in its own mount, pid,
# uts, ipc, cgroup and network namespaces. Root only.
#
#   host.sh deps                        install the Debian packages this script needs
#   host.sh build SUITE DAEMON          make the cached root tree, or keep the one that is there
#   host.sh layers SUITE DAEMON         the folders of that tree, as an overlay's lowerdir wants them
#   host.sh start NAME SUITE DAEMON     boot a fresh clone of it
#   host.sh exec NAME CMD...            run CMD inside (standard streams and exit code pass through)
#   host.sh run NAME CMD...             the same as a unit of the host's systemd: own cgroup, the host's own capabilities
#   host.sh put NAME SRC DST            copy a file or a folder in
#   host.sh get NAME SRC DST            copy a file or a folder out
#   host.sh link NAME1 NAME2 [N]        join two hosts by a cable: eth<N> with 10.99.<N>.1 and 10.99.<N>.2
#   host.sh stop NAME                   switch off, throw the clone away
#   host.sh stop-all                    the same for every host, whoever started it
#   host.sh list                        names of the hosts
#   host.sh reap                        remove hosts whose owner is gone
#   host.sh guard PID                   wait for the end of process PID, then `reap`
#
# SUITE   bullseye | bookworm | trixie, or what else the archive of this machine has (forky, sid);
#         focal | jammy | noble: Ubuntu 20.04, 22.04, 24.04
# DAEMON  rsyslog | syslog-ng | none, followed by any +PACKAGE: rsyslog+firewalld+ipset
#         none+packages: no daemon, and the packages of both (and of the driver for TLS) in a repository of files that
#         apt is set up for
#
# CEFCTL_E2E_DIR    holds trees/ (the cache) and hosts/ (the clones); default /var/tmp/cefctl-e2e, not on an overlay
# CEFCTL_E2E_UBUNTU where Ubuntu's archive is; default: beside Debian's, as most mirrors have it. Its signature is not
#                   checked, since Debian has no package with Ubuntu's keys: what is built there is for tests only.
# CEFCTL_E2E_OWNER  a process id: hosts started with it belong to that process, and `reap` removes them once it is
#                   gone. Without it a host stays until it is stopped.
#
# Whatever a host consists of (mount, network namespace, cgroups, processes) is named after its folder in hosts/. The
# folder is made first and removed last, so what is left of a killed run can always be found and taken away.
set -euo pipefail

dir=${CEFCTL_E2E_DIR:-/var/tmp/cefctl-e2e}
trees=$dir/trees hosts=$dir/hosts
# What a server image has beside the daemon, and what tests need inside (python3 runs the stand-in for the agent).
base_packages=systemd,systemd-sysv,dbus,sudo,python3,procps,iproute2,iputils-ping,net-tools,nftables,iptables,bsdutils,kmod,cron,logrotate
# What an Ubuntu server has beyond that and may meddle: its firewall, its profiles for daemons, its network and updates.
# (apt is not of the priority there that brings it by itself.)
ubuntu_packages=apt,ufw,apparmor,netplan.io,unattended-upgrades

die() { echo "host.sh: $*" >&2; exit 2; }
say() { echo "host.sh: $*" >&2; }

# ---------------------------------------------------------------------------------------------------- root trees

deps() {
  local missing=()
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
  command -v ip >/dev/null || missing+=(iproute2)
  [[ ${#missing[@]} = 0 ]] && return 0
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

is_ubuntu() { [[ $1 = focal || $1 = jammy || $1 = noble ]]; }
packages_of() { if is_ubuntu "$1"; then echo "$base_packages,$ubuntu_packages"; else echo "$base_packages"; fi; }

# The line of a suite in a host's source list. Where this machine's apt takes lists that have expired (a frozen mirror),
# so does the host's.
source_of() {
  local from options=
  [[ $(apt-config dump Acquire::Check-Valid-Until --format '%v') != false ]] || options=check-valid-until=no
  if ! is_ubuntu "$1"; then
    from=$(archive)
    echo "deb ${options:+[$options] }$from $1 main"
  else
    from=${CEFCTL_E2E_UBUNTU:-$(archive | sed 's,/debian/*$,/ubuntu,')}
    echo "deb [trusted=yes${options:+ $options}] $from $1 main universe"
  fi
}

# The archive this machine's apt uses, whatever form its source lists have.
archive() {
  # shellcheck disable=SC2016 # the fields are apt's
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 !~ /-security$/ { print $1; exit }'
}

# A tree is made anew when the list of packages changes.
base_tree() { echo "$trees/$1-$(packages_of "$1" | sha256sum | cut -c1-8)"; }
daemon_tree() { echo "$(base_tree "$1")+$2"; }

build() {
  local suite=$1 daemon=$2 base top
  base=$(base_tree "$suite") top=$(daemon_tree "$suite" "$daemon")
  [[ -e $base.ok && -e $top.ok ]] && return
  mkdir -p "$trees"
  [[ $(stat -f -c %T "$trees") != overlayfs ]] || die "$dir lies on an overlay, which cannot carry another one: set CEFCTL_E2E_DIR"
  ( # one builder a suite at a time; the lock goes with this subshell
    flock 9
    [[ -e $base.ok ]] || build_base "$suite" "$base"
    [[ -e $top.ok ]] || build_daemon "$suite" "$daemon" "$base" "$top"
  ) 9>"$trees/$suite.lock"
}

build_base() {
  local suite=$1 base=$2 from
  [[ -n $(archive) ]] || die "apt has no package source on this machine"
  from=$(source_of "$suite")
  say "building the $suite tree (about 40 s, log in $base.log)"
  rm -rf "$base"
  # The hook: dash of focal does not install where the folder of its manual is missing.
  # shellcheck disable=SC2016 # the variable is mmdebstrap's
  mmdebstrap --quiet --variant=minbase --include="$(packages_of "$suite")" \
    --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook='mkdir -p "$1/usr/share/man/man1"' \
    "$suite" "$base" "$from" >"$base.log" 2>&1 9>&- || die "mmdebstrap failed: $(tail -n 3 "$base.log")"
  rm -f "$base/etc/apt/sources.list" # the archive's name stays out of the hosts
  touch "$base.ok"
}

build_daemon() {
  local suite=$1 daemon=$2 base=$3 top=$4 packages failed='' repo=''
  packages=${daemon//+/ }
  [[ " $packages " != *" packages "* ]] || { repo=yes packages=${packages/ packages/}; }
  packages=${packages/#syslog-ng/syslog-ng-core}
  packages=${packages/#none/}
  ! mountpoint -q "$top/root" || umount -l "$top/root" # of a build that was killed
  rm -rf "$top"
  mkdir -p "$top"/{up,work,root}
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$top/up,workdir=$top/work" "$top/root"
  cp --remove-destination /etc/resolv.conf "$top/root/etc/resolv.conf"
  source_of "$suite" >"$top/root/etc/apt/sources.list"
  # shellcheck disable=SC2086,SC2016 # the packages are words; the script's variables are its own
  REPO=$repo unshare --mount --pid --fork chroot "$top/root" /bin/sh -ec '
    export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
    mount -t proc proc /proc
    if [ $# -gt 0 ]; then
      printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
      apt-get -qq update; apt-get -qq install -y --no-install-recommends "$@"
      rm -f /usr/sbin/policy-rc.d; apt-get clean; rm -rf /var/lib/apt/lists/*
    fi
    if [ -n "$REPO" ]; then
      apt-get -qq update; mkdir -p /srv/packages
      for daemon in rsyslog rsyslog-gnutls syslog-ng-core; do
        apt-get -qq install -y --no-install-recommends --download-only $daemon
      done
      mv /var/cache/apt/archives/*.deb /srv/packages; rm -rf /var/lib/apt/lists/*
      cd /srv/packages
      for deb in *.deb; do
        dpkg-deb -f "$deb"
        echo "Filename: ./$deb"; echo "Size: $(stat -c %s "$deb")"; echo "SHA256: $(sha256sum "$deb" | cut -d" " -f1)"; echo
      done >Packages
      cd /
    fi
    for unit in rsyslog syslog-ng; do # trixie leaves syslog-ng disabled when installed in a chroot
      [ ! -e /lib/systemd/system/$unit.service ] || systemctl -q enable $unit
    done
    # Timers that would work on their own in the middle of a test.
    for unit in apt-daily apt-daily-upgrade e2scrub_all fstrim dpkg-db-backup man-db; do
      rm -f /etc/systemd/system/timers.target.wants/$unit.timer
    done
    rm -f /etc/resolv.conf /etc/apt/sources.list; : >/etc/machine-id
    [ -z "$REPO" ] || echo "deb [trusted=yes] file:/srv/packages ./" >/etc/apt/sources.list
  ' sh $packages >"$top.log" 2>&1 9>&- || failed=1
  umount "$top/root"
  [[ -z $failed ]] || die "installing$packages failed: $(tail -n 3 "$top.log")"
  touch "$top.ok"
}

# ---------------------------------------------------------------------------------------------------- processes

# A zombie counts as gone: PID 1 of the machine may reap late.
alive() {
  local state
  [[ -n ${1:-} ]] && state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [[ $state != [ZX] ]]
}

# Names one process for good: ids are used again, an id with its start time (and the boot it is counted from) is not.
identity() {
  local start
  start=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20)
  [[ -n $start ]] && echo "$1 $start $(cat /proc/sys/kernel/random/boot_id)"
}

owner_is_gone() { # HOST_FOLDER; a host that nobody owns is never taken for left behind
  local owner
  owner=$(cat "$1/owner" 2>/dev/null) || return 1
  [[ -n $owner ]] && ! { alive "${owner%% *}" && [[ $(identity "${owner%% *}") = "$owner" ]]; }
}

wait_gone() { # PID SECONDS
  local i
  for ((i = 0; i < $2 * 100; i++)); do alive "$1" || return 0; sleep 0.01; done
  return 1
}

# The mount points of the hierarchies that a systemd manages.
cgroup_trees() { awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd/) { print $2 }' /proc/mounts; }

# Each host gets a cgroup of its own, else two systemds would manage one tree and stop each other's services.
enter_cgroup() { # NAME PID
  local tree
  cgroup_trees | while read -r tree; do
    mkdir -p "$tree/cefctl-e2e.$1"
    echo "$2" >"$tree/cefctl-e2e.$1/cgroup.procs"
  done
}
remove_cgroup() { # NAME
  local tree
  cgroup_trees | while read -r tree; do
    [[ ! -d $tree/cefctl-e2e.$1 ]] || find "$tree/cefctl-e2e.$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# ---------------------------------------------------------------------------------------------------- hosts

start() {
  local name=$1 suite=$2 daemon=$3 host=$hosts/$1 top nspawn leader state i
  [[ $name =~ ^[a-z0-9][a-z0-9-]{0,40}$ ]] || die "a name of small letters, digits and dashes is wanted, not '$name'"
  build "$suite" "$daemon"
  top=$(daemon_tree "$suite" "$daemon")
  mkdir -p "$hosts"
  mkdir "$host.new.$$" # with its owner in it before it has its name: a reaper never sees it half made
  mkdir "$host.new.$$"/{up,work,root}
  if [[ -n ${CEFCTL_E2E_OWNER:-} ]]; then
    identity "$CEFCTL_E2E_OWNER" >"$host.new.$$/owner" || die "no process $CEFCTL_E2E_OWNER to own $name"
  fi
  mv -T "$host.new.$$" "$host" 2>/dev/null || { rm -rf "$host.new.$$"; die "host $name exists"; }

  mount -t overlay overlay -o "lowerdir=$top/up:$(base_tree "$suite"),upperdir=$host/up,workdir=$host/work" "$host/root"
  echo "$name" >"$host/root/etc/hostname"
  printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" >"$host/root/etc/hosts"
  ip netns add "cef-$name"
  ip -n "cef-$name" link set lo up
  (
    enter_cgroup "$name" "$BASHPID"
    # A pure v2 cgroup tree boots every suite, whatever this machine has. CAP_NET_ADMIN is enough for firewalls;
    # all capabilities would let a test set this machine's clock.
    exec env -i PATH="$PATH" SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
      setsid systemd-nspawn --quiet --boot --directory="$host/root" --machine="$name" \
      --network-namespace-path="/run/netns/cef-$name" --register=no --keep-unit \
      --resolv-conf=off --timezone=off --link-journal=no --capability=CAP_NET_ADMIN --console=pipe \
      </dev/null >"$host/console" 2>&1
  ) &
  nspawn=$!
  echo "$nspawn" >"$host/nspawn"
  for ((i = 0; i < 500; i++)); do
    leader=$(awk '{ print $1 }' "/proc/$nspawn/task/$nspawn/children" 2>/dev/null) || true
    # nspawn forks twice: the child counts once it has become systemd itself
    [[ -n $leader && $(cat "/proc/$leader/comm" 2>/dev/null) = systemd ]] && break
    alive "$nspawn" || die "$name did not start: $(tail -n 3 "$host/console")"
    sleep 0.01
  done
  echo "$leader" >"$host/leader"
  for ((i = 0; i < 3000; i++)); do # until systemd can be asked; then it says itself when it is through
    [[ -S /proc/$leader/root/run/systemd/private ]] && break
    alive "$leader" || break
    sleep 0.01
  done
  state=$(timeout 60 "$0" exec "$name" systemctl is-system-running --wait 2>/dev/null) || true
  [[ $state = running || $state = degraded ]] ||
    die "$name did not boot (${state:-no answer}): $(tail -n 3 "$host/console")"
}

# Switched off as by pulling the plug: the clone is thrown away with it.
stop() {
  local name=$1 host=$hosts/$1 pid
  [[ -d $host ]] || die "no host $name"
  end_processes "$name"
  [[ ! -e /run/netns/cef-$name ]] || ip netns del "cef-$name" || true
  ! mountpoint -q "$host/root" || umount -q "$host/root" || umount -l "$host/root"
  remove_cgroup "$name"
  rm -rf "/run/systemd/nspawn/propagate/$name"
  rm -rf --one-file-system "$host"
}

# By its cgroups a host's processes are known, also after a start that was killed half way; recorded ids may be stale.
end_processes() { # NAME
  local tree pids pid
  pids=$(cgroup_trees | while read -r tree; do
    [[ ! -d $tree/cefctl-e2e.$1 ]] || find "$tree/cefctl-e2e.$1" -name cgroup.procs -exec cat {} +
  done 2>/dev/null | sort -nu)
  for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in $pids; do wait_gone "$pid" 5 || say "process $pid of $1 does not end"; done
}

names() {
  local host
  for host in "$hosts"/*/; do [[ ! -d $host ]] || basename "$host"; done
}

reap() {
  local name
  mkdir -p "$hosts"
  ( # two reapers would race for the same host
    flock 9
    for name in $(names); do
      owner_is_gone "$hosts/$name" || continue
      say "removing $name, left behind by a run that is gone"
      if [[ $name = *.new.* ]]; then rm -rf "${hosts:?}/$name"; else stop "$name" || true; fi
    done
  ) 9>"$hosts/.reap"
}

guard() {
  # The owner is known from here on by more than its number.
  local owner
  owner=$(identity "$1") || owner=
  while [[ -n $owner && $(identity "$1") = "$owner" ]] && alive "$1"; do sleep 0.5; done
  reap
  sleep 5 # a start that was under way may have got that far by now
  reap
}

enter() {
  local name=$1 leader
  leader=$(cat "$hosts/$name/leader" 2>/dev/null) || die "no host $name"
  shift
  exec nsenter -t "$leader" -m -u -i -n -p -C -r -w -- /usr/bin/env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 TERM=dumb "$@"
}

put() {
  local name=$1 src=$2 dst=$3
  if [[ -d $src ]]; then
    # shellcheck disable=SC2016 # expanded inside
    tar -C "$src" --owner=0 --group=0 -cf - . |
      (enter "$name" /bin/sh -ec 'mkdir -p "$1"; tar -C "$1" -xf -' sh "$dst")
  else
    # shellcheck disable=SC2016,SC2094 # expanded inside; the mode is only read
    (enter "$name" /bin/sh -ec 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"' \
      sh "$dst" "$(stat -c %a "$src")") <"$src"
  fi
}

get() {
  local name=$1 src=$2 dst=$3
  if (enter "$name" test -d "$src"); then
    mkdir -p "$dst"
    (enter "$name" tar -C "$src" -cf - .) | tar -C "$dst" -xf -
  else
    (enter "$name" cat "$src") >"$dst"
  fi
}

link() {
  local a=$1 b=$2 n=${3:-1}
  ip link add "eth$n" netns "cef-$a" type veth peer name "eth$n" netns "cef-$b"
  ip -n "cef-$a" addr add "10.99.$n.1/24" dev "eth$n"
  ip -n "cef-$b" addr add "10.99.$n.2/24" dev "eth$n"
  ip -n "cef-$a" link set "eth$n" up
  ip -n "cef-$b" link set "eth$n" up
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
need() { [[ $1 -ge $2 ]] || usage; }

[[ $(id -u) = 0 ]] || die "hosts are booted as root: run it as root, or under sudo"
command=${1:-}
shift || usage
case $command in
  deps) deps ;;
  build) need $# 2; build "$@" ;;
  layers) need $# 2; echo "$(daemon_tree "$@")/up:$(base_tree "$1")" ;;
  start) need $# 3; start "$@" ;;
  exec) need $# 2; enter "$@" ;;
  run) need $# 2; name=$1; shift; enter "$name" systemd-run --quiet --pipe --wait --collect --service-type=exec -- "$@" ;;
  put) need $# 3; put "$@" ;;
  get) need $# 3; get "$@" ;;
  link) need $# 2; link "$@" ;;
  stop) need $# 1; stop "$@" ;;
  stop-all) for name in $(names); do stop "$name"; done ;;
  list) names ;;
  reap) reap ;;
  guard) need $# 1; guard "$@" ;;
  *) usage ;;
esac
