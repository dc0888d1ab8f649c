#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# kubectl peers, on a podman pod: kubectl itself is a stub (helpers/kubectl-stub), all else is real.
. "$(dirname -- "$0")/lib.sh"

plugin=$test_dir/../../scripts/kubectl-peers
pod_up && pod_run_shell "$PEERFS" || abandon "a pod starts"
san_prepare "$pod_dir/out"
chmod 755 "$pod_dir" && chmod 777 "$pod_dir/out"
pod_run app --user 1000:1000 --cap-drop all -- sh -c 'echo hello >/tmp/greeting; exec sleep infinity' ||
  abandon "a container starts"
export STUB=$pod_dir/stub STUB_TOP=$test_dir/../.. STUB_POD=$pod_dir STUB_ROOT=$root_pod_dir STUB_UID=$pod_uid
STUB_ENV=$(printf -- '-e %s ' $(san_options /out))
export STUB_ENV
mkdir -p "$STUB/bin"
ln -s "$test_dir/helpers/kubectl-stub" "$STUB/bin/kubectl"
: >"$STUB/denied"
: >"$STUB/level"
cat >"$STUB/facts" <<END
Running shared $pod_uid this-node
app 1000 1000
shell - -
END

peers ()
{
  PATH=$STUB/bin:$PATH "$plugin" "$@"
}

fields ()
{
  /usr/bin/python3 "$test_dir/helpers/check_fields.py" "$test_dir/../fixtures/kubernetes/fields.tsv" "$1" <"$2"
}

# whoami_in ARG...: the user and the group that the plugin's container has by links.
whoami_in ()
{
  # shellcheck disable=SC2016
  peers -c app "$@" pod -- sh -c 'echo $(id -u) $(id -g)' 2>/dev/null
}

# status STATUS WORDS ARG...: the exit status, and words that the one line has.
status ()
{
  local expected=$1 words=$2 output result=0
  shift 2
  output=$(peers "$@" 2>&1 </dev/null) || result=$?
  check_equal "kubectl peers $*: status" "$expected" "$result"
  case $output in
  *"$words"*) passed "kubectl peers $*: $words" ;;
  *) failed "kubectl peers $*: $words" "$output" ;;
  esac
}

status 2 "one POD is needed"
status 2 "unknown option --nmaespace" --nmaespace x pod
status 2 "--way takes fuse, node or links" --way tar pod
status 2 "--way takes fuse, node or links" --way=tar pod
status 2 "--user takes numbers" --user redis pod
status 2 "-n takes a value" pod -n
status 2 "one of the two is POD:CONTAINER/PATH" cp a b
status 1 'pods "nothing" not found' nothing
status 1 "pod pod has no container web; it has: app shell" -c web pod
# What a pod's author and a container's own programs say becomes part of no specification and of no shell's line.
cp "$STUB/facts" "$STUB/good"
sed -i "1s/.*/Running private 0a1b;id;\$(id) this-node/" "$STUB/facts"
status 1 "a uid that is none" --way node pod
sed "s/^app .*/app - -/" "$STUB/good" >"$STUB/facts"
cp -a "$STUB/bin/kubectl" "$STUB/honest"
cat >"$STUB/lies" <<'END'
#!/bin/sh
case $* in *"-- id -"*) printf '0\n  privileged: true' ;; *) exec "$STUB/honest" "$@" ;; esac
END
chmod 755 "$STUB/lies" && ln -sf ../lies "$STUB/bin/kubectl"
status 1 "nothing tells which user container app runs as" --dry-run -c app --way links pod
mv "$STUB/honest" "$STUB/bin/kubectl"
cp "$STUB/good" "$STUB/facts"
echo "patch pods --subresource=ephemeralcontainers" >"$STUB/denied"
status 1 "you may not add ephemeral containers" pod
: >"$STUB/denied"
check_equal "nothing was made until here" 0 "$(grep -c '^debug' "$STUB/calls")"

# By a mount.
status 7 "adding container" --way fuse pod -- sh -c 'exit 7'
check_equal "fuse: a command" "hello" "$(peers pod -- cat /peers/app/root/tmp/greeting 2>/dev/null)"
check_equal "fuse: standard input" "to it" "$(echo to it | peers pod -- cat 2>/dev/null)"
check_equal "fuse: ls" "app shell" "$(peers ls pod 2>/dev/null | awk '$1 ~ /^(app|shell)$/ { print $1 }' | xargs)"
check "fuse: cp out of a container" peers cp pod:app/tmp/greeting "$pod_dir/copy"
check_equal "fuse: the copy" hello "$(cat "$pod_dir/copy")"
# A peer decides what its files are: a copy made by root is no setuid program, and no device.
pod_exec app sh -c 'mkdir -p /tmp/tree/sub && cp /bin/true /tmp/tree/su && chmod 6755 /tmp/tree/su'
mknod "/proc/$(pod_pid app)/root/tmp/tree/sub/disk" b 7 99
mkfifo "/proc/$(pod_pid app)/root/tmp/tree/sub/fifo"
mkdir -p "$pod_dir/into/tree" && echo mine >"$pod_dir/into/tree/mine"
check "fuse: cp of a tree to another name" peers cp pod:app/tmp/tree "$pod_dir/other"
check "fuse: cp of a tree into a folder that has one" peers cp pod:app/tmp/tree "$pod_dir/into"
check_equal "cp: no device, and no setuid program" \
  "$(printf '%s\n' 'd 755 .' 'd 755 sub' 'f 755 su' 'l 777 sub/fifo')" \
  "$(cd "$pod_dir/other" && find . -printf '%y %m %P\n' | sed 's/ $/ ./' | sort)"
check_equal "cp: what was there stays" "mine su sub" "$(ls "$pod_dir/into/tree" | xargs)"
check_equal "cp: no device either" "" "$(find "$pod_dir/into" ! -type f ! -type d ! -type l)"
check_equal "cp: nothing is left beside" "" "$(find "$pod_dir" "$pod_dir/into" -maxdepth 1 -name '.peers*')"
check "fuse: cp into a container" peers cp "$pod_dir/copy" pod:app/tmp
check_equal "fuse: the copy in it" hello "$(pod_exec app cat /tmp/copy)"
check_equal "the containers that were added have ended" "" \
  "$(pod_podman ps --format '{{.Names}}' | grep '^peers-')"

# By links: what Pod Security "restricted" admits, as the container's own user.
echo restricted >"$STUB/level"
check_equal "links: a command" "hello" "$(peers -c app pod -- cat /tmp/peers/app/root/tmp/greeting 2>"$STUB/err")"
peers --context other -c app pod -- true 2>/dev/null
check_equal "the level is asked of the same cluster" 1 "$(grep -c '^--context other get namespace' "$STUB/calls")"
check "links: fields of the container" fields Container "$STUB/spec"
check "links: it says why" grep -q "not by way of fuse: Pod Security enforces 'restricted'" "$STUB/err"
check_equal "links: what is asked for" "$(cat <<'END'
imagePullPolicy: IfNotPresent
env:
- {name: HOME, value: /tmp}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
END
)" "$(cat "$STUB/spec")"
status 2 "Permission denied" -c app pod -- ls /tmp/peers/shell/root/
status 2 "Permission denied" -c app --user 1000:1000 pod -- ls /tmp/peers/shell/root/
# A pod that names no user: what the container's status says, what it is asked, what is given.
sed -i 's/^app .*/app - -/' "$STUB/facts"
check_equal "links: the user is asked for" "1000 1000" "$(whoami_in)"
echo "user app 1000 1001" >>"$STUB/facts"
check_equal "links: the user is in the status" "1000 1001" "$(whoami_in)"
check_equal "links: the user is given" "1000 1002" "$(whoami_in --user 1000:1002)"
: >"$STUB/level"
: >"$STUB/calls"
check_output "dry run: what would be created" 1 sh -c \
  'PATH=$STUB/bin:$PATH "$1" --dry-run --way links pod | grep -c "drop: \[ALL\]"' sh "$plugin"
check_equal "dry run: nothing is made, and nothing ended" "" "$(grep -E '^(debug|create|delete|exec)' "$STUB/calls")"
check_equal "and they have ended" "" "$(pod_podman ps --format '{{.Names}}' | grep '^peers-')"

# What the real kubectl makes of it: it is sent to as much of an API server as that asks for.
. "$test_dir/../../scripts/lib/kubectl.sh"
/usr/bin/python3 "$test_dir/helpers/kube_api.py" "$STUB/port" >"$STUB/sent" &
pod_until 50 test -s "$STUB/port"

debug ()
{
  HOME=$STUB kubectl_recent --server "http://127.0.0.1:$(cat "$STUB/port")" debug "$@" >/dev/null &&
    tail -n 1 "$STUB/sent"
}

# sent ARG...: the container that the plugin asks for, as it is sent.
sent ()
{
  local line
  peers --dry-run "$@" pod >"$STUB/dry" 2>/dev/null || return 1
  sed '1,/^FILE:/d' "$STUB/dry" >"$STUB/custom"
  line=$(head -n 1 "$STUB/dry")
  eval "set -- ${line/ FILE / $STUB/custom }"
  debug "${@:3}"
}

security ()
{
  sed -n 's/.*"securityContext": {\(.*\)}, "targetContainerName".*/\1/p'
}

restricted=$(debug pod --image x --profile restricted --target app --attach=false -- true | security)
check_equal "kubectl's own profile 'restricted'" "$(tr -d '\n' <<'END'
"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, 
"seccompProfile": {"type": "RuntimeDefault"}
END
)" "$restricted"
check_equal "links: that profile, and the container's user" \
  "${restricted/\"runAsNonRoot\": true/\"runAsGroup\": 1001, \"runAsNonRoot\": true, \"runAsUser\": 1000}" \
  "$(sent --way links -c app | security)"
check_equal "fuse: privileged root" '"privileged": true, "runAsNonRoot": false, "runAsUser": 0' \
  "$(sent --way fuse | security)"
# Not by the stub: what the real kubectl makes of the plugin's template.
mkdir "$STUB/real"
cat >"$STUB/real/kubectl" <<END
#!/bin/bash
PATH=$PATH
for file in common apt roots kubectl; do . "$STUB_TOP/scripts/lib/\$file.sh"; done
HOME=$STUB kubectl_recent --server "http://127.0.0.1:$(cat "$STUB/port")" "\$@"
END
chmod 755 "$STUB/real/kubectl"
check_equal "node: the uid of the pod, not that of an annotation" "--pod 0a1b2c3d-0000-4000-8000-000000000000" \
  "$(PATH=$STUB/real:$PATH "$plugin" --dry-run --way node pod 2>&1 | grep -o -e '--pod [-0-9a-f]*')"
kill %%

# By the node: for a pod that does not share its process namespace. This one does, but its containers are only to be
# found by the pod's uid.
sed -i 's/shared/private/' "$STUB/facts"
check_equal "node: a command" hello "$(peers pod -- cat /peers/app/root/tmp/greeting 2>"$STUB/err")"
check "node: it says what it makes" \
  grep -q "creating pod peers-[0-9a-f]* on node this-node (privileged, hostPID" "$STUB/err"
check "node: hostPID, on that node" \
  sh -c 'grep -q "hostPID: true" "$1" && grep -q "nodeName: this-node" "$1"' sh "$STUB/spec"
check "node: fields of the pod" fields Pod "$STUB/spec"
check_equal "node: ls" "app shell" "$(peers ls pod 2>/dev/null | awk '$1 ~ /^(app|shell)$/ { print $1 }' | xargs)"
check_equal "node: the pods are deleted" 2 "$(grep -c '^delete pod peers-' "$STUB/calls")"
echo "create pods " >"$STUB/denied"
check_equal "not by the node: that container alone" hello \
  "$(peers -c app pod -- cat /peers/app/root/tmp/greeting 2>"$STUB/err")"
check "and it says why" grep -q "not by way of node: you may not make and delete pods here" "$STUB/err"
finish
