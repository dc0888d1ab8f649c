/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a node lies: what an operation on it may have to wait for. */
#include "mapped.h"
#include "peerfs/node/kinds.h"
#include "rootfs_private.h"

PfsContainer *
pfs_node_place_container (PfsNode *node)
{
  if (node->ops == &pfs_cut_ops || node->ops == &pfs_cut_file_ops)
    return NULL;
  return node->ops == &pfs_rootfs_ops ? pfs_rootfs_of (node)->container : pfs_node_container (node);
}

PfsPlace
pfs_node_place (PfsNode *node)
{
  dev_t dev;

  if (pfs_mapped_remote (node, &dev))
    return (PfsPlace){ .container = pfs_node_container (node), .mount = GSIZE_TO_POINTER (dev), .remote = true };
  if (node->ops != &pfs_rootfs_ops)
    return (PfsPlace){ .container = pfs_node_place_container (node) };
  pfs_tree_lock (node->tree);
  const PfsMount *mount = pfs_rootnode (node)->mount;
  bool remote = (mount->flags & PFS_MOUNT_REMOTE) != 0;
  pfs_tree_unlock (node->tree);
  return (PfsPlace){ .container = pfs_node_place_container (node), .mount = mount, .remote = remote };
}
