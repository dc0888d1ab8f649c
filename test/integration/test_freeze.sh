#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What one peer, or its callers, have others share with them: the daemon's threads, its scans, its descriptors, and what
# the kernel sends it at one time. None of it can be taken from all.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
# At the end of the daemon some of its threads wait for what never comes: leak detection would wait for them to stop.
export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0

. "$(dirname -- "$0")/hostile.sh"

# freezing NAME COMMAND...: a container that has the program `freeze`.
freezing ()
{
  mkdir -p "$work/c/$1/upper/work"
  cp "$PEERFS_HELPERS/helper_freeze" "$work/c/$1/upper/freeze"
  hostile "$@"
}

# crowd ARGUMENT...: callers, in the background: $crowd is their process group.
crowd ()
{
  : >"$work/crowd"
  (cd "$work" && exec setsid "$PEERFS_HELPERS/helper_freeze" "$@") >>"$work/crowd" 2>&1 &
  crowd=$!
}

crowd_is_ready ()
{
  pod_until 300 grep -q ready "$work/crowd" || failed "callers come" "$(cat "$work/crowd")"
}

crowd_ends ()
{
  kill -KILL -- "-$crowd"
  wait "$crowd" 2>/dev/null
}

descriptors ()
{
  find "/proc/$peerfs_pid/fd" -type l | wc -l
}

peerfs_nofile=8192 peerfs_start -o allow_other

# A thread that receives requests waits for a lease itself, if few do on that mount: of many mounts that would be all.
freezing leases "for i in \$(seq 20); do mkdir m\$i; mount -t tmpfs m m\$i; : >m\$i/file; done; \
  exec /freeze lease m*/file"
is_ready leases
# shellcheck disable=SC2046 # several words
crowd open 35 $(printf "$mnt/leases/root/work/m%d/file " {1..20})
crowd_is_ready
sleep 1
everybody_else_is_served "700 callers wait for leases on twenty mounts"
crowd_ends
end_of "$imitated_pid"

# The scan, which all wait for, does not wait for a peer's memory: what calls itself catatonit is asked for its
# arguments.
freezing memory "mknod /dev/fuse c 10 229; /freeze memory /mnt/program catatonit & \
  BADFUSE_UNCACHED=1 /badfuse /mnt /hostile & badfuse=\$!; until [ -e /mnt/program ]; do sleep 0.02; done; \
  sleep 0.5; kill -USR2 \$badfuse; : >go; wait %1"
is_ready memory
badfuse=$(grep -lx badfuse /proc/[0-9]*/comm | cut -d/ -f3)
end_of "$imitated_pid"
everybody_else_is_served "a main process called catatonit keeps its memory locked"
kill -KILL "$badfuse"

# Nor does it wait in a peer's mount namespace, whose root may be covered by what has all wait.
freezing jailed "mkdir jail; cp /freeze jail; chroot jail /freeze lease & /freeze autofs / & sleep 0.5; \
  ls -l /../ & sleep 0.5; exec chroot jail /freeze open 0 x"
is_ready jailed
sleep 2.5 # it is not young any more
everybody_else_is_served "whoever enters the mount namespace of a jailed process waits"
# shellcheck disable=SC2046 # several words
kill -KILL $(grep -lx freeze /proc/[0-9]*/comm | cut -d/ -f3)

# A link may lead over what a peer's daemon has to mount first (autofs). That is not asked for when the link is looked
# at.
automounts ()
{
  freezing automount "mkdir auto data links; echo data >data/file; ln -s /work/auto/x/../../data/file links/over; \
    ln -s data/../auto/x links/into; exec /freeze autofs auto"
  is_ready automount
  links=$mnt/automount/root/work/links
  soon "automount: links over it are listed" ls -l "$links"
  check_output "automount: a link over it leads where it should" data timeout -s KILL 10 cat "$links/over"
  crowd list 48 "$mnt/automount/root/work/auto"
  crowd_is_ready
  sleep 1
  everybody_else_is_served "48 callers wait for an automount"
  soon "48 callers wait for an automount: the links beside it" ls -l "$links"
  crowd_ends
  end_of "$imitated_pid"
}
if grep -qw autofs /proc/filesystems; then
  automounts
else
  echo "this kernel has no autofs: nothing was asked of an automount"
fi

# What the kernel sends without waiting for it has one bound for all: asynchronous reads, and that a file was closed.
freezing async "mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & echo ready; exec sleep infinity"
is_ready async
pod_until 50 test -e "$mnt/async/root/mnt/program" || failed "the mount is there"
badfuse=$(grep -lx badfuse /proc/[0-9]*/comm | cut -d/ -f3)
# shellcheck disable=SC2046 # several words
crowd read 40 $(printf "$mnt/async/root/mnt/program %.0s" {1..4})
crowd_is_ready
kill -USR2 "$badfuse"
: >"$work/go"
sleep 1
before=$(descriptors)
for _ in $(seq 60); do
  head -c 1 "$mnt/calm/root/etc/passwd" >/dev/null
done
pod_until 20 eval '[ "$(descriptors)" -lt $((before + 30)) ]'
check_less "160 asynchronous reads wait: descriptors of 60 files that others have closed" 30 \
  $(($(descriptors) - before))
soon "160 asynchronous reads wait: another peer's program runs" "$mnt/calm/root/bin/true"
kill -KILL "$badfuse"
crowd_ends
peerfs_stop

# Who locks a byte has a descriptor of the daemon for that, which counts as an open file does.
peerfs_nofile=512 peerfs_start -o allow_other
freezing locks ": >file; echo ready; exec sleep infinity"
is_ready locks
# Whoever has read locks, by a file that it cannot write, needs no other descriptor but for a write lock.
unlock='import fcntl, sys, time
read, write = (open(sys.argv[1], mode) for mode in ("r", "r+"))
fcntl.lockf(read, fcntl.LOCK_SH, 2, 5000)
print("ready", flush=True)
sys.stdin.readline()
fcntl.lockf(write, fcntl.LOCK_UN, 1, 5000)
fcntl.lockf(read, fcntl.LOCK_SH, 1, 5002)
for lock in fcntl.LOCK_SH, fcntl.LOCK_UN, fcntl.LOCK_EX:
    try:
        fcntl.lockf(write, lock, 1, 5001)
        print("done")
    except OSError as e:
        print(e.strerror)'
coproc unlocker { timeout 60 python3 -c "$unlock" "$mnt/locks/root/work/file" 2>&1; }
read -r -t 20 line <&"${unlocker[0]}"
check_equal "a caller has read locks" ready "$line"
crowd lock 600 "$mnt/locks/root/work/file"
crowd_is_ready
everybody_else_is_served "600 processes have locks on one file"
echo >&"${unlocker[1]}"
check_equal "600 processes have locks: another one changes its read locks by a file that it can write" \
  "done done No locks available" "$(paste -sd ' ' <&"${unlocker[0]}")"
crowd_ends
peerfs_stop

# A file system that a peer lays over our own mount has us ask ourselves: for whom, it does not know.
few_caps ()
{
  timeout -s KILL 10 setpriv --bounding-set -all,+dac_override --inh-caps -all "$@"
}
peerfs_start -o allow_other,passthrough=off
mkdir -p "$work/c/over" && echo "$mnt peers" >"$work/c/over/volumes"
hostile over "mkdir ov low; mount -t overlay -o lowerdir=/peers:low over ov && echo ready; \
  exec setpriv --bounding-set -all,+dac_override --inh-caps -all sleep infinity"
is_ready over
pod_until 50 few_caps cat "$mnt/over/root/etc/passwd" >/dev/null
check "over: a caller with few capabilities enters it" few_caps grep -q root "$mnt/over/root/etc/passwd"
check_equal "over: what is behind its overlay of /peers" "" \
  "$(few_caps cat "$mnt/over/root/work/ov/calm/root/etc/passwd" 2>/dev/null | head -n 1)"
finish
