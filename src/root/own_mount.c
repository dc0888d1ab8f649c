/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is cut off below root/, wherever a peer sees it. Our own mount: an empty directory, without a request being sent
 * to ourselves. And procfs: at every open, read, write and look at a link the kernel decides by who asks; that would be
 * us. NAME/proc and NAME/pids lead to the real one. */
#include <errno.h>
#include <fcntl.h>

#include "rootfs_private.h"

static int
own_mount_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  const struct timespec epoch = { 0 };

  (void) file, (void) who;
  pfs_node_stat (node, node->ops->open ? S_IFREG : S_IFDIR | 0555, 0, 0, 0, &epoch, ret);
  return 0;
}

static int
own_mount_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  (void) dir, (void) name, (void) who, (void) ret;
  return -ENOENT;
}

static int
own_mount_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  (void) who;
  *ret = pfs_file_new (dir, -1, NULL, pfs_listing_new ());
  return 0;
}

static int
own_mount_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  (void) node, (void) flags, (void) who, (void) ret;
  return -EACCES;
}

/* An empty directory. */
static const PfsNodeOps own_mount_ops = {
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsNode),
  .getattr = own_mount_getattr,
  .lookup = own_mount_lookup,
  .opendir = own_mount_opendir,
};

/* A file of it, mounted elsewhere: not to be opened. */
static const PfsNodeOps own_mount_file_ops = {
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsNode),
  .getattr = own_mount_getattr,
  .open = own_mount_open,
};

bool
pfs_is_own_mount (const PfsNode *node)
{
  return node->ops == &own_mount_ops || node->ops == &own_mount_file_ops;
}

PfsNode *
pfs_own_mount_new (PfsNode *dir, int dirfd, const char *name)
{
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  struct statx st;
  bool file = statx (dirfd, name, flags, STATX_TYPE, &st) == 0 && !S_ISDIR (st.stx_mode);

  return pfs_node_child (dir, name, file ? &own_mount_file_ops : &own_mount_ops, NULL, NULL);
}
