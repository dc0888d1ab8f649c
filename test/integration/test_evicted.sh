#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel forgets files when it is short of memory, below the mount as well. Directories of an overlay over several
# filesystems have another inode number then: a caller who stands in one stays there, and walks go on without errors.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
use_seed

forget ()
{
  echo 2 >/proc/sys/vm/drop_caches
}

imitate big -- sleep infinity
data=/proc/$imitated_pid/root/data
mkdir "$data" || abandon "the container can be filled"
(cd "$data" && for i in {1..60}; do mkdir "$i" && (cd "$i" && touch file-{1..50}); done)
numbers=$(stat -c %i "$data/7" && forget && stat -c %i "$data/7")
check "this overlay gives directories new numbers" test "$(uniq <<<"$numbers" | wc -l)" = 2
peerfs_start -o allow_other
mounted=$mnt/big/root/data

# Its files tell what kind of overlay it is: here none has been seen yet. Longer than anything is kept open.
cd "$mounted/9" || abandon "the directory can be entered"
sleep 1.2
forget
check_output "a working directory stays before any file has been seen" file-1 ls file-1
cd /

# Longer than anything is kept open, or names are believed.
cat >"$work/stand" <<'SCRIPT'
cd "$1" && n=$(ls | wc -l) || exit 1
for i in 1 2 3; do
  sleep 1.2
  echo 2 >/proc/sys/vm/drop_caches
  [ "$(ls | wc -l)" = "$n" ] && ls -d .. >/dev/null || exit 1
  [ "$2" = read ] || { touch "new-$i" && rm "new-$i"; } || exit 1
done
SCRIPT
bash "$work/stand" "$mounted/7" write >"$work/stand.write" 2>&1 &
writer=$!
bash "$work/stand" "$mnt/big/root/usr/share/doc" read >"$work/stand.read" 2>&1 &
reader=$!
wait "$writer"
check_equal "a working directory stays" "0 " "$? $(cat "$work/stand.write")"
wait "$reader"
check_equal "so does one of several layers" "0 " "$? $(cat "$work/stand.read")"

# A walk compares the directory that it comes back to with the one that it left (fts(3)).
for top in "$data" "$mounted"; do
  cd "$top/11" && number=$(stat -c %i .) || abandon "the directory can be entered"
  sleep 1.2
  forget
  check_output "a directory that somebody stands in keeps its number: $top" "$number" stat -c %i .
  cd /
done

# What is written there for the first time gives it another time of birth.
cd "$mnt/big/root/usr/share" || abandon "the directory can be entered"
touch "/proc/$imitated_pid/root/usr/share/new"
sleep 1.2
check "it is looked at again" ls -d doc
sleep 1.2
forget
check_output "a working directory stays after the peer has written there" doc ls -d doc
cd /

# One that has taken the place of another is not that one.
mkdir "$data/other"
touch "$data/other/another"
cd "$mounted/8" && ls >/dev/null || abandon "the directory can be entered"
sleep 0.7
mv "$data/8" "$data/gone" && mv "$data/other" "$data/8"
forget
# By this shell itself: a new one would complain of its working directory. Without a time of birth (tmpfs of older
# kernels) nothing tells the two from each other.
case $(stat -c %W "$data/8") in 0|-) expected=another ;; *) expected= ;; esac
check_equal "who stands in a directory that was replaced does not see the other" "$expected" "$(ls 2>/dev/null)"
cd /
check_output "who comes anew does" another bash -c 'sleep 1.2; ls "$1"' - "$mounted/8"

# Each file system of the overlay has its own numbers, and whoever may not search the directory cannot ask for them.
mkdir "$data/open" && touch "$data/open/file"
chown 101 "$data/open" && chmod 444 "$data/open"
cd "$mounted" || abandon "the directory can be entered"
# The gate lets CAP_SYS_PTRACE in, which gives no right to search.
listed=$(setpriv --reuid=101 --clear-groups --inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace \
  /usr/bin/python3 -c 'import os; print(*[e.inode() for e in os.scandir ("open")])')
check_equal "a listing without the right to search tells the number of the file" "$(stat -c %i open/file)" "$listed"
cd /

end=$((SECONDS + 5))
walkers=()
for _ in 1 2 3; do
  # shellcheck disable=SC2069 # errors alone
  (while [ $SECONDS -lt $end ]; do find "$mounted" -size +1k 2>&1 >/dev/null; done) >>"$work/walks" &
  walkers+=($!)
done
while [ $SECONDS -lt $end ]; do
  forget
  sleep "0.0$((RANDOM % 9 + 1))"
done
wait "${walkers[@]}"
check_equal "walks beside have no errors" "" "$(head -n 5 "$work/walks")"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
