#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mount inside a peer whose server does not answer any more: more callers wait for it than the daemon would have
# threads for. Nobody else waits, each of them can be killed, and all is well once it answers or is gone.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

. "$(dirname -- "$0")/hostile.sh"
. "$(dirname -- "$0")/stuck.sh"

with_fuse="mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & until [ -e /mnt/program ]; do sleep 0.02; done"

# dead NAME SIGNAL: a peer with a dead mount on /mnt, $dead; SIGNAL is what ends its answers, $badfuse its server.
dead ()
{
  hostile "$1" "$with_fuse; mkdir /data; echo data >/data/file; echo ready; exec sleep infinity"
  dead=$imitated_pid
  is_ready "$1"
  badfuse=$(pgrep -P "$dead" -x badfuse)
  cat "$mnt/$1/root/mnt/program" >/dev/null
  kill "-$2" "$badfuse"
}

# callers NAME N: starts N callers who wait for NAME's dead mount, each in its own way; their numbers in $callers.
callers ()
{
  local at=$mnt/$1/root/mnt ways i
  ways=("cat $at/program" "ls -l $at/" "stat $at/program" "touch $at/new" "mkdir $at/dir" "cp $at/program /dev/null")
  callers=()
  for ((i = 0; i < $2; i++)); do
    # shellcheck disable=SC2086
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' ${ways[i % ${#ways[@]}]} >/dev/null 2>>"$work/callers.err" &
    callers+=($!)
  done
}

waiting ()
{
  local p n=0
  for p in "${callers[@]}"; do
    kill -0 "$p" 2>/dev/null && n=$((n + 1))
  done
  echo "$n"
}

# killed WHAT: half of the callers by ^C, half by SIGKILL.
killed ()
{
  local half=$((${#callers[@]} / 2)) before
  before=$(milliseconds)
  kill -INT "${callers[@]:0:half}" 2>/dev/null
  kill -KILL "${callers[@]:half}" 2>/dev/null
  while [ "$(waiting)" -gt 0 ] && [ $(($(milliseconds) - before)) -lt 5000 ]; do sleep 0.02; done
  check_less "$1: milliseconds until killed callers are gone" 1000 $(($(milliseconds) - before))
  check_equal "$1: callers that cannot be killed" 0 "$(waiting)"
}

threads ()
{
  sed -n 's/^Threads:\t//p' "/proc/$peerfs_pid/status"
}

descriptors ()
{
  find "/proc/$peerfs_pid/fd" -type l | wc -l
}

the_rest_is_served ()
{
  everybody_else_is_served "$1"
  soon "$1: another directory of the same peer" grep -x data "$mnt/$2/root/data/file"
  soon "$1: the directory that the mount is in" ls "$mnt/$2/root"
  soon "$1: the peer's environment and mappings" cat "$mnt/$2/env/PATH" "$mnt/$2/maps/maps"
  soon "$1: what leads to mapped files" find "$mnt/$2/maps/files" -lname '*/map_files/*'
}

peerfs_start
cat "$mnt/calm/root/etc/passwd" >/dev/null
sleep 1.5
descriptors_before=$(descriptors)

for way in STOP USR2; do
  name=dead-${way,,}
  dead "$name" "$way"
  callers "$name" 48
  sleep 1.2
  check "$way: callers wait" test "$(waiting)" -ge 40 # the last ones may have been told already
  the_rest_is_served "$way, 48 wait" "$name"
  late=$(timeout -s KILL 30 cat "$mnt/$name/root/mnt/program" 2>&1 >/dev/null)
  check_equal "$way: one too many is told so" "cat: $mnt/$name/root/mnt/program: Device or resource busy" "$late"
  check "$way: and it is said" grep -q "event=stalled name=$name" "$work/peerfs.log"
  killed "$way"
  # Whoever tries and gives up, again and again, takes no more.
  for _ in {1..10}; do
    callers "$name" 12
    sleep 0.1
    kill -KILL "${callers[@]}" 2>/dev/null
  done
  pod_until 20 eval '[ "$(waiting)" = 0 ]' || failed "$way: the last callers are gone"
  wait "${callers[@]}" 2>/dev/null
  check_less "$way: threads" 120 "$(threads)"
  the_rest_is_served "$way, after 120 more" "$name"

  if [ "$way" = STOP ]; then
    kill -CONT "$badfuse"
    check "$way: answering again" pod_until 30 cmp "$mnt/$name/root/mnt/program" "$PEERFS_HELPERS/helper_hostile"
  fi
  kill -KILL "$badfuse"
  end_of "$dead"
  pod_until 50 eval '[ "$(threads)" -lt 12 ]'
  check_less "$way: threads when it is gone" 12 "$(threads)"
  sleep 1.5
  check_equal "$way: descriptors when it is gone" "$descriptors_before" "$(descriptors)"
done

# /proc/<pid>/status of a caller with thousands of groups is long. Its death is seen all the same.
dead dead-groups STOP
perl -e '$) = join " ", 0, 1000000 .. 1003000; exec @ARGV' cat "$mnt/dead-groups/root/mnt/program" >/dev/null 2>&1 &
callers=($!)
sleep 1.2
check_equal "a caller of 3000 groups waits" 1 "$(waiting)"
killed "a caller of 3000 groups"
kill -KILL "$badfuse"
end_of "$dead"

# mortal NAME: a peer with a mount on /mnt, whose server $badfuse can be stopped. Its main process, $dead, has a file of
# that mount mapped, and $listener listens at a socket beside it. A link that is not on the mount leads over it.
mortal ()
{
  hostile "$1" "$with_fuse; mkdir /data /links; echo data >/data/file; ln -s /mnt/program/../../data/file /links/over
    /hostile sockets 1 & exec /hostile map /mnt/program"
  dead=$imitated_pid
  pod_until 300 eval "[ \"\$(grep -c ready '$work/c/$1/log')\" = 2 ]" ||
    failed "$1 gets ready" "$(cat "$work/c/$1/log")"
  badfuse=$(pgrep -P "$dead" -x badfuse)
  listener=$(pgrep -P "$dead" -x hostile)
}

end_of_mortal ()
{
  kill -KILL "$badfuse" "$listener"
  pod_until 50 eval '[ -z "$(still_there)" ]' || failed "$1: all are gone once the mount is" "$(still_there)"
  end_of "$dead"
}

# A write lock, and a file opened only to read: both look into the table of locks.
lock_and_open='import fcntl, sys
with open(sys.argv[1], "r+") as f:
  fcntl.lockf(f, fcntl.LOCK_EX)
  open(sys.argv[1]).read()
  fcntl.lockf(f, fcntl.LOCK_UN)'
echo x >"/proc/$calm/root/tmp/lock"

for way in STOP USR2; do
  name=kinds-${way,,}
  mortal "$name"
  stuck "$name" "$way"
  the_rest_is_served "$way, every kind of request" "$name"
  soon "$way: locks of another peer" python3 -c "$lock_and_open" "$mnt/calm/root/tmp/lock"
  soon "$way: all containers are listed" "$PEERFS" --list
  awk 'NF == 2 { print $2 }' "$work/stuck" | xargs kill -KILL 2>/dev/null
  before=$(milliseconds)
  while still_there | grep -qvxF "${writers// /$'\n'}" && [ $(($(milliseconds) - before)) -lt 5000 ]; do
    sleep 0.02
  done
  check_equal "$way: kinds of requests whose callers cannot be killed" "" \
    "$(still_there | grep -vxF "${writers// /$'\n'}" | xargs)"
  check_less "$way: milliseconds until they are gone" 1000 $(($(milliseconds) - before))
  soon "$way: locks of another peer, after the kill" python3 -c "$lock_and_open" "$mnt/calm/root/tmp/lock"
  end_of_mortal "$way"
  pod_until 50 eval '! ls "$mnt" | grep -q "$name"' || failed "$way: the container's end is seen"
done

# A hundred at once, and others who work all the time: beside a daemon of their own, for whom nobody waits.
start_control
others "nobody waits" 1
for way in STOP USR2; do
  name=hundred-${way,,}
  mortal "$name"
  # shellcheck disable=SC2086 # several words
  stuck "$name" "$way" 150 $writers
  check_less "$way: a hundred wait at once" "$(still_there | wc -l)" 99
  others "$way, a hundred wait"
  # The mount has 32.
  pod_until 20 eval '[ "$(threads)" -lt $((32 + 12)) ]'
  check_less "$way: threads beside those who wait, while a hundred do" 12 "$(($(threads) - 32))"
  the_rest_is_served "$way, a hundred wait" "$name"
  check_output "$way: its sockets are listed" s0 ls "$mnt/$name/sockets/work"
  stat "$mnt/$name/root/links/over" >/dev/null &
  over=$!
  sleep 0.3
  check "$way: who looks where a link leads waits" kill -0 "$over"
  soon "$way: nobody else does who looks at that directory" ls "$mnt/$name/root/links"
  soon "$way: or changes it" touch "$mnt/$name/root/links/new"
  kill -KILL "$over"
  if [ "$way" = USR2 ]; then
    said=$(timeout -s KILL 60 "$PEERFS" --wait "$name/root/mnt/program" --timeout 0.1 2>&1)
    check_equal "$way: --wait gives up in time: status" 124 $?
    check_equal "$way: and says why" "$name/root/mnt/program cannot be looked at within 0.1 s" \
      "$(sed 's/^peerfs: //; s/: .*//' <<<"$said")"
  fi
  stuck_killed "$way, a hundred"
  others "$way, a hundred have been killed" 1
  end_of_mortal "$way"
done

# A container whose main process has its root on such a mount.
hostile rooted "$with_fuse; echo ready; until [ -e /work/go ]; do sleep 0.05; done; \
  cd /mnt; exec chroot /mnt /program map /program"
is_ready rooted
dead=$imitated_pid
ls "$mnt/rooted/root" >/dev/null
badfuse=$(pgrep -P "$dead" -x badfuse)
: >"/proc/$dead/root/work/go"
# A directory in use is held for a second.
pod_until 10 sh -c 'test -e "$1" || { sleep 1.5; exit 1; }' - "$mnt/rooted/root/program" ||
  failed "it has its root there"
# shellcheck disable=SC2086 # several words
stuck_in=. stuck rooted STOP 100 $writers
others "100 wait for a root that is dead"
pod_until 20 eval '[ "$(threads)" -lt $((64 + 12)) ]'
check_less "threads beside those who wait, while 100 wait for a root" 12 "$(($(threads) - 64))"
stuck_killed "100 wait for a root"
kill -KILL "$badfuse"
end_of "$dead"

# A hundred, and their container ends meanwhile; the server is none of its processes, and stays.
hostile outlived "mknod /dev/fuse c 10 229; echo ready; exec sleep infinity"
is_ready outlived
dead=$imitated_pid
nsenter --target "$dead" --mount --root="/proc/$dead/root" /badfuse /mnt /hostile &
pod_until 100 test -e "/proc/$dead/root/mnt/program" || failed "a mount from outside is there"
badfuse=$(pgrep -x badfuse)
# shellcheck disable=SC2086 # several words
stuck outlived STOP 150 $writers
end_of "$dead"
check "it ends while a hundred wait" pod_until 50 grep -q "event=ended name=outlived" "$work/peerfs.log"
others "it has ended, a hundred wait"
everybody_else_is_served "it has ended, a hundred wait"
stuck_killed "it has ended"
kill -KILL "$badfuse"

# hold FILE: a process, $!, that has it open for writing.
hold ()
{
  sleep infinity <>"$1" &
  pod_until 50 eval "[ \"\$(readlink /proc/$!/fd/0)\" = '$1' ]" || failed "$1 is held open"
}

# A container ends with a file open on a dead mount, whose server is none of its processes: whatever ends later is let
# go of all the same.
hostile host "mknod /dev/fuse c 10 229; echo ready; exec sleep infinity"
is_ready host
nsenter --target "$imitated_pid" --mount --root="/proc/$imitated_pid/root" /badfuse /mnt /hostile &
pod_until 100 test -e "/proc/$imitated_pid/root/mnt/program" || failed "a mount from outside is there"
badfuse=$(pgrep -x badfuse)
hold "$mnt/host/root/mnt/program"
holder=$!
kill -STOP "$badfuse"
end_of "$imitated_pid"
for name in after-1 after-2; do
  hostile "$name" "echo ready; exec sleep infinity"
  is_ready "$name"
  hold "$mnt/$name/root/hostile"
  holders=$!
  end_of "$imitated_pid"
  check "its end lets go of a file: $name" pod_until 50 grep -q "event=ended name=$name" "$work/peerfs.log"
  kill -KILL "$holders"
done
kill -KILL "$holder" "$badfuse"

# Callers who are killed while their request waits for a thread leave nothing behind: a sanitizer would say so.
peerfs_stop
peerfs_start
dead queued STOP
perl -e 'for (1..90) { next if fork; open (my $f, "<", "$ARGV[0]/program"); exec "true" } exec qw(sleep infinity)' \
  "$mnt/queued/root/mnt" &
queued ()
{
  pgrep -c -f "^perl.*$mnt/queued/root/mnt"
}
pod_until 50 eval '[ "$(queued)" = 90 ]' || failed "callers wait for the mount"
sleep 0.3
pkill -KILL -f "^perl.*$mnt/queued/root/mnt"
pod_until 50 eval '[ "$(queued)" = 0 ]' || failed "they are gone"
kill -KILL "$badfuse"
pod_until 50 eval '[ "$(threads)" -lt 12 ]'
peerfs_stop
check_equal "callers who were killed in the queue: exit status" 0 "$peerfs_status"

peerfs_start
mortal last
# shellcheck disable=SC2086
stuck last USR2 150 $writers
stuck_until_sigterm "SIGTERM while a hundred wait"
check_less "SIGTERM: milliseconds until none of them waits" 5000 $(($(milliseconds) - before))
daemon_ends "the daemon ends"
end_of "$dead"
finish
