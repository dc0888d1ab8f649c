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
finish
