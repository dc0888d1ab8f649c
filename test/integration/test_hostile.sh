#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Peers that do as they please: whatever they do, nobody reads what is outside of their roots, nobody but their own
# callers waits for them, and everybody else's answers stay right.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

. "$(dirname -- "$0")/hostile.sh"

# --- things that change places in the middle of a walk

mkdir "$work/outside"
echo OUTSIDE >"$work/outside/secret"
echo OUTSIDE >"$work/secret"
hostile swap exec /hostile swap "$work/outside"
swap=$imitated_pid
is_ready swap
peerfs_nofile=64 peerfs_start -o special=node

# What a mistake of ours is worth: SYS_MODULE, SYS_RAWIO, SYS_BOOT and SYS_TIME are not.
of_daemon ()
{
  sed -n "s/^$1:[[:space:]]*//p" "/proc/$peerfs_pid/status"
}
check_equal "sandbox: no new privileges" 1 "$(of_daemon NoNewPrivs)"
check_equal "sandbox: system calls are filtered" 2 "$(of_daemon Seccomp)"
check_equal "sandbox: capabilities that nothing needs" 0 \
  $((0x$(of_daemon CapPrm) & (1 << 16 | 1 << 17 | 1 << 22 | 1 << 25)))

# What is open in the daemon that is a FIFO, a device or a socket of a peer; what O_PATH opened is only looked at.
perl -e '
  my ($daemon, $seconds, %seen) = @ARGV;
  for (my $end = time + $seconds; time < $end;) {
    for my $fd (glob "/proc/$daemon/fd/*") {
      my $target = readlink $fd or next;
      next if $target !~ m{/work/(file|fifo|device)};
      next unless -p $fd || -c $fd || -b $fd || -S $fd;
      (my $info = $fd) =~ s{/fd/}{/fdinfo/};
      open (my $handle, "<", $info) or next;
      my ($flags) = join ("", <$handle>) =~ /flags:\s*(\d+)/ or next;
      $seen{$target} = 1 unless oct ($flags) & 010000000;
    }
  }
  print "$_\n" for sort keys %seen;' "$peerfs_pid" 5 >"$work/opened" &
watcher=$!
# Everything that can be read there in 5 seconds, by four readers, one of them with its working directory inside.
for reader in 1 2 3 4; do
  perl -MFcntl -e '
    my ($dir, $inside, %seen) = @ARGV;
    chdir "$dir/deep/er" if $inside;
    for (my $end = time + 5; time < $end;) {
      for my $name ("dir/secret", "link/secret", "climb/secret", "file", "device", "fifo", "deep/er/secret",
                    "er/secret", "dir/../dir/secret", "deep/../link/secret", "../work/dir/secret") {
        my $content;
        if (sysopen (my $handle, $inside ? "../../$name" : "$dir/$name", O_RDONLY | O_NONBLOCK)) {
          sysread ($handle, $content, 16);
          $content =~ s/\0+/zeros/g;
          $content = "" if $name eq "fifo" || $content eq "";
        } else {
          $content = "error: $!";
        }
        chomp $content;
        $seen{$content}++;
      }
    }
    print "$_\n" for sort keys %seen;' "$mnt/swap/root/work" "$((reader == 4))" >"$work/read.$reader" 2>&1 &
  readers[reader]=$!
done
timeout -s KILL 5 find "$mnt/swap/root/work" -type f -exec cat {} + >>"$work/read.find" 2>/dev/null
timeout -s KILL 5 grep -r -s . "$mnt/swap/root/work" --devices=skip >>"$work/read.find"
wait "${readers[@]}" "$watcher"
sort -u "$work"/read.[1-4] >"$work/read"
sed 's/^/  seen: /' "$work/read"
check_equal "swapped: files were read" 1 "$(grep -c -x inside "$work/read")"
check_equal "swapped: nothing from outside" "" "$(grep -h -e OUTSIDE -e zeros "$work"/read*)"
check_equal "swapped: clean errors" "" "$(grep error "$work/read" | grep -v -e 'No such file' -e 'Stale file' \
  -e 'Not a directory' -e 'Permission denied' -e 'No such device or address' -e 'Too many levels' \
  -e 'Too many open files')"
check_equal "swapped: the daemon opened no FIFO and no device" "" "$(cat "$work/opened")"
everybody_else_is_served "swapped"

# --- out of descriptors: 64 of them

perl -e '
  my ($dir, @open) = @ARGV;
  for my $i (1 .. 100) { open (my $handle, "<", "$dir/etc/passwd") or (print "error: $!\n"), next; push @open, $handle }
  print scalar (@open), " open\n";' "$mnt/calm/root" | sort | uniq -c >"$work/many"
check_equal "out of descriptors: said so" "Too many open files" "$(sed -n 's/.*error: //p' "$work/many")"
everybody_else_is_served "out of descriptors"
end_of "$swap"
pod_until 20 sh -c "! ls '$mnt' | grep -q swap"
check_output "few descriptors: an end is seen" calm ls "$mnt"

# From none that is left to enough for all, one by one: an answer is right, or it is that error. Then all is as before.
hostile server exec /hostile sockets 1
pod_until 50 test -S "/proc/$imitated_pid/root/work/s0" || failed "the server listens" "$(cat "$work/c/server/log")"
questions=("ls $mnt" "ls $mnt/server/root/proc" "stat -c %F,%a $mnt/server/root/sys" "ls $mnt/server/sockets"
  "ls $mnt/server/maps" "ls $mnt/server/env" "stat -c %F $mnt/server/sockets/s0" "ls $mnt/server/root/etc")
ask_all ()
{
  local question
  for question in "${questions[@]}"; do
    echo "$question: $($question 2>&1 | xargs)"
  done
}
ask_all >"$work/right"
used=$(find "/proc/$peerfs_pid/fd" -mindepth 1 | wc -l)
for limit in $(seq $((used - 6)) $((used + 6))); do
  sleep 0.6 # until no folder is held
  prlimit --pid "$peerfs_pid" --nofile="$limit:64"
  ask_all | grep -v 'Too many open files' | grep -v -x -F -f "$work/right" | sed "s/^/$limit: /" >>"$work/wrong"
  prlimit --pid "$peerfs_pid" --nofile=64:64
  ask_all | diff "$work/right" - | sed "s/^/after $limit: /" >>"$work/wrong"
done
check_equal "a moment without descriptors: no wrong answer, then or later" "" "$(cat "$work/wrong")"
end_of "$imitated_pid"
peerfs_stop

# --- what is large

peerfs_start -o allow_other
hostile names exec /hostile names
names=$imitated_pid
is_ready names
check_output "names: every byte" "255 names, 0 differ" perl -e '
  my ($direct, $peers) = @ARGV;
  opendir (my $a, $direct); opendir (my $b, $peers);
  my @a = sort readdir $a; my @b = sort readdir $b;
  my $differ = @a != @b || grep { $a[$_] ne $b[$_] } 0 .. $#a;
  for (grep { !/^\.\.?$/ } @b) {
    my $handle;
    open ($handle, "<", "$peers/$_") && <$handle> eq "named\n" or $differ++;
  }
  print @b - 2, " names, ", $differ + 0, " differ\n";' "/proc/$names/root/work" "$mnt/names/root/work"
end_of "$names"

hostile environment exec /hostile environment
environment=$imitated_pid
is_ready environment
check_output "environment of 1 MiB: as the kernel gives it" "129 variables, 0 differ" perl -e '
  my ($pid, $env) = @ARGV;
  local $/;
  open (my $handle, "<", "/proc/$pid/environ");
  my ($n, $differ) = (0, 0);
  for (split /\0/, <$handle>) {
    my ($name, $value) = split /=/, $_, 2;
    next if length $name > 255;
    $name =~ s{/}{%2F}g;
    my $file;
    next if $n++ % 4;
    open ($file, "<", "$env/$name") && <$file> eq $value && -s $file == length $value or $differ++;
  }
  opendir (my $dir, $env);
  my @shown = readdir $dir;
  $differ += abs (@shown - 2 - $n);
  print "$n variables, $differ differ\n";' "$environment" "$mnt/environment/env"
end_of "$environment"

# 100,000 mappings need a limit that is not the usual one.
limit=$(cat /proc/sys/vm/max_map_count)
echo 110000 2>/dev/null >/proc/sys/vm/max_map_count
hostile mappings exec /hostile mappings 100000
is_ready mappings
echo "$limit" 2>/dev/null >/proc/sys/vm/max_map_count
head -n 1 "$work/c/mappings/log"
check "mappings: at least 60,000" test "$(wc -l <"/proc/$imitated_pid/maps")" -ge 60000
check "mappings: as the kernel gives them" cmp "/proc/$imitated_pid/maps" "$mnt/mappings/maps/maps"
check_output "mappings: of one file" hostile timeout 30 ls "$mnt/mappings/maps/files"
end_of "$imitated_pid"

hostile sockets exec /hostile sockets 10000
sockets=$imitated_pid
is_ready sockets
head -n 1 "$work/c/sockets/log"
made=$(sed -n 's/ sockets//p' "$work/c/sockets/log")
check "sockets: 10,000, but for some renamed ones" \
  test "$(timeout 60 ls -U "$mnt/sockets/sockets/work" | wc -l)" -ge $((made - 100))
check "sockets: one is connected to" "$PEERFS_HELPERS/helper_caller" <<<"connect $mnt/sockets/sockets/s4321"
check_equal "sockets: it was" + "$("$PEERFS_HELPERS/helper_caller" <<<"connect $mnt/sockets/sockets/s4321")"
everybody_else_is_served "10,000 sockets"
end_of "$sockets"

# --- what does not keep still

hostile forks exec /hostile forks
forks=$imitated_pid
is_ready forks
for _ in {1..30}; do
  timeout -s KILL 10 ls "$mnt" "$mnt/forks/pids" >/dev/null 2>>"$work/forks.err" && cat "$mnt/forks/pid"
done | sort | uniq -c >"$work/forks"
check_equal "forks: one main process" "30 $forks" "$(xargs <"$work/forks")"
check_equal "forks: no errors" "" "$(cat "$work/forks.err")"
everybody_else_is_served "forks"
end_of "$forks"

hostile wander exec /hostile wander
wander=$imitated_pid
is_ready wander
check_output "wander: has its name at first" "calm wander" sh -c "ls '$mnt' | xargs"
sleep 2
for _ in {1..100}; do
  cat "$mnt/wander/root/etc/hostname" 2>&1
done | sort | uniq -c >"$work/wander"
sed 's/^/  seen: /' "$work/wander"
check "wander: something was read" grep -q -e jail -e "$(cat "$root_pod_dir/etc/hostname")" "$work/wander"
check_equal "wander: never the node's file" "" "$(grep NODE "$work/wander")"
check_output "wander: keeps its name" "calm wander" sh -c "ls '$mnt' | xargs"
end_of "$wander"

hostile stopped exec sleep infinity
stopped=$imitated_pid
kill -STOP "$stopped"
soon "stopped: files" cmp "$mnt/stopped/root/etc/passwd" "/proc/$stopped/root/etc/passwd"
soon "stopped: environment, mappings, sockets" ls -lR "$mnt/stopped/env" "$mnt/stopped/maps" "$mnt/stopped/sockets"
kill -CONT "$stopped"
cgroup=$(make_cgroup "$imitated_id")
freezer=/sys/fs/cgroup/freezer/${work##*/}
if echo 1 2>/dev/null >"$cgroup/cgroup.freeze" ||
  { mkdir -p "$freezer" 2>/dev/null && echo "$stopped" >"$freezer/cgroup.procs" &&
    echo FROZEN >"$freezer/freezer.state"; }; then
  soon "frozen: files" cmp "$mnt/stopped/root/etc/passwd" "/proc/$stopped/root/etc/passwd"
  soon "frozen: environment, mappings, sockets" ls -lR "$mnt/stopped/env" "$mnt/stopped/maps" "$mnt/stopped/sockets"
  everybody_else_is_served "frozen"
  echo 0 2>/dev/null >"$cgroup/cgroup.freeze" || { echo THAWED >"$freezer/freezer.state"; }
fi
end_of "$stopped"
rmdir "$freezer" 2>/dev/null

# --- a full disk

hostile full "mount -t tmpfs -o size=1m none /mnt; echo ready; exec sleep infinity"
is_ready full
check_output "full disk: said so" "dd: error writing '$mnt/full/root/mnt/file': No space left on device" \
  sh -c "LC_ALL=C dd if=/dev/zero of='$mnt/full/root/mnt/file' bs=64k 2>&1 | grep error"
check_equal "full disk: what was written is there" 1048576 "$(stat -c %s "/proc/$imitated_pid/root/mnt/file")"
truncate -s 600k "$mnt/full/root/mnt/file"
# Of 768 KiB that are mapped 424 can be written: one request that fails half-way.
truncate -s 768k "$mnt/full/root/mnt/mapped"
python3 -c "import errno, mmap
with open('$mnt/full/root/mnt/mapped', 'r+b') as f:
  try:
    pages = mmap.mmap(f.fileno(), 0)
  except OSError as error:
    print(errno.errorcode[error.errno])
    raise
print('mapped', flush=True)
pages[:] = bytes([1]) * len(pages)
pages.flush()" >"$work/mapped" 2>/dev/null
check "full disk: said so of mapped pages" test $? != 0
# Without kernel passthrough no file of a peer can be mapped to be written.
mapped=ENODEV
! grep -q 'event=mounted.*passthrough=on' "$work/peerfs.log" || mapped=mapped
check_output "full disk: they were mapped, or could not be" "$mapped" cat "$work/mapped"
end_of "$imitated_pid"

# --- a number that is used again

hostile first "echo FIRST >/etc/hostname; exec sleep infinity"
first=$imitated_pid
exec 4<"$mnt/first/root/etc/hostname"
cat "$mnt/first/root/etc/hostname" "$mnt/first/env/PATH" >/dev/null
end_of "$first"
mkdir -p "$work/c/second/upper/work"
again ()
{
  imitated_id=$(random_id)
  local instance=$work/pods/0a1b2c3d-0000-4000-8000-000000000000/containers/second/01234567 cgroup
  mkdir -p "${instance%/*}" && : >"$instance"
  cgroup=$(make_cgroup "$imitated_id")
  echo $((first - 1)) >/proc/sys/kernel/ns_last_pid
  unshare --mount --propagation private bash "$test_dir/imitate.sh" "$root_pod_dir" "$work/c/second" \
    "$instance" "$cgroup" sh -c 'echo SECOND >/etc/hostname; exec sleep infinity' </dev/null &
  imitated_pid=$!
  pod_until 50 grep -q "libpod-$imitated_id" "/proc/$imitated_pid/cgroup" 2>/dev/null
  pod_until 50 grep -q SECOND "/proc/$imitated_pid/root/etc/hostname" 2>/dev/null
}
for _ in {1..20}; do
  again
  [ "$imitated_pid" != "$first" ] || break
  end_of "$imitated_pid"
done
check_equal "pid used again" "$first" "$imitated_pid"
check_output "pid used again: another container" "calm second" sh -c "ls '$mnt' | xargs"
check_output "pid used again: its own file" SECOND cat "$mnt/second/root/etc/hostname"
check "pid used again: the old one is gone" sh -c "! cat '$mnt/first/root/etc/hostname'"
check_equal "pid used again: the old file says nothing" "" "$(cat <&4 2>/dev/null)"
exec 4<&-
end_of "$imitated_pid"

# --- mounts that go wrong

with_fuse="mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & until [ -e /mnt/program ]; do sleep 0.02; done"
badfuse ()
{
  badfuse=$(for p in $(cat "/proc/$1/task/$1/children"); do grep -l badfuse "/proc/$p/comm" | cut -d / -f 3; done)
}
# Its main program lies on the mount that stops to answer, and it is young: what a scan asks of it must not need the
# mount.
hostile young "$with_fuse; exec /mnt/program names"
is_ready young
badfuse "$imitated_pid"
kill -STOP "$badfuse"
everybody_else_is_served "program on a dead mount"
kill -KILL "$badfuse"
end_of "$imitated_pid"

# An error of the kernel's own (ERESTARTSYS), which it takes from no FUSE server: callers get another one.
hostile fuse "export BADFUSE_EINTR=1; $with_fuse; echo ready; exec sleep infinity"
fuse=$imitated_pid
is_ready fuse
badfuse "$fuse"
check "fuse: works at first" cmp "$mnt/fuse/root/mnt/program" "$PEERFS_HELPERS/helper_hostile"
for lock in lockf flock; do
  soon "an error that no FUSE server may give: $lock fails" python3 -c 'import fcntl, sys
try:
    getattr(fcntl, sys.argv[2])(open(sys.argv[1], "r+"), fcntl.LOCK_EX)
except OSError as e:
    sys.exit(e.errno != 5)
sys.exit(1)' "$mnt/fuse/root/mnt/program" "$lock"
done
kill -STOP "$badfuse"
callers=()
for _ in {1..8}; do
  timeout -s KILL 60 cat "$mnt/fuse/root/mnt/program" >/dev/null 2>&1 &
  callers+=($!)
done
sleep 0.5
everybody_else_is_served "dead mount"
soon "dead mount: the peer's other files" cmp "$mnt/fuse/root/etc/passwd" "/proc/$fuse/root/etc/passwd"
soon "dead mount: the directory that it is in" ls "$mnt/fuse/root"
hostile new exec sleep infinity
soon "dead mount: a new container is seen" cat "$mnt/new/root/etc/passwd"
end_of "$imitated_pid"
kill -CONT "$badfuse"
wait "${callers[@]}" 2>/dev/null
soon "answering again: served again" cmp "$mnt/fuse/root/mnt/program" "$PEERFS_HELPERS/helper_hostile"
kill -HUP "$badfuse"
for root in "/proc/$fuse/root" "$mnt/fuse/root"; do
  check_output "EIO from below at a close: $root" "Input/output error" \
    perl -e 'open (my $file, ">>", $ARGV[0]) or die $!; close ($file) or print $!' "$root/mnt/program"
done
kill -USR1 "$badfuse"
check_output "EIO from below" "cat: $mnt/fuse/root/mnt/program: Input/output error" \
  sh -c "LC_ALL=C cat '$mnt/fuse/root/mnt/program' 2>&1; true"
kill -KILL "$badfuse"
check_output "ENOTCONN from below" "cat: $mnt/fuse/root/mnt/program: Transport endpoint is not connected" \
  sh -c "LC_ALL=C cat '$mnt/fuse/root/mnt/program' 2>&1; true"
end_of "$fuse"

# What cannot be read is an error, never the end of the file: a copy would be taken for the whole.
hostile worn "mknod /dev/fuse c 10 229; head -c 1000000 /dev/urandom >large; /badfuse /mnt large 300000 &
  until [ -e /mnt/program ]; do sleep 0.02; done; echo ready; exec sleep infinity"
is_ready worn
outcome ()
{
  local status=0
  "$@" >"$work/got" 2>"$work/got.err" || status=$?
  echo "status $status, $(wc -c <"$work/got") bytes, $(md5sum <"$work/got")," \
    "$(grep -o 'Input/output error' "$work/got.err")"
}
for how in "cat " "dd status=none bs=1M if=" "dd status=none bs=5000 if="; do
  # shellcheck disable=SC2086 # a command and the beginning of a path
  directly=$(outcome $how/proc/$imitated_pid/root/mnt/program)
  check "EIO in the middle: $how: $directly" grep -q 'Input/output error' "$work/got.err"
  # shellcheck disable=SC2086
  check_equal "EIO in the middle: $how: as directly" "$directly" "$(outcome $how$mnt/worn/root/mnt/program)"
done
check "EIO in the middle: O_DIRECT" \
  sh -c "! dd status=none iflag=direct bs=64k if='$mnt/worn/root/mnt/program' of=/dev/null"
end_of "$imitated_pid"

peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
