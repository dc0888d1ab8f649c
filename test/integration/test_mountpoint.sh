#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where peerfs mounts is nobody else's choice, and hides nothing that is needed. A volume of the pod is on the way, in
# which user 101 and root of another container may do as they please.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# shellcheck disable=SC2046 # several words
export $(san_options "$work")
imitate one -- sleep infinity
volume=$work/volume
bin=$work/bin                   # what an attacker would like to be hidden
mkdir "$volume" "$bin" && touch "$bin/tool"
mount -t tmpfs -o mode=777 volume "$volume"

mounts ()
{
  grep -c ' fuse.peerfs ' /proc/mounts
}

# refused WHAT PART [OPTION...] MOUNTPOINT: one line that has this in it, and no mount.
refused ()
{
  local what=$1 part=$2 status=0 lines before
  shift 2
  before=$(mounts)
  timeout 20 "$PEERFS" -f "$@" >"$work/said" 2>&1 </dev/null || status=$?
  lines=$(wc -l <"$work/said")
  if [ "$status $lines $(mounts)" = "1 1 $before" ] && grep -q -F -- "$part" "$work/said"; then
    passed "$what"
  else
    failed "$what" "status: $status" "mounts: $before, then $(mounts)" "$(cat "$work/said")"
  fi
  while [ "$(mounts)" -gt "$before" ]; do
    umount -l "$(awk '$3 == "fuse.peerfs" { where = $2 } END { print where }' /proc/mounts)"
  done
}

accepted ()
{
  local what=$1
  shift
  check "$what" timeout 20 "$PEERFS" "$@"
  check "$what: there" sh -c 'grep -q fuse.peerfs /proc/mounts'
  umount "$(awk '$3 == "fuse.peerfs" { print $2 }' /proc/mounts)"
  pod_until 50 sh -c '! pgrep -x "${1##*/}" >/dev/null' sh "$PEERFS"
}

# --- links and folders of others

setpriv --reuid 101 --regid 101 --clear-groups ln -s "$bin" "$volume/peers"
refused "a link that user 101 made in a shared volume" "could be replaced by others" "$volume/peers"
check_output "hides nothing" "$bin/tool" ls "$bin/tool"
rm "$volume/peers"
ln -s "$bin" "$volume/peers"
chmod 755 "$volume"
refused "a link that root made in a volume" "a link on another file system" "$volume/peers"
rm "$volume/peers"
mkdir "$volume/peers" "$volume/of-101" "$volume/of-101/peers"
chown 101 "$volume/of-101"
accepted "a folder of a volume where only root may write" "$volume/peers"
refused "a folder below one of user 101" \
  "could be replaced by others that may write in $volume/of-101" "$volume/of-101/peers"
chmod 777 "$volume"
refused "a folder of a volume where all may write" \
  "could be replaced by others that may write in $volume:" "$volume/peers"
chmod 1777 "$volume"
accepted "root's folder in a sticky one" "$volume/peers"
chown 101 "$volume/peers"
refused "another's folder in a sticky one" "could be replaced by others" "$volume/peers"
chmod 755 "$volume"
accepted "another's folder, which it cannot replace" "$volume/peers"
ln -s "$bin/there" /peerfs-test-link && mkdir "$bin/there"
accepted "a link of root's on the root file system" /peerfs-test-link
check_output "is not where it mounts" "" sh -c 'grep peerfs-test-link /proc/mounts; true'
rm /peerfs-test-link
(cd "$bin" && accepted "a relative path" there && accepted "the working directory by its path" "$bin/../bin//there/.")
(cd "$bin/there" && accepted "the working directory" .)

# --- dead mounts, of which a link tells

peerfs_start
kill -KILL "$peerfs_pid"
wait "$peerfs_pid" 2>/dev/null
peerfs_pid=
chmod 777 "$volume"
rmdir "$volume/peers"
setpriv --reuid 101 --regid 101 --clear-groups ln -s "$mnt" "$volume/peers"
refused "a link to a dead mount" "could be replaced by others" "$volume/peers"
check_equal "the dead mount stays" 1 "$(mounts)"
rm "$volume/peers"
accepted "where it is, it is taken away" "$mnt"
check_equal "for good" 0 "$(mounts)"

# --- what must not be hidden

refused "/" "mountpoint / would hide /proc" -o nonempty /
refused "the proc file system in use" "would hide /proc" -o nonempty /proc
refused "/dev" "would hide /dev/fuse" -o nonempty /dev
refused "the folder of the program" "would hide $PEERFS" -o nonempty "$(dirname "$PEERFS")"
(cd "$bin/there" &&
  refused "the folder above the working directory" "would hide $bin/there, which is in use" -o nonempty "$bin")
refused "a folder with something in it" "is not empty" "$bin"
accepted "unless it is to be hidden" -o nonempty "$bin"
peerfs_start
refused "a second mount" "peerfs is mounted on $mnt already" "$mnt"
peerfs_stop
finish
