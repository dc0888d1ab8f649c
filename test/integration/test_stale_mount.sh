#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ends of a daemon: signals unmount, a killed one leaves a dead mount that the next one clears.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

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

# Without -f it returns once the mount answers.
check "as a daemon" "$PEERFS" "$mnt"
check_output "answers at once" one ls "$mnt"
umount "$mnt"
check "no daemon stays" pod_until 50 sh -c '! pgrep -x peerfs'
finish
