#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Becomes a container, in a mount namespace that the caller made: imitate.sh ROOT DIR INSTANCE CGROUP COMMAND...
# Over ROOT lies an overlay with DIR/upper, INSTANCE is mounted as the kubelet's termination log, and as lines of
# DIR/volumes ("SOURCE TARGET") say, other files and folders of this side. The cgroup comes first, as with a runtime:
# until the root is the container's, and the command has been executed there, nobody may take this process for the
# container.
set -e
root=$1 dir=$2 instance=$3 cgroup=$4
shift 4

echo $$ >"$cgroup/cgroup.procs"
mkdir -p "$dir"/{upper,work,merged}
mount -t overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/merged"
cd "$dir/merged"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero random urandom; do
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
: >dev/termination-log
mount --bind "$instance" dev/termination-log
while read -r source target; do
  if [ -d "$source" ]; then mkdir -p "./$target"; else : >>"./$target"; fi
  mount --bind "$source" "./$target"
done < <(cat "$dir/volumes" 2>/dev/null)
mkdir .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
exec "$@"
