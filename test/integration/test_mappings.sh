#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files that a peer maps and writes, with SQLite and LMDB on both sides: nobody sees old bytes, nobody's write is undone.
# Where the kernel does not pass a file through, its shared mappings are refused, and databases that need one say so.
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

for mode in on off; do
  : >"$work/peerfs.log"
  peerfs_start -o "allow_other,passthrough=$mode"
  offered=
  grep -q 'event=mounted .*passthrough=on' "$work/peerfs.log" && offered=1
  judge plain "$offered"
  judge twice ''
  peerfs_stop
  # The library in use has no passthrough, whatever is asked for: the same once more.
  [ "$offered" ] || break
done
finish
