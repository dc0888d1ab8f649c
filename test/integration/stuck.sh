# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced after hostile.sh: callers that wait for a mount that does not answer, and others that work meanwhile.

# stuck NAME SIGNAL [N [WITHOUT...]]: sends the signal to $badfuse, the server of NAME's mount, and lets processes wait
# for the mount: one for each kind of request, or N of all kinds but those. "KIND PID" of each is in $work/stuck. The
# mount is on /mnt, or in $stuck_in; "{}" in that is the number of each.
stuck ()
{
  local name=$1 signal=$2
  shift 2
  rm -f "$work/stuck"
  python3 "$test_dir/helpers/stuck.py" "$mnt/$name/root/${stuck_in:-mnt}" "$mnt/$name" "$@" >"$work/stuck" 2>&1 &
  pod_until 200 grep -qx prepared "$work/stuck" || failed "every kind is prepared" "$(cat "$work/stuck")"
  check_equal "$name: what could not be prepared" "" "$(grep '^#' "$work/stuck")"
  kill "-$signal" "$badfuse"
  kill -USR1 $!
  wait $!
  sleep 0.3
}

# Prints those of the kinds that are still there.
still_there ()
{
  local name pid
  while read -r name pid; do
    [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null || echo "$name"
  done <"$work/stuck"
}

# A process that has the file open for writing waits at its end for the close: the kernel lets nothing interrupt that.
writers="close-dirty close-locked copy fallocate flush ftruncate unlock write"

# stuck_killed WHAT: all of them end at once when they are killed.
stuck_killed ()
{
  local before
  awk 'NF == 2 { print $2 }' "$work/stuck" | xargs kill -KILL 2>/dev/null
  before=$(milliseconds)
  while [ -n "$(still_there)" ] && [ $(($(milliseconds) - before)) -lt 5000 ]; do sleep 0.02; done
  check_equal "$1: who cannot be killed" "" "$(still_there | xargs)"
  check_less "$1: milliseconds until they are gone" 1000 $(($(milliseconds) - before))
}

# stuck_until_sigterm WHAT: SIGTERM unmounts even if callers wait; then they end.
stuck_until_sigterm ()
{
  before=$(milliseconds)
  kill -TERM "$peerfs_pid"
  pod_until 50 eval "! grep -q ' $mnt fuse' /proc/mounts" || failed "SIGTERM unmounts within 5 s"
  check_less "$1: milliseconds until it is unmounted" 3000 $(($(milliseconds) - before))
  while [ -n "$(still_there)" ] && [ $(($(milliseconds) - before)) -lt 5000 ]; do sleep 0.02; done
  check_equal "SIGTERM: callers still wait" "" "$(still_there | xargs)"
}

# daemon_ends WHAT: the daemon ends once the server of the mount is gone.
daemon_ends ()
{
  kill -KILL "$badfuse"
  pod_until 50 peerfs_gone || failed "$1"
  wait "$peerfs_pid"
  check_equal "SIGTERM while callers wait: exit status" 0 $?
  peerfs_pid=
  kill -TERM "$control_pid"
}

# Starts another daemon, which no caller waits for, on $work/control.
start_control ()
{
  mkdir "$work/control"
  "$PEERFS" -f "$work/control" >>"$work/control.log" 2>&1 </dev/null &
  control_pid=$!
  pod_until 100 eval 'ls "$work/control" 2>&1 | grep -qx calm' ||
    abandon "another daemon mounts" "$(cat "$work/control.log")"
}

# others WHAT [SECONDS]: callers in another container are served while many wait, as by that other daemon.
others ()
{
  local said
  if said=$(timeout -s KILL 60 python3 -B "$test_dir/helpers/others.py" \
    "$1" "$work/control" "$mnt" "${2:-2}" calm 2>&1); then
    passed "${said#ok - }"
  else
    failed "$1: others are served" "$said"
  fi
}

