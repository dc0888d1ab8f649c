#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mount points of a peer are busy, as in the peer: the kernel itself refuses to remove or move only what is one in the
# caller's namespace, and would unmount it in the running peer without a word.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

mkdir -p "$work/volume/sub" "$work/second" "$work/c/x/upper/"{srv/plain,srv/full/f}
echo hosts >"$work/hosts"
echo resolv >"$work/resolv"
echo data >"$work/volume/f"
printf '%s\n' "$work/hosts etc/hosts" "$work/resolv etc/resolv.conf" "$work/volume srv/volume" \
  "$work/second srv/volume/sub" "$work/second srv/second" "$work/second srv/only/mount" >"$work/c/x/volumes"
cp "$test_dir/helpers/busy.pl" "$work/c/x/upper/busy.pl"
imitate x -- sleep infinity
root=$mnt/x/root
mounts ()
{
  sed 's/^[0-9]* [0-9]* //' "/proc/$imitated_pid/mountinfo" | sort
}
mounts >"$work/mounts"
check "the peer has its mounts" test "$(grep -c ' /etc/\| /srv/\| /dev/' "$work/mounts")" -ge 10

# busy COMMAND_LINE: fails in the peer's root as it does in the peer itself, and all mounts are left.
busy ()
{
  local direct peers
  direct=$(nsenter -t "$imitated_pid" -m -r -- sh -c "$1" 2>&1 </dev/null)
  direct="$? $direct"
  peers=$(cd "$root" && sh -c "$1" 2>&1 </dev/null)
  peers="$? $peers"
  check_equal "$1" "$(temporary "$direct")" "$(temporary "$peers")"
  case $direct in *busy*) ;; *) failed "$1: is busy in the peer" "$direct" ;; esac
  check_equal "$1: the peer has its mounts" "" "$(mounts | diff "$work/mounts" -)"
}
temporary ()
{
  # shellcheck disable=SC2001 # a set of characters
  sed 's#etc/sed[A-Za-z0-9]*#etc/sedXXXXXX#' <<<"$1"
}

peerfs_start
busy "sed -i s/hosts/other/ etc/hosts"
busy "rm -f etc/hosts"
busy "rm -f dev/termination-log"
busy "rm -f dev/null"
busy "touch tmp/new; mv tmp/new etc/resolv.conf"
busy "mv etc/resolv.conf etc/resolv.old"
busy "rmdir srv/second"
busy "rmdir dev"
busy "mv srv/volume srv/moved"
busy "mv -T srv/plain srv/second"
busy "rm -rf srv/volume/sub"
busy "rmdir proc"
# vim with backupcopy=no: the old file is moved away, the new one written in its place.
busy "mv etc/hosts etc/hosts~"
busy "ln -sfn x srv/link && mv -T srv/link etc/hosts"
renameat2=316
[ "$(uname -m)" = x86_64 ] || renameat2=276
busy \
  "perl -e '(\$x, \$y) = qw(srv/plain srv/second); syscall ($renameat2, -100, \$x, -100, \$y, 2) == 0 or die qq(\$!\n)'"
check_output "the volume is whole" "data" cat "$root/srv/volume/f"

# Each change of names, at each of its ends, with and without a mount there: what the peer itself is told. Of two mounts
# of the peer the caller's kernel sees but one, and may find another error first.
nsenter -t "$imitated_pid" -m -r -w -- perl busy.pl >"$work/direct" 2>&1 </dev/null
check "many are busy in the peer" test "$(grep -c 'busy$' "$work/direct")" -ge 40
(cd "$root" && perl busy.pl) >"$work/through" 2>&1 </dev/null
check_equal "$(wc -l <"$work/direct") changes of names end as in the peer" "" \
  "$(paste -d '|' "$work/direct" "$work/through" |
    awk -F '|' '$1 != $2 && !($1 ~ /: Invalid cross-device link$/ && $2 !~ /: 0$/)')"
check_equal "after them, the peer has its mounts" "" "$(mounts | diff "$work/mounts" -)"

# What a mount point hides or is next to goes on as before; so does what is one no more.
check "a file beside a mount point can be replaced" \
  sh -c 'cp "$1/passwd" "$1/new" && mv "$1/new" "$1/passwd"' - "$root/etc"
check "and a directory moved and removed" sh -c 'mv "$1/plain" "$1/moved" && rmdir "$1/moved"' - "$root/srv"
check "files of a volume can be removed" sh -c ': >"$1/g" && mv "$1/g" "$1/h" && rm "$1/h"' - "$root/srv/volume"
# A directory in use is held for a second.
pod_until 50 nsenter -t "$imitated_pid" -m umount /srv/second 2>/dev/null
check "what is a mount point no more can be removed" rmdir "$root/srv/second"
check_equal "that a name is missing comes first" "No such file or directory" \
  "$(rm "$root/etc/none" 2>&1 | grep -o 'No such file or directory')"

# What comes first in the peer comes first: a read-only mount, two mounts.
nsenter -t "$imitated_pid" -m mount -o remount,ro,bind / && mounts >"$work/mounts"
said ()
{
  check_equal "$1" "$(nsenter -t "$imitated_pid" -m -r -- sh -c "$1" 2>&1)" "$(cd "$root" && sh -c "$1" 2>&1)"
}
said "rm -f etc/hosts"
said "rmdir srv/volume"
said "perl -e 'rename (q(srv/volume), q(dev/x)) or die qq(\$!\n)'"
check_equal "the peer has its mounts" "" "$(mounts | diff "$work/mounts" -)"

peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
