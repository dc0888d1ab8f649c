#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A peer changes its tree while others work on it through the mount: whatever they meet, no error but those of a path
# that has gone, no byte of another file, nothing from outside; and when it is calm again both sides are the same.
# FSLIVE_SECONDS (8) is for longer runs.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
use_seed

FSLIVE=${FSLIVE:-${PEERFS_HELPERS:-.}/diff/fslive}
[ -x "$FSLIVE" ] || abandon "fslive is built beside peerfs" "FSLIVE=$FSLIVE"

# The tree is an overlay of its own, so that its files are copied up, with the folder for new files beside it.
imitate live -- sh -c 'mkdir /lower /upper /work /tree; exec sleep infinity'
pod_until 50 test -d "/proc/$imitated_pid/root/tree" || abandon "the container is ready"
root=/proc/$imitated_pid/root
mkdir "$root/layers"
nsenter -t "$imitated_pid" -m mount -t tmpfs tmpfs /layers
mkdir "$root"/layers/{lower,upper,work} "$root/layers/lower/tree" "$root/layers/lower/stage"
"$FSLIVE" --prepare "$root/layers/lower/tree" || abandon "the tree is made"
nsenter -t "$imitated_pid" -m mount -t overlay -o lowerdir=/layers/lower,upperdir=/layers/upper,workdir=/layers/work \
  overlay /tree || abandon "the tree is mounted"
mkdir "$work/outside" && echo OUTSIDE >"$work/outside/secret"
export FSLIVE_OUTSIDE=$work/outside
peerfs_start -o allow_other

output=$("$FSLIVE" "$mnt/live/root/tree/tree" "$root/tree/tree" "$mnt/live/root/tree/stage" "$root/tree/stage" \
  "${FSLIVE_SECONDS:-8}" "$seed" 2>&1)
status=$?
if [ "$status" = 0 ]; then
  passed "$(tail -n 1 <<<"$output")"
else
  failed "the invariants hold" "$output"
fi
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
