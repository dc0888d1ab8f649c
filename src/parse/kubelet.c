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
#include "peerfs/parse/kubelet.h"
#include "peerfs/parse/mountinfo.h"

#include "text.h"

#define LABEL_MAX 63 /* RFC 1123 */
#define SUBDOMAIN_MAX 253

bool
pfs_is_pod_uid (const char *text)
{
  return text_is_pod_uid (text);
}

/* A folder named "volumes" is the kubelet's, whose content the pod chooses, unless it is a container engine's,
 * volumes/<name>/_data: the whole node is a container there (kind, k3d, minikube) and such a volume its /var. A
 * "pods/<uid>" in a pod's folder is anybody's. */
static bool
is_in_pod (char **folder)
{
  if (g_str_equal (folder[0], "volumes"))
    return g_strcmp0 (folder[1] ? folder[2] : NULL, "_data") != 0;
  return g_str_equal (folder[0], "pods") && folder[1] && pfs_is_pod_uid (folder[1]);
}

static bool
name_of_root (const char *root, PfsKubeletMount *ret)
{
  g_auto (GStrv) parts = strstr (root, "/containers/") ? g_strsplit (root, "/", -1) : NULL;
  guint n = parts ? g_strv_length (parts) : 0;
  PfsKubeletMount mount = { 0 };

  if (n < 6)
    return false;
  char **tail = parts + n - 5; /* "pods", uid, "containers", name, instance */
  if (!g_str_equal (tail[0], "pods") || !pfs_is_pod_uid (tail[1]) || !g_str_equal (tail[2], "containers")
      || strlen (tail[3]) >= sizeof mount.name || !text_is_label (tail[3]) || strlen (tail[4]) != 8
      || !text_is_hex (tail[4]))
    return false;
  g_strlcpy (mount.pod_uid, tail[1], sizeof mount.pod_uid);
  g_strlcpy (mount.name, tail[3], sizeof mount.name);
  g_strlcpy (mount.instance, tail[4], sizeof mount.instance);
  for (char **folder = parts; folder < tail; folder++)
    if (is_in_pod (folder))
      return false;
  size_t len = strlen (root) - strlen (tail[1]) - strlen (tail[3]) - strlen ("//containers//01234567");
  if (len < sizeof mount.folder)
    memcpy (mount.folder, root, len);
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

/* --- its folders of logs --- */

/* RFC 1123, as the API server demands of pods' names: labels with dots between them, of any length together. */
static bool
is_subdomain (const char *name)
{
  g_auto (GStrv) labels = g_strsplit (name, ".", -1);

  for (char **label = labels; *label; label++)
    if (!text_is_label (*label))
      return false;
  return *labels;
}

/* BuildPodLogsDirectory() of Kubernetes' pkg/kubelet/kuberuntime/helpers.go; none of the three parts has a '_' in it.
 */
char **
pfs_podlog_parse (const char *name)
{
  g_auto (GStrv) parts = g_strsplit (name, "_", -1);

  if (g_strv_length (parts) != 3 || strlen (parts[0]) > LABEL_MAX || !text_is_label (parts[0])
      || strlen (parts[1]) > SUBDOMAIN_MAX || !is_subdomain (parts[1]) || !text_is_pod_uid (parts[2]))
    return NULL;
  return g_steal_pointer (&parts);
}
