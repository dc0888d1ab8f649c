/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a node lies: what an operation on it may have to wait for. */
#include "peerfs/tree/kinds.h"
#include "rootfs_private.h"
#include "peerfs/tree/tree.h"

PfsContainer *
pfs_node_place_container (PfsNode *node)
{
  if (node->ops == &pfs_own_mount_ops || node->ops == &pfs_own_mount_file_ops)
    return NULL;
  return node->ops->fs ? pfs_rootfs_of (node)->container : pfs_node_container (node);
}

static PfsPlace
place_locked (PfsNode *node)
{
  PfsPlace place = { .container = pfs_node_place_container (node), .is_peer = node->ops == &pfs_peer_ops };

  if (node->ops->fs) {
    const PfsMount *mount = pfs_rootnode (node)->mount;

    place.mount = mount;
    place.remote = (mount->flags & PFS_MOUNT_REMOTE) != 0;
  }
  return place;
}

PfsPlace
pfs_node_place (PfsNode *node)
{
  pfs_tree_lock (node->tree);
  PfsPlace place = place_locked (node);
  pfs_tree_unlock (node->tree);
  return place;
}

PfsNode *
pfs_tree_remember_node (PfsTree *tree, uint64_t number, PfsPlace *ret_place)
{
  PfsNode key = { .number = number };

  pfs_tree_lock (tree);
  PfsNode *node = g_hash_table_lookup (tree->by_number, &key);
  if (node) {
    node->nlookup++;
    *ret_place = place_locked (node);
  }
  pfs_tree_unlock (tree);
  return node;
}
