#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every command of docs/cookbook.md, in its pod: it succeeds, and prints what the document shows.
. "$(dirname -- "$0")/lib.sh"

docs=$test_dir/../../docs
pod_up && pod_run_nginx && pod_run_redis || abandon "a pod starts"
mkdir "$pod_dir/docker"
cat >"$pod_dir/docker/site" <<'CONF'
server {
  listen unix:/var/run/docker.sock;
  location /version { return 200 "{\"ApiVersion\":\"1.43\"}\n"; }
}
CONF
pod_run docker -v "$pod_dir/docker/site:/etc/nginx/sites-available/default:ro" -- nginx -g 'daemon off;' &&
  pod_exec nginx touch /tmp/core.4711 && pod_run_shell "$PEERFS" || abandon "the containers start"
pod_peerfs -o allow_other
for path in nginx/sockets/nginx.sock redis/sockets/redis.sock docker/sockets/docker.sock; do
  check "--wait $path" in_shell "peerfs --wait $path --timeout 20"
done

# One command and what it should print: /out/book/N and N.expected. All are run by one exec, for an exec takes long.
mkdir "$pod_dir/out/book"
awk -v dir="$pod_dir/out/book" '
  /^```/ { inside = $0 == "```console"; next }
  inside && sub(/^\$ /, "") { n++; file = sprintf("%s/%02d", dir, n); print >file; printf "" >(file ".expected"); next }
  inside && !/^…$/ { print >(file ".expected") }' "$docs/cookbook.md"
n=$(find "$pod_dir/out/book" -name '[0-9][0-9]' | wc -l)
check_less "the cookbook has at least fifteen commands" 0 $((14 - n))
in_shell 'cd / && for c in /out/book/[0-9][0-9]; do timeout 20 bash "$c" >"$c.out" 2>&1 </dev/null; echo $? >"$c.status"; done' ||
  failed "the commands run"
for file in "$pod_dir"/out/book/[0-9][0-9]; do
  command=$(cat "$file")
  missing=$(while IFS= read -r line; do grep -q -F -e "$line" "$file.out" || echo "missing: $line"; done <"$file.expected")
  if [ "$(cat "$file.status")" = 0 ] && [ -z "$missing" ]; then
    passed "$command"
  else
    failed "$command" "status: $(cat "$file.status")" "$missing" "$(head -n 20 "$file.out")"
  fi
done

# Every message has its heading.
apt_need python3
check "docs/troubleshooting.md has every message" /usr/bin/python3 "$test_dir/helpers/check_messages.py" \
  "$docs/troubleshooting.md" "$test_dir"/../../src/main/*.c "$test_dir"/../../src/fuse/*.c
pod_peerfs_stop
finish
