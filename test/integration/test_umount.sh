#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nothing of a peer is held: a volume that was just read through /peers can be unmounted in the peer.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

imitate vol -- sh -c 'mkdir /data && mount -t tmpfs tmpfs /data && mkdir /data/sub &&
  echo one >/data/sub/file && exec sleep infinity'
peerfs_start
check "the volume is there" pod_until 50 test -s "$mnt/vol/root/data/sub/file"

for round in 1 2 3; do
  check_output "round $round: read" one cat "$mnt/vol/root/data/sub/file"
  check_output "round $round: list" file ls "$mnt/vol/root/data/sub"
  ls -lR "$mnt/vol/root/data" >/dev/null
  find "$mnt/vol/root/etc" -type f -exec head -c 1 {} + >/dev/null 2>&1
  # What was read last is kept for a while.
  check_output "round $round: read again" one cat "$mnt/vol/root/data/sub/file"
  before=$(milliseconds)
  pod_until 30 nsenter -t "$imitated_pid" -m umount /data 2>/dev/null
  check_less "round $round: milliseconds until umount succeeds" 1100 $(($(milliseconds) - before))
  check "round $round: unmounted" nsenter -t "$imitated_pid" -m sh -c '! grep -q " /data " /proc/self/mounts'
  check_output "round $round: the folder below is empty" "" ls -A "$mnt/vol/root/data"
  nsenter -t "$imitated_pid" -m sh -c 'mount -t tmpfs tmpfs /data && mkdir /data/sub && echo one >/data/sub/file'
  check "round $round: a new volume is seen" pod_until 20 test -s "$mnt/vol/root/data/sub/file"
done

# A container that ends while its files are cached.
kill -KILL "$imitated_pid"
wait "$imitated_pid" 2>/dev/null
before=$(milliseconds)
while [ -e "$mnt/vol" ] && [ $(($(milliseconds) - before)) -lt 2000 ]; do sleep 0.01; done
check_less "milliseconds until a dead peer is gone" 300 $(($(milliseconds) - before))
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
