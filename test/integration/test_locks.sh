#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Locks are the peer's own: they exclude in both directions, wait, and can be interrupted.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

imitate other -- sleep infinity
mkdir "/proc/$imitated_pid/root/locks"
imitate locks -- sleep infinity
root=/proc/$imitated_pid/root
mkdir "$root/locks"
peerfs_start -o allow_other
check "locks" timeout 300 python3 -B "$test_dir/helpers/locks.py" "$mnt/locks/root/locks" "$root/locks" \
  "$mnt/other/root/locks"

# Who waits for a lock when the daemon ends: an error that programs know, and not one of the kernel's own (512).
python3 -c 'import fcntl, signal, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX), fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()' "$root/locks/last" >"$work/holder" &
holder=$!
pod_until 50 grep -q held "$work/holder" || failed "a process of the peer has locks"
waiters=()
for kind in lockf flock; do
  python3 -c 'import errno, fcntl, sys
file = open(sys.argv[1], "r+")
print("waits", end=" ", flush=True)
try:
    getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX)
except OSError as e:
    print(errno.errorcode.get(e.errno, e.errno))' "$mnt/locks/root/locks/last" "$kind" >"$work/$kind" 2>&1 &
  waiters+=($!)
done
pod_until 100 eval '[ "$(cat "$work/lockf" "$work/flock")" = "waits waits " ]' || failed "two wait for locks"
sleep 0.5
peerfs_stop
wait "${waiters[@]}"
kill -KILL "$holder"
check_equal "SIGTERM: what is said to who waits for a POSIX lock" "waits ECONNABORTED" "$(cat "$work/lockf")"
check_equal "SIGTERM: what is said to who waits for a flock" "waits ECONNABORTED" "$(cat "$work/flock")"
finish
