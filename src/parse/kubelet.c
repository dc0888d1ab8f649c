/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's name, as its mounts tell it: the kubelet binds <its folder>/pods/<uid>/containers/<NAME>/<8 hex> to the
 * container's terminationMessagePath. The author of a pod can make other mounts look like that one, and containers with
 * the node's folders see those of other pods. So, of all lines with a root of that form,
 *
 * - these do not count: the root lies in a volume; the mount point spells a pod's folder or lies in a root filesystem
 *   (name_of_root, is_foreign_place); the mount is below another one that shows its origin (is_shown_by);
 * - the best of the others wins: one that our own container's vouches for, at the default path, of the pod that the
 *   cgroup names, not inside a volume. Of equals it is the last: the kubelet's own comes after those of volumes, and
 *   hides earlier mounts at its place. */
#include "peerfs/parse/mountinfo.h"

#include "bytes.h"

#define CANDIDATES_MAX 256 /* a real container has one */

typedef struct {
  PfsKubeletMount mount;
  char *mount_point, *root;
  bool is_vouched, is_default, is_ours, in_volume, foreign;
} Candidate;

static void
candidate_free (gpointer data)
{
  Candidate *c = data;

  g_free (c->mount_point);
  g_free (c->root);
  g_free (c);
}

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

/* The rest of path behind the first "pods/<uid>"; NULL if there is none. */
static const char *
after_pod (Bytes path)
{
  Bytes component, previous = bytes_of ("", 0);

  while (bytes_split (&path, '/', &component)) {
    if (bytes_equal (previous, "pods") && bytes_is_pod_uid (component))
      return component.p + component.len;
    previous = component;
  }
  return NULL;
}

/* A folder named "volumes" is the kubelet's, and anybody chooses its content. But volumes/<name>/_data is a container
 * engine's: there the whole node is a container (kind, k3d, minikube), and such a volume its /var. */
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
  if (is_in_volume (path) || after_pod (path))
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

/* In a container that sees a host's folders, other containers' mounts are in their root filesystem
 * (".../rootfs/dev/..."), and those of subPaths at pods/<uid>/volume-subpaths/. No terminationMessagePath is like
 * that. */
static bool
is_foreign_place (const char *mount_point)
{
  return strstr (mount_point, "/rootfs/") || after_pod (bytes_of (mount_point, strlen (mount_point)));
}

/* True if path is below dir, or dir itself unless strictly. */
static bool
is_below (const char *path, const char *dir, bool strictly)
{
  size_t n = strlen (dir);

  if (n > 0 && dir[n - 1] == '/')
    n--;
  if (strncmp (path, dir, n) != 0)
    return false;
  return path[n] == '/' ? path[n + 1] != '\0' || !strictly : path[n] == '\0' && !strictly;
}

/* The mount shows the kubelet's folder, its pods, or a pod's folder outside of volumes. */
static bool
shows_kubelet (const char *root)
{
  const char *after = after_pod (bytes_of (root, strlen (root)));

  if (after)
    return !g_str_has_prefix (after, "/volumes/");
  return g_str_has_suffix (root, "/pods") || g_str_has_suffix (root, "/kubelet");
}

/* True if c is below the line's mount, and that shows other containers' mounts. It is a root filesystem (only ours, at
 * "/", has ours), the kubelet's folder, or a folder of c's own filesystem that leads to c's root. */
static bool
is_shown_by (const Candidate *c, const PfsMountLine *line)
{
  return strcmp (line->fstype, "overlay") == 0 || strcmp (line->fstype, "fuse.fuse-overlayfs") == 0
         || shows_kubelet (line->root)
         || (line->major == c->mount.major && line->minor == c->mount.minor && is_below (c->root, line->root, false));
}

static GPtrArray *
find_candidates (const char *content, size_t len, const char *pod_uid, const PfsKubeletMount *own)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content, len);
  GPtrArray *found = g_ptr_array_new_with_free_func (candidate_free);
  PfsKubeletMount mount;
  PfsMountLine line;

  while (found->len < CANDIDATES_MAX && pfs_mount_iter_next (iter, &line)) {
    Candidate *c;

    if (!name_of_root (line.root, &mount) || is_foreign_place (line.mount_point))
      continue;
    c = g_new0 (Candidate, 1);
    c->mount = mount;
    c->mount_point = g_strdup (line.mount_point);
    c->root = g_strdup (line.root);
    c->mount.major = line.major;
    c->mount.minor = line.minor;
    c->is_vouched = pfs_kubelet_same_pod (&c->mount, own);
    c->is_default = strcmp (line.mount_point, "/dev/termination-log") == 0;
    c->is_ours = pod_uid && *pod_uid && strcmp (mount.pod_uid, pod_uid) == 0;
    g_ptr_array_add (found, c);
  }
  return found;
}

static void
mark_covered (const char *content, size_t len, GPtrArray *candidates)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content, len);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line)) {
    if (strcmp (line.mount_point, "/") == 0)
      continue;
    for (guint i = 0; i < candidates->len; i++) {
      Candidate *c = candidates->pdata[i];

      if (!is_below (c->mount_point, line.mount_point, true))
        continue;
      c->foreign = c->foreign || is_shown_by (c, &line);
      c->in_volume = c->in_volume || strstr (line.root, "/volumes/");
    }
  }
}

static int
rank (const Candidate *c)
{
  return (c->is_vouched ? 8 : 0) + (c->is_default ? 4 : 0) + (c->is_ours ? 2 : 0) + (c->in_volume ? 0 : 1);
}

bool
pfs_mountinfo_kubelet (const char *content, size_t len, const char *pod_uid, const PfsKubeletMount *own,
                       PfsKubeletMount *ret)
{
  g_autoptr (GPtrArray) candidates = find_candidates (content, len, pod_uid, own);
  const Candidate *best = NULL;

  memset (ret, 0, sizeof *ret);
  if (candidates->len > 0)
    mark_covered (content, len, candidates);
  for (guint i = 0; i < candidates->len; i++) {
    const Candidate *c = candidates->pdata[i];

    if (!c->foreign && (!best || rank (c) >= rank (best)))
      best = c;
  }
  if (!best)
    return false;
  *ret = best->mount;
  return true;
}
