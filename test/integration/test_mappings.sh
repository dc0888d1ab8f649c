#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files that a peer maps and writes, with SQLite and LMDB on both sides: nobody sees old bytes, nobody's write is
# undone. Where the kernel does not pass a file through, its shared mappings are refused, and databases that need one
# say so.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

imitate db -- sleep infinity
root=/proc/$imitated_pid/root
mkdir "$root"/{plain,twice,lower} "$root/lower/data"
nsenter -t "$imitated_pid" -m sh -e -c '
  mkdir /layers
  mount -t tmpfs tmpfs /layers
  mkdir /layers/upper /layers/work
  mount -t overlay -o lowerdir=/lower,upperdir=/layers/upper,workdir=/layers/work overlay /twice
  cp -p /bin/true /plain; cp -p /bin/true /twice' || abandon "the container has an overlay on an overlay"

# judge WHERE OFFERED: the lines of databases.py, for a file that is passed through (1) or not.
judge ()
{
  local where=$1 offered=$2 kind what found expected output
  mkdir "$root/$where/$mode"
  for kind in probe sqlite lmdb; do
    output=$(timeout 300 "$test_dir/databases.py" "$kind" "$imitated_pid" "/$where/$mode" \
      "$mnt/db/root/$where/$mode" 2>&1) ||
      { failed "$kind in $where" "$output"; continue; }
    while IFS= read -r line; do
      what=${line%: *} found=${line##*: }
      case $kind.$what in
      *'.#'*) echo "$line"; continue ;;
      probe.*descriptor) expected='0 of 100 old, 0 of 100 appended not seen' ;;
      probe.*lock) expected='0 of 20 sizes old' ;;
      probe.private*) expected=works ;;
      probe.*) if [ "$offered" ]; then expected=coherent; else expected=ENODEV; fi ;;
      *.*database) expected=intact ;;
      *.*peer|sqlite.delete*) expected='all done' ;;
      *) if [ "$offered" ]; then expected='all done'; else expected=refused; fi ;;
      esac
      check_equal "$mode, $where: $kind, $what" "$expected" "$found"
    done <<<"$output"
  done
  check "$mode, $where: a program runs" "$mnt/db/root/$where/true"
}

offers=
for mode in on off; do
  : >"$work/peerfs.log"
  peerfs_start -o "allow_other,passthrough=$mode"
  offered=
  grep -q 'event=mounted .*passthrough=on' "$work/peerfs.log" && offered=1 offers=1
  judge plain "$offered"
  judge twice ''
  peerfs_stop
  check_equal "$mode: a sandboxed daemon says nothing of it" 0 "$(grep -c event=unsandboxed "$work/peerfs.log")"
  # The library in use has no passthrough, whatever is asked for: the same once more.
  [ "$offered" ] || break
done

# In a user namespace the kernel offers passthrough, and registers no file: known before the first open.
user_namespace ()
{
  unshare --mount "$test_dir/imitate.sh" "$root_pod_dir" "$work/c/inner" "$work/inner" "$cgroup" sleep infinity &
  "$PEERFS" --version >"$work/version"
  "$PEERFS" --wait inner --timeout 20 || return 1
  "$PEERFS" -f "$mnt" 2>"$work/inner.log" &
  pod_until 100 test -d "$mnt/inner" || return 1
  grep -r -c root "$mnt/inner/root/etc" >"$work/grepped"
  # Nobody may follow map_files there.
  cmp "$mnt/inner/maps/files/usr/bin/sleep" "$mnt/inner/root/usr/bin/sleep" >"$work/mapped" 2>&1 &&
    echo same >"$work/mapped"
  umount "$mnt"
  wait "$!"
}
cgroup=$(make_cgroup "$(random_id)") || abandon "a cgroup can be made"
mkdir "$work/c/inner"
# Its name comes from where the file lies that is mounted as the termination log.
instance=$work/pods/0a1b2c3d-0000-4000-8000-000000000000/containers/inner/12345678
mkdir -p "${instance%/*}" && : >"$instance" && ln -s "$instance" "$work/inner"
export PEERFS mnt work root_pod_dir test_dir cgroup
export -f user_namespace pod_until
export $(san_options "$work")
check "a user namespace: peerfs mounts there" unshare --user --map-root-user --mount --pid --fork --kill-child \
  --mount-proc --propagation private bash -c user_namespace
check_equal "files are read" yes "$([ "$(wc -l <"$work/grepped")" -gt 50 ] && echo yes)"
check_output "so is what is mapped" same cat "$work/mapped"
check_equal "two lines are logged, passthrough=off" \
  "event=mounted mountpoint=$mnt passthrough=off,event=unmounted mountpoint=$mnt" \
  "$(sed 's/ libfuse=.*//' "$work/inner.log" | grep -v warning: | paste -s -d ,)"
if [ "$offers" ]; then
  check "--version: built in, and this kernel has it" \
    grep -q "kernel passthrough built in, and Linux $(uname -r) has it" <("$PEERFS" --version)
  check "--version there: not to be had" \
    grep -q 'kernel passthrough built in, but not to be had in a user namespace' "$work/version"
else
  check "--version: not built in" grep -q 'kernel passthrough not built in' "$work/version"
fi
peerfs_start -o sandbox=off
check "-o sandbox=off is warned of" grep -q '^event=unsandboxed error="sandbox=off"' "$work/peerfs.log"
peerfs_stop
finish
