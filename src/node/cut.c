/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own mount, wherever a peer sees it: an empty directory, without a request being sent to ourselves. */
#include <errno.h>

#include "rootfs_private.h"

static int
cut_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  const struct timespec epoch = { 0 };

  (void) file, (void) who;
  pfs_node_stat (node, S_IFDIR | 0555, 0, 0, 0, &epoch, ret);
  return 0;
}

static int
cut_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  (void) dir, (void) name, (void) who, (void) ret;
  return -ENOENT;
}

static int
cut_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  (void) who;
  *ret = pfs_file_new (dir, -1, NULL, pfs_listing_new ());
  return 0;
}

const PfsNodeOps pfs_cut_ops = {
  .kind = "cut",
  .attr_life = PFS_ATTR_FIXED,
  .size = sizeof (PfsNode),
  .getattr = cut_getattr,
  .lookup = cut_lookup,
  .opendir = cut_opendir,
};
