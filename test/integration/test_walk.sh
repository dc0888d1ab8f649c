#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# find and tar over a root of 50,000 files, with few descriptors for the daemon: no error that the same walk of
# /proc/<pid>/root would not give, and little memory.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
helper=${PEERFS_HELPERS:?the folder of the helper programs}/helper_caller

# Errors of a walk, made comparable: paths start at the container's root, process and descriptor numbers are N. Files of
# procfs come and go with processes and descriptors, those of the walk included: what tar says of that depends on luck
# in both walks.
errors ()
{
  sed -e "s#$mnt/big/root##g; s#/proc/$imitated_pid/root##g; s#//#/#g; s/[0-9][0-9]*/N/g" "$1" |
    grep -v -E '^tar: (\./)?proc/.*: File removed before we read it$' | sort -u
}

compare_errors ()
{
  local new
  new=$(comm -13 <(errors "$2") <(errors "$3"))
  if [ -z "$new" ]; then
    passed "$1"
  else
    failed "$1" "$(head -n 20 <<<"$new")" "... of $(wc -l <<<"$new") kinds"
  fi
}

mkdir -p "$work/c/big/upper/data"
(cd "$work/c/big/upper/data" && for i in {1..500}; do mkdir "$i" && (cd "$i" && touch file-{1..100}); done)
echo content | tee "$work"/c/big/upper/data/*/file-1 >/dev/null
imitate big -- sleep infinity
peerfs_nofile=256 peerfs_start
direct=/proc/$imitated_pid/root

# Of procfs below root/ nothing but its directory is shown.
find "$direct/" -path "$direct/proc/*" -prune -o -print >"$work/find.direct" 2>"$work/find.direct.err"
find "$mnt" -xdev >"$work/find.peers" 2>"$work/find.peers.err"
compare_errors "find /peers -xdev: no new error" "$work/find.direct.err" "$work/find.peers.err"
check_equal "find sees every file of data/" 50501 "$(grep -c "^$mnt/big/root/data" "$work/find.peers")"
# Mounts too.
check_equal "find sees the same tree" "" "$(diff <(sed "s#^$direct/##" "$work/find.direct" | sort) \
  <(sed -n "s#^$mnt/big/root/##p" "$work/find.peers" | sort) | grep '^[<>] .' | head -n 20)"
check_equal "find -printf inode: one inode number a file" "" \
  "$(find "$mnt/big/root/usr" "$mnt/big/root/data" "$mnt/big/root/dev" -links 1 -printf '%i\n' |
    sort | uniq -d | head -n 3)"
# ".." of the mount itself is outside.
find "$mnt" -mindepth 1 -type d -print 2>/dev/null | grep -v ' ' >"$work/directories"
sed 's/^/numbers /' "$work/directories" | "$helper" | fold -w 1 >"$work/numbers"
check_equal "listings tell the numbers that stat gives" "" \
  "$(paste -d ' ' "$work/numbers" "$work/directories" | grep -v '^+ ' | head)"

tar cf /dev/null -C "$direct/" . 2>"$work/tar.direct.err"
tar cf /dev/null -C "$mnt/big/root" . 2>"$work/tar.peers.err"
compare_errors "tar cf /dev/null: no new error" "$work/tar.direct.err" "$work/tar.peers.err"

# GNU tar reads nothing when it sees that its output is /dev/null. Procfs is empty below root/.
tar cf - -C "$direct/" --exclude=./proc . 2>"$work/tar.direct.err" | tar tf - | sort >"$work/tar.direct"
tar cf - -C "$mnt/big/root" --exclude=./proc . 2>"$work/tar.peers.err" | tar tf - | sort >"$work/tar.peers"
compare_errors "tar with contents: no new error" "$work/tar.direct.err" "$work/tar.peers.err"
check_equal "tar has the same files" "" "$(diff "$work/tar.direct" "$work/tar.peers" | head)"

descriptors=$(find "/proc/$peerfs_pid/fd" -mindepth 1 | wc -l)
check_less "descriptors of the daemon after the walks" 200 "$descriptors"
memory=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$peerfs_pid/status")
if sanitized; then
  echo "PEAK MEMORY NOT CHECKED: this binary has sanitizers in it (VmHWM $memory kB)"
else
  check_less "peak memory in kB" $((64 * 1024)) "$memory"
fi

# Once the kernel has forgotten the files, their memory goes back to the system.
request_threads ()
{
  grep -l -x request "/proc/$peerfs_pid/task"/*/comm 2>/dev/null | sort
}
sync
echo 2 >/proc/sys/vm/drop_caches
check_output "they answer" content cat "$mnt/big/root/data/7/file-1"
# Those that came for a burst go one by one, with the requests that come after it.
few_threads ()
{
  cat "$mnt/big/root/data/7/file-1" >/dev/null && [ "$(request_threads | wc -l)" -lt 8 ]
}
check "fewer than eight threads wait for requests then" pod_until 50 few_threads
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
