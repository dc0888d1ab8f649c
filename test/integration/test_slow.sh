#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A local disk that takes its time, and files under a lease: whoever comes waits, as he would in the peer.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

truncate -s 16M "$work/image"
mkfs.ext4 -q "$work/image" || abandon "an image is made"
mkdir -p "$work/c/slow/upper/slow/disk"
imitate calm -- sleep infinity
calm=$imitated_pid
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
check "slow" timeout -s KILL 100 python3 -B "$test_dir/helpers/slow.py" "$mnt/slow/root/slow" "$root/slow"
fsfreeze -u "$root/slow/disk" 2>/dev/null

# More callers than there are threads wait for a lease that nobody gives up.
setsid python3 - "$root/slow/kept" "$mnt/slow/root/slow/kept" >"$work/crowd" <<'EOF' &
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o644)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
for i in range(900):
    if os.fork() == 0:
        os.close(file)
        os.close(os.open(sys.argv[2], os.O_RDONLY))
        os._exit(0)
time.sleep(1)
print("waiting", flush=True)
signal.pause()
EOF
crowd=$!
check "900 callers come to a lease" pod_until 300 grep -q waiting "$work/crowd"
check "others are served meanwhile" timeout -s KILL 10 cmp "$mnt/calm/root/etc/passwd" "/proc/$calm/root/etc/passwd"
kill -KILL "$crowd"
wait "$crowd" 2>/dev/null
check "and so is the file, once its lease has ended" timeout -s KILL 60 cat "$mnt/slow/root/slow/kept"
finish
