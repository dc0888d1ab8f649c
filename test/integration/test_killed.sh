#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGKILL for the daemon while writers write: every write that was acknowledged is there, the peer notices nothing, and
# the next daemon serves on the same mountpoint.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
use_seed

rounds=${PEERFS_KILLS:-8}
imitate one -- sh -c 'while :; do echo alive; sleep 0.05; done >/work-log'
peer=/proc/$imitated_pid/root
mkdir -p "$work/acknowledged"

# Appends numbered lines, makes files and renames them, each with a word in $2 once the kernel has said yes.
writer='
  use IO::Handle;
  my ($dir, $log, $tag) = @ARGV;
  my ($said, $out);
  open ($said, ">", $log) or die;
  $said->autoflush (1);
  open ($out, ">>", "$dir/lines.$tag") or exit 0;
  for (my $n = 1;; $n++) {
    syswrite ($out, sprintf ("%08d\n", $n)) == 9 or exit 0;
    print $said "line $n\n";
    next if $n % 10;
    my $new;
    open ($new, ">", "$dir/new.$tag") && syswrite ($new, "$n\n") && close $new &&
      rename ("$dir/new.$tag", "$dir/file.$tag.$n") or exit 0;
    print $said "file $n\n";
  }'

# Prints how many lines were acknowledged, and how many of them and of the files are not there.
verifier='
  my ($dir, $log, $tag) = @ARGV;
  my ($said, $file, $lines, $missing) = (undef, undef, 0, 0);
  my @lines;
  open ($file, "<", "$dir/lines.$tag") and @lines = <$file>;
  open ($said, "<", $log) or print ("0 0\n"), exit;
  while (<$said>) {
    my ($what, $n) = split;
    if ($what eq "line") { $lines++; $missing++ if $lines[$n - 1] != $n }
    else { open ($file, "<", "$dir/file.$tag.$n") && <$file> == $n or $missing++ }
  }
  print "$lines $missing\n";'

lost=0 written=0
for ((round = 1; round <= rounds; round++)); do
  mkdir "$peer/round-$round"
  peerfs_start
  writers=()
  for tag in a b; do
    perl -e "$writer" "$mnt/one/root/round-$round" "$work/acknowledged/$round.$tag" "$tag" 2>/dev/null &
    writers+=($!)
  done
  sleep "0.$((RANDOM % 8 + 1))"
  kill -KILL "$peerfs_pid"
  wait "$peerfs_pid" 2>/dev/null
  pod_until 100 sh -c "! kill -0 ${writers[*]} 2>/dev/null" || failed "round $round: the writers end"
  for tag in a b; do
    read -r lines missing < <(perl -e "$verifier" "$peer/round-$round" "$work/acknowledged/$round.$tag" "$tag")
    written=$((written + lines)) lost=$((lost + missing))
  done
done
echo "$written lines were acknowledged in $rounds rounds"
check "something was written" test "$written" -gt "$rounds"
check_equal "no acknowledged write is lost" 0 "$lost"
before=$(wc -l <"$peer/work-log")
sleep 0.3
check "the peer went on" test "$(wc -l <"$peer/work-log")" -gt "$before"
peerfs_start
check_output "the next daemon serves" one ls "$mnt"
check "and shows what was written" cmp "$mnt/one/root/round-1/lines.a" "$peer/round-1/lines.a"
check_equal "one mount" 1 "$(grep -c " $mnt fuse" /proc/mounts)"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
