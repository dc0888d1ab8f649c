#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers and processes that would pass for others: by cgroups below their own, mounts that look like the kubelet's,
# names of runtimes, the namespaces of a container, a chroot. What peerfs says is compared with who they really are.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# The listing as NAME PID, and the mount's own answer must be the same.
listed ()
{
  "$PEERFS" --list 2>/dev/null | awk 'NR > 1 { print $1, $4 }'
}
mounted ()
{
  local name
  for name in $(ls "$mnt"); do
    echo "$name $(cat "$mnt/$name/pid")"
  done
}
# check_names WHAT LINES...: both know these containers, by these main processes.
check_names ()
{
  local what=$1 expected
  shift
  expected=$(printf '%s\n' "$@" | sort)
  check_equal "$what: --list" "$expected" "$(listed | sort)"
  check_equal "$what: the mount" "$expected" "$(mounted | sort)"
}
pids_of ()
{
  ls "$mnt/$1/pids" | sort -n | tr '\n' ' '
}

imitate victim -- sleep 600
victim=$imitated_pid victim_id=$imitated_id
imitate attacker -- perl -e '
  while (1) { if (open my $f, "<", "/name") { $0 = <$f> } select undef, undef, undef, 0.02 }'
attacker=$imitated_pid attacker_id=$imitated_id
attacker_cgroup=$(find /sys/fs/cgroup -maxdepth 4 -type d -path "*/${work##*/}/libpod-$attacker_id" | head -n 1)
peerfs_start
check_names "at first" "victim $victim" "attacker $attacker"

# --- a cgroup below its own, with the victim's id, and a mount that looks like the kubelet's for the victim
instance=$work/fake/pods/0a1b2c3d-0000-4000-8000-000000000000/containers/victim/deadbeef
mkdir -p "$attacker_cgroup/$victim_id" "${instance%/*}" "$work/c/nested" && : >"$instance"
unshare --mount --propagation private "$work/runc" "$root_pod_dir" "$work/c/nested" "$instance" \
  "$attacker_cgroup/$victim_id" sleep 600 >"$work/c/nested/log" 2>&1 </dev/null &
nested=$!
pod_until 50 imitated "$nested" || abandon "a nested container starts" "$(cat "$work/c/nested/log")"
check_names "a nested container with the victim's id and name" "victim $victim" "attacker $attacker" \
  "victim~${victim_id:0:12} $nested"
check_equal "it is not in the victim's pids/" "$victim " "$(pids_of victim)"
check "the conflict is logged" \
  grep -q "event=conflict name=victim id=${victim_id:0:12} other=${victim_id:0:12}" "$work/peerfs.log"
check_equal "and once" 1 "$(grep -c event=conflict "$work/peerfs.log")"
kill -KILL "$nested"
wait "$nested" 2>/dev/null

# --- the namespaces of a container, entered from the node
nsenter --target "$victim" --mount --root sleep 600 &
visitor=$!
pod_until 50 grep -qx sleep "/proc/$visitor/comm"
check_names "a visitor from the node" "victim $victim" "attacker $attacker"
check_equal "it is not in the victim's pids/ either" "$victim " "$(pids_of victim)"
kill -KILL "$visitor"
wait "$visitor" 2>/dev/null

# --- the names of runtimes
for name in conmon runc crun 'runc:[2:INIT]'; do
  printf '%s' "$name" >"/proc/$attacker/root/new" && mv "/proc/$attacker/root/new" "/proc/$attacker/root/name"
  check "it calls itself $name" pod_until 50 grep -qxF "$name" "/proc/$attacker/comm"
  check_names "a container that calls itself $name" "victim $victim" "attacker $attacker"
done

# --- a main process that has chrooted itself, and somebody who comes later
mkdir -p "$work/c/jailed/upper/jail/empty"
imitate jailed -- \
  perl -e 'sleep 1 until -e "/go"; chroot "/jail" or die; chdir "/"; open my $f, ">", "/done"; sleep 600'
jailed=$imitated_pid
check_names "before the chroot" "victim $victim" "attacker $attacker" "jailed $jailed"
: >"/proc/$jailed/root/go"
pod_until 50 test -e "$work/c/jailed/merged/jail/done" -o -e "/proc/$jailed/root/done"
check_equal "it sees no mount any more" "" "$(cat "/proc/$jailed/mountinfo")"
check_names "after the chroot" "victim $victim" "attacker $attacker" "jailed $jailed"
peerfs_stop
peerfs_start
check_names "after the chroot, for a new mount" "victim $victim" "attacker $attacker" "jailed $jailed"
# If there is no descriptor for its mount namespace when it is first seen, it keeps its name all the same.
mkdir -p "$work/c/hermit/upper/jail"
imitate hermit -- perl -e 'sleep 1; chroot "/jail" or die; chdir "/"; sleep 600'
hermit=$imitated_pid
sleep 3.5 # so long it may still be about to execute its program
for limit in {12..24}; do
  prlimit --pid "$peerfs_pid" --nofile="$limit:1024"
  ls "$mnt" >/dev/null 2>&1
done
prlimit --pid "$peerfs_pid" --nofile=1024:1024
check_equal "it sees no mount when it is first seen" "" "$(cat "/proc/$hermit/mountinfo")"
check_names "first seen while descriptors were short" "victim $victim" "attacker $attacker" "jailed $jailed" \
  "hermit $hermit"
kill -KILL "$hermit"

# --- a --name that comes to fit two containers
imitate twin "${victim_id:0:63}$([ "${victim_id:63}" = 0 ] && echo 1 || echo 0)" -- sleep 600
check_equal "an ambiguous --name counts for none" "$(listed)" \
  "$("$PEERFS" --list --name "${victim_id:0:20}=front" 2>"$work/warnings" | awk 'NR > 1 { print $1, $4 }')"
check_equal "with one warning" 1 "$(grep -c 'matches more than one container' "$work/warnings")"

peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
