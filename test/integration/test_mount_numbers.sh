#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mount in the place of another is another one, also on kernels before Linux 6.8, which give it the number and the
# device that are free: what was known of the first says nothing of the second. test/kernels runs this there.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

mkdir -p "$work/c/host/upper/place" "$work/c/host/upper/elsewhere" "$work/c/host/upper/work"
imitate host -- sleep infinity
pid=$imitated_pid
place=$mnt/host/root/place
direct=/proc/$pid/root/place
peerfs_start -o allow_other,entry_timeout=0.02,attr_timeout=0.02
# Something is in use all the time, and so the list of mounts is watched all the time.
exec {in_use}<"$mnt/host/root/etc/debian_version"

# in_peer COMMAND...: in the container's mounts, with this machine's programs.
in_peer ()
{
  nsenter --target "$pid" --mount -- "$@"
}

# mounted TYPE: another one on /place.
mounted ()
{
  in_peer mount -t "$1" "$1" /place || abandon "a $1 can be mounted in the container"
}

# A directory that was used a moment ago is held for a second.
unmounted ()
{
  pod_until 50 in_peer umount -- "$1" 2>/dev/null || abandon "nothing holds what is mounted on $1"
}

# all_names FOLDER: of everything in it.
all_names ()
{
  (cd "$1" && ls -R)
}

# A tmpfs comes, is looked at, and goes: its number and its device are free for the next.
before ()
{
  mounted tmpfs
  mkdir -p "$direct"/{kernel/mm,self} &&
    echo old | tee "$direct"/{cgroup.procs,cgroup.controllers,kernel/profiling,kernel/mm/x,f} >/dev/null
  cat "$place"/{cgroup.procs,cgroup.controllers,kernel/profiling,kernel/mm/x,f} >"$work/old" &&
    ls -R "$place" >/dev/null || failed "a tmpfs can be read"
  unmounted /place
}

before
mounted sysfs
for file in kernel/profiling kernel/uevent_seqnum kernel/notes; do
  check "sysfs in its place: $file" cmp "$direct/$file" "$place/$file"
done
check_output "its list is the direct one" "$(all_names "$direct/kernel/mm")" all_names "$place/kernel/mm"
unmounted /place

before
mounted cgroup2
check "cgroupfs in its place" cmp "$direct/cgroup.controllers" "$place/cgroup.controllers"
check_output "its list is the direct one" "$(ls "$direct")" ls "$place"
unmounted /place

before
mounted proc
check_output "procfs in its place is empty" "" ls "$place"
check_output "and nothing is read of it" "no no no" sh -c '
  for i in "cat $1/self/environ" "readlink $1/self" "ls $1/self/"; do
    $i >/dev/null 2>&1 && echo yes || echo no
  done | xargs' - "$place"
unmounted /place

for i in 1 2 3; do
  before
  mounted tmpfs
  echo "new $i" >"$direct/f"
  check_output "a tmpfs in its place, $i" "new $i" cat "$place/f"
  check_output "has its own list" f ls "$place"
  unmounted /place
done

# Whoever is on a mount stays there while others come and go.
mounted tmpfs
mkdir "$direct/deep" && echo here >"$direct/deep/f"
cat >"$work/stand" <<'SCRIPT'
cd "$1" && exec 3<f 4>>f || exit 1
for i in 1 2 3 4 5; do
  echo "$i"
  read -r line || exit 1
  [ "$(cat f)" = here ] && ls .. >/dev/null || exit 1
  [ "$(cat <&3)" = "${before-here}" ] || exit 1
  before=
done
echo stayed
SCRIPT
coproc stand { bash "$work/stand" "$place/deep" 2>"$work/stand.errors"; }
stand_pid=$!
while read -r line <&"${stand[0]}" && [ "$line" != stayed ]; do
  in_peer mount -t tmpfs tmpfs /elsewhere
  ls "$mnt/host/root/elsewhere" >/dev/null
  unmounted /elsewhere
  sleep 0.3
  echo >&"${stand[1]}"
done
check_equal "who stands on a mount stays while others come and go" "stayed " "$line $(cat "$work/stand.errors")"
wait "$stand_pid"
unmounted /place

# Nothing is held of the mounts of a container that has ended: its disk can be made anew.
truncate -s 8M "$work/disk" && mkfs.ext4 -q "$work/disk" && device=$(losetup --find --show "$work/disk") ||
  abandon "there are loop devices"
cp -a "$device" "/proc/$pid/root/dev/"
exec {in_use}<&-
in_peer mount -t ext4 "$device" /place
touch "$direct/f"
check_output "a disk" f ls -I lost+found "$place"
in_peer mount -t tmpfs tmpfs /elsewhere
check_output "and another mount" "" ls "$mnt/host/root/elsewhere"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
check "nothing holds it once the container has ended" pod_until 20 mkfs.ext4 -q -F "$device"
losetup --detach "$device"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
