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

# linux VERSION: whether the kernel is that one or a later one.
linux ()
{
  printf '%s\n' "$1" "$(uname -r)" | sort -V -C
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

# --- what the kernel decides by itself, of what it has in its caches

mkdir "/proc/$consumer/root/closed"
echo content >"/proc/$consumer/root/closed/file"
chown 101 "/proc/$consumer/root/closed"
chmod 700 "/proc/$consumer/root/closed"
as_no_dac="setpriv --inh-caps=-dac_override,-dac_read_search --bounding-set=-dac_override,-dac_read_search"
check_equal "a file in a closed directory is open to root" + "$(ask as_root read "$root/closed/file")"
check_equal "another one is open without CAP_DAC_OVERRIDE" + "$(ask as_no_dac read "$root/etc/passwd")"
check_equal "but not without CAP_DAC_OVERRIDE" - "$(ask as_no_dac read "$root/closed/file")"
# shellcheck disable=SC2086
check "and access(2) says so" sh -c '! "$@"' sh $as_no_dac test -x "$root/closed"
check_equal "the peer's devices are none here" - "$(ask as_root read "$root/dev/zero")"
check_equal "nor are its setuid programs" "nosuid nodev" \
  "$(findmnt -n -o OPTIONS "$mnt" | tr , '\n' | grep -x 'nosuid\|nodev' | xargs)"

# Who owns a file needs no capability for what its mode grants him: that is looked at anew each time.
own=/proc/$consumer/root/own
mkdir -p "$own/sub"
echo content | tee "$own/sub/one" "$own/sub/two" >"$own/file"
check_equal "root reads his own file without CAP_DAC_OVERRIDE" + "$(ask as_no_dac read "$root/own/file")"
check_equal "and in his own directory" + "$(ask as_no_dac read "$root/own/sub/one")"
chmod 0 "$own/file" "$own/sub"
check_equal "not once its mode says no" - "$(ask as_no_dac read "$root/own/file")"
check_equal "nor the directory's" - "$(ask as_no_dac read "$root/own/sub/two")"
check_equal "with it he does" + "$(ask as_root read "$root/own/sub/two")"
chmod 755 "$own/sub"
chown 101 "$own/sub/one"
chmod 600 "$own/sub/one"
check_equal "nor another user's" - "$(ask as_no_dac read "$root/own/sub/one")"
as_no_fsetid="setpriv --inh-caps=-fsetid --bounding-set=-fsetid"
chmod 4755 "$own/sub/two"
exec {held}<"$root/own/sub/two"
printf x | dd of="$root/own/sub/two" conv=notrunc status=none
check_output "a write with CAP_FSETID keeps the setuid bit" 4755 stat -c %a "$own/sub/two"
# shellcheck disable=SC2086
printf x | $as_no_fsetid dd of="$root/own/sub/two" conv=notrunc status=none
check_output "one without takes it away, also if the file is open for reading" 755 stat -c %a "$own/sub/two"
exec {held}<&-

mkdir "/proc/$consumer/root/closed/dir"
ln -s closed/dir/../file "/proc/$consumer/root/link"
check_output "root is told where a link leads" closed/file readlink "$root/link"
# shellcheck disable=SC2086
check_output "who may not search the directory is not told what is in it" closed/dir/. $as_no_dac readlink "$root/link"

# shellcheck disable=SC2086
imitate user -- $as_101 sleep infinity
mkdir "/proc/$imitated_pid/root/team"
chown 0:2000 "/proc/$imitated_pid/root/team"
chmod 770 "/proc/$imitated_pid/root/team"
pod_until 50 test -d "$mnt/user/root"
# shellcheck disable=SC2086
check "the groups of a caller count" ${as_101/--clear-groups/--groups 2000} touch "$mnt/user/root/team/file"
# shellcheck disable=SC2086
check "and only they" sh -c '! "$@" 2>/dev/null' sh $as_101 touch "$mnt/user/root/team/other"

# --- who reads links, and whom a file system in the peer sees

mkdir -p "$work/c/mine/upper/fuse"
cp "$helpers/helper_badfuse" "$work/c/mine/upper/badfuse"
imitate mine -- \
  sh -c "mknod /dev/fuse c 10 229; /badfuse /fuse /etc/passwd 1000000 /asked & exec $as_101 sleep infinity"
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
check_equal "a file server in the peer is told who reads, by /proc" "open 101 read 101" \
  "$(told "/proc/$mine/root/fuse/program")"
for options in allow_other allow_other,passthrough=off; do
  peerfs_stop
  peerfs_start -o "$options"
  check_equal "the same with $options" "open 101 read 101" "$(told "$mnt/mine/root/fuse/program")"
done

# --- handles

cp "$test_dir/helpers/handles.py" "$work"
handles="$(PATH=/usr/bin:/bin command -v python3) $work/handles.py"
as_read_search="setpriv --inh-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search"
echo SECRET >"/proc/$mine/root/private"
chmod 600 "/proc/$mine/root/private"
# They stay known while somebody has them open.
exec {held}<"$mnt/mine/root/private" {held_dir}<"$mnt/mine/root/etc"
read -r file dir < <($handles name "$mnt/mine/root/private" "$mnt/mine/root/etc")
# Linux 6.9 and libfuse 3.17 let a file system have no handles.
if [[ $("$PEERFS" --version) = *'libfuse 3.1'[0-6]* ]] || ! linux 6.9; then
  # Two words of 32 bits, the high one first.
  check_less "a handle holds a count, no address" 1000000 \
    "$((16#$(sed -E 's/^..(..)(..)(..)(..)(..)(..)(..)(..).*/\4\3\2\1\8\7\6\5/' <<<"$file")))"
  for what in "$file" "$dir" "$dir passwd"; do
    # shellcheck disable=SC2086
    check_equal "and so does a handle of a ${what##* }" - "$($as_read_search $handles open "$mnt" $what)"
  done
else
  check_equal "no handle is to be had" "error error" "$file $dir"
fi
check_equal "/proc refuses a caller with DAC_READ_SEARCH alone" - \
  "$(ask as_read_search read "/proc/$mine/root/private")"
check_equal "and so does a path" - "$(ask as_read_search read "$mnt/mine/root/private")"
exec {held}<&- {held_dir}<&-

# --- descriptors that were taken before the main process executed a setuid program

mkdir -p "$work/c/changing/upper"
cp "$helpers/helper_target" "$work/c/changing/upper/target"
chmod 4755 "$work/c/changing/upper/target"
imitate changing -- sh -c "mkdir -m 1777 -p /run/target; \
  exec env TOKEN=secret $as_101 sh -c 'until [ -e /go ]; do sleep 0.05; done; exec /target'"
changing=$imitated_pid
pod_until 50 test -d "$mnt/changing/root/run/target"
pod_until 50 grep -q '^Uid:.101.101.101.101' "/proc/$changing/status"
mkfifo "$work/fifo"
objects=(maps/maps maps/smaps_rollup env/TOKEN env maps)
# shellcheck disable=SC2086
$as_101 $handles keep "$work/fifo" "${objects[@]/#/$mnt/changing/}" >"$work/kept" &
keeper=$!
chmod 666 "$work/fifo"
pod_until 50 grep -q before "$work/kept"
touch "/proc/$changing/root/go"
pod_until 50 test "$(readlink "/proc/$changing/exe")" = /target ||
  pod_until 50 sh -c "readlink /proc/$changing/exe | grep -q target"
echo >"$work/fifo"
wait "$keeper"
check_equal "its own user may look at first" "before + + + + +" "$(head -n 1 "$work/kept")"
check_equal "/proc refuses it then" - "$(ask as_101 read "/proc/$changing/environ")"
check_equal "and so do descriptors from before" "after - - - - -" "$(tail -n 1 "$work/kept")"

# --- a mapped file in a folder that its process may not enter any more

perl=usr/lib/x86_64-linux-gnu/perl-base
hidden=hid/auto/POSIX/POSIX.so
# shellcheck disable=SC2174 # the folders above are to have the mode of the first
mkdir -p -m 755 "$work/c/mapper/upper" && mkdir -p -m 700 "$work/c/mapper/upper/hid/auto"
cp "$root_pod_dir/$perl/POSIX.pm" "$work/c/mapper/upper/hid/"
cp -r "$root_pod_dir/$perl/auto/POSIX" "$work/c/mapper/upper/hid/auto/"
imitate mapper -- perl -e 'unshift @INC, "/hid"; require POSIX; $) = "101 101"; $( = 101; $< = $> = 101;
  syscall (157, 4, 1); sleep 1000'
mapper=$imitated_pid
pod_until 50 grep -q '^Uid:.101.101.101.101' "/proc/$mapper/status"
pod_until 50 sh -c "[ \"\$(stat -c %u /proc/$mapper/root)\" = 101 ]"
check "it is mapped" grep -q "/$hidden" "/proc/$mapper/maps"
check_equal "/proc refuses it to his user" - "$(ask as_101 read "/proc/$mapper/root/$hidden")"
check_equal "and so does maps/files" - "$(ask as_101 read "$mnt/mapper/maps/files/$hidden")"
libc=$(awk '$6 ~ /\/libc\.so/ { print $6; exit }' "/proc/$mapper/maps")
# Before Linux 5.12 only those who may follow map_files are led there (docs/limits.md).
led=$(linux 5.12 && echo + || echo -)
check_equal "what he may open by its path he may open there" "$led" "$(ask as_101 read "$mnt/mapper/maps/files$libc")"
check "root reads both" sh -c 'cat "$1" "$2" >/dev/null' - \
  "$mnt/mapper/maps/files/$hidden" "$mnt/mapper/maps/files$libc"

# --- io_uring: its threads keep the capabilities of the time when they were made

TOKEN=hidden imitate able -- setpriv --reuid 101 --regid 101 --clear-groups --inh-caps=-all,+net_bind_service \
  --ambient-caps=+net_bind_service sleep infinity
able=$imitated_pid
pod_until 50 grep -q '^CapEff:.*400$' "/proc/$able/status"
check_output "io_uring: neither /proc nor peerfs opens more than its user may" "- - - - -" "$helpers/helper_uring" \
  "/proc/$able/environ" "/proc/$able/root/etc/passwd" \
  "$mnt/able/env/TOKEN" "$mnt/able/root/etc/passwd" "$mnt/able/maps/maps"
check_output "io_uring: what the user may open" "$led" "$helpers/helper_uring" "$mnt/mapper/maps/files$libc"

# --- our own mount below a file system that a peer has laid over it: the daemon would ask itself, with its own rights

peerfs_stop
peerfs_start -o allow_other,passthrough=off
mkdir "/proc/$mine/root/ours" "/proc/$mine/root/low" "/proc/$mine/root/over"
# By open_tree(2) and move_mount(2), as the mount would be propagated.
python3 - "$mnt" "/proc/$mine/ns/mnt" <<'END' || abandon "the mount gets into a peer"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
tree = libc.syscall(428, -100, sys.argv[1].encode(), 1)
namespace = os.open(sys.argv[2], os.O_RDONLY)
assert tree >= 0 and libc.unshare(0x200) == 0 and libc.setns(namespace, 0x20000) == 0
assert libc.syscall(429, tree, b"", -100, b"/ours", 4) == 0, os.strerror(ctypes.get_errno())
END
nsenter --target "$mine" --mount mount -t overlay -o lowerdir=/ours:/low over /over || abandon "an overlay over it"
over=$mnt/mine/root/over/changing/root/etc
check "an admin finds nothing in it" sh -c '! ls "$1" 2>/dev/null' sh "$over"
check_equal "and then nobody else does" - "$(ask as_default read "$over/passwd")"
nsenter --target "$mine" --mount umount -l /over /ours

# --- descriptors: a caller in one container takes half of them, and nobody else's

peerfs_stop
peerfs_nofile=256
peerfs_start -o allow_other
# shellcheck disable=SC2016
taken=$(perl -e 'my @held; while (@held < 1000) { open (my $f, "<", $ARGV[0]) or last; push @held, $f }
  print scalar @held, " $!\n";
  open (my $f, "<", $ARGV[1]) or print "another: $!\n"; opendir (my $d, $ARGV[2]) or print "the top: $!\n"' \
  "$mnt/mine/root/etc/passwd" "$mnt/changing/root/etc/passwd" "$mnt")
check_equal "one container's files: half of the descriptors, and no other's" "Too many open files" "${taken#* }"
check_less "they are half of 256" 129 "${taken%% *}"
check "closed, they are free" cat "$mnt/mine/root/etc/passwd"
unset peerfs_nofile
peerfs_stop
finish
