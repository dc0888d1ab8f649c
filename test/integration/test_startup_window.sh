#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many starts of one container while a loop reads /peers/*/root/etc/hostname: while a runtime sets a container up, its
# init process already is in the container's cgroup, but its root is the node's. Nobody may see the node's file, nor,
# once an instance has ended, that instance's.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# With sanitizers the daemon is several times slower: fewer starts.
starts=200
! sanitized || starts=50
starts=${PEERFS_STARTS:-$starts}
runtime=${PEERFS_RUNTIME:-runc}
uid=0a1b2c3d-0000-4000-8000-000000000000

# Prints each content that it read, with the time just before the last read of it began: <seconds> <content>. The
# current content is also in a file, for the loop that starts the containers.
reader='
use Time::HiRes qw(clock_gettime CLOCK_REALTIME);
my ($mnt, $seen) = @ARGV;
my ($reads, $current, %latest) = (0, "");
$SIG{TERM} = sub {
  printf "%.6f %s\n", $latest{$_}, $_ for sort keys %latest;
  print "reads $reads\n";
  exit 0;
};
while (1) {
  opendir (my $top, $mnt) or next;
  for my $name (grep { !/^\./ } readdir $top) {
    my $before = clock_gettime (CLOCK_REALTIME);
    open (my $file, "<", "$mnt/$name/root/etc/hostname") or next;
    my $content = <$file> // next;
    chomp $content;
    $reads++;
    $latest{$content} = $before;
    next if $content eq $current;
    $current = $content;
    open (my $new, ">", "$seen.new");
    print $new "$content\n";
    close $new;
    rename "$seen.new", $seen;
  }
}'

bundle ()
{
  local instance=$1 id=$2
  cat >"$work/bundle/config.json" <<END
{ "ociVersion": "1.0.0",
  "process": { "args": ["sleep", "infinity"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
    "user": { "uid": 0, "gid": 0 } },
  "root": { "path": "rootfs" },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
    { "destination": "/dev/termination-log", "type": "bind", "source": "$instance", "options": ["bind", "rw"] } ],
  "linux": { "cgroupsPath": "/${work##*/}/libpod-$id", "namespaces": [ { "type": "mount" } ] } }
END
}

# Instances of one container, one after the other, each with its number in /etc/hostname of its own root.
mkdir -p "$work/bundle/rootfs" "$work/pods/$uid/containers/web" "$work/state"
peerfs_start
perl -e "$reader" "$mnt" "$work/seen" >"$work/reads" 2>"$work/reader.err" &
reader_pid=$!

missed=0
for ((number = 1; number <= starts; number++)); do
  id=$(random_id)
  instance=$work/pods/$uid/containers/web/$(printf %08x $((RANDOM * 32768 + RANDOM)))
  : >"$instance"
  mkdir -p "$work/i/$number/upper/etc" "$work/i/$number/work"
  echo "instance-$number" >"$work/i/$number/upper/etc/hostname"
  mount -t overlay -o "lowerdir=$root_pod_dir,upperdir=$work/i/$number/upper,workdir=$work/i/$number/work" overlay \
    "$work/bundle/rootfs" || abandon "an overlay is mounted"
  bundle "$instance" "$id"
  "$runtime" --root "$work/state" run --detach --bundle "$work/bundle" "$id" >"$work/runtime.log" 2>&1 </dev/null ||
    abandon "$runtime starts a container" "$(cat "$work/runtime.log")"
  pid=$(sed -n 's/.*"init_process_pid":\([0-9]*\).*/\1/p' "$work/state/$id/state.json" 2>/dev/null || true)
  [ -n "$pid" ] || pid=$("$runtime" --root "$work/state" state "$id" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
  pod_until 20 grep -qsx "instance-$number" "$work/seen" || missed=$((missed + 1))
  kill -KILL "$pid"
  while [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do :; done
  echo "instance-$number $(date +%s.%N)" >>"$work/ends"
  "$runtime" --root "$work/state" delete --force "$id" >/dev/null 2>&1
  umount -l "$work/bundle/rootfs"
  rm -rf "${work:?}/i/$number"
done
kill -TERM "$reader_pid"
wait "$reader_pid" 2>/dev/null

reads=$(awk '$1 == "reads" { print $2 }' "$work/reads")
echo "$reads reads over $starts starts by $runtime; $missed instances were not seen within 2 s"
check "the loop did read" test "${reads:-0}" -gt "$starts"
check_equal "every instance was seen" 0 "$missed"
check_equal "never the node's file" 0 "$(grep -c ' NODE$' "$work/reads")"
check_equal "nothing but instances" "" "$(grep -v '^reads ' "$work/reads" | grep -v -E ' instance-[0-9]+$' | head)"
check_equal "never an instance that had ended" "" "$(awk 'NR == FNR { end[$1] = $2; next }
  $1 != "reads" && ($2 in end) && $1 > end[$2] { print $2, "read", ($1 - end[$2]) * 1000, "ms after its end" }' \
  "$work/ends" "$work/reads" | head)"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
finish
