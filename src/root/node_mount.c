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
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);

  return mount_locked (node);
}

PfsNode *
pfs_tree_remember_node (PfsTree *tree, uint64_t number, PfsNodeMount *ret_mount)
{
  PfsNode key = { .number = number };
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&tree->lock);
  PfsNode *node = g_hash_table_lookup (tree->by_number, &key);
  if (node) {
    node->nlookup++;
    *ret_mount = mount_locked (node);
  }
  return node;
}
