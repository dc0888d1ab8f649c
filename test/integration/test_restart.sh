#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A container dies and comes back under its name: /peers/<name> is the new one at once, nothing of the old one is
# served, and what was open in the old one ends in errors.
. "$(dirname -- "$0")/lib.sh"

# Prints how long after the new process's own time stamp the tree shows that stamp, in ms. follow OLD_STAMP
follow='
use Time::HiRes qw(time sleep);
my $old = shift; my $end = time + 30;
while (time < $end) {
  if (open (my $f, "<", "/peers/web/root/started")) {
    my $stamp = <$f> // ""; chomp $stamp;
    if ($stamp ne "" && $stamp ne $old) { printf "%d\n", time () * 1000 - $stamp / 1e6; exit 0; }
  }
  sleep 0.002;
}
exit 1;'

pod_up && pod_run_shell "$PEERFS" || abandon "a pod starts"
pod_run web -- sh -c 'head -c 1M /dev/urandom >/blob; date +%s%N >/stamp; mv /stamp /started; exec sleep infinity' ||
  abandon "a container starts"
pod_peerfs
check "the first instance is there" in_shell 'peerfs --wait web/root/started --timeout 10'
first=$(in_shell 'cat /peers/web/root/started')
first_id=$(in_shell 'cat /peers/web/id')
mount_before=$(in_shell 'grep " /peers " /proc/self/mountinfo')

# A reader that holds a file, a directory and a cwd of the old instance.
cat >"$pod_dir/out/holder" <<'END'
exec 3<>/peers/web/root/blob 4</peers/web/root/etc
cd /peers/web/root/etc || exit 1
touch /out/holding
until [ -e /out/gone ]; do sleep 0.05; done
timeout 5 cat <&3 >/dev/null 2>/out/read.err; echo "read $?"
timeout 5 sh -c 'echo x >&3' 2>/out/write.err; echo "write $?"
timeout 5 ls /proc/self/fd/4/ >/dev/null 2>/out/list.err; echo "list $?"
timeout 5 cat passwd >/dev/null 2>/out/cwd.err; echo "cwd $?"
echo done
END
pod_exec shell bash /out/holder >"$pod_dir/holder.log" 2>&1 </dev/null &
holder=$!
pod_until 100 test -e "$pod_dir/out/holding" || failed "the holder holds"

for round in 1 2 3 4 5; do
  pod_exec shell perl -e "$follow" "$first" >"$pod_dir/out/delay" 2>&1 </dev/null &
  follower=$!
  pod_restart web || abandon "the container starts again"
  wait "$follower"
  check_less "restart $round: milliseconds until /peers follows" 100 "$(cat "$pod_dir/out/delay")"
  first=$(in_shell 'cat /peers/web/root/started')
done

check_output "the id is the new one" "$(pod_id web)" in_shell 'cat /peers/web/id'
check "the old id is not" test "$first_id" != "$(pod_id web)"
check_output "one directory for it" $'shell\nweb' in_shell 'ls -1 /peers'
check_equal "no remount" "$mount_before" "$(in_shell 'grep " /peers " /proc/self/mountinfo')"

touch "$pod_dir/out/gone"
wait "$holder"
result=$(cat "$pod_dir/holder.log")
check_equal "the holder of old files ends" "done" "$(tail -n 1 <<<"$result")"
for what in read write list cwd; do
  status=$(awk -v what="$what" '$1 == what { print $2 }' <<<"$result")
  case $status in
  124) failed "$what of the old instance does not hang" ;;
  # With passthrough the kernel writes to the open file itself; nobody can take that back.
  0) if [ "$what" = write ] && grep -q passthrough=on "$pod_dir/out/peerfs.log"; then
      passed "write of the old instance does not hang"
    else
      failed "$what of the old instance is an error"
    fi ;;
  *) passed "$what of the old instance is an error: $(sed 's/.*: //' "$pod_dir/out/$what.err" | head -n 1)" ;;
  esac
done

pod_kill web
check "a dead container is gone" pod_until 10 in_shell '[ "$(ls /peers)" = shell ]'
pod_peerfs_stop

# podman takes what begins an id for a name of that container: here of the pod's own, which must not be touched.
infra=$(pod_podman pod inspect -f '{{.InfraContainerID}}' pod)
check "a container may be called ${infra:0:2}" pod_run "${infra:0:2}" -- sleep infinity
finish
