# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced after lib.sh and isolate: containers of hostile programs, and a calm one beside them.

# hostile NAME COMMAND...: a container of that name, with the test's programs in its own /work.
hostile ()
{
  local name=$1
  shift
  mkdir -p "$work/c/$name/upper/work"
  cp "$PEERFS_HELPERS/helper_hostile" "$work/c/$name/upper/hostile"
  cp "$PEERFS_HELPERS/helper_badfuse" "$work/c/$name/upper/badfuse"
  imitate "$name" -- sh -c "cd /work; $*"
}

is_ready ()
{
  pod_until 300 grep -q ready "$work/c/$1/log" || failed "$1 gets ready" "$(cat "$work/c/$1/log")"
}

end_of ()
{
  kill -KILL "$1"
  wait "$1" 2>/dev/null
}

# soon WHAT COMMAND...: the command succeeds, and waits for nothing.
soon ()
{
  local what=$1
  shift
  check "$what" timeout -s KILL 10 "$@"
}

everybody_else_is_served ()
{
  soon "$1: /peers is listed" ls -l "$mnt"
  soon "$1: another peer's files are read" cmp "$mnt/calm/root/etc/passwd" "/proc/$calm/root/etc/passwd"
  soon "$1: another peer's environment" cat "$mnt/calm/env/PATH"
  soon "$1: another peer's mappings and sockets" ls -R "$mnt/calm/maps" "$mnt/calm/sockets"
}

hostile calm exec sleep infinity
calm=$imitated_pid
