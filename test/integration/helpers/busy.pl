# SPDX-License-Identifier: LGPL-2.1-or-later
# What becomes of each change of names where something is mounted: a line for each, "OPERATION ARGUMENTS: 0 or the
# error". What succeeds is undone. The working directory is a root with the mounts of test_busy.sh.
use strict;
use warnings;
$| = 1;

my ($linkat, $mkdirat, $mknodat, $renameat2, $symlinkat, $unlinkat) =
  `uname -m` =~ /x86_64/ ? (265, 258, 259, 316, 266, 263) : (37, 34, 33, 276, 36, 35);
my $here = -100;
my ($no_replace, $exchange) = (1, 2);

sub result { return $_[0] == 0 ? 0 : "$!"; }
sub name_of { my $copy = $_[0]; return $copy; }

sub unlinked { my $x = shift; return result(syscall($unlinkat, $here, $x, 0)); }
sub removed { my $x = shift; return result(syscall($unlinkat, $here, $x, 0x200)); }

sub renamed {
  my ($x, $y, $flags) = @_;
  return result(syscall($renameat2, $here, $x, $here, $y, $flags));
}

sub tell_rename {
  my ($what, $flags, @pairs) = @_;
  for my $pair (@pairs) {
    my ($x, $y) = @$pair;
    my $r = renamed($x, $y, $flags);
    print "$what $x $y: $r\n";
    next if $r ne '0' || $x eq $y;
    $r = renamed($y, $x, $flags);
    print "$what $x $y: undone: $r\n";
  }
}

print "unlink $_: ", unlinked($_), "\n"
  for qw(etc/hosts srv/second srv/volume/sub srv/only/mount dev/termination-log dev/null dev proc srv);
print "rmdir $_: ", removed($_), "\n"
  for qw(etc/hosts srv/second srv/volume srv/volume/sub srv/only/mount srv/only dev proc srv dev/null etc/hosts/);

my @files = (['etc/hosts', 'etc/x'], ['etc/passwd', 'etc/hosts'], ['etc/hosts', 'etc/resolv.conf'],
  ['etc/hosts', 'etc/hosts'], ['etc/hosts', 'srv/x'], ['etc/hosts', 'srv/volume/x'], ['srv/volume/f', 'etc/hosts'],
  ['srv/volume/f', 'etc/x'], ['dev/null', 'dev/x'], ['dev/x', 'dev/null'], ['etc/none', 'etc/hosts'],
  ['etc/hosts', 'none/x']);
my @directories = (['srv/second', 'srv/x'], ['srv/plain', 'srv/second'], ['srv/second', 'srv/volume'],
  ['srv/full', 'srv/second'], ['srv/second', 'srv/full'], ['srv/second', 'srv/second'],
  ['srv/volume/sub', 'srv/volume/x'], ['srv/volume/sub', 'srv/x'], ['dev', 'x'], ['srv/plain', 'dev'],
  ['srv/second', 'srv/second/x'], ['srv', 'srv/second/x'], ['srv/only', 'srv/only/mount/x'],
  ['srv/only', 'srv/only/x']);
my @mixed = (['srv/plain', 'etc/hosts'], ['etc/passwd', 'srv/second'], ['etc/hosts', 'srv/plain'],
  ['srv/second', 'etc/passwd'], ['etc/hosts', 'srv/second'], ['srv/second', 'etc/hosts']);
# A directory that has mount points below it is none itself.
my @parents = (['srv/only', 'srv/elsewhere'], ['srv/only', 'elsewhere'], ['srv', 'elsewhere'],
  ['srv/only', 'srv/second'], ['srv/only', 'srv/full'], ['srv/full', 'srv/only'], ['srv/only', 'srv/second/x']);
tell_rename('rename', 0, @files, @directories, @mixed, @parents);
tell_rename('rename without replacing', $no_replace, @files, @directories, @mixed, @parents);
tell_rename('exchange', $exchange, @files, @directories, @mixed, @parents, ['srv/plain', 'srv/only']);

for my $pair (@files, @directories, @mixed, @parents) {
  my ($x, $y) = map { name_of($_) } @$pair;
  my $r = result(syscall($linkat, $here, $x, $here, $y, 0));
  print "link $x $y: $r\n";
  print "link $x $y: undone: ", unlinked($y), "\n" if $r eq '0';
}
for (qw(etc/hosts srv/second srv/volume/sub)) {
  my $x = name_of($_);
  print "mkdir $x: ", result(syscall($mkdirat, $here, $x, 0755)), "\n";
  print "symlink $x: ", result(syscall($symlinkat, $x, $here, $x)), "\n";
  print "mknod $x: ", result(syscall($mknodat, $here, $x, 0100644, 0)), "\n";
}
