#!/bin/bash
# The program under security modules that really enforce: Debian 12 with its own kernel in a virtual machine, once with
# SELinux and once with AppArmor. Hosts made by systemd-nspawn share this machine's kernel, which need not have either.
#
#   run.sh CEFCTL [selinux] [apparmor]   boots, runs guest.sh inside, switches off; exit code 1 if anything was not as it must be
#
# Root (mmdebstrap, labels of files). No hardware virtualisation is needed: everything is emulated, one core, 1.5 GiB.
# CEFCTL_VM_DIR holds the image, made once in about four minutes; default /var/tmp/cefctl-vm
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
dir=${CEFCTL_VM_DIR:-/var/tmp/cefctl-vm}
port=${CEFCTL_VM_PORT:-2741}
packages=systemd-sysv,dbus,udev,netbase,openssh-server,rsyslog,rsyslog-gnutls,auditd,selinux-policy-default,policycoreutils,policycoreutils-python-utils,apparmor,python3,iproute2,procps,kmod,openssl,ifupdown,linux-image-cloud-amd64,initramfs-tools

die() { echo "run.sh: $*" >&2; exit 2; }
for tool in mmdebstrap qemu-system-x86_64 qemu-img mke2fs ssh ssh-keygen strip; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
    die "$tool is missing: apt-get install mmdebstrap qemu-system-x86 seabios qemu-utils e2fsprogs openssh-client binutils"
done
[[ $# -gt 0 && -x $1 ]] || die "say which cefctl: run.sh target/debug/cefctl"
program=$(readlink -f "$1")
shift
[[ $# -gt 0 ]] || set -- selinux apparmor
mkdir -p "$dir"
cd "$dir"

image() {
  [[ ! -e base.qcow2 ]] || return 0
  echo "making the image in $dir"
  rm -rf tree base.raw key key.pub
  mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" bookworm tree >mmdebstrap.log 2>&1 ||
    { tail -5 mmdebstrap.log >&2; return 1; }
  ssh-keygen -q -t ed25519 -N '' -f key
  install -d -m 700 tree/root/.ssh
  install -m 600 key.pub tree/root/.ssh/authorized_keys
  echo vm >tree/etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 vm\n::1 localhost\n' >tree/etc/hosts
  printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n address 10.0.2.15/24\n' >tree/etc/network/interfaces
  echo '/dev/vda / ext4 defaults,noatime 0 1' >tree/etc/fstab
  printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' >tree/etc/selinux/config
  cp tree/vmlinuz tree/initrd.img .
  # Labels need /proc; a kernel without SELinux stores them all the same.
  mount -t proc proc tree/proc
  chroot tree setfiles -F -e /proc /etc/selinux/default/contexts/files/file_contexts / || { umount tree/proc; return 1; }
  umount tree/proc
  mke2fs -q -t ext4 -d tree base.raw 3G
  qemu-img convert -O qcow2 base.raw new.qcow2
  rm -rf tree base.raw
  mv new.qcow2 base.qcow2
}

inside() {
  ssh -q -i key -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 root@127.0.0.1 "$@"
}

pid='' disk=''
off() {
  [[ -z $pid ]] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
  [[ -z $disk ]] || rm -f "$disk"
  pid='' disk=''
}
trap off EXIT
trap 'exit 130' INT TERM

boot() { # MODULE
  local module=$1 end=$((SECONDS + 300))
  disk=$module.$$.qcow2
  qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$disk"
  qemu-system-x86_64 -accel tcg,tb-size=256 -cpu max -smp 1 -m 1536 -nodefaults -no-user-config -display none \
    -serial "file:$module.console" -kernel vmlinuz -initrd initrd.img \
    -append "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet security=$module $module=1 enforcing=1" \
    -drive "file=$disk,if=virtio,cache=unsafe" -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" \
    -device virtio-net-pci,netdev=n -device virtio-rng-pci -no-reboot </dev/null &
  pid=$!
  until inside true; do
    kill -0 "$pid" 2>/dev/null || die "the machine has ended; see $dir/$module.console"
    ((SECONDS < end)) || die "the machine does not answer; see $dir/$module.console"
    sleep 2
  done
}

image
strip -o program "$program"
failed=0
for module in "$@"; do
  start=$SECONDS
  boot "$module"
  echo "$module: booted after $((SECONDS - start)) s"
  inside 'cat > /usr/local/bin/cefctl && chmod 755 /usr/local/bin/cefctl' <program
  inside 'cat > /root/guest.sh' <"$here/guest.sh"
  inside "bash /root/guest.sh $module" || failed=1
  off
  echo "$module: $((SECONDS - start)) s"
done
exit $failed
