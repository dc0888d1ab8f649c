#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same random operations through the mount and directly, by several users: whatever they show must be the same.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
use_seed

FSDIFF=${FSDIFF:-${PEERFS_HELPERS:-.}/diff/fsdiff}
[ -x "$FSDIFF" ] || abandon "fsdiff is built beside peerfs" "FSDIFF=$FSDIFF"

# $work is a tmpfs; FSDIFF_UPPER is an empty folder on another filesystem to have the container's upper layer on.
if [ -n "${FSDIFF_UPPER:-}" ]; then
  mkdir -p "$work/c/twin" && mount --bind "$FSDIFF_UPPER" "$work/c/twin" || abandon "FSDIFF_UPPER can be used"
fi
imitate twin -- sleep infinity
# When something was read is what only this mount's own reads change; docs/limits.md.
nsenter -t "$imitated_pid" -m mount -o remount,bind,noatime / || abandon "the container's root takes noatime"
root=/proc/$imitated_pid/root
mkdir "$root/mount" "$root/direct"
peerfs_start -o "allow_other,special=node,symlinks=raw${FSDIFF_OPTIONS:+,$FSDIFF_OPTIONS}"

# What the kernel does not pass through has no shared mappings.
maps=--no-shared-maps
! grep -q 'event=mounted .*passthrough=on' "$work/peerfs.log" || maps=

# differ WHAT ARGUMENT...
differ ()
{
  local what=$1 log=$work/fsdiff.log
  shift
  set -- ${maps:+"$maps"} "$@"
  if "$FSDIFF" --mount "$mnt/twin/root/mount" --direct "$root/direct" --below "$root/mount" --no-holes "$@" \
      >"$log" 2>&1; then
    passed "$what: $(tail -n 1 "$log")"
  else
    failed "$what" "$(cat "$log")"
  fi
}

if [ -n "${FSDIFF_ARGS:-}" ]; then   # FSDIFF_OPTIONS: more options of the mount
  # shellcheck disable=SC2086
  differ "as asked for ($FSDIFF_ARGS)" $FSDIFF_ARGS
else
  # What is left out is known to differ; docs/limits.md. So many rounds: a faster machine meets nothing else.
  skip=open_path,mkfifo,zero_range
  rounds=60
  ! sanitized || rounds=20
  differ "a fixed seed" --seed 1 --rounds "$rounds" --seconds 60 --skip "$skip"
  differ "seed $seed" --seed "$seed" --rounds "$rounds" --seconds 60 --skip "$skip"
  # Links that have several names and lose some of them are rare among all kinds.
  differ "names alone" --seed "$seed" --rounds "$((rounds / 2))" --seconds 30 --only \
    unlink,mkdir,rmdir,rename,rename_noreplace,rename_exchange,link,symlink,readlink,mknod,same_file,stat,lstat,readdir
fi
finish
