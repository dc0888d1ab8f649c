/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The insides of the tree, for the kinds of node. */
#pragma once

#include "peerfs/tree/node.h"

struct PfsTree {
  PfsTable *table;
  PfsTreeOptions options;
  PfsNode *top;
  PfsNode *nowhere;
  bool handles; /* the kernel opens file handles: nodes are reached past the folders above them. If not told before
                 * the first request: true */

  GMutex lock;           /* guards both tables and what node.h says */
  GHashTable *by_name;   /* a set of nodes, equal by parent and name (and kind) */
  GHashTable *by_inode;  /* a set of root/ nodes, equal by mount and inode; made by that kind */
  GHashTable *by_number; /* a set of all nodes but the top */
  uint64_t last_number;  /* none is given twice */

  const PfsRootKind *root;
  struct PfsRoots *roots; /* of that kind alone */
};

/* With the lock held: a reference more; a fresh node of ops->size zeroed bytes with one reference and a reference to
 * parent (not in any table). */
PfsNode *pfs_node_ref_locked (PfsNode *node);
PfsNode *pfs_node_alloc_locked (PfsNode *parent, const char *name, const PfsNodeOps *ops);

/* Values of PfsNode.tables. */
#define PFS_NODE_BY_NAME (1u << 0)
#define PFS_NODE_BY_INODE (1u << 1)

/* With the lock held: the node with that parent and name, borrowed; into and out of the tables (a node that is in
 * neither is an orphan: still valid, but found no more). */
PfsNode *pfs_node_find_locked (PfsNode *parent, const char *name, const PfsNodeOps *ops);
void pfs_node_insert_by_name_locked (PfsNode *node);
void pfs_node_insert_by_inode_locked (PfsNode *node);
void pfs_node_orphan_locked (PfsNode *node);

/* With the lock held: gives the node another place. The old parent is returned; drop its reference after unlocking. */
PfsNode *pfs_node_move_locked (PfsNode *node, PfsNode *parent, const char *name);
