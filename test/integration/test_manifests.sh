#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every manifest renders, and has no field that the API does not know; krew's is as krew wants it.
. "$(dirname -- "$0")/lib.sh"
. "$test_dir/../../scripts/lib/kubectl.sh"

apt_need python3 python3-yaml
manifests=$test_dir/../../manifests
rendered=$(mktemp -d /tmp/peerfs-manifests.XXXXXX) || exit 1
trap 'rm -rf -- "$rendered"; at_exit' EXIT

fields ()
{
  local file=$1
  shift
  /usr/bin/python3 "$test_dir/helpers/check_fields.py" "$test_dir/../fixtures/kubernetes/fields.tsv" "$@" <"$file"
}

render ()
{
  kubectl_kustomize "$1" >"$rendered/$1.yaml" && [ -s "$rendered/$1.yaml" ]
}

for file in "$manifests"/*/kustomization.yaml; do
  folder=$(basename -- "$(dirname -- "$file")")
  [ "$folder" != component ] || continue
  check "kubectl kustomize manifests/$folder" render "$folder"
  check "fields of manifests/$folder" fields "$rendered/$folder.yaml"
done
check "fields of flux-jobset.yaml" fields "$manifests/flux-jobset.yaml"
check "fields of debug/custom.yaml" fields "$manifests/debug/custom.yaml" Container
check "a wrong field is found" sh -c '! "$@" <<END
kind: Pod
spec:
  shareProcesNamespace: true
END' sh /usr/bin/python3 "$test_dir/helpers/check_fields.py" "$test_dir/../fixtures/kubernetes/fields.tsv"
check "a wrong type is found" sh -c '! "$@" <<END
kind: Pod
spec:
  shareProcessNamespace: "true"
END' sh /usr/bin/python3 "$test_dir/helpers/check_fields.py" "$test_dir/../fixtures/kubernetes/fields.tsv"

# The component, on each kind that it is for: the sidecar once, the process namespace shared, what was there kept.
mkdir -p "$rendered/manifests/app"
cp -r -- "$manifests/component" "$rendered/manifests/"
cat >"$rendered/manifests/app/kustomization.yaml" <<END
resources: [app.yaml]
components: [../component]
images: [{name: peerfs, newName: registry.example/peerfs}]
END
for kind in Deployment ReplicaSet StatefulSet DaemonSet Job; do
  version=apps/v1
  [ "$kind" != Job ] || version=batch/v1
  cat <<END
---
apiVersion: $version
kind: $kind
metadata: {name: app}
spec:
  template:
    spec:
      initContainers: [{name: first, image: first}]
      containers: [{name: app, image: app}]
END
done >"$rendered/manifests/app/app.yaml"
cat >>"$rendered/manifests/app/app.yaml" <<END
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  initContainers: [{name: first, image: first}]
  containers: [{name: app, image: app}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: app}
spec:
  schedule: "0 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          initContainers: [{name: first, image: first}]
          containers: [{name: app, image: app}]
END
peerfs_top_kept=$peerfs_top
peerfs_top=$rendered
check "the component renders" render app
peerfs_top=$peerfs_top_kept
check "fields of the component" fields "$rendered/app.yaml"
for what in 'image: registry.example/peerfs' 'shareProcessNamespace: true' 'restartPolicy: Always' 'livenessProbe:' \
  'name: first'; do
  check_output "$what, in each kind" 7 grep -c -F "$what" "$rendered/app.yaml"
done
check "the sidecar's template stays at home" sh -c '! grep -q PodTemplate "$1"' sh "$rendered/app.yaml"

# A volume with the mount is the sidecar's alone to write in, and a stopped daemon is noticed.
volume_is_ours ()
{
  /usr/bin/python3 - "$1" <<'END'
import sys, yaml
def pods(value):
    if isinstance(value, dict):
        if "containers" in value and "volumes" in value:
            yield value
        for inner in value.values():
            yield from pods(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pods(inner)
found = 0
for document in yaml.safe_load_all(open(sys.argv[1])):
    for pod in pods(document):
        everyone = pod.get("initContainers", []) + pod["containers"]
        mounts = [(c, m) for c in everyone for m in c.get("volumeMounts", []) if "mountPropagation" in m]
        for container, mount in mounts:
            if mount["mountPropagation"] == "Bidirectional":
                found += 1
                assert "chmod 755 " + mount["mountPath"] in " ".join(container["command"]), container["command"]
                assert container["livenessProbe"]["exec"] == container["startupProbe"]["exec"], \
                    container["livenessProbe"]
            else:
                assert mount.get("readOnly") is True, container["name"]
assert found == 1, found
END
}
check "the volume of propagate" volume_is_ours "$rendered/propagate.yaml"
check "the volume of flux-jobset" volume_is_ours "$manifests/flux-jobset.yaml"

# The policy's sidecar is the component's but for its resources. It is a CEL expression: without the names of its types
# that is YAML. The API server refuses ApplyConfiguration if it sets an atomic list.
same_sidecar ()
{
  /usr/bin/python3 - "$manifests/inject/policy.yaml" "$manifests/component/sidecar.yaml" <<'END'
import re, sys, yaml
policy = next(yaml.safe_load_all(open(sys.argv[1])))
for mutation in policy["spec"]["mutations"]:
    assert mutation["patchType"] == "JSONPatch" and list(mutation) == ["patchType", "jsonPatch"], mutation
(mutation,) = policy["spec"]["mutations"]
literal = re.match(r"\[\s*(Object.*?)\s*\]\.map\(", mutation["jsonPatch"]["expression"], re.S).group(1)
sidecar = yaml.safe_load(re.sub(r"Object[.\w]*\{", "{", literal))
spec = yaml.safe_load(open(sys.argv[2]))["template"]["spec"]
(expected,) = spec["initContainers"]
del expected["resources"]
assert sidecar == expected, (sidecar, expected)
assert spec["shareProcessNamespace"] is True
END
}
check_output "the policy's sidecar is the component's" "" same_sidecar
for field in hostPID shareProcessNamespace initContainers containers; do
  check "the policy looks at $field before" \
    grep -q "expression:.*object.spec.$field\|^ .*object.spec.$field.exists" "$manifests/inject/policy.yaml"
done

krew=$test_dir/../../scripts/krew
for arguments in "0 --help" "2 --hlep" "2" "2 ftp://host" "2 https://host/peerfs more" "0 https://host/peerfs"; do
  # shellcheck disable=SC2016,SC2086 # several words
  check_output "scripts/krew: status of '$arguments'" "${arguments%% *}" \
    sh -c '"$@" >/dev/null 2>&1; echo $?' sh "$krew" ${arguments#[02]}
done
package=$test_dir/../../build/package
check_krew ()
{
  /usr/bin/python3 "$test_dir/helpers/check_krew.py" "$1" "$package/kubectl-peers_$(peerfs_version).tar.gz"
}
check_output "krew's manifest" "" check_krew "$package/peers.yaml"
sed 's/sha256: ../sha256: 00/; s/version: v/version: /' "$package/peers.yaml" >"$rendered/peers.yaml"
check_equal "what is wrong in it is found" "sha256 version" \
  "$(check_krew "$rendered/peers.yaml" | grep -x 'version\|sha256' | sort | xargs)"

# Completion of kubectl peers: what kubectl is asked, of a kubectl that prints it.
mkdir "$rendered/bin"
cat >"$rendered/bin/kubectl" <<'END'
#!/bin/bash
all=$*
printf '%s\n' "${all% -o *}"
END
chmod 755 "$rendered/bin/kubectl"
completes ()
{
  local expected=$1
  shift
  check_output "kubectl peers $*: completion" "$expected" \
    env PATH="$rendered/bin:$PATH" "$test_dir/../../scripts/completion/kubectl_complete-peers" "$@"
}
completes $'get pods\n:4' ''
completes $'get pods\n:4' ls w
completes $'get -n web pods\n:4' -n web ''
completes $'get --namespace=web pods\n:4' --namespace=web ''
completes $'get --context there namespaces\n:4' --context there -n ''
completes $'get -n web pod shop\n:4' cp -n web shop -c ''
completes $'fuse\nnode\nlinks\n:4' shop --way ''
completes ':0' shop -- ls ''

# The workflows of continuous integration run scripts that are there, and no action but one.
workflows ()
{
  /usr/bin/python3 - "$test_dir/../.." <<'END'
import glob, os, re, sys, yaml
os.chdir(sys.argv[1])
files = glob.glob(".github/workflows/*.yml")
assert files
for file in files:
    workflow = yaml.safe_load(open(file))
    assert {"name", "permissions", "jobs"} <= set(workflow), file
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/checkout@v\d+", step.get("uses", "actions/checkout@v4")), step
            for script in re.findall(r"^\s*((?:scripts|\.ci)/\S+)", step.get("run", ""), re.M):
                assert os.access(script, os.X_OK), script
END
}
check "the workflows" workflows
status=0
"$test_dir/../../scripts/release" --tag v0 https://host/peerfs >"$rendered/release" 2>&1 || status=$?
check_equal "scripts/release: another tag" "1 release: the tag is v0, and the version is $(peerfs_version)" \
  "$status $(cat "$rendered/release")"
finish
