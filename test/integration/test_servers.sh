#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Real servers in sockets/, each before and after its graceful reload; those that know none are restarted.
. "$(dirname -- "$0")/lib.sh"
root_servers
isolate "$@"
root_servers
root_pod_dir=$root_servers_dir

# talk PATH [REQUEST]: the first bytes of the answer, of which those that cannot be printed are shown as dots; REQUEST
# with perl's escapes. With a type, it is only sent.
cat >"$work/talk" <<'PERL'
use Socket;
my ($path, $request, $type) = @ARGV;
alarm 5;
socket (my $s, AF_UNIX, ($type // '') eq 'dgram' ? SOCK_DGRAM : SOCK_STREAM, 0);
connect ($s, sockaddr_un ($path)) or print ("$!\n"), exit 1;
my $bytes = eval "qq\0$request\0";
syswrite $s, $bytes or die if length $bytes;
print ("sent\n"), exit if ($type // '');
sysread ($s, my $answer, 60) or die "no answer: $!\n";
$answer =~ s/[^ -~]/./g;
print "$answer\n";
PERL
mkdir -p "$work/c/servers/upper"
cat >"$work/c/servers/upper/servers" <<'SH'
mkdir -p /dev/pts && mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts && ln -s pts/ptmx /dev/ptmx # tmux
mkdir -m 777 -p /run/mc /run/postgresql /srv/rel /var/www
chown postgres /run/postgresql
cat >/nginx.conf <<'END'
worker_processes 2;
events { }
http { server { listen unix:/var/run/nginx.sock; location / { return 200 hello; } } }
END
cat >/haproxy.cfg <<'END'
global
  stats socket /run/haproxy.sock level admin expose-fd listeners
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind unix@/run/front.sock
  http-request return status 200
END
cat >/lighttpd.conf <<'END'
server.document-root = "/var/www"
server.bind = "/run/lighttpd.sock"
server.pid-file = "/run/lighttpd.pid"
END
cat >/rsyslog.conf <<'END'
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/run/log.sock")
*.* /run/messages
END
cat >/php.conf <<'END'
[global]
error_log = /tmp/php.log
[www]
user = www-data
group = www-data
listen = /run/php.sock
pm = static
pm.max_children = 2
END
cat >/supervisor.conf <<'END'
[unix_http_server]
file=/run/supervisor.sock
[supervisord]
nodaemon=true
user=root
pidfile=/run/supervisor.pid
logfile=/tmp/supervisor.log
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
END
redis () { redis-server --port 0 --unixsocket /run/redis.sock --save '' --dir /tmp; }
nginx () { command nginx -c /nginx.conf -g 'daemon off; pid /run/nginx.pid;'; }
memcached () { command memcached -u nobody -s /run/mc/mc.sock -a 777; }
haproxy () { command haproxy -W -f /haproxy.cfg -p /run/haproxy.pid; }
lighttpd () { command lighttpd -D -f /lighttpd.conf; }
rsyslog () { rsyslogd -n -f /rsyslog.conf -i /run/rsyslog.pid; }
php () { "$(echo /usr/sbin/php-fpm[0-9]*)" -F -y /php.conf --pid /run/php.pid; }
supervisor () { supervisord -c /supervisor.conf; }
fcgiwrap () { command fcgiwrap -s unix:/run/fcgiwrap.sock; }
tmux () { command tmux -S /run/tmux.sock -f /dev/null new-session -d sleep infinity; }
dbus () { cd /srv/rel && dbus-daemon --session --fork --print-pid=3 --address=unix:path=bus 3>/run/dbus.pid; }
agent () { cd /srv/rel && ssh-agent -a agent | sed -n 's/^SSH_AGENT_PID=\([0-9]*\).*/\1/p' >/run/agent.pid; }
postgres () {
  rm -rf /tmp/db
  bin=$(echo /usr/lib/postgresql/*/bin)
  su postgres -c "cd /tmp && $bin/initdb -D /tmp/db -A peer --no-sync >/dev/null &&
    exec $bin/postgres -D /tmp/db -c listen_addresses= -c unix_socket_directories=/var/run/postgresql"
}
for server in redis nginx memcached haproxy lighttpd rsyslog php supervisor fcgiwrap tmux dbus agent postgres; do
  $server &
  echo $! >/run/$server.job
done
mkfifo /control
exec 8<>/control
while read -r line <&8; do eval "$line" 8<&-; done
SH
imitate servers -- sh /servers
servers=$imitated_pid
root=/proc/$servers/root
chmod 755 "$work"
peerfs_start -o allow_other
sockets=$mnt/servers/sockets

# control COMMANDS: in the container.
control ()
{
  echo "$*" >"$root/control"
}

fcgi='\1\11\0\0\0\21\0\0\17\0FCGI_MPXS_CONNS'
declare -A path=(
  [redis]=run/redis.sock [nginx]=var/run/nginx.sock [memcached]=run/mc/mc.sock [haproxy]=run/haproxy.sock
  [front]=run/front.sock [lighttpd]=run/lighttpd.sock [rsyslog]=run/log.sock [php]=run/php.sock
  [supervisor]=run/supervisor.sock [fcgiwrap]=run/fcgiwrap.sock [dbus]=srv/rel/bus [agent]=srv/rel/agent
  [postgres]=var/run/postgresql/.s.PGSQL.5432 [tmux]=run/tmux.sock
)
declare -A request=(
  [redis]='PING\r\n' [nginx]='GET / HTTP/1.0\r\n\r\n' [memcached]='version\r\n' [haproxy]='show info\n'
  [front]='GET / HTTP/1.0\r\n\r\n' [lighttpd]='GET / HTTP/1.0\r\n\r\n' [php]=$fcgi [fcgiwrap]=''
  [supervisor]='GET / HTTP/1.0\r\n\r\n' [dbus]='\0AUTH\r\n' [agent]='\0\0\0\1\13' [postgres]='\0\0\0\10\4\322\26\57'
  [rsyslog]='<13>hello' [tmux]=''
)
declare -A answer=(
  [redis]='+PONG' [nginx]='HTTP/1.1 200' [memcached]=VERSION [haproxy]='Name: HAProxy' [front]='HTTP/1.1 200'
  [lighttpd]='HTTP/1.0 ' [php]='\.\.' [fcgiwrap]=sent [supervisor]='HTTP/1.0 ' [dbus]=REJECTED [agent]='\.\.\.\.'
  [postgres]='[NS]$' [rsyslog]=sent [tmux]=sent
)
answers ()
{
  local type=
  case $1 in rsyslog) type=dgram ;; tmux | fcgiwrap) type=stream ;; esac
  perl "$work/talk" "$sockets/${path[$1]}" "${request[$1]}" $type 2>&1 | grep -q "^${answer[$1]}"
}

all_answer ()
{
  local server
  for server in "${!path[@]}"; do
    pod_until 20 answers "$server" || true
    check "$1: $server answers at ${path[$server]}" answers "$server"
  done
}

all_answer "at first"
expected=$(printf '%s\n' "${path[@]}" | sort)
listed ()
{
  (cd "$sockets" && find . -mindepth 2 -type l | sed 's,^\./,,' | sort)
}
check_output "nothing else is there" "$expected" listed
declare -A target
for server in "${!path[@]}"; do
  target[$server]=$(readlink "$sockets/${path[$server]}")
done

control "$(tr '\n' ' ' <<'END'
for s in nginx haproxy rsyslog php supervisor dbus; do
case $s in haproxy | php) signal=USR2 ;; *) signal=HUP ;; esac; kill -$signal $(cat /run/$s.pid); done;
kill -USR1 $(cat /run/lighttpd.pid); kill -HUP $(head -n 1 /tmp/db/postmaster.pid)
END
)"
control "$(tr '\n' ' ' <<'END'
for s in redis memcached fcgiwrap; do kill $(cat /run/$s.job); pkill -P $(cat /run/$s.job); done;
command tmux -S /run/tmux.sock kill-server; kill $(cat /run/agent.pid); sleep 0.5;
rm -f /run/fcgiwrap.sock /srv/rel/agent;
for s in redis memcached fcgiwrap tmux agent; do $s & done; touch /run/reloaded
END
)"
pod_until 100 test -e "$root/run/reloaded" || failed "the servers are reloaded" "$(tail -n 20 "$work/c/servers/log")"
sleep 0.5
all_answer "after a reload"
check_output "nothing else is there after a reload" "$expected" listed
for server in redis memcached agent; do
  check "$server is another process now" test "${target[$server]}" != "$(readlink "$sockets/${path[$server]}")"
done
check "rsyslog has what was sent" pod_until 50 grep -q hello "$root/run/messages"

# --- peer authentication: the main process is root's, the server postgres's.
startup='\0\0\0\51\0\3\0\0user\0postgres\0database\0postgres\0\0'
postgres=$sockets/var/run/postgresql/.s.PGSQL.5432
uid=$(stat -c %u "$root/tmp/db")
gid=$(stat -c %g "$root/tmp/db")
check_output "its user enters PostgreSQL" 'R....' \
  sh -c "setpriv --reuid $uid --regid $gid --clear-groups perl '$work/talk' '$postgres' '$startup' | cut -c 1-5"
check "root is told who it is not" sh -c "perl '$work/talk' '$postgres' '$startup' | grep '^E.*FATAL'"
check_output "root enters by --as" 'R....' sh -c \
  "'$PEERFS' --as servers/sockets/var/run/postgresql/.s.PGSQL.5432 -- perl '$work/talk' '$postgres' '$startup' |
    cut -c 1-5"
check_output "nobody else does" "Permission denied" \
  sh -c "setpriv --reuid 12345 --regid 12345 --clear-groups perl '$work/talk' '$postgres' '$startup' || true"
check_output "psql's folder is there" ".s.PGSQL.5432" ls -A "$sockets/var/run/postgresql"
peerfs_stop

# --- relative paths, without CAP_NET_ADMIN
cat >"$work/without" <<END
#!/bin/sh
exec setpriv --inh-caps=-net_admin --bounding-set=-net_admin "$PEERFS" "\$@"
END
chmod 755 "$work/without"
PEERFS=$work/without
peerfs_start
check_output "all are found without CAP_NET_ADMIN" "$expected" listed
for server in agent dbus; do
  check "without CAP_NET_ADMIN: $server answers" answers "$server"
done
peerfs_stop
finish
