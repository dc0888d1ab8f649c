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

peerfs_stop
finish
