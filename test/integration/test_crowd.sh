#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Among a thousand processes: what has started is in the next listing, what has ended is not.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

imitate crowd -- sh -c 'i=0; while [ $i -lt 1200 ]; do sleep 600 & i=$((i + 1)); done; wait'
crowd=$imitated_pid
crowd_is_there ()
{
  [ "$(pgrep -c -P "$crowd" -x sleep)" = 1200 ]
}
pod_until 300 crowd_is_there || abandon "a crowd gathers"
peerfs_start
check_output "the crowd's container" crowd ls "$mnt"

late=0 stale=0
for i in {1..25}; do
  imitate "c$i" -- sleep infinity
  pod_until 50 grep -qx sleep "/proc/$imitated_pid/comm" || abandon "the container's program starts"
  ls "$mnt" | grep -qx "c$i" || late=$((late + 1))
  kill -KILL "$imitated_pid"
  wait "$imitated_pid" 2>/dev/null
  ls "$mnt" | grep -qx "c$i" && stale=$((stale + 1))
done
check_equal "containers that the next listing did not show" 0 "$late"
check_equal "containers shown after their end" 0 "$stale"

check_equal "processes of the crowd" 1201 "$(ls "$mnt/crowd/pids" | wc -l)"
pgrep -P "$crowd" -x sleep | head -n 10 | xargs kill
pod_until 50 sh -c "[ \$(pgrep -c -P $crowd -x sleep) = 1190 ]" || abandon "ten of them end"
ls "$mnt" >/dev/null
check_equal "processes of the crowd that are left" 1191 "$(ls "$mnt/crowd/pids" | wc -l)"

# The next main process.
imitate heir -- sh -c 'sleep 600 & exec sleep 601'
pod_until 50 test -d "$mnt/heir" || abandon "the container is there"
first=$imitated_pid
pod_until 50 grep -qx sleep "/proc/$first/comm"
heir=$(pgrep -P "$first" -x sleep)
ls "$mnt" >/dev/null
kill -KILL "$first"
wait "$first" 2>/dev/null
check_output "the container goes on with its next process" "crowd heir" sh -c "ls '$mnt' | xargs"
check_output "as its main process" "$heir" cat "$mnt/heir/pid"
finish
