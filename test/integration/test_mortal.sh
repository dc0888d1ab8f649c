#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A peer that ends during every operation, and a daemon that is to end while a caller waits for a dead mount.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

. "$(dirname -- "$0")/hostile.sh"

with_fuse="mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & until [ -e /mnt/program ]; do sleep 0.02; done"
badfuse ()
{
  badfuse=$(for p in $(cat "/proc/$1/task/$1/children"); do grep -l badfuse "/proc/$p/comm" | cut -d / -f 3; done)
}

peerfs_start

# --- ends in the middle of everything

for loop in "find '$mnt'" "tar cf - -C '$mnt' --exclude=./*/root/proc . | cat" "cat '$mnt'/mortal/env/*" \
  "cat '$mnt'/mortal/maps/maps '$mnt'/mortal/maps/smaps '$mnt'/mortal/maps/files/usr/bin/*" \
  "ls -lR '$mnt'/mortal/sockets" "dd if='$mnt/mortal/root/work/large' bs=64k" \
  "ls -l '$mnt'/mortal/pids/ '$mnt'/mortal/root/"; do
  sh -c "while [ ! -e '$work/enough' ]; do $loop; done" >/dev/null 2>>"$work/mortal.err" &
  loops+=($!)
done
for _ in {1..6}; do
  hostile mortal "echo \$\$ >/work/large; head -c 4M /dev/zero >>/work/large; exec sleep infinity"
  sleep 0.3
  end_of "$imitated_pid"
  rm -rf "$work/c/mortal"
done
: >"$work/enough"
pod_until 300 sh -c "! kill -0 ${loops[*]} 2>/dev/null" || failed "every loop ends"
wait "${loops[@]}"
sed 's/.*: //' "$work/mortal.err" | grep -v '^[0-9]' | sort | uniq -c | sort -rn | head -20 | sed 's/^/  seen: /'
check_equal "mortal: clean errors" "" "$(grep -v -e 'No such file or directory' -e 'Stale file handle' \
  -e 'Input/output error' -e 'No such process' -e 'file changed as we read it' -e 'socket ignored' \
  -e 'Exiting with failure' -e 'Invalid argument' -e 'File removed' -e 'file is the archive' \
  -e 'due to previous errors' -e records -e bytes -e 'Permission denied' \
  -e 'Cannot open: Operation not permitted' "$work/mortal.err" | head -n 20)"
everybody_else_is_served "at last"

# --- SIGTERM, while a caller waits for a dead mount

hostile last "$with_fuse; echo ready; exec sleep infinity"
is_ready last
badfuse "$imitated_pid"
kill -STOP "$badfuse"
timeout -s KILL 60 cat "$mnt/last/root/mnt/program" >/dev/null 2>&1 &
caller=$!
sleep 0.3
kill -TERM "$peerfs_pid"
pod_until 50 eval "! grep -q ' $mnt fuse' /proc/mounts" || failed "SIGTERM unmounts within 5 s"
kill -KILL "$badfuse" "$caller"
pod_until 50 peerfs_gone || failed "the daemon ends"
wait "$peerfs_pid"
check_equal "SIGTERM while a caller waits: exit status" 0 $?
peerfs_pid=
finish
