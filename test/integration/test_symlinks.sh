#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The symlink oracle: random links in random trees resolve through /peers/x/root as they do in a chroot of the peer.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

links=${PEERFS_LINKS:-10000}
seed=${PEERFS_SEED:-$RANDOM}
echo "PEERFS_SEED=$seed"

# Directories, files and links below the current directory, as /t of the peer. Every directory has a file .id, and every
# file its own path as content, so that what a path leads to can be told by reading.
make_tree='
my ($seed, $links) = @ARGV; srand ($seed);
my @dirs = ("."); my @names = map { chr (97 + $_) } 0 .. 15;
sub put { open (my $f, ">", $_[0]) or return; print $f $_[1]; close $f; }
sub pick { $_[rand @_] }
for (1 .. 300) {
  my $dir = pick (@dirs) . "/" . pick (@names);
  next if ($dir =~ tr|/||) > 6 || !mkdir $dir;
  push @dirs, $dir;
}
put ("$_/.id", "directory $_") for @dirs;
my @good = @dirs;
for (1 .. 600) {
  my $file = pick (@dirs) . "/" . pick (@names) . int (rand 4);
  put ($file, "file $file") unless -e $file;
  push @good, $file;
}
my ($made, $link) = (0);
while ($made < $links) {
  my $in = pick (@dirs);
  my $count = 1 + int rand 7;
  my @parts = map { my $r = rand; $r < 0.3 ? ".." : $r < 0.36 ? "." : $r < 0.42 ? "" :
    $r < 0.6 ? "l" . int rand $links : pick (@names) . ($r < 0.7 ? int rand 4 : "") } 1 .. $count;
  my $target = join "/", @parts;
  my $r = rand;
  if ($r < 0.3) { $target = "/t/$target" }
  elsif ($r < 0.4) { $target = "/$target" }
  elsif ($r < 0.5) { my $d = pick (@dirs); $d =~ s|^\./?||; $target = "/t/$d/$target" }
  elsif ($r < 0.55) { $target = "/../" . "../" x int (rand 4) . "t/$target" }
  elsif ($r < 0.57) { $target = "./" x 2000 . $target }
  elsif ($r < 0.575) { $target = substr ("x" x 254 . "/$target", 0, 4095) }
  elsif ($r < 0.58) { $target = substr ("/t/" . "a/../" x 900 . $target, 0, 4095) }
  elsif ($r < 0.63 && $link) { $target = "/t/" . substr ($link, 2) . "/../$target" }
  if (rand () < 0.6) {
    my $to = substr (pick (@good), 2) // "";
    $to = substr (pick (@dirs), 2) . "/" . "../" x (1 + int rand 8) . "t/$to" if rand () < 0.3;
    $target = rand () < 0.5 ? "/t/$to" : rand () < 0.8 ? "../" x ($in =~ tr|/||) . $to : "../" x 9 . "t/$to";
  }
  next if $target eq "";
  $link = "$in/l$made";
  symlink ($target, $link) or next;
  $made++;
  push @good, $link if -e $link;
}
symlink (".id", "chain0"); symlink ("chain" . ($_ - 1), "chain$_") for 1 .. 45;
symlink ("/t/achain" . ($_ - 1), "achain$_") for 1 .. 45; symlink ("/t/.id", "achain0");
symlink ("self", "self"); symlink ("/t/ping", "pong"); symlink ("pong", "ping");'

# resolve ROOT LIST: what each path of the list leads to below ROOT: content or errno.
resolve='
my ($root, $list, $chroot) = @ARGV;
sub names { opendir (my $d, $_[0]) or return "error " . ($! + 0); return "directory of " . join " ", sort readdir $d; }
open (my $l, "<", $list) or die; my @paths = <$l>; chomp @paths;
if ($chroot) { chroot ($root) or die "chroot: $!"; chdir "/"; $root = ""; }
for my $path (@paths) {
  my ($what, $f);
  if (!stat "$root$path") { $what = "error " . ($! + 0); }
  elsif (-d _) { $what = open ($f, "<", "$root$path/.id") ? <$f> : names ("$root$path"); }
  elsif (-f _) { $what = open ($f, "<", "$root$path") ? <$f> // "" : "error " . ($! + 0); $what = substr $what, 0, 200; }
  else { $what = "special"; }
  chomp $what;
  print "$path: $what\n";
}'

mkdir -p "$work/c/x/upper/t"
(cd "$work/c/x/upper/t" && perl -e "$make_tree" "$seed" "$links") || abandon "a random tree is made"
imitate x -- sleep infinity
peerfs_start
direct=/proc/$imitated_pid/root

chroot "$direct" find /t -type l | sort >"$work/list"
check "links are many" test "$(wc -l <"$work/list")" -ge "$links"
perl -e "$resolve" "$direct" "$work/list" chroot >"$work/expected"
perl -e "$resolve" "$mnt/x/root" "$work/list" >"$work/found"
check_equal "each link leads where it leads in a chroot" "" "$(diff "$work/expected" "$work/found" | head -n 20)"
echo "$(grep -c -v ': error' "$work/expected") lead somewhere, $(grep -c ': error 2$' "$work/expected") are dangling," \
  "$(grep -c ': error 40$' "$work/expected") loop, $(grep -c ': error \(20\|36\)$' "$work/expected") fail otherwise"

# The physical paths too, as realpath prints them.
sed -n 's/: \(file\|directory\) .*//p' "$work/expected" >"$work/good"
chroot "$direct" xargs realpath -e -- <"$work/good" >"$work/expected"
sed "s#^#$mnt/x/root#" "$work/good" | xargs realpath -e -- | sed "s#^$mnt/x/root##; s#^\$#/#" >"$work/found"
check_equal "realpath" "" "$(diff "$work/expected" "$work/found" | head -n 20)"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
