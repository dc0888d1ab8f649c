#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every command of docs/cookbook.md, in its pod: it succeeds, and prints what the document shows.
. "$(dirname -- "$0")/lib.sh"

docs=$test_dir/../../docs
pod_up && pod_run_nginx && pod_run_redis && pod_exec nginx touch /tmp/core.4711 || abandon "a pod starts"

# Two versions of a service that is busy in its library.
for version in old new; do
  mkdir "$pod_dir/$version"
  cat >"$pod_dir/$version/work.c" <<CODE
struct work { unsigned long done; $([ "$version" = old ] || echo 'unsigned long failed;') };
void work_hard (struct work *work);
void work_hard (struct work *work) { for (int i = 0; i < 50000000; i++) work->done += (unsigned long) i ^ work->done; }
CODE
  cat >"$pod_dir/$version/service.c" <<CODE
#include <unistd.h>
void work_hard (void *work);
int main (void) { static unsigned long work[2]; for (;;) { work_hard (work); usleep (200000); } }
CODE
  (cd "$pod_dir/$version" && gcc -g -shared -fPIC -Wl,-soname,libwork.so.1 -o libwork.so.1 work.c &&
    gcc -g -o service service.c -L. -l:libwork.so.1 -Wl,-rpath,/srv) && chmod 755 "$pod_dir/$version" &&
    pod_run "$version" -e "RELEASE=$version" -v "$pod_dir/$version:/srv:ro" -- /srv/service ||
      abandon "a service starts"
done

# The sidecar with the tools of the cookbook, and the servers that need more than the other tests' root has. PostgreSQL
# asks the kernel who connects (Debian's default), but for the role guest. Docker's daemon: without networks and images.
cat >"$pod_dir/db" <<'END'
cd /tmp
bin=$(echo /usr/lib/postgresql/*/bin)
install -d -o postgres -g postgres /run/postgresql
as_postgres='setpriv --reuid postgres --regid postgres --init-groups'
$as_postgres $bin/initdb -D /tmp/db -A peer --no-sync >/dev/null
sed -i '1i local all guest trust' /tmp/db/pg_hba.conf
echo 'create role guest login' | $as_postgres $bin/postgres --single -D /tmp/db postgres >/dev/null
exec $as_postgres $bin/postgres -D /tmp/db -c listen_addresses= -c unix_socket_directories=/var/run/postgresql
END
root_cookbook
root_pod_dir=$root_cookbook_dir
# The sidecar's users are others than the peers', as those of its image are.
awk -F: '$3 == 0 || $1 == "nobody"' "$root_pod_dir/etc/passwd" >"$pod_dir/passwd"
awk -F: '$3 == 0 || $1 == "nogroup"' "$root_pod_dir/etc/group" >"$pod_dir/group"
pod_run db -v "$pod_dir/db:/db:ro" -- sh /db &&
  pod_run docker --privileged --tmpfs /var/lib/docker -- dockerd --bridge=none --iptables=false --storage-driver=vfs &&
  pod_run_shell "$PEERFS" -v "$pod_dir/passwd:/etc/passwd:ro" -v "$pod_dir/group:/etc/group:ro" ||
    abandon "the containers start"
pod_peerfs -o allow_other
for path in nginx/sockets/nginx.sock redis/sockets/redis.sock docker/sockets/docker.sock \
  db/sockets/var/run/postgresql/.s.PGSQL.5432; do
  check "--wait $path" in_shell "peerfs --wait $path --timeout 30"
done
# Its socket is there before it answers.
pod_until 200 in_shell 'curl -s --unix-socket /peers/docker/sockets/docker.sock http://x/_ping' >/dev/null

# One command and what it should print: /out/book/N and N.expected. All are run by one exec, for an exec takes long.
mkdir "$pod_dir/out/book"
awk -v dir="$pod_dir/out/book" '
  /^```/ { inside = $0 == "```console"; next }
  inside && sub(/^\$ /, "") { n++; file = sprintf("%s/%02d", dir, n); print >file; printf "" >(file ".expected"); next }
  inside && !/^…$/ { print >(file ".expected") }' "$docs/cookbook.md"
n=$(find "$pod_dir/out/book" -name '[0-9][0-9]' | wc -l)
check_less "the cookbook has at least fifteen commands" 0 $((14 - n))
in_shell 'cd / &&
  for c in /out/book/[0-9][0-9]; do timeout 20 bash "$c" >"$c.out" 2>&1 </dev/null; echo $? >"$c.status"; done' ||
  failed "the commands run"
for file in "$pod_dir"/out/book/[0-9][0-9]; do
  command=$(cat "$file")
  missing=$(while IFS= read -r line; do
    grep -q -F -e "$line" "$file.out" || echo "missing: $line"
  done <"$file.expected")
  if [ "$(cat "$file.status")" = 0 ] && [ -z "$missing" ]; then
    passed "$command"
  else
    failed "$command" "status: $(cat "$file.status")" "$missing" "$(head -n 20 "$file.out")"
  fi
done

check_equal "what was copied in belongs to redis" \
  "$(awk '$1 == "Uid:" { print $2 }' "/proc/$(pod_pid redis)/status")" \
  "$(stat -c %u "/proc/$(pod_pid redis)/root/tmp/marker")"
gdb=$(grep -l '^gdb ' "$pod_dir"/out/book/[0-9][0-9])
check_output "gdb has nothing to warn of" "" sh -c 'grep -i warning "$1.out"; true' sh "$gdb"

# Where there is nothing to copy, or no environment, they do no harm.
check_output "no core file" "" \
  in_shell "rm /peers/nginx/root/tmp/core.*; $(grep -h core. "$pod_dir"/out/book/[0-9][0-9])"

# Without being the server's own user it refuses: what --as is for.
check "PostgreSQL refuses another user" in_shell \
  '! psql -h /peers/db/sockets/var/run/postgresql -U postgres -c "select 1" 2>/tmp/psql &&
    grep "Peer authentication" /tmp/psql'

# A successor's binaries, for what was recorded of a container that has ended.
report=$(grep -x 'perf report .*--symfs .*' "$docs/cookbook.md")
pod_restart new && in_shell 'peerfs --wait new/maps/files/srv/libwork.so.1 --timeout 20' || failed "a service restarts"
check "$report" in_shell "out=\$($report) && grep work_hard <<<\"\$out\""

pod_peerfs_stop
finish
