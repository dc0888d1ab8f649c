#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A disk inside a peer that does not answer any more: the kernel cannot be talked out of waiting for it, not even by the
# end of who waits, as on a hard NFS mount whose server is gone. It is a loop device over a file whose own server stops.
# A hundred wait: nobody else does, each of them can be killed, and peerfs can be unmounted.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
. "$(dirname -- "$0")/hostile.sh"
. "$(dirname -- "$0")/stuck.sh"

mkdir "$work/files" "$work/server"
for i in {a,b}{0..179}; do
  mkdir "$work/files/$i"
  echo x >"$work/files/$i/program"
  ln -s program "$work/files/$i/link"
done
truncate -s 4M "$work/image"
mkfs.ext4 -q -b 1024 -N 1200 -d "$work/files" "$work/image" || abandon "an image is made"

# disk NAME: a peer with a disk on /mnt, whose server is $badfuse.
disk ()
{
  local root loop
  "$PEERFS_HELPERS/helper_badfuse" "$work/server" "$work/image" &
  badfuse=$!
  pod_until 100 test -e "$work/server/program" || abandon "a server is there"
  hostile "$1" "mkdir /data; echo data >/data/file; echo ready; exec sleep infinity"
  dead=$imitated_pid
  is_ready "$1"
  root=/proc/$dead/root
  loop=$(losetup --direct-io=on --find --show "$work/server/program") || abandon "a loop device is there"
  mknod "$root/work/loop" b $((0x$(stat -c %t "$loop"))) $((0x$(stat -c %T "$loop")))
  nsenter --target "$dead" --mount mount -t ext4 /work/loop /mnt
  mounted=$?
  losetup --detach "$loop" # once it is unmounted
  [ "$mounted" = 0 ] || abandon "the disk is mounted"
}

# Threads of the daemon that wait so that no signal reaches them.
uninterruptible ()
{
  sed -n 's/^State:\t//p' "/proc/$peerfs_pid/task/"*/status 2>/dev/null | grep -c '^D'
}

threads ()
{
  sed -n 's/^Threads:\t//p' "/proc/$peerfs_pid/status"
}

# a_hundred_wait WHAT DIRECTORIES
a_hundred_wait ()
{
  stuck_in=mnt/$2{}
  # shellcheck disable=SC2086 # several words
  stuck disk STOP 180 $writers sockets
  check_less "$1: a hundred wait at once" "$(still_there | wc -l)" 99
  check_less "$1: threads that no signal reaches" "$(uninterruptible)" 0
  others "$1"
}

the_rest_is_served ()
{
  everybody_else_is_served "$1"
  soon "$1: another directory of the same peer" grep -x data "$mnt/disk/root/data/file"
  soon "$1: the peer's environment and mappings" cat "$mnt/disk/env/PATH" "$mnt/disk/maps/maps"
  soon "$1: all containers are listed" "$PEERFS" --list
}

# What the kernel passes through waits for the disk without the daemon.
peerfs_start -o passthrough=off
start_control
disk disk
a_hundred_wait "a disk does not answer" a
the_rest_is_served "a disk does not answer"
stuck_killed "a disk does not answer"
the_rest_is_served "they have been killed"
kill -CONT "$badfuse"
check "it answers again" timeout -s KILL 20 grep -x x "$mnt/disk/root/mnt/a0/program"
pod_until 50 eval '[ "$(threads)" -lt 20 ]'
check_less "it answers again: threads" 20 "$(threads)"

a_hundred_wait "it stops again" b
end_of "$dead"
check "the container ends while they wait" pod_until 50 grep -q "event=ended name=disk" "$work/peerfs.log"
others "the container has ended"
everybody_else_is_served "the container has ended"
stuck_until_sigterm SIGTERM
daemon_ends "the daemon ends once the disk is gone"
finish
