/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trees made of paths: what pids/, env/, sockets/ and maps/files show. A scan gives leaves with a path each; the
 * directories above them exist only because some path leads through them.
 *
 * A path tree is one scan's result. It does not change once it is shared, by reference. The node at its top keeps the
 * last one for a short while: an `ls -l` costs one scan, not one for each name. */
#pragma once

#include "peerfs/tree/peer.h"

typedef struct PfsPathTree PfsPathTree;

/* An empty one. It frees owner, which its leaves belong to, at its end. */
PfsPathTree *pfs_path_tree_new (gpointer owner, GDestroyNotify free_owner);
PfsPathTree *pfs_path_tree_ref (PfsPathTree *path_tree);
void pfs_path_tree_unref (PfsPathTree *path_tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsPathTree, pfs_path_tree_unref)
gpointer pfs_path_tree_owner (const PfsPathTree *path_tree);

/* Puts leaf (not NULL) at path, which has no leading '/'. Leaves it out if a component is no file name, or if another
 * leaf has that path already. A leaf whose path another one uses as a directory is dropped: hiding it hides one object,
 * hiding the directory would hide all below it. (Only deleted and replaced files can collide so.) */
void pfs_path_tree_add (PfsPathTree *path_tree, const char *path, gconstpointer leaf);

/* True if directory dir ("" is the top) has that name. *ret_leaf is borrowed from the path tree; NULL for a
 * directory. */
bool pfs_path_tree_find (const PfsPathTree *path_tree, const char *dir, const char *name, gconstpointer *ret_leaf);

/* Calls func for each name in dir, once, in the order of the paths; leaf is NULL for a directory. */
typedef void (*PfsPathTreeFunc) (const char *name, gconstpointer leaf, gpointer data);
void pfs_path_tree_foreach (const PfsPathTree *path_tree, const char *dir, PfsPathTreeFunc func, gpointer data);

/* --- nodes --- */

/* What differs between pids/, env/, sockets/ and maps/files. */
typedef struct {
  const PfsNodeOps *ops; /* of the top: PFS_PATH_TREE_OPS, and what is its own */
  /* Scans the top's container, for what that caller may see. Returns 0 or -errno. */
  int (*scan) (PfsNode *top, const PfsCaller *who, PfsPathTree **ret);
  bool per_caller; /* a scan serves only callers with the ids and capabilities of the one that asked for it */
  const PfsNodeOps *leaf_ops;
  PfsNodeInit leaf_init; /* may be NULL; data is the leaf, valid during the call */
  /* The leaf's key in the node table: its name, '/', and what tells this object from another of the same name, so that
   * a leaf's node never changes its meaning (g_free). NULL: the name says it all. */
  char *(*key) (const char *name, gconstpointer leaf);
} PfsPathTreeKind;

/* The node at the top of a container's path tree. */
PfsNode *pfs_path_tree_top (PfsNode *parent, const char *name, const PfsPathTreeKind *kind);

/* The path tree of such a node: the last scan's if it is young enough and serves this caller, else that of a new scan.
 * *ret is a reference. 0 or -errno; -ESRCH once the container has ended. */
int pfs_path_tree_get (PfsNode *top, const PfsCaller *who, PfsPathTree **ret);

/* A directory of one. */
typedef struct {
  PfsPeerNode peer;
  struct PfsPathTreeTop *top; /* itself or an ancestor: borrowed */
} PfsPathTreeDir;

/* A scan that is kept. */
typedef struct {
  PfsPathTree *path_tree; /* NULL: none */
  gint64 taken;           /* g_get_monotonic_time() when it began */
  gint64 took;            /* how long it was */
  uid_t uid;              /* for whom, if it is per caller */
  gid_t gid;
  uint64_t caps;
} PfsPathTreeScan;

typedef struct PfsPathTreeTop {
  PfsPathTreeDir dir;
  const PfsPathTreeKind *kind;
  GRecMutex scanning;       /* held during a scan, which asks no file system that may not answer */
  GMutex lock;              /* guards what follows; not held while scanning */
  PfsPathTreeScan scans[2]; /* the last ones; of two callers in turn, each finds its own */
} PfsPathTreeTop;

void pfs_path_tree_top_finalize (PfsNode *node);
int pfs_path_tree_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret);
int pfs_path_tree_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret);

/* What the PfsNodeOps of all tops have alike. */
#define PFS_PATH_TREE_OPS                                                                                              \
  .size = sizeof (PfsPathTreeTop), .finalize = pfs_path_tree_top_finalize, .getattr = pfs_peer_getattr,                \
  .lookup = pfs_path_tree_lookup, .opendir = pfs_path_tree_opendir
