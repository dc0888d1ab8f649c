#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The symlink oracle: random links in random trees lead through /peers/x/root where they lead in a chroot of the peer:
# the same object or errno by stat(2), the same path or errno by realpath(3); for root, and for a user whom some
# directories are closed to. PEERFS_SEED repeats a run, PEERFS_LINKS is the number of links.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

use_seed
links=${PEERFS_LINKS:-10000}
trees=10
user=12345
helper=${PEERFS_HELPERS:?the folder of the helper programs}/helper_links

mkdir -p "$work/c/x/upper"
for tree in $(seq "$trees"); do
  "$helper" make "$work/c/x/upper" "t$tree" "$((seed + tree))" "$((links / trees))" >"$work/paths.$tree" ||
    abandon "a random tree is made"
done
imitate x -- setpriv --reuid $user --regid $user --clear-groups sleep infinity
direct=/proc/$imitated_pid/root
peerfs_start -o allow_other
made=$(find "$direct/" -mindepth 2 -path "$direct/t[0-9]*" -type l | wc -l)
check "there are $links links ($made)" test "$made" -ge "$links"

for as in 0 $user; do
  for tree in $(seq "$([ "$as" = 0 ] && echo "$trees" || echo 3)"); do
    "$helper" resolve "$direct" chroot "$as" <"$work/paths.$tree" >>"$work/expected.$as"
    "$helper" resolve "$mnt/x/root" "$as" <"$work/paths.$tree" >>"$work/found.$as"
  done
done

# Links before a ".." were followed by the daemon: the caller's kernel does not count them. So a path of more than 40
# links may lead somewhere through the mount (docs/limits.md), and only that.
for as in 0 $user; do
  diff "$work/expected.$as" "$work/found.$as" >"$work/diff.$as"
  known=$(grep -c '^< .* ELOOP$\|^< .*: ELOOP' "$work/diff.$as")
  sed -n 's/^< \(.*\): .*ELOOP.*/\1/p' "$work/diff.$as" >"$work/known.$as"
  unknown=$(grep '^[<>]' "$work/diff.$as" | grep -v -F -f <(sed 's/^/ /; s/$/: /' "$work/known.$as") | head -n 20)
  total=$(wc -l <"$work/expected.$as")
  check_equal "$total paths lead where they lead in a chroot, as user $as" "" "$unknown"
  check_less "paths of more than 40 links that lead somewhere" "$((total / 100))" "$known"
  for answer in @ ENOENT ELOOP ENOTDIR ENAMETOOLONG $([ "$as" = 0 ] || echo EACCES); do
    count=$(grep -c "$answer" "$work/expected.$as")
    check "$count times $answer" test "$count" -gt 0
  done
done
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
