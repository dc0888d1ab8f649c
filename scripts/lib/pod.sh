# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A real pod by podman, without registry or image: containers over overlays of one root made of Debian packages, in
# shared pid, net, ipc and uts namespaces, each with a bind mount like the kubelet's, which names it.
# Storage, state and configuration are in one temporary folder: the machine's own containers are not touched.
#
#   pod_up                            an empty pod                 PEERFS_RUNTIME: runc (default), crun
#   pod_run NAME ARG... -- CMD...     a container; ARG: options of `podman run`
#   pod_exec NAME CMD...              a command in it              pod_exec_opts: options of `podman exec`
#   pod_pid NAME, pod_id NAME         main process on this side, id
#   pod_kill NAME                     kills it at once, as a crash does
#   pod_start NAME                    a new instance of a container that ended: new id, same name
#   pod_restart NAME                  both
#   pod_down                          the end of all of it; nothing stays behind

pod_dir=
pod_driver=vfs   # of images; containers of --rootfs have an overlay in any case

# Set to `setsid --wait` if Ctrl-C must not reach podman: if it is interrupted half-way, it knows nothing of the
# container that it has just started.
pod_session=()

pod_podman ()
{
  PODMAN_IGNORE_CGROUPSV1_WARNING=1 CONTAINERS_CONF=$pod_dir/containers.conf \
    CONTAINERS_STORAGE_CONF=$pod_dir/storage.conf "${pod_session[@]}" podman --root "$pod_dir/root" \
    --runroot "$pod_dir/run" --storage-driver "$pod_driver" --tmpdir "$pod_dir/tmp" \
    --runtime "${PEERFS_RUNTIME:-runc}" "$@"
}

pod_quietly ()
{
  local status=0 pod_session=(setsid --wait)
  pod_podman "$@" >"$pod_dir/podman.log" 2>&1 </dev/null || status=$?
  # The runtime's own words, if there are any; podman's last line is often only "internal libpod error".
  [ "$status" -eq 0 ] || echo "podman $1 failed: $(grep -m 1 -E 'OCI|runc|crun' "$pod_dir/podman.log" ||
    tail -n 1 "$pod_dir/podman.log")" >&2
  return "$status"
}

pod_configure ()
{
  mkdir -p "$pod_dir"/{net,args,out,pods}
  # nofile and nproc: podman's defaults are above the limits of many CI machines. cgroupfs, because systemd need not be
  # there. Locks in files: the default, a shared memory segment, belongs to the machine's own podman.
  cat >"$pod_dir/containers.conf" <<END
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
[network]
network_config_dir = "$pod_dir/net"
END
  printf '[storage]\ndriver = "%s"\nrunroot = "%s"\ngraphroot = "%s"\n' "$pod_driver" "$pod_dir/run" "$pod_dir/root" \
    >"$pod_dir/storage.conf"
}

# Only the folder, for tests that make their pod in another way.
pod_make_dir ()
{
  pod_dir=$(mktemp -d /tmp/peerfs-pod.XXXXXX) || return 1
  # An overlay's upper layer cannot be on an overlay, and in another container /tmp is one.
  [ "$(stat -f -c %T "$pod_dir")" != overlayfs ] || mount -t tmpfs -o mode=700 peerfs-pod "$pod_dir" || return 1
  pod_configure
}

pod_up ()
{
  root_pod
  pod_make_dir || return 1
  pod_uid=$(cat /proc/sys/kernel/random/uuid)
  pod_quietly pod create --name pod --hostname pod --share pid,net,ipc,uts --network none || return 1
  pod_podman pod inspect -f '{{.ID}}' pod >"$pod_dir/id" 2>/dev/null
}

pod_run ()
{
  local name=$1
  shift
  printf '%s\0' "$@" >"$pod_dir/args/$name"
  pod_start "$name"
}

pod_start ()
{
  local name=$1 instance options=() argument in_options=1 command=() replace=()
  while IFS= read -r -d '' argument; do
    if [ "$in_options" ] && [ "$argument" = -- ]; then
      in_options=
    elif [ "$in_options" ]; then
      options+=("$argument")
    else
      command+=("$argument")
    fi
  done <"$pod_dir/args/$name"
  # As the kubelet does: a fresh file for every instance.
  instance=$pod_dir/pods/$pod_uid/containers/$name/$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
  # Only if there is one to replace: podman takes the first digits of an id for a name, "db" as well.
  [ ! -d "${instance%/*}" ] || replace=(--replace)
  mkdir -p "${instance%/*}" && : >"$instance" || return 1
  pod_quietly run --detach "${replace[@]}" --pod pod --name "$name" --stop-timeout 0 \
    -v "$instance:/dev/termination-log" "${options[@]}" --rootfs "$root_pod_dir:O" "${command[@]}"
}

# A debug sidecar with peerfs in it. pod_run_shell PEERFS_BINARY [ARG...] [-- CMD...]
# Libraries that the root lacks (a sanitizer's runtime, libfuse) come from this machine, which has the root's release.
# The capabilities are the fewest that can mount and read everything.
pod_run_shell ()
{
  local binary=$1 library
  shift
  mkdir -p "$pod_dir/bundle/bin" "$pod_dir/bundle/lib"
  cp -- "$binary" "$pod_dir/bundle/bin/peerfs" || return 1
  for library in $(ldd "$binary" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'); do
    [ -e "$root_pod_dir/$library" ] || cp -L -- "$library" "$pod_dir/bundle/lib/" || return 1
  done
  pod_run shell --device /dev/fuse --cap-add SYS_ADMIN,SYS_PTRACE --security-opt apparmor=unconfined \
    --security-opt seccomp=unconfined -v "$pod_dir/bundle/bin:/usr/local/bin:ro" \
    -v "$pod_dir/bundle/lib:/usr/local/lib:ro" \
    -v "$pod_dir/out:/out" "$@" -- sh -c 'ldconfig; mkdir -p /peers; exec sleep infinity' || return 1
  # ldconfig has run once sleep is the main process.
  pod_until 50 pod_exec shell sh -c '[ -d /peers ] && peerfs --version' >/dev/null 2>&1
}

# pod_until TENTHS COMMAND...: tries the command every tenth of a second until it succeeds. PEERFS_SLOW multiplies the
# time for a slow machine.
pod_until ()
{
  local left=$(($1 * ${PEERFS_SLOW:-1}))
  shift
  until "$@"; do
    [ $((left -= 1)) -gt 0 ] || return 1
    sleep 0.1
  done
}

pod_exec_opts=()

pod_exec ()
{
  local name=$1
  shift
  pod_podman exec "${pod_exec_opts[@]}" "$name" "$@"
}

pod_pid ()
{
  pod_podman container inspect -f '{{.State.Pid}}' "$1" 2>/dev/null
}

pod_id ()
{
  pod_podman container inspect -f '{{.Id}}' "$1" 2>/dev/null
}

pod_kill ()
{
  pod_quietly kill "$1"
}

pod_restart ()
{
  pod_kill "$1" && pod_start "$1"
}

# Removes the pod's own cgroups, which podman leaves.
pod_sweep_cgroups ()
{
  [ -n "$1" ] || return 0
  find /sys/fs/cgroup -mindepth 2 -depth -type d -path "*/$1*" -exec rmdir {} \; 2>/dev/null
  find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name libpod_parent -exec rmdir {} \; 2>/dev/null
}

pod_down ()
{
  local id mount pod_session=(setsid --wait)
  [ -n "$pod_dir" ] || return 0
  id=$(cat "$pod_dir/id" 2>/dev/null || pod_podman pod ps -q --no-trunc 2>/dev/null)
  if ! pod_podman pod rm -af -t 0 >"$pod_dir/podman.log" 2>&1 </dev/null; then
    pod_podman rm -af -t 0 >/dev/null 2>&1 </dev/null
  fi
  pod_sweep_cgroups "$id"
  awk -v top="$pod_dir" '$2 == top || index($2, top "/") == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mount; do
      umount -l -- "$mount" 2>/dev/null
    done
  rm -rf --one-file-system -- "$pod_dir"
  pod_dir=
}

# The two real servers of the tour. nginx has its default site on a TCP port and on a unix socket. redis has only a unix
# socket, and its own user. Both write a title over their environment, and name their socket by /var/run, an absolute
# symlink in every Debian root.
pod_run_nginx ()
{
  cat >"$pod_dir/site" <<'END'
server {
  listen 8080 default_server;
  listen unix:/var/run/nginx.sock;
  location / { return 200 "hello from nginx\n"; }
}
END
  pod_run nginx "$@" -e NGINX_PORT=8080 -v "$pod_dir/site:/etc/nginx/sites-available/default:ro" -- \
    nginx -g 'daemon off;'
}

pod_run_redis ()
{
  # shellcheck disable=SC2016
  pod_run redis "$@" -- sh -c 'install -d -o redis -g redis /run/redis && exec setpriv --reuid redis \
    --regid redis --clear-groups redis-server --port 0 --unixsocket /var/run/redis/redis.sock --unixsocketperm 777 \
    --dir /tmp --save ""'
}
