/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link says: those of the peer, and those shown for its sockets and FIFOs. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"
#include "rootfs_private.h"

/* A socket or FIFO that FUSE serves is not the one its peer uses: the caller's own kernel is sent to the real one. */
static int
special_target (PfsNode *dir, const char *name, char **ret)
{
  PfsRootfs *rootfs = pfs_rootfs_of (dir);
  g_autoptr (PfsProcess) process = NULL;
  g_autofree char *path = pfs_rootfs_path (dir);

  int r = pfs_rootfs_process (rootfs, &process);
  if (r < 0)
    return r;
  g_autofree char *target = g_strdup_printf ("%s/%d/root%s%s%s", rootfs->container->proc->path, (int) process->pid,
                                             path, path[1] ? "/" : "", name);
  if (strlen (target) >= PATH_MAX)
    return -ENAMETOOLONG;
  *ret = g_steal_pointer (&target);
  return 0;
}

static int
readlink_as (int dirfd, const char *name, const PfsCaller *who, char **ret)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  return r < 0 ? r : pfs_readlink_at (dirfd, name, ret);
}

/* The value of a mount point is that of the last mount there. */
static GHashTable *
mount_points (gpointer rootfs)
{
  GHashTable *points = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GBytes) content = pfs_rootfs_mountinfo (rootfs);
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    g_hash_table_replace (points, g_strdup (line.mount_point), GINT_TO_POINTER (strcmp (line.fstype, "autofs") == 0));
  return points;
}

int
pfs_rootfs_target (PfsNode *dir, int dirfd, const char *name, mode_t type, bool walk, const PfsCaller *who, char **ret)
{
  g_autoptr (PfsDirFd) top = NULL;
  g_autofree char *raw = NULL;
  g_autofree char *path = NULL;

  if (!S_ISLNK (type))
    return special_target (dir, name, ret);
  int r = readlink_as (dirfd, name, who, &raw);
  if (r < 0)
    return r == -EINVAL ? -ESTALE : r;
  path = pfs_rootfs_path (dir);
  r = pfs_inroot_contain (-1, path, raw, NULL, ret);
  if (r != -EAGAIN || !walk)
    return r;
  PfsRootfs *rootfs = pfs_rootfs_of (dir);
  const PfsAvoid avoid = { dir->tree->roots->own_device, mount_points, rootfs };
  r = pfs_rootfs_dir (rootfs->top, &top);
  if (r < 0)
    return r;
  pfs_auto_creds const PfsCaller *as = NULL;
  r = pfs_creds_take (who, &as);
  if (r == 0)
    r = pfs_inroot_contain (top->fd, path, raw, &avoid, ret);
  if (r != -ELOOP)
    return r;
  *ret = g_strdup (name);
  return 0;
}

/* In a directory like /tmp a caller may follow only links of its own user or of the directory's (fs.protected_symlinks,
 * proc_sys_fs(5)): root would not reach a server's socket there. */
void
pfs_rootfs_link_attr (int dirfd, const char *target, struct stat *attr)
{
  struct stat dir;

  if (!S_ISLNK (attr->st_mode) && fstat (dirfd, &dir) == 0
      && (dir.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH))
    attr->st_uid = dir.st_uid;
  attr->st_mode = S_IFLNK | 0777;
  attr->st_rdev = 0;
  if (target)
    attr->st_size = (off_t) strlen (target);
}

/* All names of the link are this one node: the name that we know may have been given to another link meanwhile. */
static int
readlink_raw (PfsNode *node, const PfsCaller *who, char **ret)
{
  pfs_autofd fd = pfs_rootfs_open_path (node, NULL, NULL);

  return fd < 0 ? fd : readlink_as (fd, "", who, ret);
}

int
pfs_rootfs_readlink (PfsNode *node, const PfsCaller *who, char **ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  g_autofree char *name = NULL;
  mode_t type = PFS_ROOTNODE_TYPE (pfs_rootnode (node));

  if (!pfs_rootfs_is_link (node->tree, type))
    return -EINVAL;
  if (!pfs_rootfs_has_own_nodes (node->tree, type))
    return readlink_raw (node, who, ret);
  int r = pfs_rootfs_parent (node, &dirfd, &name);
  if (r < 0)
    return r;
  g_mutex_lock (&node->tree->lock);
  g_autoptr (PfsNode) dir = pfs_node_ref_locked (node->parent);
  g_mutex_unlock (&node->tree->lock);
  r = pfs_rootfs_target (dir, dirfd->fd, name, type, true, who, ret);
  return r == -ENOENT ? -ESTALE : r;
}
