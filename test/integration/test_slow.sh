#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A local disk that takes its time, and files under a lease: whoever comes waits, as he would in the peer.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

truncate -s 16M "$work/image"
mkfs.ext4 -q "$work/image" || abandon "an image is made"
mkdir -p "$work/c/slow/upper/slow/disk"
imitate slow -- sleep infinity
root=/proc/$imitated_pid/root
loop=$(losetup --find --show "$work/image") || abandon "a loop device is there"
mknod "$root/slow/loop" b $((0x$(stat -c %t "$loop"))) $((0x$(stat -c %T "$loop")))
nsenter --target "$imitated_pid" --mount mount -t ext4 /slow/loop /slow/disk
mounted=$?
losetup --detach "$loop" # once it is unmounted
[ "$mounted" = 0 ] || abandon "the disk is mounted"
: >"$root/slow/other"
peerfs_start -o allow_other
check "slow" timeout -s KILL 100 python3 "$test_dir/helpers/slow.py" "$mnt/slow/root/slow" "$root/slow"
fsfreeze -u "$root/slow/disk" 2>/dev/null
finish
