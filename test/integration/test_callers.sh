#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What callers get by ways that are not in the table of docs/security.md: procfs as a peer has mounted it, capabilities,
# the credentials of reads and writes. Nobody gets more than the kernel gives him.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

helpers=${PEERFS_HELPERS:?the folder of the helper programs}
# What container runtimes give to root (podman's).
default=+chown,+dac_override,+fowner,+fsetid,+kill,+net_bind_service,+setfcap,+setgid,+setpcap,+setuid,+sys_chroot
as_default="setpriv --inh-caps=-all,$default --bounding-set=-all,$default"
as_101="setpriv --reuid 101 --regid 101 --clear-groups --inh-caps=-all --bounding-set=-all"

# ask CALLER WHAT PATH: + or -. CALLER is a variable's name.
ask ()
{
  # shellcheck disable=SC2086
  ${!1} "$helpers/helper_caller" <<<"$2 $3"
}

chmod 755 "$work"
mkdir -p "$work/c/consumer/upper/data"
# shellcheck disable=SC2086
imitate consumer -- $as_default sleep infinity
consumer=$imitated_pid
# A process that the consumer cannot look into.
SECRET=hidden sleep infinity &
secret=$!
as_root=
peerfs_start -o allow_other
root=$mnt/consumer/root

# --- procfs below root/

check_equal "the consumer's own container is open to it" + "$(ask as_default read "$root/etc/passwd")"
check_equal "/proc refuses the secret" - "$(ask as_default read "/proc/$secret/environ")"
for caller in as_default as_root; do
  check_equal "$caller: no environment through root/proc" - "$(ask $caller read "$root/proc/$secret/environ")"
  check_equal "$caller: no memory through root/proc" - "$(ask $caller write "$root/proc/$secret/mem")"
  check_equal "$caller: nor the daemon's own" - "$(ask $caller write "$root/proc/$peerfs_pid/mem")"
done
check_output "root/proc is an empty directory" directory sh -c "stat -c %F '$root/proc'; ls -A '$root/proc'"
in_consumer ()
{
  nsenter --target "$consumer" --mount --root --wd "$@"
}
touch "/proc/$consumer/root/environ"
in_consumer mount --bind "/proc/$secret/environ" /environ || abandon "a file of procfs can be mounted"
mkdir "/proc/$consumer/root/deep"
in_consumer mount --bind "/proc/$secret" /deep || abandon "a folder of procfs can be mounted"
for caller in as_default as_root; do
  check_equal "$caller: no file of procfs that is mounted elsewhere" - "$(ask $caller read "$root/environ")"
  check_equal "$caller: nor a folder's" - "$(ask $caller read "$root/deep/environ")"
done
check_output "they can be listed" "regular empty file 0" stat -c "%F %s" "$root/environ"
in_consumer umount /environ
in_consumer umount /deep

# --- who reads links, and whom a file system in the peer sees

mkdir -p "$work/c/mine/upper/fuse"
cp "$helpers/helper_badfuse" "$work/c/mine/upper/badfuse"
imitate mine -- sh -c "mknod /dev/fuse c 10 229; /badfuse /fuse /etc/passwd 1000000 /asked & exec $as_101 sleep infinity"
mine=$imitated_pid
asked=/proc/$mine/root/asked
pod_until 50 test -e "/proc/$mine/root/fuse/program" || abandon "a FUSE file system is mounted in the peer"
for link in exe cwd root ns/net; do
  check_equal "/proc does not tell 101 the text of $link" - "$(ask as_101 readlink "/proc/$secret/$link")"
  check_equal "not of $link below root/proc either" - "$(ask as_101 readlink "$mnt/mine/root/proc/$secret/$link")"
done
# told PATH: what its server is told when user 101 reads it.
told ()
{
  : >"$asked"
  # shellcheck disable=SC2086
  $as_101 timeout 20 cat "$1" >/dev/null
  sort -u "$asked" | paste -s -d ' '
}
check_equal "a file server in the peer is told who reads, by /proc" "open 101 read 101" "$(told "/proc/$mine/root/fuse/program")"
for options in allow_other allow_other,passthrough=off; do
  peerfs_stop
  peerfs_start -o "$options"
  check_equal "the same with $options" "open 101 read 101" "$(told "$mnt/mine/root/fuse/program")"
done

peerfs_stop
finish
