#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A peer whose descriptor is now a socket and now a file of its own FUSE server, which answers no close but the peer's: who
# asks where the socket's file is may get that file, and waits for nothing.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
. "$test_dir/hostile.sh"

BADFUSE_OWN=1 hostile exchanger "mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & until [ -e /mnt/program ]; do sleep 0.02; done; \
  exec /hostile exchange /mnt/program"
exchanger=$imitated_pid
is_ready exchanger
badfuse=$(pgrep -P "$exchanger" -x badfuse)
peerfs_start

# Its thread that closes is left alone after a second, and no more than eight are.
for ((i = 0; i < 40; i++)); do
  timeout -s KILL 10 ls "$mnt/exchanger/sockets" >/dev/null || break
done
check_equal "listings of the socket that came to their end" 40 "$i"
check "a descriptor was exchanged in time" sh -c "cat /proc/$peerfs_pid/task/*/comm | grep -q patience"
check_less "threads that are lost" 10 "$(cat "/proc/$peerfs_pid"/task/*/comm | grep -c patience)"
everybody_else_is_served "while a close waits"
check_less "descriptors that are held" 60 "$(find "/proc/$peerfs_pid/fd" -mindepth 1 | wc -l)"

# What a lost thread waits for, the process does at its end, too.
kill -KILL "$badfuse"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
end_of "$exchanger"
finish
