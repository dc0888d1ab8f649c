#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A peer whose descriptor is now a socket and now a file of its own FUSE server, which answers no close but the peer's.
# To ask where the socket's file is may take that file instead. Nobody waits for that: no caller, no other container,
# and no command's end.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
. "$test_dir/hostile.sh"

BADFUSE_OWN=1 hostile exchanger "mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & \
  until [ -e /mnt/program ]; do sleep 0.02; done; exec /hostile exchange /mnt/program"
exchanger=$imitated_pid
is_ready exchanger
badfuse=$(pgrep -P "$exchanger" -x badfuse)

# Only the kernel knows where this socket's file is.
hostile moved "mkdir /a /b; exec perl -MSocket -e 'my \$s; socket (\$s, AF_UNIX, SOCK_STREAM, 0) \
  && bind (\$s, sockaddr_un (\"/a/s\")) && listen (\$s, 1) && rename (\"/a/s\", \"/b/s\") or die; \
  \$| = 1; print \"ready\"; sleep'"
is_ready moved

# --- commands: what they leave behind is a process of its own, called "patience"

left_behind ()
{
  pgrep -c -x patience
}

gone ()
{
  ! kill -0 "$1" 2>/dev/null
}

# A thread that waits in the kernel stops LeakSanitizer, too.
no_leaks="ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0"

for ((i = 0; i < 40 && $(left_behind) == 0; i++)); do
  env "$no_leaks" "$PEERFS" --list --json >"$work/json" 2>&1 &
  pod_until 80 gone $! || { failed "--list --json ends although a close does not"; break; }
  check "--list --json prints the others' sockets" grep -q '"b/s"' "$work/json"
done
check "--list --json: a descriptor was exchanged in time" test "$(left_behind)" -gt 0

before=$(left_behind)
env "$no_leaks" "$PEERFS" --links "$work/links" >"$work/links.log" 2>&1 &
links=$!
check "--links: a descriptor was exchanged in time" pod_until 200 eval '[ "$(left_behind)" -gt "$before" ]'
kill -TERM "$links"
check "--links ends although a close does not" pod_until 80 gone "$links"

# --- the daemon

peerfs_start
for ((i = 0; i < 100; i++)); do
  timeout -s KILL 10 ls "$mnt/exchanger/sockets" >/dev/null || break
done
check_equal "listings of the socket that came to their end" 100 "$i"
check "a descriptor was exchanged in time" sh -c "cat /proc/$peerfs_pid/task/*/comm | grep -q patience"
check_less "threads that are lost" 4 "$(cat "/proc/$peerfs_pid"/task/*/comm | grep -c patience)"
everybody_else_is_served "while a close waits"
check_output "others' sockets are found by the kernel's word" s ls "$mnt/moved/sockets/b"
check_less "descriptors that are held" 60 "$(find "/proc/$peerfs_pid/fd" -mindepth 1 | wc -l)"

# What a lost thread waits for, the daemon does at its end, too.
kill -KILL "$badfuse"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
check "nothing is left behind once the server has ended" pod_until 50 eval '[ "$(left_behind)" = 0 ]'
end_of "$exchanger"
finish
