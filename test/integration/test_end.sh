#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# 100 ms after a container's end nothing of it is held, whatever was open: no descriptor of the daemon leads to it, and
# its filesystem is gone with its last mount (a new overlay over the same upper directory is no longer refused).
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# held [KILL]: the descriptors of the daemon that lead to the container: by their paths, by its overlay's device, or as
# a pidfd of its main process (of none, once it was reaped). With KILL, that is killed, and the answer is after how many
# milliseconds there were none any more.
held ()
{
  perl -MTime::HiRes=time,sleep -e '
    my ($daemon, $peer, $overlay, $kill) = @ARGV;
    sub is_of
    {
      open (my $info, "<", "/proc/$daemon/fdinfo/$_[0]") or return 0;
      return grep { /^Pid:\s+(-1|$peer)$/ } <$info>;
    }
    sub held
    {
      my @held;
      for my $fd (glob "/proc/$daemon/fd/*") {
        my $target = readlink $fd or next;
        my $device = (stat $fd)[0];
        push @held, $target if $target =~ m{held-by-peer|^/proc/$peer\b} || ($device && $device eq $overlay)
          || ($target =~ /pidfd/ && is_of ($fd =~ s{.*/}{}r));
      }
      return @held;
    }
    if ($kill) {
      kill "KILL", $peer;
      my $start = time;
      while (held () && time < $start + 5) { sleep 0.005 }
      printf "%d\n", (time - $start) * 1000;
    } else {
      print "$_\n" for held ();
    }' "$peerfs_pid" "$imitated_pid" "$overlay" "$@"
}

# Readers that hold files of each kind open below $mnt/NAME, from their own process: prints its pid.
hold ()
{
  perl -e '
    use Fcntl;
    my ($peer, @open) = (shift);
    for my $path (map { "$peer/$_" } @ARGV) {
      my $handle;
      if (-d $path) { opendir ($handle, $path) or next; readdir $handle }
      else { open ($handle, "<", $path) or next; sysread ($handle, my $byte, 1) }
      push @open, $handle;
    }
    my ($write, $done);
    open ($write, ">>", "$peer/root/held-by-peer/written") and push @open, $write;
    chdir "$peer/root/held-by-peer";
    open ($done, ">", $ENV{HOLD_DONE});
    print $done scalar (@open), "\n";
    close $done;
    sleep 60;' "$mnt/$1" root root/held-by-peer root/held-by-peer/file root/etc/passwd root/dev/zero \
    root/tmp env env/PATH maps maps/maps maps/smaps maps/files sockets sockets/run pids id pid &
  holder=$!
}

for round in 1 2 3; do
  name=end-$round
  upper=$work/c/$name/upper
  mkdir -p "$upper/held-by-peer"
  echo content >"$upper/held-by-peer/file"
  cp "$PEERFS_HELPERS/helper_hostile" "$upper/program"
  imitate "$name" -- /program names
  overlay=$(stat -L -c %d "/proc/$imitated_pid/root/etc")
  [ -n "${peerfs_pid:-}" ] || peerfs_start -o passthrough=off
  rm -f "$work/done"
  HOLD_DONE=$work/done hold "$name"
  pod_until 50 test -s "$work/done"
  check "round $round: $(cat "$work/done") things are open" test "$(cat "$work/done")" -ge 16
  [ -n "$(held)" ] || failed "round $round: the test sees what is held"

  check_less "round $round: milliseconds until nothing was held" 101 "$(held KILL)"
  wait "$imitated_pid" 2>/dev/null
  check_equal "round $round: nothing is held" "" "$(held)"
  # An overlay takes its upper directory for itself for as long as it lives.
  check "round $round: the filesystem is gone" mount -t overlay \
    -o "lowerdir=$root_pod_dir,upperdir=$upper,workdir=$work/c/$name/work,index=on" again "$work/c/$name/merged"
  umount "$work/c/$name/merged"
  rm -rf "$work/c/$name" && passed "round $round: its folder can be removed"
  check_equal "round $round: its directory is gone" "" "$(ls "$mnt")"
  kill "$holder"
  wait "$holder" 2>/dev/null
done
# What a caller was busy with at the end the kernel would keep by its name, and the daemon with it. A handle tells what
# it keeps; with libfuse from 3.17 on there are none.
# known: the kernel remembers $handle: + or -.
known ()
{
  python3 "$test_dir/helpers/handles.py" known "$mnt" "$handle"
}
forgotten ()
{
  [ "$(known)" = - ]
}

# name_handle PATH: sets handle.
name_handle ()
{
  handle=$(python3 "$test_dir/helpers/handles.py" name "$mnt/$1")
}

# ends NAME: the container that was started last.
ends ()
{
  kill -KILL "$imitated_pid"
  wait "$imitated_pid" 2>/dev/null
  pod_until 50 test ! -e "$mnt/$1"
}

imitate left-late -- sleep infinity
(cd "$mnt/left-late/root/tmp" && exec sleep 600) &
holder=$!
pod_until 50 sh -c "readlink /proc/$holder/cwd | grep -q tmp"
name_handle left-late/root/tmp
ends left-late
if [ "$handle" != error ]; then
  sleep 0.5
  check_equal "what is in use after the end is known" + "$(known)"
fi
kill "$holder"
wait "$holder" 2>/dev/null
left=$handle
imitate looked-into -- sleep infinity
name_handle looked-into
(cd "$mnt/looked-into" && ends looked-into && ls root id none >/dev/null 2>&1)
if [ "$handle" != error ]; then
  pod_until 20 forgotten
  check_equal "where names were looked up after the end is forgotten" - "$(known)"
  handle=$left
  pod_until 20 forgotten
  check_equal "what was left after the end is forgotten at the next one" - "$(known)"
fi
imitate listed -- sleep infinity
overlay=
ls "$mnt" >/dev/null && ls "$mnt" >/dev/null
check_equal "of what was listed alone nothing is held" "" "$(held)"
kill -KILL "$imitated_pid"
wait "$imitated_pid" 2>/dev/null
check_equal "listed alone: its directory is gone" "" "$(ls "$mnt")"

peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
