#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands that need no mount, on containers that do as they please; and mount(8).
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# Listens on a socket whose name moves a cursor, and on a plain one once it is told to.
imitate web -- setpriv --reuid 33 --regid 34 --groups 5,33 perl -MIO::Socket::UNIX -e '
  $0 = "web"; chdir "/tmp";
  my $a = IO::Socket::UNIX->new(Local => "/tmp/a\n\e[2J\xff\"\xe2\x80\xae", Listen => 1) or die;
  select undef, undef, undef, 0.05 until -e "listen";
  my $b = IO::Socket::UNIX->new(Local => "/tmp/later.sock", Listen => 1) or die;
  sleep 1000'
web_id=$imitated_id
imitate idle -- sleep infinity
idle_id=$imitated_id
idle_pid=$imitated_pid
check "the server listens" pod_until 100 sh -c '[ -n "$(ls "$1/root/tmp")" ]' sh "/proc/$(pgrep -x web)"
web_pid=$(pgrep -x web)

# --list
"$PEERFS" --list >"$work/table"
check_equal "one line a container, six words each" "6 6 6" "$(awk '{ print NF }' "$work/table" | xargs)"
check_equal "the header" "NAME ID RUNTIME PID PIDS SOCKETS" "$(head -n 1 "$work/table" | xargs)"
check_equal "a row" "web ${web_id:0:12} podman $web_pid 1 1" "$(grep '^web ' "$work/table" | xargs)"
check_equal "columns are aligned" 1 "$(grep -ob 'RUNTIME\|podman' "$work/table" |
  awk -F: -v line="$(head -n 1 "$work/table" | wc -c)" 'NR == 1 { at = $1 } NR == 2 { print $1 - line == at }')"
"$PEERFS" --list --json >"$work/json"
check "no control character, no invalid UTF-8 in JSON" \
  sh -c 'test -s "$1/json.rest" && ! LC_ALL=C grep -q "[^[:print:]]" <"$1/json.rest" &&
    iconv -f UTF-8 -t UTF-8 <"$1/json"' sh \
  "$(sed 's/\xef\xbf\xbd//g' "$work/json" >"$work/json.rest" && echo "$work")"
check "a socket's name in JSON" \
  grep -qF "\"sockets\": [\"tmp/a\\u000a\\u001b[2J"$'\xef\xbf\xbd'"\\\"\\u202e\"]" "$work/json"
expected="{\"name\": \"idle\", \"id\": \"$idle_id\", \"runtime\": \"podman\", "
expected+="\"pod_uid\": \"0a1b2c3d-0000-4000-8000-000000000000\", \"pid\": $idle_pid, \"pids\": [$idle_pid], "
expected+="\"sockets\": []}"
check "all of an id in JSON" grep -qF "$expected" "$work/json"
"$PEERFS" --list >/dev/full 2>"$work/err"
check_equal "a list that cannot be written is a failure" "1 peerfs: cannot write" "$? $(cut -d ' ' -f 1-3 "$work/err")"

# A saved copy of /proc.
for pid in "$web_pid" "$idle_pid" $$; do
  mkdir -p "$work/saved/$pid"
  for file in cgroup mountinfo stat cmdline; do
    cat "/proc/$pid/$file" >"$work/saved/$pid/$file"
  done
done
check_equal "--list of a saved copy" "$(awk '{ print $1, $2, $3, $4, $5 }' "$work/table")" \
  "$("$PEERFS" --list --proc "$work/saved" | awk '{ print $1, $2, $3, $4, $5 }')"
"$PEERFS" -f --proc "$work/saved" "$mnt" 2>"$work/err"
check_equal "a saved copy cannot be mounted" "1 is not a live proc" "$? $(grep -o 'is not a live proc' "$work/err")"

# --wait
check "--wait for a container" "$PEERFS" --wait web --timeout 0
check "--wait for a file" "$PEERFS" --wait web/root/etc/passwd --timeout 0
check "--wait by a link" "$PEERFS" --wait web/root/var/run/../etc --timeout 0
check "--wait below proc" "$PEERFS" --wait web/proc/status --timeout 0
"$PEERFS" --wait web/sockets/later.sock --timeout 20 &
waiter=$!
sleep 0.3
check "it waits" kill -0 "$waiter"
start=$(milliseconds)
: >"/proc/$web_pid/root/tmp/listen"
wait "$waiter"
check_equal "--wait ends once the socket is there" 0 $?
check_less "milliseconds later" 2000 $(($(milliseconds) - start))

# --as
check_output "--as: uid, gid and groups" "33 34 5 33 34" "$PEERFS" --as web -- sh -c \
  'echo $(id -u) $(id -g) $(id -G | tr " " "\n" | sort -n | xargs)'
check_output "--as: no capabilities but the one that guards it" 0000000000000800 \
  "$PEERFS" --as web -- sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status
check_equal "--as: what SO_PEERCRED says" "33 34" "$("$PEERFS" --as web -- perl -MIO::Socket::UNIX -MSocket -e '
  my $s = IO::Socket::UNIX->new(Peer => "/proc/'"$web_pid"'/root/tmp/later.sock") or die "$!\n";
  socketpair my $x, my $y, AF_UNIX, SOCK_STREAM, 0;
  my (undef, $uid, $gid) = unpack "LLL", getsockopt $x, SOL_SOCKET, SO_PEERCRED; print "$uid $gid"')"
for case in "0 true" "3 sh -c 'exit 3'" "126 /etc/passwd" "127 nothing-of-that-name"; do
  eval "set -- $case"
  expected=$1
  shift
  # LeakSanitizer needs to trace its own process, which is another user's by then.
  ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "$PEERFS" --as web -- "$@" 2>/dev/null
  check_equal "--as: exit status of $1" "$expected" $?
done
check_equal "--as of nobody names who is there" 1 "$("$PEERFS" --as nobody -- true 2>&1 | grep -c 'idle, web')"

# mount(8), after the install that README shows: by our own helpers, where libfuse has none, and by libfuse's.
for dir in usr etc; do
  mkdir -p "$work/over/$dir" "$work/over/$dir.work" &&
    mount -t overlay -o "lowerdir=/$dir,upperdir=$work/over/$dir,workdir=$work/over/$dir.work" overlay "/$dir" ||
      abandon "an overlay"
done
check "install" cmake --install "$PEERFS_HELPERS/.."
mount --bind "$PEERFS" /usr/local/bin/peerfs

# mounts_by WHAT MOUNT_ARG...: that makes the mount, with its options
mounts_by ()
{
  local what=$1
  shift
  check "$what" timeout 20 mount "$@"
  check_equal "is there" $'idle\nweb' "$(ls "$mnt")"
  check_equal "with its options" "peerfs ro noexec" \
    "$(findmnt -n -o SOURCE "$mnt") $(findmnt -n -o OPTIONS "$mnt" | tr , '\n' | grep -x 'ro\|noexec' | xargs)"
  check "umount" umount "$mnt"
}

options=ro,noexec,nofail,x-systemd.automount
echo "none $mnt fuse.peerfs $options 0 0" >/etc/fstab
check "libfuse's helper is there" mv /usr/sbin/mount.fuse3 "$work/mount.fuse3"
rm -f /usr/sbin/mount.fuse
mounts_by "mount -t peerfs" -t peerfs none "$mnt" -o "$options"
mounts_by "mount -t fuse.peerfs" -t fuse.peerfs none "$mnt" -o "$options"
mounts_by "mount by fstab" "$mnt"
mv "$work/mount.fuse3" /usr/sbin/mount.fuse && rm /usr/sbin/mount.fuse.peerfs
mounts_by "mount -t fuse.peerfs by libfuse's helper" -t fuse.peerfs none "$mnt" -o "$options"
mkdir "$work/bin"
ln -s "$PEERFS" "$work/bin/mount.peerfs"
check "mount.peerfs" timeout 20 "$work/bin/mount.peerfs" pod "$mnt" -n -o rw,allow_other
check_equal "has the source" pod "$(findmnt -n -o SOURCE "$mnt")"
check "umount" umount "$mnt"
check "mount -f mounts nothing" sh -c '"$1/bin/mount.peerfs" pod "$2" -f && ! mountpoint -q "$2"' sh "$work" "$mnt"

# How it was linked: at an address that nobody knows before, with tables that nobody can write to, and no code on
# stacks.
readelf -W -h -l -d "$PEERFS" >"$work/headers"
check "position-independent" grep -q 'Type:.*DYN' "$work/headers"
check "no relocation stays writable" grep -q GNU_RELRO "$work/headers"
check "and none is late" grep -q 'FLAGS.*NOW' "$work/headers"
check "no executable stack" grep -q 'GNU_STACK.* RW ' "$work/headers"
check_equal "no segment to write and to run" "" "$(grep 'LOAD.*RWE' "$work/headers")"
finish
