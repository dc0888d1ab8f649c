#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One file, one number: a volume that two containers share has the same files in both, and cp and mv know it. The
# numbers stay what they are when a container or the daemon is another one.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

number ()
{
  stat -c %i -- "$1"
}

# said WHAT WORDS COMMAND...: the command fails with those words.
said ()
{
  local what=$1 words=$2 output
  shift 2
  output=$("$@" 2>&1 </dev/null)
  check_equal "$what" "1 $words" "$? $(grep -o -m1 "$words" <<<"$output")"
}

mkdir -p "$work"/volume/tree/deep "$work"/other "$work"/c/{a,b}/upper
echo content | tee "$work"/volume/{f,tree/deep/f} >/dev/null
ln "$work/volume/f" "$work/volume/hard"
ln -s f "$work/volume/link"
mount -t tmpfs other "$work/other"
for i in {1..40}; do : >"$work/other/$i"; : >"$work/volume/$i"; done
printf '%s\n' "$work/volume shared" "$work/other other" >"$work/c/a/volumes"
cp "$work/c/a/volumes" "$work/c/b/volumes"
imitate a -- sleep infinity
a=$imitated_pid
imitate b -- sleep infinity
b=$imitated_pid
peerfs_start
shared_a=$mnt/a/root/shared
shared_b=$mnt/b/root/shared

for file in f tree tree/deep link; do
  check_equal "one number through both peers: $file" "$(number "$shared_a/$file")" "$(number "$shared_b/$file")"
done
check_equal "hard links have one number" "$(number "$shared_a/f")" "$(number "$shared_b/hard")"
check_equal "listings tell it too" "$(ls -i "$shared_a" | sum)" "$(ls -i "$shared_b" | sum)"
said "cp between peers" "are the same file" cp "$shared_a/f" "$shared_b/f"
check_output "and the file is whole" content cat "$work/volume/f"
said "cp -r between peers" "are the same file" cp -r "$shared_a/tree" "$shared_b/"
check_output "and the tree is whole" content cat "$work/volume/tree/deep/f"
said "mv between peers" "are the same file" mv "$shared_a/f" "$shared_b/f"
check_output "and the file is there" content cat "$work/volume/f"

# files FORMAT A B: what find says of every file of both containers, whose roots those are.
files ()
{
  find "$2/" -path "$2/proc" -prune -o -mindepth 1 -printf "a%P $1\n" 2>/dev/null
  find "$3/" -path "$3/proc" -prune -o -mindepth 1 -printf "b%P $1\n" 2>/dev/null
}
files %D:%i "/proc/$a/root" "/proc/$b/root" | grep -v ' .* ' | sort >"$work/direct"
files %i "$mnt/a/root" "$mnt/b/root" | grep -v ' .* ' | sort >"$work/through"
join "$work/direct" "$work/through" | cut -d ' ' -f 2- | sort -u >"$work/pairs"
count=$(wc -l <"$work/pairs")
check "the containers have many files: $count" test "$count" -gt 1000
check_equal "each file has one number" "" "$(cut -d ' ' -f 1 "$work/pairs" | uniq -d | head -n 5)"
check_equal "and no other file has it" "" "$(cut -d ' ' -f 2 "$work/pairs" | sort | uniq -d | head -n 5)"
find "$mnt" -path "$mnt/*/root/*" -prune -o -path "$mnt/*/root" -o -printf '%i\n' | sort -u >"$work/generated"
check_equal "nor has anything that is generated" "" \
  "$(cut -d ' ' -f 2 "$work/pairs" | sort -u | comm -12 - "$work/generated" | head -n 5)"

stat -c '%i %n' "$mnt"/*/root/shared/{f,tree} "$mnt/a/root/other/7" "$mnt/a/root/etc/passwd" >"$work/before"
peerfs_stop
peerfs_start
check_equal "another daemon gives the same numbers" "$(cat "$work/before")" \
  "$(stat -c '%i %n' "$mnt"/*/root/shared/{f,tree} "$mnt/a/root/other/7" "$mnt/a/root/etc/passwd")"
kill -KILL "$b"
wait "$b" 2>/dev/null
pod_until 50 test ! -e "$mnt/b"
mount -t tmpfs upper "$work/c/b"
printf '%s\n' "$work/volume shared" >"$work/c/b/volumes"
imitate b -- sleep infinity
check_equal "a container that was started again too" "$(number "$shared_a/f")" "$(number "$shared_b/f")"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
