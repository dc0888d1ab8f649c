# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Paths and messages for all scripts. Sourced, like every file of this folder.

peerfs_top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
peerfs_cache=${PEERFS_CACHE:-/var/cache/peerfs}

# The version, from its one place.
peerfs_version ()
{
  sed -n 's/^project *(peerfs VERSION \([0-9.]*\).*/\1/p' "$peerfs_top/CMakeLists.txt"
}

# All times in what is built for others are this one: that of the last commit, or SOURCE_DATE_EPOCH.
source_epoch ()
{
  echo "${SOURCE_DATE_EPOCH:-$(git -C "$peerfs_top" log -1 --format=%ct 2>/dev/null || echo 1735689600)}"
}

say ()
{
  printf '== %s\n' "$*" >&2
}

# One line on stderr, exit status 1.
die ()
{
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The comment at the top of a script is its help.
usage ()
{
  sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

# wrong_usage WHAT: one line on stderr, exit status 2.
wrong_usage ()
{
  printf '%s: %s; %s --help tells how to call it\n' "${0##*/}" "$1" "$0" >&2
  exit 2
}

# only_help ARG...: for scripts that take nothing but --help.
only_help ()
{
  [ $# -gt 0 ] || return 0
  case $1 in
    -h|--help) usage; exit 0 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
}

# other_arch ARCH: sets arch to that of --arch, or to nothing if it is this machine's own.
other_arch ()
{
  [[ $1 =~ ^(amd64|arm64)$ ]] || wrong_usage "--arch takes amd64 or arm64"
  arch=$1
  # shellcheck disable=SC2034 # for who calls
  [ "$1" != "$(dpkg --print-architecture)" ] || arch=
}

need_root ()
{
  [ "$(id -u)" -eq 0 ] || die "needs root: run it as root or with sudo"
}

# quietly WHAT COMMAND...: runs a command without output. If it fails, its last line is the error.
quietly ()
{
  local what=$1 file log status=0
  shift
  # Unlink it before the command runs, so that an interrupt leaves nothing.
  file=$(mktemp) && exec {log}<>"$file" && rm -f -- "$file" || return 1
  "$@" >&"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    printf '%s: %s failed: %s\n' "${0##*/}" "$what" \
      "$(grep -v '^[[:space:]]*$' "/dev/fd/$log" | tail -n "${PEERFS_ERROR_LINES:-1}")" >&2
  fi
  exec {log}>&-
  return "$status"
}

# The error of a missing or unusable /dev/fuse, or nothing.
fuse_trouble ()
{
  if [ ! -e /dev/fuse ]; then
    echo "/dev/fuse is missing: load the fuse module (modprobe fuse), or pass the device to this container"
  elif ! (exec 3<>/dev/fuse) 2>/dev/null; then
    echo "/dev/fuse cannot be opened: the device cgroup of this container must allow it"
  fi
}
