# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The library of the integration tests. Each test is one bash script, run by ctest with PEERFS=<binary>. It passes if it
# calls `finish`, no check failed, and the daemon was alive until it was stopped. test_lib.sh tests this.
#
#   isolate "$@"      first line of tests without podman: runs the script in pid and mount namespaces of its own
#   imitate ...       there: a container without a runtime
#   peerfs_start ...  there: the daemon on $mnt
#   pod_peerfs ...    in tests with a pod: the daemon on /peers of its container `shell`
set -u

test_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
test_name=$(basename -- "$0" .sh)
. "$test_dir/../../scripts/lib/common.sh"
. "$test_dir/../../scripts/lib/apt.sh"
. "$test_dir/../../scripts/lib/roots.sh"
. "$test_dir/../../scripts/lib/pod.sh"

PEERFS=$(realpath -- "${PEERFS:?the binary under test}") || exit 1
# A line for each check, "ok" or what failed. It is a file, so that checks of subshells count too.
results=$(mktemp /tmp/peerfs-results.XXXXXX) || exit 1
finished=
pod_exec_env=()
shell_pid=

# --- checks

passed ()
{
  echo ok >>"$results"
  echo "ok - $1"
}

# failed WHAT [DETAIL...]
failed ()
{
  echo "NOT OK - ${1//$'\n'/ }" >>"$results"
  echo "NOT OK - $1"
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/    /'
}

# check WHAT COMMAND...: the command succeeds.
check ()
{
  local what=$1 output status=0
  shift
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$status" -eq 0 ]; then
    passed "$what"
  else
    failed "$what" "ran: $*" "status: $status" "$output"
  fi
}

# check_equal WHAT EXPECTED ACTUAL
check_equal ()
{
  if [ "$2" = "$3" ]; then
    passed "$1"
  else
    failed "$1" "expected: $2" "found:    $3"
  fi
}

# check_output WHAT EXPECTED COMMAND...: what the command prints, errors included.
check_output ()
{
  local what=$1 expected=$2 output status=0
  shift 2
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$output" = "$expected" ] && [ "$status" -eq 0 ]; then
    passed "$what"
  else
    failed "$what" "ran: $*" "status: $status" "expected: $expected" "found:    $output"
  fi
}

# check_less WHAT LIMIT ACTUAL: an integer that must stay below a limit.
check_less ()
{
  if [ -n "$3" ] && [ "$3" -lt "$2" ]; then
    passed "$1 ($3 < $2)"
  else
    failed "$1" "limit: $2" "found: $3"
  fi
}

# Ends the test: its set-up failed.
abandon ()
{
  failed "$@"
  exit 1
}

sanitized ()
{
  grep -q -a '__[at]san_init' "$PEERFS"
}

# For tests with random numbers: sets $seed, and prints it. It is PEERFS_SEED, or else comes from the commit: what
# passed before a push meets the same numbers after it. $RANDOM follows it.
use_seed ()
{
  local commit
  commit=$(git -c safe.directory='*' -C "$peerfs_top" rev-parse HEAD 2>/dev/null)
  commit=${commit:0:7}
  seed=${PEERFS_SEED:-${commit:+$((16#$commit))}}
  seed=${seed:-$((RANDOM * 32768 + RANDOM))}
  RANDOM=$seed
  echo "PEERFS_SEED=$seed"
}

milliseconds ()
{
  echo $(($(date +%s%N) / 1000000))
}

# --- the end

show_reports ()
{
  local file
  for file in "$@"; do
    [ -s "$file" ] || continue
    failed "no sanitizer report" "$(head -n 60 "$file")"
  done
}

at_exit ()
{
  local status=$?
  trap - EXIT INT TERM
  set +e
  [ -n "$finished" ] || failed "the test comes to its end" "status: $status"
  if [ -n "${peerfs_pid:-}" ]; then
    peerfs_stop
    [ "$peerfs_status" -eq 0 ] || failed "the daemon ends with status 0 after the test" "status: $peerfs_status"
  fi
  if [ -s "$pod_dir/out/peerfs.status" ] && [ "$(cat "$pod_dir/out/peerfs.status")" -ne 0 ]; then
    failed "the daemon of the pod ends with status 0" "status: $(cat "$pod_dir/out/peerfs.status")"
  fi
  [ -z "$pod_dir" ] || show_reports "$pod_dir"/out/reports/*
  [ -z "${work:-}" ] || show_reports "$work"/reports/*
  if grep -q '^NOT OK' "$results"; then
    tail -v -n 20 "${pod_dir:-/nonexistent}/out/peerfs.log" "${work:-/nonexistent}/peerfs.log" 2>/dev/null
    [ "$status" -ne 0 ] || status=1
  fi
  pod_down
  summary
  exit "$status"
}

# The last lines: which checks failed, and how many there were.
summary ()
{
  sed -n 's/^NOT OK - /FAILED: /p' "$results"
  echo "$test_name: $(wc -l <"$results") checks, $(grep -c '^NOT OK' "$results") failed"
  rm -f -- "$results"
}

finish ()
{
  finished=1
  exit 0
}

trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

need_root
trouble=$(fuse_trouble)
[ -z "$trouble" ] || abandon "$trouble"

# --- without podman

# Runs the script again in namespaces of its own: nothing that it starts or mounts survives it. There $work is a tmpfs,
# $mnt a folder for the mount, and /proc shows only the script's own processes.
isolate ()
{
  local status=0
  if [ -z "${PEERFS_TEST_WORK:-}" ]; then
    trap - EXIT INT TERM
    rm -f -- "$results"
    PEERFS_TEST_WORK=$(mktemp -d /tmp/peerfs-test.XXXXXX) || exit 1
    export PEERFS_TEST_WORK
    root_pod
    trap : INT TERM
    unshare --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@" || status=$?
    # The last processes may still be ending.
    pod_until 20 sweep_cgroups 2>/dev/null
    rm -rf --one-file-system -- "$PEERFS_TEST_WORK"
    exit "$status"
  fi
  work=$PEERFS_TEST_WORK
  mnt=$work/peers
  mount -t tmpfs -o mode=755 peerfs-test "$work" && mkdir "$mnt" && san_prepare "$work" || exit 1
  # shellcheck disable=SC2046 # several words
  export $(san_options "$work")
  root_pod
  node_marker
}

sweep_cgroups ()
{
  find /sys/fs/cgroup -depth -type d -path "*/${PEERFS_TEST_WORK##*/}*" -exec rmdir {} \;
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "${PEERFS_TEST_WORK##*/}")" ]
}

# Puts a word into the node's /etc/hostname, in this namespace, that no container's has.
node_marker ()
{
  echo NODE >"$work/node-hostname"
  mount --bind "$work/node-hostname" /etc/hostname 2>/dev/null
}

random_id ()
{
  od -An -N32 -tx4 /dev/urandom | tr -d ' \n'
}

# make_cgroup ID [FILE]: makes a cgroup for a container id, in the first hierarchy of this machine whose cgroups have
# that file, and prints its folder.
make_cgroup ()
{
  local top dir
  for top in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup/pids; do
    dir=$top/${work##*/}
    [ -f "$top/cgroup.procs" ] && mkdir -p "$dir/libpod-$1" 2>/dev/null || continue
    # Version 2 gives a cgroup only the files of what the one above lets it limit.
    { [ "${2:-}" != pids.max ] || echo +pids >"$dir/cgroup.subtree_control"; } 2>/dev/null
    [ -e "$dir/libpod-$1/${2:-cgroup.procs}" ] || continue
    echo "$dir/libpod-$1"
    return 0
  done
  return 1
}

# imitate NAME [ID] -- COMMAND...: a container without a runtime: a mount namespace, an overlay of the pod's root, a
# cgroup with an id, the kubelet's mount. $work/c/NAME/upper, if there is one, is the upper layer of its root.
# Lines "SOURCE TARGET" of $work/c/NAME/volumes mount files and folders of this side in it.
# Sets imitated_pid and imitated_id.
imitate ()
{
  local name=$1 instance cgroup
  shift
  imitated_id=$(random_id)
  [ "$1" = -- ] || { imitated_id=$1; shift; }
  shift
  instance=$work/pods/0a1b2c3d-0000-4000-8000-000000000000/containers/$name/$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
  mkdir -p "${instance%/*}" "$work/c/$name" && : >"$instance"
  cgroup=$(make_cgroup "$imitated_id") || abandon "a cgroup can be made"
  ln -sf "$test_dir/imitate.sh" "$work/runc"
  unshare --mount --propagation private "$work/runc" "$root_pod_dir" "$work/c/$name" "$instance" "$cgroup" \
    "$@" >"$work/c/$name/log" 2>&1 </dev/null &
  imitated_pid=$!
  pod_until 50 imitated "$imitated_pid" ||
    abandon "an imitated container starts" "$(cat "$work/c/$name/log")"
}

# imitated PID: true if its root is the container's, and it has executed the command.
imitated ()
{
  grep -qs ' /dev/termination-log ' "/proc/$1/mountinfo" && ! grep -qsx runc "/proc/$1/comm"
}

# san_options DIR: assignments for the environment. Sanitizers' reports then go to a folder of DIR that threads with any
# caller's uid can write to. GLib before 2.76 has an allocator of its own, and no sanitizer looks into it. test/tsan has
# what ThreadSanitizer is told beyond that.
san_options ()
{
  local common=log_path=$1/reports/report:exitcode=99
  echo "ASAN_OPTIONS=$common" "UBSAN_OPTIONS=$common:print_stacktrace=1" "TSAN_OPTIONS=$common" \
    G_SLICE=always-malloc
}

# san_prepare DIR: makes that folder, DIR being its name on this side.
san_prepare ()
{
  mkdir -p "$1/reports" && chmod 1777 "$1/reports"
}

# peerfs_start [OPTION...]: the daemon on $mnt, in the foreground of a process of its own: $peerfs_pid.
# peerfs_nofile limits its descriptors.
peerfs_start ()
{
  (
    ulimit -n "${peerfs_nofile:-1024}"
    exec "$PEERFS" -f "$@" "$mnt"
  ) >>"$work/peerfs.log" 2>&1 </dev/null &
  peerfs_pid=$!
  pod_until 100 peerfs_mounted && ! peerfs_gone || abandon "peerfs mounts" "$(cat "$work/peerfs.log")"
}

# Succeeds if the mount answers, or the daemon is gone already. The dead mount of a predecessor does not answer, and may
# be removed meanwhile: so this first asks it, and then looks for it.
peerfs_mounted ()
{
  ! peerfs_gone || return 0
  ls "$mnt" >/dev/null 2>&1 && grep -q " $mnt fuse" /proc/mounts && ls "$mnt" >/dev/null 2>&1
}

# peerfs_stop [SIGNAL]: peerfs_status is its exit status. It must have been alive until now.
peerfs_stop ()
{
  kill "-${1:-TERM}" "$peerfs_pid" || failed "the daemon is alive until it is stopped"
  pod_until 100 peerfs_gone || { kill -KILL "$peerfs_pid"; failed "peerfs ends on SIG${1:-TERM} within 10 s"; }
  wait "$peerfs_pid"
  peerfs_status=$?
  peerfs_pid=
}

peerfs_gone ()
{
  ! kill -0 "$peerfs_pid" 2>/dev/null
}

# --- with a pod

# pod_peerfs [OPTION...]: the daemon on /peers of `shell`.
pod_peerfs ()
{
  local option
  shell_pid=$(pod_pid shell)
  san_prepare "$pod_dir/out"
  rm -f -- "$pod_dir/out/peerfs.status"
  for option in $(san_options /out); do
    pod_exec_env+=(-e "$option")
  done
  pod_exec_opts=(-d "${pod_exec_env[@]}")
  pod_exec shell sh -c 'peerfs -f "$@" /peers >/out/peerfs.log 2>&1; echo $? >/out/peerfs.status' sh "$@" >/dev/null
  pod_exec_opts=("${pod_exec_env[@]}")
  pod_until 100 pod_exec shell mountpoint -q /peers ||
    abandon "peerfs mounts in the pod" "$(cat "$pod_dir/out/peerfs.log")"
}

# in_shell COMMAND_LINE: runs it in the debug sidecar, in its cgroups and namespaces. `podman exec` takes ten times as
# long.
in_shell ()
{
  local pid=${shell_pid:=$(pod_pid shell)}
  (
    while IFS=: read -r _ controllers path; do
      case $controllers in
      '') top=/sys/fs/cgroup/unified && [ -d "$top" ] || top=/sys/fs/cgroup ;;
      *) top=/sys/fs/cgroup/${controllers#name=} ;;
      esac
      echo "$BASHPID" >"$top$path/cgroup.procs"
    done <"/proc/$pid/cgroup" 2>/dev/null
    exec nsenter --target "$pid" --mount --uts --ipc --net --pid --root --wd \
      env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $(san_options /out) timeout 60 bash -c "$1"
  )
}

# Ends the daemon of the pod as the end of a pod does, and checks that it left nothing.
pod_peerfs_stop ()
{
  check "peerfs is alive until it is stopped" in_shell 'pkill -TERM -x peerfs'
  pod_until 100 test -s "$pod_dir/out/peerfs.status" || failed "peerfs ends on SIGTERM within 10 s"
  check "SIGTERM unmounts" in_shell '! grep -q " /peers " /proc/self/mounts'
}
