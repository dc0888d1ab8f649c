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
peerfs_nofile=4096
# What the kernel passes through waits for the disk without the daemon.
peerfs_start -o allow_other,passthrough=off
check "slow" timeout -s KILL 100 python3 -B "$test_dir/helpers/slow.py" "$mnt/slow/root/slow" "$root/slow"
fsfreeze -u "$root/slow/disk" 2>/dev/null

# More callers than there are threads wait for a lease that nobody gives up. Then 200 write a mebibyte each.
: >"$root/slow/locked"
flock "$root/slow/locked" sleep infinity &
holder=$!
perl -e 'use Fcntl ":flock"; open (my $f, "<", $ARGV[0]) or die; $SIG{USR1} = sub { exit 7 };
  open (my $o, ">", "$ARGV[1].open"); select (undef, undef, undef, 0.05) until -e "$ARGV[1].go";
  open ($o, ">", "$ARGV[1].asks"); flock ($f, LOCK_EX); exit 1' \
  "$mnt/slow/root/slow/locked" "$work/waiter" &
waiter=$!
pod_until 50 test -e "$work/waiter.open" || failed "a file is open"
setsid python3 -B "$test_dir/helpers/crowd.py" "$root/slow/kept" "$mnt/slow/root/slow" >"$work/crowd" &
crowd=$!
memory ()
{
  awk '$1 == "RssAnon:" { print $2 }' "/proc/$peerfs_pid/status"
}
check "900 callers come to a lease" pod_until 300 grep -q waiting "$work/crowd"
check "others are served meanwhile" timeout -s KILL 10 cmp "$mnt/calm/root/etc/passwd" "/proc/$calm/root/etc/passwd"
touch "$work/waiter.go"
pod_until 50 test -e "$work/waiter.asks"
sleep 0.3
kill -USR1 "$waiter"
before=$(memory)
kill -USR1 "$crowd"
check "what they write does not wait behind the crowd" pod_until 300 grep -q written "$work/crowd"
check_less "memory for it in kB" 80000 "$(($(memory) - before))"
kill -KILL "$crowd"
wait "$crowd" 2>/dev/null
check "and so is the file, once its lease has ended" timeout -s KILL 60 cat "$mnt/slow/root/slow/kept"
pod_until 100 eval '! kill -0 "$waiter" 2>/dev/null' || kill -KILL "$waiter"
wait "$waiter"
check_equal "a signal that came while a request waited for its turn ends the wait for a lock" 7 $?
kill -KILL "$holder"
finish
