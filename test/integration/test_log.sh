#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the daemon says of itself: SIGUSR1 logs its state, and a daemon that has detached logs to syslog(3).
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# states FILE: the state that was logged, without the numbers that vary.
states ()
{
  sed -n 's/.*\(event=state .*\)/\1/p' "$1" | sed -E 's/^(event=state of=(jobs|nodes)) .*/\1/; s/ max=[0-9]+//'
}

state_logged ()
{
  grep -q 'event=state of=nodes' "$1"
}

imitate one -- sleep infinity
imitate two -- sleep infinity
expected='event=state of=containers count=2
event=state of=processes count=2
event=state of=files count=1 counted=1
event=state of=jobs
event=state of=nodes'

peerfs_start
exec 7<"$mnt/one/root/etc/passwd"
kill -USR1 "$peerfs_pid"
pod_until 50 state_logged "$work/peerfs.log"
check_equal "the state on stderr" "$expected" "$(states "$work/peerfs.log")"
exec 7<&-
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"

# A syslog of our own: /dev is only in this namespace another one.
mkdir "$work/dev" && mount --bind /dev "$work/dev" && mount -t tmpfs tmpfs /dev &&
  for name in null zero random urandom fuse; do
    : >"/dev/$name" && mount --bind "$work/dev/$name" "/dev/$name"
  done || abandon "a /dev of our own"
perl -MIO::Socket::UNIX -MSocket -e '
  my $log = IO::Socket::UNIX->new (Type => SOCK_DGRAM, Local => "/dev/log") or die;
  open (my $out, ">", shift); $out->autoflush;
  while (defined $log->recv (my $line, 8192)) { print $out "$line\n" }' "$work/syslog" &
syslog=$!
pod_until 50 test -S /dev/log || abandon "a syslog"
check "it detaches" "$PEERFS" "$mnt"
exec 7<"$mnt/one/root/etc/passwd"
pid=$(pgrep -f "^$PEERFS $mnt\$")
kill -USR1 "$pid"
pod_until 50 state_logged "$work/syslog"
check "syslog tells that it is mounted" grep -q "^<30>.* peerfs\[$pid\]: event=mounted mountpoint=$mnt " "$work/syslog"
check_equal "the state in syslog" "$expected" "$(states "$work/syslog")"
exec 7<&-
kill "$pid"
pod_until 50 grep -q event=unmounted "$work/syslog"
check "syslog tells that it is unmounted" grep -q 'event=unmounted' "$work/syslog"
kill "$syslog"
finish
