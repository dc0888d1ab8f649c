#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several users write one file that all of them have open, one way or another: through the mount it becomes what it
# becomes directly.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

imitate writers -- sleep infinity
root=/proc/$imitated_pid/root
mkdir "$root/direct" "$root/mounted"
peerfs_start -o allow_other
timeout 60 python3 "$test_dir/helpers/writers.py" "$root/direct" >"$work/direct" 2>&1
check "directly" [ $? = 0 -a -s "$work/direct" ]
timeout 60 python3 "$test_dir/helpers/writers.py" "$mnt/writers/root/mounted" >"$work/mounted" 2>&1
check "through the mount" [ $? = 0 ]
check "the same became of $(wc -l <"$work/direct") files" diff "$work/direct" "$work/mounted"
{
  printf one- >&3
  printf two- >>"$root/mounted/log"
  printf three >&3
} 3>>"$mnt/writers/root/mounted/log"
check_equal "who appends does so after what the peer has appended" one-two-three "$(cat "$root/mounted/log")"
finish
