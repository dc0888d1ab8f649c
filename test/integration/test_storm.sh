#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many callers, and the peer itself, change and walk one tree at the same time. Nothing may hang, crash or get lost; in
# the end the tree is what the peer sees. PEERFS_STORM is how many seconds it lasts.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# EROFS: a caller moved a directory while another one followed a relative link there (docs/limits.md).
seconds=${PEERFS_STORM:-8}
use_seed
storm='
use Fcntl; use POSIX ();
my ($top, $seed, $seconds) = @ARGV; srand ($seed);
chdir $top or die "chdir $top: $!";
my %known = map { $_ => 1 } POSIX::ENOENT, POSIX::EEXIST, POSIX::ENOTDIR, POSIX::EISDIR, POSIX::ENOTEMPTY,
  POSIX::EINVAL, POSIX::ELOOP, POSIX::EPERM, POSIX::EBUSY, POSIX::ENAMETOOLONG, POSIX::ENXIO, POSIX::EROFS, 116;
my %odd; my $n = 0;
sub path { my $p = join "/", map { chr (97 + int rand 4) } 1 .. 1 + int rand 3; $p }
sub did { my ($what, $ok) = @_; $n++; return if $ok; my $e = $! + 0; $odd{"$what: $!"}++ unless $known{$e}; }
my $end = time + $seconds;
while (time < $end) {
  my ($p, $q, $r) = (path (), path (), int rand 14);
  if ($r < 2) { did ("mkdir", mkdir $p) }
  elsif ($r == 2) { did ("rmdir", rmdir $p) }
  elsif ($r < 5) { did ("rename", rename $p, $q) }
  elsif ($r == 5) { did ("unlink", unlink $p) }
  elsif ($r == 6) { did ("link", link $p, $q) }
  elsif ($r == 7) { did ("symlink", symlink "/storm/$q/../x", $p) }
  elsif ($r < 10) {
    my $ok = sysopen (my $f, $p, O_RDWR | O_CREAT | ($r == 8 ? O_TRUNC : O_APPEND), 0644);
    did ("open", $ok);
    if ($ok) {
      did ("write", defined syswrite $f, "x" x int rand 5000);
      sysseek $f, 0, 0;
      my $b;
      did ("read", defined sysread $f, $b, 9999);
      close $f;
    }
  }
  elsif ($r == 10) {
    did ("readdir", opendir (my $d, $p)) if 0;
    if (opendir (my $d, $p)) { my @l = readdir $d; closedir $d }
  }
  elsif ($r == 11) { did ("truncate", truncate $p, int rand 99) }
  elsif ($r == 12) { did ("utime", utime 5, 6, $p); did ("chmod", chmod 0755, $p) }
  else { readlink $p; did ("stat", scalar (my @s = lstat $p)) }
}
print "$n operations\n";
print "odd: $_ ($odd{$_})\n" for sort keys %odd;'

imitate x -- sleep infinity
peerfs_start
direct=/proc/$imitated_pid/root
mkdir "$direct/storm"
workers=()
for i in 1 2 3 4; do
  perl -e "$storm" "$mnt/x/root/storm" "$((seed + i))" "$seconds" >"$work/through.$i" 2>&1 &
  workers+=($!)
done
nsenter --mount="/proc/$imitated_pid/ns/mnt" --root="$direct" perl -e "$storm" /storm "$seed" "$seconds" \
  >"$work/direct.1" 2>&1 &
workers+=($!)
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
  find "$mnt/x/root/storm" -ls >/dev/null 2>&1
  tar cf /dev/null -C "$mnt/x/root" storm 2>/dev/null
done &
workers+=($!)
while [ $SECONDS -lt $end ]; do
  find "$mnt"/*/{sockets,env,maps,pids} >/dev/null 2>&1
  ls "$mnt" >/dev/null
  sleep 0.2
done &
workers+=($!)
wait "${workers[@]}"

for file in "$work"/through.* "$work"/direct.1; do
  check_equal "$(head -n 1 "$file") of ${file##*/} end as they may" "" "$(sed 1d "$file" | head -n 20)"
done
sleep 1.2
list='find storm \( -type d -printf "%p d %m\n" -o -type l -printf "%p l\n" -o -printf "%p %y %m %s %n %T@\n" \) | sort'
check_equal "the tree is what the peer sees" "" \
  "$(diff <(cd "$direct" && eval "$list") <(cd "$mnt/x/root" && eval "$list") 2>&1)"
sums='find storm -type f -exec cksum {} + | sort'
check_equal "so is the content" "" "$(diff <(cd "$direct" && eval "$sums") <(cd "$mnt/x/root" && eval "$sums") 2>&1)"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
