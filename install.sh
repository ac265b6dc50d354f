#!/bin/sh
# Sets up this machine as a CEF/ASA collector: puts the program in place, then runs its `install` command.
#
#   sudo ./install.sh [OPTIONS]     options are those of `cefctl install`; see `cefctl install --help`
#
# A `cefctl` beside this script is taken as it is. In a source checkout without one the program is built first, as the
# user who called sudo, so that nothing in the checkout comes to belong to root.
set -eu

target=/usr/local/bin/cefctl
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

case ${1:-} in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
    exit 0
    ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can set up a collector" "run: sudo ./install.sh $*" 2

# Runs a command as the user behind sudo, with that user's home; as root where there is no such user.
as_caller() {
  if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    sudo -H -u "$SUDO_USER" -- "$@"
  else
    "$@"
  fi
}

# sudo has a PATH of its own, which knows nothing of a toolchain in somebody's home.
find_cargo() {
  home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
  for cargo in "$(command -v cargo || true)" "$home/.cargo/bin/cargo" /usr/local/cargo/bin/cargo; do
    if [ -n "$cargo" ] && [ -x "$cargo" ]; then
      echo "$cargo"
      return
    fi
  done
  return 1
}

build() {
  cargo=$(find_cargo) || fail "there is no cefctl beside this script, and no cargo to build one with" \
    "install Rust (https://rustup.rs), or build it elsewhere with 'cargo build --release' and put target/release/cefctl beside this script"
  echo "Building cefctl (a minute or two) …" >&2
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_caller env PATH="$(dirname "$cargo"):$PATH" sh -c 'cd "$1" && cargo build --release --locked --quiet --target-dir target' sh "$here" ||
    fail "the build failed; nothing on this machine was changed" "its messages are above"
}

if [ -x "$here/cefctl" ]; then
  binary=$here/cefctl
else
  [ -f "$here/Cargo.toml" ] || fail "there is no cefctl beside this script" "unpack the whole archive and run it from there"
  build
  binary=$here/target/release/cefctl
fi

# Under a temporary name first: what is called cefctl is always a whole program.
mkdir -p "$(dirname "$target")"
new=$(mktemp "$target.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 130' INT TERM HUP
cat "$binary" >"$new"
chmod 755 "$new"
"$new" --version >/dev/null || fail "$binary does not run on this machine ($(uname -m)); nothing was changed"
mv -f "$new" "$target"
trap - EXIT INT TERM HUP

exec "$target" install "$@"
