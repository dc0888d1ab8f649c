/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a node lies: what an operation on it may have to wait for. */
#include "rootfs_private.h"

PfsContainer *
pfs_node_mount_container (PfsNode *node)
{
  if (pfs_is_own_mount (node))
    return NULL;
  return node->ops->fs ? pfs_rootfs_of (node)->container : pfs_node_container (node);
}

static PfsNodeMount
mount_locked (PfsNode *node)
{
  const PfsMount *mount = node->ops->fs ? pfs_rootnode (node)->mount : NULL;

  return (PfsNodeMount) {
    .container = pfs_node_mount_container (node),
    .mount = mount,
    .remote = mount && (mount->flags & PFS_MOUNT_REMOTE),
    .is_peer = node->ops == &pfs_peer_ops,
  };
}

PfsNodeMount
pfs_node_mount (PfsNode *node)
{
  pfs_tree_lock (node->tree);
  PfsNodeMount mount = mount_locked (node);
  pfs_tree_unlock (node->tree);
  return mount;
}

PfsNode *
pfs_tree_remember_node (PfsTree *tree, uint64_t number, PfsNodeMount *ret_mount)
{
  PfsNode key = { .number = number };

  pfs_tree_lock (tree);
  PfsNode *node = g_hash_table_lookup (tree->by_number, &key);
  if (node) {
    node->nlookup++;
    *ret_mount = mount_locked (node);
  }
  pfs_tree_unlock (tree);
  return node;
}
