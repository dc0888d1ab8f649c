/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a node lies: what an operation on it may have to wait for. */
#include "peerfs/tree/kinds.h"
#include "rootfs_private.h"
#include "peerfs/tree/tree.h"

PfsContainer *
pfs_node_mount_container (PfsNode *node)
{
  if (node->ops == &pfs_own_mount_ops || node->ops == &pfs_own_mount_file_ops)
    return NULL;
  return node->ops->fs ? pfs_rootfs_of (node)->container : pfs_node_container (node);
}

static PfsNodeMount
mount_locked (PfsNode *node)
{
  PfsNodeMount place = { .container = pfs_node_mount_container (node), .is_peer = node->ops == &pfs_peer_ops };

  const PfsMount *mount = node->ops->fs ? pfs_rootnode (node)->mount : NULL;

  if (mount)
    place.remote = (mount->flags & PFS_MOUNT_REMOTE) != 0;
  place.mount = mount;
  return place;
}

PfsNodeMount
pfs_node_mount (PfsNode *node)
{
  pfs_tree_lock (node->tree);
  PfsNodeMount place = mount_locked (node);
  pfs_tree_unlock (node->tree);
  return place;
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
