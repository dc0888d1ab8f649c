/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's name, as its mounts tell it: the kubelet binds <its folder>/pods/<uid>/containers/<NAME>/<8 hex> to the
 * container's terminationMessagePath. The author of a pod can make other mounts look like that one. Containers that are
 * shown the node's folders see those of other pods. So, of all lines whose root has that form, these are out:
 *
 * - the root lies in a volume (name_of_root), or the mount point in a root filesystem (".../rootfs/dev/...");
 * - nothing speaks for it: not the default path, not the pod's uid in the cgroup, not our own container's mount.
 *
 * The best of the others wins, and of equals the last: the kubelet's own mount comes after those of volumes, and hides
 * what was mounted at its place before. */
#include "peerfs/parse/mountinfo.h"

#include "bytes.h"

/* Takes the last component and its '/' off *path. */
static bool
take_last (Bytes *path, Bytes *ret)
{
  const char *slash = path->len > 0 ? memrchr (path->p, '/', path->len) : NULL;

  if (!slash)
    return false;
  *ret = bytes_skip (*path, (size_t) (slash - path->p) + 1);
  path->len = (size_t) (slash - path->p);
  return true;
}

/* Is there a "pods/<uid>" in path? */
static bool
is_in_pod (Bytes path)
{
  Bytes component, previous = bytes_of ("", 0);

  while (bytes_split (&path, '/', &component)) {
    if (bytes_equal (previous, "pods") && bytes_is_pod_uid (component))
      return true;
    previous = component;
  }
  return false;
}

/* A folder named "volumes" is the kubelet's, whose content the pod chooses, unless it is a container engine's,
 * volumes/<name>/_data: the whole node is a container there (kind, k3d, minikube) and such a volume its /var. */
static bool
is_in_volume (Bytes path)
{
  Bytes component;

  while (bytes_split (&path, '/', &component)) {
    Bytes name, data, rest = path;

    if (bytes_equal (component, "volumes")
        && !(bytes_split (&rest, '/', &name) && bytes_split (&rest, '/', &data) && bytes_equal (data, "_data")))
      return true;
  }
  return false;
}

static bool
name_of_root (const char *root, PfsKubeletMount *ret)
{
  Bytes path = bytes_of (root, strlen (root));
  Bytes instance, name, containers, uid, pods;
  PfsKubeletMount mount = { 0 };

  if (!take_last (&path, &instance) || instance.len != 8 || !bytes_is_hex (instance) || !take_last (&path, &name)
      || name.len >= sizeof mount.name || !bytes_is_label (name) || !take_last (&path, &containers)
      || !bytes_equal (containers, "containers") || !take_last (&path, &uid) || !bytes_is_pod_uid (uid)
      || !take_last (&path, &pods) || !bytes_equal (pods, "pods"))
    return false;
  if (is_in_volume (path) || is_in_pod (path))
    return false;

  memcpy (mount.name, name.p, name.len);
  memcpy (mount.pod_uid, uid.p, uid.len);
  memcpy (mount.instance, instance.p, instance.len);
  path.len += 1 + pods.len;
  if (path.len < sizeof mount.folder)
    memcpy (mount.folder, path.p, path.len);
  *ret = mount;
  return true;
}

bool
pfs_kubelet_same_node (const PfsKubeletMount *a, const PfsKubeletMount *b)
{
  return a && b && a->name[0] && b->name[0] && a->folder[0] && a->major == b->major && a->minor == b->minor
         && strcmp (a->folder, b->folder) == 0;
}

bool
pfs_kubelet_same_pod (const PfsKubeletMount *a, const PfsKubeletMount *b)
{
  return pfs_kubelet_same_node (a, b) && strcmp (a->pod_uid, b->pod_uid) == 0;
}

static int
rank (const PfsKubeletMount *mount, const char *mount_point, const char *pod_uid, const PfsKubeletMount *own)
{
  bool is_default = strcmp (mount_point, "/dev/termination-log") == 0;
  bool is_ours = pod_uid && *pod_uid && strcmp (mount->pod_uid, pod_uid) == 0;

  return (pfs_kubelet_same_pod (mount, own) ? 4 : 0) + (is_default ? 2 : 0) + (is_ours ? 1 : 0);
}

bool
pfs_mountinfo_kubelet (GBytes *content, const char *pod_uid, const PfsKubeletMount *own, PfsKubeletMount *ret)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsKubeletMount mount;
  PfsMountLine line;
  int best = 0;

  memset (ret, 0, sizeof *ret);
  while (pfs_mount_iter_next (iter, &line)) {
    if (!name_of_root (line.root, &mount) || strstr (line.mount_point, "/rootfs/"))
      continue;
    mount.major = line.major;
    mount.minor = line.minor;
    int r = rank (&mount, line.mount_point, pod_uid, own);
    if (r == 0 || r < best)
      continue;
    best = r;
    *ret = mount;
  }
  return best > 0;
}
