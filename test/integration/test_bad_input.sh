#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a user can get wrong: one line on stderr, nothing on stdout, the right exit status.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# refused STATUS WHAT COMMAND...
refused ()
{
  local expected=$1 what=$2 status=0 lines
  shift 2
  timeout 20 "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
  lines=$(wc -l <"$work/err")
  if [ "$status" -eq "$expected" ] && [ "$lines" -eq 1 ] && [ ! -s "$work/out" ]; then
    passed "$what: $(cat "$work/err")"
  else
    failed "$what" "ran: $*" "status: $status, expected $expected" "stderr, $lines lines: $(head -n 12 "$work/err")" \
      "stdout: $(head -n 3 "$work/out")"
  fi
  ! grep -q " $mnt fuse" /proc/mounts || { failed "$what: nothing is mounted"; umount -l "$mnt"; }
}

: >"$work/file"
mkdir "$work/empty"

refused 2 "no mountpoint" "$PEERFS"
refused 2 "unknown long option" "$PEERFS" --bogus "$mnt"
refused 2 "unknown -o option" "$PEERFS" -f -o bogus "$mnt"
refused 2 "bad value of an option" "$PEERFS" -f -o symlinks=sideways "$mnt"
refused 2 "too many arguments" "$PEERFS" -f none "$mnt" "$work/empty"
refused 2 "--json without --list" "$PEERFS" --json "$mnt"
refused 2 "--as without a command" "$PEERFS" --as x
refused 2 "a --name that is no name" "$PEERFS" -f --name 12 "$mnt"
refused 1 "mountpoint is a file" "$PEERFS" -f "$work/file"
refused 1 "mountpoint is missing" "$PEERFS" -f "$work/missing"
refused 1 "mountpoint is missing, as a daemon" "$PEERFS" "$work/missing"
refused 1 "no /dev/fuse" unshare --mount sh -c 'mount -t tmpfs none /dev && exec "$@"' sh "$PEERFS" -f "$mnt"
refused 1 "a folder in the place of /dev/fuse" unshare --mount sh -c \
  'mount -t tmpfs none /dev && mkdir /dev/fuse && exec "$@"' sh "$PEERFS" -f "$mnt"
check "is said" grep -q "is a directory here" "$work/err"
refused 1 "a file there" unshare --mount sh -c \
  'mount -t tmpfs none /dev && : >/dev/fuse && exec "$@"' sh "$PEERFS" -f "$mnt"
check "is said" grep -q "is a file here" "$work/err"
refused 1 "a device without its module" unshare --mount sh -c \
  'mount -t tmpfs none /dev && mknod /dev/fuse c 10 254 && exec "$@"' sh "$PEERFS" -f "$mnt"
check "is said" grep -q "modprobe" "$work/err"
refused 2 "a command without --" "$PEERFS" list
check "is said" grep -q -- "--list" "$work/err"
refused 2 "two folders" "$PEERFS" "$work/empty" "$mnt"
refused 2 "--wait with the mountpoint" "$PEERFS" --wait /peers/nginx/pid
check "is said" grep -q "without the mountpoint" "$work/err"
refused 2 "-d with --list" "$PEERFS" -d --list
check_output "--help fits 80 columns" "" sh -c '"$1" --help | grep -E ".{81}"; true' sh "$PEERFS"
for option in --help --version --list; do
  "$PEERFS" "$option" >/dev/full 2>"$work/err"
  check_equal "$option that cannot be written" "1 peerfs: cannot write" "$? $(cut -d ' ' -f 1-3 "$work/err")"
done
refused 1 "no CAP_SYS_ADMIN" setpriv --bounding-set=-sys_admin "$PEERFS" -f "$mnt"
refused 1 "--proc without processes" "$PEERFS" --list --proc "$work/empty"
refused 1 "--proc that is missing" "$PEERFS" --list --proc "$work/missing"
refused 1 "--as of nobody" "$PEERFS" --as nobody -- true
refused 124 "--wait that times out" "$PEERFS" --wait nobody --timeout 0.3

# Less is shown, but not nothing: a warning.
setpriv --bounding-set=-sys_ptrace "$PEERFS" "$mnt" >"$work/out" 2>"$work/err" </dev/null
check_equal "no CAP_SYS_PTRACE: mounts" 0 $?
check_equal "no CAP_SYS_PTRACE: says so" 1 "$(grep -c CAP_SYS_PTRACE "$work/err")"
umount "$mnt"

# Closed descriptors.
for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
  eval "\"\$PEERFS\" \"\$mnt\" $closed" 2>/dev/null
  check "a mount with $closed" ls "$mnt"
  umount "$mnt" || umount -l "$mnt"
done

rest=$(random_id)
imitate one "abcdef${rest:6}" -- sleep infinity
imitate two "abcdee${rest:6}" -- sleep infinity
check "two containers" test "$("$PEERFS" --list | grep -c '^\(one\|two\) ')" -eq 2
"$PEERFS" --list --name abcde=both >"$work/out" 2>"$work/err"
check_equal "an id prefix of two containers counts for none, which is said" "0 1 one two" \
  "$? $(grep -c 'warning: --name abcde=both matches more than one' "$work/err") $(
    awk '/^(one|two) / { print $1 }' "$work/out" | sort | xargs)"
check "an id prefix of one" sh -c "'$PEERFS' --list --name abcdef=first | grep -q '^first '"
"$PEERFS" --list --name ffffffff=foo >/dev/null 2>"$work/err"
check_equal "a --name that fits nobody" "0 1" "$? $(grep -c 'ffffffff=foo fits no container' "$work/err")"

# No thread is to be had.
pids=$(make_cgroup few pids.max) || abandon "a cgroup that limits processes can be made"
for few in 1 2; do
  echo "$few" >"$pids/pids.max"
  (
    export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 # that takes a thread
    echo "$BASHPID" >"$pids/cgroup.procs"
    exec "$PEERFS" -f "$mnt" 2>"$work/err"
  )
  check_equal "processes that it may be: $few" "1 peerfs: cannot start a thread" \
    "$? $(sed -n 's/^\(peerfs: [^:]*\):.*/\1/p' "$work/err")"
  check "then no mount is left" sh -c "! grep -q ' $mnt ' /proc/mounts"
done

# What is shown of the kernel cannot be written, by root neither.
peerfs_start
for file in id pid env/PATH maps/maps; do
  check_output "one/$file cannot be written" "sh: 1: cannot create $mnt/one/$file: Read-only file system" \
    sh -c '(echo 1 >"$1") 2>&1 || true' sh "$mnt/one/$file"
  check_output "nor added to" "sh: 1: cannot create $mnt/one/$file: Read-only file system" \
    sh -c '(echo 1 >>"$1") 2>&1 || true' sh "$mnt/one/$file"
done
peerfs_stop
refused 124 "--wait for a name that is not there, long enough to say who is" sh -c \
  '"$@" 2>&1 | grep -q "still waiting.*one, two" && exec "$@" --timeout 0' sh "$PEERFS" --wait ngnix --timeout 5
finish
