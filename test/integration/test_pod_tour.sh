#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The pod of the demo, seen through /peers from its debug sidecar.
. "$(dirname -- "$0")/lib.sh"

pod_up && pod_run_nginx && pod_run_redis && pod_run_shell "$PEERFS" || abandon "a pod starts"
pod_run plain -e 'GREETING=good  morning' -- sleep infinity || abandon "a container starts"
pod_peerfs

check "peerfs --wait finds nginx's socket" in_shell 'peerfs --wait nginx/sockets/nginx.sock --timeout 10'
check "peerfs --wait finds redis's socket" in_shell 'peerfs --wait redis/sockets/redis.sock --timeout 10'
check_output "ls /peers prints the container names" $'nginx\nplain\nredis\nshell' in_shell 'ls -1 /peers'
check_output "the tree of a peer" $'env\nid\nmaps\npid\npids\nproc\nroot\nsockets' in_shell 'ls -1 /peers/nginx'

for path in sockets/redis.sock sockets/var/run/redis/redis.sock root/var/run/redis/redis.sock \
  root/run/redis/redis.sock; do
  check_output "redis-cli by $path" PONG in_shell "redis-cli -s /peers/redis/$path ping"
done
for path in sockets/nginx.sock sockets/var/run/nginx.sock root/var/run/nginx.sock root/run/nginx.sock; do
  check_output "curl by $path" "hello from nginx" in_shell "curl -s --unix-socket /peers/nginx/$path http://x/"
done
check_output "nginx's sockets" $'/peers/nginx/sockets/nginx.sock\n/peers/nginx/sockets/var/run/nginx.sock' \
  in_shell 'find /peers/nginx/sockets -type l | sort'
check_output "redis's sockets" $'/peers/redis/sockets/redis.sock\n/peers/redis/sockets/var/run/redis/redis.sock' \
  in_shell 'find /peers/redis/sockets -type l | sort'
check_output "no sockets" "" in_shell 'find /peers/plain/sockets -mindepth 1'

for name in nginx redis plain shell; do
  check_output "id of $name" "$(pod_id "$name")" in_shell "cat /peers/$name/id"
  check_output "pid of $name" "$(awk '$1 == "NSpid:" { print $NF }' "/proc/$(pod_pid "$name")/status")" \
    in_shell "cat /peers/$name/pid"
done
check_output "an env value" 'good  morning' in_shell 'cat /peers/plain/env/GREETING'
check_output "the size of an env value" 13 in_shell 'stat -c %s /peers/plain/env/GREETING'
for name in nginx redis; do
  check_output "an environment that $name overwrote" =OVERWRITTEN in_shell "ls /peers/$name/env"
  check "is said to be" in_shell "grep -q \"^Process $(awk '$1 == "NSpid:" { print $NF }' \
    "/proc/$(pod_pid "$name")/status") has written over\" /peers/$name/env/*"
done
check "proc/status" in_shell 'grep -q "^Name:.*redis-server" /peers/redis/proc/status'
check "pids are the container's processes" in_shell \
  'for p in $(pidof nginx); do [ -e /peers/nginx/pids/$p/status ] && [ ! -e /peers/redis/pids/$p ] || exit 1; done'
check "maps/maps" in_shell 'grep -q /usr/sbin/nginx /peers/nginx/maps/maps'
check "maps/files" in_shell 'cmp /peers/nginx/maps/files/usr/sbin/nginx /usr/sbin/nginx'
check "readelf of a mapped library" in_shell 'readelf -h $(find /peers/redis/maps/files -name "libc.so*" | head -n 1)'

check "a file through root/" in_shell 'cmp /peers/nginx/root/etc/nginx/nginx.conf /etc/nginx/nginx.conf'
check "a volume through root/" in_shell 'grep -q "hello from nginx" /peers/nginx/root/etc/nginx/sites-enabled/default'
check "a write through root/" \
  in_shell 'echo written >/peers/plain/root/tmp/note && mv /peers/plain/root/tmp/{note,letter}'
check_output "is in the peer" written pod_exec plain cat /tmp/letter
check_output "our own mount is an empty directory" "" in_shell 'ls -A /peers/shell/root/peers'

old_workers=$(in_shell 'pgrep -P $(cat /peers/nginx/pid)')
check "kill -HUP by pid" in_shell 'kill -HUP $(cat /peers/nginx/pid)'
check "nginx has new workers" pod_until 50 in_shell \
  "w=\$(pgrep -P \$(cat /peers/nginx/pid)) && [ -n \"\$w\" ] && ! grep -qxF '${old_workers}' <<<\"\$w\""
check_output "nginx still answers" "hello from nginx" \
  in_shell 'curl -s --unix-socket /peers/nginx/sockets/nginx.sock http://x/'

check "--list has every container" in_shell \
  'l=$(peerfs --list) && for n in nginx redis plain shell; do grep -q "^$n " <<<"$l" || exit 1; done'
check_output "--list --json" 4 in_shell 'peerfs --list --json | grep -o "\"name\"" | wc -l'
check_output "--as has the peer's uid" "$(in_shell 'id -u redis')" in_shell 'peerfs --as redis -- id -u'
check_output "--wait ends with 124" 124 in_shell 'peerfs --wait nobody --timeout 1 2>/dev/null; echo $?'
pod_peerfs_stop
finish
