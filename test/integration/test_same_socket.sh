#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two containers in one network namespace that listen at the same path: each has its own socket, and it alone.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

for name in left right; do
  imitate "$name" -- redis-server --port 0 --unixsocket /var/run/app.sock --save '' --dir /tmp
done
peerfs_start

for name in left right; do
  check "$name listens" pod_until 50 test -e "$mnt/$name/sockets/app.sock"
  check_output "$name: its socket, at both places" \
    "$mnt/$name/sockets/app.sock"$'\n'"$mnt/$name/sockets/var/run/app.sock" \
    sh -c "find '$mnt/$name/sockets' -type l | sort"
  check_output "$name: set" OK redis-cli -s "$mnt/$name/sockets/app.sock" set who "$name"
done
for name in left right; do
  for path in sockets/app.sock sockets/var/run/app.sock root/run/app.sock root/var/run/app.sock; do
    check_output "$name answers by $path" "$name" redis-cli -s "$mnt/$name/$path" get who
  done
  check_equal "$name: mode of a mirrored directory" "755 0" "$(stat -c '%a %u' "$mnt/$name/sockets/var")"
done
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
