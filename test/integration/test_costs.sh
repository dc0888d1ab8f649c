#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a peer can make the daemon do, or keep, with little: links that lead round and round, an environment of many
# variables, mapped files of long paths, mounts that come and go. Counted in the daemon's own processor time, which a
# busy machine does not change much.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
helpers=${PEERFS_HELPERS:?the folder of the helper programs}
mounts=${PEERFS_MOUNTS:-66000}
getconf CLK_TCK >/dev/null || abandon "the unit of processor time is known"

# spent WHAT SECONDS COMMAND...: how long the daemon works while the command runs.
ticks ()
{
  awk '{ sub (/.*\) /, ""); print $12 + $13 }' "/proc/$peerfs_pid/stat"
}
spent ()
{
  local what=$1 limit=$2 before
  shift 2
  before=$(ticks)
  timeout 300 "$@" >/dev/null 2>&1 </dev/null
  check_less "$what: hundredths of a second" "$((limit * 100))" "$((($(ticks) - before) * 100 / $(getconf CLK_TCK)))"
}

memory ()
{
  awk '$1 == "RssAnon:" { print $2 }' "/proc/$peerfs_pid/status"
}

# --- links: each leads 800 times into a folder and out again, deep below the root, and to the next one

mkdir -p "$work/c/links/upper"
deep=$(printf 'd/%.0s' {1..500})
mkdir -p "$work/c/links/upper/$deep/x"
(
  cd "$work/c/links/upper/$deep" || exit
  around=$(printf 'x/../%.0s' {1..800})
  for i in {1..30}; do ln -s "${around}l$((i + 1))/../x" "l$i"; done
  ln -s "${around}x" l31
)
imitate links -- sleep infinity

# --- the environment

variables=20000
many=$work/c/env/many
mkdir -p "${many%/*}"
perl -e '%ENV = map { ("VARIABLE_$_" => "v" x 10) } 1..shift; exec "cat", "/proc/self/environ"' "$variables" >"$many"
imitate env -- perl -e '%ENV = map { ("VARIABLE_$_" => "v" x 10) } 1..shift; exec "sleep", "infinity"' "$variables"
env_pid=$imitated_pid
pod_until 300 sh -c "readlink /proc/$env_pid/exe | grep -q sleep"
imitate value -- env "BIG=$(head -c 120000 /dev/zero | tr '\0' v)" sleep infinity
value_pid=$imitated_pid

# --- callers of as many groups as there may be

imitate groups -- setpriv --reuid 101 --regid 101 --clear-groups sleep infinity

peerfs_start -o allow_other
spent "ten lookups by a caller of 65,536 groups" 5 perl -e '
  $) = join " ", 101, 1000000..1065535; ($<, $>) = (101, 101); -e "$ARGV[0]/$_" and die for 1..10;
' "$mnt/groups/root/etc"
check "by which it comes there" setpriv --reuid 101 --regid 101 --clear-groups ls "$mnt/groups/root/etc"
cd "$mnt/links/root/$deep" || abandon "the directory can be entered"
spent "ls of thirty long links" 5 ls
spent "ls -l of them" 10 ls -l
spent "stat of a chain of them" 5 stat -L l1
check_output "a long link leads where it should" "$(stat -Lc %i x)" stat -Lc %i l31
check_output "a chain of them does not, and says why" "Too many levels of symbolic links" \
  sh -c 'stat -L l1 2>&1 | grep -o "Too many levels of symbolic links"'
cd /
check_output "all variables are listed" "$variables" sh -c 'ls "$1" | wc -l' - "$mnt/env/env"
spent "grep -r in $variables variables" 30 grep -r . "$mnt/env/env"
check_output "each has its value" "$variables" sh -c 'grep -r -x -c vvvvvvvvvv "$1" | grep -c ":1$"' - "$mnt/env/env"

# What is open keeps its listing: not for as many as somebody likes.
# shellcheck disable=SC2016
check_output "open listings have a bound" "Cannot allocate memory" \
  perl -e 'my @held; while (@held < 200) { opendir (my $d, $ARGV[0]) or print ("$!\n"), last; push @held, $d }' \
  "$mnt/env/env"
check_output "closed, there is room again" "$variables" sh -c 'ls "$1" | wc -l' - "$mnt/env/env"
# shellcheck disable=SC2016
check_output "and so have open values" "Cannot allocate memory" \
  perl -e 'my @held; while (@held < 200) { open (my $f, "<", $ARGV[0]) or print ("$!\n"), last; push @held, $f }' \
  "$mnt/value/env/BIG"
check_output "closed, they can be read again" 120000 sh -c 'wc -c <"$1"' - "$mnt/value/env/BIG"

# --- what is asked about callers

# asked COMMAND...: how often the daemon asks or changes who somebody is while the command runs.
asked ()
{
  local tracer
  strace -f -qq -e trace=capget,capset,readlinkat,setfsuid,setfsgid,setgroups \
    -o "$work/trace" -p "$peerfs_pid" >/dev/null &
  tracer=$!
  pod_until 50 grep -q "^TracerPid:.*[1-9]" "/proc/$peerfs_pid/status" || abandon "the daemon can be traced"
  "$@" >/dev/null || abandon "the command runs: $*"
  kill -INT "$tracer"
  wait "$tracer"
  wc -l <"$work/trace"
}
# With libfuse before 3.17 the kernel opens handles, so that each way into a container has to be asked for.
questions=20
[[ $("$PEERFS" --version) != *'libfuse 3.1'[0-6]* ]] || questions=2000
# shellcheck disable=SC2016
own=(perl -e 'chdir $ARGV[0]; for (1..200) { open (my $f, "<", "passwd") or die; <$f> }' "$mnt/env/root/etc")
"${own[@]}" || abandon "the file can be read"
check_less "200 opens of one's own file: questions about the caller" "$questions" "$(asked "${own[@]}")"
mkdir "/proc/$value_pid/root/many"
touch "/proc/$value_pid/root/many/"{1..200}
check_less "a listing of 200 files, and a look at each" 20 "$(asked find "$mnt/value/root/many" -size +1)"

# --- mapped files of long paths: what a scan keeps has a bound, and there is one scan of them at a time

mkdir -p "$work/c/paths/upper/work"
cp "$helpers/helper_hostile" "$work/c/paths/upper/hostile"
imitate paths -- sh -c 'cd /work; exec /hostile paths 4400'
pod_until 100 grep -q ready "$work/c/paths/log" || abandon "files are mapped" "$(cat "$work/c/paths/log")"
check_equal "4,400 of them" "4400 files" "$(head -n 1 "$work/c/paths/log")"
peerfs_stop
peerfs_start
for _ in {1..3}; do
  check "they are listed" ls "$mnt/paths/maps/files"
  sleep 0.5
done
seq 24 | xargs -P 24 -I {} ls "$mnt/paths/maps/files" >/dev/null
peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$peerfs_pid/status")
sanitized || check_less "memory at the most, also for two dozen at once, in kB" 40000 "$peak"
# shellcheck disable=SC2016
shown=$(perl -e 'chdir "$ARGV[0]/work" or die; 1 while chdir "d" x 255; print scalar (() = <*>)' \
  "$mnt/paths/maps/files")
check_less "not all are shown" 4000 "$shown"
check_less "at least 1,000" "$shown" 1000

# --- and of folders that are 1,800 deep: each costs its own name

mkdir -p "$work/c/deep/upper/work"
cp "$helpers/helper_hostile" "$work/c/deep/upper/hostile"
imitate deep -- sh -c 'cd /work; exec /hostile deep 6'
pod_until 100 grep -q ready "$work/c/deep/log" || abandon "files are mapped" "$(cat "$work/c/deep/log")"
check "it is there" pod_until 50 test -d "$mnt/deep/maps/files/work/5"
before=$(memory)
# shellcheck disable=SC2016
deepest=$(perl -e 'for (0..5) { chdir "$ARGV[0]/$_" or die; 1 while chdir "a"; $n += -e "file" } print $n' \
  "$mnt/deep/maps/files/work")
check_equal "6 files are at the end of their folders" 6 "$deepest"
sanitized || check_less "memory that 10,800 folders cost in kB" 10000 "$(($(memory) - before))"

# --- mounts that are gone, each looked at

peerfs_stop
peerfs_start -o attr_timeout=0,entry_timeout=0
cd "$mnt/env/root/etc" || abandon "the directory can be entered"
check "a thousand mounts come and go" "$helpers/helper_remount" "$mnt/env/root" "$env_pid" 1000
before=$(memory)
check "and several thousand more" "$helpers/helper_remount" "$mnt/env/root" "$env_pid" "$mounts"
check_output "what was there before is served" root grep -o -m1 ^root group
check_output "what is seen for the first time too" root grep -o -m1 ^root "$mnt/env/root/etc/passwd"
sanitized || check_less "memory that they cost in kB" 2000 "$(($(memory) - before))"
cd /
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"

# --- a walk over more files than a container with a limit has memory for

mkdir -p "$work/c/files/upper/many"
perl -e 'for my $d (1..210) { mkdir "$ARGV[0]/$d"; for (1..1000) { open F, ">", "$ARGV[0]/$d/$_" or die $! } }' \
  "$work/c/files/upper/many" || abandon "files are made"
imitate files -- sleep infinity
mount -t tmpfs limits /sys/fs/cgroup && echo $((32 * 1024 * 1024)) >/sys/fs/cgroup/memory.max
peerfs_start
check_equal "all files are there" 210000 "$(find "$mnt/files/root/many" -type f -size -1 | wc -l)"
sanitized || check_less "memory at the most, with a limit of 32 MiB, in kB" 24000 \
  "$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$peerfs_pid/status")"
peerfs_stop
umount /sys/fs/cgroup
finish
