#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ends of a daemon: signals unmount, a killed one leaves a dead mount that the next one clears.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# How many daemons there are, whatever the binary is called.
daemons ()
{
  local name=${PEERFS##*/}
  pgrep -c -x "${name:0:15}"
}

daemons_are ()
{
  [ "$(daemons)" = "$1" ]
}

mounts ()
{
  grep -c " $mnt fuse" /proc/mounts
}

imitate one -- sleep infinity

for signal in TERM INT HUP; do
  peerfs_start
  check_output "a mount before SIG$signal" one ls "$mnt"
  peerfs_stop "$signal"
  check_equal "SIG$signal: exit status" 0 "$peerfs_status"
  check_equal "SIG$signal: unmounted" 0 "$(mounts)"
done

# With a file and a cwd open in it, as a deleted pod has.
peerfs_start
sh -c 'exec 3<"$1/one/root/etc/passwd"; cd "$1/one/root/etc"; sleep 30' sh "$mnt" &
busy=$!
sleep 0.3
peerfs_stop TERM
check_equal "SIGTERM while busy: exit status" 0 "$peerfs_status"
check_equal "SIGTERM while busy: unmounted" 0 "$(mounts)"
kill "$busy"

peerfs_start
kill -KILL "$peerfs_pid"
wait "$peerfs_pid" 2>/dev/null
check "a killed daemon leaves a dead mount" sh -c "LC_ALL=C ls '$mnt' 2>&1 | grep -q 'not connected'"
peerfs_start
check_output "the next one serves" one ls "$mnt"
check_equal "one mount" 1 "$(mounts)"
umount "$mnt"
check "umount ends the daemon" pod_until 50 peerfs_gone
wait "$peerfs_pid"
check_equal "umount: exit status" 0 $?
peerfs_pid=

# What the manifests' livenessProbe does: it notices a stopped daemon, and has an answer from a busy one.
peerfs_start
timeout 10 find "$mnt" -xdev -name x >/dev/null 2>&1 & timeout 10 grep -r -q y "$mnt"/one/root/usr 2>/dev/null &
check_output "a busy daemon answers a probe" "$imitated_id" timeout 10 cat "$mnt/one/id"
kill -STOP "$peerfs_pid"
timeout 1 cat "$mnt/one/id"
check_equal "a stopped one does not" 124 $?
kill -CONT "$peerfs_pid"
check_output "and does again" "$imitated_id" timeout 10 cat "$mnt/one/id"
kill %?find %?grep 2>/dev/null
peerfs_stop

# What somebody else mounts there is not ours to take away: not below a mount that he took away, not after it.
mount -t tmpfs tmpfs "$mnt"
touch "$mnt/below"
peerfs_start -o nonempty
umount "$mnt"
check "umount over another mount ends the daemon" pod_until 50 peerfs_gone
wait "$peerfs_pid"
check_output "umount: the mount below stays" below ls "$mnt"
peerfs_start -o nonempty
exec 3<"$mnt/one/root/etc/passwd"
umount -l "$mnt"
peerfs_stop TERM
exec 3<&-
check_equal "SIGTERM after umount -l: exit status" 0 "$peerfs_status"
check_output "SIGTERM after umount -l: the mount below stays" below ls "$mnt"
umount "$mnt"
lost=0
for _ in {1..40}; do
  "$PEERFS" "$mnt"
  umount "$mnt" || lost=$((lost + 1))
done
check_equal "mounts right after an umount that were gone" 0 "$lost"
"$PEERFS" "$mnt"
check "daemons before it end" pod_until 50 daemons_are 1
check_output "a mount made right after an umount stays" one ls "$mnt"
umount "$mnt"
check "the last one ends" pod_until 50 daemons_are 0

# Aborted by hand, a connection leaves its mount to us.
mkdir "$work/control"
mount -t fusectl fusectl "$work/control"
peerfs_start
stat "$mnt" >/dev/null
echo 1 >"$work/control/$(mountpoint -d "$mnt" | cut -d : -f 2)/abort"
check "an abort ends the daemon" pod_until 50 peerfs_gone
wait "$peerfs_pid"
peerfs_pid=
check_equal "abort: unmounted" 0 "$(mounts)"

# Without -f it returns once the mount answers.
check "as a daemon" "$PEERFS" "$mnt"
check_output "answers at once" one ls "$mnt"
umount "$mnt"
check "no daemon stays" pod_until 50 daemons_are 0
finish
